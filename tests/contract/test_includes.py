"""Medications come along with the orders where the server sends them, and are read apart elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from fhir_fixtures.builders import condition, medication, medication_request, observation, patient, searchset
from tests.contract.conftest import Serve, authorization, hook_request
from tests.contract.stub_server import Asked, Reply, StubServer

TOKEN = "marker-token-d0d0"
INCLUDE = "_include=MedicationRequest:medication"
ORDER = medication_request("rx1", None, medicationReference={"reference": "Medication/m1"})
MEDICATION = medication("m1")
STATEMENT = {
    "resourceType": "CapabilityStatement",
    "rest": [
        {
            "mode": "server",
            "resource": [
                {"type": "MedicationRequest", "searchInclude": ["MedicationRequest:medication"]},
            ],
        }
    ],
}


def answering(
    metadata: Reply | bytes | None = None, include: Reply | None = None
) -> Callable[[Asked], Reply | bytes | None]:
    """A server whose orders refer; `include` is its answer to orders with Medications, where it has another."""

    def answer(asked: Asked) -> Reply | bytes | None:
        kind = asked.path.replace("/", "?").partition("?")[0]
        if kind == "metadata":
            return metadata
        if kind == "MedicationRequest" and INCLUDE in asked.path:
            along = {"resource": MEDICATION, "search": {"mode": "include"}}
            whole = searchset(ORDER, total=1)
            return include or Reply(whole | {"entry": [*whole["entry"], along]})
        found: dict[str, Any] = {
            "MedicationRequest": ORDER,
            "Medication": MEDICATION,
            "Observation": observation(),
            "Condition": condition(),
        }
        if kind == "Patient":
            return Reply(patient())
        return Reply(searchset(*([found[kind]] if kind in found else [])))

    return answer


def ask(serve: Serve, fhir: StubServer, times: int, **granted: Any) -> list[Any]:
    """So many calls, each with a token of its own, after a moment for what goes on beside."""
    service, replies = serve(fhir_servers=(fhir.base_url,)), []
    for number in range(times):
        access = authorization(f"{TOKEN}-{number}", **granted)
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=access)
        replies.append(service.post(body))
        wait_for_metadata(fhir, number)
    return replies


def wait_for_metadata(fhir: StubServer, number: int) -> None:
    until = time.monotonic() + (1 if number == 0 and medication_searches(fhir) else 0)
    while time.monotonic() < until and "metadata" not in fhir.paths:
        time.sleep(0.02)
    time.sleep(0.1)


def orders(fhir: StubServer) -> list[bool]:
    """Of each search of orders, whether it asked for Medications too."""
    return [INCLUDE in path for path in fhir.paths if path.startswith("MedicationRequest")]


NO_INCLUDE = {
    **STATEMENT,
    "rest": [
        {
            "mode": "server",
            "resource": [
                {"type": "MedicationRequest", "searchInclude": ["MedicationRequest:encounter"]},
            ],
        }
    ],
}


def medication_searches(fhir: StubServer) -> int:
    return len([path for path in fhir.paths if path.startswith("Medication?")])


def test_they_come_along_from_the_first_chart_on(serve: Serve) -> None:
    with StubServer(answering()) as fhir:
        replies = ask(serve, fhir, 2)
        assert orders(fhir) == [True, True]
        assert medication_searches(fhir) == 0
        assert "metadata" not in fhir.paths
    answers = [reply.json()["extension"]["org.trd-cds.assessment"] for reply in replies]
    assert [answer["trials"][0]["ingredient"] for answer in answers] == ["sertraline", "sertraline"]


@pytest.mark.parametrize("status", [400, 404, 422, 500, 501])
def test_a_server_that_refuses_it_is_asked_without_and_for_a_while_no_more(serve: Serve, status: int) -> None:
    with StubServer(answering(include=Reply(b"", status))) as fhir, StubServer(answering()) as other:
        replies = ask(serve, fhir, 3)
        asked = orders(fhir)
        assert asked == sorted(asked, reverse=True)
        assert asked.count(False) == 3
        expected = ask(serve, other, 1)[0].json()["extension"]["org.trd-cds.assessment"]
    for reply in replies:
        assert reply.json()["extension"]["org.trd-cds.assessment"]["trials"] == expected["trials"]


def test_a_server_that_does_not_show_them_to_one_may_show_them_to_the_next(serve: Serve) -> None:
    with StubServer(answering(include=Reply(b"", 403))) as fhir:
        replies = ask(serve, fhir, 2)
        assert orders(fhir) == [True, False, True, False]
    assert [reply.status_code for reply in replies] == [200, 200]


def test_a_token_that_is_not_taken_is_not_tried_in_another_way(serve: Serve) -> None:
    with StubServer(answering(include=Reply(b"", 401))) as fhir:
        replies = ask(serve, fhir, 1)
        assert orders(fhir) == [True]
    assert replies[0].status_code == 412


def test_a_total_that_counts_what_comes_along_is_no_loss(serve: Serve) -> None:
    along = {"resource": MEDICATION, "search": {"mode": "include"}}
    whole = searchset(ORDER, total=2)
    with StubServer(answering(include=Reply(whole | {"entry": [*whole["entry"], along]}))) as fhir:
        replies = ask(serve, fhir, 2)
        assert orders(fhir) == [True, False, False]
    assert [reply.status_code for reply in replies] == [200, 200]


def test_a_server_that_sends_none_along_is_asked_for_them_and_for_what_it_knows(serve: Serve) -> None:
    with StubServer(answering(Reply(NO_INCLUDE), Reply(searchset(ORDER)))) as fhir:
        replies = ask(serve, fhir, 3)
        assert orders(fhir) == [True, False, False]
        assert medication_searches(fhir) == 3
        assert fhir.paths.count("metadata") == 1
        (metadata,) = [asked for asked in fhir.asked if asked.path == "metadata"]
        assert "Authorization" not in metadata.headers
    extensions = [reply.json()["extension"] for reply in replies]
    assert extensions == [extensions[0]] * 3
    assert extensions[0]["org.trd-cds.assessment"]["trials"][0]["ingredient"] == "sertraline"


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        Reply(b"", 401),
        Reply(b"", 404),
        Reply(b"", 500),
        Reply(b"<html>"),
        Reply({"resourceType": "Bundle"}),
        Reply(STATEMENT | {"rest": "none"}),
        Reply({"resourceType": "CapabilityStatement"}),
        Reply(STATEMENT),
    ],
    ids=str,
)
def test_metadata_that_teaches_nothing_changes_nothing(serve: Serve, metadata: Reply | None) -> None:
    with StubServer(answering(metadata, Reply(searchset(ORDER)))) as fhir:
        replies = ask(serve, fhir, 3)
        assert orders(fhir) == [True] * 3
        assert medication_searches(fhir) == 3
        assert fhir.paths.count("metadata") >= 1
    assert [reply.status_code for reply in replies] == [200] * 3


def test_metadata_that_hangs_holds_nobody_up(serve: Serve) -> None:
    def answer(asked: Asked) -> Reply | bytes | None:
        if asked.path == "metadata":
            time.sleep(4)
        return answering(include=Reply(searchset(ORDER)))(asked)

    with StubServer(answer) as fhir:
        begun = time.monotonic()
        assert [reply.status_code for reply in ask(serve, fhir, 3)] == [200] * 3
        assert "metadata" in fhir.paths
        assert time.monotonic() - begun < 3.5


def test_who_may_not_see_medications_does_not_ask_for_them_with_the_orders(serve: Serve) -> None:
    scope = " ".join(
        f"patient/{kind}.rs" for kind in ("Patient", "MedicationRequest", "Observation", "Condition")
    )
    with StubServer(answering(Reply(STATEMENT))) as fhir:
        ask(serve, fhir, 3)
        before = len(orders(fhir))
        ask(serve, fhir, 1, scope=scope)
        assert orders(fhir)[before:] == [False]


def test_orders_without_references_never_ask_for_metadata(serve: Serve) -> None:
    def answer(asked: Asked) -> Reply | bytes | None:
        if asked.path.startswith("MedicationRequest"):
            return Reply(searchset(medication_request()))
        return answering(Reply(STATEMENT))(asked)

    with StubServer(answer) as fhir:
        ask(serve, fhir, 3)
        time.sleep(0.2)
        assert "metadata" not in fhir.paths


def test_the_site_that_has_includes_in_its_templates_is_asked_without_where_they_are_refused(
    serve: Serve,
) -> None:
    with StubServer(answering(include=Reply(b"", 400))) as fhir:
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=authorization(TOKEN))
        reply = serve(fhir_servers=(fhir.base_url,), prefetch_include=True).post(body)
        assert orders(fhir) == [True, False]
    assert reply.status_code == 200
