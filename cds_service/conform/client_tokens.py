"""Whether strangers are kept out: calls without a client token, and with tokens that are wrong in one way each."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from cds_service.conform.examination import Entry, Examination
from cds_service.conform.exchange import Reply
from cds_service.conform.signing import Signer

OF_TOKENS = (
    *("CH-802", "CH-803", "CH-804", "CH-805", "CH-806", "CH-807", "CH-808", "CH-809", "CH-810"),
    *("CH-811", "CH-812", "CH-813", "CH-816", "CH-819", "CH-W04"),
)
_TEN_MINUTES = 600
_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True)
class Attempt:
    """One header to call with, the rule it tries, and whether a call with it should be let in."""

    what: str
    rule_id: str
    authorization: str
    is_right: bool = False


def check_client_tokens(exam: Examination, entry: Entry, others: tuple[Entry, ...]) -> None:
    """Tries the service `entry`; `others` are further ones, whose tokens must not fit."""
    signer = exam.options.signer
    body = exam.request(entry, exam.any_patient(entry))
    stranger = exam.post(entry, body, "a call without a client token", authorization="")
    _check_need(exam, stranger)
    if stranger.status != 401:
        exam.ledger.not_applicable((*OF_TOKENS, "CH-710"), "the service asks for no client token")
        return
    if signer is None:
        exam.ledger.not_tried(
            (*OF_TOKENS, "CH-710"), "the service needs a client token: give --jwk and --issuer"
        )
        return
    url = exam.client.url("cds-services", entry.id)
    if not exam.post(entry, body, "a call with a right token").is_served:
        why = (
            "the service refuses the token made with --jwk: are issuer, key id and address as it knows them?"
        )
        exam.ledger.not_tried(OF_TOKENS, why)
        return
    attempts = [*_headers(signer, url), *_forgeries(exam, signer, url), *_claims(exam, signer, url, others)]
    refused = [_try(exam, entry, body, attempt) for attempt in attempts]
    _check_replay(exam, entry, body, signer.token(url))
    _check_order(exam, entry)
    _check_silence(exam, [reply for reply in (stranger, *refused) if reply.status == 401])
    _check_discovery(exam, signer, url)
    _check_feedback(exam, entry, signer, url)


def _check_need(exam: Examination, stranger: Reply) -> None:
    if exam.host_is_loopback and stranger.status != 401:
        why = "the service is on this machine only and asks for no client token"
        exam.ledger.not_applicable(["CH-801"], why)
        return
    exam.ledger.expect("CH-801", stranger.status == 401, stranger.what, "401", stranger.shown)


def _try(exam: Examination, entry: Entry, body: Any, attempt: Attempt) -> Reply:
    before = _requests_elsewhere(exam)
    reply = exam.post(entry, body, attempt.what, authorization=attempt.authorization)
    if attempt.rule_id == "CH-809":
        heard = _requests_elsewhere(exam) - before
        exam.ledger.expect("CH-809", not heard, reply.what, "no request to that address", f"{heard} requests")
    if attempt.is_right:
        exam.for_rules(attempt.rule_id)(reply.is_served, reply, "200 or 412")
    else:
        exam.for_rules(attempt.rule_id)(reply.status == 401, reply, "401")
    return reply


def _requests_elsewhere(exam: Examination) -> int:
    return len(exam.fhir.elsewhere.requests) if exam.fhir else 0


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _headers(signer: Signer, url: str) -> Iterator[Attempt]:
    yield Attempt("Basic instead of Bearer", "CH-802", "Basic dXNlcjpwYXNzd29yZA==")
    yield Attempt("Bearer without a token", "CH-802", "Bearer ")
    yield Attempt("the scheme in lower case", "CH-802", f"bearer {signer.token(url)}", is_right=True)
    yield Attempt(f"a token by {signer.algorithm}", "CH-805", _bearer(signer.token(url)), is_right=True)
    without_jku = signer.signed(signer.claims(url), jku=None)
    if signer.jku is None:
        yield Attempt("a token without jku", "CH-808", _bearer(without_jku), is_right=True)
    else:
        yield Attempt("a token with its jku", "CH-808", _bearer(signer.token(url)), is_right=True)
    claims = signer.claims(url)
    for what, rule_id, header in (
        ("a token without kid", "CH-806", {"kid": None}),
        ("a kid that nobody has", "CH-806", {"kid": "unheard-of"}),
        ("a kid that is a path", "CH-806", {"kid": "../../../../dev/null"}),
        ("a token without typ", "CH-807", {"typ": None}),
        ("a typ that is not JWT", "CH-807", {"typ": "at+jwt"}),
    ):
        yield Attempt(what, rule_id, _bearer(signer.signed(claims | {"jti": str(uuid.uuid4())}, **header)))


# --- forged tokens ----------------------------------------------------------------------------------------


def _forgeries(exam: Examination, signer: Signer, url: str) -> Iterator[Attempt]:
    header = {"typ": "JWT", "kid": signer.key_id}
    claims = signer.claims(url)
    for name in ("none", "None", "nOnE"):
        token = _by_hand(header | {"alg": name}, claims, b"")
        yield Attempt(f"alg {name} without a signature", "CH-803", _bearer(token))
    unsigned = _by_hand(header | {"alg": signer.algorithm}, claims, b"")
    yield Attempt("a token without its signature", "CH-803", _bearer(unsigned))
    public = signer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name in _HASHES:
        token = _by_hand(header | {"alg": name}, claims, None, public)
        yield Attempt(f"{name} with the public key as secret", "CH-804", _bearer(token))
    other = "RS384" if signer.algorithm == "ES384" else "ES384"
    wrong = _with_header(signer.token(url), header | {"alg": other})
    yield Attempt(f"{other} with a key of another type", "CH-805", _bearer(wrong))
    yield from _own_keys(exam, claims, signer)


def _own_keys(exam: Examination, claims: dict[str, Any], signer: Signer) -> Iterator[Attempt]:
    """A key of the attacker's own, shown in the header or at an address of the attacker's."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": "attacker"}
    address = f"{exam.fhir.elsewhere.base_url}/jwks" if exam.fhir else "https://attacker.invalid/jwks"
    for what, header in (
        ("a key of one's own at a jku of one's own", {"kid": "attacker", "jku": address}),
        ("a key of one's own in the header", {"kid": "attacker", "jwk": public}),
        ("a key of one's own under the client's kid", {"kid": signer.key_id}),
    ):
        yield Attempt(what, "CH-809", _bearer(jwt.encode(claims, key, "ES384", header)))


