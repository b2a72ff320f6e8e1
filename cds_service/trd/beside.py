"""Antidepressants and the agents added to them, each with the days it was taken and was at an adequate dose.

Two kinds of doubt are kept apart, as in `trials.py`: days that are certain, at a dose that is certainly enough,
and all days on which it may have been so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby, pairwise

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import shifted
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Exposure, Trial
from cds_service.trd.overlap import Run, Stretch, days_in, in_both, joined, longest_run
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    AddOn,
    DoseSegment,
    History,
    Measurement,
    StopReason,
    plain_unit,
)
from cds_service.trd.stretches import cut
from cds_service.trd.trials import find_trials, judge_dose


@dataclass(frozen=True)
class Side:
    """One drug: the days it was taken, those it was surely at an adequate dose, those it may have been.

    `dose` says it in words, with what it is measured against; `levels` names the measurements that decided
    instead of the dose, and `level_text` says what they are.
    """

    trial: Trial
    taken: tuple[Stretch, ...]
    certain: tuple[Stretch, ...]
    possible: tuple[Stretch, ...]
    dose: str
    levels: tuple[str, ...] = ()
    level_text: str = ""

    @property
    def first_day(self) -> date:
        return self.taken[0][0]

    @property
    def last_day(self) -> date:
        return self.taken[-1][1]

    @property
    def evidence(self) -> tuple[str, ...]:
        return (*self.trial.exposure.evidence, *self.levels)


@dataclass(frozen=True)
class Together:
    """Days on which both were taken, and the longest runs at an adequate dose of both: certain, and possible."""

    taken_days: int
    certain: Run
    possible: Run


def together(one: Side, other: Side, max_gap_days: int) -> Together:
    return Together(
        days_in(in_both(one.taken, other.taken)),
        longest_run(in_both(one.certain, other.certain), max_gap_days),
        longest_run(in_both(one.possible, other.possible), max_gap_days),
    )


def judge_length(of_both: Together, needed: int) -> tuple[Answer, str]:
    """Whether both were at an adequate dose for `needed` days, and that in words. Exactly so many are enough."""
    certain, possible = of_both.certain.days, of_both.possible.days
    if certain >= needed:
        return Answer.MET, f"{certain} days together at adequate doses, {needed} needed"
    if possible < needed:
        return Answer.NOT_MET, f"{possible} days together at adequate doses, {needed} needed"
    text = f"{certain} days together at adequate doses are certain and {possible} possible, {needed} needed"
    return Answer.UNKNOWN, text


# --- antidepressants ------------------------------------------------------------------------------------


def sides_of(trials: Sequence[Trial]) -> tuple[Side, ...]:
    """One side a trial, in the same order. Trials of one exposure share its days between them."""
    spans = _spans(trials)
    return tuple(_side(trial, spans[at]) for at, trial in enumerate(trials))


def _spans(trials: Sequence[Trial]) -> dict[int, Stretch]:
    """For each trial, by its place, the days of its exposure that are its own: up to the next trial's first."""
    by_exposure: dict[int, list[tuple[date, int]]] = defaultdict(list)
    for at, trial in enumerate(trials):
        begin = trial.possible_first_day or trial.exposure.first_day
        by_exposure[id(trial.exposure)].append((begin, at))
    spans: dict[int, Stretch] = {}
    for starts in by_exposure.values():
        starts.sort()
        exposure = trials[starts[0][1]].exposure
        begins = [exposure.first_day, *(begin for begin, _ in starts[1:]), shifted(exposure.last_day, 1)]
        for (_, at), (begin, end) in zip(starts, pairwise(begins), strict=True):
            spans[at] = (begin, shifted(end, -1))
    return spans


def _side(trial: Trial, span: Stretch) -> Side:
    segments = trial.exposure.segments
    answers = [judge_dose(segment, trial.minimum_mg) for segment in segments]
    own = (span,) if span[0] <= span[1] else ((trial.exposure.first_day, trial.exposure.last_day),)
    return Side(
        trial=trial,
        taken=in_both(_days_of(segments), own) or _days_of(segments),
        certain=in_both(_certain(segments, answers), own),
        possible=in_both(_possible(segments, answers), own),
        dose=_dose_text(segments),
    )


