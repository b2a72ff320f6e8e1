"""Patients written as readable tables → a `History`, with the drugs and scales of the project's own tables.

    born 1980-01-01

    order       | first_day  | last_day   | mg_per_day | stop
    sertraline  | 2025-09-01 | 2025-11-24 | 100        |

    score | day        | total
    PHQ-9 | 2025-08-28 | 19

    diagnosis | role       | recorded   | severity
    mdd       | depression | 2024-11-01 | moderate

The first cell of a header tells what its rows are: order, add_on, score, unread_score, diagnosis, procedure,
reaction, suicide_item, measurement, unread, set_aside. Columns that a table leaves out have their usual value.

An order whose name is a ditto mark (") is another stretch of days of the order above. `source` tells of a record
that is no order (dispensed, administered, stated, denied), `fulfils` the numbers of the orders it names; such
records are reconciled with the orders as those of a server are, on the day `on`. A line `not_looked_at` names
sources, one `fills not all known` that more may have been dispensed. An add-on without a least dose in its row
is that of the project's table, an agent it does not have is one nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

from cds_service.tables.add_ons import augmenting_agent
from cds_service.tables.conditions import confounder
from cds_service.tables.drugs import load_antidepressants
from cds_service.tables.scales import load_scales
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.record import (
    AddOn,
    Diagnosis,
    DiagnosisRole,
    Domain,
    DoseSegment,
    Drug,
    History,
    Measurement,
    Prescription,
    Procedure,
    ProcedureKind,
    Reaction,
    Scale,
    Score,
    Source,
    StopReason,
    SuicideItem,
    Topic,
    Unread,
    UnreadScore,
)
from cds_service.trd.sources import reconcile
from tests.conftest import ON
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


def patient(text: str, on: date = ON) -> History:
    """The history that the tables tell. A patient without a diagnosis table has a confirmed depression."""
    born: tuple[date | None, date | None] = (date(1980, 1, 1), date(1980, 1, 1))
    values: dict[str, tuple[Any, ...]] = {"diagnoses": (DEPRESSED,)}
    knows_all_fills = True
    for block in _blocks(text):
        first, _, rest = block.partition(" ")
        if first == "born":
            earliest, _, latest = rest.partition(" to ")
            born = _day(earliest), _day(latest or earliest)
        elif first == "not_looked_at":
            values[first] = tuple(rest.split(", "))
        elif block == "fills not all known":
            knows_all_fills = False
        else:
            name, read = _READERS[first]
            values[name] = tuple(_read_rows(read, rows(block)))
    for name in ("prescriptions", "add_ons"):
        records = values.get(name, ())
        if any(record.source is not Source.ORDERED for record in records):
            values[name] = reconcile(records, on, knows_all_fills=knows_all_fills)
    return History("Patient/p1", born_earliest=born[0], born_latest=born[1], **values)


def _read_rows(read: Callable[[int, dict[str, str]], Any], cells: list[dict[str, str]]) -> Iterator[Any]:
    values: list[Any] = []
    for row in cells:
        if next(iter(row.values())) == '"':
            values[-1] = replace(values[-1], segments=(*values[-1].segments, *_segments(row)))
        else:
            values.append(read(len(values) + 1, row))
    return iter(values)


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
    return _prescription(str(number), known.drug if known else None, row["order"], row)


def _add_on(number: int, row: dict[str, str]) -> Prescription:
    """The least dose and length may stand in the row, so that a reader sees what the case is about."""
    name = row["add_on"]
    if "least_mg" not in row and "class" not in row:
        agent = augmenting_agent(frozenset({name}))
        return _prescription(f"a{number}", agent.row.drug if agent else None, name, row)
    days = row.get("least_days")
    add_on = AddOn(int(days) if days else None)
    least = _same(float(row.get("least_mg") or 1))
    drug = Drug(name, name, None, row.get("class") or "SGA", "add-on", least, add_on=add_on)
    return _prescription(f"a{number}", drug, name, row)


def _same(mg: float) -> dict[str, float]:
    return {"lenient": mg, "default": mg, "strict": mg}


_RESOURCES = {
    "ordered": (Source.ORDERED, "MedicationRequest"),
    "dispensed": (Source.DISPENSED, "MedicationDispense"),
    "administered": (Source.ADMINISTERED, "MedicationAdministration"),
    "stated": (Source.STATED, "MedicationStatement"),
    "denied": (Source.STATED, "MedicationStatement"),
}


def _prescription(number: str, drug: Drug | None, name: str, row: dict[str, str]) -> Prescription:
    source, resource = _RESOURCES[row.get("source") or "ordered"]
    segments = _segments(row)
    use = Answer(row.get("use") or "met")
    return Prescription(
        reference=f"{resource}/{number}",
        drug=drug,
        name=name,
        segments=segments,
        treats_depression=Finding("use", use, row.get("use_text") or "stated use"),
        stop_reason=StopReason(row.get("stop") or "none given"),
        stop_text=row.get("stop_text") or "",
        authored=_day(row.get("authored") or "") or segments[0].first_day,
        source=source,
        fulfils=tuple(f"MedicationRequest/{n}" for n in row.get("fulfils", "").split()),
        is_denial=row.get("source") == "denied",
        has_stated_use=row.get("states_use") == "yes",
        stated_end=_day(row.get("stated_end") or ""),
        total_mg=float(row["total_mg"]) if row.get("total_mg") else None,
        has_derived_dose=row.get("dose") == "derived",
        dose_text=row.get("dose_text") or "",
        assumed=row.get("assumed") or "",
        named_by=row.get("named_by") or "",
    )


def _segments(row: dict[str, str]) -> tuple[DoseSegment, ...]:
    low, high = _dose(row["mg_per_day"])
    first, last = _certain_day(row["first_day"]), _certain_day(row["last_day"])
    return (DoseSegment(first, last, low, high, row.get("days") != "uncertain"),)


def _score(number: int, row: dict[str, str]) -> Score:
    return Score(_scale(row["score"]), _certain_day(row["day"]), float(row["total"]), f"Observation/{number}")


def _scale(name: str) -> Scale:
    return {known.scale.name: known.scale for known in load_scales()}[name]


def _unread_score(number: int, row: dict[str, str]) -> UnreadScore:
    name = row["unread_score"]
    scale = None if name == "?" else _scale(name)
    return UnreadScore(f"Observation/u{number}", scale, _day(row["first_day"]), _day(row["last_day"]))


def _unread(_number: int, row: dict[str, str]) -> Unread:
    topics = tuple(Topic(topic) for topic in row.get("topics", "").split())
    return Unread(next(iter(row.values())), row["problem"], topics)


def _diagnosis(number: int, row: dict[str, str]) -> Diagnosis:
    """`ended` is the day it abated; what is to be checked first is so by the project's table."""
    return Diagnosis(
        role=DiagnosisRole(row["role"]),
        category=row["diagnosis"],
        text=row.get("text") or row["diagnosis"].replace("_", " "),
        holds=Answer(row.get("holds") or "met"),
        recorded=_day(row.get("recorded") or "2024-11-01"),
        ended=_day(row.get("ended") or ""),
        reference=f"Condition/{number}",
        is_current=Answer(row.get("is_current") or "met"),
        severity=row.get("severity") or "",
        onset=_day(row.get("onset") or ""),
        check_first=confounder(row["diagnosis"]).check_first,
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
        reference=f"{row.get('resource') or 'AdverseEvent'}/{number}",
        recorded=_day(row.get("recorded") or ""),
    )


def _suicide_item(number: int, row: dict[str, str]) -> SuicideItem:
    value = row["value"]
    return SuicideItem(
        f"{row['suicide_item']} item on thoughts of death or self-harm",
        _day(row["day"]),
        None if value == "?" else float(value),
        f"Observation/s{number}",
        _day(row.get("first_possible_day") or ""),
        _day(row.get("last_possible_day") or ""),
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
        use=row.get("use") or "",
        code=row.get("code") or "",
    )


_READERS: dict[str, tuple[str, Callable[[int, dict[str, str]], Any]]] = {
    "order": ("prescriptions", _order),
    "add_on": ("add_ons", _add_on),
    "score": ("scores", _score),
    "unread_score": ("unread_scores", _unread_score),
    "unread": ("unread", _unread),
    "set_aside": ("set_aside", _unread),
    "diagnosis": ("diagnoses", _diagnosis),
    "procedure": ("procedures", _procedure),
    "reaction": ("reactions", _reaction),
    "suicide_item": ("suicide_items", _suicide_item),
    "measurement": ("measurements", _measurement),
}
