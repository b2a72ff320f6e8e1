"""What guidance knows to do at this stage, with the cautions that the record shows. Informs; orders nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from cds_service.trd.answers import Answer, Finding, all_of, any_of
from cds_service.trd.model import (
    ON_RECORD,
    Assessment,
    JudgedTrial,
    NextStep,
    Verdict,
)
from cds_service.trd.precautions import Effect, Precaution, Record, Shown, find_shown
from cds_service.trd.record import History, Procedure, ProcedureKind


class Stage(Enum):
    """Where treatment stands; the words of the column `stages` in `tables/treatment_options.csv`."""

    NONE = ""
    MEASURE_FIRST = "measure first"  # the record does not allow a decision yet
    OPTIMISE = "optimise"  # a trial is running: too short so far, or at too low a dose
    SWITCH_OR_AUGMENT = "switch or augment"  # an adequate trial failed, and no other is running
    TREATMENT_RESISTANT = "treatment-resistant"  # the definition is met
    SAFETY = "safety"  # never a next step: these options are those of the safety card


ANY_DRUG = "any"
RUNNING_DRUGS = "running"


@dataclass(frozen=True)
class TreatmentOption:
    """One row of `tables/treatment_options.csv`.

    `label` is how a card calls it, `link_label` and `url` are its link. `is_shown` is False for what only the
    assessment tells (research, options without a read source). It is due from `from_failed_trials` failed
    trials and `from_age_years` whole years on; 0 asks for none. `drugs` are those it could be about, whose
    precautions concern it: `ANY_DRUG`, `RUNNING_DRUGS` (those being taken), or agents and classes as in
    `Precaution.agents`. `on_record_as` is the kind of Procedure that tells it was given already.
    """

    name: str
    kind: str
    level: str
    stages: tuple[Stage, ...]
    label: str
    link_label: str = ""
    url: str = ""
    is_shown: bool = True
    drugs: tuple[str, ...] = ()
    from_failed_trials: int = 0
    from_age_years: int = 0
    on_record_as: ProcedureKind | None = None


def find_next_steps(
    history: History,
    assessment: Assessment,
    options: Sequence[TreatmentOption],
    precautions: Sequence[Precaution],
    on: date,
) -> tuple[str, tuple[NextStep, ...]]:
    """The stage of treatment, and its options in the order of the table. Total: any history has one.

    An option that speaks for itself at once (ECT in psychotic depression) is named at every stage.
    """
    stage = find_stage(assessment)
    if stage is Stage.NONE:
        return "", ()
    shown = find_shown(precautions, Record(history, on, _acute_suicidality(assessment)))
    running = _running_antidepressants(assessment, on)
    indicated = _indicated(shown)
    steps = [
        _next_step(option, (*_concerning(option, shown, running), *_on_record(option, history, on)))
        for option in options
        if option.name in indicated or _is_due(option, stage, assessment)
    ]
    return stage.value, tuple(steps)


# --- the stage ----------------------------------------------------------------------------------------


def find_stage(assessment: Assessment) -> Stage:
    """Where treatment stands. None where the criteria do not apply, nothing failed, or the last trial helped."""
    if not assessment.concerns_depression or assessment.verdict is Verdict.EXCLUDED:
        return Stage.NONE
    if assessment.verdict is Verdict.MET:
        return Stage.TREATMENT_RESISTANT
    if assessment.verdict is Verdict.INDETERMINATE:
        return Stage.MEASURE_FIRST
    if any(_is_to_be_optimised(judged, assessment) for judged in assessment.trials):
        return Stage.OPTIMISE
    failed = assessment.certainly_failed
    if failed == 0 and any(judged.failed.answer is Answer.UNKNOWN for judged in assessment.trials):
        return Stage.MEASURE_FIRST
    return Stage.SWITCH_OR_AUGMENT if failed and not _last_trial_helped(assessment) else Stage.NONE


def _is_to_be_optimised(judged: JudgedTrial, assessment: Assessment) -> bool:
    """Running, meant for depression, and too short so far or below the adequate dose."""
    trial = judged.trial
    if all_of((trial.use.answer, judged.in_scope.answer)) is Answer.NOT_MET:
        return False
    if not _is_running(judged, assessment.on):
        return False
    is_too_short = trial.long_enough_on is not None and trial.long_enough_on > assessment.on
    return trial.dose.answer is Answer.NOT_MET or (trial.dose.answer is Answer.MET and is_too_short)


def _is_running(judged: JudgedTrial, on: date) -> bool:
    return judged.trial.is_running or judged.trial.exposure.last_day >= on


def _last_trial_helped(assessment: Assessment) -> bool:
    """Whether the adequate trial that began last is known to have had a response."""
    adequate = [j for j in assessment.trials if j.trial.is_adequate is Answer.MET and j.trial.first_day]
    last = max(adequate, key=lambda judged: judged.trial.first_day or date.min, default=None)
    return last is not None and last.outcome.insufficient.answer is Answer.NOT_MET


# --- the options --------------------------------------------------------------------------------------


def _indicated(shown: Sequence[Shown]) -> set[str]:
    """The options that speak for themselves at once."""
    speaking = (each.precaution for each in shown if each.precaution.effect is Effect.INDICATION)
    return {option for precaution in speaking for option in precaution.options}


def _is_due(option: TreatmentOption, stage: Stage, assessment: Assessment) -> bool:
    if stage not in option.stages:
        return False
    if option.from_age_years and (assessment.age_years or 0) < option.from_age_years:
        return False
    return assessment.certainly_failed >= option.from_failed_trials


def _concerning(
    option: TreatmentOption, shown: Sequence[Shown], running: Sequence[JudgedTrial]
) -> Iterator[tuple[Finding, bool]]:
    """What concerns the option, and whether it rules it out."""
    for each in shown:
        precaution, finding = each.precaution, each.finding
        is_certain = finding.answer is Answer.MET
        if option.name in precaution.options:
            yield finding, is_certain and precaution.effect is Effect.CONTRAINDICATION
        elif _could_be_about(option, precaution):
            # One drug of several: it is named, and the option stays.
            yield _named(precaution.subject, finding), False
        elif RUNNING_DRUGS in option.drugs:
            yield from _of_running(precaution, finding, running)


def _on_record(option: TreatmentOption, history: History, on: date) -> Iterator[tuple[Finding, bool]]:
    """The sessions of it that are recorded, up to today: it was tried, and is no new idea."""
    given = [
        procedure
        for procedure in history.procedures
        if procedure.kind is option.on_record_as
        and procedure.holds is not Answer.NOT_MET
        and (procedure.days is None or procedure.days[0] <= on)
    ]
    if given:
        evidence = tuple(dict.fromkeys(procedure.reference for procedure in given))
        answer = any_of(procedure.holds for procedure in given)
        yield Finding(ON_RECORD, answer, _sessions(given, on), evidence), False


def _sessions(given: Sequence[Procedure], on: date) -> str:
    """`2 sessions 2025-03-01 to 2025-03-08`; "records" where one is of more than a day, or of none."""
    dated = [procedure.days for procedure in given if procedure.days]
    are_sessions = len(dated) == len(given) and all(first_day == last_day for first_day, last_day in dated)
    number, noun = len(given), "session" if are_sessions else "record"
    text = f"{number} {noun}" if number == 1 else f"{number} {noun}s"
    if not dated:
        return f"{text}, day not recorded"
    first_day, last_day = min(first for first, _ in dated), min(max(last for _, last in dated), on)
    text += f" {first_day}" if first_day == last_day else f" {first_day} to {last_day}"
    return text if len(dated) == len(given) else f"{text}, {len(given) - len(dated)} without a day"


def _could_be_about(option: TreatmentOption, precaution: Precaution) -> bool:
    """Whether one of the drugs of the option is one of the precaution's. A ceiling is one of doses being taken."""
    if not precaution.agents or precaution.effect is Effect.CEILING:
        return False
    return ANY_DRUG in option.drugs or not set(option.drugs).isdisjoint(precaution.agents)


