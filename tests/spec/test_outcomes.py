"""Outcomes: which scores belong to a trial and what they show.

The trial of these tests is sertraline 50 mg from 2025-09-01 to 2025-11-30 unless a test says otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings

from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.tables.scales import load_scales
from cds_service.trd.answers import Answer
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import JudgedTrial, Outcome, Response
from cds_service.trd.outcomes import judge_outcomes
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    History,
    Prescription,
    Reaction,
    Scale,
    Score,
    StopReason,
    UnreadScore,
)
from cds_service.trd.trials import find_trials
from tests.conftest import ON, examples
from tests.spec.histories import histories
from tests.spec.people import MADRS, PHQ9, history, orders, scores
from tests.spec.texttables import rows


def the_outcome(
    definition: Definition,
    recorded: tuple[Score, ...] = (),
    unread: tuple[UnreadScore, ...] = (),
    last_day: str = "2025-11-30",
    stop: str = "",
    first_day: str = "2025-09-01",
    reactions: tuple[Reaction, ...] = (),
) -> Outcome:
    prescriptions = orders(
        f"drug | first_day | last_day | mg_per_day | stop\nsertraline | {first_day} | {last_day} | 50 | {stop}"
    )
    trials = find_trials(build_exposures(prescriptions, definition.max_gap_days), definition, ON)
    patient = History("Patient/p1", scores=recorded, unread_scores=unread, reactions=reactions)
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


# --- categories -----------------------------------------------------------------------------------------

CATEGORIES = """
    last  | response         | under_50 | under_25
    ------+------------------+----------+---------
    101   | no-response      | met      | met
    100   | no-response      | met      | met
    75.1  | no-response      | met      | met
    75    | partial-response | met      | not-met
    50.1  | partial-response | met      | not-met
    50    | response         | not-met  | not-met
    10.1  | response         | not-met  | not-met
    10    | remission        | not-met  | not-met
"""


@pytest.mark.parametrize("row", rows(CATEGORIES), ids=lambda row: row["last"])
def test_response_on_below_and_above_each_threshold(row: dict[str, str], definition: Definition) -> None:
    """From 100 points, so that the last score tells 24.9, 25, 49.9 and 50 % exactly; remission is 10."""
    a_scale = Scale("Scale of 200", 0, 200, 10, True, 1)
    recorded = scores(("2025-08-30", 100), ("2025-11-28", float(row["last"])), scale=a_scale)
    outcome = the_outcome(definition, recorded)
    lenient = the_outcome(replace(definition, nonresponse_below_percent=25), recorded)
    assert outcome.response.value == lenient.response.value == row["response"]
    assert outcome.insufficient.answer.value == row["under_50"]
    assert lenient.insufficient.answer.value == row["under_25"]


@pytest.mark.parametrize(
    "scale", [row.scale for row in load_scales() if row.scale.has_percent_rule], ids=lambda scale: scale.name
)
def test_remission_on_each_scale(scale: Scale, definition: Definition) -> None:
    """On its cut-off it is remission; above it is not; a scale without one never shows remission."""
    cut_off = scale.remission_at_most
    high = scale.maximum
    above = scale.minimum if cut_off is None else cut_off + 1
    outcome = the_outcome(definition, scores(("2025-08-30", high), ("2025-11-28", above), scale=scale))
    assert outcome.response is not Response.REMISSION
    if cut_off is not None:
        for last in (cut_off, scale.minimum):
            recorded = scores(("2025-08-30", high), ("2025-11-28", last), scale=scale)
            assert the_outcome(definition, recorded).response is Response.REMISSION


@pytest.mark.parametrize(
    ("last", "has_worsened", "words"),
    [(19, False, "5.0 % better"), (20, False, "no change"), (21, True, "5.0 % worse")],
)
def test_worsening(last: float, has_worsened: bool, words: str, definition: Definition) -> None:
    outcome = the_outcome(definition, scores(("2025-08-30", 20), ("2025-11-28", last)))
    assert (outcome.has_worsened, outcome.response) == (has_worsened, Response.NO_RESPONSE)
    assert words in outcome.insufficient.text


def test_a_worsening_is_told_also_where_the_outcome_stays_open(definition: Definition) -> None:
    recorded = scores(("2025-08-30", 20), ("2025-11-28", 24))
    outcome = the_outcome(definition, recorded, stop="intolerance")
    assert (outcome.response, outcome.has_worsened) == (Response.UNKNOWN, True)


# --- windows --------------------------------------------------------------------------------------------

WINDOWS = """
    baseline   | last       | counts | why
    -----------+------------+--------+------------------------------------------
    2025-07-02 | 2025-11-28 | no     | baseline 61 days before the first day
    2025-07-03 | 2025-11-28 | yes    | 60 days before
    2025-09-08 | 2025-11-28 | yes    | 7 days after
    2025-09-09 | 2025-11-28 | no     | 8 days after
    2025-08-30 | 2025-09-27 | no     | last score on day 27
    2025-08-30 | 2025-09-28 | yes    | day 28
    2025-08-30 | 2025-12-14 | yes    | 14 days after the last day
    2025-08-30 | 2025-12-15 | no     | 15 days after
