"""The twelve traps that a reader of depression treatments falls into, one test or more for each, by its number."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.report import assessment_json
from cds_service.respond import assess_history, reply
from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer
from cds_service.trd.model import Assessment, Trial
from cds_service.trd.record import DiagnosisRole, History, Prescription
from fhir_fixtures.builders import (
    ICD_10_CM,
    LOINC,
    PHQ9_ITEMS,
    PHQ9_PANEL,
    PHQ9_TOTAL,
    RXNORM,
    SNOMED_CT,
    Concept,
    concept,
    condition,
    medication_request,
    observation,
    patient,
)
from tests.conftest import ON

LONG = {"first_day": "2025-09-01", "last_day": "2025-12-31"}


def history(*resources: dict[str, Any]) -> History:
    entries = tuple(Entry(resource, None, f"entry[{at}]") for at, resource in enumerate(resources))
    return read_history(Collected("p1", entries), ON)


def assessment(*resources: dict[str, Any]) -> Assessment:
    return assess_history(history(*resources), load_definitions()["default-configurable"], ON)


def prescribed(**order: Any) -> Prescription:
    (prescription,) = history(medication_request(**LONG | order)).prescriptions
    return prescription


def mg_per_day(**order: Any) -> float | None:
    (segment,) = prescribed(**order).segments
    return segment.low_mg if segment.low_mg == segment.high_mg else None


def the_trial(**order: Any) -> Trial:
    (judged,) = assessment(patient(), condition(), medication_request(**LONG | order)).trials
    return judged.trial


# --- 1: the ingredient is not the indication ----------------------------------------------------------

NO_TRIAL = [
    # drug, dosage, reason, which question says no, and in what words
    ("trazodone 50 mg tablet", "1 tablet at bedtime", None, "dose", "bedtime-only for sleep"),
    ("mirtazapine 7.5 mg tablet", "1 tablet at night", None, "dose", "below 15 mg"),
    ("amitriptyline 25 mg tablet", "1 tablet at night", None, "dose", "below 50 mg (pain, migraine, sleep)"),
    ("amitriptyline 75 mg tablet", "1 tablet at night", "Migraine", "use", "something else than depression: Migraine"),
    ("doxepin 6 mg tablet", "1 tablet at bedtime", None, "dose", "3/6 mg hypnotic"),
    ("Silenor 6 mg tablet", "1 tablet at bedtime", None, "use", "hypnotic"),
    ("Zyban 150 mg tablet", "2 tablets daily", None, "use", "smoking cessation"),
    ("bupropion SR 150 mg tablet", "1 tablet twice daily", "Nicotine dependence", "use", "Nicotine dependence"),
    ("duloxetine 60 mg capsule", "1 capsule daily", "Diabetic neuropathy", "use", "Diabetic neuropathy"),
    ("selegiline 5 mg capsule", "1 capsule twice daily", None, "use", "only the transdermal form counts"),
    ("selegiline 5 mg", "10 mg daily", None, "use", "any oral selegiline (Parkinson disease)"),
    ("paroxetine 7.5 mg capsule", "1 capsule at bedtime", None, "dose", "7.5 mg capsule (vasomotor)"),
    ("Brisdelle 7.5 mg capsule", "1 capsule at bedtime", None, "use", "vasomotor"),
    ("fluoxetine 20 mg capsule", "1 capsule daily", "Premenstrual dysphoric disorder", "use", "Premenstrual"),
    ("trazodone 150 mg tablet", "1 tablet at bedtime as needed", None, "use", "only as needed"),
]  # fmt: skip


@pytest.mark.parametrize(("drug", "dosage", "reason", "question", "words"), NO_TRIAL)
def test_trap_01_an_antidepressant_is_not_always_given_for_depression(
    drug: str, dosage: str, reason: str | None, question: str, words: str
) -> None:
    """A drug in every list of antidepressants may be taken for sleep, pain, smoking, hot flushes or Parkinson's."""
    reasons = [{"text": reason}] if reason else None
    trial = the_trial(medication=drug, dosage=dosage, reasonCode=reasons)
    finding = {"dose": trial.dose, "use": trial.use}[question]
    assert trial.is_adequate is Answer.NOT_MET
    assert (finding.answer, words in finding.text) == (Answer.NOT_MET, True), finding.text


