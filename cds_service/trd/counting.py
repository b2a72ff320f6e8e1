"""How many trials failed: one for each agent, class or mechanism, as a range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from cds_service.trd.answers import Answer, all_of, any_of
from cds_service.trd.days import days_between
from cds_service.trd.model import JudgedTrial, Trial
from cds_service.trd.parameters import Distinctness


def count_failed(deciding: Sequence[JudgedTrial], distinctness: Distinctness) -> tuple[int, int]:
    """How many distinct failed trials there are, of one deciding trial for each agent: at least, at most.

    Agents of one class or mechanism count once where the definition asks for different ones. An
    unidentified drug could be any, so each adds one to the most.
    """
    certain = {_kind(t.trial, distinctness) for t in deciding if t.failed.answer is Answer.MET}
    possible = {_kind(t.trial, distinctness) for t in deciding if t.failed.answer is Answer.UNKNOWN}
    return len(certain), len(certain | possible)


def in_words(at_least: float, at_most: float, noun: str) -> str:
    """`1 failed trial`, `0 to 1 failed trials`: a number, or the range of it, with its noun."""
    if at_least == at_most:
        return f"{at_least:g} {noun}" if at_least == 1 else f"{at_least:g} {noun}s"
    return f"{at_least:g} to {at_most:g} {noun}s"


def deciding_trials(trials: Sequence[JudgedTrial]) -> tuple[JudgedTrial, ...]:
    """For each agent the trial that stands for it: the longest of those whose answer is most certain."""
    by_agent: dict[str, list[JudgedTrial]] = defaultdict(list)
    for trial in trials:
        by_agent[trial.trial.agent].append(trial)
    return tuple(_deciding(of_one_agent) for of_one_agent in by_agent.values())


def _deciding(trials: Sequence[JudgedTrial]) -> JudgedTrial:
    """The longest trial that is adequate and in scope for certain, else the longest that may be.

    Unknown when another, whose dose or days are not certain, may be as long and says otherwise.
    """
    if len(trials) == 1:
        return trials[0]
    by_adequacy = defaultdict(list)
    for judged in trials:
        as_adequate = all_of((judged.trial.is_adequate, judged.in_scope.answer))
        # A short trial that failed for intolerance counts as well as one that is long enough.
        by_adequacy[any_of((as_adequate, judged.failed.answer))].append(judged)
    certain, possible = by_adequacy[Answer.MET], by_adequacy[Answer.UNKNOWN]
    chosen = max(certain or possible or trials, key=lambda t: (most_days(t), t.trial.last_day or date.min))
    doubtful = [t for t in possible if t.trial.is_adequate is Answer.UNKNOWN]
    rivals = [t for t in doubtful if most_days(t) >= most_days(chosen)]
    if any(rival.failed.answer is not chosen.failed.answer for rival in rivals):
        return replace(chosen, failed=replace(chosen.failed, answer=Answer.UNKNOWN))
    return chosen


def most_days(judged: JudgedTrial) -> int:
    """The adequate days of a trial; of one whose days or dose are not certain, the most that are possible."""
    trial = judged.trial
    if trial.is_adequate is Answer.MET or not (trial.possible_first_day and trial.possible_last_day):
        return trial.adequate_days
    return days_between(trial.possible_first_day, trial.possible_last_day)


def _kind(trial: Trial, distinctness: Distinctness) -> str:
    if trial.drug is None or distinctness is Distinctness.AGENT:
        return trial.agent
    return trial.drug.drug_class if distinctness is Distinctness.CLASS else trial.drug.mechanism
