"""The C-SSRS in Observations and forms: any yes is a sign, no to all that everybody is asked is an answer of 0."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.trd.record import History, Topic
from fhir_fixtures.builders import LOINC, concept, observation
from tests.unit.test_questionnaire_responses import form, read

SCREENER, FULL, IDEATION, INTENSITY, BEHAVIOUR = "93373-9", "93245-9", "93278-0", "93303-6", "93304-4"
WISH, THOUGHTS, METHOD, INTENTION, PLAN = "93246-7", "93247-5", "93248-3", "93249-1", "93250-9"
EVER, RECENT, RISK = "93267-3", "93269-9", "93374-7"
YES = {"valueCodeableConcept": {"coding": [{"system": LOINC, "code": "LA33-6", "display": "Yes"}]}}
NO = {"valueCodeableConcept": {"coding": [{"system": LOINC, "code": "LA32-8", "display": "No"}]}}
DAY = "2026-06-20"


def answer(code: str, value: dict[str, Any], id: str = "c1", **elements: Any) -> dict[str, Any]:
    return observation(id, (LOINC, code), None, DAY, **value, **elements)


def panel(code: str, *parts: tuple[str, dict[str, Any]], **elements: Any) -> dict[str, Any]:
    components = [{"code": concept((LOINC, part)), **value} for part, value in parts]
    return observation("c1", (LOINC, code), None, DAY, component=components, **elements)


def signs(*resources: dict[str, Any]) -> list[float | None]:
    return [item.value for item in read(*resources).suicide_items]


POSITIVE = [
    # part, value, the number
    (SCREENER, {"valueBoolean": True}, 1),
    (SCREENER, YES, 1),
    (SCREENER, {"valueCodeableConcept": {"text": "Positive"}}, 1),
    (SCREENER, {"valueString": "High risk"}, 1),
    (SCREENER, {"valueString": "MEDIUM"}, 1),
    (SCREENER, {"valueInteger": 3}, 3),
    (FULL, {"valueString": "yes"}, 1),
    (IDEATION, {"valueInteger": 1}, 1),
    (IDEATION, {"valueInteger": 5}, 5),
    (IDEATION, {"valueQuantity": {"value": 4, "unit": "{score}"}}, 4),
    (INTENSITY, {"valueInteger": 12}, 12),
    (BEHAVIOUR, {"valueBoolean": True}, 1),
    (WISH, {"valueBoolean": True}, 1),
    (EVER, YES, 1),
    (RECENT, YES, 1),
    (RISK, {"valueCodeableConcept": {"coding": [{"display": "Moderate"}]}}, 1),
]


@pytest.mark.parametrize(("code", "value", "number"), POSITIVE)
def test_a_positive_answer_is_a_sign(code: str, value: dict[str, Any], number: float) -> None:
    history = read(answer(code, value))
    [item] = history.suicide_items
    assert (item.value, str(item.day), item.instrument) == (number, DAY, "C-SSRS")
    assert item.scale_name.startswith("C-SSRS")
    assert history.unread == ()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (SCREENER, {"valueBoolean": False}),
        (SCREENER, NO),
        (SCREENER, {"valueString": "negative"}),
        (SCREENER, {"valueInteger": 0}),
        (FULL, {"valueBoolean": False}),
    ],
)
def test_no_to_the_whole_instrument_is_0(code: str, value: dict[str, Any]) -> None:
    assert signs(answer(code, value)) == [0]


@pytest.mark.parametrize("code", [IDEATION, INTENSITY, BEHAVIOUR, WISH, THOUGHTS, METHOD, EVER, RECENT])
def test_no_to_a_part_tells_nothing_of_the_rest(code: str) -> None:
    history = read(answer(code, {"valueInteger": 0}))
    assert (history.suicide_items, history.unread) == ((), ())
    assert [aside.topics for aside in history.set_aside] == [(Topic.NONE,)]


UNREADABLE = [
    (SCREENER, {"valueString": "see note"}),
    (SCREENER, {"valueString": "low risk"}),
    (SCREENER, {}),
    (SCREENER, {"dataAbsentReason": {"text": "asked-declined"}}),
    (SCREENER, {"valueBoolean": "yes"}),
    (SCREENER, {"valueBoolean": True, "valueString": "no"}),
    (IDEATION, {"valueInteger": 6}),
    (IDEATION, {"valueInteger": -1}),
    (WISH, {"valueInteger": 2}),
    (BEHAVIOUR, {"valueQuantity": {"value": 1, "comparator": "<"}}),
    (SCREENER, {**NO, "status": "preliminary"}),
    (SCREENER, {**YES, "status": "preliminary", "focus": [{"reference": "Patient/p2"}]}),
    (SCREENER, {**YES, "focus": [{"reference": "Patient/p2"}]}),
]


@pytest.mark.parametrize(("code", "value"), UNREADABLE)
def test_an_answer_that_cannot_be_read_is_kept_without_value(code: str, value: dict[str, Any]) -> None:
    history = read(answer(code, value))
    assert [item.value for item in history.suicide_items] == [None]
    assert [unread.reference for unread in history.unread] == ["Observation/c1"]


def test_a_low_risk_is_neither_yes_nor_no() -> None:
    low = {"valueCodeableConcept": {"coding": [{"system": LOINC, "code": "LA9194-7", "display": "Low"}]}}
    history = read(answer(RISK, low))
    assert (history.suicide_items, history.unread) == ((), ())


PANELS = [
    # parts, what is said
    (((WISH, NO), (THOUGHTS, NO), (EVER, NO)), [0]),
    (((WISH, NO), (THOUGHTS, NO), (METHOD, NO), (INTENTION, NO), (PLAN, NO), (EVER, NO), (RECENT, NO)), [0]),
    (((IDEATION, {"valueInteger": 0}), (BEHAVIOUR, NO)), [0]),
    (((WISH, NO), (THOUGHTS, NO), (METHOD, {}), (EVER, NO)), [0]),
    (((WISH, NO), (THOUGHTS, NO)), []),
    (((WISH, NO), (EVER, NO)), []),
    (((WISH, NO), (THOUGHTS, {}), (EVER, NO)), [None]),
    (((WISH, YES), (THOUGHTS, NO), (EVER, NO)), [1]),
    (((WISH, NO), (THOUGHTS, NO), (EVER, YES)), [1]),
    (((WISH, YES), (THOUGHTS, {"valueString": "?"}), (EVER, NO)), [1, None]),
    (((IDEATION, {"valueInteger": 4}), (BEHAVIOUR, YES)), [4]),
    ((("99999-9", YES),), [1]),
    ((("99999-9", NO),), [None]),
    ((), [None]),
]


@pytest.mark.parametrize("code", [SCREENER, FULL])
@pytest.mark.parametrize(("parts", "said"), PANELS)
def test_a_panel_says_what_its_components_say(code: str, parts: Any, said: list[float | None]) -> None:
    assert signs(panel(code, *parts)) == said


def test_components_count_in_a_panel_of_something_else() -> None:
    assert signs(panel("12345-6", (WISH, NO), (THOUGHTS, YES))) == [1]


def test_members_speak_for_themselves() -> None:
    members = [answer(code, NO, f"m{n}") for n, code in enumerate((WISH, THOUGHTS, EVER))]
    references = [{"reference": f"Observation/m{n}"} for n in range(3)]
    assert signs(answer(SCREENER, {}, hasMember=references), *members) == [0]
    members[1] = answer(THOUGHTS, YES, "m1")
    assert signs(answer(SCREENER, {}, hasMember=references), *members) == [1]


def test_single_answers_of_one_day_belong_together_and_of_two_days_do_not() -> None:
    answers = [answer(code, NO, f"m{n}") for n, code in enumerate((WISH, THOUGHTS, EVER))]
    assert signs(*answers) == [0]
    answers[2]["effectiveDateTime"] = "2026-06-21"
    assert signs(*answers) == []


@pytest.mark.parametrize(
    "name", ["C-SSRS", "Columbia-Suicide Severity Rating Scale (C-SSRS)", "C-SSRS screener score"]
)
def test_the_instrument_is_known_by_its_name(name: str) -> None:
    assert signs(observation("c1", name, None, DAY, valueString="positive")) == [1]


def test_a_void_answer_is_set_aside() -> None:
    history = read(answer(SCREENER, YES, status="entered-in-error"))
    assert (history.suicide_items, len(history.set_aside)) == ((), 1)


# --- as a form ----------------------------------------------------------------------------------------


def questions(*values: tuple[str, bool]) -> dict[str, Any]:
    coded = {True: {"code": "LA33-6"}, False: {"system": LOINC, "code": "LA32-8"}}
    return form(
        *({"linkId": f"/{code}", "answer": [{"valueCoding": coded[value]}]} for code, value in values),
        authored=DAY,
    )


def test_the_published_example_of_a_screener_is_0() -> None:
    low = {"valueCoding": {"system": LOINC, "code": "LA9194-7", "display": "Low"}}
    response = questions(*((code, False) for code in (WISH, THOUGHTS, METHOD, INTENTION, PLAN, EVER, RECENT)))
    response["item"].append({"linkId": f"/{RISK}", "answer": [low]})
    history = read(response)
    assert [(item.value, item.scale_name) for item in history.suicide_items] == [(0, "C-SSRS")]
    assert (history.unread, history.scores, history.unread_scores) == ((), (), ())


def test_a_yes_in_a_form_is_a_sign() -> None:
    assert signs(questions((WISH, True), (THOUGHTS, False), (EVER, False))) == [1]


def test_questions_that_are_asked_only_after_a_yes_may_stand_there_without_an_answer() -> None:
    response = questions((WISH, False), (THOUGHTS, False), (EVER, False))
    response["item"].insert(2, {"linkId": f"/{METHOD}"})
    assert signs(response) == [0]


@pytest.mark.parametrize("answered", [True, False])
def test_booleans_count_in_a_form(answered: bool) -> None:
    response = form(
        *({"linkId": f"/{code}", "answer": [{"valueBoolean": answered}]} for code in (WISH, THOUGHTS, EVER)),
        authored=DAY,
    )
    assert signs(response) == [int(answered)]


@pytest.mark.parametrize("status", ["preliminary", "registered", "unknown", None])
def test_a_yes_that_is_not_final_is_a_sign(status: str | None) -> None:
    history = read(answer(SCREENER, YES) | {"status": status})
    assert [item.value for item in history.suicide_items] == [1]


@pytest.mark.parametrize(("said", "value"), [(True, 1), (False, None)])
def test_in_an_unfinished_form_a_yes_is_a_sign_and_a_no_is_in_doubt(said: bool, value: int | None) -> None:
    history: History = read(questions((WISH, said)) | {"status": "in-progress"})
    assert [item.value for item in history.suicide_items] == [value]
