"""Calls of one service: right ones that it should answer, wrong ones that it should refuse without breaking."""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Iterator
from typing import Any

from cds_service.conform.cards import CardCheck
from cds_service.conform.examination import Entry, Examination
from cds_service.conform.exchange import NO_ANSWER, Reply
from cds_service.conform.hooks import collection, draft_order
from cds_service.conform.patients import SyntheticPatient

# Of the order of 500 ms is below ten times as long and well above: the figure is this project's choice.
SLOW_SECONDS = 2.0

OF_CALLS = (
    *("CH-007", "CH-201", "CH-202", "CH-203", "CH-204", "CH-207", "CH-208", "CH-209", "CH-210", "CH-211"),
    *(
        "CH-206",
        "CH-310",
        "CH-311",
        "CH-312",
        "CH-313",
        "CH-314",
        "CH-318",
        "CH-320",
        "CH-501",
        "CH-502",
        "CH-903",
    ),
    *("CH-H22", "CH-H26", "CH-W02", "CH-V11"),
)
OF_CARDS = (
    *("CH-505", "CH-506", "CH-507", "CH-508", "CH-512", "CH-513"),
    *("CH-509", "CH-510", "CH-511", "CH-514", "CH-515", "CH-516", "CH-517", "CH-518"),
    *("CH-601", "CH-602", "CH-603", "CH-604", "CH-606", "CH-607", "CH-608", "CH-609", "CH-610"),
    *("CH-611", "CH-612", "CH-613", "CH-614", "CH-615", "CH-616", "CH-008", "CH-V04"),
)
NEEDS_A_CARD = ("CH-312", "CH-313", "CH-318")

MALFORMED = {
    "an empty body": b"",
    "truncated JSON": b'{"hook": "patient-view", ',
    "an array as root": b"[]",
    "a text as root": b'"hook"',
    "null as root": b"null",
    "no JSON at all": b"hook=patient-view",
    "bytes that are no UTF-8": b'{"hook": "\xff\xfe"}',
    "nesting of 50,000 levels": b'{"a":' * 50_000,
}
_OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception", "diagnostics": "the search failed"}],
}


def check_service(exam: Examination, entry: Entry, cards: CardCheck) -> bool:
    """Calls the service in many ways. False if it cannot be called at all, with the reason in the ledger."""
    if entry.hook is None:
        exam.ledger.not_tried(OF_CALLS, f"no context is known for the hook {entry.hook_name}")
        return False
    if not _can_be_called(exam, entry):
        return False
    full = _check_patients(exam, entry, cards)
    _check_prefetch(exam, entry, full)
    _check_tolerance(exam, entry, full)
    _check_missing(exam, entry)
    _check_malformed(exam, entry)
    _check_users(exam, entry)
    if entry.hook.has_draft_orders:
        _check_orders(exam, entry)
    return True


def _can_be_called(exam: Examination, entry: Entry) -> bool:
    reply = exam.post(entry, exam.request(entry, exam.patients[0]), "the first call")
    if reply.status == 401:
        given = "refuses the one given" if exam.options.signer else "give --jwk and --issuer"
        exam.ledger.not_tried((*OF_CALLS, *OF_CARDS), f"{entry} needs a client token: {given}")
        return False
    is_there = reply.status not in (404, NO_ANSWER)
    return exam.ledger.expect("CH-107", is_there, reply.what, "a service at its address", reply.shown)


def _check_patients(exam: Examination, entry: Entry, cards: CardCheck) -> Reply:
    """Everything prefetched, for each patient; the reply about the patient that tells most."""
    replies = {patient: _fully_prefetched(exam, entry, patient) for patient in exam.patients}
    for patient, reply in replies.items():
        exam.ledger.expect("CH-201", reply.is_served, reply.what, "200", reply.shown)
        _note_status(exam, entry, reply)
        if reply.status == 200:
            cards.inspect(reply, patient.id)
        if reply.cards and patient.is_self_contained:
            exam.telling.setdefault((entry.id, entry.hook_name), patient)
        for card in reply.cards:
            if isinstance(card.get("uuid"), str):
                exam.shown_cards.setdefault(entry.id, card)
    seconds = statistics.median(reply.seconds for reply in replies.values())
    shown = f"{seconds * 1000:.0f} ms"
    is_quick = seconds <= SLOW_SECONDS
    exam.ledger.expect("CH-210", is_quick, f"{entry}: half of all calls", f"up to {SLOW_SECONDS} s", shown)
    return replies[exam.any_patient(entry)]


