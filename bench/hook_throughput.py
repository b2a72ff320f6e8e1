"""Requests a second of the hook against a floor, and how its time grows with the size of the request.

    python bench/hook_throughput.py [--rounds 7] [--seconds 2] [--json FILE]

The service runs as in a hospital: its log on, to a file; its store on a disk; metrics on; each call about another
of many patients. The floor is a Flask view on the same gunicorn (one worker) that only parses the same body and
returns a fixed reply of the same size. Floor and service take turns, so that a machine whose speed drifts slows
both; the ratio is the median over the rounds, by requests a second and by CPU time of the worker, which other
work on the machine disturbs less. Growth is the median time of one request in a quiet service.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bodies import PATIENT, hook_body

CONNECTIONS = 2
PATIENTS = 500
PATH = "/cds-services/trd-patient-view"
SIZES = (60, 600, 6000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    service_port, floor_port = free_port(), free_port()
    servers = [_start(_serve_service, service_port)]
    _wait_until_up(service_port)
    reply = _post(service_port, hook_body(60))
    servers.append(_start(_serve_floor, floor_port, len(reply)))
    _wait_until_up(floor_port)
    try:
        service, floor = (
            _Server(port, server.pid or 0)
            for port, server in zip((service_port, floor_port), servers, strict=True)
        )
        figures = _throughput(service, floor, given.rounds, given.seconds)
        figures |= {"replyBytes": len(reply), "growth": _growth(service_port)}
    finally:
        for server in servers:
            server.terminate()
            server.join()
    _print(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


class _Server:
    """One that is called: its port, and the gunicorn whose only worker answers."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self._pid = port, pid

    def cpu_seconds(self) -> float:
        """Of its worker, so far."""
        (worker,) = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        user, system = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def driven(self, requests: list[bytes], seconds: float) -> tuple[float, float]:
        """Requests a second, and milliseconds of CPU time a request."""
        before = self.cpu_seconds()
        number, took = _drive(self.port, requests, seconds)
        return number / took, (self.cpu_seconds() - before) * 1000 / number


def _throughput(service: _Server, floor: _Server, rounds: int, seconds: float) -> dict[str, Any]:
    body = hook_body(60)
    requests = [_request(body.replace(PATIENT.encode(), f"patient-{n:05}".encode())) for n in range(PATIENTS)]
    service.driven(requests, 1.0)
    floor.driven(requests, 1.0)
    pairs = [(service.driven(requests, seconds), floor.driven(requests, seconds)) for _ in range(rounds)]
    return {
        "requestBytes": len(body),
        "service": statistics.median(rate for (rate, _), _ in pairs),
        "floor": statistics.median(rate for _, (rate, _) in pairs),
        "ratio": statistics.median(service / floor for (service, _), (floor, _) in pairs),
        "ratios": [round(service / floor, 3) for (service, _), (floor, _) in pairs],
        "serviceCpuMs": statistics.median(cpu for (_, cpu), _ in pairs),
        "floorCpuMs": statistics.median(cpu for _, (_, cpu) in pairs),
        "cpuRatio": statistics.median(floor / service for (_, service), (_, floor) in pairs),
    }


def _growth(port: int) -> list[dict[str, float]]:
    figures: list[dict[str, float]] = []
    for size in SIZES:
        body = hook_body(size)
        times = []
        for _ in range(max(5, 3000 // size)):
            before = time.perf_counter()
            _post(port, body)
            times.append(time.perf_counter() - before)
        figures.append(
            {"resources": size, "bytes": len(body), "milliseconds": statistics.median(times) * 1000}
        )
    return figures


def _print(figures: dict[str, Any]) -> None:
    print(f"request {figures['requestBytes']} bytes (60 resources), reply {figures['replyBytes']} bytes")
    print(f"service {figures['service']:8.0f} requests/s")
    print(f"floor   {figures['floor']:8.0f} requests/s")
    print(f"ratio   {figures['ratio']:8.2f}   (median of {figures['ratios']}; bar 0.40, aim 0.80)")
    print(
        f"CPU     {figures['serviceCpuMs']:.2f} ms a request, floor {figures['floorCpuMs']:.2f} ms, "
        f"ratio {figures['cpuRatio']:.2f}"
    )
    previous = None
    for row in figures["growth"]:
        growth = f"   x{row['milliseconds'] / previous:.1f} for 10 x the resources" if previous else ""
        print(f"{row['resources']:>6} resources {row['milliseconds']:9.2f} ms{growth}")
        previous = row["milliseconds"]


def _request(body: bytes) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _drive(port: int, requests: list[bytes], seconds: float) -> tuple[int, float]:
    """How many requests were answered over all connections, and in how many seconds."""
    counts = [0] * CONNECTIONS
    until = time.perf_counter() + seconds

    def drive(number: int) -> None:
        turns = cycle(requests[number::CONNECTIONS])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            stream = connection.makefile("rb")
            while time.perf_counter() < until:
                connection.sendall(next(turns))
                _read_reply(stream)
                counts[number] += 1

    threads = [threading.Thread(target=drive, args=(number,)) for number in range(CONNECTIONS)]
    before = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - before


def _read_reply(stream: Any) -> None:
    status = stream.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"expected status 200, got {status!r}")
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    stream.read(length)


def _post(port: int, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", PATH, body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    if reply.status != 200:
        raise RuntimeError(f"expected status 200, got {reply.status}: {content[:300]!r}")
    return content


def _start(target: Callable[..., None], *args: int) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    process.start()
    return process


def _serve_service(port: int) -> None:
    """As `trd-cds serve` does, with one worker; its log goes to a file."""
    from cds_service.serving import serve
    from cds_service.settings import load_settings

    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
        serve(load_settings(port=port, workers=1, store_url=f"sqlite:///{folder}/feedback.sqlite3"))


def _serve_floor(port: int, reply_bytes: int) -> None:
    """The same gunicorn with the same options, and a view that only parses."""
    from flask import Flask, Response, request

    from cds_service.listening import listen
    from cds_service.serving import serve_app
    from cds_service.settings import load_settings

    app = Flask("floor")
    card = json.dumps({"cards": [{"detail": ""}]})
    reply = json.dumps({"cards": [{"detail": "x" * max(0, reply_bytes - len(card))}]})

    @app.post(PATH)
    def parse_and_reply() -> Response:
        request.get_json()
        return Response(reply, mimetype="application/json")

    serve_app(app, load_settings(port=port, workers=1), listen("127.0.0.1", port).detach())


def _wait_until_up(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
