"""`trd-cds serve` as a process: what gunicorn answers by itself, slow clients, the log, and how it starts and stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fhir_fixtures.builders import patient, searchset
from tests.contract.conftest import HOOK_PATH, authorization, hook_request
from tests.contract.log_lines import read_lines
from tests.contract.process import Process, wait_for_address
from tests.contract.replies import assert_operation_outcome, assert_sound
from tests.contract.stub_server import Asked, Reply, StubServer

TOKEN = "marker-token-c04d"
REQUEST_SECONDS = 1.5
COMMAND = f"""
import sys
from cds_service import cli, serving_worker
serving_worker.REQUEST_SECONDS = {REQUEST_SECONDS}
sys.argv[0] = "trd-cds"
cli.main()
"""
POST = f"POST {HOOK_PATH} HTTP/1.1\r\nHost: x\r\n".encode()
BODY = json.dumps(hook_request()).encode()


@pytest.fixture(scope="module")
def fhir() -> Iterator[StubServer]:
    """Slow about `slow`, forbidding about all others; its errors repeat the token."""

    def answer(asked: Asked) -> Reply:
        if "slow" not in asked.path:
            return Reply({"resourceType": "OperationOutcome", "issue": [{"diagnostics": TOKEN}]}, 403)
        time.sleep(0.7)
        return Reply(patient("slow") if asked.path.startswith("Patient/") else searchset())

    with StubServer(answer) as stub:
        yield stub


@pytest.fixture(scope="module")
def served(fhir: StubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    started = start(tmp_path_factory.mktemp("serving"), fhir.base_url)
    yield started
    started.process.terminate()
    assert started.process.wait(20) == 0


def start(folder: Path, fhir_server: str) -> Process:
    log = folder / "log"
    environment = os.environ | {"TRD_CDS_FHIR_SERVERS": fhir_server, "TRD_CDS_LOG_LEVEL": "debug"}
    command = [sys.executable, "-c", COMMAND, "serve", "--port", "0", "--workers", "1"]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stderr=written, env=environment)
    base_url = wait_for_address(log, process)
    return Process(process, base_url, log)


# --- what is hardly HTTP ----------------------------------------------------------------------------------


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + end


def sized(length: bytes, body: bytes = BODY) -> bytes:
    return POST + b"Connection: close\r\nContent-Length: " + length + b"\r\n\r\n" + body


SECRET_HEADER = POST + f"Authorization: Bearer {TOKEN}\x00\r\n\r\n".encode()
WRONG = {
    "no HTTP at all": (f"{TOKEN}\r\n\r\n".encode(), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a zero byte in a header": (SECRET_HEADER, 400),
    "a zero byte in the path": (b"GET /cds-services/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "an address without end": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "a header without end": (POST + b"X: " + b"a" * 99_000 + b"\r\n\r\n", 431),
    "headers without end": (POST + b"X: a\r\n" * 500 + b"\r\n", 431),
    "a strange expectation": (POST + b"Expect: nothing\r\n\r\n", 417),
    "a length that is no number": (sized(b"many"), 400),
    "a negative length": (sized(b"-1"), 400),
    "two lengths": (sized(b"5\r\nContent-Length: 6"), 400),
    "length and chunks": (sized(b"5\r\nTransfer-Encoding: chunked"), 400),
    "a chunk size that is no number": (chunked(end=b"zz\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk longer than it says": (chunked(end=b"5\r\nabcdefghi\r\n0\r\n\r\n"), 400),
    "a wrong trailer": (chunked(BODY, end=b"0\r\nnothing\r\n\r\n"), 400),
    "gzip": (sized(b"%d\r\nContent-Encoding: gzip" % len(BODY)), 415),
    "no length": (POST + b"Connection: close\r\n\r\n", 400),
    "a method nobody knows": (b"BREW /cds-services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_hardly_http_gets_an_outcome(served: Process, wrong: str) -> None:
    raw, status = WRONG[wrong]
    head, body = read_reply(served.send(raw))
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "application/json" in head
    assert_operation_outcome(body)
    assert TOKEN not in str(body) + served.log


@pytest.mark.parametrize(
    "raw",
    [
        sized(b"%d" % (len(BODY) + 9)),
        sized(b"%d" % len(BODY), BODY[:-5]),
        chunked(BODY, end=b""),
        chunked(BODY[:9], end=b"ff\r\n"),
    ],
)
def test_a_body_that_breaks_off_is_never_taken_for_whole(served: Process, raw: bytes) -> None:
    head, body = read_reply(served.send(raw, hang_up=True))
    assert " 400 " in head
    assert_operation_outcome(body)


def test_a_chunked_body_is_read(served: Process) -> None:
    head, body = read_reply(served.send(chunked(BODY[:7], BODY[7:])))
    assert " 200 " in head
    assert_sound(200, body)


def test_50_mb_are_413(served: Process) -> None:
    assert requests.post(served.url, data=b" " * 50_000_000, timeout=20).status_code == 413


def test_50_mb_in_chunks_are_413(served: Process) -> None:
    assert requests.post(served.url, data=iter([b" " * 1_000_000] * 50), timeout=20).status_code == 413


def read_reply(raw: bytes) -> tuple[str, object]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.decode("latin-1"), json.loads(body)


# --- slow clients -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [POST, sized(b"5000"), chunked(BODY, end=b""), chunked(end=b"fffffff\r\n{"), b"\x16\x03\x01"]
)
def test_a_client_that_stops_sending_is_cut_off(served: Process, raw: bytes) -> None:
    started = time.monotonic()
    reply = served.send(raw)
    assert time.monotonic() - started < REQUEST_SECONDS + 4
    assert reply == b"" or b" 400 " in reply


def test_many_slow_clients_hold_up_nobody_for_long(served: Process) -> None:
    clients = [threading.Thread(target=served.send, args=(sized(b"5000"),)) for _ in range(12)]
    for client in clients:
        client.start()
    assert requests.get(f"{served.base_url}/health/live", timeout=REQUEST_SECONDS + 8).ok
    for client in clients:
        client.join()


# --- the log ----------------------------------------------------------------------------------------------


def test_the_log_tells_of_a_call_and_of_nobody(served: Process, fhir: StubServer) -> None:
    body = hook_request(
        prefetch=None,
        context={"userId": "Practitioner/secret-user", "patientId": "secret-patient"},
        fhirServer=fhir.base_url,
        fhirAuthorization=authorization(TOKEN),
    )
    reply = requests.post(served.url, json=body, timeout=20)
    assert reply.status_code == 412
    requests.get(f"{served.url}?patient=secret-patient&token={TOKEN}", timeout=20)
    log = served.log
    assert read_lines(log)
    assert body["hookInstance"] in log
    assert reply.headers["X-Request-Id"] in log
    for secret in (TOKEN, "secret-patient", "secret-user"):
        assert secret not in log + reply.text


# --- start and stop ---------------------------------------------------------------------------------------


def test_stopping_finishes_the_requests_at_hand(fhir: StubServer, tmp_path: Path) -> None:
    service = start(tmp_path, fhir.base_url)
    context = {"userId": "Practitioner/1", "patientId": "slow"}
    body = hook_request(prefetch=None, context=context, fhirServer=fhir.base_url)
    replies: list[int] = []
    asked_before = len(fhir.asked)
    call = threading.Thread(
        target=lambda: replies.append(requests.post(service.url, json=body, timeout=20).status_code)
    )
    call.start()
    while len(fhir.asked) < asked_before + 4:
        time.sleep(0.02)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(15) == 0
    call.join()
    assert replies == [200]


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "{taken}"],
        ["demo", "--once", "--port", "{taken}", "--fhir-port", "0"],
        ["demo", "--once", "--port", "0", "--fhir-port", "{taken}"],
        ["fixtures", "serve", "--port", "{taken}"],
        ["fixtures", "serve", "--port", "0", "--host", "nowhere.invalid"],
    ],
    ids=" ".join,
)
def test_a_port_that_is_taken_is_one_line_and_status_2(arguments: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "cds_service", *(one.format(taken=port) for one in arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert re.fullmatch(r"trd-cds: cannot listen on \S+: .+\n", ended.stderr)
    assert ended.stdout == ""
