"""The door of the sample service: client tokens by the rules, unless a fault is planted in it."""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Request, Response
from jwt.utils import base64url_decode

LEEWAY = 30

FAULTS_OF_THE_DOOR = {
    "none is accepted": {"CH-803"},
    "an empty signature is accepted": {"CH-803"},
    "secrets are accepted": {"CH-804"},
    "the type of the key is not looked at": {"CH-805"},
    "kid is not needed": {"CH-806"},
    "typ is not needed": {"CH-807"},
    "any jku is fetched": {"CH-809"},
    "aud is not looked at": {"CH-114", "CH-710", "CH-810"},
    "an array as aud is refused": {"CH-810"},
    "iss is not looked at": {"CH-811"},
    "times are not looked at": {"CH-812"},
    "no leeway": {"CH-W04"},
    "jti is not looked at": {"CH-813"},
    "refusals tell why": {"CH-816"},
    "the body is read first": {"CH-819"},
    "feedback is open": {"CH-710"},
    "the scheme is Bearer and not bearer": {"CH-802"},
}


@dataclass
class Door:
    """Admits one client, whose public key and issuer it knows."""

    public_key: Any
    key_id: str
    issuer: str
    faults: frozenset[str] = frozenset()
    base_url: str = ""
    seen: set[str] = field(default_factory=set)

    def has(self, fault: str) -> bool:
        assert fault in FAULTS_OF_THE_DOOR, fault
        return fault in self.faults

    def check(self, request: Request) -> Response | None:
        """None lets in."""
        try:
            self.admit(
                request.headers.get("Authorization", ""), self.base_url + request.full_path.rstrip("?")
            )
        except (ValueError, KeyError, IndexError, TypeError, jwt.PyJWTError) as error:
            text = str(error) if self.has("refusals tell why") else "no"
            return Response(json.dumps({"error": text or "no"}), 401, content_type="application/json")
        return None

    def admit(self, header: str, url: str) -> None:
        scheme, _, token = header.partition(" ")
        is_strict = self.has("the scheme is Bearer and not bearer")
        if (scheme if is_strict else scheme.title()) != "Bearer":
            raise ValueError("scheme")
        head = json.loads(base64url_decode(token.split(".")[0]))
        claims = self.verified(token, head)
        self.check_head(head)
        self.check_claims(claims, url)

    def verified(self, token: str, head: dict[str, Any]) -> dict[str, Any]:
        algorithm, signature = str(head.get("alg")), token.split(".")[2]
        unsafe: dict[str, Any] = json.loads(base64url_decode(token.split(".")[1]))
        if algorithm.lower() == "none" and self.has("none is accepted"):
            return unsafe
        if algorithm == "ES384" and not signature and self.has("an empty signature is accepted"):
            return unsafe
        if algorithm == "RS384" and self.has("the type of the key is not looked at"):
            return unsafe
        if algorithm.startswith("HS") and self.has("secrets are accepted"):
            return self.verified_by_secret(token, algorithm, unsafe)
        if "jku" in head and self.has("any jku is fetched"):
            requests.get(head["jku"], timeout=5)
        return dict(
            jwt.decode(
                token,
                self.public_key,
                algorithms=["ES384"],
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_iss": False,
                    "verify_jti": False,
                    "verify_sub": False,
                },
            )
        )

    def verified_by_secret(self, token: str, algorithm: str, unsafe: dict[str, Any]) -> dict[str, Any]:
        secret = self.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signed, _, signature = token.rpartition(".")
        digest = hmac.digest(secret, signed.encode(), f"sha{algorithm[2:]}")
        if not hmac.compare_digest(digest, base64url_decode(signature)):
            raise ValueError("signature")
        return unsafe

    def check_head(self, head: dict[str, Any]) -> None:
        if head.get("typ") != "JWT" and not self.has("typ is not needed"):
            raise ValueError("typ")
        if head.get("kid") != self.key_id and not self.has("kid is not needed"):
            raise ValueError("kid")

    def check_claims(self, claims: dict[str, Any], url: str) -> None:
        audience = claims.get("aud")
        if isinstance(audience, list) and self.has("an array as aud is refused"):
            raise ValueError("aud")
        if not self.has("aud is not looked at") and url not in (
            audience if isinstance(audience, list) else [audience]
        ):
            raise ValueError("aud")
        if claims.get("iss") != self.issuer and not self.has("iss is not looked at"):
            raise ValueError("iss")
        if not self.has("times are not looked at"):
            self.check_times(claims)
        if not self.has("jti is not looked at"):
            self.check_replay(claims)

    def check_times(self, claims: dict[str, Any]) -> None:
        now, leeway = time.time(), 0 if self.has("no leeway") else LEEWAY
        issued, expires = claims["iat"], claims["exp"]
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise ValueError("times")
        if issued > now + leeway or expires < now - leeway:
            raise ValueError("times")

    def check_replay(self, claims: dict[str, Any]) -> None:
        if claims["jti"] in self.seen:
            raise ValueError("jti")
        self.seen.add(claims["jti"])
