"""`/openapi.json`: all paths of the service as OpenAPI 3.1, made from the services and the published schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cds_service import __version__
from cds_service.services import Service

_OUTCOME = "operation-outcome"
_REFUSALS = {
    400: "The request is malformed; `diagnostics` names the JSON path.",
    401: "A valid client token is needed.",
    404: "There is no service of this id.",
    412: "Data that the answer needs was neither prefetched nor to be had; `diagnostics` names it.",
    413: "The body is too large.",
    415: "The body is compressed.",
    429: "This client calls too often; `Retry-After` tells when to call again.",
    503: "The service is overloaded, or its store cannot be reached; `Retry-After` may tell when to call again.",
}
_OPERATION_OUTCOME = {
    "title": "FHIR OperationOutcome with one error",
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["severity", "code", "diagnostics"],
                "properties": {
                    "severity": {"const": "error"},
                    "code": {"type": "string"},
                    "diagnostics": {"type": "string"},
                },
            },
        },
    },
}


def openapi_document(
    services: Sequence[Service],
    base_url: str,
    schemas: Mapping[str, bytes],
    *,
    with_token: bool,
    with_token_for_discovery: bool,
) -> dict[str, Any]:
    """The document. `schemas` are the published ones by file name; `with_token` tells that callers need a token."""
    components = {_OUTCOME: _OPERATION_OUTCOME}
    for name, content in schemas.items():
        components |= _components(name.removesuffix(".json"), json.loads(content))
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "trd-cds",
            "version": __version__,
            "summary": "CDS Hooks 2.0.1: adequate-trial criteria for treatment-resistant depression",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "paths": _paths(services),
        "components": {"schemas": components},
    }
    if with_token:
        scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        document["components"]["securitySchemes"] = {"client": scheme}
        document["security"] = [{"client": []}]
        if not with_token_for_discovery:
            document["paths"]["/cds-services"]["get"]["security"] = []
    return document


# --- paths ----------------------------------------------------------------------------------------------


def _paths(services: Sequence[Service]) -> dict[str, Any]:
    found = {
        "/cds-services": {"get": _reading("discovery", "cds-hooks-discovery", "Which services there are")}
    }
    for service in services:
        path = f"/cds-services/{service.id}"
        answers = _answers("cds-hooks-response", (400, 401, 412, 413, 415, 429, 503))
        found[path] = {"post": _posting(service.id, service.title, "cds-hooks-request", answers)}
        done = {"200": {"description": "The feedback is stored."}} | _refusals((400, 401, 413, 415, 429, 503))
        title = f"What clinicians did with cards of {service.id}"
        found[f"{path}/feedback"] = {
            "post": _posting(f"{service.id}-feedback", title, "cds-hooks-feedback", done)
        }
    found["/health/live"] = {"get": _open("live", "Whether the service is alive")}
    found["/health/ready"] = {"get": _open("ready", "Whether it can answer hooks", (503,))}
    return found


def _reading(name: str, schema: str, summary: str) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": _answers(schema, (401, 429, 503))}


def _open(name: str, summary: str, refusals: Sequence[int] = ()) -> dict[str, Any]:
    """A path that asks for no token."""
    done = {"200": {"description": "It is.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    return {"operationId": name, "summary": summary, "security": [], "responses": done | _refusals(refusals)}


def _posting(name: str, summary: str, schema: str, responses: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": _to(schema)}}}
    return {"operationId": name, "summary": summary, "requestBody": body, "responses": responses}


def _answers(schema: str, refusals: Sequence[int]) -> dict[str, Any]:
    done = {"200": {"description": "The answer.", "content": {"application/json": {"schema": _to(schema)}}}}
    return done | _refusals(refusals)


def _refusals(statuses: Sequence[int]) -> dict[str, Any]:
    content = {"application/json": {"schema": _to(_OUTCOME)}}
    return {str(status): {"description": _REFUSALS[status], "content": content} for status in statuses}


def _to(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


# --- schemas --------------------------------------------------------------------------------------------


def _components(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema and its `$defs` side by side, since generators seldom follow `$id` within one document."""
    parts = {f"{name}.{part}": definition for part, definition in schema.get("$defs", {}).items()}
    parts[name] = {key: value for key, value in schema.items() if key not in ("$defs", "$id", "$schema")}
    return {key: _relinked(part, name) for key, part in parts.items()}


def _relinked(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_relinked(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    relinked = {key: _relinked(item, name) for key, item in value.items()}
    target = value.get("$ref")
    if isinstance(target, str) and target.startswith("#"):
        part = target.removeprefix("#").removeprefix("/$defs/")
        relinked |= _to(f"{name}.{part}" if part else name)
    return relinked
