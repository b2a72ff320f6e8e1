"""What many rules ask of a JSON value: a text with content, an absolute URL, a UUID; and where it is empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_MAY_BE_EMPTY = ("$.cards", "$.services")


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def is_absolute_url(value: Any) -> bool:
    """Whether a browser can open it: http or https with a host, and no white space."""
    if not isinstance(value, str) or re.search(r"\s", value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def nothings(value: Any, path: str = "$", in_resource: bool = False) -> Iterator[tuple[str, Any]]:
    """Each null and each empty text, list or object with its JSON path.

    `cards` and `services` may be empty; FHIR allows null inside lists of a resource.
    """
    if value is None or value in ("", [], {}):
        if path not in _MAY_BE_EMPTY:
            yield path, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from nothings(part, f"{path}.{name}", in_resource or name == "resource")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            if not (in_resource and part is None):
                yield from nothings(part, f"{path}[{number}]", in_resource)


def extensions(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Each `extension` outside FHIR resources with its JSON path."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name == "extension":
                yield f"{path}.extension", part
            elif name != "resource":
                yield from extensions(part, f"{path}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from extensions(part, f"{path}[{number}]")
