"""Servers that are right in ways of their own: charts keep their verdicts and gaps, and no search is made needlessly.

Each row is one habit of one kind of server, with where it is told; no row is a fault. Faults are in `test_faults.py`
and `test_more_faults.py`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
import requests

from cds_service.fhir_server.known_servers import SERVERS
from cds_service.settings import Settings
from fhir_fixtures import vignettes
from tests.contract.conftest import RunningService, Serve, authorization, hook_request, running
from tests.contract.stub_server import Asked, Reply, StubServer

Resource = dict[str, Any]
NAME = "org.trd-cds.assessment"
UNVERIFIED = "recalled, unverified"
CHARTS = {"met": 10, "not-met": 7, "indeterminate": 16}  # verdict: vignette; two of them refer to Medications
ASKED = "{base}/{kind}?{query}"
INCLUDE = "_include=MedicationRequest:medication"


@dataclass(frozen=True)
class At:
    """A page: its number, how many there are, and how many matches there are on all of them."""

    page: int
    pages: int
    matches: int

    @property
    def is_last(self) -> bool:
        return self.page == self.pages


@dataclass(frozen=True)
class Habit:
    """How a server writes its searchsets; all that is left out is as the FHIR specification shows it.

    Links are templates: `base`, `host` and `path` are those of the server, `kind`, `query` and `patient` of the
    search, `page` is the number of the page and `token` something that means nothing. Without `next_link` there is
    one page. `more` is how many calls it may cost beside those that the pages need.
    """

    server: str
    source: str
    self_link: str | None = ASKED
    next_link: str | None = None
    total: Callable[[At], int | None] = lambda at: at.matches
    change: Callable[[Resource], object] = lambda _: None
    answer: Callable[[Asked, Reply], Reply] = lambda _, reply: reply
    others: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    knows_include: bool = True
    has_empty_last_page: bool = False
    more: int = 0


@cache
def charts() -> dict[str, dict[str, list[Resource]]]:
    """The resources of each patient, by type; they refer to each other by type and id."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for vignette in vignettes(CHARTS.values()):
        of_patient = found.setdefault(vignette.patient_id, {})
        relative = re.sub(
            r"https?://[^\"]*/(?=(Patient|Medication|Condition)/)", "", json.dumps(vignette.bundle)
        )
        for entry in json.loads(relative)["entry"]:
            of_patient.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


class Server:
    """Answers by a habit. Pages hold two entries where there are pages."""

    def __init__(self, habit: Habit) -> None:
        self.habit = habit
        self.base = ""
        self._places: dict[str, tuple[str, str, int]] = {}
        self._tokens = count(1)

    def __call__(self, asked: Asked) -> Reply:
        return self.habit.answer(asked, self._answer(asked))

    def is_a_further_page(self, path: str) -> bool:
        return below_base(path) in self._places

    def _answer(self, asked: Asked) -> Reply:
        kind, _, query = self._search_of(asked)
        place = self._places.get(below_base(asked.path))
        if place is not None:
            return self._page(*place)
        if "/" in asked.path.partition("?")[0]:
            return self._read(*asked.path.split("/")[:2])
        if kind == "metadata":
            return Reply({"resourceType": "CapabilityStatement"})
        return self._page(kind, query, 1)

    @staticmethod
    def _search_of(asked: Asked) -> tuple[str, str, str]:
        return asked.path.partition("?")

    @staticmethod
    def _read(kind: str, logical_id: str) -> Reply:
        for chart in charts().values():
            for resource in chart.get(kind, []):
                if resource["id"] == logical_id:
                    return Reply(resource)
        return Reply(outcome("not-found", "error"), 404)

    def _page(self, kind: str, query: str, page: int) -> Reply:
        matches, along = self._find(kind, query)
        size = 2 if self.habit.next_link else max(len(matches), 1)
        pages = -(-len(matches) // size) or 1
        if self.habit.has_empty_last_page and matches:
            pages = len(matches) // size + 1
        shown = matches[(page - 1) * size : page * size]
        bundle: Resource = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": self.habit.total(At(page, pages, len(matches))),
            "link": self._links(kind, query, page, pages),
            "entry": [self._entry(one, "match") for one in shown],
        }
        wanted = json.dumps(shown)
        bundle["entry"] += [self._entry(one, "include") for one in along if one["id"] in wanted]
        bundle = {name: value for name, value in bundle.items() if value not in (None, [])}
        self.habit.change(bundle)
        return Reply(bundle, headers=self.habit.headers)

    def _find(self, kind: str, query: str) -> tuple[list[Resource], list[Resource]]:
        asked = dict(parse_qsl(query))
        if "_id" in asked:
            ids = asked["_id"].split(",")
            return [m for chart in charts().values() for m in chart.get(kind, []) if m["id"] in ids], []
        chart = charts()[asked.get("patient") or asked["subject"].removeprefix("Patient/")]
        along = chart.get("Medication", []) if "_include" in asked and self.habit.knows_include else []
        return chart.get(kind, []), along

    def _entry(self, resource: Resource, mode: str) -> Resource:
        address = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        return {"fullUrl": address, "resource": deepcopy(resource), "search": {"mode": mode}}

    def _links(self, kind: str, query: str, page: int, pages: int) -> list[Resource]:
        links = [] if self.habit.self_link is None else [("self", self.habit.self_link)]
        links += [(other, ASKED) for other in self.habit.others]
        written = [{"relation": name, "url": self._link(link, kind, query, page)} for name, link in links]
        if self.habit.next_link and page < pages:
            written.append({"relation": "next", "url": self._next(kind, query, page + 1)})
        return written

    def _next(self, kind: str, query: str, page: int) -> str:
        assert self.habit.next_link is not None
        link = self._link(self.habit.next_link, kind, query, page)
        self._places[below_base(link.removeprefix(self.base))] = (kind, query, page)
        return link

    def _link(self, template: str, kind: str, query: str, page: int) -> str:
        asked = dict(parse_qsl(query))
        return template.format(
            base=self.base,
            host=self.base.removesuffix("/fhir"),
            path="/fhir",
            kind=kind,
            query=query,
            patient=(asked.get("patient") or asked.get("subject", "")).removeprefix("Patient/"),
            page=page,
            token=f"{next(self._tokens):08d}",
        )


