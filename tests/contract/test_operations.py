"""What operators see of the service: its log, metrics and health, its limits, and how it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from cds_service.logs import FIELDS
from fhir_fixtures.builders import patient, searchset
from tests.contract.conftest import HOOK_PATH, RunningService, Serve, hook_request
from tests.contract.log_lines import calls_in, read_lines
from tests.contract.process import Process, start
from tests.contract.stub_server import Asked, Reply, StubServer

DOCS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


class SlowFhirServer(StubServer):
    """Answers nothing until it is let go."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        super().__init__(self._answer)

    def _answer(self, asked: Asked) -> Reply:
        assert self.may_answer.wait(20)
        return Reply(patient("p1") if asked.path.startswith("Patient/") else searchset())


@pytest.fixture
def slow_fhir() -> Iterator[SlowFhirServer]:
    with SlowFhirServer() as server:
        yield server
        server.may_answer.set()


def fetching(fhir: StubServer) -> dict[str, Any]:
    return hook_request(prefetch=None, fhirServer=fhir.base_url)


class Calls:
    """Calls of a hook that are under way in threads of their own."""

    def __init__(self, url: str, body: dict[str, Any], number: int) -> None:
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._call, args=(url, body)) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _call(self, url: str, body: dict[str, Any]) -> None:
        self.statuses.append(requests.post(url, json=body, timeout=30).status_code)

    def join(self) -> list[int]:
        for thread in self._threads:
            thread.join()
        return self.statuses


def wait_until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about in 20 seconds")


def patients_asked_for(fhir: StubServer) -> int:
    return sum(path.startswith("Patient/") for path in fhir.paths)


# --- the log ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with start(
        tmp_path_factory.mktemp("operations"), TRD_CDS_WORKERS="2", TRD_CDS_LOG_LEVEL="debug"
    ) as started:
        yield started


@pytest.mark.conformance("CH-820")
def test_a_call_is_one_line_of_the_log(served: Process) -> None:
    body = hook_request(hookInstance="0b4ce64e-6e0b-4d1c-8f0a-0d5dc0f2a7b4")
    reply = requests.post(served.url, json=body, timeout=20)
    (line,) = [line for line in calls_in(served.log) if line["request_id"] == reply.headers["X-Request-Id"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("duration_ms") > 0
    assert line == {
        "level": "info",
        "event": "call",
        "request_id": reply.headers["X-Request-Id"],
        "method": "POST",
        "endpoint": "call_service",
        "service": "trd-patient-view",
        "status": 200,
        "verdict": "not-met",
        "request_bytes": len(json.dumps(body)),
        "response_bytes": len(reply.content),
        "fetches": 0,
        "cards": 0,
        "withheld": 0,
        "hook_instance": body["hookInstance"],
    }


def test_the_first_line_says_what_started(served: Process) -> None:
    first = read_lines(served.log)[0]
    assert (first["event"], first["mode"], first["workers"]) == ("start", "development", 2)
    assert first["address"] == f"{served.base_url}/cds-services"


@pytest.mark.parametrize(
    ("method", "path", "body", "level", "status"),
    [
        ("POST", HOOK_PATH, b"{", "info", 400),
        ("POST", "/cds-services/secret-name", b"{}", "info", 404),
        ("GET", "/secret-name?secret=1", None, "info", 404),
        ("BREW", "/", None, "info", 405),
        ("GET", "/health/live", None, "debug", 200),
        ("GET", "/metrics", None, "debug", 200),
    ],
)
def test_lines_of_other_calls(
    served: Process, method: str, path: str, body: bytes | None, level: str, status: int
) -> None:
    reply = requests.request(method, served.base_url + path, data=body, timeout=20)
    (line,) = [line for line in calls_in(served.log) if line["request_id"] == reply.headers["X-Request-Id"]]
    assert (line["level"], line["status"]) == (level, status)
    assert line["method"] in ("GET", "POST", "unknown")
    assert "secret" not in str(line)


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        ("4bf92f3577b34da6a3ce929d0e0e4736", True),
        ("0b4ce64e-6e0b-4d1c-8f0a-0d5dc0f2a7b4", True),
        ("short", False),
        ("Anna Svensson 1980", False),
        ("a" * 65, False),
        ("eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJ4In0", False),
    ],
)
def test_a_request_id_is_taken_over_if_it_can_be_nothing_else(
    service: RunningService, sent: str, is_taken: bool
) -> None:
    reply = service.get("/health/live", headers={"X-Request-Id": sent})
    assert (reply.headers["X-Request-Id"] == sent) == is_taken


