"""CDS Hooks 2.0.1, rule by rule, as a client on the network sees it; each test names the rules it is about.

0xx JSON, 1xx discovery, 2xx request, 3xx prefetch, 4xx access, 5xx cards, 6xx suggestions and links, 8xx
security, 9xx extensions, H hooks, W what real clients send. Fixture patients are prefetched to a service whose
today is their story's day, so that real cards are judged.
"""

from __future__ import annotations

import copy
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from fhir.resources.R4B import get_fhir_model_class
from markdown_it import MarkdownIt

from cds_service.errors import SettingsError
from cds_service.settings import Settings, load_settings
from fhir_fixtures import vignettes
from fhir_fixtures.builders import bundle, condition, medication_request, observation, patient, searchset
from fhir_fixtures.server import EmbeddedServer
from tests.contract.conftest import (
    CONTEXTS,
    EMPTY_PREFETCH,
    HOOK_PATH,
    RunningService,
    Serve,
    authorization,
    hook_request,
    request_of,
    subsets_of_keys,
)
from tests.contract.replies import assert_nothing_empty, assert_operation_outcome, assert_sound
from tests.contract.stub_server import Asked, Reply, StubServer
from tests.test_vignettes import sorted_by_type

TOKEN = "marker-token-9b1e"
KEYS = tuple(EMPTY_PREFETCH)
REQUIRED = ("patient", "medications", "observations", "conditions")
OPTIONAL = tuple(key for key in KEYS if key not in REQUIRED)
ABSOLUTE_URL = re.compile(r"https?://[a-z0-9.-]+(:\d+)?(/\S*)?")
UUID_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
CHART = (patient(), medication_request("rx1"), observation("obs1"), observation("obs2"), condition("dx1"))
PREFETCH = {
    "patient": CHART[0],
    "medications": searchset(CHART[1]),
    "observations": searchset(*CHART[2:4]),
    "conditions": searchset(CHART[4]),
    "dispenses": searchset(),
    "statements": searchset(),
    "administrations": searchset(),
    "procedures": searchset(),
    "questionnaires": searchset(),
    "adverseEvents": searchset(),
    "allergies": searchset(),
    "requests": searchset(),
}
ERROR = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}


@pytest.fixture(scope="module")
def replies(service: RunningService) -> list[dict[str, Any]]:
    """The replies about all fixture patients."""
    return [service.post(request_about(number)).json() for number in range(1, 25)]


@pytest.fixture(scope="module")
def cards(replies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [card for reply in replies for card in reply["cards"]]
    assert len(found) > 10
    return found


@pytest.fixture
def fhir() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(require_token=TOKEN) as server:
        server.load(bundle(*CHART, type="transaction"))
        yield server


def request_about(number: int) -> dict[str, Any]:
    (vignette,) = vignettes([number])
    context = {"userId": "Practitioner/1", "patientId": vignette.patient_id}
    return hook_request(context=context, prefetch=sorted_by_type(vignette))


def with_access(base_url: str, **elements: Any) -> dict[str, Any]:
    access = {"fhirServer": base_url, "fhirAuthorization": authorization(TOKEN)}
    return hook_request(**{"prefetch": {}} | access | elements)


def without_uuids(reply: requests.Response) -> str:
    return re.sub(r'"uuid":"[^"]+"', "", reply.text)


def parts_of(value: Any) -> Iterator[Any]:
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts_of(part)


# --- 1 transport and JSON ---------------------------------------------------------------------------------

CALLS = [
    ("GET", "/cds-services", None, 200),
    ("POST", HOOK_PATH, hook_request(), 200),
    ("POST", HOOK_PATH, {}, 400),
    ("POST", HOOK_PATH, hook_request(prefetch=None), 412),
    ("POST", "/cds-services/nothing", hook_request(), 404),
    ("POST", f"{HOOK_PATH}/feedback", {}, 400),
    ("POST", f"{HOOK_PATH}/feedback", {"feedback": []}, 200),
    ("GET", f"{HOOK_PATH}/feedback", None, 405),
    ("POST", "/cds-services/nothing/feedback", {"feedback": []}, 404),
    ("GET", HOOK_PATH, None, 405),
    ("POST", "/cds-services", hook_request(), 405),
    ("POST", "/cds-services//trd-patient-view", {}, 404),
]


@pytest.mark.conformance("CH-001", "CH-504")
@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS)
def test_ch_001_every_body_is_json(
    service: RunningService, method: str, path: str, body: Any, status: int
) -> None:
    reply = service.call(method, path, json=body)
    assert reply.status_code == status
    assert reply.headers["Content-Type"].startswith("application/json")
    if status == 200:
        assert_nothing_empty(reply.json())
    else:
        assert_operation_outcome(reply.json())


@pytest.mark.conformance("CH-002")
def test_ch_002_production_does_not_start_on_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRD_CDS_MODE", "production")
    with pytest.raises(SettingsError, match="TLS_TERMINATED"):
        load_settings()


@pytest.mark.conformance("CH-003", "CH-004", "CH-005", "CH-006")
def test_ch_003_to_006_replies_hold_nothing_null_empty_or_undefined(replies: list[dict[str, Any]]) -> None:
    for reply in replies:
        assert_sound(200, reply)