@pytest.mark.parametrize(
    ("code", "answer"),
    [("F33.1", "met"), ("G47.00", "not-met"), ("G43.909", "not-met"), ("F17.210", "not-met"),
     ("F32.81", "not-met"), ("E11.42", "not-met"), ("F51.01", "not-met"), ("M79.7", "not-met")],
)  # fmt: skip
def test_trap_01_the_coded_reason_decides(code: str, answer: str) -> None:
    """The same dose of the same drug is a treatment of depression, or not, by what it is ordered for."""
    order = {
        "medication": "amitriptyline 75 mg tablet",
        "reasonCode": [{"coding": [{"system": ICD_10_CM, "code": code}]}],
    }
    assert prescribed(**order).treats_depression.answer.value == answer


@pytest.mark.parametrize("code", ["193462001", "37796009", "82423001", "203082005"])
def test_trap_01_a_reason_in_snomed_ct_decides_as_well(code: str) -> None:
    """Insomnia, migraine, chronic pain and fibromyalgia by code alone, without a word."""
    order = {"medication": "amitriptyline 75 mg tablet", "reasonCode": [concept((SNOMED_CT, code))]}
    assert prescribed(**order).treats_depression.answer is Answer.NOT_MET


def test_trap_01_sarafem_is_left_open_without_a_reason() -> None:
    """Fluoxetine sold for premenstrual dysphoria: without a reason on the order it cannot be told."""
    assert prescribed(medication="Sarafem 20 mg capsule").treats_depression.answer is Answer.UNKNOWN


# --- 2 to 4: products ---------------------------------------------------------------------------------


def test_trap_02_value_sets_of_antidepressants_hold_other_drugs() -> None:
    """Lamotrigine is no antidepressant though the value set has it, and 5-hydroxytryptophan is never a trial."""
    lamotrigine = medication_request("rx1", (RXNORM, "751139"), **LONG)
    supplement = medication_request("rx2", (RXNORM, "485514"), "1 capsule twice daily", **LONG)
    (only,) = history(lamotrigine, supplement).prescriptions
    assert (only.reference, only.treats_depression.answer) == ("MedicationRequest/rx2", Answer.NOT_MET)


@pytest.mark.parametrize(
    ("drug", "dosage", "mg"),
    [
        ("selegiline 0.25 MG/HR Transdermal System", "Apply 1 patch daily", 6),
        ("Emsam 9 mg/24 hr patch", "Apply 1 patch daily", 9),
        ("fluoxetine 20 mg/5 mL oral solution", "5 mL daily", 20),
        ("escitalopram 1 MG/ML Oral Solution", "10 mL once daily", 10),
        ("fluoxetine 90 mg delayed release capsule", "1 capsule once weekly", 20),
        ("fluoxetine 90 mg delayed release capsule", "1 capsule daily", None),
    ],
)
def test_trap_03_strengths_that_are_not_mg_in_a_tablet(drug: str, dosage: str, mg: float | None) -> None:
    """A patch is labelled in mg an hour, a liquid in mg per mL, and the weekly capsule is not 90/7 mg a day."""
    assert mg_per_day(medication=drug, dosage=dosage) == mg


