"""Reads a server's metadata beside the work, where that pays: whether it sends Medications along with orders.

Nobody waits for it and nothing depends on it: without it Medications are read after the orders, as they are when a
server says one thing and does another.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from cds_service.errors import FhirServerError
from cds_service.fhir_reading.resource_types import OF_A_DRUG
from cds_service.fhir_server.client import FhirClient
from cds_service.fhir_server.known_servers import SERVERS

_SECONDS = 10.0
_LARGEST_MIB = 16.0


def learn_includes(client: FhirClient) -> None:
    """Has the metadata read if this server's orders have referred to Medications before. Returns at once."""
    if SERVERS.is_to_be_asked(client.base.url):
        asking = client.without_token(_SECONDS, _LARGEST_MIB)
        threading.Thread(target=_learn, args=(asking,), daemon=True).start()


def includes_of(statement: dict[str, Any]) -> frozenset[str]:
    """The includes of Medications that this statement of capabilities names, such as `MedicationRequest:medication`."""
    rests = statement.get("rest")
    resources = [
        resource
        for rest in _dicts(rests)
        if rest.get("mode") == "server"
        for resource in _dicts(rest.get("resource"))
    ]
    return frozenset(
        wanted
        for resource in resources
        if (wanted := include_of(resource.get("type"))) is not None
        and isinstance(resource.get("searchInclude"), list)
        and not {wanted, "*"}.isdisjoint(one for one in resource["searchInclude"] if isinstance(one, str))
    )


def include_of(resource_type: object) -> str | None:
    """The include that brings the drugs of this type along; None for a type without any."""
    is_of_a_drug = isinstance(resource_type, str) and resource_type in OF_A_DRUG
    return f"{resource_type}:medication" if is_of_a_drug else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _learn(client: FhirClient) -> None:
    with suppress(FhirServerError):  # it is done without
        SERVERS.keep_includes(client.base.url, includes_of(client.metadata()))
