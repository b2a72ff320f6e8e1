"""What SMART on FHIR scopes (version 1 and 2) allow to be asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SCOPE = re.compile(
    r"(?:patient|user|system)/(?P<type>[A-Z][A-Za-z]*|\*)\.(?P<may>read|write|\*|(?=[cruds])c?r?u?d?s?)",
    re.ASCII,
)


def may_read(scopes: Iterable[str], resource_type: str) -> bool:
    """Whether one resource of this type may be read by its id (`.read`, `.*`, `.r`)."""
    return any(verb in ("read", "*") or "r" in _letters(verb) for verb in _verbs(scopes, resource_type))


def may_search(scopes: Iterable[str], resource_type: str) -> bool:
    """Whether all resources of this type may be searched for (`.read`, `.*`, `.s`).

    A scope narrowed by a query (`.rs?category=survey`) shows only a part, and a part taken for the
    whole would hide data: it does not count.
    """
    return any(verb in ("read", "*") or "s" in _letters(verb) for verb in _verbs(scopes, resource_type))


def _verbs(scopes: Iterable[str], resource_type: str) -> list[str]:
    matches = (_SCOPE.fullmatch(scope) for scope in scopes)
    return [match["may"] for match in matches if match and match["type"] in ("*", resource_type)]


def _letters(verb: str) -> str:
    return "" if verb in ("read", "write", "*") else verb
