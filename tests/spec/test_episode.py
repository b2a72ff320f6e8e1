"""The current episode: which trials belong to it, and when it began."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings

from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.episode import find_episode_start, find_remissions, judge_scope
from cds_service.trd.exposures import build_exposures
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    History,
    UnreadScore,
)
from cds_service.trd.trials import find_trials
from tests.conftest import ON, examples
from tests.spec.histories import histories
from tests.spec.people import MADRS, PHQ9, diagnosis, history, scores
from tests.spec.texttables import rows


def a_day(text: str) -> date | None:
    return None if text in ("", "-") else date.fromisoformat(text)


def depression(onset: str = "", recorded: str = "", current: str = "met", holds: str = "met") -> Diagnosis:
    base = diagnosis(recorded=recorded or None, holds=Answer(holds), is_current=Answer(current))
    day = a_day(onset)
    return replace(base, onset=day, recorded=base.recorded or day, reference=f"Condition/{onset}{recorded}")


def pairs(text: str) -> tuple[tuple[str, float], ...]:
    """Scores written as `2025-08-28=19, 2025-11-20=17`."""
    return tuple(
        (day, float(value)) for day, value in (one.strip().split("=") for one in text.split(",") if one)
    )


# --- which trials belong to it ---------------------------------------------------------------------------

SERTRALINE = """
    drug       | first_day  | last_day   | mg_per_day
    -----------+------------+------------+-----------
    sertraline | 2025-09-01 | 2025-11-24 | 100
"""


def the_scope(definition: Definition, **given: object) -> Finding:
    """Whether sertraline from 2025-09-01 to 2025-11-24 belongs to the current episode."""
    patient = history(SERTRALINE, **given)  # type: ignore[arg-type]
    exposures = build_exposures(patient.prescriptions, definition.max_gap_days)
    (trial,) = find_trials(exposures, definition, ON)
    return judge_scope(trial, find_remissions(patient, definition), definition, ON)


SEVERAL_SCALES = """
    phq9                         | madrs                        | in_scope | why
    -----------------------------+------------------------------+----------+-----------------------------------
    2025-12-01=3, 2026-01-30=2   |                              | not-met  | 60 days on one scale
    2025-12-01=3                 | 2026-01-30=9                 | not-met  | one confirms the other
    2025-12-01=3                 | 2026-01-29=9                 | unknown  | 59 days, and the newest
    2025-12-01=3                 | 2026-01-29=9, 2026-02-10=20  | met      | relapsed within 60 days
    2025-12-01=4                 | 2026-01-30=10                | not-met  | each on its limit
    2025-12-01=5                 | 2026-01-30=10                | unknown  | PHQ-9 just above it, MADRS the newest
    2025-12-01=5                 | 2026-01-30=11                | met      | both just above it
    2025-12-01=3                 | 2026-01-15=20                | met      | a high score after the only low one
    2025-12-01=3, 2026-01-30=2   | 2026-01-01=20                | unknown  | they contradict each other
    2025-12-01=3, 2026-01-30=2   | 2025-12-01=20                | unknown  | on the first day
    2025-12-01=3, 2026-01-30=2   | 2026-01-30=20                | unknown  | on the last day
    2025-12-01=3, 2026-01-30=2   | 2025-11-30=20                | not-met  | the day before
    2025-12-01=3, 2026-01-30=2   | 2026-01-31=20                | not-met  | a new episode the day after
    2025-12-01=3, 2025-12-20=15, 2026-01-30=2, 2026-02-20=9 |   | met      | neither lasted
    2025-12-01=3, 2025-12-20=15, 2026-01-30=2, 2026-03-31=2 |   | not-met  | the second lasted
