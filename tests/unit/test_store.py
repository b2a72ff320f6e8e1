"""The store as it is opened, and what happens when it cannot be: on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text

from cds_service.app import create_app
from cds_service.errors import SettingsError, StoreError
from cds_service.settings import Settings
from cds_service.store import engine as engine_module
from cds_service.store.engine import HEAD, Store, default_file, open_store
from cds_service.store.tables import METADATA, USED_TOKENS
from tests.databases import PASSWORD, PostgreSQL

A_TOKEN = {"token_key": "a", "expires_at": 1}


def test_the_migrations_bring_a_database_to_the_state_of_the_tables(store_url: str) -> None:
    with open_store(store_url).reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_the_last_migration_is_the_one_that_a_start_looks_for() -> None:
    config = Config()
    config.set_main_option("script_location", engine_module._MIGRATIONS)
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_what_was_written_is_there_after_the_next_start(store_url: str) -> None:
    first = open_store(store_url)
    with first.writing(durable=True) as connection:
        connection.execute(USED_TOKENS.insert().values(A_TOKEN))
    second = open_store(store_url)
    assert second.key == first.key
    assert count(second) == 1


def test_many_processes_that_start_at_once_make_one_store(store_url: str) -> None:
    script = "import sys; from cds_service.store.engine import open_store; print(open_store(sys.argv[1]).key.hex())"
    command = [sys.executable, "-c", script, store_url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    keys = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 5
    assert keys == {open_store(store_url).key.hex() + "\n"}


def test_a_transaction_that_fails_leaves_nothing(store_url: str) -> None:
    store = open_store(store_url)
    with pytest.raises(ZeroDivisionError), store.writing(durable=True) as connection:
        connection.execute(USED_TOKENS.insert().values(A_TOKEN))
        _ = 1 / 0
    assert count(store) == 0


def test_an_error_of_the_store_quotes_nothing(store_url: str) -> None:
    store = open_store(store_url)
    with pytest.raises(StoreError) as raised, store.writing(durable=True) as connection:
        for _ in range(2):
            connection.execute(USED_TOKENS.insert().values(token_key="marker-19c2", expires_at=1))
    assert "IntegrityError" in str(raised.value)
    assert "marker" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_forked_process_has_connections_of_its_own(store_url: str) -> None:
    store = open_store(store_url)
    with store.reading() as connection:
        connection.execute(select(1))
    process = multiprocessing.get_context("fork").Process(target=_write_and_leave, args=(store,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert count(store) == 1


def _write_and_leave(store: Store) -> None:
    with store.writing(durable=True) as connection:
        connection.execute(USED_TOKENS.insert().values(A_TOKEN))


def test_no_connection_is_open_after_the_start(store_url: str) -> None:
    assert open_store(store_url).engine.pool.checkedin() == 0  # type: ignore[attr-defined]


def test_a_store_of_a_newer_version_is_left_alone(store_url: str) -> None:
    with open_store(store_url).writing(durable=True) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="newer version"):
        open_store(store_url)


def test_a_durable_write_waits_for_the_disk(store_url: str) -> None:
    store = open_store(store_url)
    asked = {"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}
    expected: dict[str, dict[bool, Any]] = {
        "sqlite": {True: 2, False: 1},  # FULL, NORMAL
        "postgresql": {True: "on", False: "off"},
    }
    kind = store.engine.dialect.name
    for durable in (True, False):
        with store.writing(durable=durable) as connection:
            assert connection.execute(text(asked[kind])).scalar() == expected[kind][durable]


# --- SQLite -----------------------------------------------------------------------------------------------


def test_the_default_file_is_for_its_user_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with open_store(None).writing(durable=True) as connection:
        connection.execute(USED_TOKENS.insert().values(A_TOKEN))
    file = tmp_path / "data" / "trd-cds" / "feedback.sqlite3"
    assert default_file() == file
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    for made in file.parent.iterdir():
        assert stat.S_IMODE(made.stat().st_mode) == 0o600, made.name


@pytest.mark.parametrize("given", ["", "relative/path"])
def test_without_xdg_data_home_it_lies_in_the_home_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", given)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_file() == tmp_path / ".local" / "share" / "trd-cds" / "feedback.sqlite3"


def test_sqlite_writes_ahead_so_that_readers_do_not_wait(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a.sqlite3")
    with store.writing(durable=True) as writer, store.reading() as reader:
        writer.execute(USED_TOKENS.insert().values(A_TOKEN))
        assert reader.execute(select(func.count()).select_from(USED_TOKENS)).scalar() == 0


def test_a_writer_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a.sqlite3")
    with (
        store.writing(durable=True),
        pytest.raises(StoreError, match="OperationalError"),
        store.writing(durable=True, seconds=0.05),
    ):
        raise AssertionError("two writers at once")


# --- what cannot be opened --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"{PASSWORD}", "expected a SQLAlchemy URL"),
        (f"postgresql://u:{PASSWORD}@host:port/x", "expected a SQLAlchemy URL"),
        (f"mysql://u:{PASSWORD}@host/x", "expected sqlite:///"),
        (f"postgresql+pg8000://u:{PASSWORD}@host/x", "expected sqlite:///"),
        ("sqlite://", "expected a file"),
        ("sqlite:///:memory:", "expected a file"),
        ("sqlite:///file:a?mode=memory&uri=true", "expected a file"),
        ("sqlite:////proc/nothing/a.sqlite3", "cannot be opened (/proc/nothing/a.sqlite3"),
        (f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:1/x", "cannot be opened (PostgreSQL at 127.0.0.1"),
        (f"postgresql://u@127.0.0.1:1/x?password={PASSWORD}", "cannot be opened (PostgreSQL at 127.0.0.1"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:1/x?connect_timeout={PASSWORD}", "cannot be opened"),
    ],
)
def test_a_store_that_cannot_be_had_stops_the_start_and_shows_no_password(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        create_app(Settings(store_url=url))
    assert str(raised.value).startswith("TRD_CDS_STORE_URL: ")
    assert words in str(raised.value)
    assert PASSWORD not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_wrong_password_stops_the_start(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database().replace(PASSWORD, "wrong-password-55")
    with pytest.raises(SettingsError, match="cannot be opened") as raised:
        open_store(url)
    assert "wrong-password-55" not in str(raised.value)


def test_a_file_that_is_no_database_stops_the_start_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear colleague, " * 100)
    with pytest.raises(SettingsError, match="DatabaseError"):
        open_store(f"sqlite:///{file}")
    assert file.read_text().startswith("Dear colleague")


def test_a_server_that_was_started_again_is_no_error(postgresql: PostgreSQL) -> None:
    store = open_store(postgresql.new_database())
    assert count(store) == 0
    postgresql.stop()
    with pytest.raises(StoreError):
        count(store)
    postgresql.start()
    assert count(store) == 0


def count(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(USED_TOKENS)).scalar_one())


def test_the_test_run_never_writes_into_the_home_directory() -> None:
    assert not default_file().is_relative_to(Path.home() / ".local")
    assert os.environ["XDG_DATA_HOME"]
