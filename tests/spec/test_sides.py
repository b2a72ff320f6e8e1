"""Two drugs side by side: whose days are whose, which were at an adequate dose, and the trial they make together."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.beside import (
    Side,
    Together,
    add_on_sides,
    judge_add_on,
    judge_length,
    sides_of,
    together,
    was_added,
)
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Trial, TrialKind
from cds_service.trd.other_trials import find_other_trials
from cds_service.trd.overlap import Run, Stretch
from cds_service.trd.record import (
    AddOn,
    History,
    Measurement,
    Prescription,
    ProcedureKind,
    Source,
    StopReason,
)
from cds_service.trd.trials import find_trials
from tests.spec.assessments import a_definition
from tests.spec.people import history, orders
from tests.spec.test_companions import ON, add_on, level, procedure
from tests.spec.texttables import rows

DEFINITION = a_definition()


def days(*texts: str) -> tuple[Stretch, ...]:
    """`09-01..09-30`: days of 2025."""
    pairs = [text.split("..") for text in texts]
    return tuple((date.fromisoformat(f"2025-{a}"), date.fromisoformat(f"2025-{b}")) for a, b in pairs)


def trials_of(table: str, **given: object) -> tuple[Trial, ...]:
    definition = a_definition(**given)
    return find_trials(build_exposures(orders(table), definition.max_gap_days), definition, ON)


def sides(table: str, **given: object) -> tuple[Side, ...]:
    return sides_of(trials_of(table, **given))


def the_side(table: str) -> Side:
    (side,) = sides(table)
    return side


# --- antidepressants --------------------------------------------------------------------------------------


def test_the_days_of_a_drug_and_those_at_a_dose_that_is_enough() -> None:
    side = the_side(
        """
        drug       | first_day  | last_day   | mg_per_day | days
        sertraline | 2025-09-01 | 2025-09-10 | 25         |
        sertraline | 2025-09-11 | 2025-09-20 | 50         |
        sertraline | 2025-09-21 | 2025-09-25 | 25-50      |
        sertraline | 2025-09-26 | 2025-09-30 | 50         | uncertain
        """
    )
    assert side.taken == days("09-01..09-30")
    assert side.certain == days("09-11..09-20")
    assert side.possible == days("09-11..09-30")
    assert (side.first_day, side.last_day) == (date(2025, 9, 1), date(2025, 9, 30))
    assert (side.dose, side.levels) == ("up to 50 mg/day", ())
    assert side.evidence == tuple(f"MedicationRequest/{number}" for number in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("mg", "dose"), [("50", "50 mg/day"), ("62.5", "62.5 mg/day"), ("50-100", "up to 100 mg/day"), ("?", "")]
)
def test_the_dose_in_words(mg: str, dose: str) -> None:
    table = "drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-09-30 |"
    assert the_side(f"{table} {mg}").dose == dose


def test_a_dose_that_is_known_for_some_days_only_is_the_largest() -> None:
    side = the_side(
        """
        drug       | first_day  | last_day   | mg_per_day
        sertraline | 2025-09-01 | 2025-09-10 | ?
        sertraline | 2025-09-11 | 2025-09-20 | 50
        """
    )
    assert side.dose == "up to 50 mg/day"


TWO_RUNS = """
    drug       | first_day  | last_day   | mg_per_day
    sertraline | 2025-06-01 | 2025-06-10 | 25
    sertraline | 2025-06-11 | 2025-07-10 | 50
    sertraline | 2025-07-11 | 2025-07-31 | 25
    sertraline | 2025-08-01 | 2025-08-31 | 50
    sertraline | 2025-09-01 | 2025-09-10 | 25
