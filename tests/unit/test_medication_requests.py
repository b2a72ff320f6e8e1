"""Whole MedicationRequests: each ends as a prescription, set aside, unread, or is of another drug."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.medication_requests import MedicationReading, read_medication_requests
from cds_service.trd.answers import Answer
from cds_service.trd.exposures import build_exposures
from cds_service.trd.record import Prescription, StopReason, Topic

ON = date(2026, 6, 30)
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
ORDER: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "rx1",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "sertraline 50 mg tablet"},
    "authoredOn": "2026-01-01",
    "dosageInstruction": [{"text": "Take 2 tablets daily"}],
}


def find(reference: str, within: dict[str, Any]) -> dict[str, Any] | None:
    contained = within.get("contained") or []
    return next(
        (c for c in contained if reference in (f"#{c['id']}", f"{c['resourceType']}/{c['id']}")), None
    )


def read(**changes: Any) -> MedicationReading:
    """The standard order with some elements changed; an element given as `...` is left out."""
    order = {key: value for key, value in (ORDER | changes).items() if value is not ...}
    return read_medication_requests([Entry(order, None, "prefetch.medications.entry[0]")], find, ON)


def prescribed(**changes: Any) -> Prescription:
    (prescription,) = read(**changes).prescriptions
    return prescription


def test_an_order_becomes_a_prescription() -> None:
    reading = read()
    (prescription,) = reading.prescriptions
    (segment,) = prescription.segments
    assert prescription.drug is not None
    assert (prescription.reference, prescription.drug.ingredient) == ("MedicationRequest/rx1", "sertraline")
    assert (segment.first_day, segment.last_day) == (date(2026, 1, 1), ON)
    assert (segment.low_mg, segment.high_mg, segment.days_certain) == (100, 100, True)
    assert prescription.treats_depression.answer is Answer.MET
    assert prescription.dose_text == "2 × 50 mg × 1/day = 100 mg/day"
    assert prescription.days_text == (
        "from 2026-01-01 by authoredOn, no end recorded, status active: taken as continuing"
    )
    assert (reading.unread, reading.set_aside) == ((), ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "entered-in-error"}, "entered in error"),
        ({"status": "cancelled"}, "cancelled"),
        ({"status": "draft"}, "draft"),
        ({"intent": "proposal"}, "proposal"),
        ({"intent": "plan"}, "plan"),
        ({"intent": "option"}, "option"),
        ({"doNotPerform": True}, "not to give"),
        ({"authoredOn": "2026-07-01"}, "future"),
    ],
)
def test_set_aside(changes: dict[str, Any], reason: str) -> None:
    reading = read(**changes)
    (aside,) = reading.set_aside
    assert reason in aside.problem
    assert (reading.prescriptions, reading.unread) == ((), ())


@pytest.mark.parametrize("status", ["unknown", "ACTIVE", "ended", ..., 7])
def test_a_status_that_cannot_be_read_leaves_the_days_open(status: object) -> None:
    reading = read(status=status)
    assert not reading.prescriptions[0].segments[0].days_certain
    assert "$.status" in reading.unread[0].problem


@pytest.mark.parametrize("intent", ["wish", ..., 7])
def test_an_intent_that_cannot_be_read_leaves_the_use_open(intent: object) -> None:
    reading = read(intent=intent)
    assert reading.prescriptions[0].treats_depression.answer is Answer.UNKNOWN
    assert "$.intent" in reading.unread[0].problem


# --- the drug -----------------------------------------------------------------------------------------


def test_other_drugs_are_of_no_interest() -> None:
    assert read(medicationCodeableConcept={"text": "lisinopril 10 mg"}) == MedicationReading()
    assert read(medicationCodeableConcept={"text": "lisinopril 10 mg"}, status=7) == MedicationReading()


def test_an_augmenting_agent_is_kept_apart_from_antidepressants() -> None:
    reading = read(medicationCodeableConcept={"text": "aripiprazole 5 mg"})
    assert reading.prescriptions == () and [told.agent for told in reading.add_ons] == ["aripiprazole"]


def test_a_name_we_lack_ordered_for_depression_may_be_an_antidepressant() -> None:
    reading = read(medicationCodeableConcept={"text": "Serenium 10 mg"}, reasonCode=[{"text": "Depression"}])
    (prescription,) = reading.prescriptions
    assert (prescription.drug, prescription.name) == (None, "Serenium 10 mg")
    assert reading.unread[0].topics == (Topic.DRUG,)


@pytest.mark.parametrize(
    "medication",
    [
        {},
        {"medicationReference": {"reference": "Medication/9"}},
        {"medicationReference": {"identifier": {"value": "9"}}},
        {"medicationCodeableConcept": {"text": "antidepressant"}},
        {"medicationCodeableConcept": "sertraline"},
        {"medicationCodeableConcept": {"coding": [{"system": "http://example.org", "code": "1"}]}},
    ],
)
def test_an_unknown_drug_is_a_prescription_and_unread(medication: dict[str, Any]) -> None:
    reading = read(**({"medicationCodeableConcept": ...} | medication))
    (prescription,) = reading.prescriptions
    assert prescription.drug is None
    assert prescription.segments[0].low_mg is None
    assert reading.unread[0].topics == (Topic.DRUG,)


def referenced(medication: dict[str, Any], **reference: str) -> dict[str, Any]:
    contained = [{"resourceType": "Medication", "id": "m"} | medication]
    pointer = {"reference": "#m"} | reference
    return {"medicationCodeableConcept": ..., "medicationReference": pointer, "contained": contained}


def test_a_contained_medication() -> None:
    prescription = prescribed(**referenced({"code": {"text": "Zoloft 50 mg"}}))
    assert prescription.drug is not None
    assert (prescription.drug.ingredient, prescription.segments[0].low_mg) == ("sertraline", 100)


def test_a_medication_told_by_its_ingredient() -> None:
    strength = {"numerator": {"value": 50, "unit": "mg"}, "denominator": {"value": 1, "unit": "TAB"}}
    ingredient = {"itemCodeableConcept": {"text": "Sertraline"}, "strength": strength}
    prescription = prescribed(**referenced({"ingredient": [ingredient]}))
    assert prescription.drug is not None
    assert (prescription.drug.ingredient, prescription.segments[0].low_mg) == ("sertraline", 100)


def test_a_liquid_told_by_its_ingredient() -> None:
    strength = {"numerator": {"value": 20, "unit": "mg"}, "denominator": {"value": 5, "unit": "mL"}}
    medication = {
        "code": {"text": "fluoxetine"},
        "ingredient": [{"itemCodeableConcept": {"text": "fluoxetine"}, "strength": strength}],
    }
    prescription = prescribed(**referenced(medication), dosageInstruction=[{"text": "10 mL daily"}])
    assert prescription.segments[0].low_mg == 40


SELEGILINE_PATCH = {"text": "selegiline transdermal patch"}


@pytest.mark.parametrize(
    ("numerator", "denominator", "mg"),
    [
        ({"value": 50, "code": "mg"}, {"value": 1, "unit": "Tablet", "code": "732936001"}, 50),
        ({"value": 50, "code": "mg"}, {"value": 1, "code": "1"}, 50),
        ({"value": 50, "code": "mg"}, None, 50),
        ({"value": 100, "code": "mg"}, {"value": 2, "code": "TAB"}, 50),
        ({"value": 50, "code": "mg"}, {"value": 1, "unit": "film coated tablet"}, 50),
        ({"value": 50, "code": "mg"}, {"value": 1, "code": "g"}, None),
        ({"value": 50, "code": "mg"}, {"value": 1, "code": "kg"}, None),
        ({"value": 50, "code": "mg"}, {"value": 1, "unit": "wobble"}, None),
        ({"value": 50, "code": "mg", "comparator": "<"}, {"value": 1, "code": "TAB"}, None),
    ],
)
def test_the_strength_of_an_ingredient_is_of_what_it_is_stated_for(
    numerator: dict[str, Any], denominator: dict[str, Any] | None, mg: float | None
) -> None:
    strength = {"numerator": numerator} | ({"denominator": denominator} if denominator else {})
    ingredient = {"itemCodeableConcept": {"text": "Sertraline"}, "strength": strength}
    dosage = [{"text": "1 tablet daily"}]
    prescription = prescribed(**referenced({"ingredient": [ingredient]}), dosageInstruction=dosage)
    assert prescription.segments[0].low_mg == mg


@pytest.mark.parametrize(
    ("mg", "denominator"),
    [
        (0.25, {"value": 1, "unit": "hour"}),
        (0.25, {"value": 1, "unit": "hours"}),
        (6, {"value": 24, "code": "h"}),
        (6, {"value": 1, "code": "d"}),
    ],
)
def test_a_patch_releases_its_strength_in_a_time(mg: float, denominator: dict[str, Any]) -> None:
    strength = {"numerator": {"value": mg, "code": "mg"}, "denominator": denominator}
    ingredient = {"itemCodeableConcept": {"text": "selegiline"}, "strength": strength}
    medication = {"code": SELEGILINE_PATCH, "ingredient": [ingredient]}
    prescription = prescribed(**referenced(medication), dosageInstruction=[{"text": "1 patch daily"}])
    assert prescription.segments[0].low_mg == 6


def test_the_display_of_a_reference_names_the_drug_when_the_medication_is_not_at_hand() -> None:
    pointer = {"reference": "Medication/9", "display": "Sertraline 50 mg"}
    prescription = prescribed(medicationCodeableConcept=..., medicationReference=pointer)
    assert prescription.drug is not None
    other = {"reference": "Medication/9", "display": "Lisinopril 10 mg"}
    assert read(medicationCodeableConcept=..., medicationReference=other) == MedicationReading()


# --- the use ------------------------------------------------------------------------------------------

DEPRESSION = {"coding": [{"system": ICD, "code": "F33.1"}]}
ANXIETY = {"coding": [{"system": ICD, "code": "F41.1"}]}
UNREADABLE = {"coding": [{"system": "http://example.org", "code": "17"}]}
MET, NOT_MET, UNKNOWN = Answer.MET, Answer.NOT_MET, Answer.UNKNOWN


@pytest.mark.parametrize(
    ("drug", "reasons", "expected"),
    [
        ("sertraline 50 mg", [], MET),
        ("sertraline 50 mg", [DEPRESSION], MET),
        ("sertraline 50 mg", [ANXIETY], NOT_MET),
        ("sertraline 50 mg", [ANXIETY, DEPRESSION], MET),
        ("sertraline 50 mg", [{"text": "anxiety and depression"}], MET),
        ("sertraline 50 mg", [{"text": "PMDD"}], NOT_MET),
        ("sertraline 50 mg", [UNREADABLE], MET),
        ("trazodone 150 mg", [UNREADABLE], UNKNOWN),
        ("trazodone 150 mg", [], MET),
        ("trazodone 150 mg", [{"text": "insomnia"}], NOT_MET),
        ("amitriptyline 75 mg", [{"coding": [{"system": ICD, "code": "M79.7"}]}], NOT_MET),
        ("amitriptyline 75 mg", [{"text": "neuropathic pain"}], NOT_MET),
        ("milnacipran 50 mg", [], UNKNOWN),
        ("milnacipran 50 mg", [DEPRESSION], MET),
        ("Zyban 150 mg", [], NOT_MET),
        ("Zyban 150 mg", [DEPRESSION], MET),
        ("Sarafem 20 mg", [], UNKNOWN),
        ("Silenor 6 mg", [DEPRESSION], NOT_MET),
        ("doxepin 5 % cream", [], NOT_MET),
        ("selegiline 5 mg capsule", [DEPRESSION], NOT_MET),
        ("selegiline", [], UNKNOWN),
        ("Emsam 6 mg/24 hr patch", [], MET),
        ("viloxazine 200 mg", [], NOT_MET),
        ("Spravato 56 mg", [DEPRESSION], NOT_MET),
        ("tryptophan 500 mg", [DEPRESSION], NOT_MET),
    ],
)
def test_use(drug: str, reasons: list[dict[str, Any]], expected: Answer) -> None:
    prescription = prescribed(medicationCodeableConcept={"text": drug}, reasonCode=reasons)
    assert prescription.treats_depression.answer is expected, prescription.treats_depression.text


def test_a_reason_by_reference() -> None:
    condition = {"resourceType": "Condition", "id": "c", "code": {"text": "Chronic low back pain"}}
    reason = [{"reference": "Condition/c"}]
    drug = {"text": "duloxetine 60 mg"}
    found = prescribed(medicationCodeableConcept=drug, reasonReference=reason, contained=[condition])
    assert found.treats_depression.answer is NOT_MET
    trazodone = {"text": "trazodone 150 mg"}
    not_found = prescribed(medicationCodeableConcept=trazodone, reasonReference=reason)
    assert not_found.treats_depression.answer is UNKNOWN


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        ({"text": "1 tablet at bedtime for sleep"}, NOT_MET),
        ({"text": "1 tablet daily for depression"}, MET),
        ({"text": "1 tablet daily. May cause headache."}, MET),
        ({"text": "1 tablet daily", "asNeededBoolean": True}, NOT_MET),
        ({"text": "1 tablet prn"}, NOT_MET),
        ({"text": "1 tablet prn", "asNeededBoolean": False}, UNKNOWN),
        ({"text": "1 tablet daily", "asNeededBoolean": "no"}, UNKNOWN),
    ],
)
def test_use_told_by_the_dosage(dosage: dict[str, Any], expected: Answer) -> None:
    assert prescribed(dosageInstruction=[dosage]).treats_depression.answer is expected


def with_text(text: str, *dosages: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"text": text} | dosage for dosage in dosages]


def pieces(number: float, **repeat: Any) -> dict[str, Any]:
    timing = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"} | repeat}
    return {"timing": timing, "doseAndRate": [{"doseQuantity": {"value": number, "unit": "tablet"}}]}


@pytest.mark.parametrize(
    ("dosages", "expected"),
    [
        # at two times of day, and one after the other
        (
            with_text(
                "Take 1 tablet in the morning and 2 tablets at bedtime",
                pieces(1, when=["MORN"]),
                pieces(2, when=["HS"]),
            ),
            ["01-01..06-30 150"],
        ),
        (
            with_text(
                "Take 1 tablet daily for 7 days, then 2 tablets daily",
                {"sequence": 1} | pieces(1),
                {"sequence": 2} | pieces(2),
            ),
            ["01-01..01-07 50", "01-08..06-30 100"],
        ),
        # the text says another dose
        (
            with_text(
                "Take 1 tablet in the morning and 3 tablets at bedtime",
                pieces(1, when=["MORN"]),
                pieces(2, when=["HS"]),
            ),
            ["01-01..06-30 None"],
        ),
    ],
)
def test_a_text_that_every_dosage_repeats_is_that_of_the_order(
    dosages: list[dict[str, Any]], expected: list[str]
) -> None:
    segments = prescribed(dosageInstruction=dosages).segments
    assert [
        f"{s.first_day:%m-%d}..{s.last_day:%m-%d} {s.low_mg and round(s.low_mg)}" for s in segments
    ] == expected


def test_a_titration_pack_by_its_code() -> None:
    pack = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1653469"}]}
    prescription = prescribed(
        medicationCodeableConcept=pack, dosageInstruction=[{"text": "Take 1 tablet daily"}]
    )
    assert [(s.first_day, s.last_day, s.low_mg) for s in prescription.segments] == [
        (date(2026, 1, 1), date(2026, 1, 7), 10),
        (date(2026, 1, 8), date(2026, 1, 30), 20),
    ]
    assert prescription.days_text.endswith("to 2026-01-30 by the dosage (the length of the step)")


def test_an_as_needed_dose_beside_a_regular_one_widens_the_range() -> None:
    prescription = prescribed(dosageInstruction=[{"text": "1 tablet daily"}, {"text": "1 tablet daily prn"}])
    segment = prescription.segments[0]
    assert (segment.low_mg, segment.high_mg) == (50, 100)
    assert prescription.treats_depression.answer is MET


def test_a_modifier_extension_leaves_the_use_open() -> None:
    prescription = prescribed(modifierExtension=[{"url": "http://example.org/never-taken"}])
    assert prescription.treats_depression.answer is UNKNOWN


# --- why it stopped -----------------------------------------------------------------------------------

SNOMED = "http://snomed.info/sct"
STATUS_REASON = "http://terminology.hl7.org/CodeSystem/medicationrequest-status-reason"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (None, StopReason.NONE_GIVEN),
        ({"coding": [{"system": STATUS_REASON, "code": "sintol"}]}, StopReason.INTOLERANCE),
        ({"coding": [{"system": STATUS_REASON, "code": "salg"}]}, StopReason.INTOLERANCE),
        ({"coding": [{"system": STATUS_REASON, "code": "surg"}]}, StopReason.OTHER),
        ({"text": "Lack of efficacy"}, StopReason.INEFFICACY),
        ({"text": "No benefit after 15 weeks"}, StopReason.INEFFICACY),
        ({"text": "did not work"}, StopReason.INEFFICACY),
        ({"text": "Treatment failure"}, StopReason.INEFFICACY),
        ({"text": "Vomiting"}, StopReason.INTOLERANCE),
        ({"text": "Adverse reaction"}, StopReason.INTOLERANCE),
        ({"text": "No side effects, but ineffective"}, StopReason.INEFFICACY),
        ({"text": "No side effects"}, StopReason.OTHER),
        ({"text": "not ineffective"}, StopReason.OTHER),
        ({"text": "not due to inefficacy"}, StopReason.OTHER),
        ({"text": "Not stopped because of lack of efficacy"}, StopReason.OTHER),
        ({"text": "possible treatment failure"}, StopReason.OTHER),
        ({"text": "Ineffective?"}, StopReason.OTHER),
        ({"text": "no effect yet"}, StopReason.OTHER),
        ({"text": "ineffective for pain"}, StopReason.OTHER),
        ({"text": "no effect on sleep"}, StopReason.OTHER),
        ({"text": "ineffective for depression and anxiety"}, StopReason.INEFFICACY),
        ({"text": "no response to treatment"}, StopReason.INEFFICACY),
        ({"text": "no response to phone calls"}, StopReason.OTHER),
        ({"text": "no response from patient"}, StopReason.OTHER),
        ({"text": "moved to avoid loss of effect"}, StopReason.OTHER),
        ({"text": "Not taken as prescribed, stopped due to lack of efficacy"}, StopReason.INEFFICACY),
        ({"text": "stopped because of side effects"}, StopReason.INTOLERANCE),
        ({"text": "ineffective and not tolerated"}, StopReason.OTHER),
        ({"text": "patient moved away"}, StopReason.OTHER),
        ({"text": "Partial response only"}, StopReason.PARTIAL_RESPONSE),
        ({"text": "Lack of remission, partial response, still depressed"}, StopReason.PARTIAL_RESPONSE),
        ({"text": "partial response, not tolerated"}, StopReason.OTHER),
        ({"text": "not tolerated, ineffective"}, StopReason.OTHER),
        ({"text": "no response, no nausea"}, StopReason.OTHER),  # the second "no" may belong to either
        ({"text": "side effects: none"}, StopReason.OTHER),
        ({"coding": [{"system": SNOMED, "code": "395007004"}]}, StopReason.INEFFICACY),
        ({"coding": [{"system": SNOMED + "/", "code": " 266721009 "}]}, StopReason.INEFFICACY),
        ({"coding": [{"system": SNOMED, "code": "395009001"}]}, StopReason.INTOLERANCE),
        ({"coding": [{"system": SNOMED, "code": "407563006"}]}, StopReason.INTOLERANCE),
        ({"coding": [{"system": SNOMED, "code": "182864000"}]}, StopReason.INTOLERANCE),
        ({"coding": [{"system": SNOMED, "code": "182872003"}]}, StopReason.OTHER),  # too expensive
        (
            {"coding": [{"system": SNOMED, "code": "395009001"}, {"system": SNOMED, "code": "395007004"}]},
            StopReason.OTHER,
        ),
    ],
)
def test_stop_reasons(reason: dict[str, Any] | None, expected: StopReason) -> None:
    changes = {} if reason is None else {"statusReason": reason}
    assert prescribed(status="stopped", **changes).stop_reason is expected


# --- orders that replace others ------------------------------------------------------------------------


def all_read(*orders: dict[str, Any]) -> list[str]:
    """Each order's days, `?` for those that are not certain; references lead to the orders themselves."""
    resources = [ORDER | order for order in orders]
    entries = [Entry(resource, None, f"entry[{at}]") for at, resource in enumerate(resources)]
    by_name = {f"MedicationRequest/{resource['id']}": resource for resource in resources}
    reading = read_medication_requests(entries, lambda reference, _: by_name.get(reference), ON)
    return [
        ", ".join(
            f"{s.first_day:%m-%d}..{s.last_day:%m-%d}{'' if s.days_certain else '?'}" for s in p.segments
        )
        for p in reading.prescriptions
    ]


