"""Other drugs that a dosage text names: whether it tells their dose, or only that they are stopped or taken too."""

from __future__ import annotations

import re
from functools import lru_cache

from cds_service.fhir_reading.dose_words import Tokens, tokens_of
from cds_service.tables.dosing import PhraseKind
from cds_service.tables.drugs import products_named, words_of

SENTENCE = re.compile(r"\.(?!\d)|[;!\n()*\[\]]")
# Before a name, words of these kinds tell that the text goes on about another drug ("with", "stop").
BESIDE = frozenset({PhraseKind.WITH, PhraseKind.STOP, PhraseKind.WARNING})


@lru_cache(maxsize=8192)
def other_drug_dosed(text: str, components: frozenset[str]) -> str | None:
    """The name of another drug whose dose the text may tell; None when it names none, or only beside a dose.

    Only drugs in our tables are seen. "Take 1 tablet daily, replaces citalopram" tells no dose of citalopram.
    """
    if not _others(text, components):
        return None
    for sentence in SENTENCE.split(text):
        for name in _others(sentence, components):
            before, _, after = sentence.lower().partition(name.split(" ")[0])
            if _has_number(tokens_of(sentence)) and not _is_beside(tokens_of(before), after):
                return name
    return None


def _others(text: str, components: frozenset[str]) -> list[str]:
    words = words_of(text)
    return [
        " ".join(words[named.start : named.end])
        for named in products_named(words)
        if not (named.product.components & components)
    ]


def _has_number(tokens: Tokens) -> bool:
    return any(tokens.is_kind(at, PhraseKind.NUMBER) or tokens[at].unit for at in range(len(tokens)))


def _is_beside(before: Tokens, after: str) -> bool:
    """Whether the dose stands before the name and is not of it: "1 daily, replaces ...", not "1 tablet of ..."."""
    last = before[len(before) - 1]
    return (
        last.text.isalpha()
        and last.unit is None
        and last.kinds <= BESIDE
        and _has_number(before)
        and not _has_number(tokens_of(after))
    )
