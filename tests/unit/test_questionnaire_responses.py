"""QuestionnaireResponses: a PHQ-9 filled as a form, in the shapes that servers store it in."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.trd.record import History, Topic
from fhir_fixtures.builders import LOINC, PHQ9_ITEMS, PHQ9_PANEL, observation, patient

ON = date(2026, 6, 30)
CODES = [code for _, code in PHQ9_ITEMS]
ANSWERS = [("LA6568-5", "Not at all"), ("LA6569-3", "Several days"), ("LA6570-1", "More than half the days")]
ANSWERS.append(("LA6571-9", "Nearly every day"))
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
VALUES = (3, 3, 2, 2, 1, 1, 1, 0, 0)  # 13


def read(*resources: dict[str, Any]) -> History:
    everything = (patient(), *resources)
    entries = tuple(Entry(resource, None, f"entry[{n}]") for n, resource in enumerate(everything))
    return read_history(Collected("p1", entries), ON)


def scores(*resources: dict[str, Any]) -> list[str]:
    return [f"{score.scale.name} {score.value:g} {score.day}" for score in read(*resources).scores]


def doubts(*resources: dict[str, Any]) -> list[str]:
    """`scale first..last: why`, one an unread score."""
    history = read(*resources)
    why = {unread.reference: unread.problem for unread in history.unread if Topic.SCORE in unread.topics}
    return [
        f"{unread.scale.name if unread.scale else 'any'} {unread.first_day}..{unread.last_day}: "
        f"{why[unread.reference]}"
        for unread in history.unread_scores
    ]


def item_9(*resources: dict[str, Any]) -> list[tuple[float | None, str]]:
    return [(item.value, str(item.day)) for item in read(*resources).suicide_items]


def coded(value: int) -> dict[str, Any]:
    code, display = ANSWERS[value]
    return {"valueCoding": {"system": LOINC, "code": code, "display": display}}


def items(*values: int | None) -> list[dict[str, Any]]:
    """PHQ-9 items by linkId, as LOINC's own forms name them; None leaves one out."""
    return [
        {"linkId": f"/{code}", "answer": [coded(value)]}
        for code, value in zip(CODES, values, strict=True)
        if value is not None
    ]


def total(value: float) -> dict[str, Any]:
    return {"linkId": "/44261-6", "answer": [{"valueDecimal": value}]}


def form(*of: Any, id: str = "qr1", **elements: Any) -> dict[str, Any]:
    standard = {
        "resourceType": "QuestionnaireResponse",
        "id": id,
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "authored": "2025-09-01",
        "item": list(of),
    }
    return {name: value for name, value in (standard | elements).items() if value is not None}


# --- how items and answers may be written -------------------------------------------------------------


def with_items(change: Any) -> dict[str, Any]:
    return form(*(change(code, value) for code, value in zip(CODES, VALUES, strict=True)))


SHAPES_OF_ITEMS = {
    "linkId with slash": lambda code: {"linkId": f"/{code}"},
    "bare linkId": lambda code: {"linkId": code},
    "linkId with the panel": lambda code: {"linkId": f"/44249-1/{code}"},
    "definition": lambda code: {"linkId": "q", "definition": f"http://loinc.org/{code}"},
    "definition with version": lambda code: {"linkId": "q", "definition": f"http://loinc.org/{code}|2.72"},
    "code beside the item": lambda code: {"linkId": "q", "code": [{"system": LOINC, "code": code}]},
    "extension with a coding": lambda code: {
        "linkId": "q",
        "extension": [{"url": "urn:code", "valueCoding": {"system": LOINC, "code": code}}],
    },
    "extension with a concept": lambda code: {
        "linkId": "q",
        "extension": [
            {"url": "urn:code", "valueCodeableConcept": {"coding": [{"system": LOINC, "code": code}]}}
        ],
    },
}


@pytest.mark.parametrize("shape", SHAPES_OF_ITEMS.values(), ids=SHAPES_OF_ITEMS)
def test_items_are_told_by_their_loinc_code(shape: Any) -> None:
    assert scores(with_items(lambda code, value: {**shape(code), "answer": [coded(value)]})) == [
        "PHQ-9 13 2025-09-01"
    ]


def weighted(value: int, url: str = ORDINAL) -> dict[str, Any]:
    return {
        "valueCoding": {
            "system": "urn:local",
            "code": f"answer-{value}",
            "extension": [{"url": url, "valueDecimal": value}],
        }
    }