def below_base(path: str) -> str:
    """The path and query below the base address in one spelling."""
    return unquote(path).removeprefix("/fhir").replace("/?", "?").lstrip("/")


def outcome(code: str, severity: str = "warning", **issue: Any) -> Resource:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, **issue}],
    }


def with_outcome(*codes: str, severity: str = "warning") -> Callable[[Resource], None]:
    """Adds an OperationOutcome with these codes to each page."""

    def change(page: Resource) -> None:
        issues = [issue for code in codes for issue in outcome(code, severity)["issue"]]
        resource = {"resourceType": "OperationOutcome", "issue": issues}
        page.setdefault("entry", []).append({"resource": resource, "search": {"mode": "outcome"}})

    return change


def to_each(change: Callable[[Resource], object]) -> Callable[[Resource], None]:
    """Changes each entry of a page."""

    def change_all(page: Resource) -> None:
        for entry in page.get("entry", []):
            change(entry)

    return change_all


def both(
    first: Callable[[Resource], object], second: Callable[[Resource], object]
) -> Callable[[Resource], None]:
    def change(whole: Resource) -> None:
        first(whole)
        second(whole)

    return change


def with_meta(**meta: Any) -> Callable[[Resource], None]:
    return to_each(lambda entry: entry["resource"].update(meta=meta))


def azure_includes(asked: Asked, reply: Reply) -> Reply:
    """More was to be included than this server sends; the matches are whole."""
    if INCLUDE in unquote(asked.path):
        with_outcome("incomplete")(reply.body)
    return reply


def refuses_include(asked: Asked, reply: Reply) -> Reply:
    return Reply(outcome("invalid", "error"), 400) if "_include" in asked.path else reply


def refuses_counts(asked: Asked, reply: Reply) -> Reply:
    return Reply(outcome("invalid", "error"), 400) if "_count" in asked.path else reply


def refuses_other_types(asked: Asked, reply: Reply) -> Reply:
    known = ("Patient", "MedicationRequest", "Medication?", "Medication/", "Observation", "Condition")
    return reply if asked.path.startswith(known) else Reply(outcome("not-supported", "error"), 404)


def zipped(_: Asked, reply: Reply) -> Reply:
    body = gzip.compress(json.dumps(reply.body).encode())
    return Reply(body, reply.status, {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})


