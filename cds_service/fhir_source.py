"""What is known of one patient: what the prefetch gave, and the rest from the FHIR server."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote

from cds_service.errors import FhirFatalError, FhirServerError, InputError, MissingEvidence, NotOffered
from cds_service.fhir_address import is_fhir_id, read_address
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_server.access import FhirAccess, FhirPolicy, find_access, run_together
from cds_service.fhir_server.client import AccessRefused, FhirClient
from cds_service.fhir_server.metadata import learn_includes
from cds_service.fhir_server.patient_search import search_patient
from cds_service.fhir_server.referenced_medications import fetch_medications
from cds_service.fhir_server.search_results import Page
from cds_service.hook_request import HookRequest
from cds_service.needs import NEEDS, Need, needs
from cds_service.outbound.network import ANYWHERE
from cds_service.prefetched import Lacking, read_prefetch
from cds_service.trd.record import Unread

_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+/[^/?#|\s]+)(?:/_history/.*)?", re.ASCII)
_USERS_MIB = 1024  # read for one patient from a server that the user named


def collect(request: HookRequest, policy: FhirPolicy, access: FhirAccess | None = None) -> Collected:
    """All that the rules need about the request's patient. `access` is that of the request if it was used before.

    Raises MissingEvidence if a required key cannot be had.
    """
    found, lacking = read_prefetch(request, needs(policy.include_medications))
    access = access or find_access(request, policy)
    if not lacking:
        return _join(found, access, request)
    found |= _fetch_lacking(lacking, access, request.patient_id)
    return _join_fetched(found, access, request)


def fetch_collected(
    base_url: str, patient_id: str, token: str | None = None, seconds: float = 30.0
) -> Collected:
    """All that the rules need about one patient, read from a server that the user named.

    Raises InputError for a wrong address or id, FhirServerError if something cannot be had.
    """
    base = read_address(base_url)
    if base is None:
        raise InputError("FHIR server: expected a plain http or https base address without query")
    if not is_fhir_id(patient_id):
        raise InputError("patient: expected a bare FHIR id (1 to 64 of A-Z a-z 0-9 - .)")
    if token is not None and base.scheme == "http" and not base.is_loopback:
        raise FhirFatalError("a token is sent over https only")
    request = HookRequest("patient-view", "", "", patient_id, fhir_server=base.url, token=token)
    policy = FhirPolicy(
        (base,), allow_plain_http=True, fetch_seconds=seconds, fetch_mib=_USERS_MIB, network=ANYWHERE
    )
    access = find_access(request, policy)
    try:
        found = _fetch_lacking(tuple(Lacking(need, is_offered=False) for need in NEEDS), access, patient_id)
    except MissingEvidence as missing:
        raise FhirServerError(str(missing)) from None
    return _join_fetched(found, access, request)


def _join_fetched(found: dict[str, Page], access: FhirAccess, request: HookRequest) -> Collected:
    """Learns whether the server sends Medications along, if some had to be read apart."""
    collected = _join(found, access, request)
    searched = sum(len(page.entries) for page in found.values())
    if len(collected.entries) > searched and access.client is not None and access.may_search("Medication"):
        learn_includes(access.client)
    return collected


def _join(found: dict[str, Page], access: FhirAccess, request: HookRequest) -> Collected:
    """The pages of all needs with the Medications they refer to.

    The base address counts even where it may not be called: prefetched references may be absolute.
    """
    pages = [found[need.key] for need in NEEDS if need.key in found]
    entries = tuple(entry for page in pages for entry in page.entries)
    unread = tuple(unread for page in pages for unread in page.unread)
    medications, gaps = fetch_medications(entries, access)
    base_url = None if request.fhir_server is None else request.fhir_server.rstrip("/")
    not_looked_at = tuple(need.key for need in NEEDS if need.key not in found)
    return Collected(request.patient_id, entries + medications, base_url, (*unread, *gaps), not_looked_at)


# --- what has to be fetched -------------------------------------------------------------------------------


def _fetch_lacking(lacking: tuple[Lacking, ...], access: FhirAccess, patient_id: str) -> dict[str, Page]:
    """Each lacking need, all fetched at the same time. Raises MissingEvidence naming the required ones that failed."""
    results: dict[str, Any] = {}
    tasks: dict[str, partial[Page]] = {}
    for item in lacking:
        need = item.need
        try:
            client = access.client_for(need.resource_type, by_id=need.is_read, is_required=need.is_required)
            tasks[need.key] = partial(_fetch, client, access, item, patient_id)
        except FhirServerError as problem:  # nobody to ask: no thread is needed to find that out
            results[need.key] = problem
    earlier = {item.need.key: access.optional_deadline for item in lacking if not item.need.is_required}
    results |= run_together(tasks, access.deadline, earlier)
    failed = [item for item in lacking if isinstance(results[item.need.key], FhirServerError)]
    missing = [item for item in failed if item.need.is_required]
    if missing:
        words = [item.in_words(results[item.need.key]) for item in missing]
        if access.token_expired:
            words.append("the access token was not used, since its expires_in is not above 0")
        keys = tuple(item.need.key for item in missing)
        raise MissingEvidence(keys, f"Required data cannot be had. {'; '.join(words)}.")
    pages = results | {item.need.key: _gap(item, results[item.need.key]) for item in failed}
    return {key: page for key, page in pages.items() if page is not None}


def _gap(item: Lacking, problem: FhirServerError) -> Page | None:
    """What is at hand of a need that is not required and could not be had.

    None where the server has no such type, or does not show it: then it was not looked at. Anything else
    may hide records.
    """
    if isinstance(problem, NotOffered) and not item.is_offered:
        return None
    known = item.first.entries if item.first else ()
    return Page(
        known, (Unread(f"{item.need.resource_type} search", item.in_words(problem), item.need.topics_of_all),)
    )


def _fetch(client: FhirClient, access: FhirAccess, item: Lacking, patient_id: str) -> Page:
    need = item.need
    if need.is_read:
        resource = client.read(need.resource_type, patient_id)
        return Page((Entry(resource, None, f"{need.resource_type} read"),))
    if item.first is not None:
        page = _follow_or_search(client, access, need, item.first, patient_id)
    else:
        page = search_patient(client, access, need, patient_id)
    return _doubted_if_of_others(page, need, patient_id)


def _doubted_if_of_others(page: Page, need: Need, patient_id: str) -> Page:
    """A server that sends records of others may not have searched by patient: then some may be lacking."""
    if not any(_is_of_another(entry.resource, patient_id) for entry in page.entries):
        return page
    problem = "the FHIR server sent records of somebody else too: it may not have searched by patient"
    gap = Unread(f"{need.resource_type} search", problem, need.topics_of_all)
    return replace(page, unread=(*page.unread, gap))


def _is_of_another(resource: dict[str, Any], patient_id: str) -> bool:
    """Whether a record names another patient as its subject, or somebody who is no patient (a group, a device)."""
    about = resource.get("subject") or resource.get("patient")
    reference = about.get("reference") if isinstance(about, dict) else None
    named = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    return named is not None and unquote(named[1]) != f"Patient/{patient_id}"


def _follow_or_search(
    client: FhirClient, access: FhirAccess, need: Need, first: Page, patient_id: str
) -> Page:
    """The pages after a prefetched one; its link may have expired or point elsewhere: then all anew."""
    try:
        return client.follow(first, need.resource_type, need.topics)
    except AccessRefused:
        raise
    except FhirFatalError:
        return search_patient(client, access, need, patient_id)
