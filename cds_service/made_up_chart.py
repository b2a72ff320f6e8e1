"""A made-up chart, answered once before the service is ready: what it holds has every table read and found sound.

Tables are read when they are first asked for. A first request that had to read them would take twenty times as long as
the next, in each worker, and each would keep a copy of its own. `tests/unit/test_start.py` names the table that no
resource of this chart asks for.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from cds_service.fhir_reading.collected import Collected, Entry

ON = date(2025, 12, 31)
"""The day it is looked at."""

_LOINC = "http://loinc.org"
_SNOMED = "http://snomed.info/sct"
_ICD = "http://hl7.org/fhir/sid/icd-10-cm"
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_GTS = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
_REASONS = "http://terminology.hl7.org/CodeSystem/medicationrequest-status-reason"


def _coded(system: str, code: str, **more: Any) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **more}]}


def _order(drug: dict[str, Any], *dosage: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"status": "active", "intent": "order", "authoredOn": "2025-06-01", "dosageInstruction": [*dosage]}
    return {"resourceType": "MedicationRequest", **told, "medicationCodeableConcept": drug, **more}


def _result(code: dict[str, Any], **value: Any) -> dict[str, Any]:
    told = {"status": "final", "effectiveDateTime": "2025-12-01"}
    return {"resourceType": "Observation", **told, "code": code, **value}


def _condition(code: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "code": code, "recordedDate": "2025-01-01", **more}


def _procedure(code: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Procedure",
        "status": "completed",
        "performedDateTime": "2025-01-01",
        "code": code,
    }


_RESOURCES: tuple[dict[str, Any], ...] = (
    {"resourceType": "Patient", "id": "start", "birthDate": "1980-01-01"},
    _order({"text": "sertraline"}),
    _order(
        _coded(_RXNORM, "312941"),
        {"text": "Take 1 tablet twice daily", "timing": {"code": _coded(_GTS, "AM")}},
        {"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["MORN"]}}},
        reasonCode=[{"text": "depression"}],
        status="stopped",
        statusReason=_coded(_REASONS, "sintol"),
    ),
    _order(_coded("http://hl7.org/fhir/sid/ndc", "00002323030"), {"text": "1 cap po qam for depression"}),
    _order(_coded(_SNOMED, "40589005"), {"text": "50 mg at bedtime"}),
    _order(_coded("http://www.whocc.no/atc", "N06AB06")),
    _order({"text": "citalopram 40 mg/ml oral drops"}, {"text": "8 drops daily"}),
    _order({"text": "aripiprazole 5 mg tablet"}, {"text": "1 tablet daily"}),
    _order({"text": "Zoloft hcl 100"}, {"text": "1 daily"}),
    _order({"text": "fluoxetine and olanzapine 25 mg"}),
    _order({"text": "venlafaxinn"}),
    _order(_coded(_RXNORM, "1")),
    _order(_coded("http://www.whocc.no/atc", "A01AA01")),
    _result(_coded(_LOINC, "44261-6"), valueInteger=15),
    _result(_coded(_LOINC, "44260-8"), valueCodeableConcept=_coded(_LOINC, "LA6568-5")),
    _result(_coded(_LOINC, "93373-9"), valueCodeableConcept=_coded(_LOINC, "LA33-6")),
    _result({"text": "PHQ-9"}, valueInteger=5),
    _result({"text": "Columbia suicide severity rating scale"}, valueString="no"),
    _result({"text": "Work and Social Adjustment Scale total"}, valueInteger=5),
    _result(_coded(_LOINC, "8480-6"), valueQuantity={"value": 120, "unit": "mmHg"}),
    _condition(_coded(_ICD, "F33.2"), severity=_coded(_SNOMED, "6736007")),
    _condition({"text": "depression"}),
    _condition(_coded("urn:oid:1.2.3", "1", display="Flat feet")),
    {"resourceType": "AllergyIntolerance", "code": {"text": "aripiprazole"}, "criticality": "low"},
    _procedure(_coded(_SNOMED, "75516001")),
    _procedure({"text": "electroconvulsive therapy"}),
    {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "authoredOn": "2025-12-01",
        "code": _coded(_SNOMED, "183524004"),
    },
)


def made_up_chart() -> Collected:
    """One patient's resources, of all kinds that are read."""
    return Collected("start", tuple(_entry(number, each) for number, each in enumerate(_RESOURCES)))


def _entry(number: int, resource: dict[str, Any]) -> Entry:
    about = {} if resource["resourceType"] == "Patient" else {"subject": {"reference": "Patient/start"}}
    return Entry({"id": f"start-{number}", **about, **resource}, None, "")
