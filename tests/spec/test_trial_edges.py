"""Trials at their edges: the day before, the very day, the day after; which dose, reason and dispensing count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Exposure, Trial
from cds_service.trd.parameters import Definition
from cds_service.trd.record import DoseSegment, StopReason, Supply
from cds_service.trd.trials import find_trials, judge_adherence
from tests.conftest import ON
from tests.spec.people import orders
from tests.spec.texttables import rows


def trials_of(table: str, definition: Definition, on: date = ON) -> tuple[Trial, ...]:
    return find_trials(build_exposures(orders(table), definition.max_gap_days), definition, on)


def the_trial(table: str, definition: Definition, on: date = ON) -> Trial:
    (trial,) = trials_of(table, definition, on)
    return trial


def day(text: str) -> date | None:
    return date.fromisoformat(text) if text not in ("", "-") else None


# --- what is said of each trial ---------------------------------------------------------------------------


def test_an_adequate_trial_in_words(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-10-12 | 62.5", definition
    )
    evidence = ("MedicationRequest/1",)
    assert trial.dose == Finding("dose", Answer.MET, "at least 50 mg/day", evidence)
    assert trial.duration == Finding("duration", Answer.MET, "42 adequate days, 42 needed", evidence)
    assert trial.use == Finding("use", Answer.MET, "stated use", evidence)
    assert trial.adherence == Finding(
        "adherence",
        Answer.UNKNOWN,
        "no dispensing on these days can be counted; taken as prescribed is assumed",
    )
    assert (trial.minimum_mg, trial.max_mg) == (50, 62.5)


def test_a_trial_that_never_reached_the_minimum_in_words(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day | stop\n"
        "sertraline | 2026-01-01 | 2026-06-30 | 25 | intolerance",
        definition,
    )
    evidence = ("MedicationRequest/1",)
    assert trial.dose == Finding(
        "dose", Answer.NOT_MET, "25 mg/day never reached the minimum of 50 mg/day", evidence
    )
    assert trial.duration == Finding("duration", Answer.NOT_MET, "no day at an adequate dose", evidence)
    assert (trial.minimum_mg, trial.max_mg, trial.stop_reason) == (50, 25, StopReason.INTOLERANCE)
    assert (trial.first_day, trial.last_day, trial.long_enough_on) == (None, None, None)
    assert (trial.possible_first_day, trial.possible_last_day) == (None, None)


@pytest.mark.parametrize(
    ("last_day", "runs"), [("2026-06-29", False), ("2026-06-30", True), ("2026-07-01", True)]
)
@pytest.mark.parametrize("mg", [25, 50])
def test_a_trial_runs_while_its_last_day_is_today_or_later(
    mg: int, last_day: str, runs: bool, definition: Definition
) -> None:
    trial = the_trial(
        f"drug | first_day | last_day | mg_per_day\nsertraline | 2026-06-01 | {last_day} | {mg}", definition
    )
    assert trial.is_running is runs


DOSES = """
    drug       | mg_per_day | answer  | text
    sertraline | ?          | unknown | the dose is not recorded in a form that can be read
    sertraline | 25-50      | unknown | the recorded dose may lie below or above the minimum of 50 mg/day
    tablet     | 100        | unknown | the drug could not be identified
    trazodone  | 100-150    | unknown | the recorded dose may lie below or above the minimum of 150 mg/day
    trazodone  | 150-300    | met     | at least 150 mg/day