@pytest.mark.parametrize(
    ("drug", "agent", "mg"),
    [
        ("olanzapine-fluoxetine 6-25 mg capsule", "fluoxetine", 25),
        ("Symbyax 12/50", "fluoxetine", 50),
        ("perphenazine-amitriptyline 4-25 mg tablet", "amitriptyline", 25),
        ("chlordiazepoxide-amitriptyline 10-25 mg tablet", "amitriptyline", 25),
        ("Auvelity 45-105 mg tablet", "dextromethorphan / bupropion", 105),
        ({"coding": [{"system": RXNORM, "code": "403969"}]}, "fluoxetine", 25),
    ],
)
def test_trap_04_a_combination_is_one_trial_of_its_antidepressant(drug: Any, agent: str, mg: float) -> None:
    """Two ingredients in one capsule are one attempt; the dose is that of the antidepressant in it."""
    prescription = prescribed(medication=drug, dosage="Take 1 by mouth daily")
    assert prescription.drug is not None
    assert (prescription.drug.agent, prescription.segments[0].low_mg) == (agent, mg)


# --- 5 to 7: scores and diagnoses ---------------------------------------------------------------------


def test_trap_05_panel_total_and_item_of_the_phq_9_are_three_things() -> None:
    """The item on suicide is no total, and a panel without a value of its own is the sum of its items."""
    item = history(observation(code=PHQ9_ITEMS[-1], value=2))
    assert (item.scores, [answer.value for answer in item.suicide_items]) == ((), [2])
    total = history(observation(code=PHQ9_TOTAL, value=17))
    assert ([score.value for score in total.scores], total.suicide_items) == ([17], ())
    answers = [{"code": {"coding": [{"system": s, "code": c}]}, "valueInteger": 1} for s, c in PHQ9_ITEMS]
    panel = history(observation(code=PHQ9_PANEL, value=None, component=answers))
    assert [score.value for score in panel.scores] == [9]
    assert [answer.value for answer in panel.suicide_items] == [1]


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ("F33.1", DiagnosisRole.DEPRESSION),
        ("F33.41", DiagnosisRole.DEPRESSION),
        ("F33.42", DiagnosisRole.FULL_REMISSION),
        ("F32.A", DiagnosisRole.CONFOUNDER),
    ],
)
def test_trap_06_near_codes_of_depression_mean_different_things(code: str, role: DiagnosisRole) -> None:
    """Unspecified depression is no major depression; partial remission is still the episode, full remission ends it."""
    (diagnosis,) = history(condition(code=(ICD_10_CM, code))).diagnoses
    assert diagnosis.role is role


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ("69322001", DiagnosisRole.EXCLUSION),
        ("73867007", DiagnosisRole.DEPRESSION),
        ("28475009", DiagnosisRole.DEPRESSION),
    ],
)
def test_trap_07_psychotic_depression_is_no_psychotic_disorder(code: str, role: DiagnosisRole) -> None:
    """The SNOMED CT root of psychotic disorders stands above psychotic depression: descent must not exclude it."""
    (diagnosis,) = history(condition(code=(SNOMED_CT, code))).diagnoses
    assert diagnosis.role is role


# --- 8: numbers copied from public code ---------------------------------------------------------------


@pytest.mark.parametrize("code", ["1099238", "1011482"])
def test_trap_08_a_code_that_only_public_code_calls_an_antidepressant_is_not_believed(code: str) -> None:
    """Two RxNorm numbers are passed around as Prozac and Lexapro and stand in no value set: unknown, and named."""
    read = history(medication_request(medication=(RXNORM, code), **LONG))
    assert [prescription.drug for prescription in read.prescriptions] == [None]
    assert f"RxNorm {code} is not in our table" in read.unread[0].problem


# --- 9 to 11: scales ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "instrument", "scale"), [("89209-1", "89210-9", "BDI-II"), ("99046-5", "71354-5", "EPDS")]
)
def test_trap_09_the_code_of_an_instrument_is_not_that_of_its_total(
    total: str, instrument: str, scale: str
) -> None:
    """The table keeps both apart, and the total's code gives the score."""
    (score,) = history(observation(code=(LOINC, total), value=14)).scores
    assert (score.scale.name, score.value) == (scale, 14)
    assert history(observation(code=(LOINC, instrument), value=None)).scores == ()


