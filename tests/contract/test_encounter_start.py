"""encounter-start: the question of patient-view, asked when the patient is taken in."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from cds_service.report import EXTENSION_KEY
from fhir_fixtures import Vignette, vignettes
from tests.contract.conftest import (
    EMPTY_PREFETCH,
    HOOK_PATH,
    RunningService,
    hook_request,
    path_of,
    request_of,
)
from tests.contract.replies import assert_sound
from tests.test_vignettes import assert_as_expected, sorted_by_type

PATH = path_of("encounter-start")


def begin(service: RunningService, vignette: Vignette, **context: Any) -> requests.Response:
    about = {"patientId": vignette.patient_id} | context
    return service.post(request_of("encounter-start", about, prefetch=sorted_by_type(vignette)), PATH)


def view(service: RunningService, vignette: Vignette) -> Any:
    context = {"userId": "Practitioner/1", "patientId": vignette.patient_id, "encounterId": "e1"}
    return service.post(hook_request(context=context, prefetch=sorted_by_type(vignette))).json()


@pytest.mark.conformance("CH-H04")
@pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
def test_the_answer_is_that_of_patient_view_in_words_for_intake(
    service: RunningService, vignette: Vignette
) -> None:
    begun, seen = begin(service, vignette), view(service, vignette)
    assert_sound(begun.status_code, begun.json())
    assert_as_expected(begun.json()["extension"][EXTENSION_KEY], vignette)
    assert begun.json()["extension"] == seen["extension"]
    for at_intake, usual in zip(begun.json()["cards"], seen["cards"], strict=True):
        assert at_intake["summary"].startswith("At intake: " + usual["summary"][:100])
        assert at_intake["detail"].startswith("**At intake:** ")
        assert at_intake["detail"].endswith(usual["detail"])
        assert [at_intake[name] for name in ("indicator", "source")] == [usual["indicator"], usual["source"]]


@pytest.mark.conformance("CH-H04")
def test_it_may_fire_several_times_for_one_encounter(service: RunningService) -> None:
    (vignette,) = vignettes([1])
    first, second = (begin(service, vignette).json() for _ in range(2))
    assert first["extension"] == second["extension"]
    assert [card["summary"] for card in first["cards"]] == [card["summary"] for card in second["cards"]]
    assert {card["uuid"] for card in first["cards"]}.isdisjoint(card["uuid"] for card in second["cards"])


@pytest.mark.conformance("CH-H04")
def test_drafts_are_made_in_the_encounter_that_begins(service: RunningService) -> None:
    (vignette,) = vignettes([1])
    (card,) = begin(service, vignette, encounterId="e-7").json()["cards"]
    resources = [action["resource"] for each in card["suggestions"] for action in each["actions"]]
    assert {resource["encounter"]["reference"] for resource in resources} == {"Encounter/e-7"}


@pytest.mark.conformance("CH-204", "CH-H04")
@pytest.mark.parametrize("value", ["left out", None, "", 5, {}, [], "Encounter/e1", "e 1"])
def test_the_encounter_is_required(service: RunningService, value: Any) -> None:
    body = request_of("encounter-start")
    body["context"]["encounterId"] = value
    if value == "left out":
        del body["context"]["encounterId"]
    reply = service.post(body, PATH)
    assert reply.status_code == 400
    assert "$.context.encounterId" in reply.text


@pytest.mark.conformance("CH-H04", "CH-H26")
@pytest.mark.parametrize(
    ("user", "sees_cards"),
    [
        ("Practitioner/1", True),
        ("PractitionerRole/1", True),
        ("Patient/trd-v01", False),
        ("RelatedPerson/1", False),
    ],
)
def test_a_patient_or_relative_sees_nothing(service: RunningService, user: str, sees_cards: bool) -> None:
    (vignette,) = vignettes([1])
    reply = begin(service, vignette, userId=user)
    assert reply.status_code == 200
    assert bool(reply.json()["cards"]) == sees_cards
    assert ("extension" in reply.json()) == sees_cards


@pytest.mark.conformance("CH-202")
def test_another_hook_is_refused(service: RunningService) -> None:
    assert service.post(hook_request(), PATH).status_code == 400
    assert service.post(request_of("encounter-start"), HOOK_PATH).status_code == 400


@pytest.mark.conformance("CH-313")
def test_without_the_data_there_is_no_answer(service: RunningService) -> None:
    for key in ("patient", "medications", "observations", "conditions"):
        prefetch = {name: value for name, value in EMPTY_PREFETCH.items() if name != key}
        reply = service.post(request_of("encounter-start", prefetch=prefetch), PATH)
        assert reply.status_code == 412
        assert f"{key}: " in reply.text
