"""The numbers of the service for Prometheus: how many calls, how they went, how long they took.

Labels are names of ours: services, routes, verdicts, statuses. None is ever as a client wrote it.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any

from flask import Flask, Response, g, request

from cds_service import __version__
from cds_service.web.call_facts import NONE, CallFacts
from cds_service.web.replies import refusal

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_READS = 5
_READ_AGAIN_SECONDS = 0.02
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one app. Where the variable names a directory, those of all worker processes together.

    prometheus_client looks at the variable when it is first imported, so that is done here.
    """

    def __init__(self, definition: str) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = registry = CollectorRegistry()
        self._calls = Counter(
            "trd_cds_calls",
            "Calls answered.",
            ("endpoint", "service", "status", "verdict"),
            registry=registry,
        )
        self._seconds = Histogram(
            "trd_cds_call_seconds",
            "Time to answer a call.",
            ("endpoint", "service"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "trd_cds_calls_in_flight",
            "Calls being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._fetches = Counter(
            "trd_cds_fetches",
            "Requests to FHIR and other servers, by kind of resource.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._fetch_seconds = Histogram(
            "trd_cds_fetch_seconds",
            "Time that the fetches of one call took together, where it made any.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._cards = Counter(
            "trd_cds_cards", "Cards sent, by topic.", ("service", "topic"), registry=registry
        )
        self._withheld = Counter(
            "trd_cds_cards_withheld",
            "Cards not sent, since they had been overridden.",
            ("service",),
            registry=registry,
        )
        self._refusals = Counter(
            "trd_cds_not_authenticated", "Calls refused with 401.", ("reason",), registry=registry
        )
        info = Gauge(
            "trd_cds_info",
            "Always 1; what runs is in the labels.",
            ("version", "definition"),
            multiprocess_mode="max",
            registry=registry,
        )
        info.labels(__version__, definition).set(1)

    def begin(self) -> None:
        self._in_flight.inc()

    def end(self) -> None:
        self._in_flight.dec()

    def observe(self, facts: CallFacts) -> None:
        service = facts.service or NONE
        self._calls.labels(facts.endpoint, service, str(facts.status), facts.verdict or NONE).inc()
        self._seconds.labels(facts.endpoint, service).observe(facts.seconds)
        for topic in facts.cards or ():
            self._cards.labels(service, topic).inc()
        if facts.withheld:
            self._withheld.labels(service).inc(facts.withheld)
        if facts.status == 401:
            self._refusals.labels(facts.refusal or "other").inc()
        self._observe_fetches(facts)

    def _observe_fetches(self, facts: CallFacts) -> None:
        for fetch in facts.fetches.fetches:
            self._fetches.labels(fetch.kind, fetch.outcome).inc()
        if facts.fetches.fetches:
            self._fetch_seconds.observe(facts.fetches.seconds)

    def render(self) -> tuple[bytes, str]:
        """The text for Prometheus, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

        registry: Any = self._registry
        if os.environ.get(MULTIPROCESS_VARIABLE):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        for _ in range(_READS - 1):
            try:
                return generate_latest(registry), CONTENT_TYPE_LATEST
            except (
                struct.error,
                RuntimeError,
            ):  # another worker is just making its file, or making it larger
                time.sleep(_READ_AGAIN_SECONDS)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def add_metrics(app: Flask, metrics: Metrics | None) -> None:
    """`/metrics`, and the count of calls in flight; with no metrics a 404."""

    @app.get("/metrics")
    def show_metrics() -> Response:
        if metrics is None:
            return refusal(404, "not-found", "Metrics are switched off.")
        text, content_type = metrics.render()
        return Response(text, content_type=content_type)

    if metrics is None:
        return

    @app.before_request
    def begin() -> None:
        if request.endpoint != "show_metrics":
            g.in_flight = True
            metrics.begin()

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        if g.pop("in_flight", False):
            metrics.end()


def forget_process(pid: int) -> None:
    """The calls in flight of a worker that has ended are over."""
    if os.environ.get(MULTIPROCESS_VARIABLE):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
