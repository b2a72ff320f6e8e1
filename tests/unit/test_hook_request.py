"""What a request body may hold, and how each refusal names the place."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from cds_service.errors import RequestError
from cds_service.hook_request import read_hook_request

TOKEN = "marker-token-7f3a"
DELETED = object()
VALID: dict[str, Any] = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"userId": "Practitioner/1", "patientId": "p1", "encounterId": "e-1.2"},
    "fhirServer": "https://ehr.example.org/fhir",
    "fhirAuthorization": {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "patient/*.read launch",
        "subject": "trd-cds",
        "patient": "p1",
    },
    "prefetch": {"patient": None, "unheard-of": 1},
    "extension": {"com.example": [1, 2]},
}

REFUSED = [
    # path of the change, new value, what the message has to name
    ("", [], "$: expected an object, got an array"),
    ("", "text", "$: expected an object, got a string"),
    ("hook", DELETED, "$.hook: required"),
    ("hook", 7, "$.hook: expected a string, got a number"),
    ("hook", "order-sign", "$.hook: expected 'patient-view'"),
    ("hook", "<b>patient view</b>", "got another text"),
    ("hookInstance", DELETED, "$.hookInstance: required"),
    ("hookInstance", "not-a-uuid", "$.hookInstance: expected a UUID"),
    ("hookInstance", None, "$.hookInstance: expected a string, got null"),
    ("context", DELETED, "$.context: required"),
    ("context", 12, "$.context: expected an object, got a number"),
    ("context.userId", DELETED, "$.context.userId: required"),
    ("context.userId", "1", "$.context.userId: expected Type/id"),
    ("context.userId", "Practitioner/", "$.context.userId: expected Type/id"),
    ("context.userId", "Device/1", "$.context.userId: expected Type/id"),
    ("context.userId", "Practitioner/1/2", "$.context.userId: expected Type/id"),
    ("context.patientId", DELETED, "$.context.patientId: required"),
    ("context.patientId", 12, "$.context.patientId: expected a string, got a number"),
    ("context.patientId", True, "$.context.patientId: expected a string, got a boolean"),
    ("context.patientId", "", "$.context.patientId: expected a string with content"),
    ("context.patientId", "Patient/p1", "$.context.patientId: expected a bare FHIR id"),
    ("context.patientId", "p1?x=1", "$.context.patientId: expected a bare FHIR id"),
    ("context.patientId", "p" * 65, "$.context.patientId: expected a bare FHIR id"),
    ("context.encounterId", 4, "$.context.encounterId: expected a string, got a number"),
    ("fhirServer", DELETED, "$.fhirServer: expected with fhirAuthorization"),
    ("fhirServer", "ehr.example.org/fhir", "$.fhirServer: expected an absolute"),
    ("fhirServer", "file:///etc/passwd", "$.fhirServer: expected an absolute"),
    ("fhirServer", {}, "$.fhirServer: expected a string, got an object"),
    ("fhirAuthorization", [], "$.fhirAuthorization: expected an object"),
    ("fhirAuthorization.access_token", DELETED, "$.fhirAuthorization.access_token: required"),
    ("fhirAuthorization.access_token", "", "$.fhirAuthorization.access_token"),
    ("fhirAuthorization.access_token", f"{TOKEN}\r\nHost: x", "$.fhirAuthorization.access_token"),
    ("fhirAuthorization.token_type", DELETED, "$.fhirAuthorization.token_type: required"),
    ("fhirAuthorization.token_type", "MAC", "$.fhirAuthorization.token_type: expected 'Bearer'"),
    ("fhirAuthorization.expires_in", DELETED, "$.fhirAuthorization.expires_in: required"),
    ("fhirAuthorization.expires_in", "3600", "$.fhirAuthorization.expires_in: expected a whole number"),
    ("fhirAuthorization.expires_in", True, "$.fhirAuthorization.expires_in: expected a whole number"),
    ("fhirAuthorization.expires_in", 1.5, "$.fhirAuthorization.expires_in: expected a whole number"),
    ("fhirAuthorization.scope", DELETED, "$.fhirAuthorization.scope: required"),
    ("fhirAuthorization.scope", ["patient/*.read"], "$.fhirAuthorization.scope: expected a string"),
    ("fhirAuthorization.subject", DELETED, "$.fhirAuthorization.subject: required"),
    ("fhirAuthorization.patient", 1, "$.fhirAuthorization.patient: expected a string"),
    ("prefetch", [], "$.prefetch: expected an object, got an array"),
]
BEGUN: dict[str, Any] = VALID | {"hook": "encounter-start"}
SIGNED: dict[str, Any] = VALID | {
    "hook": "order-sign",
    "context": {"userId": "Practitioner/1", "patientId": "p1", "draftOrders": {"resourceType": "Bundle"}},
}
SELECTED: dict[str, Any] = VALID | {
    "hook": "order-select",
    "context": {**SIGNED["context"], "selections": ["MedicationRequest/d1"]},
}
REFUSED_OF_OTHER_HOOKS = [
    # request, path of the change, new value, what the message has to name
    (BEGUN, "context.encounterId", DELETED, "$.context.encounterId: required"),
    (BEGUN, "context.encounterId", None, "$.context.encounterId: expected a string, got null"),
    (BEGUN, "context.encounterId", "Encounter/e1", "$.context.encounterId: expected a bare FHIR id"),
    (BEGUN, "context.userId", "Device/1", "$.context.userId: expected Type/id"),
    (SIGNED, "context.draftOrders", DELETED, "$.context.draftOrders: required"),
    (SIGNED, "context.draftOrders", None, "$.context.draftOrders: expected an object, got null"),
    (SIGNED, "context.draftOrders", [], "$.context.draftOrders: expected an object, got an array"),
    (SIGNED, "context.encounterId", 4, "$.context.encounterId: expected a string, got a number"),
    (SELECTED, "context.draftOrders", DELETED, "$.context.draftOrders: required"),
    (SELECTED, "context.selections", DELETED, "$.context.selections: required"),
    (SELECTED, "context.selections", None, "$.context.selections: expected an array, got null"),
    (
        SELECTED,
        "context.selections",
        "MedicationRequest/d1",
        "$.context.selections: expected an array, got a string",
    ),
    (SELECTED, "context.userId", "1", "$.context.userId: expected Type/id"),
]
ACCEPTED_OF_OTHER_HOOKS = [
    (BEGUN, "context.userId", "PractitionerRole/1"),
    (BEGUN, "context.userId", "Patient/p1"),
    (SIGNED, "context.encounterId", None),
    (SIGNED, "context.draftOrders", {}),
    (SIGNED, "context.draftOrders", {"entry": 5}),
    (SIGNED, "context.selections", 5),
    (SELECTED, "context.selections", []),
    (SELECTED, "context.selections", [None, 5, {}]),
    (SELECTED, "context.userId", "RelatedPerson/1"),
]
REFUSED_BY_CODE_ONLY = [
    ("context.patientId", "..", "$.context.patientId: expected a bare FHIR id"),
    ("context.patientId", "p1\n", "$.context.patientId: expected a bare FHIR id"),
    ("fhirAuthorization.patient", "p2", "$.fhirAuthorization.patient: expected the id of context.patientId"),
]
ACCEPTED = [
    ("hookInstance", "D1577C69-DFBE-44AD-BA6D-3E05E953B2EA"),
    ("context.userId", "PractitionerRole/a"),
    ("context.userId", "RelatedPerson/a"),
    ("context.encounterId", None),
    ("context.encounterId", DELETED),
    ("context.unheardOf", {"deep": [1]}),
    ("fhirAuthorization", None),
    ("fhirAuthorization", DELETED),
    ("fhirAuthorization.patient", DELETED),
    ("fhirAuthorization.expires_in", 3600.0),
    ("fhirAuthorization.expires_in", -5),
    ("fhirAuthorization.scope", ""),
    ("fhirServer", "http://127.0.0.1:8080/fhir/"),
    ("prefetch", None),
    ("prefetch", DELETED),
    ("prefetch.patient", "123"),
]


@pytest.mark.parametrize(("path", "value", "message"), REFUSED + REFUSED_BY_CODE_ONLY)
def test_a_wrong_element_is_refused_by_its_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(changed(path, value))
    assert message in str(refused.value)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(("path", "value"), ACCEPTED)
def test_what_real_clients_vary_is_accepted(path: str, value: Any) -> None:
    assert read(changed(path, value)).patient_id == "p1"


@pytest.mark.parametrize(("path", "value"), [row[:2] for row in REFUSED])
def test_the_published_schema_refuses_the_same(path: str, value: Any) -> None:
    assert not schema().is_valid(changed(path, value))


@pytest.mark.parametrize(("path", "value"), ACCEPTED)
def test_the_published_schema_accepts_the_same(path: str, value: Any) -> None:
    schema().validate(changed(path, value))


@pytest.mark.conformance("CH-202", "CH-204", "CH-H02", "CH-H03", "CH-H04")
@pytest.mark.parametrize(("request_", "path", "value", "message"), REFUSED_OF_OTHER_HOOKS)
def test_what_a_hook_requires_is_refused_by_its_path(
    request_: Any, path: str, value: Any, message: str
) -> None:
    body = changed(path, value, request_)
    with pytest.raises(RequestError) as refused:
        read(body, request_["hook"])
    assert message in str(refused.value)
    assert not schema().is_valid(body)


@pytest.mark.parametrize(("request_", "path", "value"), ACCEPTED_OF_OTHER_HOOKS)
def test_what_clients_of_a_hook_vary_is_accepted(request_: Any, path: str, value: Any) -> None:
    body = changed(path, value, request_)
    assert read(body, request_["hook"]).patient_id == "p1"
    schema().validate(body)


def test_drafts_and_selections_come_as_they_are() -> None:
    selected, signed, seen = read(SELECTED, "order-select"), read(SIGNED, "order-sign"), read(VALID)
    assert selected.draft_orders == signed.draft_orders == {"resourceType": "Bundle"}
    assert selected.selections == ("MedicationRequest/d1",)
    assert (signed.selections, seen.selections, seen.draft_orders) == (None, None, None)


def test_what_another_hook_would_need_is_ignored() -> None:
    assert read(changed("context.draftOrders", 5)).draft_orders is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty body"),
        (b'{"hook": ', "expected JSON"),
        (b"hook=patient-view", "expected JSON"),
        (b"{} {}", "trailing characters"),
        (b'{"a": NaN}', "expected JSON"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a": "\xff"}', "UTF-8"),
        ("{}".encode("utf-16"), "expected JSON"),
        (b'{"a": "\\ud800"}', "expected JSON"),
        (b"[" * 200_000, "nested"),
        (b'{"a":' * 200_000, "nested"),
        (b"null", "$: expected an object, got null"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message.replace("$", r"\$")):
        read_hook_request(body, "patient-view")


@pytest.mark.parametrize(
    "twice",
    [
        b'"hook": "patient-view", "hook" : "patient-view"',
        b'"prefetch": {"conditions": null, "conditions": {}}',
        b'"prefetch": {"patient": {"a": [{"status": 1, "\\u0073tatus": 2}]}}',
        b'"prefetch": {"patient": {"a:\\u003a": 1, "b": 1, "b": 2}}',
        b'"prefetch": {"patient": {"n": 123456789012345678901234567890, "b": 1, "b": 2}}',
    ],
)
def test_a_name_given_twice_is_refused_wherever_it_stands(twice: bytes) -> None:
    with pytest.raises(RequestError, match="twice"):
        read_hook_request(b"{" + twice + b', "context": {"userId": "x:y"}}', "patient-view")


def test_texts_with_colons_and_huge_integers_are_no_reason_to_refuse() -> None:
    prefetch = {"patient": {"text": 'a ":" b', "\\": ":", "n": 10**30}}
    assert read(changed("prefetch", prefetch)).prefetch == prefetch


def test_a_request_without_prefetch_server_and_token_is_legal() -> None:
    request = read({name: VALID[name] for name in ("hook", "hookInstance", "context")})
    assert (request.fhir_server, request.token, request.scopes, request.prefetch) == (None, None, None, {})


def test_the_token_shows_in_no_representation() -> None:
    request = read(VALID)
    assert request.token == TOKEN
    assert request.scopes == ("patient/*.read", "launch")
    assert TOKEN not in repr(request)


@pytest.mark.parametrize(("expires_in", "usable"), [(1, True), (0, False), (-1, False)])
def test_a_token_that_has_run_out_is_not_used(expires_in: int, usable: bool) -> None:
    request = read(changed("fhirAuthorization.expires_in", expires_in))
    assert (request.token is not None) is usable
    assert request.token_expired is not usable


def read(body: Any, hook: str = "patient-view") -> Any:
    return read_hook_request(json.dumps(body).encode(), hook)


def changed(path: str, value: Any, request: Any = VALID) -> Any:
    """A valid request with the element at `path` replaced or deleted."""
    if not path:
        return value
    body = copy.deepcopy(request)
    *parents, last = path.split(".")
    holder = body
    for name in parents:
        holder = holder[name]
    if value is DELETED:
        del holder[last]
    else:
        holder[last] = value
    return body


def schema() -> jsonschema.Draft202012Validator:
    file = resources.files("cds_service").joinpath("schemas/cds-hooks-request.json")
    content = json.loads(file.read_text())
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)
