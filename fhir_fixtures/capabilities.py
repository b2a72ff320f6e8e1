"""What the embedded server says of itself: which types it knows and how each can be searched."""

from __future__ import annotations

from typing import Any

from fhir_fixtures.search import OF_TYPE, parameters_of

Resource = dict[str, Any]

FHIR_JSON = "application/fhir+json"
INTERACTIONS = ("read", "vread", "search-type", "create", "update", "delete")


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


def _capabilities_of(type: str) -> Resource:
    parameters = parameters_of(type)
    references = [f"{type}:{name}" for name in parameters if parameters[name].kind == "reference"]
    capabilities = {
        "type": type,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": False,  # vread knows the newest version only
        "updateCreate": True,
        "conditionalRead": "full-support",
        "searchInclude": ["*", *references] if references else [],
        "searchParam": [{"name": name, "type": parameters[name].kind} for name in sorted(parameters)],
    }
    return {name: value for name, value in capabilities.items() if value != []}
