"""The FHIR R4 elements the readers look at, and nothing else, as frozen msgspec structs.

`read_elements` decodes a resource; where an element is malformed it still gives all the others, with
one `Problem` (JSON path, expected, found) for each that could not be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

Number = int | float


class Element(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Base of all: camel-case names, unknown members ignored, hashable so that readings can be cached."""


class Coding(Element, frozen=True):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class NamedCoding(Coding, frozen=True):
    """A name or code that the terminology service at `origin` gave; never decoded from a record."""

    origin: str = ""


class CodeableConcept(Element, frozen=True):
    coding: tuple[Coding, ...] = ()
    text: str | None = None


class Reference(Element, frozen=True):
    reference: str | None = None
    display: str | None = None


class Quantity(Element, frozen=True):
    value: Number | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Range(Element, frozen=True):
    low: Quantity | None = None
    high: Quantity | None = None


class Ratio(Element, frozen=True):
    numerator: Quantity | None = None
    denominator: Quantity | None = None


class Period(Element, frozen=True):
    start: str | None = None
    end: str | None = None


class Repeat(Element, frozen=True):
    bounds_period: Period | None = None
    bounds_duration: Quantity | None = None
    bounds_range: Range | None = None
    count: Number | None = None
    count_max: Number | None = None
    duration: Number | None = None
    duration_max: Number | None = None
    duration_unit: str | None = None
    frequency: Number | None = None
    frequency_max: Number | None = None
    period: Number | None = None
    period_max: Number | None = None
    period_unit: str | None = None
    day_of_week: tuple[str, ...] = ()
    time_of_day: tuple[str, ...] = ()
    when: tuple[str, ...] = ()


class Timing(Element, frozen=True):
    repeat: Repeat | None = None
    code: CodeableConcept | None = None
    event: tuple[str, ...] = ()


class DoseAndRate(Element, frozen=True):
    type: CodeableConcept | None = None
    dose_quantity: Quantity | None = None
    dose_range: Range | None = None
    rate_quantity: Quantity | None = None
    rate_range: Range | None = None
    rate_ratio: Ratio | None = None


class Extension(Element, frozen=True):
    url: str | None = None


class Dosage(Element, frozen=True):
    sequence: Number | None = None
    text: str | None = None
    patient_instruction: str | None = None
    additional_instruction: tuple[CodeableConcept, ...] = ()
    timing: Timing | None = None
    as_needed_boolean: bool | None = None
    as_needed_codeable_concept: CodeableConcept | None = None
    route: CodeableConcept | None = None
    dose_and_rate: tuple[DoseAndRate, ...] = ()
    max_dose_per_period: Ratio | None = None
    modifier_extension: tuple[Extension, ...] = ()


class InitialFill(Element, frozen=True):
    quantity: Quantity | None = None
    duration: Quantity | None = None


class DispenseRequest(Element, frozen=True):
    initial_fill: InitialFill | None = None
    dispense_interval: Quantity | None = None
    validity_period: Period | None = None
    number_of_repeats_allowed: Number | None = None
    quantity: Quantity | None = None
    expected_supply_duration: Quantity | None = None


class Meta(Element, frozen=True):
    last_updated: str | None = None


class MedicationRequest(Element, frozen=True):
    meta: Meta | None = None
    status: str | None = None
    status_reason: CodeableConcept | None = None
    intent: str | None = None
    do_not_perform: bool | None = None
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    authored_on: str | None = None
    effective_dose_period: Period | None = None
    reason_code: tuple[CodeableConcept, ...] = ()
    reason_reference: tuple[Reference, ...] = ()
    dosage_instruction: tuple[Dosage, ...] = ()
    dispense_request: DispenseRequest | None = None
    prior_prescription: Reference | None = None
    modifier_extension: tuple[Extension, ...] = ()


class MedicationDispense(Element, frozen=True):
    status: str | None = None
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    authorizing_prescription: tuple[Reference, ...] = ()
    quantity: Quantity | None = None
    days_supply: Quantity | None = None
    when_prepared: str | None = None
    when_handed_over: str | None = None
    dosage_instruction: tuple[Dosage, ...] = ()
    modifier_extension: tuple[Extension, ...] = ()


class MedicationStatement(Element, frozen=True):
    status: str | None = None
    status_reason: tuple[CodeableConcept, ...] = ()
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    based_on: tuple[Reference, ...] = ()
    effective_date_time: str | None = None
    effective_period: Period | None = None
    date_asserted: str | None = None
    reason_code: tuple[CodeableConcept, ...] = ()
    reason_reference: tuple[Reference, ...] = ()
    dosage: tuple[Dosage, ...] = ()
    modifier_extension: tuple[Extension, ...] = ()


class AdministeredDosage(Element, frozen=True):
    text: str | None = None
    route: CodeableConcept | None = None
    dose: Quantity | None = None


class MedicationAdministration(Element, frozen=True):
    status: str | None = None
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    request: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    reason_code: tuple[CodeableConcept, ...] = ()
    reason_reference: tuple[Reference, ...] = ()
    dosage: AdministeredDosage | None = None
    modifier_extension: tuple[Extension, ...] = ()


