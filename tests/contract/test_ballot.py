"""What 3.0.0-ballot adds, behind its setting: clients of 2.0.1 see nothing of it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from tests.contract.conftest import HOOK_PATH, RunningService, Serve, hook_request

BALLOT = "3.0.0-ballot"


def entries(service: RunningService) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get("/cds-services").json()["services"]
    return found


@pytest.mark.conformance("CH-V01", "CH-V02", "CH-V21")
def test_the_two_profiles_of_discovery_differ_in_the_version_only(
    service: RunningService, serve: Serve
) -> None:
    published, ballot = entries(service), entries(serve(cds_hooks_version=BALLOT))
    assert [entry | {"version": "STU3"} for entry in published] == ballot
    assert not any({"version", "hookVersion"} & set(entry) for entry in published)


@pytest.mark.conformance("CH-V01")
def test_the_ballot_profile_is_what_the_schema_says(serve: Serve) -> None:
    schema = json.loads(files("cds_service").joinpath("schemas/cds-hooks-discovery.json").read_text("utf-8"))
    body = serve(cds_hooks_version=BALLOT).get("/cds-services").json()
    jsonschema.Draft202012Validator(schema).validate(body)


@pytest.mark.conformance("CH-V05", "CH-V06", "CH-V07", "CH-303")
@pytest.mark.parametrize("version", ["2.0.1", BALLOT])
def test_templates_have_no_expression_no_variable_and_no_maxresults(serve: Serve, version: str) -> None:
    for entry in entries(serve(cds_hooks_version=version)):
        for template in entry["prefetch"].values():
            assert not any(mark in template for mark in ("(", "%", "_maxresults"))


@pytest.mark.conformance("CH-V11")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (HOOK_PATH, {}, 400),
        (HOOK_PATH, b"{", 400),
        (HOOK_PATH, hook_request(prefetch=None), 412),
        ("/cds-services/nothing", {}, 404),
        ("/cds-services", {}, 405),
    ],
)
def test_errors_carry_an_operation_outcome(
    service: RunningService, path: str, body: Any, status: int
) -> None:
    reply = service.post(body, path)
    assert reply.status_code == status
    assert reply.json()["resourceType"] == "OperationOutcome"


@pytest.mark.conformance("CH-V03")
def test_descriptions_are_plain(service: RunningService) -> None:
    assert not any(set(entry["description"]) & set("<>`*") for entry in entries(service))


@pytest.mark.conformance("CH-V04", "CH-V12")
def test_no_card_has_action_selection_and_no_reply_system_actions() -> None:
    schema = json.loads(files("cds_service").joinpath("schemas/cds-hooks-response.json").read_text("utf-8"))
    assert "actionSelectionBehavior" not in json.dumps(schema)
    assert "systemActions" not in schema["properties"]
    assert schema["additionalProperties"] is schema["$defs"]["suggestion"]["additionalProperties"] is False


@pytest.mark.conformance("CH-V17")
def test_the_json_of_discovery_is_strict(service: RunningService) -> None:
    text = service.get("/cds-services").text
    assert json.loads(text)
    assert not text.rstrip("}] \n").endswith(",")
