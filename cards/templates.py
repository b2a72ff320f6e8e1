"""Wordings with names in braces: which values they need, and the first of several that can be filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from cards.card import is_summary


def first_summary(templates: Iterable[str], values: Mapping[str, str]) -> str:
    """The first wording for which there are all the values and which is short enough for a summary."""
    filled = (template.format(**values) for template in templates if _has_all(template, values))
    return next(text for text in filled if is_summary(text))


def _has_all(template: str, values: Mapping[str, str]) -> bool:
    return all(values.get(name) for name in _names_in(template))


@lru_cache(maxsize=256)
def _names_in(template: str) -> frozenset[str]:
    return frozenset(re.findall(r"{(\w+)}", template))