"""


@pytest.mark.parametrize("row", rows(WINDOWS), ids=lambda row: row["why"])
def test_each_edge_of_the_windows(row: dict[str, str], definition: Definition) -> None:
    outcome = the_outcome(definition, scores((row["baseline"], 20), (row["last"], 18)))
    counts = row["counts"] == "yes"
    assert outcome.insufficient.answer is (Answer.MET if counts else Answer.UNKNOWN)
    assert (outcome.improvement_percent == 10) is counts


# --- several scales -------------------------------------------------------------------------------------

QIDS = Scale("QIDS-SR16", 0, 27, 5, True, 3)


def test_it_says_which_scale_decides(definition: Definition) -> None:
    recorded = scores(("2025-08-30", 40), ("2025-11-28", 38), scale=MADRS)
    recorded += scores(("2025-08-30", 20), ("2025-11-28", 18))
    text = the_outcome(definition, recorded).insufficient.text
    assert text.endswith("; PHQ-9 decides (ranks before MADRS, which agrees)")
    assert text.startswith("PHQ-9 20 on 2025-08-30 to 18 on 2025-11-28")
    recorded += scores(("2025-08-30", 20), ("2025-11-28", 19), scale=QIDS)
    text = the_outcome(definition, recorded).insufficient.text
    assert text.endswith("; PHQ-9 decides (ranks before MADRS and QIDS-SR16, which agree)")


def test_one_scale_alone_needs_no_such_words(definition: Definition) -> None:
    recorded = scores(("2025-08-30", 20), ("2025-11-28", 18)) + scores(("2025-08-30", 40), scale=MADRS)
    assert "decides" not in the_outcome(definition, recorded).insufficient.text


def test_scales_that_disagree_are_both_named(definition: Definition) -> None:
    recorded = scores(("2025-08-30", 20), ("2025-11-28", 18))
    recorded += scores(("2025-08-30", 40), ("2025-11-28", 15), scale=MADRS)
    finding = the_outcome(definition, recorded).insufficient
    assert finding.answer is Answer.UNKNOWN
    assert finding.text.startswith("PHQ-9 and MADRS disagree: PHQ-9 20 on")
    assert "MADRS 40 on 2025-08-30 to 15 on 2025-11-28" in finding.text
    assert len(finding.evidence) == 4


@pytest.mark.parametrize(
    ("day", "value", "expected"),
    [
        ("2025-11-28", 10, Answer.UNKNOWN),  # remission on the other scale, on the same day
        ("2025-11-28", 11, Answer.MET),
        ("2025-12-01", 10, Answer.UNKNOWN),
        ("2025-11-27", 10, Answer.MET),  # older than the score that decides
    ],
)
def test_remission_on_another_scale_without_a_baseline_contradicts_failure(
    day: str, value: float, expected: Answer, definition: Definition
) -> None:
    recorded = scores(("2025-08-30", 20), ("2025-11-28", 18)) + scores((day, value), scale=MADRS)
    assert the_outcome(definition, recorded).insufficient.answer is expected


# --- when a running trial can be judged -----------------------------------------------------------------

JUDGEABLE = """
    first_day  | minimum_days | phq9                         | response    | judgeable_from | why
    -----------+--------------+------------------------------+-------------+----------------+---------------------------
    2026-06-15 | 42           | 2026-06-14=20                | ongoing     | 2026-07-26     | the duration is later
    2026-06-15 | 14           | 2026-06-14=20                | ongoing     | 2026-07-12     | long enough, day 28 ahead
    2026-06-15 | 28           | 2026-06-14=20                | ongoing     | 2026-07-12     | both on one day
    2026-06-03 | 28           | 2026-06-02=20                | unknown     | 2026-06-30     | today is day 28
    2026-06-04 | 28           | 2026-06-03=20                | ongoing     | 2026-07-01     | today is day 27
    2026-05-20 | 42           | 2026-05-19=20                | unknown     | 2026-06-30     | long enough today
    2026-05-21 | 42           | 2026-05-20=20                | ongoing     | 2026-07-01     | long enough tomorrow
    2026-05-01 | 42           | 2026-04-30=20, 2026-05-20=19 | unknown     | 2026-06-30     | no late score
    2026-05-01 | 42           | 2026-04-30=20, 2026-06-20=19 | no-response | -              | judged
    2026-05-01 | 42           |                              | unknown     | 2026-06-30     | no score at all
    2026-05-25 | 42           | 2026-05-24=20, 2026-06-25=19 | ongoing | 2026-07-05     | late score, too short
