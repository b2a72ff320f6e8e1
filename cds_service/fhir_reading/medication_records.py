"""MedicationDispense, MedicationAdministration and MedicationStatement → prescriptions as these sources tell them.

Each is read as the order that it would be (`medication_requests.py`), so that a dosage means the same wherever
it stands; what differs is which elements hold the dates, and what the status says. How the sources weigh against
each other is decided in `trd/sources.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Generic, TypeVar

from cds_service.fhir_reading.add_ons import other_use_of
from cds_service.fhir_reading.code_names import Code, KnownName
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.dates import PartialDate, parse_fhir_date
from cds_service.fhir_reading.dosage import DailyDose, dose_of_supply, mg_of_supply, one_unit_a_day
from cds_service.fhir_reading.drugs import DrugReading, NotAntidepressant, Recognised, UnknownDrug
from cds_service.fhir_reading.elements import (
    DispenseRequest,
    Dosage,
    DoseAndRate,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationStatement,
    Period,
    Problem,
    Reference,
    Repeat,
    Timing,
    read_elements,
)
from cds_service.fhir_reading.indications import Find, purpose_of
from cds_service.fhir_reading.medication_requests import (
    MedicationReading,
    Order,
    all_together,
    read_as_add_on,
    read_order,
    read_other,
)
from cds_service.fhir_reading.medications import drug_of, with_purpose
from cds_service.fhir_reading.order_days import EARLIEST_DAY
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.resource_types import ORDERS
from cds_service.fhir_reading.shortened import problem_of_shortened
from cds_service.tables.reasons import Indication
from cds_service.trd.days import shifted
from cds_service.trd.record import (
    DoseSegment,
    Prescription,
    Source,
    Topic,
    Unread,
)
from cds_service.trd.sources import PACK_WITHIN

RecordType = TypeVar("RecordType", MedicationDispense, MedicationStatement, MedicationAdministration)
NOT_TAKEN = "not-taken"
ONCE_A_DAY = Timing(repeat=Repeat(frequency=1, period=1, period_unit="d"))


def read_medication_records(
    by_type: Mapping[str, Sequence[Entry]], find: Find, on: date, names: Mapping[Code, KnownName]
) -> MedicationReading:
    """All three kinds of one patient's records. Never raises.

    `find` resolves references, `on` is today, `names` is what a terminology service says of codes.
    """
    context = _Context(find, on, names)
    dispensed = [_read(_DISPENSE, entry, context) for entry in by_type.get("MedicationDispense", ())]
    given = [_read(_ADMINISTRATION, entry, context) for entry in by_type.get("MedicationAdministration", ())]
    stated = [_read(_STATEMENT, entry, context) for entry in by_type.get("MedicationStatement", ())]
    if not (dispensed or given or stated):
        return MedicationReading()
    by_day = all_together(given)
    by_day = replace(
        by_day,
        prescriptions=tuple(_day_totals(by_day.prescriptions)),
        add_ons=tuple(_day_totals(by_day.add_ons)),
    )
    return all_together([*dispensed, by_day, *stated])


@dataclass(frozen=True)
class _Context:
    find: Find
    on: date
    names: Mapping[Code, KnownName]


@dataclass(frozen=True)
class _Kind(Generic[RecordType]):
    """How one type of resource is read as an order.

    `paths` pair the elements of the record with those of the order, `names` what the order's are called in
    texts with what the record's are; `why_aside` tells why a record does not count, `why_unread` why it cannot
    be taken for what it seems to be; `orders` are the orders it is of; `finish` adds what only this type tells.
    """

    elements: type[RecordType]
    source: Source
    paths: tuple[tuple[str, str], ...]
    names: tuple[tuple[str, str], ...]
    why_aside: Callable[[RecordType], str | None]
    orders: Callable[[RecordType], Sequence[Reference]]
    as_order: Callable[[RecordType], MedicationRequest]
    finish: Callable[[Prescription, RecordType, _Told], Prescription] = lambda told, *_: told
    why_unread: Callable[[RecordType], str | None] = lambda _: None

    @property
    def dosage_path(self) -> str:
        return "$.dosageInstruction" if self.source is Source.DISPENSED else "$.dosage"

    @property
    def topics(self) -> tuple[Topic, ...]:
        return (Topic.DRUG, Topic.FILLS) if self.source is Source.DISPENSED else (Topic.DRUG,)


@dataclass(frozen=True)
class _Told:
    """What a record was read with: its drug, the elements that could not be read, today."""

    drug: DrugReading
    problems: tuple[Problem, ...]
    on: date


def _read(kind: _Kind[RecordType], entry: Entry, context: _Context) -> MedicationReading:
    record, problems = read_elements(entry.resource, kind.elements)
    reference = reference_of(entry)
    if any(problem.path == "$" for problem in problems):
        return MedicationReading(unread=(Unread(reference, problems[-1].text, kind.topics),))
    problems += problem_of_shortened(entry.resource, kind.dosage_path)
    order = kind.as_order(record)
    orders = _resolved(kind.orders(record), entry.resource, context.find)
    purpose = purpose_of(order, entry.resource, context.find)
    drug = with_purpose(_drug(order, orders, entry.resource, context), purpose, problems)
    if not isinstance(drug, NotAntidepressant):
        return _read_record(kind, record, entry, context, _Named(order, orders, drug, purpose, problems))
    if drug.add_on is None:
        return read_other(drug, reference)
    named = _Named(order, orders, drug.add_on, purpose, problems)
    reading = _read_record(kind, record, entry, context, named)
    return read_as_add_on(
        reading, drug.add_on, other_use_of(order, drug.add_on, entry.resource, context.find)
    )


@dataclass(frozen=True)
class _Named:
    """A record as the order it would be, with its drug, the orders it is of, its reason, what is unreadable."""

    order: MedicationRequest
    orders: Sequence[dict[str, Any]]
    drug: Recognised | UnknownDrug
    purpose: Indication | None
    problems: tuple[Problem, ...]


def _read_record(
    kind: _Kind[RecordType], record: RecordType, entry: Entry, context: _Context, this: _Named
) -> MedicationReading:
    drug, reference, problems = this.drug, reference_of(entry), this.problems
    aside = kind.why_aside(record)
    if aside:
        return MedicationReading(set_aside=(Unread(reference, f"{drug.name}: {aside}"),))
    unreadable = kind.why_unread(record)
    if unreadable:
        return MedicationReading(unread=(Unread(reference, f"{drug.name}: {unreadable}", kind.topics),))
    renamed = tuple(Problem(_renamed(problem.path, kind.paths), problem.text) for problem in problems)
    reading = read_order(Order(this.order, reference, drug, this.purpose, renamed), context.on)
    fulfils = tuple(reference_of(Entry(target, None, "")) for target in this.orders)
    return replace(
        reading,
        prescriptions=tuple(
            kind.finish(_told_by(kind, told, fulfils), record, _Told(drug, tuple(problems), context.on))
            for told in reading.prescriptions
        ),
        unread=tuple(
            replace(unread, problem=_renamed(unread.problem, [(b, a) for a, b in kind.paths]))
            for unread in reading.unread
        ),
    )


def _told_by(kind: _Kind[Any], told: Prescription, fulfils: tuple[str, ...]) -> Prescription:
    days_text = _renamed(told.days_text, kind.names)
    return replace(told, source=kind.source, fulfils=fulfils, days_text=days_text)


def _renamed(text: str, names: Iterable[tuple[str, str]]) -> str:
    for name, other in names:
        text = text.replace(name, other)
    return text


def _resolved(references: Sequence[Reference], resource: dict[str, Any], find: Find) -> list[dict[str, Any]]:
    """The orders at hand that a record names."""
    found = [find(r.reference, resource) for r in references if r.reference]
    return [target for target in found if target and target.get("resourceType") in ORDERS]


def _drug(
    order: MedicationRequest, orders: Sequence[dict[str, Any]], resource: dict[str, Any], context: _Context
) -> DrugReading:
    """By the record itself; where that tells no drug, by the order it is of."""
    own = _drug_of(order, resource, context)
    if not isinstance(own, UnknownDrug):
        return own
    for target in orders:
        ordered, _ = read_elements(target, MedicationRequest)
        drug = _drug_of(ordered, target, context)
        if not isinstance(drug, UnknownDrug):
            return drug
    return own


def _drug_of(order: MedicationRequest, resource: dict[str, Any], context: _Context) -> DrugReading:
    concept, reference = order.medication_codeable_concept, order.medication_reference
    return drug_of(concept, reference, resource, context.find, context.names)


# --- dispensed ----------------------------------------------------------------------------------------

NOT_HANDED_OVER = {
    "preparation": "not handed over yet",
    "in-progress": "not handed over yet",
    "cancelled": "cancelled, not handed over",
    "declined": "declined, not handed over",
}


def _why_not_dispensed(record: MedicationDispense) -> str | None:
    if record.status == "entered-in-error":
        return "entered in error"
    if record.status in ("cancelled", "declined") or record.when_handed_over is None:
        return NOT_HANDED_OVER.get(record.status or "")
    is_nothing = record.quantity is not None and record.quantity.value == 0
    return "a quantity of 0, so nothing was handed over" if is_nothing else None


def _why_no_fill(record: MedicationDispense) -> str | None:
    """Why a dispensing may be none: a modifier may deny it, or it takes away; which other one it undoes is not told."""
    if record.modifier_extension:
        return "at $.modifierExtension: expected none, found one, whose meaning is not known"
    value = record.quantity.value if record.quantity else None
    if value is None or value >= 0:
        return None
    return f"$.quantity: expected a number above 0, found {value:g}: it may take back another dispensing"


def _dispense_as_order(record: MedicationDispense) -> MedicationRequest:
    """What was handed over is taken: whether more would have followed is no matter of this record."""
    return MedicationRequest(
        status=record.status if record.when_handed_over is None else "completed",
        intent="order",
        medication_codeable_concept=record.medication_codeable_concept,
        medication_reference=record.medication_reference,
        authored_on=record.when_handed_over or record.when_prepared,
        dosage_instruction=record.dosage_instruction,
        dispense_request=DispenseRequest(
            expected_supply_duration=record.days_supply, quantity=record.quantity
        ),
        modifier_extension=record.modifier_extension,
    )


def _as_dispensed(told: Prescription, record: MedicationDispense, read: _Told) -> Prescription:
    """What was prepared is not sure to have been taken until it was handed over, or the dispensing is completed."""
    if record.when_handed_over is None:
        told = replace(told, days_text=told.days_text.replace("whenHandedOver", "whenPrepared"))
        if record.status != "completed":
            perhaps = tuple(replace(segment, days_certain=False) for segment in told.segments)
            why = f"days not certain: status {record.status or 'missing'}, not known to be handed over"
            return replace(told, segments=perhaps, days_text=f"{told.days_text}; {why}")
    return _with_dose_of_supply(told, record, read)


def _with_dose_of_supply(told: Prescription, record: MedicationDispense, read: _Told) -> Prescription:
    """Where no dosage tells the dose: all that was dispensed, spread over the days it was meant for."""
    drug = read.drug
    has_dose = any(segment.low_mg is not None for segment in told.segments)
    if has_dose or not isinstance(drug, Recognised) or record.dosage_instruction:
        return told
    if record.days_supply is None:
        is_only_length_open = told.authored is not None and not read.problems
        return replace(told, total_mg=mg_of_supply(record.quantity, drug)) if is_only_length_open else told
    dose = _of_whole_pieces(dose_of_supply(record.quantity, record.days_supply, drug), drug)
    segments = tuple(replace(s, low_mg=dose.low_mg, high_mg=dose.high_mg) for s in told.segments)
    return replace(told, segments=segments, dose_text=dose.text, has_derived_dose=dose.low_mg is not None)


def _of_whole_pieces(dose: DailyDose, drug: Recognised) -> DailyDose:
    """28 tablets for 30 days are one a day, or a little less: the range up (or down) to whole pieces."""
    piece = one_unit_a_day(drug).low_mg
    if dose.low_mg is None or dose.low_mg != dose.high_mg or not piece:
        return dose
    whole = round(dose.low_mg / piece) * piece
    if not whole or whole == dose.low_mg or abs(dose.low_mg - whole) > PACK_WITHIN * whole:
        return dose
    low, high = sorted((dose.low_mg, whole))
    return replace(dose, low_mg=low, high_mg=high, text=f"{dose.text}, or {whole:g} mg/day in whole pieces")


_DISPENSE = _Kind(
    elements=MedicationDispense,
    source=Source.DISPENSED,
    paths=(
        ("$.whenHandedOver", "$.authoredOn"),
        ("$.whenPrepared", "$.authoredOn"),
        ("$.daysSupply", "$.dispenseRequest.expectedSupplyDuration"),
        ("$.quantity", "$.dispenseRequest.quantity"),
    ),
    names=(("authoredOn", "whenHandedOver"), ("expectedSupplyDuration", "daysSupply")),
    why_aside=_why_not_dispensed,
    orders=lambda record: record.authorizing_prescription,
    as_order=_dispense_as_order,
    finish=_as_dispensed,
    why_unread=_why_no_fill,
)


# --- stated -------------------------------------------------------------------------------------------

NOT_STATED = {"entered-in-error": "entered in error", "intended": "intended, not taken yet"}


def _statement_as_order(record: MedicationStatement) -> MedicationRequest:
    return MedicationRequest(
        status="completed" if record.status == NOT_TAKEN else record.status,
        status_reason=next(iter(record.status_reason), None),
        intent="order",
        medication_codeable_concept=record.medication_codeable_concept,
        medication_reference=record.medication_reference,
        effective_dose_period=record.effective_period,
        reason_code=record.reason_code,
        reason_reference=record.reason_reference,
        dosage_instruction=record.dosage,
        modifier_extension=record.modifier_extension,
    )


def _as_of_statement(told: Prescription, record: MedicationStatement, read: _Told) -> Prescription:
    """A statement is sure of the days up to the one it was made on; of a single moment, only of that day."""
    asserted = parse_fhir_date(record.date_asserted)
    moment = parse_fhir_date(record.effective_date_time)
    segments = told.segments
    if record.effective_period is None:
        segments = _around(asserted if record.effective_date_time is None else moment, segments, read.on)
    elif record.date_asserted is not None:
        segments = tuple(_sure_until(asserted.earliest if asserted else date.min, segments))
    return replace(told, segments=segments, is_denial=record.status == NOT_TAKEN)


def _around(moment: PartialDate | None, segments: Sequence[DoseSegment], on: date) -> tuple[DoseSegment, ...]:
    """The dose of the first segment: surely taken on one day, perhaps before and after."""
    if not segments:
        return ()
    perhaps = replace(segments[0], first_day=EARLIEST_DAY, last_day=on, days_certain=False)
    if moment is None or not moment.is_exact or not EARLIEST_DAY < moment.earliest <= on:
        return (perhaps,)
    day = moment.earliest
    pieces = (
        replace(perhaps, last_day=shifted(day, -1)),
        replace(perhaps, first_day=day, last_day=day, days_certain=True),
        replace(perhaps, first_day=shifted(day, 1)),
    )
    return tuple(piece for piece in pieces if piece.first_day <= piece.last_day)


def _sure_until(last_sure_day: date, segments: Sequence[DoseSegment]) -> Iterable[DoseSegment]:
    for segment in segments:
        if segment.first_day <= last_sure_day:
            yield replace(segment, last_day=min(segment.last_day, last_sure_day))
        if segment.last_day > last_sure_day:
            first_day = max(segment.first_day, shifted(last_sure_day, 1))
            yield replace(segment, first_day=first_day, days_certain=False)


_STATEMENT = _Kind(
    elements=MedicationStatement,
    source=Source.STATED,
    paths=(
        ("$.effectivePeriod", "$.effectiveDosePeriod"),
        ("$.effectiveDateTime", "$.effectiveDosePeriod"),
        ("$.dosage[", "$.dosageInstruction["),
    ),
    names=(("the period of the order", "effectivePeriod"),),
    why_aside=lambda record: NOT_STATED.get(record.status or ""),
    orders=lambda record: record.based_on,
    as_order=_statement_as_order,
    finish=_as_of_statement,
)


# --- administered -------------------------------------------------------------------------------------

NOT_GIVEN = {"not-done": "not given", "entered-in-error": "entered in error"}


def _administration_as_order(record: MedicationAdministration) -> MedicationRequest:
    """One dose on its day. One that was stopped half way was of an unknown dose."""
    period = record.effective_period or Period(
        start=record.effective_date_time, end=record.effective_date_time
    )
    given = record.dosage if record.status != "stopped" else None
    dose = (DoseAndRate(dose_quantity=given.dose),) if given and given.dose else ()
    dosage = Dosage(text=given.text if given and not dose else None, timing=ONCE_A_DAY, dose_and_rate=dose)
    return MedicationRequest(
        status="completed" if record.status in ("completed", "in-progress", "stopped") else record.status,
        intent="order",
        medication_codeable_concept=record.medication_codeable_concept,
        medication_reference=record.medication_reference,
        effective_dose_period=Period(start=period.start, end=period.end or period.start),
        reason_code=record.reason_code,
        reason_reference=record.reason_reference,
        dosage_instruction=(dosage,),
        modifier_extension=record.modifier_extension,
    )


_ADMINISTRATION = _Kind(
    elements=MedicationAdministration,
    source=Source.ADMINISTERED,
    paths=(
        ("$.effectivePeriod", "$.effectiveDosePeriod"),
        ("$.effectiveDateTime", "$.effectiveDosePeriod"),
        ("$.dosage", "$.dosageInstruction[0]"),
    ),
    names=(("the period of the order", "the time it was given"),),
    why_aside=lambda record: NOT_GIVEN.get(record.status or ""),
    orders=lambda record: (record.request,) if record.request else (),
    as_order=_administration_as_order,
)


def _day_totals(given: Iterable[Prescription]) -> Iterable[Prescription]:
    """Doses given on one day are taken together, unlike orders for one day, of which one replaces another.

    Those given for other uses, or by other orders, stand by themselves.
    """
    by_day: dict[object, list[Prescription]] = defaultdict(list)
    for told in given:
        days = [(s.first_day, s.last_day) for s in told.segments]
        by_day[told.agent, told.treats_depression.answer, told.fulfils, *days].append(told)
    for of_one_day in by_day.values():
        first, *others = of_one_day
        if (
            not others
            or len(first.segments) != 1
            or first.segments[0].first_day != first.segments[0].last_day
        ):
            yield from of_one_day
        else:
            yield _added_up(first, others)


def _added_up(first: Prescription, others: Sequence[Prescription]) -> Prescription:
    segments = [told.segments[0] for told in (first, *others)]
    lows, highs = [s.low_mg for s in segments], [s.high_mg for s in segments]
    low = None if None in lows else sum(mg or 0.0 for mg in lows)
    high = None if None in highs else sum(mg or 0.0 for mg in highs)
    is_certain = all(segment.days_certain for segment in segments)
    return replace(
        first,
        segments=(replace(segments[0], low_mg=low, high_mg=high, days_certain=is_certain),),
        dose_text=" + ".join(told.dose_text for told in (first, *others)),
        supported_by=tuple(told.reference for told in others),
    )