@pytest.mark.conformance("CH-003", "CH-004", "CH-005")
def test_ch_003_to_005_without_the_extension(serve: Serve) -> None:
    reply = serve(assessment_extension=False).post(hook_request()).json()
    assert reply == {"cards": []}


@pytest.mark.conformance("CH-007")
def test_ch_007_unknown_elements_are_ignored(service: RunningService) -> None:
    plain = request_about(1)
    strange = plain | {"extension": {"com.example.x": {"a": 1}}, "unheardOf": [None]}
    strange["context"] = plain["context"] | {"unheardOf": {"a": []}, "extension": {}}
    assert without_uuids(service.post(strange)) == without_uuids(service.post(plain))


@pytest.mark.conformance("CH-008", "CH-608", "CH-V17")
def test_ch_008_and_608_resources_are_valid_r4_about_the_patient(replies: list[dict[str, Any]]) -> None:
    count = 0
    for vignette, reply in zip(vignettes(), replies, strict=True):
        for action in actions_of(reply["cards"]):
            resource = action["resource"]
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
            assert resource["subject"]["reference"] == f"Patient/{vignette.patient_id}"
            assert "id" not in resource
            count += 1
    assert count > 10


# --- 2 discovery ------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-101", "CH-102", "CH-103")
@pytest.mark.parametrize("public_url", ["https://cds.example.org", "https://cds.example.org/"])
def test_ch_101_to_103_discovery_is_there_whatever_the_public_address(serve: Serve, public_url: str) -> None:
    reply = serve(public_url=public_url).get("/cds-services")
    assert reply.status_code == 200
    assert isinstance(reply.json()["services"], list)


@pytest.mark.conformance("CH-105", "CH-106", "CH-107", "CH-108", "CH-109", "CH-110", "CH-111", "CH-112")
def test_ch_105_to_112_each_entry_is_complete(service: RunningService) -> None:
    for entry in discovered(service):
        assert set(entry) <= {"hook", "title", "description", "id", "prefetch", "usageRequirements"}
        assert all(entry[name] for name in entry)
        assert entry["hook"] in CONTEXTS
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]*", entry["id"])
        assert entry["id"] != "feedback"
        assert "412" in entry["usageRequirements"]
        assert all(isinstance(query, str) for query in entry["prefetch"].values())
    pairs = [(entry["hook"], entry["id"]) for entry in discovered(service)]
    assert len(pairs) == len(set(pairs))


@pytest.mark.conformance("CH-107")
def test_ch_107_each_id_can_be_called(service: RunningService) -> None:
    for entry in discovered(service):
        body = request_of(entry["hook"])
        assert service.post(body, f"/cds-services/{entry['id']}").status_code == 200


@pytest.mark.conformance("CH-113")
def test_ch_113_discovery_is_not_posted_to(service: RunningService) -> None:
    reply = service.post({}, "/cds-services")
    assert reply.status_code == 405
    assert "GET" in reply.headers["Allow"]


def discovered(service: RunningService) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = service.get("/cds-services").json()["services"]
    return entries


# --- 3 the request ----------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-202", "CH-203", "CH-204")
@pytest.mark.parametrize("name", ["hook", "hookInstance", "context"])
@pytest.mark.parametrize("value", [None, "", 5, [], {}, True])
def test_ch_202_to_204_required_elements(service: RunningService, name: str, value: Any) -> None:
    reply = service.post(hook_request() | {name: value})
    assert reply.status_code == 400
    assert f"$.{name}" in reply.text


@pytest.mark.conformance("CH-202")
@pytest.mark.parametrize("hook", ["order-sign", "patient-View", "patient-view ", "com.example.x"])
def test_ch_202_another_hook_gets_no_cards(service: RunningService, hook: str) -> None:
    assert service.post(hook_request(hook=hook)).status_code == 400


@pytest.mark.conformance("CH-203")
@pytest.mark.parametrize(
    ("instance", "status"),
    [
        ("D1577C69-DFBE-44AD-BA6D-3E05E953B2EA", 200),
        ("d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", 200),
        ("d1577c69dfbe44adba6d3e05e953b2ea", 400),
        ("urn:uuid:d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", 400),
        ("d1577c69-dfbe-44ad-ba6d-3e05e953b2ea\n", 400),
    ],
)
def test_ch_203_the_instance_is_a_uuid(service: RunningService, instance: str, status: int) -> None:
    assert service.post(hook_request(hookInstance=instance)).status_code == status


@pytest.mark.conformance("CH-203")
def test_ch_203_the_instance_is_no_card(service: RunningService) -> None:
    body = request_about(1)
    assert body["hookInstance"] not in service.post(body).text


@pytest.mark.conformance("CH-204")
@pytest.mark.parametrize("name", ["userId", "patientId"])
def test_ch_204_required_fields_of_the_context(service: RunningService, name: str) -> None:
    body = hook_request()
    body["context"] = {key: value for key, value in body["context"].items() if key != name}
    reply = service.post(body)
    assert reply.status_code == 400
    assert f"$.context.{name}" in reply.text


@pytest.mark.conformance("CH-205")
def test_ch_205_authorization_needs_a_server(service: RunningService) -> None:
    assert service.post(hook_request(fhirAuthorization=authorization(TOKEN))).status_code == 400


