"""The smallest valid FHIR R4 resources, with only what a test names.

Each builder gives a plain dict. `text` stands for a CodeableConcept with only a text; a pair
`(system, code)` for one with a coding. Further elements go in as keyword arguments under their FHIR names
and replace what the builder would have put there; an element given as None is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
SNOMED_CT = "http://snomed.info/sct"
DMD = "https://dmd.nhs.uk"
LOINC = "http://loinc.org"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"
DRUG_FORM = "http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm"
TIMING_CODE = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ALLERGY_CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

PHQ9_PANEL = (LOINC, "44249-1")
PHQ9_TOTAL = (LOINC, "44261-6")
PHQ9_ITEMS = tuple(
    (LOINC, code)
    for code in (
        "44250-9",
        "44255-8",
        "44259-0",
        "44254-1",
        "44251-7",
        "44258-2",
        "44252-5",
        "44253-3",
        "44260-8",
    )
)

Resource = dict[str, Any]
Concept = str | tuple[str, str] | tuple[str, str, str] | Mapping[str, Any]


def patient(id: str = "p1", birth_date: str | None = "1980-01-01", **elements: Any) -> Resource:
    return _resource("Patient", id, {"birthDate": birth_date}, elements)


def medication_request(
    id: str = "rx1",
    medication: Concept | None = "sertraline 100 mg tablet",
    dosage: str | Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = "Take 1 tablet by mouth daily",
    first_day: str | None = "2025-09-01",
    last_day: str | None = None,
    patient_id: str = "p1",
    **elements: Any,
) -> Resource:
    """An order; the days become the `boundsPeriod` of its first dosage instruction."""
    standard = {
        "status": "completed" if last_day else "active",
        "intent": "order",
        "medicationCodeableConcept": None if medication is None else concept(medication),
        "subject": {"reference": f"Patient/{patient_id}"},
        "authoredOn": first_day,
        "dosageInstruction": _within(first_day, last_day, _dosages(dosage)),
    }
    return _resource("MedicationRequest", id, standard, elements)


def medication(id: str = "med1", code: Concept = "sertraline 100 mg tablet", **elements: Any) -> Resource:
    return _resource("Medication", id, {"code": concept(code)}, elements)


def observation(
    id: str = "obs1",
    code: Concept = PHQ9_TOTAL,
    value: float | None = 17,
    day: str | None = "2025-09-01",
    patient_id: str = "p1",
    **elements: Any,
) -> Resource:
    """A result with a score as its value; `value=None` leaves the value out."""
    standard = {
        "status": "final",
        "code": concept(code),
        "subject": {"reference": f"Patient/{patient_id}"},
        "effectiveDateTime": day,
        "valueQuantity": None if value is None else score(value),
    }
    return _resource("Observation", id, standard, elements)


def condition(
    id: str = "dx1",
    code: Concept = (ICD_10_CM, "F33.1"),
    recorded: str | None = "2024-11-01",
    patient_id: str = "p1",
    clinical: str | None = "active",
    verification: str | None = "confirmed",
    **elements: Any,
) -> Resource:
    standard = {
        "clinicalStatus": clinical and concept((CONDITION_CLINICAL, clinical)),
        "verificationStatus": verification and concept((CONDITION_VERIFICATION, verification)),
        "code": concept(code),
        "subject": {"reference": f"Patient/{patient_id}"},
        "recordedDate": recorded,
    }
    return _resource("Condition", id, standard, elements)


def procedure(
    id: str = "proc1",
    code: Concept = "electroconvulsive therapy",
    day: str | None = "2025-05-01",
    patient_id: str = "p1",
    **elements: Any,
) -> Resource:
    standard = {
        "status": "completed",
        "code": concept(code),
        "subject": {"reference": f"Patient/{patient_id}"},
        "performedDateTime": day if "performedPeriod" not in elements else None,
    }
    return _resource("Procedure", id, standard, elements)


def adverse_event(
    id: str = "ae1",
    suspect: str | None = "MedicationRequest/rx1",
    day: str | None = "2025-05-01",
    patient_id: str = "p1",
    **elements: Any,
) -> Resource:
    """An event that happened; `suspect` is a reference to the order or the Medication."""
    standard = {
        "actuality": "actual",
        "event": concept("nausea"),
        "subject": {"reference": f"Patient/{patient_id}"},
        "date": day,
        "suspectEntity": [{"instance": {"reference": suspect}}] if suspect else [],
    }
    return _resource("AdverseEvent", id, standard, elements)


def allergy(
    id: str = "al1",
    code: Concept = "sertraline",
    recorded: str | None = "2025-05-02",
    patient_id: str = "p1",
    verification: str | None = "confirmed",
    **elements: Any,
) -> Resource:
    standard = {
        "clinicalStatus": concept((ALLERGY_CLINICAL, "active")),
        "verificationStatus": verification and concept((ALLERGY_VERIFICATION, verification)),
        "code": concept(code),
        "patient": {"reference": f"Patient/{patient_id}"},
        "recordedDate": recorded,
    }
    return _resource("AllergyIntolerance", id, standard, elements)


def service_request(
    id: str = "sr1",
    code: Concept | None = (SNOMED_CT, "183524004", "Referral to psychiatry service (procedure)"),
    authored_on: str | None = "2026-05-02",
    patient_id: str = "p1",
    **elements: Any,
) -> Resource:
    """An order that is active, unless `status` says otherwise."""
    standard = {
        "status": "active",
        "intent": "order",
        "code": None if code is None else concept(code),
        "subject": {"reference": f"Patient/{patient_id}"},
        "authoredOn": authored_on,
    }
    return _resource("ServiceRequest", id, standard, elements)


def questionnaire_response(
    id: str = "form1",
    items: Iterable[Mapping[str, Any]] = (),
    day: str | None = "2025-05-01",
    patient_id: str = "p1",
    **elements: Any,
) -> Resource:
    standard = {
        "status": "completed",
        "subject": {"reference": f"Patient/{patient_id}"},
        "authored": day,
        "item": [dict(item) for item in items],
    }
    return _resource("QuestionnaireResponse", id, standard, elements)


def bundle(*resources: Resource, type: str = "collection", base_url: str | None = None) -> Resource:
    """A Bundle of these; with `base_url` every entry has its address there as `fullUrl`."""
    entries = [_entry(resource, base_url) for resource in resources]
    if type in ("transaction", "batch"):
        entries = [
            entry | {"request": {"method": "PUT", "url": _address(resource)}}
            for entry, resource in zip(entries, resources, strict=True)
        ]
    return {"resourceType": "Bundle", "type": type, "entry": entries}


def searchset(
    *resources: Resource,
    total: int | None = None,
    next_url: str | None = None,
    base_url: str | None = None,
    included: Iterable[Resource] = (),
) -> Resource:
    """What a FHIR server answers to a search; `included` came along by `_include`."""
    links = [{"relation": "next", "url": next_url}] if next_url else []
    found = [_entry(resource, base_url) | {"search": {"mode": "match"}} for resource in resources]
    along = [_entry(resource, base_url) | {"search": {"mode": "include"}} for resource in included]
    return _without_gaps(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(resources) if total is None else total,
            "link": links,
            "entry": found + along,
        }
    )


def concept(of: Concept) -> Resource:
    """A CodeableConcept of a text, of `(system, code[, display])`, or as given."""
    if isinstance(of, str):
        return {"text": of}
    if isinstance(of, Mapping):
        return dict(of)
    return {"coding": [dict(zip(("system", "code", "display"), of, strict=False))]}


def quantity(value: float, unit: str, code: str | None = None, system: str = UCUM) -> Resource:
    """A Quantity; coded when `code` is given, else with its unit as text only."""
    return {"value": value, "unit": unit} | ({"system": system, "code": code} if code else {})


def score(value: float) -> Resource:
    return quantity(value, "{score}", "{score}")


def _resource(type: str, id: str, standard: Mapping[str, Any], elements: Mapping[str, Any]) -> Resource:
    return _without_gaps({"resourceType": type, "id": id, **standard, **elements})


def _without_gaps(elements: Mapping[str, Any]) -> Resource:
    """FHIR allows neither null nor empty elements."""
    return {name: value for name, value in elements.items() if value is not None and value != []}


def _dosages(dosage: str | Mapping[str, Any] | Iterable[Mapping[str, Any]] | None) -> list[Resource]:
    if dosage is None:
        return []
    if isinstance(dosage, str):
        return [{"text": dosage}]
    if isinstance(dosage, Mapping):
        return [dict(dosage)]
    return [dict(one) for one in dosage]


def _within(first_day: str | None, last_day: str | None, dosages: list[Resource]) -> list[Resource]:
    if last_day is None:
        return dosages
    bounds = _without_gaps({"start": first_day, "end": last_day})
    first, *others = dosages or [{}]
    timing = first.get("timing", {})
    repeat = {"boundsPeriod": bounds} | timing.get("repeat", {})
    return [first | {"timing": timing | {"repeat": repeat}}, *others]


def _entry(resource: Resource, base_url: str | None) -> Resource:
    address = {"fullUrl": f"{base_url}/{_address(resource)}"} if base_url else {}
    return address | {"resource": resource}


def _address(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
