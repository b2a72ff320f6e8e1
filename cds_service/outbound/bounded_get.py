"""One HTTP call that cannot take longer, grow larger or lead elsewhere than it may.

Failures are `FhirServerError`s that name the server in general, what was asked for in general, and no address.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.cookies import RequestsCookieJar

from cds_service.errors import FhirFatalError, FhirTemporaryError
from cds_service.outbound.fetch_tally import counted
from cds_service.outbound.guarded_transport import GuardedAdapter
from cds_service.outbound.network import PUBLIC, AddressRefused, Network

_CHUNK_BYTES = 64 * 1024
_WITHOUT_BODY = (204, 205, 304)
_SHORTEST_SECONDS = 0.001  # a time-out of 0 would mean none

Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]


class Places:
    """So many calls at the same time: one of it for each process."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = threading.BoundedSemaphore(places)

    @contextmanager
    def take(self, seconds: float, what: str) -> Iterator[None]:
        """Holds a place, for which it waits at most `seconds`. Raises FhirTemporaryError if none becomes free."""
        if not self._free.acquire(timeout=seconds):
            raise FhirTemporaryError(
                f"the {what} took too long: all {self.places} calls allowed at once were under way"
            )
        try:
            yield
        finally:
            self._free.release()


class TotalSize:
    """How many bytes all answers to one request's calls may hold together."""

    def __init__(self, mib: float) -> None:
        self.mib = mib
        self._left = int(mib * 1024 * 1024)
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether so many more bytes are within the limit."""
        with self._lock:
            self._left -= size
            return self._left >= 0


@dataclass(frozen=True)
class Bounds:
    """`deadline` is a moment of `time.monotonic()`: no call starts, waits or goes on after it.

    `largest_mib` bounds one answer, `total` several together; `network` where a call may lead, `places` how many
    there may be at once.
    """

    deadline: float
    largest_mib: float
    network: Network = PUBLIC
    places: Places | None = None
    total: TotalSize | None = None

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
    """Nothing came, or not all of it: another attempt may do better."""


class TookTooLong(FhirTemporaryError):
    """The server was called and did not answer, or not all, in the time there was."""


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
    is_repeated: bool = False,
) -> HttpAnswer:
    """The answer to one attempt; `what` and `server` are words for messages.

    One that is repeated has a connection of its own: a kept one may be why the first failed, and so may all others.
    `sign` is given as `auth` even when it adds nothing, or a .netrc file would decide what is sent.
    Raises FhirTemporaryError (WorthRetrying where nothing came) and FhirFatalError.
    """
    sent = {"headers": _headers(accept, is_repeated), "auth": sign}
    return _call_once("GET", url, bounds, what, server, is_loopback, sent)


@counted
def post_search_once(
    url: str,
    bounds: Bounds,
    what: str,
    *,
    form: Sequence[tuple[str, str]],
    server: str,
    is_loopback: bool,
    sign: Sign,
    is_repeated: bool = False,
) -> HttpAnswer:
    """The answer to a FHIR search whose parameters are sent as a form; else as `get_once`."""
    headers = _headers("application/fhir+json", is_repeated)
    sent = {"headers": headers, "auth": sign, "data": list(form)}
    return _call_once("POST", url, bounds, what, server, is_loopback, sent)


@counted
def post_form_once(
    url: str, bounds: Bounds, what: str, *, form: Mapping[str, str], server: str, is_loopback: bool
) -> HttpAnswer:
    """The JSON answer to a form that is sent once; raises as `get_once` does."""
    sent = {"headers": {"Accept": "application/json"}, "auth": send_nothing, "data": dict(form)}
    return _call_once("POST", url, bounds, what, server, is_loopback, sent)


def _headers(accept: str, is_repeated: bool) -> dict[str, str]:
    return {"Accept": accept, **({"Connection": "close"} if is_repeated else {})}


def _call_once(
    method: str, url: str, bounds: Bounds, what: str, server: str, is_loopback: bool, sent: Mapping[str, Any]
) -> HttpAnswer:
    left = bounds.seconds_left
    if left <= 0:
        raise FhirTemporaryError(f"no time was left for the {what}")
    with nullcontext() if bounds.places is None else bounds.places.take(left, what):
        return _send(method, url, bounds, what, server, is_loopback, sent)


def _send(
    method: str, url: str, bounds: Bounds, what: str, server: str, is_loopback: bool, sent: Mapping[str, Any]
) -> HttpAnswer:
    is_single = "Connection" in sent["headers"]
    left = max(bounds.seconds_left, _SHORTEST_SECONDS)
    options = {"timeout": left, "stream": True, "allow_redirects": False, **sent}
    try:
        with (
            _session_for(is_loopback, bounds.network, is_single) as session,
            session.request(method, url, **options) as response,
        ):
            return HttpAnswer(response.status_code, response.headers, _body(response, bounds, what, server))
    except AddressRefused:
        raise FhirFatalError(
            f"{server} was not called for the {what}: its name leads to an address in a private or reserved "
            "network that this service may not call"
        ) from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise TookTooLong(f"{server} took too long for the {what}") from None
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):  # urllib3 and requests keep the cause as text
            raise FhirTemporaryError(
                f"{server} could not be reached for the {what}: its certificate is not trusted"
            ) from None
        raise WorthRetrying(
            f"{server} could not be reached for the {what}: no secure connection could be made"
        ) from None
    except requests.ConnectionError:
        raise WorthRetrying(f"{server} could not be reached for the {what}") from None
    except urllib3.exceptions.ProtocolError:
        raise WorthRetrying(f"{server} broke off in its answer to the {what}") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise FhirTemporaryError(f"the {what} broke off ({type(error).__name__})") from None
    except ValueError:  # also of text that is none: headers are the server's
        raise FhirFatalError(f"{server} answered the {what} with something that is not HTTP") from None


def _body(response: requests.Response, bounds: Bounds, what: str, server: str) -> bytes:
    """The body, taken as it trickles in: waiting for whole chunks would not see the deadline pass."""
    if response.status_code in _WITHOUT_BODY:
        response.raw.close()  # what comes all the same would be read as the next answer
        return b""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if bounds.seconds_left <= 0:
            raise TookTooLong(f"{server} took too long for the {what}")
        if len(body) > bounds.largest_mib * 1024 * 1024:
            raise FhirFatalError(f"the answer to the {what} is larger than {bounds.largest_mib:g} MiB")
        if bounds.total is not None and not bounds.total.take(len(chunk)):
            raise FhirFatalError(
                f"all answers up to the {what} are together larger than {bounds.total.mib:g} MiB"
            )
    return bytes(body)


class _Session(requests.Session):
    """A session that does not look at where a redirect leads: requests would read its body, of any size, for that."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


@contextmanager
def _session_for(is_loopback: bool, network: Network, is_single: bool) -> Iterator[requests.Session]:
    """The pool of connections of this process, or for a single call one of its own that is closed after it."""
    if not is_single:
        yield _session(is_loopback, network)
        return
    with _new_session(is_loopback, network) as session:
        yield session


@cache
def _session(is_loopback: bool, network: Network) -> requests.Session:
    return _new_session(is_loopback, network)


def _new_session(is_loopback: bool, network: Network) -> requests.Session:
    """No cookies, and no proxy between this machine and itself."""
    session = _Session()
    session.headers.update({"User-Agent": "trd-cds"})
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    session.trust_env = not is_loopback
    for scheme in ("http://", "https://"):
        session.mount(scheme, GuardedAdapter(network, pool_connections=8, pool_maxsize=32))
    return session
