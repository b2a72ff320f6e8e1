"""How deep a JSON text is nested, found without parsing it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.json_depth import is_deeper


def depth_of(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max((depth_of(part) for part in parts), default=0)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"", 0),
        (b"1", 0),
        (b'"[[[["', 0),
        (b"[]", 1),
        (b' { "a" : [ 1 , {} ] } ', 3),
        (b'["[", "]]]", {"{": "}"}]', 2),
        (rb'["\"[[[", "\\", [], "\\\"[["]', 2),
        (b"[" * 50 + b"]" * 50, 50),
        (b"[" + b"[[]]," * 9 + b"[]]", 3),
        (b"[" * 90, 90),
    ],
)
def test_depth(text: bytes, depth: int) -> None:
    assert not is_deeper(text, depth)
    assert depth == 0 or is_deeper(text, depth - 1)


VALUES = st.recursive(
    st.none() | st.text(alphabet='{}[]"\\a') | st.integers(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(alphabet='{["\\'), parts, max_size=3),
    max_leaves=20,
)


@given(value=VALUES, indent=st.sampled_from([None, 1]))
def test_it_is_what_a_parser_finds(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    depth = depth_of(value)
    assert not is_deeper(text, depth)
    assert depth == 0 or is_deeper(text, depth - 1)
