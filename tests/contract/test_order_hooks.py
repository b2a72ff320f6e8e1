"""order-select and order-sign as a client on the network sees them; the rules about drafts are stood in for."""

from __future__ import annotations

import copy
import json
import logging
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cds_service.report import EXTENSION_KEY
from cds_service.trd.answers import Answer
from cds_service.trd.draft_orders import Concern
from fhir_fixtures import vignettes
from fhir_fixtures.builders import (
    RXNORM,
    UCUM,
    bundle,
    condition,
    medication,
    medication_request,
    patient,
    searchset,
)
from fhir_fixtures.server import EmbeddedServer
from tests.contract.conftest import EMPTY_PREFETCH, ON, RunningService, Serve, authorization, path_of
from tests.contract.order_hooks import (
    HOOKS,
    Judged,
    about_bundle,
    ask,
    draft,
    drafts_of,
    order_request,
)
from tests.contract.replies import assert_operation_outcome, assert_sound
from tests.contract.stub_server import StubServer
from tests.contract.test_terminology import KNOWS_SERTRALINE
from tests.contract.test_terminology import SERTRALINE as UNLISTED
from tests.test_vignettes import sorted_by_type

TOKEN = "marker-token-51c0"
EITHER_HOOK = pytest.mark.parametrize("hook", HOOKS)
NO_EVIDENCE: dict[str, Any] = {"prefetch": None}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Judged:
    """The rules find that each draft has failed before."""
    return judging(monkeypatch, Judged(Concern.FAILED_BEFORE))


def judging(monkeypatch: pytest.MonkeyPatch, judge: Judged) -> Judged:
    monkeypatch.setattr("cds_service.respond.judge_drafts", judge)
    return judge


@pytest.fixture
def fhir() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(require_token=TOKEN) as server:
        server.load(
            bundle(
                patient(),
                condition(),
                medication("sertraline-50", "sertraline 50 mg tablet"),
                medication("lisinopril-10", "lisinopril 10 mg tablet"),
                type="transaction",
            )
        )
        yield server


def access_to(fhir: EmbeddedServer, **elements: Any) -> dict[str, Any]:
    return {
        "prefetch": None,
        "fhirServer": fhir.base_url,
        "fhirAuthorization": authorization(TOKEN),
    } | elements


def assert_silent(service: RunningService, body: dict[str, Any]) -> None:
    reply = ask(service, body)
    assert (reply.status_code, reply.json()) == (200, {"cards": []}), reply.text


# --- silence ----------------------------------------------------------------------------------------------

NOT_CHOSEN_YET = {
    "resourceType": "MedicationRequest",
    "id": "d1",
    "status": "draft",
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-06-30",
}
OF_NO_INTEREST: dict[str, Any] = {
    "no drug chosen yet": NOT_CHOSEN_YET,
    "an empty concept": NOT_CHOSEN_YET | {"medicationCodeableConcept": {}},
    "an empty reference": NOT_CHOSEN_YET | {"medicationReference": {}},
    "a contained Medication that is not there": NOT_CHOSEN_YET | {"medicationReference": {"reference": "#m"}},
    "a drug of the wrong kind": NOT_CHOSEN_YET | {"medicationCodeableConcept": "sertraline"},
    "another drug": draft(medication="lisinopril 10 mg tablet"),
    "another drug, for depression": draft(medication="lisinopril 10 mg", reasonCode=[{"text": "depression"}]),
    "not to be given": draft(doNotPerform=True),
    "an order that is taken back": draft(status="cancelled"),
    "an order that is stopped": draft(status="stopped"),
    "entered in error": draft(status="entered-in-error"),
    "another patient's": draft(patient_id="p2"),
    "a group's": draft(subject={"reference": "Group/p1"}),
    "somebody's whose name leads nowhere": draft(subject={"reference": "urn:uuid:nobody"}),
    "a subject of the wrong kind": draft(subject="Patient/p1"),
    "an order of a service": {"resourceType": "ServiceRequest", "id": "d1", "subject": {"reference": "Patient/p1"}},
    "a statement": draft(resourceType="MedicationStatement"),
    "of no type": draft(resourceType=None),
    "nothing": {},
    "a number": 7,
}  # fmt: skip


