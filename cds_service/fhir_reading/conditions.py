"""Condition → diagnoses with a role for the rules: depression, remission, exclusion, suicidality and so on.

A depression that is recorded as over is also read as a remission. A Condition whose code is known
and in no table is of no interest; one whose code cannot be read could be any diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    Period,
    Problem,
    concept_of_key,
    key_of_concept,
    read_elements,
)
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.shortened import what_is_left_out
from cds_service.tables.conditions import (
    SEVERITIES,
    Meaning,
    confounder,
    is_known_system,
    meaning_of_code,
    meaning_of_text,
    severity_of,
)
from cds_service.tables.precautions import precautions_in_text
from cds_service.trd.answers import Answer, all_of
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    Topic,
    Unread,
)

VERIFICATIONS = {
    "confirmed": Answer.MET,
    "unconfirmed": Answer.UNKNOWN,
    "provisional": Answer.UNKNOWN,
    "differential": Answer.UNKNOWN,
    "refuted": Answer.NOT_MET,
}
ENTERED_IN_ERROR = "entered-in-error"
STATES = {
    "active": Answer.MET,
    "recurrence": Answer.MET,
    "relapse": Answer.MET,
    "inactive": Answer.NOT_MET,
    "remission": Answer.NOT_MET,
    "resolved": Answer.NOT_MET,
}
STATUS_CODES = {*VERIFICATIONS, *STATES, ENTERED_IN_ERROR}
# A resolved episode is over; remission and inactive do not tell full from partial.
IS_FULLY_OVER = {"resolved": Answer.MET, "remission": Answer.UNKNOWN, "inactive": Answer.UNKNOWN}
ABATEMENTS = ("abatementDateTime", "abatementPeriod", "abatementAge", "abatementRange", "abatementString")
UNREAD_TOPICS = (Topic.DIAGNOSIS, Topic.SAFETY)


class Condition(Element, frozen=True):
    """The elements of a Condition that are read."""

    code: CodeableConcept | None = None
    severity: CodeableConcept | None = None
    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    recorded_date: str | None = None
    abatement_date_time: str | None = None
    abatement_period: Period | None = None
    modifier_extension: tuple[Extension, ...] = ()


@dataclass(frozen=True)
class ConditionReading:
    diagnoses: tuple[Diagnosis, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]


def read_conditions(entries: Iterable[Entry], on: date) -> ConditionReading:
    """The diagnoses among the patient's Conditions, as far as they were known on the day `on`."""
    readings = [_read_one(entry, on) for entry in entries]
    return ConditionReading(
        diagnoses=tuple(diagnosis for reading in readings for diagnosis in reading.diagnoses),
        unread=tuple(unread for reading in readings for unread in reading.unread),
        set_aside=tuple(unread for reading in readings for unread in reading.set_aside),
    )


NOTHING = ConditionReading((), (), ())


def _read_one(entry: Entry, on: date) -> ConditionReading:
    key = key_of_concept(entry.resource.get("code"))
    if key is not None and _is_of_no_interest(key):
        return NOTHING
    condition, problems = read_elements(entry.resource, Condition)
    reference = reference_of(entry)
    if _status_code(condition.verification_status) == ENTERED_IN_ERROR:
        return replace(NOTHING, set_aside=(Unread(reference, "was entered in error", (Topic.NONE,)),))
    meanings, code_problem = _meanings(condition.code, problems)
    record = _Record(reference, entry, condition, problems, on)
    if code_problem and _holds(condition) is not Answer.NOT_MET:
        unread = Unread(reference, code_problem, UNREAD_TOPICS)
        return ConditionReading(_diagnoses(record, meanings), (unread,), ())
    if not meanings:
        return NOTHING
    return ConditionReading(_diagnoses(record, meanings), tuple(_problems_of(record, meanings)), ())


@lru_cache(maxsize=4096)
def _is_of_no_interest(key: ConceptKey) -> bool:
    return _meanings(concept_of_key(key), ()) == ((), "")


@dataclass(frozen=True)
class _Record:
    """One Condition, decoded."""

    reference: str
    entry: Entry
    condition: Condition
    problems: Sequence[Problem]
    on: date


# --- what it is ---------------------------------------------------------------------------------------


