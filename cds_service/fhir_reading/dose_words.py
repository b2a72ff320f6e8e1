"""Dosage texts as tokens: numbers, marks, and the longest phrases and units that the tables know."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from cds_service.tables.dosing import (
    Phrase,
    PhraseKind,
    Unit,
    UnitKind,
    lexemes,
    load_sig_phrases,
    load_unit_words,
    longest_phrase,
)
from cds_service.tables.drugs import Words, decimal

VULGAR_FRACTION = re.compile("[¼½¾⅓⅔]")
FRACTIONS = {"¼": " 1/4 ", "½": " 1/2 ", "¾": " 3/4 ", "⅓": " 1/3 ", "⅔": " 2/3 "}
STARS = re.compile(r"\*{2,}|\*(?=[^\W\d_])|(?<=[^\W\d_])\*")  # for emphasis, unlike "2*1"
COUNT_IN_BRACKETS = re.compile(r"^(\s*(?:take |give )?)\((\d+)\)(?= ?[a-z])")  # "(1) tablet daily"
NUMBER_IN_A_LIST = re.compile(r"^\s*\d\) ")
TAG = re.compile(r"</?[a-z][^<>]*>")
ABBREVIATION = re.compile(r"(?<![^\W_])(?:[a-z]\.)+[a-z](?![^\W_])\.?")
MARKS = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "‑": "-", "⁄": "/", "_": " ", "×": "x", "*": "x", "[": "(", "]": ")", "\r": "\n",
     "'": None, "’": None, '"': None, "“": None, "”": None, "`": None}
)  # fmt: skip


@dataclass(frozen=True)
class Token:
    """One or more words with what they may mean, and the unit that they name; `is_glued` hyphens join words."""

    words: Words
    meanings: tuple[Phrase, ...] = ()
    unit: Unit | None = None
    is_digits: bool = False
    is_glued: bool = False

    @cached_property
    def kinds(self) -> frozenset[PhraseKind]:
        return frozenset(meaning.kind for meaning in self.meanings)

    @cached_property
    def text(self) -> str:
        return " ".join(self.words)

    def meaning(self, kind: PhraseKind) -> Phrase | None:
        if kind not in self.kinds:
            return None
        return next(meaning for meaning in self.meanings if meaning.kind is kind)

    @property
    def counts_pieces(self) -> bool:
        return self.unit is not None and self.unit.kind is UnitKind.COUNT


NOTHING = Token(("",))


class Tokens:
    """The tokens of a text; beyond its ends there is nothing. `numbers` keeps those that were read, by place."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.numbers: dict[int, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, at: int) -> Token:
        return self._tokens[at] if 0 <= at < len(self._tokens) else NOTHING

    def is_kind(self, at: int, *kinds: PhraseKind) -> bool:
        return not self[at].kinds.isdisjoint(kinds)

    def is_word(self, at: int, *words: str) -> bool:
        return self[at].text in words

    def after(self, at: int, *kinds: PhraseKind) -> int:
        """The place of the first token from `at` on that is of none of these kinds."""
        while self.is_kind(at, *kinds):
            at += 1
        return at


def tokens_of(text: str) -> Tokens:
    """The tokens of a text; of every run of words the longest that a table knows."""
    found = lexemes(_plain(text))
    tokens: list[Token] = []
    at = 0
    while at < len(found):
        token, used = _token(found, at)
        tokens.append(token)
        at += used
    return Tokens([token for at, token in enumerate(tokens) if not _is_mere_hyphen(tokens, at)])


def _plain(text: str) -> str:
    """Lower case, without markup and quotes, one spelling of dashes, fractions and abbreviations."""
    text = VULGAR_FRACTION.sub(lambda match: FRACTIONS[match[0]], html.unescape(text))
    text = unicodedata.normalize("NFKC", STARS.sub(" ", text)).lower().translate(MARKS)
    text = NUMBER_IN_A_LIST.sub("", TAG.sub("\n", text))
    text = COUNT_IN_BRACKETS.sub(r"\1\2 ", text)
    return ABBREVIATION.sub(lambda match: match[0].replace(".", "") + " ", text)


def _token(found: Sequence[re.Match[str]], at: int) -> tuple[Token, int]:
    lexeme = found[at]
    if lexeme["date"]:
        return Token((lexeme[0],), (Phrase(PhraseKind.DATE),)), 1
    if lexeme[0] == "-" and _is_glued(found, at) and _is_glued(found, at + 1):
        return replace(_known(("-",)), is_glued=True), 1
    phrases, units = load_sig_phrases(), load_unit_words()
    for words, used in _runs(found, at):
        if words in phrases or words in units:
            return _known(words), used
    if lexeme["number"]:
        number = Phrase(PhraseKind.NUMBER, decimal(lexeme[0]))
        return Token((lexeme[0],), (number,), is_digits=True), 1
    return Token((lexeme[0],)), 1


@lru_cache(maxsize=4096)
def _known(words: Words) -> Token:
    return Token(words, load_sig_phrases().get(words, ()), load_unit_words().get(words))


def _runs(found: Sequence[re.Match[str]], at: int) -> Iterator[tuple[Words, int]]:
    """Runs of words from here on, longest first; a hyphen within ("one-half") counts or does not."""
    words = tuple(lexeme[0] for lexeme in found[at : at + longest_phrase()])
    for used in range(len(words), 0, -1):
        yield words[:used], used
        if "-" in words[1 : used - 1] and words[0] != "-" and words[used - 1] != "-":
            yield tuple(word for word in words[:used] if word != "-"), used


def _is_glued(found: Sequence[re.Match[str]], at: int) -> bool:
    return 0 < at < len(found) and found[at].start() == found[at - 1].end()


FREQUENCIES = frozenset({PhraseKind.EACH_DAY, PhraseKind.TIMES_PER_DAY, PhraseKind.OCCASIONS})


def is_between_frequencies(before: Token, after: Token) -> bool:
    return not (before.kinds.isdisjoint(FREQUENCIES) or after.kinds.isdisjoint(FREQUENCIES))


def _is_mere_hyphen(tokens: Sequence[Token], at: int) -> bool:
    """Whether a hyphen only joins two words ("half-tablet"); between two of a kind it makes a range."""
    if not tokens[at].is_glued or not 0 < at < len(tokens) - 1:
        return False
    is_range = tokens[at - 1].unit and tokens[at + 1].is_digits  # "50mg-100mg"
    if is_range or is_between_frequencies(tokens[at - 1], tokens[at + 1]):  # "daily-bid"
        return False
    return tokens[at - 1].kinds.isdisjoint(tokens[at + 1].kinds)
