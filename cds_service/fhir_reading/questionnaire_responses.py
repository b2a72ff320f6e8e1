"""QuestionnaireResponse → totals of depression scales, answers about suicide, what is shown as context.

Items are told by LOINC code: in `linkId`, in `definition`, or in a code that stands beside the item; else by
words that name exactly one thing. A form of something else is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Coding,
    Element,
    Extension,
    Number,
    Problem,
    Quantity,
    read_elements,
)
from cds_service.fhir_reading.measurements import Measurements
from cds_service.fhir_reading.observation_elements import Valued
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.result_codes import LOINC_SYSTEMS, CodeKind, CodeReading, read_code
from cds_service.fhir_reading.result_dates import not_after, read_authored
from cds_service.fhir_reading.result_facts import Fact, SetAside
from cds_service.fhir_reading.result_values import is_known_answer
from cds_service.fhir_reading.scale_results import Part, Record, code_of_part, facts_of_form
from cds_service.tables.scales import LOINC_CODE, ScaleRow
from cds_service.trd.record import Topic, Unread

COMPLETE = ("completed", "amended")
VOID = "entered-in-error"
LOINC = "http://loinc.org"
ANSWER_CODE = re.compile(r"LA\d{1,6}-\d", re.ASCII)
# The value of an answer, by the name of its extension in STU3, R4 and R5.
VALUE_OF_AN_ANSWER = (
    "http://hl7.org/fhir/StructureDefinition/ordinalValue",
    "http://hl7.org/fhir/StructureDefinition/questionnaire-ordinalValue",
    "http://hl7.org/fhir/StructureDefinition/iso21090-CO-value",
    "http://hl7.org/fhir/StructureDefinition/itemWeight",
)
LONGEST_CANONICAL = 300


class _Extension(Element, frozen=True):
    url: str | None = None
    value_decimal: Number | None = None
    value_integer: Number | None = None
    value_coding: Coding | None = None
    value_codeable_concept: CodeableConcept | None = None


class _AnswerCoding(Coding, frozen=True):
    extension: tuple[_Extension, ...] = ()


class _Answer(Element, frozen=True):
    value_boolean: bool | None = None
    value_decimal: Number | None = None
    value_integer: Number | None = None
    value_string: str | None = None
    value_coding: _AnswerCoding | None = None
    value_quantity: Quantity | None = None
    extension: tuple[_Extension, ...] = ()
    item: tuple[_Item, ...] = ()


class _Item(Element, frozen=True):
    link_id: str | None = None
    definition: str | None = None
    text: str | None = None
    code: tuple[Coding, ...] = ()
    extension: tuple[_Extension, ...] = ()
    answer: tuple[_Answer, ...] = ()
    item: tuple[_Item, ...] = ()


class _Form(Element, frozen=True):
    questionnaire: str | None = None
    status: str | None = None
    authored: str | None = None
    item: tuple[_Item, ...] = ()
    modifier_extension: tuple[Extension, ...] = ()


def facts_of_questionnaire_response(entry: Entry, on: date, measurements: Measurements) -> Iterator[Fact]:
    """What one form says. `measurements` takes what is shown as context."""
    form, problems = read_elements(entry.resource, _Form)
    parts = [part for item in _all_items(form) for part in _parts_of(item)]
    named = _scales_named(form)
    broken = problem_with(problems, "item")
    if not (parts or named or broken):
        return
    reference = reference_of(entry)
    if form.status == VOID:
        yield SetAside(Unread(reference, f"has the status {VOID}", (Topic.NONE,)))
        return
    when = not_after(on, read_authored(form.authored, problems))
    if when.first_day is not None and when.first_day > on:
        yield Unread(reference, f"is dated {when.first_day}, after {on}", (Topic.NONE,))
        return
    modified, unfinished = _modifier_trouble(form, problems), _status_trouble(form, problems)
    record = Record(
        reference,
        when,
        modified or unfinished,
        form.status == "amended",
        is_only_unfinished=bool(unfinished and not modified),
    )
    if broken and not any(part.code.kind in (CodeKind.ITEM, CodeKind.SUICIDE_SCALE) for part in parts):
        # What is lost could be an answer about suicide.
        yield record.suicide_item("", None)
    if not (parts or named):
        # It could be any form that we read.
        yield record.doubt((), broken)
        return
    for part in parts:
        if part.code.measurement is not None:
            trouble = record.trouble or broken
            measurements.take(part.code.measurement, part.holder, when, reference, trouble)
    yield from facts_of_form(record, parts, named, broken)


def _modifier_trouble(form: _Form, problems: Sequence[Problem]) -> str:
    if form.modifier_extension or problem_with(problems, "modifierExtension"):
        return "at $.modifierExtension: expected none, it may change what the form means"
    return ""


def _status_trouble(form: _Form, problems: Sequence[Problem]) -> str:
    if form.status in COMPLETE:
        return ""
    found = form.status if form.status in ("in-progress", "stopped") else "another value or none"
    return problem_with(problems, "status") or f"at $.status: expected completed or amended, found {found}"


# --- items --------------------------------------------------------------------------------------------


def _all_items(form: _Form) -> Iterator[_Item]:
    """Every item, in order, however deep it lies in groups and answers."""
    waiting = list(reversed(form.item))
    while waiting:
        item = waiting.pop()
        yield item
        below = [*item.item, *(inner for answer in item.answer for inner in answer.item)]
        waiting += reversed(below)


_KINDS = (CodeKind.SCALE, CodeKind.ITEM, CodeKind.SUICIDE_SCALE, CodeKind.MEASUREMENT, CodeKind.UNCLEAR)


def _parts_of(item: _Item) -> Iterator[Part]:
    """The item once for each answer; once without a value when it has none. Nothing if it is none of ours."""
    code = _code_of(item)
    is_heading = (
        code.kind in (CodeKind.MEASUREMENT, CodeKind.UNCLEAR, CodeKind.SUICIDE_SCALE) and not item.answer
    )
    if code.kind not in _KINDS or is_heading:
        return
    for answer in item.answer or (_Answer(),):
        yield Part(_holder(answer), code)


def _code_of(item: _Item) -> CodeReading:
    codes = dict.fromkeys(
        code for code in (_loinc_in(item.link_id), _loinc_in_definition(item.definition)) if code
    )
    beside = [*item.code]
    for extension in item.extension:
        beside += [extension.value_coding] if extension.value_coding else []
        beside += extension.value_codeable_concept.coding if extension.value_codeable_concept else []
    of_loinc = [coding for coding in beside if _is_loinc(coding)]
    codings = (*(Coding(system=LOINC, code=code) for code in codes), *of_loinc)
    if not codings and not item.text:
        return _NO_CODE
    return code_of_part(CodeableConcept(coding=codings, text=item.text))


_NO_CODE = CodeReading(CodeKind.OTHER)


def _is_loinc(coding: Coding) -> bool:
    return (coding.system or "").strip().lower().rstrip("/") in LOINC_SYSTEMS


def _loinc_in(link_id: str | None) -> str:
    """The last step of `/44249-1/44250-9`."""
    last = (link_id or "").rstrip("/").rpartition("/")[2].strip()
    return last if LOINC_CODE.fullmatch(last) else ""


def _loinc_in_definition(definition: str | None) -> str:
    """The code in `http://loinc.org/44250-9`."""
    address = (definition or "").partition("#")[0].partition("|")[0]
    return _loinc_in(address) if "loinc.org/" in address.lower() else ""


def _holder(answer: _Answer) -> Valued:
    """The answer as the value of a component. Values that differ stay side by side, so that none is taken."""
    weights = _weights(answer)
    numbers = list(
        dict.fromkeys(n for n in (answer.value_integer, answer.value_decimal, *weights) if n is not None)
    )
    concept = _concept(answer.value_coding)
    if weights and concept is not None and not is_known_answer(concept):
        concept = None
    second = Quantity(value=numbers[1]) if len(numbers) > 1 else None
    return Valued(
        value_integer=numbers[0] if numbers else None,
        value_quantity=second or answer.value_quantity,
        value_string=answer.value_string,
        value_codeable_concept=concept,
        value_boolean=answer.value_boolean,
    )


def _weights(answer: _Answer) -> list[Number]:
    """What the extensions of the answer, or of its code, say it counts."""
    beside = [*answer.extension, *(answer.value_coding.extension if answer.value_coding else ())]
    values = [
        extension.value_decimal if extension.value_decimal is not None else extension.value_integer
        for extension in beside
        if extension.url in VALUE_OF_AN_ANSWER
    ]
    return [value for value in values if value is not None]


def _concept(coding: _AnswerCoding | None) -> CodeableConcept | None:
    """The answer as a concept. Forms often leave out the system of LOINC's answer codes, which nobody else has."""
    if coding is None:
        return None
    code = (coding.code or "").strip()
    system = LOINC if not coding.system and ANSWER_CODE.fullmatch(code) else coding.system
    return CodeableConcept(coding=(Coding(system=system, code=code, display=coding.display),))


# --- the form as a whole ------------------------------------------------------------------------------


def _scales_named(form: _Form) -> list[ScaleRow]:
    """The depression scale that the address of the questionnaire names: by LOINC code, or as its last step."""
    address = (form.questionnaire or "")[:LONGEST_CANONICAL].partition("|")[0].rstrip("/")
    last = address.rpartition("/")[2]
    code = last if "loinc.org/" in address.lower() and LOINC_CODE.fullmatch(last) else ""
    if code:
        reading = read_code(CodeableConcept(coding=(Coding(system=LOINC, code=code),)))
    else:
        reading = read_code(CodeableConcept(text=last)) if last else _NO_CODE
    return [reading.rows[0]] if reading.kind is CodeKind.SCALE else []
