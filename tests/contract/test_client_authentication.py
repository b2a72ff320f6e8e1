"""What a known client may call, how clients are set up, and the service as a process with authentication on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.app import announce_mode, create_app
from cds_service.errors import SettingsError
from cds_service.needs import NEEDS
from cds_service.security.gate import SANDBOX
from cds_service.settings import Client, Settings, find_problems
from fhir_fixtures.builders import patient, searchset
from tests.contract.conftest import HOOK_PATH, RunningService, Serve, hook_request
from tests.contract.process import wait_for_address
from tests.contract.signing import (
    ISSUER,
    PUBLIC,
    SERVICE_URL,
    ec_signer,
    key_set,
    key_set_bytes,
    rsa_signer,
)
from tests.contract.stub_server import Asked, Reply, StubServer

ROOT = Path(__file__).resolve().parents[2]
EHR = ec_signer()
DISCOVERY_URL = f"{PUBLIC}/cds-services"
FEEDBACK_URL = f"{SERVICE_URL}/feedback"


def with_auth(folder: Path, client: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """Settings with one client whose keys are in a file."""
    keys = folder / "keys.json"
    keys.write_bytes(key_set_bytes(EHR))
    return {
        "require_client_auth": True,
        "public_url": PUBLIC,
        "store_url": f"sqlite:///{folder / 'store.sqlite3'}",
        "clients": (Client(issuer=ISSUER, jwks_file=str(keys), **(client or {})),),
    } | settings


def signed(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {EHR.token(**claims)}"}


@pytest.mark.parametrize("discovery", [True, False])
def test_the_openapi_document_tells_what_needs_a_token(serve: Serve, tmp_path: Path, discovery: bool) -> None:
    document = serve(**with_auth(tmp_path, authenticate_discovery=discovery)).get("/openapi.json").json()
    (scheme,) = document["security"][0]
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    assert "security" not in document["paths"][HOOK_PATH]["post"]
    assert ("security" not in document["paths"]["/cds-services"]["get"]) == discovery
    assert document["paths"]["/health/live"]["get"]["security"] == []


# --- which address, which scope ---------------------------------------------------------------------------


@pytest.mark.conformance("CH-114", "CH-810")
@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/"])
def test_discovery_with_tokens(serve: Serve, tmp_path: Path, path: str) -> None:
    service = serve(**with_auth(tmp_path, authenticate_discovery=True))
    assert service.get(path).status_code == 401
    assert service.get(path, headers=signed(aud=SERVICE_URL)).status_code == 401
    assert service.get(path, headers=signed(aud=f"{DISCOVERY_URL}/")).status_code == 401
    assert service.get(path, headers=signed(aud=DISCOVERY_URL)).status_code == 200


@pytest.mark.conformance("CH-710", "CH-802")
@pytest.mark.parametrize(
    ("audience", "admitted"),
    [
        (FEEDBACK_URL, True),
        ([FEEDBACK_URL, SERVICE_URL], True),
        (SERVICE_URL, False),
        (f"{PUBLIC}/cds-services/other/feedback", False),
        (f"{FEEDBACK_URL}/", False),
        (DISCOVERY_URL, False),
    ],
)
def test_feedback_needs_its_own_address(
    serve: Serve, tmp_path: Path, audience: str | list[str], admitted: bool
) -> None:
    service = serve(**with_auth(tmp_path))
    reply = service.post({}, f"{HOOK_PATH}/feedback", headers=signed(aud=audience))
    assert (reply.status_code != 401) is admitted


@pytest.mark.parametrize(
    ("scopes", "hook", "feedback", "discovery"),
    [
        ((), True, True, True),
        (("trd-patient-view",), True, False, False),
        (("feedback",), False, True, False),
        (("discovery",), False, False, True),
        (("trd-patient-view", "feedback"), True, True, False),
    ],
)
def test_scopes(
    serve: Serve, tmp_path: Path, scopes: tuple[str, ...], hook: bool, feedback: bool, discovery: bool
) -> None:
    service = serve(**with_auth(tmp_path, {"scopes": scopes}, authenticate_discovery=True))
    statuses = (
        service.post(hook_request(), headers=signed()).status_code,
        service.post({}, f"{HOOK_PATH}/feedback", headers=signed(aud=FEEDBACK_URL)).status_code,
        service.get("/cds-services", headers=signed(aud=DISCOVERY_URL)).status_code,
    )
    assert tuple(status != 401 for status in statuses) == (hook, feedback, discovery)


@pytest.mark.conformance("CH-810")
@pytest.mark.parametrize("public", [PUBLIC, f"{PUBLIC}/"])
def test_a_slash_at_the_end_of_the_setting_or_the_path_changes_nothing(
    serve: Serve, tmp_path: Path, public: str
) -> None:
    service = serve(**with_auth(tmp_path, public_url=public))
    for path in (HOOK_PATH, f"{HOOK_PATH}/"):
        assert service.post(hook_request(), path, headers=signed()).status_code == 200


@pytest.mark.conformance("CH-801")
def test_tenants_of_a_client(serve: Serve, tmp_path: Path) -> None:
    service = serve(**with_auth(tmp_path, {"tenant": "a", "tenants": ("b",)}))
    statuses = [
        service.post(hook_request(), headers=signed(tenant=tenant)).status_code
        for tenant in ("a", "b", "c", None)
    ]
    assert statuses == [200, 200, 401, 401]


# --- FHIR servers -----------------------------------------------------------------------------------------


@pytest.fixture
def fhir() -> Iterator[StubServer]:
    def answer(asked: Asked) -> Reply:
        return Reply(patient("p1") if "Patient/" in asked.path else searchset())

    with StubServer(answer) as stub:
        yield stub


def test_a_client_names_only_its_own_fhir_servers(serve: Serve, tmp_path: Path, fhir: StubServer) -> None:
    mine, foreign = f"{fhir.base_url}/mine", f"{fhir.base_url}/foreign"
    service = serve(**with_auth(tmp_path, {"fhir_servers": (mine,)}, fhir_servers=(mine, foreign)))

    def ask(server: str) -> requests.Response:
        return service.post(hook_request(prefetch=None, fhirServer=server), headers=signed())

    assert ask(foreign).status_code == 412
    assert fhir.asked == []
    assert ask(mine).status_code == 200
    assert all(path.startswith("mine/") for path in fhir.paths)


def test_a_client_without_a_list_names_any_of_the_setting(
    serve: Serve, tmp_path: Path, fhir: StubServer
) -> None:
    service = serve(**with_auth(tmp_path, fhir_servers=(fhir.base_url,)))
    body = hook_request(prefetch=None, fhirServer=fhir.base_url)
    assert service.post(body, headers=signed()).status_code == 200


# --- keys that change -------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-806", "CH-808", "CH-814")
def test_a_new_key_is_found_at_once_and_a_flood_is_not_passed_on(serve: Serve, tmp_path: Path) -> None:
    published = [EHR]
    with StubServer(lambda _: Reply(key_set(*published))) as keys:
        client = Client(issuer=ISSUER, jku=f"{keys.base_url}/jwks.json")
        service = serve(**with_auth(tmp_path, clients=(client,)))
        assert service.post(hook_request(), headers=signed()).status_code == 200
        assert service.post(hook_request(), headers=signed()).status_code == 200
        assert len(keys.asked) == 1
        new = rsa_signer(key_id="new")
        published.append(new)
        headers = {"Authorization": f"Bearer {new.token()}"}
        assert service.post(hook_request(), headers=headers).status_code == 200
        assert len(keys.asked) == 2
        for number in range(50):
            unknown = {"Authorization": f"Bearer {EHR.token({'kid': f'unknown-{number}'})}"}
            assert service.post(hook_request(), headers=unknown).status_code == 401
        assert len(keys.asked) <= 6


def test_keys_that_cannot_be_fetched_let_nobody_in(serve: Serve, tmp_path: Path) -> None:
    with StubServer(lambda _: Reply(b"", 500)) as keys:
        client = Client(issuer=ISSUER, jku=f"{keys.base_url}/jwks.json")
        service = serve(**with_auth(tmp_path, clients=(client,)))
        assert service.post(hook_request(), headers=signed()).status_code == 401


def test_a_store_that_fails_is_503_and_nobody_gets_in(serve: Serve, tmp_path: Path) -> None:
    service = serve(**with_auth(tmp_path))
    for file in tmp_path.glob("store.sqlite3*"):
        file.unlink()
    (tmp_path / "store.sqlite3").mkdir()
    assert service.post(hook_request(), headers=signed()).status_code == 503


# --- settings ---------------------------------------------------------------------------------------------

JKU = "https://ehr.example.org/jwks.json"
HTTPS_ONLY = "clients.0.jku: expected a plain https"


def with_servers(*servers: str) -> Client:
    return Client(issuer=ISSUER, jku=JKU, fhir_servers=servers)


SOUND: dict[str, Any] = {
    "mode": "production",
    "public_url": "https://cds.example.org",
    "fhir_servers": ("https://fhir.example.org/r4",),
    "tls_terminated": True,
    "host": "0.0.0.0",
    "clients": (Client(issuer=ISSUER, jku=JKU),),
}


@pytest.mark.conformance("CH-801", "CH-818")
def test_production_starts_with_all_it_needs() -> None:
    assert find_problems(Settings(**SOUND)) == ()
    assert find_problems(Settings(**SOUND, require_client_auth=True)) == ()


@pytest.mark.conformance("CH-801", "CH-809")
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"require_client_auth": False}, "REQUIRE_CLIENT_AUTH: production needs client authentication"),
        ({"clients": ()}, "at least one [[clients]]"),
        ({"public_url": None}, "PUBLIC_URL: production needs the https address"),
        ({"public_url": "http://cds.example.org"}, "PUBLIC_URL: production needs the https address"),
        ({"sandbox_client": True}, "SANDBOX_CLIENT: expected false in production"),
        ({"clients": (Client(issuer=ISSUER),)}, "clients.0.jku: expected jku or jwks_file"),
        ({"clients": (Client(issuer=ISSUER, jku=JKU),) * 2}, "one [[clients]] table for each issuer"),
        ({"clients": (Client(issuer=ISSUER, jku="http://ehr.example.org/k"),)}, HTTPS_ONLY),
        ({"clients": (Client(issuer=ISSUER, jku="http://127.0.0.1/k"),)}, HTTPS_ONLY),
        ({"clients": (Client(issuer=ISSUER, jku="https://u@ehr.example.org/k"),)}, "clients.0.jku"),
        ({"clients": (Client(issuer=ISSUER, jku="https://ehr.example.org/k?a=b"),)}, "clients.0.jku"),
        ({"clients": (with_servers("https://fhir.example.org/other"),)}, "clients.0.fhir_servers"),
        ({"clients": (with_servers("https://fhir.example.org/r4", "fhir"),)}, "clients.0.fhir_servers"),
    ],
)  # fmt: skip
def test_what_production_refuses(changed: dict[str, Any], words: str) -> None:
    assert words in " ".join(find_problems(Settings(**SOUND | changed)))


@pytest.mark.conformance("CH-801")
@pytest.mark.parametrize(
    ("host", "more", "starts"),
    [
        ("127.0.0.1", {}, True),
        ("127.9.9.9", {}, True),
        ("::1", {}, True),
        ("localhost", {}, True),
        ("0.0.0.0", {}, False),
        ("::", {}, False),
        ("192.0.2.7", {}, False),
        ("localhost.example.org", {}, False),
        ("0.0.0.0", {"require_client_auth": True, "clients": (Client(issuer=ISSUER, jku=JKU),)}, True),
        ("127.0.0.1", {"require_client_auth": True, "sandbox_client": True}, True),
        ("0.0.0.0", {"require_client_auth": True, "sandbox_client": True}, False),
    ],
)
def test_where_anybody_may_call_only_this_machine_can(host: str, more: dict[str, Any], starts: bool) -> None:
    problems = find_problems(Settings(host=host, **more))
    assert (problems == ()) is starts
    assert all("TRD_CDS_HOST: expected a loopback address" in problem for problem in problems)


def test_keys_over_plain_http_are_for_loopback_in_development() -> None:
    def problems(jku: str) -> tuple[str, ...]:
        return find_problems(Settings(require_client_auth=True, clients=(Client(issuer=ISSUER, jku=jku),)))

    assert problems("http://127.0.0.1:9000/jwks.json") == ()
    assert problems("http://ehr.example.org/jwks.json") != ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"{", "expected a JWK Set"),
        (b"-----BEGIN PUBLIC KEY-----", "expected a JWK Set"),
        (b'{"keys": []}', "expected at least one public key"),
        (json.dumps({"keys": [EHR.private_jwk]}).encode(), "expected at least one public key"),
        (b" " * (2 << 20), "expected a JWK Set"),
    ],
)
def test_a_key_file_that_cannot_be_used_stops_the_start(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    settings = Settings(**with_auth(tmp_path))
    keys = tmp_path / "keys.json"
    if content is None:
        keys.unlink()
    else:
        keys.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(f"jwks_file {keys}")) as refused:
        create_app(settings)
    assert words in str(refused.value)


def test_a_scope_that_there_is_not_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected trd-patient-view, .*got trd-pation-view"):
        create_app(Settings(**with_auth(tmp_path, {"scopes": ("trd-pation-view",)})))


def test_a_store_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = with_auth(tmp_path, store_url=f"sqlite:///{tmp_path / 'file' / 'store.sqlite3'}")
    with pytest.raises(SettingsError, match="store cannot be opened"):
        create_app(Settings(**settings))


# --- the public sandbox -----------------------------------------------------------------------------------


def test_the_sandbox_is_a_client_only_where_the_setting_says_so(serve: Serve, tmp_path: Path) -> None:
    assert SANDBOX.issuer == "https://sandbox.cds-hooks.org"
    service = serve(**with_auth(tmp_path))
    headers = {"Authorization": f"Bearer {EHR.token(iss=SANDBOX.issuer)}"}
    assert service.post(hook_request(), headers=headers).status_code == 401


@pytest.mark.conformance("CH-W04")
def test_a_token_as_the_sandbox_signs_it(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are served here, under the name they have there."""
    with StubServer(lambda _: Reply(key_set(EHR))) as keys:
        jku = f"{keys.base_url}/.well-known/jwks.json"
        monkeypatch.setattr("cds_service.security.gate.SANDBOX", SANDBOX.model_copy(update={"jku": jku}))
        service = serve(**with_auth(tmp_path, sandbox_client=True))
        rounded_up = int(time.time()) + 1
        token = EHR.token({"jku": jku}, iss=SANDBOX.issuer, iat=rounded_up, exp=rounded_up + 300)
        headers = {"Authorization": f"Bearer {token}"}
        assert service.post(hook_request(), headers=headers).status_code == 200
        assert keys.paths == [".well-known/jwks.json"]


