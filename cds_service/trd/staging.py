"""Staging methods: Maudsley, MGH-S, Thase-Rush, European; item by item, as a range where an item is open.

The points are those of the definition's own table. An item that the record does not tell for certain has a
lowest and a highest number of points, and its text says why; the method's result is then a range too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from cds_service.trd.additions import find_additions
from cds_service.trd.counting import count_failed, deciding_trials, in_words
from cds_service.trd.days import shifted
from cds_service.trd.episode import find_episode_start
from cds_service.trd.model import (
    Answer,
    Definition,
    EpisodeStart,
    Finding,
    History,
    JudgedTrial,
    Procedure,
    ProcedureKind,
    Staging,
    StagingItem,
    StagingRule,
    Topic,
    TrialKind,
)
from cds_service.trd.severity import judge_severity
from cds_service.trd.stages import european_stage, thase_rush_stage
from cds_service.trd.unread import orders_not_read, searches_not_read, unread_about

PERMISSION = "ATHF-SF and MGH-ATRQ need their owners' permission: named here, not reproduced"
DOES_NOT_APPLY = "does not apply: no failed trial"


def stage(
    history: History, trials: Sequence[JudgedTrial], definition: Definition, on: date
) -> Staging | None:
    """The stage by the definition's own method; None for definitions that are no staging method.

    `trials` are judged under this definition. Only antidepressants are trials here: what is added to them, and
    ECT, are items of their own.
    """
    rule = definition.staging
    if rule is None or rule.method not in METHODS:
        return None
    antidepressants = tuple(t for t in trials if t.trial.kind is TrialKind.ANTIDEPRESSANT)
    items = METHODS[rule.method](Case(history, antidepressants, definition, rule, on))
    low, high = sum(item.low for item in items), sum(item.high for item in items)
    low_text, high_text = _named(low, rule), _named(high, rule)
    failures = next((item for item in items if item.name == FAILURES), None)
    if failures is not None and failures.low == 0:
        low, low_text = 0.0, DOES_NOT_APPLY
        if failures.high == 0:
            high, high_text = low, low_text
    note = ". ".join(text.strip().rstrip(".") for text in (definition.notes, PERMISSION) if text.strip())
    return Staging(
        rule.method, definition.title, low, high, low_text, high_text, items, definition.source, f"{note}."
    )


def _named(points: float, rule: StagingRule) -> str:
    """The band or stage of so many points; the points themselves where the method has no name for them."""
    return next((name for low, high, name in rule.bands if low <= points <= high), f"{points:g} points")


@dataclass(frozen=True)
class Case:
    """One patient under one staging method."""

    history: History
    trials: tuple[JudgedTrial, ...]
    definition: Definition
    rule: StagingRule
    on: date

    @cached_property
    def episode_start(self) -> EpisodeStart:
        return find_episode_start(self.history, self.definition, self.on)

    def points(self, item: str, level: str) -> float:
        """The points of a level; 0 for one that the method does not name."""
        return next((points for level_, points in self.levels(item) if level_ == level), 0.0)

    def levels(self, item: str) -> list[tuple[str, float]]:
        return [(level, points) for i, level, points in self.rule.points if i == item]


# --- Maudsley -----------------------------------------------------------------------------------------

FAILURES = "failures"


def _maudsley(case: Case) -> tuple[StagingItem, ...]:
    """Duration, severity, failures, augmentation, ECT, each by its levels."""
    start = case.episode_start
    return (
        _duration(case, start),
        _severity(case, start),
        _failures(case),
        _augmentation_used(case),
        _ect(case),
    )


def _duration(case: Case, start: EpisodeStart) -> StagingItem:
    """Months of the current episode. A month that has begun counts, so 12 months and a day are the 13th."""
    levels = case.levels("duration")
    fewest = months_begun(start.latest, case.on) if start.latest else 0
    most = months_begun(start.earliest, case.on) if start.earliest else None
    low = _points_of_number(fewest, levels)
    high = (
        max((points for _, points in levels), default=0.0)
        if most is None
        else _points_of_number(most, levels)
    )
    return StagingItem(
        "duration", low, max(low, high), f"{_months(fewest, most)}: {start.text}", start.evidence
    )


def months_begun(first_day: date, on: date) -> int:
    """Calendar months from a day to another, of which the last need not be full; 0 for the day itself."""
    months = (on.year - first_day.year) * 12 + on.month - first_day.month
    return max(0, months + (on.day > first_day.day))


def _months(fewest: int, most: int | None) -> str:
    if most is None:
        return f"{fewest} months or more" if fewest else "length of the episode not known"
    return f"{most} months" if fewest == most else f"{fewest} to {most} months"


def _severity(case: Case, start: EpisodeStart) -> StagingItem:
    oldest = shifted(case.on, -case.definition.lookback_days)
    severity = judge_severity(case.history, max(start.earliest or oldest, oldest), case.on)
    low, high = (case.points("severity", level) for level in (severity.lowest, severity.highest))
    return StagingItem("severity", low, max(low, high), severity.text, severity.evidence)


def _failures(case: Case) -> StagingItem:
    """No level begins below one failed trial: the method does not apply before."""
    failed = _count_failed(case)
    levels = case.levels(FAILURES)
    low = _points_of_number(failed.at_least, levels)
    high = _points_of_number(failed.at_most, levels)
    if failed.is_open:
        high = max((points for _, points in levels), default=0.0)
    text = failed.text if failed.at_most or failed.is_open else "no failed trial: the method does not apply"
    return StagingItem(FAILURES, low, max(low, high), text, failed.evidence)


def _augmentation_used(case: Case) -> StagingItem:
    additions = find_additions(case.history, case.trials, case.definition, case.on)
    answers = {finding.answer for finding in additions}
    answer = next((a for a in (Answer.MET, Answer.UNKNOWN) if a in answers), Answer.NOT_MET)
    shown = [finding for finding in additions if finding.answer is answer]
    text = "; ".join(finding.text for finding in shown) or "no augmentation and no combination on record"
    evidence = tuple(dict.fromkeys(ref for finding in shown for ref in finding.evidence))
    return _used(case, "augmentation", Finding("augmentation", answer, text, evidence))


def _ect(case: Case) -> StagingItem:
    return _used(case, "ect", _judge_ect(case))


def _used(case: Case, item: str, finding: Finding) -> StagingItem:
    not_used, used = case.points(item, "not used"), case.points(item, "used")
    low = used if finding.answer is Answer.MET else not_used
    high = not_used if finding.answer is Answer.NOT_MET else used
    return StagingItem(item, low, high, finding.text, finding.evidence)


def _judge_ect(case: Case) -> Finding:
    """Whether ECT was given. None on record tells nothing where procedures were not looked at."""
    given = [
        (answer, procedure)
        for procedure in case.history.procedures
        if procedure.kind is ProcedureKind.ECT
        and (answer := _in_scope(procedure, case)) is not Answer.NOT_MET
    ]
    for wanted in (Answer.MET, Answer.UNKNOWN):
        found = [procedure for answer, procedure in given if answer is wanted]
        if found:
            first = min(found, key=lambda p: (p.first_day or p.last_day or date.max, p.reference))
            day = first.first_day or first.last_day
            text = f"{first.text}, {day or 'day not known'}"
            doubt = "" if wanted is Answer.MET else ": may not have been given in this episode"
            return Finding("ect", wanted, text + doubt, tuple(p.reference for p in found))
    unread = unread_about(case.history, Topic.PROCEDURE)
    if unread:
        text = "a procedure could not be read, and may be ECT"
        return Finding("ect", Answer.UNKNOWN, text, tuple(dict.fromkeys(u.reference for u in unread)))
    if "procedures" in case.history.not_looked_at:
        return Finding("ect", Answer.UNKNOWN, "procedures were not looked at, so ECT is not known")
    return Finding("ect", Answer.NOT_MET, "no ECT on record")


def _in_scope(procedure: Procedure, case: Case) -> Answer:
    """Whether it was given in the lookback and, if the definition is about it alone, in the current episode."""
    first_day = procedure.first_day or procedure.last_day
    last_day = procedure.last_day or procedure.first_day
    if procedure.holds is Answer.NOT_MET or (first_day and first_day > case.on):
        return Answer.NOT_MET
    if first_day is None or last_day is None:
        return Answer.UNKNOWN
    oldest = shifted(case.on, -case.definition.lookback_days)
    if last_day < oldest:
        return Answer.NOT_MET
    if case.definition.is_current_episode_only:
        start = case.episode_start
        if start.earliest and last_day < start.earliest:
            return Answer.NOT_MET
        if start.latest is None or last_day < start.latest:
            return Answer.UNKNOWN
    return procedure.holds


# --- MGH-S --------------------------------------------------------------------------------------------


def _massachusetts(case: Case) -> tuple[StagingItem, ...]:
    """Points for each failed trial, optimisation and augmentation, and for ECT."""
    failed = _count_failed(case)
    at_most = failed.at_most
    if failed.is_open:
        at_most = max(at_most, case.definition.needed_failed_trials)
    each = case.points("trials", "per failed trial")
    optimised = case.points("optimisation", "per optimisation") * at_most
    return (
        StagingItem("trials", each * failed.at_least, each * at_most, failed.text, failed.evidence),
        StagingItem(
            "optimisation",
            0.0,
            optimised,
            "what counts as an optimisation is not told by the source: none, or one in each failed trial"
            if at_most
            else "no failed trial to optimise",
        ),
        _augmentations(case),
        _ect(case),
    )


def _augmentations(case: Case) -> StagingItem:
    """Each agent that was added counts once."""
    additions = find_additions(case.history, case.trials, case.definition, case.on)
    each = case.points("augmentation", "per augmentation")
    sure = sum(finding.answer is Answer.MET for finding in additions)
    possible = sum(finding.answer is not Answer.NOT_MET for finding in additions)
    text = "; ".join(f.text for f in additions) or "no augmentation and no combination on record"
    evidence = tuple(dict.fromkeys(ref for finding in additions for ref in finding.evidence))
    return StagingItem("augmentation", each * sure, each * possible, text, evidence)


# --- Thase-Rush and European --------------------------------------------------------------------------


def _thase_rush(case: Case) -> tuple[StagingItem, ...]:
    ect = _judge_ect(case)
    may_be_bilateral = ect.answer is not Answer.NOT_MET and _may_be_bilateral(case, ect)
    found = thase_rush_stage(case.trials, _hidden(case), may_be_bilateral)
    low, high = (case.points("stage", level) for level in (found.lowest, found.highest))
    evidence = found.evidence + (ect.evidence if found.highest == "V" else ())
    return (StagingItem("stage", low, max(low, high), found.text, evidence),)


def _may_be_bilateral(case: Case, ect: Finding) -> bool:
    """Whether any of the procedures it rests on may be; True where it is not known whether there are any."""
    kinds = [p.is_bilateral for p in case.history.procedures if p.reference in ect.evidence]
    return not kinds or any(answer is not Answer.NOT_MET for answer in kinds)


def _european(case: Case) -> tuple[StagingItem, ...]:
    found = european_stage(case.trials, _hidden(case), case.rule, case.definition.needed_failed_trials)
    low, high = (case.points("stage", level) for level in (found.lowest, found.highest))
    return (StagingItem("stage", low, max(low, high), found.text, found.evidence),)


# --- what the methods share ---------------------------------------------------------------------------

METHODS: dict[str, Callable[[Case], tuple[StagingItem, ...]]] = {
    "msm": _maudsley,
    "mgh-s": _massachusetts,
    "thase-rush": _thase_rush,
    "esm-souery": _european,
}


@dataclass(frozen=True)
class _Failed:
    """How many trials failed; `is_open` tells that a search failed, which may hide any number."""

    at_least: int
    at_most: int
    is_open: bool
    text: str
    evidence: tuple[str, ...]


def _count_failed(case: Case) -> _Failed:
    deciding = deciding_trials(case.trials)
    at_least, at_most = count_failed(deciding, case.definition.distinctness)
    not_read = sorted(orders_not_read(case.history))
    searches = sorted(searches_not_read(case.history))
    at_most += len(not_read)
    shown = [t for t in deciding if t.failed.answer is not Answer.NOT_MET]
    names = ", ".join(
        f"{t.trial.name or 'unnamed drug'}{'' if t.failed.answer is Answer.MET else ' (perhaps)'}"
        for t in shown
    )
    text = in_words(at_least, at_most, "failed trial") + (f": {names}" if names else "")
    if not_read or searches:
        text += "; orders that could not be read may hide more"
    evidence = dict.fromkeys(
        [
            *(ref for t in shown for ref in t.failed.evidence or t.trial.exposure.evidence),
            *not_read,
            *searches,
        ]
    )
    return _Failed(at_least, at_most, bool(searches), text, tuple(evidence))


def _hidden(case: Case) -> int | None:
    """How many trials of any drug the orders hide that could not be read; None for any number."""
    return None if searches_not_read(case.history) else len(orders_not_read(case.history))


def _points_of_number(number: int, levels: Sequence[tuple[str, float]]) -> float:
    """The points of the level that a number falls in; 0 below the first."""
    return next((points for level, points in levels if _is_in(number, level)), 0.0)


def _is_in(number: int, level: str) -> bool:
    """Whether a whole number lies in a level written as `1-2`, `<=12 months`, `>24 months`."""
    text = level.split()[0] if level.split() else ""
    try:
        if text.startswith("<="):
            return number <= float(text[2:])
        if text.startswith(">="):
            return number >= float(text[2:])
        if text.startswith(">"):
            return number > float(text[1:])
        if text.startswith("<"):
            return number < float(text[1:])
        low, _, high = text.partition("-")
        return float(low) <= number <= float(high or low)
    except ValueError:
        return False
