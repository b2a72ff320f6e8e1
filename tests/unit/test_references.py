"""References: how they are resolved, whose a resource is, and which of two copies counts."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.references import Owner, index_resources
from cds_service.trd.record import Topic

BASE = "https://ehr.example/fhir"
UUID = "urn:uuid:11111111-2222-3333-4444-555555555555"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:mrn", "value": "42"}],
}


def collected(
    *resources: dict[str, Any] | tuple[str | None, dict[str, Any]], base: str | None = BASE
) -> Collected:
    pairs = [given if isinstance(given, tuple) else (None, given) for given in resources]
    entries = tuple(Entry(resource, url, f"entry[{n}]") for n, (url, resource) in enumerate(pairs))
    return Collected("p1", entries, base)


def medication(id: str = "m1", **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": id, **elements}


@pytest.mark.parametrize(
    "reference",
    [
        "Medication/m1",
        "Medication/m1/_history/3",
        f"{BASE}/Medication/m1",
        f"{BASE}/Medication/m1/_history/3",
        "http://ehr.example/fhir/Medication/m1",
        "https://EHR.example:443/fhir/Medication/m1",
    ],
)
def test_a_resource_on_our_server_is_found_by_every_name(reference: str) -> None:
    index = index_resources(collected(medication()))
    assert index.find(reference, {}) == medication()


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "#",
        "#m1",
        "m1",
        "Medication/",
        "Medication/m2",
        "medication/m1",
        "Substance/m1",
        "Medication?identifier=a|b",
        "https://other.example/fhir/Medication/m1",
        f"{BASE}/deeper/Medication/m1",
        f"{BASE}/Medication/m1#part",
        UUID,
        "x" * 100_000,
    ],
)
def test_another_reference_finds_nothing(reference: str) -> None:
    assert index_resources(collected(medication())).find(reference, {}) is None


def test_a_contained_resource_is_found_within_its_own_container_only() -> None:
    index = index_resources(collected())
    container = {"contained": [medication("m1"), "broken", {"id": 5}]}
    assert index.find("#m1", container) == medication("m1")
    assert index.find("#m1", {"contained": [medication("m2")]}) is None
    assert index.find("#m1", {"contained": "m1"}) is None
    assert index.find("#m1", {"contained": [medication("m1"), medication("m1", status="x")]}) is None


def test_a_resource_is_found_by_its_full_url() -> None:
    index = index_resources(
        collected((UUID, medication()), ("https://other.example/r/Medication/m9", medication("m9")))
    )
    assert index.find(UUID, {}) == medication()
    assert index.find("https://other.example/r/Medication/m9", {}) == medication("m9")


def test_a_resource_of_another_patient_is_never_found() -> None:
    theirs = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p2"}}
    assert index_resources(collected(theirs)).find("Condition/c1", {}) is None


OWNERS = [
    # subject reference, base known, whose
    ("Patient/p1", BASE, Owner.PATIENT),
    ("Patient/p1/_history/2", BASE, Owner.PATIENT),
    (f"{BASE}/Patient/p1", BASE, Owner.PATIENT),
    ("http://ehr.example/fhir/Patient/p1", BASE, Owner.PATIENT),
    ("https://anywhere.example/r4/Patient/p1", None, Owner.PATIENT),
    ("https://anywhere.example/r4/Patient/p1", BASE, Owner.NOT_TOLD),
    (UUID, BASE, Owner.PATIENT),
    ("Patient?identifier=urn:mrn|42", BASE, Owner.PATIENT),
    ("Patient?identifier=urn%3Amrn%7C42", BASE, Owner.PATIENT),
    ("Patient?identifier=urn:mrn|43", BASE, Owner.NOT_TOLD),
    ("Patient/p2", BASE, Owner.SOMEBODY_ELSE),
    ("Patient/p11", BASE, Owner.SOMEBODY_ELSE),
    ("Patient/P1", BASE, Owner.SOMEBODY_ELSE),
    (f"{BASE}/Patient/p2", BASE, Owner.SOMEBODY_ELSE),
    ("urn:uuid:p2", BASE, Owner.SOMEBODY_ELSE),
    ("Group/p1", BASE, Owner.SOMEBODY_ELSE),
    ("urn:uuid:99999999-0000-0000-0000-000000000000", BASE, Owner.NOT_TOLD),
    ("#p1", BASE, Owner.NOT_TOLD),
    ("p1", BASE, Owner.NOT_TOLD),
    ("", BASE, Owner.NOT_TOLD),
]


@pytest.mark.parametrize(("reference", "base", "owner"), OWNERS)
def test_whose_a_resource_is(reference: str, base: str | None, owner: Owner) -> None:
    others = {"resourceType": "Patient", "id": "p2"}
    index = index_resources(collected((UUID, PATIENT), others, base=base))
    found, problem = index.owner_of({"subject": {"reference": reference}})
    assert found is owner
    assert bool(problem) == (owner is not Owner.PATIENT)
    assert "p2" not in problem


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"subject": None},
        {"subject": "Patient/p1"},
        {"subject": []},
        {"subject": {"reference": 7}},
        {"subject": {"display": "somebody"}},
        {"subject": {"identifier": {"system": "urn:mrn", "value": "43"}}},
        {"subject": {"identifier": {"value": ""}}},
    ],
)
def test_without_a_readable_subject_the_owner_is_not_told(resource: dict[str, Any]) -> None:
    owner, problem = index_resources(collected(PATIENT)).owner_of(resource)
    assert owner is Owner.NOT_TOLD
    assert problem.startswith("at $.subject")


def test_a_subject_by_the_patients_own_identifier_is_the_patient() -> None:
    subject = {"identifier": {"system": "urn:mrn", "value": "42"}}
    assert index_resources(collected(PATIENT)).owner_of({"subject": subject})[0] is Owner.PATIENT


def test_the_patients_full_url_on_an_unknown_server_tells_which_server_is_meant() -> None:
    index = index_resources(collected(("https://one.example/Patient/p1", PATIENT), base=None))
    assert index.owner_of({"subject": {"reference": "https://one.example/Patient/p1"}})[0] is Owner.PATIENT
    assert index.owner_of({"subject": {"reference": "https://two.example/Patient/p1"}})[0] is Owner.NOT_TOLD


def observation(value: int, **meta: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o1", "valueInteger": value, "meta": meta}


VERSIONS = [
    # the two copies, which value counts (None: neither)
    (observation(1), observation(1), 1),
    (observation(1, versionId="1"), observation(1, versionId="2"), 1),
    (observation(1, versionId="2"), observation(2, versionId="10"), 2),
    (observation(1, versionId="a"), observation(2, versionId="b"), None),
    (observation(1), observation(2), None),
    (observation(1, versionId="1"), observation(2, versionId="1"), None),
    (
        observation(1, lastUpdated="2025-01-01T12:00:00Z"),
        observation(2, lastUpdated="2025-01-01T12:00:00+01:00"),
        1,
    ),
    (observation(1, lastUpdated="2025-01-01"), observation(2, lastUpdated="soon"), None),
    (observation(1, tag=[{"code": "SUBSETTED"}]), observation(2), 2),
]


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize(("one", "other", "value"), VERSIONS)
def test_of_two_copies_the_newer_counts(
    one: dict[str, Any], other: dict[str, Any], value: int | None, is_swapped: bool
) -> None:
    copies = (other, one) if is_swapped else (one, other)
    index = index_resources(collected(*copies))
    assert [entry.resource["valueInteger"] for entry in index.entries] == ([] if value is None else [value])
    assert [unread.reference for unread in index.unread] == (["Observation/o1"] if value is None else [])


def test_a_contradiction_is_named_to_the_questions_it_may_change() -> None:
    index = index_resources(collected(observation(1), observation(2)))
    assert index.unread[0].topics == (Topic.SCORE, Topic.SAFETY)


def test_resources_without_id_are_all_kept() -> None:
    nameless = {"resourceType": "Observation"}
    assert len(index_resources(collected(nameless, nameless)).entries) == 2


def test_the_same_id_on_two_servers_is_two_resources() -> None:
    here, there = (
        (f"{BASE}/Observation/o1", observation(1)),
        ("https://x.example/Observation/o1", observation(2)),
    )
    assert len(index_resources(collected(here, there)).entries) == 2
