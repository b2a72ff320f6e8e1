"""An order's dates, bounds and supply → the days it was taken, each with its dose.

First day: the start of the dosage bounds, or the first timing event, else of the order's own period (R5,
DSTU2); else the later of `authoredOn` and the start of the validity period. Last day, first that is there:
the end that the dosage sets (bounds, number of doses, events), the supply (with its repeats), the length
told in the text, the end of the order's own period, the end of the validity period; else `on` for an active
order. None goes on after the end of the order's own period. An order that ended on an unrecorded day, and
dates that cannot be read, give days that are not certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from itertools import pairwise

from msgspec import structs

from cds_service.fhir_reading.dates import PartialDate, parse_fhir_date
from cds_service.fhir_reading.dosage import (
    DailyDose,
    add_doses,
    all_texts,
    is_as_needed,
    place_in_sequence,
    unknown_dose,
)
from cds_service.fhir_reading.dose_text import Rate, read_dose_text
from cds_service.fhir_reading.elements import Dosage, MedicationRequest, Repeat
from cds_service.fhir_reading.figures import positive
from cds_service.fhir_reading.supply_days import (
    Course,
    End,
    Notes,
    after,
    end_of_supply,
    exactly,
    moved,
    repeats_allowed,
    shown_day,
)
from cds_service.fhir_reading.timing import UnreadableError, event_days, is_same_rate, slots_of, times_per_day
from cds_service.trd.days import shifted
from cds_service.trd.record import DoseSegment

EARLIEST_DAY = date(1900, 1, 1)
PERIOD_PATH = "$.effectiveDosePeriod"
EVERY_OTHER_DAY = Rate(0.5, 0.5)
LENGTHS = ("boundsDuration", "boundsRange", "count", "the dosage text")
"""Ends that are a length of one fill, which repeats may go on after."""
NAMED_DAYS = ("boundsPeriod", "the period of the order")
"""Ends that are a day, and no length or amount."""


@dataclass(frozen=True)
class OrderDays:
    """Segments in order, not overlapping; empty when the order starts after today (`is_in_future`).

    `problems` name dates and lengths that could not be read, with JSON path, expected and found.
    `stated_end` is the last day if the order names one, rather than how much or how long is supplied; of one
    that was stopped on an unrecorded day, the day by which it was.
    """

    segments: tuple[DoseSegment, ...]
    dose_text: str
    days_text: str
    is_in_future: bool = False
    problems: tuple[str, ...] = ()
    stated_end: date | None = None


@lru_cache(maxsize=2048)
def read_order_days(
    order: MedicationRequest,
    doses: tuple[tuple[DailyDose, ...], ...],
    on: date,
    doubt: str = "",
    may_lie_ahead: bool = True,
) -> OrderDays:
    """The days of an order up to `on`; `doses` holds the daily doses of each of its dosages.

    `doubt` says why no day is certain, when an element that bears on the days could not be read. A start after `on`
    that may not lie ahead is a slip: the days are then unknown.
    """
    notes = Notes()
    start = _start(order, notes)
    if start and start.day.earliest > on and not may_lie_ahead:
        notes.add(f"completed, and begins on {start.day.earliest}, after {on}")
        start = None
    if start and start.day.earliest > on:
        return OrderDays((), "", "starts in the future", is_in_future=True, problems=tuple(notes.problems))
    begin = start.day if start else PartialDate(EARLIEST_DAY, on)
    problems_of_start = len(notes.problems)
    courses = _courses(order, doses, begin, notes)
    courses, last_text, has_end = _with_ends(courses, order, begin, on, notes)
    stopped_by = _stopped_by(order, courses)
    if stopped_by:
        last_text += f", stopped by {stopped_by} at the latest (meta.lastUpdated)"
        courses, has_end = _cut(courses, stopped_by), False
    if doubt or len(notes.problems) > problems_of_start:
        courses = _open_ended(courses, stopped_by or on)
    is_settled = _is_settled(order, courses, has_end, on)
    is_certain = start is not None and not notes.problems and not doubt and is_settled
    segments = tuple(_segments(courses, on, is_certain))
    why = "" if is_certain else f"; days not certain: {_why(order, start, notes, doubt)}"
    return OrderDays(
        segments,
        _shown_doses(courses),
        f"{_shown_start(start)}, {last_text}{why}",
        problems=tuple(notes.problems),
        stated_end=stopped_by or (_stated_end(courses) if is_certain else None),
    )


# --- the first day ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Start:
    """The first day, and the element it rests on."""

    day: PartialDate
    rests_on: str


def _start(order: MedicationRequest, notes: Notes) -> _Start | None:
    dosages = sorted(enumerate(order.dosage_instruction), key=lambda numbered: place_in_sequence(numbered[1]))
    own = [_own_start(dosage, at, notes) for at, dosage in dosages]
    starts = [start for start in own if start]
    if not own or own[0] is None:
        starts += [start for start in (_start_of_order(order, notes),) if start]
    return min(starts, key=lambda start: start.day.earliest, default=None)


def _start_of_order(order: MedicationRequest, notes: Notes) -> _Start | None:
    period = order.effective_dose_period
    effective = notes.read_date(period.start if period else None, f"{PERIOD_PATH}.start")
    if effective:
        return _Start(effective, "the period of the order")
    authored = notes.read_date(order.authored_on, "$.authoredOn")
    validity = order.dispense_request.validity_period if order.dispense_request else None
    valid = notes.read_date(validity.start if validity else None, "$.dispenseRequest.validityPeriod.start")
    known = [_Start(day, name) for day, name in ((authored, "authoredOn"), (valid, "validityPeriod")) if day]
    return max(known, key=lambda start: start.day.earliest, default=None)


def _own_start(dosage: Dosage, at: int, notes: Notes) -> _Start | None:
    """The start that a dosage itself sets: of its bounds, or its first event."""
    bound = notes.read_date(_bound(dosage, "start"), f"{_bounds_path(at)}.start")
    if bound:
        return _Start(bound, "boundsPeriod")
    events = _events(dosage, at, notes)
    return _Start(exactly(events[0]), "timing.event") if events else None


def _events(dosage: Dosage, at: int, notes: Notes) -> tuple[date, date] | None:
    try:
        return event_days(dosage.timing)
    except UnreadableError:
        path = f"$.dosageInstruction[{at}].timing.event"
        problem = (
            f"{path}: expected days, found {', '.join(dosage.timing.event if dosage.timing else ())[:40]!r}"
        )
        notes.add(problem)
        return None


def _repeat(dosage: Dosage) -> Repeat | None:
    return dosage.timing.repeat if dosage.timing else None


def _bound(dosage: Dosage, end: str) -> str | None:
    repeat = _repeat(dosage)
    period = repeat.bounds_period if repeat else None
    return getattr(period, end) if period else None


def _bounds_path(at: int) -> str:
    return f"$.dosageInstruction[{at}].timing.repeat.boundsPeriod"


def _shown_start(start: _Start | None) -> str:
    if start is None:
        return "no start recorded"
    first, last = start.day.earliest, start.day.latest
    return (
        f"from {first} by {start.rests_on}"
        if start.day.is_exact
        else f"from {first} to {last} by {start.rests_on}"
    )


# --- courses: one dose over some days -------------------------------------------------------------------


def _courses(
    order: MedicationRequest, doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: Notes
) -> list[Course]:
    dosages = order.dosage_instruction
    if len(dosages) < 2:
        steps = doses[0] if doses else (unknown_dose("no dosage is recorded"),)
        return _steps_from(begin, steps, _end_of(dosages[0], steps, begin, 0, notes) if dosages else None)
    if any(_bound(dosage, "start") or _bound(dosage, "end") or _has_events(dosage) for dosage in dosages):
        return _without_shared_day(_with_own_bounds(dosages, doses, begin, notes))
    if not begin.is_exact or not _are_consecutive(dosages, doses):
        return _together(dosages, doses, begin, notes)
    return _one_after_the_other(dosages, doses, begin, notes)


def _has_events(dosage: Dosage) -> bool:
    return dosage.timing is not None and bool(dosage.timing.event)


def _steps_from(begin: PartialDate, steps: Sequence[DailyDose], end: End | None) -> list[Course]:
    """The steps of one dosage, each from the day after the one before."""
    if len(steps) == 1:
        return [Course(begin, end, steps[0])]
    if not begin.is_exact or any(step.days is None for step in steps[:-1]):
        return [Course(begin, end, any_of(steps, "the days of each step are not recorded"))]
    courses: list[Course] = []
    first = begin.earliest
    for step in steps:
        last = shifted(first, step.days - 1) if step.days else None
        own_end = End(exactly(last), "the length of the step") if last else end
        courses.append(Course(exactly(first), own_end, step))
        first = shifted(last, 1) if last else first
    return courses


def any_of(steps: Sequence[DailyDose], why: str) -> DailyDose:
    """The range over doses of which it is not known which was taken when."""
    lows = [step.low_mg for step in steps]
    highs = [step.high_mg for step in steps]
    if None in lows or None in highs:
        return unknown_dose(why)
    low, high = min(low or 0.0 for low in lows), max(high or 0.0 for high in highs)
    return DailyDose(low, high, f"{low:g}-{high:g} mg/day ({why})")


def _with_own_bounds(
    dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: Notes
) -> list[Course]:
    """Each dosage on its own days; one without a start goes on from the end of the one before in sequence."""
    courses: list[Course] = []
    previous: tuple[float, End | None] = (0, None)
    side_by_side = _are_side_by_side(dosages)
    for at in sorted(range(len(dosages)), key=lambda at: place_in_sequence(dosages[at])):
        dosage, steps = dosages[at], doses[at]
        sequence = place_in_sequence(dosage)
        own = _own_start(dosage, at, Notes())
        if own is None and previous[1] and sequence != previous[0]:
            first = moved(previous[1].day, 1)
        else:
            first = own.day if own else begin
        if own and previous[1] is None and courses and sequence != previous[0] and not side_by_side:
            courses[-1] = _ended_before(courses[-1], own.day)
        end = _end_of(dosage, steps, first, at, notes) or _end_in_text(steps, first)
        courses += _steps_from(first, steps, end)
        previous = (sequence, courses[-1].end)
    return courses


def _ended_before(course: Course, following: PartialDate) -> Course:
    """A step without an end of its own, which the start of the next in sequence ends."""
    if course.end or following.earliest <= course.first.latest:
        return course
    return replace(course, end=End(moved(following, -1), "the start of the next dosage"))


def _without_shared_day(courses: list[Course]) -> list[Course]:
    """A step that ends on the very day on which the next begins, ends the day before."""
    courses = sorted(courses, key=lambda course: (course.first.earliest, course.first.latest))
    for at, (one, following) in enumerate(pairwise(courses)):
        last = one.end.day if one.end else None
        if one.end and last and last.is_exact and one.first.latest < last.latest == following.first.earliest:
            courses[at] = replace(one, end=replace(one.end, day=exactly(shifted(last.latest, -1))))
    return courses


def _are_consecutive(dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]]) -> bool:
    """Whether dosages without dates follow each other: other sequence numbers, or lengths that differ."""
    order = sorted(range(len(dosages)), key=lambda at: place_in_sequence(dosages[at]))
    lengths = [_has_length(dosages[at], doses[at]) for at in order]
    sequences = {dosage.sequence for dosage in dosages}
    if len(sequences) == 1 and None not in sequences:
        return False
    if len(set(map(_lengths, dosages, doses))) == 1 and _are_side_by_side(dosages):
        return False
    return all(lengths[:-1]) and (len(sequences) > 1 or not lengths[-1])


def _has_length(dosage: Dosage, steps: Sequence[DailyDose]) -> bool:
    return any(_lengths(dosage, steps))


def _lengths(dosage: Dosage, steps: Sequence[DailyDose]) -> tuple[object, ...]:
    """All that tells how long a dosage lasts."""
    repeat = _repeat(dosage) or Repeat()
    return repeat.bounds_duration, repeat.bounds_range, repeat.count, steps[-1].days


def _together(
    dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: Notes
) -> list[Course]:
    """Dosages taken side by side; when they may also follow each other, the dose is the range of both."""
    if any(len(steps) > 1 for steps in doses):
        return [Course(begin, None, unknown_dose("several dosages, one of them in steps"))]
    days = {steps[0].days for steps in doses}
    total = replace(add_doses([steps[0] for steps in doses]), days=days.pop() if len(days) == 1 else None)
    ends = [
        _end_of(dosage, steps, begin, at, notes) or (_end_in_text(steps, begin) if days else None)
        for at, (dosage, steps) in enumerate(zip(dosages, doses, strict=True))
    ]
    sequences = {dosage.sequence for dosage in dosages}
    is_repeated = len(set(zip(map(_without_sequence, dosages), doses, strict=True))) < len(dosages)
    may_be_in_turn = len(sequences) > 1 or None in sequences or is_repeated
    if may_be_in_turn and not _are_side_by_side(dosages):
        low = min((steps[0].low_mg for steps in doses if steps[0].low_mg is not None), default=None)
        if total.low_mg is not None and low is not None:
            why = (
                "the same dosage is written more than once"
                if is_repeated
                else "whether the dosages are taken together or one after the other is not recorded"
            )
            total = DailyDose(low, total.high_mg, f"{low:g}-{total.high_mg:g} mg/day ({why})", total.days)
    elif len({end.day if end else None for end in ends}) > 1:
        return [Course(begin, end, steps[0]) for end, steps in zip(ends, doses, strict=True)]
    last = max((end for end in ends if end), key=lambda end: end.day.latest, default=None)
    return [Course(begin, last if all(ends) else None, total)]


def _without_sequence(dosage: Dosage) -> Dosage:
    return structs.replace(dosage, sequence=None)


def _are_side_by_side(dosages: Sequence[Dosage]) -> bool:
    """Whether the dosages name other times of day, other days of the week, or one every other day each.

    What is taken as needed comes on top of the one that is taken regularly.
    """
    if sum(is_as_needed(dosage) is False for dosage in dosages) <= 1 or _are_disjoint(
        [_moments(dosage) for dosage in dosages]
    ):
        return True
    repeats = [_repeat(dosage) for dosage in dosages]
    if _are_disjoint([frozenset(repeat.day_of_week if repeat else ()) for repeat in repeats]):
        return True
    rates = [_times_per_day(dosage) for dosage in dosages]
    return len(rates) == 2 and all(rate and is_same_rate(rate, EVERY_OTHER_DAY) for rate in rates)


def _are_disjoint(sets: Sequence[frozenset[str]]) -> bool:
    return all(sets) and sum(len(one) for one in sets) == len(frozenset().union(*sets))


def _moments(dosage: Dosage) -> frozenset[str]:
    repeat = _repeat(dosage)
    structured = slots_of(repeat) if repeat else frozenset[str]()
    code = dosage.timing.code if dosage.timing else None
    codes = [coding.code or "" for coding in code.coding] if code else []
    in_words = (read_dose_text(text).moments for text in (*all_texts(dosage), *codes))
    return structured or frozenset[str]().union(*in_words)


def _one_after_the_other(
    dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: Notes
) -> list[Course]:
    courses: list[Course] = []
    first = begin
    for at in sorted(range(len(dosages)), key=lambda at: place_in_sequence(dosages[at])):
        end = _end_of(dosages[at], doses[at], first, at, notes) or _end_in_text(doses[at], first)
        courses += _steps_from(first, doses[at], end)
        end = courses[-1].end
        if end:
            first = moved(end.day, 1)
    return [replace(course, in_turn=True) for course in courses]


# --- the last day ---------------------------------------------------------------------------------------


def _end_of(
    dosage: Dosage, steps: Sequence[DailyDose], first: PartialDate, at: int, notes: Notes
) -> End | None:
    """The end that a dosage itself sets: its bounds, the number of doses, or its last event."""
    repeat = _repeat(dosage)
    if repeat and _has_bound_end(repeat):
        return _end_of_bounds(repeat, first, f"$.dosageInstruction[{at}].timing.repeat", notes)
    if repeat and (last := _after_count(dosage, repeat, steps, first)):
        return End(last, "count")
    events = _events(dosage, at, notes)
    return End(exactly(events[1]), "timing.event") if events else None


def _has_bound_end(repeat: Repeat) -> bool:
    period_end = repeat.bounds_period.end if repeat.bounds_period else None
    return bool(period_end is not None or repeat.bounds_duration or repeat.bounds_range)


def _end_of_bounds(repeat: Repeat, first: PartialDate, path: str, notes: Notes) -> End | None:
    if repeat.bounds_period and repeat.bounds_period.end is not None:
        last = notes.read_date(repeat.bounds_period.end, f"{path}.boundsPeriod.end")
        if last and last.latest < first.earliest:
            notes.add(f"{path}.boundsPeriod.end: expected a day after {first.earliest}, found {last.latest}")
            return None
        return End(last, "boundsPeriod") if last else None
    if repeat.bounds_duration:
        last = after(repeat.bounds_duration, first, f"{path}.boundsDuration", notes)
        return End(last, "boundsDuration") if last else None
    if repeat.bounds_range:
        low, high = repeat.bounds_range.low, repeat.bounds_range.high
        shortest = after(low, first, f"{path}.boundsRange.low", notes) if low else first
        longest = after(high, first, f"{path}.boundsRange.high", notes) if high else exactly(date.max)
        if shortest and longest:
            return End(PartialDate(shortest.earliest, max(shortest.earliest, longest.latest)), "boundsRange")
    return None


def _after_count(
    dosage: Dosage, repeat: Repeat, steps: Sequence[DailyDose], first: PartialDate
) -> PartialDate | None:
    """The last day of so many doses, when it is known how many are taken a day."""
    rate = _times_per_day(dosage)
    if repeat.count is None or rate is None or len(steps) != 1:
        return None
    most = repeat.count if repeat.count_max is None else repeat.count_max
    shortest, longest = positive(repeat.count, 1 / rate.high), positive(most, 1 / rate.low)
    if shortest is None or longest is None:
        return None
    earliest = shifted(first.earliest, max(1, round(shortest)) - 1)
    return PartialDate(earliest, max(earliest, shifted(first.latest, max(1, round(longest)) - 1)))


def _times_per_day(dosage: Dosage) -> Rate | None:
    try:
        return times_per_day(dosage.timing)
    except UnreadableError:
        return None


def _with_ends(
    courses: list[Course], order: MedicationRequest, begin: PartialDate, on: date, notes: Notes
) -> tuple[list[Course], str, bool]:
    """Closes what the dosage leaves open by the order's own end; with what that rests on, and if it is recorded."""
    ended = _end_of_period(order, begin, notes)
    own = ", ".join(dict.fromkeys(course.end.rests_on for course in courses if course.end))
    if all(course.end for course in courses):
        text = f"to {_shown_end(courses)} by the dosage ({own})"
        return *_within_period(*_with_repeats(courses, order, text, notes), ended), True
    end = end_of_supply(order.dispense_request, courses, begin, notes)
    if end is None and len(courses) == 1:
        end = _end_in_text((courses[0].dose,), courses[0].first)
    end = end or ended or _end_of_validity(order, begin, notes)
    text = f"to {shown_day(end.day.latest)} by {end.rests_on}" if end else _text_without_end(order)
    closed = [course if course.end else _closed(course, end or End(exactly(on), "")) for course in courses]
    closed, text = _with_repeats(closed, order, text, notes)
    text += f", earlier steps by the dosage ({own})" if own else ""
    return *_within_period(closed, text, ended), end is not None


