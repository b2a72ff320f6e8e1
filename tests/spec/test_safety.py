"""Safety: has suicidality been recorded lately? The window is 365 days, the acute one 14."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.trd.answers import Answer
from cds_service.trd.definitions import assess, judge
from cds_service.trd.model import Assessment
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    DiagnosisRole,
    History,
    SuicideItem,
    Topic,
    Unread,
)
from cds_service.trd.safety import judge_safety
from tests.conftest import ON
from tests.spec.people import diagnosis, history
from tests.spec.texttables import rows


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


def of(instrument: str, day: str, value: float | None) -> SuicideItem:
    reference = f"Observation/{instrument}-{day}"
    return SuicideItem(f"{instrument} item", date.fromisoformat(day), value, reference, instrument=instrument)


TWO_INSTRUMENTS = """
PHQ-9        | C-SSRS       | answer  | acute
-------------+--------------+---------+------
2026-06-18 2 | 2026-06-20 0 | met     | yes
2026-06-16 2 | 2026-06-20 0 | met     | yes
2026-06-15 2 | 2026-06-20 0 | not-met | no
2026-06-20 0 | 2026-06-18 4 | met     | yes
2026-06-20 0 | 2026-03-01 4 | not-met | no
2026-06-20 2 | 2026-06-20 0 | met     | yes
2026-06-20 0 | 2026-06-20 1 | met     | yes
2026-03-01 2 | 2026-03-01 0 | met     | no
2026-06-20 0 | 2026-06-20 0 | not-met | no
2026-06-18 0 | 2026-06-20 ? | unknown | no
2026-06-20 0 | 2026-06-18 ? | not-met | no
2026-06-18 2 | 2026-06-20 ? | met     | yes
2025-06-30 2 | 2025-06-29 0 | met     | no
2025-06-29 2 | 2025-06-29 4 | unknown | no
"""


@pytest.mark.parametrize(
    "case", rows(TWO_INSTRUMENTS), ids=lambda case: f"{case['PHQ-9']} | {case['C-SSRS']}"
)
def test_a_denial_on_one_instrument_does_not_silence_an_acute_sign_on_another(
    case: dict[str, str], definition: Definition
) -> None:
    given = [(name, *case[name].split()) for name in ("PHQ-9", "C-SSRS")]
    items = tuple(of(name, day, None if value == "?" else float(value)) for name, day, value in given)
    for order in (items, items[::-1]):
        finding, is_acute = judge_safety(history(suicide_items=order), definition, ON)
        assert (finding.answer.value, is_acute) == (case["answer"], case["acute"] == "yes")


def test_a_newer_denial_is_said_beside_the_sign(definition: Definition) -> None:
    items = (of("PHQ-9", "2026-06-18", 2), of("C-SSRS", "2026-06-20", 0))
    finding, _ = judge_safety(history(suicide_items=items), definition, ON)
    assert finding.text == "PHQ-9 item answered 2 on 2026-06-18; C-SSRS item answered 0 on 2026-06-20"
    assert finding.evidence == ("Observation/PHQ-9-2026-06-18", "Observation/C-SSRS-2026-06-20")


def test_a_newer_denial_on_the_same_instrument_decides(definition: Definition) -> None:
    items = (of("C-SSRS", "2026-06-18", 4), of("C-SSRS", "2026-06-20", 0))
    assert judge_safety(history(suicide_items=items), definition, ON)[0].answer is Answer.NOT_MET


def assessed(patient: History, definition: Definition) -> Assessment:
    return assess(patient, judge(patient, (), definition, ON), ON)


WHATEVER_THE_REST_SAYS = [
    # what else is recorded, the verdict
    ({"diagnoses": (diagnosis(), diagnosis(DiagnosisRole.EXCLUSION, "bipolar"))}, "excluded"),
    ({"born_earliest": date(2012, 1, 1), "born_latest": date(2012, 1, 1)}, "excluded"),
    ({"unread": (Unread("MedicationRequest search", "failed", (Topic.DRUGS,)),)}, "indeterminate"),
    ({}, "not-met"),
]


@pytest.mark.parametrize(("given", "verdict"), WHATEVER_THE_REST_SAYS)
@pytest.mark.parametrize("instrument", ["PHQ-9", "C-SSRS"])
def test_the_sign_is_found_whatever_the_verdict(
    given: dict[str, object], verdict: str, instrument: str, definition: Definition
) -> None:
    assessment = assessed(history(suicide_items=(of(instrument, "2026-06-20", 1),), **given), definition)
    assert assessment.verdict.value == verdict
    assert (assessment.safety.answer, assessment.suicidality_is_acute) == (Answer.MET, True)


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


def test_of_several_denials_the_newest_is_told(definition: Definition) -> None:
    denied = [item("2026-06-01", 0), item("2026-06-20", 0), item("2026-06-10", 0)]
    found, _ = judge_safety(history(suicide_items=tuple(denied)), definition, ON)
    assert (found.criterion, found.answer) == ("safety", Answer.NOT_MET)
    assert found.text.endswith("answered 0 on 2026-06-20")


def test_of_several_denials_after_a_sign_the_newest_is_said_beside_it(definition: Definition) -> None:
    told = (of("C-SSRS", "2026-06-25", 1), of("PHQ-9", "2026-06-28", 0), of("PHQ-9", "2026-06-26", 0))
    found, _ = judge_safety(history(suicide_items=told), definition, ON)
    assert found.answer is Answer.MET
    assert found.text.endswith("answered 0 on 2026-06-28")
