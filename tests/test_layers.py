"""The line stays straight: imports point from the request towards the nouns, never back."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cds_service", "cards", "fhir_fixtures")
NOUNS = {
    f"cds_service.trd.{module}" for module in ("answers", "draft_orders", "model", "parameters", "record")
}
RULES = sorted((ROOT / "cds_service" / "trd").glob("*.py"))
CARDS = sorted((ROOT / "cards").glob("*.py"))
READERS = sorted((ROOT / "cds_service" / "fhir_reading").glob("*.py"))


def imports_of(file: Path) -> set[str]:
    """The modules that a file imports anywhere, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_the_rules_import_the_standard_library_and_themselves(file: Path) -> None:
    for name in imports_of(file):
        assert name.split(".")[0] in sys.stdlib_module_names or name.startswith("cds_service.trd")


@pytest.mark.parametrize("file", RULES + CARDS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_rules_and_cards_know_no_clock_network_or_environment(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for forbidden in (
        "date.today",
        "datetime.now",
        "utcnow",
        "os.environ",
        "import time",
        "socket",
        "urllib.request",
    ):
        assert forbidden not in text


@pytest.mark.parametrize("file", CARDS, ids=lambda file: file.name)
def test_cards_know_only_the_nouns(file: Path) -> None:
    for name in imports_of(file):
        if name.split(".")[0] in PACKAGES:
            assert name.startswith("cards") or name in NOUNS


@pytest.mark.parametrize("file", READERS, ids=lambda file: file.name)
def test_readers_know_neither_web_nor_cards(file: Path) -> None:
    for name in imports_of(file):
        assert name.split(".")[0] not in ("flask", "requests", "cards", "fhir_fixtures")


def test_the_rules_load_without_web_or_fhir() -> None:
    script = (
        "import sys; import cds_service.trd.definitions\n"
        "print([name for name in ('flask', 'requests', 'fhir', 'pydantic', 'msgspec') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_two_modules_import_each_other() -> None:
    graph = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            graph[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = _module_level_imports(file)
    for module, imported in graph.items():
        for other in imported & set(graph):
            assert module not in graph[other], f"{module} and {other} import each other"


def _module_level_imports(file: Path) -> set[str]:
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found
