"""The line from a patient's resources to the answer: seven statements, each in its own module."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from cards.card import to_json
from cards.catalogue import cards_for
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected
from cds_service.report import EXTENSION_KEY, assessment_json, without_empty
from cds_service.tables.definitions import load_definitions
from cds_service.trd.definitions import assess, judge
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Assessment, Definition, History, Outcome
from cds_service.trd.outcomes import judge_outcomes
from cds_service.trd.trials import find_trials

NOT_PROFESSIONAL = ("Patient/", "RelatedPerson/")


def respond(
    collected: Collected,
    *,
    definition_id: str,
    on: date,
    user_reference: str | None = None,
    encounter_id: str | None = None,
    extension: bool = True,
) -> tuple[dict[str, Any], Assessment]:
    """The body of a CDS Hooks reply, and the assessment it rests on. `on` is today.

    A user who is a Patient or RelatedPerson gets no card and no assessment: both are for professionals.
    """
    assessment = assess_collected(collected, definition_id, on)
    for_professional = not (user_reference or "").startswith(NOT_PROFESSIONAL)
    cards = cards_for(assessment, encounter_id=encounter_id, for_professional=for_professional)
    body: dict[str, Any] = {"cards": [to_json(card) for card in cards]}
    if extension and for_professional:
        body["extension"] = {EXTENSION_KEY: without_empty(assessment_json(assessment))}
    return body, assessment


def assess_collected(collected: Collected, definition_id: str, on: date) -> Assessment:
    """The assessment under one definition, with the verdicts of all the others.

    Raises KeyError for an unknown definition id; nothing else, whatever the resources hold.
    """
    history = read_history(collected, on)
    definitions = load_definitions()
    chosen = definitions[definition_id]
    outcomes = {chosen.trial_rules: _outcomes_under(chosen, history, on)}
    assessment = assess(history, outcomes[chosen.trial_rules], chosen, on)
    others = []
    for other in definitions.values():
        if other.id != definition_id:
            if other.trial_rules not in outcomes:
                outcomes[other.trial_rules] = _outcomes_under(other, history, on)
            others.append((other.id, judge(history, outcomes[other.trial_rules], other, on).verdict))
    return replace(assessment, other_verdicts=tuple(others))


def assess_history(history: History, definition: Definition, on: date) -> Assessment:
    """Exposures, trials, outcomes, assessment under one definition alone."""
    return assess(history, _outcomes_under(definition, history, on), definition, on)


def _outcomes_under(definition: Definition, history: History, on: date) -> tuple[Outcome, ...]:
    exposures = build_exposures(history.prescriptions, definition.max_gap_days)
    trials = find_trials(exposures, definition, on)
    return judge_outcomes(trials, history, definition)