"""


@pytest.mark.parametrize("row", rows(SEVERAL_SCALES), ids=lambda row: row["why"])
def test_remission_on_several_scales(row: dict[str, str], definition: Definition) -> None:
    recorded = scores(*pairs(row["phq9"])) + scores(*pairs(row["madrs"]), scale=MADRS)
    assert the_scope(definition, score_list=recorded).answer.value == row["in_scope"]


def test_an_unread_score_of_another_scale_may_contradict_a_remission(definition: Definition) -> None:
    low = scores(("2025-12-01", 3), ("2026-01-30", 2))
    unread = (UnreadScore("Observation/x", MADRS, date(2026, 1, 1), date(2026, 1, 1)),)
    assert the_scope(definition, score_list=low, unread_scores=unread).answer is Answer.UNKNOWN


def test_partial_remission_ends_nothing(definition: Definition) -> None:
    partial = diagnosis(DiagnosisRole.DEPRESSION, "mdd_remission", "2025-12-05")
    assert the_scope(definition, diagnoses=(partial,)).answer is Answer.MET


@pytest.mark.parametrize(
    ("relapse", "expected"),
    [
        ("2025-12-04", "not-met"),
        ("2025-12-05", "unknown"),  # on the same day
        ("2026-02-02", "unknown"),  # 59 days later
        ("2026-02-03", "not-met"),  # 60 days later: a new episode
    ],
)
def test_a_depression_recorded_as_over_must_stay_over(
    relapse: str, expected: str, definition: Definition
) -> None:
    over = diagnosis(DiagnosisRole.FULL_REMISSION, "mdd", "2025-12-05")
    over = replace(over, ended=over.recorded)
    finding = the_scope(definition, diagnoses=(over,), score_list=scores((relapse, 15)))
    assert finding.answer.value == expected
    assert (relapse in finding.text) is (expected == "unknown")


@pytest.mark.parametrize(
    ("since", "is_current", "expected"),
    [
        ("2024-11-01", "met", "unknown"),  # one visit is over, the problem goes on
        ("2024-11-01", "unknown", "unknown"),
        ("2024-11-01", "not-met", "not-met"),
        ("2025-12-05", "met", "unknown"),  # coded anew
        ("2026-02-02", "met", "unknown"),  # 59 days later
        ("2026-02-03", "met", "not-met"),  # 60 days later: a new episode
    ],
)
def test_a_depression_recorded_as_over_while_another_record_goes_on(
    since: str, is_current: str, expected: str, definition: Definition
) -> None:
    over = diagnosis(DiagnosisRole.FULL_REMISSION, "mdd", "2025-12-05")
    over = replace(over, ended=over.recorded)
    other = diagnosis(DiagnosisRole.DEPRESSION, "mdd", since, is_current=Answer(is_current))
    finding = the_scope(definition, diagnoses=(other, over))
    assert finding.answer.value == expected
    assert ("is on record since" in finding.text) is (expected == "unknown")


def test_a_diagnosis_of_full_remission_stands_whatever_comes_soon_after(definition: Definition) -> None:
    """The diagnosis says that it has lasted; a high score after it begins a new episode."""
    remission = diagnosis(DiagnosisRole.FULL_REMISSION, "mdd_remission", "2025-12-05")
    finding = the_scope(definition, diagnoses=(remission,), score_list=scores(("2025-12-20", 15)))
    assert finding.answer is Answer.NOT_MET


@pytest.mark.parametrize(("lookback_days", "expected"), [(218, "met"), (217, "not-met")])
def test_where_episodes_do_not_matter_the_lookback_still_does(
    lookback_days: int, expected: str, definition: Definition
) -> None:
    """The trial ended 218 days ago."""
    lifetime = replace(definition, is_current_episode_only=False, lookback_days=lookback_days)
    remission = diagnosis(DiagnosisRole.FULL_REMISSION, "mdd_remission", "2025-12-05")
    assert the_scope(lifetime, diagnoses=(remission,)).answer.value == expected


def test_of_nothing_recorded_nothing_is_known(definition: Definition) -> None:
    assert find_remissions(History("Patient/p1"), definition) == ()
    start = find_episode_start(History("Patient/p1"), definition, ON)
    assert (start.earliest, start.latest, start.evidence) == (None, None, ())


# --- when it began ----------------------------------------------------------------------------------------

STARTS = """
    onset      | recorded   | remission  | phq9                         | earliest   | latest
    -----------+------------+------------+------------------------------+------------+-----------
    2024-11-01 |            |            |                              | 2024-11-01 | 2024-11-01
               | 2024-11-01 |            |                              | -          | 2024-11-01
    2024-11-01 |            |            | 2025-08-28=19                | 2024-11-01 | 2024-11-01
               |            |            | 2025-08-28=19, 2025-09-28=17 | -          | 2025-08-28
               |            |            | 2025-08-28=19, 2025-09-28=3, 2025-10-28=17 | - | 2025-10-28
               |            |            | 2025-08-28=4                 | -          | -
    2024-11-01 |            | 2025-03-01 | 2025-08-28=19                | 2025-03-02 | 2025-08-28
    2024-11-01 |            | 2025-03-01 | 2025-06-01=3, 2025-08-28=19  | 2025-06-02 | 2025-08-28
    2025-07-01 |            | 2025-03-01 | 2025-08-28=19                | 2025-07-01 | 2025-07-01
    2025-07-01 |            | 2025-03-01 | 2025-06-15=19                | 2025-03-02 | 2025-07-01
               | 2025-07-01 | 2025-03-01 | 2025-08-28=19                | 2025-03-02 | 2025-07-01
    2024-11-01 |            | 2025-03-01 |                              | 2025-03-02 | -
    2024-11-01 |            | 2025-03-01 | 2025-03-01=19                | 2025-03-02 | -
    2024-11-01 |            |            | 2025-03-01=3, 2025-04-30=2, 2025-08-28=19 | 2025-05-01 | 2025-08-28
    2024-11-01 |            |            | 2025-03-01=3, 2025-04-29=2, 2025-08-28=19 | 2024-11-01 | 2024-11-01
    2024-11-01 |            |            | 2025-08-28=19, 2026-06-20=3  | 2024-11-01 | -
    2026-07-01 |            |            |                              | -          | -
