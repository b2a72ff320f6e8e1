"""Procedure → treatments that are no drugs: ECT, magnetic and other stimulation, psychotherapy, light.

What is no proof of treatment (education, planning, a referral), was not done or has not begun is set aside. A
Procedure whose code is known and in no table is of no interest; one whose code cannot be read could be any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.dates import PartialDate, parse_fhir_date
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    ConceptKey,
    Element,
    Extension,
    MedicationRequest,
    Period,
    Problem,
    Reference,
    Timing,
    concept_of_key,
    key_of_concept,
    read_elements,
)
from cds_service.fhir_reading.indications import Find, purpose_of
from cds_service.fhir_reading.references import reference_of
from cds_service.tables.conditions import is_known_system
from cds_service.tables.procedures import (
    TreatmentMeaning,
    is_bilateral,
    treatment_by_code,
    treatment_by_text,
)
from cds_service.tables.reasons import Indication
from cds_service.trd.answers import Answer, all_of
from cds_service.trd.record import (
    Procedure,
    ProcedureKind,
    Topic,
    Unread,
)

# What `stopped` means differs by version (DSTU2 and STU3: "without completing successfully"), and how much of it
# took place is not told; what is on hold has begun, if only to be prepared.
STATUSES = {
    "completed": Answer.MET,
    "in-progress": Answer.MET,
    "on-hold": Answer.UNKNOWN,
    "stopped": Answer.UNKNOWN,
    "preparation": Answer.UNKNOWN,
    "unknown": Answer.UNKNOWN,
}
ASIDE = {"entered-in-error": "was entered in error", "not-done": "was not done"}
STIMULATORS = (ProcedureKind.VNS, ProcedureKind.DBS)
PERFORMED = (
    *("performedDateTime", "performedPeriod", "performedString"),
    *("performedAge", "performedRange", "performedTiming"),
)


class PerformedProcedure(Element, frozen=True):
    """The elements of a Procedure that are read."""

    status: str | None = None
    code: CodeableConcept | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None
    performed_string: str | None = None
    performed_timing: Timing | None = None
    reason_code: tuple[CodeableConcept, ...] = ()
    reason_reference: tuple[Reference, ...] = ()
    body_site: tuple[CodeableConcept, ...] = ()
    modifier_extension: tuple[Extension, ...] = ()


@dataclass(frozen=True)
class ProcedureReading:
    procedures: tuple[Procedure, ...] = ()
    unread: tuple[Unread, ...] = ()
    set_aside: tuple[Unread, ...] = ()


def read_procedures(entries: Iterable[Entry], find: Find, on: date) -> ProcedureReading:
    """The treatments among the patient's Procedures, as far as they were known on the day `on`. Never raises."""
    readings = [_read_one(entry, find, on) for entry in entries]
    return ProcedureReading(
        procedures=tuple(procedure for reading in readings for procedure in reading.procedures),
        unread=tuple(unread for reading in readings for unread in reading.unread),
        set_aside=tuple(unread for reading in readings for unread in reading.set_aside),
    )


NOTHING = ProcedureReading()


def _read_one(entry: Entry, find: Find, on: date) -> ProcedureReading:
    key = key_of_concept(entry.resource.get("code"))
    if key is not None and _is_of_no_interest(key):
        return NOTHING
    procedure, problems = read_elements(entry.resource, PerformedProcedure)
    reference = reference_of(entry)
    meanings, code_problem = _meanings(procedure.code, problems)
    if (meanings or code_problem) and procedure.status in ASIDE:
        return _aside(reference, meanings, ASIDE[procedure.status])
    if code_problem:
        return ProcedureReading(unread=(Unread(reference, code_problem, (Topic.PROCEDURE,)),))
    treatments = [meaning for meaning in meanings if meaning.certainty is not Answer.NOT_MET]
    if not treatments:
        return _aside(reference, meanings, meanings[0].why) if meanings else NOTHING
    when = _read_when(procedure, problems, on)
    if procedure.status == "preparation" and not when.is_stated:
        return _aside(reference, treatments, "has not begun")
    if when.lies_ahead:
        return ProcedureReading(unread=(Unread(reference, f"is dated after {on}", (Topic.NONE,)),))
    record = _Record(reference, procedure, problems, when, _purpose(procedure, entry, find))
    doubt = _status_problem(record) or when.problem
    found = tuple(_procedure(record, meaning) for meaning in treatments)
    return ProcedureReading(
        procedures=found,
        unread=(Unread(reference, doubt, (Topic.NONE,)),) if doubt else (),
        set_aside=tuple(
            Unread(reference, procedure.text, (Topic.NONE,))
            for procedure in found
            if procedure.holds is Answer.NOT_MET
        ),
    )