"""


@pytest.mark.parametrize("row", rows(JUDGEABLE), ids=lambda row: row["why"])
def test_from_when_a_running_trial_can_be_judged(row: dict[str, str], definition: Definition) -> None:
    pairs = [one.strip().split("=") for one in row["phq9"].split(",") if one]
    recorded = scores(*((day, float(value)) for day, value in pairs))
    rules = replace(definition, minimum_days=int(row["minimum_days"]))
    outcome = the_outcome(rules, recorded, first_day=row["first_day"], last_day="2026-06-30")
    judgeable_from = outcome.judgeable_from.isoformat() if outcome.judgeable_from else "-"
    assert (outcome.response.value, judgeable_from) == (row["response"], row["judgeable_from"])
    if row["response"] == "ongoing":
        assert judgeable_from in outcome.insufficient.text


def test_a_trial_that_is_over_is_not_judgeable_later(definition: Definition) -> None:
    assert the_outcome(definition).judgeable_from is None


# --- why it was stopped ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(50, "met"), (49, "unknown"), (26, "unknown"), (25, "not-met"), (20, "not-met")],
)
def test_a_stated_partial_response_is_failure_where_it_is_not_enough(
    threshold: float, expected: str, definition: Definition
) -> None:
    rules = replace(definition, nonresponse_below_percent=threshold)
    outcome = the_outcome(rules, stop="partial response")
    assert (outcome.response.value, outcome.insufficient.answer.value) == ("partial-response", expected)
    with_scores = the_outcome(rules, scores(("2025-08-30", 20), ("2025-11-28", 20)), stop="partial response")
    assert with_scores.insufficient.answer is Answer.MET


def test_another_reason_is_named_and_decides_nothing(definition: Definition) -> None:
    outcome = the_outcome(definition, stop="other")
    assert outcome.insufficient.answer is Answer.UNKNOWN
    assert "tells of neither effect nor tolerability" in outcome.insufficient.text


def a_reaction(day: str = "", recorded: str = "", holds: str = "met", agent: str = "sertraline") -> Reaction:
    return Reaction(
        agent,
        "nausea",
        date.fromisoformat(day) if day else None,
        Answer(holds),
        f"AdverseEvent/{day}",
        date.fromisoformat(recorded) if recorded else None,
    )


REACTIONS = """
    day        | recorded   | holds   | agent      | stop       | scores | intolerance | response    | why
    -----------+------------+---------+------------+------------+--------+-------------+-------------+---------
    2025-11-20 |            | met     | sertraline |            | none   | met         | intolerance | shortly before
    2025-11-30 |            | met     | sertraline |            | none   | met         | intolerance | on the last day
    2025-11-16 |            | met     | sertraline |            | none   | met         | intolerance | 14 days before
    2025-11-15 |            | met     | sertraline |            | none   | not-met     | unknown     | 15 days before
    2025-09-01 |            | met     | sertraline |            | none   | not-met     | unknown     | on the first day
    2025-08-31 |            | met     | sertraline |            | none   | none        | unknown     | before the drug
    2025-12-14 |            | met     | sertraline |            | none   | not-met     | unknown     | 14 days after it
    2025-12-15 |            | met     | sertraline |            | none   | none        | unknown     | 15 days after it
    2025-11-20 |            | unknown | sertraline |            | none   | unknown     | unknown     | suspected
    2025-11-20 |            | not-met | sertraline |            | none   | none        | unknown     | refuted
    2025-11-20 |            | met     | bupropion  |            | none   | none        | unknown     | of another drug
    2025-11-20 |            | met     | sertraline | inefficacy | none   | not-met     | no-response | its own reason
    2025-11-20 |            | met     | sertraline | other      | none   | not-met     | unknown     | another reason
    2025-11-20 |            | met     | sertraline |            | failed | met         | unknown     | both readings
    2025-11-20 |            | met     | sertraline |            | worked | met         | response    | it worked
    2025-11-20 |            | unknown | sertraline |            | failed | unknown     | no-response | suspected, failed
               | 2025-08-31 | met     | sertraline |            | none   | none        | unknown     | written before it
               | 2025-09-01 | met     | sertraline |            | none   | unknown     | unknown     | undated
               | 2026-01-01 | met     | sertraline |            | failed | unknown     | no-response | undated, failed
               |            | met     | sertraline |            | none   | unknown     | unknown     | neither date
