"""Tokens that must not let anybody in, each for its own reason and all with the same answer; and those that must."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests

from cds_service.settings import Client, Settings
from tests.contract.conftest import HOOK_PATH, RunningService, authorization, hook_request, running
from tests.contract.signing import (
    ISSUER,
    KEY_ID,
    PUBLIC,
    SERVICE_URL,
    claims_of,
    ec_signer,
    encode,
    header_of,
    key_set,
    p256_signer,
    rsa_signer,
    sign_as_it_is,
)
from tests.contract.stub_server import Asked, Reply, StubServer

EHR = ec_signer()
RSA = rsa_signer(key_id="rsa-1")
P256 = p256_signer("p256-1")
WEAK = rsa_signer(1024, "weak-1")
ATTACKER = ec_signer("attacker")
OTHER_ISSUER = "https://other.example.org"
OTHER = ec_signer("other", "other-1")
REDIRECTED = "https://redirected.example.org"
LEEWAY, LONGEST = 30, 3600

pytestmark = pytest.mark.conformance("CH-802", "CH-816", "CH-819")


@dataclass(frozen=True)
class Setup:
    service: RunningService
    keys: StubServer
    attacker: StubServer
    log: list[str]

    @property
    def jku(self) -> str:
        return f"{self.keys.base_url}/jwks.json"

    @property
    def evil(self) -> str:
        return f"{self.attacker.base_url}/jwks.json"


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A service that knows three clients, their keys, and a server of the attacker's that should hear nothing."""
    folder = tmp_path_factory.mktemp("attacks")
    with StubServer(lambda _: Reply(key_set(ATTACKER))) as attacker, StubServer(serve_keys(attacker)) as keys:
        with running(settings_with(keys, folder)) as service, kept_log() as log:
            yield Setup(service, keys, attacker, log)
        assert attacker.asked == []


def serve_keys(attacker: StubServer) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        if asked.path == "redirected.json":
            return Reply(b"", 302, {"Location": f"{attacker.base_url}/jwks.json"})
        return Reply(key_set(EHR, RSA, P256, WEAK))

    return answer


def settings_with(keys: StubServer, folder: Path) -> Settings:
    other_keys = folder / "other.json"
    other_keys.write_text(json.dumps(key_set(OTHER)))
    return Settings(
        require_client_auth=True,
        public_url=PUBLIC,
        store_url=f"sqlite:///{folder / 'store.sqlite3'}",
        auth_leeway_seconds=LEEWAY,
        auth_longest_seconds=LONGEST,
        clients=(
            Client(issuer=ISSUER, jku=f"{keys.base_url}/jwks.json"),
            Client(issuer=OTHER_ISSUER, jwks_file=str(other_keys)),
            Client(issuer=REDIRECTED, jku=f"{keys.base_url}/redirected.json"),
        ),
    )


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def kept_log() -> Any:
    return _KeptLog()


class _KeptLog:
    """All that the service logs meanwhile."""

    def __enter__(self) -> list[str]:
        self._handler, self._logger = _Kept(), logging.getLogger("cds_service")
        self._logger.addHandler(self._handler)
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        return self._handler.lines

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)


# --- the attacks ------------------------------------------------------------------------------------------


def unsigned(algorithm: str) -> str:
    header = json.dumps(header_of(algorithm, KEY_ID)).encode()
    return f"{encode(header)}.{encode(json.dumps(claims_of()).encode())}."


def without_signature(token: str) -> str:
    return token.rpartition(".")[0] + "."


def hmac_with(algorithm: str, key: bytes) -> str:
    """The confusion attack: the public key's bytes as the secret of a symmetric algorithm."""
    header = json.dumps(header_of(algorithm, KEY_ID)).encode()
    signed = f"{encode(header)}.{encode(json.dumps(claims_of()).encode())}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return f"{signed}.{encode(hmac.digest(key, signed.encode(), digest))}"


