"""Orders that replace earlier ones (`priorPrescription`): the earlier one ends the day before the new one begins.

Only what is certain is applied. A reference that leads to no order at hand, to a later order or round in a
circle changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cds_service.fhir_reading.elements import Reference, read_elements
from cds_service.fhir_reading.indications import Find
from cds_service.trd.days import shifted
from cds_service.trd.record import DoseSegment, Prescription


@dataclass(frozen=True)
class ReadOrder:
    """A resource with what it was read as; None when it is no prescription."""

    resource: dict[str, Any]
    prescription: Prescription | None


def has_prior(resource: object) -> bool:
    """Whether a parsed order says that it replaces another; hardly any does."""
    return isinstance(resource, dict) and "priorPrescription" in resource


def with_replaced_ended(orders: Sequence[ReadOrder], find: Find) -> tuple[Prescription, ...]:
    """The prescriptions of all orders in their order, those that another replaces cut off at its first day."""
    prior = _prior_of(orders, find)
    prescriptions = [order.prescription for order in orders]
    for newer, earlier in prior.items():
        new, old = orders[newer].prescription, prescriptions[earlier]
        if new and old and not _leads_round(newer, prior):
            prescriptions[earlier] = _replaced(old, new)
    return tuple(prescription for prescription in prescriptions if prescription)


def _prior_of(orders: Sequence[ReadOrder], find: Find) -> dict[int, int]:
    """Which order replaces which, by their places."""
    place_of = {id(order.resource): at for at, order in enumerate(orders)}
    prior: dict[int, int] = {}
    for at, order in enumerate(orders):
        if not has_prior(order.resource):
            continue
        reference = read_elements(order.resource["priorPrescription"], Reference)[0].reference
        target = find(reference, order.resource) if reference else None
        if id(target) in place_of:
            prior[at] = place_of[id(target)]
    return prior


def _leads_round(start: int, prior: dict[int, int]) -> bool:
    seen, at = {start}, prior.get(start)
    while at is not None and at not in seen:
        seen.add(at)
        at = prior.get(at)
    return at is not None


def _replaced(old: Prescription, new: Prescription) -> Prescription:
    """The old order without the days from the first certain day of the new one on; those before it may have ended."""
    certain = next((segment.first_day for segment in new.segments if segment.days_certain), date.max)
    if not new.segments or not old.segments:
        return old
    possible = new.segments[0].first_day
    if possible < old.segments[0].first_day or old.segments[-1].last_day < possible:
        return old
    kept = tuple(_cut(old.segments, possible, certain))
    text = f"{old.days_text}; replaced from {possible} by {new.reference} (priorPrescription)"
    end = old.stated_end if certain == date.max else shifted(certain, -1)
    return replace(old, segments=kept, days_text=text, stated_end=end)


def _cut(segments: Iterable[DoseSegment], possible: date, certain: date) -> Iterable[DoseSegment]:
    """Days before `possible` as they are, those before `certain` as not certain, none after."""
    for segment in segments:
        if segment.first_day < possible:
            yield replace(segment, last_day=min(segment.last_day, shifted(possible, -1)))
        first, last = max(segment.first_day, possible), min(segment.last_day, shifted(certain, -1))
        if first <= last:
            yield replace(segment, first_day=first, last_day=last, days_certain=False)
