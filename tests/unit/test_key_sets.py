"""Which keys of a set are used, and how a fetched set is kept, renewed and given up."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cds_service.errors import FhirServerError, FhirTemporaryError, Overloaded
from cds_service.outbound.network import LOOPBACK, Network
from cds_service.security.key_sets import FetchedKeys, Keys, fetch_keys, read_key_set
from tests.contract.signing import Signer, ec_signer, key_set, key_set_bytes, p256_signer, rsa_signer
from tests.contract.stub_server import Asked, Reply, StubServer

EC, RSA = ec_signer(), rsa_signer()
CACHE, OUTAGE = 100, 1000


# --- one set ----------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-805", "CH-806")
@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        (EC.jwk, "ES384"),
        (RSA.jwk, "RS384"),
        (EC.jwk | {"alg": "ES384"}, "ES384"),
        (RSA.jwk | {"alg": "RS384", "key_ops": ["verify"]}, "RS384"),
        ({name: value for name, value in EC.jwk.items() if name != "use"}, "ES384"),
        (EC.jwk | {"x5c": ["x"], "nbf": 1}, "ES384"),
        (EC.jwk | {"use": "enc"}, None),
        (EC.jwk | {"use": None}, None),
        (EC.jwk | {"alg": "ES256"}, None),
        (RSA.jwk | {"alg": "RS256"}, None),
        (RSA.jwk | {"alg": "HS384"}, None),
        (EC.jwk | {"key_ops": ["sign"]}, None),
        (EC.jwk | {"key_ops": "verify"}, None),
        (EC.jwk | {"kid": None}, None),
        (EC.jwk | {"kid": ""}, None),
        (EC.jwk | {"kid": 7}, None),
        (EC.jwk | {"kid": "k" * 301}, None),
        (EC.jwk | {"crv": "P-256"}, None),
        (EC.jwk | {"crv": "P-521"}, None),
        (EC.jwk | {"x": EC.jwk["y"]}, None),
        (EC.jwk | {"x": 7}, None),
        (EC.jwk | {"x": "!"}, None),
        (EC.jwk | {"y": None}, None),
        (RSA.jwk | {"n": ""}, None),
        (RSA.jwk | {"e": "AA"}, None),
        (RSA.jwk | {"e": []}, None),
        (p256_signer().jwk, None),
        (rsa_signer(1024).jwk, None),
        (Signer(ec.generate_private_key(ec.SECP521R1()), "ES512").jwk, None),
        (EC.private_jwk, None),
        (RSA.private_jwk, None),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "key-1"}, None),
        ({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "key-1"}, None),
        ({}, None),
        ("key", None),
        (None, None),
    ],
)  # fmt: skip
def test_which_keys_are_used(jwk: Any, algorithm: str | None) -> None:
    other = ec_signer("beside", "beside")
    found = read_key_set(json.dumps({"keys": [jwk, other.jwk]}).encode())
    assert "beside" in found
    assert {key.algorithm for key_id, key in found.items() if key_id != "beside"} == (
        {algorithm} if algorithm else set()
    )


def test_a_kid_that_is_not_unique_names_no_key() -> None:
    twice = key_set_bytes(EC, ec_signer("other"), ec_signer("alone", "alone"))
    assert set(read_key_set(twice)) == {"alone"}


def test_an_empty_set_is_a_set() -> None:
    assert read_key_set(b'{"keys": []}') == {}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff", b"[]", b"null", b"{}", b'{"keys": {}}', b'{"keys": null}',
        b"<html></html>", json.dumps({"keys": [{}] * 101}).encode(), b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_key_set(body: bytes) -> None:
    with pytest.raises(ValueError, match="expected a JWK Set"):
        read_key_set(body)


# --- kept, renewed, given up ------------------------------------------------------------------------------


class Published:
    """A client's key set and its server, and a clock that is set by hand."""

    def __init__(self, *signers: Signer) -> None:
        self.signers = signers
        self.fetches = 0
        self.now = 5000.0
        self.failure: Exception | None = None
        self.source = FetchedKeys("test", self._fetch, CACHE, OUTAGE, lambda: self.now)

    def _fetch(self) -> Keys:
        self.fetches += 1
        if self.failure is not None:
            raise self.failure
        return read_key_set(key_set_bytes(*self.signers))

    def has(self, key_id: str) -> bool:
        return self.source.find(key_id) is not None


OLD, NEW = ec_signer("old", "old"), ec_signer("new", "new")
OUT = FhirTemporaryError("out of order")


def test_a_set_is_fetched_once_for_its_time() -> None:
    published = Published(OLD)
    for seconds in (0, 1, CACHE - 2):
        published.now += seconds
        assert published.has("old")
    assert published.fetches == 1
    published.now += 1
    assert published.has("old")
    assert published.fetches == 2


@pytest.mark.conformance("CH-814", "CH-V13")
def test_rotation() -> None:
    published = Published(OLD)
    assert published.has("old")
    published.signers = (OLD, NEW)
    assert published.has("new"), "a new key is found at once"
    published.signers = (NEW,)
    published.now += CACHE - 1
    assert published.has("old"), "withdrawn, but the set is still kept"
    published.now += 1
    assert not published.has("old")
    assert published.has("new")


