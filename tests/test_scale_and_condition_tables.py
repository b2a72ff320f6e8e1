"""Every row of the tables of scales and diagnoses, and the codes that matter most."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from cds_service.errors import TableError
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
from cds_service.tables.measurements import load_measurements
from cds_service.tables.scales import load_answers, load_scales
from cds_service.tables.suicide_scales import COVERS, load_suicide_scale_parts, load_yes_and_no
from cds_service.tables.words import plain_words
from cds_service.trd.answers import Answer
from cds_service.trd.record import DiagnosisRole


def rows_of(table: str) -> list[dict[str, str]]:
    text = files("cds_service.tables").joinpath(table).read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), strict=True))


@pytest.mark.parametrize(
    "table",
    [
        "scales.csv",
        "conditions.csv",
        "condition_texts.csv",
        "scale_answers.csv",
        "suicide_scale_parts.csv",
        "yes_no_answers.csv",
        "labs.csv",
    ],
)
def test_every_row_has_a_cell_for_every_column(table: str) -> None:
    rows = rows_of(table)
    assert rows
    assert all(None not in row and None not in row.values() for row in rows)


@pytest.mark.parametrize(
    "table",
    [
        "conditions.csv",
        "condition_texts.csv",
        "scale_answers.csv",
        "suicide_scale_parts.csv",
        "yes_no_answers.csv",
        "labs.csv",
    ],
)
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


BANDS = [
    # scale, (highest total, name)
    ("PHQ-9", "4 minimal, 9 mild, 14 moderate, 19 moderately severe, 27 severe"),
    ("PHQ-9M", "4 minimal, 9 mild, 14 moderate, 19 moderately severe, 27 severe"),
    ("MADRS", "6 none, 19 mild, 34 moderate, 60 severe"),
    ("HAM-D 17", "7 none, 16 mild, 23 moderate, 52 severe"),
    ("QIDS-C16", "5 none, 10 mild, 15 moderate, 20 severe, 27 very severe"),
    ("EPDS", "9 , 12 possible, 30 probable"),
    ("PROMIS Depression", "54.9 normal, 59.9 mild, 69.9 moderate, 80 severe"),
    ("PHQ-2", "2 , 6 positive screen"),
    ("CUDOS", ""),
]


@pytest.mark.parametrize(("name", "bands"), BANDS)
def test_severity_bands_are_read_from_the_table(name: str, bands: str) -> None:
    [scale] = [row.scale for row in load_scales() if row.scale.name == name]
    assert ", ".join(f"{highest:g} {band}" for highest, band in scale.bands) == bands
    assert bool(scale.bands_source) is bool(bands)


def test_the_bands_of_each_scale_end_with_its_maximum_and_keep_their_source() -> None:
    sources = {row["scale"]: row["severity_source"] for row in rows_of("scales.csv")}
    for row in load_scales():
        highest = [band[0] for band in row.scale.bands]
        assert highest == sorted(set(highest))
        if highest:
            assert (row.scale.minimum <= highest[0], highest[-1]) == (True, row.scale.maximum)
            assert row.scale.bands_source == sources[row.scale.name]


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("0-4 minimal|5-27", None),
        ("mild", "bands such as"),
        ("0-4 minimal|6-9 mild", "bands in order"),
        ("5-9 mild|0-4 minimal", "bands in order"),
        ("0-4 minimal|5-40 mild", "bands in order"),
        ("as PHQ-8", "of the same range"),
        ("as nothing", "of the same range"),
    ],
)
def test_bands_that_do_not_fit_stop_the_start(
    cell: str, problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = files("cds_service.tables").joinpath("scales.csv").read_text("utf-8")
    first = "0-4 minimal|5-9 mild|10-14 moderate|15-19 moderately severe|20-27 severe"
    changed = table.replace(first, cell, 1)
    monkeypatch.setattr("cds_service.tables.rows._text", lambda _: changed)
    if problem is None:
        assert load_scales.__wrapped__()[0].scale.bands == ((4, "minimal"), (27, ""))
    else:
        with pytest.raises(TableError, match=problem):
            load_scales.__wrapped__()


def test_what_is_shown_as_context_is_named_once_and_has_a_code_or_a_name() -> None:
    shown = load_measurements()
    assert {row.name for row in shown if row.unimpaired_at_most is not None} == {
        "WHODAS 2.0",
        "SDS (Sheehan)",
        "WSAS",
    }
    assert all(row.unimpaired_source for row in shown if row.unimpaired_at_most is not None)
    assert all(row.code for row in shown if not row.is_scale)
    assert len({row.name for row in shown}) == len(shown) == 33
    assert {row["name"] for row in rows_of("labs.csv")} - {row.name for row in shown} == {"CBC panel"}


def test_the_codes_of_the_c_ssrs_are_told_apart() -> None:
    parts = load_suicide_scale_parts()
    assert len(parts) == 13
    assert {code for code, part in parts.items() if part.covers == COVERS} == {"93373-9", "93245-9"}
    assert [code for code, part in parts.items() if part.is_risk_level] == ["93374-7"]
    by_code, by_words = load_yes_and_no()
    assert by_code == {"LA33-6": True, "LA32-8": False}
    assert (by_words["yes",], by_words["no",]) == (True, False)


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
    (ICD_10_CM, "T14.91XA", "SUICIDALITY", "suicide_attempt"),
    (ICD_10_CM, "E03.9", "CONFOUNDER", "hypothyroidism"),
    (ICD_10_CM, "G31.84", "CONFOUNDER", "mild_cognitive_impairment"),
    (ICD_10_CM, "G31.83", "EXCLUSION", "dementia"),
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
