"""Every row of the tables of scales and diagnoses, and the codes that matter most."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from cds_service.tables.conditions import (
    ICD_9_CM,
    ICD_10,
    ICD_10_CM,
    ICD_11,
    SNOMED,
    is_depression_code,
    meaning_of_code,
    meaning_of_text,
)
from cds_service.tables.scales import load_answers, load_scales
from cds_service.tables.words import plain_words
from cds_service.trd.model import Answer, DiagnosisRole


def rows_of(table: str) -> list[dict[str, str]]:
    text = files("cds_service.tables").joinpath(table).read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), strict=True))


@pytest.mark.parametrize(
    "table", ["scales.csv", "conditions.csv", "condition_texts.csv", "scale_answers.csv"]
)
def test_every_row_has_a_cell_for_every_column(table: str) -> None:
    rows = rows_of(table)
    assert rows
    assert all(None not in row and None not in row.values() for row in rows)


@pytest.mark.parametrize("table", ["conditions.csv", "condition_texts.csv", "scale_answers.csv"])
def test_every_row_has_a_source(table: str) -> None:
    assert [row for row in rows_of(table) if not row["source"]] == []


def test_every_remission_cut_off_has_a_source_and_lies_within_the_scale() -> None:
    for row in rows_of("scales.csv"):
        assert bool(row["remission_at_most"]) <= bool(row["remission_at_most_source"])
    for row in load_scales():
        cut_off = row.scale.remission_at_most
        assert cut_off is None or row.scale.minimum <= cut_off < row.scale.maximum


def test_only_depression_scales_give_scores() -> None:
    counted = {row["scale"] for row in rows_of("scales.csv") if row["counts_as_score"] == "yes"}
    assert counted == {row["scale"] for row in rows_of("scales.csv") if "depression" in row["domain"]}
    assert counted == {row.scale.name for row in load_scales()}


def test_scales_that_are_no_ratio_of_a_baseline_have_no_percent_rule() -> None:
    without = {row.scale.name for row in load_scales() if not row.scale.has_percent_rule}
    assert without == {"PHQ-2", "PROMIS Depression"}


def test_the_phq_9_codes_are_told_apart() -> None:
    phq9 = load_scales()[0]
    assert phq9.scale.name == "PHQ-9"
    assert (phq9.scale.minimum, phq9.scale.maximum, phq9.scale.remission_at_most) == (0, 27, 4)
    assert (phq9.total_codes, phq9.panel_codes) == (("44261-6",), ("44249-1",))
    assert len(phq9.item_codes) == 9
    assert phq9.suicide_item_code == "44260-8"
    assert "69722-7" not in phq9.item_codes


def test_the_answers_of_the_phq_9_count_0_to_3() -> None:
    by_code, by_words = load_answers()
    assert sorted(by_code.values()) == sorted(by_words.values()) == [0, 1, 2, 3]
    assert by_code["http://loinc.org", "LA6571-9"] == by_words["nearly", "every", "day"] == 3


CODES = [
    # system, code, role, category
    (ICD_10_CM, "F33.1", "DEPRESSION", "mdd"),
    (ICD_10_CM, "F331", "DEPRESSION", "mdd"),
    (ICD_10_CM, " f33.1 ", "DEPRESSION", "mdd"),
    ("urn:oid:2.16.840.1.113883.6.90", "F33.1", "DEPRESSION", "mdd"),
    (ICD_10, "F33.1", "DEPRESSION", "mdd"),
    (ICD_10, "F33", "DEPRESSION", "mdd"),
    (ICD_10_CM, "F33", "DEPRESSION", "mdd"),
    (ICD_10, "F32.8", "DEPRESSION", "mdd"),
    ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "F32.2", "DEPRESSION", "mdd"),
    (ICD_10_CM, "F32.3", "DEPRESSION", "psychotic_depression"),
    (ICD_10, "F33.3", "DEPRESSION", "psychotic_depression"),
    (ICD_10_CM, "F33.41", "DEPRESSION", "mdd_remission"),
    (ICD_10_CM, "F33.42", "FULL_REMISSION", "mdd_remission"),
    (ICD_10_CM, "F33.40", "FULL_REMISSION", "mdd_remission"),
    (ICD_10, "F33.4", "FULL_REMISSION", "mdd_remission"),
    (ICD_10, "F33.41", "DEPRESSION", "mdd_remission"),
    (ICD_10_CM, "F32.A", "CONFOUNDER", "depression_nos"),
    (ICD_10, "F32.A", "CONFOUNDER", "depression_nos"),
    (ICD_10_CM, "F32.81", "CONFOUNDER", "other_depressive"),
    (ICD_10_CM, "F31.32", "EXCLUSION", "bipolar"),
    (ICD_10, "F31.3", "EXCLUSION", "bipolar"),
    (ICD_10_CM, "F31", "EXCLUSION", "bipolar"),
    (ICD_10, "F30.1", "EXCLUSION", "bipolar"),
    (ICD_10, "F25.1", "EXCLUSION", "psychotic_disorder"),
    (ICD_10, "F20", "EXCLUSION", "psychotic_disorder"),
    (ICD_10, "F29", "EXCLUSION", "psychotic_disorder"),
    (ICD_10, "F01.1", "EXCLUSION", "dementia"),
    (ICD_10_CM, "F10.14", "EXCLUSION", "substance_induced_mood"),
    (ICD_9_CM, "296.32", "DEPRESSION", "mdd"),
    (ICD_9_CM, "29632", "DEPRESSION", "mdd"),
    (ICD_9_CM, "296.34", "DEPRESSION", "psychotic_depression"),
    (ICD_9_CM, "296.35", "DEPRESSION", "mdd_remission"),
    (ICD_9_CM, "296.36", "FULL_REMISSION", "mdd_remission"),
    (ICD_9_CM, "296.26", "FULL_REMISSION", "mdd_remission"),
    (ICD_9_CM, "296.50", "EXCLUSION", "bipolar"),
    (ICD_9_CM, "295.30", "EXCLUSION", "psychotic_disorder"),
    (ICD_11, "6A70.3", "DEPRESSION", "mdd"),
    (ICD_11, "6A71.7", "FULL_REMISSION", "mdd_remission"),
    (ICD_11, "6A70.6", "DEPRESSION", "mdd_remission"),
    ("http://id.who.int/icd/release/11/2024-01/mms", "6A60.1", "EXCLUSION", "bipolar"),
    (SNOMED, "370143000", "DEPRESSION", "mdd"),
    ("https://snomed.info/sct/", "370143000", "DEPRESSION", "mdd"),
    ("http://snomed.info/sct/731000124108", "370143000", "DEPRESSION", "mdd"),
    (SNOMED, "46244001", "FULL_REMISSION", "mdd_remission"),
    (SNOMED, "33135002", "DEPRESSION", "mdd_remission"),
    (SNOMED, "13746004", "EXCLUSION", "bipolar"),
    (SNOMED, "1153570009", "ALREADY_LABELLED", "trd"),
    (ICD_10_CM, "R45.851", "SUICIDALITY", "suicidality"),
    (ICD_10_CM, "T14.91XA", "SUICIDALITY", "suicidality"),
    (ICD_10_CM, "E03.9", "CONFOUNDER", "hypothyroidism"),
]


@pytest.mark.parametrize(("system", "code", "role", "category"), CODES)
def test_a_code_has_its_role(system: str, code: str, role: str, category: str) -> None:
    meaning = meaning_of_code(system, code)
    assert meaning is not None
    assert (meaning.role.name, meaning.category) == (role, category)


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (ICD_10_CM, "I10"),
        (ICD_10, "F10.1"),
        (ICD_10, "F26"),
        (ICD_10_CM, "F3"),
        (ICD_9_CM, "296.90"),
        (ICD_9_CM, "296"),
        (ICD_11, "6A80"),
        (SNOMED, "3701430001"),
        (SNOMED, "37014300"),
        ("urn:oid:1.2.3", "F33.1"),
        (ICD_9_CM, "F33.1"),
    ],
)
def test_a_code_outside_the_table_has_none(system: str, code: str) -> None:
    assert meaning_of_code(system, code) is None


def test_depression_in_remission_is_still_a_depression_code() -> None:
    assert is_depression_code(ICD_10_CM, "F33.42")
    assert not is_depression_code(ICD_10_CM, "F31.32")
    assert not is_depression_code(ICD_10_CM, "I10")


CERTAIN = """
Major depressive disorder                         | depression  | mdd
MAJOR DEPRESSIVE DISORDER, recurrent, moderate    | depression  | mdd
MDD, recurrent                                    | depression  | mdd
Major depressive disorder in full remission       | full remission | mdd_remission
Bipolar II disorder (disorder)                    | exclusion   | bipolar
Alzheimer's disease                               | exclusion   | dementia
Schizophrenia                                     | exclusion   | psychotic_disorder
Suicidal ideation                                 | suicidality | suicidality
Treatment-resistant depression                    | already labelled treatment-resistant | trd
"""
HINTED = """
possible bipolar disorder                         | exclusion   | bipolar
MDD vs bipolar II                                 | exclusion   | bipolar
rule out dementia                                 | exclusion   | dementia
history of bipolar disorder                       | exclusion   | bipolar
bipolar disorder, no psychotic features           | exclusion   | bipolar
anxious major depressive reaction                 | depression  | unspecified
passive suicidal thoughts on admission            | suicidality | suicidality
"""


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


@pytest.mark.parametrize(("text", "role", "category"), cells(CERTAIN))
def test_an_unmistakable_text_is_certain(text: str, role: str, category: str) -> None:
    meaning = meaning_of_text(text)
    assert meaning is not None
    assert (meaning.role, meaning.category, meaning.certainty) == (DiagnosisRole(role), category, Answer.MET)


@pytest.mark.parametrize(("text", "role", "category"), cells(HINTED))
def test_a_text_that_only_mentions_a_diagnosis_is_a_hint(text: str, role: str, category: str) -> None:
    meaning = meaning_of_text(text)
    assert meaning is not None
    assert (meaning.role, meaning.category, meaning.certainty) == (
        DiagnosisRole(role),
        category,
        Answer.UNKNOWN,
    )


@pytest.mark.parametrize(
    "text",
    [
        "Hypertension",
        "no bipolar disorder",
        "Denies suicidal ideation",
        "Family history of schizophrenia",
        "FH of bipolar",
        "screening for dementia",
        "personal history of suicide attempt",
        "respiratory depression",
        "bipolarity",
        "",
        "!!!",
    ],
)
def test_a_denied_or_unrelated_text_means_nothing(text: str) -> None:
    assert meaning_of_text(text) is None


def test_words_are_compared_without_case_accents_and_punctuation() -> None:
    assert plain_words("Montgomery–Åsberg (MADRS-S)") == ("montgomery", "asberg", "madrs", "s")
    assert plain_words("PHQ9: Patient's total") == ("phq", "9", "patients", "total")
    assert len(plain_words("word " * 10_000)) == 60
