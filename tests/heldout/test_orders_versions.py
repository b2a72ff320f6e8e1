"""Orders, dispensings and statements as servers of DSTU2, STU3 and R5 give them, against what a pharmacist worked out.

Every resource is written out by hand in the elements of its own version. `dose` is mg a day as in the tables beside;
`days` the first and last day of use, with `?` behind when some of them are uncertain and `??` when all are; `use`
whether that use can be a trial: `counts`, `never`, `unclear`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.trd.answers import Answer
from cds_service.trd.record import History
from fhir_fixtures.builders import ATC, DMD, RXNORM, SNOMED_CT, UCUM
from tests.heldout.test_orders import ON, found_in

USE = {Answer.MET: "counts", Answer.NOT_MET: "never", Answer.UNKNOWN: "unclear"}
P1 = {"reference": "Patient/p1"}
SERTRALINE = {"text": "Sertraline 50mg tablets"}
MIRTAZAPINE = {"text": "Mirtazapine 15mg tablets"}
VENLAFAXINE = {"text": "Venlafaxine 75mg modified-release capsules"}
DEPRESSION = {"coding": [{"system": SNOMED_CT, "code": "370143000", "display": "Major depressive disorder"}]}
NEUROPATHY = {"text": "neuropathic pain"}
DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
TWICE = {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}
DAILY_2 = {"repeat": {"frequency": 1, "period": 1, "periodUnits": "d"}}


class Case(NamedTuple):
    name: str
    resource: dict[str, Any]
    dose: str
    days: str
    use: str = "counts"


def tablets(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "tablet", "system": UCUM, "code": "{tablet}"}


def mg(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "mg", "system": UCUM, "code": "mg"}


def days_of_supply(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "days", "system": UCUM, "code": "d"}


def period(start: str, end: str | None = None) -> dict[str, str]:
    return {"start": start} | ({"end": end} if end else {})


def bounded(timing: dict[str, Any], start: str, end: str | None = None) -> dict[str, Any]:
    return {"repeat": {**timing["repeat"], "boundsPeriod": period(start, end)}}


# --- R5 -----------------------------------------------------------------------------------------------


def r5_request(*dosages: dict[str, Any], **elements: Any) -> dict[str, Any]:
    standard = {
        "resourceType": "MedicationRequest",
        "id": "x1",
        "status": "active",
        "intent": "order",
        "medication": {"concept": SERTRALINE},
        "subject": P1,
        "authoredOn": "2026-01-01",
        "dosageInstruction": list(dosages),
    }
    return {name: value for name, value in {**standard, **elements}.items() if value not in (None, [])}


def per_dose(quantity: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"doseQuantity": quantity}]


R5 = [
    Case(
        "concept, two tablets a day",  # 2 × 50
        r5_request({"timing": DAILY, "doseAndRate": per_dose(tablets(2))}),
        "100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "contained Medication with doseForm and strengthQuantity",  # 50 mg × 3
        r5_request(
            {"timing": DAILY, "doseAndRate": per_dose(tablets(3))},
            contained=[
                {
                    "resourceType": "Medication",
                    "id": "m",
                    "doseForm": {"text": "Film-coated tablet"},
                    "ingredient": [
                        {"item": {"concept": {"text": "Sertraline"}}, "strengthQuantity": mg(50)},
                    ],
                }
            ],
            medication={"reference": {"reference": "#m"}},
        ),
        "150",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "strengthRatio of a liquid",  # 5 mL × 20 mg / 5 mL
        r5_request(
            {
                "timing": DAILY,
                "doseAndRate": per_dose({"value": 5, "unit": "mL", "system": UCUM, "code": "mL"}),
            },
            contained=[
                {
                    "resourceType": "Medication",
                    "id": "m",
                    "code": {"text": "Fluoxetine oral solution"},
                    "ingredient": [
                        {
                            "item": {"concept": {"text": "Fluoxetine"}},
                            "strengthRatio": {
                                "numerator": mg(20),
                                "denominator": {"value": 5, "unit": "mL", "system": UCUM, "code": "mL"},
                            },
                        },
                    ],
                }
            ],
            medication={"reference": {"reference": "#m"}},
        ),
        "20",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "asNeeded",
        r5_request({"asNeeded": True, "timing": DAILY, "doseAndRate": per_dose(tablets(1))}),
        "as needed",
        "2026-01-01 to 2026-06-30",
        "never",
    ),
    Case(
        "asNeededFor",
        r5_request(
            {"asNeededFor": [{"text": "sleep"}], "timing": DAILY, "doseAndRate": per_dose(tablets(1))},
            medication={"concept": MIRTAZAPINE},
        ),
        "as needed",
        "2026-01-01 to 2026-06-30",
        "never",
    ),
    Case(
        "asNeeded false",
        r5_request({"asNeeded": False, "timing": DAILY, "doseAndRate": per_dose(tablets(1))}),
        "50",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "reason of pain",
        r5_request(
            {"timing": DAILY, "doseAndRate": per_dose(tablets(1))},
            medication={"concept": {"text": "Amitriptyline 25mg tablets"}},
            reason=[{"concept": NEUROPATHY}],
        ),
        "25",
        "2026-01-01 to 2026-06-30",
        "never",
    ),
    Case(
        "reason of depression",
        r5_request({"timing": DAILY, "doseAndRate": per_dose(tablets(1))}, reason=[{"concept": DEPRESSION}]),
        "50",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "effectiveDosePeriod gives the days",
        r5_request(
            {"timing": DAILY, "doseAndRate": per_dose(tablets(1))},
            effectiveDosePeriod=period("2026-01-10", "2026-03-31"),
            status="completed",
        ),
        "50",
        "2026-01-10 to 2026-03-31",
    ),
    Case(
        "renderedDosageInstruction alone",
        r5_request(renderedDosageInstruction="TWO TO BE TAKEN EACH DAY"),
        "100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "rendered text contradicts the only dosage",
        r5_request(
            {"timing": DAILY, "doseAndRate": per_dose(tablets(1))},
            renderedDosageInstruction="TWO TO BE TAKEN EACH DAY",
        ),
        "unknown",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "stopped on the day its status changed",
        r5_request(
            {"timing": DAILY, "doseAndRate": per_dose(tablets(1))},
            status="stopped",
            statusChanged="2026-02-28",
        ),
        "50",
        "2026-01-01 to 2026-02-28",
    ),
    Case(
        "SNOMED CT coding of a product as concept",  # dm+d VMP sertraline 100 mg, half a tablet
        r5_request(
            {"timing": DAILY, "doseAndRate": per_dose(tablets(0.5))},
            medication={"concept": {"coding": [{"system": SNOMED_CT, "code": "321960002"}]}},
        ),
        "50",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "two steps in sequence",  # 25 mg for 7 days, then 50
        r5_request(
            {
                "sequence": 1,
                "timing": {"repeat": {**DAILY["repeat"], "boundsDuration": days_of_supply(7)}},
                "doseAndRate": per_dose(mg(25)),
            },
            {"sequence": 2, "timing": DAILY, "doseAndRate": per_dose(mg(50))},
        ),
        "25 for 7; 50",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "maxDosePerPeriod is a list in R5",  # 1 to 4 × 50, at most 100 mg a day
        r5_request(
            {
                "timing": DAILY,
                "doseAndRate": [{"doseRange": {"low": tablets(1), "high": tablets(4)}}],
                "maxDosePerPeriod": [{"numerator": mg(100), "denominator": days_of_supply(1)}],
            }
        ),
        "50-100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "the reference's display names the product",
        r5_request(
            {"text": "1 nocte"},
            medication={"reference": {"reference": "Medication/none", "display": "Mirtazapine 15mg tablets"}},
        ),
        "15",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "statement, adherence taking",
        {
            "resourceType": "MedicationStatement",
            "id": "x1",
            "status": "recorded",
            "medication": {"concept": SERTRALINE},
            "subject": P1,
            "effectivePeriod": period("2026-02-01", "2026-04-30"),
            "adherence": {"code": {"coding": [{"code": "taking"}]}},
            "dosage": [{"text": "1 tablet twice a day"}],
        },
        "100",
        "2026-02-01 to 2026-04-30",
    ),
    Case(
        "dispense, 28 capsules for 28 days",
        {
            "resourceType": "MedicationDispense",
            "id": "x1",
            "status": "completed",
            "medication": {"concept": VENLAFAXINE},
            "subject": P1,
            "quantity": {"value": 56},
            "daysSupply": days_of_supply(28),
            "whenHandedOver": "2026-03-01T10:00:00Z",
            "dosageInstruction": [
                {"timing": TWICE, "doseAndRate": per_dose({"value": 1, "unit": "capsule"})},
            ],
        },
        "150",
        "2026-03-01 to 2026-03-28",
    ),
]

# --- STU3 ---------------------------------------------------------------------------------------------


def stu3_request(*dosages: dict[str, Any], **elements: Any) -> dict[str, Any]:
    standard = {
        "resourceType": "MedicationRequest",
        "id": "x1",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": SERTRALINE,
        "subject": P1,
        "authoredOn": "2026-01-01",
        "dosageInstruction": list(dosages),
    }
    return {name: value for name, value in {**standard, **elements}.items() if value not in (None, [])}


STU3 = [
    Case(
        "flat doseQuantity",  # 2 × 50
        stu3_request({"timing": DAILY, "doseQuantity": tablets(2)}),
        "100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "flat doseRange",
        stu3_request({"timing": DAILY, "doseRange": {"low": tablets(1), "high": tablets(2)}}),
        "50-100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "GP Connect: a text only, repeat dispensing of 28 days",
        stu3_request(
            {"text": "1 tablet every day"},
            medicationCodeableConcept={
                "coding": [{"system": SNOMED_CT, "code": "321959007", "display": "Sertraline 50mg tablets"}]
            },
            status="completed",
            dispenseRequest={
                "validityPeriod": period("2026-01-05", "2026-02-01"),
                "quantity": {"value": 28, "unit": "tablet"},
                "expectedSupplyDuration": days_of_supply(28),
            },
        ),
        "50",
        "2026-01-05 to 2026-02-01",
    ),
    Case(
        "asNeededCodeableConcept",
        stu3_request(
            {"asNeededCodeableConcept": {"text": "for sleep"}, "timing": DAILY, "doseQuantity": tablets(1)},
            medicationCodeableConcept=MIRTAZAPINE,
        ),
        "as needed",
        "2026-01-01 to 2026-06-30",
        "never",
    ),
    Case(
        "timing code of the German for every morning",
        stu3_request({"timing": {"code": {"text": "morgens"}}, "doseQuantity": mg(50)}),
        "50",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "when with offset",
        stu3_request(
            {"timing": {"repeat": {"when": ["HS"], "offset": 30}}, "doseQuantity": tablets(2)},
            medicationCodeableConcept=MIRTAZAPINE,
        ),
        "30",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "text and structure disagree",
        stu3_request({"text": "TWO DAILY", "timing": DAILY, "doseQuantity": tablets(1)}),
        "unknown",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "a plan is no order",
        stu3_request({"timing": DAILY, "doseQuantity": tablets(1)}, intent="proposal"),
        "no antidepressant",
        "none",
        "none",
    ),
    Case(
        "statement, taken y",
        {
            "resourceType": "MedicationStatement",
            "id": "x1",
            "status": "active",
            "taken": "y",
            "medicationCodeableConcept": SERTRALINE,
            "subject": P1,
            "effectivePeriod": period("2026-01-01", "2026-03-31"),
            "dosage": [{"text": "1 od", "timing": DAILY, "doseQuantity": mg(50)}],
        },
        "50",
        "2026-01-01 to 2026-03-31",
    ),
    Case(
        "dispense of 30 days, dose from the pieces",  # 60 × 50 mg in 30 days
        {
            "resourceType": "MedicationDispense",
            "id": "x1",
            "status": "completed",
            "medicationCodeableConcept": SERTRALINE,
            "subject": P1,
            "quantity": {"value": 60, "unit": "tablet"},
            "daysSupply": days_of_supply(30),
            "whenHandedOver": "2026-02-01",
        },
        "100",
        "2026-02-01 to 2026-03-02",
    ),
    Case(
        "no dispense at all",
        {
            "resourceType": "MedicationDispense",
            "id": "x1",
            "status": "completed",
            "notDone": True,
            "medicationCodeableConcept": SERTRALINE,
            "subject": P1,
            "daysSupply": days_of_supply(30),
            "whenHandedOver": "2026-02-01",
        },
        "no antidepressant",
        "none",
        "none",
    ),
    Case(
        "contained Medication with amount",  # 2 × 20 mg
        stu3_request(
            {"timing": DAILY, "doseQuantity": {"value": 2, "unit": "capsule"}},
            contained=[
                {
                    "resourceType": "Medication",
                    "id": "m",
                    "code": {"coding": [{"system": ATC, "code": "N06AB03"}]},
                    "form": {"text": "capsule"},
                    "ingredient": [
                        {
                            "itemCodeableConcept": {"text": "fluoxetine"},
                            "amount": {"numerator": mg(20), "denominator": {"value": 1, "unit": "capsule"}},
                        }
                    ],
                }
            ],
            medicationCodeableConcept=None,
            medicationReference={"reference": "#m"},
        ),
        "40",
        "2026-01-01 to 2026-06-30",
    ),
]

# --- DSTU2 --------------------------------------------------------------------------------------------


def dstu2_order(*dosages: dict[str, Any], **elements: Any) -> dict[str, Any]:
    standard = {
        "resourceType": "MedicationOrder",
        "id": "x1",
        "status": "active",
        "dateWritten": "2026-01-01",
        "patient": P1,
        "medicationCodeableConcept": SERTRALINE,
        "dosageInstruction": list(dosages),
    }
    return {name: value for name, value in {**standard, **elements}.items() if value not in (None, [])}


DSTU2 = [
    Case(
        "periodUnits",  # 2 × 50
        dstu2_order({"timing": DAILY_2, "doseQuantity": tablets(2)}),
        "100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "every 12 hours",  # 50 × 2
        dstu2_order(
            {
                "timing": {"repeat": {"frequency": 1, "period": 12, "periodUnits": "h"}},
                "doseQuantity": mg(50),
            }
        ),
        "100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "when is one code",
        dstu2_order(
            {"timing": {"repeat": {"when": "HS"}}, "doseQuantity": tablets(2)},
            medicationCodeableConcept=MIRTAZAPINE,
        ),
        "30",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "dateEnded of a stopped order",
        dstu2_order(
            {"timing": DAILY_2, "doseQuantity": tablets(1)},
            status="stopped",
            dateEnded="2026-02-14",
            reasonEnded={"text": "not effective"},
        ),
        "50",
        "2026-01-01 to 2026-02-14",
    ),
    Case(
        "bounds in the dosage",
        dstu2_order(
            {"timing": bounded(DAILY_2, "2026-01-03", "2026-03-03"), "doseQuantity": tablets(1)},
            status="completed",
        ),
        "50",
        "2026-01-03 to 2026-03-03",
    ),
    Case(
        "timing code BID in words, text of the dose",
        dstu2_order({"text": "one tablet", "timing": {"code": {"text": "BID"}}}),
        "100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "a text only",
        dstu2_order({"text": "ONE TO BE TAKEN THREE TIMES A DAY"}),
        "150",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "asNeededBoolean",
        dstu2_order({"timing": DAILY_2, "doseQuantity": tablets(1), "asNeededBoolean": True}),
        "as needed",
        "2026-01-01 to 2026-06-30",
        "never",
    ),
    Case(
        "reasonCodeableConcept of pain",
        dstu2_order(
            {"timing": DAILY_2, "doseQuantity": mg(25)},
            medicationCodeableConcept={"text": "Amitriptyline 25mg tablets"},
            reasonCodeableConcept=NEUROPATHY,
        ),
        "25",
        "2026-01-01 to 2026-06-30",
        "never",
    ),
    Case(
        "dispenseRequest names another product",
        dstu2_order(
            {"timing": DAILY_2, "doseQuantity": tablets(1)},
            dispenseRequest={"medicationCodeableConcept": {"text": "Citalopram 20mg tablets"}},
        ),
        "unknown drug",
        "2026-01-01 to 2026-06-30",
        "counts",  # the use is not what is in doubt
    ),
    Case(
        "90 days of supply",
        dstu2_order(
            {"timing": DAILY_2, "doseQuantity": tablets(1)},
            status="completed",
            dispenseRequest={
                "numberOfRepeatsAllowed": 2,
                "expectedSupplyDuration": {"value": 30, "unit": "days", "system": UCUM, "code": "d"},
            },
        ),
        "50",
        "2026-01-01 to 2026-03-31",
    ),
    Case(
        "dm+d coding",
        dstu2_order(
            {"text": "2 nocte"},
            medicationCodeableConcept={"coding": [{"system": DMD, "code": "375193003"}]},
        ),
        "30",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "RxNorm coding and rateRatio of nothing",
        dstu2_order(
            {"timing": TWICE, "doseQuantity": tablets(1)},
            medicationCodeableConcept={"coding": [{"system": RXNORM, "code": "312941"}]},
        ),
        "100",
        "2026-01-01 to 2026-06-30",
    ),
    Case(
        "statement with quantityQuantity",  # 2 × 50
        {
            "resourceType": "MedicationStatement",
            "id": "x1",
            "status": "active",
            "patient": P1,
            "wasNotTaken": False,
            "medicationCodeableConcept": SERTRALINE,
            "effectivePeriod": period("2026-01-01", "2026-02-28"),
            "dosage": [{"timing": DAILY_2, "quantityQuantity": tablets(2)}],
        },
        "100",
        "2026-01-01 to 2026-02-28",
    ),
    Case(
        "dispense",
        {
            "resourceType": "MedicationDispense",
            "id": "x1",
            "status": "completed",
            "patient": P1,
            "medicationCodeableConcept": SERTRALINE,
            "quantity": {"value": 28, "unit": "tablet"},
            "daysSupply": {"value": 28, "unit": "d"},
            "whenHandedOver": "2026-04-01",
            "dosageInstruction": [{"timing": DAILY_2, "doseQuantity": tablets(1)}],
        },
        "50",
        "2026-04-01 to 2026-04-28",
    ),
]

CASES = [
    pytest.param(case, id=f"{version}: {case.name}")
    for version, cases in (("R5", R5), ("STU3", STU3), ("DSTU2", DSTU2))
    for case in cases
]


@pytest.mark.parametrize("case", CASES)
def test_a_resource_gives_what_a_pharmacist_reads_in_its_version(case: Case) -> None:
    history = read_history(Collected("p1", (Entry(case.resource, None, "order"),)), ON)
    assert (found_in(history), _days(history), _use(history)) == (case.dose, case.days, case.use)


def _days(history: History) -> str:
    segments = [segment for prescription in history.prescriptions for segment in prescription.segments]
    if not segments:
        return "none"
    certain = [segment.days_certain for segment in segments]
    doubt = "" if all(certain) else "?" if any(certain) else "??"
    return f"{segments[0].first_day} to {segments[-1].last_day}{doubt}"


def _use(history: History) -> str:
    uses = {USE[prescription.treats_depression.answer] for prescription in history.prescriptions}
    return uses.pop() if uses else "none"
