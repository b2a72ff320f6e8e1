"""What is said to be missing: an entry for every unknown that bears on the verdict, in terms of the rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.exposures import build_exposures
from cds_service.trd.missing import _missing_item, find_missing
from cds_service.trd.model import (
    Assessment,
    JudgedTrial,
    Judgement,
    Missing,
    Staging,
    StagingItem,
    Verdict,
)
from cds_service.trd.outcomes import judge_outcomes
from cds_service.trd.parameters import Definition, Rule
from cds_service.trd.record import History, Reaction
from cds_service.trd.trials import find_trials
from tests.conftest import ON, examples
from tests.spec.histories import histories
from tests.spec.people import MADRS, history, orders, scores

SAFE = Finding("safety", Answer.NOT_MET, "answered 0")


def asked_of(patient: History, definition: Definition) -> list[Missing]:
    """What is missing beside the answer on self-harm."""
    result = assess_history(patient, definition, ON)
    assert result.verdict is Verdict.INDETERMINATE
    return [m for m in result.missing if "self-harm" not in m.what]


# --- a running trial ------------------------------------------------------------------------------------

ONE_FAILED = """
    drug        | first_day  | last_day   | mg_per_day
    ------------+------------+------------+-----------
    sertraline  | 2025-09-01 | 2025-11-24 | 100
    venlafaxine | {first_day} | 2026-06-30 | 150
