"""How deep the objects and arrays of a JSON text are nested, without parsing it.

Costs less than half of the parse; texts that are no JSON get some answer, and the parser refuses them.
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate

_DROPPED = bytes(byte for byte in range(256) if byte not in b'{}[]"\\')
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_STEPS = bytes(1 if byte == b"["[0] else 255 for byte in range(256))  # 255: -1
_STRING = re.compile(rb'"[^"]*"')
_WORTH_PEELING = 0.8  # while a pass leaves less than this, taking off the innermost pairs is the fastest


def is_deeper(text: bytes, most: int) -> bool:
    """Whether the text has more than `most` levels of objects and arrays."""
    brackets, peeled = _brackets(text), 0
    while brackets and peeled < most:
        left = brackets.replace(b"[]", b"")
        if len(left) > len(brackets) * _WORTH_PEELING:
            break
        brackets, peeled = left, peeled + 1
    return bool(brackets) and peeled + _depth(brackets) > most


def _brackets(text: bytes) -> bytes:
    """The brackets of the text that stand in no string, all as square ones."""
    found = text.translate(_ONE_KIND, _DROPPED)
    if b"\\" in found:
        found = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ONE_KIND, _DROPPED)
    found = found.replace(b'""', b"")
    return _STRING.sub(b"", found) if b'"' in found else found


def _depth(brackets: bytes) -> int:
    return max(accumulate(array("b", brackets.translate(_STEPS))), default=0)
