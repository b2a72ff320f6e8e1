"""A resource of FHIR DSTU2, STU3 or R5 → the same resource in the elements of R4.

Which version it is in is told by its own elements: those that differ have other names or other types in
each, so neither the server's word nor a profile is needed, and one record may mix them. Only what the
readers look at is carried over. What cannot be carried over is put where the reader of that element finds
it unreadable, so it is listed and never lost. The paths in such problems are those of R4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cds_service.fhir_reading.dates import parse_fhir_date
from cds_service.fhir_reading.dosage_versions import dosage_to_r4
from cds_service.fhir_reading.elements import CodeableConcept, read_elements
from cds_service.fhir_reading.renaming import Members, each, extend, move, put, wrap


def to_r4(resource: Members) -> Members:
    """The resource in the elements of R4; the very same object when it is in R4, or of another type.

    Never raises, and changes nothing in the resource given. A MedicationOrder keeps its type.
    """
    after = _without_contained(resource)
    return each(after, "contained", _without_contained) if "contained" in after else after


def _without_contained(resource: Members) -> Members:
    resource_type = resource.get("resourceType")
    adapt = _ADAPTERS.get(resource_type) if isinstance(resource_type, str) else None
    return adapt(resource) if adapt else resource


# --- what several types share -------------------------------------------------------------------------


def _split_references(resource: Members, name: str, concept: str, reference: str) -> None:
    """A CodeableReference of R5, or an array of them, as the concepts and references of R4."""
    values = resource.pop(name, None)
    if not isinstance(values, list):
        for part in _parts(values):
            put(resource, reference if part[0] else concept, part[1])
        return
    parts = [part for value in values for part in _parts(value)]
    extend(resource, concept, [value for is_reference, value in parts if not is_reference])
    extend(resource, reference, [value for is_reference, value in parts if is_reference])


def _parts(value: Any) -> Iterator[tuple[bool, Any]]:
    """The concept and the reference of a CodeableReference; what is none stands in the concept's place."""
    is_reference = isinstance(value, dict) and value.get("reference") is not None
    if is_reference:
        yield True, value["reference"]
    if isinstance(value, dict) and value.get("concept") is not None:
        yield False, value["concept"]
    elif value is not None and not is_reference:
        yield False, value


def _unwrap_dose(resource: Members, dosages: str) -> None:
    """The drafts of R6 put dosages, their text and their period into one element `dose`."""
    dose = resource.pop("dose", None)
    if not isinstance(dose, dict):
        put(resource, dosages, dose)
        return
    put(resource, dosages, dose.get("dosageInstruction"))
    for name in ("renderedDosageInstruction", "effectiveDosePeriod"):
        put(resource, name, dose.get(name))


def _put_rendered_text(resource: Members, dosages: str) -> None:
    """The text of all dosages together is that of the only one, if that has none; or is all there is."""
    text = resource.pop("renderedDosageInstruction", None)
    known = resource.get(dosages)
    if text is not None and not known:
        resource[dosages] = [{"text": text}]
    elif text is not None and isinstance(known, list) and len(known) == 1 and isinstance(known[0], dict):
        resource[dosages] = [{"text": text, **known[0]}]


def _put_status(resource: Members, status: str) -> None:
    if resource.get("status") != "entered-in-error":
        resource["status"] = status


def _put_unreadable_status(resource: Members, beside: Any) -> None:
    resource["status"] = [resource.get("status"), beside]


# --- orders -------------------------------------------------------------------------------------------


REQUEST_NOT_IN_R4 = frozenset(
    {"medication", "reason", "dose", "renderedDosageInstruction", "effectiveDosePeriod", "statusChanged"}
)
ORDER_NAMES = {
    "patient": "subject",
    "dateWritten": "authoredOn",
    "reasonCodeableConcept": "reasonCode",
    "reasonEnded": "statusReason",
}


