"""HTTP: paths, CORS, today's date, which error gives which status, bodies to JSON.

An error reply is an OperationOutcome that says what was expected, what came and where, and holds no
patient data. Logs hold one line a call: no patient id, no token, no body.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources

import msgspec
from flask import Flask, Response, g, render_template, request
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

from cds_service.errors import MissingEvidence, PayloadTooLarge, RequestError, UnknownService
from cds_service.fhir_access import FhirPolicy
from cds_service.hook_request import read_hook_request
from cds_service.respond import respond
from cds_service.services import Service, discovery, find_service
from cds_service.settings import Settings
from cds_service.terminology import TerminologyClient
from cds_service.trd.parameters import Definition

logger = logging.getLogger("cds_service.web")

_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "600",
}
_DISCARD_TIMES = 4  # how many times the largest body is read and thrown away before the line is cut
_STATUS_OF_ERROR = {
    RequestError: (400, "invalid"),
    UnknownService: (404, "not-found"),
    MissingEvidence: (412, "incomplete"),
    PayloadTooLarge: (413, "too-long"),
}
_CODE_OF_STATUS = {404: "not-found", 405: "not-supported", 415: "not-supported"}


@dataclass(frozen=True)
class Site:
    """What the routes work with: the settings and what follows from them, made once at the start."""

    settings: Settings
    services: tuple[Service, ...]
    policy: FhirPolicy
    terminology: TerminologyClient | None
    definitions: Mapping[str, Definition]
    today: Callable[[], date]


def add_routes(app: Flask, site: Site) -> None:
    """All paths of the service, and what goes for each of them."""
    _add_call_log(app)
    _add_cors(app, site.settings.allowed_origins)
    _add_service_routes(app, site)
    _add_health_routes(app)
    _add_document_routes(app, site)
    _add_error_answers(app)


# --- discovery and hooks ----------------------------------------------------------------------------------


def _add_service_routes(app: Flask, site: Site) -> None:
    services = msgspec.json.encode(discovery(site.services))

    @app.get("/cds-services", strict_slashes=False)
    def discover() -> Response:
        return _reply(services)

    @app.post("/cds-services/<service_id>", strict_slashes=False)
    def call_service(service_id: str) -> Response:
        return _answer_hook(site, service_id)


def _answer_hook(site: Site, service_id: str) -> Response:
    service = find_service(site.services, service_id)
    g.service = service.id
    call = read_hook_request(_read_body(site.settings.max_body_bytes), service.hook)
    g.hook_instance = call.hook_instance
    body, assessment = respond(
        call,
        site.policy,
        definition_id=site.settings.definition,
        on=site.today(),
        extension=site.settings.assessment_extension,
        assume_one_unit_daily=site.settings.assume_one_unit_daily,
        terminology=site.terminology,
        definitions=site.definitions,
    )
    g.verdict = assessment.verdict.value
    return _reply(msgspec.json.encode(body), headers={"Cache-Control": "no-store"})


def _read_body(largest: int) -> bytes:
    """The body, whatever its declared type: some clients send JSON as text.

    One byte more than allowed is let in, since of a chunked body werkzeug silently keeps what fits.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType
    request.max_content_length = largest + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:  # by its declared length: nothing was read yet
        _discard_body(min(request.content_length or 0, largest * _DISCARD_TIMES))
        raise PayloadTooLarge(_too_large(largest)) from None
    except (OSError, ClientDisconnected):
        raise RequestError("$: expected the whole body, but it broke off or its chunks are wrong") from None
    if len(body) < (request.content_length or 0):
        raise RequestError("$: expected as many bytes as Content-Length says, got fewer")
    if len(body) <= largest:
        return body
    if request.content_length is None:
        _discard_body(largest * _DISCARD_TIMES)
    raise PayloadTooLarge(_too_large(largest))


def _discard_body(left: int) -> None:
    """Reads and forgets up to so many bytes: a client that is still sending would not see the reply."""
    while left > 0 and (chunk := request.environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(chunk)


def _too_large(largest: int) -> str:
    return f"The request body is larger than {largest} bytes, the limit set by TRD_CDS_MAX_BODY_MB."


# --- health, schemas, the page ----------------------------------------------------------------------------


def _add_health_routes(app: Flask) -> None:
    """Ready is as good as alive: tables and settings are read before the first request is taken."""

    @app.get("/health/live")
    @app.get("/health/ready")
    def tell_health() -> Response:
        return _reply(b'{"status":"ok"}')


def _add_document_routes(app: Flask, site: Site) -> None:
    schemas = _load_schemas()

    @app.get("/schemas/", strict_slashes=False)
    def list_schemas() -> Response:
        return _reply(msgspec.json.encode({"schemas": [f"/schemas/{name}" for name in schemas]}))

    @app.get("/schemas/<name>")
    def show_schema(name: str) -> Response:
        if name not in schemas:
            return _refusal(404, "not-found", "There is no schema of this name; GET /schemas/ lists them.")
        return _reply(schemas[name])

    @app.get("/")
    def show_index() -> str:
        return render_template(
            "index.html", base_url=site.settings.base_url, services=site.services, schemas=tuple(schemas)
        )


def _load_schemas() -> dict[str, bytes]:
    files = resources.files("cds_service").joinpath("schemas").iterdir()
    return {file.name: file.read_bytes() for file in sorted(files, key=str) if file.name.endswith(".json")}


# --- what goes wrong --------------------------------------------------------------------------------------


def _add_error_answers(app: Flask) -> None:
    for error_class, (status, code) in _STATUS_OF_ERROR.items():
        app.register_error_handler(error_class, _answer_with(status, code))
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_bug)


def _answer_with(status: int, code: str) -> Callable[[Exception], Response]:
    return lambda error: _refusal(status, code, str(error))


def _answer_http_error(error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.code or 500
    reply = _refusal(status, _CODE_OF_STATUS.get(status, "processing"), f"{status} {error.name}.")
    if allowed := getattr(error, "valid_methods", None):
        reply.headers["Allow"] = ", ".join(sorted(allowed))
    return reply


def _answer_bug(error: Exception) -> Response:
    """A mistake of ours. The traceback shows where; its last line, which may quote data, is left out."""
    where = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
    logger.error("%s %s: internal error, %s\n%s", g.request_id, request.endpoint, type(error).__name__, where)
    return _refusal(500, "exception", "Internal error. The service's log has the details.")


def _refusal(status: int, code: str, diagnostics: str) -> Response:
    return _reply(operation_outcome(code, diagnostics), status, {"Cache-Control": "no-store"})


def operation_outcome(code: str, diagnostics: str) -> bytes:
    """An OperationOutcome with one error, as JSON."""
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})


def _reply(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, content_type="application/json")


# --- CORS and the log -------------------------------------------------------------------------------------


def _add_cors(app: Flask, origins: tuple[str, ...] | None) -> None:
    """Lets browsers of the allowed origins (None: any) call all paths and read errors too; never cookies."""

    @app.before_request
    def answer_preflight() -> Response | None:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Response(status=204)
        return None

    @app.after_request
    def allow_origin(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if origins is not None:
            response.headers.add("Vary", "Origin")
        if origin is None or (origins is not None and origin not in origins):
            return response
        response.headers["Access-Control-Allow-Origin"] = "*" if origins is None else origin
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT_HEADERS)
            if "Access-Control-Request-Private-Network" in request.headers:
                response.headers["Access-Control-Allow-Private-Network"] = "true"
        return response


def _add_call_log(app: Flask) -> None:
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
