"""Staging methods, item by item: every threshold on, below and above, and what leaves an item open."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.respond import assess_history
from cds_service.trd.answers import Answer
from cds_service.trd.model import (
    CompanionKind,
    Staging,
    StagingItem,
    Verdict,
)
from cds_service.trd.parameters import (
    Definition,
    Distinctness,
    Rule,
    StagingRule,
)
from cds_service.trd.record import (
    AddOn,
    Diagnosis,
    DiagnosisRole,
    Drug,
    History,
    Prescription,
    Procedure,
    ProcedureKind,
    Scale,
    StopReason,
    Topic,
    Unread,
    UnreadScore,
)
from tests.conftest import examples
from tests.spec.assessments import a_definition
from tests.spec.people import DRUGS, diagnosis, history, orders, scores
from tests.spec.texttables import rows

ON = date(2026, 6, 30)
PHQ9 = Scale(
    "PHQ-9",
    0,
    27,
    4,
    True,
    1,
    bands=((4, "minimal"), (9, "mild"), (14, "moderate"), (19, "moderately severe"), (27, "severe")),
)
HAMD = Scale(
    "HAM-D 17", 0, 52, 7, True, 3, bands=((7, "none"), (16, "mild"), (23, "moderate"), (52, "severe"))
)

# --- the methods, as the tables of their sources give them ------------------------------------------------

MSM = StagingRule(
    "msm",
    points=(
        ("duration", "<=12 months", 1),
        ("duration", "13-24 months", 2),
        ("duration", ">24 months", 3),
        ("severity", "subsyndromal", 1),
        ("severity", "mild", 2),
        ("severity", "moderate", 3),
        ("severity", "severe without psychosis", 4),
        ("severity", "severe with psychosis", 5),
        ("failures", "1-2", 1),
        ("failures", "3-4", 2),
        ("failures", "5-6", 3),
        ("failures", "7-10", 4),
        ("failures", ">10", 5),
        ("augmentation", "not used", 0),
        ("augmentation", "used", 1),
        ("ect", "not used", 0),
        ("ect", "used", 1),
    ),
    bands=((3, 6, "mild"), (7, 10, "moderate"), (11, 15, "severe")),
    met_from=5,
)
MGH = StagingRule(
    "mgh-s",
    points=(
        ("trials", "per failed trial", 1),
        ("optimisation", "per optimisation", 0.5),
        ("augmentation", "per augmentation", 0.5),
        ("ect", "used", 3),
    ),
    met_from=4,
)
THASE_RUSH = StagingRule(
    "thase-rush",
    points=tuple(("stage", level, n) for n, level in enumerate(("0", "I", "II", "III", "IV", "V"))),
    bands=tuple((n, n, f"stage {level}") for n, level in enumerate(("0", "I", "II", "III", "IV", "V"))),
)
WEEKS = {
    "A": (6, 8),
    "TRD1": (12, 16),
    "TRD2": (18, 24),
    "TRD3": (24, 32),
    "TRD4": (30, 40),
    "TRD5": (36, 52),
}
EUROPEAN_STAGES = ("none", *WEEKS, "CRD")
EUROPEAN = StagingRule(
    "esm-souery",
    points=(
        *(("stage", level, n) for n, level in enumerate(EUROPEAN_STAGES)),
        *(("weeks from", level, first) for level, (first, _) in WEEKS.items()),
        *(("weeks to", level, last) for level, (_, last) in WEEKS.items()),
        ("months from", "CRD", 12),
    ),
    bands=tuple((n, n, level) for n, level in enumerate(EUROPEAN_STAGES)),
)


def by(rule: StagingRule, **given: Any) -> Definition:
    """A definition that is this method; without other words all failed trials of the last ten years count."""
    values = {
        "id": rule.method,
        "title": rule.method.upper(),
        "staging": rule,
        "rule": Rule.SCORE if rule.met_from else Rule.FAILED_TRIALS,
        "needed_failed_trials": int(rule.met_from or 2),
        "distinctness": Distinctness.CLASS if rule is EUROPEAN else Distinctness.AGENT,
        "lookback_days": 3650,
        "exclusions": ("bipolar",),
        "notes": "What its source says.",
        "source": "a source (seen)",
    }
    return a_definition(**{**values, **given})


def staged(patient: History, rule: StagingRule, **given: Any) -> Staging:
    return assess_history(patient, by(rule, **given), ON).staging[0]


def item(patient: History, rule: StagingRule, name: str, **given: Any) -> StagingItem:
    (found,) = (found for found in staged(patient, rule, **given).items if found.name == name)
    return found


def span(found: StagingItem | Staging) -> str:
    return f"{found.low:g}" if found.low == found.high else f"{found.low:g}-{found.high:g}"


# --- people -----------------------------------------------------------------------------------------------

MORE_DRUGS = {
    name: Drug(name, name, None, drug_class, drug_class, {"lenient": 50.0, "default": 50.0})
    for name, drug_class in (
        ("amitriptyline", "TCA"),
        ("nortriptyline", "TCA"),
        ("opipramol", "TCA-like"),
        ("phenelzine", "MAOI"),
        ("moclobemide", "RIMA"),
        *((f"drug {number}", f"class {number}") for number in range(1, 13)),
    )
}
ALL_DRUGS = {**DRUGS, **MORE_DRUGS}
LITHIUM = Drug("lithium", "lithium", None, "mood stabiliser", "", {"default": 600.0}, add_on=AddOn(28))


def took(*lines: str) -> tuple[Prescription, ...]:
    """Orders from lines of drug, first day, last day, mg a day, and why it was stopped (else: no effect)."""
    table = "\n".join(
        ["drug | first_day | last_day | mg_per_day | stop"]
        + [line if line.count("|") == 4 else f"{line} | inefficacy" for line in lines]
    )
    return tuple(replace(order, drug=ALL_DRUGS.get(order.name)) for order in orders(table))


def someone(*lines: str, **given: Any) -> History:
    """Someone with these orders; moderate depression since 2025-09-01 unless told otherwise."""
    values = {"diagnoses": (depressed(),)} | given
    return replace(history("", **values), prescriptions=took(*lines))


def depressed(
    onset: str | None = "2025-09-01",
    severity: str = "moderate",
    category: str = "mdd",
    recorded: str | None = "2025-09-01",
    holds: Answer = Answer.MET,
    is_current: Answer = Answer.MET,
) -> Diagnosis:
    day = date.fromisoformat(onset) if onset else None
    found = diagnosis(DiagnosisRole.DEPRESSION, category, recorded, holds, is_current)
    return replace(found, onset=day, severity=severity)


TWO = (
    "sertraline | 2025-09-01 | 2025-11-24 | 100",
    "venlafaxine | 2025-11-25 | 2026-03-15 | 150",
)


def failed(count: int) -> tuple[str, ...]:
    """So many trials of 60 days, of one class each, one after the other until 2026-03-31."""
    months = [(2024 + (month // 12), month % 12 + 1) for month in range(27 - 2 * count, 27, 2)]
    return tuple(
        f"drug {number} | {year}-{month:02}-01 | {_last_day(year, month)} | 50"
        for number, (year, month) in enumerate(months, 1)
    )


def _last_day(year: int, month: int) -> str:
    """Six weeks on."""
    return date.fromordinal(date(year, month, 1).toordinal() + 41).isoformat()


# --- vignettes, by hand -----------------------------------------------------------------------------------
# 1: F33.1 recorded 2024-11-01 (20 months: 2, or 3 if it began before), PHQ-9 18 (moderately severe: 3 or 4),
#    two failures (1), no augmentation, no ECT.
# 4: fluoxetine and citalopram, of one class. 16: no scores, so perhaps no failure at all.

VIGNETTES = """
    vignette | method     | result  | low_text                  | high_text
    ---------+------------+---------+---------------------------+-----------
    1        | msm        | 6-8     | mild                      | moderate
    1        | mgh-s      | 2-3     | 2 points                  | 3 points
    1        | thase-rush | 2       | stage II                  | stage II
    1        | esm-souery | 4       | TRD3                      | TRD3
    4        | msm        | 6-8     | mild                      | moderate
    4        | mgh-s      | 2-3     | 2 points                  | 3 points
    4        | thase-rush | 1       | stage I                   | stage I
    4        | esm-souery | 1       | A                         | A
    16       | msm        | 0-8     | does not apply: no failed trial | moderate
    16       | mgh-s      | 0-4.5   | 0 points                  | 4.5 points
    16       | thase-rush | 0-2     | stage 0                   | stage II
    16       | esm-souery | 0-6     | none                      | TRD5