def _days_of(segments: Iterable[DoseSegment]) -> tuple[Stretch, ...]:
    return joined((segment.first_day, segment.last_day) for segment in segments)


def _certain(segments: Iterable[DoseSegment], answers: Iterable[Answer]) -> tuple[Stretch, ...]:
    pairs = zip(segments, answers, strict=True)
    return _days_of(segment for segment, answer in pairs if answer is Answer.MET and segment.days_certain)


def _possible(segments: Iterable[DoseSegment], answers: Iterable[Answer]) -> tuple[Stretch, ...]:
    pairs = zip(segments, answers, strict=True)
    return _days_of(segment for segment, answer in pairs if answer is not Answer.NOT_MET)


def _dose_text(segments: Sequence[DoseSegment]) -> str:
    """ "900 mg/day"; the largest where it changed, or is a range; empty where it is not known."""
    doses = {mg for s in segments for mg in (s.low_mg, s.high_mg)}
    known = [mg for mg in doses if mg is not None]
    if not known:
        return ""
    return f"{known[0]:g} mg/day" if len(doses) == 1 else f"up to {max(known):g} mg/day"


# --- agents added to them -------------------------------------------------------------------------------


def add_on_sides(history: History, definition: Definition, on: date) -> tuple[Side, ...]:
    """The augmenting agents, one side for each continuous use, in order of their first day."""
    if not history.add_ons:
        return ()
    exposures = build_exposures(history.add_ons, definition.max_gap_days)
    runs: dict[int, list[Trial]] = defaultdict(list)
    for trial in find_trials(exposures, definition, on):
        runs[id(trial.exposure)].append(trial)
    return tuple(_add_on_side(exposure, runs[id(exposure)], history) for exposure in exposures)


def _add_on_side(exposure: Exposure, runs: Sequence[Trial], history: History) -> Side:
    trial = _whole(runs)
    levels = _levels(exposure, history.measurements)
    segments: Sequence[DoseSegment] = exposure.segments
    if levels:
        segments = cut(segments, [DoseSegment(level.day, level.day, None, None) for level in levels])
        answers = _answers_by_level(segments, levels, trial.minimum_mg, _add_on(exposure))
    else:
        answers = [judge_dose(segment, trial.minimum_mg) for segment in segments]
    return Side(
        trial=trial,
        taken=_days_of(segments),
        certain=_certain(segments, answers),
        possible=_possible(segments, answers),
        dose=_dose_text(exposure.segments),
        levels=tuple(dict.fromkeys(level.reference for level in levels)),
        level_text=_level_text(levels, _add_on(exposure)),
    )


def _whole(runs: Sequence[Trial]) -> Trial:
    """All runs of one exposure as one: the last, with the largest dose of any, and why it ended."""
    doses = [trial.max_mg for trial in runs if trial.max_mg is not None]
    reasons = [trial.stop_reason for trial in runs if trial.stop_reason is not StopReason.NONE_GIVEN]
    reason = reasons[-1] if reasons else StopReason.NONE_GIVEN
    return replace(runs[-1], max_mg=max(doses, default=None), stop_reason=reason)


def _add_on(exposure: Exposure) -> AddOn | None:
    return exposure.drug.add_on if exposure.drug else None


def _levels(exposure: Exposure, measurements: Iterable[Measurement]) -> list[Measurement]:
    """Levels of the agent in blood on days of the exposure, in order; none in a unit that we do not know."""
    add_on = _add_on(exposure)
    if add_on is None or add_on.minimum_level is None:
        return []
    units = frozenset(map(plain_unit, add_on.level_units))
    found = [
        measured
        for measured in measurements
        if measured.code == add_on.level_code
        and measured.plain_unit in units
        and any(s.first_day <= measured.day <= s.last_day for s in exposure.segments)
    ]
    return sorted(found, key=lambda measured: (measured.day, measured.reference))


