"""What is to be checked first: confounders, mimics, pregnancy; named with the Condition, never a verdict."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.conditions import read_conditions
from cds_service.respond import assess_history
from cds_service.tables.conditions import ROLES, confounder
from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.confounders import find_confounders
from cds_service.trd.model import Verdict
from cds_service.trd.record import (
    CheckFirst,
    Diagnosis,
    DiagnosisRole,
    History,
)
from fhir_fixtures.builders import ICD_10_CM, SNOMED_CT, condition
from tests.conftest import examples
from tests.spec.assessments import a_definition
from tests.spec.people import diagnosis, history, scores
from tests.spec.texttables import rows

ON = date(2026, 6, 30)
MDD = condition(id="mdd", code=(ICD_10_CM, "F33.1"), recorded="2024-11-01")


def named(*resources: dict[str, Any], **definition: Any) -> tuple[Finding, ...]:
    """What is to be checked first of someone with these Conditions."""
    entries = [Entry(resource, None, f"entry[{n}]") for n, resource in enumerate((MDD, *resources))]
    read = read_conditions(entries, ON)
    return find_confounders(History("Patient/p1", diagnoses=read.diagnoses), a_definition(**definition), ON)


def one(resource: dict[str, Any], **definition: Any) -> Finding:
    (finding,) = named(resource, **definition)
    return finding


# --- which ------------------------------------------------------------------------------------------------

NAMED = """
    system | code           | as
    -------+----------------+---------------------------------
    icd    | F60.3          | personality disorder
    icd    | F60.31         | personality disorder
    sct    | 20010003       | personality disorder
    icd    | F34.0          | cyclothymia
    icd    | F10.20         | substance use
    icd    | F10.2          | substance use
    sct    | 5602001        | substance use
    icd    | F43.10         | post-traumatic stress disorder
    icd    | F43.1          | post-traumatic stress disorder
    sct    | 47505003       | post-traumatic stress disorder
    icd    | F43.21         | adjustment disorder
    icd    | F50.2          | eating disorder
    icd    | E03.9          | hypothyroidism
    icd    | G47.33         | sleep apnoea
    icd    | D50.9          | anaemia
    icd    | D51.0          | vitamin B12 deficiency
    icd    | E24.9          | Cushing syndrome
    icd    | E27.1          | adrenal insufficiency
    icd    | G20            | Parkinson disease
    icd    | G35            | multiple sclerosis
    icd    | S06.5          | brain injury
    icd    | Z91.14         | medicine not taken as prescribed
    icd    | F53.0          | peripartum depression
    sct    | 25922000       | peripartum depression
    icd    | F32.3          | psychotic depression
"""
SYSTEMS = {"icd": ICD_10_CM, "sct": SNOMED_CT}


@pytest.mark.parametrize("case", rows(NAMED), ids=lambda case: case["code"])
def test_a_confounder_is_named_with_its_condition(case: dict[str, str]) -> None:
    found = one(condition(id="c1", code=(SYSTEMS[case["system"]], case["code"]), recorded="2026-01-05"))
    assert (found.criterion, found.answer) == (case["as"], Answer.MET)
    assert found.evidence == ("Condition/c1",)
    assert "recorded 2026-01-05" in found.text


NOT_NAMED = """
    code    | because
    --------+-------------------------------------------
    F17.210 | smoking tells why bupropion was given
    F17.2   | the same
    Z87.891 | the same, and past
    G43.9   | migraine tells why amitriptyline was given
    M79.7   | so does fibromyalgia
    G47.00  | insomnia tells why trazodone was given
    F41.1   | anxiety goes with depression too often
    F32.A   | depression that is not further told
    F34.1   | depression of another kind
    F10.21  | in remission
    F50.25  | in remission
    F33.1   | the depression itself
    F33.42  | its remission
    I10     | no row of ours
