"""Elements of FHIR R5, STU3 and DSTU2, by resource type, and what they are called in R4."""

from __future__ import annotations

from typing import Any

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SERTRALINE = {"coding": [{"system": RXNORM, "code": "312941", "display": "sertraline 50 MG Oral Tablet"}]}
DEPRESSION = {"coding": [{"system": "http://snomed.info/sct", "code": "370143000"}]}
SUBJECT = {"reference": "Patient/p1"}
TABLET = {"value": 1, "unit": "tablet"}

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # R5
    (
        "MedicationRequest",
        {"medication": {"reference": {"reference": "Medication/1"}}},
        {"medicationReference": {"reference": "Medication/1"}},
    ),
    (
        "MedicationRequest",
        {"reason": [{"reference": {"reference": "#c"}}, {"concept": {"text": "low"}}]},
        {"reasonCode": [{"text": "low"}], "reasonReference": [{"reference": "#c"}]},
    ),
    (
        "MedicationRequest",
        {"dosageInstruction": [{"asNeededFor": [{"text": "pain"}]}]},
        {"dosageInstruction": [{"asNeededCodeableConcept": {"text": "pain"}}]},
    ),
    (
        "MedicationRequest",
        {"dosageInstruction": [{"asNeeded": True, "maxDosePerPeriod": [{"numerator": {"value": 3}}]}]},
        {"dosageInstruction": [{"asNeededBoolean": True, "maxDosePerPeriod": {"numerator": {"value": 3}}}]},
    ),
    (
        "MedicationRequest",
        {"status": "stopped", "statusChanged": "2026-02-03"},
        {"status": "stopped", "effectiveDosePeriod": {"end": "2026-02-03"}},
    ),
    (
        "MedicationRequest",
        {"effectiveDosePeriod": {"end": "2026"}, "dosageInstruction": [{"text": "1 qd"}]},
        {
            "effectiveDosePeriod": {"end": "2026"},
            "dosageInstruction": [{"text": "1 qd", "timing": {"repeat": {"boundsPeriod": {"end": "2026"}}}}],
        },
    ),
    ("MedicationRequest", {"status": "active", "statusChanged": "2026-02-03"}, {"status": "active"}),
    (
        "MedicationRequest",
        {"renderedDosageInstruction": "1 daily"},
        {"dosageInstruction": [{"text": "1 daily"}]},
    ),
    (
        "MedicationRequest",
        {"renderedDosageInstruction": "1 daily", "dosageInstruction": [{"text": "1 qd"}]},
        {"dosageInstruction": [{"text": "1 qd"}]},
    ),
    (
        "MedicationStatement",
        {
            "status": "recorded",
            "adherence": {
                "code": {"coding": [{"code": "stopped-not-as-directed"}]},
                "reason": {"text": "no effect"},
            },
        },
        {"status": "stopped", "statusReason": [{"text": "no effect"}]},
    ),
    (
        "MedicationStatement",
        {"status": "recorded", "adherence": {"code": {"coding": [{"code": "taking-as-directed"}]}}},
        {"status": "active"},
    ),
    (
        "MedicationStatement",
        {"status": "recorded", "adherence": {"code": {"coding": [{"code": "not-taking"}]}}},
        {"status": "not-taken"},
    ),
    (
        "MedicationStatement",
        {"status": "recorded", "medication": {"concept": SERTRALINE}},
        {"status": "unknown", "medicationCodeableConcept": SERTRALINE},
    ),
    (
        "MedicationStatement",
        {"status": "entered-in-error", "adherence": {"code": {"coding": [{"code": "taking"}]}}},
        {"status": "entered-in-error"},
    ),
    (
        "MedicationDispense",
        {"medication": {"concept": SERTRALINE}, "dosageInstruction": [{"asNeeded": False}]},
        {"medicationCodeableConcept": SERTRALINE, "dosageInstruction": [{"asNeededBoolean": False}]},
    ),
    (
        "MedicationAdministration",
        {"medication": {"concept": SERTRALINE}, "occurenceDateTime": "2026-01-01"},
        {"medicationCodeableConcept": SERTRALINE, "effectiveDateTime": "2026-01-01"},
    ),
    (
        "Medication",
        {
            "doseForm": {"text": "tablet"},
            "ingredient": [{"item": {"concept": SERTRALINE}, "strengthRatio": {"numerator": {"value": 50}}}],
        },
        {
            "form": {"text": "tablet"},
            "ingredient": [{"itemCodeableConcept": SERTRALINE, "strength": {"numerator": {"value": 50}}}],
        },
    ),
    (
        "Medication",
        {
            "ingredient": [
                {"item": {"reference": {"reference": "#s"}}, "strengthQuantity": {"value": 50, "unit": "mg"}}
            ]
        },
        {
            "ingredient": [
                {"itemReference": {"reference": "#s"}, "strength": {"numerator": {"value": 50, "unit": "mg"}}}
            ]
        },
    ),
    # the drafts of R6
    (
        "MedicationRequest",
        {"dose": {"dosageInstruction": [{"asNeeded": True}, {}], "effectiveDosePeriod": {"start": "2026"}}},
        {"dosageInstruction": [{"asNeededBoolean": True}, {}], "effectiveDosePeriod": {"start": "2026"}},
    ),
    (
        "MedicationRequest",
        {"dose": {"renderedDosageInstruction": "1 daily"}},
        {"dosageInstruction": [{"text": "1 daily"}]},
    ),
    # STU3
    (
        "MedicationRequest",
        {"dosageInstruction": [{"doseRange": {"low": TABLET}, "rateRatio": {"numerator": TABLET}}]},
        {
            "dosageInstruction": [
                {"doseAndRate": [{"doseRange": {"low": TABLET}, "rateRatio": {"numerator": TABLET}}]}
            ]
        },
    ),
    (
        "MedicationStatement",
        {"status": "completed", "taken": "n", "reasonNotTaken": [{"text": "cost"}]},
        {"status": "not-taken", "statusReason": [{"text": "cost"}]},
    ),
    ("MedicationStatement", {"status": "completed", "taken": "y"}, {"status": "completed"}),
    ("MedicationStatement", {"status": "active", "taken": "unk"}, {"status": "unknown"}),
    ("MedicationStatement", {"status": "active", "taken": "perhaps"}, {"status": ["active", "perhaps"]}),
    ("MedicationDispense", {"status": "on-hold", "notDone": True}, {"status": "declined"}),
    (
        "MedicationAdministration",
        {"status": "completed", "notGiven": False, "prescription": {"reference": "MedicationRequest/1"}},
        {"status": "completed", "request": {"reference": "MedicationRequest/1"}},
    ),
    (
        "Medication",
        {
            "form": {"text": "tablet"},
            "ingredient": [{"itemCodeableConcept": SERTRALINE, "amount": {"numerator": {"value": 50}}}],
        },
        {
            "form": {"text": "tablet"},
            "ingredient": [{"itemCodeableConcept": SERTRALINE, "strength": {"numerator": {"value": 50}}}],
        },
    ),
    (
        "Condition",
        {"clinicalStatus": "resolved", "verificationStatus": "confirmed", "assertedDate": "2020"},
        {
            "clinicalStatus": {"coding": [{"code": "resolved"}]},
            "verificationStatus": {"coding": [{"code": "confirmed"}]},
            "recordedDate": "2020",
        },
    ),
    ("Condition", {"abatementBoolean": True}, {"abatementString": "abated"}),
    ("Condition", {"abatementBoolean": False}, {}),
    (
        "Observation",
        {
            "related": [
                {"type": "has-member", "target": {"reference": "#1"}},
                {"type": "derived-from", "target": {"reference": "#2"}},
            ]
        },
        {"hasMember": [{"reference": "#1"}]},
    ),
    # DSTU2
    (
        "MedicationOrder",
        {"reasonReference": {"reference": "Condition/1"}, "reasonEnded": {"text": "no effect"}},
        {
            "intent": "order",
            "reasonReference": [{"reference": "Condition/1"}],
            "statusReason": {"text": "no effect"},
        },
    ),
    (
        "MedicationOrder",
        {
            "dosageInstruction": [
                {
                    "additionalInstructions": {"text": "with food"},
                    "timing": {"repeat": {"periodUnits": "d", "when": "HS", "boundsQuantity": {"value": 3}}},
                }
            ]
        },
        {
            "intent": "order",
            "dosageInstruction": [
                {
                    "additionalInstruction": [{"text": "with food"}],
                    "timing": {"repeat": {"periodUnit": "d", "when": ["HS"], "boundsDuration": {"value": 3}}},
                }
            ],
        },
    ),
    (
        "MedicationStatement",
        {
            "status": "active",
            "wasNotTaken": True,
            "patient": SUBJECT,
            "reasonForUseCodeableConcept": DEPRESSION,
        },
        {"status": "not-taken", "subject": SUBJECT, "reasonCode": [DEPRESSION]},
    ),
    (
        "MedicationStatement",
        {"status": "active", "wasNotTaken": False, "dosage": [{"quantityQuantity": TABLET}]},
        {"status": "active", "dosage": [{"doseAndRate": [{"doseQuantity": TABLET}]}]},
    ),
    (
        "MedicationAdministration",
        {"wasNotGiven": True, "effectiveTimeDateTime": "2026-01-01", "dosage": {"quantity": TABLET}},
        {"status": "not-done", "effectiveDateTime": "2026-01-01", "dosage": {"dose": TABLET}},
    ),
    (
        "Medication",
        {
            "product": {
                "form": {"text": "tablet"},
                "ingredient": [
                    {
                        "item": {"reference": "Substance/1", "display": "sertraline"},
                        "amount": {"numerator": {"value": 50}},
                    }
                ],
            }
        },
        {
            "form": {"text": "tablet"},
            "ingredient": [
                {
                    "itemReference": {"reference": "Substance/1", "display": "sertraline"},
                    "itemCodeableConcept": {"text": "sertraline"},
                    "strength": {"numerator": {"value": 50}},
                }
            ],
        },
    ),
    (
        "Condition",
        {"patient": SUBJECT, "dateRecorded": "2020-01-01"},
        {"subject": SUBJECT, "recordedDate": "2020-01-01"},
    ),
    # procedures, reactions, forms
    (
        "Procedure",
        {"occurrencePeriod": {"start": "2025"}, "reason": [{"concept": {"text": "low"}}]},
        {"performedPeriod": {"start": "2025"}, "reasonCode": [{"text": "low"}]},
    ),
    ("Procedure", {"status": "completed", "notPerformed": True}, {"status": "not-done"}),
    ("Procedure", {"status": "suspended", "notDone": False}, {"status": "on-hold"}),
    ("Procedure", {"status": "aborted"}, {"status": "stopped"}),
    (
        "AdverseEvent",
        {
            "code": {"text": "rash"},
            "occurrencePeriod": {"start": "2025-01-01"},
            "suspectEntity": [
                {
                    "instanceReference": {"reference": "#m"},
                    "causality": {"entityRelatedness": {"text": "Related"}},
                }
            ],
        },
        {
            "event": {"text": "rash"},
            "date": "2025-01-01",
            "suspectEntity": [
                {"instance": {"reference": "#m"}, "causality": [{"assessment": {"text": "Related"}}]}
            ],
        },
    ),
    ("AdverseEvent", {"occurrenceTiming": {"event": ["2025-01-01"]}}, {"date": "2025-01-01"}),
    (
        "AdverseEvent",
        {"category": "PAE", "type": {"text": "rash"}},
        {"actuality": "potential", "event": {"text": "rash"}},
    ),
    (
        "AllergyIntolerance",
        {"substance": {"text": "x"}, "status": "unconfirmed", "category": "food", "lastOccurence": "2025"},
        {
            "code": {"text": "x"},
            "verificationStatus": {"coding": [{"code": "unconfirmed"}]},
            "category": ["food"],
            "lastOccurrence": "2025",
        },
    ),
    ("AllergyIntolerance", {"status": "active", "assertedDate": "2025"}, {"recordedDate": "2025"}),
    (
        "AllergyIntolerance",
        {"reaction": [{"manifestation": [{"concept": {"text": "rash"}}, {"text": "itch"}]}]},
        {"reaction": [{"manifestation": [{"text": "rash"}, {"text": "itch"}]}]},
    ),
    (
        "QuestionnaireResponse",
        {
            "questionnaire": {"reference": "Questionnaire/phq9"},
            "group": {
                "title": "PHQ-9",
                "group": [{"question": [{"linkId": "1", "answer": [{"valueInteger": 2}]}]}],
                "question": [{"linkId": "2", "answer": [{"group": [{"linkId": "3"}]}]}],
            },
        },
        {
            "questionnaire": "Questionnaire/phq9",
            "item": [
                {
                    "text": "PHQ-9",
                    "item": [
                        {"item": [{"linkId": "1", "answer": [{"valueInteger": 2}]}]},
                        {"linkId": "2", "answer": [{"item": [{"linkId": "3"}]}]},
                    ],
                }
            ],
        },
    ),
    # contained resources
    (
        "Condition",
        {"contained": [{"resourceType": "Medication", "doseForm": {"text": "tablet"}}, "nothing"]},
        {"contained": [{"resourceType": "Medication", "form": {"text": "tablet"}}, "nothing"]},
    ),
]
