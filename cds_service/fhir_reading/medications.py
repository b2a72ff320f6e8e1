"""medication[x] of an order, a dispensing or a statement → which drug it is, from all that names it.

The concept itself, or the Medication behind the reference (contained or not) with its code, form and
ingredients. What is not at hand, or half readable, may be any drug.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from cds_service.fhir_reading.code_names import Code, KnownName, medication_with_names, with_names
from cds_service.fhir_reading.drugs import (
    DrugReading,
    NotAntidepressant,
    Recognised,
    UnknownDrug,
    is_settled,
    recognise,
)
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Coding,
    Concept,
    Medication,
    MedicationIngredient,
    MedicationRequest,
    Problem,
    Quantity,
    Ratio,
    Reference,
    read_elements,
)
from cds_service.fhir_reading.figures import positive
from cds_service.fhir_reading.indications import Find
from cds_service.tables.dosing import Unit, UnitKind, pieces_in, time_unit_named, units_named
from cds_service.tables.drugs import Per, Strength, form_in, words_of
from cds_service.tables.reasons import Indication


def drug_of(
    concept: CodeableConcept | None,
    reference: Reference | None,
    resource: dict[str, Any],
    find: Find,
    names: Mapping[Code, KnownName],
) -> DrugReading:
    """The drug of a resource whose medication[x] is `concept` or `reference`; `find` resolves references.

    `names` is what a terminology service says of codes that our tables lack.
    """
    concept = with_names(concept, names)
    if reference is None:
        return recognise(concept)
    target = find(reference.reference, resource) if reference.reference else None
    if target is None:
        named = recognise(_joined(concept, reference.display))
        if not isinstance(named, UnknownDrug):
            return named
        problem = "the Medication it refers to is not at hand"
        if reference.display:
            return UnknownDrug(reference.display[:120], problem, is_nameless=named.is_nameless)
        return _behind(reference, problem)
    medication = _with_named_ingredients(read_elements(target, Medication)[0], target, find)
    if medication.status == "entered-in-error":
        return _behind(reference, "the Medication it refers to was entered in error")
    return _drug_of_medication(medication_with_names(medication, names), _joined(concept, None))


def _behind(reference: Reference, problem: str) -> UnknownDrug:
    """A drug known only by the Medication that is referred to; a contained one is known by its order."""
    address = reference.reference or ""
    if not address or address.startswith("#"):
        return UnknownDrug("drug behind a reference", problem, is_nameless=True)
    return UnknownDrug(f"drug behind {address[-100:]}", problem)


def drug_of_resource(resource: dict[str, Any], find: Find) -> DrugReading:
    """The drug of an order, dispensing, statement or administration, by itself."""
    order, _ = read_elements(resource, MedicationRequest)
    return drug_of(order.medication_codeable_concept, order.medication_reference, resource, find, {})


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
    if not is_settled(drug) and medication.ingredient:
        drug = _drug_of_ingredients(medication.ingredient, drug)
    if isinstance(drug, NotAntidepressant) and drug.add_on:
        return replace(drug, add_on=_completed(drug.add_on, medication))
    return _completed(drug, medication) if isinstance(drug, Recognised) else drug


def _with_named_ingredients(medication: Medication, target: dict[str, Any], find: Find) -> Medication:
    """The Medication whose ingredients that are references carry the code of what they refer to, if it is at hand."""
    if all(ingredient.item_reference is None for ingredient in medication.ingredient):
        return medication
    named = tuple(_named_ingredient(ingredient, target, find) for ingredient in medication.ingredient)
    return structs.replace(medication, ingredient=named)


def _named_ingredient(
    ingredient: MedicationIngredient, target: dict[str, Any], find: Find
) -> MedicationIngredient:
    """By the code of the Substance or Medication, and the display of the reference, which must agree."""
    reference = ingredient.item_reference
    if reference is None:
        return ingredient
    item = find(reference.reference, target) if reference.reference else None
    code = None if item is None else read_elements(item, Concept)[0].code
    concept = _joined(ingredient.item_codeable_concept or code, reference.display)
    return structs.replace(ingredient, item_codeable_concept=concept)


def _completed(drug: Recognised, medication: Medication) -> Recognised:
    """The drug with the strength and form that the Medication tells beside its code."""
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
        other = by_code if isinstance(by_code, NotAntidepressant) else readings[0]
        return (
            replace(other, add_on=_only_add_on(readings)) if isinstance(other, NotAntidepressant) else other
        )
    if any(isinstance(reading, UnknownDrug) for reading in readings):
        is_nameless = isinstance(by_code, UnknownDrug) and by_code.is_nameless
        problem = "an ingredient of the Medication could not be recognised"
        return UnknownDrug(by_code.name, problem, is_nameless=is_nameless)
    if len(readings) == 1:
        return readings[0]
    together = recognise(CodeableConcept(text=" / ".join(map(_ingredient_name, readings))))
    return replace(together, named_by=next((r.named_by for r in readings if r.named_by), ""))


def _only_add_on(readings: Sequence[DrugReading]) -> Recognised | None:
    """The augmenting agent that is the one ingredient; combinations of several are left alone."""
    only = readings[0] if len(readings) == 1 else None
    return only.add_on if isinstance(only, NotAntidepressant) else None


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
        named = named.add_on or named if isinstance(named, NotAntidepressant) else named
        if (
            isinstance(named, Recognised)
            and named.antidepressant.drug.ingredient == wanted
            and ingredient.strength
        ):
            return _strength(ingredient.strength)
    return None


def _strength(ratio: Ratio) -> Strength | None:
    """50 mg per tablet, 20 mg per 5 mL, 0.25 mg per hour; None where what it is stated for is not known."""
    numerator, per = ratio.numerator, ratio.denominator or Quantity(value=1)
    if numerator is None or numerator.value is None or numerator.comparator or per.comparator:
        return None
    mass = next(iter(units_named(numerator.code, numerator.unit)), None)
    share = positive(1 if per.value is None else per.value)
    mg = positive(numerator.value, mass.factor / share) if mass and share else None
    if mass is None or mass.kind is not UnitKind.MASS or mg is None:
        return None
    if time := time_unit_named(per.code, per.unit):
        return Strength(mg / time.days, Per.UNIT)
    if known := units_named(per.code, per.unit):
        return _strength_per(known[0], mg)
    is_piece = not (per.unit or per.code) or bool(pieces_in(per.unit or ""))
    return Strength(mg, Per.UNIT) if is_piece else None


def _strength_per(unit: Unit, mg: float) -> Strength | None:
    if unit.kind is UnitKind.VOLUME:
        return Strength(mg / unit.factor, Per.ML)
    return Strength(mg, Per.UNIT) if unit.kind is UnitKind.COUNT else None


def with_purpose(drug: DrugReading, purpose: Indication | None, problems: Sequence[Problem]) -> DrugReading:
    """A drug of no name that we know, ordered for depression or half readable, may be an antidepressant."""
    if not isinstance(drug, NotAntidepressant) or drug.is_certain:
        return drug
    if purpose is Indication.DEPRESSION:
        problem = "ordered for depression under a name that we do not know"
        return UnknownDrug(drug.name, problem, drug.named_by)
    if any(problem.path.startswith("$.medication") for problem in problems):
        return UnknownDrug(drug.name, "its codes could not all be read", drug.named_by)
    return drug