def replacing(id_: str) -> dict[str, Any]:
    return {"priorPrescription": {"reference": f"MedicationRequest/{id_}"}}


FEBRUARY, MARCH = "2026-02-01", "2026-03-01"


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([{"id": "1"}, {"id": "2", "authoredOn": MARCH} | replacing("1")], ["01-01..02-28", "03-01..06-30"]),
        ([{"id": "2", "authoredOn": MARCH} | replacing("1"), {"id": "1"}], ["03-01..06-30", "01-01..02-28"]),
        (
            [
                {"id": "1"},
                {"id": "2", "authoredOn": FEBRUARY} | replacing("1"),
                {"id": "3", "authoredOn": MARCH} | replacing("2"),
            ],
            ["01-01..01-31", "02-01..02-28", "03-01..06-30"],
        ),
        # it ended earlier by itself, or the new one does not begin later
        (
            [
                {"id": "1", "dispenseRequest": {"quantity": {"value": 20}}},
                {"id": "2", "authoredOn": MARCH} | replacing("1"),
            ],
            ["01-01..01-10", "03-01..06-30"],
        ),
        # it begins on the same day, so the old one is set aside; or a day earlier
        ([{"id": "1"}, {"id": "2"} | replacing("1")], ["01-01..06-30"]),
        ([{"id": "1"}, {"id": "2", "authoredOn": "2025-12-31"} | replacing("1")], ["01-01..06-30", "12-31..06-30"]),
        # a start that is known to the month only
        ([{"id": "1"}, {"id": "2", "authoredOn": "2026-03"} | replacing("1")],
         ["01-01..02-28, 03-01..03-30?", "03-01..03-30?, 03-31..06-30"]),
        # to nowhere, to itself, round in a circle, by an order that does not count
        ([{"id": "1"}, {"id": "2", "authoredOn": MARCH} | replacing("9")], ["01-01..06-30", "03-01..06-30"]),
        ([{"id": "1"} | replacing("1")], ["01-01..06-30"]),
        (
            [{"id": "1"} | replacing("2"), {"id": "2", "authoredOn": MARCH} | replacing("1")],
            ["01-01..06-30", "03-01..06-30"],
        ),
        ([{"id": "1"}, {"id": "2", "authoredOn": MARCH, "status": "draft"} | replacing("1")], ["01-01..06-30"]),
    ],
)  # fmt: skip
def test_an_order_ends_when_the_one_that_replaces_it_begins(
    orders: list[dict[str, Any]], expected: list[str]
) -> None:
    assert all_read(*orders) == expected


