"""What was learned of FHIR servers lately: how each wants to be searched, and what it includes.

Only manners are kept here, never data, so one caller may profit from what another's call has shown. Whatever is
kept only chooses between ways to ask for the same; each way is checked by its answer.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

_SERVERS = 256
_SECONDS = 600.0


@dataclass
class _Manners:
    """Of one server, until a moment of `time.monotonic()`.

    `includes` tells which it knows, as far as that is known; `was_asked` whether its metadata was read.
    """

    until: float
    ways: dict[str, int] = field(default_factory=dict)
    includes: dict[str, bool] = field(default_factory=dict)
    takes_counts: bool | None = None
    was_asked: bool = False


class KnownServers:
    """The manners of so many servers, by base address, each for so many seconds."""

    def __init__(self, size: int = _SERVERS, seconds: float = _SECONDS) -> None:
        self._size = size
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Manners] = OrderedDict()

    def way_of(self, base_url: str, resource_type: str) -> int | None:
        """The number of the way in which this type has to be searched; None for the plain one."""
        with self._lock:
            return self._manners(base_url).ways.get(resource_type)

    def keep_way(self, base_url: str, resource_type: str, way: int | None) -> None:
        with self._lock:
            ways = self._manners(base_url).ways
            ways.pop(resource_type, None)
            if way is not None:
                ways[resource_type] = way

    def knows_include(self, base_url: str, include: str) -> bool | None:
        """Whether the server knows this `_include`; None if that is not known."""
        with self._lock:
            return self._manners(base_url).includes.get(include)

    def keep_include(self, base_url: str, include: str, is_known: bool) -> None:
        with self._lock:
            self._manners(base_url).includes[include] = is_known

    def takes_counts(self, base_url: str) -> bool | None:
        """Whether the server lets a search say how large its pages are to be (`_count`); None if that is not known."""
        with self._lock:
            return self._manners(base_url).takes_counts

    def keep_takes_counts(self, base_url: str, takes_counts: bool) -> None:
        with self._lock:
            self._manners(base_url).takes_counts = takes_counts

    def is_to_be_asked(self, base_url: str) -> bool:
        """Whether the caller is to read the server's metadata now: True for one caller in a server's time."""
        with self._lock:
            manners = self._manners(base_url)
            was_asked, manners.was_asked = manners.was_asked, True
            return not was_asked

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()

    def _manners(self, base_url: str) -> _Manners:
        now = time.monotonic()
        manners = self._kept.get(base_url)
        if manners is None or manners.until <= now:
            manners = self._kept[base_url] = _Manners(now + self._seconds)
        self._kept.move_to_end(base_url)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return manners


SERVERS = KnownServers()
