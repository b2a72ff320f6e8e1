"""One HTTP GET that cannot take longer, grow larger or lead elsewhere than it may.

Failures are `FhirServerError`s that name the server in general, what was asked for in general, and no address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar

from cds_service.errors import FhirFatalError, FhirTemporaryError
from cds_service.fetch_tally import counted

_CHUNK_BYTES = 64 * 1024

Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(frozen=True)
class Bounds:
    """`deadline` is a moment of `time.monotonic()`: no call starts, waits or goes on after it."""

    deadline: float
    largest_mib: int

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


@dataclass(frozen=True)
class HttpAnswer:
    """What came, whatever its status; redirects are not followed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class WorthRetrying(FhirTemporaryError):
    """A failure that another attempt may mend, after `wait_seconds` if the server named a time."""

    def __init__(self, message: str, wait_seconds: float = 0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


def send_nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """A `sign` that adds no token."""
    return request


@counted
def get_once(
    url: str,
    bounds: Bounds,
    what: str,
    *,
    server: str,
    is_loopback: bool,
    sign: Sign,
    accept: str = "application/fhir+json",
) -> HttpAnswer:
    """The answer to one attempt; `what` and `server` are words for messages.

    `sign` is given as `auth` even when it adds nothing, or a .netrc file would decide what is sent.
    Raises FhirTemporaryError (WorthRetrying where nothing came) and FhirFatalError.
    """
    left = bounds.seconds_left
    if left <= 0:
        raise FhirTemporaryError(f"no time was left for the {what}")
    try:
        with _session(is_loopback).get(
            url, auth=sign, timeout=left, stream=True, allow_redirects=False, headers={"Accept": accept}
        ) as response:
            return HttpAnswer(response.status_code, response.headers, _body(response, bounds, what, server))
    except requests.Timeout:
        raise FhirTemporaryError(f"{server} took too long for the {what}") from None
    except requests.ConnectionError:
        raise WorthRetrying(f"{server} could not be reached for the {what}") from None
    except urllib3.exceptions.ProtocolError:
        raise WorthRetrying(f"{server} broke off in its answer to the {what}") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise FhirTemporaryError(f"the {what} broke off ({type(error).__name__})") from None


def _body(response: requests.Response, bounds: Bounds, what: str, server: str) -> bytes:
    """The body, taken as it trickles in: waiting for whole chunks would not see the deadline pass."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if bounds.seconds_left <= 0:
            raise FhirTemporaryError(f"{server} took too long for the {what}")
        if len(body) > bounds.largest_mib << 20:
            raise FhirFatalError(f"the answer to the {what} is larger than {bounds.largest_mib} MiB")
    return bytes(body)


@cache
def _session(is_loopback: bool) -> requests.Session:
    """One pool of connections a process: no cookies, and no proxy between this machine and itself."""
    session = requests.Session()
    session.headers.update({"User-Agent": "trd-cds"})
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    session.trust_env = not is_loopback
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=8, pool_maxsize=32))
    return session
