"""Which ServiceRequests ask for what a card would suggest, whether they are open, and what leaves it in doubt."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cards.words import load_words
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.tables.open_requests import known_requests, request_by_code
from cds_service.trd.answers import Answer
from cds_service.trd.record import History, OpenRequest, Topic
from fhir_fixtures.builders import LOINC, SNOMED_CT, Resource, patient, service_request
from tests.conftest import examples
from tests.spec.texttables import rows

ON = date(2026, 6, 30)
PSYCHIATRY = (SNOMED_CT, "183524004", "Referral to psychiatry service (procedure)")


def read(*requests: Any) -> History:
    entries = (Entry(patient(), None, "patient"), *(Entry(r, None, "a place") for r in requests))
    return read_history(Collected("p1", entries), ON)


def found(*requests: Resource) -> tuple[OpenRequest, ...]:
    return read(*requests).open_requests


def test_an_open_request_is_read() -> None:
    (request,) = found(service_request("7", authored_on="2026-05-02T08:00:00+02:00"))
    assert request == OpenRequest(
        request="psychiatry-referral",
        said="referral to psychiatry",
        reference="ServiceRequest/7",
        status="active",
        day=date(2026, 5, 2),
        written="2026-05-02",
        holds=Answer.MET,
    )


CODES = """
    system                                   | code          | request
    -----------------------------------------+---------------+--------------------
    http://snomed.info/sct                   | 183524004     | psychiatry-referral
    http://snomed.info/sct                   | 308477009     | psychiatry-referral
    http://snomed.info/sct                   | 306136006     | psychiatry-referral
    http://snomed.info/sct                   | 183528001     | psychiatry-referral
    http://snomed.info/sct                   | 390866009     | psychiatry-referral
    urn:oid:2.16.840.1.113883.6.96           | 183524004     | psychiatry-referral
    http://snomed.info/sct                   | 183866009     | emergency-referral
    http://snomed.info/sct                   | 401277000     | crisis-plan
    http://loinc.org                         | 93373-9       | suicide-risk-screen
    http://snomed.info/sct                   | 715252007     | phq-9
    http://loinc.org                         | 44249-1       | phq-9
    http://loinc.org                         | 44261-6       | phq-9
    http://snomed.info/sct                   | 88848003      | follow-up
    http://snomed.info/sct                   | 81294000      |
    http://snomed.info/sct                   | 171207006     |
    http://loinc.org                         | 183524004     |
    urn:local                                | 183524004     |
"""


@pytest.mark.parametrize("row", rows(CODES), ids=lambda row: f"{row['code']} {row['system']}")
def test_what_is_asked_for_by_its_code(row: dict[str, str]) -> None:
    asked = found(service_request(code=(row["system"], row["code"])))
    assert [request.request for request in asked] == ([row["request"]] if row["request"] else [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Referral to psychiatry", "psychiatry-referral"),
        ("  PSYCHIATRY   referral ", "psychiatry-referral"),
        ("Referral to old-age psychiatry", "psychiatry-referral"),
        ("Depression screening using Patient Health Questionnaire Nine Item score (procedure)", "phq-9"),
        ("PHQ-9", "phq-9"),
        ("PHQ9 score", "phq-9"),
        ("Psychiatric emergency referral", "emergency-referral"),
        ("Referral to emergency clinic", None),
        ("No referral to psychiatry", None),
        ("Referral to psychiatry declined", None),
        ("Psychiatry", None),
        ("", None),
    ],
)
def test_what_is_asked_for_by_its_whole_name(name: str, expected: str | None) -> None:
    for code in ({"text": name}, {"coding": [{"system": "urn:local", "code": "1", "display": name}]}):
        asked = found(service_request(code=code))
        assert [request.request for request in asked] == ([expected] if expected else [])


def test_every_draft_of_ours_is_known_again() -> None:
    """An accepted suggestion is a request with this code: it must not be suggested again."""
    for name, words in load_words().requests.items():
        (request,) = found(service_request(code=words.code, status="draft", intent="proposal"))
        assert request.request == name.removeprefix("old-age-"), name
        assert request.holds is Answer.MET


def test_the_table_names_suggestions_and_nothing_else() -> None:
    assert known_requests() == {name for name in load_words().requests if not name.startswith("old-age")}
    assert request_by_code(SNOMED_CT, "183524004") is not None


STATES = """
    status           | intent     | authored   | open
    -----------------+------------+------------+--------
    draft            | proposal   | 2026-05-02 | met
    active           | order      | 2026-05-02 | met
    on-hold          | plan       | 2026-05-02 | met
    active           | order      | 2026-05    | met
    active           | order      | 2026-06-30 | met
    completed        | order      | 2026-05-02 |
    revoked          | order      | 2026-05-02 |
    entered-in-error | order      | 2026-05-02 |
    unknown          | order      | 2026-05-02 | unknown
    active           | option     | 2026-05-02 | unknown
    active           | order      | -          | unknown
    open             | order      | 2026-05-02 | unread
    -                | order      | 2026-05-02 | unread
    active           | wish       | 2026-05-02 | unread
    active           | -          | 2026-05-02 | unread
    active           | order      | yesterday  | unread
    active           | order      | 2026-07-01 | unread
