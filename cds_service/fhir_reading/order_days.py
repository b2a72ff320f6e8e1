"""An order's dates, bounds and supply → the days it was taken, each with its dose.

First day: the start of the dosage bounds, else of the order's own period (R5, DSTU2); else the later of
`authoredOn` and the start of the validity period. Last day, first that is there: the end of the dosage
bounds, the supply (with its repeats), the length told in the text, the end of the order's own period, the
end of the validity period; else `on` for an active order. None goes on after the end of the order's own
period. An order that ended on an unrecorded day, and dates that cannot be read, give days that are not
certain.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise

from cds_service.fhir_reading.dates import PartialDate, parse_fhir_date
from cds_service.fhir_reading.dosage import DailyDose, add_doses, positive, unknown_dose
from cds_service.fhir_reading.dose_text import read_dose_text
from cds_service.fhir_reading.elements import Dosage, MedicationRequest, Quantity, Repeat
from cds_service.tables.dosing import UnitKind, load_units
from cds_service.trd.model import DoseSegment

EARLIEST_DAY = date(1900, 1, 1)
ONE_DAY = timedelta(days=1)
PERIOD_PATH = "$.effectiveDosePeriod"
MOST_REPEATS = 1000
DURATION_UNITS = {
    "min": 1 / 1440, "minute": 1 / 1440, "minutes": 1 / 1440, "h": 1 / 24, "hour": 1 / 24, "hours": 1 / 24,
    "d": 1, "day": 1, "days": 1, "wk": 7, "week": 7, "weeks": 7,
}  # fmt: skip
MONTH_UNITS = {"mo": 1, "month": 1, "months": 1, "a": 12, "year": 12, "years": 12, "yr": 12}


@dataclass(frozen=True)
class OrderDays:
    """Segments in order, not overlapping; empty when the order starts after today (`is_in_future`).

    `problems` name dates and lengths that could not be read, with JSON path, expected and found.
    """

    segments: tuple[DoseSegment, ...]
    dose_text: str
    days_text: str
    is_in_future: bool = False
    problems: tuple[str, ...] = ()


@lru_cache(maxsize=2048)
def read_order_days(
    order: MedicationRequest, doses: tuple[tuple[DailyDose, ...], ...], on: date, doubt: str = ""
) -> OrderDays:
    """The days of an order up to `on`; `doses` holds the daily doses of each of its dosages.

    `doubt` says why no day is certain, when an element that bears on the days could not be read.
    """
    notes = _Notes()
    start = _start(order, notes)
    if start and start.earliest > on:
        return OrderDays((), "", "starts in the future", is_in_future=True, problems=tuple(notes.problems))
    begin = start or PartialDate(EARLIEST_DAY, on)
    problems_of_start = len(notes.problems)
    courses = _courses(order, doses, begin, notes)
    courses, last_text, has_end = _with_ends(courses, order, begin, on, notes)
    if doubt or len(notes.problems) > problems_of_start:
        courses = _open_ended(courses, on)
    is_settled = _is_settled(order, courses, has_end, on)
    is_certain = start is not None and not notes.problems and not doubt and is_settled
    segments = tuple(_segments(courses, on, is_certain))
    why = "" if is_certain else f"; days not certain: {_why(order, start, notes, doubt)}"
    return OrderDays(
        segments,
        _shown_doses(courses),
        f"{_shown_start(start)}, {last_text}{why}",
        problems=tuple(notes.problems),
    )


@lru_cache(maxsize=8192)
def _date(text: str) -> PartialDate | None:
    return parse_fhir_date(text)


class _Notes:
    """Collects what could not be read on the way."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read_date(self, text: str | None, path: str) -> PartialDate | None:
        if text is None:
            return None
        day = _date(text)
        if day is None:
            self.problems.append(f"{path}: expected a date, found {text[:40]!r}")
        return day


# --- the first day ------------------------------------------------------------------------------------


