"""The 24 fixture patients get the answers of their Bundles from servers with the manners of real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from cds_service.errors import MissingEvidence
from cds_service.fhir_address import read_address
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_server.access import FhirPolicy
from cds_service.fhir_source import collect
from cds_service.hook_request import HookRequest
from cds_service.report import assessment_json
from cds_service.respond import assess_collected
from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.server_profiles import (
    EPIC_LIKE,
    HAPI,
    LENIENT,
    ORACLE_LIKE,
    PROFILES,
    R5,
    STU3,
    US_CORE_MINIMUM,
    Profile,
    ProfiledServer,
)
from tests.conftest import ON

DEFINITION = "default-configurable"

by_name = {profile.name: profile for profile in PROFILES}


@pytest.fixture(scope="module", params=by_name)
def server(request: pytest.FixtureRequest) -> Iterator[ProfiledServer]:
    with loaded(ProfiledServer(by_name[request.param])) as running:
        yield running


def loaded(server: ProfiledServer) -> ProfiledServer:
    for vignette in vignettes():
        server.load(vignette.bundle)
    return server


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
def test_a_server_as_it_is_gives_the_verdicts_of_the_bundle(
    server: ProfiledServer, vignette: Vignette
) -> None:
    expected = facts_of(from_bundle(vignette))
    found = facts_of(from_server(server, vignette.patient_id))
    assert found == expected


def facts_of(collected: Collected) -> dict[str, Any]:
    """What the rules say; not where each resource was read, nor what is merely remarked upon."""
    answer = assessment_json(assess_collected(collected, DEFINITION, ON))
    trials = [
        {key: trial.get(key) for key in ("ingredient", "use", "dose", "duration", "outcome", "inScope")}
        for trial in answer.get("trials", [])
    ]
    return {
        "verdicts": {"chosen": answer["verdict"]} | answer["otherDefinitions"],
        "safety": answer["safety"]["answer"],
        "failed": answer.get("failedTrials"),
        "trials": trials,
    }


def from_bundle(vignette: Vignette) -> Collected:
    rows = enumerate(vignette.bundle["entry"])
    entries = tuple(Entry(row["resource"], row.get("fullUrl"), f"entry[{n}].resource") for n, row in rows)
    return Collected(vignette.patient_id, entries)


def from_server(server: ProfiledServer, patient_id: str, prefetch: Any = None) -> Collected:
    base = read_address(server.base_url)
    assert base is not None
    request = HookRequest(
        "patient-view", "", "Practitioner/1", patient_id, fhir_server=server.base_url, prefetch=prefetch or {}
    )
    return collect(request, FhirPolicy((base,), allow_plain_http=True, fetch_seconds=20))


# --- pages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [HAPI, ORACLE_LIKE], ids=lambda profile: profile.name)
def test_pages_that_are_gone_once_are_asked_for_anew(profile: Profile) -> None:
    vignette = longest()
    with loaded(ProfiledServer(replace(profile, page_size=2, largest_page=2))) as server:
        server.pages_to_expire = 1
        assert facts_of(from_server(server, vignette.patient_id)) == facts_of(from_bundle(vignette))
        assert server.pages_to_expire == 0


def test_pages_that_are_always_gone_leave_no_verdict() -> None:
    with loaded(ProfiledServer(replace(HAPI, page_size=2, largest_page=2))) as server:
        server.pages_to_expire = 1000
        with pytest.raises(MissingEvidence, match="answered 410"):
            from_server(server, longest().patient_id)


def longest() -> Vignette:
    """The fixture patient with the most results."""
    return max(vignettes(), key=lambda vignette: len(vignette.bundle["entry"]))


# --- what the profiles are --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "query", "status"),
    [
        (EPIC_LIKE, "Observation?patient=p1", 400),
        (EPIC_LIKE, "Observation?patient=p1&category=survey", 200),
        (EPIC_LIKE, "Observation?patient=p1&code=44261-6", 200),
        (EPIC_LIKE, "Condition?patient=p1", 400),
        (EPIC_LIKE, "MedicationRequest?patient=p1&code=1", 400),
        (EPIC_LIKE, "Medication?code=1", 400),
        (EPIC_LIKE, "Medication?_id=a,b", 400),
        (EPIC_LIKE, "Medication?_id=a", 200),
        (EPIC_LIKE, "MedicationStatement?patient=p1", 404),
        (ORACLE_LIKE, "MedicationRequest?patient=p1&-timing-boundsPeriod=ge2020", 200),
        (ORACLE_LIKE, "MedicationRequest?patient=p1&authoredon=ge2020", 400),
        (US_CORE_MINIMUM, "MedicationRequest?patient=p1", 400),
        (HAPI, "Observation?patient=p1&colour=blue", 400),
        (LENIENT, "Observation?patient=p1&colour=blue", 200),
    ],
)
def test_what_a_profile_refuses(profile: Profile, query: str, status: int) -> None:
    with ProfiledServer(profile) as server:
        reply = requests.get(f"{server.base_url}/{query}", timeout=10)
        assert reply.status_code == status
        assert status == 200 or reply.json()["resourceType"] == "OperationOutcome"


def test_hapi_takes_no_number_as_an_id() -> None:
    with ProfiledServer(HAPI) as server:
        for id, status in (("123", 400), ("a123", 201)):
            body = {"resourceType": "Patient", "id": id}
            assert (
                requests.put(f"{server.base_url}/Patient/{id}", json=body, timeout=10).status_code == status
            )


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_each_profile_says_where_its_manners_were_read_and_which_fhir_it_speaks(profile: Profile) -> None:
    assert profile.source
    with ProfiledServer(profile) as server:
        statement = requests.get(f"{server.base_url}/metadata", timeout=10).json()
    assert statement["fhirVersion"] == profile.fhir_version
    orders = [one for one in statement["rest"][0]["resource"] if one["type"] == "MedicationRequest"]
    assert ("searchInclude" in orders[0]) == profile.has_include


@pytest.mark.parametrize(
    ("profile", "elements"),
    [
        (EPIC_LIKE, {"medicationReference"}),
        (R5, {"medication"}),
        (STU3, {"medicationReference", "medicationCodeableConcept"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_how_a_profile_writes_the_drug(profile: Profile, elements: set[str]) -> None:
    server = loaded(ProfiledServer(profile))
    orders = server.store.all_of("MedicationRequest")
    assert {name for order in orders for name in order if name.startswith("medication")} == elements
