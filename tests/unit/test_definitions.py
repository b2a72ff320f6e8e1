"""The definitions of the table: all 28 are kept, each says what its source says and what the project fills."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cds_service.definitions_text import definition_text, definitions_markdown, definitions_text
from cds_service.errors import TableError
from cds_service.tables.definitions import (
    DEFAULT_ID,
    PARAMETERS,
    definition_entries,
    is_evaluable,
    load_definitions,
    read_definition,
)
from cds_service.tables.rows import read_rows
from cds_service.tables.site_definitions import add_on_names, definition_schema, exclusion_names
from cds_service.trd.answers import Answer
from cds_service.trd.definitions import judge
from cds_service.trd.model import Verdict
from cds_service.trd.parameters import Distinctness, Rule, WindowEnd
from cds_service.trd.record import DiagnosisRole, ProcedureKind
from tests.conftest import ON
from tests.spec.people import diagnosis, history
from tests.spec.texttables import rows

TABLE: dict[str, Any] = json.loads(
    files("cds_service.tables").joinpath("trd_definitions.json").read_text("utf-8")
)
ENTRIES = definition_entries()
KEPT = [id_ for id_, entry in ENTRIES.items() if not is_evaluable(entry)]

each_entry = pytest.mark.parametrize("id_", ENTRIES)
each_evaluated = pytest.mark.parametrize("id_", load_definitions())

EVALUATED = """
    id                   | rule          | needed | weeks | different | dose    | below | scope   | age | lookback
    default-configurable | failed-trials | 2      | 6     | agent     | default | 50    | current | 18  | 730
    seed-2026            | failed-trials | 2      | 6     | class     | default | 50    | current | 18  | 730
    us-fda-label         | failed-trials | 2      | 6     | agent     | default | 50    | current | 18  | 730
    fda-2018-draft       | failed-trials | 2      | 6     | agent     | default | 50    | current | 18  | 730
    ema-2013             | failed-trials | 2      | 6     | agent     | default | 50    | current | 18  | 730
    eu-pearl-2022        | failed-trials | 2      | 4     | mechanism | lenient | 25    | current | 18  | 730
    mcintyre-2023        | failed-trials | 2      | 6     | agent     | default | 50    | current | 18  | 730
    canadian-2021        | failed-trials | 2      | 4     | agent     | default | 50    | current | 18  | 730
    thase-rush           | failed-trials | 2      | 6     | class     | default | 50    | current | 18  | 730
    mgh-s                | score         | 4      | 6     | agent     | default | 50    | current | 18  | 730
    esm-souery           | failed-trials | 2      | 6     | class     | default | 50    | current | 18  | 730
    msm                  | score         | 5      | 6     | agent     | default | 50    | current | 18  | 730
    kim-register         | treatments    | 3      | 6     | agent     | default | 50    | any     | 18  | 730
    ohdsi-1009           | treatments    | 3      | 6     | agent     | default | 50    | any     | any | 365
    cepeda-2018          | treatments    | 3      | 6     | agent     | default | 50    | any     | 18  | 365
    zhong-2022-claims    | failed-trials | 2      | 4     | agent     | default | 50    | current | 18  | 365
    danish-2020          | treatments    | 3      | 6     | agent     | default | 50    | any     | 18  | 365
