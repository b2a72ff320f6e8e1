"""Which network addresses may be connected to.

Being on a list of servers says what a name may be, not where it leads today: so what DNS answers is judged, all of it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
SocketAddress = tuple[int, int, int, str, tuple[Any, ...]]

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_PRIVATE = (
    *LOOPBACK,
    *(ip_network(name) for name in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    ip_network("fc00::/7"),
)
_NAT64 = IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = (  # IANA's registers of special addresses; not all versions of Python know these
    *(ip_network(name) for name in ("192.0.0.0/24", "192.88.99.0/24")),
    *(ip_network(name) for name in ("64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16", "fec0::/10")),
)


class AddressRefused(Exception):
    """The host leads to an address that may not be called. Nothing was sent."""


@dataclass(frozen=True)
class Network:
    """Public addresses, and those in `private`.

    Private and loopback addresses outside it may be called where the address itself, not a name, was put on a list
    of servers; link-local ones (cloud metadata), unspecified and reserved ones then neither.
    """

    private: tuple[IpNetwork, ...] = ()

    def find(self, host: str, port: int) -> list[SocketAddress]:
        """Where `host` leads, looked up once. Raises AddressRefused if one of its addresses may not be called."""
        host = host.strip("[]")
        answers: Any = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        is_listed = _is_spelled_out(host)
        for *_, address in answers:
            if not self.allows(ip_address(address[0]), is_listed):
                raise AddressRefused
        return list(answers)

    def allows(self, address: IpAddress, is_listed: bool = False) -> bool:
        """Whether `address` may be called; `is_listed` if it stands itself where names stand."""
        plain = (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
        if any(plain in network for network in self.private) or _is_public(plain):
            return True
        return is_listed and any(plain in network for network in _PRIVATE)


PUBLIC = Network()
"""The internet, and private servers that are listed by their address."""

ANYWHERE = Network((ip_network("0.0.0.0/0"), ip_network("::/0")))
"""For a server that the user of this machine named."""


def _is_spelled_out(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(address: IpAddress) -> bool:
    """Whether the address is one of the internet's. One that carries an IPv4 address is what that one is."""
    carried = _carried(address) if isinstance(address, IPv6Address) else None
    if carried is not None:
        return _is_public(carried)
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one end at (mapped, 6to4, NAT64)."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
