"""What a card may be: each rule of the specification on and off, in our values and in the schema."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import pytest
from jsonschema import Draft202012Validator

from cards.card import (
    Action,
    ActionType,
    Card,
    Coding,
    Indicator,
    Link,
    LinkType,
    SelectionBehavior,
    Source,
    Suggestion,
    to_json,
)
from cards.markdown import escaped, one_line, shortened

SCHEMA = json.loads(files("cds_service.schemas").joinpath("cds-hooks-response.json").read_text("utf-8"))
REPLY = Draft202012Validator(SCHEMA)
ID = UUID("0d9b6d22-4d0c-4a51-9d0e-0a4f6f3d9f11")
RESOURCE = {"resourceType": "ServiceRequest", "id": "r1"}
REASON = Coding("not-now", "urn:trd-cds:override-reason", "Not now")
SUGGESTION = Suggestion("Do it", ID, (Action(ActionType.CREATE, "Creates it", RESOURCE),))
RECOMMENDED = Suggestion("Do it", ID, is_recommended=True)


def a_card(**given: Any) -> Card:
    values: dict[str, Any] = {
        "uuid": ID,
        "summary": "A summary",
        "indicator": Indicator.INFO,
        "source": Source("trd-cds"),
    }
    return Card(**{**values, **given})


def test_the_smallest_card_has_nothing_empty() -> None:
    assert to_json(a_card()) == {
        "uuid": str(ID),
        "summary": "A summary",
        "indicator": "info",
        "source": {"label": "trd-cds"},
    }


@pytest.mark.conformance("CH-510", "CH-517", "CH-609", "CH-610")
def test_the_largest_card_is_written_as_specified() -> None:
    card = a_card(
        detail="**Why**",
        source=Source("trd-cds", "https://example.org", Coding("met", "urn:trd-cds:card")),
        suggestions=(
            Suggestion(
                "Do it", ID, (Action(ActionType.UPDATE, "Changes it", RESOURCE),), is_recommended=True
            ),
            Suggestion("Undo it", ID, (Action(ActionType.DELETE, "Removes it", resource_id="Task/1"),)),
        ),
        selection_behavior=SelectionBehavior.AT_MOST_ONE,
        override_reasons=(REASON,),
        links=(Link("App", "https://example.org/launch", LinkType.SMART, "{}"),),
    )
    written = to_json(card)
    REPLY.validate({"cards": [written]})
    assert written == {
        "uuid": str(ID),
        "summary": "A summary",
        "detail": "**Why**",
        "indicator": "info",
        "source": {
            "label": "trd-cds",
            "url": "https://example.org",
            "topic": {"code": "met", "system": "urn:trd-cds:card"},
        },
        "suggestions": [
            {
                "label": "Do it",
                "uuid": str(ID),
                "isRecommended": True,
                "actions": [{"type": "update", "description": "Changes it", "resource": RESOURCE}],
            },
            {
                "label": "Undo it",
                "uuid": str(ID),
                "actions": [{"type": "delete", "description": "Removes it", "resourceId": "Task/1"}],
            },
        ],
        "selectionBehavior": "at-most-one",
        "overrideReasons": [
            {"code": "not-now", "system": "urn:trd-cds:override-reason", "display": "Not now"}
        ],
        "links": [{"label": "App", "url": "https://example.org/launch", "type": "smart", "appContext": "{}"}],
    }


@pytest.mark.conformance("CH-505")
@pytest.mark.parametrize("summary", ["x", "x" * 139, "é" * 139, "💊" * 69 + "x"])
def test_a_summary_may_have_139_units(summary: str) -> None:
    assert a_card(summary=summary).summary == summary


@pytest.mark.conformance("CH-505")
@pytest.mark.parametrize("summary", ["", " ", "x" * 140, "💊" * 70, "two\nlines", "two\u2028lines", "nul\0"])
def test_other_summaries_are_refused(summary: str) -> None:
    with pytest.raises(ValueError, match="summary"):
        a_card(summary=summary)


@pytest.mark.conformance("CH-515", "CH-516", "CH-603")
@pytest.mark.parametrize(
    "given",
    [
        {"suggestions": (SUGGESTION,)},
        {"selection_behavior": SelectionBehavior.ANY},
        {
            "suggestions": (RECOMMENDED, RECOMMENDED),
            "selection_behavior": SelectionBehavior.AT_MOST_ONE,
        },
        {"override_reasons": (Coding("code", "urn:x:y"),)},
    ],
)
def test_a_card_that_breaks_a_rule_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        a_card(**given)


@pytest.mark.conformance("CH-603")
def test_several_may_be_recommended_when_any_may_be_chosen() -> None:
    a_card(suggestions=(RECOMMENDED, RECOMMENDED), selection_behavior=SelectionBehavior.ANY)


@pytest.mark.conformance("CH-612")
@pytest.mark.parametrize(
    "url",
    ["", "/relative", "example.org", "ftp://example.org", "javascript:alert(1)", "http://example.org",
     "https://", "https://exa mple.org", "https://[bad", "https://example.org/\n"],
)  # fmt: skip
def test_a_link_is_absolute_and_safe(url: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        Link("x", url)


@pytest.mark.conformance("CH-612")
@pytest.mark.parametrize("url", ["https://example.org", "http://localhost:8080/x", "http://127.0.0.1/x"])
def test_a_link_may_be_https_or_on_this_machine(url: str) -> None:
    assert Link("x", url).url == url


@pytest.mark.conformance(
    "CH-508",
    "CH-509",
    "CH-518",
    "CH-601",
    "CH-607",
    "CH-608",
    "CH-609",
    "CH-610",
    "CH-611",
    "CH-614",
    "CH-615",
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Link("", "https://example.org"),
        lambda: Link("x", "https://example.org", LinkType.ABSOLUTE, "context"),
        lambda: Link("x", "https://example.org/launch?iss=a", LinkType.SMART),
        lambda: Link("x", "https://example.org/launch?launch=", LinkType.SMART),
        lambda: Source(""),
        lambda: Source("x", "/relative"),
        lambda: Coding("", "urn:x:y"),
        lambda: Coding("x", ""),
        lambda: Suggestion("", uuid4()),
        lambda: Action(ActionType.CREATE, "", RESOURCE),
        lambda: Action(ActionType.CREATE, "x"),
        lambda: Action(ActionType.CREATE, "x", {"id": "no type"}),
        lambda: Action(ActionType.CREATE, "x", RESOURCE, "Task/1"),
        lambda: Action(ActionType.UPDATE, "x", {"resourceType": "Task"}),
        lambda: Action(ActionType.DELETE, "x"),
        lambda: Action(ActionType.DELETE, "x", RESOURCE, "Task/1"),
        lambda: Action(ActionType.DELETE, "x", None, "https://example.org/Task/1"),
    ],
)
def test_a_part_that_breaks_a_rule_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        make()


# --- the schema is closed -----------------------------------------------------------------------------

SMALLEST = {"uuid": str(ID), "summary": "A summary", "indicator": "info", "source": {"label": "x"}}
WITH_SUGGESTION = {**SMALLEST, "suggestions": [{"label": "x", "uuid": str(ID)}], "selectionBehavior": "any"}
TWICE_RECOMMENDED = [{"label": "x", "uuid": str(ID), "isRecommended": True}] * 2


def with_action(**action: Any) -> dict[str, Any]:
    return {**WITH_SUGGESTION, "suggestions": [{"label": "x", "uuid": str(ID), "actions": [action]}]}


@pytest.mark.parametrize(
    "card",
    [
        SMALLEST,
        WITH_SUGGESTION,
        {**WITH_SUGGESTION, "suggestions": TWICE_RECOMMENDED},
        with_action(type="create", description="x", resource=RESOURCE),
        {**SMALLEST, "extension": {"org.example.thing": 1}},
    ],
)
def test_the_schema_accepts(card: dict[str, Any]) -> None:
    REPLY.validate({"cards": [card]})


@pytest.mark.parametrize(
    "card",
    [
        {**SMALLEST, "summary": "x" * 140},
        {**SMALLEST, "summary": ""},
        {**SMALLEST, "summary": "two\nlines"},
        {**SMALLEST, "indicator": "hard-stop"},
        {**SMALLEST, "uuid": "1"},
        {**SMALLEST, "detail": ""},
        {**SMALLEST, "detail": None},
        {**SMALLEST, "links": []},
        {**SMALLEST, "suggestions": [], "selectionBehavior": "any"},
        {**SMALLEST, "selectionBehavior": "any"},
        {**SMALLEST, "suggestions": WITH_SUGGESTION["suggestions"]},
        {**WITH_SUGGESTION, "selectionBehavior": "at-most-one", "suggestions": TWICE_RECOMMENDED},
        {**SMALLEST, "surprise": 1},
        {**SMALLEST, "source": {"label": "x", "url": "relative"}},
        {**SMALLEST, "overrideReasons": [{"code": "x", "system": "urn:x:y"}]},
        {**SMALLEST, "overrideReasons": [{"code": "x", "system": "urn:x:y", "display": "x", "version": "1"}]},
        {
            **SMALLEST,
            "links": [{"label": "x", "url": "https://x.org", "type": "absolute", "appContext": "x"}],
        },
        {**SMALLEST, "extension": {"thing": 1}},
        {**SMALLEST, "extension": [{"url": "x"}]},
        with_action(type="create", description="x"),
        with_action(type="create", resource=RESOURCE),
        with_action(type="delete", description="x", resource=RESOURCE),
        with_action(type="delete", description="x", resourceId="1"),
        *({name: value for name, value in SMALLEST.items() if name != left_out} for left_out in SMALLEST),
    ],
)
def test_the_schema_refuses(card: dict[str, Any]) -> None:
    assert not REPLY.is_valid({"cards": [card]})


@pytest.mark.parametrize("reply", [{}, [], {"cards": None}, {"cards": [], "systemActions": []}])
def test_the_schema_refuses_the_reply(reply: Any) -> None:
    assert not REPLY.is_valid(reply)


def test_no_card_is_a_valid_reply() -> None:
    REPLY.validate({"cards": []})


# --- text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sertraline 50 mg", "sertraline 50 mg"),
        (
            "MedicationRequest/7, PHQ-9, 37.5 mg, 2025-09-01",
            "MedicationRequest/7, PHQ-9, 37.5 mg, 2025-09-01",
        ),
        ("a|b", "a\\|b"),
        ("<b>", "\\<b\\>"),
        ("- a - b", "\\- a - b"),
        ("1. a", "1\\. a"),
        ("12) a", "12\\) a"),
        ("1.5 mg", "1.5 mg"),
        ("# a", "\\# a"),
        ("", ""),
    ],
)
def test_escaped_text(text: str, expected: str) -> None:
    assert escaped(text) == expected


@pytest.mark.parametrize(("limit", "expected"), [(3, "abc"), (4, "abc"), (2, "a…")])
def test_shortened_text(limit: int, expected: str) -> None:
    assert shortened("abc", limit) == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (24, "2 drugs in the first…"),
        (25, "2 drugs in the first year"),
        (22, "2 drugs in the first…"),
        (21, "2 drugs in the first…"),
        (20, "2 drugs in the…"),
    ],
)
def test_a_text_is_cut_between_words(limit: int, expected: str) -> None:
    assert shortened("2 drugs in the first year", limit) == expected


def test_a_long_word_is_cut_within() -> None:
    assert shortened("a " + "b" * 20, 12) == "a " + "b" * 9 + "…"
    assert shortened("failed, then; more", 9) == "failed…"


def test_one_line() -> None:
    assert one_line(" a\r\n b\u2028c\u200bd ") == "a b cd"