def _stated_end(courses: Sequence[Course]) -> date | None:
    """The last day, where every dosage has one that the order names as a day."""
    ends = [course.end for course in courses]
    if not all(end and end.day.is_exact and end.rests_on in NAMED_DAYS for end in ends):
        return None
    return max((end.day.latest for end in ends if end), default=None)


def _end_of_period(order: MedicationRequest, begin: PartialDate, notes: Notes) -> End | None:
    """The end that R5 records beside the dosages; also the day on which an order was ended or stopped."""
    period = order.effective_dose_period
    end = notes.read_date(period.end if period else None, f"{PERIOD_PATH}.end")
    if end and end.latest < begin.earliest:
        notes.add(f"{PERIOD_PATH}.end: expected a day after {begin.earliest}, found {end.latest}")
        return None
    return End(end, "the period of the order") if end else None


def _within_period(courses: list[Course], text: str, ended: End | None) -> tuple[list[Course], str]:
    """No course goes on after the end of the order's own period, however long its dosage or supply would last."""
    if ended is None or all(c.end and c.end.day.latest <= ended.day.latest for c in courses):
        return courses, text
    begun = [course for course in courses if course.first.earliest <= ended.day.latest] or courses[:1]
    cut = [
        course if course.end and course.end.day.latest <= ended.day.latest else _closed(course, ended)
        for course in begun
    ]
    return cut, f"to {ended.day.latest} by {ended.rests_on}"


