"""Which addresses count as the internet's, and that connections go to them under the name that was called."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import FhirFatalError, FhirTemporaryError
from cds_service.outbound.bounded_get import Bounds, _session, get_once, send_nothing
from cds_service.outbound.network import ANYWHERE, LOOPBACK, PUBLIC, AddressRefused, Network
from tests.certificates import tls_for

REFUSED = """
127.0.0.1         loopback
127.8.9.10        loopback
0.0.0.0           unspecified
0.1.2.3           this network
10.0.0.1          private
172.16.0.1        private
172.31.255.254    private
192.168.1.1       private
100.64.0.1        shared by carriers
169.254.169.254   link-local, cloud metadata
192.0.0.8         reserved
192.88.99.1       6to4 relay
192.0.2.1         documentation
198.18.0.1        benchmarks
203.0.113.5       documentation
224.0.0.1         multicast
239.255.255.250   multicast
240.0.0.1         reserved
255.255.255.255   broadcast
::                unspecified
::1               loopback
::127.0.0.1       compatible
::ffff:127.0.0.1  mapped
::ffff:10.1.2.3   mapped
::ffff:169.254.169.254   mapped
64:ff9b::7f00:1   NAT64
64:ff9b::10.0.0.1 NAT64
64:ff9b:1::a00:1  local NAT64
2002:7f00:1::     6to4
2002:a00:1::1     6to4
2001:0:1:2:3:4:5:6   Teredo
2001:db8::1       documentation
fc00::1           unique local
fd12:3456::1      unique local
fe80::1           link-local
fe80::1%lo        link-local
fec0::1           site-local
ff02::1           multicast
100::1            discarded
3fff::1           documentation
5f00::1           segments
"""
PUBLIC_ONES = """
93.184.215.14
100.63.255.255
100.128.0.1
172.15.0.1
172.32.0.1
2606:2800:21f:cb07::1
::ffff:93.184.215.14
64:ff9b::5db8:d70e
2002:5db8:d70e::1
"""


@pytest.mark.parametrize("row", REFUSED.strip().splitlines(), ids=str.split)
def test_not_of_the_internet(row: str) -> None:
    address = ip_address(row.split()[0])
    assert not PUBLIC.allows(address)
    assert ANYWHERE.allows(address)


@pytest.mark.parametrize("text", PUBLIC_ONES.split())
def test_of_the_internet(text: str) -> None:
    assert PUBLIC.allows(ip_address(text))


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("10.2.3.4", True),
        ("10.3.0.1", False),
        ("::ffff:10.2.3.4", True),
        ("169.254.10.1", True),
        ("169.254.169.254", False),
        ("fd00:1::5", True),
        ("127.0.0.1", False),
        ("93.184.215.14", True),
    ],
)
def test_networks_that_are_allowed(text: str, is_allowed: bool) -> None:
    networks = tuple(ip_network(name) for name in ("10.2.0.0/16", "169.254.10.0/24", "fd00:1::/32"))
    assert Network(networks).allows(ip_address(text)) is is_allowed


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.0.0.1", True),
        ("100.64.0.1", True),
        ("fd00::1", True),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:169.254.169.254", False),
    ],
)
def test_a_private_address_on_the_list_itself(text: str, is_allowed: bool) -> None:
    assert PUBLIC.allows(ip_address(text), is_listed=True) is is_allowed


def test_what_dns_answers_is_judged_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "93.184.215.14", "10.0.0.1")
    with pytest.raises(AddressRefused):
        PUBLIC.find("fhir.example.org", 443)
    answer(monkeypatch, "93.184.215.14", "2606:2800:21f:cb07::1")
    assert [found[4][:2] for found in PUBLIC.find("fhir.example.org", 443)] == [
        ("93.184.215.14", 443),
        ("2606:2800:21f:cb07::1", 443),
    ]


def test_the_next_address_is_tried_when_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        answer(monkeypatch, "127.0.0.1", "127.0.0.2")
        threading.Thread(target=_serve_one, args=(server, None), daemon=True).start()
        port = server.getsockname()[1]
        assert get(f"http://fhir.example.org:{port}/").body == b"{}"


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 64 + ".example.org"])
def test_a_name_that_leads_nowhere(host: str) -> None:
    with pytest.raises(FhirTemporaryError) as failed:
        get(f"http://{host}:9/")
    assert host not in str(failed.value)


def test_nobody_at_home() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(FhirTemporaryError, match="could not be reached"):
        get(f"http://127.0.0.1:{port}/")


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "is_good"), [("fhir.example.org", True), ("other.example.org", False), ("127.0.0.1", False)]
)
def test_the_certificate_must_be_of_the_name_and_not_of_the_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str, is_good: bool
) -> None:
    answer(monkeypatch, "127.0.0.1")
    context, names = tls_for(tmp_path, named)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "server.pem"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve_one, args=(server, context), daemon=True).start()
        url = f"https://fhir.example.org:{server.getsockname()[1]}/"
        if is_good:
            assert get(url).body == b"{}"
        else:
            with pytest.raises(FhirTemporaryError, match="could not be reached"):
                get(url)
    assert names == ["fhir.example.org"]


def test_nothing_is_sent_before_the_address_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "10.0.0.1")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(FhirFatalError, match="was not called"):
        get("http://fhir.example.org/", PUBLIC)


# --- what the tests above are made of -----------------------------------------------------------------------


def get(url: str, network: Network = Network(LOOPBACK)) -> Any:  # noqa: B008
    bounds = Bounds(time.monotonic() + 5, 1, network)
    return get_once(url, bounds, "test", server="the server", is_loopback=False, sign=send_nothing)


def answer(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """DNS answers these, for names under example.org."""
    look_up = _LOOK_UP

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        hosts = addresses if str(host).endswith("example.org") and len(host) < 60 else (host,)
        return [found for name in hosts for found in look_up(name, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


_LOOK_UP = socket.getaddrinfo


def _serve_one(server: socket.socket, context: ssl.SSLContext | None) -> None:
    connection, _ = server.accept()
    try:
        stream = connection if context is None else context.wrap_socket(connection, server_side=True)
        stream.recv(65536)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        stream.close()
    except OSError:
        connection.close()


@pytest.fixture(autouse=True)
def _own_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy, and no connection that an earlier test left open."""
    monkeypatch.setenv("NO_PROXY", "*")
    _session.cache_clear()
    yield
    _session.cache_clear()
