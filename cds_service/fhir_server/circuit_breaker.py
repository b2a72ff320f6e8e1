"""A server that gives no answer again and again is left alone for a moment, so that nobody waits for it in vain."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from cds_service.errors import FhirTemporaryError
from cds_service.fhir_server.retries import Turns

FAILURES = 36  # in a row without one answer between: three charts of twelve searches each
PAUSE_SECONDS = 3.0
_SERVERS = 256


class Circuit:
    """Of one server: open, that is without calls, for `pause` seconds after `failures` in a row.

    The calls after that are trials: the first that fails opens it again, the first answer closes it. `turns` are
    those of repeated attempts.
    """

    def __init__(self, failures: int = FAILURES, pause: float = PAUSE_SECONDS) -> None:
        self._limit = failures
        self._pause = pause
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_until = 0.0
        self.turns = Turns()

    def require_closed(self, what: str) -> None:
        """Raises FhirTemporaryError while the circuit is open."""
        with self._lock:
            is_open = time.monotonic() < self._opened_until
        if is_open:
            raise FhirTemporaryError(
                f"the FHIR server was not called for the {what}: it has given no answer many times in a row"
            )

    def answered(self) -> None:
        with self._lock:
            self._failures = 0
            self._opened_until = 0.0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                self._opened_until = time.monotonic() + self._pause


class Circuits:
    """The circuit of each server by its base address; those not used for longest are dropped."""

    def __init__(self, size: int = _SERVERS) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._circuits: OrderedDict[str, Circuit] = OrderedDict()

    def of(self, base_url: str) -> Circuit:
        with self._lock:
            circuit = self._circuits.setdefault(base_url, Circuit())
            self._circuits.move_to_end(base_url)
            while len(self._circuits) > self._size:
                self._circuits.popitem(last=False)
            return circuit

    def forget(self) -> None:
        with self._lock:
            self._circuits.clear()


CIRCUITS = Circuits()