"""
# 16: the third drug, mirtazapine, is a class of its own: three classes, 107 + 117 + 109 days = 47.6 weeks.
RULES = {rule.method: rule for rule in (MSM, MGH, THASE_RUSH, EUROPEAN)}
SINCE_2024 = (replace(diagnosis(), severity="moderate"),)
PATIENTS = {
    "1": history(
        """
        drug        | first_day  | last_day   | mg_per_day
        sertraline  | 2025-09-01 | 2025-11-24 | 100
        venlafaxine | 2025-11-25 | 2026-03-15 | 150
        """,
        scores(("2025-08-28", 19), ("2025-11-20", 17), ("2026-03-12", 18), scale=PHQ9),
        SINCE_2024,
    ),
    "4": history(
        """
        drug        | first_day  | last_day   | mg_per_day
        sertraline  | 2025-08-01 | 2025-10-31 | 100
        citalopram  | 2025-11-01 | 2026-02-10 | 40
        """,
        scores(("2025-07-30", 20), ("2025-10-29", 18), ("2026-02-08", 17), scale=PHQ9),
        SINCE_2024,
    ),
    "16": history(
        """
        drug        | first_day  | last_day   | mg_per_day
        citalopram  | 2025-06-01 | 2025-09-15 | 40
        venlafaxine | 2025-09-16 | 2026-01-10 | 150
        mirtazapine | 2026-01-12 | 2026-04-30 | 30
        """,
        (),
        SINCE_2024,
    ),
}


@pytest.mark.parametrize("case", rows(VIGNETTES), ids=lambda case: f"{case['vignette']} {case['method']}")
def test_vignettes_staged_by_hand(case: dict[str, str]) -> None:
    found = staged(PATIENTS[case["vignette"]], RULES[case["method"]], lookback_days=730)
    assert (span(found), found.low_text, found.high_text) == (
        case["result"],
        case["low_text"],
        case["high_text"],
    )


def test_a_method_names_its_source_its_notes_and_what_it_may_not_reproduce() -> None:
    found = staged(PATIENTS["1"], MSM)
    assert (found.method, found.title, found.source) == ("msm", "MSM", "a source (seen)")
    assert found.note.startswith("What its source says. ATHF-SF and MGH-ATRQ need their owners' permission")
    assert [one.name for one in found.items] == ["duration", "severity", "failures", "augmentation", "ect"]
    assert all(one.text for one in found.items)


def test_a_definition_that_is_no_staging_method_has_no_stage() -> None:
    unknown = StagingRule("a method of which nothing is known")
    for definition in (a_definition(staging=unknown), a_definition()):
        methods = [found.method for found in assess_history(PATIENTS["1"], definition, ON).staging]
        assert unknown.method not in methods


# --- MSM: duration ----------------------------------------------------------------------------------------

DURATIONS = """
    onset      | recorded   | points | says
    -----------+------------+--------+-----------------
    2026-06-30 | 2026-06-30 | 1      | 0 months
    2026-06-29 | 2026-06-29 | 1      | 1 months
    2025-07-01 | 2025-07-01 | 1      | 12 months
    2025-06-30 | 2025-06-30 | 1      | 12 months
    2025-06-29 | 2025-06-29 | 2      | 13 months
    2024-07-01 | 2024-07-01 | 2      | 24 months
    2024-06-30 | 2024-06-30 | 2      | 24 months
    2024-06-29 | 2024-06-29 | 3      | 25 months
    2010-01-01 | 2024-06-29 | 3      | 198 months
               | 2026-06-01 | 1-3    | 1 months or more
               | 2025-06-29 | 2-3    | 13 months or more
               | 2024-06-29 | 3      | 25 months or more
               |            | 1-3    | not known
"""


@pytest.mark.parametrize("case", rows(DURATIONS), ids=lambda case: f"{case['onset']} {case['recorded']}")
def test_msm_duration(case: dict[str, str]) -> None:
    illness = depressed(case["onset"] or None, recorded=case["recorded"] or None)
    found = item(someone(*TWO, diagnoses=(illness,)), MSM, "duration")
    assert span(found) == case["points"]
    assert case["says"] in found.text
    assert found.evidence == (("Condition/mdd",) if case["recorded"] else ())


# --- MSM: severity ----------------------------------------------------------------------------------------

BY_SCORE = """
    scale | total | points
    ------+-------+-------
    phq9  | 0     | 1
    phq9  | 4     | 1
    phq9  | 5     | 2
    phq9  | 9     | 2
    phq9  | 10    | 3
    phq9  | 14    | 3
    phq9  | 15    | 3-4
    phq9  | 19    | 3-4
    phq9  | 20    | 4
    phq9  | 27    | 4
    hamd  | 7     | 1
    hamd  | 8     | 2
    hamd  | 16    | 2
    hamd  | 17    | 3
    hamd  | 23    | 3
    hamd  | 24    | 4
