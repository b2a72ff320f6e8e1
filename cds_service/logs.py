"""The log: one JSON object (or one line of text) an event on standard error, with a closed list of fields.

`FIELDS` is the list; docs/operations.md says what each means. Values that could come from a caller are
checked, or made anew, where they are put in; a field that is not on the list is dropped.
"""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from structlog.stdlib import ProcessorFormatter, filter_by_level

_IN_ALL = ("time", "level", "event")

FIELDS = {
    "call": (
        *_IN_ALL,
        "request_id",
        "trace_id",
        "method",
        "endpoint",
        "service",
        "status",
        "verdict",
        "reason",
        "duration_ms",
        "request_bytes",
        "response_bytes",
        "fetches",
        "fetch_ms",
        "fetch_outcome",
        "cards",
        "withheld",
        "client",
        "issuer",
        "tenant",
        "subject",
        "hook_instance",
    ),
    "start": (*_IN_ALL, "version", "mode", "definition", "address", "workers"),
    "message": (*_IN_ALL, "logger", "message"),
}
"""The fields of each kind of event, in the order they are written. What has no value is left out."""

_OURS = "cds_service"
_Event = MutableMapping[str, Any]


def open_log(level: str, log_format: str = "json") -> None:
    """Our own messages, and gunicorn's, to standard error. Other libraries stay silent: theirs may quote ids."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(log_format))
    for name in (_OURS, "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    logging.getLogger(_OURS).setLevel(level.upper())
    logging.getLogger("gunicorn.error").addFilter(drop_quoted)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def event_logger(name: str) -> Any:
    """A logger of events with fields, such as `info("call", status=200)`."""
    return structlog.wrap_logger(
        logging.getLogger(f"{_OURS}.{name}"),
        processors=[filter_by_level, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def drop_quoted(record: logging.LogRecord) -> bool:
    """Leaves of a library's message its own words and numbers; what it quotes may have come from a client."""
    words = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    args = record.args if isinstance(record.args, tuple) else (record.args,) if record.args else ()
    if args:
        words %= tuple(_own_word(arg) for arg in args)
    if record.exc_info and (error := record.exc_info[1]):
        words += f": {type(error).__name__}\n{where_in_code(error)}"
    record.msg, record.args, record.exc_info = words, (), None
    return True


def _own_word(arg: Any) -> Any:
    """Numbers and names of signals as they are, of all else the type."""
    is_signal = isinstance(arg, str) and arg in signal.Signals.__members__
    return arg if is_signal or isinstance(arg, int | float) else type(arg).__name__


def where_in_code(error: BaseException) -> str:
    """The traceback without its last line, which may quote data."""
    return "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))


def _formatter(log_format: str) -> logging.Formatter:
    """Either keeps to one line an event; json has all else escaped."""
    return ProcessorFormatter(
        foreign_pre_chain=[_name_message],
        processors=[_put_in_order, _to_json if log_format == "json" else _to_text],
    )


def _name_message(_: Any, __: str, event: _Event) -> _Event:
    """A message of a plain logger as an event."""
    record = event["_record"]
    return {"event": "message", "logger": record.name, "message": event["event"], "_record": record}


def _put_in_order(_: Any, __: str, event: _Event) -> _Event:
    record = event["_record"]
    event["time"] = _iso_time(record.created)
    event["level"] = record.levelname.lower()
    return {name: event[name] for name in FIELDS[event["event"]] if event.get(name) is not None}


def _iso_time(seconds: float) -> str:
    """UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _to_json(_: Any, __: str, event: _Event) -> str:
    return msgspec.json.encode(event).decode()


def _to_text(_: Any, __: str, event: _Event) -> str:
    head = f"{event.pop('time')} {event.pop('level')} {event.pop('event')}"
    return " ".join([head, *(f"{name}={_shown(value)}" for name, value in event.items())])


def _shown(value: Any) -> str:
    """Plain where it is one word, else as JSON, so that a line stays a line."""
    text = str(value)
    return (
        text
        if text.isprintable() and text and not set(' "=') & set(text)
        else msgspec.json.encode(text).decode()
    )
