"""One log line a call: no patient id, no token, no body."""

from __future__ import annotations

import logging
import os
import time

from flask import Flask, Response, g, request

logger = logging.getLogger("cds_service.web")


def add_call_log(app: Flask) -> None:
    """One line a call; the same id goes back as X-Request-Id."""

    @app.before_request
    def start() -> None:
        g.request_id = os.urandom(8).hex()
        g.started = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        logger.info(
            "%s %s %s %d %.1f ms verdict=%s hookInstance=%s",
            g.request_id,
            request.method,
            g.get("service", request.endpoint or "-"),
            response.status_code,
            (time.perf_counter() - g.started) * 1000,
            g.get("verdict", "-"),
            g.get("hook_instance", "-"),
        )
        return response
