"""Runs the checker against services of the tests."""

from __future__ import annotations

import socket
from datetime import date
from typing import Any

from cds_service.conform.examination import Options
from cds_service.conform.examine import examine
from cds_service.conform.results import Report, Status
from cds_service.errors import SettingsError
from tests.conform.door import Door
from tests.conform.faulty_service import running_sample

ON = date(2026, 6, 30)
_TRIES = 5


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def report_on_sample(*faults: str, door: Door | None = None, **options: Any) -> Report:
    """The report about a sample service with these faults, which may call the checker's FHIR server."""
    for _ in range(_TRIES):
        port = free_port()
        with running_sample(*faults, fhir_server=f"http://127.0.0.1:{port}/fhir", door=door) as base_url:
            try:
                return examine(base_url, Options(**{"on": ON, "fhir_port": port} | options))
            except SettingsError:
                continue  # another program took the port in the meantime
    raise AssertionError("no free port was to be had")


def failed(report: Report) -> dict[str, list[str]]:
    """The failed rules with what was seen."""
    return {
        result.rule.id: [str(finding) for finding in result.findings]
        for result in report.with_status(Status.FAILED)
    }


def status_of(report: Report) -> dict[str, Status]:
    return {result.rule.id: result.status for result in report.results}


def why(report: Report, rule_id: str) -> str:
    (result,) = (result for result in report.results if result.rule.id == rule_id)
    return result.why
