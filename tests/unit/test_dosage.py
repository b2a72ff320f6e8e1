"""One dosage of a named product, in mg per day: structure, text, and both together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cds_service.fhir_reading.dosage import DailyDose, is_as_needed, read_dosage
from cds_service.fhir_reading.drugs import Recognised, recognise
from cds_service.fhir_reading.elements import CodeableConcept, Dosage
from cds_service.tables.drugs import PackPart

DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}


def recognised(product: str) -> Recognised:
    drug = recognise(CodeableConcept(text=product))
    assert isinstance(drug, Recognised)
    return drug


def doses(product: str, **dosage: Any) -> tuple[DailyDose, ...]:
    return read_dosage(msgspec.convert(dosage, Dosage), recognised(product))


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
        ("sertraline 50 mg", 1, "mg"),
        ("sertraline 50 mg", 1, "U"),
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
        # every unit of a period
        ({"frequency": 1, "period": 86400, "periodUnit": "s"}, (50, 50)),
        ({"frequency": 1, "period": 1440, "periodUnit": "min"}, (50, 50)),
        ({"frequency": 2, "period": 2, "periodUnit": "wk"}, (7.142857, 7.142857)),
        ({"frequency": 30, "period": 1, "periodUnit": "mo"}, (50, 50)),
        ({"frequency": 365, "period": 1, "periodUnit": "a"}, (50, 50)),
        # events of the day; at meals only with a frequency; frequency and events must fit
        ({"when": ["MORN.early", "EVE.late"]}, (100, 100)),
        ({"when": ["CM", "CD", "CV"]}, (150, 150)),
        ({"when": ["WAKE"]}, (50, 50)),
        ({"when": ["PHS"]}, (50, 50)),
        ({"when": ["ACM"], "offset": 30, "frequency": 1, "period": 1, "periodUnit": "d"}, (50, 50)),
        ({"when": ["AC"]}, UNKNOWN),
        ({"when": ["C"], "period": 1, "periodUnit": "d"}, UNKNOWN),
        ({"when": ["PC"], "frequency": 3, "period": 1, "periodUnit": "d"}, (150, 150)),
        ({"when": ["MORN", "CM"]}, UNKNOWN),
        ({"when": ["MORN", "CM"], "frequency": 1, "period": 1, "periodUnit": "d"}, (50, 50)),
        ({"when": ["MORN", "EVE"], "frequency": 14, "period": 1, "periodUnit": "wk"}, (100, 100)),
        ({"when": ["MORN"], "frequency": 3, "period": 1, "periodUnit": "wk"}, (21.428571, 21.428571)),
        ({"when": ["MORN"], "frequency": 2, "period": 1, "periodUnit": "d"}, UNKNOWN),
        ({"when": ["MORN"], "frequency": 1, "period": 12, "periodUnit": "h"}, UNKNOWN),
        ({"when": ["ELEVENSES"]}, UNKNOWN),
        ({"timeOfDay": ["08:00", "08:00:00"]}, (50, 50)),
        ({"timeOfDay": ["25:00:00"]}, UNKNOWN),
        ({"timeOfDay": ["08:00:00"], "frequency": 1}, (50, 50)),
        ({"timeOfDay": ["08:00:00"], "frequency": 3}, UNKNOWN),
        # days of the week
        ({"dayOfWeek": ["mon", "wed", "fri"]}, (21.428571, 21.428571)),
        ({"dayOfWeek": ["mon", "thu"], "period": 1, "periodUnit": "wk"}, (14.285714, 14.285714)),
        ({"dayOfWeek": ["mon"], "frequency": 1, "period": 2, "periodUnit": "wk"}, (3.571429, 3.571429)),
        ({"dayOfWeek": ["mon", "tue"], "when": ["MORN", "HS"]}, (28.571429, 28.571429)),
        ({"dayOfWeek": ["mon", "thu"], "frequency": 1, "period": 1, "periodUnit": "wk"}, UNKNOWN),
        ({"dayOfWeek": ["mon", "day"]}, UNKNOWN),
        # how long one application lasts, and counts
        ({"frequency": 1, "period": 1, "periodUnit": "d", "duration": 5, "durationUnit": "min"}, (50, 50)),
        ({"count": 1}, (50, 50)),
        ({"count": 10}, UNKNOWN),
        ({"count": 10, "frequency": 1, "period": 1, "periodUnit": "d"}, (50, 50)),
    ],
)
def test_repeat(repeat: dict[str, Any], expected: tuple[float | None, float | None]) -> None:
    assert mg("sertraline 50 mg", timing={"repeat": repeat}, **amount(1)) == expected


GTS = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ({"code": "QD"}, (50, 50)),
        ({"code": "BID"}, (100, 100)),
        ({"code": "TID"}, (150, 150)),
        ({"code": "QOD"}, (25, 25)),
        ({"code": "AM"}, (50, 50)),
        ({"system": GTS, "code": "BED"}, (50, 50)),
        ({"system": GTS, "code": "PM"}, (50, 50)),
        ({"system": GTS, "code": "HS"}, (50, 50)),
        ({"system": GTS, "code": "Q6H"}, (200, 200)),
        ({"system": GTS, "code": "Q8H"}, (150, 150)),
        ({"system": GTS, "code": "WK"}, (7.142857, 7.142857)),
        ({"system": GTS, "code": "QD", "display": "once daily"}, (50, 50)),
        ({"system": "http://snomed.info/sct", "code": "229797004"}, (50, 50)),
        ({"system": "http://snomed.info/sct", "code": "229799001", "display": "Twice a day"}, (100, 100)),
        ({"system": "http://snomed.info/sct", "code": "225760004"}, (25, 25)),
        ({"system": "http://snomed.info/sct", "code": "396107007"}, (50, 100)),
        ({"system": "http://snomed.info/sct", "code": "1"}, UNKNOWN),
        ({"system": "urn:oid:1.2.3", "code": "4711", "display": "Nightly"}, (50, 50)),
        ({"system": "urn:oid:1.2.3", "code": "4711"}, UNKNOWN),
        ({"system": GTS, "code": "BID", "display": "once daily"}, UNKNOWN),
    ],
)
def test_timing_code(code: dict[str, Any], expected: tuple[float | None, float | None]) -> None:
    timing = {"code": {"coding": [code]}}
    assert mg("sertraline 50 mg", timing=timing, **amount(1)) == expected


def test_a_code_tells_how_often_when_the_repeat_only_says_at_meals() -> None:
    timing = {"repeat": {"when": ["AC"]}, "code": {"coding": [{"system": GTS, "code": "TID"}]}}
    assert mg("sertraline 50 mg", timing=timing, **amount(1)) == (150, 150)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["2026-01-05T08:00:00Z"], (50, 50)),
        (["2026-01-05T08:00:00Z", "2026-01-05T20:00:00Z"], (100, 100)),
        (["2026-01-05", "2026-01-06", "2026-01-07"], (50, 50)),
        (["2026-01-07", "2026-01-05", "2026-01-09"], (25, 25)),
        (["2026-01-05T08:00:00Z", "2026-01-05T20:00:00Z", "2026-01-06T08:00:00Z", "2026-01-06T20:00:00Z"],
         (100, 100)),
        (["2026-01-05", "2026-01-06", "2026-01-08"], UNKNOWN),
        (["2026-01-05", "2026-04-05"], UNKNOWN),
        (["2026-01", "2026-02"], UNKNOWN),
        (["soon"], UNKNOWN),
        (["9999-12-31", "9999-12-30"], (50, 50)),
    ],
)  # fmt: skip
def test_events(events: list[str], expected: tuple[float | None, float | None]) -> None:
    assert mg("sertraline 50 mg", timing={"event": events}, **amount(1)) == expected


def test_events_and_repeat_must_agree() -> None:
    every_other_day = ["2026-01-05", "2026-01-07", "2026-01-09"]
    assert mg("sertraline 50 mg", timing={"event": every_other_day, **DAILY}, **amount(1)) == UNKNOWN
    assert mg("sertraline 50 mg", timing={"event": ["2026-01-05"], **DAILY}, **amount(1)) == (50, 50)


def test_timing_code_and_repeat_must_agree() -> None:
    timing = {"code": {"coding": [{"code": "BID"}]}, **DAILY}
    assert mg("sertraline 50 mg", timing=timing, **amount(1)) == UNKNOWN


def test_a_dose_range_keeps_both_ends() -> None:
    ends = {"low": {"value": 1, "unit": "tablet"}, "high": {"value": 2, "unit": "tablet"}}
    assert mg("sertraline 50 mg", timing=DAILY, doseAndRate=[{"doseRange": ends}]) == (50, 100)
    assert (
        mg("sertraline 50 mg", timing=DAILY, doseAndRate=[{"doseRange": {"high": ends["high"]}}]) == UNKNOWN
    )


def test_a_dose_range_may_begin_at_none() -> None:
    ends = {"low": {"value": 0, "unit": "tablet"}, "high": {"value": 2, "unit": "tablet"}}
    assert mg("sertraline 50 mg", timing=DAILY, doseAndRate=[{"doseRange": ends}]) == (0, 100)


@pytest.mark.parametrize(("mg_given", "expected"), [(50, (50, 50)), (100, UNKNOWN)])
def test_two_doses_without_a_type_must_be_the_same(
    mg_given: float, expected: tuple[float | None, float | None]
) -> None:
    given = [
        {"doseQuantity": {"value": 1, "unit": "tablet"}},
        {"doseQuantity": {"value": mg_given, "unit": "mg"}},
    ]
    assert mg("sertraline 50 mg", timing=DAILY, doseAndRate=given) == expected


@pytest.mark.parametrize(
    ("product", "unit", "expected"),
    [
        ("sertraline 50 mg oral tablet", "50 mg oral tablet", 100),
        ("Sertraline 50 MG Oral Tablet", "Sertraline 50 MG Oral Tablet", 100),
        ("sertraline 50 mg oral tablet", "100 mg oral tablet", None),
        ("sertraline 50 mg oral tablet", "tablet of something", None),
        ("sertraline 50 mg oral tablet", "50 mg", None),
    ],
)
def test_a_unit_in_the_words_of_the_product(product: str, unit: str, expected: float | None) -> None:
    assert mg(product, timing=DAILY, **amount(2, unit)) == (expected, expected)


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (2, "Take 2 tablets daily", 100),
        (2, "Take 3 tablets daily", None),
        (2, "daily", None),
        (2, "Take 2 daily", None),
        (2, "Take 2 tablets daily for 7 days then 3 tablets daily", None),
    ],
)
def test_a_number_in_a_unit_of_nobody_is_what_the_text_says_of_it(
    value: float, text: str, expected: float | None
) -> None:
    assert mg("sertraline 50 mg", text=text, timing=DAILY, **amount(value, "glorp")) == (expected, expected)
    without_timing = mg("sertraline 50 mg", text=text, **amount(value, "glorp"))
    assert without_timing == (expected, expected)


def rate(numerator: dict[str, Any], denominator: dict[str, Any]) -> dict[str, Any]:
    return {"doseAndRate": [{"rateRatio": {"numerator": numerator, "denominator": denominator}}]}


PATCH = "Emsam 6 mg/24 hr transdermal patch"
MG_PER_HOUR = {"doseAndRate": [{"rateQuantity": {"value": 0.25, "unit": "mg/h"}}]}


@pytest.mark.parametrize(
    ("product", "dosage", "expected"),
    [
        (PATCH, MG_PER_HOUR, (6, 6)),
        (PATCH, MG_PER_HOUR | {"timing": DAILY}, (6, 6)),
        (PATCH, rate({"value": 6, "unit": "mg"}, {"value": 24, "unit": "h"}), (6, 6)),
        (PATCH, {"doseAndRate": [{"rateQuantity": {"value": 6, "unit": "mg/24.h"}}]}, (6, 6)),
        (
            PATCH,
            {"doseAndRate": [{"rateRange": {"low": {"value": 0.25, "unit": "mg/h"},
                                            "high": {"value": 0.5, "unit": "mg/h"}}}]},
            (6, 12),
        ),
        ("sertraline", rate({"value": 100, "unit": "mg"}, {"value": 1, "unit": "d"}), (100, 100)),
        ("sertraline", rate({"value": 700, "unit": "mg"}, {"value": 1, "unit": "wk"}), (100, 100)),
        ("sertraline 50 mg", rate({"value": 2, "unit": "tablet"}, {"value": 1, "unit": "day"}), (100, 100)),
        (
            "clomipramine",
            {"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "duration": 2, "durationUnit": "h"}},
             "doseAndRate": [{"rateQuantity": {"value": 25, "unit": "mg/h"}}]},
            (50, 50),
        ),
        ("sertraline", amount(100, "mg/d"), (100, 100)),
        ("sertraline", amount(100, "mg/day") | {"timing": DAILY}, (100, 100)),
        ("sertraline", amount(100, "mg/day") | {"timing": {"code": {"text": "twice daily"}}}, UNKNOWN),
        (PATCH, amount(0.25, "mg/h") | {"timing": DAILY}, (6, 6)),
        ("sertraline", amount(2, "mg/kg/d"), UNKNOWN),
        ("clomipramine", {"doseAndRate": [{"rateQuantity": {"value": 25, "unit": "mg/h"}}]}, UNKNOWN),
        ("clomipramine", {"doseAndRate": [{"rateQuantity": {"value": 25, "unit": "mg/h"}}], "timing": DAILY}, UNKNOWN),
        ("clomipramine", {"doseAndRate": [{"rateQuantity": {"value": 25, "unit": "mg/kg/h"}}]}, UNKNOWN),
        ("clomipramine", {"doseAndRate": [{"rateQuantity": {"value": 25, "unit": "drops"}}]}, UNKNOWN),
        ("sertraline", rate({"value": 100, "unit": "mg"}, {}), UNKNOWN),
        ("sertraline", rate({"value": 100, "unit": "mg"}, {"value": 0, "unit": "d"}), UNKNOWN),
        # beside an amount a rate only says how fast
        (
            "escitalopram 1 mg/mL",
            {"timing": DAILY, "doseAndRate": [{"doseQuantity": {"value": 10, "unit": "mL"},
                                               "rateQuantity": {"value": 5, "unit": "mL/min"}}]},
            (10, 10),
        ),
    ],
)  # fmt: skip
def test_rates(product: str, dosage: dict[str, Any], expected: tuple[float | None, float | None]) -> None:
    assert mg(product, **dosage) == expected


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ({"frequency": 1, "period": 1, "periodUnit": "d"}, 6),
        ({"frequency": 1, "period": 24, "periodUnit": "h", "duration": 24, "durationUnit": "h"}, 6),
        ({"frequency": 1, "period": 1, "periodUnit": "d", "duration": 16, "durationUnit": "h"}, None),
        ({"frequency": 1, "period": 3, "periodUnit": "d"}, None),
        ({"frequency": 3, "period": 1, "periodUnit": "wk"}, None),
        ({"frequency": 2, "period": 1, "periodUnit": "d"}, None),
    ],
)
def test_a_patch_gives_its_strength_when_it_is_changed_every_day(
    repeat: dict[str, Any], expected: float | None
) -> None:
    assert mg(PATCH, timing={"repeat": repeat}, **amount(1, "patch")) == (expected, expected)


def at_most(value: object, unit: str | None, days: float = 1) -> dict[str, Any]:
    numerator = {"value": value} | ({"unit": unit} if unit else {})
    return {"maxDosePerPeriod": {"numerator": numerator, "denominator": {"value": days, "unit": "d"}}}


ONE_TO_FOUR = {"low": {"value": 1, "unit": "tablet"}, "high": {"value": 4, "unit": "tablet"}}


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        # above the dose it changes nothing, below its low end it contradicts, between it caps
        (amount(2) | {"timing": DAILY} | at_most(100, "mg"), (100, 100)),
        (amount(2) | {"timing": DAILY} | at_most(2, "tablet"), (100, 100)),
        (amount(2) | {"timing": DAILY} | at_most(700, "mg", 7), (100, 100)),
        (amount(2) | {"timing": DAILY} | at_most(50, "mg"), UNKNOWN),
        (amount(2) | {"timing": DAILY} | at_most(1, "tablet"), UNKNOWN),
        ({"doseAndRate": [{"doseRange": ONE_TO_FOUR}], "timing": DAILY} | at_most(150, "mg"), (50, 150)),
        # alone it is all that is known
        (at_most(150, "mg"), (0, 150)),
        ({"text": "as directed"} | at_most(3, "tablets"), (0, 150)),
        (amount(1) | at_most(150, "mg"), (0, 150)),
        # it changes nothing when it cannot be put into mg
        (amount(2) | {"timing": DAILY} | at_most(1, None), (100, 100)),
        (amount(2) | {"timing": DAILY} | at_most(1, "mL"), (100, 100)),
        (amount(2) | {"timing": DAILY} | at_most(1, "glorp"), (100, 100)),
        (amount(2) | {"timing": DAILY} | at_most(-1, "mg"), (100, 100)),
        (amount(2) | {"timing": DAILY} | at_most(1, "mg", 0), (100, 100)),
        (at_most(1, "mL"), UNKNOWN),
        # a contradiction and a dose beyond belief stay unknown
        ({"text": "1 tablet daily", "timing": DAILY} | amount(2) | at_most(200, "mg"), UNKNOWN),
        (amount(5000, "mg") | {"timing": DAILY} | at_most(6000, "mg"), UNKNOWN),
    ],
)
def test_a_stated_maximum(dosage: dict[str, Any], expected: tuple[float | None, float | None]) -> None:
    assert mg("sertraline 50 mg", **dosage) == expected


def test_a_stated_maximum_is_named() -> None:
    (above,) = doses("sertraline 50 mg", timing=DAILY, **amount(2), **at_most(50, "mg"))
    assert "is more than the maximum it states (50 mg/day)" in above.text
    (alone,) = doses("sertraline 50 mg", **at_most(150, "mg"))
    assert alone.text.startswith("at most 150 mg/day, the maximum it states")


def test_a_pack_is_taken_in_the_order_of_its_parts() -> None:
    pack = replace(recognised("vilazodone"), contents=(PackPart(7, 10), PackPart(23, 20)))
    steps = read_dosage(msgspec.convert({"timing": DAILY, **amount(1)}, Dosage), pack)
    assert [(step.low_mg, step.high_mg, step.days) for step in steps] == [(10, 10, 7), (20, 20, 23)]
    in_words = read_dosage(Dosage(text="Take 1 tablet daily"), pack)
    assert in_words == steps


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


# --- the shapes of the examples of the specification, with values of our own ---------------------------

BOUNDS = {"boundsPeriod": {"start": "2026-01-16", "end": "2026-01-22"}}


@pytest.mark.parametrize(
    ("product", "dosage", "expected"),
    [
        # text and structure that say the same
        (
            "sertraline 50 mg",
            {
                "text": "Take 3 tablets daily for 7 days",
                "timing": {"repeat": DAILY["repeat"] | BOUNDS},
                **amount(3, "TAB", code="TAB"),
            },
            (150, 150),
        ),
        (
            "sertraline",
            {"text": "75mcg daily", "timing": DAILY, **amount(75, "mcg", code="mcg")},
            (0.075, 0.075),
        ),
        ("sertraline", {"text": "25mg once daily", "timing": DAILY, **amount(25, "mg")}, (25, 25)),
        (
            "clomipramine",
            {
                "text": "25mg IV q6h x 3 days",
                "timing": {"repeat": {"frequency": 1, "period": 6, "periodUnit": "h"}},
                **amount(25, "mg"),
            },
            (100, 100),
        ),
        (
            "escitalopram 1 mg/mL",
            {
                "text": "5ml three times daily",
                "asNeededBoolean": False,
                **amount(5, "mL"),
                **at_most(3, None),
            },
            (15, 15),
        ),
        # no words of an amount, and a piece of each
        (
            "sertraline 50 mg",
            {
                "text": "Apply to affected areas at 9am daily",
                "timing": {"repeat": {"timeOfDay": ["09:00:00"]}},
                **amount(1, "ea", code="ea"),
            },
            (50, 50),
        ),
        (
            "sertraline 50 mg",
            {
                "text": "Apply twice daily",
                "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                **amount(1, "ea", code="ea"),
            },
            (100, 100),
        ),
        # once and for all
        (
            "trazodone",
            {
                "text": "Administer 150mg as a single dose",
                "timing": {"repeat": {"count": 1}},
                **amount(150, "mg"),
            },
            (150, 150),
        ),
        # text and structure that do not
        (
            "sertraline 50 mg",
            {
                "text": "One tablet daily for 4 days",
                "timing": {"repeat": {"frequency": 4, "period": 1, "periodUnit": "d"}},
                **amount(1, "TAB", code="TAB"),
            },
            UNKNOWN,
        ),
        (
            "sertraline",
            {
                "text": "75mg (=one 50mg tablet PLUS one 25mg tablet) once daily",
                "timing": DAILY,
                **amount(50, "mg"),
            },
            UNKNOWN,
        ),
        (
            "clomipramine",
            {
                "text": "Rapid escalation, until tolerated, from 25 mg/d, and then 50 mg/d, to 150 mg",
                "timing": {
                    "repeat": {
                        "duration": 12,
                        "durationUnit": "wk",
                        "frequency": 3,
                        "period": 1,
                        "periodUnit": "wk",
                    }
                },
                **amount(25, "mg"),
            },
            UNKNOWN,
        ),
        # units that give no mg, and rates
        ("sertraline 50 mg", {"timing": DAILY, **amount(10, "U", code="U")}, UNKNOWN),
        ("sertraline", {"timing": DAILY, **amount(100, "mg/m2", code="mg/m2")}, UNKNOWN),
        ("sertraline", {"timing": DAILY, **amount(2, "mEq", code="mEq")}, UNKNOWN),
        (
            "clomipramine",
            {
                "text": "4mcg/kg/min",
                "timing": {"repeat": {"duration": 33.33, "durationUnit": "h"}},
                "doseAndRate": [{"rateQuantity": {"value": 20, "unit": "ug/min"}}],
            },
            UNKNOWN,
        ),
        (
            "sertraline 50 mg",
            {"text": "apply once daily", "timing": {"repeat": DAILY["repeat"] | BOUNDS}},
            UNKNOWN,
        ),
        # strength only in the name, a number without a unit
        (
            "Sertraline 100MG",
            {"timing": DAILY, "asNeededBoolean": False, "sequence": 1, **amount(1, None)},
            (100, 100),
        ),
    ],
)
def test_shapes_of_published_examples(
    product: str, dosage: dict[str, Any], expected: tuple[float | None, float | None]
) -> None:
    assert mg(product, **dosage) == expected