"""


def test_two_trials_of_one_use_share_its_days_at_the_first_day_of_the_second() -> None:
    first, second = sides(TWO_RUNS)
    assert (first.taken, first.certain) == (days("06-01..07-31"), days("06-11..07-10"))
    assert (second.taken, second.certain) == (days("08-01..09-10"), days("08-01..08-31"))
    assert second.possible == days("08-01..08-31")


def test_whichever_comes_first_in_the_list_keeps_its_own_days() -> None:
    trials = trials_of(TWO_RUNS)
    second, first = sides_of(trials[::-1])
    assert (first.taken, second.taken) == (days("06-01..07-31"), days("08-01..09-10"))
    (alone,) = sides_of(trials[1:])
    assert alone.taken == days("06-01..09-10")


def test_a_drug_that_is_not_identified_may_have_begun_both_trials_of_one_use() -> None:
    """Both may then have begun on its first day: before the use, and neither has days of its own."""
    for begins, first_taken in (("2025-05-20", "06-01..09-10"), ("2025-06-02", "06-01..06-01")):
        found = sides(TWO_RUNS + f"    tablet | {begins} | 2025-08-31 | 50")
        first, second = (side for side in found if side.trial.name == "sertraline")
        assert first.taken == days(first_taken)
        begin = "06-01" if begins == "2025-05-20" else "06-02"
        assert second.taken == days(f"{begin}..09-10")
        is_shared = begins == "2025-05-20"
        assert first.certain == (days("06-11..07-10", "08-01..08-31") if is_shared else ())


def test_uses_of_two_drugs_share_no_days() -> None:
    first, second = sides(
        """
        drug        | first_day  | last_day   | mg_per_day
        sertraline  | 2025-09-01 | 2025-09-30 | 50
        venlafaxine | 2025-09-10 | 2025-10-30 | 75
        """
    )
    assert (first.taken, second.taken) == (days("09-01..09-30"), days("09-10..10-30"))


# --- both together ----------------------------------------------------------------------------------------


def test_days_together_are_those_at_any_dose_and_the_longest_run_at_an_adequate_one() -> None:
    first, second = sides(
        """
        drug        | first_day  | last_day   | mg_per_day | days
        sertraline  | 2025-09-01 | 2025-12-31 | 50         |
        venlafaxine | 2025-10-01 | 2025-10-10 | 37.5       |
        venlafaxine | 2025-10-11 | 2025-10-20 | 75         |
        venlafaxine | 2025-10-21 | 2025-10-25 | 75         | uncertain
        """
    )
    (certain,), (possible,) = days("10-11..10-20"), days("10-11..10-25")
    assert together(first, second, 14) == Together(25, Run(10, *certain), Run(15, *possible))


@pytest.mark.parametrize(
    ("certain", "possible", "answer", "text"),
    [
        (28, 40, "met", "28 days together at adequate doses, 28 needed"),
        (27, 28, "unknown", "27 days together at adequate doses are certain and 28 possible, 28 needed"),
        (27, 27, "not-met", "27 days together at adequate doses, 28 needed"),
    ],
)
def test_the_length_together(certain: int, possible: int, answer: str, text: str) -> None:
    found = judge_length(Together(99, Run(certain), Run(possible)), 28)
    assert (found[0].value, found[1]) == (answer, text)


# --- agents that are added --------------------------------------------------------------------------------


def added(*agents: Prescription, levels: tuple[Measurement, ...] = (), on: date = ON) -> tuple[Side, ...]:
    return add_on_sides(history(add_ons=agents, measurements=levels), DEFINITION, on)


def lithium(first_day: str, last_day: str, mg: float | tuple[float, float] | None = 900) -> Prescription:
    return add_on("lithium", f"2025-{first_day}", f"2025-{last_day}", mg)


def test_each_use_of_an_agent_is_one_side_whatever_its_doses() -> None:
    stopped = replace(lithium("09-21", "09-30", 300), stop_reason=StopReason.INTOLERANCE)
    (first, second) = added(
        lithium("09-01", "09-10"), lithium("09-11", "09-20", 300), stopped, lithium("12-01", "12-31", 600)
    )
    assert (first.taken, first.certain) == (days("09-01..09-30"), days("09-01..09-10"))
    assert (first.trial.max_mg, first.dose) == (900, "up to 900 mg/day")
    assert (second.taken, second.trial.max_mg, second.dose) == (days("12-01..12-31"), 600, "600 mg/day")
    assert added() == ()


def test_of_several_runs_in_one_use_the_largest_dose_and_the_last_reason_are_told() -> None:
    inefficacy, intolerance = StopReason.INEFFICACY, StopReason.INTOLERANCE
    runs = (
        replace(lithium("06-01", "06-30", 1200), stop_reason=inefficacy),
        lithium("07-01", "07-31", 300),
        lithium("08-01", "08-31", 900),
    )
    (side,) = added(*runs)
    assert (side.trial.max_mg, side.trial.stop_reason) == (1200, inefficacy)
    (side,) = added(*runs[:2], replace(runs[2], stop_reason=intolerance))
    assert (side.trial.max_mg, side.trial.stop_reason) == (1200, intolerance)
    (side,) = added(*(replace(run, stop_reason=StopReason.NONE_GIVEN) for run in runs))
    assert side.trial.stop_reason is StopReason.NONE_GIVEN


LEVELS = """
    mg  | levels                                   | certain                    | why
    450 | 09-10=0.5                                | 09-01..09-30               | on the limit, for the same dose before
    450 | 09-10=0.49                               | -                          | below the limit
    900 | 09-10=0.49                               | -                          | whatever the dose
    900 | 09-01=0.4, 09-11=0.6                     | 09-11..09-30               | from the day of the second on
    900 | 09-01=0.6, 09-11=0.4                     | 09-01..09-10               | until the day before the second
    900 | 09-05=0.6, 09-11=0.4, 09-21=0.5          | 09-01..09-10 09-21..09-30  | the last before decides
    900 | 09-30=0.6                                | 09-01..09-30               | on the last day
    450 | 09-01=0.6                                | 09-01..09-30               | on the first day
    450 | 08-31=0.6                                | -                          | the day before it began
    450 | 10-01=0.6                                | -                          | the day after it ended
    900 | 09-10=0.6, 09-10=0.4                     | -                          | two that differ on one day
    900 | 09-10=0.6, 09-10=0.7                     | 09-01..09-30               | two that agree on one day
    ?   | 09-10=0.6                                | 09-10..09-30               | before it nothing is known
