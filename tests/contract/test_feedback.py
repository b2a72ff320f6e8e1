"""Feedback over HTTP: what is taken, what it does to the next reply, and what happens when the store fails."""

from __future__ import annotations

import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from cds_service.report import EXTENSION_KEY
from cds_service.store.engine import open_store
from cds_service.store.tables import FEEDBACK
from fhir_fixtures import vignettes
from fhir_fixtures.builders import searchset
from tests.contract.conftest import EMPTY_PREFETCH, HOOK_PATH, RunningService, Serve, hook_request
from tests.contract.replies import assert_operation_outcome, assert_sound

FEEDBACK_PATH = f"{HOOK_PATH}/feedback"
MARKER = "marker-comment-8f3a"
OUR_REASONS = "urn:trd-cds:override-reason"
_KEYS = {
    "MedicationRequest": "medications",
    "Observation": "observations",
    "Condition": "conditions",
}


def chart(number: int) -> dict[str, Any]:
    """A hook request about a fixture patient, with full prefetch."""
    (vignette,) = vignettes([number])
    resources = [entry["resource"] for entry in vignette.bundle["entry"]]
    found: dict[str, Any] = {
        key: searchset(*(each for each in resources if each["resourceType"] in (kind, "Medication")))
        for kind, key in _KEYS.items()
    }
    (found["patient"],) = [each for each in resources if each["resourceType"] == "Patient"]
    context = {"userId": "Practitioner/1", "patientId": vignette.patient_id}
    return hook_request(context=context, prefetch=EMPTY_PREFETCH | found)


def cards(service: RunningService, number: int = 1) -> list[dict[str, Any]]:
    reply = service.post(chart(number))
    assert_sound(reply.status_code, reply.json())
    found: list[dict[str, Any]] = reply.json()["cards"]
    return found


def overridden(card: dict[str, Any], code: str = "not-now", comment: str = MARKER) -> dict[str, Any]:
    reason = {"reason": {"code": code, "system": OUR_REASONS}, "userComment": comment}
    return entry(card["uuid"], "overridden", overrideReason=reason)


def entry(card: str, outcome: str, **elements: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"card": card, "outcome": outcome, "outcomeTimestamp": now} | elements


def answer(service: RunningService, *entries: dict[str, Any]) -> requests.Response:
    return service.post({"feedback": entries}, FEEDBACK_PATH)


def kept(url: str) -> list[dict[str, Any]]:
    with open_store(url).reading() as connection:
        return [dict(row) for row in connection.execute(select(FEEDBACK)).mappings()]


@pytest.mark.conformance("CH-701", "CH-709")
def test_an_overridden_card_is_not_shown_again_and_the_assessment_stays(serve: Serve, store_url: str) -> None:
    service = serve(store_url=store_url)
    (card,) = cards(service)
    reply = answer(service, overridden(card))
    assert (reply.status_code, reply.json()) == (200, {"received": 1})
    assert reply.headers["Cache-Control"] == "no-store"
    again = service.post(chart(1)).json()
    assert again["cards"] == []
    assert again["extension"][EXTENSION_KEY]["verdict"] == "met"


@pytest.mark.parametrize(("setting", "count"), [(0, 1), (1, 0)])
def test_the_quiet_period_is_set_in_days(serve: Serve, store_url: str, setting: int, count: int) -> None:
    service = serve(store_url=store_url, quiet_days=setting)
    answer(service, overridden(cards(service)[0]))
    assert len(cards(service)) == count


def test_the_next_process_remembers(serve: Serve, store_url: str) -> None:
    service = serve(store_url=store_url)
    answer(service, overridden(cards(service)[0]))
    assert cards(serve(store_url=store_url)) == []


def test_another_patient_is_not_concerned(serve: Serve, store_url: str) -> None:
    service = serve(store_url=store_url)
    answer(service, overridden(cards(service, 1)[0], "not-mdd"))
    assert len(cards(service, 4)) == 1


@pytest.mark.conformance("CH-704")
def test_an_accepted_card_is_answered_too(serve: Serve, store_url: str) -> None:
    service = serve(store_url=store_url)
    (card,) = cards(service)
    taken = [{"id": suggestion["uuid"]} for suggestion in card["suggestions"]]
    assert len(taken) == 2
    assert answer(service, entry(card["uuid"], "accepted", acceptedSuggestions=taken)).status_code == 200
    assert cards(service) == []


@pytest.mark.conformance("CH-702", "CH-707")
def test_a_batch_about_several_cards_in_any_order_and_again(serve: Serve, store_url: str) -> None:
    service = serve(store_url=store_url)
    one, other = cards(service, 1)[0], cards(service, 4)[0]
    accept = entry(one["uuid"], "accepted", acceptedSuggestions=[{"id": "a"}])
    batch = [overridden(other), accept, overridden(one)]
    for _ in range(3):
        assert answer(service, *batch).json() == {"received": 3}
    assert len(kept(store_url)) == 3


