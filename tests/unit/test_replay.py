"""A token is used once, whichever process asks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from cds_service.errors import StoreError
from cds_service.security.replay import UsedTokens
from cds_service.store.engine import open_store
from cds_service.store.tables import METADATA, USED_TOKENS

ISSUER = "https://ehr.example.org"
NOW = 1_800_000_000
USE_MANY = """
import sys
import threading
from cds_service.security.replay import UsedTokens
from cds_service.store.engine import open_store
used = UsedTokens(open_store(sys.argv[1]).engine, lambda: 1_800_000_000)
print("ready", flush=True)
sys.stdin.readline()
print(sum(used.use("https://ehr.example.org", f"jti-{number}", 1_800_000_300) for number in range(200)))
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_store(f"sqlite:///{tmp_path / 'store.sqlite3'}").engine


def rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(USED_TOKENS)).scalar_one()


def test_each_once(engine: Engine) -> None:
    used = UsedTokens(engine, lambda: NOW)
    assert used.use(ISSUER, "a", NOW + 300)
    assert not used.use(ISSUER, "a", NOW + 300)
    assert not used.use(ISSUER, "a", NOW + 9000)
    assert used.use(ISSUER, "b", NOW + 300)
    assert used.use("https://other.example.org", "a", NOW + 300)


def test_issuer_and_jti_are_not_run_together(engine: Engine) -> None:
    used = UsedTokens(engine, lambda: NOW)
    assert used.use("a", "bc", NOW)
    assert used.use("ab", "c", NOW)


def test_neither_issuer_nor_jti_is_stored(engine: Engine) -> None:
    UsedTokens(engine, lambda: NOW).use(ISSUER, "secret-jti", NOW)
    with engine.connect() as connection:
        (key,) = connection.execute(select(USED_TOKENS.c.token_key)).scalars()
    assert len(key) == 64
    assert "secret" not in key


@pytest.mark.conformance("CH-813")
def test_processes_share_what_was_used(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    open_store(url)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", USE_MANY, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    firsts = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(firsts) == 200
    assert rows(open_store(url).engine) == 200


def test_what_has_expired_is_forgotten_now_and_then(engine: Engine) -> None:
    clock = [float(NOW)]
    used = UsedTokens(engine, lambda: clock[0])
    for number in range(10):
        used.use(ISSUER, f"old-{number}", NOW + 60)
    clock[0] += 3600
    used.use(ISSUER, "new", clock[0] + 60)
    assert rows(engine) == 1
    clock[0] += 10
    used.use(ISSUER, "newer", clock[0] + 60)
    assert rows(engine) == 2


def test_a_store_that_cannot_be_asked(engine: Engine) -> None:
    METADATA.drop_all(engine)
    with pytest.raises(StoreError) as failed:
        UsedTokens(engine).use(ISSUER, "secret-jti", NOW)
    assert "secret-jti" not in str(failed.value)


def test_the_short_wait_of_cards_does_not_become_that_of_tokens(tmp_path: Path) -> None:
    """Both use the same connections, and a hook waits far less for another writer than a token may."""
    file = tmp_path / "store.sqlite3"
    store = open_store(f"sqlite:///{file}")
    with store.writing(durable=False, seconds=0.01):
        pass
    writer = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, writer.execute, ("COMMIT",))
    release.start()
    assert UsedTokens(store.engine, lambda: NOW).use(ISSUER, "a", NOW + 300)
    release.join()
    writer.close()
