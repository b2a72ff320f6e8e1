"""HTTP: paths, CORS, today's date, which error gives which status, bodies to JSON.

    request → call_log → cors → admission → services | feedback | health | documents → errors → reply

An error reply is an OperationOutcome that says what was expected, what came and where, and holds no
patient data. Logs hold one line a call: no patient id, no token, no body.
"""

from __future__ import annotations

from flask import Flask

from cds_service.web.call_log import add_call_log
from cds_service.web.cors import add_cors
from cds_service.web.documents import add_document_routes
from cds_service.web.errors import add_error_answers
from cds_service.web.feedback import add_feedback_routes
from cds_service.web.health import add_health_routes
from cds_service.web.services import add_service_routes
from cds_service.web.site import Site


def add_routes(app: Flask, site: Site) -> None:
    """All paths of the service, and what goes for each of them."""
    add_call_log(app)
    add_cors(app, site.settings.allowed_origins)
    add_service_routes(app, site)
    add_feedback_routes(app, site)
    add_health_routes(app)
    add_document_routes(app, site)
    add_error_answers(app)