def after_a_429(**headers: str) -> Callable[[Asked, Reply], Reply]:
    """Each search of orders is refused once before it is answered."""
    refused: set[str] = set()

    def answer(asked: Asked, reply: Reply) -> Reply:
        if asked.path.startswith("MedicationRequest") and asked.path not in refused:
            refused.add(asked.path)
            return Reply(outcome("throttled", "error"), 429, headers)
        return reply

    return answer


def with_links_of_patient(asked: Asked, reply: Reply) -> Reply:
    if not asked.path.startswith("Patient"):
        return reply
    links = [{"other": {"reference": f"Patient/{kind}"}, "type": kind} for kind in ("replaces", "seealso")]
    return Reply(reply.body | {"link": links})


def no_total(_: At) -> None:
    return None


def with_included(page: Resource) -> None:
    page["total"] = len(page.get("entry", []))


def as_epic(page: Resource) -> None:
    """Each entry has a link of its own; a search without results says so in a warning."""
    for entry in page.get("entry", []):
        entry["link"] = [{"relation": "self", "url": entry["fullUrl"]}]
    if not page.get("entry"):
        with_outcome("processing")(page)
        page["entry"][0]["fullUrl"] = "urn:uuid:21aa4acc-d7e6-4d69-91dc-9bc20dd66219"


def without_mode(entry: Resource) -> None:
    del entry["search"]


def without_address(entry: Resource) -> None:
    del entry["fullUrl"]


def of_a_version(entry: Resource) -> None:
    entry["fullUrl"] += "/_history/3"
    entry["resource"]["meta"] = {"versionId": "3", "lastUpdated": "2026-06-01T08:00:00Z"}


def urn(entry: Resource) -> None:
    entry["fullUrl"] = "urn:uuid:00000000-0000-4000-8000-" + f"{hash(entry['fullUrl']) % 10**12:012d}"


def reversed_entries(page: Resource) -> None:
    page.get("entry", []).reverse()


def with_response(entry: Resource) -> None:
    entry["response"] = {"status": "200 OK", "etag": 'W/"2"'}


def as_openimis(page: Resource) -> None:
    page.setdefault("entry", [])
    for entry in page["entry"]:
        del entry["search"]
        entry["fullUrl"] = entry["fullUrl"].rpartition("/")[0] + entry["resource"]["id"]


def as_openemr(page: Resource) -> None:
    page.update(type="collection", meta={"lastUpdated": "2026-06-01T08:00:00"})
    page.setdefault("entry", [])


def of_a_search_without_type(page: Resource) -> None:
    del page["type"]


def google_total(at: At) -> int:
    return at.matches if at.is_last else at.matches + 40


HAPI_PAGING = "{base}?_getpages={token}&_getpagesoffset={page}&_count=2&_pretty=true&_bundletype=searchset"
HAPI_SOURCE = "https://github.com/hapifhir/hapi-fhir/issues/2165"
AZURE_SOURCE = "https://github.com/microsoft/fhir-server/issues/1631"
CT = "{base}/{kind}?{query}&ct=W3sidG9rZW4iOiIrUklEOn44d0%2bJ{token}%3D%3D"
CERNER_SOURCE = "https://github.com/cerner/fhir.cerner.com (examples of R4 searchsets)"
CERNER = "{base}/{kind}?patient={patient}&-pageContext=T3BlblBsYXRm{token}%3D%3D&-pageDirection=NEXT"
GOOGLE_SOURCE = "https://cloud.google.com/healthcare-api/docs/how-tos/best-practices-fhir-search"
GOOGLE = "{base}/{kind}/?_count=2&_page_token=Cjj3YokQdP%2F{token}&patient%3APatient={patient}"
IBM_SOURCE = "https://github.com/LinuxForHealth/FHIR/issues/2607"
IBM = "{base}/{kind}?_count=2&subject:Patient={patient}&_page={page}"
EPIC = "{base}/{kind}?sessionID=16-{token}F741B911F1BE0E005056BECC4A"
CAPTURED = "https://github.com/mock-health/the-map/blob/main/reports/pagination-2026-05-15.md"
EPIC_CAPTURED = "https://github.com/mock-health/the-map (tests/golden/epic/phase-b-2026-04-26/procedure.json)"
EPIC_SOURCE = "https://github.com/onc-healthit/inferno-program/issues/229"
CANVAS_SOURCE = "https://docs.canvasmedical.com/api/pagination"
OFFSET = "{path}/{kind}?patient={patient}&_count=2&_offset={page}"
SPEC = "https://build.fhir.org/bundle-example.ttl"

