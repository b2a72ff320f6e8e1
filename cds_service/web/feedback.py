"""Feedback: what clinicians did with cards, kept before the reply goes out."""

from __future__ import annotations

import msgspec
from flask import Flask, Response, g

from cds_service.feedback.body import read_feedback
from cds_service.services import find_service
from cds_service.web.bodies import read_body
from cds_service.web.replies import json_reply
from cds_service.web.site import Site


def add_feedback_routes(app: Flask, site: Site) -> None:
    @app.post("/cds-services/<service_id>/feedback", strict_slashes=False)
    def take_feedback(service_id: str) -> Response:
        return _take(site, service_id)


def _take(site: Site, service_id: str) -> Response:
    service = find_service(site.services, service_id)
    g.service = service.id
    caller = g.caller
    answers = read_feedback(read_body(site.settings.max_body_bytes, site.settings.max_depth))
    site.memory.keep(answers, client=caller.issuer, tenant=caller.tenant, service=service.id)
    return json_reply(msgspec.json.encode({"received": len(answers)}), headers={"Cache-Control": "no-store"})
