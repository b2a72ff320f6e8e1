"""What the service does with a FHIR server and the client's token: seen from a FHIR server of our own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import requests

from cds_service.conform.examination import Entry, Examination, FhirSide
from cds_service.conform.exchange import Reply
from cds_service.conform.patients import SyntheticPatient, searchset
from cds_service.conform.templates import expand, is_search, type_of
from fhir_fixtures.server import SeenRequest

OF_ACCESS = (
    *("CH-205", "CH-315", "CH-316", "CH-317", "CH-319", "CH-401", "CH-402", "CH-403", "CH-404", "CH-405"),
    *("CH-406", "CH-407", "CH-408", "CH-409", "CH-410", "CH-V10", "CH-W05"),
)
_OF_CALLS_THAT_FETCH = tuple(rule_id for rule_id in OF_ACCESS if rule_id not in ("CH-401", "CH-408"))
_SCOPES_OF_A_SANDBOX = "patient/*.* user/*.* openid profile launch offline_access"
_SCOPES_OF_SMART_2 = "patient/*.rs"


def check_access(exam: Examination, entry: Entry, full: Reply) -> None:
    """`full` is the reply about the same patient with everything prefetched."""
    fhir = exam.fhir
    if fhir is None:
        exam.ledger.not_tried(OF_ACCESS, exam.why_no_fhir)
        return
    if not entry.prefetch:
        exam.ledger.not_tried(OF_ACCESS, "no prefetch is advertised, so that what it would read is not known")
        return
    patient = exam.any_patient(entry)
    _check_wrong_grants(exam, entry, patient, fhir)
    reply, heard = _call(exam, entry, patient, fhir, "nothing prefetched, access to a FHIR server")
    exam.for_rules("CH-206", "CH-403")(reply.is_served, reply, "200 or 412")
    if not heard:
        why = f"the service did not call {fhir.url}: allow it there, at a port chosen by --fhir-server-port"
        exam.ledger.not_tried(_OF_CALLS_THAT_FETCH, why)
        _check_strange_servers(exam, entry, patient, fhir)
        return
    _check_heard(exam, fhir, reply, heard)
    exam.ledger.expect("CH-319", reply.guidance == full.guidance, reply.what, full.guidance, reply.guidance)
    _check_omitted(exam, entry, patient, fhir, full)
    _check_known_empty(exam, entry, patient, fhir)
    _check_slashes(exam, entry, patient, fhir, heard)
    _check_pages(exam, entry, patient, fhir, full)
    _check_scopes(exam, entry, patient, fhir)
    _check_refusals(exam, entry, patient, fhir, full)
    _check_strange_servers(exam, entry, patient, fhir)


def _call(
    exam: Examination,
    entry: Entry,
    patient: SyntheticPatient,
    fhir: FhirSide,
    what: str,
    **elements: Any,
) -> tuple[Reply, list[SeenRequest]]:
    """The reply to a call with access and no prefetch (unless `elements` say otherwise), and what was asked."""
    body = exam.request(entry, patient, **{"prefetch": None} | fhir.access() | elements)
    with fhir.listening() as heard:
        reply = exam.post(entry, body, what)
    return reply, heard


def _check_heard(exam: Examination, fhir: FhirSide, reply: Reply, heard: list[SeenRequest]) -> None:
    """Every call has the token and changes nothing."""
    for seen in heard:
        where = f"{reply.what}, FHIR request {seen.method} {seen.path}"
        sent = seen.headers.get("Authorization")
        exam.ledger.expect(
            "CH-404", sent == f"Bearer {fhir.token}", where, "the token as Bearer", sent or "none"
        )
        is_read = seen.method == "GET" or (seen.method == "POST" and seen.path.endswith("/_search"))
        exam.ledger.expect("CH-409", is_read, where, "a read or a search", seen.method)


def _check_omitted(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide, full: Reply
) -> None:
    complete = exam.request(entry, patient).get("prefetch", {})
    for key in complete:
        fewer = {name: value for name, value in complete.items() if name != key}
        reply, heard = _call(exam, entry, patient, fhir, f"access, all but {key} prefetched", prefetch=fewer)
        type = type_of(entry.prefetch[key])
        asked = any(seen.path.partition("/")[0] == type for seen in heard)
        fits = reply.is_served and (asked or reply.guidance == full.guidance or reply.status == 412)
        exam.for_rules("CH-310")(fits, reply, f"{type} to be asked for, or the same cards as with it")
        _check_heard(exam, fhir, reply, heard)
    half = dict(list(complete.items())[::2])
    reply, _ = _call(exam, entry, patient, fhir, "access, half of the keys prefetched", prefetch=half)
    exam.ledger.expect("CH-315", reply.guidance == full.guidance, reply.what, full.guidance, reply.guidance)


def _check_known_empty(exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide) -> None:
    complete = exam.request(entry, patient).get("prefetch", {})
    nulls = {key: None if is_search(entry.prefetch[key]) else value for key, value in complete.items()}
    reply, heard = _call(exam, entry, patient, fhir, "access, null for each search", prefetch=nulls)
    paths = [seen.path for seen in heard]
    exam.ledger.expect("CH-311", not paths, reply.what, "no request: the client looked", paths)


def _check_slashes(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide, heard: list[SeenRequest]
) -> None:
    what = "fhirServer with a slash at its end"
    reply, again = _call(exam, entry, patient, fhir, what, fhirServer=f"{fhir.url}/")
    paths = [sorted({seen.path for seen in each}) for each in (heard, again)]
    exam.ledger.expect("CH-205", paths[0] == paths[1], reply.what, f"the requests {paths[0]}", paths[1])


# --- pages ------------------------------------------------------------------------------------------------


def _check_pages(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide, full: Reply
) -> None:
    settings = fhir.home.settings
    before = (settings.page_size, settings.largest_page, settings.require_token)
    # Without the demand for a token a page that is asked for without one is one rule broken, and not three.
    settings.page_size, settings.largest_page, settings.require_token = 1, 1, None
    try:
        reply, heard = _call(exam, entry, patient, fhir, "access to a FHIR server with one entry a page")
        _check_heard(exam, fhir, reply, heard)
        turned = any("_getpages" in seen.query for seen in heard)
        exam.for_rules("CH-410")(turned, reply, "the further pages to be read")
        exam.ledger.expect("CH-410", reply.guidance == full.guidance, reply.what, full.guidance, reply.shown)
        _check_paged_prefetch(exam, entry, patient, fhir, full)
    finally:
        settings.page_size, settings.largest_page, settings.require_token = before


def _check_paged_prefetch(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide, full: Reply
) -> None:
    found = next(_keys_that_matter(exam, entry, patient, fhir, full), None)
    if found is None:
        why = "no card depended on whether a prefetched search was complete"
        exam.ledger.not_tried(("CH-316", "CH-317"), why)
        return
    key, page, taken_whole = found
    complete = exam.request(entry, patient)["prefetch"]
    paged = complete | {key: page}
    alone = exam.post(entry, exam.request(entry, patient, prefetch=paged), f"first page of {key}, no access")
    fits = alone.guidance != taken_whole.guidance
    exam.for_rules("CH-316")(fits, alone, "412 or a stated gap: a page is not the whole")
    reply, heard = _call(exam, entry, patient, fhir, f"first page of {key}, access", prefetch=paged)
    exam.for_rules("CH-316")(bool(heard) or reply.status == 412, reply, "the next page to be read, or 412")
    _check_heard(exam, fhir, reply, heard)
    _check_page_elsewhere(exam, entry, patient, fhir, complete | {key: _leading_to(page, fhir)})


def _keys_that_matter(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide, full: Reply
) -> Iterator[tuple[str, dict[str, Any], Reply]]:
    """Keys whose first page by itself would give another answer: key, page, and the answer if taken as all."""
    context = exam.context(entry, patient)
    complete = exam.request(entry, patient)["prefetch"]
    for key, template in entry.prefetch.items():
        query = expand(template, context)
        page = _first_page(fhir, query) if query and is_search(template) else None
        if page is None:
            continue
        whole = searchset(*(each["resource"] for each in page["entry"]))
        what = f"one entry of {key}, as if that were all"
        reply = exam.post(entry, exam.request(entry, patient, prefetch=complete | {key: whole}), what)
        if reply.status == 200 and reply.guidance != full.guidance:
            yield key, page, reply


def _first_page(fhir: FhirSide, query: str) -> dict[str, Any] | None:
    """The first of several pages, with links as the service has to call them."""
    answer = requests.get(f"{fhir.home.base_url}/{query}", timeout=10)
    page = answer.json() if answer.ok else {}
    links = {link["relation"]: link["url"] for link in page.get("link", [])}
    if "next" not in links:
        return None
    moved = [
        {"relation": name, "url": url.replace(fhir.home.base_url, fhir.url)} for name, url in links.items()
    ]
    return dict(page) | {"link": moved}


def _leading_to(page: dict[str, Any], fhir: FhirSide) -> dict[str, Any]:
    links = [link for link in page["link"] if link["relation"] != "next"]
    away = {"relation": "next", "url": f"{fhir.elsewhere.base_url}/Observation?page=2"}
    return page | {"link": [*links, away]}


def _check_page_elsewhere(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide, prefetch: dict[str, Any]
) -> None:
    before = len(fhir.elsewhere.requests)
    reply, _ = _call(exam, entry, patient, fhir, "a next link to another host", prefetch=prefetch)
    heard = len(fhir.elsewhere.requests) - before
    exam.ledger.expect("CH-317", not heard, reply.what, "no request to another host", f"{heard} requests")


# --- scopes and tokens ------------------------------------------------------------------------------------


def _check_scopes(exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide) -> None:
    for rule_ids, scope in (
        (("CH-V10", "CH-W05"), _SCOPES_OF_A_SANDBOX),
        (("CH-V10",), _SCOPES_OF_SMART_2),
    ):
        grant = fhir.grant(scope=scope)
        reply, heard = _call(exam, entry, patient, fhir, f"scope {scope}", fhirAuthorization=grant)
        for rule_id in rule_ids:
            fits = bool(heard) and reply.is_served
            exam.ledger.expect(rule_id, fits, reply.what, "FHIR requests within the scope", reply.shown)
    narrow = fhir.grant(scope="patient/Patient.read")
    reply, heard = _call(
        exam, entry, patient, fhir, "scope patient/Patient.read only", fhirAuthorization=narrow
    )
    beyond = sorted({seen.path for seen in heard if seen.path.partition("/")[0] != "Patient"})
    exam.ledger.expect("CH-406", not beyond, reply.what, "requests for Patient only", beyond)


def _check_refusals(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide, full: Reply
) -> None:
    fhir.home.settings.require_token, before = uuid.uuid4().hex, fhir.home.settings.require_token
    try:
        reply, heard = _call(exam, entry, patient, fhir, "a FHIR server that refuses the token")
    finally:
        fhir.home.settings.require_token = before
    asked = [f"{seen.method} {seen.path}?{seen.query}" for seen in heard]
    twice = sorted({each for each in asked if asked.count(each) > 1})
    exam.ledger.expect("CH-407", not twice, reply.what, "each request once", twice)
    bare = [seen.path for seen in heard if "Authorization" not in seen.headers]
    exam.ledger.expect("CH-407", not bare, reply.what, "no second try without the token", bare)
    says_nothing = reply.status == 200 and not reply.cards
    if full.cards:
        exam.for_rules("CH-313")(reply.is_served and not says_nothing, reply, "412")


def _check_wrong_grants(exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide) -> None:
    complete = fhir.grant()
    for name in complete:
        fewer = {key: value for key, value in complete.items() if key != name}
        _expect_refused(exam, entry, patient, fhir, f"fhirAuthorization without {name}", fewer, "CH-402")
    for name, value in (("token_type", "DPoP"), ("expires_in", "300"), ("access_token", 5)):
        wrong = complete | {name: value}
        what = f"fhirAuthorization with {name} {value!r}"
        _expect_refused(exam, entry, patient, fhir, what, wrong, "CH-402")
    foreign = complete | {"patient": "somebody-else"}
    what = "a token for another patient"
    _expect_refused(exam, entry, patient, fhir, what, foreign, "CH-403")
    body = exam.request(entry, patient, fhirAuthorization=complete)
    reply = exam.post(entry, body, "fhirAuthorization without fhirServer")
    exam.for_rules("CH-205")(reply.is_refused, reply, "4xx")
    expired = fhir.grant(expires_in=0)
    reply, heard = _call(exam, entry, patient, fhir, "a token that has expired", fhirAuthorization=expired)
    used = [seen.path for seen in heard if fhir.token in seen.headers.get("Authorization", "")]
    exam.ledger.expect("CH-402", not used, reply.what, "no request with the token", used)


def _expect_refused(
    exam: Examination,
    entry: Entry,
    patient: SyntheticPatient,
    fhir: FhirSide,
    what: str,
    grant: dict[str, Any],
    rule_id: str,
) -> None:
    reply, _ = _call(exam, entry, patient, fhir, what, fhirAuthorization=grant)
    exam.for_rules(rule_id)(reply.is_refused and reply.status != 412, reply, "4xx, such as 400")


def _check_strange_servers(
    exam: Examination, entry: Entry, patient: SyntheticPatient, fhir: FhirSide
) -> None:
    """A FHIR server that nobody listed hears nothing, with a token or without."""
    address = fhir.elsewhere.base_url
    for rule_id, grant in (("CH-401", None), ("CH-408", fhir.grant())):
        before = len(fhir.elsewhere.requests)
        what = f"a FHIR server that is not allowed, {'with' if grant else 'without'} a token"
        reply, _ = _call(exam, entry, patient, fhir, what, fhirServer=address, fhirAuthorization=grant)
        heard = len(fhir.elsewhere.requests) - before
        exam.ledger.expect(rule_id, not heard, reply.what, "no request", f"{heard} requests")