def _start(order: MedicationRequest, notes: _Notes) -> PartialDate | None:
    bounds = [
        start
        for at, dosage in enumerate(order.dosage_instruction)
        if (start := notes.read_date(_bound(dosage, "start"), f"{_bounds_path(at)}.start"))
    ]
    if bounds:
        return min(bounds, key=lambda day: day.earliest)
    period = order.effective_dose_period
    effective = notes.read_date(period.start if period else None, f"{PERIOD_PATH}.start")
    if effective:
        return effective
    authored = notes.read_date(order.authored_on, "$.authoredOn")
    validity = order.dispense_request.validity_period if order.dispense_request else None
    valid = notes.read_date(validity.start if validity else None, "$.dispenseRequest.validityPeriod.start")
    known = [day for day in (authored, valid) if day]
    return max(known, key=lambda day: day.earliest, default=None)


def _repeat(dosage: Dosage) -> Repeat | None:
    return dosage.timing.repeat if dosage.timing else None


def _bound(dosage: Dosage, end: str) -> str | None:
    repeat = _repeat(dosage)
    period = repeat.bounds_period if repeat else None
    return getattr(period, end) if period else None


def _bounds_path(at: int) -> str:
    return f"$.dosageInstruction[{at}].timing.repeat.boundsPeriod"


def _shown_start(start: PartialDate | None) -> str:
    if start is None:
        return "no start recorded"
    return f"from {start.earliest}" if start.is_exact else f"from {start.earliest} to {start.latest}"


# --- courses: one dose over some days -------------------------------------------------------------------


@dataclass(frozen=True)
class _Course:
    """A dose from `first` to `last`, both included; `last` is None when its dosage sets no end."""

    first: PartialDate
    last: PartialDate | None
    dose: DailyDose


def _courses(
    order: MedicationRequest, doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: _Notes
) -> list[_Course]:
    dosages = order.dosage_instruction
    if len(dosages) < 2:
        steps = doses[0] if doses else (unknown_dose("no dosage is recorded"),)
        return _steps_from(begin, steps, _end_of(dosages[0], steps, begin, 0, notes) if dosages else None)
    if any(_bound(dosage, "start") or _bound(dosage, "end") for dosage in dosages):
        return _without_shared_day(_with_own_bounds(dosages, doses, begin, notes))
    if not begin.is_exact or not _are_consecutive(dosages, doses):
        return _together(dosages, doses, begin, notes)
    return _one_after_the_other(dosages, doses, begin, notes)


def _steps_from(begin: PartialDate, steps: Sequence[DailyDose], end: PartialDate | None) -> list[_Course]:
    """The steps of one dosage, each from the day after the one before."""
    if len(steps) == 1:
        return [_Course(begin, end, steps[0])]
    if not begin.is_exact or any(step.days is None for step in steps[:-1]):
        return [_Course(begin, end, _any_of(steps, "the days of each step are not recorded"))]
    courses: list[_Course] = []
    first = begin.earliest
    for step in steps:
        last = _later(first, step.days - 1) if step.days else None
        courses.append(_Course(_exactly(first), _exactly(last) if last else end, step))
        first = _later(last, 1) if last else first
    return courses


def _any_of(steps: Sequence[DailyDose], why: str) -> DailyDose:
    """The range over doses of which it is not known which was taken when."""
    lows = [step.low_mg for step in steps]
    highs = [step.high_mg for step in steps]
    if None in lows or None in highs:
        return unknown_dose(why)
    low, high = min(low or 0.0 for low in lows), max(high or 0.0 for high in highs)
    return DailyDose(low, high, f"{low:g}-{high:g} mg/day ({why})")


def _with_own_bounds(
    dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: _Notes
) -> list[_Course]:
    """Each dosage on its own days; one without a start goes on from the end of the one before in sequence."""
    courses: list[_Course] = []
    previous: tuple[float, PartialDate | None] = (0, None)
    for at in sorted(range(len(dosages)), key=lambda at: _sequence(dosages[at])):
        dosage, steps = dosages[at], doses[at]
        sequence = _sequence(dosage)
        first = parse_fhir_date(_bound(dosage, "start"))
        if first is None and previous[1] and previous[1].is_exact and sequence != previous[0]:
            first = _exactly(_later(previous[1].latest, 1))
        first = first or begin
        last = _end_of(dosage, steps, first, at, notes)
        courses += _steps_from(first, steps, last)
        previous = (sequence, last)
    return courses