@pytest.mark.conformance("CH-H02", "CH-H03", "CH-W01", "CH-502")
@EITHER_HOOK
@pytest.mark.parametrize("resource", OF_NO_INTEREST.values(), ids=OF_NO_INTEREST)
def test_a_draft_of_no_interest_is_answered_without_any_data(
    service: RunningService, judged: Judged, hook: str, resource: Any
) -> None:
    assert_silent(service, order_request(hook, resource, **NO_EVIDENCE))
    assert_silent(service, about_bundle(hook, drafts_of(resource), **NO_EVIDENCE))
    assert not judged.was_asked


ODD_BUNDLES: list[Any] = [
    {}, {"resourceType": "Bundle"}, {"resourceType": "Bundle", "entry": []}, {"entry": None}, {"entry": {}},
    {"entry": "x"}, {"entry": [None, 1, "x", [], {}, {"resource": None}, {"resource": []}, {"resource": {}}]},
    {"entry": [{"fullUrl": 5, "resource": {"resourceType": ["MedicationRequest"]}}]},
    {"resourceType": "OperationOutcome", "issue": []}, {"resourceType": "MedicationRequest", "id": "d1"},
    {"entry": [{"resource": {"resourceType": "Bundle", "entry": [{"resource": draft()}]}}]},
]  # fmt: skip


@pytest.mark.conformance("CH-H02", "CH-H22")
@EITHER_HOOK
@pytest.mark.parametrize("odd", ODD_BUNDLES)
def test_a_bundle_that_holds_no_draft_is_silence(
    service: RunningService, judged: Judged, hook: str, odd: Any
) -> None:
    assert_silent(service, about_bundle(hook, odd, **NO_EVIDENCE))
    assert not judged.was_asked


@pytest.mark.conformance("CH-H02")
@pytest.mark.parametrize(
    "selected",
    [
        [],
        ["MedicationRequest/other"],
        ["ServiceRequest/d1"],
        ["d1"],
        ["urn:uuid:d2"],
        [None, 5, {}, ["d1"], ""],
    ],
)
def test_what_is_not_selected_is_background(
    service: RunningService, judged: Judged, selected: list[Any]
) -> None:
    assert_silent(service, about_bundle("order-select", drafts_of(draft()), selected, **NO_EVIDENCE))
    assert not judged.was_asked


@EITHER_HOOK
@pytest.mark.usefixtures("judged")
def test_drafts_of_no_interest_leave_the_server_alone(serve: Serve, fhir: EmbeddedServer, hook: str) -> None:
    service = serve(fhir_servers=(fhir.base_url,))
    for resource in OF_NO_INTEREST.values():
        assert_silent(service, about_bundle(hook, drafts_of(resource), **access_to(fhir)))
    assert not fhir.requests


@EITHER_HOOK
@pytest.mark.parametrize("user", ["Patient/p1", "RelatedPerson/1"])
def test_a_patient_or_relative_gets_no_card(
    service: RunningService, judged: Judged, hook: str, user: str
) -> None:
    assert_silent(service, order_request(hook, draft(), context={"userId": user}))
    assert not judged.was_asked


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-204", "CH-H02", "CH-H03")
@EITHER_HOOK
@pytest.mark.parametrize("value", ["left out", None, [], "x", 1, True])
def test_the_drafts_are_a_bundle(service: RunningService, hook: str, value: Any) -> None:
    body = order_request(hook, draft())
    body["context"]["draftOrders"] = value
    if value == "left out":
        del body["context"]["draftOrders"]
    assert_refused(service, body, "$.context.draftOrders")


@pytest.mark.conformance("CH-204", "CH-H02")
@pytest.mark.parametrize("value", ["left out", None, {}, "MedicationRequest/d1", 1])
def test_selections_are_an_array(service: RunningService, value: Any) -> None:
    body = order_request("order-select", draft())
    body["context"]["selections"] = value
    if value == "left out":
        del body["context"]["selections"]
    assert_refused(service, body, "$.context.selections")


