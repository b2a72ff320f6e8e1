"""What a terminology service says of a code, which codes it could be asked for, and how its answers are read.

Its names and codes join the codings of the concept that the code stands in, so they obey the same rules
as all others: what they contradict is no longer known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cds_service.fhir_reading.drugs import codes_to_name, system_and_code
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Element,
    Medication,
    MedicationIngredient,
    NamedCoding,
    read_elements,
)
from cds_service.fhir_reading.resource_types import OF_A_DRUG

Code = tuple[str, str]  # system and code


@dataclass(frozen=True)
class KnownName:
    """What the service at the address `origin` says: a name, its ingredients' names, codes of the same drug."""

    origin: str
    display: str = ""
    ingredients: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()

    @property
    def codings(self) -> tuple[NamedCoding, ...]:
        """Ingredients stand together as one name, as those of a combination must."""
        texts = (self.display, " / ".join(self.ingredients))
        return (
            *(NamedCoding(display=text, origin=self.origin) for text in texts if text),
            *(NamedCoding(system=system, code=code, origin=self.origin) for system, code in self.codes),
        )


# --- how answers are read -----------------------------------------------------------------------------


def medication_with_names(medication: Medication, names: Mapping[Code, KnownName]) -> Medication:
    """A Medication whose concepts also hold what is known of their codes."""
    if not names:
        return medication
    ingredients = tuple(_named_ingredient(ingredient, names) for ingredient in medication.ingredient)
    return msgspec.structs.replace(
        medication, code=with_names(medication.code, names), ingredient=ingredients
    )


def _named_ingredient(
    ingredient: MedicationIngredient, names: Mapping[Code, KnownName]
) -> MedicationIngredient:
    concept = with_names(ingredient.item_codeable_concept, names)
    return msgspec.structs.replace(ingredient, item_codeable_concept=concept)


def with_names(concept: CodeableConcept | None, names: Mapping[Code, KnownName]) -> CodeableConcept | None:
    """A concept that also holds what is known of its codes."""
    if concept is None or not names:
        return concept
    known = (names.get(system_and_code(coding)) for coding in concept.coding)
    added = tuple(coding for name in known if name for coding in name.codings)
    return CodeableConcept(coding=(*concept.coding, *added), text=concept.text) if added else concept


# --- which codes to ask for ---------------------------------------------------------------------------


class _Item(Element, frozen=True):
    concept: CodeableConcept | None = None


class _Ingredient(Element, frozen=True):
    item_codeable_concept: CodeableConcept | None = None
    item: _Item | None = None


class _Medicated(Element, frozen=True):
    """Where the resources about drugs name a drug, in any version of FHIR."""

    medication_codeable_concept: CodeableConcept | None = None
    medication: _Item | None = None
    code: CodeableConcept | None = None
    ingredient: tuple[_Ingredient, ...] = ()


def codes_without_name(resources: Iterable[dict[str, Any]]) -> tuple[Code, ...]:
    """Each drug code, once, that our tables lack and that its concept cannot be told without."""
    concepts = (concept for resource in resources for concept in _concepts_in(resource))
    return tuple(dict.fromkeys(code for concept in concepts for code in codes_to_name(concept)))


def _concepts_in(resource: dict[str, Any]) -> Iterator[CodeableConcept]:
    if resource.get("resourceType") not in ("Medication", *OF_A_DRUG):
        return
    yield from _concepts(resource)
    contained = resource.get("contained")
    for inner in contained if isinstance(contained, list) else ():
        if isinstance(inner, dict) and inner.get("resourceType") == "Medication":
            yield from _concepts(inner)


def _concepts(resource: dict[str, Any]) -> Iterator[CodeableConcept]:
    drug, _ = read_elements(resource, _Medicated)
    stated = [drug.medication_codeable_concept, drug.medication and drug.medication.concept, drug.code]
    for each in drug.ingredient:
        stated += [each.item_codeable_concept, each.item and each.item.concept]
    yield from (concept for concept in stated if concept)
