"""`scales.csv` and `scale_answers.csv`: depression scales, the codes and words that name them, answer values.

Only rows with `counts_as_score` = yes (the depression scales) are loaded here; those that are shown as context
are loaded by `measurements.py`, the C-SSRS by `suicide_scales.py`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from cds_service.errors import TableError
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.words import Phrase, plain_words
from cds_service.trd.record import Scale

TABLE = "scales.csv"
ANSWERS_TABLE = "scale_answers.csv"
COLUMNS = (
    *("scale", "ucum_unit", "min", "max", "rank", "counts_as_score", "percent_rule"),
    *("loinc_total", "loinc_panel", "loinc_items", "item_maximum", "aliases", "unclear_aliases"),
    *("suicide_item_loinc", "suicide_item_maximum", "suicide_item_aliases"),
    *("remission_at_most", "remission_at_most_source", "severity_bands", "severity_source"),
    *("severity_author", "other_severity_bands", "other_severity_author"),
)
LOINC_CODE = re.compile(r"\d{1,6}-\d", re.ASCII)
BAND = re.compile(r"(?:(?P<low>\d+)-(?P<high>\d+)|>=(?P<least>\d+)|<(?P<below>\d+))(?: (?P<name>\D+))?")
AS_ANOTHER = "as "


@dataclass(frozen=True)
class ScaleRow:
    """One depression scale, and how a record may name it and its parts.

    `item_codes` are the items whose answers add up to the total, empty when they are not known.
    `aliases` name this scale for certain; `unclear_aliases` name it without telling its version.
    """

    scale: Scale
    unit: str
    total_codes: tuple[str, ...]
    panel_codes: tuple[str, ...]
    item_codes: tuple[str, ...]
    item_maximum: float
    suicide_item_code: str | None
    suicide_item_maximum: float
    aliases: tuple[Phrase, ...]
    unclear_aliases: tuple[Phrase, ...]
    suicide_item_aliases: tuple[Phrase, ...]


@lru_cache(maxsize=1)
def load_scales() -> tuple[ScaleRow, ...]:
    """All depression scales, best rank first. Raises TableError naming line, column, value, expected."""
    rows = _with_bands_of_others(
        [_scale_row(row) for row in read_rows(TABLE, COLUMNS) if _counts_as_score(row)]
    )
    _refuse_repeats(rows)
    return tuple(sorted(rows, key=lambda row: row.scale.rank))


@lru_cache(maxsize=1)
def load_answers() -> tuple[dict[tuple[str, str], float], dict[Phrase, float]]:
    """The value of each answer, by code system and code, and by its words."""
    by_code: dict[tuple[str, str], float] = {}
    by_words: dict[Phrase, float] = {}
    for row in read_rows(ANSWERS_TABLE, ("system", "code", "display", "value", "source")):
        value = number_of(row, "value")
        by_code[row.required("system"), row.required("code")] = value
        by_words[plain_words(row.required("display"))] = value
    return by_code, by_words


def _counts_as_score(row: Row) -> bool:
    return row.one_of("counts_as_score", ("yes", "no")) == "yes"


def _scale_row(row: Row) -> ScaleRow:
    if row.text("remission_at_most") and not row.text("remission_at_most_source"):
        row.reject("remission_at_most_source", "the source of remission_at_most")
    return ScaleRow(
        scale=_scale(row),
        unit=row.required("ucum_unit"),
        total_codes=codes_of(row, "loinc_total"),
        panel_codes=codes_of(row, "loinc_panel"),
        item_codes=codes_of(row, "loinc_items") if row.text("item_maximum") else (),
        item_maximum=_number_or(row, "item_maximum", 0),
        suicide_item_code=row.text("suicide_item_loinc") or None,
        suicide_item_maximum=_number_or(row, "suicide_item_maximum", 0),
        aliases=phrases_of(row, "aliases"),
        unclear_aliases=phrases_of(row, "unclear_aliases"),
        suicide_item_aliases=phrases_of(row, "suicide_item_aliases"),
    )


def _scale(row: Row) -> Scale:
    minimum, maximum = number_of(row, "min"), number_of(row, "max")
    if maximum <= minimum:
        row.reject("max", "more than min")
    return Scale(
        name=row.required("scale"),
        minimum=minimum,
        maximum=maximum,
        remission_at_most=number_of(row, "remission_at_most") if row.text("remission_at_most") else None,
        has_percent_rule=row.one_of("percent_rule", ("yes", "no")) == "yes",
        rank=int(number_of(row, "rank")),
        bands=_bands(row, "severity_bands", minimum, maximum),
        bands_source=row.text("severity_source") if row.text("severity_bands") else "",
        bands_author=row.text("severity_author"),
        other_bands=_bands(row, "other_severity_bands", minimum, maximum),
        other_bands_author=_other_author(row),
    )


def _other_author(row: Row) -> str:
    """Who draws the bands otherwise; both authors are named where they say different things."""
    if not row.text("other_severity_bands"):
        return ""
    row.required("severity_author")
    return row.required("other_severity_author")


def _bands(row: Row, column: str, minimum: float, maximum: float) -> tuple[tuple[float, str], ...]:
    """`0-4 minimal|5-9 mild` as the highest total of each band and its name, up to the maximum of the scale.

    What lies below the first cut-off (`>=10 possible`) is a band without a name. `as PHQ-9` is left as a
    single band of that text, which `_with_bands_of_others` resolves.
    """
    cell = row.text(column)
    if not cell:
        return ()
    if not row.text("severity_source"):
        row.reject("severity_source", "the source of severity_bands")
    if cell.startswith(AS_ANOTHER):
        return ((maximum, cell),)
    parts = [
        BAND.fullmatch(part) or row.reject(column, "bands such as 5-9 mild") for part in row.parts(column)
    ]
    starts = [minimum if part["below"] else float(part["low"] or part["least"]) for part in parts]
    # T scores are given to one decimal, other totals are whole.
    step = 0.1 if row.text("ucum_unit") == "{Tscore}" else 1
    ends = [*(start - step for start in starts[1:]), maximum]
    for part, start, end in zip(parts, starts, ends, strict=True):
        is_gapless = part["high"] is None or abs(float(part["high"]) - end) < 1
        if not (minimum <= start <= end and is_gapless):
            row.reject(column, "bands in order, without gaps, within the scale")
    bands = tuple((end, part["name"] or "") for part, end in zip(parts, ends, strict=True))
    return bands if starts[0] == minimum else ((starts[0] - step, ""), *bands)


def _with_bands_of_others(rows: list[ScaleRow]) -> list[ScaleRow]:
    """The rows, with the bands of another scale where the table says `as` that scale."""
    scales = {row.scale.name: row.scale for row in rows}
    return [_with_bands_of_another(row, scales) for row in rows]


def _with_bands_of_another(row: ScaleRow, scales: Mapping[str, Scale]) -> ScaleRow:
    named = row.scale.bands[0][1] if row.scale.bands else ""
    if not named.startswith(AS_ANOTHER):
        return row
    other = scales.get(named.removeprefix(AS_ANOTHER))
    if other is None or other.maximum != row.scale.maximum:
        raise TableError(
            f"{TABLE}: column severity_bands: expected another scale of the same range, found {named!r}"
        )
    return replace(row, scale=replace(row.scale, bands=other.bands))


def number_of(row: Row, column: str) -> float:
    """Unlike drug strengths, a scale may begin at 0."""
    try:
        value = float(row.required(column))
    except ValueError:
        row.reject(column, "a number")
    return value if math.isfinite(value) else row.reject(column, "a number")


def _number_or(row: Row, column: str, default: float) -> float:
    return number_of(row, column) if row.text(column) else default


def codes_of(row: Row, column: str) -> tuple[str, ...]:
    """LOINC codes; one with a remark in brackets, such as `69722-7(difficulty)`, is no part of the sum."""
    cells = [cell.strip() for cell in row.text(column).split(";") if cell.strip() and "(" not in cell]
    for code in cells:
        if not LOINC_CODE.fullmatch(code):
            row.reject(column, "LOINC codes")
    return tuple(cells)


def phrases_of(row: Row, column: str) -> tuple[Phrase, ...]:
    phrases = tuple(plain_words(part) for part in row.parts(column))
    return phrases if all(phrases) else row.reject(column, "words")


def _refuse_repeats(rows: list[ScaleRow]) -> None:
    """One code, alias or rank means one scale; items may be shared by a short and a long form."""
    given: list[object] = [row.scale.rank for row in rows]
    for row in rows:
        given += {*row.total_codes, *row.panel_codes, *row.aliases}
    repeated = [value for value, times in Counter(given).items() if times > 1]
    if repeated:
        raise TableError(f"{TABLE}: {repeated[0]!r} stands for two scales, expected one")
