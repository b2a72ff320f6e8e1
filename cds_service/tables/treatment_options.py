"""`treatment_options.csv` and `referrals.csv`: what may be pointed to at which stage, and the codes of requests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cds_service.errors import TableError
from cds_service.tables.drugs import load_antidepressants
from cds_service.tables.rows import Row, read_rows
from cds_service.trd.next_steps import ANY_DRUG, RUNNING_DRUGS, Stage, TreatmentOption
from cds_service.trd.record import ProcedureKind

TABLE = "treatment_options.csv"
REFERRALS_TABLE = "referrals.csv"
COLUMNS = (
    *(
        "option",
        "kind",
        "stages",
        "on_card",
        "label",
        "link_label",
        "url",
        "drugs",
        "on_record_as",
        "from_failed_trials",
        "from_age_years",
    ),
    *(
        "card_wording_level",
        "when_to_point_to_it",
        "snomed_code",
        "snomed_display",
        "evidence_source",
        "recalled",
    ),
    "choice",
)
LEVELS = ("urgent", "recommend", "consider", "specialist to decide", "research only")
RESEARCH_ONLY = "research only"
SNOMED = "http://snomed.info/sct"
_ON_CARD = ("link", "named", "data")
_STAGES = {stage.value: stage for stage in Stage if stage is not Stage.NONE}
_NEVER_RECALLED = ("label", "link_label", "url", "card_wording_level", "snomed_code", "snomed_display")


@dataclass(frozen=True)
class CodedRequest:
    """A code that a request may carry; `display` is empty where none was read."""

    kind: str
    system: str
    code: str
    display: str
    source: str


@lru_cache(maxsize=1)
def load_treatment_options() -> tuple[TreatmentOption, ...]:
    """All options in the table's order. Raises TableError naming line, column, value, expected."""
    rows = list(read_rows(TABLE, COLUMNS))
    options = tuple(_option(row) for row in rows)
    if len({option.name for option in options}) < len(options):
        raise TableError(f"{TABLE}: expected each option once")
    return options


@lru_cache(maxsize=1)
def load_referrals() -> dict[tuple[str, str], CodedRequest]:
    """The codes of requests and their categories, by system and code."""
    found: dict[tuple[str, str], CodedRequest] = {}
    for row in read_rows(REFERRALS_TABLE, ("kind", "system", "code", "display", "use", "source")):
        cells = [row.required(column) for column in ("kind", "system", "code", "source")]
        kind, system, code, source = cells
        if (system, code) in found:
            row.reject("code", "a code that has no row yet")
        found[system, code] = CodedRequest(kind, system, code, row.text("display"), source)
    return found


def _option(row: Row) -> TreatmentOption:
    for column in _NEVER_RECALLED:
        if "recalled" in row.text(column):
            row.reject(column, "nothing that was only recalled")
    _check_code(row)
    on_card = row.one_of("on_card", _ON_CARD)
    level = row.one_of("card_wording_level", LEVELS)
    if on_card != "data" and level == RESEARCH_ONLY:
        row.reject("on_card", "'data' for what is research only")
    if (on_card == "link") != bool(row.text("url")):
        row.reject("url", "an address for a link, and only there")
    if (on_card == "link") != bool(row.text("link_label")):
        row.reject("link_label", "the words of a link, and only there")
    row.required("choice")
    return TreatmentOption(
        name=row.required("option"),
        kind=row.required("kind"),
        level=level,
        stages=tuple(_stage(row, name) for name in row.parts("stages")),
        label=row.required("label"),
        link_label=row.text("link_label"),
        url=row.text("url"),
        is_shown=on_card != "data",
        drugs=_drugs(row),
        on_record_as=_on_record_as(row),
        from_failed_trials=int(row.number("from_failed_trials") or 0),
        from_age_years=int(row.number("from_age_years") or 0),
    )


def _stage(row: Row, name: str) -> Stage:
    return _STAGES[name] if name in _STAGES else row.reject("stages", " or ".join(_STAGES))


def _drugs(row: Row) -> tuple[str, ...]:
    """`any`, `running`, or agents and classes of our tables."""
    drugs = tuple(row.parts("drugs"))
    agents = {known.drug.agent for known in load_antidepressants().values()}
    classes = {f"class:{known.drug.drug_class}" for known in load_antidepressants().values()}
    if set(drugs) - agents - classes - {ANY_DRUG, RUNNING_DRUGS}:
        row.reject("drugs", f"{ANY_DRUG!r}, {RUNNING_DRUGS!r}, agents or classes")
    return drugs


def _on_record_as(row: Row) -> ProcedureKind | None:
    """What a Procedure of this treatment is to the rules; None where no Procedure could tell of it."""
    kinds = {kind.value: kind for kind in ProcedureKind}
    name = row.text("on_record_as")
    if name and name not in kinds:
        row.reject("on_record_as", " or ".join(kinds))
    return kinds.get(name)


def _check_code(row: Row) -> None:
    code = row.text("snomed_code")
    known = load_referrals().get((SNOMED, code))
    if code and (known is None or known.display != row.text("snomed_display")):
        row.reject("snomed_code", f"a code of {REFERRALS_TABLE} with its display")
