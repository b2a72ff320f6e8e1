"""`trd-cds serve` as a process of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.contract.conftest import HOOK_PATH


@dataclass(frozen=True)
class Process:
    """A running service; `log` is all that it wrote."""

    process: subprocess.Popen[bytes]
    base_url: str
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8")

    @property
    def url(self) -> str:
        """Of the hook."""
        return self.base_url + HOOK_PATH

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.base_url)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    def send(self, raw: bytes, *, hang_up: bool = False) -> bytes:
        """The whole answer to these bytes."""
        with socket.create_connection(self.address, timeout=10) as connection:
            connection.sendall(raw)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def start(folder: Path, **environment: str) -> Iterator[Process]:
    """The service with these variables, one worker unless they say otherwise; stopped at the end, in peace."""
    log = folder / "log"
    command = [sys.executable, "-m", "cds_service", "serve", "--port", "0"]
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, stderr=written, env=os.environ | {"TRD_CDS_WORKERS": "1"} | environment
        )
    try:
        yield Process(process, wait_for_address(log, process), log)
        process.terminate()
        assert process.wait(30) == 0, log.read_text("utf-8")
    finally:
        process.kill()
        process.wait()


def wait_for_address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The base address that the service wrote to its log when it began to listen."""
    for _ in range(800):
        if found := re.search(r"http://[0-9.:]+", log.read_text("utf-8")):
            return found[0]
        assert process.poll() is None, log.read_text("utf-8")
        time.sleep(0.05)
    raise AssertionError("the service did not start")
