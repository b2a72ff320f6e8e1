"""Rules of transport, JSON, discovery, templates and extensions that no other test names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from cds_service.errors import SettingsError
from cds_service.needs import NEEDS
from cds_service.services import discovery
from cds_service.settings import load_settings
from fhir_fixtures import vignettes
from tests.contract.conftest import RunningService, Serve, hook_request
from tests.contract.replies import assert_nothing_empty, assert_sound
from tests.test_vignettes import sorted_by_type

PUBLIC = ["https://cds.example.org", "https://cds.example.org/"]
TOKENS = {
    "patient-view": ("userId", "patientId", "encounterId"),
    "order-select": ("userId", "patientId", "encounterId"),
    "order-sign": ("userId", "patientId", "encounterId"),
    "encounter-start": ("userId", "patientId", "encounterId"),
}


def entries(service: RunningService) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get("/cds-services").json()["services"]
    return found


def full_request(number: int, **elements: Any) -> dict[str, Any]:
    (vignette,) = vignettes([number])
    context = {"userId": "Practitioner/1", "patientId": vignette.patient_id}
    return hook_request(context=context, prefetch=sorted_by_type(vignette)) | elements


def without_uuids(text: str) -> str:
    return re.sub(r'"uuid":"[^"]+"', "", text)


# --- transport and JSON -----------------------------------------------------------------------------------


@pytest.mark.conformance("CH-001", "CH-003", "CH-004", "CH-005", "CH-006")
@pytest.mark.parametrize("number", [1, 8, 15, 16, 22])
def test_replies_are_json_without_anything_null_empty_or_undefined(
    service: RunningService, number: int
) -> None:
    reply = service.post(full_request(number))
    assert reply.headers["Content-Type"].startswith("application/json")
    assert_sound(reply.status_code, reply.json())


@pytest.mark.conformance("CH-001", "CH-003", "CH-004", "CH-006", "CH-102", "CH-103")
def test_discovery_is_json_without_anything_null_or_empty(service: RunningService) -> None:
    reply = service.get("/cds-services")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert isinstance(reply.json()["services"], list)
    assert_nothing_empty(reply.json())


@pytest.mark.conformance("CH-002", "CH-818")
def test_production_does_not_start_on_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRD_CDS_MODE", "production")
    with pytest.raises(SettingsError, match="TLS_TERMINATED: production needs true"):
        load_settings()


@pytest.mark.conformance("CH-007", "CH-903")
@pytest.mark.parametrize(
    "more",
    [
        {"extension": {"com.example.x": {"a": 1}}},
        {"extension": {"com.example.x": {"cards": [], "hook": "order-sign"}}},
        {"unheardOf": [None]},
        {"context": {"unheardOf": {"a": []}}},
        {"context": {"extension": {"com.example.x": 1}}},
    ],
    ids=str,
)
def test_what_is_not_known_of_a_request_has_no_effect(service: RunningService, more: dict[str, Any]) -> None:
    plain = full_request(1)
    strange = plain | more | {"context": plain["context"] | more.get("context", {})}
    replies = [service.post(body) for body in (plain, strange)]
    assert replies[0].json()["cards"]
    assert without_uuids(replies[0].text) == without_uuids(replies[1].text)


# --- discovery --------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-101", "CH-102")
@pytest.mark.parametrize("public_url", PUBLIC)
def test_discovery_answers_whatever_the_public_address(serve: Serve, public_url: str) -> None:
    service = serve(public_url=public_url)
    assert service.get("/cds-services").status_code == 200
    assert service.get("/cds-services").content == service.get("/cds-services").content


@pytest.mark.conformance("CH-104")
def test_with_nothing_to_offer_the_list_is_empty() -> None:
    assert discovery(()) == {"services": []}


@pytest.mark.conformance("CH-105", "CH-106", "CH-108", "CH-110", "CH-111", "CH-112")
def test_each_entry_is_complete(service: RunningService) -> None:
    for entry in entries(service):
        assert entry["hook"] in TOKENS
        for name in ("title", "description", "usageRequirements"):
            assert isinstance(entry[name], str) and entry[name].strip()
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]*", entry["id"]) and entry["id"] != "feedback"
        assert all(isinstance(query, str) and query for query in entry["prefetch"].values())


@pytest.mark.conformance("CH-107")
def test_each_id_reaches_its_service(service: RunningService) -> None:
    for entry in entries(service):
        body = hook_request(hook=entry["hook"])
        assert service.post(body, f"/cds-services/{entry['id']}").status_code != 404


@pytest.mark.conformance("CH-109", "CH-411")
def test_no_id_is_shared_so_that_no_card_is_said_to_replace_another(service: RunningService) -> None:
    ids = [entry["id"] for entry in entries(service)]
    assert ids and len(set(ids)) == len(ids)


@pytest.mark.conformance("CH-113")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_discovery_is_read_only(service: RunningService, method: str) -> None:
    reply = service.call(method, "/cds-services", json={})
    assert reply.status_code == 405
    assert "GET" in reply.headers["Allow"]


@pytest.mark.conformance("CH-H09", "CH-H24")
def test_hooks_are_of_the_library_and_not_deprecated(service: RunningService) -> None:
    assert {entry["hook"] for entry in entries(service)} <= set(TOKENS)


# --- templates --------------------------------------------------------------------------------------------


def templates(service: RunningService) -> list[tuple[str, str]]:
    found = [
        (entry["hook"], template) for entry in entries(service) for template in entry["prefetch"].values()
    ]
    assert found
    return found


@pytest.mark.conformance("CH-301", "CH-302")
def test_templates_are_relative_reads_or_searches_with_whole_tokens(service: RunningService) -> None:
    for _, template in templates(service):
        plain = re.sub(r"\{\{[^{}]+\}\}", "T", template)
        assert re.fullmatch(r"[A-Z][A-Za-z]+(/T|\?\S+)", plain)
        assert not set(plain) & set("{}")


@pytest.mark.conformance("CH-303", "CH-304", "CH-305")
def test_tokens_are_fields_of_the_hook(service: RunningService) -> None:
    for hook, template in templates(service):
        for token in re.findall(r"\{\{(.*?)\}\}", template):
            assert token.startswith("context.")
            assert token.removeprefix("context.") in TOKENS[hook]
        assert "/{{context.userId}}" not in template


@pytest.mark.conformance("CH-306", "CH-307")
def test_templates_use_reference_parameters_only(service: RunningService) -> None:
    for _, template in templates(service):
        query = template.partition("?")[2]
        assert re.fullmatch(r"|(patient|subject)=[A-Za-z/]*\{\{context\.patientId\}\}", query), template


@pytest.mark.conformance("CH-308", "CH-309")
def test_the_keys_are_those_that_the_decision_reads(service: RunningService) -> None:
    """Both come from one table, so that nothing is asked for that is not read, and the names are stable."""
    for entry in entries(service):
        assert set(entry["prefetch"]) <= {need.key for need in NEEDS}
    assert all(need.topics for need in NEEDS)


# --- extensions, Markdown ---------------------------------------------------------------------------------


@pytest.mark.conformance("CH-901", "CH-902")
@pytest.mark.parametrize("number", [1, 16])
def test_extensions_are_objects_with_names_of_our_own(service: RunningService, number: int) -> None:
    reply = service.post(full_request(number)).json()
    extensions = [part["extension"] for part in (reply, *reply["cards"]) if "extension" in part]
    assert extensions
    for extension in extensions:
        assert isinstance(extension, dict)
        assert all(re.fullmatch(r"org\.trd-cds\.[a-zA-Z.-]+", name) for name in extension)


@pytest.mark.conformance("CH-V03")
def test_details_have_no_html(service: RunningService) -> None:
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    details = [card["detail"] for card in service.post(full_request(1)).json()["cards"]]
    assert details
    for detail in details:
        tokens = [part for token in markdown.parse(detail) for part in (token, *(token.children or ()))]
        assert not any(token.type in ("html_block", "html_inline") for token in tokens)


@pytest.mark.conformance("CH-519")
def test_each_card_stands_alone(service: RunningService) -> None:
    for number in (1, 16):
        for card in service.post(full_request(number)).json()["cards"]:
            assert not re.search(r"(other|next|previous|above|below) card", card["summary"] + card["detail"])
