"""Next steps: the stage of treatment, the options of that stage, and what the record says against each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cards.catalogue import cards_for
from cds_service.errors import TableError
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.conditions import read_conditions
from cds_service.report import assessment_json
from cds_service.respond import assess_history
from cds_service.tables import precautions as precautions_table
from cds_service.tables import treatment_options as options_table
from cds_service.tables.drugs import load_antidepressants
from cds_service.tables.precautions import load_precautions, precautions_in_text
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.treatment_options import load_referrals, load_treatment_options
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import (
    ON_RECORD,
    Assessment,
    JudgedTrial,
    NextStep,
    Verdict,
)
from cds_service.trd.next_steps import Stage, find_next_steps, find_stage
from cds_service.trd.parameters import Rule
from cds_service.trd.precautions import Effect, Record, find_shown
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    Domain,
    DoseSegment,
    Drug,
    History,
    Measurement,
    Prescription,
    Procedure,
    ProcedureKind,
    Reaction,
)
from tests.conftest import examples
from tests.spec.assessments import ON, SUICIDALITY, a_definition, a_trial, an_assessment
from tests.spec.people import diagnosis, history

ESKETAMINE, RTMS, ITBS, ECT = "Esketamine nasal spray", "rTMS", "iTBS (theta burst)", "ECT"
SWITCH, AUGMENT, OPTIMISE = "Switch to another antidepressant", "Augmentation", "Optimise dose or adherence"


def steps_of(person: History, assessment: Assessment, on: date = ON) -> dict[str, NextStep]:
    """The next steps of the real tables, by option."""
    _, steps = find_next_steps(person, assessment, load_treatment_options(), load_precautions(), on)
    return {step.option: step for step in steps}


def texts(step: NextStep) -> str:
    return "\n".join(f"{caution.answer.value} {caution.text}" for caution in step.cautions)


# --- the stage ----------------------------------------------------------------------------------------

TOO_SHORT = a_trial(
    "venlafaxine",
    Answer.NOT_MET,
    days=30,
    is_running=True,
    long_enough_on=ON + timedelta(days=1),
    last_day=ON,
)
TOO_LOW = a_trial("venlafaxine", Answer.NOT_MET, days=0, dose=Answer.NOT_MET, last_day=ON)
FOR_SLEEP = a_trial("trazodone", Answer.NOT_MET, days=0, dose=Answer.NOT_MET, use=Answer.NOT_MET, last_day=ON)
NO_DOSE = a_trial("venlafaxine", Answer.UNKNOWN, dose=Answer.UNKNOWN, last_day=ON)
OPEN = a_trial("venlafaxine", Answer.UNKNOWN)
FAILED = a_trial("sertraline")
FAILED_BEFORE = a_trial("sertraline", last_day=date(2025, 6, 1))
HELPED = a_trial("venlafaxine", Answer.NOT_MET, why="60 % better")
LONG_ENOUGH_TODAY = replace(TOO_SHORT, trial=replace(TOO_SHORT.trial, long_enough_on=ON))
OUT_OF_SCOPE = replace(TOO_LOW, in_scope=Finding("scope", Answer.NOT_MET, "an earlier episode"))


STAGES: list[tuple[str, Assessment, Stage]] = [
    ("met", an_assessment(), Stage.TREATMENT_RESISTANT),
    ("met, another running", an_assessment(trials=(FAILED, HELPED, TOO_LOW)), Stage.TREATMENT_RESISTANT),
    ("met, no depression", an_assessment(concerns_depression=False), Stage.NONE),
    ("excluded", an_assessment(Verdict.EXCLUDED, (2, 2)), Stage.NONE),
    ("indeterminate", an_assessment(Verdict.INDETERMINATE, (1, 2)), Stage.MEASURE_FIRST),
    ("no trial", an_assessment(Verdict.NOT_MET, (0, 0), trials=()), Stage.NONE),
    ("one may have failed", an_assessment(Verdict.NOT_MET, (0, 1), trials=(OPEN,)), Stage.MEASURE_FIRST),
    ("first one too low", an_assessment(Verdict.NOT_MET, (0, 0), trials=(TOO_LOW,)), Stage.OPTIMISE),
    ("first one too short", an_assessment(Verdict.NOT_MET, (0, 0), trials=(TOO_SHORT,)), Stage.OPTIMISE),
    ("long enough today", an_assessment(Verdict.NOT_MET, (0, 0), trials=(LONG_ENOUGH_TODAY,)), Stage.NONE),
    ("not for depression", an_assessment(Verdict.NOT_MET, (0, 0), trials=(FOR_SLEEP,)), Stage.NONE),
    ("of an earlier episode", an_assessment(Verdict.NOT_MET, (0, 0), trials=(OUT_OF_SCOPE,)), Stage.NONE),
    ("dose unknown", an_assessment(Verdict.NOT_MET, (0, 1), trials=(NO_DOSE,)), Stage.MEASURE_FIRST),
    ("one failed", an_assessment(Verdict.NOT_MET, (1, 1), trials=(FAILED,)), Stage.SWITCH_OR_AUGMENT),
    ("one failed, too low", an_assessment(Verdict.NOT_MET, (1, 1), trials=(FAILED, TOO_LOW)), Stage.OPTIMISE),
    ("one failed, next helped", an_assessment(Verdict.NOT_MET, (1, 1), trials=(FAILED_BEFORE, HELPED)), Stage.NONE),
    (
        "one helped, next failed",
        an_assessment(
            Verdict.NOT_MET, (1, 1), trials=(a_trial("x", Answer.NOT_MET, last_day=date(2025, 6, 1)), FAILED)
        ),
        Stage.SWITCH_OR_AUGMENT,
    ),
    (
        "a register counts two, none failed",
        an_assessment(
            Verdict.NOT_MET, (2, 2), definition=a_definition(rule=Rule.TREATMENTS), trials=(HELPED,)
        ),
        Stage.NONE,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("assessment", "stage"), [row[1:] for row in STAGES], ids=[row[0] for row in STAGES])
def test_the_stage(assessment: Assessment, stage: Stage) -> None:
    assert find_stage(assessment) is stage
    name, steps = find_next_steps(history(), assessment, load_treatment_options(), load_precautions(), ON)
    assert name == stage.value
    assert bool(steps) is (stage is not Stage.NONE)


# --- the options of a stage ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assessment", "options"),
    [
        (an_assessment(Verdict.INDETERMINATE, (1, 2)),
         "Depression care management (measurement-based), MGH-ATRQ"),
        (an_assessment(Verdict.NOT_MET, (0, 0), trials=(TOO_LOW,)),
         "Psychiatric follow-up, Depression care management (measurement-based), Optimise dose or adherence"),
        (an_assessment(Verdict.NOT_MET, (1, 1), trials=(FAILED,)),
         "Psychotherapy referral, Switch to another antidepressant, Augmentation"),
        (an_assessment(),
         "Referral to psychiatry service, Psychotherapy referral, ATHF-SF, MGH-ATRQ, Maudsley Staging Method, "
         "MDQ (bipolar screen), Augmentation, Esketamine nasal spray, Ketamine IV, rTMS, iTBS (theta burst), "
         "ECT, DBS (subcallosal cingulate), Psilocybin-assisted therapy, TSH, B12, FBC, glucose check"),
    ],
    ids=["measure first", "optimise", "switch or augment", "treatment-resistant"],
)  # fmt: skip
def test_which_options_belong_to_which_stage(assessment: Assessment, options: str) -> None:
    assert ", ".join(steps_of(history(), assessment)) == options


def test_what_is_research_only_is_told_with_its_level_and_never_shown() -> None:
    steps = steps_of(history(), an_assessment())
    research = [step for step in steps.values() if step.level == "research only"]
    assert [step.option for step in research] == [
        "DBS (subcallosal cingulate)",
        "Psilocybin-assisted therapy",
    ]
    assert not any(step.is_shown for step in research)


def test_what_is_urgent_stays_with_the_safety_card() -> None:
    for _, assessment, _ in STAGES:
        assert "urgent" not in {step.level for step in steps_of(history(), assessment).values()}


@pytest.mark.parametrize(("failed", "is_named"), [(3, False), (4, True), (5, True)])
def test_a_vagus_nerve_stimulator_is_named_from_four_failed_trials_on(failed: int, is_named: bool) -> None:
    assert ("VNS" in steps_of(history(), an_assessment(failed=(failed, failed)))) is is_named


@pytest.mark.parametrize(("age", "is_named"), [(64, False), (65, True), (66, True), (None, False)])
def test_old_age_psychiatry_is_named_late_in_life(age: int | None, is_named: bool) -> None:
    steps = steps_of(history(), an_assessment(age_years=age))
    assert ("Old-age psychiatry referral" in steps) is is_named


# --- what the record says against an option -----------------------------------------------------------


def an_illness(category: str, holds: Answer = Answer.MET, is_current: Answer = Answer.MET) -> History:
    found = replace(diagnosis(DiagnosisRole.CONFOUNDER, category, holds=holds), is_current=is_current)
    return history(diagnoses=(found,))


def mentioned(text: str) -> History:
    """What is read of a Condition that says this in words alone."""
    condition = {"resourceType": "Condition", "id": "1", "code": {"text": text}}
    read = read_conditions([Entry(condition, None, "here")], ON)
    return history(diagnoses=read.diagnoses)


def a_reaction(agent: str, reference: str, holds: Answer = Answer.MET) -> History:
    return history(reactions=(Reaction(agent, agent, None, holds, reference),))


def a_procedure(kind: ProcedureKind, holds: Answer = Answer.MET) -> History:
    return history(procedures=(Procedure(kind, kind.value, None, None, holds, "Procedure/1"),))


def pressure(
    systolic: float, diastolic: float, unit: str = "mm[Hg]", day: date = ON
) -> tuple[Measurement, ...]:
    return (
        a_value("8480-6", systolic, unit, day, "systolic"),
        a_value("8462-4", diastolic, unit, day, "diastolic"),
    )


def a_value(code: str, value: float, unit: str, day: date = ON, name: str = "value") -> Measurement:
    return Measurement(name, Domain.VITAL_SIGN, day, value, unit, f"Observation/{name}-{day}", code=code)


def born(day: str, latest: str = "") -> History:
    first = date.fromisoformat(day)
    return history(born_earliest=first, born_latest=date.fromisoformat(latest) if latest else first)


CAUTIONS: list[tuple[str, History, str, str]] = [
    ("hypersensitivity", a_reaction("esketamine", "AllergyIntolerance/1"), ESKETAMINE, "ruled out"),
    ("suspected", a_reaction("esketamine", "AllergyIntolerance/1", Answer.UNKNOWN), ESKETAMINE, "possible"),
    ("refuted", a_reaction("esketamine", "AllergyIntolerance/1", Answer.NOT_MET), ESKETAMINE, ""),
    ("an adverse event of any kind", a_reaction("esketamine", "AdverseEvent/1"), ESKETAMINE, "possible"),
    ("of another drug", a_reaction("sertraline", "AllergyIntolerance/1"), ESKETAMINE, ""),
    ("substance use", an_illness("substance_use"), ESKETAMINE, "caution"),
    ("past substance use", an_illness("substance_use", is_current=Answer.NOT_MET), ESKETAMINE, "caution"),
    ("suspected substance use", an_illness("substance_use", Answer.UNKNOWN), ESKETAMINE, "possible"),
    ("refuted substance use", an_illness("substance_use", Answer.NOT_MET), ESKETAMINE, ""),
    ("psychosis", an_illness("psychotic_disorder"), ESKETAMINE, "caution"),
    ("psychotic depression", an_illness("psychotic_depression"), ESKETAMINE, "caution"),
    ("aneurysm in words", mentioned("Cerebral aneurysm"), ESKETAMINE, "possible"),
    ("brain haemorrhage in words", mentioned("Old intracerebral hemorrhage"), ESKETAMINE, "possible"),
    ("no aneurysm", mentioned("No aneurysm"), ESKETAMINE, ""),
    ("blood pressure 140/90", history(measurements=pressure(140, 90)), ESKETAMINE, ""),
    ("systolic above", history(measurements=pressure(140.1, 90)), ESKETAMINE, "caution"),
    ("diastolic above", history(measurements=pressure(140, 91)), ESKETAMINE, "caution"),
    ("140/90 in mmHg", history(measurements=pressure(140, 90, "mmHg")), ESKETAMINE, ""),
    ("above in mm Hg", history(measurements=pressure(150, 95, "mm Hg")), ESKETAMINE, "caution"),
    (
        "in words, with a code beside",
        history(measurements=tuple(replace(m, unit_code="mm[Hg]") for m in pressure(130, 80, "mercury mm"))),
        ESKETAMINE,
        "",
    ),
    ("blood pressure in kPa", history(measurements=pressure(18, 12, "kPa")), ESKETAMINE, "possible"),
    ("64 years", born("1961-07-01"), ESKETAMINE, ""),
    ("65 today", born("1961-06-30"), ESKETAMINE, "caution"),
    ("65 this year, day unknown", born("1961-01-01", "1961-12-31"), ESKETAMINE, "possible"),
    ("epilepsy in words", mentioned("Epilepsy"), RTMS, "possible"),
    ("seizures in words", mentioned("History of seizures"), ITBS, "possible"),
    ("family history", mentioned("Family history of epilepsy"), RTMS, ""),
    ("bipolar disorder", an_illness("bipolar"), RTMS, "caution"),
    ("pacemaker in words", mentioned("Cardiac pacemaker in situ"), RTMS, "possible"),
    ("vagus nerve stimulator", a_procedure(ProcedureKind.VNS), RTMS, "caution"),
    ("electrodes in the brain", a_procedure(ProcedureKind.DBS), RTMS, "ruled out"),
    ("perhaps electrodes", a_procedure(ProcedureKind.DBS, Answer.UNKNOWN), RTMS, "possible"),
    ("no electrodes", a_procedure(ProcedureKind.DBS, Answer.NOT_MET), RTMS, ""),
    ("cochlear implant in words", mentioned("Cochlear implant"), ITBS, "possible"),
    ("earlier TMS", a_procedure(ProcedureKind.TMS), RTMS, ""),
    ("epilepsy and esketamine", mentioned("Epilepsy"), ESKETAMINE, ""),
]


@pytest.mark.parametrize(
    ("person", "option", "expected"), [row[1:] for row in CAUTIONS], ids=[row[0] for row in CAUTIONS]
)
def test_what_the_record_shows_against_an_option(person: History, option: str, expected: str) -> None:
    step = steps_of(person, an_assessment())[option]
    answers = {caution.answer for caution in step.cautions if caution.criterion != ON_RECORD}
    found = {
        (): "",
        (Answer.MET,): "ruled out" if step.is_contraindicated else "caution",
        (Answer.UNKNOWN,): "possible",
    }[tuple(answers)]  # type: ignore[index]
    assert found == expected
    assert all(caution.evidence and all(caution.evidence) for caution in step.cautions)


def test_a_caution_says_what_must_hold_what_was_found_and_what_to_do() -> None:
    step = steps_of(history(measurements=pressure(152, 80)), an_assessment())[ESKETAMINE]
    (caution,) = step.cautions
    assert caution.criterion == "caution"
    assert caution.text == (
        "blood pressure above 140/90 before dosing: systolic 152 mm[Hg] on 2026-06-30; ask to control first"
    )
    assert caution.evidence == ("Observation/systolic-2026-06-30",)


def test_the_newest_blood_pressure_decides() -> None:
    yesterday = ON - timedelta(days=1)
    was_high = (*pressure(180, 110, day=yesterday), *pressure(120, 80))
    is_high = (*pressure(120, 80, day=yesterday), *pressure(180, 110))
    lies_ahead = (*pressure(120, 80), *pressure(180, 110, day=ON + timedelta(days=1)))
    twice_today = (*pressure(120, 80), *pressure(180, 80))
    for values, expected in ((was_high, False), (is_high, True), (lies_ahead, False), (twice_today, True)):
        step = steps_of(history(measurements=values), an_assessment())[ESKETAMINE]
        assert bool(step.cautions) is expected


def test_an_option_that_is_ruled_out_is_named_with_the_reason() -> None:
    person = a_reaction("esketamine", "AllergyIntolerance/1")
    step = steps_of(person, an_assessment())[ESKETAMINE]
    assert step.is_contraindicated
    assert [c.evidence for c in step.cautions] == [("AllergyIntolerance/1",)]
    assert texts(step) == "met a reaction to esketamine is on record; do not offer"
    assert steps_of(person, an_assessment())["Ketamine IV"].is_contraindicated


# --- what speaks for an option at once ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "is_acute", "answer"),
    [
        (an_illness("psychotic_depression"), False, Answer.MET),
        (mentioned("Catatonia"), False, Answer.UNKNOWN),
        (history(), True, Answer.UNKNOWN),
        (history(), False, None),
    ],
    ids=["psychotic depression", "catatonia in words", "suicidality in the acute window", "none of these"],
)
@pytest.mark.parametrize("trials", [(TOO_LOW,), (FAILED,)], ids=["optimise", "switch or augment"])
def test_ect_is_pointed_to_at_every_stage_where_its_indication_is_on_record(
    person: History, is_acute: bool, answer: Answer | None, trials: tuple[JudgedTrial, ...]
) -> None:
    assessment = an_assessment(
        Verdict.NOT_MET, (1, 1), trials=trials, safety=SUICIDALITY, suicidality_is_acute=is_acute
    )
    steps = steps_of(person, assessment)
    assert (ECT in steps) is (answer is not None)
    if answer is not None:
        assert steps[ECT].level == "specialist to decide"
        assert [(c.criterion, c.answer) for c in steps[ECT].cautions] == [("indication", answer)]


# --- drugs --------------------------------------------------------------------------------------------


def a_drug(name: str) -> Drug:
    return load_antidepressants()[name].drug


def took(name: str, last_day: date = ON, is_sure: bool = True, first_day: date | None = None) -> Prescription:
    segment = DoseSegment(first_day or last_day - timedelta(days=60), last_day, 20.0, 20.0, is_sure)
    use = Finding("use", Answer.MET, "stated")
    return Prescription(f"MedicationRequest/{name}", a_drug(name), name, (segment,), use)


def running(name: str, max_mg: float = 20.0) -> JudgedTrial:
    judged = a_trial(name, Answer.NOT_MET, days=0, dose=Answer.NOT_MET, max_mg=max_mg, last_day=ON)
    trial = judged.trial
    return replace(judged, trial=replace(trial, exposure=replace(trial.exposure, drug=a_drug(name))))


def one_failed(*trials: JudgedTrial) -> Assessment:
    return an_assessment(Verdict.NOT_MET, (1, 1), trials=(FAILED, *trials))


@pytest.mark.parametrize(
    ("person", "option", "text"),
    [
        (history(diagnoses=(replace(diagnosis(DiagnosisRole.CONFOUNDER, "eating_disorder"), text="Bulimia nervosa"),)),
         SWITCH, "met bupropion (incl. Auvelity): Bulimia nervosa is on record; do not offer"),
        (mentioned("Epilepsy"), AUGMENT, "unknown bupropion (incl. Auvelity): “epilepsy” is mentioned"),
        (mentioned("Liver cirrhosis"), SWITCH, "unknown duloxetine: “cirrhosis” is mentioned"),
        (mentioned("Congestive heart failure"), SWITCH, "unknown phenelzine: “heart failure” is mentioned"),
        (history(measurements=(a_value("98979-8", 29, "mL/min/{1.73_m2}"),)), SWITCH,
         "unknown duloxetine: liver impairment; CrCl below 30: value 29 mL/min"),
    ],
    ids=["bulimia", "epilepsy", "liver", "heart failure", "kidneys"],
)  # fmt: skip
def test_one_of_many_drugs_is_named_and_the_option_stays(person: History, option: str, text: str) -> None:
    step = steps_of(person, one_failed())[option]
    assert not step.is_contraindicated
    assert text in texts(step)


def test_drugs_that_are_not_added_do_not_concern_augmentation() -> None:
    assert steps_of(mentioned("Liver cirrhosis"), one_failed())[AUGMENT].cautions == ()
    after_an_maoi = history(prescriptions=(took("phenelzine", ON - timedelta(days=3)),))
    (caution,) = steps_of(after_an_maoi, one_failed())[AUGMENT].cautions
    assert caution.text.startswith("mirtazapine: at the earliest 14 days after phenelzine")


def test_kidneys_at_the_limit_are_no_caution() -> None:
    person = history(measurements=(a_value("98979-8", 30, "mL/min/{1.73_m2}"),))
    assert steps_of(person, one_failed())[SWITCH].cautions == ()


def test_binge_eating_is_no_bulimia() -> None:
    binge = replace(diagnosis(DiagnosisRole.CONFOUNDER, "eating_disorder"), text="Binge eating disorder")
    assert steps_of(history(diagnoses=(binge,)), one_failed())[SWITCH].cautions == ()


def test_more_of_a_drug_that_is_ruled_out_is_not_pointed_to() -> None:
    bulimia = replace(diagnosis(DiagnosisRole.CONFOUNDER, "eating_disorder"), text="Bulimia nervosa")
    person = history(diagnoses=(bulimia,), prescriptions=(took("bupropion"),))
    step = steps_of(person, one_failed(running("bupropion")))[OPTIMISE]
    assert step.is_contraindicated
    assert texts(step).startswith("met bupropion: ")
    other = steps_of(person, one_failed(running("sertraline")))[OPTIMISE]
    assert (other.is_contraindicated, other.cautions) == (False, ())


@pytest.mark.parametrize(
    ("person", "mg", "is_ruled_out", "answers"),
    [
        (born("1966-06-30"), 20.0, False, []),
        (born("1966-06-29"), 20.0, True, [Answer.MET]),
        (born("1966-06-29"), 19.9, False, [Answer.MET]),
        (born("1966-06-29"), 20.1, True, [Answer.MET]),
        (born("1966-01-01", "1966-12-31"), 20.0, False, [Answer.UNKNOWN]),
        (mentioned("Liver disease"), 20.0, False, [Answer.UNKNOWN]),
        (history(born_earliest=None, born_latest=None), 20.0, False, []),
    ],
    ids=["60 today", "60 and a day", "below the ceiling", "above", "day of birth unknown", "liver", "no age"],
)
def test_citalopram_at_its_ceiling_late_in_life_is_not_to_be_optimised(
    person: History, mg: float, is_ruled_out: bool, answers: list[Answer]
) -> None:
    step = steps_of(person, one_failed(running("citalopram", mg)))[OPTIMISE]
    assert step.is_contraindicated is is_ruled_out
    assert [c.answer for c in step.cautions if c.criterion == "ceiling"] == answers


def test_the_ceiling_of_one_drug_is_none_of_another() -> None:
    step = steps_of(born("1940-01-01"), one_failed(running("sertraline")))[OPTIMISE]
    assert step.cautions == ()


# --- washout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days_ago", "is_told"), [(0, True), (13, True), (14, True), (15, False)])
def test_after_an_maoi_other_drugs_wait(days_ago: int, is_told: bool) -> None:
    person = history(prescriptions=(took("phenelzine", ON - timedelta(days=days_ago)),))
    found = [c for c in steps_of(person, one_failed())[SWITCH].cautions if c.criterion == "washout"]
    assert bool(found) is is_told
    if is_told:
        (caution,) = found
        assert caution.text.startswith("sertraline, mirtazapine, vilazodone, ")
        assert "fluoxetine" not in caution.text
        assert "at the earliest 14 days after phenelzine" in caution.text
        assert caution.evidence == ("MedicationRequest/phenelzine",)


@pytest.mark.parametrize(
    ("name", "days"), [("fluoxetine", 35), ("vortioxetine", 21), ("desvenlafaxine", 7), ("duloxetine", 5)]
)
def test_before_an_maoi_again_each_drug_has_its_own_washout(name: str, days: int) -> None:
    long_ago = took("tranylcypromine", date(2025, 1, 1))
    for days_ago, is_told in ((days - 1, True), (days, True), (days + 1, False)):
        person = history(prescriptions=(long_ago, took(name, ON - timedelta(days=days_ago))))
        text = texts(steps_of(person, one_failed())[SWITCH])
        assert (f"{name}: an MAOI at the earliest {days} days after {name}" in text) is is_told


def test_no_washout_is_told_where_no_maoi_is_on_record() -> None:
    for name in ("fluoxetine", "moclobemide"):
        person = history(prescriptions=(took(name, ON - timedelta(days=1)),))
        assert steps_of(person, one_failed())[SWITCH].cautions == ()


def test_a_washout_from_days_that_are_not_certain_is_possible() -> None:
    person = history(prescriptions=(took("phenelzine", ON - timedelta(days=3), is_sure=False),))
    (caution,) = steps_of(person, one_failed())[SWITCH].cautions
    assert caution.answer is Answer.UNKNOWN
    assert "perhaps taken until 2026-06-27" in caution.text


def test_an_order_that_lies_ahead_or_is_denied_is_not_taken() -> None:
    ahead = took("phenelzine", ON + timedelta(days=60), first_day=ON + timedelta(days=1))
    denied = replace(took("phenelzine"), is_denial=True)
    unknown = replace(took("phenelzine"), drug=None)
    for order in (ahead, denied, unknown):
        assert steps_of(history(prescriptions=(order,)), one_failed())[SWITCH].cautions == ()


# --- given already ------------------------------------------------------------------------------------


def session(
    day: date | None,
    number: int = 1,
    kind: ProcedureKind = ProcedureKind.ECT,
    holds: Answer = Answer.MET,
    last_day: date | None = None,
) -> Procedure:
    return Procedure(kind, kind.value, day, last_day or day, holds, f"Procedure/{number}")


MARCH, LATER = date(2025, 3, 1), date(2025, 3, 8)
GIVEN = [
    ("two sessions", (session(LATER), session(MARCH, 2)), "met 2 sessions 2025-03-01 to 2025-03-08"),
    ("one session", (session(MARCH),), "met 1 session 2025-03-01"),
    ("a course", (session(MARCH, last_day=LATER),), "met 1 record 2025-03-01 to 2025-03-08"),
    ("no day", (session(None),), "met 1 record, day not recorded"),
    ("one without a day", (session(MARCH), session(None, 2)), "met 2 records 2025-03-01, 1 without a day"),
    ("in doubt", (session(MARCH, holds=Answer.UNKNOWN),), "unknown 1 session 2025-03-01"),
    ("one of two in doubt", (session(MARCH, holds=Answer.UNKNOWN), session(LATER, 2)), "met 2 sessions"),
    ("today", (session(ON),), f"met 1 session {ON}"),
    ("a course going on", (session(MARCH, last_day=ON + timedelta(days=9)),), f"met 1 record 2025-03-01 to {ON}"),
    ("tomorrow", (session(ON + timedelta(days=1)),), ""),
    ("not done", (session(MARCH, holds=Answer.NOT_MET),), ""),
    ("of another kind", (session(MARCH, kind=ProcedureKind.TMS),), ""),
]  # fmt: skip


@pytest.mark.parametrize(("procedures", "told"), [row[1:] for row in GIVEN], ids=[row[0] for row in GIVEN])
def test_an_option_that_was_given_already_says_so(procedures: tuple[Procedure, ...], told: str) -> None:
    step = steps_of(history(procedures=procedures), an_assessment())[ECT]
    found = [caution for caution in step.cautions if caution.criterion == ON_RECORD]
    assert [f"{caution.answer.value} {caution.text}"[: len(told)] for caution in found] == [told] * bool(told)
    assert not step.is_contraindicated
    for caution in found:
        assert set(caution.evidence) == {procedure.reference for procedure in procedures}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ProcedureKind.TMS, {RTMS, ITBS}),
        (ProcedureKind.ECT, {ECT}),
        (ProcedureKind.PSYCHOTHERAPY, {"Psychotherapy referral"}),
        (ProcedureKind.DBS, {"DBS (subcallosal cingulate)"}),
        (ProcedureKind.LIGHT_THERAPY, set()),
    ],
)
def test_each_kind_of_procedure_belongs_to_its_options(kind: ProcedureKind, options: set[str]) -> None:
    steps = steps_of(history(procedures=(session(MARCH, kind=kind),)), an_assessment())
    assert {
        name for name, step in steps.items() if any(c.criterion == ON_RECORD for c in step.cautions)
    } == options


@pytest.mark.parametrize(("holds", "word"), [(Answer.MET, "already"), (Answer.UNKNOWN, "perhaps")])
def test_what_was_given_already_stands_behind_the_option_on_the_card(holds: Answer, word: str) -> None:
    found = an_assessment()
    steps = steps_of(history(procedures=(session(MARCH, holds=holds),)), found)
    found = replace(found, next_steps=tuple(steps.values()))
    (card,) = cards_for(found)
    assert f"ECT ({word} on record: 1 session 2025-03-01 (Procedure/1))" in card.detail
    assert "aution, ECT" not in card.detail
    (ect,) = [step for step in assessment_json(found)["nextSteps"] if step["option"] == ECT]
    assert {"about": "on record", "text": "1 session 2025-03-01", "evidence": ["Procedure/1"]} in ect[
        "cautions"
    ]


@pytest.mark.parametrize("maoi", ["phenelzine", "moclobemide"])
def test_an_ssri_beside_an_maoi_is_not_to_be_raised(maoi: str) -> None:
    person = history(prescriptions=(took("sertraline"), took(maoi)))
    step = steps_of(person, one_failed(running("sertraline")))[OPTIMISE]
    assert step.is_contraindicated
    (contraindication,) = [c for c in step.cautions if c.criterion == "contraindication"]
    assert contraindication.text.startswith(f"sertraline: {maoi} is being taken")
    assert contraindication.evidence == (f"MedicationRequest/{maoi}",)
    over = history(prescriptions=(took("sertraline"), took(maoi, ON - timedelta(days=1))))
    assert not steps_of(over, one_failed(running("sertraline")))[OPTIMISE].is_contraindicated


# --- words of a diagnosis -----------------------------------------------------------------------------


def test_a_code_that_is_known_keeps_its_meaning_beside_the_words() -> None:
    code = {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F32.2"}],
        "text": "Severe depression after aneurysm clip",
    }
    read = read_conditions([Entry({"resourceType": "Condition", "id": "1", "code": code}, None, "here")], ON)
    assert [(d.role, d.holds) for d in read.diagnoses] == [
        (DiagnosisRole.DEPRESSION, Answer.MET),
        (DiagnosisRole.PRECAUTION, Answer.UNKNOWN),
        (DiagnosisRole.PRECAUTION, Answer.UNKNOWN),
    ]
    assert {d.category for d in read.diagnoses[1:]} == {"precaution metal in the head", "precaution aneurysm"}


def test_words_alone_change_no_verdict() -> None:
    plain = history("""
        drug        | first_day  | last_day   | mg_per_day
        sertraline  | 2025-09-01 | 2025-11-24 | 100
    """)  # fmt: skip
    words = mentioned("Epilepsy, pacemaker and liver disease").diagnoses
    more = replace(plain, diagnoses=(*plain.diagnoses, *words))
    one, other = (assess_history(person, a_definition(), ON) for person in (plain, more))
    assert len(words) == 3
    assert (one.verdict, one.reasons, one.trials) == (other.verdict, other.reasons, other.trials)


@pytest.mark.parametrize(
    ("text", "categories"),
    [
        ("Epilepsy", {"precaution epilepsy"}),
        ("SEIZURE disorder with cirrhosis", {"precaution epilepsy", "precaution liver disease"}),
        ("risk of seizure", set()),
        ("hypertension", set()),
        ("", set()),
    ],
)
def test_words_that_ask_for_care(text: str, categories: set[str]) -> None:
    found = precautions_in_text(text)
    assert {meaning.category for meaning in found} == categories
    assert all(meaning.certainty is Answer.UNKNOWN for meaning in found)


# --- the tables ---------------------------------------------------------------------------------------


def test_every_row_that_is_shown_rests_on_a_source_that_was_read() -> None:
    for row in read_rows(options_table.TABLE, options_table.COLUMNS):
        if row.text("on_card") != "data":
            seen = " ".join(
                row.cells[column] for column in ("evidence_source", "snomed_source", "regulatory_status")
            )
            assert any(word in seen for word in ("seen", "read", "V26", "VSAC", "scales.csv", "seed (")), (
                row.cells
            )
    for precaution in load_precautions():
        assert "read" in precaution.source


def test_nothing_recalled_reaches_an_option() -> None:
    for option in load_treatment_options():
        assert "recalled" not in f"{option}"
    rows = {row.text("option"): row for row in read_rows(options_table.TABLE, options_table.COLUMNS)}
    assert rows[ECT].text("snomed_code") == ""
    assert "recalled, unverified" in rows[ECT].text("recalled")
    assert "2018" not in rows[ITBS].text("label") + rows[ITBS].text("regulatory_status")


def test_every_option_that_a_precaution_names_is_one() -> None:
    names = {option.name for option in load_treatment_options()}
    agents = {row.drug.agent for row in load_antidepressants().values()}
    classes = {f"class:{row.drug.drug_class}" for row in load_antidepressants().values()}
    for precaution in load_precautions():
        assert set(precaution.options) <= names
        assert set(precaution.agents) <= agents | classes


def test_the_codes_of_requests_are_told_once_with_their_source() -> None:
    assert load_referrals()["http://snomed.info/sct", "183524004"].display.startswith(
        "Referral to psychiatry"
    )
    assert all(request.source for request in load_referrals().values())


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("rule", "never"), ("then", ""), ("source", ""), ("source", "recalled, unverified"), ("choice", ""),
        ("options", ""), ("agents", "sertraline"), ("shows", ""), ("shows", "category"), ("shows", "moon=full"),
        ("shows", "above=8480-6"), ("shows", "age_from=old"), ("shows", "procedure=surgery"),
        ("shows", "category=precaution moonlight"), ("ceiling_mg", "20"), ("days_after_maoi", "soon"),
    ],
)  # fmt: skip
def test_a_wrong_precaution_is_refused_with_its_column(
    column: str, cell: str, one_row: Callable[..., None]
) -> None:
    one_row(precautions_table, precautions_table.TABLE, precautions_table.COLUMNS, column, cell)
    load = load_precautions.__wrapped__
    with pytest.raises(TableError, match=r"precautions\.csv:2: column "):
        load()


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("option", ""), ("kind", ""), ("label", ""), ("label", "x (recalled, unverified)"), ("stages", "later"),
        ("on_card", "yes"), ("on_card", "link"), ("url", "https://example.org"), ("link_label", "words"),
        ("card_wording_level", "must"), ("card_wording_level", "research only"), ("drugs", "all"),
        ("on_record_as", "surgery"),
        ("from_failed_trials", "many"), ("snomed_code", "1"), ("snomed_display", "another"), ("choice", ""),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_with_its_column(
    column: str, cell: str, one_row: Callable[..., None]
) -> None:
    one_row(options_table, options_table.TABLE, options_table.COLUMNS, column, cell)
    with pytest.raises(TableError, match=r"treatment_options\.csv:2: column "):
        load_treatment_options.__wrapped__()


@pytest.fixture
def one_row(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leaves a table with its first row alone, and that with one cell changed."""

    def change(module: Any, table: str, columns: Any, column: str, cell: str) -> None:
        first = next(iter(read_rows(table, columns)))
        changed = Row(table, first.line, {**first.cells, column: cell})
        real = module.read_rows
        monkeypatch.setattr(
            module, "read_rows", lambda name, wanted: [changed] if name == table else real(name, wanted)
        )

    return change


