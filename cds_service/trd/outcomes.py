"""Trials → outcomes: which scores belong to a trial, and what they show.

Baseline and last score are on one scale; a change of scale is no outcome. Improvement is
(baseline - last) / baseline x 100. Without scores, a documented reason for stopping may decide.
Sources: the score windows and thresholds of the definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.days import shifted
from cds_service.trd.model import (
    Answer,
    Definition,
    Finding,
    History,
    Outcome,
    Response,
    Score,
    StopReason,
    Trial,
    UnreadScore,
)


def judge_outcomes(trials: Sequence[Trial], history: History, definition: Definition) -> tuple[Outcome, ...]:
    """One outcome a trial, in the same order."""
    series = [scores for scores in history.score_series if scores[0].scale.has_percent_rule]
    return tuple(_outcome(trial, series, history.unread_scores, definition) for trial in trials)


@dataclass(frozen=True)
class _Reading:
    """What one scale shows about one trial; `doubt` says why it cannot be relied on, or is empty."""

    baseline: Score | None
    last: Score | None
    doubt: str = ""

    @property
    def has_change(self) -> bool:
        return not self.doubt and self.baseline is not None and self.last is not None


def _outcome(
    trial: Trial,
    series: Sequence[Sequence[Score]],
    unread: Sequence[UnreadScore],
    definition: Definition,
) -> Outcome:
    readings = [
        _reading(scores, first_day, last_day, unread, definition)
        for first_day, last_day in _honest_spans(trial)
        for scores in series
    ]
    changes = [_from_scores(trial, reading, definition) for reading in readings if reading.has_change]
    if changes:
        outcome = _agreed(trial, changes)
        doubts = [
            reading.doubt for reading in readings if reading.doubt and reading.baseline and reading.last
        ]
        if doubts:
            outcome = _unknown(trial, doubts[0], outcome)
    else:
        outcome = _without_change(trial, readings)
    return _in_light_of_stop_reason(outcome, bool(changes), definition)


def _honest_spans(trial: Trial) -> list[tuple[date, date]]:
    """The first and last day, in each reading that uncertain days allow."""
    spans = []
    for first_day, last_day in (
        (trial.first_day, trial.last_day),
        (trial.possible_first_day, trial.possible_last_day),
    ):
        if first_day and last_day and (first_day, last_day) not in spans:
            spans.append((first_day, last_day))
    return spans


def _reading(
    scores: Sequence[Score],
    first_day: date,
    last_day: date,
    unread: Sequence[UnreadScore],
    definition: Definition,
) -> _Reading:
    baseline_window = (
        shifted(first_day, -definition.baseline_days_before),
        shifted(first_day, definition.baseline_days_after),
    )
    last_window = (
        shifted(first_day, definition.last_score_from_day - 1),
        shifted(last_day, definition.last_score_days_after),
    )
    baseline, last = _last_in(scores, baseline_window), _last_in(scores, last_window)
    scale = scores[0].scale.name
    hidden = [u for u in unread if u.scale is None or u.scale.name == scale]
    if _may_replace(baseline, baseline_window, hidden) or _may_replace(last, last_window, hidden):
        return _Reading(baseline, last, "a score in the window could not be read")
    if baseline is not None and baseline.value <= 0:
        return _Reading(baseline, last, f"a baseline of {baseline.value:g} allows no percentage")
    return _Reading(baseline, last)


def _last_in(scores: Sequence[Score], window: tuple[date, date]) -> Score | None:
    return next((score for score in reversed(scores) if window[0] <= score.day <= window[1]), None)


def _may_replace(chosen: Score | None, window: tuple[date, date], unread: Iterable[UnreadScore]) -> bool:
    """Whether an unread score may be the later one in the window, and so the one that counts."""
    if chosen is None:
        return False
    after = shifted(chosen.day, 1)
    return any(
        (u.last_day is None or u.last_day >= after) and (u.first_day is None or u.first_day <= window[1])
        for u in unread
        if after <= window[1]
    )


def improvement_percent(baseline: Score, last: Score) -> float:
    """(baseline - last) / baseline x 100; negative when symptoms grew. The baseline is above 0."""
    return (baseline.value - last.value) * 100 / baseline.value


def _from_scores(trial: Trial, reading: _Reading, definition: Definition) -> Outcome:
    assert reading.baseline is not None
    assert reading.last is not None
    baseline, last = reading.baseline, reading.last
    improvement = improvement_percent(baseline, last)
    response = _response(improvement, last, definition)
    threshold = definition.nonresponse_below_percent
    is_below = improvement < threshold and response is not Response.REMISSION
    text = (
        f"{baseline.scale.name} {baseline.value:g} on {baseline.day} to {last.value:g} on {last.day}: "
        f"{_change_in_words(improvement)}; below {threshold:g} % is insufficient"
    )
    finding = Finding(
        "response",
        Answer.MET if is_below else Answer.NOT_MET,
        text,
        (baseline.reference, last.reference),
    )
    return Outcome(trial, response, finding, baseline, last, improvement)


def _response(improvement: float, last: Score, definition: Definition) -> Response:
    if is_remission(last):
        return Response.REMISSION
    if improvement >= definition.response_from_percent:
        return Response.RESPONSE
    if improvement >= definition.partial_response_from_percent:
        return Response.PARTIAL_RESPONSE
    return Response.NO_RESPONSE


def is_remission(score: Score) -> bool:
    """Whether the total is within the scale's remission range; never for a scale that states none."""
    limit = score.scale.remission_at_most
    return limit is not None and score.value <= limit


