"""The words of dosing: units of amounts and of time, codes of how often, phrases of a dosage text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache

from cds_service.tables.drugs import Words, words_of
from cds_service.tables.rows import Row, read_rows


class UnitKind(Enum):
    """What an amount counts. `UNREADABLE` units are known, but give no mg without further facts."""

    MASS = "mass"
    VOLUME = "volume"
    COUNT = "count"
    DROP = "drop"
    SPRAY = "spray"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Unit:
    """`factor` turns the unit into mg or mL."""

    kind: UnitKind
    factor: float


class PhraseKind(Enum):
    """What a phrase does in a dosage text; some need a `value`, as the comment tells."""

    TIMES_PER_DAY = "times_per_day"  # how many
    EACH_DAY = "each_day"  # 1
    OCCASIONS = "occasions"  # how many: once, twice
    MOMENT = "moment"  # time of day
    WEEKDAY = "weekday"  # days of the week, separated by spaces
    HALF_OF_DAYS = "half_of_days"  # which half: odd, even, one, next
    OTHER_DAYS = "other_days"
    EXCEPT = "except"
    ALTERNATE = "alternate"
    EVERY = "every"
    PER = "per"
    NUMBER = "number"  # which
    ROMAN = "roman"  # which: a number only before a unit or a time
    ARTICLE = "article"  # 1: a number only before a unit
    ORDINAL = "ordinal"  # which
    AS_NEEDED = "as_needed"
    THEN = "then"  # "change" where another dose replaces the one before
    ONWARD = "onward"
    STOP = "stop"
    CHANGE = "change"  # up or down
    BY = "by"
    PLAN = "plan"
    FOR = "for"
    AFTER = "after"
    AND = "and"
    OR = "or"
    RANGE = "range"
    EACH = "each"
    TIMES = "times"  # "daily" where it says that too
    DAYS = "days"  # how many
    DATE = "date"  # in digits, so without rows of its own
    MONTH = "month"
    DATE_FOLLOWS = "date_follows"  # "aside" where the date is not one of the course
    AT = "at"
    NIGHT_OR_ON = "night_or_on"
    MAXIMUM = "maximum"
    UP_TO = "up_to"
    TOTAL = "total"
    EQUALS = "equals"
    STRENGTH = "strength"
    DIVIDED = "divided"
    SUPPLY = "supply"
    SUPPLIED = "supplied"
    MEALS = "meals"
    SITES = "sites"  # how many
    SPOON = "spoon"
    WITH = "with"
    DRINK = "drink"
    CONDITION = "condition"
    ABOUT = "about"
    UNCLEAR = "unclear"  # "not as ordered" where the order is not, or no longer, followed
    WARNING = "warning"
    HARMLESS = "harmless"
    FOREIGN = "foreign"  # of another language than English, whatever else it does


@dataclass(frozen=True)
class Phrase:
    """A meaning of some words: `number` for what is counted, `slot` for moments and weekdays."""

    kind: PhraseKind
    number: float = 0.0
    slot: str = ""


NUMERIC = frozenset(
    {
        PhraseKind.TIMES_PER_DAY, PhraseKind.EACH_DAY, PhraseKind.OCCASIONS, PhraseKind.NUMBER, PhraseKind.ROMAN,
        PhraseKind.ARTICLE, PhraseKind.ORDINAL, PhraseKind.DAYS, PhraseKind.SITES,
    }
)  # fmt: skip

LEXEME = re.compile(
    r"(?P<date>\d{4}-\d{1,2}-\d{1,2}(?!\d)|\d{1,2}/\d{1,2}/(?:\d{4}|\d\d)(?!\d)|\d{1,2}([.-])\d{1,2}\2(?:\d{4})(?!\d))"
    r"|(?P<code>(?<![^\W_])(?:[fgz]\d\d(?:\.\d+)?|[a-pr-wy]\d\d\.\d+)(?![^\W_]))"
    r"|(?P<number>\d+(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:[.,]\d+)?|(?<![^\W_])\.\d+)"
    r"|(?P<word>[^\W\d_]+)"
    r"|(?P<mark>[^\w\s]|\n)"
)  # fmt: skip


def lexemes(text: str) -> list[re.Match[str]]:
    """Numbers, words and marks of a text in lower case; dates and diagnosis codes as one piece each."""
    return list(LEXEME.finditer(text))


@lru_cache(maxsize=1)
def load_units() -> dict[str, Unit]:
    rows = read_rows("dose_units.csv", ("unit", "kind", "factor", "source"))
    return {
        row.required("unit"): Unit(
            UnitKind(row.one_of("kind", [kind.value for kind in UnitKind])), row.required_number("factor")
        )
        for row in rows
    }


def units_named(*names: str | None) -> list[Unit]:
    """The units that these codes and names are, in this order; those that no row has are left out."""
    known = load_units()
    return [known[plain] for name in names if name and (plain := name.strip().lower()) in known]


def pieces_in(text: str) -> list[str]:
    """The words of a text that count pieces: `tablet` in "film coated tablet"."""
    found = ((word, units_named(word)) for word in words_of(text) if word.isalpha())
    return [word for word, units in found if units and units[0].kind is UnitKind.COUNT]


@lru_cache(maxsize=1)
def load_unit_words() -> dict[Words, Unit]:
    """The units as a text spells them, by their words; ratios such as mg/mL are left to the grammar."""
    spelled = {name: unit for name, unit in load_units().items() if "/" not in name and not name.isdigit()}
    return {_lexemes_of(name): unit for name, unit in spelled.items()}


PHRASE_KINDS = tuple(kind.value for kind in PhraseKind)


@lru_cache(maxsize=1)
def load_sig_phrases() -> dict[Words, tuple[Phrase, ...]]:
    """Every phrase by its words; some words have several meanings, of which the context decides."""
    phrases: dict[Words, tuple[Phrase, ...]] = {}
    for row in read_rows("sig_phrases.csv", ("phrase", "kind", "value", "source")):
        words = _lexemes_of(row.required("phrase"))
        phrases[words] = (*phrases.get(words, ()), _phrase(row))
    columns = ("phrase", "kind", "value", "language", "source")
    for row in read_rows("sig_phrases_other_languages.csv", columns):
        words = _lexemes_of(row.required("phrase"))
        meanings = (*phrases.get(words, ()), _phrase(row), Phrase(PhraseKind.FOREIGN))
        phrases[words] = tuple(dict.fromkeys(meanings))
    return phrases


@lru_cache(maxsize=1)
def longest_phrase() -> int:
    """Words in the longest phrase or unit."""
    return max(map(len, (*load_sig_phrases(), *load_unit_words())))


def _lexemes_of(phrase: str) -> Words:
    return tuple(lexeme[0] for lexeme in lexemes(phrase))


def _phrase(row: Row) -> Phrase:
    kind = PhraseKind(row.one_of("kind", PHRASE_KINDS))
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


def time_unit_named(*names: str | None) -> TimeUnit | None:
    """The unit of time that the first of these codes and names with a row is."""
    known = load_time_units()
    return next((known[plain] for name in names if name and (plain := name.strip().lower()) in known), None)


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