@pytest.mark.conformance("CH-205")
@pytest.mark.parametrize("slashes", ["", "/"])
def test_ch_205_a_trailing_slash_makes_no_difference(
    serve: Serve, fhir: EmbeddedServer, slashes: str
) -> None:
    service = serve(fhir_servers=(fhir.base_url,))
    assert service.post(with_access(fhir.base_url + slashes)).status_code == 200
    assert {seen.path for seen in fhir.requests} == {
        "Patient/p1",
        "MedicationRequest",
        "Observation",
        "Condition",
        "MedicationDispense",
        "MedicationStatement",
        "MedicationAdministration",
        "Procedure",
        "QuestionnaireResponse",
        "AdverseEvent",
        "AllergyIntolerance",
        "ServiceRequest",
    }


@pytest.mark.conformance("CH-207")
def test_ch_207_keys_nobody_asked_for_are_ignored(service: RunningService) -> None:
    extra = PREFETCH | {"user": "123", "encounter": {"resourceType": "Encounter"}, "": None}
    replies = [service.post(hook_request(prefetch=prefetch)) for prefetch in (extra, PREFETCH)]
    assert without_uuids(replies[0]) == without_uuids(replies[1])


@pytest.mark.conformance("CH-208", "CH-313")
@pytest.mark.parametrize("prefetch", [None, {}])
def test_ch_208_and_313_a_minimal_request_is_412(service: RunningService, prefetch: Any) -> None:
    body = hook_request() | {"prefetch": prefetch}
    assert service.post(body).status_code == 412
    assert service.post(hook_request(prefetch=prefetch)).status_code == 412


@pytest.mark.conformance("CH-209")
@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[]", b'"x"', b"null", b"1", b'{"hook": patient-view}', b"hook=patient-view",
        b"\xef\xbb\xbf{}", '{"hook": "patient-view"}'.encode("utf-16"), b'{"hook": "\xff"}', b'{"hook": "\\ud800"}',
        b'{"hook": NaN}', b'{"hook": 1e400}', b'{"hook": ' + b"9" * 5000 + b"}", b'{"hook": "a", "hook": "b"}',
        b'{"a":' * 100_000, b"[" * 100_000, b'{"hook": "patient-view"}\x00', b"<xml/>",
    ],
)  # fmt: skip
def test_ch_209_malformed_bodies(service: RunningService, body: bytes) -> None:
    reply = service.post(body)
    assert reply.status_code == 400
    assert_operation_outcome(reply.json())
    assert "$" in reply.json()["issue"][0]["diagnostics"]


@pytest.mark.conformance("CH-209")
@pytest.mark.parametrize("name", ["fhirServer", "fhirAuthorization", "prefetch"])
@pytest.mark.parametrize("value", [5, True, [], "nonsense"])
def test_ch_209_optional_elements_of_a_wrong_type(service: RunningService, name: str, value: Any) -> None:
    reply = service.post(hook_request() | {name: value})
    assert reply.status_code == 400
    assert f"$.{name}" in reply.text


@pytest.mark.conformance("CH-209")
def test_ch_209_six_thousand_resources(service: RunningService) -> None:
    results = [observation(f"o{n}", day=f"2025-{1 + n % 12:02}-{1 + n % 28:02}") for n in range(6000)]
    reply = service.post(hook_request(prefetch=PREFETCH | {"observations": searchset(*results)}))
    assert reply.status_code == 200


@pytest.mark.conformance("CH-211")
def test_ch_211_the_same_call_twice_gives_the_same(service: RunningService) -> None:
    first, second = (service.post(request_about(1)) for _ in range(2))
    assert without_uuids(first) == without_uuids(second)
    assert first.text != second.text


# --- 4.1 prefetch templates -------------------------------------------------------------------------------

PARAMETERS = {"Patient/p1": set(), "AdverseEvent": {"subject"}}


@pytest.mark.conformance(
    "CH-301", "CH-302", "CH-303", "CH-304", "CH-305", "CH-306", "CH-307", "CH-308", "CH-309"
)
def test_ch_301_to_309_templates(service: RunningService) -> None:
    entries = discovered(service)
    assert all(set(entry["prefetch"]) == set(KEYS) for entry in entries)
    for template in {template for entry in entries for template in entry["prefetch"].values()}:
        tokens = re.findall(r"\{\{(.*?)\}\}", template)
        assert tokens == ["context.patientId"]
        expanded = template.replace("{{context.patientId}}", "p1")
        assert not set("{}") & set(expanded)
        address = urlsplit(expanded)
        assert not address.scheme
        assert re.fullmatch(r"[A-Z][A-Za-z]+(/p1)?", address.path)
        query = parse_qs(address.query, strict_parsing=bool(address.query))
        assert set(query) == PARAMETERS.get(address.path, {"patient"})
        assert all(len(values) == 1 and "," not in values[0] for values in query.values())


# --- 4.2 prefetched data ----------------------------------------------------------------------------------


@pytest.mark.conformance("CH-310")
@pytest.mark.parametrize("key", KEYS)
def test_ch_310_an_omitted_key_is_fetched_and_only_that(serve: Serve, fhir: EmbeddedServer, key: str) -> None:
    service = serve(fhir_servers=(fhir.base_url,))
    prefetch = {name: value for name, value in PREFETCH.items() if name != key}
    fetched = service.post(with_access(fhir.base_url, prefetch=prefetch))
    asked = [seen.path for seen in fhir.requests]
    assert len(asked) == 1
    complete = service.post(with_access(fhir.base_url, prefetch=PREFETCH))
    assert without_uuids(fetched) == without_uuids(complete)


