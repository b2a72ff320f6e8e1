"""HTTP to one FHIR server: reads and searches with all their pages, within one request's bounds.

What may pass is tried again, after a pause that differs from call to call; a server that gives no answer again and
again is left alone for a moment (`circuit_breaker`).

Errors tell kind of request, status and issue code, never an address with a patient's id in it, an
OperationOutcome's free text, or the token.
"""

from __future__ import annotations

import math
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, quote

import requests

from cds_service.errors import FhirFatalError, FhirServerError, FhirTemporaryError, NotOffered, RequestError
from cds_service.fhir_address import FhirAddress, read_link_below
from cds_service.fhir_server.circuit_breaker import CIRCUITS
from cds_service.fhir_server.known_servers import SERVERS
from cds_service.fhir_server.page_links import (
    encode_strays,
    filters_beyond,
    is_of_another_search,
    why_elsewhere,
)
from cds_service.fhir_server.retries import RETRIES, RETRIES_WITHOUT_ANSWER, pause_before
from cds_service.fhir_server.search_results import (
    Page,
    count_matches,
    describe_issues,
    error_of,
    may_be_searchset,
    of_whole_search,
    read_page,
    repeats_only,
    stated_total,
)
from cds_service.hook_request import parse_body
from cds_service.outbound.bounded_get import (
    Bounds,
    HttpAnswer,
    TookTooLong,
    WorthRetrying,
    get_once,
    post_search_once,
)
from cds_service.trd.record import Topic, Unread

PAGE_SIZE = 100  # larger pages are refused by some servers
MAX_PAGES = 500
MAX_RESPONSE_MIB = 64
LONGEST_URL = 1900  # characters: servers and what stands before them cut off, or refuse, from 2,000 on

_NO_ANSWER = (502, 503, 504)  # of what stands before the server, or of one that is down
_FAIR_SECONDS = 1.0  # who had less to answer in is not to be blamed
_NOT_SUPPORTED = (404, 405, 501)  # how servers answer a search of a type that they do not have, beside 400

Form = Sequence[tuple[str, str]]
GoesOn = Callable[[Sequence[Page]], bool]


