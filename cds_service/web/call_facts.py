"""What is known of a call once it is answered: the log, the metrics and the audit take it from here.

Nothing in it is as the client wrote it, but for what was checked: ids by their form, names by a list, and
what stands in a token that was found valid. The patient is in it for the audit alone.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from flask import Response, g, request

from cds_service.outbound.fetch_tally import FetchTally, start_tally
from cds_service.security.callers import ANYONE, Caller
from cds_service.tracing import open_call_span

UNKNOWN = "unknown"
NONE = "none"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REQUEST_ID = re.compile(r"[0-9a-fA-F-]{16,64}", re.ASCII)  # no name and no token looks like this


@dataclass(frozen=True)
class CallFacts:
    """One answered call.

    `service` is None where the path has room for none, and `unknown` where it names one that there is not;
    `cards` are the topics of those that were sent; `withheld` counts those that were not, since they had been
    overridden; `reason` is why a caller was not let in, and `refusal` the class of that.
    """

    request_id: str
    trace_id: str | None
    method: str
    endpoint: str
    service: str | None
    status: int
    verdict: str | None
    reason: str | None
    refusal: str | None
    seconds: float
    request_bytes: int | None
    response_bytes: int | None
    fetches: FetchTally
    cards: tuple[str, ...] | None
    withheld: int | None
    caller: Caller
    hook_instance: str | None
    patient_id: str | None = field(repr=False)


def begin_call(services: Collection[str]) -> None:
    """Gives a call its id, clock, tally of fetches and span, and the name of the service it is for."""
    g.started = time.perf_counter()
    g.request_id = _request_id(request.headers.get("X-Request-Id", ""))
    g.fetches = start_tally()
    named = (request.view_args or {}).get("service_id")
    if named is not None:
        g.service = named if named in services else UNKNOWN
    g.span = open_call_span(request.endpoint or NONE, request.headers.get)


def end_call(response: Response) -> CallFacts:
    """What is known of the call, now that `response` answers it."""
    known: dict[str, Any] = vars(g._get_current_object())  # `g` itself is looked for at each use
    span, method = known.get("span"), request.method
    return CallFacts(
        request_id=known["request_id"],
        trace_id=span.trace_id if span else None,
        method=method if method in _METHODS else UNKNOWN,
        endpoint=request.endpoint or NONE,
        service=known.get("service"),
        status=response.status_code,
        verdict=known.get("verdict"),
        reason=known.get("reason"),
        refusal=known.get("refusal"),
        seconds=time.perf_counter() - known["started"],
        request_bytes=known.get("request_bytes", request.content_length),
        response_bytes=response.calculate_content_length(),
        fetches=known["fetches"],
        cards=known.get("cards"),
        withheld=known.get("withheld"),
        caller=known.get("caller", ANYONE),
        hook_instance=known.get("hook_instance"),
        patient_id=known.get("patient_id"),
    )


def _request_id(sent: str) -> str:
    """The id that the caller sent, where it is one by its form; else a new one."""
    return sent if _REQUEST_ID.fullmatch(sent) else os.urandom(8).hex()
