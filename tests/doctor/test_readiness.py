"""What is counted in patients' records, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.doctor.kinds_of_missing import OTHER, kind_of
from cds_service.doctor.patients import Found
from cds_service.doctor.readiness import survey
from cds_service.doctor.results import Readiness
from cds_service.errors import FhirServerError
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.respond import assess_collected
from cds_service.tables.definitions import load_definitions
from cds_service.trd.record import Topic, Unread
from fhir_fixtures import vignettes
from fhir_fixtures.builders import medication, medication_request, observation, patient
from tests.doctor.servers import ON

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SUBJECT = {"reference": "Patient/p1"}


def readiness_of(*resources: dict[str, Any], unread: tuple[Unread, ...] = ()) -> Readiness:
    """Of one patient with these resources."""
    entries = tuple(Entry(resource, None, "here") for resource in (patient(), *resources))
    return survey(Found(("p1",), "name"), ON, lambda _: Collected("p1", entries, unread=unread)).result()


def order(id: str = "rx1", **elements: Any) -> dict[str, Any]:
    usual = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": SUBJECT}
    return usual | {"id": id} | elements


# --- antidepressants --------------------------------------------------------------------------------------


def counts(found: Readiness) -> dict[str, tuple[int, int, int, int, int]]:
    return {
        row.source: (row.records, row.drug_known, row.dose_known, row.days_known, row.all_known)
        for row in found.drug_records
    }


def test_an_order_of_which_all_is_known() -> None:
    found = readiness_of(medication_request("rx1"))
    assert counts(found) == {"ordered": (1, 1, 1, 1, 1)}
    assert found.drug_records[0].example == ""


def test_an_order_without_a_dose() -> None:
    found = readiness_of(medication_request("rx1", dosage=None))
    assert counts(found) == {"ordered": (1, 1, 0, 1, 0)}
    assert found.drug_records[0].example == "p1"


def test_an_order_that_could_be_of_any_drug() -> None:
    nameless = order(medicationReference={"reference": "Medication/lost"}, authoredOn="2026-01-01")
    records, drug_known, _, _, all_known = counts(readiness_of(nameless))["ordered"]
    assert (records, drug_known, all_known) == (1, 0, 0)


def test_an_order_that_cannot_be_read_counts_as_one_of_which_nothing_is_known() -> None:
    found = readiness_of(order(medicationCodeableConcept={"text": "sertraline 50 mg"}, status="wrong"))
    assert counts(found)["ordered"][0] == 1 and found.drug_records[0].all_known == 0


def test_other_drugs_and_other_uses_are_not_counted() -> None:
    assert counts(readiness_of(order(medicationCodeableConcept={"text": "paracetamol 500 mg"}))) == {}


def test_a_search_that_failed_is_no_order() -> None:
    lost = Unread("MedicationDispense search", "it failed", (Topic.DRUGS, Topic.FILLS))
    found = readiness_of(medication_request("rx1"), unread=(lost,))
    assert counts(found) == {"ordered": (1, 1, 1, 1, 1)}
    assert [(row.what, row.patients) for row in found.unread] == [("MedicationDispense search", 1)]


def test_few_charts_are_kept_and_the_first_that_refers_to_a_medication_is_known() -> None:
    """A sample may be of a thousand charts, each of many megabytes."""

    def fetch(patient_id: str) -> Collected:
        orders = [order(f"rx{n}", medicationCodeableConcept={"text": "x"}) for n in range(int(patient_id))]
        if patient_id in ("3", "5"):
            orders.append(order("rx", medicationReference={"reference": f"Medication/m{patient_id}"}))
        return Collected(patient_id, tuple(Entry(one, None, "here") for one in orders))

    ids = tuple(str(number) for number in range(1, 31))
    taken = survey(Found(ids, "name"), ON, fetch)
    assert taken.result().read == 30
    assert [one.patient_id for one in taken.largest] == ["30", "29", "28", "27", "26"]
    assert taken.referrer is not None and taken.referrer.medication_id == "m3"


# --- codes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "system", "name"),
    [
        ({"medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "1"}]}}, RXNORM, "RxNorm"),
        (
            {"medicationCodeableConcept": {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.88"}]}},
            RXNORM,
            "RxNorm",
        ),
        ({"medicationCodeableConcept": {"coding": [{"system": "urn:x:local"}]}}, "urn:x:local", ""),
        (
            {"medicationCodeableConcept": {"coding": [{"system": "Jane Doe, 1980"}]}},
            "a code without system",
            "",
        ),
        ({"medicationCodeableConcept": {"coding": [{"code": "1"}]}}, "a code without system", ""),
        ({"medicationCodeableConcept": {"text": "sertraline"}}, "text only", ""),
        ({"medicationCodeableConcept": {"coding": 7}}, "no code and no text", ""),
        ({"medicationCodeableConcept": None}, "no code and no text", ""),
        ({}, "no code and no text", ""),
        ({"medicationReference": {"reference": "Medication/m"}}, "a reference to a Medication", ""),
        (
            {
                "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "sertraline"}}, 7],
                "medicationReference": {"reference": "#m"},
            },
            "text only",
            "",
        ),
    ],
)
def test_how_a_drug_is_coded(elements: dict[str, Any], system: str, name: str) -> None:
    (row,) = readiness_of(order(**elements)).drug_codings
    assert (row.system, row.name, row.records, row.example) == (system, name, 1, "p1")


def test_a_medication_counts_by_itself_and_systems_once() -> None:
    twice = {"coding": [{"system": RXNORM, "code": "1"}, {"system": RXNORM, "code": "2"}]}
    found = readiness_of(medication("m", code="sertraline"), order(medicationCodeableConcept=twice))
    assert {row.system: row.records for row in found.drug_codings} == {"text only": 1, RXNORM: 1}


def test_codes_of_observations_and_scales() -> None:
    local = {"resourceType": "Observation", "id": "x", "subject": SUBJECT, "status": "final"}
    found = readiness_of(
        observation("o1"),
        local | {"code": {"coding": [{"system": "urn:x:local", "code": "1"}]}},
        local | {"id": "y", "code": {"text": "PHQ-9 total score"}},
    )
    assert {row.system: row.name for row in found.observation_codings} == {
        "http://loinc.org": "LOINC",
        "urn:x:local": "",
        "text only": "",
    }
    scales = {row.what for row in found.scales}
    assert "PHQ-9" in scales and "PHQ-9: value, day or scale not readable" in scales


# --- what is missing --------------------------------------------------------------------------------------


def test_every_thing_that_can_be_missing_has_a_kind() -> None:
    seen = set()
    for vignette in vignettes():
        rows = vignette.bundle["entry"]
        entries = tuple(Entry(row["resource"], row.get("fullUrl"), "here") for row in rows)
        shortened = tuple(entry for entry in entries if entry.resource["resourceType"] != "Condition")
        for chosen in (entries, shortened):
            for definition_id in load_definitions():
                found = assess_collected(Collected(vignette.patient_id, chosen), definition_id, ON)
                seen |= {missing.what for missing in found.missing}
    assert len(seen) > 5
    assert [what for what in seen if kind_of(what) is OTHER] == []


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ('which drug the order "x" is', "which drug an order is of"),
        ("days on sertraline", "days on a drug"),
        ("effect of sertraline", "effect of a trial"),
        ("why sertraline was stopped", "why a drug was stopped"),
        ("whether sertraline belongs to this episode", "when the last episode remitted"),
        ("what amitriptyline was for", "what a drug was for"),
        ("whether sertraline was taken", "whether a drug was taken"),
        ("confirmed depressive disorder", "confirmed depressive disorder"),
        ("whether a diagnosis excludes", "whether a diagnosis excludes"),
        ("birth date", "birth date"),
        ("the order MedicationRequest/7", "an order that could not be read"),
        ("the Procedure search", "a search that could not be read in full"),
        ("how severe the depression is", "how severe the depression is"),
        ("whether augmentation was enough", "dose and days of what was added"),
        ("whether ECT was given", "whether ECT was given"),
        ("staging item novelty", "an item of the staging score"),
        ("what decides on failed trials", "something else"),
    ],
)
def test_kinds_of_missing_name_no_drug_and_no_day(what: str, kind: str) -> None:
    assert kind_of(what).name == kind
    assert kind_of(what).to_do


# --- patients that cannot be read -------------------------------------------------------------------------


def test_one_patient_that_cannot_be_read_does_not_stop_the_others() -> None:
    def fetch(patient_id: str) -> Collected:
        if patient_id == "p2":
            raise FhirServerError("the FHIR server answered 500 to the Patient read")
        return Collected(patient_id, (Entry(patient(patient_id), None, "here"),))

    heard: list[str] = []
    found = survey(Found(("p1", "p2", "p3"), "name"), ON, fetch, heard.append).result()
    assert (found.asked, found.read, found.with_depression) == (3, 2, 0)
    (failed,) = found.not_read
    assert (failed.what, failed.example) == ("the FHIR server answered 500 to the Patient read", "p2")
    assert heard == ["patient 1 of 3", "patient 2 of 3", "patient 3 of 3"]


def test_what_cannot_be_read_is_told_by_its_type_only() -> None:
    unread = tuple(Unread(name, "why", (Topic.NONE,)) for name in ("page 1.entry[2]", "Medication/secret"))
    found = readiness_of(unread=unread)
    assert {row.what for row in found.unread} == {"an entry without a readable resource", "Medication"}
