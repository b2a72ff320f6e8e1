"""Hook requests of any size: one patient with two failed trials among everyday orders, results and problems."""

from __future__ import annotations

import json
import uuid
from datetime import date, timedelta
from typing import Any

PATIENT = "bench-patient"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
START = date(2025, 9, 1)


def hook_body(resources: int) -> bytes:
    """A `patient-view` request with full prefetch holding so many resources, as JSON bytes."""
    medications = [_order("m1", "312941", "sertraline 50 MG Oral Tablet", 2, START, 85)]
    medications.append(
        _order(
            "m2",
            "313581",
            "24 HR venlafaxine 150 MG Extended Release Oral Capsule",
            1,
            START + timedelta(85),
            111,
        )
    )
    observations = [
        _score("s1", "2025-08-28", 19),
        _score("s2", "2025-11-20", 17),
        _score("s3", "2026-03-12", 18),
    ]
    conditions = [_condition("c1", "F33.1", "Major depressive disorder, recurrent, moderate")]
    number = 0
    while len(medications) + len(observations) + len(conditions) + 1 < resources:
        kind = number % 6
        if kind == 0:
            medications.append(_order(f"x{number}", "314076", "lisinopril 10 MG Oral Tablet", 1, START, 90))
        elif kind == 1:
            conditions.append(_condition(f"x{number}", "I10", "Essential (primary) hypertension"))
        elif kind == 2:
            observations.append(_score(f"x{number}", str(START + timedelta(number % 180)), 17))
        else:
            observations.append(_pressure(f"x{number}", str(START + timedelta(number % 180))))
        number += 1
    request = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/bench", "patientId": PATIENT, "encounterId": "e1"},
        "prefetch": {
            "patient": {
                "resourceType": "Patient",
                "id": PATIENT,
                "birthDate": "1980-05-05",
                "gender": "female",
            },
            "medications": _searchset(medications),
            "observations": _searchset(observations),
            "conditions": _searchset(conditions),
            "dispenses": None,
            "statements": None,
            "administrations": None,
            "procedures": None,
            "questionnaires": None,
            "adverseEvents": None,
            "allergies": None,
            "requests": None,
        },
    }
    return json.dumps(request).encode()


def _searchset(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [
        {
            "fullUrl": f"https://ehr.example/fhir/{r['resourceType']}/{r['id']}",
            "resource": r,
            "search": {"mode": "match"},
        }
        for r in resources
    ]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}


def _common(kind: str, id_: str) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": "2026-03-01T08:00:00Z"},
        "subject": {"reference": f"Patient/{PATIENT}", "display": "Bench Patient"},
    }


def _order(id_: str, code: str, name: str, tablets: int, start: date, days: int) -> dict[str, Any]:
    end = start + timedelta(days=days - 1)
    return _common("MedicationRequest", id_) | {
        "status": "completed",
        "intent": "order",
        "medicationCodeableConcept": {
            "coding": [{"system": RXNORM, "code": code, "display": name}],
            "text": name,
        },
        "authoredOn": start.isoformat(),
        "requester": {"reference": "Practitioner/p1", "display": "Dr Bench"},
        "dosageInstruction": [
            {
                "text": f"Take {tablets} by mouth daily",
                "timing": {
                    "repeat": {
                        "boundsPeriod": {"start": start.isoformat(), "end": end.isoformat()},
                        "frequency": 1,
                        "period": 1,
                        "periodUnit": "d",
                    }
                },
                "doseAndRate": [{"doseQuantity": {"value": tablets, "unit": "tablet"}}],
            }
        ],
        "dispenseRequest": {"numberOfRepeatsAllowed": 2},
    }


def _score(id_: str, day: str, total: int) -> dict[str, Any]:
    name = "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]"
    return _observation(id_, day, "44261-6", name) | {
        "valueQuantity": {
            "value": total,
            "unit": "{score}",
            "system": "http://unitsofmeasure.org",
            "code": "{score}",
        }
    }


def _pressure(id_: str, day: str) -> dict[str, Any]:
    return _observation(id_, day, "85354-9", "Blood pressure panel with all children optional") | {
        "component": [
            {
                "code": {"coding": [{"system": LOINC, "code": code, "display": name}]},
                "valueQuantity": {"value": value, "unit": "mmHg", "code": "mm[Hg]"},
            }
            for code, name, value in (
                ("8480-6", "Systolic blood pressure", 128),
                ("8462-4", "Diastolic blood pressure", 82),
            )
        ]
    }


def _observation(id_: str, day: str, code: str, name: str) -> dict[str, Any]:
    survey = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}
    return _common("Observation", id_) | {
        "status": "final",
        "category": [{"coding": [survey]}],
        "code": {"coding": [{"system": LOINC, "code": code, "display": name}], "text": name},
        "effectiveDateTime": day,
    }


def _condition(id_: str, code: str, name: str) -> dict[str, Any]:
    status = "http://terminology.hl7.org/CodeSystem/condition-"
    return _common("Condition", id_) | {
        "clinicalStatus": {"coding": [{"system": status + "clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": status + "ver-status", "code": "confirmed"}]},
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code, "display": name}],
            "text": name,
        },
        "recordedDate": "2024-11-01",
    }
