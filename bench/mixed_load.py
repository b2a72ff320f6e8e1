"""A mixed load on `trd-cds serve`: does each call get the status it should, and do the workers grow?

    python bench/mixed_load.py [--requests 10000] [--connections 8] [--client-auth] [--json FILE]

One hour of a hospital's calls in one bounded run: the four hooks with all data prefetched and with data fetched
from the embedded FHIR server, orders before and after a drug is chosen, answers to the cards that were shown,
and calls that are wrong. Patients differ, as they do. With --client-auth each call brings a signed token (ES384) of
its own. Memory is the resident set of each worker every 1,000 calls; whether it grows is told by the line through
the later half of these (the first calls of each thread fill pools and tables). Exit status: 0 if every call had
its status and no worker grew, else 1.
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
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bodies import PATIENT, RXNORM, hook_body

from cds_service.conform.signing import Signer
from fhir_fixtures import vignettes
from fhir_fixtures.server import EmbeddedServer

ROOT = Path(__file__).resolve().parent.parent
PATIENT_VIEW, ENCOUNTER_START = "/cds-services/trd-patient-view", "/cds-services/trd-encounter-start"
ORDER_SELECT, ORDER_SIGN = "/cds-services/trd-order-select", "/cds-services/trd-order-sign"
WORKERS = 2
ISSUER = "https://ehr.example/bench"
SLICE = 1000  # calls between two looks at the memory
GROWTH_KIB = (
    1000  # a worker, each 1,000 calls, of which it answers half: what a call holds (a body, a reply) is more
)


@dataclass(frozen=True)
class Kind:
    """A kind of call: how many of thirty are of it, what it sends where, and what it must get."""

    name: str
    of_thirty: int
    path: str
    body: Callable[[int], bytes]
    status: int
    token: str = "right"


@dataclass
class Seen:
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cards: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=200))
    broken: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--client-auth", action="store_true", help="sign a token for each call")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    signer = new_signer() if given.client_auth else None
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer() as fhir:
        for vignette in vignettes():
            fhir.load(vignette.bundle)
        service, port = _start(Path(folder), fhir.base_url, signer)
        try:
            load = Load(port, fhir.base_url, given.connections, signer)
            figures = _figures(load, service.pid, given.requests)
        finally:
            service.terminate()
            service.wait(60)
    _print(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(figures["errors"] > 0 or figures["grows"])


def _figures(load: Load, pid: int, requests: int) -> dict[str, Any]:
    memory, begun = [_memory(pid)], time.perf_counter()
    for first in range(0, requests, SLICE):
        load.run(range(first, min(first + SLICE, requests)))
        memory.append(_memory(pid))
    seconds = time.perf_counter() - begun
    pids = sorted({pid for sample in memory for pid in sample})
    slopes = {pid: _slope([sample.get(pid, 0) for sample in memory]) for pid in pids}
    return {
        "requests": requests,
        "connections": load.connections,
        "clientAuth": load.signer is not None,
        "requestsPerSecond": requests / seconds,
        "errors": load.errors() + abs(len(pids) - WORKERS),  # a worker that was started anew had died
        "memoryMib": [[round(sample.get(pid, 0) / 1024, 1) for pid in pids] for sample in memory],
        "growthKibPer1000": [round(slope, 1) for slope in slopes.values()],
        "grows": any(slope > GROWTH_KIB for slope in slopes.values()),
        "kinds": load.rows(),
    }


def _slope(kib: list[int]) -> float:
    """KiB in 1,000 calls, by the line of least squares through the later half of the samples."""
    later = kib[len(kib) // 2 :]
    return statistics.linear_regression(range(len(later)), later).slope if len(later) > 1 else 0.0


# --- the calls ------------------------------------------------------------------------------------------


class Load:
    """Makes calls of all kinds by turns over a number of connections, and keeps count of what they got."""

    def __init__(self, port: int, fhir: str, connections: int, signer: Signer | None) -> None:
        self.port, self.connections, self.signer = port, connections, signer
        self.seen = Seen()
        kinds = _kinds(fhir, self.seen)
        self.kinds = [kind for kind in kinds if signer or kind.token == "right"]
        self._turns = [kind for kind in self.kinds for _ in range(kind.of_thirty)]

    def run(self, numbers: range) -> None:
        threads = [
            threading.Thread(target=self._drive, args=(numbers[first :: self.connections],))
            for first in range(self.connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def errors(self) -> int:
        due = {kind.name: kind.status for kind in self.kinds}
        return self.seen.broken + sum(
            number for (name, status), number in self.seen.statuses.items() if status != due[name]
        )

    def rows(self) -> list[dict[str, Any]]:
        return [
            {
                "name": kind.name,
                "calls": len(times),
                "status": kind.status,
                "medianMs": statistics.median(times) * 1000,
                "p99Ms": statistics.quantiles(times, n=100)[98] * 1000,
                "wrong": {
                    status: number
                    for (name, status), number in self.seen.statuses.items()
                    if name == kind.name and status != kind.status
                },
            }
            for kind in self.kinds
            if len(times := self.seen.seconds.get(kind.name, [])) > 1
        ]

    def _drive(self, numbers: range) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for number in numbers:
            kind = self._turns[number * 7 % len(self._turns)]
            body, headers = kind.body(number), self._headers(kind)
            begun = time.perf_counter()
            try:
                connection.request("POST", kind.path, body, headers)
                reply = connection.getresponse()
                content = reply.read()
            except (OSError, http.client.HTTPException):
                self.seen.broken += 1
                connection.close()
                continue
            self.seen.seconds.setdefault(kind.name, []).append(time.perf_counter() - begun)
            self.seen.statuses[kind.name, reply.status] += 1
            if kind.path == PATIENT_VIEW and reply.status == 200:
                self.seen.cards.extend(json.loads(content)["cards"])
        connection.close()

    def _headers(self, kind: Kind) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.signer:
            endpoint = f"http://127.0.0.1:{self.port}{kind.path if kind.token == 'right' else '/elsewhere'}"
            headers["Authorization"] = f"Bearer {self.signer.token(endpoint)}"
        return headers


def _kinds(fhir: str, seen: Seen) -> tuple[Kind, ...]:
    charts = [vignette.patient_id for vignette in vignettes()]
    encounter = {"encounterId": "e1"}

    def prefetched(number: int, hook: str = "patient-view", **context: Any) -> bytes:
        """The full chart, of one of many patients."""
        known = {"userId": "Practitioner/1", "patientId": PATIENT, **context}
        return _with_prefetch(hook, known).replace(PATIENT.encode(), f"p{number % 5000}".encode())

    def fetched(number: int, hook: str = "patient-view", **context: Any) -> bytes:
        known = {"userId": "Practitioner/1", "patientId": charts[number % len(charts)], **context}
        return _hook(hook, known, fhirServer=fhir)

    def orders(number: int, hook: str, drug: bool) -> bytes:
        patient = charts[number % len(charts)] if hook == "order-select" else PATIENT
        drafts: list[Any] = [{"resource": _draft(patient)}] if drug else []
        context: dict[str, Any] = {"draftOrders": {"resourceType": "Bundle", "type": "collection"}}
        if drafts:
            context["draftOrders"]["entry"] = drafts
        if hook == "order-select":
            context["selections"] = ["MedicationRequest/draft"] if drug else []
            return fetched(number, hook, **context)
        return prefetched(number, hook, **context)

    return (
        Kind("patient-view, prefetched", 9, PATIENT_VIEW, prefetched, 200),
        Kind("patient-view, fetched", 3, PATIENT_VIEW, fetched, 200),
        Kind(
            "encounter-start, prefetched",
            3,
            ENCOUNTER_START,
            lambda n: prefetched(n, "encounter-start", **encounter),
            200,
        ),
        Kind("order-select, no drug yet", 2, ORDER_SELECT, lambda n: orders(n, "order-select", False), 200),
        Kind("order-select, fetched", 2, ORDER_SELECT, lambda n: orders(n, "order-select", True), 200),
        Kind("order-sign, prefetched", 3, ORDER_SIGN, lambda n: orders(n, "order-sign", True), 200),
        Kind("feedback, accepted", 2, f"{PATIENT_VIEW}/feedback", lambda _: _answer(seen, True), 200),
        Kind("feedback, overridden", 2, f"{PATIENT_VIEW}/feedback", lambda _: _answer(seen, False), 200),
        Kind("broken JSON", 1, PATIENT_VIEW, lambda n: prefetched(n)[:-7], 400),
        Kind("feedback on nothing", 1, f"{PATIENT_VIEW}/feedback", lambda _: b'{"feedback": [{}]}', 400),
        Kind("unknown service", 1, "/cds-services/none", lambda _: b"{}", 404),
        Kind("neither data nor server", 1, PATIENT_VIEW, lambda n: _hook("patient-view", _nobody(n)), 412),
        Kind("token for elsewhere", 1, PATIENT_VIEW, prefetched, 401, token="wrong"),
    )


def _nobody(number: int) -> dict[str, Any]:
    return {"userId": "Practitioner/1", "patientId": f"p{number}"}


def _with_prefetch(hook: str, context: dict[str, Any]) -> bytes:
    """The hook with the chart of `bodies.py`, which is spliced in as it is: the client has other work."""
    head = json.dumps({"hook": hook, "hookInstance": str(uuid.uuid4()), "context": context})
    return head[:-1].encode() + b', "prefetch": ' + _PREFETCH + b"}"


_PREFETCH = json.dumps(json.loads(hook_body(60))["prefetch"]).encode()


def _draft(patient: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "draft",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}"},
        "medicationCodeableConcept": {
            "coding": [{"system": RXNORM, "code": "36437", "display": "sertraline"}],
            "text": "sertraline 25 MG Oral Tablet",
        },
        "dosageInstruction": [{"text": "Take 1 tablet by mouth daily"}],
    }


def _answer(seen: Seen, accept: bool) -> bytes:
    """An answer to a card that was shown, and now and then, while there is none, to one that was not."""
    card = seen.cards.popleft() if seen.cards else {"uuid": str(uuid.uuid4())}
    entry: dict[str, Any] = {"card": card["uuid"], "outcomeTimestamp": "2026-06-30T10:00:00Z"}
    if accept:
        suggestions = [suggestion["uuid"] for suggestion in card.get("suggestions", [])]
        taken = [{"id": each} for each in suggestions or [str(uuid.uuid4())]]
        entry |= {"outcome": "accepted", "acceptedSuggestions": taken}
    else:
        entry["outcome"] = "overridden"
        if reasons := card.get("overrideReasons"):
            reason = {"code": reasons[0]["code"], "system": reasons[0]["system"]}
            entry["overrideReason"] = {"reason": reason, "userComment": "seen and weighed"}
    return json.dumps({"feedback": [entry]}).encode()


def _hook(hook: str, context: dict[str, Any], **elements: Any) -> bytes:
    return json.dumps(
        {"hook": hook, "hookInstance": str(uuid.uuid4()), "context": context, **elements}
    ).encode()


# --- the service ----------------------------------------------------------------------------------------


def new_signer() -> Signer:
    return Signer(ec.generate_private_key(ec.SECP384R1()), "EC", "bench", ISSUER)


def service_environment(folder: Path, fhir: str, signer: Signer | None) -> dict[str, str]:
    """As a hospital would set it: a store on a disk, one FHIR server, and with a signer a client that must sign."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TRD_CDS_FHIR_SERVERS": fhir,
        "TRD_CDS_WORKERS": str(WORKERS),
        "TRD_CDS_STORE_URL": f"sqlite:///{folder}/feedback.sqlite3",
    }
    if signer:
        environment |= {
            "TRD_CDS_CONFIG": str(_client_settings(folder, signer)),
            "TRD_CDS_REQUIRE_CLIENT_AUTH": "true",
        }
    return environment


