"""Opens the store: SQLite or PostgreSQL by URL, brought up to date, and read and written in short transactions.

No connection is open when `open_store` returns, so worker processes may be forked afterwards. What goes wrong
comes out as a StoreError that quotes neither statement nor values, since these may be a patient's.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakMethod

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from cds_service.errors import SettingsError, StoreError
from cds_service.store.tables import KEYS

HEAD = "0001"
"""The last step of `migrations/versions`."""

_SETTING = "TRD_CDS_STORE_URL"
_START_SECONDS = 30  # for a store that another process is bringing up to date
_CONNECT_SECONDS = 3
_POOL_SECONDS = 3
_CONNECTIONS = 8  # as many as a worker has threads
_SQLITE_CACHE_KIB = 256  # of each connection: with its own 2 MiB a worker would grow by 32 MiB
_MIGRATION_LOCK = 7_236_001  # any number, the same in all processes
_MIGRATIONS = "cds_service.store:migrations"


@dataclass(frozen=True)
class Store:
    """An open store. `key` is the secret that patients are hashed with; it stays in the store."""

    engine: Engine
    key: bytes = field(repr=False)

    @contextmanager
    def reading(self, *, seconds: float | None = None) -> Iterator[Connection]:
        """A connection to read with; nobody waits for it. Raises StoreError, after so many seconds if given."""
        with _as_store_errors(), self.engine.connect() as connection:
            if seconds is not None and self.engine.dialect.name == "postgresql":
                connection.execute(_SERVER_SETTINGS, {"wait": _milliseconds(seconds), "commit": "on"})
            yield connection

    @contextmanager
    def writing(self, *, durable: bool, seconds: float = 5) -> Iterator[Connection]:
        """A transaction, committed at the end of the block. Raises StoreError, and then nothing is written.

        What is `durable` survives a loss of power once the block has ended; all else only the end of the
        process. `seconds` is how long another writer may keep us waiting.
        """
        with _as_store_errors(), transaction(self.engine, durable, seconds) as connection:
            yield connection

    def is_reachable(self, seconds: float = 1) -> bool:
        """Whether it answers, within so many seconds."""
        try:
            with self.reading(seconds=seconds) as connection:
                connection.execute(select(1))
        except StoreError:
            return False
        return True

    def insert(self, table: Any) -> Any:
        """An insert that knows `on_conflict_do_nothing`, which SQLAlchemy has a dialect at a time."""
        return _insert(self.engine.dialect.name, table)


def open_store(url: str | None) -> Store:
    """The store at the URL, or the default one, its tables made or changed as this version needs them.

    Raises SettingsError if there is none to be had, without the URL: it may hold a password.
    """
    address = _read_address(url)
    engine = _create_engine(address)
    try:
        if address.get_backend_name() == "sqlite":
            _prepare_file(Path(address.database or ""))
            _write_ahead(engine)
        with transaction(engine, durable=True, seconds=_START_SECONDS) as connection:
            _bring_up_to_date(connection)
            key = _patient_key(connection)
    except (SQLAlchemyError, OSError) as error:
        raise SettingsError(
            f"{_SETTING}: the store cannot be opened ({_where(address)}: {_kind(error)}); "
            "is it there, may it be written, and are user and password right?"
        ) from None
    finally:
        engine.dispose()
    return Store(engine, key)


def open_existing_store(url: str | None) -> Store:
    """As `open_store`, for commands that look at a store: a file that is not there is a mistake, and is not made."""
    address = _read_address(url)
    file = Path(address.database or "")
    if address.get_backend_name() == "sqlite" and not file.exists():
        raise SettingsError(f"{_SETTING}: {file}: there is no such file; expected the store of the service")
    return open_store(url)


def default_file() -> Path:
    """The SQLite file in the user's data directory. Raises SettingsError for a user without a home."""
    given = os.environ.get("XDG_DATA_HOME", "")
    try:
        folder = Path(given) if given.startswith("/") else Path.home() / ".local" / "share"
    except RuntimeError:
        raise SettingsError(f"{_SETTING}: expected one, since this user has no home directory") from None
    return folder / "trd-cds" / "feedback.sqlite3"


# --- the address ----------------------------------------------------------------------------------------


