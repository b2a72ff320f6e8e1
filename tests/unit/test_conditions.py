"""Conditions: which diagnoses they are, whether they hold, are current, and since when."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.conditions import ConditionReading, read_conditions
from cds_service.trd.answers import Answer
from cds_service.trd.record import Diagnosis, DiagnosisRole, Topic
from fhir_fixtures.builders import ICD_10_CM, SNOMED_CT, condition

ON = date(2026, 6, 30)
MDD = (ICD_10_CM, "F33.1")
BIPOLAR = (ICD_10_CM, "F31.32")
FULL_REMISSION = (ICD_10_CM, "F33.42")
SUICIDAL = (ICD_10_CM, "R45.851")


def read(*resources: dict[str, Any]) -> ConditionReading:
    return read_conditions([Entry(resource, None, f"entry[{n}]") for n, resource in enumerate(resources)], ON)


def only(resource: dict[str, Any]) -> Diagnosis:
    reading = read(resource)
    assert len(reading.diagnoses) == 1
    return reading.diagnoses[0]


def coded(*codings: tuple[str, str], text: str | None = None) -> dict[str, Any]:
    concept: dict[str, Any] = {"coding": [{"system": system, "code": code} for system, code in codings]}
    return concept | ({"text": text} if text else {})


# --- what it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "role", "category"),
    [
        (MDD, "DEPRESSION", "mdd"),
        (BIPOLAR, "EXCLUSION", "bipolar"),
        (FULL_REMISSION, "FULL_REMISSION", "mdd_remission"),
        ((ICD_10_CM, "F33.41"), "DEPRESSION", "mdd_remission"),
        (SUICIDAL, "SUICIDALITY", "suicidality"),
        ((SNOMED_CT, "1153570009"), "ALREADY_LABELLED", "trd"),
        ((ICD_10_CM, "F90.0"), "CONFOUNDER", "adhd"),
        ("Major depressive disorder", "DEPRESSION", "mdd"),
        ("Schizophrenia", "EXCLUSION", "psychotic_disorder"),
        ("Recurrent major depressive disorder, in full remission", "FULL_REMISSION", "mdd_remission"),
        ("Attempted suicide", "SUICIDALITY", "suicide_attempt"),
        (coded(("urn:local", "77"), text="Bipolar disorder"), "EXCLUSION", "bipolar"),
        (coded(("urn:local", "77"), MDD), "DEPRESSION", "mdd"),
    ],
)
def test_codes_and_unmistakable_words_give_a_diagnosis(code: Any, role: str, category: str) -> None:
    diagnosis = only(condition(code=code))
    assert (diagnosis.role.name, diagnosis.category, diagnosis.holds) == (role, category, Answer.MET)
    assert diagnosis.reference == "Condition/dx1"


@pytest.mark.parametrize(
    "code",
    [
        (ICD_10_CM, "I10"),
        (SNOMED_CT, "38341003", "Hypertensive disorder"),
        "Hypertension",
        "No bipolar disorder",
        "Family history of bipolar disorder",
        (SNOMED_CT, "160329005", "Family history: Depression"),
        ("urn:local", "77", "Knee pain"),
    ],
)
def test_another_condition_is_of_no_interest(code: Any) -> None:
    assert read(condition(code=code)) == ConditionReading((), (), ())


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ("possible bipolar disorder", DiagnosisRole.EXCLUSION),
        ((SNOMED_CT, "999", "Bipolar disorder of some new kind"), DiagnosisRole.EXCLUSION),
        ("MDD vs adjustment", DiagnosisRole.DEPRESSION),
        ("Depression, now in remission", DiagnosisRole.FULL_REMISSION),
        ("MDD (recurrent) in early full remission", DiagnosisRole.FULL_REMISSION),
    ],
)
def test_words_that_only_mention_a_diagnosis_leave_it_unknown(code: Any, role: DiagnosisRole) -> None:
    diagnosis = only(condition(code=code))
    assert (diagnosis.role, diagnosis.holds) == (role, Answer.UNKNOWN)


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ((ICD_10_CM, "F33.40"), DiagnosisRole.FULL_REMISSION),
        (("http://hl7.org/fhir/sid/icd-10", "F33.4"), DiagnosisRole.FULL_REMISSION),
        ((ICD_10_CM, "F33.42"), DiagnosisRole.FULL_REMISSION),
        ((ICD_10_CM, "F33.41"), DiagnosisRole.DEPRESSION),
    ],
)
def test_a_code_of_remission_does_as_its_row_says(code: Any, role: DiagnosisRole) -> None:
    diagnosis = only(condition(code=code))
    assert (diagnosis.role, diagnosis.holds) == (role, Answer.MET)


@pytest.mark.parametrize(
    "code",
    [
        None,
        {},
        {"coding": []},
        {"text": " "},
        {"coding": [{"code": "F33.1"}]},
        {"coding": [{"system": "urn:x", "code": "1"}]},
        "broken",
        7,
        [],
        {"coding": "F33.1"},
        {"coding": [{"system": ICD_10_CM, "code": 331}]},
    ],
)
def test_an_unreadable_code_could_be_any_diagnosis(code: Any) -> None:
    reading = read(condition() | {"code": code})
    assert reading.diagnoses == ()
    assert [unread.topics for unread in reading.unread] == [(Topic.DIAGNOSIS, Topic.SAFETY)]
    assert reading.unread[0].problem.startswith("at $.code")


def test_a_readable_coding_beside_an_unreadable_one_counts_and_leaves_a_doubt() -> None:
    concept = {"coding": [{"system": ICD_10_CM, "code": "F33.1"}, {"system": ICD_10_CM, "code": 5}]}
    reading = read(condition(code=concept))
    assert [diagnosis.category for diagnosis in reading.diagnoses] == ["mdd"]
    assert Topic.DIAGNOSIS in reading.unread[0].topics


def roles(*codings: tuple[str, str]) -> list[tuple[str, str]]:
    reading = read(condition(code=coded(*codings)))
    return [(diagnosis.role.name, diagnosis.holds.value) for diagnosis in reading.diagnoses]


def test_codings_are_taken_together() -> None:
    snomed_mdd = (SNOMED_CT, "66344007")
    assert roles(MDD, snomed_mdd) == [("DEPRESSION", "met")]
    assert roles(MDD, BIPOLAR) == [("DEPRESSION", "met"), ("EXCLUSION", "met")]
    assert roles(FULL_REMISSION, snomed_mdd) == [("FULL_REMISSION", "met")]
    assert roles((ICD_10_CM, "F33.41"), (SNOMED_CT, "68019004")) == [
        ("DEPRESSION", "met"),
        ("FULL_REMISSION", "unknown"),
    ]


# --- whether it holds, and whether it is current ------------------------------------------------------

VERIFICATIONS = """
confirmed   | met
unconfirmed | unknown
provisional | unknown
differential | unknown
refuted     | not-met
Confirmed   | met
maybe       | unknown
"""
STATES = """
active     | met
recurrence | met
relapse    | met
inactive   | not-met
remission  | not-met
resolved   | not-met
sleeping   | unknown
"""


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


@pytest.mark.parametrize(("status", "holds"), [*cells(VERIFICATIONS), [None, "met"]])
def test_the_verification_status_tells_whether_it_holds(status: str | None, holds: str) -> None:
    assert only(condition(code=BIPOLAR, verification=status)).holds is Answer(holds)


@pytest.mark.parametrize(("status", "is_current"), [*cells(STATES), [None, "met"]])
def test_the_clinical_status_tells_whether_it_is_current(status: str | None, is_current: str) -> None:
    diagnosis = only(condition(code=BIPOLAR, clinical=status))
    assert (diagnosis.holds, diagnosis.is_current) == (Answer.MET, Answer(is_current))


def test_an_unknown_status_is_listed() -> None:
    assert "clinicalStatus" in read(condition(clinical="sleeping")).unread[0].problem
    assert "verificationStatus" in read(condition(verification="maybe")).unread[0].problem


@pytest.mark.parametrize("status", ["active", 5, [], {"coding": "active"}, {"coding": [{"code": 1}]}, {}])
def test_a_status_of_the_wrong_shape_leaves_it_unknown(status: Any) -> None:
    reading = read(condition(code=BIPOLAR) | {"clinicalStatus": status, "verificationStatus": status})
    assert [(d.holds, d.is_current) for d in reading.diagnoses] == [(Answer.UNKNOWN, Answer.UNKNOWN)]
    assert reading.unread


def test_a_status_may_be_a_text_or_stand_beside_a_local_code() -> None:
    assert only(condition(clinicalStatus={"text": "Active"})).is_current is Answer.MET
    both = {"coding": [{"system": "urn:x", "code": "A"}, {"code": "resolved"}]}
    assert only(condition(clinicalStatus=both)).is_current is Answer.NOT_MET


def test_entered_in_error_is_set_aside() -> None:
    reading = read(condition(code=BIPOLAR, verification="entered-in-error", clinical=None))
    assert (reading.diagnoses, reading.unread, len(reading.set_aside)) == ((), (), 1)


def test_a_modifier_that_is_not_known_leaves_it_unknown() -> None:
    reading = read(condition(code=BIPOLAR, modifierExtension=[{"url": "urn:x"}]))
    assert [diagnosis.holds for diagnosis in reading.diagnoses] == [Answer.UNKNOWN]
    assert "modifierExtension" in reading.unread[0].problem


# --- since when ---------------------------------------------------------------------------------------

DATES = [
    # elements, recorded
    ({"onsetDateTime": "2024-03-01", "recordedDate": "2024-11-01"}, "2024-03-01"),
    ({"onsetPeriod": {"start": "2024-03-01"}, "recordedDate": "2024-11-01"}, "2024-03-01"),
    ({"onsetString": "in spring", "recordedDate": "2024-11-01"}, "2024-11-01"),
    ({"onsetDateTime": "2024-03"}, "2024-03-31"),
    ({"onsetDateTime": "2024", "recordedDate": "2024-11-01"}, "2024-11-01"),
    ({"onsetDateTime": "2023", "recordedDate": "2024-11-01"}, "2023-12-31"),
    ({"onsetDateTime": "2026"}, "2026-06-30"),
    ({}, "None"),
    ({"onsetDateTime": "2024-13-45"}, "None"),
    ({"recordedDate": 2024}, "None"),
]


@pytest.mark.parametrize(("elements", "recorded"), DATES)
def test_it_is_known_since_its_onset_else_since_it_was_recorded(
    elements: dict[str, Any], recorded: str
) -> None:
    assert str(only(condition(code=BIPOLAR, recorded=None) | elements).recorded) == recorded


@pytest.mark.parametrize("name", ["onsetDateTime", "recordedDate", "abatementDateTime"])
@pytest.mark.parametrize("value", ["2024-13-45", "soon", 2024])
def test_an_unreadable_date_is_listed(name: str, value: Any) -> None:
    unread = read(condition() | {name: value}).unread
    assert [one.problem.startswith(f"at $.{name}") for one in unread] == [True]


def test_no_remission_is_read_from_words_that_deny_it_or_call_it_partial() -> None:
    texts = (
        "Depression, not in remission",
        "MDD with partial remission",
        "Alcohol dependence in full remission",
    )
    readings = [read(condition(code=text)) for text in texts]
    roles = {diagnosis.role for reading in readings for diagnosis in reading.diagnoses}
    assert DiagnosisRole.FULL_REMISSION not in roles


@pytest.mark.parametrize(
    ("onset", "recorded", "known"),
    [
        ("2020-01-01", "2026-06-25", "2026-06-25"),
        ("2026-06-25", "2026-06-20", "2026-06-25"),
        ("2026-06-25", None, "2026-06-25"),
        (None, "2026-06-25", "2026-06-25"),
    ],
)
def test_suicidality_counts_from_the_later_of_its_days(
    onset: str | None, recorded: str | None, known: str
) -> None:
    elements = {"onsetDateTime": onset} if onset else {}
    assert str(only(condition(code=SUICIDAL, recorded=recorded) | elements).recorded) == known


@pytest.mark.parametrize("status", ["resolved", "inactive", "active"])
def test_a_suicide_attempt_is_an_event_whatever_its_status(status: str) -> None:
    attempt = condition(code=(ICD_10_CM, "T14.91XA"), clinical=status)
    assert only(attempt).is_current is Answer.MET
    assert only(condition(code=SUICIDAL, clinical="resolved")).is_current is Answer.NOT_MET


def test_suicidality_without_a_readable_day_concerns_safety() -> None:
    assert read(condition(code=SUICIDAL, recorded="soon")).unread[0].topics == (Topic.SAFETY,)


def test_what_lies_ahead_is_unknown() -> None:
    reading = read(condition(code=BIPOLAR, recorded="2026-07-01"))
    assert [diagnosis.holds for diagnosis in reading.diagnoses] == [Answer.UNKNOWN]
    assert [unread.topics for unread in reading.unread] == [(Topic.NONE,)]


# --- remission ----------------------------------------------------------------------------------------


def remissions(**elements: Any) -> list[tuple[str, str]]:
    """The days of full remission with whether each holds."""
    diagnoses = read(condition(**elements)).diagnoses
    return [(str(d.recorded), d.holds.value) for d in diagnoses if d.role is DiagnosisRole.FULL_REMISSION]


ENDS = [
    # clinical status, end, remissions
    ("resolved", {"abatementDateTime": "2025-03-01"}, [("2025-03-01", "met")]),
    ("resolved", {"abatementPeriod": {"start": "2025-02-01", "end": "2025-03-01"}}, [("2025-03-01", "met")]),
    ("remission", {"abatementDateTime": "2025-03-01"}, [("2025-03-01", "unknown")]),
    ("inactive", {"abatementDateTime": "2025-03-01"}, [("2025-03-01", "unknown")]),
    ("resolved", {"abatementDateTime": "2025"}, [("2025-12-31", "unknown")]),
    ("resolved", {"abatementString": "in spring"}, [("None", "unknown")]),
    ("resolved", {"abatementDateTime": "soon"}, [("None", "unknown")]),
    ("resolved", {}, []),
    ("resolved", {"abatementDateTime": "2026-07-01"}, []),
    ("active", {"abatementDateTime": "2025-03-01"}, [("2025-03-01", "unknown")]),
    ("active", {}, []),
    (None, {"abatementDateTime": "2025-03-01"}, [("2025-03-01", "unknown")]),
]


@pytest.mark.parametrize(("clinical", "elements", "expected"), ENDS)
def test_the_end_of_a_depression_is_a_remission(
    clinical: str | None, elements: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert remissions(clinical=clinical, **elements) == expected


def test_the_end_of_another_illness_is_none() -> None:
    assert remissions(code=BIPOLAR, clinical="resolved", abatementDateTime="2025-03-01") == []


def test_a_depression_that_is_not_confirmed_ends_without_certainty() -> None:
    end = {"clinical": "resolved", "abatementDateTime": "2025-03-01"}
    assert remissions(verification="provisional", **end) == [("2025-03-01", "unknown")]
    assert remissions(verification="refuted", **end) == [("2025-03-01", "not-met")]


REMISSION_DAYS = [
    # dates of a Condition coded as in full remission, remission
    ({"recordedDate": "2025-03-01"}, ("2025-03-01", "met")),
    ({"recordedDate": "2025-03-01", "onsetDateTime": "2019-01-01"}, ("2025-03-01", "met")),
    ({"onsetDateTime": "2025-03-01"}, ("2025-03-01", "met")),
    ({"recordedDate": "2025-03"}, ("2025-03-31", "unknown")),
    ({"recordedDate": "soon", "onsetDateTime": "2019-01-01"}, ("2019-01-01", "unknown")),
    ({}, ("None", "unknown")),
]


@pytest.mark.parametrize(("elements", "expected"), REMISSION_DAYS)
def test_a_coded_remission_is_as_old_as_its_record(
    elements: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert remissions(code=FULL_REMISSION, recorded=None, **elements) == [expected]


# --- severity and onset -------------------------------------------------------------------------------

MILD, MODERATE, SEVERE = (
    {"coding": [{"system": SNOMED_CT, "code": code}]} for code in ("255604002", "6736007", "24484000")
)


@pytest.mark.parametrize(
    ("code", "severity", "expected"),
    [
        ((ICD_10_CM, "F33.0"), None, "mild"),
        (MDD, None, "moderate"),
        ((ICD_10_CM, "F33.2"), None, "severe"),
        ((ICD_10_CM, "F32.3"), None, "severe"),
        ((ICD_10_CM, "F33.9"), None, ""),
        ((ICD_10_CM, "F33.9"), MILD, "mild"),
        ((ICD_10_CM, "F33.9"), MODERATE, "moderate"),
        ((ICD_10_CM, "F33.9"), SEVERE, "severe"),
        ((ICD_10_CM, "F33.9"), {"text": "Severe"}, "severe"),
        ((ICD_10_CM, "F33.9"), {"coding": [{"code": "6736007"}]}, ""),
        ((ICD_10_CM, "F33.9"), {"coding": [{"system": "urn:local", "code": "2", "display": "Mild"}]}, "mild"),
        (MDD, MODERATE, "moderate"),
        (MDD, SEVERE, ""),  # they differ
        ("Severe major depression", None, "severe"),
        ("MDD, recurrent, mild", None, "mild"),
        ("Major depressive disorder", None, ""),
    ],
)
def test_the_severity_is_that_of_the_diagnosis_or_of_its_element(
    code: Any, severity: Any, expected: str
) -> None:
    assert only(condition(code=code, **({"severity": severity} if severity else {}))).severity == expected


@pytest.mark.parametrize("severity", [{"text": "dreadful"}, {"coding": [{"code": 5}]}, "severe", 3])
def test_a_severity_that_cannot_be_read_is_told_and_changes_nothing_else(severity: Any) -> None:
    reading = read(condition() | {"severity": severity})
    (found,) = reading.diagnoses
    assert (found.holds, found.is_current, found.severity) == (Answer.MET, Answer.MET, "moderate")
    (unread,) = reading.unread
    assert "$.severity" in unread.problem
    assert unread.topics == (Topic.NONE,)


def test_the_severity_of_nothing_but_depression_is_looked_at() -> None:
    assert read(condition(code=(ICD_10_CM, "E03.9")) | {"severity": {"text": "dreadful"}}).unread == ()


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, None),
        ({"onsetDateTime": "2025-01-07"}, date(2025, 1, 7)),
        ({"onsetDateTime": "2025-01-07T09:30:00Z"}, date(2025, 1, 7)),
        ({"onsetPeriod": {"start": "2025-01-07"}}, date(2025, 1, 7)),
        ({"onsetDateTime": "2025-01"}, None),
        ({"onsetDateTime": "2025"}, None),
        ({"onsetDateTime": "last winter"}, None),
        ({"onsetDateTime": "2026-06-30"}, ON),
        ({"onsetDateTime": "2026-07-01"}, None),
        ({"onsetAge": {"value": 30}}, None),
    ],
)
def test_the_onset_is_only_taken_where_it_is_exact(elements: dict[str, Any], expected: date | None) -> None:
    assert only(condition(**elements)).onset == expected
