"""Edges of time, tenants and scopes, with a clock that stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import NotAuthenticated, StoreError
from cds_service.security.callers import Caller
from cds_service.security.gate import Gate, KnownClient
from cds_service.security.key_sets import FixedKeys, read_key_set
from cds_service.security.replay import UsedTokens
from cds_service.security.tokens import TimeRules
from cds_service.store.engine import open_store
from tests.contract.signing import ISSUER, SERVICE_URL, ec_signer, key_set_bytes

NOW = 1_800_000_000
LEEWAY, LONGEST = 30, 600
EHR = ec_signer()
SCOPE = "trd-patient-view"


def gate(folder: Path, tenants: tuple[str, ...] = (), now: float = NOW, **caller: Any) -> Gate:
    client = KnownClient(
        Caller(issuer=ISSUER, **caller), None, tenants, FixedKeys(read_key_set(key_set_bytes(EHR)))
    )
    used = UsedTokens(open_store(f"sqlite:///{folder / 'store.sqlite3'}").engine, lambda: now)
    return Gate((client,), used, TimeRules(LEEWAY, LONGEST), lambda: now)


def token(**claims: Any) -> str:
    return "Bearer " + EHR.token(**{"iat": NOW, "exp": NOW + 300} | claims)


def is_admitted(folder: Path, **claims: Any) -> bool:
    try:
        gate(folder).admit(token(**claims), SERVICE_URL, SCOPE)
    except NotAuthenticated:
        return False
    return True


@pytest.mark.conformance("CH-812", "CH-813")
@pytest.mark.parametrize(
    ("claims", "admitted"),
    [
        ({"iat": NOW - 100, "exp": NOW}, True),
        ({"iat": NOW - 100, "exp": NOW - LEEWAY + 1}, True),
        ({"iat": NOW - 100, "exp": NOW - LEEWAY + 0.001}, True),
        ({"iat": NOW - 100, "exp": NOW - LEEWAY}, False),
        ({"iat": NOW - 100, "exp": NOW - LEEWAY - 1}, False),
        ({"iat": NOW + LEEWAY - 1}, True),
        ({"iat": NOW + LEEWAY}, True),
        ({"iat": NOW + LEEWAY + 0.5}, False),
        ({"iat": NOW + LEEWAY + 1}, False),
        ({"exp": NOW + LONGEST}, True),
        ({"exp": NOW + LONGEST + 1}, False),
        ({"iat": NOW, "exp": NOW}, False),
        ({"iat": NOW + 1, "exp": NOW}, False),
        ({"nbf": NOW + LEEWAY}, True),
        ({"nbf": NOW + LEEWAY + 1}, False),
    ],
)
def test_edges_of_time(tmp_path: Path, claims: dict[str, Any], admitted: bool) -> None:
    assert is_admitted(tmp_path, **claims) is admitted


@pytest.mark.conformance("CH-815", "CH-820")
@pytest.mark.parametrize(
    ("tenants", "tenant", "admitted"),
    [
        ((), None, True),
        ((), "anything", True),
        (("a", "b"), "a", True),
        (("a", "b"), "b", True),
        (("a", "b"), "c", False),
        (("a", "b"), "A", False),
        (("a", "b"), "", False),
        (("a", "b"), None, False),
    ],
)
def test_tenants(tmp_path: Path, tenants: tuple[str, ...], tenant: str | None, admitted: bool) -> None:
    if not admitted:
        with pytest.raises(NotAuthenticated, match="tenant"):
            gate(tmp_path, tenants).admit(token(tenant=tenant), SERVICE_URL, SCOPE)
        return
    caller = gate(tmp_path, tenants, name="EHR").admit(token(tenant=tenant, sub="s"), SERVICE_URL, SCOPE)
    assert (caller.issuer, caller.name, caller.tenant, caller.subject) == (ISSUER, "EHR", tenant or "", "s")


@pytest.mark.parametrize(
    ("scopes", "scope", "admitted"),
    [
        ((), "trd-patient-view", True),
        ((), "feedback", True),
        (("trd-patient-view",), "trd-patient-view", True),
        (("trd-patient-view",), "feedback", False),
        (("trd-patient-view",), "trd-order-sign", False),
        (("feedback", "discovery"), "feedback", True),
        (("feedback", "discovery"), "trd-patient-view", False),
    ],
)
def test_scopes(tmp_path: Path, scopes: tuple[str, ...], scope: str, admitted: bool) -> None:
    known = gate(tmp_path, scopes=scopes)
    if admitted:
        assert known.admit(token(), SERVICE_URL, scope).scopes == scopes
        return
    with pytest.raises(NotAuthenticated, match="scopes"):
        known.admit(token(), SERVICE_URL, scope)


@pytest.mark.parametrize(
    ("header", "claims", "kind"),
    [
        ({"typ": None}, {}, "header"),
        ({"kid": None}, {}, "claim"),
        ({"kid": "other"}, {}, "key"),
        ({"jku": "https://evil.example.org"}, {}, "key"),
        ({}, {"iss": "https://evil.example.org"}, "issuer"),
        ({}, {"aud": "https://evil.example.org"}, "audience"),
        ({}, {"exp": NOW - 100}, "time"),
        ({}, {"jti": None}, "claim"),
        ({}, {"tenant": "other"}, "tenant"),
        ({}, {"tenant": "a", "jti": "used"}, "replay"),
    ],
)
def test_refusals_can_be_counted_by_kind(
    tmp_path: Path, header: dict[str, Any], claims: dict[str, Any], kind: str
) -> None:
    known = gate(tmp_path, tenants=("a",))
    known.admit(token(tenant="a", jti="used"), SERVICE_URL, SCOPE)
    sent = "Bearer " + EHR.token(header, **{"iat": NOW, "exp": NOW + 300, "tenant": "a"} | claims)
    with pytest.raises(NotAuthenticated) as refused:
        known.admit(sent, SERVICE_URL, SCOPE)
    assert refused.value.kind == kind


def test_a_call_without_a_token_is_of_the_first_kind(tmp_path: Path) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        gate(tmp_path).admit(None, SERVICE_URL, SCOPE)
    assert refused.value.kind == "token"


def test_a_store_that_cannot_be_asked_lets_nobody_in(tmp_path: Path) -> None:
    known = gate(tmp_path)
    for file in tmp_path.glob("store.sqlite3*"):
        file.unlink()
    (tmp_path / "store.sqlite3").mkdir()
    with pytest.raises(StoreError):
        known.admit(token(), SERVICE_URL, SCOPE)


def test_a_jti_is_remembered_as_long_as_its_token_could_be_used(tmp_path: Path) -> None:
    sent = token(exp=NOW + 300)
    gate(tmp_path).admit(sent, SERVICE_URL, SCOPE)
    last_moment = gate(tmp_path, now=NOW + 300 + LEEWAY - 0.01)
    with pytest.raises(NotAuthenticated, match="used before"):
        last_moment.admit(sent, SERVICE_URL, SCOPE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://ehr.example.org/a~b@c", True),
        ("0f9c-11:2", True),
        ("two words", False),
        ("line\nbreak", False),
        ("eyJhbGciOiJub25lIn0.eyJ9.", False),
        ("x" * 201, False),
        ("", False),
        (7, False),
        (None, False),
    ],
)
def test_only_plain_ids_of_a_stranger_reach_the_log(tmp_path: Path, value: object, shown: bool) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        gate(tmp_path).admit(token(iss=value or "", jti=value), SERVICE_URL, SCOPE)
    assert (f"iss={value} jti={value}" in str(refused.value)) is shown
    assert ("(not shown)" in str(refused.value)) is not shown
