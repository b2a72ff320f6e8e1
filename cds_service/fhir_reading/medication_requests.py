"""MedicationRequests → prescriptions of antidepressants, each with drug, dose, days and use.

Every request ends as one of: a `Prescription`; set aside, with the reason; unread. Orders of other drugs
are not of interest and end nowhere. What is malformed or missing makes its own question unknown and is
listed under unread as well; it never makes an order vanish.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.dates import parse_fhir_date
from cds_service.fhir_reading.dosage import (
    DailyDose,
    dose_from_name,
    is_as_needed,
    positive,
    read_dosage,
    unknown_dose,
)
from cds_service.fhir_reading.drugs import DrugReading, NotAntidepressant, Recognised, UnknownDrug, recognise
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Coding,
    Medication,
    MedicationIngredient,
    MedicationRequest,
    Problem,
    Ratio,
    read_elements,
)
from cds_service.fhir_reading.indications import Find, judge_use, purpose_of, read_stop_reason
from cds_service.fhir_reading.order_days import read_order_days
from cds_service.tables.dosing import UnitKind, load_units
from cds_service.tables.drugs import Per, Strength, form_in, words_of
from cds_service.tables.reasons import Indication
from cds_service.trd.model import Prescription, Topic, Unread

SET_ASIDE_STATUS = {
    "entered-in-error": "entered in error",
    "cancelled": "cancelled before it was given",
    "draft": "a draft",
}
KNOWN_STATUS = ("active", "on-hold", "completed", "stopped")
SET_ASIDE_INTENT = {"proposal": "a proposal", "plan": "a plan", "option": "an option"}
KNOWN_INTENT = ("order", "original-order", "reflex-order", "filler-order", "instance-order")
FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class MedicationReading:
    """What the requests of one patient say. `set_aside` orders were understood and do not count."""

    prescriptions: tuple[Prescription, ...] = ()
    unread: tuple[Unread, ...] = ()
    set_aside: tuple[Unread, ...] = ()


def read_medication_requests(requests: Sequence[Entry], find: Find, on: date) -> MedicationReading:
    """Reads the MedicationRequests of one patient; `find` resolves references, `on` is today."""
    readings = [_read(entry, find, on) for entry in requests]
    return MedicationReading(
        tuple(prescription for reading in readings for prescription in reading.prescriptions),
        tuple(unread for reading in readings for unread in reading.unread),
        tuple(aside for reading in readings for aside in reading.set_aside),
    )


def _read(entry: Entry, find: Find, on: date) -> MedicationReading:
    order, problems = read_elements(entry.resource, MedicationRequest)
    reference = _reference(entry)
    if any(problem.path == "$" for problem in problems):
        return MedicationReading(unread=(Unread(reference, problems[-1].text, (Topic.DRUG,)),))
    drug = _drug(order, entry.resource, find)
    purpose = purpose_of(order, entry.resource, find)
    drug = _with_purpose(drug, purpose, problems)
    if isinstance(drug, NotAntidepressant):
        return MedicationReading()
    reason = _why_set_aside(order)
    if reason:
        return MedicationReading(set_aside=(Unread(reference, f"{drug.name}: {reason}"),))
    return _read_order(_Order(order, reference, drug, purpose, problems), on)


def _reference(entry: Entry) -> str:
    id_ = entry.resource.get("id") if isinstance(entry.resource, dict) else None
    return f"MedicationRequest/{id_}" if isinstance(id_, str) and FHIR_ID.fullmatch(id_) else entry.place


def _why_set_aside(order: MedicationRequest) -> str | None:
    if order.do_not_perform:
        return "an order not to give it"
    return SET_ASIDE_STATUS.get(order.status or "") or SET_ASIDE_INTENT.get(order.intent or "")


# --- the drug -----------------------------------------------------------------------------------------


def _drug(order: MedicationRequest, resource: dict[str, Any], find: Find) -> DrugReading:
    concept, reference = order.medication_codeable_concept, order.medication_reference
    if reference is None:
        return recognise(concept)
    target = find(reference.reference, resource) if reference.reference else None
    if target is None:
        named = recognise(_joined(concept, reference.display))
        shown = reference.display or "drug behind a reference"
        return (
            UnknownDrug(shown[:120], "the Medication it refers to is not at hand")
            if isinstance(named, UnknownDrug)
            else named
        )
    medication, _ = read_elements(target, Medication)
    if medication.status == "entered-in-error":
        return UnknownDrug("drug behind a reference", "the Medication it refers to was entered in error")
    return _drug_of_medication(medication, _joined(concept, None))


def _joined(concept: CodeableConcept | None, display: str | None) -> CodeableConcept | None:
    """A concept with one more name, which must agree with the others."""
    if display is None:
        return concept
    concept = concept or CodeableConcept()
    return CodeableConcept(coding=(*concept.coding, Coding(display=display)), text=concept.text)


def _drug_of_medication(medication: Medication, beside: CodeableConcept | None) -> DrugReading:
    """By the Medication's code (and the order's own concept, which must agree); else by its ingredients."""
    code = medication.code or CodeableConcept()
    if beside:
        code = CodeableConcept(
            coding=(*code.coding, *beside.coding, Coding(display=beside.text)), text=code.text
        )
    drug = recognise(code)
    is_settled = isinstance(drug, Recognised) or (isinstance(drug, NotAntidepressant) and drug.is_certain)
    if not is_settled and medication.ingredient:
        drug = _drug_of_ingredients(medication.ingredient, drug)
    if not isinstance(drug, Recognised):
        return drug
    strength = drug.strength
    if strength is None and not drug.strength_problem:
        strength = _strength_of(medication.ingredient, drug)
    words = " ".join(_words(medication.form))
    return replace(
        drug, strength=strength, form=form_in(words) or drug.form, words=drug.words | set(words_of(words))
    )


def _drug_of_ingredients(ingredients: Sequence[MedicationIngredient], by_code: DrugReading) -> DrugReading:
    """The active ingredients' names together, as those of one product."""
    active = [each for each in ingredients if each.is_active is not False] or ingredients
    concepts = [each.item_codeable_concept or CodeableConcept() for each in active]
    readings = [recognise(concept) for concept in concepts]
    if all(isinstance(reading, NotAntidepressant) for reading in readings):
        return by_code if isinstance(by_code, NotAntidepressant) else readings[0]
    if any(isinstance(reading, UnknownDrug) for reading in readings):
        return UnknownDrug(by_code.name, "an ingredient of the Medication could not be recognised")
    if len(readings) == 1:
        return readings[0]
    return recognise(CodeableConcept(text=" / ".join(map(_ingredient_name, readings))))


