"""What a security review found: each finding, tried again from outside."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
import requests

from fhir_fixtures.builders import medication_request, searchset
from tests.contract.conftest import EMPTY_PREFETCH, ON, RunningService, Serve, hook_request, path_of
from tests.contract.order_hooks import draft, order_request
from tests.contract.process import Process, start

FAR_TOO_LONG = 30  # seconds; what is tried here takes a small part of it, and took many times as long


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with start(tmp_path_factory.mktemp("served"), TRD_CDS_REQUESTS_AT_ONCE="4") as process:
        yield process


def opened(process: Process, stack: ExitStack, raw: bytes) -> socket.socket:
    connection = stack.enter_context(socket.create_connection(process.address, timeout=10))
    connection.sendall(raw)
    return connection


# --- clients that hold on ---------------------------------------------------------------------------------


def test_clients_that_do_not_close_their_connections_hold_up_nobody(served: Process) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            opened(served, stack, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        started = time.monotonic()
        assert requests.get(f"{served.base_url}/health/live", timeout=60).ok
        assert time.monotonic() - started < FAR_TOO_LONG


def test_heads_that_do_not_come_are_not_waited_for_long(served: Process) -> None:
    with ExitStack() as stack:
        slow = opened(served, stack, b"GET /health/live HTTP/1.1\r\nHost: x\r\n")
        started = time.monotonic()
        slow.settimeout(60)
        assert slow.recv(100) == b""
        assert time.monotonic() - started < 15


# --- headers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["SCRIPT_NAME", "PATH_INFO"])
def test_no_header_moves_the_service_elsewhere(served: Process, header: str) -> None:
    """gunicorn takes these from whoever connects from the same machine, as a proxy there does."""
    reply = requests.get(f"{served.base_url}/cds-services", headers={header: "/cds-services"}, timeout=10)
    assert reply.status_code == 200 and reply.json()["services"]


@pytest.mark.parametrize("path", ["/", "/cds-services", "/nowhere", "/health/live"])
def test_browsers_run_and_frame_nothing(service: RunningService, path: str) -> None:
    headers = service.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


# --- requests that are work -------------------------------------------------------------------------------


def seconds(service: RunningService, body: object, path: str) -> float:
    started = time.monotonic()
    reply = service.post(body, path)
    assert reply.status_code == 200, reply.text[:200]
    return time.monotonic() - started


def test_a_name_of_a_million_digits_is_read_at_once(service: RunningService) -> None:
    order = medication_request("m1", "sertraline " + "1" * 1_000_000)
    body = hook_request(prefetch={**EMPTY_PREFETCH, "medications": searchset(order)})
    assert seconds(service, body, path_of("patient-view")) < FAR_TOO_LONG


def test_thousands_of_short_trials_are_judged_at_once(serve: Serve) -> None:
    drugs = ("sertraline", "venlafaxine", "bupropion", "mirtazapine")
    orders = []
    for number in range(2500):
        day = (ON - timedelta(3 * number)).isoformat()
        orders.append(
            medication_request(
                f"m{number}",
                f"{drugs[number % 4]} 100 mg tablet",
                first_day=day,
                last_day=day,
            )
        )
    body = hook_request(prefetch={**EMPTY_PREFETCH, "medications": searchset(*orders)})
    assert seconds(serve(assessment_extension=False), body, path_of("patient-view")) < FAR_TOO_LONG


def test_hundreds_of_drafts_are_judged_at_once(service: RunningService) -> None:
    drugs = ("sertraline", "venlafaxine", "bupropion", "phenelzine")
    drafts = [draft(f"d{number}", f"{drugs[number % 4]} 50 mg tablet") for number in range(400)]
    assert seconds(service, order_request("order-sign", *drafts), path_of("order-sign")) < FAR_TOO_LONG


def test_more_drafts_than_anybody_signs_at_once_are_413(service: RunningService) -> None:
    drafts = [draft(f"d{number}") for number in range(501)]
    assert service.post(order_request("order-sign", *drafts), path_of("order-sign")).status_code == 413
