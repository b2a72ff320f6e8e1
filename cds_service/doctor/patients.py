"""Which patients to look at: those given, or a sample of those that have orders, antidepressants first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cds_service.doctor.asking import Answer, Asker
from cds_service.doctor.results import Check, Outcome
from cds_service.doctor.search_checks import to_do_about_access
from cds_service.errors import FhirServerError
from cds_service.fhir_address import is_fhir_id, read_link_below
from cds_service.fhir_reading.drugs import Recognised
from cds_service.fhir_reading.medications import drug_of_resource
from cds_service.fhir_reading.versions import to_r4

_PAGES = 5
_ENTRIES_A_PAGE = 100
_PATIENT = re.compile(r"(?:.*/)?Patient/([A-Za-z0-9.-]{1,64})", re.ASCII)
_GIVE_IDS = "Name patients with --patient ID: servers may refuse to search beyond one patient."
_LOOK_AT_METADATA = "See metadata: is this the base address of a FHIR server?"


@dataclass(frozen=True)
class Found:
    """Ids of patients, and how they were found in words. `check` tells of the searches for a sample."""

    ids: tuple[str, ...]
    found_by: str
    check: Check | None = None


def find_patients(asker: Asker, number: int) -> Found:
    """Up to `number` patients: those of orders of antidepressants, then of other orders, then any."""
    by_order, refused = _patients_with_orders(asker)
    ids, found_by = by_order[:number], ["MedicationRequest search"] if by_order else []
    answer: Answer | None = None
    if len(ids) < number:
        answer = asker.get(f"Patient?_count={min(number, _ENTRIES_A_PAGE)}", "Patient search")
        others = [i for i in _patient_ids(answer) if i not in ids]
        found_by += ["Patient search"] if others else []
        ids += others[: number - len(ids)]
    words = " and ".join(found_by) or "no search"
    return Found(tuple(ids), words, _check(asker, ids, words, (refused, answer)))


def _check(
    asker: Asker, ids: list[str], found_by: str, answers: tuple[Answer | None, Answer | None]
) -> Check:
    """`answers` to the searches for orders, if that failed, and for patients, if that was made."""
    which = ("sample", "finding patients")
    if ids:
        return Check(*which, Outcome.WORKS, f"{len(ids)} by {found_by}")
    of_orders, of_patients = (answer.why_not_usable if answer else "" for answer in answers)
    said = (
        f"MedicationRequest search {of_orders or 'found none'}; Patient search {of_patients or 'found none'}"
    )
    return Check(*which, Outcome.LIMITED, said, _to_do(asker, answers))


def _to_do(asker: Asker, answers: tuple[Answer | None, Answer | None]) -> str:
    failed = [answer for answer in answers if answer is not None and answer.why_not_usable]
    for answer in failed:
        if answer.status in (401, 403):
            needed = "scopes for all patients, or name patients with --patient ID"
            return to_do_about_access(asker, answer, needed)
    is_fhir = any(answer.resource_type for answer in failed) or len(failed) < len(answers)
    return _GIVE_IDS if is_fhir else _LOOK_AT_METADATA


def _patients_with_orders(asker: Asker) -> tuple[list[str], Answer | None]:
    """Ids of patients, those with an antidepressant first, and the answer that is none if the search failed."""
    treated: dict[str, None] = {}
    others: dict[str, None] = {}
    refused: Answer | None = None
    for answer in _pages(asker, f"MedicationRequest?_count={_ENTRIES_A_PAGE}", "MedicationRequest search"):
        refused = refused or (answer if answer.why_not_usable else None)
        for resource in _resources(answer, "MedicationRequest"):
            match = _PATIENT.fullmatch(_subject(resource))
            if match and is_fhir_id(match[1]):
                (treated if _is_antidepressant(resource) else others)[match[1]] = None
    return [*treated, *(i for i in others if i not in treated)], refused


def _pages(asker: Asker, query: str, what: str) -> Iterator[Answer]:
    url: str | None = f"{asker.base.url}/{query}"
    for _ in range(_PAGES):
        if url is None:
            return
        answer = asker.get_url(url, what)
        yield answer
        try:
            url = read_link_below(answer.page.next_link, asker.base)
        except FhirServerError:
            return


def _resources(answer: Answer, resource_type: str) -> list[dict[str, Any]]:
    try:
        entries = answer.page.entries
    except FhirServerError:
        return []
    return [entry.resource for entry in entries if entry.resource.get("resourceType") == resource_type]


def _patient_ids(answer: Answer) -> list[str]:
    return [i for r in _resources(answer, "Patient") if isinstance(i := r.get("id"), str) and is_fhir_id(i)]


def _subject(resource: dict[str, Any]) -> str:
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return reference if isinstance(reference, str) else ""


def _is_antidepressant(resource: dict[str, Any]) -> bool:
    return isinstance(drug_of_resource(to_r4(resource), lambda *_: None), Recognised)
