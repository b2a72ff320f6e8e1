"""Which stretches of days lie beside others: the same as by comparing each with each."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cds_service.trd.days import days_between, uncovered_days
from cds_service.trd.neighbours import Days, Neighbours

START = date(2025, 1, 1)


@st.composite
def stretches(draw: st.DrawFn) -> Days:
    first_day = START + timedelta(draw(st.integers(0, 120)))
    return first_day, first_day + timedelta(draw(st.integers(0, 60)))


@given(st.lists(stretches(), max_size=8), stretches(), st.integers(0, 14), st.integers(1, 60))
def test_they_are_those_that_a_comparison_of_all_pairs_finds(
    others: list[Days], own: Days, gap: int, needed: int
) -> None:
    beside = [
        other
        for other in others
        if max(uncovered_days(own[1], other[0]), uncovered_days(other[1], own[0])) <= gap
    ]
    found = Neighbours(others)
    assert found.count(*own, gap) == len(beside)
    days = (min(first for first, _ in beside), max(last for _, last in beside)) if beside else None
    assert found.days_beside(*own, gap) == days
    spans = [days_between(min(own[0], first), max(own[1], last)) for first, last in beside]
    assert found.reach(*own, gap, needed) == any(span >= needed for span in spans)


def test_days_at_the_end_of_the_calendar_are_days() -> None:
    found = Neighbours([(date.min, date.max)])
    assert found.days_beside(date.min, date.max, 14) == (date.min, date.max)
