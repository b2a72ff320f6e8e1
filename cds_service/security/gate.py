"""Lets callers in: from the Authorization header of a call to the client behind it, by what the settings say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.errors import NotAuthenticated, SettingsError
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.outbound.network import Network
from cds_service.security.callers import DISCOVERY, FEEDBACK, Caller
from cds_service.security.key_sets import (
    LARGEST_SET_MIB,
    FetchedKeys,
    FixedKeys,
    Keys,
    KeySource,
    fetch_keys,
    read_key_set,
)
from cds_service.security.replay import UsedTokens
from cds_service.security.tokens import (
    TimeRules,
    Token,
    check_audience,
    check_header,
    check_times,
    for_the_log,
    optional_text,
    read_token,
    required_text,
    verify_signature,
)
from cds_service.settings import Client, Settings

SANDBOX = Client(
    issuer="https://sandbox.cds-hooks.org",
    jku="https://sandbox.cds-hooks.org/.well-known/jwks.json",
    name="CDS Hooks sandbox",
)
"""The public sandbox, as src/retrieve-data-helpers/jwt-generator.js of github.com/cds-hooks/sandbox signs (ES384).

Its private key stands in that repository, so a token of its proves nothing: development only.
"""


@dataclass(frozen=True)
class KnownClient:
    """A client of the settings with its keys. `tenants`: those its tokens must name, any or none if empty."""

    caller: Caller
    jku: str | None
    tenants: tuple[str, ...]
    keys: KeySource


class Gate:
    """Knows the clients and what was used. `clock` tells seconds since 1970."""

    def __init__(
        self,
        clients: Iterable[KnownClient],
        used: UsedTokens,
        rules: TimeRules,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients = {client.caller.issuer: client for client in clients}
        self._used, self._rules, self._clock = used, rules, clock

    def admit(self, authorization: str | None, endpoint: str, scope: str) -> Caller:
        """Who calls `endpoint` (the public address, without trailing slash), for which it needs `scope`.

        What costs nothing is checked first, so that only a token that could be good has keys fetched, and only
        one that is good is remembered. Raises NotAuthenticated, StoreError where a replay cannot be told, and
        Overloaded where too many wait for keys.
        """
        token = read_token(authorization)
        try:
            return self._admit(token, endpoint, scope)
        except NotAuthenticated as error:
            issuer, token_id = (for_the_log(token.claims.get(name)) for name in ("iss", "jti"))
            raise NotAuthenticated(f"{error} (iss={issuer} jti={token_id})", error.kind) from None

    def _admit(self, token: Token, endpoint: str, scope: str) -> Caller:
        claims = token.claims
        check_header(token.header)
        client = self._find_client(token)
        check_audience(claims, endpoint)
        expires = check_times(claims, self._clock(), self._rules)
        token_id = required_text(claims, "jti")
        caller = _caller(client, claims, scope)
        key = client.keys.find(token.header["kid"])
        if key is None:
            raise NotAuthenticated("header kid: none of this issuer's keys that can be used now", "key")
        verify_signature(token, key)
        if not self._used.use(caller.issuer, token_id, expires + self._rules.leeway):
            raise NotAuthenticated("claim jti: used before", "replay")
        return caller

    def _find_client(self, token: Token) -> KnownClient:
        client = self._clients.get(required_text(token.claims, "iss"))
        if client is None:
            raise NotAuthenticated("claim iss: no such client", "issuer")
        if "jku" in token.header and token.header["jku"] != client.jku:
            raise NotAuthenticated("header jku: not the one that is set for this issuer", "key")
        return client


def _caller(client: KnownClient, claims: Mapping[str, Any], scope: str) -> Caller:
    tenant = optional_text(claims, "tenant")
    if client.tenants and tenant not in client.tenants:
        raise NotAuthenticated("claim tenant: none of those that are set for this client", "tenant")
    if client.caller.scopes and scope not in client.caller.scopes:
        raise NotAuthenticated("what is called is not among the scopes of this client", "scope")
    known = client.caller
    return Caller(
        issuer=known.issuer,
        name=known.name,
        tenant=tenant,
        subject=optional_text(claims, "sub"),
        scopes=known.scopes,
        fhir_servers=known.fhir_servers,
        requests_per_minute=known.requests_per_minute,
    )


# --- from the settings ------------------------------------------------------------------------------------


def open_gate(settings: Settings, used: UsedTokens, services: Iterable[str]) -> Gate:
    """The gate for these settings and ids of services; key sets behind a `jku` are fetched when needed.

    Raises SettingsError for a `jwks_file` that cannot be used, and for scopes that there are not.
    """
    _check_scopes(settings.clients, (*services, FEEDBACK, DISCOVERY))
    clients = (*settings.clients, *((SANDBOX,) if settings.sandbox_client else ()))
    rules = TimeRules(settings.auth_leeway_seconds, settings.auth_longest_seconds)
    return Gate((_known_client(client, settings) for client in clients), used, rules)


def _check_scopes(clients: Iterable[Client], known: tuple[str, ...]) -> None:
    for client in clients:
        for scope in client.scopes:
            if scope not in known:
                raise SettingsError(
                    f"clients: scopes of {client.issuer}: expected {', '.join(known)}, got {scope}"
                )


def _known_client(client: Client, settings: Settings) -> KnownClient:
    caller = Caller(
        issuer=client.issuer,
        name=client.name or "",
        scopes=client.scopes,
        fhir_servers=_addresses(client.fhir_servers) if client.fhir_servers else None,
        requests_per_minute=client.requests_per_minute,
    )
    return KnownClient(caller, client.jku, client.allowed_tenants, _key_source(client, settings))


def _addresses(names: Iterable[str]) -> tuple[FhirAddress, ...]:
    return tuple(address for name in names if (address := read_address(name)) is not None)


def _key_source(client: Client, settings: Settings) -> KeySource:
    """The file wins: then `jku` is only what tokens may say."""
    if client.jwks_file is not None:
        return FixedKeys(_keys_of_file(client.jwks_file))
    jku = client.jku or ""
    network = Network(settings.allowed_networks)
    return FetchedKeys(
        jku, lambda: fetch_keys(jku, network), settings.key_cache_seconds, settings.key_outage_seconds
    )


def _keys_of_file(name: str) -> Keys:
    try:
        with Path(name).open("rb") as file:
            keys = read_key_set(file.read(LARGEST_SET_MIB << 20))
    except OSError as error:
        raise SettingsError(f"clients: jwks_file {name}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"clients: jwks_file {name}: {error}") from None
    if not keys:
        raise SettingsError(
            f"clients: jwks_file {name}: expected at least one public key with a kid of its own, "
            "EC P-384 or RSA of 2048 bits or more, got none"
        )
    return keys
