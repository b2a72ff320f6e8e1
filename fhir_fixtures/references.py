"""References inside a Bundle, rewritten to `Type/id`.

A Bundle may name its resources by `urn:uuid:...` or by an address at the server they came from. A server
that takes the resources in knows them as `Type/id`, so every reference that means an entry of the
Bundle becomes that. Contained (`#...`) and foreign references stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def names_of_entries(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Each entry's `fullUrl` with the `Type/id` that it stands for."""
    return {
        entry["fullUrl"]: address_of(entry["resource"])
        for entry in entries
        if isinstance(entry.get("fullUrl"), str) and isinstance(entry.get("resource"), dict)
    }


def address_of(resource: Mapping[str, Any]) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def with_references_renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A copy in which each `reference` found in `names` is replaced."""
    if isinstance(value, list):
        return [with_references_renamed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        element: names.get(child, child)
        if element == "reference" and isinstance(child, str)
        else with_references_renamed(child, names)
        for element, child in value.items()
    }
