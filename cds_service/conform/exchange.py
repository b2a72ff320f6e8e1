"""HTTP to the service that is checked: each call with what it was for, each reply kept as it came."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from cds_service.errors import ServiceUnreachable

NOT_JSON: Any = object()
NO_ANSWER = 0
_LONGEST_WAIT_SECONDS = 65.0
_UUID = re.compile(r'"uuid":\s*"[^"]*",?')


@dataclass(frozen=True)
class Reply:
    """One reply; `what` tells the call in words. `status` is 0 where none came."""

    what: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    seconds: float

    @property
    def body(self) -> Any:
        """The JSON of the body, NOT_JSON if it is none."""
        try:
            return json.loads(self.content, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return NOT_JSON

    @property
    def cards(self) -> list[dict[str, Any]]:
        """The cards of a 200, those that are objects."""
        body = self.body if self.status == 200 else None
        cards = body.get("cards") if isinstance(body, dict) else None
        return [card for card in cards if isinstance(card, dict)] if isinstance(cards, list) else []

    @property
    def guidance(self) -> str:
        """Status and cards without what is new in each reply, to compare replies by."""
        return f"{self.status} {without_uuids(self.cards)}"

    @property
    def is_served(self) -> bool:
        """Whether a legal call got a legal answer: 200, or 412 for lack of data."""
        return self.status in (200, 412)

    @property
    def is_refused(self) -> bool:
        """Whether the call was answered with a 4xx."""
        return 400 <= self.status < 500

    @property
    def shown(self) -> str:
        """The status with the beginning of the body."""
        if self.status == NO_ANSWER:
            return "no answer: the connection broke off or took too long"
        return f"{self.status} {self.content[:200].decode('utf-8', 'replace')}".strip()


def without_uuids(value: Any) -> str:
    return _UUID.sub("", json.dumps(value, sort_keys=True))


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class ServiceClient:
    """Calls below one base address. `note` sees every reply; `sign` gives the client token for an address."""

    def __init__(
        self,
        base_url: str,
        seconds: float,
        note: Callable[[Reply], None],
        sign: Callable[[str], str] | None = None,
    ) -> None:
        self.base_url = base_url
        self._seconds = seconds
        self._note = note
        self._sign = sign
        self._session = requests.Session()
        self._session.trust_env = False

    def url(self, *segments: str) -> str:
        return "/".join((self.base_url, *(quote(segment, safe="~") for segment in segments)))

    def call(
        self,
        method: str,
        segments: tuple[str, ...],
        what: str,
        *,
        body: Any = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        authorization: str | None = None,
        is_noted: bool = True,
    ) -> Reply:
        """Calls `{base}/{segments}`. `authorization` replaces our own token; empty sends none.

        A 429 is waited for once. Raises nothing: what cannot be reached gives a reply of status 0.
        """
        url = self.url(*segments)
        content = json.dumps(body).encode() if raw is None and body is not None else raw

        def send() -> Reply:
            sent = {"Content-Type": "application/json"} if content is not None else {}
            sent |= self._authorization(url, authorization) | dict(headers or {})
            return self._send(method, url, what, content, sent)

        reply = send()
        if reply.status == 429:
            time.sleep(_seconds_to_wait(reply))
            reply = send()
        if is_noted:
            self._note(reply)
        return reply

    def must_be_reachable(self) -> None:
        """Raises ServiceUnreachable when nothing listens at the base address."""
        try:
            self._session.get(self.url("cds-services"), timeout=self._seconds, allow_redirects=False)
        except requests.RequestException as error:
            raise ServiceUnreachable(f"{self.base_url}: cannot be reached: {_reason(error)}") from None

    def _authorization(self, url: str, given: str | None) -> dict[str, str]:
        if given is None:
            return {"Authorization": f"Bearer {self._sign(url)}"} if self._sign else {}
        return {"Authorization": given} if given else {}

    def _send(
        self, method: str, url: str, what: str, content: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        begun = time.perf_counter()
        try:
            answer = self._session.request(
                method, url, data=content, headers=headers, timeout=self._seconds, allow_redirects=False
            )
        except requests.RequestException:
            return Reply(what, NO_ANSWER, {}, b"", time.perf_counter() - begun)
        return Reply(what, answer.status_code, answer.headers, answer.content, time.perf_counter() - begun)


def _seconds_to_wait(reply: Reply) -> float:
    told = reply.headers.get("Retry-After", "")
    return min(float(told), _LONGEST_WAIT_SECONDS) if told.isascii() and told.isdigit() else 1.0


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate or TLS is not trusted (REQUESTS_CA_BUNDLE names further authorities)"
    return "it took too long" if isinstance(error, requests.Timeout) else type(error).__name__
