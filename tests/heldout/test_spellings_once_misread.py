"""Spellings that random patients showed to be misread: the smallest chart of each, and its only right reading."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.trd.answers import Answer
from cds_service.trd.record import DiagnosisRole, History
from fhir_fixtures import builders
from tests.conftest import ON

TABLET = {"text": "sertraline 50 mg tablet"}
ONCE_DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
FIFTY_MG = {"doseAndRate": [{"doseQuantity": {"value": 50, "unit": "mg"}}], "timing": ONCE_DAILY}


def history(*resources: dict[str, Any]) -> History:
    entries = tuple(Entry(resource, None, f"entry[{at}]") for at, resource in enumerate(resources))
    return read_history(Collected("p1", entries), ON)


def days_and_dose(**order: Any) -> list[str]:
    """`first..last mg`, with `?` for days that are not certain."""
    (prescription,) = history(builders.medication_request(**order)).prescriptions
    return [
        f"{s.first_day}..{s.last_day} {s.low_mg and f'{s.low_mg:g}'}{'' if s.days_certain else '?'}"
        for s in prescription.segments
    ]


@pytest.mark.parametrize(
    ("text", "drug", "mg_per_day"),
    [
        ("1 tablet t.i.d", "sertraline 50 mg tablet", "150"),  # the last dot is often left out
        ("1 tablet b.i.d.", "sertraline 50 mg tablet", "100"),
        ("1 tablet p.o. q.d", "sertraline 50 mg tablet", "50"),
        ("Take 100 mg (2 tablets) daily", "sertraline 50 mg tablet", "100"),
        ("Take 100 mg (2 tablets) daily", "sertraline", "None"),  # the total, or the strength
        ("50 mg (1 tablet) daily", "sertraline", "50"),
        ("1 - 0 - 1", "sertraline 50 mg tablet", "100"),
        ("Take 1 tablet at the same time every day", "sertraline 50 mg tablet", "50"),
    ],
)
def test_texts(text: str, drug: str, mg_per_day: str) -> None:
    days = days_and_dose(medication=drug, dosage=text, first_day="2026-01-01", last_day="2026-02-01")
    assert days == [f"2026-01-01..2026-02-01 {mg_per_day}"]


@pytest.mark.parametrize(
    ("drug", "dosage", "dispense", "expected"),
    [
        # an amount in mg makes pieces when the strength is known
        (TABLET, FIFTY_MG, {"quantity": {"value": 30, "unit": "tablet"}}, "2026-01-01..2026-01-30 50"),
        # how long the supply lasts cannot be told: it may be over
        ({"text": "sertraline"}, FIFTY_MG, {"quantity": {"value": 30, "unit": "tablet"}}, "2026-01-01..2026-06-30 50?"),
        (TABLET, FIFTY_MG, {"quantity": {"value": 1, "unit": "bottle"}}, "2026-01-01..2026-06-30 50?"),
        # the length stands in the text, all else in the structure
        (TABLET, FIFTY_MG | {"text": "50 mg daily for 30 days"}, None, "2026-01-01..2026-01-30 50"),
        (TABLET, FIFTY_MG, None, "2026-01-01..2026-06-30 50"),
    ],
)  # fmt: skip
def test_how_long_an_active_order_lasts(
    drug: dict[str, str], dosage: dict[str, Any], dispense: dict[str, Any] | None, expected: str
) -> None:
    order = {"medication": drug, "dosage": dosage, "dispenseRequest": dispense}
    assert days_and_dose(first_day="2026-01-01", **order) == [expected]


@pytest.mark.parametrize(("system", "code"), [(builders.RXNORM, "36437"), (builders.ATC, "N06AB06")])
def test_an_ingredient_may_be_told_by_code_alone(system: str, code: str) -> None:
    strength = {"numerator": {"value": 50, "unit": "mg"}, "denominator": {"value": 1, "unit": "tablet"}}
    ingredient = {"itemCodeableConcept": builders.concept((system, code)), "strength": strength}
    local = builders.concept(("urn:oid:1.2.3", "4711"))
    contained = [{"resourceType": "Medication", "id": "m", "code": local, "ingredient": [ingredient]}]
    order = builders.medication_request(
        medication=None,
        medicationReference={"reference": "#m"},
        contained=contained,
        dosage="1 tablet daily",
        last_day="2025-12-01",
    )
    (prescription,) = history(order).prescriptions
    assert (prescription.drug and prescription.drug.ingredient, prescription.segments[0].low_mg) == (
        "sertraline",
        50,
    )


def test_a_name_that_tells_no_drug_is_not_another_drug() -> None:
    (prescription,) = history(builders.medication_request(medication="as before")).prescriptions
    assert prescription.drug is None


@pytest.mark.parametrize(
    ("code", "role", "category"),
    [
        ((builders.ICD_10_CM.removesuffix("-cm"), "F00.1"), DiagnosisRole.EXCLUSION, "dementia"),
        ("Bipolar disorder, unspecified (HCC)", DiagnosisRole.EXCLUSION, "bipolar"),
        (
            "Major depressive disorder, recurrent, in full remission (HCC)",
            DiagnosisRole.FULL_REMISSION,
            "mdd_remission",
        ),
        (
            "Major depressive disorder, recurrent severe without psychotic features",
            DiagnosisRole.DEPRESSION,
            "mdd",
        ),
    ],
)
def test_diagnoses(code: builders.Concept, role: DiagnosisRole, category: str) -> None:
    (diagnosis,) = history(builders.condition(code=code)).diagnoses
    assert (diagnosis.role, diagnosis.category, diagnosis.holds) == (role, category, Answer.MET)


@pytest.mark.parametrize("text", ["Patient Health Questionnaire (PHQ-9)", "PHQ-9 total score"])
def test_a_scale_named_in_full_with_its_short_name(text: str) -> None:
    (score,) = history(builders.observation(code=text, value=17)).scores
    assert (score.scale.name, score.value) == ("PHQ-9", 17)


@pytest.mark.parametrize(
    ("day", "is_open"), [("2025-09-01", False), ("2025", True), (None, True), ("2024", False)]
)
def test_nine_answers_one_of_which_has_no_exact_day(day: str | None, is_open: bool) -> None:
    """Eight are of 1 September; the ninth may complete them, unless it is of another year."""
    days = ["2025-09-01"] * 8 + [day]
    answers = [
        builders.observation(f"item{at}", code, 2, day=written)
        for at, (code, written) in enumerate(zip(builders.PHQ9_ITEMS, days, strict=True))
    ]
    found = history(*answers)
    on_that_day = [u for u in found.unread_scores if (u.first_day, u.last_day) == (date(2025, 9, 1),) * 2]
    assert (len(found.scores), bool(on_that_day)) == (int(day == "2025-09-01"), is_open)