"""


@pytest.mark.parametrize("row", rows(DOSES), ids=lambda row: f"{row['drug']} {row['mg_per_day']}")
def test_why_a_dose_is_enough_or_not_known(row: dict[str, str], definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\n"
        f"{row['drug']} | 2025-09-01 | 2025-11-30 | {row['mg_per_day']}",
        definition,
    )
    assert (trial.dose.answer.value, trial.dose.text) == (row["answer"], row["text"])


def test_a_drug_without_a_minimum_in_the_column_of_the_definition(definition: Definition) -> None:
    strict = replace(definition, dose_column="strict")
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-11-30 | 50", strict
    )
    assert trial.dose.text == "no minimum adequate dose of sertraline is known"
    assert (trial.dose.answer, trial.minimum_mg, trial.adequate_days) == (Answer.UNKNOWN, None, 91)


@pytest.mark.parametrize(
    ("days_more", "answer", "text"),
    [
        (0, "not-met", "41 adequate days, 42 needed"),
        (1, "unknown", "it is not recorded on which days it was taken: 30 days are certain, 42 needed"),
    ],
)
def test_days_that_are_not_certain_leave_the_length_open_from_the_day_that_is_enough(
    days_more: int, answer: str, text: str, definition: Definition
) -> None:
    trial = the_trial(
        f"""
        drug       | first_day  | last_day                            | mg_per_day | days
        sertraline | 2025-09-01 | 2025-09-30                          | 50         |
        sertraline | 2025-10-01 | {date(2025, 10, 11 + days_more)}    | 50         | uncertain
        """,
        definition,
    )
    assert (trial.duration.answer.value, trial.duration.text) == (answer, text)
    assert (trial.first_day, trial.last_day) == (date(2025, 9, 1), date(2025, 9, 30))
    assert trial.possible_last_day == date(2025, 10, 11 + days_more)


@pytest.mark.parametrize(("sure_days", "answer", "shown"), [(41, "unknown", 82), (42, "met", 42)])
def test_a_dose_that_is_sure_for_long_enough_needs_no_other(
    sure_days: int, answer: str, shown: int, definition: Definition
) -> None:
    last = date(2025, 9, 1) + timedelta(sure_days - 1)
    rest = last + timedelta(1)
    trial = the_trial(
        f"""
        drug       | first_day  | last_day              | mg_per_day
        sertraline | 2025-09-01 | {last}                | 50
        sertraline | {rest}     | {rest + timedelta(40)} | ?
        """,
        definition,
    )
    assert (trial.dose.answer.value, trial.adequate_days) == (answer, shown)


LONG_ENOUGH = """
    first_day  | last_day   | mg_per_day | days      | long_enough_on | why
    2026-06-30 | 2026-06-30 | 50         |           | 2026-08-10     | begun today
    2026-05-20 | 2026-06-30 | 50         |           | -              | long enough today
    2026-05-21 | 2026-06-30 | 50         |           | 2026-07-01     | long enough tomorrow
    2026-05-21 | 2026-06-30 | 50         | uncertain | -              | no day is certain
    2026-06-01 | 2026-06-29 | 50         |           | -              | over since yesterday
    2026-06-01 | 2026-06-30 | ?          |           | 2026-07-12     | the dose may be enough
"""


@pytest.mark.parametrize("row", rows(LONG_ENOUGH), ids=lambda row: row["why"])
def test_from_when_a_running_trial_is_long_enough(row: dict[str, str], definition: Definition) -> None:
    head = "drug | first_day | last_day | mg_per_day | days\nsertraline"
    cells = (row["first_day"], row["last_day"], row["mg_per_day"], row["days"])
    assert the_trial(" | ".join([head, *cells]), definition).long_enough_on == day(row["long_enough_on"])


def test_a_trial_below_the_dose_today_does_not_become_long_enough(definition: Definition) -> None:
    trial = the_trial(
        """
        drug       | first_day  | last_day   | mg_per_day
        sertraline | 2026-06-01 | 2026-06-20 | 50
        sertraline | 2026-06-21 | 2026-06-30 | 25
        """,
        definition,
    )
    assert (trial.is_running, trial.long_enough_on, trial.adequate_days) == (False, None, 20)


@pytest.mark.parametrize(("begin", "count"), [("2025-10-15", 1), ("2025-10-16", 2)])
def test_fourteen_days_between_two_uses_are_bridged_and_fifteen_are_not(
    begin: str, count: int, definition: Definition
) -> None:
    trials = trials_of(
        f"""
        drug       | first_day  | last_day   | mg_per_day
        sertraline | 2025-09-01 | 2025-09-30 | 50
        sertraline | {begin}    | 2025-11-30 | 50
        """,
        definition,
    )
    assert len(trials) == count
    low_between = trials_of(
        f"""
        drug       | first_day  | last_day                                        | mg_per_day
        sertraline | 2025-09-01 | 2025-09-30                                      | 50
        sertraline | 2025-10-01 | {date.fromisoformat(begin) - timedelta(1)}      | 25
        sertraline | {begin}    | 2025-11-30                                      | 50
        """,
        definition,
    )
    assert len(low_between) == count


# --- the largest dose, and why it was stopped -------------------------------------------------------------

LARGEST = """
    last_day   | again_from | again_mg | largest | why
    2025-09-30 | 2025-10-20 | 200      | 50, 200 | each run has its own
    2025-09-30 | 2025-10-10 | 200      | 200     | one run
    2025-09-30 | 2025-10-10 | ?        | 50      | a dose that is not known is none
    2025-09-30 | 2025-09-30 | 150      | 150     | on the last day, and no sum of both
