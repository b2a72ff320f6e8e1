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
from cds_service.trd.model import Assessment, Definition, Exposure, History, Verdict
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
    chosen = assess_history(history, definitions[definition_id], on)
    return replace(chosen, other_verdicts=_verdicts_of_others(history, definition_id, on))


def assess_history(history: History, definition: Definition, on: date) -> Assessment:
    """Exposures, trials, outcomes, assessment: the rules in their order."""
    exposures = build_exposures(history.prescriptions, definition.max_gap_days)
    trials = find_trials(exposures, definition, on)
    outcomes = judge_outcomes(trials, history.scores, history.unread_scores, definition)
    return assess(history, outcomes, definition, on)


def _verdicts_of_others(history: History, definition_id: str, on: date) -> tuple[tuple[str, Verdict], ...]:
    exposures: dict[int, tuple[Exposure, ...]] = {}
    verdicts = []
    for definition in load_definitions().values():
        if definition.id == definition_id:
            continue
        gap = definition.max_gap_days
        if gap not in exposures:
            exposures[gap] = build_exposures(history.prescriptions, gap)
        trials = find_trials(exposures[gap], definition, on)
        outcomes = judge_outcomes(trials, history.scores, history.unread_scores, definition)
        verdicts.append((definition.id, judge(history, outcomes, definition, on).verdict))
    return tuple(verdicts)
