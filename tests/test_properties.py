"""Properties that hold for any record: nothing crashes, and what says nothing changes nothing.

The fixture patients are mutated: elements deleted or replaced by nonsense, entries shuffled, copied,
split, or moved in time.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.respond import assess_collected, reply
from cds_service.trd.model import Assessment, Verdict
from fhir_fixtures import Vignette, vignettes
from tests.conftest import examples

DEFAULT = "default-configurable"
VIGNETTES = vignettes()
FULL_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(T.*)?")
OWN_STATUS = {"MedicationRequest": "entered-in-error", "Observation": "entered-in-error"}

thorough = settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
quick = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
patients = st.sampled_from(VIGNETTES)


def rows_of(vignette: Vignette) -> list[dict[str, Any]]:
    """A copy of the entries of its Bundle that a test may change."""
    rows: list[dict[str, Any]] = copy.deepcopy(vignette.bundle["entry"])
    return rows


def collect(vignette: Vignette, rows: list[dict[str, Any]]) -> Collected:
    entries = tuple(
        Entry(row["resource"], row.get("fullUrl"), f"entry[{number}].resource")
        for number, row in enumerate(rows)
    )
    return Collected(vignette.patient_id.removeprefix("Patient/"), entries)


def assess(vignette: Vignette, rows: list[dict[str, Any]], on: date | None = None) -> Assessment:
    return assess_collected(collect(vignette, rows), DEFAULT, on or on_of(vignette))


def on_of(vignette: Vignette) -> date:
    return date.fromisoformat(vignette.expected["on"])


def decision(assessment: Assessment) -> tuple[Any, ...]:
    """What a reader of the card would notice: the verdict, the counts and each trial's answer."""
    trials = sorted((t.trial.name, t.failed.answer.value, t.trial.adequate_days) for t in assessment.trials)
    counts = assessment.failed_at_least, assessment.failed_at_most
    return assessment.verdict, counts, trials, assessment.safety.answer


# --- mutations ----------------------------------------------------------------------------------------

Path = tuple[str | int, ...]

nonsense = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**30), -1, 0, 0.5]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "2024-13-45",
            "not-a-date",
            "2025",
            "0000-00-00",
            "9999-12-31",
            "0001-01-01",
            "#",
            "Patient/",
        ]
    ),
    st.sampled_from([[], {}, [None], [[]], {"": {}}, {"coding": [None]}, {"value": "1"}, {"reference": 1}]),
    st.recursive(
        st.none(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner)
    ),
)


def paths_in(value: Any, before: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value, the outermost first."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, member in members:
        yield (*before, step)
        yield from paths_in(member, (*before, step))


def parent_of(value: Any, path: Path) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value


def draw_place(data: st.DataObject, rows: list[dict[str, Any]]) -> tuple[dict[str, Any], Path]:
    """One place in one resource, any depth alike."""
    row = data.draw(st.sampled_from(rows), label="entry")
    path = data.draw(st.sampled_from(list(paths_in(row["resource"])) or [("resourceType",)]), label="path")
    return row["resource"], path


@thorough
@given(data=st.data(), vignette=patients, number=st.integers(1, 4))
def test_no_mutation_makes_it_crash(data: st.DataObject, vignette: Vignette, number: int) -> None:
    rows = rows_of(vignette)
    for _ in range(number):
        resource, path = draw_place(data, rows)
        parent = parent_of(resource, path)
        if data.draw(st.booleans(), label="delete"):
            parent.pop(path[-1], None) if isinstance(parent, dict) else parent.pop(path[-1])
        else:
            parent[path[-1]] = copy.deepcopy(data.draw(nonsense, label="nonsense"))
    assessment = assess_collected(collect(vignette, rows), DEFAULT, on_of(vignette))
    assert isinstance(assessment.verdict, Verdict)
    json.dumps(reply(assessment), allow_nan=False)


resources = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@quick
@given(
    resource_type=st.sampled_from(
        ["Patient", "MedicationRequest", "Observation", "Condition", "Medication", "X"]
    ),
    body=st.dictionaries(
        st.sampled_from(
            [
                "code",
                "status",
                "subject",
                "valueQuantity",
                "component",
                "hasMember",
                "effectiveDateTime",
                "meta",
                "id",
            ]
        ),
        resources,
    ),
)
def test_no_resource_makes_it_crash(resource_type: str, body: dict[str, Any]) -> None:
    resource = {"subject": {"reference": "Patient/p1"}, **body, "resourceType": resource_type}
    entries = (Entry(resource, None, "a"), Entry(resource, None, "b"), Entry(body, None, "c"))
    assess_collected(Collected("p1", entries), DEFAULT, date(2026, 6, 30))


WRONG_TYPE = st.sampled_from([{"unexpected": 1}, [[1]], {"value": [1]}])


@thorough
@given(data=st.data(), vignette=patients)
def test_a_value_of_the_wrong_type_never_turns_one_sure_verdict_into_another(
    data: st.DataObject, vignette: Vignette
) -> None:
    rows = rows_of(vignette)
    before = assess(vignette, rows).verdict
    resource, path = draw_place(data, rows)
    parent_of(resource, path)[path[-1]] = copy.deepcopy(data.draw(WRONG_TYPE, label="wrong type"))
    assert assess(vignette, rows).verdict in (before, Verdict.INDETERMINATE)


# --- what says nothing changes nothing ----------------------------------------------------------------


@quick
@given(data=st.data(), vignette=patients)
def test_the_order_of_entries_says_nothing(data: st.DataObject, vignette: Vignette) -> None:
    rows = rows_of(vignette)
    shuffled = data.draw(st.permutations(rows))
    assert decision(assess(vignette, shuffled)) == decision(assess(vignette, rows))


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: vignette.name)
def test_copies_entered_in_error_say_nothing(vignette: Vignette) -> None:
    rows = rows_of(vignette)
    copies = [voided(row["resource"], number) for number, row in enumerate(rows)]
    with_copies = [*rows, *({"resource": resource} for resource in copies if resource)]
    assert len(with_copies) > len(rows)
    assert decision(assess(vignette, with_copies)) == decision(assess(vignette, rows))


