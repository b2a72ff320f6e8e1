"""Lengths of time, and how long the supply of a dispenseRequest lasts with its repeats.

A length turns a first day into the last day it covers, both included; months and years follow the calendar.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from cds_service.fhir_reading.dates import PartialDate, parse_fhir_date
from cds_service.fhir_reading.dosage import DailyDose
from cds_service.fhir_reading.dose_items import MOST_BARE_PIECES
from cds_service.fhir_reading.elements import DispenseRequest, Quantity
from cds_service.fhir_reading.figures import positive
from cds_service.tables.dosing import UnitKind, load_time_units, time_unit_named, units_named
from cds_service.trd.days import shifted

NO_DAY = date(1900, 1, 1)  # 0001-01-01, 1753-01-01, 1899-12-30 and this: what databases write for no date
MOST_REPEATS = 1000  # more is no number of refills but a slip
MONTHS_IN = {"mo": 1, "a": 12}
LONGEST_SUPPLY_DAYS = 1e6  # beyond all lives; keeps dates within the calendar
MOST_MONTHS = 12 * 8000  # likewise


class Notes:
    """Collects what could not be read on the way: JSON path, expected, found."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def add(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def read_date(self, text: str | None, path: str) -> PartialDate | None:
        if text is None:
            return None
        day = parse_fhir_date(text)
        if day is None:
            self.add(f"{path}: expected a date, found {text[:40]!r}")
        elif day.latest <= NO_DAY:
            self.add(f"{path}: expected a date after {NO_DAY}, found {text[:40]!r}, which stands for none")
            return None
        return day


@dataclass(frozen=True)
class End:
    """A last day, and the element it rests on."""

    day: PartialDate
    rests_on: str


@dataclass(frozen=True)
class Course:
    """A dose from `first` to the day of `end`, both included; `end` is None when its dosage sets none.

    One `in_turn` is taken after others and never beside them, though on what day it begins may not be known.
    """

    first: PartialDate
    end: End | None
    dose: DailyDose
    in_turn: bool = False


# --- lengths ------------------------------------------------------------------------------------------


def exactly(day: date) -> PartialDate:
    return PartialDate(day, day)


def moved(day: PartialDate, days: int) -> PartialDate:
    """So many days later, or earlier when negative."""
    return PartialDate(shifted(day.earliest, days), shifted(day.latest, days))


def shown_day(day: date) -> str:
    return "an unrecorded day" if day == date.max else day.isoformat()


def after(
    length: Quantity, first: PartialDate, path: str, notes: Notes, times: int = 1
) -> PartialDate | None:
    """The last of so many days, weeks or months from `first` on, `times` over."""
    to_last_day = _length(length, times)
    if to_last_day is None:
        shown = f"{length.comparator or ''}{length.value} {length.code or length.unit or ''}"[:40]
        notes.add(f"{path}: expected a length of time above 0, found {shown.strip()!r}")
        return None
    return PartialDate(to_last_day(first.earliest), to_last_day(first.latest))


def _length(length: Quantity, times: int) -> Callable[[date], date] | None:
    unit = time_unit_named(length.code, length.unit)
    if length.value is None or length.comparator or unit is None:
        return None
    if unit.code in MONTHS_IN:
        months = positive(length.value, MONTHS_IN[unit.code] * times)
        return (lambda first: shifted(_months_later(first, months), -1)) if months else None
    days = positive(length.value, unit.days * times)
    return (lambda first: shifted(first, max(1, round(days)) - 1)) if days else None


def _months_later(day: date, months: float) -> date:
    whole = int(min(months, MOST_MONTHS))
    year, month = divmod(day.year * 12 + day.month - 1 + whole, 12)
    if year > date.max.year:
        return date.max
    same = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    return shifted(same, round((months - whole) * load_time_units()["mo"].days))


# --- supply -------------------------------------------------------------------------------------------


def end_of_supply(
    dispense: DispenseRequest | None, courses: Sequence[Course], begin: PartialDate, notes: Notes
) -> End | None:
    """The last day that the first fill and its repeats last, by their lengths, else by their quantities."""
    if dispense is None:
        return None
    repeats = repeats_allowed(dispense, notes)
    if dispense.initial_fill and (dispense.initial_fill.duration or dispense.initial_fill.quantity):
        return _end_with_initial_fill(dispense, courses, begin, repeats, notes)
    end = _end_of_fills(dispense, courses, begin, 1 + repeats, notes)
    return _with_pauses(end, dispense, courses, begin, notes) if end and repeats else end


def repeats_allowed(dispense: DispenseRequest | None, notes: Notes) -> int:
    repeats = dispense.number_of_repeats_allowed if dispense else None
    if repeats is None or repeats == 0:
        return 0
    if not 0 < repeats <= MOST_REPEATS:
        notes.add("$.dispenseRequest.numberOfRepeatsAllowed: expected 0 or a small number")
        return 0
    return int(repeats)


