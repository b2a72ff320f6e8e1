"""MedicationRequests → prescriptions of antidepressants and augmenting agents, with drug, dose, days and use.

Every request ends as one of: a `Prescription`; set aside, with the reason; unread. Orders of other drugs
are not of interest and end nowhere. What is malformed or missing makes its own question unknown and is
listed under unread as well; it never makes an order vanish.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from cds_service.fhir_reading.add_ons import as_add_on, other_use_of
from cds_service.fhir_reading.code_names import Code, KnownName
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.dates import parse_fhir_date
from cds_service.fhir_reading.dosage import (
    DailyDose,
    dose_from_name,
    doubt_of_length,
    is_as_needed,
    is_silent,
    one_unit_a_day,
    read_dosages,
    unknown_dose,
)
from cds_service.fhir_reading.drugs import NotAntidepressant, Recognised, UnknownDrug
from cds_service.fhir_reading.elements import MedicationRequest, Problem, read_elements
from cds_service.fhir_reading.indications import Find, judge_use, purpose_of, read_stop_reason
from cds_service.fhir_reading.medications import drug_of, with_purpose
from cds_service.fhir_reading.order_days import read_order_days
from cds_service.fhir_reading.prior_orders import ReadOrder, has_prior, with_replaced_ended
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.shortened import problem_of_shortened
from cds_service.tables.reasons import Indication
from cds_service.trd.answers import Answer
from cds_service.trd.record import Prescription, Topic, Unread

SET_ASIDE_STATUS = {
    "entered-in-error": "entered in error",
    "cancelled": "cancelled before it was given",
    "draft": "a draft",
}
KNOWN_STATUS = ("active", "on-hold", "completed", "stopped")
SET_ASIDE_INTENT = {"proposal": "a proposal", "plan": "a plan", "option": "an option"}
KNOWN_INTENT = ("order", "original-order", "reflex-order", "filler-order", "instance-order")
PATHS_OF_DAYS = ("$.authoredOn", "$.effectiveDosePeriod", "$.dispenseRequest", "$.status")


@dataclass(frozen=True)
class MedicationReading:
    """What the requests of one patient say. `set_aside` orders were understood and do not count.

    `add_ons` are those of augmenting agents, `add_on_unread` what could not be read of them.
    """

    prescriptions: tuple[Prescription, ...] = ()
    unread: tuple[Unread, ...] = ()
    set_aside: tuple[Unread, ...] = ()
    add_ons: tuple[Prescription, ...] = ()
    add_on_unread: tuple[Unread, ...] = ()


def read_medication_requests(
    requests: Sequence[Entry], find: Find, on: date, names: Mapping[Code, KnownName] | None = None
) -> MedicationReading:
    """Reads the MedicationRequests of one patient; `find` resolves references, `on` is today.

    `names` is what a terminology service says of codes that our tables lack.
    """
    readings = [_read(entry, find, on, names or {}) for entry in requests]
    together = all_together(readings)
    if not any(has_prior(entry.resource) for entry in requests):
        return together
    orders = [
        ReadOrder(entry.resource, next(iter(reading.prescriptions or reading.add_ons), None))
        for entry, reading in zip(requests, readings, strict=True)
    ]
    told = with_replaced_ended(orders, find)
    replaced = tuple(Unread(o.reference, f"{o.name}: {o.days_text}") for o in told if not o.segments)
    return replace(
        together,
        prescriptions=tuple(order for order in told if order.segments and not is_add_on(order)),
        add_ons=tuple(order for order in told if order.segments and is_add_on(order)),
        set_aside=(*together.set_aside, *replaced),
    )


def is_add_on(told: Prescription) -> bool:
    return told.drug is not None and told.drug.add_on is not None


def all_together(readings: Sequence[MedicationReading]) -> MedicationReading:
    return MedicationReading(
        tuple(prescription for reading in readings for prescription in reading.prescriptions),
        tuple(unread for reading in readings for unread in reading.unread),
        tuple(aside for reading in readings for aside in reading.set_aside),
        tuple(add_on for reading in readings for add_on in reading.add_ons),
        tuple(unread for reading in readings for unread in reading.add_on_unread),
    )


def _read(entry: Entry, find: Find, on: date, names: Mapping[Code, KnownName]) -> MedicationReading:
    order, problems = read_elements(entry.resource, MedicationRequest)
    reference = reference_of(entry)
    if any(problem.path == "$" for problem in problems):
        return MedicationReading(unread=(Unread(reference, problems[-1].text, (Topic.DRUG,)),))
    problems += problem_of_shortened(entry.resource, "$.dosageInstruction")
    concept, medication = order.medication_codeable_concept, order.medication_reference
    drug = drug_of(concept, medication, entry.resource, find, names)
    purpose = purpose_of(order, entry.resource, find)
    drug = with_purpose(drug, purpose, problems)
    if not isinstance(drug, NotAntidepressant):
        return _read_if_in_force(Order(order, reference, drug, purpose, problems), on)
    if drug.add_on is None:
        return read_other(drug, reference)
    reading = _read_if_in_force(Order(order, reference, drug.add_on, purpose, problems), on)
    return read_as_add_on(reading, drug.add_on, other_use_of(order, drug.add_on, entry.resource, find))


def _read_if_in_force(this: Order, on: date) -> MedicationReading:
    reason = _why_set_aside(this.order)
    if reason:
        return MedicationReading(set_aside=(Unread(this.reference, f"{this.drug.name}: {reason}"),))
    return read_order(this, on, may_lie_ahead=this.order.status != "completed")


def read_as_add_on(reading: MedicationReading, drug: Recognised, other_use: str) -> MedicationReading:
    """The reading of an augmenting agent's record, kept apart from those of antidepressants.

    `other_use` is a reason of its own that speaks against augmentation.
    """
    return MedicationReading(
        set_aside=reading.set_aside,
        add_ons=tuple(as_add_on(told, drug, other_use) for told in reading.prescriptions),
        add_on_unread=reading.unread,
    )


def read_other(drug: NotAntidepressant, reference: str) -> MedicationReading:
    """A record of another drug; shown where only a terminology service tells so, or it may be an add-on."""
    if drug.add_on_problem:
        unread = Unread(reference, f"{drug.name}: {drug.add_on_problem}", (Topic.NONE,))
        return MedicationReading(add_on_unread=(unread,))
    if not drug.named_by:
        return MedicationReading()
    return MedicationReading(set_aside=(Unread(reference, f"{drug.name}: another drug by {drug.named_by}"),))


def _why_set_aside(order: MedicationRequest) -> str | None:
    if order.do_not_perform:
        return "an order not to give it"
    return SET_ASIDE_STATUS.get(order.status or "") or SET_ASIDE_INTENT.get(order.intent or "")


# --- the order ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """An order of an antidepressant, or of a drug that may be one; other records are read as orders are."""

    order: MedicationRequest
    reference: str
    drug: Recognised | UnknownDrug
    purpose: Indication | None
    problems: tuple[Problem, ...]


def read_order(this: Order, on: date, *, may_lie_ahead: bool = True) -> MedicationReading:
    """The prescription that an order is; set aside when it begins after `on`, today, and may lie ahead."""
    order, drug = this.order, this.drug
    doubts = _Doubts(this)
    doubt = doubts.days or next(filter(None, map(doubt_of_length, order.dosage_instruction)), "")
    days = read_order_days(order, tuple(_doses(this, doubts.dose)), on, doubt, may_lie_ahead)
    if days.is_in_future:
        return MedicationReading(set_aside=(Unread(this.reference, f"{drug.name}: {days.days_text}"),))
    stop_reason, stop_text = read_stop_reason(order.status_reason)
    authored = parse_fhir_date(order.authored_on)
    prescription = Prescription(
        reference=this.reference,
        drug=drug.antidepressant.drug if isinstance(drug, Recognised) else None,
        name=_name_of(drug, this.reference),
        segments=days.segments,
        treats_depression=replace(
            judge_use(order, drug, this.purpose, doubts.use), evidence=(this.reference,)
        ),
        stop_reason=stop_reason,
        stop_text=stop_text,
        dose_text=days.dose_text,
        days_text=days.days_text,
        authored=authored.earliest if authored and authored.is_exact else None,
        unit_mg_per_day=_unit_mg_per_day(this),
        stated_end=days.stated_end,
        has_stated_use=this.purpose is Indication.DEPRESSION,
        named_by=drug.named_by,
    )
    problems = (*days.problems, *_unread_dose(this, prescription))
    return MedicationReading((prescription,), tuple(_unread(this, problems)))


def _name_of(drug: Recognised | UnknownDrug, reference: str) -> str:
    """The drug's name. One without a name of its own may be another drug in each order."""
    return f"{drug.name} in {reference}" if isinstance(drug, UnknownDrug) and drug.is_nameless else drug.name


