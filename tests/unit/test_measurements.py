"""What is measured beyond mood: functional scales, laboratory values and vital signs, shown as recorded."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.trd.record import Topic
from fhir_fixtures.builders import LOINC, concept, observation
from tests.unit.test_questionnaire_responses import form, read

TSH = (LOINC, "3016-3")


def shown(*resources: dict[str, Any]) -> list[str]:
    """`name value unit day`, one a measurement."""
    return [
        f"{m.name} {m.value:g} {m.unit} {m.day}".replace("  ", " ") for m in read(*resources).measurements
    ]


def value(number: Any, unit: str | None = None, **elements: Any) -> dict[str, Any]:
    return {"valueQuantity": {"value": number, **({"unit": unit} if unit else {}), **elements}}


NAMES = [
    # code, what it is
    ((LOINC, "70274-6"), "GAD-7", "anxiety"),
    ((LOINC, "75626-2"), "AUDIT-C", "screening"),
    ((LOINC, "91383-0"), "EQ-5D-5L VAS", "quality of life"),
    ((LOINC, "1988-5"), "CRP", "laboratory"),
    ((LOINC, "14334-7"), "lithium serum", "laboratory"),
    ((LOINC, "8634-8"), "QT interval", "vital sign"),
    ("WSAS", "WSAS", "function"),
    ("Work and Social Adjustment Scale (WSAS) total score", "WSAS", "function"),
    ("WHODAS 2.0", "WHODAS 2.0", "function"),
    ("Sheehan Disability Scale", "SDS (Sheehan)", "function"),
    ("PDQ-5", "PDQ-5", "cognition"),
    ("Digit Symbol Substitution Test (DSST)", "DSST", "cognition"),
    ("THINC-it", "THINC-it", "cognition"),
    (("urn:local", "77", "GAD-7 total score"), "GAD-7", "anxiety"),
]


@pytest.mark.parametrize(("code", "name", "domain"), NAMES)
def test_it_is_known_by_code_or_by_its_exact_name(code: Any, name: str, domain: str) -> None:
    history = read(observation(code=code, value=None, **value(9)))
    assert [(m.name, m.domain.value, m.value) for m in history.measurements] == [(name, domain, 9)]
    assert (history.scores, history.unread_scores, history.unread) == ((), (), ())


@pytest.mark.parametrize(
    "code", ["SDS", "Anxiety", "WSAS comment", "CRP", "GAD-7 and WSAS", (LOINC, "58410-2"), (LOINC, "1-8")]
)
def test_a_name_that_is_not_exactly_one_of_ours_is_nothing(code: Any) -> None:
    assert shown(observation(code=code, value=None, **value(9))) == []


def test_a_code_of_one_thing_and_the_name_of_a_depression_scale_are_a_doubt() -> None:
    both = {"coding": [{"system": LOINC, "code": "70274-6"}], "text": "PHQ-9"}
    history = read(observation(code=both, value=9))
    assert (history.measurements, history.scores) == ((), ())
    assert [unread.scale and unread.scale.name for unread in history.unread_scores] == ["PHQ-9"]


def test_the_unit_is_shown_as_recorded_and_nothing_is_converted() -> None:
    assert shown(observation(code=TSH, value=None, **value(2.5, "uIU/mL", code="u[IU]/mL"))) == [
        "TSH 2.5 uIU/mL 2025-09-01"
    ]
    assert shown(observation(code=TSH, value=None, **value(2.5, code="m[IU]/L"))) == [
        "TSH 2.5 m[IU]/L 2025-09-01"
    ]


def test_the_code_of_the_unit_is_kept_beside_its_words() -> None:
    (measured,) = read(
        observation(code=(LOINC, "8480-6"), value=None, **value(120, "mmHg", code="mm[Hg]"))
    ).measurements
    assert (measured.unit, measured.unit_code, measured.plain_unit) == ("mmHg", "mm[Hg]", "mmhg")


@pytest.mark.parametrize(
    ("code", "elements", "problem"),
    [
        (TSH, value(0.01, comparator="<"), "only a bound"),
        (TSH, {"valueString": "normal"}, "expected one number"),
        (TSH, {"valueQuantity": "broken"}, "at $.valueQuantity"),
        (TSH, {}, "expected one number"),
        (TSH, {"dataAbsentReason": {"text": "error"}}, "absent"),
        (TSH, {**value(2), "status": "preliminary"}, "at $.status"),
        (TSH, {**value(2), "focus": [{"reference": "Patient/p2"}]}, "at $.focus"),
        (TSH, {**value(2), "effectiveDateTime": "2025"}, "its day is not known"),
        (TSH, {**value(2), "effectiveDateTime": "2026-07-01"}, "is dated 2026-07-01"),
        ("WSAS", value(41), "expected a value from 0 to 40, found 41"),
        ("WSAS", value(-1), "expected a value from 0 to 40, found -1"),
    ],
)
def test_what_cannot_be_read_is_listed_and_changes_nothing(
    code: Any, elements: dict[str, Any], problem: str
) -> None:
    history = read(observation(code=code, value=None, **elements))
    assert (history.measurements, history.unread_scores, history.suicide_items) == ((), (), ())
    assert [unread.topics for unread in history.unread] == [(Topic.NONE,)]
    assert problem in history.unread[0].problem


def test_a_void_value_is_set_aside() -> None:
    history = read(observation(code=TSH, value=None, **value(2), status="entered-in-error"))
    assert (history.measurements, history.unread, len(history.set_aside)) == ((), (), 1)


@pytest.mark.parametrize("number", [0, 40])
def test_the_ends_of_a_scale_belong_to_it(number: int) -> None:
    assert shown(observation(code="WSAS", value=number)) == [f"WSAS {number} {{score}} 2025-09-01"]


# --- limits of functional scales ----------------------------------------------------------------------

LIMITS = [
    # name, unit, the highest total without impairment
    ("WSAS", "{score}", 9),
    ("WSAS", None, 9),
    ("WSAS", "points", 9),
    ("WSAS", "%", None),
    ("Sheehan Disability Scale", "{score}", 6),
    ("WHODAS 2.0", "%", 4),
    ("WHODAS 2.0", "{score}", None),
    ("WHODAS 2.0", None, None),
    ("PDQ-5", "{score}", None),
]


@pytest.mark.parametrize(("name", "unit", "limit"), LIMITS)
def test_a_limit_holds_only_in_the_unit_it_is_stated_for(
    name: str, unit: str | None, limit: int | None
) -> None:
    [measured] = read(observation(code=name, value=None, **value(12, unit))).measurements
    assert measured.unimpaired_at_most == limit
    assert measured.source.startswith("recalled, unverified") is (limit is not None)


CODED_UNITS = [
    # element of valueQuantity, the unit shown, the unit it is compared by
    ({"unit": "mmHg", "code": "mm[Hg]"}, "mmHg", "mmhg"),
    ({"unit": "mm[Hg]"}, "mm[Hg]", "mmhg"),
    ({"code": "mm[Hg]"}, "mm[Hg]", "mmhg"),
    ({"unit": "mmHg"}, "mmHg", "mmhg"),
    ({"unit": "mmHg", "code": "kPa"}, "mmHg", "kpa"),
    ({}, "", ""),
]


@pytest.mark.parametrize(("elements", "unit", "compared"), CODED_UNITS)
def test_a_unit_is_known_by_its_code_whatever_it_is_called(
    elements: dict[str, str], unit: str, compared: str
) -> None:
    [measured] = read(
        observation(code=(LOINC, "8480-6"), value=None, valueQuantity={"value": 132, **elements})
    ).measurements
    assert (measured.unit, measured.plain_unit) == (unit, compared)


# --- blood pressure and other components --------------------------------------------------------------


def blood_pressure(id: str = "bp", day: str = "2025-09-01", code: Any = (LOINC, "85354-9")) -> dict[str, Any]:
    parts = [
        {"code": concept((LOINC, "8480-6")), **value(142, "mmHg")},
        {"code": concept((LOINC, "8462-4")), **value(91, "mmHg")},
    ]
    return observation(id, code, None, day, component=parts)


@pytest.mark.parametrize("code", [(LOINC, "85354-9"), "Blood pressure", ("urn:local", "BP")])
def test_a_blood_pressure_is_two_components_of_any_panel(code: Any) -> None:
    assert shown(blood_pressure(code=code)) == [
        "diastolic blood pressure 91 mmHg 2025-09-01",
        "systolic blood pressure 142 mmHg 2025-09-01",
    ]


def test_a_broken_component_is_listed() -> None:
    panel = blood_pressure()
    panel["component"][0]["valueQuantity"] = {"value": "142"}
    history = read(panel)
    assert history.measurements == ()
    assert {unread.topics for unread in history.unread} == {(Topic.NONE,)}


def test_components_that_are_lost_with_the_rest_are_listed() -> None:
    panel = blood_pressure()
    panel["component"] += [{"code": 5, "valueQuantity": n} for n in range(60)]
    history = read(panel)
    assert history.measurements == ()
    assert {unread.topics for unread in history.unread} == {(Topic.NONE,)}


@pytest.mark.parametrize("components", ["broken", 5, [5], [None], [{}], [{"code": 5}], {}])
def test_nonsense_in_place_of_components_is_survived(components: Any) -> None:
    assert shown(observation(code="Blood pressure", value=None, component=components)) == []


def test_a_depression_score_among_the_components_of_another_panel_is_read() -> None:
    total = {"code": concept((LOINC, "44261-6")), "valueInteger": 14}
    resource = observation("p", "Mental health screening", None, component=[total])
    assert [score.value for score in read(resource).scores] == [14]


# --- how many -----------------------------------------------------------------------------------------


def test_the_newest_three_of_each_are_kept_in_order() -> None:
    results = [observation(f"t{n}", TSH, None, f"2025-0{n}-01", **value(n)) for n in (3, 1, 5, 2, 4)]
    assert shown(*results) == [f"TSH {n} 2025-0{n}-01" for n in (3, 4, 5)]


def test_an_older_one_stands_in_for_one_that_cannot_be_read() -> None:
    results = [observation(f"t{n}", TSH, None, f"2025-0{n}-01", **value(n)) for n in (1, 2)]
    results[1]["valueQuantity"]["comparator"] = ">"
    assert shown(*results) == ["TSH 1 2025-01-01"]


SAME_DAY = [
    # times, what is shown
    (("T08:00:00Z", "T09:00:00Z"), ["WSAS 20 {score} 2025-09-01"]),
    (("T09:00:00Z", "T08:00:00Z"), ["WSAS 10 {score} 2025-09-01"]),
    (("", ""), ["WSAS 10 {score} 2025-09-01", "WSAS 20 {score} 2025-09-01"]),
    (("T09:00:00Z", ""), ["WSAS 10 {score} 2025-09-01", "WSAS 20 {score} 2025-09-01"]),
]


@pytest.mark.parametrize(("times", "said"), SAME_DAY)
def test_of_one_day_the_latest_is_shown_or_both(times: tuple[str, str], said: list[str]) -> None:
    results = [
        observation(f"w{n}", "WSAS", n, f"2025-09-01{time}") for n, time in zip((10, 20), times, strict=True)
    ]
    assert sorted(shown(*results)) == said
    assert sorted(shown(*reversed(results))) == said


# --- forms --------------------------------------------------------------------------------------------


def test_a_total_in_a_form_is_shown() -> None:
    items = [
        {"linkId": "/70274-6", "answer": [{"valueDecimal": 11}]},
        {"linkId": "w", "text": "WSAS total score", "answer": [{"valueInteger": 22}]},
        {"linkId": "x", "text": "WSAS"},
    ]
    assert shown(form(*items)) == ["GAD-7 11 2025-09-01", "WSAS 22 2025-09-01"]


def test_in_an_unfinished_form_it_is_listed() -> None:
    history = read(form({"linkId": "/70274-6", "answer": [{"valueInteger": 11}]}, status="in-progress"))
    assert history.measurements == ()
    assert [unread.topics for unread in history.unread] == [(Topic.NONE,)]