def _of_running(
    precaution: Precaution, finding: Finding, running: Sequence[JudgedTrial]
) -> Iterator[tuple[Finding, bool]]:
    for judged in running:
        drug, dose = judged.trial.drug, judged.trial.max_mg
        if drug is None or not precaution.is_about(drug):
            continue
        if precaution.effect is Effect.CEILING:
            is_reached = dose is not None and dose >= (precaution.ceiling_mg or 0)
            yield _named(drug.ingredient, finding), is_reached and finding.answer is Answer.MET
        else:
            is_ruled_out = precaution.effect is Effect.CONTRAINDICATION and finding.answer is Answer.MET
            yield _named(drug.ingredient, finding), is_ruled_out


def _named(drug: str, finding: Finding) -> Finding:
    return replace(finding, text=f"{drug}: {finding.text}")


def _next_step(option: TreatmentOption, concerning: Sequence[tuple[Finding, bool]]) -> NextStep:
    return NextStep(
        option=option.name,
        kind=option.kind,
        level=option.level,
        cautions=_merged([finding for finding, _ in concerning]),
        is_contraindicated=any(rules_out for _, rules_out in concerning),
        label=option.label,
        link_label=option.link_label,
        url=option.url,
        is_shown=option.is_shown,
    )


def _merged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Drugs with the same caution in one finding: `sertraline, duloxetine: at the earliest 14 days after …`."""
    subjects: dict[Finding, list[str]] = {}
    for finding in findings:
        subject, colon, rest = finding.text.partition(": ")
        if finding.criterion == Effect.WASHOUT.value and colon:
            subjects.setdefault(replace(finding, text=rest), []).append(subject)
        else:
            subjects.setdefault(finding, [])
    return tuple(
        replace(finding, text=f"{', '.join(dict.fromkeys(names))}: {finding.text}") if names else finding
        for finding, names in subjects.items()
    )


def _running_antidepressants(assessment: Assessment, on: date) -> tuple[JudgedTrial, ...]:
    return tuple(judged for judged in assessment.trials if _is_running(judged, on))


def _acute_suicidality(assessment: Assessment) -> Finding | None:
    return assessment.safety if assessment.suicidality_is_acute else None
