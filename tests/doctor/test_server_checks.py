"""What a server says of itself: TLS, SMART configuration, software."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cds_service.doctor.network_check import check_network
from cds_service.doctor.results import Outcome
from cds_service.doctor.tls import check_tls
from cds_service.errors import FhirServerError
from cds_service.fhir_address import FhirAddress, read_address
from tests.certificates import tls_for
from tests.conform.checking import free_port
from tests.contract.stub_server import Asked, Reply
from tests.doctor.servers import changed_server, check, outcomes, report_on

# --- TLS --------------------------------------------------------------------------------------------------


@contextmanager
def encrypted_server(folder: Path, days: int) -> Iterator[FhirAddress]:
    """A server with a certificate for `localhost` of an authority of its own (`folder/server.pem`)."""
    context, _ = tls_for(folder, "localhost", days)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield address(f"https://localhost:{server.server_port}/fhir")
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def address(text: str) -> FhirAddress:
    found = read_address(text)
    assert found is not None
    return found


@pytest.mark.parametrize(("days", "outcome"), [(90, "works"), (14, "works"), (13, "limited")])
def test_a_certificate_that_is_trusted(days: int, outcome: str, tmp_path: Path) -> None:
    with encrypted_server(tmp_path, days) as base:
        found = check_tls(base, 10, str(tmp_path / "server.pem"))
    assert (found.outcome.value, found.said) == (
        outcome,
        f"TLSv1.3, certificate trusted, good for {days} more days",
    )
    assert found.to_do == ("Renew the certificate." if outcome == "limited" else "")
    assert found.seconds is not None


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    with encrypted_server(tmp_path, 90) as base:
        found = check_tls(base, 10)
        with pytest.raises(FhirServerError, match=r"certificate is not trusted: .*use plain http"):
            report_on(base.url, "p1")
    assert found.outcome is Outcome.FAILS and found.is_required


def test_what_to_do_about_a_certificate_that_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the environment names authorities, that is for servers elsewhere."""
    authorities = str(tmp_path / "server.pem")
    with encrypted_server(tmp_path, 90) as base:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authorities)
        assert check_tls(base, 10).outcome is Outcome.FAILS  # the calls do not heed it either
        monkeypatch.setattr(FhirAddress, "is_loopback", False)
        assert check_tls(base, 10).outcome is Outcome.WORKS
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        assert "REQUESTS_CA_BUNDLE" in check_tls(base, 10).to_do
        named = check_tls(replace(base, host="127.0.0.1"), 10, authorities)
    assert named.outcome is Outcome.FAILS and "a name that its certificate has" in named.to_do


def test_a_certificate_of_the_past(tmp_path: Path) -> None:
    with encrypted_server(tmp_path, -1) as base:
        found = check_tls(base, 10, str(tmp_path / "server.pem"))
    assert found.outcome is Outcome.FAILS and "expired" in found.said
    assert found.to_do == "Renew the certificate."


def test_authorities_in_a_directory(tmp_path: Path) -> None:
    with encrypted_server(tmp_path, 90) as base:
        (tmp_path / "empty").mkdir()
        assert check_tls(base, 10, str(tmp_path / "empty")).outcome is Outcome.FAILS


def test_no_handshake_can_be_made() -> None:
    found = check_tls(address(f"https://127.0.0.1:{free_port()}/fhir"), 5)
    assert found.outcome is Outcome.NOT_TRIED and "ConnectionRefusedError" in found.said


@pytest.mark.parametrize(
    ("url", "outcome"), [("http://127.0.0.1/fhir", "works"), ("http://fhir.example.org/fhir", "limited")]
)
def test_plain_http(url: str, outcome: str) -> None:
    assert check_tls(address(url), 5).outcome.value == outcome


@pytest.mark.parametrize(
    ("url", "outcome", "to_do"),
    [
        ("http://127.0.0.1:8080/fhir", "works", "TRD_CDS_FHIR_SERVERS=http://127.0.0.1:8080/fhir."),
        ("http://localhost:8080/fhir", "limited", "and its network in TRD_CDS_PRIVATE_NETWORKS."),
        ("https://169.254.169.254", "limited", "and its network in TRD_CDS_PRIVATE_NETWORKS."),
        ("https://no-such-host.invalid", "not tried", ""),
    ],
)
def test_where_the_name_of_the_server_leads(url: str, outcome: str, to_do: str) -> None:
    found = check_network(address(url))
    assert found.outcome.value == outcome and found.to_do.endswith(to_do)


# --- SMART ------------------------------------------------------------------------------------------------

SMART = {
    "grant_types_supported": ["authorization_code", "client_credentials"],
    "capabilities": ["launch-ehr", "client-confidential-asymmetric"],
    "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
}


def smart_checks(**elements: Any) -> tuple[dict[str, str], Any]:
    """Outcomes and report where the server's SMART configuration has these elements; None leaves one out."""

    def change(asked: Asked) -> Reply | None:
        if asked.path != ".well-known/smart-configuration":
            return None
        assert "Authorization" not in asked.headers
        configuration = {"token_endpoint": server.base_url + "/token"} | SMART | elements
        return Reply({name: value for name, value in configuration.items() if value is not None})

    with changed_server(change, only=(1,)) as server:
        report = report_on(server.base_url, token="a-token")
    return outcomes(report), report


def test_a_server_with_backend_services() -> None:
    found, report = smart_checks()
    tried = [found[id] for id in ("smart-configuration", "token-endpoint", "backend-services")]
    assert tried == ["works", "works", "works"] and report.can_work


@pytest.mark.parametrize(
    ("elements", "lacking"),
    [
        ({"grant_types_supported": None}, "grant type client_credentials"),
        ({"capabilities": ["launch-ehr"]}, "capability client-confidential-asymmetric"),
        ({"token_endpoint_auth_signing_alg_values_supported": ["RS256"]}, "RS384 or ES384"),
    ],
)
def test_a_server_without_backend_services(elements: dict[str, Any], lacking: str) -> None:
    _, report = smart_checks(**elements)
    found = check(report, "backend-services")
    assert (found.outcome, found.said) == (Outcome.LIMITED, f"does not name {lacking}")
    assert report.can_work


def test_algorithms_need_not_be_told() -> None:
    assert (
        smart_checks(token_endpoint_auth_signing_alg_values_supported=None)[0]["backend-services"] == "works"
    )


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("https://login.example.org/token", "https://login.example.org/token, on another host"),
        ("http://login.example.org/token", "none that is a plain https address"),
        (7, "none that is a plain https address"),
        (None, "none that is a plain https address"),
    ],
)
def test_token_endpoints_that_need_a_setting(endpoint: Any, said: str) -> None:
    _, report = smart_checks(token_endpoint=endpoint)
    found = check(report, "token-endpoint")
    assert (found.outcome, found.said) == (Outcome.LIMITED, said) and "token_url" in found.to_do


@pytest.mark.parametrize("content", [b"<html>", b"[]", {"resourceType": "OperationOutcome"}])
def test_what_is_no_smart_configuration(content: Any) -> None:
    def change(asked: Asked) -> Reply | None:
        return Reply(content) if asked.path.startswith(".well-known/") else None

    with changed_server(change, only=(1,)) as server:
        found = check(report_on(server.base_url), "smart-configuration")
    assert found.outcome is Outcome.LIMITED and "no SMART configuration" in found.said