# --- as a process -----------------------------------------------------------------------------------------


def start(folder: Path, config: str) -> tuple[subprocess.Popen[bytes], Path]:
    (folder / "trd-cds.toml").write_text(config)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRD_CDS_")}
    environment |= {"TRD_CDS_CONFIG": str(folder / "trd-cds.toml"), "XDG_DATA_HOME": str(folder / "data")}
    log = folder / "log"
    command = [sys.executable, "-m", "cds_service", "serve", "--port", "0"]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stderr=written, env=environment, cwd=ROOT)
    return process, log


@pytest.mark.conformance("CH-813")
def test_a_replay_is_refused_by_every_worker(tmp_path: Path) -> None:
    """Each worker fetches the keys for itself: that both did shows that both were asked."""
    with StubServer(lambda _: Reply(key_set(EHR))) as keys:
        process, log = start(
            tmp_path,
            f"""
            workers = 2
            require_client_auth = true
            public_url = "{PUBLIC}"
            [[clients]]
            issuer = "{ISSUER}"
            jku = "{keys.base_url}/jwks.json"
            """,
        )
        try:
            service = RunningService(wait_for_address(log, process))
            while len(keys.asked) < 2:
                assert service.post(hook_request(), headers=signed()).status_code == 200
            for _ in range(5):
                statuses = service.post_at_once(hook_request(), 12, headers=signed())
                assert sorted(statuses) == [200] + [401] * 11
        finally:
            process.terminate()
            assert process.wait(20) == 0
    text = log.read_text()
    assert "development mode: client tokens are needed" in text
    assert text.count("used before") == 55
    assert "eyJ" not in text
    assert (tmp_path / "data" / "trd-cds" / "feedback.sqlite3").is_file()


