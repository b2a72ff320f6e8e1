"""Records of FHIR R5, STU3 and DSTU2 are read like the same record in R4, and nothing in them is lost."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.versions import to_r4
from cds_service.trd.answers import Answer
from cds_service.trd.record import History, Prescription, StopReason
from tests.other_versions import as_dstu2, as_r5, as_stu3
from tests.unit.version_cases import CASES, DEPRESSION, SERTRALINE, SUBJECT, TABLET

ON = date(2026, 6, 30)
TWICE = {"frequency": 2, "period": 1, "periodUnit": "d"}

R4: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "rx1",
    "status": "completed",
    "intent": "order",
    "medicationCodeableConcept": SERTRALINE,
    "subject": SUBJECT,
    "authoredOn": "2026-01-01",
    "reasonCode": [DEPRESSION],
    "dosageInstruction": [
        {
            "text": "1 tablet twice a day",
            "timing": {"repeat": {**TWICE, "boundsPeriod": {"start": "2026-01-02", "end": "2026-03-01"}}},
            "doseAndRate": [{"doseQuantity": TABLET}],
        }
    ],
}
R5: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "rx1",
    "status": "ended",
    "intent": "order",
    "medication": {"concept": SERTRALINE},
    "subject": SUBJECT,
    "authoredOn": "2026-01-01",
    "reason": [{"concept": DEPRESSION}],
    "effectiveDosePeriod": {"start": "2026-01-02", "end": "2026-03-01"},
    "renderedDosageInstruction": "1 tablet twice a day",
    "dosageInstruction": [
        {"timing": {"repeat": TWICE}, "asNeeded": False, "doseAndRate": [{"doseQuantity": TABLET}]}
    ],
}
STU3: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "rx1",
    "status": "completed",
    "intent": "order",
    "medicationCodeableConcept": SERTRALINE,
    "subject": SUBJECT,
    "context": {"reference": "Encounter/e1"},
    "authoredOn": "2026-01-01",
    "requester": {"agent": {"reference": "Practitioner/d1"}},
    "reasonCode": [DEPRESSION],
    "dosageInstruction": [
        {
            "text": "1 tablet twice a day",
            "timing": {"repeat": {**TWICE, "boundsPeriod": {"start": "2026-01-02", "end": "2026-03-01"}}},
            "doseQuantity": TABLET,
        }
    ],
}
DSTU2: dict[str, Any] = {
    "resourceType": "MedicationOrder",
    "id": "rx1",
    "status": "completed",
    "medicationCodeableConcept": SERTRALINE,
    "patient": SUBJECT,
    "dateWritten": "2026-01-01",
    "dateEnded": "2026-03-01",
    "reasonCodeableConcept": DEPRESSION,
    "dosageInstruction": [
        {
            "text": "1 tablet twice a day",
            "timing": {
                "repeat": {
                    "frequency": 2,
                    "period": 1,
                    "periodUnits": "d",
                    "boundsPeriod": {"start": "2026-01-02"},
                }
            },
            "asNeededBoolean": False,
            "doseQuantity": TABLET,
        }
    ],
}
VERSIONS = pytest.mark.parametrize("order", [R5, STU3, DSTU2], ids=["R5", "STU3", "DSTU2"])


def history(*resources: dict[str, Any]) -> History:
    entries = tuple(Entry(resource, None, f"entry[{n}].resource") for n, resource in enumerate(resources))
    return read_history(Collected("p1", entries), ON)


def prescribed(order: dict[str, Any], *others: dict[str, Any]) -> Prescription:
    (prescription,) = history(order, *others).prescriptions
    return prescription


def changed(order: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (order | changes).items() if value is not ...}


@VERSIONS
def test_an_order_of_another_version_is_read_like_the_same_order_in_r4(order: dict[str, Any]) -> None:
    expected, read = prescribed(R4), prescribed(order)
    assert history(order).unread == ()
    assert read.drug is not None and read.drug.ingredient == "sertraline"
    assert read.segments == expected.segments
    assert (read.dose_text, read.authored) == (expected.dose_text, expected.authored)
    assert read.treats_depression.answer is Answer.MET
    assert read.treats_depression.text == "ordered for depression"


def test_a_medication_order_keeps_its_own_name_as_evidence() -> None:
    assert prescribed(DSTU2).reference == "MedicationOrder/rx1"
    assert prescribed(R5).reference == "MedicationRequest/rx1"


def test_resources_of_r4_come_back_as_they_are() -> None:
    assert to_r4(R4) is R4


@VERSIONS
def test_what_is_read_is_not_changed(order: dict[str, Any]) -> None:
    before = copy.deepcopy(order)
    assert to_r4(order) is not order
    assert order == before


# --- elements of each type ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "elements", "expected"), CASES)
def test_the_elements_of_each_version_get_their_names_in_r4(
    kind: str, elements: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert to_r4({"resourceType": kind, **elements}) == {"resourceType": kind, **expected}


def test_a_contained_medication_of_r5_tells_drug_and_strength() -> None:
    medication = {
        "resourceType": "Medication",
        "id": "m",
        "doseForm": {"text": "tablet"},
        "ingredient": [
            {
                "item": {"concept": {"text": "sertraline"}},
                "strengthRatio": {
                    "numerator": {"value": 50, "unit": "mg", "code": "mg"},
                    "denominator": {"value": 1, "unit": "tablet", "code": "{tbl}"},
                },
            }
        ],
    }
    order = changed(R5, contained=[medication], medication={"reference": {"reference": "#m"}})
    assert prescribed(order).dose_text == "1 × 50 mg × 2/day = 100 mg/day"


def test_an_order_of_stu3_finds_the_medication_entry_it_refers_to() -> None:
    medication = {"resourceType": "Medication", "id": "m1", "code": SERTRALINE, "isBrand": False}
    order = changed(STU3, medicationCodeableConcept=..., medicationReference={"reference": "Medication/m1"})
    assert prescribed(order, medication).dose_text == "1 × 50 mg × 2/day = 100 mg/day"


def test_a_reason_for_the_end_of_a_dstu2_order_is_read() -> None:
    read = prescribed(changed(DSTU2, status="stopped", reasonEnded={"text": "side effects"}))
    assert read.stop_reason is StopReason.INTOLERANCE
    assert (read.segments[-1].last_day, read.segments[-1].days_certain) == (date(2026, 3, 1), True)


def test_a_stopped_order_of_r5_ends_on_the_day_its_status_changed() -> None:
    period = {"start": "2026-01-02", "end": "2026-06-01"}
    order = changed(R5, status="stopped", statusChanged="2026-02-03T10:00:00Z", effectiveDosePeriod=...)
    order["dosageInstruction"][0]["timing"] = {"repeat": {**TWICE, "boundsPeriod": period}}
    (segment,) = prescribed(order).segments
    assert (segment.first_day, segment.last_day) == (date(2026, 1, 2), date(2026, 2, 3))
    assert segment.days_certain


@pytest.mark.parametrize("status", ["stopped", "ended"])
def test_the_earlier_of_planned_end_and_stop_counts(status: str) -> None:
    planned = {"start": "2026-01-02", "end": "2026-06-01"}
    order = changed(R5, status=status, statusChanged="2026-02-03", effectiveDosePeriod=planned)
    assert prescribed(order).segments[-1].last_day == date(2026, 2, 3)
    late = changed(order, statusChanged="2026-06-20")
    assert prescribed(late).segments[-1].last_day == date(2026, 6, 1)


def test_a_supply_that_ran_out_before_the_recorded_end_of_the_order_counts() -> None:
    supply = {"expectedSupplyDuration": {"value": 30, "code": "d"}}
    read = prescribed(changed(DSTU2, dispenseRequest=supply))
    assert (read.segments[-1].last_day, read.segments[-1].days_certain) == (date(2026, 1, 31), True)


def test_a_period_that_cannot_be_read_leaves_the_days_open_and_is_listed() -> None:
    for period in ("soon", {"end": "soon"}, {"start": 7}):
        read = history(changed(R5, effectiveDosePeriod=period))
        assert not any(segment.days_certain for segment in read.prescriptions[0].segments), period
        assert "effectiveDosePeriod" in read.unread[0].problem


CONTRADICTIONS = [
    ({"medicationCodeableConcept": {"text": "fluoxetine 20 mg"}}, "$.medicationCodeableConcept"),
    ({"dose": {"dosageInstruction": [{"text": "2 tablets daily"}]}}, "$.dosageInstruction"),
    ({"medication": ["sertraline"]}, "$.medicationCodeableConcept"),
    ({"dose": "two"}, "$.dosageInstruction"),
    (
        {"dosageInstruction": [{"text": "1 daily", "asNeeded": False, "asNeededFor": [{"text": "pain"}]}]},
        "$.dosageInstruction[0].asNeededBoolean",
    ),
    ({"dosageInstruction": [{"asNeeded": True, "asNeededBoolean": False}]}, "asNeededBoolean"),
    ({"reason": {"concept": DEPRESSION}}, "$.reasonCode"),
    ({"reason": ["low mood"]}, "$.reasonCode[0]"),
]


@pytest.mark.parametrize(("changes", "path"), CONTRADICTIONS, ids=str)
def test_what_contradicts_itself_or_is_malformed_is_listed_and_not_chosen_from(
    changes: dict[str, Any], path: str
) -> None:
    read = history(changed(R5, **changes))
    (prescription,) = read.prescriptions
    assert path in read.unread[0].problem
    doubtful = [segment.low_mg is None for segment in prescription.segments]
    assert any(doubtful) or prescription.treats_depression.answer is Answer.UNKNOWN


def test_a_product_to_dispense_that_is_another_drug_makes_the_drug_unknown() -> None:
    other = {"medicationCodeableConcept": {"text": "fluoxetine 20 mg capsule"}}
    same = {"medicationCodeableConcept": {"text": "Zoloft 50 mg tablet"}}
    assert prescribed(changed(DSTU2, dispenseRequest=other)).drug is None
    assert prescribed(changed(DSTU2, dispenseRequest=same)).segments == prescribed(DSTU2).segments
    only = changed(DSTU2, medicationCodeableConcept=..., dispenseRequest=same)
    assert prescribed(only).segments == prescribed(DSTU2).segments


def test_a_depression_of_dstu2_is_read_with_its_plain_codes() -> None:
    condition = {
        "resourceType": "Condition",
        "id": "dx1",
        "patient": SUBJECT,
        "code": DEPRESSION,
        "clinicalStatus": "active",
        "verificationStatus": "provisional",
        "dateRecorded": "2020-05-01",
    }
    read = history(condition)
    (diagnosis,) = read.diagnoses
    assert (diagnosis.holds, diagnosis.recorded) == (Answer.UNKNOWN, date(2020, 5, 1))
    assert (diagnosis.is_current, read.unread) == (Answer.MET, ())


def test_a_panel_of_stu3_is_summed_from_its_related_members() -> None:
    loinc = "http://loinc.org"
    items = [
        "44250-9",
        "44255-8",
        "44259-0",
        "44254-1",
        "44251-7",
        "44258-2",
        "44252-5",
        "44253-3",
        "44260-8",
    ]
    answers = [
        {
            "resourceType": "Observation",
            "id": f"a{n}",
            "status": "final",
            "code": {"coding": [{"system": loinc, "code": code}]},
            "effectiveDateTime": "2026-02-01",
            "valueQuantity": {"value": 2},
        }
        for n, code in enumerate(items)
    ]
    panel = {
        "resourceType": "Observation",
        "id": "panel",
        "status": "final",
        "subject": SUBJECT,
        "contained": answers,
        "code": {"coding": [{"system": loinc, "code": "44249-1"}]},
        "effectiveDateTime": "2026-02-01",
        "related": [{"type": "has-member", "target": {"reference": f"#a{n}"}} for n in range(len(items))],
    }
    read = history(panel)
    assert [(score.reference, score.value) for score in read.scores] == [("Observation/panel", 18)]


# --- any order, there and back ---------------------------------------------------------------------------


DAYS = st.dates(date(2020, 1, 1), ON).map(date.isoformat)
QUANTITIES = st.fixed_dictionaries(
    {"value": st.sampled_from([0.5, 1, 2, 50, 100])},
    optional={"unit": st.sampled_from(["tablet", "mg", "mL", "patch"])},
)
REPEATS = st.fixed_dictionaries(
    {},
    optional={
        "frequency": st.integers(1, 4),
        "period": st.integers(1, 2),
        "periodUnit": st.sampled_from(["d", "h", "wk"]),
        "when": st.lists(st.sampled_from(["HS", "MORN"]), min_size=1, unique=True),
        "boundsPeriod": st.fixed_dictionaries({"start": DAYS}, optional={"end": DAYS}),
        "boundsDuration": st.fixed_dictionaries({"value": st.integers(1, 90), "code": st.just("d")}),
        "dayOfWeek": st.just(["mon"]),
    },
)
DOSAGES = st.fixed_dictionaries(
    {},
    optional={
        "sequence": st.integers(1, 3),
        "text": st.sampled_from(["1 tablet twice a day", "1 qhs", "2 tablets daily", "as directed"]),
        "timing": st.fixed_dictionaries({"repeat": REPEATS}),
        "asNeededBoolean": st.booleans(),
        "additionalInstruction": st.just([{"text": "with food"}]),
        "doseAndRate": st.lists(
            st.one_of(
                st.fixed_dictionaries({"doseQuantity": QUANTITIES}),
                st.fixed_dictionaries(
                    {"doseRange": st.fixed_dictionaries({"low": QUANTITIES, "high": QUANTITIES})}
                ),
            ),
            min_size=1,
            max_size=1,
        ),
    },
)
ORDERS = st.fixed_dictionaries(
    {
        "resourceType": st.just("MedicationRequest"),
        "id": st.just("rx1"),
        "intent": st.just("order"),
        "subject": st.just(SUBJECT),
        "status": st.sampled_from(["active", "completed", "stopped", "on-hold", "draft"]),
        "medicationCodeableConcept": st.sampled_from([SERTRALINE, {"text": "Lexapro"}, {"text": "mirtazapine 15 mg"}]),
        "dosageInstruction": st.lists(DOSAGES, max_size=3),
    },
    optional={
        "authoredOn": DAYS,
        "statusReason": st.sampled_from([{"text": "nausea"}, {"text": "no effect"}]),
        "reasonCode": st.sampled_from([[DEPRESSION], [{"text": "insomnia"}]]),
        "dispenseRequest": st.fixed_dictionaries(
            {"quantity": QUANTITIES}, optional={"numberOfRepeatsAllowed": st.integers(0, 3)}
        ),
    },
)  # fmt: skip


@given(ORDERS)
@settings(deadline=None)
def test_an_order_rewritten_in_another_version_is_read_the_same(order: dict[str, Any]) -> None:
    assert to_r4(order) is order
    expected = history(order)
    assert history(as_r5(order)) == expected
    assert history(as_stu3(order)) == expected
    assert _named(history(as_dstu2(order))) == _named(expected)


def _named(read: History) -> str:
    return repr(read).replace("MedicationOrder/", "MedicationRequest/")


# --- anything at all ---------------------------------------------------------------------------------------


NAMES = sorted(
    {name for _, elements, _ in CASES for name in elements}
    | {"subject", "status", "medicationCodeableConcept", "medicationReference", "statusReason", "dispenseRequest"}
    | {"timing", "repeat", "concept", "reference", "display", "coding", "code", "value", "type", "target"}
    | {"periodUnits", "when", "doseQuantity", "quantityRange", "asNeededFor", "item", "amount", "form"}
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "1", "n", "stopped", "2026-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)
TYPES = sorted({kind for kind, _, _ in CASES})


@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=8))
@settings(deadline=None, max_examples=300)
def test_whatever_a_resource_holds_it_is_adapted_and_read(kind: str, members: dict[str, Any]) -> None:
    resource = {"subject": SUBJECT, **members, "resourceType": kind, "id": "x1"}
    before = copy.deepcopy(resource)
    after = to_r4(resource)
    assert resource == before
    assert to_r4(after) == after or kind == "MedicationOrder"
    history(resource)


def test_a_resource_nested_deeply_does_no_harm() -> None:
    deep: Any = "sertraline"
    for _ in range(3000):
        deep = {"contained": [deep], "medication": deep}
    history(
        {
            "resourceType": "MedicationRequest",
            "id": "x1",
            "subject": SUBJECT,
            "medication": deep,
            "dose": deep,
        }
    )
