"""AdverseEvent and AllergyIntolerance → reactions to the antidepressants and augmenting agents of our tables.

Reactions to anything else (penicillin, nuts) are of no interest. A drug that cannot be told could be any: the
record is listed, and bears on why a drug was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cds_service.fhir_reading.code_names import Code, KnownName, with_names
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.dates import PartialDate, parse_fhir_date
from cds_service.fhir_reading.drug_names import clue_of_name
from cds_service.fhir_reading.drugs import (
    DrugReading,
    Recognised,
    UnknownDrug,
    clue_of_code,
    recognise,
)
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Element,
    Extension,
    Medication,
    MedicationRequest,
    Period,
    Problem,
    Reference,
    read_elements,
)
from cds_service.fhir_reading.indications import Find
from cds_service.fhir_reading.medications import drug_of
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.resource_types import OF_A_DRUG
from cds_service.tables.add_ons import augmenting_ingredients
from cds_service.tables.drugs import Product, words_of
from cds_service.tables.reasons import load_stop_reasons
from cds_service.trd.answers import Answer, all_of, any_of
from cds_service.trd.record import Reaction, Topic, Unread

# Of AllergyIntolerance. A missing one counts as confirmed, as it does for a Condition.
VERIFICATIONS = {"confirmed": Answer.MET, "unconfirmed": Answer.UNKNOWN, "presumed": Answer.UNKNOWN}
ALLERGY_ASIDE = {"refuted": "was refuted", "entered-in-error": "was entered in error"}
# Of AdverseEvent. R4 has no status; `potential` is an event that was averted, or may only be one.
ACTUALITIES = {"actual": Answer.MET, "potential": Answer.UNKNOWN}
EVENT_STATUSES = {"completed": Answer.MET, "in-progress": Answer.MET, "unknown": Answer.UNKNOWN}
# The codes of adverse-event-causality-assess, in lower case: what is not told counts as thought to be the cause.
SURE_CAUSES = ("certain", "probably-likely")
CAUSE_OF_NO_DRUG = ("Procedure", "Immunization", "Device", "BiologicallyDerivedProduct")
MEDICATION = "medication"


class Causality(Element, frozen=True):
    assessment: CodeableConcept | None = None


class Suspect(Element, frozen=True):
    instance: Reference | None = None
    instance_codeable_concept: CodeableConcept | None = None
    causality: tuple[Causality, ...] = ()


class AdverseEvent(Element, frozen=True):
    """The elements of an AdverseEvent that are read; `status` is of R5."""

    status: str | None = None
    actuality: str | None = None
    event: CodeableConcept | None = None
    date: str | None = None
    detected: str | None = None
    recorded_date: str | None = None
    outcome: CodeableConcept | None = None
    suspect_entity: tuple[Suspect, ...] = ()
    modifier_extension: tuple[Extension, ...] = ()


class AllergicReaction(Element, frozen=True):
    substance: CodeableConcept | None = None
    manifestation: tuple[CodeableConcept, ...] = ()
    description: str | None = None
    onset: str | None = None


class AllergyIntolerance(Element, frozen=True):
    """The elements of an AllergyIntolerance that are read."""

    verification_status: CodeableConcept | None = None
    category: tuple[str, ...] = ()
    code: CodeableConcept | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    recorded_date: str | None = None
    last_occurrence: str | None = None
    reaction: tuple[AllergicReaction, ...] = ()
    modifier_extension: tuple[Extension, ...] = ()


@dataclass(frozen=True)
class ReactionReading:
    reactions: tuple[Reaction, ...] = ()
    unread: tuple[Unread, ...] = ()
    set_aside: tuple[Unread, ...] = ()


NOTHING = ReactionReading()


@dataclass(frozen=True)
class _Context:
    find: Find
    on: date
    names: Mapping[Code, KnownName]


def read_reactions(
    by_type: Mapping[str, Sequence[Entry]], find: Find, on: date, names: Mapping[Code, KnownName]
) -> ReactionReading:
    """The reactions of one patient, as far as they were known on the day `on`. Never raises.

    `find` resolves references, `names` is what a terminology service says of codes that our tables lack.
    """
    context = _Context(find, on, names)
    readings = [_read_event(entry, context) for entry in by_type.get("AdverseEvent", ())]
    readings += [_read_allergy(entry, context) for entry in by_type.get("AllergyIntolerance", ())]
    return ReactionReading(
        reactions=tuple(reaction for reading in readings for reaction in reading.reactions),
        unread=tuple(unread for reading in readings for unread in reading.unread),
        set_aside=tuple(unread for reading in readings for unread in reading.set_aside),
    )


@dataclass(frozen=True)
class _Days:
    """The days on which it happened or began, as the record has them, and the day it was recorded."""

    happened: tuple[PartialDate, ...]
    recorded: PartialDate | None
    problem: str = ""

    def lie_ahead(self, on: date) -> bool:
        return any(day.earliest > on for day in (*self.happened, *([self.recorded] if self.recorded else [])))


def _reading(
    reference: str, holds: Mapping[str, Answer], text: str, days: _Days, doubt: str, on: date
) -> ReactionReading:
    """One reaction for each agent and each exact day; one without a day where none is exact."""
    if days.lie_ahead(on):
        return ReactionReading(unread=(Unread(reference, f"is dated after {on}", (Topic.NONE,)),))
    exact: list[date | None] = [*sorted({day.earliest for day in days.happened if day.is_exact})]
    recorded = days.recorded.earliest if days.recorded and days.recorded.is_exact else None
    problem = doubt or days.problem
    certainty = Answer.UNKNOWN if doubt else Answer.MET
    return ReactionReading(
        reactions=tuple(
            Reaction(agent, text, day, all_of((answer, certainty)), reference, recorded)
            for agent, answer in holds.items()
            for day in (exact or [None])
        ),
        unread=(Unread(reference, problem, (Topic.NONE,)),) if problem else (),
    )


def _unread(reference: str, problem: str) -> ReactionReading:
    return ReactionReading(unread=(Unread(reference, problem, (Topic.REACTION,)),))


def _aside(reference: str, text: str, why: str) -> ReactionReading:
    return ReactionReading(set_aside=(Unread(reference, f"{text}: {why}", (Topic.NONE,)),))


# --- adverse events -----------------------------------------------------------------------------------


def _read_event(entry: Entry, context: _Context) -> ReactionReading:
    event, problems = read_elements(entry.resource, AdverseEvent)
    reference = reference_of(entry)
    suspects = [_suspected(suspect, entry.resource, context) for suspect in event.suspect_entity]
    trouble = problem_with(problems, "suspectEntity")
    agents = _agents_in(suspects)
    text = f"adverse event{_named(event.event)} ({' and '.join(agents)})"
    if event.status == "entered-in-error":
        return _aside(reference, text, ALLERGY_ASIDE["entered-in-error"]) if agents else NOTHING
    if not event.suspect_entity and not trouble:
        return _by_its_name(event, problems, reference, context)
    if not agents:
        unknown = trouble or next((s.problem for s in suspects if s.problem), "")
        return _unread(reference, unknown) if unknown else NOTHING
    happened = all_of(_whether_it_happened(event, problems))
    sure = _how_sure(event.suspect_entity, suspects)
    holds = {agent: all_of((happened, answer)) for agent, answer in sure.items()}
    outcome = f", outcome{_named(event.outcome)}" if event.outcome else ""
    days, doubt = _days_of_event(event, problems), _event_doubt(event, problems)
    reading = _reading(reference, holds, text + outcome, days, doubt, context.on)
    untold = tuple(Unread(reference, each.problem, (Topic.REACTION,)) for each in suspects if each.problem)
    return replace(reading, unread=(*reading.unread, *untold))


def _by_its_name(
    event: AdverseEvent, problems: Sequence[Problem], reference: str, context: _Context
) -> ReactionReading:
    """An event that names no suspect, but a drug in its own name, may be one of that drug."""
    named = _named_drug(event.event, context) if event.event else _Named((), "")
    if not named.agents:
        return NOTHING
    text = f"adverse event{_named(event.event)}"
    days = _days_of_event(event, problems)
    holds = dict.fromkeys(named.agents, Answer.UNKNOWN)
    return _reading(reference, holds, text, days, "", context.on)


def _whether_it_happened(event: AdverseEvent, problems: Sequence[Problem]) -> Iterator[Answer]:
    yield ACTUALITIES.get(event.actuality or "actual", Answer.UNKNOWN)
    yield EVENT_STATUSES.get(event.status or "completed", Answer.UNKNOWN)
    if _event_doubt(event, problems):
        yield Answer.UNKNOWN


def _event_doubt(event: AdverseEvent, problems: Sequence[Problem]) -> str:
    trouble = problem_with(problems, "status", "actuality", "suspectEntity", "modifierExtension")
    if trouble:
        return trouble
    if event.modifier_extension:
        return "at $.modifierExtension: expected none, it may change what the event means"
    if event.actuality is not None and event.actuality not in ACTUALITIES:
        return f"at $.actuality: expected {' or '.join(ACTUALITIES)}, found another value"
    if event.status is not None and event.status not in EVENT_STATUSES:
        return f"at $.status: expected {' or '.join(EVENT_STATUSES)}, found another value"
    return ""


def _how_sure(suspects: Sequence[Suspect], named: Sequence[_Named]) -> dict[str, Answer]:
    """For each agent whether it is thought to be the cause.

    One that was assessed is what that says. Of several that were not, each is only perhaps the cause.
    """
    is_only_one = len({each.agents or (each.name,) for each in named}) == 1
    sure: dict[str, Answer] = {}
    for suspect, each in zip(suspects, named, strict=True):
        assessed = _assessment_of(suspect)
        answer = assessed or (Answer.MET if is_only_one else Answer.UNKNOWN)
        for agent in each.agents:
            sure[agent] = any_of((answer, sure.get(agent, answer)))
    return sure


def _assessment_of(suspect: Suspect) -> Answer | None:
    """What was thought of the suspect as a cause; None when nothing is recorded."""
    assessments = [causality.assessment for causality in suspect.causality if causality.assessment]
    codes = {(coding.code or "").strip().lower() for each in assessments for coding in each.coding}
    if not assessments:
        return None
    return Answer.MET if codes and codes <= set(SURE_CAUSES) else Answer.UNKNOWN


def _days_of_event(event: AdverseEvent, problems: Sequence[Problem]) -> _Days:
    happened, detected = parse_fhir_date(event.date), parse_fhir_date(event.detected)
    recorded = parse_fhir_date(event.recorded_date) or detected
    problem = problem_with(problems, "date")
    if event.date is not None and happened is None:
        problem = "at $.date: expected a FHIR date, found another text"
    return _Days((happened,) if happened else (), recorded, problem)


# --- allergies and intolerances -----------------------------------------------------------------------


def _read_allergy(entry: Entry, context: _Context) -> ReactionReading:
    allergy, problems = read_elements(entry.resource, AllergyIntolerance)
    reference = reference_of(entry)
    by_code = _named_drug(allergy.code, context) if allergy.code else _Named((), "")
    of_reactions = [_named_drug(r.substance, context) for r in allergy.reaction if r.substance]
    agents = _agents_in((by_code, *of_reactions))
    unknown = problem_with(problems, "code", "reaction") or _what_is_unknown(allergy, by_code, of_reactions)
    is_of_a_drug = not allergy.category or MEDICATION in allergy.category
    if not agents and not (unknown and is_of_a_drug):
        return NOTHING
    text = f"allergy or intolerance ({' and '.join(agents) or 'unknown'}){_manifestations(allergy)}"
    status = _status_of(allergy.verification_status)
    if status in ALLERGY_ASIDE:
        return _aside(reference, text, ALLERGY_ASIDE[status])
    if not agents:
        return _unread(reference, unknown)
    holds = [VERIFICATIONS.get(status or "confirmed", Answer.UNKNOWN)]
    if _is_denied(allergy.code) or (len(agents) > 1 and by_code.agents):
        holds.append(Answer.UNKNOWN)  # denied, or one drug by its code and another by the reaction
    doubt = _allergy_doubt(allergy, status, problems)
    days = _days_of_allergy(allergy, problems)
    return _reading(reference, dict.fromkeys(agents, all_of(holds)), text, days, doubt, context.on)


def _what_is_unknown(allergy: AllergyIntolerance, by_code: _Named, of_reactions: Sequence[_Named]) -> str:
    if allergy.code is None and not of_reactions:
        return "at $.code: expected a code or a text, found nothing"
    return by_code.problem or next((each.problem for each in of_reactions if each.problem), "")


def _is_denied(concept: CodeableConcept | None) -> bool:
    """Whether a name holds a word such as "no": "no known allergy to sertraline"."""
    negations = load_stop_reasons().negations
    names = _names_in(concept) if concept else ()
    return any((word,) in negations for name in names for word in words_of(name))


def _status_of(status: CodeableConcept | None) -> str:
    """The status by its code, in whatever system it is written; else by its text. Empty when there is none."""
    if status is None:
        return ""
    codes = {coding.code.strip().lower() for coding in status.coding if coding.code}
    known = codes & {*VERIFICATIONS, *ALLERGY_ASIDE}
    if len(known) == 1:
        return known.pop()
    return "another value" if codes else (status.text or "another value").strip().lower()


def _allergy_doubt(allergy: AllergyIntolerance, status: str, problems: Sequence[Problem]) -> str:
    trouble = problem_with(problems, "verificationStatus", "modifierExtension")
    if trouble:
        return trouble
    if allergy.modifier_extension:
        return "at $.modifierExtension: expected none, it may change what the allergy means"
    if status and status not in VERIFICATIONS:
        known = " or ".join((*VERIFICATIONS, *ALLERGY_ASIDE))
        return f"at $.verificationStatus: expected {known}, found another value"
    return ""


def _manifestations(allergy: AllergyIntolerance) -> str:
    named = (_shown(concept) for reaction in allergy.reaction for concept in reaction.manifestation)
    described = (reaction.description or "" for reaction in allergy.reaction)
    texts = dict.fromkeys(text[:60] for text in (*named, *described) if text)
    return f": {', '.join(list(texts)[:5])}" if texts else ""


def _days_of_allergy(allergy: AllergyIntolerance, problems: Sequence[Problem]) -> _Days:
    period = allergy.onset_period
    texts = {
        "onsetDateTime": allergy.onset_date_time,
        "onsetPeriod.start": period.start if period else None,
        "lastOccurrence": allergy.last_occurrence,
        **{f"reaction[{at}].onset": reaction.onset for at, reaction in enumerate(allergy.reaction)},
    }
    days = {name: parse_fhir_date(text) for name, text in texts.items() if text is not None}
    unreadable = [name for name, day in days.items() if day is None]
    problem = problem_with(problems, "onsetDateTime", "onsetPeriod", "lastOccurrence", "reaction")
    if unreadable:
        problem = f"at $.{unreadable[0]}: expected a FHIR date, found another text"
    happened = tuple(day for day in days.values() if day)
    return _Days(happened, parse_fhir_date(allergy.recorded_date), problem)


# --- which drug ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Named:
    """The agents of our tables that something names; without any, `problem` says what could not be told."""

    agents: tuple[str, ...]
    name: str
    problem: str = ""


def _agents_in(named: Iterable[_Named]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(agent for each in named for agent in each.agents))


def _suspected(suspect: Suspect, resource: dict[str, Any], context: _Context) -> _Named:
    concept, instance = suspect.instance_codeable_concept, suspect.instance
    if instance is None:
        if concept is None:
            return _Named((), "", "at $.suspectEntity: expected a reference or a code, found neither")
        return _named_drug(concept, context)
    target = context.find(instance.reference, resource) if instance.reference else None
    if target is None:
        return _not_at_hand(instance, concept, context)
    target_type = target.get("resourceType")
    if target_type == "Medication":
        return _of_medication(target, instance, concept, resource, context)
    if target_type in OF_A_DRUG:
        return _of_order(target, context)
    code = target.get("code")
    return _named_drug(read_elements(code, CodeableConcept)[0], context) if code else _Named((), "another")


def _not_at_hand(instance: Reference, concept: CodeableConcept | None, context: _Context) -> _Named:
    shown = concept or CodeableConcept(text=instance.display)
    named = _named_drug(shown, context)
    if named.agents or not named.problem:
        return named
    target_type = (instance.reference or "").rpartition("/")[0].rpartition("/")[2]
    if target_type in CAUSE_OF_NO_DRUG:
        return replace(named, problem="")
    return replace(named, problem="at $.suspectEntity.instance: what it refers to is not at hand")


def _of_order(target: dict[str, Any], context: _Context) -> _Named:
    order, _ = read_elements(target, MedicationRequest)
    concept, reference = order.medication_codeable_concept, order.medication_reference
    if reference is None and concept is not None:
        return _named_drug(concept, context)
    medication = context.find(reference.reference, target) if reference and reference.reference else None
    if medication is not None and reference is not None:
        return _of_medication(medication, reference, concept, target, context)
    return _as_named(drug_of(concept, reference, target, context.find, context.names), ())


def _of_medication(
    medication: dict[str, Any],
    reference: Reference,
    concept: CodeableConcept | None,
    within: dict[str, Any],
    context: _Context,
) -> _Named:
    drug = drug_of(concept, reference, within, context.find, context.names)
    elements, _ = read_elements(medication, Medication)
    concepts = (elements.code, *(each.item_codeable_concept for each in elements.ingredient))
    return _as_named(drug, tuple(each for each in concepts if each))


def _named_drug(concept: CodeableConcept | None, context: _Context) -> _Named:
    concept = with_names(concept, context.names) or CodeableConcept()
    return _as_named(recognise(concept), (concept,))


def _as_named(drug: DrugReading, concepts: Sequence[CodeableConcept]) -> _Named:
    """The agent of an antidepressant; of other known drugs, those that may be added to one."""
    if isinstance(drug, Recognised):
        return _Named((drug.antidepressant.drug.agent,), drug.name)
    if isinstance(drug, UnknownDrug):
        return _Named((), drug.name, f"{drug.name}: {drug.problem}")
    return _Named(_augmenting(concepts), drug.name) if drug.is_certain else _Named((), drug.name)


def _augmenting(concepts: Sequence[CodeableConcept]) -> tuple[str, ...]:
    clues = [clue_of_code(coding) for concept in concepts for coding in concept.coding]
    clues_of_names = [clue_of_name(name) for concept in concepts for name in _names_in(concept)]
    products = [clue for clue in (*clues, *clues_of_names) if isinstance(clue, Product)]
    named = {part for product in products for part in product.components}
    return tuple(sorted(named & augmenting_ingredients()))


def _names_in(concept: CodeableConcept) -> Iterator[str]:
    yield from (text for text in (concept.text, *(c.display for c in concept.coding)) if text)


def _shown(concept: CodeableConcept | None) -> str:
    names = _names_in(concept) if concept else iter(())
    return " ".join(next(names, "").split())[:80]


def _named(concept: CodeableConcept | None) -> str:
    shown = _shown(concept)
    return f": {shown}" if shown else ""
