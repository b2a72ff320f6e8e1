"""A server on a real socket that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Asked"], "Reply | bytes | None"]


@dataclass(frozen=True)
class Asked:
    """One request: `path` is below the base address, with the query. `send` writes raw bytes."""

    path: str
    headers: dict[str, str]
    send: Callable[[bytes], None]
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # a whole chart is asked for at once; a full queue costs a second


class StubServer:
    """Answers every GET and POST below `/fhir` by `answer`, which may also write to the socket by itself."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[Asked] = []
        self._server = _Server(("127.0.0.1", 0), self._handler(answer))
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/fhir"

    def __enter__(self) -> StubServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def _handler(self, answer: Answer) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.removeprefix("/fhir/")
                asked = Asked(path, dict(self.headers), self._send, self.command, body)
                stub.asked.append(asked)
                reply = answer(asked)
                if reply is None:
                    self.close_connection = True
                    return
                _write(self, reply)

            do_POST = do_GET

            def _send(self, raw: bytes) -> None:
                self.wfile.write(raw)
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _write(handler: BaseHTTPRequestHandler, reply: Reply | bytes) -> None:
    if isinstance(reply, bytes):
        reply = Reply(reply)
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    handler.send_response(reply.status)
    for name, value in {"Content-Type": "application/fhir+json", **reply.headers}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
