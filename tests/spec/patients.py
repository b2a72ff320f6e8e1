"""Patients written as readable tables → a `History`, with the drugs and scales of the project's own tables.

    born 1980-01-01

    order       | first_day  | last_day   | mg_per_day | stop
    sertraline  | 2025-09-01 | 2025-11-24 | 100        |

    score | day        | total
    PHQ-9 | 2025-08-28 | 19

    diagnosis | role       | recorded   | severity
    mdd       | depression | 2024-11-01 | moderate

The first cell of a header tells what its rows are: order, add_on, score, diagnosis, procedure, reaction,
suicide_item, measurement. Columns that a table leaves out have their usual value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from cds_service.tables.drugs import load_antidepressants
from cds_service.tables.scales import load_scales
from cds_service.trd.model import (
    AddOn,
    Answer,
    Diagnosis,
    DiagnosisRole,
    Domain,
    DoseSegment,
    Drug,
    Finding,
    History,
    Measurement,
    Prescription,
    Procedure,
    ProcedureKind,
    Reaction,
    Score,
    StopReason,
    SuicideItem,
)
from tests.spec.texttables import rows

DEPRESSED = Diagnosis(
    DiagnosisRole.DEPRESSION,
    "mdd",
    "Major depressive disorder",
    Answer.MET,
    date(2024, 11, 1),
    None,
    "Condition/mdd",
)


def patient(text: str) -> History:
    """The history that the tables tell. A patient without a diagnosis table has a confirmed depression."""
    born: date | None = date(1980, 1, 1)
    values: dict[str, tuple[Any, ...]] = {"diagnoses": (DEPRESSED,)}
    for block in _blocks(text):
        first = block.split(maxsplit=1)
        if first[0] == "born":
            born = _day(first[1])
            continue
        name, read = _READERS[first[0]]
        values[name] = tuple(read(number, row) for number, row in enumerate(rows(block), 1))
    return History("Patient/p1", born_earliest=born, born_latest=born, **values)


def _blocks(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.strip().splitlines()]
    for block in "\n".join(lines).split("\n\n"):
        if block.strip():
            yield block.strip()


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text not in ("", "?") else None


def _certain_day(text: str) -> date:
    return date.fromisoformat(text)


def _dose(text: str) -> tuple[float | None, float | None]:
    if text == "?":
        return None, None
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def _order(number: int, row: dict[str, str]) -> Prescription:
    known = load_antidepressants().get(row["order"])
    return _prescription(f"MedicationRequest/{number}", known.drug if known else None, row["order"], row)


def _add_on(number: int, row: dict[str, str]) -> Prescription:
    """The least dose and length stand in the row, so that a reader sees what the case is about."""
    name, least = row["add_on"], float(row.get("least_mg") or 1)
    days = row.get("least_days")
    add_on = AddOn(int(days) if days else None)
    drug = Drug(name, name, None, row.get("class") or "SGA", "add-on", _same(least), add_on=add_on)
    return _prescription(f"MedicationRequest/a{number}", drug, name, row)


def _same(mg: float) -> dict[str, float]:
    return {"lenient": mg, "default": mg, "strict": mg}


def _prescription(reference: str, drug: Drug | None, name: str, row: dict[str, str]) -> Prescription:
    low, high = _dose(row["mg_per_day"])
    first, last = _certain_day(row["first_day"]), _certain_day(row["last_day"])
    return Prescription(
        reference=reference,
        drug=drug,
        name=name,
        segments=(DoseSegment(first, last, low, high, row.get("days") != "uncertain"),),
        treats_depression=Finding("use", Answer(row.get("use") or "met"), "stated use"),
        stop_reason=StopReason(row.get("stop") or "none given"),
        authored=first,
    )


def _score(number: int, row: dict[str, str]) -> Score:
    scale = next(known.scale for known in load_scales() if known.scale.name == row["score"])
    return Score(scale, _certain_day(row["day"]), float(row["total"]), f"Observation/{number}")


def _diagnosis(number: int, row: dict[str, str]) -> Diagnosis:
    return Diagnosis(
        role=DiagnosisRole(row["role"]),
        category=row["diagnosis"],
        text=row["diagnosis"].replace("_", " "),
        holds=Answer(row.get("holds") or "met"),
        recorded=_day(row.get("recorded") or "2024-11-01"),
        ended=None,
        reference=f"Condition/{number}",
        is_current=Answer(row.get("is_current") or "met"),
        severity=row.get("severity") or "",
        onset=_day(row.get("onset") or ""),
    )


def _procedure(number: int, row: dict[str, str]) -> Procedure:
    return Procedure(
        kind=ProcedureKind(row["procedure"]),
        text=row["procedure"],
        first_day=_day(row["first_day"]),
        last_day=_day(row.get("last_day") or row["first_day"]),
        holds=Answer(row.get("holds") or "met"),
        reference=f"Procedure/{number}",
        is_bilateral=Answer(row.get("bilateral") or "unknown"),
    )


def _reaction(number: int, row: dict[str, str]) -> Reaction:
    return Reaction(
        agent=row["reaction"],
        text=row.get("text") or "nausea",
        day=_day(row["day"]),
        holds=Answer(row.get("holds") or "met"),
        reference=f"AdverseEvent/{number}",
    )


def _suicide_item(number: int, row: dict[str, str]) -> SuicideItem:
    value = row["value"]
    name = f"{row['suicide_item']} item on thoughts of death or self-harm"
    return SuicideItem(
        name, _day(row["day"]), None if value == "?" else float(value), f"Observation/s{number}"
    )


def _measurement(number: int, row: dict[str, str]) -> Measurement:
    limit = row.get("unimpaired_at_most")
    return Measurement(
        name=row["measurement"],
        domain=Domain(row["domain"]),
        day=_certain_day(row["day"]),
        value=float(row["value"]),
        unit=row.get("unit") or "",
        reference=f"Observation/m{number}",
        unimpaired_at_most=float(limit) if limit else None,
        source="recalled, unverified",
    )


_READERS: dict[str, tuple[str, Callable[[int, dict[str, str]], Any]]] = {
    "order": ("prescriptions", _order),
    "add_on": ("add_ons", _add_on),
    "score": ("scores", _score),
    "diagnosis": ("diagnoses", _diagnosis),
    "procedure": ("procedures", _procedure),
    "reaction": ("reactions", _reaction),
    "suicide_item": ("suicide_items", _suicide_item),
    "measurement": ("measurements", _measurement),
}
