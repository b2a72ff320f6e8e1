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
from cds_service.trd.model import Assessment, Definition, Exposure, History, Outcome, Verdict
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
    return assess_history(read_history(collected, on), load_definitions()[definition_id], on)


def assess_history(history: History, definition: Definition, on: date) -> Assessment:
    """Exposures, trials, outcomes, assessment."""
    exposures = build_exposures(history.prescriptions, definition.max_gap_days)
    trials = find_trials(exposures, definition, on)
    outcomes = judge_outcomes(trials, history, definition)
    assessment = assess(history, outcomes, definition, on)
    return replace(assessment, other_verdicts=_other_verdicts(history, definition, exposures, outcomes, on))


def _other_verdicts(
    history: History,
    chosen: Definition,
    exposures: tuple[Exposure, ...],
    outcomes: tuple[Outcome, ...],
    on: date,
) -> tuple[tuple[str, Verdict], ...]:
    """What the other definitions say. Those that judge trials alike share the outcomes."""
    known = {chosen.trial_rules: outcomes}
    verdicts = []
    for other in load_definitions().values():
        if other.id == chosen.id:
            continue
        if other.trial_rules not in known:
            same_gap = other.max_gap_days == chosen.max_gap_days
            used = exposures if same_gap else build_exposures(history.prescriptions, other.max_gap_days)
            known[other.trial_rules] = judge_outcomes(find_trials(used, other, on), history, other)
        verdicts.append((other.id, judge(history, known[other.trial_rules], other, on).verdict))
    return tuple(verdicts)