"""


def test_these_can_be_evaluated_the_default_first() -> None:
    assert list(load_definitions()) == [row["id"] for row in rows(EVALUATED)]


@pytest.mark.parametrize("row", rows(EVALUATED), ids=lambda row: row["id"])
def test_each_is_read_as_its_source_says_or_as_the_project_fills(row: dict[str, str]) -> None:
    definition = load_definitions()[row["id"]]
    assert definition.rule is Rule(row["rule"])
    assert definition.needed_failed_trials == int(row["needed"])
    assert definition.minimum_days == int(row["weeks"]) * 7
    assert definition.distinctness is Distinctness(row["different"])
    assert definition.dose_column == row["dose"]
    assert definition.nonresponse_below_percent == float(row["below"])
    assert definition.is_current_episode_only is (row["scope"] == "current")
    assert definition.minimum_age_years == (None if row["age"] == "any" else int(row["age"]))
    assert definition.lookback_days == int(row["lookback"])


@each_evaluated
def test_each_runs_on_an_empty_record(id_: str) -> None:
    found = judge(history(diagnoses=()), (), load_definitions()[id_], ON)
    assert found.verdict is not Verdict.MET
    assert found.definition.id == id_


def test_the_other_eleven_say_why_they_cannot_be() -> None:
    assert len(ENTRIES) == 28
    assert len(KEPT) == 11
    for id_ in KEPT:
        entry = ENTRIES[id_]
        shown = " ".join(definition_text(id_).split())
        assert f"cannot be evaluated from a record: {entry['not_evaluable_because']}" in shown
        assert entry["source"] in shown
        assert id_ not in load_definitions()


# --- exclusions -------------------------------------------------------------------------------------------

EXCLUSIONS = """
    id                | bipolar | psychotic_disorder | peripartum_psychosis | psychotic_depression | dementia
    seed-2026         | yes     | yes                | yes                  | no                   | yes
    canadian-2021     | yes     | yes                | yes                  | no                   | yes
    eu-pearl-2022     | yes     | yes                | yes                  | no                   | no
    fda-2018-draft    | yes     | yes                | yes                  | yes                  | no
    ema-2013          | yes     | no                 | no                   | no                   | no
    msm               | yes     | no                 | no                   | no                   | no
    ohdsi-1009        | yes     | yes                | yes                  | no                   | yes
    cepeda-2018       | yes     | yes                | yes                  | no                   | yes
    kim-register      | no      | no                 | no                   | no                   | no
    danish-2020       | no      | no                 | no                   | no                   | no
    zhong-2022-claims | yes     | yes                | yes                  | no                   | yes
"""


@pytest.mark.parametrize("row", rows(EXCLUSIONS), ids=lambda row: row["id"])
def test_the_words_of_a_source_exclude_these_diagnoses(row: dict[str, str]) -> None:
    definition = load_definitions()[row["id"]]
    for category, excludes in row.items():
        if category == "id":
            continue
        role = DiagnosisRole.DEPRESSION if category == "psychotic_depression" else DiagnosisRole.EXCLUSION
        found = judge(history(diagnoses=(diagnosis(role, category),)), (), definition, ON)
        assert (found.verdict is Verdict.EXCLUDED) is (excludes == "yes"), category


def test_psychotic_depression_excludes_only_while_it_is_current() -> None:
    past = diagnosis(DiagnosisRole.DEPRESSION, "psychotic_depression", is_current=Answer.NOT_MET)
    found = judge(history(diagnoses=(past,)), (), load_definitions()["fda-2018-draft"], ON)
    assert found.verdict is not Verdict.EXCLUDED


def test_what_is_no_lifelong_exclusion_excludes_only_while_it_is_current() -> None:
    """Those with another role than `exclusion` can be named by a site, and then pass as mood disorders do."""
    passing = set(TABLE["reading_rules"]["passing_exclusions"]["value"])
    for row in read_rows("conditions.csv", ("category", "role")):
        if row.text("role") in ("qualifying_with_flag", "confounder", "medical_mimic"):
            assert row.text("category") in passing


def test_the_members_of_words_are_categories() -> None:
    categories = {row.text("category") for row in read_rows("conditions.csv", ("category",))}
    for members in TABLE["reading_rules"]["exclusion_members"]["value"].values():
        assert set(members) <= categories


# --- treatments and stages --------------------------------------------------------------------------------

TREATMENTS = """
    id          | needed | days | window | end         | add-ons | beside | procedures | depression
    kim-register| 3      | 28   | 730    | today       | lithium | none   | ECT, TMS   | no
    ohdsi-1009  | 3      | 1    | 365    | last-start  | SGA     | 1      | none       | yes
    cepeda-2018 | 3      | 1    | 365    | first-start | SGA     | 1      | none       | yes
    danish-2020 | 3      | 1    | 365    | first-start | none    | none   | none       | no
