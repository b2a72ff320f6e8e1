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

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate, pairwise

from cds_service.trd.days import days_between, shifted
from cds_service.trd.model import (
    Answer,
    DoseSegment,
    Finding,
    Prescription,
    Source,
    StopReason,
    Supply,
    Unread,
)

SAME_WITHIN = 0.01
# Packs hold 28 tablets for a month of 30 days, or 100 for a quarter: only more than that contradicts an order.
PACK_WITHIN = 0.2
# Nobody fetches the next supply before a quarter of the last is used; an import from two systems may say so.
TOO_SOON = 0.25
ROUNDING = 1e-9
LATER_SOURCES = (Source.DISPENSED, Source.ADMINISTERED, Source.STATED)
Spoken = tuple[Prescription, DoseSegment]
Range = tuple[float | None, float | None]


def reconcile(
    prescriptions: Sequence[Prescription], on: date, *, knows_all_fills: bool
) -> tuple[Prescription, ...]:
    """The same uses with each day up to `on`, today, told once. Orders alone come back as they are.

    Where `knows_all_fills` is False, more may have been dispensed than is at hand: then nothing follows from
    days that no dispensing covers.
    """
    if all(record.source is Source.ORDERED for record in prescriptions):
        return tuple(prescriptions)
    by_agent: dict[str, list[Prescription]] = defaultdict(list)
    for record in prescriptions:
        by_agent[_agent(record)].append(record)
    return tuple(told for records in by_agent.values() for told in _told_once(records, on, knows_all_fills))


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


def _agent(record: Prescription) -> str:
    return record.drug.agent if record.drug else f"unidentified: {record.name}"


def _told_once(records: Sequence[Prescription], on: date, knows_all_fills: bool) -> list[Prescription]:
    """The records of one agent: those of each source beside all that went before."""
    by_source: dict[Source, list[Prescription]] = defaultdict(list)
    for record in records:
        by_source[record.source].append(record)
    fills = _in_turn(_up_to_stated_ends(by_source[Source.DISPENSED], by_source[Source.ORDERED]), on)
    by_source[Source.DISPENSED] = [*fills.sure, *fills.twins]
    told = by_source[Source.ORDERED]
    for source in LATER_SOURCES:
        if by_source[source]:
            is_all_told = source is Source.DISPENSED and knows_all_fills and all(map(_is_certain, fills.sure))
            told = _Stage(told, by_source[source], is_all_told).all_told()
    given, stated = by_source[Source.ADMINISTERED], by_source[Source.STATED]
    supplies = _supplies(fills, given, stated) if knows_all_fills else ()
    return [replace(record, supplies=supplies) for record in told] if supplies else told


# --- which record speaks on which days -------------------------------------------------------------------


class _Days:
    """Stretches of days with the records they are of, found by day without looking at all of them."""

    def __init__(self, records: Iterable[Prescription]) -> None:
        pairs = [(record, segment) for record in records for segment in record.segments]
        self._pairs = sorted(pairs, key=lambda pair: (pair[1].first_day, pair[1].last_day, pair[0].reference))
        self._first_days = [segment.first_day for _, segment in self._pairs]
        self._latest_so_far = list(accumulate((segment.last_day for _, segment in self._pairs), max))

    def within(self, first_day: date, last_day: date) -> list[Spoken]:
        """Those with a day from `first_day` to `last_day`, in order of their first day."""
        begin = bisect_left(self._latest_so_far, first_day)
        end = bisect_right(self._first_days, last_day)
        return [pair for pair in self._pairs[begin:end] if pair[1].last_day >= first_day]


