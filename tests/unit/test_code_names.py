"""Which codes a terminology service may be asked for, and how what it says joins an order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir_reading.code_names import (
    KnownName,
    codes_without_name,
    medication_with_names,
    with_names,
)
from cds_service.fhir_reading.drugs import NotAntidepressant, Recognised, UnknownDrug, recognise
from cds_service.fhir_reading.elements import Medication, MedicationRequest, read_elements
from fhir_fixtures.builders import RXNORM, SNOMED_CT, concept, medication, medication_request

UNLISTED = (RXNORM, "99990001")
SERVER = "https://tx.example.org/fhir"
UNLISTED_CONCEPT = {"coding": [{"system": RXNORM, "code": "99990001"}]}


@pytest.mark.parametrize(
    "resource",
    [
        medication_request(medication=UNLISTED),
        medication(code=UNLISTED),
        {"resourceType": "MedicationRequest", "medication": {"concept": UNLISTED_CONCEPT}},  # R5
        {"resourceType": "MedicationOrder", "medicationCodeableConcept": UNLISTED_CONCEPT},  # DSTU2
        {"resourceType": "MedicationDispense", "medicationCodeableConcept": UNLISTED_CONCEPT},
        {"resourceType": "MedicationStatement", "medicationCodeableConcept": UNLISTED_CONCEPT},
        {"resourceType": "MedicationAdministration", "medication": {"concept": UNLISTED_CONCEPT}},
        medication(code="x", ingredient=[{"itemCodeableConcept": UNLISTED_CONCEPT}]),
        medication(code="x", ingredient=[{"item": {"concept": UNLISTED_CONCEPT}}]),
        medication_request(medication=None, contained=[medication(code=UNLISTED)]),
        medication_request(medication=("urn:oid:2.16.840.1.113883.6.88", " 99990001 ")),
        medication_request(medication={**UNLISTED_CONCEPT, "text": "a drug of no table"}),
        medication_request(medication=UNLISTED, status=7),
    ],
    ids=lambda resource: resource["resourceType"],
)
def test_an_unlisted_code_is_found_wherever_a_drug_is_named(resource: dict[str, Any]) -> None:
    assert codes_without_name([resource, resource]) == (UNLISTED,)


@pytest.mark.parametrize(
    "resource",
    [
        medication_request(medication={**UNLISTED_CONCEPT, "text": "sertraline 50 mg"}),
        medication_request(medication={**UNLISTED_CONCEPT, "text": "lithium carbonate 300 mg"}),
        medication_request(medication=(RXNORM, "312941")),
        medication_request(medication="a drug of no table"),
        medication_request(medication={"coding": [{"code": "99990001"}, {"system": RXNORM}]}),
        {"resourceType": "Observation", "code": UNLISTED_CONCEPT},
        {"resourceType": "Medication", "code": [UNLISTED_CONCEPT], "contained": {"0": UNLISTED_CONCEPT}},
        {"resourceType": ["Medication"], "code": UNLISTED_CONCEPT},
    ],
)
def test_nothing_else_is_asked_for(resource: dict[str, Any]) -> None:
    assert codes_without_name([resource]) == ()


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([RXNORM, "99990001", "\ud800"])
)
NAMES = st.sampled_from(["coding", "system", "code", "display", "text", "concept", "item", "resourceType"])
VALUES = st.recursive(SCALARS, lambda v: st.lists(v) | st.dictionaries(NAMES, v))


@given(
    st.fixed_dictionaries(
        {"resourceType": st.sampled_from(["Medication", "MedicationRequest"])},
        optional=dict.fromkeys(
            ("medicationCodeableConcept", "medication", "code", "ingredient", "contained"), VALUES
        ),
    )
)
def test_whatever_a_resource_holds_it_can_be_looked_through(resource: dict[str, Any]) -> None:
    assert isinstance(codes_without_name([resource]), tuple)


def read_with(known: KnownName, of: Any) -> Any:
    order, _ = read_elements({"medicationCodeableConcept": concept(of)}, MedicationRequest)
    return recognise(with_names(order.medication_codeable_concept, {UNLISTED: known}))


def test_a_name_tells_drug_and_strength_and_says_whose_it_is() -> None:
    drug = read_with(KnownName(SERVER, "sertraline 50 MG Oral Tablet"), UNLISTED)
    assert isinstance(drug, Recognised)
    assert drug.antidepressant.drug.ingredient == "sertraline"
    assert drug.strength is not None and drug.strength.mg == 50
    assert drug.name == "sertraline 50 MG Oral Tablet (named by tx.example.org)"
    assert drug.named_by == SERVER


def test_the_record_keeps_its_own_name_and_the_mark_stays() -> None:
    drug = read_with(KnownName(SERVER, "sertraline"), {**UNLISTED_CONCEPT, "text": "Serlain 50 mg"})
    assert isinstance(drug, Recognised)
    assert (drug.name, drug.named_by) == ("Serlain 50 mg", SERVER)


def test_a_code_tells_what_the_tables_say_of_it() -> None:
    drug = read_with(KnownName(SERVER, codes=((RXNORM, "312941"),)), UNLISTED)
    assert isinstance(drug, Recognised)
    assert drug.strength is not None and drug.strength.mg == 50
    assert drug.named_by == SERVER


@pytest.mark.parametrize(
    "known",
    [
        KnownName(SERVER, "sertraline 50 MG", codes=((RXNORM, "2556"),)),
        KnownName(SERVER, "sertraline / citalopram"),
        KnownName(SERVER, "sertraline", ("citalopram",)),
    ],
)
def test_answers_that_contradict_themselves_tell_no_drug(known: KnownName) -> None:
    drug = read_with(known, UNLISTED)
    assert isinstance(drug, UnknownDrug)
    assert drug.named_by == SERVER


def test_another_drug_is_marked_only_where_the_record_does_not_tell_so() -> None:
    known = KnownName(SERVER, "metformin 500 MG Oral Tablet")
    told = read_with(known, UNLISTED)
    also_told = read_with(known, {**UNLISTED_CONCEPT, "text": "Glucophage"})
    assert isinstance(told, NotAntidepressant) and isinstance(also_told, NotAntidepressant)
    assert (told.named_by, also_told.named_by) == (SERVER, "")


def test_a_record_cannot_pose_as_the_service() -> None:
    posing = {"coding": [{"display": "sertraline", "origin": SERVER}]}
    order, _ = read_elements({"medicationCodeableConcept": posing}, MedicationRequest)
    drug = recognise(with_names(order.medication_codeable_concept, {}))
    assert isinstance(drug, Recognised)
    assert drug.named_by == ""


def test_names_reach_code_and_ingredients_of_a_medication() -> None:
    resource = medication(code=UNLISTED, ingredient=[{"itemCodeableConcept": UNLISTED_CONCEPT}])
    drug, _ = read_elements(resource, Medication)
    named = medication_with_names(drug, {UNLISTED: KnownName(SERVER, "sertraline")})
    for of in (named.code, named.ingredient[0].item_codeable_concept):
        assert isinstance(recognise(of), Recognised)


def test_other_codes_are_left_alone() -> None:
    order, _ = read_elements(medication_request(medication=(SNOMED_CT, "99990001")), MedicationRequest)
    concept = order.medication_codeable_concept
    assert with_names(concept, {UNLISTED: KnownName(SERVER, "sertraline")}) == concept