def _ingredient_name(reading: DrugReading) -> str:
    return reading.antidepressant.drug.ingredient if isinstance(reading, Recognised) else reading.name


def _words(concept: CodeableConcept | None) -> list[str]:
    if concept is None:
        return []
    return [
        text
        for text in (concept.text, *(c.display for c in concept.coding), *(c.code for c in concept.coding))
        if text
    ]


def _strength_of(ingredients: Sequence[MedicationIngredient], drug: Recognised) -> Strength | None:
    """The strength of the ingredient that the minimum dose is stated for."""
    wanted = drug.antidepressant.dose_component
    for ingredient in ingredients:
        named = recognise(ingredient.item_codeable_concept)
        if (
            isinstance(named, Recognised)
            and named.antidepressant.drug.ingredient == wanted
            and ingredient.strength
        ):
            return _strength(ingredient.strength)
    return None


def _strength(ratio: Ratio) -> Strength | None:
    """50 mg per tablet, 20 mg per 5 mL, 0.25 mg per hour."""
    numerator, denominator = ratio.numerator, ratio.denominator
    unit = _unit_kind(numerator.code, numerator.unit) if numerator else None
    if numerator is None or numerator.value is None or unit is None or unit[0] is not UnitKind.MASS:
        return None
    per_value = positive(denominator.value if denominator and denominator.value is not None else 1)
    per = (denominator.code or denominator.unit or "") if denominator else ""
    mg = positive(numerator.value, unit[1] / per_value) if per_value else None
    kind = _unit_kind(per, None)
    if mg is None:
        return None
    if per.lower() in ("h", "hr", "hour"):
        return Strength(mg * 24, Per.UNIT)
    return Strength(mg / kind[1], Per.ML) if kind and kind[0] is UnitKind.VOLUME else Strength(mg, Per.UNIT)


def _unit_kind(code: str | None, unit: str | None) -> tuple[UnitKind, float] | None:
    found = [known for text in (code, unit) if text and (known := load_units().get(text.strip().lower()))]
    return (found[0].kind, found[0].factor) if found else None


def _with_purpose(drug: DrugReading, purpose: Indication | None, problems: Sequence[Problem]) -> DrugReading:
    """A drug of no name that we know, ordered for depression or half readable, may be an antidepressant."""
    if not isinstance(drug, NotAntidepressant) or drug.is_certain:
        return drug
    if purpose is Indication.DEPRESSION:
        return UnknownDrug(drug.name, "ordered for depression under a name that we do not know")
    if any(problem.path.startswith("$.medication") for problem in problems):
        return UnknownDrug(drug.name, "its codes could not all be read")
    return drug


