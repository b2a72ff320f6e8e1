"""How the fetches of a call are counted."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from dataclasses import dataclass

import pytest

from cds_service.errors import FhirFatalError, FhirTemporaryError
from cds_service.outbound.fetch_tally import NO_ANSWER, counted, outcome_of_status, start_tally


@dataclass(frozen=True)
class Answer:
    status: int


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (201, "unusable"),
        (302, "unusable"),
        (400, "not-offered"),
        (401, "refused"),
        (403, "refused"),
        (404, "not-offered"),
        (429, "server-error"),
        (500, "server-error"),
        (503, "server-error"),
    ],
)
def test_what_a_status_says(status: int, outcome: str) -> None:
    assert outcome_of_status(status) == outcome


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("Condition search", "Condition"),
        ("Patient read", "Patient"),
        ("look-up of a code", "other"),
        ("x", "other"),
    ],
)
def test_a_fetch_is_named_by_the_kind_of_resource(what: str, kind: str) -> None:
    tally = start_tally()
    counted(lambda *_: Answer(200))("http://x", None, what)
    assert [fetch.kind for fetch in tally.fetches] == [kind]


@pytest.mark.parametrize(
    ("error", "outcome"), [(FhirFatalError("x"), "unusable"), (FhirTemporaryError("x"), NO_ANSWER)]
)
def test_a_fetch_that_fails_is_counted_and_fails(error: Exception, outcome: str) -> None:
    def fail(*_: object) -> Answer:
        raise error

    tally = start_tally()
    with pytest.raises(type(error)):
        counted(fail)("http://x", None, "Patient read")
    assert tally.worst == outcome


def test_the_worst_outcome_and_the_whole_time_of_a_call() -> None:
    tally = start_tally()
    assert (tally.worst, tally.seconds) == (None, 0.0)
    for status in (200, 404, 200):
        counted(lambda *_, status=status: Answer(status))("http://x", None, "Patient read")
    assert tally.worst == "not-offered"
    assert 0 <= tally.seconds < 5


def test_a_fetch_that_is_left_behind_has_not_answered() -> None:
    may_end = threading.Event()

    def hang(*_: object) -> Answer:
        may_end.wait(20)
        return Answer(200)

    tally = start_tally()
    thread = threading.Thread(
        target=copy_context().run, args=(counted(hang), "http://x", None, "Patient read")
    )
    thread.start()
    while not tally.fetches:
        time.sleep(0.01)
    assert tally.worst == NO_ANSWER
    may_end.set()
    thread.join()
    assert tally.worst == "ok"