def _sequence(dosage: Dosage) -> float:
    """The place in the sequence; a dosage without one, or with NaN, comes first."""
    number = dosage.sequence
    return number if number is not None and number == number else 0


def _without_shared_day(courses: list[_Course]) -> list[_Course]:
    """A step that ends on the very day on which the next begins, ends the day before."""
    courses = sorted(courses, key=lambda course: (course.first.earliest, course.first.latest))
    for at, (one, following) in enumerate(pairwise(courses)):
        if one.last and one.last.is_exact and one.first.latest < one.last.latest == following.first.earliest:
            courses[at] = replace(one, last=_exactly(one.last.latest - ONE_DAY))
    return courses


def _are_consecutive(dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]]) -> bool:
    """Whether dosages without dates follow each other: other sequence numbers, or lengths that differ."""
    lengths = [_has_length(dosage, steps) for dosage, steps in zip(dosages, doses, strict=True)]
    sequences = {dosage.sequence for dosage in dosages}
    if len(sequences) == 1 and None not in sequences:
        return False
    return all(lengths[:-1]) and (len(sequences) > 1 or not lengths[-1])


def _has_length(dosage: Dosage, steps: Sequence[DailyDose]) -> bool:
    repeat = _repeat(dosage)
    return bool(repeat and (repeat.bounds_duration or repeat.bounds_range or repeat.count)) or bool(
        steps[-1].days
    )


def _together(
    dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: _Notes
) -> list[_Course]:
    """Dosages taken side by side; when they may also follow each other, the dose is the range of both."""
    if any(len(steps) > 1 for steps in doses):
        return [_Course(begin, None, unknown_dose("several dosages, one of them in steps"))]
    total = add_doses([steps[0] for steps in doses])
    ends = [_end_of(d, s, begin, at, notes) for at, (d, s) in enumerate(zip(dosages, doses, strict=True))]
    last = max((end for end in ends if end), key=lambda end: end.latest, default=None)
    last = last if all(ends) else None
    if len({dosage.sequence for dosage in dosages}) > 1 and not _are_at_other_times(dosages):
        low = min((steps[0].low_mg for steps in doses if steps[0].low_mg is not None), default=None)
        if total.low_mg is not None and low is not None:
            why = "whether the dosages are taken together or one after the other is not recorded"
            total = DailyDose(low, total.high_mg, f"{low:g}-{total.high_mg:g} mg/day ({why})")
    return [_Course(begin, last, total)]


def _are_at_other_times(dosages: Sequence[Dosage]) -> bool:
    named = [_moments(dosage) for dosage in dosages]
    return all(named) and sum(len(one) for one in named) == len(frozenset().union(*named))


def _moments(dosage: Dosage) -> frozenset[str]:
    repeat = _repeat(dosage)
    structured = frozenset((*repeat.time_of_day, *repeat.when)) if repeat else frozenset()
    return structured or read_dose_text(dosage.text or "").moments


def _one_after_the_other(
    dosages: Sequence[Dosage], doses: Sequence[tuple[DailyDose, ...]], begin: PartialDate, notes: _Notes
) -> list[_Course]:
    courses: list[_Course] = []
    first = begin
    for at in sorted(range(len(dosages)), key=lambda at: _sequence(dosages[at])):
        last = _end_of(dosages[at], doses[at], first, at, notes)
        courses += _steps_from(first, doses[at], last)
        if last and last.is_exact:
            first = _exactly(_later(last.latest, 1))
    return courses


# --- the last day ---------------------------------------------------------------------------------------


