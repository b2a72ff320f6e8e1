"""Servers that lack something: what the doctor says of each, and whether the service can work there."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from cds_service.doctor.rendering import FORMS, render
from cds_service.doctor.results import Outcome
from cds_service.errors import FhirServerError
from tests.contract.stub_server import Asked, Reply, StubServer
from tests.doctor.servers import (
    changed_server,
    check,
    fixture_server,
    not_working,
    outcomes,
    refusing,
    report_on,
    report_on_changed,
)

OPTIONAL = {
    "dispenses": "MedicationDispense",
    "statements": "MedicationStatement",
    "administrations": "MedicationAdministration",
    "procedures": "Procedure",
    "questionnaires": "QuestionnaireResponse",
    "adverseEvents": "AdverseEvent",
    "allergies": "AllergyIntolerance",
    "requests": "ServiceRequest",
}
REQUIRED = {"medications": "MedicationRequest", "observations": "Observation", "conditions": "Condition"}


def test_a_server_that_lacks_nothing() -> None:
    with fixture_server() as url:
        report = report_on(url)
    assert report.can_work and report.why_not == ()
    assert not_working(report) == {}
    assert (report.readiness.asked, report.readiness.read, report.readiness.judged) == (3, 3, 2)
    assert report.tried_with in ("trd-v01", "trd-v07", "trd-v19")
    assert list(report.prefetch) == ["patient", *REQUIRED, *OPTIONAL]


# --- searches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "resource_type"), OPTIONAL.items())
def test_without_a_search_that_is_not_required(key: str, resource_type: str) -> None:
    report = report_on_changed(refusing(resource_type))
    assert report.can_work
    assert not_working(report) == {key: "limited"}
    assert key not in report.prefetch
    assert f"patient/{resource_type}.rs" not in (*report.minimum_scopes, *report.further_scopes)
    assert check(report, key).said == "answered 404 (not-supported)"
    (lost,) = report.readiness.not_looked_at
    assert (lost.what, lost.patients) == (key, 3) and resource_type in lost.to_do


@pytest.mark.parametrize(("key", "resource_type"), REQUIRED.items())
def test_without_a_search_that_is_required(key: str, resource_type: str) -> None:
    report = report_on_changed(refusing(f"{resource_type}?patient="))
    assert not report.can_work
    assert check(report, key).outcome is Outcome.FAILS and check(report, key).to_do
    assert f"{resource_type} search: answered 404 (not-supported)" in report.why_not
    assert key in report.prefetch  # it is needed, wherever it comes from
    assert report.readiness.read == 0 and report.readiness.not_read[0].patients == 3


def test_the_metadata_is_held_against_what_was_tried() -> None:
    def edit(asked: Asked, content: Any) -> Any:
        if asked.path == "metadata":
            rows = content["rest"][0]["resource"]
            content["rest"][0]["resource"] = [row for row in rows if row["type"] != "Condition"]
        return content

    report = report_on_changed(edit=edit)
    declared = {search.check.id: search.is_declared for search in report.searches}
    assert declared == {key: key != "conditions" for key in ("patient", *REQUIRED, *OPTIONAL)}
    assert report.can_work
    assert render(report, "text").count("The metadata does not name it.") == 1
    refused = render(report_on_changed(refusing("Procedure")), "text")
    assert refused.count("The metadata names it all the same.") == 1


def test_a_server_that_does_not_heed_the_patient() -> None:
    def edit(asked: Asked, content: Any) -> Any:
        if asked.path.startswith("Observation?patient="):
            for entry in content.get("entry", []):
                entry["resource"]["subject"] = {"reference": "Patient/somebody-else"}
        return content

    report = report_on_changed(edit=edit)
    assert check(report, "observations").outcome is Outcome.FAILS
    assert "are of other patients" in check(report, "observations").said


def test_some_records_of_others_are_told() -> None:
    def edit(asked: Asked, content: Any) -> Any:
        if asked.path.startswith("Observation?patient="):
            content["entry"][0]["resource"]["subject"] = {"reference": "Patient/somebody-else"}
        return content

    report = report_on_changed(edit=edit)
    found = check(report, "observations")
    assert found.outcome is Outcome.LIMITED and found.said.startswith("1 of ")


def test_another_patient_is_read() -> None:
    def edit(asked: Asked, content: Any) -> Any:
        return content | {"id": "another"} if asked.path.startswith("Patient/") else content

    report = report_on_changed(edit=edit)
    assert check(report, "patient").said == "answered with another resource than the Patient"
    assert not report.can_work


def test_a_patient_that_is_not_there() -> None:
    with fixture_server() as url:
        report = report_on(url, "nobody")
    assert report.why_not == ("of no patient could all be read that the rules need",)
    found = check(report, "patient")
    assert found.outcome is Outcome.NOT_TRIED and "is there a patient with this id?" in found.said
    assert found.to_do.startswith("Name one that is there.")
    assert "it cannot be told whether" in render(report, "text").splitlines()[0]
    assert "metadata names" not in render(report, "text")


def test_a_patient_that_was_found_and_cannot_be_read() -> None:
    report = report_on_changed(refusing("Patient/", 404))
    assert "Patient read: answered 404 (not-supported)" in report.why_not
    assert (
        check(report, "patient").to_do
        == "Let the server answer the read of a patient that its searches name."
    )
    assert "cannot work with this server" in render(report, "text").splitlines()[0]


def test_a_read_in_place_of_a_search() -> None:
    report = report_on_changed(
        lambda asked: Reply({"resourceType": "Condition"}) if asked.path.startswith("Condition?") else None
    )
    assert check(report, "conditions").said == "expected a Bundle, got another resource or none"


def test_an_outcome_with_200_is_no_result() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
    report = report_on_changed(lambda a: Reply(outcome) if a.path.startswith("Condition?") else None)
    assert check(report, "conditions").said == "answered 200 with an OperationOutcome (timeout)"


# --- pages --------------------------------------------------------------------------------------------------


def without_links(_: Asked, content: Any) -> Any:
    return {name: value for name, value in content.items() if name != "link"}


def with_links_to(url: str) -> Any:
    def edit(_: Asked, content: Any) -> Any:
        if content.get("resourceType") == "Bundle":
            content["link"] = [{"relation": "next", "url": url}]
        return content

    return edit


def test_no_links_between_pages() -> None:
    report = report_on_changed(edit=without_links)
    assert outcomes(report)["next-links"] == "fails" and not report.can_work
    assert "no link to the others" in check(report, "next-links").said


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://elsewhere.example.org/fhir?page=2&patient=secret", "leads to http://elsewhere.example.org,"),
        ("https://elsewhere.example.org:8443/fhir?page=2", "leads to https://elsewhere.example.org:8443,"),
        ("../other?page=2", "not below the base address"),
        ("http://[/secret", "not below the base address"),
    ],
)
def test_links_that_lead_elsewhere(url: str, told: str) -> None:
    with changed_server(edit=with_links_to(url)) as server:
        report = report_on(server.base_url, "trd-v01")
    # nothing could be read, since every search ends in such a link; so there is no longest search to try
    assert not report.can_work and report.readiness.read == 0

    def only_short_pages(asked: Asked, content: Any) -> Any:
        return with_links_to(url)(asked, content) if "_count=1&" in asked.path + "&" else content

    report = report_on_changed(edit=only_short_pages)
    assert outcomes(report)["next-links"] == "fails"
    assert told in check(report, "next-links").said
    assert "secret" not in check(report, "next-links").said


def test_a_page_that_comes_again() -> None:
    first: dict[str, Any] = {}

    def edit(asked: Asked, content: Any) -> Any:
        if "_count=1&" in asked.path + "&" and "patient=" in asked.path:
            first.setdefault("page", content)
            return first["page"]
        return first.get("page", content) if "_getpages" in asked.path else content

    report = report_on_changed(edit=edit)
    assert "nothing new" in check(report, "next-links").said


def test_a_second_page_that_is_refused() -> None:
    def change(asked: Asked) -> Reply | None:
        is_second = "patient=" not in asked.path and "_getpages" in asked.path
        return Reply({"resourceType": "OperationOutcome"}, 410) if is_second else None

    report = report_on_changed(change)
    assert "answered 410" in check(report, "next-links").said


def test_count_that_is_not_heeded() -> None:
    with changed_server() as server:

        def change(asked: Asked) -> Reply | None:
            if "_count=1&" not in asked.path + "&":
                return None
            url = f"{server.base_url}/{asked.path.replace('_count=1', '_count=100')}"
            return Reply(requests.get(url, timeout=20).json())

        with changed_server(change) as heedless:
            report = report_on(heedless.base_url)
    assert outcomes(report)["count"] == "limited" and outcomes(report)["next-links"] == "not tried"
    assert report.can_work


def test_count_that_is_refused() -> None:
    def change(asked: Asked) -> Reply | None:
        return Reply({"resourceType": "OperationOutcome"}, 400) if "_count=1&" in asked.path + "&" else None

    report = report_on_changed(change)
    assert outcomes(report)["count"] == "limited" and outcomes(report)["next-links"] == "not tried"
    assert report.can_work


def test_count_that_fails() -> None:
    def change(asked: Asked) -> Reply | None:
        return Reply({"resourceType": "OperationOutcome"}, 404) if "_count=1&" in asked.path + "&" else None

    report = report_on_changed(change)
    assert outcomes(report)["count"] == "fails" and not report.can_work


def test_nobody_has_two_records_of_a_type() -> None:
    def edit(_: Asked, content: Any) -> Any:
        if content.get("resourceType") == "Bundle":
            return {"resourceType": "Bundle", "type": "searchset", "entry": content.get("entry", [])[:1]}
        return content

    report = report_on_changed(edit=edit)
    assert outcomes(report)["count"] == "not tried" and outcomes(report)["next-links"] == "not tried"


# --- Medications ----------------------------------------------------------------------------------------------


def test_include_that_is_refused() -> None:
    def change(asked: Asked) -> Reply | None:
        return Reply({"resourceType": "OperationOutcome"}, 400) if "_include=" in asked.path else None

    report = report_on_changed(change)
    assert not_working(report) == {"include": "limited"} and report.can_work


def test_include_that_is_ignored() -> None:
    def edit(asked: Asked, content: Any) -> Any:
        if "_include=" in asked.path:
            rows = content.get("entry", [])
            content["entry"] = [r for r in rows if r["resource"]["resourceType"] == "MedicationRequest"]
        return content

    report = report_on_changed(edit=edit)
    assert check(report, "include").said == "not heeded: none came along"


def test_medications_that_cannot_be_had() -> None:
    report = report_on_changed(refusing("Medication/"))
    assert not_working(report) == {"medication-read": "limited"}
    report = report_on_changed(refusing("Medication?"))
    assert not_working(report) == {"medication-search": "limited"}


def test_medications_that_are_others() -> None:
    def edit(asked: Asked, content: Any) -> Any:
        if asked.path.startswith("Medication/"):
            return {"resourceType": "Substance", "id": "x"}
        if asked.path.startswith("Medication?"):
            return {"resourceType": "Bundle", "type": "searchset"}
        return content

    report = report_on_changed(edit=edit)
    assert check(report, "medication-read").said == "answered with another resource"
    assert check(report, "medication-search").said == "it did not find one"


def test_no_order_refers_to_a_medication() -> None:
    report = report_on_changed(only=(1,))
    tried = outcomes(report)
    assert {tried[id] for id in ("include", "medication-search", "medication-read")} == {"not tried"}
    assert report.can_work


# --- other ways to search ---------------------------------------------------------------------------------------


def test_no_search_by_post() -> None:
    report = report_on_changed(lambda asked: Reply(b"", 405) if asked.method == "POST" else None)
    assert not_working(report) == {"post-search": "limited"} and report.can_work


@pytest.mark.parametrize(
    ("status", "outcome", "said"),
    [
        (200, "works", "ignored"),
        (400, "works", "refused with 400"),
        (500, "limited", "answered 500, asked 2 times"),
    ],
)
def test_an_unknown_parameter(status: int, outcome: str, said: str) -> None:
    empty = {"resourceType": "Bundle", "type": "searchset"}

    def change(asked: Asked) -> Reply | None:
        return Reply(empty, status) if "trd-cds-unknown" in asked.path else None

    found = check(report_on_changed(change), "unknown-parameter")
    assert (found.outcome.value, found.said) == (outcome, said)


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}


# --- the whole server -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_refused_everywhere(status: int) -> None:
    with StubServer(lambda _: Reply({"resourceType": "OperationOutcome"}, status)) as server:
        report = report_on(server.base_url, "p1")
    assert not report.can_work
    assert f"Patient read: answered {status}" in report.why_not
    assert "of no patient could all be read that the rules need" in report.why_not
    assert "--token-file" in check(report, "patient").to_do


def test_html_instead_of_json() -> None:
    page = Reply(b"<html>Sign in</html>", 200, {"Content-Type": "text/html; charset=utf-8"})
    with StubServer(lambda _: page) as server:
        report = report_on(server.base_url, "p1")
    assert not report.can_work
    assert check(report, "content-type").said == "answered text/html, no JSON"
    assert check(report, "conditions").said == "answered text/html, which is not FHIR JSON"
    assert check(report, "metadata").outcome is Outcome.LIMITED
    assert check(report, "fhir-version").outcome is Outcome.NOT_TRIED


def test_metadata_that_is_a_page_tells_nothing_of_the_other_answers() -> None:
    page = Reply(b"<html>", 200, {"Content-Type": "text/html"})
    report = report_on_changed(lambda asked: page if asked.path == "metadata" else None)
    assert check(report, "content-type").said == "answered application/fhir+json"


@pytest.mark.parametrize(
    ("reply", "outcome", "said"),
    [
        (
            Reply(b"<x/>", 406, {"Content-Type": "application/fhir+xml"}),
            "fails",
            "answered 406, not acceptable",
        ),
        (Reply(b"", 500), "not tried", "nothing came to tell it by"),
        (
            Reply(b"<x/>", 200, {"Content-Type": "application/fhir+xml"}),
            "fails",
            "answered application/fhir+xml, no JSON",
        ),
    ],
)
def test_no_json_at_all(reply: Reply, outcome: str, said: str) -> None:
    with StubServer(lambda _: reply) as server:
        found = check(report_on(server.base_url), "content-type")
    assert (found.outcome.value, found.said) == (outcome, said)


@pytest.mark.parametrize(
    ("reply", "token", "to_do"),
    [
        (Reply({}, 401), None, "Give a token (--token-file)"),
        (Reply({}, 401), "t", "The token was not taken"),
        (Reply({}, 403), "t", "The token was taken, and does not allow it"),
        (
            Reply(b"<html>", 200, {"Content-Type": "text/html"}),
            None,
            "See metadata: is this the base address",
        ),
        (Reply(OUTCOME, 400), None, "Name patients with --patient ID"),
    ],
)
def test_why_no_patient_was_found_tells_what_to_do(reply: Reply, token: str | None, to_do: str) -> None:
    with StubServer(lambda _: reply) as server:
        found = check(report_on(server.base_url, token=token), "sample")
    assert found.to_do.startswith(to_do)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://fhir.example.org/r4/metadata", "https://fhir.example.org/r4"),
        ("/r4/metadata?x=1", "/r4"),
        ("https://user:pw@fhir.example.org/metadata", None),
        ("https://fhir.example.org/\x1b[2J/metadata", None),
        ("", None),
    ],
)
def test_a_redirect_of_the_base_address_tells_where_to(location: str, told: str | None) -> None:
    with StubServer(lambda _: Reply(b"", 301, {"Location": location})) as server:
        report = report_on(server.base_url, "p1")
        here = server.base_url.removesuffix("/fhir")
    found = check(report, "metadata")
    if told is None:
        assert found.said == "answered 301: redirects are not followed"
        assert found.to_do == "Give the address that it leads to."
    else:
        target = told if told.startswith("https") else f"{here}{told}"
        assert found.said.endswith(f"It leads to {target}")
        assert found.to_do.endswith(f"--fhir-server {target}")
    assert not report.can_work


def test_json_under_another_name() -> None:
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
    plain = Reply(statement, 200, {"Content-Type": "text/plain"})
    report = report_on_changed(lambda asked: plain if asked.path == "metadata" else None)
    assert check(report, "content-type").said == "JSON, but called text/plain" and report.can_work


def test_redirects_are_not_followed() -> None:
    def change(asked: Asked) -> Reply | None:
        there = {"Location": "http://elsewhere.example.org/"}
        return Reply(b"", 302, there) if asked.path.startswith("Condition?") else None

    report = report_on_changed(change)
    assert check(report, "conditions").said == "answered 302: redirects are not followed"


@pytest.mark.parametrize(
    ("version", "outcome", "said"),
    [
        ("4.0.1", "works", "4.0.1 (R4)"),
        ("4.3.0", "works", "4.3.0 (R4B)"),
        ("5.0.0", "limited", "5.0.0 (R5)"),
        ("3.0.2", "limited", "3.0.2 (STU3)"),
        ("1.0.2", "fails", "1.0.2 (DSTU2)"),
        ("0.5.0", "fails", "0.5.0 (DSTU2)"),
        ("9.9", "limited", "9.9, which this service does not know"),
        (None, "not tried", "metadata tells none"),
    ],
)
def test_versions_of_fhir(version: str | None, outcome: str, said: str) -> None:
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": version}
    report = report_on_changed(lambda asked: Reply(statement) if asked.path == "metadata" else None)
    found = check(report, "fhir-version")
    assert (found.outcome.value, found.said) == (outcome, said)
    assert bool(found.to_do) == (outcome != "works")
    assert report.can_work  # what the searches answer decides


def test_a_dstu2_server_has_no_medication_request() -> None:
    statement = {"resourceType": "Conformance", "fhirVersion": "1.0.2"}

    def change(asked: Asked) -> Reply | None:
        if asked.path == "metadata":
            return Reply(statement)
        return refusing("MedicationRequest")(asked)

    report = report_on_changed(change)
    assert not report.can_work and report.fhir_version == "1.0.2"
    assert "MedicationRequest search: answered 404 (not-supported)" in report.why_not


def test_metadata_that_is_another_resource() -> None:
    report = report_on_changed(
        lambda asked: Reply({"resourceType": "Patient"}) if asked.path == "metadata" else None
    )
    assert check(report, "metadata").outcome is Outcome.LIMITED and report.can_work
    assert {search.is_declared for search in report.searches} == {None}


def test_a_software_name_cannot_move_the_cursor() -> None:
    software = {"name": "Fine\x1b[2J Server\n", "version": "1.2"}
    statement = {"resourceType": "CapabilityStatement", "software": software}
    report = report_on_changed(lambda asked: Reply(statement) if asked.path == "metadata" else None)
    assert report.software == "Fine[2J Server 1.2"


def test_a_slow_search_fails_in_time() -> None:
    def change(asked: Asked) -> Reply | None:
        if asked.path.startswith("Observation?patient="):
            time.sleep(3)
        return None

    begun = time.monotonic()
    with changed_server(change, only=(1,)) as server:
        report = report_on(server.base_url, "trd-v01", seconds=1.0)
    assert time.monotonic() - begun < 30
    assert not report.can_work
    assert "took too long" in check(report, "observations").said
    assert "TRD_CDS_FETCH_SECONDS" in check(report, "observations").to_do


def test_a_server_that_does_not_answer_in_time_cannot_be_reached() -> None:
    def answer(_: Asked) -> Reply:
        time.sleep(2)
        return Reply({})

    with StubServer(answer) as server, pytest.raises(FhirServerError, match="took too long for the metadata"):
        report_on(server.base_url, "p1", seconds=0.5)


# --- patients -----------------------------------------------------------------------------------------------


def test_orders_cannot_be_searched_beyond_one_patient() -> None:
    report = report_on_changed(refusing("MedicationRequest?_count"))
    assert report.readiness.found_by == "Patient search"
    assert report.readiness.read == 3 and report.can_work


def test_no_patient_can_be_found() -> None:
    def change(asked: Asked) -> Reply | None:
        return refusing("MedicationRequest?_count", 400)(asked) or refusing("Patient?", 403)(asked)

    report = report_on_changed(change)
    assert report.why_not == ("no patient was found to try with",)
    found = check(report, "sample")
    assert "MedicationRequest search answered 400" in found.said and "--patient" in found.to_do
    assert {search.check.outcome for search in report.searches} == {Outcome.NOT_TRIED}
    assert len(report.prefetch) == 12


def test_an_empty_server() -> None:
    with fixture_server(only=()) as url:
        report = report_on(url)
    assert not report.can_work
    assert check(report, "sample").said == "MedicationRequest search found none; Patient search found none"
    assert "it cannot be told whether" in render(report, "text").splitlines()[0]


def test_the_sample_is_as_large_as_asked_and_prefers_antidepressants() -> None:
    order = {
        "resourceType": "MedicationRequest",
        "id": "a-first",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/no-antidepressant"},
        "medicationCodeableConcept": {"text": "paracetamol 500 mg tablet"},
    }

    def edit(asked: Asked, content: Any) -> Any:
        if asked.path.startswith("MedicationRequest?_count"):
            content["entry"].insert(0, {"resource": order})
        return content

    report = report_on_changed(edit=edit, sample=2)
    assert report.readiness.asked == report.readiness.read == 2


def test_nobody_can_be_judged() -> None:
    report = report_on_changed(only=(16,))
    assert report.why_not == ("no patient could be judged: each verdict is indeterminate",)


def test_after_three_failures_the_others_are_not_tried() -> None:
    report = report_on_changed(refusing("Observation?patient="), only=(1, 2, 3, 4, 5))
    assert report.readiness.asked == 3


# --- servers that make no sense ---------------------------------------------------------------------------

ODD: dict[str, Any] = {
    "nothing": b"",
    "a number": 7,
    "a list": [1, "x", None],
    "no name": {},
    "a name that is none": {"resourceType": 7},
    "entries that are none": {"resourceType": "Bundle", "entry": [1, None, {}, {"resource": 7}], "link": {}},
    "entries of odd resources": {
        "resourceType": "Bundle",
        "total": "x",
        "link": [7, {"relation": "next", "url": 7}],
        "entry": [
            {"resource": {"resourceType": ["Patient"], "id": {}}},
            {"resource": {"resourceType": "Patient", "id": "../../etc"}},
            {"resource": {"resourceType": "MedicationRequest", "subject": [], "medicationReference": [7]}},
            {"resource": {"resourceType": "MedicationRequest", "subject": {"reference": "Patient/.."}}},
            {"resource": {"resourceType": "MedicationRequest", "subject": {"reference": "Patient/p1"}}},
        ],
    },
    "an odd statement": {
        "resourceType": "CapabilityStatement",
        "fhirVersion": ["4.0.1"],
        "software": {"name": 7, "version": []},
        "rest": [
            7,
            {"resource": 7},
            {"resource": [7, {"type": "Patient", "interaction": [7, {"code": []}], "searchParam": {}}]},
        ],
    },
    "too deep": b'{"resourceType":' + b"[" * 100_000,
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_what_makes_no_sense_is_a_report_and_no_failure(content: Any) -> None:
    with StubServer(lambda _: Reply(content)) as server:
        for patient_ids in ((), ("p1",)):
            report = report_on(server.base_url, *patient_ids, seconds=5.0)
            assert not report.can_work
            for form in FORMS:
                assert "/etc" not in render(report, form)
