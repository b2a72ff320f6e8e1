"""The elements of a FHIR R4 Observation that the readers look at."""

from __future__ import annotations

from cds_service.fhir_reading.elements import (
    CodeableConcept,
    Element,
    Extension,
    Number,
    Period,
    Quantity,
    Reference,
    Timing,
)


class Valued(Element, frozen=True):
    """The code and value elements that an Observation and its components share."""

    code: CodeableConcept | None = None
    value_quantity: Quantity | None = None
    value_integer: Number | None = None
    value_string: str | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_boolean: bool | None = None
    data_absent_reason: CodeableConcept | None = None


class Component(Valued, frozen=True):
    """One component of an Observation."""


class Observation(Valued, frozen=True):
    """A result, a panel of results, or a single answer."""

    status: str | None = None
    focus: tuple[Reference, ...] = ()
    effective_date_time: str | None = None
    effective_instant: str | None = None
    effective_period: Period | None = None
    effective_timing: Timing | None = None
    issued: str | None = None
    component: tuple[Component, ...] = ()
    has_member: tuple[Reference, ...] = ()
    modifier_extension: tuple[Extension, ...] = ()


VALUE_ELEMENTS = ("valueQuantity", "valueInteger", "valueString", "valueCodeableConcept", "dataAbsentReason")
ANSWER_ELEMENTS = (*VALUE_ELEMENTS, "valueBoolean")
DATE_ELEMENTS = ("effectiveDateTime", "effectiveInstant", "effectivePeriod", "effectiveTiming", "issued")
