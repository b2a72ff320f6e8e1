"""Patients made at test time by a public package: every antidepressant order is used or listed."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest

from cds_service.input_files import read_files
from cds_service.respond import assess_collected

ANTIDEPRESSANTS = (
    "sertraline",
    "fluoxetine",
    "escitalopram",
    "citalopram",
    "venlafaxine",
    "bupropion",
    "paroxetine",
)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthea")
    command = [
        str(Path(sys.executable).with_name("synthea")),
        "-p",
        "6",
        "-s",
        "11",
        "-a",
        "30-70",
        "-r",
        "20260630",
    ]
    subprocess.run([*command, "-o", str(folder)], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder


def test_no_antidepressant_order_of_a_generated_patient_is_dropped(population: Path) -> None:
    patients = list(read_files([str(population)], BytesIO()))
    assert len(patients) >= 6
    for collected in patients:
        assessment = assess_collected(collected, "default-configurable", date(2026, 6, 30))
        listed = {problem.reference for problem in (*assessment.unread, *assessment.set_aside)}
        used = {reference for judged in assessment.trials for reference in judged.trial.exposure.evidence}
        for entry in collected.entries:
            if _is_antidepressant_order(entry.resource):
                assert f"MedicationRequest/{entry.resource['id']}" in used | listed


def _is_antidepressant_order(resource: dict[str, object]) -> bool:
    text = str(resource.get("medicationCodeableConcept")).lower()
    return resource["resourceType"] == "MedicationRequest" and any(name in text for name in ANTIDEPRESSANTS)
