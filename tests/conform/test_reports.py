"""The command and its reports, and what is told when there is nothing to check."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from cds_service.conform.examination import Options
from cds_service.conform.examine import base_of, examine
from cds_service.conform.rendering import render
from cds_service.conform.results import Report, Status
from cds_service.conform.rules import load_rules
from cds_service.errors import InputError, ServiceUnreachable
from tests.certificates import tls_for
from tests.conform.checking import ON, failed, free_port, report_on_sample, status_of, why
from tests.conform.faulty_service import VIEW, running_sample

SCHEMA = json.loads(files("cds_service").joinpath("schemas/conform-report.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def faulty() -> Report:
    return report_on_sample(
        "HTML in the detail", "an entry without title", "a relative link", only_service=VIEW
    )


def trd_cds(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cds_service", "conform", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


# --- the command ------------------------------------------------------------------------------------------


def test_a_sound_service_gives_0() -> None:
    with running_sample() as url:
        done = trd_cds(url, "--on", "2026-06-30")
    assert done.returncode == 0, done.stdout
    assert ", 0 failed" in done.stdout
    assert "--fhir-server-port" in done.stdout  # the sample was not told to allow the checker's server


def test_a_broken_rule_gives_1_and_is_named() -> None:
    with running_sample("a relative link") as url:
        done = trd_cds(f"{url}/cds-services/", "--on", "2026-06-30", "--service", VIEW)
    assert done.returncode == 1
    assert "FAILED CH-612 (SHALL/MAY)" in done.stdout
    assert "links[0].url: expected an absolute http(s) URL without the patient's id, got /more" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("level", "status"), [("shall", 0), ("should", 1), ("advice", 1)])
def test_what_counts_can_be_chosen(level: str, status: int) -> None:
    with running_sample("an entry without title") as url:
        assert trd_cds(url, "--service", VIEW, "--fail-on", level).returncode == status


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("http://127.0.0.1:9",), 4, "cannot be reached"),
        (("ftp://127.0.0.1/x",), 3, "expected the http(s) base or discovery address"),
        (("http://127.0.0.1:9", "--jwk", "key.json"), 2, "go together"),
        (("http://127.0.0.1:9", "--issuer", "x"), 2, "go together"),
        (("http://127.0.0.1:9", "--jku", "x"), 2, "go together"),
        (("http://127.0.0.1:9", "--jwk", "nowhere.json", "--issuer", "x"), 3, "cannot be read"),
        (("http://127.0.0.1:9", "--report", "pdf"), 2, "pdf"),
        ((), 2, "URL"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], status: int, told: str) -> None:
    done = trd_cds(*arguments)
    assert done.returncode == status
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_certificate_of_nobody_known(tmp_path: Path) -> None:
    context, _ = tls_for(tmp_path, "cds.example.org")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = trd_cds(f"https://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert done.returncode == 4
    assert "certificate" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_report_goes_to_a_file(tmp_path: Path) -> None:
    with running_sample() as url:
        done = trd_cds(url, "--report", "json", "--output", str(tmp_path / "report.json"))
        refused = trd_cds(url, "--output", str(tmp_path / "nowhere" / "report.json"))
    assert done.stdout == ""
    Draft202012Validator(SCHEMA).validate(json.loads((tmp_path / "report.json").read_text("utf-8")))
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr


# --- the reports ------------------------------------------------------------------------------------------


def test_json_is_what_its_schema_says(faulty: Report) -> None:
    shown = json.loads(render(faulty, "json", "shall"))
    Draft202012Validator(SCHEMA).validate(shown)
    assert [rule["id"] for rule in shown["rules"]] == list(load_rules())
    assert not shown["holds"]
    (link,) = (rule for rule in shown["rules"] if rule["id"] == "CH-612")
    assert link["findings"][0]["came"] == "/more"


def test_junit_has_a_case_a_rule(faulty: Report) -> None:
    suite = ElementTree.fromstring(render(faulty, "junit", "shall"))
    cases = suite.findall("testcase")
    assert len(cases) == len(load_rules()) == int(suite.attrib["tests"])
    broken = [case.attrib["name"].split()[0] for case in cases if case.find("failure") is not None]
    assert broken == ["CH-513", "CH-612"] and suite.attrib["failures"] == "2"
    assert len(suite.findall("testcase/skipped")) == int(suite.attrib["skipped"])
    (title,) = (case for case in cases if case.attrib["name"].startswith("CH-110"))
    skipped = title.find("skipped")
    assert skipped is not None and skipped.attrib["message"].startswith("failed, but SHOULD")


def test_html_stands_alone_and_shows_html_as_text(faulty: Report) -> None:
    page = render(faulty, "html", "shall")
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert "<script" not in page and "src=" not in page and 'href="' not in page
    assert all(rule_id in page for rule_id in load_rules())


def test_text_has_each_failed_rule_and_each_reason(faulty: Report) -> None:
    text = render(faulty, "text", "shall")
    assert text.count("\nFAILED ") == len(failed(faulty)) == 4
    assert text.endswith("2 of the failed rules count (--fail-on shall)")
    assert render(report_on_sample(), "text", "shall").endswith("no failed rule counts (--fail-on shall)")


def test_levels() -> None:
    levels = {rule_id: load_rules()[rule_id].level for rule_id in ("CH-505", "CH-110", "CH-202", "CH-408")}
    assert levels == {"CH-505": "shall", "CH-110": "should", "CH-202": "advice", "CH-408": "advice"}


# --- what cannot be checked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://a.example.org", "http://a.example.org"),
        ("https://a.example.org/cds/", "https://a.example.org/cds"),
        ("https://a.example.org/cds-services", "https://a.example.org"),
        ("https://a.example.org/x/cds-services/", "https://a.example.org/x"),
    ],
)
def test_base_and_discovery_address_are_alike(given: str, base: str) -> None:
    assert base_of(given) == base


@pytest.mark.parametrize("given", ["", "a.example.org", "https://a.example.org/?x", "https://a b"])
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(InputError):
        base_of(given)


def test_a_service_that_is_not_listed() -> None:
    with running_sample() as url, pytest.raises(InputError, match="discovery lists sample-patient-view"):
        examine(url, Options(on=ON, only_service="nothing"))


def test_nothing_listens() -> None:
    with pytest.raises(ServiceUnreachable):
        examine(f"http://127.0.0.1:{free_port()}", Options(on=ON))


def test_an_address_without_discovery() -> None:
    with running_sample() as url:
        report = examine(f"{url}/elsewhere", Options(on=ON))
    assert set(failed(report)) == {"CH-101"}
    assert why(report, "CH-505") == "discovery lists no service that can be called"


def test_a_service_that_may_not_call_our_fhir_server() -> None:
    with running_sample() as url:
        report = examine(url, Options(on=ON))
    assert failed(report) == {}
    status = status_of(report)
    assert status["CH-404"] is Status.NOT_TRIED and "--fhir-server-port" in why(report, "CH-404")
    assert status["CH-408"] is Status.PASSED
