"""Which of many stretches of days lie beside another one, without comparing each with each.

A record may hold thousands of trials; all pairs of these would keep a server busy for minutes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date
from itertools import accumulate

from cds_service.trd.days import days_between, shifted

Days = tuple[date, date]


class Neighbours:
    """Stretches from a first to a last day, both included.

    One lies beside another if both share days, or at most `gap` days lie between them.
    """

    def __init__(self, stretches: Iterable[Days]) -> None:
        self._stretches = sorted(stretches)
        self._firsts = [first for first, _ in self._stretches]
        self._lasts = sorted(last for _, last in self._stretches)
        self._latest = list(accumulate((last for _, last in self._stretches), max))

    def count(self, first_day: date, last_day: date, gap: int) -> int:
        """How many lie beside these days."""
        begun = bisect_right(self._firsts, shifted(last_day, gap + 1))
        return begun - bisect_left(self._lasts, shifted(first_day, -gap - 1))

    def days_beside(self, first_day: date, last_day: date, gap: int) -> Days | None:
        """The first and the last day of all that lie beside these days; None if there are none."""
        start, end = self._range(first_day, last_day, gap)
        return (self._firsts[start], self._latest[end - 1]) if start < end else None

    def reach(self, first_day: date, last_day: date, gap: int, days: int) -> bool:
        """Whether one of them, together with these days, spans at least so many days."""
        beside = self.days_beside(first_day, last_day, gap)
        if beside is None:
            return False
        earliest, latest = min(first_day, beside[0]), max(last_day, beside[1])
        if days_between(earliest, last_day) >= days or days_between(first_day, latest) >= days:
            return True
        # Only one that begins before these days and ends after them may still be long enough by itself.
        if days_between(earliest, latest) < days:
            return False
        start, end = self._range(first_day, last_day, gap)
        return any(days_between(*stretch) >= days for stretch in self._stretches[start:end])

    def _range(self, first_day: date, last_day: date, gap: int) -> tuple[int, int]:
        """Those from the first that lies beside to the last that has begun: none before or after these does."""
        end = bisect_right(self._firsts, shifted(last_day, gap + 1))
        return bisect_left(self._latest, shifted(first_day, -gap - 1), 0, end), end
