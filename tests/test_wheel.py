"""The wheel, built from the source distribution, in a new environment outside the checkout, tables and all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SECONDS = 600

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the installed `trd-cds` in an empty directory and gives what it printed."""
    folder = tmp_path_factory.mktemp("wheel")
    _call([sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(CHECKOUT)], folder)
    _call([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    binaries = folder / "venv" / "bin"
    (wheel,) = (folder / "dist").glob("*.whl")
    _call([str(binaries / "python"), "-m", "pip", "install", "--quiet", str(wheel)], folder)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return lambda *arguments: _call([str(binaries / "trd-cds"), *arguments], elsewhere)


def _call(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tables_are_in_the_wheel(run: Run) -> None:
    assert "eu-pearl-2022" in run("definitions")
    assert "Patient/trd-v01" in run("fixtures", "list")


def test_a_patient_is_assessed_outside_the_checkout(run: Run) -> None:
    bundle = next((CHECKOUT / "fhir_fixtures" / "vignettes").glob("01-*")) / "bundle.json"
    assessment = json.loads(run("assess", str(bundle), "--on", "2026-06-30", "--format", "json"))
    assert assessment["verdict"] == "met"


def test_the_demonstration_runs_outside_the_checkout(run: Run) -> None:
    printed = run("demo", "--once", "--port", "0", "--fhir-port", "0")
    assert "trd-v24" in printed
    assert "Criteria for treatment-resistant depression met" in " ".join(printed.split())