def _request_to_r4(request: Members) -> Members:
    """A MedicationRequest of R5 or STU3. `effectiveDosePeriod` has no place of its own in R4 and stays too.

    `ended` in R5 is what is no longer active and no longer to be taken.
    """
    if not REQUEST_NOT_IN_R4.isdisjoint(request):
        request = dict(request)
        _split_references(request, "medication", "medicationCodeableConcept", "medicationReference")
        _split_references(request, "reason", "reasonCode", "reasonReference")
        _unwrap_dose(request, "dosageInstruction")
        _put_rendered_text(request, "dosageInstruction")
        _put_bounds(request)
        _put_day_of_stop(request, request.pop("statusChanged", None))
        if request.get("status") == "ended":
            request["status"] = "completed"
    return each(request, "dosageInstruction", dosage_to_r4)


def _order_to_r4(order: Members) -> Members:
    """A MedicationOrder of DSTU2. It is an order by its type; there is no intent, unless one is given all the same."""
    order = {"intent": "order", **order}
    move(order, ORDER_NAMES)
    wrap(order, "reasonCode", "reasonReference")
    _put_end(order, order.pop("dateEnded", None))
    _put_product_to_dispense(order)
    return each(order, "dosageInstruction", dosage_to_r4)


def _put_bounds(request: Members) -> None:
    """The period of the order is that of its only dosage, unless that has bounds of its own."""
    period, dosages = request.get("effectiveDosePeriod"), request.get("dosageInstruction")
    if not isinstance(period, dict) or not isinstance(dosages, list) or len(dosages) != 1:
        return
    dosage = dosages[0]
    timing: Any = dosage.get("timing", {}) if isinstance(dosage, dict) else None
    repeat: Any = timing.get("repeat", {}) if isinstance(timing, dict) else None
    if isinstance(repeat, dict) and not any(name.startswith("bounds") for name in repeat):
        timing = {**timing, "repeat": {**repeat, "boundsPeriod": period}}
        request["dosageInstruction"] = [{**dosage, "timing": timing}]


def _put_day_of_stop(request: Members, changed: Any) -> None:
    """The day of the last change of status is that of the stop, if it was stopped."""
    if request.get("status") in ("stopped", "ended"):
        _put_end(request, changed)


def _put_end(order: Members, end: Any) -> None:
    """The day an order was ended, as the end of its period, unless that ends earlier."""
    period = order.get("effectiveDosePeriod")
    if end is not None and (period is None or isinstance(period, dict)):
        order["effectiveDosePeriod"] = {**(period or {}), "end": _earlier((period or {}).get("end"), end)}


def _earlier(one: Any, other: Any) -> Any:
    if one is None:
        return other
    days = parse_fhir_date(one), parse_fhir_date(other)
    if days[0] is None or days[1] is None:
        return [one, other]
    return one if days[0].latest <= days[1].latest else other


def _put_product_to_dispense(order: Members) -> None:
    """A product to dispense must be the drug that is ordered: its codes and names stand beside."""
    dispense = order.get("dispenseRequest")
    if not isinstance(dispense, dict):
        return
    put(order, "medicationReference", dispense.get("medicationReference"))
    product, _ = read_elements(dispense.get("medicationCodeableConcept") or {}, CodeableConcept)
    ordered = order.get("medicationCodeableConcept")
    if isinstance(ordered, dict) and isinstance(ordered.get("coding", []), list):
        codings = [{"system": c.system, "code": c.code, "display": c.display} for c in product.coding]
        names = [{"display": product.text}] if product.text else []
        if codings or names:
            both = [*ordered.get("coding", []), *codings, *names]
            order["medicationCodeableConcept"] = {**ordered, "coding": both}
    else:
        put(order, "medicationCodeableConcept", dispense.get("medicationCodeableConcept"))


# --- dispenses, statements, administrations -----------------------------------------------------------


DISPENSE_NOT_IN_R4 = frozenset({"medication", "patient", "notDone", "dose", "renderedDosageInstruction"})


def _dispense_to_r4(dispense: Members) -> Members:
    if not DISPENSE_NOT_IN_R4.isdisjoint(dispense):
        dispense = dict(dispense)
        move(dispense, {"patient": "subject"})
        _split_references(dispense, "medication", "medicationCodeableConcept", "medicationReference")
        _unwrap_dose(dispense, "dosageInstruction")
        _put_rendered_text(dispense, "dosageInstruction")
        _put_negation(dispense, "notDone", "declined")
    return each(dispense, "dosageInstruction", dosage_to_r4)