@pytest.mark.parametrize("prior", [7, "MedicationRequest/1", [], {"reference": 7}, {"reference": ["1"]}, {}])
def test_a_prior_prescription_that_cannot_be_read_changes_nothing(prior: object) -> None:
    later = {"id": "2", "authoredOn": MARCH, "priorPrescription": prior}
    assert all_read({"id": "1"}, later) == ["01-01..06-30", "03-01..06-30"]


def test_the_replaced_order_says_so() -> None:
    find_first = {"MedicationRequest/rx1": ORDER}
    newer = ORDER | {"id": "rx2", "authoredOn": MARCH} | replacing("rx1")
    entries = [Entry(ORDER, None, "a"), Entry(newer, None, "b")]
    first, _ = read_medication_requests(entries, lambda name, _: find_first.get(name), ON).prescriptions
    assert first.days_text.endswith("; replaced from 2026-03-01 by MedicationRequest/rx2 (priorPrescription)")


# --- orders repeated for one episode, and orders without an end ----------------------------------------


def test_an_order_repeated_every_month_is_one_exposure_that_counts_once() -> None:
    months = [f"{2024 + month // 12}-{month % 12 + 1:02}-03" for month in range(20)]
    orders = [
        ORDER | {"id": f"rx{at}", "authoredOn": day, "status": "active" if at == 19 else "completed"}
        for at, day in enumerate(months)
    ]
    supplied = {"dispenseRequest": {"expectedSupplyDuration": {"value": 35, "unit": "days"}}}
    entries = [Entry(order | supplied, None, f"entry[{at}]") for at, order in enumerate(orders)]
    prescriptions = read_medication_requests(entries, find, ON).prescriptions
    assert len(prescriptions) == 20
    (exposure,) = build_exposures(prescriptions, max_gap_days=14)
    (segment,) = exposure.segments
    assert (segment.low_mg, segment.high_mg, segment.days_certain) == (100, 100, True)
    assert (segment.first_day, segment.last_day) == (date(2024, 1, 3), date(2025, 9, 6))


