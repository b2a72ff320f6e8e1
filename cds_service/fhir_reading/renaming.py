"""Moves members of a JSON object to other names without losing any.

Where a name is already taken by another value, both are put there as an array: no reader takes that for
the element it expects, so the element becomes one that could not be read, and is listed as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Members = dict[str, Any]


def put(members: Members, name: str, value: Any) -> None:
    """Sets a member that has no value yet; null is no value."""
    known = members.get(name)
    if value is None or (known is not None and _is_same(known, value)):
        return
    members[name] = value if known is None else [known, value]


def move(members: Members, names: Mapping[str, str]) -> None:
    """Gives each member that has one of these names its other name."""
    for old, new in names.items():
        if old in members:
            put(members, new, members.pop(old))


def extend(members: Members, name: str, values: Iterable[Any]) -> None:
    """Adds to a member that is an array; without values nothing is added."""
    values = list(values)
    known = members.get(name)
    before = known if isinstance(known, list) else [] if known is None else [known]
    if values:
        members[name] = [*before, *values]


def wrap(members: Members, *names: str) -> None:
    """Makes an array of what stands alone, where the other version allows only one."""
    for name in names:
        if isinstance(members.get(name), dict | str):
            members[name] = [members[name]]


def each(members: Members, name: str, change: Callable[[Members], Members]) -> Members:
    """A copy with `change` made to every object of an array; the very same members if it changes none."""
    values = members.get(name)
    if not isinstance(values, list):
        return members
    for value in values:
        if isinstance(value, dict) and change(value) is not value:
            after = [change(value) if isinstance(value, dict) else value for value in values]
            return {**members, name: after}
    return members


def _is_same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:
        return False
