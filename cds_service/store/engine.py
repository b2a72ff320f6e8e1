"""Opens the store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cds_service.errors import SettingsError
from cds_service.store.tables import METADATA

_LOCK_MILLISECONDS = 5000  # how long another process may keep us waiting


@dataclass(frozen=True)
class Store:
    engine: Engine


def open_store(url: str | None) -> Store:
    """The store at the URL, or the default one, with its tables. No connection is kept: workers fork after this.

    Raises SettingsError, which names no address: it may hold a password.
    """
    try:
        address = make_url(url) if url is not None else URL.create("sqlite", database=str(default_file()))
        engine = create_engine(address, hide_parameters=True)
        if engine.dialect.name == "sqlite":
            Path(address.database or "").parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            event.listen(engine, "connect", _set_up)
        METADATA.create_all(engine)
        engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        raise SettingsError(
            f"TRD_CDS_STORE_URL: the store cannot be opened ({type(error).__name__})"
        ) from None
    return Store(engine)


def default_file() -> Path:
    """The SQLite file in the user's data directory."""
    given = os.environ.get("XDG_DATA_HOME", "")
    folder = Path(given) if given.startswith("/") else Path("~/.local/share").expanduser()
    return folder / "trd-cds" / "feedback.sqlite3"


def _set_up(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout={_LOCK_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
