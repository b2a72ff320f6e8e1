"""One suite, three servers: whatever serves the fixture patients, the answers are those of their Bundles.

`make test-hapi` builds HAPI and runs it; `TRD_CDS_HAPI_URL` runs the same against any HAPI that is up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.errors import FhirServerError
from cds_service.fhir_server import client as fhir_client
from cds_service.fhir_source import fetch_collected
from cds_service.report import EXTENSION_KEY
from cds_service.respond import assess_collected
from cds_service.settings import Settings
from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.builders import LOINC, observation
from fhir_fixtures.loading import delete_fixtures, load_fixtures, transaction_of
from fhir_fixtures.references import with_references_renamed
from tests.conftest import ON
from tests.contract.conftest import RunningService, hook_request, running
from tests.hapi.manners import manners_of
from tests.hapi.servers import SERVERS
from tests.test_vignettes import assert_as_expected, collected_from

each_vignette = pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "fhir-servers.md"
EVIDENCE = ("MedicationRequest", "Observation", "Condition")


@pytest.fixture(scope="module", params=SERVERS)
def fhir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a server with the fixture patients, which were loaded once."""
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as url:
        loaded = load_fixtures(url)
        assert len(loaded) == 24
        yield url
        delete_fixtures(url)


@pytest.fixture(scope="module")
def service(fhir: str) -> Iterator[RunningService]:
    with running(Settings(fhir_servers=(fhir,), fetch_seconds=60, quiet_days=0)) as started:
        yield started


# --- the answers ------------------------------------------------------------------------------------------


@each_vignette
def test_the_command_gives_the_expected_answer(fhir: str, vignette: Vignette) -> None:
    command = [sys.executable, "-m", "cds_service", "assess", "--fhir-server", fhir]
    command += ["--patient", vignette.patient_id, "--on", str(ON), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_as_expected(json.loads(done.stdout), vignette)


@each_vignette
def test_the_hook_fetches_and_gives_the_expected_answer(
    service: RunningService, fhir: str, vignette: Vignette
) -> None:
    reply = service.post(request_about(vignette, fhir)).json()
    assert_as_expected(reply["extension"][EXTENSION_KEY], vignette)


def request_about(vignette: Vignette, fhir: str) -> dict[str, Any]:
    context = {"userId": "Practitioner/1", "patientId": vignette.patient_id}
    return hook_request(context=context, prefetch=None, fhirServer=fhir)


@each_vignette
def test_small_pages_change_nothing(fhir: str, vignette: Vignette, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_client, "PAGE_SIZE", 2)
    fetched = fetch_collected(fhir, vignette.patient_id)
    here = assess_collected(collected_from(vignette), "default-configurable", ON)
    there = assess_collected(fetched, "default-configurable", ON)
    assert there.verdict is here.verdict
    assert [t.trial.name for t in there.trials] == [t.trial.name for t in here.trials]


def test_a_record_too_long_to_list_gives_the_same_answer(fhir: str) -> None:
    """600 laboratory results around the scores: what is asked for by category and code decides the same."""
    (vignette,) = vignettes([2])
    before = fetch_collected(fhir, vignette.patient_id)
    results = [laboratory_result(number, vignette.patient_id) for number in range(600)]
    try:
        send(fhir, [put(result) for result in results])
        fetched = fetch_collected(fhir, vignette.patient_id)
    finally:
        send(fhir, [{"request": {"method": "DELETE", "url": f"Observation/{r['id']}"}} for r in results])
    assert any(unread.problem.startswith("the record is long") for unread in fetched.unread)
    assert len(fetched.entries) < len(before.entries) + 600
    whole, long = (assess_collected(one, "default-configurable", ON) for one in (before, fetched))
    assert (long.verdict, long.trials) == (whole.verdict, whole.trials)


def test_what_was_filed_a_moment_ago_is_found(fhir: str) -> None:
    (vignette,) = vignettes([3])
    before = fetch_collected(fhir, vignette.patient_id)
    filed = laboratory_result(0, vignette.patient_id)
    try:
        send(fhir, [put(filed)])
        after = fetch_collected(fhir, vignette.patient_id)
    finally:
        send(fhir, [{"request": {"method": "DELETE", "url": f"Observation/{filed['id']}"}}])
    assert len(after.entries) == len(before.entries) + 1


def laboratory_result(number: int, patient_id: str) -> dict[str, Any]:
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}
    code = (LOINC, "777-3")
    return observation(
        f"trd-lab-{number}", code, 1, "2025-10-01", patient_id, category=[{"coding": [category]}]
    )


def put(resource: dict[str, Any]) -> dict[str, Any]:
    request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return {"resource": resource, "request": request}


def send(fhir: str, entries: list[dict[str, Any]]) -> None:
    """As transactions of a hundred."""
    for first in range(0, len(entries), 100):
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries[first : first + 100]}
        requests.post(fhir, json=bundle, timeout=60).raise_for_status()


