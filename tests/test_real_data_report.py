"""The report over files of others: it counts orders of every version of FHIR, and fails on a silent drop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parent.parent / "bench" / "real_data.py"
SUBJECT = {"reference": "Patient/p1"}
DRUG = {"text": "sertraline 50 mg tablet"}
ONCE = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}

R4: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "rx1",
    "status": "active",
    "intent": "order",
    "subject": SUBJECT,
    "authoredOn": "2026-01-01",
    "medicationCodeableConcept": DRUG,
    "dosageInstruction": [
        {"timing": ONCE, "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "tablet"}}]}
    ],
}
R5: dict[str, Any] = {
    **{name: value for name, value in R4.items() if name != "medicationCodeableConcept"},
    "medication": {"concept": DRUG},
}
STU3: dict[str, Any] = {
    **R4,
    "dosageInstruction": [{"timing": ONCE, "doseQuantity": {"value": 2, "unit": "tablet"}}],
}
DSTU2_XML = """<?xml version="1.0" encoding="UTF-8"?>
<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>
  <entry><resource><Patient><id value="p1"/><birthDate value="1980-01-01"/></Patient></resource></entry>
  <entry><resource><MedicationOrder>
    <id value="rx1"/>
    <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>sertraline</p></div></text>
    <status value="active"/><dateWritten value="2026-01-01"/>
    <patient><reference value="Patient/p1"/></patient>
    <medicationCodeableConcept><text value="sertraline 50 mg tablet"/></medicationCodeableConcept>
    <dosageInstruction>
      <timing><repeat><frequency value="1"/><period value="1.0"/><periodUnits value="d"/></repeat></timing>
      <asNeededBoolean value="false"/>
      <doseQuantity><value value="2"/><unit value="tablet"/></doseQuantity>
    </dosageInstruction>
  </MedicationOrder></resource></entry>
</Bundle>
"""


def report(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(folder), "--on", "2026-06-30"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_orders_of_every_version_are_counted_with_their_dose(tmp_path: Path) -> None:
    write(tmp_path / "made" / "r4" / "order.json", json.dumps(R4))
    write(tmp_path / "made" / "r5" / "order.json", json.dumps(R5))
    write(tmp_path / "sample-stu3" / "order.json", json.dumps(STU3))
    write(tmp_path / "sample-dstu2-xml" / "bundle.xml", DSTU2_XML)
    done = report(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for version in ("R4", "R5", "STU3", "DSTU2"):
        row = f"| {version} | 1 | 1 (100.0 %) | 1 (100.0 %) | 1 | 1 (100.0 %) |"
        assert row in done.stdout.splitlines()
    assert "| all | 4 | 4 (100.0 %) | 4 (100.0 %) | 4 | 4 (100.0 %) |" in done.stdout


def test_a_dosage_that_gives_no_dose_is_shown_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path / "made" / "order.json", json.dumps(R4 | {"dosageInstruction": [{"text": "as directed"}]}))
    done = report(tmp_path)
    assert done.returncode == 0
    assert "| made MedicationRequest/rx1 | as directed | dose not recorded: " in done.stdout


def test_an_antidepressant_that_is_nowhere_mentioned_fails_the_report(tmp_path: Path) -> None:
    hidden = {"resourceType": "Medication", "id": "m", "code": DRUG}
    order = R4 | {"medicationCodeableConcept": {"text": "ibuprofen 400 mg tablet"}, "contained": [hidden]}
    write(tmp_path / "made" / "order.json", json.dumps(order))
    done = report(tmp_path)
    assert done.returncode == 1
    assert "dropped in silence: made MedicationRequest/rx1" in done.stderr
