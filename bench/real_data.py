"""What the service can read of FHIR files written by others, as tables; fails on a silent drop.

    python bench/real_data.py DIR... [--on YYYY-MM-DD]

Every MedicationRequest (in DSTU2: MedicationOrder) whose medication names an antidepressant, by a plain search
of its text for ingredient and brand names that is independent of the reader, must be used, listed as unread
or set aside, and have a dose or a reason why it has none. One that has not is printed and the exit status is 1.
A MedicationDispense, MedicationStatement or MedicationAdministration of one must be used or listed as well.
Treatments that are no drug and reactions are counted as they were read, forms as they stand in the files.
Files may be FHIR JSON, NDJSON or XML of any version from DSTU2 to R5.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from fhir_xml import read_fhir_xml

from cds_service.errors import InputError
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.input_files import SUFFIXES, read_files
from cds_service.respond import assess_history
from cds_service.tables.definitions import DEFAULT_ID, load_definitions
from cds_service.trd.record import Prescription

TABLES = Path(__file__).resolve().parent.parent / "cds_service" / "tables"
VERSIONS = {"dstu2": "DSTU2", "stu3": "STU3", "r3": "STU3", "r4": "R4", "r4b": "R4B", "r5": "R5"}
VERSION_IN_A_NAME = re.compile(r"(?:^|[-_/])(dstu-?2|stu-?3|r3|r4|r4b|r5)(?:[-_/]|$)")
ORDER_TYPES = ("MedicationRequest", "MedicationOrder")
RECORD_TYPES = ("MedicationDispense", "MedicationStatement", "MedicationAdministration")
COUNTS = (
    *("patients", "other orders", "dispensed or stated", "procedures", "reactions", "forms"),
    *("orders", "drug known", "set aside", "dose known"),
)
COUNTS_WITH_DOSAGE = ("with dosage", "dose known of these")
VERDICTS = ("met", "not-met", "indeterminate", "excluded")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    parser.add_argument(
        "--on", type=date.fromisoformat, default=date.today(), help="the day to take as today"
    )
    given = parser.parse_args()
    report = _Report(given.on, _antidepressant_names())
    for folder in _folders(given.directories):
        for collected in _patients(folder):
            report.add(folder, collected)
    report.print()
    for order in report.dropped:
        print(f"dropped in silence: {order}", file=sys.stderr)
    return 1 if report.dropped else 0


# --- files --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Folder:
    """Files of one origin and one version of FHIR."""

    path: Path
    name: str
    version: str


def _folders(directories: Iterable[Path]) -> Iterator[_Folder]:
    """The folders one below each directory; where their subfolders are named by version, those."""
    for directory in directories:
        for path in _below(directory) or [directory]:
            by_version = [below for below in _below(path) if _version_in(below.name)]
            for each in by_version or [path]:
                name = f"{path.name}/{each.name}" if by_version else path.name
                yield _Folder(each, name, _version_in(name) or "R4")


def _below(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.iterdir()) if path.is_dir()]


def _version_in(name: str) -> str | None:
    found = VERSION_IN_A_NAME.search(name.lower())
    return VERSIONS[found[1].replace("-", "")] if found else None


def _patients(folder: _Folder) -> Iterator[Collected]:
    files = [path for path in sorted(folder.path.rglob("*")) if path.is_file()]
    try:
        if any(path.suffix.lower() in SUFFIXES for path in files):
            yield from read_files([str(folder.path)], io.BytesIO())
        for path in files:
            if path.suffix.lower() == ".xml":
                yield from read_files(["-"], _as_json(path))
    except InputError as error:
        raise SystemExit(f"real data: {error}") from None


def _as_json(path: Path) -> io.BytesIO:
    return io.BytesIO(json.dumps(read_fhir_xml(path.read_bytes())).encode())


# --- what the reader makes of them ----------------------------------------------------------------------


@dataclass
class _Report:
    """Counts by folder, the orders whose dosage gives no dose, and those of which nothing is said."""

    on: date
    names: re.Pattern[str]
    counts: dict[_Folder, Counter[str]] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    without_dose: list[tuple[str, str, str]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def add(self, folder: _Folder, collected: Collected) -> None:
        history = read_history(collected, self.on)
        verdict = assess_history(history, load_definitions()[DEFAULT_ID], self.on).verdict
        counts = self.counts.setdefault(folder, Counter())
        counts.update(["patients", verdict.value])
        counts["procedures"] += len(history.procedures)
        counts["reactions"] += len(history.reactions)
        counts["forms"] += sum(
            entry.resource.get("resourceType") == "QuestionnaireResponse" for entry in collected.entries
        )
        self.problems.update(_kind(unread.problem) for unread in history.unread)
        used = {prescription.reference: prescription for prescription in history.prescriptions}
        set_aside = {problem.reference: problem.problem for problem in history.set_aside}
        unread = {problem.reference: problem.problem for problem in history.unread}
        beside = {
            reference for prescription in history.prescriptions for reference in prescription.references
        }
        accounted = beside | set_aside.keys() | unread.keys()
        for entry in collected.entries:
            resource_type, reference = entry.resource.get("resourceType"), _reference(entry)
            if resource_type not in (*ORDER_TYPES, *RECORD_TYPES):
                continue
            if not self.names.search(_drug_text(entry.resource, collected)):
                counts["other orders"] += int(resource_type in ORDER_TYPES)
                continue
            if resource_type in RECORD_TYPES:
                counts["dispensed or stated"] += 1
                if reference not in accounted:
                    self.dropped.append(f"{folder.name} {reference} ({entry.place})")
                continue
            prescription = used.get(reference)
            reason = set_aside.get(reference) or unread.get(reference, "")
            counts.update(_counts_of(entry, prescription, reference in set_aside))
            self._note(f"{folder.name} {reference}", entry, prescription, reason)

    def _note(self, order: str, entry: Entry, prescription: Prescription | None, reason: str) -> None:
        if prescription and _has_dose(prescription):
            return
        reason = prescription.dose_text if prescription else reason
        if not reason:
            self.dropped.append(f"{order} ({entry.place})")
        elif _dosages(entry.resource):
            self.without_dose.append((order, "; ".join(_texts(entry.resource)) or "no text", reason))

    def print(self) -> None:
        _print_by_version(self.counts)
        print("\n| order with a dosage but without a dose | its text | why |\n|---|---|---|")
        for row in self.without_dose:
            print(f"| {' | '.join(row)} |")
        _print_by_folder(self.counts)
        print("\n| times | commonest reasons for `unread` |\n|---|---|")
        for problem, times in self.problems.most_common(10):
            print(f"| {times} | {problem} |")


def _reference(entry: Entry) -> str:
    """How the reader names it: by type and id, or by the place where it stood."""
    resource = entry.resource
    return f"{resource['resourceType']}/{resource['id']}" if resource.get("id") else entry.place


def _counts_of(entry: Entry, prescription: Prescription | None, is_set_aside: bool) -> Counter[str]:
    has_dose = prescription is not None and _has_dose(prescription)
    has_dosage = bool(_dosages(entry.resource))
    return Counter(
        {
            "orders": 1,
            "drug known": int(is_set_aside or (prescription is not None and prescription.drug is not None)),
            "set aside": int(is_set_aside),
            "dose known": int(has_dose),
            "with dosage": int(has_dosage),
            "dose known of these": int(has_dose and has_dosage),
        }
    )


def _has_dose(prescription: Prescription) -> bool:
    """Whether every day of the order has a dose."""
    return all(segment.low_mg is not None for segment in prescription.segments)


def _dosages(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The dosages as they stand in the file; the drafts of R6 keep them in `dose`."""
    dose = resource.get("dose", {})
    found = resource.get("dosageInstruction") or dose.get("dosageInstruction") or []
    rendered = resource.get("renderedDosageInstruction") or dose.get("renderedDosageInstruction")
    return found or ([{"text": rendered}] if rendered else [])


