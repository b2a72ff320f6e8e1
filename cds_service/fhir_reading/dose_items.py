"""What the words of a dosage text stand for: amounts, times, lengths, and the marks between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cds_service.tables.dosing import UnitKind


@dataclass(frozen=True)
class Amount:
    """How much at one time, from `low` to `high`, in mg, mL, pieces, drops or sprays.

    `mg_each` is the strength of one piece (or mL) when the text states it; `mg_beside` an amount of mg beside
    a count or volume ("2 tablets (50 mg)") that may be the strength or the total; `is_total` tells that
    it is the total. `is_bare` numbers have no unit ("1 daily").
    """

    low: float
    high: float
    kind: UnitKind
    mg_each: float | None = None
    mg_beside: float | None = None
    is_total: bool = False
    is_bare: bool = False

    @property
    def total_mg(self) -> float | None:
        """mg in all, where the text alone tells."""
        if self.low != self.high:
            return None
        if self.kind is UnitKind.MASS:
            return self.low
        return self.low * self.mg_each if self.mg_each is not None else None


MOST_BARE_PIECES = 4.0  # a larger number without a unit can hardly be tablets


@dataclass(frozen=True)
class Rate:
    """Times per day, from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Part:
    """An amount and how often it is taken; either may be missing."""

    amount: Amount | None = None
    rate: Rate | None = None


@dataclass(frozen=True)
class Times:
    """How often. A `weak` one ("daily") only says that it is each day."""

    per_day: float
    per_day_high: float
    is_weak: bool = False


@dataclass(frozen=True)
class Moment:
    """A time of day; `clock` tells hours of one part of the day apart."""

    slot: str
    clock: str = ""


@dataclass(frozen=True)
class SomeDays:
    """The days on which it is taken: days of the week by name, or halves of all days ("odd", "next")."""

    names: frozenset[str]
    share: float


@dataclass(frozen=True)
class Length:
    """A length of time: `for` it lasts, or `after` it something changes; None when it is not told exactly."""

    days: int | None
    is_after: bool = False


@dataclass(frozen=True)
class Stretch:
    """The days that a heading names ("week 2", "days 8-14"); open when `last` is None."""

    first: int
    last: int | None


@dataclass(frozen=True)
class Strength:
    """What one piece of the product holds ("50 mg tablet"); None for that of a combination."""

    mg: float | None


@dataclass(frozen=True)
class Concentration:
    """mg in one mL."""

    mg: float


@dataclass(frozen=True)
class Beside:
    """Amounts in brackets."""

    amounts: tuple[Amount, ...]
    is_total: bool


@dataclass(frozen=True)
class Total:
    """An amount that the text calls the total, of a day or of one time."""

    amount: Amount
    is_daily: bool


@dataclass(frozen=True)
class Most:
    """The most to be taken: in a day, unless the text says otherwise; `is_permission` ones ("up to") are no limit."""

    amount: Amount
    is_daily: bool
    is_permission: bool


@dataclass(frozen=True)
class Ladder:
    """ "Increase by 25 mg every week to 100 mg": by how much (less than 0 downwards), after how many days, to what."""

    by: Amount
    days: int
    to: Amount
    is_up: bool


class Mark(Enum):
    AND = "and"
    ALTERNATE = "alternate"
    DIVIDED = "divided"
    OTHER_DAYS = "other days"
    THEN = "then"
    CHANGE = "change"
    ONWARD = "onward"
    STOP = "stop"
    PLAN = "plan"
    SCHEME = "scheme"
    DATE = "date"
    REFILLS = "refills"
    AS_NEEDED = "as needed"
    COMMA = ","
    BREAK = "."
    OPEN = "("
    CLOSE = ")"
    EQUALS = "="
    OF = "of"
    RANGE = "to"
    OR = "or"
    WORD = "word"


@dataclass(frozen=True)
class Unclear:
    """A word of doubt; `is_not_as_ordered` where it tells that the order is not followed ("not taking")."""

    why: str
    is_not_as_ordered: bool = False


@dataclass(frozen=True)
class Again:
    """The dose of a day said again in other words, in brackets."""

    items: tuple[Amount | Times | Moment | Mark, ...]


class UnclearError(Exception):
    """A text that can be read in several ways; the message says why."""


Item = (
    Amount | Times | Moment | SomeDays | Length | Stretch | Strength | Concentration | Beside | Again | Total | Most
    | Ladder | Mark | Unclear
)  # fmt: skip
Read = tuple[tuple[Item, ...], int]
NOT_HERE: Read = ((), 0)