"""
RECORDED = {
    "none": (),
    "failed": scores(("2025-08-30", 20), ("2025-11-28", 18)),
    "worked": scores(("2025-08-30", 20), ("2025-11-28", 9)),
}


@pytest.mark.parametrize("row", rows(REACTIONS), ids=lambda row: row["why"])
def test_a_recorded_adverse_effect(row: dict[str, str], definition: Definition) -> None:
    reactions = (a_reaction(row["day"], row["recorded"], row["holds"], row["agent"]),)
    outcome = the_outcome(definition, RECORDED[row["scores"]], stop=row["stop"], reactions=reactions)
    intolerance = outcome.intolerance.answer.value if outcome.intolerance else "none"
    assert (intolerance, outcome.response.value) == (row["intolerance"], row["response"])
    is_named = row["intolerance"] != "none"
    assert ("nausea" in outcome.insufficient.text) is is_named
    assert (reactions[0].reference in outcome.insufficient.evidence) is is_named
    is_intolerance = outcome.trial.stop_reason is StopReason.INTOLERANCE
    assert is_intolerance is (row["intolerance"] == "met")


def test_an_adverse_effect_of_a_drug_that_is_still_taken_is_only_named(definition: Definition) -> None:
    reactions = (a_reaction("2026-06-20"),)
    outcome = the_outcome(definition, first_day="2026-04-01", last_day="2026-06-30", reactions=reactions)
    assert outcome.intolerance is not None
    assert (outcome.intolerance.answer, outcome.response) == (Answer.NOT_MET, Response.UNKNOWN)


def test_an_end_that_is_not_certain_leaves_open_whether_it_was_stopped_for_it(definition: Definition) -> None:
    """Certain to 30 November, possible to 31 January."""

    def intolerance_on(day: str) -> Answer:
        prescriptions = orders(
            """
            drug       | first_day  | last_day   | mg_per_day | days
            -----------+------------+------------+------------+----------
            sertraline | 2025-09-01 | 2025-11-30 | 50         | certain
            sertraline | 2025-12-01 | 2026-01-31 | 50         | uncertain
            """
        )
        return _intolerance_in(prescriptions, a_reaction(day), definition)

    assert intolerance_on("2025-11-20") is Answer.UNKNOWN
    assert intolerance_on("2026-01-20") is Answer.UNKNOWN
    assert intolerance_on("2025-10-20") is Answer.NOT_MET


def test_a_lower_dose_afterwards_is_no_stop(definition: Definition) -> None:
    prescriptions = orders(
        """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2025-09-01 | 2025-11-30 | 50
        sertraline | 2025-12-01 | 2025-12-31 | 25
        """
    )
    assert _intolerance_in(prescriptions, a_reaction("2025-11-28"), definition) is Answer.NOT_MET
    assert _intolerance_in(prescriptions, a_reaction("2025-12-28"), definition) is Answer.NOT_MET


def _intolerance_in(
    prescriptions: tuple[Prescription, ...], reaction: Reaction, definition: Definition
) -> Answer:
    trials = find_trials(build_exposures(prescriptions, definition.max_gap_days), definition, ON)
    (outcome,) = judge_outcomes(trials, History("Patient/p1", reactions=(reaction,)), definition, ON)
    assert outcome.intolerance is not None
    return outcome.intolerance.answer


# --- where intolerance counts as failure ----------------------------------------------------------------

COUNTED = """
    last_day   | stop        | scores | reaction | use     | failed  | otherwise | why
    -----------+-------------+--------+----------+---------+---------+-----------+------------------------------
    2025-11-30 | intolerance | none   |          | met     | met     | not-met   | long
    2025-09-10 | intolerance | none   |          | met     | met     | not-met   | short
    2025-09-10 | intolerance | none   |          | not-met | not-met | not-met   | for something else
    2025-11-30 | intolerance | failed |          | met     | met     | unknown   | failed either way
    2025-11-30 | intolerance | worked |          | met     | unknown | not-met   | worked, and was not tolerated
    2025-09-10 |             | none   | dated    | met     | met     | not-met   | shown by a reaction
    2025-09-10 |             | none   | undated  | met     | unknown | not-met   | perhaps
    2025-09-10 |             | none   | suspect  | met     | unknown | not-met   | suspected
    2025-11-30 |             | failed | undated  | met     | met     | met       | failed anyway
    2025-11-30 |             | worked | undated  | met     | not-met | not-met   | worked
    2025-09-10 |             | none   |          | met     | not-met | not-met   | too short, no reason
    2025-09-10 | other       | none   | dated    | met     | not-met | not-met   | another reason
