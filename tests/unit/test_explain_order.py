"""`trd-cds explain-order`: what a user sees of one order."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fhir_fixtures import vignettes
from fhir_fixtures.builders import RXNORM, bundle, concept, medication, medication_request
from tests.unit.test_cli import ON, trd_cds

SERTRALINE = {
    "coding": [{"system": RXNORM, "code": "312941", "display": "sertraline 50 MG Oral Tablet"}],
    "text": "Zoloft 50 mg",
}


def explained(resource: dict[str, Any], *options: str) -> str:
    return trd_cds("explain-order", "-", *ON, *options, stdin=json.dumps(resource))[0]


def as_json(resource: dict[str, Any]) -> dict[str, Any]:
    explanation: dict[str, Any] = json.loads(explained(resource, "--format", "json"))
    schema = json.loads(resources.files("cds_service").joinpath("schemas/explained-order.json").read_text())
    assert not list(Draft202012Validator(schema).iter_errors(explanation))
    return explanation


def test_an_order_from_drug_to_days() -> None:
    order = medication_request(
        medication=concept(SERTRALINE), dosage="Take 2 tablets by mouth daily", last_day="2025-11-24"
    )
    assert explained(order).splitlines() == [
        "MedicationRequest/rx1",
        "  drug      sertraline (SSRI), told by RxNorm 312941 and name",
        "  product   Zoloft 50 mg: 50 mg a unit, oral",
        "  dose      2 × 50 mg × 1/day = 100 mg/day",
        "  days      from 2025-09-01 by boundsPeriod, to 2025-11-24 by the dosage (boundsPeriod)",
        "            2025-09-01 to 2025-11-24: 100 mg/day",
        "  use       met as a treatment of depression: no other reason is recorded",
    ]


def test_the_same_as_json() -> None:
    order = medication_request(
        medication=concept(SERTRALINE), dosage="2 tablets daily", last_day="2025-11-24"
    )
    found = as_json(order)
    assert found["drug"]["ingredient"] == "sertraline"
    assert found["drug"]["product"] == {"strengthMg": 50, "per": "unit", "form": "oral"}
    assert found["segments"] == [
        {
            "firstDay": "2025-09-01",
            "lastDay": "2025-11-24",
            "lowMgPerDay": 100,
            "highMgPerDay": 100,
            "daysCertain": True,
        }
    ]


def test_a_titration_has_a_line_a_step() -> None:
    order = medication_request(
        medication="venlafaxine XR 75 mg capsule", dosage="1 capsule daily for 7 days, then 2 capsules daily"
    )
    lines = explained(order).splitlines()
    assert "            2025-09-01 to 2025-09-07: 75 mg/day" in lines
    assert "            2025-09-08 to 2026-06-30: 150 mg/day" in lines


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (
            medication_request(medication="metformin 500 mg"),
            "metformin 500 mg: no antidepressant that our tables know",
        ),
        (medication_request(medication="sertralin and citalopram"), "not known, "),
        (medication_request(dosage="as directed"), "dose not recorded: how much and how often"),
        (medication_request(dosage="1 tablet daily as needed"), "taken only as needed"),
        (medication_request(status="draft"), "set aside sertraline 100 mg tablet: a draft"),
        (medication_request(subject=None), "dose      1 × 100 mg"),
        (
            medication_request(
                medication=None,
                medicationReference={"reference": "#m"},
                contained=[medication("m", "Lustral 50mg tablets")],
            ),
            "sertraline (SSRI)",
        ),
    ],
)
def test_why_not_in_words(resource: dict[str, Any], expected: str) -> None:
    assert expected in explained(resource)
    as_json(resource)


@pytest.mark.parametrize(
    ("code", "dosage", "lines"),
    [
        (
            "2119389",
            "1 kit twice a week",
            ("a pack of 3 × 28 mg", "84 mg a session, 1/3.5 days", ": 84 mg a session"),
        ),
        ("1653469", "1 tablet daily", ("a pack of 7 × 10 mg and 23 × 20 mg", ": 10 mg/day", ": 20 mg/day")),
    ],
)
def test_packs_and_sessions(code: str, dosage: str, lines: tuple[str, ...]) -> None:
    found = explained(medication_request(medication=(RXNORM, code), dosage=dosage))
    assert all(line in found for line in lines), found


def test_every_order_of_a_bundle_is_explained() -> None:
    found = explained(vignettes([1])[0].bundle)
    assert found.count("MedicationRequest/trd-v01-") == 3
    assert "lisinopril 10 MG Oral Tablet: no antidepressant that our tables know" in found


def test_dispensings_and_older_versions_are_explained_too() -> None:
    dispense = {
        "resourceType": "MedicationDispense",
        "id": "d1",
        "status": "completed",
        "medicationCodeableConcept": SERTRALINE,
        "whenHandedOver": "2025-09-01",
        "quantity": {"value": 60, "unit": "tablet"},
        "daysSupply": {"value": 30, "unit": "days"},
    }
    order = {
        "resourceType": "MedicationOrder",
        "id": "o1",
        "status": "active",
        "patient": {"reference": "Patient/p1"},
        "dateWritten": "2025-09-01",
        "medicationCodeableConcept": SERTRALINE,
        "dosageInstruction": [{"text": "1 tab qd"}],
    }
    found = explained(bundle(dispense, order))
    assert "60 × 50 mg × 1/30 days = 100 mg/day" in found
    assert "MedicationOrder/o1\n" in found
    assert "1 × 50 mg × 1/day = 50 mg/day" in found


def test_a_file_without_an_order_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "patient.json"
    file.write_text(json.dumps({"resourceType": "Patient", "id": "p1"}))
    _, errors = trd_cds("explain-order", str(file), status=3)
    assert errors == f"trd-cds: {file}: expected at least one MedicationRequest, found none\n"


def test_an_order_that_another_replaces_ends_the_day_before() -> None:
    older = medication_request("a", first_day="2026-01-01", last_day=None)
    newer = medication_request(
        "b",
        first_day="2026-03-01",
        last_day=None,
        priorPrescription={"reference": "MedicationRequest/a"},
    )
    found = explained(bundle(older, newer))
    assert "2026-01-01 to 2026-02-28" in found
    assert "replaced from 2026-03-01 by MedicationRequest/b" in found


def test_a_statement_that_it_is_not_taken_is_no_use() -> None:
    resource = {
        "resourceType": "MedicationStatement",
        "id": "s1",
        "status": "not-taken",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "sertraline 50 mg tablet"},
        "effectivePeriod": {"start": "2026-01-01", "end": "2026-02-01"},
    }
    found = explained(resource)
    assert "set aside said not to be taken" in found
    assert "use" not in found.replace("set aside", "")


def test_an_augmenting_agent_is_explained_as_an_antidepressant_is() -> None:
    order = medication_request(
        medication=concept({"text": "lithium carbonate 300 mg capsule"}),
        dosage="1 capsule three times daily",
        last_day="2025-11-24",
    )
    assert "drug      lithium (mood stabiliser), told by name" in explained(order)
    assert as_json(order)["segments"][0]["lowMgPerDay"] == 900