def _fully_prefetched(exam: Examination, entry: Entry, patient: SyntheticPatient) -> Reply:
    return exam.post(entry, exam.request(entry, patient), f"patient {patient.id[-2:]} with full prefetch")


def _note_status(exam: Examination, entry: Entry, reply: Reply) -> None:
    assert entry.hook is not None
    exam.ledger.expect(
        entry.hook.rule_id, reply.is_served, reply.what, "200 for a valid context", reply.shown
    )
    has_no_content = reply.status == 204 or (reply.status == 200 and not reply.content)
    exam.ledger.expect("CH-502", not has_no_content, reply.what, "200 with cards", reply.shown)


# --- with less in the prefetch ----------------------------------------------------------------------------


def _check_prefetch(exam: Examination, entry: Entry, full: Reply) -> None:
    patient = exam.any_patient(entry)
    request = exam.request(entry, patient)
    minimal = exam.post(entry, request | {"prefetch": {}}, "nothing prefetched")
    exam.for_rules("CH-207")(minimal.is_served, minimal, "200, or 412 if data are needed")
    _check_error_body(exam, entry, minimal)
    bare = {name: value for name, value in request.items() if name != "prefetch"}
    without = exam.post(entry, bare, "no prefetch, no fhirServer")
    exam.for_rules("CH-208")(without.is_served, without, "200, or 412 if data are needed")
    if entry.prefetch:
        _check_values(exam, entry, request, full)
        if full.cards:
            exam.for_rules("CH-313")(not _says_nothing(without), without, "412: with data there was a card")
        else:
            exam.ledger.not_tried(NEEDS_A_CARD, "the service showed no card about the synthetic patients")
    else:
        exam.ledger.not_applicable(
            ("CH-310", "CH-311", "CH-312", "CH-313", "CH-314", "CH-318", "CH-320"),
            "no prefetch is advertised",
        )


def _says_nothing(reply: Reply) -> bool:
    return reply.status == 200 and not reply.cards


def _check_values(exam: Examination, entry: Entry, request: dict[str, Any], full: Reply) -> None:
    for key in list(request.get("prefetch", {})):
        fewer = {name: value for name, value in request["prefetch"].items() if name != key}
        reply = exam.post(entry, request | {"prefetch": fewer}, f"prefetch without {key}")
        exam.for_rules("CH-314", "CH-315")(reply.is_served, reply, "200, or 412 if the key is required")
    _check_known_empty(exam, entry, request)
    for name, value in (("texts", "123"), ("arrays", []), ("other resources", {"resourceType": "Basic"})):
        wrong: dict[str, Any] = dict.fromkeys(request["prefetch"], value)
        reply = exam.post(entry, request | {"prefetch": wrong}, f"{name} prefetched for all keys")
        is_kept_up = reply.status == 200 or reply.is_refused
        exam.for_rules("CH-320")(is_kept_up, reply, "4xx, or 200")
    if full.cards:
        _check_failed(exam, entry, request)
        _check_strangers(exam, entry, request, full)


def _check_known_empty(exam: Examination, entry: Entry, request: dict[str, Any]) -> None:
    nulls, empty = (
        {key: other if "?" in entry.prefetch[key] else value for key, value in request["prefetch"].items()}
        for other in (None, {"resourceType": "Bundle", "type": "searchset", "total": 0})
    )
    first = exam.post(entry, request | {"prefetch": nulls}, "null for each search")
    second = exam.post(entry, request | {"prefetch": empty}, "an empty Bundle for each search")
    exam.ledger.expect(
        "CH-311", first.guidance == second.guidance, first.what, second.guidance, first.guidance
    )
    for reply in (first, second):
        _note_status(exam, entry, reply)


def _check_failed(exam: Examination, entry: Entry, request: dict[str, Any]) -> None:
    entries = [{"resource": _OUTCOME, "search": {"mode": "outcome"}}]
    in_bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    for name, value in (("an OperationOutcome", _OUTCOME), ("a Bundle of an OperationOutcome", in_bundle)):
        failed = dict.fromkeys(request["prefetch"], value)
        reply = exam.post(entry, request | {"prefetch": failed}, f"{name} for all keys")
        fits = (reply.status == 200 or reply.is_refused) and not _says_nothing(reply)
        exam.for_rules("CH-312")(fits, reply, "412: a failed prefetch is no absence of data")


