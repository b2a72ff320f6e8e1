"""The embedded server with the manners of real ones: what they refuse, leave out, rename and add.

Each `Profile` is what was read of a kind of server, not that server: `source` says where. `ProfiledServer` serves
any bundle so, written as such a server would store it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Flask, Response, current_app, request
from werkzeug.datastructures import ImmutableMultiDict

from fhir_fixtures.loading import transaction_of
from fhir_fixtures.other_versions import as_r5, as_stu3
from fhir_fixtures.refusals import Refused, operation_outcome
from fhir_fixtures.search import parameters_of
from fhir_fixtures.server import BASE_PATH, CONTROL, EmbeddedServer

Resource = dict[str, Any]
Query = list[tuple[str, str]]
Rewrite = Callable[[list[Resource]], list[Resource]]

CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"


@dataclass(frozen=True)
class Profile:
    """How one kind of server behaves. `source` says where that was read.

    `wants_one_of` names, by type, the parameters without one of which a search is refused; `knows` those that a
    type knows where it knows fewer than the embedded server; `rewrite` turns the resources of one patient into
    those that this server would hold.
    """

    name: str
    source: str
    fhir_version: str = "4.0.1"
    page_size: int = 20
    largest_page: int = 200
    shows_total: bool = True
    ignores_unknown: bool = False
    has_include: bool = True
    has_outcomes: bool = False
    ids_a_search: int | None = None
    pages_by_context: bool = False
    refuses_numeric_ids: bool = False
    lacks: frozenset[str] = frozenset()
    wants_one_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    knows: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rewrite: Rewrite = lambda resources: resources


class ProfiledServer(EmbeddedServer):
    """An embedded server that behaves as `profile` says. So many further pages as `pages_to_expire` are gone."""

    def __init__(self, profile: Profile, *, delay_seconds: float = 0) -> None:
        super().__init__(
            page_size=profile.page_size, largest_page=profile.largest_page, delay_seconds=delay_seconds
        )
        self.profile = profile
        self.pages_to_expire = 0
        self._lock = threading.Lock()

    def create_app(self) -> Flask:
        app = super().create_app()
        app.before_request(self._meet)
        app.after_request(self._dress)
        return app

    def load(self, bundle: Resource) -> int:
        resources = [entry["resource"] for entry in transaction_of(bundle)["entry"]]
        entries = [{"resource": resource} for resource in self.profile.rewrite(resources)]
        return super().load({"resourceType": "Bundle", "type": "collection", "entry": entries})

    # --- what comes in --------------------------------------------------------------------------------

    def _meet(self) -> Any:
        path = request.path.removeprefix(BASE_PATH).strip("/")
        type, _, rest = path.partition("/")
        if request.method == "PUT":
            self._meet_update(rest)
        if self.profile.pages_by_context and "-pageContext" in request.args:
            return self._page_by_context(request.args["-pageContext"])
        if "_getpages" in request.args:
            self._meet_page()
        elif type and type != "metadata" and request.method in ("GET", "POST"):
            self._meet_search(type, rest)
        return None

    def _meet_update(self, id: str) -> None:
        if self.profile.refuses_numeric_ids and id.isdigit():
            raise Refused(
                400, "processing", "HAPI-0960: clients may only assign IDs with a non-numeric character"
            )

    def _meet_page(self) -> None:
        with self._lock:
            is_gone = self.pages_to_expire > 0
            self.pages_to_expire -= is_gone
        if is_gone:
            raise Refused(410, "processing", "HAPI-0417: Search ID does not exist and may have expired")

    def _page_by_context(self, context: str) -> Any:
        self._meet_page()
        id, offset = context.rsplit(".", 1)
        request.args = ImmutableMultiDict({"_getpages": id, "_getpagesoffset": offset})
        return current_app.view_functions["page GET /"]()

    def _meet_search(self, type: str, rest: str) -> None:
        if type in self.profile.lacks:
            raise Refused(404, "not-supported", f"{type} is not known here")
        if rest not in ("", "_search"):
            return
        query = parse_qsl(request.query_string.decode("utf-8", "replace"), keep_blank_values=True)
        form = list(request.form.items(multi=True)) if request.method == "POST" else []
        if rest == "" and request.method == "POST":
            return
        self._judge(type, query + form)
        request.query_string = urlencode(self._known(type, query)).encode()

    def _judge(self, type: str, query: Query) -> None:
        names = {name.partition(":")[0] for name, _ in query}
        wanted = self.profile.wants_one_of.get(type, ())
        if wanted and not names & {*wanted, "_id"}:
            raise Refused(400, "required", f"Must have either {' or '.join(wanted)}.")
        unknown = names - set(CONTROL) - self.profile.knows.get(type, frozenset(parameters_of(type)))
        if unknown and not self.profile.ignores_unknown:
            raise Refused(400, "not-supported", f"Unknown search parameter for {type}")
        for name, value in query:
            if name == "_id" and self.profile.ids_a_search and value.count(",") >= self.profile.ids_a_search:
                raise Refused(400, "too-costly", "Too many ids")

    def _known(self, type: str, query: Query) -> Query:
        known = {*CONTROL, *self.profile.knows.get(type, frozenset(parameters_of(type)))}
        if not self.profile.has_include:
            known -= {"_include"}
        return [pair for pair in query if pair[0].partition(":")[0] in known]

    # --- what goes out --------------------------------------------------------------------------------

    def _dress(self, response: Response) -> Response:
        body = response.get_json(silent=True) if response.status_code == 200 else None
        if isinstance(body, dict) and body.get("resourceType") == "CapabilityStatement":
            response.set_data(json.dumps(self._own_statement(body)))
        if isinstance(body, dict) and body.get("type") == "searchset":
            response.set_data(json.dumps(self._own_page(body)))
        return response

    def _own_statement(self, statement: Resource) -> Resource:
        (rest,) = statement["rest"]
        resources = [one for one in rest["resource"] if one["type"] not in self.profile.lacks]
        if not self.profile.has_include:
            resources = [{k: v for k, v in one.items() if k != "searchInclude"} for one in resources]
        own = {"fhirVersion": self.profile.fhir_version, "rest": [rest | {"resource": resources}]}
        return statement | own

    def _own_page(self, page: Resource) -> Resource:
        if not self.profile.shows_total:
            page.pop("total", None)
        if self.profile.has_outcomes:
            outcome = operation_outcome("informational", "It may not be the whole record", "warning")
            entry = {"resource": outcome, "search": {"mode": "outcome"}}
            page["entry"] = [*page.get("entry", []), entry]
        if self.profile.pages_by_context:
            page["link"] = [_by_context(link) for link in page["link"]]
        return page


def _by_context(link: Resource) -> Resource:
    """The link with an opaque context in place of the numbers that HAPI shows."""
    base, _, query = link["url"].partition("?")
    given = dict(parse_qsl(query))
    if link["relation"] != "next":
        return link
    context = f"{given['_getpages']}.{given['_getpagesoffset']}"
    return link | {"url": f"{base}?{urlencode({'-pageContext': context, '-pageDirection': 'NEXT'})}"}


# --- how they store a chart -----------------------------------------------------------------------------


def with_medications_apart(resources: list[Resource]) -> list[Resource]:
    """Every order refers to a Medication of its own, and every diagnosis has a category."""
    rewritten = [one for resource in resources for one in _apart(resource)]
    return [_with_category(resource) for resource in rewritten]


def _apart(resource: Resource) -> list[Resource]:
    if resource["resourceType"] != "MedicationRequest":
        return [resource]
    order = dict(resource)
    id = f"{order['id']}.drug"[-64:]
    if "medicationCodeableConcept" in order:
        medication = {"code": order.pop("medicationCodeableConcept")}
    elif order.get("medicationReference", {}).get("reference", "").startswith("#"):
        wanted = order["medicationReference"]["reference"].removeprefix("#")
        (medication,) = (one for one in order["contained"] if one["id"] == wanted)
        order["contained"] = [one for one in order["contained"] if one is not medication]
    else:
        return [resource]
    if not order.get("contained"):
        order.pop("contained", None)
    order["medicationReference"] = {"reference": f"Medication/{id}"}
    return [order, {**medication, "resourceType": "Medication", "id": id}]


def _with_category(resource: Resource) -> Resource:
    if resource["resourceType"] != "Condition" or resource.get("category"):
        return resource
    coding = {"system": CONDITION_CATEGORY, "code": "problem-list-item"}
    return resource | {"category": [{"coding": [coding]}]}


def with_medications_contained(resources: list[Resource]) -> list[Resource]:
    """Every order that refers to a Medication holds it."""
    held = {one["id"]: one for one in resources if one["resourceType"] == "Medication"}
    return [_holding(one, held) for one in resources if one["resourceType"] != "Medication"]


def _holding(resource: Resource, held: Mapping[str, Resource]) -> Resource:
    if resource["resourceType"] != "MedicationRequest":
        return resource
    reference = resource.get("medicationReference", {}).get("reference", "")
    medication = held.get(reference.removeprefix("Medication/"))
    if medication is None:
        return resource
    inner = {name: value for name, value in medication.items() if name != "meta"} | {"id": "drug"}
    contained = [*resource.get("contained", []), inner]
    return resource | {"contained": contained, "medicationReference": {"reference": "#drug"}}


def _each(rewrite: Callable[[Resource], Resource]) -> Rewrite:
    return lambda resources: [rewrite(resource) for resource in resources]


# --- the servers ----------------------------------------------------------------------------------------

HAPI = Profile(
    name="HAPI",
    source="HAPI FHIR JPA: messages HAPI-0417 (pages gone, github.com/ohs-foundation/fhir-data-pipes issue 845) and "
    "HAPI-0960 (numeric ids), its documentation of paging; total left out where it was not counted",
    shows_total=False,
    has_outcomes=True,
    refuses_numeric_ids=True,
)
LENIENT = Profile(
    name="lenient",
    source="FHIR R4 search: a server may ignore parameters it does not know (handling=lenient); "
    "github.com/LinuxForHealth/FHIR issue 1952: includes that it does not know are dropped in silence",
    ignores_unknown=True,
    has_include=False,
)
EPIC_LIKE = Profile(
    name="Epic-like",
    source="github.com/jwilleke/yourphr issue 754: 'Must have either code or category.', issue code required; clients "
    "of Epic's sandbox: 'Only an _ID search is allowed' for Medication, no MedicationStatement; a warning in each "
    "searchset: github.com/onc-healthit/inferno-program issue 229; the category for Condition: US Core",
    page_size=50,
    has_include=False,
    has_outcomes=True,
    ids_a_search=1,
    lacks=frozenset({"MedicationStatement", "MedicationAdministration"}),
    wants_one_of={
        "Observation": ("code", "category"),
        "Condition": ("category",),
        "Medication": ("_id",),
    },
    knows={
        "MedicationRequest": frozenset({"patient", "subject", "status", "intent", "category", "_id"}),
    },
    rewrite=with_medications_apart,
)
ORACLE_LIKE = Profile(
    name="Oracle-Health-like",
    source="github.com/cerner/fhir.cerner.com, Millennium R4 MedicationRequest: patient, status, intent, "
    "-timing-boundsPeriod, _lastUpdated, contained medications; next links with -pageContext and -pageDirection; "
    "a page of 2 at most here, so that paging is met",
    page_size=2,
    largest_page=2,
    shows_total=False,
    has_include=False,
    pages_by_context=True,
    lacks=frozenset({"MedicationStatement"}),
    knows={
        "MedicationRequest": frozenset(
            {"patient", "status", "intent", "-timing-boundsPeriod", "_lastUpdated", "_id"}
        )
    },
    rewrite=with_medications_contained,
)
US_CORE_MINIMUM = Profile(
    name="US Core minimum",
    source="US Core 6.1: MedicationRequest by patient and intent, Observation and Condition by patient and category "
    "are what a server shall have; by patient alone it need not",
    wants_one_of={
        "MedicationRequest": ("intent",),
        "Observation": ("code", "category"),
        "Condition": ("category",),
    },
    rewrite=_each(_with_category),
)
R5 = Profile(
    name="R5",
    source="FHIR R5: MedicationRequest.medication is a CodeableReference",
    fhir_version="5.0.0",
    rewrite=_each(as_r5),
)
STU3 = Profile(
    name="STU3",
    source="FHIR STU3: no ServiceRequest; statuses of Condition are codes; doses lie in the dosage itself",
    fhir_version="3.0.2",
    lacks=frozenset({"ServiceRequest"}),
    rewrite=_each(as_stu3),
)
PROFILES = (HAPI, LENIENT, EPIC_LIKE, ORACLE_LIKE, US_CORE_MINIMUM, R5, STU3)