def to_the_end(_: Sequence[Page]) -> bool:
    """A `GoesOn` that lets all pages be followed."""
    return True


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
        self._circuit = CIRCUITS.of(base.url)

    @property
    def deadline(self) -> float:
        """The moment of `time.monotonic()` after which nothing is begun."""
        return self._bounds.deadline

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

    def without_token(self, seconds: float, largest_mib: float) -> FhirClient:
        """The same server, asked for what is open to all, within bounds of its own from now on."""
        deadline = time.monotonic() + seconds
        bounds = replace(self._bounds, deadline=deadline, largest_mib=largest_mib, total=None)
        return FhirClient(self.base, None, bounds)

    def metadata(self) -> dict[str, Any]:
        """What the server says of itself; raises FhirServerError if that is no statement of capabilities."""
        statement = self._get(f"{self.base.url}/metadata", "metadata")
        if statement.get("resourceType") not in ("CapabilityStatement", "Conformance"):  # Conformance: DSTU2
            raise FhirFatalError("the FHIR server answered the metadata with another resource")
        return statement

    def search(
        self, query: str, topics: tuple[Topic, ...], *, is_counted: bool = True, goes_on: GoesOn = to_the_end
    ) -> Page:
        """All pages of a search such as `Condition?patient=7`, joined; without `_count` if not `is_counted`.

        The pages of some servers are gone after a while (410): then the search is made anew, once.
        Raises SearchRefused or RuleBroken if the server does not take it so, and Stopped once `goes_on` says
        of the pages so far that they need not be followed.
        """
        try:
            return self._search_once(query, topics, is_counted, goes_on)
        except PageGone:
            return self._search_once(query, topics, is_counted, goes_on)

    def _search_once(self, query: str, topics: tuple[Topic, ...], is_counted: bool, goes_on: GoesOn) -> Page:
        resource_type = query.partition("?")[0]
        what = f"{resource_type} search"
        bundle = self._first_page(query, what, is_counted)
        if is_of_another_search(bundle, query):
            raise FhirFatalError(f"the FHIR server answered the {what} with that of another patient")
        first = read_page(bundle, f"{what} page 1", topics)
        gaps = tuple(
            Unread(
                what, f"the FHIR server says that it searched by {name} too, unasked", of_whole_search(topics)
            )
            for name in filters_beyond(bundle, query)
        )
        try:
            whole = replace(first, unread=(*first.unread, *gaps))
            return self.follow(whole, resource_type, topics, goes_on)
        except (
            NotOffered,
            RuleBroken,
        ) as refused:  # after a first page there is something, and a part of it is no whole
            raise FhirFatalError(str(refused)) from None

    def follow(
        self, first: Page, resource_type: str, topics: tuple[Topic, ...], goes_on: GoesOn = to_the_end
    ) -> Page:
        """`first` and all pages after it, joined; raises FhirFatalError if that is not the whole result."""
        what = f"{resource_type} search"
        pages = self._follow_pages(first, what, topics, goes_on)
        seen = count_matches(pages, resource_type)
        if not seen and any(page.entries for page in pages):
            raise FhirFatalError(f"the FHIR server answered the {what} with other resources")
        total = stated_total(pages, seen)
        if total is not None and total > seen:
            raise FhirFatalError(f"the {what} holds {seen} entries of {total}")
        if total is None and repeats_only(pages):
            raise FhirFatalError(f"a page of the {what} only repeats what came before it")
        return _joined(pages)

    def search_ids(self, resource_type: str, ids: Iterable[str], topics: tuple[Topic, ...]) -> Page:
        """Those resources with one of these ids that one search gives; it need not give all."""
        what = f"{resource_type} search"
        is_counted = SERVERS.takes_counts(self.base.url) is not False
        bundle = self._first_page(f"{resource_type}?_id={','.join(ids)}", what, is_counted)
        return _joined(self._follow_pages(read_page(bundle, f"{what} page 1", topics), what, topics))

    def _first_page(self, query: str, what: str, is_counted: bool) -> dict[str, Any]:
        """The first page of a search, by POST where the address would be too long for some servers."""
        url = f"{self.base.url}/{query}" + (f"&_count={PAGE_SIZE}" if is_counted else "")
        if len(url) <= LONGEST_URL:
            return self._search_result(url, what)
        address, _, parameters = url.partition("?")
        return self._search_result(f"{address}/_search", what, parse_qsl(parameters, keep_blank_values=True))

    def _search_result(self, url: str, what: str, form: Form | None = None) -> dict[str, Any]:
        """What came; a Bundle that is none of a search tells nothing of what was searched for."""
        bundle = self._get(url, what, form)
        if bundle.get("resourceType") == "Bundle" and not may_be_searchset(bundle):
            raise FhirFatalError(f"the FHIR server answered the {what} with a Bundle that is no searchset")
        return bundle

    def _follow_pages(
        self, first: Page, what: str, topics: tuple[Topic, ...], goes_on: GoesOn = to_the_end
    ) -> list[Page]:
        pages, seen, link = [first], set[str](), first.next_link
        while link is not None:
            if not goes_on(pages):
                raise Stopped(_joined(pages))
            try:
                bundle = self._search_result(self._checked_link(link, seen, what), what)
            except Gone as gone:
                raise PageGone(str(gone)) from None
            pages.append(read_page(bundle, f"{what} page {len(pages) + 1}", topics))
            link = pages[-1].next_link
        return pages

    def _checked_link(self, link: object, seen: set[str], what: str) -> str:
        link = encode_strays(link)
        url = read_link_below(link, self.base)
        if url is None:
            raise FhirFatalError(
                f"the next page of the {what} is not below the FHIR server's address, so it was not read: "
                + why_elsewhere(link, self.base)
            )
        if url in seen:
            raise FhirFatalError(f"the pages of the {what} do not end")
        if len(seen) >= self._max_pages:
            raise FhirFatalError(
                f"the pages of the {what} do not end, or are more than {self._max_pages} (fetch_pages)"
            )
        seen.add(url)
        return url

    def _get(self, url: str, what: str, form: Form | None = None) -> dict[str, Any]:
        """The resource at `url`, or what a search by `form` gives. All attempts are one call to the circuit."""
        self._circuit.require_closed(what)
        has_fair_time = self._bounds.seconds_left >= _FAIR_SECONDS
        try:
            answer = self._try(url, what, form)
        except WorthRetrying:
            self._circuit.failed()
            raise
        except TookTooLong:
            if has_fair_time:
                self._circuit.failed()
            raise
        self._circuit.failed() if answer.status in _NO_ANSWER else self._circuit.answered()
        return _read_reply(answer, what)

    def _try(self, url: str, what: str, form: Form | None) -> HttpAnswer:
        """The first answer that is not worth another attempt, or the last one that the time allows."""
        answer = self._attempt(url, what, form)
        for attempt in count(2):
            wait = _wait_before(attempt, answer)
            if wait >= self._bounds.seconds_left:
                break
            time.sleep(wait)
            with self._circuit.turns.take(attempt, self._bounds.seconds_left) as is_my_turn:
                if not is_my_turn:
                    break
                answer = self._attempt(url, what, form, is_repeated=True)
        if isinstance(answer, WorthRetrying):
            raise answer
        return answer

    def _attempt(
        self, url: str, what: str, form: Form | None, is_repeated: bool = False
    ) -> HttpAnswer | WorthRetrying:
        try:
            return self._once(url, what, form, is_repeated)
        except WorthRetrying as failure:
            return failure

    def _once(self, url: str, what: str, form: Form | None, is_repeated: bool) -> HttpAnswer:
        if self.token is not None and time.monotonic() >= self._expires:
            raise FhirFatalError(f"the access token ran out (expires_in) before the {what}")
        call = get_once if form is None else partial(post_search_once, form=form)
        answer = call(
            url,
            self._bounds,
            what,
            server="the FHIR server",
            is_loopback=self.base.is_loopback,
            sign=self._sign,
            is_repeated=is_repeated,
        )
        if answer.status == 401:
            self._when_refused()
        return answer

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the token, and asks for what is true now: HAPI answers a search of the last minute from memory."""
        request.headers["Cache-Control"] = "no-cache"
        if self.token is not None:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class SearchRefused(NotOffered):
    """The server does not search this type in this way (400): it may in another."""


class RuleBroken(FhirFatalError):
    """What was asked is against a rule of the server's (422): asked in another way it may not be."""


