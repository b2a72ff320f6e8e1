"""A drafted order of an antidepressant, judged in the light of what the record shows.

Each concern is one thing the prescriber should know before the order is signed: that the drug has failed, that
its class has, that the dose is below the minimum, that a running trial would be cut short, that two trials have
failed already, that a monoamine oxidase inhibitor (MAOI) is too close, that serotonergic drugs would be doubled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.draft_pairs import doubled, maoi_too_close, once_for_each
from cds_service.trd.draft_trials import (
    antidepressant_trials,
    below_minimum,
    class_failed,
    criteria_met,
    cuts_short,
    failed_before,
    is_taper,
    not_tolerated,
    renewed_by,
    running_doses,
)
from cds_service.trd.drafts import Draft, Told, as_draft
from cds_service.trd.model import Assessment
from cds_service.trd.precautions import Precaution
from cds_service.trd.record import History, Prescription
from cds_service.trd.uses import Use, uses_ahead


class Concern(Enum):
    """What there is to say about a draft, most pressing first."""

    MAOI = "MAOI"  # taken together, or the washout is not over
    DUPLICATE_SEROTONERGIC = "duplicate serotonergic"
    FAILED_BEFORE = "same drug failed before"
    NOT_TOLERATED = "not tolerated before"
    FAILED_CLASS = "class failed before"
    TWO_FAILED = "criteria met"
    CUTS_TRIAL_SHORT = "running trial cut short"
    BELOW_MINIMUM = "dose below minimum"


@dataclass(frozen=True)
class DraftConcern:
    """One concern about one draft. `finding` has the answer (MET, or UNKNOWN where it may be so), words, evidence.

    `values` fill the words of the card: plain text by name, empty where it is not known. `drug` is the drafted drug,
    `dose` the highest dose of the draft (`50 mg/day`); a day is `2026-06-30`.

        MAOI                    drug, other, days (the washout; empty: none is told), day (the first allowed day),
                                reason, until (the last day of the other; empty: none is known)
        DUPLICATE_SEROTONERGIC  drug, other, days (together as ordered), most (days of a cross-taper), day (the start),
                                until
        FAILED_BEFORE           drug, dose, failed_dose, days and weeks (of the trial), day (its last), outcome
        NOT_TOLERATED           drug, outcome
        FAILED_CLASS            drug, other (those that failed), count (of these), class
        TWO_FAILED              drug, count (failed trials), needed, definition
        CUTS_TRIAL_SHORT        drug, other (the running drug), days and weeks (adequate so far), day (to judge it)
        BELOW_MINIMUM           drug, dose, minimum
    """

    concern: Concern
    draft: Prescription
    finding: Finding
    values: dict[str, str] = field(hash=False)


def judge_drafts(
    drafts: Sequence[Prescription],
    history: History,
    assessment: Assessment,
    precautions: Sequence[Precaution],
    on: date,
) -> tuple[DraftConcern, ...]:
    """All concerns about each draft, in the order of `Concern`; a draft without a readable drug has none.

    `history` does not hold the drafts. The days of a draft are all that it orders, not only those up to `on`: a later
    step of a titration decides whether its dose is too low. Total: never raises.
    Of a draft that does not treat depression only MAOI is told. Two drafts that do not go together are told of
    each.
    """
    known = [draft for order in drafts if (draft := as_draft(order, on)) is not None]
    judge = _Judge(known, history, assessment, precautions, on)
    return tuple(
        DraftConcern(concern, draft.order, told.finding, told.values)
        for draft in known
        for concern, told in judge(draft)
    )


class _Judge:
    """Judges the drafts of one request against one record and one another."""

    def __init__(
        self,
        drafts: Sequence[Draft],
        history: History,
        assessment: Assessment,
        precautions: Sequence[Precaution],
        on: date,
    ) -> None:
        self._drafts, self._history, self._assessment = tuple(drafts), history, assessment
        self._precautions, self._on = precautions, on
        self._definition = assessment.definition
        self._on_record = uses_ahead(history.prescriptions, on)
        self._kept = _without_replaced(history, drafts)
        self._going_on = uses_ahead(_without_ending(self._kept, drafts, on), on)
        self._trials = antidepressant_trials(assessment)

    def __call__(self, draft: Draft) -> Iterator[tuple[Concern, Told]]:
        drafted = self._uses_of_others(draft)
        # That a drug is meant to be stopped changes nothing of its washout.
        too_close = maoi_too_close(draft, (*self._on_record, *drafted), self._precautions, self._on)
        yield from _as(Concern.MAOI, once_for_each(too_close))
        if draft.drug.add_on is not None or draft.treats_depression is Answer.NOT_MET:
            return
        most = self._definition.cross_taper_days
        too_many = doubled(draft, (*self._going_on, *drafted), self._precautions, most)
        yield from _as(Concern.DUPLICATE_SEROTONERGIC, once_for_each(too_many))
        renewed = renewed_by(draft, self._trials, self._definition.max_gap_days)
        yield from _as(Concern.FAILED_BEFORE, failed_before(draft, self._trials, renewed))
        if not renewed:
            yield from self._about_a_new_drug(draft)
        if draft.treats_depression is Answer.MET and not is_taper(draft, renewed):
            yield from _as(Concern.BELOW_MINIMUM, self._below_minimum(draft))

    def _about_a_new_drug(self, draft: Draft) -> Iterator[tuple[Concern, Told]]:
        """What is told where the drug is not being taken already: to go on with it is no new decision."""
        yield from _as(Concern.NOT_TOLERATED, not_tolerated(draft, self._history, self._trials))
        if draft.treats_depression is Answer.MET:
            # Low doses for sleep or pain often tell no reason: they are neither a switch nor one more trial.
            yield from _as(Concern.FAILED_CLASS, class_failed(draft, self._trials))
            yield from _as(Concern.TWO_FAILED, criteria_met(draft, self._assessment))
            short = cuts_short(draft, self._drafts, self._trials, self._assessment)
            yield from _as(Concern.CUTS_TRIAL_SHORT, short)

    def _below_minimum(self, draft: Draft) -> Iterator[Told]:
        return below_minimum(draft, self._drafts, self._kept, self._assessment, self._precautions, self._on)

    def _uses_of_others(self, draft: Draft) -> list[Use]:
        """Each use once: many drafts of one drug on the same days are told of as one anyway."""
        uses: dict[tuple[str, object, object], Use] = {}
        for other in self._drafts:
            if other is not draft:
                use = other.use
                uses.setdefault((use.drug.ingredient, use.possible, use.certain), use)
        return [*uses.values()]


def _without_replaced(history: History, drafts: Iterable[Draft]) -> History:
    """The history without the orders that a draft says it replaces: they end when it is signed."""
    replaced = {draft.order.replaces for draft in drafts if draft.order.replaces}
    kept = tuple(order for order in history.prescriptions if order.reference not in replaced)
    return replace(history, prescriptions=kept)


def _without_ending(history: History, drafts: Iterable[Draft], on: date) -> tuple[Prescription, ...]:
    """Without the orders of a drug that is drafted from today on to its end: the draft says how it ends."""
    begun = [draft for draft in drafts if draft.first_day <= on]
    ending = {draft.drug.agent for draft in begun if draft.ends_on(running_doses(draft, history, on))}
    return tuple(order for order in history.prescriptions if order.agent not in ending)


def _as(concern: Concern, told: Iterable[Told]) -> Iterator[tuple[Concern, Told]]:
    return ((concern, each) for each in told)
