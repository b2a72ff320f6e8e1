"""How a draft is read: on which days, which of the Bundle is the patient's, and where references lead."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.draft_orders import find_drafts, find_in, read_draft
from cds_service.trd.record import Prescription
from fhir_fixtures.builders import medication, patient
from tests.contract.order_hooks import draft, drafts_of

ON = date(2026, 6, 30)


def read(order: dict[str, Any]) -> Prescription | None:
    return read_draft(Entry(order, None, "here"), find_in(Collected("p1", ())), ON)


def days_of(order: dict[str, Any]) -> list[tuple[str, str, float | None]]:
    told = read(order)
    return [(str(s.first_day), str(s.last_day), s.high_mg) for s in told.segments] if told else []


def with_bounds(start: str | None, end: str | None, **elements: Any) -> dict[str, Any]:
    period = {name: day for name, day in (("start", start), ("end", end)) if day}
    dosage = {"text": "1 tablet daily", "timing": {"repeat": {"boundsPeriod": period}}}
    return draft(dosageInstruction=[dosage], **elements)


def steps(first: str) -> dict[str, Any]:
    return draft(dosage=f"{first}, then 2 tablets daily")


DAYS: dict[str, tuple[dict[str, Any], list[tuple[str, str, float]]]] = {
    "no end: its first day alone": (draft(), [("2026-06-30", "2026-06-30", 50)]),
    "a later start without end": (with_bounds("2026-08-01", None), [("2026-08-01", "2026-08-01", 50)]),
    "a start and an end": (with_bounds("2026-08-01", "2026-08-31"), [("2026-08-01", "2026-08-31", 50)]),
    "begun already: from today": (
        with_bounds("2026-01-01", "2026-07-31"),
        [("2026-06-30", "2026-07-31", 50)],
    ),
    "ends today": (with_bounds(None, "2026-06-30"), [("2026-06-30", "2026-06-30", 50)]),
    "over": (with_bounds("2026-01-01", "2026-06-29"), []),
    "begins in three years": (with_bounds("2029-06-30", None), []),
    "authored long ago: supplied anew": (
        draft(
            authoredOn="2020-01-01", dispenseRequest={"expectedSupplyDuration": {"value": 30, "unit": "days"}}
        ),
        [("2026-06-30", "2026-07-29", 50)],
    ),
}


@pytest.mark.parametrize(("order", "days"), DAYS.values(), ids=DAYS)
def test_its_days(order: dict[str, Any], days: list[tuple[str, str, float]]) -> None:
    assert days_of(order) == days


def test_all_its_steps_are_seen() -> None:
    first, last = days_of(steps("1 tablet daily for 7 days"))
    assert first == ("2026-06-30", "2026-07-06", 50)
    assert (last[0], last[2]) == ("2026-07-07", 100)


def test_why_it_was_stopped_says_nothing() -> None:
    told = read(draft(statusReason={"text": "not effective"}))
    assert told is not None
    assert told == read(draft())


@pytest.mark.parametrize(
    ("prior", "replaces"),
    [
        ({"reference": "MedicationRequest/7"}, "MedicationRequest/7"),
        ({"reference": "https://ehr.example.org/fhir/MedicationRequest/7"}, "MedicationRequest/7"),
        ({"reference": "MedicationRequest/7/_history/2"}, "MedicationRequest/7"),
        ({"identifier": {"value": "7"}}, ""),
        ({"reference": 7}, ""),
        ("MedicationRequest/7", ""),
        (None, ""),
    ],
)
def test_what_it_replaces_is_told_apart(prior: Any, replaces: str) -> None:
    told = read(draft(priorPrescription=prior))
    assert told is not None
    assert told.replaces == replaces
    assert replace(told, replaces="") == read(draft())


@pytest.mark.parametrize("status", ["cancelled", "completed", "entered-in-error", "stopped"])
def test_an_order_that_ends_a_use_is_no_draft(status: str) -> None:
    assert read(draft(status=status)) is None


def test_the_order_given_is_left_as_it_is() -> None:
    order = draft(status="draft")
    read(order)
    assert order == draft(status="draft")


# --- whose it is ------------------------------------------------------------------------------------------

BASE = "https://ehr.example.org/fhir"
SUBJECTS: list[tuple[Any, bool]] = [
    ({"reference": "Patient/p1"}, True),
    ({"reference": f"{BASE}/Patient/p1"}, True),
    ({"reference": "urn:uuid:the-patient"}, True),
    ({"display": "Somebody"}, True),
    ({}, True),
    (None, True),
    ({"reference": "Patient/p2"}, False),
    ({"reference": "https://elsewhere.example.org/Patient/p1"}, False),
    ({"reference": "urn:uuid:another"}, False),
    ({"reference": "urn:uuid:nobody"}, False),
    ({"reference": "Group/p1"}, False),
    ({"reference": 5}, False),
    ("Patient/p1", False),
    ([{"reference": "Patient/p1"}], False),
]


@pytest.mark.parametrize(("subject", "is_own"), SUBJECTS)
def test_whose_a_draft_is(subject: Any, is_own: bool) -> None:
    bundle = drafts_of(draft(subject=subject), patient("p1"), patient("p2"))
    bundle["entry"][1]["fullUrl"] = "urn:uuid:the-patient"
    bundle["entry"][2]["fullUrl"] = "urn:uuid:another"
    found = find_drafts(bundle, None, "p1", BASE)
    assert (len(found.orders), found.foreign) == ((1, 0) if is_own else (0, 1))
    assert [entry.resource["resourceType"] for entry in found.beside] == ["Patient", "Patient"]


def test_references_lead_to_the_bundle_before_the_record() -> None:
    drafted, stored = medication("m1", "sertraline 50 mg"), medication("m1", "citalopram 20 mg")
    other = medication("m2", "venlafaxine 75 mg")
    record = Collected("p1", (Entry(stored, None, "a"), Entry(other, None, "b")))
    find = find_in(Collected("p1", (Entry(drafted, None, "c"),)), record)
    assert find("Medication/m1", {}) == drafted
    assert find("Medication/m2", {}) == other
    assert find("Medication/m3", {}) is None
