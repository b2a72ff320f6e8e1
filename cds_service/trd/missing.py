"""What, if it were recorded, would help to decide: named exactly, with why and what to ask for.

It is named in terms of the rule by which the definition decides: trials and their scores, the use of drugs, or
the items of a staging method.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import shifted
from cds_service.trd.model import (
    JudgedTrial,
    Judgement,
    Missing,
    StagingItem,
    Verdict,
)
from cds_service.trd.parameters import Definition, Rule
from cds_service.trd.record import StopReason

USUAL_SCALE = "PHQ-9"


def find_missing(
    judgement: Judgement,
    orders_not_read: Collection[str],
    searches_not_read: Collection[str],
    safety: Finding,
    definition: Definition,
) -> tuple[Missing, ...]:
    """One or more entries for each unknown that bears on the verdict. Unless that is indeterminate, nothing but
    the safety answer is missing."""
    lacking: list[Missing] = []
    if judgement.verdict is Verdict.INDETERMINATE:
        enough, *others = judgement.reasons
        if enough.answer is Answer.UNKNOWN:
            lacking += _MISSING_BY[definition.rule](judgement, definition)
            lacking += [_unread_order(reference) for reference in sorted(orders_not_read)]
            lacking += [_unread_search(reference) for reference in sorted(searches_not_read)]
            lacking = lacking or [Missing(f"what decides on {enough.criterion}", enough.text, _SEE_TEXT)]
        unknown = [reason for reason in others if reason.answer is Answer.UNKNOWN]
        lacking += [_ASKS[reason.criterion](reason) for reason in unknown if reason.criterion in _ASKS]
    if safety.answer is Answer.UNKNOWN:
        lacking.append(Missing("answer on thoughts of death or self-harm", safety.text, "Ask PHQ-9 item 9."))
    return tuple(dict.fromkeys(lacking))


_SEE_TEXT = "Record what the reason says is not known."


def _unread_order(reference: str) -> Missing:
    return Missing(f"the order {reference}", "it could not be read", "See its entry under unread.")


def _unread_search(reference: str) -> Missing:
    return Missing(f"the {reference}", "it could not be read in full", "See its entry under unread.")


# --- by the rule of the definition --------------------------------------------------------------------


def _missing_in_trials(judgement: Judgement, definition: Definition) -> Iterator[Missing]:
    for judged in judgement.trials:
        if judged.failed.answer is Answer.UNKNOWN:
            yield from _missing_in_trial(judged, definition)
    for judged in _rivals(judgement.trials):
        yield from _missing_in_use(judged)


def _rivals(trials: Sequence[JudgedTrial]) -> Iterator[JudgedTrial]:
    """Trials that are decided themselves, but may stand for their agent in place of one that says otherwise."""
    by_agent: dict[str, list[JudgedTrial]] = defaultdict(list)
    for judged in trials:
        by_agent[judged.trial.agent].append(judged)
    for of_agent in by_agent.values():
        answers = {judged.failed.answer for judged in of_agent}
        for judged in of_agent:
            is_open = judged.trial.is_adequate is Answer.UNKNOWN
            if len(answers) > 1 and is_open and judged.failed.answer is not Answer.UNKNOWN:
                yield judged


def _missing_in_treatments(judgement: Judgement, definition: Definition) -> Iterator[Missing]:
    """Which drugs there were and when they were taken; their dose and effect are not asked."""
    del definition
    evidence = set(judgement.reasons[0].evidence)
    trials = [t for t in judgement.trials if evidence & {*t.trial.exposure.evidence}] or judgement.trials
    why = judgement.reasons[0].text
    for judged in trials:
        exposure = judged.trial.exposure
        if exposure.drug is None:
            yield _which_drug(judged, why)
        if not all(segment.days_certain for segment in exposure.segments):
            yield _which_days(judged, why)


def _missing_in_staging(judgement: Judgement, definition: Definition) -> Iterator[Missing]:
    """The items that are open. What keeps failed trials open is asked trial by trial, as it can be recorded."""
    for item in judgement.staging.items if judgement.staging else ():
        if item.low != item.high:
            in_trials = [*_missing_in_trials(judgement, definition)] if item.name in _OF_TRIALS else []
            yield from in_trials or [_missing_item(item)]


_OF_TRIALS = ("failures", "trials", "stage")
_ITEMS = {
    "duration": ("when this episode began", "Record the onset of the current episode."),
    "severity": ("how severe the depression is", f"Record a {USUAL_SCALE} now."),
    "augmentation": ("whether augmentation was enough", "Record dose and days of what was added."),
    "ect": ("whether ECT was given", "Record when ECT was given, or that it was not."),
    "optimisation": (
        "which trials were optimised",
        "Count them by the method's own rules; no record tells it.",
    ),
}


def _missing_item(item: StagingItem) -> Missing:
    what, ask = _ITEMS.get(
        item.name, (f"staging item {item.name}", "Record what the reason says is not known.")
    )
    return Missing(what, f"{item.low:g} to {item.high:g} points: {item.text}", ask)


_MISSING_BY = {
    Rule.FAILED_TRIALS: _missing_in_trials,
    Rule.TREATMENTS: _missing_in_treatments,
    Rule.SCORE: _missing_in_staging,
}


# --- in one trial -------------------------------------------------------------------------------------


def _missing_in_trial(judged: JudgedTrial, definition: Definition) -> Iterable[Missing]:
    trial, outcome = judged.trial, judged.outcome
    yield from _missing_in_use(judged)
    if judged.in_scope.answer is Answer.UNKNOWN:
        # A remission has its evidence; without one it is the last day that is in doubt.
        if judged.in_scope.evidence:
            yield Missing(
                f"whether {trial.name} belongs to this episode",
                judged.in_scope.text,
                "Record whether and when the last episode remitted.",
            )
        else:
            yield _which_days(judged, judged.in_scope.text)
    intolerance = outcome.intolerance
    if definition.intolerance_counts_as_failure and intolerance and intolerance.answer is Answer.UNKNOWN:
        yield _why_stopped(judged, intolerance.text)
    if outcome.insufficient.answer is Answer.UNKNOWN:
        yield from _missing_scores(judged, definition)


def _missing_in_use(judged: JudgedTrial) -> Iterator[Missing]:
    """What keeps it open whether the trial was an adequate one."""
    trial = judged.trial
    if trial.drug is None:
        yield _which_drug(judged, trial.dose.text)
    elif trial.dose.answer is Answer.UNKNOWN:
        yield Missing(
            f"dose of {trial.name}", trial.dose.text, f"Record the daily dose of {trial.name} in mg."
        )
    if trial.duration.answer is Answer.UNKNOWN:
        yield _which_days(judged, trial.duration.text)
    if trial.use.answer is Answer.UNKNOWN:
        yield Missing(f"what {trial.name} was for", trial.use.text, f"Record the indication of {trial.name}.")
    if trial.adherence.answer is Answer.UNKNOWN and trial.adherence.evidence:
        yield Missing(
            f"whether {trial.name} was taken",
            trial.adherence.text,
            f"Record whether {trial.name} was taken as prescribed.",
        )


def _which_drug(judged: JudgedTrial, why: str) -> Missing:
    return Missing(
        f"which drug {_ordered(judged)} is", why, "Record the drug with a code or its generic name."
    )


def _which_days(judged: JudgedTrial, why: str) -> Missing:
    name = judged.trial.name
    return Missing(f"days on {name}", why, f"Record when {name} was started and stopped.")


def _why_stopped(judged: JudgedTrial, why: str) -> Missing:
    name = judged.trial.name
    return Missing(f"why {name} was stopped", why, f"Record whether {name} failed or was not tolerated.")


def _ordered(judged: JudgedTrial) -> str:
    return f'the order "{judged.trial.name}"' if judged.trial.name else "the unnamed order"


def _missing_scores(judged: JudgedTrial, definition: Definition) -> Iterable[Missing]:
    trial, outcome = judged.trial, judged.outcome
    why = outcome.insufficient.text
    if trial.stop_reason is StopReason.INTOLERANCE:
        yield _why_stopped(judged, why)
        return
    if trial.first_day is None or trial.last_day is None:
        yield Missing(f"effect of {trial.name}", why, _reason_instead(trial.name))
        return
    if outcome.baseline is None:
        start = shifted(trial.first_day, -definition.baseline_days_before)
        end = shifted(trial.first_day, definition.baseline_days_after)
        yield Missing(
            f"depression score between {start} and {end}, at the start of {trial.name}",
            why,
            _reason_instead(trial.name),
        )
    if outcome.last is None:
        start = shifted(trial.first_day, definition.last_score_from_day - 1)
        end = shifted(trial.last_day, definition.last_score_days_after)
        when = f"between {start} and {end}"
        if outcome.judgeable_from is not None and outcome.judgeable_from > trial.last_day:
            when = f"on or after {outcome.judgeable_from}"
        yield Missing(f"depression score {when}, late on {trial.name}", why, _late_score(judged))
    if outcome.baseline is not None and outcome.last is not None:
        ask = (
            _late_score(judged)
            if trial.is_running
            else f"Record how {trial.name} worked, or why it was stopped."
        )
        yield Missing(f"effect of {trial.name}", why, ask)


def _late_score(judged: JudgedTrial) -> str:
    """A score on the baseline's scale, now or as soon as it counts; of a trial that is over, if there was one.

    The last day of a running trial is today.
    """
    trial, outcome = judged.trial, judged.outcome
    if not trial.is_running or trial.last_day is None:
        return _reason_instead(trial.name)
    scale = outcome.baseline.scale.name if outcome.baseline else USUAL_SCALE
    if outcome.judgeable_from is not None and outcome.judgeable_from > trial.last_day:
        return f"Record a score ({scale}) on or after {outcome.judgeable_from}."
    return f"Record a {scale} now."


def _reason_instead(name: str) -> str:
    return f"Record the score if it was taken, or why {name} was stopped (for example lack of effect)."


def _missing_diagnosis(reason: Finding) -> Missing:
    return Missing(
        "confirmed depressive disorder", reason.text, "Record the diagnosis, or that it does not hold."
    )


def _missing_exclusion(reason: Finding) -> Missing:
    return Missing("whether a diagnosis excludes", reason.text, "Confirm or refute the diagnosis.")


def _missing_age(reason: Finding) -> Missing:
    return Missing("birth date", reason.text, "Record the birth date.")


_ASKS = {"diagnosis": _missing_diagnosis, "no exclusion": _missing_exclusion, "age": _missing_age}