def relabelled(token: str, **header: Any) -> str:
    """The same claims and signature under another header."""
    _, claims, signature = token.split(".")
    return f"{encode(json.dumps(header_of('ES384', KEY_ID) | header).encode())}.{claims}.{signature}"


def changed_claims(token: str, **claims: Any) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encode(json.dumps(claims_of(**claims)).encode())}.{signature}"


def raw_claims(text: str) -> str:
    return EHR.sign(text.encode())


def claims_with(name: str, literal: str) -> str:
    """Claims in which one value is written as this JSON, which json.dumps would not write."""
    written = json.dumps(claims_of(**{name: "@"})).replace('"@"', literal)
    return raw_claims(written)


def now(seconds: float = 0) -> int:
    return int(time.time() + seconds)


def padded(token: str) -> str:
    return ".".join(part + "=" * (-len(part) % 4) for part in token.split("."))


def other_spelling(token: str) -> str:
    """Bits that base64 does not use are set in the last character of the header or the claims."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts = token.split(".")
    for number, part in enumerate(parts[:2]):
        if len(part) % 4:
            parts[number] = part[:-1] + alphabet[alphabet.index(part[-1]) + 1]
            return ".".join(parts)
    return other_spelling(EHR.token(x="1" * (len(token) % 7)))


def twice(name: str, value: str) -> str:
    return raw_claims(json.dumps(claims_of())[:-1] + f', "{name}": {json.dumps(value)}}}')


def deep() -> bytes:
    return b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"


def bearer(token: str) -> str:
    return f"Bearer {token}"


def as_unsigned(algorithm: str, _: Setup) -> str:
    return bearer(f"{unsigned(algorithm)}AAAA")


def as_symmetric(algorithm: str, kind: str, _: Setup) -> str:
    return bearer(hmac_with(algorithm, PUBLIC_BYTES[kind]))


Attack = Callable[[Setup], str]
ATTACKS: dict[str, tuple[Attack, str]] = {
    # no token
    "no header": (lambda _: "", "no token"),
    "Basic": (lambda _: "Basic dXNlcjpwYXNz", "one Bearer token"),
    "Bearer alone": (lambda _: "Bearer", "one Bearer token"),
    "a token without scheme": (lambda _: EHR.token(), "one Bearer token"),
    "a scheme that begins with Bearer": (lambda _: f"Bearerx {EHR.token()}", "one Bearer token"),
    "two tokens": (lambda _: bearer(f"{EHR.token()}, Bearer {EHR.token()}"), "one Bearer token"),
    "a token and more": (lambda _: bearer(f"{EHR.token()} x"), "one Bearer token"),
    "garbage": (lambda _: bearer("garbage"), "one Bearer token"),
    "garbage in three parts": (lambda _: bearer("abc.def.ghi"), "expected"),
    "two parts": (lambda _: bearer(EHR.token().rpartition(".")[0]), "one Bearer token"),
    "an opaque FHIR token": (lambda _: bearer("marker-fhir-token"), "one Bearer token"),
    "a JWE": (lambda _: bearer("e30.e30.e30.e30.e30"), "one Bearer token"),
    "oversized": (lambda _: bearer(EHR.token(padding="x" * 8000)), "at most 8000"),
    "oversized without scheme": (lambda _: "x" * 30_000, "at most 8000"),
    # how it is spelled
    "padding": (lambda _: bearer(padded(EHR.token())), "one Bearer token"),
    "another spelling of the same bytes": (lambda _: bearer(other_spelling(EHR.token(x="1"))), "base64url"),
    "plain base64": (lambda _: bearer(EHR.token().replace(".", "+.", 1)), "one Bearer token"),
    "a header that is an array": (lambda _: bearer(sign_as_it_is(b"[]", b"{}", EHR)), "header: expected"),
    "a header that is no JSON": (lambda _: bearer(sign_as_it_is(b"{", b"{}", EHR)), "header: expected"),
    "claims that are no JSON": (lambda _: bearer(raw_claims("nothing")), "claims: expected"),
    "claims that are a list": (lambda _: bearer(raw_claims("[]")), "claims: expected"),
    "claims in UTF-16": (lambda _: bearer(EHR.sign(json.dumps(claims_of()).encode("utf-16"))), "claims: expected"),
    "claims nested without end": (lambda _: bearer(EHR.sign(deep())), "expected"),
    "aud given twice": (lambda _: bearer(twice("aud", SERVICE_URL)), "each name once"),
    "iss given twice": (lambda _: bearer(twice("iss", OTHER_ISSUER)), "each name once"),
    "alg given twice": (
        lambda _: bearer(
            sign_as_it_is(
                json.dumps(header_of("none", KEY_ID))[:-1].encode() + b', "alg": "ES384"}',
                json.dumps(claims_of()).encode(),
                EHR,
            )
        ),
        "each name once",
    ),
    "a token in a token": (lambda _: bearer(EHR.sign(EHR.token().encode(), {"cty": "JWT"})), "claims: expected"),
    # algorithm
    **{
        f"alg {name}": (partial(as_unsigned, name), "header alg")
        for name in ("none", "None", "NONE", "nOnE", "none ", "")
    },
    "alg none without signature": (lambda _: bearer(unsigned("none")), "one Bearer token"),
    "an empty signature": (lambda _: bearer(without_signature(EHR.token())), "one Bearer token"),
    "a signature of zeros": (
        lambda _: bearer(without_signature(EHR.token()) + encode(bytes(96))),
        "signature",
    ),
    "a signature cut short": (lambda _: bearer(EHR.token()[:-4]), "signature"),
    **{
        f"{name} with the public key as {kind}": (
            partial(as_symmetric, name, kind),
            "header alg",
        )
        for name in ("HS256", "HS384", "HS512")
        for kind in ("PEM", "JWK", "PEM of RSA")
    },
    "HS384 renamed ES384": (
        lambda _: bearer(relabelled(hmac_with("HS384", EHR.pem), alg="ES384")),
        "signature",
    ),
    "ES256 by a P-256 key": (lambda _: bearer(P256.token()), "header alg"),
    "RS256 by the RSA key": (lambda _: bearer(RSA.token({"alg": "RS256"})), "header alg"),
    "PS384": (lambda _: bearer(RSA.token({"alg": "PS384"})), "header alg"),
    "EdDSA": (lambda _: bearer(EHR.token({"alg": "EdDSA"})), "header alg"),
    "alg a list": (lambda _: bearer(EHR.token({"alg": ["ES384"]})), "header alg"),
    "alg missing": (lambda _: bearer(EHR.token({"alg": None})), "header alg"),
    "alg in small letters": (lambda _: bearer(EHR.token({"alg": "es384"})), "header alg"),
    "an EC key under RS384": (lambda _: bearer(EHR.token({"alg": "RS384"})), "does not fit the key"),
    "an RSA key under ES384": (lambda _: bearer(RSA.token({"alg": "ES384"})), "does not fit the key"),
    "a P-256 key under ES384": (lambda _: bearer(P256.token({"alg": "ES384"})), "header kid"),
    "an RSA key of 1024 bits": (lambda _: bearer(WEAK.token()), "header kid"),
    # header
    "typ missing": (lambda _: bearer(EHR.token({"typ": None})), "header typ"),
    "typ JOSE": (lambda _: bearer(EHR.token({"typ": "JOSE"})), "header typ"),
    "typ at+jwt": (lambda _: bearer(EHR.token({"typ": "at+jwt"})), "header typ"),
    "typ a number": (lambda _: bearer(EHR.token({"typ": 1})), "header typ"),
    "crit": (lambda _: bearer(EHR.token({"crit": ["exp"], "exp": 1})), "crit"),
    "crit empty": (lambda _: bearer(EHR.token({"crit": []})), "crit"),
    "b64 false": (lambda _: bearer(EHR.token({"b64": False, "crit": ["b64"]})), "b64"),
    "b64 false without crit": (lambda _: bearer(EHR.token({"b64": False})), "b64"),
    "kid missing": (lambda _: bearer(EHR.token({"kid": None})), "kid"),
    "kid empty": (lambda _: bearer(EHR.token({"kid": ""})), "kid"),
    "kid a path": (lambda _: bearer(EHR.token({"kid": "../../../../dev/null"})), "kid"),
    "kid a path to the key": (lambda _: bearer(EHR.token({"kid": f"../{KEY_ID}"})), "kid"),
    "kid an address": (lambda s: bearer(ATTACKER.token({"kid": s.evil})), "kid"),
    "kid SQL": (lambda _: bearer(EHR.token({"kid": f"{KEY_ID}' OR '1'='1"})), "kid"),
    "kid a command": (lambda _: bearer(EHR.token({"kid": "key-1|id"})), "kid"),
    "kid in other letters": (lambda _: bearer(EHR.token({"kid": KEY_ID.upper()})), "kid"),
    "kid with a blank": (lambda _: bearer(EHR.token({"kid": f"{KEY_ID} "})), "kid"),
    "kid with a zero byte": (lambda _: bearer(EHR.token({"kid": f"{KEY_ID}\0"})), "kid"),
    "kid huge": (lambda _: bearer(EHR.token({"kid": KEY_ID * 100})), "kid"),
    "kid a list": (lambda _: bearer(EHR.token({"kid": [KEY_ID]})), "kid"),
    "kid a number": (lambda _: bearer(EHR.token({"kid": 0})), "kid"),
    "kid an object": (lambda _: bearer(EHR.token({"kid": {"$ne": ""}})), "kid"),
    # keys
    "signed by nobody we know": (lambda _: bearer(ATTACKER.token()), "signature"),
    "an embedded key": (lambda _: bearer(ATTACKER.token({"jwk": ATTACKER.jwk})), "signature"),
    "an embedded key of its own name": (
        lambda _: bearer(ATTACKER.token({"jwk": ATTACKER.jwk | {"kid": "mine"}, "kid": "mine"})),
        "header kid",
    ),
    "x5u": (lambda s: bearer(ATTACKER.token({"x5u": s.evil})), "signature"),
    "x5c": (lambda _: bearer(ATTACKER.token({"x5c": [encode(ATTACKER.pem)]})), "signature"),
    "another client's key": (lambda _: bearer(OTHER.token()), "header kid"),
    "another client's key under our kid": (lambda _: bearer(OTHER.token({"kid": KEY_ID})), "signature"),
    "our key under another client's name": (
        lambda _: bearer(EHR.token({"kid": "other-1"}, iss=OTHER_ISSUER)),
        "signature",
    ),
    "changed claims": (lambda _: bearer(changed_claims(EHR.token(), tenant="another")), "signature"),
    "changed header": (lambda _: bearer(relabelled(EHR.token(), cty="x")), "signature"),
    # jku
    "an attacker's jku": (lambda s: bearer(ATTACKER.token({"jku": s.evil})), "jku"),
    "a jku that begins alike": (lambda s: bearer(ATTACKER.token({"jku": f"{s.jku}.evil.example"})), "jku"),
    "a jku with user": (lambda s: bearer(ATTACKER.token({"jku": with_user(s)})), "jku"),
    "a jku of another port": (lambda s: bearer(ATTACKER.token({"jku": on_port_of_attacker(s)})), "jku"),
    "a jku of another scheme": (lambda s: bearer(EHR.token({"jku": s.jku.replace("http", "https", 1)})), "jku"),
    "a jku in other letters": (lambda s: bearer(EHR.token({"jku": s.jku.replace("http", "HTTP", 1)})), "jku"),
    "a jku with a query": (lambda s: bearer(EHR.token({"jku": f"{s.jku}?a=b"})), "jku"),
    "a jku with a fragment": (lambda s: bearer(EHR.token({"jku": f"{s.jku}#"})), "jku"),
    "a jku with dots": (lambda s: bearer(EHR.token({"jku": s.jku.replace("/jwks", "/./jwks")})), "jku"),
    "a jku of a file": (lambda _: bearer(EHR.token({"jku": "file:///etc/passwd"})), "jku"),
    "a jku that is a list": (lambda s: bearer(EHR.token({"jku": [s.jku]})), "jku"),
    "a jku that is null": (lambda _: bearer(null_jku()), "jku"),
    "a jku for a client with a file": (
        lambda s: bearer(OTHER.token({"jku": s.evil}, iss=OTHER_ISSUER)),
        "jku",
    ),
    "another client's jku": (lambda s: bearer(OTHER.token({"jku": s.jku}, iss=OTHER_ISSUER)), "jku"),
    "a jku that redirects": (lambda _: bearer(ATTACKER.token(iss=REDIRECTED)), "header kid"),
    # iss
    "iss missing": (lambda _: bearer(EHR.token(iss=None)), "iss"),
    "iss unknown": (lambda _: bearer(EHR.token(iss="https://evil.example.org")), "iss"),
    "iss with a slash": (lambda _: bearer(EHR.token(iss=f"{ISSUER}/")), "iss"),
    "iss in capitals": (lambda _: bearer(EHR.token(iss=ISSUER.upper())), "iss"),
    "iss a list": (lambda _: bearer(EHR.token(iss=[ISSUER])), "iss"),
    "iss with a line break": (lambda _: bearer(EHR.token(iss=f"{ISSUER}\nforged log line")), "iss"),
    # aud
    "aud missing": (lambda _: bearer(EHR.token(aud=None)), "aud"),
    "aud empty": (lambda _: bearer(EHR.token(aud="")), "aud"),
    "aud an empty list": (lambda _: bearer(EHR.token(aud=[])), "aud"),
    "aud the base": (lambda _: bearer(EHR.token(aud=PUBLIC)), "aud"),
    "aud discovery": (lambda _: bearer(EHR.token(aud=f"{PUBLIC}/cds-services")), "aud"),
    "aud another service": (lambda _: bearer(EHR.token(aud=f"{PUBLIC}/cds-services/other")), "aud"),
    "aud feedback": (lambda _: bearer(EHR.token(aud=f"{SERVICE_URL}/feedback")), "aud"),
    "aud with a slash": (lambda _: bearer(EHR.token(aud=f"{SERVICE_URL}/")), "aud"),
    "aud of another scheme": (lambda _: bearer(EHR.token(aud=SERVICE_URL.replace("https", "http"))), "aud"),
    "aud of another host": (lambda _: bearer(EHR.token(aud=SERVICE_URL.replace("cds.", "evil."))), "aud"),
    "aud with a port": (lambda _: bearer(EHR.token(aud=SERVICE_URL.replace(".org", ".org:443"))), "aud"),
    "aud in capitals": (lambda _: bearer(EHR.token(aud=SERVICE_URL.upper())), "aud"),
    "aud with a query": (lambda _: bearer(EHR.token(aud=f"{SERVICE_URL}?a=b")), "aud"),
    "aud what the socket is called": (lambda s: bearer(EHR.token(aud=s.service.base_url + HOOK_PATH)), "aud"),
    "aud an object": (lambda _: bearer(EHR.token(aud={SERVICE_URL: True})), "aud"),
    "aud a list with more than texts": (lambda _: bearer(EHR.token(aud=[SERVICE_URL, 1])), "aud"),
    "aud a list in a list": (lambda _: bearer(EHR.token(aud=[[SERVICE_URL]])), "aud"),
    # times
    "expired": (lambda _: bearer(EHR.token(iat=now(-600), exp=now(-LEEWAY - 5))), "expired"),
    "expired long ago": (lambda _: bearer(EHR.token(iat=1_500_000_000, exp=1_500_000_300)), "expired"),
    "iat in the future": (lambda _: bearer(EHR.token(iat=now(LEEWAY + 30), exp=now(300))), "future"),
    "nbf in the future": (lambda _: bearer(EHR.token(nbf=now(LEEWAY + 30))), "nbf"),
    "nbf a text": (lambda _: bearer(EHR.token(nbf="0")), "nbf"),
    "exp missing": (lambda _: bearer(EHR.token(exp=None)), "exp"),
    "exp a text": (lambda _: bearer(EHR.token(exp=str(now(300)))), "exp"),
    "exp true": (lambda _: bearer(EHR.token(exp=True)), "exp"),
    "exp null": (lambda _: bearer(claims_with("exp", "null")), "exp"),
    "exp a list": (lambda _: bearer(EHR.token(exp=[now(300)])), "exp"),
    "exp in milliseconds": (lambda _: bearer(EHR.token(exp=now(300) * 1000)), "exp"),
    "iat and exp in milliseconds": (lambda _: bearer(EHR.token(iat=now() * 1000, exp=now(300) * 1000)), "iat"),
    "exp NaN": (lambda _: bearer(claims_with("exp", "NaN")), "exp"),
    "exp Infinity": (lambda _: bearer(claims_with("exp", "Infinity")), "exp"),
    "exp too large for a float": (lambda _: bearer(claims_with("exp", "1e999")), "exp"),
    "exp of 400 digits": (lambda _: bearer(claims_with("exp", "9" * 400)), "exp"),
    "exp of 5000 digits": (lambda _: bearer(claims_with("exp", "9" * 5000)), "claims"),
    "exp negative": (lambda _: bearer(EHR.token(exp=-1)), "exp"),
    "exp in a year": (lambda _: bearer(EHR.token(exp=now(365 * 86_400))), "exp"),
    "exp before iat": (lambda _: bearer(EHR.token(iat=now(20), exp=now(10))), "exp"),
    "iat missing": (lambda _: bearer(EHR.token(iat=None)), "iat"),
    "iat a text": (lambda _: bearer(EHR.token(iat=str(now()))), "iat"),
    "iat false": (lambda _: bearer(EHR.token(iat=False)), "iat"),
    "iat NaN": (lambda _: bearer(claims_with("iat", "NaN")), "iat"),
    # jti, tenant, subject
    "jti missing": (lambda _: bearer(EHR.token(jti=None)), "jti"),
    "jti empty": (lambda _: bearer(EHR.token(jti="")), "jti"),
    "jti a number": (lambda _: bearer(EHR.token(jti=1)), "jti"),
    "jti huge": (lambda _: bearer(EHR.token(jti="x" * 301)), "jti"),
    "jti with half a surrogate pair": (lambda _: bearer(EHR.token(jti="\ud800")), "jti"),
    "tenant a list": (lambda _: bearer(EHR.token(tenant=["a"])), "tenant"),
    "sub an object": (lambda _: bearer(EHR.token(sub={"a": "b"})), "sub"),
}  # fmt: skip

PUBLIC_BYTES = {"PEM": EHR.pem, "JWK": json.dumps(EHR.jwk).encode(), "PEM of RSA": RSA.pem}


def with_user(setup: Setup) -> str:
    allowed, evil = urlsplit(setup.jku), urlsplit(setup.evil)
    return f"http://{allowed.netloc.replace(':', '%3A')}@{evil.netloc}{evil.path}"


def on_port_of_attacker(setup: Setup) -> str:
    return setup.jku.replace(str(urlsplit(setup.jku).port), str(urlsplit(setup.evil).port))


def null_jku() -> str:
    header = json.dumps(header_of("ES384", KEY_ID) | {"jku": None}).encode()
    return sign_as_it_is(header, json.dumps(claims_of()).encode(), EHR)


@pytest.mark.conformance(
    "CH-803", "CH-804", "CH-805", "CH-806", "CH-807", "CH-809", "CH-810", "CH-811", "CH-812", "CH-813", "CH-815"
)  # fmt: skip
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_without_a_word(setup: Setup, attack: str) -> None:
    make, reason = ATTACKS[attack]
    sent = make(setup)
    before = len(setup.log)
    refused = call(setup, sent)
    assert_told_nothing(setup, refused)
    log = "\n".join(setup.log[before:])
    assert reason in log
    assert_not_in(sent, log)
    assert setup.attacker.asked == []


def call(setup: Setup, sent: str, body: Any = None) -> requests.Response:
    headers = {"Authorization": sent} if sent else {}
    return setup.service.post(hook_request() if body is None else body, headers=headers)


def assert_told_nothing(setup: Setup, refused: requests.Response) -> None:
    """The answer is the one that a call without any token gets, byte for byte."""
    plain = setup.service.post(hook_request())
    assert refused.status_code == plain.status_code == 401
    assert refused.content == plain.content
    varying = ("X-Request-Id", "Date")
    assert without(refused.headers, varying) == without(plain.headers, varying)
    assert refused.headers["WWW-Authenticate"] == "Bearer"


def without(headers: Any, names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def assert_not_in(sent: str, log: str) -> None:
    for word in sent.replace(",", " ").split():
        for part in (word, *word.split(".")):
            if len(part) > 12:
                assert part not in log


# --- what else is refused ---------------------------------------------------------------------------------


@pytest.mark.conformance("CH-813")
def test_a_token_is_good_once(setup: Setup) -> None:
    token = EHR.token()
    assert call(setup, bearer(token)).status_code == 200
    before = len(setup.log)
    refused = call(setup, bearer(token))
    assert_told_nothing(setup, refused)
    assert "used before" in setup.log[before]


@pytest.mark.conformance("CH-813")
def test_a_used_jti_is_refused_in_another_token_and_free_for_another_issuer(setup: Setup) -> None:
    assert call(setup, bearer(EHR.token(jti="shared"))).status_code == 200
    assert call(setup, bearer(RSA.token(jti="shared"))).status_code == 401
    assert call(setup, bearer(OTHER.token(jti="shared", iss=OTHER_ISSUER))).status_code == 200


def test_a_refused_token_does_not_use_up_its_jti(setup: Setup) -> None:
    assert call(setup, bearer(ATTACKER.token(jti="burnt"))).status_code == 401
    assert call(setup, bearer(EHR.token(jti="burnt"))).status_code == 200


@pytest.mark.conformance("CH-819")
@pytest.mark.parametrize("body", [b"{", b"", b"\xff", hook_request(hook="nothing"), b"[" * 200_000])
def test_a_bad_token_with_a_bad_body_is_401(setup: Setup, body: Any) -> None:
    assert_told_nothing(setup, call(setup, bearer(ATTACKER.token()), body))


@pytest.mark.conformance("CH-819")
def test_no_fhir_server_is_asked_for_a_stranger(setup: Setup) -> None:
    body = hook_request(
        prefetch=None, fhirServer=setup.attacker.base_url, fhirAuthorization=authorization("marker-fhir")
    )
    assert_told_nothing(setup, call(setup, bearer(ATTACKER.token()), body))
    assert setup.attacker.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/cds-services/nothing",
        f"{HOOK_PATH}/feedback",
        f"{HOOK_PATH}/",
        "/cds-services//trd-patient-view",
        "/cds-services%2Ftrd-patient-view",
        "/cds-services/trd-patient-view%00",
        "/cds-services/../cds-services/trd-patient-view",
        f"{HOOK_PATH}/x/y",
    ],
)
def test_paths_tell_a_stranger_nothing(setup: Setup, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "BREW"):
        refused = setup.service.call(method, path, data=b"{")
        assert refused.status_code == 401
        assert refused.content == setup.service.post(b"{").content


def test_an_unknown_service_is_404_for_those_who_may_call(setup: Setup) -> None:
    path = "/cds-services/nothing"
    known = setup.service.post(
        hook_request(), path, headers={"Authorization": bearer(EHR.token(aud=PUBLIC + path))}
    )
    assert known.status_code == 404


@pytest.mark.conformance("CH-810")
@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"])
def test_what_a_request_says_of_its_address_is_not_asked(setup: Setup, name: str) -> None:
    token = EHR.token(aud=SERVICE_URL.replace("cds.example.org", "evil.example.org"))
    headers = {"Authorization": bearer(token), name: "evil.example.org"}
    assert setup.service.post(hook_request(), headers=headers).status_code == 401
    headers["Authorization"] = bearer(EHR.token())
    assert setup.service.post(hook_request(), headers=headers).status_code == 200


def test_two_authorization_headers_are_refused(setup: Setup) -> None:
    address = urlsplit(setup.service.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.putrequest("POST", HOOK_PATH)
    for _ in range(2):
        connection.putheader("Authorization", bearer(EHR.token()))
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.conformance("CH-817")
def test_a_browser_can_read_the_refusal_and_preflights_need_no_token(setup: Setup) -> None:
    origin = {"Origin": "https://ehr.example.org"}
    refused = setup.service.post(hook_request(), headers=origin)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = setup.service.call("OPTIONS", HOOK_PATH, headers=origin | asks)
    assert preflight.status_code == 204
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/cds-services", "/cds-services/", "/"])
def test_what_needs_no_token(setup: Setup, path: str) -> None:
    assert setup.service.get(path).status_code == 200


# --- good tokens ------------------------------------------------------------------------------------------

GOOD: dict[str, Attack] = {
    "ES384": lambda _: bearer(EHR.token()),
    "RS384": lambda _: bearer(RSA.token()),
    "made by PyJWT": lambda _: bearer(jwt.encode(claims_of(), EHR.key, "ES384", {"kid": KEY_ID})),
    "with jku": lambda s: bearer(EHR.token({"jku": s.jku})),
    "keys out of band": lambda _: bearer(OTHER.token(iss=OTHER_ISSUER)),
    "bearer in small letters": lambda _: f"bearer {EHR.token()}",
    "BEARER in capitals": lambda _: f"BEARER {EHR.token()}",
    "aud an array of one": lambda _: bearer(EHR.token(aud=[SERVICE_URL])),
    "aud an array with ours": lambda _: bearer(EHR.token(aud=["https://x.example.org", SERVICE_URL])),
    "iat half a second ahead": lambda _: bearer(EHR.token(iat=time.time() + 0.5)),
    "iat just within the leeway": lambda _: bearer(EHR.token(iat=now(LEEWAY - 10))),
    "exp just within the leeway": lambda _: bearer(EHR.token(iat=now(-300), exp=now(-LEEWAY + 10))),
    "the longest life": lambda _: bearer(EHR.token(iat=now(5), exp=now() + LONGEST)),
    "nbf past": lambda _: bearer(EHR.token(nbf=now(-10))),
    "a tenant and a subject": lambda _: bearer(EHR.token(tenant="ward 7", sub="client-1")),
    "null for what may be left out": lambda _: bearer(
        EHR.sign(json.dumps(claims_of() | {"tenant": None, "sub": None, "nbf": None}).encode())
    ),
    "other claims and headers": lambda _: bearer(EHR.token({"x5t": "abc"}, extra={"a": [1]})),
}


@pytest.mark.conformance("CH-802", "CH-805", "CH-808", "CH-810", "CH-812", "CH-815", "CH-W04")
@pytest.mark.parametrize("good", GOOD)
def test_a_good_token_lets_in(setup: Setup, good: str) -> None:
    before = len(setup.log)
    sent = GOOD[good](setup)
    reply = call(setup, sent)
    assert reply.status_code == 200, setup.log[before:]
    assert_not_in(sent, "\n".join(setup.log[before:]))
