"""Three FHIR R4 servers on loopback, each empty: a real HAPI JPA server, sekmet-fhir, and our embedded one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import requests
import yaml

from fhir_fixtures.server import EmbeddedServer

HAPI_VARIABLE = "TRD_CDS_HAPI_URL"
BUILT = Path(__file__).parent / "target"
START_SECONDS = 300


@contextmanager
def embedded(_: Path) -> Iterator[str]:
    with EmbeddedServer() as server:
        yield server.base_url


@contextmanager
def hapi(folder: Path) -> Iterator[str]:
    """The HAPI that `TRD_CDS_HAPI_URL` names, else one that `make test-hapi` has built, in memory."""
    running = os.environ.get(HAPI_VARIABLE)
    if running:
        yield running.rstrip("/")
        return
    port = free_port()
    classes = f"{BUILT / 'classes'}:{BUILT / 'lib'}/*"
    command = ["java", "-Xmx1200m", "-cp", classes, "HapiForTests", str(port)]
    with _running(command, f"http://127.0.0.1:{port}/fhir", folder / "hapi.log") as url:
        yield url


@contextmanager
def sekmet(folder: Path) -> Iterator[str]:
    """Its simulator, which would answer orders with results of its own, is off."""
    port = free_port()
    settings = {
        "base_url": f"http://127.0.0.1:{port}/fhir",
        "host": "127.0.0.1",
        "port": port,
        "data_dir": str(folder / "sekmet"),
        "simulator": {"enabled": False, "auto": []},
        "log_inbound": False,
    }
    file = folder / "sekmet.yaml"
    file.write_text(yaml.safe_dump(settings))
    command = [str(Path(sys.executable).with_name("sekmet")), "serve", "--config", str(file)]
    with _running(command, settings["base_url"], folder / "sekmet.log") as url:
        yield url


SERVERS: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "embedded": embedded,
    "hapi": hapi,
    "sekmet": sekmet,
}


@contextmanager
def _running(command: list[str], url: str, log: Path) -> Iterator[str]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_up(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            if requests.get(f"{url}/metadata", timeout=30).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    raise RuntimeError(f"{url} did not come up:\n{log.read_text(errors='replace')[-3000:]}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