@pytest.mark.conformance("CH-311")
@pytest.mark.parametrize("key", KEYS)
def test_ch_311_null_is_known_empty(serve: Serve, fhir: EmbeddedServer, key: str) -> None:
    service = serve(fhir_servers=(fhir.base_url,))
    answers = [
        service.post(with_access(fhir.base_url, prefetch=PREFETCH | {key: value}))
        for value in (None, searchset())
        if key != "patient" or value is None
    ]
    assert all(answer.status_code == 200 for answer in answers)
    assert len({without_uuids(answer) for answer in answers}) == 1
    assert not fhir.requests


@pytest.mark.conformance("CH-312")
@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize(
    "value", [ERROR, searchset() | {"entry": [{"resource": ERROR, "search": {"mode": "outcome"}}]}]
)
def test_ch_312_an_operation_outcome_is_not_no_data(service: RunningService, key: str, value: Any) -> None:
    reply = service.post(hook_request(prefetch=PREFETCH | {key: value}))
    assert reply.status_code == 412
    assert f"{key}: " in reply.text


@pytest.mark.conformance("CH-312")
def test_ch_312_a_warning_beside_data_is_no_failure(service: RunningService) -> None:
    warning = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "warning", "code": "informational"}],
    }
    rows = [*PREFETCH["conditions"]["entry"], {"resource": warning, "search": {"mode": "outcome"}}]
    prefetch = PREFETCH | {"conditions": PREFETCH["conditions"] | {"entry": rows}}
    replies = [service.post(hook_request(prefetch=each)) for each in (prefetch, PREFETCH)]
    assert without_uuids(replies[0]) == without_uuids(replies[1])


@pytest.mark.conformance("CH-312", "CH-314")
@pytest.mark.parametrize("key", OPTIONAL)
@pytest.mark.parametrize("value", [ERROR, searchset() | {"entry": [{"resource": ERROR}]}, "123", []])
def test_ch_312_and_314_what_is_not_required_and_failed_is_named(
    service: RunningService, key: str, value: Any
) -> None:
    reply = service.post(hook_request(prefetch=PREFETCH | {key: value})).json()
    (gap,) = reply["extension"]["org.trd-cds.assessment"]["unread"]
    assert key in gap["problem"]


@pytest.mark.conformance("CH-314")
@pytest.mark.parametrize("key", OPTIONAL)
def test_ch_314_what_is_not_required_and_lacks_is_named(service: RunningService, key: str) -> None:
    body = request_about(1)
    del body["prefetch"][key]
    reply = service.post(body).json()
    assert reply["extension"]["org.trd-cds.assessment"]["notLookedAt"] == [key]
    assert "Not looked at: what" in reply["cards"][0]["detail"]


@pytest.mark.conformance("CH-210")
def test_ch_210_a_long_history_that_is_all_there_is_answered_at_once(service: RunningService) -> None:
    """The quickest of five calls, and a bound far above what it takes: `bench/` measures, this only notices."""
    scores = [observation(f"o{number}") for number in range(600)]
    body = request_about(1)
    body["prefetch"]["observations"] = searchset(*scores)
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        assert service.post(body).status_code == 200
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.5


@pytest.mark.conformance("CH-313")
@pytest.mark.parametrize("key", REQUIRED)
def test_ch_313_a_key_that_cannot_be_had_is_412(service: RunningService, key: str) -> None:
    prefetch = {name: value for name, value in PREFETCH.items() if name != key}
    reply = service.post(hook_request(prefetch=prefetch))
    assert reply.status_code == 412
    assert [name for name in KEYS if f"{name}: " in reply.text] == [key]


@pytest.mark.conformance("CH-315")
@pytest.mark.parametrize("given", subsets_of_keys(), ids="+".join)
def test_ch_315_every_subset_of_the_keys_gives_the_same_answer(
    serve: Serve, fhir: EmbeddedServer, given: tuple[str, ...]
) -> None:
    service = serve(fhir_servers=(fhir.base_url,))
    prefetch = {key: value for key, value in PREFETCH.items() if key in given}
    answers = [service.post(with_access(fhir.base_url, prefetch=each)) for each in (prefetch, PREFETCH)]
    assert without_uuids(answers[0]) == without_uuids(answers[1])


@pytest.mark.conformance("CH-316")
def test_ch_316_a_page_is_not_the_whole(serve: Serve) -> None:
    second = searchset(observation("obs2"), total=2)
    with StubServer(lambda _: Reply(second)) as fhir:
        first = searchset(observation("obs1"), total=2, next_url=f"{fhir.base_url}/Observation?page=2")
        service = serve(fhir_servers=(fhir.base_url,))
        paged = PREFETCH | {"observations": first}
        followed = service.post(with_access(fhir.base_url, prefetch=paged))
        assert fhir.paths == ["Observation?page=2"]
        assert fhir.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
        alone = service.post(hook_request(prefetch=paged))
    assert followed.status_code == 200
    assert alone.status_code == 412
    assert "first page" in alone.text


