"""Whether, and for what, the FHIR server of a request may be called; and several calls at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

from cds_service.errors import FhirServerError, FhirTemporaryError, NotOffered
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.fhir_client import FhirClient
from cds_service.hook_request import HookRequest
from cds_service.smart_scopes import may_read, may_search

_CALLS_AT_ONCE = 12  # more than there are needs: one that hangs must not keep another waiting
_SHARE_OF_OPTIONAL = 0.75  # of the time: a search that is not required leaves some to read Medications
_GRACE_SECONDS = 0.2  # for calls that end at the deadline to say so themselves


@dataclass(frozen=True)
class FhirPolicy:
    """Which FHIR servers may be called, and how. Addresses below an allowed one are allowed."""

    allowed: tuple[FhirAddress, ...] = ()
    allow_plain_http: bool = False
    fetch_seconds: float = 8.0
    include_medications: bool = False


@dataclass(frozen=True)
class FhirAccess:
    """How the FHIR server can be called for this request. Without a client, `reason` says why not.

    `deadline` is for all calls, `optional_deadline` for those of what is not required.
    """

    client: FhirClient | None
    reason: str
    scopes: tuple[str, ...] | None
    deadline: float
    optional_deadline: float
    token_expired: bool

    def client_for(self, resource_type: str, by_id: bool, is_required: bool = True) -> FhirClient:
        """The client, if it may be used for this. Raises NotOffered with the reason if not."""
        if self.client is None:
            raise NotOffered(self.reason)
        allows = may_read if by_id else may_search
        if self.scopes is not None and not allows(self.scopes, resource_type):
            action = "read" if by_id else "search"
            raise NotOffered(f"the granted scopes do not cover the {action} of {resource_type}")
        if is_required:
            return self.client
        return FhirClient(self.client.base, self.client.token, self.optional_deadline)


def find_access(request: HookRequest, policy: FhirPolicy) -> FhirAccess:
    begun = time.monotonic()
    deadline = begun + policy.fetch_seconds
    optional_deadline = begun + policy.fetch_seconds * _SHARE_OF_OPTIONAL
    base, reason = _callable_server(request.fhir_server, policy)
    client = None if base is None else FhirClient(base, request.token, deadline)
    return FhirAccess(client, reason, request.scopes, deadline, optional_deadline, request.token_expired)


def _callable_server(fhir_server: str | None, policy: FhirPolicy) -> tuple[FhirAddress | None, str]:
    """The server if it is on the list, else why it is not called.

    Being listed is the permission: a listed server is called with the request's token, or without one.
    """
    if fhir_server is None:
        return None, "no fhirServer was given"
    base = read_address(fhir_server)
    if base is None:
        return None, "fhirServer is not a plain base address"
    if not any(base.is_at_or_below(allowed) for allowed in policy.allowed):
        return None, "fhirServer is not on this service's list of FHIR servers"
    if base.scheme == "http" and not (base.is_loopback or policy.allow_plain_http):
        return None, "fhirServer is not https"
    return base, ""


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
