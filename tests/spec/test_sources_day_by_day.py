"""A second opinion on the sources: what docs/orders.md says of each day, worked out day by day.

A record is here a table of its days. Nothing is cut, moved or merged as an interval; a day is asked for
what every record says of it. Thousands of generated histories must give the same days, doses and
adherence as `trd.sources` and `trd.trials`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Trial
from cds_service.trd.record import DoseSegment, Prescription, Source
from cds_service.trd.sources import reconcile
from cds_service.trd.trials import find_trials
from tests.conftest import examples
from tests.spec.people import DRUGS

DEFINITION = load_definitions()["default-configurable"]
START = date(2025, 1, 1)
ON = START + timedelta(days=149)
DRUG = DRUGS["sertraline"]
MINIMUM = 50.0
ONE_DAY = timedelta(days=1)
Dose = tuple[float | None, float | None]


@dataclass(frozen=True)
class OnDay:
    """What a record says of one day."""

    dose: Dose
    is_certain: bool


@dataclass
class Record:
    """A record as a table of its days."""

    name: str
    source: Source
    days: dict[date, OnDay]
    names: tuple[str, ...] = ()
    is_denial: bool = False
    is_of_pack: bool = False
    handed_over: date = START
    stated_end: date | None = None
    supports: list[str] = field(default_factory=list)

    @property
    def is_certain(self) -> bool:
        return all(day.is_certain for day in self.days.values())

    @property
    def begun(self) -> date:
        return min(self.days)


# --- the rules, by the day -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Supplied:
    """How the drug came to be at hand on a day."""

    is_sure: bool
    is_dispensed: bool


def second_opinion(
    records: list[Record], knows_all_fills: bool
) -> tuple[list[Record], dict[date, set[Supplied]]]:
    """The records that tell of the use, and the days that were supplied: surely, or perhaps."""
    of = {source: [r for r in records if r.source is source] for source in Source}
    last_days = {fill.name: last_day_of_use(fill, of[Source.ORDERED]) for fill in of[Source.DISPENSED]}
    fills, twins = one_after_the_other(of[Source.DISPENSED], last_days)
    all_fills = [*fills, *twins]
    is_all_told = knows_all_fills and all(fill.is_certain for fill in fills)
    told = beside_and_beyond(of[Source.ORDERED], all_fills, is_all_told)
    told = beside_and_beyond(told, of[Source.ADMINISTERED], is_all_told=False)
    told = beside_and_beyond(told, of[Source.STATED], is_all_told=False)
    supplied: dict[date, set[Supplied]] = {}
    if knows_all_fills and fills and all(fill.is_certain for fill in fills):
        taken = [record for record in of[Source.STATED] if record.is_certain and not record.is_denial]
        given = [record for record in of[Source.ADMINISTERED] if record.is_certain]
        for records_, how in (
            (twins, Supplied(is_sure=False, is_dispensed=True)),
            (taken, Supplied(is_sure=False, is_dispensed=False)),
            (fills, Supplied(is_sure=True, is_dispensed=True)),
            (given, Supplied(is_sure=True, is_dispensed=False)),
        ):
            for day in (day for record in records_ for day in record.days):
                supplied.setdefault(day, set()).add(how)
    return told, supplied


def last_day_of_use(fill: Record, orders: list[Record]) -> date:
    """What is left when its orders, and those that follow on them, say that they ended is no sign of use."""
    named = [order for order in orders if order.name in fill.names]
    ordering = named or [order for order in orders if fill.handed_over in order.days]
    ends = [order.stated_end for order in ordering if order.stated_end]
    if not ordering or len(ends) < len(ordering) or max(ends) < fill.handed_over:
        return date.max
    day = max(ends)
    while following := [order for order in orders if day + ONE_DAY in order.days]:
        if not all(order.stated_end for order in following):
            return date.max
        day += ONE_DAY
    return day


def one_after_the_other(fills: list[Record], last_days: dict[str, date]) -> tuple[list[Record], list[Record]]:
    """Each day's supply is taken on the first day on which none of that dose is left from before.

    A fill of the same dose and length, before a quarter of the last is used, may be the same one: what it adds
    is not certain.
    """
    queue: list[Record] = []
    twins: list[Record] = []
    for fill in sorted(fills, key=lambda fill: (fill.begun, fill.name)):
        alike = [q for q in queue if list(q.days.values()) == list(fill.days.values()) and fill.is_certain]
        same = alike and 4 * (fill.begun - alike[-1].begun).days < len(fill.days)
        (twins if same else queue).append(fill)
    taken: dict[tuple[Dose, object], set[date]] = {}
    for fill in (*queue, *twins):
        last_day = last_days[fill.name]
        if not fill.is_certain:
            fill.days = {day: said for day, said in fill.days.items() if day <= last_day}
            continue
        (dose,) = {day.dose for day in fill.days.values()}
        sure = taken.setdefault((dose, "sure"), set())
        supply_of_dose = sure if fill in queue else taken.setdefault((dose, fill.names), set(sure))
        day = fill.begun
        while any(day <= later for later in supply_of_dose):
            day += ONE_DAY
        days = [day + timedelta(days=n) for n in range(len(fill.days))]
        days = [day for day in days if day <= last_day]
        supply_of_dose.update(days)
        fill.days = {day: OnDay(dose, fill not in twins) for day in days if day <= ON}
    return queue, twins


def beside_and_beyond(told: list[Record], later: list[Record], is_all_told: bool) -> list[Record]:
    if not later:
        return told
    changed = [with_others(order, told, later, is_all_told) for order in told]
    beyond = [left for record in later if (left := days_of_no_order(record, told)).days]
    return [*changed, *beyond]


def speaks_of(record: Record, order: Record, day: date, told: list[Record]) -> bool:
    if day not in record.days:
        return False
    named = [other for other in told if other.name in record.names and day in other.days]
    return order in named or not named


def with_others(order: Record, told: list[Record], later: list[Record], is_all_told: bool) -> Record:
    related = [
        record
        for record in later
        if order.name in record.names or any(speaks_of(record, order, day, told) for day in order.days)
    ]
    if not related:
        return order
    days = {}
    is_all_told = is_all_told and any(record.days and record.is_certain for record in related)
    for day, own in order.days.items():
        there = [record for record in related if speaks_of(record, order, day, told)]
        days[day] = on_day(own, there, day, is_all_told)
    return replace(order, days=days, supports=[*order.supports, *(record.name for record in related)])


def on_day(own: OnDay, there: list[Record], day: date, is_all_told: bool) -> OnDay:
    if any(record.is_denial for record in there):
        return replace(own, is_certain=False)
    if not there:
        return OnDay(own.dose, own.is_certain and not is_all_told)
    is_sure = own.is_certain and not is_all_told
    within = 0.2 if any(record.is_of_pack for record in there) else 0.01
    deciding = [record for record in there if record.days[day].is_certain] or there
    if there[0].source is Source.STATED:
        newest = max(record.begun for record in deciding)
        deciding = [record for record in deciding if record.begun == newest]
    other = dose_of_several([(record.begun, record.days[day].dose) for record in deciding])
    is_certain = is_sure or any(record.days[day].is_certain for record in there)
    return OnDay(dose_beside(own.dose, other, within), is_certain)


def dose_of_several(doses: list[tuple[date, Dose]]) -> Dose:
    """From the newest to the sum of the distinct ones."""
    distinct = {dose for _, dose in doses}
    if len(distinct) == 1:
        return distinct.pop()
    newest = max(begun for begun, _ in doses)
    lows = [low for begun, (low, _) in doses if begun == newest]
    highs = [high for _, high in distinct]
    low = None if None in lows else max(mg for mg in lows if mg is not None)
    return low, None if None in highs else sum(mg for mg in highs if mg is not None)


def dose_beside(own: Dose, other: Dose, within: float) -> Dose:
    if None in own:
        return other
    if None in other:
        return own
    (low, high), (other_low, other_high) = own, other
    assert low is not None
    assert high is not None
    assert other_low is not None
    assert other_high is not None
    agree = other_high >= low * (1 - within) and other_low <= high * (1 + within)
    return own if agree else (min(low, other_low), max(high, other_high))


def days_of_no_order(record: Record, told: list[Record]) -> Record:
    if record.is_denial:
        return replace(record, days={})
    named = [order for order in told if order.name in record.names]
    covered = {day for order in told for day in order.days}
    related = [order for order in told if order in named or record.days.keys() & order.days.keys()]
    days = {day: said for day, said in record.days.items() if day not in covered}
    doses = {said.dose for order in related for said in order.days.values()}
    if len(doses) == 1:
        days = {d: replace(s, dose=next(iter(doses))) if s.dose[0] is None else s for d, s in days.items()}
    return replace(record, days=days)


# --- trials, by the day --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """A trial: its possible days, the days it is judged by, and what dispensings cover of those."""

    possible: tuple[date, date, int]
    duration: Answer
    adherence: Answer
    covered: int
    total: int

    @property
    def all_days(self) -> list[date]:
        first, last, _ = self.possible
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def expected_trials(told: list[Record], supplied: dict[date, set[Supplied]]) -> list[Expected]:
    taken = {day: all_of_day(told, day) for day in sorted({day for record in told for day in record.days})}
    exposures = runs(taken)
    found = []
    for exposure in exposures:
        possible = [day for day in exposure if taken[day].dose[1] is None or taken[day].dose[1] >= MINIMUM]  # type: ignore[operator]
        found += [expected_trial(run, taken, supplied) for run in runs(possible)]
    return found


def kept_open(trials: list[Expected], without_statements: list[Expected]) -> list[Expected]:
    """Too little cover, on days of what may have been a trial without the statements, leaves adherence open."""
    adequate = [t for t in without_statements if Answer.NOT_MET not in (t.duration, t.adherence)]
    days = {day for t in adequate for day in t.all_days}
    return [
        replace(t, adherence=Answer.UNKNOWN)
        if t.adherence is Answer.NOT_MET and days.intersection(t.all_days)
        else t
        for t in trials
    ]


def expected_trial(
    run: list[date], taken: dict[date, OnDay], supplied: dict[date, set[Supplied]]
) -> Expected:
    needed = DEFINITION.minimum_days
    certain = longest([day for day in run if taken[day].is_certain])
    beyond_doubt = longest([d for d in run if taken[d].is_certain and (taken[d].dose[0] or 0) >= MINIMUM])
    if len(certain) >= needed:
        duration, judged = Answer.MET, beyond_doubt if len(beyond_doubt) >= needed else certain
    else:
        duration, judged = (Answer.NOT_MET if len(run) < needed else Answer.UNKNOWN), run
    period = [judged[0] + timedelta(days=n) for n in range((judged[-1] - judged[0]).days + 1)]
    covered = [day for day in period if day in supplied]
    sure = [day for day in covered if any(how.is_sure for how in supplied[day])]
    was_dispensed = any(how.is_sure and how.is_dispensed for day in covered for how in supplied[day])
    answers = {len(days) * 100 >= 80 * len(period) for days in (covered, sure)}
    is_open = not was_dispensed or len(answers) > 1
    adherence = Answer.UNKNOWN if is_open else Answer.MET if answers.pop() else Answer.NOT_MET
    return Expected(
        (run[0], run[-1], len(run)), duration, adherence, len(covered) if was_dispensed else 0, len(period)
    )


def all_of_day(told: list[Record], day: date) -> OnDay:
    """Overlapping uses: from the newest certain one (or a newer doubtful one) to the sum of distinct doses."""
    there = [(begin_of_dose(record, day), record.days[day]) for record in told if day in record.days]
    distinct = {said.dose for _, said in there}
    is_certain = any(said.is_certain for _, said in there)
    if len(distinct) == 1:
        return OnDay(distinct.pop(), is_certain)
    newest = [
        max((p for p in there if p[1].is_certain is kind), key=age, default=None) for kind in (True, False)
    ]
    certain, doubtful = newest
    deciding = [pair[1] for pair in newest if pair]
    if certain and doubtful and age(doubtful) < age(certain):
        deciding = [certain[1]]
    lows, highs = [said.dose[0] for said in deciding], [high for _, high in distinct]
    low = None if None in lows else min(mg for mg in lows if mg is not None)
    return OnDay((low, None if None in highs else sum(mg for mg in highs if mg is not None)), is_certain)


def age(told: tuple[tuple[date, date], OnDay]) -> tuple[date, date, float]:
    return (*told[0], told[1].dose[0] or 0.0)


def begin_of_dose(record: Record, day: date) -> tuple[date, date]:
    """Since when the record tells this dose without a break, and when it was written."""
    begin = day
    while begin - ONE_DAY in record.days and record.days[begin - ONE_DAY].dose == record.days[day].dose:
        begin -= ONE_DAY
    return begin, record.handed_over


def runs(days: Iterable[date]) -> list[list[date]]:
    found: list[list[date]] = []
    for day in days:
        if found and (day - found[-1][-1]).days <= DEFINITION.max_gap_days + 1:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def longest(days: list[date]) -> list[date]:
    return max(reversed(runs(days)), key=len, default=[])


# --- generated histories -------------------------------------------------------------------------------

DOSES: tuple[Dose, ...] = (
    (50.0, 50.0),
    (50.0, 50.0),
    (100.0, 100.0),
    (25.0, 25.0),
    (50.0, 100.0),
    (None, None),
)
USE = Finding("use", Answer.MET, "")
offsets, lengths = st.integers(0, 110), st.integers(1, 70)


def record(
    source: Source, number: int, offset: int, length: int, dose: Dose, certain: bool = True, **more: object
) -> Prescription:
    first = START + timedelta(days=offset)
    last = min(first + timedelta(days=length - 1), ON)
    segment = DoseSegment(first, last, *dose, certain)
    values = {"authored": first, "source": source, **more}
    return Prescription(f"{source.value}/{number}", DRUG, "sertraline", (segment,), USE, **values)  # type: ignore[arg-type]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Prescription, ...]:
    doses, mostly = st.sampled_from(DOSES), st.sampled_from([True, True, True, False])
    orders = [
        record(Source.ORDERED, n, draw(offsets), draw(lengths), draw(doses), draw(mostly))
        for n in range(draw(st.integers(0, 3)))
    ]
    orders = [draw(st.sampled_from([o, replace(o, stated_end=o.segments[0].last_day)])) for o in orders]
    names = st.sampled_from([(), (), *((order.reference,) for order in orders), ("ordered/elsewhere",)])
    fills = [
        record(
            *(Source.DISPENSED, n, draw(offsets), draw(st.sampled_from([28, 30, 30, 60, 90])), draw(doses)),
            certain=draw(st.sampled_from([True] * 9 + [False])),
            fulfils=draw(names),
            has_derived_dose=draw(st.booleans()),
        )
        for n in range(draw(st.integers(0, 5)))
    ]
    if fills and draw(st.booleans()):
        fills.append(replace(draw(st.sampled_from(fills)), reference="dispensed/again"))
    begin, stay = draw(offsets), draw(st.integers(0, 12))
    given = [
        record(Source.ADMINISTERED, n, min(begin + n, 149), 1, draw(doses), fulfils=draw(names))
        for n in range(stay)
    ]
    stated = [
        record(
            Source.STATED,
            n,
            draw(offsets),
            draw(lengths),
            draw(doses),
            draw(mostly),
            is_denial=draw(st.booleans()),
        )
        for n in range(draw(st.integers(0, 2)))
    ]
    return (*orders, *fills, *given, *stated)


def as_table(told: Prescription) -> Record:
    (segment,) = told.segments
    said = OnDay((segment.low_mg, segment.high_mg), segment.days_certain)
    days = [
        segment.first_day + timedelta(days=n) for n in range((segment.last_day - segment.first_day).days + 1)
    ]
    return Record(
        told.reference,
        told.source,
        dict.fromkeys(days, said),
        told.fulfils,
        told.is_denial,
        told.has_derived_dose,
        told.authored or segment.first_day,
        told.stated_end,
    )


def day_table(told: Sequence[Prescription]) -> dict[str, dict[date, OnDay]]:
    tables: dict[str, dict[date, OnDay]] = {}
    for each in told:
        assert each.reference not in tables
        days = tables[each.reference] = {}
        for s in each.segments:
            for n in range((s.last_day - s.first_day).days + 1):
                day = s.first_day + timedelta(days=n)
                assert day not in days
                days[day] = OnDay((s.low_mg, s.high_mg), s.days_certain)
    return tables


def found_trials(told: Sequence[Prescription]) -> list[Trial]:
    exposures = build_exposures(told, DEFINITION.max_gap_days)
    return [t for t in find_trials(exposures, DEFINITION, ON) if t.dose.answer is not Answer.NOT_MET]


thousands = settings(max_examples=examples(2000), deadline=None, suppress_health_check=list(HealthCheck))


@thousands
@given(histories(), st.sampled_from([True, True, True, False]))
def test_each_day_is_told_as_the_rules_say(history: tuple[Prescription, ...], knows_all: bool) -> None:
    told = reconcile(history, ON, knows_all_fills=knows_all)
    expected, _ = second_opinion([as_table(r) for r in history], knows_all)
    assert day_table(told) == {record.name: record.days for record in expected}
    assert {r.reference: sorted(r.supported_by) for r in told} == {
        r.name: sorted(r.supports) for r in expected
    }


@thousands
@given(histories(), st.sampled_from([True, True, True, False]))
def test_trials_and_adherence_are_those_of_the_days(
    history: tuple[Prescription, ...], knows_all: bool
) -> None:
    trials = found_trials(reconcile(history, ON, knows_all_fills=knows_all))
    without_statements = [r for r in history if r.source is not Source.STATED]
    expected = kept_open(
        *(
            expected_trials(*second_opinion([as_table(r) for r in records], knows_all))
            for records in (history, without_statements)
        )
    )
    assert [(t.possible_first_day, t.possible_last_day) for t in trials] == [e.possible[:2] for e in expected]
    for trial, wanted in zip(trials, expected, strict=True):
        assert (trial.duration.answer, trial.adherence.answer) == (wanted.duration, wanted.adherence)
        if wanted.covered:
            assert f"{wanted.covered} of {wanted.total} days" in trial.adherence.text


@settings(max_examples=examples(500), deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_records_says_nothing(history: tuple[Prescription, ...], random: Random) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)
    assert day_table(reconcile(shuffled, ON, knows_all_fills=True)) == day_table(
        reconcile(history, ON, knows_all_fills=True)
    )


@settings(max_examples=examples(300), deadline=None)
@given(histories(), histories())
def test_records_of_another_drug_say_nothing(
    history: tuple[Prescription, ...], others: tuple[Prescription, ...]
) -> None:
    theirs = [replace(o, drug=DRUGS["venlafaxine"], reference=f"{o.reference}-v", fulfils=()) for o in others]
    together = day_table(reconcile((*history, *theirs), ON, knows_all_fills=True))
    alone = day_table(reconcile(history, ON, knows_all_fills=True)) | day_table(
        reconcile(theirs, ON, knows_all_fills=True)
    )
    assert together == alone


@pytest.mark.parametrize(
    ("mg", "is_derived", "low", "high"),
    [
        (80.0, True, 100.0, 100.0),
        (79.9, True, 79.9, 100.0),
        (120.0, True, 100.0, 100.0),
        (120.1, True, 100.0, 120.1),
        (99.0, False, 100.0, 100.0),
        (98.9, False, 98.9, 100.0),
        (101.0, False, 100.0, 100.0),
        (101.1, False, 100.0, 101.1),
    ],
)
def test_how_far_apart_doses_contradict(mg: float, is_derived: bool, low: float, high: float) -> None:
    """20 % where the dose was worked out from packs, else 1 %; both ends still agree."""
    order = record(Source.ORDERED, 1, 0, 30, (100.0, 100.0))
    fill = record(Source.DISPENSED, 1, 0, 30, (mg, mg), has_derived_dose=is_derived)
    (told,) = reconcile((order, fill), ON, knows_all_fills=True)
    assert [(s.low_mg, s.high_mg) for s in told.segments] == [(low, high)]