"""
SCALES = {"phq9": PHQ9, "hamd": HAMD}


@pytest.mark.parametrize("case", rows(BY_SCORE), ids=lambda case: f"{case['scale']} {case['total']}")
def test_msm_severity_by_the_bands_of_the_newest_score(case: dict[str, str]) -> None:
    scale = SCALES[case["scale"]]
    measured = scores(("2025-10-01", 12), ("2026-06-01", float(case["total"])), scale=scale)
    found = item(someone(*TWO, scores=measured, diagnoses=(depressed(severity="mild"),)), MSM, "severity")
    assert span(found) == case["points"]
    assert f"{scale.name} {case['total']}" in found.text
    assert "on 2026-06-01" in found.text
    assert found.evidence == (f"Observation/{scale.name}-2026-06-01",)


BY_DIAGNOSIS = """
    severity | category             | holds   | current | points
    ---------+----------------------+---------+---------+-------
    mild     | mdd                  | met     | met     | 2
    moderate | mdd                  | met     | met     | 3
    severe   | mdd                  | met     | met     | 4
             | mdd                  | met     | met     | 1-4
    severe   | mdd                  | unknown | met     | 1-4
    severe   | mdd                  | met     | not-met | 1-4
    severe   | psychotic_depression | met     | met     | 5
    severe   | psychotic_depression | unknown | met     | 1-5
    severe   | psychotic_depression | met     | unknown | 1-5
    severe   | psychotic_depression | not-met | met     | 1-4
    severe   | psychotic_depression | met     | not-met | 1-4
             | psychotic_depression | met     | met     | 1-5
"""


@pytest.mark.parametrize("case", rows(BY_DIAGNOSIS), ids=lambda case: "-".join(case.values()))
def test_msm_severity_by_the_diagnosis_where_no_score_tells(case: dict[str, str]) -> None:
    illness = depressed(
        severity=case["severity"],
        category=case["category"],
        holds=Answer(case["holds"]),
        is_current=Answer(case["current"]),
    )
    assert span(item(someone(*TWO, diagnoses=(illness,)), MSM, "severity")) == case["points"]


PSYCHOSIS = """
    total | holds   | current | points
    ------+---------+---------+-------
    22    | met     | met     | 5
    22    | unknown | met     | 4-5
    22    | not-met | met     | 4
    22    | met     | not-met | 4
    17    | met     | met     | 3-5
    12    | met     | met     | 3-5
    12    | not-met | met     | 3
"""


@pytest.mark.parametrize("case", rows(PSYCHOSIS), ids=lambda case: "-".join(case.values()))
def test_msm_psychotic_features_beside_a_score(case: dict[str, str]) -> None:
    psychotic = depressed(
        severity="severe",
        category="psychotic_depression",
        holds=Answer(case["holds"]),
        is_current=Answer(case["current"]),
    )
    measured = scores(("2026-06-01", float(case["total"])), scale=PHQ9)
    person = someone(*TWO, scores=measured, diagnoses=(depressed(), psychotic))
    assert span(item(person, MSM, "severity")) == case["points"]


def test_msm_the_newer_of_two_diagnoses_tells_and_two_of_one_day_both() -> None:
    older = depressed(severity="mild", recorded="2025-09-01")
    newer = replace(depressed(severity="severe", recorded="2026-01-01"), reference="Condition/newer")
    assert span(item(someone(*TWO, diagnoses=(older, newer)), MSM, "severity")) == "4"
    same_day = replace(newer, recorded=older.recorded)
    assert span(item(someone(*TWO, diagnoses=(older, same_day)), MSM, "severity")) == "2-4"


def test_msm_scores_of_two_scales_on_one_day_make_a_range() -> None:
    measured = (*scores(("2026-06-01", 12), scale=PHQ9), *scores(("2026-06-01", 30), scale=HAMD))
    assert span(item(someone(*TWO, scores=measured), MSM, "severity")) == "3-4"


@pytest.mark.parametrize(
    ("first", "last", "points"),
    [
        (None, None, "1-4"),
        (date(2026, 6, 1), date(2026, 6, 1), "1-4"),
        (date(2026, 5, 31), date(2026, 5, 31), "3"),
        (date(2026, 7, 1), None, "3"),
    ],
)
def test_msm_a_score_that_could_not_be_read_and_may_be_newer_leaves_severity_open(
    first: date | None, last: date | None, points: str
) -> None:
    person = someone(
        *TWO,
        scores=scores(("2026-06-01", 12), scale=PHQ9),
        unread_scores=(UnreadScore("Observation/x", None, first, last),),
    )
    assert span(item(person, MSM, "severity")) == points


@pytest.mark.parametrize(
    ("day", "points"), [("2025-08-31", "2"), ("2025-09-01", "4"), ("2026-06-30", "4"), ("2026-07-01", "2")]
)
def test_msm_severity_is_that_of_the_current_episode_until_today(day: str, points: str) -> None:
    person = someone(
        *TWO, scores=scores((day, 25), scale=PHQ9), diagnoses=(depressed("2025-09-01", severity="mild"),)
    )
    assert span(item(person, MSM, "severity")) == points


def test_msm_a_scale_without_bands_and_a_band_without_a_level_tell_nothing() -> None:
    plain = replace(PHQ9, bands=())
    odd = replace(PHQ9, bands=((27, "possible"),))
    for scale, points in ((plain, "2"), (odd, "1-4")):
        person = someone(
            *TWO, scores=scores(("2026-06-01", 25), scale=scale), diagnoses=(depressed(severity="mild"),)
        )
        assert span(item(person, MSM, "severity")) == points


def test_msm_a_diagnosis_that_could_not_be_read_may_be_a_psychosis() -> None:
    unread = (Unread("Condition/9", "not readable", (Topic.DIAGNOSIS,)),)
    for total, points in ((25, "4-5"), (12, "3")):
        person = someone(*TWO, scores=scores(("2026-06-01", total), scale=PHQ9), unread=unread)
        assert span(item(person, MSM, "severity")) == points


# --- MSM: failures ----------------------------------------------------------------------------------------

FAILURES = """
    failed | points
    -------+-------
    1      | 1
    2      | 1
    3      | 2
    4      | 2
    5      | 3
    6      | 3
    7      | 4
    10     | 4
    11     | 5
    12     | 5