"""


@pytest.mark.parametrize("row", rows(STARTS), ids=lambda row: " ".join(row.values()))
def test_when_the_current_episode_began(row: dict[str, str], definition: Definition) -> None:
    diagnoses = [depression(row["onset"], row["recorded"])] if row["onset"] or row["recorded"] else []
    if row["remission"]:
        diagnoses.append(diagnosis(DiagnosisRole.FULL_REMISSION, "mdd_remission", row["remission"]))
    patient = history("", scores(*pairs(row["phq9"])), tuple(diagnoses))
    start = find_episode_start(patient, definition, ON)
    assert (start.earliest, start.latest) == (a_day(row["earliest"]), a_day(row["latest"])), start.text
    assert bool(start.evidence) is (start.earliest is not None or start.latest is not None)


@pytest.mark.parametrize(
    ("diagnoses", "earliest", "latest"),
    [
        # Two disorders, each with an onset: either may be that of the episode.
        ((depression("2019-01-01"), depression("2025-02-01")), "2019-01-01", "2025-02-01"),
        # Recorded at each visit: it was there at the first.
        ((depression(recorded="2024-11-01"), depression(recorded="2025-06-01")), "-", "2024-11-01"),
        # Recorded before the onset that another states.
        ((depression(recorded="2024-01-01"), depression("2025-02-01")), "-", "2025-02-01"),
        ((depression(recorded="2025-06-01"), depression("2025-02-01")), "2025-02-01", "2025-02-01"),
        # What is over, refuted, or only suspected tells nothing.
        ((depression("2019-01-01", current="not-met"), depression("2025-02-01")), "2025-02-01", "2025-02-01"),
        ((depression("2019-01-01", holds="not-met"),), "-", "-"),
        ((depression("2019-01-01", holds="unknown"),), "-", "-"),
        ((depression("2019-01-01", current="unknown"),), "-", "-"),
        ((depression("2019-01-01", current="not-met"),), "-", "-"),
        ((depression(),), "-", "-"),
    ],
)
def test_several_disorders(
    diagnoses: tuple[Diagnosis, ...], earliest: str, latest: str, definition: Definition
) -> None:
    start = find_episode_start(history("", (), diagnoses), definition, ON)
    assert (start.earliest, start.latest) == (a_day(earliest), a_day(latest)), start.text


@pytest.mark.parametrize(
    ("recorded", "holds", "latest"),
    [
        ("2025-03-01", Answer.MET, "2025-08-28"),
        ("2025-03-01", Answer.UNKNOWN, "2025-08-28"),  # the episode may have begun again after it
        ("2025-09-01", Answer.UNKNOWN, "-"),
        (None, Answer.UNKNOWN, "-"),
        ("2025-09-01", Answer.NOT_MET, "2024-11-01"),
    ],
)
def test_a_remission_in_doubt_moves_the_latest_day(
    recorded: str | None, holds: Answer, latest: str, definition: Definition
) -> None:
    remission = diagnosis(DiagnosisRole.FULL_REMISSION, "mdd_remission", recorded, holds)
    patient = history("", scores(("2025-08-28", 19)), (depression("2024-11-01"), remission))
    start = find_episode_start(patient, definition, ON)
    assert start.latest == a_day(latest)
    assert start.earliest == (date(2025, 3, 2) if holds is Answer.MET else date(2024, 11, 1))


def test_an_unread_score_may_have_been_a_remission(definition: Definition) -> None:
    unread = (UnreadScore("Observation/x", PHQ9, None, None),)
    patient = history("", scores(("2025-08-28", 19)), (depression("2024-11-01"),), unread_scores=unread)
    start = find_episode_start(patient, definition, ON)
    assert (start.earliest, start.latest) == (date(2024, 11, 1), None)


@settings(max_examples=examples(300), deadline=None)
@given(patient=histories())
def test_whatever_the_history_the_range_is_one_and_has_its_reason(patient: History) -> None:
    start = find_episode_start(patient, load_definitions()["default-configurable"], ON)
    earliest, latest = start.earliest or date.min, start.latest or date.max
    assert earliest <= latest
    assert start.text
    assert start.latest is None or start.latest <= ON
