"""The days of an order and the dose on each: dates, bounds, supply, status, titration."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from cds_service.fhir_reading.dosage import DailyDose
from cds_service.fhir_reading.elements import MedicationRequest
from cds_service.fhir_reading.order_days import OrderDays, read_order_days

ON = date(2026, 6, 30)
ONE_TABLET = DailyDose(50, 50, "50 mg/day", pieces_per_day=1)
TWO_TABLETS = DailyDose(100, 100, "100 mg/day", pieces_per_day=2)


def days(*doses: DailyDose | tuple[DailyDose, ...], **order: Any) -> OrderDays:
    given = {"status": "active", "authoredOn": "2026-01-01"} | order
    parsed = msgspec.convert({k: v for k, v in given.items() if v is not None}, MedicationRequest)
    steps = tuple(dose if isinstance(dose, tuple) else (dose,) for dose in doses or (ONE_TABLET,))
    return read_order_days(parsed, steps, ON)


def shown(result: OrderDays) -> str:
    """Segments as `first..last mg`, with `?` for days that are not certain."""
    return ", ".join(
        f"{s.first_day:%m-%d}..{s.last_day:%m-%d} {s.low_mg:g}"
        + ("" if s.low_mg == s.high_mg else f"-{s.high_mg:g}")
        + ("" if s.days_certain else "?")
        for s in result.segments
        if s.low_mg is not None
    )


def dosage(sequence: int | None = None, **repeat: Any) -> dict[str, Any]:
    timing = {"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"} | repeat}}
    return timing if sequence is None else timing | {"sequence": sequence}


def bounds(start: str | None, end: str | None) -> dict[str, Any]:
    return {"boundsPeriod": {k: v for k, v in (("start", start), ("end", end)) if v}}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, "01-01..06-30 50"),
        ({"authoredOn": "2026-06-30"}, "06-30..06-30 50"),
        ({"authoredOn": "2026-01-01T23:30:00-08:00"}, "01-01..06-30 50"),
        ({"dosageInstruction": [dosage(**bounds("2026-02-01", "2026-03-01"))]}, "02-01..03-01 50"),
        ({"dosageInstruction": [dosage(**bounds(None, "2026-03-01"))]}, "01-01..03-01 50"),
        ({"dosageInstruction": [dosage(**bounds("2026-02-01", None))]}, "02-01..06-30 50"),
        ({"dosageInstruction": [dosage(**bounds("2026-02-01", "2026-12-01"))]}, "02-01..06-30 50"),
        ({"dosageInstruction": [dosage(boundsDuration={"value": 6, "code": "wk"})]}, "01-01..02-11 50"),
        ({"dosageInstruction": [dosage(boundsDuration={"value": 1, "code": "mo"})]}, "01-01..01-31 50"),
        ({"dosageInstruction": [dosage(boundsDuration={"value": 1, "code": "d"})]}, "01-01..01-01 50"),
        (
            {"dosageInstruction": [dosage(boundsRange={"low": {"value": 10, "code": "d"},
                                                       "high": {"value": 14, "code": "d"}})]},
            "01-01..01-10 50, 01-11..01-14 50?",
        ),
        ({"dosageInstruction": [dosage(count=28)]}, "01-01..01-28 50"),
        ({"effectiveDosePeriod": {"start": "2025-12-15", "end": "2026-03-01"}}, "12-15..03-01 50"),
        ({"effectiveDosePeriod": {"end": "2026-03-01"}, "status": "stopped"}, "01-01..03-01 50"),
        ({"effectiveDosePeriod": {"end": "2026-01-01"}}, "01-01..01-01 50"),
        ({"effectiveDosePeriod": {"end": "2025-12-31"}}, "01-01..06-30 50?"),
        (
            {"effectiveDosePeriod": {"start": "2026-03-01", "end": "2026-05-01"},
             "dosageInstruction": [dosage(**bounds("2026-02-01", "2026-06-01"))]},
            "02-01..05-01 50",
        ),
        (
            {"effectiveDosePeriod": {"end": "2026-05-01"},
             "dosageInstruction": [dosage(**bounds("2026-02-01", "2026-04-01"))]},
            "02-01..04-01 50",
        ),
        ({"dosageInstruction": [dosage(count=28, frequency=2)]}, "01-01..01-14 50"),
        ({"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "unit": "days"}}}, "01-01..01-30 50"),
        (
            {"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "code": "d"}, "numberOfRepeatsAllowed": 1}},
            "01-01..03-01 50",
        ),
        ({"dispenseRequest": {"quantity": {"value": 30, "unit": "TAB"}}}, "01-01..01-30 50"),
        (
            {"dispenseRequest": {"quantity": {"value": 30}, "numberOfRepeatsAllowed": 2}},
            "01-01..03-31 50",
        ),
        ({"dispenseRequest": {"validityPeriod": {"start": "2026-01-05", "end": "2026-02-05"}}}, "01-05..02-05 50"),
        ({"authoredOn": None, "dispenseRequest": {"validityPeriod": {"start": "2026-01-05"}}}, "01-05..06-30 50"),
    ],
)  # fmt: skip
def test_where_days_come_from(order: dict[str, Any], expected: str) -> None:
    assert shown(days(**order)) == expected


def test_a_quantity_lasts_half_as_long_at_twice_the_dose() -> None:
    assert shown(days(TWO_TABLETS, dispenseRequest={"quantity": {"value": 30}})) == "01-01..01-15 100"


def test_the_bounds_of_the_dosage_win_over_the_supply() -> None:
    supply = {"expectedSupplyDuration": {"value": 30, "code": "d"}}
    result = days(dosageInstruction=[dosage(**bounds("2026-01-01", "2026-03-01"))], dispenseRequest=supply)
    assert shown(result) == "01-01..03-01 50"


@pytest.mark.parametrize(
    ("status", "end", "expected"),
    [
        ("active", None, "01-01..06-30 50"),
        ("completed", None, "01-01..06-30 50?"),
        ("stopped", None, "01-01..06-30 50?"),
        ("on-hold", None, "01-01..06-30 50?"),
        ("unknown", None, "01-01..06-30 50?"),
        (None, None, "01-01..06-30 50?"),
        ("active", "2026-03-01", "01-01..03-01 50"),
        ("completed", "2026-03-01", "01-01..03-01 50"),
        ("stopped", "2026-03-01", "01-01..03-01 50"),
        ("on-hold", "2026-03-01", "01-01..03-01 50?"),
        ("unknown", "2026-03-01", "01-01..03-01 50?"),
        ("completed", "2026-06-30", "01-01..06-30 50"),
        ("completed", "2026-07-01", "01-01..06-30 50"),
        ("stopped", "2026-06-30", "01-01..06-30 50"),
        ("stopped", "2026-07-01", "01-01..06-30 50?"),
    ],
)
def test_the_status_decides_whether_the_days_are_certain(
    status: str | None, end: str | None, expected: str
) -> None:
    instruction = [dosage(**bounds("2026-01-01", end))]
    assert shown(days(status=status, dosageInstruction=instruction)) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-02", "2026-04-10", "02-01..02-27 50?, 02-28..04-10 50"),
        ("2026-02-03", "2026-04", "02-03..04-01 50, 04-02..04-30 50?"),
        ("2026-02", "2026-02", "02-01..02-28 50?"),
        ("2026", None, "01-01..06-30 50?"),
    ],
)
def test_partial_dates_leave_their_margins_open(start: str, end: str | None, expected: str) -> None:
    assert shown(days(dosageInstruction=[dosage(**bounds(start, end))])) == expected


@pytest.mark.parametrize(
    "text", ["2024-13-45", "not-a-date", "0000-00-00", "2025-02-30", "", "2025-1-1", "20250101"]
)
def test_an_unreadable_start_is_named_and_leaves_every_day_open(text: str) -> None:
    result = days(authoredOn=text)
    (segment,) = result.segments
    assert (segment.first_day, segment.last_day, segment.days_certain) == (date(1900, 1, 1), ON, False)
    assert result.problems == (f"$.authoredOn: expected a date, found {text!r}",)


@pytest.mark.parametrize("end", ["2026-02-30", "soon", "2025-12-31"])
def test_an_end_that_cannot_be_read_or_comes_before_the_start_may_be_any_day(end: str) -> None:
    result = days(dosageInstruction=[dosage(**bounds("2026-01-01", end))])
    assert shown(result) == "01-01..06-30 50?"
    assert "boundsPeriod.end" in result.problems[0]


@pytest.mark.parametrize("value", [0, -30, 10**400])
def test_an_impossible_supply_is_named(value: int) -> None:
    result = days(dispenseRequest={"expectedSupplyDuration": {"value": value, "code": "d"}})
    assert shown(result) == "01-01..06-30 50?"
    assert "expectedSupplyDuration" in result.problems[0]


@pytest.mark.parametrize("repeats", [-1, 100000])
def test_impossible_repeats_are_named(repeats: int) -> None:
    supply = {"expectedSupplyDuration": {"value": 30, "code": "d"}, "numberOfRepeatsAllowed": repeats}
    result = days(dispenseRequest=supply)
    assert shown(result) == "01-01..06-30 50?"
    assert "numberOfRepeatsAllowed" in result.problems[0]


def test_no_start_at_all() -> None:
    (segment,) = days(authoredOn=None).segments
    assert (segment.first_day, segment.last_day, segment.days_certain) == (date(1900, 1, 1), ON, False)


def test_tomorrow_is_in_the_future_and_today_is_not() -> None:
    assert days(authoredOn="2026-07-01").is_in_future
    assert not days(authoredOn="2026-06-30").is_in_future


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        # titration: each step on its own days, also when a step ends on the day the next begins
        (
            [dosage(1, **bounds("2026-01-01", "2026-01-14")), dosage(2, **bounds("2026-01-15", "2026-03-01"))],
            "01-01..01-14 50, 01-15..03-01 100",
        ),
        (
            [dosage(1, **bounds("2026-01-01", "2026-01-14")), dosage(2, **bounds("2026-01-14", "2026-03-01"))],
            "01-01..01-13 50, 01-14..03-01 100",
        ),
        ([dosage(1, **bounds("2026-01-01", "2026-01-14")), dosage(2)], "01-01..01-14 50, 01-15..06-30 100"),
        ([dosage(2, **bounds("2026-01-15", None)), dosage(1, **bounds("2026-01-01", "2026-01-14"))],
         "01-01..01-14 100, 01-15..06-30 50"),
        ([dosage(1, boundsDuration={"value": 2, "code": "wk"}), dosage(2)], "01-01..01-14 50, 01-15..06-30 100"),
        ([dosage(boundsDuration={"value": 2, "code": "wk"}), dosage()], "01-01..01-14 50, 01-15..06-30 100"),
        # side by side: the same sequence, the same days, or none of either
        ([dosage(1, **bounds("2026-01-01", "2026-03-01")), dosage(1, **bounds("2026-01-01", "2026-03-01"))],
         "01-01..03-01 150"),
        ([dosage(), dosage()], "01-01..06-30 150"),
        ([dosage(1), dosage(1)], "01-01..06-30 150"),
        ([dosage(1, when=["MORN"]), dosage(2, when=["HS"])], "01-01..06-30 150"),
        # two sequence numbers, and nothing that says when the first ends: either
        ([dosage(1), dosage(2)], "01-01..06-30 50-150"),
    ],
)  # fmt: skip
def test_several_dosages(instructions: list[dict[str, Any]], expected: str) -> None:
    assert shown(days(ONE_TABLET, TWO_TABLETS, dosageInstruction=instructions)) == expected


def test_steps_told_in_a_text_follow_each_other() -> None:
    steps = (DailyDose(50, 50, "50 mg/day", days=14), TWO_TABLETS)
    assert shown(days(steps, dosageInstruction=[{"text": "..."}])) == "01-01..01-14 50, 01-15..06-30 100"


def test_steps_without_their_days_are_a_range() -> None:
    steps = (ONE_TABLET, TWO_TABLETS)
    assert shown(days(steps, dosageInstruction=[{"text": "..."}])) == "01-01..06-30 50-100"


def test_one_unknown_dose_beside_a_known_one_is_unknown() -> None:
    result = days(ONE_TABLET, DailyDose(None, None, "?"), dosageInstruction=[dosage(), dosage()])
    (segment,) = result.segments
    assert (segment.low_mg, segment.high_mg) == (None, None)
