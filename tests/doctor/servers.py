"""FHIR servers of the tests: one with fixture patients, and the same behind something that changes its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import requests

from cds_service.doctor.examine import Options, examine
from cds_service.doctor.results import Check, Report
from fhir_fixtures import vignettes
from fhir_fixtures.server import EmbeddedServer
from tests.contract.stub_server import Asked, Reply, StubServer

ON = date(2026, 6, 30)

Change = Callable[[Asked], Reply | None]
"""What is answered instead; None where the server itself answers."""
Edit = Callable[[Asked, Any], Any]
"""The JSON of the server's own answer, changed."""


@contextmanager
def fixture_server(only: tuple[int, ...] = (1, 7, 19), **settings: Any) -> Iterator[str]:
    """The base address of a server with these fixture patients."""
    with EmbeddedServer(**settings) as server:
        for vignette in vignettes(only):
            server.load(vignette.bundle)
        yield server.base_url


@contextmanager
def changed_server(
    change: Change = lambda _: None, edit: Edit | None = None, only: tuple[int, ...] = (1, 7, 19)
) -> Iterator[StubServer]:
    """A server with fixture patients some of whose answers are others."""
    with fixture_server(only) as behind:

        def answer(asked: Asked) -> Reply:
            return change(asked) or _passed_on(asked, behind, stub.base_url, edit)

        with StubServer(answer) as stub:
            yield stub


def _passed_on(asked: Asked, behind: str, base_url: str, edit: Edit | None) -> Reply:
    headers = {name: asked.headers[name] for name in ("Accept", "Content-Type") if name in asked.headers}
    url = f"{behind}/{asked.path}".replace(
        "//fhir?", "?"
    )  # links between pages lead to the base address itself
    try:
        reply = requests.request(asked.method, url, data=asked.body, headers=headers, timeout=20)
    except requests.ConnectionError:  # a question that came late: the test is over
        return Reply(b"", 502)
    content = reply.content.replace(behind.encode(), base_url.encode())
    kind = {"Content-Type": reply.headers.get("Content-Type", "")}
    if edit is None:
        return Reply(content, reply.status_code, kind)
    return Reply(edit(asked, json.loads(content)), reply.status_code, kind)


def refusing(start: str, status: int = 404) -> Change:
    """Refuses what begins so: a type, or a search."""
    body = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-supported"}]}
    return lambda asked: Reply(body, status) if asked.path.startswith(start) else None


def report_on(url: str, *patient_ids: str, **options: Any) -> Report:
    usual: dict[str, Any] = {"sample": 10, "token": None, "seconds": 10.0, "on": ON}
    return examine(url, Options(patient_ids=patient_ids, **usual | options))


def report_on_changed(change: Change = lambda _: None, edit: Edit | None = None, **options: Any) -> Report:
    only = options.pop("only", (1, 7, 19))
    with changed_server(change, edit, only) as server:
        return report_on(server.base_url, **options)


def check(report: Report, id: str) -> Check:
    (found,) = (one for one in report.all_checks if one.id == id)
    return found


def outcomes(report: Report) -> dict[str, str]:
    return {one.id: one.outcome.value for one in report.all_checks}


def not_working(report: Report) -> dict[str, str]:
    """What does not simply work, with its outcome; a fixture server has neither software nor SMART."""
    usual = {"software": "not tried", "smart-configuration": "limited"}
    return {id: outcome for id, outcome in (outcomes(report).items() - usual.items()) if outcome != "works"}
