"""OpenTelemetry traces, with the extra `tracing` and the setting of that name; without, nothing is imported.

Spans tell kind, service, verdict and status of a step. What an exception says is never recorded: it may
be a patient's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar

from cds_service import __version__
from cds_service.errors import SettingsError

_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class _Tracing:
    """Whether this process traces, and its tracer: made at the first span, so in a worker and not before a fork."""

    def __init__(self) -> None:
        self.is_on = False
        self._tracer: Any = None
        self._lock = threading.Lock()

    @property
    def tracer(self) -> Any:
        with self._lock:
            if self._tracer is None:
                self._tracer = _open_tracer()
        return self._tracer


_tracing = _Tracing()


def switch_tracing(on: bool) -> None:
    """Traces from now on, or no longer. Raises SettingsError where the extra is not installed."""
    if on and not all(_is_installed(module) for module in _NEEDED):
        raise SettingsError(
            "TRD_CDS_TRACING: true needs OpenTelemetry: install the extra, pip install 'trd-cds[tracing]'"
        )
    _tracing.is_on = on


def span(name: str) -> AbstractContextManager[Any]:
    """A span around a step, below that of the call. `name` must hold nothing of a patient."""
    if not _tracing.is_on:
        return nullcontext()
    span_within: AbstractContextManager[Any] = _tracing.tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    )
    return span_within


def in_span(name: str) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """A function with a span around it."""

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @wraps(function)
        def call(*args: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
            with span(name):
                return function(*args, **options)

        return call

    return decorate


def traced(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a fetch, whose `sign` passes the trace on as `traceparent` where there is one."""
    if not _tracing.is_on or "sign" not in options:
        return options
    from opentelemetry import propagate

    sign = options["sign"]

    def sign_with_trace(request: Any) -> Any:
        propagate.inject(request.headers)
        return sign(request)

    return {**options, "sign": sign_with_trace}


class CallSpan:
    """The span of one call, below the caller's where it sent a `traceparent`; `header` tells what it sent."""

    def __init__(self, name: str, header: Callable[[str, str], str]) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(
            {name: header(name, "") for name in ("traceparent", "tracestate")}
        )
        self._span: Any = _tracing.tracer.start_span(name, context=parent, kind=trace.SpanKind.SERVER)
        self._token = context.attach(trace.set_span_in_context(self._span, parent))

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def end(self, attributes: Mapping[str, str | int]) -> None:
        from opentelemetry import context

        self._span.set_attributes(attributes)
        self._span.end()
        context.detach(self._token)


def open_call_span(name: str, header: Callable[[str, str], str]) -> CallSpan | None:
    """The span of a call that begins; None while tracing is off."""
    return CallSpan(name, header) if _tracing.is_on else None


def _open_tracer() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "trd-cds"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("trd-cds", __version__)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
