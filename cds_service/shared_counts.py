"""Counts that all worker processes share, for `limits`: a small table in memory that forks have in common."""

from __future__ import annotations

import fcntl
import mmap
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from limits.storage import Storage

PLACES = 8192
_TRIES = 8  # places looked at for one key

_ROW = struct.Struct("=16sdQ")  # digest of the key, when its window ends, count
_EMPTY = _ROW.pack(b"", 0.0, 0)


class SharedCounts(Storage):
    """Counts by key within windows of time. Made before the workers are forked, it is one for all of them.

    It never grows: with more clients in a minute than there are places, the one whose window ends first is
    forgotten. The lock is that of a file, which ends with the process that holds it.
    """

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._rows = mmap.mmap(-1, PLACES * _ROW.size)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        digest = _digest(key)
        with self._locked():
            place = self._place(digest)
            found, ends, count = _ROW.unpack_from(self._rows, place)
            if found != digest or ends <= time.time():
                ends, count = time.time() + expiry, 0
            _ROW.pack_into(self._rows, place, digest, ends, count + amount)
        return int(count + amount)

    def get(self, key: str) -> int:
        ends, count = self._find(key)
        return count if ends > time.time() else 0

    def get_expiry(self, key: str) -> float:
        ends, _ = self._find(key)
        return max(ends, time.time())

    def check(self) -> bool:
        return True

    def reset(self) -> None:
        with self._locked():
            self._rows[:] = _EMPTY * PLACES

    def clear(self, key: str) -> None:
        digest = _digest(key)
        with self._locked():
            place = self._place(digest)
            if self._rows[place : place + len(digest)] == digest:
                self._rows[place : place + _ROW.size] = _EMPTY

    def _find(self, key: str) -> tuple[float, int]:
        digest = _digest(key)
        with self._locked():
            found, ends, count = _ROW.unpack_from(self._rows, self._place(digest))
        return (ends, count) if found == digest else (0.0, 0)

    def _place(self, digest: bytes) -> int:
        """Where the key stands, else where it may: at the one of a few places whose window ends first."""
        first = int.from_bytes(digest[:4], "big")
        offsets = [(first + step) % PLACES * _ROW.size for step in range(_TRIES)]
        for offset in offsets:
            if self._rows[offset : offset + len(digest)] == digest:
                return offset
        return min(offsets, key=lambda offset: float(_ROW.unpack_from(self._rows, offset)[1]))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The one thread of the one process that may look and write."""
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


def _digest(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
