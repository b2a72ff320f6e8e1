"""Outcomes: which scores belong to a trial and what they show.

The trial of these tests is sertraline 50 mg from 2025-09-01 to 2025-11-30 unless a test says otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from cds_service.tables.definitions import load_definitions
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Answer, Definition, History, Outcome, Response, Score, UnreadScore
from cds_service.trd.outcomes import judge_outcomes
from cds_service.trd.trials import find_trials
from tests.conftest import ON
from tests.spec.people import MADRS, PHQ9, orders, scores


def the_outcome(
    definition: Definition,
    recorded: tuple[Score, ...] = (),
    unread: tuple[UnreadScore, ...] = (),
    last_day: str = "2025-11-30",
    stop: str = "",
    first_day: str = "2025-09-01",
) -> Outcome:
    prescriptions = orders(
        f"drug | first_day | last_day | mg_per_day | stop\nsertraline | {first_day} | {last_day} | 50 | {stop}"
    )
    trials = find_trials(build_exposures(prescriptions, definition.max_gap_days), definition, ON)
    patient = History("Patient/p1", scores=recorded, unread_scores=unread)
    (outcome,) = judge_outcomes(trials, patient, definition, ON)
    return outcome


@pytest.mark.parametrize(
    ("baseline", "last", "response", "insufficient"),
    [
        (20, 20, "no-response", "met"),
        (20, 22, "no-response", "met"),
        (20, 16, "no-response", "met"),
        (20, 15, "partial-response", "met"),
        (20, 11, "partial-response", "met"),
        (20, 10, "response", "not-met"),
        (20, 9, "response", "not-met"),
        (20, 4, "remission", "not-met"),
        (6, 4, "remission", "not-met"),
    ],
)
def test_improvement_on_below_and_above_the_thresholds(
    baseline: float, last: float, response: str, insufficient: str, definition: Definition
) -> None:
    outcome = the_outcome(definition, scores(("2025-08-30", baseline), ("2025-11-28", last)))
    assert (outcome.response.value, outcome.insufficient.answer.value) == (response, insufficient)


@pytest.mark.parametrize(("last", "insufficient"), [(15.2, "met"), (15, "not-met"), (14, "not-met")])
def test_a_partial_response_is_no_failure_where_the_threshold_is_25_percent(
    last: float, insufficient: str
) -> None:
    outcome = the_outcome(
        load_definitions()["eu-pearl-2022"], scores(("2025-08-30", 20), ("2025-11-28", last))
    )
    assert outcome.insufficient.answer.value == insufficient


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        ("2025-07-02", False),  # 61 days before the first adequate day
        ("2025-07-03", True),
        ("2025-09-08", True),  # 7 days after it
        ("2025-09-09", False),
    ],
)
def test_the_baseline_window(day: str, counts: bool, definition: Definition) -> None:
    outcome = the_outcome(definition, scores((day, 20), ("2025-11-28", 18)))
    assert (outcome.insufficient.answer is Answer.MET) is counts


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        ("2025-09-27", False),  # day 27 of the trial
        ("2025-09-28", True),
        ("2025-12-14", True),  # 14 days after its last day
        ("2025-12-15", False),
    ],
)
def test_the_window_of_the_last_score(day: str, counts: bool, definition: Definition) -> None:
    outcome = the_outcome(definition, scores(("2025-08-30", 20), (day, 18)))
    assert (outcome.insufficient.answer is Answer.MET) is counts


def test_the_last_score_of_each_window_counts(definition: Definition) -> None:
    recorded = scores(("2025-08-01", 10), ("2025-08-30", 20), ("2025-10-15", 18), ("2025-11-28", 9))
    outcome = the_outcome(definition, recorded)
    assert outcome.improvement_percent == 55


def test_a_change_of_scale_is_no_outcome(definition: Definition) -> None:
    recorded = scores(("2025-08-30", 20)) + scores(("2025-11-28", 30), scale=MADRS)
    assert the_outcome(definition, recorded).insufficient.answer is Answer.UNKNOWN


def test_scales_that_disagree_leave_it_open(definition: Definition) -> None:
    recorded = scores(("2025-08-30", 20), ("2025-11-28", 18))
    recorded += scores(("2025-08-30", 40), ("2025-11-28", 15), scale=MADRS)
    assert the_outcome(definition, recorded).insufficient.answer is Answer.UNKNOWN


def test_scales_that_agree_show_the_first_ranked(definition: Definition) -> None:
    recorded = scores(("2025-08-30", 40), ("2025-11-28", 38), scale=MADRS)
    recorded += scores(("2025-08-30", 20), ("2025-11-28", 18))
    outcome = the_outcome(definition, recorded)
    assert outcome.last is not None
    assert (outcome.last.scale, outcome.insufficient.answer) == (PHQ9, Answer.MET)


def test_a_scale_without_percent_rule_never_decides(definition: Definition) -> None:
    t_score = replace(PHQ9, name="T score", has_percent_rule=False)
    outcome = the_outcome(definition, scores(("2025-08-30", 70), ("2025-11-28", 69), scale=t_score))
    assert outcome.insufficient.answer is Answer.UNKNOWN


def test_a_baseline_of_zero_allows_no_percentage(definition: Definition) -> None:
    outcome = the_outcome(definition, scores(("2025-08-30", 0), ("2025-11-28", 9)))
    assert outcome.insufficient.answer is Answer.UNKNOWN


@pytest.mark.parametrize(
    ("first_day", "last_day", "expected"),
    [
        (date(2025, 12, 1), date(2025, 12, 1), "unknown"),
        (None, None, "unknown"),
        (date(2025, 11, 1), date(2025, 11, 20), "met"),  # before the score that counts
        (date(2026, 2, 1), None, "met"),  # after the window
        (date(2025, 9, 5), date(2025, 9, 5), "unknown"),  # a later baseline
    ],
)
def test_an_unread_score_matters_where_it_could_be_the_one_that_counts(
    first_day: date | None, last_day: date | None, expected: str, definition: Definition
) -> None:
    unread = (UnreadScore("Observation/x", PHQ9, first_day, last_day),)
    outcome = the_outcome(definition, scores(("2025-08-30", 20), ("2025-11-28", 18)), unread)
    assert outcome.insufficient.answer.value == expected


def test_an_unread_score_of_another_scale_does_not_matter(definition: Definition) -> None:
    unread = (UnreadScore("Observation/x", MADRS, None, None),)
    outcome = the_outcome(definition, scores(("2025-08-30", 20), ("2025-11-28", 18)), unread)
    assert outcome.insufficient.answer is Answer.MET


@pytest.mark.parametrize(
    ("recorded", "unread_day", "expected"),
    [
        ((), "2025-11-28", "unknown"),  # it may be a remission
        ((("2025-08-30", 20),), "2025-11-28", "unknown"),  # it may be the last score
        ((("2025-11-28", 12),), "2025-08-30", "unknown"),  # it may be the baseline
        ((), "2026-02-01", "met"),  # outside both windows
    ],
)
def test_a_stated_lack_of_effect_does_not_outweigh_a_score_that_could_not_be_read(
    recorded: tuple[tuple[str, float], ...], unread_day: str, expected: str, definition: Definition
) -> None:
    day = date.fromisoformat(unread_day)
    unread = (UnreadScore("Observation/x", PHQ9, day, day),)
    outcome = the_outcome(definition, scores(*recorded), unread, stop="inefficacy")
    assert outcome.insufficient.answer.value == expected


def test_an_unread_score_keeps_a_stop_for_intolerance_open(definition: Definition) -> None:
    unread = (UnreadScore("Observation/x", PHQ9, date(2025, 12, 1), date(2025, 12, 1)),)
    recorded = scores(("2025-08-30", 20), ("2025-11-28", 18))
    assert the_outcome(definition, recorded, unread, stop="intolerance").insufficient.answer is Answer.UNKNOWN


def test_remission_on_one_scale_does_not_need_the_others(definition: Definition) -> None:
    recorded = scores(("2025-11-28", 3)) + scores(("2024-01-01", 14), scale=MADRS)
    assert the_outcome(definition, recorded).response is Response.REMISSION


def test_without_baseline_the_newest_score_tells_remission(definition: Definition) -> None:
    older = scores(("2025-10-20", 16), scale=MADRS)
    assert the_outcome(definition, scores(("2025-11-28", 3)) + older).response is Response.REMISSION
    newer = scores(("2025-12-01", 16), scale=MADRS)
    assert the_outcome(definition, scores(("2025-11-28", 3)) + newer).response is Response.UNKNOWN


@pytest.mark.parametrize(
    ("between", "insufficient"),
    [
        ((("2025-10-20", 20),), "met"),  # whichever baseline counts, it failed
        ((("2025-10-20", 36),), "unknown"),  # from 36 it is a response
    ],
)
def test_an_uncertain_first_day_must_not_decide_which_baseline_counts(
    between: tuple[tuple[str, float], ...], insufficient: str, definition: Definition
) -> None:
    """The first six weeks may not have been taken: the trial began between 1 September and 13 October."""
    prescriptions = orders(
        """
        drug       | first_day  | last_day   | mg_per_day | days
        -----------+------------+------------+------------+----------
        sertraline | 2025-09-01 | 2025-10-12 | 50         | uncertain
        sertraline | 2025-10-13 | 2025-12-31 | 50         | certain
        """
    )
    recorded = scores(("2025-08-30", 20), *between, ("2025-12-28", 18))
    trials = find_trials(build_exposures(prescriptions, definition.max_gap_days), definition, ON)
    (outcome,) = judge_outcomes(trials, History("Patient/p1", scores=recorded), definition, ON)
    assert outcome.insufficient.answer.value == insufficient


@pytest.mark.parametrize(
    ("stop", "recorded", "response", "insufficient"),
    [
        ("", (), "unknown", "unknown"),
        ("other", (), "unknown", "unknown"),
        ("inefficacy", (), "no-response", "met"),
        ("inefficacy", (("2025-08-30", 20), ("2025-11-28", 9)), "response", "not-met"),
        ("intolerance", (), "intolerance", "not-met"),
        ("intolerance", (("2025-08-30", 20), ("2025-11-28", 9)), "response", "not-met"),
        ("intolerance", (("2025-08-30", 20), ("2025-11-28", 18)), "unknown", "unknown"),
    ],
)
def test_the_reason_for_stopping(
    stop: str,
    recorded: tuple[tuple[str, float], ...],
    response: str,
    insufficient: str,
    definition: Definition,
) -> None:
    outcome = the_outcome(definition, scores(*recorded), stop=stop)
    assert (outcome.response.value, outcome.insufficient.answer.value) == (response, insufficient)


def test_a_short_trial_stopped_for_intolerance_is_no_failure(definition: Definition) -> None:
    outcome = the_outcome(definition, scores(("2025-08-30", 20)), last_day="2025-09-14", stop="intolerance")
    assert (outcome.response, outcome.insufficient.answer) == (Response.INTOLERANCE, Answer.NOT_MET)


def test_remission_needs_no_baseline(definition: Definition) -> None:
    outcome = the_outcome(definition, scores(("2025-11-28", 3)))
    assert (outcome.response, outcome.insufficient.answer) == (Response.REMISSION, Answer.NOT_MET)


def test_a_running_trial_that_is_too_short_is_ongoing(definition: Definition) -> None:
    outcome = the_outcome(
        definition, scores(("2026-05-30", 20)), first_day="2026-06-01", last_day="2026-06-30"
    )
    assert outcome.response is Response.ONGOING