def _put_negation(resource: Members, name: str, status: str) -> None:
    """What was not done has a status of its own in R4."""
    is_negated = resource.pop(name, None)
    if is_negated is True:
        _put_status(resource, status)
    elif is_negated not in (None, False):
        _put_unreadable_status(resource, is_negated)


STATEMENT_NAMES = {
    "patient": "subject",
    "reasonForUseCodeableConcept": "reasonCode",
    "reasonForUseReference": "reasonReference",
    "reasonNotTaken": "statusReason",
}
STATEMENT_NOT_IN_R4 = frozenset(
    {*STATEMENT_NAMES, "medication", "reason", "wasNotTaken", "taken", "adherence", "dose"}
    | {"renderedDosageInstruction"}
)
TAKEN = {"y": "", "na": "", "n": "not-taken", "unk": "unknown"}
ADHERENCE = {
    "taking": "active",
    "not-taking": "not-taken",
    "on-hold": "on-hold",
    "stopped": "stopped",
    "unknown": "unknown",
}


def _statement_to_r4(statement: Members) -> Members:
    if not STATEMENT_NOT_IN_R4.isdisjoint(statement):
        statement = dict(statement)
        move(statement, STATEMENT_NAMES)
        wrap(statement, "reasonCode", "reasonReference", "statusReason")
        _split_references(statement, "medication", "medicationCodeableConcept", "medicationReference")
        _split_references(statement, "reason", "reasonCode", "reasonReference")
        _unwrap_dose(statement, "dosage")
        _put_rendered_text(statement, "dosage")
        _put_negation(statement, "wasNotTaken", "not-taken")
        _put_taken(statement, statement.pop("taken", None))
        _put_adherence(statement, statement.pop("adherence", None))
    return each(statement, "dosage", dosage_to_r4)


def _put_taken(statement: Members, taken: Any) -> None:
    if taken is None:
        return
    status = TAKEN.get(taken) if isinstance(taken, str) else None
    if status is None:
        _put_unreadable_status(statement, taken)
    elif status:
        _put_status(statement, status)


def _put_adherence(statement: Members, adherence: Any) -> None:
    """In R5 the status tells that the statement was recorded, and `adherence` whether the drug is taken."""
    given = adherence if isinstance(adherence, dict) else {}
    extend(statement, "statusReason", [given["reason"]] if given.get("reason") is not None else [])
    if adherence is None and statement.get("status") == "recorded":
        statement["status"] = "unknown"
    if adherence is None or statement.get("status") in ("entered-in-error", "draft"):
        return
    status = _status_by_adherence(given.get("code"))
    if status is None or statement.get("status") not in (None, "recorded", status):
        _put_unreadable_status(statement, adherence)
    else:
        statement["status"] = status


def _status_by_adherence(concept: Any) -> str | None:
    """Of `stopped-as-directed` and the like the part that R4 knows; None unless there is one that it knows."""
    codes = {coding.code or "" for coding in read_elements(concept, CodeableConcept)[0].coding}
    plain = {code.removesuffix("-as-directed").removesuffix("-not") for code in codes}
    known = {ADHERENCE.get(code) for code in plain}
    return known.pop() if len(known) == 1 else None


ADMINISTRATION_NAMES = {
    "patient": "subject",
    "prescription": "request",
    "effectiveTimeDateTime": "effectiveDateTime",
    "effectiveTimePeriod": "effectivePeriod",
    "occurenceDateTime": "effectiveDateTime",  # R5 spells it so
    "occurencePeriod": "effectivePeriod",
    "occurrenceDateTime": "effectiveDateTime",
    "occurrencePeriod": "effectivePeriod",
    "reasonGiven": "reasonCode",
    "reasonNotGiven": "statusReason",
}
ADMINISTRATION_NOT_IN_R4 = frozenset(
    {*ADMINISTRATION_NAMES, "medication", "reason", "wasNotGiven", "notGiven"}
)


