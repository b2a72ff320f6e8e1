"""What stands beside a trial, and what a definition counts as a trial of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.report import trial_sentence
from cds_service.respond import assess_history
from cds_service.tables.add_ons import load_augmenting_agents
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.companions import find_companions
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import (
    Assessment,
    Companion,
    CompanionKind,
    Trial,
    TrialKind,
)
from cds_service.trd.other_trials import find_other_trials
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    AddOn,
    Domain,
    DoseSegment,
    Drug,
    History,
    Measurement,
    Prescription,
    Procedure,
    ProcedureKind,
    StopReason,
)
from cds_service.trd.trials import find_trials
from tests.conftest import examples
from tests.spec.assessments import a_definition
from tests.spec.people import history, scores
from tests.spec.texttables import rows

ON = date(2026, 6, 30)
AGENTS = {row.row.drug.agent: row.row.drug for row in load_augmenting_agents().values()}
SERTRALINE = """
    drug       | first_day  | last_day   | mg_per_day
    -----------+------------+------------+-----------
    sertraline | 2025-08-01 | 2025-12-31 | 100
"""


def add_on(
    agent: str,
    first_day: str,
    last_day: str,
    mg: float | tuple[float, float] | None,
    use: Answer = Answer.MET,
    days_certain: bool = True,
    stop: StopReason = StopReason.NONE_GIVEN,
) -> Prescription:
    low, high = mg if isinstance(mg, tuple) else (mg, mg)
    first, last = date.fromisoformat(first_day), date.fromisoformat(last_day)
    return Prescription(
        reference=f"MedicationRequest/{agent}-{first_day}",
        drug=AGENTS[agent],
        name=agent,
        segments=(DoseSegment(first, last, low, high, days_certain),),
        treats_depression=Finding("use", use, "what it is for"),
        stop_reason=stop,
        authored=first,
    )


def procedure(
    kind: ProcedureKind, day: str | None, until: str | None = None, holds: Answer = Answer.MET
) -> Procedure:
    first = date.fromisoformat(day) if day else None
    last = date.fromisoformat(until) if until else first
    return Procedure(kind, kind.value, first, last, holds, f"Procedure/{kind.value}-{day}")


def judged(of: History, definition: Definition, on: date = ON) -> tuple[Trial, ...]:
    return find_trials(build_exposures(of.prescriptions, definition.max_gap_days), definition, on)


def beside(of: History, on: date = ON, **given: object) -> dict[str, tuple[Companion, ...]]:
    """The companions of each trial by its name."""
    definition = a_definition(**given)
    trials = judged(of, definition, on)
    found = find_companions(trials, of, definition, on)
    return {trial.name: companions for trial, companions in zip(trials, found, strict=True)}


def only(of: History, trial: str = "sertraline", **given: object) -> Companion:
    (companion,) = beside(of, **given)[trial]
    return companion


# --- augmentation -------------------------------------------------------------------------------------

AUGMENTATIONS = """
    agent        | first_day  | last_day   | mg       | adequate | why
    -------------+------------+------------+----------+----------+------------------------------------------
    lithium      | 2025-10-01 | 2025-10-28 | 600      | met      | 28 days together
    lithium      | 2025-10-01 | 2025-10-27 | 600      | not-met  | 27 days together
    lithium      | 2025-10-01 | 2025-10-29 | 900      | met      | 29 days together
    lithium      | 2025-10-01 | 2025-12-01 | 599      | not-met  | below the least dose of 600 mg/day
    lithium      | 2025-10-01 | 2025-12-01 | ?        | unknown  | dose not known
    lithium      | 2025-10-01 | 2025-12-01 | 300-900  | unknown  | 0 days together at adequate doses are certain
    lithium      | 2025-12-04 | 2026-03-01 | 900      | met      | 28 days together
    lithium      | 2025-12-05 | 2026-03-01 | 900      | not-met  | 27 days together
    quetiapine   | 2025-10-01 | 2025-12-01 | 100      | not-met  | below the least dose of 150 mg/day
    quetiapine   | 2025-10-01 | 2025-12-01 | 150      | met      | 62 days together
    liothyronine | 2025-10-01 | 2025-12-01 | 0.025    | met      | at least 0.025 mg/day
    liothyronine | 2025-10-01 | 2025-12-01 | 0.02     | not-met  | below the least dose
    lamotrigine  | 2025-10-01 | 2025-11-25 | 100      | met      | 56 days together
    lamotrigine  | 2025-10-01 | 2025-11-24 | 100      | not-met  | 55 days together
    methylphenidate | 2025-10-01 | 2025-12-01 | 40    | not-met  | usually not counted
    pindolol     | 2025-10-01 | 2025-12-01 | 7.5      | not-met  | not counted
    ketamine     | 2025-10-01 | 2025-12-01 | ?        | unknown  | no length that is enough
    olanzapine / samidorphan | 2025-10-01 | 2025-12-01 | 10 | not-met | not augmentation