@pytest.mark.conformance("CH-316")
def test_ch_316_a_total_above_the_entries_is_the_same_signal(service: RunningService) -> None:
    along = [{"resource": patient(), "search": {"mode": "include"}}]
    short = searchset(observation("obs1"), total=2)
    for entry in (short["entry"], short["entry"] + along):
        prefetch = PREFETCH | {"observations": short | {"entry": entry}}
        assert service.post(hook_request(prefetch=prefetch)).status_code == 412


@pytest.mark.conformance("CH-317")
def test_ch_317_a_page_elsewhere_is_not_read(serve: Serve) -> None:
    with StubServer(lambda _: Reply(searchset())) as elsewhere, StubServer(lambda _: Reply(b"", 500)) as fhir:
        first = searchset(observation("obs1"), next_url=f"{elsewhere.base_url}/Observation?page=2")
        body = with_access(fhir.base_url, prefetch=PREFETCH | {"observations": first})
        reply = serve(fhir_servers=(fhir.base_url, "http://127.0.0.1:9/other")).post(body)
        assert reply.status_code == 412
        assert elsewhere.asked == []


@pytest.mark.conformance("CH-318")
def test_ch_318_what_is_another_patients_is_listed_and_not_counted(service: RunningService) -> None:
    body = request_about(1)
    alone = service.post(body).json()
    foreign = [
        {"resource": resource, "search": {"mode": "match"}}
        for resource in (
            medication_request("rx-p2", patient_id="p2"),
            observation("obs-p2", value=27, patient_id="p2"),
            condition("dx-p2", patient_id="p2"),
            patient("p2"),
        )
    ]
    for key in ("medications", "observations", "conditions"):
        body["prefetch"][key]["entry"] = body["prefetch"][key]["entry"] + foreign
    mixed = service.post(body).json()
    name = "org.trd-cds.assessment"
    for part in ("verdict", "failedTrials", "trials", "safety"):
        assert mixed["extension"][name][part] == alone["extension"][name][part]
    listed = str(mixed["extension"][name]["unread"])
    assert all(f"{kind}-p2" in listed for kind in ("rx", "obs", "dx"))


@pytest.mark.conformance("CH-320")
@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize(
    "value", ["123", 7, True, [], {}, [{}], {"resourceType": 3}, {"resourceType": "Basic"}]
)
def test_ch_320_a_wrong_shape_counts_as_unsatisfied(service: RunningService, key: str, value: Any) -> None:
    reply = service.post(hook_request(prefetch=PREFETCH | {key: value}))
    assert reply.status_code == 412
    assert f"{key}: " in reply.text


# --- 5 access ---------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-401")
def test_ch_401_a_server_nobody_listed_is_not_called(service: RunningService, fhir: EmbeddedServer) -> None:
    for access in ({}, {"fhirAuthorization": authorization(TOKEN)}):
        body = hook_request(prefetch=None, fhirServer=fhir.base_url, **access)
        assert service.post(body).status_code == 412
    assert not fhir.requests


@pytest.mark.conformance("CH-402")
@pytest.mark.parametrize("name", ["access_token", "token_type", "expires_in", "scope", "subject"])
@pytest.mark.parametrize("value", ["absent", None, 5.5, {}, [TOKEN]])
def test_ch_402_the_authorization_is_complete(service: RunningService, name: str, value: Any) -> None:
    granted = {key: item for key, item in authorization(TOKEN).items() if key != name}
    granted |= {} if value == "absent" else {name: value}
    reply = service.post(hook_request(fhirServer="https://ehr.example.org/fhir", fhirAuthorization=granted))
    assert reply.status_code == 400
    assert f"$.fhirAuthorization.{name}" in reply.text
    assert TOKEN not in reply.text


@pytest.mark.conformance("CH-402")
@pytest.mark.parametrize(
    "change",
    [{"token_type": "bearer"}, {"token_type": "DPoP"}, {"access_token": ""}, {"access_token": "a b"},
     {"access_token": "a\r\nHost: evil.invalid"}, {"access_token": "é"}, {"expires_in": "300"}, {"subject": ""}],
    ids=str,
)  # fmt: skip
def test_ch_402_wrong_values(service: RunningService, change: dict[str, Any]) -> None:
    granted = authorization(TOKEN) | change
    reply = service.post(hook_request(fhirServer="https://ehr.example.org/fhir", fhirAuthorization=granted))
    assert reply.status_code == 400


@pytest.mark.conformance("CH-402")
@pytest.mark.parametrize("expires_in", [0, -1])
def test_ch_402_a_token_that_has_expired_is_not_sent(
    serve: Serve, fhir: EmbeddedServer, expires_in: int
) -> None:
    access = authorization(TOKEN, expires_in=expires_in)
    body = with_access(fhir.base_url, fhirAuthorization=access)
    assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == 412
    assert all("Authorization" not in seen.headers for seen in fhir.requests)


@pytest.mark.conformance("CH-403")
@pytest.mark.parametrize(
    ("granted_for", "status"), [({}, 200), ({"patient": "p1"}, 200), ({"patient": "p2"}, 400)]
)
def test_ch_403_the_tokens_patient(
    serve: Serve, fhir: EmbeddedServer, granted_for: dict[str, str], status: int
) -> None:
    access = authorization(TOKEN, scope="patient/*.read", **granted_for)
    body = with_access(fhir.base_url, fhirAuthorization=access)
    assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == status


