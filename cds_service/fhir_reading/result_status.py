"""Whether a result counts by its status, and what beside it may change what it means."""

from __future__ import annotations

from collections.abc import Sequence

from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import Problem
from cds_service.fhir_reading.observation_elements import Observation

FINAL = ("final", "amended", "corrected")
CORRECTED = ("amended", "corrected")
VOID = ("entered-in-error", "cancelled")


def status_problem(observation: Observation, problems: Sequence[Problem]) -> str:
    if observation.status in FINAL:
        return ""
    known = ("registered", "preliminary", "unknown")
    found = observation.status if observation.status in known else "another value or none"
    return (
        problem_with(problems, "status")
        or f"at $.status: expected final, amended or corrected, found {found}"
    )


def modifier_problem(observation: Observation, problems: Sequence[Problem]) -> str:
    if observation.modifier_extension or problem_with(problems, "modifierExtension"):
        return "at $.modifierExtension: expected none, it may change what the result means"
    if observation.focus or problem_with(problems, "focus"):
        return "at $.focus: expected none, the result may be about someone else"
    return ""
