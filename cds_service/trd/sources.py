"""Orders, dispensings, administrations and statements of one drug → each day told once, by the best source.

A record that speaks of days on which an order is in force is not a second use of the drug: it strengthens
the order or contradicts it. A record that names its order speaks of that one as long as it is in force.

    dose    the order's own; where it has none, that of the record beside it. Two known doses that differ by
            more than rounding leave the range of both. Several dispensings in force on one day tell a range
            like orders do, from the newest dose to the sum of the distinct ones; of statements the newest tells
    days    days that were dispensed, administered or stated are certain. Days of an order for which nothing
            was dispensed, though all dispensings of the drug can be read, are not; nor are days on which a
            statement says that the drug was not taken
    use     the order's own; where it states no reason and a record beside it tells another use, it is unknown

Days of no order stand for themselves, except those that a fill handed over before the stated end of its order
would have lasted beyond it: what is left over then is no sign of use. Source of the order of preference: what
was ordered is what the definitions ask for; what was handed out tells more of the days than what was ordered
(project choice).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.fills import Range, in_turn, supplies_of, up_to_stated_ends
from cds_service.trd.record import (
    DoseSegment,
    Prescription,
    Source,
    StopReason,
    Unread,
)
from cds_service.trd.stretches import DaysTold, Spoken, cut, is_certain, merged_neighbours, overlap

SAME_WITHIN = 0.01
# Packs hold 28 tablets for a month of 30 days, or 100 for a quarter: only more than that contradicts an order.
PACK_WITHIN = 0.2


def reconcile(
    prescriptions: Sequence[Prescription], on: date, *, knows_all_fills: bool
) -> tuple[Prescription, ...]:
    """The same uses with each day up to `on`, today, told once. Orders alone come back as they are.

    Where `knows_all_fills` is False, more may have been dispensed than is at hand: then nothing follows from
    days that no dispensing covers. Nor does it where it is not known what was dispensed.
    """
    if all(record.source is Source.ORDERED for record in prescriptions):
        return tuple(prescriptions)
    by_agent: dict[str, list[Prescription]] = defaultdict(list)
    for record in prescriptions:
        by_agent[record.agent].append(record)
    unidentified = {r.agent for r in prescriptions if r.source is Source.DISPENSED and r.drug is None}
    return tuple(
        told
        for agent, records in by_agent.items()
        for told in _told_once(records, on, knows_all_fills and unidentified <= {agent})
    )


def left_out(records: Sequence[Prescription], told: Iterable[Prescription]) -> tuple[Unread, ...]:
    """The records that tell nothing of what was `told`, each with the reason."""
    if not records:
        return ()
    used = {reference for each in told for reference in each.references}
    return tuple(
        Unread(record.reference, f"{record.name}: {_why_left_out(record)}")
        for record in records
        if not used.issuperset(record.references)
    )


def _why_left_out(record: Prescription) -> str:
    if record.is_denial:
        return "said not to be taken, on days of which nothing else speaks"
    return "no day is left to it: others tell of its days, its order had ended, or they lie ahead"


def _told_once(records: Sequence[Prescription], on: date, knows_all_fills: bool) -> list[Prescription]:
    """The records of one agent: those of each source beside all that went before."""
    by_source: dict[Source, list[Prescription]] = defaultdict(list)
    for record in records:
        by_source[record.source].append(record)
    fills = in_turn(up_to_stated_ends(by_source[Source.DISPENSED], by_source[Source.ORDERED]), on)
    given, stated = by_source[Source.ADMINISTERED], by_source[Source.STATED]
    is_all_told = knows_all_fills and all(map(is_certain, fills.sure))
    without_statements = _beside(by_source[Source.ORDERED], [*fills.sure, *fills.twins], is_all_told)
    without_statements = _beside(without_statements, given)
    told = _beside(without_statements, stated)
    supplies = supplies_of(fills, given, stated) if knows_all_fills else ()
    if not supplies:
        return told
    told = [replace(record, supplies=supplies) for record in told]
    if not stated:
        return told
    supplies = supplies_of(fills, given, ())
    alone = tuple(replace(record, supplies=supplies) for record in without_statements)
    return [replace(record, without_statements=alone) for record in told]


def _beside(
    told: list[Prescription], later: Sequence[Prescription], is_all_told: bool = False
) -> list[Prescription]:
    return _Stage(told, later, is_all_told).all_told() if later else told


# --- which record speaks on which days -------------------------------------------------------------------


class _Stage:
    """All that is told so far, and the records of the next source beside it."""

    def __init__(
        self, told: Sequence[Prescription], later: Sequence[Prescription], is_all_told: bool
    ) -> None:
        self.told, self.later, self.is_all_told = told, later, is_all_told
        self.by_reference = {order.reference: order for order in told}
        self.days_told, self.later_days = DaysTold(told), DaysTold(later)
        self.naming: dict[str, list[Prescription]] = defaultdict(list)
        for record in later:
            for reference in record.fulfils:
                self.naming[reference].append(record)

    def all_told(self) -> list[Prescription]:
        remaining = [left for record in self.later if (left := self._remaining(record))]
        return [self._beside(order) for order in self.told] + remaining

    def _named_by(self, record: Prescription) -> list[Prescription]:
        """The orders at hand that the record names."""
        return [self.by_reference[name] for name in record.fulfils if name in self.by_reference]

    def _speaks_of(self, record: Prescription, order: Prescription, piece: DoseSegment) -> bool:
        """A record speaks of the orders it names while one of them is in force, else of any that is."""
        named = self._named_by(record)
        if any(order is other for other in named):
            return True
        return not any(overlap(s, piece) for other in named for s in other.segments)

    # --- an order and what speaks of the same days

    def _beside(self, order: Prescription) -> Prescription:
        """The order with its dose and days strengthened or contradicted by the records."""
        near = [pair for s in order.segments for pair in self.later_days.within(s.first_day, s.last_day)]
        others = {named.reference: named for record, _ in near for named in self._named_by(record)}
        edges = [s for _, s in near] + [s for other in others.values() for s in other.segments]
        related = {record.reference: record for record in self.naming[order.reference]}
        pieces: list[tuple[DoseSegment, list[Spoken]]] = []
        for piece in cut(order.segments, edges):
            there = self.later_days.within(piece.first_day, piece.last_day)
            spoken = [pair for pair in there if self._speaks_of(pair[0], order, piece)]
            related |= {record.reference: record for record, _ in spoken}
            pieces.append((piece, spoken))
        if not related:
            return order
        records = list(related.values())
        is_dispensed = any(record.segments and is_certain(record) for record in records)
        is_all_told = self.is_all_told and is_dispensed
        return replace(
            order,
            segments=tuple(merged_neighbours([_on_these_days(*piece, is_all_told) for piece in pieces])),
            treats_depression=_use_beside(order, [r for r in records if not self._is_of_other_order(r)]),
            supported_by=(*order.supported_by, *(name for record in records for name in record.references)),
            dose_text="; ".join(filter(None, [order.dose_text, *_dose_told(order, records)])),
        )

    def _is_of_other_order(self, record: Prescription) -> bool:
        """Whether an order for another use is in force on days of the record: that use is then its own."""
        beside = [o for s in record.segments for o, _ in self.days_told.within(s.first_day, s.last_day)]
        return any(order.treats_depression.answer is Answer.NOT_MET for order in beside)

    # --- days of no order

    def _remaining(self, record: Prescription) -> Prescription | None:
        """The record on those of its days of which nothing else speaks; None where there are none."""
        if record.is_denial:
            return None
        beside = [pair for s in record.segments for pair in self.days_told.within(s.first_day, s.last_day)]
        related = list({o.reference: o for o in (*self._named_by(record), *(o for o, _ in beside))}.values())
        left = [
            piece
            for piece in cut(record.segments, [s for _, s in beside])
            if not self.days_told.within(piece.first_day, piece.last_day)
        ]
        if not left:
            return None
        return replace(
            record,
            segments=tuple(merged_neighbours([_with_ordered_dose(s, related) for s in left])),
            treats_depression=self._use_of(record, related),
            stop_reason=_stop_reason(record, related),
        )

    def _use_of(self, record: Prescription, related: Sequence[Prescription]) -> Finding:
        """Its own if it states one; else that of its orders; unknown if the drug is ordered for other uses only."""
        use = record.treats_depression
        if record.has_stated_use or use.answer is Answer.NOT_MET:
            return use
        if related:
            return related[0].treats_depression if _are_of_other_use(related) else use
        ordered = [order for order in self.told if order.source is Source.ORDERED]
        if not ordered or not _are_of_other_use(ordered):
            return use
        text = f"what it was for is not recorded; elsewhere: {ordered[0].treats_depression.text}"
        return Finding("use", Answer.UNKNOWN, text, (record.reference, ordered[0].reference))


def _are_of_other_use(orders: Iterable[Prescription]) -> bool:
    return all(order.treats_depression.answer is Answer.NOT_MET for order in orders)


def _use_beside(order: Prescription, records: Iterable[Prescription]) -> Finding:
    """The use of the order; unknown where it states none and a record of the same days tells another."""
    use = order.treats_depression
    if use.answer is not Answer.MET or order.has_stated_use:
        return use
    for record in records:
        other = record.treats_depression
        if other.answer is Answer.NOT_MET and not record.is_denial:
            text = f"the order states no reason, and {record.reference} tells: {other.text}"
            return replace(use, answer=Answer.UNKNOWN, text=text)
    return use


def _on_these_days(segment: DoseSegment, told: Sequence[Spoken], is_all_told: bool) -> DoseSegment:
    """One stretch of an order, with what others tell of it: `is_all_told` if what they leave out was not given.

    A statement of one day tells what may have been on the days around it, which says nothing against an order.
    """
    told = [pair for pair in told if not _is_around_what_is_stated(*pair)]
    if any(record.is_denial for record, _ in told):
        return replace(segment, days_certain=False)
    is_certain = segment.days_certain and not is_all_told
    if not told:
        return replace(segment, days_certain=is_certain)
    is_of_packs = any(record.has_derived_dose for record, _ in told)
    segment = _with_dose(segment, _dose_of(told), PACK_WITHIN if is_of_packs else SAME_WITHIN)
    return replace(segment, days_certain=is_certain or any(other.days_certain for _, other in told))


def _is_around_what_is_stated(record: Prescription, segment: DoseSegment) -> bool:
    is_stated = record.source is Source.STATED and not segment.days_certain
    return is_stated and any(other.days_certain for other in record.segments)


def _dose_of(told: Sequence[Spoken]) -> Range:
    """What records in force on the same days tell together: the newest dose to the sum of the distinct ones.

    Dispensings may be taken together; a newer statement takes the place of an older one. Those that are certain
    of the days decide, if there are any.
    """
    told = [(record, segment) for record, segment in told if segment.days_certain] or told
    if told[0][0].source is Source.STATED:
        newest = max(record.segments[0].first_day for record, _ in told)
        told = [(record, segment) for record, segment in told if record.segments[0].first_day == newest]
    doses = {(segment.low_mg, segment.high_mg) for _, segment in told}
    if len(doses) == 1:
        return doses.pop()
    begun = [record.segments[0].first_day for record, _ in told]
    lows = [segment.low_mg for (_, segment), day in zip(told, begun, strict=True) if day == max(begun)]
    low = None if None in lows else max(mg for mg in lows if mg is not None)
    highs = [high for _, high in doses]
    return low, None if None in highs else sum(mg for mg in highs if mg is not None)


def _with_dose(segment: DoseSegment, other: Range, within: float) -> DoseSegment:
    """The order's dose; where it is unknown, the other's; where they contradict each other, from one to the other."""
    low, high = other
    if segment.low_mg is None or segment.high_mg is None:
        return replace(segment, low_mg=low, high_mg=high)
    if low is None or high is None:
        return segment
    if high >= segment.low_mg * (1 - within) and low <= segment.high_mg * (1 + within):
        return segment
    return replace(segment, low_mg=min(segment.low_mg, low), high_mg=max(segment.high_mg, high))


def _dose_told(order: Prescription, related: Sequence[Prescription]) -> list[str]:
    """What the others say of a dose that the order leaves open."""
    if any(segment.low_mg is not None for segment in order.segments):
        return []
    known = [other for other in related if any(s.low_mg is not None for s in other.segments)]
    return list(
        dict.fromkeys(f"{other.source.value} ({other.reference}): {other.dose_text}" for other in known)
    )


def _with_ordered_dose(segment: DoseSegment, related: Sequence[Prescription]) -> DoseSegment:
    """Where the record names no dose, that of its order, if it has only one."""
    doses = {(s.low_mg, s.high_mg) for order in related for s in order.segments}
    if segment.low_mg is not None or len(doses) != 1:
        return segment
    ((low, high),) = doses
    return replace(segment, low_mg=low, high_mg=high)


def _stop_reason(record: Prescription, related: Sequence[Prescription]) -> StopReason:
    """Its own, or why the last of its orders ended: fills that last longer do not hide it."""
    if record.stop_reason is not StopReason.NONE_GIVEN or not related:
        return record.stop_reason
    last = max(related, key=lambda o: (o.segments[-1].last_day if o.segments else date.min, o.reference))
    return last.stop_reason