"""


@pytest.mark.parametrize("row", rows(LEVELS), ids=lambda row: row["why"])
def test_which_days_a_level_in_blood_speaks_of(row: dict[str, str]) -> None:
    mg = None if row["mg"] == "?" else float(row["mg"])
    told = [each.split("=") for each in row["levels"].split(", ")]
    levels = tuple(level(f"2025-{day}", float(value)) for day, value in told)
    (side,) = added(lithium("09-01", "09-30", mg), levels=levels[::-1])
    assert side.certain == (days(*row["certain"].split()) if row["certain"] != "-" else ())
    inside = [m.reference for m in levels if "2025-09-01" <= str(m.day) <= "2025-09-30"]
    assert side.levels == tuple(sorted(inside))
    assert side.taken == days("09-01..09-30")


def test_two_levels_of_one_day_that_differ_leave_all_days_open() -> None:
    levels = (level("2025-09-10", 0.6), level("2025-09-10", 0.4))
    (side,) = added(lithium("09-01", "09-30", 900), levels=levels)
    assert (side.certain, side.possible) == ((), days("09-01..09-30"))


@pytest.mark.parametrize(
    ("before", "certain", "possible"),
    [
        (900.0, "09-01..09-30", "09-01..09-30"),  # the same dose: the level speaks of it too
        (600.0, "09-01..09-30", "09-01..09-30"),  # another, which is enough by itself
        (300.0, "09-11..09-30", "09-11..09-30"),
        (None, "09-11..09-30", "09-01..09-30"),
        ((300.0, 900.0), "09-11..09-30", "09-01..09-30"),
    ],
)
def test_before_the_first_level_another_dose_is_judged_by_itself(
    before: float | tuple[float, float] | None, certain: str, possible: str
) -> None:
    agents = (lithium("09-01", "09-10", before), lithium("09-11", "09-30", 900))
    (side,) = added(*agents, levels=(level("2025-09-20", 0.6),))
    assert (side.certain, side.possible) == (days(certain), days(possible))


def test_before_a_low_level_another_dose_is_judged_by_itself() -> None:
    agents = (lithium("09-01", "09-10", 600), lithium("09-11", "09-30", 900))
    (side,) = added(*agents, levels=(level("2025-09-20", 0.4),))
    assert (side.certain, side.possible) == (days("09-01..09-10"), days("09-01..09-10"))


# --- whether it counts ------------------------------------------------------------------------------------

BASE = the_side("drug | first_day | last_day | mg_per_day\nsertraline | 2025-08-01 | 2025-12-31 | 50")
EVIDENCE = ("MedicationRequest/lithium-2025-09-01", "MedicationRequest/1")


def judged(agent: Prescription, base: Side = BASE, levels: tuple[Measurement, ...] = ()) -> Finding:
    (side,) = added(agent, levels=levels)
    return judge_add_on(side, base, together(side, base, 14))


LITHIUM = lithium("09-01", "09-30", 900)


def test_an_agent_that_counts_in_words() -> None:
    assert judged(LITHIUM) == Finding(
        "augmentation",
        Answer.MET,
        "900 mg/day, at least 600 mg/day needed; 30 days together at adequate doses, 28 needed",
        EVIDENCE,
    )


def test_a_level_is_told_in_words_and_as_evidence() -> None:
    taken = level("2025-09-10", 0.5)
    assert judged(LITHIUM, levels=(taken,)) == Finding(
        "augmentation",
        Answer.MET,
        "900 mg/day; by its level in blood, 0.5 mmol/L on 2025-09-10, at least 0.5 mmol/L needed; "
        "30 days together at adequate doses, 28 needed",
        (EVIDENCE[0], taken.reference, EVIDENCE[1]),
    )


def with_agent(**changes: object) -> Prescription:
    drug = LITHIUM.drug
    assert drug is not None and drug.add_on is not None
    return replace(LITHIUM, drug=replace(drug, add_on=replace(drug.add_on, **changes)))  # type: ignore[arg-type]


def test_why_an_agent_does_not_count() -> None:
    drug = LITHIUM.drug
    assert drug is not None
    open_use = replace(LITHIUM, treats_depression=Finding("use", Answer.UNKNOWN, "perhaps for mania"))
    other_use = replace(LITHIUM, treats_depression=Finding("use", Answer.NOT_MET, "for mania"))
    low_base = replace(BASE, possible=())
    enough = "900 mg/day, at least 600 mg/day needed"
    for agent, base, answer, text in (
        (replace(LITHIUM, drug=None), BASE, "unknown", "which drug it is is not known"),
        (replace(LITHIUM, drug=replace(drug, add_on=None)), BASE, "not-met", "it is no augmenting agent"),
        (with_agent(counts=False, why_not="not counted"), BASE, "not-met", "not counted"),
        (other_use, BASE, "not-met", "for mania"),
        (replace(lithium("09-01", "09-30", 599)), BASE, "not-met",
         "599 mg/day, below the least dose of 600 mg/day"),
        (LITHIUM, low_base, "not-met", "sertraline was at no adequate dose"),
        (with_agent(minimum_days=None), BASE, "unknown", f"{enough}; our table tells no length that is enough"),
        (open_use, BASE, "unknown",
         f"perhaps for mania; {enough}; 30 days together at adequate doses, 28 needed"),
        (lithium("09-01", "09-27"), BASE, "not-met",
         f"{enough}; 27 days together at adequate doses, 28 needed"),
        (lithium("09-01", "09-30", None), BASE, "unknown",
         "dose not known, at least 600 mg/day needed; "
         "0 days together at adequate doses are certain and 30 possible, 28 needed"),
        (replace(LITHIUM, drug=replace(drug, minimum_mg={})), BASE, "unknown",
         "900 mg/day; no least dose in mg a day is known; "
         "0 days together at adequate doses are certain and 30 possible, 28 needed"),
    ):  # fmt: skip
        found = judged(agent, base)
        assert (found.answer.value, found.text, found.evidence) == (answer, text, EVIDENCE)


def test_whether_it_was_added_at_all() -> None:
    drug = LITHIUM.drug
    assert drug is not None
    for agent, expected in (
        (lithium("12-31", "12-31"), True),
        (add_on("lithium", "2026-01-01", "2026-02-01", 900), False),
        (lithium("07-01", "08-01"), True),
        (lithium("07-01", "07-31"), False),
        (lithium("09-01", "09-30", 599), False),
        (replace(LITHIUM, drug=None), True),
        (replace(LITHIUM, drug=replace(drug, add_on=None)), False),
        (replace(LITHIUM, drug=replace(drug, add_on=AddOn(28, counts=False))), False),
    ):
        (side,) = added(agent)
        assert was_added(side, BASE) is expected


# --- trials of their own ----------------------------------------------------------------------------------

THERAPY = ProcedureKind.PSYCHOTHERAPY
COUNTING = {
    "augmentation_counts": True,
    "combination_counts": True,
    "psychotherapy_counts": True,
    "neuromodulation_counts": True,
}


def others(who: History, on: date = ON, **given: object) -> tuple[Trial, ...]:
    definition = a_definition(**{**COUNTING, **given})
    trials = find_trials(build_exposures(who.prescriptions, definition.max_gap_days), definition, on)
    return find_other_trials(trials, who, definition, on)


def the_other(who: History, on: date = ON, **given: object) -> Trial:
    (trial,) = others(who, on, **given)
    return trial


AUGMENTED = history(
    "drug | first_day | last_day | mg_per_day\nsertraline | 2025-08-01 | 2025-12-31 | 50",
    add_ons=(LITHIUM,),
)


def test_an_augmentation_as_a_trial() -> None:
    trial = the_other(AUGMENTED)
    drug = trial.drug
    assert drug is not None
    assert (trial.kind, trial.name, trial.agent) == (
        TrialKind.AUGMENTATION, "lithium + sertraline", "lithium + sertraline"
    )  # fmt: skip
    lithium_drug = LITHIUM.drug
    assert lithium_drug is not None
    assert drug.drug_class == " + ".join(sorted((lithium_drug.drug_class, "SSRI")))
    assert drug.mechanism == " + ".join(sorted((lithium_drug.mechanism, "serotonin_reuptake")))
    assert drug.ingredient == "lithium + sertraline" and drug.rxcui is None
    assert ((trial.first_day, trial.last_day),) == days("09-01..09-30")
    assert ((trial.possible_first_day, trial.possible_last_day),) == days("09-01..09-30")
    assert (trial.adequate_days, trial.minimum_mg, trial.max_mg) == (30, 600, 900)
    assert trial.dose == Finding("dose", Answer.MET, "judged with the days together", EVIDENCE)
    assert (trial.duration.criterion, trial.duration.answer) == ("duration", Answer.MET)
    assert trial.use == Finding("use", Answer.MET, "what it is for", EVIDENCE)
    assert trial.adherence == Finding("adherence", Answer.UNKNOWN, "no dispensing tells of both together")
    assert trial.exposure.segments[0].low_mg is None and trial.exposure.evidence == EVIDENCE
    assert not trial.is_running and trial.is_adequate is Answer.MET
    assert others(AUGMENTED, augmentation_counts=False) == ()


@pytest.mark.parametrize(("last_day", "runs"), [("2026-06-29", False), ("2026-06-30", True)])
def test_an_augmentation_runs_while_both_are_taken(last_day: str, runs: bool) -> None:
    table = f"drug | first_day | last_day | mg_per_day\nsertraline | 2026-01-01 | {last_day} | 50"
    who = history(table, add_ons=(add_on("lithium", "2026-03-01", "2026-06-30", 900),))
    assert the_other(who).is_running is runs


def test_days_that_are_only_possible_are_shown_where_the_answer_is_open() -> None:
    unsure = add_on("lithium", "2025-09-01", "2025-09-30", 900, days_certain=False)
    trial = the_other(replace(AUGMENTED, add_ons=(unsure,)))
    assert (trial.duration.answer, trial.adequate_days) == (Answer.UNKNOWN, 30)
    assert ((trial.first_day, trial.last_day),) == days("09-01..09-30")


def test_what_is_surely_too_little_is_no_trial() -> None:
    short = replace(AUGMENTED, add_ons=(lithium("09-01", "09-27"),))
    assert others(short) == ()
    apart = replace(AUGMENTED, add_ons=(lithium("06-01", "07-31"),))
    assert others(apart) == ()
    short_base = "drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-10-11 | 50"
    assert others(history(short_base, add_ons=(LITHIUM,))) == ()


PAIR = """
    drug       | first_day  | last_day        | mg_per_day | stop
    sertraline | 2025-08-01 | {until}         | 50         | {stop}
    mirtazapine | 2025-08-01 | 2025-12-31     | 15         | {other}
