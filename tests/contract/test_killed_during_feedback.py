"""`kill -9` while feedback is written under load: whatever was answered 200 is there afterwards, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import requests
from sqlalchemy import select

from cds_service.store.engine import open_store
from cds_service.store.tables import ACCEPTED, FEEDBACK
from tests.contract.conftest import HOOK_PATH
from tests.contract.process import wait_for_address

KILLS = 3
CLIENTS = 4
ANSWERED_BEFORE_A_KILL = 40
BATCH = 3


class Client(threading.Thread):
    """Posts batches of feedback one after another, and remembers which were answered 200.

    A batch without a 200 is sent once more at the next start, as a careful client does.
    """

    def __init__(self, base_url: str, unanswered: list[list[str]]) -> None:
        super().__init__(daemon=True)
        self._url = f"{base_url}{HOOK_PATH}/feedback"
        self._again = unanswered
        self.answered: list[str] = []
        self.unanswered: list[list[str]] = []

    def run(self) -> None:
        with requests.Session() as session:
            while True:
                batch = self._again.pop() if self._again else [str(uuid4()) for _ in range(BATCH)]
                self.unanswered.append(batch)
                try:
                    reply = session.post(self._url, json=feedback(batch), timeout=20)
                except requests.RequestException:
                    return
                if reply.status_code == 200:
                    self.unanswered.remove(batch)
                    self.answered += batch


def feedback(cards: list[str]) -> dict[str, object]:
    taken = [{"id": "first"}, {"id": "second"}]
    each = {"outcome": "accepted", "outcomeTimestamp": "2026-06-30T10:00:00Z", "acceptedSuggestions": taken}
    return {"feedback": [{"card": card} | each for card in cards]}


@contextmanager
def served(store_url: str, log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`trd-cds serve` with two workers, in a process group of its own; killed as a whole at the end."""
    command = [sys.executable, "-m", "cds_service", "serve", "--port", "0", "--workers", "2"]
    environment = os.environ | {"TRD_CDS_STORE_URL": store_url, "TRD_CDS_REQUESTS_PER_MINUTE": "1000000"}
    with log.open("wb") as written:
        process = subprocess.Popen(command, stderr=written, env=environment, start_new_session=True)
    try:
        yield wait_for_address(log, process), process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def test_what_was_answered_200_is_there_once(store_url: str, tmp_path: Path) -> None:
    answered: list[str] = []
    unanswered: list[list[str]] = []
    for number in range(KILLS):
        with served(store_url, tmp_path / f"log{number}") as (base_url, _):
            clients = [Client(base_url, unanswered[place::CLIENTS]) for place in range(CLIENTS)]
            for client in clients:
                client.start()
            wait_until(
                lambda clients=clients: sum(len(c.answered) for c in clients) >= ANSWERED_BEFORE_A_KILL
            )
        for client in clients:
            client.join(30)
            assert not client.is_alive()
        answered += [card for client in clients for card in client.answered]
        unanswered = [batch for client in clients for batch in client.unanswered]
    found, suggestions = read_back(store_url)
    assert len(answered) >= KILLS * ANSWERED_BEFORE_A_KILL
    assert {card: found[card] for card in answered} == dict.fromkeys(answered, 1)
    assert max(found.values()) == 1
    assert suggestions == 2 * len(found)
    for batch in unanswered:
        assert len({found[card] for card in batch}) == 1, "half a batch was kept"


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "hardly anything was answered"
        time.sleep(0.01)


def read_back(store_url: str) -> tuple[Counter[str], int]:
    with open_store(store_url).reading() as connection:
        found = Counter(connection.execute(select(FEEDBACK.c.card)).scalars())
        return found, len(connection.execute(select(ACCEPTED.c.suggestion)).all())


def test_workers_share_one_store(store_url: str, tmp_path: Path) -> None:
    """The same event on several connections at once: whichever worker takes it, it is kept once."""
    with served(store_url, tmp_path / "log") as (base_url, _):
        url = f"{base_url}{HOOK_PATH}/feedback"
        batches = [[str(uuid4())] for _ in range(30)]

        def post_all() -> None:
            for batch in batches:
                assert requests.post(url, json=feedback(batch), timeout=20).status_code == 200

        threads = [threading.Thread(target=post_all) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    found, _ = read_back(store_url)
    assert found == Counter(batch[0] for batch in batches)