def _aside(reference: str, meanings: Sequence[TreatmentMeaning], why: str) -> ProcedureReading:
    shown = f"{meanings[0].text}: {why}" if meanings else why
    return ProcedureReading(set_aside=(Unread(reference, shown, (Topic.NONE,)),))


@lru_cache(maxsize=4096)
def _is_of_no_interest(key: ConceptKey) -> bool:
    return _meanings(concept_of_key(key), ()) == ((), "")


# --- what it is ---------------------------------------------------------------------------------------


def _meanings(
    concept: CodeableConcept | None, problems: Sequence[Problem]
) -> tuple[tuple[TreatmentMeaning, ...], str]:
    """One meaning for each kind of treatment, and why it cannot be told. Codes go before words.

    A code that nobody has looked up gives way to the words beside it.
    """
    trouble = problem_with(problems, "code")
    if concept is None:
        return (), trouble or "at $.code: expected a code or a text, found nothing"
    coded = [
        meaning
        for coding in concept.coding
        if coding.system and coding.code and (meaning := treatment_by_code(coding.system, coding.code))
    ]
    by_code = _agreed(meaning for meaning in coded if not meaning.is_recalled)
    if by_code:
        return by_code, ""
    texts = list(_names_in(concept))
    by_words = _agreed(meaning for text in texts if (meaning := treatment_by_text(text)))
    found = by_words or _agreed(coded)
    if found or trouble:
        return found, "" if found else trouble
    if texts or any(coding.code and is_known_system(coding.system or "") for coding in concept.coding):
        return (), ""
    return (), "at $.code: expected a code of a known system or a text, found neither"


def _names_in(concept: CodeableConcept) -> Iterator[str]:
    names = (concept.text, *(coding.display for coding in concept.coding))
    yield from (name for name in names if name and name.strip())


def _agreed(meanings: Iterable[TreatmentMeaning]) -> tuple[TreatmentMeaning, ...]:
    """The most certain meaning of each kind; `UNKNOWN` where one is a treatment and another is no proof of it."""
    by_kind: dict[ProcedureKind, list[TreatmentMeaning]] = {}
    for meaning in meanings:
        by_kind.setdefault(meaning.kind, []).append(meaning)
    return tuple(_most_certain(those) for those in by_kind.values())


def _most_certain(meanings: Sequence[TreatmentMeaning]) -> TreatmentMeaning:
    certainties = {meaning.certainty for meaning in meanings}
    if {Answer.MET, Answer.NOT_MET} <= certainties:
        first = meanings[0]
        return TreatmentMeaning(first.kind, first.text, Answer.UNKNOWN, "its codes or names disagree")
    order = (Answer.MET, Answer.NOT_MET, Answer.UNKNOWN)
    return min(meanings, key=lambda meaning: order.index(meaning.certainty))


# --- whether it took place, and what for --------------------------------------------------------------


@dataclass(frozen=True)
class _Record:
    """One Procedure, decoded. `purpose` is what it is for, None when nothing is said."""

    reference: str
    procedure: PerformedProcedure
    problems: Sequence[Problem]
    when: _When
    purpose: Indication | None


def _purpose(procedure: PerformedProcedure, entry: Entry, find: Find) -> Indication | None:
    reasons = MedicationRequest(
        reason_code=procedure.reason_code, reason_reference=procedure.reason_reference
    )
    return purpose_of(reasons, entry.resource, find)