def voided(resource: dict[str, Any], number: int) -> dict[str, Any] | None:
    """The same, entered in error, under another id."""
    kind = resource["resourceType"]
    if kind == "Condition":
        error = {"coding": [{"code": "entered-in-error"}]}
        return copy.deepcopy(resource) | {
            "id": f"void{number}",
            "verificationStatus": error,
            "clinicalStatus": None,
        }
    if kind in OWN_STATUS:
        return copy.deepcopy(resource) | {"id": f"void{number}", "status": OWN_STATUS[kind]}
    return None


@pytest.mark.parametrize("vignette", VIGNETTES, ids=lambda vignette: vignette.name)
def test_irrelevant_resources_say_nothing(vignette: Vignette) -> None:
    rows = rows_of(vignette)
    assert decision(assess(vignette, [*irrelevant(vignette), *rows])) == decision(assess(vignette, rows))


def irrelevant(vignette: Vignette) -> Iterator[dict[str, Any]]:
    subject = {
        "reference": vignette.patient_id if "/" in vignette.patient_id else f"Patient/{vignette.patient_id}"
    }
    pressure = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    ice = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10"}]}
    yield {"resource": {"resourceType": "Encounter", "id": "irrelevant1", "subject": subject}}
    yield {
        "resource": {"resourceType": "Observation", "id": "irrelevant2", "subject": subject, "code": pressure}
    }
    yield {"resource": {"resourceType": "Condition", "id": "irrelevant3", "subject": subject, "code": ice}}
    for number, kind in enumerate(("MedicationRequest", "Observation", "Condition")):
        theirs = {
            "resourceType": kind,
            "id": f"theirs{number}",
            "subject": {"reference": "Patient/somebody-else"},
        }
        yield {"resource": theirs}


@quick
@given(vignette=patients, weeks=st.integers(-500, 500))
def test_moving_every_date_together_with_today_changes_nothing(vignette: Vignette, weeks: int) -> None:
    days = timedelta(weeks=weeks)
    moved = moved_by(days, rows_of(vignette))
    assert decision(assess(vignette, moved, on_of(vignette) + days)) == decision(
        assess(vignette, rows_of(vignette))
    )


def moved_by(days: timedelta, value: Any) -> Any:
    """The JSON value with every full date in it moved; times of day stay."""
    if isinstance(value, dict):
        return {name: moved_by(days, member) for name, member in value.items()}
    if isinstance(value, list):
        return [moved_by(days, member) for member in value]
    found = FULL_DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    return (date.fromisoformat(found[1]) + days).isoformat() + (found[2] or "")


@thorough
@given(data=st.data(), vignette=patients)
def test_splitting_an_order_into_refills_changes_nothing(data: st.DataObject, vignette: Vignette) -> None:
    rows = rows_of(vignette)
    parts = [part for row in rows for part in refills(data, row)]
    assert decision(assess(vignette, parts)) == decision(assess(vignette, rows))


def refills(data: st.DataObject, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Two orders, one after the other, in place of one whose days are a period and nothing else."""
    period = period_of(row["resource"])
    if period is None:
        return [row]
    first, last = (date.fromisoformat(period[name][:10]) for name in ("start", "end"))
    if last <= first or not data.draw(st.booleans(), label="split"):
        return [row]
    days_before = data.draw(st.integers(0, (last - first).days - 1), label="days of the first refill")
    middle = first + timedelta(days=days_before)
    return [
        refilled(row, "a", first, middle),
        refilled(row, "b", middle + timedelta(days=1), last),
    ]


def refilled(row: dict[str, Any], suffix: str, first: date, last: date) -> dict[str, Any]:
    resource = copy.deepcopy(row["resource"])
    resource["id"] += suffix
    period = period_of(resource)
    assert period is not None
    period.update(start=first.isoformat(), end=last.isoformat())
    return {"resource": resource}


def period_of(resource: dict[str, Any]) -> dict[str, str] | None:
    """The period of a completed order with one instruction, no supply and no reason for stopping."""
    dosages = resource.get("dosageInstruction", [])
    is_plain = resource["resourceType"] == "MedicationRequest" and len(dosages) == 1
    if not is_plain or resource.get("dispenseRequest") or resource.get("statusReason"):
        return None
    period = dosages[0].get("timing", {}).get("repeat", {}).get("boundsPeriod", {})
    return period if {"start", "end"} <= period.keys() else None