HABITS = {
    "HAPI: pages below the base": Habit("HAPI", HAPI_SOURCE, next_link=HAPI_PAGING),
    "HAPI: no total": Habit(
        "HAPI", "https://github.com/hapifhir/hapi-fhir/issues/4554", next_link=HAPI_PAGING, total=no_total
    ),
    "HAPI: an empty last page": Habit(
        "HAPI",
        "https://github.com/hapifhir/hapi-fhir/issues/7711",
        next_link=HAPI_PAGING,
        total=no_total,
        has_empty_last_page=True,
    ),
    "HAPI: the port in its links": Habit(
        "HAPI", "https://github.com/opensrp/fhircore/issues/1714", "{base}/{kind}?{query}", HAPI_PAGING
    ),
    "HAPI: entries with a response": Habit(
        "HAPI", "https://github.com/hapifhir/hapi-fhir/issues/1328", change=to_each(with_response)
    ),
    "HAPI: a total that counts what came along": Habit(
        "HAPI", "https://github.com/hapifhir/hapi-fhir/issues/7153", change=with_included, more=3
    ),
    "HAPI: links from the host on": Habit(
        "HAPI",
        "https://github.com/beda-software/fhir-py/issues/83",
        "{path}/{kind}?{query}",
        "{path}?_getpages={token}",
    ),
    "HAPI: self behind a proxy": Habit(
        "HAPI",
        "https://github.com/hapifhir/hapi-fhir/issues/2885",
        "http://hapi:8080/{kind}?{query}",
        HAPI_PAGING,
    ),
    "HAPI: meta of a stored resource": Habit(
        "HAPI",
        UNVERIFIED,
        change=with_meta(
            versionId="1",
            source="#N3ReKjR75As8Kjhk",
            tag=[{"system": "https://smarthealthit.org/tags", "code": "synthea-5-2019"}],
        ),
    ),
    "Smile CDR: _total in self": Habit(
        "Smile CDR", UNVERIFIED, ASKED + "&_total=accurate&_format=json", HAPI_PAGING
    ),
    "Firely: self with what it added": Habit(
        "Firely",
        UNVERIFIED,
        "{base}/{kind}?{query}&_sort=-_lastUpdated&_skip=0&_total=none",
        "{base}/{kind}?patient=Patient/{patient}&_count=2&_sort=-_lastUpdated&_skip={page}",
        total=no_total,
    ),
    "Firely: a remark about what it ignored": Habit(
        "Firely",
        "https://github.com/FirelyTeam/spark/issues/1267",
        change=with_outcome("not-supported", "processing"),
    ),
    "Azure: continuation tokens": Habit("Azure", AZURE_SOURCE, next_link=CT, total=no_total),
    "Azure: an empty last page": Habit(
        "Azure",
        "https://github.com/microsoft/fhir-server/pull/4847",
        next_link=CT,
        total=no_total,
        has_empty_last_page=True,
    ),
    "Azure: self with _sort and an inner name": Habit(
        "Azure",
        "https://github.com/microsoft/fhir-server/issues/1080",
        "http://fhir-server/{kind}?{query}&_sort=_lastUpdated",
    ),
    "Azure: a warning about a parameter": Habit(
        "Azure", "https://github.com/microsoft/fhir-server/pull/1437", change=with_outcome("not-supported")
    ),
    "Azure: not all that was to come along": Habit(
        "Azure", "https://github.com/microsoft/fhir-server/pull/1167", answer=azure_includes, more=3
    ),
    "Azure: 429 with milliseconds": Habit(
        "Azure", UNVERIFIED, answer=after_a_429(**{"x-ms-retry-after-ms": "20"}), more=3
    ),
    "Google: a total that is estimated up to the last page": Habit(
        "Google", GOOGLE_SOURCE, GOOGLE, GOOGLE, total=google_total
    ),
    "Google: typed parameters": Habit(
        "Google", UNVERIFIED, "{base}/{kind}/?_count=2&patient%3APatient={patient}", GOOGLE
    ),
    "HealthLake: page tokens": Habit(
        "HealthLake",
        UNVERIFIED,
        "{base}/{kind}?patient={patient}&_count=100",
        "{base}/{kind}?_count=2&patient={patient}&page=AAMA-EFRSURBSGhRZ2pZ{token}%2B%2F%3D",
    ),
    "LinuxForHealth: typed parameters, numbered pages": Habit("LinuxForHealth", IBM_SOURCE, IBM, IBM),
    "LinuxForHealth: a next page that is empty": Habit(
        "LinuxForHealth", IBM_SOURCE, IBM, IBM, total=no_total, has_empty_last_page=True
    ),
    "LinuxForHealth: a warning about what it ignored": Habit(
        "LinuxForHealth",
        "https://github.com/LinuxForHealth/FHIR/issues/1952",
        "{base}/{kind}?_count=10&_page=1",
        change=with_outcome("invalid", "not-supported"),
        knows_include=False,
        more=2,
    ),
    "LinuxForHealth: Prefer handling strict, no _include": Habit(
        "LinuxForHealth", UNVERIFIED, IBM, answer=refuses_include, knows_include=False, more=3
    ),
    "Medplum: a cursor, no total": Habit(
        "Medplum",
        "https://github.com/medplum/medplum (packages/server/src/fhir/search.ts)",
        "{base}/{kind}?_count=100&patient=Patient%2F{patient}",
        "{base}/{kind}?_count=2&_cursor=2-2026-06-01T08%3A00%3A00.000Z-{token}&patient=Patient%2F{patient}",
        total=no_total,
    ),
    "Medplum: an offset": Habit(
        "Medplum",
        "https://medplum.com/docs/search/paginated-search",
        next_link="{base}/{kind}?_count=2&_offset={page}&patient=Patient%2F{patient}",
        total=no_total,
    ),
    "Medplum: meta with accounts": Habit(
        "Medplum", UNVERIFIED, change=with_meta(project="p", author={"reference": "system"}, compartment=[])
    ),
    "Aidbox: links from the host on, numbered pages": Habit(
        "Aidbox",
        "https://github.com/beda-software/fhir-py/pull/54",
        "{path}/{kind}?{query}&page=1",
        "{path}/{kind}?patient={patient}&page={page}",
        others=("first", "last"),
    ),
    "Aidbox: an estimated total": Habit(
        "Aidbox",
        UNVERIFIED,
        "{path}/{kind}?{query}&_total=estimate",
        "{path}/{kind}?patient={patient}&_total=estimate&page={page}",
        total=lambda at: at.matches + 7,
    ),
    "Epic: a warning in each searchset": Habit("Epic", EPIC_SOURCE, change=with_outcome("processing")),
    "Epic: a warning in each searchset, informational": Habit(
        "Epic",
        "https://github.com/HealthSamurai (example of a searchset)",
        change=with_outcome("informational"),
    ),
    "Epic: links of entries, a warning where nothing is found": Habit(
        "Epic", EPIC_CAPTURED, "{base}/{kind}?_count=100&patient={patient}", change=as_epic
    ),
    "Epic: pages by session": Habit("Epic", UNVERIFIED, next_link=EPIC, total=no_total),
    "Epic: a total of the page": Habit("Epic", CAPTURED, next_link=EPIC, total=lambda at: min(2, at.matches)),
    "Oracle Health: page contexts, no total, no modes": Habit(
        "Oracle Health",
        CERNER_SOURCE,
        "{base}/{kind}?patient={patient}",
        CERNER,
        total=no_total,
        change=to_each(without_mode),
    ),
    "Oracle Health: other media type": Habit(
        "Oracle Health",
        "https://docs.oracle.com/en/industries/health/health-ai-application-suite/airap/r4_overview.html",
        headers={"Content-Type": "application/json+fhir", "Cache-Control": "no-cache"},
    ),
    "Oracle Health: no Medications along": Habit(
        "Oracle Health",
        UNVERIFIED,
        "{base}/{kind}?patient={patient}",
        answer=refuses_include,
        total=no_total,
        more=3,
    ),
    "OpenEMR: collections": Habit(
        "OpenEMR",
        "https://github.com/openemr/openemr/issues/6885",
        "{base}/{kind}",
        change=as_openemr,
        knows_include=False,
        more=2,
    ),
    "IRIS: query ids": Habit(
        "IRIS",
        UNVERIFIED,
        "{base}/{kind}?patient={patient}&_count=100",
        "{base}/?page={page}&queryId={token}-5f1c",
    ),
    "Spark: self is a snapshot": Habit(
        "Spark",
        "https://github.com/FirelyTeam/spark/issues/44",
        "{base}/_snapshot?id={token}&start=0&_count=20",
        "{base}/_snapshot?id={token}&start={page}&_count=2",
        others=("first", "last"),
    ),
    "Blaze: tokens, pages without self": Habit(
        "Blaze",
        "https://github.com/samply/blaze/issues/4128",
        next_link="{base}/{kind}?patient={patient}&_count=2&__t=113&__page-id={token}",
        others=("first",),
        total=lambda at: at.matches if at.page == 1 else None,
        change=lambda page: page.update(link=page["link"] if "total" in page else page["link"][1:]),
    ),
    "Blaze: pages below __page": Habit(
        "Blaze", UNVERIFIED, next_link="{base}/{kind}/__page/AZABJGABNKAGNNANKZ{token}", total=no_total
    ),
    "openIMIS: addresses without a slash, page-offset": Habit(
        "openIMIS",
        "https://github.com/openimis/openimis-be-api_fhir_r4_py (api_fhir_r4/paginations.py)",
        next_link="{base}/{kind}/?page-offset={page}&patient={patient}",
        change=as_openimis,
        knows_include=False,
        more=2,
    ),
    "Canvas: links from the host on": Habit(
        "Canvas", CANVAS_SOURCE, "{path}/{kind}?_count=10&_offset=0", OFFSET
    ),
    "Canvas: no links of an empty result": Habit(
        "Canvas", CANVAS_SOURCE, change=lambda page: page if "entry" in page else page.pop("link")
    ),
    "Medblocks: as HAPI, percent-encoded": Habit(
        "Medblocks", UNVERIFIED, "{base}/{kind}?patient=Patient%2F{patient}&_count=100", HAPI_PAGING
    ),
    "NextGen: no fullUrl, no modes": Habit(
        "NextGen", UNVERIFIED, change=to_each(both(without_mode, without_address))
    ),
    "athenahealth: the practice in self": Habit(
        "athenahealth",
        "https://github.com/athenahealth/apiserver-athenaFlex/issues/252",
        "{base}/{kind}?ah-practice:Organization=a-1.Practice-195900&patient={patient}",
        "{base}/{kind}?ah-practice=Organization%2Fa-1.Practice-195900&patient={patient}&cursor={token}",
        total=no_total,
    ),
    "athenahealth: links of entries, urn as address": Habit(
        "athenahealth",
        "https://github.com/athenahealth/apiserver-athenaFlex/issues/252",
        change=to_each(lambda entry: entry.update(link=[{"relation": "self", "url": entry["fullUrl"]}])),
    ),
    "Veradigm: application/json with a charset": Habit(
        "Veradigm", UNVERIFIED, headers={"Content-Type": "application/json; charset=utf-8"}
    ),
    "Veradigm: no other types": Habit("Veradigm", UNVERIFIED, answer=refuses_other_types),
    "MEDITECH: continued, a total of the page": Habit(
        "MEDITECH",
        CAPTURED,
        next_link="{base}/{kind}?patient={patient}&continue=LA.{token}-C87D-4F89-B9C3-533FE13040BD",
        total=lambda at: min(2, at.matches - 2 * at.page + 2),
    ),
    "MEDITECH: no links at all": Habit("MEDITECH", UNVERIFIED, None, total=no_total),
    "MEDITECH: no _count": Habit("MEDITECH", UNVERIFIED, answer=refuses_counts, more=14),
    "eClinicalWorks: no type": Habit("eClinicalWorks", UNVERIFIED, change=of_a_search_without_type),
    "any: zipped": Habit("any", UNVERIFIED, answer=zipped),
    "any: Retry-After in seconds": Habit(
        "any", UNVERIFIED, answer=after_a_429(**{"Retry-After": "0"}), more=3
    ),
    "any: addresses of versions": Habit("any", UNVERIFIED, change=to_each(of_a_version)),
    "any: entries in reverse": Habit("any", UNVERIFIED, next_link=OFFSET, change=reversed_entries),
    "any: self in capitals of the host": Habit(
        "any", "https://github.com/beda-software/fhir-py/issues/83", "HTTP://LOCALHOST/FHIR/{kind}?{query}"
    ),
    "any: the patient as an address": Habit(
        "any",
        "https://github.com/hapifhir/hapi-fhir-jpaserver-starter/issues/701",
        "{base}/{kind}?patient={base}/Patient/{patient}&_revinclude=Provenance:target&_format=json",
    ),
    "any: the patient encoded twice": Habit("any", UNVERIFIED, "{base}/{kind}?patient=Patient%252F{patient}"),
    "any: the patient's address with a version": Habit(
        "any", UNVERIFIED, "{base}/{kind}?patient=Patient/{patient}/_history/4"
    ),
    "any: the search as the FHIR specification shows it": Habit(
        "any",
        SPEC,
        "{base}/{kind}?patient={patient}&_include=MedicationRequest.medication&_count=2",
        "{base}/{kind}?patient={patient}&searchId=ff15fd40&page={page}",
    ),
    "any: a patient who replaces another": Habit("any", UNVERIFIED, answer=with_links_of_patient),
    "any: security labels": Habit(
        "any",
        UNVERIFIED,
        change=with_meta(
            security=[
                {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}
                for code in "NR"
            ],
            tag=[{"system": "http://terminology.hl7.org/CodeSystem/common-tags", "code": "actionable"}],
        ),
    ),
}


