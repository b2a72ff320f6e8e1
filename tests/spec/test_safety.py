"""Safety: has suicidality been recorded lately? The window is 365 days, the acute one 14."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.trd.model import Answer, Definition, DiagnosisRole, SuicideItem, Topic, Unread
from cds_service.trd.safety import judge_safety
from tests.conftest import ON
from tests.spec.people import diagnosis, history


def item(day: str | None, value: float | None) -> SuicideItem:
    return SuicideItem("PHQ-9 item 9", date.fromisoformat(day) if day else None, value, f"Observation/{day}")


@pytest.mark.parametrize(
    ("items", "answer", "acute"),
    [
        ((), "unknown", False),
        ((item("2026-06-20", 1),), "met", True),
        ((item("2026-06-16", 1),), "met", True),
        ((item("2026-06-15", 1),), "met", False),
        ((item("2025-06-30", 3),), "met", False),
        ((item("2025-06-29", 3),), "unknown", False),
        ((item("2026-06-20", 0),), "not-met", False),
        ((item("2026-03-01", 2), item("2026-06-20", 0)), "not-met", False),
        ((item("2026-03-01", 0), item("2026-06-20", 2)), "met", True),
        ((item("2026-06-20", 0), item("2026-06-20", 1)), "met", True),
        ((item("2026-06-20", 0), item("2026-06-25", None)), "unknown", False),
        ((item("2026-06-20", 0), item("2026-06-01", None)), "not-met", False),
        ((item(None, 2),), "met", True),
        ((item(None, 0),), "unknown", False),
    ],
)
def test_the_newest_answer_decides(
    items: tuple[SuicideItem, ...], answer: str, acute: bool, definition: Definition
) -> None:
    finding, is_acute = judge_safety(history(suicide_items=items), definition, ON)
    assert (finding.answer.value, is_acute) == (answer, acute)


@pytest.mark.parametrize(
    ("recorded", "holds", "is_current", "answer"),
    [
        ("2026-06-20", Answer.MET, Answer.MET, "met"),
        ("2026-06-20", Answer.UNKNOWN, Answer.MET, "met"),
        ("2026-06-20", Answer.NOT_MET, Answer.MET, "unknown"),
        ("2026-06-20", Answer.MET, Answer.NOT_MET, "unknown"),
        ("2020-01-01", Answer.MET, Answer.MET, "unknown"),
        (None, Answer.MET, Answer.MET, "met"),
    ],
)
def test_a_recorded_diagnosis(
    recorded: str | None, holds: Answer, is_current: Answer, answer: str, definition: Definition
) -> None:
    suicidality = diagnosis(DiagnosisRole.SUICIDALITY, "suicidality", recorded, holds, is_current)
    finding, _ = judge_safety(history(diagnoses=(suicidality,)), definition, ON)
    assert finding.answer.value == answer


def test_a_zero_later_than_a_diagnosis_does_not_silence_it(definition: Definition) -> None:
    suicidality = diagnosis(DiagnosisRole.SUICIDALITY, "suicidality", "2026-05-01")
    patient = history(diagnoses=(suicidality,), suicide_items=(item("2026-06-20", 0),))
    assert judge_safety(patient, definition, ON)[0].answer is Answer.MET


def test_an_unread_answer_is_unknown(definition: Definition) -> None:
    unread = (Unread("Observation/9", "not readable", (Topic.SAFETY,)),)
    patient = history(suicide_items=(item("2026-06-20", 0),), unread=unread)
    assert judge_safety(patient, definition, ON)[0].answer is Answer.UNKNOWN
