"""What the code of a result says: a depression scale, one of its items, the C-SSRS, something that is shown as
context, something else, or nothing clear.

LOINC codes decide; where there is none of ours, words count only when they name one scale and nothing
but it. Words that merely mention a depression scale are kept apart as likely.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from cds_service.fhir_reading.elements import CodeableConcept
from cds_service.tables.measurements import MeasurementRow, load_measurements
from cds_service.tables.scales import ScaleRow, load_scales
from cds_service.tables.suicide_scales import (
    WHOLE_BY_NAME,
    SuicideScalePart,
    load_suicide_scale_names,
    load_suicide_scale_parts,
)
from cds_service.tables.words import LONGEST_TEXT, Phrase, plain_words

LOINC_SYSTEMS = frozenset({"http://loinc.org", "https://loinc.org", "urn:oid:2.16.840.1.113883.6.1"})
_WORDS_OF_A_TOTAL = (
    "total totals score scores sum scale rating questionnaire assessment severity reported result value "
    "points raw summary overall final calculated instrument form the of"
)
WORDS_OF_A_TOTAL = frozenset(_WORDS_OF_A_TOTAL.split())


class CodeKind(Enum):
    SCALE = "scale"  # the total of a scale, or its panel
    ITEM = "item"
    SUICIDE_SCALE = "suicide scale"  # the C-SSRS, a section or a question of it
    MEASUREMENT = "measurement"  # shown as context
    UNCLEAR = "unclear"  # a depression scale, but not which
    LIKELY = "likely"  # words that mention a scale
    UNTOLD = "untold"  # a code of another system without any words
    UNREADABLE = "unreadable"
    OTHER = "other"


@dataclass(frozen=True)
class CodeReading:
    """`rows` are the scales it may be; `item` is the item's LOINC code, or a name in its place.

    `part` belongs to the kind `SUICIDE_SCALE`, `measurement` to the kind of that name.
    """

    kind: CodeKind
    rows: tuple[ScaleRow, ...] = ()
    item: str = ""
    problem: str = ""
    part: SuicideScalePart | None = None
    measurement: MeasurementRow | None = None


OTHER = CodeReading(CodeKind.OTHER)
UNREADABLE = CodeReading(CodeKind.UNREADABLE, problem="at $.code: expected a code or a text, found nothing")
UNTOLD = CodeReading(CodeKind.UNTOLD, problem="has a code without words, in a system that is not known here")


def read_code(concept: CodeableConcept | None) -> CodeReading:
    """What the code says. Long texts are not kept in the cache."""
    if concept is None:
        return UNREADABLE
    length = len(concept.text or "") + sum(len(coding.display or "") for coding in concept.coding)
    return _read_cached(concept) if length <= LONGEST_TEXT else _read(concept)


def is_only_a_total(concept: CodeableConcept | None) -> bool:
    """Whether the words say "total score" and no more, as components of a panel may."""
    words = [plain_words(text) for text in _words(concept)] if concept else []
    return bool(words) and all(text and WORDS_OF_A_TOTAL.issuperset(text) for text in words)


def _read(concept: CodeableConcept) -> CodeReading:
    codes = _loinc_codes(concept)
    words = [plain_words(text) for text in _words(concept)]
    by_words = [_read_words(phrase) for phrase in words]
    by_code = _read_codes(codes)
    if by_code is not None:
        return _agreed(by_code, by_words)
    beside = _read_codes_beside(codes)
    told = _first_told(by_words)
    if told is not None and (told.kind is not CodeKind.LIKELY or not codes):
        return told if beside is None else _unclear(told.rows, "code and words name different scales")
    beside = beside or _read_words_beside(words)
    if beside is not None:
        return beside
    if codes or by_words:
        return OTHER
    return UNTOLD if any(coding.code for coding in concept.coding) else UNREADABLE


_read_cached = lru_cache(maxsize=4096)(_read)


def _loinc_codes(concept: CodeableConcept) -> tuple[str, ...]:
    return tuple(
        coding.code.strip()
        for coding in concept.coding
        if coding.code and (coding.system or "").strip().lower().rstrip("/") in LOINC_SYSTEMS
    )


def _words(concept: CodeableConcept) -> list[str]:
    texts = (concept.text, *(coding.display for coding in concept.coding))
    return [text for text in texts if text and text.strip()]


# --- by code ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Codes:
    scales: dict[str, ScaleRow]
    items: dict[str, tuple[ScaleRow, ...]]


@lru_cache(maxsize=1)
def _codes() -> _Codes:
    rows = load_scales()
    scales = {code: row for row in rows for code in (*row.total_codes, *row.panel_codes)}
    items: dict[str, tuple[ScaleRow, ...]] = {}
    for row in rows:
        for code in {*row.item_codes, row.suicide_item_code} - {None}:
            items[str(code)] = (*items.get(str(code), ()), row)
    return _Codes(scales, items)


def _read_codes(codes: Iterable[str]) -> CodeReading | None:
    known = _codes()
    scales = {known.scales[code].scale.name: known.scales[code] for code in codes if code in known.scales}
    items = sorted({code for code in codes if code in known.items})
    if len(scales) + len(items) > 1:
        rows = (*scales.values(), *(row for item in items for row in known.items[item]))
        return _unclear(rows, "codes name different scales or items")
    if scales:
        return CodeReading(CodeKind.SCALE, tuple(scales.values()))
    return CodeReading(CodeKind.ITEM, known.items[items[0]], items[0]) if items else None


@lru_cache(maxsize=1)
def _measurements_by_code() -> dict[str, MeasurementRow]:
    return {row.code: row for row in load_measurements() if row.code}


def _read_codes_beside(codes: Iterable[str]) -> CodeReading | None:
    """The C-SSRS or something shown as context; codes of two such things are neither."""
    parts = {code: load_suicide_scale_parts()[code] for code in codes if code in load_suicide_scale_parts()}
    if parts:
        # A part that stands beside the whole is the one that was answered.
        return CodeReading(CodeKind.SUICIDE_SCALE, part=min(parts.values(), key=lambda p: len(p.covers)))
    rows = {code: _measurements_by_code()[code] for code in codes if code in _measurements_by_code()}
    if len(rows) == 1:
        return CodeReading(CodeKind.MEASUREMENT, measurement=next(iter(rows.values())))
    return None


def _agreed(by_code: CodeReading, by_words: Iterable[CodeReading]) -> CodeReading:
    """The reading by code, unless the words name another scale."""
    for words in by_words:
        if words.kind is by_code.kind is CodeKind.SCALE and words.rows != by_code.rows:
            return _unclear((*by_code.rows, *words.rows), "code and words name different scales")
    return by_code


def _unclear(rows: Iterable[ScaleRow], problem: str) -> CodeReading:
    unique = {row.scale.name: row for row in rows}
    names = " or ".join(unique)
    return CodeReading(CodeKind.UNCLEAR, tuple(unique.values()), problem=f"{problem}: {names}")


# --- by words -----------------------------------------------------------------------------------------


_BEST_FIRST = (CodeKind.ITEM, CodeKind.SCALE, CodeKind.UNCLEAR, CodeKind.LIKELY)


def _first_told(readings: list[CodeReading]) -> CodeReading | None:
    """What the texts say together; two that name different scales are unclear."""
    for kind in _BEST_FIRST:
        told = [reading for reading in readings if reading.kind is kind]
        if len({reading.rows for reading in told}) > 1:
            return _unclear((row for reading in told for row in reading.rows), "words name different scales")
        if told:
            return told[0]
    return None


def _read_words(words: Phrase) -> CodeReading:
    item = _suicide_items().get(words) or _suicide_items().get(_without_words_of_a_total(words))
    if item is not None:
        return CodeReading(
            CodeKind.ITEM, (item,), item.suicide_item_code or f"{item.scale.name} suicide item"
        )
    clear, unclear, is_all = _scales_named_in(words)
    if not clear and not unclear:
        return OTHER
    if not is_all:
        rows = tuple((clear or unclear).values())
        return CodeReading(
            CodeKind.LIKELY, rows, problem=f"mentions {rows[0].scale.name}, but not as its total"
        )
    if len(clear) == 1:
        return CodeReading(CodeKind.SCALE, tuple(clear.values()))
    if clear:
        return _unclear(clear.values(), "names more than one scale")
    return _unclear(unclear.values(), "does not tell which version of the scale it is")


def _scales_named_in(words: Phrase) -> tuple[dict[str, ScaleRow], dict[str, ScaleRow], bool]:
    """The scales named for certain, those named without version, and whether nothing else is said."""
    clear: dict[str, ScaleRow] = {}
    unclear: dict[str, ScaleRow] = {}
    is_all, place = True, 0
    while place < len(words):
        alias = next(
            (a for a in _aliases(words[place]) if words[place : place + len(a.phrase)] == a.phrase), None
        )
        if alias is None:
            is_all = is_all and words[place] in WORDS_OF_A_TOTAL
            place += 1
            continue
        (clear if alias.is_clear else unclear).update({row.scale.name: row for row in alias.rows})
        place += len(alias.phrase)
    return clear, unclear, is_all


@dataclass(frozen=True)
class _Alias:
    phrase: Phrase
    rows: tuple[ScaleRow, ...]
    is_clear: bool


def _aliases(first_word: str) -> tuple[_Alias, ...]:
    return _aliases_by_first_word().get(first_word, ())


@lru_cache(maxsize=1)
def _aliases_by_first_word() -> dict[str, tuple[_Alias, ...]]:
    """Longest first, so that `madrs s` is not taken for `madrs`."""
    rows_by_phrase: dict[tuple[bool, Phrase], tuple[ScaleRow, ...]] = {}
    for row in load_scales():
        for is_clear, phrases in ((True, row.aliases), (False, row.unclear_aliases)):
            for phrase in phrases:
                rows_by_phrase[is_clear, phrase] = (*rows_by_phrase.get((is_clear, phrase), ()), row)
    aliases = [_Alias(phrase, rows, is_clear) for (is_clear, phrase), rows in rows_by_phrase.items()]
    by_word: dict[str, tuple[_Alias, ...]] = {}
    for alias in sorted(aliases, key=lambda alias: -len(alias.phrase)):
        by_word[alias.phrase[0]] = (*by_word.get(alias.phrase[0], ()), alias)
    return by_word


@lru_cache(maxsize=1)
def _suicide_items() -> dict[Phrase, ScaleRow]:
    return {phrase: row for row in load_scales() for phrase in row.suicide_item_aliases}


def _without_words_of_a_total(words: Phrase) -> Phrase:
    return tuple(word for word in words if word not in WORDS_OF_A_TOTAL)


# --- by words, beyond the depression scales -----------------------------------------------------------


def _read_words_beside(texts: Iterable[Phrase]) -> CodeReading | None:
    """The C-SSRS, or a scale shown as context, where one of the texts is its name and nothing else."""
    for words in texts:
        if _without_words_of_a_total(words) in _names_of_suicide_scale():
            return CodeReading(CodeKind.SUICIDE_SCALE, part=WHOLE_BY_NAME)
        row = _measurement_named(words)
        if row is not None:
            return CodeReading(CodeKind.MEASUREMENT, measurement=row)
    return None


def _measurement_named(words: Phrase) -> MeasurementRow | None:
    """`Work and Social Adjustment Scale (WSAS) total` names one scale, twice."""
    rest = _without_words_of_a_total(words)
    found: set[MeasurementRow] = set()
    while rest:
        name = next((name for name in _measurement_names() if rest[: len(name)] == name), None)
        if name is None:
            return None
        found.add(_measurement_names()[name])
        rest = rest[len(name) :]
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=1)
def _measurement_names() -> dict[Phrase, MeasurementRow]:
    """Longest first."""
    names = {_without_words_of_a_total(name): row for row in load_measurements() for name in row.aliases}
    return dict(sorted(names.items(), key=lambda item: -len(item[0])))


@lru_cache(maxsize=1)
def _names_of_suicide_scale() -> frozenset[Phrase]:
    return frozenset(map(_without_words_of_a_total, load_suicide_scale_names()))
