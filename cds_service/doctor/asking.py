"""One question to the FHIR server at a time: what came, in whatever state, and how long it took.

Calls go through `bounded_get`, as those of the service do: bounded in time and size, and no redirects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import requests

from cds_service.errors import FhirFatalError, FhirServerError
from cds_service.fhir_address import FhirAddress
from cds_service.fhir_server.client import MAX_RESPONSE_MIB
from cds_service.fhir_server.retries import PAUSES_SECONDS
from cds_service.fhir_server.search_results import Page, describe_issues, read_page
from cds_service.outbound.bounded_get import (
    Bounds,
    HttpAnswer,
    Sign,
    WorthRetrying,
    get_once,
    post_search_once,
    send_nothing,
)
from cds_service.outbound.network import ANYWHERE

FHIR_JSON = "application/fhir+json"
_SERVER = "the FHIR server"
_LONGEST_TYPE = 60
_PASSING = {429: 3, 500: 2, 502: 3, 503: 3, 504: 3}  # how often `FhirClient` asks where it is answered so


@dataclass(frozen=True)
class Answer:
    """What came. `status` is 0 where nothing did; `problem` says then why. `content` is None unless it is JSON.

    `attempts` tells how often was asked, `location` where a redirect leads; `seconds` are those of all attempts.
    """

    status: int
    content: Any
    content_type: str
    seconds: float
    problem: str = ""
    location: str = ""
    attempts: int = 1

    @property
    def resource_type(self) -> str:
        kind = self.content.get("resourceType") if isinstance(self.content, dict) else None
        return kind if isinstance(kind, str) else ""

    @property
    def why_not_usable(self) -> str:
        """Why this is no FHIR resource with status 200; empty if it is one."""
        if self.status == 0:
            return self.problem
        if 300 <= self.status < 400:
            return f"answered {self.status}: redirects are not followed"
        if self.status != 200:
            times = f", asked {self.attempts} times" if self.attempts > 1 else ""
            return f"answered {self.status}{describe_issues(self.content)}{times}"
        if not self.resource_type:
            return f"answered {self.content_type or 'something without Content-Type'}, which is not FHIR JSON"
        if self.resource_type == "OperationOutcome":
            return f"answered 200 with an OperationOutcome{describe_issues(self.content)}"
        return ""

    @property
    def page(self) -> Page:
        """The page of a search that this is. Raises FhirFatalError with the reason if it is none."""
        if self.why_not_usable:
            raise FhirFatalError(self.why_not_usable)
        return read_page(self.content, "page", ())


@dataclass(frozen=True)
class Asker:
    """Questions below one base address, each with `seconds` of its own. The token is sent and never shown.

    What may pass is asked again, as the service does.
    """

    base: FhirAddress
    token: str | None = field(repr=False)
    seconds: float

    def get(self, path: str, what: str, *, with_token: bool = True, accept: str = FHIR_JSON) -> Answer:
        """GET of `path` below the base address; `what` is words such as `Condition search`."""
        return self.get_url(f"{self.base.url}/{path}", what, with_token=with_token, accept=accept)

    def get_url(self, url: str, what: str, *, with_token: bool = True, accept: str = FHIR_JSON) -> Answer:
        sign, bounds = self._sign if with_token else send_nothing, self.bounds()
        call = partial(get_once, url, bounds, what, sign=sign, accept=accept, **self._named)
        return _asked(call, bounds)

    def post_search(self, resource_type: str, parameters: Sequence[tuple[str, str]]) -> Answer:
        """A search by POST."""
        url, what = f"{self.base.url}/{resource_type}/_search", f"{resource_type} search"
        bounds = self.bounds()
        call = partial(post_search_once, url, bounds, what, form=parameters, sign=self._sign, **self._named)
        return _asked(call, bounds)

    @property
    def _named(self) -> dict[str, Any]:
        return {"server": _SERVER, "is_loopback": self.base.is_loopback}

    def bounds(self) -> Bounds:
        """Those of one question that is begun now."""
        return Bounds(time.monotonic() + self.seconds, MAX_RESPONSE_MIB, ANYWHERE)

    @property
    def _sign(self) -> Sign:
        def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if self.token is not None:
                request.headers["Authorization"] = f"Bearer {self.token}"
            return request

        return sign


def _asked(ask: Callable[[], HttpAnswer], bounds: Bounds) -> Answer:
    """The first answer that is not worth another attempt, or the last for which there is time."""
    begun = time.perf_counter()
    for attempt, pause in enumerate((*PAUSES_SECONDS, None), 1):
        answer, wait = _asked_once(ask)
        if pause is None or wait is None or attempt >= _PASSING.get(answer.status, len(PAUSES_SECONDS) + 1):
            break
        if max(pause, wait) >= bounds.seconds_left:
            break
        time.sleep(max(pause, wait))
    return replace(answer, seconds=time.perf_counter() - begun, attempts=attempt)


def _asked_once(ask: Callable[[], HttpAnswer]) -> tuple[Answer, float | None]:
    """What came, and for how many seconds the server wants to be left alone; None if asking again is of no use."""
    try:
        answer = ask()
    except FhirServerError as error:
        return Answer(0, None, "", 0, str(error)), 0 if isinstance(error, WorthRetrying) else None
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    location = answer.headers.get("Location", "")
    came = Answer(answer.status, _parse(answer.body), shown(kind, _LONGEST_TYPE), 0, location=location)
    return came, _wait(answer) if answer.status in _PASSING else None


def _wait(answer: HttpAnswer) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0


def _parse(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def shown(text: object, longest: int = 80) -> str:
    """What a server says of itself, on one line and without what a terminal might obey; empty if it is no text."""
    plain = "".join(letter for letter in text if letter.isprintable()) if isinstance(text, str) else ""
    return plain[:longest].strip()
