"""Feedback on a card that was shown: what has to be taken, and what has to be refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from cds_service.conform.examination import Entry, Examination
from cds_service.conform.exchange import Reply

OF_FEEDBACK = (
    *("CH-701", "CH-702", "CH-703", "CH-704", "CH-705", "CH-706", "CH-707", "CH-709", "CH-710", "CH-W06"),
)
_REASON = {"code": "contraindicated", "system": "https://example.org/override-reasons"}
_NOT_OFFERED = (404, 405, 501)


def check_feedback(exam: Examination, entries: tuple[Entry, ...]) -> None:
    """Reports back on one card of each service. Accepted first: an overridden card may not come again."""
    by_id = {entry.id: entry for entry in entries}
    offered = [entry for entry in by_id.values() if _is_offered(exam, entry)]
    if not offered:
        exam.ledger.not_applicable(OF_FEEDBACK, "no feedback endpoint is offered")
    for entry in offered:
        card = exam.shown_cards.get(entry.id, {"uuid": str(uuid.uuid4())})
        for what, rule_id, body in _taken(card):
            reply = _post(exam, entry, body, what)
            exam.for_rules(rule_id)(200 <= reply.status < 300, reply, "200")
        for what, rule_id, body in _refused(str(card["uuid"])):
            reply = _post(exam, entry, body, what)
            exam.for_rules(rule_id)(reply.is_refused, reply, "4xx")


def _is_offered(exam: Examination, entry: Entry) -> bool:
    """Whether feedback is taken at all. About a card that was never shown, a refusal need not mean anything."""
    card = exam.shown_cards.get(entry.id, {})
    body = {"feedback": [_accepted(str(card.get("uuid", uuid.uuid4())), _suggestions(card)[:1])]}
    reply = _post(exam, entry, body, "the first feedback")
    if reply.status in _NOT_OFFERED or reply.status == 401:
        return False
    if not card and reply.is_refused:
        return False
    return exam.ledger.expect("CH-701", 200 <= reply.status < 300, reply.what, "200", reply.shown)


def _post(exam: Examination, entry: Entry, body: Any, what: str) -> Reply:
    path = ("cds-services", entry.id, "feedback")
    return exam.client.call("POST", path, f"{entry.id}, feedback: {what}", body=body)


def _accepted(card: str, suggestions: list[str], **elements: Any) -> dict[str, Any]:
    return {
        "card": card,
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": id} for id in suggestions],
        "outcomeTimestamp": "2026-01-31T12:00:00Z",
    } | elements


def _overridden(card: str, **elements: Any) -> dict[str, Any]:
    return {"card": card, "outcome": "overridden", "outcomeTimestamp": "2026-01-31T12:00:00Z"} | elements


def _suggestions(card: Mapping[str, Any]) -> list[str]:
    """The uuids of the card's suggestions, two that nobody knows if it has none."""
    found = card.get("suggestions")
    uuids = [each.get("uuid") for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [each for each in uuids if isinstance(each, str)] or [str(uuid.uuid4())]


def _taken(card: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    id, suggestions = str(card["uuid"]), _suggestions(card)
    accepted = _accepted(id, suggestions[:1])
    yield "several entries", "CH-702", {"feedback": [accepted, _overridden(id)]}
    yield "several suggestions", "CH-704", {"feedback": [_accepted(id, suggestions)]}
    yield "the same once more", "CH-707", {"feedback": [accepted]}
    for fraction in ("", ".12", ".123", ".123456789"):
        moment = f"2026-01-31T12:00:01{fraction}Z"
        yield (
            f"the time {moment}",
            "CH-706",
            {"feedback": [_accepted(id, suggestions[:1], outcomeTimestamp=moment)]},
        )
    unknown = _accepted(str(uuid.uuid4()), [str(uuid.uuid4())])
    yield "a card that was never shown", "CH-709", {"feedback": [unknown]}
    yield "overridden after it was accepted", "CH-707", {"feedback": [_overridden(id)]}
    yield "overridden with a reason", "CH-705", _with_reason(id, {"reason": _REASON})
    yield "overridden with a comment", "CH-705", _with_reason(id, {"userComment": "not now"})
    both = {"reason": _REASON, "userComment": "not now"}
    yield "overridden with reason and comment", "CH-705", _with_reason(id, both)
    yield (
        "as the sandbox sends it",
        "CH-W06",
        _with_reason(id, {"reason": _REASON}, outcomeTimestamp="2026-01-31T12:00:00.123Z"),
    )


def _with_reason(card: str, reason: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {"feedback": [_overridden(card, overrideReason=reason, **elements)]}


def _refused(card: str) -> Iterator[tuple[str, str, Any]]:
    good = _accepted(card, [str(uuid.uuid4())])
    yield "a bare array", "CH-702", [good]
    yield "an entry without feedback around it", "CH-702", good
    for name in ("card", "outcome", "outcomeTimestamp"):
        fewer = {key: value for key, value in good.items() if key != name}
        yield f"no {name}", "CH-703", {"feedback": [fewer]}
    yield "an outcome of another kind", "CH-703", {"feedback": [good | {"outcome": "ignored"}]}
    without = {key: value for key, value in good.items() if key != "acceptedSuggestions"}
    yield "accepted without acceptedSuggestions", "CH-704", {"feedback": [without]}
    yield "an empty overrideReason", "CH-705", {"feedback": [_overridden(card, overrideReason={})]}
    yield "a day without a time", "CH-706", {"feedback": [good | {"outcomeTimestamp": "2026-01-31"}]}
