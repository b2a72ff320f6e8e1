"""How three-valued answers combine, and the finding: an answer with its reason and evidence.

`evidence` holds FHIR references such as `MedicationRequest/7`. Nothing here knows FHIR, JSON, a clock or a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """A three-valued answer. `UNKNOWN` never turns into `NOT_MET` for want of data."""

    MET = "met"
    NOT_MET = "not-met"
    UNKNOWN = "unknown"

    def __invert__(self) -> Answer:
        if self is Answer.UNKNOWN:
            return self
        return Answer.NOT_MET if self is Answer.MET else Answer.MET


def all_of(answers: Iterable[Answer]) -> Answer:
    """Kleene's "and": one `NOT_MET` decides; otherwise one `UNKNOWN` leaves it open; empty is `MET`."""
    combined = Answer.MET
    for answer in answers:
        if answer is Answer.NOT_MET:
            return answer
        if answer is Answer.UNKNOWN:
            combined = answer
    return combined


def any_of(answers: Iterable[Answer]) -> Answer:
    """Kleene's "or": one `MET` decides; otherwise one `UNKNOWN` leaves it open; empty is `NOT_MET`."""
    return ~all_of(~answer for answer in answers)


@dataclass(frozen=True)
class Finding:
    """The answer to one named question, with its reason in words and the FHIR references it rests on."""

    criterion: str
    answer: Answer
    text: str
    evidence: tuple[str, ...] = ()