def test_fetches_are_counted(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("Procedure"):
            return Reply({"resourceType": "OperationOutcome"}, 403)
        return Reply(patient("p1") if asked.path.startswith("Patient/") else searchset())

    with StubServer(answer) as fhir, start(tmp_path, TRD_CDS_FHIR_SERVERS=fhir.base_url) as service:
        assert requests.post(service.url, json=fetching(fhir), timeout=20).status_code == 200
        (line,) = calls_in(service.log)
        assert line["fetches"] == len(fhir.asked) > 4
        assert line["fetch_outcome"] == "refused"
        assert 0 < line["fetch_ms"] <= line["duration_ms"]
        samples = metrics_of(service)
    assert samples["trd_cds_fetches_total", ("kind", "Patient"), ("outcome", "ok")] == 1
    assert samples["trd_cds_fetches_total", ("kind", "Procedure"), ("outcome", "refused")] == 1
    assert samples["trd_cds_fetch_seconds_count",] == 1


def test_the_log_can_be_text(tmp_path: Path) -> None:
    with start(tmp_path, TRD_CDS_LOG_FORMAT="text") as service:
        reply = requests.post(service.url, json=hook_request(), timeout=20)
        (line,) = [line for line in service.log.splitlines() if " call " in line]
    assert f"request_id={reply.headers['X-Request-Id']} " in line
    assert "status=200" in line
    assert "{" not in line


def test_every_field_is_documented() -> None:
    described = set(re.findall(r"^\| `([a-z_]+)` \|", DOCS.read_text("utf-8"), re.MULTILINE))
    assert described >= {field for fields in FIELDS.values() for field in fields}


# --- metrics ----------------------------------------------------------------------------------------------


def metrics_of(service: Process | RunningService) -> dict[tuple[Any, ...], float]:
    """The samples by name and sorted labels."""
    text = requests.get(f"{service.base_url}/metrics", timeout=20).text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of_calls(service: str, status: str, verdict: str = "none") -> tuple[Any, ...]:
    labels = {"endpoint": "call_service", "service": service, "status": status, "verdict": verdict}
    return ("trd_cds_calls_total", *sorted(labels.items()))


def test_any_worker_tells_the_metrics_of_all(served: Process) -> None:
    key = of_calls("trd-patient-view", "200", "not-met")
    before = metrics_of(served).get(key, 0)
    for _ in range(20):
        assert requests.post(served.url, json=hook_request(), timeout=20).ok
    assert {metrics_of(served)[key] for _ in range(10)} == {before + 20}


def test_metrics_of_what_was_refused_have_no_name_of_the_clients(service: RunningService) -> None:
    service.post(b"{}", "/cds-services/secret-service")
    service.call("BREW", "/secret-path")
    samples = metrics_of(service)
    assert samples[of_calls("unknown", "404")] >= 1
    assert "secret" not in str(samples)


def test_metrics_tell_cards_version_and_times(serve: Serve) -> None:
    from cds_service import __version__

    service = serve()
    service.post(hook_request())
    samples = metrics_of(service)
    assert samples["trd_cds_info", ("definition", "default-configurable"), ("version", __version__)] == 1
    times = ("trd_cds_call_seconds_count", ("endpoint", "call_service"), ("service", "trd-patient-view"))
    assert samples[times] == 1
    assert samples["trd_cds_calls_in_flight",] == 0


def test_cards_are_counted_by_topic(serve: Serve) -> None:
    service = serve()
    story = hook_request(prefetch=suicidal_chart())
    assert len(service.post(story).json()["cards"]) == 1
    samples = metrics_of(service)
    assert samples["trd_cds_cards_total", ("service", "trd-patient-view"), ("topic", "safety-acute")] == 1


def suicidal_chart() -> dict[str, Any]:
    """A prefetch whose one finding is that item 9 of the PHQ-9 was answered, ten days ago."""
    code = {"coding": [{"system": "http://loinc.org", "code": "44260-8"}]}
    answered = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": code,
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-06-20",
        "valueInteger": 3,
    }
    person = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"}
    return {**hook_request()["prefetch"], "patient": person, "observations": searchset(answered)}


