"""Trials → outcomes: which scores belong to a trial, and what they show.

Baseline and last score are on one scale; a change of scale is no outcome. Improvement is
(baseline - last) / baseline x 100. Without scores, a documented reason for stopping may decide.
Sources: the score windows and thresholds of the definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    series = {
        scores[0].scale.name: scores for scores in history.score_series if scores[0].scale.has_percent_rule
    }
    for unread in history.unread_scores:
        if unread.scale is None or unread.scale.has_percent_rule:
            series.setdefault(unread.scale.name if unread.scale else "", ())
    return tuple(_outcome(trial, series, history.unread_scores, definition) for trial in trials)


@dataclass(frozen=True)
class _Reading:
    """What one scale shows about one trial.

    `doubt` says why it cannot be relied on, or is empty; `may_change` is False for a doubt that cannot
    make a change out of a scale that has none: one unread score is not yet two.
    """

    baseline: Score | None
    last: Score | None
    doubt: str = ""
    may_change: bool = True

    @property
    def has_change(self) -> bool:
        return not self.doubt and self.baseline is not None and self.last is not None


def _outcome(
    trial: Trial,
    series: Mapping[str, Sequence[Score]],
    unread: Sequence[UnreadScore],
    definition: Definition,
) -> Outcome:
    windows = _windows(trial, definition)
    readings = [_reading(name, scores, windows, unread, definition) for name, scores in series.items()]
    changes = [_from_scores(trial, reading, definition) for reading in readings if reading.has_change]
    doubts = [r.doubt for r in readings if r.doubt and (r.may_change or not changes)]
    if changes:
        outcome = _agreed(trial, changes)
        if doubts and outcome.insufficient.answer is not Answer.UNKNOWN:
            outcome = _unknown(trial, doubts[0], outcome)
    else:
        outcome = _without_change(trial, readings)
    if doubts or changes:
        return _stopped_for_intolerance(outcome) if _is_intolerance(trial, definition) else outcome
    return _by_stop_reason(outcome, definition)


Window = tuple[date, date]


@dataclass(frozen=True)
class _Windows:
    """The days on which baseline and last score count, by the days shown and by all that are possible.

    They differ when the first or the last adequate day of the trial is not certain.
    """

    baseline: Window
    last: Window
    possible_baseline: Window
    possible_last: Window

    @property
    def are_exact(self) -> bool:
        return (self.baseline, self.last) == (self.possible_baseline, self.possible_last)


def _windows(trial: Trial, definition: Definition) -> _Windows:
    exposure = trial.exposure
    earliest_start = trial.possible_first_day or exposure.first_day
    latest_end = trial.possible_last_day or exposure.last_day
    latest_start = trial.first_day or latest_end
    shown_start, shown_end = trial.first_day or earliest_start, trial.last_day or latest_end
    before, after = -definition.baseline_days_before, definition.baseline_days_after
    from_day, until = definition.last_score_from_day - 1, definition.last_score_days_after
    baseline = (shifted(shown_start, before), shifted(shown_start, after))
    last = (shifted(shown_start, from_day), shifted(shown_end, until))
    if earliest_start == latest_start == shown_start and latest_end == shown_end:
        return _Windows(baseline, last, baseline, last)
    return _Windows(
        baseline=baseline,
        last=last,
        possible_baseline=(shifted(earliest_start, before), shifted(latest_start, after)),
        possible_last=(shifted(earliest_start, from_day), shifted(latest_end, until)),
    )


def _reading(
    scale_name: str,
    scores: Sequence[Score],
    windows: _Windows,
    unread: Sequence[UnreadScore],
    definition: Definition,
) -> _Reading:
    baseline, last = _last_in(scores, windows.baseline), _last_in(scores, windows.last)
    hidden = [u for u in unread if u.scale is None or u.scale.name == scale_name]
    hides_baseline = _may_replace(baseline, windows.possible_baseline, hidden)
    hides_last = _may_replace(last, windows.possible_last, hidden)
    if hides_baseline or hides_last:
        has_both = (baseline or hides_baseline) and (last or hides_last)
        enough = len(hidden) + (baseline is not None) + (last is not None) >= 2
        return _Reading(baseline, last, "a score in the window could not be read", bool(has_both and enough))
    if baseline is not None and baseline.value <= 0:
        return _Reading(baseline, last, f"a baseline of {baseline.value:g} allows no percentage")
    if not windows.are_exact and not _is_same_whenever(scores, windows, definition):
        return _Reading(baseline, last, "which scores count depends on days that are not certain")
    return _Reading(baseline, last)


def _last_in(scores: Sequence[Score], window: Window) -> Score | None:
    return next((score for score in reversed(scores) if window[0] <= score.day <= window[1]), None)


def _may_replace(chosen: Score | None, window: Window, unread: Iterable[UnreadScore]) -> bool:
    """Whether an unread score may be the one in the window that counts: the last."""
    after = shifted(chosen.day, 1) if chosen else window[0]
    return any(
        (u.last_day is None or u.last_day >= after) and (u.first_day is None or u.first_day <= window[1])
        for u in unread
        if after <= window[1]
    )


MOST_PAIRS = 10_000


def _is_same_whenever(scores: Sequence[Score], windows: _Windows, definition: Definition) -> bool:
    """Whether every baseline and last score that may count, on any possible day, give the same answer."""
    baselines = [s for s in scores if windows.possible_baseline[0] <= s.day <= windows.possible_baseline[1]]
    lasts = [s for s in scores if windows.possible_last[0] <= s.day <= windows.possible_last[1]]
    if not baselines and not lasts:
        return True
    if len(baselines) * len(lasts) > MOST_PAIRS or any(score.value <= 0 for score in baselines):
        return False
    answers = {_is_insufficient(b, last, definition) for b in baselines for last in lasts if b.day < last.day}
    is_always_there = _last_in(scores, windows.baseline) and _last_in(scores, windows.last)
    return len(answers) == 1 and is_always_there is not None


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
    is_below = _is_insufficient(baseline, last, definition)
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


def _is_insufficient(baseline: Score, last: Score, definition: Definition) -> bool:
    """Below the definition's threshold, unless the last score is remission all the same."""
    is_below = improvement_percent(baseline, last) < definition.nonresponse_below_percent
    return is_below and not is_remission(last)


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
    """The newest last score, when it is remission, on whichever scale it was taken."""
    lasts = [reading.last for reading in readings if reading.last]
    if not lasts or any(reading.doubt for reading in readings):
        return None
    newest_day = max(last.day for last in lasts)
    newest = [last for last in lasts if last.day == newest_day]
    return newest[0] if all(is_remission(last) for last in newest) else None


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


