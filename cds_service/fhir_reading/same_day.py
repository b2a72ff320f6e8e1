"""What the results of one day amount to: each scale has one total a day, or none that is certain.

A total, a panel and single answers of the same day with the same value are one score. When totals
differ, the later time decides, then a correction; else the day's total is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from cds_service.tables.scales import ScaleRow, load_scales
from cds_service.trd.record import (
    Scale,
    Score,
    Topic,
    Unread,
    UnreadScore,
)


@dataclass(frozen=True)
class Total:
    """A total that was read. `moment` is None when only the day is known."""

    row: ScaleRow
    day: date
    value: float
    reference: str
    is_corrected: bool = False
    moment: datetime | None = None


@dataclass(frozen=True)
class ItemAnswer:
    """The answer to one item, recorded by itself; `value` is None when it could not be read.

    It was given on some day from `first_day` to `last_day`; None on either side means no bound.
    """

    item: str
    first_day: date | None
    last_day: date | None
    value: float | None
    reference: str

    @property
    def day(self) -> date | None:
        return self.first_day if self.first_day == self.last_day else None

    def may_be_of(self, day: date) -> bool:
        return (self.first_day is None or self.first_day <= day) and (
            self.last_day is None or day <= self.last_day
        )


@dataclass(frozen=True)
class Doubt:
    """A result that may be a total of any of `rows` (of any scale when empty), on one of its days.

    `gives_way` tells that a total of the same scale and day says all there is to say.
    """

    rows: tuple[ScaleRow, ...]
    first_day: date | None
    last_day: date | None
    reference: str
    problem: str
    gives_way: bool = False


@dataclass(frozen=True)
class Settled:
    scores: tuple[Score, ...]
    unread_scores: tuple[UnreadScore, ...]
    unread: tuple[Unread, ...]


def settle_days(totals: Iterable[Total], answers: Iterable[ItemAnswer], doubts: Iterable[Doubt]) -> Settled:
    """One score a scale and day; what is doubtful as unread scores with their bounds."""
    added_up, incomplete = _add_up(answers)
    scores: list[Score] = []
    open_doubts = list(doubts)
    for candidates in _by_scale_and_day([*totals, *added_up]).values():
        chosen = _choose(candidates)
        if chosen is None:
            open_doubts += _contradictions(candidates)
        else:
            scores.append(Score(chosen.row.scale, chosen.day, chosen.value, chosen.reference))
    known = {(score.scale.name, score.day) for score in scores}
    remaining = [doubt for doubt in [*open_doubts, *incomplete] if not _is_settled(doubt, known)]
    return Settled(tuple(scores), _unread_scores(remaining), _listed(remaining))


def _by_scale_and_day(totals: Iterable[Total]) -> dict[tuple[str, date], list[Total]]:
    groups: dict[tuple[str, date], list[Total]] = defaultdict(list)
    for total in totals:
        groups[total.row.scale.name, total.day].append(total)
    return groups


def _choose(totals: Sequence[Total]) -> Total | None:
    """The total that counts; of equal ones always the same, in whatever order they came."""
    if len(totals) == 1:  # nearly always
        return totals[0]
    for candidates in (totals, _latest(totals), [total for total in totals if total.is_corrected]):
        if len({total.value for total in candidates}) == 1:
            return min(candidates, key=lambda total: (not total.is_corrected, total.reference))
    return None


def _latest(totals: Sequence[Total]) -> list[Total]:
    """The totals of the latest moment; none when any has no time, or some have no zone."""
    moments = [total.moment for total in totals if total.moment is not None]
    zoned = {moment.tzinfo is not None for moment in moments}
    if len(moments) < len(totals) or len(zoned) != 1:
        return []
    latest = max(moments)
    return [total for total in totals if total.moment == latest]


def _contradictions(totals: Sequence[Total]) -> list[Doubt]:
    values = ", ".join(f"{value:g}" for value in sorted({total.value for total in totals}))
    problem = f"one of several {totals[0].row.scale.name} totals of {totals[0].day} that differ: {values}"
    return [Doubt((t.row,), t.day, t.day, t.reference, problem) for t in totals]


_ByItem = dict[str, list[ItemAnswer]]


def _add_up(answers: Iterable[ItemAnswer]) -> tuple[list[Total], list[Doubt]]:
    """The totals of single answers where all items of a scale were answered on one day.

    A short form without a percent rule is passed over: its items belong to the long form as well.
    """
    by_day: dict[date, _ByItem] = defaultdict(lambda: defaultdict(list))
    undated: list[ItemAnswer] = []
    for answer in answers:
        if answer.day is None:
            undated.append(answer)
        else:
            by_day[answer.day][answer.item].append(answer)
    totals: list[Total] = []
    doubts: list[Doubt] = []
    for row in load_scales():
        if not (row.scale.has_percent_rule and row.item_codes):
            continue
        for day, by_item in by_day.items():
            if all(code in by_item for code in row.item_codes):
                _add_up_one(row, day, [by_item[code] for code in row.item_codes], totals, doubts)
            else:
                doubts += _perhaps_complete(row, day, by_item, undated)
        doubts += _perhaps_on_one_day(row, undated)
    return totals, doubts


def _perhaps_complete(
    row: ScaleRow, day: date, by_item: _ByItem, undated: Sequence[ItemAnswer]
) -> Iterable[Doubt]:
    """A day that lacks answers which others, whose day is not known, may be."""
    lacking = {code for code in row.item_codes if code not in by_item}
    fitting = [answer for answer in undated if answer.item in lacking and answer.may_be_of(day)]
    if len(lacking) < len(row.item_codes) and lacking == {answer.item for answer in fitting}:
        problem = f"may belong to the {row.scale.name} answers of {day}: its day is not known"
        yield Doubt((row,), day, day, fitting[0].reference, problem, gives_way=True)


def _perhaps_on_one_day(row: ScaleRow, undated: Sequence[ItemAnswer]) -> Iterable[Doubt]:
    """All answers of a scale, none of which has a day."""
    fitting = [answer for answer in undated if answer.item in row.item_codes]
    if {answer.item for answer in fitting} == set(row.item_codes):
        problem = f"one of the answers to {row.scale.name} whose day is not known"
        yield Doubt((row,), None, None, fitting[0].reference, problem)


def _add_up_one(
    row: ScaleRow, day: date, items: list[list[ItemAnswer]], totals: list[Total], doubts: list[Doubt]
) -> None:
    reference = min(answer.reference for answers in items for answer in answers)
    values = [{answer.value for answer in answers} for answers in items]
    if all(len(value) == 1 and None not in value for value in values):
        totals.append(Total(row, day, sum(value.pop() or 0 for value in values), reference))
    else:
        problem = f"the {row.scale.name} answers of {day} cannot be added up: not every item has one answer"
        doubts.append(Doubt((row,), day, day, reference, problem, gives_way=True))


def _is_settled(doubt: Doubt, known: set[tuple[str, date]]) -> bool:
    if not doubt.gives_way or doubt.first_day is None or doubt.first_day != doubt.last_day:
        return False
    return any((row.scale.name, doubt.first_day) in known for row in doubt.rows)


def _unread_scores(doubts: Iterable[Doubt]) -> tuple[UnreadScore, ...]:
    return tuple(
        UnreadScore(doubt.reference, scale, doubt.first_day, doubt.last_day)
        for doubt in doubts
        for scale in _scales(doubt)
    )


def _scales(doubt: Doubt) -> tuple[Scale | None, ...]:
    return tuple(row.scale for row in doubt.rows) or (None,)


def _listed(doubts: Iterable[Doubt]) -> tuple[Unread, ...]:
    return tuple(Unread(doubt.reference, doubt.problem, (Topic.SCORE,)) for doubt in doubts)
