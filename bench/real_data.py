"""What the service can read of FHIR files written by others, as one table; fails on a silent drop.

    python bench/real_data.py DIR... [--on YYYY-MM-DD] [--markdown]

Every MedicationRequest whose medication names an antidepressant (by a plain search of its text for the
ingredient and brand names, independent of the reader) must be used, listed as unread or set aside with a
reason. One that is not is printed and the exit status is 1. Files of other FHIR versions are left out.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.errors import InputError
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.input_files import read_files
from cds_service.respond import assess_history
from cds_service.tables.definitions import DEFAULT_ID, load_definitions
from cds_service.trd.model import History

OTHER_VERSIONS = re.compile(r"(^|[-_/])(dstu-?2|stu-?3|r3|r5)([-_/]|$)", re.IGNORECASE)
TABLES = Path(__file__).resolve().parent.parent / "cds_service" / "tables"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    parser.add_argument(
        "--on", type=date.fromisoformat, default=date.today(), help="the day to take as today"
    )
    given = parser.parse_args()
    names = _antidepressant_names()
    rows, problems, dropped = [], Counter[str](), []
    for folder in _folders(given.directories):
        row = Counter[str](folder=0)
        for collected in _patients(folder):
            row += _counts(collected, names, given.on, problems, dropped)
        rows.append((folder, row))
    _print_table(rows, problems)
    for reference in dropped:
        print(f"dropped in silence: {reference}", file=sys.stderr)
    return 1 if dropped else 0


def _folders(directories: Iterable[Path]) -> Iterator[Path]:
    """The folders one below each directory that hold R4 files; a directory with files stands for itself."""
    for directory in directories:
        below = [path for path in sorted(directory.iterdir()) if path.is_dir()]
        for folder in below or [directory]:
            if not OTHER_VERSIONS.search(folder.name):
                yield folder


def _patients(folder: Path) -> Iterator[Collected]:
    files = [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".json", ".ndjson") and not OTHER_VERSIONS.search(str(path.relative_to(folder)))
    ]
    if not files:
        return
    try:
        yield from read_files(_groups(folder, files), io.BytesIO())
    except InputError as error:
        raise SystemExit(f"real data: {error}") from None


def _groups(folder: Path, files: list[str]) -> list[str]:
    """Whole folder when every file below it is R4, else its R4 subfolders."""
    subfolders = {str(folder / Path(name).relative_to(folder).parts[0]) for name in files}
    everything = [p for p in folder.rglob("*") if p.suffix in (".json", ".ndjson")]
    return [str(folder)] if len(everything) == len(files) else sorted(subfolders)


def _counts(
    collected: Collected, names: re.Pattern[str], on: date, problems: Counter[str], dropped: list[str]
) -> Counter[str]:
    history = read_history(collected, on)
    assessment = assess_history(history, load_definitions()[DEFAULT_ID], on)
    accounted = _accounted_for(history)
    orders = [entry for entry in collected.entries if _names_an_antidepressant(entry, collected, names)]
    for entry in orders:
        reference = f"MedicationRequest/{entry.resource.get('id')}"
        if reference not in accounted:
            dropped.append(f"{reference} ({entry.place})")
    problems.update(_kind(unread.problem) for unread in history.unread)
    read = [p for p in history.prescriptions if p.drug is not None]
    set_aside = len({problem.reference for problem in history.set_aside})
    with_dosage = {
        f"MedicationRequest/{e.resource.get('id')}" for e in orders if e.resource.get("dosageInstruction")
    }
    return Counter(
        {
            "patients": 1,
            "orders": len(orders),
            "drug known": len(read) + set_aside,
            "set aside": set_aside,
            "dose known": sum(p.segments[0].low_mg is not None for p in read if p.segments),
            "with dosage": len(with_dosage),
            "dose known of these": sum(
                p.reference in with_dosage and p.segments[0].low_mg is not None for p in read if p.segments
            ),
            assessment.verdict.value: 1,
        }
    )


def _accounted_for(history: History) -> set[str]:
    used = {prescription.reference for prescription in history.prescriptions}
    listed = {problem.reference for problem in (*history.unread, *history.set_aside)}
    return used | listed


def _names_an_antidepressant(entry: Entry, collected: Collected, names: re.Pattern[str]) -> bool:
    resource = entry.resource
    if resource.get("resourceType") != "MedicationRequest":
        return False
    text = json.dumps([resource.get("medicationCodeableConcept"), resource.get("contained")])
    return bool(names.search(text + json.dumps(_referenced(resource, collected))))


def _referenced(resource: dict[str, Any], collected: Collected) -> list[Any]:
    reference = resource.get("medicationReference")
    target = reference.get("reference") if isinstance(reference, dict) else None
    return [reference] + [
        entry.resource.get("code")
        for entry in collected.entries
        if target and (entry.full_url == target or f"Medication/{entry.resource.get('id')}" == target)
    ]


def _antidepressant_names() -> re.Pattern[str]:
    """Ingredient and brand names of everything that the drug table counts as an antidepressant."""
    import csv

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


def _print_table(rows: list[tuple[Path, Counter[str]]], problems: Counter[str]) -> None:
    columns = (
        "patients",
        "orders",
        "drug known",
        "set aside",
        "dose known",
        "with dosage",
        "dose known of these",
    )
    verdicts = ("met", "not-met", "indeterminate", "excluded")
    print("| files | " + " | ".join((*columns, *verdicts)) + " |")
    print("|" + "---|" * (len(columns) + len(verdicts) + 1))
    total = Counter[str]()
    for folder, row in rows:
        total += row
        print(f"| {folder.name} | " + " | ".join(str(row[key]) for key in (*columns, *verdicts)) + " |")
    print("| all | " + " | ".join(str(total[key]) for key in (*columns, *verdicts)) + " |")
    orders = max(total["orders"], 1)
    print(
        f"\nAntidepressant orders: {total['orders']}; drug known {100 * total['drug known'] / orders:.1f} %, ",
        end="",
    )
    print(
        f"dose known {100 * total['dose known'] / orders:.1f} %; of the {total['with dosage']} that carry a ",
        end="",
    )
    print(f"dosage {100 * total['dose known of these'] / max(total['with dosage'], 1):.1f} %.\n")
    print("| times | commonest reasons for `unread` |\n|---|---|")
    for problem, times in problems.most_common(10):
        print(f"| {times} | {problem} |")


if __name__ == "__main__":
    sys.exit(main())
