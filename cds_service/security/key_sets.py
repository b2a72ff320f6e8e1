"""The public keys of a client: read from a JWK Set, and for one behind a `jku` fetched, kept and fetched again."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cds_service.errors import FhirServerError, Overloaded
from cds_service.fhir_address import read_address
from cds_service.outbound.bounded_get import Bounds, get_once, send_nothing
from cds_service.outbound.network import Network

logger = logging.getLogger("cds_service.security")

ALGORITHMS = ("ES384", "RS384")
LARGEST_SET_MIB = 1

_MOST_KEYS = 100
_LONGEST_KEY_ID = 300
_RSA_BITS = range(2048, 8192 + 1)
_FETCH_SECONDS = 4
_MOST_FETCHES = 5  # within _FETCHES_WITHIN, by each worker process, however many tokens name unknown keys
_FETCHES_WITHIN = 60
_MOST_WAITING = (
    8  # threads of a process that fetch keys or wait for them: whoever sends tokens makes them wait
)
_PRIVATE_PARTS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_PARTS_OF = {"ES384": ("kty", "crv", "x", "y"), "RS384": ("kty", "n", "e")}


@dataclass(frozen=True)
class PublicKey:
    """A key and the one algorithm it is used with: ES384 for EC P-384, RS384 for RSA of at least 2048 bits."""

    algorithm: str
    key: EllipticCurvePublicKey | RSAPublicKey = field(repr=False)


Keys = Mapping[str, PublicKey]


class KeySource(Protocol):
    def find(self, key_id: str) -> PublicKey | None:
        """The key with exactly this `kid`, None if there is none or none that may be used now.

        Raises Overloaded where too many wait for keys that are being fetched.
        """


_WAITING = threading.BoundedSemaphore(_MOST_WAITING)


class FixedKeys:
    """Keys exchanged out of band, read at the start."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def find(self, key_id: str) -> PublicKey | None:
        return self._keys.get(key_id)


class FetchedKeys:
    """Keys behind a `jku`. One set is fetched by one thread at a time.

    `fetch` raises FhirServerError or ValueError. A set is used for `cache_seconds`, then fetched again; where
    that fails it is used for another `outage_seconds`. A key that is not in it has it fetched early, but seldom.
    `clock` counts seconds.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Keys],
        cache_seconds: float,
        outage_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._fetch, self._clock = name, fetch, clock
        self._cache_seconds, self._outage_seconds = cache_seconds, outage_seconds
        self._lock = threading.Lock()
        self._tries = 0
        self._tried_at: deque[float] = deque(maxlen=_MOST_FETCHES)
        self._last: tuple[float, Keys] | None = None

    def find(self, key_id: str) -> PublicKey | None:
        known = self._kept(self._cache_seconds).get(key_id)
        return known or self._find_after_fetch(key_id)

    def _find_after_fetch(self, key_id: str) -> PublicKey | None:
        """Whoever can do with the last set does not wait for another thread that is fetching.

        Nobody is known yet, so only a few may wait: Overloaded for all others.
        """
        if not _WAITING.acquire(blocking=False):
            if known := self._kept(self._cache_seconds + self._outage_seconds).get(key_id):
                return known
            raise Overloaded("Too many calls wait for keys of clients.")
        try:
            return self._find_in_turn(key_id)
        finally:
            _WAITING.release()

    def _find_in_turn(self, key_id: str) -> PublicKey | None:
        longest = self._cache_seconds + self._outage_seconds
        tries = self._tries
        if self._lock.acquire(blocking=key_id not in self._kept(longest)):
            try:
                if self._tries == tries and self._may_try():
                    self._try()
            finally:
                self._lock.release()
        return self._kept(longest).get(key_id)

    def _kept(self, longest: float) -> Keys:
        """The last set, unless it was fetched so long ago."""
        last = self._last
        return last[1] if last is not None and self._clock() - last[0] < longest else {}

    def _may_try(self) -> bool:
        is_full = len(self._tried_at) == _MOST_FETCHES
        return not is_full or self._clock() - self._tried_at[0] >= _FETCHES_WITHIN

    def _try(self) -> None:
        started = self._clock()
        self._tried_at.append(started)
        try:
            self._last = (started, self._fetch())
        except (FhirServerError, ValueError) as error:
            logger.warning("key set %s: %s", self._name, error)
        finally:
            self._tries += 1


def fetch_keys(url: str, network: Network) -> Keys:
    """The keys behind a `jku`; the address comes from the settings. Raises FhirServerError and ValueError."""
    address = read_address(url)
    answer = get_once(
        url,
        Bounds(time.monotonic() + _FETCH_SECONDS, LARGEST_SET_MIB, network),
        "key set",
        server="the client's server",
        is_loopback=address is not None and address.is_loopback,
        sign=send_nothing,
        accept="application/jwk-set+json, application/json",
    )
    if answer.status != 200:
        raise ValueError(f"expected status 200, got {answer.status}")
    return read_key_set(answer.body)


def read_key_set(body: bytes) -> Keys:
    """The usable keys of a JWK Set by their `kid`. Raises ValueError for what is no JWK Set.

    Left out: keys without `kid` or with one that is not unique, symmetric keys, private keys, keys for another
    use or algorithm, and keys too weak to be trusted.
    """
    try:
        root = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("expected a JWK Set in JSON") from None
    entries = root.get("keys") if isinstance(root, dict) else None
    if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
        raise ValueError(f'expected a JWK Set: an object with "keys", an array of at most {_MOST_KEYS}')
    named = [entry for entry in entries if isinstance(entry, dict) and _is_key_id(entry.get("kid"))]
    times = Counter(entry["kid"] for entry in named)
    unique = (entry for entry in named if times[entry["kid"]] == 1)
    return {entry["kid"]: key for entry in unique if (key := _read_key(entry)) is not None}


def _is_key_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_KEY_ID


def _read_key(entry: dict[str, Any]) -> PublicKey | None:
    algorithm = _algorithm(entry)
    if algorithm is None or not _may_verify(entry, algorithm):
        return None
    parts = {name: entry.get(name) for name in _PARTS_OF[algorithm]}
    if not all(isinstance(part, str) for part in parts.values()):
        return None
    try:
        key = jwt.PyJWK(parts, algorithm).key
    except (jwt.PyJWTError, ValueError):
        return None
    is_weak = isinstance(key, RSAPublicKey) and key.key_size not in _RSA_BITS
    return None if is_weak else PublicKey(algorithm, key)


def _algorithm(entry: dict[str, Any]) -> str | None:
    if entry.get("kty") == "EC" and entry.get("crv") == "P-384":
        return "ES384"
    return "RS384" if entry.get("kty") == "RSA" else None


def _may_verify(entry: dict[str, Any], algorithm: str) -> bool:
    """A key whose private half was published too is everybody's."""
    operations = entry.get("key_ops", ["verify"])
    return (
        not _PRIVATE_PARTS & entry.keys()
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
    )