def _is_intolerance(trial: Trial, definition: Definition) -> bool:
    return trial.stop_reason is StopReason.INTOLERANCE and not definition.intolerance_counts_as_failure


def _by_stop_reason(outcome: Outcome, definition: Definition) -> Outcome:
    """What the reason for stopping says where no score tells, and none that could not be read might."""
    trial, answer = outcome.trial, outcome.insufficient.answer
    if answer is not Answer.UNKNOWN:
        return outcome
    if trial.stop_reason is StopReason.INEFFICACY:
        text = "stopped for lack of effect, as documented; no scores"
        finding = Finding("response", Answer.MET, text, trial.exposure.evidence)
        return Outcome(trial, Response.NO_RESPONSE, finding, outcome.baseline, outcome.last)
    return _intolerance(outcome) if _is_intolerance(trial, definition) else outcome


def _stopped_for_intolerance(outcome: Outcome) -> Outcome:
    """Intolerance is no failure. A long trial that scores show to have failed could be either: unknown."""
    trial, answer = outcome.trial, outcome.insufficient.answer
    if trial.is_adequate is Answer.NOT_MET and answer is not Answer.NOT_MET:
        return _intolerance(outcome)
    if answer is not Answer.MET:
        return outcome
    return _unknown(trial, f"stopped for an adverse effect, after {outcome.insufficient.text}", outcome)


def _intolerance(outcome: Outcome) -> Outcome:
    finding = Finding(
        "response",
        Answer.NOT_MET,
        "stopped for an adverse effect: intolerance, not lack of response",
        outcome.trial.exposure.evidence,
    )
    return Outcome(
        outcome.trial,
        Response.INTOLERANCE,
        finding,
        outcome.baseline,
        outcome.last,
        outcome.improvement_percent,
    )
