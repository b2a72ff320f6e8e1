"""What the rules need to know of a patient: the one description of it.

The published prefetch templates and our own queries derive from it. The templates name a patient and nothing else. A
filter by category or code would be shorter, but real servers file PHQ-9 totals under `survey`, under `laboratory`
or under nothing, and scales without a LOINC code under a local one: what a filter leaves out would look like
"never measured".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cds_service.trd.record import Topic

_PATIENT_TOKEN = "{{context.patientId}}"


@dataclass(frozen=True)
class Need:
    """One prefetch key: its FHIR query, and which answers depend on it.

    What is not required is read where it can be had: many servers have no such type, or do not show it.
    """

    key: str
    template: str
    topics: tuple[Topic, ...]
    is_required: bool = True

    @property
    def resource_type(self) -> str:
        return self.template.replace("/", "?").partition("?")[0]

    @property
    def topics_of_all(self) -> tuple[Topic, ...]:
        """The questions that all of them together bear on: any number of records may be hidden."""
        if self.resource_type == "MedicationDispense":
            return (Topic.DRUGS, Topic.FILLS)
        if Topic.SCORE in self.topics:
            return (*self.topics, Topic.SCORES)
        return (Topic.DRUGS,) if Topic.DRUG in self.topics else self.topics

    @property
    def is_read(self) -> bool:
        return "?" not in self.template

    def query(self, patient_id: str) -> str:
        return self.template.replace(_PATIENT_TOKEN, patient_id)


NEEDS = (
    Need("patient", f"Patient/{_PATIENT_TOKEN}", (Topic.AGE,)),
    Need("medications", f"MedicationRequest?patient={_PATIENT_TOKEN}", (Topic.DRUG,)),
    Need("observations", f"Observation?patient={_PATIENT_TOKEN}", (Topic.SCORE, Topic.SAFETY)),
    Need("conditions", f"Condition?patient={_PATIENT_TOKEN}", (Topic.DIAGNOSIS, Topic.SAFETY)),
    Need("dispenses", f"MedicationDispense?patient={_PATIENT_TOKEN}", (Topic.DRUG,), is_required=False),
    Need("statements", f"MedicationStatement?patient={_PATIENT_TOKEN}", (Topic.DRUG,), is_required=False),
    Need(
        "administrations",
        f"MedicationAdministration?patient={_PATIENT_TOKEN}",
        (Topic.DRUG,),
        is_required=False,
    ),
    Need("procedures", f"Procedure?patient={_PATIENT_TOKEN}", (Topic.PROCEDURE,), is_required=False),
    Need(
        "questionnaires",
        f"QuestionnaireResponse?patient={_PATIENT_TOKEN}",
        (Topic.SCORE, Topic.SAFETY),
        is_required=False,
    ),
    Need(
        "adverseEvents",  # up to R4 there is no search parameter `patient`, and the subject may be no patient
        f"AdverseEvent?subject=Patient/{_PATIENT_TOKEN}",
        (Topic.REACTION,),
        is_required=False,
    ),
    Need("allergies", f"AllergyIntolerance?patient={_PATIENT_TOKEN}", (Topic.REACTION,), is_required=False),
    Need("requests", f"ServiceRequest?patient={_PATIENT_TOKEN}", (Topic.REQUEST,), is_required=False),
)


def needs(include_medications: bool = False) -> tuple[Need, ...]:
    """What the rules need; with `_include` of Medications for sites whose clients and servers know it."""
    if not include_medications:
        return NEEDS
    including = "&_include=MedicationRequest:medication"
    return tuple(
        replace(need, template=need.template + including) if need.key == "medications" else need
        for need in NEEDS
    )
