"""The value in an Observation, a component or an item of a form: a total within the scale, an item's answer, a yes
or no, an amount with its unit, or why not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cds_service.fhir_reading.elements import CodeableConcept, Number, Quantity
from cds_service.fhir_reading.observation_elements import Valued
from cds_service.fhir_reading.result_codes import LOINC_SYSTEMS
from cds_service.tables.measurements import MeasurementRow
from cds_service.tables.scales import load_answers
from cds_service.tables.suicide_scales import load_yes_and_no
from cds_service.tables.words import plain_words
from cds_service.trd.record import Scale

# What may stand as the unit of a score: nothing, `1`, or the word score or point, as in `{score}`.
UNIT_OF_A_SCORE = re.compile(r"|1|\{?(t-?|total |raw )?(score|scores|point|points|pt|pts|total)\}?", re.I)
LARGEST_NUMBER = 10**9
LONGEST_UNIT = 40
WHOLE_NUMBER = re.compile(r"\s*\d{1,6}\s*", re.ASCII)


@dataclass(frozen=True)
class ValueReading:
    """The value, or the reason why there is none."""

    value: float | None
    problem: str = ""


def has_value(holder: Valued) -> bool:
    """Whether it states a value, or states that there is none."""
    return holder.data_absent_reason is not None or _has_number(holder)


def read_total(holder: Valued, scale: Scale) -> ValueReading:
    """The total of `scale`; outside its range it is no total."""
    return _within(_read_number(holder), scale.minimum, scale.maximum)


def read_answer(holder: Valued, maximum: float) -> ValueReading:
    """The answer to one item: a whole number from 0 to `maximum`, or an answer code or text with a value."""
    reading = _within(_read_number(holder), 0, maximum)
    if reading.value is not None and reading.value != int(reading.value):
        return ValueReading(None, f"expected a whole number from 0 to {maximum:g}")
    return reading


def is_answered(holder: Valued) -> bool:
    """Whether it holds any value at all, a yes or no included."""
    return holder.data_absent_reason is None and (holder.value_boolean is not None or _has_number(holder))


def _has_number(holder: Valued) -> bool:
    """Whether there is anything that may be read as a number."""
    return (
        holder.value_quantity is not None
        or holder.value_integer is not None
        or holder.value_string is not None
        or holder.value_codeable_concept is not None
    )


def read_yes_or_no(holder: Valued, maximum: float | None) -> ValueReading:
    """1 for yes, 0 for no, or a whole number up to `maximum` as it stands; None bounds nothing."""
    if holder.data_absent_reason is not None:
        return ValueReading(None, "has a reason why the value is absent")
    readings = []
    if holder.value_boolean is not None:
        readings.append(ValueReading(float(holder.value_boolean)))
    if holder.value_codeable_concept is not None:
        readings.append(_read_yes_or_no_of(holder.value_codeable_concept))
    if holder.value_string is not None and not WHOLE_NUMBER.fullmatch(holder.value_string):
        readings.append(_read_yes_or_no_of(CodeableConcept(text=holder.value_string)))
    elif holder.value_string is not None:
        readings.append(_read_whole(_read_string(holder.value_string), maximum))
    if holder.value_quantity is not None:
        readings.append(_read_whole(_read_quantity(holder.value_quantity), maximum))
    if holder.value_integer is not None:
        readings.append(_read_whole(_read_finite(holder.value_integer), maximum))
    unread = [reading for reading in readings if reading.value is None]
    if unread or not readings:
        return unread[0] if unread else ValueReading(None, "has no value that can be read")
    if len({reading.value for reading in readings}) > 1:
        return ValueReading(None, "has several values that differ")
    return readings[0]


def is_known_answer(concept: CodeableConcept) -> bool:
    """Whether our tables know what the answer counts, or that it is a yes or a no."""
    return _read_concept(concept).value is not None or _read_yes_or_no_of(concept).value is not None


def _read_whole(reading: ValueReading, maximum: float | None) -> ValueReading:
    reading = _within(reading, 0, LARGEST_NUMBER if maximum is None else maximum)
    if reading.value is not None and reading.value != int(reading.value):
        return ValueReading(None, "expected yes, no or a whole number")
    return reading


def _read_yes_or_no_of(concept: CodeableConcept) -> ValueReading:
    """By the answer code, else by the words."""
    by_code, by_words = load_yes_and_no()
    values = {
        by_code.get(coding.code or "")
        for coding in concept.coding
        if (coding.system or "").strip().lower().rstrip("/") in LOINC_SYSTEMS
    } - {None}
    if not values:
        texts = (concept.text, *(coding.display for coding in concept.coding))
        values = {by_words.get(plain_words(text)) for text in texts if text} - {None}
    if len(values) == 1:
        return ValueReading(float(values.pop() or 0))
    return ValueReading(None, "expected yes or no, found another answer")


@dataclass(frozen=True)
class Amount:
    """A value with its unit as recorded, or the reason why there is none.

    `has_unit_of_table` tells that the unit is that of the row, so that its limits hold.
    """

    value: float | None
    unit: str = ""
    problem: str = ""
    has_unit_of_table: bool = False
    unit_code: str = ""


def read_amount(holder: Valued, row: MeasurementRow) -> Amount:
    """The value of what is shown as context. It is never converted; that of a scale lies within its range."""
    if holder.data_absent_reason is not None:
        return Amount(None, problem="has a reason why the value is absent")
    quantity = holder.value_quantity
    if quantity is not None and quantity.comparator:
        return Amount(None, problem="at $.valueQuantity.comparator: expected none, the value is only a bound")
    numbers = [quantity.value if quantity is not None else None, holder.value_integer]
    readings = {_read_finite(number) for number in numbers if number is not None}
    if row.is_scale and holder.value_string is not None and WHOLE_NUMBER.fullmatch(holder.value_string):
        readings.add(ValueReading(float(holder.value_string)))
    if len(readings) != 1:
        return Amount(None, problem="expected one number as its value")
    reading = readings.pop()
    if row.minimum is not None and row.maximum is not None:
        reading = _within(reading, row.minimum, row.maximum)
    unit = (quantity.unit or quantity.code or "").strip()[:LONGEST_UNIT] if quantity is not None else ""
    code = (quantity.code or "").strip()[:LONGEST_UNIT] if quantity is not None else ""
    return Amount(reading.value, unit, reading.problem, _is_unit_of_table(quantity, row), code)


def _is_unit_of_table(quantity: Quantity | None, row: MeasurementRow) -> bool:
    if row.unit == "{score}":
        return quantity is None or _is_unit_of_a_score(quantity)
    return quantity is not None and row.unit in (quantity.code, quantity.unit)


def might_be_a_total(holder: Valued) -> bool:
    """Whether this could be the total of some scale: a plain number, or a number that cannot be read."""
    if holder.value_quantity is not None:
        return _is_unit_of_a_score(holder.value_quantity)
    is_number = holder.value_string is not None and WHOLE_NUMBER.fullmatch(holder.value_string)
    return holder.value_integer is not None or bool(is_number)


def _within(reading: ValueReading, minimum: float, maximum: float) -> ValueReading:
    if reading.value is None or minimum <= reading.value <= maximum:
        return reading
    return ValueReading(None, f"expected a value from {minimum:g} to {maximum:g}, found {reading.value:g}")


def _read_number(holder: Valued) -> ValueReading:
    if holder.data_absent_reason is not None:
        return ValueReading(None, "has a reason why the value is absent")
    readings = _readings(holder)
    if len(readings) == 1:  # nearly always
        return readings[0]
    unread = [reading for reading in readings if reading.value is None]
    if unread or not readings:
        return unread[0] if unread else ValueReading(None, "has no value that can be read")
    if len({reading.value for reading in readings}) > 1:
        return ValueReading(None, "has several values that differ")
    return readings[0]


def _readings(holder: Valued) -> list[ValueReading]:
    readings = []
    if holder.value_quantity is not None:
        readings.append(_read_quantity(holder.value_quantity))
    if holder.value_integer is not None:
        readings.append(_read_finite(holder.value_integer))
    if holder.value_string is not None:
        readings.append(_read_string(holder.value_string))
    if holder.value_codeable_concept is not None:
        readings.append(_read_concept(holder.value_codeable_concept))
    return readings


def _read_quantity(quantity: Quantity) -> ValueReading:
    if quantity.comparator:
        return ValueReading(None, "at $.valueQuantity.comparator: expected none, the value is only a bound")
    if not _is_unit_of_a_score(quantity):
        return ValueReading(None, "at $.valueQuantity.unit: expected {score} or none, found another unit")
    if quantity.value is None:
        return ValueReading(None, "at $.valueQuantity.value: expected number, found nothing")
    return _read_finite(quantity.value)


def _is_unit_of_a_score(quantity: Quantity) -> bool:
    unit = (quantity.code or quantity.unit or "").strip()
    return UNIT_OF_A_SCORE.fullmatch(unit) is not None


def _read_finite(value: Number) -> ValueReading:
    """A JSON number may be larger than any float, and Python's own parser knows NaN."""
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        return ValueReading(None, f"expected a number up to {LARGEST_NUMBER:g}, found another")
    return ValueReading(float(value))


def _read_string(text: str) -> ValueReading:
    if WHOLE_NUMBER.fullmatch(text):
        return ValueReading(float(text))
    answer = load_answers()[1].get(plain_words(text))
    return ValueReading(
        answer, "" if answer is not None else "at $.valueString: expected a whole number, found text"
    )


def _read_concept(concept: CodeableConcept) -> ValueReading:
    """The value of an answer by its code, else by its words; several that differ are none."""
    by_code, by_words = load_answers()
    values = {
        by_code.get(("http://loinc.org", coding.code or ""))
        for coding in concept.coding
        if (coding.system or "").strip().lower().rstrip("/") in LOINC_SYSTEMS
    } - {None}
    if not values:
        texts = (concept.text, *(coding.display for coding in concept.coding))
        values = {by_words.get(plain_words(text)) for text in texts if text} - {None}
    if len(values) == 1:
        return ValueReading(values.pop())
    return ValueReading(None, "at $.valueCodeableConcept: expected an answer with a known value")
