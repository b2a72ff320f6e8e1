"""FHIR XML → the same resource as FHIR JSON, as far as the readers look at it.

The package reads JSON, as CDS Hooks does; old sample records are XML. XML does not tell numbers from texts,
nor one value from a list with one, so the names that matter are listed here.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

FHIR = "{http://hl7.org/fhir}"
BOOLEANS = {
    "active",
    "asNeededBoolean",
    "wasNotTaken",
    "wasNotGiven",
    "notDone",
    "notGiven",
    "notPerformed",
    "abatementBoolean",
}
NUMBERS = {"frequency", "frequencyMax", "period", "periodMax", "count", "duration", "numberOfRepeatsAllowed"}
NUMBERS |= {"sequence", "valueInteger"}
QUANTITIES = {"quantity", "numerator", "denominator", "low", "high", "expectedSupplyDuration", "daysSupply"}
LISTS = {"entry", "coding", "contained", "identifier", "dosageInstruction", "dosage", "component", "related"}
LISTS |= {
    "ingredient",
    "authorizingPrescription",
    "reasonCode",
    "additionalInstruction",
    "dayOfWeek",
    "hasMember",
    "reaction",
    "manifestation",
    "suspectEntity",
    "bodySite",
}


def read_fhir_xml(text: bytes) -> dict[str, Any]:
    """The resource that is the root of an XML document. A document type is refused, FHIR has none."""
    if b"<!DOCTYPE" in text:
        raise ValueError("expected FHIR XML without a document type")
    return _resource(ElementTree.fromstring(text))


def _resource(element: Element) -> dict[str, Any]:
    return {"resourceType": _name(element), **_members(element)}


def _name(element: Element) -> str:
    return element.tag.removeprefix(FHIR)


def _members(element: Element) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for child in element:
        name = _name(child)
        if name == "text" and child.get("value") is None:
            continue  # the narrative
        value = _value(child, _name(element))
        if name in LISTS or name in members:
            known = members.get(name, [])
            members[name] = [*(known if isinstance(known, list) else [known]), value]
        else:
            members[name] = value
    return members


def _value(element: Element, parent: str) -> Any:
    only = element[0] if len(element) == 1 else None
    if only is not None and _name(only)[:1].isupper():
        return _resource(only)
    text, name = element.get("value"), _name(element)
    if text is None:
        return _members(element)
    if name in BOOLEANS:
        return text == "true"
    is_number = name in NUMBERS or (name == "value" and (parent in QUANTITIES or parent.endswith("Quantity")))
    return (float(text) if "." in text else int(text)) if is_number else text