def _start(folder: Path, fhir: str, signer: Signer | None) -> tuple[subprocess.Popen[bytes], int]:
    log = folder / "log"
    environment = service_environment(folder, fhir, signer)
    command = [sys.executable, "-m", "cds_service", "serve", "--port", "0"]
    with log.open("wb") as written:
        service = subprocess.Popen(command, stderr=written, env=environment, cwd=folder)
    for _ in range(600):
        if found := re.search(r"http://[0-9.:]+", log.read_text("utf-8")):
            return service, int(urlsplit(found[0]).port or 0)
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start: {log.read_text('utf-8')[-500:]}")


def _client_settings(folder: Path, signer: Signer) -> Path:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(signer.key.public_key()))
    keys, settings = folder / "keys.json", folder / "settings.toml"
    keys.write_text(json.dumps({"keys": [{**public, "kid": signer.key_id}]}))
    settings.write_text(
        f'[[clients]]\nissuer = "{ISSUER}"\njwks_file = "{keys}"\nrequests_per_minute = 1000000\n'
    )
    return settings


def _memory(pid: int) -> dict[str, int]:
    """KiB of each worker, by its process id."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {child: _resident_kib(child) for child in children}


def _resident_kib(pid: str) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def _print(figures: dict[str, Any]) -> None:
    tokens = "a signed token each" if figures["clientAuth"] else "no tokens"
    print(
        f"{figures['requests']} requests over {figures['connections']} connections, {WORKERS} workers, {tokens}"
    )
    print("| call | status | calls | median | 99 % below | wrong status |\n|---|---|---|---|---|---|")
    for row in figures["kinds"]:
        print(
            f"| {row['name']} | {row['status']} | {row['calls']} | {row['medianMs']:.1f} ms "
            f"| {row['p99Ms']:.1f} ms | {row['wrong'] or 0} |"
        )
    print(f"\nErrors: {figures['errors']}. {figures['requestsPerSecond']:.0f} requests/s.")
    print(f"MiB of the workers every {SLICE} calls: {figures['memoryMib']}")
    verdict = "the workers GROW" if figures["grows"] else "no growth"
    print(
        f"Later half: {figures['growthKibPer1000']} KiB each {SLICE} calls, at most {GROWTH_KIB}: {verdict}."
    )


if __name__ == "__main__":
    main()