# --- whatever the record holds ------------------------------------------------------------------------


@settings(max_examples=examples(60), deadline=None)
@given(
    text=st.text(max_size=40),
    value=st.floats(),
    day=st.dates(),
    on=st.dates(),
    born_on=st.none() | st.dates(),
    answer=st.sampled_from(Answer),
    kind=st.sampled_from(ProcedureKind),
)
def test_any_history_has_next_steps(
    text: str, value: float, day: date, on: date, born_on: date | None, answer: Answer, kind: ProcedureKind
) -> None:
    person = history(
        diagnoses=(Diagnosis(DiagnosisRole.PRECAUTION, text, text, answer, day, day, text, answer),),
        measurements=(a_value("8480-6", value, text, day), a_value("8462-4", value, "mm[Hg]", day)),
        reactions=(Reaction("esketamine", text, day, answer, text),),
        procedures=(Procedure(kind, text, day, None, answer, text),),
        prescriptions=(
            took("phenelzine", max(day, date(1, 6, 1))),
            took("fluoxetine", max(day, date(1, 6, 1))),
        ),
        born_earliest=born_on,
        born_latest=born_on,
    )
    for verdict in Verdict:
        assessment = an_assessment(verdict, (1, 2), on=on)
        steps = steps_of(person, assessment, on)
        for step in steps.values():
            assert not step.is_contraindicated or step.cautions
    shown = find_shown(load_precautions(), Record(person, on))
    assert all(each.finding.answer is not Answer.NOT_MET for each in shown)
    assert {each.precaution.effect for each in shown} <= set(Effect)
