"""HTTP responses whose every byte has to come before one moment, and before which interim ones are skipped.

A time-out of a socket begins anew with each byte: a head, a chunk's length or trailers that trickle in, or interim
responses without end, would hold a thread for hours.
"""

from __future__ import annotations

import io
import math
import socket
import time
from http.client import BadStatusLine, HTTPResponse
from typing import Any

_CONTINUE = 100
_SWITCHED = 101


class TimelyResponse(HTTPResponse):
    """A response that has the socket's time-out, counted from now, for all of it: TimeoutError from then on.

    Interim responses (102, 103 and what else may come between 100 and 200) are no answers: were one taken for one,
    the answer itself would be read as that of the next request on this connection.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_TimelyReader(self.fp.detach(), sock))

    def begin(self) -> None:
        """Reads the head, without cookies: none is kept, and the standard library prints what it cannot read of one."""
        super().begin()
        for name in ("Set-Cookie", "Set-Cookie2"):
            del self.headers[name]

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if status == _SWITCHED:  # nobody asked for it: what follows is no HTTP
            raise BadStatusLine("101")
        return version, _CONTINUE if _CONTINUE < status < 200 else status, reason


class _TimelyReader(io.RawIOBase):
    """`raw`, which reads from `sock`, until the socket's time-out has passed since now."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._seconds = sock.gettimeout()
        self._deadline = math.inf if self._seconds is None else time.monotonic() + self._seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response did not come in time")
        if self._seconds is not None:
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
