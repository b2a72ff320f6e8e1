"""The words of dosing: units of amounts and of time, codes of how often, phrases of a dosage text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache

from cds_service.tables.drugs import Words
from cds_service.tables.rows import Row, read_rows


class UnitKind(Enum):
    """What an amount counts. `UNREADABLE` units are known, but give no mg without further facts."""

    MASS = "mass"
    VOLUME = "volume"
    COUNT = "count"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Unit:
    """`factor` turns the unit into mg or mL."""

    kind: UnitKind
    factor: float


class PhraseKind(Enum):
    TIMES_PER_DAY = "times_per_day"
    EACH_DAY = "each_day"
    MOMENT = "moment"
    WEEKDAY = "weekday"
    NUMBER = "number"
    AS_NEEDED = "as_needed"
    THEN = "then"
    FOR = "for"
    AFTER = "after"
    AND = "and"
    RANGE = "range"
    EACH = "each"
    TIMES = "times"
    DAYS = "days"
    UNCLEAR = "unclear"
    WARNING = "warning"
    HARMLESS = "harmless"


@dataclass(frozen=True)
class Phrase:
    """A meaning of some words: `number` for times per day, numbers and days, `slot` for moments and weekdays."""

    kind: PhraseKind
    number: float = 0.0
    slot: str = ""


NUMERIC = frozenset({PhraseKind.TIMES_PER_DAY, PhraseKind.EACH_DAY, PhraseKind.NUMBER, PhraseKind.DAYS})


@lru_cache(maxsize=1)
def load_units() -> dict[str, Unit]:
    rows = read_rows("dose_units.csv", ("unit", "kind", "factor", "source"))
    return {
        row.required("unit"): Unit(
            UnitKind(row.one_of("kind", [kind.value for kind in UnitKind])), row.required_number("factor")
        )
        for row in rows
    }


@lru_cache(maxsize=1)
def load_sig_phrases() -> dict[Words, tuple[Phrase, ...]]:
    """Every phrase by its words; some words have several meanings, of which the context decides."""
    phrases: dict[Words, tuple[Phrase, ...]] = {}
    for row in read_rows("sig_phrases.csv", ("phrase", "kind", "value", "source")):
        words = tuple(row.required("phrase").split())
        phrases[words] = (*phrases.get(words, ()), _phrase(row))
    return phrases


def _phrase(row: Row) -> Phrase:
    kind = PhraseKind(row.one_of("kind", [kind.value for kind in PhraseKind]))
    if kind not in NUMERIC:
        return Phrase(kind, slot=row.text("value"))
    return Phrase(kind, number=_fraction(row, "value"))


@dataclass(frozen=True)
class TimeUnit:
    """`code` is the UCUM code (s, min, h, d, wk, mo, a), `days` its length; months and years vary with the calendar."""

    code: str
    days: float


@lru_cache(maxsize=1)
def load_time_units() -> dict[str, TimeUnit]:
    return {
        row.required("name"): TimeUnit(row.required("unit"), _fraction(row, "days"))
        for row in read_rows("time_units.csv", ("name", "unit", "days", "source"))
    }


@lru_cache(maxsize=1)
def load_event_timings() -> dict[str, str]:
    """The codes of `timing.repeat.when` with the time of day each names; empty for "at every meal" and the like."""
    rows = read_rows("event_timings.csv", ("code", "slot", "source"))
    return {row.required("code"): row.text("slot") for row in rows}


@lru_cache(maxsize=1)
def load_timing_codes() -> dict[tuple[str, str], tuple[float, float]]:
    """Times a day, fewest and most, by system and code of a `timing.code`."""
    columns = ("system", "code", "per_day", "per_day_high", "display", "source")
    return {
        (row.required("system"), row.required("code")): (
            _fraction(row, "per_day"),
            _fraction(row, "per_day_high" if row.text("per_day_high") else "per_day"),
        )
        for row in read_rows("timing_codes.csv", columns)
    }


def _fraction(row: Row, column: str) -> float:
    try:
        value = float(Fraction(row.required(column)))
    except (ValueError, ZeroDivisionError):
        row.reject(column, "a number or a fraction")
    return value if value > 0 else row.reject(column, "a number above 0")
