"""Whether, with which token, and for what, the FHIR server of a request may be called; and several calls at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from cds_service.errors import FhirServerError, FhirTemporaryError, NotOffered, RequestError
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.fhir_server.client import MAX_PAGES, MAX_RESPONSE_MIB, FhirClient
from cds_service.fhir_server.smart_scopes import may_read, may_search
from cds_service.hook_request import HookRequest
from cds_service.outbound.bounded_get import Bounds, Places, TotalSize
from cds_service.outbound.network import PUBLIC, Network

if TYPE_CHECKING:
    from cds_service.fhir_server.backend_services import BackendService

_CALLS_AT_ONCE = 12  # more than there are needs: one that hangs must not keep another waiting
_SHARE_OF_OPTIONAL = 0.75  # of the time: a search that is not required leaves some to read Medications
_GRACE_SECONDS = 0.2  # for calls that end at the deadline to say so themselves
_MARGIN = 0.1  # of a token's time, and at most
_MARGIN_SECONDS = 2.0  # so long: it aged on the way here, and will on the way to the server
_LONGEST_SECONDS = 366 * 86_400


@dataclass(frozen=True)
class FhirPolicy:
    """Which FHIR servers may be called, how, and how much. Addresses below an allowed one are allowed.

    `own` are the servers that this service has a way into by itself; `callers_own` those that the caller of
    this request may name, None where only `allowed` limits it.
    """

    allowed: tuple[FhirAddress, ...] = ()
    allow_plain_http: bool = False
    fetch_seconds: float = 8.0
    include_medications: bool = False
    fetch_pages: int = MAX_PAGES
    fetch_mib: float = 64.0
    network: Network = PUBLIC
    places: Places = field(default_factory=lambda: Places(64))
    own: tuple[BackendService, ...] = ()
    callers_own: tuple[FhirAddress, ...] | None = None

    def limited_to(self, servers: tuple[FhirAddress, ...] | None) -> FhirPolicy:
        """The same for a caller that may name these servers only; None for one that is not limited."""
        return self if servers is None else replace(self, callers_own=servers)


@dataclass(frozen=True)
class FhirAccess:
    """How the FHIR server can be called for this request. Without a client, `reason` says why not.

    `deadline` is for all calls, `optional_deadline` for those of what is not required. With `own`, the calls are
    made with this service's own token, which is asked for when the first call needs it.
    """

    client: FhirClient | None
    reason: str
    scopes: tuple[str, ...] | None
    deadline: float
    optional_deadline: float
    token_expired: bool
    own: BackendService | None = None
    network: Network = PUBLIC

    def client_for(self, resource_type: str, by_id: bool, is_required: bool = True) -> FhirClient:
        """The client, if it may be used for this. Raises NotOffered with the reason if not.

        Raises FhirServerError if this service's own token cannot be had.
        """
        if self.client is None:
            raise NotOffered(self.reason)
        client, scopes = (self.client, self.scopes) if self.own is None else self._with_own_token(self.own)
        allows = may_read if by_id else may_search
        if scopes is not None and not allows(scopes, resource_type):
            action = "read" if by_id else "search"
            raise NotOffered(f"the granted scopes do not cover the {action} of {resource_type}")
        return client if is_required else client.until(self.optional_deadline)

    def may_search(self, resource_type: str) -> bool:
        """Whether the server may be searched for this by this request."""
        try:
            self.client_for(resource_type, by_id=False)
        except FhirServerError:
            return False
        return True

    def _with_own_token(self, own: BackendService) -> tuple[FhirClient, tuple[str, ...]]:
        token = self._own_token
        if isinstance(token, FhirServerError):
            raise token
        assert self.client is not None
        return self.client.using(token.value, token.until, partial(own.forget, token.value)), token.scopes

    @cached_property
    def _own_token(self) -> Any:
        """This service's own token, or the FhirServerError why there is none: asked for once a request."""
        assert self.own is not None
        ask = partial(self.own.token, Bounds(self.deadline, 1, self.network))
        return run_together({"token": ask}, self.deadline)["token"]


