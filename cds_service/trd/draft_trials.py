"""A drafted antidepressant in the light of the trials on record: what failed, what runs, and which dose counts.

Whether a trial failed, and when one can be judged, was decided before, under the site's definition; nothing of it
is judged again here. A draft that continues a use which is going on is a renewal, and mostly no decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from cds_service.trd.answers import Answer, Finding, all_of
from cds_service.trd.counting import deciding_trials, in_words, most_days
from cds_service.trd.days import uncovered_days
from cds_service.trd.drafts import Draft, Told, listed, mg_per_day
from cds_service.trd.model import Assessment, JudgedTrial, TrialKind, Verdict
from cds_service.trd.parameters import Rule
from cds_service.trd.precautions import Effect, Precaution, Record, find_shown
from cds_service.trd.record import History, StopReason

_ALLERGY = "AllergyIntolerance/"


def antidepressant_trials(assessment: Assessment) -> tuple[JudgedTrial, ...]:
    return tuple(j for j in assessment.trials if j.trial.kind is TrialKind.ANTIDEPRESSANT)


def renewed_by(draft: Draft, trials: Sequence[JudgedTrial], max_gap_days: int) -> tuple[JudgedTrial, ...]:
    """The trials of the same drug that the draft continues: going on, or out of supply within the allowed gap.

    A use that was stopped for a reason does not go on, however lately it ended.
    """
    return tuple(
        judged
        for judged in trials
        if judged.trial.agent == draft.drug.agent
        and judged.trial.use.answer is not Answer.NOT_MET
        and judged.outcome.trial.stop_reason is StopReason.NONE_GIVEN
        and judged.trial.exposure.first_day <= draft.first_day
        and uncovered_days(judged.trial.exposure.last_day, draft.first_day) <= max_gap_days
    )


# --- what failed --------------------------------------------------------------------------------------


def failed_before(
    draft: Draft, trials: Sequence[JudgedTrial], renewed: Sequence[JudgedTrial]
) -> Iterator[Told]:
    """The trial of the same drug that failed, or may have. A renewal is told only of a failure that is certain."""
    of_drug = [judged for judged in renewed if _failed(judged) is Answer.MET]
    if not renewed:
        of_drug = [judged for judged in deciding_trials(trials) if judged.trial.agent == draft.drug.agent]
    for judged in of_drug[-1:]:
        answer = all_of((_failed(judged), draft.treats_depression))
        if answer is not Answer.NOT_MET:
            yield _same_drug(draft, judged, answer)


def _failed(judged: JudgedTrial) -> Answer:
    """Whether it failed at an adequate dose for long enough; one that was not tolerated says less."""
    return all_of((judged.failed.answer, judged.trial.is_adequate))


def _same_drug(draft: Draft, judged: JudgedTrial, answer: Answer) -> Told:
    trial, days = judged.trial, most_days(judged)
    verb = "failed" if _failed(judged) is Answer.MET else "may have failed"
    at = f" at up to {mg_per_day(trial.max_mg)}" if trial.max_mg is not None else ""
    text = f"{draft.name} {verb}{at}, {days} days: {judged.failed.text}"
    if judged.in_scope.answer is Answer.MET:
        text += f"; {judged.in_scope.text}"
    if draft.dose:
        text += f"; this order: {draft.dose}"
    values = {
        "drug": draft.name,
        "dose": draft.dose,
        "failed_dose": mg_per_day(trial.max_mg),
        "days": str(days),
        "weeks": str(days // 7),
        "day": str(trial.last_day or trial.exposure.last_day),
        "outcome": judged.failed.text,
    }
    return Told(Finding(f"failed before: {draft.name}", answer, text, _evidence([judged])), values)


def not_tolerated(draft: Draft, history: History, trials: Sequence[JudgedTrial]) -> Iterator[Told]:
    """That the drug was stopped because it was not tolerated, or an intolerance of it is on record: if certain.

    Of several uses the last tells: one that was stopped for something else was tolerated.
    """
    of_drug = [judged for judged in trials if judged.trial.agent == draft.drug.agent]
    last = max(of_drug, key=lambda judged: judged.trial.exposure.last_day, default=None)
    texts: list[str] = []
    evidence: list[str] = []
    if last is not None and (found := last.outcome.intolerance) and found.answer is Answer.MET:
        texts.append(f"stopped on {last.trial.exposure.last_day} for intolerance")
        texts += [found.text] if found.text else []
        evidence += found.evidence
    for reaction in history.reactions:
        is_allergy = reaction.reference.startswith(_ALLERGY) and reaction.holds is Answer.MET
        if is_allergy and reaction.agent == draft.drug.agent and reaction.reference not in evidence:
            texts.append(reaction.text)
            evidence.append(reaction.reference)
    if texts:
        outcome = "; ".join(dict.fromkeys(texts))
        text = f"{draft.name}: {outcome}"
        finding = Finding(f"not tolerated: {draft.name}", Answer.MET, text, tuple(dict.fromkeys(evidence)))
        yield Told(finding, {"drug": draft.name, "outcome": outcome})


CLASS_FAILS_FROM = 2
"""So many different agents of a class have failed when the draft would be the third."""


def class_failed(draft: Draft, trials: Sequence[JudgedTrial]) -> Iterator[Told]:
    """Two other drugs of its class that have failed, or may have; not where the draft is one that has."""
    known = [j for j in deciding_trials(trials) if j.trial.drug and _failed(j) is not Answer.NOT_MET]
    if any(judged.trial.agent == draft.drug.agent for judged in known):
        return
    of_class = [j for j in known if j.trial.drug and j.trial.drug.drug_class == draft.drug.drug_class]
    certain = [judged for judged in of_class if _failed(judged) is Answer.MET]
    shown = certain if len(certain) >= CLASS_FAILS_FROM else of_class
    if len(shown) >= CLASS_FAILS_FROM:
        yield _of_class(draft, shown, is_certain=shown is certain)


def _of_class(draft: Draft, failed: Sequence[JudgedTrial], *, is_certain: bool) -> Told:
    names = listed(judged.trial.name for judged in failed)
    have = "have failed" if is_certain else "have failed or may have"
    text = f"{draft.name} would be one more {draft.drug.drug_class}: {names} {have} at an adequate dose and duration"
    values = {
        "drug": draft.name,
        "other": names,
        "count": str(len(failed)),
        "class": draft.drug.drug_class,
    }
    answer = Answer.MET if is_certain else Answer.UNKNOWN
    return Told(Finding(f"class failed before: {draft.name}", answer, text, _evidence(failed)), values)


def criteria_met(draft: Draft, assessment: Assessment) -> Iterator[Told]:
    """That the criteria are met already, before one more antidepressant is begun."""
    if assessment.verdict is not Verdict.MET:
        return
    definition, count = assessment.definition, assessment.failed_at_least
    is_of_trials = definition.rule is Rule.FAILED_TRIALS
    failed = f"{in_words(count, assessment.failed_at_most, 'failed trial')}; " if is_of_trials else ""
    text = f"{failed}{definition.title}; consider an assessment before {draft.name} is begun"
    values = {
        "drug": draft.name,
        "count": str(assessment.certainly_failed),
        "needed": str(definition.needed_failed_trials) if is_of_trials else "",
        "definition": definition.title,
    }
    evidence = assessment.reasons[0].evidence if assessment.reasons else ()
    yield Told(Finding(f"criteria met: {draft.name}", Answer.MET, text, evidence), values)


# --- what runs ----------------------------------------------------------------------------------------


def cuts_short(
    draft: Draft, drafts: Sequence[Draft], trials: Sequence[JudgedTrial], assessment: Assessment
) -> Iterator[Told]:
    """Each running trial of another drug that the draft would not let be judged.

    Not one whose drug is drafted as well, to be taken until it can be judged: it is not going to be stopped.
    Nothing is held against a change while suicidality is recorded, nor where the running drug made things worse
    or an adverse effect of it is on record: then waiting is no advice.
    """
    if assessment.safety.answer is Answer.MET:
        return
    for judged in trials:
        if judged.trial.drug is not None and judged.trial.agent != draft.drug.agent:
            answer, due = _can_be_awaited(judged), judged.trial.long_enough_on
            has_begun = judged.trial.exposure.first_day <= draft.first_day
            is_early = has_begun and due is not None and due > draft.first_day
            if is_early and answer is not Answer.NOT_MET and due and not _is_kept_up(judged, drafts, due):
                yield _cut_short(draft, judged, answer, judged.outcome.judgeable_from or due)


def _is_kept_up(judged: JudgedTrial, drafts: Iterable[Draft], due: date) -> bool:
    ends = [d.ends_on((judged.trial.max_mg,)) for d in drafts if d.drug.agent == judged.trial.agent]
    return any(end is None or end >= due for end in ends)


def _can_be_awaited(judged: JudgedTrial) -> Answer:
    """Whether the trial runs at a dose that counts, and nothing speaks against going on with it."""
    outcome, trial = judged.outcome, judged.trial
    is_against = outcome.has_worsened or outcome.intolerance is not None
    if is_against or not trial.is_running or outcome.trial.stop_reason is not StopReason.NONE_GIVEN:
        return Answer.NOT_MET
    return all_of(finding.answer for finding in trial.criteria if finding is not trial.duration)


def _cut_short(draft: Draft, judged: JudgedTrial, answer: Answer, day: date) -> Told:
    trial = judged.trial
    at = "an adequate dose" if answer is Answer.MET else "a dose that may be adequate"
    text = (
        f"{trial.name} has run for {trial.adequate_days} days at {at} and can be judged from {day}; "
        f"{draft.name} would begin on {draft.first_day}"
    )
    values = {
        "drug": draft.name,
        "other": trial.name,
        "days": str(trial.adequate_days),
        "weeks": str(trial.adequate_days // 7),
        "day": str(day),
    }
    finding = Finding(f"cut short: {trial.name}", answer, text, trial.exposure.evidence)
    return Told(finding, values)


# --- which dose counts --------------------------------------------------------------------------------


def is_taper(draft: Draft, renewed: Iterable[JudgedTrial]) -> bool:
    """Whether it goes on with less of a drug up to a named last day: it is being stopped, not tried."""
    dose = draft.highest_mg
    if draft.stated_end is None or dose is None:
        return False
    return any(judged.trial.max_mg is not None and judged.trial.max_mg > dose for judged in renewed)


def below_minimum(
    draft: Draft,
    drafts: Sequence[Draft],
    history: History,
    assessment: Assessment,
    precautions: Sequence[Precaution],
    on: date,
) -> Iterator[Told]:
    """That even the highest step of the draft, with what else is taken of the drug, is below the minimum."""
    column = assessment.definition.dose_column
    minimum_mg, highest_mg = draft.drug.minimum_mg.get(column), draft.highest_mg
    if minimum_mg is None or highest_mg is None or not _asks_for_less(draft, drafts, history, minimum_mg, on):
        return
    if not _is_at_ceiling(draft, highest_mg, history, precautions, on):
        minimum = mg_per_day(minimum_mg)
        text = f"{draft.name} {draft.dose} is below the adequate minimum of {minimum}; a trial does not count at it"
        values = {"drug": draft.name, "dose": draft.dose, "minimum": minimum}
        yield Told(Finding(f"below minimum: {draft.name}", Answer.MET, text), values)


def _asks_for_less(
    draft: Draft, drafts: Sequence[Draft], history: History, minimum_mg: float, on: date
) -> bool:
    """Whether the dose stays below the minimum however the orders of the drug go together.

    Other drafts of it, and an order that runs on another dose, may be added to this one: strengths are combined,
    and a titration may be written as several orders. An order that runs on the same dose is renewed.
    """
    doses = [draft.highest_mg]
    doses += [d.highest_mg for d in drafts if d is not draft and d.drug.agent == draft.drug.agent]
    doses += [dose for dose in running_doses(draft, history, on) if dose != draft.highest_mg]
    return None not in doses and sum(dose for dose in doses if dose is not None) < minimum_mg


def running_doses(draft: Draft, history: History, on: date) -> list[float | None]:
    """The doses of the drug that are being taken, mg a day, one for each order on record that runs today."""
    return [
        segment.high_mg
        for order in history.prescriptions
        if order.drug is not None and order.drug.agent == draft.drug.agent and not order.is_denial
        for segment in order.segments
        if segment.last_day >= on
    ]


def _is_at_ceiling(
    draft: Draft, dose_mg: float, history: History, precautions: Sequence[Precaution], on: date
) -> bool:
    """Whether it is the highest dose that this person may be allowed: more is no advice, even if that is open."""
    ceilings = [
        row
        for row in precautions
        if row.effect is Effect.CEILING and row.is_about(draft.drug) and dose_mg >= (row.ceiling_mg or 0)
    ]
    return bool(ceilings) and bool(find_shown(ceilings, Record(history, on)))


def _evidence(judged: Sequence[JudgedTrial]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(ref for j in judged for ref in (*j.trial.exposure.evidence, *j.failed.evidence))
    )
