"""Dispensings, statements and administrations that cannot be had, or only in part, or too many.

All else can be had. The answer comes in time and is 200; it names what was not to be had; and what may be
hidden there never makes a verdict of "not met".
"""

from __future__ import annotations

import logging
import time
from datetime import date, timedelta
from typing import Any

import pytest

from cds_service.report import EXTENSION_KEY
from fhir_fixtures import builders
from fhir_fixtures.builders import Resource, searchset
from tests.contract.conftest import Serve, authorization, hook_request
from tests.contract.replies import assert_sound
from tests.contract.stub_server import Answer, Asked, Reply, StubServer
from tests.contract.test_faults import FAULTS, GRACE_SECONDS

BUDGET_SECONDS = 1.5  # all else has to arrive, also on a busy machine
TOKEN = "marker-token-51c9"
KINDS = {
    "dispenses": "MedicationDispense",
    "statements": "MedicationStatement",
    "administrations": "MedicationAdministration",
}
OTHERS = {
    "procedures": "Procedure",
    "questionnaires": "QuestionnaireResponse",
    "adverseEvents": "AdverseEvent",
    "allergies": "AllergyIntolerance",
    "requests": "ServiceRequest",
}
PATIENT = builders.patient()
SCORES = [
    builders.observation(f"phq{n}", value=20, day=str(date(2025, 1, 1) + timedelta(14 * n)))
    for n in range(39)
]
CHART = {
    "MedicationRequest": [],
    "Observation": SCORES,
    "Condition": [builders.condition()],
    "MedicationDispense": [],
    "MedicationStatement": [],
    "MedicationAdministration": [],
    "Procedure": [],
    "QuestionnaireResponse": [],
    "AdverseEvent": [],
    "AllergyIntolerance": [],
    "ServiceRequest": [],
}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
NO_SUCH_TYPE = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-supported"}]}
NOT_THERE = ("refuses what is asked", "refuses the token", "forbids", "finds nothing there")


def answering(kind: str, answer: Answer, **chart: list[Resource]) -> Answer:
    """Answers by the chart, and for `kind` by `answer`."""
    records = CHART | chart

    def reply(asked: Asked) -> Any:
        asked_for = asked.path.partition("?")[0].partition("/")[0]
        if asked_for == kind:
            return answer(asked)
        if asked_for == "Patient":
            return Reply(PATIENT)
        return Reply(searchset(*records[asked_for])) if asked_for in records else Reply(OUTCOME, 404)

    return reply


def ask(serve: Serve, fhir: StubServer, **settings: Any) -> dict[str, Any]:
    """The assessment of a 200, in time."""
    service = serve(fhir_servers=(fhir.base_url,), **{"fetch_seconds": BUDGET_SECONDS} | settings)
    started = time.monotonic()
    body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=authorization(TOKEN))
    reply = service.post(body)
    taken = time.monotonic() - started
    assert reply.status_code == 200, reply.text
    assert taken < settings.get("fetch_seconds", BUDGET_SECONDS) + GRACE_SECONDS
    assert_sound(reply.status_code, reply.json())
    assert TOKEN not in reply.text
    return reply.json()["extension"][EXTENSION_KEY]  # type: ignore[no-any-return]


def fill(id: str, day: date, **more: Any) -> Resource:
    return {
        "resourceType": "MedicationDispense",
        "id": id,
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "sertraline 50 mg tablet"},
        "whenHandedOver": day.isoformat(),
        "daysSupply": builders.quantity(30, "days", "d"),
        "quantity": builders.quantity(30, "tablet"),
    } | more


FILLS = [fill(f"d{n}", date(2025, 6, 1) + timedelta(30 * n)) for n in range(6)]


SOME_FAULTS = ("hangs before the headers", "sends truncated JSON", "has an error", "forbids")


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        *(("dispenses", fault) for fault in FAULTS),
        *((key, fault) for key in ("statements", "administrations") for fault in SOME_FAULTS),
    ],
)
def test_a_fault_of_what_is_not_required_is_named_and_hides_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture, key: str, fault: str
) -> None:
    with (
        StubServer(answering(KINDS[key], FAULTS[fault])) as fhir,
        caplog.at_level(logging.DEBUG, "cds_service"),
    ):
        told = ask(serve, fhir)
    assert TOKEN not in caplog.text
    if fault in NOT_THERE:
        assert (told["notLookedAt"], told["verdict"]) == ([key], "not-met")
        return
    assert f"{KINDS[key]} search" in [entry["reference"] for entry in told["unread"]]
    assert told["verdict"] == "indeterminate"
    assert told["failedTrials"] == {"atLeast": 0, "atMost": 2, "needed": 2}
    assert f"the {KINDS[key]} search" in [entry["what"] for entry in told["missing"]]


