"""Days as stretches: where two drugs were taken together, and the longest run of such days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.days import days_between, shifted, uncovered_days

Stretch = tuple[date, date]


@dataclass(frozen=True)
class Run:
    """So many days, from first to last; no days have no dates."""

    days: int = 0
    first_day: date | None = None
    last_day: date | None = None


def joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """The same days in order, neighbours as one, no day twice."""
    together: list[Stretch] = []
    for first_day, last_day in sorted(stretches):
        if together and first_day <= shifted(together[-1][1], 1):
            together[-1] = (together[-1][0], max(together[-1][1], last_day))
        else:
            together.append((first_day, last_day))
    return tuple(together)


def in_both(one: Sequence[Stretch], other: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """The days in both; each is in order and without overlap."""
    shared: list[Stretch] = []
    here, there = 0, 0
    while here < len(one) and there < len(other):
        first_day = max(one[here][0], other[there][0])
        last_day = min(one[here][1], other[there][1])
        if first_day <= last_day:
            shared.append((first_day, last_day))
        if one[here][1] < other[there][1]:
            here += 1
        else:
            there += 1
    return tuple(shared)


def days_in(stretches: Iterable[Stretch]) -> int:
    return sum(days_between(*stretch) for stretch in stretches)


def longest_run(stretches: Iterable[Stretch], max_gap_days: int) -> Run:
    """The run with the most days; of equals, the later. Days of a bridged gap are not counted."""
    best, run = Run(), Run()
    for first_day, last_day in stretches:
        goes_on = run.last_day is not None and uncovered_days(run.last_day, first_day) <= max_gap_days
        before = run if goes_on else Run(0, first_day)
        run = Run(before.days + days_between(first_day, last_day), before.first_day, last_day)
        if run.days >= best.days:
            best = run
    return best
