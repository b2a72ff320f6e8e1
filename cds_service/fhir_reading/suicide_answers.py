"""Answers of the C-SSRS → what they say together: a sign of suicidality, none, or nothing certain.

Any positive answer is a sign. "No" to the questions that everybody is asked (the wish to be dead, suicidal
thoughts, suicidal behaviour) on one day is an answer of 0; the others are asked only after a "yes".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.fhir_reading.observation_elements import Valued
from cds_service.fhir_reading.result_dates import When
from cds_service.fhir_reading.result_values import is_answered, read_yes_or_no
from cds_service.tables.suicide_scales import COVERS, INSTRUMENT, SuicideScalePart
from cds_service.trd.record import SuicideItem, Topic, Unread


@dataclass(frozen=True)
class SuicideAnswer:
    """One answer. `value` is above 0 for yes, 0 for no, None when it could not be read (`problem` says why)."""

    part: SuicideScalePart
    when: When
    value: float | None
    reference: str
    problem: str = ""


def read_suicide_answer(
    part: SuicideScalePart, holder: Valued, when: When, reference: str, trouble: str
) -> Iterator[SuicideAnswer]:
    """The answer that `holder` gives; none for what need not be asked and was not."""
    if trouble:
        yield SuicideAnswer(part, when, None, reference, trouble)
    elif is_answered(holder) or part.covers:
        reading = read_yes_or_no(holder, part.maximum)
        # A risk that is rated low says neither that there are such thoughts nor that there are none.
        if not part.is_risk_level or reading.value:
            yield SuicideAnswer(part, when, reading.value, reference, reading.problem)


@dataclass(frozen=True)
class SettledAnswers:
    items: tuple[SuicideItem, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]


def settle_suicide_answers(answers: Iterable[SuicideAnswer]) -> SettledAnswers:
    """Positive answers, answers in doubt, and days on which everything was denied."""
    items: list[SuicideItem] = []
    unread: list[Unread] = []
    set_aside: list[Unread] = []
    by_day: dict[tuple[date | None, str], list[SuicideAnswer]] = defaultdict(list)
    for answer in answers:
        day = answer.when.day
        by_day[day, "" if day else answer.reference].append(answer)
    for group in by_day.values():
        positive = [answer for answer in group if answer.value]
        doubtful = [answer for answer in group if answer.value is None]
        items += map(_item, _one_a_record(positive))
        items += map(_item, _one_a_record(doubtful))
        unread += [Unread(a.reference, a.problem) for a in _one_a_record(doubtful)]
        undated = [a for a in _one_a_record(positive) if a.when.day is None]
        unread += [Unread(a.reference, a.when.problem or "its day is not known") for a in undated]
        if not positive and not doubtful:
            _settle_denials(group, items, set_aside)
    return SettledAnswers(tuple(items), tuple(unread), tuple(set_aside))


def _settle_denials(
    group: Sequence[SuicideAnswer], items: list[SuicideItem], set_aside: list[Unread]
) -> None:
    covered = frozenset[str]().union(*(answer.part.covers for answer in group))
    if covered >= COVERS:
        items.append(_item(min(group, key=lambda answer: (-len(answer.part.covers), answer.reference))))
        return
    why = f"answers no to a part of the {INSTRUMENT} only, which tells nothing of the rest"
    set_aside += [Unread(reference, why, (Topic.NONE,)) for reference in sorted({a.reference for a in group})]


def _one_a_record(answers: Iterable[SuicideAnswer]) -> list[SuicideAnswer]:
    """Of each record the highest answer; of equal ones the last, as the questions go from mild to grave."""
    chosen: dict[str, SuicideAnswer] = {}
    for answer in answers:
        known = chosen.get(answer.reference)
        if known is None or (answer.value or 0) >= (known.value or 0):
            chosen[answer.reference] = answer
    return list(chosen.values())


def _item(answer: SuicideAnswer) -> SuicideItem:
    when = answer.when
    name = INSTRUMENT if answer.value == 0 else f"{INSTRUMENT} {answer.part.name}".strip()
    return SuicideItem(
        name, when.day, answer.value, answer.reference, when.first_day, when.last_day, instrument=INSTRUMENT
    )
