"""Discovery, health, schemas and the page: what is there without a patient."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
import pytest

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.contract.conftest import RunningService, Serve, request_of

# The fields of each hook's context that its page marks as prefetch tokens, and that we use: all hooks have them.
TOKEN = r"\{\{context\.(userId|patientId|encounterId)\}\}"
VALUE = rf"((Patient/)?{TOKEN}|[A-Za-z0-9.,:/|-]+)"
IN_THE_SUBSET = re.compile(rf"[A-Z][A-Za-z]*(/{TOKEN}|\?[a-z_-]+={VALUE}(&[a-z_-]+(:in)?={VALUE})*)")


@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/"])
def test_discovery_is_what_its_schema_says(service: RunningService, path: str) -> None:
    reply = service.get(path)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    schema = json.loads(
        resources.files("cds_service").joinpath("schemas/cds-hooks-discovery.json").read_text()
    )
    jsonschema.Draft202012Validator(schema).validate(reply.json())
    assert_nothing_empty(reply.json())


@pytest.mark.conformance("CH-107", "CH-109")
def test_each_pair_of_hook_and_id_is_listed_once_and_can_be_called(service: RunningService) -> None:
    services = service.get("/cds-services").json()["services"]
    pairs = [(listed["hook"], listed["id"]) for listed in services]
    assert len(set(pairs)) == len(pairs)
    assert len({service_id for _, service_id in pairs}) == len(
        pairs
    )  # no id announces that it replaces another
    for hook, service_id in pairs:
        assert service.post(request_of(hook), f"/cds-services/{service_id}").status_code == 200


@pytest.mark.conformance("CH-105", "CH-H09", "CH-H20", "CH-H24")
def test_each_hook_has_a_service_of_its_own(service: RunningService) -> None:
    services = service.get("/cds-services").json()["services"]
    assert {listed["hook"]: listed["id"] for listed in services} == {
        "patient-view": "trd-patient-view",
        "encounter-start": "trd-encounter-start",
        "order-select": "trd-order-select",
        "order-sign": "trd-order-sign",
    }


@pytest.mark.conformance("CH-104")
def test_with_nothing_to_offer_there_is_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.app.find_services", lambda *_: ())
    reply = create_app(Settings()).test_client().get("/cds-services")
    assert (reply.status_code, reply.get_json()) == (200, {"services": []})


@pytest.mark.conformance("CH-304")
def test_the_templates_keep_to_the_recommended_subset(service: RunningService) -> None:
    for listed in service.get("/cds-services").json()["services"]:
        assert set(listed["prefetch"]) == {
            *("patient", "medications", "observations", "conditions"),
            *("dispenses", "statements", "administrations"),
            *("procedures", "questionnaires", "adverseEvents", "allergies", "requests"),
        }
        for template in listed["prefetch"].values():
            assert IN_THE_SUBSET.fullmatch(template)
            assert "_include" not in template


def test_the_include_is_published_where_the_site_asks_for_it(serve: Serve) -> None:
    for listed in serve(prefetch_include=True).get("/cds-services").json()["services"]:
        assert listed["prefetch"]["medications"].endswith("&_include=MedicationRequest:medication")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(service: RunningService, path: str) -> None:
    assert service.get(path).json() == {"status": "ok"}


def test_every_listed_schema_is_served_and_valid(service: RunningService) -> None:
    paths = service.get("/schemas/").json()["schemas"]
    assert "/schemas/cds-hooks-request.json" in paths
    for path in paths:
        schema = service.get(path).json()
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"urn:trd-cds:schema:{PurePosixPath(path).stem}"
        assert schema["title"]


def test_every_listed_schema_is_told_of(service: RunningService) -> None:
    told = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    for path in service.get("/schemas/").json()["schemas"]:
        assert f"`{path}`" in told, path


@pytest.mark.parametrize("name", ["nothing.json", "__init__.py", "..%2fsettings.py"])
def test_only_schemas_are_served(service: RunningService, name: str) -> None:
    reply = service.get(f"/schemas/{name}")
    assert reply.status_code == 404
    assert reply.json()["resourceType"] == "OperationOutcome"


def test_the_page_tells_where_to_call(serve: Serve) -> None:
    reply = serve(public_url="https://cds.example.org/trd/").get("/")
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "https://cds.example.org/trd/cds-services/trd-patient-view" in reply.text
    assert "needs a client token" not in reply.text


@pytest.mark.parametrize("metrics", [True, False])
def test_each_link_of_the_page_leads_somewhere_wherever_the_page_is(serve: Serve, metrics: bool) -> None:
    service = serve(metrics=metrics)
    own = [link for link in re.findall(r'href="([^"]+)"', service.get("/").text) if "//" not in link]
    assert "openapi.json" in own
    assert ("metrics" in own) == metrics
    for link in own:
        assert not link.startswith("/")  # a path of the public address would be lost
        assert service.get(f"/{link}").status_code == 200


def assert_nothing_empty(value: Any) -> None:
    assert value not in (None, "", [], {})
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_nothing_empty(part)
