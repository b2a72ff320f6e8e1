"""What, if it were recorded, would help to decide: named exactly, with why and what to ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cds_service.trd.days import shifted
from cds_service.trd.model import (
    Answer,
    Definition,
    Finding,
    JudgedTrial,
    Judgement,
    Missing,
    Rule,
    StopReason,
    Verdict,
)


def find_missing(
    judgement: Judgement,
    orders_not_read: Collection[str],
    searches_not_read: Collection[str],
    safety: Finding,
    definition: Definition,
) -> tuple[Missing, ...]:
    """One entry for each unknown that bears on the verdict. Unless that is indeterminate, nothing but the
    safety answer is missing."""
    lacking: list[Missing] = []
    if judgement.verdict is Verdict.INDETERMINATE:
        unknown = [reason for reason in judgement.reasons if reason.answer is Answer.UNKNOWN]
        if judgement.reasons[0] in unknown:
            for trial in judgement.trials:
                if definition.rule is Rule.TREATMENTS:
                    lacking += _missing_in_use(trial)
                elif trial.failed.answer is Answer.UNKNOWN:
                    lacking += _missing_in_trial(trial, definition)
            lacking += [_unread_order(reference) for reference in sorted(orders_not_read)]
            lacking += [_unread_search(reference) for reference in sorted(searches_not_read)]
        lacking += [_ASKS[reason.criterion](reason) for reason in unknown if reason.criterion in _ASKS]
    if safety.answer is Answer.UNKNOWN:
        lacking.append(Missing("answer on thoughts of death or self-harm", safety.text, "Ask PHQ-9 item 9."))
    return tuple(dict.fromkeys(lacking))


def _unread_order(reference: str) -> Missing:
    return Missing(f"the order {reference}", "it could not be read", "See its entry under unread.")


def _unread_search(reference: str) -> Missing:
    return Missing(f"the {reference}", "it could not be read in full", "See its entry under unread.")


def _missing_in_use(judged: JudgedTrial) -> Iterable[Missing]:
    """What bears on a definition that only counts treatments: which drug, and on which days."""
    trial = judged.trial
    if trial.drug is None:
        yield _which_drug(judged)
    if not all(segment.days_certain for segment in trial.exposure.segments):
        why = "it is not recorded on which days it was taken"
        yield Missing(f"days on {trial.name}", why, f"Record when {trial.name} was started and stopped.")


def _which_drug(judged: JudgedTrial) -> Missing:
    ask = "Record the drug with a code or its generic name."
    return Missing(f"which drug {_ordered(judged)} is", judged.trial.dose.text, ask)


def _missing_in_trial(judged: JudgedTrial, definition: Definition) -> Iterable[Missing]:
    trial = judged.trial
    if trial.drug is None:
        yield _which_drug(judged)
    elif trial.dose.answer is Answer.UNKNOWN:
        yield Missing(
            f"dose of {trial.name}", trial.dose.text, f"Record the daily dose of {trial.name} in mg."
        )
    if trial.duration.answer is Answer.UNKNOWN:
        yield Missing(
            f"days on {trial.name}", trial.duration.text, f"Record when {trial.name} was started and stopped."
        )
    if trial.use.answer is Answer.UNKNOWN:
        yield Missing(f"what {trial.name} was for", trial.use.text, f"Record the indication of {trial.name}.")
    if trial.adherence.answer is Answer.UNKNOWN and trial.adherence.evidence:
        yield Missing(
            f"whether {trial.name} was taken",
            trial.adherence.text,
            f"Record whether {trial.name} was taken as prescribed.",
        )
    if judged.in_scope.answer is Answer.UNKNOWN:
        yield Missing(
            f"whether {trial.name} belongs to this episode",
            judged.in_scope.text,
            "Record whether and when the last episode remitted.",
        )
    if judged.outcome.insufficient.answer is Answer.UNKNOWN:
        yield from _missing_scores(judged, definition)


def _ordered(judged: JudgedTrial) -> str:
    return f'the order "{judged.trial.name}"' if judged.trial.name else "the unnamed order"


def _missing_scores(judged: JudgedTrial, definition: Definition) -> Iterable[Missing]:
    trial, outcome = judged.trial, judged.outcome
    why = outcome.insufficient.text
    if trial.stop_reason is StopReason.INTOLERANCE:
        yield Missing(
            f"why {trial.name} was stopped", why, f"Record whether {trial.name} failed or was not tolerated."
        )
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
        ask = "Record a PHQ-9 now." if trial.is_running else _reason_instead(trial.name)
        yield Missing(f"depression score between {start} and {end}, late on {trial.name}", why, ask)
    if outcome.baseline is not None and outcome.last is not None:
        yield Missing(f"effect of {trial.name}", why, _reason_instead(trial.name))


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
