"""The command line as a user meets it: output formats, one-line errors, exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cds_service import __version__
from fhir_fixtures import vignettes
from fhir_fixtures.server import EmbeddedServer

SCHEMA = Path(__file__).resolve().parents[2] / "cds_service" / "schemas" / "assessment.json"
ON = ("--on", "2026-06-30")


def trd_cds(*arguments: str, stdin: str = "", status: int = 0) -> tuple[str, str]:
    """What the command printed on standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "cds_service", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(vignettes([1])[0].bundle))
    return str(file)


def test_help_and_version() -> None:
    assert "assess" in trd_cds("--help")[0]
    assert __version__ in trd_cds("--version")[0]


def test_text(bundle: str) -> None:
    printed, errors = trd_cds("assess", bundle, *ON)
    assert "MET: adequate-trial criteria for treatment-resistant depression are met" in printed
    assert "sertraline, 85 adequate days 2025-09-01 to 2025-11-24: a failed trial" in printed
    assert errors == ""


def test_json_keeps_the_schema(bundle: str) -> None:
    assessment = json.loads(trd_cds("assess", bundle, *ON, "--format", "json")[0])
    assert not list(Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(assessment))
    assert (assessment["patient"], assessment["verdict"]) == ("Patient/trd-v01", "met")


def test_cards(bundle: str) -> None:
    (card,) = json.loads(trd_cds("assess", bundle, *ON, "--format", "cards")[0])["cards"]
    assert card["indicator"] == "warning"


def test_another_definition(tmp_path: Path) -> None:
    file = tmp_path / "v10.json"
    file.write_text(json.dumps(vignettes([10])[0].bundle))
    arguments = ("assess", str(file), *ON, "--definition", "eu-pearl-2022", "--format", "json")
    assert json.loads(trd_cds(*arguments)[0])["verdict"] == "not-met"


def test_several_patients_are_a_line_each_also_from_standard_input() -> None:
    lines = "\n".join(json.dumps(vignette.bundle) for vignette in vignettes([1, 2, 16]))
    printed, _ = trd_cds("assess", "-", *ON, "--format", "json", stdin=lines)
    assert [json.loads(line)["verdict"] for line in printed.splitlines()] == [
        "met",
        "not-met",
        "indeterminate",
    ]


def test_from_a_fhir_server() -> None:
    with EmbeddedServer(page_size=2) as server:
        server.load(vignettes([1])[0].bundle)
        arguments = (
            "assess",
            "--fhir-server",
            server.base_url,
            "--patient",
            "trd-v01",
            *ON,
            "--format",
            "json",
        )
        assert json.loads(trd_cds(*arguments)[0])["verdict"] == "met"


def test_fixtures_are_loaded_into_a_server() -> None:
    with EmbeddedServer() as server:
        printed, _ = trd_cds("fixtures", "load", server.base_url)
        assert printed.startswith("24 patients loaded")


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (("assess",), 2, "FILE"),
        (("assess", "x.json", "--fhir-server", "http://127.0.0.1:9"), 2, "either"),
        (("assess", "--fhir-server", "http://127.0.0.1:9/fhir"), 2, "--patient"),
        (("assess", "x.json", "--definition", "no-such"), 2, "no-such"),
        (("assess", "x.json", "--on", "2026-02-30"), 2, "--on"),
        (("assess", "x.json", "--format", "xml"), 2, "--format"),
        (("no-such-command",), 2, "no-such-command"),
        (("definitions", "show", "no-such"), 2, "no-such"),
        (("assess", "no-such-file.json"), 3, "no-such-file.json"),
        (("assess", "--fhir-server", "http://127.0.0.1:9/fhir", "--patient", "p1"), 4, "reached"),
        (("fixtures", "load", "http://127.0.0.1:9/fhir"), 4, "127.0.0.1:9"),
    ],
)
def test_what_goes_wrong_is_one_line_with_a_status(
    arguments: tuple[str, ...], status: int, named: str
) -> None:
    printed, errors = trd_cds(*arguments, status=status)
    assert printed == ""
    assert errors.count("\n") == 1
    assert errors.startswith("trd-cds: ")
    assert named in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[1]", '"text"', "null", '{"resourceType": "Bundle", "entry": 7}']
)
def test_unreadable_input_names_where(text: str) -> None:
    _, errors = trd_cds("assess", "-", stdin=text, status=3)
    assert errors.startswith("trd-cds: -")
    assert errors.count("\n") == 1


def test_definitions_tell_who_set_each_parameter() -> None:
    listed = trd_cds("definitions")[0]
    assert listed == trd_cds("definitions", "list")[0]
    assert len(listed.splitlines()) == 29
    assert "cannot be evaluated" in trd_cds("definitions", "show", "nice-ng222")[0]
    printed, _ = trd_cds("definitions", "show", "canadian-2021")
    by_source, _, by_project = printed.partition("parameters filled by this project:")
    assert "min_weeks = 4" in by_source
    assert "lookback_days = 730" in by_project


def test_fixtures_list() -> None:
    assert trd_cds("fixtures", "list")[0].count("Patient/trd-v") == 24
