"""What an order is for, and why it ended: can this use of the drug be a treatment of depression at all?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from cds_service.fhir_reading.dosage import all_texts, is_as_needed
from cds_service.fhir_reading.dose_text import read_dose_text
from cds_service.fhir_reading.drugs import Recognised, UnknownDrug
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Coding,
    Concept,
    Dosage,
    MedicationRequest,
    Reference,
    read_elements,
)
from cds_service.tables.conditions import (
    ICD_10,
    ICD_10_CM,
    canonical_system,
    is_depression_code,
    meaning_of_code,
)
from cds_service.tables.drugs import Form, TrialUse, Words, words_of
from cds_service.tables.reasons import Indication, load_indications, load_stop_reasons
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.record import DiagnosisRole, StopReason

Find = Callable[[str, dict[str, Any]], dict[str, Any] | None]

PURPOSE_WORDS = (
    "for",
    "treat",
    "treats",
    "help",
    "helps",
    "aid",
    "fuer",
    "fur",
    "für",
    "gegen",
    "para",
    "pour",
)
LONGEST_PHRASE = 4
WORDS_TO_PURPOSE = 3
WORDS_TO_NEGATION = 2
OBJECT_WORDS = ("for", "on", "in", "to", "from", "with")
NARROWER = tuple(TrialUse)


def judge_use(
    order: MedicationRequest, drug: Recognised | UnknownDrug, purpose: Indication | None, doubt: str = ""
) -> Finding:
    """Whether this use can form a trial. `purpose` is what it is for, None when nothing is said.

    `doubt` names an element that bears on it and could not be read.
    """
    for judge in (_as_needed, _never):
        finding = judge(order, drug)
        if finding:
            return finding
    if doubt or order.modifier_extension:
        return _finding(
            Answer.UNKNOWN, doubt or "the order has a modifier extension, whose meaning is not known"
        )
    return _by_purpose(drug, purpose, _stated_reason(order))


def purpose_of(order: MedicationRequest, resource: dict[str, Any], find: Find) -> Indication | None:
    """What the order is for, by its reasons and the words of its dosage; None when nothing is said.

    Depression named beside another reason counts as depression.
    """
    stated = [_indication(concept) for concept in order.reason_code]
    stated += [_indication_of_reference(reference, resource, find) for reference in order.reason_reference]
    stated += [found for dosage in order.dosage_instruction for found in _purposes_in(dosage)]
    if Indication.DEPRESSION in stated:
        return Indication.DEPRESSION
    if not stated:
        return None
    return Indication.UNCLEAR if Indication.UNCLEAR in stated else Indication.OTHER


def _finding(answer: Answer, text: str) -> Finding:
    return Finding("use", answer, text)


def _as_needed(order: MedicationRequest, drug: Recognised | UnknownDrug) -> Finding | None:
    needed = [is_as_needed(dosage) for dosage in order.dosage_instruction]
    if not needed and read_dose_text(drug.name).as_needed:
        needed = [True]
    if needed and all(needed):
        return _finding(Answer.NOT_MET, "taken only as needed")
    if None in needed:
        return _finding(Answer.UNKNOWN, "structure and text disagree on whether it is taken only as needed")
    return None


def _never(_: MedicationRequest, drug: Recognised | UnknownDrug) -> Finding | None:
    """Products and forms whose use is never a trial."""
    if isinstance(drug, UnknownDrug):
        return None
    row = drug.antidepressant
    if drug.form is Form.TOPICAL:
        return _finding(Answer.NOT_MET, "applied to the skin, not a treatment of depression")
    if row.use is TrialUse.NEVER:
        return _finding(Answer.NOT_MET, f"{row.drug.ingredient} is not counted as a trial: {row.use_text}")
    if drug.use is TrialUse.NEVER:
        return _finding(Answer.NOT_MET, f"this product is not counted as a trial: {drug.use_text}")
    if row.counting_form and drug.form is None:
        return _finding(
            Answer.UNKNOWN, f"only the {row.counting_form.value} form counts, and the form is not recorded"
        )
    if row.counting_form and drug.form is not row.counting_form:
        rule = f"; uses that do not count: {row.drug.non_trial_rule}" if row.drug.non_trial_rule else ""
        return _finding(Answer.NOT_MET, f"only the {row.counting_form.value} form counts{rule}")
    return None


def _by_purpose(drug: Recognised | UnknownDrug, purpose: Indication | None, reason: str) -> Finding:
    use = _narrower_use(drug)
    if purpose is Indication.DEPRESSION:
        return _finding(Answer.MET, "ordered for depression")
    if purpose is Indication.OTHER:
        shown = f": {reason}" if reason else ""
        return _finding(Answer.NOT_MET, f"ordered for something else than depression{shown}")
    if use is TrialUse.OTHER_USE:
        text = drug.use_text if isinstance(drug, Recognised) else ""
        return _finding(
            Answer.NOT_MET,
            f"depression is not given as the reason, and the product is for another use: {text}",
        )
    if use is TrialUse.DEPRESSION_ONLY:
        return _finding(
            Answer.UNKNOWN, "counts only when ordered for depression, and the reason is not recorded"
        )
    is_conditional = isinstance(drug, UnknownDrug) or drug.antidepressant.is_conditional
    if purpose is Indication.UNCLEAR and is_conditional:
        return _finding(
            Answer.UNKNOWN, "the reason for the order could not be read, and the drug has other uses"
        )
    return _finding(Answer.MET, "no other reason is recorded")


def _stated_reason(order: MedicationRequest) -> str:
    """The first reason in words, else in code; empty when it stands behind a reference or in the dosage."""
    for concept in order.reason_code:
        displays = (coding.display for coding in concept.coding)
        codes = (coding.code for coding in concept.coding)
        found = next((text for text in (concept.text, *displays, *codes) if text and text.strip()), None)
        if found:
            return found.strip()[:60]
    return next((each.display.strip()[:60] for each in order.reason_reference if each.display), "")


def _narrower_use(drug: Recognised | UnknownDrug) -> TrialUse:
    if isinstance(drug, UnknownDrug):
        return TrialUse.UNLESS_OTHER
    own = drug.antidepressant.use
    return max(own, drug.use, key=NARROWER.index) if drug.use else own


# --- reasons ------------------------------------------------------------------------------------------


def _indication_of_reference(reference: Reference, resource: dict[str, Any], find: Find) -> Indication:
    target = find(reference.reference, resource) if reference.reference else None
    if target is None:
        return _indication(CodeableConcept(text=reference.display))
    concept, problems = read_elements(target, Concept)
    if concept.code is None or problems:
        return Indication.UNCLEAR
    return _indication(concept.code)


def _indication(concept: CodeableConcept) -> Indication:
    """What one reason says; `UNCLEAR` when neither its codes nor its words tell."""
    found = [meaning for coding in concept.coding if (meaning := _indication_of_code(coding))]
    texts = (concept.text, *(coding.display for coding in concept.coding))
    found += [meaning for text in texts if text for meaning in indications_in(words_of(text))]
    if Indication.DEPRESSION in found:
        return Indication.DEPRESSION
    return Indication.OTHER if Indication.OTHER in found else Indication.UNCLEAR


def _indication_of_code(coding: Coding) -> Indication | None:
    system, code = coding.system or "", (coding.code or "").strip()
    if not code:
        return None
    if canonical_system(system) in (ICD_10, ICD_10_CM):
        plain = code.replace(".", "").upper()
        prefixes = load_indications().icd10_prefixes
        by_prefix = next((meaning for prefix, meaning in prefixes if plain.startswith(prefix)), None)
        if by_prefix:
            return by_prefix
    known = load_indications().codes.get((canonical_system(system), code))
    if known:
        return known
    if is_depression_code(system, code):
        return Indication.DEPRESSION
    meaning = meaning_of_code(system, code)
    return Indication.OTHER if meaning and meaning.role is DiagnosisRole.CONFOUNDER else None


def indications_in(words: Words) -> list[Indication]:
    """The meaning of every known phrase among the words, longer phrases before those inside them."""
    phrases = load_indications().phrases
    found: list[Indication] = []
    at = 0
    while at < len(words):
        length = next((n for n in range(LONGEST_PHRASE, 0, -1) if words[at : at + n] in phrases), 0)
        if length:
            found.append(phrases[words[at : at + length]])
        at += length or 1
    return found


@lru_cache(maxsize=8192)
def _purposes_in(dosage: Dosage) -> tuple[Indication, ...]:
    """ "At bedtime for sleep": only what follows a word of purpose, since texts also warn of headaches."""
    if dosage.as_needed_codeable_concept is not None:
        return ()
    return tuple(
        indication
        for words in map(words_of, all_texts(dosage))
        for at, word in enumerate(words)
        if word in PURPOSE_WORDS
        for indication in indications_in(words[at + 1 : at + 1 + WORDS_TO_PURPOSE])
    )


# --- why it ended ---------------------------------------------------------------------------------------


EFFECTS = {StopReason.INEFFICACY, StopReason.PARTIAL_RESPONSE}


def read_stop_reason(concept: CodeableConcept | None) -> tuple[StopReason, str]:
    """Why an order ended, and in whose words. Both too little effect and intolerance together are `OTHER`."""
    if concept is None or not (concept.coding or concept.text):
        return StopReason.NONE_GIVEN, ""
    table = load_stop_reasons()
    texts = [text for text in (concept.text, *(coding.display for coding in concept.coding)) if text]
    said = {
        table.codes.get((canonical_system(coding.system or ""), (coding.code or "").strip()))
        for coding in concept.coding
    }
    said |= {reason for text in texts if "?" not in text for reason in _stop_reasons_in(words_of(text))}
    told = {reason for reason in said if reason in EFFECTS or reason is StopReason.INTOLERANCE}
    if told == EFFECTS:  # some effect is no lack of it
        told = {StopReason.PARTIAL_RESPONSE}
    reason = told.pop() if len(told) == 1 else None
    return reason or StopReason.OTHER, (texts[0] if texts else concept.coding[0].code or "")[:120]


def _stop_reasons_in(words: Words) -> Iterable[StopReason]:
    """The meaning of every known phrase that is neither denied nor in doubt.

    A "not" within a phrase denies no other. Linking words ("not due to inefficacy") carry it further.
    A lack of effect on something else than depression ("ineffective for pain", "no response to calls") is none.
    """
    table = load_stop_reasons()
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(words):
        length = next((n for n in range(LONGEST_PHRASE, 0, -1) if words[at : at + n] in table.phrases), 0)
        if length:
            found.append((at, at + length))
        at += length or 1
    within = {at for begin, end in found for at in range(begin, end)}
    denying = {at for at, word in enumerate(words) if (word,) in table.negations and at not in within}
    for begin, end in found:
        first = begin
        while first and (words[first - 1],) in table.links and first - 1 not in within:
            first -= 1
        is_denied = denying & {*range(first - WORDS_TO_NEGATION, begin), end}
        reason = table.phrases[words[begin:end]]
        if not is_denied and not (reason in EFFECTS and _is_of_something_else(words[end:])):
            yield reason


def _is_of_something_else(after: Words) -> bool:
    """Whether what follows a lack of effect names its object, and that is not depression."""
    if not after or after[0] not in OBJECT_WORDS:
        return False
    near = after[1 : 1 + WORDS_TO_PURPOSE]
    meanings = indications_in(near)
    is_contact = any((word,) in load_stop_reasons().contacts for word in near)
    return is_contact or (Indication.OTHER in meanings and Indication.DEPRESSION not in meanings)
