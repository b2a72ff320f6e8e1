"""What a server writes where the doctor repeats it: a terminal does not obey it, a browser does not run it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds_service.doctor.rendering import FORMS, render
from cds_service.doctor.results import Report
from tests.contract.stub_server import Asked, Reply
from tests.doctor.servers import check, report_on_changed

HOSTILE = "\x1b[2J\x1b]0;x\x07\r\n\u202e<script>alert(1)</script>{{7*7}}"
NAME = "Jane Doe 1980-01-02"
TOKEN = 'a-"token"-<of>-ours'


def with_hostile_texts(_: Asked, content: Any) -> Any:
    if content.get("resourceType") == "CapabilityStatement":
        return content | {"fhirVersion": HOSTILE, "software": {"name": HOSTILE, "version": HOSTILE}}
    for link in content.get("link", []):
        if link["relation"] == "next":
            link["url"] = f"http://{HOSTILE}.example.org/{NAME}"
    for entry in content.get("entry", []):
        _spoil(entry["resource"])
    return content


def _spoil(resource: dict[str, Any]) -> None:
    coding = [
        {"system": system, "code": HOSTILE, "display": NAME} for system in (HOSTILE, f"urn:{HOSTILE}", NAME)
    ]
    if resource["resourceType"] == "Observation":
        resource |= {"id": NAME, "code": {"coding": coding, "text": HOSTILE}}
    if resource["resourceType"] == "MedicationRequest":
        resource["medicationCodeableConcept"] = {"coding": coding, "text": HOSTILE}
        resource |= {"id": HOSTILE, "status": HOSTILE, "note": [{"text": NAME}]}


@pytest.fixture(scope="module")
def spoilt() -> Report:
    return report_on_changed(edit=with_hostile_texts)


@pytest.mark.parametrize("form", FORMS)
def test_no_control_character_and_nothing_of_a_patient(form: str, spoilt: Report) -> None:
    shown = render(spoilt, form)
    assert spoilt.readiness.read == 3 and spoilt.software != ""
    assert [letter for letter in shown.replace("\n", "") if not letter.isprintable()] == []
    assert "Jane" not in shown and "1980" not in shown


def test_markup_is_text(spoilt: Report) -> None:
    page = render(spoilt, "html")
    assert "<script" not in page and "&lt;script&gt;" in page and "{{7*7}}" in page
    assert json.loads(render(spoilt, "json"))["software"] == spoilt.software


def test_a_link_with_a_patient_in_it_is_not_repeated(spoilt: Report) -> None:
    found = check(spoilt, "next-links")
    assert "not below the base address" in found.said and "Doe" not in found.said


@pytest.mark.parametrize("form", FORMS)
def test_a_token_that_the_server_says_back_is_not_shown(form: str) -> None:
    software = {"name": f"Server of {TOKEN}"}

    def change(asked: Asked) -> Reply | None:
        if asked.path != "metadata":
            return None
        assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
        return Reply({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "software": software})

    shown = render(report_on_changed(change, only=(1,), token=TOKEN), form, TOKEN)
    assert "Server of [token]" in shown
    assert "token&#34;" not in shown and 'token\\"' not in shown and TOKEN not in shown