def test_development_mode_says_that_anybody_may_call(tmp_path: Path) -> None:
    process, log = start(tmp_path, "")
    try:
        service = RunningService(wait_for_address(log, process))
        assert service.post(hook_request()).status_code == 200
    finally:
        process.terminate()
        assert process.wait(20) == 0
    assert "development mode: anybody on this machine may call" in log.read_text()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(), "anybody on this machine may call"),
        (Settings(sandbox_client=True), "anybody on this machine may call"),
        (Settings(require_client_auth=True), "client tokens are needed"),
        (
            Settings(require_client_auth=True, sandbox_client=True),
            "anybody can sign those of the public sandbox",
        ),
    ],
)
def test_development_mode_says_at_the_start_who_may_call(
    caplog: pytest.LogCaptureFixture, settings: Settings, told: str
) -> None:
    announce_mode(settings)
    (line,) = caplog.messages
    assert line.startswith("development mode: ")
    assert line.endswith(told)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('host = "0.0.0.0"', "TRD_CDS_HOST: expected a loopback address"),
        ("require_client_auth = true", "[[clients]]"),
        ('mode = "production"', "clients"),
    ],
)
def test_what_is_not_safe_does_not_start(tmp_path: Path, config: str, words: str) -> None:
    process, log = start(tmp_path, config)
    assert process.wait(30) == 2
    assert words in log.read_text()