@pytest.mark.conformance("CH-H03")
@pytest.mark.usefixtures("judged")
def test_order_sign_has_no_selections_and_ignores_any(service: RunningService) -> None:
    body = order_request("order-sign", draft(), context={"selections": 7})
    assert len(ask(service, body).json()["cards"]) == 1


@pytest.mark.conformance("CH-202")
@pytest.mark.parametrize(
    ("called", "hook"), [(one, other) for one in HOOKS for other in ("patient-view", *HOOKS) if one != other]
)
def test_another_hook_gets_no_answer(service: RunningService, called: str, hook: str) -> None:
    body = order_request(called, draft()) | {"hook": hook}
    reply = service.post(body, path_of(called))
    assert reply.status_code == 400
    assert "$.hook" in reply.text


def assert_refused(service: RunningService, body: dict[str, Any], path: str) -> None:
    reply = ask(service, body)
    assert reply.status_code == 400
    assert path in reply.text
    assert_operation_outcome(reply.json())


@pytest.mark.conformance("CH-313")
@EITHER_HOOK
def test_a_draft_of_interest_needs_the_record(service: RunningService, judged: Judged, hook: str) -> None:
    for given in ({"prefetch": None}, {"prefetch": {}}, {"prefetch": EMPTY_PREFETCH | {"medications": "x"}}):
        reply = ask(service, order_request(hook, draft(), **given))
        assert reply.status_code == 412
        assert "medications: " in reply.text
    assert not judged.was_asked


# --- which drafts, and how they are read -----------------------------------------------------------------


@pytest.mark.conformance("CH-H02", "CH-H22", "CH-W02")
@EITHER_HOOK
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"type": "collection"},
        {"resourceType": None},
        {"total": "many", "link": {}},
    ],
)
def test_a_bundle_need_not_be_well_formed(
    service: RunningService, judged: Judged, hook: str, shape: dict[str, Any]
) -> None:
    content = drafts_of(NOT_CHOSEN_YET | {"id": "d0"}, draft(category={"text": "outpatient"})) | shape
    content["entry"] += [None, {"resource": None}, {}]
    reply = ask(service, about_bundle(hook, content))
    assert_sound(reply.status_code, reply.json())
    assert len(reply.json()["cards"]) == 1
    assert judged.seen == [("MedicationRequest/d1", "sertraline")]


THIRTY_DAYS = {"expectedSupplyDuration": {"value": 30, "code": "d", "system": "http://unitsofmeasure.org"}}
ONE_TABLET = [{"text": "1 tablet daily"}]
READ_LIKE_ANY_ORDER: dict[str, tuple[Any, tuple[float | None, float | None]]] = {
    "a draft": (draft(), (50, 50)),
    "no status, no intent, no day": (draft(status=None, intent=None, authoredOn=None), (50, 50)),
    "an active order signed again": (draft(status="active", authoredOn="2025-01-01"), (50, 50)),
    "on hold": (draft(status="on-hold"), (50, 50)),
    "a proposal": (draft(intent="proposal"), (50, 50)),
    "a plan": (draft(intent="plan"), (50, 50)),
    "a status nobody knows": (draft(status=["draft"], intent={"a": 1}), (50, 50)),
    "no subject": (draft(subject=None), (50, 50)),
    "a subject by name only": (draft(subject={"display": "Somebody"}), (50, 50)),
    "signed tomorrow by another clock": (draft(authoredOn="2026-07-01T00:30:00+14:00"), (50, 50)),
    "a day that is none": (draft(authoredOn="soon"), (50, 50)),
    "no dose yet": (draft(medication="sertraline", dosage=None), (None, None)),
    "two tablets": (draft(dosage="Take 2 tablets daily"), (100, 100)),
    "in steps": (draft(dosage="1 tablet daily for 7 days, then 2 tablets daily"), (50, 100)),
    "an old supply": (draft(authoredOn="2024-01-01", dispenseRequest=THIRTY_DAYS), (50, 50)),
    "the reason of an earlier stop": (draft(statusReason={"text": "inefficacy"}), (50, 50)),
    "R5": (
        draft(medication=None, dosage=None, medicationX=None) | {
            "medication": {"concept": {"text": "sertraline 50 mg tablet"}}, "dosageInstruction": ONE_TABLET,
        },
        (50, 50),
    ),
    "DSTU2": (
        {
            "resourceType": "MedicationOrder", "id": "d1", "status": "draft", "dateWritten": "2026-06-30",
            "patient": {"reference": "Patient/p1"}, "dosageInstruction": ONE_TABLET,
            "medicationCodeableConcept": {"text": "sertraline 50 mg tablet"},
        },
        (50, 50),
    ),
    "contained": (
        draft(
            medication=None, medicationReference={"reference": "#m"},
            contained=[medication("m", "sertraline 50 mg tablet")],
        ),
        (50, 50),
    ),
}  # fmt: skip


