"""Which bodies are feedback: as the reader and the published schema say, always the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import RequestError
from cds_service.feedback.body import LONGEST_COMMENT, MOST_ENTRIES, Answer, read_feedback
from tests.contract.replies import validator

CARD = "f6b95768-b1c8-40dc-8385-bf3504b82ffb"
SUGGESTION = "1c5c9c8e-7b5e-4d22-9c1a-0c2ad3f0f3aa"
AT = "2026-06-30T10:00:00Z"
REASON = {"code": "not-mdd", "system": "urn:trd-cds:override-reason"}
MARKER = "marker-5d21"


def accepted(**elements: Any) -> dict[str, Any]:
    taken = [{"id": SUGGESTION}]
    return _without_none(
        {"card": CARD, "outcome": "accepted", "outcomeTimestamp": AT, "acceptedSuggestions": taken} | elements
    )


def overridden(**elements: Any) -> dict[str, Any]:
    return _without_none({"card": CARD, "outcome": "overridden", "outcomeTimestamp": AT} | elements)


def with_reason(**elements: Any) -> dict[str, Any]:
    return overridden(overrideReason=elements)


def _without_none(elements: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in elements.items() if value is not None}


def read(*entries: Any) -> tuple[Answer, ...]:
    return read_feedback(json.dumps({"feedback": entries}).encode())


def is_valid(*entries: Any) -> bool:
    return bool(validator("cds-hooks-feedback.json").is_valid({"feedback": [*entries]}))


RIGHT = {
    "accepted": accepted(),
    "two suggestions": accepted(acceptedSuggestions=[{"id": "a"}, {"id": "b"}]),
    "more elements": accepted(extension={"x": 1}, acceptedSuggestions=[{"id": "a", "more": 1}]),
    "accepted with an overrideReason, which is left alone": accepted(overrideReason={}),
    "a card that is no uuid": accepted(card="card 1 ä"),
    "overridden": overridden(),
    "overridden with nothing said": overridden() | {"overrideReason": None, "acceptedSuggestions": None},
    "overridden with suggestions, which are left alone": overridden(acceptedSuggestions=[1]),
    "a reason": with_reason(reason=REASON),
    "a reason with display": with_reason(reason=REASON | {"display": "Not depressed"}),
    "a comment": with_reason(userComment="seen last week"),
    "both": with_reason(reason=REASON, userComment="seen\nlast\tweek \U0001f600"),
    "a reason and an empty comment": with_reason(reason=REASON, userComment=""),
    "the longest comment": with_reason(userComment="x" * LONGEST_COMMENT),
    "no reason, but a comment": overridden() | {"overrideReason": {"reason": None, "userComment": "a"}},
}
WRONG = {
    "no object": (MARKER, "$.feedback[0]: expected an object, got a string"),
    "no card": (accepted(card=None), "$.feedback[0].card: required, got nothing"),
    "a card that is null": (accepted() | {"card": None}, "$.feedback[0].card: expected a string, got null"),
    "a card that is a number": (accepted(card=7), "$.feedback[0].card: expected a string, got a number"),
    "an empty card": (accepted(card=""), "$.feedback[0].card: expected a string of length >= 1"),
    "a long card": (accepted(card=MARKER * 99), "$.feedback[0].card: expected a string of length <= 200"),
    "a zero byte in a card": (accepted(card=f"{MARKER}\0"), "$.feedback[0].card: expected a string without"),
    "no outcome": (accepted(outcome=None), "$.feedback[0].outcome: required"),
    "another outcome": (accepted(outcome=MARKER), "$.feedback[0].outcome: expected `accepted` or"),
    "an outcome that is no text": (accepted(outcome=True), "$.feedback[0].outcome: expected a string"),
    "no time": (accepted(outcomeTimestamp=None), "$.feedback[0].outcomeTimestamp: required"),
    "a time that is a number": (accepted(outcomeTimestamp=1), "$.feedback[0].outcomeTimestamp: expected a str"),
    "a time that is none": (accepted(outcomeTimestamp=MARKER), "$.feedback[0].outcomeTimestamp: expected a da"),
    "accepted without suggestions": (
        accepted(acceptedSuggestions=None),
        "$.feedback[0].acceptedSuggestions: expected at least one",
    ),
    "accepted with none": (accepted(acceptedSuggestions=[]), "$.feedback[0].acceptedSuggestions: expected at"),
    "suggestions that are no array": (
        accepted(acceptedSuggestions={"id": MARKER}),
        "$.feedback[0].acceptedSuggestions: expected an array",
    ),
    "bare ids": (accepted(acceptedSuggestions=[MARKER]), "$.feedback[0].acceptedSuggestions[0]: expected an ob"),
    "a suggestion without id": (
        accepted(acceptedSuggestions=[{"id": "a"}, {"uuid": MARKER}]),
        "$.feedback[0].acceptedSuggestions[1].id: required",
    ),
    "too many suggestions": (
        accepted(acceptedSuggestions=[{"id": str(number)} for number in range(101)]),
        "$.feedback[0].acceptedSuggestions: expected at most 100",
    ),
    "an empty reason": (with_reason(), "$.feedback[0].overrideReason: expected a reason, a userComment or both"),
    "an empty comment alone": (with_reason(userComment=""), "$.feedback[0].overrideReason: expected a reason"),
    "a reason that is text": (overridden(overrideReason=MARKER), "$.feedback[0].overrideReason: expected an ob"),
    "a coding that is text": (with_reason(reason=MARKER), "$.feedback[0].overrideReason.reason: expected an ob"),
    "a coding without code": (with_reason(reason={"system": "a"}), "$.feedback[0].overrideReason.reason.code: r"),
    "a coding without system": (with_reason(reason={"code": "a"}), "$.feedback[0].overrideReason.reason.system"),
    "a comment too long": (
        with_reason(userComment=MARKER + "x" * LONGEST_COMMENT),
        "$.feedback[0].overrideReason.userComment: expected a string of length <= 2000",
    ),
    "a comment with a zero byte": (
        with_reason(userComment=f"{MARKER}\0"),
        "$.feedback[0].overrideReason.userComment: expected a string without control characters",
    ),
    "a comment that is no text": (
        with_reason(userComment=[MARKER]),
        "$.feedback[0].overrideReason.userComment: expected",
    ),
}  # fmt: skip


@pytest.mark.conformance("CH-702", "CH-704", "CH-705")
@pytest.mark.parametrize("what", RIGHT)
def test_feedback_that_is_taken(what: str) -> None:
    assert len(read(RIGHT[what], accepted())) == 2
    assert is_valid(RIGHT[what])


@pytest.mark.conformance("CH-703", "CH-704", "CH-705")
@pytest.mark.parametrize("what", WRONG)
def test_feedback_that_is_refused(what: str) -> None:
    entry, words = WRONG[what]
    with pytest.raises(RequestError) as raised:
        read(entry)
    assert str(raised.value).startswith(words)
    assert MARKER not in str(raised.value)
    assert not is_valid(entry)


@pytest.mark.conformance("CH-709")
def test_one_wrong_entry_refuses_them_all_and_is_named() -> None:
    with pytest.raises(RequestError, match=r"^\$\.feedback\[1\]\.outcome: "):
        read(accepted(), overridden(outcome="ignored"), overridden())


@pytest.mark.conformance("CH-702")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([overridden()], "$: expected an object, got an array"),
        (overridden(), "$.feedback: required, got nothing"),
        ({"feedback": overridden()}, "$.feedback: expected an array, got an object"),
        ({"feedback": None}, "$.feedback: expected an array, got null"),
        ({"feedback": [overridden()] * (MOST_ENTRIES + 1)}, "$.feedback: expected at most 1000 entries"),
    ],
)
def test_bodies_of_another_shape_are_refused(body: Any, words: str) -> None:
    with pytest.raises(RequestError) as raised:
        read_feedback(json.dumps(body).encode())
    assert str(raised.value).startswith(words)
    assert not validator("cds-hooks-feedback.json").is_valid(body)


@pytest.mark.conformance("CH-702")
def test_an_empty_array_says_nothing() -> None:
    assert read() == ()
    assert is_valid()


@pytest.mark.conformance("CH-706")
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-06-30T10:00:00Z", "2026-06-30T10:00:00.000000"),
        ("2026-06-30T10:00:00.12Z", "2026-06-30T10:00:00.120000"),
        ("2026-06-30T10:00:00.123Z", "2026-06-30T10:00:00.123000"),
        ("2026-06-30T10:00:00.123456789Z", "2026-06-30T10:00:00.123456"),
        ("2026-06-30t10:00:00z", "2026-06-30T10:00:00.000000"),
        ("2026-06-30T12:00:00+02:00", "2026-06-30T10:00:00.000000"),
        ("2026-06-29T23:30:00.5-10:30", "2026-06-30T10:00:00.500000"),
        ("2026-06-30T10:00:00-00:00", "2026-06-30T10:00:00.000000"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000"),
    ],
)
def test_times_are_told_in_utc(text: str, utc: str) -> None:
    (answer,) = read(overridden(outcomeTimestamp=text))
    assert answer.at == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert is_valid(overridden(outcomeTimestamp=text))


@pytest.mark.conformance("CH-706")
@pytest.mark.parametrize(
    "text",
    [
        "2026-06-30",
        "2026-06-30T10:00Z",
        "2026-06-30T10:00:00",
        "2026-06-30 10:00:00Z",
        "2026-06-30T10:00:00.Z",
        "2026-06-30T10:00:00+02",
        "2026-06-30T10:00:00+24:00",
        "2026-13-30T10:00:00Z",
        "2026-06-32T10:00:00Z",
        "2026-06-30T24:00:00Z",
        "2026-06-30T10:00:61Z",
        "20260630T100000Z",
        "٢٠٢٦-06-30T10:00:00Z",
        "Tue, 30 Jun 2026 10:00:00 GMT",
        "",
    ],
)
def test_what_is_no_date_time_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"^\$\.feedback\[0\]\.outcomeTimestamp: expected a date-time"):
        read(overridden(outcomeTimestamp=text))
    assert not is_valid(overridden(outcomeTimestamp=text))


@pytest.mark.parametrize(
    "text", ["2026-02-30T10:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"]
)
def test_a_day_that_does_not_exist_is_refused_though_a_schema_cannot_tell(text: str) -> None:
    with pytest.raises(RequestError, match="expected a date-time that exists"):
        read(overridden(outcomeTimestamp=text))


def test_the_same_instant_reads_the_same_however_it_is_written() -> None:
    texts = ("2026-06-30T10:00:00.5Z", "2026-06-30T10:00:00.500Z", "2026-06-30T12:00:00.50+02:00")
    assert len({read(overridden(outcomeTimestamp=text))[0].instant for text in texts}) == 1


def test_uuids_are_told_in_lower_case_and_suggestions_once() -> None:
    (answer,) = read(accepted(card=CARD.upper(), acceptedSuggestions=[{"id": "b"}, {"id": "a"}, {"id": "b"}]))
    assert (answer.card, answer.accepted) == (CARD, ("b", "a"))


def test_a_comment_is_in_no_repr() -> None:
    (answer,) = read(with_reason(userComment=MARKER))
    assert answer.comment == MARKER
    assert MARKER not in repr(answer)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*accepted(), "overrideReason"], ANY_JSON)))
def test_any_entry_is_read_or_refused_with_its_path(elements: dict[str, Any]) -> None:
    try:
        read(overridden() | elements)
    except RequestError as error:
        assert str(error).startswith("$")
