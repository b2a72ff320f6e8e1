"""A mixed load on `trd-cds serve`: does each call get the status it should, and do the workers grow?

    python bench/mixed_load.py [--requests 10000] [--connections 8] [--json FILE]

One hour of a hospital's calls in one bounded run: charts opened with all data prefetched and with data fetched
from the embedded FHIR server, orders before a drug is chosen, feedback, and calls that are wrong. Every
connection is kept alive. Memory is the resident set of all workers, after a tenth of the calls (when all
tables and pools are warm) and at the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bodies import hook_body

from fhir_fixtures import vignettes
from fhir_fixtures.server import EmbeddedServer

ROOT = Path(__file__).resolve().parent.parent
PATIENT_VIEW = "/cds-services/trd-patient-view"
ORDER_SELECT = "/cds-services/trd-order-select"
WORKERS = 2


@dataclass(frozen=True)
class Kind:
    """A kind of call: how many of twenty are of it, what it sends where, and what it must get."""

    name: str
    of_twenty: int
    path: str
    body: Callable[[int], bytes]
    status: int


@dataclass
class Seen:
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    broken: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer() as fhir:
        for vignette in vignettes():
            fhir.load(vignette.bundle)
        service, port = _start(Path(folder), fhir.base_url)
        try:
            figures = _load(service.pid, port, fhir.base_url, given.requests, given.connections)
        finally:
            service.terminate()
            service.wait(60)
    _print(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(figures["errors"] > 0)


def _load(pid: int, port: int, fhir: str, requests: int, connections: int) -> dict[str, Any]:
    offered = _offered(port)
    kinds = [kind for kind in _kinds(fhir) if _service_of(kind.path) in offered]
    seen, warm = Seen(), requests // 10
    _run(port, kinds, range(warm), connections, seen)
    before, begun = _memory(pid), time.perf_counter()
    _run(port, kinds, range(warm, requests), connections, seen)
    seconds = time.perf_counter() - begun
    return {
        "requests": requests,
        "connections": connections,
        "requestsPerSecond": (requests - warm) / seconds,
        "errors": seen.broken
        + sum(n for (name, status), n in seen.statuses.items() if status != _due(kinds, name)),
        "memoryMib": {"warm": before, "end": _memory(pid)},
        "kinds": [
            {
                "name": kind.name,
                "calls": len(times),
                "status": kind.status,
                "medianMs": statistics.median(times) * 1000,
                "p99Ms": statistics.quantiles(times, n=100)[98] * 1000,
                "wrong": len(times) - seen.statuses[kind.name, kind.status],
            }
            for kind in kinds
            if len(times := seen.seconds.get(kind.name, [])) > 1
        ],
    }


def _kinds(fhir: str) -> tuple[Kind, ...]:
    charts, prefetched = [vignette.patient_id for vignette in vignettes()], hook_body(60)

    def fetched(number: int) -> bytes:
        context = {"userId": "Practitioner/1", "patientId": charts[number % len(charts)]}
        return _hook("patient-view", context, fhirServer=fhir)

    def no_drug(number: int) -> bytes:
        drafts = {"resourceType": "Bundle", "type": "collection", "entry": []}
        context = {
            "userId": "Practitioner/1",
            "patientId": charts[number % len(charts)],
            "selections": [],
            "draftOrders": drafts,
        }
        return _hook("order-select", context, fhirServer=fhir)

    def feedback(_: int) -> bytes:
        one = {
            "card": str(uuid.uuid4()),
            "outcome": "accepted",
            "outcomeTimestamp": "2026-06-30T10:00:00Z",
            "acceptedSuggestions": [{"id": str(uuid.uuid4())}],
        }
        return json.dumps({"feedback": [one]}).encode()

    return (
        Kind("patient-view, prefetched", 9, PATIENT_VIEW, lambda _: prefetched, 200),
        Kind("patient-view, fetched", 4, PATIENT_VIEW, fetched, 200),
        Kind("order-select, no drug yet", 3, ORDER_SELECT, no_drug, 200),
        Kind("feedback", 2, f"{PATIENT_VIEW}/feedback", feedback, 200),
        Kind("broken JSON", 1, PATIENT_VIEW, lambda _: prefetched[:-7], 400),
        Kind("unknown service", 1, "/cds-services/none", lambda _: b"{}", 404),
    )


def _hook(hook: str, context: dict[str, Any], **elements: Any) -> bytes:
    return json.dumps(
        {"hook": hook, "hookInstance": str(uuid.uuid4()), "context": context, **elements}
    ).encode()


def _due(kinds: list[Kind], name: str) -> int:
    return next(kind.status for kind in kinds if kind.name == name)


def _service_of(path: str) -> str:
    """The path that has to be offered for a call to have its status."""
    return "" if path.endswith("/none") else path


def _offered(port: int) -> set[str]:
    """The paths this version has; those of services, and of feedback if it takes any."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/cds-services")
    services = json.loads(connection.getresponse().read())["services"]
    paths = {"", *(f"/cds-services/{service['id']}" for service in services)}
    connection.request("POST", f"{PATIENT_VIEW}/feedback", b"{}")
    takes_feedback = connection.getresponse().status != 404
    connection.close()
    return paths | ({f"{PATIENT_VIEW}/feedback"} if takes_feedback else set())