def _unread_dose(this: Order, prescription: Prescription) -> list[str]:
    """Why a dosage gives no dose, where that matters. An order that says nothing of it is not unread."""
    is_unread = prescription.dose_text.startswith("dose unknown: ") and isinstance(this.drug, Recognised)
    is_trial = prescription.treats_depression.answer is not Answer.NOT_MET
    return [f"$.dosageInstruction: {prescription.dose_text}"] if is_unread and is_trial else []


def _unread(this: Order, other_problems: Sequence[str]) -> list[Unread]:
    problems = [problem.text for problem in this.problems] + list(other_problems)
    if isinstance(this.drug, UnknownDrug):
        problems.insert(0, f"{this.drug.name}: {this.drug.problem}")
    if this.order.status not in KNOWN_STATUS:
        problems.append(f"$.status: expected a status of an order, found {_found(this.order.status)}")
    if this.order.intent not in KNOWN_INTENT:
        problems.append(f"$.intent: expected the intent of an order, found {_found(this.order.intent)}")
    return [Unread(this.reference, "; ".join(dict.fromkeys(problems)), (Topic.DRUG,))] if problems else []


def _found(code: str | None) -> str:
    return "nothing" if code is None else repr(code[:40])


def _unit_mg_per_day(this: Order) -> float | None:
    """The dose at one unit a day, for an order that says nothing of the dose."""
    if this.problems or not isinstance(this.drug, Recognised):
        return None
    if not all(map(is_silent, this.order.dosage_instruction)):
        return None
    return one_unit_a_day(this.drug).low_mg


