"""The Medications that prescriptions refer to and that did not come along: read from the server together."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from typing import Any

from cds_service.errors import FhirServerError
from cds_service.fhir_address import is_fhir_id, read_address
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.references import references_to_drugs
from cds_service.fhir_reading.resource_types import OF_A_DRUG
from cds_service.fhir_reading.versions import to_r4
from cds_service.fhir_server.access import FhirAccess, run_together
from cds_service.fhir_server.client import AccessRefused, FhirClient
from cds_service.fhir_server.search_results import Page
from cds_service.trd.record import Topic, Unread

_IDS_A_SEARCH = 50
NAMES_A_DRUG = frozenset({"medicationReference", "medication", "suspectEntity"})


def fetch_medications(
    entries: tuple[Entry, ...], access: FhirAccess
) -> tuple[tuple[Entry, ...], tuple[Unread, ...]]:
    """The referenced Medications that did not come along, and a gap for each that cannot be had.

    The order that refers to it is itself read as one of an unidentified drug; the gap says why.
    """
    wanted = _medications_not_along(entries, access.client)
    if not wanted:
        return (), ()
    got = _read_medications(wanted, access)
    found = [(i, got[i]) for i in wanted if not isinstance(got[i], FhirServerError)]
    failed = [(i, got[i]) for i in wanted if isinstance(got[i], FhirServerError)]
    return (
        tuple(Entry(resource, None, f"Medication/{i} read") for i, resource in found),
        tuple(
            Unread(f"Medication/{i}", f"it did not come along, and {problem}", (Topic.NONE,))
            for i, problem in failed
        ),
    )


def _medications_not_along(entries: tuple[Entry, ...], client: FhirClient | None) -> tuple[str, ...]:
    references = [
        reference
        for entry in entries
        if not NAMES_A_DRUG.isdisjoint(entry.resource)
        and entry.resource.get("resourceType") in (*OF_A_DRUG, "AdverseEvent")
        for reference in references_to_drugs(to_r4(entry.resource))
    ]
    if not references:
        return ()
    along = [entry for entry in entries if entry.resource.get("resourceType") == "Medication"]
    full_urls = {entry.full_url for entry in along}
    ids_along = {entry.resource["id"] for entry in along if isinstance(entry.resource.get("id"), str)}
    ids = (_medication_id(reference, client, full_urls) for reference in references)
    return tuple(dict.fromkeys(i for i in ids if i is not None and i not in ids_along))


def _medication_id(reference: Any, client: FhirClient | None, full_urls: set[str | None]) -> str | None:
    """The id of a Medication on the server; None for contained, foreign and unreadable references."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str) or text in full_urls:
        return None
    address = read_address(text)
    if address is None:
        path = text.split("/")
    elif client is not None and address.is_at_or_below(client.base):
        path = list(address.segments[len(client.base.segments) :])
    else:
        return None
    is_medication = path[0] == "Medication" and (len(path) == 2 or path[2:3] == ["_history"])
    return path[1] if is_medication and is_fhir_id(path[1]) else None


def _read_medications(wanted: tuple[str, ...], access: FhirAccess) -> dict[str, Any]:
    """Each wanted Medication by its id, or the FhirServerError why it cannot be had."""
    known = MEDICATIONS.find(access.client, wanted)
    lacking = [i for i in wanted if i not in known]
    searches = {
        str(first): partial(_search_medications, access, lacking[first : first + _IDS_A_SEARCH])
        for first in range(0, len(lacking), _IDS_A_SEARCH)
    }
    found: dict[str, Any] = {}
    for first, result in run_together(searches, access.deadline).items():
        ids = lacking[int(first) : int(first) + _IDS_A_SEARCH]
        found |= result if isinstance(result, dict) else dict.fromkeys(ids, result)
    MEDICATIONS.keep(access.client, found)
    return known | found


def _search_medications(access: FhirAccess, ids: list[str]) -> dict[str, Any]:
    """These Medications by one search; what it does not give is read one by one."""
    try:
        page = access.client_for("Medication", by_id=False).search_ids("Medication", ids, (Topic.DRUG,))
    except AccessRefused as refused:
        return dict.fromkeys(ids, refused)
    except FhirServerError:
        page = Page(())
    named = {entry.resource.get("id"): entry.resource for entry in page.entries if _is_medication(entry)}
    found = {i: named[i] for i in ids if i in named}
    reads = {i: partial(_read_medication, access, i) for i in ids if i not in found}
    return found | run_together(reads, access.deadline)


def _is_medication(entry: Entry) -> bool:
    resource = entry.resource
    return resource.get("resourceType") == "Medication" and isinstance(resource.get("id"), str)


def _read_medication(access: FhirAccess, logical_id: str) -> dict[str, Any]:
    return access.client_for("Medication", by_id=True).read("Medication", logical_id)


class MedicationCache:
    """Medications read lately, so that the same few need not be read at each opening of a chart.

    A Medication is no patient's data, but access to it is granted by token: so each is kept for the
    server and the token it was read with, the token as a digest that means nothing elsewhere.
    """

    def __init__(self, size: int = 2048, seconds: float = 600) -> None:
        self._size = size
        self._seconds = seconds
        self._salt = os.urandom(32)
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[float, dict[str, Any]]] = OrderedDict()

    def find(self, client: FhirClient | None, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        if client is None:
            return {}
        holder, now = self._holder(client), time.monotonic()
        with self._lock:
            kept = {i: self._kept.get((holder, i)) for i in ids}
        return {i: row[1] for i, row in kept.items() if row is not None and row[0] > now}

    def keep(self, client: FhirClient | None, found: dict[str, Any]) -> None:
        if client is None:
            return
        holder, until = self._holder(client), time.monotonic() + self._seconds
        with self._lock:
            for logical_id, resource in found.items():
                if isinstance(resource, dict):
                    self._kept[holder, logical_id] = (until, resource)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def _holder(self, client: FhirClient) -> str:
        token = b"" if client.token is None else client.token.encode()
        return f"{client.base.url} {hashlib.blake2b(token, key=self._salt).hexdigest()}"


MEDICATIONS = MedicationCache()