@pytest.mark.conformance("CH-404", "CH-409")
def test_ch_404_and_409_every_call_is_a_read_with_the_token(serve: Serve) -> None:
    with EmbeddedServer(require_token=TOKEN, page_size=1, largest_page=1) as paging:
        paging.load(bundle(*CHART, type="transaction"))
        service = serve(fhir_servers=(paging.base_url,))
        assert service.post(with_access(paging.base_url)).status_code == 200
        assert len(paging.requests) == len(KEYS) + 1
        assert {seen.headers.get("Authorization") for seen in paging.requests} == {f"Bearer {TOKEN}"}
        assert {seen.method for seen in paging.requests} == {"GET"}


@pytest.mark.conformance("CH-406")
@pytest.mark.parametrize(
    ("scope", "lacking"),
    [
        ("patient/*.read", ()),
        ("user/*.*", ()),
        ("system/*.rs", ()),
        ("patient/*.cruds launch openid", ()),
        (
            "patient/Patient.read patient/MedicationRequest.read patient/Observation.read patient/Condition.read",
            OPTIONAL,
        ),
        ("patient/Patient.rs patient/MedicationRequest.rs patient/Condition.rs", ("observations", *OPTIONAL)),
        ("patient/*.rs?category=survey", KEYS),
        ("patient/*.r", tuple(key for key in KEYS if key != "patient")),
        ("patient/*.s", ("patient",)),
        ("patient/*.write", KEYS),
        ("patient/*.sr", KEYS),
        ("Patient/*.read", KEYS),
        ("launch openid", KEYS),
        ("", KEYS),
    ],
)
def test_ch_406_nothing_is_asked_beyond_the_scopes(
    serve: Serve, fhir: EmbeddedServer, scope: str, lacking: tuple[str, ...]
) -> None:
    body = with_access(fhir.base_url, fhirAuthorization=authorization(TOKEN, scope=scope))
    reply = serve(fhir_servers=(fhir.base_url,)).post(body)
    required = [key for key in lacking if key in REQUIRED]
    assert reply.status_code == (412 if required else 200)
    assert [key for key in KEYS if required and f"{key}: " in reply.text] == required
    assert len(fhir.requests) == len(KEYS) - len(lacking)


@pytest.mark.conformance("CH-407")
@pytest.mark.parametrize("status", [401, 403])
def test_ch_407_a_refusal_is_asked_for_once(serve: Serve, status: int) -> None:
    with StubServer(lambda _: Reply(ERROR, status)) as fhir:
        prefetch = {key: value for key, value in PREFETCH.items() if key != "conditions"}
        reply = serve(fhir_servers=(fhir.base_url,)).post(with_access(fhir.base_url, prefetch=prefetch))
        assert len(fhir.asked) == 1
    assert reply.status_code == 412


LOOK_ALIKES = [
    "http://127.0.0.1:{port}", "http://127.0.0.1:{port}/fhir2", "http://127.0.0.1:{port}/fhi", "http://127.0.0.1:{port}/FHIR",
    "http://127.0.0.1:{port}/fhir/..", "http://127.0.0.1:{port}/fhir/../admin", "http://127.0.0.1:{port}/fhir/%2e%2e/admin",
    "http://127.0.0.1:{port}/fhir?x=", "http://127.0.0.1:{port}/fhir#x", "http://127.0.0.1:{port}//fhir",
    "http://user@127.0.0.1:{port}/fhir", "http://127.0.0.1:{port}@evil.invalid/fhir", "http://evil.invalid\\@127.0.0.1:{port}/fhir",
    "http://127.0.0.1.evil.invalid:{port}/fhir", "http://127.0.0.1:{port}.evil.invalid/fhir", "http://localhost:{port}/fhir",
    "https://127.0.0.1:{port}/fhir", "http://127.1:{port}/fhir", "http://2130706433:{port}/fhir", "http://0x7f.0.0.1:{port}/fhir",
    "http://[::ffff:127.0.0.1]:{port}/fhir", "http://127.0.0.1.:{port}/fhir", "http://127.0.0.1:0{port}/fhir ", "http://169.254.169.254/",
    "ftp://127.0.0.1:{port}/fhir", "file:///etc/passwd", "//127.0.0.1:{port}/fhir", "http:127.0.0.1:{port}/fhir",
    "http://127.0.0.1:{port}/fhir\r\nHost: x", "http://127.0.0.1:{port}/fhir\x00", "http://１２７.0.0.1:{port}/fhir",
]  # fmt: skip


@pytest.mark.conformance("CH-408")
@pytest.mark.parametrize("look_alike", LOOK_ALIKES)
def test_ch_408_look_alikes_of_a_listed_server_hear_nothing(serve: Serve, look_alike: str) -> None:
    with StubServer(healthy) as fhir:
        port = str(urlsplit(fhir.base_url).port)
        service = serve(fhir_servers=(fhir.base_url,), fetch_seconds=2)
        reply = service.post(with_access(look_alike.replace("{port}", port)))
        assert reply.status_code in (400, 412)
        assert_operation_outcome(reply.json())
        assert fhir.asked == []


def healthy(asked: Asked) -> Reply:
    return Reply(patient() if asked.path.startswith("Patient") else searchset())


