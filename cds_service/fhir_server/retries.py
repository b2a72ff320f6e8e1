"""Which answers are worth another attempt, when it is made, and how many such attempts run at once.

A server that refuses some of a chart's searches often just serves fewer at a time: so second attempts share a few
turns, and later ones run alone.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime

PAUSES_SECONDS = (0.1, 0.4)  # before the second attempt and each later one, give or take
JITTER = 0.5  # of a pause: what failed together should not come back together
RETRIES = {408: 2, 429: 5, 500: 1, 502: 2, 503: 2, 504: 2}  # a 500 is more often a fault than a moment
RETRIES_WITHOUT_ANSWER = 2

_TURNS = 3  # of one server: so many second attempts at once
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_LONG = 1e9


def pause_before(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds to wait before attempt number `attempt` (2 is the first repeated one), as the server asked at least."""
    pause = PAUSES_SECONDS[min(attempt - 2, len(PAUSES_SECONDS) - 1)]
    return _retry_after(headers) + pause * random.uniform(1 - JITTER, 1 + JITTER)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds from now. A date is held against that of the answer: the two clocks need not agree."""
    value = headers.get("Retry-After") or ""
    if _SECONDS.fullmatch(value):
        return float(value)
    if value.isascii() and value.isdigit():
        return _LONG
    until, now = _read_date(value), _read_date(headers.get("Date") or "")
    return max((until - now).total_seconds(), 0.0) if until and now else 0.0


def _read_date(value: str) -> datetime | None:
    """A date with its time zone; HTTP's have one."""
    try:
        read = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return read if read.tzinfo is not None else None


class Turns:
    """Of one server: lets a few second attempts run at once, and of later ones one by itself."""

    def __init__(self) -> None:
        self._free = _TURNS
        self._changed = threading.Condition()

    @contextmanager
    def take(self, attempt: int, seconds: float) -> Iterator[bool]:
        """Holds what this attempt needs; False if that did not become free within `seconds`."""
        needed = 0 if attempt < 2 else 1 if attempt == 2 else _TURNS
        got = self._acquire(needed, time.monotonic() + seconds)
        try:
            yield got
        finally:
            if got:
                self._release(needed)

    def _acquire(self, needed: int, deadline: float) -> bool:
        with self._changed:
            left = max(0.0, deadline - time.monotonic())
            if not self._changed.wait_for(lambda: self._free >= needed, timeout=left):
                return False
            self._free -= needed
            return True

    def _release(self, needed: int) -> None:
        with self._changed:
            self._free += needed
            self._changed.notify_all()
