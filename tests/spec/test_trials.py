"""Trials: when a use of a drug is an attempt of adequate dose and duration."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.trd.answers import Answer
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Trial
from cds_service.trd.parameters import Definition
from cds_service.trd.record import DoseSegment, StopReason
from cds_service.trd.trials import find_trials, judge_dose
from tests.conftest import ON
from tests.spec.people import orders

DAY = date(2026, 1, 1)


def trials_of(table: str, definition: Definition, on: date = ON) -> tuple[Trial, ...]:
    return find_trials(build_exposures(orders(table), definition.max_gap_days), definition, on)


def the_trial(table: str, definition: Definition, on: date = ON) -> Trial:
    (trial,) = trials_of(table, definition, on)
    return trial


@pytest.mark.parametrize(
    ("low", "high", "minimum", "expected"),
    [
        (50, 50, 50, "met"),
        (49.9, 49.9, 50, "not-met"),
        (50.1, 50.1, 50, "met"),
        (25, 50, 50, "unknown"),
        (50, 100, 50, "met"),
        (25, 49, 50, "not-met"),
        (50, None, 50, "met"),
        (25, None, 50, "unknown"),
        (None, None, 50, "unknown"),
        (50, 50, None, "unknown"),
    ],
)
def test_dose_on_below_and_above_the_minimum(
    low: float | None, high: float | None, minimum: float | None, expected: str
) -> None:
    assert judge_dose(DoseSegment(DAY, DAY, low, high), minimum).value == expected


@pytest.mark.parametrize(
    ("last_day", "days", "expected"),
    [("2026-02-10", 41, "not-met"), ("2026-02-11", 42, "met"), ("2026-02-12", 43, "met")],
)
def test_six_weeks_are_42_days_both_ends_included(
    last_day: str, days: int, expected: str, definition: Definition
) -> None:
    trial = the_trial(
        f"drug | first_day | last_day | mg_per_day\nsertraline | 2026-01-01 | {last_day} | 50", definition
    )
    assert (trial.adequate_days, trial.duration.answer.value) == (days, expected)


def test_titration_days_below_the_minimum_do_not_count(definition: Definition) -> None:
    trial = the_trial(
        """
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        venlafaxine | 2025-09-01 | 2025-09-07 | 37.5
        venlafaxine | 2025-09-08 | 2025-09-21 | 75
        venlafaxine | 2025-09-22 | 2025-12-20 | 150
        """,
        definition,
    )
    assert (trial.first_day, trial.last_day) == (date(2025, 9, 8), date(2025, 12, 20))
    assert (trial.adequate_days, trial.max_mg) == (104, 150)


def test_bridged_gap_days_do_not_count(definition: Definition) -> None:
    trial = the_trial(
        """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2025-08-01 | 2025-09-10 | 100
        sertraline | 2025-09-21 | 2025-11-05 | 100
        """,
        definition,
    )
    assert (trial.adequate_days, trial.duration.answer) == (87, Answer.MET)


def test_an_unbridged_gap_makes_two_trials(definition: Definition) -> None:
    trials = trials_of(
        """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2025-08-01 | 2025-08-25 | 100
        sertraline | 2025-09-25 | 2025-10-16 | 100
        """,
        definition,
    )
    assert [(t.adequate_days, t.duration.answer.value) for t in trials] == [(25, "not-met"), (22, "not-met")]


def test_low_dose_days_between_adequate_ones_are_a_gap(definition: Definition) -> None:
    trials = trials_of(
        """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2025-08-01 | 2025-08-30 | 50
        sertraline | 2025-08-31 | 2025-09-14 | 25
        sertraline | 2025-09-15 | 2025-10-15 | 50
        """,
        definition,
    )
    assert [t.adequate_days for t in trials] == [30, 31]


def test_a_dose_that_never_reaches_the_minimum(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2025-08-01 | 2025-12-30 | 25", definition
    )
    assert (trial.dose.answer, trial.adequate_days, trial.first_day) == (Answer.NOT_MET, 0, None)


def test_an_unknown_dose_leaves_only_the_dose_unknown(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-11-24 | ?", definition
    )
    assert (trial.dose.answer, trial.duration.answer) == (Answer.UNKNOWN, Answer.MET)
    assert trial.adequate_days == 85


def test_uncertain_days_leave_only_the_duration_unknown(definition: Definition) -> None:
    trial = the_trial(
        """
        drug       | first_day  | last_day   | mg_per_day | days
        -----------+------------+------------+------------+----------
        sertraline | 2025-09-01 | 2025-09-30 | 50         | certain
        sertraline | 2025-10-01 | 2025-11-24 | 50         | uncertain
        """,
        definition,
    )
    assert (trial.dose.answer, trial.duration.answer) == (Answer.MET, Answer.UNKNOWN)


def test_uncertain_days_that_are_too_few_either_way_change_nothing(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day | days\nsertraline | 2025-09-01 | 2025-10-11 | 50 | uncertain",
        definition,
    )
    assert trial.duration.answer is Answer.NOT_MET


def test_a_certain_six_weeks_is_enough_whatever_else_is_doubtful(definition: Definition) -> None:
    trial = the_trial(
        """
        drug       | first_day  | last_day   | mg_per_day | days
        -----------+------------+------------+------------+----------
        sertraline | 2025-09-01 | 2025-10-12 | 50         | certain
        sertraline | 2025-10-13 | 2025-11-24 | ?          | certain
        """,
        definition,
    )
    assert trial.is_adequate is Answer.MET
    assert trial.adequate_days == 42


def test_a_running_trial_says_when_it_will_be_long_enough(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2026-06-01 | 2026-06-30 | 50", definition
    )
    assert (trial.is_running, trial.adequate_days) == (True, 30)
    assert trial.long_enough_on == date(2026, 7, 12)


def test_a_trial_that_is_over_says_no_such_day(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2026-06-01 | 2026-06-29 | 50", definition
    )
    assert (trial.is_running, trial.long_enough_on) == (False, None)


def test_a_short_unidentified_drug_beside_a_short_trial_leaves_both_open(definition: Definition) -> None:
    trials = trials_of(
        """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2025-09-01 | 2025-09-25 | 50
        tablet     | 2025-09-26 | 2025-10-20 | ?
        """,
        definition,
    )
    assert [t.duration.answer for t in trials] == [Answer.UNKNOWN, Answer.UNKNOWN]


def test_a_short_unidentified_drug_alone_is_too_short(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\ntablet | 2025-09-01 | 2025-09-07 | ?", definition
    )
    assert trial.duration.answer is Answer.NOT_MET


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "inefficacy", StopReason.INEFFICACY),
        ("inefficacy", "", StopReason.NONE_GIVEN),
        ("intolerance", "intolerance", StopReason.INTOLERANCE),
    ],
)
def test_the_reason_on_the_last_order_counts(
    first: str, second: str, expected: StopReason, definition: Definition
) -> None:
    trial = the_trial(
        f"""
        drug       | first_day  | last_day   | mg_per_day | stop
        -----------+------------+------------+------------+--------
        sertraline | 2025-09-01 | 2025-09-25 | 50         | {first}
        sertraline | 2025-09-26 | 2025-11-20 | 50         | {second}
        """,
        definition,
    )
    assert trial.stop_reason is expected


def test_a_dose_below_the_minimum_says_what_low_doses_of_the_drug_are_used_for(
    definition: Definition,
) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\ntrazodone | 2026-01-01 | 2026-06-01 | 50", definition
    )
    assert trial.dose.text == (
        "50 mg/day never reached the minimum of 150 mg/day; "
        "uses of trazodone that do not count: low doses for sleep"
    )
