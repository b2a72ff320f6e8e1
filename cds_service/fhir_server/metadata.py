"""Reads a server's metadata beside the work, where that pays: whether it sends Medications along with orders.

Nobody waits for it and nothing depends on it: without it the server is asked for them and may refuse or pass over it,
and Medications that did not come along are read after the orders.
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
    """Has the metadata read, unless it was lately. Returns at once."""
    if SERVERS.is_to_be_asked(client.base.url):
        asking = client.without_token(_SECONDS, _LARGEST_MIB)
        threading.Thread(target=_learn, args=(asking,), daemon=True).start()


def includes_of(statement: dict[str, Any]) -> dict[str, bool]:
    """By include of Medications, such as `MedicationRequest:medication`, whether this statement names it.

    A type of which it names no includes at all is left out: many servers do not list what they know.
    """
    resources = [
        resource
        for rest in _dicts(statement.get("rest"))
        if rest.get("mode") == "server"
        for resource in _dicts(rest.get("resource"))
    ]
    named = ((include_of(resource.get("type")), resource.get("searchInclude")) for resource in resources)
    return {
        wanted: not {wanted, "*"}.isdisjoint(one for one in includes if isinstance(one, str))
        for wanted, includes in named
        if wanted is not None and isinstance(includes, list) and includes
    }


def include_of(resource_type: object) -> str | None:
    """The include that brings the drugs of this type along; None for a type without any."""
    is_of_a_drug = isinstance(resource_type, str) and resource_type in OF_A_DRUG
    return f"{resource_type}:medication" if is_of_a_drug else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _learn(client: FhirClient) -> None:
    with suppress(FhirServerError):  # it is done without
        for include, is_known in includes_of(client.metadata()).items():
            SERVERS.keep_include(client.base.url, include, is_known)
