"""Makes something in a chart unreadable or leaves it out, so that the whole story is only one of several readings.

Each way of hiding leaves a trace: the resource is still there, and what it lacks can be seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any

Resource = dict[str, Any]
Hide = Callable[[Resource, Random], None]


def with_something_hidden(bundle: Resource, random: Random) -> tuple[Resource, list[str]]:
    """A copy of the Bundle in which one to three facts are hidden, and which."""
    hidden = copy.deepcopy(bundle)
    own = [entry["resource"] for entry in hidden["entry"] if _is_own(entry["resource"])]
    done = []
    for resource in random.sample(own, min(len(own), random.choice([1, 1, 2, 3]))):
        hide = random.choice(WAYS[resource["resourceType"]])
        hide(resource, random)
        done.append(f"{resource['resourceType']}/{resource['id']}: {hide.__name__.strip('_')}")
    return hidden, done


def _is_own(resource: Resource) -> bool:
    subject = resource.get("subject", {}).get("reference", "")
    is_about_patient = subject.endswith("Patient/pat-7") or resource["id"] == "pat-7"
    return is_about_patient and resource["resourceType"] in WAYS


# --- orders -------------------------------------------------------------------------------------------


def _no_dosage(order: Resource, _: Random) -> None:
    order.pop("dosageInstruction", None)


def _dose_not_clear(order: Resource, random: Random) -> None:
    for dosage in order.get("dosageInstruction", []):
        dosage.pop("doseAndRate", None)
        dosage.pop("patientInstruction", None)
        dosage["text"] = random.choice(
            ["as directed", "titrate to effect", "up to 4 tablets daily", "see letter"]
        )


def _dose_of_wrong_type(order: Resource, random: Random) -> None:
    for dosage in order.get("dosageInstruction", []):
        dosage.pop("text", None)
        dosage.pop("patientInstruction", None)
        dosage["doseAndRate"] = [
            {"doseQuantity": random.choice([{"value": "fifty"}, "50 mg", {"value": -1}, 50])}
        ]


def _dose_in_odd_unit(order: Resource, random: Random) -> None:
    for dosage in order.get("dosageInstruction", []):
        dosage.pop("text", None)
        dosage.pop("patientInstruction", None)
        dosage["doseAndRate"] = [
            {"doseQuantity": {"value": 2, "unit": random.choice(["drop", "scoop", "spoonful"])}}
        ]


def _no_dates(order: Resource, _: Random) -> None:
    order.pop("authoredOn", None)
    order.pop("dispenseRequest", None)
    for repeat in _repeats(order):
        for name in ("boundsPeriod", "boundsDuration"):
            repeat.pop(name, None)


def _no_end(order: Resource, _: Random) -> None:
    """Only on an order that says it ended, else it would be a story of its own."""
    if order.get("status") not in ("completed", "stopped"):
        return
    order.pop("dispenseRequest", None)
    for dosage in order.get("dosageInstruction", []):
        dosage.pop("text", None)
    for repeat in _repeats(order):
        for name in ("boundsPeriod", "boundsDuration"):
            repeat.pop(name, None)


def _start_not_exact(order: Resource, random: Random) -> None:
    length = random.choice([4, 7])
    if "authoredOn" in order:
        order["authoredOn"] = order["authoredOn"][:length]
    for repeat in _repeats(order):
        if "boundsPeriod" in repeat:
            repeat["boundsPeriod"]["start"] = repeat["boundsPeriod"]["start"][:length]


def _end_not_a_date(order: Resource, random: Random) -> None:
    for repeat in _repeats(order):
        if "boundsPeriod" in repeat:
            repeat["boundsPeriod"]["end"] = random.choice(["2025-13-45", "soon", 20250101, ""])


def _repeats(order: Resource) -> list[Resource]:
    return [
        d["timing"]["repeat"] for d in order.get("dosageInstruction", []) if "repeat" in d.get("timing", {})
    ]


def _status_not_known(order: Resource, random: Random) -> None:
    order["status"] = random.choice(["unknown", "on-hold", "whatever", None])
    if order["status"] is None:
        del order["status"]


def _no_intent(order: Resource, _: Random) -> None:
    order.pop("intent", None)


def _drug_not_told(order: Resource, random: Random) -> None:
    order.pop("medicationReference", None)
    order["medicationCodeableConcept"] = random.choice(
        [
            {"text": "antidepressant"},
            {},
            {"coding": [{"system": "urn:oid:1.2.3", "code": "77"}]},
            {"text": "as before"},
        ]
    )


def _medication_not_at_hand(order: Resource, _: Random) -> None:
    order.pop("medicationCodeableConcept", None)
    order["medicationReference"] = {"reference": "Medication/not-at-hand"}


def _modifier(resource: Resource, _: Random) -> None:
    resource["modifierExtension"] = [{"url": "http://example.org/changes-everything", "valueBoolean": True}]


def _nobody(resource: Resource, random: Random) -> None:
    resource["subject"] = random.choice([{}, {"display": "Somebody"}, {"reference": "urn:uuid:unknown"}])


# --- results, diagnoses, the patient --------------------------------------------------------------------

VALUES = ("valueQuantity", "valueInteger", "valueString", "valueCodeableConcept", "component", "hasMember")
DATES = ("effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")


def _no_value(result: Resource, _: Random) -> None:
    for name in VALUES:
        result.pop(name, None)


def _value_in_words(result: Resource, random: Random) -> None:
    _no_value(result, random)
    result |= random.choice(
        [{"valueString": "moderate"}, {"valueQuantity": {"value": 99}}, {"valueInteger": "x"}]
    )


def _result_day_not_exact(result: Resource, random: Random) -> None:
    written = next(result[name] for name in DATES if name in result)
    day = written if isinstance(written, str) else written["start"]
    for name in DATES:
        result.pop(name, None)
    result["effectiveDateTime"] = random.choice([day[:7], day[:4]])


def _no_result_day(result: Resource, _: Random) -> None:
    for name in DATES:
        result.pop(name, None)


def _preliminary(result: Resource, random: Random) -> None:
    result["status"] = random.choice(["preliminary", "registered", "unknown"])


def _no_code(resource: Resource, random: Random) -> None:
    resource["code"] = random.choice([{}, {"coding": []}, {"coding": "F33.1"}])


def _not_confirmed(condition: Resource, random: Random) -> None:
    code = random.choice(["provisional", "unconfirmed", "differential", "maybe"])
    condition["verificationStatus"] = {"coding": [{"code": code}]}


def _clinical_status_not_known(condition: Resource, _: Random) -> None:
    condition["clinicalStatus"] = {"coding": [{"code": "who-knows"}]}


def _diagnosis_day_not_exact(condition: Resource, random: Random) -> None:
    length = random.choice([4, 7])
    for name in ("onsetDateTime", "recordedDate"):
        if name in condition:
            condition[name] = condition[name][:length]


def _no_diagnosis_day(condition: Resource, _: Random) -> None:
    for name in ("onsetDateTime", "recordedDate"):
        condition.pop(name, None)


def _no_birth_date(patient: Resource, random: Random) -> None:
    patient["birthDate"] = random.choice(["", "1980-02-30", "unknown", 1980])


def _birth_year_only(patient: Resource, _: Random) -> None:
    patient["birthDate"] = str(patient["birthDate"])[:4]


WAYS: dict[str, tuple[Hide, ...]] = {
    "MedicationRequest": (
        _no_dosage, _dose_not_clear, _dose_of_wrong_type, _dose_in_odd_unit, _no_dates, _no_end, _start_not_exact,
        _end_not_a_date, _status_not_known, _no_intent, _drug_not_told, _medication_not_at_hand, _modifier, _nobody,
    ),
    "Observation": (
        _no_value, _value_in_words, _result_day_not_exact, _no_result_day, _preliminary, _no_code, _modifier, _nobody,
    ),
    "Condition": (
        _no_code, _not_confirmed, _clinical_status_not_known, _diagnosis_day_not_exact, _no_diagnosis_day, _modifier,
        _nobody,
    ),
    "Patient": (_no_birth_date, _birth_year_only),
}  # fmt: skip