"""


@pytest.mark.parametrize("row", rows(TREATMENTS), ids=lambda row: row["id"])
def test_registers_and_claims_count_treatments(row: dict[str, str]) -> None:
    rule = load_definitions()[row["id"]].treatments
    assert rule is not None
    assert (rule.needed, rule.minimum_days, rule.window_days) == (
        int(row["needed"]),
        int(row["days"]),
        int(row["window"]),
    )
    assert rule.window_end is WindowEnd(row["end"])
    assert row["add-ons"] in rule.add_ons if row["add-ons"] != "none" else rule.add_ons == ()
    beside = rule.antidepressants_beside_add_on
    assert beside == (None if row["beside"] == "none" else int(row["beside"]))
    counted = [] if row["procedures"] == "none" else row["procedures"].split(", ")
    assert rule.procedures_count == tuple(map(ProcedureKind, counted))
    assert rule.needs_depression is (row["depression"] == "yes")


def test_add_ons_are_agents_or_classes_of_the_table() -> None:
    for definition in load_definitions().values():
        assert set(definition.treatments.add_ons if definition.treatments else ()) <= add_on_names()


def test_definitions_that_count_treatments_show_trials_as_the_default_does() -> None:
    default = load_definitions()[DEFAULT_ID]
    for definition in load_definitions().values():
        if definition.rule is Rule.TREATMENTS:
            assert definition.trial_rules == default.trial_rules
            assert "dose_column" not in dict(definition.filled)


def test_staging_methods_have_their_points_and_bands() -> None:
    msm = load_definitions()["msm"].staging
    assert msm is not None
    assert ("duration", "<=12 months", 1) in msm.points
    assert ("failures", "1-2", 1) in msm.points
    assert ("severity", "severe with psychosis", 5) in msm.points
    assert msm.bands == ((3, 6, "mild"), (7, 10, "moderate"), (11, 15, "severe"))
    assert msm.met_from == 5
    by_item: dict[str, list[float]] = {}
    for item, _, points in msm.points:
        by_item.setdefault(item, []).append(points)
    assert sum(min(points) for points in by_item.values()) == 3
    assert sum(max(points) for points in by_item.values()) == 15


@pytest.mark.parametrize("id_", ["thase-rush", "esm-souery"])
def test_stages_are_named_and_have_no_threshold(id_: str) -> None:
    rule = load_definitions()[id_].staging
    assert rule is not None
    stages = [points for item, _, points in rule.points if item == "stage"]
    assert [low for low, high, _ in rule.bands if low == high] == stages
    assert rule.met_from is None


def test_what_was_recalled_stays_marked() -> None:
    rule = load_definitions()["esm-souery"].staging
    assert rule is not None
    assert [name for _, _, name in rule.bands if "recalled, unverified" in name] != []
    shown = definition_text("fda-2018-draft")
    assert "min_failed_trials = 2  (recalled, unverified)" in shown


# --- the vocabulary, who set what, and the hash -----------------------------------------------------------


@each_entry
def test_each_entry_keeps_the_schema(id_: str) -> None:
    problems = [
        error.message for error in Draft202012Validator(definition_schema()).iter_errors(ENTRIES[id_])
    ]
    assert problems == []


def test_schema_and_loader_have_one_vocabulary() -> None:
    schema = definition_schema()
    Draft202012Validator.check_schema(schema)
    assert list(schema["$defs"]["parameters"]["properties"]) == list(PARAMETERS)
    assert schema["$defs"]["wordsByParameter"]["propertyNames"]["enum"] == list(PARAMETERS)


def test_every_key_of_the_schema_is_described() -> None:
    def properties(schema: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(schema, dict):
            described = schema.get("properties", {}).items() if "type" in schema else ()
            yield from described
            for below in schema.values():
                yield from properties(below)

    lacking = [
        name for name, shape in properties(definition_schema()) if not {"description", "$ref"} & shape.keys()
    ]
    assert lacking == []


@each_entry
def test_all_words_are_known(id_: str) -> None:
    if is_evaluable(ENTRIES[id_]):
        assert set(ENTRIES[id_]["params"]["exclusions"] or ()) <= exclusion_names()


@each_evaluated
def test_every_parameter_tells_who_set_it_and_why(id_: str) -> None:
    definition = load_definitions()[id_]
    names = [parameter.name for parameter in definition.parameters]
    assert len(names) == len(set(names))
    for parameter in definition.parameters:
        assert parameter.set_by in ("source", "project")
        assert parameter.value
        assert parameter.why, parameter.name
    filled = dict(definition.filled)
    shown = {p.name: p.value for p in definition.parameters if p.set_by == "project"}
    assert filled.items() <= shown.items()
    if definition.source_status != "project":
        assert filled == shown


def test_what_the_source_does_not_say_is_filled_by_the_project() -> None:
    seed = load_definitions()["seed-2026"]
    assert dict(seed.filled)["min_weeks"] == "6"
    assert "distinctness" not in dict(seed.filled)
    by_project = {p.name for p in load_definitions()[DEFAULT_ID].parameters if p.set_by == "source"}
    assert by_project == set()


def test_the_words_of_a_source_stand_beside_the_reading() -> None:
    (parameter,) = (p for p in load_definitions()["ema-2013"].parameters if p.name == "distinctness")
    assert (parameter.value, parameter.set_by) == ("agent", "source")
    assert parameter.why == (
        'the source says "agent (same or different class)"; taking it so is this project\'s reading'
    )
    (open_,) = (
        p
        for p in load_definitions()["ema-2013"].parameters
        if p.name == "nonresponse_if_improvement_below_pct"
    )
    assert (open_.value, open_.set_by) == ("50", "project")
    assert "lack of clinically meaningful improvement" in open_.why


PARTIAL = """
    nonresponse | partial | partial from | threshold | counts
    50          | true    | 25           | 50        | true
    50          | false   | 25           | 25        | false
    50          | false   | 30           | 30        | false
    20          | false   | 25           | 20        | false
    25          | open    | 25           | 25        | false
    26          | open    | 25           | 26        | true
    open        | open    | 25           | 50        | true
    open        | false   | 25           | 25        | false