def _closed(course: Course, end: End) -> Course:
    return replace(course, end=replace(end, day=_not_before(end.day, course.first)))


def _end_in_text(steps: Sequence[DailyDose], first: PartialDate) -> End | None:
    """ "1 tablet daily for 30 days": the length that the text tells of its only step."""
    days = steps[0].days if len(steps) == 1 else None
    if not days:
        return None
    return End(moved(first, days - 1), "the dosage text")


def _with_repeats(
    courses: list[Course], order: MedicationRequest, text: str, notes: Notes
) -> tuple[list[Course], str]:
    """A length may be meant of each repeat too: those later days are possible, unless the supply ends before."""
    end = courses[0].end
    if len(courses) != 1 or end is None or end.rests_on not in LENGTHS:
        return courses, text
    repeats = repeats_allowed(order.dispense_request, notes)
    if not repeats:
        return courses, text
    first = courses[0].first
    supply = end_of_supply(order.dispense_request, courses, first, notes)
    days = (end.day.latest - first.latest).days + 1
    latest = supply.day.latest if supply else shifted(first.latest, days * (1 + repeats) - 1)
    if latest <= end.day.latest:
        return courses, text
    longer = replace(courses[0], end=replace(end, day=PartialDate(end.day.earliest, latest)))
    return [longer], f"{text}, possibly to {shown_day(latest)} with {repeats} repeat(s)"


