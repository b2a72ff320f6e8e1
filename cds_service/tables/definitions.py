"""`trd_definitions.json`, and a site's own files of the same form → `Definition`s.

Each parameter is what the source says, else what the project fills: the entry's `project_fill`, the values
of the default definition, the reading rules. Definitions that count treatments (registers,
claims) and name no exclusion, age or episode have none. `site_definitions` reads and checks the files of a site.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from cds_service.errors import TableError
from cds_service.trd.parameters import (
    Definition,
    Distinctness,
    Parameter,
    Rule,
    StagingRule,
    TreatmentRule,
    WindowEnd,
)
from cds_service.trd.record import ProcedureKind

TABLE = "trd_definitions.json"
DEFAULT_ID = "default-configurable"
HASH_DIGITS = 16

Entry = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """What a parameter may be, in words and as a test."""

    expected: str
    accepts: Callable[[Any], bool]


def _word_of(*words: str) -> Shape:
    return Shape(f"one of {', '.join(words)}", lambda value: value in words)


def _whole(least: int) -> Shape:
    return Shape(
        f"a whole number of {least} or more",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least,
    )


def _number(above: float, most: float, expected: str) -> Shape:
    return Shape(
        expected,
        lambda value: (
            isinstance(value, int | float) and not isinstance(value, bool) and above < value <= most
        ),
    )


_PERCENT = _number(0, 100, "a percentage above 0, up to 100")
_YES_OR_NO = Shape("true or false", lambda value: isinstance(value, bool))
_WORDS = Shape(
    "a list of texts", lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value)
)

# The closed vocabulary of `params` and `project_fill`, in the order in which it is shown.
PARAMETERS: dict[str, Shape] = {
    "min_failed_trials": _whole(1),
    "distinctness": _word_of(*(kind.value for kind in Distinctness)),
    "min_weeks": _whole(0),
    "dose_column": _word_of("lenient", "default", "strict"),
    "nonresponse_if_improvement_below_pct": _PERCENT,
    "intolerance_stop_counts_as_failure": _YES_OR_NO,
    "max_gap_days": _whole(0),
    "lookback_days": _whole(1),
    "exclusions": _WORDS,
    "min_age_years": _whole(0),
    "minimum_pdc": _number(-1e-9, 1, "a share from 0 to 1"),
    "response_from_percent": _PERCENT,
    "partial_response_from_percent": _PERCENT,
    "partial_response_counts_as_failure": _YES_OR_NO,
    "augmentation_counts_as_trial": _YES_OR_NO,
    "combination_counts_as_trial": _YES_OR_NO,
    "psychotherapy_counts_as_trial": _YES_OR_NO,
    "ect_or_tms_counts_as_trial": _YES_OR_NO,
    "cross_taper_days": _whole(0),
    "episode_scope": _word_of("current", "any"),
    "remission_confirmed_days": _whole(1),
    "baseline_days_before": _whole(0),
    "baseline_days_after": _whole(0),
    "last_score_from_day": _whole(1),
    "last_score_days_after": _whole(0),
    "suicidality_window_days": _whole(1),
    "suicidality_acute_days": _whole(1),
}
# What a definition that counts treatments asks; whatever else it names decides nothing there.
_OF_TREATMENTS = frozenset(
    {
        "max_gap_days",
        "lookback_days",
        "exclusions",
        "min_age_years",
        "episode_scope",
        "suicidality_window_days",
        "suicidality_acute_days",
    }
)
_LEFT_OPEN: dict[str, Any] = {"exclusions": [], "min_age_years": None, "episode_scope": "any"}
_NOT_FILLED = "left open by the source; none is added to definitions that count treatments"
_NOT_ASKED = f"decides nothing: treatments are counted, and trials shown as by {DEFAULT_ID}"


@lru_cache(maxsize=8)
def load_definitions(directory: Path | None = None) -> dict[str, Definition]:
    """All definitions that can be evaluated, by id: the default, the table's, then those of the site.

    Raises TableError naming entry, key, value, expected; InputError for a site's `directory`.
    """
    return {
        id_: read_definition(entry)
        for id_, entry in definition_entries(directory).items()
        if is_evaluable(entry)
    }


@lru_cache(maxsize=8)
def definition_entries(directory: Path | None = None) -> dict[str, Entry]:
    """Every entry by id, also those that cannot be evaluated, as written in the table and the site's files.

    Raises InputError for a `directory` whose files cannot be read, are wrong, or repeat an id.
    """
    entries: dict[str, Entry] = {entry["id"]: entry for entry in _table()["definitions"]}
    entries = {DEFAULT_ID: entries[DEFAULT_ID], **entries}
    if directory is None:
        return entries
    from cds_service.tables.site_definitions import read_directory  # it loads jsonschema

    return {**entries, **read_directory(directory)}


def is_evaluable(entry: Entry) -> bool:
    return bool(entry.get("evaluable_from_record", True))


def reading_rules() -> dict[str, dict[str, Any]]:
    """The rules by which every definition is read: value, unit and source of each."""
    rules: dict[str, dict[str, Any]] = _table()["reading_rules"]
    return rules


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files("cds_service.tables").joinpath(TABLE).read_text("utf-8"))
    return table


# --- one entry --------------------------------------------------------------------------------------------


def read_definition(entry: Entry, table: Mapping[str, Any] | None = None) -> Definition:
    """The definition that an entry makes, read by the rules of the table (the project's own unless given)."""
    table = table or _table()
    given = _Parameters(entry, table)
    values = {key: given.get(key) for key in PARAMETERS if not given.is_without_count(key)}
    members = table["reading_rules"]["exclusion_members"]["value"]
    exclusions = [member for name in values["exclusions"] for member in members.get(name, [name])]
    passing = [name for name in table["reading_rules"]["passing_exclusions"]["value"] if name in exclusions]
    treatments, staging = _treatments(entry), _staging(entry)
    return Definition(
        id=entry["id"],
        version=entry["version"],
        title=entry["name"],
        needed_failed_trials=_needed(given.rule, values, treatments, staging),
        distinctness=Distinctness(values["distinctness"]),
        minimum_days=values["min_weeks"] * 7,
        dose_column=values["dose_column"],
        nonresponse_below_percent=_nonresponse_below(values),
        response_from_percent=values["response_from_percent"],
        partial_response_from_percent=values["partial_response_from_percent"],
        intolerance_counts_as_failure=values["intolerance_stop_counts_as_failure"],
        max_gap_days=values["max_gap_days"],
        lookback_days=values["lookback_days"],
        exclusions=tuple(dict.fromkeys(exclusions)),
        passing_exclusions=tuple(passing),
        minimum_age_years=values["min_age_years"] or None,
        baseline_days_before=values["baseline_days_before"],
        baseline_days_after=values["baseline_days_after"],
        last_score_from_day=values["last_score_from_day"],
        last_score_days_after=values["last_score_days_after"],
        remission_confirmed_days=values["remission_confirmed_days"],
        minimum_pdc=values["minimum_pdc"],
        suicidality_window_days=values["suicidality_window_days"],
        suicidality_acute_days=values["suicidality_acute_days"],
        filled=tuple(given.filled),
        source=entry["source"],
        source_status=entry.get("source_status", ""),
        notes=entry.get("notes", ""),
        kind=entry.get("kind", "binary"),
        rule=given.rule,
        is_current_episode_only=values["episode_scope"] == "current",
        augmentation_counts=values["augmentation_counts_as_trial"],
        combination_counts=values["combination_counts_as_trial"],
        psychotherapy_counts=values["psychotherapy_counts_as_trial"],
        neuromodulation_counts=values["ect_or_tms_counts_as_trial"],
        cross_taper_days=values["cross_taper_days"],
        treatments=treatments,
        staging=staging,
        parameters=(*given.shown, *_parameters_of_rule(entry)),
        content_hash=_hash({"entry": entry, "read as": values, "excludes": exclusions, "while": passing}),
    )


def _needed(
    rule: Rule, values: Mapping[str, Any], treatments: TreatmentRule | None, staging: StagingRule | None
) -> int:
    """What the counted range is held against: failed trials, treatments or points."""
    if rule is Rule.TREATMENTS and treatments:
        return treatments.needed
    if rule is Rule.SCORE and staging:
        return int(staging.met_from or 0)
    return int(values["min_failed_trials"])


def _nonresponse_below(values: Mapping[str, Any]) -> float:
    """Where a partial response is no failure, an improvement that reaches it is none, whatever the threshold."""
    below: float = values["nonresponse_if_improvement_below_pct"]
    if values["partial_response_counts_as_failure"]:
        return below
    partial_from: float = values["partial_response_from_percent"]
    return min(below, partial_from)


def _hash(content: object) -> str:
    """Changes with anything in the entry, and with what its open parameters are read as."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:HASH_DIGITS]


def _treatments(entry: Entry) -> TreatmentRule | None:
    given = entry.get("treatments")
    if given is None:
        return None
    return TreatmentRule(
        needed=given["needed"],
        minimum_days=given["minimum_days"],
        window_days=given["window_days"],
        window_end=WindowEnd(given["window_end"]),
        add_ons=tuple(given.get("add_ons", ())),
        antidepressants_beside_add_on=given.get("antidepressants_beside_add_on"),
        procedures_count=tuple(ProcedureKind(kind) for kind in given.get("procedures", ())),
        needs_depression=given.get("needs_depression", False),
    )


def _staging(entry: Entry) -> StagingRule | None:
    given = entry.get("staging")
    if given is None:
        return None
    return StagingRule(
        method=given["method"],
        points=tuple((row["item"], row["level"], row["points"]) for row in given["points"]),
        bands=tuple((band["from"], band["to"], band["name"]) for band in given.get("bands", ())),
        met_from=given.get("met_from"),
    )


@dataclass
class _Parameters:
    """The parameters of one entry. `filled` collects those that its source leaves open, `shown` all in words."""

    entry: Entry
    table: Mapping[str, Any]
    filled: list[tuple[str, str]] = field(default_factory=list)
    shown: list[Parameter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rule = Rule(self.entry.get("rule", Rule.FAILED_TRIALS.value))
        self.said: Mapping[str, Any] = self.entry["params"]
        self.fill: Mapping[str, Any] = self.entry.get("project_fill", {})
        default = next(entry for entry in self.table["definitions"] if entry["id"] == DEFAULT_ID)
        self.default = {**default["project_fill"], **_without_open(default["params"])}

    def is_without_count(self, key: str) -> bool:
        """A score or a number of treatments is counted instead of failed trials."""
        if key != "min_failed_trials" or self.rule is Rule.FAILED_TRIALS:
            return False
        if self.said.get(key) is not None:
            self.shown.append(source_parameter(self.entry, key))
        return True

    def get(self, key: str) -> Any:
        if self.rule is Rule.TREATMENTS and key not in _OF_TREATMENTS:
            return self._as_default(key)
        value = self.said.get(key)
        if value is not None:
            self._check(key, value)
            self.shown.append(source_parameter(self.entry, key))
            return value
        if key in _LEFT_OPEN and self.rule is Rule.TREATMENTS and key not in self.fill:
            open_ = _LEFT_OPEN[key]
            self.filled.append((key, in_words(open_)))
            self.shown.append(Parameter(key, in_words(open_), "project", self._with_words(key, _NOT_FILLED)))
            return open_
        value, why = self._filled(key)
        self._check(key, value)
        self.filled.append((key, in_words(value)))
        self.shown.append(Parameter(key, in_words(value), "project", self._with_words(key, why)))
        return value

    def _as_default(self, key: str) -> Any:
        if self.said.get(key) is not None or key in self.entry.get("source_words", {}):
            said = source_parameter(self.entry, key)
            why = "" if said.why == self.entry["source"] else f"{said.why}; "
            self.shown.append(Parameter(key, said.value, said.set_by, f"{why}{_NOT_ASKED}"))
        value = self.default.get(key, self.table["reading_rules"].get(key, {}).get("value"))
        self._check(key, value)
        return value

    def _filled(self, key: str) -> tuple[Any, str]:
        """What the project uses where the source is silent, and why."""
        rule = self.table["reading_rules"].get(key, {})
        reasons = {**self.table["fill_reasons"], **self.entry.get("fill_reasons", {})}
        why = reasons.get(key, rule.get("source", ""))
        if self.fill.get(key) is not None:
            return self.fill[key], why
        if key == "partial_response_counts_as_failure":
            return self._partial_response_counts(), why
        return self.default.get(key, rule.get("value")), why

    def _partial_response_counts(self) -> bool:
        """By the threshold, where the source gives one and does not speak of partial response."""
        threshold = "nonresponse_if_improvement_below_pct", "partial_response_from_percent"
        below, partial_from = (self.said.get(key) or self._filled(key)[0] for key in threshold)
        return bool(below > partial_from)

    def _with_words(self, key: str, why: str) -> str:
        words = self.entry.get("source_words", {}).get(key)
        return f'the source says "{words}"; {why}' if words else why

    def _check(self, key: str, value: Any) -> None:
        if not PARAMETERS[key].accepts(value):
            raise TableError(
                f"{TABLE}: {self.entry['id']}: {key}: expected {PARAMETERS[key].expected}, found {value!r}"
            )


def _without_open(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value is not None}


def source_parameter(entry: Entry, key: str) -> Parameter:
    """A parameter as the entry's source has it. What the project itself defines was set by the project."""
    words, reading = entry.get("source_words", {}).get(key), entry.get("readings", {}).get(key, "")
    value = entry["params"].get(key)
    set_by = "project" if entry.get("source_status") == "project" else "source"
    if words is None:
        return Parameter(key, in_words(value), set_by, reading or entry["source"])
    if value is None:
        return Parameter(key, f'"{words}"', set_by, reading or entry["source"])
    why = f'the source says "{words}"; taking it so is this project\'s reading'
    return Parameter(key, in_words(value), set_by, f"{why}: {reading}" if reading else why)


def source_parameters(entry: Entry) -> tuple[Parameter, ...]:
    """All that the source of an entry sets, for one that is not evaluated."""
    said = {**_without_open(entry["params"]), **entry.get("source_words", {})}
    return tuple(source_parameter(entry, key) for key in PARAMETERS if key in said)


def _parameters_of_rule(entry: Entry) -> Iterable[Parameter]:
    """How treatments or points are counted, for definitions that count these."""
    treatments: dict[str, Any] = entry.get("treatments", {})
    why = treatments.get("reading") or entry["source"]
    for key, value in treatments.items():
        if key != "reading" and value is not None:
            yield Parameter(f"treatments.{key}", in_words(value), "source", why)
    staging: dict[str, Any] = entry.get("staging", {})
    if staging.get("met_from") is not None:
        why = staging.get("met_from_source") or entry["source"]
        yield Parameter("staging.met_from", in_words(staging["met_from"]), "source", why)


def in_words(value: Any) -> str:
    """A parameter's value as it is shown."""
    if value is None:
        return "any"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
