"""The forms of the report: what is in them, what never is, and what the schema says."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cds_service.doctor.rendering import render
from cds_service.doctor.results import Coding, Report
from cds_service.needs import NEEDS
from fhir_fixtures import vignettes
from tests.contract.stub_server import Reply, StubServer
from tests.doctor.servers import fixture_server, refusing, report_on, report_on_changed

SCHEMA = json.loads(files("cds_service").joinpath("schemas/doctor-report.json").read_text("utf-8"))
ALL = tuple(vignette.id for vignette in vignettes())


@pytest.fixture(scope="module")
def of_all() -> Report:
    with fixture_server(only=ALL) as url:
        return report_on(url, sample=100)


@pytest.fixture(scope="module")
def of_a_poor_server() -> Report:
    with StubServer(lambda _: Reply(b"<html>", 200, {"Content-Type": "text/html"})) as server:
        return report_on(server.base_url)


def test_json_is_what_its_schema_says(of_all: Report, of_a_poor_server: Report) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for report in (of_all, of_a_poor_server, report_on_changed(refusing("Procedure"))):
        Draft202012Validator(SCHEMA).validate(json.loads(render(report, "json")))


def test_json_of_all_fixture_patients(of_all: Report) -> None:
    shown = json.loads(render(of_all, "json"))
    assert shown["canWork"] and shown["whyNot"] == []
    verdicts = {row["what"]: row["patients"] for row in shown["patients"]["verdicts"]}
    assert verdicts == {"met": 12, "not-met": 9, "indeterminate": 2, "excluded": 1}
    assert (shown["patients"]["read"], shown["patients"]["judged"]) == (24, 22)
    (ordered,) = shown["antidepressants"]
    assert (ordered["records"], ordered["drugKnown"], ordered["doseKnown"]) == (51, 51, 50)
    assert ordered["example"] == "Patient/trd-v19"  # the order without a dose
    names = {row.get("name") for row in shown["codings"]["drugs"]}
    assert {"RxNorm", "ATC", "SNOMED CT", "dm+d"} <= names
    assert [row["what"] for row in shown["scales"]] == ["PHQ-9"]


def test_what_is_missing_most_has_an_example_and_a_remedy(of_all: Report) -> None:
    missing = {row["what"]: row for row in json.loads(render(of_all, "json"))["missing"]}
    assert missing["dose"]["example"] == "Patient/trd-v19" and "doseAndRate" in missing["dose"]["toDo"]
    assert missing["depression score late in a trial"]["example"] == "Patient/trd-v16"
    assert "something else" not in missing


def test_the_prefetch_template_is_the_one_of_discovery(of_all: Report) -> None:
    shown = json.loads(render(of_all, "json"))
    assert shown["prefetch"] == {need.key: need.template for need in NEEDS}
    assert {f"patient/{need.resource_type}.rs" for need in NEEDS if need.is_required} | {
        "patient/Medication.rs"
    } == set(shown["scopes"]["required"])
    text = render(of_all, "text")
    start = text.index("{\n", text.index("Prefetch template"))
    copied = json.loads(text[start : text.index("\n\n", start)])
    assert copied == {"prefetch": shown["prefetch"]}


def patient_data() -> set[str]:
    """Names, birth dates, ids of records, drugs and days of the fixture patients."""
    found: set[str] = set()
    for vignette in vignettes():
        for entry in vignette.bundle["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "Patient":
                found |= {name["family"] for name in resource.get("name", []) if "family" in name}
                found |= {resource["birthDate"]} if "birthDate" in resource else set()
            else:
                found |= {resource["id"]} | set(_days_in(resource))
    return found | {"sertraline", "citalopram", "venlafaxine", "mirtazapine"}


def _days_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [day for item in value.values() for day in _days_in(item)]
    if isinstance(value, list):
        return [day for item in value for day in _days_in(item)]
    is_day = isinstance(value, str) and len(value) >= 10 and value[:4].isdigit() and value[4] == "-"
    return [value[:10]] if is_day else []


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_of_patients_only_ids_are_shown(of_all: Report, form: str) -> None:
    shown = render(of_all, form).replace(of_all.on.isoformat(), "")
    assert "Patient/trd-v19" in shown
    assert [word for word in sorted(patient_data()) if word in shown] == []


def test_html_stands_alone_and_shows_markup_as_text(of_all: Report, of_a_poor_server: Report) -> None:
    page = render(replace(of_all, software="<b>Fine</b>"), "html")
    assert "&lt;b&gt;Fine" in page and "<b>" not in page
    for shown in (page, render(of_a_poor_server, "html")):
        assert "<script" not in shown and "src=" not in shown and 'href="' not in shown
    assert "the service can work" in page and "cannot work" in render(of_a_poor_server, "html")


def test_html_is_readable_on_a_phone(of_all: Report) -> None:
    """Without a row of headings each number tells what it is of."""
    page = render(of_all, "html")
    assert "@media screen and (max-width" in page and 'name="viewport"' in page
    assert '<td class="number">' not in page and 'data-label="Patients"' in page


def test_no_antidepressant_on_record_is_told(of_all: Report, of_a_poor_server: Report) -> None:
    without = replace(of_all, readiness=replace(of_all.readiness, drug_records=()))
    for form in ("text", "html"):
        assert "name patients who" in " ".join(render(without, form).split())
        assert "name patients who" not in " ".join(render(of_all, form).split())
        assert "name patients who" not in " ".join(render(of_a_poor_server, form).split())


def test_text_leaves_out_what_there_is_nothing_of(of_a_poor_server: Report) -> None:
    text = render(of_a_poor_server, "text")
    assert text.splitlines()[0].endswith("the service cannot work with this server")
    assert "no patient was found to try with" in text
    assert "Codes of drugs" not in text and "Depression scales" not in text


def test_text_tells_how_many_rows_it_leaves_out(of_all: Report) -> None:
    many = tuple(Coding(f"urn:x:{number}", "", 1, 1, "p") for number in range(30))
    text = render(replace(of_all, readiness=replace(of_all.readiness, drug_codings=many)), "text")
    assert "urn:x:24:" in text and "urn:x:25:" not in text and "and 5 more" in text


def test_no_line_of_text_is_too_long(of_all: Report, of_a_poor_server: Report) -> None:
    for report in (of_all, of_a_poor_server):
        assert [line for line in render(report, "text").splitlines() if len(line) > 110] == []