"""


@pytest.mark.parametrize("row", rows(AUGMENTATIONS), ids=lambda row: " ".join(row.values()))
def test_augmentation_needs_dose_length_and_overlap(row: dict[str, str]) -> None:
    low, _, high = row["mg"].partition("-")
    mg = None if low == "?" else (float(low), float(high or low))
    companion = only(
        history(SERTRALINE, add_ons=(add_on(row["agent"], row["first_day"], row["last_day"], mg),))
    )
    assert companion.kind is CompanionKind.AUGMENTATION and companion.name == row["agent"]
    assert companion.adequate.answer is Answer(row["adequate"]), companion.adequate.text
    assert row["why"] in companion.adequate.text


def test_the_companion_says_its_days_dose_and_evidence() -> None:
    companion = only(history(SERTRALINE, add_ons=(add_on("lithium", "2025-12-01", "2026-02-01", 900),)))
    assert (companion.first_day, companion.last_day) == (date(2025, 12, 1), date(2026, 2, 1))
    assert (companion.overlap_days, companion.dose) == (31, "900 mg/day")
    assert companion.adequate.evidence == ("MedicationRequest/lithium-2025-12-01", "MedicationRequest/1")


def test_days_that_are_not_certain_leave_augmentation_open() -> None:
    given = add_on("lithium", "2025-10-01", "2025-12-01", 900, days_certain=False)
    assert only(history(SERTRALINE, add_ons=(given,))).adequate.answer is Answer.UNKNOWN


@pytest.mark.parametrize("use", [Answer.NOT_MET, Answer.UNKNOWN])
def test_an_agent_for_something_else_is_no_augmentation(use: Answer) -> None:
    companion = only(history(SERTRALINE, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", 900, use),)))
    assert companion.adequate.answer is use and "what it is for" in companion.adequate.text


def test_an_antidepressant_that_may_be_for_something_else_leaves_augmentation_open() -> None:
    table = SERTRALINE.replace("mg_per_day", "mg_per_day | use").replace("| 100", "| 100 | unknown")
    companion = only(history(table, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", 900),)))
    assert companion.adequate.answer is Answer.UNKNOWN and companion.was_tried


def test_an_agent_that_is_not_identified_leaves_augmentation_open() -> None:
    unknown = replace(add_on("lithium", "2025-10-01", "2025-12-01", 900), drug=None)
    companion = only(history(SERTRALINE, add_ons=(unknown,)))
    assert companion.adequate.answer is Answer.UNKNOWN and companion.was_tried
    assert companion.adequate.text == "which drug it is is not known"
    assert companion.agent == "unidentified: lithium"


TRIED = """
    agent       | first_day  | last_day   | mg      | use     | was_tried
    ------------+------------+------------+---------+---------+----------
    lithium     | 2025-10-01 | 2025-10-01 | 600     | met     | yes
    lithium     | 2025-12-31 | 2026-03-01 | 600     | met     | yes
    lithium     | 2025-10-01 | 2025-12-01 | 599     | met     | no
    lithium     | 2025-10-01 | 2025-12-01 | 599-600 | met     | yes
    lithium     | 2025-10-01 | 2025-12-01 | ?       | met     | yes
    lithium     | 2025-10-01 | 2025-10-01 | 600     | unknown | yes
    lithium     | 2025-10-01 | 2025-12-01 | 600     | not-met | no
    quetiapine  | 2025-10-01 | 2025-12-01 | 25      | met     | no
    pindolol    | 2025-10-01 | 2025-12-01 | 7.5     | met     | no