"""


@pytest.mark.parametrize("case", rows(NOT_NAMED), ids=lambda case: case["because"])
def test_noise_is_not_named(case: dict[str, str]) -> None:
    assert named(condition(id="c1", code=(ICD_10_CM, case["code"]))) == ()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Borderline personality disorder", "personality disorder"),
        ("Emotionally unstable personality disorder", "personality disorder"),
        ("PTSD", "post-traumatic stress disorder"),
        ("Alcohol use disorder", "substance use"),
        ("Hypothyroidism", "hypothyroidism"),
        ("Pregnant", "pregnancy"),
        ("Obstructive sleep apnea (disorder)", "sleep apnoea"),
    ],
)
def test_words_name_it_too(words: str, name: str) -> None:
    assert one(condition(code=words, recorded="2026-06-01")).criterion == name


@pytest.mark.parametrize("words", ["No hypothyroidism", "Family history of alcohol dependence", "Knee pain"])
def test_words_that_deny_it_name_nothing(words: str) -> None:
    assert named(condition(code=words)) == ()


def test_every_category_of_a_confounder_or_exclusion_is_decided_in_the_table() -> None:
    def table(name: str) -> list[dict[str, str]]:
        return list(
            csv.DictReader(files("cds_service.tables").joinpath(name).read_text("utf-8").splitlines())
        )

    roles = (DiagnosisRole.CONFOUNDER, DiagnosisRole.EXCLUSION)
    wanted = {row["category"] for row in table("conditions.csv") if ROLES[row["role"]] in roles}
    decided = {row["category"] for row in table("check_first.csv")}
    assert wanted <= decided
    assert decided - wanted == {"peripartum_depression", "psychotic_depression"}
    assert all(row["source"] and row["why"] for row in table("check_first.csv"))


# --- certain, suspected, over -----------------------------------------------------------------------------

STATES = """
    verification     | clinical   | answer  | says
    -----------------+------------+---------+---------------------------
                     |            | met     |
    confirmed        | active     | met     |
    confirmed        | recurrence | met     |
    provisional      | active     | unknown | suspected and not confirmed
    differential     |            | unknown | suspected and not confirmed
    unconfirmed      |            | unknown | suspected and not confirmed
    confirmed        | unheard-of | unknown | may be over
    refuted          | active     |         |
    entered-in-error |            |         |
    confirmed        | inactive   |         |
    confirmed        | resolved   |         |
    confirmed        | remission  |         |
    provisional      | resolved   |         |
"""


@pytest.mark.parametrize("case", rows(STATES), ids=lambda case: f"{case['verification']} {case['clinical']}")
def test_a_current_one_is_named_as_certain_or_suspected(case: dict[str, str]) -> None:
    found = named(
        condition(
            code=(ICD_10_CM, "E03.9"),
            recorded="2026-01-05",
            verification=case["verification"] or None,
            clinical=case["clinical"] or None,
        )
    )
    assert [finding.answer.value for finding in found] == ([case["answer"]] if case["answer"] else [])
    assert all(case["says"] in finding.text for finding in found)
    doubts = ("suspected", "may be over")
    assert all(case["says"] or not any(doubt in finding.text for doubt in doubts) for finding in found)


def test_one_without_a_date_says_so() -> None:
    resource = {key: value for key, value in condition(code="PTSD").items() if key != "recordedDate"}
    resource.pop("onsetDateTime", None)
    assert "day not known" in one(resource).text


@pytest.mark.parametrize(("days", "is_named"), [(0, True), (364, True), (365, True), (366, False)])
def test_a_pregnancy_is_over_when_no_pregnancy_lasts_so_long(days: int, is_named: bool) -> None:
    recorded = (ON - timedelta(days)).isoformat()
    found = named(condition(code=(ICD_10_CM, "Z33.1"), recorded=recorded))
    assert [finding.criterion for finding in found] == (["pregnancy"] if is_named else [])


def test_a_hypothyroidism_of_long_ago_is_still_named() -> None:
    assert one(condition(code=(ICD_10_CM, "E03.9"), recorded="1999-01-01")).answer is Answer.MET


# --- order, one a category --------------------------------------------------------------------------------


def test_the_newest_stands_first_and_each_category_once() -> None:
    found = named(
        condition(id="old", code=(ICD_10_CM, "F10.20"), recorded="2019-02-01"),
        condition(id="thyroid", code=(ICD_10_CM, "E03.9"), recorded="2026-02-01"),
        condition(id="new", code=(ICD_10_CM, "F11.20"), recorded="2024-02-01"),
        condition(id="ptsd", code=(ICD_10_CM, "F43.10"), recorded="2025-02-01"),
    )
    assert [finding.criterion for finding in found] == [
        "hypothyroidism",
        "post-traumatic stress disorder",
        "substance use",
    ]
    assert found[2].evidence == ("Condition/new", "Condition/old")
    assert "Opioid dependence, uncomplicated, recorded 2024-02-01" in found[2].text


def test_a_certain_one_stands_for_the_category_before_a_newer_suspicion() -> None:
    found = named(
        condition(id="sure", code=(ICD_10_CM, "F10.20"), recorded="2019-02-01"),
        condition(id="maybe", code=(ICD_10_CM, "F11.20"), recorded="2024-02-01", verification="provisional"),
    )
    assert len(found) == 1
    assert found[0].answer is Answer.MET
    assert found[0].evidence == ("Condition/sure", "Condition/maybe")


# --- exclusions of other definitions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exclusions", "names"), [(("bipolar",), ["dementia"]), (("bipolar", "dementia"), []), ((), ["dementia"])]
)
def test_what_this_definition_does_not_exclude_is_named(
    exclusions: tuple[str, ...], names: list[str]
) -> None:
    found = named(condition(code=(ICD_10_CM, "F03.90"), recorded="2026-01-01"), exclusions=exclusions)
    assert [finding.criterion for finding in found] == names


@pytest.mark.parametrize(
    ("passing", "names"), [((), ["substance-induced mood disorder"]), (("substance_induced_mood",), [])]
)
def test_one_that_passes_is_not_named_once_it_is_over(passing: tuple[str, ...], names: list[str]) -> None:
    found = named(
        condition(code=(ICD_10_CM, "F10.24"), recorded="2026-01-01", clinical="resolved"),
        exclusions=(),
        passing_exclusions=passing,
    )
    assert [finding.criterion for finding in found] == names


def test_a_confounder_that_this_definition_excludes_is_not_named_as_well() -> None:
    dependence = condition(code=(ICD_10_CM, "F10.20"), recorded="2026-01-01")
    assert [finding.criterion for finding in named(dependence)] == ["substance use"]
    assert named(dependence, exclusions=("substance_use",)) == ()


# --- they never change a verdict --------------------------------------------------------------------------

DEFINITIONS = load_definitions()
TRIALS = """
    drug        | first_day  | last_day   | mg_per_day
    ------------+------------+------------+-----------
    sertraline  | 2025-09-01 | 2025-11-24 | 100
    venlafaxine | 2025-11-25 | 2026-03-15 | 150
