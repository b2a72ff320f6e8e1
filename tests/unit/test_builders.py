"""The builders make the smallest valid resources, and nothing a test did not name."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_fixtures import builders as build


@pytest.mark.parametrize(
    "resource",
    [
        build.patient(),
        build.medication_request(),
        build.medication_request(last_day="2025-11-24", dosage={"text": "1 tablet daily", "sequence": 1}),
        build.medication_request(
            medication=None, medicationReference={"reference": "#m"}, contained=[build.medication("m")]
        ),
        build.medication(),
        build.observation(),
        build.observation(value=None, valueInteger=12),
        build.condition(),
        build.condition(code="Depression", clinical=None, recorded=None),
        build.bundle(build.patient(), build.condition()),
        build.bundle(build.patient(), type="transaction", base_url="https://ehr.example.org/fhir"),
        build.searchset(
            build.medication_request(), included=[build.medication()], next_url="https://x.org/2"
        ),
        build.searchset(),
    ],
    ids=lambda resource: resource["resourceType"],
)
def test_what_is_built_is_valid_fhir(resource: dict[str, Any]) -> None:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def test_an_order_carries_its_days_and_leaves_other_timing_alone() -> None:
    twice_daily = {"timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}}
    order = build.medication_request(dosage=twice_daily, first_day="2025-09-01", last_day="2025-09-30")

    assert order["dosageInstruction"] == [
        {
            "timing": {
                "repeat": {
                    "boundsPeriod": {"start": "2025-09-01", "end": "2025-09-30"},
                    "frequency": 2,
                    "period": 1,
                    "periodUnit": "d",
                }
            }
        }
    ]
    assert order["status"] == "completed"


def test_elements_given_by_name_replace_and_none_leaves_out() -> None:
    order = build.medication_request(status="stopped", authoredOn=None, dosage=None)

    assert order["status"] == "stopped"
    assert "authoredOn" not in order
    assert "dosageInstruction" not in order


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Zoloft", {"text": "Zoloft"}),
        (("s", "c"), {"coding": [{"system": "s", "code": "c"}]}),
        (("s", "c", "d"), {"coding": [{"system": "s", "code": "c", "display": "d"}]}),
        ({"text": "as given"}, {"text": "as given"}),
    ],
)
def test_a_concept_is_a_text_or_a_coding_or_as_given(given: Any, expected: dict[str, Any]) -> None:
    assert build.concept(given) == expected


def test_a_searchset_tells_matches_from_what_came_along() -> None:
    page = build.searchset(build.medication_request(), included=[build.medication()], total=40)

    assert [entry["search"]["mode"] for entry in page["entry"]] == ["match", "include"]
    assert page["total"] == 40