def _by_hand(
    header: dict[str, Any], claims: dict[str, Any], signature: bytes | None, secret: bytes = b""
) -> str:
    """A token that no library would make; without `signature` it is signed with the secret."""
    parts = [base64url_encode(json.dumps(part).encode()) for part in (header, claims)]
    signed = b".".join(parts)
    if signature is None:
        signature = hmac.digest(secret, signed, _HASHES[header["alg"]])
    return b".".join((signed, base64url_encode(signature))).decode()


def _with_header(token: str, header: dict[str, Any]) -> str:
    _, claims, signature = token.split(".")
    return ".".join((base64url_encode(json.dumps(header).encode()).decode(), claims, signature))


# --- claims -----------------------------------------------------------------------------------------------


def _claims(exam: Examination, signer: Signer, url: str, others: tuple[Entry, ...]) -> Iterator[Attempt]:
    for what, audience in (
        ("aud as an array", [url]),
        ("aud with another address beside", [url, "https://other.example.org/cds-services/x"]),
    ):
        yield Attempt(what, "CH-810", _bearer(signer.token(audience)), is_right=True)
    host = url.partition("://")[2].partition("/")[0]
    wrong_addresses = {
        "aud that is the base address": exam.client.base_url,
        "aud that is the address of discovery": exam.client.url("cds-services"),
        "aud of another host": url.replace(host, "other.example.org"),
        "aud of another scheme": url.replace("http://", "ftp://").replace("https://", "http://"),
    }
    if others:
        wrong_addresses["aud of another service"] = exam.client.url("cds-services", others[0].id)
    for what, address in wrong_addresses.items():
        yield Attempt(what, "CH-810", _bearer(signer.token(address)))
    now = int(time.time())
    for what, rule_id, changes in (
        ("no aud", "CH-810", {"aud": None}),
        ("no iss", "CH-811", {"iss": None}),
        ("an iss that nobody knows", "CH-811", {"iss": "https://unknown.example.org"}),
        ("no exp", "CH-812", {"exp": None}),
        ("no iat", "CH-812", {"iat": None}),
        ("exp as a text", "CH-812", {"exp": "tomorrow"}),
        ("times in milliseconds", "CH-812", {"iat": now * 1000, "exp": (now + _TEN_MINUTES) * 1000}),
        ("a token that has expired", "CH-812", {"iat": now - 2 * _TEN_MINUTES, "exp": now - _TEN_MINUTES}),
        ("no jti", "CH-813", {"jti": None}),
    ):
        yield Attempt(what, rule_id, _bearer(_signed_as_is(signer, signer.claims(url, **changes))))
    ahead = signer.signed(signer.claims(url, iat=now + 1))
    yield Attempt("iat a second ahead", "CH-W04", _bearer(ahead), is_right=True)


