"""What is missing in words that hold for any patient: an entry of `Assessment.missing` names drugs and days."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of missing thing. `pattern` matches what `trd.missing` calls it."""

    pattern: re.Pattern[str]
    name: str
    to_do: str


def _kind(pattern: str, name: str, to_do: str) -> Kind:
    return Kind(re.compile(pattern, re.DOTALL), name, to_do)


_SCORE = (
    "Store totals of depression scales as Observations with their LOINC code and day, or whole forms as "
    "QuestionnaireResponses, and let the service search both."
)
_STOPPED = "Record it as statusReason of the MedicationRequest, or as status with a reason."
_PERIOD = (
    "Fill authoredOn and dosageInstruction.timing.repeat.boundsPeriod (or dispenseRequest.validityPeriod), and the "
    "status when it was stopped; or offer MedicationDispense."
)

KINDS = (
    _kind(
        "answer on thoughts of death",
        "answer on thoughts of death or self-harm (no verdict rests on it)",
        "Store PHQ-9 item 9 as an Observation of its own, or the whole form as QuestionnaireResponse.",
    ),
    _kind("depression score .*, at the start of .*", "depression score at the start of a trial", _SCORE),
    _kind("depression score .*, late on .*", "depression score late in a trial", _SCORE),
    _kind("effect of .*", "effect of a trial", _SCORE),
    _kind(
        "dose of .*",
        "dose",
        "Fill dosageInstruction.doseAndRate and timing, or a dosage text that can be read.",
    ),
    _kind("days on .*", "days on a drug", _PERIOD),
    _kind("which drug .* is", "which drug an order is of", "Code it in RxNorm, ATC, SNOMED CT, dm+d or NDC."),
    _kind("why .* was stopped", "why a drug was stopped", _STOPPED),
    _kind(
        "whether .* belongs to this episode",
        "when the last episode remitted",
        "Record remission as a Condition.",
    ),
    _kind(
        "what .* was for",
        "what a drug was for",
        "Fill reasonCode or reasonReference of the MedicationRequest.",
    ),
    _kind(
        "whether .* was taken", "whether a drug was taken", "Offer MedicationDispense or MedicationStatement."
    ),
    _kind(
        "confirmed depressive disorder",
        "confirmed depressive disorder",
        "Offer the problem list as Condition.",
    ),
    _kind(
        "whether a diagnosis excludes", "whether a diagnosis excludes", "Fill Condition.verificationStatus."
    ),
    _kind("birth date", "birth date", "Fill Patient.birthDate."),
    _kind("the order .*", "an order that could not be read", "See unread."),
    _kind("the .*", "a search that could not be read in full", "See the searches above."),
    _kind("when this episode began", "when the episode began", "Fill Condition.onsetDateTime."),
    _kind("how severe the depression is", "how severe the depression is", _SCORE),
    _kind("whether augmentation was enough", "dose and days of what was added", _PERIOD),
    _kind("whether ECT was given", "whether ECT was given", "Offer Procedure."),
    _kind("which trials were optimised", "which trials were optimised", "No record tells it."),
    _kind("staging item .*", "an item of the staging score", "See trd-cds assess for this patient."),
)
OTHER = Kind(re.compile(".*", re.DOTALL), "something else", "See trd-cds assess for this patient.")


def kind_of(what: str) -> Kind:
    """The kind of one `Missing.what`."""
    return next((kind for kind in KINDS if kind.pattern.match(what)), OTHER)