def test_medications_may_be_included(fhir: str) -> None:
    """All patients once more, with `_include` in the search of prescriptions."""
    with running(Settings(fhir_servers=(fhir,), fetch_seconds=60, prefetch_include=True)) as service:
        for vignette in vignettes():
            reply = service.post(request_about(vignette, fhir)).json()
            assert (
                reply["extension"][EXTENSION_KEY]["verdict"]
                == vignette.expected["verdicts"]["default-configurable"]
            ), vignette.name


@pytest.mark.parametrize("number", [7, 11])
def test_ids_that_the_server_gives_change_nothing(fhir: str, number: int) -> None:
    """Numbers on HAPI: a whole chart is created, with Medications and results that refer to each other."""
    (vignette,) = vignettes([number])
    created = created_anew(fhir, vignette)
    try:
        (patient,) = (address for address in created if address.startswith("Patient/"))
        there = assess_collected(
            fetch_collected(fhir, patient.removeprefix("Patient/")), "default-configurable", ON
        )
    finally:
        for address in reversed(created):
            assert requests.delete(f"{fhir}/{address}", timeout=60).ok
    here = assess_collected(collected_from(vignette), "default-configurable", ON)
    assert there.verdict is here.verdict
    assert [t.trial.name for t in there.trials] == [t.trial.name for t in here.trials]
    assert there.unread == here.unread


def created_anew(fhir: str, vignette: Vignette) -> list[str]:
    """The chart of this patient once more, each resource under an id that the server chose."""
    entries = transaction_of(vignette.bundle)["entry"]
    names = {entry["request"]["url"]: f"urn:uuid:{uuid.uuid4()}" for entry in entries}
    new = [
        {
            "fullUrl": names[entry["request"]["url"]],
            "resource": {
                k: v for k, v in with_references_renamed(entry["resource"], names).items() if k != "id"
            },
            "request": {"method": "POST", "url": entry["resource"]["resourceType"]},
        }
        for entry in entries
    ]
    body = {"resourceType": "Bundle", "type": "transaction", "entry": new}
    answer = requests.post(fhir, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    locations = [entry["response"]["location"].partition("/_history")[0] for entry in answer.json()["entry"]]
    return ["/".join(location.split("/")[-2:]) for location in locations]


# --- what goes wrong --------------------------------------------------------------------------------------


def test_a_patient_that_is_not_there_is_412(service: RunningService, fhir: str) -> None:
    context = {"userId": "Practitioner/1", "patientId": "nobody-of-this-name"}
    reply = service.post(hook_request(context=context, prefetch=None, fhirServer=fhir))
    assert reply.status_code == 412
    assert "patient" in reply.text


def test_a_deleted_patient_is_an_error_and_no_empty_record(fhir: str) -> None:
    patient = {"resourceType": "Patient", "id": "trd-to-be-deleted", "birthDate": "1980-01-01"}
    assert requests.put(f"{fhir}/Patient/{patient['id']}", json=patient, timeout=60).ok
    assert requests.delete(f"{fhir}/Patient/{patient['id']}", timeout=60).ok
    with pytest.raises(FhirServerError):
        fetch_collected(fhir, str(patient["id"]))


# --- loading ----------------------------------------------------------------------------------------------


def test_loading_again_changes_nothing(fhir: str) -> None:
    before = {kind: number_of(fhir, kind) for kind in EVIDENCE}
    load_fixtures(fhir, only=[1, 2])
    assert {kind: number_of(fhir, kind) for kind in EVIDENCE} == before


def test_what_was_loaded_can_be_taken_back(fhir: str) -> None:
    (one,) = vignettes([24])
    try:
        delete_fixtures(fhir, only=[24])
        with pytest.raises(FhirServerError):
            fetch_collected(fhir, one.patient_id)
        assert delete_fixtures(fhir, only=[24]) == [f"Patient/{one.patient_id}"]  # once more is no error
    finally:
        load_fixtures(fhir, only=[24])
    assert fetch_collected(fhir, one.patient_id).entries


def number_of(fhir: str, kind: str) -> int:
    """How many there are of this type, whatever pages they come in."""
    found, url = 0, f"{fhir}/{kind}?_count=50"
    while url:
        page = requests.get(url, headers={"Cache-Control": "no-cache"}, timeout=60).json()
        found += len(page.get("entry", []))
        url = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), "")
    return found


def test_a_vignette_is_the_same_patient_on_each_server(fhir: str) -> None:
    (one,) = vignettes([1])
    fetched = assess_collected(fetch_collected(fhir, one.patient_id), "default-configurable", ON)
    here = assess_collected(collected_from(one), "default-configurable", ON)
    assert [r.text for r in fetched.reasons] == [r.text for r in here.reasons]
    assert fetched.unread == here.unread == ()


def test_the_page_tells_how_this_server_behaves(fhir: str, request: pytest.FixtureRequest) -> None:
    """`python -m tests.hapi.manners > docs/fhir-servers.md` writes it anew."""
    name = request.node.callspec.params["fhir"]
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line[:1] == "|"]
    column = rows[0].index(name)
    assert {row[0]: row[column] for row in rows[2:]} == manners_of(fhir)
