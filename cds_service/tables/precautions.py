"""`precautions.csv` and `precaution_words.csv`: what a record can show for or against a treatment.

Rows whose rule is `readable` are for people: no code, figure or table of ours could show them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cds_service.tables.conditions import Meaning, is_denied
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.words import Phrase, plain_words, position_of
from cds_service.trd.answers import Answer
from cds_service.trd.precautions import Effect, Precaution, Sign, SignKind
from cds_service.trd.record import DiagnosisRole, ProcedureKind

TABLE = "precautions.csv"
WORDS_TABLE = "precaution_words.csv"
COLUMNS = (
    *("treatment", "kind", "condition", "what_a_record_can_show", "card_effect", "rule", "then"),
    *("options", "agents", "shows", "days_after_maoi", "days_before_maoi", "ceiling_mg", "source", "choice"),
)
READABLE = "readable"
OF_WORDS = "precaution "
"""Begins the category of what words mention, so that it is never taken for the category of a code."""

_SIGN = re.compile(r"(?P<hint>possibly )?(?P<kind>[a-z_]+)=(?P<value>.+)")
_FIGURE = re.compile(r"(?P<code>\d{1,6}-\d) (?P<limit>\d+(?:\.\d+)?) (?P<unit>\S+)", re.ASCII)
_FIGURES = (SignKind.ABOVE, SignKind.BELOW)
_AGES = (SignKind.AGE_FROM, SignKind.AGE_OVER)


@lru_cache(maxsize=1)
def load_precautions() -> tuple[Precaution, ...]:
    """All rows that a record can show, in the table's order. Raises TableError naming line and column."""
    rows = [row for row in read_rows(TABLE, COLUMNS) if _is_for_the_rules(row)]
    return tuple(_precaution(row) for row in rows)


@lru_cache(maxsize=4096)
def precautions_in_text(text: str) -> tuple[Meaning, ...]:
    """What the words of a diagnosis ask to be careful about, each category once; never certain.

    Words that deny it ("no", "family history of") before a phrase leave it out; those of the past do not.
    """
    words = plain_words(text)
    found: dict[str, Meaning] = {}
    for phrase, meaning in _load_words():
        place = position_of(phrase, words)
        if place is not None and not is_denied(words[:place]):
            found.setdefault(meaning.category, meaning)
    return tuple(found.values())


def _is_for_the_rules(row: Row) -> bool:
    allowed = (READABLE, *(effect.value for effect in Effect))
    row.required("source")
    row.required("choice")
    return row.one_of("rule", allowed) != READABLE


def _precaution(row: Row) -> Precaution:
    if "recalled" in row.text("source"):
        row.reject("source", "a source that was read")
    precaution = Precaution(
        subject=row.required("treatment"),
        effect=Effect(row.text("rule")),
        condition=row.required("condition"),
        effect_text=row.text("then"),
        source=row.text("source"),
        options=row.parts("options"),
        agents=row.parts("agents"),
        signs=tuple(_sign(row, part) for part in row.parts("shows")),
        days_after_maoi=_days(row, "days_after_maoi"),
        days_before_maoi=_days(row, "days_before_maoi"),
        ceiling_mg=row.number("ceiling_mg"),
    )
    _check(row, precaution)
    return precaution


def _check(row: Row, precaution: Precaution) -> None:
    if bool(precaution.options) == bool(precaution.agents):
        row.reject("options", "either options or agents")
    washout = precaution.effect in (Effect.WASHOUT, Effect.WASHOUT_OF_ANY)
    if washout == bool(precaution.signs):
        row.reject("shows", "signs, unless the rule is a washout")
    if washout == bool(precaution.effect_text):
        row.reject("then", "what to do, unless the rule is a washout")
    if washout and precaution.days_after_maoi is None and precaution.days_before_maoi is None:
        row.reject("days_after_maoi", "days, or days_before_maoi")
    if precaution.effect is Effect.DUPLICATE and not _is_of_drugs(precaution):
        row.reject("shows", "drugs being taken, such as running=class:SSRI, beside agents")
    if (precaution.effect is Effect.CEILING) != (precaution.ceiling_mg is not None):
        row.reject("ceiling_mg", "a dose for a ceiling, and only there")


def _is_of_drugs(precaution: Precaution) -> bool:
    """Whether it says of which drugs two are too many: its agents, and the running drugs beside them."""
    are_running = all(sign.kind is SignKind.RUNNING and not sign.is_hint for sign in precaution.signs)
    return bool(precaution.agents) and are_running


def _days(row: Row, column: str) -> int | None:
    days = row.number(column)
    return None if days is None else int(days)


def _sign(row: Row, text: str) -> Sign:
    found = _SIGN.fullmatch(text)
    kinds = [kind.value for kind in SignKind]
    if found is None or found["kind"] not in kinds:
        row.reject("shows", f"signs such as category=bipolar, of the kinds {', '.join(kinds)}")
    kind, value, is_hint = SignKind(found["kind"]), found["value"], bool(found["hint"])
    if kind in _FIGURES:
        figure = _FIGURE.fullmatch(value)
        if figure is None:
            row.reject("shows", "a LOINC code, a limit and a unit")
        return Sign(kind, figure["code"], float(figure["limit"]), figure["unit"], is_hint)
    if kind in _AGES:
        return Sign(kind, value, float(value), is_hint=is_hint) if value.isdecimal() else _no_age(row)
    if kind is SignKind.PROCEDURE and value not in [known.value for known in ProcedureKind]:
        row.reject("shows", "a kind of procedure")
    if kind is SignKind.CATEGORY and value.startswith(OF_WORDS) and value not in _categories_of_words():
        row.reject("shows", f"a category of {WORDS_TABLE}")
    return Sign(kind, value, is_hint=is_hint)


def _no_age(row: Row) -> Sign:
    row.reject("shows", "an age in whole years")


def _categories_of_words() -> set[str]:
    return {meaning.category for _, meaning in _load_words()}


@lru_cache(maxsize=1)
def _load_words() -> tuple[tuple[Phrase, Meaning], ...]:
    """The phrases, longest first, each with what it mentions."""
    rows = list(read_rows(WORDS_TABLE, ("phrase", "category", "source")))
    for row in rows:
        row.required("source")
    known = [(plain_words(row.required("phrase")), _mention(row)) for row in rows]
    return tuple(sorted(known, key=lambda entry: -len(entry[0])))


def _mention(row: Row) -> Meaning:
    category = OF_WORDS + row.required("category")
    return Meaning(DiagnosisRole.PRECAUTION, category, f"“{row.text('phrase')}”", Answer.UNKNOWN)