def _administration_to_r4(administration: Members) -> Members:
    if not ADMINISTRATION_NOT_IN_R4.isdisjoint(administration):
        administration = dict(administration)
        move(administration, ADMINISTRATION_NAMES)
        _split_references(administration, "medication", "medicationCodeableConcept", "medicationReference")
        _split_references(administration, "reason", "reasonCode", "reasonReference")
        _put_negation(administration, "wasNotGiven", "not-done")
        _put_negation(administration, "notGiven", "not-done")
    dosage = administration.get("dosage")
    if not isinstance(dosage, dict) or "quantity" not in dosage:
        return administration
    dosage = dict(dosage)
    move(dosage, {"quantity": "dose"})
    return {**administration, "dosage": dosage}


# --- Medications --------------------------------------------------------------------------------------


INGREDIENT_NAMES = {"amount": "strength", "strengthRatio": "strength"}
INGREDIENT_NOT_IN_R4 = frozenset({*INGREDIENT_NAMES, "item", "strengthQuantity"})


def _medication_to_r4(medication: Members) -> Members:
    if "doseForm" in medication or "product" in medication:
        medication = dict(medication)
        move(medication, {"doseForm": "form"})
        product = medication.pop("product", None)
        for name in ("form", "ingredient") if isinstance(product, dict) else ():
            put(medication, name, product.get(name))
    return each(medication, "ingredient", _ingredient_to_r4)


def _ingredient_to_r4(ingredient: Members) -> Members:
    if INGREDIENT_NOT_IN_R4.isdisjoint(ingredient):
        return ingredient
    ingredient = dict(ingredient)
    move(ingredient, INGREDIENT_NAMES)
    each_piece = ingredient.pop("strengthQuantity", None)
    put(ingredient, "strength", None if each_piece is None else {"numerator": each_piece})
    item = ingredient.get("item")
    if isinstance(item, dict) and not isinstance(item.get("reference"), dict) and "concept" not in item:
        _put_item_of_dstu2(ingredient, ingredient.pop("item"))
    _split_references(ingredient, "item", "itemCodeableConcept", "itemReference")
    return ingredient


def _put_item_of_dstu2(ingredient: Members, item: Members) -> None:
    """A plain Reference, whose display names the substance."""
    put(ingredient, "itemReference", item)
    if item.get("display") is not None:
        put(ingredient, "itemCodeableConcept", {"text": item["display"]})


# --- diagnoses and results ----------------------------------------------------------------------------


CONDITION_NAMES = {
    "patient": "subject",
    "dateRecorded": "recordedDate",
    "assertedDate": "recordedDate",
    "abatementQuantity": "abatementAge",
}
CONDITION_NOT_IN_R4 = frozenset({*CONDITION_NAMES, "abatementBoolean"})


def _condition_to_r4(condition: Members) -> Members:
    is_plain = isinstance(condition.get("clinicalStatus"), str)
    is_plain = is_plain or isinstance(condition.get("verificationStatus"), str)
    if CONDITION_NOT_IN_R4.isdisjoint(condition) and not is_plain:
        return condition
    condition = dict(condition)
    move(condition, CONDITION_NAMES)
    if condition.pop("abatementBoolean", None) not in (None, False):
        put(condition, "abatementString", "abated")
    for name in ("clinicalStatus", "verificationStatus"):
        if isinstance(condition.get(name), str):
            condition[name] = {"coding": [{"code": condition[name]}]}
    return condition


def _observation_to_r4(observation: Members) -> Members:
    """The members of a panel, which STU3 and DSTU2 list among everything related."""
    if "related" not in observation:
        return observation
    observation = dict(observation)
    related = observation.pop("related")
    if isinstance(related, list):
        extend(observation, "hasMember", [_member(each_one) for each_one in related if _is_member(each_one)])
    else:
        put(observation, "hasMember", related)
    return observation


def _is_member(related: Any) -> bool:
    return not isinstance(related, dict) or related.get("type") == "has-member"


