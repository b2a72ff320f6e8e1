"""A drafted order of an antidepressant, judged in the light of what the record shows.

Each concern is one thing the prescriber should know before the order is signed: that the drug has failed, that
its class has, that the dose is below the minimum, that a running trial would be cut short, that two trials have
failed already, that a monoamine oxidase inhibitor (MAOI) is too close, that serotonergic drugs would be doubled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from cds_service.trd.answers import Finding
from cds_service.trd.model import Assessment
from cds_service.trd.precautions import Precaution
from cds_service.trd.record import History, Prescription


class Concern(Enum):
    """What there is to say about a draft, most pressing first."""

    MAOI = "MAOI"  # taken together, or the washout is not over
    DUPLICATE_SEROTONERGIC = "duplicate serotonergic"
    FAILED_BEFORE = "same drug failed before"
    FAILED_CLASS = "class failed before"
    TWO_FAILED = "criteria met"
    CUTS_TRIAL_SHORT = "running trial cut short"
    BELOW_MINIMUM = "dose below minimum"


@dataclass(frozen=True)
class DraftConcern:
    """One concern about one draft. `finding` has the answer (MET, or UNKNOWN where it may be so), words, evidence.

    `values` fill the words of the card: plain text, by name (`drug`, `dose`, `day`, ...).
    """

    concern: Concern
    draft: Prescription
    finding: Finding
    values: dict[str, str]


def judge_drafts(
    drafts: Sequence[Prescription],
    history: History,
    assessment: Assessment,
    precautions: Sequence[Precaution],
    on: date,
) -> tuple[DraftConcern, ...]:
    """All concerns about each draft, in the order of `Concern`; a draft without a readable drug has none."""
    del drafts, history, assessment, precautions, on
    return ()
