"""Real databases for the tests of the store: a SQLite file, and a PostgreSQL server that is started for the run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

KINDS = ("sqlite", "postgresql")
PASSWORD = "marker-password-7b1f"
SECONDS = 60


class PostgreSQL:
    """A running server with a superuser `postgres`, which any number of databases can be made in."""

    def __init__(self, binaries: Path, folder: Path, port: int) -> None:
        self._binaries, self._folder, self._port = binaries, folder, port
        self._made = 0

    @property
    def address(self) -> str:
        return f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{self._port}"

    def new_database(self) -> str:
        """The SQLAlchemy URL of an empty database."""
        self._made += 1
        name = f"trd_{self._made}"
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{self.address}/{name}"

    def drop(self, url: str) -> None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)".encode())

    @property
    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self._port} user=postgres password={PASSWORD} dbname=postgres"

    def start(self) -> None:
        # The machine does not lose its power meanwhile; all that a process may do is as in earnest.
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
        self._call("pg_ctl", "-D", str(self._folder / "data"), "-o", options, "-w", "-l", self._log, "start")

    def stop(self) -> None:
        self._call("pg_ctl", "-D", str(self._folder / "data"), "-m", "fast", "-w", "stop")

    def make(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._call(
            "initdb", "-D", str(self._folder / "data"), "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", str(secret), "--no-sync", "-E", "UTF8", "--locale", "C",
        )  # fmt: skip

    @property
    def _log(self) -> str:
        return str(self._folder / "server.log")

    def _call(self, program: str, *arguments: str) -> None:
        command = [*_as_another_user(), str(self._binaries / program), *arguments]
        # Into a file: the server inherits the outputs, and a pipe would stay open as long as it runs.
        with (self._folder / "calls.log").open("ab") as log:
            subprocess.run(command, cwd=self._folder, stdout=log, stderr=log, timeout=SECONDS, check=True)


def _as_another_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def find_binaries() -> Path | None:
    """Where PostgreSQL's programs are: the newest of Debian's, or those on the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda f: float(f.parts[4]))
    found = installed[-1] if installed else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """Skips the test where PostgreSQL is not installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (initdb not found): apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="trd-pg-", dir="/tmp"))  # short: sockets have short names
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = PostgreSQL(binaries, folder, _free_port())
    server.make()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