"""


@pytest.mark.parametrize("case", rows(FAILURES), ids=lambda case: case["failed"])
def test_msm_failures(case: dict[str, str]) -> None:
    found = item(someone(*failed(int(case["failed"]))), MSM, "failures")
    assert span(found) == case["points"]
    trials = "1 failed trial" if case["failed"] == "1" else f"{case['failed']} failed trials"
    assert found.text.startswith(f"{trials}: drug 1")
    assert len(found.evidence) == int(case["failed"])


def test_msm_does_not_apply_without_a_failed_trial() -> None:
    response = scores(("2025-08-28", 20), ("2025-11-20", 4), scale=PHQ9)
    for person in (someone(), someone(f"{TWO[0]} | none given", scores=response)):
        found = staged(person, MSM)
        assert (found.low, found.high) == (0, 0)
        assert found.low_text == found.high_text == "does not apply: no failed trial"
        assert item(person, MSM, "failures").text == "no failed trial: the method does not apply"
        assert assess_history(person, by(MSM), ON).verdict is Verdict.NOT_MET


def test_msm_failures_that_are_only_possible_make_a_range_from_none() -> None:
    person = someone(f"{TWO[0]} | none given")
    assert span(item(person, MSM, "failures")) == "0-1"
    found = staged(person, MSM)
    assert (found.low, found.low_text, found.high) == (0, "does not apply: no failed trial", 5)
    assert assess_history(person, by(MSM), ON).verdict is Verdict.INDETERMINATE


def test_msm_orders_that_could_not_be_read_may_be_failed_trials_and_augmentation() -> None:
    person = someone(*TWO, unread=(Unread("MedicationRequest/9", "not readable", (Topic.DRUG,)),))
    assert span(item(person, MSM, "failures")) == "1-2"
    assert span(item(person, MSM, "augmentation")) == "0-1"
    assert "MedicationRequest/9" in item(person, MSM, "failures").evidence
    search = someone(*TWO, unread=(Unread("MedicationRequest?patient=p1", "failed", (Topic.DRUGS,)),))
    assert span(item(search, MSM, "failures")) == "1-5"


# --- MSM and MGH-S: augmentation and combination ----------------------------------------------------------

AUGMENTATION = """
    agent     | first_day  | last_day   | mg  | use     | days      | msm | mgh
    ----------+------------+------------+-----+---------+-----------+-----+------
    lithium   | 2026-01-01 | 2026-01-28 | 600 | met     | certain   | 1   | 0.5
    lithium   | 2026-01-01 | 2026-01-27 | 600 | met     | certain   | 0-1 | 0-0.5
    lithium   | 2026-01-01 | 2026-01-28 | 599 | met     | certain   | 0   | 0
    lithium   | 2026-01-01 | 2026-01-28 | ?   | met     | certain   | 0-1 | 0-0.5
    lithium   | 2026-01-01 | 2026-01-28 | 600 | unknown | certain   | 0-1 | 0-0.5
    lithium   | 2026-01-01 | 2026-01-28 | 600 | not-met | certain   | 0   | 0
    lithium   | 2026-01-01 | 2026-01-28 | 600 | met     | uncertain | 0-1 | 0-0.5
    lithium   | 2026-02-16 | 2026-05-31 | 600 | met     | certain   | 1   | 0.5
    lithium   | 2026-02-17 | 2026-05-31 | 600 | met     | certain   | 0-1 | 0-0.5
    lithium   | 2026-03-15 | 2026-05-31 | 600 | met     | certain   | 0-1 | 0-0.5
    lithium   | 2026-03-16 | 2026-05-31 | 600 | met     | certain   | 0   | 0
    lithium   | 2024-01-01 | 2025-08-31 | 600 | met     | certain   | 0   | 0
    no length | 2026-01-01 | 2026-03-15 | 600 | met     | certain   | 0-1 | 0-0.5
    stimulant | 2026-01-01 | 2026-03-15 | 600 | met     | certain   | 0   | 0
"""
ADD_ONS = {
    "lithium": LITHIUM,
    "no length": replace(LITHIUM, ingredient="no length", agent="no length", add_on=AddOn(None)),
    "stimulant": replace(
        LITHIUM,
        ingredient="stimulant",
        agent="stimulant",
        add_on=AddOn(28, counts=False, why_not="not counted"),
    ),
}


def added(row: dict[str, str]) -> tuple[Prescription, ...]:
    table = (
        "drug | first_day | last_day | mg_per_day | use | days\n"
        f"{row['agent']} | {row['first_day']} | {row['last_day']} | {row['mg']} | {row['use']} | {row['days']}"
    )
    return tuple(
        replace(order, drug=ADD_ONS[row["agent"]], reference="MedicationRequest/added")
        for order in orders(table)
    )


@pytest.mark.parametrize("case", rows(AUGMENTATION), ids=lambda case: "-".join(case.values()))
def test_augmentation(case: dict[str, str]) -> None:
    person = someone(*TWO, add_ons=added(case))
    maudsley, massachusetts = (item(person, rule, "augmentation") for rule in (MSM, MGH))
    assert (span(maudsley), span(massachusetts)) == (case["msm"], case["mgh"])
    if case["msm"] != "0":
        assert maudsley.evidence[0] == "MedicationRequest/added"
        assert f"{case['agent']} beside" in maudsley.text


def test_the_days_of_two_orders_of_one_agent_count_once() -> None:
    row = {"agent": "lithium", "mg": "600", "use": "met", "days": "certain"}
    first = added({**row, "first_day": "2026-01-01", "last_day": "2026-01-14"})
    twice = (*first, *first)
    then = (*first, *added({**row, "first_day": "2026-01-15", "last_day": "2026-01-28"}))
    assert span(item(someone(*TWO, add_ons=twice), MSM, "augmentation")) == "0-1"
    assert span(item(someone(*TWO, add_ons=then), MSM, "augmentation")) == "1"


def test_two_augmenting_agents_count_twice_for_mgh_s_and_once_for_msm() -> None:
    row = {"mg": "600", "use": "met", "days": "certain", "first_day": "2026-01-01", "last_day": "2026-03-01"}
    add_ons = (*added({**row, "agent": "lithium"}), *added({**row, "agent": "no length"}))
    person = someone(*TWO, add_ons=add_ons)
    assert span(item(person, MSM, "augmentation")) == "1"
    assert span(item(person, MGH, "augmentation")) == "0.5-1"


COMBINATION = """
    second_from | mg  | msm | mgh
    ------------+-----+-----+------
    2025-11-25  | 30  | 0   | 0
    2025-10-28  | 30  | 0   | 0
    2025-10-27  | 30  | 0-1 | 0-0.5
    2025-10-15  | 30  | 0-1 | 0-0.5
    2025-10-14  | 30  | 1   | 0.5
    2025-10-01  | 30  | 1   | 0.5
    2025-10-01  | ?   | 0-1 | 0-0.5
    2025-10-01  | 7.5 | 0   | 0
