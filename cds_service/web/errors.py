"""Which error gives which status."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from cds_service.errors import (
    MissingEvidence,
    NotAuthenticated,
    Overloaded,
    PayloadTooLarge,
    RequestError,
    StoreError,
    TooManyRequests,
    UnknownService,
)
from cds_service.logs import where_in_code
from cds_service.web.replies import refusal

logger = logging.getLogger("cds_service.web")

_STATUS_OF_ERROR = {
    RequestError: (400, "invalid"),
    UnknownService: (404, "not-found"),
    MissingEvidence: (412, "incomplete"),
    PayloadTooLarge: (413, "too-long"),
    StoreError: (503, "transient"),
}
_CODE_OF_STATUS = {404: "not-found", 405: "not-supported", 415: "not-supported"}


def add_error_answers(app: Flask) -> None:
    for error_class, (status, code) in _STATUS_OF_ERROR.items():
        app.register_error_handler(error_class, _answer_with(status, code))
    app.register_error_handler(NotAuthenticated, _answer_stranger)
    app.register_error_handler(TooManyRequests, _answer_later(429, "throttled"))
    app.register_error_handler(Overloaded, _answer_later(503, "throttled"))
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_bug)


def _answer_with(status: int, code: str) -> Callable[[Exception], Response]:
    return lambda error: refusal(status, code, str(error))


def _answer_stranger(error: Exception) -> Response:
    """The reason goes to the log; whoever is not known gets the same answer for all of them."""
    g.reason, g.refusal = str(error), getattr(error, "kind", None)
    reply = refusal(401, "login", "A valid client token is needed.")
    reply.headers["WWW-Authenticate"] = "Bearer"
    return reply


def _answer_later(status: int, code: str) -> Callable[[TooManyRequests], Response]:
    def answer(error: TooManyRequests) -> Response:
        reply = refusal(status, code, str(error))
        reply.headers["Retry-After"] = str(error.retry_after)
        return reply

    return answer


def _answer_http_error(error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.code or 500
    reply = refusal(status, _CODE_OF_STATUS.get(status, "processing"), f"{status} {error.name}.")
    if allowed := getattr(error, "valid_methods", None):
        reply.headers["Allow"] = ", ".join(sorted(allowed))
    return reply


def _answer_bug(error: Exception) -> Response:
    """A mistake of ours. The traceback shows where; its last line, which may quote data, is left out."""
    where = where_in_code(error)
    logger.error("%s %s: internal error, %s\n%s", g.request_id, request.endpoint, type(error).__name__, where)
    return refusal(500, "exception", "Internal error. The service's log has the details.")
