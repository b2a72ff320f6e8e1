"""How free words are compared with the phrases of a table: as plain lower-case words in order."""

from __future__ import annotations

import re
import unicodedata

Phrase = tuple[str, ...]
LONGEST_TEXT = 300
WORD = re.compile(r"[a-z]+|\d+", re.ASCII)
POSSESSIVE = re.compile(r"['’]s\b")


def plain_words(text: str) -> Phrase:
    """`PHQ9 (Patient's form)` as phq, 9, patients, form; accents are dropped.

    Only the first 300 characters count: no phrase of a table is that long.
    """
    spelled = POSSESSIVE.sub("s", text[:LONGEST_TEXT].lower())
    return tuple(WORD.findall(spelled if spelled.isascii() else _without_accents(spelled)))


def _without_accents(text: str) -> str:
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)
    )


def position_of(phrase: Phrase, words: Phrase) -> int | None:
    """Where the phrase first stands in the words, or None."""
    places = range(len(words) - len(phrase) + 1)
    return next((place for place in places if words[place : place + len(phrase)] == phrase), None)
