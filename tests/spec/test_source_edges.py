"""Orders, dispensings, administrations and statements of one drug on the days around each limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.fills import up_to_stated_ends
from cds_service.trd.record import DoseSegment, Prescription, Source, StopReason, Supply
from cds_service.trd.sources import left_out, reconcile
from cds_service.trd.stretches import DaysTold, cut, merged_neighbours, overlap
from tests.conftest import ON
from tests.spec.people import DRUGS

Record = Prescription


def day(text: str) -> date:
    return date.fromisoformat(f"2025-{text}")


def record(source: Source, number: int, days: str, mg: str = "50", **more: object) -> Record:
    """`09-01..09-30` of 2025, with `?` behind days that are not certain; a dose, a range or `?`."""
    low, _, high = mg.partition("-")
    dose = (None, None) if low == "?" else (float(low), float(high or low))
    segments = []
    for each in days.split():
        first, last = each.rstrip("?").split("..")
        segments.append(DoseSegment(day(first), day(last), *dose, days_certain=not each.endswith("?")))
    use = Finding("use", more.pop("use", Answer.MET), "its use")  # type: ignore[arg-type]
    values = {"authored": segments[0].first_day, **more}
    return Prescription(
        f"{source.name.title()}/{number}", DRUGS["sertraline"], "sertraline", tuple(segments), use,
        source=source, **values,  # type: ignore[arg-type]
    )  # fmt: skip


def ordered(days: str, mg: str = "50", number: int = 1, **more: object) -> Record:
    return record(Source.ORDERED, number, days, mg, **more)


def dispensed(days: str, mg: str = "50", number: int = 1, **more: object) -> Record:
    return record(Source.DISPENSED, number, days, mg, **more)


def given(days: str, mg: str = "50", number: int = 1, **more: object) -> Record:
    return record(Source.ADMINISTERED, number, days, mg, **more)


def stated(days: str, mg: str = "50", number: int = 1, **more: object) -> Record:
    return record(Source.STATED, number, days, mg, **more)


def told(*records: Record, on: date = ON, knows_all_fills: bool = True) -> tuple[Record, ...]:
    return reconcile(records, on, knows_all_fills=knows_all_fills)


def shown(*records: Record, on: date = ON, knows_all_fills: bool = True) -> list[str]:
    """`Ordered/1 09-01..09-30 50`, one a stretch of days; `?` where these are not certain."""
    return [
        f"{each.reference} {s.first_day:%m-%d}..{s.last_day:%m-%d} {_dose(s)}{'' if s.days_certain else '?'}"
        for each in told(*records, on=on, knows_all_fills=knows_all_fills)
        for s in each.segments
    ]


def _dose(segment: DoseSegment) -> str:
    low, high = ("-" if mg is None else f"{mg:g}" for mg in (segment.low_mg, segment.high_mg))
    return low if low == high else f"{low}-{high}"


# --- two doses of one day ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mg", "is_of_pack", "expected"),
    [
        ("49.5", False, "50"),  # 1 % below
        ("49.4", False, "49.4-50"),
        ("50.5", False, "50"),
        ("50.6", False, "50-50.6"),
        ("40", True, "50"),  # 20 % below, as packs are
        ("39.9", True, "39.9-50"),
        ("60", True, "50"),
        ("60.1", True, "50-60.1"),
        ("30-49.5", False, "50"),
        ("30-49", False, "30-50"),
        ("50.5-70", False, "50"),
        ("51-70", False, "50-70"),
        ("?", False, "50"),
    ],
)
def test_a_dispensed_dose_contradicts_an_ordered_one_beyond_rounding(
    mg: str, is_of_pack: bool, expected: str
) -> None:
    fill = dispensed("09-01..09-30", mg, has_derived_dose=is_of_pack)
    assert shown(ordered("09-01..09-30"), fill) == [f"Ordered/1 09-01..09-30 {expected}"]


def test_where_the_order_tells_no_dose_what_was_dispensed_does() -> None:
    fill = dispensed("09-01..09-30", "75-100", dose_text="from its pack")
    (order,) = told(ordered("09-01..09-30", "?", dose_text="as directed"), fill)
    assert _dose(order.segments[0]) == "75-100"
    assert order.dose_text == "as directed; dispensed (Dispensed/1): from its pack"
    (order,) = told(ordered("09-01..09-30", "50", dose_text="50 mg"), fill)
    assert order.dose_text == "50 mg"
    (order,) = told(ordered("09-01..09-30", "?"), dispensed("09-01..09-30", "?", dose_text="no dose"))
    assert (order.dose_text, order.supported_by) == ("", ("Dispensed/1",))


def test_dispensings_on_the_same_days_tell_from_the_newest_to_the_sum_of_the_distinct() -> None:
    order = ordered("09-01..09-30", "?")
    assert shown(order, dispensed("09-01..09-30", "100"), dispensed("09-11..09-20", "50", 2)) == [
        "Ordered/1 09-01..09-10 100",
        "Ordered/1 09-11..09-20 50-150",
        "Ordered/1 09-21..09-30 100",
    ]
    assert shown(order, dispensed("09-01..09-30", "50"), dispensed("09-01..09-30", "100", 2)) == [
        "Ordered/1 09-01..09-30 100-150"
    ]
    assert shown(order, dispensed("09-01..09-30", "50"), dispensed("09-02..09-30", "?", 2))[1:] == [
        "Ordered/1 09-02..09-30 -"
    ]


def test_of_statements_the_newest_tells_and_of_days_that_are_certain_those() -> None:
    order = ordered("09-01..09-30", "?")
    assert shown(order, stated("09-01..09-30", "100"), stated("09-11..09-20", "50", 2)) == [
        "Ordered/1 09-01..09-10 100",
        "Ordered/1 09-11..09-20 50",
        "Ordered/1 09-21..09-30 100",
    ]
    assert shown(order, stated("09-01..09-30", "100"), stated("09-11..09-20?", "50", 2)) == [
        "Ordered/1 09-01..09-30 100"
    ]


# --- days -------------------------------------------------------------------------------------------------


def test_days_that_were_ordered_and_not_dispensed_are_not_certain() -> None:
    order, fill = ordered("09-01..09-30"), dispensed("09-10..09-20")
    assert shown(order, fill) == [
        "Ordered/1 09-01..09-09 50?",
        "Ordered/1 09-10..09-20 50",
        "Ordered/1 09-21..09-30 50?",
    ]
    whole = ["Ordered/1 09-01..09-30 50"]
    assert shown(order, fill, knows_all_fills=False) == whole
    assert shown(order, dispensed("09-10..09-20?")) == whole
    assert shown(order, dispensed("08-01..08-31")) == [*whole, "Dispensed/1 08-01..08-31 50"]
    assert shown(order, given("09-10..09-20")) == shown(order, stated("09-10..09-20")) == whole
    unknown = replace(dispensed("03-01..03-31", number=9), drug=None, name="tablet")
    assert shown(order, fill, unknown)[0] == whole[0]
    assert shown(order) == whole


@pytest.mark.parametrize("of", [dispensed, given, stated])
def test_days_of_an_order_that_are_not_certain_become_so_where_another_record_is(of: object) -> None:
    found = shown(ordered("09-01..09-30?"), of("09-10..09-20"))  # type: ignore[operator]
    assert found == [
        "Ordered/1 09-01..09-09 50?",
        "Ordered/1 09-10..09-20 50",
        "Ordered/1 09-21..09-30 50?",
    ]


def test_what_was_not_taken() -> None:
    order, denial = ordered("09-01..09-30"), stated("09-10..09-20", is_denial=True)
    assert shown(order, denial) == [
        "Ordered/1 09-01..09-09 50",
        "Ordered/1 09-10..09-20 50?",
        "Ordered/1 09-21..09-30 50",
    ]
    assert told(denial) == ()
    assert told(ordered("10-01..10-30"), denial)[0].segments[0].days_certain


def test_days_of_no_order_stand_for_themselves() -> None:
    order = ordered("09-01..09-30", stop_reason=StopReason.INEFFICACY)
    fill = dispensed("09-20..10-19", "?")
    assert shown(order, fill, knows_all_fills=False) == [
        "Ordered/1 09-01..09-30 50",
        "Dispensed/1 10-01..10-19 50",
    ]
    rest = told(order, fill)[1]
    assert rest.stop_reason is StopReason.INEFFICACY
    own = replace(fill, stop_reason=StopReason.INTOLERANCE)
    assert told(order, own)[1].stop_reason is StopReason.INTOLERANCE
    around = shown(order, stated("08-31..10-01", "100"))
    assert around[1:] == ["Stated/1 08-31..08-31 100", "Stated/1 10-01..10-01 100"]
    two = (order, ordered("08-01..08-31", "100", 2))
    assert (
        shown(*two, dispensed("08-20..10-19", "?"), knows_all_fills=False)[-1] == "Dispensed/1 10-01..10-19 -"
    )


def test_the_last_of_its_orders_tells_why_it_was_stopped() -> None:
    orders = (
        ordered("08-01..09-30", stop_reason=StopReason.INEFFICACY),
        ordered("08-01..09-29", number=2, stop_reason=StopReason.INTOLERANCE),
    )
    for each in (orders, orders[::-1]):
        assert told(*each, dispensed("09-20..10-19"))[-1].stop_reason is StopReason.INEFFICACY


# --- what it was for --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_use", "stated_use", "fill_use", "is_denial", "answer"),
    [
        (Answer.MET, False, Answer.NOT_MET, False, Answer.UNKNOWN),
        (Answer.MET, True, Answer.NOT_MET, False, Answer.MET),
        (Answer.MET, False, Answer.UNKNOWN, False, Answer.MET),
        (Answer.MET, False, Answer.NOT_MET, True, Answer.MET),
        (Answer.NOT_MET, False, Answer.MET, False, Answer.NOT_MET),
        (Answer.UNKNOWN, False, Answer.NOT_MET, False, Answer.UNKNOWN),
    ],
)
def test_the_use_of_an_order_beside_that_of_a_statement(
    order_use: Answer, stated_use: bool, fill_use: Answer, is_denial: bool, answer: Answer
) -> None:
    order = ordered("09-01..09-30", use=order_use, has_stated_use=stated_use)
    (found,) = told(order, stated("09-01..09-30", use=fill_use, is_denial=is_denial))
    assert found.treats_depression.answer is answer
    if answer is not order_use:
        assert found.treats_depression.text == ("the order states no reason, and Stated/1 tells: its use")


def test_the_use_of_what_no_order_covers() -> None:
    sleep = ordered("09-01..09-30", use=Answer.NOT_MET)
    for other, fill, answer in (
        (sleep, dispensed("09-20..10-19"), Answer.NOT_MET),  # of an order on days of its own
        (sleep, dispensed("10-01..10-19"), Answer.UNKNOWN),  # elsewhere for something else only
        (sleep, dispensed("10-01..10-19", has_stated_use=True), Answer.MET),
        (sleep, dispensed("10-01..10-19", use=Answer.NOT_MET), Answer.NOT_MET),
        (sleep, dispensed("10-01..10-19", fulfils=("Ordered/1",)), Answer.NOT_MET),
        (ordered("09-01..09-30"), dispensed("10-01..10-19"), Answer.MET),
        (ordered("09-01..09-30", use=Answer.UNKNOWN), dispensed("09-20..10-19"), Answer.MET),
    ):
        found = told(other, fill)[-1].treats_depression
        assert found.answer is answer
        if answer is Answer.UNKNOWN:
            assert found == Finding(
                "use",
                Answer.UNKNOWN,
                "what it was for is not recorded; elsewhere: its use",
                ("Dispensed/1", "Ordered/1"),
            )
    assert told(dispensed("10-01..10-19"))[0].treats_depression.answer is Answer.MET


# --- one after the other ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "mg", "expected"),
    [
        ("10-01..10-30", "50", "10-01..10-30 50"),
        ("09-30..10-29", "50", "10-01..10-30 50"),  # one day early
        ("10-02..10-31", "50", "10-02..10-31 50"),  # one day late
        ("09-20..10-19", "50", "10-01..10-30 50"),
        ("09-09..10-08", "50", "10-01..10-30 50"),  # more than a quarter of 30 days
        ("09-08..10-07", "50", "10-01..10-30 50?"),  # less: perhaps the first, recorded twice
        ("09-01..09-30", "50", "10-01..10-30 50?"),
        ("09-08..10-08", "50", "10-01..10-31 50"),  # of another length
        ("09-08..10-07", "100", "09-08..10-07 100"),  # of another dose
        ("09-20..10-19?", "50", "09-20..10-19 50?"),
    ],
)
def test_an_early_refill_begins_when_the_last_one_ran_out(second: str, mg: str, expected: str) -> None:
    found = shown(dispensed("09-01..09-30"), dispensed(second, mg, 2))
    assert f"Dispensed/2 {expected}" in found
    assert "Dispensed/1 09-01..09-30 50" in found


def test_exactly_a_quarter_is_not_too_soon() -> None:
    assert shown(dispensed("09-01..09-28"), dispensed("09-08..10-05", number=2)) == [
        "Dispensed/1 09-01..09-28 50", "Dispensed/2 09-29..10-26 50"
    ]  # fmt: skip
    assert shown(dispensed("09-01..09-28"), dispensed("09-07..10-04", number=2))[1].endswith("50?")


def test_three_in_turn_and_no_day_after_today() -> None:
    fills = (
        dispensed("09-01..09-30"), dispensed("09-20..10-19", number=2), dispensed("10-10..11-08", number=3)
    )  # fmt: skip
    third = "Dispensed/3 10-31..11-29 50"
    assert shown(*fills)[2] == third
    assert shown(*fills, on=day("11-29"))[2] == third
    assert shown(*fills, on=day("11-28"))[2] == "Dispensed/3 10-31..11-28 50"
    assert shown(*fills, on=day("10-31"))[2] == "Dispensed/3 10-31..10-31 50"
    assert len(shown(*fills, on=day("10-30"))) == 2
    assert shown(dispensed("09-01..09-30?"), on=day("09-10")) == ["Dispensed/1 09-01..09-10 50?"]
    assert shown(dispensed("09-01..09-30?"), on=day("08-31")) == []


# --- the end of the order ---------------------------------------------------------------------------------


def test_what_is_left_over_at_the_stated_end_of_the_order_is_no_use() -> None:
    fill, end = dispensed("09-20..10-19"), day("09-30")
    ended = ordered("09-01..09-30", stated_end=end)
    assert all(line.startswith("Ordered") for line in shown(ended, fill))
    for order, expected in (
        (ordered("09-01..09-30"), "10-01..10-19"),  # the order states no end
        (ordered("09-01..09-19", stated_end=day("09-19")), "09-20..10-19"),  # it had ended the day before
        (ordered("09-01..09-20", stated_end=day("09-20")), None),  # it ended on that very day
    ):
        rest = [line for line in shown(order, fill) if line.startswith("Dispensed")]
        assert rest == ([f"Dispensed/1 {expected} 50"] if expected else [])
    named = replace(fill, fulfils=("Ordered/1",))
    assert [line for line in shown(ended, named) if line.startswith("Dispensed")] == []


def test_an_order_that_follows_on_another_goes_on_with_what_was_dispensed() -> None:
    fill = dispensed("09-20..10-19")
    first = ordered("09-01..09-30", stated_end=day("09-30"))
    next_day = ordered("10-01..10-10", number=2, stated_end=day("10-10"))
    a_day_later = ordered("10-02..10-10", number=2, stated_end=day("10-10"))
    assert "Ordered/2 10-01..10-10 50" in shown(first, next_day, fill)
    for orders, last_day in (((first, next_day), "10-10"), ((first, a_day_later), "09-30")):
        (supply,) = told(*orders, fill)[0].supplies
        assert supply.last_day == day(last_day)
    open_end = ordered("10-01..10-10", number=2)
    assert shown(first, open_end, fill)[-1] == "Dispensed/1 10-11..10-19 50"


# --- fills that tell how much -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "mg", "last_day"),
    [
        (1500, "50", "09-30"),
        (1549, "50", "09-30"),
        (1550, "50", "10-01"),
        (50, "50", "09-01"),
        (0.3, "0.1", "09-03"),
        (49, "50", None),
        (1500, "50-100", None),
        (1500, "?", None),
        (None, "50", None),
    ],
)
def test_how_long_a_fill_lasts_at_the_ordered_dose(
    total: float | None, mg: str, last_day: str | None
) -> None:
    fill = dispensed("09-01..12-31?", "?", total_mg=total, days_text="from its day on")
    found = told(ordered("09-01..12-31", mg), fill)
    certain = [s for s in found[0].segments if s.days_certain]
    supplies = found[0].supplies
    if last_day is None:
        assert supplies == ()
        return
    assert [(s.first_day, s.last_day) for s in certain] == [(day("09-01"), day(last_day))]
    assert supplies == (Supply(day("09-01"), day(last_day), "Dispensed/1"),)


def test_a_fill_lasts_no_longer_than_its_own_days_and_by_the_order_of_the_day_it_was_handed_over() -> None:
    fill = dispensed("09-01..09-10?", "?", total_mg=1500)
    (order,) = told(ordered("09-01..12-31"), fill)
    assert order.supplies == (Supply(day("09-01"), day("09-10"), "Dispensed/1"),)
    two = (ordered("08-01..08-31", "100"), ordered("09-01..12-31", "50", 2))
    fill = dispensed("09-01..12-31?", "?", total_mg=1500)
    assert told(*two, fill)[0].supplies[0].last_day == day("09-30")
    both = (ordered("08-01..12-31", "100"), ordered("09-01..12-31", "50", 2))
    assert told(*both, fill)[0].supplies == ()
    named = replace(fill, fulfils=("Ordered/1",))
    assert told(*both, named)[0].supplies[0].last_day == day("09-15")


# --- supplies ---------------------------------------------------------------------------------------------


def test_all_that_was_at_hand() -> None:
    found = told(
        dispensed("09-01..09-30"),
        dispensed("09-01..09-30", number=2),
        given("10-05..10-06", number=3),
        given("10-07..10-08?", number=4),
        stated("11-01..11-30", number=5),
        stated("11-01..11-30?", number=6),
        stated("12-01..12-30", number=7, is_denial=True),
    )
    assert set(found[0].supplies) == {
        Supply(day("09-01"), day("09-30"), "Dispensed/1"),
        Supply(day("10-01"), day("10-30"), "Dispensed/2", is_sure=False),
        Supply(day("10-05"), day("10-06"), "Administered/3", is_dispensed=False),
        Supply(day("11-01"), day("11-30"), "Stated/5", is_sure=False, is_dispensed=False),
    }
    assert all(each.supplies == found[0].supplies for each in found)


@pytest.mark.parametrize(
    ("records", "knows_all_fills"),
    [
        ((dispensed("09-01..09-30"),), False),
        ((dispensed("09-01..09-30"), dispensed("11-01..11-30?", number=2)), True),
        ((given("09-01..09-30"),), True),
        ((stated("09-01..09-30"),), True),
    ],
)
def test_nothing_is_at_hand_for_certain_where_not_all_fills_are_known(
    records: tuple[Record, ...], knows_all_fills: bool
) -> None:
    assert all(not each.supplies for each in told(*records, knows_all_fills=knows_all_fills))


# --- what is left out -------------------------------------------------------------------------------------


def test_why_a_record_tells_nothing() -> None:
    order, denial = ordered("09-01..09-30"), stated("11-01..11-30", is_denial=True)
    over = dispensed("09-01..09-30", number=8)
    found = left_out([order, denial, over], [order])
    assert [(each.reference, each.problem) for each in found] == [
        ("Stated/1", "sertraline: said not to be taken, on days of which nothing else speaks"),
        ("Dispensed/8",
         "sertraline: no day is left to it: others tell of its days, its order had ended, or they lie ahead"),
    ]  # fmt: skip
    assert left_out([order, over], told(order, over)) == ()
    assert left_out([], []) == ()


# --- stretches of days ------------------------------------------------------------------------------------


def stretch(days: str, mg: float | None = 50) -> DoseSegment:
    first, last = days.split("..")
    return DoseSegment(day(first), day(last), mg, mg)


@pytest.mark.parametrize(
    ("other", "is_shared"),
    [("08-01..08-31", False), ("08-01..09-01", True), ("09-30..10-31", True), ("10-01..10-31", False)],
)
def test_stretches_with_a_day_in_common(other: str, is_shared: bool) -> None:
    assert overlap(stretch("09-01..09-30"), stretch(other)) is is_shared
    assert overlap(stretch(other), stretch("09-01..09-30")) is is_shared
    first, last = (day(text) for text in other.split(".."))
    found = DaysTold([ordered("09-01..09-30")]).within(first, last)
    assert [pair[0].reference for pair in found] == (["Ordered/1"] if is_shared else [])


def test_records_are_found_in_order_of_their_first_day_also_behind_a_long_one() -> None:
    days = DaysTold(
        [
            ordered("09-10..09-12", number=1),
            ordered("09-01..12-31", number=2),
            ordered("09-05..09-06", number=3),
        ]
    )
    for first, last, numbers in (
        ("09-11", "09-11", [2, 1]), ("09-07", "09-09", [2]), ("09-06", "09-10", [2, 3, 1]), ("08-01", "08-31", [])
    ):  # fmt: skip
        found = [pair[0].reference for pair in days.within(day(first), day(last))]
        assert found == [f"Ordered/{number}" for number in numbers]


@pytest.mark.parametrize(
    ("other", "pieces"),
    [
        ("09-10..09-20", ["09-01..09-09", "09-10..09-20", "09-21..09-30"]),
        ("09-01..09-30", ["09-01..09-30"]),
        ("09-30..10-31", ["09-01..09-29", "09-30..09-30"]),
        ("08-01..09-01", ["09-01..09-01", "09-02..09-30"]),
        ("10-01..10-31", ["09-01..09-30"]),
        ("08-01..08-31", ["09-01..09-30"]),
    ],
)
def test_a_stretch_is_cut_where_another_begins_or_has_ended(other: str, pieces: list[str]) -> None:
    found = cut([stretch("09-01..09-30")], [stretch(other)])
    assert found == [stretch(piece) for piece in pieces]
    assert merged_neighbours(found) == [stretch("09-01..09-30")]


@pytest.mark.parametrize(
    ("later", "count"),
    [
        (stretch("10-01..10-31"), 1),
        (stretch("10-02..10-31"), 2),
        (stretch("10-01..10-31", 100), 2),
        (replace(stretch("10-01..10-31"), days_certain=False), 2),
    ],
)
def test_neighbours_that_say_the_same_are_one(later: DoseSegment, count: int) -> None:
    assert len(merged_neighbours([stretch("09-01..09-30"), later])) == count


# --- what a fill says of itself ---------------------------------------------------------------------------


def test_a_fill_says_how_its_days_were_worked_out() -> None:
    fill = dispensed("09-01..12-31?", "?", total_mg=1550, days_text="from its day on", dose_text="no dose")
    (found,) = up_to_stated_ends([fill], [ordered("09-01..12-31", "62.5")])
    text = "1550 mg at the 62.5 mg/day that are ordered last 24 days"
    assert (found.record.dose_text, found.record.days_text) == (text, f"from its day on; {text}")
    assert found.record.segments == (DoseSegment(day("09-01"), day("09-24"), 62.5, 62.5),)
    assert found.last_day == date.max


def test_a_fill_is_of_the_order_in_force_on_the_day_it_was_handed_over() -> None:
    order = ordered("09-01..09-30", stated_end=day("09-30"))
    for authored, days, last_day in (
        (day("09-30"), "10-01..10-30", day("09-30")),
        (day("10-01"), "09-30..10-30", date.max),
        (None, "09-30..10-30", day("09-30")),
        (None, "10-01..10-30", date.max),
    ):
        (found,) = up_to_stated_ends([dispensed(days, authored=authored)], [order])
        assert found.last_day == last_day
    (found,) = up_to_stated_ends([dispensed("09-01..09-30")], [])
    assert found.last_day == date.max


def test_a_fill_whose_turn_comes_on_the_last_day_of_its_order_is_used_for_that_day() -> None:
    order = ordered("09-01..09-30", stated_end=day("09-30"))
    for first, expected in (("09-01..09-29", [day("09-30")]), ("09-01..09-30", [])):
        fills = (dispensed(first), dispensed("09-20..10-18", number=2))
        supplies = told(order, *fills)[0].supplies
        assert [s.first_day for s in supplies if s.reference == "Dispensed/2"] == expected


def test_days_that_are_not_certain_are_told_on_the_first_of_them() -> None:
    assert shown(dispensed("09-01..09-30?"), on=day("09-01")) == ["Dispensed/1 09-01..09-01 50?"]


def test_fills_that_may_be_recorded_twice_wait_for_those_of_their_own_order_only() -> None:
    fills = (
        dispensed("09-01..09-30", fulfils=("Ordered/1",)),
        dispensed("09-01..09-30", number=2, fulfils=("Ordered/1",)),
        dispensed("09-01..09-30", number=3, fulfils=("Ordered/2",)),
        dispensed("09-01..09-30", number=4, fulfils=("Ordered/2",)),
    )
    starts = {line.split()[0]: line.split()[1] for line in shown(*fills)}
    assert starts == {
        "Dispensed/1": "09-01..09-30",
        "Dispensed/2": "10-01..10-30",
        "Dispensed/3": "10-01..10-30",
        "Dispensed/4": "10-31..11-29",
    }


def test_a_fill_of_an_unidentified_drug_tells_of_the_days_of_that_drug() -> None:
    order, fill = (
        replace(each, drug=None, name="tablet")
        for each in (ordered("09-01..09-30"), dispensed("09-10..09-30"))
    )
    assert shown(order, fill)[0] == "Ordered/1 09-01..09-09 50?"