SHAPES_OF_ANSWERS = {
    "answer code": coded,
    "answer code without system": lambda value: {"valueCoding": {"code": ANSWERS[value][0]}},
    "answer in words": lambda value: {"valueCoding": {"system": "urn:x", "display": ANSWERS[value][1]}},
    "integer": lambda value: {"valueInteger": value},
    "decimal": lambda value: {"valueDecimal": float(value)},
    "text": lambda value: {"valueString": str(value)},
    "quantity": lambda value: {"valueQuantity": {"value": value, "unit": "{score}"}},
    "ordinal value": weighted,
    "item weight": lambda value: weighted(value, "http://hl7.org/fhir/StructureDefinition/itemWeight"),
    "weight beside the answer": lambda value: {
        "valueCoding": {"system": "urn:local", "code": "x"},
        "extension": [{"url": ORDINAL, "valueDecimal": value}],
    },
    "code and weight that agree": lambda value: {
        "valueCoding": {**coded(value)["valueCoding"], "extension": [{"url": ORDINAL, "valueDecimal": value}]}
    },
}


@pytest.mark.parametrize("shape", SHAPES_OF_ANSWERS.values(), ids=SHAPES_OF_ANSWERS)
def test_answers_may_be_codes_words_numbers_or_weights(shape: Any) -> None:
    response = with_items(lambda code, value: {"linkId": f"/{code}", "answer": [shape(value)]})
    assert scores(response) == ["PHQ-9 13 2025-09-01"]
    assert item_9(response) == [(0, "2025-09-01")]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [{"valueCoding": {"system": "urn:local", "code": "2"}}],
        [{"valueInteger": 4}],
        [{"valueInteger": -1}],
        [{"valueDecimal": 1.5}],
        [{"valueBoolean": True}],
        [{"valueString": "sometimes"}],
        [{"valueInteger": 1, "valueDecimal": 2}],
        [{"valueCoding": {**coded(1)["valueCoding"], "extension": [{"url": ORDINAL, "valueDecimal": 2}]}}],
        [{"valueInteger": "2"}],
        ["broken"],
        "broken",
    ],
)
def test_an_answer_that_cannot_be_read_leaves_the_total_open(answer: Any) -> None:
    response = form(*items(*VALUES[:8], None), {"linkId": "/44260-8", "answer": answer})
    assert scores(response) == []
    assert [doubt.partition(":")[0] for doubt in doubts(response)] == ["PHQ-9 2025-09-01..2025-09-01"]
    assert [value for value, _ in item_9(response)] in ([None], [None, None])


def test_two_answers_to_one_item_add_nothing_up_but_are_both_signs() -> None:
    response = form(*items(*VALUES[:8], None), {"linkId": "/44260-8", "answer": [coded(0), coded(2)]})
    assert scores(response) == []
    assert [value for value, _ in item_9(response)] == [0, 2]


def test_groups_and_items_below_answers_are_read() -> None:
    first, *rest = items(*VALUES)
    first["answer"][0]["item"] = rest[4:]
    assert scores(form({"linkId": "/44249-1", "item": [{"linkId": "g", "item": [first, *rest[:4]]}]})) == [
        "PHQ-9 13 2025-09-01"
    ]


def test_very_deep_nesting_is_survived() -> None:
    item: dict[str, Any] = {"linkId": "/44260-8", "answer": [coded(3)]}
    for _ in range(2_000):
        item = {"linkId": "g", "item": [item]}
    assert scores(form(item)) == []


# --- totals and missing items -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [13, 13.0])
def test_a_total_that_agrees_with_the_items_is_one_score(value: float) -> None:
    assert scores(form(*items(*VALUES), total(value))) == ["PHQ-9 13 2025-09-01"]


@pytest.mark.parametrize("value", [12, 14, 28, -1])
def test_a_total_that_does_not_is_unread(value: float) -> None:
    response = form(*items(*VALUES), total(value))
    assert scores(response) == []
    assert doubts(response)[0].startswith("PHQ-9 2025-09-01..2025-09-01: ")


def test_a_total_alone_counts() -> None:
    assert scores(form(total(14))) == ["PHQ-9 14 2025-09-01"]


MISSING = [
    # values, what is said
    ((3, 3, 2, 2, 1, 1, 1, 0, None), "8 of 9 items of PHQ-9 are answered"),
    ((3, 3, 2, 2, 1, None, None, None, None), "5 of 9 items of PHQ-9 are answered"),
]


@pytest.mark.parametrize("has_total", [False, True])
@pytest.mark.parametrize(("values", "said"), MISSING)
def test_a_form_that_is_partly_answered_has_no_total(
    values: tuple[int | None, ...], said: str, has_total: bool
) -> None:
    response = form(*items(*values), *([total(13)] if has_total else []))
    assert scores(response) == []
    assert doubts(response) == [f"PHQ-9 2025-09-01..2025-09-01: {said}"]


