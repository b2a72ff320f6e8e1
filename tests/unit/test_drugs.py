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
    mg_per_piece,
    recognise,
)
from cds_service.fhir_reading.elements import CodeableConcept, Coding
from cds_service.tables.drugs import Form, PackPart, Per, Strength, TrialUse

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
        ("sertraline 25 mg and 50 mg starter", "sertraline", None),
        ("sertraline hcl 100mg tablets", "sertraline", 100),
        ("SERTRALINE HYDROCHLORIDE 100MG TAB,UD", "sertraline", 100),
        ("venlafaxine (EFFEXOR-XR) 150 mg 24 hr capsule", "venlafaxine", 150),
        ("bupropion XL 300 mg 24 hr tablet", "bupropion", 300),
        ("sertraline (as hydrochloride) 50 milligrams", "sertraline", 50),
        ("SERTRALINE50MG", "sertraline", 50),
        ("Zoloft™50mg", "sertraline", 50),
        ("Zoloft® 50,000 micrograms", "sertraline", 50),
        ("fluoxétine 20 mg gélule", "fluoxetine", 20),
        ("EffexorXR 75mg", "venlafaxine", 75),
        ("50 mg sertraline tablet", "sertraline", 50),
        ("sertraline 25 mg-50 mg", "sertraline", None),
        ("sertraline 25-50 mg", "sertraline", None),
    ],
)
def test_names(text: str, ingredient: str, mg: float | None) -> None:
    reading = named(recognise(concept(text)))
    assert reading.antidepressant.drug.ingredient == ingredient
    assert (reading.strength and reading.strength.mg) == mg


@pytest.mark.parametrize(
    ("text", "mg"),
    [
        ("Sertraline-50", 50),
        ("Effexor XR 75", 75),
        ("Effexor XR 75 24 hr capsule", 75),
        ("Wellbutrin SR 12 hr tab 150", 150),
        ("Remeron RD 30", 30),
        ("venlafaxine besylate 112.5", 112.5),
        ("sertraline 30", None),  # no such tablet: it may be their number
        ("sertraline 50 tablets", None),
        ("sertraline 50 #90", None),
        ("2 sertraline", None),
        ("sertraline twice 50", None),
    ],
)
def test_a_number_alone_is_a_strength_only_behind_the_name_and_if_there_is_such_a_product(
    text: str, mg: float | None
) -> None:
    reading = named(recognise(concept(text)))
    assert (reading.strength and reading.strength.mg) == mg


@pytest.mark.parametrize(
    ("text", "ingredient", "mg"),
    [
        ("olanzapine-fluoxetine 6-25 mg capsule", "olanzapine / fluoxetine", 25),
        ("fluoxetine-olanzapine 25-6", "olanzapine / fluoxetine", 25),
        ("olanzapine/fluoxetine 12 mg/50 mg", "olanzapine / fluoxetine", 50),
        ("Symbyax 3/25", "olanzapine / fluoxetine", 25),
        ("Symbyax 25 mg", "olanzapine / fluoxetine", None),
        ("olanzapine 5 mg / fluoxetine 20 mg", "olanzapine / fluoxetine", 20),
        ("fluoxetine 6 mg / olanzapine 25 mg", "olanzapine / fluoxetine", None),
        ("olanzapine-fluoxetine 7-30 mg", "olanzapine / fluoxetine", None),
        ("perphenazine-amitriptyline 2-25", "amitriptyline / perphenazine", 25),
        ("perphenazine-amitriptyline 4 MG-25 MG", "amitriptyline / perphenazine", 25),
        ("perphenazine 4 mg-amitriptyline 25 mg tablet", "amitriptyline / perphenazine", 25),
        ("chlordiazepoxide-amitriptyline 5-12.5 mg", "amitriptyline / chlordiazepoxide", 12.5),
        ("amitriptyline-chlordiazepoxide 12.5 mg-5 mg", "amitriptyline / chlordiazepoxide", 12.5),
        ("Limbitrol 10-25", "amitriptyline / chlordiazepoxide", 25),
        ("dextromethorphan-bupropion ER 45-105 mg", "dextromethorphan / bupropion", 105),
        ("Auvelity 105-45 mg", "dextromethorphan / bupropion", 105),
        ("fluphenazine / nortriptyline 0.5/10 mg", "nortriptyline", 10),
        ("Deanxit", "melitracen", None),
        ("flupentixol 0.5 mg / melitracen 10 mg", "melitracen", 10),
    ],
)
def test_the_figures_of_a_combination_are_those_of_a_product_that_exists(
    text: str, ingredient: str, mg: float | None
) -> None:
    reading = named(recognise(concept(text)))
    assert (reading.antidepressant.drug.ingredient, reading.strength and reading.strength.mg) == (
        ingredient,
        mg,
    )


