"""What an order is for, and why it ended: words and codes with their meaning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from cds_service.tables.conditions import canonical_system
from cds_service.tables.drugs import Words, words_of
from cds_service.tables.rows import read_rows
from cds_service.trd.record import StopReason


class Indication(Enum):
    DEPRESSION = "depression"
    OTHER = "other"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Indications:
    """Phrases, codes by system, and prefixes of ICD-10 codes without dots, longest first."""

    phrases: dict[Words, Indication]
    codes: dict[tuple[str, str], Indication]
    icd10_prefixes: tuple[tuple[str, Indication], ...]


@dataclass(frozen=True)
class StopReasons:
    """Codes by system (in its canonical form) and code, phrases, words that deny what stands beside them or
    leave it in doubt, words that link the two, and words of getting in touch with somebody.
    """

    codes: dict[tuple[str, str], StopReason]
    phrases: dict[Words, StopReason]
    negations: frozenset[Words]
    links: frozenset[Words]
    contacts: frozenset[Words]


@lru_cache(maxsize=1)
def load_indications() -> Indications:
    phrases: dict[Words, Indication] = {}
    codes: dict[tuple[str, str], Indication] = {}
    prefixes: dict[str, Indication] = {}
    for row in read_rows("indications.csv", ("kind", "system", "value", "meaning", "source")):
        meaning = Indication(row.one_of("meaning", [meaning.value for meaning in Indication]))
        kind, value = row.one_of("kind", ("word", "code", "icd10_prefix")), row.required("value")
        if kind == "word":
            phrases[words_of(value)] = meaning
        elif kind == "code":
            codes[row.required("system"), value] = meaning
        else:
            prefixes[value.replace(".", "")] = meaning
    return Indications(phrases, codes, tuple(sorted(prefixes.items(), key=lambda item: -len(item[0]))))


@lru_cache(maxsize=1)
def load_stop_reasons() -> StopReasons:
    codes: dict[tuple[str, str], StopReason] = {}
    phrases: dict[Words, StopReason] = {}
    words: dict[str, set[Words]] = {"negation": set(), "link": set(), "contact": set()}
    for row in read_rows("stop_reasons.csv", ("kind", "system", "value", "meaning", "source")):
        kind = row.one_of("kind", ("code", "text", *words))
        meaning = StopReason(row.one_of("meaning", [reason.value for reason in StopReason]))
        if kind == "code":
            codes[canonical_system(row.required("system")), row.required("value")] = meaning
        elif kind == "text":
            phrases[words_of(row.required("value"))] = meaning
        else:
            words[kind].add(words_of(row.required("value")))
    return StopReasons(
        codes,
        phrases,
        negations=frozenset(words["negation"]),
        links=frozenset(words["link"]),
        contacts=frozenset(words["contact"]),
    )