def _texts(resource: dict[str, Any]) -> list[str]:
    return [dosage["text"] for dosage in _dosages(resource) if dosage.get("text")]


def _drug_text(resource: dict[str, Any], collected: Collected) -> str:
    """All text of the medication elements, of contained resources, and of the Medications they refer to."""
    own = [value for name, value in resource.items() if name.startswith("medication")]
    text = json.dumps([own, resource.get("contained")])
    referred = set(re.findall(r'"reference": "([^"]+)"', json.dumps(own)))
    return text + json.dumps(
        [
            entry.resource
            for entry in collected.entries
            if referred & {entry.full_url, f"Medication/{entry.resource.get('id')}"}
        ]
    )


def _antidepressant_names() -> re.Pattern[str]:
    """Ingredient and brand names of everything that the drug table counts as an antidepressant."""
    with (TABLES / "antidepressants.csv").open(encoding="utf-8") as file:
        ingredients = {row["ingredient"].lower() for row in csv.DictReader(file)}
    names = {part.strip() for name in ingredients for part in name.split("/")}
    names -= {"olanzapine", "perphenazine", "chlordiazepoxide", "dextromethorphan", "tryptophan"}
    with (TABLES / "brands.csv").open(encoding="utf-8") as file:
        names |= {
            row["brand"].lower()
            for row in csv.DictReader(file)
            if names & set(row["ingredient"].lower().split("|"))
        }
    return re.compile(
        r"\b(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")\b", re.IGNORECASE
    )


def _kind(problem: str) -> str:
    """A problem without the values that make each one different."""
    without_paths = re.sub(r"\[\d+\]", "[]", problem)
    return re.sub(r"\b[\w.%-]*\d[\w.%-]*\b", "…", without_paths)[:110]


# --- tables -------------------------------------------------------------------------------------------


def _print_by_version(counts: dict[_Folder, Counter[str]]) -> None:
    """Shares of the orders of antidepressants, by version of FHIR."""
    print(
        "| FHIR | orders of antidepressants | drug known | dose known | with a dosage | dose known of these |"
    )
    print("|---|---|---|---|---|---|")
    versions = sorted({folder.version for folder in counts}, reverse=True)
    for version in (*versions, "all"):
        total = sum((c for f, c in counts.items() if version in (f.version, "all")), Counter[str]())
        orders, with_dosage = total["orders"], total["with dosage"]
        shares = (
            _share(total["drug known"], orders),
            _share(total["dose known"], orders),
            str(with_dosage),
            _share(total["dose known of these"], with_dosage),
        )
        print(f"| {version} | {orders} | {' | '.join(shares)} |")


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"


def _print_by_folder(counts: dict[_Folder, Counter[str]]) -> None:
    columns = (*COUNTS, *COUNTS_WITH_DOSAGE, *VERDICTS)
    print("\n| files | FHIR | " + " | ".join(columns) + " |")
    print("|" + "---|" * (len(columns) + 2))
    for folder, row in counts.items():
        print(f"| {folder.name} | {folder.version} | " + " | ".join(str(row[key]) for key in columns) + " |")
    total = sum(counts.values(), Counter[str]())
    print("| all | | " + " | ".join(str(total[key]) for key in columns) + " |")


if __name__ == "__main__":
    sys.exit(main())