"""
FAILURE = scores(("2025-08-28", 19), ("2025-11-20", 17))


def test_a_running_trial_that_is_long_enough_asks_for_a_score_now(definition: Definition) -> None:
    recorded = FAILURE + scores(("2026-04-20", 18))
    (asked,) = asked_of(history(ONE_FAILED.format(first_day="2026-05-01"), recorded), definition)
    assert asked.ask == "Record a PHQ-9 now."
    assert asked.what == "depression score between 2026-05-28 and 2026-07-14, late on venlafaxine"


def test_the_score_asked_for_is_on_the_scale_of_the_baseline(definition: Definition) -> None:
    recorded = FAILURE + scores(("2026-04-20", 38), scale=MADRS)
    (asked,) = asked_of(history(ONE_FAILED.format(first_day="2026-05-01"), recorded), definition)
    assert asked.ask == "Record a MADRS now."


def test_a_score_that_does_not_count_yet_is_asked_for_from_the_day_on_which_it_will(
    definition: Definition,
) -> None:
    """Ten days are long enough here, and a score counts from day 28."""
    rules = replace(definition, minimum_days=10)
    recorded = FAILURE + scores(("2026-06-14", 18))
    (asked,) = asked_of(history(ONE_FAILED.format(first_day="2026-06-15"), recorded), rules)
    assert asked.what == "depression score on or after 2026-07-12, late on venlafaxine"
    assert asked.ask == "Record a score (PHQ-9) on or after 2026-07-12."


# --- what decides between two trials of one drug ----------------------------------------------------------


def test_a_trial_that_may_stand_for_its_agent_is_asked_about(definition: Definition) -> None:
    """The second course worked, for certain; whether its dose was enough to stand for sertraline is not known."""
    patient = history(
        """
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        sertraline  | 2025-06-01 | 2025-08-24 | 100
        venlafaxine | 2025-08-25 | 2025-10-24 | 150
        sertraline  | 2025-12-01 | 2026-04-30 | 25-75
        """,
        scores(("2025-05-28", 19), ("2025-08-20", 17), ("2025-10-20", 17), ("2026-04-28", 7)),
    )
    assert "dose of sertraline" in [m.what for m in asked_of(patient, definition)]


# --- why it was stopped -----------------------------------------------------------------------------------


def test_a_possible_intolerance_is_asked_about_where_it_counts(definition: Definition) -> None:
    reaction = Reaction("venlafaxine", "nausea", None, Answer.MET, "AllergyIntolerance/1")
    patient = history(
        """
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        sertraline  | 2025-09-01 | 2025-11-24 | 100
        venlafaxine | 2026-02-01 | 2026-02-10 | 150
        """,
        FAILURE,
        reactions=(reaction,),
    )
    rules = replace(definition, intolerance_counts_as_failure=True)
    assert "why venlafaxine was stopped" in [m.what for m in asked_of(patient, rules)]
    assert assess_history(patient, definition, ON).verdict is Verdict.NOT_MET


def test_a_last_day_that_may_lie_outside_the_lookback_is_asked_for(definition: Definition) -> None:
    patient = history(
        """
        drug        | first_day  | last_day   | mg_per_day | days
        ------------+------------+------------+------------+----------
        sertraline  | 2024-01-01 | 2024-06-15 | 100        | certain
        sertraline  | 2024-06-16 | 2024-07-15 | 100        | uncertain
        venlafaxine | 2025-11-25 | 2026-03-15 | 150        | certain
        """,
        scores(("2023-12-28", 19), ("2024-06-10", 19), ("2025-11-20", 17), ("2026-03-12", 18)),
    )
    (asked,) = asked_of(patient, definition)
    assert asked.what == "days on sertraline"


# --- definitions that ask for something else ----------------------------------------------------------------


def judgement_by(
    definition: Definition, enough: Finding, table: str = "", staging: Staging | None = None
) -> Judgement:
    """An indeterminate judgement with these orders, all other criteria met."""
    trials = find_trials(build_exposures(orders(table) if table else (), 14), definition, ON)
    outcomes = judge_outcomes(trials, History("Patient/p1"), definition, ON)
    scope = Finding("scope", Answer.MET, "in scope")
    judged = tuple(JudgedTrial(o.trial, o, scope, o.insufficient) for o in outcomes)
    met = tuple(Finding(name, Answer.MET, name) for name in ("diagnosis", "no exclusion", "age"))
    return Judgement(definition, Verdict.INDETERMINATE, 0, 3, (enough, *met), judged, staging)


def test_a_definition_that_counts_treatments_asks_for_drugs_and_days_not_for_doses_and_scores(
    definition: Definition,
) -> None:
    by_treatments = replace(definition, rule=Rule.TREATMENTS)
    enough = Finding("treatments", Answer.UNKNOWN, "1 to 3 treatments, 3 needed")
    table = """
        drug        | first_day  | last_day   | mg_per_day | days
        ------------+------------+------------+------------+----------
        sertraline  | 2025-09-01 | 2025-11-24 | ?          | certain
        venlafaxine | 2025-12-01 | 2026-02-10 | 150        | uncertain
        tablet      | 2026-03-01 | 2026-05-10 | ?          | certain
    """
    asked = find_missing(judgement_by(by_treatments, enough, table), (), (), SAFE, by_treatments)
    assert [m.what for m in asked] == ["days on venlafaxine", 'which drug the order "tablet" is']
    assert {m.why for m in asked} == {enough.text}


def test_only_the_drugs_that_the_reason_rests_on_are_asked_about(definition: Definition) -> None:
    by_treatments = replace(definition, rule=Rule.TREATMENTS)
    enough = Finding("treatments", Answer.UNKNOWN, "1 to 2", ("MedicationRequest/2",))
    table = """
        drug        | first_day  | last_day   | mg_per_day | days
        ------------+------------+------------+------------+----------
        sertraline  | 2020-09-01 | 2020-11-24 | 100        | uncertain
        venlafaxine | 2025-12-01 | 2026-02-10 | 150        | uncertain
    """
    asked = find_missing(judgement_by(by_treatments, enough, table), (), (), SAFE, by_treatments)
    assert [m.what for m in asked] == ["days on venlafaxine"]


def test_a_reason_that_no_drug_explains_is_named_itself(definition: Definition) -> None:
    by_treatments = replace(definition, rule=Rule.TREATMENTS)
    enough = Finding("treatments", Answer.UNKNOWN, "the days of the lithium are not certain")
    (asked,) = find_missing(judgement_by(by_treatments, enough), (), (), SAFE, by_treatments)
    assert (asked.what, asked.why) == ("what decides on treatments", enough.text)


def test_what_could_not_be_read_is_named_under_each_rule(definition: Definition) -> None:
    for rule in Rule:
        rules = replace(definition, rule=rule)
        enough = Finding("enough", Answer.UNKNOWN, "unknown")
        asked = find_missing(
            judgement_by(rules, enough), ("MedicationRequest/9",), ("MedicationRequest search",), SAFE, rules
        )
        assert [m.what for m in asked] == ["the order MedicationRequest/9", "the MedicationRequest search"]


def test_a_definition_by_score_asks_for_the_items_that_are_open(definition: Definition) -> None:
    by_score = replace(definition, rule=Rule.SCORE)
    items = (
        StagingItem("duration", 1, 3, "when the episode began is not known"),
        StagingItem("failures", 2, 2, "two"),
    )
    staging = Staging("msm", "Maudsley", 6, 8, "mild", "moderate", items, "a source")
    enough = Finding("staging score", Answer.UNKNOWN, "6 to 8 points, 7 needed")
    (asked,) = find_missing(judgement_by(by_score, enough, staging=staging), (), (), SAFE, by_score)
    assert asked == Missing(
        "when this episode began",
        "1 to 3 points: when the episode began is not known",
        "Record the onset of the current episode.",
    )


ITEMS = [
    # item, what is missing
    ("severity", "how severe the depression is"),
    ("augmentation", "whether augmentation was enough"),
    ("ect", "whether ECT was given"),
    ("optimisation", "which trials were optimised"),
    ("failures", "staging item failures"),  # no trial on record that could be asked about
    ("another", "staging item another"),
]


@pytest.mark.parametrize(("name", "what"), ITEMS)
def test_each_item_is_asked_for_in_plain_words(definition: Definition, name: str, what: str) -> None:
    by_score = replace(definition, rule=Rule.SCORE)
    staging = Staging("x", "X", 1, 2, "", "", (StagingItem(name, 1, 2, "open"),), "a source")
    enough = Finding("staging score", Answer.UNKNOWN, "1 to 2 points, 2 needed")
    (asked,) = find_missing(judgement_by(by_score, enough, staging=staging), (), (), SAFE, by_score)
    assert (asked.what, asked.why) == (what, "1 to 2 points: open")
    assert asked.ask.endswith(".")


@pytest.mark.parametrize("method", ["msm", "mgh-s"])
def test_the_items_of_the_staging_methods_are_known(method: str) -> None:
    staging = load_definitions()[method].staging
    assert staging is not None
    for item in sorted({item for item, _, _ in staging.points} - {"failures", "trials"}):
        asked = _missing_item(StagingItem(item, 0, 1, "open"))
        assert not asked.what.startswith("staging item")


def test_failed_trials_of_a_score_are_asked_for_trial_by_trial(definition: Definition) -> None:
    by_score = replace(definition, rule=Rule.SCORE)
    items = (StagingItem("trials", 0, 1, "0 to 1 failed trials"),)
    staging = Staging("mgh-s", "MGH", 0, 1, "", "", items, "a source")
    enough = Finding("staging score", Answer.UNKNOWN, "0 to 1 points, 1 needed")
    table = """
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        sertraline  | 2025-09-01 | 2025-11-24 | 100
    """
    judgement = judgement_by(by_score, enough, table, staging)
    asked = [m.what for m in find_missing(judgement, (), (), SAFE, by_score)]
    assert asked == [
        "depression score between 2025-07-03 and 2025-09-08, at the start of sertraline",
        "depression score between 2025-09-28 and 2025-12-08, late on sertraline",
    ]


# --- any history --------------------------------------------------------------------------------------------


@settings(max_examples=examples(400), deadline=None)
@given(patient=histories(), counts=st.booleans(), is_current_episode_only=st.booleans())
def test_every_unknown_that_bears_on_the_verdict_has_an_entry(
    patient: History, counts: bool, is_current_episode_only: bool
) -> None:
    rules = replace(
        load_definitions()["default-configurable"],
        intolerance_counts_as_failure=counts,
        is_current_episode_only=is_current_episode_only,
    )
    result = assess_history(patient, rules, ON)
    asked = [m for m in result.missing if "self-harm" not in m.what]
    if result.verdict is not Verdict.INDETERMINATE:
        assert asked == []
        return
    whys = {m.why for m in asked}
    assert all(m.what and m.why and m.ask for m in asked)
    assert not any(m.what.startswith("what decides on") for m in asked)
    enough, *others = result.reasons
    assert {reason.text for reason in others if reason.answer is Answer.UNKNOWN} <= whys
    if enough.answer is Answer.UNKNOWN:
        assert _unknowns_of_trials(result) <= whys
        assert whys - {reason.text for reason in others}


def _unknowns_of_trials(result: Assessment) -> set[str]:
    """The reasons in words for which a trial may or may not have failed."""
    return {
        finding.text
        for judged in result.trials
        if judged.failed.answer is Answer.UNKNOWN
        for finding in (*judged.trial.criteria, judged.in_scope, judged.outcome.insufficient)
        if finding.answer is Answer.UNKNOWN
    }