def _member(related: Any) -> Any:
    return related.get("target") if isinstance(related, dict) else related


# --- procedures, reactions, forms -----------------------------------------------------------------------


PROCEDURE_NAMES = {
    "reasonCodeableConcept": "reasonCode",
    "occurrenceDateTime": "performedDateTime",
    "occurrencePeriod": "performedPeriod",
    "occurrenceString": "performedString",
    "occurrenceAge": "performedAge",
    "occurrenceRange": "performedRange",
    "occurrenceTiming": "performedTiming",
}
PROCEDURE_NOT_IN_R4 = frozenset({*PROCEDURE_NAMES, "patient", "reason", "notPerformed", "notDone"})
PROCEDURE_STATUSES = {"aborted": "stopped", "suspended": "on-hold"}


def _procedure_to_r4(procedure: Members) -> Members:
    status = procedure.get("status")
    is_of_r4 = PROCEDURE_NOT_IN_R4.isdisjoint(procedure) and not isinstance(
        procedure.get("reasonReference"), dict
    )
    if is_of_r4 and not (isinstance(status, str) and status in PROCEDURE_STATUSES):
        return procedure
    procedure = dict(procedure)
    move(procedure, PROCEDURE_NAMES | {"patient": "subject"})
    wrap(procedure, "reasonCode", "reasonReference")
    _split_references(procedure, "reason", "reasonCode", "reasonReference")
    if isinstance(status, str):
        procedure["status"] = PROCEDURE_STATUSES.get(status, status)
    _put_negation(procedure, "notPerformed", "not-done")
    _put_negation(procedure, "notDone", "not-done")
    return procedure


ADVERSE_EVENT_NAMES = {"patient": "subject", "code": "event", "type": "event", "occurrenceDateTime": "date"}
ADVERSE_EVENT_NOT_IN_R4 = frozenset({*ADVERSE_EVENT_NAMES, "occurrencePeriod", "occurrenceTiming"})
ACTUALITIES = {"AE": "actual", "PAE": "potential"}


def _adverse_event_to_r4(event: Members) -> Members:
    """STU3 tells by the category whether it happened; R5 may tell a period, whose start is the day it happened."""
    is_of_stu3 = isinstance(event.get("category"), str)
    if is_of_stu3 or not ADVERSE_EVENT_NOT_IN_R4.isdisjoint(event):
        event = dict(event)
        move(event, ADVERSE_EVENT_NAMES)
        if is_of_stu3:
            category = event.pop("category")
            put(event, "actuality", ACTUALITIES.get(category, category))
        _put_first_day(event)
    return each(event, "suspectEntity", _suspect_to_r4)


def _put_first_day(event: Members) -> None:
    period, timing = event.pop("occurrencePeriod", None), event.pop("occurrenceTiming", None)
    put(event, "date", period.get("start") if isinstance(period, dict) else period)
    days = timing.get("event") if isinstance(timing, dict) else None
    put(event, "date", days[0] if isinstance(days, list) and len(days) == 1 else timing)


def _suspect_to_r4(suspect: Members) -> Members:
    """R5 names the entity by a code or a reference, and assesses it once, as `entityRelatedness`."""
    causality = suspect.get("causality")
    if "instanceReference" not in suspect and not isinstance(causality, dict):
        return suspect
    suspect = dict(suspect)
    move(suspect, {"instanceReference": "instance"})
    if isinstance(causality, dict):
        causality = dict(causality)
        move(causality, {"entityRelatedness": "assessment"})
        suspect["causality"] = [causality]
    return suspect


ALLERGY_NAMES = {
    "subject": "patient",
    "substance": "code",
    "assertedDate": "recordedDate",
    "lastOccurence": "lastOccurrence",  # DSTU2 spells it so
}
ALLERGY_NOT_IN_R4 = frozenset({*ALLERGY_NAMES, "status"})
VERIFICATIONS_OF_DSTU2 = ("unconfirmed", "confirmed", "refuted", "entered-in-error")