def _read_address(url: str | None) -> URL:
    if url is None:
        return URL.create("sqlite", database=str(default_file()))
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(f"{_SETTING}: expected a SQLAlchemy URL, got another text") from None
    if address.drivername in ("postgresql", "postgresql+psycopg"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise SettingsError(f"{_SETTING}: expected sqlite:///… or postgresql+psycopg://…, got another kind")
    if address.database in (None, "", ":memory:") or address.query:
        raise SettingsError(f"{_SETTING}: expected a file, as in sqlite:////var/lib/trd-cds/feedback.sqlite3")
    return address


def _where(address: URL) -> str:
    """What of an address tells which store is meant, and is no secret."""
    if address.get_backend_name() == "sqlite":
        return str(address.database)
    return f"PostgreSQL at {address.host or 'the local socket'}"


def _kind(error: Exception) -> str:
    return (error.strerror or "OSError") if isinstance(error, OSError) else type(error).__name__


# --- the engine -----------------------------------------------------------------------------------------


def _create_engine(address: URL) -> Engine:
    is_sqlite = address.get_backend_name() == "sqlite"
    try:
        engine = create_engine(
            address,
            hide_parameters=True,
            pool_size=_CONNECTIONS,
            max_overflow=_CONNECTIONS,
            pool_timeout=_POOL_SECONDS,
            pool_pre_ping=not is_sqlite,  # a server that was started again is no error
            connect_args={} if is_sqlite else _server_options(address),
        )
    except ImportError:
        raise SettingsError(
            f"{_SETTING}: PostgreSQL needs psycopg: pip install 'trd-cds[postgresql]'"
        ) from None
    except (SQLAlchemyError, ValueError):
        raise SettingsError(f"{_SETTING}: expected a SQLAlchemy URL that can be used, got another") from None
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
    _forget_after_fork(engine)
    return engine


def _server_options(address: URL) -> dict[str, Any]:
    options = {
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": _CONNECT_SECONDS * 1000,
        "application_name": "trd-cds",
    }
    return {name: value for name, value in options.items() if name not in address.query}


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{_SQLITE_CACHE_KIB}")


def _forget_after_fork(engine: Engine) -> None:
    """A forked process must not use the connections of the one it came from."""
    dispose = WeakMethod(engine.dispose)

    def forget() -> None:
        if (dispose_now := dispose()) is not None:
            dispose_now(close=False)

    os.register_at_fork(after_in_child=forget)


@contextmanager
def transaction(engine: Engine, durable: bool, seconds: float) -> Iterator[Connection]:
    """As `Store.writing`, for who has only the engine; raises what SQLAlchemy does."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            _set_sqlite(connection, durable, seconds)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            settings = {"wait": _milliseconds(seconds), "commit": "on" if durable else "off"}
            connection.execute(_SERVER_SETTINGS, settings)
        yield connection
        connection.commit()


def _set_sqlite(connection: Connection, durable: bool, seconds: float) -> None:
    """These settings stay with the connection; most writes are of one kind, and find them made."""
    wanted = (durable, seconds)
    if connection.info.get("set for") != wanted:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_milliseconds(seconds)}")
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.info["set for"] = wanted


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


_SERVER_SETTINGS = text(
    "SELECT set_config('statement_timeout', :wait, true), set_config('synchronous_commit', :commit, true)"
)


@contextmanager
def _as_store_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"The store could not be used ({type(error).__name__}); nothing was kept.") from None


def _insert(dialect: str, table: Any) -> Any:
    # Imported here, since only one of them is needed, and that of PostgreSQL is large.
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(table)


# --- the tables -----------------------------------------------------------------------------------------


def _prepare_file(file: Path) -> None:
    """Makes the file, and its directory, for this user only; SQLite makes the files beside it likewise."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def _write_ahead(engine: Engine) -> None:
    """Readers and a writer at the same time. SQLite does not wait for others when the mode is changed."""
    until = time.monotonic() + _START_SECONDS
    with engine.connect() as connection:
        while connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
            try:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                return  # whatever the mode is now: some file systems cannot
            except OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)


def _bring_up_to_date(connection: Connection) -> None:
    """One process at a time. SQLite's lock is that of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    if _revision(connection) != HEAD:
        _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    # Imported when there is something to do: a start without changes is faster by a third.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", _MIGRATIONS)
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise SettingsError(f"{_SETTING}: the store was made by a newer version of trd-cds") from None


def _patient_key(connection: Connection) -> bytes:
    made = _insert(connection.dialect.name, KEYS).values(name="patient", value=secrets.token_hex(32))
    connection.execute(made.on_conflict_do_nothing())
    return bytes.fromhex(
        connection.execute(select(KEYS.c.value).where(KEYS.c.name == "patient")).scalar_one()
    )
