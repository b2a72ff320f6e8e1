"""One order by itself: drug, route of recognition, arithmetic, mg a day on which days; or why not.

For `trd-cds explain-order`. The reading is that of the service (`fhir_reading`); nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.drugs import DrugReading, NotAntidepressant, Recognised
from cds_service.fhir_reading.medication_records import read_medication_records
from cds_service.fhir_reading.medication_requests import MedicationReading, read_medication_requests
from cds_service.fhir_reading.medications import drug_of_resource
from cds_service.fhir_reading.references import TYPED_REFERENCE, Index, index_resources, reference_of
from cds_service.fhir_reading.resource_types import OF_A_DRUG, ORDERS
from cds_service.tables.drugs import Per
from cds_service.trd.record import DoseSegment, Prescription


@dataclass(frozen=True)
class ExplainedOrder:
    """What was read of one order. `prescription` is None for another drug, and for what was set aside."""

    reference: str
    drug: DrugReading
    prescription: Prescription | None
    set_aside: str
    unread: tuple[str, ...]


def explain_orders(entries: Sequence[Entry], on: date) -> Iterator[ExplainedOrder]:
    """Every order, dispensing, statement and administration among the entries, each by itself. `on` is today."""

    @lru_cache(maxsize=16)
    def index_for(patient_id: str) -> Index:
        return index_resources(Collected(patient_id, tuple(entries)))

    @lru_cache(maxsize=16)
    def orders_of(patient_id: str) -> MedicationReading:
        """All orders of a patient, so that those which another replaces end."""
        orders = [
            entry
            for entry in index_for(patient_id).entries
            if entry.resource.get("resourceType") in ORDERS and _patient_id(entry.resource) == patient_id
        ]
        return read_medication_requests(orders, index_for(patient_id).find, on)

    for patient_id, reference in _orders(entries):
        index = index_for(patient_id)
        entry = next((e for e in index.entries if reference_of(e) == reference), None)
        if entry is not None:
            kind = entry.resource["resourceType"]
            is_order = kind in ORDERS
            reading = (
                orders_of(patient_id)
                if is_order
                else read_medication_records({kind: [entry]}, index.find, on, {})
            )
            yield _explained(entry, reading, index)


def _orders(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Patient id and reference of each, once."""
    orders = [entry for entry in entries if entry.resource.get("resourceType") in OF_A_DRUG]
    return list(dict.fromkeys((_patient_id(entry.resource), reference_of(entry)) for entry in orders))


def _patient_id(resource: dict[str, Any]) -> str:
    subject = resource.get("subject", resource.get("patient"))
    reference = subject.get("reference") if isinstance(subject, dict) else None
    parts = TYPED_REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    return parts["id"] if parts else ""


def _explained(entry: Entry, reading: MedicationReading, index: Index) -> ExplainedOrder:
    reference = reference_of(entry)
    every = (*reading.prescriptions, *reading.add_ons)
    told = next((each for each in every if each.reference == reference), None)
    drug = drug_of_resource(entry.resource, index.find)
    is_denial = told is not None and told.is_denial
    aside = [each.problem for each in reading.set_aside if each.reference == reference]
    return ExplainedOrder(
        reference=reference,
        drug=(drug.add_on or drug) if isinstance(drug, NotAntidepressant) else drug,
        prescription=None if is_denial else told,
        set_aside="; ".join([*aside, *(["said not to be taken"] if is_denial else [])]),
        unread=tuple(
            each.problem for each in (*reading.unread, *reading.add_on_unread) if each.reference == reference
        ),
    )


# --- as JSON ------------------------------------------------------------------------------------------


def explanation_json(order: ExplainedOrder) -> dict[str, Any]:
    """The object of `schemas/explained-order.json`. Keys without a value are left out."""
    told = order.prescription
    every = {
        "reference": order.reference,
        "drug": _drug_json(order.drug),
        "setAside": order.set_aside,
        "unread": list(order.unread),
        **(_prescription_json(told) if told else {}),
    }
    return {key: value for key, value in every.items() if value not in ("", [], {}, None)}