@pytest.mark.parametrize(
    ("key", "verdict", "safety"),
    [
        ("procedures", "not-met", "not-met"),
        ("questionnaires", "not-met", "unknown"),
        ("adverseEvents", "not-met", "not-met"),
        ("allergies", "not-met", "not-met"),
        ("requests", "not-met", "not-met"),
    ],
)
@pytest.mark.parametrize("fault", ["hangs before the headers", "sends truncated JSON", "has an error"])
def test_a_failed_search_of_what_is_no_drug_leaves_open_only_what_it_bears_on(
    serve: Serve, key: str, verdict: str, safety: str, fault: str
) -> None:
    """Nobody has a trial here, so nothing that is hidden makes one; a form may hide an answer about suicide."""
    item9 = builders.observation("item9", builders.PHQ9_ITEMS[8], 0, "2026-06-20")
    answer = answering(OTHERS[key], FAULTS[fault], Observation=[*SCORES, item9])
    with StubServer(answer) as fhir:
        told = ask(serve, fhir)
    assert [entry["reference"] for entry in told["unread"]] == [f"{OTHERS[key]} search"]
    assert ("notLookedAt" in told, told["verdict"], told["safety"]["answer"]) == (False, verdict, safety)


@pytest.mark.parametrize(
    ("key", "verdict", "failed"),
    [
        (None, "met", {"atLeast": 2, "atMost": 2, "needed": 2}),
        ("procedures", "met", {"atLeast": 2, "atMost": 2, "needed": 2}),
        ("questionnaires", "indeterminate", {"atLeast": 0, "atMost": 2, "needed": 2}),
        ("adverseEvents", "met", {"atLeast": 2, "atMost": 2, "needed": 2}),
        ("allergies", "met", {"atLeast": 2, "atMost": 2, "needed": 2}),
        ("requests", "met", {"atLeast": 2, "atMost": 2, "needed": 2}),
    ],
)
def test_two_failed_trials_are_open_when_the_forms_could_not_be_searched(
    serve: Serve, key: str | None, verdict: str, failed: dict[str, int]
) -> None:
    """A form may hold a later score than the last one known; why a trial was stopped does not undo its scores."""
    orders = [
        builders.medication_request("rx1", "sertraline 100 mg tablet", "1 daily", "2025-01-01", "2025-04-01"),
        builders.medication_request(
            "rx2", "venlafaxine 150 mg capsule", "1 daily", "2025-05-01", "2025-08-01"
        ),
    ]
    kind = OTHERS[key] if key else "none"
    answer = answering(kind, FAULTS["sends truncated JSON"], MedicationRequest=orders)
    with StubServer(answer) as fhir:
        told = ask(serve, fhir)
    assert (told["verdict"], told["failedTrials"]) == (verdict, failed)


def test_a_client_that_prefetches_only_what_is_required_is_answered(serve: Serve) -> None:
    prefetch = {
        "patient": PATIENT,
        "medications": searchset(),
        "observations": searchset(*SCORES),
        "conditions": searchset(*CHART["Condition"]),
    }
    reply = serve().post(hook_request(prefetch=prefetch))
    assert_sound(reply.status_code, reply.json())
    told = reply.json()["extension"][EXTENSION_KEY]
    assert (told["verdict"], told["notLookedAt"]) == ("not-met", [*KINDS, *OTHERS])


@pytest.mark.parametrize("key", [*KINDS, *OTHERS])
@pytest.mark.parametrize(
    "answer",
    [
        Reply(NO_SUCH_TYPE),
        Reply(NO_SUCH_TYPE, 400),
        Reply(b"", 404),
        Reply(b"no such page", 405),
        Reply(NO_SUCH_TYPE, 501),
    ],
)
def test_a_type_that_the_server_does_not_have_is_named_and_decided_without(
    serve: Serve, key: str, answer: Reply
) -> None:
    kind = (KINDS | OTHERS)[key]
    with StubServer(answering(kind, lambda _: answer)) as fhir:
        told = ask(serve, fhir)
        asked = [path for path in fhir.paths if kind in path]
    assert asked[0].endswith("&_count=100")
    assert asked[1:] in ([], [asked[0].removesuffix("&_count=100")])  # a 400 may have meant the _count
    assert len(asked) == 1 or answer.status == 400
    assert (told["notLookedAt"], told["verdict"], told.get("unread")) == ([key], "not-met", None)


