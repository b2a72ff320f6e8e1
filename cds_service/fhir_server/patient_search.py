"""All that a FHIR server has of one type for a patient; with orders their drugs, where it sends them along."""

from __future__ import annotations

from cds_service.errors import FhirFatalError
from cds_service.fhir_server.access import FhirAccess
from cds_service.fhir_server.client import AccessRefused, FhirClient, ServerFailed, TokenRefused
from cds_service.fhir_server.known_servers import SERVERS
from cds_service.fhir_server.metadata import include_of
from cds_service.fhir_server.narrow_searches import search_as_wanted
from cds_service.fhir_server.search_results import Page
from cds_service.needs import Need


def search_patient(client: FhirClient, access: FhirAccess, need: Need, patient_id: str) -> Page:
    """The whole of `need`. Raises what `FhirClient.search` raises."""
    query, include = need.query(patient_id).partition("&_include=")[0], include_of(need.resource_type)
    if include is not None and _is_worth_asking(client, access, need, include):
        page = _search_including(client, query, need, include)
        if page is not None:
            return page
    return search_as_wanted(client, query, need)


def _is_worth_asking(client: FhirClient, access: FhirAccess, need: Need, include: str) -> bool:
    """Whether the server may send the drugs of this type along, and may show them to this request.

    A server of which that is not known is tried with what is required: many do not have the other types at all.
    """
    is_known = SERVERS.knows_include(client.base.url, include)
    is_plain = SERVERS.way_of(client.base.url, need.resource_type) is None
    may_know_it = need.is_required if is_known is None else is_known
    return may_know_it and is_plain and access.may_search("Medication")


def _search_including(client: FhirClient, query: str, need: Need, include: str) -> Page | None:
    """None where the server does not do it: it may refuse, fail or send what is no whole. It is asked no more then.

    One that does not let this request see Medications may let others. A server that says `incomplete` may mean
    the Medications (Azure's do): the orders by themselves show it.
    """
    is_counted = SERVERS.takes_counts(client.base.url) is not False
    try:
        page = client.search(f"{query}&_include={include}", need.topics, is_counted=is_counted)
    except TokenRefused:
        raise
    except AccessRefused:
        return None
    except (FhirFatalError, ServerFailed):
        page = None
    if page is not None and not page.is_cut:
        return page
    SERVERS.keep_include(client.base.url, include, False)
    return None
