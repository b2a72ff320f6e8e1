"""The service on a real socket, as a client meets it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

import pytest
import requests
from werkzeug.serving import WSGIRequestHandler, make_server

from cds_service.app import create_app
from cds_service.needs import NEEDS
from cds_service.settings import Settings

ON = date(2026, 6, 30)
HOOK_PATH = "/cds-services/trd-patient-view"
EMPTY_PREFETCH: dict[str, Any] = {need.key: None for need in NEEDS}


def subsets_of_keys() -> list[tuple[str, ...]]:
    """Prefetch keys given together: few, almost all, and every subset of the required beside none or all others."""
    keys = [need.key for need in NEEDS]
    required = [need.key for need in NEEDS if need.is_required]
    others = [key for key in keys if key not in required]
    sizes = (0, 1, 2, len(keys) - 1, len(keys))
    found = [given for size in sizes for given in combinations(keys, size)]
    for size in range(len(required) + 1):
        for given in combinations(required, size):
            found += [given, (*given, *others)]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class RunningService:
    base_url: str

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, body: Any, path: str = HOOK_PATH, **options: Any) -> requests.Response:
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.call("POST", path, **content, **options)

    def post_at_once(self, body: Any, times: int, **options: Any) -> list[int]:
        """The statuses of so many equal calls that are made at the same time."""
        with ThreadPoolExecutor(times) as pool:
            calls = [pool.submit(self.post, body, **options) for _ in range(times)]
            return [call.result().status_code for call in calls]

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.base_url + path, timeout=20, **options)


Serve = Callable[..., RunningService]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts the service with the settings given."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(Settings(**settings)))


@pytest.fixture(scope="session")
def service() -> Iterator[RunningService]:
    """The service with default settings."""
    with running(Settings()) as started:
        yield started


@contextmanager
def running(settings: Settings) -> Iterator[RunningService]:
    app = create_app(settings, today=lambda: ON)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield RunningService(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        pass


def hook_request(**elements: Any) -> dict[str, Any]:
    """A valid request about a patient of whom nothing is recorded; None leaves an element out."""
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": "p1"},
        "prefetch": EMPTY_PREFETCH,
    } | elements
    return {name: value for name, value in body.items() if value is not None}


CONTEXTS: dict[str, dict[str, Any]] = {
    "patient-view": {},
    "encounter-start": {"encounterId": "e1"},
    "order-select": {"selections": [], "draftOrders": {"resourceType": "Bundle"}},
    "order-sign": {"draftOrders": {"resourceType": "Bundle"}},
}
"""What each hook requires in its context beyond user and patient."""


def path_of(hook: str) -> str:
    return f"/cds-services/trd-{hook}"


def request_of(hook: str, context: dict[str, Any] | None = None, **elements: Any) -> dict[str, Any]:
    """A valid request of this hook about a patient of whom nothing is recorded; `context` adds to its own."""
    usual = {"userId": "Practitioner/1", "patientId": "p1"}
    return hook_request(hook=hook, context=usual | CONTEXTS[hook] | (context or {}), **elements)


def authorization(token: str, **elements: Any) -> dict[str, Any]:
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "trd-cds",
    } | elements
