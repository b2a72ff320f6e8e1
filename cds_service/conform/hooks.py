"""The hooks of the CDS Hooks library: which fields their context has, and a valid context for each."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import StringIO
from typing import Any

from fhir_fixtures.builders import condition, medication_request

Resource = dict[str, Any]

DEPRECATED = ("medication-prescribe", "order-review")
WITHOUT_KNOWN_CONTEXT = ("allergyintolerance-create", "medication-refill")
USER = "Practitioner/conform-user"
USER_TYPES = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
DRAFT_ID = "conform-draft"
DRAFT_DRUG = ("http://www.nlm.nih.gov/research/umls/rxnorm", "312940", "sertraline 25 MG Oral Tablet")


@dataclass(frozen=True)
class Field:
    """One field of a context. `is_token` tells whether a prefetch template may name it."""

    name: str
    is_required: bool
    is_token: bool
    kind: str


@dataclass(frozen=True)
class Hook:
    """One hook of the library, and the rule that describes it."""

    name: str
    rule_id: str
    fields: tuple[Field, ...]

    def context(self, patient_id: str, user: str = USER, *, with_optional: bool = True) -> dict[str, Any]:
        """A valid context about this patient."""
        wanted = (one for one in self.fields if one.is_required or with_optional)
        return {one.name: _value(one.kind, patient_id, user) for one in wanted}

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields if one.is_required)

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields if one.is_token)

    @property
    def has_draft_orders(self) -> bool:
        return any(one.name == "draftOrders" for one in self.fields)


@cache
def load_hooks() -> Mapping[str, Hook]:
    """The hooks with a known context, by name."""
    text = files("cds_service.conform").joinpath("hooks.csv").read_text("utf-8")
    rows: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(StringIO(text, newline="")):
        rows.setdefault(row["hook"], []).append(row)
    return {name: Hook(name, of[0]["rule"], tuple(map(_field, of))) for name, of in rows.items()}


def _field(row: Mapping[str, str]) -> Field:
    return Field(row["field"], row["required"] == "yes", row["token"] == "yes", row["kind"])


def encounter_id(patient_id: str) -> str:
    return f"{patient_id}-encounter"


def draft_order(patient_id: str, **elements: Any) -> Resource:
    """A draft order of a drug, complete unless `elements` take something away."""
    standard: dict[str, Any] = {"status": "draft", "intent": "order"}
    return medication_request(
        DRAFT_ID,
        DRAFT_DRUG,
        "Take 1 tablet by mouth daily",
        None,
        patient_id=patient_id,
        **standard | elements,
    )


def collection(*resources: Resource) -> Resource:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": f"urn:conform:{each['id']}", "resource": each} for each in resources],
    }


def _value(kind: str, patient_id: str, user: str) -> Any:
    """A value of this kind, as the hooks' pages describe them."""
    if kind == "orders":
        return collection(draft_order(patient_id))
    if kind == "conditions":
        return collection(_new_problem(patient_id))
    if kind == "appointments":
        return collection(_appointment(patient_id))
    return {
        "user": user,
        "patient": patient_id,
        "encounter": encounter_id(patient_id),
        "selections": [f"MedicationRequest/{DRAFT_ID}"],
        "dispatched": [f"MedicationRequest/{DRAFT_ID}"],
        "performer": "Organization/conform-performer",
        "tasks": [],
    }[kind]


def _new_problem(patient_id: str) -> Resource:
    category = {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/condition-category",
                "code": "problem-list-item",
            }
        ]
    }
    return condition("conform-problem", patient_id=patient_id, category=[category])


def _appointment(patient_id: str) -> Resource:
    return {
        "resourceType": "Appointment",
        "id": "conform-appointment",
        "status": "proposed",
        "participant": [{"actor": {"reference": f"Patient/{patient_id}"}, "status": "needs-action"}],
    }
