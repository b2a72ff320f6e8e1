"""Marked patient data and tokens go through every path, failures too; then everything that is kept is searched.

Cards and assessment of a 200 may tell of the patient. Logs, errors and metrics never do, and the audit only
gives the patient's reference.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from cds_service.errors import NotAuthenticated, Overloaded, StoreError
from fhir_fixtures import vignettes
from fhir_fixtures.builders import searchset
from tests.contract.conftest import HOOK_PATH, Serve, authorization, hook_request
from tests.contract.log_lines import read_lines
from tests.contract.process import Process, start
from tests.contract.stub_server import Asked, Reply, StubServer

PATIENT_ID = "zyxpatient-4711"
USER_ID = "zyxuser-0815"
NAME = "Zyxnåme Märk/Son+Q"
CLIENT_TOKEN = "eyJhbGciOiJFUzM4NCJ9.eyJ6eXhjbGllbnQiOiJtYXJrIn0.zyxsignature-A_b"
FHIR_TOKEN = "zyxtoken.Aa0-_~+/=="
COMMENT = "Zyxcomment: she said 'no' & left"
MARKS = (PATIENT_ID, USER_ID, NAME, CLIENT_TOKEN, FHIR_TOKEN, COMMENT)

FEEDBACK_PATH = f"{HOOK_PATH}/feedback"
HEADERS = {
    "Authorization": f"Bearer {CLIENT_TOKEN}",
    "X-Request-Id": CLIENT_TOKEN,
    "User-Agent": USER_ID,
    "Referer": f"https://ehr.example.org/{PATIENT_ID}",
    "Cookie": f"session={FHIR_TOKEN}",
    "X-Forwarded-For": USER_ID,
    "traceparent": PATIENT_ID,
}


def spellings(mark: str) -> set[str]:
    """How a mark may look when something has encoded it."""
    raw = mark.encode()
    base64_forms = {
        encode(b"x" * shift + raw)[4:].rstrip(b"=")[:-2].decode()
        for shift in range(3)
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
    }
    plain = {
        mark,
        mark.lower(),
        mark.upper(),
        quote(mark),
        quote(mark, safe=""),
        json.dumps(mark)[1:-1],
        raw.hex(),
    }
    return plain | plain_lower(plain) | base64_forms | {mark[:12], ascii(mark)[1:-1]}


def plain_lower(forms: set[str]) -> set[str]:
    return {form.lower() for form in forms}


FORBIDDEN = {form: mark for mark in MARKS for form in spellings(mark)}


def assert_unmarked(text: str, *, allowed: str = "") -> None:
    for form, mark in FORBIDDEN.items():
        if mark != allowed:
            assert form not in text, f"{mark!r} was told as {form!r}"


# --- marked data ------------------------------------------------------------------------------------------

_STRUCTURE = (
    "resourceType",
    "system",
    "code",
    "reference",
    "id",
    "status",
    "intent",
    "url",
    "fullUrl",
    "type",
    "mode",
    "relation",
    "unit",
)


def mark_texts(value: Any, name: str = "") -> Any:
    """The same resource with every text that is no code, id or date a marked one."""
    if isinstance(value, dict):
        return {key: mark_texts(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [mark_texts(part, name) for part in value]
    if isinstance(value, str) and name not in _STRUCTURE and not value[:4].isdigit():
        return f"{value} {NAME}"
    return value


def marked_chart() -> dict[str, list[dict[str, Any]]]:
    """The resources of a fixture patient by type, as those of the marked one."""
    vignette = vignettes()[0]
    text = json.dumps([entry["resource"] for entry in vignette.bundle["entry"]])
    resources = mark_texts(
        json.loads(text.replace(f'"Patient/{vignette.patient_id}"', f'"Patient/{PATIENT_ID}"'))
    )
    chart: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        if resource["resourceType"] == "Patient":
            resource |= {"id": PATIENT_ID, "name": [{"family": NAME, "given": [NAME]}]}
        resource["note"] = [{"text": NAME}]
        chart.setdefault(resource["resourceType"], []).append(resource)
    return chart


def marked_request(**elements: Any) -> dict[str, Any]:
    chart = marked_chart()
    prefetch = hook_request()["prefetch"] | {
        "patient": chart["Patient"][0],
        "medications": searchset(*chart.get("MedicationRequest", [])),
        "observations": searchset(*chart.get("Observation", [])),
        "conditions": searchset(*chart.get("Condition", [])),
    }
    context = {"userId": f"Practitioner/{USER_ID}", "patientId": PATIENT_ID}
    return hook_request(**({"prefetch": prefetch, "context": context} | elements))


def broken_requests() -> Iterator[Any]:
    """Marked requests that are wrong: each element of another kind, lacking or marked; and what is no JSON."""
    whole = marked_request(fhirServer="http://127.0.0.1:9/fhir", fhirAuthorization=authorization(FHIR_TOKEN))
    for value in (NAME, [NAME], {NAME: NAME}, 7, None):
        for path in (
            ("hookInstance",),
            ("context",),
            ("context", "userId"),
            ("context", "patientId"),
            ("fhirServer",),
            ("fhirAuthorization",),
            ("fhirAuthorization", "access_token"),
            ("fhirAuthorization", "token_type"),
            ("fhirAuthorization", "expires_in"),
            ("fhirAuthorization", "scope"),
            ("fhirAuthorization", "patient"),
            ("prefetch",),
            ("prefetch", "patient"),
            ("prefetch", "medications"),
            ("prefetch", "conditions"),
        ):
            yield changed(whole, path, value)
    text = json.dumps(whole)
    yield from (text.encode()[:-9], f'{{"{NAME}": 1, "{NAME}": 2}}'.encode(), text.encode("utf-16"))
    yield f'{{"context": {"[" * 200}"{NAME}"{"]" * 200}}}'.encode()
    yield b'"' + NAME.encode("latin-1") + b'"'


def changed(whole: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    body = deepcopy(whole)
    holder = body
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return body


# --- the real process -------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What the service answered that was no 200."""

    statuses: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def add(self, reply: requests.Response) -> None:
        self.statuses.add(reply.status_code)
        self.errors.append(str(reply.headers))
        if reply.status_code != 200:
            self.errors.append(reply.text)


