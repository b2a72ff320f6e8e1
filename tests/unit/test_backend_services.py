"""How the service gets a token of its own: what it sends, what it takes, and what stops the start."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cds_service.errors import FhirFatalError, FhirTemporaryError, NotOffered, SettingsError
from cds_service.fhir_server.backend_services import ASSERTION_TYPE, BackendService, open_backend_services
from cds_service.outbound.bounded_get import Bounds
from cds_service.settings import Settings
from tests.contract.listener import Listener
from tests.contract.stub_server import Asked, Reply, StubServer

TOKEN = {"access_token": "own-token", "token_type": "bearer", "expires_in": 300, "scope": "system/*.rs"}
P384, P256 = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
RSA, SHORT_RSA = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 1024)


@pytest.mark.parametrize(("algorithm", "key"), [("ES384", P384), ("RS384", RSA)])
@pytest.mark.parametrize("form", ["PEM", "JWK"])
def test_the_assertion_is_what_smart_asks_for(tmp_path: Path, algorithm: str, key: Any, form: str) -> None:
    file = pem_file(tmp_path, key) if form == "PEM" else jwk_file(tmp_path, key, algorithm)
    with StubServer(smart_server()) as stub:
        service = registered(stub, file, algorithm=algorithm)
        before = time.time()
        assert service.token(bounds()).value == "own-token"
        discovery, asked = stub.asked
    assert discovery.path == ".well-known/smart-configuration"
    assert (asked.method, asked.path) == ("POST", "token")
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in asked.headers
    sent = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
    assertion = sent.pop("client_assertion")
    assert sent == {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": ASSERTION_TYPE,
    }
    assert jwt.get_unverified_header(assertion) == {"alg": algorithm, "typ": "JWT", "kid": "key-1"}
    claims = jwt.decode(
        assertion,
        key.public_key(),
        algorithms=[algorithm],
        audience=f"{stub.base_url}/token",
        options={"require": ["iss", "sub", "aud", "exp", "iat", "jti"]},
    )
    assert (claims["iss"], claims["sub"]) == ("trd-cds", "trd-cds")
    assert claims["aud"] == f"{stub.base_url}/token"
    assert before < claims["exp"] <= time.time() + 300


def test_no_assertion_is_used_twice(tmp_path: Path) -> None:
    with StubServer(smart_server(lambda: Reply(TOKEN | {"expires_in": 1}))) as stub:
        service = registered(stub, pem_file(tmp_path))
        for _ in range(2):
            service.forget(service.token(bounds()).value)
        seen = [assertion_of(asked) for asked in stub.asked if asked.method == "POST"]
    assert len({claims["jti"] for claims in seen}) == 2


def test_a_token_is_kept_until_shortly_before_it_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubServer(smart_server()) as stub:
        service = registered(stub, pem_file(tmp_path))
        first = service.token(bounds())
        assert service.token(bounds()) is first
        assert 265 < first.until - time.monotonic() <= 270
        moment = first.until
        monkeypatch.setattr("cds_service.fhir_server.backend_services.time.monotonic", lambda: moment)
        service.token(Bounds(moment + 5, 1))
        assert count_tokens(stub) == 2


def test_only_the_token_that_was_refused_is_forgotten(tmp_path: Path) -> None:
    with StubServer(smart_server()) as stub:
        service = registered(stub, pem_file(tmp_path))
        kept = service.token(bounds())
        service.forget("an older one")
        assert service.token(bounds()) is kept
        service.forget(kept.value)
        assert service.token(bounds()) is not kept
        assert count_tokens(stub) == 2


def test_many_at_once_cause_one_request(tmp_path: Path) -> None:
    def slowly() -> Reply:
        time.sleep(0.2)
        return Reply(TOKEN)

    with StubServer(smart_server(slowly)) as stub:
        service, values = registered(stub, pem_file(tmp_path)), []
        threads = [
            threading.Thread(target=lambda: values.append(service.token(bounds()).value)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert values == ["own-token"] * 8
        assert count_tokens(stub) == 1


def test_who_waits_for_a_token_waits_as_long_as_it_may(tmp_path: Path) -> None:
    let_go = threading.Event()

    def hang() -> Reply:
        let_go.wait(10)
        return Reply(TOKEN)

    with StubServer(smart_server(hang)) as stub:
        service = registered(stub, pem_file(tmp_path))
        first = threading.Thread(target=lambda: service.token(bounds(10)))
        first.start()
        while count_tokens(stub) == 0:
            time.sleep(0.01)
        with pytest.raises(FhirTemporaryError, match="took too long"):
            service.token(bounds(0.2))
        let_go.set()
        first.join()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply({"error": "invalid_client"}, 400), NotOffered, "400 (invalid_client)"),
        (Reply({"error": "secret words", "error_description": "secret"}, 401), NotOffered, "answered 401 to"),
        (Reply(b"<html>secret", 403), NotOffered, "answered 403 to"),
        (Reply(b"", 429), FhirTemporaryError, "answered 429"),
        (Reply(b"", 503), FhirTemporaryError, "answered 503"),
        (Reply(b"", 302, {"Location": "http://127.0.0.1:9/"}), FhirFatalError, "answered 302"),
        (Reply(b"secret"), FhirFatalError, "no usable Bearer token"),
        (Reply([TOKEN]), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"token_type": "mac"}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"token_type": None}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"access_token": ""}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"access_token": "a\r\nX-Injected: 1"}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"access_token": 7}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"scope": ["system/*.rs"]}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"expires_in": 0}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"expires_in": -5}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"expires_in": True}), FhirFatalError, "no usable"),
        (Reply(TOKEN | {"expires_in": "soon"}), FhirFatalError, "no usable"),
        (Reply(b" " * (2 << 20)), FhirFatalError, "larger than 1 MiB"),
    ],
)
def test_a_useless_answer_is_told_in_general_words(
    tmp_path: Path, reply: Reply, error: type, words: str
) -> None:
    with StubServer(smart_server(lambda: reply)) as stub:
        service = registered(stub, pem_file(tmp_path))
        with pytest.raises(error) as failed:
            service.token(bounds())
        assert count_tokens(stub) == 1
    assert words in str(failed.value)
    assert "secret" not in str(failed.value)
    assert stub.base_url not in str(failed.value)


@pytest.mark.parametrize(
    ("change", "scopes", "seconds"),
    [
        ({"scope": "system/Patient.r system/Condition.s"}, ("system/Patient.r", "system/Condition.s"), 270),
        ({"scope": ""}, (), 270),
        ({"token_type": "Bearer"}, ("system/*.rs",), 270),
        ({"expires_in": 100}, ("system/*.rs",), 90),
        ({"expires_in": 10**30}, ("system/*.rs",), 86_370),
    ],
)
def test_what_was_granted_counts(
    tmp_path: Path, change: dict[str, Any], scopes: tuple[str, ...], seconds: float
) -> None:
    with StubServer(smart_server(lambda: Reply(TOKEN | change))) as stub:
        token = registered(stub, pem_file(tmp_path)).token(bounds())
    assert token.scopes == scopes
    assert token.until - time.monotonic() == pytest.approx(seconds, abs=5)
    assert "own-token" not in repr(token)


def test_an_answer_without_scope_and_time(tmp_path: Path) -> None:
    short = {"access_token": "own-token", "token_type": "bearer"}
    with StubServer(smart_server(lambda: Reply(short))) as stub:
        token = registered(stub, pem_file(tmp_path), scope="system/Patient.rs").token(bounds())
    assert token.scopes == ("system/Patient.rs",)
    assert token.until - time.monotonic() == pytest.approx(54, abs=5)


# --- the token endpoint --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:{port}/token", "on another host"),
        ("http://localhost:{port}/token", "on another host"),
        ("https://127.0.0.1:{port}/token", "on another host"),
        ("http://auth.example.org/token", "no https token_endpoint"),
        ("http://{host}@127.0.0.1:{port}/token", "no https token_endpoint"),
        ("//127.0.0.1:{port}/token", "no https token_endpoint"),
        ("/fhir/token", "no https token_endpoint"),
        (None, "no https token_endpoint"),
        (7, "no https token_endpoint"),
    ],
)
def test_an_endpoint_elsewhere_hears_nothing(tmp_path: Path, endpoint: Any, words: str) -> None:
    with Listener() as listener:

        def answer(_: Asked) -> Reply:
            host = stub.base_url.split("/")[2]
            is_text = isinstance(endpoint, str)
            return Reply(
                {"token_endpoint": endpoint.format(port=listener.port, host=host) if is_text else endpoint}
            )

        with StubServer(answer) as stub, pytest.raises(FhirFatalError, match=words):
            registered(stub, pem_file(tmp_path)).token(bounds())
        assert count_tokens(stub) == 0
        assert listener.heard() == 0


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(b"", 404), NotOffered),
        (Reply(b"", 502), FhirTemporaryError),
        (Reply(b"not JSON"), FhirFatalError),
        (Reply(b"", 307, {"Location": "http://127.0.0.1:9/"}), FhirFatalError),
    ],
)
def test_a_server_without_a_configuration(tmp_path: Path, reply: Reply, error: type[Exception]) -> None:
    with StubServer(lambda _: reply) as stub, pytest.raises(error):
        registered(stub, pem_file(tmp_path)).token(bounds())
    assert len(stub.asked) == 1


def test_an_endpoint_elsewhere_that_the_site_names_is_asked(tmp_path: Path) -> None:
    with StubServer(lambda _: Reply(b"", 404)) as fhir, StubServer(smart_server()) as elsewhere:
        service = registered(fhir, pem_file(tmp_path), token_url=f"{elsewhere.base_url}/token")
        assert service.token(bounds()).value == "own-token"
        assert fhir.asked == []
        assert assertion_of(elsewhere.asked[0])["aud"] == f"{elsewhere.base_url}/token"


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        (
            {"fhir_server": "https://other.example.org/fhir"},
            P384,
            "fhir_server: expected an address on the list",
        ),
        ({"fhir_server": "nonsense"}, P384, "fhir_server: expected an address on the list"),
        ({"token_url": "http://auth.example.org/token"}, P384, "token_url: expected a plain https address"),
        ({"token_url": "auth"}, P384, "token_url: expected a plain https address"),
        ({"scope": " "}, P384, "scope: expected SMART scopes"),
        ({"key_file": "/nowhere/key.pem"}, P384, "key_file: /nowhere/key.pem: cannot be read: No such file"),
        ({}, P256, "expected an elliptic curve key on P-384 for ES384, as PEM or JWK"),
        ({}, RSA, "expected an elliptic curve key on P-384"),
        ({"algorithm": "RS384"}, P384, "expected an RSA key of 2048 bits or more for RS384"),
        ({"algorithm": "RS384"}, SHORT_RSA, "expected an RSA key of 2048 bits or more"),
    ],
)
def test_a_wrong_entry_stops_the_start(tmp_path: Path, changes: dict[str, str], key: Any, words: str) -> None:
    with pytest.raises(SettingsError, match="backend_services 1: ") as failed:
        open_with(entry(str(pem_file(tmp_path, key))) | changes)
    assert words in str(failed.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b"not a key",
        b'{"kty": "EC", "crv": "P-384"}',
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n",
    ],
)
def test_a_key_file_with_something_else_stops_the_start(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"key_file: .*key: expected an elliptic curve key"):
        open_with(entry(str(file)))


def test_a_public_or_locked_key_or_another_kid_stops_the_start(tmp_path: Path) -> None:
    public, locked = tmp_path / "public.pem", tmp_path / "locked.pem"
    public.write_bytes(P384.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    locked.write_bytes(P384.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    other = jwk_file(tmp_path, P384, "ES384", kid="key-2")
    public_jwk = tmp_path / "public.json"
    public_jwk.write_text(jwt.algorithms.ECAlgorithm.to_jwk(P384.public_key()))
    for file in (public, locked, other, public_jwk):
        with pytest.raises(SettingsError, match=r"key_file: .* expected an elliptic curve key"):
            open_with(entry(str(file)))


def test_each_server_stands_once(tmp_path: Path) -> None:
    one = entry(str(pem_file(tmp_path)))
    with pytest.raises(SettingsError, match="backend_services 2: fhir_server: expected each server once"):
        open_with(one, one | {"client_id": "other"})
    assert [service.base.url for service in open_with(one)] == ["https://ehr.example.org/fhir"]
    assert repr(open_with(one)[0]) == "BackendService('https://ehr.example.org/fhir')"


# --- what the tests above are made of -----------------------------------------------------------------------


def entry(key_file: str) -> dict[str, str]:
    return {
        "fhir_server": "https://ehr.example.org/fhir",
        "client_id": "trd-cds",
        "key_file": key_file,
        "key_id": "key-1",
    }


def open_with(*entries: dict[str, str]) -> tuple[BackendService, ...]:
    return open_backend_services(
        Settings(fhir_servers=("https://ehr.example.org/fhir",), backend_services=entries)
    )


def registered(stub: StubServer, key_file: Path, **changes: str) -> BackendService:
    one = entry(str(key_file)) | {"fhir_server": stub.base_url} | changes
    (service,) = open_backend_services(Settings(fhir_servers=(stub.base_url,), backend_services=(one,)))
    return service


def smart_server(grant: Callable[[], Reply] = lambda: Reply(TOKEN)) -> Callable[[Asked], Reply]:
    """A server that names its token endpoint, where `grant` answers."""

    def answer(asked: Asked) -> Reply:
        host = asked.headers["Host"]
        if asked.method == "GET":
            return Reply({"token_endpoint": f"http://{host}/fhir/token"})
        return grant()

    return answer


def bounds(seconds: float = 5) -> Bounds:
    return Bounds(time.monotonic() + seconds, 1)


def count_tokens(stub: StubServer) -> int:
    return sum(asked.method == "POST" for asked in stub.asked)


def assertion_of(asked: Asked) -> dict[str, Any]:
    (assertion,) = parse_qs(asked.body.decode())["client_assertion"]
    return jwt.decode(assertion, options={"verify_signature": False})


def pem_file(folder: Path, key: Any = P384) -> Path:
    file = folder / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def jwk_file(folder: Path, key: Any, algorithm: str, kid: str = "key-1") -> Path:
    kind = jwt.algorithms.ECAlgorithm if algorithm == "ES384" else jwt.algorithms.RSAAlgorithm
    file = folder / "key.json"
    file.write_text(json.dumps(kind.to_jwk(key, as_dict=True) | {"kid": kid}))
    return file
