"""What the links of a search Bundle say: where its next page is, and which search the server says it made."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urljoin

from cds_service.fhir_address import FhirAddress, read_address

_TO_ENCODE = re.compile(r'[ "\x80-\U0010ffff]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FILTERS = frozenset(  # search parameters of R4 by which a patient's records of a type can be narrowed
    {
        *("_id", "_lastUpdated", "category", "code", "medication", "type", "status", "intent", "priority"),
        *("clinical-status", "verification-status", "criticality", "encounter", "context"),
        *("date", "authored", "authoredon", "effective", "effective-time", "onset", "onset-date"),
        *("recorded-date", "whenhandedover", "whenprepared"),
    }
)
_OF_WHOM = ("patient", "subject")


def is_next(link: dict[str, Any]) -> bool:
    """Whether a link is, or may be, that of the next page: what it is to the page is no text in some servers' links."""
    relation = link.get("relation")
    if isinstance(relation, str):
        return relation.strip().lower() == "next"
    return relation is not None


def encode_strays(link: object) -> object:
    """The link with what many servers forget to encode in a query (spaces, quotation marks, letters) encoded.

    One with control characters in it is no link: libraries drop them, and what is left is not what was judged.
    """
    if not isinstance(link, str):
        return link
    if _CONTROL.search(link):
        return ""
    path, mark, query = link.partition("?")
    return path + mark + _TO_ENCODE.sub(lambda found: quote(found[0], errors="replace"), query)


def why_elsewhere(link: object, base: FhirAddress) -> str:
    """In which part a link that is not below `base` differs from it; never what it says."""
    try:
        text = urljoin(base.url + "/", link) if isinstance(link, str) and link else ""
    except ValueError:
        text = ""
    address = read_address(text.partition("?")[0])
    if address is None:
        return "it is no plain address"
    for part in ("scheme", "host", "port"):
        if getattr(address, part) != getattr(base, part):
            return f"it names another {part}"
    return "it names another path" if not address.is_at_or_below(base) else "its query is no plain text"


def filters_beyond(bundle: dict[str, Any], query: str) -> tuple[str, ...]:
    """The search parameters that the server says it narrowed the search by, though `query` has none of the name."""
    asked = {_name(name) for name, _ in parse_qsl(query.partition("?")[2], keep_blank_values=True)}
    used = {_name(name) for name, value in _parameters(bundle) if value}
    return tuple(sorted((used & _FILTERS) - asked))


def is_of_another_search(bundle: dict[str, Any], query: str) -> bool:
    """Whether the server says that it searched for another patient's records than `query` does."""
    asked = _whom(parse_qsl(query.partition("?")[2]))
    used = _whom(_parameters(bundle))
    return bool(asked and used) and asked.isdisjoint(used)


def has_estimated_total(bundle: dict[str, Any]) -> bool:
    """Whether the server says that its `total` is no count: some estimate it unasked."""
    return ("_total", "estimate") in _parameters(bundle)


def _whom(parameters: list[tuple[str, str]]) -> set[str]:
    """The ids of the patients. Some servers encode the reference twice, or say which version they know."""
    values = (unquote(value) for name, value in parameters if _name(name) in _OF_WHOM)
    references = (one.partition("/_history/")[0] for value in values for one in value.split(","))
    return {reference.rpartition("/")[2] for reference in references if reference}


def _name(parameter: str) -> str:
    return parameter.partition(":")[0]


def _parameters(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    """Those of the Bundle's `self` link, which says what the server understood; none if it cannot be read."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "self" and isinstance(link.get("url"), str):
            try:
                return parse_qsl(link["url"].partition("?")[2], max_num_fields=100)
            except ValueError:
                return []
    return []