def test_an_active_order_of_1990_goes_on_to_today() -> None:
    (exposure,) = build_exposures([prescribed(authoredOn="1990-05-17")], max_gap_days=14)
    assert (exposure.first_day, exposure.last_day) == (date(1990, 5, 17), ON)


# --- malformed data -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path", "is_dose_known", "are_days_certain"),
    [
        (
            {
                "dosageInstruction": [
                    {"text": "2 tablets daily", "doseAndRate": [{"doseQuantity": {"value": "2"}}]}
                ]
            },
            "$.dosageInstruction[0].doseAndRate[0].doseQuantity.value",
            False,
            True,
        ),
        ({"dosageInstruction": "2 daily"}, "$.dosageInstruction", False, False),
        ({"dosageInstruction": [None]}, "$.dosageInstruction[0]", False, False),
        ({"authoredOn": 20260101}, "$.authoredOn", True, False),
        ({"authoredOn": "2026-13-45"}, "$.authoredOn", True, False),
        ({"dispenseRequest": {"expectedSupplyDuration": "30 days"}}, "$.dispenseRequest", True, False),
    ],
)
def test_malformed_elements_are_named_and_open_their_own_question(
    changes: dict[str, Any], path: str, is_dose_known: bool, are_days_certain: bool
) -> None:
    reading = read(**changes)
    (unread,) = reading.unread
    segment = reading.prescriptions[0].segments[0]
    assert path in unread.problem
    assert unread.topics == (Topic.DRUG,)
    assert (segment.low_mg is not None, segment.days_certain) == (is_dose_known, are_days_certain)


