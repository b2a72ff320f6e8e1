"""What US Core 7.0.0 asks of a ServiceRequest, as far as one resource shows it.

Read in the profile and its value sets (hl7.org/fhir/us/core/STU7: StructureDefinition-us-core-servicerequest,
ValueSet-us-core-servicerequest-category, ValueSet-us-core-procedure-code) and in the metadata that Inferno's US
Core test kit takes from them. `status`, `intent`, `code` and `subject` are mandatory; `category`, `encounter`,
`occurrence[x]`, `authoredOn` and `requester` must be supported, so what is known of them is to be there.
"""

from __future__ import annotations

import re
from typing import Any

SNOMED_CT = "http://snomed.info/sct"
STATUSES = ("draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown")
INTENTS = (
    *("proposal", "plan", "directive", "order", "original-order"),
    *("reflex-order", "filler-order", "instance-order", "option"),
)
PRIORITIES = ("routine", "urgent", "asap", "stat")
US_CORE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
CATEGORIES = {
    **dict.fromkeys(
        ["386053000", "410606002", "108252007", "363679005", "409063005", "409073007", "387713003"], SNOMED_CT
    ),
    **dict.fromkeys(
        ["sdoh", "functional-status", "disability-status", "cognitive-status",
         "treatment-intervention-preference", "care-experience-preference"], US_CORE_CATEGORY
    ),
}  # fmt: skip
PROCEDURE_CODE_SYSTEMS = (
    SNOMED_CT,
    "http://loinc.org",
    "http://www.ama-assn.org/go/cpt",
    "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "http://www.cms.gov/Medicare/Coding/ICD10",
    "http://www.ada.org/cdt",
)
SUBJECTS = ("Patient", "Group", "Location", "Device")
REQUESTERS = ("Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def problems_by_us_core(request: dict[str, Any]) -> list[str]:
    """What is wrong with a ServiceRequest, each beginning with the element; empty when nothing is."""
    return [
        *_one_of(request, "status", STATUSES, is_required=True),
        *_one_of(request, "intent", INTENTS, is_required=True),
        *_one_of(request, "priority", PRIORITIES),
        *_code(request.get("code") or {}),
        *_categories(request.get("category") or []),
        *_reference(request, "subject", SUBJECTS, is_required=True),
        *_reference(request, "encounter", ("Encounter",)),
        *_reference(request, "requester", REQUESTERS),
        *_day(request, "authoredOn"),
        *_day(request, "occurrenceDateTime"),
    ]


def _one_of(
    request: dict[str, Any], name: str, allowed: tuple[str, ...], is_required: bool = False
) -> list[str]:
    found = request.get(name)
    if found is None:
        return [f"{name}: lacks"] if is_required else []
    return [] if found in allowed else [f"{name}: not in its required value set"]


def _code(code: dict[str, Any]) -> list[str]:
    """Extensible: a code of these systems, or words where none fits."""
    codings = code.get("coding", [])
    if not codings:
        return [] if code.get("text") else ["code: lacks"]
    known = all(coding["system"] in PROCEDURE_CODE_SYSTEMS and coding["code"] for coding in codings)
    return [] if known else ["code: of a system outside US Core Procedure Codes"]


def _categories(categories: list[dict[str, Any]]) -> list[str]:
    """The slice is open, so words may stand for a category that the value set lacks; codes are held to it."""
    problems = []
    for category in categories:
        codings = category.get("coding", [])
        if not codings and not category.get("text"):
            problems.append("category: empty")
        if any(CATEGORIES.get(coding["code"]) != coding["system"] for coding in codings):
            problems.append("category: outside US Core ServiceRequest Category Codes")
    return problems or ([] if categories else ["category: lacks, and is known of each draft"])


def _reference(
    request: dict[str, Any], name: str, types: tuple[str, ...], is_required: bool = False
) -> list[str]:
    found = request.get(name)
    if found is None:
        return [f"{name}: lacks"] if is_required else []
    return [] if found["reference"].partition("/")[0] in types else [f"{name}: of a type that is not allowed"]


def _day(request: dict[str, Any], name: str) -> list[str]:
    return [] if DAY.fullmatch(request.get(name, "2000-01-01")) else [f"{name}: not a day"]
