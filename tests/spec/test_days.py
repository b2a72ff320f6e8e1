"""Arithmetic on days, to the ends of the calendar."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.trd.days import days_between, shifted, uncovered_days


@pytest.mark.parametrize(
    ("day", "days", "expected"),
    [
        (date(2026, 2, 28), 1, date(2026, 3, 1)),
        (date(2026, 3, 1), -1, date(2026, 2, 28)),
        (date(2026, 3, 1), 0, date(2026, 3, 1)),
        (date.max, 1, date.max),
        (date.max, 0, date.max),
        (date.max, -1, date(9999, 12, 30)),
        (date.min, -1, date.min),
        (date.min, 0, date.min),
        (date.min, 1, date(1, 1, 2)),
        (date(2026, 3, 1), 10**12, date.max),  # beyond what a difference of days can hold
        (date(2026, 3, 1), -(10**12), date.min),
    ],
)
def test_a_day_never_leaves_the_calendar(day: date, days: int, expected: date) -> None:
    assert shifted(day, days) == expected


def test_both_ends_count_between_two_days_and_neither_of_those_uncovered() -> None:
    first, last = date(2026, 2, 27), date(2026, 3, 2)
    assert (days_between(first, last), uncovered_days(first, last)) == (4, 2)
    assert (days_between(first, first), uncovered_days(first, first)) == (1, -1)
