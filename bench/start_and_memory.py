"""How long `trd-cds serve` takes to be ready, what its first call takes, and what its workers hold under load.

    python bench/start_and_memory.py [--starts 7] [--requests 2000] [--client-auth] [--json FILE]

The floor is a bare Flask app on the same gunicorn, with as many workers and threads, loaded before the fork as ours
is. Floor and service are started by turns. Ready is when `/health/ready` answers 200 for the first time; the store is
there already, but for the line that says otherwise. CPU time is that of all processes until then, which other work
on the machine disturbs less. The first call is the first hook after that, the later ones follow on the same connection,
so in the same worker; both by CPU time. Memory is read after the calls of `mixed_load.py`, which the floor gets too:
resident (RSS), the worker's share where pages are those of several processes (PSS), and what it has for itself (USS).
With --client-auth tokens are needed, as in production. Linux only.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bodies import hook_body
from hook_throughput import free_port
from mixed_load import WORKERS, Load, new_signer, service_environment

from cds_service.conform.signing import Signer
from cds_service.serving import SPARE_THREADS
from cds_service.settings import Settings
from fhir_fixtures import vignettes
from fhir_fixtures.server import EmbeddedServer

PATH = "/cds-services/trd-patient-view"
THREADS = Settings.model_fields["requests_at_once"].default + SPARE_THREADS
LATER_CALLS = 30
CONNECTIONS = 8
READY_SECONDS, FIRST_CALL, MIB = 1.0, 3.0, 90.0  # the bars

Start = Callable[[int], "Server"]


class Server:
    """A gunicorn with its workers, started a moment ago and ready now."""

    def __init__(self, command: list[str], environment: dict[str, str], port: int, folder: Path) -> None:
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
        begun = time.perf_counter()
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, env=environment, cwd=folder)
        self.port = port
        self._wait(folder)
        self.ready_seconds = time.perf_counter() - begun
        self.ready_cpu_seconds = _cpu_seconds(self._process.pid) + self.workers_cpu_seconds()

    def workers_cpu_seconds(self) -> float:
        return sum(map(_cpu_seconds, self.workers))

    @property
    def workers(self) -> list[int]:
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_for_workers(self) -> None:
        """It is ready as soon as one of them answers."""
        while len(self.workers) < WORKERS:
            time.sleep(0.01)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def _wait(self, folder: Path) -> None:
        for _ in range(20_000):
            if self._is_ready():
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.002)
        raise RuntimeError(f"it did not start: {(folder / 'log').read_text('utf-8')[-500:]}")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--client-auth", action="store_true", help="tokens are needed, each call has one")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    signer = new_signer() if given.client_auth else None
    with tempfile.TemporaryDirectory() as name, EmbeddedServer() as fhir:
        for vignette in vignettes():
            fhir.load(vignette.bundle)
        folder = Path(name)
        service, floor = _service(folder, fhir.base_url, signer), _floor(folder)
        figures = _start_figures(service, floor, signer, given.starts)
        figures["clientAuth"], figures["requests"] = given.client_auth, given.requests
        figures["memory"] = {
            name: _memory_after(start, fhir.base_url, signer, given.requests)
            for name, start in (("service", service), ("floor", floor))
        }
    _print(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


def _service(folder: Path, fhir: str, signer: Signer | None) -> Start:
    environment = service_environment(folder, fhir, signer)
    command = [sys.executable, "-m", "cds_service", "serve", "--port"]
    return lambda port: Server([*command, str(port)], environment, port, folder)


def _floor(folder: Path) -> Start:
    command = [sys.executable, "-m", "gunicorn", "bare_app:app", "--preload", "--worker-class", "gthread"]
    command += ["--log-level", "warning", "--workers", str(WORKERS), "--threads", str(THREADS)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent)}
    return lambda port: Server([*command, "--bind", f"127.0.0.1:{port}"], environment, port, folder)


# --- start and first call -------------------------------------------------------------------------------


def _start_figures(service: Start, floor: Start, signer: Signer | None, starts: int) -> dict[str, Any]:
    new_store = service(free_port())
    new_store.stop()
    pairs, calls = [], []
    for _ in range(starts):
        server, bare = service(free_port()), floor(free_port())
        pairs.append((server, bare))
        server.wait_for_workers()
        calls.append(_first_and_later(server, signer))
        server.stop()
        bare.stop()
    return {
        "newStoreReadySeconds": new_store.ready_seconds,
        "readySeconds": [server.ready_seconds for server, _ in pairs],
        "floorReadySeconds": [bare.ready_seconds for _, bare in pairs],
        "readyCpuSeconds": [server.ready_cpu_seconds for server, _ in pairs],
        "floorReadyCpuSeconds": [bare.ready_cpu_seconds for _, bare in pairs],
        "firstCallCpuMs": [first * 1000 for first, _ in calls],
        "laterCallCpuMs": [later * 1000 for _, later in calls],
    }


def _first_and_later(server: Server, signer: Signer | None) -> tuple[float, float]:
    """CPU seconds of the first hook with all data, and the median of those after it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    spent = []
    for _ in range(1 + LATER_CALLS):
        headers = {"Content-Type": "application/json"}
        if signer:
            headers["Authorization"] = f"Bearer {signer.token(f'http://127.0.0.1:{server.port}{PATH}')}"
        before = server.workers_cpu_seconds()
        connection.request("POST", PATH, hook_body(60), headers)
        reply = connection.getresponse()
        reply.read()
        time.sleep(0.02)  # until it has put away what the call needed
        spent.append(server.workers_cpu_seconds() - before)
        if reply.status != 200:
            raise RuntimeError(f"expected status 200, got {reply.status}")
    connection.close()
    return spent[0], statistics.median(spent[1:])