@pytest.mark.parametrize(
    "text",
    [
        "sertraline 50 mg and lithium 300 mg",
        "fluoxetine / quetiapine",
        "sertraline 50 mg, aripiprazole 2 mg",
        "venlafaxine (switched from sertraline)",
        "mirtazapine instead of citalopram",
        "citalopram (Celexa) or escitalopram (Lexapro)",
        "sertraline / lisinopril",
        "lisinopril 10 mg and sertraline 50 mg",
        "sertraline 50 mg, metformin hydrochloride 500 mg",
        "metformin + sertraline",
        "metformin, sertraline 50 mg",
        "sertraline 50 mg or placebo",
        "sertraline vs placebo",
        "sertraline with clonazepam",
    ],
)
def test_a_name_that_tells_two_drugs_is_neither(text: str) -> None:
    reading = recognise(concept(text))
    assert isinstance(reading, UnknownDrug), reading
    assert reading.problem.startswith("the name tells several drugs: ")


@pytest.mark.parametrize(
    "text",
    [
        "Zoloft (sertraline) 50 mg",
        "sertraline / Zoloft",
        "sertraline 50 mg (Accord/Zentiva)",
        "sertraline 50 mg oral tablet, take with food and water",
        "sertraline 50 mg, Greenstone",
        "sertraline 50 mg morning and evening",
        "sertraline 50 mg for sadness and tearfulness",
        "sertraline 20 mg/mL oral concentrate",
        "Sertralin-ratiopharm 50 mg",
        "sertraline 50 mg and 100 mg",
        "sertraline 50 mg w/ breakfast",
        "sertraline 50 mg with applesauce",
        "sertraline 50 mg tablet or capsule",
        "Product containing precisely sertraline (as sertraline hydrochloride) 50 milligram/1 each "
        "conventional release oral tablet (clinical drug)",
    ],
)
def test_what_stands_beside_a_drug_is_not_always_another(text: str) -> None:
    assert named(recognise(concept(text))).antidepressant.drug.ingredient == "sertraline"


@pytest.mark.parametrize(
    ("text", "ingredient"),
    [
        ("Sertaline 50 mg", "sertraline"),
        ("Welbutrin XL 150", "bupropion"),
        ("AMITRYPTILINE 25MG", "amitriptyline"),
    ],
)
def test_misspellings_of_the_table(text: str, ingredient: str) -> None:
    assert named(recognise(concept(text))).antidepressant.drug.ingredient == ingredient


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("selegiline transdermal 20 mg/20 cm2", None),
        ("Emsam 6 mg/24 hr (20 mg/20 cm2)", Strength(6, Per.UNIT)),
        ("doxepin 50 mg/g cream", None),
        ("sertraline 100 mg/day", None),
        ("amitriptyline 50 mg per 5 ml", Strength(10, Per.ML)),
        ("mirtazapine 15 mg in 1 mL", Strength(15, Per.ML)),
        ("fluoxetine 20mg/5ml oral solution", Strength(4, Per.ML)),
        ("escitalopram 1 MG/ML Oral Solution", Strength(1, Per.ML)),
        ("selegiline 0.25 MG/HR Transdermal System", Strength(6, Per.UNIT)),
        ("Emsam 6 mg/24 hr patch", Strength(6, Per.UNIT)),
        ("venlafaxine 75 mg/24 hr capsule", Strength(75, Per.UNIT)),
    ],
)
def test_strengths_per_ml_hour_and_day(text: str, strength: Strength | None) -> None:
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
        (NDC, "00002-3235-60", "duloxetine", 20),
        (NDC, "0002323560", "duloxetine", 20),
        (NDC, "000023235", "duloxetine", 20),
        (NDC, "00023235", "duloxetine", 20),
        (NDC, "000002323560", "duloxetine", 20),
        (NDC, " 0002 3235 60 ", "duloxetine", 20),
        (NDC, "*0002-3235-60", "duloxetine", 20),
        ("http://hl7.org/fhir/sid/ndc/", "0002-3235-60", "duloxetine", 20),
        ("HTTP://HL7.ORG/fhir/sid/NDC", "0002-3235-60", "duloxetine", 20),
        (OID + "69", "0002-3235-60", "duloxetine", 20),
        ("2.16.840.1.113883.6.88", "312941", "sertraline", 50),
        ("https://www.nlm.nih.gov/research/umls/rxnorm/", "312941", "sertraline", 50),
        ("http://snomed.info/sct/83821000000107/version/20240101", "40589005", "amitriptyline", None),
        ("https://dmd.nhs.uk/VTM", "40589005", "amitriptyline", None),
        ("http://dmd.nhs.uk", "40589005", "amitriptyline", None),
        (SNOMED, "34558611000001107", "bupropion / naltrexone", None),
        (ATC, "N06CA01", "amitriptyline / perphenazine", None),
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


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (concept("venlafaxine 75 mg", (RXNORM, "312941", None)), "and venlafaxine"),
        (
            concept("sertraline 50 mg", (RXNORM, "314076", "lisinopril 10 MG Oral Tablet")),
            "and lisinopril 10 mg",
        ),
        (
            concept(None, (RXNORM, "312941", "lisinopril 10 MG Oral Tablet")),
            "and lisinopril 10 mg oral tablet",
        ),
        (concept("sertraline 50 mg", (ATC, "C09AA03", "lisinopril")), "and ATC C09AA03"),
        (concept("bupropion 90 mg", (RXNORM, "1551468", None)), "and bupropion"),
    ],
)
def test_the_two_that_disagree_are_named(given: CodeableConcept, problem: str) -> None:
    reading = recognise(given)
    assert isinstance(reading, UnknownDrug)
    assert reading.problem.startswith("codes disagree: ")
    assert problem in reading.problem


