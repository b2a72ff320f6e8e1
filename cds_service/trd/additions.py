"""What was added to the antidepressants: augmenting agents, and a second antidepressant beside the first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from cds_service.trd.days import days_between, shifted
from cds_service.trd.model import (
    Answer,
    Definition,
    DoseSegment,
    Finding,
    History,
    JudgedTrial,
    Prescription,
    Trial,
    all_of,
)
from cds_service.trd.unread import orders_not_read, searches_not_read

Span = tuple[date, date]


def find_additions(
    history: History, trials: Sequence[JudgedTrial], definition: Definition, on: date
) -> tuple[Finding, ...]:
    """One finding for each agent that was added to a trial in scope, and for each pair combined, up to `on`.

    Met when its dose and days are certain and long enough beside the trial; unknown when they are not: the
    methods do not tell how much is enough. What never ran beside a trial is not among them.
    """
    beside = [t for t in trials if t.in_scope.answer is not Answer.NOT_MET and _treats(t.trial)]
    added = _augmentations(history, beside, definition, on)
    return (*added, *_combinations(beside, definition, on), *_hidden(history))


def _treats(trial: Trial) -> bool:
    return trial.use.answer is not Answer.NOT_MET


# --- augmenting agents --------------------------------------------------------------------------------


def _augmentations(
    history: History, beside: Sequence[JudgedTrial], definition: Definition, on: date
) -> Iterator[Finding]:
    by_agent: dict[str, list[Prescription]] = defaultdict(list)
    for order in history.add_ons:
        is_use = order.treats_depression.answer is not Answer.NOT_MET and not order.is_denial
        if is_use and (order.drug is None or order.drug.add_on is None or order.drug.add_on.counts):
            by_agent[order.agent].append(order)
    if not by_agent:
        return
    antidepressants, sure = _spans(_segments(beside), on), _spans(_sure_segments(beside), on)
    for orders in by_agent.values():
        finding = _augmentation(orders, antidepressants, sure, definition, on)
        if finding is not None:
            yield finding


def _augmentation(
    orders: Sequence[Prescription],
    antidepressants: Sequence[Span],
    sure_antidepressants: Sequence[Span],
    definition: Definition,
    on: date,
) -> Finding | None:
    """None where no day of it may have been beside a trial, or its dose was too low for certain."""
    drug = orders[0].drug
    minimum = drug.minimum_mg.get(definition.dose_column) if drug else None
    possible: list[DoseSegment] = []
    certain: list[DoseSegment] = []
    for order in orders:
        for segment in order.segments:
            if minimum is not None and segment.high_mg is not None and segment.high_mg < minimum:
                continue
            is_sure = minimum is not None and segment.low_mg is not None and segment.low_mg >= minimum
            is_sure = is_sure and segment.days_certain and order.treats_depression.answer is Answer.MET
            possible.append(segment)
            if is_sure:
                certain.append(segment)
    shared = _shared(_spans(possible, on), antidepressants)
    if not shared:
        return None
    days, sure_days = _days(shared), _days(_shared(_spans(certain, on), sure_antidepressants))
    least = drug.add_on.minimum_days if drug and drug.add_on else None
    is_enough = least is not None and sure_days >= least
    first, last = shared[0][0], shared[-1][1]
    text = f"{orders[0].name} beside an antidepressant on {days} days, {first} to {last}"
    if not is_enough:
        needed = (
            f"{sure_days} of {least} days at an adequate dose are certain"
            if least
            else "how long is not told"
        )
        text += f": {needed}"
    evidence = tuple(dict.fromkeys(ref for order in orders for ref in order.references))
    return Finding("augmentation", Answer.MET if is_enough else Answer.UNKNOWN, text, evidence)


def _segments(trials: Sequence[JudgedTrial]) -> list[DoseSegment]:
    return [segment for judged in trials for segment in judged.trial.exposure.segments]


def _sure_segments(trials: Sequence[JudgedTrial]) -> list[DoseSegment]:
    """The days on which an antidepressant was taken in scope for certain."""
    sure = [
        t for t in trials if all_of((t.in_scope.answer, t.trial.use.answer)) is Answer.MET and t.trial.drug
    ]
    return [segment for segment in _segments(sure) if segment.days_certain]


# --- combinations -------------------------------------------------------------------------------------


def _combinations(beside: Sequence[JudgedTrial], definition: Definition, on: date) -> Iterable[Finding]:
    """Two antidepressants at a time, for longer than a cross-taper; a drug that is not identified may be one."""
    longest: dict[frozenset[str], Finding] = {}
    for one, other in _at_a_time(beside):
        if _agent(one.trial) == _agent(other.trial):
            continue
        finding = _combination(one, other, definition, on)
        pair = frozenset((_agent(one.trial), _agent(other.trial)))
        if finding and (pair not in longest or finding.answer is Answer.MET):
            longest[pair] = finding
    return longest.values()


def _at_a_time(beside: Sequence[JudgedTrial]) -> Iterator[tuple[JudgedTrial, JudgedTrial]]:
    """Each pair of trials whose days may overlap."""
    ordered = sorted(beside, key=lambda t: t.trial.exposure.first_day)
    for number, one in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if other.trial.exposure.first_day > one.trial.exposure.last_day:
                break
            yield one, other


def _combination(one: JudgedTrial, other: JudgedTrial, definition: Definition, on: date) -> Finding | None:
    overlap = _shared(_spans(_segments([one]), on), _spans(_segments([other]), on))
    is_unidentified = one.trial.drug is None or other.trial.drug is None
    days = _days(overlap)
    if not days or (days <= definition.cross_taper_days and not is_unidentified):
        return None
    if Answer.NOT_MET in (one.trial.dose.answer, other.trial.dose.answer):
        return None
    sure = _days(_shared(_spans(_sure_segments([one]), on), _spans(_sure_segments([other]), on)))
    findings = (one.trial.dose, other.trial.dose)
    is_sure = sure > definition.cross_taper_days and all_of(f.answer for f in findings) is Answer.MET
    text = f"{one.trial.name or 'unnamed drug'} with {other.trial.name or 'unnamed drug'} on {days} days"
    if not is_sure:
        text += ": dose, days or drug are not certain"
    evidence = tuple(dict.fromkeys((*one.trial.exposure.evidence, *other.trial.exposure.evidence)))
    return Finding("combination", Answer.MET if is_sure else Answer.UNKNOWN, text, evidence)


def _agent(trial: Trial) -> str:
    return trial.drug.agent if trial.drug else f"unidentified: {trial.name}"


# --- what could not be read ---------------------------------------------------------------------------


def _hidden(history: History) -> Iterator[Finding]:
    hidden = (*sorted(orders_not_read(history)), *sorted(searches_not_read(history)))
    if hidden:
        text = "an order that could not be read may have been added"
        yield Finding("augmentation", Answer.UNKNOWN, text, hidden)


# --- days ---------------------------------------------------------------------------------------------


def _spans(segments: Iterable[DoseSegment], on: date) -> list[Span]:
    """The days of the segments that have come."""
    return [(s.first_day, min(s.last_day, on)) for s in segments if s.first_day <= on]


def _shared(some: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """The days that lie in both, in order and each once."""
    shared: list[Span] = []
    left, right = _merged(some), _merged(others)
    at = other = 0
    while at < len(left) and other < len(right):
        first, last = max(left[at][0], right[other][0]), min(left[at][1], right[other][1])
        if first <= last:
            shared.append((first, last))
        if left[at][1] < right[other][1]:
            at += 1
        else:
            other += 1
    return shared


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The same days as spans that neither overlap nor touch, in order."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= shifted(merged[-1][1], 1):
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _days(spans: Iterable[Span]) -> int:
    """How many days lie in these spans, which do not overlap."""
    return sum(days_between(first, last) for first, last in spans)