def _end_of(
    dosage: Dosage, steps: Sequence[DailyDose], first: PartialDate, at: int, notes: _Notes
) -> PartialDate | None:
    """The end that a dosage itself sets: its bounds, or the number of doses."""
    repeat = _repeat(dosage)
    if repeat is None:
        return None
    path = f"$.dosageInstruction[{at}].timing.repeat"
    if repeat.bounds_period and repeat.bounds_period.end is not None:
        end = notes.read_date(repeat.bounds_period.end, f"{path}.boundsPeriod.end")
        if end and end.latest < first.earliest:
            notes.problems.append(
                f"{path}.boundsPeriod.end: expected a day after {first.earliest}, found {end.latest}"
            )
            return None
        return end
    if repeat.bounds_duration:
        return _after(repeat.bounds_duration, first, f"{path}.boundsDuration", notes)
    if repeat.bounds_range:
        low, high = repeat.bounds_range.low, repeat.bounds_range.high
        shortest = _after(low, first, f"{path}.boundsRange.low", notes) if low else first
        longest = _after(high, first, f"{path}.boundsRange.high", notes) if high else None
        return PartialDate(shortest.earliest, longest.latest) if shortest and longest else None
    return _after_count(repeat, steps, first)


def _after_count(repeat: Repeat, steps: Sequence[DailyDose], first: PartialDate) -> PartialDate | None:
    """The last day of so many doses, when it is known how many are taken a day."""
    per_day = _times_per_day(repeat)
    count = positive(repeat.count) if repeat.count is not None else None
    if not (count and per_day and len(steps) == 1):
        return None
    most = positive(repeat.count_max) if repeat.count_max is not None else count
    shortest, longest = (max(1, round(number / per_day)) for number in (count, most or count))
    return PartialDate(_later(first.earliest, shortest - 1), _later(first.latest, longest - 1))


def _times_per_day(repeat: Repeat) -> float | None:
    unit = DURATION_UNITS.get(repeat.period_unit or "")
    period = positive(repeat.period, unit) if repeat.period is not None and unit else None
    times = positive(repeat.frequency if repeat.frequency is not None else 1)
    return times / period if times and period else None


def _after(
    length: Quantity, first: PartialDate, path: str, notes: _Notes, times: int = 1
) -> PartialDate | None:
    """The last of so many days, weeks or months from `first` on, `times` over."""
    to_last_day = _length(length, times)
    if to_last_day is None:
        shown = f"{length.comparator or ''}{length.value} {length.code or length.unit or ''}"[:40]
        notes.problems.append(f"{path}: expected a length of time above 0, found {shown.strip()!r}")
        return None
    return PartialDate(to_last_day(first.earliest), to_last_day(first.latest))


def _length(length: Quantity, times: int) -> Callable[[date], date] | None:
    names = [(name or "").strip().lower() for name in (length.code, length.unit)]
    if length.value is None or length.comparator:
        return None
    for name in names:
        if name in DURATION_UNITS and (days := positive(length.value, DURATION_UNITS[name] * times)):
            return lambda first: _later(first, max(1, round(days)) - 1)
        if name in MONTH_UNITS and (months := positive(length.value, MONTH_UNITS[name] * times)):
            return lambda first: _later(_months_later(first, months), -1)
    return None


def _months_later(day: date, months: float) -> date:
    whole = int(min(months, 12 * 8000))
    year, month = divmod(day.year * 12 + day.month - 1 + whole, 12)
    if year > date.max.year:
        return date.max
    same = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    return _later(same, round((months - whole) * 30.44))


def _later(day: date, days: float) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max


def _exactly(day: date) -> PartialDate:
    return PartialDate(day, day)


def _with_ends(
    courses: list[_Course], order: MedicationRequest, begin: PartialDate, on: date, notes: _Notes
) -> tuple[list[_Course], str, bool]:
    """Closes what the dosage leaves open by the order's own end; with what that rests on, and if it is recorded."""
    ended = _end_of_period(order, begin, notes)
    if all(course.last for course in courses):
        return *_cut(courses, ended, f"to {_shown_end(courses)} by the dosage"), True
    end, text = _end_of_supply(order, courses, begin, notes)
    if end is None:
        end, text = _end_in_words(courses)
    if end is None and ended:
        end, text = ended, _text_of_period(ended)
    if end is None:
        end, text = _end_of_validity(order, begin, notes)
    has_end = end is not None
    if end is None:
        end, text = _exactly(on), _text_without_end(order)
    closed = [
        course if course.last else replace(course, last=_not_before(end, course.first)) for course in courses
    ]
    return *_cut(closed, ended, text), has_end