@pytest.mark.conformance("CH-408")
def test_ch_408_addresses_below_a_listed_one_are_allowed(serve: Serve) -> None:
    with StubServer(healthy) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(with_access(f"{fhir.base_url}/tenant-1"))
        assert len(fhir.asked) == len(KEYS)
    assert reply.status_code in (200, 412)


# --- 6 cards ----------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-501", "CH-502")
def test_ch_501_and_502_no_guidance_is_an_empty_list(service: RunningService) -> None:
    reply = service.post(hook_request())
    assert reply.status_code == 200
    assert reply.json()["cards"] == []


@pytest.mark.conformance("CH-503")
def test_ch_503_no_system_actions(replies: list[dict[str, Any]]) -> None:
    assert all("systemActions" not in reply for reply in replies)


@pytest.mark.conformance("CH-504")
def test_ch_504_errors_hold_no_patient_data(service: RunningService) -> None:
    body = request_about(1)
    del body["prefetch"]["patient"]
    reply = service.post(body)
    assert reply.status_code == 412
    assert "trd-v01" not in reply.text


@pytest.mark.conformance("CH-505", "CH-506")
def test_ch_505_and_506_summary_and_indicator(cards: list[dict[str, Any]]) -> None:
    for card in cards:
        summary = card["summary"]
        assert 0 < len(summary.encode("utf-16-le")) // 2 < 140
        assert summary.isprintable()
        assert not set(summary) & set("*`#|")
        assert card["indicator"] in ("info", "warning", "critical")


@pytest.mark.conformance("CH-507", "CH-508", "CH-509", "CH-510", "CH-511")
def test_ch_507_to_511_source(cards: list[dict[str, Any]]) -> None:
    for card in cards:
        source = card["source"]
        assert source["label"]
        assert ABSOLUTE_URL.fullmatch(source.get("url", "https://example.org"))
        assert "trd-v" not in source.get("url", "")
        topic = source.get("topic", {"code": "x", "system": "x"})
        assert {"code", "system"} <= set(topic) <= {"code", "system", "display"}


@pytest.mark.conformance("CH-512", "CH-602")
def test_ch_512_and_602_uuids_are_fresh(service: RunningService) -> None:
    found = [
        part["uuid"]
        for _ in range(2)
        for part in parts_of(service.post(request_about(1)).json())
        if isinstance(part, dict) and "uuid" in part
    ]
    assert len(found) >= 4
    assert len(set(found)) == len(found)
    assert all(UUID_4.fullmatch(each) and uuid.UUID(each) for each in found)


@pytest.mark.conformance("CH-513", "CH-V03")
def test_ch_513_details_are_markdown_without_html(cards: list[dict[str, Any]]) -> None:
    to_html = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    for card in cards:
        html = to_html.render(card["detail"])
        assert "&lt;" not in html.replace("&lt; ", "").replace("&lt;=", "")
    assert any("<table>" in to_html.render(card["detail"]) for card in cards)


HOSTILE = (
    "<script>alert(1)</script> | [x](javascript:alert(1)) ![y](http://evil.invalid/z) ~~gone~~ `code`\n\n"
    "# http://evil.invalid\u2028<img src=x onerror=alert(1)> \\[a]: http://evil.invalid &lt;b&gt;\x1b[2J"
)


@pytest.mark.conformance("CH-505", "CH-513")
@pytest.mark.parametrize("number", [1, 8, 16, 17, 19])
def test_ch_505_and_513_text_from_the_record_comes_out_literally(
    service: RunningService, number: int
) -> None:
    body = copy.deepcopy(request_about(number))
    for entry in body["prefetch"]["medications"]["entry"] + body["prefetch"]["conditions"]["entry"]:
        for part in list(parts_of(entry["resource"])):
            if isinstance(part, dict):
                part |= {name: HOSTILE for name in ("text", "display") if isinstance(part.get(name), str)}
    reply = service.post(body).json()
    assert_sound(200, reply)
    to_html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for card in reply["cards"]:
        tags = "".join(re.findall(r"<[^>]*>", to_html.render(card["detail"])))
        assert not re.search("script|img|evil|<h1|<s>", tags)


@pytest.mark.conformance("CH-514", "CH-515", "CH-516", "CH-517", "CH-518")
def test_ch_514_to_518_selections_and_reasons(cards: list[dict[str, Any]]) -> None:
    for card in cards:
        assert ("suggestions" in card) == ("selectionBehavior" in card)
        assert card.get("selectionBehavior", "any") in ("any", "at-most-one")
        for reason in card.get("overrideReasons", ()):
            assert set(reason) == {"code", "system", "display"}
    assert any("overrideReasons" in card for card in cards)


# --- 7 suggestions, actions, links ------------------------------------------------------------------------


@pytest.mark.conformance("CH-601", "CH-602", "CH-603", "CH-604", "CH-605", "CH-606", "CH-607", "CH-V04")
def test_ch_601_to_607_suggestions_and_actions(cards: list[dict[str, Any]]) -> None:
    for card in cards:
        suggestions = card.get("suggestions", [])
        recommended = sum(suggestion.get("isRecommended", False) for suggestion in suggestions)
        assert recommended <= 1 or card["selectionBehavior"] == "any"
        for suggestion in suggestions:
            assert suggestion["label"]
            assert suggestion.get("actions", [1])
    for action in actions_of(cards):
        assert action["type"] == "create"
        assert action["description"]
        assert "resourceId" not in action


