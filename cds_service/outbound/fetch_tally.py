"""What one call fetched from other servers: how often, how long, how it went; counted over all its threads.

Nothing here knows an address, an id or a token: a fetch is named by the kind of thing that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Protocol, TypeVar

from cds_service.errors import FhirFatalError
from cds_service.tracing import span, traced

OK = "ok"
NO_ANSWER = "no-answer"  # in time, or at all; also what a deadline left behind
UNUSABLE = "unusable"

OUTCOMES = (OK, "refused", "not-offered", UNUSABLE, "server-error", NO_ANSWER)
"""All outcomes of a fetch, from best to worst."""


class _HasStatus(Protocol):
    @property
    def status(self) -> int: ...


Answer = TypeVar("Answer", bound=_HasStatus)


@dataclass
class Fetch:
    """One HTTP request to another server. `kind` is a FHIR resource type, or `other`."""

    kind: str
    begun: float
    ended: float | None = None
    outcome: str = NO_ANSWER


@dataclass(frozen=True)
class FetchTally:
    """The fetches of one call, in the order they began."""

    fetches: list[Fetch] = field(default_factory=list)

    @property
    def worst(self) -> str | None:
        """The worst outcome, None where nothing was fetched."""
        return max((fetch.outcome for fetch in self.fetches), key=OUTCOMES.index, default=None)

    @property
    def seconds(self) -> float:
        """From the beginning of the first to the end of the last; they overlap."""
        if not self.fetches:
            return 0.0
        now = time.monotonic()
        ends = [now if fetch.ended is None else fetch.ended for fetch in self.fetches]
        return max(ends) - self.fetches[0].begun


_current: ContextVar[FetchTally | None] = ContextVar("fetch_tally", default=None)


def start_tally() -> FetchTally:
    """A new tally for the call that this thread begins; threads with a copy of its context add to it."""
    tally = FetchTally()
    _current.set(tally)
    return tally


def counted(get: Callable[..., Answer]) -> Callable[..., Answer]:
    """A way to fetch whose calls are counted, and traced; `what` is words such as `Condition search`."""

    @wraps(get)
    def get_and_count(url: str, bounds: object, what: str, **options: Any) -> Answer:
        fetch = _begin(what)
        try:
            with span(f"fetch {what}"):
                answer = get(url, bounds, what, **traced(options))
            fetch.outcome = outcome_of_status(answer.status)
        except FhirFatalError:
            fetch.outcome = UNUSABLE
            raise
        finally:
            fetch.ended = time.monotonic()
        return answer

    return get_and_count


def _begin(what: str) -> Fetch:
    fetch, tally = Fetch(_kind(what), time.monotonic()), _current.get()
    if tally is not None:
        tally.fetches.append(fetch)
    return fetch


def outcome_of_status(status: int) -> str:
    """What an HTTP status says of a fetch."""
    if status == 200:
        return OK
    if status in (401, 403):
        return "refused"
    if status == 429 or status >= 500:
        return "server-error"
    return "not-offered" if status >= 400 else "unusable"


def _kind(what: str) -> str:
    kind, _, action = what.partition(" ")
    return kind if action in ("read", "search") else "other"
