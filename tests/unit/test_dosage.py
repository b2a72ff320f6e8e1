"""One dosage of a named product, in mg per day: structure, text, and both together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cds_service.fhir_reading.dosage import DailyDose, is_as_needed, read_dosage
from cds_service.fhir_reading.drugs import Recognised, recognise
from cds_service.fhir_reading.elements import CodeableConcept, Dosage

DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}


def doses(product: str, **dosage: Any) -> tuple[DailyDose, ...]:
    drug = recognise(CodeableConcept(text=product))
    assert isinstance(drug, Recognised)
    return read_dosage(msgspec.convert(dosage, Dosage), drug)


def mg(product: str, **dosage: Any) -> tuple[float | None, float | None]:
    (dose,) = doses(product, **dosage)
    return dose.low_mg, dose.high_mg


def amount(value: object, unit: str | None = "tablet", **more: Any) -> dict[str, Any]:
    return {"doseAndRate": [{"doseQuantity": {"value": value} | ({"unit": unit} if unit else {}) | more}]}


UNKNOWN = (None, None)


@pytest.mark.parametrize(
    ("product", "value", "unit", "expected"),
    [
        ("sertraline 50 mg tablet", 2, "TAB", 100),
        ("sertraline 50 mg tablet", 2, "{tbl}", 100),
        ("sertraline 50 mg tablet", 0.5, "tablet(s)", 25),
        ("sertraline", 100, "mg", 100),
        ("sertraline", 0.1, "g", 100),
        ("sertraline", 100000, "ug", 100),
        ("sertraline 50 mg", 1, None, 50),
        ("sertraline 50 mg", 2, None, 100),
        ("escitalopram 1 mg/mL oral solution", 10, "mL", 10),
        ("fluoxetine 20mg/5ml", 5, "ml", 20),
        ("Emsam 6 mg/24 hr", 1, "patch", 6),
        ("bupropion hydrobromide 348 MG", 1, "tablet", 300),
        ("olanzapine 6 mg / fluoxetine 25 mg", 1, "capsule", 25),
    ],
)
def test_structured_amounts_once_daily(product: str, value: float, unit: str | None, expected: float) -> None:
    assert mg(product, timing=DAILY, **amount(value, unit)) == (expected, expected)


@pytest.mark.parametrize(
    ("product", "value", "unit"),
    [
        ("sertraline 50 mg", -1, "tablet"),
        ("sertraline 50 mg", 0, "tablet"),
        ("sertraline 50 mg", 10**400, "tablet"),
        ("sertraline 50 mg", float("inf"), "tablet"),
        ("sertraline 50 mg", 5000, "mg"),
        ("sertraline 50 mg", 50, None),
        ("sertraline 5 mg", 5, None),
        ("sertraline", 1, "tablet"),
        ("sertraline 50 mg", 1, "mL"),
        ("sertraline 50 mg", 1, "teaspoon"),
        ("sertraline 50 mg", 10, "drop"),
        ("sertraline 50 mg", 2, "spray"),
        ("sertraline 50 mg", 1, "glorp"),
        ("fluoxetine 90 mg capsule", 1, "capsule"),
        ("Symbyax", 25, "mg"),
    ],
)
def test_amounts_without_an_honest_reading(product: str, value: float, unit: str | None) -> None:
    assert mg(product, timing=DAILY, **amount(value, unit)) == UNKNOWN


def test_the_largest_believed_dose_is_three_times_the_labelled_maximum() -> None:
    assert mg("sertraline", timing=DAILY, **amount(600, "mg")) == (600, 600)
    assert mg("sertraline", timing=DAILY, **amount(600.5, "mg")) == UNKNOWN


def test_unit_and_code_must_agree() -> None:
    assert mg("sertraline 50 mg", timing=DAILY, **amount(50, "tablet", code="mg")) == UNKNOWN
    assert mg("sertraline 50 mg", timing=DAILY, **amount(1, "tablet", code="428673006")) == (50, 50)


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ({"frequency": 2, "period": 1, "periodUnit": "d"}, (100, 100)),
        ({"frequency": 1, "frequencyMax": 2, "period": 1, "periodUnit": "d"}, (50, 100)),
        ({"frequency": 1, "period": 2, "periodUnit": "d"}, (25, 25)),
        ({"frequency": 1, "period": 12, "periodUnit": "h"}, (100, 100)),
        ({"frequency": 1, "period": 1, "periodMax": 2, "periodUnit": "d"}, (25, 50)),
        ({"period": 1, "periodUnit": "d"}, (50, 50)),
        ({"frequency": 7, "period": 1, "periodUnit": "wk"}, (50, 50)),
        ({"timeOfDay": ["08:00:00", "20:00:00"]}, (100, 100)),
        ({"when": ["MORN"]}, (50, 50)),
        ({"when": ["MORN", "HS"]}, (100, 100)),
        ({"when": ["MORN", "HS"], "frequency": 2, "period": 1, "periodUnit": "d"}, (100, 100)),
        ({"dayOfWeek": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, (50, 50)),
        ({"when": ["MORN", "HS"], "frequency": 1, "period": 1, "periodUnit": "d"}, UNKNOWN),
        ({"frequency": 0, "period": 1, "periodUnit": "d"}, UNKNOWN),
        ({"frequency": -1, "period": 1, "periodUnit": "d"}, UNKNOWN),
        ({"frequency": 1, "period": 0, "periodUnit": "d"}, UNKNOWN),
        ({"frequency": 1, "period": 1, "periodUnit": "fortnight"}, UNKNOWN),
        ({"frequency": 1, "period": 1}, UNKNOWN),
        ({"frequency": 1, "period": 1, "periodUnit": "min"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_repeat(repeat: dict[str, Any], expected: tuple[float | None, float | None]) -> None:
    assert mg("sertraline 50 mg", timing={"repeat": repeat}, **amount(1)) == expected


@pytest.mark.parametrize(
    ("code", "expected"), [("QD", 50), ("BID", 100), ("TID", 150), ("QOD", 25), ("AM", 50)]
)
def test_timing_code(code: str, expected: float) -> None:
    timing = {"code": {"coding": [{"code": code}]}}
    assert mg("sertraline 50 mg", timing=timing, **amount(1)) == (expected, expected)


def test_timing_code_and_repeat_must_agree() -> None:
    timing = {"code": {"coding": [{"code": "BID"}]}, **DAILY}
    assert mg("sertraline 50 mg", timing=timing, **amount(1)) == UNKNOWN


def test_a_dose_range_keeps_both_ends() -> None:
    ends = {"low": {"value": 1, "unit": "tablet"}, "high": {"value": 2, "unit": "tablet"}}
    assert mg("sertraline 50 mg", timing=DAILY, doseAndRate=[{"doseRange": ends}]) == (50, 100)
    assert (
        mg("sertraline 50 mg", timing=DAILY, doseAndRate=[{"doseRange": {"high": ends["high"]}}]) == UNKNOWN
    )


def test_the_ordered_dose_is_preferred_to_the_calculated_one() -> None:
    def dose(kind: str, value: float) -> dict[str, Any]:
        return {"type": {"coding": [{"code": kind}]}, "doseQuantity": {"value": value, "unit": "mg"}}

    both = [dose("calculated", 55), dose("ordered", 50)]
    assert mg("sertraline", timing=DAILY, doseAndRate=both) == (50, 50)
    assert mg("sertraline", timing=DAILY, doseAndRate=[dose("x", 55), dose("y", 50)]) == UNKNOWN


@pytest.mark.parametrize(
    ("product", "text", "expected"),
    [
        ("sertraline 50 mg", "2 tabs daily", (100, 100)),
        ("sertraline", "2 x 50 mg tablets daily", (100, 100)),
        ("sertraline", "Take 1 tablet (50 mg) daily", (50, 50)),
        ("sertraline 50 mg", "Take 2 tablets (50 mg) daily", (100, 100)),
        ("sertraline 25 mg", "Take 2 tablets (50 mg) daily", (50, 50)),
        ("sertraline", "Take 2 tablets (50 mg) daily", UNKNOWN),
        ("sertraline", "Take 2 tablets (50 mg total) daily", (50, 50)),
        ("sertraline 50 mg", "Take 2 tablets (50 mg total) daily", UNKNOWN),
        ("sertraline 50 mg", "1-2 tablets at night", (50, 100)),
        ("sertraline 50 mg", "as directed", UNKNOWN),
        ("sertraline 50 mg", "50 mg", UNKNOWN),
        ("sertraline 50 mg", "daily", UNKNOWN),
        ("escitalopram 1 mg/mL", "take 10 mL (10 mg) daily", (10, 10)),
        ("Prozac Weekly 90 mg", "1 capsule weekly", (20, 20)),
        ("fluoxetine", "90 mg weekly", (20, 20)),
        ("fluoxetine", "90 mg daily", UNKNOWN),
        ("fluoxetine 90 mg", "1 capsule twice weekly", UNKNOWN),
    ],
)
def test_text_alone(product: str, text: str, expected: tuple[float | None, float | None]) -> None:
    assert mg(product, text=text) == expected
    assert mg(product, patientInstruction=text) == expected


@pytest.mark.parametrize(
    ("text", "tablets", "expected"),
    [
        ("Take 2 tablets daily", 2, (100, 100)),
        ("100 mg daily", 2, (100, 100)),
        ("Take 2 tablets by mouth", 2, (100, 100)),
        ("50 mg tablet", 2, (100, 100)),
        ("as directed", 2, (100, 100)),
        ("Take 1 tablet daily", 2, UNKNOWN),
        ("Take 2 tablets twice daily", 2, UNKNOWN),
        ("twice daily", 2, UNKNOWN),
        ("150 mg daily", 2, UNKNOWN),
        ("1 tablet daily for 7 days, then 2 tablets daily", 2, UNKNOWN),
        ("2 tablets daily; may increase to 3 tablets", 2, UNKNOWN),
    ],
)
def test_text_beside_a_complete_structure(
    text: str, tablets: float, expected: tuple[float | None, float | None]
) -> None:
    assert mg("sertraline 50 mg", text=text, timing=DAILY, **amount(tablets)) == expected


def test_the_missing_half_comes_from_the_text() -> None:
    assert mg("sertraline 50 mg", text="twice daily", **amount(1)) == (100, 100)
    assert mg("sertraline 50 mg", text="2 tablets", timing=DAILY) == (100, 100)
    assert mg("sertraline 50 mg", **amount(1)) == UNKNOWN


def test_the_text_tells_mg_when_the_strength_of_the_product_is_unknown() -> None:
    assert mg("sertraline", text="50 mg once daily", timing=DAILY, **amount(1)) == (50, 50)


def test_text_and_patient_instruction_must_agree() -> None:
    assert mg("sertraline", text="50 mg daily", patientInstruction="100 mg daily") == UNKNOWN
    assert mg("sertraline", text="50 mg daily", patientInstruction="with food") == (50, 50)


def test_steps_of_a_titration_keep_their_days() -> None:
    steps = doses("venlafaxine 75 mg", text="1 capsule daily for 7 days, then 2 capsules daily")
    assert [(dose.low_mg, dose.days) for dose in steps] == [(75, 7), (150, None)]


def test_the_arithmetic_is_shown() -> None:
    (dose,) = doses("sertraline 50 mg", timing=DAILY, **amount(2))
    assert dose.text == "2 × 50 mg × 1/day = 100 mg/day"


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        ({"asNeededBoolean": True}, True),
        ({"asNeededCodeableConcept": {"text": "sleep"}}, True),
        ({"text": "1 tablet prn"}, True),
        ({"text": "1 tablet prn", "asNeededBoolean": False}, None),
        ({"text": "1 tablet daily", "asNeededBoolean": False}, False),
        ({}, False),
    ],
)
def test_as_needed(dosage: dict[str, Any], expected: bool | None) -> None:
    assert is_as_needed(msgspec.convert(dosage, Dosage)) is expected


def test_a_modifier_extension_makes_the_dose_unknown() -> None:
    assert (
        mg("sertraline", text="50 mg daily", modifierExtension=[{"url": "http://example.org/not"}]) == UNKNOWN
    )