class Gone(FhirFatalError):
    """The server had it once (410)."""


class PageGone(FhirFatalError):
    """A page after the first is not kept any longer (410): the search has to be made anew."""


class Stopped(Exception):
    """There are more pages than the caller wants to follow. `page` is what was read of them."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page


class ServerFailed(FhirTemporaryError):
    """The server has an error (500): what was asked may be what it cannot do."""


class AccessRefused(NotOffered):
    """The server does not let this request see the data (403): asking in another way would not help."""


class TokenRefused(AccessRefused):
    """The server does not take the token, or wants one (401)."""


_ERRORS: dict[int, type[FhirServerError]] = {
    400: SearchRefused,
    401: TokenRefused,
    403: AccessRefused,
    410: Gone,
    422: RuleBroken,
    500: ServerFailed,
}


def _wait_before(attempt: int, before: HttpAnswer | WorthRetrying) -> float:
    """Seconds until attempt number `attempt`, after one that ended so; infinite if there is to be none."""
    if isinstance(before, WorthRetrying):
        return pause_before(attempt, {}) if attempt - 1 <= RETRIES_WITHOUT_ANSWER else math.inf
    return pause_before(attempt, before.headers) if attempt - 1 <= RETRIES.get(before.status, 0) else math.inf


def _joined(pages: list[Page]) -> Page:
    return Page(
        entries=tuple(entry for page in pages for entry in page.entries),
        unread=tuple(unread for page in pages for unread in page.unread),
        total=pages[0].total,
        is_cut=any(page.is_cut for page in pages),
    )


def _read_reply(answer: HttpAnswer, what: str) -> dict[str, Any]:
    content, status = _parse(answer.body), answer.status
    if status == 200:
        return _resource(content, what)
    message = f"the FHIR server answered {status}{describe_issues(content)} to the {what}"
    if 300 <= status < 400:
        message += "; redirects are not followed"
    raise _error_of_status(status)(message)


def _error_of_status(status: int) -> type[FhirServerError]:
    if status in _NOT_SUPPORTED:
        return NotOffered
    return _ERRORS.get(status, FhirTemporaryError if status in RETRIES else FhirFatalError)


def _parse(body: bytes) -> Any:
    try:
        return parse_body(body.removeprefix(BOM_UTF8))
    except RequestError:
        return None


def _resource(content: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict) or not isinstance(content.get("resourceType"), str):
        raise FhirFatalError(f"the FHIR server answered the {what} with something that is not FHIR JSON")
    if content["resourceType"] == "OperationOutcome":
        raise error_of(content, f"the FHIR server answered the {what} with an error")
    return content
