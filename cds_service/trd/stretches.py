"""Stretches of days with a dose: which of many lie on some days, where they are cut, and which are one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from itertools import accumulate, pairwise

from cds_service.trd.days import shifted
from cds_service.trd.record import DoseSegment, Prescription

Spoken = tuple[Prescription, DoseSegment]


class DaysTold:
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


def overlap(one: DoseSegment, other: DoseSegment) -> bool:
    return one.first_day <= other.last_day and other.first_day <= one.last_day


def is_certain(record: Prescription) -> bool:
    return all(segment.days_certain for segment in record.segments)


def cut(segments: Iterable[DoseSegment], others: Iterable[DoseSegment]) -> list[DoseSegment]:
    """The segments, cut wherever one of the others begins or has ended."""
    edges = sorted({day for s in others for day in (s.first_day, shifted(s.last_day, 1))})
    return [piece for segment in segments for piece in _pieces(segment, edges)]


def _pieces(segment: DoseSegment, edges: Sequence[date]) -> Iterable[DoseSegment]:
    inside = edges[bisect_right(edges, segment.first_day) : bisect_right(edges, segment.last_day)]
    for first_day, next_day in pairwise([segment.first_day, *inside, shifted(segment.last_day, 1)]):
        yield replace(segment, first_day=first_day, last_day=shifted(next_day, -1))


def merged_neighbours(segments: Sequence[DoseSegment]) -> list[DoseSegment]:
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
