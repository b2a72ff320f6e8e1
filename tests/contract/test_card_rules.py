"""Cards, suggestions and links by the rules of the checklist: a reply that breaks one is refused, ours never does.

The drafts are accepted as a client would, at a real FHIR server, and the hook is called again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from fhir.resources.R4B.servicerequest import ServiceRequest

from cds_service.report import EXTENSION_KEY
from cds_service.settings import Settings
from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.builders import SNOMED_CT, medication_request, searchset, service_request
from fhir_fixtures.loading import transaction_of
from fhir_fixtures.server import EmbeddedServer
from tests.contract.conftest import RunningService, Serve, hook_request, running
from tests.contract.replies import assert_sound, validator
from tests.test_vignettes import sorted_by_type
from tests.us_core import problems_by_us_core

APP = "https://app.example.org/launch.html?site=7"
Part = dict[str, Any]


def about(number: int, user: str = "Practitioner/dr-1", **prefetch: Any) -> Part:
    (vignette,) = vignettes([number])
    context = {"userId": user, "patientId": vignette.patient_id, "encounterId": "e1"}
    return hook_request(context=context, prefetch=sorted_by_type(vignette) | prefetch)


def drafts(reply: Part) -> list[Part]:
    return [
        action["resource"]
        for card in reply["cards"]
        for suggestion in card.get("suggestions", ())
        for action in suggestion["actions"]
    ]


@pytest.fixture(scope="module")
def replies(service: RunningService) -> list[tuple[Vignette, Part]]:
    return [(each, service.post(about(number)).json()) for number, each in enumerate(vignettes(), 1)]


# --- what the schema of a reply refuses -------------------------------------------------------------------

ANY_CODING = {"code": "x", "system": "urn:x:y", "display": "x"}


def rule(*rules: str, change: Callable[[Part, Part, Part, Part], None]) -> Any:
    """One way to break rules; `change` is given the reply, a card of it, a suggestion and its action."""
    return pytest.param(change, marks=pytest.mark.conformance(*rules), id=" ".join(rules))


BROKEN = [
    rule("CH-501", change=lambda reply, *_: reply.pop("cards")),
    rule("CH-502", change=lambda reply, *_: reply.update(cards=None)),
    rule("CH-503", change=lambda reply, *_: reply.update(systemActions=[])),
    rule("CH-505", change=lambda _, card, *__: card.update(summary="x" * 140)),
    rule("CH-505", change=lambda _, card, *__: card.update(summary="two\nlines")),
    rule("CH-505", change=lambda _, card, *__: card.pop("summary")),
    rule("CH-506", change=lambda _, card, *__: card.update(indicator="hard-stop")),
    rule("CH-506", change=lambda _, card, *__: card.update(indicator="success")),
    rule("CH-507", change=lambda _, card, *__: card.pop("source")),
    rule("CH-508", change=lambda _, card, *__: card["source"].pop("label")),
    rule("CH-509", change=lambda _, card, *__: card["source"].update(url="/relative")),
    rule("CH-510", change=lambda _, card, *__: card["source"].update(icon="icon.png")),
    rule("CH-511", "CH-518", change=lambda _, card, *__: card["source"].update(topic=[ANY_CODING])),
    rule("CH-511", change=lambda _, card, *__: card["source"].update(topic={"coding": [ANY_CODING]})),
    rule("CH-512", change=lambda _, card, *__: card.update(uuid="1")),
    rule("CH-512", change=lambda _, card, *__: card.pop("uuid")),
    rule("CH-513", change=lambda _, card, *__: card.update(detail="")),
    rule("CH-514", change=lambda _, card, *__: card.update(suggestions=[])),
    rule("CH-515", change=lambda _, card, *__: card.pop("selectionBehavior")),
    rule("CH-515", change=lambda _, card, *__: card.pop("suggestions")),
    rule("CH-515", change=lambda _, card, *__: card.update(selectionBehavior="all")),
    rule("CH-516", change=lambda _, card, *__: card["overrideReasons"][0].pop("display")),
    rule("CH-516", change=lambda _, card, *__: card.update(overrideReasons=[])),
    rule("CH-517", change=lambda _, card, *__: card.update(links=[])),
    rule("CH-518", change=lambda _, card, *__: card["overrideReasons"][0].update(version="1")),
    rule("CH-518", change=lambda _, card, *__: card["source"]["topic"].update(userSelected=True)),
    rule("CH-601", change=lambda *parts: parts[2].pop("label")),
    rule("CH-602", change=lambda *parts: parts[2].update(uuid="1")),
    rule("CH-603", change=lambda _, card, *__: card.update(selectionBehavior="at-most-one")),
    rule("CH-603", change=lambda *parts: parts[2].update(isRecommended="true")),
    rule("CH-604", change=lambda *parts: parts[2].update(actions=[])),
    rule("CH-606", change=lambda *parts: parts[3].update(type="upsert")),
    rule("CH-606", change=lambda *parts: parts[3].pop("type")),
    rule("CH-607", change=lambda *parts: parts[3].pop("description")),
    rule("CH-608", change=lambda *parts: parts[3].pop("resource")),
    rule("CH-608", "CH-609", change=lambda *parts: parts[3]["resource"].pop("resourceType")),
    rule("CH-610", change=lambda *parts: parts[3].update(type="delete")),
    rule("CH-610", change=lambda *parts: parts[3].update(resourceId="Task/1")),
    rule("CH-611", change=lambda _, card, *__: card["links"][0].pop("label")),
    rule("CH-612", change=lambda _, card, *__: card["links"][0].update(url="/relative")),
    rule("CH-613", change=lambda _, card, *__: card["links"][0].update(type="SMART")),
    rule("CH-614", change=lambda _, card, *__: card["links"][0].update(url=f"{APP}&iss=https://ehr")),
    rule("CH-614", change=lambda _, card, *__: card["links"][0].update(url="https://x.org?launch=")),
    rule("CH-615", change=lambda _, card, *__: card["links"][0].update(type="absolute")),
    rule("CH-615", change=lambda _, card, *__: card["links"][0].update(appContext={"hook": "x"})),
    rule("CH-616", change=lambda _, card, *__: card["links"][0].update(autolaunchable=True)),
    rule("CH-V04", change=lambda *parts: parts[2].update(actionSelectionBehavior="any")),
]


@pytest.fixture(scope="module")
def with_everything(service_with_app: RunningService) -> Part:
    """A reply whose first card has suggestions, reasons, a topic and a SMART link."""
    reply: Part = service_with_app.post(about(1)).json()
    assert_sound(200, reply)
    return reply


@pytest.fixture(scope="module")
def service_with_app() -> Iterator[RunningService]:
    with running(Settings(smart_app_url=APP)) as started:
        yield started


@pytest.mark.parametrize("change", BROKEN)
def test_a_reply_that_breaks_a_rule_is_refused(
    with_everything: Part, change: Callable[[Part, Part, Part, Part], None]
) -> None:
    reply = copy.deepcopy(with_everything)
    card = reply["cards"][0]
    suggestion = card["suggestions"][0]
    change(reply, card, suggestion, suggestion["actions"][0])
    assert not validator("cds-hooks-response.json").is_valid(reply)


# --- suggestions ------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-008", "CH-604", "CH-608")
def test_every_draft_is_valid_fhir_and_us_core_about_this_patient_by_this_user(
    replies: list[tuple[Vignette, Part]],
) -> None:
    found = [(vignette, draft) for vignette, reply in replies for draft in drafts(reply)]
    assert len(found) > 20
    for vignette, draft in found:
        ServiceRequest.model_validate(draft)
        assert problems_by_us_core(draft) == []
        assert (draft["status"], draft["intent"]) == ("draft", "proposal")
        assert draft["subject"] == {"reference": f"Patient/{vignette.patient_id}"}
        assert draft["requester"] == {"reference": "Practitioner/dr-1"}
        assert draft["encounter"] == {"reference": "Encounter/e1"}


@pytest.mark.conformance("CH-608")
def test_no_draft_refers_to_what_the_call_did_not_name(replies: list[tuple[Vignette, Part]]) -> None:
    for vignette, reply in replies:
        known = {f"Patient/{vignette.patient_id}", "Practitioner/dr-1", "Encounter/e1"}
        for draft in drafts(reply):
            assert {part["reference"] for part in parts_of(draft) if "reference" in part} <= known
            assert not {"id", "identifier", "contained"} & set(draft)


def parts_of(value: Any) -> Iterator[Part]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts_of(part)


@pytest.mark.conformance("CH-604", "CH-605")
def test_each_suggestion_is_one_thing_so_no_order_of_actions_matters(
    replies: list[tuple[Vignette, Part]],
) -> None:
    suggestions = [s for _, reply in replies for card in reply["cards"] for s in card.get("suggestions", ())]
    assert {len(suggestion["actions"]) for suggestion in suggestions} == {1}


@pytest.mark.conformance("CH-605", "CH-608")
@pytest.mark.parametrize("is_reversed", [False, True])
def test_accepted_drafts_are_said_and_not_suggested_again(serve: Serve, is_reversed: bool) -> None:
    """A client creates what was suggested, in any order; the next call reads it and suggests none of it."""
    (vignette,) = vignettes([1])
    with EmbeddedServer() as fhir:
        assert requests.post(fhir.base_url, json=transaction_of(vignette.bundle), timeout=20).ok
        service = serve(fhir_servers=(fhir.base_url,))
        body = about(1) | {"fhirServer": fhir.base_url, "prefetch": {}}
        before = service.post(body).json()
        suggested = drafts(before)
        assert len(suggested) >= 2
        for draft in reversed(suggested) if is_reversed else suggested:
            made = requests.post(f"{fhir.base_url}/ServiceRequest", json=draft, timeout=20)
            assert made.status_code == 201, made.text
        after = service.post(body).json()
    assert_sound(200, after)
    assert drafts(after) == []
    assert [card["summary"] for card in after["cards"]] == [card["summary"] for card in before["cards"]]
    assert all("selectionBehavior" not in card for card in after["cards"])
    assert "**Already requested:**" in after["cards"][0]["detail"]
    assert len(after["extension"][EXTENSION_KEY]["openRequests"]) == len(suggested)
    assert after["extension"][EXTENSION_KEY]["verdict"] == before["extension"][EXTENSION_KEY]["verdict"]


@pytest.mark.parametrize(
    ("elements", "is_suggested", "says"),
    [
        ({}, False, "Already requested:** referral to psychiatry (ServiceRequest/7, 2026-05-02, active)"),
        ({"status": "completed"}, True, ""),
        ({"status": "revoked"}, True, ""),
        ({"status": "unknown"}, True, "Perhaps already requested:** referral to psychiatry"),
        ({"status": "???"}, True, "Perhaps already requested:** referral to psychiatry"),
        ({"authoredOn": "2025-06-29"}, True, ""),
        ({"code": {"coding": [{"system": SNOMED_CT, "code": "81294000"}]}}, True, ""),
        ({"subject": {"reference": "Patient/somebody-else"}}, True, ""),
    ],
    ids=str,
)
def test_an_open_referral_on_record(
    service: RunningService, elements: Part, is_suggested: bool, says: str
) -> None:
    (vignette,) = vignettes([1])
    request = service_request("7", patient_id=vignette.patient_id) | elements
    reply = service.post(about(1, requests=searchset(request))).json()
    assert_sound(200, reply)
    (card,) = [card for card in reply["cards"] if card["source"]["topic"]["code"] == "met"]
    labels = [suggestion["label"] for suggestion in card["suggestions"]]
    assert ("Draft a referral to psychiatry" in labels) is is_suggested
    assert (says in card["detail"]) if says else ("lready requested" not in card["detail"])


@pytest.mark.conformance("CH-314")
def test_where_requests_were_not_looked_at_all_is_suggested_and_that_is_said(service: RunningService) -> None:
    body = about(1)
    del body["prefetch"]["requests"]
    reply = service.post(body).json()
    assert len(drafts(reply)) == len(drafts(service.post(about(1)).json()))
    assert "Not looked at: what is requested already." in reply["cards"][0]["detail"]


@pytest.mark.parametrize(
    ("user", "requester"),
    [("Practitioner/dr-1", "Practitioner/dr-1"), ("PractitionerRole/gp-7", "PractitionerRole/gp-7")],
)
def test_a_draft_names_the_user_as_its_requester(service: RunningService, user: str, requester: str) -> None:
    found = drafts(service.post(about(1, user)).json())
    assert {draft["requester"]["reference"] for draft in found} == {requester}


# --- drugs that must not be taken together ----------------------------------------------------------------


@pytest.mark.conformance("CH-506", "CH-507", "CH-511", "CH-516", "CH-519")
def test_an_maoi_beside_an_ssri_has_a_critical_card_in_somebody_without_depression(
    service: RunningService,
) -> None:
    orders = (
        medication_request("1", "sertraline 100 mg tablet", "1 daily", "2026-05-01", "2026-08-01"),
        medication_request("2", "phenelzine 15 mg tablet", "2 daily", "2026-06-10", "2026-08-01"),
    )
    prefetch = hook_request()["prefetch"] | {"medications": searchset(*orders)}
    reply = service.post(hook_request(prefetch=prefetch)).json()
    assert_sound(200, reply)
    (card,) = reply["cards"]
    assert (card["indicator"], card["source"]["topic"]["code"]) == ("critical", "drug-safety-acute")
    assert card["summary"].startswith("On record together today: phenelzine (an MAOI) and sertraline;")
    assert "(MedicationRequest/2, MedicationRequest/1)" in card["detail"]
    assert [reason["code"] for reason in card["overrideReasons"]] == [
        *("not-taken-together", "combination-intended", "disagree-with-data")
    ]
    assert not {"suggestions", "selectionBehavior", "links"} & set(card)


# --- links ------------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-611", "CH-612", "CH-613", "CH-614", "CH-615", "CH-616", "CH-V15")
def test_smart_links_are_launch_urls_whose_context_is_a_text_without_the_patient(
    service_with_app: RunningService,
) -> None:
    for number in (1, 8, 16, 20):
        reply = service_with_app.post(about(number)).json()
        assert_sound(200, reply)
        for card in reply["cards"]:
            (link,) = [link for link in card["links"] if link["type"] == "smart"]
            assert (link["url"], bool(link["label"])) == (APP, True)
            context = json.loads(link["appContext"])
            assert context == {
                "card": card["source"]["topic"]["code"],
                "definition": "default-configurable",
                "hook": "patient-view",
            }
            assert "trd-v" not in link["appContext"] and "dr-1" not in link["appContext"]
            assert "appContext" not in str([other for other in card["links"] if other["type"] == "absolute"])


@pytest.mark.conformance("CH-614")
def test_a_client_can_add_iss_and_launch_to_the_launch_url(with_everything: Part) -> None:
    url = urlsplit(with_everything["cards"][0]["links"][0]["url"])
    added = urlencode({"iss": "https://ehr.example.org/fhir", "launch": "abc"})
    launched = url._replace(query="&".join(filter(None, (url.query, added))))
    assert parse_qs(launched.query) == {
        "site": ["7"],
        "iss": ["https://ehr.example.org/fhir"],
        "launch": ["abc"],
    }


@pytest.mark.conformance("CH-V17")
def test_replies_are_json_without_comments_trailing_commas_or_numbers_beyond_it(
    service: RunningService,
) -> None:
    for number in (1, 8, 16):
        text = service.post(about(number)).text
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
