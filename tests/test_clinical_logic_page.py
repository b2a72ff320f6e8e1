"""Every figure of docs/clinical-logic.md is what the program answers for the patient whom the page describes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cds_service.agreement_text import agreement_text
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.report import assessment_json
from cds_service.respond import assess_collected, reply
from cds_service.tables.definitions import load_definitions
from cds_service.tables.drugs import load_antidepressants
from cds_service.tables.scales import load_scales
from cds_service.text_report import assessment_text
from cds_service.trd.agreement import needed
from cds_service.trd.model import Assessment
from fhir_fixtures.builders import (
    ICD_10_CM,
    LOINC,
    bundle,
    condition,
    medication_request,
    observation,
    patient,
)
from tests.conftest import ON

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "clinical-logic.md").read_text("utf-8")
CHOSEN = "default-configurable"

Row = dict[str, str]


# --- the page ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@cache
def tables() -> tuple[Table, ...]:
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        header, _, *lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        assert all(len(line) == len(header) for line in lines), header
        found.append(Table(tuple(header), tuple(dict(zip(header, line, strict=True)) for line in lines)))
    return tuple(found)


def rows(*columns: str) -> tuple[Row, ...]:
    """The rows of the one table that begins with these columns."""
    (table,) = (table for table in tables() if table.columns[: len(columns)] == columns)
    return table.rows


def quotes() -> list[str]:
    """The lines that stand as code: what the program says, and commands."""
    return [line.strip() for line in PAGE.splitlines() if line.startswith("    ")]


# --- the patient of its tables ----------------------------------------------------------------------------


def resources() -> list[dict[str, Any]]:
    (person,) = rows("patient")
    made = [patient(_id(person["patient"]), person["born"])]
    for row in rows("condition"):
        code = (ICD_10_CM, row["code"], row["words"])
        onset = row["onset"] or None
        made.append(condition(_id(row["condition"]), code, row["recorded"], onsetDateTime=onset))
    for row in rows("order"):
        made.append(_order(row["order"], row["drug"], row["dosage"], row["first day"], row["last day"]))
    for row in rows("result"):
        code = (LOINC, row["LOINC"])
        made.append(observation(_id(row["result"]), code, int(row["value"]), row["day"]))
    return made


def _order(reference: str, drug: str, dosage: str, first: str, last: str, **more: Any) -> dict[str, Any]:
    return medication_request(_id(reference), drug, dosage, first, last, **more)


def _id(reference: str) -> str:
    return reference.partition("/")[2]


def assessed(of: list[dict[str, Any]], definition_id: str = CHOSEN) -> Assessment:
    entries = tuple(Entry(resource, None, f"entry[{n}].resource") for n, resource in enumerate(of))
    return assess_collected(Collected("p1", entries), definition_id, ON)


@cache
def answer(definition_id: str = CHOSEN) -> Assessment:
    return assessed(resources(), definition_id)


@cache
def answer_json(definition_id: str = CHOSEN) -> dict[str, Any]:
    return json.loads(json.dumps(assessment_json(answer(definition_id))))


@cache
def cards() -> list[dict[str, Any]]:
    return list(reply(answer())["cards"])


def trial(name: str) -> dict[str, Any]:
    (found,) = (one for one in answer_json()["trials"] if one["name"] == name)
    return dict(found)


@cache
def said() -> str:
    """All that the program says of the patient, with single spaces."""
    texts = [assessment_text(answer()), agreement_text(answer())]
    for definition_id in (CHOSEN, "eu-pearl-2022"):
        texts += strings(answer_json(definition_id))
    texts += [card["summary"] + " " + card["detail"] for card in cards()]
    return " ".join(" ".join(texts).split())


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


# --- the record -------------------------------------------------------------------------------------------


def test_the_file_beside_the_page_is_the_patient_of_its_tables() -> None:
    shown = json.loads((DOCS / "clinical-logic-patient.json").read_text("utf-8"))
    assert shown == bundle(*resources())


def test_all_that_the_page_quotes_is_said_by_the_program() -> None:
    quoted = [line for line in quotes() if not line.startswith("trd-cds assess docs/")]
    assert len(quoted) > 12
    assert [line for line in quoted if " ".join(line.split()) not in said()] == []


# --- trials -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["escitalopram", "sertraline", "venlafaxine"])
def test_counted_days(name: str) -> None:
    stretches = [row for row in rows("drug", "days") if row["drug"] == name]
    counted = 0
    for row in stretches:
        first, last = map(date.fromisoformat, row["days"].split(" to "))
        number = int(row["counted days"].split()[0])
        if number:
            assert number == (last - first).days + 1
        elif row["mg/day"] != "none":
            assert float(row["mg/day"]) < float(row["minimum"])
        counted += number
    assert counted == trial(name)["adequateDays"]
    assert float(stretches[0]["minimum"]) == trial(name)["doseMgPerDay"]["minimumAdequate"]


@pytest.mark.parametrize("row", rows("drug", "baseline from"), ids=lambda row: row["drug"])
def test_windows_scores_and_improvement(row: Row) -> None:
    found, rule = trial(row["drug"]), load_definitions()[CHOSEN]
    first, last = date.fromisoformat(found["firstDay"]), date.fromisoformat(found["lastDay"])
    assert row["baseline from"] == str(first - timedelta(rule.baseline_days_before))
    assert row["baseline to"] == str(first + timedelta(rule.baseline_days_after))
    assert row["last from"] == str(first + timedelta(rule.last_score_from_day - 1))
    assert row["last to"] == str(last + timedelta(rule.last_score_days_after))
    assert row["baseline"] == (f"{found['baseline']['value']:g}" if "baseline" in found else "none")
    assert row["last score"] == f"{found['last']['value']:g}"
    improved = found.get("improvementPercent")
    assert row["improvement"] == ("unknown" if improved is None else f"{improved} %")


def test_outcomes_in_words() -> None:
    assert trial("sertraline")["outcome"] == "partial-response"
    assert trial("venlafaxine")["outcome"] == "no-response"
    assert trial("venlafaxine")["hasWorsened"] is True
    assert trial("escitalopram")["outcome"] == "unknown"
    assert trial("sertraline")["adherence"] == "unknown"
    assert trial("venlafaxine")["beside"][0]["overlapDays"] == 59
    assert trial("venlafaxine")["beside"][0]["adequate"] == "met"


# --- verdicts ---------------------------------------------------------------------------------------------


def test_criteria() -> None:
    reasons = [(r["criterion"], r["answer"], r["why"]) for r in rows("criterion")]
    assert reasons == [(r["criterion"], r["answer"], r["text"]) for r in answer_json()["reasons"]]
    assert answer_json()["verdict"] == "met"


def test_every_definition() -> None:
    views = [(CHOSEN, answer())] + [(v.definition_id, v.judgement) for v in answer().other_views]
    shown = {
        row["definition"]: (
            row["verdict"],
            float(row["at least"]),
            float(row["at most"]),
            float(row["needed"]),
        )
        for row in rows("definition", "verdict")
    }
    assert shown == {
        id: (one.verdict.value, one.failed_at_least, one.failed_at_most, needed(one.definition))
        for id, one in views
    }


MORE = {
    "nothing (as it is)": None,
    "5 mg a day": ("escitalopram 5 mg tablet", None, None),
    "10 mg a day": ("escitalopram 10 mg tablet", None, None),
    "10 mg a day, PHQ-9 21 on 2025-06-18": ("escitalopram 10 mg tablet", 21, None),
    "10 mg a day, PHQ-9 27 on 2025-06-18": ("escitalopram 10 mg tablet", 27, None),
    "10 mg a day, stopped for lack of effect": ("escitalopram 10 mg tablet", None, "lack of effect"),
    "10 mg a day, stopped for side effects": ("escitalopram 10 mg tablet", None, "side effects"),
}


@pytest.mark.parametrize(
    "row", rows("what else the record says of escitalopram"), ids=lambda row: next(iter(row.values()))
)
def test_what_would_resolve_it(row: Row) -> None:
    changed = _with_more(MORE[row["what else the record says of escitalopram"]])
    by_default = assessed(changed)
    low, high = by_default.failed_at_least, by_default.failed_at_most
    assert assessed(changed, "eu-pearl-2022").verdict.value == row["eu-pearl-2022"]
    assert by_default.verdict.value == row["default-configurable"]
    assert row["failed under the default"] == (f"{low}" if low == high else f"{low} to {high}")


def _with_more(more: tuple[str, int | None, str | None] | None) -> list[dict[str, Any]]:
    if more is None:
        return resources()
    drug, baseline, reason = more
    stopped = {"status": "stopped", "statusReason": {"text": reason}} if reason else {}
    order = _order(
        "MedicationRequest/rx1", drug, "Take 1 tablet by mouth daily", "2025-06-20", "2025-08-20", **stopped
    )
    score = [observation("ob0", (LOINC, "44261-6"), baseline, "2025-06-18")] if baseline else []
    return [order if resource["id"] == "rx1" else resource for resource in resources()] + score


def test_improvements_that_would_resolve_it() -> None:
    for baseline, percent in ((21, 4.8), (27, 25.9)):
        found = assessment_json(assessed(_with_more(("escitalopram 10 mg tablet", baseline, None))))
        assert found["trials"][0]["improvementPercent"] == percent
        assert f"From {baseline} to 20 is {percent} % better" in PAGE


# --- around the verdict -----------------------------------------------------------------------------------


def test_staging_items() -> None:
    shown = [
        (row["method"], row["item"], float(row["lowest"]), float(row["highest"]))
        for row in rows("method", "item")
    ]
    found = [
        (method, item["name"], item["low"], item["high"])
        for method, staging in answer_json()["staging"].items()
        for item in staging["items"]
    ]
    assert sorted(shown) == sorted(found)


def test_staging_results() -> None:
    staging = answer_json()["staging"]
    assert len(rows("method", "lowest")) == len(staging)
    for row in rows("method", "lowest"):
        low, high = staging[row["method"]]["low"], staging[row["method"]]["high"]
        assert (float(row["lowest"]), row["of the lowest"]) == (low["points"], low["text"])
        assert (float(row["highest"]), row["of the highest"]) == (high["points"], high["text"])
    (weeks,) = staging["esm-souery"]["items"]
    assert weeks["text"].startswith("29.3 to 38.1 weeks")


def test_next_steps() -> None:
    shown = {row["level"]: set(row["options"].split("; ")) for row in rows("level")}
    found: dict[str, set[str]] = {}
    for step in answer_json()["nextSteps"]:
        found.setdefault(step["level"], set()).add(step["option"])
    assert shown == found
    assert answer_json()["stage"] == "treatment-resistant"


def test_the_cards() -> None:
    assert [card["indicator"] for card in cards()] == ["critical", "warning"]
    assert all(card["summary"] in quotes() for card in cards())


# --- the numbers ------------------------------------------------------------------------------------------


def test_numbers_of_the_definition() -> None:
    keyed = [row for row in rows("what") if "_" in row["key"]]
    definition = load_definitions()[CHOSEN]
    assert len(keyed) == 17
    for row in keyed:
        assert float(row["number"]) == getattr(definition, row["key"].strip("`")), row["what"]


def test_numbers_of_the_tables() -> None:
    numbers = {row["what"]: row["number"] for row in rows("what")}
    drugs, definitions = load_antidepressants(), load_definitions()
    for name in ("escitalopram", "sertraline", "venlafaxine"):
        least = drugs[name].drug.minimum_mg["default"]
        assert float(numbers[f"{name}, least mg a day"]) == least
    with files("cds_service.tables").joinpath("augmentation.csv").open(encoding="utf-8") as table:
        (aripiprazole,) = (row for row in csv.DictReader(table) if row["agent"] == "aripiprazole")
    assert numbers["aripiprazole, least mg a day"] == aripiprazole["min_effective_mg"]
    assert numbers["aripiprazole, least weeks"] == aripiprazole["min_weeks"]
    assert aripiprazole["min_weeks_source"].startswith("recalled, unverified")
    (phq9,) = (known.scale for known in load_scales() if known.scale.name == "PHQ-9")
    assert float(numbers["PHQ-9 in remission at most"]) == phq9.remission_at_most
    for id, what in (("msm", "Maudsley"), ("mgh-s", "MGH-S")):
        staging = definitions[id].staging
        assert staging is not None
        assert float(numbers[f"{what}, resistant from (points)"]) == staging.met_from
    pearl = definitions["eu-pearl-2022"]
    assert float(numbers["eu-pearl-2022: failure below, in percent"]) == pearl.nonresponse_below_percent
    assert float(numbers["eu-pearl-2022: length of a trial, in days"]) == pearl.minimum_days


def test_no_date_stands_in_the_page_that_is_not_accounted_for() -> None:
    rule = load_definitions()[CHOSEN]
    known = set(
        re.findall(
            r"\d{4}-\d\d-\d\d", said() + json.dumps(resources()) + json.dumps(rows("drug", "baseline from"))
        )
    )
    ago = (rule.lookback_days, rule.suicidality_window_days, rule.suicidality_acute_days, 0)
    known |= {str(ON - timedelta(days)) for days in ago}
    gap = {"2025-10-21", "2025-10-30"}  # the days between two sertraline orders
    asked = {"2025-06-18"}  # the score that the record lacks
    assert set(re.findall(r"\d{4}-\d\d-\d\d", PAGE)) - known == gap | asked


def test_what_is_worked_out_in_sentences() -> None:
    days = {name: trial(name)["adequateDays"] for name in ("escitalopram", "sertraline", "venlafaxine")}
    long = days["sertraline"] + days["venlafaxine"]
    longest = long + days["escitalopram"]
    gap = (date(2025, 10, 30) - date(2025, 10, 21)).days + 1
    since = (ON - date(2026, 6, 22)).days
    staging = answer_json()["staging"]
    msm = [[f"{item[end]:g}" for item in staging["msm"]["items"]] for end in ("low", "high")]
    for sentence in (
        f"43 + 32 = {days['sertraline']} adequate days",
        f"Escitalopram has {days['escitalopram']} days",
        f"That is\n{gap} days, so all three sertraline orders are one exposure",
        f"{days['sertraline']} + {days['venlafaxine']} = {long} days are {long / 7:.1f} weeks",
        f"with the {days['escitalopram']} days of escitalopram {longest} days, {longest / 7:.1f} weeks",
        f"2026-06-22 is {since} days ago: acute",
        f"The patient is {answer().age_years} years old",
        f"6 weeks, which is {load_definitions()[CHOSEN].minimum_days} days",
        f"28 days in February and 31 in March, {trial('venlafaxine')['beside'][0]['overlapDays']} days together",
        "2025-06-01 to 2026-06-30 is 12 months and 29 days: the 13th month has begun",
        f"{' + '.join(msm[0])} = {staging['msm']['low']['points']:g}",
        f"{' + '.join(msm[1])} = {staging['msm']['high']['points']:g}",
    ):
        assert sentence in PAGE
    assert staging["msm"]["items"][0]["text"].startswith("13 months")
    # Each share of hundred is a threshold or an improvement.
    percents = {float(number) for number in re.findall(r"(\d+(?:\.\d)?) %", PAGE)}
    assert percents == {25, 50, 30, 14.3, 4.8, 25.9}