@pytest.mark.parametrize("resource", [None, [], "MedicationRequest", 7])
def test_what_is_no_object_is_unread(resource: Any) -> None:
    reading = read_medication_requests([Entry(resource, None, "line 3")], find, ON)
    assert reading.unread[0].reference == "line 3"
    assert reading.unread[0].topics == (Topic.DRUG,)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=3),
    st.sampled_from([float("nan"), float("inf"), -1, 0, 1e308, "MORN", "h", "mg"]),
    st.sampled_from(["2024-13-45", "9999-12-31", "0001-01-01", "1-0-1", "\ud800", "#rx1", "Medication/m"]),
    st.just([]),
    st.just({}),
)
FULL = ORDER | {
    "meta": {"lastUpdated": "2026-02-01T00:00:00Z"},
    "status": "stopped",
    "priorPrescription": {"reference": "MedicationRequest/rx0"},
    "statusReason": {"text": "side effects"},
    "reasonCode": [DEPRESSION],
    "dosageInstruction": [
        {
            "sequence": 1,
            "text": "Take 2 tablets daily",
            "timing": {
                "repeat": {
                    "frequency": 1, "period": 1, "periodUnit": "d", "when": ["MORN"],
                    "boundsPeriod": {"start": "2026-01-01", "end": "2026-03-01"},
                    "count": 60, "countMax": 70, "frequencyMax": 2, "periodMax": 2, "offset": 30,
                    "duration": 1, "durationMax": 2, "durationUnit": "h",
                    "dayOfWeek": ["mon"], "timeOfDay": ["08:00:00"],
                },
                "event": ["2026-01-01", "2026-01-02"],
                "code": {"coding": [{"code": "QD"}]},
            },
            "asNeededBoolean": False,
            "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "tablet"}}],
            "maxDosePerPeriod": {
                "numerator": {"value": 200, "unit": "mg"}, "denominator": {"value": 1, "unit": "d"},
            },
        },
        {
            "sequence": 2,
            "timing": {"repeat": {"boundsDuration": {"value": 2, "code": "wk"}, "when": ["AC"], "frequency": 1}},
            "doseAndRate": [
                {"type": {"text": "ordered"}, "rateRatio": {
                    "numerator": {"value": 100, "unit": "mg"}, "denominator": {"value": 1, "unit": "d"}}},
            ],
        },
        {
            "timing": {
                "repeat": {"boundsRange": {"low": {"value": 2, "code": "wk"}, "high": {"value": 3, "code": "wk"}}},
                "event": ["2026-01-01"],
            },
            "doseAndRate": [
                {"doseRange": {"low": {"value": 1, "unit": "tablet"}, "high": {"value": 2, "unit": "tablet"}}},
                {"rateRange": {"low": {"value": 1, "unit": "mg/h"}, "high": {"value": 2, "unit": "mg/h"}}},
                {"rateQuantity": {"value": 1, "unit": "mg/h"}},
            ],
        },
    ],
    "dispenseRequest": {
        "numberOfRepeatsAllowed": 1, "quantity": {"value": 30}, "expectedSupplyDuration": {"value": 30, "code": "d"},
        "initialFill": {"quantity": {"value": 14}, "duration": {"value": 14, "code": "d"}},
        "dispenseInterval": {"value": 30, "code": "d"},
        "validityPeriod": {"start": "2026-01-01", "end": "2026-12-31"},
    },
}  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [place for key, child in members for place in places(child, (*path, key))]