def _run(port: int, kinds: list[Kind], numbers: range, connections: int, seen: Seen) -> None:
    turns = [kind for kind in kinds for _ in range(kind.of_twenty)]
    threads = [
        threading.Thread(target=_drive, args=(port, turns, numbers[first::connections], seen))
        for first in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _drive(port: int, turns: list[Kind], numbers: range, seen: Seen) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in numbers:
        kind = turns[number * 7 % len(turns)]
        begun = time.perf_counter()
        try:
            connection.request("POST", kind.path, kind.body(number), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException):
            seen.broken += 1
            connection.close()
            continue
        seen.seconds.setdefault(kind.name, []).append(time.perf_counter() - begun)
        seen.statuses[kind.name, reply.status] += 1
    connection.close()


def _start(folder: Path, fhir: str) -> tuple[subprocess.Popen[bytes], int]:
    log = folder / "log"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TRD_CDS_FHIR_SERVERS": fhir,
        "TRD_CDS_WORKERS": str(WORKERS),
        "TRD_CDS_STORE_URL": f"sqlite:///{folder}/feedback.sqlite3",
    }
    command = [sys.executable, "-m", "cds_service", "serve", "--port", "0"]
    with log.open("wb") as written:
        service = subprocess.Popen(command, stderr=written, env=environment, cwd=folder)
    for _ in range(600):
        if found := re.search(r"http://[0-9.:]+", log.read_text("utf-8")):
            return service, int(urlsplit(found[0]).port or 0)
        time.sleep(0.1)
    raise RuntimeError("the service did not start")


def _memory(pid: int) -> list[float]:
    """MiB of each worker."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sorted(round(_resident_kib(child) / 1024, 1) for child in children)


def _resident_kib(pid: str) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def _print(figures: dict[str, Any]) -> None:
    print(f"{figures['requests']} requests over {figures['connections']} connections, {WORKERS} workers")
    print("| call | status | calls | median | 99 % below | wrong status |\n|---|---|---|---|---|---|")
    for row in figures["kinds"]:
        print(
            f"| {row['name']} | {row['status']} | {row['calls']} | {row['medianMs']:.1f} ms "
            f"| {row['p99Ms']:.1f} ms | {row['wrong']} |"
        )
    memory = figures["memoryMib"]
    print(f"\nErrors: {figures['errors']}. {figures['requestsPerSecond']:.0f} requests/s.")
    print(f"Workers: {memory['warm']} MiB warm, {memory['end']} MiB at the end.")


if __name__ == "__main__":
    main()
