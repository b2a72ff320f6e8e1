"""Which trials belong to the current depressive episode and lie within the lookback.

Full remission ends an episode. It is documented by a diagnosis of full remission, or by two scores in
the remission range at least `remission_confirmed_days` apart with none above it between them. Partial
remission ends nothing. A single remission score that is the newest one leaves it open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.days import shifted
from cds_service.trd.model import (
    Answer,
    Definition,
    Diagnosis,
    DiagnosisRole,
    Finding,
    History,
    Score,
    Trial,
)
from cds_service.trd.outcomes import is_remission, scores_by_scale


@dataclass(frozen=True)
class Remission:
    """A full remission. `day` is None when it is undated; `is_sure` is False when it needs confirming."""

    day: date | None
    is_sure: bool
    text: str
    evidence: tuple[str, ...]


def find_remissions(history: History, definition: Definition) -> tuple[Remission, ...]:
    """All documented and possible full remissions."""
    from_diagnoses = [
        _remission_of(diagnosis)
        for diagnosis in history.diagnoses
        if diagnosis.role is DiagnosisRole.FULL_REMISSION and diagnosis.holds is not Answer.NOT_MET
    ]
    return (*from_diagnoses, *_remissions_in(history.scores, definition.remission_confirmed_days))


def judge_scope(trial: Trial, remissions: Sequence[Remission], definition: Definition, on: date) -> Finding:
    """Whether the trial ended within the lookback and after the last full remission.

    A trial whose last day is exactly `lookback_days` before `on` is within. One that was running when
    remission came belongs to neither episode for certain: unknown.
    """
    first_day = trial.first_day or trial.possible_first_day or trial.exposure.first_day
    last_day = trial.last_day or trial.possible_last_day or trial.exposure.last_day
    latest_day = max(last_day, trial.possible_last_day or last_day)
    oldest = shifted(on, -definition.lookback_days)
    if latest_day < oldest:
        text = f"ended {latest_day}, more than {definition.lookback_days} days ago"
        return Finding("scope", Answer.NOT_MET, text)
    for answer in (Answer.NOT_MET, Answer.UNKNOWN):
        for remission in remissions:
            if _ended_by(remission, first_day, last_day) is answer:
                return Finding("scope", answer, _why(answer, remission), remission.evidence)
    if last_day < oldest:
        return Finding("scope", Answer.UNKNOWN, "its last day is not certain, so it may be too long ago")
    return Finding("scope", Answer.MET, "in the current episode, as far as is recorded")


def _ended_by(remission: Remission, first_day: date, last_day: date) -> Answer:
    """`NOT_MET` when the remission ended the trial's episode, `MET` when the trial came after it."""
    if remission.day is None:
        return Answer.UNKNOWN
    if remission.day < first_day:
        return Answer.MET
    return Answer.NOT_MET if remission.is_sure and remission.day >= last_day else Answer.UNKNOWN


def _why(answer: Answer, remission: Remission) -> str:
    if answer is Answer.NOT_MET:
        return f"belongs to an episode that ended: {remission.text}"
    return f"may belong to an episode that ended: {remission.text}"


def _remission_of(diagnosis: Diagnosis) -> Remission:
    day = diagnosis.recorded or diagnosis.ended
    when = f"on {day}" if day else "on an unknown day"
    text = f"{diagnosis.text} recorded {when}"
    return Remission(day, diagnosis.holds is Answer.MET, text, (diagnosis.reference,))


def _remissions_in(scores: Sequence[Score], confirmed_days: int) -> list[Remission]:
    return [
        remission
        for series in scores_by_scale(scores)
        if series[0].scale.remission_at_most is not None
        for remission in _remissions_in_series(series, confirmed_days)
    ]


def _remissions_in_series(series: list[Score], confirmed_days: int) -> list[Remission]:
    found = []
    low: list[Score] = []
    for score in series:
        if is_remission(score):
            low.append(score)
            continue
        if _is_confirmed(low, confirmed_days):
            found.append(_remission_by_scores(low, is_sure=True))
        low = []
    if low:
        found.append(_remission_by_scores(low, is_sure=_is_confirmed(low, confirmed_days)))
    return found


def _is_confirmed(low: list[Score], confirmed_days: int) -> bool:
    return bool(low) and (low[-1].day - low[0].day).days >= confirmed_days


def _remission_by_scores(low: list[Score], *, is_sure: bool) -> Remission:
    first, last = low[0], low[-1]
    totals = f"{first.scale.name} {first.value:g} on {first.day}"
    if last is not first:
        totals += f" and {last.value:g} on {last.day}"
    text = f"full remission, {totals}" if is_sure else f"{totals}, which one more score would confirm"
    return Remission(first.day, is_sure, text, tuple(dict.fromkeys((first.reference, last.reference))))
