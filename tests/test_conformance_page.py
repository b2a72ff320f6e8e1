"""The conformance page is what the markers say, and no rule is without a test or a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cds_service.conform.rules import LEVELS, load_rules
from tests import conformance_page
from tests.conformance_page import PAGE, ConformanceRun, exceptions, page_text, rules_to_tests, unexplained


def test_there_are_all_rules() -> None:
    rules = load_rules()
    assert len(rules) == 179
    for rule in rules.values():
        assert re.fullmatch(r"CH-([HVW]?\d\d|\d{3})", rule.id)
        assert rule.must_hold.endswith(".") and rule.strength and rule.section
        assert rule.level in LEVELS
        assert rule.binds in ("service", "client", "hook author", "deployment", "nobody")
        assert rule.binds in ("service", "client") or rule.not_seen, rule.id


def test_every_marker_names_a_rule() -> None:
    assert set(rules_to_tests()) <= set(load_rules())


def test_every_rule_has_a_test_or_a_reason() -> None:
    assert unexplained() == []


def test_no_reason_is_left_for_a_rule_that_has_a_test() -> None:
    assert set(exceptions()) <= set(load_rules())
    assert set(exceptions()) & set(rules_to_tests()) == set()


def test_the_page_is_what_the_markers_say() -> None:
    assert PAGE.read_text("utf-8") == page_text(), "make conformance writes it anew"


def test_markers_are_read_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tests" / "test_x.py"
    file.parent.mkdir()
    file.write_text(
        "pytestmark = [pytest.mark.conformance('CH-001')]\n"
        "class TestX:\n"
        "    @pytest.mark.conformance('CH-002', 'CH-003')\n"
        "    @pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.conformance('CH-004'))])\n"
        "    def test_a(self, x): ...\n"
        "def test_b(): ...\n"
        "def helper(): ...\n"
    )
    monkeypatch.setattr(conformance_page, "ROOT", tmp_path)
    found = set(conformance_page._marked(file))
    assert found == {
        *((f"CH-00{n}", "tests/test_x.py::test_a") for n in (1, 2, 3, 4)),
        ("CH-001", "tests/test_x.py::test_b"),
    }


def test_a_marker_that_computes_its_rules_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "test_x.py"
    file.write_text("@pytest.mark.conformance(*RULES)\ndef test_a(): ...\n")
    monkeypatch.setattr(conformance_page, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="line 1"):
        list(conformance_page._marked(file))


def test_what_did_not_run_or_pass_keeps_the_page_from_being_written() -> None:
    run = ConformanceRun()
    tests = sorted({test for tests in rules_to_tests().values() for test in tests})
    assert next(iter(run.open_ends())).endswith("not run")
    for test in tests:
        run.pytest_runtest_logreport(_report(test, "passed"))
    assert [line for line in run.open_ends() if "no test and no reason" not in line] == []
    run.pytest_runtest_logreport(_report(f"{tests[0]}[x]", "failed"))
    run.pytest_runtest_logreport(_report(tests[1], "skipped", "setup"))
    assert list(run.open_ends())[:2] == [f"{tests[0]}: failed, passed", f"{tests[1]}: passed, skipped"]


def _report(nodeid: str, outcome: str, when: str = "call") -> pytest.TestReport:
    return pytest.TestReport(nodeid, ("", None, ""), {}, outcome, None, when)  # type: ignore[arg-type]