def _meanings(
    concept: CodeableConcept | None, problems: Sequence[Problem]
) -> tuple[tuple[Meaning, ...], str]:
    """What the code says, with what its words ask to be careful about, and why it cannot be told."""
    meanings, problem = _roles(concept, problems)
    return (*meanings, *_precautions(concept)), problem


def _precautions(concept: CodeableConcept | None) -> Iterator[Meaning]:
    """One meaning for each precaution that the words mention."""
    texts = (concept.text, *(coding.display for coding in concept.coding)) if concept else ()
    found = (meaning for text in texts if text for meaning in precautions_in_text(text))
    yield from {meaning.category: meaning for meaning in found}.values()


def _roles(concept: CodeableConcept | None, problems: Sequence[Problem]) -> tuple[tuple[Meaning, ...], str]:
    """What the code says, and why it cannot be told. Codes go before words, words only fill the gap."""
    trouble = problem_with(problems, "code")
    if concept is None:
        return (), trouble or "at $.code: expected a code or a text, found nothing"
    by_code = _by_code(concept)
    if by_code or trouble:
        return by_code, trouble
    texts = [text for text in (concept.text, *(c.display for c in concept.coding)) if text and text.strip()]
    by_words = _most_certain(meaning_of_text(text) for text in texts)
    if (
        by_words
        or texts
        or any(coding.code and is_known_system(coding.system or "") for coding in concept.coding)
    ):
        return by_words, ""
    return (), "at $.code: expected a code of a known system or a text, found neither"


def _by_code(concept: CodeableConcept) -> tuple[Meaning, ...]:
    """One meaning for each role and category that the codings name; remission goes before depression."""
    found: dict[tuple[DiagnosisRole, str], Meaning] = {}
    for coding in concept.coding:
        meaning = meaning_of_code(coding.system, coding.code) if coding.system and coding.code else None
        if meaning is not None:
            found.setdefault((meaning.role, meaning.category), meaning)
    roles = {meaning.role for meaning in found.values()}
    if {DiagnosisRole.FULL_REMISSION, DiagnosisRole.DEPRESSION} <= roles:
        return tuple(_narrowed(found.values()))
    return tuple(found.values())


PARTIAL_REMISSION = "mdd_remission"
SUICIDE_ATTEMPT = "suicide_attempt"


def _narrowed(meanings: Iterable[Meaning]) -> Iterator[Meaning]:
    """Depression coded beside full remission is the remission; beside partial remission it stays open."""
    meanings = tuple(meanings)
    has_partial = any(
        m.role is DiagnosisRole.DEPRESSION and m.category == PARTIAL_REMISSION for m in meanings
    )
    for meaning in meanings:
        if meaning.role is DiagnosisRole.FULL_REMISSION and has_partial:
            yield replace(meaning, certainty=Answer.UNKNOWN)
        elif meaning.role is not DiagnosisRole.DEPRESSION or has_partial:
            yield meaning


def _most_certain(meanings: Iterable[Meaning | None]) -> tuple[Meaning, ...]:
    """The certain meanings, else the hints; each role and category once."""
    found = {(meaning.role, meaning.category): meaning for meaning in meanings if meaning is not None}
    certain = tuple(meaning for meaning in found.values() if meaning.certainty is Answer.MET)
    return certain or tuple(found.values())


# --- whether it holds, and since when -----------------------------------------------------------------


def _diagnoses(record: _Record, meanings: Iterable[Meaning]) -> tuple[Diagnosis, ...]:
    return tuple(diagnosis for meaning in meanings for diagnosis in _diagnoses_of(record, meaning))


def _diagnoses_of(record: _Record, meaning: Meaning) -> Iterator[Diagnosis]:
    condition = record.condition
    certainties = [meaning.certainty, _holds(condition), _undisturbed(record)]
    if condition.verification_status is None and what_is_left_out(record.entry.resource):
        certainties.append(Answer.UNKNOWN)
    first_known = _first_known(record, meaning.role)
    if meaning.role is DiagnosisRole.FULL_REMISSION and not _is_dated(record, first_known):
        certainties.append(Answer.UNKNOWN)
    diagnosis = Diagnosis(
        role=meaning.role,
        category=meaning.category,
        text=meaning.text,
        holds=all_of(certainties),
        recorded=min(first_known.latest, record.on) if first_known else None,
        ended=_ended(record),
        reference=record.reference,
        is_current=_is_still_current(record, meaning, first_known),
        severity=_severity(record, meaning),
        onset=_exact_onset(record),
        check_first=confounder(meaning.category).check_first,
    )
    yield diagnosis
    if meaning.role is DiagnosisRole.DEPRESSION:
        yield from _remission(record, diagnosis)


