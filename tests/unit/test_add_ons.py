"""Augmenting agents: read as antidepressants are, and kept apart from all that decides about those."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.drugs import NotAntidepressant, Recognised, recognise
from cds_service.fhir_reading.elements import CodeableConcept, Coding
from cds_service.tables.add_ons import load_augmenting_agents
from cds_service.tables.drugs import load_antidepressants
from cds_service.trd.answers import Answer
from cds_service.trd.record import (
    History,
    Prescription,
    Source,
    StopReason,
    Topic,
)

ON = date(2026, 6, 30)
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


def order(text: str = "lithium carbonate 300 mg capsule", **changes: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "MedicationRequest",
        "id": "rx1",
        "status": "completed",
        "intent": "order",
        "subject": {"reference": "Patient/p"},
        "authoredOn": "2026-01-01",
        "medicationCodeableConcept": {"text": text},
        "dosageInstruction": [
            {"text": "1 capsule three times daily", "timing": {"repeat": {"boundsPeriod": PERIOD}}}
        ],
    }
    return {key: value for key, value in (resource | changes).items() if value is not ...}


PERIOD = {"start": "2026-01-01", "end": "2026-02-28"}


def told(*resources: dict[str, Any], **given: bool) -> History:
    entries = tuple(Entry(each, None, "x") for each in ({"resourceType": "Patient", "id": "p"}, *resources))
    return read_history(Collected("p", entries), ON, **given)


def only(*resources: dict[str, Any], **given: bool) -> Prescription:
    history = told(*resources, **given)
    assert history.prescriptions == ()
    (add_on,) = history.add_ons
    return add_on


# --- which agent --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "coding", "agent", "mg"),
    [
        ("Lithium carbonate 300 mg capsule", None, "lithium", 300),
        (None, (RXNORM, "197889"), "lithium", 300),
        (None, (RXNORM, "6448"), "lithium", None),
        (None, (ATC, "N05AN01"), "lithium", None),
        ("Lithobid 300 mg", None, "lithium", 300),
        ("Quetiapin 50 mg Filmtablette", None, "quetiapine", 50),
        (None, (RXNORM, "51272"), "quetiapine", None),
        ("liothyronine 25 mcg tablet", None, "liothyronine", 0.025),
        (None, (RXNORM, "314062"), "liothyronine", 0.005),
        (None, (ATC, "H03AA02"), "liothyronine", None),
        ("aripiprazole 1 mg/mL oral solution", None, "aripiprazole", 1),
        ("Abilify 5 mg", None, "aripiprazole", 5),
        ("Lamictal 100", None, "lamotrigine", 100),
        ("buspirone 15 mg tablet", None, "buspirone", 15),
        (None, (RXNORM, "2570392"), "olanzapine / samidorphan", 5),
        ("ketamine", None, "ketamine", None),
    ],
)
def test_code_name_and_brand_tell_the_agent(
    text: str | None, coding: tuple[str, str] | None, agent: str, mg: float | None
) -> None:
    codings = (Coding(system=coding[0], code=coding[1]),) if coding else ()
    reading = recognise(CodeableConcept(coding=codings, text=text))
    assert isinstance(reading, NotAntidepressant) and isinstance(reading.add_on, Recognised)
    assert reading.add_on.antidepressant.drug.agent == agent
    assert (reading.add_on.strength.mg if reading.add_on.strength else None) == mg


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("lithium", (RXNORM, "51272", "quetiapine")),
        ("lithium and quetiapine", None),
        ("quetiapine 100 mg + lisinopril 5 mg", None),
        (None, (RXNORM, "6448", "quetiapine")),
        (None, (ATC, "N05AN01", "Quetiapine")),
    ],
)
def test_codes_and_names_that_disagree_tell_no_agent(
    text: str | None, coding: tuple[str, str, str] | None
) -> None:
    concept: dict[str, Any] = {"text": text} if text else {}
    if coding:
        concept["coding"] = [dict(zip(("system", "code", "display"), coding, strict=True))]
    history = told(order(medicationCodeableConcept=concept))
    assert (history.prescriptions, history.add_ons) == ((), ())
    (unread,) = history.unread
    assert unread.reference == "MedicationRequest/rx1" and unread.topics == (Topic.ADD_ON,)


@pytest.mark.parametrize("name", ["levothyroxine 50 mcg", "lisinopril 10 mg", "perphenazine and benztropine"])
def test_other_drugs_are_still_of_no_interest(name: str) -> None:
    history = told(order(name))
    assert (history.prescriptions, history.add_ons, history.unread, history.set_aside) == ((), (), (), ())


@pytest.mark.parametrize("name", ["bupropion", "mirtazapine", "trazodone", "esketamine", "sertraline"])
def test_antidepressants_that_are_combined_stay_antidepressants(name: str) -> None:
    history = told(order(f"{name} 150 mg tablet"))
    assert history.add_ons == () and [each.agent for each in history.prescriptions] == [name]


def test_an_agent_combined_with_an_antidepressant_stays_an_antidepressant() -> None:
    history = told(order("olanzapine 6 mg / fluoxetine 25 mg capsule"))
    assert history.add_ons == () and [each.agent for each in history.prescriptions] == ["fluoxetine"]


def test_an_antidepressant_beside_an_agent_is_unidentified_and_only_in_prescriptions() -> None:
    history = told(order("sertraline 50 mg and lithium 300 mg"))
    assert history.add_ons == () and [each.drug for each in history.prescriptions] == [None]


def test_no_agent_is_an_antidepressant_as_well() -> None:
    assert not load_augmenting_agents().keys() & {row.components for row in load_antidepressants().values()}


def test_the_ingredient_of_a_medication_tells_agent_and_strength() -> None:
    medication = {
        "resourceType": "Medication",
        "id": "m",
        "ingredient": [
            {
                "itemCodeableConcept": {"coding": [{"system": RXNORM, "code": "6448"}]},
                "strength": {"numerator": {"value": 300, "unit": "mg"}, "denominator": {"value": 1}},
            }
        ],
    }
    add_on = only(
        order(
            medicationCodeableConcept=...,
            medicationReference={"reference": "#m"},
            contained=[medication],
        )
    )
    assert (add_on.agent, add_on.segments[0].low_mg) == ("lithium", 900)


# --- dose ---------------------------------------------------------------------------------------------


def test_dose_and_days_are_read_as_those_of_an_antidepressant() -> None:
    add_on = only(order())
    (segment,) = add_on.segments
    assert (segment.first_day, segment.last_day) == (date(2026, 1, 1), date(2026, 2, 28))
    assert (segment.low_mg, segment.high_mg, segment.days_certain) == (900, 900, True)
    assert add_on.dose_text == "1 × 300 mg × 3/day = 900 mg/day"


@pytest.mark.parametrize(
    ("name", "sig", "mg"),
    [
        ("liothyronine 5 mcg tablet", "5 tablets daily", 0.025),
        ("liothyronine", "25 micrograms once daily", 0.025),
        ("risperidone 1 mg/mL oral solution", "0.5 mL twice daily", 1.0),
        ("lithium carbonate", "450 mg twice a day", 900),
        ("lithium citrate 520 mg/5 mL", "10 mL twice daily", None),
        ("lithium citrate", "520 mg twice daily", None),
        ("aripiprazole 400 mg injection", "400 mg every 4 weeks", None),
        ("ketamine", "40 mg once daily", None),
        ("lithium carbonate 300 mg", "90 tablets daily", None),
    ],
)
def test_mg_per_day(name: str, sig: str, mg: float | None) -> None:
    add_on = only(order(name, dosageInstruction=[{"text": sig}]))
    assert [(s.low_mg, s.high_mg) for s in add_on.segments] == [
        (pytest.approx(mg), pytest.approx(mg)) if mg else (None, None)
    ]
    assert mg is not None or "unknown" in add_on.dose_text


def test_an_order_without_dosage_is_assumed_only_where_the_site_says_so() -> None:
    silent = order(dosageInstruction=...)
    assert only(silent).segments[0].low_mg is None
    assert only(silent, assume_one_unit_daily=True).segments[0].low_mg == 300


# --- what it is for -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason", "answer"),
    [
        ("lithium carbonate 300 mg", ..., Answer.MET),
        ("lithium carbonate 300 mg", [{"text": "Depression"}], Answer.MET),
        ("lithium carbonate 300 mg", [{"text": "Bipolar I disorder"}], Answer.NOT_MET),
        ("lithium carbonate 300 mg", [{"coding": [{"system": ICD, "code": "F31.9"}]}], Answer.NOT_MET),
        ("lithium carbonate 300 mg", [{"coding": [{"system": ICD, "code": "F33.1"}]}], Answer.MET),
        ("lithium carbonate 300 mg", [{"text": "bipolar depression"}], Answer.UNKNOWN),
        ("lithium carbonate 300 mg", [{"text": "as discussed"}], Answer.UNKNOWN),
        ("quetiapine 150 mg", [{"text": "schizophrenia"}], Answer.NOT_MET),
        ("quetiapine 150 mg", [{"text": "insomnia"}], Answer.NOT_MET),
        ("lamotrigine 100 mg", [{"text": "epilepsy"}], Answer.NOT_MET),
        ("lithium carbonate 300 mg", [{"text": "epilepsy"}], Answer.UNKNOWN),
        ("liothyronine 25 mcg", [{"text": "Hypothyroidism"}], Answer.NOT_MET),
        ("buspirone 15 mg", [{"text": "generalised anxiety"}], Answer.NOT_MET),
    ],
)
def test_a_stated_reason_decides_the_use(name: str, reason: Any, answer: Answer) -> None:
    use = only(order(name, reasonCode=reason)).treats_depression
    assert use.answer is answer, use.text


def test_the_reason_may_stand_in_the_dosage_or_behind_a_reference() -> None:
    in_dosage = only(order("lamotrigine 100 mg", dosageInstruction=[{"text": "1 tablet daily for seizures"}]))
    assert in_dosage.treats_depression.answer is Answer.NOT_MET
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p"},
        "code": {"text": "Bipolar disorder"},
    }
    behind = only(order(reasonReference=[{"reference": "Condition/c"}]), condition)
    assert behind.treats_depression.answer is Answer.NOT_MET
    assert behind.treats_depression.text == "ordered for something else than depression: bipolar"
    named = only(order(reasonReference=[{"display": "mania"}]))
    assert named.treats_depression.answer is Answer.NOT_MET


def test_as_needed_is_no_augmentation() -> None:
    add_on = only(order("quetiapine 150 mg", dosageInstruction=[{"text": "1 tablet at night as needed"}]))
    assert add_on.treats_depression.text == "taken only as needed"


# --- what becomes of the rest -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"status": "entered-in-error"}, {"intent": "proposal"}, {"doNotPerform": True}]
)
def test_set_aside_as_orders_of_antidepressants_are(change: dict[str, Any]) -> None:
    history = told(order(**change))
    assert history.add_ons == () and [each.reference for each in history.set_aside] == [
        "MedicationRequest/rx1"
    ]


def test_what_cannot_be_read_is_listed_and_changes_no_question_about_antidepressants() -> None:
    history = told(order(status="strange"))
    (unread,) = history.unread
    assert "$.status: expected a status of an order" in unread.problem
    assert unread.topics == (Topic.ADD_ON,)
    assert [each.agent for each in history.add_ons] == ["lithium"]


def test_why_it_was_stopped_is_read() -> None:
    assert (
        only(order(status="stopped", statusReason={"text": "no effect"})).stop_reason is StopReason.INEFFICACY
    )


def test_an_order_replaced_by_another_ends() -> None:
    first = order(id="old", dosageInstruction=[{"text": "300 mg daily"}], status="active")
    second = order(
        id="new",
        authoredOn="2026-03-01",
        dosageInstruction=[{"text": "900 mg daily"}],
        priorPrescription={"reference": "MedicationRequest/old"},
        status="active",
    )
    history = told(first, second)
    assert [(a.reference, a.segments[-1].last_day) for a in history.add_ons] == [
        ("MedicationRequest/old", date(2026, 2, 28)),
        ("MedicationRequest/new", ON),
    ]


# --- other sources ------------------------------------------------------------------------------------


def dispensed(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationDispense",
        "id": "d1",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {"text": "lithium carbonate 300 mg capsule"},
        "whenHandedOver": "2026-01-01",
        "daysSupply": {"value": 30, "unit": "days", "code": "d", "system": "http://unitsofmeasure.org"},
        "quantity": {"value": 90},
    } | changes


def test_a_dispensing_alone_is_a_record_of_its_own() -> None:
    add_on = only(dispensed())
    assert (add_on.source, add_on.segments[0].low_mg) == (Source.DISPENSED, 900)
    assert add_on.segments[-1].last_day == date(2026, 1, 30)


def test_a_dispensing_and_its_order_are_told_once() -> None:
    add_on = only(order(), dispensed())
    assert (add_on.reference, add_on.supported_by) == ("MedicationRequest/rx1", ("MedicationDispense/d1",))
    assert [supply.reference for supply in add_on.supplies] == ["MedicationDispense/d1"]


def test_an_unreadable_dispensing_of_an_agent_says_nothing_of_antidepressants() -> None:
    """Days of sertraline that no dispensing covers stay doubtful: all its own dispensings can be read."""
    sertraline = order("sertraline 50 mg tablet", dosageInstruction=[{"text": "1 tablet daily"}])
    fill = dispensed(
        id="d2", medicationCodeableConcept={"text": "sertraline 50 mg tablet"}, quantity={"value": 30}
    )
    unreadable = dispensed(quantity={"value": -90})
    alone, beside = told(sertraline, fill), told(sertraline, fill, unreadable)
    assert beside.prescriptions == alone.prescriptions
    assert [u.topics for u in beside.unread] == [(Topic.ADD_ON,)]


def test_a_statement_and_an_administration_are_read() -> None:
    shared = {
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": {"text": "aripiprazole 5 mg tablet"},
    }
    statement = {
        "resourceType": "MedicationStatement", "id": "s1", "status": "completed",
        "effectivePeriod": PERIOD, "dosage": [{"text": "1 tablet daily"}], **shared,
    }  # fmt: skip
    add_on = only(statement)
    assert (add_on.source, add_on.segments[0].low_mg) == (Source.STATED, 5)
    given = [
        {
            "resourceType": "MedicationAdministration", "id": f"a{n}", "status": "completed",
            "effectiveDateTime": "2026-01-01", "dosage": {"dose": {"value": 5, "unit": "mg"}}, **shared,
        }
        for n in (1, 2)
    ]  # fmt: skip
    together = only(*given)
    assert (together.source, together.segments[0].low_mg) == (Source.ADMINISTERED, 10)
    assert together.supported_by == ("MedicationAdministration/a2",)


@pytest.mark.parametrize(
    "records",
    [
        [order("DRUG 50 mg tablet"), dispensed(quantity={"value": 60})],
        [dispensed(), dispensed(id="d2", whenHandedOver="2026-02-10")],
        [
            order("DRUG 50 mg tablet", status="active"),
            dispensed(id="d3", status="declined", whenHandedOver=...),
        ],
        [order("DRUG 50 mg tablet", dosageInstruction=...), dispensed(daysSupply=...)],
        [order("DRUG 50 mg tablet", status="stopped", statusReason={"text": "side effects"})],
    ],
)
def test_the_same_records_of_an_agent_and_of_an_antidepressant_are_told_alike(records: list[Any]) -> None:
    def of(drug: str) -> History:
        named = {"medicationCodeableConcept": {"text": f"{drug} 50 mg tablet"}}
        return told(*({k: v for k, v in (each | named).items() if v is not ...} for each in records))

    agent, antidepressant = of("quetiapine"), of("sertraline")
    assert (agent.prescriptions, antidepressant.add_ons) == ((), ())

    def shape(records: tuple[Prescription, ...]) -> list[object]:
        return [(r.references, r.segments, r.source, r.supplies, r.dose_text, r.stop_reason) for r in records]

    assert shape(agent.add_ons) == shape(antidepressant.prescriptions) != []
