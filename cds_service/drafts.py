"""From the drafts of an order hook to those of interest here, before anything else about the patient is asked for.

order-select fires at every change of an order: drafts of other drugs must cost nothing. Only a draft whose drug is
behind a reference to a Medication that did not come along may need the FHIR server, for that Medication alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from cds_service.errors import MissingEvidence, PayloadTooLarge
from cds_service.fhir_reading.code_names import Code, KnownName
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.draft_orders import find_drafts, find_in, read_draft
from cds_service.fhir_server.access import FhirAccess
from cds_service.fhir_server.referenced_medications import fetch_medications
from cds_service.hook_request import HookRequest
from cds_service.terminology import TerminologyClient, name_codes
from cds_service.trd.record import Prescription, Unread

MOST_DRAFTS = 500  # of interest in one request: each is judged beside each other

logger = logging.getLogger("cds_service.drafts")


@dataclass(frozen=True)
class DraftsOfInterest:
    """Drafts of antidepressants and augmenting agents, with what is needed to read them.

    `orders` are those that the hook is about, `background` those that are not selected. `beside` are the
    Medications and whatever else came along, `unread` those that could not be had.
    """

    orders: tuple[Entry, ...] = ()
    background: tuple[Entry, ...] = ()
    beside: tuple[Entry, ...] = ()
    unread: tuple[Unread, ...] = ()
    names: Mapping[Code, KnownName] = field(default_factory=dict)

    def read(self, record: Collected, on: date) -> tuple[Prescription, ...]:
        """Each draft that the hook is about as a prescription; `record` is all that is known of the patient."""
        return self._read(self.orders, record, on)

    def read_background(self, record: Collected, on: date) -> tuple[Prescription, ...]:
        """The drafts that are not selected, as prescriptions: nothing is told of them, but they count beside others."""
        return self._read(self.background, record, on)

    def _read(self, orders: Iterable[Entry], record: Collected, on: date) -> tuple[Prescription, ...]:
        find = find_in(Collected(record.patient_id, self.beside, record.base_url), record)
        told = [read_draft(order, find, on, self.names) for order in orders]
        return tuple(draft for draft in told if draft and draft.drug)


def find_drafts_of_interest(
    request: HookRequest, access: FhirAccess, terminology: TerminologyClient | None, on: date
) -> DraftsOfInterest:
    """The drafts that there may be something to say about; none of them needs no data at all.

    Those that are not selected are looked at only beside a selected one that is of interest.

    Raises MissingEvidence when an order about to be signed is of a Medication that cannot be had. While the
    order is still being put together (order-select) that is no more than an order without a drug.
    Raises PayloadTooLarge for more than `MOST_DRAFTS`.
    """
    base_url = None if request.fhir_server is None else request.fhir_server.rstrip("/")
    drafts = find_drafts(request.draft_orders or {}, request.selections, request.patient_id, base_url)
    if drafts.foreign:
        logger.warning("%d drafts of another patient left out", drafts.foreign)
    if not drafts.orders:
        return DraftsOfInterest()
    beside = (*drafts.beside, *_prefetched_medications(request.prefetch))
    collected = name_codes(Collected(request.patient_id, (*drafts.orders, *beside), base_url), terminology)
    possible = _possible(drafts.orders, beside, collected, on)
    if not possible:
        return DraftsOfInterest()
    fetched, gaps = fetch_medications((*possible, *beside), access)
    beside = (*beside, *fetched)
    collected = name_codes(Collected(request.patient_id, (*possible, *beside), base_url), terminology)
    found = _possible(possible, beside, collected, on, is_certain=True)
    if len(found) > MOST_DRAFTS:
        raise PayloadTooLarge(f"More than {MOST_DRAFTS} drafted orders of antidepressants and the like.")
    if gaps and not found and request.selections is None:
        raise MissingEvidence(
            ("draftOrders",), f"Required data cannot be had. draftOrders: a Medication: {gaps[0].problem}."
        )
    known = DraftsOfInterest(found, (), beside, gaps, collected.code_names)
    return _with_background(known, drafts.background, collected, access, terminology, on) if found else known


def _with_background(
    known: DraftsOfInterest,
    orders: tuple[Entry, ...],
    collected: Collected,
    access: FhirAccess,
    terminology: TerminologyClient | None,
    on: date,
) -> DraftsOfInterest:
    """With the drafts of drugs of our tables among those that are not selected, and their Medications."""
    possible = _possible(orders, known.beside, collected, on)
    if not possible:
        return known
    fetched, gaps = fetch_medications((*possible, *known.beside), access)
    beside = (*known.beside, *fetched)
    at_hand = (*known.orders, *possible, *beside)
    collected = name_codes(replace(collected, entries=at_hand), terminology)
    found = _possible(possible, beside, collected, on, is_certain=True)
    unread = tuple(dict.fromkeys((*known.unread, *gaps)))
    return DraftsOfInterest(known.orders, found, beside, unread, collected.code_names)


def _possible(
    orders: tuple[Entry, ...],
    beside: tuple[Entry, ...],
    collected: Collected,
    on: date,
    *,
    is_certain: bool = False,
) -> tuple[Entry, ...]:
    """The drafts that are, or (unless `is_certain`) may be, of a drug of our tables."""
    find = find_in(Collected(collected.patient_id, beside, collected.base_url))
    told = [(order, read_draft(order, find, on, collected.code_names)) for order in orders]
    return tuple(order for order, draft in told if draft and (draft.drug or not is_certain))


def _prefetched_medications(prefetch: Mapping[str, Any]) -> Iterator[Entry]:
    for key, value in prefetch.items():
        rows = value.get("entry") if isinstance(value, dict) else None
        for number, row in enumerate(rows if isinstance(rows, list) else ()):
            resource = row.get("resource") if isinstance(row, dict) else None
            if isinstance(resource, dict) and resource.get("resourceType") == "Medication":
                full_url = row.get("fullUrl")
                place = f"prefetch.{key}.entry[{number}].resource"
                yield Entry(resource, full_url if isinstance(full_url, str) else None, place)
