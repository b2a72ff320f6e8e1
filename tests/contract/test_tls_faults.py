"""FHIR servers whose secure connection is none: refused in time, told apart, and no token is sent."""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.contract.conftest import Serve
from tests.contract.test_faults import BUDGET_SECONDS, TOKEN, assert_412_in_time, request_to

LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "days"), [("127.0.0.1", 36500), ("127.0.0.2", 36500), ("127.0.0.1", 1)], ids=str
)
def test_a_certificate_that_is_not_trusted(
    serve: Serve, caplog: pytest.LogCaptureFixture, tmp_path: Path, name: str, days: int
) -> None:
    """Self-signed, of another name, long expired."""
    heard: list[bytes] = []
    with listening(lambda plain: answer_by_tls(plain, tls(tmp_path, name, days), heard)) as port:
        base_url = f"https://127.0.0.1:{port}/fhir"
        service = serve(fhir_servers=(base_url,), fetch_seconds=BUDGET_SECONDS)
        with caplog.at_level(logging.DEBUG):
            assert_412_in_time(service, base_url, caplog)
    assert heard == []


def test_the_caller_is_told_that_the_certificate_is_the_trouble(serve: Serve, tmp_path: Path) -> None:
    context = tls(tmp_path, "127.0.0.1", 36500)
    with listening(lambda plain: answer_by_tls(plain, context, [])) as port:
        base_url = f"https://127.0.0.1:{port}/fhir"
        reply = serve(fhir_servers=(base_url,)).post(request_to(base_url))
    assert reply.status_code == 412
    assert "its certificate is not trusted" in reply.text
    assert TOKEN not in reply.text


@pytest.mark.parametrize("fault", ["speaks plain HTTP", "hangs up", "hangs", "speaks nonsense"])
def test_a_handshake_that_comes_to_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    heard: list[bytes] = []

    def answer(plain: socket.socket) -> None:
        heard.append(plain.recv(4096))
        if fault == "speaks plain HTTP":
            plain.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        elif fault == "speaks nonsense":
            plain.sendall(b"\x00" * 300)
        elif fault == "hangs":
            time.sleep(BUDGET_SECONDS + 1)

    with listening(answer) as port:
        base_url = f"https://127.0.0.1:{port}/fhir"
        service = serve(fhir_servers=(base_url,), fetch_seconds=BUDGET_SECONDS)
        assert_412_in_time(service, base_url, caplog)
    assert heard
    assert TOKEN.encode() not in b"".join(heard)


# --- what the tests above are made of ---------------------------------------------------------------------


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose connections are answered by `answer`, each on a thread."""

    def meet(plain: socket.socket) -> None:
        with plain, suppress(OSError):
            answer(plain)

    def accept() -> None:
        while True:
            try:
                plain, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=meet, args=(plain,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


def answer_by_tls(plain: socket.socket, context: ssl.SSLContext, heard: list[bytes]) -> None:
    with context.wrap_socket(plain, server_side=True) as secure:
        heard.append(secure.recv(4096))


def tls(folder: Path, address: str, days: int) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that it signed for itself, for so many days since 2001."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(LONG_AGO + dt.timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
