"""What is told of each call: a line in the log, numbers in the metrics, an AuditEvent, a span."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, g

from cds_service.logs import event_logger
from cds_service.web.call_facts import CallFacts, begin_call, end_call

QUIET_ENDPOINTS = ("tell_liveness", "tell_readiness", "show_metrics")  # machines ask for these all the time
_LONGEST = 200  # of a text out of a client's token
_BROWSER_RULES = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The index page has a style of its own, and nothing else is ever shown as a page.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}

_logger = event_logger("calls")


def add_call_log(
    app: Flask, services: tuple[str, ...], tell: tuple[Callable[[CallFacts], None], ...]
) -> None:
    """Tells of each call once it is answered; its id goes back as X-Request-Id."""

    @app.before_request
    def start() -> None:
        begin_call(services)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        response.headers.extend(_BROWSER_RULES)  # nothing else sets them
        facts = end_call(response)
        for listener in tell:
            listener(facts)
        log_call(facts)
        _end_span(facts)
        return response


def log_call(facts: CallFacts) -> None:
    fetched, caller = facts.fetches, facts.caller
    getattr(_logger, _level(facts))(
        "call",
        request_id=facts.request_id,
        trace_id=facts.trace_id,
        method=facts.method,
        endpoint=facts.endpoint,
        service=facts.service,
        status=facts.status,
        verdict=facts.verdict,
        reason=facts.reason,
        duration_ms=round(facts.seconds * 1000, 1),
        request_bytes=facts.request_bytes,
        response_bytes=facts.response_bytes,
        fetches=len(fetched.fetches),
        fetch_ms=round(fetched.seconds * 1000, 1) if fetched.fetches else None,
        fetch_outcome=fetched.worst,
        cards=None if facts.cards is None else len(facts.cards),
        withheld=facts.withheld,
        client=caller.name[:_LONGEST] or None,
        issuer=caller.issuer[:_LONGEST] or None,
        tenant=caller.tenant[:_LONGEST] or None,
        subject=caller.subject[:_LONGEST] or None,
        hook_instance=facts.hook_instance,
    )


def _level(facts: CallFacts) -> str:
    if facts.status in (401, 429, 503):
        return "warning"
    if facts.status >= 500:
        return "error"
    return "debug" if facts.endpoint in QUIET_ENDPOINTS else "info"


def _end_span(facts: CallFacts) -> None:
    if span := g.get("span"):
        known = {
            "service": facts.service,
            "verdict": facts.verdict,
            "http.response.status_code": facts.status,
        }
        span.end({name: value for name, value in known.items() if value is not None})
