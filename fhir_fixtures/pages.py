"""Searches that were answered a page at a time, kept so that their further pages can be asked for."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fhir_fixtures.refusals import Refused

SEARCHES_REMEMBERED = 500


@dataclass(frozen=True)
class Include:
    """A reference parameter whose targets come along, those of one type only if `target` names it."""

    parameter: str
    target: str = ""


@dataclass(frozen=True)
class RememberedSearch:
    """What one search found, so that its pages do not shift while somebody turns them.

    `elements` are those asked for, none if all of them.
    """

    id: str
    type: str
    found: list[dict[str, Any]]
    page_size: int
    includes: tuple[Include, ...]
    elements: tuple[str, ...]
    self_url: str
    has_total: bool

    def url_of_page(self, offset: int, base_url: str) -> str:
        page = {"_getpages": self.id, "_getpagesoffset": offset, "_count": self.page_size}
        return f"{base_url}?{urlencode(page | {'_bundletype': 'searchset'})}"


class RememberedSearches:
    """The latest searches by an id that tells nothing; older ones are gone, as they are with HAPI."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: OrderedDict[str, RememberedSearch] = OrderedDict()

    def remember(
        self,
        type: str,
        found: list[dict[str, Any]],
        *,
        page_size: int,
        includes: tuple[Include, ...],
        elements: tuple[str, ...],
        self_url: str,
        has_total: bool,
    ) -> RememberedSearch:
        search = RememberedSearch(
            str(uuid.uuid4()), type, found, page_size, includes, elements, self_url, has_total
        )
        with self._lock:
            self._by_id[search.id] = search
            while len(self._by_id) > SEARCHES_REMEMBERED:
                self._by_id.popitem(last=False)
        return search

    def get(self, id: str) -> RememberedSearch:
        with self._lock:
            search = self._by_id.get(id)
        if search is None:
            raise Refused(410, "expired", "This search is not known any more: search again")
        return search