def _change(node: Any, place: tuple[Any, ...], change: Callable[[Any, Any], object]) -> None:
    """Changes the member at a place, if there still is one."""
    for step in place[:-1]:
        node = node[step] if _has(node, step) else None
    if _has(node, place[-1]):
        change(node, place[-1])


def _has(node: Any, step: Any) -> bool:
    if isinstance(node, list):
        return isinstance(step, int) and step < len(node)
    return isinstance(node, dict) and step in node


@settings(max_examples=600, deadline=None)
@given(
    absent=st.lists(st.sampled_from(places(FULL)), max_size=12),
    place=st.sampled_from(places(FULL)),
    junk=JUNK,
)
def test_no_junk_anywhere_crashes_or_makes_the_order_vanish(
    absent: list[tuple[Any, ...]], place: tuple[Any, ...], junk: Any
) -> None:
    order = copy.deepcopy(FULL)
    _change(order, place, lambda node, name: node.__setitem__(name, junk))
    for other in absent:
        if other[0] not in ("medicationCodeableConcept", "resourceType"):
            _change(order, other, lambda node, name: node.pop(name) if isinstance(node, dict) else None)
    reading = read_medication_requests([Entry(order, None, "here")], find, ON)
    names_another_drug = place[0] == "medicationCodeableConcept"
    assert names_another_drug or reading.prescriptions or reading.unread or reading.set_aside
    for segment in (s for p in reading.prescriptions for s in p.segments):
        assert segment.first_day <= segment.last_day <= ON
        assert (segment.low_mg is None) == (segment.high_mg is None)


