"""Browsers may call every endpoint and read every error, from the origins that the site allows."""

from __future__ import annotations

import pytest

from tests.contract.conftest import HOOK_PATH, RunningService, Serve, hook_request

ORIGIN = "https://sandbox.cds-hooks.org"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}
PATHS = ["/cds-services", HOOK_PATH, f"{HOOK_PATH}/feedback", "/health/live"]


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_succeeds_without_a_token(service: RunningService, path: str) -> None:
    reply = service.call("OPTIONS", path, headers=PREFLIGHT)
    assert reply.status_code in (200, 204)
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    allowed = reply.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "content-type"} <= {name.strip() for name in allowed.split(",")}


def test_a_preflight_from_a_public_page_to_this_machine(service: RunningService) -> None:
    headers = PREFLIGHT | {"Access-Control-Request-Private-Network": "true"}
    reply = service.call("OPTIONS", HOOK_PATH, headers=headers)
    assert reply.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        (hook_request(), HOOK_PATH, 200),
        (b"{", HOOK_PATH, 400),
        (hook_request(prefetch=None), HOOK_PATH, 412),
        (b"{}", "/cds-services/nothing", 404),
        (b"{}", "/cds-services", 405),
        (b" " * 17_000_000, HOOK_PATH, 413),
    ],
)
def test_replies_and_errors_can_be_read(
    service: RunningService, body: object, path: str, status: int
) -> None:
    reply = service.post(body, path, headers={"Origin": ORIGIN})
    assert reply.status_code == status
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in reply.headers


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (ORIGIN, ORIGIN),
        ("https://sandbox.cds-hooks.org.evil.example", None),
        ("http://sandbox.cds-hooks.org", None),
        ("null", None),
        (None, None),
    ],
)
def test_with_a_list_only_the_listed_are_allowed(
    serve: Serve, origin: str | None, allowed: str | None
) -> None:
    service = serve(cors_origins=(ORIGIN,))
    for reply in (
        service.get("/cds-services", headers={"Origin": origin}),
        service.call("OPTIONS", HOOK_PATH, headers=PREFLIGHT | {"Origin": origin}),
        service.post(b"{", headers={"Origin": origin}),
    ):
        assert reply.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Origin" in reply.headers["Vary"]