"""


@pytest.mark.parametrize("row", rows(STATES), ids=lambda row: " ".join(row.values()))
def test_whether_it_is_open(row: dict[str, str]) -> None:
    status, intent, authored = (
        None if row[name] == "-" else row[name] for name in ("status", "intent", "authored")
    )
    history = read(service_request(status=status, intent=intent, authored_on=authored))
    expected = {"met": [Answer.MET], "": [], "unknown": [Answer.UNKNOWN], "unread": [Answer.UNKNOWN]}
    assert [request.holds for request in history.open_requests] == expected[row["open"]]
    assert [entry.topics for entry in history.unread] == [(Topic.REQUEST,)] * (row["open"] == "unread")


@pytest.mark.parametrize(
    ("elements", "holds"),
    [
        ({"doNotPerform": False}, [Answer.MET]),
        ({"doNotPerform": True}, []),
        ({"doNotPerform": "no"}, [Answer.UNKNOWN]),
        ({"status": ["active"]}, [Answer.UNKNOWN]),
        ({"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}, [Answer.UNKNOWN]),
        ({"code": {"coding": [{"system": SNOMED_CT, "code": "183524004"}, 5]}}, [Answer.UNKNOWN]),
        (
            {"code": {"coding": [{"system": SNOMED_CT, "code": c} for c in ("183524004", "88848003")]}},
            [Answer.UNKNOWN, Answer.UNKNOWN],
        ),
        ({"code": {"coding": [{"system": LOINC, "code": c} for c in ("44249-1", "44261-6")]}}, [Answer.MET]),
    ],
)
def test_what_leaves_it_in_doubt(elements: dict[str, Any], holds: list[Answer]) -> None:
    assert [request.holds for request in found(service_request() | elements)] == holds


def test_a_code_that_cannot_be_read_is_listed_and_one_of_no_interest_is_not() -> None:
    assert [entry.reference for entry in read(service_request(code=None, status="open")).unread] == []
    assert read(service_request(code="chest x-ray", status="open")).unread == ()
    (entry,) = read(service_request() | {"code": "x"}).unread
    assert (entry.reference, entry.topics) == ("ServiceRequest/sr1", (Topic.REQUEST,))


def test_one_of_another_patient_is_none() -> None:
    history = read(service_request(patient_id="p2"))
    assert history.open_requests == ()
    assert [entry.problem for entry in history.unread] == ["belongs to another patient"]


def test_the_code_of_r5_is_read_too() -> None:
    code = {"concept": {"coding": [dict(zip(("system", "code"), PSYCHIATRY, strict=False))]}}
    assert [request.request for request in found(service_request() | {"code": code})] == [
        "psychiatry-referral"
    ]
    assert found(service_request() | {"code": {"reference": {"reference": "ActivityDefinition/1"}}}) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(100), deadline=None)
@given(
    elements=st.dictionaries(
        st.sampled_from(["status", "intent", "code", "authoredOn", "doNotPerform", "modifierExtension"]), JSON
    )
)
def test_nothing_in_a_request_raises(elements: dict[str, Any]) -> None:
    history = read(service_request() | elements)
    assert len(history.open_requests) <= 1
