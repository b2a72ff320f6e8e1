"""What else of FHIR's search the server can do: pages, includes, POST, unknown parameters, Medications."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cds_service.doctor.asking import Answer, Asker, shown
from cds_service.doctor.results import Check, Outcome
from cds_service.doctor.search_checks import first_filter, to_do_about_access
from cds_service.errors import FhirServerError
from cds_service.fhir_address import read_link_below
from cds_service.fhir_reading.collected import Collected
from cds_service.fhir_reading.references import references_to_drugs
from cds_service.fhir_reading.versions import to_r4
from cds_service.fhir_server.client import PAGE_SIZE
from cds_service.fhir_server.search_results import Page, count_matches
from cds_service.needs import NEEDS, Need, needs

_MEDICATION = re.compile(r"(?:.*/)?Medication/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?", re.ASCII)
_NEED_BY_KEY = {need.key: need for need in NEEDS}


# --- pages ------------------------------------------------------------------------------------------------

_COUNT = ("count", "_count")
_NEXT = ("next-links", "next links")


@dataclass(frozen=True)
class Longest:
    """The longest search result that is at hand: its need, its query and how many entries it has."""

    need: Need
    query: str
    entries: int


def find_longest(asker: Asker, patients: Iterable[Collected]) -> Longest | None:
    """None where nobody has two records of one type: then there are no pages."""
    found = [_result(asker, need, one) for one in patients for need in NEEDS if not need.is_read]
    longest = max(found, key=lambda each: each.entries, default=None)
    return longest if longest is not None and longest.entries > 1 else None


def _result(asker: Asker, need: Need, patient: Collected) -> Longest:
    """One search of one patient, or the first part of it if the server wants it in parts."""
    part = first_filter(asker, need.resource_type)
    ids = {
        str(entry.resource.get("id"))
        for entry in patient.entries
        if entry.resource.get("resourceType") == need.resource_type and _is_in(part, entry.resource)
    }
    return Longest(need, f"{need.query(patient.patient_id)}{part}", len(ids))


def _is_in(part: str, resource: dict[str, Any]) -> bool:
    """Whether `&category=survey`, or the like, finds the resource."""
    name, _, value = part.strip("&").partition("&")[0].partition("=")
    return not part or resource.get(name) == value or value in _codes(resource.get(name))


def _codes(concepts: object) -> set[object]:
    """The codes of a list of CodeableConcepts that are text."""
    codings = [
        coding
        for concept in (concepts if isinstance(concepts, list) else [])
        if isinstance(concept, dict) and isinstance(concept.get("coding"), list)
        for coding in concept["coding"]
    ]
    codes = (coding.get("code") for coding in codings if isinstance(coding, dict))
    return {code for code in codes if isinstance(code, str)}


def check_pages(asker: Asker, longest: Longest | None) -> tuple[Check, Check]:
    """Asks for pages of one entry, and follows the first link `next`."""
    if longest is None:
        said = "no patient at hand has two records of one type"
        return Check(*_COUNT, Outcome.NOT_TRIED, said), Check(*_NEXT, Outcome.NOT_TRIED, said)
    need = longest.need
    what = f"{need.resource_type} search"
    answer = asker.get(f"{longest.query}&_count=1", what)
    try:
        first = answer.page
    except FhirServerError as error:
        said = f"{what} with _count=1: {error}"
        to_do = to_do_about_access(asker, answer, "what it needs for the searches below")
        to_do = to_do if answer.status in (401, 403) else _ALLOW_COUNT
        refused = Check(*_COUNT, Outcome.FAILS, said, to_do, is_required=True, seconds=answer.seconds)
        if answer.status in (400, 422):  # whether it works without is told by the searches
            refused = Check(*_COUNT, Outcome.LIMITED, said, _WITHOUT_COUNT, seconds=answer.seconds)
        return refused, Check(*_NEXT, Outcome.NOT_TRIED, "no first page came")
    matches = count_matches((first,), need.resource_type)
    return _check_count(matches, what, answer), _check_next(asker, longest, first, matches, what)


_WITHOUT_COUNT = "The service then asks without, for pages as large as the server makes them."
_ALLOW_COUNT = f"The service asks for pages of {PAGE_SIZE} with _count: let the server take it."


def _check_count(matches: int, what: str, answer: Answer) -> Check:
    if matches > 1:
        said = f"not heeded: {matches} entries of the {what} came for _count=1"
        return Check(
            *_COUNT, Outcome.LIMITED, said, "The service takes pages of any size.", seconds=answer.seconds
        )
    return Check(*_COUNT, Outcome.WORKS, f"heeded by the {what}", seconds=answer.seconds)


def _check_next(asker: Asker, longest: Longest, first: Page, matches: int, what: str) -> Check:
    if first.next_link is None:
        if matches < longest.entries:
            said = f"the {what} gave {matches} of {longest.entries} entries and no link to the others"
            return _broken(said, "Let the server send a link next with each page but the last.")
        return Check(*_NEXT, Outcome.NOT_TRIED, "all entries came on one page")
    url = read_link_below(first.next_link, asker.base)
    if url is None:
        return _broken(_elsewhere(first.next_link, asker), _SET_BASE.format(base=asker.base.url))
    answer = asker.get_url(url, what)
    try:
        second = answer.page
    except FhirServerError as error:
        to_do = _KEEP_PAGES if answer.status == 410 else "Let links be followed as they are."
        return _broken(f"the second page of the {what}: {error}", to_do)
    if not _ids(second) - _ids(first):
        return _broken(
            f"the second page of the {what} has nothing new", "Let each page hold the next entries."
        )
    said = f"followed for the {what}, below the base address"
    return Check(*_NEXT, Outcome.WORKS, said, is_required=True, seconds=answer.seconds)


_KEEP_PAGES = "Let the server keep the results of a search for some minutes, and its instances share them."
_SET_BASE = (
    "Have the server write its links with the address it is called by, {base} (its own base address setting, or the "
    "X-Forwarded headers of the proxy before it), or give the address that it writes."
)


def _elsewhere(link: object, asker: Asker) -> str:
    """Where a link leads, without path and query: these name patients."""
    origin = _origin(link)
    if origin in ("", replace(asker.base, segments=()).url):
        return "the link is not below the base address, so it is not followed"
    return f"the link leads to {origin}, not below the base address, so it is not followed"


def _origin(link: object) -> str:
    """Scheme, host and port of a link, empty if it has none."""
    try:
        parts = urlsplit(link if isinstance(link, str) else "")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return shown(f"{parts.scheme}://{parts.hostname}{port}") if parts.hostname else ""


def _broken(said: str, to_do: str) -> Check:
    return Check(*_NEXT, Outcome.FAILS, said, to_do, is_required=True)


def _ids(page: Page) -> set[Any]:
    return {(entry.resource.get("resourceType"), str(entry.resource.get("id"))) for entry in page.entries}


# --- Medications ------------------------------------------------------------------------------------------

_INCLUDE = ("include", "_include=MedicationRequest:medication")
_READ = ("medication-read", "Medication read")
_BY_IDS = ("medication-search", "Medication search by _id")


@dataclass(frozen=True)
class Referrer:
    """A patient with an order that refers to a Medication of the server, by its id."""

    patient_id: str
    medication_id: str


def find_referrer(patient: Collected) -> Referrer | None:
    for entry in patient.entries:
        if entry.resource.get("resourceType") == "MedicationRequest":
            for medication_id in _medications_of(entry.resource):
                return Referrer(patient.patient_id, medication_id)
    return None


def _medications_of(resource: dict[str, Any]) -> list[str]:
    references = (
        item.get("reference") for item in references_to_drugs(to_r4(resource)) if isinstance(item, dict)
    )
    matches = (_MEDICATION.fullmatch(text) for text in references if isinstance(text, str))
    return [match[1] for match in matches if match]


def check_medications(asker: Asker, referrer: Referrer | None) -> tuple[Check, ...]:
    """Whether Medications come along, and can be had otherwise: by a search for several ids, or each by itself."""
    if referrer is None:
        said = "no order at hand refers to a Medication"
        return tuple(Check(*which, Outcome.NOT_TRIED, said) for which in (_INCLUDE, _BY_IDS, _READ))
    return (
        _check_include(asker, referrer),
        _check_by_ids(asker, referrer.medication_id),
        _check_read(asker, referrer.medication_id),
    )


def _check_include(asker: Asker, referrer: Referrer) -> Check:
    (need,) = (need for need in needs(include_medications=True) if need.key == "medications")
    part = first_filter(asker, need.resource_type)
    query = f"{need.query(referrer.patient_id)}{part}&_count={PAGE_SIZE}"
    answer = asker.get(query, "MedicationRequest search")
    to_do = "Medications are then read for themselves; leave TRD_CDS_PREFETCH_INCLUDE off."
    try:
        types = {entry.resource.get("resourceType") for entry in answer.page.entries}
    except FhirServerError as error:
        return Check(*_INCLUDE, Outcome.LIMITED, str(error), to_do, seconds=answer.seconds)
    if "Medication" not in types:
        return Check(*_INCLUDE, Outcome.LIMITED, "not heeded: none came along", to_do, seconds=answer.seconds)
    to_do = "If the EHR's prefetch can do it too, TRD_CDS_PREFETCH_INCLUDE=true puts it into the template."
    return Check(*_INCLUDE, Outcome.WORKS, "Medications came along", to_do, seconds=answer.seconds)


def _check_by_ids(asker: Asker, medication_id: str) -> Check:
    answer = asker.get(f"Medication?_id={medication_id}&_count={PAGE_SIZE}", "Medication search")
    to_do = "Medications are then read one by one, which takes longer."
    try:
        ids = {entry.resource.get("id") for entry in answer.page.entries}
    except FhirServerError as error:
        return Check(*_BY_IDS, Outcome.LIMITED, str(error), to_do, seconds=answer.seconds)
    if medication_id not in ids:
        return Check(*_BY_IDS, Outcome.LIMITED, "it did not find one", to_do, seconds=answer.seconds)
    return Check(*_BY_IDS, Outcome.WORKS, "found", seconds=answer.seconds)


def _check_read(asker: Asker, medication_id: str) -> Check:
    answer = asker.get(f"Medication/{medication_id}", "Medication read")
    problem = answer.why_not_usable
    if not problem and answer.resource_type != "Medication":
        problem = "answered with another resource"
    if problem:
        to_do = "Where it can be had in no way, it is not known which drug was ordered: grant patient/Medication.rs."
        return Check(*_READ, Outcome.LIMITED, problem, to_do, seconds=answer.seconds)
    return Check(*_READ, Outcome.WORKS, "read", seconds=answer.seconds)


# --- other ways to search -----------------------------------------------------------------------------------


def check_post(asker: Asker, patient_id: str) -> Check:
    """A search by POST: it keeps patients' ids out of the logs of the server and of what stands before it."""
    which = ("post-search", "POST _search")
    if not patient_id:
        return Check(*which, Outcome.NOT_TRIED, "no patient to try it with")
    part = parse_qsl(first_filter(asker, "Observation"))
    answer = asker.post_search("Observation", (("patient", patient_id), *part, ("_count", "1")))
    try:
        count_matches((answer.page,), "Observation")
    except FhirServerError as error:
        return Check(
            *which, Outcome.LIMITED, str(error), "The service does with GET.", seconds=answer.seconds
        )
    return Check(*which, Outcome.WORKS, "Observation search by POST", seconds=answer.seconds)


def check_unknown_parameter(asker: Asker, patient_id: str) -> Check:
    """Either way is allowed; a server that ignores what it does not know gives more than was asked for."""
    which = ("unknown-parameter", "unknown parameter")
    if not patient_id:
        return Check(*which, Outcome.NOT_TRIED, "no patient to try it with")
    part = first_filter(asker, "Condition")
    query = f"{_NEED_BY_KEY['conditions'].query(patient_id)}{part}&trd-cds-unknown=1"
    answer = asker.get(query, "Condition search")
    if answer.status == 400:
        return Check(*which, Outcome.WORKS, "refused with 400", seconds=answer.seconds)
    if answer.why_not_usable:
        return Check(*which, Outcome.LIMITED, answer.why_not_usable, seconds=answer.seconds)
    return Check(*which, Outcome.WORKS, "ignored", seconds=answer.seconds)
