"""Patients whose treatment is told by several sources, worked out by hand: days, adherence, verdict.

Everybody has failed venlafaxine in 2024 (an order of its own), has a major depressive disorder and a PHQ-9
of 20 every second week, so that whatever else is adequate has failed: the verdict says whether the second
drug was. Today is 2026-06-30. A month's supply is 30 days: 1 to 30 January, 31 January to 1 March, 2 to 31
March of 2025. Each trial is `drug first..last days adherence`, days being those at an adequate dose that are
certain; `-` where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.report import EXTENSION_KEY
from cds_service.respond import assess_history
from cds_service.settings import Settings
from cds_service.tables.definitions import DEFAULT_ID, load_definitions
from cds_service.trd.model import Assessment
from fhir_fixtures import builders
from fhir_fixtures.builders import Resource, searchset
from tests.conftest import ON
from tests.contract.conftest import RunningService, hook_request, running
from tests.contract.replies import assert_sound

SUBJECT = {"reference": "Patient/p1"}
SERTRALINE = "sertraline 50 mg tablet"
MONTHS = ("2025-01-01", "2025-01-31", "2025-03-02")


@dataclass(frozen=True)
class Person:
    """What is recorded beside the first failed trial, and what follows from it."""

    name: str
    records: tuple[Resource, ...]
    trials: tuple[str, ...]
    verdict: str
    told: str = ""


# --- what may be recorded ------------------------------------------------------------------------------


def rx(
    first: str | None = "2025-01-01",
    last: str | None = "2025-03-31",
    id: str = "rx1",
    dosage: str | None = "1 tablet daily",
    drug: Any = SERTRALINE,
    **more: Any,
) -> Resource:
    return builders.medication_request(id, drug, dosage, first, last, **more)


def fill(
    day: str | None, days: int | None = 30, tablets: float | None = None, id: str = "", **more: Any
) -> Resource:
    tablets = days if tablets is None else tablets
    standard = {
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": {"text": SERTRALINE},
        "whenHandedOver": day,
        "quantity": tablets and builders.quantity(tablets, "tablet"),
        "daysSupply": days and builders.quantity(days, "days", "d"),
    }
    return _resource("MedicationDispense", id or f"fill-{day}", standard | more)


def fills(*days: str, **more: Any) -> tuple[Resource, ...]:
    return tuple(fill(day, **more) for day in days)


def of(id: str) -> dict[str, Any]:
    """The order that a fill is of."""
    return {"authorizingPrescription": [{"reference": f"MedicationRequest/{id}"}]}


def stated(first: str, last: str | None, id: str = "told", **more: Any) -> Resource:
    standard = {
        "status": "completed" if last else "active",
        "subject": SUBJECT,
        "medicationCodeableConcept": {"text": "sertraline"},
        "effectivePeriod": {"start": first} | ({"end": last} if last else {}),
        "dosage": [{"text": "50 mg daily"}],
    }
    return _resource("MedicationStatement", id, standard | more)


def given(first: str, days: int, mg: float = 50) -> tuple[Resource, ...]:
    """One dose on each of these days on the ward."""
    begin = date.fromisoformat(first)
    return tuple(
        _resource(
            "MedicationAdministration",
            f"given-{begin + timedelta(n)}",
            {
                "status": "completed",
                "subject": SUBJECT,
                "medicationCodeableConcept": {"text": "sertraline"},
                "effectiveDateTime": f"{begin + timedelta(n)}T08:00:00Z",
                "dosage": {"dose": builders.quantity(mg, "mg", "mg")},
            },
        )
        for n in range(days)
    )


def _resource(kind: str, id: str, elements: dict[str, Any]) -> Resource:
    return {
        "resourceType": kind,
        "id": id,
        **{name: value for name, value in elements.items() if value is not None},
    }


def monthly_orders(count: int, begin: date = date(2024, 1, 1)) -> tuple[Resource, ...]:
    supply = {"expectedSupplyDuration": builders.quantity(30, "days", "d")}
    return tuple(
        rx(str(begin + timedelta(30 * n)), None, f"rx{n}", status="completed", dispenseRequest=supply)
        for n in range(count)
    )


def r5(resource: Resource) -> Resource:
    concept = resource.pop("medicationCodeableConcept")
    return resource | {"medication": {"concept": concept}}


def dstu2(resource: Resource) -> Resource:
    return resource | {"patient": resource.pop("subject")}


AS_TABLETS = {"dosageInstruction": [{"text": "1 tablet daily"}]}
PAIN = {
    "drug": "duloxetine 60 mg capsule",
    "dosage": "1 capsule daily",
    "reasonCode": [{"text": "neuropathic pain"}],
}
DULOXETINE = {"medicationCodeableConcept": {"text": "duloxetine 60 mg capsule"}}
NAMELESS = {"medicationCodeableConcept": {"text": "see prescription"}}
ALONG = {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/m1"}}
WITHIN = {
    "medicationCodeableConcept": None,
    "medicationReference": {"reference": "#m1"},
    "contained": [builders.medication("m1", SERTRALINE)],
}
PRIOR_A = {"priorPrescription": {"reference": "MedicationRequest/a"}}
PRIOR_B = {"priorPrescription": {"reference": "MedicationRequest/b"}}
ALL_90_DAYS = "sertraline 2025-01-01..2025-03-31 90"


# --- the people ----------------------------------------------------------------------------------------

PEOPLE = (
    # dispensings alone
    Person("three months dispensed, no order", fills(*MONTHS), (f"{ALL_90_DAYS} met",), "met"),
    Person(
        "one month dispensed", fills("2025-01-01"), ("sertraline 2025-01-01..2025-01-30 30 met",), "not-met"
    ),
    # 30 + 30 days with 31 January to 13 February between: 14 days, 60 of 74 covered
    Person(
        "a gap of 14 days",
        fills("2025-01-01", "2025-02-14"),
        ("sertraline 2025-01-01..2025-03-15 60 met",),
        "met",
        "60 of 74 days",
    ),
    Person(
        "a gap of 15 days",
        fills("2025-01-01", "2025-02-15"),
        ("sertraline 2025-01-01..2025-01-30 30 met", "sertraline 2025-02-15..2025-03-16 30 met"),
        "not-met",
    ),
    Person(
        "refills fetched early, each used up before the next",
        fills("2025-01-01", "2025-01-20", "2025-02-10"),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    Person(
        "a dose raised between fills",
        (fill("2025-01-01"), fill("2025-01-31", tablets=60)),
        ("sertraline 2025-01-01..2025-03-01 60 met",),
        "met",
    ),
    Person("ninety days at once", fills("2025-01-01", days=90), (f"{ALL_90_DAYS} met",), "met"),
    Person(
        "half a tablet a day never reaches the minimum",
        fills(*MONTHS, tablets=15),
        ("sertraline - 0 met",),
        "not-met",
    ),
    Person(
        "28 tablets for 30 days: one a day, or a little less",
        fills(*MONTHS, tablets=28),
        (f"{ALL_90_DAYS} met",),
        "indeterminate",
    ),
    Person(
        "100 tablets for 90 days", fills("2025-01-01", days=90, tablets=100), (f"{ALL_90_DAYS} met",), "met"
    ),
    Person(
        "as many days as the quantity lasts by the dosage",
        (fill("2025-01-01", None, 60, **AS_TABLETS),),
        ("sertraline 2025-01-01..2025-03-01 60 met",),
        "met",
    ),
    Person(
        "how long it lasts is not recorded",
        (fill("2025-01-01", None, 90),),
        ("sertraline - 0 unknown",),
        "indeterminate",
    ),
    Person(
        "one fill under two ids is not two",
        (fill("2025-01-01"), fill("2025-01-01", id="again")),
        ("sertraline 2025-01-01..2025-01-30 30 unknown",),
        "indeterminate",
    ),
    # a quarter of 28 days are 7
    Person(
        "one fill in two systems, a week apart but for a day",
        (fill("2025-01-01", 28), fill("2025-01-07", 28)),
        ("sertraline 2025-01-01..2025-01-28 28 unknown",),
        "indeterminate",
    ),
    Person(
        "a quarter of a fill used before the next: taken early",
        (fill("2025-01-01", 28), fill("2025-01-08", 28)),
        ("sertraline 2025-01-01..2025-02-25 56 met",),
        "met",
    ),
    # 31 days of the fill, 31 more if it is two, and nothing for the last 28 of the order
    Person(
        "an order on days of a fill that may be recorded twice",
        (rx("2025-02-01"), fill("2025-01-01", 31), fill("2025-01-01", 31, id="again")),
        ("sertraline 2025-01-01..2025-03-31 90 not-met",),
        "not-met",
        "62 of 90 days",
    ),
    Person("a fill taken back", (fill("2025-01-01", 90, -90),), (), "indeterminate"),
    Person(
        "a fill of nothing", (fill("2025-01-01", 90, quantity=builders.quantity(0, "tablet")),), (), "not-met"
    ),
    Person("a fill of somebody else", fills(*MONTHS, subject={"reference": "Patient/p2"}), (), "not-met"),
    Person("fills that lie ahead", fills("2026-07-01", "2026-07-31"), (), "not-met"),
    Person(
        "fills of another drug",
        fills(*MONTHS, medicationCodeableConcept={"text": "metformin 500 mg"}),
        (),
        "not-met",
    ),
    Person("of the contained Medication", fills(*MONTHS, **WITHIN), (f"{ALL_90_DAYS} met",), "met"),
    Person(
        "of a Medication that came along",
        (*fills(*MONTHS, **ALONG), builders.medication("m1", SERTRALINE)),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    Person(
        "of a Medication that cannot be had: perhaps any drug",
        fills(*MONTHS, **ALONG),
        ("drug behind Medication/m1 2025-01-01..2025-03-31 90 met",),
        "indeterminate",
    ),
    Person("in R5", tuple(map(r5, fills(*MONTHS))), (f"{ALL_90_DAYS} met",), "met"),
    Person("in STU3", fills(*MONTHS, context={"reference": "Encounter/1"}), (f"{ALL_90_DAYS} met",), "met"),
    Person("in DSTU2", tuple(map(dstu2, fills(*MONTHS))), (f"{ALL_90_DAYS} met",), "met"),
    # beside an order
    Person("order and fills agree", (rx(), *fills(*MONTHS)), (f"{ALL_90_DAYS} met",), "met", "90 of 90 days"),
    # 30 days, 5 without, 30, 5 without, then 20 up to the last day of the order
    Person(
        "fills a little late",
        (rx(), *fills("2025-01-01", "2025-02-05", "2025-03-12")),
        ("sertraline 2025-01-01..2025-03-31 80 met",),
        "met",
        "80 of 90 days",
    ),
    # 100 days: 30 + 30 + 20 covered
    Person(
        "exactly 80 of 100 days covered",
        (rx(last="2025-04-10"), *fills("2025-01-01", "2025-02-10", "2025-03-22")),
        ("sertraline 2025-01-01..2025-04-10 80 met",),
        "met",
        "80 of 100 days (80 %), 80 % needed",
    ),
    Person(
        "79 of 100 days covered",
        (rx(last="2025-04-10"), *fills("2025-01-01", "2025-02-10", "2025-03-23")),
        ("sertraline 2025-01-01..2025-04-10 79 not-met",),
        "not-met",
        "79 of 100 days",
    ),
    Person(
        "a partial fill, and the rest of it a week later",
        (rx(last="2025-03-01"), fill("2025-01-01", 10), fill("2025-01-08", 20), fill("2025-01-29")),
        ("sertraline 2025-01-01..2025-03-01 60 met",),
        "met",
        "60 of 60 days",
    ),
    Person(
        "the second fill was cancelled",
        (rx(), fill("2025-01-01"), fill("2025-01-31", status="cancelled")),
        ("sertraline 2025-01-01..2025-01-30 30 not-met",),
        "not-met",
        "30 of 90 days",
    ),
    Person(
        "how long 90 tablets last is told by the order",
        (rx(), fill("2025-01-01", None, 90)),
        (f"{ALL_90_DAYS} met",),
        "met",
        "90 of 90 days",
    ),
    # 90 tablets at two a day are 45 days
    Person(
        "how long 90 tablets last at two a day",
        (rx(dosage="2 tablets daily"), fill("2025-01-01", None, 90)),
        ("sertraline 2025-01-01..2025-02-14 45 met",),
        "met",
        "45 of 45 days",
    ),
    Person(
        "a fill of unknown length contradicts nothing",
        (rx(), fill("2025-01-01", None, None, quantity=builders.quantity(1, "bottle"))),
        (f"{ALL_90_DAYS} unknown",),
        "met",
    ),
    Person(
        "each fill recorded twice adds nothing",
        (rx(), *fills(*MONTHS), *(fill(day, id=f"again-{day}") for day in MONTHS)),
        (f"{ALL_90_DAYS} met",),
        "met",
        "90 of 90 days",
    ),
    # 60 days are sure, and 90 if the first is two
    Person(
        "days that hang on a fill that may be recorded twice",
        (rx(), *fills("2025-01-01", "2025-01-31"), fill("2025-01-01", id="again")),
        ("sertraline 2025-01-01..2025-03-01 60 met",),
        "met",
        "60 of 60 days",
    ),
    Person(
        "an order that ends, with the next one after it",
        (rx(last="2025-01-31"), rx("2025-02-01", id="rx2"), fill("2025-01-10", 90)),
        ("sertraline 2025-01-10..2025-03-31 81 met",),
        "met",
        "81 of 81 days",
    ),
    Person(
        "taken up again: what was left of the stopped order does not put off the new fill",
        (
            rx(last="2025-01-21", status="stopped"),
            fill("2025-01-01", 90),
            rx("2025-03-01", "2025-04-29", "rx2"),
            fill("2025-03-01", 60),
        ),
        ("sertraline 2025-01-01..2025-01-21 21 met", "sertraline 2025-03-01..2025-04-29 60 met"),
        "met",
    ),
    Person(
        "an order for decades, dispensed in one year",
        (rx("2003-01-01", None), *(fill(str(date(2025, 1, 1) + timedelta(30 * n))) for n in range(12))),
        ("sertraline 2025-01-01..2025-12-26 360 met",),
        "met",
    ),
    Person(
        "an order for decades, never dispensed under, began before any score",
        (rx("2003-01-01", None),),
        ("sertraline 2003-01-01..2026-06-30 8582 unknown",),
        "indeterminate",
    ),
    Person(
        "stopped on an unrecorded day up to 20 February",
        (rx(last=None, status="stopped", meta={"lastUpdated": "2025-02-20T09:00:00Z"}),),
        ("sertraline - 0 unknown",),
        "indeterminate",
    ),
    # 90 days were fetched, but it was over by 20 February: 51 days
    Person(
        "stopped by 20 February with more in the house",
        (
            rx(last=None, status="stopped", meta={"lastUpdated": "2025-02-20T09:00:00Z"}),
            fill("2025-01-01", 90),
        ),
        ("sertraline 2025-01-01..2025-02-20 51 met",),
        "met",
        "51 of 51 days",
    ),
    Person(
        "stopped for side effects after three weeks of a fill of 90 days",
        (
            rx(last="2025-01-21", status="stopped", statusReason={"text": "side effects"}),
            fill("2025-01-01", 90),
        ),
        ("sertraline 2025-01-01..2025-01-21 21 met",),
        "not-met",
    ),
    Person(
        "refills fetched early are not taken after the order ended",
        (rx(last="2025-01-21", status="stopped"), *fills("2025-01-01", "2025-01-15")),
        ("sertraline 2025-01-01..2025-01-21 21 met",),
        "not-met",
    ),
    Person(
        "dispensed again after the order ended",
        (rx(last="2025-01-30"), *fills(*MONTHS, **of("rx1"))),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    Person("on hold", (rx(last=None, status="on-hold"),), ("sertraline - 0 unknown",), "indeterminate"),
    Person(
        "on hold, but dispensed",
        (rx(last=None, status="on-hold"), *fills(*MONTHS)),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    Person(
        "twenty orders of a month are one use",
        monthly_orders(20),
        ("sertraline 2024-01-01..2025-08-22 600 unknown",),
        "met",
    ),
    Person(
        "twenty orders of a month, each dispensed two days later",
        (*monthly_orders(20), *(fill(str(date(2024, 1, 3) + timedelta(30 * n))) for n in range(20))),
        ("sertraline 2024-01-03..2025-08-24 600 met",),
        "met",
    ),
    # A 25 mg until 31 January, B 50 mg for the 59 days from 1 February
    Person(
        "the dose was raised while tablets of the old one were left",
        (
            rx(last="2025-01-31", dosage="1/2 tablet daily"),
            rx("2025-02-01", "2025-03-31", "rx2"),
            *fills("2025-01-01", "2025-01-31", tablets=15),
            *fills("2025-02-01", "2025-03-03"),
        ),
        ("sertraline 2025-02-01..2025-03-31 59 met",),
        "met",
    ),
    Person(
        "two strengths dispensed on one day make the dose of the order",
        (
            rx(dosage="75 mg daily"),
            *fills(*MONTHS),
            *(
                fill(day, id=f"half-{day}", medicationCodeableConcept={"text": "sertraline 25 mg tablet"})
                for day in MONTHS
            ),
        ),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    # 70 mg a day by the quantity, 75 ordered
    Person(
        "42 tablets for 30 days are one and a half a day, as packs go",
        (rx(dosage="1 1/2 tablets daily"), *fills(*MONTHS, tablets=42)),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    Person(
        "half of the dose was dispensed",
        (rx(), *fills(*MONTHS, tablets=15)),
        (f"{ALL_90_DAYS} met",),
        "indeterminate",
    ),
    Person(
        "without dosage, the dose is that dispensed",
        (rx(dosage=None), *fills(*MONTHS)),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    Person(
        "a drug without a name, linked to its order",
        (rx(last="2025-01-30"), *fills(*MONTHS, **NAMELESS, **of("rx1"))),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    Person(
        "an order in error, that was dispensed all the same",
        (rx(status="entered-in-error"), *fills(*MONTHS, **of("rx1"))),
        (f"{ALL_90_DAYS} met",),
        "met",
    ),
    # which order a fill names does not make it two
    Person(
        "fills of an order in error, on days of the right one",
        (rx(id="wrong", status="entered-in-error"), rx(), *fills(*MONTHS, **of("wrong"))),
        (f"{ALL_90_DAYS} met",),
        "met",
        "90 of 90 days",
    ),
    # chains
    Person(
        "A, replaced by B, replaced by C",
        (
            rx(last=None, id="a", status="active"),
            rx("2025-02-01", None, "b", "2 tablets daily", **PRIOR_A),
            rx("2025-03-01", "2025-04-30", "c", "3 tablets daily", **PRIOR_B),
        ),
        ("sertraline 2025-01-01..2025-04-30 120 unknown",),
        "met",
    ),
    Person(
        "orders that name each other",
        (rx(id="a", **PRIOR_B), rx("2025-02-01", "2025-04-30", "b", **PRIOR_A)),
        ("sertraline 2025-01-01..2025-04-30 120 unknown",),
        "met",
    ),
    Person(
        "replaces an order that is not at hand", (rx(id="c", **PRIOR_B),), (f"{ALL_90_DAYS} unknown",), "met"
    ),
    # 31 days of A, 10 of B; of the 90 days fetched under A none is taken after B was stopped
    Person(
        "replaced by an order that was stopped early, with more in the house",
        (
            rx(last=None),
            rx(
                "2025-02-01",
                "2025-02-10",
                "rx2",
                status="stopped",
                priorPrescription={"reference": "MedicationRequest/rx1"},
            ),
            fill("2025-01-01", 90),
        ),
        ("sertraline 2025-01-01..2025-02-10 41 met",),
        "not-met",
    ),
    # use
    Person(
        "only as needed, and dispensed",
        (rx(dosage="1 tablet daily as needed"), *fills(*MONTHS)),
        (f"{ALL_90_DAYS} met",),
        "not-met",
    ),
    Person(
        "for pain, and dispensed",
        (rx(**PAIN), *fills(*MONTHS, **DULOXETINE)),
        ("duloxetine 2025-01-01..2025-03-31 90 met",),
        "not-met",
    ),
    Person(
        "for pain, dispensed on after the order by name",
        (rx(last="2025-01-30", **PAIN), *fills(*MONTHS, **DULOXETINE, **of("rx1"))),
        ("duloxetine 2025-01-01..2025-03-31 90 met",),
        "not-met",
    ),
    Person(
        "for pain, dispensed on after the order: for what is not recorded",
        (rx(last="2025-01-30", **PAIN), *fills(*MONTHS, **DULOXETINE)),
        ("duloxetine 2025-01-01..2025-01-30 30 met", "duloxetine 2025-01-31..2025-03-31 60 met"),
        "indeterminate",
    ),
    Person(
        "for pain and for nothing that is recorded, dispensed on after both",
        (
            rx(last="2025-01-30", **PAIN),
            rx(last="2025-01-30", id="rx2", drug="duloxetine 60 mg capsule", dosage="1 capsule daily"),
            *fills(*MONTHS, **DULOXETINE),
        ),
        ("duloxetine 2025-01-01..2025-01-30 30 met", "duloxetine 2025-01-01..2025-03-31 90 met"),
        "met",
    ),
    Person(
        "said to be taken for pain, ordered without a reason",
        (
            rx(drug="duloxetine 60 mg capsule", dosage="1 capsule daily"),
            stated(
                "2025-01-01",
                "2025-03-31",
                **DULOXETINE,
                dosage=None,
                reasonCode=[{"text": "neuropathic pain"}],
            ),
        ),
        ("duloxetine 2025-01-01..2025-03-31 90 unknown",),
        "indeterminate",
    ),
    Person(
        "said to be taken for pain, ordered for depression",
        (
            rx(**PAIN | {"reasonCode": [{"text": "major depression"}]}),
            stated(
                "2025-01-01",
                "2025-03-31",
                **DULOXETINE,
                dosage=None,
                reasonCode=[{"text": "neuropathic pain"}],
            ),
        ),
        ("duloxetine 2025-01-01..2025-03-31 90 unknown",),
        "met",
    ),
    Person(
        "said to be taken for pain, for which there is an order of its own",
        (
            rx(**PAIN),
            rx(id="rx2", drug="duloxetine 60 mg capsule", dosage="1 capsule daily"),
            stated(
                "2025-01-01",
                "2025-03-31",
                **DULOXETINE,
                dosage=None,
                reasonCode=[{"text": "neuropathic pain"}],
            ),
        ),
        ("duloxetine 2025-01-01..2025-03-31 90 unknown", "duloxetine 2025-01-01..2025-03-31 90 unknown"),
        "met",
    ),
    # statements
    Person("taken elsewhere", (stated("2025-01-01", "2025-03-31"),), (f"{ALL_90_DAYS} unknown",), "met"),
    Person("said not to have been taken", (stated("2025-01-01", None, status="not-taken"),), (), "not-met"),
    Person(
        "ordered, but not taken from February on",
        (rx(), stated("2025-02-01", None, status="not-taken")),
        ("sertraline 2025-01-01..2025-01-31 31 unknown",),
        "indeterminate",
    ),
    Person(
        "dispensed, but not taken from February on",
        (*fills(*MONTHS), stated("2025-02-01", None, status="not-taken")),
        ("sertraline 2025-01-01..2025-01-31 31 met",),
        "indeterminate",
    ),
    Person(
        "a newer statement of half the dose",
        (rx(), stated("2025-02-01", "2025-03-31", dosage=[{"text": "25 mg daily"}])),
        (f"{ALL_90_DAYS} unknown",),
        "indeterminate",
    ),
    Person(
        "said in January to be taken since then, and nothing after",
        (stated("2025-01-01", None, dateAsserted="2025-01-20"),),
        ("sertraline 2025-01-01..2025-01-20 20 unknown",),
        "indeterminate",
    ),
    # 30 days are dispensed; that the others were taken too is only said
    Person(
        "dispensed for a month, and said to be taken for three",
        (rx(), fill("2025-01-01"), stated("2025-01-01", "2025-03-31")),
        (f"{ALL_90_DAYS} unknown",),
        "indeterminate",
        "30 to 90 of 90 days",
    ),
    # on the ward
    Person(
        "six weeks on the ward",
        given("2025-01-01", 42),
        ("sertraline 2025-01-01..2025-02-11 42 unknown",),
        "met",
    ),
    Person(
        "a day less", given("2025-01-01", 41), ("sertraline 2025-01-01..2025-02-10 41 unknown",), "not-met"
    ),
    Person(
        "a stay on the ward between two orders",
        (rx(last="2025-01-20"), *given("2025-01-21", 10), rx("2025-01-31", "2025-02-20", "rx2")),
        ("sertraline 2025-01-01..2025-02-20 51 unknown",),
        "met",
    ),
    # 30 dispensed, 25 given, 30 dispensed: no day without, though dispensings alone cover 60 of 85
    Person(
        "a stay on the ward between two fills",
        (rx(last="2025-03-26"), fill("2025-01-01"), *given("2025-01-31", 25), fill("2025-02-25")),
        ("sertraline 2025-01-01..2025-03-26 85 met",),
        "met",
        "85 of 85 days",
    ),
    # one drug into the other: 46 days of sertraline, bupropion at 300 mg for 69
    Person(
        "cross-tapered",
        (
            rx(last="2025-02-15", dosage="2 tablets daily"),
            rx("2025-02-16", "2025-02-28", "rx2", "1/2 tablet daily"),
            rx("2025-02-10", "2025-02-20", "rx3", "1 tablet daily", "bupropion XL 150 mg tablet"),
            rx("2025-02-21", "2025-04-30", "rx4", "2 tablets daily", "bupropion XL 150 mg tablet"),
        ),
        (
            "sertraline 2025-01-01..2025-02-15 46 unknown",
            "bupropion 2025-02-21..2025-04-30 69 unknown",
        ),
        "met",
    ),
)


# --- as they are read, and over the wire -----------------------------------------------------------------

BACKGROUND = (
    builders.patient(),
    builders.condition(),
    builders.medication_request(
        "venlafaxine", "venlafaxine XR 150 mg capsule", "1 capsule daily", "2024-06-01", "2024-12-31"
    ),
    *(
        builders.observation(f"phq{n}", value=20, day=str(date(2023, 1, 1) + timedelta(14 * n)))
        for n in range(92)
    ),
)


def assessed(resources: tuple[Resource, ...], definition: str = DEFAULT_ID) -> Assessment:
    entries = tuple(Entry(resource, None, f"entry[{at}]") for at, resource in enumerate(resources))
    return assess_history(read_history(Collected("p1", entries), ON), load_definitions()[definition], ON)


def trials_of(assessment: Assessment) -> tuple[str, ...]:
    trials = [judged.trial for judged in assessment.trials if judged.trial.name != "venlafaxine"]
    days = [f"{t.first_day}..{t.last_day}" if t.first_day else "-" for t in trials]
    return tuple(
        f"{t.name} {d} {t.adequate_days} {t.adherence.answer.value}"
        for t, d in zip(trials, days, strict=True)
    )


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_days_adherence_and_verdict_are_those_worked_out_by_hand(person: Person) -> None:
    found = assessed((*BACKGROUND, *person.records))
    assert (trials_of(found), found.verdict.value) == (person.trials, person.verdict)
    assert any(person.told in judged.trial.adherence.text for judged in found.trials)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_the_order_of_records_says_nothing(person: Person) -> None:
    found = assessed((*reversed(person.records), *BACKGROUND))
    assert (trials_of(found), found.verdict.value) == (person.trials, person.verdict)


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with running(Settings()) as started:
        yield started


KEYS: dict[str, Callable[[str], bool]] = {
    "medications": lambda kind: kind in ("MedicationRequest", "Medication"),
    "observations": lambda kind: kind == "Observation",
    "conditions": lambda kind: kind == "Condition",
    "dispenses": lambda kind: kind == "MedicationDispense",
    "statements": lambda kind: kind == "MedicationStatement",
    "administrations": lambda kind: kind == "MedicationAdministration",
    "procedures": lambda kind: kind == "Procedure",
    "questionnaires": lambda kind: kind == "QuestionnaireResponse",
    "adverseEvents": lambda kind: kind == "AdverseEvent",
    "allergies": lambda kind: kind == "AllergyIntolerance",
    "requests": lambda kind: kind == "ServiceRequest",
}


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_the_hook_says_the_same(service: RunningService, person: Person) -> None:
    records = (*BACKGROUND, *person.records)
    prefetch = {"patient": BACKGROUND[0]}
    for key, holds in KEYS.items():
        prefetch[key] = searchset(*(r for r in records if holds(r["resourceType"])), total=None)
        prefetch[key].pop("total")
    reply = service.post(hook_request(prefetch=prefetch))
    assert_sound(reply.status_code, reply.json())
    told = reply.json()["extension"][EXTENSION_KEY]
    expected = assessed(records)
    assert told["verdict"] == person.verdict == expected.verdict.value
    names = [trial.get("name") for trial in told["trials"]]
    assert names == [judged.trial.name for judged in expected.trials]
    assert "notLookedAt" not in told


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_no_record_of_an_antidepressant_vanishes(person: Person) -> None:
    records = (*BACKGROUND, *person.records)
    found = assessed(records)
    told = {
        name for judged in found.trials for o in judged.trial.exposure.prescriptions for name in o.references
    }
    told |= {entry.reference for entry in (*found.unread, *found.set_aside)}
    ours = {f"{r['resourceType']}/{r['id']}" for r in person.records if r["resourceType"] != "Medication"}
    others = {name for name in ours if person.name == "fills of another drug"}
    assert ours - others <= told