@pytest.mark.conformance("CH-H02", "CH-H03")
@EITHER_HOOK
@pytest.mark.parametrize(("order", "dose"), READ_LIKE_ANY_ORDER.values(), ids=READ_LIKE_ANY_ORDER)
def test_a_draft_is_read_like_any_order(
    service: RunningService, judged: Judged, hook: str, order: Any, dose: tuple[float | None, float | None]
) -> None:
    reply = ask(service, order_request(hook, order))
    assert_sound(reply.status_code, reply.json())
    assert [drug for _, drug in judged.seen] == ["sertraline"]
    assert judged.doses == [dose]
    assert judged.drafts[0].segments[0].first_day == ON
    assert judged.drafts[0].treats_depression.answer is not Answer.NOT_MET


@pytest.mark.conformance("CH-W02", "CH-H02", "CH-007", "CH-903")
@EITHER_HOOK
def test_an_order_as_the_sandbox_puts_it_together(service: RunningService, judged: Judged, hook: str) -> None:
    """No Bundle.type, no fullUrl, no intent, an object as category, times of day as a repeat; and things unheard of."""
    order = {
        "resourceType": "MedicationRequest",
        "id": "request-123",
        "status": "draft",
        "category": {"coding": [{"system": "http://hl7.org/fhir/medication-order-category", "code": "outpatient"}]},
        "subject": {"reference": "Patient/p1", "display": "Patient p1"},
        "authoredOn": "2026-06-30",
        "medicationCodeableConcept": {
            "text": "sertraline 50 MG Oral Tablet",
            "coding": [{"system": RXNORM, "code": "312941", "display": "sertraline 50 MG Oral Tablet"}],
        },
        "dosageInstruction": [
            {
                "doseAndRate": [{"doseQuantity": {"value": 1, "system": UCUM, "code": "{tablet}"}}],
                "timing": {
                    "repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": {"start": "2026-06-30"}}
                },
            }
        ],
    }  # fmt: skip
    body = about_bundle(hook, drafts_of(order), ["MedicationRequest/request-123"])
    body |= {"extension": {"com.example": [1]}, "unheardOf": True}
    body["context"]["unheardOf"] = {"deep": [1]}
    reply = ask(service, body)
    assert_sound(reply.status_code, reply.json())
    assert judged.seen == [("MedicationRequest/request-123", "sertraline")]
    assert judged.doses == [(50, 50)]


def test_a_draft_that_is_to_begin_later_is_read_from_that_day(
    service: RunningService, judged: Judged
) -> None:
    timing = {"repeat": {"boundsPeriod": {"start": "2026-07-20"}}}
    order = draft(dosageInstruction=[{"text": "1 tablet daily", "timing": timing}])
    ask(service, order_request("order-sign", order))
    assert judged.drafts[0].segments[0].first_day == date(2026, 7, 20)


def test_an_augmenting_agent_is_of_interest(service: RunningService, judged: Judged) -> None:
    ask(service, order_request("order-sign", draft(medication="lithium carbonate 300 mg capsule")))
    assert [drug for _, drug in judged.seen] == ["lithium"]


