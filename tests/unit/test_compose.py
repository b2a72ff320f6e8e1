"""`compose.yaml` and the Dockerfile name settings that exist, and open nothing beyond this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    return found


def test_ports_are_open_on_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_service_would_start_with_these_settings(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With one client in the settings file, which is all that is asked for."""
    file = tmp_path / "trd-cds.toml"
    file.write_text(
        '[[clients]]\nissuer = "https://ehr.example.org"\njku = "https://ehr.example.org/jwks.json"\n'
    )
    for name, value in services["trd-cds"]["environment"].items():
        monkeypatch.setenv(name, value.replace("${TRD_CDS_STORE_PASSWORD}", "secret"))
    monkeypatch.setenv("TRD_CDS_CONFIG", str(file))
    monkeypatch.setenv("TRD_CDS_HOST", "0.0.0.0")
    settings = load_settings()
    assert settings.needs_client_auth
    assert not settings.lets_anyone_call


def test_it_runs_without_root_and_with_nothing_to_write_to(services: dict[str, Any]) -> None:
    assert services["trd-cds"]["read_only"] is True
    assert services["trd-cds"]["cap_drop"] == ["ALL"]


def test_the_dockerfile_names_settings_that_exist() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    names = re.findall(r"TRD_CDS_(\w+)=", text)
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)