def _holds(condition: Condition) -> Answer:
    """A missing verification status counts as confirmed."""
    if condition.verification_status is None:
        return Answer.MET
    return VERIFICATIONS.get(_status_code(condition.verification_status), Answer.UNKNOWN)


def _undisturbed(record: _Record) -> Answer:
    """`UNKNOWN` when a status could not be read, a modifier may change the meaning, or it lies ahead."""
    if problem_with(record.problems, "verificationStatus", "modifierExtension"):
        return Answer.UNKNOWN
    lies_ahead = any(day.earliest > record.on for day in _known_days(record.condition))
    return Answer.UNKNOWN if lies_ahead or record.condition.modifier_extension else Answer.MET


def _is_current(record: _Record) -> Answer:
    """A missing clinical status counts as active unless an end is recorded."""
    condition = record.condition
    if problem_with(record.problems, "clinicalStatus"):
        return Answer.UNKNOWN
    ended = _ended(record)
    is_over = _states_an_end(record) and (ended is None or ended <= record.on)
    if condition.clinical_status is None:
        return Answer.NOT_MET if is_over else Answer.MET
    state = STATES.get(_status_code(condition.clinical_status), Answer.UNKNOWN)
    return Answer.UNKNOWN if state is Answer.MET and is_over else state


def _is_still_current(record: _Record, meaning: Meaning, first_known: PartialDate | None) -> Answer:
    """Not a confounder in remission, nor one that cannot last so long, whatever its status says.

    A suicide attempt is an event: that it is over says nothing of the risk after it.
    """
    if meaning.category == SUICIDE_ATTEMPT:
        return Answer.MET
    limit = confounder(meaning.category).over_after_days
    is_past = bool(limit and first_known and (record.on - first_known.latest).days > limit)
    return Answer.NOT_MET if meaning.is_over or is_past else _is_current(record)


def _severity(record: _Record, meaning: Meaning) -> str:
    """By the diagnosis or by the element of that name; empty when neither tells, or they differ."""
    told = {meaning.severity, *_severities(record.condition)} - {""}
    return told.pop() if len(told) == 1 else ""


def _severities(condition: Condition) -> set[str]:
    """What `Condition.severity` says, by its codes, else by its words."""
    concept = condition.severity
    if concept is None:
        return set()
    by_code = {severity_of(coding.system, coding.code) for coding in concept.coding if coding.code} - {""}
    words = [concept.text, *(coding.display for coding in concept.coding)]
    return by_code or {severity_of(None, text) for text in words if text} - {""}


def _remission(record: _Record, depression: Diagnosis) -> Iterator[Diagnosis]:
    """The end of a depression that is recorded as over on a day that has come."""
    end = _end(record)
    if (
        depression.is_current is Answer.MET
        or not _states_an_end(record)
        or (end and end.earliest > record.on)
    ):
        return
    status = _status_code(record.condition.clinical_status)
    certainty = IS_FULLY_OVER.get(status, Answer.UNKNOWN) if end and end.is_exact else Answer.UNKNOWN
    yield replace(
        depression,
        role=DiagnosisRole.FULL_REMISSION,
        text=f"{depression.text}, recorded as over",
        holds=all_of((depression.holds, certainty)),
        recorded=min(end.latest, record.on) if end else None,
        is_current=Answer.MET,
        check_first=None,
    )


def _status_code(status: CodeableConcept | None) -> str:
    """The status by its code, in whatever system it is written; else by its text. Empty when not clear."""
    if status is None:
        return ""
    codes = {coding.code.strip().lower() for coding in status.coding if coding.code}
    known = codes & STATUS_CODES
    if len(known) == 1:
        return known.pop()
    return "" if codes else (status.text or "").strip().lower()


# --- dates --------------------------------------------------------------------------------------------


def _first_known(record: _Record, role: DiagnosisRole) -> PartialDate | None:
    """The onset, else the day it was recorded; of a partial onset no later than that day.

    A remission is as old as its record: its onset may be that of the illness. Suicidality that began long
    ago counts from the later day, since it was noted again then.
    """
    condition = record.condition
    onset, recorded = _onset(condition), parse_fhir_date(condition.recorded_date)
    if role is DiagnosisRole.SUICIDALITY and onset and recorded:
        return max(onset, recorded, key=lambda day: day.latest)
    if role is DiagnosisRole.FULL_REMISSION:
        return recorded or _end(record) or onset
    if onset and recorded and onset.earliest <= recorded.earliest < onset.latest:
        return PartialDate(onset.earliest, recorded.latest)
    return onset or recorded


