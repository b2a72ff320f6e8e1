"""`open_requests.csv`: which ServiceRequests, in code or in words, ask for what a card would suggest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cds_service.errors import TableError
from cds_service.tables.conditions import canonical_system
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.words import LONGEST_TEXT, Phrase, plain_words

TABLE = "open_requests.csv"
_SEMANTIC_TAG = re.compile(r" ?\((?:procedure|regime/therapy)\)$")


@dataclass(frozen=True)
class RequestMeaning:
    """What a code or a name asks for: the suggestion it stands for, and how a card says it."""

    request: str
    said: str


@lru_cache(maxsize=4096)
def request_by_code(system: str, code: str) -> RequestMeaning | None:
    """What a code asks for, None when it is nothing that a card suggests."""
    return _load().by_code.get((canonical_system(system), code.strip()))


@lru_cache(maxsize=4096)
def request_by_name(name: str) -> RequestMeaning | None:
    """What a request in words asks for. The whole name has to be known: a part of it could mean anything."""
    return _load().by_name.get(_words(name))


def known_requests() -> frozenset[str]:
    """All suggestions that an open request may stand for."""
    known = _load()
    return frozenset(meaning.request for meaning in (*known.by_code.values(), *known.by_name.values()))


@dataclass(frozen=True)
class _Known:
    by_code: dict[tuple[str, str], RequestMeaning]
    by_name: dict[Phrase, RequestMeaning]


@lru_cache(maxsize=1)
def _load() -> _Known:
    """Both ways to know a request. Raises TableError naming line, column, value and what was expected."""
    by_code: dict[tuple[str, str], RequestMeaning] = {}
    by_name: dict[Phrase, RequestMeaning] = {}
    for row in read_rows(TABLE, ("request", "system", "code", "said", "names", "source")):
        row.required("source")
        meaning = RequestMeaning(row.required("request"), row.required("said"))
        if row.text("code"):
            _add(by_code, (canonical_system(row.required("system")), row.required("code")), meaning, row)
        for words in _names(row):
            _add(by_name, words, meaning, row)
    return _Known(by_code, by_name)


def _add(known: dict, key: object, meaning: RequestMeaning, row: Row) -> None:  # type: ignore[type-arg]
    if key in known:
        raise TableError(f"{TABLE}:{row.line}: expected each code and each name once")
    known[key] = meaning


def _names(row: Row) -> Iterator[Phrase]:
    for name in row.parts("names"):
        words = _words(name)
        if not words:
            row.reject("names", "words")
        yield words


def _words(name: str) -> Phrase:
    return plain_words(_SEMANTIC_TAG.sub("", name[:LONGEST_TEXT].strip()))
