"""The embedded FHIR server, asked over real HTTP as a client would ask it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from fhir.resources.R4B import get_fhir_model_class

from cds_service.errors import FhirFatalError, FhirServerError, FhirTemporaryError
from fhir_fixtures import builders as build
from fhir_fixtures import vignettes
from fhir_fixtures.loading import delete_fixtures, load_fixtures
from fhir_fixtures.search import parameters_of, span_of
from fhir_fixtures.server import EmbeddedServer

Resource = dict[str, Any]

UUID = "urn:uuid:9b2c6d1e-0000-4000-8000-000000000001"


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as running:
        yield running


def ids(answer: requests.Response, mode: str = "match") -> list[str]:
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return [entry["resource"]["id"] for entry in entries if entry["search"]["mode"] == mode]


def search(server: EmbeddedServer, query: str) -> list[str]:
    return sorted(ids(requests.get(f"{server.base_url}/{query}")))


def refusal(answer: requests.Response) -> tuple[int, str]:
    """The status and issue code; every refusal must be an OperationOutcome of the FHIR type."""
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    outcome = answer.json()
    get_fhir_model_class("OperationOutcome").model_validate(outcome)
    return answer.status_code, outcome["issue"][0]["code"]


# --- what a search finds ------------------------------------------------------------------------------

CHART = build.bundle(
    build.patient(
        "p1", name=[{"family": "Fixture", "given": ["One"]}], identifier=[{"system": "s", "value": "7"}]
    ),
    build.patient("p2", "1990-06"),
    build.medication("m1", (build.RXNORM, "312938")),
    build.medication_request("rx1", (build.RXNORM, "312938"), first_day="2025-09-01", patient_id="p1"),
    build.medication_request(
        "rx2", (build.ATC, "N06AB06"), first_day="2025-11-25", last_day="2026-03-15", patient_id="p1"
    ),
    build.medication_request("rx3", "sertraline", first_day=None, intent="proposal", patient_id="p2"),
    build.medication_request(
        "rx4",
        None,
        first_day="2026-01",
        patient_id="p2",
        medicationReference={"reference": "Medication/m1"},
    ),
    build.observation("o1", day="2025-09-01", category=[build.concept(("cat", "survey"))]),
    build.observation("o2", (build.LOINC, "8867-4"), 70, "2025-09-10T23:30:00-05:00"),
    build.observation(
        "o3", day=None, effectivePeriod={"start": "2025-09-05", "end": "2025-09-20"}, patient_id="p2"
    ),
    build.observation("o4", "PHQ-9", day=None, subject={"reference": "https://other.example.org/Patient/p1"}),
    build.condition("c1"),
    build.condition("c2", clinical="resolved", verification=None, recorded=None, onsetDateTime="2020"),
    build.condition("c3", {"coding": [{"code": "F33.1"}]}, patient_id="p2"),
)


@pytest.fixture(scope="module")
def chart_server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as running:
        running.load(CHART)
        yield running


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # whose
        ("MedicationRequest?patient=p1", "rx1 rx2"),
        ("MedicationRequest?patient=Patient/p1", "rx1 rx2"),
        ("MedicationRequest?patient={base}/Patient/p1", "rx1 rx2"),
        ("MedicationRequest?subject=Patient/p2", "rx3 rx4"),
        ("MedicationRequest?subject=p2", "rx3 rx4"),
        ("MedicationRequest?subject:Patient=p2", "rx3 rx4"),
        ("MedicationRequest?patient=p1,p2", "rx1 rx2 rx3 rx4"),
        ("MedicationRequest?patient=nobody", ""),
        ("Observation?patient=https://elsewhere.example.org/Patient/p1", ""),
        ("Observation?subject=https://other.example.org/Patient/p1", "o4"),
        # which
        ("MedicationRequest?_id=rx1,rx3,rx9", "rx1 rx3"),
        ("Patient?identifier=s|7", "p1"),
        ("Patient?identifier=7", "p1"),
        ("Patient?family=fix", "p1"),
        ("Patient?name=two", ""),
        ("Patient?family:contains=TUR", "p1"),
        ("Patient?family:exact=Fixture", "p1"),
        ("Patient?family:exact=fixture", ""),
        ("Patient?birthdate=1990", "p2"),
        # tokens
        ("MedicationRequest?code=http://www.nlm.nih.gov/research/umls/rxnorm|312938", "rx1"),
        ("MedicationRequest?code=312938", "rx1"),
        ("MedicationRequest?code=|312938", ""),
        ("MedicationRequest?code=http://www.whocc.no/atc|", "rx2"),
        ("MedicationRequest?code=312938,N06AB06", "rx1 rx2"),
        ("Condition?code=|F33.1", "c3"),
        ("MedicationRequest?status=active&intent=order", "rx1 rx4"),
        ("MedicationRequest?intent:not=order", "rx3"),
        ("MedicationRequest?intent:not=order,proposal", ""),
        ("MedicationRequest?code:text=SERTRA", "rx3"),
        ("MedicationRequest?code:text=traline", ""),
        ("Patient?identifier:text=7", ""),
        ("Condition?clinical-status=active&patient=p1", "c1"),
        ("Condition?verification-status:missing=true", "c2"),
        ("Observation?category=survey", "o1"),
        ("Observation?code=http://loinc.org|44261-6&code=http://loinc.org|8867-4", ""),
        # dates
        ("MedicationRequest?authoredon=2025-09-01", "rx1"),
        ("MedicationRequest?authoredon=ge2025-11-25", "rx2 rx4"),
        ("MedicationRequest?authoredon=gt2025-11-25", "rx4"),
        ("MedicationRequest?authoredon=lt2025-11-25", "rx1"),
        ("MedicationRequest?authoredon=le2025-11-25", "rx1 rx2"),
        ("MedicationRequest?authoredon=ge2025-09&authoredon=le2025-12", "rx1 rx2"),
        ("MedicationRequest?authoredon=2025", "rx1 rx2"),
        ("MedicationRequest?authoredon=ne2025", "rx4"),
        ("MedicationRequest?authoredon=2026-01-15", ""),
        ("MedicationRequest?authoredon=ap2026-01-15", "rx4"),
        ("MedicationRequest?authoredon:missing=true", "rx3"),
        ("Observation?date=2025-09-11", "o2"),
        ("Observation?date=sa2025-09-10", "o2"),
        ("Observation?date=sa2025-09-11", ""),
        ("Observation?date=eb2025-09-21", "o1 o2 o3"),
        ("Observation?date=2025-09-05", ""),
        ("Observation?date=ge2025-09-20", "o3"),
        ("Condition?onset-date=2020", "c2"),
        ("Condition?recorded-date=gt2024-10-31", "c1 c3"),
        # what only steers the answer
        ("Patient?_format=json&_pretty=true", "p1 p2"),
        ("Patient?_total=none", "p1 p2"),
    ],
)
def test_search(chart_server: EmbeddedServer, query: str, expected: str) -> None:
    assert search(chart_server, query.replace("{base}", chart_server.base_url)) == expected.split()


@pytest.mark.parametrize(
    ("query", "issue"),
    [
        ("MedicationRequest?patient=p1&medication.code=1", "not-supported"),
        ("MedicationRequest?colour=blue", "not-supported"),
        ("MedicationRequest?code:in=some-value-set", "not-supported"),
        ("MedicationRequest?code:exact=312938", "not-supported"),
        ("MedicationRequest?authoredon:text=2025", "not-supported"),
        ("MedicationRequest?subject:Patient.gender=female", "not-supported"),
        ("MedicationRequest?subject:identifier=s|7", "not-supported"),
        ("MedicationRequest?subject:Nobody=p1", "not-supported"),
        ("MedicationRequest?patient=", "value"),
        ("MedicationRequest?code=a|b|c", "value"),
        ("MedicationRequest?authoredon=2024-13-45", "value"),
        ("MedicationRequest?authoredon=not-a-date", "value"),
        ("MedicationRequest?authoredon=zz2024", "value"),
        ("MedicationRequest?status:missing=perhaps", "value"),
        ("MedicationRequest?_count=-1", "value"),
        ("MedicationRequest?_count=many", "value"),
        ("MedicationRequest?_sort=status", "not-supported"),
        ("MedicationRequest?_total=some", "not-supported"),
        ("MedicationRequest?_summary=text", "not-supported"),
        ("MedicationRequest?_include=MedicationRequest:code", "not-supported"),
        ("MedicationRequest?_include=Observation:subject", "not-supported"),
    ],
)
def test_a_search_that_cannot_be_answered_is_refused(
    chart_server: EmbeddedServer, query: str, issue: str
) -> None:
    assert refusal(requests.get(f"{chart_server.base_url}/{query}")) == (400, issue)


def test_search_by_post_adds_the_form_to_the_address(chart_server: EmbeddedServer) -> None:
    answer = requests.post(
        f"{chart_server.base_url}/MedicationRequest/_search?patient=p1", data={"status": "active"}
    )

    assert ids(answer) == ["rx1"]


def test_included_medications_come_along_marked(chart_server: EmbeddedServer) -> None:
    address = f"{chart_server.base_url}/MedicationRequest?patient=p2&_include=MedicationRequest:medication"
    answer = requests.get(address)

    assert sorted(ids(answer)) == ["rx3", "rx4"]
    assert ids(answer, "include") == ["m1"]
    assert answer.json()["total"] == 2


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("*", "m1 p2"),
        ("MedicationRequest:*", "m1 p2"),
        ("MedicationRequest:subject:Patient", "p2"),
        ("MedicationRequest:subject:Group", ""),
        ("MedicationRequest:medication&_include=MedicationRequest:patient", "m1 p2"),
    ],
)
def test_what_an_include_brings_along(chart_server: EmbeddedServer, include: str, expected: str) -> None:
    answer = requests.get(f"{chart_server.base_url}/MedicationRequest?_id=rx4&_include={include}")

    assert ids(answer) == ["rx4"]
    assert sorted(ids(answer, "include")) == expected.split()


def test_only_the_elements_asked_for_come_and_say_that_they_are_a_part(chart_server: EmbeddedServer) -> None:
    address = f"{chart_server.base_url}/MedicationRequest?_id=rx4&_elements=status,subject"
    answer = requests.get(f"{address}&_include=MedicationRequest:medication")
    (found, medication) = (entry["resource"] for entry in answer.json()["entry"])

    assert found.keys() == {"resourceType", "id", "meta", "status", "subject"}
    assert [tag["code"] for tag in found["meta"]["tag"]] == ["SUBSETTED"]
    assert "code" in medication and "tag" not in medication["meta"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("authoredon", "rx1 rx2 rx4 rx3"),
        ("-authoredon", "rx4 rx2 rx1 rx3"),
        ("-_id", "rx4 rx3 rx2 rx1"),
    ],
)
def test_results_come_in_the_order_asked_for(chart_server: EmbeddedServer, sort: str, expected: str) -> None:
    answer = requests.get(f"{chart_server.base_url}/MedicationRequest?_sort={sort}")

    assert ids(answer) == expected.split()


@pytest.mark.parametrize("query", ["patient=p1&_summary=count", "patient=p1&_count=0"])
def test_only_the_count_can_be_asked_for(chart_server: EmbeddedServer, query: str) -> None:
    page = requests.get(f"{chart_server.base_url}/MedicationRequest?{query}").json()

    assert (page["total"], "entry" in page) == (2, False)


def test_the_answer_to_a_search_is_valid_fhir(chart_server: EmbeddedServer) -> None:
    page = requests.get(f"{chart_server.base_url}/MedicationRequest?_count=1").json()

    get_fhir_model_class("Bundle").model_validate(page)


@pytest.mark.parametrize(
    ("text", "has_a_span"),
    [
        ("2024-02-29", True),
        ("2025-02-29", False),
        ("2025-01-01T24:00:00Z", False),
        ("2025-01-01T10:00", True),
        ("9999-12-31", False),
        ("٢٠٢٥", False),
        (20250101, False),
        ({}, False),
        ({"start": "2025"}, True),
    ],
)
def test_what_is_no_date_covers_no_moments(text: object, has_a_span: bool) -> None:
    assert (span_of(text) is not None) == has_a_span


# --- pages --------------------------------------------------------------------------------------------


def pages_of(url: str) -> list[dict[str, Any]]:
    pages = [requests.get(url).json()]
    while True:
        further = [link["url"] for link in pages[-1]["link"] if link["relation"] == "next"]
        if not further:
            return pages
        pages.append(requests.get(further[0]).json())


def load_orders(server: EmbeddedServer, count: int) -> None:
    server.load(build.bundle(*(build.medication_request(f"rx{n:03}") for n in range(count))))


@pytest.mark.parametrize(
    ("count", "query", "sizes"),
    [
        (0, "", [0]),
        (20, "", [20]),
        (21, "", [20, 1]),
        (45, "", [20, 20, 5]),
        (45, "&_count=45", [45]),
        (45, "&_count=44", [44, 1]),
    ],
)
def test_pages(server: EmbeddedServer, count: int, query: str, sizes: list[int]) -> None:
    load_orders(server, count)
    pages = pages_of(f"{server.base_url}/MedicationRequest?patient=p1{query}")

    assert [len(page.get("entry", [])) for page in pages] == sizes
    assert {page["total"] for page in pages} == {count}
    found = [entry["resource"]["id"] for page in pages for entry in page.get("entry", [])]
    assert found == [f"rx{n:03}" for n in range(count)]


def test_pages_do_not_shift_while_they_are_turned() -> None:
    with EmbeddedServer(page_size=2) as server:
        load_orders(server, 4)
        first = requests.get(f"{server.base_url}/MedicationRequest?patient=p1").json()
        requests.delete(f"{server.base_url}/MedicationRequest/rx000")
        second = requests.get(first["link"][1]["url"])

    assert ids(second) == ["rx002", "rx003"]


def test_no_page_is_larger_than_the_server_allows() -> None:
    with EmbeddedServer(largest_page=3) as server:
        load_orders(server, 5)
        pages = pages_of(f"{server.base_url}/MedicationRequest?patient=p1&_count=1000")

    assert [len(page["entry"]) for page in pages] == [3, 2]


def test_each_page_names_itself_and_its_neighbours() -> None:
    with EmbeddedServer(page_size=2) as server:
        load_orders(server, 5)
        pages = pages_of(f"{server.base_url}/MedicationRequest?patient=p1")
        links = [{link["relation"]: link["url"] for link in page["link"]} for page in pages]
        again = requests.get(links[2]["previous"]).json()

    assert [sorted(one) for one in links] == [
        ["next", "self"],
        ["next", "previous", "self"],
        ["previous", "self"],
    ]
    assert [links[0]["next"], links[1]["next"]] == [links[1]["self"], links[2]["self"]]
    assert again["entry"] == pages[1]["entry"]


def test_a_page_of_an_unknown_search_is_gone(server: EmbeddedServer) -> None:
    assert refusal(requests.get(f"{server.base_url}?_getpages=nonsense")) == (410, "expired")


# --- reading and writing ------------------------------------------------------------------------------


def test_a_resource_goes_through_its_life(server: EmbeddedServer) -> None:
    url = f"{server.base_url}/Patient/p1"
    created = requests.put(url, json=build.patient())
    updated = requests.put(url, json=build.patient(gender="female"))
    read = requests.get(url)
    deleted = requests.delete(url)

    assert [it.status_code for it in (created, updated, read, deleted)] == [201, 200, 200, 204]
    assert created.headers["Location"] == f"{url}/_history/1"
    assert read.headers["ETag"] == 'W/"2"'
    assert read.json()["meta"]["versionId"] == "2"
    assert read.json()["gender"] == "female"
    assert refusal(requests.get(url)) == (410, "deleted")
    assert search(server, "Patient") == []
    assert requests.put(url, json=build.patient()).headers["ETag"] == 'W/"4"'


def test_the_newest_version_can_be_read_where_location_says(server: EmbeddedServer) -> None:
    url = f"{server.base_url}/Patient/p1"
    first = requests.put(url, json=build.patient()).headers["Location"]
    newest = requests.put(url, json=build.patient(gender="female")).headers["Location"]

    assert requests.get(newest).json()["gender"] == "female"
    assert refusal(requests.get(first)) == (404, "not-found")


def test_what_has_not_changed_is_not_sent_again(server: EmbeddedServer) -> None:
    url = f"{server.base_url}/Patient/p1"
    requests.put(url, json=build.patient())
    read = requests.get(url)
    later = {"If-Modified-Since": read.headers["Last-Modified"]}

    for known in ({"If-None-Match": read.headers["ETag"]}, later):
        again = requests.get(url, headers=known)
        assert (again.status_code, again.content) == (304, b"")
    requests.put(url, json=build.patient(gender="female"))
    assert requests.get(url, headers={"If-None-Match": read.headers["ETag"]}).json()["gender"] == "female"


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [("minimal", None), ("OperationOutcome", "OperationOutcome"), ("representation", "Patient")],
)
def test_what_was_written_comes_back_as_preferred(
    server: EmbeddedServer, preferred: str, expected: str | None
) -> None:
    headers = {"Prefer": f"return={preferred}"}
    answer = requests.put(f"{server.base_url}/Patient/p1", json=build.patient(), headers=headers)

    assert (answer.status_code, answer.headers["ETag"]) == (201, 'W/"1"')
    assert (answer.json()["resourceType"] if answer.content else None) == expected


def test_a_created_resource_gets_an_id(server: EmbeddedServer) -> None:
    created = requests.post(f"{server.base_url}/Patient", json=build.patient("mine"))

    assert created.status_code == 201
    assert created.json()["id"] != "mine"
    assert requests.get(created.headers["Location"].partition("/_history")[0]).ok


def test_an_update_of_another_version_is_refused(server: EmbeddedServer) -> None:
    url = f"{server.base_url}/Patient/p1"
    requests.put(url, json=build.patient())

    assert requests.put(url, json=build.patient(), headers={"If-Match": 'W/"1"'}).status_code == 200
    assert requests.put(url, json=build.patient(), headers={"If-Match": 'W/"1"'}).status_code == 412
    requests.delete(url)
    assert requests.put(url, json=build.patient(), headers={"If-Match": 'W/"3"'}).status_code == 412


DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("method", "path", "body", "type", "expected"),
    [
        ("GET", "Patient/nobody", None, None, (404, "not-found")),
        ("GET", "Nonsense", None, None, (404, "not-supported")),
        ("GET", "Patient/a/b/c", None, None, (404, "not-found")),
        ("GET", "", None, None, (400, "not-supported")),
        ("DELETE", "Patient", None, None, (405, "not-supported")),
        ("PATCH", "Patient/p1", "[]", "application/json-patch+json", (405, "not-supported")),
        ("PUT", "Patient/p1", "{", "application/json", (400, "structure")),
        ("PUT", "Patient/p1", b"\xff\xfe", "application/json", (400, "structure")),
        ("PUT", "Patient/p1", "", "application/json", (400, "structure")),
        ("PUT", "Patient/p1", "[]", "application/json", (400, "structure")),
        ("PUT", "Patient/p1", '{"a": NaN}', "application/json", (400, "structure")),
        ("PUT", "Patient/p1", '{"a": 1e999}', "application/json", (400, "structure")),
        ("PUT", "Patient/p1", DEEP, "application/json", (400, "structure")),
        ("PUT", "Patient/p1", "[" * 200 + "]" * 200, "application/json", (400, "too-costly")),
        ("PUT", "Patient/p1", '{"id": "p1"}', "application/json", (400, "structure")),
        ("PUT", "Patient/p1", '{"resourceType": 5, "id": "p1"}', "application/json", (400, "structure")),
        ("PUT", "Patient/p1", '{"resourceType": "Patient", "id": "p2"}', None, (400, "invariant")),
        ("PUT", "Patient/p1", '{"resourceType": "Condition", "id": "p1"}', None, (400, "invariant")),
        ("PUT", "Patient/a_b", '{"resourceType": "Patient", "id": "a_b"}', None, (400, "value")),
        ("PUT", "Patient/p1", "<Patient/>", "application/fhir+xml", (415, "not-supported")),
        ("POST", "Patient/_search", "{}", "application/json", (415, "not-supported")),
        ("POST", "", "{}", "application/json", (400, "structure")),
        ("POST", "", '{"resourceType": "Bundle"}', "application/json", (400, "not-supported")),
        ("GET", "Patient?_format=xml", None, None, (406, "not-supported")),
    ],
)
def test_what_cannot_be_served_is_refused_in_fhir_words(
    server: EmbeddedServer,
    method: str,
    path: str,
    body: str | bytes | None,
    type: str | None,
    expected: tuple[int, str],
) -> None:
    headers = {"Content-Type": type} if type else {}
    answer = requests.request(method, f"{server.base_url}/{path}", data=body, headers=headers)

    assert refusal(answer) == expected


def test_odd_content_is_kept_and_found_by_nothing_it_does_not_say(server: EmbeddedServer) -> None:
    odd = {"resourceType": "Observation", "id": "odd", "code": 5, "effectiveDateTime": ["2025", {}]}
    odd |= {"subject": "Patient/p1", "status": {"coding": 7}, "meta": "none"}

    assert server.load(build.bundle(odd)) == 1
    assert search(server, "Observation?patient=p1") == []
    assert search(server, "Observation?_sort=date&code:missing=false") == ["odd"]


# --- Bundles ------------------------------------------------------------------------------------------


def entry(
    method: str, url: str, resource: dict[str, Any] | None = None, full_url: str = ""
) -> dict[str, Any]:
    asked = {"request": {"method": method, "url": url}}
    return asked | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def post_bundle(server: EmbeddedServer, *entries: Resource, type: str = "transaction") -> requests.Response:
    body = {"resourceType": "Bundle", "type": type, "entry": list(entries)}
    return requests.post(server.base_url, json=body)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_transaction_that_writes_one_resource_twice_is_refused(server: EmbeddedServer, method: str) -> None:
    again = build.patient() if method == "PUT" else None
    twice = post_bundle(
        server, entry("PUT", "Patient/p1", build.patient()), entry(method, "Patient/p1", again)
    )

    assert refusal(twice) == (400, "invariant")
    assert search(server, "Patient") == []


def test_a_transaction_gives_ids_and_keeps_references(server: EmbeddedServer) -> None:
    new_patient = {"resourceType": "Patient"}
    order = build.medication_request("rx1", subject={"reference": UUID})
    answer = post_bundle(
        server,
        entry("GET", "MedicationRequest?_id=rx1"),
        entry("PUT", "MedicationRequest/rx1", order, "urn:uuid:9b2c6d1e-0000-4000-8000-000000000002"),
        entry("POST", "Patient", new_patient, UUID),
    )
    found, _, created = answer.json()["entry"]
    patient_id = created["response"]["location"].split("/")[-3]

    assert answer.status_code == 200
    assert created["response"]["status"] == "201 Created"
    assert found["resource"]["entry"][0]["resource"]["subject"]["reference"] == f"Patient/{patient_id}"
    assert search(server, f"MedicationRequest?patient={patient_id}") == ["rx1"]
    get_fhir_model_class("Bundle").model_validate(answer.json())


@pytest.mark.parametrize(
    "wrong",
    [
        entry("GET", "Patient/nobody"),
        entry("PUT", "Patient/p2", build.patient("p3")),
        entry("PUT", "Patient/p2"),
        entry("PATCH", "Patient/p2"),
        {"request": "PUT"},
    ],
)
def test_a_transaction_happens_as_a_whole_or_not_at_all(
    server: EmbeddedServer, wrong: dict[str, Any]
) -> None:
    answer = post_bundle(server, entry("PUT", "Patient/p1", build.patient()), wrong)

    assert answer.status_code in (400, 404)
    assert search(server, "Patient") == []


def test_each_entry_of_a_batch_stands_for_itself(server: EmbeddedServer) -> None:
    answer = post_bundle(
        server,
        entry("PUT", "Patient/p1", build.patient()),
        entry("GET", "Patient/nobody"),
        entry("GET", "Patient/p1"),
        entry("DELETE", "Patient/p1"),
        type="batch",
    )
    statuses = [one["response"]["status"][:3] for one in answer.json()["entry"]]

    assert statuses == ["201", "404", "200", "204"]


def test_load_takes_a_bundle_of_any_type(server: EmbeddedServer) -> None:
    by_urn = {"fullUrl": UUID, "resource": {"resourceType": "Patient"}}
    order = {"resource": build.medication_request("rx1", subject={"reference": UUID})}
    loaded = server.load({"resourceType": "Bundle", "type": "searchset", "entry": [by_urn, order, {}]})

    assert loaded == 2
    assert search(server, f"MedicationRequest?patient={UUID.removeprefix('urn:uuid:')}") == ["rx1"]


# --- for browsers and for tests -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/Patient/p1", "/MedicationRequest/_search", "/nonsense/at/all"])
def test_a_browser_may_ask_from_any_page(server: EmbeddedServer, path: str) -> None:
    headers = {"Origin": "https://sandbox.example.org", "Access-Control-Request-Method": "PUT"}
    headers |= {"Access-Control-Request-Headers": "authorization,content-type"}
    preflight = requests.options(server.base_url + path, headers=headers)
    answer = requests.get(server.base_url + path, headers={"Origin": "https://sandbox.example.org"})

    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_the_capability_statement_lists_what_can_be_searched(server: EmbeddedServer) -> None:
    statement = requests.get(f"{server.base_url}/metadata").json()
    get_fhir_model_class("CapabilityStatement").model_validate(statement)
    listed = {it["type"]: {p["name"] for p in it["searchParam"]} for it in statement["rest"][0]["resource"]}

    assert statement["fhirVersion"] == "4.0.1"
    assert listed["MedicationRequest"] == set(parameters_of("MedicationRequest"))
    assert {"patient", "code", "category", "date", "status"} <= listed["Observation"]


def test_a_token_can_be_required() -> None:
    with EmbeddedServer(require_token="secret") as server:
        without = requests.get(f"{server.base_url}/Patient")
        wrong = requests.get(
            f"{server.base_url}/Patient", headers={"Authorization": "Bearer sécret".encode()}
        )
        right = requests.get(f"{server.base_url}/Patient", headers={"Authorization": "Bearer secret"})
        metadata = requests.get(f"{server.base_url}/metadata")

    assert refusal(without) == refusal(wrong) == (401, "login")
    assert without.headers["WWW-Authenticate"] == "Bearer"
    assert (right.status_code, metadata.status_code) == (200, 200)


def test_a_test_can_see_what_was_asked(server: EmbeddedServer) -> None:
    requests.get(f"{server.base_url}/Patient?_id=p1", headers={"Authorization": "Bearer t"})
    requests.post(f"{server.base_url}/Patient/_search", data={"_id": "p2"})
    first, second = server.requests

    assert (first.method, first.path, first.query) == ("GET", "Patient", "_id=p1")
    assert first.headers["Authorization"] == "Bearer t"
    assert (second.method, second.path, second.body) == ("POST", "Patient/_search", b"_id=p2")


def test_answers_can_be_made_slow() -> None:
    with EmbeddedServer(delay_seconds=0.2) as server:
        start = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: requests.get(f"{server.base_url}/Patient"), range(4)))
        together = time.monotonic() - start

    assert 0.2 <= together < 0.8


def test_many_may_write_at_once(server: EmbeddedServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: requests.put(f"{server.base_url}/Patient/p1", json=build.patient()), range(40))
        )

    assert sorted(int(it.headers["ETag"][3:-1]) for it in answers) == list(range(1, 41))


def test_a_stopped_server_is_gone() -> None:
    with EmbeddedServer() as server:
        url = f"{server.base_url}/Patient"
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_a_port_in_use_is_an_error_that_can_be_caught(server: EmbeddedServer) -> None:
    port = int(server.base_url.split(":")[2].partition("/")[0])
    with pytest.raises(OSError):
        EmbeddedServer().start(port=port)


# --- the fixture patients on a server -----------------------------------------------------------------


def test_the_fixture_patients_load_twice_without_change(server: EmbeddedServer) -> None:
    loaded = load_fixtures(server.base_url)
    load_fixtures(server.base_url)

    assert loaded == [f"Patient/{vignette.patient_id}" for vignette in vignettes()]
    assert len(search(server, "Patient?_count=100")) == 24


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
def test_loaded_or_pushed_a_chart_is_found_by_its_patient(vignette: Any, server: EmbeddedServer) -> None:
    types = ("MedicationRequest", "Observation", "Condition")
    written = sorted(
        entry["resource"]["id"]
        for entry in vignette.bundle["entry"]
        if entry["resource"]["resourceType"] in types
    )
    server.load(vignette.bundle)
    loaded = [it for type in types for it in search(server, f"{type}?patient={vignette.patient_id}")]
    with EmbeddedServer() as other:
        load_fixtures(other.base_url, [vignette.id])
        pushed = [it for type in types for it in search(other, f"{type}?patient={vignette.patient_id}")]

    assert sorted(loaded) == sorted(pushed) == written


def test_a_server_without_transactions_gets_the_resources_one_by_one(server: EmbeddedServer) -> None:
    session = SessionWithoutTransactions(server.base_url)

    assert load_fixtures(server.base_url, [10], session) == ["Patient/trd-v10"]
    assert session.asked[:4] == ["POST", "Patient", "Medication", "Medication"]
    assert len(search(server, "MedicationRequest?patient=trd-v10")) == 2


class SessionWithoutTransactions(requests.Session):
    """Sends a Bundle to where no Bundle is taken, and notes what was sent."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url
        self.asked: list[str] = []

    def request(self, method: str, url: str, **how: Any) -> requests.Response:  # type: ignore[override]
        self.asked.append(url.removeprefix(self.base_url).split("/")[1] if method == "PUT" else method)
        return super().request(method, f"{url}/no/bundles/here" if method == "POST" else url, **how)