"""


@pytest.mark.parametrize("row", rows(TRIED), ids=lambda row: " ".join(row.values()))
def test_an_agent_was_tried_if_given_at_a_dose_that_counts_however_short(row: dict[str, str]) -> None:
    low, _, high = row["mg"].partition("-")
    mg = None if low == "?" else (float(low), float(high or low))
    given = add_on(row["agent"], row["first_day"], row["last_day"], mg, Answer(row["use"]))
    companion = only(history(SERTRALINE, add_ons=(given,)))
    assert companion.was_tried is (row["was_tried"] == "yes")
    assert companion.agent == row["agent"]


def test_days_at_a_dose_that_counts_must_lie_beside_the_trial() -> None:
    tapered = (
        add_on("lithium", "2025-06-01", "2025-07-31", 900),
        add_on("lithium", "2025-08-01", "2025-09-30", 300),
    )
    assert not only(history(SERTRALINE, add_ons=tapered)).was_tried


def test_an_agent_beside_an_antidepressant_at_no_adequate_dose_was_tried() -> None:
    low = SERTRALINE.replace("100", "25")
    assert only(history(low, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", 900),))).was_tried


def test_an_agent_taken_at_another_time_is_not_beside_the_trial() -> None:
    before = add_on("lithium", "2025-01-01", "2025-07-31", 900)
    assert beside(history(SERTRALINE, add_ons=(before,)))["sertraline"] == ()


def test_an_antidepressant_at_no_adequate_dose_is_not_augmented() -> None:
    low = SERTRALINE.replace("100", "25")
    companion = only(history(low, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", 900),)))
    assert companion.adequate.answer is Answer.NOT_MET
    assert companion.adequate.text == "sertraline was at no adequate dose"


def test_titration_below_the_least_dose_does_not_count() -> None:
    titrated = (
        add_on("lamotrigine", "2025-08-10", "2025-10-31", 50),
        add_on("lamotrigine", "2025-11-01", "2025-12-31", 100),
    )
    companion = only(history(SERTRALINE, add_ons=titrated))
    assert companion.dose == "up to 100 mg/day"
    assert companion.adequate.answer is Answer.MET and "61 days together" in companion.adequate.text


# --- lithium by its level ---------------------------------------------------------------------------------


def level(day: str, value: float, unit: str = "mmol/L", code: str = "14334-7") -> Measurement:
    return Measurement(
        "lithium",
        Domain.LABORATORY,
        date.fromisoformat(day),
        value,
        unit,
        f"Observation/{day}-{value}",
        code=code,
    )


LEVELS = """
    mg  | levels                            | adequate
    ----+-----------------------------------+---------
    450 | 2025-10-15 0.5                    | met
    450 | 2025-10-15 0.49                   | not-met
    900 | 2025-10-15 0.4                    | not-met
    ?   | 2025-10-15 0.7                    | met
    900 | 2025-10-05 0.4, 2025-11-05 0.6    | not-met
    900 | 2025-10-05 0.4, 2025-10-20 0.6    | met
    900 | 2025-10-15 0.4, 2025-10-15 0.6    | unknown
    900 | 2025-12-15 0.4                    | met