"""


@pytest.mark.parametrize("row", rows(LARGEST), ids=lambda row: row["why"])
def test_the_largest_dose_of_a_run(row: dict[str, str], definition: Definition) -> None:
    trials = trials_of(
        f"""
        drug       | first_day           | last_day           | mg_per_day
        sertraline | 2025-09-01          | {row["last_day"]}  | 50
        sertraline | {row["again_from"]} | 2025-11-30         | {row["again_mg"]}
        """,
        definition,
    )
    assert [f"{trial.max_mg:g}" for trial in trials] == row["largest"].split(", ")


def test_a_dose_no_record_tells_is_no_largest_dose(definition: Definition) -> None:
    trial = the_trial(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-11-30 | ?", definition
    )
    assert trial.max_mg is None


@pytest.mark.parametrize(
    ("second_from", "second_until", "first", "second", "expected"),
    [
        ("2025-10-01", "2025-11-30", "inefficacy", "intolerance", "intolerance"),
        ("2025-10-01", "2025-11-30", "intolerance", "none given", "none given"),
        ("2025-08-01", "2025-09-30", "inefficacy", "intolerance", "other"),  # both on one day
        ("2025-08-01", "2025-09-30", "inefficacy", "inefficacy", "inefficacy"),
        ("2025-08-01", "2025-09-30", "none given", "intolerance", "intolerance"),
        ("2025-08-01", "2025-09-30", "none given", "none given", "none given"),
        ("2025-08-01", "2025-09-29", "none given", "intolerance", "none given"),
    ],
)
def test_the_reason_of_the_order_that_ended_last(
    second_from: str, second_until: str, first: str, second: str, expected: str, definition: Definition
) -> None:
    trial = the_trial(
        f"""
        drug       | first_day     | last_day       | mg_per_day | stop
        sertraline | 2025-09-01    | 2025-09-30     | 50         | {first}
        sertraline | {second_from} | {second_until} | 50         | {second}
        """,
        definition,
    )
    assert trial.stop_reason.value == expected


def test_a_low_dose_between_ends_the_earlier_run_without_the_reason_of_the_later(
    definition: Definition,
) -> None:
    trials = trials_of(
        """
        drug       | first_day  | last_day   | mg_per_day | stop
        sertraline | 2025-08-01 | 2025-08-30 | 50         | inefficacy
        sertraline | 2025-08-31 | 2025-09-14 | 25         | intolerance
        sertraline | 2025-09-15 | 2025-10-15 | 50         | other
        """,
        definition,
    )
    assert [trial.stop_reason.value for trial in trials] == ["inefficacy", "other"]


def test_one_order_that_surely_treats_depression_is_enough(definition: Definition) -> None:
    for uses, expected in (
        (("met", "unknown"), "met"),
        (("unknown", "met"), "met"),
        (("unknown", "unknown"), "unknown"),
        (("not-met", "not-met"), "not-met"),
    ):
        trial = the_trial(
            f"""
            drug       | first_day  | last_day   | mg_per_day | use
            sertraline | 2025-09-01 | 2025-09-30 | 50         | {uses[0]}
            sertraline | 2025-10-01 | 2025-11-30 | 50         | {uses[1]}
            """,
            definition,
        )
        assert trial.use.answer.value == expected


# --- an unidentified drug beside --------------------------------------------------------------------------

BESIDE = """
    drug    | tablet_from | tablet_until | use     | length  | possible                 | why
    tablet  | 2025-09-26  | 2025-10-12   | met     | unknown | 2025-09-01 to 2025-10-12 | 42 days together
    tablet  | 2025-09-26  | 2025-10-11   | met     | not-met | 2025-09-01 to 2025-10-11 | 41 days together
    tablet  | 2025-10-10  | 2025-10-20   | met     | unknown | 2025-09-01 to 2025-10-20 | 14 days between
    tablet  | 2025-10-11  | 2025-10-20   | met     | not-met | 2025-09-01 to 2025-09-25 | 15 days between
    tablet  | 2025-08-01  | 2025-08-17   | met     | unknown | 2025-08-01 to 2025-09-25 | 14 days between, before
    tablet  | 2025-08-01  | 2025-08-16   | met     | not-met | 2025-09-01 to 2025-09-25 | 15 days between, before
    tablet  | 2025-09-05  | 2025-09-10   | met     | not-met | 2025-09-01 to 2025-09-25 | within it
    tablet  | 2025-08-01  | 2025-12-31   | met     | unknown | 2025-08-01 to 2025-12-31 | around it
    tablet  | 2025-09-26  | 2025-10-12   | unknown | unknown | 2025-09-01 to 2025-10-12 | perhaps for depression
    tablet  | 2025-09-26  | 2025-10-12   | not-met | not-met | 2025-09-01 to 2025-09-25 | for something else
    citalopram | 2025-09-26 | 2025-10-12  | met     | not-met | 2025-09-01 to 2025-09-25 | it is another drug