def test_a_server_that_refuses_or_is_not_there_is_named_in_one_line() -> None:
    with EmbeddedServer(require_token="secret") as server:
        with pytest.raises(FhirFatalError, match=r"expected 200 or 201, got 401 \(This server") as refused:
            load_fixtures(server.base_url, [1])
        url = server.base_url
    with pytest.raises(FhirTemporaryError, match="could not be reached"):
        load_fixtures(url, [1])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "",
        "ftp://127.0.0.1/fhir",
        "http://127.0.0.1:9/fhir?x=1",
        "http://127.0.0.1:9/fhir/Patient",
        "http://me:password@127.0.0.1:9/fhir",
    ],
)
def test_what_is_no_plain_address_is_not_called_and_not_repeated(address: str) -> None:
    for act in (load_fixtures, delete_fixtures):
        with pytest.raises(FhirFatalError, match="not an address") as refused:
            act(address, [1])
        assert not address or address not in str(refused.value)


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}
HALF = {
    "resourceType": "Bundle",
    "type": "transaction-response",
    "entry": [{"response": {"status": "201 Created"}}, {"response": {"status": "400 Bad Request"}}],
}


@pytest.mark.parametrize("act", [load_fixtures, delete_fixtures])
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, "<html>Welcome</html>"), "expected FHIR JSON, got something else; is this the base address"),
        ((404, "<html>No such page</html>"), "got 404; is this the base address"),
        ((404, ""), "got 404; is this the base address"),
        ((401, json.dumps(OUTCOME)), "got 401; the server wants a token"),
        ((403, ""), "got 403; the server does not let this be written"),
        ((405, ""), "got 405; .* may be written to"),
        ((301, ""), "got 301"),
        ((503, ""), "got 503"),
    ],
)
def test_what_is_no_success_is_not_told_as_one(act: Any, reply: tuple[int, str], words: str) -> None:
    with answering_all(*reply) as base_url, pytest.raises(FhirServerError, match=words):
        act(base_url, [1, 2])


