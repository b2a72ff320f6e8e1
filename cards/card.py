"""What CDS Hooks 2.0.1 allows a card to be, and how a card is written as JSON.

A value that the specification forbids cannot be made: it raises `ValueError`, which is a bug of ours
and never the fault of patient data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

SUMMARY_LIMIT = 140
"""A summary is shorter than this, in characters and in UTF-16 units."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_RELATIVE_REFERENCE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.\-]{1,64}")


def to_json(card: Card) -> dict[str, Any]:
    """The card as the specification writes it. What has no value is left out."""
    return _without_empty(
        {
            "uuid": str(card.uuid),
            "summary": card.summary,
            "detail": card.detail,
            "indicator": card.indicator.value,
            "source": _source_to_json(card.source),
            "suggestions": [_suggestion_to_json(suggestion) for suggestion in card.suggestions],
            "selectionBehavior": card.selection_behavior.value if card.selection_behavior else None,
            "overrideReasons": [_coding_to_json(reason) for reason in card.override_reasons],
            "links": [_link_to_json(link) for link in card.links],
        }
    )


class Indicator(Enum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class SelectionBehavior(Enum):
    AT_MOST_ONE = "at-most-one"
    ANY = "any"


class ActionType(Enum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class LinkType(Enum):
    ABSOLUTE = "absolute"
    SMART = "smart"


@dataclass(frozen=True)
class Coding:
    code: str
    system: str
    display: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.code and self.system), "a coding needs code and system")


@dataclass(frozen=True)
class Source:
    """Where the guidance comes from. `url` is about the source, never about this patient."""

    label: str
    url: str = ""
    topic: Coding | None = None

    def __post_init__(self) -> None:
        _require(bool(self.label), "a source needs a label")
        _require(not self.url or is_web_address(self.url), "a source's url is absolute")


@dataclass(frozen=True)
class Link:
    label: str
    url: str
    type: LinkType = LinkType.ABSOLUTE
    app_context: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.label), "a link needs a label")
        _require(is_web_address(self.url), "a link's url is absolute, and https except on this machine")
        _require(self.type is LinkType.SMART or not self.app_context, "only SMART links have an appContext")
        _require(
            self.type is LinkType.ABSOLUTE or not _has_launch(self.url), "the client adds iss and launch"
        )


@dataclass(frozen=True)
class Action:
    """One change of the record. `resource` is the whole FHIR resource; `resource_id` is for deletes."""

    type: ActionType
    description: str
    resource: dict[str, Any] | None = None
    resource_id: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.description), "an action needs a description")
        if self.type is ActionType.DELETE:
            _require(self.resource is None, "a delete has no resource")
            _require(bool(_RELATIVE_REFERENCE.fullmatch(self.resource_id)), "a delete needs Type/id")
            return
        _require(bool(self.resource and self.resource.get("resourceType")), "a FHIR resource is needed")
        _require(not self.resource_id, "only a delete has a resourceId")
        _require(self.type is ActionType.CREATE or "id" in (self.resource or {}), "an update needs the id")


@dataclass(frozen=True)
class Suggestion:
    """One thing to accept with one click; all its actions are taken together.

    `request` is what the catalogue calls it, empty where it has no name there; it is not sent.
    """

    label: str
    uuid: UUID
    actions: tuple[Action, ...] = ()
    is_recommended: bool = False
    request: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.label), "a suggestion needs a label")


@dataclass(frozen=True)
class Card:
    """One card. `detail` is GitHub-flavoured Markdown without HTML; `uuid` is new in every reply.

    `facts` is a hash of what the card rests on, the same as long as nothing of that changes; it is not sent.
    """

    uuid: UUID
    summary: str
    indicator: Indicator
    source: Source
    detail: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    selection_behavior: SelectionBehavior | None = None
    override_reasons: tuple[Coding, ...] = ()
    links: tuple[Link, ...] = ()
    facts: str = ""

    def __post_init__(self) -> None:
        _require(is_summary(self.summary), "a summary is one line of 1 to 139 characters")
        _require(
            bool(self.suggestions) == (self.selection_behavior is not None),
            "a selection behaviour goes with suggestions, and only with them",
        )
        _require(
            self.selection_behavior is not SelectionBehavior.AT_MOST_ONE
            or sum(suggestion.is_recommended for suggestion in self.suggestions) <= 1,
            "of suggestions that exclude each other at most one is recommended",
        )
        _require(all(reason.display for reason in self.override_reasons), "a reason needs a display")


def is_summary(text: str) -> bool:
    """Whether the text may be a summary: one printable line, shorter than 140 however it is counted."""
    return 0 < utf16_units(text) < SUMMARY_LIMIT and text.isprintable() and bool(text.strip())


def utf16_units(text: str) -> int:
    """Length as JavaScript clients count it: characters beyond the basic plane count twice."""
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


@lru_cache(maxsize=256)  # those of the tables, the same in every call
def is_web_address(url: str) -> bool:
    """Whether a browser can open this absolute address; plain http only on this machine."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def is_launch_address(url: str) -> bool:
    """Whether it may be a SMART app's launch URL: the client adds `iss` and `launch` to its query."""
    return is_web_address(url) and not _has_launch(url) and not urlsplit(url).fragment


def _has_launch(url: str) -> bool:
    return not {"iss", "launch"}.isdisjoint(parse_qs(urlsplit(url).query, keep_blank_values=True))


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


def _source_to_json(source: Source) -> dict[str, Any]:
    topic = _coding_to_json(source.topic) if source.topic else None
    return _without_empty({"label": source.label, "url": source.url, "topic": topic})


def _coding_to_json(coding: Coding) -> dict[str, Any]:
    return _without_empty({"code": coding.code, "system": coding.system, "display": coding.display})


def _link_to_json(link: Link) -> dict[str, Any]:
    return _without_empty(
        {"label": link.label, "url": link.url, "type": link.type.value, "appContext": link.app_context}
    )


def _suggestion_to_json(suggestion: Suggestion) -> dict[str, Any]:
    return _without_empty(
        {
            "label": suggestion.label,
            "uuid": str(suggestion.uuid),
            "isRecommended": suggestion.is_recommended or None,
            "actions": [_action_to_json(action) for action in suggestion.actions],
        }
    )


def _action_to_json(action: Action) -> dict[str, Any]:
    return _without_empty(
        {
            "type": action.type.value,
            "description": action.description,
            "resource": action.resource,
            "resourceId": action.resource_id,
        }
    )


def _without_empty(element: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in element.items() if value not in (None, "", [], {})}
