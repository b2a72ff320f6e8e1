"""The assessment: how judged trials, diagnoses and age give a verdict, and what is said to be missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer
from cds_service.trd.counting import in_words
from cds_service.trd.model import Assessment, Verdict
from cds_service.trd.parameters import Definition, Distinctness
from cds_service.trd.record import (
    DiagnosisRole,
    History,
    Topic,
    Unread,
    UnreadScore,
)
from tests.conftest import ON
from tests.spec.people import PHQ9, diagnosis, history, scores

TWO_TRIALS = """
    drug        | first_day  | last_day   | mg_per_day
    ------------+------------+------------+-----------
    sertraline  | 2025-09-01 | 2025-11-24 | 100
    venlafaxine | 2025-11-25 | 2026-03-15 | 150
"""
TWO_FAILURES = scores(("2025-08-28", 19), ("2025-11-20", 17), ("2026-03-12", 18))


def verdict_on(patient: History, definition: Definition) -> Assessment:
    return assess_history(patient, definition, ON)


def test_two_failed_trials_are_enough(definition: Definition) -> None:
    result = verdict_on(history(TWO_TRIALS, TWO_FAILURES), definition)
    assert (result.verdict, result.failed_at_least, result.failed_at_most) == (Verdict.MET, 2, 2)
    assert [reason.answer for reason in result.reasons] == [Answer.MET] * 4
    assert not [m for m in result.missing if "self-harm" not in m.what]


def test_one_failed_trial_is_not(definition: Definition) -> None:
    one = TWO_TRIALS.replace("150", "37.5")
    result = verdict_on(history(one, TWO_FAILURES), definition)
    assert (result.verdict, result.failed_at_least, result.failed_at_most) == (Verdict.NOT_MET, 1, 1)


def test_an_unknown_dose_makes_a_range(definition: Definition) -> None:
    result = verdict_on(history(TWO_TRIALS.replace("150", "?"), TWO_FAILURES), definition)
    assert (result.verdict, result.failed_at_least, result.failed_at_most) == (Verdict.INDETERMINATE, 1, 2)
    assert result.missing[0].what == "dose of venlafaxine"


def test_without_scores_it_says_which_are_missing(definition: Definition) -> None:
    result = verdict_on(history(TWO_TRIALS), definition)
    assert result.verdict is Verdict.INDETERMINATE
    assert [m.what for m in result.missing][:2] == [
        "depression score between 2025-07-03 and 2025-09-08, at the start of sertraline",
        "depression score between 2025-09-28 and 2025-12-08, late on sertraline",
    ]


@pytest.mark.parametrize(
    ("second", "distinctness", "failed"),
    [
        ("citalopram", Distinctness.AGENT, 2),
        ("citalopram", Distinctness.CLASS, 1),
        ("citalopram", Distinctness.MECHANISM, 1),
        ("venlafaxine", Distinctness.CLASS, 2),
        ("venlafaxine", Distinctness.MECHANISM, 2),
    ],
)
def test_what_makes_two_trials_count_as_two(
    second: str, distinctness: Distinctness, failed: int, definition: Definition
) -> None:
    patient = history(TWO_TRIALS.replace("venlafaxine", second), TWO_FAILURES)
    result = verdict_on(patient, replace(definition, distinctness=distinctness))
    assert result.failed_at_least == failed


def test_the_same_agent_twice_counts_once(definition: Definition) -> None:
    patient = history(
        """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2025-07-01 | 2025-09-24 | 100
        sertraline | 2025-11-25 | 2026-03-15 | 150
        """,
        scores(("2025-06-28", 19), ("2025-09-20", 17), ("2025-11-20", 17), ("2026-03-12", 18)),
    )
    assert verdict_on(patient, definition).failed_at_most == 1


@pytest.mark.parametrize(("second_dose", "failed"), [("25", (2, 2)), ("?", (1, 2))])
def test_a_longer_course_of_unknown_dose_may_stand_for_the_agent(
    second_dose: str, failed: tuple[int, int], definition: Definition
) -> None:
    """If its dose was adequate, the longer and later course of sertraline decides, and it has no last score."""
    patient = history(
        f"""
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-------------
        sertraline  | 2025-07-01 | 2025-08-31 | 100
        venlafaxine | 2025-09-01 | 2025-11-24 | 150
        sertraline  | 2025-12-15 | 2026-04-15 | {second_dose}
        """,
        scores(("2025-06-28", 19), ("2025-08-30", 17), ("2025-11-20", 17)),
    )
    result = verdict_on(patient, definition)
    assert (result.failed_at_least, result.failed_at_most) == failed


def test_unidentified_drugs_could_each_be_one_more(definition: Definition) -> None:
    patient = history(
        TWO_TRIALS.replace("sertraline ", "tablet     ").replace("venlafaxine", "capsule    "), TWO_FAILURES
    )
    result = verdict_on(patient, definition)
    assert (result.verdict, result.failed_at_least, result.failed_at_most) == (Verdict.INDETERMINATE, 0, 2)


def test_an_order_that_could_not_be_read_at_all_could_be_one_more(definition: Definition) -> None:
    one = TWO_TRIALS.replace("150", "37.5")
    unread = (Unread("MedicationRequest/9", "not readable", (Topic.DRUG,)),)
    result = verdict_on(history(one, TWO_FAILURES, unread=unread), definition)
    assert (result.verdict, result.failed_at_most) == (Verdict.INDETERMINATE, 2)
    assert "the order MedicationRequest/9" in [m.what for m in result.missing]


@pytest.mark.parametrize(
    ("last_day", "expected"),
    [("2024-06-29", Verdict.NOT_MET), ("2024-06-30", Verdict.MET), ("2024-07-01", Verdict.MET)],
)
def test_the_lookback_ends_730_days_ago(last_day: str, expected: Verdict, definition: Definition) -> None:
    patient = history(
        f"""
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        sertraline  | 2024-03-01 | {last_day} | 100
        venlafaxine | 2025-11-25 | 2026-03-15 | 150
        """,
        scores(("2024-02-28", 19), ("2024-06-20", 17), ("2025-11-20", 17), ("2026-03-12", 18)),
    )
    assert verdict_on(patient, definition).verdict is expected


@pytest.mark.parametrize(
    ("recorded", "holds", "expected"),
    [
        ("2025-12-05", Answer.MET, Verdict.NOT_MET),  # after sertraline, before venlafaxine failed
        ("2025-08-31", Answer.MET, Verdict.MET),  # before both
        ("2026-04-01", Answer.MET, Verdict.NOT_MET),  # after both
        ("2025-11-24", Answer.UNKNOWN, Verdict.INDETERMINATE),
        (None, Answer.MET, Verdict.INDETERMINATE),
        ("2026-04-01", Answer.NOT_MET, Verdict.MET),  # refuted
    ],
)
def test_full_remission_ends_the_episode(
    recorded: str | None, holds: Answer, expected: Verdict, definition: Definition
) -> None:
    remission = diagnosis(DiagnosisRole.FULL_REMISSION, "mdd_remission", recorded, holds)
    patient = history(TWO_TRIALS.replace("2025-11-25", "2025-12-06"), TWO_FAILURES, (diagnosis(), remission))
    assert verdict_on(patient, definition).verdict is expected


@pytest.mark.parametrize(
    ("remitted", "expected"),
    [
        ("2025-08-31", (2, 2)),  # before any day on which sertraline may have been taken
        ("2025-09-20", (1, 2)),  # sertraline may have begun before it
        ("2025-12-10", (1, 2)),  # or may have gone on after it
        ("2025-12-31", (1, 1)),  # after the last possible day
    ],
)
def test_days_that_are_not_certain_leave_open_whether_remission_ended_a_trial(
    remitted: str, expected: tuple[int, int], definition: Definition
) -> None:
    remission = diagnosis(DiagnosisRole.FULL_REMISSION, "mdd_remission", remitted)
    patient = history(
        """
        drug        | first_day  | last_day   | mg_per_day | days
        ------------+------------+------------+------------+----------
        sertraline  | 2025-09-01 | 2025-09-30 | 100        | uncertain
        sertraline  | 2025-10-01 | 2025-11-30 | 100        | certain
        sertraline  | 2025-12-01 | 2025-12-31 | 100        | uncertain
        venlafaxine | 2026-01-02 | 2026-03-15 | 150        | certain
        """,
        scores(("2025-08-28", 19), ("2025-11-28", 18), ("2025-12-30", 18), ("2026-03-12", 18)),
        (diagnosis(), remission),
    )
    result = verdict_on(patient, definition)
    assert (result.failed_at_least, result.failed_at_most) == expected


@pytest.mark.parametrize(
    ("low_scores", "expected"),
    [
        ((("2026-04-01", 3), ("2026-05-31", 2)), Verdict.NOT_MET),  # 60 days apart
        ((("2026-04-01", 3), ("2026-05-30", 2)), Verdict.INDETERMINATE),  # 59 days
        ((("2026-04-01", 4),), Verdict.INDETERMINATE),
        ((("2026-04-01", 5), ("2026-05-31", 5)), Verdict.MET),  # not in the remission range
        ((("2026-04-01", 3), ("2026-05-01", 12), ("2026-06-15", 12)), Verdict.MET),  # did not last
    ],
)
def test_remission_by_scores_needs_two_sixty_days_apart(
    low_scores: tuple[tuple[str, float], ...], expected: Verdict, definition: Definition
) -> None:
    patient = history(TWO_TRIALS, TWO_FAILURES + scores(*low_scores))
    assert verdict_on(patient, definition).verdict is expected


@pytest.mark.parametrize(
    ("low_scores", "unread_days", "expected"),
    [
        ((), ("2026-05-01",), Verdict.INDETERMINATE),  # the newest: it may show remission
        ((("2026-04-01", 12),), ("2026-03-20",), Verdict.MET),  # alone between high ones: it cannot
        ((("2026-05-25", 12),), ("2026-03-20", "2026-05-19"), Verdict.INDETERMINATE),  # two, 60 days apart
        ((("2026-05-25", 12),), ("2026-03-20", "2026-05-18"), Verdict.MET),  # 59 days
        ((("2026-04-01", 3), ("2026-05-31", 2)), ("2026-05-01",), Verdict.INDETERMINATE),  # may contradict
        ((("2026-04-01", 3), ("2026-05-31", 2)), ("2026-06-10",), Verdict.NOT_MET),  # cannot any more
    ],
)
def test_an_unread_score_may_have_shown_or_broken_a_remission(
    low_scores: tuple[tuple[str, float], ...],
    unread_days: tuple[str, ...],
    expected: Verdict,
    definition: Definition,
) -> None:
    days = [date.fromisoformat(day) for day in unread_days]
    unread = tuple(UnreadScore(f"Observation/{day}", PHQ9, day, day) for day in days)
    early_end = TWO_TRIALS.replace("2026-03-15", "2026-03-05")  # its last score window closes on 2026-03-19
    recorded = scores(("2025-08-28", 19), ("2025-11-20", 17), ("2026-03-04", 18), *low_scores)
    patient = history(early_end, recorded, unread_scores=unread)
    assert verdict_on(patient, definition).verdict is expected


@pytest.mark.parametrize(
    ("category", "holds", "is_current", "expected"),
    [
        ("bipolar", Answer.MET, Answer.MET, Verdict.EXCLUDED),
        ("bipolar", Answer.MET, Answer.NOT_MET, Verdict.EXCLUDED),  # for life
        ("bipolar", Answer.UNKNOWN, Answer.MET, Verdict.INDETERMINATE),
        ("bipolar", Answer.NOT_MET, Answer.MET, Verdict.MET),
        ("substance_induced_mood", Answer.MET, Answer.MET, Verdict.EXCLUDED),
        ("substance_induced_mood", Answer.MET, Answer.NOT_MET, Verdict.MET),  # passing
        ("anxiety", Answer.MET, Answer.MET, Verdict.MET),
    ],
)
def test_excluding_diagnoses(
    category: str, holds: Answer, is_current: Answer, expected: Verdict, definition: Definition
) -> None:
    other = diagnosis(DiagnosisRole.EXCLUSION, category, "2025-12-01", holds, is_current)
    patient = history(TWO_TRIALS, TWO_FAILURES, (diagnosis(), other))
    assert verdict_on(patient, definition).verdict is expected


def test_dementia_excludes_only_where_the_definition_says_so() -> None:
    dementia = diagnosis(DiagnosisRole.EXCLUSION, "dementia")
    patient = history(TWO_TRIALS, TWO_FAILURES, (diagnosis(), dementia))
    verdicts = {id_: verdict_on(patient, d).verdict for id_, d in load_definitions().items()}
    assert verdicts["default-configurable"] is Verdict.EXCLUDED
    assert verdicts["eu-pearl-2022"] is Verdict.MET


def test_a_diagnosis_that_could_not_be_read_forbids_certainty(definition: Definition) -> None:
    unread = (Unread("Condition/9", "not readable", (Topic.DIAGNOSIS,)),)
    result = verdict_on(history(TWO_TRIALS, TWO_FAILURES, unread=unread), definition)
    assert result.verdict is Verdict.INDETERMINATE


@pytest.mark.parametrize(
    ("diagnoses", "expected"),
    [
        ((), Verdict.INDETERMINATE),
        ((diagnosis(holds=Answer.UNKNOWN),), Verdict.INDETERMINATE),
        ((diagnosis(is_current=Answer.NOT_MET),), Verdict.INDETERMINATE),
        ((diagnosis(DiagnosisRole.ALREADY_LABELLED, "trd"),), Verdict.MET),
    ],
)
def test_a_depressive_disorder_must_be_recorded(
    diagnoses: tuple[object, ...], expected: Verdict, definition: Definition
) -> None:
    patient = history(TWO_TRIALS, TWO_FAILURES, diagnoses)  # type: ignore[arg-type]
    assert verdict_on(patient, definition).verdict is expected


@pytest.mark.parametrize(
    ("earliest", "latest", "expected"),
    [
        (date(2008, 6, 30), date(2008, 6, 30), Verdict.MET),  # 18 today
        (date(2008, 7, 1), date(2008, 7, 1), Verdict.EXCLUDED),  # 18 tomorrow
        (date(2008, 1, 1), date(2008, 12, 31), Verdict.INDETERMINATE),
        (None, None, Verdict.INDETERMINATE),
    ],
)
def test_age(earliest: date | None, latest: date | None, expected: Verdict, definition: Definition) -> None:
    patient = history(TWO_TRIALS, TWO_FAILURES, born_earliest=earliest, born_latest=latest)
    assert verdict_on(patient, definition).verdict is expected


def test_nobody_without_a_sign_of_depression_is_concerned(definition: Definition) -> None:
    assert not verdict_on(history(TWO_TRIALS, (), ()), definition).concerns_depression
    assert verdict_on(history(TWO_TRIALS, TWO_FAILURES, ()), definition).concerns_depression


def test_an_empty_record(definition: Definition) -> None:
    result = verdict_on(History("Patient/p1"), definition)
    assert (result.verdict, result.failed_at_most, result.concerns_depression) == (Verdict.NOT_MET, 0, False)


COUNTS = [
    # least, most, in words
    (0, 0, "0 failed trials"),
    (1, 1, "1 failed trial"),
    (0, 1, "0 to 1 failed trials"),
    (2, 2, "2 failed trials"),
    (1.5, 1.5, "1.5 failed trials"),
]


@pytest.mark.parametrize(("least", "most", "words"), COUNTS)
def test_a_number_is_said_with_its_noun(least: float, most: float, words: str) -> None:
    assert in_words(least, most, "failed trial") == words
