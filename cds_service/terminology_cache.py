"""Answers of a terminology service, kept in memory and in one SQLite file that all worker processes share.

The file is a convenience: one that cannot be read or written, for whatever reason, is done without.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cds_service.fhir_reading.code_names import Code, KnownName

logger = logging.getLogger("cds_service.terminology")

MOST_IN_MEMORY = 4096
MOST_ON_DISK = 50_000
_LONGEST_SECONDS = 366 * 86_400  # no answer holds longer; a row that says so is none of ours
_LOCK_SECONDS = 0.2  # how long another process may keep us waiting

_TABLE = """
CREATE TABLE IF NOT EXISTS names (
    server TEXT, system TEXT, code TEXT, until REAL, answer BLOB, PRIMARY KEY (server, system, code)
)
"""
_FIND = """
SELECT until, answer FROM names WHERE server = ? AND system = ? AND code = ? AND until BETWEEN ? AND ?
"""
_PRUNE = """
DELETE FROM names WHERE until < ?
    OR rowid IN (SELECT rowid FROM names ORDER BY until DESC LIMIT -1 OFFSET ?)
"""


@dataclass(frozen=True)
class Answer:
    """What is known of a code, None when the service does not know it, and for how many seconds that holds."""

    name: KnownName | None
    seconds: float


def default_cache_file() -> Path | None:
    """The file in the user's cache directory; None for a user without a home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(given) if given.startswith("/") else Path.home() / ".cache"
    except RuntimeError:
        return None
    return folder / "trd-cds" / "terminology.sqlite3"


class TerminologyCache:
    """The answers of one server."""

    def __init__(self, server: str, file: Path | None) -> None:
        self._server = server
        self._file = file
        self._lock = threading.Lock()
        self._kept: OrderedDict[Code, tuple[float, KnownName | None]] = OrderedDict()

    def find(self, codes: Iterable[Code]) -> dict[Code, KnownName | None]:
        """The answers that still hold."""
        now = time.time()
        wanted = tuple(codes)
        with self._lock:
            rows = {code: self._kept.get(code) for code in wanted}
        found = {code: row for code, row in rows.items() if row is not None and row[0] > now}
        read = self._read([code for code in wanted if code not in found], now)
        self._remember(read)
        return {code: name for code, (_, name) in (found | read).items()}

    def keep(self, answers: Mapping[Code, Answer]) -> None:
        now = time.time()
        rows = {code: (now + answer.seconds, answer.name) for code, answer in answers.items()}
        self._remember(rows)
        self._write(rows, now)

    def _remember(self, rows: Mapping[Code, tuple[float, KnownName | None]]) -> None:
        with self._lock:
            self._kept.update(rows)
            while len(self._kept) > MOST_IN_MEMORY:
                self._kept.popitem(last=False)

    def _read(self, codes: list[Code], now: float) -> dict[Code, tuple[float, KnownName | None]]:
        if not codes or self._file is None:
            return {}
        try:
            if not self._file.exists():
                return {}
            with closing(self._opened(self._file)) as connection:
                return dict(self._rows(connection, codes, now))
        except (sqlite3.Error, OSError) as error:
            self._do_without(error)
            return {}

    def _rows(
        self, connection: sqlite3.Connection, codes: list[Code], now: float
    ) -> Iterator[tuple[Code, tuple[float, KnownName | None]]]:
        holds = (now, now + _LONGEST_SECONDS)
        for code in codes:
            for until, answer in connection.execute(_FIND, (self._server, *code, *holds)):
                try:
                    yield code, (until, msgspec.json.decode(answer, type=KnownName | None))
                except (msgspec.DecodeError, TypeError):
                    continue

    def _write(self, rows: Mapping[Code, tuple[float, KnownName | None]], now: float) -> None:
        if self._file is None:
            return
        values = [
            (self._server, *code, until, msgspec.json.encode(name)) for code, (until, name) in rows.items()
        ]
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(self._opened(self._file)) as connection, connection:
                connection.execute(_TABLE)
                connection.executemany("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?)", values)
                connection.execute(_PRUNE, (now, MOST_ON_DISK))
        except (sqlite3.Error, OSError) as error:
            self._do_without(error)

    def _opened(self, file: Path) -> sqlite3.Connection:
        """A connection for one use: none may be carried into another thread or a forked worker."""
        return sqlite3.connect(file, timeout=_LOCK_SECONDS)

    def _do_without(self, error: Exception) -> None:
        logger.warning("the cache of the terminology service could not be used (%s)", type(error).__name__)