def _end_of_period(order: MedicationRequest, begin: PartialDate, notes: _Notes) -> PartialDate | None:
    """The end that R5 records beside the dosages; also the day on which an order was ended or stopped."""
    period = order.effective_dose_period
    end = notes.read_date(period.end if period else None, f"{PERIOD_PATH}.end")
    if end and end.latest < begin.earliest:
        notes.problems.append(f"{PERIOD_PATH}.end: expected a day after {begin.earliest}, found {end.latest}")
        return None
    return end


def _text_of_period(end: PartialDate) -> str:
    return f"to {end.latest} by the period of the order"


def _cut(courses: list[_Course], end: PartialDate | None, text: str) -> tuple[list[_Course], str]:
    """No course goes on after `end`, however long its dosage or the supply would last."""
    if end is None or all(course.last and course.last.latest <= end.latest for course in courses):
        return courses, text
    begun = [course for course in courses if course.first.earliest <= end.latest] or courses[:1]
    return [_cut_at(course, end) for course in begun], _text_of_period(end)


def _cut_at(course: _Course, end: PartialDate) -> _Course:
    is_over = course.last and course.last.latest <= end.latest
    return course if is_over else replace(course, last=_not_before(end, course.first))


def _open_ended(courses: Sequence[_Course], on: date) -> list[_Course]:
    """An end that could not be read may be any day up to today: the dose that ran last may still run."""
    ends = [course.last.latest for course in courses if course.last]
    return [
        replace(course, last=_not_before(_exactly(on), course.first))
        if course.last is None or course.last.latest == max(ends)
        else course
        for course in courses
    ]


def _shown_doses(courses: Sequence[_Course]) -> str:
    in_turn = all(a.last is not None and a.last.latest < b.first.earliest for a, b in pairwise(courses))
    return ("; then " if in_turn else "; with ").join(dict.fromkeys(course.dose.text for course in courses))


def _not_before(end: PartialDate, first: PartialDate) -> PartialDate:
    return PartialDate(max(end.earliest, first.earliest), max(end.latest, first.latest))


def _shown_end(courses: Sequence[_Course]) -> str:
    ends = [course.last.latest for course in courses if course.last]
    return max(ends).isoformat() if ends else "an unrecorded day"


def _end_of_supply(
    order: MedicationRequest, courses: Sequence[_Course], begin: PartialDate, notes: _Notes
) -> tuple[PartialDate | None, str]:
    dispense = order.dispense_request
    if dispense is None:
        return None, ""
    fills = 1 + _repeats(dispense.number_of_repeats_allowed, notes)
    if dispense.expected_supply_duration:
        path = "$.dispenseRequest.expectedSupplyDuration"
        end = _after(dispense.expected_supply_duration, begin, path, notes, fills)
        return end, f"to {end.latest} by the supply of {fills} fill(s)" if end else ""
    days = _days_of_quantity(dispense.quantity, courses)
    if days is None:
        return None, ""
    end = PartialDate(_later(begin.earliest, days * fills - 1), _later(begin.latest, days * fills - 1))
    return end, f"to {end.latest} by the quantity of {fills} fill(s)"


def _end_in_words(courses: Sequence[_Course]) -> tuple[PartialDate | None, str]:
    """ "1 tablet daily for 30 days": the length that the text of the only course tells."""
    days = courses[0].dose.days if len(courses) == 1 else None
    if not days:
        return None, ""
    first = courses[0].first
    end = PartialDate(_later(first.earliest, days - 1), _later(first.latest, days - 1))
    return end, f"to {end.latest} by the dosage text"


def _repeats(repeats: float | None, notes: _Notes) -> int:
    if repeats is None or repeats == 0:
        return 0
    if not 0 < repeats <= MOST_REPEATS:
        notes.problems.append("$.dispenseRequest.numberOfRepeatsAllowed: expected 0 or a small number")
        return 0
    return int(repeats)


