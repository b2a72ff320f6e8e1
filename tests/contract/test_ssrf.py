"""Attempts to make the service call where it should not, or hand over the token: a listener hears nothing."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cds_service.outbound import guarded_transport
from cds_service.settings import Settings
from fhir_fixtures.builders import condition, medication_request, observation, patient, searchset
from tests.contract.conftest import EMPTY_PREFETCH, Serve, authorization, hook_request
from tests.contract.listener import Listener
from tests.contract.stub_server import Asked, Reply, StubServer

TOKEN = "marker-token-c4d1"
PUBLIC = "93.184.215.14"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening
        assert listening.heard() == 0


def test_the_listener_hears_who_calls() -> None:
    with Listener() as listening:
        socket.create_connection(("127.0.0.1", listening.port)).close()
        assert listening.heard() == 1


# --- fhirServer --------------------------------------------------------------------------------------------

ELSEWHERE = {
    "metadata address": "http://169.254.169.254/latest/meta-data",
    "metadata address in one number": "http://2852039166/latest",
    "unlisted port": "http://127.0.0.1:{port}/fhir",
    "unlisted port, name": "http://localhost:{port}/fhir",
    "name with a dot": "http://localhost.:{port}/fhir",
    "name below localhost": "http://fhir.localhost:{port}/fhir",
    "IPv6": "http://[::1]:{port}/fhir",
    "IPv6 in full": "http://[0:0:0:0:0:0:0:1]:{port}/fhir",
    "IPv4 in IPv6": "http://[::ffff:127.0.0.1]:{port}/fhir",
    "IPv4 in IPv6, hexadecimal": "http://[::ffff:7f00:1]:{port}/fhir",
    "unspecified": "http://0.0.0.0:{port}/fhir",
    "unspecified IPv6": "http://[::]:{port}/fhir",
    "decimal": "http://2130706433:{port}/fhir",
    "hexadecimal": "http://0x7f000001:{port}/fhir",
    "hexadecimal parts": "http://0x7f.0x0.0x0.0x1:{port}/fhir",
    "octal": "http://0177.0.0.1:{port}/fhir",
    "octal in one": "http://017700000001:{port}/fhir",
    "short": "http://127.1:{port}/fhir",
    "leading zeros": "http://127.000.000.001:{port}/fhir",
    "user before the host": "http://{listed}@127.0.0.1:{port}/fhir",
    "user and password": "http://127.0.0.1:{listed_port}@127.0.0.1:{port}/fhir",
    "backslash": "http://127.0.0.1:{port}\\@{listed}/fhir",
    "fragment": "http://127.0.0.1:{port}#@{listed}/fhir",
    "query": "http://127.0.0.1:{port}?@{listed}/fhir",
    "encoded at sign": "http://{listed}%40127.0.0.1:{port}/fhir",
    "two ports": "http://127.0.0.1:{port}:{listed_port}/fhir",
    "port with zeros": "http://127.0.0.1:0{port}/fhir",
    "other scheme": "gopher://127.0.0.1:{port}/fhir",
    "file": "file:///etc/passwd",
    "scheme in capitals": "HTTP://127.0.0.1:{port}/fhir",
    "no scheme": "//127.0.0.1:{port}/fhir",
    "https instead": "https://{listed}/fhir",
    "blank in front": " http://127.0.0.1:{port}/fhir",
    "line break": "http://{listed}/fhir\r\nHost: 127.0.0.1:{port}",
    "full-width digits": "http://１２７.0.0.1:{port}/fhir",
    "circled digits": "http://①②⑦.0.0.1:{port}/fhir",
    "ideographic full stop": "http://127。0。0。1:{port}/fhir",
    "punycode look-alike": "http://xn--lcalhost-e8a:{port}/fhir",
    "prefix of a segment": "http://{listed}/fhi",
    "longer segment": "http://{listed}/fhirs",
    "path above": "http://{listed}/",
    "other case of the path": "http://{listed}/FHIR",
    "dots": "http://{listed}/fhir/../admin",
    "dots with a parameter": "http://{listed}/fhir/..;/admin",
    "encoded dots": "http://{listed}/fhir/%2e%2e/admin",
    "dots encoded twice": "http://{listed}/fhir/%252e%252e/admin",
    "encoded slash": "http://{listed}/fhir%2f..%2fadmin",
    "empty segment": "http://{listed}/fhir//127.0.0.1:{port}",
}


@pytest.mark.conformance("CH-205", "CH-401", "CH-408")
@pytest.mark.parametrize("fhir_server", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_server_that_is_not_the_listed_one_hears_nothing(
    serve: Serve, listener: Listener, caplog: pytest.LogCaptureFixture, fhir_server: str
) -> None:
    with caplog.at_level(logging.DEBUG), StubServer(chart) as fhir:
        listed = fhir.base_url.removeprefix("http://").removesuffix("/fhir")
        crooked = fhir_server.format(listed=listed, listed_port=listed.partition(":")[2], port=listener.port)
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(crooked))
        assert reply.status_code in (400, 412)
        assert fhir.asked == []
    assert TOKEN not in reply.text + str(reply.headers) + caplog.text


# --- what a listed server answers --------------------------------------------------------------------------

NEXT_LINKS = {
    "other port": "http://127.0.0.1:{port}/fhir?page=2",
    "protocol-relative": "//127.0.0.1:{port}/fhir?page=2",
    "three slashes": "///127.0.0.1:{port}/fhir?page=2",
    "user before the host": "http://{listed}@127.0.0.1:{port}/fhir?page=2",
    "backslash": "http://{listed}\\@127.0.0.1:{port}/fhir",
    "backslashes": "\\\\127.0.0.1:{port}\\fhir",
    "longer host": "http://{listed}.evil.invalid/fhir?page=2",
    "tab in the host": "http://127.0.0.1\t:{port}/fhir",
    "other scheme": "https://{listed}/fhir?page=2",
    "escaping the base": "../../admin?page=2",
    "escaping the base absolutely": "/admin?page=2",
    "encoded dots": "{base}/%2e%2e/admin?page=2",
    "dots with a parameter": "{base}/..;/admin?page=2",
    "beside the base": "{base}-admin?page=2",
    "line break": "{base}?page=2\r\nX-Injected: 1",
    "data": "data:application/json,{{}}",
    "number": 7,
    "object": {"url": "http://127.0.0.1:{port}/fhir"},
}


@pytest.mark.conformance("CH-316", "CH-317", "CH-404", "CH-408")
@pytest.mark.parametrize("link", NEXT_LINKS.values(), ids=NEXT_LINKS)
@pytest.mark.parametrize("is_prefetched", [False, True], ids=["searched", "prefetched"])
def test_a_next_link_to_elsewhere_is_not_followed(
    serve: Serve, listener: Listener, caplog: pytest.LogCaptureFixture, link: Any, is_prefetched: bool
) -> None:
    def answer(asked: Asked) -> Reply:
        page = searchset(condition()) | {"link": [{"relation": "next", "url": url}]}
        return Reply(page) if asked.path.startswith("Condition") else chart(asked)

    with caplog.at_level(logging.DEBUG), StubServer(answer) as fhir:
        listed = fhir.base_url.removeprefix("http://").removesuffix("/fhir")
        text = link if isinstance(link, str) else ""
        url = text.format(listed=listed, port=listener.port, base=fhir.base_url) if text else link
        first = searchset(condition()) | {"link": [{"relation": "next", "url": url}]}
        prefetch = EMPTY_PREFETCH | {"conditions": first} if is_prefetched else None
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir.base_url, prefetch=prefetch))
        assert reply.status_code == 412
        assert "conditions" in reply.text
        assert not [path for path in fhir.paths if "admin" in path or "page=2" in path]
    assert TOKEN not in reply.text + str(reply.headers) + caplog.text


@pytest.mark.conformance("CH-317", "CH-405", "CH-408")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://127.0.0.1:{port}/fhir", "//127.0.0.1:{port}/", "/admin"])
def test_a_redirect_is_not_followed(serve: Serve, listener: Listener, status: int, location: str) -> None:
    target = location.format(port=listener.port)
    with StubServer(
        lambda _: Reply(b"", status, {"Location": target, "Refresh": f"0; url={target}"})
    ) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir.base_url))
        assert reply.status_code == 412
        assert not [path for path in fhir.paths if "admin" in path]


@pytest.mark.conformance("CH-408")
def test_headers_that_name_another_place_change_nothing(serve: Serve, listener: Listener) -> None:
    elsewhere = f"http://127.0.0.1:{listener.port}/fhir"
    headers = {"Location": elsewhere, "Content-Location": elsewhere, "Link": f'<{elsewhere}>; rel="next"'}
    with StubServer(lambda asked: Reply(chart(asked).body, 200, headers)) as fhir:
        assert serve(fhir_servers=(fhir.base_url,)).post(asking(fhir.base_url)).status_code == 200


@pytest.mark.conformance("CH-408")
@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:{port}/fhir/Medication/m1",
        "//127.0.0.1:{port}/fhir/Medication/m1",
        "{base}/../Medication/m1",
        "{base}@127.0.0.1:{port}/Medication/m1",
        "Medication/../admin",
        "Medication/%2e%2e%2fadmin",
        "Medication/m1?x=http://127.0.0.1:{port}",
    ],
)
def test_a_reference_to_elsewhere_is_not_read(serve: Serve, listener: Listener, reference: str) -> None:
    with StubServer(chart) as fhir:
        text = reference.format(port=listener.port, base=fhir.base_url)
        order = medication_request(medicationReference={"reference": text})
        order.pop("medicationCodeableConcept", None)
        prefetch = EMPTY_PREFETCH | {"medications": searchset(order)}
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir.base_url, prefetch=prefetch))
        assert reply.status_code == 200
        assert fhir.asked == []


# --- where a listed name leads -----------------------------------------------------------------------------


@pytest.fixture
def as_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """No private network is allowed, not even this machine."""
    monkeypatch.setattr(Settings, "allowed_networks", ())


@pytest.fixture
def name_leads_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What DNS answers for `fhir.example.org`, one list of addresses after another; gives the names asked for."""

    def set_up(*answers: list[str]) -> list[str]:
        asked: list[str] = []
        look_up = socket.getaddrinfo

        def answer(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
            if host != "fhir.example.org":
                return look_up(host, port, *rest, **options)
            addresses = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            return [found for address in addresses for found in look_up(address, port, *rest, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        monkeypatch.setenv("NO_PROXY", "*")
        return asked

    return set_up


@pytest.mark.conformance("CH-408")
@pytest.mark.usefixtures("as_in_production")
@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], [PUBLIC, "127.0.0.1"], ["0.0.0.0"], ["127.0.0.1", PUBLIC]],
    ids=" ".join,
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_leads_to_a_private_address_is_not_called(
    serve: Serve, listener: Listener, name_leads_to: Any, scheme: str, addresses: list[str]
) -> None:
    asked = name_leads_to(addresses)
    listed = f"{scheme}://fhir.example.org:{listener.port}/fhir"
    reply = serve(fhir_servers=(listed,), fetch_seconds=2).post(asking(listed))
    assert reply.status_code == 412
    assert "private or reserved network" in reply.text
    assert asked
    assert not any(address in reply.text for address in addresses)


@pytest.mark.conformance("CH-408")
@pytest.mark.usefixtures("as_in_production")
def test_a_name_that_changes_where_it_leads_is_called_where_it_was_judged(
    serve: Serve, listener: Listener, name_leads_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: each connection goes to an address out of the one answer that was judged for it."""
    opened: list[str] = []

    def refuse(_: Any, address: Any, *_times: Any, **_others: Any) -> socket.socket:
        opened.append(address[4][0])
        raise OSError

    monkeypatch.setattr(guarded_transport, "_open", refuse)
    name_leads_to(*([[PUBLIC]] * 6), ["127.0.0.1"])
    listed = f"http://fhir.example.org:{listener.port}/fhir"
    assert serve(fhir_servers=(listed,), fetch_seconds=3).post(asking(listed)).status_code == 412
    assert set(opened) == {PUBLIC}


@pytest.mark.parametrize("private_networks", [(), ("127.0.0.0/8",)], ids=["development", "allowed"])
def test_a_private_network_that_is_allowed_is_called_after_one_look_up(
    serve: Serve, name_leads_to: Any, private_networks: tuple[str, ...]
) -> None:
    asked = name_leads_to(["127.0.0.1"])
    with StubServer(chart) as fhir:
        listed = fhir.base_url.replace("127.0.0.1", "fhir.example.org")
        service = serve(fhir_servers=(listed,), private_networks=private_networks)
        assert service.post(asking(listed)).status_code == 200
        assert {call.headers["Host"] for call in fhir.asked} == {listed.split("/")[2]}
        assert 0 < len(asked) <= len(fhir.asked)


@pytest.mark.usefixtures("as_in_production")
def test_a_private_address_that_is_listed_itself_is_called(serve: Serve) -> None:
    with StubServer(chart) as fhir:
        assert serve(fhir_servers=(fhir.base_url,)).post(asking(fhir.base_url)).status_code == 200


@pytest.mark.usefixtures("as_in_production")
def test_the_terminology_service_is_judged_too(
    serve: Serve, listener: Listener, name_leads_to: Any, tmp_path: Any
) -> None:
    asked = name_leads_to(["127.0.0.1"])
    local = {"coding": [{"system": "http://formulary.example.org", "code": "A-1"}]}
    prefetch = EMPTY_PREFETCH | {
        "medications": searchset(medication_request(medicationCodeableConcept=local))
    }
    service = serve(
        terminology_server=f"http://fhir.example.org:{listener.port}/fhir",
        terminology_cache=tmp_path / "names.sqlite3",
    )
    assert service.post(hook_request(prefetch=prefetch)).status_code == 200
    assert asked


# --- what the tests above are made of -----------------------------------------------------------------------


def asking(fhir_server: str, **elements: Any) -> dict[str, Any]:
    given = {"prefetch": None, "fhirAuthorization": authorization(TOKEN)} | elements
    return hook_request(fhirServer=fhir_server, **given)


def chart(asked: Asked) -> Reply:
    """A server that has a patient and what is required, and nothing else."""
    kind = asked.path.replace("/", "?").partition("?")[0]
    if kind == "Patient":
        return Reply(patient())
    resources = {"MedicationRequest": medication_request, "Observation": observation, "Condition": condition}
    return Reply(searchset(*([resources[kind]()] if kind in resources else [])))
