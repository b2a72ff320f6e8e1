"""What the embedded server says of itself: which types it knows and how each can be searched."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from fhir_fixtures.search import OF_TYPE, parameters_of

Resource = dict[str, Any]

FHIR_JSON = "application/fhir+json"
INTERACTIONS = ("read", "search-type", "create", "update", "delete")


def capability_statement(base_url: str) -> Resource:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "implementation": {"description": "Fixture patients in memory", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "rest": [
            {
                "mode": "server",
                "security": {"cors": True},
                "resource": [_capabilities_of(type) for type in sorted(OF_TYPE)],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


@lru_cache(maxsize=1)
def resource_types() -> frozenset[str]:
    """The names of all FHIR R4 resource types."""
    listed = files("fhir_fixtures").joinpath("r4_resource_types.json").read_text("utf-8")
    return frozenset(json.loads(listed))


def _capabilities_of(type: str) -> Resource:
    parameters = parameters_of(type)
    references = [f"{type}:{name}" for name in parameters if parameters[name].kind == "reference"]
    capabilities = {
        "type": type,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "updateCreate": True,
        "searchInclude": references,
        "searchParam": [{"name": name, "type": parameters[name].kind} for name in sorted(parameters)],
    }
    return {name: value for name, value in capabilities.items() if value}
