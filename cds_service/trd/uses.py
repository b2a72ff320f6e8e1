"""The days on which each drug was or may have been taken, and those ahead on which it is ordered.

The record is read up to today. Whether an order that runs today goes on is known only where it names its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from cds_service.trd.overlap import Stretch, joined
from cds_service.trd.record import DoseSegment, Drug, Prescription, StopReason


@dataclass(frozen=True)
class Use:
    """All days on which a drug is or may be taken, and those that are certain; each in order, without overlap.

    A stretch that ends on `date.max` has no known end.
    """

    drug: Drug
    possible: tuple[Stretch, ...]
    certain: tuple[Stretch, ...]
    evidence: tuple[str, ...]


def uses_up_to(orders: Iterable[Prescription], on: date) -> tuple[Use, ...]:
    """What was taken up to the day `on`, by agent; what a record denies or does not identify is left out."""
    return _by_agent(
        (drug, order, (segment.first_day, min(segment.last_day, on)), segment.days_certain)
        for drug, order in _known(orders)
        for segment in order.segments
        if segment.first_day <= on
    )


def uses_ahead(orders: Iterable[Prescription], on: date) -> tuple[Use, ...]:
    """As `uses_up_to`, and the days after `on`: up to the end that the order names, else perhaps for ever."""
    return _by_agent(
        (drug, order, stretch, is_certain)
        for drug, order in _known(orders)
        for stretch, is_certain in (*_as_read(order), *_going_on(order, on))
    )


def use_as_drafted(draft: Prescription, drug: Drug, on: date) -> Use:
    """The days of an order that is not signed yet: none before `on`, and perhaps for ever where no end is told."""
    read = [(s.first_day, s.last_day) for s in draft.segments if on <= s.last_day >= s.first_day]
    first_day = max(on, min((s.first_day for s in draft.segments), default=on))
    certain = joined((max(first, on), last) for first, last in read) or ((first_day, first_day),)
    has_end = certain[-1][1] > first_day
    possible = certain if has_end else joined((*certain, (first_day, date.max)))
    return Use(drug, possible, certain, draft.references)


def _known(orders: Iterable[Prescription]) -> Iterator[tuple[Drug, Prescription]]:
    return ((order.drug, order) for order in orders if order.drug is not None and not order.is_denial)


def _as_read(order: Prescription) -> Iterator[tuple[Stretch, bool]]:
    for segment in order.segments:
        if segment.first_day <= segment.last_day:
            yield (segment.first_day, segment.last_day), segment.days_certain


def _going_on(order: Prescription, on: date) -> Iterator[tuple[Stretch, bool]]:
    """The days after today of an order that runs today for certain."""
    last = max(order.segments, key=_by_end, default=None)
    if last is None or last.last_day != on or not last.days_certain:
        return
    if order.stated_end is not None:
        if order.stated_end > on:
            yield (on, order.stated_end), True
    elif order.stop_reason is StopReason.NONE_GIVEN:
        yield (on, date.max), False


def _by_end(segment: DoseSegment) -> tuple[date, bool]:
    return segment.last_day, segment.days_certain


def _by_agent(days: Iterable[tuple[Drug, Prescription, Stretch, bool]]) -> tuple[Use, ...]:
    possible: dict[str, list[Stretch]] = defaultdict(list)
    certain: dict[str, list[Stretch]] = defaultdict(list)
    evidence: dict[str, list[str]] = defaultdict(list)
    drugs: dict[str, Drug] = {}
    for drug, order, stretch, is_certain in days:
        agent = drug.agent
        drugs.setdefault(agent, drug)
        possible[agent].append(stretch)
        evidence[agent] += order.references
        if is_certain:
            certain[agent].append(stretch)
    return tuple(
        Use(drug, joined(possible[agent]), joined(certain[agent]), tuple(dict.fromkeys(evidence[agent])))
        for agent, drug in drugs.items()
    )
