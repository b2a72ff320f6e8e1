"""Fetching within what was granted and within limits: scopes, a token's time, pages, bytes, calls at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cds_service.needs import NEEDS
from fhir_fixtures.builders import condition, medication_request, observation, patient, searchset
from tests.contract.conftest import EMPTY_PREFETCH, HOOK_PATH, Serve, authorization, hook_request
from tests.contract.stub_server import Asked, Reply, StubServer

TOKEN = "marker-token-90ab"
REQUIRED = ("patient", "medications", "observations", "conditions")
ALL_REQUIRED = "patient/Patient.r patient/MedicationRequest.s patient/Observation.s patient/Condition.s"


# --- what the authorization has to be -----------------------------------------------------------------------


@pytest.mark.conformance("CH-402", "CH-205")
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"access_token": None}, "access_token"),
        ({"access_token": 7}, "access_token"),
        ({"access_token": ""}, "access_token"),
        ({"access_token": "two words"}, "access_token"),
        ({"access_token": "line\r\nbreak"}, "access_token"),
        ({"token_type": None}, "token_type"),
        ({"token_type": "bearer"}, "token_type"),
        ({"token_type": "mac"}, "token_type"),
        ({"expires_in": None}, "expires_in"),
        ({"expires_in": "300"}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"expires_in": 1.5}, "expires_in"),
        ({"scope": None}, "scope"),
        ({"scope": ["patient/*.read"]}, "scope"),
        ({"subject": None}, "subject"),
        ({"subject": 7}, "subject"),
        ({"patient": "p2"}, "patient"),
    ],
)
def test_a_wrong_authorization_is_400(serve: Serve, change: dict[str, Any], path: str) -> None:
    with StubServer(chart) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir, **change))
        assert reply.status_code == 400
        assert f"$.fhirAuthorization.{path}" in reply.text
        assert fhir.asked == []


@pytest.mark.conformance("CH-205")
def test_an_authorization_without_a_server_is_400(serve: Serve) -> None:
    reply = serve().post(hook_request(fhirAuthorization=authorization(TOKEN)))
    assert reply.status_code == 400
    assert "$.fhirServer" in reply.text


@pytest.mark.conformance("CH-205")
def test_a_base_with_and_without_trailing_slash_makes_the_same_requests(serve: Serve) -> None:
    with StubServer(chart) as fhir:
        service = serve(fhir_servers=(fhir.base_url,))
        for slash in ("", "/"):
            body = asking(fhir) | {"fhirServer": fhir.base_url + slash}
            assert service.post(body).status_code == 200
        half = len(fhir.paths) // 2
        assert sorted(fhir.paths[:half]) == sorted(fhir.paths[half:])


@pytest.mark.conformance("CH-403")
@pytest.mark.parametrize("patient_id", [None, "p1"])
def test_a_token_with_patient_scopes_need_not_name_the_patient(serve: Serve, patient_id: str | None) -> None:
    with StubServer(chart) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir, patient=patient_id))
        assert reply.status_code == 200


@pytest.mark.conformance("CH-401")
def test_a_listed_server_is_open_where_no_token_came(serve: Serve) -> None:
    with StubServer(chart) as fhir:
        body = hook_request(prefetch=None, fhirServer=fhir.base_url)
        assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == 200
        assert all("Authorization" not in asked.headers for asked in fhir.asked)


# --- scopes --------------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-406")
@pytest.mark.parametrize(
    ("scope", "asked_for"),
    [
        ("patient/*.read", "all"),
        ("patient/*.rs", "all"),
        ("user/*.*", "all"),
        ("system/*.cruds", "all"),
        ("launch openid fhirUser offline_access patient/*.rs", "all"),
        (ALL_REQUIRED, "Patient MedicationRequest Observation Condition"),
        (
            f"{ALL_REQUIRED} user/Procedure.read",
            "Patient MedicationRequest Observation Condition Procedure",
        ),
        (f"{ALL_REQUIRED} patient/Procedure.rs?code=x", "Patient MedicationRequest Observation Condition"),
        (f"{ALL_REQUIRED} patient/AdverseEvent.r", "Patient MedicationRequest Observation Condition"),
        ("patient/Patient.rs", "Patient"),
        ("patient/Patient.cud patient/Condition.write", ""),
        ("patient/*.rs?_tag=x", ""),
        ("launch openid", ""),
        ("", ""),
        ("patient/*", ""),
        ("patient/*.read,user/*.read", ""),
    ],
)
def test_the_server_sees_no_request_outside_the_scopes(serve: Serve, scope: str, asked_for: str) -> None:
    with StubServer(chart) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir, scope=scope))
        seen = {kind_of(asked) for asked in fhir.asked}
    wanted = {need.resource_type for need in NEEDS} if asked_for == "all" else set(asked_for.split())
    assert seen == wanted
    has_required = {"Patient", "MedicationRequest", "Observation", "Condition"} <= wanted
    assert reply.status_code == (200 if has_required else 412)


@pytest.mark.conformance("CH-406")
@pytest.mark.parametrize(
    ("scope", "paths"),
    [
        ("", []),
        ("patient/MedicationRequest.rs", []),
        ("patient/Medication.r", ["Medication/m1"]),
        ("patient/Medication.s", ["Medication?_id=m1&_count=100"]),
        ("patient/Medication.rs", ["Medication?_id=m1&_count=100", "Medication/m1"]),
    ],
)
def test_medications_are_read_within_the_scopes(serve: Serve, scope: str, paths: list[str]) -> None:
    order = medication_request(medicationReference={"reference": "Medication/m1"})
    order.pop("medicationCodeableConcept", None)
    prefetch = EMPTY_PREFETCH | {"medications": searchset(order)}
    with StubServer(chart) as fhir:
        body = asking(fhir, scope=scope) | {"prefetch": prefetch}
        assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == 200
        assert [path for path in fhir.paths if path != "metadata"] == paths


@pytest.mark.conformance("CH-407")
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_call_is_made_once(serve: Serve, status: int) -> None:
    with StubServer(lambda _: Reply(b"", status)) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir))
        assert reply.status_code == 412
        with_medications = [path for path in fhir.paths if "_include=" in path]
        assert len(with_medications) == 1
        others = [path for path in fhir.paths if path not in with_medications]
        assert len(others) == len(set(others)) == len(NEEDS) - (status == 401)
        assert all(asked.headers["Authorization"] == f"Bearer {TOKEN}" for asked in fhir.asked)


# --- a token's time ------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-402")
@pytest.mark.parametrize("expires_in", [0, -1, -(10**30)])
def test_a_token_that_has_run_out_is_as_none(serve: Serve, expires_in: int) -> None:
    with StubServer(chart) as fhir:
        assert serve(fhir_servers=(fhir.base_url,)).post(asking(fhir, expires_in=expires_in)).ok
        assert all("Authorization" not in asked.headers for asked in fhir.asked)


@pytest.mark.conformance("CH-402")
@pytest.mark.parametrize("expires_in", [10**18, 10**30, 3600.0])
def test_a_long_time_is_no_trouble(serve: Serve, expires_in: float) -> None:
    with StubServer(chart) as fhir:
        assert serve(fhir_servers=(fhir.base_url,)).post(asking(fhir, expires_in=expires_in)).ok


@pytest.mark.conformance("CH-402", "CH-410")
@pytest.mark.parametrize("slow_kind", ["Condition", "Procedure"])
def test_a_token_that_runs_out_between_pages_leaves_the_rest_unread(serve: Serve, slow_kind: str) -> None:
    def answer(asked: Asked) -> Reply:
        if kind_of(asked) != slow_kind:
            return chart(asked)
        time.sleep(1.2)
        first = condition() if slow_kind == "Condition" else {"resourceType": "Procedure", "id": "x"}
        return Reply(searchset(first, next_url=f"{fhir.base_url}/{slow_kind}?page=2"))

    with StubServer(answer) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir, expires_in=1))
        assert not [path for path in fhir.paths if "page=2" in path]
    assert "the access token ran out (expires_in)" in reply.text
    assert reply.status_code == (412 if slow_kind == "Condition" else 200)


# --- pages ---------------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-316", "CH-404")
def test_the_pages_after_a_prefetched_one_are_fetched_with_the_token(serve: Serve) -> None:
    with StubServer(lambda _: Reply(searchset(condition("dx2"), total=2))) as fhir:
        first = searchset(condition("dx1"), total=2, next_url=f"{fhir.base_url}?page=2")
        body = asking(fhir) | {"prefetch": EMPTY_PREFETCH | {"conditions": first}}
        assert serve(fhir_servers=(fhir.base_url,)).post(body).status_code == 200
        (asked,) = fhir.asked
        assert asked.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.conformance("CH-316")
@pytest.mark.parametrize(
    "first",
    [
        searchset(condition(), next_url="http://127.0.0.1:9/fhir?page=2"),
        searchset(condition(), total=2),
    ],
)
@pytest.mark.parametrize(("key", "status"), [("conditions", 412), ("procedures", 200)])
def test_a_first_page_without_access_is_never_complete(
    serve: Serve, first: dict[str, Any], key: str, status: int
) -> None:
    reply = serve().post(hook_request(prefetch=EMPTY_PREFETCH | {key: first}))
    assert reply.status_code == status
    assert key in reply.text


@pytest.mark.conformance("CH-410")
@pytest.mark.parametrize(("pages", "status"), [(3, 200), (4, 412)])
def test_pages_are_followed_up_to_the_limit(serve: Serve, pages: int, status: int) -> None:
    with StubServer(lambda asked: in_pages(asked, fhir, pages)) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,), fetch_pages=2).post(asking(fhir))
        assert reply.status_code == status
        assert len([path for path in fhir.paths if path.startswith("Condition")]) == 3
    assert status == 200 or "more than 2 (fetch_pages)" in reply.text


@pytest.mark.conformance("CH-410")
def test_pages_that_are_refused_later_are_no_whole(serve: Serve) -> None:
    def answer(asked: Asked) -> Reply:
        if "page=2" in asked.path:
            return Reply(b"", 404)
        if kind_of(asked) == "Procedure":
            first = {"resourceType": "Procedure", "id": "x", "status": "completed"}
            return Reply(searchset(first, next_url=f"{fhir.base_url}/Procedure?page=2"))
        return chart(asked)

    with StubServer(answer) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir))
    assert reply.status_code == 200
    (unread,) = reply.json()["extension"]["org.trd-cds.assessment"]["unread"]
    assert unread["reference"] == "Procedure search"
    assert "the FHIR server answered 404 to the Procedure search" in unread["problem"]


# --- bytes and calls at once ---------------------------------------------------------------------------------


def test_all_answers_together_have_a_largest_size(serve: Serve) -> None:
    def answer(asked: Asked) -> Reply:
        reply = chart(asked)
        return Reply(reply.body | {"padding": "x" * 400_000})

    with StubServer(answer) as fhir:
        assert serve(fhir_servers=(fhir.base_url,), fetch_mb=8).post(asking(fhir)).status_code == 200
        reply = serve(fhir_servers=(fhir.base_url,), fetch_mb=1).post(asking(fhir))
    assert reply.status_code == 412
    assert "larger than 1 MiB" in reply.text


def test_one_answer_has_the_same_limit(serve: Serve) -> None:
    with StubServer(lambda asked: Reply(chart(asked).body | {"padding": "x" * 3_000_000})) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,), fetch_mb=2).post(asking(fhir))
    assert reply.status_code == 412
    assert "larger than 2 MiB" in reply.text


def test_no_more_calls_at_once_than_the_limit(serve: Serve) -> None:
    now, most, lock = [0], [0], threading.Lock()

    def answer(asked: Asked) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return chart(asked)

    with StubServer(answer) as fhir:
        service = serve(fhir_servers=(fhir.base_url,), fetches_at_once=2, fetch_seconds=30)
        assert service.post_at_once(asking(fhir), 3) == [200] * 3
    assert most == [2]


def test_who_finds_all_places_taken_waits_no_longer_than_it_may(serve: Serve) -> None:
    let_go, hanging = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Reply:
        hanging.set()
        let_go.wait(20)
        return chart(asked)

    with StubServer(answer) as fhir:
        service = serve(fhir_servers=(fhir.base_url,), fetches_at_once=1, fetch_seconds=1)
        first = threading.Thread(target=lambda: service.post(asking(fhir)))
        first.start()
        assert hanging.wait(10)
        reply = service.post(asking(fhir))
        let_go.set()
        first.join()
        assert len(fhir.asked) <= 2 * len(NEEDS)
    assert reply.status_code == 412
    assert "took too long" in reply.text


@pytest.mark.conformance("CH-405")
@pytest.mark.parametrize("path", [HOOK_PATH])
def test_the_token_is_not_echoed_when_all_goes_well(
    serve: Serve, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.DEBUG), StubServer(chart) as fhir:
        reply = serve(fhir_servers=(fhir.base_url,)).post(asking(fhir), path)
    assert reply.status_code == 200
    assert TOKEN not in reply.text + str(reply.headers) + caplog.text


# --- what the tests above are made of -----------------------------------------------------------------------


def asking(fhir: StubServer, **granted: Any) -> dict[str, Any]:
    """A request without prefetch; `granted` changes its authorization, None leaves an element out."""
    access = authorization(TOKEN, **granted)
    return hook_request(
        prefetch=None,
        fhirServer=fhir.base_url,
        fhirAuthorization={name: value for name, value in access.items() if value is not None},
    )


def kind_of(asked: Asked) -> str:
    return asked.path.replace("/", "?").partition("?")[0]


def chart(asked: Asked) -> Reply:
    """A server that has a patient and what is required, and nothing else."""
    kind = kind_of(asked)
    if kind == "Patient":
        return Reply(patient())
    resources: dict[str, Callable[[], dict[str, Any]]] = {
        "MedicationRequest": medication_request,
        "Observation": observation,
        "Condition": condition,
    }
    return Reply(searchset(*([resources[kind]()] if kind in resources else [])))


def in_pages(asked: Asked, fhir: StubServer, pages: int) -> Reply:
    """As `chart`, with so many pages of Conditions."""
    if kind_of(asked) != "Condition":
        return chart(asked)
    page = int(asked.path.partition("page=")[2] or 1)
    link = f"{fhir.base_url}/Condition?page={page + 1}" if page < pages else None
    return Reply(searchset(condition(f"dx{page}"), next_url=link))
