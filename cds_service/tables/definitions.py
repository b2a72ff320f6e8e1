"""`trd_definitions.json` → `Definition`s: the source's parameters first, the project's where it is silent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from cds_service.errors import TableError
from cds_service.trd.model import Definition, Distinctness

TABLE = "trd_definitions.json"
DEFAULT_ID = "default-configurable"
DISTINCTNESS = {
    "agent": Distinctness.AGENT,
    "class": Distinctness.CLASS,
    "mechanism (NbN)": Distinctness.MECHANISM,
}


@lru_cache(maxsize=1)
def load_definitions() -> dict[str, Definition]:
    """All definitions by id, in the table's order. Raises TableError naming entry, key, value, expected."""
    table = _table()
    by_id = {entry["id"]: entry for entry in table["definitions"]}
    fallback = by_id[DEFAULT_ID]["params"]
    return {
        id_: _definition(_Parameters(entry, fallback, table["reading_rules"])) for id_, entry in by_id.items()
    }


def definition_entry(definition_id: str) -> dict[str, Any]:
    """The table's own entry, with source, what it leaves open and what the project filled.

    Raises KeyError for an unknown id.
    """
    entries: dict[str, dict[str, Any]] = {entry["id"]: entry for entry in _table()["definitions"]}
    return entries[definition_id]


def reading_rules() -> dict[str, dict[str, Any]]:
    """The rules by which every definition is read: value, unit and source of each."""
    rules: dict[str, dict[str, Any]] = _table()["reading_rules"]
    return rules


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files("cds_service.tables").joinpath(TABLE).read_text("utf-8"))
    return table


@dataclass
class _Parameters:
    """One entry's parameters; `filled` collects those that its source leaves open."""

    entry: dict[str, Any]
    fallback: dict[str, Any]
    rules: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        self.filled: list[tuple[str, str]] = []

    def get(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        value = self.entry["params"].get(key)
        if value is None:
            value = self._fill(key)
            self.filled.append((key, _in_words(value)))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TableError(f"{TABLE}: {self.entry['id']}: {key}: {value!r}, expected {expected}")
        return value

    def number(self, key: str, expected: str = "a number of 0 or more") -> Any:
        value = self.get(key, (int, float), expected)
        if value < 0:
            raise TableError(f"{TABLE}: {self.entry['id']}: {key}: {value!r}, expected {expected}")
        return value

    def _fill(self, key: str) -> Any:
        for value in (self.entry["project_fill"].get(key), self.fallback.get(key)):
            if value is not None:
                return value
        return self.rules.get(key, {}).get("value")


def _in_words(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _definition(given: _Parameters) -> Definition:
    distinctness = given.get("distinctness", str, f"one of {', '.join(DISTINCTNESS)}")
    if distinctness not in DISTINCTNESS:
        known = ", ".join(DISTINCTNESS)
        raise TableError(
            f"{TABLE}: {given.entry['id']}: distinctness: {distinctness!r}, expected one of {known}"
        )
    members = given.rules["exclusion_members"]["value"]
    exclusions = given.get("exclusions", list, "a list of categories")
    return Definition(
        id=given.entry["id"],
        version=given.entry["version"],
        title=given.entry["name"],
        needed_failed_trials=given.number("min_failed_trials"),
        distinctness=DISTINCTNESS[distinctness],
        minimum_days=given.number("min_weeks") * 7,
        dose_column=given.get("dose_column", str, "lenient, default or strict"),
        nonresponse_below_percent=given.number("nonresponse_if_improvement_below_pct"),
        response_from_percent=given.number("response_from_percent"),
        partial_response_from_percent=given.number("partial_response_from_percent"),
        intolerance_counts_as_failure=given.get("intolerance_stop_counts_as_failure", bool, "true or false"),
        max_gap_days=given.number("max_gap_days"),
        lookback_days=given.number("lookback_days"),
        exclusions=tuple(member for name in exclusions for member in members.get(name, [name])),
        passing_exclusions=tuple(given.rules["passing_exclusions"]["value"]),
        minimum_age_years=given.number("min_age_years"),
        baseline_days_before=given.number("baseline_days_before"),
        baseline_days_after=given.number("baseline_days_after"),
        last_score_from_day=given.number("last_score_from_day"),
        last_score_days_after=given.number("last_score_days_after"),
        remission_confirmed_days=given.number("remission_confirmed_days"),
        minimum_pdc=given.number("minimum_pdc", "a share from 0 to 1"),
        suicidality_window_days=given.number("suicidality_window_days"),
        suicidality_acute_days=given.number("suicidality_acute_days"),
        filled=tuple(given.filled),
        source=given.entry["source"],
        source_status=given.entry["source_status"],
        notes=given.entry["notes"],
    )