@pytest.mark.parametrize(
    ("given", "ingredient", "mg"),
    [
        # salt and base, brand and generic, product and ingredient
        (concept("Zoloft", (RXNORM, "312941", None), (RXNORM, "36437", "sertraline")), "sertraline", 50),
        (concept("sertraline", (ATC, "N06AB06", None), (RXNORM, "208149", None)), "sertraline", 100),
        (
            concept(None, (RXNORM, "856792", None), (ATC, "N06CA01", None)),
            "amitriptyline / chlordiazepoxide",
            25,
        ),
        (concept("sertraline 50 mg", ("http://local", "9", "PSYCH MED 9")), "sertraline", 50),
        (concept("Mysimba 8 mg/90 mg", (ATC, "A08AA62", None)), "bupropion / naltrexone", 90),
        (concept("selegiline 5 mg tablet", (ATC, "N04BD01", "selegiline")), "selegiline", 5),
        (concept("Gladem 50 mg Filmtabletten", (ATC, "N06AB06", "Sertralin")), "sertraline", 50),
    ],
)
def test_codes_and_names_that_agree(given: CodeableConcept, ingredient: str, mg: float) -> None:
    reading = named(recognise(given))
    assert (reading.antidepressant.drug.ingredient, reading.strength and reading.strength.mg) == (
        ingredient,
        mg,
    )


@pytest.mark.parametrize(
    ("system", "code", "problem"),
    [
        (RXNORM, "999999999", "RxNorm 999999999 is not in our table"),
        (NDC, "12345-6789-01", "NDC 12345-6789-01 is not in our table (snapshot April 2019)"),
        (NDC, "1-2-3", "NDC 1-2-3 is not in our table (snapshot April 2019)"),
        (SNOMED, "1234567", "SNOMED CT 1234567 is not in our table"),
        (DMD + "/VMP", "1234567", "dm+d 1234567 is not in our table"),
        ("http://example.org/local", "17", "no code that we know, and no name"),
    ],
)
def test_a_code_alone_that_our_tables_lack_is_named(system: str, code: str, problem: str) -> None:
    assert recognise(concept(None, (system, code, None))) == UnknownDrug(code, problem)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (concept("sertraline 100 mg", (RXNORM, "312941", None)), "codes tell different strengths: 50 mg and 100 mg"),
        (concept(None, (RXNORM, "312941", None), (RXNORM, "208149", None)),
         "codes tell different strengths: 50 mg and 100 mg"),
        (concept("fluoxetine 20 mg", (RXNORM, "310386", "fluoxetine 4 MG/ML Oral Solution")), "4 mg/mL"),
        (concept("sertraline"), ""),
    ],
)  # fmt: skip
def test_strengths_that_disagree_leave_the_drug_known_and_the_strength_not(
    given: CodeableConcept, problem: str
) -> None:
    reading = named(recognise(given))
    assert reading.strength is None
    assert problem in reading.strength_problem


@pytest.mark.parametrize(
    ("display", "ingredient", "mg", "form"),
    [
        ("sertraline 100 MG", "sertraline", 100, None),
        ("sertraline 100 MG [Zoloft]", "sertraline", 100, None),
        ("sertraline Oral Tablet", "sertraline", None, Form.ORAL),
        ("sertraline Oral Tablet [Zoloft]", "sertraline", None, Form.ORAL),
        ("sertraline Pill", "sertraline", None, None),
        ("venlafaxine Extended Release Oral Capsule", "venlafaxine", None, Form.ORAL),
    ],
)
def test_components_and_groups_of_rxnorm_are_read_by_their_display(
    display: str, ingredient: str, mg: float | None, form: Form | None
) -> None:
    reading = named(recognise(concept(None, (RXNORM, "999999999", display))))
    assert reading.antidepressant.drug.ingredient == ingredient
    assert (reading.strength and reading.strength.mg, reading.form) == (mg, form)


