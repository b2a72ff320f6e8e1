"""Register and claims definitions: which treatments count, in which window, and what stays open."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.respond import assess_history
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.definitions import judge
from cds_service.trd.model import Verdict
from cds_service.trd.parameters import (
    Definition,
    Rule,
    TreatmentRule,
    WindowEnd,
)
from cds_service.trd.record import (
    AddOn,
    DiagnosisRole,
    DoseSegment,
    Drug,
    History,
    Prescription,
    Procedure,
    ProcedureKind,
    Topic,
    Unread,
)
from cds_service.trd.treatments import judge_treatments
from fhir_fixtures import Vignette, vignettes
from tests.conftest import examples
from tests.spec.assessments import ON, a_definition
from tests.spec.people import DRUGS, diagnosis, history, orders

KIM_ADD_ONS = ("lithium", "risperidone", "olanzapine", "aripiprazole", "quetiapine")


def counting(id_: str, rule: TreatmentRule, **given: object) -> Definition:
    return a_definition(id=id_, rule=Rule.TREATMENTS, treatments=rule, **given)


KIM = counting(
    "kim-register",
    TreatmentRule(
        3,
        28,
        730,
        WindowEnd.TODAY,
        add_ons=KIM_ADD_ONS,
        procedures_count=(ProcedureKind.ECT, ProcedureKind.TMS),
    ),
    exclusions=(),
)
OHDSI = counting(
    "ohdsi-1009",
    TreatmentRule(
        3,
        0,
        365,
        WindowEnd.LAST_START,
        add_ons=("SGA",),
        antidepressants_beside_add_on=1,
        needs_depression=True,
    ),
    exclusions=("bipolar", "dementia", "psychotic_disorder"),
    minimum_age_years=None,
)
CEPEDA = counting(
    "cepeda-2018",
    TreatmentRule(
        3,
        0,
        365,
        WindowEnd.FIRST_START,
        add_ons=("SGA", "FGA"),
        antidepressants_beside_add_on=1,
        needs_depression=True,
    ),
    exclusions=("bipolar", "dementia", "psychotic_disorder"),
)
DANISH = counting("danish-2020", TreatmentRule(3, 0, 365, WindowEnd.FIRST_START, needs_depression=True))
DEFINITIONS = {definition.id: definition for definition in (KIM, OHDSI, CEPEDA, DANISH)}

ADD_ONS = {
    "lithium": Drug("lithium", "lithium", None, "mood stabiliser", "", add_on=AddOn(28)),
    "aripiprazole": Drug("aripiprazole", "aripiprazole", None, "SGA", "", add_on=AddOn(28)),
    "brexpiprazole": Drug("brexpiprazole", "brexpiprazole", None, "SGA", "", add_on=AddOn(28)),
}


def person(table: str, **given: object) -> History:
    """Rows of drug | first_day | last_day, and optionally use and days; names of ADD_ONS are add-ons.

    The drug `?` could not be identified.
    """
    header, *body = [line for line in table.strip().splitlines() if set(line) - set("-+| ")]
    told = orders("\n".join([header + "| mg_per_day", *(f"{line} | 1" for line in body)])) if body else ()
    add_ons = [replace(order, drug=ADD_ONS[order.name]) for order in told if order.name in ADD_ONS]
    others = [order for order in told if order.name not in ADD_ONS]
    return history(**{"prescriptions": tuple(others), "add_ons": tuple(add_ons), **given})  # type: ignore[arg-type]


def told(who: History, definition: Definition, on: date = ON) -> tuple[str, int, int]:
    finding, at_least, at_most = judge_treatments(who, definition, on)
    return finding.answer.value, at_least, at_most


def before(days: int, day: date = ON) -> str:
    return str(day - timedelta(days))


# --- the fixture patients --------------------------------------------------------------------------------


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
@pytest.mark.parametrize("definition", [KIM, OHDSI], ids=lambda definition: definition.id)
def test_fixture_patients_get_the_verdict_of_the_register(vignette: Vignette, definition: Definition) -> None:
    entries = [
        Entry(row["resource"], row.get("fullUrl"), f"entry[{n}].resource")
        for n, row in enumerate(vignette.bundle["entry"])
    ]
    read = read_history(Collected(vignette.patient_id, tuple(entries)), ON)
    verdict = assess_history(read, definition, ON).verdict
    assert verdict.value == vignette.expected["verdicts"][definition.id]


# --- each definition: met, not met, indeterminate ---------------------------------------------------------

THREE_IN_A_YEAR = """
    drug        | first_day  | last_day
    sertraline  | 2025-09-01 | 2025-11-30
    venlafaxine | 2025-12-01 | 2026-02-28
    mirtazapine | 2026-03-01 | 2026-05-31
