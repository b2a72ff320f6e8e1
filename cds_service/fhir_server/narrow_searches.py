"""Searches in parts, for servers that refuse to list all of a type, and for records that are too long to list.

A plain search by patient comes first: it alone leaves nothing out. A server that answers it with 400 or 422 is asked
by what such servers want (a category, a code, an intent), all parts at once, and from then on in that way. A record
that turns out to be long is asked for what the rules read of it. What a part does not give is a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from cds_service.errors import FhirServerError, NotOffered
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_server.access import run_together
from cds_service.fhir_server.client import (
    AccessRefused,
    FhirClient,
    GoesOn,
    RuleBroken,
    SearchRefused,
    Stopped,
    to_the_end,
)
from cds_service.fhir_server.known_servers import SERVERS
from cds_service.fhir_server.search_results import Page
from cds_service.needs import Need
from cds_service.tables.measurements import load_measurements
from cds_service.tables.scales import load_scales
from cds_service.tables.suicide_scales import load_suicide_scale_parts
from cds_service.trd.record import Topic, Unread

LONG_RECORD = 500  # Observations; five pages, one after the other
MOST_PAGES_OF_A_PART = 20
_DOES_NOT_LIST = "this server does not list all"
_REFUSED = (NotOffered, RuleBroken)
_REFUSED_AS_ASKED = (SearchRefused, RuleBroken)


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
_OF_MANY_RESULTS = frozenset({"laboratory", "vital-signs", "imaging"})  # scales are seldom filed there
_ALL_CATEGORIES = frozenset((*_OBSERVATION_CATEGORIES, *_SELDOM_CATEGORIES))
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
        unknown = "results without a category known here and without a code known here"
        left_out = f"{_DOES_NOT_LIST}: {unknown} cannot be asked for"
        return (Way(needed, (*seldom, f"code={','.join(known_codes())}"), left_out),)
    if resource_type == "Condition":
        needed = tuple(f"category={category}" for category in _CONDITION_CATEGORIES)
        seldom = tuple(f"category={category}" for category in _SELDOM_CONDITIONS)
        return (
            Way(
                needed,
                seldom,
                f"{_DOES_NOT_LIST}: diagnoses without a category known here cannot be asked for",
            ),
        )
    if resource_type == "MedicationRequest":
        needed = tuple(f"intent={intent}" for intent in _INTENTS)
        seldom = tuple(f"intent={intent}" for intent in _SELDOM_INTENTS)
        with_status = Way(
            tuple(f"{one}&{_ALL_STATUSES}" for one in needed),
            tuple(f"{one}&{_ALL_STATUSES}" for one in seldom),
        )
        return (Way(needed, seldom), with_status)
    return ()


@lru_cache(maxsize=1)
def way_of_long_records() -> Way:
    """What is asked for of a long record of Observations: known codes, and all where scales are filed."""
    categories = (*_OBSERVATION_CATEGORIES, *_SELDOM_CATEGORIES)
    by_category = tuple(f"category={one}" for one in categories if one not in _OF_MANY_RESULTS)
    some = "of laboratory results, vital signs and imaging those with a code known here"
    left_out = f"the record is long: {some} were asked for"
    return Way((f"code={','.join(known_codes())}", by_category[0]), by_category[1:], left_out)


@lru_cache(maxsize=1)
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


def search_as_wanted(client: FhirClient, query: str, need: Need) -> Page:
    """All that `query` finds, in the way in which this server lets it be found.

    Raises what `FhirClient.search` raises; the refusal of the plain search where no way was let pass.
    """
    base_url, ways = client.base.url, ways_of(need.resource_type)
    known = SERVERS.way_of(base_url, need.resource_type)
    if known is not None:
        page = _search_by(ways[known], client, query, need)
        if page is not None:
            return page
        SERVERS.keep_way(base_url, need.resource_type, None)
    try:
        return _search_plain(client, query, need)
    except _REFUSED_AS_ASKED:
        for number, way in enumerate(ways):
            page = _search_by(way, client, query, need)
            if page is not None:
                SERVERS.keep_way(base_url, need.resource_type, number)
                return page
        raise


def _search_plain(client: FhirClient, query: str, need: Need) -> Page:
    """All of it in one search, as long as that is not too long; without `_count` where that is what was refused."""
    if need.resource_type != "Observation":
        return _search_counted(client, query, need, to_the_end)
    try:
        return _search_counted(client, query, need, _is_short_or_unfiled)
    except Stopped as stopped:
        page = _search_long(client, query, need, stopped.page)
    return page or _search_counted(client, query, need, to_the_end)


def _search_counted(client: FhirClient, query: str, need: Need, goes_on: GoesOn) -> Page:
    takes_counts = SERVERS.takes_counts(client.base.url)
    try:
        page = client.search(query, need.topics, is_counted=takes_counts is not False, goes_on=goes_on)
    except _REFUSED_AS_ASKED:
        if takes_counts is not None:
            raise
        page = client.search(query, need.topics, is_counted=False, goes_on=goes_on)
        SERVERS.keep_takes_counts(client.base.url, False)
        return page
    if takes_counts is None:
        SERVERS.keep_takes_counts(client.base.url, True)
    return page


def _search_long(client: FhirClient, query: str, need: Need, begun: Page) -> Page | None:
    """What the rules read of a long record, with the pages that were read of it.

    None if the server refuses that, or if the parts do not hold what they should of the pages that were read.
    """
    try:
        page = _search_by(way_of_long_records(), client, query, need, partial(_is_a_part, begun.total))
    except (FhirServerError, Stopped):
        return None
    if page is None or any(gap.topics != (Topic.NONE,) for gap in page.unread):
        return None
    whole = _joined({"parts": page, "begun": begun}, ())
    added = whole.entries[len(page.entries) :]
    return None if any(_is_asked_for(entry.resource) for entry in added) else whole


def _is_a_part(total: int | None, pages: Sequence[Page]) -> bool:
    """Whether to go on: a part as long as the whole was not searched by its filter."""
    part = pages[0].total
    is_less = total is None or part is None or part < total
    return is_less and len(pages) < MOST_PAGES_OF_A_PART


def _is_short_or_unfiled(pages: Sequence[Page]) -> bool:
    """Whether to go on: fewer than `LONG_RECORD` are known of, or some are filed where no part would find them."""
    entries = [entry for page in pages for entry in page.entries]
    if max(len(entries), pages[0].total or 0) < LONG_RECORD:
        return True
    return not all(_is_filed(entry.resource) for entry in entries)


def _is_filed(resource: dict[str, Any]) -> bool:
    """Whether an Observation has a category known here; what else comes along counts as filed."""
    is_other = resource.get("resourceType") != "Observation"
    return is_other or not _ALL_CATEGORIES.isdisjoint(_codes_at(resource, "category"))


def _is_asked_for(resource: dict[str, Any]) -> bool:
    """Whether a part of a long record has to hold it."""
    by_category = not (_ALL_CATEGORIES - _OF_MANY_RESULTS).isdisjoint(_codes_at(resource, "category"))
    return by_category or not frozenset(known_codes()).isdisjoint(_codes_at(resource, "code"))


def _codes_at(resource: dict[str, Any], name: str) -> list[str]:
    concepts = resource.get(name)
    rows = concepts if isinstance(concepts, list) else [concepts]
    codings = [coding for row in rows if isinstance(row, dict) for coding in _dicts(row.get("coding"))]
    return [coding["code"] for coding in codings if isinstance(coding.get("code"), str)]


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _search_by(
    way: Way, client: FhirClient, query: str, need: Need, goes_on: GoesOn = to_the_end
) -> Page | None:
    """The joined parts; None if the server refuses every needed one. Raises the first other failure."""
    filters = (*way.needed, *way.beside)
    is_counted = SERVERS.takes_counts(client.base.url) is not False
    search = partial(client.search, topics=need.topics, is_counted=is_counted, goes_on=goes_on)
    tasks = {one: partial(search, f"{query}&{one}") for one in filters}
    results = run_together(tasks, client.deadline)
    for result in results.values():
        if isinstance(result, FhirServerError) and not isinstance(result, _REFUSED):
            raise result
    refused = [one for one in way.needed if isinstance(results[one], _REFUSED)]
    if len(refused) == len(way.needed):
        return None
    what = f"{need.resource_type} search"
    refused += [one for one in way.beside if isinstance(results[one], AccessRefused)]
    gaps = [Unread(what, f"{_shown(one)}: {results[one]}", need.topics_of_all) for one in refused]
    if way.leaves_out:
        gaps.append(Unread(what, way.leaves_out, (Topic.NONE,)))
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