def _check_strangers(exam: Examination, entry: Entry, request: dict[str, Any], full: Reply) -> None:
    """Records of another patient among those of this one."""
    patient = exam.any_patient(entry)
    other = next(each for each in exam.patients if each is not patient)
    theirs = other.prefetch(entry.prefetch, exam.context(entry, other))
    mixed = {key: _joined(value, theirs.get(key)) for key, value in request["prefetch"].items()}
    reply = exam.post(entry, request | {"prefetch": mixed}, "records of another patient in each search")
    fits = reply.is_refused or _headlines(reply) == _headlines(full)
    exam.for_rules("CH-318")(fits, reply, f"a refusal or the same cards: {_headlines(full)}")


def _headlines(reply: Reply) -> list[tuple[Any, Any]]:
    return [(card.get("indicator"), card.get("summary")) for card in reply.cards]


def _joined(bundle: Any, other: Any) -> Any:
    if not (isinstance(bundle, dict) and isinstance(other, dict) and "entry" in other):
        return bundle
    if bundle.get("resourceType") != "Bundle":
        return bundle
    entries = bundle.get("entry", []) + other["entry"]
    return bundle | {"entry": entries, "total": len(entries)}


# --- what has to make no difference -----------------------------------------------------------------------


def _check_tolerance(exam: Examination, entry: Entry, full: Reply) -> None:
    request = exam.request(entry, exam.any_patient(entry))
    again = exam.post(entry, request, "the same once more")
    exam.ledger.expect("CH-211", again.guidance == full.guidance, again.what, full.guidance, again.guidance)
    reused = [card for card in again.cards if card.get("uuid") == request["hookInstance"]]
    exam.ledger.expect("CH-203", not reused, again.what, "card uuids other than hookInstance", "the same")
    strange = {"unheardOf": {"a": 1}, "context": request["context"] | {"unheardOf": "a"}}
    _check_same(exam, entry, request | strange, full, "unknown members", ("CH-007",))
    extended = {"extension": {"com.example.conform": {"a": 1}}}
    _check_same(exam, entry, request | extended, full, "an unknown extension", ("CH-007", "CH-903"))
    if "prefetch" in request:
        more = request["prefetch"] | {"unheardOf": {"resourceType": "Basic", "id": "1"}}
        _check_same(exam, entry, request | {"prefetch": more}, full, "a further prefetch key", ("CH-207",))


def _check_same(
    exam: Examination, entry: Entry, body: Any, full: Reply, what: str, rule_ids: tuple[str, ...]
) -> None:
    reply = exam.post(entry, body, what)
    for rule_id in rule_ids:
        exam.ledger.expect(rule_id, reply.guidance == full.guidance, reply.what, full.guidance, reply.shown)


def _check_users(exam: Examination, entry: Entry) -> None:
    """A user of each type that the hook allows is served alike; a field that is optional may lack."""
    patient = exam.any_patient(entry)
    hook = entry.hook
    assert hook is not None
    lean = hook.context(patient.id, with_optional=False)
    reply = exam.post(entry, exam.request(entry, patient, context=lean), "a context of required fields only")
    exam.ledger.expect(hook.rule_id, reply.is_served, reply.what, "200 or 412", reply.shown)
    if "userId" not in hook.required:
        return
    users = ["PractitionerRole/conform-user"]
    if hook.name in ("patient-view", "appointment-book"):
        users += [f"Patient/{patient.id}", "RelatedPerson/conform-user"]
    for user in users:
        request = exam.request(entry, patient, context=exam.context(entry, patient, user))
        reply = exam.post(entry, request, f"a user who is a {user.partition('/')[0]}")
        exam.for_rules("CH-H26")(reply.is_served, reply, "200 or 412")


# --- what has to be refused -------------------------------------------------------------------------------


def _check_missing(exam: Examination, entry: Entry) -> None:
    request = exam.request(entry, exam.any_patient(entry))
    for what, body, rule_id in _wrong_requests(request, entry):
        reply = exam.post(entry, body, what)
        exam.for_rules(rule_id)(reply.is_refused, reply, "4xx")
        _check_error_body(exam, entry, reply)
    strange = request | {"hook": "org.example.never-fired"}
    reply = exam.post(entry, strange, "a hook that the service is not registered for")
    fits = reply.is_refused or _says_nothing(reply)
    exam.for_rules("CH-202")(fits, reply, "4xx, and never a card")
    loose = exam.post(entry, request | {"hookInstance": "not-a-uuid"}, "a hookInstance that is no UUID")
    exam.for_rules("CH-203")(loose.is_refused or loose.status == 200, loose, "4xx, or 200")
    get = exam.client.call("GET", ("cds-services", entry.id), f"{entry}: GET instead of POST")
    exam.for_rules("CH-201")(get.is_refused, get, "405")