@pytest.mark.conformance("CH-H02")
@pytest.mark.parametrize(
    ("row", "selection"),
    [
        ({"resource": draft("d9")}, "MedicationRequest/d9"),
        ({"resource": draft("d9")}, "https://ehr.example.org/fhir/MedicationRequest/d9"),
        ({"resource": draft("d9"), "fullUrl": "urn:uuid:a-b"}, "urn:uuid:a-b"),
        ({"resource": draft(None), "fullUrl": "urn:uuid:a-b"}, "MedicationRequest/a-b"),
        (
            {"resource": draft(None), "fullUrl": "https://ehr.example.org/MedicationRequest/7"},
            "MedicationRequest/7",
        ),
    ],
)
def test_only_the_selected_draft_has_a_card(
    service: RunningService, judged: Judged, row: dict[str, Any], selection: str
) -> None:
    """The other is judged with it: it is about to be signed too, and the two may not go together."""
    content = {"entry": [{"resource": draft("d1", "venlafaxine 75 mg capsule")}, row]}
    reply = ask(service, about_bundle("order-select", content, [selection, "ServiceRequest/1"]))
    (card,) = reply.json()["cards"]
    assert card["summary"].startswith("Order of sertraline 50 mg: ")
    assert [drug for _, drug in judged.seen] == ["sertraline", "venlafaxine"]


@pytest.mark.conformance("CH-H02")
@pytest.mark.parametrize("selected", ["MedicationRequest/d1", "MedicationRequest/d2"])
def test_an_maoi_that_is_drafted_but_not_selected_is_seen(service: RunningService, selected: str) -> None:
    drafts = drafts_of(draft("d1"), draft("d2", "phenelzine 15 mg tablet"))
    (card,) = ask(service, about_bundle("order-select", drafts, [selected])).json()["cards"]
    other = {"MedicationRequest/d1": "phenelzine", "MedicationRequest/d2": "sertraline"}[selected]
    assert (card["indicator"], card["source"]["topic"]["code"]) == ("critical", "order-maoi")
    assert other in card["summary"]
    assert [action["resourceId"] for action in card["suggestions"][0]["actions"]] == [selected]


@pytest.mark.conformance("CH-H02")
def test_a_medication_behind_a_draft_that_is_not_selected(
    serve: Serve, fhir: EmbeddedServer, judged: Judged
) -> None:
    """It is asked for beside a selected draft of interest, and not beside any other."""
    service = serve(fhir_servers=(fhir.base_url,))
    other = by_reference("Medication/sertraline-50", id="d2")
    for chosen in (draft(medication="lisinopril 10 mg tablet"), NOT_CHOSEN_YET):
        body = about_bundle(
            "order-select", drafts_of(chosen, other), ["MedicationRequest/d1"], **access_to(fhir)
        )
        assert_silent(service, body)
    assert not fhir.requests
    chosen = draft("d1", "venlafaxine 75 mg capsule")
    ask(
        service,
        about_bundle("order-select", drafts_of(chosen, other), ["MedicationRequest/d1"], **access_to(fhir)),
    )
    assert [drug for _, drug in judged.seen] == ["venlafaxine", "sertraline"]


@pytest.mark.conformance("CH-H03")
def test_all_drafts_are_judged_when_they_are_signed(service: RunningService, judged: Judged) -> None:
    drugs = ("sertraline 50 mg tablet", "lisinopril 10 mg tablet", "venlafaxine 75 mg capsule")
    orders = [draft(f"d{number}", drug) for number, drug in enumerate(drugs)]
    reply = ask(service, order_request("order-sign", *orders))
    assert judged.seen == [("MedicationRequest/d0", "sertraline"), ("MedicationRequest/d2", "venlafaxine")]
    named = [card["summary"].partition(":")[0] for card in reply.json()["cards"]]
    assert named == ["Order of sertraline 50 mg", "Order of venlafaxine 75 mg"]