PACK = (PackPart(7, 10), PackPart(23, 20))


@pytest.mark.parametrize(
    ("given", "contents"),
    [
        (concept(None, (RXNORM, "1653470", None)), PACK),
        (concept("Viibryd starter", (RXNORM, "1653469", None)), PACK),
        (concept("{7 (vilazodone hydrochloride 10 MG Oral Tablet) / "
                 "23 (vilazodone hydrochloride 20 MG Oral Tablet) } Pack"), PACK),
        (concept("Viibryd Starter Pack 10/20"), PACK),
        (concept("vilazodone 10 mg-20 mg titration pack"), PACK),
        (concept("Viibryd 10 mg (7)- 20 mg (23) tablets in a dose pack"), PACK),
        (concept("Fetzima Titration Pack"), ()),  # there are two of them
        (concept("Viibryd 20 mg tablet, 30 day pack"), ()),
        (concept(None, (RXNORM, "2119389", None)), (PackPart(3, 28),)),
        (concept("{3 (0.2 ML) (esketamine 140 MG/ML Nasal Spray) } Pack", (RXNORM, "2119388", None)),
         (PackPart(3, 28),)),
    ],
)  # fmt: skip
def test_packs_tell_their_parts_in_order(given: CodeableConcept, contents: tuple[PackPart, ...]) -> None:
    assert named(recognise(given)).contents == contents


@pytest.mark.parametrize(
    ("text", "mg"),
    [
        ("citalopram 40 mg/mL oral drops", 2),
        ("Cipramil drops", 2),
        ("Cipralex 20 mg/mL oral drops", 1),
        ("escitalopram 10 mg/mL oral drops", None),
        ("citalopram 2 mg/mL oral solution", None),
        ("citalopram 20 mg tablet", None),
        ("mirtazapine 15 mg/mL drops", None),
    ],
)
def test_a_drop_counts_only_where_the_table_says_so(text: str, mg: float | None) -> None:
    assert mg_per_piece(named(recognise(concept(text))), "drop") == mg


def test_a_pack_with_a_single_strength_beside_it_has_neither() -> None:
    reading = named(recognise(concept("vilazodone 20 mg tablet", (RXNORM, "1653470", None))))
    assert (reading.strength, reading.contents) == (None, ())
    assert reading.strength_problem == "a pack of several strengths, and a strength beside it"


def test_what_tells_the_drug_is_named() -> None:
    given = concept("Zoloft", (RXNORM, "312941", "sertraline 50 MG Oral Tablet"), ("urn:local", "1", None))
    assert named(recognise(given)).told_by == ("RxNorm 312941", "name")
    assert named(recognise(concept(None, (ATC, "N06AB06", None)))).told_by == ("ATC N06AB06",)


def test_two_sprays_of_esketamine_are_one_device() -> None:
    product = named(recognise(concept(None, (RXNORM, "2119389", None))))
    assert (mg_per_piece(product, "spray"), mg_per_piece(product, "device")) == (14, 28)


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
        concept("Sertralune 50 mg"),  # one letter off, and in no table of misspellings
        concept("Fluoxetime 20"),
        concept("hydrochloride 50 mg film coated tablet"),
        concept("TCA"),
        concept(None, (NDC, "0000-0000-0", None)),
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
        (concept("free water 200 mL"), False),
        (concept("nasal spray"), False),
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
        ("selegiline 5 mg", None, Form.ORAL),
        ("selegiline 9 mg", None, Form.TRANSDERMAL),
        ("selegiline 7 mg", None, None),
        ("Emsam", None, Form.TRANSDERMAL),
        ("Prudoxin", TrialUse.NEVER, None),
        ("Yentreve 40 mg capsules", TrialUse.OTHER_USE, Form.ORAL),
        ("doxepin 5 % cream", None, Form.TOPICAL),
    ],
)
def test_products_with_a_use_of_their_own(text: str, use: TrialUse | None, form: Form | None) -> None:
    reading = named(recognise(concept(text)))
    assert (reading.use, reading.form) == (use, form)


def test_a_combination_counts_as_its_antidepressant() -> None:
    drug = named(recognise(concept("Symbyax 6/25"))).antidepressant.drug
    assert (drug.ingredient, drug.agent, drug.drug_class) == ("olanzapine / fluoxetine", "fluoxetine", "SSRI")