class _Stage:
    """All that is told so far, and the records of the next source beside it."""

    def __init__(
        self, told: Sequence[Prescription], later: Sequence[Prescription], is_all_told: bool
    ) -> None:
        self.told, self.later, self.is_all_told = told, later, is_all_told
        self.by_reference = {order.reference: order for order in told}
        self.days_told, self.later_days = _Days(told), _Days(later)
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
        return not any(_overlap(s, piece) for other in named for s in other.segments)

    # --- an order and what speaks of the same days

    def _beside(self, order: Prescription) -> Prescription:
        """The order with its dose and days strengthened or contradicted by the records."""
        near = [pair for s in order.segments for pair in self.later_days.within(s.first_day, s.last_day)]
        others = {named.reference: named for record, _ in near for named in self._named_by(record)}
        edges = [s for _, s in near] + [s for other in others.values() for s in other.segments]
        related = {record.reference: record for record in self.naming[order.reference]}
        pieces: list[tuple[DoseSegment, list[Spoken]]] = []
        for piece in _cut(order.segments, edges):
            there = self.later_days.within(piece.first_day, piece.last_day)
            spoken = [pair for pair in there if self._speaks_of(pair[0], order, piece)]
            related |= {record.reference: record for record, _ in spoken}
            pieces.append((piece, spoken))
        if not related:
            return order
        records = list(related.values())
        is_dispensed = any(record.segments and _is_certain(record) for record in records)
        is_all_told = self.is_all_told and is_dispensed
        return replace(
            order,
            segments=tuple(_merged([_on_these_days(*piece, is_all_told) for piece in pieces])),
            treats_depression=_use_beside(order, [r for r in records if not self._is_of_other_order(r)]),
            supported_by=(*order.supported_by, *(name for record in records for name in record.references)),
            dose_text="; ".join([order.dose_text, *_dose_told(order, records)]),
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
            for piece in _cut(record.segments, [s for _, s in beside])
            if not self.days_told.within(piece.first_day, piece.last_day)
        ]
        if not left:
            return None
        return replace(
            record,
            segments=tuple(_merged([_with_ordered_dose(s, related) for s in left])),
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


def _overlap(one: DoseSegment, other: DoseSegment) -> bool:
    return one.first_day <= other.last_day and other.first_day <= one.last_day


def _is_certain(record: Prescription) -> bool:
    return all(segment.days_certain for segment in record.segments)


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
    """One stretch of an order, with what others tell of it: `is_all_told` if what they leave out was not given."""
    if any(record.is_denial for record, _ in told):
        return replace(segment, days_certain=False)
    is_certain = segment.days_certain and not is_all_told
    if not told:
        return replace(segment, days_certain=is_certain)
    is_of_packs = any(record.has_derived_dose for record, _ in told)
    segment = _with_dose(segment, _dose_of(told), PACK_WITHIN if is_of_packs else SAME_WITHIN)
    return replace(segment, days_certain=is_certain or any(other.days_certain for _, other in told))


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


# --- fills and supplies ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fills:
    """Dispensings, each when the last of the same dose has run out. `twins` may be others recorded twice."""

    sure: tuple[Prescription, ...]
    twins: tuple[Prescription, ...]


@dataclass(frozen=True)
class _Fill:
    """A dispensing, and the last day on which it can have been taken."""

    record: Prescription
    last_day: date


def _up_to_stated_ends(fills: Sequence[Prescription], orders: Sequence[Prescription]) -> list[_Fill]:
    """Each fill with the last day of its orders, and of those that follow on them, where these state their end."""
    if not orders:
        return [_Fill(fill, date.max) for fill in fills]
    by_reference = {order.reference: order for order in orders}
    days = _Days(orders)
    return [_under_its_orders(fill, by_reference, days) for fill in fills]


def _under_its_orders(fill: Prescription, by_reference: Mapping[str, Prescription], days: _Days) -> _Fill:
    handed_over = fill.authored or _handed_over(fill)[0]
    named = [by_reference[name] for name in fill.fulfils if name in by_reference]
    in_force = days.within(handed_over, handed_over)
    ordering = named or [order for order, _ in in_force]
    references = {order.reference for order in ordering}
    doses = {(s.low_mg, s.high_mg) for order, s in in_force if order.reference in references}
    return _Fill(_with_length(fill, doses), _last_stated_day(ordering, handed_over, days))


def _with_length(fill: Prescription, doses: Collection[Range]) -> Prescription:
    """A fill that tells how much and not for how long, at the dose that is ordered on the day it was handed over."""
    if fill.total_mg is None or len(fill.segments) != 1 or len(doses) != 1:
        return fill
    ((low, high),) = doses
    if not low or low != high or fill.total_mg < low:
        return fill
    (open_ended,) = fill.segments
    days = int(fill.total_mg / low + ROUNDING)
    last_day = min(open_ended.last_day, shifted(open_ended.first_day, days - 1))
    segment = replace(open_ended, last_day=last_day, low_mg=low, high_mg=high, days_certain=True)
    text = f"{fill.total_mg:g} mg at the {low:g} mg/day that are ordered last {days} days"
    return replace(fill, segments=(segment,), dose_text=text, days_text=f"{fill.days_text}; {text}")


def _last_stated_day(ordering: Sequence[Prescription], handed_over: date, days: _Days) -> date:
    last_day = _latest_end(ordering)
    if last_day < handed_over:
        return date.max
    while last_day < date.max:
        next_day = shifted(last_day, 1)
        following = [order for order, _ in days.within(next_day, next_day)]
        if not following:
            return last_day
        end = max(next_day, _latest_end(following))
        last_day = max(end, _latest_end([order for order, _ in days.within(next_day, end)]))
    return last_day


def _latest_end(orders: Sequence[Prescription]) -> date:
    """The last of the ends that orders state; no end where one of them, or none at all, states it."""
    ends = [order.stated_end or date.max for order in orders]
    return max(ends, default=date.max)


def _in_turn(dispensings: Sequence[_Fill], on: date) -> _Fills:
    """Refills of the same dose that came before the last one ran out begin the day after it did.

    One of the same dose and length that came before a quarter of the last was used may be that one, recorded
    twice: the days that only it adds are not certain, and come when nothing else is left.
    """
    sure: list[Prescription] = []
    twins: list[_Fill] = []
    last_of: dict[object, date] = {}
    ran_out: dict[Range, date] = {}
    for fill in sorted(dispensings, key=lambda fill: _handed_over(fill.record)):
        has_its_turn = _has_its_turn(fill.record)
        if has_its_turn and _is_too_soon(fill.record.segments[0], last_of):
            twins.append(fill)
            continue
        sure.append(_moved(fill, ran_out, on))
        if has_its_turn and sure[-1].segments:
            last_of[_likeness(fill.record.segments[0])] = fill.record.segments[0].first_day
    return _Fills(tuple(sure), tuple(_perhaps(_moved(fill, ran_out, on)) for fill in twins))


def _handed_over(record: Prescription) -> tuple[date, str]:
    return record.segments[0].first_day if record.segments else date.max, record.reference


def _is_too_soon(days: DoseSegment, last_of: Mapping[object, date]) -> bool:
    """Whether the last fill of this dose and length came just before."""
    last = last_of.get(_likeness(days))
    length = days_between(days.first_day, days.last_day)
    return last is not None and (days.first_day - last).days < TOO_SOON * length


def _likeness(days: DoseSegment) -> object:
    return days.low_mg, days.high_mg, days_between(days.first_day, days.last_day)


def _has_its_turn(record: Prescription) -> bool:
    return len(record.segments) == 1 and _is_certain(record)


def _moved(fill: _Fill, ran_out: dict[Range, date], on: date) -> Prescription:
    """The record from the day after the last of its dose ran out, up to `on`; notes when it will run out."""
    record, latest = fill.record, min(fill.last_day, on)
    if not _has_its_turn(record):
        kept = [
            replace(s, last_day=min(s.last_day, latest)) for s in record.segments if s.first_day <= latest
        ]
        return replace(record, segments=tuple(kept))
    (only,) = record.segments
    dose = only.low_mg, only.high_mg
    begin = max(only.first_day, shifted(ran_out.get(dose, date.min), 1))
    if begin > fill.last_day:
        return replace(record, segments=())
    last_day = shifted(begin, days_between(only.first_day, only.last_day) - 1)
    ran_out[dose] = min(last_day, fill.last_day)
    kept_days = replace(only, first_day=begin, last_day=min(ran_out[dose], on))
    return replace(record, segments=(kept_days,) if begin <= on else ())


def _perhaps(record: Prescription) -> Prescription:
    return replace(record, segments=tuple(replace(s, days_certain=False) for s in record.segments))


def _supplies(
    fills: _Fills, given: Sequence[Prescription], stated: Sequence[Prescription]
) -> tuple[Supply, ...]:
    """All that was dispensed of the drug and, where anything was, the days it was given or said to be taken.

    Nothing where the days of one dispensing are not known. Days that are only stated are not sure to be covered.
    """
    if not fills.sure or not all(map(_is_certain, fills.sure)):
        return ()
    taken = [record for record in stated if not record.is_denial]
    sure = [(record, True) for record in (*fills.sure, *given)]
    return tuple(
        Supply(segment.first_day, segment.last_day, record.reference, is_sure)
        for record, is_sure in (*sure, *((record, False) for record in (*fills.twins, *taken)))
        for segment in record.segments
        if segment.days_certain or record.source is Source.DISPENSED
    )


# --- stretches of days ---------------------------------------------------------------------------------


def _cut(segments: Iterable[DoseSegment], others: Iterable[DoseSegment]) -> list[DoseSegment]:
    """The segments, cut wherever one of the others begins or has ended."""
    edges = sorted({day for s in others for day in (s.first_day, shifted(s.last_day, 1))})
    return [piece for segment in segments for piece in _pieces(segment, edges)]


def _pieces(segment: DoseSegment, edges: Sequence[date]) -> Iterable[DoseSegment]:
    inside = edges[bisect_right(edges, segment.first_day) : bisect_right(edges, segment.last_day)]
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
