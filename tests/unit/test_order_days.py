"""The days of an order and the dose on each: dates, bounds, supply, status, titration."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest

from cds_service.fhir_reading.dosage import DailyDose
from cds_service.fhir_reading.elements import MedicationRequest
from cds_service.fhir_reading.order_days import OrderDays, read_order_days

ON = date(2026, 6, 30)
TWO_WEEKS = {"value": 14, "unit": "days"}
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
    daily = {"frequency": 1, "period": 1, "periodUnit": "d"} | repeat
    timing = {"timing": {"repeat": {key: value for key, value in daily.items() if value is not None}}}
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
        # counts of any timing, a single dose
        ({"dosageInstruction": [dosage(count=28, frequency=None, period=None, periodUnit=None, when=["MORN", "HS"])]},
         "01-01..01-14 50"),
        ({"dosageInstruction": [{"timing": {"repeat": {"count": 1}}}]}, "01-01..01-01 50"),
        ({"dosageInstruction": [{"timing": {"repeat": {"count": 60}, "code": {"text": "twice daily"}}}]},
         "01-01..01-30 50"),
        ({"dosageInstruction": [dosage(count=4, period=1, periodUnit="wk")]}, "01-01..01-28 50"),
        ({"dosageInstruction": [dosage(count=20, countMax=30)]}, "01-01..01-20 50, 01-21..01-30 50?"),
        ({"dosageInstruction": [dosage(count=10**400)]}, "01-01..06-30 50"),
        # events
        ({"dosageInstruction": [{"timing": {"event": ["2026-02-03T08:00:00Z"]}}]}, "02-03..02-03 50"),
        ({"dosageInstruction": [{"timing": {"event": ["2026-02-03", "2026-02-04", "2026-02-05"]}}]}, "02-03..02-05 50"),
        ({"dosageInstruction": [{"timing": {"event": ["2026-02-03", "2026-02-10"]}}]}, "02-03..02-16 50"),
        ({"dosageInstruction": [{"timing": {"event": ["2026-02-03", "2026-02-04", "2026-02-09"]}}]}, "02-03..02-09 50"),
        # the first fill and its repeats
        ({"dispenseRequest": {"initialFill": {"duration": TWO_WEEKS}}}, "01-01..01-14 50"),
        ({"dispenseRequest": {"initialFill": {"quantity": {"value": 14}}}}, "01-01..01-14 50"),
        (
            {"dispenseRequest": {"initialFill": {"duration": TWO_WEEKS}, "numberOfRepeatsAllowed": 2,
                                 "expectedSupplyDuration": {"value": 30, "unit": "days"}}},
            "01-01..03-15 50",
        ),
        (
            {"dispenseRequest": {"initialFill": {"quantity": {"value": 14}}, "numberOfRepeatsAllowed": 2,
                                 "quantity": {"value": 30}}},
            "01-01..03-15 50",
        ),
        (
            {"dispenseRequest": {"initialFill": {"duration": TWO_WEEKS}, "numberOfRepeatsAllowed": 2}},
            "01-01..01-14 50, 01-15..06-30 50?",
        ),
        # fills that follow each other, and fills further apart than each lasts
        (
            {"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "unit": "days"}, "numberOfRepeatsAllowed": 1,
                                 "dispenseInterval": {"value": 30, "unit": "days"}}},
            "01-01..03-01 50",
        ),
        (
            {"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "unit": "days"}, "numberOfRepeatsAllowed": 1,
                                 "dispenseInterval": {"value": 40, "unit": "days"}}},
            "01-01..01-30 50, 01-31..03-11 50?",
        ),
        # a length of one fill goes on with its repeats, perhaps
        (
            {"dosageInstruction": [dosage(boundsDuration={"value": 30, "unit": "days"})],
             "dispenseRequest": {"numberOfRepeatsAllowed": 2}},
            "01-01..01-30 50, 01-31..03-31 50?",
        ),
        (
            {"dosageInstruction": [dosage(**bounds("2026-01-01", "2026-01-30"))],
             "dispenseRequest": {"numberOfRepeatsAllowed": 2}},
            "01-01..01-30 50",
        ),
        # unless the fills together last no longer than that length
        (
            {"dosageInstruction": [dosage(boundsDuration={"value": 84, "unit": "days"})],
             "dispenseRequest": {"numberOfRepeatsAllowed": 2, "quantity": {"value": 28}}},
            "01-01..03-25 50",
        ),
        (
            {"dosageInstruction": [dosage(boundsDuration={"value": 28, "unit": "days"})],
             "dispenseRequest": {"numberOfRepeatsAllowed": 2, "expectedSupplyDuration": {"value": 28, "unit": "days"}}},
            "01-01..01-28 50, 01-29..03-25 50?",
        ),
        ({"dispenseRequest": {"validityPeriod": {"start": "2026-01-05", "end": "2026-02-05"}}}, "01-05..02-05 50"),
        ({"authoredOn": None, "dispenseRequest": {"validityPeriod": {"start": "2026-01-05"}}}, "01-05..06-30 50"),
    ],
)  # fmt: skip
def test_where_days_come_from(order: dict[str, Any], expected: str) -> None:
    assert shown(days(**order)) == expected


def test_a_quantity_lasts_half_as_long_at_twice_the_dose() -> None:
    assert shown(days(TWO_TABLETS, dispenseRequest={"quantity": {"value": 30}})) == "01-01..01-15 100"


def test_a_range_of_pieces_leaves_the_end_of_a_quantity_open_between_its_ends() -> None:
    one_or_two = DailyDose(50, 100, "50-100 mg/day", pieces_per_day=2)
    result = days(one_or_two, dispenseRequest={"quantity": {"value": 30}})
    assert shown(result) == "01-01..01-15 50-100, 01-16..01-30 50-100?"


def test_a_quantity_is_used_up_by_the_steps_of_a_titration_in_turn() -> None:
    steps = (replace(ONE_TABLET, days=14), TWO_TABLETS)
    supply = {"quantity": {"value": 74}}
    result = days(steps, dosageInstruction=[{"text": "..."}], dispenseRequest=supply)
    assert shown(result) == "01-01..01-14 50, 01-15..02-13 100"


def test_a_length_in_the_text_may_be_that_of_each_repeat() -> None:
    for_30_days = replace(ONE_TABLET, days=30)
    order = {"dosageInstruction": [{"text": "..."}], "dispenseRequest": {"numberOfRepeatsAllowed": 2}}
    assert shown(days(for_30_days, **order)) == "01-01..01-30 50, 01-31..03-31 50?"
    assert "possibly to 2026-03-31 with 2 repeat(s)" in days(for_30_days, **order).days_text


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, "from 2026-01-01 by authoredOn, no end recorded, status active: taken as continuing"),
        ({"authoredOn": "1990-05-17"},
         "from 1990-05-17 by authoredOn, no end recorded, status active: taken as continuing"),
        (
            {"dosageInstruction": [dosage(**bounds("2026-02-01", "2026-03-01"))]},
            "from 2026-02-01 by boundsPeriod, to 2026-03-01 by the dosage (boundsPeriod)",
        ),
        (
            {"dosageInstruction": [dosage(boundsDuration={"value": 6, "code": "wk"})]},
            "from 2026-01-01 by authoredOn, to 2026-02-11 by the dosage (boundsDuration)",
        ),
        (
            {"dosageInstruction": [dosage(count=28)]},
            "from 2026-01-01 by authoredOn, to 2026-01-28 by the dosage (count)",
        ),
        (
            {"dosageInstruction": [{"timing": {"event": ["2026-02-03", "2026-02-04"]}}]},
            "from 2026-02-03 by timing.event, to 2026-02-04 by the dosage (timing.event)",
        ),
        (
            {"dispenseRequest": {"expectedSupplyDuration": {"value": 30, "code": "d"}, "numberOfRepeatsAllowed": 1}},
            "from 2026-01-01 by authoredOn, to 2026-03-01 by the supply of 2 fill(s)",
        ),
        (
            {"dispenseRequest": {"quantity": {"value": 30}}},
            "from 2026-01-01 by authoredOn, to 2026-01-30 by the quantity of 1 fill(s)",
        ),
        (
            {"dispenseRequest": {"initialFill": {"quantity": {"value": 14}}}},
            "from 2026-01-01 by authoredOn, to 2026-01-14 by the initial fill",
        ),
        (
            {"dispenseRequest": {"validityPeriod": {"start": "2026-01-05", "end": "2026-02-05"}}},
            "from 2026-01-05 by validityPeriod, to 2026-02-05 by the validity period",
        ),
    ],
)  # fmt: skip
def test_every_first_and_last_day_names_what_it_rests_on(order: dict[str, Any], expected: str) -> None:
    assert days(**order).days_text == expected


@pytest.mark.parametrize(
    ("changed", "end", "expected"),
    [
        # without an end: it stopped on some day up to the one on which it was last changed
        ("2026-02-10T09:00:00Z", None, "01-01..02-10 50?"),
        # a planned end after that day was not reached; one before it stands
        ("2026-02-10T09:00:00Z", "2026-03-01", "01-01..02-10 50?"),
        ("2026-03-01T09:00:00Z", "2026-03-01", "01-01..03-01 50"),
        ("2026-04-01T09:00:00Z", "2026-03-01", "01-01..03-01 50"),
        # a change that is not after the start, or cannot be read, bounds nothing
        ("2026-01-01T09:00:00Z", None, "01-01..06-30 50?"),
        ("2025-12-01T09:00:00Z", None, "01-01..06-30 50?"),
        ("soon", None, "01-01..06-30 50?"),
    ],
)
def test_the_last_change_of_a_stopped_order_bounds_its_days(
    changed: str, end: str | None, expected: str
) -> None:
    result = days(
        status="stopped",
        meta={"lastUpdated": changed},
        dosageInstruction=[dosage(**bounds("2026-01-01", end))],
    )
    assert shown(result) == expected


@pytest.mark.parametrize("status", ["active", "completed", "on-hold", "unknown"])
def test_the_last_change_says_nothing_of_other_orders(status: str) -> None:
    changed = days(status=status, meta={"lastUpdated": "2026-02-10T09:00:00Z"})
    assert changed == days(status=status)


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
        # side by side: the same sequence, or the same days
        ([dosage(1, **bounds("2026-01-01", "2026-03-01")), dosage(1, **bounds("2026-01-01", "2026-03-01"))],
         "01-01..03-01 150"),
        ([dosage(1), dosage(1)], "01-01..06-30 150"),
        ([dosage(1, when=["MORN"]), dosage(2, when=["HS"])], "01-01..06-30 150"),
        # days of the week that are not the same, or each every other day, belong together
        ([dosage(1, dayOfWeek=["mon", "wed", "fri", "sun"]), dosage(2, dayOfWeek=["tue", "thu", "sat"])],
         "01-01..06-30 150"),
        ([dosage(1, period=2), dosage(2, period=2)], "01-01..06-30 150"),
        # side by side, one of them for some days only
        ([dosage(1, boundsDuration={"value": 2, "code": "wk"}), dosage(1)], "01-01..01-14 150, 01-15..06-30 100"),
        # for the same time, at other times of day
        ([dosage(1, when=["MORN"], boundsDuration={"value": 2, "code": "wk"}),
          dosage(2, when=["HS"], boundsDuration={"value": 2, "code": "wk"})], "01-01..01-14 150"),
        # a step that only the next one's start ends
        ([dosage(1), dosage(2, **bounds("2026-02-01", None))], "01-01..01-31 50, 02-01..06-30 100"),
        ([dosage(1, when=["MORN"], **bounds("2026-01-01", None)), dosage(2, when=["HS"], **bounds("2026-02-01", None))],
         "01-01..01-31 50, 02-01..06-30 150"),
        # two sequence numbers or none, and nothing that says when the first ends: either
        ([dosage(1), dosage(2)], "01-01..06-30 50-150"),
        ([dosage(), dosage()], "01-01..06-30 50-150"),
    ],
)  # fmt: skip
def test_several_dosages(instructions: list[dict[str, Any]], expected: str) -> None:
    assert shown(days(ONE_TABLET, TWO_TABLETS, dosageInstruction=instructions)) == expected


def test_dosages_whose_lengths_stand_in_their_texts_follow_each_other() -> None:
    one_week = (replace(ONE_TABLET, days=7),)
    instructions = [{"sequence": 1, "text": "..."}, {"sequence": 2, "text": "..."}]
    result = days(one_week, TWO_TABLETS, dosageInstruction=instructions)
    assert shown(result) == "01-01..01-07 50, 01-08..06-30 100"


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [((14, 14), "01-01..01-14 150"), ((14, None), "01-01..01-14 150, 01-15..06-30 100")],
)
def test_dosages_side_by_side_whose_lengths_stand_in_their_texts(
    lengths: tuple[int | None, int | None], expected: str
) -> None:
    first, second = (
        (replace(dose, days=n),) for dose, n in zip((ONE_TABLET, TWO_TABLETS), lengths, strict=True)
    )
    instructions = [dosage(1, when=["MORN"]), dosage(1, when=["HS"])]
    assert shown(days(first, second, dosageInstruction=instructions)) == expected


def test_events_that_are_no_days_leave_every_day_open() -> None:
    result = days(dosageInstruction=[{"timing": {"event": ["2026-02-03", "soon"]}}])
    assert shown(result) == "01-01..06-30 50?"
    assert "$.dosageInstruction[0].timing.event" in result.problems[0]


@pytest.mark.parametrize("path", ["initialFill", "dispenseInterval"])
@pytest.mark.parametrize("value", [0, -30, 10**400])
def test_impossible_lengths_of_a_supply_are_named(path: str, value: int) -> None:
    length = {"value": value, "code": "d"}
    given = {"initialFill": {"duration": length}} if path == "initialFill" else {path: length}
    supply = {"expectedSupplyDuration": {"value": 30, "code": "d"}, "numberOfRepeatsAllowed": 1} | given
    result = days(dispenseRequest=supply)
    assert path in result.problems[0]
    assert not any(segment.days_certain for segment in result.segments)


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