def answer_badly(asked: Asked) -> Reply | bytes | None:
    """Each kind of resource fails in a way of its own, and repeats what it was sent."""
    told = f"{asked.headers.get('Authorization')} {asked.path} {NAME}"
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": told, "diagnostics": told, "details": {"text": told}}],
    }
    kind = asked.path.partition("?")[0].partition("/")[0]
    failures: dict[str, Reply | bytes | None] = {
        "Patient": Reply(outcome, 500),
        "MedicationRequest": Reply(outcome, 302, {"Location": f"http://127.0.0.1:9/{FHIR_TOKEN}"}),
        "Observation": Reply(outcome, 403, {"WWW-Authenticate": told.encode("ascii", "ignore").decode()}),
        "Condition": Reply(told.encode()),
        "Procedure": None,
        "MedicationDispense": Reply(
            searchset(next_url=f"http://127.0.0.1:9/{PATIENT_ID}?token={FHIR_TOKEN}")
        ),
        "MedicationStatement": Reply({"resourceType": NAME}),
    }
    return failures.get(kind, Reply(outcome))


def call_every_path(service: Process, bad_fhir: str, good_fhir: str) -> Seen:
    seen = Seen()
    post = requests.Session()
    post.headers.update(HEADERS)
    seen.add(post.post(service.url, json=marked_request(), timeout=20))
    for server in (bad_fhir, good_fhir):
        granted = authorization(FHIR_TOKEN, patient=PATIENT_ID)
        body = marked_request(prefetch=None, fhirServer=server, fhirAuthorization=granted)
        seen.add(post.post(service.url, json=body, timeout=30))
    for broken in broken_requests():
        data = broken if isinstance(broken, bytes) else json.dumps(broken)
        seen.add(post.post(service.url, data=data, timeout=30))
    seen.add(post.post(service.url, json=marked_request(), params={"patient": PATIENT_ID}, timeout=20))
    seen.add(post.post(service.url, data=(NAME * 200_000).encode(), timeout=20))
    seen.add(post.post(service.url, data=b"{}", headers={"Content-Encoding": FHIR_TOKEN}, timeout=20))
    for method in ("GET", "PUT", "DELETE", "BREW", "OPTIONS"):
        for path in (HOOK_PATH, f"/{PATIENT_ID}", f"/cds-services/{PATIENT_ID}", f"/schemas/{PATIENT_ID}"):
            seen.add(post.request(method, f"{service.base_url}{path}?name={quote(NAME)}", timeout=20))
    for content in ([{"card": USER_ID, "userComment": COMMENT}], COMMENT, None):
        seen.add(post.post(service.base_url + FEEDBACK_PATH, json={"feedback": content}, timeout=20))
    return seen


