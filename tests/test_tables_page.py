"""The tables' README names every table, with its number of rows."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

TABLES = Path(__file__).resolve().parent.parent / "cds_service" / "tables"
README = (TABLES / "README.md").read_text("utf-8")


def stated() -> dict[str, int]:
    rows: dict[str, int] = {}
    for names, numbers in re.findall(r"^\| (`.*?`) \| ([\d, ]+) \|", README, re.MULTILINE):
        rows |= zip(re.findall(r"`(.+?)`", names), map(int, numbers.split(", ")), strict=True)
    return rows


def counted() -> dict[str, int]:
    rows = {}
    for table in TABLES.glob("*.csv"):
        with table.open(encoding="utf-8", newline="") as lines:
            rows[table.name] = sum(1 for _ in csv.DictReader(lines))
    for table in TABLES.glob("*.json"):
        rows[table.name] = len(json.loads(table.read_text("utf-8"))["definitions"])
    return rows


def test_every_table_is_listed_with_its_rows() -> None:
    assert stated() == counted()
