"""Which drug a concept names: codes, displays and texts, alone and together."""

from __future__ import annotations

import pytest

from cds_service.fhir_reading.drugs import (
    ATC,
    DMD,
    NDC,
    RXNORM,
    SNOMED,
    NotAntidepressant,
    Recognised,
    UnknownDrug,
    recognise,
)
from cds_service.fhir_reading.elements import CodeableConcept, Coding
from cds_service.tables.drugs import Form, Per, Strength, TrialUse

OID = "urn:oid:2.16.840.1.113883.6."


def concept(text: str | None = None, *codings: tuple[str, str | None, str | None]) -> CodeableConcept:
    return CodeableConcept(
        coding=tuple(Coding(system=s, code=c, display=d) for s, c, d in codings), text=text
    )


def named(reading: object) -> Recognised:
    assert isinstance(reading, Recognised), reading
    return reading


@pytest.mark.parametrize(
    ("text", "ingredient", "mg"),
    [
        ("sertraline 100 mg tablet", "sertraline", 100),
        ("Sertraline 100MG", "sertraline", 100),
        ("SERTRALINE_50_MG_TAB", "sertraline", 50),
        ("Zoloft as directed", "sertraline", None),
        ("EFFEXOR XR 75 mg cap", "venlafaxine", 75),
        ("buPROPion (WELLBUTRIN XL) 150 MG 24 hr tablet", "bupropion", 150),
        ("Wellbutrin XL 150 mg", "bupropion", 150),
        ("Sertralin 50mg Filmtabletten", "sertraline", 50),
        ("Venlafaxina 37,5 mg", "venlafaxine", 37.5),
        ("dothiepin 75 mg", "dosulepin", 75),
        ("desvenlafaxine 50 mg", "desvenlafaxine", 50),
        ("escitalopram 10 mg", "escitalopram", 10),
        ("olanzapine 6 mg / fluoxetine 25 mg", "olanzapine / fluoxetine", 25),
        ("fluoxetine 25 MG / olanzapine 6 MG Oral Capsule", "olanzapine / fluoxetine", 25),
        ("perphenazine-amitriptyline 2-25", "amitriptyline / perphenazine", None),
        ("dextromethorphan-bupropion ER 45-105 mg", "dextromethorphan / bupropion", None),
        ("sertraline 25 mg and 50 mg starter", "sertraline", None),
    ],
)
def test_names(text: str, ingredient: str, mg: float | None) -> None:
    reading = named(recognise(concept(text)))
    assert reading.antidepressant.drug.ingredient == ingredient
    assert (reading.strength and reading.strength.mg) == mg


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("fluoxetine 20mg/5ml oral solution", Strength(4, Per.ML)),
        ("escitalopram 1 MG/ML Oral Solution", Strength(1, Per.ML)),
        ("selegiline 0.25 MG/HR Transdermal System", Strength(6, Per.UNIT)),
        ("Emsam 6 mg/24 hr patch", Strength(6, Per.UNIT)),
        ("venlafaxine 75 mg/24 hr capsule", Strength(75, Per.UNIT)),
    ],
)
def test_strengths_per_ml_hour_and_day(text: str, strength: Strength) -> None:
    assert named(recognise(concept(text))).strength == strength


@pytest.mark.parametrize(
    ("system", "code", "ingredient", "mg"),
    [
        (RXNORM, "312941", "sertraline", 50),
        (RXNORM, "208149", "sertraline", 100),
        (RXNORM, "615186", "duloxetine", 60),
        (RXNORM, "36437", "sertraline", None),
        (RXNORM, "351285", "escitalopram", 1),
        (RXNORM, "2611260", "dextromethorphan / bupropion", 105),
        (RXNORM, "865146", "nortriptyline", 30),
        (OID + "88", "312941", "sertraline", 50),
        (ATC, "N06AB06", "sertraline", None),
        (OID + "73", "N06AX16", "venlafaxine", None),
        (SNOMED, "40589005", "amitriptyline", None),
        (DMD, "108432009", "venlafaxine", None),
        (OID + "96", "108432009", "venlafaxine", None),
        (NDC, "0002-3235-60", "duloxetine", 20),
        (NDC, "00002323560", "duloxetine", 20),
        (NDC, "0002-3235", "duloxetine", 20),
    ],
)
def test_codes_without_a_name(system: str, code: str, ingredient: str, mg: float | None) -> None:
    reading = named(recognise(concept(None, (system, code, None))))
    assert reading.antidepressant.drug.ingredient == ingredient
    assert (reading.strength and reading.strength.mg) == mg