class _Doubts:
    """Which questions the elements that could not be read leave open: dose, days, use."""

    def __init__(self, this: Order) -> None:
        self.dose = self.days = ""
        self.use = _doubtful_intent(this.order)
        if this.problems:
            self._look_at([problem.path for problem in this.problems])

    def _look_at(self, paths: list[str]) -> None:
        in_dosage = [path for path in paths if path.startswith("$.dosageInstruction")]
        whole = [path for path in in_dosage if re.fullmatch(r"\$\.dosageInstruction(\[\d+\])?", path)]
        bounds = [path for path in in_dosage if re.search(r"\.timing(\.repeat)?$|\.(bounds|count)", path)]
        needed = [path for path in in_dosage if ".asNeeded" in path or ".text" in path]
        dates = [path for path in paths if path.startswith(PATHS_OF_DAYS)]
        reasons = [path for path in paths if path.startswith(("$.reason", "$.doNotPerform"))]
        self.dose = _said([path for path in in_dosage if ".bounds" not in path])
        self.days = _said([*whole, *bounds, *dates])
        self.use = _said([*whole, *needed, *reasons]) or self.use


def _said(paths: Sequence[str]) -> str:
    return f"{paths[0]} could not be read" if paths else ""


def _doubtful_intent(order: MedicationRequest) -> str:
    return "" if order.intent in KNOWN_INTENT else "its intent is not recorded: it may be a proposal"


def _doses(this: Order, doubt: str) -> list[tuple[DailyDose, ...]]:
    """The daily doses of each dosage; of an order without any, the one that its name tells."""
    dosages = this.order.dosage_instruction
    if doubt or isinstance(this.drug, UnknownDrug):
        why = doubt or "the drug is not known"
        return [(unknown_dose(why),) for _ in dosages or (None,)]
    if len(dosages) < 2 and all(map(is_silent, dosages)):
        return [dose_from_name(this.drug)]
    needed = [is_as_needed(dosage) is True for dosage in dosages]
    product = this.drug
    doses = read_dosages(dosages, product)
    if all(needed):
        return doses
    return [_extra(dose) if extra else dose for dose, extra in zip(doses, needed, strict=True)]


def _extra(doses: tuple[DailyDose, ...]) -> tuple[DailyDose, ...]:
    """As-needed doses beside regular ones: perhaps none, at most all of them."""
    return tuple(dose if dose.low_mg is None else replace(dose, low_mg=0.0) for dose in doses)