def _wrong_requests(request: dict[str, Any], entry: Entry) -> Iterator[tuple[str, dict[str, Any], str]]:
    assert entry.hook is not None
    for name, rule_id in (("hook", "CH-202"), ("hookInstance", "CH-203"), ("context", "CH-204")):
        yield f"no {name}", {key: value for key, value in request.items() if key != name}, rule_id
        yield f"{name} that is a number", request | {name: 5}, rule_id
        yield f"{name} that is an array", request | {name: []}, rule_id
    for name in entry.hook.required:
        fewer = {key: value for key, value in request["context"].items() if key != name}
        yield f"no context.{name}", request | {"context": fewer}, "CH-204"
    for wrong in (5, "nonsense"):
        yield f"fhirAuthorization {wrong!r}", request | {"fhirAuthorization": wrong}, "CH-206"
        yield f"prefetch {wrong!r}", request | {"prefetch": wrong}, "CH-209"


def _check_malformed(exam: Examination, entry: Entry) -> None:
    for name, body in MALFORMED.items():
        reply = exam.post(entry, body, name)
        exam.for_rules("CH-209")(reply.is_refused, reply, "4xx")
        _check_error_body(exam, entry, reply)


def _check_error_body(exam: Examination, entry: Entry, reply: Reply) -> None:
    """3.0 wants an OperationOutcome with each error; a 2.0.1 service may say what it likes."""
    if not (entry.version.startswith(("STU3", "3.")) or exam.options.hooks_version != "2.0.1"):
        exam.ledger.not_applicable(["CH-V11"], "the service is checked as one of 2.0.1")
        return
    if reply.status >= 400:
        body = reply.body
        is_outcome = isinstance(body, dict) and body.get("resourceType") == "OperationOutcome"
        exam.ledger.expect("CH-V11", is_outcome, reply.what, "an OperationOutcome", reply.shown)


def check_unknown_id(exam: Examination) -> None:
    """An id that nobody offers."""
    id = f"conform-{uuid.uuid4().hex[:12]}"
    body = {"hook": "patient-view", "hookInstance": str(uuid.uuid4()), "context": {}}
    reply = exam.client.call("POST", ("cds-services", id), "an id that is not listed", body=body)
    exam.for_rules("CH-201")(reply.is_refused, reply, "404")


# --- order hooks ------------------------------------------------------------------------------------------


def _check_orders(exam: Examination, entry: Entry) -> None:
    """The shapes that order hooks take in real clients."""
    patient = exam.any_patient(entry)
    request = exam.request(entry, patient)
    plain = exam.post(entry, request, "a complete draft order")
    loose = draft_order(patient.id)
    untyped = {"resourceType": "Bundle", "entry": [{"resource": loose}]}
    reply = exam.post(entry, _with_orders(request, untyped), "a Bundle without type and fullUrl")
    exam.ledger.expect("CH-H22", reply.guidance == plain.guidance, reply.what, plain.guidance, reply.shown)
    odd = untyped | {"entry": [{"resource": loose | {"category": {"text": "outpatient"}}}]}
    _expect_served(exam, entry, _with_orders(request, odd), "a category that is an object", "CH-W02")
    _expect_served(exam, entry, _with_orders(request, untyped), "a Bundle without type", "CH-W02")
    empty = _with_orders(request, {"resourceType": "Bundle", "type": "collection"})
    _expect_served(exam, entry, empty, "no draft orders", "CH-H22")
    if entry.hook_name == "order-select":
        _check_selections(exam, entry, request, patient)


def _check_selections(
    exam: Examination, entry: Entry, request: dict[str, Any], patient: SyntheticPatient
) -> None:
    chosen = collection(draft_order(patient.id, medicationCodeableConcept=None, dosageInstruction=None))
    unready = chosen["entry"][0]["resource"]
    del unready["intent"]
    _expect_served(exam, entry, _with_orders(request, chosen), "no drug chosen yet", "CH-W01")
    unmatched = request["context"] | {"selections": ["MedicationRequest/nowhere", "ServiceRequest/nowhere"]}
    reply = exam.post(entry, request | {"context": unmatched}, "selections that match no draft order")
    exam.for_rules("CH-H02")(reply.is_served, reply, "200 or 412")


def _with_orders(request: dict[str, Any], orders: dict[str, Any]) -> dict[str, Any]:
    return request | {"context": request["context"] | {"draftOrders": orders}}


def _expect_served(exam: Examination, entry: Entry, body: Any, what: str, rule_id: str) -> None:
    reply = exam.post(entry, body, what)
    exam.for_rules(rule_id)(reply.is_served, reply, "200 or 412")