def test_metrics_can_be_switched_off(serve: Serve) -> None:
    assert serve(metrics=False).get("/metrics").status_code == 404


# --- limits -----------------------------------------------------------------------------------------------


def test_more_resources_than_allowed_are_413(serve: Serve) -> None:
    service = serve(max_resources=3)
    conditions = [{"resourceType": "Condition", "id": str(number)} for number in range(2)]
    prefetch = hook_request()["prefetch"] | {"conditions": searchset(*conditions)}
    assert service.post(hook_request(prefetch=prefetch)).status_code == 200
    reply = service.post(hook_request(prefetch=prefetch | {"medications": searchset(*conditions)}))
    assert reply.status_code == 413
    assert "TRD_CDS_MAX_RESOURCES" in reply.text


def test_deeper_nesting_than_allowed_is_400(serve: Serve) -> None:
    service = serve(max_depth=10)
    allowed: Any = 1
    for _ in range(9):
        allowed = [allowed]
    assert service.post(hook_request(other=allowed)).status_code == 200
    reply = service.post(hook_request(other=[allowed]))
    assert reply.status_code == 400
    assert "TRD_CDS_MAX_DEPTH" in reply.text


def test_calls_beyond_the_places_are_503_while_health_stays_up(
    tmp_path: Path, slow_fhir: SlowFhirServer
) -> None:
    with start(
        tmp_path,
        TRD_CDS_FHIR_SERVERS=slow_fhir.base_url,
        TRD_CDS_REQUESTS_AT_ONCE="3",
        TRD_CDS_FETCH_SECONDS="20",
    ) as service:
        calls = Calls(service.url, fetching(slow_fhir), 3)
        wait_until(lambda: patients_asked_for(slow_fhir) == 3)
        refused = [requests.post(service.url, json=hook_request(), timeout=20) for _ in range(12)]
        assert {reply.status_code for reply in refused} == {503}
        assert {reply.headers["Retry-After"] for reply in refused} == {"1"}
        assert refused[0].json()["issue"][0]["code"] == "throttled"
        for path in ("/health/live", "/health/ready", "/cds-services", "/metrics"):
            assert requests.get(service.base_url + path, timeout=20).status_code == 200
        assert metrics_of(service)["trd_cds_calls_in_flight",] == 3
        slow_fhir.may_answer.set()
        assert calls.join() == [200, 200, 200]
        assert requests.post(service.url, json=hook_request(), timeout=20).status_code == 200


def test_a_place_is_free_again_after_a_call_that_failed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve(requests_at_once=1)
    monkeypatch.setattr("cds_service.respond.collect", lambda *_: 1 / 0)
    assert [service.post(hook_request()).status_code for _ in range(3)] == [500, 500, 500]
    assert [service.post(b"{").status_code for _ in range(3)] == [400, 400, 400]


def test_slow_senders_leave_health_up(tmp_path: Path) -> None:
    """Each holds a place from its first line on, so they cannot hold all threads."""
    with start(tmp_path, TRD_CDS_REQUESTS_AT_ONCE="4") as service:
        started = f"POST {HOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode()
        senders = [socket.create_connection(service.address) for _ in range(4)]
        for sender in senders:
            sender.sendall(started)
        wait_until(lambda: metrics_of(service)["trd_cds_calls_in_flight",] == 4)
        assert requests.post(service.url, json=hook_request(), timeout=20).status_code == 503
        assert requests.get(f"{service.base_url}/health/live", timeout=5).ok
        for sender in senders:
            sender.close()
        wait_until(lambda: requests.post(service.url, json=hook_request(), timeout=20).status_code == 200)


def test_a_client_that_calls_too_often_is_429(serve: Serve) -> None:
    service = serve(requests_per_minute=3)
    replies = [service.post(hook_request()) for _ in range(5)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429, 429]
    assert 1 <= int(replies[-1].headers["Retry-After"]) <= 60
    assert replies[-1].json()["issue"][0]["code"] == "throttled"
    assert service.get("/health/ready").ok
    assert service.get("/cds-services").ok


