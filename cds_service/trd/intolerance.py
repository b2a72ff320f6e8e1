"""Was a drug stopped because it was not tolerated? Told by the order's reason, or by a recorded adverse effect.

An adverse effect explains why a drug was stopped when it came while the drug was taken, the drug ended
within `max_gap_days` after it, and the order gives no reason of its own. One that is only suspected, or whose
day is not known, leaves it open.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from cds_service.trd.answers import Answer, Finding, any_of
from cds_service.trd.days import shifted
from cds_service.trd.model import Exposure, Trial
from cds_service.trd.parameters import Definition
from cds_service.trd.record import Reaction, StopReason


def judge_intolerance(
    trial: Trial, reactions: Sequence[Reaction], definition: Definition, on: date
) -> Finding | None:
    """Whether it was stopped for intolerance; None when nothing speaks of it. The text names the reactions."""
    beside = _reactions_of(trial, reactions, definition.max_gap_days)
    is_stated = trial.stop_reason is StopReason.INTOLERANCE
    if not beside and not is_stated:
        return None
    evidence = tuple(dict.fromkeys(reaction.reference for reaction in beside))
    text = "; ".join(dict.fromkeys(_in_words(reaction) for reaction in beside))
    if is_stated:
        return Finding("intolerance", Answer.MET, text, (*evidence, *trial.exposure.evidence))
    if trial.stop_reason is not StopReason.NONE_GIVEN or not _was_stopped(trial, definition, on):
        return Finding("intolerance", Answer.NOT_MET, text, evidence)
    answer = any_of(_explains_the_end(r, trial.exposure, definition.max_gap_days) for r in beside)
    return Finding("intolerance", answer, text, evidence)


def _reactions_of(trial: Trial, reactions: Sequence[Reaction], max_gap_days: int) -> list[Reaction]:
    """Those that name the drug and may have happened while it was taken or within the gap after its end."""
    if trial.drug is None:
        return []
    agent, first_day = trial.drug.agent, trial.exposure.first_day
    until = shifted(trial.exposure.last_day, max_gap_days)
    return [
        reaction
        for reaction in reactions
        if _may_be_on(reaction, first_day, until)
        and reaction.agent == agent
        and reaction.holds is not Answer.NOT_MET
    ]


def _may_be_on(reaction: Reaction, first_day: date, last_day: date) -> bool:
    if reaction.day is not None:
        return first_day <= reaction.day <= last_day
    # Written down before the drug was taken, it tells of an earlier use.
    return reaction.recorded is None or reaction.recorded >= first_day


def _was_stopped(trial: Trial, definition: Definition, on: date) -> bool:
    """Whether the drug is no longer taken, and the trial was the last of its use."""
    exposure = trial.exposure
    last_day = trial.possible_last_day or trial.last_day or exposure.last_day
    is_last = (exposure.last_day - last_day).days <= definition.max_gap_days
    return exposure.last_day < on and is_last


def _explains_the_end(reaction: Reaction, exposure: Exposure, max_gap_days: int) -> Answer:
    if reaction.day is None:
        return Answer.UNKNOWN
    soon = shifted(reaction.day, max_gap_days)
    certain = [segment.last_day for segment in exposure.segments if segment.days_certain]
    earliest_end = max(certain, default=exposure.first_day)
    ends = {reaction.day <= day <= soon for day in (earliest_end, exposure.last_day)}
    may_end_soon = earliest_end <= soon and exposure.last_day >= reaction.day
    if ends == {True}:
        return reaction.holds
    return Answer.UNKNOWN if may_end_soon else Answer.NOT_MET


def _in_words(reaction: Reaction) -> str:
    when = f"on {reaction.day}" if reaction.day else "on an unknown day"
    doubt = "" if reaction.holds is Answer.MET else "suspected "
    return f"{doubt}adverse effect: {reaction.text} {when}"