"""
FAILED_TWO = history(TRIALS, scores(("2025-08-28", 19), ("2025-11-20", 17), ("2026-03-12", 18)))
days = st.none() | st.dates(date(2015, 1, 1), date(2026, 12, 31))
confounders = st.builds(
    Diagnosis,
    role=st.just(DiagnosisRole.CONFOUNDER),
    category=st.sampled_from(["substance_use", "ptsd", "pregnancy", "hypothyroidism", "anxiety"]),
    text=st.just("a confounder"),
    holds=st.sampled_from(Answer),
    recorded=days,
    ended=days,
    reference=st.sampled_from(["Condition/1", "Condition/2"]),
    is_current=st.sampled_from(Answer),
    severity=st.sampled_from(["", "mild", "severe"]),
    onset=days,
    check_first=st.sampled_from([None, CheckFirst("ptsd", "why")]),
)


@given(added=st.lists(confounders, max_size=4), definition_id=st.sampled_from(sorted(DEFINITIONS)))
@settings(max_examples=examples(60), deadline=None)
def test_confounders_never_change_a_verdict(added: list[Diagnosis], definition_id: str) -> None:
    definition = DEFINITIONS[definition_id]
    plain = assess_history(FAILED_TWO, definition, ON)
    with_them = assess_history(replace(FAILED_TWO, diagnoses=(*FAILED_TWO.diagnoses, *added)), definition, ON)
    assert (with_them.verdict, with_them.reasons) == (plain.verdict, plain.reasons)
    assert with_them.other_verdicts == plain.other_verdicts
    assert with_them.failed_at_least == plain.failed_at_least
    assert with_them.failed_at_most == plain.failed_at_most


@given(diagnoses=st.lists(confounders, max_size=6))
def test_each_category_is_named_at_most_once_and_never_a_refuted_one(diagnoses: list[Diagnosis]) -> None:
    known = History("Patient/p1", diagnoses=tuple(diagnoses))
    found = find_confounders(known, a_definition(), ON)
    assert len(found) <= len({d.category for d in diagnoses if d.check_first})
    assert all(finding.answer is not Answer.NOT_MET and finding.evidence for finding in found)
    may_hold = {d.reference for d in diagnoses if Answer.NOT_MET not in (d.holds, d.is_current)}
    assert {reference for finding in found for reference in finding.evidence} <= may_hold


# --- exclusions and age -----------------------------------------------------------------------------------

EXCLUDING = """
    code    | verification | clinical | verdict
    --------+--------------+----------+--------------
    F31.32  | confirmed    | active   | excluded
    F31.32  | provisional  | active   | indeterminate
    F31.32  | refuted      | active   | met
    F31.32  | confirmed    | resolved | excluded
    F31.76  | confirmed    | active   | excluded
    F20.0   | confirmed    | active   | excluded
    F20.0   | differential | active   | indeterminate
    F20.0   | confirmed    | resolved | excluded
    F53.1   | confirmed    | active   | excluded
    F03.90  | confirmed    | active   | excluded
    F03.90  | refuted      | active   | met
    F10.27  | confirmed    | active   | excluded
    F06.31  | confirmed    | active   | excluded
    F06.31  | confirmed    | resolved | met
    F06.31  | provisional  | active   | indeterminate
    F10.14  | confirmed    | active   | excluded
    F10.24  | confirmed    | active   | excluded
    F10.24  | confirmed    | resolved | met
    F10.24  | provisional  | resolved | met
    F10.20  | confirmed    | active   | met
