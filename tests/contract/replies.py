"""What every reply of the service has to be, whatever was asked: checked against the published schemas."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import jsonschema

from cds_service.report import EXTENSION_KEY

MAY_BE_EMPTY = ("$.cards", "$.services")


def assert_sound(status: int, reply: Any) -> None:
    """A 200 holds cards by the schema; all else is a 4xx with an OperationOutcome. Nothing is null or empty."""
    assert status == 200 or 400 <= status < 500, reply
    assert_nothing_empty(reply)
    if status != 200:
        assert_operation_outcome(reply)
        return
    validator("cds-hooks-response.json").validate(reply)
    if "extension" in reply:
        validator("assessment.json").validate(reply["extension"][EXTENSION_KEY])


def assert_operation_outcome(reply: Any) -> None:
    assert reply["resourceType"] == "OperationOutcome"
    (issue,) = reply["issue"]
    assert issue["severity"] == "error"
    assert issue["diagnostics"]


def assert_nothing_empty(value: Any, path: str = "$") -> None:
    assert path in MAY_BE_EMPTY or value not in (None, "", [], {}), path
    if isinstance(value, dict):
        for name, part in value.items():
            assert_nothing_empty(part, f"{path}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            assert_nothing_empty(part, f"{path}[{number}]")


@cache
def validator(name: str) -> Any:
    schema = resources.files("cds_service").joinpath("schemas", name).read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(schema))