"""


@pytest.mark.parametrize("case", rows(COMBINATION), ids=lambda case: f"{case['second_from']} {case['mg']}")
def test_two_antidepressants_together_are_a_combination_and_open_while_short(case: dict[str, str]) -> None:
    second = f"mirtazapine | {case['second_from']} | 2026-03-15 | {case['mg']}"
    person = someone(TWO[0], second)
    assert span(item(person, MSM, "augmentation")) == case["msm"]
    assert span(item(person, MGH, "augmentation")) == case["mgh"]


@pytest.mark.parametrize("until", ["2026-01-10", "2026-03-31"])
def test_a_drug_that_is_not_identified_may_have_been_added(until: str) -> None:
    """Also where an antidepressant in its place would be a change from one to another."""
    person = someone(
        *TWO, f"? | 2026-03-10 | {until} | 50" if until > "2026-03" else f"? | 2026-01-01 | {until} | 50"
    )
    assert span(item(person, MSM, "augmentation")) == "0-1"


def test_lithium_beside_an_antidepressant_at_no_adequate_dose_is_open() -> None:
    row = {"agent": "lithium", "mg": "600", "use": "met", "days": "certain"}
    lithium = added({**row, "first_day": "2026-01-01", "last_day": "2026-03-01"})
    person = someone(TWO[0], "venlafaxine | 2025-11-25 | 2026-03-15 | 37.5", add_ons=lithium)
    assert span(item(person, MSM, "augmentation")) == "0-1"


def test_lithium_across_a_change_of_antidepressant_is_one_augmentation() -> None:
    row = {"agent": "lithium", "mg": "600", "use": "met", "days": "certain"}
    lithium = added({**row, "first_day": "2025-10-01", "last_day": "2026-03-01"})
    person = someone(*TWO, add_ons=lithium)
    assert span(item(person, MSM, "augmentation")) == "1"
    assert span(item(person, MGH, "augmentation")) == "0.5"


def test_what_stood_beside_the_trials_of_an_earlier_episode_does_not_count() -> None:
    row = {"agent": "lithium", "mg": "600", "use": "met", "days": "certain"}
    lithium = added({**row, "first_day": "2025-10-01", "last_day": "2025-11-24"})
    remission = scores(
        ("2025-11-25", 2), ("2025-12-24", 1), ("2026-02-25", 1), ("2026-05-01", 20), scale=PHQ9
    )
    person = someone(TWO[0], "venlafaxine | 2026-05-01 | 2026-06-15 | 150", add_ons=lithium, scores=remission)
    assert span(item(person, MSM, "augmentation")) == "0"
    assert span(item(person, MSM, "augmentation", is_current_episode_only=False)) == "1"


@pytest.mark.parametrize(("lookback", "points"), [(425, "1"), (424, "0")])
def test_a_combination_counts_only_where_both_trials_are_in_scope(lookback: int, points: str) -> None:
    """Sertraline ended 425 days ago, venlafaxine went on."""
    person = someone(
        "sertraline | 2025-01-01 | 2025-05-01 | 100 | inefficacy",
        "venlafaxine | 2025-01-01 | 2026-03-15 | 150 | inefficacy",
    )
    found = item(person, MSM, "augmentation", lookback_days=lookback, is_current_episode_only=False)
    assert span(found) == points


def test_augmentation_of_a_trial_that_was_running_when_remission_came_is_open() -> None:
    row = {"agent": "lithium", "mg": "600", "use": "met", "days": "certain"}
    lithium = added({**row, "first_day": "2025-10-01", "last_day": "2025-11-24"})
    remission = scores(
        ("2025-11-20", 2), ("2025-12-24", 1), ("2026-02-25", 1), ("2026-05-01", 20), scale=PHQ9
    )
    person = someone("sertraline | 2025-09-01 | 2026-06-15 | 100", add_ons=lithium, scores=remission)
    found = item(person, MSM, "augmentation")
    assert span(found) == "0-1"
    assert found.text.startswith("lithium beside sertraline: 600 mg/day, at least 600 mg/day needed; 55 days")
    assert "remission" in found.text


def test_why_nothing_counts_as_augmentation_is_said() -> None:
    row = {"agent": "lithium", "mg": "300", "use": "met", "days": "certain"}
    low = added({**row, "first_day": "2026-01-01", "last_day": "2026-03-01"})
    none, too_low = (item(someone(*TWO, add_ons=given), MSM, "augmentation") for given in ((), low))
    assert none.text == "no augmentation and no combination on record"
    assert "below the least dose of 600 mg/day" in too_low.text


@pytest.mark.parametrize("topic", [Topic.DRUG, Topic.ADD_ON])
def test_each_order_that_could_not_be_read_may_be_an_augmentation_for_mgh_s(topic: Topic) -> None:
    lost = [Unread(f"MedicationRequest/{number}", "not readable", (topic,)) for number in (8, 9)]
    person = someone(*TWO, unread=tuple(lost))
    assert span(item(person, MSM, "augmentation")) == "0-1"
    assert span(item(person, MGH, "augmentation")) == "0-1"
    assert item(person, MGH, "augmentation").evidence == ("MedicationRequest/8", "MedicationRequest/9")


# --- ECT --------------------------------------------------------------------------------------------------


def ect(
    first: str | None = "2026-02-01",
    holds: Answer = Answer.MET,
    is_bilateral: Answer = Answer.UNKNOWN,
    kind: ProcedureKind = ProcedureKind.ECT,
) -> Procedure:
    day = date.fromisoformat(first) if first else None
    return Procedure(kind, "ECT", day, day, holds, "Procedure/1", is_bilateral)


ECT = """
    day        | holds   | kind          | msm | mgh
    -----------+---------+---------------+-----+-----
    2025-08-31 | met     | ECT           | 0   | 0
    2025-09-01 | met     | ECT           | 1   | 3
    2026-06-30 | met     | ECT           | 1   | 3
    2026-07-01 | met     | ECT           | 0   | 0
    2026-02-01 | unknown | ECT           | 0-1 | 0-3
    2026-02-01 | not-met | ECT           | 0   | 0
               | met     | ECT           | 0-1 | 0-3
    2026-02-01 | met     | TMS           | 0   | 0
    2026-02-01 | met     | psychotherapy | 0   | 0