class MedicationIngredient(Element, frozen=True):
    item_codeable_concept: CodeableConcept | None = None
    item_reference: Reference | None = None
    is_active: bool | None = None
    strength: Ratio | None = None


class Medication(Element, frozen=True):
    code: CodeableConcept | None = None
    status: str | None = None
    form: CodeableConcept | None = None
    ingredient: tuple[MedicationIngredient, ...] = ()


class Concept(Element, frozen=True):
    """Any resource of which only the code matters, such as a Condition given as a reason."""

    code: CodeableConcept | None = None


@dataclass(frozen=True)
class Problem:
    """An element that could not be read: its JSON path, and a text with path, expected and found."""

    path: str
    text: str


ConceptKey = tuple[str | None, str | None, str | None, str | None]
LONGEST_IN_KEY = 200


def key_of_concept(concept: object) -> ConceptKey | None:
    """System, code, display and text of a parsed CodeableConcept with one coding, as a key for caches.

    None for any other shape, and for long texts, which caches must not keep. Most orders, results and
    diagnoses of a record are of no interest, and their code says so: the key spares decoding them.
    """
    if not isinstance(concept, dict):
        return None
    coding = concept.get("coding")
    if not isinstance(coding, list) or len(coding) != 1 or not isinstance(coding[0], dict):
        return None
    only = coding[0]
    system, code, display, text = key = (
        only.get("system"), only.get("code"), only.get("display"), concept.get("text")
    )  # fmt: skip
    # Written out, since every result and diagnosis passes here.
    is_key = (
        (system is None or (type(system) is str and len(system) <= LONGEST_IN_KEY))
        and (code is None or (type(code) is str and len(code) <= LONGEST_IN_KEY))
        and (display is None or (type(display) is str and len(display) <= LONGEST_IN_KEY))
        and (text is None or (type(text) is str and len(text) <= LONGEST_IN_KEY))
    )
    return key if is_key else None


def concept_of_key(key: ConceptKey) -> CodeableConcept:
    system, code, display, text = key
    return CodeableConcept(coding=(Coding(system=system, code=code, display=display),), text=text)


ElementType = TypeVar("ElementType", bound=Element)
MOST_PROBLEMS = 20


def read_elements(resource: object, kind: type[ElementType]) -> tuple[ElementType, tuple[Problem, ...]]:
    """The elements of a parsed JSON object; those that are malformed are left out and named."""
    try:
        return msgspec.convert(resource, kind), ()
    except msgspec.ValidationError:
        return _read_what_can_be_read(resource, kind)
    except RecursionError:
        return kind(), (Problem("$", "$: nested too deeply"),)
    except UnicodeEncodeError:
        return kind(), (Problem("$", "$: expected Unicode text, found half a surrogate pair"),)


def _read_what_can_be_read(
    resource: object, kind: type[ElementType]
) -> tuple[ElementType, tuple[Problem, ...]]:
    """Takes the malformed elements out, one by one, until the rest can be read."""
    problems: list[Problem] = []
    rest = resource
    while True:
        try:
            return msgspec.convert(rest, kind), tuple(problems)
        except msgspec.ValidationError as error:
            problem = _problem(error)
        except RecursionError:
            return kind(), (*problems, Problem("$", "$: nested too deeply"))
        except UnicodeEncodeError:
            return kind(), (*problems, Problem("$", "$: expected Unicode text, found half a surrogate pair"))
        steps = _steps(problem.path)
        if not steps:
            return kind(), (*problems, problem)
        rest, found = _without(rest, steps if len(problems) < MOST_PROBLEMS else steps[:1])
        is_lost = found is not None or isinstance(steps[-1], int)  # null is absent, but not inside an array
        if is_lost and all(problem.path != known.path for known in problems):
            problems.append(problem)


MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?", re.DOTALL)
STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def _problem(error: msgspec.ValidationError) -> Problem:
    """msgspec's "Expected `str | null`, got `int` - at `$.code`" in our words."""
    match = MESSAGE.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    what = what.replace("Expected", "expected").replace(", got", ", found").replace("`", "")
    what = what.replace(" | null", "").replace("int | float", "number")
    return Problem(path, f"{path}: {what[:200]}")


def _steps(path: str) -> list[str | int]:
    return [name or int(index) for name, index in STEP.findall(path)]


def _without(value: Any, steps: list[str | int]) -> tuple[Any, Any]:
    """A copy of `value` without the member at `steps`, and that member. Only what lies on the way is copied.

    In an array an empty object takes its place, so that the others keep their index.
    """
    step, *rest = steps
    members = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    if rest:
        members[step], found = _without(members[step], rest)
    else:
        found = members.pop(step)
        if isinstance(step, int) and not isinstance(found, dict):
            members[step] = {}
            members = dict(sorted(members.items()))
    return members if isinstance(value, dict) else list(members.values()), found
