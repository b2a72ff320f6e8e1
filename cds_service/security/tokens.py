"""A client's token (a signed JWT): taken apart strictly, its header and claims checked, its signature verified.

Nothing of a token decides how it is checked: algorithms, audience, times and keys are given. Every refusal is
a NotAuthenticated whose text is for the log; none of them quotes the token.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from cds_service.errors import NotAuthenticated
from cds_service.security.key_sets import ALGORITHMS, PublicKey

LARGEST_TOKEN = 8000  # characters; gunicorn refuses header lines of more than 8190 by itself
LONGEST_TEXT = 300  # characters of an id in a token

_AUTHORIZATION = re.compile(r"(?i:bearer) +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.ASCII)
_SHOWABLE = re.compile(r"(?!.*eyJ)[A-Za-z0-9._:/@+~-]{1,200}", re.ASCII)
_LARGEST_TIME = 10**11  # seconds since 1970; milliseconds of today are more
_JWS = jwt.PyJWS(algorithms=ALGORITHMS)


@dataclass(frozen=True)
class Token:
    """A token that could be read. Who made it is not known before `verify_signature`."""

    text: str = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class TimeRules:
    """How far clocks may differ, and the longest time from `iat` to `exp`. Seconds."""

    leeway: int
    longest: int


def read_token(authorization: str | None) -> Token:
    """The token in an Authorization header: `Bearer`, in any letter case, and one compact JWS."""
    if not authorization:
        raise NotAuthenticated("no token")
    if len(authorization) > LARGEST_TOKEN + len("Bearer "):
        raise NotAuthenticated(f"expected a token of at most {LARGEST_TOKEN} characters")
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise NotAuthenticated("expected one Bearer token of three parts in base64url")
    header, claims, signature = match[1].split(".")
    _decode(signature, "signature")
    return Token(match[1], _read_object(header, "header"), _read_object(claims, "claims"))


def check_header(header: Mapping[str, Any]) -> None:
    """`typ`, `alg` and `kid` as they must be, and nothing that a verifier would have to understand.

    Keys that a header brings or points to (`jwk`, `x5u`, `x5c`) are never looked at.
    """
    if header.get("typ") != "JWT":
        raise NotAuthenticated("header typ: expected JWT", "header")
    if header.get("alg") not in ALGORITHMS:
        raise NotAuthenticated(f"header alg: expected one of {', '.join(ALGORITHMS)}", "header")
    if "crit" in header or "b64" in header:
        raise NotAuthenticated("header: expected neither crit nor b64", "header")
    required_text(header, "kid")


def check_times(claims: Mapping[str, Any], now: float, rules: TimeRules) -> float:
    """`exp`, after checking that the token is valid `now` (seconds since 1970)."""
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    if not 0 < expires - issued <= rules.longest:
        raise NotAuthenticated(f"claim exp: expected at most {rules.longest} seconds after iat", "time")
    if now >= expires + rules.leeway:
        raise NotAuthenticated("claim exp: the token has expired", "time")
    if issued > now + rules.leeway:
        raise NotAuthenticated("claim iat: the token is from the future", "time")
    if claims.get("nbf") is not None and _time(claims, "nbf") > now + rules.leeway:
        raise NotAuthenticated("claim nbf: the token is not valid yet", "time")
    return expires


def check_audience(claims: Mapping[str, Any], endpoint: str) -> None:
    """`aud` is this address or holds it, letter by letter. The address is not told: its path came with the call."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(one, str) for one in named) or endpoint not in named:
        raise NotAuthenticated("claim aud: expected the public address of what is called", "audience")


def verify_signature(token: Token, key: PublicKey) -> None:
    """The token was signed with this key, by the algorithm that goes with it."""
    if token.header["alg"] != key.algorithm:
        raise NotAuthenticated("header alg: does not fit the key", "key")
    try:
        _JWS.decode(token.text, key.key, algorithms=[key.algorithm])
    except jwt.PyJWTError:
        raise NotAuthenticated("the signature is wrong", "signature") from None


def required_text(holder: Mapping[str, Any], name: str) -> str:
    value = optional_text(holder, name)
    if not value:
        raise NotAuthenticated(f"{name}: expected a text", "claim")
    return value


def optional_text(holder: Mapping[str, Any], name: str) -> str:
    """A text of bounded length that can be written to a log, empty where there is none."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
        raise NotAuthenticated(
            f"{name}: expected a printable text of at most {LONGEST_TEXT} characters", "claim"
        )
    return value


def for_the_log(value: object) -> str:
    """A value of a token nobody vouches for: an ordinary id as it is, all else unsaid."""
    return value if isinstance(value, str) and _SHOWABLE.fullmatch(value) else "(not shown)"


def _time(claims: Mapping[str, Any], name: str) -> float:
    """Seconds since 1970. JSON of Python's also has NaN, Infinity and whole numbers beyond any float."""
    value: Any = claims.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < _LARGEST_TIME:
        raise NotAuthenticated(f"claim {name}: expected seconds since 1970", "time")
    return float(value)


def _read_object(part: str, what: str) -> Mapping[str, Any]:
    content = _decode(part, what)
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_each_name_once)
    except (ValueError, RecursionError):
        raise NotAuthenticated(f"{what}: expected a JSON object with each name once") from None
    if not isinstance(value, dict):
        raise NotAuthenticated(f"{what}: expected a JSON object")
    return value


def _decode(part: str, what: str) -> bytes:
    """The bytes, if this is their only spelling in base64url: another would make two tokens of one."""
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        content = b""
    if base64.urlsafe_b64encode(content).rstrip(b"=") != part.encode():
        raise NotAuthenticated(f"{what}: expected base64url without padding")
    return content


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