def _stopped_by(order: MedicationRequest, courses: Sequence[Course]) -> date | None:
    """The day by which a stopped order had ended, when that is before the end it would have had.

    A resource that says `stopped` was stopped by the day it was last changed. That is a bound and never
    an end: it may have stopped on any day before.
    """
    if order.status != "stopped" or order.meta is None or order.meta.last_updated is None:
        return None
    changed = parse_fhir_date(order.meta.last_updated)
    first = min(course.first.earliest for course in courses)
    last = max(course.end.day.latest for course in courses if course.end)
    return changed.latest if changed and first < changed.latest < last else None


def _cut(courses: Sequence[Course], day: date) -> list[Course]:
    """The courses up to a day."""
    return [
        replace(course, end=replace(course.end, day=_not_after(course.end.day, day)))
        for course in courses
        if course.end and course.first.earliest <= day
    ]


def _open_ended(courses: Sequence[Course], on: date) -> list[Course]:
    """An end that could not be read may be any day up to today: the dose that ran last may still run."""
    ends = [course.end.day.latest for course in courses if course.end]
    return [
        _closed(course, End(exactly(on), ""))
        if course.end is None or course.end.day.latest == max(ends)
        else course
        for course in courses
    ]


def _shown_doses(courses: Sequence[Course]) -> str:
    in_turn = all(a.end is not None and a.end.day.latest < b.first.earliest for a, b in pairwise(courses))
    return ("; then " if in_turn else "; with ").join(dict.fromkeys(course.dose.text for course in courses))


