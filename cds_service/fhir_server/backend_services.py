"""This service's own way into a FHIR server (SMART Backend Services), for requests that bring no token.

A token is asked for with an assertion signed by the key of `[[backend_services]]`, kept until shortly before it runs
out, and forgotten when the server does not take it.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cds_service.errors import FhirFatalError, FhirTemporaryError, NotOffered, SettingsError
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.outbound.bounded_get import Bounds, HttpAnswer, get_once, post_form_once, send_nothing

if TYPE_CHECKING:
    from cds_service.settings import BackendClient, Settings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 240  # SMART allows 300
_MARGIN_SECONDS = 30.0  # before a token runs out: it is not begun with that late, and at most
_MARGIN = 0.1  # so much of its time
_UNSTATED_SECONDS = 60  # a token of unstated time is kept so long

_SERVER, _WHAT = "the authorization server", "access token of this service"
_KEY_KINDS = {"ES384": "an elliptic curve key on P-384", "RS384": "an RSA key of 2048 bits or more"}
_TOKEN = re.compile(r"[!-~]+", re.ASCII)  # what can stand in an HTTP header
_REFUSALS = frozenset(  # RFC 6749, section 5.2
    (
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    )
)


@dataclass(frozen=True)
class OwnToken:
    """A token granted to this service. `until` is a moment of `time.monotonic()`; it is not used after it."""

    value: str = field(repr=False)
    scopes: tuple[str, ...]
    until: float


class BackendService:
    """The registration of this service at one FHIR server."""

    def __init__(
        self, client: BackendClient, base: FhirAddress, token_url: FhirAddress | None, key: Any
    ) -> None:
        self.base = base
        self.client_id = client.client_id
        self._client = client
        self._token_url = token_url
        self._key = key
        self._lock = threading.Lock()
        self._kept: OwnToken | None = None

    def __repr__(self) -> str:
        return f"BackendService({self.base.url!r})"

    def token(self, bounds: Bounds) -> OwnToken:
        """A token that can be used now; one fetch at a time, for which the others wait.

        Raises FhirServerError, NotOffered where the authorization server refuses.
        """
        if not self._lock.acquire(timeout=max(0.0, bounds.seconds_left)):
            raise FhirTemporaryError(f"{_SERVER} took too long for the {_WHAT}")
        try:
            kept = self._kept
            if kept is None or time.monotonic() >= kept.until:
                kept = self._kept = self._fetch(bounds)
            return kept
        finally:
            self._lock.release()

    def forget(self, value: str) -> None:
        """Drops this token, which the FHIR server did not take: the next request asks for another."""
        kept = self._kept
        if kept is not None and kept.value == value:
            self._kept = None

    def _fetch(self, bounds: Bounds) -> OwnToken:
        endpoint = self._token_url or _discover(self.base, bounds)
        asked = time.monotonic()
        answer = post_form_once(
            endpoint.url,
            bounds,
            _WHAT,
            form=self._form(endpoint.url),
            server=_SERVER,
            is_loopback=endpoint.is_loopback,
        )
        return _read_token(answer, self._client.scope, asked)

    def _form(self, audience: str) -> dict[str, str]:
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        headers = {"kid": self._client.key_id}
        return {
            "grant_type": "client_credentials",
            "scope": self._client.scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jwt.encode(claims, self._key, self._client.algorithm, headers=headers),
        }


# --- what servers answer ----------------------------------------------------------------------------------


def _discover(base: FhirAddress, bounds: Bounds) -> FhirAddress:
    """The token endpoint that the FHIR server names, which must be on the same host as itself.

    Another host could be anyone's: a site whose authorization server is elsewhere names it in `token_url`.
    """
    answer = get_once(
        f"{base.url}/.well-known/smart-configuration",
        bounds,
        "SMART configuration",
        server="the FHIR server",
        is_loopback=base.is_loopback,
        sign=send_nothing,
        accept="application/json",
    )
    if answer.status != 200:
        raise _error_of(answer, "the FHIR server", "SMART configuration")
    endpoint = read_address(_object(answer.body).get("token_endpoint"))
    if endpoint is None or not is_encrypted(endpoint):
        raise FhirFatalError("the FHIR server's SMART configuration names no https token_endpoint")
    if (endpoint.scheme, endpoint.host, endpoint.port) != (base.scheme, base.host, base.port):
        raise FhirFatalError(
            "the FHIR server's token_endpoint is on another host, so it was not called: token_url may name it"
        )
    return endpoint


def _read_token(answer: HttpAnswer, asked_scope: str, asked: float) -> OwnToken:
    """The token in the answer to a request made at `asked`. What was granted counts, not what was asked for."""
    if answer.status != 200:
        raise _error_of(answer, _SERVER, _WHAT)
    granted = _object(answer.body)
    token, kind = granted.get("access_token"), granted.get("token_type")
    scope = granted.get("scope", asked_scope)
    seconds = _seconds(granted.get("expires_in", _UNSTATED_SECONDS))
    is_token = isinstance(token, str) and _TOKEN.fullmatch(token) is not None
    is_bearer = isinstance(kind, str) and kind.lower() == "bearer"
    if not is_token or not is_bearer or not isinstance(scope, str) or seconds <= 0:
        raise FhirFatalError(f"{_SERVER} answered the {_WHAT} with something that is no usable Bearer token")
    until = asked + seconds - min(seconds * _MARGIN, _MARGIN_SECONDS)
    return OwnToken(str(token), tuple(scope.split()), until)


def _seconds(value: Any) -> float:
    """A number of seconds, at most a day; 0 for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(min(max(value, 0), 86_400)) if is_number else 0.0