"""


@pytest.mark.parametrize("row", rows(LEVELS), ids=lambda row: " ".join(row.values()))
def test_the_level_of_lithium_says_more_than_its_dose(row: dict[str, str]) -> None:
    levels = [each.split() for each in row["levels"].split(", ")]
    mg = None if row["mg"] == "?" else float(row["mg"])
    companion = only(
        history(
            SERTRALINE,
            add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", mg),),
            measurements=tuple(level(day, float(value)) for day, value in levels),
        )
    )
    assert companion.adequate.answer is Answer(row["adequate"]), companion.adequate.text


def test_a_level_is_named_in_words_and_as_evidence() -> None:
    lithium = add_on("lithium", "2025-10-01", "2025-12-01", 450)
    companion = only(history(SERTRALINE, add_ons=(lithium,), measurements=(level("2025-10-15", 0.7),)))
    assert (
        "by its level in blood, 0.7 mmol/L on 2025-10-15, at least 0.5 mmol/L needed"
        in companion.adequate.text
    )
    assert "Observation/2025-10-15-0.7" in companion.adequate.evidence


LEVEL_TEXTS = """
    levels                                                         | text
    ---------------------------------------------------------------+--------------------------------------------------------------
    2025-10-15 0.3                                                 | 0.3 mmol/L on 2025-10-15, below the least of 0.5 mmol/L
    2025-10-15 0.49                                                | 0.49 mmol/L on 2025-10-15, below the least of 0.5 mmol/L
    2025-10-15 0.5                                                 | 0.5 mmol/L on 2025-10-15, at least 0.5 mmol/L needed
    2025-10-05 0.4, 2025-11-05 0.6                                 | 0.4 mmol/L on 2025-10-05, 0.6 mmol/L on 2025-11-05, at least 0.5 mmol/L needed
    2025-10-05 0.1, 2025-10-15 0.2, 2025-10-25 0.3, 2025-11-05 0.4 | 0.2 mmol/L on 2025-10-15, 0.3 mmol/L on 2025-10-25, 0.4 mmol/L on 2025-11-05 and 1 earlier, below the least of 0.5 mmol/L
"""  # noqa: E501


@pytest.mark.parametrize("row", rows(LEVEL_TEXTS), ids=lambda row: row["levels"])
def test_the_level_that_was_measured_is_told_and_whether_it_is_below(row: dict[str, str]) -> None:
    levels = tuple(
        level(day, float(value)) for day, value in (each.split() for each in row["levels"].split(", "))
    )
    lithium = add_on("lithium", "2025-10-01", "2025-12-01", 900)
    companion = only(history(SERTRALINE, add_ons=(lithium,), measurements=levels))
    assert companion.adequate.text.startswith(f"900 mg/day; by its level in blood, {row['text']}")


@pytest.mark.parametrize(
    "other", [level("2025-10-15", 0.7, "mg/dL"), level("2025-10-15", 0.7, code="3719-2")]
)
def test_a_level_in_another_unit_or_code_leaves_the_dose_to_decide(other: Measurement) -> None:
    lithium = add_on("lithium", "2025-10-01", "2025-12-01", 450)
    companion = only(history(SERTRALINE, add_ons=(lithium,), measurements=(other,)))
    assert companion.adequate.answer is Answer.NOT_MET and "below the least dose" in companion.adequate.text


def test_before_the_first_level_a_lower_dose_is_judged_by_itself() -> None:
    """Twenty days at 300 mg, then twenty at 900 mg with a level: only those of the level count."""
    lithium = (
        add_on("lithium", "2025-10-01", "2025-10-20", 300),
        add_on("lithium", "2025-10-21", "2025-11-09", 900),
    )
    companion = only(history(SERTRALINE, add_ons=lithium, measurements=(level("2025-11-01", 0.7),)))
    assert companion.adequate.answer is Answer.NOT_MET and "20 days together" in companion.adequate.text


# --- combination or cross-taper ---------------------------------------------------------------------------

PAIRS = """
    second_from | second_until | overlap | kind        | adequate
    ------------+--------------+---------+-------------+---------
    2025-12-18  | 2026-04-30   | 14      | cross-taper | not-met
    2025-12-04  | 2026-04-30   | 28      | cross-taper | not-met
    2025-12-03  | 2026-04-30   | 29      | combination | not-met
    2025-11-21  | 2026-04-30   | 41      | combination | not-met
    2025-11-20  | 2026-04-30   | 42      | combination | met
    2025-09-01  | 2025-09-20   | 20      | combination | not-met
    2025-09-01  | 2025-12-31   | 122     | combination | met
