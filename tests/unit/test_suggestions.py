"""Draft requests: valid FHIR R4 when filled in, and never more than a proposal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest

from cards.card import ActionType
from cards.suggestions import Occasion, draft_request, suggestion_for
from cards.words import load_words
from tests.us_core import problems_by_us_core

ON = date(2026, 6, 30)
NAMES = sorted(load_words().requests)
OCCASION = Occasion(
    "Patient/p1", "e1", ON, "Two trials failed", date(2026, 7, 12), "1. Ask.", "Practitioner/dr-1"
)


def draft(name: str, occasion: Occasion = OCCASION) -> dict[str, Any]:
    return draft_request(load_words().requests[name], occasion)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("occasion", [OCCASION, Occasion("Patient/p1", None, ON, "Two trials failed")])
def test_every_draft_is_a_valid_service_request(name: str, occasion: Occasion) -> None:
    resource = draft(name, occasion)
    checked = json.loads(ServiceRequest.model_validate(resource).model_dump_json(exclude_none=True))
    assert checked == resource


@pytest.mark.parametrize("name", NAMES)
def test_a_draft_proposes_and_concerns_this_patient(name: str) -> None:
    resource = draft(name)
    assert (resource["status"], resource["intent"]) == ("draft", "proposal")
    assert resource["subject"] == {"reference": "Patient/p1"}
    assert resource["encounter"] == {"reference": "Encounter/e1"}
    assert resource["authoredOn"] == "2026-06-30"
    assert resource["occurrenceDateTime"] == "2026-07-12"
    assert resource["reasonCode"] == [{"text": "Two trials failed"}]
    assert "id" not in resource


@pytest.mark.parametrize(
    ("encounter_id", "expected"),
    [("e1", {"reference": "Encounter/e1"}), ("Encounter/e1", {"reference": "Encounter/e1"}),
     (None, None), ("", None), ("a b", None), ("x" * 64, {"reference": "Encounter/" + "x" * 64}),
     ("x" * 65, None)],
)  # fmt: skip
def test_the_encounter_is_named_if_it_can_be(encounter_id: str | None, expected: Any) -> None:
    assert draft("phq-9", Occasion("Patient/p1", encounter_id, ON, "why")).get("encounter") == expected


@pytest.mark.conformance("CH-608")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("occasion", [OCCASION, Occasion("Patient/p1", None, ON, "Two trials failed")])
def test_every_draft_is_a_us_core_service_request(name: str, occasion: Occasion) -> None:
    assert problems_by_us_core(draft(name, occasion)) == []


@pytest.mark.conformance("CH-608")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "open"}, "status"),
        ({"intent": None}, "intent"),
        ({"code": {}}, "code"),
        ({"code": {"coding": [{"system": "urn:x", "code": "1"}]}}, "code"),
        ({"subject": None}, "subject"),
        ({"subject": {"reference": "Practitioner/1"}}, "subject"),
        ({"category": [{"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}]}, "category"),
        ({"category": [{}]}, "category"),
        ({"requester": {"reference": "Location/1"}}, "requester"),
        ({"encounter": {"reference": "Patient/1"}}, "encounter"),
        ({"priority": "soon"}, "priority"),
        ({"authoredOn": "today"}, "authoredOn"),
        ({"occurrenceDateTime": "soon"}, "occurrenceDateTime"),
    ],
)
def test_the_rules_of_us_core_find_what_is_wrong(change: dict[str, Any], problem: str) -> None:
    (found,) = problems_by_us_core(draft("psychiatry-referral") | change)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("requester", "expected"),
    [("Practitioner/1", {"reference": "Practitioner/1"}),
     ("PractitionerRole/a.b-c", {"reference": "PractitionerRole/a.b-c"}),
     ("", None), ("Patient/p1", None), ("RelatedPerson/1", None), ("Practitioner/", None), ("Practitioner/a b", None),
     ("Practitioner/1/2", None)],
)  # fmt: skip
def test_a_professional_requests_the_draft(requester: str, expected: Any) -> None:
    occasion = Occasion("Patient/p1", None, ON, "why", requester=requester)
    assert draft("phq-9", occasion).get("requester") == expected


def test_only_the_treatment_history_carries_the_note() -> None:
    assert [name for name in NAMES if "note" in draft(name)] == ["treatment-history"]


def test_drafts_for_two_patients_are_kept_apart() -> None:
    first = draft("phq-9", Occasion("Patient/p1", "e1", ON, "one", note="x"))
    second = draft("phq-9", Occasion("Patient/p2", None, ON, "two"))
    assert first["subject"] == {"reference": "Patient/p1"}
    assert second["subject"] == {"reference": "Patient/p2"}
    assert "encounter" not in second


def test_a_suggestion_creates_its_draft() -> None:
    suggestion = suggestion_for("psychiatry-referral", OCCASION, uuid4)
    (action,) = suggestion.actions
    assert action.type is ActionType.CREATE
    assert suggestion.is_recommended
    assert action.resource == draft("psychiatry-referral")


@pytest.mark.parametrize("name", NAMES)
def test_every_request_says_where_its_code_comes_from(name: str) -> None:
    words = load_words().requests[name]
    assert words.source
    assert "recalled" not in words.source
    assert words.code["text"]


def test_every_older_adults_request_exists() -> None:
    replacements = {words.older_adults for words in load_words().requests.values()} - {""}
    assert replacements <= set(NAMES)


def test_a_snomed_code_has_a_valid_check_digit() -> None:
    codings = [coding for name in NAMES for coding in codings_of(name) if "snomed" in coding["system"]]
    assert len(codings) >= 8
    assert all(verhoeff(coding["code"]) == 0 for coding in codings)


def test_a_draft_does_not_load_fhir_models() -> None:
    script = """
import sys
from datetime import date
from uuid import uuid4
from cards.suggestions import Occasion, suggestion_for
suggestion_for("phq-9", Occasion("Patient/p1", None, date(2026, 6, 30), "why"), uuid4)
print([name for name in ("fhir.resources", "pydantic", "flask") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def codings_of(name: str) -> Iterator[dict[str, str]]:
    resource = draft(name)
    for concept in (resource["code"], *resource["category"]):
        yield from concept.get("coding", ())


def verhoeff(digits: str) -> int:
    """The checksum of a SNOMED CT identifier: 0 when its last digit fits."""
    permutation = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    check = 0
    for place, character in enumerate(reversed(digits)):
        digit = int(character)
        for _ in range(place % 8):
            digit = permutation[digit]
        check = dihedral_product(check, digit)
    return check


def dihedral_product(a: int, b: int) -> int:
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b) % 5 + 5
    return (a - b) % 5 + 5 if b < 5 else (a - b) % 5
