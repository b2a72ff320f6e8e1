"""Client tokens for the check: right ones, and ones that are wrong in one way each."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from cds_service.errors import InputError

_ALGORITHM_OF_KEY = {"EC": "ES384", "RSA": "RS384"}
_SECONDS_VALID = 120


@dataclass(frozen=True)
class Signer:
    """Signs with one private key as the client `issuer`."""

    key: Any
    key_type: str
    key_id: str
    issuer: str
    jku: str | None = None

    @property
    def algorithm(self) -> str:
        return _ALGORITHM_OF_KEY[self.key_type]

    def token(self, audience: Any) -> str:
        """A right token for this address."""
        return self.signed(self.claims(audience))

    def claims(self, audience: Any, **changes: Any) -> dict[str, Any]:
        """The claims of a right token with `changes`; None takes a claim away."""
        now = int(time.time())
        standard = {
            "iss": self.issuer,
            "aud": audience,
            "iat": now,
            "exp": now + _SECONDS_VALID,
            "jti": str(uuid.uuid4()),
        }
        return {name: value for name, value in (standard | changes).items() if value is not None}

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """These claims, signed; `header` changes the header, None takes an entry away."""
        changed = {"kid": self.key_id, "jku": self.jku} | header
        return jwt.encode(claims, self.key, self.algorithm, _headers(changed))


def _headers(changed: dict[str, Any]) -> dict[str, Any]:
    """PyJWT itself takes out a `typ` that is empty."""
    return {name: value for name, value in changed.items() if value is not None or name == "typ"}


def read_signer(path: Path, issuer: str, jku: str | None = None) -> Signer:
    """The signer with the private JWK (EC P-384 or RSA) in this file. Raises InputError if it is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path}: expected a private JWK as JSON") from None
    if not isinstance(content, dict) or not {"kty", "kid", "d"} <= set(content):
        raise InputError(f"{path}: expected a private JWK with kty, kid and d")
    if content["kty"] not in _ALGORITHM_OF_KEY:
        raise InputError(f"{path}: kty: expected EC or RSA")
    try:
        key = jwt.PyJWK(content, algorithm=_ALGORITHM_OF_KEY[content["kty"]]).key
    except jwt.PyJWTError:
        raise InputError(f"{path}: expected a key of P-384 or RSA") from None
    return Signer(key, content["kty"], str(content["kid"]), issuer, jku)
