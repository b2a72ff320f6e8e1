"""What valid feedback looks like: the bytes of a request body become frozen `Answer` values, all or none.

Every refusal names the JSON path and what was expected, never the value. Elements that CDS Hooks does not
name are left alone. `schemas/cds-hooks-feedback.json` says the same for readers of other programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from cds_service.errors import RequestError
from cds_service.hook_request import parse_body

MOST_ENTRIES = 1000
MOST_SUGGESTIONS = 100
LONGEST_COMMENT = 2000
ACCEPTED, OVERRIDDEN = "accepted", "overridden"

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(?:\.(\d{1,30}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")  # what FHIR and databases refuse
_LACKING = re.compile(r"Object missing required field `(\w+)`")
_QUOTED = re.compile("`([^`]+)`")
_KINDS = {
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
}
_T = TypeVar("_T")


@dataclass(frozen=True)
class Answer:
    """What somebody did with one card. `at` is when, in UTC; `instant` the same without loss, as text.

    `accepted` are the uuids of the suggestions taken, each once; the reason is empty where none was coded.
    """

    card: str
    outcome: str
    at: datetime
    instant: str
    accepted: tuple[str, ...] = ()
    reason_code: str = ""
    reason_system: str = ""
    comment: str = field(default="", repr=False)


def read_feedback(body: bytes) -> tuple[Answer, ...]:
    """The answers in `body`, in their order; none for an empty array. Raises RequestError for anything else."""
    entries = _convert(parse_body(body), _Body, "$").feedback
    if len(entries) > MOST_ENTRIES:
        raise RequestError(f"$.feedback: expected at most {MOST_ENTRIES} entries, got {len(entries)}")
    return tuple(_answer(entry, f"$.feedback[{number}]") for number, entry in enumerate(entries))


# --- the kinds of JSON ----------------------------------------------------------------------------------


_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Body(msgspec.Struct):
    feedback: list[Any]


class _Entry(msgspec.Struct):
    card: _Id
    outcome: str
    outcomeTimestamp: str
    acceptedSuggestions: Any = None
    overrideReason: Any = None


class _Suggestion(msgspec.Struct):
    id: _Id


class _Reason(msgspec.Struct):
    reason: Any = None
    userComment: Any = None


_Comment = Annotated[str, msgspec.Meta(max_length=LONGEST_COMMENT)]


class _Coding(msgspec.Struct):
    code: _Id
    system: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


def _convert(value: Any, kind: type[_T], path: str) -> _T:
    """The value as `kind`. None of these kinds is an enumeration, so no refusal repeats what came."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        path += where.rstrip("`")
        if lacking := _LACKING.fullmatch(problem):
            raise RequestError(f"{path}.{lacking[1]}: required, got nothing") from None
        told = _QUOTED.sub(lambda kind: _KINDS.get(kind[1], kind[1]), problem)
        raise RequestError(f"{path}: {told[:1].lower()}{told[1:]}") from None


# --- one entry ------------------------------------------------------------------------------------------


def _answer(value: Any, path: str) -> Answer:
    entry = _convert(value, _Entry, path)
    at, instant = _read_instant(entry.outcomeTimestamp, f"{path}.outcomeTimestamp")
    card = _text(entry.card, f"{path}.card")
    card = card.lower() if _UUID.fullmatch(card) else card
    if entry.outcome == ACCEPTED:
        return Answer(card, ACCEPTED, at, instant, _read_accepted(entry.acceptedSuggestions, path))
    if entry.outcome == OVERRIDDEN:
        return _overridden(Answer(card, OVERRIDDEN, at, instant), entry.overrideReason, path)
    raise RequestError(f"{path}.outcome: expected `{ACCEPTED}` or `{OVERRIDDEN}`, got another text")


def _read_accepted(value: Any, path: str) -> tuple[str, ...]:
    path = f"{path}.acceptedSuggestions"
    suggestions = [] if value is None else _convert(value, list[Any], path)
    if not suggestions:
        raise RequestError(f"{path}: expected at least one suggestion with outcome `{ACCEPTED}`, got none")
    if len(suggestions) > MOST_SUGGESTIONS:
        raise RequestError(f"{path}: expected at most {MOST_SUGGESTIONS} suggestions, got {len(suggestions)}")
    return tuple(dict.fromkeys(_ids(suggestions, path)))


def _ids(suggestions: list[Any], path: str) -> Iterator[str]:
    for number, suggestion in enumerate(suggestions):
        found = _text(_convert(suggestion, _Suggestion, f"{path}[{number}]").id, f"{path}[{number}].id")
        yield found.lower() if _UUID.fullmatch(found) else found


def _overridden(answer: Answer, value: Any, path: str) -> Answer:
    if value is None:
        return answer
    path = f"{path}.overrideReason"
    given = _convert(value, _Reason, path)
    comment = _read_comment(given.userComment, f"{path}.userComment")
    if given.reason is None and not comment:
        raise RequestError(f"{path}: expected a reason, a userComment or both, got neither")
    code, system = _read_coding(given.reason, f"{path}.reason")
    return Answer(answer.card, answer.outcome, answer.at, answer.instant, (), code, system, comment)


def _read_comment(value: Any, path: str) -> str:
    return "" if value is None else _text(_convert(value, _Comment, path), path)


def _read_coding(value: Any, path: str) -> tuple[str, str]:
    if value is None:
        return "", ""
    coding = _convert(value, _Coding, path)
    return _text(coding.code, f"{path}.code"), _text(coding.system, f"{path}.system")


def _text(value: str, path: str) -> str:
    if _NOT_IN_TEXT.search(value):
        raise RequestError(f"{path}: expected a string without control characters, got one with some")
    return value


def _read_instant(value: str, path: str) -> tuple[datetime, str]:
    """A date-time by RFC 3339 in UTC, to the microsecond, and as text with all digits of the fraction."""
    found = _INSTANT.fullmatch(value)
    if found is None:
        raise RequestError(f"{path}: expected a date-time such as 2026-06-30T10:00:00Z, got another text")
    day, minute, second, fraction, offset = found.groups()
    second = min(second, "59") if second <= "60" else second  # a leap second
    try:
        at = datetime.fromisoformat(f"{day}T{minute}:{second}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestError(f"{path}: expected a date-time that exists, got another") from None
    fraction = (fraction or "").rstrip("0")
    exact = at.replace(microsecond=int(fraction[:6].ljust(6, "0")))
    return exact, f"{at:%Y-%m-%dT%H:%M:%S}.{fraction}Z"
