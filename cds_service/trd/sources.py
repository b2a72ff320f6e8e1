"""Orders, dispensings, administrations and statements of one drug → each day told once, by the best source.

A record that speaks of days on which an order is in force is not a second use of the drug: it strengthens
the order or contradicts it.

    dose    the order's own; where it has none, that of the record beside it. Two known doses that differ by
            more than rounding leave the range of both
    days    days that were dispensed, administered or stated are certain. Days of an order for which nothing
            was dispensed, though all dispensings of the drug can be read, are not; nor are days on which a
            statement says that the drug was not taken

Days of no order stand for themselves. Source of the order of preference: what was ordered is what the
definitions ask for; what was handed out tells more of the days than what was ordered (project choice).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

from cds_service.trd.days import shifted
from cds_service.trd.model import Answer, DoseSegment, Prescription, Source, Supply

SAME_WITHIN = 0.01
# Packs hold 28 tablets for a month of 30 days, or 100 for a quarter: only more than that contradicts an order.
PACK_WITHIN = 0.2
LATER_SOURCES = (Source.DISPENSED, Source.ADMINISTERED, Source.STATED)


def reconcile(prescriptions: Sequence[Prescription], on: date) -> tuple[Prescription, ...]:
    """The same uses with each day up to `on`, today, told once. Orders alone come back as they are."""
    if all(record.source is Source.ORDERED for record in prescriptions):
        return tuple(prescriptions)
    by_agent: dict[str, list[Prescription]] = defaultdict(list)
    for record in prescriptions:
        by_agent[_agent(record)].append(record)
    return tuple(told for records in by_agent.values() for told in _told_once(records, on))


def _agent(record: Prescription) -> str:
    return record.drug.agent if record.drug else f"unidentified: {record.name}"


def _told_once(records: Sequence[Prescription], on: date) -> list[Prescription]:
    """The records of one agent: those of each source beside all that went before."""
    by_source: dict[Source, list[Prescription]] = defaultdict(list)
    for record in records:
        by_source[record.source].append(record)
    dispensed = _without_early_refills([r for r in by_source[Source.DISPENSED] if r.segments], on)
    by_source[Source.DISPENSED] = dispensed
    told = by_source[Source.ORDERED]
    for source in LATER_SOURCES:
        later = by_source[source]
        told = [_beside(record, later) for record in told] + _remaining(later, told)
    supplies = _supplies(dispensed)
    return [replace(record, supplies=supplies) for record in told] if supplies else told


# --- an order and what speaks of the same days ---------------------------------------------------------


def _beside(order: Prescription, others: Sequence[Prescription]) -> Prescription:
    """The order with its dose and days strengthened or contradicted by records of one other source."""
    related = [other for other in others if _is_related(order, other)]
    if not related:
        return order
    is_all_told = related[0].source is Source.DISPENSED and all(_is_certain(other) for other in others)
    segments = [
        _on_these_days(segment, _in_force(related, segment), is_all_told)
        for segment in _cut(order.segments, [s for other in related for s in other.segments])
    ]
    return replace(
        order,
        segments=tuple(_merged(segments)),
        supported_by=(*order.supported_by, *(other.reference for other in related)),
        dose_text="; ".join([order.dose_text, *_dose_told(order, related)]),
    )


def _is_related(order: Prescription, other: Prescription) -> bool:
    """Named as its order, or, where no order is named, on days of it."""
    if other.fulfils:
        return order.reference in other.fulfils
    return any(_overlap(s, t) for s in order.segments for t in other.segments)


def _overlap(one: DoseSegment, other: DoseSegment) -> bool:
    return one.first_day <= other.last_day and other.first_day <= one.last_day


def _is_certain(record: Prescription) -> bool:
    return all(segment.days_certain for segment in record.segments)


def _in_force(
    records: Iterable[Prescription], day_range: DoseSegment
) -> list[tuple[Prescription, DoseSegment]]:
    return [(record, s) for record in records for s in record.segments if _overlap(s, day_range)]


def _on_these_days(
    segment: DoseSegment, told: Sequence[tuple[Prescription, DoseSegment]], is_all_told: bool
) -> DoseSegment:
    """One stretch of an order, with what others tell of it: `is_all_told` if what they leave out was not given."""
    if any(record.is_denial for record, _ in told):
        return replace(segment, days_certain=False)
    if not told:
        return replace(segment, days_certain=segment.days_certain and not is_all_told)
    for record, other in told:
        segment = _with_dose(segment, other, PACK_WITHIN if record.has_derived_dose else SAME_WITHIN)
    is_certain = segment.days_certain or any(other.days_certain for _, other in told)
    return replace(segment, days_certain=is_certain)


def _with_dose(segment: DoseSegment, other: DoseSegment, within: float) -> DoseSegment:
    """The order's dose; where it is unknown, the other's; where they contradict each other, from one to the other."""
    if segment.low_mg is None or segment.high_mg is None:
        return replace(segment, low_mg=other.low_mg, high_mg=other.high_mg)
    if other.low_mg is None or other.high_mg is None:
        return segment
    if other.high_mg >= segment.low_mg * (1 - within) and other.low_mg <= segment.high_mg * (1 + within):
        return segment
    return replace(
        segment, low_mg=min(segment.low_mg, other.low_mg), high_mg=max(segment.high_mg, other.high_mg)
    )


def _dose_told(order: Prescription, related: Sequence[Prescription]) -> list[str]:
    """What the others say of a dose that the order leaves open."""
    if any(segment.low_mg is not None for segment in order.segments):
        return []
    known = [other for other in related if any(s.low_mg is not None for s in other.segments)]
    return list(
        dict.fromkeys(f"{other.source.value} ({other.reference}): {other.dose_text}" for other in known)
    )


# --- days of no order ----------------------------------------------------------------------------------


def _remaining(later: Sequence[Prescription], told: Sequence[Prescription]) -> list[Prescription]:
    """The records on those of their days of which no other speaks."""
    remaining = []
    for record in later:
        related = [other for other in told if _is_related(other, record)]
        taken = [segment for other in told for segment in other.segments]
        left = [s for s in _cut(record.segments, taken) if not any(_overlap(s, t) for t in taken)]
        if left and not record.is_denial:
            use = record.treats_depression
            if related and all(o.treats_depression.answer is Answer.NOT_MET for o in related):
                use = related[0].treats_depression
            segments = tuple(_merged([_with_ordered_dose(s, related) for s in left]))
            remaining.append(replace(record, segments=segments, treats_depression=use))
    return remaining


def _with_ordered_dose(segment: DoseSegment, related: Sequence[Prescription]) -> DoseSegment:
    """Where the record names no dose, that of its order, if it has only one."""
    doses = {(s.low_mg, s.high_mg) for order in related for s in order.segments}
    if segment.low_mg is not None or len(doses) != 1:
        return segment
    ((low, high),) = doses
    return replace(segment, low_mg=low, high_mg=high)


# --- supplies ------------------------------------------------------------------------------------------


def _without_early_refills(dispensings: Sequence[Prescription], on: date) -> list[Prescription]:
    """Refills of the same dose that came before the last one ran out begin the day after it did."""
    moved: list[Prescription] = []
    ran_out: dict[tuple[float | None, float | None], date] = {}
    for record in sorted(dispensings, key=lambda record: (record.segments[0].first_day, record.reference)):
        first = record.segments[0]
        dose = first.low_mg, first.high_mg
        if _is_certain(record) and len(record.segments) == 1:
            begin = max(first.first_day, shifted(ran_out.get(dose, date.min), 1))
            last_day = shifted(first.last_day, (begin - first.first_day).days)
            ran_out[dose] = max(last_day, ran_out.get(dose, date.min))
            kept = replace(first, first_day=begin, last_day=min(last_day, on))
            record = replace(record, segments=(kept,) if begin <= on else ())
        moved.append(record)
    return moved


def _supplies(dispensed: Sequence[Prescription]) -> tuple[Supply, ...]:
    """All that was dispensed of the drug; nothing where the days of one dispensing are not known."""
    if not all(map(_is_certain, dispensed)):
        return ()
    return tuple(Supply(s.first_day, s.last_day, fill.reference) for fill in dispensed for s in fill.segments)


# --- stretches of days ---------------------------------------------------------------------------------


def _cut(segments: Iterable[DoseSegment], others: Sequence[DoseSegment]) -> list[DoseSegment]:
    """The segments, cut wherever one of the others begins or has ended."""
    edges = sorted({s.first_day for s in others} | {shifted(s.last_day, 1) for s in others})
    return [piece for segment in segments for piece in _pieces(segment, edges)]


def _pieces(segment: DoseSegment, edges: Sequence[date]) -> Iterable[DoseSegment]:
    inside = [day for day in edges if segment.first_day < day <= segment.last_day]
    for first_day, next_day in pairwise([segment.first_day, *inside, shifted(segment.last_day, 1)]):
        yield replace(segment, first_day=first_day, last_day=shifted(next_day, -1))


def _merged(segments: Sequence[DoseSegment]) -> list[DoseSegment]:
    """Neighbours that say the same as one."""
    merged: list[DoseSegment] = []
    for segment in segments:
        if merged and _goes_on(merged[-1], segment):
            merged[-1] = replace(merged[-1], last_day=segment.last_day)
        else:
            merged.append(segment)
    return merged


def _goes_on(earlier: DoseSegment, later: DoseSegment) -> bool:
    """Whether one stretch begins the day after another ended and says the same."""
    return earlier == replace(
        later, first_day=earlier.first_day, last_day=earlier.last_day
    ) and later.first_day == shifted(earlier.last_day, 1)
