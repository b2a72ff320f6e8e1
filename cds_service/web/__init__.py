"""HTTP: paths, CORS, today's date, which error gives which status, bodies to JSON.

    request → call_log → cors → limits → admission → services | feedback | health | documents → errors → reply

An error reply is an OperationOutcome that says what was expected, what came and where, and holds no
patient data. Logs hold one line a call: no patient id, no token, no body.
"""

from __future__ import annotations

from flask import Flask

from cds_service.web.admission import add_admission
from cds_service.web.audit import open_audit
from cds_service.web.call_log import add_call_log
from cds_service.web.cors import add_cors
from cds_service.web.documents import add_document_routes
from cds_service.web.errors import add_error_answers
from cds_service.web.feedback import add_feedback_routes
from cds_service.web.health import add_health_routes
from cds_service.web.limits import add_concurrency_limit, add_rate_limit
from cds_service.web.metrics import Metrics, add_metrics
from cds_service.web.services import add_service_routes
from cds_service.web.site import Site


def add_routes(app: Flask, site: Site) -> None:
    """All paths of the service, and what goes for each of them."""
    settings = site.settings
    metrics = Metrics(settings.definition) if settings.metrics else None
    audit = open_audit(settings.audit_file, settings.base_url)
    add_call_log(
        app,
        tuple(service.id for service in site.services),
        (*((metrics.observe,) if metrics else ()), *((audit,) if audit else ())),
    )
    add_metrics(app, metrics)
    add_cors(app, settings.allowed_origins)
    add_concurrency_limit(app, settings.requests_at_once)
    add_admission(app, site)
    add_rate_limit(app, settings)  # after admission: it counts by who was admitted
    add_service_routes(app, site)
    add_feedback_routes(app, site)
    # Without tokens to check, hooks do without the store: they had better answer than be taken out of service.
    add_health_routes(app, checks={"store": site.store.is_reachable} if site.gate else {})
    add_document_routes(app, site)
    add_error_answers(app)