@pytest.mark.parametrize("code", ["93373-9", "93245-9"])
def test_trap_09_neither_form_of_the_c_ssrs_is_a_depression_score(code: str) -> None:
    """Screener and full form of the suicide scale have codes of their own; neither has a total that counts."""
    assert history(observation(code=(LOINC, code), value=3)).scores == ()


@pytest.mark.parametrize(
    ("code", "scale"),
    [
        ("MADRS total score", "MADRS"),
        ("HAM-D 17 total", "HAM-D 17"),
        ("QIDS-SR16 total score", "QIDS-SR16"),
        (("urn:oid:1.2.3", "4711", "MADRS total score"), "MADRS"),
    ],
)
def test_trap_10_scales_without_a_loinc_code_are_known_by_their_words(code: Any, scale: str) -> None:
    """No total of these has a LOINC code: a local code or a text must do."""
    (score,) = history(observation(code=code, value=12)).scores
    assert (score.scale.name, score.value) == (scale, 12)


@pytest.mark.parametrize(("scale", "value"), [("MADRS", 35), ("HAM-D 17", 19)])
def test_trap_11_no_severity_is_claimed_without_its_author_where_authors_differ(
    scale: str, value: int
) -> None:
    """19 on the HAM-D is moderate or severe by author: only staging says such a word, with who says it."""
    orders = [medication_request("rx1", "sertraline 100 mg tablet", **LONG)]
    scores = [observation("o1", f"{scale} total", value, "2025-09-01"),
              observation("o2", f"{scale} total", value, "2025-12-30")]  # fmt: skip
    assessed = assessment(patient(), condition(code=(ICD_10_CM, "F33.9")), *orders, *scores)
    workings = assessment_json(assessed)
    severity = [i for s in workings["staging"].values() for i in s["items"] if i["name"] == "severity"]
    assert severity
    assert all("by Kearns 1982" in item["text"] and item["low"] <= item["high"] for item in severity)
    without_severity = replace(assessed, staging=())
    said = json.dumps([workings | {"staging": {}}, reply(without_severity)]).lower()
    assert [score.value for judged in assessed.trials if (score := judged.outcome.last)] == [value]
    assert not any(word in said for word in ("moderate", "severe", "mild"))


@pytest.mark.parametrize("scale", ["MADRS", "HAM-D 17"])
def test_trap_11_the_table_names_the_authors_who_differ(scale: str) -> None:
    """Severity bands are kept with whom they are from, and who says otherwise; so is the remission cut-off used."""
    with files("cds_service.tables").joinpath("scales.csv").open(encoding="utf-8") as lines:
        (row,) = [row for row in csv.DictReader(lines) if row["scale"] == scale]
    assert "Kearns 1982 differs" in row["severity_source"]
    assert row["remission_at_most_source"]


# --- 12: esketamine -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["2119389", "2119388", "2119391", "2119390"])
def test_trap_12_an_esketamine_kit_is_one_session(code: str) -> None:
    """56 or 84 mg are a session and no daily dose, and 140 mg/mL is no strength of a device; never a trial."""
    prescription = prescribed(medication=(RXNORM, code), dosage=None)
    (segment,) = prescription.segments
    assert (segment.low_mg, prescription.treats_depression.answer) == (None, Answer.NOT_MET)
    assert "esketamine is not counted as a trial" in prescription.treats_depression.text


@pytest.mark.parametrize(
    ("medication", "dosage", "mg"),
    [
        ((RXNORM, "2119389"), "1 kit twice a week", 84.0),
        ((RXNORM, "2119390"), "1 kit once a week", 56.0),
        ("Spravato 84 mg dose kit", "84 mg intranasally twice a week", 84.0),
        ("esketamine 28 mg nasal spray", "56 mg once weekly", 56.0),
    ],
)
def test_trap_12_the_dose_of_esketamine_is_that_of_a_session(
    medication: Concept, dosage: str, mg: float
) -> None:
    """Twice a week is not a seventh of it each day."""
    prescription = prescribed(medication=medication, dosage=dosage)
    assert (prescription.segments[0].low_mg, "a session" in prescription.dose_text) == (mg, True)
