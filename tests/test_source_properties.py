"""Properties of histories told by several sources, whatever they hold: nothing is lost, nothing counts twice.

The people of `heldout/test_sources.py`, mixed, thinned out, copied and damaged.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.medication_requests import read_medication_requests
from cds_service.report import assessment_json, trial_sentence, without_empty
from cds_service.respond import assess_history
from cds_service.tables.definitions import DEFAULT_ID, load_definitions
from cds_service.trd.model import Assessment, Verdict
from cds_service.trd.record import History
from fhir_fixtures.builders import Resource
from tests.conftest import ON
from tests.contract.replies import validator
from tests.heldout.test_sources import BACKGROUND, PEOPLE
from tests.test_properties import decision, nonsense, parent_of, paths_in

RECORDS = ("MedicationDispense", "MedicationStatement", "MedicationAdministration")
OTHER_DRUG = "fills of another drug"
people = st.sampled_from(PEOPLE)
many = partial(settings, deadline=None, suppress_health_check=list(HealthCheck))


def history(resources: list[Resource]) -> History:
    entries = tuple(Entry(resource, None, f"entry[{at}]") for at, resource in enumerate(resources))
    return read_history(Collected("p1", entries), ON)


def assess(resources: list[Resource]) -> Assessment:
    return assess_history(history(resources), load_definitions()[DEFAULT_ID], ON)


def reference(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


@st.composite
def mixed(draw: st.DrawFn) -> list[Resource]:
    """The records of one to three people in one chart, under ids of their own."""
    chosen = draw(st.lists(people, min_size=1, max_size=3, unique_by=lambda person: person.name))
    records: list[Resource] = []
    for number, person in enumerate(chosen):
        if person.name == OTHER_DRUG:
            continue
        text = json.dumps(person.records)
        ids = {r["id"] for r in person.records if r["resourceType"] != "Medication"}
        for id in ids:
            text = text.replace(f'"id": "{id}"', f'"id": "{number}-{id}"')
            text = text.replace(f'"MedicationRequest/{id}"', f'"MedicationRequest/{number}-{id}"')
        records += json.loads(text)
    return records


def accounted_for(told: History) -> set[str]:
    used = {name for each in told.prescriptions for name in each.references}
    return used | {entry.reference for entry in (*told.unread, *told.set_aside)}


def of_a_drug(records: list[Resource]) -> set[str]:
    return {reference(r) for r in records if r["resourceType"] in (*RECORDS, "MedicationRequest")}


@many(max_examples=300)
@given(mixed())
def test_every_record_ends_somewhere(records: list[Resource]) -> None:
    assert of_a_drug(records) <= accounted_for(history(records))


@many(max_examples=150)
@given(mixed(), st.data())
def test_the_order_of_resources_never_matters(records: list[Resource], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(records))
    told, again = assess([*BACKGROUND, *records]), assess([*BACKGROUND, *shuffled])
    assert [trial_sentence(judged) for judged in again.trials] == [trial_sentence(j) for j in told.trials]
    assert decision(again) == decision(told)


@many(max_examples=150)
@given(mixed(), st.data())
def test_a_resource_given_twice_changes_nothing(records: list[Resource], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(records), max_size=3)) if records else []
    told = assess([*BACKGROUND, *records])
    assert decision(assess([*again, *BACKGROUND, *records])) == decision(told)


@many(max_examples=300)
@given(mixed(), st.data())
def test_a_fill_recorded_under_a_second_id_never_makes_a_verdict(
    records: list[Resource], data: st.DataObject
) -> None:
    """It may leave open what was decided, and never decides."""
    fills = [r for r in records if r["resourceType"] == "MedicationDispense"]
    if not fills:
        return
    twin = data.draw(st.sampled_from(fills)) | {"id": "twin"}
    before, after = (assess([*BACKGROUND, *records, *more]).verdict for more in ([], [twin]))
    assert after in (before, Verdict.INDETERMINATE)


@many(max_examples=300)
@given(mixed(), st.data())
def test_removing_what_was_no_evidence_changes_no_verdict(
    records: list[Resource], data: st.DataObject
) -> None:
    removable = [r for r in records if r["resourceType"] in RECORDS]
    if not removable:
        return
    removed = data.draw(st.sampled_from(removable))
    before = assess([*BACKGROUND, *records])
    after = assess([*BACKGROUND, *(r for r in records if r is not removed)])
    evidence = {name for judged in before.trials for name in judged.trial.exposure.evidence}
    doubts = {entry.reference for entry in before.unread}
    if reference(removed) not in evidence | doubts:
        assert decision(after) == decision(before)


@many(max_examples=300)
@given(mixed())
def test_a_statement_of_what_was_ordered_never_makes_a_trial_fail_to_count(records: list[Resource]) -> None:
    orders = [
        r for r in records if r["resourceType"] == "MedicationRequest" and r.get("status") == "completed"
    ]
    statements = [_as_stated(order) for order in orders if _period(order)]
    if any(r["resourceType"] == "MedicationStatement" for r in records):
        return
    before, after = (assess([*BACKGROUND, *records, *more]).verdict for more in ([], statements))
    assert after is not Verdict.NOT_MET or before is Verdict.NOT_MET


def _period(order: Resource) -> Any:
    (dosage, *_) = order.get("dosageInstruction") or [{}]
    return dosage.get("timing", {}).get("repeat", {}).get("boundsPeriod")


def _as_stated(order: Resource) -> Resource:
    return {
        "resourceType": "MedicationStatement",
        "id": f"same-{order['id']}",
        "status": "completed",
        "subject": order["subject"],
        "medicationCodeableConcept": order["medicationCodeableConcept"],
        "effectivePeriod": _period(order),
        "reasonCode": order.get("reasonCode", []),
        "dosage": [{"text": order["dosageInstruction"][0].get("text", "")}],
    }


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_without_other_sources_orders_are_read_as_ever(person: Any) -> None:
    orders = [r for r in (*BACKGROUND, *person.records) if r["resourceType"] not in RECORDS]
    requests = tuple(Entry(r, None, "") for r in orders if r["resourceType"] == "MedicationRequest")
    along = {reference(r): r for r in orders}
    read = read_medication_requests(requests, lambda name, _: along.get(name), ON)
    assert history(orders).prescriptions == read.prescriptions


@many(max_examples=400)
@given(mixed(), st.data())
def test_damage_never_raises_loses_nothing_and_fits_the_schema(
    records: list[Resource], data: st.DataObject
) -> None:
    damaged = copy.deepcopy(records)
    for _ in range(data.draw(st.integers(1, 3)) if damaged else 0):
        resource = data.draw(st.sampled_from([r for r in damaged if r["resourceType"] != "Medication"]))
        places = [path for path in paths_in(resource) if path[0] not in ("resourceType", "id", "subject")]
        told_of_drug = [path for path in places if not str(path[0]).startswith("medication")]
        path = data.draw(st.sampled_from(told_of_drug)) if told_of_drug else ("status",)
        if data.draw(st.booleans()):
            parent_of(resource, path)[path[-1]] = copy.deepcopy(data.draw(nonsense))
        else:
            parent = parent_of(resource, path)
            parent.pop(path[-1], None) if isinstance(parent, dict) else parent.pop(path[-1])
    told = history([*BACKGROUND, *damaged])
    kept = {name for name in of_a_drug(damaged) if not name.startswith("MedicationRequest/Medication")}
    assert kept <= accounted_for(told)
    found = assess_history(told, load_definitions()[DEFAULT_ID], ON)
    validator("assessment.json").validate(without_empty(assessment_json(found)))
    validator("assessment.json").validate(assessment_json(found))


@many(max_examples=200)
@given(mixed(), st.sampled_from(sorted(load_definitions())))
def test_adherence_decides_no_trial_without_dispensings(records: list[Resource], definition: str) -> None:
    ordered = [r for r in records if r["resourceType"] != "MedicationDispense"]
    found = assess_history(history([*BACKGROUND, *ordered]), load_definitions()[definition], ON)
    assert {judged.trial.adherence.answer.value for judged in found.trials} <= {"unknown"}


@many(max_examples=100)
@given(mixed(), st.integers(1, 900))
def test_an_earlier_today_sees_no_later_day(records: list[Resource], days: int) -> None:
    on = date.fromordinal(ON.toordinal() - days)
    entries = tuple(Entry(resource, None, f"entry[{at}]") for at, resource in enumerate(records))
    told = read_history(Collected("p1", entries), on)
    assert all(s.last_day <= on for each in told.prescriptions for s in each.segments)
    assert of_a_drug(records) <= accounted_for(replace(told, scores=()))
