"""Observations and filled forms → scores of depression scales, answers about suicide, what is shown as context,
and results that could not be read.

A total may be a value, a component, a member, or the sum of all answers. An Observation that is
clearly something else costs little and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import (
    ConceptKey,
    Problem,
    concept_of_key,
    key_of_concept,
    read_elements,
)
from cds_service.fhir_reading.measurements import Measurements
from cds_service.fhir_reading.observation_elements import ANSWER_ELEMENTS, VALUE_ELEMENTS, Observation
from cds_service.fhir_reading.questionnaire_responses import facts_of_questionnaire_response
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.result_codes import OTHER, CodeKind, CodeReading, read_code
from cds_service.fhir_reading.result_dates import not_after, read_when
from cds_service.fhir_reading.result_facts import Fact, SetAside
from cds_service.fhir_reading.result_status import CORRECTED, FINAL, VOID, modifier_problem, status_problem
from cds_service.fhir_reading.result_values import is_answered, might_be_a_total, read_yes_or_no
from cds_service.fhir_reading.same_day import Doubt, ItemAnswer, Total, settle_days
from cds_service.fhir_reading.scale_results import (
    Part,
    Record,
    answer_value,
    answers_of_suicide_scale,
    code_of_part,
    facts_about_suicide,
    facts_of_form,
    stated_totals,
    total_of_panel,
)
from cds_service.fhir_reading.suicide_answers import (
    SuicideAnswer,
    settle_suicide_answers,
)
from cds_service.tables.scales import ScaleRow
from cds_service.trd.record import (
    Measurement,
    Score,
    SuicideItem,
    Topic,
    Unread,
    UnreadScore,
)

Find = Callable[[str, dict[str, Any]], dict[str, Any] | None]

MOST_MEMBERS = 100


@dataclass(frozen=True)
class ObservationReading:
    scores: tuple[Score, ...]
    unread_scores: tuple[UnreadScore, ...]
    suicide_items: tuple[SuicideItem, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]
    measurements: tuple[Measurement, ...] = ()


def read_observations(entries: Iterable[Entry], find: Find, on: date) -> ObservationReading:
    """The results of the patient's Observations and QuestionnaireResponses, which may tell of the same.

    Results dated after `on` are listed, not used.
    """
    measurements = Measurements(on)
    facts = [fact for entry in entries for fact in _facts_of(entry, find, on, measurements)]
    settled = settle_days(
        [fact for fact in facts if isinstance(fact, Total)],
        [fact for fact in facts if isinstance(fact, ItemAnswer)],
        [fact for fact in facts if isinstance(fact, Doubt)],
    )
    answers = settle_suicide_answers(fact for fact in facts if isinstance(fact, SuicideAnswer))
    newest = measurements.read_newest()
    others = (fact for fact in facts if isinstance(fact, Unread))
    return ObservationReading(
        scores=settled.scores,
        unread_scores=settled.unread_scores,
        suicide_items=(*(fact for fact in facts if isinstance(fact, SuicideItem)), *answers.items),
        unread=(*settled.unread, *others, *answers.unread, *newest.unread),
        set_aside=(
            *(fact.why for fact in facts if isinstance(fact, SetAside)),
            *answers.set_aside,
            *newest.set_aside,
        ),
        measurements=newest.measurements,
    )


@dataclass(frozen=True)
class _Result:
    """One Observation of interest, decoded."""

    record: Record
    resource: dict[str, Any]
    observation: Observation
    problems: Sequence[Problem]
    code: CodeReading
    has_parts: bool


def _facts_of(entry: Entry, find: Find, on: date, measurements: Measurements) -> Iterator[Fact]:
    if entry.resource.get("resourceType") == "QuestionnaireResponse":
        yield from facts_of_questionnaire_response(entry, on, measurements)
        return
    has_parts = "component" in entry.resource and _note_components(entry, measurements)
    reading = _reading_by_key(entry.resource)
    if reading is not None and reading.measurement is not None:
        measurements.note(reading.measurement, entry)
    if reading is not None and reading.kind in BESIDE and not has_parts:
        return
    yield from _facts_of_decoded(entry, find, on, measurements, reading, has_parts=has_parts)


BESIDE = (CodeKind.OTHER, CodeKind.MEASUREMENT)


def _facts_of_decoded(
    entry: Entry,
    find: Find,
    on: date,
    measurements: Measurements,
    reading_by_key: CodeReading | None,
    *,
    has_parts: bool,
) -> Iterator[Fact]:
    observation, problems = read_elements(entry.resource, Observation)
    code_problem = problem_with(problems, "code")
    code = read_code(observation.code)
    if reading_by_key is None and code.measurement is not None:
        measurements.note(code.measurement, entry)
    is_beside = code.kind in BESIDE and not code_problem
    if is_beside and not has_parts:
        return
    reference = reference_of(entry)
    if observation.status in VOID:
        yield SetAside(Unread(reference, f"has the status {observation.status}", (Topic.NONE,)))
        return
    when = not_after(on, read_when(observation, problems))
    unfinished, modified = status_problem(observation, problems), modifier_problem(observation, problems)
    record = Record(
        reference,
        when,
        unfinished or modified,
        observation.status in CORRECTED,
        is_only_unfinished=bool(unfinished and not modified),
    )
    result = _Result(record, entry.resource, observation, problems, code, has_parts)
    if when.first_day is not None and when.first_day > on:
        yield Unread(reference, f"is dated {when.first_day}, after {on}", (Topic.NONE,))
    elif code_problem or code.kind is CodeKind.UNREADABLE:
        yield from _facts_of_unreadable(result, code_problem or code.problem)
    elif is_beside:
        yield from facts_of_form(record, list(_components(observation)))
    else:
        yield from _facts_of_readable(result, find)


def _reading_by_key(resource: dict[str, Any]) -> CodeReading | None:
    """Told by the code alone: most results are vital signs and laboratory values, and need no decoding.

    None where the code has to be decoded. Every result and every component passes here, so a code that is
    known is looked up before anything of it is checked: nothing but such a key can be found.
    """
    concept: Any = resource.get("code")
    try:
        (only,) = concept["coding"]
        return _KNOWN[only.get("system"), only.get("code"), only.get("display"), concept.get("text")]
    except (KeyError, TypeError, ValueError, AttributeError):
        key = key_of_concept(concept)
        return None if key is None else _read_key(key)


MOST_KNOWN = 4096
_KNOWN: dict[ConceptKey, CodeReading] = {}


def _read_key(key: ConceptKey) -> CodeReading:
    reading = read_code(concept_of_key(key))
    if len(_KNOWN) < MOST_KNOWN:
        _KNOWN[key] = reading
    return reading


_OF_INTEREST = (CodeKind.SCALE, CodeKind.ITEM, CodeKind.SUICIDE_SCALE)


def _note_components(entry: Entry, measurements: Measurements) -> bool:
    """Whether a panel, whatever it is of, has components that are ours. Takes note of those shown as context."""
    components = entry.resource["component"]
    if not isinstance(components, list):
        return False
    is_ours = False
    for number, component in enumerate(components):
        if not isinstance(component, dict):
            continue
        reading = _reading_by_key(component) or _decoded_reading(component)
        if reading.measurement is not None:
            measurements.note(reading.measurement, entry, number)
        elif reading.kind in _OF_INTEREST:
            is_ours = True
    return is_ours


def _decoded_reading(component: dict[str, Any]) -> CodeReading:
    observation, _ = read_elements({"code": component.get("code")}, Observation)
    return read_code(observation.code) if observation.code else OTHER


def _facts_of_unreadable(result: _Result, problem: str) -> Iterator[Fact]:
    """It could be a total of any scale, or an answer about suicide."""
    yield result.record.doubt((), problem)
    yield result.record.suicide_item("", None)


def _facts_of_readable(result: _Result, find: Find) -> Iterator[Fact]:
    kind, record = result.code.kind, result.record
    if kind is CodeKind.SCALE:
        yield from _facts_of_scale(result, result.code.rows[0], find)
    elif kind is CodeKind.ITEM:
        yield from _facts_of_item(result)
    elif kind is CodeKind.SUICIDE_SCALE:
        yield from _facts_of_suicide_scale(result, find)
    elif kind is CodeKind.UNCLEAR:
        yield record.doubt(result.code.rows, result.code.problem)
    elif might_be_a_total(result.observation) or problem_with(result.problems, *VALUE_ELEMENTS):
        yield record.doubt(result.code.rows, result.code.problem, gives_way=True)
    elif result.has_parts:
        yield from facts_of_form(record, list(_components(result.observation)))


def _facts_of_item(result: _Result) -> Iterator[Fact]:
    """A single answer, and what it says about suicide."""
    record, code = result.record, result.code
    value = answer_value(record, result.observation, code)
    when = record.when
    yield ItemAnswer(code.item, when.first_day, when.last_day, value.value, record.reference)
    yield from facts_about_suicide(record, result.observation, code)


# --- a total or a panel -------------------------------------------------------------------------------


def _facts_of_scale(result: _Result, row: ScaleRow, find: Find) -> Iterator[Fact]:
    record = result.record
    parts = [*_components(result.observation), *_members(result, find)]
    for part in parts:
        if part.code.kind is CodeKind.ITEM and not part.has_own_entry:
            yield from facts_about_suicide(record, part.holder, part.code)
    broken = problem_with(result.problems, *VALUE_ELEMENTS)
    broken_parts = problem_with(result.problems, "component", "hasMember")
    if broken:
        yield record.doubt((row,), record.trouble or broken)
        return
    value = total_of_panel(result.observation, row, parts, broken_parts)
    yield record.total(row, value, gives_way=_is_bare_panel(result, row, parts))


def _components(observation: Observation) -> Iterator[Part]:
    for component in observation.component:
        yield Part(component, code_of_part(component.code))


def _members(result: _Result, find: Find) -> Iterator[Part]:
    for member in result.observation.has_member[:MOST_MEMBERS]:
        reference = member.reference or ""
        resource = find(reference, result.resource) if reference else None
        if resource is None or resource.get("resourceType") != "Observation":
            continue
        observation, _ = read_elements(resource, Observation)
        if observation.status in FINAL:
            yield Part(observation, code_of_part(observation.code), not reference.startswith("#"))


def _is_bare_panel(result: _Result, row: ScaleRow, parts: Sequence[Part]) -> bool:
    """Whether it states no total itself, so that a total of the same day stands for it."""
    is_stated = next(stated_totals(result.observation, row, parts), None) is not None
    return not is_stated and not result.problems


# --- the C-SSRS ---------------------------------------------------------------------------------------


def _facts_of_suicide_scale(result: _Result, find: Find) -> Iterator[SuicideAnswer]:
    """The answer itself, or those of its components and members.

    Any yes within the C-SSRS is one, also to a question that our table lacks; a no to such a question tells nothing.
    """
    part, record, observation = result.code.part, result.record, result.observation
    assert part is not None
    parts = [*_components(observation), *_members(result, find)]
    broken = problem_with(result.problems, *ANSWER_ELEMENTS, "component", "hasMember")
    known = [each for each in parts if each.code.part is not None]
    for each in known:
        if each.code.part and not each.has_own_entry:
            yield from answers_of_suicide_scale(record, each.code.part, each.holder, record.trouble)
    unknown_yes = [each for each in parts if each.code.part is None and read_yes_or_no(each.holder, 0).value]
    if unknown_yes and (not record.trouble or record.is_only_unfinished):
        yield SuicideAnswer(part, record.when, 1.0, record.reference)
    elif is_answered(observation) or broken or not known:
        trouble = record.trouble or broken
        yield from answers_of_suicide_scale(record, part, observation, trouble)
