"""How long a chart takes to be fetched, against its slowest single search, from a server that takes 50 ms a search.

    python bench/fetch_latency.py [--times 30] [--milliseconds 50] [--json FILE]

The server runs in a process of its own and answers the twelve searches of a chart of 60 resources. Searches alone and
whole charts take turns. Charts: orders that carry their drugs; orders that refer to Medications, which the server sends
along, which are at hand from an earlier chart, and which have to be read after the orders.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bodies import PATIENT, hook_body

BAR = 1.3
RESOURCES = 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--milliseconds", type=float, default=50.0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    figures = [_measure(case, given.times, given.milliseconds / 1000) for case in CASES]
    _print(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


# --- measuring ------------------------------------------------------------------------------------------

CASES = ("orders carry their drugs", "sent along", "at hand", "read after the orders")


def _measure(case: str, times: int, delay: float) -> dict[str, Any]:
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(sending, case, delay))
    process.start()
    try:
        return _measure_server(case, f"http://127.0.0.1:{receiving.recv()}/fhir", times)
    finally:
        process.terminate()
        process.join()


def _measure_server(case: str, base_url: str, times: int) -> dict[str, Any]:
    single, chart = _single_search(base_url), _chart(base_url, shares_token=case == "at hand")
    for _ in range(4):  # connections are made, the server's manners learned
        chart()
        single()
        time.sleep(0.1)
    pairs = [(_seconds(single), _seconds(chart)) for _ in range(times)]
    return {
        "case": case,
        "search": statistics.median(search for search, _ in pairs),
        "chart": statistics.median(whole for _, whole in pairs),
        "ratio": statistics.median(whole for _, whole in pairs)
        / statistics.median(search for search, _ in pairs),
    }


def _seconds(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def _chart(base_url: str, shares_token: bool) -> Callable[[], object]:
    """Fetches a whole chart; where the token is not shared, no Medication of an earlier chart is at hand."""
    from cds_service.fhir_address import read_address
    from cds_service.fhir_server.access import FhirPolicy
    from cds_service.fhir_source import collect
    from cds_service.hook_request import HookRequest

    base = read_address(base_url)
    assert base is not None
    policy = FhirPolicy((base,), allow_plain_http=True)
    number = iter(range(1_000_000))

    def fetch() -> object:
        token = "bench" if shares_token else f"bench-{next(number)}"
        request = HookRequest("patient-view", "", "", PATIENT, fhir_server=base_url, token=token)
        collected = collect(request, policy)
        if collected.unread or len(collected.entries) < RESOURCES:
            raise RuntimeError(
                f"expected the whole chart, got {len(collected.entries)} resources, {collected.unread}"
            )
        return collected

    return fetch


def _single_search(base_url: str) -> Callable[[], object]:
    """The slowest search of a chart, by itself, through the same client."""
    from cds_service.fhir_address import read_address
    from cds_service.fhir_server.client import FhirClient
    from cds_service.needs import NEEDS
    from cds_service.outbound.bounded_get import Bounds

    base = read_address(base_url)
    assert base is not None

    def search(query: str) -> object:
        return FhirClient(base, "bench", Bounds(time.monotonic() + 30, 64)).search(query, ())

    queries = [need.query(PATIENT) for need in NEEDS if not need.is_read]
    medians = {
        query: statistics.median(_seconds(lambda query=query: search(query)) for _ in range(3))
        for query in queries
    }
    slowest = max(medians, key=lambda query: medians[query])
    return lambda: search(slowest)


# --- the server -----------------------------------------------------------------------------------------


def _serve(sending: Any, case: str, delay: float) -> None:
    answers = _answers(refers=case != CASES[0], along=case == "sent along")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            time.sleep(delay)
            address = urlsplit(self.path)
            body = answers(address.path.removeprefix("/fhir/"), parse_qs(address.query))
            self.send_response(200)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    sending.send(server.server_port)
    server.serve_forever()


def _answers(refers: bool, along: bool) -> Callable[[str, dict[str, list[str]]], bytes]:
    prefetch = json.loads(hook_body(RESOURCES))["prefetch"]
    found: dict[str, list[Any]] = {}
    for value in prefetch.values():
        for entry in (value or {}).get("entry", []):
            found.setdefault(entry["resource"]["resourceType"], []).append(entry)
    medications = _apart(found["MedicationRequest"]) if refers else []
    ready = {kind: _page(entries) for kind, entries in found.items()}
    with_medications = _page([*found["MedicationRequest"], *medications])
    patient = json.dumps(prefetch["patient"]).encode()
    metadata = json.dumps(_statement(along)).encode()

    def answer(path: str, query: dict[str, list[str]]) -> bytes:
        if path.startswith("Patient/"):
            return patient
        if path == "metadata":
            return metadata
        if path == "Medication":
            ids = set(query["_id"][0].split(","))
            return _page([entry for entry in medications if entry["resource"]["id"] in ids])
        if along and path == "MedicationRequest" and "_include" in query:
            return with_medications
        return ready.get(path, _page([]))

    return answer


def _apart(orders: list[Any]) -> list[Any]:
    """Has each order refer to a Medication; returns the entries of those."""
    medications = []
    for entry in orders:
        order = entry["resource"]
        id = f"drug-{order['id']}"
        code = order.pop("medicationCodeableConcept")
        order["medicationReference"] = {"reference": f"Medication/{id}"}
        resource = {"resourceType": "Medication", "id": id, "code": code}
        medications.append({"resource": resource, "search": {"mode": "include"}})
    return medications


def _page(entries: list[Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries}).encode()


def _statement(along: bool) -> dict[str, Any]:
    includes = {"searchInclude": ["MedicationRequest:medication"]} if along else {}
    resource = {"type": "MedicationRequest", **includes}
    return {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": [resource]}]}


def _print(figures: list[dict[str, Any]]) -> None:
    print(f"chart of {RESOURCES} resources, twelve searches at once; bar {BAR} x the slowest search alone")
    for row in figures:
        times = f"search {row['search'] * 1000:6.1f} ms   chart {row['chart'] * 1000:6.1f} ms"
        print(f"{row['case']:<26} {times}   {row['ratio']:.2f} x")


if __name__ == "__main__":
    main()
