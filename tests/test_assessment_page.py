"""docs/assessment.md names every key and every value of the assessment's schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "assessment.md").read_text("utf-8")
SCHEMA = json.loads(files("cds_service.schemas").joinpath("assessment.json").read_text("utf-8"))


def properties(schema: Any) -> Iterator[str]:
    """The names of all properties, at any depth."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "properties":
                yield from value
            yield from properties(value)


def values(schema: Any) -> Iterator[str]:
    """The values of all enumerations, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("enum", ())
        for value in schema.values():
            yield from values(value)


def in_code() -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", PAGE))


def test_every_key_is_documented() -> None:
    names = set(properties(SCHEMA))
    assert {"contentHash", "checkFirst", "isContraindicated", "overlapDays"} <= names
    assert names - in_code() == set()


def test_every_value_is_documented() -> None:
    found = set(values(SCHEMA))
    assert {"cross-taper", "performed", "quality of life"} <= found
    assert found - in_code() == set()
