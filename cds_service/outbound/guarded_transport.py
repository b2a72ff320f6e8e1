"""Connections of requests that go to network addresses which were judged, and nowhere else.

The name is looked up once, and the connection made to what that gave: a second look-up might answer otherwise.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from cds_service.outbound.network import Network, SocketAddress


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
        def _new_conn(self) -> socket.socket:
            return _connect(self, network)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, network)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def _connect(connection: HTTPConnection, network: Network) -> socket.socket:
    """A socket to the first address of the connection's host that answers, as urllib3's own `_new_conn`."""
    try:
        found = network.find(connection._dns_host, connection.port)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from None
    except UnicodeError:
        raise NewConnectionError(connection, "the host's name is none") from None
    problem: OSError | None = None
    for address in found:
        try:
            return _open(connection, address)
        except OSError as error:
            problem = error
    if isinstance(problem, TimeoutError):
        raise ConnectTimeoutError(connection, "the connection took too long")
    raise NewConnectionError(connection, "no connection could be made")


def _open(connection: HTTPConnection, address: SocketAddress) -> socket.socket:
    family, kind, protocol, _, where = address
    opened = socket.socket(family, kind, protocol)
    try:
        for option in connection.socket_options or ():
            opened.setsockopt(*option)
        opened.settimeout(connection.timeout)
        opened.connect(where)
    except BaseException:
        opened.close()
        raise
    return opened
