"""The dosages of the FHIR specification's own examples, with an antidepressant in place of their drug.

    python bench/example_dosages.py DIR

DIR holds the folders `r4` and `r5` of the published examples (MedicationRequest, MedicationDispense,
MedicationStatement). What each dosage must give was worked out by hand from its text and structure:
`example_dosages.csv` has one row for each, with the product put in its place and the arithmetic in words.
`expected` is mg per day (`50`, `50-100`), `as needed`, or `unknown:` with words of which one must stand in
the reason, separated by `|`. A disagreement, or a dosage without a row, is printed and the exit status is 1.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.fhir_reading.dosage import is_as_needed, read_dosage
from cds_service.fhir_reading.drugs import Recognised, recognise
from cds_service.fhir_reading.elements import CodeableConcept, Dosage, read_elements
from cds_service.fhir_reading.versions import to_r4

TABLE = Path(__file__).with_suffix(".csv")
ELEMENTS = {
    "MedicationRequest": "dosageInstruction",
    "MedicationDispense": "dosageInstruction",
    "MedicationStatement": "dosage",
}


@dataclass(frozen=True)
class Example:
    """One dosage of one file."""

    version: str
    file: str
    index: int
    dosage: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.version, self.file, str(self.index)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    examples = list(_examples(parser.parse_args().directory))
    expected = {(row["version"], row["file"], row["index"]): row for row in _rows()}
    problems = [problem for example in examples if (problem := _problem(example, expected))]
    problems += [f"{' '.join(key)}: no such dosage" for key in expected.keys() - {e.key for e in examples}]
    for problem in problems:
        print(problem)
    print(f"{len(examples)} dosages, {len(problems)} that disagree with the table")
    return 1 if problems or not examples else 0


def _rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _examples(directory: Path) -> Iterator[Example]:
    for version in ("r4", "r5"):
        for path in sorted((directory / version).rglob("*.json")):
            resource = to_r4(json.loads(path.read_text(encoding="utf-8")))
            for index, dosage in enumerate(resource.get(ELEMENTS.get(resource.get("resourceType"), ""), ())):
                yield Example(version, path.name, index, dosage)


def _problem(example: Example, expected: dict[tuple[str, str, str], dict[str, str]]) -> str | None:
    row = expected.get(example.key)
    if row is None:
        return f"{' '.join(example.key)}: no row in {TABLE.name}"
    drug = recognise(CodeableConcept(text=row["product"]))
    assert isinstance(drug, Recognised), row["product"]
    dosage, unread = read_elements(example.dosage, Dosage)
    found = _found(dosage, drug)
    if not unread and _agrees(row["expected"], found):
        return None
    return (
        f"{' '.join(example.key)}: expected {row['expected']} ({row['arithmetic']}), found {found} {unread}"
    )


def _found(dosage: Dosage, drug: Recognised) -> str:
    if is_as_needed(dosage):
        return "as needed"
    return "; ".join(
        dose.text
        if dose.low_mg is None
        else f"{dose.low_mg:g}"
        if dose.low_mg == dose.high_mg
        else f"{dose.low_mg:g}-{dose.high_mg:g}"
        for dose in read_dosage(dosage, drug)
    )


def _agrees(expected: str, found: str) -> bool:
    kind, _, words = expected.partition(": ")
    if kind != "unknown":
        return expected == found
    is_unknown = found.startswith(("dose unknown", "dose not recorded")) and ";" not in found
    return is_unknown and any(word in found for word in words.split("|"))


if __name__ == "__main__":
    sys.exit(main())