"""


@pytest.mark.parametrize("case", rows(ECT), ids=lambda case: "-".join(case.values()))
def test_ect(case: dict[str, str]) -> None:
    given = ect(case["day"] or None, Answer(case["holds"]), kind=ProcedureKind(case["kind"]))
    person = someone(*TWO, procedures=(given,))
    assert (span(item(person, MSM, "ect")), span(item(person, MGH, "ect"))) == (case["msm"], case["mgh"])
    if case["msm"] != "0":
        assert item(person, MSM, "ect").evidence == ("Procedure/1",)


@pytest.mark.parametrize(
    ("not_looked_at", "points"), [((), "0"), (("dispenses",), "0"), (("procedures",), "0-1")]
)
def test_no_ect_is_only_certain_where_procedures_were_looked_at(
    not_looked_at: tuple[str, ...], points: str
) -> None:
    person = someone(*TWO, not_looked_at=not_looked_at)
    assert span(item(person, MSM, "ect")) == points


def test_a_procedure_that_could_not_be_read_may_be_ect() -> None:
    person = someone(*TWO, unread=(Unread("Procedure/9", "not readable", (Topic.PROCEDURE,)),))
    found = item(person, MSM, "ect")
    assert (span(found), found.evidence) == ("0-1", ("Procedure/9",))


def test_ect_of_an_episode_whose_start_is_not_known_may_be_of_this_one() -> None:
    recorded = depressed(onset=None, recorded="2026-01-01")
    for day, points in (("2025-12-31", "0-1"), ("2026-01-01", "1")):
        person = someone(*TWO, procedures=(ect(day),), diagnoses=(recorded,))
        assert span(item(person, MSM, "ect")) == points


def test_ect_counts_within_the_lookback_where_episodes_do_not_matter() -> None:
    person = someone(*TWO, procedures=(ect("2024-07-01"),))
    for days, points in ((729, "3"), (728, "0")):
        assert span(item(person, MGH, "ect", is_current_episode_only=False, lookback_days=days)) == points


# --- the bands of MSM -------------------------------------------------------------------------------------

TOTALS = """
    onset      | total | failed | ect | sum | band
    -----------+-------+--------+-----+-----+---------
    2025-09-01 | 4     | 1      | no  | 3   | mild
    2025-09-01 | 20    | 2      | no  | 6   | mild
    2024-09-01 | 20    | 2      | no  | 7   | moderate
    2020-01-01 | 20    | 4      | yes | 10  | moderate
    2020-01-01 | 20    | 6      | yes | 11  | severe
    2020-01-01 | 20    | 12     | yes | 13  | severe
"""


@pytest.mark.parametrize("case", rows(TOTALS), ids=lambda case: case["sum"])
def test_msm_bands(case: dict[str, str]) -> None:
    never_remits = replace(PHQ9, remission_at_most=None)
    person = someone(
        *failed(int(case["failed"])),
        scores=scores(("2026-06-01", float(case["total"])), scale=never_remits),
        diagnoses=(depressed(case["onset"]),),
        procedures=(ect(),) if case["ect"] == "yes" else (),
    )
    found = staged(person, MSM)
    assert (span(found), found.low_text, found.high_text) == (case["sum"], case["band"], case["band"])


def test_msm_of_everything_is_15() -> None:
    psychotic = depressed("2020-01-01", "severe", "psychotic_depression")
    row = {"agent": "lithium", "mg": "600", "use": "met", "days": "certain"}
    add_ons = added({**row, "first_day": "2026-02-01", "last_day": "2026-03-15"})
    person = someone(*failed(11), diagnoses=(psychotic,), procedures=(ect(),), add_ons=add_ons)
    assert span(staged(person, MSM)) == "15"


# --- the thresholds of the scores -------------------------------------------------------------------------


@pytest.mark.parametrize(("onset", "verdict"), [("2025-06-30", "not-met"), ("2025-06-29", "met")])
def test_msm_decides_from_its_threshold_on(onset: str, verdict: str) -> None:
    person = someone(
        *TWO, scores=scores(("2026-06-01", 7), scale=PHQ9), diagnoses=(depressed(onset),)
    )  # 1 or 2 for duration, 2 for severity, 1 for failures
    assert assess_history(person, by(MSM), ON).verdict.value == verdict


@pytest.mark.parametrize(("count", "verdict"), [(2, "not-met"), (3, "indeterminate"), (4, "met")])
def test_mgh_s_decides_from_its_threshold_on(count: int, verdict: str) -> None:
    person = someone(*failed(count))
    assert assess_history(person, by(MGH), ON).verdict.value == verdict


def test_mgh_s_optimisation_is_open_because_its_source_does_not_say_what_it_is() -> None:
    found = item(someone(*failed(3)), MGH, "optimisation")
    assert span(found) == "0-1.5"
    assert "not told by the source" in found.text
    assert span(item(someone(), MGH, "optimisation")) == "0"


def test_mgh_s_a_search_that_failed_hides_enough_trials_and_no_endless_number() -> None:
    search = someone(*TWO, unread=(Unread("MedicationRequest?patient=p1", "failed", (Topic.DRUGS,)),))
    assert span(item(search, MGH, "trials")) == "2-4"
    assert assess_history(search, by(MGH), ON).verdict is Verdict.INDETERMINATE


# --- Thase-Rush -------------------------------------------------------------------------------------------

THASE_RUSH_CASES = """
    drugs                                                   | ect        | stage
    --------------------------------------------------------+------------+------
                                                            |            | 0
    sertraline                                              |            | 1
    sertraline, citalopram                                  |            | 1
    sertraline, venlafaxine                                 |            | 2
    sertraline, venlafaxine, mirtazapine                    |            | 2
    sertraline, amitriptyline                               |            | 2
    sertraline, venlafaxine, amitriptyline                  |            | 3
    sertraline, amitriptyline, nortriptyline                |            | 3
    sertraline, amitriptyline, venlafaxine                  |            | 2-3
    amitriptyline, sertraline, venlafaxine                  |            | 2-3
    sertraline, venlafaxine, opipramol                      |            | 2-3
    sertraline, phenelzine                                  |            | 2
    sertraline, venlafaxine, phenelzine                     |            | 2
    sertraline, venlafaxine, amitriptyline, phenelzine      |            | 4
    sertraline, venlafaxine, phenelzine, amitriptyline      |            | 3-4
    phenelzine, amitriptyline, sertraline, venlafaxine      |            | 2-4
    sertraline, venlafaxine, amitriptyline, moclobemide     |            | 3-4
    sertraline, venlafaxine, amitriptyline, phenelzine      | unknown    | 4-5
    sertraline, venlafaxine, amitriptyline, phenelzine      | met        | 4-5
    sertraline, venlafaxine, amitriptyline, phenelzine      | not-met    | 4
    sertraline, venlafaxine, amitriptyline                  | met        | 3
