"""Counts that several processes share."""

from __future__ import annotations

import os
import threading
from unittest import mock

from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter

from cds_service import shared_counts
from cds_service.shared_counts import PLACES, SharedCounts


def test_each_key_has_its_count() -> None:
    counts = SharedCounts()
    assert [counts.incr(key, 60) for key in ("a", "b", "a", "a")] == [1, 1, 2, 3]
    assert (counts.get("a"), counts.get("b"), counts.get("c")) == (3, 1, 0)


def test_a_count_ends_with_its_window() -> None:
    counts = SharedCounts()
    with mock.patch.object(shared_counts.time, "time") as now:
        now.return_value = 1000.0
        counts.incr("a", 60)
        assert counts.get_expiry("a") == 1060.0
        now.return_value = 1060.0
        assert counts.get("a") == 0
        assert counts.incr("a", 60) == 1
        assert counts.get_expiry("a") == 1120.0
        assert counts.get_expiry("nobody") == 1060.0


def test_clear_and_reset() -> None:
    counts = SharedCounts()
    for key in ("a", "b", "c"):
        counts.incr(key, 60)
    counts.clear("a")
    counts.clear("never counted")
    assert (counts.get("a"), counts.get("b")) == (0, 1)
    counts.reset()
    assert counts.get("b") == 0
    assert counts.check()


def test_processes_and_threads_count_together() -> None:
    counts = SharedCounts()

    def count() -> None:
        for _ in range(500):
            counts.incr("a", 60)

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            count()
            os._exit(0)
        children.append(child)
    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert counts.get("a") == 6 * 500


def test_more_clients_than_places_are_no_failure() -> None:
    counts = SharedCounts()
    assert {counts.incr(str(number), 60) for number in range(PLACES + 100)} == {1}


def test_as_the_store_of_a_limiter() -> None:
    limiter = FixedWindowRateLimiter(SharedCounts())
    limit = RateLimitItemPerMinute(2)
    assert [limiter.hit(limit, client) for client in ("a", "a", "a", "b")] == [True, True, False, True]
    assert limiter.get_window_stats(limit, "a").remaining == 0