def request_to(fhir: StubServer, patient_id: str) -> Resource:
    return hook_request(
        prefetch=None,
        context={"userId": "Practitioner/1", "patientId": patient_id},
        fhirServer=fhir.base_url,
        fhirAuthorization=authorization("token"),
    )


def assessment(reply: requests.Response) -> Resource:
    assert reply.status_code == 200, reply.text
    body = reply.json()
    holders = [body, *body["cards"]]
    return next(one["extension"][NAME] for one in holders if NAME in one.get("extension", {}))


Read = dict[str, tuple[Any, Any]]


def asked_of(serve: Serve, habit: Habit) -> tuple[Read, int]:
    """Verdict and gaps of each chart, and how many calls were made besides those for further pages."""
    SERVERS.forget()
    server, read = Server(habit), {}
    with StubServer(server) as fhir:
        server.base = fhir.base_url
        service: RunningService = serve(fhir_servers=(fhir.base_url,), fetch_seconds=3)
        for patient_id in charts():
            found = assessment(service.post(request_to(fhir, patient_id)))
            read[patient_id] = (found["verdict"], found.get("unread"))
        first = [path for path in fhir.paths if path != "metadata" and not server.is_a_further_page(path)]
    return read, len(first)


PLAIN = Habit("none", SPEC)


