"""Opens the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cds_service.errors import StoreError
from cds_service.store.tables import METADATA

_LOCK_MILLISECONDS = 5000  # how long another process may keep us waiting


def default_store_url() -> str:
    """A SQLite file in the user's data directory."""
    given = os.environ.get("XDG_DATA_HOME", "")
    folder = Path(given) if given.startswith("/") else Path("~/.local/share").expanduser()
    return f"sqlite:///{folder / 'trd-cds' / 'feedback.sqlite3'}"


def open_engine(url: str) -> Engine:
    """The store behind this SQLAlchemy URL, with its tables. No connection is kept: workers fork after this.

    Raises StoreError, which names no address.
    """
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            _make_folder(url)
            event.listen(engine, "connect", _set_up)
        METADATA.create_all(engine)
        engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"the store cannot be opened ({type(error).__name__}): see store_url") from None
    return engine


def _make_folder(url: str) -> None:
    database = make_url(url).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)


def _set_up(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout={_LOCK_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