def test_orders_do_not_influence_each_other() -> None:
    one, other = ORDER, json.loads(json.dumps(ORDER | {"id": "rx2", "authoredOn": "bad"}))
    both = read_medication_requests([Entry(one, None, "a"), Entry(other, None, "b")], find, ON)
    assert [p.reference for p in both.prescriptions] == ["MedicationRequest/rx1", "MedicationRequest/rx2"]
    assert both.prescriptions[0] == prescribed()


# --- what the drug leaves open, and shows -------------------------------------------------------------


def test_why_the_strength_is_not_known_is_shown_with_the_dose() -> None:
    prescription = prescribed(
        medicationCodeableConcept={
            "text": "sertraline 100 mg tablet",
            "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "312941"}],
        }
    )
    assert prescription.dose_text == "dose unknown: codes tell different strengths: 50 mg and 100 mg"


def test_inactive_ingredients_are_no_second_drug() -> None:
    ingredients = [
        {"itemCodeableConcept": {"text": "sertraline hydrochloride"}},
        {"itemCodeableConcept": {"text": "lactose"}, "isActive": False},
    ]
    medication = {"resourceType": "Medication", "id": "m", "ingredient": ingredients}
    order = {"medicationCodeableConcept": ..., "medicationReference": {"reference": "#m"}}
    prescription = prescribed(**order, contained=[medication])
    assert prescription.drug
    assert prescription.drug.ingredient == "sertraline"


@pytest.mark.parametrize(
    ("second", "is_known"), [("lithium carbonate", False), ("lisinopril", False), ("sertraline", True)]
)
def test_two_active_ingredients_are_a_combination_that_exists_or_unknown(second: str, is_known: bool) -> None:
    ingredients = [{"itemCodeableConcept": {"text": name}} for name in ("sertraline", second)]
    medication = {"resourceType": "Medication", "id": "m", "ingredient": ingredients}
    order = {"medicationCodeableConcept": ..., "medicationReference": {"reference": "#m"}}
    assert (prescribed(**order, contained=[medication]).drug is not None) is is_known


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ({"reasonCode": [{"text": "Chronic insomnia"}]}, ": Chronic insomnia"),
        (
            {"reasonCode": [{"coding": [{"system": ICD, "code": "G47.00", "display": "Insomnia"}]}]},
            ": Insomnia",
        ),
        ({"reasonCode": [{"coding": [{"system": ICD, "code": "G47.00"}]}]}, ": G47.00"),
        ({"dosageInstruction": [{"text": "1 tablet at night for sleep"}]}, ""),
    ],
)
def test_what_else_it_was_ordered_for_is_shown(reason: dict[str, Any], shown: str) -> None:
    text = prescribed(**reason).treats_depression.text
    assert text == f"ordered for something else than depression{shown}"


def test_an_order_that_another_replaces_on_its_first_day_is_set_aside() -> None:
    newer = ORDER | {"id": "2"} | replacing("1")
    entries = [Entry(resource, None, "") for resource in (ORDER | {"id": "1"}, newer)]
    reading = read_medication_requests(entries, lambda *_: entries[0].resource, ON)
    assert [told.reference for told in reading.prescriptions] == ["MedicationRequest/2"]
    (aside,) = reading.set_aside
    assert aside.reference == "MedicationRequest/1"
    assert aside.problem.endswith("replaced from 2026-01-01 by MedicationRequest/2 (priorPrescription)")


# --- days that texts leave open ------------------------------------------------------------------------


def with_dosage(**elements: Any) -> list[str]:
    prescription = prescribed(dosageInstruction=[elements])
    return [
        f"{s.first_day:%m-%d}..{s.last_day:%m-%d}{'' if s.days_certain else '?'}"
        for s in prescription.segments
    ]