def refusal_of(serve: Serve, habit: Habit) -> str:
    """What the service says of a server of which it cannot have the first chart."""
    SERVERS.forget()
    server = Server(habit)
    with StubServer(server) as fhir:
        server.base = fhir.base_url
        service: RunningService = serve(fhir_servers=(fhir.base_url,), fetch_seconds=3)
        reply = service.post(request_to(fhir, next(iter(charts()))))
    assert reply.status_code == 412, reply.text
    return reply.text


def test_the_charts_have_the_verdicts_that_they_are_chosen_for(serve: Serve) -> None:
    read, _ = asked_of(serve, PLAIN)
    assert sorted(verdict for verdict, _ in read.values()) == sorted(CHARTS)


@pytest.fixture(scope="module")
def plain() -> tuple[Read, int]:
    """What a server without habits comes to."""
    with ExitStack() as stack:
        return asked_of(lambda **settings: stack.enter_context(running(Settings(**settings))), PLAIN)


@pytest.mark.parametrize("name", HABITS)
def test_a_habit_costs_no_verdict_and_few_calls(serve: Serve, plain: tuple[Read, int], name: str) -> None:
    expected, calls = plain
    read, made = asked_of(serve, HABITS[name])
    assert read == expected
    assert made <= calls + HABITS[name].more