"""


@pytest.mark.parametrize("row", rows(COUNTED), ids=lambda row: row["why"])
def test_where_intolerance_counts_as_failure_length_does_not_matter(
    row: dict[str, str], definition: Definition
) -> None:
    day = "2025-09-08" if row["last_day"] == "2025-09-10" else "2025-11-28"
    reactions = {
        "": (),
        "dated": (a_reaction(day),),
        "undated": (a_reaction(),),
        "suspect": (a_reaction(day, holds="unknown"),),
    }[row["reaction"]]
    patient = history(
        f"drug | first_day | last_day | mg_per_day | stop | use\n"
        f"sertraline | 2025-09-01 | {row['last_day']} | 50 | {row['stop']} | {row['use']}",
        RECORDED[row["scores"]],
        reactions=reactions,
    )

    def failed(counts: bool) -> JudgedTrial:
        (judged,) = assess_history(
            patient, replace(definition, intolerance_counts_as_failure=counts), ON
        ).trials
        return judged

    assert failed(True).failed.answer.value == row["failed"]
    assert failed(False).failed.answer.value == row["otherwise"]


def test_a_short_intolerance_stands_for_its_agent_where_it_counts(definition: Definition) -> None:
    """Two short courses of sertraline: the longer one ended for no stated reason."""
    patient = history(
        """
        drug       | first_day  | last_day   | mg_per_day | stop
        -----------+------------+------------+------------+------------
        sertraline | 2025-09-01 | 2025-09-20 | 50         |
        sertraline | 2025-12-01 | 2025-12-10 | 50         | intolerance
        """
    )
    rules = replace(definition, intolerance_counts_as_failure=True)
    result = assess_history(patient, rules, ON)
    assert (result.failed_at_least, result.failed_at_most) == (1, 1)


@settings(max_examples=examples(200), deadline=None)
@given(patient=histories())
def test_an_adverse_effect_never_makes_a_failure_sure_nor_a_suspected_one_undoes_it(patient: History) -> None:
    """Where intolerance is no failure, reactions only take away; those without day or certainty change nothing."""
    definition = load_definitions()["default-configurable"]
    doubtful = tuple(replace(reaction, day=None) for reaction in patient.reactions)

    def failed(reactions: tuple[Reaction, ...]) -> list[Answer]:
        result = assess_history(replace(patient, reactions=reactions), definition, ON)
        return [judged.failed.answer for judged in result.trials]

    without = failed(())
    assert failed(doubtful) == without
    for before, after in zip(without, failed(patient.reactions), strict=True):
        assert after is before or after is not Answer.MET
