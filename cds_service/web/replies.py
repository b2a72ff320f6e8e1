"""Bodies to JSON, and errors to OperationOutcomes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from flask import Response


def json_reply(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, content_type="application/json")


def refusal(status: int, code: str, diagnostics: str) -> Response:
    return json_reply(operation_outcome(code, diagnostics), status, {"Cache-Control": "no-store"})


def operation_outcome(code: str, diagnostics: str) -> bytes:
    """An OperationOutcome with one error, as JSON."""
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})


def topics_of(cards: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """The topic of each card that is sent: what kind of card it is."""
    return tuple(card["source"].get("topic", {}).get("code", "other") for card in cards)