def without_last(page: Resource) -> None:
    page.get("entry", [])[1:] = []


def of_another_patient(name: str) -> Habit:
    return Habit("any", SPEC, "{base}/{kind}?" + name)


# What such habits could be mistaken for.
NOT_WHOLE = {
    "a last total that is not what came": (
        Habit("any", SPEC, next_link=OFFSET, total=lambda at: at.matches + (1 if at.is_last else 40)),
        "entries of",
    ),
    "one page with a total that is not what came": (
        Habit("any", SPEC, total=lambda at: at.matches, change=without_last),
        "entries of",
    ),
    "a collection that lacks entries": (
        Habit("any", SPEC, change=both(as_openemr, without_last)),
        "entries of",
    ),
    "a collection without a total": (
        Habit("any", SPEC, total=no_total, change=as_openemr),
        "no searchset",
    ),
    "a history with a total": (
        Habit("any", SPEC, change=lambda page: page.update(type="history")),
        "no searchset",
    ),
    "another patient, encoded twice": (of_another_patient("patient=Patient%252Fother"), "another patient"),
    "another patient, with a version": (
        of_another_patient("patient=Patient/other/_history/4"),
        "another patient",
    ),
}


@pytest.mark.parametrize("name", NOT_WHOLE)
def test_what_looks_like_such_a_habit_is_refused_all_the_same(serve: Serve, name: str) -> None:
    habit, why = NOT_WHOLE[name]
    assert why in refusal_of(serve, habit)