def find_access(request: HookRequest, policy: FhirPolicy) -> FhirAccess:
    """The access that this request has. `expires_in` counts from now on.

    Raises RequestError if the token was granted to another client than this service is at that server.
    """
    begun = time.monotonic()
    deadline = begun + policy.fetch_seconds
    optional_deadline = begun + policy.fetch_seconds * _SHARE_OF_OPTIONAL
    base, reason = _callable_server(request.fhir_server, policy)
    own = None if base is None else _own_way_in(base, policy)
    _check_subject(request, own)
    return FhirAccess(
        client=None if base is None else _client(base, request, policy, begun),
        reason=reason,
        scopes=request.scopes,
        deadline=deadline,
        optional_deadline=optional_deadline,
        token_expired=request.token_expired,
        own=own if request.scopes is None else None,
        network=policy.network,
    )


def _client(base: FhirAddress, request: HookRequest, policy: FhirPolicy, begun: float) -> FhirClient:
    bounds = Bounds(
        deadline=begun + policy.fetch_seconds,
        largest_mib=min(MAX_RESPONSE_MIB, policy.fetch_mib),
        network=policy.network,
        places=policy.places,
        total=TotalSize(policy.fetch_mib),
    )
    seconds = usable_seconds(_LONGEST_SECONDS if request.expires_in is None else request.expires_in)
    return FhirClient(base, request.token, bounds, max_pages=policy.fetch_pages, expires=begun + seconds)


def usable_seconds(expires_in: float) -> float:
    """How long a token that is good for `expires_in` seconds is used."""
    seconds = min(max(expires_in, 0), _LONGEST_SECONDS)
    return float(seconds - min(seconds * _MARGIN, _MARGIN_SECONDS))


def _own_way_in(base: FhirAddress, policy: FhirPolicy) -> BackendService | None:
    """The entry for this server, the closest if there are several above it."""
    above = [service for service in policy.own if base.is_at_or_below(service.base)]
    return max(above, key=lambda service: len(service.base.segments), default=None)


def _check_subject(request: HookRequest, own: BackendService | None) -> None:
    """A token of another client of the same server is not ours to use."""
    if own is not None and request.subject not in (None, own.client_id):
        raise RequestError(
            "$.fhirAuthorization.subject: expected the client id that this service is registered with, got another"
        )


def _callable_server(fhir_server: str | None, policy: FhirPolicy) -> tuple[FhirAddress | None, str]:
    """The server if it is on the list, else why it is not called.

    Being listed is the permission: a listed server is called with the request's token, or without one.
    """
    if fhir_server is None:
        return None, "no fhirServer was given"
    base = read_address(fhir_server)
    if base is None:
        return None, "fhirServer is not a plain base address"
    if not _is_below_one(base, policy.allowed):
        return None, "fhirServer is not on this service's list of FHIR servers"
    if policy.callers_own is not None and not _is_below_one(base, policy.callers_own):
        return None, "fhirServer is not one of those that this client may name"
    if base.scheme == "http" and not (base.is_loopback or policy.allow_plain_http):
        return None, "fhirServer is not https"
    return base, ""


def _is_below_one(base: FhirAddress, allowed: tuple[FhirAddress, ...]) -> bool:
    return any(base.is_at_or_below(one) for one in allowed)


_Key = TypeVar("_Key")


def run_together(
    tasks: Mapping[_Key, Callable[[], Any]], deadline: float, earlier: Mapping[_Key, float] | None = None
) -> dict[_Key, Any]:
    """The result of each task, or the FhirServerError it ended with, soon after the deadline at the latest.

    `earlier` gives tasks a deadline of their own. A thread that a stalling server still holds by then is left
    behind: it cannot hold up the answer.
    """
    if not tasks:
        return {}
    pool = ThreadPoolExecutor(max_workers=min(len(tasks), _CALLS_AT_ONCE))
    futures = {key: pool.submit(copy_context().run, task) for key, task in tasks.items()}
    until = {futures[key]: (earlier or {}).get(key, deadline) for key in tasks}
    for moment in sorted(set(until.values())):
        waited_for = [future for future, end in until.items() if end == moment]
        wait(waited_for, timeout=max(0.0, moment + _GRACE_SECONDS - time.monotonic()))
    pool.shutdown(wait=False, cancel_futures=True)
    return {key: _result(future) for key, future in futures.items()}


def _result(future: Future[Any]) -> Any:
    if not future.done() or future.cancelled():
        return FhirTemporaryError("the FHIR server took too long")
    try:
        return future.result()
    except FhirServerError as error:
        return error
