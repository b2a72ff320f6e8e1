"""The words of dosing: units of an amount, and phrases of a dosage text with what they mean."""

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
    try:
        return Phrase(kind, number=float(Fraction(row.required("value"))))
    except ValueError:
        row.reject("value", "a number or a fraction")
