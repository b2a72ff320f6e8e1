"""Whether a server left elements out of a resource, as its `meta` says: asked to (SUBSETTED), or to protect them."""

from __future__ import annotations

from typing import Any

from cds_service.fhir_reading.elements import Problem

SUBSETTED = "SUBSETTED"
# Of the integrity labels of v3-ObservationValue those that say that something of the content is gone.
PROTECTED = ("REDACTED", "MASKED")


def is_subsetted(resource: dict[str, Any]) -> bool:
    """Whether a search left elements out (`_summary`, `_elements`)."""
    return SUBSETTED in _codes(resource, "tag")


def what_is_left_out(resource: dict[str, Any]) -> str:
    """By which label the resource says that elements are missing from it; empty when it says nothing of it."""
    if "meta" not in resource:
        return ""
    labels = _codes(resource, "security")
    protected = next((label for label in PROTECTED if label in labels), "")
    return SUBSETTED if is_subsetted(resource) else protected


def problem_of_shortened(resource: dict[str, Any], path: str) -> tuple[Problem, ...]:
    """That what stands at `path` may be missing; none for a resource that is whole."""
    label = what_is_left_out(resource)
    return (Problem(path, f"$.meta: the server left elements out ({label})"),) if label else ()


def _codes(resource: dict[str, Any], element: str) -> list[object]:
    meta = resource.get("meta")
    codings = meta.get(element) if isinstance(meta, dict) else None
    return (
        [coding.get("code") for coding in codings or () if isinstance(coding, dict)]
        if isinstance(codings, list)
        else []
    )