ONCE_DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
FOURTEEN_DAYS = {"repeat": ONCE_DAILY["repeat"] | {"boundsDuration": {"value": 14, "code": "d"}}}
DURATION = {"duration": 14, "durationUnit": "d"}
LETTING_OPEN = ["01-01..06-30?"]


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        ({"text": "1 tablet daily until 2026-02-15"}, LETTING_OPEN),
        ({"text": "1 tablet daily, stop on 2026-02-15"}, LETTING_OPEN),
        ({"text": "1 tablet daily starting 2026-02-15"}, LETTING_OPEN),
        ({"text": "1 tablet daily for 30 days. refill 2"}, LETTING_OPEN),
        ({"text": "1 tablet daily for 7-10 days"}, LETTING_OPEN),
        (
            {"text": "1 tablet daily", "additionalInstruction": [{"text": "for 2 weeks then stop"}]},
            LETTING_OPEN,
        ),
        ({"text": "1 tablet daily", "patientInstruction": "for 14 days"}, LETTING_OPEN),
        ({"text": "1 tablet daily for 30 days", "timing": FOURTEEN_DAYS}, LETTING_OPEN),
        ({"text": "1 tablet daily for 14 days", "timing": FOURTEEN_DAYS}, ["01-01..01-14"]),
        ({"text": "1 tablet daily until 2026-01-14", "timing": FOURTEEN_DAYS}, ["01-01..01-14"]),
        ({"text": "1 tablet daily for 30 days", "patientInstruction": "for 30 days"}, ["01-01..01-30"]),
        (
            {"text": "1 tablet daily", "timing": {"repeat": ONCE_DAILY["repeat"] | DURATION}},
            LETTING_OPEN,
        ),
        ({"text": "1 tablet daily. 2 refills"}, ["01-01..06-30"]),
        ({"text": "1 tablet daily", "additionalInstruction": [{"text": "with food"}]}, ["01-01..06-30"]),
    ],
)
def test_a_text_that_leaves_the_end_open_leaves_the_days_uncertain(
    dosage: dict[str, Any], expected: list[str]
) -> None:
    assert with_dosage(**dosage) == expected


@pytest.mark.parametrize(
    "element",
    [{"additionalInstruction": [{"text": "patient not taking"}]}, {"text": "hold"}, {"text": "not taken"}],
)
def test_a_text_that_says_it_is_not_taken_leaves_no_dose(element: dict[str, Any]) -> None:
    structure = {"timing": ONCE_DAILY, "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]}
    prescription = prescribed(dosageInstruction=[structure | element])
    assert prescription.segments[0].low_mg is None
    assert "not taken as the structure says" in prescription.dose_text


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"value": 1}, LETTING_OPEN),
        ({"value": 3}, LETTING_OPEN),
        ({"value": 30}, ["01-01..01-30"]),
        ({"value": 3, "unit": "tablet"}, ["01-01..01-03"]),
    ],
)
def test_a_small_number_without_a_unit_is_no_supply_of_tablets(
    quantity: dict[str, Any], expected: list[str]
) -> None:
    prescription = prescribed(
        dosageInstruction=[{"text": "1 tablet daily"}], dispenseRequest={"quantity": quantity}
    )
    assert [
        f"{s.first_day:%m-%d}..{s.last_day:%m-%d}{'' if s.days_certain else '?'}"
        for s in prescription.segments
    ] == expected


def test_steps_whose_change_is_on_an_unknown_day_are_never_taken_together() -> None:
    length = {"boundsRange": {"low": {"value": 4, "code": "wk"}, "high": {"value": 12, "code": "wk"}}}
    steps = [
        {"sequence": 1, "text": "0.5 tablet daily", "timing": {"repeat": length}},
        {"sequence": 2, "text": "1 tablet daily"},
    ]
    doses = {(s.low_mg, s.high_mg) for s in prescribed(dosageInstruction=steps).segments}
    assert doses == {(25, 25), (25, 50), (50, 50)}


def test_a_range_of_lengths_without_its_longer_end_stays_open() -> None:
    timing = {"repeat": {"boundsRange": {"low": {"value": 14, "code": "d"}}}}
    assert with_dosage(text="1 tablet daily", timing=timing) == ["01-01..01-14", "01-15..06-30?"]


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({"code": {"text": "xyz"}}, "dose unknown: the code of the timing does not tell how often"),
        ({}, "dose not recorded: how often it is taken"),
    ],
)
def test_a_timing_that_cannot_be_read_is_not_one_that_says_nothing(
    timing: dict[str, Any], expected: str
) -> None:
    dose = [{"doseQuantity": {"value": 1, "unit": "tablet"}}]
    assert prescribed(dosageInstruction=[{"timing": timing, "doseAndRate": dose}]).dose_text == expected


def test_a_third_of_a_tablet_is_written_with_two_digits() -> None:
    structure = {"timing": ONCE_DAILY, "doseAndRate": [{"doseQuantity": {"value": 0.33, "unit": "tablet"}}]}
    told = prescribed(dosageInstruction=[structure | {"text": "1/3 tablet daily"}])
    assert told.segments[0].low_mg == 16.5
