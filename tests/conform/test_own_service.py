"""The checker against this project's service, with all its services and the checker's FHIR server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cds_service.conform.examination import Options
from cds_service.conform.examine import examine
from cds_service.conform.results import Report, Status
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from tests.conform.checking import ON, failed, free_port, status_of
from tests.contract.conftest import running

_TRIES = 5


def report_on_ours(folder: Path, hooks_version: str = "2.0.1", **settings: Any) -> Report:
    for _ in range(_TRIES):
        port = free_port()
        allowed = (f"http://127.0.0.1:{port}/fhir",)
        store = f"sqlite:///{folder / 'feedback.sqlite3'}"
        with running(
            Settings(fhir_servers=allowed, store_url=store, requests_per_minute=100_000, **settings)
        ) as service:
            try:
                options = Options(on=ON, fhir_port=port, hooks_version=hooks_version)
                return examine(service.base_url, options)
            except SettingsError:
                continue
    raise AssertionError("no free port was to be had")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_on_ours(tmp_path_factory.mktemp("ours"))


def test_ours_keeps_every_rule(report: Report) -> None:
    assert failed(report) == {}
    assert len(report.with_status(Status.PASSED)) >= 95


def test_cards_and_the_fhir_server_were_looked_at(report: Report) -> None:
    status = status_of(report)
    for rule_id in ("CH-505", "CH-513", "CH-608", "CH-404", "CH-313", "CH-316", "CH-410", "CH-817"):
        assert status[rule_id] is Status.PASSED, rule_id


def test_nothing_is_left_open_without_a_reason(report: Report) -> None:
    for result in report.results:
        assert result.why or result.checks, result.rule.id
        assert "has to do with it" not in result.why, result.rule.id


@pytest.mark.conformance("CH-V01", "CH-V02", "CH-V11", "CH-V21")
def test_ours_keeps_the_rules_of_the_ballot_too(tmp_path: Path) -> None:
    report = report_on_ours(tmp_path, "3.0.0-ballot", cds_hooks_version="3.0.0-ballot")
    assert failed(report) == {}
    assert status_of(report)["CH-V11"] is Status.PASSED
