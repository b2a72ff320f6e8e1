"""Staging methods: Maudsley, MGH-S, Thase-Rush, European; item by item, as a range where an item is open.

The points are those of the definition's own table. An item that the record does not tell for certain has a
lowest and a highest number of points, and its text says why; the method's result is then a range too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from cds_service.trd.answers import (
    Answer,
    Finding,
    all_of,
    any_of,
)
from cds_service.trd.counting import count_failed, deciding_trials, in_words
from cds_service.trd.days import shifted
from cds_service.trd.episode import find_episode_start
from cds_service.trd.model import (
    Companion,
    CompanionKind,
    EpisodeStart,
    JudgedTrial,
    Staging,
    StagingItem,
    TrialKind,
)
from cds_service.trd.parameters import Definition, StagingRule
from cds_service.trd.record import (
    History,
    Procedure,
    ProcedureKind,
    Topic,
)
from cds_service.trd.severity import judge_severity
from cds_service.trd.stages import european_stage, thase_rush_stage
from cds_service.trd.unread import add_ons_not_read, orders_not_read, searches_not_read, unread_about

PERMISSION = "ATHF-SF and MGH-ATRQ need their owners' permission: named here, not reproduced"
DOES_NOT_APPLY = "does not apply: no failed trial"


def stage(
    history: History, trials: Sequence[JudgedTrial], definition: Definition, on: date
) -> Staging | None:
    """The stage by the definition's own method; None for definitions that are no staging method.

    `trials` are judged under this definition, with what went on beside them where the method rests on it. Only
    antidepressants are trials here: what is added to them, and ECT, are items of their own.
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


def rests_on_companions(definition: Definition) -> bool:
    """Whether the method asks what went on beside the trials; the other methods ignore it."""
    rule = definition.staging
    return rule is not None and AUGMENTATION in rule.items


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

    def levels(self, item: str) -> Sequence[tuple[str, float]]:
        return self.rule.levels.get(item, ())


# --- Maudsley -----------------------------------------------------------------------------------------

FAILURES = "failures"
AUGMENTATION = "augmentation"


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
    found = [*_additions(case.trials), *_hidden_additions(case)]
    answer = any_of(finding.answer for finding in found)
    text, evidence = _told([finding for finding in found if finding.answer is answer])
    return _used(case, AUGMENTATION, Finding(AUGMENTATION, answer, text, evidence))


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
            first = min(found, key=lambda p: (p.days or (date.max, date.max), p.reference))
            text = f"{first.text}, {first.days[0] if first.days else 'day not known'}"
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
    if procedure.holds is Answer.NOT_MET:
        return Answer.NOT_MET
    if procedure.days is None:
        return Answer.UNKNOWN
    first_day, last_day = procedure.days
    if first_day > case.on:
        return Answer.NOT_MET
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
    """Each agent that was added, and each pair that was combined, counts once."""
    found = [*_additions(case.trials), *_hidden_additions(case)]
    each = case.points(AUGMENTATION, "per augmentation")
    sure = sum(finding.answer is Answer.MET for finding in found)
    possible = [finding for finding in found if finding.answer is not Answer.NOT_MET]
    text, evidence = _told(possible or found)
    return StagingItem(AUGMENTATION, each * sure, each * len(possible), text, evidence)


# --- what was added, for both ---------------------------------------------------------------------------


def _additions(trials: Sequence[JudgedTrial]) -> Iterator[Finding]:
    """One finding for each agent that was added to a trial in scope, and for each pair of antidepressants.

    Used where a companion is adequate. The methods do not tell how much is enough, so one that was given at
    a dose that counts and is not adequate, as it was too short, leaves it open.
    """
    for views in _by_agents(trials).values():
        findings = [_addition(companion, judged) for judged, companion in views]
        # A combination counts only where the trials of both drugs are in scope: it is seen from each of them.
        sides = defaultdict(list)
        for (judged, companion), finding in zip(views, findings, strict=True):
            sides[_side(judged, companion)].append(finding.answer)
        answer = all_of(map(any_of, sides.values()))
        best = max(findings, key=lambda finding: _CERTAINTY[finding.answer])
        yield best if best.answer is answer else Finding(AUGMENTATION, answer, best.text, best.evidence)


_CERTAINTY = {Answer.MET: 2, Answer.UNKNOWN: 1, Answer.NOT_MET: 0}
View = tuple[JudgedTrial, Companion]


def _by_agents(trials: Iterable[JudgedTrial]) -> dict[frozenset[str], list[View]]:
    views: dict[frozenset[str], list[View]] = defaultdict(list)
    for judged in trials:
        for companion in judged.companions:
            if companion.kind is CompanionKind.AUGMENTATION:
                views[frozenset((companion.agent,))].append((judged, companion))
            elif companion.kind is CompanionKind.COMBINATION or companion.was_tried:
                views[frozenset((companion.agent, judged.trial.agent))].append((judged, companion))
    return views


def _side(judged: JudgedTrial, companion: Companion) -> str:
    return "" if companion.kind is CompanionKind.AUGMENTATION else judged.trial.agent


def _addition(companion: Companion, judged: JudgedTrial) -> Finding:
    adequate, scope = companion.adequate, judged.in_scope
    text = f"{companion.name or 'unnamed drug'} beside {judged.trial.name or 'unnamed drug'}: {adequate.text}"
    answer = adequate.answer
    if answer is Answer.NOT_MET and companion.was_tried:
        answer = Answer.UNKNOWN
        text += "; the source does not tell how much is enough"
    if scope.answer is not Answer.MET and answer is not Answer.NOT_MET:
        text += f"; {scope.text}"
    return Finding(AUGMENTATION, all_of((answer, scope.answer)), text, adequate.evidence)


def _hidden_additions(case: Case) -> Iterator[Finding]:
    """Each order that could not be read may have been added, and so may one of a search that failed."""
    text = "an order that could not be read may have been added"
    orders = orders_not_read(case.history) | add_ons_not_read(case.history)
    for reference in (*sorted(orders), *sorted(searches_not_read(case.history))):
        yield Finding(AUGMENTATION, Answer.UNKNOWN, text, (reference,))


def _told(findings: Sequence[Finding]) -> tuple[str, tuple[str, ...]]:
    """In words, with what they rest on."""
    text = "; ".join(dict.fromkeys(finding.text for finding in findings))
    evidence = tuple(dict.fromkeys(ref for finding in findings for ref in finding.evidence))
    return text or "no augmentation and no combination on record", evidence


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