@pytest.mark.conformance("CH-814")
def test_a_flood_of_unknown_keys_makes_few_fetches() -> None:
    published = Published(OLD)
    for number in range(1000):
        assert not published.has(f"unknown-{number}")
    assert published.fetches == 5
    published.now += 59
    assert not published.has("unknown")
    assert published.fetches == 5
    published.now += 1
    assert not published.has("unknown")
    assert published.fetches == 6
    assert published.has("old")


@pytest.mark.parametrize("failure", [OUT, ValueError("expected a JWK Set"), FhirServerError("refused")])
@pytest.mark.conformance("CH-814")
def test_an_outage(failure: Exception) -> None:
    published = Published(OLD)
    assert published.has("old")
    published.failure = failure
    published.now += CACHE + OUTAGE - 1
    assert published.has("old"), "the last set is used on"
    assert not published.has("new")
    published.now += 1
    assert not published.has("old"), "but not for ever"
    published.failure = None
    published.now += 60
    assert published.has("old"), "and it recovers"


def test_failures_are_not_repeated_without_end() -> None:
    published = Published(OLD)
    published.failure = OUT
    for _ in range(100):
        assert not published.has("old")
    assert published.fetches == 5


def test_no_time_of_outage_means_none() -> None:
    published = Published(OLD)
    published.source = FetchedKeys("test", published._fetch, CACHE, 0, lambda: published.now)
    assert published.has("old")
    published.failure = OUT
    published.now += CACHE
    assert not published.has("old")


def test_an_empty_set_withdraws_all() -> None:
    published = Published(OLD)
    assert published.has("old")
    published.signers = ()
    published.now += CACHE
    assert not published.has("old")


def test_threads_that_come_together_fetch_once() -> None:
    begun, go_on = threading.Event(), threading.Event()
    published = Published(OLD)
    fetch = published._fetch

    def slow() -> Keys:
        begun.set()
        assert go_on.wait(10)
        return fetch()

    published.source = FetchedKeys("test", slow, CACHE, OUTAGE, lambda: published.now)
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(published.has("old"))) for _ in range(8)]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert found == [True] * 8
    assert published.fetches == 1


def test_only_a_few_wait_for_a_fetch() -> None:
    """Anybody can send tokens with keys that nobody knows: they must not take all threads."""
    go_on = threading.Event()
    published = Published(OLD)
    fetch = published._fetch

    def slow() -> Keys:
        assert go_on.wait(10)
        return fetch()

    published.source = FetchedKeys("test", slow, CACHE, OUTAGE, lambda: published.now)
    refused: list[Overloaded] = []

    def ask() -> None:
        try:
            published.has("old")
        except Overloaded as error:
            refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while len(refused) < 22 and time.monotonic() < until:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(refused) == 22
    assert published.has("old")


def test_who_can_use_the_last_set_does_not_wait_for_a_fetch() -> None:
    begun, go_on = threading.Event(), threading.Event()
    published = Published(OLD)
    assert published.has("old")
    fetch = published._fetch

    def slow() -> Keys:
        begun.set()
        assert go_on.wait(10)
        return fetch()

    published.source._fetch = slow
    published.now += CACHE
    fetching = threading.Thread(target=published.has, args=("old",))
    fetching.start()
    assert begun.wait(10)
    assert published.has("old")
    assert published.fetches == 1
    go_on.set()
    fetching.join(10)
    assert published.fetches == 2


# --- over HTTP --------------------------------------------------------------------------------------------


def answering(reply: Reply | bytes) -> StubServer:
    return StubServer(lambda _: reply)


def test_a_set_is_fetched() -> None:
    with answering(Reply(key_set(EC))) as stub:
        assert set(fetch_keys(f"{stub.base_url}/jwks.json", Network(LOOPBACK))) == {"key-1"}
        (asked,) = stub.asked
    assert "json" in asked.headers["Accept"]
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize("status", [204, 301, 302, 307, 308, 400, 401, 404, 500, 503])
def test_another_status_is_no_set(status: int) -> None:
    with answering(Reply(key_set(EC), status, {"Location": "/fhir/elsewhere.json"})) as stub:
        with pytest.raises((ValueError, FhirServerError)):
            fetch_keys(f"{stub.base_url}/jwks.json", Network(LOOPBACK))
        assert stub.paths == ["jwks.json"], "no redirect is followed"


def test_a_set_without_end_is_given_up() -> None:
    with (
        answering(b" " * (1 << 20) + json.dumps(key_set(EC)).encode()) as stub,
        pytest.raises(FhirServerError),
    ):
        fetch_keys(f"{stub.base_url}/jwks.json", Network(LOOPBACK))


def test_a_server_that_breaks_off() -> None:
    def answer(asked: Asked) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")

    with StubServer(answer) as stub, pytest.raises(FhirServerError):
        fetch_keys(f"{stub.base_url}/jwks.json", Network(LOOPBACK))
