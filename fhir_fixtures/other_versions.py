"""Resources of FHIR R4 rewritten as R5, STU3 and DSTU2 would say the same."""

from __future__ import annotations

import copy
from typing import Any

Resource = dict[str, Any]

NAMES_IN_DSTU2 = {"subject": "patient", "authoredOn": "dateWritten", "statusReason": "reasonEnded"}


def as_r5(resource: Resource) -> Resource:
    after = copy.deepcopy(resource)
    after |= (
        {"contained": [as_r5(contained) for contained in after["contained"]]} if "contained" in after else {}
    )
    if after["resourceType"] == "Medication":
        _rename(after, {"form": "doseForm"})
    if after["resourceType"] != "MedicationRequest":
        return after
    for name, part in (("medicationCodeableConcept", "concept"), ("medicationReference", "reference")):
        if name in after:
            after["medication"] = {**after.get("medication", {}), part: after.pop(name)}
    reasons = [{"concept": concept} for concept in after.pop("reasonCode", [])]
    reasons += [{"reference": reference} for reference in after.pop("reasonReference", [])]
    for dosage in after.get("dosageInstruction", []):
        _rename(dosage, {"asNeededBoolean": "asNeeded"})
        if "asNeededCodeableConcept" in dosage:
            dosage["asNeededFor"] = [dosage.pop("asNeededCodeableConcept")]
    return after | ({"reason": reasons} if reasons else {})


def as_stu3(resource: Resource) -> Resource:
    after = copy.deepcopy(resource)
    if after["resourceType"] == "Condition":
        for name in ("clinicalStatus", "verificationStatus"):
            if name in after:
                after[name] = after[name]["coding"][0]["code"]
        _rename(after, {"recordedDate": "assertedDate"})
    if "hasMember" in after:
        after["related"] = [{"type": "has-member", "target": member} for member in after.pop("hasMember")]
    for dosage in after.get("dosageInstruction", []):
        for amounts in dosage.pop("doseAndRate", []):
            amounts.pop("type", None)
            dosage.update(amounts)
    return after


def as_dstu2(resource: Resource) -> Resource:
    after = as_stu3(resource)
    if after["resourceType"] == "Condition":
        _rename(after, {"subject": "patient", "assertedDate": "dateRecorded"})
    if after["resourceType"] != "MedicationRequest":
        return after
    after["resourceType"] = "MedicationOrder"
    _rename(after, NAMES_IN_DSTU2)
    if after.get("intent") == "order":
        del after["intent"]
    for concept in after.pop("reasonCode", []):
        after["reasonCodeableConcept"] = concept
    if "reasonReference" in after:
        (after["reasonReference"],) = after["reasonReference"]
    for dosage in after.get("dosageInstruction", []):
        _dosage_as_dstu2(dosage)
    return after


def _dosage_as_dstu2(dosage: Resource) -> None:
    repeat = dosage.get("timing", {}).get("repeat", {})
    _rename(repeat, {"periodUnit": "periodUnits", "boundsDuration": "boundsQuantity"})
    if len(repeat.get("when", [])) == 1:
        (repeat["when"],) = repeat["when"]
    for concept in dosage.pop("additionalInstruction", []):
        dosage["additionalInstructions"] = concept


def _rename(members: Resource, names: dict[str, str]) -> None:
    for old, new in names.items():
        if old in members:
            members[new] = members.pop(old)
