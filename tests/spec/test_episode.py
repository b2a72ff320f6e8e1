"""The current episode: which trials belong to it, and when it began."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from cds_service.trd.episode import find_episode_start
from cds_service.trd.model import Answer, Definition, Diagnosis, DiagnosisRole, UnreadScore
from tests.conftest import ON
from tests.spec.people import PHQ9, diagnosis, history, scores
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
