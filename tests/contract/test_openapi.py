"""`/openapi.json`: what it says is there is there, and nothing that it allows makes the service fail."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.conftest import examples
from tests.contract.conftest import ON, RunningService, Serve, hook_request

API = schemathesis.openapi.from_wsgi("/openapi.json", create_app(Settings(), today=lambda: ON))


@pytest.fixture(scope="module")
def document(service: RunningService) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/openapi.json").json()
    return found


@API.parametrize()
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_that_it_describes_or_nearly_describes_fails(case: schemathesis.Case) -> None:
    """Requests made from the schemas, right ones and wrong ones: each answer is one that the document tells.

    A right request may be refused all the same: 412 where its data cannot be had.
    """
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    targets = _references(document)
    assert len(targets) > 50
    assert {target.removeprefix("#/components/schemas/") for target in targets} <= set(components)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for part in value.values() for found in _references(part)]
    return [found for part in value for found in _references(part)] if isinstance(value, list) else []


def test_it_keeps_the_rules_of_openapi(document: dict[str, Any]) -> None:
    """What the metaschema of OpenAPI 3.1 and its text ask of what stands here."""
    assert set(document) <= {"openapi", "info", "servers", "paths", "components", "security"}
    assert {"title", "version"} <= set(document["info"])
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(set(path) <= {"get", "post"} for path in document["paths"].values())
    assert all(path.startswith("/") and "{" not in path for path in document["paths"])
    for operation in operations:
        assert set(operation) <= {"operationId", "summary", "requestBody", "responses", "security"}
        for status, response in operation["responses"].items():
            assert status.isdecimal()
            assert response["description"]
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        jsonschema.Draft202012Validator.check_schema(schema)


def test_its_schemas_judge_as_the_published_ones(service: RunningService, document: dict[str, Any]) -> None:
    reply = service.post(hook_request()).json()
    schema = {"$ref": "#/components/schemas/cds-hooks-response", "components": document["components"]}
    judge = jsonschema.Draft202012Validator(schema)
    judge.validate(reply)
    assert not judge.is_valid(reply | {"cards": [{}]})


def test_all_services_and_their_feedback_stand_in_it(
    service: RunningService, document: dict[str, Any]
) -> None:
    for listed in service.get("/cds-services").json()["services"]:
        assert "post" in document["paths"][f"/cds-services/{listed['id']}"]
        assert "post" in document["paths"][f"/cds-services/{listed['id']}/feedback"]
    assert document["openapi"].startswith("3.1")


def test_it_names_the_address_that_clients_see(serve: Serve) -> None:
    document = serve(public_url="https://cds.example.org/trd/").get("/openapi.json").json()
    assert document["servers"] == [{"url": "https://cds.example.org/trd"}]
    assert "security" not in document
