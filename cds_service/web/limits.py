"""How many calls are answered at the same time, and how many of one client in a minute.

Health, metrics, discovery and pages are not limited: they cost little, and must answer when all else does not.
"""

from __future__ import annotations

import time
from threading import BoundedSemaphore

from flask import Flask, g, request
from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter

from cds_service.errors import Overloaded, TooManyRequests
from cds_service.security.callers import ANYONE
from cds_service.settings import Settings
from cds_service.shared_counts import SharedCounts

_LIMITED = "/cds-services/"


def add_concurrency_limit(app: Flask, places: int) -> None:
    """Hooks and feedback beyond so many at the same time are refused at once: a queue would only add waiting.

    The place is held from before authentication to the reply, so it also bounds slow senders of bodies.
    """
    free = BoundedSemaphore(places)

    @app.before_request
    def take_place() -> None:
        if not _is_limited():
            return
        if not free.acquire(blocking=False):
            raise Overloaded(f"All {places} calls that are answered at the same time are under way.")
        g.holds_place = True

    @app.teardown_request
    def leave_place(_: BaseException | None) -> None:
        if g.pop("holds_place", False):
            free.release()


def add_rate_limit(app: Flask, settings: Settings) -> None:
    """Calls of one client beyond its limit are refused until the minute is over. Counted over all workers.

    A client is its issuer. Where nobody has to say who they are it is the address, which is one for all
    behind a proxy: so then only a limit that was set counts.
    """
    limiter = FixedWindowRateLimiter(SharedCounts())
    limits_addresses = "requests_per_minute" in settings.model_fields_set

    @app.before_request
    def count_call() -> None:
        caller = g.get("caller", ANYONE)
        if not _is_limited() or not (caller.issuer or limits_addresses):
            return
        most = caller.requests_per_minute or settings.requests_per_minute
        client = caller.issuer or request.remote_addr or ""
        limit = RateLimitItemPerMinute(most)
        if not limiter.hit(limit, client):
            seconds = limiter.get_window_stats(limit, client).reset_time - time.time()
            raise TooManyRequests(f"More than {most} calls in a minute.", max(1, round(seconds)))


def _is_limited() -> bool:
    return request.method == "POST" and request.path.startswith(_LIMITED)
