"""docs/doctor.md names every check, and its sample has the form of a report."""

from __future__ import annotations

from pathlib import Path

from tests.contract.stub_server import Asked, Reply
from tests.doctor.servers import changed_server, report_on

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text("utf-8")


def test_every_check_is_explained() -> None:
    def change(asked: Asked) -> Reply | None:
        return Reply({}) if asked.path.startswith(".well-known/") else None

    with changed_server(change) as server:
        report = report_on(server.base_url)
    explained = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    ids = [check.id for check in report.checks]
    assert len(ids) == 18 and [id for id in ids if id not in explained] == []


def test_the_sample_is_of_a_real_server() -> None:
    sample = PAGE.split("```")[1]
    assert "the service can work with this server" in sample
    assert "software: HAPI FHIR Server" in sample and "24 of 24 read, 22 judged" in sample
