"""Client tokens as an EHR signs them, and the key sets it publishes."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.contract.conftest import HOOK_PATH

PUBLIC = "https://cds.example.org/trd"
SERVICE_URL = PUBLIC + HOOK_PATH
ISSUER = "https://ehr.example.org"
KEY_ID = "key-1"


@dataclass(frozen=True)
class Signer:
    """A private key with its name and the algorithm it is meant for."""

    key: Any
    algorithm: str
    key_id: str = KEY_ID

    @property
    def jwk(self) -> dict[str, Any]:
        to_jwk = (
            ECAlgorithm.to_jwk if isinstance(self.key, ec.EllipticCurvePrivateKey) else RSAAlgorithm.to_jwk
        )
        return {**to_jwk(self.key.public_key(), as_dict=True), "kid": self.key_id, "use": "sig"}

    @property
    def private_jwk(self) -> dict[str, Any]:
        to_jwk = (
            ECAlgorithm.to_jwk if isinstance(self.key, ec.EllipticCurvePrivateKey) else RSAAlgorithm.to_jwk
        )
        return {**to_jwk(self.key, as_dict=True), "kid": self.key_id, "use": "sig"}

    @property
    def pem(self) -> bytes:
        pem: bytes = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem

    def token(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token with a header and claims that are right, but for those given; None leaves one out."""
        return self.sign(claims_of(**claims), header)

    def sign(self, claims: Any, header: Mapping[str, Any] | None = None) -> str:
        named = header_of(self.algorithm, self.key_id) | dict(header or {})
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        return sign_as_it_is(named, payload, self)


def header_of(algorithm: str, key_id: str) -> dict[str, Any]:
    return {"alg": algorithm, "typ": "JWT", "kid": key_id}


def claims_of(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": SERVICE_URL, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
    return {name: value for name, value in (claims | changed).items() if value is not None}


def sign_as_it_is(header: Mapping[str, Any] | bytes, payload: bytes, signer: Signer) -> str:
    """A token of exactly this header and payload, signed by the signer's own algorithm whatever they say."""
    if not isinstance(header, bytes):
        header = json.dumps({name: value for name, value in header.items() if value is not None}).encode()
    signed = f"{encode(header)}.{encode(payload)}"
    algorithm = jwt.get_algorithm_by_name(signer.algorithm)
    return f"{signed}.{encode(algorithm.sign(signed.encode(), signer.key))}"


def encode(content: bytes) -> str:
    return jwt.utils.base64url_encode(content).decode()


def key_set(*signers: Signer) -> dict[str, Any]:
    return {"keys": [signer.jwk for signer in signers]}


@cache
def ec_signer(name: str = "", key_id: str = KEY_ID) -> Signer:
    """A P-384 key; another for each name."""
    del name
    return Signer(ec.generate_private_key(ec.SECP384R1()), "ES384", key_id)


@cache
def rsa_signer(bits: int = 2048, key_id: str = KEY_ID) -> Signer:
    return Signer(rsa.generate_private_key(65537, bits), "RS384", key_id)


@cache
def p256_signer(key_id: str = KEY_ID) -> Signer:
    return Signer(ec.generate_private_key(ec.SECP256R1()), "ES256", key_id)


def key_set_bytes(*signers: Signer) -> bytes:
    return json.dumps(key_set(*signers)).encode()
