"""`docs/conformance.md`: each rule of CDS Hooks with the tests that are about it, written by a run of those tests.

Which test is about which rule is read from the markers in the sources, so that it is known whatever is run.
`make conformance` runs the marked tests and writes the page; it stays as it was when one of them did not pass.
"""

from __future__ import annotations

import ast
import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from cds_service.conform.rules import Rule, load_rules

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
EXCEPTIONS = ROOT / "docs" / "conformance-exceptions.csv"
MARKER = "conformance"

HEAD = """\
# Conformance to CDS Hooks

Which rule of CDS Hooks 2.0.1 (and what 3.0.0-ballot changes, `CH-V`) holds, and which tests say so. This page is
written by the tests: `make conformance` runs those that name a rule (`@pytest.mark.conformance("CH-…")`) and writes it
when all of them pass; another test fails when it is not what the markers say. A rule that no test is about stands
below with the reason ([conformance-exceptions.csv](conformance-exceptions.csv)). Strengths are those of the
specification; `CLIENT` binds clients, and is here because the service relies on it or has to survive its breach;
`HOUSE` is a choice of this project. The rules: [`rules.csv`](../cds_service/conform/rules.csv). To check any service
from outside: [conform.md](conform.md).

Versions of the hooks' pages that the tests are about: `patient-view` 1.0, `encounter-start` 1.0, `order-select` 1.0,
`order-sign` 1.0.
"""


# --- which test is about which rule -----------------------------------------------------------------------


@cache
def rules_to_tests() -> Mapping[str, tuple[str, ...]]:
    """The tests (`path::name`) of each rule that some marker names, in order."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for rule_id, test in _marked(file):
            found[rule_id].add(test)
    return {rule_id: tuple(sorted(tests)) for rule_id, tests in found.items()}


def _marked(file: Path) -> Iterator[tuple[str, str]]:
    tree = ast.parse(file.read_text("utf-8"))
    for_all = [rule_id for node in tree.body if _is_pytestmark(node) for rule_id in _rules_in(node)]
    path = file.relative_to(ROOT).as_posix()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            named = [rule_id for each in node.decorator_list for rule_id in _rules_in(each)]
            yield from ((rule_id, f"{path}::{node.name}") for rule_id in (*named, *for_all))


def _is_pytestmark(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _rules_in(node: ast.AST) -> Iterator[str]:
    """The rules of all `mark.conformance("CH-…", …)` inside, parameters of a parametrised test included."""
    for call in ast.walk(node):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        if call.func.attr != MARKER:
            continue
        for argument in call.args:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                raise ValueError(f"line {call.lineno}: a marker names its rules as plain texts")
            yield argument.value


@cache
def exceptions() -> Mapping[str, str]:
    """The rules that no test is about, with the reason."""
    with EXCEPTIONS.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        next(rows)
        return dict(rows)  # refuses a row of more than two cells: a reason with a comma has to be quoted


def unexplained() -> list[str]:
    """Rules with neither a test nor a reason."""
    return [id for id in load_rules() if id not in rules_to_tests() and not exceptions().get(id)]


# --- the page ---------------------------------------------------------------------------------------------


def page_text() -> str:
    """The page, if every marked test passes."""
    tested, left = [], []
    for rule in load_rules().values():
        tests = rules_to_tests().get(rule.id)
        if tests:
            tested.append(f"{_row(rule)} holds | {_listed(tests)} |")
        else:
            left.append(f"{_row(rule)} {exceptions().get(rule.id, 'UNEXPLAINED')} |")
    parts = [
        HEAD,
        f"## {len(tested)} rules with tests\n",
        "| rule | what must hold | strength | result | tests |\n|---|---|---|---|---|",
        *tested,
        f"\n## {len(left)} rules without a test\n",
        "| rule | what must hold | strength | why |\n|---|---|---|---|",
        *left,
    ]
    return "\n".join(parts) + "\n"


def _row(rule: Rule) -> str:
    return f"| {rule.id} | {rule.must_hold.replace('|', '&#124;')} | {rule.strength} |"


def _listed(tests: tuple[str, ...]) -> str:
    """File by file, so that a file's path stands once."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        file, _, name = test.partition("::")
        by_file[file].append(f"`{name}`")
    return "; ".join(f"[{Path(file).name}](../{file}): {', '.join(names)}" for file, names in by_file.items())


# --- the run that writes it -------------------------------------------------------------------------------


def add_option(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-conformance", action="store_true", help="write docs/conformance.md when all its tests pass"
    )


class ConformanceRun:
    """Notes what came of each marked test, and writes the page at the end if all of them passed."""

    def __init__(self) -> None:
        self._outcomes: dict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._outcomes[_without_class(report.nodeid)].add(report.outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        open_ends = list(self.open_ends())
        for line in open_ends:
            terminalreporter.write_line(line, red=True)
        if not open_ends:
            PAGE.write_text(page_text(), "utf-8")
            terminalreporter.write_line(f"{PAGE.relative_to(ROOT)} written")

    def open_ends(self) -> Iterator[str]:
        """Why the page cannot be written, a line each."""
        for test in sorted({test for tests in rules_to_tests().values() for test in tests}):
            outcomes = self._outcomes.get(test)
            if outcomes != {"passed"}:
                yield f"{test}: {', '.join(sorted(outcomes)) if outcomes else 'not run'}"
        for rule_id in unexplained():
            yield f"{rule_id}: no test and no reason"


def _without_class(nodeid: str) -> str:
    """`path::name` of a test, without its class and parameters."""
    path, _, name = nodeid.partition("[")[0].partition("::")
    return f"{path}::{name.rpartition('::')[2]}"
