"""One patient with procedures, forms, adverse events and allergies, by every way in which records arrive."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.app import create_app
from cds_service.fhir_address import read_address
from cds_service.fhir_reading import read_history
from cds_service.fhir_server.access import FhirPolicy
from cds_service.fhir_source import collect
from cds_service.hook_request import HookRequest
from cds_service.input_files import read_files
from cds_service.needs import NEEDS
from cds_service.report import EXTENSION_KEY, assessment_json
from cds_service.respond import assess_collected
from cds_service.settings import Settings
from cds_service.trd.answers import Answer
from cds_service.trd.record import History, ProcedureKind
from fhir_fixtures.builders import (
    SNOMED_CT,
    adverse_event,
    allergy,
    bundle,
    condition,
    medication,
    medication_request,
    observation,
    patient,
    procedure,
    questionnaire_response,
    searchset,
)
from fhir_fixtures.loading import transaction_of
from fhir_fixtures.server import EmbeddedServer
from tests.contract.conftest import HOOK_PATH, hook_request

ON = date(2026, 6, 30)
RECORD = (
    patient(),
    condition(),
    observation(),
    medication_request("rx1", "sertraline 100 mg tablet", first_day="2025-01-01", last_day="2025-04-01"),
    procedure("ect", "bilateral ECT", performedPeriod={"start": "2025-05-01", "end": "2025-05-30"}),
    procedure("cbt", (SNOMED_CT, "302230009"), "2025-02-01"),
    procedure("taught", (SNOMED_CT, "699825005")),
    procedure("knee", "Knee replacement"),
    questionnaire_response(
        "form1", [{"linkId": "1", "text": "How are you?", "answer": [{"valueString": "well"}]}]
    ),
    adverse_event("ae1", "MedicationRequest/rx1", "2025-03-30"),
    adverse_event("ae2", "Medication/m1", "2024-03-30"),
    medication("m1", "venlafaxine 75 mg capsule"),
    allergy("al1", "fluoxetine"),
    allergy("al2", "mirtazapine", verification="refuted"),
    allergy("al3", "penicillin"),
)
OTHERS = (
    patient("p2"),
    procedure("ect2", "ECT", patient_id="p2"),
    adverse_event("ae3", "Medication/m2", "2024-03-30", patient_id="p2"),
    medication("m2", "duloxetine 60 mg capsule"),
    allergy("al4", "bupropion", patient_id="p2"),
)
REACTIONS = [("ae1", "sertraline"), ("ae2", "venlafaxine"), ("al1", "fluoxetine")]


@pytest.fixture(scope="module")
def fhir() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(page_size=1) as server:
        loaded = requests.post(server.base_url, json=transaction_of(bundle(*RECORD, *OTHERS)), timeout=20)
        assert loaded.status_code == 200
        yield server


def of_type(kind: str) -> dict[str, Any]:
    return searchset(*(resource for resource in RECORD if resource["resourceType"] == kind))


PREFETCH = {
    "patient": RECORD[0],
    **{need.key: of_type(need.resource_type) for need in NEEDS if not need.is_read},
    "medications": searchset(RECORD[3], included=[RECORD[11]]),
}


def assert_has_all(history: History) -> None:
    assert {(p.reference, p.kind, p.holds) for p in history.procedures} == {
        ("Procedure/ect", ProcedureKind.ECT, Answer.MET),
        ("Procedure/cbt", ProcedureKind.PSYCHOTHERAPY, Answer.MET),
    }
    assert sorted((r.reference.partition("/")[2], r.agent) for r in history.reactions) == REACTIONS
    assert all(r.holds is Answer.MET for r in history.reactions)
    aside = {entry.reference for entry in history.set_aside}
    assert aside == {"Procedure/taught", "AllergyIntolerance/al2"}
    assert (history.unread, history.not_looked_at) == ((), ())


def test_by_fetch(fhir: EmbeddedServer) -> None:
    base = read_address(fhir.base_url)
    assert base is not None
    request = HookRequest("patient-view", "", "", "p1", fhir_server=fhir.base_url)
    assert_has_all(read_history(collect(request, FhirPolicy((base,))), ON))


def test_by_prefetch() -> None:
    request = HookRequest("patient-view", "", "", "p1", prefetch=PREFETCH)
    assert_has_all(read_history(collect(request, FhirPolicy()), ON))


@pytest.mark.parametrize("base_url", [None, "https://ehr.example/fhir"])
def test_by_a_bundle_file(tmp_path: Path, base_url: str | None) -> None:
    file = tmp_path / "record.json"
    file.write_text(json.dumps(bundle(*RECORD, base_url=base_url)))
    (collected,) = read_files([str(file)], io.BytesIO())
    assert_has_all(read_history(collected, ON))


def test_two_patients_in_one_file_keep_what_is_theirs(tmp_path: Path) -> None:
    file = tmp_path / "both.json"
    file.write_text(json.dumps(bundle(*OTHERS, *RECORD)))
    found = {each.patient_id: read_history(each, ON) for each in read_files([str(file)], io.BytesIO())}
    assert set(found) == {"p1", "p2"}
    assert_has_all(found["p1"])
    assert [p.reference for p in found["p2"].procedures] == ["Procedure/ect2"]
    assert {r.agent for r in found["p2"].reactions} == {"duloxetine", "bupropion"}
    assert found["p2"].unread == ()


def test_the_hook_answers_alike_by_every_way(fhir: EmbeddedServer, tmp_path: Path) -> None:
    client = create_app(Settings(embedded_fhir_server=fhir.base_url), today=lambda: ON).test_client()
    replies = [
        client.post(HOOK_PATH, json=hook_request(prefetch=prefetch, fhirServer=fhir.base_url))
        for prefetch in ({}, PREFETCH, {"procedures": PREFETCH["procedures"]})
    ]
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    told = [reply.get_json()["extension"][EXTENSION_KEY] for reply in replies]
    file = tmp_path / "record.json"
    file.write_text(json.dumps(bundle(*RECORD)))
    (collected,) = read_files([str(file)], io.BytesIO())
    by_file = json.loads(json.dumps(assessment_json(assess_collected(collected, "default-configurable", ON))))
    for each in told:
        assert each["verdict"] == by_file["verdict"]
        assert in_order(each["setAside"]) == in_order(by_file["setAside"])
        assert "notLookedAt" not in each
    assert told[0] == told[1] == told[2]


def in_order(entries: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Procedure?patient=p1", {"ect", "cbt", "taught", "knee"}),
        ("QuestionnaireResponse?patient=p1", {"form1"}),
        ("AdverseEvent?subject=Patient/p1", {"ae1", "ae2"}),
        ("AdverseEvent?subject=Patient/p2&date=ge2024", {"ae3"}),
        ("AllergyIntolerance?patient=p1", {"al1", "al2", "al3"}),
        ("AllergyIntolerance?patient=Patient/p1&verification-status=refuted", {"al2"}),
    ],
)
def test_the_embedded_server_finds_them_by_patient(fhir: EmbeddedServer, query: str, ids: set[str]) -> None:
    found = requests.get(f"{fhir.base_url}/{query}&_count=50", timeout=20).json()
    assert {entry["resource"]["id"] for entry in found["entry"]} == ids


@pytest.mark.parametrize("query", ["AdverseEvent?patient=p1", "AllergyIntolerance?subject=p1"])
def test_the_embedded_server_refuses_what_r4_does_not_have(fhir: EmbeddedServer, query: str) -> None:
    assert requests.get(f"{fhir.base_url}/{query}", timeout=20).status_code == 400


def test_an_adverse_event_is_loaded_after_the_order_that_it_suspects() -> None:
    entries = transaction_of(bundle(*reversed(RECORD)))["entry"]
    types = [entry["resource"]["resourceType"] for entry in entries]
    assert types[-2:] == ["AdverseEvent", "AdverseEvent"]
