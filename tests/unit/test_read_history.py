"""The whole reading: whose resources count, what is listed, and that nothing is lost on the way."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.trd.answers import Answer
from cds_service.trd.record import (
    History,
    Topic,
    Unread,
    UnreadScore,
)
from fhir_fixtures.builders import condition, medication_request, observation, patient

ON = date(2026, 6, 30)


def history(*resources: Any, unread: tuple[Unread, ...] = (), base_url: str | None = None) -> History:
    entries = tuple(Entry(resource, None, f"entry[{n}].resource") for n, resource in enumerate(resources))
    return read_history(Collected("p1", entries, base_url, unread), ON)


def test_everything_about_the_patient_is_read() -> None:
    read = history(patient(), medication_request(), observation(), condition())
    assert read.patient == "Patient/p1"
    assert (read.born_earliest, read.born_latest) == (date(1980, 1, 1), date(1980, 1, 1))
    assert [prescription.reference for prescription in read.prescriptions] == ["MedicationRequest/rx1"]
    assert [score.reference for score in read.scores] == ["Observation/obs1"]
    assert [(d.reference, d.holds) for d in read.diagnoses] == [("Condition/dx1", Answer.MET)]
    assert read.unread == ()


def test_nothing_at_all_is_a_history_that_knows_nothing() -> None:
    assert history() == History("Patient/p1")


OTHERS = [medication_request(patient_id="p2"), observation(patient_id="p2"), condition(patient_id="p2")]


def test_resources_of_another_patient_are_listed_and_change_nothing() -> None:
    read = history(*OTHERS)
    assert (read.prescriptions, read.scores, read.unread_scores, read.diagnoses) == ((), (), (), ())
    assert [unread.problem for unread in read.unread] == ["belongs to another patient"] * 3
    assert {unread.topics for unread in read.unread} == {(Topic.NONE,)}


def test_another_patients_birth_date_is_not_used() -> None:
    read = history(patient("p2"))
    assert (read.born_earliest, read.unread[0].problem) == (None, "is another patient")
    assert "p2" not in read.unread[0].reference


def test_resources_without_subject_might_be_the_patients() -> None:
    nobodys = [resource | {"subject": None} for resource in OTHERS]
    read = history(*nobodys)
    assert (read.prescriptions, read.scores, read.diagnoses) == ((), (), ())
    assert [unread.topics[0] for unread in read.unread] == [Topic.DRUG, Topic.SCORE, Topic.DIAGNOSIS]
    assert read.unread_scores == (UnreadScore("Observation/obs1", None, None, None),)


def test_the_patient_element_is_a_subject_too() -> None:
    order = medication_request(subject=None) | {"patient": {"reference": "Patient/p1"}}
    assert len(history(order).prescriptions) == 1


@pytest.mark.parametrize(
    "resource", [{}, {"resourceType": None}, {"resourceType": 7}, {"resourceType": "observation"},
                 {"resourceType": "MedicationPrescription"}, {"resourceType": "Bundle"}, {"resourceType": ["Patient"]}]
)  # fmt: skip
def test_a_resource_of_no_known_type_might_be_anything(resource: dict[str, Any]) -> None:
    read = history(resource)
    assert read.unread[0].problem.startswith("at $.resourceType")
    assert {Topic.DRUG, Topic.SCORE, Topic.DIAGNOSIS} <= set(read.unread[0].topics)
    assert len(read.unread_scores) == 1


@pytest.mark.parametrize(
    "resource_type", ["Encounter", "Claim", "OperationOutcome", "Immunization", "Medication"]
)
def test_other_resource_types_are_of_no_interest(resource_type: str) -> None:
    assert history({"resourceType": resource_type, "id": "x", "subject": "broken"}) == History("Patient/p1")


def test_what_was_lacking_before_reading_is_kept() -> None:
    gap = Unread("prefetch.observations", "one page of several", (Topic.SCORE,))
    read = history(unread=(gap,))
    assert read.unread == (gap,)
    assert read.unread_scores == (UnreadScore("prefetch.observations", None, None, None),)


def test_copies_count_once() -> None:
    read = history(
        *[resource for _ in range(3) for resource in (patient(), medication_request(), observation())]
    )
    assert (len(read.prescriptions), len(read.scores), read.unread) == (1, 1, ())


def test_a_medication_is_found_by_reference() -> None:
    order = medication_request(medication=None, medicationReference={"reference": "Medication/m1"})
    drug = {"resourceType": "Medication", "id": "m1", "code": {"text": "sertraline 100 mg tablet"}}
    read = history(order, drug)
    assert [prescription.drug and prescription.drug.ingredient for prescription in read.prescriptions] == [
        "sertraline"
    ]