def actions_of(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    suggestions = [suggestion for card in cards for suggestion in card.get("suggestions", ())]
    return [action for suggestion in suggestions for action in suggestion.get("actions", ())]


@pytest.mark.conformance("CH-611", "CH-612", "CH-613", "CH-614", "CH-615", "CH-616")
def test_ch_611_to_616_links(cards: list[dict[str, Any]]) -> None:
    links = [link for card in cards for link in card.get("links", ())]
    assert links
    for link in links:
        assert link["label"]
        assert link["type"] in ("absolute", "smart")
        assert ABSOLUTE_URL.fullmatch(link["url"])
        assert link["url"].startswith("https://")
        assert "trd-v" not in link["url"]
        assert not {"iss", "launch"} & set(parse_qs(urlsplit(link["url"]).query))
        assert "appContext" not in link or link["type"] == "smart"
        assert "autolaunchable" not in link


# --- 9 CORS (the rest of it in test_cors.py), 10 the hook, 11 extensions -----------------------------------


@pytest.mark.conformance("CH-817")
@pytest.mark.parametrize("path", ["/cds-services", HOOK_PATH, f"{HOOK_PATH}/feedback"])
def test_ch_817_preflights_need_no_token(service: RunningService, path: str) -> None:
    asked = {
        "Origin": "https://sandbox.cds-hooks.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    reply = service.call("OPTIONS", path, headers=asked)
    assert reply.ok
    assert reply.headers["Access-Control-Allow-Origin"] in ("*", asked["Origin"])


@pytest.mark.conformance("CH-817")
def test_ch_817_production_allows_no_origin_by_default() -> None:
    assert Settings(mode="production").allowed_origins == ()
    assert Settings(mode="development").allowed_origins is None


@pytest.mark.conformance("CH-H01", "CH-H26")
@pytest.mark.parametrize(
    ("user", "sees_cards"),
    [
        ("Practitioner/1", True),
        ("PractitionerRole/a.b-c", True),
        ("Patient/trd-v01", False),
        ("RelatedPerson/1", False),
    ],
)
def test_ch_h01_and_h26_users(service: RunningService, user: str, sees_cards: bool) -> None:
    body = request_about(1)
    body["context"] = body["context"] | {"userId": user}
    reply = service.post(body)
    assert reply.status_code == 200
    assert bool(reply.json()["cards"]) == sees_cards


@pytest.mark.conformance("CH-H01")
@pytest.mark.parametrize(
    "user", ["Practitioner", "Practitioner/", "/1", "1", "Practitioner/1/2", "Device/1", "practitioner/1",
             "Practitioner/a b", "https://ehr.example.org/Practitioner/1", "Practitioner/" + "a" * 65]
)  # fmt: skip
def test_ch_h01_wrong_users(service: RunningService, user: str) -> None:
    context = {"userId": user, "patientId": "p1"}
    assert service.post(hook_request(context=context)).status_code == 400


@pytest.mark.conformance("CH-H01")
@pytest.mark.parametrize(
    "patient_id",
    ["Patient/p1", "p 1", "", "p/1", "..", ".", "p1?x", "p%31", "p_1", "p" * 65, "p1\n", "１", None, 1],
)
def test_ch_h01_ids_are_bare(service: RunningService, patient_id: Any) -> None:
    for name in ("patientId", "encounterId"):
        context = {"userId": "Practitioner/1", "patientId": "p1"} | {name: patient_id}
        expected = 200 if name == "encounterId" and patient_id is None else 400
        assert service.post(hook_request(context=context)).status_code == expected


@pytest.mark.conformance("CH-H01")
@pytest.mark.parametrize("encounter", [{}, {"encounterId": "e1"}])
def test_ch_h01_the_encounter_is_optional_and_gets_into_the_orders(
    service: RunningService, encounter: dict[str, str]
) -> None:
    body = request_about(1)
    body["context"] = body["context"] | encounter
    found = [action["resource"].get("encounter") for action in actions_of(service.post(body).json()["cards"])]
    assert set(map(str, found)) == {"{'reference': 'Encounter/e1'}" if encounter else "None"}


@pytest.mark.conformance("CH-901", "CH-902")
def test_ch_901_and_902_extensions_are_objects_with_unique_names(replies: list[dict[str, Any]]) -> None:
    extensions = [
        part["extension"] for reply in replies for part in (reply, *reply["cards"]) if "extension" in part
    ]
    assert extensions
    for extension in extensions:
        assert isinstance(extension, dict)
        assert all(re.fullmatch(r"[a-z]+(\.[a-z0-9-]+){2,}", name) for name in extension)


# --- 13 what real clients send ----------------------------------------------------------------------------


@pytest.mark.conformance("CH-W05")
def test_ch_w05_the_sandbox_sends_no_patient_with_its_token(serve: Serve, fhir: EmbeddedServer) -> None:
    access = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "patient/*.* user/*.* openid profile launch offline_access",
        "subject": "48163c5e-88b5-4cb3-92d3-23b800caa927",
    }
    body = with_access(fhir.base_url, fhirAuthorization=access)
    assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == 200
