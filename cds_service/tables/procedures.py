"""`procedures.csv` and `procedure_texts.csv`: which treatment a Procedure is, in code or in words.

A row may tell that it is no proof of treatment (education, planning, a referral, a removal), or leave it open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from cds_service.errors import TableError
from cds_service.tables.conditions import canonical_system
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.words import LONGEST_TEXT, Phrase, plain_words, position_of
from cds_service.trd.answers import Answer
from cds_service.trd.record import ProcedureKind

TABLE = "procedures.csv"
TEXTS_TABLE = "procedure_texts.csv"
KINDS = [kind.value for kind in ProcedureKind]
COUNTS = {"yes": Answer.MET, "unknown": Answer.UNKNOWN, "no": Answer.NOT_MET}
SEMANTIC_TAG = re.compile(r"(?: ?\((?:procedure|regime/therapy|situation|physical object|finding)\))+$")
RECALLED = "recalled"
USES_WITHOUT_KIND = ("beside", "bilateral", "unilateral", "not treatment")


@dataclass(frozen=True)
class TreatmentMeaning:
    """What a code or a text says. `certainty` is `NOT_MET` for what is no proof of treatment; `why` says why.

    `is_recalled` marks a code that nobody has looked up: the words beside it go before it.
    """

    kind: ProcedureKind
    text: str
    certainty: Answer
    why: str = ""
    is_recalled: bool = False


@lru_cache(maxsize=8192)
def treatment_by_code(system: str, code: str) -> TreatmentMeaning | None:
    """What the code means, None when it is in no row."""
    return _load_codes().get((canonical_system(system), code.strip()))


@lru_cache(maxsize=8192)
def treatment_by_text(text: str) -> TreatmentMeaning | None:
    """What a procedure in words means, None when it speaks of nothing in the table.

    The whole text equal to a phrase, words such as "session 3" aside, is certain; a phrase somewhere in it
    is a hint; a phrase beside a word such as "referral" is no treatment.
    """
    phrases, words = _load_texts(), _procedure_words(text)
    shown = f"“{' '.join(text.split())[:80]}”"
    known = _load_displays().get(words)
    if known:
        return known
    kind = phrases.exact.get(words) or phrases.exact.get(_without(words, phrases.beside))
    if kind:
        return TreatmentMeaning(kind, shown, Answer.MET)
    hinted = next((kind for phrase, kind in phrases.mentions if position_of(phrase, words) is not None), None)
    if hinted is None:
        return None
    against = next((p for p in phrases.not_treatment if position_of(p, words) is not None), None)
    if against:
        return TreatmentMeaning(
            hinted, shown, Answer.NOT_MET, f"“{' '.join(against)}”, not proof of treatment"
        )
    return TreatmentMeaning(hinted, shown, Answer.UNKNOWN)


def is_bilateral(texts: Iterable[str]) -> Answer:
    """Whether words tell of electrodes on both sides; `UNKNOWN` when they tell nothing, or both."""
    phrases = _load_texts()
    words = [_procedure_words(text) for text in texts]
    both = any(position_of(phrase, w) is not None for phrase in phrases.bilateral for w in words)
    one = any(position_of(phrase, w) is not None for phrase in phrases.unilateral for w in words)
    if both == one:
        return Answer.UNKNOWN
    return Answer.MET if both else Answer.NOT_MET


def _procedure_words(text: str) -> Phrase:
    return plain_words(SEMANTIC_TAG.sub("", text[:LONGEST_TEXT]))


def _without(words: Phrase, beside: Iterable[Phrase]) -> Phrase:
    """The words without numbers, and without those that may stand beside a name; longest first."""
    left = tuple(word for word in words if not word.isdigit())
    for phrase in beside:
        while (place := position_of(phrase, left)) is not None:
            left = left[:place] + left[place + len(phrase) :]
    return left


# --- loading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Texts:
    exact: dict[Phrase, ProcedureKind]
    mentions: tuple[tuple[Phrase, ProcedureKind], ...]
    beside: tuple[Phrase, ...]
    bilateral: tuple[Phrase, ...]
    unilateral: tuple[Phrase, ...]
    not_treatment: tuple[Phrase, ...]


def _rows() -> Iterator[Row]:
    return read_rows(TABLE, ("kind", "system", "code", "display", "counts", "use", "source"))


@lru_cache(maxsize=1)
def _load_codes() -> dict[tuple[str, str], TreatmentMeaning]:
    codes: dict[tuple[str, str], TreatmentMeaning] = {}
    for row in _rows():
        key = canonical_system(row.required("system")), row.required("code")
        if key in codes:
            raise TableError(f"{TABLE}:{row.line}: code {key[1]} has a row already, expected one")
        codes[key] = _meaning(row)
    return codes


def _meaning(row: Row) -> TreatmentMeaning:
    certainty = COUNTS[row.one_of("counts", COUNTS)]
    is_recalled = row.required("source").startswith(RECALLED)
    if is_recalled and certainty is Answer.MET:
        row.reject("counts", "unknown, as nobody has looked the code up")
    return TreatmentMeaning(
        kind=ProcedureKind(row.one_of("kind", KINDS)),
        text=SEMANTIC_TAG.sub("", row.required("display")),
        certainty=certainty,
        why="" if certainty is Answer.MET else row.required("use"),
        is_recalled=is_recalled,
    )


@lru_cache(maxsize=1)
def _load_displays() -> dict[Phrase, TreatmentMeaning]:
    """The displays of the codes that were looked up."""
    meanings = (_meaning(row) for row in _rows())
    return {_procedure_words(meaning.text): meaning for meaning in meanings if not meaning.is_recalled}


@lru_cache(maxsize=1)
def _load_texts() -> _Texts:
    exact: dict[Phrase, ProcedureKind] = {}
    mentions: list[tuple[Phrase, ProcedureKind]] = []
    others: dict[str, list[Phrase]] = {use: [] for use in USES_WITHOUT_KIND}
    for row in read_rows(TEXTS_TABLE, ("phrase", "use", "kind", "source")):
        phrase, use = plain_words(row.required("phrase")), row.one_of("use", ("exact", "mention", *others))
        row.required("source")
        if use in others:
            others[use].append(phrase)
            continue
        kind = ProcedureKind(row.one_of("kind", KINDS))
        if use == "mention":
            mentions.append((phrase, kind))
        elif exact.setdefault(phrase, kind) is not kind:
            row.reject("kind", f"{exact[phrase].value}, as in another row of this phrase")
    others["beside"].sort(key=lambda phrase: -len(phrase))
    mentions.sort(key=lambda mention: -len(mention[0]))
    return _Texts(exact, tuple(mentions), *(tuple(others[use]) for use in USES_WITHOUT_KIND))
