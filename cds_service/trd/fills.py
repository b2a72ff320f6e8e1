"""Dispensings of one drug → when each was taken: in turn, up to the end of its order; and which days they cover.

A refill that came early begins when the last one ran out. What a fill would have lasted beyond the stated end
of its order is left over, and no sign of use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from cds_service.trd.days import days_between, shifted
from cds_service.trd.record import (
    DoseSegment,
    Prescription,
    Source,
    Supply,
)
from cds_service.trd.stretches import DaysTold, is_certain

# Nobody fetches the next supply before a quarter of the last is used; an import from two systems may say so.
TOO_SOON = 0.25
ROUNDING = 1e-9
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Fills:
    """Dispensings, each when the last of the same dose has run out. `twins` may be others recorded twice."""

    sure: tuple[Prescription, ...]
    twins: tuple[Prescription, ...]


@dataclass(frozen=True)
class Fill:
    """A dispensing, and the last day on which it can have been taken."""

    record: Prescription
    last_day: date


def up_to_stated_ends(fills: Sequence[Prescription], orders: Sequence[Prescription]) -> list[Fill]:
    """Each fill with the last day of its orders, and of those that follow on them, where these state their end."""
    if not orders:
        return [Fill(fill, date.max) for fill in fills]
    by_reference = {order.reference: order for order in orders}
    days = DaysTold(orders)
    return [_under_its_orders(fill, by_reference, days) for fill in fills]


def _under_its_orders(fill: Prescription, by_reference: Mapping[str, Prescription], days: DaysTold) -> Fill:
    handed_over = fill.authored or _handed_over(fill)[0]
    named = [by_reference[name] for name in fill.fulfils if name in by_reference]
    in_force = days.within(handed_over, handed_over)
    ordering = named or [order for order, _ in in_force]
    references = {order.reference for order in ordering}
    doses = {(s.low_mg, s.high_mg) for order, s in in_force if order.reference in references}
    return Fill(_with_length(fill, doses), _last_stated_day(ordering, handed_over, days))


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


def _last_stated_day(ordering: Sequence[Prescription], handed_over: date, days: DaysTold) -> date:
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
    """The last of the ends that orders state; `date.max` unless every one of them states its end."""
    ends = [order.stated_end or date.max for order in orders]
    return max(ends, default=date.max)


def in_turn(dispensings: Sequence[Fill], on: date) -> Fills:
    """Refills of the same dose that came before the last one ran out begin the day after it did.

    One of the same dose and length that came before a quarter of the last was used may be that one, recorded
    twice: the days that only it adds are not certain, and come when nothing else is left.
    """
    sure: list[Prescription] = []
    twins: list[Fill] = []
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
    return Fills(tuple(sure), tuple(_twins_in_turn(twins, ran_out, on)))


def _twins_in_turn(twins: Sequence[Fill], ran_out: Mapping[Range, date], on: date) -> Iterable[Prescription]:
    """Each after all that is sure, and after the others of the same order: one of another may be for another use."""
    of_order: dict[tuple[str, ...], dict[Range, date]] = {}
    for fill in twins:
        ran_out_of_order = of_order.setdefault(fill.record.fulfils, dict(ran_out))
        yield _perhaps(_moved(fill, ran_out_of_order, on))


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
    return len(record.segments) == 1 and is_certain(record)


def _moved(fill: Fill, ran_out: dict[Range, date], on: date) -> Prescription:
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


def supplies_of(
    fills: Fills, given: Sequence[Prescription], stated: Sequence[Prescription]
) -> tuple[Supply, ...]:
    """All that was dispensed of the drug and, where anything was, the days it was given or said to be taken.

    Nothing where the days of one dispensing are not known. Days that are only stated are not sure to be covered.
    """
    if not fills.sure or not all(map(is_certain, fills.sure)):
        return ()
    taken = [record for record in stated if not record.is_denial]
    sure = [(record, True) for record in (*fills.sure, *given)]
    return tuple(
        Supply(
            segment.first_day,
            segment.last_day,
            record.reference,
            is_sure,
            is_dispensed=record.source is Source.DISPENSED,
        )
        for record, is_sure in (*sure, *((record, False) for record in (*fills.twins, *taken)))
        for segment in record.segments
        if segment.days_certain or record.source is Source.DISPENSED
    )
