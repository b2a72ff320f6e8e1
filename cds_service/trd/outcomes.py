"""Trials → outcomes: which scores belong to a trial, and what they show.

Baseline and last score are on one scale; a change of scale is no outcome. Improvement is
(baseline - last) / baseline x 100. Of several scales the one that ranks first decides, and only while none
says the opposite. Without scores, a documented reason for stopping may decide.
Sources: the score windows and thresholds of the definition.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import shifted
from cds_service.trd.intolerance import judge_intolerance
from cds_service.trd.model import Outcome, Response, Trial
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    History,
    Reaction,
    Score,
    StopReason,
    UnreadScore,
)


def judge_outcomes(
    trials: Sequence[Trial], history: History, definition: Definition, on: date
) -> tuple[Outcome, ...]:
    """One outcome a trial, in the same order. `on` is today.

    The trial of an outcome has `intolerance` as its reason for stopping also where only a recorded reaction
    shows it.
    """
    series = {
        scores[0].scale.name: scores for scores in history.score_series if scores[0].scale.has_percent_rule
    }
    for unread in history.unread_scores:
        if unread.scale is None or unread.scale.has_percent_rule:
            series.setdefault(unread.scale.name if unread.scale else "", ())
    reactions = _by_agent(history.reactions)
    return tuple(_outcome(trial, series, reactions, history, definition, on) for trial in trials)


def _by_agent(reactions: Iterable[Reaction]) -> dict[str, list[Reaction]]:
    """Each reaction once: an event may name one drug many times."""
    found: dict[str, list[Reaction]] = defaultdict(list)
    for reaction in dict.fromkeys(reactions):
        found[reaction.agent].append(reaction)
    return found


def _outcome(
    trial: Trial,
    series: Mapping[str, Sequence[Score]],
    reactions: Mapping[str, Sequence[Reaction]],
    history: History,
    definition: Definition,
    on: date,
) -> Outcome:
    of_drug = reactions.get(trial.drug.agent, ()) if trial.drug else ()
    intolerance = judge_intolerance(trial, of_drug, definition, on)
    if intolerance is not None and intolerance.answer is Answer.MET:
        trial = replace(trial, stop_reason=StopReason.INTOLERANCE)
    judgeable_from = _judgeable_from(trial, definition, on)
    is_too_early = trial.is_running and (
        trial.duration.answer is Answer.NOT_MET or bool(judgeable_from and judgeable_from > on)
    )
    outcome = _judge(trial, series, history.unread_scores, definition, is_too_early=is_too_early)
    if is_too_early and outcome.insufficient.answer is Answer.MET:
        outcome = _not_enough_so_far(outcome)
    if outcome.response is Response.ONGOING and judgeable_from is not None:
        text = f"{outcome.insufficient.text}, and can be judged from {judgeable_from}"
        outcome = replace(outcome, insufficient=replace(outcome.insufficient, text=text))
    is_open = is_too_early or outcome.insufficient.answer is Answer.UNKNOWN
    if not is_open:
        judgeable_from = None
    if judgeable_from is None and intolerance is None:
        return outcome
    outcome = replace(outcome, judgeable_from=judgeable_from, intolerance=intolerance)
    return _with_reactions_named(outcome)


def _not_enough_so_far(outcome: Outcome) -> Outcome:
    """Scores of a running trial that show no response yet: no outcome, while the trial may still help."""
    text = f"too early to judge: the trial is running; so far {outcome.insufficient.text}"
    finding = replace(outcome.insufficient, answer=Answer.UNKNOWN, text=text)
    return replace(outcome, response=Response.ONGOING, insufficient=finding)


def _judgeable_from(trial: Trial, definition: Definition, on: date) -> date | None:
    """When a running trial is long enough and a last score counts, today at the earliest.

    None when it is over, when it will never be long enough at its dose, and when its days are not certain.
    """
    if not trial.is_running or trial.first_day is None or trial.duration.answer is Answer.UNKNOWN:
        return None
    long_enough_on = trial.long_enough_on or (on if trial.duration.answer is Answer.MET else None)
    first_late_day = shifted(trial.first_day, definition.last_score_from_day - 1)
    return max(on, long_enough_on, first_late_day) if long_enough_on else None


def _with_reactions_named(outcome: Outcome) -> Outcome:
    """What is recorded of adverse effects, whether or not it explains why the drug was stopped."""
    intolerance, finding = outcome.intolerance, outcome.insufficient
    if intolerance is None or not intolerance.text:
        return outcome
    evidence = tuple(dict.fromkeys((*finding.evidence, *intolerance.evidence)))
    return replace(
        outcome, insufficient=replace(finding, text=f"{finding.text}; {intolerance.text}", evidence=evidence)
    )


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


def _judge(
    trial: Trial,
    series: Mapping[str, Sequence[Score]],
    unread: Sequence[UnreadScore],
    definition: Definition,
    *,
    is_too_early: bool,
) -> Outcome:
    windows = _windows(trial, definition)
    readings = [_reading(name, scores, windows, unread, definition) for name, scores in series.items()]
    changes = [_from_scores(trial, reading, definition) for reading in readings if reading.has_change]
    doubts = [r.doubt for r in readings if r.doubt and (r.may_change or not changes)]
    if changes:
        outcome = _agreed([*changes, *_remissions_beside(changes, readings)])
        if doubts and outcome.insufficient.answer is not Answer.UNKNOWN:
            outcome = _left_open(outcome, doubts[0])
    else:
        outcome = _without_change(trial, readings, is_too_early=is_too_early)
    is_told = bool(doubts or changes)
    if trial.stop_reason is StopReason.INTOLERANCE:
        if definition.intolerance_counts_as_failure:
            return _intolerance_fails(outcome, is_told)
        return _intolerance_excuses(outcome, is_told)
    if not is_told and outcome.insufficient.answer is Answer.UNKNOWN:
        return _by_stated_effect(outcome, definition)
    return outcome


def _by_stated_effect(outcome: Outcome, definition: Definition) -> Outcome:
    """What the reason for stopping says of the effect, where no score does and none that is unread may."""
    evidence = outcome.trial.exposure.evidence
    if outcome.trial.stop_reason is StopReason.INEFFICACY:
        text = "stopped for lack of effect, as documented; no scores"
        finding = Finding("response", Answer.MET, text, evidence)
        return replace(outcome, response=Response.NO_RESPONSE, insufficient=finding)
    if outcome.trial.stop_reason is StopReason.PARTIAL_RESPONSE:
        text = "stopped after a partial response, as documented; no scores"
        finding = Finding("response", _is_partial_insufficient(definition), text, evidence)
        return replace(outcome, response=Response.PARTIAL_RESPONSE, insufficient=finding)
    return outcome


def _is_partial_insufficient(definition: Definition) -> Answer:
    """Unknown where the threshold lies within the range of a partial response."""
    threshold = definition.nonresponse_below_percent
    if threshold >= definition.response_from_percent:
        return Answer.MET
    return Answer.NOT_MET if threshold <= definition.partial_response_from_percent else Answer.UNKNOWN


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
    """`scores` are in order of their days."""
    within = _scores_in(scores, window)
    return within[-1] if within else None


def _scores_in(scores: Sequence[Score], window: Window) -> Sequence[Score]:
    first = bisect_left(scores, window[0], key=_day)
    return scores[first : bisect_right(scores, window[1], lo=first, key=_day)]


def _day(score: Score) -> date:
    return score.day


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
    baselines = _scores_in(scores, windows.possible_baseline)
    lasts = _scores_in(scores, windows.possible_last)
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
    has_worsened = last.value > baseline.value
    return Outcome(trial, response, finding, baseline, last, improvement, has_worsened=has_worsened)


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


def _agreed(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome on the scale that ranks first, unless another reading says the opposite."""
    first, *others = outcomes
    if not others:
        return first
    names = [outcome.last.scale.name for outcome in others if outcome.last]
    if all(outcome.insufficient.answer is first.insufficient.answer for outcome in others):
        agree = "which agrees" if len(names) == 1 else "which agree"
        name = first.last.scale.name if first.last else ""
        text = f"{first.insufficient.text}; {name} decides (ranks before {_listed(names)}, {agree})"
        return replace(first, insufficient=replace(first.insufficient, text=text))
    texts = [outcome.insufficient.text for outcome in outcomes]
    scales = [outcome.last.scale.name for outcome in outcomes if outcome.last]
    evidence = tuple(dict.fromkeys(ref for outcome in outcomes for ref in outcome.insufficient.evidence))
    text = f"{_listed(scales)} disagree: {'; '.join(dict.fromkeys(texts))}"
    return replace(_left_open(first, text), insufficient=Finding("response", Answer.UNKNOWN, text, evidence))


