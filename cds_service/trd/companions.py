"""What went on beside a trial: augmentation, combination or cross-taper, neuromodulation, psychotherapy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.beside import (
    Side,
    add_on_sides,
    judge_add_on,
    judge_length,
    sides_of,
    together,
    was_added,
)
from cds_service.trd.courses import Course, courses_of, undated
from cds_service.trd.maoi import pair_of
from cds_service.trd.model import (
    Companion,
    CompanionKind,
    Exposure,
    Trial,
    TrialKind,
)
from cds_service.trd.overlap import days_in, in_both
from cds_service.trd.parameters import Definition
from cds_service.trd.precautions import Precaution
from cds_service.trd.record import History, ProcedureKind

KINDS = {
    ProcedureKind.ECT: CompanionKind.NEUROMODULATION,
    ProcedureKind.TMS: CompanionKind.NEUROMODULATION,
    ProcedureKind.VNS: CompanionKind.NEUROMODULATION,
    ProcedureKind.DBS: CompanionKind.NEUROMODULATION,
    ProcedureKind.PSYCHOTHERAPY: CompanionKind.PSYCHOTHERAPY,
}

CONTRAINDICATED = "contraindicated combination"
"""The criterion of a pair that is never counted, however long it was taken."""


def find_companions(
    trials: Sequence[Trial],
    history: History,
    definition: Definition,
    on: date,
    precautions: Sequence[Precaution] = (),
) -> tuple[tuple[Companion, ...], ...]:
    """For each trial, in the same order, what went on beside it. `on` is today.

    `precautions` tell which antidepressants are never to be combined.

    Only what treats depression stands beside an antidepressant that does; treatments that are trials of their
    own have no companions.
    """
    places = [at for at, trial in enumerate(trials) if _can_have_companions(trial)]
    if not (history.add_ons or history.procedures or _overlap([trials[at].exposure for at in places])):
        return ((),) * len(trials)
    sides = sides_of([trials[at] for at in places])
    add_ons = add_on_sides(history, definition, on)
    courses = [
        (course, KINDS[course.kind]) for course in courses_of(history, definition) if course.kind in KINDS
    ]
    loose = [(course, KINDS[course.kind]) for course in undated(history) if course.kind in KINDS]
    found: list[tuple[Companion, ...]] = [()] * len(trials)
    for at, side in zip(places, sides, strict=True):
        found[at] = (
            *_augmentations(side, add_ons, definition),
            *_other_antidepressants(side, sides, definition, on, precautions),
            *(beside for course, kind in courses if (beside := _course(course, kind, side))),
            *(_undated(course, kind) for course, kind in loose),
        )
    return tuple(found)


def _overlap(exposures: Sequence[Exposure]) -> bool:
    """Whether two of them share a day; most people take one antidepressant after another."""
    spans = sorted({(exposure.first_day, exposure.last_day, exposure.name) for exposure in exposures})
    return any(earlier[1] >= later[0] for earlier, later in pairwise(spans))


def _can_have_companions(trial: Trial) -> bool:
    return trial.kind is TrialKind.ANTIDEPRESSANT and trial.use.answer is not Answer.NOT_MET


def _augmentations(side: Side, add_ons: Iterable[Side], definition: Definition) -> Iterable[Companion]:
    for add_on in add_ons:
        of_both = together(add_on, side, definition.max_gap_days)
        if of_both.taken_days:
            yield Companion(
                CompanionKind.AUGMENTATION,
                add_on.trial.name,
                add_on.first_day,
                add_on.last_day,
                of_both.taken_days,
                judge_add_on(add_on, side, of_both),
                add_on.dose,
                add_on.trial.agent,
                was_added(add_on, side),
            )


def _other_antidepressants(
    side: Side, sides: Iterable[Side], definition: Definition, on: date, precautions: Sequence[Precaution]
) -> Iterable[Companion]:
    for other in sides:
        if other is side or other.trial.agent == side.trial.agent:
            continue
        if not in_both(side.taken, other.taken):
            continue
        kind, adequate, days = judge_combination(side, other, definition, on, precautions)
        yield Companion(
            kind,
            other.trial.name,
            other.first_day,
            other.last_day,
            days,
            adequate,
            other.dose,
            other.trial.agent,
            adequate.criterion != CONTRAINDICATED and _were_combined(kind, side, other),
        )


def judge_combination(
    one: Side, other: Side, definition: Definition, on: date, precautions: Sequence[Precaution] = ()
) -> tuple[CompanionKind, Finding, int]:
    """Whether two antidepressants were combined or changed one for the other, and on how many days together.

    A change is short: at most `cross_taper_days`, at the end of the first and the start of the second. An MAOI and
    a drug that `precautions` forbid with it are neither: there is no tapering of one into the other.
    """
    of_both = together(one, other, definition.max_gap_days)
    pair = pair_of(one.trial.drug, other.trial.drug, precautions)
    if pair is not None:
        text = (
            f"{pair.maoi.ingredient} (an MAOI) and {pair.other.ingredient} are not to be taken together"
            f" ({pair.reason}); never counted"
        )
        evidence = tuple(dict.fromkeys((*one.evidence, *other.evidence)))
        finding = Finding(CONTRAINDICATED, Answer.NOT_MET, text, evidence)
        return CompanionKind.COMBINATION, finding, of_both.taken_days
    days, most = of_both.taken_days, definition.cross_taper_days
    first, second = sorted((one, other), key=lambda side: (side.first_day, side.last_day))
    is_change = first.first_day < second.first_day and first.last_day < min(second.last_day, on)
    evidence = tuple(dict.fromkeys((*one.evidence, *other.evidence)))
    if is_change and days <= most:
        text = (
            f"a change from {first.trial.name} to {second.trial.name}: {days} days together, at most {most} are "
            "no combination"
        )
        finding = Finding("combination", Answer.NOT_MET, text, evidence)
        return CompanionKind.CROSS_TAPER, finding, days
    answer, text = judge_length(of_both, definition.minimum_days)
    if answer is Answer.MET and Answer.UNKNOWN in (one.trial.use.answer, other.trial.use.answer):
        answer, text = Answer.UNKNOWN, f"what one of them was for is not certain; {text}"
    return CompanionKind.COMBINATION, Finding("combination", answer, text, evidence), days


def _were_combined(kind: CompanionKind, one: Side, other: Side) -> bool:
    """Whether both were, or may have been, at an adequate dose on one day, and not for a change of drugs.

    A drug that is not identified may be an augmenting agent: then a short time with it is no change.
    """
    may_be_change = kind is CompanionKind.CROSS_TAPER and one.trial.drug and other.trial.drug
    return not may_be_change and bool(in_both(one.possible, other.possible))


# --- treatments that are no drugs -------------------------------------------------------------------------


def _course(course: Course, kind: CompanionKind, side: Side) -> Companion | None:
    """The part of a course on days of the trial; None where there is none."""
    days = days_in(in_both(course.days, ((side.first_day, side.last_day),)))
    if not days:
        return None
    finding = Finding(kind.value, Answer.UNKNOWN, course.text, course.evidence)
    return Companion(kind, course.kind.value, course.first_day, course.last_day, days, finding)


def _undated(course: Course, kind: CompanionKind) -> Companion:
    text = f"{course.text}; on which days is not recorded"
    finding = Finding(kind.value, Answer.UNKNOWN, text, course.evidence)
    return Companion(kind, course.kind.value, None, None, 0, finding)
