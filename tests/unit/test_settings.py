"""Where settings come from, and how a wrong one stops the start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.app import create_app
from cds_service.errors import SettingsError
from cds_service.settings import Settings, find_problems, load_settings
from cds_service.terminology import open_terminology


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("TRD_CDS_"):
            monkeypatch.delenv(name)


def test_the_defaults_are_safe_for_a_laptop() -> None:
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert settings.allowed_fhir_servers == ()
    assert settings.allowed_origins is None
    assert not settings.needs_client_auth
    assert settings.max_body_bytes == 16 * 1024 * 1024
    assert settings.definition == "default-configurable"


def test_the_environment_wins_over_the_file_and_options_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_config(monkeypatch, tmp_path, 'port = 1001\nworkers = 3\nfetch_seconds = 4.5\nlog_level = "error"')
    monkeypatch.setenv("TRD_CDS_PORT", "1002")
    monkeypatch.setenv("TRD_CDS_WORKERS", "4")
    settings = load_settings(workers=5)
    assert (settings.port, settings.workers, settings.fetch_seconds) == (1002, 5, 4.5)
    assert settings.log_level == "error"


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("https://a.example.org/fhir", ["https://a.example.org/fhir"]),
        (
            "https://a.example.org/fhir/ , http://B:8080/r4,",
            ["https://a.example.org/fhir", "http://b:8080/r4"],
        ),
        ("", []),
    ],
)
def test_lists_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, addresses: list[str]
) -> None:
    monkeypatch.setenv("TRD_CDS_FHIR_SERVERS", text)
    assert [address.url for address in load_settings().allowed_fhir_servers] == addresses


def test_a_file_may_hold_arrays_and_clients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_config(
        monkeypatch,
        tmp_path,
        """
        fhir_servers = ["https://a.example.org/fhir"]
        cors_origins = ["https://ehr.example.org"]
        [[clients]]
        issuer = "https://ehr.example.org"
        jku = "https://ehr.example.org/jwks.json"
        fhir_servers = ["https://a.example.org/fhir"]
        """,
    )
    settings = load_settings()
    assert settings.fhir_servers == ("https://a.example.org/fhir",)
    assert settings.allowed_origins == ("https://ehr.example.org",)
    assert settings.clients[0].issuer == "https://ehr.example.org"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TRD_CDS_PROT", "1", ["TRD_CDS_PROT", "no setting has this name"]),
        ("TRD_CDS_CLIENTS", "[]", ["TRD_CDS_CLIENTS", "no setting has this name"]),
        ("TRD_CDS_PORT", "http", ["TRD_CDS_PORT", "valid integer", "'http'"]),
        ("TRD_CDS_PORT", "65536", ["TRD_CDS_PORT", "less than or equal to 65535", "'65536'"]),
        ("TRD_CDS_MODE", "prod", ["TRD_CDS_MODE", "'development' or 'production'", "'prod'"]),
        ("TRD_CDS_FETCH_SECONDS", "0", ["TRD_CDS_FETCH_SECONDS", "greater than 0"]),
        ("TRD_CDS_FETCH_SECONDS", "nan", ["TRD_CDS_FETCH_SECONDS"]),
        ("TRD_CDS_MAX_BODY_MB", "-1", ["TRD_CDS_MAX_BODY_MB", "greater than 0"]),
        ("TRD_CDS_TLS_TERMINATED", "perhaps", ["TRD_CDS_TLS_TERMINATED", "boolean"]),
        ("TRD_CDS_FHIR_SERVERS", "https://u:p@a/fhir", ["TRD_CDS_FHIR_SERVERS", "base addresses"]),
        ("TRD_CDS_TERMINOLOGY_SERVER", "tx.example.org", ["TRD_CDS_TERMINOLOGY_SERVER", "base addresses"]),
        ("TRD_CDS_TERMINOLOGY_SERVER", "https://tx/fhir?a=b", ["TRD_CDS_TERMINOLOGY_SERVER", "without"]),
        ("TRD_CDS_TERMINOLOGY_KIND", "umls", ["TRD_CDS_TERMINOLOGY_KIND", "'fhir' or 'rxnav'", "'umls'"]),
        ("TRD_CDS_TERMINOLOGY_SECONDS", "0", ["TRD_CDS_TERMINOLOGY_SECONDS", "greater than 0"]),
        ("TRD_CDS_CORS_ORIGINS", "https://a.example.org/x", ["TRD_CDS_CORS_ORIGINS", "origins"]),
        ("TRD_CDS_PRIVATE_NETWORKS", "10.2.0.1/16", ["TRD_CDS_PRIVATE_NETWORKS", "10.2.0.0/16"]),
        ("TRD_CDS_PRIVATE_NETWORKS", "intranet", ["TRD_CDS_PRIVATE_NETWORKS", "networks such as"]),
        ("TRD_CDS_PUBLIC_URL", "cds.example.org", ["TRD_CDS_PUBLIC_URL", "http(s) address"]),
        ("TRD_CDS_REQUIRE_CLIENT_AUTH", "true", ["[[clients]]"]),
        ("TRD_CDS_AUTHENTICATE_DISCOVERY", "true", ["AUTHENTICATE_DISCOVERY", "REQUIRE_CLIENT_AUTH=true"]),
        ("TRD_CDS_MAX_DEPTH", "9", ["TRD_CDS_MAX_DEPTH", "greater than or equal to 10"]),
        ("TRD_CDS_CDS_HOOKS_VERSION", "3.0", ["TRD_CDS_CDS_HOOKS_VERSION", "'2.0.1' or '3.0.0-ballot'"]),
        ("TRD_CDS_LOG_FORMAT", "xml", ["TRD_CDS_LOG_FORMAT", "'json' or 'text'"]),
        ("TRD_CDS_QUIET_DAYS", "-1", ["TRD_CDS_QUIET_DAYS", "greater than or equal to 0"]),
    ],
)
def test_a_wrong_variable_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert_refused(words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("prot = 1", ["prot", "no setting has this name"]),
        ('port = "http"', ["port", "valid integer", "'http'"]),
        ("port = ", ["expected TOML"]),
        ('[[clients]]\nname = "x"', ["clients.0.issuer", "required"]),
        ('[[clients]]\nissuer = ""', ["clients.0.issuer", "expected a text that is not empty"]),
        ('[clients]\nissuer = "x"', ["clients", "expected an array"]),
        ('[[clients]]\nissuer = "x"\nscopes = "feedback"', ["clients.0.scopes", "expected an array"]),
        ('[[clients]]\nissuer = "x"\nsecret = "y"', ["clients.0.secret", "no setting has this name"]),
    ],
)
def test_a_wrong_file_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, words: list[str]
) -> None:
    path = write_config(monkeypatch, tmp_path, content)
    assert_refused([str(path), *words])


def test_a_file_that_is_not_there_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRD_CDS_CONFIG", str(tmp_path / "none.toml"))
    assert_refused(["none.toml", "cannot be read"])


def test_a_password_in_the_store_address_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_config(monkeypatch, tmp_path, 'store_url = ["postgresql://u:secret@h/d"]')
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "secret" not in str(refused.value)


def test_production_refuses_to_start_and_says_everything_it_lacks() -> None:
    problems = " ".join(find_problems(Settings(mode="production")))
    for words in ("client authentication", "FHIR_SERVERS", "TLS_TERMINATED"):
        assert words in problems


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fhir_servers": ("http://fhir.example.org/r4",)}, "https"),
        ({"terminology_server": "http://tx.example.org/fhir"}, "TERMINOLOGY_SERVER: expected https"),
        ({"embedded_fhir_server": "http://127.0.0.1:8090/fhir"}, "EMBEDDED_FHIR_SERVER"),
    ],
)
def test_production_refuses_what_only_a_laptop_may_have(settings: dict[str, object], words: str) -> None:
    without = find_problems(Settings(mode="production", fhir_servers=("https://fhir.example.org/r4",)))
    given = {"fhir_servers": ("https://fhir.example.org/r4",)} | settings
    added = set(find_problems(Settings(mode="production", **given))) - set(without)
    assert words in " ".join(added)


@pytest.mark.parametrize("address", ["https://tx.example.org/fhir", "http://127.0.0.1:8080/fhir"])
def test_production_may_ask_a_terminology_service_nobody_can_overhear(address: str) -> None:
    given = Settings(mode="production", terminology_server=address)
    assert find_problems(given) == find_problems(Settings(mode="production"))


def test_there_is_no_terminology_service_unless_one_is_named() -> None:
    assert open_terminology(Settings()) is None
    assert open_terminology(Settings(terminology_server="https://tx.example.org/fhir")) is not None


def test_private_networks_are_those_named_and_in_development_the_machine_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRD_CDS_PRIVATE_NETWORKS", "10.2.0.0/16, fd00:1::/32")
    named = ["10.2.0.0/16", "fd00:1::/32"]
    assert [str(one) for one in load_settings().allowed_networks] == ["127.0.0.0/8", "::1/128", *named]
    assert [str(one) for one in Settings(mode="production").allowed_networks] == named
    monkeypatch.delenv("TRD_CDS_PRIVATE_NETWORKS")
    assert Settings(mode="production").allowed_networks == ()


def test_the_app_itself_refuses_production_and_unknown_definitions() -> None:
    with pytest.raises(SettingsError, match="client authentication"):
        create_app(Settings(mode="production"))
    with pytest.raises(SettingsError, match="default-configurable"):
        create_app(Settings(definition="nothing"))


def test_every_setting_stands_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        in_file_only = name in ("clients", "backend_services")
        assert (f"`[[{name}]]`" if in_file_only else f"`TRD_CDS_{name.upper()}`") in text


def test_the_documented_defaults_are_those_of_the_code() -> None:
    """Where the default is a plain value; those that depend on the mode or on the machine are told in words."""
    told = dict(_documented_defaults())
    for name, field in Settings.model_fields.items():
        if field.default in (None, ()) or name == "requests_per_minute":
            assert any(
                words in told[name] for words in ("none", "from ", "in development", "XDG_", "unless set")
            ), name
        else:
            assert told[name].replace(",", "") == _as_written(field.default), name


def _documented_defaults() -> Iterator[tuple[str, str]]:
    """Name and last column of each row, without marks; two names in one row have two defaults."""
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith(("| `TRD_CDS_", "| `[[")):
            continue
        first, *_, last = (cell.strip() for cell in line.strip("|").split(" | "))
        names = [name.lower() for name in re.findall(r"`(?:TRD_CDS_|\[\[)(\w+)", first)]
        defaults = (
            last.rstrip(" |").replace("`", "").split(", ") if len(names) > 1 else [last.replace("`", "")]
        )
        yield from zip(names, (default.rstrip(" |") for default in defaults), strict=True)


def _as_written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_naming_the_errors_does_not_load_pydantic() -> None:
    code = "import sys, cds_service.errors, cds_service.hook_request; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def write_config(monkeypatch: pytest.MonkeyPatch, folder: Path, content: str) -> Path:
    path = folder / "trd-cds.toml"
    path.write_text(content, encoding="utf-8")
    monkeypatch.setenv("TRD_CDS_CONFIG", str(path))
    return path


def assert_refused(words: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings()
    for word in words:
        assert word in str(refused.value)
