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

HEAD_SECONDS = 5  # to send the head of a request
REQUEST_SECONDS = 20  # to send a request
REPLY_SECONDS = 180  # to send a request, be answered (settings allow 120 for the FHIR server), and take it

LINGER_SECONDS = 0.5  # for a client to take the reply and close, once it is sent
DRAIN_SECONDS = 1  # for what is left of a body that nobody read

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
        self._heads_read: set[Any] = set()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """On SIGTERM: what has begun is finished, and whoever asks is told to go elsewhere."""
        STOPPING.set()
        super().handle_exit(sig, frame)

    def handle(self, conn: Any) -> Any:
        self._handled_since[conn] = time.monotonic()
        try:
            is_kept = super().handle(conn)
            if not is_kept:
                _close(conn.sock)
            return is_kept
        finally:
            del self._handled_since[conn]
            self._heads_read.discard(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Called once the head of a request is there."""
        self._heads_read.add(conn)
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """As gunicorn's own, which lets whoever does not send the body that it promised keep the thread longer."""
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def notify(self) -> None:
        """Called by the main loop, about once a second."""
        super().notify()
        for conn, since in list(self._handled_since.items()):
            seconds = time.monotonic() - since
            if seconds > (REQUEST_SECONDS if conn in self._heads_read else HEAD_SECONDS):
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


def _close(connection: socket.socket) -> None:
    """Ends a connection here, in the thread that served it: gunicorn waits for the client in its main loop.

    The client is given a moment to take the reply: closing with bytes unread would cut it off.
    """
    until = time.monotonic() + LINGER_SECONDS
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(1 << 16):
                break
    connection.close()


def _shut(connection: socket.socket, how: int) -> None:
    """Wakes the thread that waits on it. Reading ends first: what has come so far can still be answered."""
    with suppress(OSError):
        connection.shutdown(how)
