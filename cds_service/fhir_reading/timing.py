"""A structured Timing → how often a dose is taken, in times per day, and the days that its events name.

`repeat`, `code` and `event` must agree where several are there. What leaves more than one honest reading
raises `UnreadableError`, whose text says which element and why.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from cds_service.fhir_reading.dates import parse_fhir_date
from cds_service.fhir_reading.dose_text import Rate, read_rate
from cds_service.fhir_reading.elements import CodeableConcept, Coding, Repeat, Timing
from cds_service.fhir_reading.figures import SAME_WITHIN, is_close, positive
from cds_service.tables.dosing import load_event_timings, load_time_units, load_timing_codes
from cds_service.trd.days import shifted

LONGEST_DAYS_BETWEEN_EVENTS = 7
WEEKDAYS = frozenset({"mon", "tue", "wed", "thu", "fri", "sat", "sun"})
TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?", re.ASCII)
EVERY_MEAL = None


class UnreadableError(Exception):
    """A structured element that has no honest reading; the text says which and why."""


def is_same_rate(one: Rate, other: Rate) -> bool:
    return is_close(one.low, other.low) and is_close(one.high, other.high)


def times_per_day(timing: Timing | None) -> Rate | None:
    """How often, from all that the timing says; None when it does not say."""
    if timing is None:
        return None
    repeat = _rate_of_repeat(timing.repeat) if timing.repeat else None
    code = _rate_of_code(timing.code) if timing.code else None
    if repeat and code and not is_same_rate(repeat, code):
        raise UnreadableError("timing code and timing repeat disagree")
    stated = repeat or code
    if timing.event:
        return _with_events(stated, timing.event)
    if stated is None and timing.repeat and _is_one_dose(timing.repeat):
        return Rate(1, 1)
    return stated


def _is_one_dose(repeat: Repeat) -> bool:
    """A count of one tells a single dose, which needs no frequency."""
    return (
        repeat.count == 1 and repeat.count_max in (None, 1) and repeat.frequency is None and not repeat.when
    )


# --- code --------------------------------------------------------------------------------------------


def _rate_of_code(concept: CodeableConcept) -> Rate | None:
    rates = {rate for coding in concept.coding for rate in _rates_of_coding(coding)}
    if concept.text and (rate := read_rate(concept.text)):
        rates.add(rate)
    if any(not is_same_rate(one, other) for one in rates for other in rates):
        raise UnreadableError("the timing's code and its text disagree")
    return rates.pop() if rates else None


def _rates_of_coding(coding: Coding) -> list[Rate]:
    """What the code says by its table, else as a word, and what its display says."""
    code = (coding.code or "").strip()
    known = load_timing_codes().get(((coding.system or "").strip(), code))
    found = [Rate(*known) if known else read_rate(code), read_rate(coding.display or "")]
    return [rate for rate in found if rate]


# --- repeat ------------------------------------------------------------------------------------------


def _rate_of_repeat(repeat: Repeat) -> Rate | None:
    occasions = _occasions(repeat)
    if occasions is EVERY_MEAL and repeat.frequency is None:
        return None
    frequency = _frequency(repeat, occasions or 1)
    days = _period_days(repeat)
    if repeat.day_of_week:
        return _on_weekdays(repeat, frequency, occasions or 1, days)
    if days is None:
        return _by_times_of_day(repeat, frequency, occasions)
    if occasions:
        _check_times_of_day(frequency, occasions, days)
    return Rate(frequency[0] / days[1], frequency[1] / days[0])


def lasts_beyond_the_next(repeat: Repeat) -> bool:
    """Whether `duration`, the length of one administration, is more than a period: it may be that of the course."""
    unit, period = (
        load_time_units().get(repeat.duration_unit or ""),
        load_time_units().get(repeat.period_unit or ""),
    )
    if unit is None or period is None or repeat.duration is None or repeat.period is None:
        return False
    return repeat.duration * unit.days > repeat.period * period.days * (1 + SAME_WITHIN)


def _by_times_of_day(repeat: Repeat, frequency: tuple[float, float], occasions: int | None) -> Rate | None:
    """Times of day without a period are those of every day."""
    if not occasions:
        return None
    if repeat.frequency is not None and frequency != (occasions, occasions):
        raise UnreadableError("frequency and times of day disagree")
    return Rate(occasions, occasions)


def _occasions(repeat: Repeat) -> int | None:
    """How many times of day are named; `EVERY_MEAL` when a code leaves open how many meals there are."""
    if any(not TIME_OF_DAY.fullmatch(time) for time in repeat.time_of_day):
        raise UnreadableError("a time of day that cannot be read")
    if repeat.time_of_day:
        return len({time[:5] for time in repeat.time_of_day})
    if not repeat.when:
        return 0
    slots = [_slot(code) for code in set(repeat.when)]
    if "" in slots:
        return EVERY_MEAL
    if len(set(slots)) != len(slots) and repeat.frequency is None:
        raise UnreadableError("whether the events named are one time of day or several")
    return len(set(slots)) if repeat.frequency == len(set(slots)) else len(slots)


def _slot(code: str) -> str:
    timings = load_event_timings()
    if code not in timings:
        raise UnreadableError(f"the event {code[:40]!r} is not known")
    return timings[code]


def slots_of(repeat: Repeat) -> frozenset[str]:
    """The times of day that a repeat names, to tell whether two dosages are taken at the same."""
    timings = load_event_timings()
    return frozenset((*repeat.time_of_day, *(timings.get(code) or code for code in repeat.when)))


def _frequency(repeat: Repeat, default: int) -> tuple[float, float]:
    low = default if repeat.frequency is None else positive(repeat.frequency)
    high = low if repeat.frequency_max is None else positive(repeat.frequency_max)
    if low is None or high is None or low > high:
        raise UnreadableError("the frequency is not possible")
    return low, high


def _period_days(repeat: Repeat) -> tuple[float, float] | None:
    """The length of one period in days, shortest and longest."""
    if repeat.period is None and repeat.period_unit is None:
        return None
    unit = load_time_units().get(repeat.period_unit or "")
    if unit is None or repeat.period is None:
        raise UnreadableError("a period without its length or without a unit that is known")
    low = positive(repeat.period, unit.days)
    high = low if repeat.period_max is None else positive(repeat.period_max, unit.days)
    if low is None or high is None or low > high:
        raise UnreadableError("the period is not possible")
    return low, high


def _check_times_of_day(frequency: tuple[float, float], occasions: int, days: tuple[float, float]) -> None:
    """The frequency must fit the times of day: all of them on each day, or on some of the days."""
    low, high = frequency[0] / days[1], frequency[1] / days[0]
    is_all_on_some_days = all(times % occasions == 0 for times in frequency) and high <= occasions * (
        1 + 1e-9
    )
    is_each_day = is_close(low, occasions) and is_close(high, occasions)
    if not (is_each_day or (days[0] >= 1 and is_all_on_some_days)):
        raise UnreadableError("frequency and times of day disagree")


def _on_weekdays(
    repeat: Repeat, frequency: tuple[float, float], occasions: int, days: tuple[float, float] | None
) -> Rate:
    """Days of the week: so many days in seven (or in fourteen, ...), each with the times of day named."""
    named = frozenset(day.lower() for day in repeat.day_of_week)
    if not named <= WEEKDAYS:
        raise UnreadableError("a day of the week that is not known")
    if days is None or days == (1, 1):
        if occasions > 1:
            _check_times_of_day(frequency, occasions, (1, 1))
        return Rate(frequency[0] * len(named) / 7, frequency[1] * len(named) / 7)
    total = len(named) * occasions
    if days[0] != days[1] or days[0] % 7 or (repeat.frequency is not None and frequency != (total, total)):
        raise UnreadableError("frequency and days of the week disagree")
    return Rate(total / days[0], total / days[0])


# --- event -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Events:
    """`rate` is None when the events are not evenly spaced; `last` is the last day that they cover."""

    rate: Rate | None
    first: date
    last: date


def _read_events(events: tuple[str, ...]) -> _Events:
    """One dose at each instant; evenly spaced ones tell how often, a single day so many doses on it."""
    days = [parse_fhir_date(event) for event in dict.fromkeys(events)]
    known = [day.earliest for day in days if day and day.is_exact]
    if len(known) != len(days):
        raise UnreadableError("a timing event is not a day that can be read")
    counts = Counter(known)
    first, last = min(counts), max(counts)
    gaps = {(later - day).days for day, later in pairwise(sorted(counts))} or {1}
    if len(set(counts.values())) > 1 or len(gaps) > 1 or max(gaps) > LONGEST_DAYS_BETWEEN_EVENTS:
        return _Events(None, first, last)
    gap, times = gaps.pop(), counts[first]
    return _Events(Rate(times / gap, times / gap), first, shifted(last, gap - 1))


def _with_events(stated: Rate | None, given: tuple[str, ...]) -> Rate:
    events = _read_events(given)
    if stated:
        if len(given) > 1 and not (events.rate and is_same_rate(events.rate, stated)):
            raise UnreadableError("timing events and timing repeat disagree")
        return stated
    if events.rate is None:
        raise UnreadableError("it is given on days that are not evenly spaced")
    return events.rate


def event_days(timing: Timing | None) -> tuple[date, date] | None:
    """First and last day of the doses that events name, when nothing else tells how often.

    Raises `UnreadableError` when one of them is not a day.
    """
    if timing is None or not timing.event:
        return None
    if (timing.repeat and _says_how_often(timing.repeat)) or timing.code:
        return None
    events = _read_events(timing.event)
    return events.first, events.last


def _says_how_often(repeat: Repeat) -> bool:
    return bool(repeat.frequency or repeat.period or repeat.when or repeat.time_of_day or repeat.day_of_week)