def _not_before(end: PartialDate, first: PartialDate) -> PartialDate:
    return PartialDate(max(end.earliest, first.earliest), max(end.latest, first.latest))


def _not_after(end: PartialDate, day: date) -> PartialDate:
    return PartialDate(min(end.earliest, day), min(end.latest, day))


def _shown_end(courses: Sequence[Course]) -> str:
    ends = [course.end.day.latest for course in courses if course.end]
    return shown_day(max(ends)) if ends else "an unrecorded day"


def _end_of_validity(order: MedicationRequest, begin: PartialDate, notes: Notes) -> End | None:
    validity = order.dispense_request.validity_period if order.dispense_request else None
    path = "$.dispenseRequest.validityPeriod.end"
    end = notes.read_date(validity.end if validity else None, path)
    if end and end.latest < begin.earliest:
        notes.add(f"{path}: expected a day after {begin.earliest}, found {end.latest}")
        return None
    return End(end, "the validity period") if end else None


def _text_without_end(order: MedicationRequest) -> str:
    if order.status == "active" and not _states_a_quantity(order):
        return "no end recorded, status active: taken as continuing"
    return f"no end recorded, status {order.status or 'missing'}"


# --- certainty -------------------------------------------------------------------------------------------


def _is_settled(order: MedicationRequest, courses: Sequence[Course], has_end: bool, on: date) -> bool:
    """Whether the status leaves no doubt that the drug was taken to its last day.

    An active order goes on unless it was for a supply of which it is not known how long it lasts. A
    stopped order whose end still lies ahead stopped on an unrecorded day, as did one that is completed
    and names 9999-12-31, or whose repeats would last longer than up to `on`. On hold since when, and a
    status that is missing or not known, leave every day open.
    """
    if order.status == "active":
        return has_end or not _states_a_quantity(order)
    if order.status == "completed":
        return (
            has_end
            and not any(map(_stands_for_no_end, courses))
            and not _has_repeats_ahead(order, courses, on)
        )
    return (
        order.status == "stopped"
        and has_end
        and all(c.end is not None and c.end.day.latest <= on for c in courses)
    )


