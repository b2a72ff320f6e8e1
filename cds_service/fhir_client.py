"""HTTP to one FHIR server: reads and searches with all their pages, within one request's bounds.

Errors tell kind of request, status and issue code, never an address with a patient's id in it, an
OperationOutcome's free text, or the token.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec
import requests

from cds_service.bounded_get import Bounds, WorthRetrying, get_once
from cds_service.errors import FhirFatalError, NotOffered
from cds_service.fhir_address import FhirAddress, read_link_below
from cds_service.search_results import Page, count_matches, describe_issues, error_of, read_page
from cds_service.trd.record import Topic

PAGE_SIZE = 100  # larger pages are refused by some servers
MAX_PAGES = 500
MAX_RESPONSE_MIB = 64
PAUSES_SECONDS = (0.1, 0.4)  # before the second and the third attempt

_WORTH_RETRYING = (429, 500, 502, 503, 504)
_NOT_SUPPORTED = (400, 404, 405, 501)  # how servers answer a search of a type that they do not have


class FhirClient:
    """Calls to one FHIR server on behalf of one request.

    `expires` is a moment of `time.monotonic()` from which on the token is not sent; `when_refused` is called
    when the server does not take it (401).
    """

    def __init__(
        self,
        base: FhirAddress,
        token: str | None,
        bounds: Bounds,
        *,
        max_pages: int = MAX_PAGES,
        expires: float = math.inf,
        when_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self.base = base
        self.token = token
        self._bounds = bounds
        self._max_pages = max_pages
        self._expires = expires
        self._when_refused = when_refused

    def __repr__(self) -> str:
        return f"FhirClient({self.base.url!r})"

    def until(self, deadline: float) -> FhirClient:
        """The same with another deadline."""
        bounds = replace(self._bounds, deadline=deadline)
        return self._with(self.token, bounds, self._expires, self._when_refused)

    def using(self, token: str, expires: float, when_refused: Callable[[], None]) -> FhirClient:
        """The same with another token."""
        return self._with(token, self._bounds, expires, when_refused)

    def _with(
        self, token: str | None, bounds: Bounds, expires: float, when_refused: Callable[[], None]
    ) -> FhirClient:
        return FhirClient(
            self.base,
            token,
            bounds,
            max_pages=self._max_pages,
            expires=expires,
            when_refused=when_refused,
        )

    def read(self, resource_type: str, logical_id: str) -> dict[str, Any]:
        """The resource `resource_type/logical_id`, as the server has it now."""
        what = f"{resource_type} read"
        resource = self._get(f"{self.base.url}/{resource_type}/{quote(logical_id, safe='')}", what)
        if (resource.get("resourceType"), resource.get("id")) != (resource_type, logical_id):
            raise FhirFatalError(f"the FHIR server answered the {what} with another resource")
        return resource

    def search(self, query: str, topics: tuple[Topic, ...]) -> Page:
        """All pages of a search such as `Condition?patient=7`, joined."""
        resource_type = query.partition("?")[0]
        what = f"{resource_type} search"
        bundle = self._get(f"{self.base.url}/{query}&_count={PAGE_SIZE}", what)
        try:
            return self.follow(read_page(bundle, f"{what} page 1", topics), resource_type, topics)
        except NotOffered as refused:  # after a first page there is something, and a part of it is no whole
            raise FhirFatalError(str(refused)) from None

    def follow(self, first: Page, resource_type: str, topics: tuple[Topic, ...]) -> Page:
        """`first` and all pages after it, joined; raises FhirFatalError if that is not the whole result."""
        what = f"{resource_type} search"
        pages = self._follow_pages(first, what, topics)
        seen = count_matches(pages, resource_type)
        if first.total is not None and first.total > seen:
            raise FhirFatalError(f"the {what} holds {seen} entries of {first.total}")
        return _joined(pages)

    def search_ids(self, resource_type: str, ids: Iterable[str], topics: tuple[Topic, ...]) -> Page:
        """Those resources with one of these ids that one search gives; it need not give all."""
        what = f"{resource_type} search"
        bundle = self._get(f"{self.base.url}/{resource_type}?_id={','.join(ids)}&_count={PAGE_SIZE}", what)
        return _joined(self._follow_pages(read_page(bundle, f"{what} page 1", topics), what, topics))

    def _follow_pages(self, first: Page, what: str, topics: tuple[Topic, ...]) -> list[Page]:
        pages, seen, link = [first], set[str](), first.next_link
        while link is not None:
            bundle = self._get(self._checked_link(link, seen, what), what)
            pages.append(read_page(bundle, f"{what} page {len(pages) + 1}", topics))
            link = pages[-1].next_link
        return pages

    def _checked_link(self, link: object, seen: set[str], what: str) -> str:
        url = read_link_below(link, self.base)
        if url is None:
            raise FhirFatalError(
                f"the next page of the {what} is not below the FHIR server's address, so it was not read"
            )
        if url in seen:
            raise FhirFatalError(f"the pages of the {what} do not end")
        if len(seen) >= self._max_pages:
            raise FhirFatalError(
                f"the pages of the {what} do not end, or are more than {self._max_pages} (fetch_pages)"
            )
        seen.add(url)
        return url

    def _get(self, url: str, what: str) -> dict[str, Any]:
        for pause in PAUSES_SECONDS:
            try:
                return self._get_once(url, what)
            except WorthRetrying as error:
                wait = max(pause, error.wait_seconds)
                if wait >= self._bounds.seconds_left:
                    raise
                time.sleep(wait)
        return self._get_once(url, what)

    def _get_once(self, url: str, what: str) -> dict[str, Any]:
        if self.token is not None and time.monotonic() >= self._expires:
            raise FhirFatalError(f"the access token ran out (expires_in) before the {what}")
        answer = get_once(
            url,
            self._bounds,
            what,
            server="the FHIR server",
            is_loopback=self.base.is_loopback,
            sign=self._sign,
        )
        if answer.status == 401:
            self._when_refused()
        return _read_reply(answer.status, answer.headers, answer.body, what)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the token."""
        if self.token is not None:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class AccessRefused(NotOffered):
    """The server does not let this request see the data (401, 403): asking in another way would not help."""


def _joined(pages: list[Page]) -> Page:
    return Page(
        entries=tuple(entry for page in pages for entry in page.entries),
        unread=tuple(unread for page in pages for unread in page.unread),
        total=pages[0].total,
    )


def _read_reply(status: int, headers: Any, body: bytes, what: str) -> dict[str, Any]:
    content = _parse(body)
    if status == 200:
        return _resource(content, what)
    message = f"the FHIR server answered {status}{describe_issues(content)} to the {what}"
    if status in _WORTH_RETRYING:
        raise WorthRetrying(message, _retry_after(headers.get("Retry-After")))
    if status in (401, 403):
        raise AccessRefused(message)
    if 300 <= status < 400:
        message += "; redirects are not followed"
    if status in _NOT_SUPPORTED:
        raise NotOffered(message)
    raise FhirFatalError(message)


def _parse(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _resource(content: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict) or not isinstance(content.get("resourceType"), str):
        raise FhirFatalError(f"the FHIR server answered the {what} with something that is not FHIR JSON")
    if content["resourceType"] == "OperationOutcome":
        raise error_of(content, f"the FHIR server answered the {what} with an error")
    return content


def _retry_after(value: str | None) -> float:
    """Seconds to wait. A date, which would need the server's clock, counts as not given."""
    return float(value) if value is not None and value.isascii() and value.isdigit() else 0
