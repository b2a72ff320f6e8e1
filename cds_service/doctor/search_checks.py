"""Whether the searches that the rules live on work: each tried with one patient, all at once, as the service does."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from cds_service.doctor.asking import Answer, Asker
from cds_service.doctor.results import Check, Outcome, SearchCheck
from cds_service.doctor.server_checks import is_declared
from cds_service.errors import FhirServerError
from cds_service.fhir_server.access import run_together
from cds_service.fhir_server.client import PAGE_SIZE
from cds_service.fhir_server.search_results import Page, count_matches
from cds_service.needs import Need, needs

_SLOW_SECONDS = 4.0  # half of the service's fetch_seconds unless set
_PATIENT = re.compile(r"(?:.*/)?Patient/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?", re.ASCII)


def try_searches(asker: Asker, patient_id: str, metadata: Answer) -> tuple[SearchCheck, ...]:
    """One search for each need, and the read of the Patient. Without a patient none is tried."""
    if not patient_id:
        return tuple(_not_tried(need, metadata) for need in needs())
    tasks = {need.key: partial(_ask, asker, need, patient_id) for need in needs()}
    answers = run_together(tasks, time.monotonic() + asker.seconds)
    return tuple(_judge(need, _answer(answers[need.key], asker), patient_id, metadata) for need in needs())


def _ask(asker: Asker, need: Need, patient_id: str) -> Answer:
    query = need.query(patient_id)
    if need.is_read:
        return asker.get(query, f"{need.resource_type} read")
    return asker.get(f"{query}&_count={PAGE_SIZE}", f"{need.resource_type} search")


def _answer(result: Answer | FhirServerError, asker: Asker) -> Answer:
    return result if isinstance(result, Answer) else Answer(0, None, "", asker.seconds, str(result))


def _not_tried(need: Need, metadata: Answer) -> SearchCheck:
    return _search_check(need, metadata, Outcome.NOT_TRIED, "no patient to try it with")


def _judge(need: Need, answer: Answer, patient_id: str, metadata: Answer) -> SearchCheck:
    problem, page = answer.why_not_usable, None
    if not problem and need.is_read:
        problem = _not_the_patient(answer, patient_id)
    elif not problem:
        page, problem = _page_of(answer)
    if problem:
        return _refused(need, answer, problem, metadata)
    if page is None:
        return _found(need, answer, 1, "read", metadata)
    entries = count_matches((page,), need.resource_type)
    return _of_others(need, answer, page, entries, patient_id, metadata) or _found(
        need, answer, entries, _entries_in_words(page, entries), metadata
    )


def _page_of(answer: Answer) -> tuple[Page | None, str]:
    try:
        return answer.page, ""
    except FhirServerError as error:
        return None, str(error)


def _not_the_patient(answer: Answer, patient_id: str) -> str:
    is_it = (answer.resource_type, answer.content.get("id")) == ("Patient", patient_id)
    return "" if is_it else "answered with another resource than the Patient"


def _refused(need: Need, answer: Answer, problem: str, metadata: Answer) -> SearchCheck:
    if need.is_required:
        return _search_check(
            need, metadata, Outcome.FAILS, problem, _for_required(need, answer), answer.seconds
        )
    to_do = f"The rules go without, and say so. If it has such records, grant {scope_of(need)}."
    return _search_check(need, metadata, Outcome.LIMITED, problem, to_do, answer.seconds)


def _for_required(need: Need, answer: Answer) -> str:
    if answer.status in (401, 403):
        return f"Give a token (--token-file) with the scope {scope_of(need)}."
    if need.is_read and answer.status in (404, 410):
        return "Is there a patient with this id? If so, let the server answer the read."
    if answer.status == 0 or answer.status >= 500:
        return "See the server's own log; more time can be given by --seconds, to the service by TRD_CDS_FETCH_SECONDS."
    return f"Let the server answer {need.template} with FHIR JSON, or have the EHR prefetch it."


def scope_of(need: Need, context: str = "patient") -> str:
    return f"{context}/{need.resource_type}.rs"


def _entries_in_words(page: Page, entries: int) -> str:
    of_all = f" of {page.total}" if page.total is not None and page.total > entries else ""
    noun = "entry" if entries == 1 and not of_all else "entries"
    return f"{entries}{of_all} {noun}{', and more pages' if page.next_link is not None else ''}"


def _of_others(
    need: Need, answer: Answer, page: Page, entries: int, patient_id: str, metadata: Answer
) -> SearchCheck | None:
    """What a server gives that does not heed the parameter that names the patient."""
    foreign = sum(_owner(entry.resource) not in ("", patient_id) for entry in page.entries)
    if not foreign:
        return None
    said = f"{foreign} of {entries} entries are of other patients"
    outcome = Outcome.FAILS if foreign == entries and need.is_required else Outcome.LIMITED
    to_do = f"Let the server heed the parameter in {need.template}. Records of others are not used."
    return _search_check(need, metadata, outcome, said, to_do, answer.seconds, entries)


def _owner(resource: Mapping[str, Any]) -> str:
    """The id of the Patient that a record names, empty if it names none in the usual way."""
    subject = resource.get("subject", resource.get("patient"))
    reference = subject.get("reference") if isinstance(subject, dict) else None
    match = _PATIENT.fullmatch(reference) if isinstance(reference, str) else None
    return match[1] if match else ""


def _found(need: Need, answer: Answer, entries: int, said: str, metadata: Answer) -> SearchCheck:
    if answer.seconds > _SLOW_SECONDS:
        to_do = "The service waits 8 seconds for all of a chart unless TRD_CDS_FETCH_SECONDS says more."
        return _search_check(
            need, metadata, Outcome.LIMITED, f"{said}, slowly", to_do, answer.seconds, entries
        )
    return _search_check(need, metadata, Outcome.WORKS, said, "", answer.seconds, entries)


def _search_check(
    need: Need,
    metadata: Answer,
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
        is_declared(metadata, need.resource_type, parameter),
    )