def _end_of_fills(
    dispense: DispenseRequest, courses: Sequence[Course], begin: PartialDate, fills: int, notes: Notes
) -> End | None:
    if dispense.expected_supply_duration:
        path = "$.dispenseRequest.expectedSupplyDuration"
        end = after(dispense.expected_supply_duration, begin, path, notes, fills)
        return End(end, f"the supply of {fills} fill(s)") if end else None
    end = _end_of_quantity(dispense.quantity, courses, begin, fills)
    return End(end, f"the quantity of {fills} fill(s)") if end else None


def _end_with_initial_fill(
    dispense: DispenseRequest, courses: Sequence[Course], begin: PartialDate, repeats: int, notes: Notes
) -> End | None:
    """The initial fill, then the repeats; repeats of an unknown length leave the last day open."""
    initial = dispense.initial_fill
    path = "$.dispenseRequest.initialFill.duration"
    if initial and initial.duration:
        first = after(initial.duration, begin, path, notes)
    else:
        first = _end_of_quantity(initial.quantity if initial else None, courses, begin, 1)
    if first is None or not repeats:
        return End(first, "the initial fill") if first else None
    rest = _end_of_fills(dispense, courses, moved(first, 1), repeats, notes)
    if rest is None:
        return End(
            PartialDate(first.earliest, date.max),
            "the initial fill (how long a repeat lasts is not recorded)",
        )
    return End(rest.day, f"the initial fill and {rest.rests_on}")


def _with_pauses(
    end: End, dispense: DispenseRequest, courses: Sequence[Course], begin: PartialDate, notes: Notes
) -> End:
    """Fills that are dispensed further apart than they last leave days between them that are not certain."""
    if dispense.dispense_interval is None:
        return end
    repeats = repeats_allowed(dispense, notes)
    path = "$.dispenseRequest.dispenseInterval"
    before_last = after(dispense.dispense_interval, begin, path, notes, repeats)
    one = _end_of_fills(dispense, courses, begin, 1, notes)
    if before_last is None or one is None:
        return end
    last = _end_of_fills(dispense, courses, moved(before_last, 1), 1, notes)
    if last is None or last.day.latest <= end.day.latest:
        return end
    return End(PartialDate(one.day.earliest, last.day.latest), f"{end.rests_on}, dispensed further apart")


def _end_of_quantity(
    quantity: Quantity | None, courses: Sequence[Course], begin: PartialDate, fills: int
) -> PartialDate | None:
    """A quantity divided by the pieces (or mL) a day, after what the earlier steps of a titration use up."""
    total = _pieces_in(quantity, courses[-1].dose, fills)
    used = _used_before_last(courses)
    if total is None or used is None or used >= total:
        return None
    first = courses[-1].first if len(courses) > 1 else begin
    most = courses[-1].dose.pieces_per_day
    fewest = _fewest_pieces(courses[-1].dose)
    shortest = _whole_days(total - used, most)
    if shortest is None:
        return None
    longest = _whole_days(total - used, fewest) if fewest else None
    latest = shifted(first.latest, longest - 1) if longest else date.max
    return PartialDate(shifted(first.earliest, shortest - 1), latest)


def _whole_days(pieces: float, per_day: float | None) -> int | None:
    days = positive(pieces, 1 / per_day) if per_day else None
    return max(1, int(days + 1e-9)) if days and days < LONGEST_SUPPLY_DAYS else None


def _fewest_pieces(dose: DailyDose) -> float | None:
    """Pieces a day at the low end of the dose; None when it may be none at all."""
    if not (dose.pieces_per_day and dose.low_mg and dose.high_mg):
        return dose.pieces_per_day if dose.low_mg is None or dose.low_mg == dose.high_mg else None
    return dose.pieces_per_day * dose.low_mg / dose.high_mg


def _used_before_last(courses: Sequence[Course]) -> float | None:
    """The pieces that the steps before the last use; None when one does not tell, or they do not adjoin."""
    used = 0.0
    for step, following in pairwise(courses):
        pieces, last = step.dose.pieces_per_day, step.end.day if step.end else None
        if not pieces or last is None or step.dose.low_mg != step.dose.high_mg:
            return None
        if not (step.first.is_exact and last.is_exact) or exactly(shifted(last.latest, 1)) != following.first:
            return None
        used += pieces * ((last.latest - step.first.earliest).days + 1)
    return used


def _pieces_in(quantity: Quantity | None, dose: DailyDose, fills: int) -> float | None:
    if quantity is None or quantity.value is None or quantity.comparator or not dose.pieces_per_day:
        return None
    names = quantity.code, quantity.unit
    if not any(names) and quantity.value <= MOST_BARE_PIECES:
        return None  # 1 without a unit is a pack, or what a system writes when it knows nothing
    fitting = (dose.piece_kind,) if dose.piece_kind else (UnitKind.COUNT, UnitKind.VOLUME)
    if any(names) and not any(unit.kind in fitting for unit in units_named(*names)):
        return None
    return positive(quantity.value, fills)
