"""The service's own way into a FHIR server, against a server that checks tokens and the assertions they are for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cds_service.errors import SettingsError
from cds_service.fhir_address import read_address
from cds_service.fhir_server.access import FhirPolicy, find_access
from cds_service.hook_request import HookRequest
from cds_service.needs import NEEDS
from fhir_fixtures.builders import condition, medication_request, searchset
from tests.contract.conftest import EMPTY_PREFETCH, RunningService, Serve, authorization, hook_request
from tests.contract.stub_server import Asked, Reply, StubServer
from tests.contract.test_fetching import chart, kind_of

KEY = ec.generate_private_key(ec.SECP384R1())
EHR_TOKEN = "marker-token-of-the-ehr"
OWN = "marker-own-token"


class SmartServer(StubServer):
    """A FHIR server with its authorization server: it grants tokens for assertions that hold, and asks for them."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.scope = "system/*.rs"
        self.expires_in = 300
        self.takes_tokens = True
        self.granted: list[str] = []
        self.jtis: set[str] = set()
        self.forms: list[dict[str, str]] = []

    @property
    def searches(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path[:1].isupper()]

    def _answer(self, asked: Asked) -> Reply:
        if asked.path == ".well-known/smart-configuration":
            return Reply({"token_endpoint": f"{self.base_url}/token"})
        if asked.path == "token":
            return self._grant(asked)
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.takes_tokens or token not in (*self.granted, EHR_TOKEN):
            return Reply({"resourceType": "OperationOutcome", "issue": [{"diagnostics": token}]}, 401)
        return chart(asked)

    def _grant(self, asked: Asked) -> Reply:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        self.forms.append(form)
        try:
            claims = jwt.decode(
                form["client_assertion"],
                KEY.public_key(),
                algorithms=["ES384"],
                audience=f"{self.base_url}/token",
                options={"require": ["iss", "sub", "aud", "exp", "jti"]},
            )
        except jwt.PyJWTError:
            return Reply({"error": "invalid_client"}, 400)
        is_ours = claims["iss"] == claims["sub"] == "trd-cds" and claims["exp"] - time.time() <= 300
        if not is_ours or claims["jti"] in self.jtis or form["grant_type"] != "client_credentials":
            return Reply({"error": "invalid_client"}, 400)
        self.jtis.add(claims["jti"])
        self.granted.append(f"{OWN}-{len(self.granted)}")
        return Reply(
            {
                "access_token": self.granted[-1],
                "token_type": "bearer",
                "expires_in": self.expires_in,
                "scope": self.scope,
            }
        )


@pytest.fixture
def smart() -> Iterator[SmartServer]:
    with SmartServer() as server:
        yield server


def serve_own(serve: Serve, smart: SmartServer, tmp_path: Path, key: Any = KEY) -> RunningService:
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    entry = {
        "fhir_server": smart.base_url,
        "client_id": "trd-cds",
        "key_file": str(file),
        "key_id": "key-1",
    }
    return serve(fhir_servers=(smart.base_url,), backend_services=(entry,))


def asking(smart: SmartServer, **elements: Any) -> dict[str, Any]:
    return hook_request(**({"prefetch": None, "fhirServer": smart.base_url} | elements))


@pytest.mark.conformance("CH-404", "CH-409")
def test_a_request_without_a_token_is_answered_by_our_own(
    serve: Serve, smart: SmartServer, tmp_path: Path
) -> None:
    assert serve_own(serve, smart, tmp_path).post(asking(smart)).status_code == 200
    assert {asked.headers["Authorization"] for asked in smart.searches} == {f"Bearer {OWN}-0"}
    assert {asked.method for asked in smart.searches} == {"GET"}


def test_one_token_serves_many_requests_also_at_once(
    serve: Serve, smart: SmartServer, tmp_path: Path
) -> None:
    assert serve_own(serve, smart, tmp_path).post_at_once(asking(smart), 4) == [200] * 4
    assert len(smart.granted) == 1


def test_nothing_lacking_needs_no_token(serve: Serve, smart: SmartServer, tmp_path: Path) -> None:
    reply = serve_own(serve, smart, tmp_path).post(asking(smart, prefetch=EMPTY_PREFETCH))
    assert reply.status_code == 200
    assert smart.asked == []


@pytest.mark.parametrize("expires_in", [300, 0])
def test_what_the_request_was_granted_always_wins(
    serve: Serve, smart: SmartServer, tmp_path: Path, expires_in: int
) -> None:
    """A token that has run out is not replaced by one that may see more than it did."""
    access = authorization(EHR_TOKEN, expires_in=expires_in)
    reply = serve_own(serve, smart, tmp_path).post(asking(smart, fhirAuthorization=access))
    assert reply.status_code == (200 if expires_in else 412)
    assert smart.forms == []
    assert {asked.headers.get("Authorization") for asked in smart.searches} == {
        f"Bearer {EHR_TOKEN}" if expires_in else None
    }


@pytest.mark.conformance("CH-402")
def test_a_token_of_another_client_is_400(serve: Serve, smart: SmartServer, tmp_path: Path) -> None:
    access = authorization(EHR_TOKEN, subject="somebody-else")
    reply = serve_own(serve, smart, tmp_path).post(asking(smart, fhirAuthorization=access))
    assert reply.status_code == 400
    assert "$.fhirAuthorization.subject" in reply.text
    assert "somebody-else" not in reply.text
    assert smart.asked == []


@pytest.mark.conformance("CH-406")
def test_what_was_granted_limits_what_is_asked_for(serve: Serve, smart: SmartServer, tmp_path: Path) -> None:
    smart.scope = "system/Patient.r system/MedicationRequest.s system/Observation.s system/Condition.s"
    assert serve_own(serve, smart, tmp_path).post(asking(smart)).status_code == 200
    assert {kind_of(asked) for asked in smart.searches} == {
        "Patient",
        "MedicationRequest",
        "Observation",
        "Condition",
    }


def test_medications_are_read_with_our_own_token_too(
    serve: Serve, smart: SmartServer, tmp_path: Path
) -> None:
    order = medication_request(medicationReference={"reference": "Medication/m1"})
    order.pop("medicationCodeableConcept", None)
    prefetch = EMPTY_PREFETCH | {"medications": searchset(order)}
    assert serve_own(serve, smart, tmp_path).post(asking(smart, prefetch=prefetch)).status_code == 200
    assert {kind_of(asked) for asked in smart.searches} == {"Medication"}
    assert {asked.headers["Authorization"] for asked in smart.searches} == {f"Bearer {OWN}-0"}


@pytest.mark.conformance("CH-407")
def test_a_token_that_is_refused_is_forgotten_and_not_asked_for_again(
    serve: Serve, smart: SmartServer, tmp_path: Path
) -> None:
    service = serve_own(serve, smart, tmp_path)
    smart.takes_tokens = False
    assert service.post(asking(smart)).status_code == 412
    assert len(smart.granted) == 1
    assert len(smart.searches) == len(NEEDS)
    smart.takes_tokens = True
    assert service.post(asking(smart)).status_code == 200
    assert len(smart.granted) == 2


def test_a_refused_assertion_is_412_after_one_attempt(
    serve: Serve, smart: SmartServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = serve_own(serve, smart, tmp_path, ec.generate_private_key(ec.SECP384R1()))
    with caplog.at_level(logging.DEBUG):
        reply = service.post(asking(smart))
    assert reply.status_code == 412
    assert "400 (invalid_client)" in reply.text
    assert (len(smart.forms), smart.searches) == (1, [])
    assert smart.forms[0]["client_assertion"] not in reply.text + caplog.text


def test_without_a_token_what_is_not_required_is_only_named(
    serve: Serve, smart: SmartServer, tmp_path: Path
) -> None:
    service = serve_own(serve, smart, tmp_path, ec.generate_private_key(ec.SECP384R1()))
    prefetch = {key: value for key, value in EMPTY_PREFETCH.items() if key != "procedures"}
    prefetch["conditions"] = searchset(condition())
    reply = service.post(asking(smart, prefetch=prefetch))
    assert reply.status_code == 200
    assert reply.json()["extension"]["org.trd-cds.assessment"]["notLookedAt"] == ["procedures"]


@pytest.mark.conformance("CH-405")
def test_our_own_token_is_in_no_reply_and_no_log(
    serve: Serve, smart: SmartServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = serve_own(serve, smart, tmp_path)
    with caplog.at_level(logging.DEBUG):
        replies = [service.post(asking(smart))]
        smart.takes_tokens = False
        replies.append(service.post(asking(smart)))
    assert [reply.status_code for reply in replies] == [200, 412]
    assert OWN not in "".join(reply.text + str(reply.headers) for reply in replies) + caplog.text


def test_a_key_that_cannot_be_used_stops_the_start(serve: Serve, smart: SmartServer, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="backend_services 1: key_file"):
        serve_own(serve, smart, tmp_path, ec.generate_private_key(ec.SECP256R1()))


# --- servers that a caller may name --------------------------------------------------------------------------


@pytest.mark.conformance("CH-408")
@pytest.mark.parametrize(
    ("callers", "is_called"),
    [
        (None, True),
        ((), False),
        (("https://ehr.example.org/fhir/a",), True),
        (("https://ehr.example.org/fhir",), True),
        (("https://ehr.example.org/fhir/b",), False),
        (("https://elsewhere.example.org/fhir/a",), False),
    ],
)
def test_a_caller_may_name_its_own_servers_only(callers: tuple[str, ...] | None, is_called: bool) -> None:
    listed = read_address("https://ehr.example.org/fhir")
    assert listed is not None
    servers = (
        None if callers is None else tuple(address for text in callers if (address := read_address(text)))
    )
    policy = FhirPolicy((listed,)).limited_to(servers)
    request = HookRequest("patient-view", "", "", "p1", fhir_server="https://ehr.example.org/fhir/a")
    access = find_access(request, policy)
    assert (access.client is not None) is is_called
    assert is_called or "this client may name" in access.reason