def test_the_rate_is_counted_over_all_workers(tmp_path: Path) -> None:
    with start(tmp_path, TRD_CDS_WORKERS="3", TRD_CDS_REQUESTS_PER_MINUTE="10") as service:
        statuses = [
            requests.post(service.url, json=hook_request(), timeout=20).status_code for _ in range(20)
        ]
    assert statuses == [200] * 10 + [429] * 10


# --- health and stopping ----------------------------------------------------------------------------------


def test_stopping_finishes_many_fetching_calls_and_is_not_ready(
    tmp_path: Path, slow_fhir: SlowFhirServer
) -> None:
    with start(
        tmp_path,
        TRD_CDS_WORKERS="1",
        TRD_CDS_FHIR_SERVERS=slow_fhir.base_url,
        TRD_CDS_FETCH_SECONDS="20",
        TRD_CDS_FETCHES_AT_ONCE="512",
    ) as service:
        kept = requests.Session()
        assert kept.get(f"{service.base_url}/health/ready", timeout=20).status_code == 200
        calls = Calls(service.url, fetching(slow_fhir), 12)
        wait_until(lambda: patients_asked_for(slow_fhir) == 12)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: why_not_ready(kept, f"{service.base_url}/health/ready") in ("stopping", "closed"))
        slow_fhir.may_answer.set()
        assert calls.join() == [200] * 12
        assert service.process.wait(20) == 0


def why_not_ready(session: requests.Session, url: str) -> str:
    """A connection that was kept open may be closed by then, which keeps new calls away just as well."""
    try:
        reply = session.get(url, timeout=20)
    except requests.ConnectionError:
        return "closed"
    return str(reply.json().get("why", ""))


def test_a_worker_that_is_killed_leaves_its_counts_and_no_call_in_flight(
    tmp_path: Path, slow_fhir: SlowFhirServer
) -> None:
    with start(tmp_path, TRD_CDS_FHIR_SERVERS=slow_fhir.base_url, TRD_CDS_REQUESTS_PER_MINUTE="3") as service:
        assert requests.post(service.url, json=hook_request(), timeout=20).ok
        with pytest.raises(requests.ConnectionError):
            kill_worker_during_a_call(service, slow_fhir)
        wait_until(lambda: metrics_of(service)["trd_cds_calls_in_flight",] == 0)
        assert metrics_of(service)[of_calls("trd-patient-view", "200", "not-met")] == 1
        statuses = [requests.post(service.url, json=hook_request(), timeout=20).status_code for _ in range(2)]
        assert statuses == [200, 429]
        messages = [line["message"] for line in read_lines(service.log) if line["event"] == "message"]
        assert any("SIGKILL" in message or "exited" in message for message in messages)


def kill_worker_during_a_call(service: Process, fhir: SlowFhirServer) -> None:
    (worker,) = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()

    def kill() -> None:
        wait_until(lambda: patients_asked_for(fhir) == 1)
        os.kill(int(worker), signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        requests.post(service.url, json=fetching(fhir), timeout=20)
    finally:
        killing.join()


def test_metrics_leave_no_files_behind(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with start(tmp_path, TMPDIR=str(folder)) as service:
        assert requests.post(service.url, json=hook_request(), timeout=20).ok
        assert [file.name for file in folder.iterdir() if file.name.startswith("trd-cds-metrics-")]
    assert not [file.name for file in folder.iterdir() if file.name.startswith("trd-cds-metrics-")]


def test_a_worker_that_was_told_to_stop_is_not_ready_but_alive(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    stopping.set()
    monkeypatch.setattr("cds_service.web.health.STOPPING", stopping)
    assert service.get("/health/live").status_code == 200
    reply = service.get("/health/ready")
    assert (reply.status_code, reply.json()["why"]) == (503, "stopping")


def test_metrics_survive_a_worker_that_is_just_making_its_file(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without its size yet cannot be unpacked; a moment later it can."""
    import prometheus_client

    tries, generate = [], prometheus_client.generate_latest

    def generate_at_last(registry: Any) -> bytes:
        tries.append(registry)
        if len(tries) < 3:
            raise struct.error("unpack_from requires a buffer of at least 4 bytes")
        return generate(registry)

    monkeypatch.setattr(prometheus_client, "generate_latest", generate_at_last)
    assert serve().get("/metrics").status_code == 200
    assert len(tries) == 3
