"""`assess --all-definitions`: the matrix for a terminal, its sentences, and the same as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cds_service.agreement_text import WIDTH, agreement_text
from cds_service.report import all_definitions_json
from cds_service.respond import assess_collected
from cds_service.tables.definitions import load_definitions
from cds_service.text_report import assessment_text
from cds_service.trd.agreement import explain_difference
from cds_service.trd.model import Assessment, OtherView, Verdict
from fhir_fixtures import vignettes
from tests.spec.assessments import ON as TODAY
from tests.spec.assessments import an_assessment
from tests.spec.test_agreement import CHOSEN, collected, judged, treated, with_adequate_doses
from tests.spec.test_treatments import KIM, OHDSI, person
from tests.unit.test_cli import ON, SCHEMA, trd_cds

DAYS = "drug | first_day | last_day\n sertraline | 2025-09-01 | 2025-11-30\n"


@pytest.fixture
def same_class_switch(tmp_path: Path) -> str:
    file = tmp_path / "v04.json"
    file.write_text(json.dumps(vignettes([4])[0].bundle))
    return str(file)


def seen_by(table: str, *others: object, values: tuple[float, ...] = ()) -> Assessment:
    """An assessment by the default rule of the specs, beside the other definitions."""
    who = with_adequate_doses(treated(table, *values))
    chosen = judged(who, CHOSEN)
    views = [judged(who, other) for other in others]  # type: ignore[arg-type]
    return an_assessment(
        chosen.verdict,
        (chosen.failed_at_least, chosen.failed_at_most),
        definition=CHOSEN,
        reasons=chosen.reasons,
        trials=chosen.trials,
        other_views=tuple(OtherView(view, explain_difference(chosen, view)) for view in views),
    )


def test_the_matrix_and_why_some_differ(same_class_switch: str) -> None:
    printed, errors = trd_cds("assess", same_class_switch, *ON, "--all-definitions")
    lines = printed.splitlines()
    known = len(load_definitions()) - 1
    rows = [line.split()[0] for line in lines if line.startswith("  ") and "met" in line.lower()]
    assert errors == ""
    assert rows[0] == "default-configurable"
    assert {"seed-2026", "eu-pearl-2022"} <= set(rows)
    assert any(line.endswith(f" of {known} other definitions agree") for line in lines)
    assert "not met under eu-pearl-2022: both failed trials are SSRIs" in lines
    assert max(map(len, lines)) <= WIDTH


def test_the_other_definitions_in_the_plain_text(same_class_switch: str) -> None:
    printed, _ = trd_cds("assess", same_class_switch, *ON)
    assert "other definitions agree: " in printed
    assert "    not met under seed-2026: both failed trials are SSRIs" in printed.splitlines()


def test_json_keeps_the_schema_and_the_chosen_one_is_first(same_class_switch: str) -> None:
    arguments = ("assess", same_class_switch, *ON, "--format", "json")
    plain = json.loads(trd_cds(*arguments)[0])
    assessment = json.loads(trd_cds(*arguments, "--all-definitions")[0])
    assert not list(Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(assessment))
    shown = assessment.pop("allDefinitions")
    assert assessment == plain
    first, *others = shown
    assert first["id"] == "default-configurable"
    assert first["difference"] == ""
    assert first["reasons"] == plain["reasons"]
    assert first["failedTrials"] == plain["failedTrials"]
    assert {view["id"]: view["verdict"] for view in others} == plain["otherDefinitions"]
    assert {view["id"]: view["difference"] for view in others if view["difference"]} == plain["differences"]


def test_not_with_cards(same_class_switch: str) -> None:
    arguments = ("assess", same_class_switch, *ON, "--format", "cards", "--all-definitions")
    printed, errors = trd_cds(*arguments, status=2)
    assert (printed, errors.count("\n")) == ("", 1)
    assert "--all-definitions" in errors


def test_what_each_counts() -> None:
    two = DAYS + " venlafaxine | 2025-12-01 | 2026-02-28\n"
    text = agreement_text(seen_by(two, KIM, OHDSI, values=(19, 19)))
    assert text.splitlines()[2:] == [
        "  definition            verdict        counted                      diagnosis  no exclusion  age",
        "  chosen                MET            met: 2 of 2 trials           met        met           met",
        "  kim-register          NOT MET        not met: 2 of 3 treatments   met        met           met",
        "  ohdsi-1009            NOT MET        not met: 2 of 3 treatments   met        met           met",
        "",
        "0 of 2 other definitions agree",
        "not met under kim-register: counts drugs, not their effect: 2 treatments of at least 28 days in the",
        "  730 days to 2026-06-30, 3 needed",
        "not met under ohdsi-1009: counts drugs, not their effect: 2 antidepressants in 365 days up to a",
        "  start, 3 needed",
    ]


def test_a_range_and_an_add_on() -> None:
    who = person(DAYS + " aripiprazole | 2026-03-01 | 2026-03-02\n")
    add_on = judged(who, OHDSI)
    text = agreement_text(
        replace(seen_by(DAYS), other_views=(OtherView(add_on), OtherView(judged(who, KIM))))
    )
    assert "unknown: 0-1" not in text  # one trial cannot be two
    assert "  chosen                NOT MET        not met: 0-1 of 2 trials" in text
    assert "  ohdsi-1009            MET            met: with an add-on " in text


def test_one_other_definition_and_none() -> None:
    assert "1 of 1 other definition agrees" in agreement_text(seen_by(DAYS, OHDSI))
    assert "0 of 0 other definitions agree" in agreement_text(an_assessment())
    assert "Other definitions" not in assessment_text(an_assessment())


def test_a_long_id_has_a_line_of_its_own() -> None:
    long_id = "a-definition-of-our-own-site"
    lines = agreement_text(seen_by(DAYS, replace(KIM, id=long_id))).splitlines()
    at = lines.index(f"  {long_id}")
    assert lines[at + 1].startswith(" " * 24 + "NOT MET")


@pytest.mark.parametrize("number", range(1, 25))
def test_no_line_is_wider_than_a_terminal(number: int) -> None:
    (vignette,) = vignettes([number])
    for definition_id in load_definitions():
        text = agreement_text(assess_collected(collected(vignette), definition_id, TODAY))
        assert max(map(len, text.splitlines())) <= WIDTH


def test_json_of_counts_that_are_whole() -> None:
    first, other = all_definitions_json(seen_by(DAYS, KIM))
    assert first["failedTrials"] == {"atLeast": 0, "atMost": 1, "needed": 2}
    assert other["failedTrials"] == {"atLeast": 1, "atMost": 1, "needed": 3}
    assert other["verdict"] == Verdict.NOT_MET.value