def test_an_unknown_code_falls_back_to_its_display() -> None:
    reading = named(recognise(concept(None, (RXNORM, "328670", "Sertraline 100 MG [SCDC]"))))
    assert (reading.antidepressant.drug.ingredient, reading.strength) == (
        "sertraline",
        Strength(100, Per.UNIT),
    )


@pytest.mark.parametrize(
    "given",
    [
        concept(None, (RXNORM, "36437", "Venlafaxine")),
        concept("venlafaxine 75 mg", (RXNORM, "312941", None)),
        concept(None, (RXNORM, "312941", None), (ATC, "N06AX16", None)),
        concept("sertraline 50 mg", (ATC, "C09AA03", None)),
        concept("sertraline", (RXNORM, "89013", "aripiprazole")),
        concept("sertraline and venlafaxine"),
    ],
)
def test_codes_and_names_that_disagree_are_unknown(given: CodeableConcept) -> None:
    assert isinstance(recognise(given), UnknownDrug)


def test_strengths_that_disagree_leave_the_drug_known_and_the_strength_not() -> None:
    reading = named(recognise(concept("sertraline 100 mg", (RXNORM, "312941", None))))
    assert reading.strength is None


@pytest.mark.parametrize(
    "given",
    [
        concept(None),
        concept("  "),
        concept(None, (RXNORM, "999999999", None)),
        concept(None, ("http://example.org/local", "17", None)),
        concept("antidepressant 20 mg"),
        concept("SSRI (name unknown)"),
        concept("study drug XY-12"),
        concept("medication, see notes"),
        concept("Tablet 20 mg"),
        concept(None, (ATC, "N06AB", None)),
        concept(None, (ATC, "N06AX99", None)),
        concept(None, (ATC, "N06", None)),
        concept("Setraline 50 mg"),
        concept("Fluoxitine 20"),
    ],
)
def test_what_could_be_any_drug_is_unknown(given: CodeableConcept) -> None:
    assert isinstance(recognise(given), UnknownDrug)


@pytest.mark.parametrize(
    ("given", "is_certain"),
    [
        (concept("lisinopril 10 mg"), False),
        (concept("clomiphene 50 mg"), False),
        (concept(None, (ATC, "C09AA03", None)), True),
        (concept("aripiprazole 5 mg"), True),
        (concept(None, (RXNORM, "89013", None)), True),
        (concept("medication", (RXNORM, "314076", "lisinopril 10 MG Oral Tablet")), False),
    ],
)
def test_other_drugs(given: CodeableConcept, is_certain: bool) -> None:
    reading = recognise(given)
    assert isinstance(reading, NotAntidepressant)
    assert reading.is_certain is is_certain


@pytest.mark.parametrize(
    ("text", "use", "form"),
    [
        ("Zyban 150 mg", TrialUse.OTHER_USE, None),
        ("Silenor 6 mg tablet", TrialUse.NEVER, Form.ORAL),
        ("Contrave", TrialUse.NEVER, None),
        ("Sarafem 20 mg capsule", TrialUse.DEPRESSION_ONLY, Form.ORAL),
        ("selegiline 5 mg capsule", None, Form.ORAL),
        ("Emsam", None, Form.TRANSDERMAL),
        ("doxepin 5 % cream", None, Form.TOPICAL),
    ],
)
def test_products_with_a_use_of_their_own(text: str, use: TrialUse | None, form: Form | None) -> None:
    reading = named(recognise(concept(text)))
    assert (reading.use, reading.form) == (use, form)


def test_a_combination_counts_as_its_antidepressant() -> None:
    drug = named(recognise(concept("Symbyax 6/25"))).antidepressant.drug
    assert (drug.ingredient, drug.agent, drug.drug_class) == ("olanzapine / fluoxetine", "fluoxetine", "SSRI")
