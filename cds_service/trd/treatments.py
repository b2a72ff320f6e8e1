"""Definitions of registers and claims: distinct treatments within a window, whatever their dose or effect.

Every antidepressant on record counts, also in a low dose for sleep, for pain or as needed: such
definitions see that a drug was used, not what for. Uses of one agent no more than the allowed gap apart
are one. What may or may not have been taken counts towards the most that is possible only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from functools import cached_property
from itertools import accumulate, chain

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import days_between, shifted, uncovered_days
from cds_service.trd.parameters import Definition, TreatmentRule, WindowEnd
from cds_service.trd.record import (
    History,
    Prescription,
    Procedure,
    Topic,
)
from cds_service.trd.unread import add_ons_not_read, orders_not_read, searches_not_read, unread_about

ADD_ON_IS_ENOUGH = "an add-on is enough"
"""How the clause ends that tells of the rule for add-ons."""

MOST_NAMED = 8
"""So many uses of one kind are named in the text, the others only counted."""


def judge_treatments(history: History, definition: Definition, on: date) -> tuple[Finding, int, int]:
    """Whether there were enough treatments, and how many: at least, at most. `on` is today.

    A use counts where a day of it lies in the window: one that ended exactly `window_days` ago still does.
    Its length is that of the whole use, also of what lies outside the window.
    """
    rule = definition.treatments
    if rule is None:
        return Finding("treatments", Answer.UNKNOWN, "the definition does not say what it counts"), 0, 0
    uses = _uses(history, rule, definition.max_gap_days, on)
    not_read = orders_not_read(history) | (add_ons_not_read(history) if rule.add_ons else set())
    hidden = _Hidden(len(not_read) + _procedures_not_read(history, rule), bool(searches_not_read(history)))
    sure = _surely_counted(uses, hidden, rule, on)
    # Where nothing is in doubt, what may count is what counts.
    is_beyond_doubt = uses.are_certain and not hidden
    possible = sure if is_beyond_doubt else _possibly_counted(uses, hidden, rule, on)
    counts = _Counts(rule, uses, hidden, sure, possible)
    evidence = tuple(dict.fromkeys(reference for use in counts.shown for reference in use.evidence))
    finding = Finding("treatments", counts.answer, _text(counts, on), evidence)
    return finding, counts.at_least, counts.at_most


def _procedures_not_read(history: History, rule: TreatmentRule) -> int:
    """As many as there are kinds that count: what could not be read may have been one of each."""
    return len(rule.procedures_count) if unread_about(history, Topic.PROCEDURE) else 0


# --- uses ----------------------------------------------------------------------------------------------


class _Kind(Enum):
    ANTIDEPRESSANT = "antidepressant"
    ADD_ON = "add-on"
    PROCEDURE = "procedure"
    UNIDENTIFIED = "unidentified"  # could be any antidepressant or add-on


_KINDS_IN_ORDER = tuple(_Kind)


@dataclass(frozen=True)
class _Stretch:
    """Days on which an agent was used, or may have been."""

    agent: str
    kind: _Kind
    first_day: date
    last_day: date
    is_certain: bool
    reference: str
    has_days: bool = True


@dataclass(frozen=True)
class _Use:
    """The use of one agent without a longer break. `days` leaves out those of bridged gaps.

    It started on some day from `earliest_start` to `latest_start`; they differ where days are not certain.
    `has_days` is False for a procedure whose days are not recorded.
    """

    agent: str
    kind: _Kind
    first_day: date
    last_day: date
    days: int
    earliest_start: date
    latest_start: date
    evidence: tuple[str, ...]
    has_days: bool = True

    @property
    def words(self) -> str:
        if not self.has_days:
            return f"{self.agent} on an unrecorded day"
        if self.first_day == date.min:
            return f"{self.agent} until {self.last_day}"
        days = "1 day" if self.days == 1 else f"{self.days} days"
        when = f"{self.first_day}" if self.days == 1 else f"{self.first_day} to {self.last_day}"
        return f"{self.agent} {days} {when}"


@dataclass(frozen=True)
class _Uses:
    """What was used for certain, and all that may have been; the certain uses are parts of the possible ones.

    `short` are those that are possible and too short to count. `unclear_neighbours` are a drug that is not identified
    and an agent, one of them too short, that may be one use: they are no more than the allowed gap apart.
    """

    certain: tuple[_Use, ...]
    possible: tuple[_Use, ...]
    short: tuple[_Use, ...]
    first_start: tuple[date, date] | None
    unclear_neighbours: tuple[tuple[str, str], ...]

    @property
    def are_certain(self) -> bool:
        """Whether no use is in doubt, neither those that are long enough nor when the first began."""
        is_start_known = self.first_start is None or self.first_start[0] == self.first_start[1]
        return self.certain == self.possible and is_start_known and not self.unclear_neighbours


@dataclass(frozen=True)
class _Hidden:
    """What could not be read: single records, each perhaps a treatment, and searches with any number of them."""

    orders: int
    any_number: bool

    def __bool__(self) -> bool:
        return bool(self.orders) or self.any_number


def _uses(history: History, rule: TreatmentRule, max_gap_days: int, on: date) -> _Uses:
    by_agent: dict[str, list[_Stretch]] = defaultdict(list)
    for stretch in _stretches(history, rule, on):
        by_agent[stretch.agent].append(stretch)
    certain: list[_Use] = []
    possible: list[_Use] = []
    for stretches in by_agent.values():
        for run in _runs(stretches, max_gap_days):
            whole = _use(run)
            if all(stretch.is_certain for stretch in run):
                certain.append(whole)
                possible.append(whole)
                continue
            sure = [_use(part) for part in _runs([s for s in run if s.is_certain], max_gap_days)]
            certain += [replace(use, earliest_start=whole.first_day) for use in sure]
            possible.append(replace(whole, latest_start=_latest_start(whole, sure, max_gap_days)))
    short = tuple(use for use in possible if not _is_long_enough(use, rule))
    return _Uses(
        certain=tuple(use for use in certain if _is_long_enough(use, rule)),
        possible=tuple(use for use in possible if _is_long_enough(use, rule)),
        short=short,
        first_start=_first_start(certain, possible, on),
        unclear_neighbours=tuple(_unclear_neighbours(possible, rule, max_gap_days)) if short else (),
    )


def _stretches(history: History, rule: TreatmentRule, on: date) -> Iterator[_Stretch]:
    for order in history.prescriptions:
        yield from _of_drug(order, _Kind.ANTIDEPRESSANT, on)
    for order in history.add_ons:
        if rule.add_ons and (order.drug is None or _is_named(order, rule.add_ons)):
            yield from _of_drug(order, _Kind.ADD_ON, on)
    for procedure in history.procedures:
        if procedure.kind in rule.procedures_count and procedure.holds is not Answer.NOT_MET:
            yield from _of_procedure(procedure, on)


def _is_named(order: Prescription, add_ons: Collection[str]) -> bool:
    return order.drug is not None and (order.drug.agent in add_ons or order.drug.drug_class in add_ons)


def _of_drug(order: Prescription, kind: _Kind, on: date) -> Iterator[_Stretch]:
    """The days up to today. Those of a drug that is not identified are never certain."""
    if order.drug is None:
        kind = _Kind.UNIDENTIFIED
    for segment in order.segments:
        last_day = min(segment.last_day, on)
        if segment.first_day <= last_day:
            is_certain = segment.days_certain and kind is not _Kind.UNIDENTIFIED
            yield _Stretch(order.agent, kind, segment.first_day, last_day, is_certain, order.reference)


def _of_procedure(procedure: Procedure, on: date) -> Iterator[_Stretch]:
    """The recorded days. Where only one end is, that day is certain, and those on the side left open are not."""
    first_day, last_day = procedure.first_day, procedure.last_day
    kind, agent, reference = _Kind.PROCEDURE, procedure.kind.value, procedure.reference
    earliest, latest = first_day or date.min, min(last_day or on, on)
    if earliest > latest:
        return
    known = [day for day in (first_day, last_day) if day is not None]
    yield _Stretch(agent, kind, earliest, latest, False, reference, bool(known))
    if procedure.holds is Answer.MET and known and known[0] <= on:
        yield _Stretch(agent, kind, known[0], min(known[-1], on), True, reference)


def _runs(stretches: Iterable[_Stretch], max_gap_days: int) -> list[list[_Stretch]]:
    """Those no more than the allowed gap apart together, in order of their first day."""
    runs: list[list[_Stretch]] = []
    last_day = date.min
    for stretch in sorted(stretches, key=lambda s: (s.first_day, s.last_day, s.reference)):
        if runs and uncovered_days(last_day, stretch.first_day) <= max_gap_days:
            runs[-1].append(stretch)
            last_day = max(last_day, stretch.last_day)
        else:
            runs.append([stretch])
            last_day = stretch.last_day
    return runs


def _use(run: Sequence[_Stretch]) -> _Use:
    days, last_day = 0, None
    for stretch in run:
        first_day = stretch.first_day if last_day is None else max(stretch.first_day, shifted(last_day, 1))
        days += max(0, days_between(first_day, stretch.last_day))
        last_day = stretch.last_day if last_day is None else max(last_day, stretch.last_day)
    first = run[0]
    return _Use(
        agent=first.agent,
        kind=min((s.kind for s in run), key=_KINDS_IN_ORDER.index),
        first_day=first.first_day,
        last_day=last_day or first.last_day,
        days=days,
        earliest_start=first.first_day,
        latest_start=first.first_day,
        evidence=tuple(dict.fromkeys(s.reference for s in run)),
        has_days=any(s.has_days for s in run),
    )


def _latest_start(whole: _Use, sure: Sequence[_Use], max_gap_days: int) -> date:
    """The last day on which a use may have begun anew, if the days that are not certain were not taken."""
    if not sure or uncovered_days(sure[-1].last_day, whole.last_day) > max_gap_days:
        return whole.last_day
    return sure[-1].first_day


def _is_long_enough(use: _Use, rule: TreatmentRule) -> bool:
    """Exactly the minimum is enough. A procedure has no length to reach."""
    return use.kind is _Kind.PROCEDURE or use.days >= rule.minimum_days


def _unclear_neighbours(
    possible: Sequence[_Use], rule: TreatmentRule, max_gap_days: int
) -> Iterator[tuple[str, str]]:
    drugs = _ByDay(use for use in possible if use.kind in (_Kind.ANTIDEPRESSANT, _Kind.ADD_ON))
    near = max_gap_days + 1
    for unclear in (use for use in possible if use.kind is _Kind.UNIDENTIFIED):
        for use in drugs.within(shifted(unclear.first_day, -near), shifted(unclear.last_day, near)):
            if not (_is_long_enough(unclear, rule) and _is_long_enough(use, rule)):
                yield unclear.agent, use.agent


def _first_start(certain: Iterable[_Use], possible: Iterable[_Use], on: date) -> tuple[date, date] | None:
    """Between which days the first antidepressant on record was started; None when there is none."""
    drugs = (_Kind.ANTIDEPRESSANT, _Kind.UNIDENTIFIED)
    earliest = min((use.first_day for use in possible if use.kind in drugs), default=None)
    if earliest is None:
        return None
    latest = min((use.first_day for use in certain if use.kind is _Kind.ANTIDEPRESSANT), default=on)
    return earliest, latest


# --- windows -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Window:
    """Days in which a use counts. The anchor of a window may be uncertain: a use is surely in it that has a day
    from `core_first` to `core_last`, and possibly one that has a day from `outer_first` to `outer_last`."""

    core_first: date
    core_last: date
    outer_first: date
    outer_last: date


def _window_from(earliest: date, latest: date, rule: TreatmentRule) -> _Window:
    """The window that begins on some day from `earliest` to `latest`."""
    length = rule.window_days
    return _Window(latest, shifted(earliest, length), earliest, shifted(latest, length))


def _window_before(use: _Use, rule: TreatmentRule, with_that_day: bool) -> _Window:
    """The window up to the start of a use, with that day itself or up to the day before."""
    earliest, latest, back = use.earliest_start, use.latest_start, -rule.window_days
    until = 0 if with_that_day else -1
    return _Window(
        shifted(latest, back), shifted(earliest, until), shifted(earliest, back), shifted(latest, until)
    )


def _window_up_to(on: date, rule: TreatmentRule) -> _Window:
    first_day = shifted(on, -rule.window_days)
    return _Window(first_day, on, first_day, on)


@dataclass(frozen=True)
class _Counted:
    """One use of each agent that was counted together.

    `number` tells how many of them are among those `needed`. `is_enough` tells that they are
    enough by the rule for add-ons.
    """

    number: int = 0
    uses: tuple[_Use, ...] = ()
    is_enough: bool = False


@dataclass(frozen=True)
class _Counts:
    """What was counted by a rule, for certain and at most."""

    rule: TreatmentRule
    uses: _Uses
    hidden: _Hidden
    sure: _Counted
    possible: _Counted

    @property
    def at_least(self) -> int:
        return self.sure.number

    @cached_property
    def at_most(self) -> int:
        most = max(self.at_least, self.possible.number + self.hidden.orders)
        return max(most, self.rule.needed) if self.hidden.any_number else most

    @cached_property
    def answer(self) -> Answer:
        if self.at_least >= self.rule.needed or self.sure.is_enough:
            return Answer.MET
        can_be_enough = self.at_most >= self.rule.needed or self.possible.is_enough
        return Answer.UNKNOWN if can_be_enough else Answer.NOT_MET

    @property
    def shown(self) -> tuple[_Use, ...]:
        return self.sure.uses if self.answer is Answer.MET else self.possible.uses


class _ByDay:
    """Uses found by day without looking at all of them."""

    def __init__(self, uses: Iterable[_Use]) -> None:
        self._uses = sorted(uses, key=lambda use: (use.first_day, use.last_day, use.agent))
        self._first_days = [use.first_day for use in self._uses]
        self._latest_so_far = list(accumulate((use.last_day for use in self._uses), max))

    def __iter__(self) -> Iterator[_Use]:
        return iter(self._uses)

    def within(self, first_day: date, last_day: date) -> list[_Use]:
        """Those with a day on or before `last_day` and one on or after `first_day`."""
        begin = bisect_left(self._latest_so_far, first_day)
        end = bisect_right(self._first_days, last_day)
        return [use for use in self._uses[begin:end] if use.last_day >= first_day]


def _surely_counted(uses: _Uses, hidden: _Hidden, rule: TreatmentRule, on: date) -> _Counted:
    """The treatments that are certain to lie in one window."""
    certain = _ByDay(uses.certain)
    if rule.window_end is WindowEnd.LAST_START:
        windows = ((use, _window_before(use, rule, _completes_as_add_on(use, rule))) for use in certain)
        counts = (
            _count([use, *certain.within(window.core_first, window.core_last)], use, rule)
            for use, window in windows
        )
        return _most(counts, rule)
    window = _fixed_window(uses, hidden, rule, on)
    return _count(certain.within(window.core_first, window.core_last), None, rule) if window else _Counted()


def _possibly_counted(uses: _Uses, hidden: _Hidden, rule: TreatmentRule, on: date) -> _Counted:
    """The treatments that the record allows to lie in one window, those that could not be read left out.

    One of those may have started after the others: then it does not matter which of these started last.
    """
    counted = _most_possible(uses, hidden, rule, on)
    return replace(counted, number=counted.number + _completed_by_unidentified(uses, counted))


def _completed_by_unidentified(uses: _Uses, counted: _Counted) -> int:
    """How many more count if drugs that are not identified are agents whose own days are too short, or too old."""
    agents = {use.agent for use in counted.uses}
    pairs = [pair for pair in uses.unclear_neighbours if agents.isdisjoint(pair)]
    return min(len({unclear for unclear, _ in pairs}), len({agent for _, agent in pairs}))


def _most_possible(uses: _Uses, hidden: _Hidden, rule: TreatmentRule, on: date) -> _Counted:
    possible = _ByDay(uses.possible)
    if rule.window_end is WindowEnd.LAST_START:
        windows = (
            (use, _window_before(use, rule, bool(hidden) or _may_complete_as_add_on(use, rule)))
            for use in possible
        )
        counts = (
            _count([use, *possible.within(window.outer_first, window.outer_last)], use, rule, hidden.orders)
            for use, window in windows
        )
        return _most(chain([_count((), None, rule, hidden.orders)], counts), rule)
    window = _fixed_window(uses, hidden, rule, on)
    within = possible.within(window.outer_first, window.outer_last) if window else []
    return _count(within, None, rule, hidden.orders)


def _fixed_window(uses: _Uses, hidden: _Hidden, rule: TreatmentRule, on: date) -> _Window | None:
    """The one window of rules that have only one; None where there is nothing to begin it."""
    if rule.window_end is WindowEnd.TODAY:
        return _window_up_to(on, rule)
    if hidden:
        # What could not be read may have been the first: then the window began nobody knows when.
        return _window_from(date.min, uses.first_start[1] if uses.first_start else on, rule)
    return _window_from(*uses.first_start, rule) if uses.first_start else None


def _most(counts: Iterable[_Counted], rule: TreatmentRule) -> _Counted:
    """The most in any window, shown by the first window that is enough; without one, by the first with the most.

    Looks no further once as many as are needed are found.
    """
    most = _Counted()
    for counted in counts:
        number, is_enough = max(most.number, counted.number), most.is_enough or counted.is_enough
        is_better = counted.number > most.number or (counted.is_enough and not most.is_enough)
        most = _Counted(number, most.uses if most.is_enough or not is_better else counted.uses, is_enough)
        if number >= rule.needed:
            break
    return most


def _count(within: Iterable[_Use], last: _Use | None, rule: TreatmentRule, hidden: int = 0) -> _Counted:
    """One use of each agent, the longest; `last` is the one whose start ends the window."""
    by_agent: dict[str, _Use] = {}
    for use in within:
        known = by_agent.get(use.agent)
        if known is None or (known is not last and (use is last or use.days > known.days)):
            by_agent[use.agent] = use
    counted = tuple(sorted(by_agent.values(), key=lambda use: (use.first_day, use.agent)))
    number = sum(_counts_as_one(use, rule) for use in counted)
    return _Counted(number, counted, _is_enough(counted, last, rule, hidden))


def _counts_as_one(use: _Use, rule: TreatmentRule) -> bool:
    return use.kind is not _Kind.ADD_ON or rule.antidepressants_beside_add_on is None


def _completes_as_add_on(use: _Use, rule: TreatmentRule) -> bool:
    """Whether it is an add-on whose start makes enough: antidepressants of that very day stand beside it."""
    return use.kind is _Kind.ADD_ON and rule.antidepressants_beside_add_on is not None


def _may_complete_as_add_on(use: _Use, rule: TreatmentRule) -> bool:
    return use.kind is _Kind.UNIDENTIFIED or _completes_as_add_on(use, rule)


def _is_enough(counted: Sequence[_Use], last: _Use | None, rule: TreatmentRule, hidden: int) -> bool:
    """Whether an add-on stands beside as many antidepressants as the rule asks for.

    What is not identified or could not be read may be either. Where the window ends with a start, it is the
    add-on that starts.
    """
    beside = rule.antidepressants_beside_add_on
    if beside is None or not rule.add_ons:
        return False
    unclear = [use for use in counted if use.kind is _Kind.UNIDENTIFIED]
    antidepressants = sum(use.kind is _Kind.ANTIDEPRESSANT for use in counted) + len(unclear) + hidden
    if any(use.kind is _Kind.ADD_ON for use in ([last] if last else counted)):
        return antidepressants >= beside
    could_be_add_on = hidden > 0 or (last in unclear if last else bool(unclear))
    return could_be_add_on and antidepressants - 1 >= beside


# --- words ---------------------------------------------------------------------------------------------


def _text(counts: _Counts, on: date) -> str:
    rule, hidden = counts.rule, counts.hidden
    at_least, at_most = counts.at_least, counts.at_most
    number = f"{at_least}" if at_least == at_most else f"{at_least} to {at_most}"
    certain = {use.agent for use in counts.sure.uses}
    shown = {use.agent for use in counts.shown}
    what = _noun(rule, number) + (f" of at least {rule.minimum_days} days" if rule.minimum_days > 1 else "")
    parts = [f"{number} {what} {_window_in_words(counts, on)}, {rule.needed} needed"]
    parts += _listed("counted: ", [use for use in counts.shown if use.agent in certain])
    parts += _listed("not certain: ", [use for use in counts.shown if use.agent not in certain])
    if counts.sure.is_enough or (counts.possible.is_enough and counts.answer is Answer.UNKNOWN):
        beside = rule.antidepressants_beside_add_on
        parts.append(f"beside {beside} antidepressant{'' if beside == 1 else 's'} {ADD_ON_IS_ENOUGH}")
    too_short = [use for use in counts.uses.short if use.agent not in shown]
    parts += _listed(f"shorter than {rule.minimum_days} days: ", too_short)
    if hidden.orders:
        parts.append(f"{hidden.orders} record{'' if hidden.orders == 1 else 's'} could not be read")
    if hidden.any_number:
        parts.append("a search could not be read in full")
    return "; ".join(parts)


def _noun(rule: TreatmentRule, number: str) -> str:
    takes_others = rule.add_ons and rule.antidepressants_beside_add_on is None
    noun = "treatment" if takes_others or rule.procedures_count else "antidepressant"
    return noun if number == "1" else f"{noun}s"


def _window_in_words(counts: _Counts, on: date) -> str:
    rule, first = counts.rule, counts.uses.first_start
    if rule.window_end is WindowEnd.TODAY:
        return f"in the {rule.window_days} days to {on}"
    if rule.window_end is WindowEnd.LAST_START:
        return f"in {rule.window_days} days up to a start"
    when = f" on {first[0]}" if first and first[0] == first[1] and not counts.hidden else ""
    return f"in the {rule.window_days} days from the first start{when}"


def _listed(heading: str, uses: Sequence[_Use]) -> list[str]:
    named = [use.words for use in uses[:MOST_NAMED]]
    more = [f"{len(uses) - MOST_NAMED} more"] if len(uses) > MOST_NAMED else []
    return [heading + ", ".join([*named, *more])] if uses else []
