"""FHIR dates as the days they may mean.

Knows the lexical forms of FHIR `date`, `dateTime` and `instant`. A text becomes the earliest and the
latest calendar day it allows: `2025-09` is any day of that September. The calendar day is taken as
written: a zone offset never moves it. What is not a FHIR date becomes None.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

FHIR_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})(?P<time>T.+)?)?)?",
    re.ASCII,
)
FHIR_TIME = re.compile(
    r"T([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)(\.\d+)?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)?",
    re.ASCII,
)
LONGEST_FHIR_DATE = 64


@dataclass(frozen=True)
class PartialDate:
    """A calendar day known exactly, or only within bounds; both ends are included."""

    earliest: date
    latest: date

    @property
    def is_exact(self) -> bool:
        return self.earliest == self.latest


def parse_fhir_date(text: object) -> PartialDate | None:
    """The days that a FHIR date, dateTime or instant may mean; None when it is not one."""
    if not isinstance(text, str) or len(text) > LONGEST_FHIR_DATE:
        return None
    return _parse(text)


@lru_cache(maxsize=8192)
def _parse(text: str) -> PartialDate | None:
    if len(text) == 10:
        return _exact_day(text)
    found = FHIR_DATE.fullmatch(text)
    if found is None or not _is_fhir_time(found["time"]):
        return None
    return _days_of(found["year"], found["month"], found["day"])


def _exact_day(text: str) -> PartialDate | None:
    found = FHIR_DATE.fullmatch(text)
    return found and _days_of(found["year"], found["month"], found["day"])


def _is_fhir_time(time: str | None) -> bool:
    return time is None or FHIR_TIME.fullmatch(time) is not None


def _days_of(year: str, month: str | None, day: str | None) -> PartialDate | None:
    try:
        first = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    if day is not None:
        return PartialDate(first, first)
    if month is not None:
        return PartialDate(first, first.replace(day=monthrange(first.year, first.month)[1]))
    return PartialDate(first, first.replace(month=12, day=31))