"""


@pytest.mark.parametrize("row", rows(PAIRS), ids=lambda row: " ".join(row.values()))
def test_a_short_overlap_at_the_end_of_the_first_is_a_cross_taper(row: dict[str, str]) -> None:
    pair = f"{SERTRALINE}\n mirtazapine | {row['second_from']} | {row['second_until']} | 15"
    found = beside(history(pair))
    for trial, other in (("sertraline", "mirtazapine"), ("mirtazapine", "sertraline")):
        (companion,) = found[trial]
        assert (companion.name, companion.overlap_days) == (other, int(row["overlap"]))
        assert companion.kind is CompanionKind(row["kind"])
        assert companion.adequate.answer is Answer(row["adequate"]), companion.adequate.text
        assert (companion.agent, companion.was_tried) == (other, row["kind"] == "combination")


@pytest.mark.parametrize(("until", "kind"), [("2026-04-30", "cross-taper"), ("2025-12-20", "combination")])
def test_a_drug_that_is_not_identified_may_have_been_added_however_short(until: str, kind: str) -> None:
    companion = only(history(f"{SERTRALINE}\n ? | 2025-12-18 | {until} | 15"))
    assert (companion.kind, companion.adequate.answer) == (CompanionKind(kind), Answer.NOT_MET)
    assert companion.was_tried


def test_how_long_a_change_may_take_is_a_parameter() -> None:
    pair = f"{SERTRALINE}\n mirtazapine | 2025-12-18 | 2026-04-30 | 15"
    assert only(history(pair), cross_taper_days=14).kind is CompanionKind.CROSS_TAPER
    assert only(history(pair), cross_taper_days=13).kind is CompanionKind.COMBINATION


def test_two_antidepressants_that_both_go_on_are_not_called_a_change_yet() -> None:
    pair = """
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        sertraline  | 2026-01-01 | 2026-06-30 | 100
        mirtazapine | 2026-06-20 | 2026-06-30 | 15
    """
    companion = only(history(pair))
    assert (companion.kind, companion.adequate.answer) == (CompanionKind.COMBINATION, Answer.NOT_MET)


def test_a_second_antidepressant_below_its_minimum_is_no_combination() -> None:
    companion = only(history(f"{SERTRALINE}\n trazodone | 2025-09-01 | 2025-12-31 | 50"))
    assert (companion.kind, companion.adequate.answer) == (CompanionKind.COMBINATION, Answer.NOT_MET)
    assert companion.adequate.text == "0 days together at adequate doses, 42 needed"
    assert not companion.was_tried


def test_an_unknown_dose_leaves_the_combination_open() -> None:
    companion = only(history(f"{SERTRALINE}\n mirtazapine | 2025-09-01 | 2025-12-31 | ?"))
    assert companion.adequate.answer is Answer.UNKNOWN


def test_an_antidepressant_for_something_else_is_not_beside_a_trial() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day | use
        -----------+------------+------------+------------+--------
        sertraline | 2025-08-01 | 2025-12-31 | 100        | met
        trazodone  | 2025-09-01 | 2025-12-31 | 150        | not-met
    """
    assert beside(history(table)) == {"sertraline": (), "trazodone": ()}


def test_a_trial_resumed_later_keeps_the_companion_of_its_own_days() -> None:
    """One exposure falls apart into two trials when the dose is low in between."""
    table = """
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        sertraline  | 2025-01-01 | 2025-03-31 | 100
        sertraline  | 2025-04-01 | 2025-06-30 | 25
        sertraline  | 2025-07-01 | 2025-10-31 | 100
        mirtazapine | 2025-09-01 | 2025-12-31 | 15
    """
    definition = a_definition()
    trials = judged(history(table), definition)
    found = find_companions(trials, history(table), definition, ON)
    assert [(t.name, len(c)) for t, c in zip(trials, found, strict=True)] == [
        ("sertraline", 0),
        ("sertraline", 1),
        ("mirtazapine", 1),
    ]


# --- procedures -------------------------------------------------------------------------------------------


def test_sessions_during_a_trial_stand_beside_it_without_a_judgement() -> None:
    sessions = tuple(procedure(ProcedureKind.ECT, f"2025-10-{day:02}") for day in (1, 4, 8, 11))
    companion = only(history(SERTRALINE, procedures=sessions))
    assert (companion.kind, companion.name) == (CompanionKind.NEUROMODULATION, "ECT")
    assert (companion.first_day, companion.last_day) == (date(2025, 10, 1), date(2025, 10, 11))
    assert (companion.overlap_days, companion.adequate.answer) == (4, Answer.UNKNOWN)
    assert companion.adequate.text == "4 records of ECT; how much of it is enough is not known"
    assert len(companion.adequate.evidence) == 4


