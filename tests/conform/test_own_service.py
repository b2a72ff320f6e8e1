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


@pytest.mark.conformance(
    "CH-001", "CH-003", "CH-004", "CH-005", "CH-006", "CH-007", "CH-008", "CH-101", "CH-102", "CH-103",
    "CH-105", "CH-106", "CH-107", "CH-108", "CH-109", "CH-110", "CH-111", "CH-112", "CH-113", "CH-201",
    "CH-202", "CH-203", "CH-204", "CH-205", "CH-206", "CH-207", "CH-208", "CH-209", "CH-211", "CH-301",
    "CH-302", "CH-303", "CH-304", "CH-305", "CH-306", "CH-307", "CH-308", "CH-310", "CH-311", "CH-312",
    "CH-313", "CH-314", "CH-315", "CH-316", "CH-317", "CH-318", "CH-319", "CH-320", "CH-401", "CH-402",
    "CH-403", "CH-404", "CH-406", "CH-407", "CH-408", "CH-409", "CH-410", "CH-501", "CH-502", "CH-504",
    "CH-505", "CH-506", "CH-507", "CH-508", "CH-511", "CH-512", "CH-513", "CH-514", "CH-515", "CH-516",
    "CH-517", "CH-518", "CH-601", "CH-602", "CH-603", "CH-604", "CH-606", "CH-607", "CH-608", "CH-611",
    "CH-612", "CH-613", "CH-817", "CH-H01", "CH-H09", "CH-H26", "CH-901", "CH-902", "CH-903", "CH-V01",
    "CH-V02", "CH-V03", "CH-V04", "CH-V07", "CH-V10", "CH-V17", "CH-W05",
)  # fmt: skip
def test_the_checker_saw_these_rules_hold(report: Report, request: pytest.FixtureRequest) -> None:
    """So that none of them is green for want of a card or of a FHIR server that was called."""
    marker = request.node.get_closest_marker("conformance")
    status = status_of(report)
    assert {rule_id: status[rule_id] for rule_id in marker.args if status[rule_id] is not Status.PASSED} == {}


def test_nothing_is_left_open_without_a_reason(report: Report) -> None:
    for result in report.results:
        assert result.why or result.checks, result.rule.id
        assert "has to do with it" not in result.why, result.rule.id


@pytest.mark.conformance("CH-V01", "CH-V02", "CH-V11", "CH-V21")
def test_ours_keeps_the_rules_of_the_ballot_too(tmp_path: Path) -> None:
    report = report_on_ours(tmp_path, "3.0.0-ballot", cds_hooks_version="3.0.0-ballot")
    assert failed(report) == {}
    assert status_of(report)["CH-V11"] is Status.PASSED
