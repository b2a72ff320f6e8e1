"""A site writes its own definition: it is checked, named in full when wrong, and assessed beside ours."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.app import create_app
from cds_service.errors import InputError, SettingsError
from cds_service.report import EXTENSION_KEY
from cds_service.settings import Settings
from cds_service.tables.definitions import (
    definition_entries,
    is_evaluable,
    load_definitions,
    read_definition,
)
from cds_service.tables.site_definitions import check_files, read_directory
from cds_service.trd.parameters import Distinctness, Rule
from fhir_fixtures import vignettes
from tests.conftest import ON
from tests.unit.test_cli import trd_cds

MINIMAL: dict[str, Any] = {
    "id": "st-elsewhere",
    "version": "3",
    "name": "St Elsewhere, three trials",
    "source": "local guideline, 2026",
    "params": {"min_failed_trials": 3},
}
TREATMENTS = {"needed": 2, "minimum_days": 28, "window_days": 365, "window_end": "today"}


def write(folder: Path, content: object, name: str = "site.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def entry(**changes: Any) -> dict[str, Any]:
    return MINIMAL | changes


def params(**changes: Any) -> dict[str, Any]:
    return entry(params=MINIMAL["params"] | changes)


def problems_of(folder: Path, content: object) -> list[str]:
    path = write(folder, content)
    return [str(problem).removeprefix(f"{path}: ") for problem in check_files([path])[1]]


# --- what is sound ----------------------------------------------------------------------------------------


def test_the_least_that_a_site_must_write(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    definition = load_definitions(tmp_path)["st-elsewhere"]
    assert (definition.needed_failed_trials, definition.version, definition.rule) == (
        3,
        "3",
        Rule.FAILED_TRIALS,
    )
    assert definition.minimum_days == 42
    assert ("min_weeks", "6") in definition.filled
    assert len(definition.content_hash) == 16


EVERYTHING = {
    "min_failed_trials": 3,
    "distinctness": "mechanism",
    "min_weeks": 8,
    "dose_column": "strict",
    "nonresponse_if_improvement_below_pct": 40,
    "intolerance_stop_counts_as_failure": True,
    "max_gap_days": 7,
    "lookback_days": 1095,
    "exclusions": ["bipolar", "psychotic", "substance_use"],
    "min_age_years": 0,
    "minimum_pdc": 0.9,
    "response_from_percent": 45,
    "partial_response_from_percent": 20,
    "partial_response_counts_as_failure": True,
    "augmentation_counts_as_trial": True,
    "combination_counts_as_trial": True,
    "psychotherapy_counts_as_trial": True,
    "ect_or_tms_counts_as_trial": True,
    "cross_taper_days": 14,
    "episode_scope": "any",
    "remission_confirmed_days": 90,
    "baseline_days_before": 30,
    "baseline_days_after": 3,
    "last_score_from_day": 21,
    "last_score_days_after": 10,
    "suicidality_window_days": 180,
    "suicidality_acute_days": 30,
}


def test_a_site_may_set_everything(tmp_path: Path) -> None:
    write(tmp_path, entry(params=EVERYTHING))
    definition = load_definitions(tmp_path)["st-elsewhere"]
    assert definition.filled == ()
    assert definition.distinctness is Distinctness.MECHANISM
    assert definition.trial_rules == (56, "strict", 7, 40, 45, 20, True, 30, 3, 21, 10, 0.9, *[True] * 4, 14)
    assert definition.exclusions == (
        "bipolar",
        "psychotic_disorder",
        "peripartum_psychosis",
        "psychotic_depression",
        "substance_use",
    )
    assert set(definition.passing_exclusions) == {"psychotic_depression", "substance_use"}
    assert definition.minimum_age_years is None
    assert not definition.is_current_episode_only


def test_each_of_ours_is_a_sound_file_under_another_id(tmp_path: Path) -> None:
    ours = [entry | {"id": f"copy-of-{id_}"} for id_, entry in definition_entries().items()]
    path = write(tmp_path, ours)
    found, problems = check_files([path])
    assert [str(problem) for problem in problems] == []
    assert len(found) == 28


def test_a_file_may_hold_a_list_and_a_directory_several_files(tmp_path: Path) -> None:
    write(tmp_path, [entry(id="b"), entry(id="a")], "1.json")
    write(tmp_path, entry(id="c"), "2.json")
    write(tmp_path, "no JSON", "._3.json")
    write(tmp_path, "no JSON", "README.md")
    assert list(read_directory(tmp_path)) == ["b", "a", "c"]
    assert list(load_definitions(tmp_path)) == [*load_definitions(), "b", "a", "c"]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "\ufeff" + json.dumps(MINIMAL)) == []


# --- each kind of mistake ---------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[object, str]] = {
    "a key that is lacking": (
        {key: value for key, value in MINIMAL.items() if key != "version"},
        "$.version: expected this key (Travels with each answer), found nothing",
    ),
    "a key that is unknown": (
        params(min_week=6),
        '$.params.min_week: expected a known key, perhaps min_weeks, found the key "min_week"',
    ),
    "a key that is like no other": (entry(zzz=1), "$.zzz: expected one of the keys id, version, "),
    "words of an unknown parameter": (
        entry(source_words={"min_week": "six"}),
        '$.source_words.min_week: expected a known key, perhaps min_weeks, found the key "min_week"',
    ),
    "a wrong type": (
        params(min_weeks="six"),
        '$.params.min_weeks: expected a whole number or null, found "six"',
    ),
    "a fraction": (params(min_weeks=6.5), "$.params.min_weeks: expected a whole number or null, found 6.5"),
    "a float": (params(min_weeks=6.0), "$.params.min_weeks: expected a whole number or null, found 6.0"),
    "a word of no list": (
        params(distinctness="drug"),
        '$.params.distinctness: expected one of "agent", "class", "mechanism", null, found "drug"',
    ),
    "too little": (params(lookback_days=0), "$.params.lookback_days: expected 1 or more, found 0"),
    "too much": (params(minimum_pdc=80), "$.params.minimum_pdc: expected 1 or less, found 80"),
    "nothing at all": (
        params(nonresponse_if_improvement_below_pct=0),
        "$.params.nonresponse_if_improvement_below_pct: expected more than 0, found 0",
    ),
    "an id of another alphabet": (
        entry(id="St Elsewhere"),
        '$.id: expected up to 64 lower-case letters, digits, dots and hyphens, found "St Elsewhere"',
    ),
    "an empty text": (entry(source=""), '$.source: expected a text that is not empty, found ""'),
    "a version that is a number": (entry(version=3), "$.version: expected a text, found 3"),
    "a category that no table has": (
        params(exclusions=["bipolar", "bad_luck"]),
        "$.params.exclusions[1]: expected one of ",
    ),
    "a diagnosis twice": (
        params(exclusions=["bipolar", "bipolar"]),
        '$.params.exclusions: expected each item once, found ["bipolar", "bipolar"]',
    ),
    "no number of trials": (
        entry(params={}),
        "$.params.min_failed_trials: expected this key, found nothing",
    ),
    "an open number of trials": (
        entry(params={"min_failed_trials": None}),
        "$.params.min_failed_trials: expected a whole number, found null",
    ),
    "not evaluated, without a reason": (
        entry(evaluable_from_record=False),
        "$.not_evaluable_because: expected this key (Why it cannot be, for people who ask), found nothing",
    ),
    "treatments that are not told": (
        entry(rule="treatments"),
        "$.treatments: expected this key, found nothing",
    ),
    "a score without points": (entry(rule="score"), "$.staging: expected this key, found nothing"),
    "partial response above response": (
        params(response_from_percent=50, partial_response_from_percent=51),
        "$.params.partial_response_from_percent: expected at most response_from_percent, 50, found 51",
    ),
    "partial response above what is filled": (
        params(partial_response_from_percent=51, partial_response_counts_as_failure=True),
        "$.params.partial_response_from_percent: expected at most response_from_percent, 50, found 51",
    ),
    "a threshold above response": (
        params(nonresponse_if_improvement_below_pct=51),
        "$.params.nonresponse_if_improvement_below_pct: expected at most response_from_percent, 50, found 51",
    ),
    "partial response that is and is no failure": (
        params(nonresponse_if_improvement_below_pct=25, partial_response_counts_as_failure=True),
        "$.params.partial_response_counts_as_failure: expected false: 25 % and more is no failure, "
        "and partial response begins at 25 %, found true",
    ),
    "a lookback shorter than a trial": (
        params(lookback_days=41),
        "$.params.lookback_days: expected at least the length of one trial, 42 days, found 41",
    ),
    "an acute window longer than the window": (
        params(suicidality_acute_days=366),
        "$.params.suicidality_acute_days: expected at most suicidality_window_days, 365, found 366",
    ),
    "what is filled contradicts": (
        params(response_from_percent=40),
        "$.params.nonresponse_if_improvement_below_pct: expected at most response_from_percent, 40, "
        "found nothing, and what is filled does not fit",
    ),
    "a fill of the site contradicts": (
        entry(project_fill={"lookback_days": 41}),
        "$.project_fill.lookback_days: expected at least the length of one trial, 42 days, found 41",
    ),
    "an add-on that no table has": (
        entry(rule="treatments", treatments=TREATMENTS | {"add_ons": ["lithium", "gold"]}),
        "$.treatments.add_ons[1]: expected an agent or a class of augmentation.csv: ",
    ),
    "a window shorter than a treatment": (
        entry(rule="treatments", treatments=TREATMENTS | {"window_days": 27}),
        "$.treatments.window_days: expected at least minimum_days, 28, found 27",
    ),
    "a level of no staging method": (
        entry(
            rule="score",
            staging={
                "method": "mgh-s",
                "met_from": 4,
                "points": [{"item": "ect", "level": "perhaps", "points": 3}],
            },
        ),
        '$.staging.points[0]: expected an item and level of mgh-s, once, found "ect: perhaps"',
    ),
    "an item left out": (
        entry(
            rule="score",
            staging={
                "method": "mgh-s",
                "met_from": 4,
                "points": [{"item": "ect", "level": "used", "points": 3}],
            },
        ),
        '$.staging.points: expected all items and levels of mgh-s, found "no augmentation: per augmentation"',
    ),
    "a band that ends before it begins": (
        entry(
            staging=definition_entries()["msm"]["staging"] | {"bands": [{"from": 6, "to": 3, "name": "mild"}]}
        ),
        "$.staging.bands[0].to: expected 6 or more, found 3",
    ),
    "no definition": ([], "$: expected at least one definition, found an empty list"),
    "no object": ("7", "$: expected an object, found 7"),
    "no object in a list": ([MINIMAL, "x"], '$[1]: expected an object, found "x"'),
    "the second of a list": (
        [MINIMAL, params(min_weeks=-1) | {"id": "b"}],
        "$[1].params.min_weeks: expected 0 or more, found -1",
    ),
    "the same id twice in a file": (
        [MINIMAL, MINIMAL],
        "$[1].id: expected an id that no other definition has: this one is taken by ",
    ),
    "an id of ours": (
        entry(id="eu-pearl-2022"),
        "$.id: expected an id that no other definition has: this one is taken by the definitions of trd-cds, "
        'found "eu-pearl-2022"',
    ),
    "an id of ours that is not evaluated": (
        entry(id="nice-ng222"),
        "$.id: expected an id that no other definition has: this one is taken by the definitions of trd-cds",
    ),
    "no JSON": ('{\n "id": }', "line 2, column 8: expected JSON, found Expecting value at "),
    "an empty file": ("", "line 1, column 1: expected JSON, found Expecting value at the end"),
    "a number that is none": ('{"id": NaN}', "$: expected JSON, found NaN, which is no JSON number"),
    "half a character": (
        json.dumps(entry(name="\ud800")),
        "$: expected text of whole characters, found half of a surrogate pair",
    ),
    "points without end": (
        json.dumps(entry(staging=definition_entries()["msm"]["staging"])).replace(
            '"met_from": 5', '"met_from": 1e999'
        ),
        "$.staging.met_from: expected 1000 or less, found Infinity",
    ),
    "too deep": ("[" * 100_000, "$: expected JSON of reasonable depth, found too many nested levels"),
    "a key twice": (
        json.dumps(MINIMAL)[:-1] + ', "version": "4"}',
        "$.version: expected each key once, found it twice or more",
    ),
    "a key twice further in": (
        json.dumps(MINIMAL).replace('{"min_failed_trials": 3}', '{"min_weeks": 6, "min_weeks": 4}'),
        "$.params.min_weeks: expected each key once, found it twice or more",
    ),
}


@pytest.mark.parametrize("content, expected", MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_named_by_key_value_and_what_was_expected(
    tmp_path: Path, content: object, expected: str
) -> None:
    problems = problems_of(tmp_path, content)
    assert [problem for problem in problems if problem.startswith(expected)] != [], problems


@pytest.mark.parametrize(
    ("nonresponse", "partial_from", "lookback", "acute"),
    [(50, 25, 730, 14), (50, 50, 42, 365), (25, 24, 42, 365)],
)
def test_what_lies_on_the_edge_is_sound(
    tmp_path: Path, nonresponse: int, partial_from: int, lookback: int, acute: int
) -> None:
    content = params(
        nonresponse_if_improvement_below_pct=nonresponse,
        partial_response_from_percent=partial_from,
        lookback_days=lookback,
        suicidality_acute_days=acute,
    )
    assert problems_of(tmp_path, content) == []


def test_every_mistake_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, params(min_weeks="six", dose_column="low", zzz=1) | {"name": 5})
    assert len(problems) == 4


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"id": "\xe9"}')
    assert [str(p) for p in check_files([path])[1]] == [f"{path}: byte 8: expected UTF-8, found other bytes"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    (problem,) = check_files([path])[1]
    assert str(problem) == f"{path}: file: expected a file that can be read, found No such file or directory"


def test_ids_that_two_files_share_name_both(tmp_path: Path) -> None:
    first, second = write(tmp_path, MINIMAL, "1.json"), write(tmp_path, MINIMAL, "2.json")
    with pytest.raises(InputError) as refused:
        load_definitions(tmp_path)
    assert str(first) in str(refused.value)
    assert str(second) in str(refused.value)
    assert '"st-elsewhere"' in str(refused.value)


def test_what_is_no_file_is_named_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    os.mkfifo(tmp_path / "b.json")  # opened, it would be waited for without end
    (tmp_path / "c.json").symlink_to("/dev/zero")
    (tmp_path / "d.json").symlink_to(tmp_path / "gone")
    (tmp_path / "e.json").symlink_to(write(tmp_path, MINIMAL, "elsewhere"))
    with pytest.raises(InputError) as raised:
        read_directory(tmp_path)
    named = [problem.removeprefix(f"{tmp_path}/") for problem in str(raised.value).split("; ")]
    assert named == [
        "d.json: file: expected a file that can be read, found No such file or directory",
        *(f"{letter}.json: file: expected a file, found something else" for letter in "abc"),
    ]


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "e.json").symlink_to(write(tmp_path, MINIMAL, "elsewhere"))
    assert list(read_directory(tmp_path)) == [MINIMAL["id"]]


@pytest.mark.parametrize("has_directory", [True, False])
def test_a_directory_without_definitions_is_refused(tmp_path: Path, has_directory: bool) -> None:
    folder = tmp_path if has_directory else tmp_path / "none"
    with pytest.raises(
        InputError, match="expected at least one" if has_directory else "expected a directory"
    ):
        read_directory(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=5), below, max_size=2),
    max_leaves=3,
)


@given(st.data())
def test_whatever_a_file_holds_is_sound_or_named(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    ours = json.loads(json.dumps(data.draw(st.sampled_from(list(definition_entries().values())))))
    ours["id"] = "site"
    for _ in range(data.draw(st.integers(1, 4))):
        place: Any = ours
        while isinstance(place, dict | list) and place:
            key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if data.draw(st.booleans()) or not isinstance(place[key], dict | list):
                place[key] = data.draw(JSON)
                break
            place = place[key]
    path = write(tmp_path_factory.mktemp("any"), ours)
    entries, problems = check_files([path])
    assert bool(entries) is not bool(problems)
    for sound in entries.values():
        if is_evaluable(sound):
            read_definition(sound)


# --- the commands -----------------------------------------------------------------------------------------


def test_check_says_what_is_sound_and_what_is_filled(tmp_path: Path) -> None:
    path = write(tmp_path, [MINIMAL, entry(id="b", evaluable_from_record=False, not_evaluable_because="why")])
    printed, errors = trd_cds("definitions", "check", str(path))
    assert errors == ""
    content_hash = load_definitions(tmp_path)["st-elsewhere"].content_hash
    assert printed.startswith(f"st-elsewhere, version 3, hash {content_hash}: sound; 26 open parameters")
    assert "b, version 3: kept, not evaluated" in printed


def test_check_names_every_mistake_with_status_3(tmp_path: Path) -> None:
    path = write(tmp_path, params(min_weeks="six", zzz=1))
    printed, errors = trd_cds("definitions", "check", str(path), status=3)
    assert printed == ""
    assert f'trd-cds: {path}: $.params.min_weeks: expected a whole number or null, found "six"\n' in errors
    assert errors.count("\n") == 2
    assert "Traceback" not in errors


def test_check_without_a_file_is_wrong_usage() -> None:
    assert trd_cds("definitions", "check", status=2)[1].startswith("trd-cds: ")


def test_list_and_show_know_the_definitions_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, MINIMAL)
    assert "st-elsewhere" in trd_cds("definitions", "list", "--definitions-dir", str(tmp_path))[0]
    shown = trd_cds("definitions", "show", "st-elsewhere", "--definitions-dir", str(tmp_path))[0]
    assert "min_failed_trials = 3" in shown.partition("parameters filled by this project:")[0]
    monkeypatch.setenv("TRD_CDS_DEFINITIONS_DIR", str(tmp_path))
    assert "st-elsewhere" in trd_cds("definitions")[0]
    assert "st-elsewhere" in trd_cds("definitions", "list")[0]


def test_assess_decides_by_the_definition_of_the_site(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    bundle = tmp_path / "patient" / "bundle.json"
    bundle.parent.mkdir()
    bundle.write_text(json.dumps(vignettes([1])[0].bundle))
    options = ("--on", ON.isoformat(), "--format", "json", "--definitions-dir", str(tmp_path))
    by_site = json.loads(trd_cds("assess", str(bundle), "--definition", "st-elsewhere", *options)[0])
    assert by_site["verdict"] == "not-met"
    assert by_site["failedTrials"] == {"atLeast": 2, "atMost": 2, "needed": 3}
    content_hash = load_definitions(tmp_path)["st-elsewhere"].content_hash
    assert by_site["definition"] == {
        "id": "st-elsewhere",
        "version": "3",
        "title": "St Elsewhere, three trials",
        "contentHash": content_hash,
    }
    by_ours = json.loads(trd_cds("assess", str(bundle), *options)[0])
    assert by_ours["verdict"] == "met"
    assert by_ours["otherDefinitions"]["st-elsewhere"] == "not-met"


def test_assess_refuses_what_cannot_be_evaluated_and_what_is_wrong(tmp_path: Path) -> None:
    errors = trd_cds("assess", "x.json", "--definition", "nice-ng222", status=2)[1]
    assert "'nice-ng222' cannot be evaluated; trd-cds definitions show nice-ng222 tells why" in errors
    path = write(tmp_path, params(min_weeks="six"))
    errors = trd_cds("assess", "x.json", "--definitions-dir", str(tmp_path), status=3)[1]
    assert errors.startswith(f"trd-cds: {path}: $.params.min_weeks: expected ")
    assert errors.count("\n") == 1


# --- the service ------------------------------------------------------------------------------------------


def test_the_service_decides_by_the_definition_of_the_site(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    settings = Settings(definitions_dir=tmp_path, definition="st-elsewhere")
    reply = fire(settings)
    assert reply["definition"]["id"] == "st-elsewhere"
    assert reply["definition"]["contentHash"]
    assert reply["verdict"] == "not-met"
    beside = fire(Settings(definitions_dir=tmp_path))
    assert beside["otherDefinitions"]["st-elsewhere"] == "not-met"
    assert "st-elsewhere" not in fire(Settings())["otherDefinitions"]


def fire(settings: Settings) -> dict[str, Any]:
    vignette = vignettes([1])[0]
    resources = [row["resource"] for row in vignette.bundle["entry"]]

    def searchset(*types: str) -> dict[str, Any]:
        found = [{"resource": resource} for resource in resources if resource["resourceType"] in types]
        return {"resourceType": "Bundle", "type": "searchset", "entry": found}

    hook = {
        "hook": "patient-view",
        "hookInstance": "5ae8de65-3a2c-4a1f-9d0a-0f8b6e6c1f11",
        "context": {"userId": "Practitioner/1", "patientId": vignette.patient_id},
        "prefetch": {
            "patient": next(r for r in resources if r["resourceType"] == "Patient"),
            "medications": searchset("MedicationRequest", "Medication"),
            "observations": searchset("Observation"),
            "conditions": searchset("Condition"),
        },
    }
    client = create_app(settings, today=lambda: ON).test_client()
    answer: dict[str, Any] = client.post("/cds-services/trd-patient-view", json=hook).get_json()
    found: dict[str, Any] = answer["extension"][EXTENSION_KEY]
    return found


def test_any_definition_that_can_be_evaluated_may_decide() -> None:
    for id_ in ("kim-register", "msm", "thase-rush"):
        assert fire(Settings(definition=id_))["definition"]["id"] == id_


@pytest.mark.parametrize("definition", ["nice-ng222", "no-such"])
def test_another_name_stops_the_start_with_what_is_known(tmp_path: Path, definition: str) -> None:
    write(tmp_path, MINIMAL)
    with pytest.raises(SettingsError) as refused:
        create_app(Settings(definition=definition, definitions_dir=tmp_path))
    for words in ("TRD_CDS_DEFINITION", f"got '{definition}'", "eu-pearl-2022", "st-elsewhere"):
        assert words in str(refused.value)


def test_a_wrong_definition_of_the_site_stops_the_start(tmp_path: Path) -> None:
    path = write(tmp_path, params(min_weeks="six"))
    with pytest.raises(SettingsError) as refused:
        create_app(Settings(definitions_dir=tmp_path))
    for words in ("TRD_CDS_DEFINITIONS_DIR", str(path), "$.params.min_weeks", '"six"', "a whole number"):
        assert words in str(refused.value)


def test_the_schema_is_served() -> None:
    client = create_app(Settings()).test_client()
    assert "/schemas/definition.json" in client.get("/schemas/").get_json()["schemas"]
    assert client.get("/schemas/definition.json").get_json()["$id"] == "urn:trd-cds:schema:definition"
