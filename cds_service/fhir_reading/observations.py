"""Observation → scores of depression scales, answers about suicide, and results that could not be read.

A total may be a value, a component, a member, or the sum of all answers. An Observation that is
clearly something else costs little and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    ConceptKey,
    Problem,
    concept_of_key,
    key_of_concept,
    read_elements,
)
from cds_service.fhir_reading.observation_elements import VALUE_ELEMENTS, Observation, Valued
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.result_codes import CodeKind, CodeReading, is_only_a_total, read_code
from cds_service.fhir_reading.result_dates import When, read_when
from cds_service.fhir_reading.result_values import (
    ValueReading,
    has_value,
    might_be_a_total,
    read_answer,
    read_total,
)
from cds_service.fhir_reading.same_day import Doubt, ItemAnswer, Total, settle_days
from cds_service.tables.scales import ScaleRow
from cds_service.trd.model import Score, SuicideItem, Topic, Unread, UnreadScore

Find = Callable[[str, dict[str, Any]], dict[str, Any] | None]

FINAL = ("final", "amended", "corrected")
CORRECTED = ("amended", "corrected")
VOID = ("entered-in-error", "cancelled")
MOST_MEMBERS = 100


@dataclass(frozen=True)
class ObservationReading:
    scores: tuple[Score, ...]
    unread_scores: tuple[UnreadScore, ...]
    suicide_items: tuple[SuicideItem, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]


def read_observations(entries: Iterable[Entry], find: Find, on: date) -> ObservationReading:
    """The results of the patient's Observations. Results dated after `on` are listed, not used."""
    facts = [fact for entry in entries for fact in _facts_of(entry, find, on)]
    settled = settle_days(
        [fact for fact in facts if isinstance(fact, Total)],
        [fact for fact in facts if isinstance(fact, ItemAnswer)],
        [fact for fact in facts if isinstance(fact, Doubt)],
    )
    return ObservationReading(
        scores=settled.scores,
        unread_scores=settled.unread_scores,
        suicide_items=tuple(fact for fact in facts if isinstance(fact, SuicideItem)),
        unread=(*settled.unread, *(fact for fact in facts if isinstance(fact, Unread))),
        set_aside=tuple(fact.why for fact in facts if isinstance(fact, _SetAside)),
    )


@dataclass(frozen=True)
class _SetAside:
    why: Unread


Fact = Total | ItemAnswer | Doubt | SuicideItem | Unread | _SetAside


@dataclass(frozen=True)
class _Result:
    """One Observation of interest, decoded. `trouble` tells why it cannot be used as it stands."""

    reference: str
    resource: dict[str, Any]
    observation: Observation
    problems: Sequence[Problem]
    code: CodeReading
    when: When
    trouble: str

    def doubt(self, rows: tuple[ScaleRow, ...], problem: str, *, gives_way: bool = False) -> Doubt:
        return Doubt(rows, self.when.first_day, self.when.last_day, self.reference, problem, gives_way)


def _facts_of(entry: Entry, find: Find, on: date) -> Iterator[Fact]:
    if _is_surely_other(entry.resource):
        return
    observation, problems = read_elements(entry.resource, Observation)
    code_problem = problem_with(problems, "code")
    code = read_code(observation.code)
    if code.kind is CodeKind.OTHER and not code_problem:
        return
    reference = reference_of(entry)
    if observation.status in VOID:
        yield _SetAside(Unread(reference, f"has the status {observation.status}", (Topic.NONE,)))
        return
    when = _not_after(on, read_when(observation, problems))
    trouble = _status_problem(observation, problems) or _modifier_problem(observation, problems)
    result = _Result(reference, entry.resource, observation, problems, code, when, trouble)
    if when.first_day is not None and when.first_day > on:
        yield Unread(reference, f"is dated {when.first_day}, after {on}", (Topic.NONE,))
    elif code_problem or code.kind is CodeKind.UNREADABLE:
        yield from _facts_of_unreadable(result, code_problem or code.problem)
    else:
        yield from _facts_of_readable(result, find)