def test_item_9_counts_in_a_form_that_is_not_complete() -> None:
    response = form(*items(3, None, None, None, None, None, None, None, 2))
    assert (scores(response), item_9(response)) == ([], [(2, "2025-09-01")])


def test_item_9_is_known_by_its_words() -> None:
    text = "Thoughts that you would be better off dead, or of hurting yourself in some way"
    assert item_9(form({"linkId": "9", "text": text, "answer": [{"valueInteger": 1}]})) == [(1, "2025-09-01")]


def test_two_items_alone_are_a_phq_2() -> None:
    assert scores(form(*items(2, 1, *[None] * 7))) == ["PHQ-2 3 2025-09-01"]


@pytest.mark.parametrize(
    "questionnaire",
    ["http://loinc.org/q/44249-1", "http://loinc.org/44249-1|2.72", "https://x.example/Questionnaire/phq-9"],
)
def test_two_items_of_a_form_called_phq_9_are_two_of_nine(questionnaire: str) -> None:
    response = form(*items(2, 1, *[None] * 7), questionnaire=questionnaire)
    assert scores(response) == []
    assert doubts(response) == ["PHQ-9 2025-09-01..2025-09-01: 2 of 9 items of PHQ-9 are answered"]


def test_a_form_called_phq_9_whose_items_say_nothing_is_listed() -> None:
    nameless = [{"linkId": str(n), "answer": [{"valueInteger": 1}]} for n in range(9)]
    response = form(*nameless, questionnaire="https://x.example/Questionnaire/phq9")
    assert doubts(response)[0].startswith("PHQ-9 2025-09-01..2025-09-01: ")


def test_the_total_of_any_scale_with_a_code_is_read() -> None:
    bdi = {"linkId": "/89209-1", "answer": [{"valueInteger": 22}]}
    assert scores(form(bdi, *items(*VALUES))) == ["BDI-II 22 2025-09-01", "PHQ-9 13 2025-09-01"]


@pytest.mark.parametrize("code", ["71353-7", "65513-4"])
def test_items_on_suicide_of_other_scales_count(code: str) -> None:
    response = form({"linkId": f"/{code}", "answer": [{"valueInteger": 2}]})
    assert (scores(response), item_9(response)) == ([], [(2, "2025-09-01")])


def test_a_form_of_something_else_is_left_alone() -> None:
    diet = {"linkId": "/12345-6", "text": "How many meals a day?", "answer": [{"valueInteger": 3}]}
    history = read(form(diet, {"linkId": "2"}))
    assert (history.scores, history.unread_scores, history.suicide_items, history.unread) == ((), (), (), ())


# --- status, day, subject -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["completed", "amended"])
def test_finished_forms_count(status: str) -> None:
    assert scores(form(*items(*VALUES), status=status)) == ["PHQ-9 13 2025-09-01"]


@pytest.mark.parametrize("status", ["in-progress", "stopped", "", None, 5])
def test_unfinished_forms_are_in_doubt(status: Any) -> None:
    response = form(*items(*VALUES), status=status)
    assert scores(response) == []
    assert doubts(response)[0].startswith("PHQ-9 2025-09-01..2025-09-01: at $.status")
    # A positive answer about suicide counts all the same, a 0 does not.
    assert item_9(response) == [(VALUES[8] or None, "2025-09-01")]
    denied = form(*items(*VALUES[:8], 0), status=status)
    assert item_9(denied) == [(None, "2025-09-01")]


def test_a_void_form_is_set_aside() -> None:
    history = read(form(*items(*VALUES), status="entered-in-error"))
    assert (history.scores, history.unread_scores, history.suicide_items) == ((), (), ())
    assert [(aside.reference, aside.problem) for aside in history.set_aside] == [
        ("QuestionnaireResponse/qr1", "has the status entered-in-error")
    ]


@pytest.mark.parametrize(
    ("authored", "bounds"),
    [
        ("2025-09", "2025-09-01..2025-09-30"),
        ("2026", "2026-01-01..2026-06-30"),
        (None, "None..None"),
        ("x", "None..None"),
    ],
)
def test_without_an_exact_day_the_bounds_are_kept(authored: str | None, bounds: str) -> None:
    response = form(*items(*VALUES), authored=authored)
    assert scores(response) == []
    assert doubts(response)[0].startswith(f"PHQ-9 {bounds}")


def test_a_form_of_tomorrow_is_listed_and_not_used() -> None:
    history = read(form(*items(*VALUES), authored="2026-07-01"))
    assert (history.scores, history.unread_scores, history.suicide_items) == ((), (), ())
    assert [unread.topics for unread in history.unread] == [(Topic.NONE,)]


