"""What a FHIR base address and a FHIR id look like, and when one address lies below another.

Addresses come from callers and from servers, so they are matched against a strict form rather than
parsed and repaired: whatever a URL library might read in a second way (user names, encoded dots,
backslashes, `..`, numbers that stand for an IPv4 address in another way than 192.0.2.1) is no address here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urljoin

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*)/?",
    re.ASCII,
)
_QUERY = re.compile(r"[!$-~]*", re.ASCII)  # visible ASCII but the quotation mark and '#'
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_LOOPBACK_V4 = re.compile(r"127(\.[0-9]{1,3}){3}", re.ASCII)
_DEFAULT_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True)
class FhirAddress:
    """One FHIR base address, in the only spelling that is ever called."""

    scheme: str
    host: str
    port: int
    segments: tuple[str, ...]

    @property
    def url(self) -> str:
        """The address without trailing slash."""
        port = "" if self.port == _DEFAULT_PORT[self.scheme] else f":{self.port}"
        return "/".join((f"{self.scheme}://{self.host}{port}", *self.segments))

    @property
    def is_loopback(self) -> bool:
        return self.host in ("localhost", "[::1]") or _LOOPBACK_V4.fullmatch(self.host) is not None

    def is_at_or_below(self, base: FhirAddress) -> bool:
        """Whether scheme, host and port are those of `base` and its path begins with base's segments."""
        same_server = (self.scheme, self.host, self.port) == (base.scheme, base.host, base.port)
        return same_server and self.segments[: len(base.segments)] == base.segments


def read_address(text: object) -> FhirAddress | None:
    """The address that `text` spells; None when it is not an http(s) base address in plain form."""
    match = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    scheme = match["scheme"]
    port = int(match["port"]) if match["port"] else _DEFAULT_PORT[scheme]
    segments = tuple(match["path"].split("/")[1:])
    host = _read_host(match["host"].lower())
    if host is None or not 0 < port < 65536 or any(_is_dots(segment) for segment in segments):
        return None
    return FhirAddress(scheme, host, port, segments)


def _read_host(host: str) -> str | None:
    """The host in its one spelling. One that ends in a number is an IPv4 address to browsers and resolvers alike."""
    try:
        if host.startswith("["):
            return f"[{IPv6Address(host[1:-1])}]"
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return str(IPv4Address(host))
    except ValueError:
        return None
    return None if host.startswith(".") or ".." in host else host


def _is_dots(segment: str) -> bool:
    """Whether the segment leads upwards or nowhere, also for servers that cut off what follows a `;`."""
    return segment.partition(";")[0] in (".", "..")


def is_fhir_id(text: object) -> bool:
    """Whether `text` is a FHIR id that can stand in a URL: `.` and `..` are ids to FHIR, but not to HTTP."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None and text not in (".", "..")


def read_link_below(link: object, base: FhirAddress) -> str | None:
    """The absolute URL of a page link, None unless it lies at or below `base`.

    A relative link is taken to start there.
    """
    if not isinstance(link, str) or not link:
        return None
    try:
        absolute = urljoin(base.url + "/", link)
    except ValueError:
        return None
    path, has_query, query = absolute.partition("?")
    address = read_address(path)
    if address is None or not address.is_at_or_below(base) or not _QUERY.fullmatch(query):
        return None
    return address.url + has_query + query
