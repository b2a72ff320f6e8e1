"""`docs/failure-modes.md` has a line for every fault, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.contract.test_faults import FAULTS

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "failure-modes.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))

KNOWN_FAULTS = (
    "refused",
    "DNS",
    "TLS",
    "401",
    "403",
    "404",
    "410",
    "429",
    "500, then success",
    "503 for ever",
    "hang before headers",
    "trickle",
    "truncated JSON",
    "HTML instead of JSON",
    "wrong resource type",
    "wrong patient",
    "page loop",
    "10,000 pages",
    "duplicate entries",
    "gzip bomb",
    "redirect elsewhere",
    "`next` to elsewhere",
    "token expired between pages",
    "OperationOutcome with 200",
)


@pytest.mark.parametrize("fault", KNOWN_FAULTS)
def test_every_fault_has_a_line(fault: str) -> None:
    assert any(fault in row.split(" | ")[0] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0].removeprefix("| "))
def test_every_line_says_what_the_caller_sees_and_names_a_test(row: str) -> None:
    fault, done, seen, tests = row.strip("| ").split(" | ")
    assert fault and done
    assert re.search(r"412|answer|gap", seen)
    assert "::" in tests or "fault" in tests


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_fault_of_the_fault_tests_is_on_the_page_and_no_other() -> None:
    told = [
        part for row in ROWS for part in re.findall(r"faults? ((?:`[^`:]+`(?:, )?)+)", row.split(" | ")[3])
    ]
    assert {one for part in told for one in re.findall(r"`([^`]+)`", part)} == set(FAULTS)