def test_a_search_that_hangs_leaves_time_for_the_medications_of_the_orders(serve: Serve) -> None:
    reference = {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/m1"}}
    order = builders.medication_request(last_day="2025-12-31", first_day="2025-06-01", **reference)
    slow = FAULTS["hangs before the headers"]
    answer = answering(
        "MedicationDispense", slow, MedicationRequest=[order], Medication=[builders.medication("m1")]
    )
    with StubServer(answer) as fhir:
        told = ask(serve, fhir, fetch_seconds=1.6)
    (trial,) = told["trials"]
    assert (trial["name"], trial["adequateDays"]) == ("sertraline", 214)
    assert [entry["reference"] for entry in told["unread"]] == ["MedicationDispense search"]


def test_all_pages_of_what_was_dispensed_are_read(serve: Serve) -> None:
    def pages(asked: Asked) -> Reply:
        at = int(asked.path.partition("page=")[2] or 0)
        following = f"{fhir.base_url}/MedicationDispense?page={at + 1}" if at < 2 else None
        return Reply(searchset(*FILLS[2 * at : 2 * at + 2], total=6, next_url=following))

    with StubServer(answering("MedicationDispense", pages)) as fhir:
        told = ask(serve, fhir)
    (trial,) = told["trials"]
    assert (trial["adequateDays"], trial["adherence"]) == (180, "met")


def test_fills_on_a_page_that_fails_are_not_held_against_the_patient(serve: Serve) -> None:
    """One of six fills is known: what the others cover is not, so nothing is said of adherence."""
    order = builders.medication_request(
        first_day="2025-06-01", last_day="2025-11-27", dosage="1/2 tablet daily"
    )
    first = searchset(FILLS[0], total=6, next_url="https://elsewhere.invalid/fhir/page2")
    prefetch = {
        "patient": PATIENT,
        "medications": searchset(order),
        "observations": searchset(*SCORES),
        "conditions": searchset(*CHART["Condition"]),
        "dispenses": first,
        "statements": None,
        "administrations": None,
        **dict.fromkeys(OTHERS),
    }
    reply = serve().post(hook_request(prefetch=prefetch))
    assert_sound(reply.status_code, reply.json())
    told = reply.json()["extension"][EXTENSION_KEY]
    (trial,) = told["trials"]
    assert (trial["adherence"], trial["failed"], told["verdict"]) == ("unknown", "met", "indeterminate")
    assert ("MedicationDispense/d0" in trial["evidence"], trial["adequateDays"]) == (True, 180)


def test_fills_of_somebody_else_are_listed_and_not_used_and_leave_doubt(serve: Serve) -> None:
    theirs = [fill(f"x{n}", date(2025, 6, 1), subject={"reference": "Patient/p2"}) for n in range(3)]
    with StubServer(answering("MedicationDispense", lambda _: Reply(searchset(*theirs)))) as fhir:
        told = ask(serve, fhir)
    doubt, *listed = [entry["problem"] for entry in told["unread"]]
    assert listed == ["belongs to another patient"] * 3
    assert "may not have searched by patient" in doubt
    assert ("trials" in told, told["verdict"]) == (False, "indeterminate")


def test_a_remark_of_the_server_among_the_fills_is_no_gap(serve: Serve) -> None:
    remark = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "informational"}]}
    found = searchset(*FILLS)
    found["entry"].append({"resource": remark, "search": {"mode": "outcome"}})
    with StubServer(answering("MedicationDispense", lambda _: Reply(found))) as fhir:
        told = ask(serve, fhir)
    assert ("unread" in told, told["trials"][0]["adequateDays"]) == (False, 180)


@pytest.mark.parametrize("kind", KINDS.values())
def test_thousands_of_records_are_answered_in_seconds(serve: Serve, kind: str) -> None:
    begin = date(2017, 1, 1)
    order = builders.medication_request(first_day="2017-01-01", last_day="2025-12-31")
    when = {
        "MedicationDispense": lambda day: {
            "whenHandedOver": day,
            "daysSupply": builders.quantity(1, "d", "d"),
        },
        "MedicationStatement": lambda day: {"effectivePeriod": {"start": day, "end": day}},
        "MedicationAdministration": lambda day: {"effectiveDateTime": day},
    }[kind]
    many = [
        {
            "resourceType": kind,
            "id": f"r{n}",
            "status": "completed",
            "subject": {"reference": "Patient/p1"},
            "medicationCodeableConcept": {"text": "sertraline 50 mg tablet"},
            **when((begin + timedelta(n)).isoformat()),
        }
        for n in range(3000)
    ]
    with StubServer(answering(kind, lambda _: Reply(searchset(*many)), MedicationRequest=[order])) as fhir:
        started = time.monotonic()
        told = ask(serve, fhir, fetch_seconds=8)
        assert time.monotonic() - started < 8
    assert told["trials"][0]["evidence"][1] == f"{kind}/r0"
