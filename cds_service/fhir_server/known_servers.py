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
_TIMES_BEFORE_ASKING = 2


@dataclass
class _Manners:
    """Of one server, until a moment of `time.monotonic()`.

    `includes` is empty while its metadata was not read, `times_read` how often Medications had to be read apart.
    """

    until: float
    ways: dict[str, int] = field(default_factory=dict)
    includes: frozenset[str] = frozenset()
    times_read: int = 0


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

    def may_include(self, base_url: str, include: str) -> bool:
        """Whether the server's metadata says that it knows this `_include`."""
        with self._lock:
            return include in self._manners(base_url).includes

    def keep_includes(self, base_url: str, includes: frozenset[str]) -> None:
        with self._lock:
            self._manners(base_url).includes = includes

    def is_to_be_asked(self, base_url: str) -> bool:
        """Whether the caller, who had to read Medications by themselves, is to read the metadata now.

        True for one caller in a server's time, the second: one chart is no reason.
        """
        with self._lock:
            manners = self._manners(base_url)
            manners.times_read += 1
            return manners.times_read == _TIMES_BEFORE_ASKING

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