def send_broken(service: Process) -> list[str]:
    """The answers to what is hardly HTTP, and to clients that break off or are slow."""
    head = f"POST {HOOK_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_TOKEN}\r\n"
    text = json.dumps(marked_request())
    raws = [
        f"{CLIENT_TOKEN}\r\n\r\n",
        f"GET /{PATIENT_ID} HTTP/9.9\r\n\r\n",
        f"GET /\x00{PATIENT_ID} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"{head}X-{PATIENT_ID}\r\n\r\n",
        f"{head}X-Name: {PATIENT_ID}\x00\r\n\r\n",
        f"{head}Content-Length: {PATIENT_ID}\r\n\r\n",
        f"{head}Transfer-Encoding: chunked\r\n\r\n{PATIENT_ID}\r\n",
        f"{head}Content-Length: {len(text) + 50}\r\n\r\n{text}",
        f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{text}",
        f"{head}X: {'a' * 99_000}\r\n\r\n",
        f"GET /{PATIENT_ID}{'a' * 9_000} HTTP/1.1\r\n\r\n",
        f"{head}Expect: {PATIENT_ID}\r\n\r\n",
    ]
    return [send(service, raw.encode("latin-1", "replace")) for raw in raws]


def send(service: Process, raw: bytes) -> str:
    with socket.create_connection(service.address, timeout=30) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")
        except OSError:
            return ""


@pytest.mark.conformance("CH-405", "CH-711", "CH-816", "CH-820")
def test_nothing_of_a_patient_and_no_token_is_kept(tmp_path: Path) -> None:
    audit_file = tmp_path / "audit.ndjson"

    def answer_well(asked: Asked) -> Reply:
        chart, kind = marked_chart(), asked.path.partition("?")[0].partition("/")[0]
        return Reply(chart["Patient"][0] if kind == "Patient" else searchset(*chart.get(kind, [])))

    with (
        StubServer(answer_badly) as bad,
        StubServer(answer_well) as good,
        start(
            tmp_path,
            TRD_CDS_FHIR_SERVERS=f"{bad.base_url},{good.base_url}",
            TRD_CDS_LOG_LEVEL="debug",
            TRD_CDS_AUDIT_FILE=str(audit_file),
            TRD_CDS_MAX_BODY_MB="1",
            TRD_CDS_FETCH_SECONDS="3",
            TRD_CDS_STORE_URL=f"sqlite:///{tmp_path}/store.sqlite3",
        ) as service,
    ):
        seen = call_every_path(service, bad.base_url, good.base_url)
        broken = send_broken(service)
        metrics = requests.get(f"{service.base_url}/metrics", timeout=20).text
        assert any(FHIR_TOKEN in str(asked.headers) for asked in bad.asked)
        time.sleep(0.5)  # for lines that are written after their reply
    assert seen.statuses >= {200, 400, 404, 405, 412, 413, 415}
    assert len(read_lines(service.log)) > 80
    assert 'status="412"' in metrics
    for told in (*seen.errors, *broken, service.log, metrics):
        assert_unmarked(told)
    assert_unmarked(audit_file.read_text("utf-8"), allowed=PATIENT_ID)
    assert f'"reference":"Patient/{PATIENT_ID}"' in audit_file.read_text("utf-8")


# --- failures that only a test can bring about ------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (ValueError(f"{NAME} {FHIR_TOKEN} {PATIENT_ID}"), 500),
        (KeyError(NAME), 500),
        (NotAuthenticated("the signature is wrong"), 401),
        (Overloaded("All places are taken."), 503),
        (StoreError("The store cannot be reached."), 503),
    ],
    ids=repr,
)
def test_a_failure_in_the_middle_tells_nothing(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    status: int,
) -> None:
    service = serve(requests_per_minute=3)

    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr("cds_service.respond.read_history", fail)
    with caplog.at_level("DEBUG"):
        replies = [service.post(marked_request(), headers=HEADERS) for _ in range(4)]
        metrics = service.get("/metrics").text
    assert [reply.status_code for reply in replies] == [status] * 3 + [429]
    assert f'status="{status}"' in metrics
    for told in (*(reply.text + str(reply.headers) for reply in replies), caplog.text, metrics):
        assert_unmarked(told)


def test_the_reason_of_a_401_is_in_the_log_and_not_in_the_reply(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotAuthenticated("the signature is wrong")

    monkeypatch.setattr("cds_service.web.services.find_service", refuse)
    with caplog.at_level("DEBUG"):
        reply = serve().post(hook_request())
    assert reply.status_code == 401
    assert "signature" not in reply.text
    (told,) = [record.msg for record in caplog.records if record.name == "cds_service.calls"]
    assert (told["reason"], told["status"]) == ("the signature is wrong", 401)


@pytest.mark.parametrize("told", sorted(spellings(NAME)))
def test_a_mark_is_found_however_it_is_spelled(told: str) -> None:
    with pytest.raises(AssertionError):
        assert_unmarked(f"before {told} after")