def _is_dated(record: _Record, day: PartialDate | None) -> bool:
    return day is not None and day.is_exact and not _date_problem(record)


def _onset(condition: Condition) -> PartialDate | None:
    period = condition.onset_period
    return parse_fhir_date(condition.onset_date_time) or parse_fhir_date(period.start if period else None)


def _exact_onset(record: _Record) -> date | None:
    onset = _onset(record.condition)
    return onset.earliest if onset and onset.is_exact and onset.earliest <= record.on else None


def _known_days(condition: Condition) -> list[PartialDate]:
    return [day for day in (_onset(condition), parse_fhir_date(condition.recorded_date)) if day]


def _end(record: _Record) -> PartialDate | None:
    period = record.condition.abatement_period
    by_period = (period.end or period.start) if period else None
    return parse_fhir_date(record.condition.abatement_date_time) or parse_fhir_date(by_period)


def _ended(record: _Record) -> date | None:
    end = _end(record)
    return end.latest if end else None


def _states_an_end(record: _Record) -> bool:
    return any(record.entry.resource.get(name) is not None for name in ABATEMENTS)


# --- what could not be read ---------------------------------------------------------------------------


def _problems_of(record: _Record, meanings: Iterable[Meaning]) -> Iterator[Unread]:
    for problem in (_status_problem(record), _date_problem(record)):
        if problem:
            yield Unread(record.reference, problem, tuple(sorted(_topics(meanings), key=lambda t: t.value)))
    severity_problem = _severity_problem(record, meanings)
    if severity_problem:
        yield Unread(record.reference, severity_problem, (Topic.NONE,))
    if any(day.earliest > record.on for day in _known_days(record.condition)):
        yield Unread(record.reference, f"is dated after {record.on}, so it counts as unknown", (Topic.NONE,))


def _status_problem(record: _Record) -> str:
    condition = record.condition
    trouble = problem_with(record.problems, "clinicalStatus", "verificationStatus", "modifierExtension")
    if trouble:
        return trouble
    if condition.modifier_extension:
        return "at $.modifierExtension: expected none, it may change what the diagnosis means"
    if condition.clinical_status is not None and _status_code(condition.clinical_status) not in STATES:
        return f"at $.clinicalStatus: expected {' or '.join(STATES)}, found another value"
    verification = condition.verification_status
    if verification is not None and _status_code(verification) not in VERIFICATIONS:
        return f"at $.verificationStatus: expected {' or '.join(VERIFICATIONS)}, found another value"
    return ""


def _severity_problem(record: _Record, meanings: Iterable[Meaning]) -> str:
    """Of a depression only: the severity of nothing else is looked at."""
    if all(meaning.role is not DiagnosisRole.DEPRESSION for meaning in meanings):
        return ""
    condition = record.condition
    if condition.severity is not None and not _severities(condition):
        return f"at $.severity: expected {', '.join(SEVERITIES)}, found another value"
    return problem_with(record.problems, "severity")


def _date_problem(record: _Record) -> str:
    condition = record.condition
    onset, abatement = condition.onset_period, condition.abatement_period
    texts = {
        "onsetDateTime": condition.onset_date_time,
        "onsetPeriod.start": onset.start if onset else None,
        "recordedDate": condition.recorded_date,
        "abatementDateTime": condition.abatement_date_time,
        "abatementPeriod": (abatement.end or abatement.start) if abatement else None,
    }
    for name, text in texts.items():
        if text is not None and parse_fhir_date(text) is None:
            return f"at $.{name}: expected a FHIR date, found another text"
    return problem_with(record.problems, "onsetDateTime", "onsetPeriod", "recordedDate", *ABATEMENTS)


def _topics(meanings: Iterable[Meaning]) -> set[Topic]:
    """The diagnosis itself carries the doubt on; a sign of suicidality without a day concerns safety."""
    roles = {meaning.role for meaning in meanings}
    return {Topic.SAFETY} if DiagnosisRole.SUICIDALITY in roles else {Topic.NONE}
