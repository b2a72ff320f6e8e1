"""Which code systems occur in drugs and in observations, and whether the rules read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from cds_service.doctor.counting import Counts
from cds_service.doctor.results import Coding
from cds_service.fhir_reading.collected import Collected
from cds_service.fhir_reading.drugs import SYSTEM_NAMES, canonical_system
from cds_service.fhir_reading.resource_types import OF_A_DRUG
from cds_service.fhir_reading.result_codes import LOINC_SYSTEMS
from cds_service.fhir_reading.versions import to_r4

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,150}", re.ASCII)
TEXT_ONLY, NO_SYSTEM, NOTHING = "text only", "a code without system", "no code and no text"
REFERENCE = "a reference to a Medication"
_LOINC = "http://loinc.org"


class CodingCounts:
    """Counts the records that carry a code of each system, patient by patient."""

    def __init__(self) -> None:
        self._drugs = Counts()
        self._observations = Counts()

    def add(self, collected: Collected) -> None:
        for entry in collected.entries:
            resource = to_r4(entry.resource)
            kind = resource.get("resourceType")
            if kind in (*OF_A_DRUG, "Medication"):
                for system in dict.fromkeys(_drug_systems(resource)):
                    self._drugs.add(system, collected.patient_id)
            elif kind == "Observation":
                for system in dict.fromkeys(_systems(resource.get("code"), _observation_system)):
                    self._observations.add(system, collected.patient_id)

    def drugs(self) -> tuple[Coding, ...]:
        return _codings(self._drugs, SYSTEM_NAMES)

    def observations(self) -> tuple[Coding, ...]:
        return _codings(self._observations, {_LOINC: "LOINC"})


def _codings(counts: Counts, names: dict[str, str]) -> tuple[Coding, ...]:
    return tuple(
        Coding(tally.what, names.get(tally.what, ""), tally.times, tally.patients, tally.example)
        for tally in counts.tallies()
    )


def _drug_systems(resource: dict[str, Any]) -> Iterator[str]:
    """The systems of the drug itself, or of a Medication that stands within the order."""
    if resource["resourceType"] == "Medication":
        yield from _systems(resource.get("code"), _drug_system)
    elif "medicationCodeableConcept" in resource:
        yield from _systems(resource["medicationCodeableConcept"], _drug_system)
    else:
        within = [
            item
            for item in _list(resource.get("contained"))
            if isinstance(item, dict) and item.get("resourceType") == "Medication"
        ]
        for medication in within:
            yield from _systems(medication.get("code"), _drug_system)
        if not within:
            yield REFERENCE if "medicationReference" in resource else NOTHING


def _systems(concept: object, name_of: Any) -> Iterable[str]:
    """The systems of a CodeableConcept by name, or that it has none."""
    concept = concept if isinstance(concept, dict) else {}
    codings = [coding for coding in _list(concept.get("coding")) if isinstance(coding, dict)]
    if codings:
        return [name_of(coding.get("system")) for coding in codings]
    return [TEXT_ONLY if concept.get("text") else NOTHING]


def _drug_system(system: object) -> str:
    canonical = canonical_system(system) if isinstance(system, str) else ""
    return canonical if canonical in SYSTEM_NAMES else _shown(system)


def _observation_system(system: object) -> str:
    return _LOINC if system in LOINC_SYSTEMS else _shown(system)


def _shown(system: object) -> str:
    """The system if it looks like the URI that it must be: anything else might be anything."""
    return system if isinstance(system, str) and _URI.fullmatch(system) else NO_SYSTEM


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
