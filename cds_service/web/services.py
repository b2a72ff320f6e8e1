"""Discovery and the hooks."""

from __future__ import annotations

import msgspec
from flask import Flask, Response, g

from cards.card import Card
from cds_service.feedback.memory import Chart
from cds_service.hook_request import HookRequest, read_hook_request
from cds_service.respond import Show, respond
from cds_service.services import discovery, find_service
from cds_service.trd.model import Assessment
from cds_service.web.bodies import read_body, refuse_too_many_resources
from cds_service.web.replies import json_reply, topics_of
from cds_service.web.site import Site

NOT_ASKED = "not-asked"
"""What stands for a verdict in logs and metrics where a hook on orders needed none."""


def add_service_routes(app: Flask, site: Site) -> None:
    services = msgspec.json.encode(discovery(site.services, site.settings.cds_hooks_version))

    @app.get("/cds-services", strict_slashes=False)
    def discover() -> Response:
        return json_reply(services)

    @app.post("/cds-services/<service_id>", strict_slashes=False)
    def call_service(service_id: str) -> Response:
        return _answer_hook(site, service_id)


def _answer_hook(site: Site, service_id: str) -> Response:
    service = find_service(site.services, service_id)
    g.service = service.id
    call = read_hook_request(read_body(site.settings.max_body_bytes, site.settings.max_depth), service.hook)
    g.hook_instance, g.patient_id = call.hook_instance, call.patient_id
    refuse_too_many_resources((*call.prefetch.values(), call.draft_orders), site.settings.max_resources)
    body, assessment = respond(
        call,
        site.policy.limited_to(g.caller.fhir_servers),
        definition_id=site.settings.definition,
        on=site.today(),
        extension=site.settings.assessment_extension,
        assume_one_unit_daily=site.settings.assume_one_unit_daily,
        terminology=site.terminology,
        definitions=site.definitions,
        smart_app_url=site.settings.smart_app_url,
        show=_shown_to(site, call, service.id),
    )
    g.verdict = assessment.verdict.value if assessment else NOT_ASKED
    g.cards = topics_of(body["cards"])
    return json_reply(msgspec.json.encode(body), headers={"Cache-Control": "no-store"})


def _shown_to(site: Site, call: HookRequest, service_id: str) -> Show:
    """Which of the cards this caller is shown for this patient; the log tells how many are not."""
    caller = g.caller
    chart = Chart(caller.issuer, caller.tenant, service_id, call.fhir_server, call.patient_id)

    def show(cards: tuple[Card, ...], assessment: Assessment) -> tuple[Card, ...]:
        shown = site.memory.show(cards, assessment, chart)
        g.withheld = len(cards) - len(shown)
        return shown

    return show
