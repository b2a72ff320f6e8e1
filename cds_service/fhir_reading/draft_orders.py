"""The drafts of order-select and order-sign → prescriptions of antidepressants and augmenting agents.

Each is read like any order (`medication_requests.py`), as one that begins today or on the day it names. Never
raises: real clients send drafts without a drug, without an intent, and with elements of the wrong kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cds_service.fhir_reading.code_names import Code, KnownName
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.indications import Find
from cds_service.fhir_reading.medication_requests import read_medication_requests
from cds_service.fhir_reading.references import (
    LONGEST_REFERENCE,
    TYPED_REFERENCE,
    Index,
    Owner,
    index_resources,
)
from cds_service.fhir_reading.resource_types import ORDERS
from cds_service.fhir_reading.versions import to_r4
from cds_service.trd.days import shifted
from cds_service.trd.record import Prescription

DAYS_AHEAD = 1000
"""How far ahead a draft is read, so that all its planned steps are seen."""
NO_NEW_USE = ("cancelled", "completed", "entered-in-error", "stopped")
PLACE = "context.draftOrders"


@dataclass(frozen=True)
class Drafts:
    """What came in `draftOrders`: the orders that the hook is about, in the elements of R4, and all else beside.

    `background` are orders of the patient that are not selected: about to be signed too, but not asked about.
    `foreign` counts those left out because they are another patient's, or nobody's that is at hand.
    """

    orders: tuple[Entry, ...] = ()
    background: tuple[Entry, ...] = ()
    beside: tuple[Entry, ...] = ()
    foreign: int = 0


def find_drafts(
    bundle: Mapping[str, Any],
    selections: Sequence[Any] | None,
    patient_id: str,
    base_url: str | None = None,
) -> Drafts:
    """The patient's drafts of drugs. The hook is about those that `selections` name, all where it is None."""
    entries = tuple(_entries_in(bundle))
    beside = tuple(entry for entry in entries if entry.resource.get("resourceType") not in ORDERS)
    orders = [entry for entry in entries if entry.resource.get("resourceType") in ORDERS]
    index = index_resources(Collected(patient_id, beside, base_url))
    in_r4 = [(order, replace(order, resource=to_r4(order.resource))) for order in orders]
    own = [(order, read) for order, read in in_r4 if _is_own(read.resource, index)]
    chosen = frozenset(_plain(name) for name in selections or () if isinstance(name, str))
    about = [selections is None or not chosen.isdisjoint(_names_of(order)) for order, _ in own]
    return Drafts(
        tuple(read for (_, read), is_asked in zip(own, about, strict=True) if is_asked),
        tuple(read for (_, read), is_asked in zip(own, about, strict=True) if not is_asked),
        beside,
        len(orders) - len(own),
    )


def read_draft(
    order: Entry, find: Find, on: date, names: Mapping[Code, KnownName] | None = None
) -> Prescription | None:
    """The prescription that a draft would be, in the elements of R4; None where it is of no interest.

    Its days are those it orders from today on. One dose without an end is given its first day alone, as an order
    that is read on the day it begins.
    `find` resolves references, `on` is today, `names` is what a terminology service says of codes.
    """
    if order.resource.get("status") in NO_NEW_USE:
        return None
    as_signed = replace(order, resource=_as_signed(order.resource, on))
    reading = read_medication_requests((as_signed,), find, shifted(on, DAYS_AHEAD), names)
    told = next(iter((*reading.prescriptions, *reading.add_ons)), None)
    return _from_today(replace(told, replaces=_replaced_by(order.resource)), on) if told else None


def find_in(*collections: Collected) -> Find:
    """Looks references up in each collection in turn; each is indexed when it is first needed."""
    indexed: list[Index] = []

    def find(reference: str, within: dict[str, Any]) -> dict[str, Any] | None:
        for place, collected in enumerate(collections):
            if place == len(indexed):
                indexed.append(index_resources(collected))
            found = indexed[place].find(reference, within)
            if found is not None:
                return found
        return None

    return find


# --- the Bundle ---------------------------------------------------------------------------------------


def _entries_in(bundle: Mapping[str, Any]) -> Iterator[Entry]:
    rows = bundle.get("entry")
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        resource = row.get("resource") if isinstance(row, dict) else None
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            full_url = row.get("fullUrl")
            is_text = isinstance(full_url, str) and full_url
            yield Entry(resource, full_url if is_text else None, f"{PLACE}.entry[{number}].resource")


def _names_of(order: Entry) -> frozenset[str]:
    """All that a selection may call a draft: `Type/id`, its `fullUrl`, or `Type/` with the id of a `urn:uuid:`."""
    resource_type, logical_id = order.resource["resourceType"], order.resource.get("id")
    names = {f"{resource_type}/{logical_id}"} if isinstance(logical_id, str) else set()
    if order.full_url:
        names |= {_plain(order.full_url), f"{resource_type}/{order.full_url.removeprefix('urn:uuid:')}"}
    return frozenset(names)


def _plain(name: str) -> str:
    """`Type/id` of a reference that has a server before it; any other text as it is."""
    parts = TYPED_REFERENCE.fullmatch(name[:LONGEST_REFERENCE])
    return f"{parts['type']}/{parts['id']}" if parts else name


def _is_own(order: dict[str, Any], index: Index) -> bool:
    """Whether the draft is the patient's: it says so, or names nobody, as a draft of this patient's session may."""
    subject = order.get("subject")
    is_silent = subject is None or (isinstance(subject, dict) and subject.get("reference") is None)
    return is_silent or index.owner_of(order)[0] is Owner.PATIENT


# --- the order ----------------------------------------------------------------------------------------


def _as_signed(order: dict[str, Any], on: date) -> dict[str, Any]:
    """The order as it will stand once it is signed today: why it was stopped says nothing.

    What it replaces is told apart: read with it, it would seem to replace an order among the drafts.
    """
    left_out = ("statusReason", "priorPrescription")
    kept = {name: value for name, value in order.items() if name not in left_out}
    return {**kept, "status": "active", "intent": "order", "authoredOn": on.isoformat()}


def _replaced_by(order: dict[str, Any]) -> str:
    """`Type/id` of the order that this one says it replaces; empty where it names none that way."""
    prior = order.get("priorPrescription")
    reference = prior.get("reference") if isinstance(prior, dict) else None
    return _plain(reference) if isinstance(reference, str) else ""


def _from_today(told: Prescription, on: date) -> Prescription | None:
    """What is left of it from today on; None where all its days are over."""
    ahead = [segment for segment in told.segments if segment.last_day >= on]
    segments = [replace(segment, first_day=max(segment.first_day, on)) for segment in ahead]
    if len(segments) == 1 and segments[0].last_day == shifted(on, DAYS_AHEAD):
        segments = [replace(segments[0], last_day=segments[0].first_day)]
    return replace(told, segments=tuple(segments)) if segments else None
