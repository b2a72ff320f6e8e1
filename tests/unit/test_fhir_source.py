"""Which data is taken from the prefetch, which is fetched, and when the answer is that data is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from cds_service.errors import FhirFatalError, FhirServerError, InputError, MissingEvidence
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.fhir_reading.collected import Collected
from cds_service.fhir_server.access import FhirPolicy
from cds_service.fhir_server.client import FhirClient
from cds_service.fhir_server.referenced_medications import MedicationCache
from cds_service.fhir_source import collect, fetch_collected
from cds_service.hook_request import HookRequest
from cds_service.needs import NEEDS, needs
from cds_service.outbound.bounded_get import Bounds
from cds_service.trd.record import Topic
from fhir_fixtures.builders import (
    adverse_event,
    allergy,
    bundle,
    condition,
    medication,
    medication_request,
    observation,
    patient,
    procedure,
    questionnaire_response,
    searchset,
    service_request,
)
from fhir_fixtures.server import EmbeddedServer
from tests.contract.conftest import subsets_of_keys
from tests.contract.stub_server import Asked, Reply, StubServer

KEYS = tuple(need.key for need in NEEDS)
REQUIRED = tuple(need.key for need in NEEDS if need.is_required)
OPTIONAL = tuple(key for key in KEYS if key not in REQUIRED)
ERROR = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
WARNING = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "informational"}]}
CHART = (
    patient(),
    medication_request("rx1"),
    medication_request("rx2"),
    observation("obs1"),
    observation("obs2"),
    condition("dx1"),
    *({"resourceType": kind, "id": "m1", "status": "completed", "subject": {"reference": "Patient/p1"}}
      for kind in ("MedicationDispense", "MedicationStatement", "MedicationAdministration")),
    procedure("proc1"),
    questionnaire_response("form1"),
    adverse_event("ae1", suspect=None),
    allergy("al1"),
    service_request("sr1"),
)  # fmt: skip
PREFETCH = {
    "patient": CHART[0],
    "medications": searchset(*CHART[1:3], total=2),
    "observations": searchset(*CHART[3:5]),
    "conditions": searchset(CHART[5]),
    "dispenses": searchset(CHART[6]),
    "statements": searchset(CHART[7]),
    "administrations": searchset(CHART[8]),
    "procedures": searchset(CHART[9]),
    "questionnaires": searchset(CHART[10]),
    "adverseEvents": searchset(CHART[11]),
    "allergies": searchset(CHART[12]),
    "requests": searchset(CHART[13]),
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(page_size=1) as running:
        running.load(bundle(*CHART, condition("dx9", patient_id="p9"), patient("p9"), type="transaction"))
        yield running


# --- each key by itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", subsets_of_keys(), ids="+".join)
def test_every_subset_of_the_keys_gives_the_same_chart(
    server: EmbeddedServer, given: tuple[str, ...]
) -> None:
    server.requests.clear()
    prefetch = {key: PREFETCH[key] for key in given}
    assert ids_of(collect_from(server.base_url, prefetch)) == ids_of(collect_from(None, PREFETCH))
    asked = {request.path.partition("/")[0] for request in server.requests if request.path}
    assert asked == {need.resource_type for need in NEEDS if need.key not in given}


@pytest.mark.parametrize("key", KEYS)
def test_null_means_that_nothing_is_there(server: EmbeddedServer, key: str) -> None:
    server.requests.clear()
    collected = collect_from(server.base_url, PREFETCH | {key: None})
    wanted = next(need.resource_type for need in NEEDS if need.key == key)
    assert wanted not in {entry.resource["resourceType"] for entry in collected.entries}
    assert len(server.requests) == 0


UNUSABLE: list[tuple[str, Any]] = [
    *(
        (key, value)
        for key in REQUIRED
        for value in (ERROR, WARNING, [], "123", 7, True, {}, {"resourceType": 3})
    ),
    ("patient", patient("p2")),
    ("patient", {"resourceType": "Patient"}),
    ("patient", searchset(patient())),
    ("conditions", condition("dx1")),
    ("conditions", searchset(condition("dx1")) | {"entry": None}),
    ("conditions", searchset(condition("dx1")) | {"entry": {}}),
    ("conditions", searchset(condition("dx1"), total=2)),
    ("conditions", searchset(condition("dx1")) | {"entry": [{"resource": ERROR}]}),
    ("conditions", searchset() | {"entry": [{"resource": ERROR, "search": {"mode": "outcome"}}]}),
    ("conditions", searchset() | {"entry": [{"resource": {"resourceType": "OperationOutcome"}}]}),
    ("conditions", searchset() | {"link": {"relation": "next"}}),
    ("conditions", searchset() | {"link": [{"relation": "next", "url": 5}]}),
    ("conditions", searchset(condition("dx1"), next_url="https://ehr.example.org/fhir?page=2")),
]


@pytest.mark.parametrize(("key", "value"), UNUSABLE)
def test_an_unusable_value_without_a_server_is_missing_by_name(key: str, value: Any) -> None:
    with pytest.raises(MissingEvidence) as missing:
        collect_from(None, PREFETCH | {key: value})
    assert missing.value.keys == (key,)
    assert key in str(missing.value)
    assert "no fhirServer was given" in str(missing.value)


@pytest.mark.parametrize(("key", "value"), UNUSABLE)
def test_an_unusable_value_with_a_server_is_fetched(server: EmbeddedServer, key: str, value: Any) -> None:
    collected = collect_from(server.base_url, PREFETCH | {key: value})
    assert ids_of(collected) == ids_of(collect_from(None, PREFETCH))


def test_prefetched_orders_of_dstu2_are_the_medications_asked_for() -> None:
    order = {"resourceType": "MedicationOrder", "id": "rx1", "patient": {"reference": "Patient/p1"}}
    collected = collect_from(None, PREFETCH | {"medications": searchset(order)})
    assert ("MedicationOrder", "rx1") in ids_of(collected)


def test_a_warning_among_the_entries_is_no_failure() -> None:
    entry = [{"resource": WARNING, "search": {"mode": "outcome"}}, {"resource": condition("dx1")}]
    collected = collect_from(None, PREFETCH | {"conditions": searchset() | {"entry": entry}})
    assert ids_of(collected) == ids_of(collect_from(None, PREFETCH))


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (None, "prefetch.conditions.entry[1]"),
        ("dx2", "prefetch.conditions.entry[1]"),
        ({}, "prefetch.conditions.entry[1].resource"),
        ({"resource": None}, "prefetch.conditions.entry[1].resource"),
        ({"resource": []}, "prefetch.conditions.entry[1].resource"),
        ({"resource": condition("dx2"), "search": {"mode": "outcome"}}, "prefetch.conditions.entry[1]"),
    ],
)
def test_an_entry_that_is_no_resource_is_listed_with_its_place(entry: Any, place: str) -> None:
    conditions = searchset() | {"total": 2, "entry": [{"resource": condition("dx1")}, entry]}
    (unread,) = collect_from(None, PREFETCH | {"conditions": conditions}).unread
    assert unread.reference == place
    assert Topic.DIAGNOSIS in unread.topics


def test_a_total_that_cannot_be_read_leaves_open_whether_something_lacks() -> None:
    conditions = searchset(condition("dx1")) | {"total": "1"}
    (unread,) = collect_from(None, PREFETCH | {"conditions": conditions}).unread
    assert unread.reference == "prefetch.conditions.total"
    assert Topic.DIAGNOSIS in unread.topics


def test_keys_that_were_never_asked_for_are_ignored() -> None:
    collected = collect_from(None, PREFETCH | {"other": searchset(condition("dx7"))})
    assert ids_of(collected) == ids_of(collect_from(None, PREFETCH))


# --- paged prefetch ---------------------------------------------------------------------------------------


def test_the_pages_after_a_prefetched_one_are_fetched_with_the_token() -> None:
    with StubServer(lambda _: Reply(searchset(condition("dx2")))) as stub:
        first = searchset(condition("dx1"), total=2, next_url=f"{stub.base_url}?page=2")
        collected = collect_from(stub.base_url, PREFETCH | {"conditions": first}, token="marker")
    assert {"dx1", "dx2"} <= {entry.resource["id"] for entry in collected.entries}
    assert stub.asked[0].headers["Authorization"] == "Bearer marker"
    assert stub.paths == ["/fhir?page=2"]


def test_a_next_page_on_another_host_hears_nothing_and_the_search_is_made_anew() -> None:
    with StubServer(lambda _: Reply(searchset())) as elsewhere, StubServer(chart_of_p1) as stub:
        first = searchset(condition("dx1"), next_url=f"{elsewhere.base_url}?page=2")
        collect_from(stub.base_url, PREFETCH | {"conditions": first}, token="marker")
        assert elsewhere.asked == []
        assert stub.paths == ["Condition?patient=p1&_count=100"]


def test_a_next_page_on_another_host_without_access_is_missing_and_hears_nothing() -> None:
    with StubServer(lambda _: Reply(searchset())) as elsewhere:
        first = searchset(condition("dx1"), next_url=f"{elsewhere.base_url}?page=2")
        with pytest.raises(MissingEvidence):
            collect_from(None, PREFETCH | {"conditions": first})
        assert elsewhere.asked == []


# --- what is not required ---------------------------------------------------------------------------------

ALL_OF = {
    "dispenses": (Topic.DRUGS, Topic.FILLS),
    "statements": (Topic.DRUGS,),
    "administrations": (Topic.DRUGS,),
    "procedures": (Topic.PROCEDURE,),
    "questionnaires": (Topic.SCORE, Topic.SAFETY, Topic.SCORES),
    "adverseEvents": (Topic.REACTION,),
    "allergies": (Topic.REACTION,),
    "requests": (Topic.REQUEST,),
}
NOT_SUPPORTED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "not-supported"}],
}


@pytest.mark.parametrize("key", OPTIONAL)
@pytest.mark.parametrize(("status", "leaves_a_gap"), [(400, False), (403, False), (404, False), (500, True)])
def test_a_type_that_the_server_does_not_have_is_no_gap_and_one_that_fails_is(
    key: str, status: int, leaves_a_gap: bool
) -> None:
    with StubServer(lambda _: Reply(ERROR, status)) as stub:
        collected = collect_from(stub.base_url, without(key))
    kind = next(need.resource_type for need in NEEDS if need.key == key)
    gaps = [(gap.reference, gap.topics) for gap in collected.unread]
    assert gaps == ([(f"{kind} search", ALL_OF[key])] if leaves_a_gap else [])
    assert collected.not_looked_at == (() if leaves_a_gap else (key,))


@pytest.mark.parametrize("key", OPTIONAL)
@pytest.mark.parametrize("value", [ERROR, [], "123", {"resourceType": 3}])
def test_an_unusable_value_of_what_is_not_required_is_a_gap(key: str, value: Any) -> None:
    (gap,) = collect_from(None, PREFETCH | {key: value}).unread
    assert gap.topics == ALL_OF[key]
    assert key in gap.problem


@pytest.mark.parametrize("key", OPTIONAL)
def test_what_the_client_may_not_see_was_not_looked_at(key: str) -> None:
    for prefetch in (without(key), PREFETCH | {key: NOT_SUPPORTED}):
        collected = collect_from(None, prefetch)
        assert (collected.unread, collected.not_looked_at) == ((), (key,))


def test_the_first_page_of_what_is_not_required_is_used_and_named_incomplete() -> None:
    first = searchset(CHART[6], total=2, next_url="https://ehr.example.org/fhir?page=2")
    collected = collect_from(None, PREFETCH | {"dispenses": first})
    assert CHART[6] in [entry.resource for entry in collected.entries]
    assert [gap.topics for gap in collected.unread] == [ALL_OF["dispenses"]]


# --- who may be called, and for what ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_call_is_made_once_and_not_without_the_token(status: int) -> None:
    with StubServer(lambda _: Reply(ERROR, status)) as stub:
        with pytest.raises(MissingEvidence, match=f"conditions.*{status}") as missing:
            collect_from(stub.base_url, without("conditions"), token="marker")
        assert len(stub.asked) == 1
    assert "marker" not in str(missing.value)


@pytest.mark.parametrize(
    "allowed",
    [
        (),
        ("http://127.0.0.1:1/fhir",),
        ("http://localhost:{port}/fhir",),
        ("https://127.0.0.1:{port}/fhir",),
        ("http://127.0.0.1:{port}/fhir/r4",),
        ("http://127.0.0.1:{port}/fhi",),
    ],
)
def test_a_server_that_is_not_listed_hears_nothing(allowed: tuple[str, ...]) -> None:
    with StubServer(chart_of_p1) as stub:
        port = stub.base_url.split(":")[2].partition("/")[0]
        listed = tuple(addresses(text.format(port=port) for text in allowed))
        with pytest.raises(MissingEvidence, match="not on this service's list"):
            collect(request(stub.base_url, {}, "marker"), FhirPolicy(listed, allow_plain_http=True))
        assert stub.asked == []


@pytest.mark.parametrize(
    "fhir_server",
    [
        "http://{host}@evil.invalid/fhir",
        "http://{host}/fhir/../other",
        "http://{host}/fhir/%2e%2e/other",
        "http://{host}/fhir?x=",
        "http://{host}/fhir#",
        "http://{host}\\@evil.invalid/fhir",
    ],
)
def test_an_address_in_a_crooked_form_hears_nothing(fhir_server: str) -> None:
    with StubServer(chart_of_p1) as stub:
        host = stub.base_url.removeprefix("http://").partition("/")[0]
        with pytest.raises(MissingEvidence, match="fhirServer"):
            collect_from(fhir_server.format(host=host), {}, allowed=stub.base_url)
        assert stub.asked == []


def test_plain_http_to_another_machine_needs_development() -> None:
    policy = FhirPolicy(tuple(addresses(["http://fhir.example.org/r4"])), allow_plain_http=False)
    with pytest.raises(MissingEvidence, match="not https"):
        collect(request("http://fhir.example.org/r4", {}), policy)


def test_a_base_with_a_trailing_slash_makes_the_same_calls() -> None:
    with StubServer(chart_of_p1) as stub:
        with_slash = collect_from(stub.base_url + "/", {}, allowed=stub.base_url + "/")
        paths = sorted(stub.paths)
        stub.asked.clear()
        collect_from(stub.base_url, {})
        assert sorted(stub.paths) == paths
    assert with_slash.base_url == stub.base_url


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        ("patient/*.read", ()),
        ("user/Patient.r system/*.s", ()),
        (
            "patient/Patient.read patient/MedicationRequest.rs patient/Observation.rs",
            ("conditions", *OPTIONAL),
        ),
        ("patient/Patient.r patient/MedicationRequest.s patient/Observation.s patient/Condition.s", OPTIONAL),
        ("patient/*.rs?_tag=x", KEYS),
        ("launch openid", KEYS),
        ("", KEYS),
        ("patient/*.s", ("patient",)),
        ("patient/*.write", KEYS),
    ],
)
def test_nothing_outside_the_scopes_is_asked_for(scopes: str, missing: tuple[str, ...]) -> None:
    with StubServer(chart_of_p1) as stub:
        asked_for = request(stub.base_url, {}, "marker", tuple(scopes.split()))
        policy = FhirPolicy(tuple(addresses([stub.base_url])))
        required = tuple(key for key in missing if key in REQUIRED)
        if required:
            with pytest.raises(MissingEvidence, match="scopes do not cover") as failed:
                collect(asked_for, policy)
            assert failed.value.keys == required
        else:
            collect(asked_for, policy)
        asked = {path.replace("/", "?").partition("?")[0] for path in stub.paths}
    assert asked == {need.resource_type for need in NEEDS if need.key not in missing}


def test_a_patient_that_is_another_than_asked_for_is_refused() -> None:
    with (
        StubServer(lambda _: Reply(patient("p2"))) as stub,
        pytest.raises(MissingEvidence, match="another resource"),
    ):
        collect_from(stub.base_url, without("patient"))


def test_headers_that_trickle_in_for_ever_hold_up_nothing() -> None:
    def trickle(asked: Asked) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\n")
        try:
            for number in range(30):
                asked.send(b"X-%d: y\r\n" % number)
                time.sleep(0.1)
        except OSError:
            pass

    started = time.monotonic()
    with StubServer(trickle) as stub, pytest.raises(MissingEvidence, match="too long"):
        collect_from(stub.base_url, without("conditions"), seconds=0.3)
    assert time.monotonic() - started < 1


def test_lacking_keys_are_fetched_at_the_same_time() -> None:
    def slow(asked: Asked) -> Reply:
        time.sleep(0.3)
        return chart_of_p1(asked)

    started = time.monotonic()
    with StubServer(slow) as stub:
        collect_from(stub.base_url, {})
    assert time.monotonic() - started < 0.9


# --- Medications ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference", ["Medication/{id}", "Medication/{id}/_history/2", "{base}/Medication/{id}"]
)
def test_medications_that_did_not_come_along_are_read_together(reference: str) -> None:
    ids = (f"med-a-{len(reference)}", f"med-b-{len(reference)}")
    with StubServer(lambda _: Reply(searchset(*(medication(i) for i in ids)))) as stub:
        orders = [order(i, reference.format(id=i, base=stub.base_url)) for i in ids]
        for _ in range(2):  # the second time they are at hand
            collected = collect_from(stub.base_url, PREFETCH | {"medications": searchset(*orders)})
            assert set(ids) <= {entry.resource["id"] for entry in collected.entries}
            assert collected.unread == ()
    assert [path for path in stub.paths if path != "metadata"] == [
        f"Medication?_id={','.join(ids)}&_count=100"
    ]


def test_the_medication_of_an_order_of_r5_is_read_too() -> None:
    with StubServer(lambda _: Reply(searchset(medication("med-r5")))) as stub:
        order = medication_request("rx1", medication=None)
        order["medication"] = {"reference": {"reference": "Medication/med-r5"}}
        collected = collect_from(stub.base_url, PREFETCH | {"medications": searchset(order)})
    assert collected.entries[-1].resource == medication("med-r5")


def test_a_server_without_search_by_id_is_read_one_by_one() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(ERROR, 400) if "?" in asked.path else Reply(medication("med-single"))

    with StubServer(answer) as stub:
        orders = searchset(order("rx1", "Medication/med-single"))
        collected = collect_from(stub.base_url, PREFETCH | {"medications": orders})
    assert "Medication/med-single" in stub.paths
    assert collected.entries[-1].resource == medication("med-single")


@pytest.mark.parametrize("has_server", [True, False])
def test_a_medication_that_cannot_be_had_is_a_gap_and_no_failure(has_server: bool) -> None:
    with StubServer(lambda _: Reply(ERROR, 404)) as stub:
        orders = searchset(order("rx1", "Medication/gone"), order("rx2", "Medication/gone"))
        server = stub.base_url if has_server else None
        (gap,) = collect_from(server, PREFETCH | {"medications": orders}).unread
    assert (gap.reference, gap.topics) == ("Medication/gone", (Topic.NONE,))


@pytest.mark.parametrize(
    "reference",
    [
        "#med1",
        "Medication/along",
        "https://elsewhere.example.org/fhir/Medication/along",
        "urn:uuid:d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "Medication?identifier=x",
        "Substance/1",
        "Medication/..",
        "",
        None,
        7,
    ],
)
def test_what_is_along_or_not_on_this_server_is_not_asked_for(reference: Any) -> None:
    orders = searchset(order("rx1", reference), included=[medication("along")])
    with StubServer(lambda _: Reply(ERROR, 500)) as stub:
        collected = collect_from(stub.base_url, PREFETCH | {"medications": orders})
        assert stub.asked == []
    assert collected.unread == ()


def test_the_cache_keeps_apart_tokens_and_forgets_the_oldest() -> None:
    cache = MedicationCache(size=2)
    address = addresses(["https://ehr.example.org/fhir"])[0]
    mine, other = client_of(address, "a"), client_of(address, "b")
    cache.keep(mine, {"m1": medication("m1")})
    assert cache.find(mine, ["m1"]) == {"m1": medication("m1")}
    assert cache.find(other, ["m1"]) == {}
    cache.keep(mine, {"m2": medication("m2"), "m3": medication("m3")})
    assert set(cache.find(mine, ["m1", "m2", "m3"])) == {"m2", "m3"}


def test_the_cache_forgets_with_time() -> None:
    cache = MedicationCache(seconds=0)
    mine = client_of(addresses(["https://ehr.example.org/fhir"])[0], "a")
    cache.keep(mine, {"m1": medication("m1")})
    assert cache.find(mine, ["m1"]) == {}


# --- templates, and the command line ----------------------------------------------------------------------


def test_templates() -> None:
    assert {need.key: need.template for need in needs()} == {
        "patient": "Patient/{{context.patientId}}",
        "medications": "MedicationRequest?patient={{context.patientId}}",
        "observations": "Observation?patient={{context.patientId}}",
        "conditions": "Condition?patient={{context.patientId}}",
        "dispenses": "MedicationDispense?patient={{context.patientId}}",
        "statements": "MedicationStatement?patient={{context.patientId}}",
        "administrations": "MedicationAdministration?patient={{context.patientId}}",
        "procedures": "Procedure?patient={{context.patientId}}",
        "questionnaires": "QuestionnaireResponse?patient={{context.patientId}}",
        "adverseEvents": "AdverseEvent?subject=Patient/{{context.patientId}}",
        "allergies": "AllergyIntolerance?patient={{context.patientId}}",
        "requests": "ServiceRequest?patient={{context.patientId}}",
    }


def test_an_include_only_where_the_site_asks_for_it() -> None:
    (medications,) = (need for need in needs(include_medications=True) if "_include" in need.template)
    assert medications.query("p1") == "MedicationRequest?patient=p1&_include=MedicationRequest:medication"


def test_fetching_a_chart_for_the_command_line(server: EmbeddedServer) -> None:
    assert ids_of(fetch_collected(server.base_url, "p1")) == ids_of(collect_from(None, PREFETCH))


@pytest.mark.parametrize(
    ("base_url", "patient_id", "token", "error"),
    [
        ("ehr.example.org", "p1", None, InputError),
        ("https://ehr.example.org/fhir", "Patient/p1", None, InputError),
        ("http://ehr.example.org/fhir", "p1", "marker", FhirFatalError),
        ("http://127.0.0.1:9/fhir", "p1", None, FhirServerError),
    ],
)
def test_what_the_command_line_cannot_have(
    base_url: str, patient_id: str, token: str | None, error: type
) -> None:
    with pytest.raises(error):
        fetch_collected(base_url, patient_id, token, seconds=1)


# --- what the tests above are made of ---------------------------------------------------------------------


def collect_from(
    fhir_server: str | None,
    prefetch: dict[str, Any],
    token: str | None = None,
    seconds: float = 5,
    allowed: str | None = None,
) -> Collected:
    listed = tuple(addresses([allowed or fhir_server])) if fhir_server else ()
    policy = FhirPolicy(listed, allow_plain_http=True, fetch_seconds=seconds)
    return collect(request(fhir_server, prefetch, token), policy)


def request(
    fhir_server: str | None,
    prefetch: dict[str, Any],
    token: str | None = None,
    scopes: tuple[str, ...] | None = None,
) -> HookRequest:
    return HookRequest(
        "patient-view", "", "Practitioner/1", "p1", None, fhir_server, token, False, scopes, prefetch
    )


def addresses(texts: Any) -> list[FhirAddress]:
    return [address for text in texts if (address := read_address(text)) is not None]


def client_of(address: FhirAddress, token: str) -> Any:

    return FhirClient(address, token, Bounds(0, 1))


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in PREFETCH.items() if name != key}


def order(id: str, reference: Any) -> dict[str, Any]:
    return medication_request(id, medication=None, medicationReference={"reference": reference})


def ids_of(collected: Collected) -> list[tuple[str, str]]:
    assert collected.unread == ()
    return sorted((entry.resource["resourceType"], entry.resource["id"]) for entry in collected.entries)


def chart_of_p1(asked: Asked) -> Reply:
    """An open server that holds nothing but the patient."""
    return Reply(patient("p1") if asked.path == "Patient/p1" else searchset())
