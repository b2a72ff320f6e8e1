"""Prescriptions → exposures: when separate orders are one continuous use of a drug, and at which dose.

Orders of one agent that overlap count once. Where their doses differ, the newest order may have
replaced the others or been added to them, so such days carry a range: the newest dose to the sum of
the distinct ones. A gap of at most `max_gap_days` days without any order keeps one exposure.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

from cds_service.trd.answers import Answer
from cds_service.trd.days import shifted, uncovered_days
from cds_service.trd.model import Exposure
from cds_service.trd.record import DoseSegment, Drug, Prescription


def build_exposures(prescriptions: Sequence[Prescription], max_gap_days: int) -> tuple[Exposure, ...]:
    """All exposures, in order of their first day.

    Orders whose use cannot form a trial (as needed, for pain, ...) never join those that can. Orders
    whose use is unknown join, but their days are uncertain then. Orders of an unidentified drug join
    only orders that call the drug by the same name.
    """
    groups: dict[tuple[str, bool], list[Prescription]] = defaultdict(list)
    for prescription in prescriptions:
        if prescription.segments:
            can_be_trial = prescription.treats_depression.answer is not Answer.NOT_MET
            groups[prescription.agent, can_be_trial].append(prescription)
    exposures = [
        exposure for orders in groups.values() for exposure in _exposures_of_one_agent(orders, max_gap_days)
    ]
    return tuple(
        sorted(exposures, key=lambda exposure: (exposure.first_day, exposure.name, exposure.evidence))
    )


def _exposures_of_one_agent(orders: list[Prescription], max_gap_days: int) -> Iterable[Exposure]:
    drug, name = _drug_and_name(orders)
    run: list[DoseSegment] = []
    for segment in _without_overlap(_layers(orders)):
        if run and uncovered_days(run[-1].last_day, segment.first_day) > max_gap_days:
            yield _exposure(drug, name, run, orders)
            run = []
        run.append(segment)
    if run:
        yield _exposure(drug, name, run, orders)


def _drug_and_name(orders: list[Prescription]) -> tuple[Drug | None, str]:
    newest = max(orders, key=lambda order: (order.segments[-1].last_day, order.reference))
    return newest.drug, newest.drug.ingredient if newest.drug else newest.name


def _exposure(drug: Drug | None, name: str, run: list[DoseSegment], orders: list[Prescription]) -> Exposure:
    first_day, last_day = run[0].first_day, run[-1].last_day
    members = [
        order
        for order in orders
        if any(s.first_day <= last_day and s.last_day >= first_day for s in order.segments)
    ]
    members.sort(key=lambda order: (order.segments[0].first_day, order.reference))
    return Exposure(drug, name, tuple(run), tuple(members))


@dataclass(frozen=True)
class _Layer:
    """One dose segment of one order; `rank` is larger for the newer order, then for the larger dose."""

    segment: DoseSegment
    rank: tuple[date, date, float]


def _layers(orders: list[Prescription]) -> list[_Layer]:
    mixed_use = len({order.treats_depression.answer for order in orders}) > 1
    layers = []
    for order in orders:
        doubtful = mixed_use and order.treats_depression.answer is Answer.UNKNOWN
        earlier: DoseSegment | None = None
        since = date.min
        for segment in order.segments:
            if segment.last_day < segment.first_day:
                continue
            if earlier is None or not _is_same_dose(earlier, segment):
                since = segment.first_day
            earlier = segment
            kept = replace(segment, days_certain=False) if doubtful else segment
            rank = (since, order.authored or since, segment.low_mg or 0.0)
            layers.append(_Layer(kept, rank))
    return layers


def _is_same_dose(earlier: DoseSegment, later: DoseSegment) -> bool:
    """Whether one dose goes on, though its days may have become doubtful: then it is no newer than before."""
    return (
        shifted(earlier.last_day, 1) == later.first_day
        and (earlier.low_mg, earlier.high_mg) == (later.low_mg, later.high_mg)
    )  # fmt: skip


def _without_overlap(layers: list[_Layer]) -> Iterable[DoseSegment]:
    """The same days as consecutive, non-overlapping segments, neighbours with equal dose merged."""
    if len(layers) == 1:
        yield layers[0].segment
        return
    pending: DoseSegment | None = None
    for segment in _sweep(layers):
        if pending and _continues(pending, segment):
            pending = replace(pending, last_day=segment.last_day)
            continue
        if pending:
            yield pending
        pending = segment
    if pending:
        yield pending


def _continues(earlier: DoseSegment, later: DoseSegment) -> bool:
    return _is_same_dose(earlier, later) and earlier.days_certain == later.days_certain


def _sweep(layers: list[_Layer]) -> Iterable[DoseSegment]:
    """Walk over the days on which any order begins or has ended, keeping the orders in force."""
    starts = sorted(layers, key=lambda layer: layer.segment.first_day)
    days = sorted(
        {layer.segment.first_day for layer in layers}
        | {shifted(layer.segment.last_day, 1) for layer in layers}
    )
    in_force = _InForce()
    begun = 0
    for day, next_day in pairwise(days):
        while begun < len(starts) and starts[begun].segment.first_day <= day:
            in_force.add(starts[begun])
            begun += 1
        in_force.drop_ended_before(day)
        if in_force:
            yield in_force.dose_on(day, shifted(next_day, -1))


class _InForce:
    """The layers that cover the current day. Each is added and dropped once, so a sweep is n log n."""

    def __init__(self) -> None:
        self._by_end: list[tuple[date, int, _Layer]] = []
        self._newest: dict[bool, list[tuple[tuple[int, int, float], int, _Layer]]] = {True: [], False: []}
        self._doses: dict[tuple[float | None, float | None], int] = defaultdict(int)
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._by_end)

    def add(self, layer: _Layer) -> None:
        self._added += 1
        segment = layer.segment
        newest_first = (-layer.rank[0].toordinal(), -layer.rank[1].toordinal(), -layer.rank[2])
        heapq.heappush(self._by_end, (segment.last_day, self._added, layer))
        heapq.heappush(self._newest[segment.days_certain], (newest_first, self._added, layer))
        self._doses[segment.low_mg, segment.high_mg] += 1

    def drop_ended_before(self, day: date) -> None:
        while self._by_end and self._by_end[0][0] < day:
            segment = heapq.heappop(self._by_end)[2].segment
            dose = segment.low_mg, segment.high_mg
            self._doses[dose] -= 1
            if not self._doses[dose]:
                del self._doses[dose]
        for heap in self._newest.values():
            while heap and heap[0][2].segment.last_day < day:
                heapq.heappop(heap)

    def dose_on(self, first_day: date, last_day: date) -> DoseSegment:
        certain, doubtful = self._newest[True], self._newest[False]
        is_certain = bool(certain)
        if len(self._doses) == 1:
            ((low, high),) = self._doses
        else:
            candidates = [heap[0][2] for heap in (certain, doubtful) if heap]
            if certain and doubtful and doubtful[0][2].rank < certain[0][2].rank:
                candidates = [certain[0][2]]
            low, high = self._range_over(candidates)
        return DoseSegment(first_day, last_day, low, high, is_certain)

    def _range_over(self, newest: list[_Layer]) -> tuple[float | None, float | None]:
        lows = [layer.segment.low_mg for layer in newest]
        low = None if None in lows else min(low for low in lows if low is not None)
        highs = [high for _, high in self._doses]
        high = None if None in highs else sum(high for high in highs if high is not None)
        return low, high