def _allergy_to_r4(allergy: Members) -> Members:
    """DSTU2 has one status for what R4 tells in two; whether the allergy is active is not read."""
    is_plain = isinstance(allergy.get("verificationStatus"), str) or isinstance(allergy.get("category"), str)
    if is_plain or not ALLERGY_NOT_IN_R4.isdisjoint(allergy):
        allergy = dict(allergy)
        move(allergy, ALLERGY_NAMES)
        wrap(allergy, "category")
        status = allergy.pop("status", None)
        is_told = isinstance(status, str) and status not in VERIFICATIONS_OF_DSTU2
        put(allergy, "verificationStatus", None if is_told else status)
        if isinstance(allergy.get("verificationStatus"), str):
            allergy["verificationStatus"] = {"coding": [{"code": allergy["verificationStatus"]}]}
    return each(allergy, "reaction", _reaction_to_r4)


def _reaction_to_r4(reaction: Members) -> Members:
    """R5 gives each manifestation as a concept or a reference."""
    manifestations = reaction.get("manifestation")
    if not isinstance(manifestations, list):
        return reaction
    if not any(isinstance(m, dict) and ("concept" in m or "reference" in m) for m in manifestations):
        return reaction
    concepts = [m["concept"] if isinstance(m, dict) and "concept" in m else m for m in manifestations]
    return {**reaction, "manifestation": concepts}


def _form_to_r4(form: Members) -> Members:
    """A QuestionnaireResponse: STU3 and DSTU2 refer to the questionnaire, and DSTU2 has groups and questions."""
    questionnaire = form.get("questionnaire")
    if not isinstance(questionnaire, dict) and "group" not in form:
        return form
    form = dict(form)
    if isinstance(questionnaire, dict):
        form["questionnaire"] = questionnaire.get("reference")
    if "group" in form:
        group = form.pop("group")
        extend(form, "item", map(_group_to_item, group if isinstance(group, list) else [group]))
    return form


DEEPEST_GROUP = 50


def _group_to_item(group: Any, depth: int = 0) -> Any:
    """A group or question of DSTU2 with all below it; what is none stands there as it is, to be listed."""
    if not isinstance(group, dict):
        return group
    if depth > DEEPEST_GROUP:
        return "nested too deeply"
    item = {
        name: value for name, value in group.items() if name not in ("group", "question", "answer", "title")
    }
    put(item, "text", item.pop("text", None) or group.get("title"))
    for name in ("group", "question"):
        below = group.get(name)
        values = below if isinstance(below, list) else [] if below is None else [below]
        extend(item, "item", [_group_to_item(each_one, depth + 1) for each_one in values])
    answers = group.get("answer")
    if isinstance(answers, list):
        item["answer"] = [_answer_of_dstu2(answer, depth + 1) for answer in answers]
    else:
        put(item, "answer", answers)
    return item


def _answer_of_dstu2(answer: Any, depth: int) -> Any:
    if not isinstance(answer, dict) or not isinstance(answer.get("group"), list):
        return answer
    rest = {name: value for name, value in answer.items() if name != "group"}
    extend(rest, "item", [_group_to_item(group, depth) for group in answer["group"]])
    return rest


def _service_request_to_r4(request: Members) -> Members:
    """The code of R5 is a CodeableReference."""
    code = request.get("code")
    if not isinstance(code, dict) or {"concept", "reference"}.isdisjoint(code):
        return request
    request = dict(request)
    _split_references(request, "code", "code", "codeReference")
    return request


_ADAPTERS: dict[str, Callable[[Members], Members]] = {
    "MedicationRequest": _request_to_r4,
    "MedicationOrder": _order_to_r4,
    "MedicationDispense": _dispense_to_r4,
    "MedicationStatement": _statement_to_r4,
    "MedicationAdministration": _administration_to_r4,
    "Medication": _medication_to_r4,
    "Condition": _condition_to_r4,
    "Observation": _observation_to_r4,
    "Procedure": _procedure_to_r4,
    "AdverseEvent": _adverse_event_to_r4,
    "AllergyIntolerance": _allergy_to_r4,
    "QuestionnaireResponse": _form_to_r4,
    "ServiceRequest": _service_request_to_r4,
}
