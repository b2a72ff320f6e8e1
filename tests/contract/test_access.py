"""The client's token goes to the client's FHIR server, and nowhere else: no other host, no log, no reply."""

from __future__ import annotations

import logging

import pytest

from fhir_fixtures.builders import bundle, condition, medication_request, observation, patient, searchset
from fhir_fixtures.server import EmbeddedServer
from tests.contract.conftest import Serve, authorization, hook_request
from tests.contract.stub_server import Reply, StubServer

TOKEN = "marker-token-7f3a"
CHART = bundle(patient(), medication_request(), observation(), condition(), type="transaction")


@pytest.mark.conformance("CH-401", "CH-404", "CH-409")
def test_what_is_not_prefetched_is_read_with_the_token_on_every_call(serve: Serve) -> None:
    with EmbeddedServer(require_token=TOKEN) as fhir:
        fhir.load(CHART)
        service = serve(fhir_servers=(fhir.base_url,))
        body = hook_request(
            prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=authorization(TOKEN, patient="p1")
        )
        assert service.post(body).status_code == 200
        sent = {request.headers.get("Authorization") for request in fhir.requests}
        assert {request.method for request in fhir.requests} == {"GET"}
    assert sent == {f"Bearer {TOKEN}"}


def test_prefetch_and_fetch_give_the_same_answer(serve: Serve) -> None:
    with EmbeddedServer() as fhir:
        fhir.load(CHART)
        service = serve(fhir_servers=(fhir.base_url,))
        parts = {entry["resource"]["resourceType"]: entry["resource"] for entry in CHART["entry"]}
        prefetch = {
            "patient": parts["Patient"],
            "medications": searchset(parts["MedicationRequest"]),
            "observations": searchset(parts["Observation"]),
            "conditions": searchset(parts["Condition"]),
            "dispenses": None,
            "statements": None,
            "administrations": None,
            "procedures": None,
            "questionnaires": None,
            "adverseEvents": None,
            "allergies": None,
            "requests": None,
        }
        fetched = service.post(hook_request(prefetch={}, fhirServer=fhir.base_url)).json()
    assert fetched.get("extension") == service.post(hook_request(prefetch=prefetch)).json().get("extension")


@pytest.mark.conformance("CH-401", "CH-408")
def test_a_server_off_the_list_hears_nothing(serve: Serve) -> None:
    with StubServer(lambda _: Reply(patient())) as fhir:
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=authorization(TOKEN))
        reply = serve(fhir_servers=("http://127.0.0.1:1/fhir",)).post(body)
        assert reply.status_code == 412
        assert fhir.asked == []


@pytest.mark.conformance("CH-401")
def test_by_default_no_server_is_called(serve: Serve) -> None:
    with StubServer(lambda _: Reply(patient())) as fhir:
        reply = serve().post(hook_request(prefetch=None, fhirServer=fhir.base_url))
        assert reply.status_code == 412
        assert fhir.asked == []


@pytest.mark.conformance("CH-401")
def test_the_embedded_server_is_called_when_it_is_set(serve: Serve) -> None:
    with EmbeddedServer() as fhir:
        fhir.load(CHART)
        service = serve(embedded_fhir_server=fhir.base_url)
        assert service.post(hook_request(prefetch=None, fhirServer=fhir.base_url)).status_code == 200


@pytest.mark.conformance("CH-408")
@pytest.mark.parametrize("location", ["http://127.0.0.1:{port}/fhir/elsewhere", "/fhir/elsewhere"])
def test_redirects_are_not_followed(serve: Serve, location: str) -> None:
    with (
        StubServer(lambda _: Reply(patient())) as elsewhere,
        StubServer(lambda _: Reply(b"", 307, {"Location": target})) as fhir,
    ):
        target = location.format(port=elsewhere.base_url.split(":")[2].partition("/")[0])
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=authorization(TOKEN))
        reply = serve(fhir_servers=(fhir.base_url,)).post(body)
        assert reply.status_code == 412
        assert elsewhere.asked == []
        assert len(fhir.asked) == 13  # orders once more, without their Medications


@pytest.mark.conformance("CH-402")
def test_a_token_that_has_run_out_is_not_sent(serve: Serve) -> None:
    with EmbeddedServer() as fhir:
        fhir.load(CHART)
        access = authorization(TOKEN, expires_in=0)
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=access)
        assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == 200
        assert all("Authorization" not in request.headers for request in fhir.requests)


@pytest.mark.conformance("CH-402", "CH-407")
def test_a_412_tells_that_the_token_had_run_out(serve: Serve) -> None:
    with EmbeddedServer(require_token=TOKEN) as fhir:
        access = authorization(TOKEN, expires_in=-1)
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=access)
        reply = serve(fhir_servers=(fhir.base_url,)).post(body)
    assert reply.status_code == 412
    assert "expires_in" in reply.text


@pytest.mark.conformance("CH-403")
def test_a_token_for_another_patient_is_refused(serve: Serve) -> None:
    with StubServer(lambda _: Reply(patient())) as fhir:
        access = authorization(TOKEN, patient="p2")
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=access)
        assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == 400
        assert fhir.asked == []


@pytest.mark.conformance("CH-405")
@pytest.mark.parametrize(
    "answer",
    [
        Reply({"resourceType": "OperationOutcome", "issue": [{"diagnostics": TOKEN}]}, 401),
        Reply(TOKEN.encode(), 500),
        Reply(b"", 302, {"Location": f"/{TOKEN}"}),
        Reply(searchset() | {"link": [{"relation": "next", "url": f"https://evil.invalid/{TOKEN}"}]}),
        None,
    ],
)
def test_the_token_is_in_no_reply_and_no_log(
    serve: Serve, caplog: pytest.LogCaptureFixture, answer: Reply | None
) -> None:
    with caplog.at_level(logging.DEBUG), StubServer(lambda _: answer) as fhir:
        context = {"userId": "Practitioner/1", "patientId": "secret-patient"}
        body = hook_request(
            prefetch=None, context=context, fhirServer=fhir.base_url, fhirAuthorization=authorization(TOKEN)
        )
        reply = serve(fhir_servers=(fhir.base_url,)).post(body)
        assert reply.status_code == 412
    assert TOKEN not in reply.text + str(reply.headers) + ours(caplog)
    assert "secret-patient" not in reply.text + str(reply.headers) + ours(caplog)


def ours(caplog: pytest.LogCaptureFixture) -> str:
    """What the service logs; libraries' loggers are shut by the service's own log set-up."""
    return "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("cds_service")
    )
