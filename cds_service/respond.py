"""The line from a hook request to the answer, each step in its own module:

request -> collected -> history -> exposures -> trials -> outcomes -> assessment -> cards

Where a terminology service is set up, it names codes of the collected that our tables lack. The hooks on orders
take the same line once a draft is of interest; their cards are about the drafts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from cards.call import NO_CALL, Call
from cards.card import Card, to_json
from cards.catalogue import cards_for
from cards.intake import at_intake
from cards.order_cards import order_cards
from cds_service.drafts import DraftsOfInterest, find_drafts_of_interest
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected
from cds_service.fhir_server.access import FhirAccess, FhirPolicy, find_access
from cds_service.fhir_source import collect
from cds_service.hook_request import HookRequest
from cds_service.report import EXTENSION_KEY, assessment_json, without_empty
from cds_service.tables.definitions import load_definitions
from cds_service.tables.precautions import load_precautions
from cds_service.tables.treatment_options import load_treatment_options
from cds_service.terminology import TerminologyClient, name_codes
from cds_service.tracing import in_span
from cds_service.trd.agreement import explain_difference
from cds_service.trd.assumptions import assume_one_unit_a_day
from cds_service.trd.companions import find_companions
from cds_service.trd.definitions import Judge, assess
from cds_service.trd.draft_orders import judge_drafts
from cds_service.trd.exposures import build_exposures
from cds_service.trd.maoi import find_maoi_risks
from cds_service.trd.model import (
    Assessment,
    Companion,
    Exposure,
    Judgement,
    OtherView,
    Outcome,
)
from cds_service.trd.next_steps import find_next_steps
from cds_service.trd.other_trials import find_other_trials
from cds_service.trd.outcomes import judge_outcomes
from cds_service.trd.parameters import Definition
from cds_service.trd.record import History, Prescription
from cds_service.trd.staging import rests_on_companions
from cds_service.trd.trials import find_trials

Show = Callable[[tuple[Card, ...], Assessment], tuple[Card, ...]]
"""Which of the cards that are due are sent: those answered already may stay away."""

NOT_PROFESSIONAL = ("Patient/", "RelatedPerson/")


def respond(
    request: HookRequest,
    policy: FhirPolicy,
    *,
    definition_id: str,
    on: date,
    extension: bool = True,
    assume_one_unit_daily: bool = False,
    terminology: TerminologyClient | None = None,
    definitions: Mapping[str, Definition] | None = None,
    smart_app_url: str | None = None,
    show: Show | None = None,
) -> tuple[dict[str, Any], Assessment | None]:
    """The body of a CDS Hooks reply, and the assessment it rests on. `on` is today.

    There is none where nothing was asked for: a hook on orders, none of which is of interest here.
    `terminology` is the service that may name codes which our tables lack; `definitions` are all that are
    looked at (ours, unless given). `smart_app_url` is the launch URL of the app that cards link to;
    `show` takes the cards that are due and gives those to send.

    Raises MissingEvidence when required data came neither from the prefetch nor from the FHIR server.
    """
    access = find_access(request, policy)
    drafts = _drafts_of(request, access, terminology, on)
    if drafts is not None and not drafts.orders:
        return {"cards": []}, None
    collected = name_codes(collect(request, policy, access), terminology)
    if drafts is not None:
        collected = replace(collected, unread=(*collected.unread, *drafts.unread))
    history = read_history(collected, on, assume_one_unit_daily=assume_one_unit_daily)
    known = definitions or load_definitions()
    assessment = assess_history(history, known[definition_id], on, known)
    call = Call(request.hook, request.user_reference, request.encounter_id, smart_app_url or "")
    if drafts is None:
        cards = view_cards(assessment, call)
    else:
        told, background = drafts.read(collected, on), drafts.read_background(collected, on)
        if assume_one_unit_daily:
            told, background = assume_one_unit_a_day(told), assume_one_unit_a_day(background)
        cards = draft_cards(told, history, assessment, call, background)
    return _body(cards, assessment, call, extension, show), assessment


def reply(assessment: Assessment, call: Call = NO_CALL, extension: bool = True) -> dict[str, Any]:
    """The body of a reply to patient-view: cards, and the assessment itself as `extension`."""
    return _body(view_cards(assessment, call), assessment, call, extension)


def _body(
    cards: tuple[Card, ...], assessment: Assessment, call: Call, extension: bool, show: Show | None = None
) -> dict[str, Any]:
    """Where cards become JSON.

    A user who is a Patient or RelatedPerson gets neither cards nor assessment: both are for professionals.
    """
    if call.user_reference.startswith(NOT_PROFESSIONAL):
        return {"cards": []}
    body: dict[str, Any] = {"cards": [to_json(card) for card in (show(cards, assessment) if show else cards)]}
    if extension:
        body["extension"] = {EXTENSION_KEY: without_empty(assessment_json(assessment))}
    return body


def view_cards(assessment: Assessment, call: Call) -> tuple[Card, ...]:
    """The cards of the hooks that ask about the patient as a whole; encounter-start has words of its own."""
    cards = cards_for(assessment, call=call)
    return tuple(map(at_intake, cards)) if call.hook == "encounter-start" else cards


def draft_cards(
    drafts: Sequence[Prescription],
    history: History,
    assessment: Assessment,
    call: Call,
    background: Sequence[Prescription] = (),
) -> tuple[Card, ...]:
    """The cards about drafted orders. The record's own copy of a draft is no second order beside it.

    Drafts in the `background` are judged with the others, and have no card.
    """
    together = tuple(dict.fromkeys((*drafts, *background)))
    others = without_drafts(history, together, assessment.on)
    concerns = judge_drafts(together, others, assessment, load_precautions(), assessment.on)
    return order_cards([each for each in concerns if each.draft in drafts], assessment, call=call)


def without_drafts(history: History, drafts: Sequence[Prescription], on: date) -> History:
    """The history without the orders that are signed again: the same reference, and of the same agent.

    The ids of drafts may be temporary, and then name something else in the record. One that is signed again to begin
    later only is kept: until now it has been taken.
    """
    begun = [draft for draft in drafts if any(segment.first_day <= on for segment in draft.segments)]
    own = {(draft.reference, draft.agent) for draft in begun}

    def others(orders: tuple[Prescription, ...]) -> tuple[Prescription, ...]:
        return tuple(order for order in orders if (order.reference, order.agent) not in own)

    return replace(history, prescriptions=others(history.prescriptions), add_ons=others(history.add_ons))


def _drafts_of(
    request: HookRequest, access: FhirAccess, terminology: TerminologyClient | None, on: date
) -> DraftsOfInterest | None:
    """The drafts of interest; None for a hook that is not about orders. For a patient there are none."""
    if request.draft_orders is None:
        return None
    if request.user_reference.startswith(NOT_PROFESSIONAL):
        return DraftsOfInterest()
    return find_drafts_of_interest(request, access, terminology, on)


def assess_collected(
    collected: Collected,
    definition_id: str,
    on: date,
    *,
    assume_one_unit_daily: bool = False,
    definitions: Mapping[str, Definition] | None = None,
) -> Assessment:
    """The assessment under one definition, with the verdicts of all the others.

    `assume_one_unit_daily` is the site's choice for orders that carry no dosage at all; `definitions` are ours
    unless given.
    Raises KeyError for an unknown definition id; nothing else, whatever the resources hold.
    """
    history = read_history(collected, on, assume_one_unit_daily=assume_one_unit_daily)
    known = definitions or load_definitions()
    return assess_history(history, known[definition_id], on, known)


@in_span("rules")
def assess_history(
    history: History,
    definition: Definition,
    on: date,
    definitions: Mapping[str, Definition] | None = None,
) -> Assessment:
    """Exposures, trials, outcomes, and what each definition says of them; the chosen one decides."""
    known = definitions or load_definitions()
    judge_by = _Judge(history, on)
    chosen = judge_by(definition, is_shown=True)
    others = [judge_by(other) for other in known.values() if other.id != definition.id]
    judged, precautions = assess(history, chosen, on), load_precautions()
    risks = find_maoi_risks(history, precautions, on)
    stage, next_steps = find_next_steps(history, judged, load_treatment_options(), precautions, on)
    return replace(
        judged,
        check_first=(*(risk.finding for risk in risks), *judged.check_first),
        maoi_risks=risks,
        other_views=tuple(OtherView(other, explain_difference(chosen, other)) for other in others),
        staging=tuple(j.staging for j in (chosen, *others) if j.staging),
        stage=stage,
        next_steps=next_steps,
    )


class _Judge:
    """Judges one history by any definition. Definitions that judge trials alike share the outcomes."""

    def __init__(self, history: History, on: date) -> None:
        self._history, self._on = history, on
        self._precautions = load_precautions()
        self._judge = Judge(history, on, self._precautions)
        self._exposures: dict[int, tuple[Exposure, ...]] = {}
        self._outcomes: dict[str, tuple[Outcome, ...]] = {}
        self._companions: dict[str, tuple[tuple[Companion, ...], ...]] = {}

    def __call__(self, definition: Definition, *, is_shown: bool = False) -> Judgement:
        """`is_shown` asks for what went on beside the trials also where no verdict rests on it."""
        rules = definition.outcomes_alike
        if rules not in self._outcomes:
            self._outcomes[rules] = self._outcomes_by(definition)
        outcomes = self._outcomes[rules]
        if rules not in self._companions and (is_shown or rests_on_companions(definition)):
            trials = [outcome.trial for outcome in outcomes]
            self._companions[rules] = find_companions(
                trials, self._history, definition, self._on, self._precautions
            )
        # Once they are found all get them, also who ignores them: so their trials are the same.
        return self._judge(outcomes, definition, self._companions.get(rules), with_trials=is_shown)

    def _outcomes_by(self, definition: Definition) -> tuple[Outcome, ...]:
        gap = definition.max_gap_days
        if gap not in self._exposures:
            self._exposures[gap] = build_exposures(self._history.prescriptions, gap)
        trials = find_trials(self._exposures[gap], definition, self._on)
        others = find_other_trials(trials, self._history, definition, self._on, self._precautions)
        return judge_outcomes((*trials, *others), self._history, definition, self._on)