def _days_of_quantity(quantity: Quantity | None, courses: Sequence[_Course]) -> int | None:
    """How many days a quantity lasts at the number of pieces (or mL) a day."""
    dose = courses[0].dose if len(courses) == 1 else None
    pieces = dose.pieces_per_day if dose else None
    if quantity is None or quantity.value is None or quantity.comparator or not pieces:
        return None
    units = [
        load_units().get((name or "").strip().lower()) for name in (quantity.code, quantity.unit) if name
    ]
    known = [unit for unit in units if unit]
    fitting = (dose.piece_kind,) if dose and dose.piece_kind else (UnitKind.COUNT, UnitKind.VOLUME)
    if units and not any(unit.kind in fitting for unit in known):
        return None
    days = positive(quantity.value, 1 / pieces)
    return max(1, int(days + 1e-9)) if days and days < 1e6 else None


def _end_of_validity(
    order: MedicationRequest, begin: PartialDate, notes: _Notes
) -> tuple[PartialDate | None, str]:
    validity = order.dispense_request.validity_period if order.dispense_request else None
    path = "$.dispenseRequest.validityPeriod.end"
    end = notes.read_date(validity.end if validity else None, path)
    if end and end.latest < begin.earliest:
        notes.problems.append(f"{path}: expected a day after {begin.earliest}, found {end.latest}")
        return None, ""
    return end, f"to {end.latest} by the validity period" if end else ""


def _text_without_end(order: MedicationRequest) -> str:
    if order.status == "active" and not _states_a_quantity(order):
        return "no end recorded, status active: taken as continuing"
    return f"no end recorded, status {order.status or 'missing'}"


# --- certainty -------------------------------------------------------------------------------------------


def _is_settled(order: MedicationRequest, courses: Sequence[_Course], has_end: bool, on: date) -> bool:
    """Whether the status leaves no doubt that the drug was taken to its last day.

    An active order goes on unless it was for a supply of which it is not known how long it lasts. A
    stopped order whose end still lies ahead stopped on an unrecorded day. On hold since when, and a
    status that is missing or not known, leave every day open.
    """
    if order.status == "active":
        return has_end or not _states_a_quantity(order)
    if order.status == "completed":
        return has_end
    return (
        order.status == "stopped"
        and has_end
        and all(c.last is not None and c.last.latest <= on for c in courses)
    )


def _states_a_quantity(order: MedicationRequest) -> bool:
    return order.dispense_request is not None and order.dispense_request.quantity is not None


def _why(order: MedicationRequest, start: PartialDate | None, notes: _Notes, doubt: str) -> str:
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


def _segments(courses: Sequence[_Course], on: date, is_certain: bool) -> Iterable[DoseSegment]:
    """Consecutive days with one dose each; courses that overlap are added up. Nothing after `on`."""
    layers = [layer for course in courses for layer in _layers(course, on, is_certain)]
    edges = sorted({layer.first_day for layer in layers} | {_later(layer.last_day, 1) for layer in layers})
    for first_day, next_day in pairwise(edges):
        present = [layer for layer in layers if layer.first_day <= first_day <= layer.last_day]
        if present:
            yield _segment(first_day, next_day - ONE_DAY, present)


def _layers(course: _Course, on: date, is_certain: bool) -> Iterable[_Layer]:
    """The days on which a course surely ran, and the days around them on which it may have."""
    first, last = course.first, course.last or _exactly(on)
    core = (first.latest, min(last.earliest, on))
    whole = (first.earliest, min(last.latest, on))
    if not is_certain or core[0] > core[1]:
        if whole[0] <= whole[1]:
            yield _Layer(*whole, course.dose, is_certain=False)
        return
    yield _Layer(*core, course.dose, is_certain=True)
    if whole[0] < core[0]:
        yield _Layer(whole[0], core[0] - ONE_DAY, course.dose, is_certain=False)
    if whole[1] > core[1]:
        yield _Layer(core[1] + ONE_DAY, whole[1], course.dose, is_certain=False)


def _segment(first_day: date, last_day: date, present: Sequence[_Layer]) -> DoseSegment:
    certain = [layer.dose for layer in present if layer.is_certain]
    total = add_doses([layer.dose for layer in present])
    if certain and len(certain) < len(present) and total.low_mg is not None:
        total = replace(total, low_mg=add_doses(certain).low_mg)
    return DoseSegment(first_day, last_day, total.low_mg, total.high_mg, bool(certain))