def _answers_by_level(
    segments: Sequence[DoseSegment],
    levels: Sequence[Measurement],
    minimum_mg: float | None,
    add_on: AddOn | None,
) -> list[Answer]:
    """Whether each segment was adequate: by the last level before it; before the first, by that if the dose is
    the same, else by the dose."""
    least = add_on.minimum_level if add_on and add_on.minimum_level is not None else 0.0
    by_day = [
        (day, _level_answer([level.value >= least for level in of_day]))
        for day, of_day in groupby(levels, key=lambda level: level.day)
    ]
    first_day, first_answer = by_day[0]
    at_first = next((s for s in segments if s.first_day <= first_day <= s.last_day), None)
    answers: list[Answer] = []
    at = -1
    for segment in segments:
        while at + 1 < len(by_day) and by_day[at + 1][0] <= segment.first_day:
            at += 1
        if at >= 0:
            answers.append(by_day[at][1])
        elif at_first is not None and segment.low_mg is not None and _is_same_dose(segment, at_first):
            answers.append(first_answer)
        else:
            answers.append(judge_dose(segment, minimum_mg))
    return answers


def _level_answer(are_enough: Sequence[bool]) -> Answer:
    if all(are_enough):
        return Answer.MET
    return Answer.UNKNOWN if any(are_enough) else Answer.NOT_MET


def _is_same_dose(one: DoseSegment, other: DoseSegment) -> bool:
    return (one.low_mg, one.high_mg) == (other.low_mg, other.high_mg)


LEVELS_SHOWN = 3


def _level_text(levels: Sequence[Measurement], add_on: AddOn | None) -> str:
    """`by its level in blood, 0.3 mmol/L on 2025-10-15, below the least of 0.5 mmol/L`; of many, the latest."""
    if not levels or add_on is None or add_on.minimum_level is None:
        return ""
    least = f"{add_on.minimum_level:g} {add_on.level_units[0]}"
    shown = [f"{level.value:g} {level.unit} on {level.day}" for level in levels[-LEVELS_SHOWN:]]
    earlier = f" and {len(levels) - len(shown)} earlier" if len(levels) > len(shown) else ""
    is_below = all(level.value < add_on.minimum_level for level in levels)
    held_against = f"below the least of {least}" if is_below else f"at least {least} needed"
    return f"by its level in blood, {', '.join(shown)}{earlier}, {held_against}"


def judge_add_on(side: Side, base: Side, of_both: Together) -> Finding:
    """Whether the agent is enough to count as augmentation of the antidepressant `base`."""
    add_on, trial = _add_on(side.trial.exposure), side.trial
    evidence = (*side.evidence, *base.trial.exposure.evidence)

    def finding(answer: Answer, text: str) -> Finding:
        return Finding("augmentation", answer, text, tuple(dict.fromkeys(evidence)))

    if trial.drug is None:
        return finding(Answer.UNKNOWN, "which drug it is is not known")
    if add_on is None or not add_on.counts:
        return finding(Answer.NOT_MET, add_on.why_not if add_on else "it is no augmenting agent")
    if trial.use.answer is Answer.NOT_MET:
        return finding(Answer.NOT_MET, trial.use.text)
    dose = _dose_against(side)
    if not side.possible:
        return finding(Answer.NOT_MET, dose)
    if not base.possible:
        return finding(Answer.NOT_MET, f"{base.trial.name} was at no adequate dose")
    if add_on.minimum_days is None:
        return finding(Answer.UNKNOWN, f"{dose}; our table tells no length that is enough")
    answer, length = judge_length(of_both, add_on.minimum_days)
    doubtful = next((use for use in (trial.use, base.trial.use) if use.answer is Answer.UNKNOWN), None)
    if answer is Answer.MET and doubtful is not None:
        return finding(Answer.UNKNOWN, f"{doubtful.text}; {dose}; {length}")
    return finding(answer, f"{dose}; {length}")


def was_added(side: Side, base: Side) -> bool:
    """Whether the agent was, or may have been, given as augmentation: at a dose that counts on a day of `base`.

    How long, and at which dose of the antidepressant, is not asked.
    """
    add_on, trial = _add_on(side.trial.exposure), side.trial
    is_meant = trial.use.answer is not Answer.NOT_MET and (
        trial.drug is None or bool(add_on and add_on.counts)
    )
    return is_meant and bool(in_both(side.possible, base.taken))


def _dose_against(side: Side) -> str:
    least, dose = side.trial.minimum_mg, side.dose or "dose not known"
    if side.levels:
        return f"{dose}; {side.level_text}"
    if least is None:
        return f"{dose}; no least dose in mg a day is known"
    if not side.possible:
        return f"{dose}, below the least dose of {least:g} mg/day"
    return f"{dose}, at least {least:g} mg/day needed"
