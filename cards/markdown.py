"""Text for a card: data made into one clean line, and clean lines made literal in Markdown.

Everything that came from a patient's record or from a site's own files passes `escaped` before it
enters a `detail`, and `one_line` before it enters any other text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

_IS_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ,;%()-]*", re.ASCII)  # nothing in it means anything in Markdown
_ACTIVE = re.compile(r"[\\`*_\[\]<>|~&$]")
_OPENS_A_BLOCK = re.compile(r"(?=[#+\-=])|(?<=\d)(?=[.)])")
_STARTS_LIKE_A_BLOCK = re.compile(r"[#+\-=]|\d{1,9}[.)](?: |$)")
_BECOMES_A_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)(?=[\w\-])", re.IGNORECASE)
ABSURD = 1e9
"""Figures from here on are no doses and no scores; they are written shortly."""

_WORD_JOINER = "\u2060"


def escaped(text: str, limit: int = 240) -> str:
    """The text as one line that a Markdown reader shows literally, at most `limit` characters of it.

    Backslashes cannot keep some readers from turning `http://…`, `www.…` and `a@b` into links, so an
    invisible character breaks these up.
    """
    line = shortened(one_line(text), limit)
    if _IS_PLAIN.fullmatch(line):
        return line
    literal = _ACTIVE.sub(r"\\\g<0>", line)
    if _STARTS_LIKE_A_BLOCK.match(literal):
        literal = _OPENS_A_BLOCK.sub("\\\\", literal, count=1)
    if "//" in literal or "@" in literal or "www" in literal.lower():  # hardly ever
        literal = _BECOMES_A_LINK.sub(_WORD_JOINER, literal)
    return literal


def one_line(text: str) -> str:
    """The text without line breaks, control, invisible and direction-changing characters."""
    if not text.isprintable():
        text = "".join(_visible(character) for character in text)
    return " ".join(text.split())


def shortened(text: str, limit: int) -> str:
    """The text, cut to the limit at the end of a word unless that would lose more than a third of it."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    if not text[limit - 1].isspace():
        whole_words = cut.rpartition(" ")[0]
        cut = whole_words if len(whole_words) * 3 >= limit * 2 else cut
    return cut.rstrip(" ,;:") + "…"


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table whose cells are already escaped."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def bullets(items: Iterable[str]) -> str:
    """A list whose items are already escaped."""
    return "\n".join(f"- {item}" for item in items)


def plain_number(value: float) -> str:
    """At most two decimals, none that are zero."""
    if not math.isfinite(value) or abs(value) >= ABSURD:
        return f"{value:g}"
    if value == int(value):
        return str(int(value))
    rounded = Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{rounded:f}".rstrip("0").rstrip(".")


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends a sentence already."""
    return text if not text or text[-1] in ".!?…:" else text + "."


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    if "\ud800" <= character <= "\udfff":
        return "\N{REPLACEMENT CHARACTER}"
    return " " if character.isspace() or character < " " else ""