def _change_in_words(improvement: float) -> str:
    if improvement == 0:
        return "no change"
    return f"{abs(improvement):.1f} % {'better' if improvement > 0 else 'worse'}"


def _agreed(trial: Trial, outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome on the scale that ranks first, unless another reading says the opposite."""
    answers = {outcome.insufficient.answer for outcome in outcomes}
    if len(answers) == 1:
        return outcomes[0]
    return _unknown(trial, "; ".join(dict.fromkeys(o.insufficient.text for o in outcomes)), outcomes[0])


def _unknown(trial: Trial, why: str, shown: Outcome | None = None) -> Outcome:
    evidence = shown.insufficient.evidence if shown else ()
    finding = Finding("response", Answer.UNKNOWN, why, evidence)
    if shown is None:
        return Outcome(trial, Response.UNKNOWN, finding)
    return Outcome(trial, Response.UNKNOWN, finding, shown.baseline, shown.last, shown.improvement_percent)


def _without_change(trial: Trial, readings: Sequence[_Reading]) -> Outcome:
    if trial.is_running and trial.duration.answer is Answer.NOT_MET:
        finding = Finding("response", Answer.UNKNOWN, "too early to judge: the trial is running")
        return Outcome(trial, Response.ONGOING, finding)
    remission = _remission_without_baseline(readings)
    if remission is not None:
        text = f"{remission.scale.name} {remission.value:g} on {remission.day} is remission"
        finding = Finding("response", Answer.NOT_MET, text, (remission.reference,))
        return Outcome(trial, Response.REMISSION, finding, None, remission)
    return _unknown(trial, _what_is_lacking(readings), _partial(trial, readings))


def _remission_without_baseline(readings: Sequence[_Reading]) -> Score | None:
    lasts = [reading.last for reading in readings if not reading.doubt]
    if not lasts or any(last is None or not is_remission(last) for last in lasts):
        return None
    return lasts[0]


def _what_is_lacking(readings: Sequence[_Reading]) -> str:
    doubts = [reading.doubt for reading in readings if reading.doubt]
    if doubts:
        return doubts[0]
    if any(reading.baseline for reading in readings):
        return "no score on the baseline's scale late enough in the trial"
    if any(reading.last for reading in readings):
        return "no score at the start of the trial"
    return "no score at the start and none late in the trial"


def _partial(trial: Trial, readings: Sequence[_Reading]) -> Outcome | None:
    reading = next((r for r in readings if r.baseline or r.last), None)
    if reading is None:
        return None
    evidence = tuple(score.reference for score in (reading.baseline, reading.last) if score)
    finding = Finding("response", Answer.UNKNOWN, "", evidence)
    return Outcome(trial, Response.UNKNOWN, finding, reading.baseline, reading.last)


def _in_light_of_stop_reason(outcome: Outcome, is_scored: bool, definition: Definition) -> Outcome:
    """What the reason for stopping adds. Scores, where they exist, come before a stated lack of effect."""
    trial, answer = outcome.trial, outcome.insufficient.answer
    if trial.stop_reason is StopReason.INEFFICACY and not is_scored and answer is Answer.UNKNOWN:
        text = "stopped for lack of effect, as documented; no scores"
        finding = Finding("response", Answer.MET, text, trial.exposure.evidence)
        return Outcome(trial, Response.NO_RESPONSE, finding, outcome.baseline, outcome.last)
    if trial.stop_reason is StopReason.INTOLERANCE and not definition.intolerance_counts_as_failure:
        return _stopped_for_intolerance(outcome)
    return outcome


def _stopped_for_intolerance(outcome: Outcome) -> Outcome:
    """Intolerance is no failure. A long trial that scores show to have failed could be either: unknown."""
    trial, answer = outcome.trial, outcome.insufficient.answer
    if answer is Answer.NOT_MET:
        return outcome
    if answer is Answer.MET and trial.is_adequate is not Answer.NOT_MET:
        text = f"stopped for an adverse effect, after {outcome.insufficient.text}"
        return _unknown(trial, text, outcome)
    finding = Finding(
        "response",
        Answer.NOT_MET,
        "stopped for an adverse effect: intolerance, not lack of response",
        trial.exposure.evidence,
    )
    return Outcome(
        trial, Response.INTOLERANCE, finding, outcome.baseline, outcome.last, outcome.improvement_percent
    )
