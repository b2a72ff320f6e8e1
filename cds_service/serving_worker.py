"""A gunicorn worker with limits for slow clients, and with JSON answers to what is no HTTP.

gunicorn by itself waits for the rest of a request as long as somebody keeps the connection open, and
then a few such clients hold all threads. Its own error pages and log lines repeat what came, which
may be a token.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

from cds_service.web.health import STOPPING
from cds_service.web.replies import operation_outcome

REQUEST_SECONDS = 20  # to send a request
REPLY_SECONDS = 180  # to send a request, be answered (settings allow 120 for the FHIR server), and take it

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

_STATUS_OF = {
    LimitRequestLine: "414 URI Too Long",
    ExpectationFailed: "417 Expectation Failed",
    LimitRequestHeaders: "431 Request Header Fields Too Large",
    UnsupportedTransferCoding: "501 Not Implemented",
}


class ServingWorker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handled_since: dict[Any, float] = {}

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """On SIGTERM: what has begun is finished, and whoever asks is told to go elsewhere."""
        STOPPING.set()
        super().handle_exit(sig, frame)

    def handle(self, conn: Any) -> Any:
        self._handled_since[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._handled_since[conn]

    def notify(self) -> None:
        """Called by the main loop, about once a second."""
        super().notify()
        for conn, since in list(self._handled_since.items()):
            seconds = time.monotonic() - since
            if seconds > REQUEST_SECONDS:
                _shut(conn.sock, socket.SHUT_RDWR if seconds > REPLY_SECONDS else socket.SHUT_RD)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        del req, addr
        status = _status_of(exc)
        code = "exception" if status.startswith("500") else "invalid"
        self.log.warning("answered %s: %s", status, type(exc).__name__)
        body = operation_outcome(code, f"{status}: not a request that can be read ({type(exc).__name__}).")
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        try:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        except OSError:
            self.log.debug("The client has gone.")


class ServingLog(Logger):
    """gunicorn's messages, written as ours are (`open_log`): it adds no handlers of its own."""

    def _set_handler(self, *_: Any, **__: Any) -> None:
        pass


def with_plain_body_errors(app: WsgiApp) -> WsgiApp:
    """The same app; chunks that are wrong come out as OSError, as a broken connection does."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"] = _Body(environ["wsgi.input"])
        return app(environ, start_response)

    return call


class _Body:
    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        try:
            content: bytes = self._body.read(size)
        except ParseException as error:
            raise OSError(type(error).__name__) from None
        return content


def _status_of(error: BaseException) -> str:
    if not isinstance(error, ParseException):
        return "500 Internal Server Error"
    return next((status for kind, status in _STATUS_OF.items() if isinstance(error, kind)), "400 Bad Request")


def _shut(connection: socket.socket, how: int) -> None:
    """Wakes the thread that waits on it. Reading ends first: what has come so far can still be answered."""
    with suppress(OSError):
        connection.shutdown(how)