def _is_surely_other(resource: dict[str, Any]) -> bool:
    """Told by the code alone: most results are vital signs and laboratory values, and need no decoding."""
    key = key_of_concept(resource.get("code"))
    return key is not None and _is_other(key)


@lru_cache(maxsize=4096)
def _is_other(key: ConceptKey) -> bool:
    return read_code(concept_of_key(key)).kind is CodeKind.OTHER


def _not_after(on: date, when: When) -> When:
    """A result that lies on some day up to `on` or later cannot have been known later than `on`."""
    if when.first_day is None or when.last_day is None or when.first_day > on or when.last_day <= on:
        return when
    return When(when.first_day, on, None, when.problem)


def _status_problem(observation: Observation, problems: Sequence[Problem]) -> str:
    if observation.status in FINAL:
        return ""
    known = ("registered", "preliminary", "unknown")
    found = observation.status if observation.status in known else "another value or none"
    return (
        problem_with(problems, "status")
        or f"at $.status: expected final, amended or corrected, found {found}"
    )


def _modifier_problem(observation: Observation, problems: Sequence[Problem]) -> str:
    if observation.modifier_extension or problem_with(problems, "modifierExtension"):
        return "at $.modifierExtension: expected none, it may change what the result means"
    if observation.focus or problem_with(problems, "focus"):
        return "at $.focus: expected none, the result may be about someone else"
    return ""


def _facts_of_unreadable(result: _Result, problem: str) -> Iterator[Fact]:
    """It could be a total of any scale, or an answer about suicide."""
    yield result.doubt((), problem)
    yield _suicide_item(result, "", None)


def _facts_of_readable(result: _Result, find: Find) -> Iterator[Fact]:
    kind = result.code.kind
    if kind is CodeKind.SCALE:
        yield from _facts_of_scale(result, result.code.rows[0], find)
    elif kind is CodeKind.ITEM:
        yield from _facts_of_item(result, result.observation, result.code)
    elif kind is CodeKind.UNCLEAR:
        yield result.doubt(result.code.rows, result.code.problem)
    elif might_be_a_total(result.observation) or problem_with(result.problems, *VALUE_ELEMENTS):
        yield result.doubt(result.code.rows, result.code.problem, gives_way=True)


# --- an item by itself --------------------------------------------------------------------------------


def _facts_of_item(result: _Result, holder: Valued, code: CodeReading) -> Iterator[Fact]:
    """A single answer, and what it says about suicide."""
    value = _answer_value(result, holder, code)
    yield ItemAnswer(code.item, result.when.first_day, result.when.last_day, value.value, result.reference)
    yield from _facts_about_suicide(result, code, value)


def _facts_about_suicide(result: _Result, code: CodeReading, value: ValueReading) -> Iterator[Fact]:
    rows = [row for row in code.rows if _is_suicide_item(row, code.item)]
    if not rows:
        return
    yield _suicide_item(result, rows[0].scale.name, value.value)
    if value.value is None or result.when.day is None:
        yield Unread(result.reference, value.problem or result.when.problem)


def _answer_value(result: _Result, holder: Valued, code: CodeReading) -> ValueReading:
    if result.trouble:
        return ValueReading(None, result.trouble)
    maximum = max(
        row.suicide_item_maximum if _is_suicide_item(row, code.item) else row.item_maximum
        for row in code.rows
    )
    return read_answer(holder, maximum)


def _is_suicide_item(row: ScaleRow, item: str) -> bool:
    return item == row.suicide_item_code or item not in row.item_codes


def _suicide_item(result: _Result, scale_name: str, value: float | None) -> SuicideItem:
    when = result.when
    name = f"{scale_name} item on thoughts of death or self-harm".strip()
    return SuicideItem(name, when.day, value, result.reference, when.first_day, when.last_day)


# --- a total or a panel -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A component or member. One with an entry of its own also speaks for itself."""

    holder: Valued
    code: CodeReading
    has_own_entry: bool = False