# --- what the documentation shows -------------------------------------------------------------------------


def test_the_client_of_the_documentation_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, configuration and call as docs/security.md shows them, but for folder and port."""
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "security.md").read_text(), re.DOTALL))
    monkeypatch.chdir(tmp_path)
    make_keys, sign_call = blocks["python"].split("# each call\n")
    names: dict[str, Any] = {}
    exec(make_keys, names)
    process, log = start(tmp_path, blocks["toml"].replace("/etc/trd-cds", str(tmp_path)))
    try:
        service = RunningService(wait_for_address(log, process))
        for _ in range(2):
            exec(sign_call, names)
            headers = {"Authorization": f"Bearer {names['token']}"}
            assert service.post(hook_request(), headers=headers).status_code == 200
        assert service.post(hook_request(), headers=headers).status_code == 401
        assert service.post(hook_request()).status_code == 401
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.conformance("CH-821")
def test_the_scopes_to_register_are_those_that_are_read() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    needed, optional = re.findall(r"^\| (?:needed|read where.*?) \|(.*)\|$", text, re.MULTILINE)
    for row, is_required in ((needed, True), (optional, False)):
        named = set(re.findall(r"`patient/(\w+)\.rs`", row))
        assert named - {"Medication"} == {
            need.resource_type for need in NEEDS if need.is_required is is_required
        }
    assert "`patient/Medication.rs`" in needed