"""


@pytest.mark.parametrize(
    ("until", "stop", "other", "expected"),
    [
        ("2025-12-31", "inefficacy", "inefficacy", "inefficacy"),
        ("2025-12-31", "inefficacy", "none given", "inefficacy"),
        ("2025-12-31", "none given", "intolerance", "intolerance"),
        ("2025-12-31", "inefficacy", "intolerance", "other"),
        ("2025-12-30", "inefficacy", "intolerance", "inefficacy"),
        ("2026-01-01", "inefficacy", "intolerance", "intolerance"),
    ],
)
def test_a_combination_ended_for_the_reason_of_the_drug_that_ended_first(
    until: str, stop: str, other: str, expected: str
) -> None:
    trial = the_other(history(PAIR.format(until=until, stop=stop, other=other)))
    assert (trial.kind, trial.agent) == (TrialKind.COMBINATION, "mirtazapine + sertraline")
    assert (trial.minimum_mg, trial.max_mg) == (None, None)
    assert trial.stop_reason.value == expected


def test_a_combination_of_which_one_is_in_doubt() -> None:
    table = """
        drug        | first_day  | last_day   | mg_per_day | use
        mirtazapine | 2025-08-01 | 2025-12-31 | 15         | met
        sertraline  | 2025-08-01 | 2025-12-31 | 50         | unknown
    """
    trial = the_other(history(table))
    assert (trial.use.answer, trial.duration.answer) == (Answer.UNKNOWN, Answer.UNKNOWN)
    assert trial.use.evidence == ("MedicationRequest/1", "MedicationRequest/2")


def test_only_orders_on_days_together_are_its_evidence() -> None:
    table = """
        drug        | first_day  | last_day   | mg_per_day
        sertraline  | 2025-06-01 | 2025-07-31 | 50
        sertraline  | 2025-08-01 | 2025-12-31 | 50
        mirtazapine | 2025-08-01 | 2025-10-31 | 15
        mirtazapine | 2025-11-01 | 2025-12-31 | 7.5
    """
    trial = the_other(history(table))
    assert trial.exposure.evidence == ("MedicationRequest/3", "MedicationRequest/2")
    assert ((trial.first_day, trial.last_day),) == days("08-01..10-31")


def test_orders_with_only_one_day_together_are_its_evidence_too() -> None:
    table = """
        drug        | first_day  | last_day   | mg_per_day
        sertraline  | 2025-06-01 | 2025-08-01 | 50
        sertraline  | 2025-08-02 | 2025-10-30 | 50
        sertraline  | 2025-10-31 | 2025-12-31 | 50
        mirtazapine | 2025-08-01 | 2025-10-31 | 15
    """
    numbers = (4, 1, 2, 3)
    found = the_other(history(table)).exposure.evidence
    assert found == tuple(f"MedicationRequest/{number}" for number in numbers)


def test_the_record_of_a_course_is_told_as_it_was_written() -> None:
    course = replace(procedure(THERAPY, "2025-09-01", "2025-10-31"), text="Cognitive therapy")
    trial = the_other(history(procedures=(course,)))
    (record,) = trial.exposure.prescriptions
    assert (record.name, record.drug, record.treats_depression) == (
        "Cognitive therapy", trial.drug, trial.use
    )  # fmt: skip
    assert record.segments == trial.exposure.segments
    (unnamed,) = the_other(history(procedures=(replace(course, text=""),))).exposure.prescriptions
    assert unnamed.name == "psychotherapy"


# --- courses of sessions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "answer", "text"),
    [
        ("2025-10-12", "met", "42 days from first to last record, 42 needed"),
        ("2025-10-11", "unknown",
         "41 days from first to last record, 42 needed; more may have gone unrecorded"),
    ],
)  # fmt: skip
def test_psychotherapy_as_a_trial(until: str, answer: str, text: str) -> None:
    trial = the_other(history(procedures=(procedure(THERAPY, "2025-09-01", until),)))
    evidence = ("Procedure/psychotherapy-2025-09-01",)
    assert trial.duration == Finding("duration", Answer(answer), text, evidence)
    assert (trial.kind, trial.name) == (TrialKind.PSYCHOTHERAPY, "psychotherapy")
    assert trial.use == Finding("use", Answer.MET, "recorded as performed", evidence)
    assert trial.dose == Finding("dose", Answer.MET, "no dose applies", evidence)
    assert trial.adherence == Finding("adherence", Answer.UNKNOWN, "no dispensing applies")
    assert (trial.first_day, trial.last_day) == (date(2025, 9, 1), date.fromisoformat(until))
    assert (trial.possible_first_day, trial.possible_last_day) == (trial.first_day, trial.last_day)
    assert trial.adequate_days == int(text[:2])
    assert trial.stop_reason is StopReason.NONE_GIVEN and not trial.is_running
    (record,) = trial.exposure.prescriptions
    assert (record.name, record.source) == ("psychotherapy", Source.PERFORMED)
    assert record.days_text == f"2025-09-01 to {until}"
    assert trial.drug is not None
    assert {trial.drug.agent, trial.drug.drug_class, trial.drug.mechanism} == {"psychotherapy"}
    assert all(segment.days_certain for segment in trial.exposure.segments)


def test_a_course_without_a_recorded_day() -> None:
    trial = the_other(history(procedures=(procedure(THERAPY, None),)), lookback_days=100)
    assert (trial.duration.answer, trial.duration.text) == (Answer.UNKNOWN, "its days are not recorded")
    assert (trial.first_day, trial.last_day, trial.adequate_days, trial.is_running) == (None, None, 0, False)
    (segment,) = trial.exposure.segments
    assert (segment.first_day, segment.last_day, segment.days_certain) == (date(2026, 3, 22), ON, False)
    assert trial.exposure.prescriptions[0].days_text == "no day is recorded"


def test_a_course_that_may_not_have_taken_place_and_one_of_a_single_day() -> None:
    ect = procedure(ProcedureKind.ECT, "2026-06-30", holds=Answer.UNKNOWN)
    trial = the_other(history(procedures=(ect,)))
    assert (trial.kind, trial.use.answer) == (TrialKind.NEUROMODULATION, Answer.UNKNOWN)
    assert trial.use.text == "whether it took place is not certain"
    assert (trial.adequate_days, trial.is_running) == (1, True)
    assert trial.duration.answer is Answer.UNKNOWN
    assert trial.exposure.prescriptions[0].days_text == "2026-06-30"


def test_only_what_the_definition_counts_is_a_trial() -> None:
    both = history(procedures=(procedure(THERAPY, "2025-09-01"), procedure(ProcedureKind.ECT, "2025-09-01")))
    for counted, kinds in (
        ({}, {TrialKind.PSYCHOTHERAPY, TrialKind.NEUROMODULATION}),
        ({"psychotherapy_counts": False}, {TrialKind.NEUROMODULATION}),
        ({"neuromodulation_counts": False}, {TrialKind.PSYCHOTHERAPY}),
        ({"neuromodulation_counts": False, "psychotherapy_counts": False}, set()),
    ):
        assert {trial.kind for trial in others(both, **counted)} == kinds
