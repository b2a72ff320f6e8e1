"""Traces: what a collector gets, what a FHIR server is told, and that without the setting nothing is loaded."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cds_service import tracing
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from fhir_fixtures.builders import patient, searchset
from tests.contract.conftest import Serve, hook_request, running
from tests.contract.log_lines import calls_in
from tests.contract.process import start
from tests.contract.stub_server import Asked, Reply, StubServer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Collector:
    """Takes OTLP over HTTP, as `http://…/v1/traces`."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    started = Collector()
    yield started
    started.stop()


def test_a_call_its_fetches_and_its_rules_are_one_trace(collector: Collector, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(patient("secret-id") if asked.path.startswith("Patient/") else searchset())

    context = {"userId": "Practitioner/1", "patientId": "secret-id"}
    with StubServer(answer) as fhir:
        with start(
            tmp_path,
            TRD_CDS_TRACING="true",
            TRD_CDS_FHIR_SERVERS=fhir.base_url,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.base_url,
            OTEL_EXPORTER_OTLP_COMPRESSION="none",
        ) as service:
            body = hook_request(prefetch=None, fhirServer=fhir.base_url, context=context)
            reply = requests.post(service.url, json=body, headers={"traceparent": TRACEPARENT}, timeout=20)
            assert reply.status_code == 200
            (line,) = calls_in(service.log)
        assert all(asked.headers["traceparent"].split("-")[1] == TRACE for asked in fhir.asked)
    assert line["trace_id"] == TRACE
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    names = [span.name for span in collector.spans]
    assert {"call_service", "rules", "fetch Patient read", "fetch Condition search"} <= set(names)
    (call,) = [span for span in collector.spans if span.name == "call_service"]
    assert call.parent_span_id.hex() == TRACEPARENT.split("-")[2]
    assert {span.parent_span_id for span in collector.spans if span is not call} == {call.span_id}
    attributes = {one.key: one.value for one in call.attributes}
    assert attributes["service"].string_value == "trd-patient-view"
    assert attributes["http.response.status_code"].int_value == 200
    assert set(attributes) == {"service", "verdict", "http.response.status_code"}
    assert "secret-id" not in str(collector.spans)


@pytest.mark.parametrize("sent", ["", "00-nothing", "secret-name", f"ff-{TRACE}-00f067aa0ba902b7-01"])
def test_what_is_no_traceparent_begins_a_new_trace(collector: Collector, tmp_path: Path, sent: str) -> None:
    with start(tmp_path, TRD_CDS_TRACING="true", OTEL_EXPORTER_OTLP_ENDPOINT=collector.base_url) as service:
        reply = requests.post(service.url, json=hook_request(), headers={"traceparent": sent}, timeout=20)
        assert reply.status_code == 200
        (line,) = calls_in(service.log)
    assert line["trace_id"] != TRACE
    assert int(line["trace_id"], 16)


def test_an_error_leaves_no_word_in_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(tracing._tracing, "_tracer", provider.get_tracer("test"))

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("secret-of-p1")

    try:
        with running(Settings(tracing=True)) as service:
            monkeypatch.setattr("cds_service.respond.find_maoi_risks", fail)
            assert service.post(hook_request()).status_code == 500
    finally:
        tracing.switch_tracing(False)
    spans = kept.get_finished_spans()
    assert {"call_service", "rules"} <= {span.name for span in spans}
    assert "secret-of-p1" not in "".join(span.to_json() for span in spans)


def test_without_the_extra_the_start_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_NEEDED", ("opentelemetry_that_is_not_there.sdk",))
    with pytest.raises(SettingsError, match=r"TRD_CDS_TRACING: .*trd-cds\[tracing\]"):
        serve(tracing=True)


def test_without_the_setting_nothing_of_it_is_loaded() -> None:
    script = (
        "import sys\n"
        "from cds_service.app import create_app\n"
        "from cds_service.settings import Settings\n"
        "create_app(Settings()).test_client().get('/cds-services')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
