"""Exposures → trials: when a use of a drug is an attempt at treatment of adequate dose and duration.

A day counts when its dose is at or above the minimum; days of titration below it do not. Adequate
days no more than `max_gap_days` apart belong to one run, whose gap days are not counted. Each run is
a trial; an exposure that never reached the minimum is one trial without adequate days.

Two kinds of doubt are kept apart: a dose that is unknown, and days on which the drug may or may not
have been taken. A trial is adequate only if it is so without either.

A statement that the drug was taken may join days that were dispensed to others that were not. Too little
cover of them together leaves open a trial that was, or may have been, adequate without the statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import days_between, shifted, uncovered_days
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Exposure, Trial
from cds_service.trd.neighbours import Neighbours
from cds_service.trd.overlap import Run, longest_run
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    DoseSegment,
    Prescription,
    StopReason,
    Supply,
)


def find_trials(exposures: Sequence[Exposure], definition: Definition, on: date) -> tuple[Trial, ...]:
    """All trials, adequate or not, in order of their first day. `on` is today."""
    trials = [trial for exposure in exposures for trial in _trials_of(exposure, definition, on)]
    trials = _despite_statements(trials, definition, on)
    identified = _neighbours(trial for trial in trials if trial.drug is not None)
    unidentified = _neighbours(trial for trial in trials if trial.drug is None)
    return tuple(_with_possible_neighbours(trial, identified, unidentified, definition) for trial in trials)


def judge_dose(segment: DoseSegment, minimum_mg: float | None) -> Answer:
    """Whether the dose on these days is at least `minimum_mg` per day. Exactly the minimum is enough.

    Unknown when dose or minimum is unknown, and for a range that straddles the minimum.
    """
    if minimum_mg is None:
        return Answer.UNKNOWN
    if segment.low_mg is not None and segment.low_mg >= minimum_mg:
        return Answer.MET
    if segment.high_mg is not None and segment.high_mg < minimum_mg:
        return Answer.NOT_MET
    return Answer.UNKNOWN


def _trials_of(exposure: Exposure, definition: Definition, on: date) -> list[Trial]:
    minimum_mg = exposure.drug.minimum_mg.get(definition.dose_column) if exposure.drug else None
    judged = [(segment, judge_dose(segment, minimum_mg)) for segment in exposure.segments]
    possible = [(segment, answer) for segment, answer in judged if answer is not Answer.NOT_MET]
    if not possible:
        return [_trial_without_adequate_days(exposure, minimum_mg, definition, on)]
    return [
        _trial(exposure, run, minimum_mg, definition, on) for run in _runs(possible, definition.max_gap_days)
    ]


Judged = tuple[DoseSegment, Answer]


def _runs(judged: Sequence[Judged], max_gap_days: int) -> list[list[Judged]]:
    runs: list[list[Judged]] = []
    for segment, answer in judged:
        if runs and uncovered_days(runs[-1][-1][0].last_day, segment.first_day) <= max_gap_days:
            runs[-1].append((segment, answer))
        else:
            runs.append([(segment, answer)])
    return runs


def _longest(judged: Sequence[Judged], max_gap_days: int) -> Run:
    return longest_run(((segment.first_day, segment.last_day) for segment, _ in judged), max_gap_days)


def _trial(
    exposure: Exposure, run: list[Judged], minimum_mg: float | None, definition: Definition, on: date
) -> Trial:
    gap, needed = definition.max_gap_days, definition.minimum_days
    certain = [judged for judged in run if judged[0].days_certain]
    beyond_doubt_days = [judged for judged in certain if judged[1] is Answer.MET]
    possible = _longest(run, gap)
    on_certain_days = possible if len(certain) == len(run) else _longest(certain, gap)
    beyond_doubt = (
        on_certain_days if len(beyond_doubt_days) == len(certain) else _longest(beyond_doubt_days, gap)
    )
    has_unknown_dose = any(answer is Answer.UNKNOWN for _, answer in run)

    shown = beyond_doubt if beyond_doubt.days >= needed else on_certain_days
    is_running = possible.last_day is not None and possible.last_day >= on
    duration = _judge_duration(on_certain_days, possible, exposure, needed)
    judged_run = shown if duration.answer is Answer.MET else possible
    may_become_adequate = is_running and shown.days and shown.last_day == possible.last_day
    return Trial(
        exposure=exposure,
        first_day=shown.first_day,
        last_day=shown.last_day,
        adequate_days=shown.days,
        minimum_mg=minimum_mg,
        max_mg=_largest_dose(exposure, possible),
        dose=_dose_finding(exposure, minimum_mg, has_unknown_dose and beyond_doubt.days < needed),
        duration=duration,
        use=_judge_use(exposure),
        adherence=judge_adherence(
            exposure, judged_run.first_day, judged_run.last_day, definition.minimum_pdc
        ),
        stop_reason=_stop_reason(exposure, possible),
        is_running=is_running,
        long_enough_on=(
            shifted(on, needed - shown.days)
            if may_become_adequate and duration.answer is Answer.NOT_MET
            else None
        ),
        possible_first_day=possible.first_day,
        possible_last_day=possible.last_day,
    )


def _trial_without_adequate_days(
    exposure: Exposure, minimum_mg: float | None, definition: Definition, on: date
) -> Trial:
    whole = Run(0, exposure.first_day, exposure.last_day)
    largest = _largest_dose(exposure, whole)
    text = f"{largest:g} mg/day never reached the minimum of {minimum_mg:g} mg/day"
    if exposure.drug and exposure.drug.non_trial_rule:
        text += f"; uses of {exposure.drug.ingredient} that do not count: {exposure.drug.non_trial_rule}"
    return Trial(
        exposure=exposure,
        first_day=None,
        last_day=None,
        adequate_days=0,
        minimum_mg=minimum_mg,
        max_mg=largest,
        dose=Finding("dose", Answer.NOT_MET, text, exposure.evidence),
        duration=Finding("duration", Answer.NOT_MET, "no day at an adequate dose", exposure.evidence),
        use=_judge_use(exposure),
        adherence=judge_adherence(exposure, whole.first_day, whole.last_day, definition.minimum_pdc),
        stop_reason=_stop_reason(exposure, whole),
        is_running=exposure.last_day >= on,
    )


def _judge_duration(certain: Run, possible: Run, exposure: Exposure, needed: int) -> Finding:
    """Whether the adequate days of the run reach `needed`. Exactly `needed` days are enough."""
    if certain.days >= needed:
        answer, text = Answer.MET, f"{certain.days} adequate days, {needed} needed"
    elif possible.days < needed:
        answer, text = Answer.NOT_MET, f"{possible.days} adequate days, {needed} needed"
    else:
        answer = Answer.UNKNOWN
        text = (
            f"it is not recorded on which days it was taken: {certain.days} days are certain, {needed} needed"
        )
    return Finding("duration", answer, text, exposure.evidence)


def _dose_finding(exposure: Exposure, minimum_mg: float | None, is_unknown: bool) -> Finding:
    if not is_unknown:
        return Finding("dose", Answer.MET, f"at least {minimum_mg:g} mg/day", exposure.evidence)
    return Finding("dose", Answer.UNKNOWN, _why_dose_is_unknown(exposure, minimum_mg), exposure.evidence)


def _why_dose_is_unknown(exposure: Exposure, minimum_mg: float | None) -> str:
    if exposure.drug is None:
        return "the drug could not be identified"
    if minimum_mg is None:
        return f"no minimum adequate dose of {exposure.name} is known"
    if any(segment.low_mg is None for segment in exposure.segments):
        return "the dose is not recorded in a form that can be read"
    return f"the recorded dose may lie below or above the minimum of {minimum_mg:g} mg/day"


def _judge_use(exposure: Exposure) -> Finding:
    """Whether this use can form a trial: one order that surely can is enough."""
    findings = [order.treats_depression for order in exposure.prescriptions]
    for wanted in (Answer.MET, Answer.UNKNOWN, Answer.NOT_MET):
        for finding in findings:
            if finding.answer is wanted:
                return Finding("use", wanted, finding.text, exposure.evidence)
    return Finding("use", Answer.UNKNOWN, "nothing is known of what it was for", exposure.evidence)


_WITHOUT_DISPENSINGS = Finding(
    "adherence", Answer.UNKNOWN, "no dispensing on these days can be counted; taken as prescribed is assumed"
)


def judge_adherence(
    exposure: Exposure, first_day: date | None, last_day: date | None, least: float
) -> Finding:
    """Whether dispensings cover at least `least` (0 to 1) of the days from first to last, both included.

    That share is the proportion of days covered. Exactly `least` is enough. Unknown without a dispensing on
    these days: nothing is known of dispensings elsewhere; and where it hangs on days that are not sure.
    """
    if first_day is None or last_day is None:
        return _WITHOUT_DISPENSINGS
    # Orders of one drug share one tuple of all its supplies.
    shared = {id(order.supplies): order.supplies for order in exposure.prescriptions}
    supplies = {
        supply
        for of_drug in shared.values()
        for supply in of_drug
        if supply.first_day <= last_day and supply.last_day >= first_day
    }
    if not any(supply.is_sure and supply.is_dispensed for supply in supplies):
        return _WITHOUT_DISPENSINGS
    days = days_between(first_day, last_day)
    covered = _covered(supplies, first_day, last_day)
    sure = _covered([supply for supply in supplies if supply.is_sure], first_day, last_day)
    is_enough = {count >= least * days for count in (sure, covered)}
    shown = f"{covered} of {days} days ({100 * covered / days:.0f} %), {100 * least:g} % needed"
    used = tuple(dict.fromkeys(s.reference for s in sorted(supplies, key=_by_day)))
    if len(is_enough) > 1:
        text = (
            f"dispensings cover {sure} to {shown}; some of these are not sure; taken as prescribed is assumed"
        )
        return Finding("adherence", Answer.UNKNOWN, text, used)
    answer = Answer.MET if is_enough.pop() else Answer.NOT_MET
    return Finding("adherence", answer, f"dispensings cover {shown}", used)


def _by_day(supply: Supply) -> tuple[date, date, str]:
    return supply.first_day, supply.last_day, supply.reference


def _despite_statements(trials: list[Trial], definition: Definition, on: date) -> list[Trial]:
    """A statement that a drug was taken never turns a trial into none.

    Where too few days are covered, but some of them were, or may have been, an adequate trial without the
    statements, it is unknown whether the drug was taken as prescribed.
    """
    lacking = [trial for trial in trials if trial.adherence.answer is Answer.NOT_MET]
    without = _adequate_without_statements(lacking, definition, on)
    return [
        _with_open_adherence(trial)
        if trial.adherence.answer is Answer.NOT_MET and _shares_a_day(trial, without.get(trial.agent))
        else trial
        for trial in trials
    ]


def _adequate_without_statements(
    trials: Iterable[Trial], definition: Definition, on: date
) -> dict[str, Neighbours]:
    """By agent, the trials that are, or may be, adequate where the statements of their drugs are left out."""
    # Records of one drug share one tuple of what is told without its statements.
    shared = {
        id(r.without_statements): r.without_statements for t in trials for r in t.exposure.prescriptions
    }
    records = [record for of_drug in shared.values() for record in of_drug]
    if not records:
        return {}
    by_agent: dict[str, list[Trial]] = defaultdict(list)
    for trial in find_trials(build_exposures(records, definition.max_gap_days), definition, on):
        if trial.is_adequate is not Answer.NOT_MET:
            by_agent[trial.agent].append(trial)
    return {agent: _neighbours(of_agent) for agent, of_agent in by_agent.items()}


def _shares_a_day(trial: Trial, others: Neighbours | None) -> bool:
    first_day, last_day = trial.possible_first_day, trial.possible_last_day
    return bool(others and first_day and last_day and others.count(first_day, last_day, gap=-1))


def _with_open_adherence(trial: Trial) -> Trial:
    text = (
        f"{trial.adherence.text}; but some of these days are only stated, and without them enough may be covered;"
        " taken as prescribed is assumed"
    )
    return replace(trial, adherence=replace(trial.adherence, answer=Answer.UNKNOWN, text=text))


def _covered(supplies: Iterable[Supply], first_day: date, last_day: date) -> int:
    """How many of the days at least one of the supplies covers."""
    covered, begin = 0, first_day
    for supply in sorted(supplies, key=_by_day):
        end = min(supply.last_day, last_day)
        covered += max(0, days_between(max(begin, supply.first_day), end))
        begin = max(begin, shifted(end, 1))
    return covered


def _stop_reason(exposure: Exposure, run: Run) -> StopReason:
    """The reason on the order that ended last in the run; two different ones together are `OTHER`."""
    ends: list[tuple[date, Prescription]] = [
        (order.segments[-1].last_day, order)
        for order in exposure.prescriptions
        if run.first_day and run.last_day and order.segments[0].first_day <= run.last_day
    ]
    if not ends:
        return StopReason.NONE_GIVEN
    last_end = max(end for end, _ in ends)
    reasons = {order.stop_reason for end, order in ends if end == last_end} - {StopReason.NONE_GIVEN}
    if len(reasons) == 1:
        return reasons.pop()
    return StopReason.OTHER if reasons else StopReason.NONE_GIVEN


def _largest_dose(exposure: Exposure, run: Run) -> float | None:
    """The largest dose of any one order in the run, mg/day. Sums of overlapping orders are no facts."""
    if run.first_day is None or run.last_day is None:
        return None
    doses = [
        segment.high_mg
        for order in exposure.prescriptions
        for segment in order.segments
        if segment.high_mg is not None
        and segment.first_day <= run.last_day
        and segment.last_day >= run.first_day
    ]
    return max(doses, default=None)


def _with_possible_neighbours(
    trial: Trial, identified: Neighbours, unidentified: Neighbours, definition: Definition
) -> Trial:
    """An unidentified drug taken beside a trial may have been the drug of that trial.

    A trial that is too short may then be long enough, and one that is long enough may have begun
    earlier or ended later: other scores may count.
    """
    first_day, last_day = trial.possible_first_day, trial.possible_last_day
    if trial.use.answer is Answer.NOT_MET or first_day is None or last_day is None:
        return trial
    gap, needed = definition.max_gap_days, definition.minimum_days
    if trial.drug is None:
        # It is beside itself, which makes nothing longer.
        may_be_longer = identified.reach(first_day, last_day, gap, needed) or (
            unidentified.count(first_day, last_day, gap) > 1
            and unidentified.reach(first_day, last_day, gap, needed)
        )
        return _possibly_long_enough(trial) if may_be_longer else trial
    days = unidentified.days_beside(first_day, last_day, gap)
    if days is None:
        return trial
    if unidentified.reach(first_day, last_day, gap, needed):
        trial = _possibly_long_enough(trial)
    return replace(
        trial, possible_first_day=min(first_day, days[0]), possible_last_day=max(last_day, days[1])
    )


def _neighbours(trials: Iterable[Trial]) -> Neighbours:
    """Those that may be uses of a drug for depression, and have days."""
    return Neighbours(
        (trial.possible_first_day, trial.possible_last_day)
        for trial in trials
        if trial.use.answer is not Answer.NOT_MET and trial.possible_first_day and trial.possible_last_day
    )


def _possibly_long_enough(trial: Trial) -> Trial:
    if trial.duration.answer is not Answer.NOT_MET:
        return trial
    text = f"{trial.duration.text}; with the unidentified drug beside it, it may have been long enough"
    return replace(trial, duration=replace(trial.duration, answer=Answer.UNKNOWN, text=text))
