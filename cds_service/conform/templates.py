"""Prefetch templates: what is wrong with one, and what query one becomes for a call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

USER_TOKENS = {
    "userPractitionerId": "Practitioner",
    "userPractitionerRoleId": "PractitionerRole",
    "userPatientId": "Patient",
    "userRelatedPersonId": "RelatedPerson",
}

_TOKEN = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PLAIN = re.compile(r"context\.[A-Za-z]\w*", re.ASCII)
_PATH = re.compile(r"([A-Z][A-Za-z]+(/T)?|T)")
_ID_AFTER_TYPE = re.compile(r"[A-Z][A-Za-z]+/\{\{context\.userId\}\}")
_OUTSIDE_PARAMETERS = ("_include", "_revinclude", "_has", "_elements", "_summary")
_OUTSIDE_PREFIX = re.compile(r"(ne|sa|eb|ap)\d")
_COPIED = re.compile(r"sort:desc|PractitionerRole.*_include")


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a template, by which rule."""

    rule_id: str
    expected: str


RULES = ("CH-301", "CH-302", "CH-303", "CH-304", "CH-305", "CH-306", "CH-307", "CH-V07")


def find_flaws(template: str, hook_tokens: tuple[str, ...] | None, hooks_version: str) -> Iterator[Flaw]:
    """What of the template breaks which rule. `hook_tokens` are the fields its hook allows, None if not known."""
    tokens = [token.strip() for token in _TOKEN.findall(template)]
    if set("{}") & set(_TOKEN.sub("", template)):
        yield Flaw("CH-302", "every brace to belong to a pair {{ }}")
    path, _, query = _TOKEN.sub("T", template).partition("?")
    if not _PATH.fullmatch(path):
        yield Flaw("CH-301", "Type/{{…}}, Type?… or one token, without scheme and leading slash")
    for token in tokens:
        yield from _token_flaws(token, hook_tokens, hooks_version)
    if _ID_AFTER_TYPE.search(template):
        yield Flaw("CH-305", "{{context.userId}} alone, since it expands to Type/id")
    yield from _query_flaws(query)
    if _COPIED.search(template):
        yield Flaw("CH-307", "_sort=-date, and no _include of PractitionerRole")


def _token_flaws(token: str, hook_tokens: tuple[str, ...] | None, hooks_version: str) -> Iterator[Flaw]:
    is_plain = _PLAIN.fullmatch(token) is not None
    if not is_plain and token not in USER_TOKENS:
        if hooks_version == "2.0.1":
            yield Flaw("CH-303", "context.<field> or a user token, and no expression")
    elif is_plain and hook_tokens is not None and token.removeprefix("context.") not in hook_tokens:
        yield Flaw("CH-304", f"a token field of the hook: {', '.join(hook_tokens)}")


def _query_flaws(query: str) -> Iterator[Flaw]:
    names = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        plain, _, modifier = name.partition(":")
        names.append(name)
        if plain in _OUTSIDE_PARAMETERS or "." in plain or modifier not in ("", "in"):
            yield Flaw("CH-306", f"no {plain if '.' not in plain else 'chaining'} and no modifier but :in")
        if _OUTSIDE_PREFIX.match(value):
            yield Flaw("CH-306", "dates with eq, lt, gt, ge or le only")
        if plain == "_maxresults":
            yield Flaw("CH-V07", "no _maxresults")
    if len(names) != len(set(names)):
        yield Flaw("CH-306", "each parameter once")


def expand(template: str, context: Mapping[str, Any]) -> str | None:
    """The FHIR query for this context; None where a token has no value."""
    values = {name: context_value(name, context) for name in _TOKEN.findall(template)}
    if any(value is None for value in values.values()):
        return None
    return _TOKEN.sub(lambda match: str(values[match[1]]), template)


def context_value(token: str, context: Mapping[str, Any]) -> str | None:
    name = token.strip()
    if name in USER_TOKENS:
        type, _, id = str(context.get("userId", "")).partition("/")
        return id if type == USER_TOKENS[name] else None
    value = context.get(name.removeprefix("context.")) if name.startswith("context.") else None
    return value if isinstance(value, str) else None


def type_of(template: str) -> str:
    """The resource type that a template asks for; empty if it starts with a token."""
    return "" if template.startswith("{") else re.split(r"[/?]", template, maxsplit=1)[0]


def is_search(template: str) -> bool:
    return "?" in template
