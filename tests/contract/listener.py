"""A socket where nobody should ever call, and that tells whether somebody did."""

from __future__ import annotations

import socket
import threading
import time


class Listener:
    """Counts the connections that are made to it, and answers none."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.02)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.port = int(self._socket.getsockname()[1])
        self.calls = 0

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def heard(self) -> int:
        """How many called until now; a connection that is just being made is waited for."""
        time.sleep(0.06)
        return self.calls

    def _accept(self) -> None:
        while not self._ends.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.calls += 1
            connection.close()
