"""What the log makes of messages that are not the service's own, and how a line of text is written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from cds_service.logs import event_logger, open_log

NAMES = ("cds_service", "gunicorn.error", "urllib3")


@pytest.fixture
def written() -> Iterator[Any]:
    """Opens the log on a text that the test can read; puts all loggers back afterwards."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(one.handlers, one.level, one.propagate, one.filters[:]) for one in loggers]

    def open_on_text(log_format: str = "json") -> io.StringIO:
        open_log("info", log_format)
        text = io.StringIO()
        (handler,) = logging.getLogger("cds_service").handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(text)
        return text

    yield open_on_text
    for one, (handlers, level, propagate, filters) in zip(loggers, before, strict=True):
        one.handlers, one.propagate, one.filters = handlers, propagate, filters
        one.setLevel(level)


@pytest.mark.parametrize(
    ("message", "args", "told"),
    [
        ("Booting worker with pid: %s", (12,), "Booting worker with pid: 12"),
        ("Worker (pid:%s) was sent %s!", (12, "SIGKILL"), "Worker (pid:12) was sent SIGKILL!"),
        ("Error handling request %s %s", ("GET", "/secret"), "Error handling request str str"),
        ("Closing. %s", (ValueError("secret"),), "Closing. ValueError"),
        ("100 %", (), "100 %"),
        (ValueError("secret"), (), "ValueError"),
    ],
)
def test_what_a_library_quotes_is_left_out(
    written: Any, message: Any, args: tuple[Any, ...], told: str
) -> None:
    log = written()
    logging.getLogger("gunicorn.error").error(message, *args)
    line = json.loads(log.getvalue())
    assert (line["event"], line["logger"], line["message"]) == ("message", "gunicorn.error", told)


def test_of_an_exception_only_its_type_and_place_are_told(written: Any) -> None:
    log = written()
    try:
        raise ValueError("-".join(("secret", "of", "p1")))
    except ValueError:
        logging.getLogger("gunicorn.error").exception("Exception in worker process: %s", "secret")
    message = json.loads(log.getvalue())["message"]
    assert message.startswith("Exception in worker process: str: ValueError\n")
    assert "test_logs.py" in message
    assert "secret-of-p1" not in message


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_field_that_is_not_on_the_list_is_not_written(written: Any, log_format: str) -> None:
    log = written(log_format)
    event_logger("calls").info("call", status=200, patient="secret", verdict=None)
    assert "secret" not in log.getvalue()
    assert "verdict" not in log.getvalue()
    assert "200" in log.getvalue()


def test_a_line_of_text_stays_one_line(written: Any) -> None:
    log = written("text")
    event_logger("calls").info("call", client="The EHR", subject='a\nb "c"', status=200)
    (line,) = log.getvalue().splitlines()
    assert line.endswith(r' info call status=200 client="The EHR" subject="a\nb \"c\""')


def test_the_level_counts(written: Any) -> None:
    log = written()
    event_logger("calls").debug("call", status=200)
    assert log.getvalue() == ""
