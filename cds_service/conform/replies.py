"""What holds for every reply, whatever was asked: JSON, nothing null or empty, no token, no patient in an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cds_service.conform.exchange import NO_ANSWER, NOT_JSON, Reply
from cds_service.conform.results import Ledger
from cds_service.conform.values import nothings

# What is answered to a wrong address or method is often a proxy's or a framework's word, not the service's.
_NOT_THE_SERVICES_WORD = (404, 405)
_LOOSE = re.compile(rb"^\s*[{\[].*(//|/\*|,\s*[}\]])", re.DOTALL)


def inspect_reply(ledger: Ledger, reply: Reply, secrets: Iterable[str], patient_ids: Iterable[str]) -> None:
    if reply.status == NO_ANSWER:
        return
    _inspect_secrets(ledger, reply, secrets)
    if reply.status >= 400:
        _inspect_error(ledger, reply, patient_ids)
    if reply.content and reply.status not in _NOT_THE_SERVICES_WORD:
        _inspect_json(ledger, reply)


def _inspect_secrets(ledger: Ledger, reply: Reply, secrets: Iterable[str]) -> None:
    text = reply.content.decode("utf-8", "replace") + str(dict(reply.headers))
    for secret in secrets:
        ledger.expect(
            "CH-405", secret not in text, reply.what, "a reply without the access token", "the token"
        )


def _inspect_error(ledger: Ledger, reply: Reply, patient_ids: Iterable[str]) -> None:
    text = reply.content.decode("utf-8", "replace")
    named = [id for id in patient_ids if id in text]
    ledger.expect("CH-504", not named, reply.what, "an error without a patient's id", named)


def _inspect_json(ledger: Ledger, reply: Reply) -> None:
    kind = reply.headers.get("Content-Type", "")
    declared = kind.partition(";")[0].strip().lower()
    is_json = declared == "application/json" or declared.endswith("+json")
    ledger.expect("CH-001", is_json, reply.what, "Content-Type application/json", kind or "none")
    body = reply.body
    if ledger.expect("CH-001", body is not NOT_JSON, reply.what, "a body that is JSON", reply.shown):
        _inspect_nothings(ledger, reply)
    is_plain = body is not NOT_JSON or not _LOOSE.search(reply.content)
    ledger.expect("CH-V17", is_plain, reply.what, "JSON without comments and trailing commas", reply.shown)


def _inspect_nothings(ledger: Ledger, reply: Reply) -> None:
    found = list(nothings(reply.body))
    nulls = [path for path, value in found if value is None]
    empty = [path for path, value in found if value is not None]
    where = reply.what
    ledger.expect("CH-003", not nulls, where, "no element to be null", ", ".join(nulls))
    ledger.expect("CH-004", not empty, where, "no element to be empty", ", ".join(empty))
    ledger.expect("CH-005", not found, where, "what has no value left out", ", ".join(nulls + empty))