@EITHER_HOOK
def test_a_draft_of_another_patient_is_left_out_and_logged_without_data(
    service: RunningService, judged: Judged, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    stranger = draft("d2", "venlafaxine 75 mg capsule", patient_id="somebody-else")
    with caplog.at_level(logging.DEBUG, "cds_service"):
        reply = ask(service, order_request(hook, draft(), stranger))
    assert judged.seen == [("MedicationRequest/d1", "sertraline")]
    assert "1 drafts of another patient left out" in caplog.text
    for text in ("somebody-else", "venlafaxine", "sertraline"):
        assert text not in caplog.text
    assert "somebody-else" not in reply.text


# --- the Medication behind a draft -----------------------------------------------------------------------


def by_reference(reference: str, **elements: Any) -> dict[str, Any]:
    return draft(medication=None, medicationReference={"reference": reference}, **elements)


@pytest.mark.conformance("CH-H21")
@EITHER_HOOK
@pytest.mark.parametrize("full_url", [None, "urn:uuid:m-1", "https://ehr.example.org/fhir/Medication/m1"])
def test_a_medication_in_the_same_bundle(
    service: RunningService, judged: Judged, hook: str, full_url: str | None
) -> None:
    content = drafts_of(
        by_reference(full_url or "Medication/m1"), medication("m1", "sertraline 50 mg tablet")
    )
    if full_url:
        content["entry"][1]["fullUrl"] = full_url
    ask(service, about_bundle(hook, content))
    assert judged.doses == [(50, 50)]


@EITHER_HOOK
def test_a_prefetched_medication(service: RunningService, judged: Judged, hook: str) -> None:
    included = searchset(included=[medication("m1", "sertraline 50 mg tablet")])
    prefetch = EMPTY_PREFETCH | {"medications": included}
    ask(service, order_request(hook, by_reference("Medication/m1"), prefetch=prefetch))
    assert judged.doses == [(50, 50)]


@pytest.mark.conformance("CH-H21", "CH-404", "CH-409")
@EITHER_HOOK
def test_a_medication_on_the_server_is_read_and_the_draft_is_not(
    serve: Serve, fhir: EmbeddedServer, judged: Judged, hook: str
) -> None:
    service = serve(fhir_servers=(fhir.base_url,))
    body = order_request(hook, by_reference("Medication/sertraline-50"), **access_to(fhir))
    reply = ask(service, body)
    assert len(reply.json()["cards"]) == 1
    assert judged.doses == [(50, 50)]
    asked = [seen.path for seen in fhir.requests]
    assert any("Medication" in path for path in asked)
    assert not any("/d1" in path for path in asked)


@EITHER_HOOK
@pytest.mark.usefixtures("judged")
def test_of_another_drug_on_the_server_only_the_medication_is_read(
    serve: Serve, fhir: EmbeddedServer, hook: str
) -> None:
    service = serve(fhir_servers=(fhir.base_url,))
    body = order_request(hook, by_reference("Medication/lisinopril-10"), **access_to(fhir))
    assert_silent(service, body)
    assert {seen.path.split("/")[-1].partition("?")[0] for seen in fhir.requests} <= {
        "Medication",
        "lisinopril-10",
    }


@pytest.mark.conformance("CH-313")
def test_a_medication_that_cannot_be_had(serve: Serve, fhir: EmbeddedServer, judged: Judged) -> None:
    """Before it is signed, an order may have no drug yet; an order that is signed has one, which may matter."""
    service = serve(fhir_servers=(fhir.base_url,))
    for given in (access_to(fhir), {"prefetch": EMPTY_PREFETCH}):
        assert_silent(service, order_request("order-select", by_reference("Medication/gone"), **given))
        reply = ask(service, order_request("order-sign", by_reference("Medication/gone"), **given))
        assert reply.status_code == 412
        assert "draftOrders: " in reply.text
        assert "gone" not in reply.text
    assert not judged.was_asked


def test_beside_a_draft_that_can_be_read_one_that_cannot_is_named(
    service: RunningService, judged: Judged
) -> None:
    reply = ask(service, order_request("order-sign", by_reference("Medication/gone"), draft("d2"))).json()
    assert judged.seen == [("MedicationRequest/d2", "sertraline")]
    (card,) = reply["cards"]
    assert "Medication/gone" in card["detail"]
    assert "Medication/gone" in json.dumps(reply["extension"][EXTENSION_KEY]["unread"])


def test_the_reason_of_a_draft_may_lie_in_the_record(service: RunningService, judged: Judged) -> None:
    pain = condition("dx9", "neuropathic pain")
    order = draft(medication="amitriptyline 25 mg tablet", reasonReference=[{"reference": "Condition/dx9"}])
    prefetch = EMPTY_PREFETCH | {"patient": patient(), "conditions": searchset(pain)}
    ask(service, order_request("order-sign", order, prefetch=prefetch))
    assert judged.drafts[0].treats_depression.answer is Answer.NOT_MET


@EITHER_HOOK
def test_a_drug_that_only_a_terminology_service_can_name(
    serve: Serve, judged: Judged, tmp_path: Path, hook: str
) -> None:
    order = draft(medication=UNLISTED)
    with StubServer(KNOWS_SERTRALINE) as names:
        settings = {"terminology_server": names.base_url, "terminology_cache": tmp_path / "names.sqlite3"}
        reply = ask(serve(**settings), order_request(hook, order))
    assert len(reply.json()["cards"]) == 1
    assert judged.doses == [(50, 50)]
    assert judged.drafts[0].named_by == names.base_url


# --- the record beside the draft -------------------------------------------------------------------------


@pytest.mark.conformance("CH-H21")
@EITHER_HOOK
def test_a_draft_that_the_record_holds_already_is_no_second_order(
    service: RunningService, judged: Judged, hook: str
) -> None:
    stored = [
        medication_request("d1", "sertraline 50 mg tablet", first_day="2026-06-01"),
        medication_request("rx2", "venlafaxine 75 mg capsule", first_day="2026-06-01"),
    ]
    prefetch = EMPTY_PREFETCH | {"medications": searchset(*stored)}
    again = draft(status="active", authoredOn="2026-06-01")
    reply = ask(service, order_request(hook, again, prefetch=prefetch)).json()
    assert [order.reference for order in judged.history.prescriptions] == ["MedicationRequest/rx2"]
    told = reply["extension"][EXTENSION_KEY]["trials"]
    assert [trial["ingredient"] for trial in told] == ["sertraline", "venlafaxine"]


def test_an_maoi_that_is_signed_again_to_begin_later_is_no_washout(service: RunningService) -> None:
    """Its id stands for the order that has been taken until now."""
    phenelzine = medication_request("rx1", "phenelzine 15 mg tablet", "2 tablets twice daily", "2026-03-01")
    period = {"start": "2026-08-20", "end": "2026-11-20"}
    later = [{"text": "2 tablets twice daily", "timing": {"repeat": {"boundsPeriod": period}}}]
    few_days = {"repeat": {"boundsPeriod": {"start": "2026-06-30", "end": "2026-07-04"}}}
    drafts = (
        draft(dosageInstruction=[{"text": "1 tablet daily", "timing": few_days}]),
        draft("rx1", "phenelzine 15 mg tablet", status="active", dosageInstruction=later),
    )
    prefetch = EMPTY_PREFETCH | {"medications": searchset(phenelzine)}
    first, *_ = ask(service, order_request("order-sign", *drafts, prefetch=prefetch)).json()["cards"]
    assert first["source"]["topic"]["code"] == "order-maoi"
    assert first["summary"].startswith("Order of sertraline 50 mg: too close to phenelzine (MAOI washout)")


@pytest.mark.conformance("CH-H21")
def test_a_temporary_id_hides_no_other_order(service: RunningService, judged: Judged) -> None:
    stored = medication_request("d1", "venlafaxine 75 mg capsule", first_day="2026-06-01")
    prefetch = EMPTY_PREFETCH | {"medications": searchset(stored)}
    ask(service, order_request("order-sign", draft(), prefetch=prefetch))
    assert [order.reference for order in judged.history.prescriptions] == ["MedicationRequest/d1"]


# --- replies ----------------------------------------------------------------------------------------------


@EITHER_HOOK
@pytest.mark.usefixtures("judged")
def test_the_assessment_comes_along_unless_it_is_switched_off(
    serve: Serve, service: RunningService, hook: str
) -> None:
    body = about_vignette(hook, 1, draft(patient_id="trd-v01"))
    assert ask(service, body).json()["extension"][EXTENSION_KEY]["verdict"] == "met"
    assert set(ask(serve(assessment_extension=False), body).json()) == {"cards"}


def about_vignette(hook: str, number: int, *orders: dict[str, Any]) -> dict[str, Any]:
    (vignette,) = vignettes([number])
    context = {"patientId": vignette.patient_id, "encounterId": "e1"}
    return order_request(hook, *orders, prefetch=sorted_by_type(vignette), context=context)


@pytest.mark.conformance("CH-211", "CH-512")
@EITHER_HOOK
@pytest.mark.usefixtures("judged")
def test_the_same_request_has_the_same_answer_but_for_uuids(service: RunningService, hook: str) -> None:
    body = about_vignette(hook, 1, draft(patient_id="trd-v01"))
    first, second = (ask(service, copy.deepcopy(body)).text for _ in range(2))
    assert first != second
    assert re.sub(r'"uuid":"[^"]+"', "", first) == re.sub(r'"uuid":"[^"]+"', "", second)


@pytest.mark.parametrize("answer", [Answer.MET, Answer.UNKNOWN])
@pytest.mark.parametrize("concern", Concern)
def test_each_concern_has_a_card_that_the_schema_allows(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, concern: Concern, answer: Answer
) -> None:
    judging(monkeypatch, Judged(concern, answer=answer))
    reply = ask(service, about_vignette("order-sign", 1, draft(patient_id="trd-v01")))
    assert_sound(reply.status_code, reply.json())
    (card,) = reply.json()["cards"]
    assert card["summary"].startswith("Order of sertraline 50 mg: ")
    assert card["source"]["topic"]["code"].startswith("order-")
    assert ("may" in card["summary"]) == (answer is Answer.UNKNOWN)


@pytest.mark.conformance("CH-610")
def test_an_order_with_an_maoi_can_be_taken_off_the_list(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging(monkeypatch, Judged(Concern.MAOI, other="phenelzine"))
    (card,) = ask(service, order_request("order-sign", draft())).json()["cards"]
    assert card["indicator"] == "critical"
    assert "phenelzine" in card["summary"]
    (suggestion,) = card["suggestions"]
    assert "isRecommended" not in suggestion
    (action,) = suggestion["actions"]
    assert (action["type"], action["resourceId"]) == ("delete", "MedicationRequest/d1")
    assert "resource" not in action


def test_an_order_without_an_id_cannot_be_named_for_removal(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging(monkeypatch, Judged(Concern.MAOI))
    (card,) = ask(service, order_request("order-sign", draft(None))).json()["cards"]
    assert "suggestions" not in card


@pytest.mark.usefixtures("judged")
def test_no_safety_card_stands_beside_those_of_orders(service: RunningService) -> None:
    """It is shown when the chart is opened and at intake: an order is no place to repeat it at each change."""
    topics = {
        card["source"]["topic"]["code"]
        for number in range(1, 25)
        for card in ask(service, about_vignette("order-sign", number, draft(subject=None))).json()["cards"]
    }
    assert topics == {"order-failed-before"}


def test_without_a_concern_there_is_no_card(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    judging(monkeypatch, Judged())
    reply = ask(service, about_vignette("order-sign", 1, draft(patient_id="trd-v01"))).json()
    assert reply["cards"] == []
    assert reply["extension"]


@EITHER_HOOK
def test_the_site_may_assume_one_unit_a_day_for_drafts_too(serve: Serve, judged: Judged, hook: str) -> None:
    order = draft(dosage=None)
    ask(serve(assume_one_unit_daily=True), order_request(hook, order))
    assert judged.doses == [(50, 50)]
    assert judged.drafts[0].assumed
