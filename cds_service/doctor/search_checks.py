"""Whether the searches that the rules live on work: each tried with one patient, all at once, as the service does."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cds_service.doctor.asking import Answer, Asker
from cds_service.doctor.results import Check, Outcome, SearchCheck
from cds_service.doctor.server_checks import is_declared
from cds_service.errors import FhirServerError
from cds_service.fhir_server.access import run_together
from cds_service.fhir_server.client import PAGE_SIZE, FhirClient
from cds_service.fhir_server.known_servers import SERVERS
from cds_service.fhir_server.narrow_searches import Way, search_as_wanted, ways_of
from cds_service.fhir_server.search_results import Page, count_matches, may_be_searchset
from cds_service.needs import Need, needs
from cds_service.outbound.bounded_get import Bounds
from cds_service.trd.record import Topic

_SLOW_SHARE = 0.5  # of the time that the service has for a whole chart
_WANTS_PARTS = (400, 422)  # how servers answer that do not list all of a type
_PATIENT = re.compile(r"(?:.*/)?Patient/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?", re.ASCII)


@dataclass(frozen=True)
class Circumstances:
    """What the searches are judged by.

    `fetch_seconds` are what the service has for a whole chart; `is_named` tells that the user gave the patient.
    """

    metadata: Answer
    fetch_seconds: float
    is_named: bool


@dataclass(frozen=True)
class _Trial:
    """One search as it was asked for, and in parts where that was refused; `seconds` are those of both."""

    need: Need
    answer: Answer
    seconds: float
    parts: Page | FhirServerError | None = None


def try_searches(asker: Asker, patient_id: str, given: Circumstances) -> tuple[SearchCheck, ...]:
    """One search for each need, and the read of the Patient. Without a patient none is tried."""
    if not patient_id:
        return tuple(
            _search_check(need, given, Outcome.NOT_TRIED, "no patient to try it with") for need in needs()
        )
    bounds = asker.bounds()
    tasks = {need.key: partial(_try, asker, bounds, need, patient_id) for need in needs()}
    results = run_together(tasks, bounds.deadline)
    trials = (_trial(need, results[need.key], asker) for need in needs())
    return tuple(_judge(asker, trial, patient_id, given) for trial in trials)


def _try(asker: Asker, bounds: Bounds, need: Need, patient_id: str) -> _Trial:
    begun = time.perf_counter()
    answer, parts = _ask(asker, need, patient_id), None
    if answer.status in _WANTS_PARTS and ways_of(need.resource_type):
        parts = _ask_in_parts(FhirClient(asker.base, asker.token, bounds), need, patient_id)
    return _Trial(need, answer, time.perf_counter() - begun, parts)


def _ask(asker: Asker, need: Need, patient_id: str) -> Answer:
    query = need.query(patient_id)
    if need.is_read:
        return asker.get(query, f"{need.resource_type} read")
    what = f"{need.resource_type} search"
    answer = asker.get(f"{query}&_count={PAGE_SIZE}", what)
    if answer.status not in _WANTS_PARTS:
        return answer
    uncounted = asker.get(
        query, what
    )  # the size of the page may be what is refused: then the service asks so too
    return uncounted if uncounted.status == 200 else answer


def _ask_in_parts(client: FhirClient, need: Need, patient_id: str) -> Page | FhirServerError:
    """What the service gets from a server that does not list all of a type."""
    try:
        return search_as_wanted(client, need.query(patient_id), need)
    except FhirServerError as error:
        return error


def _trial(need: Need, result: _Trial | FhirServerError, asker: Asker) -> _Trial:
    if isinstance(result, _Trial):
        return result
    return _Trial(need, Answer(0, None, "", asker.seconds, str(result)), asker.seconds)


def _judge(asker: Asker, trial: _Trial, patient_id: str, given: Circumstances) -> SearchCheck:
    need, answer = trial.need, trial.answer
    if isinstance(trial.parts, Page):
        return _found_in_parts(asker, trial, trial.parts, given)
    problem, page = answer.why_not_usable, None
    if not problem and need.is_read:
        problem = _not_the_patient(answer, patient_id)
    elif not problem:
        page, problem = _page_of(answer, need)
    if problem:
        return _refused(asker, trial, problem, given)
    if page is None:
        return _found(trial, 1, "read", given)
    entries = count_matches((page,), need.resource_type)
    return _of_others(trial, page, entries, patient_id, given) or _found(
        trial, entries, _entries_in_words(page, entries), given
    )


def _page_of(answer: Answer, need: Need) -> tuple[Page | None, str]:
    """The page, or why the service takes it for none."""
    if answer.resource_type == "Bundle" and not may_be_searchset(answer.content):
        return None, "answered with a Bundle that is no searchset"
    try:
        page = answer.page
    except FhirServerError as error:
        return None, str(error)
    entries = count_matches((page,), need.resource_type)
    if page.entries and not entries:
        return None, "answered with other resources"
    if page.next_link is None and page.total is not None and page.total > entries:
        return None, f"{entries} entries of {page.total}, and no link to the others"
    return page, ""


def _not_the_patient(answer: Answer, patient_id: str) -> str:
    is_it = (answer.resource_type, answer.content.get("id")) == ("Patient", patient_id)
    return "" if is_it else "answered with another resource than the Patient"


# --- what does not work -------------------------------------------------------------------------------------

_GOES_WITHOUT = (400, 401, 403, 404, 405, 501)  # there is no such type, or it is not shown


def _refused(asker: Asker, trial: _Trial, problem: str, given: Circumstances) -> SearchCheck:
    need, answer = trial.need, trial.answer
    if need.is_read and given.is_named and answer.status in (404, 410):
        said = f"{problem}: is there a patient with this id?"
        to_do = "Name one that is there. If this one is, let the server answer the read."
        return _search_check(need, given, Outcome.NOT_TRIED, said, to_do, trial.seconds)
    if need.is_required:
        to_do = _for_required(asker, need, answer)
        return _search_check(need, given, Outcome.FAILS, problem, to_do, trial.seconds)
    to_do = _WITHOUT if answer.status in _GOES_WITHOUT else _HIDDEN
    return _search_check(
        need, given, Outcome.LIMITED, problem, to_do.format(scope=scope_of(need)), trial.seconds
    )


_WITHOUT = "The rules go without, and say so. If it has such records, grant {scope}."
_HIDDEN = (
    "Such an answer may hide records, so what they bear on stays open: more patients are indeterminate. See the "
    "server's log; 404 or 403 would say that there are none to be had."
)


def _for_required(asker: Asker, need: Need, answer: Answer) -> str:
    if answer.status in (401, 403):
        return to_do_about_access(asker, answer, f"the scope {scope_of(need)}")
    if need.is_read and answer.status in (404, 410):
        return "Let the server answer the read of a patient that its searches name."
    if 300 <= answer.status < 400:
        return "See metadata: give the address that it leads to."
    if answer.status == 429:
        return "Let the server take twelve questions at once from this service."
    if answer.status == 0 or answer.status >= 500:
        return "See the server's own log; more time can be given by --seconds, to the service by TRD_CDS_FETCH_SECONDS."
    return f"Let the server answer {need.template} with FHIR JSON, or have the EHR prefetch it."


def to_do_about_access(asker: Asker, answer: Answer, what: str) -> str:
    """What to do about an answer of 401 or 403; `what` is what a token needs."""
    if asker.token is None:
        return f"Give a token (--token-file) with {what}."
    if answer.status == 401:
        return "The token was not taken: it may have run out, or be for another server. Give a new one."
    return f"The token was taken, and does not allow it: it needs {what}."


def scope_of(need: Need, context: str = "patient") -> str:
    return f"{context}/{need.resource_type}.rs"


def _of_others(
    trial: _Trial, page: Page, entries: int, patient_id: str, given: Circumstances
) -> SearchCheck | None:
    """What a server gives that does not heed the parameter that names the patient."""
    foreign = sum(_owner(entry.resource) not in ("", patient_id) for entry in page.entries)
    if not foreign:
        return None
    need = trial.need
    said = f"{foreign} of {entries} entries are of other patients"
    outcome = Outcome.FAILS if foreign == entries and need.is_required else Outcome.LIMITED
    to_do = f"Let the server heed the parameter in {need.template}. Records of others are not used."
    return _search_check(need, given, outcome, said, to_do, trial.seconds, entries)


def _owner(resource: Mapping[str, Any]) -> str:
    """The id of the Patient that a record names, empty if it names none in the usual way."""
    subject = resource.get("subject", resource.get("patient"))
    reference = subject.get("reference") if isinstance(subject, dict) else None
    match = _PATIENT.fullmatch(reference) if isinstance(reference, str) else None
    return match[1] if match else ""


# --- what works ---------------------------------------------------------------------------------------------


def _found_in_parts(asker: Asker, trial: _Trial, page: Page, given: Circumstances) -> SearchCheck:
    """A server that refuses to list all of a type, and gives it by category or intent."""
    need = trial.need
    entries = count_matches((replace(page, unread=()),), need.resource_type)
    way = _way(asker, need.resource_type)
    by = way.needed[0].partition("=")[0] if way else "parts"
    said = f"{trial.answer.why_not_usable}; by {by}: {_number_of_entries(entries)}"
    gaps = sum(unread.topics != (Topic.NONE,) for unread in page.unread)
    lost = "Some parts were refused, and may hide records. " if gaps else ""
    lost += f"{_sentence(way.leaves_out)} " if way and way.leaves_out else ""
    check = _search_check(need, given, Outcome.LIMITED, said, lost + _IN_PARTS, trial.seconds, entries)
    return replace(check, in_parts=True)


_IN_PARTS = (
    "The service asks in parts by itself. The EHR's prefetch would be refused, so it is not in the template: let the "
    "EHR send fhirAuthorization, or give the service tokens of its own."
)


def first_filter(asker: Asker, resource_type: str) -> str:
    """`&category=survey`, or the like, where the server was found to want it for this type; else empty."""
    way = _way(asker, resource_type)
    return f"&{way.needed[0]}" if way else ""


def _way(asker: Asker, resource_type: str) -> Way | None:
    number = SERVERS.way_of(asker.base.url, resource_type)
    return None if number is None else ways_of(resource_type)[number]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _entries_in_words(page: Page, entries: int) -> str:
    of_all = f" of {page.total}" if page.total is not None and page.total > entries else ""
    counted = f"{entries}{of_all} entries" if of_all else _number_of_entries(entries)
    return f"{counted}{', and more pages' if page.next_link is not None else ''}"


def _number_of_entries(entries: int) -> str:
    return f"{entries} {'entry' if entries == 1 else 'entries'}"


def _found(trial: _Trial, entries: int, said: str, given: Circumstances) -> SearchCheck:
    need = trial.need
    if trial.answer.attempts > 1:
        said = f"{said}, asked {trial.answer.attempts} times"
        return _search_check(need, given, Outcome.LIMITED, said, _ASKED_AGAIN, trial.seconds, entries)
    if trial.seconds > given.fetch_seconds * _SLOW_SHARE:
        to_do = f"The service has {given.fetch_seconds:g} s for all of a chart (TRD_CDS_FETCH_SECONDS)."
        return _search_check(need, given, Outcome.LIMITED, f"{said}, slowly", to_do, trial.seconds, entries)
    return _search_check(need, given, Outcome.WORKS, said, "", trial.seconds, entries)


_ASKED_AGAIN = (
    "The service asks again too, which takes time. See the server's log, and what limits the calls to it."
)


def _search_check(
    need: Need,
    given: Circumstances,
    outcome: Outcome,
    said: str,
    to_do: str = "",
    seconds: float | None = None,
    entries: int | None = None,
) -> SearchCheck:
    parameter = None if need.is_read else need.template.partition("?")[2].partition("=")[0]
    title = f"{need.resource_type} {'read' if need.is_read else 'search'}"
    return SearchCheck(
        Check(need.key, title, outcome, said, to_do, need.is_required, seconds),
        need.template,
        entries,
        is_declared(given.metadata, need.resource_type, parameter),
    )
