"""AuditEvents: valid FHIR, one a call, naming caller, service and patient, readable by the owner alone."""

from __future__ import annotations

import json
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from cds_service.errors import SettingsError
from cds_service.outbound.fetch_tally import FetchTally
from cds_service.security.callers import ANYONE, Caller
from cds_service.web.audit import AuditFile, audit_event, open_audit
from cds_service.web.call_facts import CallFacts
from tests.contract.conftest import Serve, hook_request

OBSERVER = "https://cds.example.org"
RECORDED = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)


def facts(**known: Any) -> CallFacts:
    plain = {
        "request_id": "0123456789abcdef",
        "trace_id": None,
        "method": "POST",
        "endpoint": "call_service",
        "service": "trd-patient-view",
        "status": 200,
        "verdict": "met",
        "reason": None,
        "refusal": None,
        "seconds": 0.01,
        "request_bytes": 1,
        "response_bytes": 1,
        "fetches": FetchTally(),
        "cards": (),
        "withheld": 0,
        "caller": ANYONE,
        "hook_instance": "0b4ce64e-6e0b-4d1c-8f0a-0d5dc0f2a7b4",
        "patient_id": "p1",
    }
    return CallFacts(**(plain | known))


CLIENT = Caller(issuer="https://ehr.example.org", name="The EHR", tenant="ward-7", subject="client-1")


@pytest.mark.conformance("CH-820")
def test_it_names_who_what_and_whose() -> None:
    event = audit_event(facts(caller=CLIENT), OBSERVER, RECORDED)
    assert AuditEvent.model_validate(event)
    assert event["recorded"] == "2026-06-30T12:00:00.000+00:00"
    (agent,) = event["agent"]
    assert agent["who"]["identifier"] == {"system": CLIENT.issuer, "value": "client-1"}
    assert agent["name"] == "The EHR"
    patient, query = event["entity"]
    assert patient["what"] == {"reference": "Patient/p1"}
    assert query["name"] == "trd-patient-view"
    assert {one["type"]: one["valueString"] for one in query["detail"]} == {
        "requestId": "0123456789abcdef",
        "hookInstance": "0b4ce64e-6e0b-4d1c-8f0a-0d5dc0f2a7b4",
        "tenant": "ward-7",
        "verdict": "met",
    }


@pytest.mark.parametrize(
    ("known", "outcome", "code"),
    [
        ({"status": 200}, "0", "operation"),
        ({"status": 401, "patient_id": None, "verdict": None, "hook_instance": None}, "4", "operation"),
        ({"status": 412, "verdict": None}, "4", "operation"),
        ({"status": 503, "verdict": None}, "8", "operation"),
        ({"endpoint": "take_feedback", "verdict": None, "patient_id": None}, "0", "create"),
        ({"caller": Caller(issuer="https://ehr.example.org")}, "0", "operation"),
    ],
)
def test_every_event_is_valid_fhir(known: dict[str, Any], outcome: str, code: str) -> None:
    event = audit_event(facts(**known), OBSERVER, RECORDED)
    assert AuditEvent.model_validate(event)
    assert event["outcome"] == outcome
    assert event["subtype"][0]["code"] == code


def test_hooks_are_recorded_and_nothing_else(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "audit.ndjson"
    service = serve(audit_file=file)
    assert service.post(hook_request()).status_code == 200
    assert service.post(b"{").status_code == 400
    assert service.post(b"{}", "/cds-services/secret-name").status_code == 404
    for path in ("/health/live", "/cds-services", "/metrics", "/nothing"):
        service.get(path)
    events = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [event["outcomeDesc"] for event in events] == ["200", "400", "404"]
    for event in events:
        assert AuditEvent.model_validate(event)
    assert "secret-name" not in str(events)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_writers_do_not_cut_into_each_other(tmp_path: Path) -> None:
    audit = AuditFile(tmp_path / "audit.ndjson", OBSERVER)
    threads = [threading.Thread(target=lambda: [audit(facts()) for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = audit.path.read_text("utf-8").splitlines()
    assert len(lines) == 800
    assert all(json.loads(line)["resourceType"] == "AuditEvent" for line in lines)


def test_a_call_is_answered_though_its_event_cannot_be_written(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    service = serve(audit_file=folder / "audit.ndjson")
    (folder / "audit.ndjson").unlink()
    folder.rmdir()
    reply = service.post(hook_request())
    assert reply.status_code == 200
    assert f"{reply.headers['X-Request-Id']}: the audit event was not written" in caplog.text


def test_a_file_that_cannot_be_written_stops_the_start(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"TRD_CDS_AUDIT_FILE=.*cannot be written"):
        serve(audit_file=tmp_path)
    assert open_audit(None, OBSERVER) is None
