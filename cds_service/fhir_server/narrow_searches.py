"""Searches for servers that refuse to list all of a type: the same asked for in parts, and joined.

A plain search by patient comes first. A server that answers it with 400 or 422 is asked by what such servers want (a
category, a code, an intent), all parts at once, and from then on in that way. What a part does not give is a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from cds_service.errors import FhirServerError, NotOffered
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_server.access import run_together
from cds_service.fhir_server.client import AccessRefused, FhirClient, RuleBroken, SearchRefused
from cds_service.fhir_server.known_servers import SERVERS
from cds_service.fhir_server.search_results import Page
from cds_service.tables.measurements import load_measurements
from cds_service.tables.scales import load_scales
from cds_service.tables.suicide_scales import load_suicide_scale_parts
from cds_service.trd.record import Topic, Unread

_REFUSED = (NotOffered, RuleBroken)


@dataclass(frozen=True)
class Way:
    """One way to search a type in parts.

    `needed` are the filters that have to be answered for the result to be whole, `beside` those that a server
    need not know: one that is forbidden is a gap all the same. `leaves_out` tells what no part can show.
    """

    needed: tuple[str, ...]
    beside: tuple[str, ...] = ()
    leaves_out: str = ""


# http://terminology.hl7.org/CodeSystem/observation-category (R4), and of US Core 6.1 what may hold a questionnaire
_OBSERVATION_CATEGORIES = ("survey", "laboratory", "vital-signs", "social-history", "exam")
_SELDOM_CATEGORIES = ("procedure", "therapy", "activity", "imaging", "functional-status", "cognitive-status")
# US Core 6.1 condition categories; medical-history is Epic's: recalled, unverified
_CONDITION_CATEGORIES = ("problem-list-item", "encounter-diagnosis")
_SELDOM_CONDITIONS = ("health-concern", "medical-history")
# MedicationRequest.intent, 1..1: http://hl7.org/fhir/CodeSystem/medicationrequest-intent (R4)
_INTENTS = ("order", "plan", "original-order", "filler-order", "instance-order")
_SELDOM_INTENTS = ("reflex-order", "proposal", "option")
# MedicationRequest.status: http://hl7.org/fhir/CodeSystem/medicationrequest-status (R4)
_ALL_STATUSES = "status=active,on-hold,cancelled,completed,entered-in-error,stopped,draft,unknown"


@lru_cache(maxsize=8)
def ways_of(resource_type: str) -> tuple[Way, ...]:
    """The ways in which a type is searched where all of it cannot be listed, the likeliest first."""
    if resource_type == "Observation":
        needed = tuple(f"category={category}" for category in _OBSERVATION_CATEGORIES)
        seldom = tuple(f"category={category}" for category in _SELDOM_CATEGORIES)
        left_out = "results without a category known here and without a code known here cannot be asked for"
        return (Way(needed, (*seldom, f"code={','.join(known_codes())}"), left_out),)
    if resource_type == "Condition":
        needed = tuple(f"category={category}" for category in _CONDITION_CATEGORIES)
        seldom = tuple(f"category={category}" for category in _SELDOM_CONDITIONS)
        return (Way(needed, seldom, "diagnoses without a category known here cannot be asked for"),)
    if resource_type == "MedicationRequest":
        needed = tuple(f"intent={intent}" for intent in _INTENTS)
        seldom = tuple(f"intent={intent}" for intent in _SELDOM_INTENTS)
        with_status = Way(
            tuple(f"{one}&{_ALL_STATUSES}" for one in needed),
            tuple(f"{one}&{_ALL_STATUSES}" for one in seldom),
        )
        return (Way(needed, seldom), with_status)
    return ()


def known_codes() -> tuple[str, ...]:
    """The LOINC codes of all results that are read: scales, their items, the C-SSRS, what is shown as context.

    They stand without their system: a server that finds more has given no less.
    """
    codes = [
        code
        for row in load_scales()
        for code in (
            *row.total_codes,
            *row.panel_codes,
            *row.item_codes,
            row.suicide_item_code,
        )
    ]
    codes += [*load_suicide_scale_parts(), *(row.code for row in load_measurements())]
    return tuple(dict.fromkeys(code for code in codes if code))


def search_as_wanted(
    client: FhirClient, query: str, topics: tuple[Topic, ...], topics_of_all: tuple[Topic, ...]
) -> Page:
    """All that `query` finds, in the way in which this server lets it be found.

    Raises what `FhirClient.search` raises; the refusal of the plain search where no way was let pass.
    """
    resource_type, base_url = query.partition("?")[0], client.base.url
    ways = ways_of(resource_type)
    known = SERVERS.way_of(base_url, resource_type)
    if known is not None:
        page = _search_by(ways[known], client, query, topics, topics_of_all)
        if page is not None:
            return page
        SERVERS.keep_way(base_url, resource_type, None)
    try:
        return client.search(query, topics)
    except (SearchRefused, RuleBroken):
        for number, way in enumerate(ways):
            page = _search_by(way, client, query, topics, topics_of_all)
            if page is not None:
                SERVERS.keep_way(base_url, resource_type, number)
                return page
        raise


def _search_by(
    way: Way, client: FhirClient, query: str, topics: tuple[Topic, ...], topics_of_all: tuple[Topic, ...]
) -> Page | None:
    """The joined parts; None if the server refuses every needed one. Raises the first other failure."""
    filters = (*way.needed, *way.beside)
    tasks = {one: partial(client.search, f"{query}&{one}", topics) for one in filters}
    results = run_together(tasks, client.deadline)
    for result in results.values():
        if isinstance(result, FhirServerError) and not isinstance(result, _REFUSED):
            raise result
    refused = [one for one in way.needed if isinstance(results[one], _REFUSED)]
    if len(refused) == len(way.needed):
        return None
    what = f"{query.partition('?')[0]} search"
    refused += [one for one in way.beside if isinstance(results[one], AccessRefused)]
    gaps = [Unread(what, f"{_shown(one)}: {results[one]}", topics_of_all) for one in refused]
    if way.leaves_out:
        gaps.append(Unread(what, f"this server does not list all: {way.leaves_out}", (Topic.NONE,)))
    return _joined(results, tuple(gaps))


def _shown(one: str) -> str:
    """The filter in short: without what is the same in all, and without a list of codes."""
    return one.partition("&")[0].partition(",")[0]


def _joined(results: Mapping[str, Any], gaps: tuple[Unread, ...]) -> Page:
    """The entries of all parts, what several of them hold once."""
    pages = [result for result in results.values() if isinstance(result, Page)]
    entries: list[Entry] = []
    seen: dict[str, Any] = {}
    for entry in (entry for page in pages for entry in page.entries):
        logical_id = entry.resource.get("id")
        if isinstance(logical_id, str):
            if seen.get(logical_id) == entry.resource:
                continue
            seen[logical_id] = entry.resource
        entries.append(entry)
    unread = tuple(unread for page in pages for unread in page.unread)
    return Page(tuple(entries), (*unread, *gaps))