def _stands_for_no_end(course: Course) -> bool:
    """Whether the last day that the order names is what databases write for none, such as 9999-12-31."""
    end = course.end
    return end is not None and end.rests_on in NAMED_DAYS and end.day.latest.year == date.max.year


def _has_repeats_ahead(order: MedicationRequest, courses: Sequence[Course], on: date) -> bool:
    """Whether not all of the repeats can have been handed over by `on`."""
    is_ahead = any(course.end is not None and course.end.day.latest > on for course in courses)
    return is_ahead and repeats_allowed(order.dispense_request, Notes()) > 0


def _states_a_quantity(order: MedicationRequest) -> bool:
    return order.dispense_request is not None and order.dispense_request.quantity is not None


def _why(order: MedicationRequest, start: _Start | None, notes: Notes, doubt: str) -> str:
    if doubt:
        return doubt
    if notes.problems:
        return "a date or length could not be read"
    if start is None:
        return "no start is recorded"
    if order.status == "active":
        return "how long the supply lasts cannot be told"
    return f"status {order.status or 'missing'}, which leaves the last day open"


# --- segments ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layer:
    first_day: date
    last_day: date
    dose: DailyDose
    is_certain: bool
    in_turn: bool


def _segments(courses: Sequence[Course], on: date, is_certain: bool) -> Iterable[DoseSegment]:
    """Consecutive days with one dose each; courses that overlap are added up. Nothing after `on`."""
    layers = [layer for course in courses for layer in _layers(course, on, is_certain)]
    edges = sorted({layer.first_day for layer in layers} | {shifted(layer.last_day, 1) for layer in layers})
    for first_day, next_day in pairwise(edges):
        present = [layer for layer in layers if layer.first_day <= first_day <= layer.last_day]
        if present:
            yield _segment(first_day, shifted(next_day, -1), present)


