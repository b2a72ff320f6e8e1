"""A small CDS Hooks service that keeps every rule, unless a fault is planted in it.

Three services count results and orders of a patient, from the prefetch or from one allowed FHIR server. Each
fault is a name of FAULTS with the rules that a checker must find broken, and no others.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.conform.door import Door

VIEW, SELECT, START = "sample-patient-view", "sample-order-select", "sample-encounter-start"
HOOKS = {VIEW: "patient-view", SELECT: "order-select", START: "encounter-start"}
TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    "observations": "Observation?patient={{context.patientId}}",
    "medications": "MedicationRequest?patient={{context.patientId}}",
}
TYPES = {"patient": "Patient", "observations": "Observation", "medications": "MedicationRequest"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ALWAYS_THE_SAME = "0b5e4b2c-6f0e-4a59-9f1c-8d7c0b0a1f11"


class Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


# --- the faults -------------------------------------------------------------------------------------------

FAULTS_OF_DISCOVERY = {
    "an entry without description": {"CH-106"},
    "an entry without title": {"CH-110"},
    "an id with a space": {"CH-108"},
    "an entry twice": {"CH-109"},
    "an unknown member of an entry": {"CH-006"},
    "a version under 2.0.1": {"CH-V01"},
    "a hookVersion": {"CH-V02"},
    "a deprecated hook": {"CH-H09"},
    "a hook of its own without a domain": {"CH-H24"},
    "HTML in a description": {"CH-V03"},
    "discovery answers a POST": {"CH-113"},
    "a list that changes": {"CH-308"},
}
FAULTS_OF_TEMPLATES = {
    "a token without context": ("Condition?patient={{patientId}}", {"CH-303"}),
    "a FHIRPath token": ("Condition?recorded-date=ge{{today() - 90 days}}", {"CH-303"}),
    "a type before userId": ("Practitioner/{{context.userId}}", {"CH-305"}),
    "a token that the hook does not have": ("Condition/{{context.draftOrders}}", {"CH-304"}),
    "an absolute template": ("/Condition?patient={{context.patientId}}", {"CH-301"}),
    "single braces": ("Condition?patient={context.patientId}", {"CH-302"}),
    "an _include": (
        "Condition?patient={{context.patientId}}&_include=Condition:asserter",
        {"CH-306"},
    ),
    "a sort order of the examples": (
        "Condition?patient={{context.patientId}}&_sort:desc=date",
        {"CH-306", "CH-307"},
    ),
    "_maxresults": ("Condition?patient={{context.patientId}}&_maxresults=1", {"CH-V07"}),
}
FAULTS_OF_CARDS = {
    "a summary of 140 characters": {"CH-505"},
    "Markdown in the summary": {"CH-505"},
    "a summary of two lines": {"CH-505"},
    "HTML in the detail": {"CH-513", "CH-V03"},
    "a detail that is null": {"CH-003", "CH-005"},
    "links that are empty": {"CH-004", "CH-005"},
    "no source": {"CH-507"},
    "a source without label": {"CH-508"},
    "a relative source url": {"CH-509"},
    "a relative icon": {"CH-510"},
    "a topic that is an array": {"CH-511"},
    "a coding with userSelected": {"CH-518"},
    "an indicator of before 1.0": {"CH-506"},
    "an unknown member of a card": {"CH-006"},
    "the uuid of another card": {"CH-512"},
    "a uuid that is always the same": {"CH-512"},
    "a suggestion uuid that is always the same": {"CH-602"},
    "a uuid that is none": {"CH-512"},
    "suggestions without selectionBehavior": {"CH-515"},
    "selectionBehavior without suggestions": {"CH-515"},
    "two recommended of which one may be chosen": {"CH-603"},
    "isRecommended as a text": {"CH-603"},
    "actionSelectionBehavior": {"CH-V04"},
    "an override reason without display": {"CH-516"},
    "a suggestion without label": {"CH-601"},
    "actions that are no array": {"CH-604"},
    "an action of another type": {"CH-606"},
    "an action without description": {"CH-607"},
    "a create action without resource": {"CH-608"},
    "a create action about somebody else": {"CH-608"},
    "a create action with an invalid resource": {"CH-008"},
    "an update action without id": {"CH-609"},
    "a delete action with a resource": {"CH-610"},
    "a link without label": {"CH-611"},
    "a relative link": {"CH-612"},
    "a link with the patient's id": {"CH-612"},
    "a link without type": {"CH-613"},
    "a smart link with launch": {"CH-614"},
    "an appContext that is an object": {"CH-615"},
    "an appContext of an absolute link": {"CH-615"},
    "autolaunchable as a text": {"CH-616"},
    "an extension that is an array": {"CH-901"},
    "an extension with a short name": {"CH-902"},
    "suggestions that are no array": {"CH-514"},
    "links that are no array": {"CH-517"},
}
FAULTS_OF_CALLS = {
    "text/html": {"CH-001"},
    "systemActions that are no array": {"CH-503"},
    "500 without prefetch": {"CH-208"},
    "200 without data": {"CH-312", "CH-313"},
    "an OperationOutcome is no data": {"CH-312"},
    "500 for values of a wrong shape": {"CH-320"},
    "null is not prefetched": {"CH-311"},
    "a key that is missing is empty": {"CH-310", "CH-315"},
    "records of others count": {"CH-318"},
    "500 for malformed JSON": {"CH-209"},
    "GET is answered": {"CH-201"},
    "an unknown id is answered": {"CH-201"},
    "unknown members are refused": {"CH-007"},
    "unknown extensions are refused": {"CH-007", "CH-903"},
    "further prefetch keys are refused": {"CH-207"},
    "cards for any hook": {"CH-202"},
    "hookInstance is not needed": {"CH-203"},
    "500 without a context": {"CH-204"},
    "a patient's id in an error": {"CH-504"},
    "a Bundle needs a type": {"CH-H22", "CH-W02"},
    "a drug has to be chosen": {"CH-W01"},
    "only practitioners are served": {"CH-H26"},
}
FAULTS_OF_ACCESS = {
    "an unlisted server is called with the token": {"CH-408"},
    "an unlisted server is called without authorization": {"CH-401"},
    "further pages are read without the token": {"CH-404"},
    "a next link elsewhere is followed": {"CH-317"},
    "a page is the whole": {"CH-316"},
    "further pages are not read": {"CH-410"},
    "requests beyond the scope": {"CH-406"},
    "a second try without the token": {"CH-407"},
    "something is written": {"CH-409"},
    "the token is echoed": {"CH-405"},
    "an expired token is used": {"CH-402"},
    "a half authorization is taken": {"CH-402"},
    "a token for somebody else is used": {"CH-403"},
    "an authorization without server is taken": {"CH-205"},
    "500 for an authorization that is no object": {"CH-206"},
    "scopes of SMART 2 are not understood": {"CH-V10"},
}
FAULTS_OF_FEEDBACK = {
    "a bare array of feedback is taken": {"CH-702"},
    "an outcome is not needed": {"CH-703"},
    "acceptedSuggestions are not needed": {"CH-704"},
    "an empty overrideReason is taken": {"CH-705"},
    "fractions of seconds are refused": {"CH-706", "CH-W06"},
    "the same feedback twice is refused": {"CH-707"},
    "feedback on unknown cards is refused": {"CH-709"},
}
FAULTS_OF_CORS = {
    "no CORS on errors": {"CH-817"},
    "preflights are refused": {"CH-817"},
}
FAULTS: dict[str, set[str]] = {
    **FAULTS_OF_DISCOVERY,
    **{name: rules for name, (_, rules) in FAULTS_OF_TEMPLATES.items()},
    **FAULTS_OF_CARDS,
    **FAULTS_OF_CALLS,
    **FAULTS_OF_ACCESS,
    **FAULTS_OF_FEEDBACK,
    **FAULTS_OF_CORS,
}


# --- the service ------------------------------------------------------------------------------------------


@contextmanager
def running_sample(*faults: str, fhir_server: str = "", door: Door | None = None) -> Iterator[str]:
    """The base address of a sample service with these faults, which may call this FHIR server."""
    sample = Sample(frozenset(faults), fhir_server)
    app = sample_app(sample, door)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    base_url = f"http://127.0.0.1:{server.server_port}"
    if door is not None:
        door.base_url = base_url
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield base_url
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        pass


def sample_app(sample: Sample, door: Door | None) -> Flask:
    app = Flask("sample", static_folder=None)

    def guard() -> Response | None:
        if request.method == "OPTIONS":
            return None
        return door.check(request) if door else None

    @app.route("/cds-services", methods=["GET", "POST", "OPTIONS"])
    def discover() -> Response:
        if request.method == "OPTIONS":
            return sample.preflight()
        if refused := guard():
            return refused
        if request.method == "POST" and not sample.has("discovery answers a POST"):
            return sample.reply({"error": "GET only"}, 405)
        return sample.reply(sample.discovery())

    @app.route("/cds-services/<id>", methods=["GET", "POST", "OPTIONS"])
    def call(id: str) -> Response:
        if request.method == "OPTIONS":
            return sample.preflight()
        early = door is not None and "the body is read first" in door.faults
        if early and not sample.is_json(request.get_data()):
            return sample.reply({"error": "JSON"}, 400)
        if refused := guard():
            return refused
        return sample.answer(lambda: sample.call(id, request.method, request.get_data()))

    @app.route("/cds-services/<id>/feedback", methods=["POST", "OPTIONS"])
    def feedback(**_: str) -> Response:
        if request.method == "OPTIONS":
            return sample.preflight()
        if not (door and "feedback is open" in door.faults) and (refused := guard()):
            return refused
        return sample.answer(lambda: sample.feedback(request.get_data()))

    return app


@dataclass
class Sample:
    """What the sample service answers; every method looks at the faults that concern it."""

    faults: frozenset[str]
    fhir_server: str
    shown: set[str] = field(default_factory=set)
    reported: list[bytes] = field(default_factory=list)
    asked: int = 0

    def has(self, fault: str) -> bool:
        assert fault in FAULTS, fault
        return fault in self.faults

    # --- bodies -------------------------------------------------------------------------------------------

    def reply(self, body: Any, status: int = 200, kind: str = "application/json") -> Response:
        response = Response(json.dumps(body), status, content_type=kind)
        if status < 400 or not self.has("no CORS on errors"):
            response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def preflight(self) -> Response:
        response = Response(status=405 if self.has("preflights are refused") else 204)
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Headers"] = "authorization, content-type"
        return response

    def answer(self, make: Any) -> Response:
        try:
            return self.reply(*make())
        except Refusal as refusal:
            return self.reply({"error": str(refusal)}, refusal.status)
        except Crash:
            return self.reply({"error": "crash"}, 500)

    @staticmethod
    def is_json(content: bytes) -> bool:
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            return False
        return True

    # --- discovery ----------------------------------------------------------------------------------------

    def discovery(self) -> dict[str, Any]:
        self.asked += 1
        entries = [self.entry(id, hook) for id, hook in HOOKS.items()]
        for name, (template, _) in FAULTS_OF_TEMPLATES.items():
            if self.has(name):
                entries[0]["prefetch"]["".join(filter(str.isalnum, name))] = template
        self.spoil_entries(entries)
        return {"services": entries}

    def entry(self, id: str, hook: str) -> dict[str, Any]:
        return {
            "hook": hook,
            "title": f"Sample for {hook}",
            "description": "Counts what is on record.",
            "id": id,
            "prefetch": dict(TEMPLATES),
            "usageRequirements": "Needs the prefetch or a FHIR server.",
        }

    def spoil_entries(self, entries: list[dict[str, Any]]) -> None:
        first = entries[0]
        if self.has("an entry without description"):
            del first["description"]
        if self.has("an entry without title"):
            del first["title"]
        if self.has("an unknown member of an entry"):
            first["unheardOf"] = "x"
        if self.has("a version under 2.0.1"):
            first["version"] = "STU2"
        if self.has("a hookVersion"):
            first["hookVersion"] = "1.0"
        if self.has("HTML in a description"):
            entries[1]["description"] = "Counts <b>everything</b>."
        if self.has("an entry twice"):
            entries.append(dict(entries[2]))
        if self.has("an id with a space"):
            entries.append(self.entry("sample extra", "patient-view"))
        if self.has("a deprecated hook"):
            entries.append(self.entry("sample-review", "order-review"))
        if self.has("a hook of its own without a domain"):
            entries.append(self.entry("sample-own", "chart-closed"))
        if self.has("a list that changes"):
            entries[2]["prefetch"][f"key{self.asked}"] = "Condition?patient={{context.patientId}}"

    # --- one call -----------------------------------------------------------------------------------------

    def call(self, id: str, method: str, content: bytes) -> tuple[Any, ...]:
        if id not in (*HOOKS, "sample extra", "sample-review", "sample-own"):
            if self.has("an unknown id is answered"):
                return {"cards": []}, 200
            raise Refusal(404, "no such service")
        if method == "GET":
            return ({"cards": []}, 200) if self.has("GET is answered") else ({"error": "POST"}, 405)
        body = self.parse(content)
        call = Call(self, id, HOOKS.get(id, "patient-view"), body)
        call.check()
        reply = {"cards": call.cards()}
        if self.has("systemActions that are no array") and reply["cards"]:
            reply["systemActions"] = {"type": "delete"}  # type: ignore[assignment]
        self.shown |= {str(card.get("uuid")) for card in reply["cards"]}
        kind = "text/html" if self.has("text/html") and id == START else "application/json"
        return reply, 200, kind

    def parse(self, content: bytes) -> dict[str, Any]:
        if not self.is_json(content):
            if self.has("500 for malformed JSON"):
                raise Crash
            raise Refusal(400, "expected JSON")
        body = json.loads(content)
        if not isinstance(body, dict):
            raise Refusal(400, "expected an object")
        return body

    # --- feedback -----------------------------------------------------------------------------------------

    def feedback(self, content: bytes) -> tuple[Any, int]:
        if not self.is_json(content):
            raise Refusal(400, "expected JSON")
        body = json.loads(content)
        if isinstance(body, list) and self.has("a bare array of feedback is taken"):
            return {"taken": len(body)}, 200
        if not isinstance(body, dict) or not isinstance(body.get("feedback"), list):
            raise Refusal(400, "expected feedback")
        for entry in body["feedback"]:
            self.check_feedback(entry)
        if self.has("the same feedback twice is refused") and content in self.reported:
            raise Refusal(409, "known already")
        self.reported.append(content)
        return {"taken": len(body["feedback"])}, 200

    def check_feedback(self, entry: dict[str, Any]) -> None:
        outcome, moment = entry.get("outcome"), str(entry.get("outcomeTimestamp"))
        if outcome not in ("accepted", "overridden") and not self.has("an outcome is not needed"):
            raise Refusal(400, "expected an outcome")
        if "card" not in entry or not _MOMENT.fullmatch(moment):
            raise Refusal(400, "expected card and outcomeTimestamp")
        if "." in moment and self.has("fractions of seconds are refused"):
            raise Refusal(400, "expected whole seconds")
        lacks_any = outcome == "accepted" and not entry.get("acceptedSuggestions")
        if lacks_any and not self.has("acceptedSuggestions are not needed"):
            raise Refusal(400, "expected acceptedSuggestions")
        if entry.get("overrideReason") == {} and not self.has("an empty overrideReason is taken"):
            raise Refusal(400, "expected a reason or a comment")
        if entry["card"] not in self.shown and self.has("feedback on unknown cards is refused"):
            raise Refusal(422, "no such card")


class Crash(Exception):
    """What a careless service would turn into a 500."""


# --- one call of a hook -----------------------------------------------------------------------------------

REQUIRED = {
    "patient-view": ("userId", "patientId"),
    "order-select": ("userId", "patientId", "selections", "draftOrders"),
    "encounter-start": ("userId", "patientId", "encounterId"),
}
KNOWN = ("hook", "hookInstance", "context", "prefetch", "fhirServer", "fhirAuthorization", "extension")


@dataclass
class Call:
    """One request: checked, its data from the prefetch or fetched, and the cards. Most faults sit in one service."""

    sample: Sample
    id: str
    hook: str
    body: dict[str, Any]

    def has(self, fault: str, where: str) -> bool:
        return self.id == where and self.sample.has(fault)

    def check(self) -> None:
        body, context = self.body, self.body.get("context")
        if body.get("hook") != self.hook and not (
            self.has("cards for any hook", VIEW) and isinstance(body.get("hook"), str)
        ):
            raise Refusal(400, "hook")
        may_lack = self.has("hookInstance is not needed", VIEW) and "hookInstance" not in body
        if not isinstance(body.get("hookInstance"), str) and not may_lack:
            raise Refusal(400, "hookInstance")
        if not isinstance(context, dict):
            if self.has("500 without a context", SELECT):
                raise Crash
            raise Refusal(400, "context")
        for name in REQUIRED[self.hook]:
            if name not in context:
                raise Refusal(400, f"context.{name}")
        if not isinstance(body.get("prefetch", {}), dict):
            raise Refusal(400, "prefetch")
        self.check_strangeness(context)
        self.check_grant()

    def check_strangeness(self, context: dict[str, Any]) -> None:
        if self.has("unknown members are refused", START) and set(self.body) - set(KNOWN):
            raise Refusal(400, "unknown member")
        if self.has("unknown extensions are refused", START) and "extension" in self.body:
            raise Refusal(400, "extension")
        further = "unheardOf" in self.body.get("prefetch", {})
        if further and self.has("further prefetch keys are refused", START):
            raise Refusal(400, "prefetch key")
        is_practitioner = context["userId"].startswith("Practitioner/")
        if not is_practitioner and self.has("only practitioners are served", SELECT):
            raise Refusal(403, "practitioners only")
        if self.hook == "order-select":
            self.check_orders(context["draftOrders"])

    def check_orders(self, orders: dict[str, Any]) -> None:
        if self.sample.has("a Bundle needs a type") and "type" not in orders:
            raise Refusal(400, "draftOrders.type")
        for entry in orders.get("entry", []):
            chosen = "medicationCodeableConcept" in entry["resource"]
            if not chosen and self.sample.has("a drug has to be chosen"):
                raise Refusal(400, "medication")

    def check_grant(self) -> None:
        grant = self.body.get("fhirAuthorization")
        if grant is None:
            return
        if not isinstance(grant, dict):
            if self.has("500 for an authorization that is no object", VIEW):
                raise Crash
            raise Refusal(400, "fhirAuthorization")
        if "fhirServer" not in self.body and not self.has("an authorization without server is taken", VIEW):
            raise Refusal(400, "fhirServer")
        complete = (
            isinstance(grant.get("access_token"), str)
            and grant.get("token_type") == "Bearer"
            and isinstance(grant.get("expires_in"), int)
            and isinstance(grant.get("scope"), str)
            and "subject" in grant
        )
        if not complete and not (self.has("a half authorization is taken", VIEW) and "access_token" in grant):
            raise Refusal(400, "fhirAuthorization is not complete")
        patient = grant.get("patient", self.patient_id)
        if patient != self.patient_id and not self.has("a token for somebody else is used", VIEW):
            raise Refusal(400, "fhirAuthorization.patient")

    @property
    def patient_id(self) -> str:
        return str(self.body["context"]["patientId"])

    # --- the data -----------------------------------------------------------------------------------------

    def data(self) -> dict[str, list[dict[str, Any]]]:
        prefetch = self.body.get("prefetch", {})
        is_bare = "prefetch" not in self.body and "fhirServer" not in self.body
        if is_bare and self.has("500 without prefetch", SELECT):
            raise Crash
        found = {}
        for key in TEMPLATES:
            read = self.read(prefetch.get(key, "absent"), key) if key in prefetch else None
            if read is None and self.has("a key that is missing is empty", SELECT) and prefetch:
                read = [] if key not in prefetch else None
            found[key] = self.fetch(key) if read is None else read
        return found

    def read(self, value: Any, key: str) -> list[dict[str, Any]] | None:
        """The prefetched resources; None if the key counts as not satisfied."""
        if value is None:
            return None if self.has("null is not prefetched", START) else []
        if not isinstance(value, dict):
            if self.has("500 for values of a wrong shape", START):
                raise Crash
            return None
        if value.get("resourceType") == "OperationOutcome":
            return [] if self.has("an OperationOutcome is no data", START) else None
        if key == "patient":
            return [value] if value.get("resourceType") == "Patient" else None
        if value.get("resourceType") != "Bundle":
            return None
        return self.read_bundle(value)

    def read_bundle(self, bundle: dict[str, Any]) -> list[dict[str, Any]] | None:
        resources = [entry["resource"] for entry in bundle.get("entry", [])]
        if any(resource["resourceType"] == "OperationOutcome" for resource in resources):
            return [] if self.has("an OperationOutcome is no data", START) else None
        following = _next_of(bundle)
        if following is None or self.has("a page is the whole", START):
            return resources
        allowed = following.startswith(self.sample.fhir_server)
        if not allowed and self.has("a next link elsewhere is followed", SELECT):
            self.get(following, self.token)
        return None

    @property
    def token(self) -> str | None:
        grant = self.body.get("fhirAuthorization", {})
        seconds = grant.get("expires_in", 1)
        is_live = not isinstance(seconds, int) or seconds > 0 or self.has("an expired token is used", VIEW)
        return grant.get("access_token") if is_live else None

    def fetch(self, key: str) -> list[dict[str, Any]]:
        server = str(self.body.get("fhirServer", "")).rstrip("/")
        self.call_unlisted(server)
        if not server or server != self.sample.fhir_server or self.token is None or not self.may_ask(key):
            raise self.no_data()
        url = f"{server}/{TEMPLATES[key].replace('{{context.patientId}}', self.patient_id)}"
        first = self.get(url, self.token)
        if first.status_code == 401 and self.has("a second try without the token", SELECT):
            self.get(url, None)
        if first.status_code != 200:
            raise self.no_data()
        if self.has("something is written", VIEW) and self.may_ask("observations"):
            headers = {"Authorization": f"Bearer {self.token}"}
            session().post(f"{server}/Basic", json={"resourceType": "Basic"}, headers=headers, timeout=5)
        return [first.json()] if key == "patient" else self.all_pages(first.json())

    def all_pages(self, bundle: dict[str, Any]) -> list[dict[str, Any]]:
        found = [entry["resource"] for entry in bundle.get("entry", [])]
        following = None if self.has("further pages are not read", SELECT) else _next_of(bundle)
        while following is not None:
            bare = self.has("further pages are read without the token", VIEW)
            page = self.get(following, None if bare else self.token).json()
            found += [entry["resource"] for entry in page.get("entry", [])]
            following = _next_of(page)
        return found

    def call_unlisted(self, server: str) -> None:
        if not server or server == self.sample.fhir_server:
            return
        token = self.body.get("fhirAuthorization", {}).get("access_token")
        if token and self.has("an unlisted server is called with the token", VIEW):
            self.get(f"{server}/Patient/1", token)
        if not token and self.has("an unlisted server is called without authorization", VIEW):
            self.get(f"{server}/Patient/1", None)

    def may_ask(self, key: str) -> bool:
        if self.has("requests beyond the scope", SELECT):
            return True
        scopes = self.body["fhirAuthorization"].get("scope", "patient/*.read").split()
        rights = (
            r"(read|\*)" if self.has("scopes of SMART 2 are not understood", VIEW) else r"(read|\*|[a-z]+)"
        )
        wanted = re.compile(rf"(patient|user)/(\*|{TYPES[key]})\.{rights}")
        return any(wanted.fullmatch(scope) for scope in scopes)

    def get(self, url: str, token: str | None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return session().get(url, headers=headers, timeout=5)

    def no_data(self) -> Exception:
        if self.has("200 without data", VIEW):
            return NoCards()
        names = self.patient_id if self.has("a patient's id in an error", SELECT) else "the patient"
        if self.has("the token is echoed", START) and self.token:
            names += f" with {self.token}"
        return Refusal(412, f"no data about {names}")

    # --- the cards ----------------------------------------------------------------------------------------

    def cards(self) -> list[dict[str, Any]]:
        try:
            data = self.data()
        except NoCards:
            return []
        count = sum(
            self.counts(resource) for key in ("observations", "medications") for resource in data[key]
        )
        if not count or (
            self.hook == "order-select" and not self.body["context"]["draftOrders"].get("entry")
        ):
            return []
        cards = [self.card(f"{count} results and orders are on record.")]
        if self.id == VIEW:
            for name in FAULTS_OF_CARDS:
                if self.sample.has(name):
                    cards.append(self.spoilt(name, cards[0]))
        return cards

    def counts(self, resource: dict[str, Any]) -> bool:
        if self.has("records of others count", START):
            return True
        return bool(resource["subject"]["reference"].endswith(f"Patient/{self.patient_id}"))

    def card(self, summary: str) -> dict[str, Any]:
        return {
            "uuid": str(uuid.uuid4()),
            "summary": summary,
            "detail": "| what | how many |\n| --- | --- |\n| all | ~~some~~ *more* |",
            "indicator": "info",
            "source": {
                "label": "The sample",
                "url": "https://example.org/about",
                "icon": "https://example.org/icon.png",
                "topic": {"code": "count", "system": "https://example.org/topics", "display": "Counting"},
            },
            "suggestions": [self.suggestion(is_recommended=True), self.suggestion()],
            "selectionBehavior": "at-most-one",
            "overrideReasons": [
                {"code": "known", "system": "https://example.org/reasons", "display": "Known already"}
            ],
            "links": [
                {"label": "More", "url": "https://example.org/more", "type": "absolute"},
                {
                    "label": "Application",
                    "url": "https://example.org/launch",
                    "type": "smart",
                    "appContext": '{"a": 1}',
                    "autolaunchable": False,
                },
            ],
            "extension": {"org.example.sample": {"count": 1}},
        }

    def suggestion(self, is_recommended: bool = False) -> dict[str, Any]:
        order = {
            "resourceType": "ServiceRequest",
            "status": "draft",
            "intent": "proposal",
            "subject": {"reference": f"Patient/{self.patient_id}"},
        }
        return {
            "label": "Count again",
            "uuid": str(uuid.uuid4()),
            "isRecommended": is_recommended,
            "actions": [
                {"type": "create", "description": "A new count", "resource": order},
                {"type": "update", "description": "Another count", "resource": order | {"id": "count"}},
                {"type": "delete", "description": "No count", "resourceId": "ServiceRequest/count"},
            ],
        }

    def spoilt(self, fault: str, other: dict[str, Any]) -> dict[str, Any]:
        """A card of its own for each fault, so that several do not hide each other."""
        card = self.card("There is something else.")
        suggestion, link, app = card["suggestions"][0], card["links"][0], card["links"][1]
        create, update, delete = suggestion["actions"]
        changes: dict[str, Any] = {
            "a summary of 140 characters": lambda: card.update(summary="a" * 139 + "."),
            "Markdown in the summary": lambda: card.update(summary="There is **something** else."),
            "a summary of two lines": lambda: card.update(summary="There is\nsomething else."),
            "HTML in the detail": lambda: card.update(detail="There is <b>something</b> else."),
            "a detail that is null": lambda: card.update(detail=None),
            "links that are empty": lambda: card.update(links=[]),
            "no source": lambda: card.pop("source"),
            "a source without label": lambda: card["source"].pop("label"),
            "a relative source url": lambda: card["source"].update(url="/about"),
            "a relative icon": lambda: card["source"].update(icon="icon.png"),
            "a topic that is an array": lambda: card["source"].update(topic=[card["source"]["topic"]]),
            "a coding with userSelected": lambda: card["source"]["topic"].update(userSelected=True),
            "an indicator of before 1.0": lambda: card.update(indicator="hard-stop"),
            "an unknown member of a card": lambda: card.update(unheardOf=1),
            "the uuid of another card": lambda: card.update(uuid=other["uuid"]),
            "a uuid that is always the same": lambda: card.update(uuid=_ALWAYS_THE_SAME),
            "a suggestion uuid that is always the same": lambda: suggestion.update(
                uuid=_ALWAYS_THE_SAME.replace("0b", "1b")
            ),
            "a uuid that is none": lambda: card.update(uuid="card-1"),
            "suggestions without selectionBehavior": lambda: card.pop("selectionBehavior"),
            "selectionBehavior without suggestions": lambda: card.pop("suggestions"),
            "two recommended of which one may be chosen": lambda: card["suggestions"][1].update(
                isRecommended=True
            ),
            "isRecommended as a text": lambda: suggestion.update(isRecommended="yes"),
            "actionSelectionBehavior": lambda: suggestion.update(actionSelectionBehavior="any"),
            "an override reason without display": lambda: card["overrideReasons"][0].pop("display"),
            "a suggestion without label": lambda: suggestion.pop("label"),
            "actions that are no array": lambda: suggestion.update(actions=create),
            "an action of another type": lambda: create.update(type="remove"),
            "an action without description": lambda: create.pop("description"),
            "a create action without resource": lambda: create.pop("resource"),
            "a create action about somebody else": lambda: create.update(
                resource=create["resource"] | {"subject": {"reference": "Patient/somebody-else"}}
            ),
            "a create action with an invalid resource": lambda: create.update(
                resource={
                    "resourceType": "ServiceRequest",
                    "subject": create["resource"]["subject"],
                    "orders": 1,
                }
            ),
            "an update action without id": lambda: update["resource"].pop("id"),
            "a delete action with a resource": lambda: delete.update(resource=update["resource"]),
            "a link without label": lambda: link.pop("label"),
            "a relative link": lambda: link.update(url="/more"),
            "a link with the patient's id": lambda: link.update(
                url=f"https://example.org/more?patient={self.patient_id}"
            ),
            "a link without type": lambda: link.pop("type"),
            "a smart link with launch": lambda: app.update(url="https://example.org/launch?launch=1"),
            "an appContext that is an object": lambda: app.update(appContext={"a": 1}),
            "an appContext of an absolute link": lambda: link.update(appContext="a"),
            "autolaunchable as a text": lambda: app.update(autolaunchable="yes"),
            "an extension that is an array": lambda: card.update(extension=[{"url": "x"}]),
            "an extension with a short name": lambda: card.update(extension={"short": {"a": 1}}),
            "suggestions that are no array": lambda: (
                card.update(suggestions=suggestion),
                card.pop("selectionBehavior"),
            ),
            "links that are no array": lambda: card.update(links=link),
        }
        changes[fault]()
        return card


class NoCards(Exception):
    """What a careless service says when it has no data: nothing."""


def session() -> requests.Session:
    """Without the proxies of the environment."""
    made = requests.Session()
    made.trust_env = False
    return made


def _next_of(bundle: dict[str, Any]) -> str | None:
    return next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)