"""
TWO_IN_A_YEAR = "\n".join(THREE_IN_A_YEAR.splitlines()[:-1]) + "\n"
ONE_OF_THREE_DOUBTFUL = """
    drug        | first_day  | last_day   | days
    sertraline  | 2025-09-01 | 2025-11-30 |
    venlafaxine | 2025-12-01 | 2026-02-28 |
    mirtazapine | 2026-03-01 | 2026-05-31 | uncertain
"""


@pytest.mark.parametrize("definition_id", DEFINITIONS)
@pytest.mark.parametrize(
    ("table", "verdict", "counts"),
    [
        (THREE_IN_A_YEAR, Verdict.MET, (3, 3)),
        (TWO_IN_A_YEAR, Verdict.NOT_MET, (2, 2)),
        (ONE_OF_THREE_DOUBTFUL, Verdict.INDETERMINATE, (2, 3)),
    ],
)
def test_met_not_met_and_indeterminate(
    definition_id: str, table: str, verdict: Verdict, counts: tuple[int, int]
) -> None:
    judged = judge(person(table), (), DEFINITIONS[definition_id], ON)
    assert judged.verdict is verdict
    assert (judged.failed_at_least, judged.failed_at_most) == counts


def test_nobody_without_drugs_meets_any() -> None:
    for definition in DEFINITIONS.values():
        assert told(history(), definition) == ("not-met", 0, 0)


def test_a_definition_that_counts_nothing_stays_open() -> None:
    assert told(history(), a_definition(rule=Rule.TREATMENTS)) == ("unknown", 0, 0)


# --- what is counted --------------------------------------------------------------------------------------


def test_uses_for_sleep_for_pain_and_as_needed_count() -> None:
    who = person(
        """
        drug        | first_day  | last_day   | use
        sertraline  | 2025-09-01 | 2025-11-30 | met
        trazodone   | 2025-12-01 | 2026-02-28 | not-met
        mirtazapine | 2026-03-01 | 2026-05-31 | unknown
        """
    )
    for definition in DEFINITIONS.values():
        assert told(who, definition) == ("met", 3, 3)


def test_one_agent_counts_once_and_the_text_names_each_with_its_days() -> None:
    who = person(
        """
        drug        | first_day  | last_day
        sertraline  | 2025-09-01 | 2025-10-31
        sertraline  | 2026-01-01 | 2026-02-28
        venlafaxine | 2026-03-01 | 2026-03-10
        """
    )
    finding, _, _ = judge_treatments(who, KIM, ON)
    assert finding.answer is Answer.NOT_MET
    assert finding.text == (
        "1 treatment of at least 28 days in the 730 days to 2026-06-30, 3 needed; "
        "counted: sertraline 61 days 2025-09-01 to 2025-10-31; "
        "shorter than 28 days: venlafaxine 10 days 2026-03-01 to 2026-03-10"
    )
    assert finding.evidence == ("MedicationRequest/1",)


@pytest.mark.parametrize(("add_on", "answer"), [("lithium", "met"), ("brexpiprazole", "not-met")])
def test_an_add_on_is_one_of_those_needed_where_the_rule_names_it(add_on: str, answer: str) -> None:
    who = person(TWO_IN_A_YEAR + f"    {add_on} | 2026-03-01 | 2026-05-31\n")
    assert told(who, KIM)[0] == answer


def test_an_add_on_is_not_one_of_those_needed_where_it_counts_beside_antidepressants() -> None:
    who = person(TWO_IN_A_YEAR + "    lithium | 2026-03-01 | 2026-05-31\n")
    assert told(who, OHDSI) == ("not-met", 2, 2)


@pytest.mark.parametrize(
    ("holds", "first_day", "expected"),
    [
        (Answer.MET, "2026-03-01", ("met", 3, 3)),
        (Answer.UNKNOWN, "2026-03-01", ("unknown", 2, 3)),
        (Answer.NOT_MET, "2026-03-01", ("not-met", 2, 2)),
        (Answer.MET, None, ("unknown", 2, 3)),
        (Answer.MET, before(730), ("met", 3, 3)),
        (Answer.MET, before(731), ("not-met", 2, 2)),
        (Answer.MET, str(ON + timedelta(1)), ("not-met", 2, 2)),
    ],
)
def test_a_procedure_counts_whatever_its_length(
    holds: Answer, first_day: str | None, expected: tuple[str, int, int]
) -> None:
    day = date.fromisoformat(first_day) if first_day else None
    ect = Procedure(ProcedureKind.ECT, "ECT", day, day, holds, "Procedure/1")
    assert told(person(TWO_IN_A_YEAR, procedures=(ect,)), KIM) == expected


def test_sessions_are_one_treatment_and_other_kinds_none() -> None:
    days = [date(2026, 3, day) for day in (1, 4, 30)]
    sessions = [Procedure(ProcedureKind.ECT, "ECT", day, day, Answer.MET, f"Procedure/{day}") for day in days]
    talks = Procedure(ProcedureKind.PSYCHOTHERAPY, "CBT", days[0], days[0], Answer.MET, "Procedure/9")
    one_drug = "drug | first_day | last_day\n sertraline | 2025-09-01 | 2025-11-30"
    assert told(person(one_drug, procedures=(*sessions, talks)), KIM) == ("not-met", 2, 2)


def test_a_course_with_one_known_end_surely_lies_on_that_day_only() -> None:
    begun = Procedure(ProcedureKind.ECT, "ECT", date(2020, 1, 1), None, Answer.MET, "Procedure/1")
    ended = Procedure(ProcedureKind.TMS, "TMS", None, date(2026, 1, 1), Answer.MET, "Procedure/2")
    assert told(person(TWO_IN_A_YEAR, procedures=(begun,)), KIM) == ("unknown", 2, 3)
    finding, at_least, at_most = judge_treatments(person(TWO_IN_A_YEAR, procedures=(ended,)), KIM, ON)
    assert (finding.answer, at_least, at_most) == (Answer.MET, 3, 3)


# --- the length of a use ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "answer"), [(27, "not-met"), (28, "met"), (29, "met")])
def test_a_run_of_exactly_the_minimum_is_enough(days: int, answer: str) -> None:
    last_day = date(2026, 3, 1) + timedelta(days - 1)
    assert told(person(TWO_IN_A_YEAR + f"    bupropion | 2026-03-01 | {last_day}\n"), KIM)[0] == answer


@pytest.mark.parametrize(
    ("gap", "second_days", "answer"),
    [
        (14, 14, "met"),
        (15, 14, "not-met"),
        (14, 13, "not-met"),  # days of the gap are not counted
        (15, 28, "met"),
    ],
)
def test_gaps_are_bridged_and_not_counted(gap: int, second_days: int, answer: str) -> None:
    second = date(2026, 3, 14) + timedelta(gap + 1)
    who = person(
        TWO_IN_A_YEAR
        + "    bupropion | 2026-03-01 | 2026-03-14\n"
        + f"    bupropion | {second} | {second + timedelta(second_days - 1)}\n"
    )
    assert told(who, KIM)[0] == answer


def test_overlapping_orders_of_one_agent_count_their_days_once() -> None:
    who = person(
        TWO_IN_A_YEAR
        + "    bupropion | 2026-03-01 | 2026-03-20\n"
        + "    bupropion | 2026-03-05 | 2026-03-27\n"
    )
    assert told(who, KIM)[0] == "not-met"


@pytest.mark.parametrize(("certain_days", "expected"), [(28, ("met", 3, 3)), (27, ("unknown", 2, 3))])
def test_days_that_are_not_certain_do_not_fill_a_run(
    certain_days: int, expected: tuple[str, int, int]
) -> None:
    last = date(2026, 3, 1) + timedelta(certain_days - 1)
    who = person(
        f"""
        drug        | first_day  | last_day   | days
        sertraline  | 2025-09-01 | 2025-11-30 |
        venlafaxine | 2025-12-01 | 2026-02-28 |
        bupropion   | 2026-03-01 | {last}     |
        bupropion   | {last}     | 2026-05-31 | uncertain
        """
    )
    assert told(who, KIM) == expected


# --- a window that ends today -----------------------------------------------------------------------------


@pytest.mark.parametrize(("days_ago", "answer"), [(729, "met"), (730, "met"), (731, "not-met")])
def test_a_use_that_ended_exactly_at_the_edge_is_within(days_ago: int, answer: str) -> None:
    who = person(TWO_IN_A_YEAR + f"    bupropion | {before(days_ago + 40)} | {before(days_ago)}\n")
    assert told(who, KIM)[0] == answer


def test_days_after_today_have_not_come() -> None:
    later = ON + timedelta(100)
    begins_later = TWO_IN_A_YEAR + f"    bupropion | {ON + timedelta(1)} | {later}\n"
    too_short_yet = TWO_IN_A_YEAR + f"    bupropion | {before(26)} | {later}\n"
    long_enough = TWO_IN_A_YEAR + f"    bupropion | {before(27)} | {later}\n"
    assert [told(person(t), KIM)[0] for t in (begins_later, too_short_yet, long_enough)] == [
        "not-met",
        "not-met",
        "met",
    ]


# --- a window that ends with the last start ---------------------------------------------------------------


@pytest.mark.parametrize(("days", "answer"), [(364, "met"), (365, "met"), (366, "not-met")])
def test_the_first_of_three_was_used_within_the_window_before_the_last_start(days: int, answer: str) -> None:
    last_start = date(2026, 3, 1)
    who = person(
        f"""
        drug        | first_day                        | last_day
        sertraline  | {before(days + 30, last_start)}  | {before(days, last_start)}
        venlafaxine | 2026-01-01                       | 2026-01-31
        mirtazapine | {last_start}                     | 2026-03-31
        """
    )
    assert told(who, OHDSI)[0] == answer


@pytest.mark.parametrize(("second_start", "answer"), [("2026-02-28", "met"), ("2026-03-01", "not-met")])
def test_two_others_must_have_been_used_before_the_third_starts(second_start: str, answer: str) -> None:
    who = person(
        f"""
        drug        | first_day      | last_day
        sertraline  | 2026-01-01     | 2026-01-31
        venlafaxine | {second_start} | 2026-03-31
        mirtazapine | 2026-03-01     | 2026-03-31
        """
    )
    assert told(who, OHDSI)[0] == answer


def test_it_may_lie_years_back() -> None:
    who = person(
        """
        drug        | first_day  | last_day
        sertraline  | 2010-01-01 | 2010-01-31
        venlafaxine | 2010-02-01 | 2010-02-28
        mirtazapine | 2010-03-01 | 2010-03-31
        """
    )
    assert told(who, OHDSI)[0] == "met"


def test_an_agent_that_starts_anew_is_a_start() -> None:
    who = person(
        """
        drug        | first_day  | last_day
        sertraline  | 2020-01-01 | 2020-01-31
        venlafaxine | 2025-11-01 | 2025-11-30
        mirtazapine | 2025-12-01 | 2025-12-31
        sertraline  | 2026-01-01 | 2026-01-31
        """
    )
    assert told(who, OHDSI)[0] == "met"


@pytest.mark.parametrize(
    ("first_day", "last_day", "answer"),
    [
        ("2025-01-01", "2025-03-01", "met"),  # 365 days before
        ("2025-01-01", "2025-02-28", "not-met"),  # 366
        ("2025-01-01", "2026-06-30", "met"),
        ("2026-03-01", "2026-06-30", "met"),  # on the same day
        ("2026-03-02", "2026-06-30", "not-met"),  # the add-on came first
    ],
)
def test_an_add_on_beside_an_antidepressant_is_enough(first_day: str, last_day: str, answer: str) -> None:
    who = person(
        f"""
        drug          | first_day   | last_day
        sertraline    | {first_day} | {last_day}
        brexpiprazole | 2026-03-01  | 2026-03-02
        """
    )
    finding, at_least, _ = judge_treatments(who, OHDSI, ON)
    assert finding.answer.value == answer
    assert at_least == 1
    assert ("beside 1 antidepressant an add-on is enough" in finding.text) == (answer == "met")
    assert "brexpiprazole 2 days" in finding.text or answer == "not-met"


def test_an_add_on_alone_is_nothing() -> None:
    who = person("drug | first_day | last_day\n aripiprazole | 2026-03-01 | 2026-05-01")
    assert [told(who, d) for d in (OHDSI, CEPEDA)] == [("not-met", 0, 0)] * 2


@pytest.mark.parametrize(
    ("sertraline_from", "days", "answer"),
    [
        ("2026-01-01", "uncertain", "unknown"),
        ("2026-01-01", "", "met"),
    ],
)
def test_a_doubtful_antidepressant_beside_an_add_on_leaves_it_open(
    sertraline_from: str, days: str, answer: str
) -> None:
    who = person(
        f"""
        drug         | first_day         | last_day   | days
        sertraline   | {sertraline_from} | 2026-02-28 | {days}
        aripiprazole | 2026-03-01        | 2026-03-31 |
        """
    )
    assert told(who, OHDSI)[0] == answer


def test_a_start_on_an_uncertain_day_is_certain_only_where_every_day_would_do() -> None:
    """Mirtazapine was surely used from March; whether it began in 2025 already is not known."""
    table = """
        drug        | first_day  | last_day   | days
        sertraline  | 2025-02-01 | 2025-02-28 |
        venlafaxine | {second}   | 2025-12-31 |
        mirtazapine | 2025-03-15 | 2026-02-28 | uncertain
        mirtazapine | 2026-03-01 | 2026-05-31 |
    """
    # If it began in March 2026, sertraline lay more than 365 days before.
    assert told(person(table.format(second="2025-03-01")), OHDSI)[0] == "unknown"
    within = table.replace("2025-02-28", "2025-03-01")
    assert told(person(within.format(second="2025-03-01")), OHDSI)[0] == "met"
    # If it began together with venlafaxine, nothing started third.
    assert told(person(within.format(second="2025-12-01")), OHDSI)[0] == "unknown"


# --- a window that begins with the first start ------------------------------------------------------------


@pytest.mark.parametrize("definition", [CEPEDA, DANISH], ids=lambda definition: definition.id)
@pytest.mark.parametrize(("days", "answer"), [(364, "met"), (365, "met"), (366, "not-met")])
def test_the_third_starts_within_the_window_after_the_first(
    definition: Definition, days: int, answer: str
) -> None:
    third = date(2025, 1, 1) + timedelta(days)
    who = person(
        f"""
        drug        | first_day  | last_day
        sertraline  | 2025-01-01 | 2025-01-31
        venlafaxine | 2025-02-01 | 2025-02-28
        mirtazapine | {third}    | {third}
        """
    )
    assert told(who, definition)[0] == answer


@pytest.mark.parametrize(("days", "answer"), [(364, "met"), (365, "met"), (366, "not-met")])
def test_an_antipsychotic_within_the_window_after_the_first_is_enough(days: int, answer: str) -> None:
    second = date(2025, 1, 1) + timedelta(days)
    who = person(
        f"""
        drug         | first_day  | last_day
        sertraline   | 2025-01-01 | 2025-01-31
        aripiprazole | {second}   | {second}
        """
    )
    assert told(who, CEPEDA)[0] == answer
    assert told(who, DANISH)[0] == "not-met"


def test_later_switches_do_not_count_once_the_first_lies_too_far_back() -> None:
    who = person("    drug | first_day | last_day\n bupropion | 2015-01-01 | 2015-02-01\n")
    later = person(THREE_IN_A_YEAR)
    assert told(replace(later, prescriptions=(*who.prescriptions, *later.prescriptions)), DANISH) == (
        "not-met",
        1,
        1,
    )


def test_a_doubtful_earlier_start_leaves_the_window_open() -> None:
    earlier = orders(
        "drug | first_day | last_day | mg_per_day | days\n bupropion | 2015-01-01 | 2015-02-01 | 1 | uncertain"
    )
    later = person(THREE_IN_A_YEAR)
    who = replace(later, prescriptions=(*earlier, *later.prescriptions))
    assert told(who, DANISH)[0] == "unknown"
    assert told(who, OHDSI)[0] == "met"  # no earlier start changes this


# --- what is not identified, not read ---------------------------------------------------------------------

UNREAD_ORDER = Unread("MedicationRequest/77", "no drug", (Topic.DRUG,))
FAILED_SEARCH = Unread("search for MedicationRequest", "time-out", (Topic.DRUGS,))
UNREAD_SCORE = Unread("Observation/77", "no value", (Topic.SCORE,))
UNREAD_ADD_ON = Unread("MedicationRequest/78", "lithium: no days", (Topic.ADD_ON,))


@pytest.mark.parametrize(
    ("definition", "answer", "at_most"),
    [(KIM, "unknown", 3), (OHDSI, "unknown", 3), (CEPEDA, "unknown", 3), (DANISH, "not-met", 2)],
    ids=lambda value: value.id if isinstance(value, Definition) else value,
)
def test_an_add_on_that_could_not_be_read_may_count_where_add_ons_do(
    definition: Definition, answer: str, at_most: int
) -> None:
    who = person(TWO_IN_A_YEAR, unread=(UNREAD_ADD_ON,))
    assert told(who, definition)[::2] == (answer, at_most)


@pytest.mark.parametrize("definition_id", DEFINITIONS)
@pytest.mark.parametrize(
    ("unread", "table", "answer", "at_most"),
    [
        ((UNREAD_ORDER,), TWO_IN_A_YEAR, "unknown", 3),
        ((UNREAD_ORDER, UNREAD_ORDER), TWO_IN_A_YEAR, "unknown", 3),  # one order, told twice
        ((FAILED_SEARCH,), "drug | first_day | last_day", "unknown", 3),
        ((UNREAD_SCORE,), TWO_IN_A_YEAR, "not-met", 2),
    ],
)
def test_what_could_not_be_read_may_be_a_treatment(
    definition_id: str, unread: tuple[Unread, ...], table: str, answer: str, at_most: int
) -> None:
    assert told(person(table, unread=unread), DEFINITIONS[definition_id])[::2] == (answer, at_most)


@pytest.mark.parametrize(
    ("definition_id", "answer"), [("kim-register", "not-met"), ("danish-2020", "not-met")]
)
def test_one_unread_order_is_not_two_treatments(definition_id: str, answer: str) -> None:
    one = "drug | first_day | last_day\n sertraline | 2025-09-01 | 2025-11-30"
    assert told(person(one, unread=(UNREAD_ORDER,)), DEFINITIONS[definition_id])[::2] == (answer, 2)


def test_an_unread_order_may_be_the_add_on_beside_an_antidepressant() -> None:
    one = "drug | first_day | last_day\n sertraline | 2025-09-01 | 2025-11-30"
    for definition in (OHDSI, CEPEDA):
        assert told(person(one, unread=(UNREAD_ORDER,)), definition)[0] == "unknown"
        assert told(history(unread=(UNREAD_ORDER,)), definition)[0] == "not-met"


def test_an_order_not_read_may_have_come_last_of_three_that_started_together() -> None:
    who = person(
        """
        drug        | first_day  | last_day
        sertraline  | 2026-01-01 | 2026-01-31
        venlafaxine | 2026-01-01 | 2026-01-31
        """,
        unread=(UNREAD_ORDER,),
    )
    assert told(who, OHDSI)[::2] == ("unknown", 3)


def test_an_order_not_read_may_have_been_the_first_of_all() -> None:
    who = person(THREE_IN_A_YEAR, unread=(UNREAD_ORDER,))
    assert told(who, DANISH)[0] == "unknown"
    assert [told(who, d)[0] for d in (KIM, OHDSI)] == ["met", "met"]


@pytest.mark.parametrize("definition_id", DEFINITIONS)
def test_a_drug_that_is_not_identified_may_be_another(definition_id: str) -> None:
    who = person(TWO_IN_A_YEAR + "    ? | 2026-03-01 | 2026-05-31\n")
    finding, at_least, at_most = judge_treatments(who, DEFINITIONS[definition_id], ON)
    assert (finding.answer, at_least, at_most) == (Answer.UNKNOWN, 2, 3)
    assert "not certain: unidentified: ? 92 days 2026-03-01 to 2026-05-31" in finding.text


@pytest.mark.parametrize(
    ("unclear_from", "answer"),
    [("2026-04-04", "unknown"), ("2026-04-05", "not-met")],  # 14 and 15 days after bupropion
)
def test_a_drug_that_is_not_identified_may_be_more_of_a_short_one(unclear_from: str, answer: str) -> None:
    who = person(
        TWO_IN_A_YEAR + f"    bupropion | 2026-03-01 | 2026-03-20\n    ? | {unclear_from} | 2026-04-12\n"
    )
    assert told(who, KIM)[0] == answer


@pytest.mark.parametrize(("number", "more"), [(8, ""), (9, ", 1 more")])
def test_the_text_names_no_more_than_eight_uses_of_a_kind(number: int, more: str) -> None:
    lines = [f"sertraline | {day} | {day}" for day in (before(20 * n) for n in range(number))]
    finding, _, _ = judge_treatments(person("\n".join(["drug | first_day | last_day", *lines])), KIM, ON)
    assert finding.text.count("sertraline 1 day") == 8
    assert finding.text.endswith(f"sertraline 1 day {before(20 * (number - 8))}{more}")


def test_an_add_on_that_is_not_identified_may_be_one_that_counts() -> None:
    unknown = replace(person("drug | first_day | last_day\n ? | 2026-03-01 | 2026-05-31").prescriptions[0])
    who = person(TWO_IN_A_YEAR, add_ons=(unknown,))
    assert [told(who, d)[0] for d in (KIM, OHDSI, DANISH)] == ["unknown", "unknown", "not-met"]


# --- the criteria around it -------------------------------------------------------------------------------


def test_a_depressive_disorder_is_asked_only_where_the_rule_asks() -> None:
    who = person(THREE_IN_A_YEAR, diagnoses=())
    assert judge(who, (), KIM, ON).verdict is Verdict.MET
    assert judge(who, (), KIM, ON).reasons[1] == Finding(
        "diagnosis", Answer.MET, "the definition asks for none"
    )
    assert judge(who, (), OHDSI, ON).verdict is Verdict.INDETERMINATE


@pytest.mark.parametrize("category", ["bipolar", "dementia", "psychotic_disorder"])
def test_exclusions_are_those_of_the_definition(category: str) -> None:
    excluding = diagnosis(DiagnosisRole.EXCLUSION, category)
    who = person(THREE_IN_A_YEAR, diagnoses=(diagnosis(), excluding))
    assert judge(who, (), KIM, ON).verdict is Verdict.MET
    assert judge(who, (), OHDSI, ON).verdict is Verdict.EXCLUDED


@pytest.mark.parametrize(("born", "kim"), [(2008, Verdict.MET), (2009, Verdict.EXCLUDED)])
def test_age_is_asked_only_where_the_definition_names_one(born: int, kim: Verdict) -> None:
    day = date(born, 6, 30)
    who = person(THREE_IN_A_YEAR, born_earliest=day, born_latest=day)
    assert judge(who, (), KIM, ON).verdict is kim
    assert judge(who, (), OHDSI, ON).verdict is Verdict.MET


def test_what_is_missing_is_the_drug_or_its_days_and_no_score() -> None:
    who = person(ONE_OF_THREE_DOUBTFUL + "    ? | 2026-03-01 | 2026-05-31 | \n", unread=(UNREAD_ORDER,))
    assessment = assess_history(who, KIM, ON)
    assert assessment.verdict is Verdict.INDETERMINATE
    assert [missing.what for missing in assessment.missing] == [
        'which drug the order "?" is',
        "days on mirtazapine",
        "the order MedicationRequest/77",
        "answer on thoughts of death or self-harm",
    ]


# --- three values, for any record -------------------------------------------------------------------------

START = date(2025, 1, 1)
REBOXETINE = Drug("reboxetine", "reboxetine", None, "NRI", "")
NAMES = [*sorted(DRUGS), "?", "aripiprazole", "lithium"]


@st.composite
def segments(draw: st.DrawFn) -> tuple[str, DoseSegment]:
    first = START + timedelta(draw(st.integers(0, 120)))
    last = first + timedelta(draw(st.integers(0, 60)))
    name = draw(st.sampled_from(NAMES))
    return name, DoseSegment(first, last, 1, 1, draw(st.booleans()))


@st.composite
def part_of(draw: st.DrawFn, segment: DoseSegment) -> DoseSegment:
    """Some of its days, and for certain."""
    length = (segment.last_day - segment.first_day).days
    begin = draw(st.integers(0, length))
    end = draw(st.integers(begin, length))
    return DoseSegment(segment.first_day + timedelta(begin), segment.first_day + timedelta(end), 1, 1)


def as_history(used: list[tuple[str, DoseSegment]], unread: tuple[Unread, ...] = ()) -> History:
    told = [
        Prescription(
            f"MedicationRequest/{number}",
            DRUGS.get(name) or ADD_ONS.get(name) or (REBOXETINE if name == "reboxetine" else None),
            name,
            (segment,),
            Finding("use", Answer.MET, ""),
        )
        for number, (name, segment) in enumerate(used)
    ]
    return history(
        prescriptions=tuple(order for order in told if order.name not in ADD_ONS),
        add_ons=tuple(order for order in told if order.name in ADD_ONS),
        unread=unread,
    )


def short(definition: Definition) -> Definition:
    """The same rule with a window and lengths that small examples can reach."""
    rule = definition.treatments
    assert rule is not None
    return replace(
        definition,
        max_gap_days=5,
        treatments=replace(rule, window_days=60, minimum_days=min(rule.minimum_days, 20)),
    )


@settings(max_examples=examples(1500), deadline=None)
@given(
    used=st.lists(segments(), max_size=6),
    unread=st.sampled_from([(), (UNREAD_ORDER,)]),
    definition=st.sampled_from(sorted(DEFINITIONS)),
    data=st.data(),
)
def test_what_is_certain_holds_however_the_doubts_are_settled(
    used: list[tuple[str, DoseSegment]], unread: tuple[Unread, ...], definition: str, data: st.DataObject
) -> None:
    """Each doubtful stretch becomes certain days within it, or none; each unclear drug one that is known.

    Where starts decide, an unclear drug is another than all others: that one agent may have started
    earlier under another name, together with a second one, is left out of account.
    """
    on = START + timedelta(150)
    rule = short(DEFINITIONS[definition])
    before_settling = told(as_history(used, unread), rule, on)
    is_by_start = rule.treatments is not None and rule.treatments.window_end is WindowEnd.LAST_START
    any_drug = ["reboxetine"] if is_by_start else [*sorted(DRUGS), "reboxetine", "aripiprazole"]
    unclear = data.draw(st.sampled_from(any_drug))
    settled: list[tuple[str, DoseSegment]] = []
    for name, segment in used:
        known = unclear if name == "?" else name
        if segment.days_certain:
            settled.append((known, segment))
        elif data.draw(st.booleans()):
            settled.append((known, data.draw(part_of(segment))))
    for _ in unread:
        settled.append(
            (data.draw(st.sampled_from(any_drug)), data.draw(part_of(DoseSegment(START, on, 1, 1))))
        )
    answer, at_least, at_most = told(as_history(settled), rule, on)
    assert answer != "unknown"
    assert at_least == at_most
    if before_settling[0] != "unknown":
        assert answer == before_settling[0]


@given(used=st.lists(segments(), max_size=6), definition=st.sampled_from(sorted(DEFINITIONS)))
def test_the_counts_and_the_answer_agree(used: list[tuple[str, DoseSegment]], definition: str) -> None:
    rule = DEFINITIONS[definition]
    assert rule.treatments is not None
    finding, at_least, at_most = judge_treatments(as_history(used), rule, START + timedelta(150))
    assert 0 <= at_least <= at_most
    if at_least >= rule.treatments.needed:
        assert finding.answer is Answer.MET
    elif finding.answer is Answer.NOT_MET:
        assert at_most < rule.treatments.needed
    assert f"{rule.treatments.needed} needed" in finding.text


@pytest.mark.parametrize(("known", "expected"), [(0, "not-met"), (1, "unknown"), (2, "unknown")])
def test_a_search_of_procedures_that_failed_may_hide_one_of_each_kind(known: int, expected: str) -> None:
    """Three treatments are needed; ECT and TMS may have been two of them."""
    drugs = "\n".join(THREE_IN_A_YEAR.strip().splitlines()[: 1 + known])
    failed = Unread("Procedure search", "a timeout", (Topic.PROCEDURE,))
    finding, _, at_most = judge_treatments(person(drugs, unread=(failed,)), KIM, ON)
    assert (finding.answer.value, at_most) == (expected, known + 2)