def test_orders_that_may_lack_by_themselves_are_a_gap(serve: Serve) -> None:
    def answer(asked: Asked, reply: Reply) -> Reply:
        if asked.path.startswith("MedicationRequest"):
            with_outcome("incomplete")(reply.body)
        return reply

    read, _ = asked_of(serve, Habit("Azure", UNVERIFIED, answer=answer))
    assert all("may not have sent all" in str(unread) for _, unread in read.values())


def test_kinds_that_are_not_shown_are_a_gap_and_no_reason_to_ask_twice(
    serve: Serve, plain: tuple[Read, int]
) -> None:
    """Epic's servers say so of outside records, with each search."""

    def answer(asked: Asked, reply: Reply) -> Reply:
        if asked.path.startswith(("MedicationRequest", "Condition", "Procedure")):
            with_outcome("suppressed")(reply.body)
        return reply

    read, calls = asked_of(serve, Habit("Epic", EPIC_CAPTURED, answer=answer))
    assert all("(suppressed)" in str(unread) for _, unread in read.values())
    assert calls == plain[1]


EPIC_MESSAGES = "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369"


def not_authorized(kind: str, code: str = "59204", system: str = EPIC_MESSAGES) -> dict[str, Any]:
    details = {"coding": [{"system": system, "code": code}]}
    diagnostics = f"Client not authorized for {kind}. Search results of this type have not been included."
    return outcome("suppressed", "warning")["issue"][0] | {"details": details, "diagnostics": diagnostics}


def saying(issue: dict[str, Any]) -> Habit:
    resource = {"resourceType": "OperationOutcome", "issue": [issue]}

    def answer(asked: Asked, reply: Reply) -> Reply:
        if asked.path.startswith(("MedicationRequest", "Condition")):
            reply.body.setdefault("entry", []).append({"resource": resource, "search": {"mode": "outcome"}})
        return reply

    return Habit("Epic", EPIC_CAPTURED, answer=answer)


@pytest.mark.parametrize(
    "kind", ["MedicationRequest - Outside Record", "Condition - Outside Record Problems"]
)
def test_records_of_other_organisations_that_are_not_shown_are_told_and_decide_nothing(
    serve: Serve, plain: tuple[Read, int], kind: str
) -> None:
    read, _ = asked_of(serve, saying(not_authorized(kind)))
    assert {name: verdict for name, (verdict, _) in read.items()} == {
        name: verdict for name, (verdict, _) in plain[0].items()
    }
    assert all("records of other organisations" in str(unread) for _, unread in read.values())


@pytest.mark.parametrize(
    "issue",
    [
        not_authorized("MedicationRequest - Signed Medication Order"),
        not_authorized("MedicationRequest - Outside Record", code="4119"),
        not_authorized("MedicationRequest - Outside Record", system="urn:oid:1.2.3"),
        not_authorized("MedicationRequest - Outside Record") | {"code": "incomplete"},
        not_authorized("MedicationRequest - Outside Record") | {"diagnostics": None},
        not_authorized("MedicationRequest - Inpatient, and not only Outside Record"),
    ],
    ids=["the chart's own", "another code", "another system", "incomplete", "nothing said", "both"],
)
def test_what_may_be_the_charts_own_is_a_gap(serve: Serve, issue: dict[str, Any]) -> None:
    read, _ = asked_of(serve, saying(issue))
    assert all("may not have sent all" in str(unread) for _, unread in read.values())