def _layers(course: Course, on: date, is_certain: bool) -> Iterable[_Layer]:
    """The days on which a course surely ran, and the days around them on which it may have."""
    first, last = course.first, course.end.day if course.end else exactly(on)
    core = (first.latest, min(last.earliest, on))
    whole = (first.earliest, min(last.latest, on))
    if not is_certain or core[0] > core[1]:
        if whole[0] <= whole[1]:
            yield _Layer(*whole, course.dose, is_certain=False, in_turn=course.in_turn)
        return
    yield _Layer(*core, course.dose, is_certain=True, in_turn=course.in_turn)
    if whole[0] < core[0]:
        yield _Layer(whole[0], shifted(core[0], -1), course.dose, is_certain=False, in_turn=course.in_turn)
    if whole[1] > core[1]:
        yield _Layer(shifted(core[1], 1), whole[1], course.dose, is_certain=False, in_turn=course.in_turn)


def _segment(first_day: date, last_day: date, present: Sequence[_Layer]) -> DoseSegment:
    certain = [layer.dose for layer in present if layer.is_certain]
    doses = [layer.dose for layer in present]
    if len(doses) > 1 and all(layer.in_turn for layer in present):
        either = any_of(doses, "which step had begun is not known")
        return DoseSegment(first_day, last_day, either.low_mg, either.high_mg, bool(certain))
    total = add_doses(doses)
    if certain and len(certain) < len(present) and total.low_mg is not None:
        total = replace(total, low_mg=add_doses(certain).low_mg)
    return DoseSegment(first_day, last_day, total.low_mg, total.high_mg, bool(certain))