def test_the_gap_of_the_definition_separates_courses() -> None:
    def courses(*days: str) -> int:
        sessions = tuple(procedure(ProcedureKind.TMS, day) for day in days)
        return len(beside(history(SERTRALINE, procedures=sessions))["sertraline"])

    assert courses("2025-10-01", "2025-10-16") == 1  # 14 days between
    assert courses("2025-10-01", "2025-10-17") == 2  # 15 days between


def test_procedures_before_and_after_the_trial_are_not_beside_it() -> None:
    around = tuple(procedure(ProcedureKind.ECT, day) for day in ("2025-07-31", "2026-01-01"))
    assert beside(history(SERTRALINE, procedures=around))["sertraline"] == ()


def test_what_was_not_done_or_is_no_such_treatment_is_not_beside_the_trial() -> None:
    none = (
        procedure(ProcedureKind.ECT, "2025-10-01", holds=Answer.NOT_MET),
        procedure(ProcedureKind.ECT, None, holds=Answer.NOT_MET),
        procedure(ProcedureKind.LIGHT_THERAPY, "2025-10-01"),
    )
    assert beside(history(SERTRALINE, procedures=none))["sertraline"] == ()


def test_a_procedure_without_a_day_is_shown_as_such() -> None:
    companion = only(history(SERTRALINE, procedures=(procedure(ProcedureKind.PSYCHOTHERAPY, None),)))
    assert companion.kind is CompanionKind.PSYCHOTHERAPY
    assert (companion.first_day, companion.overlap_days) == (None, 0)
    assert companion.adequate.answer is Answer.UNKNOWN and "not recorded" in companion.adequate.text


def test_a_procedure_that_may_not_have_taken_place_says_so() -> None:
    doubtful = procedure(ProcedureKind.ECT, "2025-10-01", holds=Answer.UNKNOWN)
    text = only(history(SERTRALINE, procedures=(doubtful,))).adequate.text
    assert (
        text
        == "one record of ECT; whether it took place is not certain; how much of it is enough is not known"
    )


# --- trials of their own ----------------------------------------------------------------------------------


def others(of: History, on: date = ON, **given: object) -> tuple[Trial, ...]:
    definition = a_definition(**given)
    return find_other_trials(judged(of, definition, on), of, definition, on)


