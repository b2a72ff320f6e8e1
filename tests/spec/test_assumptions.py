"""What a site may assume: one unit a day where no dosage is recorded, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from cards.card import to_json
from cards.catalogue import cards_for
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.report import assessment_json
from cds_service.respond import assess_collected, assess_history
from cds_service.tables.definitions import DEFAULT_ID, load_definitions
from cds_service.trd.assumptions import ONE_UNIT_A_DAY
from cds_service.trd.model import Assessment
from fhir_fixtures import builders
from fhir_fixtures.builders import Resource
from tests.conftest import ON


def chart(*resources: Resource) -> Collected:
    return Collected("p1", tuple(Entry(r, None, f"entry[{at}]") for at, r in enumerate(resources)))


def dose(medication: builders.Concept, dosage: Any, assume: bool = True) -> tuple[float | None, str]:
    order = builders.medication_request(medication=medication, dosage=dosage)
    (told,) = read_history(chart(order), ON, assume_one_unit_daily=assume).prescriptions
    return told.segments[0].low_mg, told.assumed


@pytest.mark.parametrize(
    ("medication", "dosage", "mg"),
    [
        ("sertraline 50 mg tablet", None, 50.0),
        ((builders.RXNORM, "312941"), None, 50.0),
        ("sertraline 50 mg tablet", {"sequence": 1, "route": {"text": "oral"}}, 50.0),
        ("bupropion hydrobromide 348 MG tablet", None, 300.0),
        ((builders.RXNORM, "865206"), None, 6.0),
        ("sertraline", None, None),
        ("escitalopram 1 mg/mL oral solution", None, None),
        ("fluoxetine 90 mg delayed release capsule", None, None),
        ("sertraline 50 mg tablet", "as directed", None),
        ("sertraline 50 mg tablet", {"doseAndRate": [{"doseQuantity": {"value": 2}}]}, None),
    ],
)
def test_only_an_order_without_any_dosage_is_one_unit_a_day(
    medication: builders.Concept, dosage: Any, mg: float | None
) -> None:
    assert dose(medication, dosage) == (mg, ONE_UNIT_A_DAY if mg else "")


def test_a_stated_dose_is_never_replaced() -> None:
    assert dose("sertraline 50 mg tablet", "2 tablets daily") == (100, "")


def test_nothing_is_assumed_unless_the_site_says_so() -> None:
    assert dose("sertraline 50 mg tablet", None, assume=False) == (None, "")


def test_what_was_dispensed_is_preferred_to_an_assumption() -> None:
    order = builders.medication_request(dosage=None, last_day="2025-09-30")
    dispensed = {
        "resourceType": "MedicationDispense",
        "id": "d1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "sertraline 100 mg tablet"},
        "whenHandedOver": "2025-09-01",
        "daysSupply": builders.quantity(30, "days", "d"),
        "quantity": builders.quantity(60, "tablet"),
    }
    (told,) = read_history(chart(order, dispensed), ON, assume_one_unit_daily=True).prescriptions
    assert (told.segments[0].low_mg, told.assumed) == (200, "")


def two_failed_trials(assume: bool) -> Assessment:
    drugs = {
        "sertraline 50 mg tablet": ("2025-08-01", "2025-10-31"),
        "venlafaxine 75 mg capsule": ("2025-11-01", "2026-02-28"),
    }
    orders = [
        builders.medication_request(name, name, dosage=None, first_day=first, last_day=last)
        for name, (first, last) in drugs.items()
    ]
    scores = [
        builders.observation(f"o{day}", value=20, day=day)
        for day in ("2025-08-01", "2025-10-30", "2026-02-27")
    ]
    history = read_history(
        chart(builders.patient(), builders.condition(), *orders, *scores), ON, assume_one_unit_daily=assume
    )
    return assess_history(history, load_definitions()[DEFAULT_ID], ON)


def test_every_answer_that_rests_on_the_assumption_says_so() -> None:
    assumed = two_failed_trials(assume=True)
    answer = assessment_json(assumed)
    assert answer["verdict"] == "met"
    assert answer["assumed"] == [ONE_UNIT_A_DAY]
    assert [trial["assumed"] for trial in answer["trials"]] == [[ONE_UNIT_A_DAY]] * 2
    assert {order["assumed"] for trial in answer["trials"] for order in trial["orders"]} == {ONE_UNIT_A_DAY}
    assert all(ONE_UNIT_A_DAY in trial["text"] for trial in answer["trials"])
    (card,) = cards_for(assumed)
    assert to_json(card)["detail"].count("assumed") >= 4


def test_without_it_the_dose_is_unknown_and_says_what_a_unit_holds() -> None:
    answer = assessment_json(two_failed_trials(assume=False))
    assert answer["verdict"] == "indeterminate"
    assert "assumed" not in answer
    assert answer["trials"][0]["orders"][0]["dose"] == (
        "dose not recorded: no dosage (the product holds 50 mg a unit)"
    )


def test_it_is_the_site_that_chooses() -> None:
    order = builders.medication_request(dosage=None)
    told = [
        assess_collected(chart(order), DEFAULT_ID, ON, assume_one_unit_daily=chosen).assumed
        for chosen in (False, True)
    ]
    assert told == [(), (ONE_UNIT_A_DAY,)]


def test_an_assumed_dose_is_known_at_both_ends() -> None:
    order = builders.medication_request("rx1", "sertraline 50 mg tablet", authored_on="2026-01-01")
    (told,) = read_history(chart(order), ON, assume_one_unit_daily=True).prescriptions
    assert {(segment.low_mg, segment.high_mg) for segment in told.segments} == {(50.0, 50.0)}
