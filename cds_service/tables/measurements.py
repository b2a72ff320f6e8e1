"""`labs.csv` and the rows of `scales.csv` that are shown as context: what is measured beyond mood.

None of it changes a verdict. Laboratory values are known by their LOINC code only, scales also by their
exact name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from cds_service.errors import TableError
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.scales import TABLE as SCALES_TABLE
from cds_service.tables.scales import codes_of, number_of, phrases_of
from cds_service.tables.words import Phrase
from cds_service.trd.record import Domain

LABS_TABLE = "labs.csv"
SCALE_COLUMNS = (
    *("scale", "loinc_total", "loinc_source", "ucum_unit", "min", "max", "aliases", "use_note"),
    *("shown_as", "unimpaired_at_most", "unimpaired_source"),
)
LAB_COLUMNS = ("name", "loinc", "display", "domain", "ucum_unit_example", "use_in_this_project", "source")
OF_SCALES = (Domain.FUNCTION, Domain.COGNITION, Domain.QUALITY_OF_LIFE, Domain.ANXIETY, Domain.SCREENING)
OF_LABS = (Domain.LABORATORY, Domain.VITAL_SIGN)


@dataclass(frozen=True)
class MeasurementRow:
    """One thing that is measured. `minimum` and `maximum` bound a scale; None where nothing is stated.

    `unit` is the UCUM unit of a scale's total, and only an example for a laboratory value. `unimpaired_at_most`
    is the highest total of a functional scale without impairment, `unimpaired_source` its citation.
    """

    name: str
    domain: Domain
    code: str
    unit: str
    use: str
    aliases: tuple[Phrase, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unimpaired_at_most: float | None = None
    unimpaired_source: str = ""

    @property
    def is_scale(self) -> bool:
        return self.domain in OF_SCALES


@lru_cache(maxsize=1)
def load_measurements() -> tuple[MeasurementRow, ...]:
    """All that is shown as context. Raises TableError naming line, column, value, expected."""
    scales = [_scale(row) for row in read_rows(SCALES_TABLE, SCALE_COLUMNS) if row.text("shown_as")]
    # A panel (CBC) has no value of its own and no domain.
    labs = [_lab(row) for row in read_rows(LABS_TABLE, LAB_COLUMNS) if row.text("domain")]
    rows = (*scales, *labs)
    given: list[object] = [name for row in rows for name in (row.name, row.code, *row.aliases) if name]
    repeated = [value for value, times in Counter(given).items() if times > 1]
    if repeated:
        raise TableError(f"{LABS_TABLE}, {SCALES_TABLE}: {repeated[0]!r} stands for two things, expected one")
    return rows


def _scale(row: Row) -> MeasurementRow:
    codes = codes_of(row, "loinc_total")
    if not codes and not row.text("aliases"):
        row.reject("aliases", "a name, as there is no code")
    limit = number_of(row, "unimpaired_at_most") if row.text("unimpaired_at_most") else None
    if limit is not None and not row.text("unimpaired_source"):
        row.reject("unimpaired_source", "the source of unimpaired_at_most")
    return MeasurementRow(
        name=row.required("scale"),
        domain=Domain(row.one_of("shown_as", [domain.value for domain in OF_SCALES])),
        code=codes[0] if codes else "",
        unit=row.text("ucum_unit"),
        use="",
        aliases=phrases_of(row, "aliases"),
        minimum=number_of(row, "min") if row.text("min") else None,
        maximum=number_of(row, "max") if row.text("max") else None,
        unimpaired_at_most=limit,
        unimpaired_source=row.text("unimpaired_source"),
    )


def _lab(row: Row) -> MeasurementRow:
    row.required("source")
    if len(codes_of(row, "loinc")) != 1:
        row.reject("loinc", "one LOINC code")
    return MeasurementRow(
        name=row.required("name"),
        domain=Domain(row.one_of("domain", [domain.value for domain in OF_LABS])),
        code=row.required("loinc"),
        unit=row.text("ucum_unit_example"),
        use=row.text("use_in_this_project"),
    )