WITH_LITHIUM = history(SERTRALINE, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", 900),))
WITH_MIRTAZAPINE = history(f"{SERTRALINE}\n mirtazapine | 2025-11-01 | 2026-04-30 | 15")
WITH_PROCEDURES = history(
    SERTRALINE,
    procedures=(
        procedure(ProcedureKind.ECT, "2025-10-01", "2025-10-20"),
        procedure(ProcedureKind.PSYCHOTHERAPY, "2025-08-01", "2025-11-01"),
    ),
)


@pytest.mark.parametrize("of", [WITH_LITHIUM, WITH_MIRTAZAPINE, WITH_PROCEDURES])
def test_nothing_counts_unless_the_definition_says_so(of: History) -> None:
    assert others(of) == ()


def test_an_adequate_augmentation_is_a_trial_of_its_own() -> None:
    (trial,) = others(WITH_LITHIUM, augmentation_counts=True)
    assert (trial.kind, trial.name) == (TrialKind.AUGMENTATION, "lithium + sertraline")
    assert (trial.first_day, trial.last_day, trial.adequate_days) == (
        date(2025, 10, 1),
        date(2025, 12, 1),
        62,
    )
    assert trial.is_adequate is Answer.MET
    assert trial.drug is not None
    assert (trial.drug.agent, trial.drug.drug_class) == ("lithium + sertraline", "SSRI + mood stabiliser")
    assert trial.exposure.evidence == ("MedicationRequest/lithium-2025-10-01", "MedicationRequest/1")


def test_an_augmentation_that_is_too_little_is_no_trial_and_a_doubtful_one_may_be() -> None:
    low = history(SERTRALINE, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", 300),))
    doubtful = history(SERTRALINE, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", None),))
    assert others(low, augmentation_counts=True) == ()
    (trial,) = others(doubtful, augmentation_counts=True)
    assert trial.is_adequate is Answer.UNKNOWN


def test_an_augmentation_of_a_doubtful_trial_is_doubtful() -> None:
    table = SERTRALINE.replace("100", "25-100")
    of = history(table, add_ons=(add_on("lithium", "2025-10-01", "2025-12-01", 900),))
    (trial,) = others(of, augmentation_counts=True)
    assert trial.is_adequate is Answer.UNKNOWN


def test_an_augmentation_of_a_trial_that_is_too_short_is_none() -> None:
    table = SERTRALINE.replace("2025-12-31", "2025-09-10")  # 41 days
    of = history(table, add_ons=(add_on("lithium", "2025-08-01", "2025-12-01", 900),))
    assert others(of, augmentation_counts=True) == ()


def test_a_combination_is_a_trial_of_its_own_and_a_change_is_none() -> None:
    (trial,) = others(WITH_MIRTAZAPINE, combination_counts=True)
    assert (trial.kind, trial.name) == (TrialKind.COMBINATION, "mirtazapine + sertraline")
    assert (trial.first_day, trial.last_day) == (date(2025, 11, 1), date(2025, 12, 31))
    assert trial.is_adequate is Answer.MET
    change = history(f"{SERTRALINE}\n mirtazapine | 2025-12-18 | 2026-04-30 | 15")
    assert others(change, combination_counts=True) == ()


def test_a_course_of_sessions_is_a_trial_whose_length_no_table_judges() -> None:
    (trial,) = others(WITH_PROCEDURES, neuromodulation_counts=True)
    assert (trial.kind, trial.name) == (TrialKind.NEUROMODULATION, "ECT")
    assert (trial.first_day, trial.last_day) == (date(2025, 10, 1), date(2025, 10, 20))
    assert (trial.dose.answer, trial.duration.answer, trial.use.answer) == (
        Answer.MET,
        Answer.UNKNOWN,
        Answer.MET,
    )
    assert trial.exposure.evidence == ("Procedure/ECT-2025-10-01",)


@pytest.mark.parametrize(
    ("until", "answer"),
    [("2025-09-10", Answer.UNKNOWN), ("2025-09-11", Answer.MET), ("2025-09-12", Answer.MET)],
)
def test_psychotherapy_lasts_as_long_as_a_trial_needs(until: str, answer: Answer) -> None:
    therapy = (procedure(ProcedureKind.PSYCHOTHERAPY, "2025-08-01", until),)
    (trial,) = others(history(SERTRALINE, procedures=therapy), psychotherapy_counts=True)
    assert (trial.kind, trial.duration.answer) == (TrialKind.PSYCHOTHERAPY, answer)


def test_a_treatment_of_which_no_day_is_recorded_may_have_been_a_trial() -> None:
    therapy = (procedure(ProcedureKind.PSYCHOTHERAPY, None),)
    (trial,) = others(history(SERTRALINE, procedures=therapy), psychotherapy_counts=True)
    assert (trial.first_day, trial.adequate_days, trial.is_adequate) == (None, 0, Answer.UNKNOWN)
    assert trial.exposure.first_day == ON - timedelta(days=730)


def test_why_the_drug_that_ended_first_was_stopped_is_the_reason_of_both() -> None:
    lithium = add_on("lithium", "2025-10-01", "2025-12-01", 900, stop=StopReason.INEFFICACY)
    (trial,) = others(history(SERTRALINE, add_ons=(lithium,)), augmentation_counts=True)
    assert trial.stop_reason is StopReason.INEFFICACY


# --- in the whole assessment --------------------------------------------------------------------------------

NO_CHANGE = scores(("2025-07-30", 18), ("2025-09-28", 18), ("2025-11-30", 18), ("2025-12-30", 18))


def assessed(of: History, **given: object) -> Assessment:
    return assess_history(replace(of, scores=NO_CHANGE), a_definition(**given), ON)


def test_an_augmentation_counts_as_a_second_failed_trial_where_the_definition_says_so() -> None:
    assert assessed(WITH_LITHIUM).failed_at_least == 1
    assert assessed(WITH_LITHIUM, augmentation_counts=True).failed_at_least == 2


def test_the_sentence_of_a_trial_ends_with_what_stood_beside_it() -> None:
    (judged_trial,) = assessed(WITH_LITHIUM).trials
    assert trial_sentence(judged_trial).endswith(
        "; with lithium 900 mg/day 2025-10-01 to 2025-12-01 (62 days, adequate augmentation)"
    )


def test_a_trial_of_its_own_has_no_companions() -> None:
    trials = assessed(WITH_LITHIUM, augmentation_counts=True).trials
    assert {t.trial.kind: len(t.companions) for t in trials} == {
        TrialKind.ANTIDEPRESSANT: 1,
        TrialKind.AUGMENTATION: 0,
    }


# --- for any history ----------------------------------------------------------------------------------------

DAYS = st.dates(date(2025, 1, 1), date(2026, 6, 30))
DOSES = st.sampled_from([None, 0.0, 10.0, 50.0, 150.0, 600.0, 900.0])


@st.composite
def prescriptions(draw: st.DrawFn, drugs: dict[str, Drug]) -> Prescription:
    first, last = sorted((draw(DAYS), draw(DAYS)))
    drug = drugs[draw(st.sampled_from(sorted(drugs)))]
    low, high = draw(DOSES), draw(DOSES)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return Prescription(
        reference=f"MedicationRequest/{draw(st.integers(0, 99))}",
        drug=drug,
        name=drug.ingredient,
        segments=(DoseSegment(first, last, low, high, draw(st.booleans())),),
        treats_depression=Finding("use", draw(st.sampled_from(Answer)), "use"),
    )


PROCEDURES = st.builds(
    Procedure,
    st.sampled_from(ProcedureKind),
    st.just("x"),
    st.none() | DAYS,
    st.none() | DAYS,
    st.sampled_from(Answer),
    st.just("Procedure/1"),
)
BASES = {
    name: Drug(name, name, None, name, name, {"default": 50.0}) for name in ("sertraline", "citalopram")
} | {"unknown": Drug("unknown", "unknown", None, "x", "x", {})}
LEVELS_ANY = st.builds(
    level, DAYS.map(date.isoformat), st.floats(0, 2), st.sampled_from(["mmol/L", "mg/dL", ""])
)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(prescriptions(BASES), max_size=4),
    st.lists(prescriptions(AGENTS), max_size=3),
    st.lists(PROCEDURES, max_size=3),
    st.lists(LEVELS_ANY, max_size=3),
)
def test_any_history_has_companions_that_hold_together(
    base: list[Prescription],
    add_ons: list[Prescription],
    procedures: list[Procedure],
    levels: list[Measurement],
) -> None:
    of = history(
        prescriptions=tuple(base),
        add_ons=tuple(add_ons),
        procedures=tuple(procedures),
        measurements=tuple(levels),
    )
    definition = a_definition(
        augmentation_counts=True,
        combination_counts=True,
        neuromodulation_counts=True,
        psychotherapy_counts=True,
    )
    trials = judged(of, definition)
    found = find_companions(trials, of, definition, ON)
    assert len(found) == len(trials)
    for companion in (each for of_trial in found for each in of_trial):
        if companion.first_day and companion.last_day:
            span = (companion.last_day - companion.first_day).days + 1
            assert 1 <= companion.overlap_days <= span
        if companion.kind in (CompanionKind.AUGMENTATION, CompanionKind.COMBINATION):
            assert companion.agent
            assert companion.was_tried or companion.adequate.answer is Answer.NOT_MET
    for trial in find_other_trials(trials, of, definition, ON):
        assert trial.kind is not TrialKind.ANTIDEPRESSANT and trial.is_adequate is not Answer.NOT_MET
    assert assess_history(of, definition, ON).trials is not None


def test_the_rows_of_the_table_carry_what_makes_an_agent_count() -> None:
    lithium, pindolol = AGENTS["lithium"].add_on, AGENTS["pindolol"].add_on
    assert lithium is not None and pindolol is not None
    assert (lithium.minimum_days, lithium.counts, lithium.minimum_level) == (28, True, 0.5)
    assert (pindolol.counts, pindolol.why_not) == (False, "not counted (off label)")
    assert AGENTS["lamotrigine"].add_on == AddOn(56, source="recalled, unverified: slow titration")
