"""Connections of requests that go to network addresses which were judged, and nowhere else.

The name is looked up once, and the connection made to what that gave: a second look-up might answer otherwise.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from cds_service.outbound.network import Network, SocketAddress
from cds_service.outbound.timely_response import TimelyResponse

_DEFAULT_SECONDS = 10.0
_SHORTEST_SECONDS = 0.001  # a time-out of 0 would mean none
_LONGEST_TRY_SECONDS = 1.5  # at one address of several: TCP itself tries a second time after a second


class GuardedAdapter(HTTPAdapter):
    """Transport of a requests session whose own connections go to addresses that `network` allows.

    A proxy's connections are its own: it resolves names itself, and whoever set it up answers for where it leads.
    """

    def __init__(self, network: Network, **options: Any) -> None:
        self._network = network
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(self._network)


def _pool_classes(network: Network) -> Mapping[str, type[HTTPConnectionPool]]:
    """Pools of urllib3 whose connections are made by `_connect`; TLS still checks the host's name."""

    class Plain(HTTPConnection):
        response_class = TimelyResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, network)

    class Encrypted(HTTPSConnection):
        response_class = TimelyResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, network)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def _connect(connection: HTTPConnection, network: Network) -> socket.socket:
    """A socket to the first address of the connection's host that answers, as urllib3's own `_new_conn`.

    An address that is dead does not use up the time of those after it.
    """
    try:
        found = network.find(connection._dns_host, connection.port)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from None
    except UnicodeError:
        raise NewConnectionError(connection, "the host's name is none") from None
    deadline = time.monotonic() + _seconds(connection)
    problem: OSError | None = None
    for number, address in enumerate(found, start=1):
        try:
            return _open(connection, address, deadline, others=len(found) - number)
        except OSError as error:
            problem = error
    if isinstance(problem, TimeoutError):
        raise ConnectTimeoutError(connection, "the connection took too long")
    raise NewConnectionError(connection, "no connection could be made")


def _open(connection: HTTPConnection, address: SocketAddress, deadline: float, others: int) -> socket.socket:
    family, kind, protocol, _, where = address
    opened = socket.socket(family, kind, protocol)
    try:
        for option in connection.socket_options or ():
            opened.setsockopt(*option)
        opened.settimeout(_share(deadline, others))
        opened.connect(where)
        opened.settimeout(_share(deadline, others=0))
    except BaseException:
        opened.close()
        raise
    return opened


def _seconds(connection: HTTPConnection) -> float:
    """The time-out of the connection; bounded calls always have one."""
    seconds = connection.timeout
    return float(seconds) if isinstance(seconds, int | float) else _DEFAULT_SECONDS


def _share(deadline: float, others: int) -> float:
    """How long one address is tried while there are so many others to try after it."""
    left = max(deadline - time.monotonic(), _SHORTEST_SECONDS)
    return min(left / (others + 1), _LONGEST_TRY_SECONDS) if others else left
