"""What a wrong call gets: the right status, an OperationOutcome that says why, and never a 500."""

from __future__ import annotations

import http.client
import json
import logging
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.contract.conftest import HOOK_PATH, RunningService, Serve, authorization, hook_request

DEEP = b'{"prefetch":' + b'{"a":' * 100_000


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", HOOK_PATH, b"", 400, "empty body"),
        ("POST", HOOK_PATH, b'{"hook', 400, "expected JSON"),
        ("POST", HOOK_PATH, b"[]", 400, "$: expected an object"),
        ("POST", HOOK_PATH, b"\xff\xfe", 400, "byte order mark"),
        ("POST", HOOK_PATH, b"\xef\xbb\xbf{}", 400, "byte order mark"),
        ("POST", HOOK_PATH, b'{"hook": "\xff"}', 400, "UTF-8"),
        ("POST", HOOK_PATH, DEEP, 400, "nested"),
        ("POST", HOOK_PATH, b'{"hook": "order-sign"}', 400, "$.hook: expected"),
        ("POST", "/cds-services/nothing", b"{}", 404, "trd-patient-view"),
        ("POST", f"{HOOK_PATH}/feedback", b"{}", 400, "$.feedback: required"),
        ("POST", "/cds-services", b"{}", 405, "405"),
        ("PUT", HOOK_PATH, b"{}", 405, "405"),
        ("GET", HOOK_PATH, None, 405, "405"),
        ("GET", "/nothing", None, 404, "404"),
        ("GET", "/cds-services/..%2f..%2fetc%2fpasswd", None, 404, "404"),
        ("POST", "/health/live", b"", 405, "405"),
    ],
)
def test_a_wrong_call(
    service: RunningService, method: str, path: str, body: bytes | None, status: int, words: str
) -> None:
    reply = service.call(method, path, data=body)
    assert reply.status_code == status
    assert words in outcome_of(reply)["diagnostics"]


def test_a_wrong_element_is_named_by_its_path(service: RunningService) -> None:
    reply = service.post(hook_request(context={"userId": "Practitioner/1", "patientId": 12}))
    assert reply.status_code == 400
    assert outcome_of(reply)["diagnostics"] == "$.context.patientId: expected a string, got a number"


def test_another_hook_is_refused_rather_than_answered(service: RunningService) -> None:
    reply = service.post(hook_request(hook="order-sign"))
    assert reply.status_code == 400
    assert "$.hook" in outcome_of(reply)["diagnostics"]


def test_405_tells_what_is_allowed(service: RunningService) -> None:
    assert "POST" in service.get(HOOK_PATH).headers["Allow"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", None])
def test_json_is_read_whatever_it_is_called(service: RunningService, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    reply = service.call("POST", HOOK_PATH, data=json.dumps(hook_request()).encode(), headers=headers)
    assert reply.status_code == 200


def test_unknown_elements_are_ignored(service: RunningService) -> None:
    body = hook_request(extension={"com.example": {}}, unheardOf=[1])
    body["context"]["unheardOf"] = {"a": 1}
    assert service.post(body).json()["cards"] == service.post(hook_request()).json()["cards"]


# --- size -------------------------------------------------------------------------------------------------


def test_a_body_above_the_limit_is_413(serve: Serve) -> None:
    small = serve(max_body_mb=0.25)
    assert small.post(b" " * 262_144).status_code == 400
    reply = small.post(b" " * 262_145)
    assert reply.status_code == 413
    assert "TRD_CDS_MAX_BODY_MB" in outcome_of(reply)["diagnostics"]


def test_50_mb_are_413_by_default(service: RunningService) -> None:
    assert service.post(b" " * 50_000_000).status_code == 413


def test_a_chunked_body_above_the_limit_is_413(serve: Serve) -> None:
    reply = serve(max_body_mb=0.25).call("POST", HOOK_PATH, data=iter([b" " * 100_000] * 4))
    assert reply.status_code == 413


def test_a_chunked_body_is_read(service: RunningService) -> None:
    content = json.dumps(hook_request()).encode()
    assert service.call("POST", HOOK_PATH, data=iter([content[:20], content[20:]])).status_code == 200


def test_a_declared_length_that_is_no_number_is_no_500(service: RunningService) -> None:
    host = urlsplit(service.base_url).netloc
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.putrequest("POST", HOOK_PATH)
    connection.putheader("Content-Length", "many")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


# --- missing data -----------------------------------------------------------------------------------------


def test_a_minimal_request_is_412_and_names_what_lacks(service: RunningService) -> None:
    reply = service.post(hook_request(prefetch=None))
    assert reply.status_code == 412
    diagnostics = outcome_of(reply)["diagnostics"]
    for key in ("patient", "medications", "observations", "conditions"):
        assert f"{key}: it was not prefetched, and no fhirServer was given" in diagnostics


def test_a_server_that_cannot_be_reached_is_412(serve: Serve) -> None:
    address = "http://127.0.0.1:9/fhir"
    body = hook_request(prefetch=None, fhirServer=address, fhirAuthorization=authorization("t"))
    reply = serve(fhir_servers=(address,), fetch_seconds=2).post(body)
    assert reply.status_code == 412
    assert "could not be reached" in outcome_of(reply)["diagnostics"]


# --- our own mistakes -------------------------------------------------------------------------------------


def test_a_bug_is_500_without_detail_and_logged_without_data(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("-".join(("secret", "of", "p1")))

    monkeypatch.setattr("cds_service.respond.collect", fail)
    with caplog.at_level(logging.INFO):
        reply = serve().post(hook_request(), headers={"Origin": "https://sandbox.example.org"})
    assert reply.status_code == 500
    assert "secret-of-p1" not in reply.text + caplog.text
    assert "ValueError" in caplog.text
    assert "services.py" in caplog.text
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


def outcome_of(reply: requests.Response) -> dict[str, Any]:
    """The one issue of the OperationOutcome that every error is."""
    assert reply.headers["Content-Type"].startswith("application/json")
    outcome = reply.json()
    assert outcome["resourceType"] == "OperationOutcome"
    (issue,) = outcome["issue"]
    assert issue["severity"] == "error"
    return issue