@pytest.mark.parametrize("body", [OUTCOME, HALF, HALF | {"entry": None}, HALF | {"entry": [None]}])
def test_a_transaction_that_was_not_carried_out_as_a_whole_is_an_error(body: Resource) -> None:
    with (
        answering_all(200, json.dumps(body)) as base_url,
        pytest.raises(FhirFatalError, match="transaction-response of successes"),
    ):
        load_fixtures(base_url, [1])


def test_what_the_server_does_not_have_is_taken_off() -> None:
    with answering_all(404, json.dumps(OUTCOME)) as base_url:
        assert delete_fixtures(base_url, [1]) == ["Patient/trd-v01"]
    with answering_all(410, "") as base_url:
        assert delete_fixtures(base_url, [1]) == ["Patient/trd-v01"]


def test_what_others_refer_to_stays_and_the_rest_is_taken_off(server: EmbeddedServer) -> None:
    load_fixtures(server.base_url, [1, 2, 3])
    with pytest.raises(
        FhirFatalError, match=r"^2 patients taken off, 1 not\. .*trd-v02: something else"
    ) as kept:
        delete_fixtures(server.base_url, [1, 2, 3], SessionThatKeeps("Patient/trd-v02"))

    assert "\n" not in str(kept.value)
    assert search(server, "Patient") == ["trd-v02"]
    assert delete_fixtures(server.base_url) == [f"Patient/{one.patient_id}" for one in vignettes()]
    assert search(server, "Patient") == []


class SessionThatKeeps(requests.Session):
    """Has one resource that cannot be deleted."""

    def __init__(self, kept: str) -> None:
        super().__init__()
        self.kept = kept

    def request(self, method: str, url: str, **how: Any) -> requests.Response:  # type: ignore[override]
        if not url.endswith(self.kept):
            return super().request(method, url, **how)
        answer = requests.Response()
        answer.status_code = 409
        return answer


@contextmanager
def answering_all(status: int, body: str) -> Iterator[str]:
    """The address of a server that has one answer to everything."""

    class OneAnswer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), OneAnswer) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/fhir"
        listening.shutdown()
