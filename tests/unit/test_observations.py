"""Observations: how a record says a depression score or an answer about suicide, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.observations import ObservationReading, read_observations
from cds_service.fhir_reading.references import index_resources
from cds_service.tables.scales import load_scales
from cds_service.trd.record import Topic
from fhir_fixtures.builders import LOINC, PHQ9_ITEMS, PHQ9_PANEL, concept, observation

ON = date(2026, 6, 30)
PHQ2 = (LOINC, "55758-7")
ITEM_9 = PHQ9_ITEMS[-1]
LOCAL = "urn:oid:1.2.3"


def read(*resources: dict[str, Any]) -> ObservationReading:
    entries = tuple(Entry(resource, None, f"entry[{n}]") for n, resource in enumerate(resources))
    index = index_resources(Collected("p1", entries))
    return read_observations(index.entries, index.find, ON)


def scores(*resources: dict[str, Any]) -> list[str]:
    """`scale value day`, one a score."""
    return [f"{score.scale.name} {score.value:g} {score.day}" for score in read(*resources).scores]


def doubts(*resources: dict[str, Any]) -> list[str]:
    """`scale first..last`, one an unread score."""
    return [
        f"{unread.scale.name if unread.scale else 'any'} {unread.first_day}..{unread.last_day}"
        for unread in read(*resources).unread_scores
    ]


def answers(*values: float | None, day: str = "2025-09-01") -> list[dict[str, Any]]:
    """PHQ-9 items as Observations of their own, None leaving one out."""
    return [
        observation(f"item{n}", code, value, day)
        for n, (code, value) in enumerate(zip(PHQ9_ITEMS, values, strict=True))
        if value is not None
    ]


def components(*values: float | None) -> list[dict[str, Any]]:
    return [
        {"code": concept(code), "valueInteger": value}
        for code, value in zip(PHQ9_ITEMS, values, strict=True)
        if value is not None
    ]


def members(resources: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"reference": f"Observation/{resource['id']}"} for resource in resources]


# --- which results are scores -------------------------------------------------------------------------

NAMES = [
    # code, scale
    ((LOINC, "44261-6"), "PHQ-9"),
    ((LOINC, "44249-1"), "PHQ-9"),
    (("https://loinc.org/", "44261-6"), "PHQ-9"),
    (("urn:oid:2.16.840.1.113883.6.1", "44261-6"), "PHQ-9"),
    ((LOINC, "89209-1"), "BDI-II"),
    ((LOINC, "89204-2"), "PHQ-9M"),
    ((LOINC, "99046-5"), "EPDS"),
    ("PHQ-9 total score", "PHQ-9"),
    ("PHQ9", "PHQ-9"),
    ("Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]", "PHQ-9"),
    ("PHQ-8 score", "PHQ-8"),
    ("MADRS total score", "MADRS"),
    ("Total MADRS", "MADRS"),
    ("Montgomery–Åsberg Depression Rating Scale (MADRS) total", "MADRS"),
    ("MADRS-S", "MADRS-S"),
    ("HAM-D 17 total", "HAM-D 17"),
    ("HAMD17", "HAM-D 17"),
    ("17-item Hamilton Depression Rating Scale", "HAM-D 17"),
    ("Hamilton Depression Rating Scale (HAM-D 21)", "HAM-D 21"),
    ("HDRS-24", "HAM-D 24"),
    ("QIDS-SR16 total score", "QIDS-SR16"),
    ("QIDS-C", "QIDS-C16"),
    ("BDI-II", "BDI-II"),
    ((LOCAL, "MADRS_TOT", "MADRS total score"), "MADRS"),
    ({"coding": [{"system": LOCAL, "code": "7"}], "text": "PHQ-9 score"}, "PHQ-9"),
    ({"coding": [{"system": LOINC, "code": "44261-6"}, {"system": LOCAL, "code": "7"}]}, "PHQ-9"),
]


@pytest.mark.parametrize(("code", "scale"), NAMES)
def test_a_scale_is_known_by_code_or_by_exact_words(code: Any, scale: str) -> None:
    assert scores(observation(code=code, value=12)) == [f"{scale} 12 2025-09-01"]


@pytest.mark.parametrize(
    "code",
    [
        (LOINC, "8480-6"),
        (LOINC, "70274-6"),
        (LOINC, "69722-7", "How difficult have these made it [Reported.PHQ]"),
        (LOINC, "73832-8", "Adult depression screening assessment"),
        "Systolic blood pressure",
        "HAM-A total",
        "GAD-7 total score",
        ("http://snomed.info/sct", "75367002", "Blood pressure"),
    ],
)
def test_something_else_is_no_score(code: Any) -> None:
    reading = read(observation(code=code, value=12))
    assert replace(reading, measurements=()) == ObservationReading((), (), (), (), ())


CODED = [(row.scale.name, code) for row in load_scales() for code in row.total_codes]


def test_ten_scales_have_a_code_for_their_total() -> None:
    assert len(CODED) == 10


@pytest.mark.parametrize(("scale", "code"), CODED, ids=lambda value: str(value))
def test_every_scale_with_a_code_is_read_as_value_component_and_member(scale: str, code: str) -> None:
    [row] = [row for row in load_scales() if row.scale.name == scale]
    highest = row.scale.maximum
    total = observation("total", (LOINC, code), highest)
    said = [f"{scale} {highest:g} 2025-09-01"]
    assert scores(total) == said
    component = {"code": concept((LOINC, code)), "valueInteger": highest}
    for of in (*row.panel_codes, "12345-6"):
        assert scores(observation("p", (LOINC, of), None, component=[component])) == said
    for of in row.panel_codes:
        panel = observation("p", (LOINC, of), None, hasMember=[{"reference": "Observation/total"}])
        assert scores(panel, total) == said
    assert doubts(observation("total", (LOINC, code), highest + 1)) == [f"{scale} 2025-09-01..2025-09-01"]


UNCLEAR = [
    # code, the scales it may be
    ("HAM-D", ["HAM-D 17", "HAM-D 21", "HAM-D 24"]),
    ("Hamilton Depression Rating Scale total score", ["HAM-D 17", "HAM-D 21", "HAM-D 24"]),
    ("QIDS total", ["QIDS-SR16", "QIDS-C16"]),
    ("Beck Depression Inventory", ["BDI-II"]),
    ("PHQ-9 and MADRS", ["PHQ-9", "MADRS"]),
    ("PHQ-9 baseline", ["PHQ-9"]),
    (
        {"coding": [{"system": LOINC, "code": "44261-6"}, {"system": LOINC, "code": "55758-7"}]},
        ["PHQ-9", "PHQ-2"],
    ),
    ({"coding": [{"system": LOINC, "code": "55758-7"}], "text": "PHQ-9 total"}, ["PHQ-2", "PHQ-9"]),
    ((LOCAL, "12345"), ["any"]),
    (("", "44261-6"), ["any"]),
]


@pytest.mark.parametrize(("code", "scales"), UNCLEAR)
def test_an_unclear_name_is_an_unread_score_of_each_scale_it_may_be(code: Any, scales: list[str]) -> None:
    reading = read(observation(code=code, value=12))
    assert reading.scores == ()
    assert sorted(doubts(observation(code=code, value=12))) == sorted(
        f"{scale} 2025-09-01..2025-09-01" for scale in scales
    )
    assert [unread.reference for unread in reading.unread] == ["Observation/obs1"]


@pytest.mark.parametrize("code", [(LOCAL, "12345"), "PHQ-9 comment"])
@pytest.mark.parametrize(
    "value",
    [
        {"valueQuantity": {"value": 120, "unit": "mm[Hg]"}},
        {"valueString": "declined"},
        {"valueCodeableConcept": {"text": "moderate"}},
        {},
    ],
)
def test_an_unclear_name_without_a_plain_number_is_no_score(code: Any, value: dict[str, Any]) -> None:
    assert doubts(observation(code=code, value=None, **value)) == []


@pytest.mark.parametrize(
    "code",
    [
        None,
        {},
        {"text": ""},
        {"coding": []},
        {"coding": [{"system": LOINC}]},
        "broken",
        7,
        {"coding": [{"code": 5}]},
    ],
)
def test_without_a_readable_code_it_may_be_any_scale_or_an_answer_about_suicide(code: Any) -> None:
    resource = observation(value=12) | {"code": code}
    assert doubts(resource) == ["any 2025-09-01..2025-09-01"]
    reading = read(resource)
    assert reading.unread[0].topics == (Topic.SCORE,)
    assert [item.value for item in reading.suicide_items] == [None]


# --- values -------------------------------------------------------------------------------------------

VALUES = [
    # elements, the total
    ({"valueQuantity": {"value": 15}}, 15),
    ({"valueQuantity": {"value": 15.0, "unit": "{score}", "code": "{score}"}}, 15),
    ({"valueQuantity": {"value": 15, "unit": "points"}}, 15),
    ({"valueQuantity": {"value": 15, "unit": "1"}}, 15),
    ({"valueInteger": 15}, 15),
    ({"valueString": "15"}, 15),
    ({"valueString": " 15 "}, 15),
    ({"valueInteger": 15, "valueString": "15"}, 15),
    ({"valueInteger": 0}, 0),
    ({"valueInteger": 27}, 27),
]


@pytest.mark.parametrize(("elements", "total"), VALUES)
def test_a_total_is_a_plain_number_within_the_scale(elements: dict[str, Any], total: float) -> None:
    assert scores(observation(value=None, **elements)) == [f"PHQ-9 {total} 2025-09-01"]


@pytest.mark.parametrize(
    ("elements", "problem"),
    [
        ({"valueInteger": 28}, "expected a value from 0 to 27, found 28"),
        ({"valueInteger": -1}, "expected a value from 0 to 27, found -1"),
        ({"valueInteger": 10**30}, "expected a number up to 1e+09"),
        ({"valueInteger": 10**400}, "expected a number up to 1e+09"),
        ({"valueQuantity": {"value": float("inf")}}, "expected a number up to 1e+09"),
        ({"valueInteger": "15"}, "at $.valueInteger: expected number, found str"),
        ({"valueInteger": True}, "at $.valueInteger"),
        ({"valueQuantity": {"value": "15"}}, "at $.valueQuantity.value"),
        ({"valueQuantity": {"value": 15, "unit": "mg"}}, "at $.valueQuantity.unit"),
        ({"valueQuantity": {"value": 15, "comparator": "<"}}, "at $.valueQuantity.comparator"),
        ({"valueQuantity": {}}, "at $.valueQuantity.value"),
        ({"valueQuantity": []}, "at $.valueQuantity"),
        ({"valueQuantity": {"value": float("nan")}}, "expected a number up to 1e+09"),
        ({"valueString": "15/27"}, "at $.valueString"),
        ({"valueString": "fifteen"}, "at $.valueString"),
        ({"valueString": "٧"}, "at $.valueString"),
        ({"valueCodeableConcept": {"text": "moderately severe"}}, "at $.valueCodeableConcept"),
        ({"valueInteger": 15, "valueString": "16"}, "several values"),
        ({"valueInteger": 15, "dataAbsentReason": {"text": "unknown"}}, "absent"),
        ({"dataAbsentReason": {"text": "asked-declined"}}, "absent"),
        ({}, "no total"),
    ],
)
def test_any_other_value_is_an_unread_score(elements: dict[str, Any], problem: str) -> None:
    resource = observation(value=None) | elements
    assert scores(resource) == []
    assert doubts(resource) == ["PHQ-9 2025-09-01..2025-09-01"]
    assert problem in read(resource).unread[0].problem


@pytest.mark.parametrize(("value", "is_read"), [(60, True), (61, False)])
def test_each_scale_has_its_own_range(value: int, is_read: bool) -> None:
    assert bool(scores(observation(code="MADRS", value=value))) is is_read


# --- status and day -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_final_results_count(status: str) -> None:
    assert scores(observation(status=status)) == ["PHQ-9 17 2025-09-01"]


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_void_results_are_set_aside(status: str) -> None:
    reading = read(observation(status=status))
    assert (reading.scores, reading.unread_scores, reading.unread) == ((), (), ())
    assert [aside.reference for aside in reading.set_aside] == ["Observation/obs1"]


@pytest.mark.parametrize("status", ["registered", "preliminary", "unknown", "done", "", None, 5, ["final"]])
def test_any_other_status_makes_an_unread_score(status: Any) -> None:
    assert doubts(observation() | {"status": status}) == ["PHQ-9 2025-09-01..2025-09-01"]


@pytest.mark.parametrize(
    "elements",
    [
        {"modifierExtension": [{"url": "urn:x"}]},
        {"modifierExtension": 5},
        {"focus": [{"reference": "Patient/p2"}]},
    ],
)
def test_what_may_change_the_meaning_makes_an_unread_score(elements: dict[str, Any]) -> None:
    assert doubts(observation(**elements)) == ["PHQ-9 2025-09-01..2025-09-01"]


DAYS = [
    # elements, day
    ({"effectiveDateTime": "2025-09-03T23:30:00-08:00"}, "2025-09-03"),
    ({"effectiveInstant": "2025-09-03T10:00:00Z"}, "2025-09-03"),
    ({"effectivePeriod": {"start": "2025-09-01", "end": "2025-09-03"}}, "2025-09-03"),
    ({"effectivePeriod": {"start": "2025-09-03"}}, "2025-09-03"),
    ({"effectiveTiming": {"event": ["2025-09-03T08:00:00Z"]}}, "2025-09-03"),
    ({"issued": "2025-09-03T10:00:00Z"}, "2025-09-03"),
    ({"effectiveDateTime": "2025-09-03", "issued": "2025-10-01T10:00:00Z"}, "2025-09-03"),
    ({"effectiveDateTime": "2026-06-30"}, "2026-06-30"),
]


@pytest.mark.parametrize(("elements", "day"), DAYS)
def test_the_day_is_the_effective_one_else_the_day_of_issue(elements: dict[str, Any], day: str) -> None:
    assert scores(observation(day=None, **elements)) == [f"PHQ-9 17 {day}"]


BOUNDS = [
    # elements, bounds
    ({"effectiveDateTime": "2025-09"}, "2025-09-01..2025-09-30"),
    ({"effectiveDateTime": "2026"}, "2026-01-01..2026-06-30"),
    ({"effectiveTiming": {"event": ["2025-09-03", "2025-09-10"]}}, "2025-09-03..2025-09-10"),
    ({}, "None..None"),
    ({"effectiveDateTime": "2024-13-45"}, "None..None"),
    ({"effectiveDateTime": "not-a-date"}, "None..None"),
    ({"effectiveDateTime": 20250901}, "None..None"),
    ({"effectiveDateTime": "2024-13-45", "issued": "2025-09-03T10:00:00Z"}, "None..None"),
    ({"effectivePeriod": {"end": "soon"}}, "None..None"),
    ({"effectivePeriod": "2025"}, "None..None"),
]


@pytest.mark.parametrize(("elements", "bounds"), BOUNDS)
def test_without_an_exact_day_the_bounds_are_kept(elements: dict[str, Any], bounds: str) -> None:
    resource = observation(day=None, **elements)
    assert scores(resource) == []
    assert doubts(resource) == [f"PHQ-9 {bounds}"]


def test_a_result_of_tomorrow_is_listed_and_not_used() -> None:
    reading = read(observation(day="2026-07-01"), observation("item", ITEM_9, 3, "2026-07-01"))
    assert (reading.scores, reading.unread_scores, reading.suicide_items) == ((), (), ())
    assert [unread.topics for unread in reading.unread] == [(Topic.NONE,)] * 2


# --- panels and items ---------------------------------------------------------------------------------


def panel(**elements: Any) -> dict[str, Any]:
    return observation("panel", PHQ9_PANEL, value=None, **elements)


def test_a_panel_may_hold_its_total_as_a_component() -> None:
    total = {"code": concept((LOINC, "44261-6")), "valueInteger": 14}
    assert scores(panel(component=[total])) == ["PHQ-9 14 2025-09-01"]
    assert scores(panel(component=[{"code": {"text": "Total score"}, "valueInteger": 14}])) == [
        "PHQ-9 14 2025-09-01"
    ]


def test_nine_answers_add_up() -> None:
    assert scores(panel(component=components(3, 3, 2, 2, 1, 1, 1, 0, 0))) == ["PHQ-9 13 2025-09-01"]


def test_answers_may_be_codes_or_words() -> None:
    coded = {"coding": [{"system": LOINC, "code": "LA6570-1", "display": "More than half the days"}]}
    spoken = {"text": "Nearly every day"}
    parts = components(*[0] * 9)
    parts[0] = {"code": concept(PHQ9_ITEMS[0]), "valueCodeableConcept": coded}
    parts[1] = {"code": concept(PHQ9_ITEMS[1]), "valueCodeableConcept": spoken}
    assert scores(panel(component=parts)) == ["PHQ-9 5 2025-09-01"]


@pytest.mark.parametrize(
    "parts",
    [
        components(3, 3, 2, 2, 1, 1, 1, 0, None),
        components(3, 3, 2, 2, 1, 1, 1, 0, 4),
        components(3, 3, 2, 2, 1, 1, 1, 0, -1),
        components(3, 3, 2, 2, 1, 1, 1, 0, 1.5),
        [*components(*[1] * 9), {"code": concept(PHQ9_ITEMS[0]), "valueInteger": 2}],
        [*components(*[1] * 9), {"code": concept((LOINC, "44261-6")), "valueInteger": 12}],
        [*components(*[1] * 8, None), "broken"],
        [],
        "broken",
    ],
)
def test_a_panel_that_does_not_add_up_is_an_unread_score(parts: Any) -> None:
    assert scores(panel(component=parts)) == []
    assert doubts(panel(component=parts)) == ["PHQ-9 2025-09-01..2025-09-01"]


def test_a_panel_may_name_its_members() -> None:
    items = answers(3, 3, 2, 2, 1, 1, 1, 0, 0)
    assert scores(panel(hasMember=members(items)), *items) == ["PHQ-9 13 2025-09-01"]


def test_a_panel_whose_total_is_a_member_is_one_score() -> None:
    total = observation("total", value=13)
    items = answers(3, 3, 2, 2, 1, 1, 1, 0, 0)
    resources = [panel(hasMember=members([*items, total])), *items, total]
    assert scores(*resources) == ["PHQ-9 13 2025-09-01"]
    assert read(*resources).unread == ()


def test_contained_members_count() -> None:
    items = answers(3, 3, 2, 2, 1, 1, 1, 0, 2)
    resource = panel(contained=items, hasMember=[{"reference": f"#{item['id']}"} for item in items])
    assert scores(resource) == ["PHQ-9 15 2025-09-01"]
    assert [item.value for item in read(resource).suicide_items] == [2]


def test_members_that_are_not_at_hand_leave_the_panel_unread() -> None:
    items = answers(3, 3, 2, 2, 1, 1, 1, 0, 0)
    assert doubts(panel(hasMember=members(items))) == ["PHQ-9 2025-09-01..2025-09-01"]
    assert doubts(panel(hasMember=[{"reference": "#gone"}, {"reference": 5}])) == [
        "PHQ-9 2025-09-01..2025-09-01"
    ]


def test_a_void_member_does_not_count() -> None:
    items = answers(3, 3, 2, 2, 1, 1, 1, 0, 0)
    items[0]["status"] = "entered-in-error"
    assert scores(panel(hasMember=members(items)), *items) == []


def test_a_bare_panel_gives_way_to_the_total_of_its_day() -> None:
    reading = read(panel(), observation("total", value=13))
    assert [score.value for score in reading.scores] == [13]
    assert (reading.unread_scores, reading.unread) == ((), ())


def test_nine_single_answers_of_one_day_add_up_without_a_panel() -> None:
    assert scores(*answers(3, 3, 2, 2, 1, 1, 1, 0, 0)) == ["PHQ-9 13 2025-09-01"]
    assert scores(*answers(3, 3, 2, 2, 1, 1, 1, 0, None)) == []


def test_an_answer_that_cannot_be_read_leaves_the_sum_unread() -> None:
    items = answers(3, 3, 2, 2, 1, 1, 1, 0, 0)
    items[8]["valueQuantity"] = {"value": 9}
    assert "PHQ-9 2025-09-01..2025-09-01" in doubts(*items)


# --- one score a day ----------------------------------------------------------------------------------


def at(time: str, value: float, id: str, **elements: Any) -> dict[str, Any]:
    return observation(id, value=value, day=f"2025-09-01{time}", **elements)


SAME_DAY = [
    # two results of one day, the total that counts (None: unknown)
    (at("", 15, "a"), at("", 15, "b"), 15),
    (at("", 15, "a"), at("", 16, "b"), None),
    (at("T09:00:00Z", 15, "a"), at("T17:00:00Z", 16, "b"), 16),
    (at("T09:00:00Z", 15, "a"), at("T09:00:00Z", 16, "b"), None),
    (at("T23:00:00+02:00", 15, "a"), at("T22:00:00Z", 16, "b"), 16),
    (at("T09:00:00", 15, "a"), at("T17:00:00Z", 16, "b"), None),
    (at("", 15, "a"), at("T17:00:00Z", 16, "b"), None),
    (at("", 15, "a"), at("", 16, "b", status="corrected"), 16),
    (at("", 15, "a", status="amended"), at("", 16, "b", status="corrected"), None),
    (at("T17:00:00Z", 15, "a"), at("T09:00:00Z", 16, "b", status="corrected"), 15),
]


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize(("one", "other", "value"), SAME_DAY)
def test_one_day_has_one_total_or_none_that_is_certain(
    one: dict[str, Any], other: dict[str, Any], value: float | None, is_swapped: bool
) -> None:
    reading = read(other, one) if is_swapped else read(one, other)
    assert [score.value for score in reading.scores] == ([] if value is None else [value])
    assert len(reading.unread_scores) == len(reading.unread) == (2 if value is None else 0)


def test_different_scales_and_days_stand_side_by_side() -> None:
    resources = [observation("a"), observation("b", PHQ2, 4), observation("c", value=9, day="2025-09-02")]
    assert len(scores(*resources)) == 3


# --- suicide ------------------------------------------------------------------------------------------


def suicide_items(*resources: dict[str, Any]) -> list[tuple[str, float | None, str]]:
    return [
        (item.scale_name.split()[0], item.value, str(item.day)) for item in read(*resources).suicide_items
    ]


@pytest.mark.parametrize(
    ("code", "scale"),
    [
        (ITEM_9, "PHQ-9"),
        ("PHQ-9 item 9", "PHQ-9"),
        ("PHQ9 question 9 score", "PHQ-9"),
        ((LOINC, "71353-7"), "EPDS"),
        ((LOINC, "65513-4"), "QIDS-SR16"),
        ("EPDS item 10", "EPDS"),
    ],
)
@pytest.mark.parametrize("value", [0, 1, 3])
def test_the_item_on_suicide_is_known_by_itself(code: Any, scale: str, value: int) -> None:
    assert suicide_items(observation(code=code, value=value)) == [(scale, value, "2025-09-01")]
    assert scores(observation(code=code, value=value)) == []


def test_it_is_found_in_a_panel() -> None:
    assert suicide_items(panel(component=components(*[1] * 8, 2))) == [("PHQ-9", 2, "2025-09-01")]


@pytest.mark.parametrize(
    "elements",
    [
        {"valueInteger": 4},
        {"valueInteger": -1},
        {"valueInteger": "1"},
        {"valueString": "often"},
        {"valueBoolean": True},
        {"valueInteger": 0, "status": "preliminary"},
        {"valueInteger": 4, "status": "preliminary"},
        {"valueInteger": 1, "status": "preliminary", "modifierExtension": [{"url": "urn:x"}]},
        {"dataAbsentReason": {"text": "asked-declined"}},
        {},
    ],
)
def test_an_answer_on_suicide_that_cannot_be_read_is_kept_without_value(elements: dict[str, Any]) -> None:
    resource = observation(code=ITEM_9, value=None, **elements)
    assert suicide_items(resource) == [("PHQ-9", None, "2025-09-01")]
    assert [unread.reference for unread in read(resource).unread] == ["Observation/obs1"]


@pytest.mark.parametrize("status", ["registered", "preliminary", "unknown", "", None])
def test_a_positive_answer_that_is_not_final_is_a_sign_and_listed(status: Any) -> None:
    resource = observation(code=ITEM_9, value=1) | {"status": status}
    assert suicide_items(resource) == [("PHQ-9", 1, "2025-09-01")]
    assert [unread.reference for unread in read(resource).unread] == ["Observation/obs1"]


def test_its_bounds_are_kept_when_the_day_is_not_exact() -> None:
    item = read(observation(code=ITEM_9, value=2, day="2026")).suicide_items[0]
    assert (item.value, item.day) == (2, None)
    assert (item.first_possible_day, item.last_possible_day) == (date(2026, 1, 1), ON)


def test_a_void_answer_on_suicide_is_set_aside() -> None:
    reading = read(observation(code=ITEM_9, value=2, status="entered-in-error"))
    assert (reading.suicide_items, len(reading.set_aside)) == ((), 1)


def test_messages_quote_no_free_text() -> None:
    secret = "lives at 12 Elm Street"
    resource = observation(value=None, valueString=secret, note=[{"text": secret}], day=secret)
    reading = read(resource, observation("b", value=None, valueString=secret))
    assert reading.unread
    assert all(secret not in unread.problem for unread in reading.unread)