# --- the order ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Order:
    """An order of an antidepressant, or of a drug that may be one."""

    order: MedicationRequest
    reference: str
    drug: Recognised | UnknownDrug
    purpose: Indication | None
    problems: tuple[Problem, ...]


def _read_order(this: _Order, on: date) -> MedicationReading:
    order, drug = this.order, this.drug
    doubts = _Doubts(this)
    days = read_order_days(order, tuple(_doses(this, doubts.dose)), on, doubts.days)
    if days.is_in_future:
        return MedicationReading(set_aside=(Unread(this.reference, f"{drug.name}: {days.days_text}"),))
    stop_reason, stop_text = read_stop_reason(order.status_reason)
    authored = parse_fhir_date(order.authored_on)
    prescription = Prescription(
        reference=this.reference,
        drug=drug.antidepressant.drug if isinstance(drug, Recognised) else None,
        name=drug.name,
        segments=days.segments,
        treats_depression=replace(
            judge_use(order, drug, this.purpose, doubts.use), evidence=(this.reference,)
        ),
        stop_reason=stop_reason,
        stop_text=stop_text,
        dose_text=days.dose_text,
        days_text=days.days_text,
        authored=authored.earliest if authored and authored.is_exact else None,
    )
    return MedicationReading((prescription,), tuple(_unread(this, days.problems)))


def _unread(this: _Order, date_problems: Sequence[str]) -> list[Unread]:
    problems = [problem.text for problem in this.problems] + list(date_problems)
    if isinstance(this.drug, UnknownDrug):
        problems.insert(0, f"{this.drug.name}: {this.drug.problem}")
    if this.order.status not in KNOWN_STATUS:
        problems.append(f"$.status: expected a status of an order, found {_found(this.order.status)}")
    if this.order.intent not in KNOWN_INTENT:
        problems.append(f"$.intent: expected the intent of an order, found {_found(this.order.intent)}")
    return [Unread(this.reference, "; ".join(dict.fromkeys(problems)), (Topic.DRUG,))] if problems else []


def _found(code: str | None) -> str:
    return "nothing" if code is None else repr(code[:40])


class _Doubts:
    """Which questions the elements that could not be read leave open: dose, days, use."""

    def __init__(self, this: _Order) -> None:
        self.dose = self.days = ""
        self.use = _doubtful_intent(this.order)
        if this.problems:
            self._look_at([problem.path for problem in this.problems])

    def _look_at(self, paths: list[str]) -> None:
        in_dosage = [path for path in paths if path.startswith("$.dosageInstruction")]
        whole = [path for path in in_dosage if re.fullmatch(r"\$\.dosageInstruction(\[\d+\])?", path)]
        bounds = [path for path in in_dosage if re.search(r"\.timing(\.repeat)?$|\.(bounds|count)", path)]
        needed = [path for path in in_dosage if ".asNeeded" in path or ".text" in path]
        dates = [path for path in paths if path.startswith(("$.authoredOn", "$.dispenseRequest", "$.status"))]
        reasons = [path for path in paths if path.startswith(("$.reason", "$.doNotPerform"))]
        self.dose = _said([path for path in in_dosage if ".bounds" not in path])
        self.days = _said([*whole, *bounds, *dates])
        self.use = _said([*whole, *needed, *reasons]) or self.use


def _said(paths: Sequence[str]) -> str:
    return f"{paths[0]} could not be read" if paths else ""


def _doubtful_intent(order: MedicationRequest) -> str:
    return "" if order.intent in KNOWN_INTENT else "its intent is not recorded: it may be a proposal"


def _doses(this: _Order, doubt: str) -> list[tuple[DailyDose, ...]]:
    """The daily doses of each dosage; of an order without any, the one that its name tells."""
    dosages = this.order.dosage_instruction
    if doubt or isinstance(this.drug, UnknownDrug):
        why = doubt or "the drug is not known"
        return [(unknown_dose(why),) for _ in dosages or (None,)]
    if not dosages:
        return [dose_from_name(this.drug)]
    needed = [is_as_needed(dosage) is True for dosage in dosages]
    product = this.drug
    doses = [read_dosage(dosage, product) for dosage in dosages]
    if all(needed):
        return doses
    return [_extra(dose) if extra else dose for dose, extra in zip(doses, needed, strict=True)]


def _extra(doses: tuple[DailyDose, ...]) -> tuple[DailyDose, ...]:
    """As-needed doses beside regular ones: perhaps none, at most all of them."""
    return tuple(dose if dose.low_mg is None else replace(dose, low_mg=0.0) for dose in doses)
