"""A small FHIR R4 server in memory, for demonstrations and tests: a stand-in for HAPI, not a product.

Turns HTTP requests into reads, searches and writes of a `Store`, and refusals into OperationOutcomes.
`EmbeddedServer` runs it on a thread and notes every request, so that a test can see what a client asked.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from fhir_fixtures.capabilities import FHIR_JSON, capability_statement
from fhir_fixtures.pages import Include, RememberedSearch, RememberedSearches
from fhir_fixtures.references import address_of, names_of_entries, with_references_renamed
from fhir_fixtures.refusals import Refused, operation_outcome, read_json
from fhir_fixtures.resource_types import resource_types
from fhir_fixtures.search import find_matching, parameters_of, references_at, sort_resources
from fhir_fixtures.store import Store, checked_resource, entries_of, new_id

Resource = dict[str, Any]
Query = list[tuple[str, str]]

BASE_PATH = "/fhir"
LARGEST_BODY_BYTES = 64 * 1024 * 1024
REQUESTS_REMEMBERED = 10_000
ALWAYS_THERE = {"resourceType", "id", "meta"}
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
ISSUE_OF_STATUS = {401: "login", 404: "not-found", 405: "not-supported", 413: "too-long"}


@dataclass
class ServerSettings:
    """How the server behaves; may be changed while it runs."""

    require_token: str | None = None
    delay_seconds: float = 0
    page_size: int = 20
    largest_page: int = 200


@dataclass(frozen=True)
class SeenRequest:
    """One request as it came in; `path` is below the base address, without a leading slash."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class EmbeddedServer:
    """The server on a background thread; use it in a `with`, or call `start` and `stop`."""

    def __init__(
        self,
        *,
        require_token: str | None = None,
        delay_seconds: float = 0,
        page_size: int = 20,
        largest_page: int = 200,
    ) -> None:
        self.settings = ServerSettings(require_token, delay_seconds, page_size, largest_page)
        self.store = Store()
        self.requests: deque[SeenRequest] = deque(maxlen=REQUESTS_REMEMBERED)
        self.base_url = ""
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens on `host`, on a free port if `port` is 0. Raises OSError if it cannot."""
        app = self.create_app()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Werkzeug ends the whole process when it cannot bind by itself.
        with socket.create_server((host, port), family=family) as listening:
            self._server = make_server(
                host, port, app, threaded=True, request_handler=_QuietHandler, fd=listening.fileno()
            )
        shown_host = f"[{host}]" if family == socket.AF_INET6 else host
        self.base_url = f"http://{shown_host}:{self._server.port}{BASE_PATH}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def create_app(self) -> Flask:
        """What it serves; a server with manners of its own adds them here."""
        return create_fhir_app(self.store, self.settings, self.requests.append)

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def load(self, bundle: Resource) -> int:
        """Takes in every resource of a Bundle of any type, whatever is in them; returns how many."""
        return self.store.load(read_json(json.dumps(bundle)))

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _QuietHandler(WSGIRequestHandler):
    """Writes no line a request: a query string can name a patient."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def create_fhir_app(
    store: Store,
    settings: ServerSettings | None = None,
    note_request: Callable[[SeenRequest], None] | None = None,
) -> Flask:
    """The WSGI application that serves `store` under `/fhir`."""
    app = Flask("fhir_fixtures.server", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.url_map.strict_slashes = False
    api = FhirApi(store, settings or ServerSettings())

    def admit() -> Response | None:
        if note_request is not None:
            note_request(_seen(request))
        if request.method == "OPTIONS":
            return _with_cors(Response(status=204))
        api.admit(request)
        return None

    app.before_request(admit)
    app.after_request(_with_cors)
    app.register_error_handler(Refused, lambda refused: _refusal(refused))
    app.register_error_handler(HTTPException, _http_refusal)
    for rule, endpoint, method in (
        ("/metadata", api.metadata, "GET"),
        ("/", api.page, "GET"),
        ("/", api.bundle, "POST"),
        ("/<type>", api.search, "GET"),
        ("/<type>", api.create, "POST"),
        ("/<type>/_search", api.search, "GET"),
        ("/<type>/_search", api.search, "POST"),
        ("/<type>/<id>", api.read, "GET"),
        ("/<type>/<id>/_history/<version>", api.read_version, "GET"),
        ("/<type>/<id>", api.update, "PUT"),
        ("/<type>/<id>", api.delete, "DELETE"),
    ):
        name = f"{endpoint.__name__} {method} {rule}".replace(".", "")
        app.add_url_rule(BASE_PATH + rule, name, endpoint, methods=[method], provide_automatic_options=False)
    return app


class FhirApi:
    """One method for each interaction."""

    def __init__(self, store: Store, settings: ServerSettings) -> None:
        self._store = store
        self._settings = settings
        self._searches = RememberedSearches()

    def admit(self, request: Request) -> None:
        """Waits as long as the settings say, then refuses callers without the token."""
        time.sleep(self._settings.delay_seconds)
        _require_json_is_acceptable(request)
        token = self._settings.require_token
        sent = request.headers.get("Authorization", "")
        is_open = token is None or request.path == f"{BASE_PATH}/metadata"
        if not is_open and not compare_digest(sent.encode(), f"Bearer {token}".encode()):
            raise Refused(401, "login", "This server wants a bearer token, and this is not it")

    def metadata(self) -> Response:
        return _json_response(capability_statement(_base_url()))

    def read(self, type: str, id: str) -> Response:
        response = _resource_response(self._store.read(_known(type), id))
        response.make_conditional(request)
        return response

    def read_version(self, type: str, id: str, version: str) -> Response:
        newest = self._store.read(_known(type), id)
        if newest["meta"]["versionId"] != version:
            raise Refused(404, "not-found", f"{type}/{id}: only the newest version is kept")
        return _resource_response(newest)

    def search(self, type: str) -> Response:
        query = parse_qsl(request.query_string.decode("utf-8", "replace"), keep_blank_values=True)
        query += _form_of(request)
        return _json_response(self._searchset(_known(type), query, _base_url()))

    def page(self) -> Response:
        """A further page of an earlier search, as named by its `next` link."""
        search_id = request.args.get("_getpages")
        if search_id is None:
            raise Refused(400, "not-supported", "Searching all types at once is not supported")
        search = self._searches.get(search_id)
        offset = _whole_number("_getpagesoffset", request.args.get("_getpagesoffset", "0"))
        return _json_response(self._page(search, offset, _base_url()))

    def create(self, type: str) -> Response:
        _refuse_conditional_create(request.headers.get("If-None-Exist"))
        resource = self._as_new(_known(type), _body_of(request))
        stored, _ = self._store.put(resource)
        return _written_response(stored, 201)

    def update(self, type: str, id: str) -> Response:
        resource = _resource_at(_known(type), id, _body_of(request))
        with self._store.all_or_nothing():
            self._require_version(type, id, request.headers.get("If-Match"))
            stored, is_new = self._store.put(resource)
        return _written_response(stored, 201 if is_new else 200)

    def delete(self, type: str, id: str) -> Response:
        self._store.delete(_known(type), id)
        return Response(status=204)

    def bundle(self) -> Response:
        """A transaction, done as a whole, or a batch, each entry by itself."""
        body = _body_of(request)
        entries = entries_of(body)
        if body.get("type") == "transaction":
            with self._store.all_or_nothing():
                done = self._transaction(entries, _base_url())
        elif body.get("type") == "batch":
            done = [self._batch_entry(entry, _base_url()) for entry in entries]
        else:
            raise Refused(400, "not-supported", "Bundle.type: expected transaction or batch")
        reply = {"resourceType": "Bundle", "type": f"{body['type']}-response", "entry": done}
        return _json_response({name: value for name, value in reply.items() if value})

    # --- searching ------------------------------------------------------------------------------------

    def _searchset(self, type: str, query: Query, base_url: str) -> Resource:
        control, criteria = _split_query(type, query)
        found = find_matching(self._store.all_of(type), type, criteria, base_url)
        found = sort_resources(found, type, control.get("_sort", ""))
        count = _whole_number("_count", control.get("_count", str(self._settings.page_size)))
        if control.get("_summary") == "count" or count == 0:
            return {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        search = self._searches.remember(
            type,
            found,
            page_size=max(1, min(count, self._settings.largest_page)),
            includes=tuple(
                one for name, value in query if name == "_include" for one in _includes_of(type, value)
            ),
            elements=tuple(name for name in control.get("_elements", "").split(",") if name),
            self_url=f"{base_url}/{type}" + (f"?{urlencode(query)}" if query else ""),
            has_total=control.get("_total") != "none",
        )
        return self._page(search, 0, base_url)

    def _page(self, search: RememberedSearch, offset: int, base_url: str) -> Resource:
        shown = search.found[offset : offset + search.page_size]
        following = offset + search.page_size
        here = search.url_of_page(offset, base_url) if offset else search.self_url
        links = [{"relation": "self", "url": here}]
        if following < len(search.found):
            links.append({"relation": "next", "url": search.url_of_page(following, base_url)})
        if offset:
            before = max(0, offset - search.page_size)
            links.append({"relation": "previous", "url": search.url_of_page(before, base_url)})
        entries = [_entry(_with_elements(one, search.elements), "match", base_url) for one in shown]
        entries += [_entry(resource, "include", base_url) for resource in self._included(search, shown)]
        page: Resource = {"resourceType": "Bundle", "id": search.id, "type": "searchset"}
        page |= {"total": len(search.found)} if search.has_total else {}
        return page | {"link": links} | ({"entry": entries} if entries else {})

    def _included(self, search: RememberedSearch, shown: list[Resource]) -> list[Resource]:
        """Each resource that a shown one refers to by an included parameter, once."""
        wanted = {
            reference: None
            for resource in shown
            for include in search.includes
            for reference in references_at(resource, parameters_of(search.type)[include.parameter])
            if _local(reference).startswith(f"{include.target}/" if include.target else "")
        }
        return [resource for reference in wanted for resource in self._if_known(reference)]

    def _if_known(self, reference: str) -> list[Resource]:
        type, _, id = _local(reference).partition("/")
        try:
            return [self._store.read(type, id.partition("/_history/")[0])]
        except Refused:
            return []

    # --- writing --------------------------------------------------------------------------------------

    def _as_new(self, type: str, resource: Any) -> Resource:
        """The resource under an id of our own: a client names its id only when it updates."""
        if not isinstance(resource, dict):
            return checked_resource(resource)
        return checked_resource(resource | {"id": new_id()}, type)

    def _require_version(self, type: str, id: str, if_match: str | None) -> None:
        if if_match is not None and if_match != self._version_now(type, id):
            raise Refused(412, "conflict", f"If-Match: {type}/{id} has another version by now, or none")

    def _version_now(self, type: str, id: str) -> str | None:
        try:
            return _etag(self._store.read(type, id))
        except Refused:
            return None

    def _transaction(self, entries: list[Resource], base_url: str) -> list[Resource]:
        """Writes first and reads last, as FHIR wants; the answers keep the order of the entries."""
        placed = [self._placed(number, entry) for number, entry in enumerate(entries)]
        _refuse_overlaps(placed)
        names = names_of_entries(placed)
        order = sorted(range(len(placed)), key=lambda number: _rank(placed[number]))
        done = {number: self._carry_out(placed[number], names, base_url) for number in order}
        return [done[number] for number in range(len(placed))]

    def _batch_entry(self, entry: Resource, base_url: str) -> Resource:
        try:
            return self._carry_out(self._placed(0, entry), {}, base_url)
        except Refused as refused:
            outcome = operation_outcome(refused.issue_code, refused.text)
            return {"response": {"status": str(refused.status), "outcome": outcome}}

    def _placed(self, number: int, entry: Resource) -> Resource:
        """The entry with the id that its resource will have."""
        method, url = _request_of(number, entry)
        if method == "POST":
            _refuse_conditional_create(entry["request"].get("ifNoneExist"))
            return entry | {"resource": self._as_new(_known(url), entry.get("resource"))}
        if method == "PUT":
            type, _, id = url.partition("/")
            return entry | {"resource": _resource_at(_known(type), id, entry.get("resource"))}
        return entry

    def _carry_out(self, entry: Resource, names: dict[str, str], base_url: str) -> Resource:
        method, url = _request_of(0, entry)
        if method in ("POST", "PUT"):
            stored, is_new = self._store.put(with_references_renamed(entry["resource"], names))
            return {"response": _response_of(stored, "201 Created" if is_new else "200 OK", base_url)}
        path, _, query = url.partition("?")
        type, _, id = path.partition("/")
        if method == "DELETE":
            self._store.delete(_known(type), id)
            return {"response": {"status": "204 No Content"}}
        if id:
            return {"resource": self._store.read(_known(type), id), "response": {"status": "200 OK"}}
        found = self._searchset(_known(type), parse_qsl(query, keep_blank_values=True), base_url)
        return {"resource": found, "response": {"status": "200 OK"}}


# --- the query of a search -------------------------------------------------------------------------


CONTROL = ("_count", "_sort", "_total", "_summary", "_elements", "_include", "_format", "_pretty")
ALLOWED_VALUES = {"_total": ("none", "estimate", "accurate"), "_summary": ("count", "false")}


def _split_query(type: str, query: Query) -> tuple[dict[str, str], Query]:
    """What steers the answer, and what selects resources."""
    control = {name: value for name, value in query if name in CONTROL}
    for name, allowed in ALLOWED_VALUES.items():
        if control.get(name, allowed[0]) not in allowed:
            raise Refused(400, "not-supported", f"{name}: expected one of {', '.join(allowed)} for {type}")
    return control, [pair for pair in query if pair[0] not in CONTROL]


def _includes_of(type: str, value: str) -> list[Include]:
    """What `Type:parameter`, `Type:parameter:Target`, `Type:*` or `*` asks for."""
    references = [name for name, parameter in parameters_of(type).items() if parameter.kind == "reference"]
    if value in ("*", f"{type}:*"):
        return [Include(name) for name in references]
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    if source != type or name not in references:
        raise Refused(400, "not-supported", f"_include: {value[:60]!r} is not a reference of {type}")
    return [Include(name, target)]


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise Refused(400, "value", f"{name}: expected a whole number, got {text[:20]!r}")
    return int(text)


# --- what comes in ------------------------------------------------------------------------------------


def _known(type: str) -> str:
    if type not in resource_types():
        raise Refused(404, "not-supported", f"{type[:64]!r} is not a FHIR R4 resource type")
    return type


def _require_json_is_acceptable(request: Request) -> None:
    accepted = request.args.get("_format") or request.headers.get("Accept") or "*/*"
    if "json" not in accepted and "*/*" not in accepted and "html" not in accepted:
        raise Refused(406, "not-supported", f"This server speaks JSON only, not {accepted[:60]!r}")


def _body_of(request: Request) -> Any:
    type = request.mimetype
    if type and not (type.endswith(("/json", "+json"))):
        raise Refused(415, "not-supported", f"Content-Type: expected {FHIR_JSON}, got {type[:60]!r}")
    return read_json(request.get_data())


def _form_of(request: Request) -> Query:
    if request.method != "POST" or not request.get_data():
        return []
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Refused(415, "not-supported", "Content-Type: expected application/x-www-form-urlencoded")
    return parse_qsl(request.get_data().decode("utf-8", "replace"), keep_blank_values=True)


def _resource_at(type: str, id: str, value: Any) -> Resource:
    """The resource of an update, whose id must be that of its address."""
    if isinstance(value, dict) and value.get("id") != id:
        raise Refused(400, "invariant", f"{type}.id: expected the id of the address, {id[:64]!r}")
    return checked_resource(value, type)


def _refuse_conditional_create(condition: Any) -> None:
    if condition is not None:
        raise Refused(400, "not-supported", "Creating only if none exists is not supported")


def _request_of(number: int, entry: Resource) -> tuple[str, str]:
    asked = entry.get("request")
    method, url = (asked.get("method"), asked.get("url")) if isinstance(asked, dict) else (None, None)
    if method not in ("GET", "POST", "PUT", "DELETE") or not isinstance(url, str):
        expected = "method GET, POST, PUT or DELETE, and a url"
        raise Refused(400, "required", f"Bundle.entry[{number}].request: expected {expected}")
    return method, url.removeprefix("/")


def _refuse_overlaps(entries: list[Resource]) -> None:
    """A resource stands in a transaction once: in which order it was to be written would else be a guess."""
    urls = [_written_by(entry) for entry in entries if entry["request"]["method"] != "GET"]
    for number, url in enumerate(urls):
        if url in urls[:number]:
            raise Refused(400, "invariant", f"{url[:100]!r} is in this transaction more than once")


def _written_by(entry: Resource) -> str:
    """The address of the resource that an entry writes or deletes."""
    if entry["request"]["method"] == "DELETE":
        return str(entry["request"]["url"]).removeprefix("/")
    return address_of(entry["resource"])


def _rank(entry: Resource) -> int:
    return ("DELETE", "POST", "PUT", "GET").index(entry["request"]["method"])


def _seen(request: Request) -> SeenRequest:
    path = request.path.removeprefix(BASE_PATH).strip("/")
    query = request.query_string.decode("utf-8", "replace")
    return SeenRequest(request.method, path, query, dict(request.headers), request.get_data())


# --- what goes out ------------------------------------------------------------------------------------


def _base_url() -> str:
    return f"{request.host_url.rstrip('/')}{BASE_PATH}"


def _json_response(body: Resource, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type=f"{FHIR_JSON}; charset=utf-8")


def _resource_response(resource: Resource, status: int = 200) -> Response:
    response = _json_response(resource, status)
    response.headers["ETag"] = _etag(resource)
    response.last_modified = datetime.fromisoformat(resource["meta"]["lastUpdated"])
    return response


def _written_response(resource: Resource, status: int) -> Response:
    """What was stored, or as little of it as `Prefer: return=…` asks for."""
    response = _resource_response(resource, status)
    response.headers["Location"] = _location(resource, _base_url())
    preferred = request.headers.get("Prefer", "")
    if "return=minimal" in preferred:
        response.set_data(b"")
    elif "return=OperationOutcome" in preferred:
        told = f"{address_of(resource)} was stored"
        response.set_data(json.dumps(operation_outcome("informational", told, "information")))
    return response


def _response_of(resource: Resource, status: str, base_url: str) -> Resource:
    changed = resource["meta"]["lastUpdated"]
    location = _location(resource, base_url)
    return {"status": status, "location": location, "etag": _etag(resource), "lastModified": changed}


def _etag(resource: Resource) -> str:
    return f'W/"{resource["meta"]["versionId"]}"'


def _location(resource: Resource, base_url: str) -> str:
    return f"{base_url}/{address_of(resource)}/_history/{resource['meta']['versionId']}"


def _local(reference: str) -> str:
    """A reference to this server as `Type/id`; any other as it is."""
    return reference.removeprefix(f"{_base_url()}/")


def _with_elements(resource: Resource, elements: Iterable[str]) -> Resource:
    """The resource with these elements only, and marked as a part; all of it if none are named."""
    wanted = {*elements}
    if not wanted:
        return resource
    tags = [*resource["meta"].get("tag", []), SUBSETTED]
    kept = {name: value for name, value in resource.items() if name in wanted | ALWAYS_THERE}
    return kept | {"meta": resource["meta"] | {"tag": tags}}


def _entry(resource: Resource, mode: str, base_url: str) -> Resource:
    return {
        "fullUrl": f"{base_url}/{address_of(resource)}",
        "resource": resource,
        "search": {"mode": mode},
    }


def _refusal(refused: Refused) -> Response:
    response = _json_response(operation_outcome(refused.issue_code, refused.text), refused.status)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _http_refusal(problem: HTTPException) -> Response:
    status = problem.code or 500
    response = _refusal(Refused(status, ISSUE_OF_STATUS.get(status, "processing"), f"{problem.name}"))
    allowed = getattr(problem, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _with_cors(response: Response) -> Response:
    """Any page may use this server: it holds nobody's data but the fixtures'."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "Content-Location, ETag, Last-Modified, Location"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE, OPTIONS"
        wanted = request.headers.get("Access-Control-Request-Headers", "")
        response.headers["Access-Control-Allow-Headers"] = wanted or "Authorization, Content-Type"
        response.headers["Access-Control-Allow-Private-Network"] = "true"
        response.headers["Access-Control-Max-Age"] = "600"
    return response
