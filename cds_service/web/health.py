"""Whether the service is alive, and ready for requests."""

from __future__ import annotations

from flask import Flask, Response

from cds_service.web.replies import json_reply


def add_health_routes(app: Flask) -> None:
    """Ready is as good as alive: tables and settings are read before the first request is taken."""

    @app.get("/health/live")
    @app.get("/health/ready")
    def tell_health() -> Response:
        return json_reply(b'{"status":"ok"}')
