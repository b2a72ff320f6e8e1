"""The decision: how judged trials give a verdict under one definition, with every reason.

Four criteria: enough failed trials, a depressive disorder, no excluding diagnosis, old enough. The
number of failed trials is a range, because some trials may or may not have failed. Precedence, first
match wins: excluded, not met (even the most that is possible is too few), met (everything is
certain), indeterminate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from itertools import repeat
from typing import Any, TypeVar

from cds_service.trd.answers import (
    Answer,
    Finding,
    all_of,
    any_of,
)
from cds_service.trd.background import find_residual_impairment, latest_measurements
from cds_service.trd.companions import find_companions
from cds_service.trd.confounders import find_confounders
from cds_service.trd.counting import count_failed, deciding_trials, in_words
from cds_service.trd.episode import find_remissions, judge_scope
from cds_service.trd.missing import find_missing
from cds_service.trd.model import (
    Assessment,
    Companion,
    JudgedTrial,
    Judgement,
    Outcome,
    Staging,
    Verdict,
)
from cds_service.trd.outcomes import is_remission
from cds_service.trd.parameters import Definition, Distinctness, Rule
from cds_service.trd.precautions import Precaution
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    History,
    Topic,
)
from cds_service.trd.safety import judge_safety
from cds_service.trd.staging import rests_on_companions, stage
from cds_service.trd.treatments import judge_treatments
from cds_service.trd.unread import orders_not_read, searches_not_read, unread_about

DEPRESSION_OF_ANOTHER_KIND = frozenset({"depression_nos", "other_depressive", "persistent_depressive"})


def assess(history: History, judgement: Judgement, on: date) -> Assessment:
    """The verdict on one patient with its workings. Total: any history has one. `on` is today."""
    definition = judgement.definition
    safety, is_acute = judge_safety(history, definition, on)
    return Assessment(
        patient=history.patient,
        on=on,
        definition=definition,
        verdict=judgement.verdict,
        failed_at_least=judgement.failed_at_least,
        failed_at_most=judgement.failed_at_most,
        reasons=judgement.reasons,
        trials=judgement.trials,
        missing=find_missing(
            judgement, orders_not_read(history), searches_not_read(history), safety, definition
        ),
        unread=history.unread,
        set_aside=history.set_aside,
        not_looked_at=history.not_looked_at,
        open_requests=history.open_requests,
        safety=safety,
        suicidality_is_acute=is_acute,
        concerns_depression=_concerns_depression(history),
        age_years=_youngest_age(history, on),
        check_first=find_confounders(history, definition, on),
        context=latest_measurements(history, on),
        residual_impairment=find_residual_impairment(history, judgement.trials, on),
        diagnoses=tuple(
            d for d in history.diagnoses if _is_about_mood(d) or d.role is DiagnosisRole.EXCLUSION
        ),
    )


def judge(
    history: History,
    outcomes: Sequence[Outcome],
    definition: Definition,
    on: date,
    companions: Sequence[tuple[Companion, ...]] | None = None,
) -> Judgement:
    """The verdict with its criteria, without what is only said around it.

    `companions` are what went on beside the trial of each outcome. Where they are not given, they are found if
    the definition is a staging method that rests on them; other trials are then without.
    """
    return Judge(history, on)(outcomes, definition, companions)


_T = TypeVar("_T")


class Judge:
    """Judges one history by any number of definitions. `on` is today.

    What definitions judge alike, by equal parameters, is judged once: most of them differ in little.
    """

    def __init__(self, history: History, on: date, precautions: Sequence[Precaution] = ()) -> None:
        self._history, self._on, self._precautions = history, on, precautions
        self._known: dict[tuple[object, ...], Any] = {}

    def __call__(
        self,
        outcomes: Sequence[Outcome],
        definition: Definition,
        companions: Sequence[tuple[Companion, ...]] | None = None,
        *,
        with_trials: bool = True,
    ) -> Judgement:
        """The verdict with its criteria. `outcomes` are those by the definition's `trial_rules`.

        `companions` are what went on beside the trial of each outcome; where they are not given, they are found if
        the definition is a staging method that rests on them. `with_trials` asks for the trials also where the
        definition counts treatments, to which they are nothing.
        """
        if not with_trials and definition.rule is Rule.TREATMENTS and definition.staging is None:
            outcomes, companions = (), ()
        history, on = self._history, self._on
        if companions is None and rests_on_companions(definition):
            of_outcomes = [outcome.trial for outcome in outcomes]
            companions = find_companions(of_outcomes, history, definition, on, self._precautions)
        alike = (definition.failures_alike, companions is None)
        trials = self._once(("trials", alike), lambda: self._trials(outcomes, companions, definition))
        staging = stage(history, trials, definition, on)
        at_least: float
        at_most: float
        if definition.rule is Rule.TREATMENTS:
            enough, at_least, at_most = judge_treatments(history, definition, on)
        elif definition.rule is Rule.SCORE and staging is not None:
            enough, at_least, at_most = _judge_score(staging, definition)
        else:
            asked = (definition.distinctness, definition.needed_failed_trials)
            enough, at_least, at_most = self._once(
                ("failed trials", alike, asked), lambda: _judge_failed(history, trials, definition)
            )
        exclusions = (definition.exclusions, definition.passing_exclusions)
        reasons = (
            enough,
            self._once(
                ("diagnosis", _asks_for_depression(definition)), lambda: _judge_diagnosis(history, definition)
            ),
            self._once(("no exclusion", exclusions), lambda: _judge_no_exclusion(history, definition)),
            self._once(("age", definition.minimum_age_years), lambda: _judge_age(history, definition, on)),
        )
        verdict = verdict_of(*[reason.answer for reason in reasons])
        return Judgement(definition, verdict, at_least, at_most, reasons, trials, staging)

    def _trials(
        self,
        outcomes: Sequence[Outcome],
        companions: Sequence[tuple[Companion, ...]] | None,
        definition: Definition,
    ) -> tuple[JudgedTrial, ...]:
        remissions = self._once(
            ("remissions", definition.remission_confirmed_days),
            lambda: find_remissions(self._history, definition),
        )
        return tuple(
            _judge_trial(
                outcome, judge_scope(outcome.trial, remissions, definition, self._on), definition, beside
            )
            for outcome, beside in zip(outcomes, companions or repeat((), len(outcomes)), strict=True)
        )

    def _once(self, question: tuple[object, ...], work_out: Callable[[], _T]) -> _T:
        """The answer to a question, which names all parameters that decide it."""
        known: _T | None = self._known.get(question)
        if known is None:  # no answer is None
            known = self._known[question] = work_out()
        return known


def _judge_score(staging: Staging, definition: Definition) -> tuple[Finding, float, float]:
    """Whether the staging score reaches the threshold; a range on both sides of it is unknown."""
    assert definition.staging is not None
    needed = definition.staging.met_from or 0.0
    answer = at_least_or_at_most(staging.low, staging.high, needed)
    evidence = tuple(dict.fromkeys(ref for item in staging.items for ref in item.evidence))
    text = f"{in_words(staging.low, staging.high, 'point')}, {needed:g} needed"
    return Finding("staging score", answer, text, evidence), _whole(staging.low), _whole(staging.high)


def _whole(points: float) -> float:
    """2 rather than 2.0; half points stay."""
    return int(points) if points == int(points) else points


def _judge_failed(
    history: History, trials: Sequence[JudgedTrial], definition: Definition
) -> tuple[Finding, int, int]:
    deciding = deciding_trials(trials)
    at_least, at_most = count_failed(deciding, definition.distinctness)
    at_most += len(orders_not_read(history))
    if searches_not_read(history):
        at_most = max(at_most, definition.needed_failed_trials)
    return _judge_failed_trials(deciding, at_least, at_most, definition), at_least, at_most


def verdict_of(failed_trials: Answer, diagnosis: Answer, no_exclusion: Answer, age: Answer) -> Verdict:
    """The verdict that four answers give; the first that fits of excluded, not met, met, indeterminate."""
    if Answer.NOT_MET in (no_exclusion, age):
        return Verdict.EXCLUDED
    if failed_trials is Answer.NOT_MET:
        return Verdict.NOT_MET
    everything = all_of((failed_trials, diagnosis, no_exclusion, age))
    return Verdict.MET if everything is Answer.MET else Verdict.INDETERMINATE


def _judge_trial(
    outcome: Outcome, in_scope: Finding, definition: Definition, companions: tuple[Companion, ...]
) -> JudgedTrial:
    """Whether it failed: adequate, in scope, response insufficient; or, where that counts, not tolerated."""
    trial = outcome.trial
    findings = (*trial.criteria, in_scope, outcome.insufficient)
    answer = all_of([finding.answer for finding in findings])
    if definition.intolerance_counts_as_failure and outcome.intolerance is not None:
        not_tolerated = (trial.use, in_scope, outcome.intolerance, outcome.insufficient)
        either = any_of((answer, all_of(finding.answer for finding in not_tolerated)))
        if either is not answer:
            findings, answer = not_tolerated, either
    deciding = [f for f in findings if f.answer is answer] if answer is not Answer.MET else [findings[-1]]
    evidence = tuple(dict.fromkeys(ref for finding in (trial.dose, *deciding) for ref in finding.evidence))
    assumed = (f"assumed: {text}" for text in trial.assumed)
    text = "; ".join(dict.fromkeys((*(finding.text for finding in deciding), *assumed)))
    return JudgedTrial(trial, outcome, in_scope, Finding("failed trial", answer, text, evidence), companions)


def _judge_failed_trials(
    deciding: Sequence[JudgedTrial], at_least: int, at_most: int, definition: Definition
) -> Finding:
    needed = definition.needed_failed_trials
    answer = at_least_or_at_most(at_least, at_most, needed)
    kind = (
        ""
        if definition.distinctness is Distinctness.AGENT
        else f" of different {_KINDS[definition.distinctness]}"
    )
    evidence = tuple(dict.fromkeys(ref for t in deciding for ref in t.failed.evidence))
    assumed = dict.fromkeys(f"; assumed: {text}" for t in deciding for text in t.trial.assumed)
    text = f"{in_words(at_least, at_most, 'failed trial')}{kind}, {needed} needed{''.join(assumed)}"
    return Finding("failed trials", answer, text, evidence)


def at_least_or_at_most(at_least: float, at_most: float, needed: float) -> Answer:
    """Whether a number reaches `needed`, of which only a range is known."""
    if at_least >= needed:
        return Answer.MET
    return Answer.NOT_MET if at_most < needed else Answer.UNKNOWN


_KINDS = {Distinctness.CLASS: "class", Distinctness.MECHANISM: "mechanism"}


def _judge_diagnosis(history: History, definition: Definition) -> Finding:
    """Whether a depressive disorder that the definitions are about is recorded. Never `NOT_MET`.

    Registers and claims that only count treatments may ask for none.
    """
    if not _asks_for_depression(definition):
        return Finding("diagnosis", Answer.MET, "the definition asks for none")
    recorded = [
        d
        for d in history.diagnoses
        if d.role in (DiagnosisRole.DEPRESSION, DiagnosisRole.ALREADY_LABELLED)
        and d.holds is not Answer.NOT_MET
    ]
    for diagnosis in sorted(recorded, key=lambda d: d.recorded or date.min, reverse=True):
        if all_of((diagnosis.holds, diagnosis.is_current)) is Answer.MET:
            return Finding("diagnosis", Answer.MET, diagnosis.text, (diagnosis.reference,))
    evidence = tuple(diagnosis.reference for diagnosis in recorded)
    if recorded:
        text = f"{recorded[-1].text} is recorded, but not as confirmed and current"
    else:
        text = "no major depressive disorder is recorded"
    return Finding("diagnosis", Answer.UNKNOWN, text, evidence)


def _asks_for_depression(definition: Definition) -> bool:
    return definition.treatments is None or definition.treatments.needs_depression


def _judge_no_exclusion(history: History, definition: Definition) -> Finding:
    judged = [
        (_excludes(diagnosis, definition), diagnosis)
        for diagnosis in history.diagnoses
        # That a depression is over excludes nobody, of whichever kind it was.
        if diagnosis.category in definition.exclusions and diagnosis.role is not DiagnosisRole.FULL_REMISSION
    ]
    found = [diagnosis for answer, diagnosis in judged if answer is Answer.MET]
    if found:
        text = "; ".join(dict.fromkeys(f"{d.text} ({_words(d.category)})" for d in found))
        return Finding("no exclusion", Answer.NOT_MET, text, tuple(d.reference for d in found))
    doubtful = [diagnosis for answer, diagnosis in judged if answer is Answer.UNKNOWN]
    if doubtful:
        text = f"{doubtful[0].text} is recorded, but not as confirmed"
        return Finding("no exclusion", Answer.UNKNOWN, text, tuple(d.reference for d in doubtful))
    unread = unread_about(history, Topic.DIAGNOSIS)
    if unread:
        text = "a diagnosis could not be read, and could be one that excludes"
        return Finding("no exclusion", Answer.UNKNOWN, text, tuple(u.reference for u in unread))
    return Finding("no exclusion", Answer.MET, "no excluding diagnosis is recorded")


def _excludes(diagnosis: Diagnosis, definition: Definition) -> Answer:
    if diagnosis.category in definition.passing_exclusions:
        return all_of((diagnosis.holds, diagnosis.is_current))
    return diagnosis.holds


def _words(category: str) -> str:
    return category.replace("_", " ")


def _judge_age(history: History, definition: Definition, on: date) -> Finding:
    least = definition.minimum_age_years
    evidence = (history.patient,)
    if least is None:
        return Finding("age", Answer.MET, "the definition names no age", evidence)
    if history.born_earliest is None or history.born_latest is None:
        return Finding("age", Answer.UNKNOWN, "no birth date that can be read", evidence)
    youngest, oldest = _age(history.born_latest, on), _age(history.born_earliest, on)
    if youngest >= least:
        return Finding("age", Answer.MET, f"{youngest} years, at least {least} needed", evidence)
    if oldest < least:
        return Finding("age", Answer.NOT_MET, f"{oldest} years: under {least}", evidence)
    return Finding("age", Answer.UNKNOWN, f"{youngest} or {oldest} years, at least {least} needed", evidence)


def _age(born: date, on: date) -> int:
    """Whole years on a day; someone born on 29 February ages on 1 March of other years."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def _youngest_age(history: History, on: date) -> int | None:
    return _age(history.born_latest, on) if history.born_latest else None


_DEPRESSIVE = (DiagnosisRole.DEPRESSION, DiagnosisRole.FULL_REMISSION, DiagnosisRole.ALREADY_LABELLED)


def _is_about_mood(diagnosis: Diagnosis) -> bool:
    return diagnosis.role in _DEPRESSIVE or diagnosis.category in DEPRESSION_OF_ANOTHER_KIND


def _concerns_depression(history: History) -> bool:
    """Whether anything in the record speaks of depression; antidepressants alone do not."""
    if any(d.holds is not Answer.NOT_MET and _is_about_mood(d) for d in history.diagnoses):
        return True
    if unread_about(history, Topic.DIAGNOSIS) or history.unread_scores:
        return True
    return any(
        score.scale.remission_at_most is not None and not is_remission(score) for score in history.scores
    )