"""
DOSES = {"sertraline": 100, "citalopram": 40, "venlafaxine": 150, "mirtazapine": 30}


def one_after_the_other(names: str, days: int = 60) -> tuple[str, ...]:
    """Failed trials of so many days each, the last one ending on 2026-05-31."""
    drugs = [name.strip() for name in names.split(",") if name.strip()]
    end = date(2026, 5, 31).toordinal()
    first_days = [end + 1 - days * (len(drugs) - number) for number in range(len(drugs))]
    return tuple(
        f"{name} | {date.fromordinal(first)} | {date.fromordinal(first + days - 1)} | {DOSES.get(name, 50)}"
        for name, first in zip(drugs, first_days, strict=True)
    )


@pytest.mark.parametrize("case", rows(THASE_RUSH_CASES), ids=lambda case: f"{case['drugs']} {case['ect']}")
def test_thase_rush(case: dict[str, str]) -> None:
    procedures = (ect("2026-06-10", is_bilateral=Answer(case["ect"])),) if case["ect"] else ()
    person = someone(
        *one_after_the_other(case["drugs"]), procedures=procedures, diagnoses=(depressed("2024-01-01"),)
    )
    assert span(staged(person, THASE_RUSH)) == case["stage"]


def test_thase_rush_says_which_classes_failed_and_why_it_is_a_range() -> None:
    found = item(someone(*one_after_the_other("amitriptyline, sertraline, venlafaxine")), THASE_RUSH, "stage")
    assert "classes failed: TCA, SSRI, SNRI" in found.text
    assert "not in the order that the method assumes" in found.text
    assert len(found.evidence) == 3


@pytest.mark.parametrize(("topic", "stage"), [(Topic.DRUG, "2-3"), (Topic.DRUGS, "2-4")])
def test_thase_rush_what_could_not_be_read_may_be_a_tricyclic(topic: Topic, stage: str) -> None:
    lines = one_after_the_other("sertraline, venlafaxine")
    person = someone(*lines, unread=(Unread("MedicationRequest/9", "not readable", (topic,)),))
    assert span(staged(person, THASE_RUSH)) == stage


def test_thase_rush_possible_failures_raise_the_highest_stage_only() -> None:
    sure, perhaps = one_after_the_other("sertraline, venlafaxine")
    assert span(staged(someone(sure, f"{perhaps} | none given"), THASE_RUSH)) == "1-2"


def test_thase_rush_bilateral_ect_is_possible_where_procedures_were_not_looked_at() -> None:
    lines = one_after_the_other("sertraline, venlafaxine, amitriptyline, phenelzine")
    assert span(staged(someone(*lines, not_looked_at=("procedures",)), THASE_RUSH)) == "4-5"


def test_thase_rush_two_that_ended_on_one_day_have_no_certain_order() -> None:
    first, *_ = one_after_the_other("sertraline, venlafaxine", 60)
    second = "venlafaxine | 2026-04-01 | 2026-05-31 | 150"
    third = "amitriptyline | 2026-04-01 | 2026-05-31 | 50"
    assert span(staged(someone(first, second, third), THASE_RUSH)) == "2-3"


# --- European ---------------------------------------------------------------------------------------------

EUROPEAN_CASES = """
    first_days | second_days | stage | because
    -----------+-------------+-------+-------------------------------
    42         | 0           | A     | one trial of 6 weeks
    84         | 0           | A     | one class, however long
    42         | 42          | TRD1  | 12 weeks
    42         | 70          | TRD1  | 16 weeks
    42         | 83          | TRD1  | below 18 weeks
    42         | 84          | TRD2  | 18 weeks
    84         | 83          | TRD2  | below 24 weeks
    84         | 84          | TRD2 or TRD3 | 24 weeks: both
    84         | 85          | TRD3  | above 24 weeks
    105        | 104         | TRD3  | below 30 weeks
    105        | 105         | TRD3 or TRD4 | 30 weeks: both
    112        | 112         | TRD3 or TRD4 | 32 weeks: both
    112        | 113         | TRD4  | above 32 weeks
    126        | 125         | TRD4  | below 36 weeks
    126        | 126         | TRD4 or TRD5 | 36 weeks: both
    140        | 140         | TRD4 or TRD5 | 40 weeks: both
    140        | 141         | TRD5  | above 40 weeks
    182        | 182         | TRD5  | 52 weeks
    182        | 183         | CRD   | a year
