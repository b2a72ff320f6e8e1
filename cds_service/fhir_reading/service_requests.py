"""ServiceRequest → what has been asked for already and is not over, of what a card might suggest.

Only requests whose code or whole name is in a table of ours are of interest; nobody's verdict waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.dates import parse_fhir_date
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    ConceptKey,
    Element,
    Extension,
    Problem,
    concept_of_key,
    key_of_concept,
    read_elements,
)
from cds_service.fhir_reading.references import reference_of
from cds_service.tables.open_requests import RequestMeaning, request_by_code, request_by_name
from cds_service.trd.answers import Answer
from cds_service.trd.record import OpenRequest, Topic, Unread

OPEN = ("draft", "active", "on-hold")
OVER = ("revoked", "completed", "entered-in-error")
INTENTS = (
    *("proposal", "plan", "directive", "order", "original-order"),
    *("reflex-order", "filler-order", "instance-order"),
)
"""All but `option`, which is one of several and need not be chosen."""


class ServiceRequest(Element, frozen=True):
    """The elements of a ServiceRequest that are read."""

    status: str | None = None
    intent: str | None = None
    do_not_perform: bool | None = None
    code: CodeableConcept | None = None
    authored_on: str | None = None
    modifier_extension: tuple[Extension, ...] = ()


@dataclass(frozen=True)
class RequestReading:
    open_requests: tuple[OpenRequest, ...] = ()
    unread: tuple[Unread, ...] = ()


def read_service_requests(entries: Iterable[Entry], on: date) -> RequestReading:
    """The open requests among the patient's ServiceRequests, as known on the day `on`. Never raises."""
    readings = [_read_one(entry, on) for entry in entries]
    return RequestReading(
        open_requests=tuple(request for reading in readings for request in reading.open_requests),
        unread=tuple(unread for reading in readings for unread in reading.unread),
    )


NOTHING = RequestReading()


def _read_one(entry: Entry, on: date) -> RequestReading:
    key = key_of_concept(entry.resource.get("code"))
    if key is not None and _is_of_no_interest(key):
        return NOTHING
    request, problems = read_elements(entry.resource, ServiceRequest)
    reference = reference_of(entry)
    code_problem = problem_with(problems, "code")
    meanings = _meanings(request.code)
    if not meanings:
        return RequestReading(unread=(_unread(reference, code_problem),)) if code_problem else NOTHING
    if request.status in OVER or request.do_not_perform:
        return NOTHING
    doubt = _doubt(request, problems, on)
    day = parse_fhir_date(request.authored_on)
    is_known = request.status in OPEN and request.intent in INTENTS and day is not None
    is_sure = is_known and not doubt and len(meanings) == 1
    return RequestReading(
        tuple(
            OpenRequest(
                request=meaning.request,
                said=meaning.said,
                reference=reference,
                status=request.status if request.status in OPEN else "status not known",
                day=day.earliest if day else None,
                written=(request.authored_on or "")[:10] if day else "",
                holds=Answer.MET if is_sure else Answer.UNKNOWN,
            )
            for meaning in meanings
        ),
        (_unread(reference, doubt),) if doubt else (),
    )


@lru_cache(maxsize=4096)
def _is_of_no_interest(key: ConceptKey) -> bool:
    return not _meanings(concept_of_key(key))


def _unread(reference: str, problem: str) -> Unread:
    return Unread(reference, problem, (Topic.REQUEST,))


# --- what it asks for ---------------------------------------------------------------------------------


def _meanings(concept: CodeableConcept | None) -> tuple[RequestMeaning, ...]:
    """One meaning for each thing asked for: by its codes, else by its names."""
    if concept is None:
        return ()
    coded = (request_by_code(c.system, c.code) for c in concept.coding if c.system and c.code)
    named = (request_by_name(name) for name in _names(concept))
    return _each_once(coded) or _each_once(named)


def _each_once(meanings: Iterable[RequestMeaning | None]) -> tuple[RequestMeaning, ...]:
    by_request: dict[str, RequestMeaning] = {}
    for meaning in meanings:
        if meaning is not None:
            by_request.setdefault(meaning.request, meaning)
    return tuple(by_request.values())


def _names(concept: CodeableConcept) -> Iterator[str]:
    names = (concept.text, *(coding.display for coding in concept.coding))
    yield from (name for name in names if name)


# --- whether it is open -------------------------------------------------------------------------------


def _doubt(request: ServiceRequest, problems: Sequence[Problem], on: date) -> str:
    """What makes it unsure that this was asked for and is open; empty when nothing does."""
    trouble = problem_with(problems, "status", "intent", "doNotPerform", "code", "authoredOn")
    trouble = trouble or problem_with(problems, "modifierExtension")
    if trouble:
        return trouble
    if request.modifier_extension:
        return "at $.modifierExtension: expected none, it may change what the request means"
    for name, found, known in (
        ("status", request.status, (*OPEN, *OVER, "unknown")),
        ("intent", request.intent, (*INTENTS, "option")),
    ):
        if found not in known:
            return (
                f"at $.{name}: expected {' or '.join(known)}, found {'another value' if found else 'nothing'}"
            )
    return _doubt_about_the_day(request.authored_on, on)


def _doubt_about_the_day(authored_on: str | None, on: date) -> str:
    if authored_on is None:
        return ""
    day = parse_fhir_date(authored_on)
    if day is None:
        return "at $.authoredOn: expected a FHIR date, found another text"
    return f"is dated after {on}" if day.earliest > on else ""