# --- memory ---------------------------------------------------------------------------------------------


def _memory_after(start: Start, fhir: str, signer: Signer | None, requests: int) -> list[dict[str, float]]:
    """MiB of each worker, idle and after so many calls of all kinds."""
    server = start(free_port())
    try:
        server.wait_for_workers()
        idle = [_mib(pid) for pid in server.workers]
        Load(server.port, fhir, CONNECTIONS, signer).run(range(requests))
        return [
            {**{f"idle {name}": value for name, value in before.items()}, **_mib(pid)}
            for before, pid in zip(idle, server.workers, strict=True)
        ]
    finally:
        server.stop()


def _mib(pid: int) -> dict[str, float]:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(rest.split()[0]) for name, rest in (row.split(":") for row in rows)}
    held = {"RSS": kib["Rss"], "PSS": kib["Pss"], "USS": kib["Private_Clean"] + kib["Private_Dirty"]}
    return {name: value / 1024 for name, value in held.items()}


def _cpu_seconds(pid: int) -> float:
    """Of all its threads, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


# --- the figures as text --------------------------------------------------------------------------------


def _print(figures: dict[str, Any]) -> None:
    tokens = "a signed token each" if figures["clientAuth"] else "no tokens"
    print(f"{WORKERS} workers, {THREADS} threads, {tokens}; medians of {len(figures['readySeconds'])} starts")
    print("| what | service | bare app | ratio | bar |\n|---|---|---|---|---|")
    for name, key, bar in (("ready, s", "Seconds", f"{READY_SECONDS} s"), ("ready, CPU s", "CpuSeconds", "")):
        service, floor = figures[f"ready{key}"], figures[f"floorReady{key}"]
        ratio = statistics.median(one / other for one, other in zip(service, floor, strict=True))
        _row(name, statistics.median(service), statistics.median(floor), ratio, bar)
    for name in figures["memory"]["service"][0]:
        service, floor = (
            max(worker[name] for worker in figures["memory"][who]) for who in ("service", "floor")
        )
        bar = f"{MIB:.0f} MiB" if name == "RSS" else ""
        _row(f"worker, {name}, MiB", service, floor, service / floor, bar)
    first, later = figures["firstCallCpuMs"], figures["laterCallCpuMs"]
    ratio = statistics.median(one / other for one, other in zip(first, later, strict=True))
    print(f"\nReady with a new store: {figures['newStoreReadySeconds']:.2f} s.")
    print(
        f"CPU of the first call {statistics.median(first):.1f} ms, of later ones {statistics.median(later):.1f} ms, "
        f"ratio {ratio:.1f} (bar {FIRST_CALL:.0f})."
    )
    print(f"Memory after {figures['requests']} calls of all kinds, the worker that holds more.")


def _row(name: str, service: float, floor: float, ratio: float, bar: str) -> None:
    print(f"| {name} | {service:.2f} | {floor:.2f} | {ratio:.1f} | {bar} |")


if __name__ == "__main__":
    main()