def _procedure(record: _Record, meaning: TreatmentMeaning) -> Procedure:
    holds = [meaning.certainty, STATUSES.get(record.procedure.status or "", Answer.UNKNOWN)]
    if _status_problem(record):
        holds.append(Answer.UNKNOWN)
    notes = [meaning.why, record.when.text]
    if record.purpose is Indication.OTHER:
        holds.append(Answer.UNKNOWN if meaning.kind in STIMULATORS else Answer.NOT_MET)
        notes.append("recorded for something else than depression")
    procedure = record.procedure
    concepts = (concept for concept in (procedure.code, *procedure.body_site) if concept)
    texts = [text for concept in concepts for text in _names_in(concept)]
    return Procedure(
        kind=meaning.kind,
        text="; ".join((meaning.text, *(note for note in notes if note))),
        first_day=record.when.first_day,
        last_day=record.when.last_day,
        holds=all_of(holds),
        reference=record.reference,
        is_bilateral=is_bilateral(texts) if meaning.kind is ProcedureKind.ECT else Answer.UNKNOWN,
    )


def _status_problem(record: _Record) -> str:
    procedure = record.procedure
    trouble = problem_with(record.problems, "status", "modifierExtension", "reasonCode", "reasonReference")
    if trouble:
        return trouble
    if procedure.modifier_extension:
        return "at $.modifierExtension: expected none, it may change what the procedure means"
    if procedure.status not in STATUSES:
        found = "another value" if procedure.status else "nothing"
        return f"at $.status: expected {' or '.join((*STATUSES, *ASIDE))}, found {found}"
    return ""


# --- dates --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _When:
    """First and last day, where each is told to the day; `text` is what the record says instead."""

    first_day: date | None = None
    last_day: date | None = None
    text: str = ""
    problem: str = ""
    is_stated: bool = True
    lies_ahead: bool = False


def _read_when(procedure: PerformedProcedure, problems: Sequence[Problem], on: date) -> _When:
    """The days of a Procedure. A course in progress goes on today; one that is to end later too."""
    starts, ends, problem = _stated_days(procedure)
    problem = problem_with(problems, *PERFORMED) or problem
    if problem:
        return _When(problem=problem)
    days = [day for day in (starts, ends) if day]
    if not days:
        words = (procedure.performed_string or "").strip()[:60]
        return _When(text=words, is_stated=bool(words))
    if min(day.earliest for day in days) > on:
        return _When(lies_ahead=True)
    if starts and ends and starts.earliest > ends.latest:
        return _When(problem="at $.performedPeriod: ends before it begins")
    first = starts.earliest if starts and starts.is_exact else None
    last = min(ends.latest, on) if ends and (ends.is_exact or ends.earliest > on) else None
    if ends is None and procedure.status == "in-progress":
        last = on
    return _When(first, last, _shown_partial(days))


def _stated_days(
    procedure: PerformedProcedure,
) -> tuple[PartialDate | None, PartialDate | None, str]:
    """When it began and when it ended, and which of these could not be read."""
    if procedure.performed_date_time is not None:
        day = parse_fhir_date(procedure.performed_date_time)
        return day, day, "" if day else _not_a_date("performedDateTime")
    period = procedure.performed_period
    if period is not None:
        starts, ends = parse_fhir_date(period.start), parse_fhir_date(period.end)
        for name, text, day in (("start", period.start, starts), ("end", period.end, ends)):
            if text is not None and day is None:
                return None, None, _not_a_date(f"performedPeriod.{name}")
        return starts, ends, ""
    events = procedure.performed_timing.event if procedure.performed_timing else ()
    days = [parse_fhir_date(text) for text in events]
    known = [day for day in days if day]
    if len(known) < len(days):
        return None, None, _not_a_date("performedTiming.event")
    if not known:
        return None, None, ""
    return min(known, key=lambda day: day.earliest), max(known, key=lambda day: day.latest), ""


def _not_a_date(element: str) -> str:
    return f"at $.{element}: expected a FHIR date, found another text"


def _shown_partial(days: Iterable[PartialDate]) -> str:
    """What is known of days that are not exact; empty when all are."""
    return " and ".join(dict.fromkeys(_between(day) for day in days if not day.is_exact))


def _between(day: PartialDate) -> str:
    return f"some day from {day.earliest} to {day.latest}"