def _drug_json(drug: DrugReading) -> dict[str, Any]:
    if isinstance(drug, NotAntidepressant):
        what = "not an antidepressant" if drug.is_certain else "no antidepressant that our tables know"
        return {"name": drug.name, "problem": what}
    if not isinstance(drug, Recognised):
        return {"name": drug.name, "problem": drug.problem}
    row, strength = drug.antidepressant.drug, drug.strength
    product = {
        "strengthMg": strength.mg if strength else None,
        "per": strength.per.value if strength else None,
        "form": drug.form.value if drug.form else None,
    }
    every = {
        "name": drug.name,
        "ingredient": row.ingredient,
        "rxcui": row.rxcui,
        "class": row.drug_class,
        "toldBy": list(drug.told_by),
        "namedBy": drug.named_by,
        "product": {key: value for key, value in product.items() if value is not None},
        "minimumAdequateMgPerDay": dict(row.minimum_mg),
    }
    return {key: value for key, value in every.items() if value not in ("", [], {}, None)}


def _prescription_json(told: Prescription) -> dict[str, Any]:
    return {
        "use": {"answer": told.treats_depression.answer.value, "text": told.treats_depression.text},
        "dose": told.dose_text,
        "days": told.days_text,
        "segments": [_segment_json(segment) for segment in told.segments],
    }


def _segment_json(segment: DoseSegment) -> dict[str, Any]:
    dose = {"lowMgPerDay": segment.low_mg, "highMgPerDay": segment.high_mg}
    return {
        "firstDay": segment.first_day.isoformat(),
        "lastDay": segment.last_day.isoformat(),
        **{key: value for key, value in dose.items() if value is not None},
        "daysCertain": segment.days_certain,
    }


# --- as text ------------------------------------------------------------------------------------------


def explanation_text(order: ExplainedOrder) -> str:
    """Some lines for a terminal, each with what it is about in front."""
    rows = [("drug", _drug_text(order.drug)), *_product_rows(order.drug)]
    told = order.prescription
    if told:
        use = told.treats_depression
        rows += [
            ("dose", told.dose_text),
            ("days", told.days_text),
            *(("", _segment_text(segment, _unit(order.drug))) for segment in told.segments),
            ("use", f"{use.answer.value} as a treatment of depression: {use.text}"),
        ]
    if order.set_aside:
        rows.append(("set aside", order.set_aside))
    rows += [("unread", problem) for problem in order.unread]
    return "\n".join([order.reference, *(f"  {about:<10}{text}" for about, text in rows)])


def _drug_text(drug: DrugReading) -> str:
    if isinstance(drug, NotAntidepressant):
        what = "not an antidepressant" if drug.is_certain else "no antidepressant that our tables know"
        return f"{drug.name}: {what}, so not read further"
    if not isinstance(drug, Recognised):
        return f"{drug.name}: not known, {drug.problem}"
    row = drug.antidepressant.drug
    told_by = f", told by {' and '.join(drug.told_by)}" if drug.told_by else ""
    named_by = f", named by {drug.named_by}" if drug.named_by else ""
    return f"{row.ingredient} ({row.drug_class}){told_by}{named_by}"


def _product_rows(drug: DrugReading) -> list[tuple[str, str]]:
    if not isinstance(drug, Recognised):
        return []
    unit = "mL" if drug.strength and drug.strength.per is Per.ML else "unit"
    strength = f"{drug.strength.mg:g} mg a {unit}" if drug.strength else "strength not known"
    if drug.contents:
        strength = "a pack of " + " and ".join(f"{part.pieces:g} × {part.mg:g} mg" for part in drug.contents)
    form = f", {drug.form.value}" if drug.form else ""
    return [("product", f"{drug.name}: {strength}{form}")]


def _unit(drug: DrugReading) -> str:
    is_per_session = isinstance(drug, Recognised) and drug.antidepressant.is_per_session
    return "mg a session" if is_per_session else "mg/day"


def _segment_text(segment: DoseSegment, unit: str) -> str:
    days = f"{segment.first_day} to {segment.last_day}"
    certain = "" if segment.days_certain else " (days not certain)"
    return f"{days}: {_dose_text(segment, unit)}{certain}"


def _dose_text(segment: DoseSegment, unit: str) -> str:
    if segment.low_mg is None:
        return "dose unknown"
    if segment.high_mg is None or segment.low_mg == segment.high_mg:
        return f"{segment.low_mg:g} {unit}"
    return f"{segment.low_mg:g} to {segment.high_mg:g} {unit}"
