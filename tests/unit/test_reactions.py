"""Which adverse events and allergies are read as reactions to a drug of our tables, when, and how sure."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.trd.answers import Answer
from cds_service.trd.record import History, Topic
from fhir_fixtures.builders import (
    RXNORM,
    SNOMED_CT,
    Concept,
    adverse_event,
    allergy,
    concept,
    medication,
    medication_request,
    patient,
)

ON = date(2026, 6, 30)
MET, UNKNOWN = Answer.MET, Answer.UNKNOWN
CAUSALITY = "http://terminology.hl7.org/CodeSystem/adverse-event-causality-assess"


def read(*resources: dict[str, Any]) -> History:
    everything = (patient(), *resources)
    entries = tuple(Entry(resource, None, f"entry[{n}]") for n, resource in enumerate(everything))
    return read_history(Collected("p1", entries), ON)


def told(history: History) -> list[tuple[str, str | None, Answer]]:
    return [(r.agent, str(r.day) if r.day else None, r.holds) for r in history.reactions]


def is_untold(history: History) -> bool:
    return not (history.reactions or history.unread or history.set_aside)


# --- which drug an allergy names ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "agent"),
    [
        ("sertraline", "sertraline"),
        ("Allergy to sertraline", "sertraline"),
        ("Zoloft", "sertraline"),
        ((RXNORM, "36437"), "sertraline"),
        ((RXNORM, "312941"), "sertraline"),
        ("olanzapine / fluoxetine", "fluoxetine"),
        ("esketamine", "esketamine"),
        ("lithium", "lithium"),
        ((RXNORM, "6448"), "lithium"),
        ("Seroquel XR", "quetiapine"),
        ("quetiapine", "quetiapine"),
        ("ketamine", "ketamine"),
    ],
)
def test_an_intolerance_of_a_drug_of_our_tables(code: Concept, agent: str) -> None:
    history = read(allergy(code=code))
    assert told(history) == [(agent, None, MET)]
    assert history.reactions[0].recorded == date(2025, 5, 2)
    assert (history.unread, history.set_aside) == ((), ())


@pytest.mark.parametrize(
    "code",
    ["penicillin", "Peanut", "No known allergies", (SNOMED_CT, "716186003", "No known allergy"), "Latex"],
)
def test_an_allergy_to_anything_else_is_of_no_interest(code: Concept) -> None:
    assert is_untold(read(allergy(code=code)))


@pytest.mark.parametrize(
    "code", ["SSRI", "antidepressant", "fluoxetine and sertraline", (RXNORM, "999999999"), None, 5, {}, [1]]
)
def test_a_drug_that_cannot_be_told_is_listed(code: Any) -> None:
    code = concept(code) if isinstance(code, str | tuple) else code
    history = read({**allergy(), "code": code})
    assert history.reactions == ()
    assert [unread.topics for unread in history.unread] == [(Topic.REACTION,)]


@pytest.mark.parametrize(
    ("category", "is_listed"),
    [([], True), (["medication"], True), (["food"], False), (["food", "medication"], True)],
)
def test_an_unreadable_code_of_a_food_is_of_no_interest(category: list[str], is_listed: bool) -> None:
    history = read(allergy(code=(SNOMED_CT, "1"), category=category))
    assert bool(history.unread) is is_listed


def test_a_class_with_the_substance_of_a_reaction() -> None:
    reaction = [
        {"substance": concept("sertraline"), "manifestation": [concept("rash")], "onset": "2025-04-01"}
    ]
    history = read(allergy(code="SSRI", reaction=reaction))
    assert told(history) == [("sertraline", "2025-04-01", MET)]
    assert "rash" in history.reactions[0].text


def test_a_code_and_a_reaction_that_name_two_drugs_leave_both_open() -> None:
    history = read(allergy(code="sertraline", reaction=[{"substance": concept("fluoxetine")}]))
    assert told(history) == [("sertraline", None, UNKNOWN), ("fluoxetine", None, UNKNOWN)]


def test_an_unclear_drug_that_was_refuted_is_set_aside() -> None:
    history = read(allergy(code="SSRI", verification="refuted"))
    assert (history.unread, len(history.set_aside)) == ((), 1)


# --- how sure, and when -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verification", "holds"),
    [
        ("confirmed", MET),
        (None, MET),
        ("unconfirmed", UNKNOWN),
        ("presumed", UNKNOWN),
        ("refuted", "was refuted"),
        ("entered-in-error", "was entered in error"),
    ],
)
def test_the_verification_of_an_allergy(verification: str | None, holds: Answer | str) -> None:
    history = read(allergy(verification=verification))
    if isinstance(holds, Answer):
        assert ([r.holds for r in history.reactions], history.set_aside) == ([holds], ())
    else:
        assert (history.reactions, len(history.set_aside)) == ((), 1)
        assert history.set_aside[0].problem.endswith(holds)
    assert history.unread == ()


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"verificationStatus": concept("whatever")}, "$.verificationStatus"),
        ({"verificationStatus": 5}, "$.verificationStatus"),
        ({"modifierExtension": [{"url": "urn:x"}]}, "$.modifierExtension"),
    ],
)
def test_what_may_change_the_meaning_of_an_allergy(elements: dict[str, Any], path: str) -> None:
    history = read(allergy(**elements))
    assert [r.holds for r in history.reactions] == [UNKNOWN]
    assert [path in unread.problem for unread in history.unread] == [True]


def test_a_denied_allergy_is_none_for_sure() -> None:
    assert told(read(allergy(code="no allergy to sertraline"))) == [("sertraline", None, UNKNOWN)]


@pytest.mark.parametrize(
    ("elements", "days"),
    [
        ({}, [None]),
        ({"onsetDateTime": "2025-04-01"}, ["2025-04-01"]),
        ({"onsetDateTime": "2025-04"}, [None]),
        ({"onsetPeriod": {"start": "2025-04-01"}}, ["2025-04-01"]),
        ({"reaction": [{"onset": "2025-04-03"}, {"onset": "2024-01-01"}]}, ["2024-01-01", "2025-04-03"]),
        ({"lastOccurrence": "2025-04-05"}, ["2025-04-05"]),
        ({"onsetDateTime": "2026-06-30"}, ["2026-06-30"]),
    ],
)
def test_the_days_of_an_allergy(elements: dict[str, Any], days: list[str | None]) -> None:
    history = read(allergy(**elements))
    assert [day for _, day, _ in told(history)] == days
    assert history.unread == ()


@pytest.mark.parametrize("elements", [{"onsetDateTime": "2026-07-01"}, {"recordedDate": "2026-07-01"}])
def test_what_lies_ahead_is_listed_and_not_used(elements: dict[str, Any]) -> None:
    history = read(allergy(**elements))
    assert history.reactions == ()
    assert [u.topics for u in history.unread] == [(Topic.NONE,)]


@pytest.mark.parametrize(
    "elements", [{"onsetDateTime": "spring"}, {"lastOccurrence": 5}, {"reaction": [{"onset": "x"}]}]
)
def test_a_day_that_cannot_be_read_is_named_and_the_reaction_stays(elements: dict[str, Any]) -> None:
    history = read(allergy(**elements))
    assert told(history) == [("sertraline", None, MET)]
    assert len(history.unread) == 1


# --- adverse events -----------------------------------------------------------------------------------

ORDER = medication_request("rx1", "sertraline 50 mg tablet")
BY_REFERENCE = medication_request("rx2", None, medicationReference={"reference": "Medication/m1"})
STATEMENT = {
    "resourceType": "MedicationStatement",
    "id": "st1",
    "status": "active",
    "subject": {"reference": "Patient/p1"},
    "medicationCodeableConcept": concept("venlafaxine"),
}
LITHIUM = medication("m2", "lithium carbonate 300 mg")
PENICILLIN = medication("m3", "penicillin V")


@pytest.mark.parametrize(
    ("suspect", "agent"),
    [
        ("MedicationRequest/rx1", "sertraline"),
        ("MedicationRequest/rx2", "mirtazapine"),
        ("MedicationStatement/st1", "venlafaxine"),
        ("Medication/m1", "mirtazapine"),
        ("Medication/m2", "lithium"),
        ("Substance/s1", "bupropion"),
        ("#inside", "citalopram"),
    ],
)
def test_an_adverse_event_by_what_it_suspects(suspect: str, agent: str) -> None:
    substance = {"resourceType": "Substance", "id": "s1", "code": concept("bupropion")}
    event = adverse_event(suspect=suspect, contained=[medication("inside", "citalopram")])
    mirtazapine = medication("m1", "mirtazapine 15 mg tablet")
    history = read(ORDER, BY_REFERENCE, mirtazapine, LITHIUM, STATEMENT, substance, event)
    assert told(history) == [(agent, "2025-05-01", MET)]
    assert "nausea" in history.reactions[0].text
    assert "AdverseEvent/ae1" not in {u.reference for u in history.unread}


@pytest.mark.parametrize("suspect", ["Medication/m3", "Procedure/x", "Immunization/x", None])
def test_an_event_of_anything_else_is_of_no_interest(suspect: str | None) -> None:
    assert is_untold(read(PENICILLIN, adverse_event(suspect=suspect)))


def test_an_event_without_a_suspect_may_name_the_drug() -> None:
    assert told(read(adverse_event(suspect=None, event=concept("adverse reaction to sertraline")))) == [
        ("sertraline", "2025-05-01", UNKNOWN)
    ]


@pytest.mark.parametrize(
    "suspects",
    [
        [{"instance": {"reference": "Medication/absent"}}],
        [{"instance": {"reference": "urn:uuid:0"}}],
        [{"instance": {}}],
        [{}],
        [5],
        "sertraline",
    ],
)
def test_a_suspect_that_cannot_be_told_is_listed(suspects: Any) -> None:
    history = read(adverse_event(suspectEntity=suspects))
    assert history.reactions == ()
    assert [(u.reference, u.topics) for u in history.unread] == [("AdverseEvent/ae1", (Topic.REACTION,))]


def test_a_suspect_that_is_not_at_hand_is_known_by_its_display() -> None:
    suspects = [{"instance": {"reference": "Medication/absent", "display": "sertraline 50 mg"}}]
    assert told(read(adverse_event(suspectEntity=suspects))) == [("sertraline", "2025-05-01", MET)]


def suspect(reference: str, code: str | None = None) -> dict[str, Any]:
    instance = {"instance": {"reference": reference}}
    return (
        instance if code is None else {**instance, "causality": [{"assessment": concept((CAUSALITY, code))}]}
    )


@pytest.mark.parametrize(
    ("suspects", "answers"),
    [
        ([suspect("MedicationRequest/rx1")], [MET]),
        ([suspect("MedicationRequest/rx1", "Certain")], [MET]),
        ([suspect("MedicationRequest/rx1", "probably-likely")], [MET]),
        ([suspect("MedicationRequest/rx1", "Possible")], [UNKNOWN]),
        ([suspect("MedicationRequest/rx1", "Unlikely")], [UNKNOWN]),
        ([suspect("MedicationRequest/rx1"), suspect("MedicationRequest/rx1")], [MET]),
        ([suspect("MedicationRequest/rx1"), suspect("Medication/m2")], [UNKNOWN, UNKNOWN]),
        ([suspect("MedicationRequest/rx1"), suspect("Medication/m3")], [UNKNOWN]),
        ([suspect("MedicationRequest/rx1", "Certain"), suspect("Medication/m2", "Certain")], [MET, MET]),
        ([suspect("MedicationRequest/rx1", "Certain"), suspect("Medication/m2")], [MET, UNKNOWN]),
    ],
)
def test_one_of_several_that_are_suspected_is_only_perhaps_the_cause(
    suspects: list[dict[str, Any]], answers: list[Answer]
) -> None:
    history = read(ORDER, LITHIUM, PENICILLIN, adverse_event(suspectEntity=suspects))
    assert [r.holds for r in history.reactions] == answers


def test_a_second_suspect_that_cannot_be_told_is_listed_beside_the_first() -> None:
    suspects = [suspect("MedicationRequest/rx1"), suspect("Medication/absent")]
    history = read(ORDER, adverse_event(suspectEntity=suspects))
    assert told(history) == [("sertraline", "2025-05-01", UNKNOWN)]
    assert [u.topics for u in history.unread] == [(Topic.REACTION,)]


@pytest.mark.parametrize(
    ("elements", "holds", "is_listed"),
    [
        ({"actuality": "actual"}, MET, False),
        ({"actuality": None}, MET, False),
        ({"actuality": "potential"}, UNKNOWN, False),
        ({"actuality": "maybe"}, UNKNOWN, True),
        ({"status": "completed"}, MET, False),
        ({"status": "unknown"}, UNKNOWN, False),
        ({"status": "odd"}, UNKNOWN, True),
        ({"modifierExtension": [{"url": "urn:x"}]}, UNKNOWN, True),
    ],
)
def test_whether_the_event_happened(elements: dict[str, Any], holds: Answer, is_listed: bool) -> None:
    history = read(ORDER, adverse_event(**elements))
    assert [r.holds for r in history.reactions] == [holds]
    assert bool(history.unread) is is_listed


def test_an_event_entered_in_error_is_set_aside() -> None:
    history = read(ORDER, adverse_event(status="entered-in-error"))
    assert history.reactions == ()
    assert [u.reference for u in history.set_aside] == ["AdverseEvent/ae1"]


@pytest.mark.parametrize(
    ("elements", "day", "recorded"),
    [
        ({"date": "2025-05-01", "recordedDate": "2025-05-03"}, "2025-05-01", "2025-05-03"),
        ({"date": "2025-05"}, None, None),
        ({"date": None, "detected": "2025-05-02"}, None, "2025-05-02"),
        ({"date": None, "recordedDate": "2025-05-03"}, None, "2025-05-03"),
    ],
)
def test_the_days_of_an_event(elements: dict[str, Any], day: str | None, recorded: str | None) -> None:
    (found,) = read(ORDER, adverse_event(**elements)).reactions
    assert [str(d) if d else None for d in (found.day, found.recorded)] == [day, recorded]


# --- other versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        {  # R5
            "status": "completed",
            "actuality": "actual",
            "code": concept("nausea"),
            "occurrenceDateTime": "2025-05-01",
            "suspectEntity": [{"instanceCodeableConcept": concept("sertraline")}],
        },
        {  # R5
            "actuality": "actual",
            "occurrencePeriod": {"start": "2025-05-01", "end": "2025-05-09"},
            "suspectEntity": [{"instanceReference": {"reference": "MedicationRequest/rx1"}}],
        },
        {  # STU3
            "category": "AE",
            "type": concept("nausea"),
            "date": "2025-05-01",
            "suspectEntity": [{"instance": {"reference": "MedicationRequest/rx1"}}],
        },
    ],
)
def test_events_of_other_versions(event: dict[str, Any]) -> None:
    base = {"resourceType": "AdverseEvent", "id": "ae1", "subject": {"reference": "Patient/p1"}}
    history = read(ORDER, base | event)
    assert told(history) == [("sertraline", "2025-05-01", MET)]
    assert history.unread == ()


def test_a_potential_event_of_stu3() -> None:
    assert told(read(ORDER, adverse_event(actuality=None, category="PAE")))[0][2] is UNKNOWN


@pytest.mark.parametrize(
    ("elements", "holds"),
    [
        ({"substance": concept("sertraline"), "status": "confirmed"}, MET),  # DSTU2
        ({"substance": concept("sertraline"), "status": "active"}, MET),
        ({"substance": concept("sertraline"), "status": "unconfirmed"}, UNKNOWN),
        ({"code": concept("sertraline"), "verificationStatus": "unconfirmed"}, UNKNOWN),  # STU3
        (
            {"code": concept("sertraline"), "verificationStatus": "confirmed", "assertedDate": "2025-05-02"},
            MET,
        ),
    ],
)
def test_allergies_of_other_versions(elements: dict[str, Any], holds: Answer) -> None:
    base = {"resourceType": "AllergyIntolerance", "id": "al1", "patient": {"reference": "Patient/p1"}}
    history = read(base | elements)
    assert told(history) == [("sertraline", None, holds)]
    assert history.unread == ()


@pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
def test_refuted_in_dstu2(status: str) -> None:
    old = {"substance": concept("sertraline"), "status": status, "code": None, "verificationStatus": None}
    history = read({**allergy(), **old})
    assert (history.reactions, len(history.set_aside)) == ((), 1)


# --- whose, and anything ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "topic"),
    [
        (allergy(patient_id="p2"), Topic.NONE),
        (adverse_event(patient_id="p2"), Topic.NONE),
        ({**allergy(), "patient": None}, Topic.REACTION),
        ({**adverse_event(), "subject": None}, Topic.REACTION),
        ({**adverse_event(), "subject": {"reference": "Practitioner/1"}}, Topic.NONE),
    ],
)
def test_reactions_of_others_are_not_read(resource: dict[str, Any], topic: Topic) -> None:
    history = read(ORDER, resource)
    assert (history.reactions, [u.topics for u in history.unread]) == ((), [(topic,)])


def test_the_element_that_names_nobody_is_called_by_its_name() -> None:
    nobody = {name: value for name, value in allergy().items() if name != "patient"}
    assert "$.patient" in read(nobody).unread[0].problem
    assert told(read({**nobody, "subject": {"reference": "Patient/p1"}})) == [("sertraline", None, MET)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["2025", "sertraline"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ELEMENTS = (
    *("status", "actuality", "event", "date", "category", "occurrencePeriod", "outcome", "type"),
    *("verificationStatus", "onsetDateTime", "onsetPeriod", "recordedDate", "reaction", "modifierExtension"),
)


@settings(max_examples=200)
@given(
    st.sampled_from([allergy(), adverse_event()]),
    st.dictionaries(st.sampled_from(ELEMENTS), JSON, max_size=4),
)
def test_nothing_in_a_record_makes_the_reader_fail_or_the_reaction_vanish(
    resource: dict[str, Any], elements: dict[str, Any]
) -> None:
    history = read(ORDER, {**resource, **elements})
    found = {each.reference for each in (*history.reactions, *history.unread, *history.set_aside)}
    assert f"{resource['resourceType']}/{resource['id']}" in found
