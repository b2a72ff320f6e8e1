"""The 24 fixture patients get the expected answers: from their Bundle, and through the hook by prefetch and fetch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.report import EXTENSION_KEY, assessment_json
from cds_service.respond import assess_collected
from cds_service.settings import Settings
from cds_service.tables.definitions import load_definitions
from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.server import EmbeddedServer
from tests.conftest import ON
from tests.other_versions import as_dstu2, as_r5, as_stu3

HOOK_PATH = "/cds-services/trd-patient-view"
SEARCHED = {
    "medications": "MedicationRequest",
    "observations": "Observation",
    "conditions": "Condition",
}

Prefetch = dict[str, Any]

each_vignette = pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)


# --- from the Bundle --------------------------------------------------------------------------------------


@each_vignette
@pytest.mark.parametrize("definition_id", sorted(vignettes()[0].expected["verdicts"]))
def test_assessed_from_its_bundle(vignette: Vignette, definition_id: str) -> None:
    assessment = assess_collected(collected_from(vignette), definition_id, ON)
    assert assessment.verdict.value == vignette.expected["verdicts"][definition_id]
    assert set(dict(assessment.other_verdicts)) | {definition_id} == set(load_definitions())
    assert_as_expected(assessment_json(assessment), vignette)


def collected_from(vignette: Vignette) -> Collected:
    rows = enumerate(vignette.bundle["entry"])
    entries = tuple(Entry(row["resource"], row.get("fullUrl"), f"entry[{n}].resource") for n, row in rows)
    return Collected(vignette.patient_id, entries)


@each_vignette
@pytest.mark.parametrize("rewrite", [as_r5, as_stu3, as_dstu2])
def test_assessed_alike_in_other_versions_of_fhir(
    vignette: Vignette, rewrite: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    collected = collected_from(vignette)
    rewritten = [replace(entry, resource=rewrite(entry.resource)) for entry in collected.entries]
    assert tuple(rewritten) != collected.entries
    expected = assess_collected(collected, "default-configurable", ON)
    read = assess_collected(replace(collected, entries=tuple(rewritten)), "default-configurable", ON)
    shown = json.dumps(assessment_json(read), default=str).replace("MedicationOrder/", "MedicationRequest/")
    assert json.loads(shown) == json.loads(json.dumps(assessment_json(expected), default=str))


# --- through the hook -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fhir() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        for vignette in vignettes():
            server.load(vignette.bundle)
        yield server


@pytest.fixture(scope="module")
def client(fhir: EmbeddedServer) -> FlaskClient:
    return create_app(Settings(embedded_fhir_server=fhir.base_url), today=lambda: ON).test_client()


@pytest.fixture(scope="module")
def searched(fhir: EmbeddedServer) -> Callable[[Vignette], Prefetch]:
    """What a client gets that runs the published templates on the embedded server."""

    def prefetch(vignette: Vignette) -> Prefetch:
        patient_id = vignette.patient_id
        return {"patient": ask(f"Patient/{patient_id}")} | {
            key: ask(f"{type_}?patient={patient_id}&_count=200") for key, type_ in SEARCHED.items()
        }

    def ask(query: str) -> Any:
        return requests.get(f"{fhir.base_url}/{query}", timeout=10).json()

    return prefetch


def sorted_by_type(vignette: Vignette) -> Prefetch:
    """A prefetch made by hand: the Bundle's entries by type, as they are; Medications beside the orders."""
    rows = vignette.bundle["entry"]

    def searchset(*types: str) -> dict[str, Any]:
        entry = [row for row in rows if row["resource"]["resourceType"] in types]
        return {"resourceType": "Bundle", "type": "searchset", "entry": entry}

    (patient,) = (row["resource"] for row in rows if row["resource"]["resourceType"] == "Patient")
    return {
        "patient": patient,
        "medications": searchset("MedicationRequest", "Medication"),
        "observations": searchset("Observation"),
        "conditions": searchset("Condition"),
        "dispenses": searchset("MedicationDispense"),
        "statements": searchset("MedicationStatement"),
        "administrations": searchset("MedicationAdministration"),
        "procedures": searchset("Procedure"),
        "questionnaires": searchset("QuestionnaireResponse"),
        "adverseEvents": searchset("AdverseEvent"),
        "allergies": searchset("AllergyIntolerance"),
        "requests": searchset("ServiceRequest"),
    }


@each_vignette
def test_by_prefetch_of_what_the_server_finds(
    vignette: Vignette, client: FlaskClient, fhir: EmbeddedServer, searched: Callable[[Vignette], Prefetch]
) -> None:
    assert_answers(client, vignette, searched(vignette), fhir.base_url)


@each_vignette
def test_by_prefetch_made_by_hand_without_a_server(vignette: Vignette, client: FlaskClient) -> None:
    assert_answers(client, vignette, sorted_by_type(vignette), None)


@each_vignette
def test_by_fetch(vignette: Vignette, client: FlaskClient, fhir: EmbeddedServer) -> None:
    assert_answers(client, vignette, {}, fhir.base_url)


@each_vignette
@pytest.mark.parametrize("given", [("patient", "medications"), ("observations", "conditions")], ids="+".join)
def test_half_by_prefetch_and_half_by_fetch(
    vignette: Vignette,
    given: tuple[str, ...],
    client: FlaskClient,
    fhir: EmbeddedServer,
    searched: Callable[[Vignette], Prefetch],
) -> None:
    prefetch = {key: value for key, value in searched(vignette).items() if key in given}
    assert_answers(client, vignette, prefetch, fhir.base_url)


def assert_answers(client: FlaskClient, vignette: Vignette, prefetch: Prefetch, server: str | None) -> None:
    body: dict[str, Any] = {
        "hook": "patient-view",
        "hookInstance": "5ae8de65-3a2c-4a1f-9d0a-0f8b6e6c1f11",
        "context": {"userId": "Practitioner/1", "patientId": vignette.patient_id},
        "prefetch": prefetch,
    }
    reply = client.post(HOOK_PATH, json=body | ({"fhirServer": server} if server else {}))
    assert reply.status_code == 200
    assert_as_expected(reply.get_json()["extension"][EXTENSION_KEY], vignette)


# --- what is expected -------------------------------------------------------------------------------------


def assert_as_expected(answer: dict[str, Any], vignette: Vignette) -> None:
    expected = vignette.expected
    chosen = answer["definition"]["id"]
    verdicts = {chosen: answer["verdict"]} | answer["otherDefinitions"]
    assert {id_: verdicts[id_] for id_ in expected["verdicts"]} == expected["verdicts"]
    assert answer["safety"]["answer"] == expected["safety"]
    assert answer.get("unread", []) == []
    if chosen == "default-configurable" and answer["verdict"] != "excluded":
        found = [trial for trial in answer.get("trials", []) if may_be_adequate_in_scope(trial)]
        told = expected["trials"]
        assert [trial.get("ingredient") for trial in found] == [trial["ingredient"] for trial in told]
        assert [{key: one.get(key) for key in facts} for one, facts in zip(found, told, strict=True)] == told


def may_be_adequate_in_scope(trial: dict[str, Any]) -> bool:
    judged = (trial["use"], trial["dose"], trial["duration"], trial["inScope"])
    return "not-met" not in judged