"""


@pytest.mark.parametrize("row", rows(BESIDE), ids=lambda row: row["why"])
def test_a_drug_that_is_not_identified_may_have_been_that_of_the_trial_beside_it(
    row: dict[str, str], definition: Definition
) -> None:
    trials = trials_of(
        f"""
        drug          | first_day            | last_day              | mg_per_day | use
        sertraline    | 2025-09-01           | 2025-09-25            | 50         | met
        {row["drug"]} | {row["tablet_from"]} | {row["tablet_until"]} | 50         | {row["use"]}
        """,
        definition,
    )
    (known,) = (trial for trial in trials if trial.name == "sertraline")
    assert known.duration.answer.value == row["length"]
    assert f"{known.possible_first_day} to {known.possible_last_day}" == row["possible"]
    doubt = "; with the unidentified drug beside it, it may have been long enough"
    is_open = row["length"] == "unknown"
    assert known.duration.text == "25 adequate days, 42 needed" + (doubt if is_open else "")
    (other,) = (trial for trial in trials if trial.name != "sertraline")
    days = f"{other.possible_first_day} to {other.possible_last_day}"
    assert days == f"{row['tablet_from']} to {row['tablet_until']}"


def test_a_trial_for_something_else_is_not_made_longer_by_what_is_beside_it(definition: Definition) -> None:
    first, _ = trials_of(
        """
        drug       | first_day  | last_day   | mg_per_day | use
        sertraline | 2025-09-01 | 2025-09-25 | 50         | not-met
        tablet     | 2025-09-26 | 2025-10-20 | 50         | met
        """,
        definition,
    )
    assert (first.duration.answer, first.possible_last_day) == (Answer.NOT_MET, date(2025, 9, 25))


def test_a_trial_without_an_adequate_day_is_beside_nothing(definition: Definition) -> None:
    trials = trials_of(
        """
        drug       | first_day  | last_day   | mg_per_day
        sertraline | 2025-09-01 | 2025-09-25 | 25
        tablet     | 2025-09-26 | 2025-10-20 | ?
        """,
        definition,
    )
    assert [trial.duration.answer for trial in trials] == [Answer.NOT_MET, Answer.NOT_MET]


def test_a_trial_that_is_long_enough_stays_so_and_may_have_begun_earlier(definition: Definition) -> None:
    _, known = trials_of(
        """
        drug       | first_day  | last_day   | mg_per_day
        tablet     | 2025-08-01 | 2025-08-31 | 50
        sertraline | 2025-09-01 | 2025-11-30 | 50
        """,
        definition,
    )
    assert (known.duration.answer, known.duration.text) == (Answer.MET, "91 adequate days, 42 needed")
    assert (known.possible_first_day, known.possible_last_day) == (date(2025, 8, 1), date(2025, 11, 30))
    assert (known.first_day, known.last_day) == (date(2025, 9, 1), date(2025, 11, 30))


# --- adherence --------------------------------------------------------------------------------------------

FIRST, LAST = date(2025, 9, 1), date(2025, 9, 10)

SUPPLIES = """
    supplies                                | answer  | text
    dispensed 1-8                           | met     | dispensings cover 8 of 10 days (80 %), 80 % needed
    dispensed 1-7                           | not-met | dispensings cover 7 of 10 days (70 %), 80 % needed
    dispensed 1-10                          | met     | dispensings cover 10 of 10 days (100 %), 80 % needed
    dispensed 1-4, dispensed 7-10           | met     | dispensings cover 8 of 10 days (80 %), 80 % needed
    dispensed 1-4, dispensed 8-10           | not-met | dispensings cover 7 of 10 days (70 %), 80 % needed
    dispensed 1-6, dispensed 3-8            | met     | dispensings cover 8 of 10 days (80 %), 80 % needed
    dispensed 1-7, dispensed 3-5            | not-met | dispensings cover 7 of 10 days (70 %), 80 % needed
    dispensed 1-8, dispensed 8-8            | met     | dispensings cover 8 of 10 days (80 %), 80 % needed
    dispensed 10-10                         | not-met | dispensings cover 1 of 10 days (10 %), 80 % needed
    dispensed 1-1                           | not-met | dispensings cover 1 of 10 days (10 %), 80 % needed
    dispensed 10-20, given 1-7              | met     | dispensings cover 8 of 10 days (80 %), 80 % needed
    dispensed 11-20                         | unknown | -
    given 1-10                              | unknown | -
    perhaps 1-10                            | unknown | -
    stated 1-10                             | unknown | -
    dispensed 1-7, perhaps 8-8              | unknown | dispensings cover 7 to 8 of 10 days (80 %), 80 % needed; *
    dispensed 1-7, stated 8-8               | unknown | dispensings cover 7 to 8 of 10 days (80 %), 80 % needed; *
    dispensed 1-6, perhaps 7-7              | not-met | dispensings cover 7 of 10 days (70 %), 80 % needed
    dispensed 1-8, perhaps 9-9              | met     | dispensings cover 9 of 10 days (90 %), 80 % needed
