"""What is read otherwise of an agent added to an antidepressant: its reasons, and doses that tell nothing.

Such an order is read as that of an antidepressant. The reasons that speak against it are its own (epilepsy,
bipolar disorder, a thyroid that is replaced), and the mg of another salt, an injection or an infusion are not
those of its table row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cds_service.fhir_reading.dosage import all_texts
from cds_service.fhir_reading.drugs import Recognised
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Coding,
    Concept,
    MedicationRequest,
    read_elements,
)
from cds_service.fhir_reading.indications import PURPOSE_WORDS, WORDS_TO_PURPOSE, Find
from cds_service.tables.add_ons import AugmentingAgent, augmenting_agent
from cds_service.tables.conditions import meaning_of_code
from cds_service.tables.drugs import Form, Words, words_of
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.record import DiagnosisRole, Prescription


def other_use_of(order: MedicationRequest, drug: Recognised, resource: dict[str, Any], find: Find) -> str:
    """The reason that tells another use of the agent than augmentation; empty when none does."""
    agent = augmenting_agent(drug.antidepressant.components)
    if agent is None:
        return ""
    concepts = [*order.reason_code, *_referenced(order, resource, find)]
    for words in (*(words for concept in concepts for words in _words_of(concept)), *_purposes(order)):
        if phrase := _phrase_in(words, agent.other_uses):
            return " ".join(phrase)
    codings = (coding for concept in concepts for coding in concept.coding)
    return next((shown for coding in codings if (shown := _other_diagnosis(coding))), "")


def as_add_on(told: Prescription, drug: Recognised, other_use: str) -> Prescription:
    """The record with the use that `other_use` tells, and without a dose that is none of mg per day by mouth."""
    agent = augmenting_agent(drug.antidepressant.components)
    if agent is None:
        return told
    why = _why_no_dose(drug, agent)
    if why:
        told = replace(
            told,
            segments=tuple(replace(segment, low_mg=None, high_mg=None) for segment in told.segments),
            dose_text=f"{why} ({told.dose_text})",
            total_mg=None,
            unit_mg_per_day=None,
            has_derived_dose=False,
        )
    return replace(told, treats_depression=_use(told, other_use))


def _use(told: Prescription, other_use: str) -> Finding:
    """Another use beside depression leaves it open which of them the agent is for."""
    use = told.treats_depression
    if not other_use or use.answer is Answer.NOT_MET:
        return use
    if told.has_stated_use:
        text = f"ordered for depression, and {other_use} is named beside it"
        return replace(use, answer=Answer.UNKNOWN, text=text)
    return replace(
        use, answer=Answer.NOT_MET, text=f"ordered for something else than depression: {other_use}"
    )


def _why_no_dose(drug: Recognised, agent: AugmentingAgent) -> str:
    if not agent.has_daily_dose:
        return "dose unknown: it is not given as mg per day"
    salt = next(iter(sorted(drug.words & agent.not_of)), "")
    if salt:
        return f"dose unknown: mg of the {salt} are not those the least dose is stated in"
    if drug.form not in (None, Form.ORAL):
        return "dose unknown: the least dose is stated for use by mouth"
    return ""


# --- reasons ------------------------------------------------------------------------------------------


def _referenced(order: MedicationRequest, resource: dict[str, Any], find: Find) -> Iterable[CodeableConcept]:
    for reference in order.reason_reference:
        target = find(reference.reference, resource) if reference.reference else None
        concept = read_elements(target, Concept)[0].code if target is not None else None
        yield concept or CodeableConcept(text=reference.display)


def _words_of(concept: CodeableConcept) -> Iterable[Words]:
    texts = (concept.text, *(coding.display for coding in concept.coding))
    return (words_of(text) for text in texts if text)


def _purposes(order: MedicationRequest) -> Iterable[Words]:
    """The words that follow a word of purpose in the texts of the dosage."""
    for dosage in order.dosage_instruction:
        for words in map(words_of, all_texts(dosage)):
            for at, word in enumerate(words):
                if word in PURPOSE_WORDS:
                    yield words[at + 1 : at + 1 + WORDS_TO_PURPOSE]


def _phrase_in(words: Words, phrases: Iterable[Words]) -> Words:
    for phrase in sorted(phrases):
        if any(words[at : at + len(phrase)] == phrase for at in range(len(words))):
            return phrase
    return ()


def _other_diagnosis(coding: Coding) -> str:
    """What a coded reason says that is no depression: an excluding diagnosis, such as bipolar disorder."""
    meaning = meaning_of_code(coding.system or "", (coding.code or "").strip()) if coding.code else None
    if meaning is None or meaning.role is not DiagnosisRole.EXCLUSION:
        return ""
    return (coding.display or meaning.category.replace("_", " "))[:60]
