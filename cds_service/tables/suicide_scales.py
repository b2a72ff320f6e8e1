"""`suicide_scale_parts.csv` and `yes_no_answers.csv`: the C-SSRS and its parts, and how an answer says yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cds_service.errors import TableError
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.scales import LOINC_CODE, TABLE, number_of, phrases_of
from cds_service.tables.words import Phrase, plain_words

PARTS_TABLE = "suicide_scale_parts.csv"
ANSWERS_TABLE = "yes_no_answers.csv"
INSTRUMENT = "C-SSRS"
ROW_OF_SCALES = "C-SSRS screener"
COVERS = frozenset({"wish", "thoughts", "behaviour"})


@dataclass(frozen=True)
class SuicideScalePart:
    """The C-SSRS, one of its sections or one of its questions.

    `covers` are the questions that a "no" here answers: those that everybody is asked (the wish to be dead,
    suicidal thoughts, suicidal behaviour). `maximum` is the highest number that can be its answer, None where
    the table has none. `is_risk_level` marks the risk that a clinician rates.
    """

    code: str
    name: str
    covers: frozenset[str]
    maximum: float | None
    is_risk_level: bool = False


WHOLE_BY_NAME = SuicideScalePart("", "", COVERS, None)


@lru_cache(maxsize=1)
def load_suicide_scale_parts() -> dict[str, SuicideScalePart]:
    """Every part by its LOINC code. Raises TableError naming line, column, value, expected."""
    parts = [_part(row) for row in read_rows(PARTS_TABLE, _PART_COLUMNS)]
    by_code = {part.code: part for part in parts}
    if len(by_code) < len(parts):
        raise TableError(f"{PARTS_TABLE}: a code stands for two parts, expected one")
    return by_code


_PART_COLUMNS = ("loinc", "name", "display", "covers", "maximum", "is_risk_level", "source")


def _part(row: Row) -> SuicideScalePart:
    row.required("source")
    if not LOINC_CODE.fullmatch(row.required("loinc")):
        row.reject("loinc", "a LOINC code")
    covers = frozenset(row.parts("covers"))
    if not covers <= COVERS:
        row.reject("covers", "wish, thoughts, behaviour")
    return SuicideScalePart(
        code=row.text("loinc"),
        name=row.required("name"),
        covers=covers,
        maximum=number_of(row, "maximum") if row.text("maximum") else None,
        is_risk_level=row.one_of("is_risk_level", ("yes", "no")) == "yes",
    )


@lru_cache(maxsize=1)
def load_suicide_scale_names() -> frozenset[Phrase]:
    """The words that name the C-SSRS as a whole."""
    rows = [row for row in read_rows(TABLE, ("scale", "aliases")) if row.text("scale") == ROW_OF_SCALES]
    return frozenset(phrase for row in rows for phrase in phrases_of(row, "aliases"))


@lru_cache(maxsize=1)
def load_yes_and_no() -> tuple[dict[str, bool], dict[Phrase, bool]]:
    """Whether an answer is a yes: by its LOINC answer code, and by its words."""
    by_code: dict[str, bool] = {}
    by_words: dict[Phrase, bool] = {}
    for row in read_rows(ANSWERS_TABLE, ("system", "code", "display", "value", "source")):
        row.required("source")
        is_yes = row.one_of("value", ("yes", "no")) == "yes"
        if row.text("code"):
            row.one_of("system", ("http://loinc.org",))
            by_code[row.text("code")] = is_yes
        by_words[plain_words(row.required("display"))] = is_yes
    return by_code, by_words