"""
OPEN = "some of these are not sure; taken as prescribed is assumed"


def supplies(text: str) -> Iterator[Supply]:
    """`dispensed 1-8`: days of September; `perhaps` is a dispensing that may be another one."""
    for number, each in enumerate(text.split(", ")):
        kind, days = each.split()
        first, last = map(int, days.split("-"))
        yield Supply(
            date(2025, 9, first),
            date(2025, 9, last),
            f"Supply/{number}",
            is_sure=kind in ("dispensed", "given"),
            is_dispensed=kind in ("dispensed", "perhaps"),
        )


def supplied(text: str) -> Exposure:
    table = "drug | first_day | last_day | mg_per_day\nsertraline | 2025-08-01 | 2025-12-31 | 50"
    (order,) = orders(table)
    segment = DoseSegment(date(2025, 8, 1), date(2025, 12, 31), 50, 50)
    return Exposure(order.drug, order.name, (segment,), (replace(order, supplies=tuple(supplies(text))),))


@pytest.mark.parametrize("row", rows(SUPPLIES), ids=lambda row: row["supplies"])
def test_the_share_of_days_that_are_covered(row: dict[str, str]) -> None:
    found = judge_adherence(supplied(row["supplies"]), FIRST, LAST, 0.8)
    text = row["text"].replace("*", OPEN)
    if text == "-":
        text = "no dispensing on these days can be counted; taken as prescribed is assumed"
    assert (found.criterion, found.answer.value, found.text) == ("adherence", row["answer"], text)
    used = len(row["supplies"].split(", ")) if row["text"] != "-" else 0
    assert found.evidence == tuple(f"Supply/{number}" for number in sorted(
        range(used), key=lambda n: [(s.first_day, s.last_day) for s in supplies(row["supplies"])][n]
    ))  # fmt: skip


def test_only_days_of_the_trial_count() -> None:
    before_and_after = Supply(date(2025, 8, 1), date(2025, 12, 31), "Supply/long")
    exposure = supplied("dispensed 1-1")
    (order,) = exposure.prescriptions
    exposure = replace(exposure, prescriptions=(replace(order, supplies=(before_and_after,)),))
    assert judge_adherence(exposure, FIRST, LAST, 0.8).text == (
        "dispensings cover 10 of 10 days (100 %), 80 % needed"
    )
    for first, last in ((None, LAST), (FIRST, None), (None, None)):
        assert judge_adherence(exposure, first, last, 0.8).evidence == ()


def test_a_supply_shared_by_two_orders_counts_once() -> None:
    exposure = supplied("dispensed 1-7")
    (order,) = exposure.prescriptions
    twice = replace(exposure, prescriptions=(order, replace(order, supplies=tuple(order.supplies))))
    assert judge_adherence(twice, FIRST, LAST, 0.8).answer is Answer.NOT_MET


@pytest.mark.parametrize(("last", "answer"), [(date(2025, 9, 8), "met"), (date(2025, 9, 7), "not-met")])
@pytest.mark.parametrize("mg", [25, 50])
def test_the_days_of_a_trial_are_those_that_are_to_be_covered(
    mg: int, last: date, answer: str, definition: Definition
) -> None:
    """Ten days, of which a share of 0.8 is asked: also of a drug that never reached its dose."""
    (order,) = orders(
        f"drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-09-10 | {mg}"
    )
    with_supply = replace(order, supplies=(Supply(FIRST, last, "Supply/1"),))
    rules = replace(definition, minimum_pdc=0.8)
    (trial,) = find_trials(build_exposures((with_supply,), 14), rules, ON)
    assert (trial.adherence.answer.value, trial.adherence.evidence) == (answer, ("Supply/1",))