@pytest.mark.parametrize(
    ("subject", "topics"),
    [({"reference": "Patient/p2"}, (Topic.NONE,)), (None, (Topic.SCORE, Topic.SAFETY))],
)
def test_a_form_about_somebody_else_or_nobody_is_not_used(subject: Any, topics: tuple[Topic, ...]) -> None:
    history = read(form(*items(*VALUES), subject=subject))
    assert (history.scores, history.suicide_items) == ((), ())
    assert [unread.topics for unread in history.unread] == [topics]


def test_a_modifier_extension_makes_a_doubt() -> None:
    assert scores(form(*items(*VALUES), modifierExtension=[{"url": "urn:x"}])) == []


@pytest.mark.parametrize("broken", ["broken", 5, [5], [{"linkId": 5, "answer": [{"valueInteger": 1}]}], {}])
def test_items_that_cannot_be_read_could_be_any_scale(broken: Any) -> None:
    history = read(form() | {"item": broken})
    assert [unread.scale for unread in history.unread_scores] == [None]
    assert [item.value for item in history.suicide_items] == [None]


def test_an_item_that_is_lost_could_be_about_suicide() -> None:
    history = read(form(total(13), {"linkId": 5, "answer": [coded(2)]}))
    assert [unread.scale and unread.scale.name for unread in history.unread_scores] == ["PHQ-9"]
    assert [item.value for item in history.suicide_items] == [None]


INNER_NAMES = """
linkId definition text code coding extension answer item group question valueCoding valueDecimal valueInteger
valueBoolean valueString url title valueQuantity value unit system display valueCodeableConcept component
"""
OUTER_NAMES = """
item group status authored questionnaire code component valueInteger valueCodeableConcept valueBoolean
effectiveDateTime hasMember modifierExtension
"""
WORDS = ["/44260-8", "44249-1", "PHQ-9", "LA6571-9", "93373-9", "2025-09-01", "completed", "3"]
scalars = st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=3)
json_values = st.recursive(
    scalars | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(INNER_NAMES.split()), inner, max_size=5)
    ),
    max_leaves=25,
)


@given(
    kind=st.sampled_from(["QuestionnaireResponse", "Observation"]),
    elements=st.dictionaries(st.sampled_from(OUTER_NAMES.split()), json_values),
)
def test_nothing_that_a_form_or_result_may_hold_raises(kind: str, elements: dict[str, Any]) -> None:
    history = read(form() | elements | {"resourceType": kind})
    assert all(unread.reference for unread in history.unread)


# --- the same form twice ------------------------------------------------------------------------------


def test_one_form_stored_as_observation_and_as_response_is_one_score() -> None:
    panel = observation("panel", PHQ9_PANEL, value=None)
    history = read(form(*items(*VALUES), total(13)), observation(value=13), panel)
    assert [(score.value, str(score.day)) for score in history.scores] == [(13, "2025-09-01")]
    assert (history.unread_scores, history.unread) == ((), ())


def test_an_incomplete_form_gives_way_to_a_total_of_its_day() -> None:
    history = read(form(*items(*VALUES[:8], None)), observation(value=13))
    assert [score.value for score in history.scores] == [13]
    assert history.unread_scores == ()


def test_totals_of_one_day_that_differ_are_both_in_doubt() -> None:
    assert scores(form(total(13)), observation(value=14)) == []
    assert len(doubts(form(total(13)), observation(value=14))) == 2


def test_an_amended_form_decides() -> None:
    assert scores(form(total(13), status="amended"), observation(value=14)) == ["PHQ-9 13 2025-09-01"]


# --- other versions -----------------------------------------------------------------------------------


def test_stu3_refers_to_the_questionnaire() -> None:
    response = form(*items(2, 1, *[None] * 7), questionnaire={"reference": "Questionnaire/phq-9"})
    assert doubts(response) == ["PHQ-9 2025-09-01..2025-09-01: 2 of 9 items of PHQ-9 are answered"]


def test_dstu2_has_groups_and_questions() -> None:
    questions = [{"linkId": f"/{code}", "answer": [coded(v)]} for code, v in zip(CODES, VALUES, strict=True)]
    inner = questions[0]
    inner["answer"][0]["group"] = [{"question": questions[1:3]}]
    group = {"title": "PHQ-9", "group": [{"question": [inner]}, {"question": questions[3:]}]}
    assert scores(form(item=None, group=group)) == ["PHQ-9 13 2025-09-01"]


@pytest.mark.parametrize(
    "group", ["broken", 5, [5], {"question": "broken"}, {"group": 7}, {"question": [{"answer": 4}]}]
)
def test_a_broken_group_of_dstu2_is_listed(group: Any) -> None:
    assert read(form(item=None, group=group)).unread_scores