@pytest.mark.conformance("CH-W06", "CH-705", "CH-706")
def test_what_the_public_sandbox_sends_is_kept(serve: Serve, store_url: str) -> None:
    """One entry a call, milliseconds, and a reason without display or comment."""
    service = serve(store_url=store_url)
    (card,) = cards(service)
    sent = {
        "card": card["uuid"],
        "outcome": "overridden",
        "overrideReason": {"reason": {"code": "not-now", "system": OUR_REASONS}},
        "outcomeTimestamp": "2026-06-30T10:05:31.123Z",
    }
    assert answer(service, sent).status_code == 200
    (row,) = kept(store_url)
    assert (row["reason_code"], row["comment"], row["card_is_known"]) == ("not-now", "", True)


@pytest.mark.conformance("CH-702")
def test_an_empty_batch_is_fine(service: RunningService) -> None:
    assert answer(service).json() == {"received": 0}


@pytest.mark.conformance("CH-709")
def test_an_unknown_card_is_no_error(serve: Serve, store_url: str) -> None:
    reply = answer(serve(store_url=store_url), entry("f6b95768-b1c8-40dc-8385-bf3504b82ffb", "overridden"))
    assert reply.status_code == 200
    assert [row["card_is_known"] for row in kept(store_url)] == [False]


@pytest.mark.conformance("CH-703", "CH-709")
def test_one_wrong_entry_and_nothing_is_kept(serve: Serve, store_url: str) -> None:
    service = serve(store_url=store_url)
    (card,) = cards(service)
    reply = answer(service, overridden(card), overridden(card) | {"outcome": MARKER})
    assert reply.status_code == 400
    assert_operation_outcome(reply.json())
    assert "$.feedback[1].outcome" in reply.text
    assert MARKER not in reply.text
    assert kept(store_url) == []
    assert len(cards(service)) == 1


@pytest.mark.conformance("CH-701")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", FEEDBACK_PATH, 405),
        ("PUT", FEEDBACK_PATH, 405),
        ("POST", "/cds-services/nothing/feedback", 404),
        ("POST", "/cds-services/feedback", 404),
        ("POST", f"{FEEDBACK_PATH}/", 200),
        ("POST", f"{FEEDBACK_PATH}/more", 404),
    ],
)
def test_the_path_of_feedback(service: RunningService, method: str, path: str, status: int) -> None:
    assert service.call(method, path, json={"feedback": []}).status_code == status


def test_every_service_takes_feedback(service: RunningService) -> None:
    for found in service.get("/cds-services").json()["services"]:
        reply = service.post({"feedback": []}, f"/cds-services/{found['id']}/feedback")
        assert reply.status_code == 200


def test_a_body_that_is_too_large_is_413(serve: Serve) -> None:
    service = serve(max_body_mb=0.01)
    assert service.post(b" " * 20_000, FEEDBACK_PATH).status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"\xef\xbb\xbf{}", b'{"feedback":[],"feedback":[]}', b"\xff"])
def test_what_is_no_plain_json_is_400(service: RunningService, body: bytes) -> None:
    reply = service.post(body, FEEDBACK_PATH)
    assert reply.status_code == 400
    assert_operation_outcome(reply.json())


def test_the_schema_is_served(service: RunningService) -> None:
    found = service.get("/schemas/cds-hooks-feedback.json").json()
    assert found["required"] == ["feedback"]


# --- when the store fails -----------------------------------------------------------------------------------


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("cds_service"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.conformance("CH-711")
def test_a_store_that_fails_fails_no_hook_and_pretends_nothing(
    serve: Serve, tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "feedback.sqlite3"
    service = serve(store_url=f"sqlite:///{file}")
    (card,) = cards(service)
    with sqlite3.connect(file) as connection:
        for table in ("accepted_suggestions", "feedback", "cards"):
            connection.execute(f"DROP TABLE {table}")
    reply = answer(service, overridden(card))
    assert reply.status_code == 503
    assert_operation_outcome(reply.json())
    assert len(cards(service)) == 1
    for told in (reply.text, heard.text):
        for secret in (MARKER, card["uuid"], "trd-v01", str(file)):
            assert secret not in told
    assert "could not be used" in heard.text


@pytest.mark.conformance("CH-711")
def test_a_comment_is_in_no_log(serve: Serve, store_url: str, heard: pytest.LogCaptureFixture) -> None:
    service = serve(store_url=store_url)
    (card,) = cards(service)
    answer(service, overridden(card))
    answer(service, overridden(card, comment=MARKER * 500))
    answer(service, overridden(card) | {"outcomeTimestamp": MARKER})
    assert [row["comment"] for row in kept(store_url)] == [MARKER]
    assert MARKER not in heard.text