def _listed(names: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def _remissions_beside(changes: Sequence[Outcome], readings: Sequence[_Reading]) -> list[Outcome]:
    """Scales without a baseline whose last score is remission, and no older than the changes on other scales."""
    newest = max(change.last.day for change in changes if change.last)
    return [
        _remission(changes[0].trial, reading.last)
        for reading in readings
        if reading.last and reading.baseline is None and not reading.doubt
        if is_remission(reading.last) and reading.last.day >= newest
    ]


def _remission(trial: Trial, last: Score) -> Outcome:
    text = f"{last.scale.name} {last.value:g} on {last.day} is remission"
    finding = Finding("response", Answer.NOT_MET, text, (last.reference,))
    return Outcome(trial, Response.REMISSION, finding, None, last)


def _left_open(shown: Outcome, why: str) -> Outcome:
    """The same scores without an answer."""
    finding = Finding("response", Answer.UNKNOWN, why, shown.insufficient.evidence)
    return replace(shown, response=Response.UNKNOWN, insufficient=finding)


def _without_change(trial: Trial, readings: Sequence[_Reading], *, is_too_early: bool) -> Outcome:
    shown = _partial(trial, readings)
    if is_too_early:
        finding = Finding("response", Answer.UNKNOWN, "too early to judge: the trial is running")
        return Outcome(trial, Response.ONGOING, finding, shown.baseline, shown.last)
    remission = _remission_without_baseline(readings)
    if remission is not None:
        return _remission(trial, remission)
    return _left_open(shown, _what_is_lacking(readings) + _another_reason(trial))


def _another_reason(trial: Trial) -> str:
    """What the orders say of why they ended, where that tells of neither effect nor tolerability."""
    if trial.stop_reason is not StopReason.OTHER:
        return ""
    said = dict.fromkeys(order.stop_text for order in trial.exposure.prescriptions if order.stop_text)
    reason = f" ({'; '.join(said)})" if said else ""
    return f"; the reason for stopping tells of neither effect nor tolerability{reason}"


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


def _partial(trial: Trial, readings: Sequence[_Reading]) -> Outcome:
    """The first scale that has any score in the windows, without an answer."""
    reading = next((r for r in readings if r.baseline or r.last), _Reading(None, None))
    evidence = tuple(score.reference for score in (reading.baseline, reading.last) if score)
    finding = Finding("response", Answer.UNKNOWN, "", evidence)
    return Outcome(trial, Response.UNKNOWN, finding, reading.baseline, reading.last)


def _intolerance_excuses(outcome: Outcome, is_told: bool) -> Outcome:
    """Intolerance is no failure. A long trial that scores show to have failed could be either: unknown.

    `is_told` tells that scores speak of the outcome, or that some which could not be read may.
    """
    trial, answer = outcome.trial, outcome.insufficient.answer
    if answer is Answer.NOT_MET:
        return outcome
    if answer is Answer.MET and trial.is_adequate is not Answer.NOT_MET:
        return _left_open(outcome, f"stopped for an adverse effect, after {outcome.insufficient.text}")
    if is_told and trial.is_adequate is not Answer.NOT_MET:
        return outcome
    text = "stopped for an adverse effect: intolerance, not lack of response"
    return _intolerance(outcome, Answer.NOT_MET, text)


def _intolerance_fails(outcome: Outcome, is_told: bool) -> Outcome:
    """Intolerance is failure. A trial that scores show to have worked could be either: unknown."""
    if outcome.insufficient.answer is Answer.NOT_MET:
        return _left_open(outcome, f"stopped for an adverse effect, after {outcome.insufficient.text}")
    if is_told:
        return outcome
    return _intolerance(
        outcome, Answer.MET, "stopped for an adverse effect, which this definition counts as failure"
    )


def _intolerance(outcome: Outcome, insufficient: Answer, text: str) -> Outcome:
    finding = Finding("response", insufficient, text, outcome.trial.exposure.evidence)
    return replace(outcome, response=Response.INTOLERANCE, insufficient=finding)