"""


@pytest.mark.parametrize("case", rows(EUROPEAN_CASES), ids=lambda case: case["because"])
def test_european_stages_by_weeks(case: dict[str, str]) -> None:
    first_days, second_days = int(case["first_days"]), int(case["second_days"])
    end = date(2026, 5, 31).toordinal()
    middle = end - second_days
    lines = [f"sertraline | {date.fromordinal(middle - first_days + 1)} | {date.fromordinal(middle)} | 100"]
    if second_days:
        lines.append(f"venlafaxine | {date.fromordinal(middle + 1)} | {date.fromordinal(end)} | 150")
    found = staged(someone(*lines), EUROPEAN)
    assert " or ".join(dict.fromkeys((found.low_text, found.high_text))) == case["stage"]


def test_european_two_drugs_of_one_class_stay_at_the_first_stage() -> None:
    found = staged(someone(*one_after_the_other("sertraline, citalopram", 90)), EUROPEAN)
    assert (found.low_text, found.high_text) == ("A", "A")
    assert "fewer than 2 classes failed for certain" in found.items[0].text


def test_european_without_a_failed_trial_there_is_no_stage() -> None:
    found = staged(someone(), EUROPEAN)
    assert (found.low_text, found.high_text) == ("none", "none")


def test_european_weeks_of_two_trials_at_a_time_may_count_once_or_twice() -> None:
    lines = ("sertraline | 2025-12-01 | 2026-02-28 | 100", "venlafaxine | 2025-12-01 | 2026-02-28 | 150")
    found = staged(someone(*lines), EUROPEAN)
    assert (found.low_text, found.high_text) == ("TRD1", "TRD3")


@pytest.mark.parametrize(
    ("lines", "topic", "stages"),
    [
        ((), Topic.DRUG, ("none", "A")),
        (("sertraline",), Topic.DRUG, ("A", "CRD")),
        (("sertraline", "venlafaxine"), Topic.DRUG, ("TRD1", "CRD")),
        ((), Topic.DRUGS, ("none", "CRD")),
    ],
)
def test_european_what_could_not_be_read_may_have_lasted_any_time(
    lines: tuple[str, ...], topic: Topic, stages: tuple[str, str]
) -> None:
    unread = (Unread("MedicationRequest/9", "not readable", (topic,)),)
    person = someone(*one_after_the_other(",".join(lines), 42), unread=unread)
    found = staged(person, EUROPEAN)
    assert (found.low_text, found.high_text) == stages


def test_european_possible_failures_raise_the_highest_stage_only() -> None:
    sure, perhaps = one_after_the_other("sertraline, venlafaxine", 42)
    found = staged(someone(sure, f"{perhaps} | none given"), EUROPEAN)
    assert (found.low_text, found.high_text) == ("A", "TRD1")


# --- for any record ---------------------------------------------------------------------------------------

lines = st.lists(
    st.builds(
        "{} | {} | {} | {} | {}".format,
        st.sampled_from([*ALL_DRUGS, "?"]),
        st.dates(date(2024, 6, 1), date(2025, 6, 1)).map(str),
        st.dates(date(2025, 6, 2), date(2026, 12, 31)).map(str),
        st.sampled_from(["?", "10", "50", "300", "10-300"]),
        st.sampled_from([reason.value for reason in StopReason]),
    ),
    max_size=5,
)
some_scores = st.lists(
    st.tuples(st.dates(date(2024, 1, 1), date(2026, 12, 31)).map(str), st.integers(0, 27)), max_size=4
)
unread = st.lists(
    st.builds(Unread, st.sampled_from(["X/1", "X/2"]), st.just("why"), st.tuples(st.sampled_from(Topic))),
    max_size=2,
)
diagnoses = st.lists(
    st.builds(
        depressed,
        onset=st.none() | st.dates(date(2010, 1, 1), date(2027, 1, 1)).map(str),
        severity=st.sampled_from(["", "mild", "moderate", "severe"]),
        category=st.sampled_from(["mdd", "psychotic_depression"]),
        recorded=st.none() | st.dates(date(2010, 1, 1), date(2027, 1, 1)).map(str),
        holds=st.sampled_from(Answer),
        is_current=st.sampled_from(Answer),
    ),
    max_size=2,
)
procedures = st.lists(
    st.builds(
        ect,
        st.none() | st.dates(date(2020, 1, 1), date(2027, 1, 1)).map(str),
        st.sampled_from(Answer),
        st.sampled_from(Answer),
        st.sampled_from(ProcedureKind),
    ),
    max_size=2,
)
ADDED_COLUMNS = ("agent", "first_day", "last_day", "mg", "use", "days")
add_ons = st.lists(
    st.builds(
        lambda *values: added(dict(zip(ADDED_COLUMNS, values, strict=True))),
        st.sampled_from(list(ADD_ONS)),
        st.dates(date(2024, 6, 1), date(2025, 6, 1)).map(str),
        st.dates(date(2025, 6, 2), date(2026, 12, 31)).map(str),
        st.sampled_from(["?", "300", "600", "300-600"]),
        st.sampled_from([answer.value for answer in Answer]),
        st.sampled_from(["certain", "uncertain"]),
    ),
    max_size=2,
).map(lambda drawn: tuple(order for of_one in drawn for order in of_one))
records = st.builds(
    lambda lines, add_ons, measured, unread, diagnoses, procedures, not_looked_at: someone(
        *lines,
        add_ons=add_ons,
        scores=scores(*measured, scale=PHQ9),
        unread=tuple(unread),
        diagnoses=tuple(diagnoses),
        procedures=tuple(procedures),
        not_looked_at=tuple(not_looked_at),
    ),
    lines,
    add_ons,
    some_scores,
    unread,
    diagnoses,
    procedures,
    st.lists(st.just("procedures"), max_size=1),
)
methods = st.sampled_from(list(RULES.values()))


@given(records, methods)
@settings(max_examples=examples(150), deadline=None)
def test_every_record_has_a_stage_within_the_method(patient: History, rule: StagingRule) -> None:
    found = staged(patient, rule)
    assert 0 <= found.low <= found.high < float("inf")
    assert all(0 <= one.low <= one.high and one.text for one in found.items)
    if rule is MSM:
        assert found.high <= 15
    if rule in (THASE_RUSH, EUROPEAN):
        named = {name for _, _, name in rule.bands}
        assert {found.low_text, found.high_text} <= named


@given(records)
@settings(max_examples=150, deadline=None)
def test_augmentation_is_used_exactly_where_an_adequate_companion_is_shown(patient: History) -> None:
    """Beside a trial that is in scope; and it is surely not used only where none may be."""
    assessment = assess_history(patient, by(MSM), ON)
    found = next(one for one in assessment.staging[0].items if one.name == "augmentation")
    scopes = {judged.trial.agent: set[Answer]() for judged in assessment.trials}
    for judged in assessment.trials:
        scopes[judged.trial.agent].add(judged.in_scope.answer)
    shown = [
        (companion, judged)
        for judged in assessment.trials
        for companion in judged.companions
        if companion.kind in (CompanionKind.AUGMENTATION, CompanionKind.COMBINATION)
        and (companion.kind is CompanionKind.AUGMENTATION or Answer.MET in scopes[companion.agent])
    ]
    adequate = [
        companion
        for companion, judged in shown
        if companion.adequate.answer is Answer.MET and judged.in_scope.answer is Answer.MET
    ]
    assert (found.low == 1) == bool(adequate)
    open_ones = [
        companion
        for companion, judged in shown
        if companion.adequate.answer is Answer.UNKNOWN and judged.in_scope.answer is not Answer.NOT_MET
    ]
    if any(companion.kind is CompanionKind.AUGMENTATION for companion in open_ones):
        assert found.high == 1
    if not patient.unread and not any(judged.companions for judged in assessment.trials):
        assert found.high == 0


@given(records, methods)
@settings(max_examples=examples(60), deadline=None)
def test_what_cannot_be_read_only_widens_the_range(patient: History, rule: StagingRule) -> None:
    plain = staged(patient, rule)
    more = Unread("X/3", "why", (Topic.DRUG, Topic.PROCEDURE, Topic.SCORES, Topic.DIAGNOSIS))
    wider = staged(replace(patient, unread=(*patient.unread, more)), rule)
    assert wider.low <= plain.low
    assert plain.high <= wider.high


@given(records, methods)
@settings(max_examples=examples(60), deadline=None)
def test_a_stage_changes_no_verdict_of_another_definition(patient: History, rule: StagingRule) -> None:
    """Staging methods beside it change nothing: a definition by failed trials never asks them."""
    plain = a_definition()
    assert (
        assess_history(patient, plain, ON).verdict
        is assess_history(patient, replace(plain, staging=replace(rule, met_from=None)), ON).verdict
    )