def _signed_as_is(signer: Signer, claims: dict[str, Any]) -> str:
    """PyJWT refuses to sign an `iss` that is no text and the like, which is what is wanted here."""
    return jwt.PyJWS().encode(
        json.dumps(claims).encode(),
        signer.key,
        signer.algorithm,
        {"typ": "JWT", "kid": signer.key_id} | ({"jku": signer.jku} if signer.jku else {}),
    )


# --- what goes beyond one call ----------------------------------------------------------------------------


def _check_replay(exam: Examination, entry: Entry, body: Any, token: str) -> None:
    replies = [
        exam.post(entry, body, f"one token, {time} time", authorization=_bearer(token))
        for time in ("first", "second")
    ]
    exam.for_rules("CH-813")(replies[0].is_served, replies[0], "200 or 412")
    exam.for_rules("CH-813")(replies[1].status == 401, replies[1], "401")


def _check_order(exam: Examination, entry: Entry) -> None:
    reply = exam.post(entry, b'{"hook":', "a bad token and malformed JSON", authorization="Bearer x.y.z")
    exam.for_rules("CH-819")(reply.status == 401, reply, "401")


def _check_silence(exam: Examination, refusals: list[Reply]) -> None:
    first = refusals[0]
    for reply in refusals:
        exam.for_rules("CH-816")(reply.content == first.content, reply, "the same body for every refusal")


def _check_discovery(exam: Examination, signer: Signer, service_url: str) -> None:
    path = ("cds-services",)
    stranger = exam.client.call("GET", path, "discovery without a token", authorization="")
    if stranger.status != 401:
        exam.ledger.not_applicable(["CH-114"], "discovery is open")
        return
    right = exam.client.call("GET", path, "discovery with a right token")
    exam.for_rules("CH-114")(right.status == 200, right, "200")
    wrong = _bearer(signer.token(service_url))
    reply = exam.client.call("GET", path, "discovery with a token for a service", authorization=wrong)
    exam.for_rules("CH-114")(reply.status == 401, reply, "401")


def _check_feedback(exam: Examination, entry: Entry, signer: Signer, service_url: str) -> None:
    path = ("cds-services", entry.id, "feedback")
    body: dict[str, Any] = {"feedback": []}

    def post(what: str, authorization: str | None) -> Reply:
        return exam.client.call("POST", path, f"feedback {what}", body=body, authorization=authorization)

    right = post("with a right token", None)
    if right.status in (404, 405):
        return
    exam.for_rules("CH-710")(right.status != 401, right, "anything but 401")
    elsewhere = service_url.replace(entry.id, "another-service") + "/feedback"
    for what, header in (("without a token", ""), ("with a token for elsewhere", signer.token(elsewhere))):
        reply = post(what, header and _bearer(header))
        exam.for_rules("CH-710")(reply.status == 401, reply, "401")