def _facts_of_scale(result: _Result, row: ScaleRow, find: Find) -> Iterator[Fact]:
    parts = [*_components(result.observation), *_members(result, find)]
    for part in parts:
        if part.code.kind is CodeKind.ITEM and not part.has_own_entry:
            value = _answer_value(result, part.holder, part.code)
            yield from _facts_about_suicide(result, part.code, value)
    value = _total(result, row, parts)
    problem = result.trouble or value.problem or result.when.problem
    if problem or result.when.day is None or value.value is None:
        yield result.doubt(
            (row,), problem, gives_way=not result.trouble and _is_bare_panel(result, row, parts)
        )
    else:
        is_corrected = result.observation.status in CORRECTED
        day, moment = result.when.day, result.when.moment
        yield Total(row, day, value.value, result.reference, is_corrected, moment)


def _components(observation: Observation) -> Iterator[_Part]:
    for component in observation.component:
        yield _Part(component, _code_of_part(component.code))


def _members(result: _Result, find: Find) -> Iterator[_Part]:
    for member in result.observation.has_member[:MOST_MEMBERS]:
        reference = member.reference or ""
        resource = find(reference, result.resource) if reference else None
        if resource is None or resource.get("resourceType") != "Observation":
            continue
        observation, _ = read_elements(resource, Observation)
        if observation.status in FINAL:
            yield _Part(observation, _code_of_part(observation.code), not reference.startswith("#"))


_ONLY_A_TOTAL = CodeReading(CodeKind.UNCLEAR, problem="total")


def _code_of_part(concept: CodeableConcept | None) -> CodeReading:
    return _ONLY_A_TOTAL if is_only_a_total(concept) else read_code(concept)


def _total(result: _Result, row: ScaleRow, parts: Sequence[_Part]) -> ValueReading:
    """The total by value, component, member and sum, which must all agree."""
    trouble = problem_with(result.problems, *VALUE_ELEMENTS)
    if trouble:
        return ValueReading(None, trouble)
    stated = [read_total(holder, row.scale) for holder in _stated_totals(result.observation, row, parts)]
    if stated and not parts:
        return stated[0]
    summed = _sum_of_answers(row, parts)
    readings = [*stated, *([summed] if summed.value is not None else [])]
    unread = [reading for reading in stated if reading.value is None]
    if unread or not readings:
        broken_parts = problem_with(result.problems, "component", "hasMember")
        return unread[0] if unread else ValueReading(None, broken_parts or summed.problem)
    if len({reading.value for reading in readings}) > 1:
        return ValueReading(None, "its totals, or its total and its answers, differ")
    return readings[0]


def _stated_totals(observation: Observation, row: ScaleRow, parts: Sequence[_Part]) -> Iterator[Valued]:
    if has_value(observation):
        yield observation
    for part in parts:
        is_total = part.code.kind is CodeKind.SCALE and part.code.rows == (row,) and has_value(part.holder)
        if is_total or part.code is _ONLY_A_TOTAL:
            yield part.holder


def _sum_of_answers(row: ScaleRow, parts: Sequence[_Part]) -> ValueReading:
    if not row.item_codes:
        return ValueReading(None, "has no value that can be read")
    values: dict[str, set[float | None]] = {}
    for part in parts:
        if part.code.item in row.item_codes:
            answer = read_answer(part.holder, row.item_maximum).value
            values.setdefault(part.code.item, set()).add(answer)
    sure = [
        value for answers in values.values() if len(answers) == 1 for value in answers if value is not None
    ]
    if len(sure) < len(row.item_codes):
        return ValueReading(
            None, f"has no total, and {len(sure)} of {len(row.item_codes)} answers can be read"
        )
    return ValueReading(float(sum(sure)))


def _is_bare_panel(result: _Result, row: ScaleRow, parts: Sequence[_Part]) -> bool:
    """Whether it states no total itself, so that a total of the same day stands for it."""
    return not any(True for _ in _stated_totals(result.observation, row, parts)) and not result.problems
