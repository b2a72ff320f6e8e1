"""Treatments beyond single antidepressants that a definition counts as trials of their own.

An augmentation or combination is a trial of the days on which both were at an adequate dose; a course of sessions
one from the first to the last recorded. Each has an agent and a class of its own, so that it is told apart from the
antidepressants in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from itertools import combinations

from cds_service.trd.answers import Answer, Finding, all_of
from cds_service.trd.beside import (
    Side,
    Together,
    add_on_sides,
    judge_add_on,
    sides_of,
    together,
)
from cds_service.trd.companions import KINDS, judge_combination
from cds_service.trd.courses import Course, courses_of, undated
from cds_service.trd.days import days_between, shifted
from cds_service.trd.model import (
    CompanionKind,
    Exposure,
    Trial,
    TrialKind,
)
from cds_service.trd.parameters import Definition
from cds_service.trd.precautions import Precaution
from cds_service.trd.record import (
    DoseSegment,
    Drug,
    History,
    Prescription,
    Source,
    StopReason,
)

NOT_A_DRUG = Finding("dose", Answer.MET, "no dose applies")
ADHERENCE_NOT_TOLD = Finding("adherence", Answer.UNKNOWN, "no dispensing tells of both together")


def find_other_trials(
    trials: Sequence[Trial],
    history: History,
    definition: Definition,
    on: date,
    precautions: Sequence[Precaution] = (),
) -> tuple[Trial, ...]:
    """What the definition counts beside the `trials` of antidepressants; nothing that surely is too little.

    `precautions` tell which antidepressants are never to be combined: these are no trial together.
    """
    found: list[Trial] = []
    bases: list[Side] = []
    if definition.augmentation_counts or definition.combination_counts:
        bases = [side for side in sides_of(trials) if side.trial.is_adequate is not Answer.NOT_MET]
    if definition.augmentation_counts:
        found += _augmentations(bases, add_on_sides(history, definition, on), definition, on)
    if definition.combination_counts:
        found += _combinations(bases, definition, on, precautions)
    counted = {
        CompanionKind.NEUROMODULATION: definition.neuromodulation_counts,
        CompanionKind.PSYCHOTHERAPY: definition.psychotherapy_counts,
    }
    if history.procedures and any(counted.values()):
        courses = [*courses_of(history, definition), *undated(history)]
        kept = [course for course in courses if course.kind in KINDS and counted[KINDS[course.kind]]]
        found += [_of_course(course, definition, on) for course in kept]
    return tuple(found)


def _augmentations(
    bases: Iterable[Side], add_ons: Sequence[Side], definition: Definition, on: date
) -> Iterable[Trial]:
    for base in bases:
        for add_on in add_ons:
            of_both = together(add_on, base, definition.max_gap_days)
            adequate = judge_add_on(add_on, base, of_both) if of_both.possible.days else None
            if adequate and adequate.answer is not Answer.NOT_MET:
                yield _of_both(TrialKind.AUGMENTATION, add_on, base, of_both, adequate, on)


def _combinations(
    bases: Sequence[Side], definition: Definition, on: date, precautions: Sequence[Precaution]
) -> Iterable[Trial]:
    for one, other in combinations(bases, 2):
        of_both = together(one, other, definition.max_gap_days)
        if one.trial.agent == other.trial.agent or not of_both.possible.days:
            continue
        kind, adequate, _ = judge_combination(one, other, definition, on, precautions)
        if kind is CompanionKind.COMBINATION and adequate.answer is not Answer.NOT_MET:
            first, second = sorted((one, other), key=lambda side: side.trial.agent)
            yield _of_both(TrialKind.COMBINATION, first, second, of_both, adequate, on)


def _of_both(kind: TrialKind, one: Side, base: Side, of_both: Together, adequate: Finding, on: date) -> Trial:
    """The trial of two drugs together, on the days that are certain, or else all that are possible."""
    certain, possible = of_both.certain, of_both.possible
    shown = certain if adequate.answer is Answer.MET else possible
    assert shown.first_day is not None  # only called where a day is possible
    assert shown.last_day is not None
    first, second = one.trial, base.trial
    parts = (second,) if kind is TrialKind.AUGMENTATION else (first, second)
    answer = all_of((adequate.answer, *(trial.is_adequate for trial in parts)))
    duration = replace(adequate, criterion="duration", answer=answer)
    return Trial(
        exposure=_exposure(first, second, shown.first_day, shown.last_day),
        first_day=shown.first_day,
        last_day=shown.last_day,
        adequate_days=shown.days,
        minimum_mg=first.minimum_mg if kind is TrialKind.AUGMENTATION else None,
        max_mg=first.max_mg if kind is TrialKind.AUGMENTATION else None,
        dose=Finding("dose", Answer.MET, "judged with the days together", adequate.evidence),
        duration=duration,
        use=_use(first, second),
        adherence=ADHERENCE_NOT_TOLD,
        stop_reason=_stop_reason(one, base),
        is_running=possible.last_day is not None and possible.last_day >= on,
        possible_first_day=possible.first_day,
        possible_last_day=possible.last_day,
        kind=kind,
    )


def _exposure(first: Trial, second: Trial, first_day: date, last_day: date) -> Exposure:
    orders = tuple(
        order
        for order in (*first.exposure.prescriptions, *second.exposure.prescriptions)
        if any(s.first_day <= last_day and s.last_day >= first_day for s in order.segments)
    )
    name = f"{first.name} + {second.name}"
    drug = Drug(
        ingredient=name,
        agent=f"{first.agent} + {second.agent}",
        rxcui=None,
        drug_class=" + ".join(sorted(_class(trial) for trial in (first, second))),
        mechanism=" + ".join(sorted(_mechanism(trial) for trial in (first, second))),
    )
    return Exposure(drug, name, (DoseSegment(first_day, last_day, None, None),), orders)


def _class(trial: Trial) -> str:
    return trial.drug.drug_class if trial.drug else trial.agent


def _mechanism(trial: Trial) -> str:
    return trial.drug.mechanism if trial.drug else trial.agent


def _use(first: Trial, second: Trial) -> Finding:
    answer = all_of((first.use.answer, second.use.answer))
    deciding = next(use for use in (first.use, second.use) if use.answer is answer)
    return replace(deciding, evidence=tuple(dict.fromkeys((*first.use.evidence, *second.use.evidence))))


def _stop_reason(one: Side, base: Side) -> StopReason:
    """Why the one that ended first was stopped: that ended it."""
    if one.last_day == base.last_day and one.trial.stop_reason is not base.trial.stop_reason:
        given = {one.trial.stop_reason, base.trial.stop_reason} - {StopReason.NONE_GIVEN}
        return given.pop() if len(given) == 1 else StopReason.OTHER
    return min((one, base), key=lambda side: side.last_day).trial.stop_reason


# --- courses of sessions ----------------------------------------------------------------------------------


def _of_course(course: Course, definition: Definition, on: date) -> Trial:
    is_psychotherapy = KINDS[course.kind] is CompanionKind.PSYCHOTHERAPY
    kind = TrialKind.PSYCHOTHERAPY if is_psychotherapy else TrialKind.NEUROMODULATION
    first_day, last_day = (course.first_day, course.last_day) if course.days else (None, None)
    duration = _length_of(course, definition) if is_psychotherapy else Finding(
        "duration", Answer.UNKNOWN, course.text, course.evidence
    )  # fmt: skip
    use = Finding("use", course.holds, _USE[course.holds], course.evidence)
    return Trial(
        exposure=_exposure_of_course(course, use, definition, on),
        first_day=first_day,
        last_day=last_day,
        adequate_days=days_between(first_day, last_day) if first_day and last_day else 0,
        minimum_mg=None,
        max_mg=None,
        dose=replace(NOT_A_DRUG, evidence=course.evidence),
        duration=duration,
        use=use,
        adherence=replace(ADHERENCE_NOT_TOLD, text="no dispensing applies"),
        stop_reason=StopReason.NONE_GIVEN,
        is_running=last_day is not None and last_day >= on,
        possible_first_day=first_day,
        possible_last_day=last_day,
        kind=kind,
    )


_USE = {
    Answer.MET: "recorded as performed",
    Answer.UNKNOWN: "whether it took place is not certain",
    Answer.NOT_MET: "it did not take place",
}


def _length_of(course: Course, definition: Definition) -> Finding:
    """Psychotherapy for as long as a trial needs, by its recorded days. Sessions may have gone unrecorded."""
    needed = definition.minimum_days
    if not course.days:
        return Finding("duration", Answer.UNKNOWN, "its days are not recorded", course.evidence)
    days = days_between(course.first_day, course.last_day)
    text = f"{days} days from first to last record, {needed} needed"
    if days >= needed:
        return Finding("duration", Answer.MET, text, course.evidence)
    return Finding("duration", Answer.UNKNOWN, f"{text}; more may have gone unrecorded", course.evidence)


def _exposure_of_course(course: Course, use: Finding, definition: Definition, on: date) -> Exposure:
    """An exposure without a dose. A course of which no day is recorded may have been on any that counts."""
    name = course.kind.value
    days = course.days or ((shifted(on, -definition.lookback_days), on),)
    segments = tuple(
        DoseSegment(first_day, last_day, None, None, days_certain=bool(course.days))
        for first_day, last_day in days
    )
    drug = Drug(ingredient=name, agent=name, rxcui=None, drug_class=name, mechanism=name)
    records = tuple(
        Prescription(
            reference=procedure.reference,
            drug=drug,
            name=procedure.text or name,
            segments=segments,
            treats_depression=use,
            days_text=_days_text(procedure.first_day, procedure.last_day),
            source=Source.PERFORMED,
        )
        for procedure in course.procedures
    )
    return Exposure(drug, name, segments, records)


def _days_text(first_day: date | None, last_day: date | None) -> str:
    days = [day.isoformat() for day in dict.fromkeys((first_day, last_day)) if day]
    return " to ".join(days) or "no day is recorded"