"""


@pytest.mark.parametrize("row", rows(PARTIAL), ids=str)
def test_a_partial_response_that_is_no_failure_lowers_the_threshold(row: dict[str, str]) -> None:
    words = {"true": True, "false": False, "open": None}
    entry = {
        "id": "x",
        "version": "1",
        "name": "x",
        "source": "x",
        "params": {
            "min_failed_trials": 2,
            "nonresponse_if_improvement_below_pct": None
            if row["nonresponse"] == "open"
            else int(row["nonresponse"]),
            "partial_response_counts_as_failure": words[row["partial"]],
            "partial_response_from_percent": int(row["partial from"]),
        },
    }
    definition = read_definition(entry)
    assert definition.nonresponse_below_percent == int(row["threshold"])
    (shown,) = (p for p in definition.parameters if p.name == "partial_response_counts_as_failure")
    assert shown.value == row["counts"]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(below, (*path, key))
    else:
        yield path


@each_evaluated
def test_the_hash_changes_with_any_change_of_the_entry(id_: str) -> None:
    hashes = {load_definitions()[id_].content_hash}
    paths = [path for path in leaves(ENTRIES[id_]) if path[0] in ("version", "name", "source", "notes")]
    paths += [path for path in leaves(ENTRIES[id_]) if path[0] in ("source_words", "readings")]
    for path in paths:
        changed = copy.deepcopy(ENTRIES[id_])
        place: Any = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] += "x"
        hashes.add(read_definition(changed).content_hash)
    assert len(hashes) == len(paths) + 1


PARAMETER_CHANGES: dict[str, Any] = {
    key: 7 for key in PARAMETERS if PARAMETERS[key].accepts(7) and not PARAMETERS[key].accepts(True)
} | {"distinctness": "mechanism", "dose_column": "strict", "minimum_pdc": 0.5, "exclusions": ["bipolar"]} | {
    key: not TABLE["definitions"][0]["params"].get(key) for key in PARAMETERS if PARAMETERS[key].accepts(True)
} | {"episode_scope": "any"}  # fmt: skip


@pytest.mark.parametrize("key", PARAMETERS)
def test_the_hash_changes_with_any_parameter(key: str) -> None:
    entry = copy.deepcopy(ENTRIES[DEFAULT_ID])
    entry["params"][key] = PARAMETER_CHANGES[key]
    assert read_definition(entry).content_hash != load_definitions()[DEFAULT_ID].content_hash


@pytest.mark.parametrize(
    ("id_", "rule", "changes"),
    [
        ("seed-2026", "baseline_days_before", True),
        ("seed-2026", "suicidality_window_days", True),
        ("seed-2026", "max_gap_days", False),  # by its own project_fill
    ],
)
def test_the_hash_changes_with_the_reading_rules_that_are_used(id_: str, rule: str, changes: bool) -> None:
    table = copy.deepcopy(TABLE)
    table["reading_rules"][rule]["value"] += 1
    read = read_definition(ENTRIES[id_], table)
    assert (read.content_hash != load_definitions()[id_].content_hash) is changes


def test_the_hash_changes_with_what_an_exclusion_stands_for() -> None:
    table = copy.deepcopy(TABLE)
    table["reading_rules"]["exclusion_members"]["value"]["psychosis"] = ["psychotic_disorder"]
    changed = {
        id_
        for id_, definition in load_definitions().items()
        if read_definition(ENTRIES[id_], table).content_hash != definition.content_hash
    }
    assert changed == {"ohdsi-1009", "cepeda-2018"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_weeks", "six"),
        ("min_weeks", True),
        ("min_failed_trials", 0),
        ("distinctness", "drug"),
        ("exclusions", "bipolar"),
        ("minimum_pdc", 1.1),
        ("nonresponse_if_improvement_below_pct", 0),
        ("intolerance_stop_counts_as_failure", 1),
    ],
)
def test_a_wrong_value_in_the_table_names_entry_key_value_and_what_was_expected(key: str, value: Any) -> None:
    entry = copy.deepcopy(ENTRIES[DEFAULT_ID])
    entry["params"][key] = value
    with pytest.raises(TableError) as refused:
        read_definition(entry)
    assert f"{DEFAULT_ID}: {key}: expected {PARAMETERS[key].expected}, found {value!r}" in str(refused.value)


# --- what people read -------------------------------------------------------------------------------------


def test_the_list_has_all_and_tells_which_are_evaluated() -> None:
    lines = definitions_text().splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(ENTRIES)
    told = {line.split()[0]: line.split()[1] for line in lines}
    assert [id_ for id_, evaluated in told.items() if evaluated == "no"] == KEPT


@each_evaluated
def test_each_is_shown_with_version_hash_source_and_all_parameters(id_: str) -> None:
    definition, shown = load_definitions()[id_], " ".join(definition_text(id_).split())
    assert f"version: {definition.version}" in shown
    assert f"content hash: {definition.content_hash}" in shown
    assert " ".join(definition.source.split()) in shown
    for parameter in definition.parameters:
        assert f"{parameter.name} = " in shown


def test_the_page_of_the_definitions_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "definitions.md"
    assert page.read_text("utf-8") == definitions_markdown(), (
        "run: python -m cds_service.definitions_text > docs/definitions.md"
    )


@each_entry
def test_the_page_tells_source_status_and_what_is_open(id_: str) -> None:
    section = definitions_markdown().partition(f"\n## {id_}\n")[2].partition("\n## ")[0]
    entry = ENTRIES[id_]
    for told in (entry["source"], entry["source_status"], ", ".join(entry["unspecified_by_source"])):
        assert told.replace("<", "&lt;") in section
    if id_ in load_definitions():
        for name, value in load_definitions()[id_].filled:
            assert f"| `{name}` | {value} | project | " in section


def test_the_definitions_load_without_jsonschema() -> None:
    script = (
        "import sys; from cds_service.tables.definitions import load_definitions; load_definitions()\n"
        "print([name for name in ('jsonschema', 'pydantic', 'flask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("id_", "name", "value"),
    [
        ("kim-register", "exclusions", "none"),
        ("danish-2020", "exclusions", "none"),
        ("ohdsi-1009", "min_age_years", "any"),
        ("ohdsi-1009", "episode_scope", "any"),
    ],
)
def test_what_a_source_leaves_open_is_not_said_to_be_set_by_it(id_: str, name: str, value: str) -> None:
    definition = load_definitions()[id_]
    (found,) = (parameter for parameter in definition.parameters if parameter.name == name)
    assert (found.value, found.set_by) == (value, "project")
    assert (name, value) in definition.filled
