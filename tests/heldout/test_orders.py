"""Orders as real systems write them, read through the front door, against what a pharmacist worked out by hand.

Each `orders_*.csv` beside this file is a table with the columns

    medication  text, or codes before it: `rxnorm:312941 sertraline 50 MG Oral Tablet`, `ndc:00002-3230-30`,
                `atc:N06AB06`, `snomed:…`, `dmd:…`, one blank between them
    dosage      the text of the only dosage; or a Dosage as JSON, or an array of them; empty for none
    expected    mg a day: `100`, `50-100`, `0-200`; steps `37.5 for 7; 75 for 7; 150`, days in all but the last;
                `unknown` (the dose), `as needed`, `unknown drug`, `no antidepressant`
    by_hand     the arithmetic, or why there is no honest reading

An order begins on ON less 180 days and is active, without an end.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.trd.answers import Answer
from cds_service.trd.record import History
from fhir_fixtures import builders

ON = date(2026, 6, 30)
BEGIN = ON - timedelta(180)
SYSTEMS = {
    "rxnorm": builders.RXNORM,
    "ndc": "http://hl7.org/fhir/sid/ndc",
    "atc": builders.ATC,
    "snomed": builders.SNOMED_CT,
    "dmd": builders.DMD,
}


def rows() -> Iterator[Any]:
    for table in sorted(Path(__file__).parent.glob("orders_*.csv")):
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                name = f"{table.stem}: {row['medication'][:40]} | {row['dosage'][:80]}"
                yield pytest.param(row["medication"], row["dosage"], row["expected"], id=name)


@pytest.mark.parametrize(("medication", "dosage", "expected"), list(rows()))
def test_an_order_gives_what_a_pharmacist_reads(medication: str, dosage: str, expected: str) -> None:
    assert found_in(read_order(medication, dosage)) == expected


def read_order(medication: str, dosage: str) -> History:
    dosages = json.loads(dosage) if dosage.startswith(("{", "[")) else dosage or None
    order = builders.medication_request(
        medication=concept_of(medication), dosage=dosages, first_day=BEGIN.isoformat()
    )
    return read_history(Collected("p1", (Entry(order, None, "order"),)), ON)


def concept_of(medication: str) -> dict[str, Any]:
    """Codes, each `system:code`, and then the text."""
    words = medication.split(" ")
    codes = [word.partition(":") for word in words if word.partition(":")[0] in SYSTEMS]
    text = " ".join(words[len(codes) :])
    coding = [{"system": SYSTEMS[system], "code": code} for system, _, code in codes]
    return ({"coding": coding} if coding else {}) | ({"text": text} if text else {})


def found_in(history: History) -> str:
    """The reading in the words of the column `expected`."""
    if not history.prescriptions:
        return "no antidepressant"
    (prescription,) = history.prescriptions
    if prescription.drug is None:
        return "unknown drug"
    use = prescription.treats_depression
    if use.answer is Answer.NOT_MET and use.text == "taken only as needed":
        return "as needed"
    doses = [
        (dose, sum((s.last_day - s.first_day).days + 1 for s in segments))
        for dose, segments in groupby(prescription.segments, key=lambda s: _shown(s.low_mg, s.high_mg))
    ]
    *earlier, (last, _) = doses
    return "; ".join([*(f"{dose} for {days}" for dose, days in earlier), last])


def _shown(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "unknown"
    return f"{low:.5g}" if abs(high - low) <= 0.01 * high else f"{low:.5g}-{high:.5g}"
