"""A second opinion: exposures and trials worked out day by day, the slow and obvious way.

Thousands of generated histories must give the same adequate runs as the interval arithmetic.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.exposures import build_exposures
from cds_service.trd.record import DoseSegment, Prescription
from cds_service.trd.trials import find_trials
from tests.conftest import ON, examples
from tests.spec.people import DRUGS

DEFINITION = load_definitions()["default-configurable"]
START = date(2025, 1, 1)
MINIMUM = 50.0


@st.composite
def prescriptions(draw: st.DrawFn) -> tuple[Prescription, ...]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 200),
                st.integers(1, 60),
                st.sampled_from([25.0, 37.5, 50.0, 100.0, None]),
                st.sampled_from([0.0, 0.0, 0.0, 25.0]),
                st.booleans(),
            ),
            min_size=1,
            max_size=8,
        )
    )
    return tuple(_order(number, *values) for number, values in enumerate(drawn))


def _order(
    number: int, offset: int, days: int, dose: float | None, more: float, is_certain: bool
) -> Prescription:
    first_day = START + timedelta(days=offset)
    last_day = first_day + timedelta(days=days - 1)
    high = None if dose is None else dose + more
    segment = DoseSegment(first_day, last_day, dose, high, is_certain)
    use = Finding("use", Answer.MET, "")
    return Prescription(
        f"MedicationRequest/{number}", DRUGS["sertraline"], "sertraline", (segment,), use, authored=first_day
    )


def day_by_day(orders: tuple[Prescription, ...]) -> list[tuple[date, date, int, int, str]]:
    """Runs of possibly adequate days: first, last, possible days, days beyond doubt, and the duration."""
    possible: set[date] = set()
    on_certain_days: set[date] = set()
    beyond_doubt: set[date] = set()
    day = START
    while day <= START + timedelta(days=300):
        covering = [o.segments[0] for o in orders if o.segments[0].first_day <= day <= o.segments[0].last_day]
        if covering:
            low, high = _dose_on(covering)
            is_certain = any(segment.days_certain for segment in covering)
            adequate = low is not None and low >= MINIMUM
            if adequate or high is None or high >= MINIMUM:
                possible.add(day)
                if is_certain:
                    on_certain_days.add(day)
                if is_certain and adequate:
                    beyond_doubt.add(day)
        day += timedelta(days=1)
    return [
        (
            run[0],
            run[-1],
            len(run),
            _longest(beyond_doubt & set(run)),
            _duration(on_certain_days & set(run), run),
        )
        for run in _runs(sorted(possible))
    ]


def _dose_on(covering: list[DoseSegment]) -> tuple[float | None, float | None]:
    """The newest certain order's dose, or a newer doubtful one's, up to the sum of the distinct doses."""

    def newest(segments: list[DoseSegment]) -> DoseSegment:
        return max(segments, key=_age)

    distinct = {(segment.low_mg, segment.high_mg) for segment in covering}
    if len(distinct) == 1:
        return distinct.pop()
    certain = [segment for segment in covering if segment.days_certain]
    doubtful = [segment for segment in covering if not segment.days_certain]
    deciding = [newest(kind) for kind in (certain, doubtful) if kind]
    if certain and doubtful and _age(newest(doubtful)) < _age(newest(certain)):
        deciding = [newest(certain)]
    lows = [segment.low_mg for segment in deciding]
    low = None if None in lows else min(x for x in lows if x is not None)
    highs = [high for _, high in distinct]
    return low, None if None in highs else sum(x for x in highs if x is not None)


def _age(segment: DoseSegment) -> tuple[date, float]:
    return segment.first_day, segment.low_mg or 0


def _runs(days: list[date]) -> list[list[date]]:
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days - 1 <= DEFINITION.max_gap_days:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _longest(days: set[date]) -> int:
    return max((len(run) for run in _runs(sorted(days))), default=0)


def _duration(certain: set[date], possible: list[date]) -> str:
    if _longest(certain) >= DEFINITION.minimum_days:
        return "met"
    return "not-met" if len(possible) < DEFINITION.minimum_days else "unknown"


@settings(max_examples=examples(3000), deadline=None)
@given(prescriptions())
def test_intervals_agree_with_days(orders: tuple[Prescription, ...]) -> None:
    expected = day_by_day(orders)
    trials = find_trials(build_exposures(orders, DEFINITION.max_gap_days), DEFINITION, ON)
    found = [
        (t.possible_first_day, t.possible_last_day, t.duration.answer.value)
        for t in trials
        if t.dose.answer is not Answer.NOT_MET
    ]
    assert found == [(first, last, duration) for first, last, _, _, duration in expected]
    for trial, (_, _, _, sure, _) in zip(
        [t for t in trials if t.dose.answer is not Answer.NOT_MET], expected, strict=True
    ):
        if sure >= DEFINITION.minimum_days:
            assert (trial.is_adequate, trial.adequate_days) == (Answer.MET, sure)
        else:
            assert trial.is_adequate is not Answer.MET


@settings(max_examples=examples(500), deadline=None)
@given(prescriptions(), st.randoms(use_true_random=False))
def test_the_order_of_prescriptions_does_not_matter(orders: tuple[Prescription, ...], random: object) -> None:
    shuffled = list(orders)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    renamed = [replace(order) for order in shuffled]
    gap = DEFINITION.max_gap_days
    assert [e.segments for e in build_exposures(renamed, gap)] == [
        e.segments for e in build_exposures(orders, gap)
    ]
