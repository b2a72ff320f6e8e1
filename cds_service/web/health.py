"""Whether the service is alive, and ready for requests."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from flask import Flask, Response

from cds_service.web.replies import json_reply

STOPPING = Event()
"""Set once this process was told to stop: it finishes what it has, and wants nothing new."""


def add_health_routes(app: Flask, checks: dict[str, Callable[[], bool]]) -> None:
    """Alive is whatever answers. Ready is what has all it needs, by name in `checks`, and is not stopping.

    Tables and settings are read before the first request is taken.
    """

    @app.get("/health/live")
    def tell_liveness() -> Response:
        return json_reply(b'{"status":"ok"}')

    @app.get("/health/ready")
    def tell_readiness() -> Response:
        if STOPPING.is_set():
            return _not_ready("stopping")
        for name, is_well in checks.items():
            if not is_well():
                return _not_ready(name)
        return json_reply(b'{"status":"ok"}')


def _not_ready(why: str) -> Response:
    return json_reply(b'{"status":"not ready","why":"%s"}' % why.encode(), 503, {"Cache-Control": "no-store"})