def _error_of(answer: HttpAnswer, server: str, what: str) -> Exception:
    """The error of an answer other than 200; of its words only the codes that OAuth defines are repeated."""
    code = _object(answer.body).get("error")
    known = f" ({code})" if isinstance(code, str) and code in _REFUSALS else ""
    message = f"{server} answered {answer.status}{known} to the {what}"
    if answer.status == 429 or answer.status >= 500:
        return FhirTemporaryError(message)
    return NotOffered(message) if answer.status >= 400 else FhirFatalError(message)


def _object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in `body`, an empty one if it is none."""
    try:
        content = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


# --- from settings ----------------------------------------------------------------------------------------


def open_backend_services(settings: Settings) -> tuple[BackendService, ...]:
    """One for each `[[backend_services]]` table; nothing is called yet.

    Raises SettingsError that names the table, the key and what was expected.
    """
    services: list[BackendService] = []
    for number, client in enumerate(settings.backend_services, 1):
        service = _open(client, settings.allowed_fhir_servers, f"backend_services {number}")
        if service.base in (other.base for other in services):
            raise SettingsError(f"backend_services {number}: fhir_server: expected each server once")
        services.append(service)
    return tuple(services)


def _open(client: BackendClient, allowed: tuple[FhirAddress, ...], place: str) -> BackendService:
    base = read_address(client.fhir_server)
    if base is None or not any(base.is_at_or_below(one) for one in allowed):
        raise SettingsError(
            f"{place}: fhir_server: expected an address on the list of FHIR servers or below one, "
            f"got {client.fhir_server!r}"
        )
    token_url = read_address(client.token_url)
    if client.token_url is not None and (token_url is None or not is_encrypted(token_url)):
        raise SettingsError(f"{place}: token_url: expected a plain https address, got {client.token_url!r}")
    if not client.scope.split():
        raise SettingsError(f"{place}: scope: expected SMART scopes such as system/*.rs, got none")
    return BackendService(client, base, token_url, _read_key(client, f"{place}: key_file"))


def is_encrypted(address: FhirAddress) -> bool:
    """Whether a token on the way from there can be read by nobody else."""
    return address.scheme == "https" or address.is_loopback


def _read_key(client: BackendClient, place: str) -> Any:
    expected = (
        f"expected {_KEY_KINDS[client.algorithm]} for {client.algorithm}, as PEM or JWK without password"
    )
    try:
        content = Path(client.key_file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{place}: {client.key_file}: cannot be read: {error.strerror}") from None
    try:
        key = _parse_key(content, client)
    except (ValueError, TypeError, KeyError, jwt.PyJWTError):
        key = None
    if not _is_fitting(key, client.algorithm):
        raise SettingsError(f"{place}: {client.key_file}: {expected}")
    return key


def _parse_key(content: bytes, client: BackendClient) -> Any:
    if not content.lstrip().startswith(b"{"):
        return load_pem_private_key(content, password=None)
    parts = _object(content)
    if parts.get("kid", client.key_id) != client.key_id:
        raise ValueError("another key_id")
    return jwt.PyJWK(dict(parts), algorithm=client.algorithm).key


def _is_fitting(key: Any, algorithm: str) -> bool:
    """Whether this is a private key that the algorithm can sign with."""
    if algorithm == "ES384":
        return isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp384r1"
    return isinstance(key, RSAPrivateKey) and key.key_size >= 2048