"""


@pytest.mark.parametrize(
    "case", rows(EXCLUDING), ids=lambda case: f"{case['code']} {case['verification']} {case['clinical']}"
)
def test_what_excludes(case: dict[str, str]) -> None:
    resource = condition(
        code=(ICD_10_CM, case["code"]),
        recorded="2026-01-05",
        verification=case["verification"],
        clinical=case["clinical"],
    )
    read = read_conditions([Entry(MDD, None, "entry[0]"), Entry(resource, None, "entry[1]")], ON)
    person = replace(FAILED_TWO, diagnoses=read.diagnoses)
    assert assess_history(person, DEFINITIONS["default-configurable"], ON).verdict.value == case["verdict"]


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("Bipolar II disorder", "excluded"),
        ("Rule out bipolar", "indeterminate"),
        ("No bipolar disorder", "met"),
        ("Schizophrenia", "excluded"),
        ("Vascular dementia", "excluded"),
        ("Depressive disorder due to hypothyroidism", "indeterminate"),
        ("Alcohol-induced mood disorder", "indeterminate"),
    ],
)
def test_what_excludes_in_words(words: str, verdict: str) -> None:
    read = read_conditions([Entry(MDD, None, "entry[0]"), Entry(condition(code=words), None, "entry[1]")], ON)
    person = replace(FAILED_TWO, diagnoses=read.diagnoses)
    assert assess_history(person, DEFINITIONS["default-configurable"], ON).verdict.value == verdict


AGES = """
    born       | answer  | says
    -----------+---------+-------------------------
    2008-06-30 | met     | 18 years, at least 18
    2008-07-01 | not-met | 17 years: under 18
    2018-01-01 | not-met | 8 years: under 18
"""


@pytest.mark.parametrize("case", rows(AGES), ids=lambda case: case["born"])
def test_under_18_is_its_own_answer(case: dict[str, str]) -> None:
    born = date.fromisoformat(case["born"])
    person = replace(FAILED_TWO, born_earliest=born, born_latest=born)
    assessment = assess_history(person, DEFINITIONS["default-configurable"], ON)
    (age,) = (reason for reason in assessment.reasons if reason.criterion == "age")
    assert age.answer.value == case["answer"]
    assert case["says"] in age.text
    assert (assessment.verdict is Verdict.EXCLUDED) == (case["answer"] == "not-met")


def test_an_exclusion_and_an_age_under_18_are_both_given() -> None:
    born = date(2010, 1, 1)
    bipolar = diagnosis(DiagnosisRole.EXCLUSION, "bipolar")
    person = replace(
        FAILED_TWO, born_earliest=born, born_latest=born, diagnoses=(*FAILED_TWO.diagnoses, bipolar)
    )
    assessment = assess_history(person, DEFINITIONS["default-configurable"], ON)
    assert assessment.verdict is Verdict.EXCLUDED
    against = {reason.criterion for reason in assessment.reasons if reason.answer is Answer.NOT_MET}
    assert against == {"no exclusion", "age"}


def test_the_limit_of_a_category_is_that_of_its_row() -> None:
    assert confounder("pregnancy").over_after_days == 365
    assert confounder("hypothyroidism").over_after_days is None
    assert confounder("no such category").check_first is None
