"""Every definition that can be evaluated: patients that meet it, do not, or cannot be decided, and each threshold.

What each definition asks is written here by hand, from its source and the project's choices, not read from the
table that the program uses. A treatment is written as `sertraline 100 mg 42 d 20>11`: drug, dose a day,
days on it, PHQ-9 at its start and at its end; `?` stands for what is not recorded.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.tables.drugs import load_antidepressants
from cds_service.trd.answers import Answer
from cds_service.trd.model import Verdict
from cds_service.trd.record import Diagnosis, DiagnosisRole, History
from tests.conftest import ON
from tests.spec.patients import DEPRESSED, patient
from tests.spec.texttables import rows

LAST_DAY = date(2026, 4, 30)
BREAK = 20  # days between two treatments: the first score of one must not be the last of the other

ASKS = rows("""
    definition           | weeks | doses   | below | different | days | excluded
    ---------------------+-------+---------+-------+-----------+------+---------------------------------
    default-configurable | 6     | default | 50    | agent     | 730  | bipolar psychotic_disorder dementia
    seed-2026            | 6     | default | 50    | class     | 730  | bipolar psychotic_disorder dementia
    us-fda-label         | 6     | default | 50    | agent     | 730  | bipolar psychotic_disorder dementia
    fda-2018-draft       | 6     | default | 50    | agent     | 730  | bipolar psychotic_disorder psychotic_depression
    ema-2013             | 6     | default | 50    | agent     | 730  | bipolar
    eu-pearl-2022        | 4     | lenient | 25    | mechanism | 730  | bipolar psychotic_disorder
    mcintyre-2023        | 6     | default | 50    | agent     | 730  | bipolar psychotic_disorder dementia
    canadian-2021        | 4     | default | 50    | agent     | 730  | bipolar psychotic_disorder dementia
    zhong-2022-claims    | 4     | default | 50    | agent     | 365  | bipolar psychotic_disorder dementia
    thase-rush           | 6     | default | 50    | class     | 730  | bipolar psychotic_disorder dementia
    esm-souery           | 6     | default | 50    | class     | 730  | bipolar psychotic_disorder dementia
""")

each_rule = pytest.mark.parametrize("asks", ASKS, ids=[row["definition"] for row in ASKS])


# --- building patients ----------------------------------------------------------------------------------

TREATMENT = re.compile(
    r"(?P<drug>[\w ]+?) (?P<mg>[\d.?]+) mg (?P<days>\d+) d (?P<first>[\d?]+)>(?P<last>[\d?]+)"
)


def treated(*treatments: str, last_day: date = LAST_DAY) -> History:
    """One treatment after the other, the last ending on `last_day`."""
    orders, scores = [], []
    end = last_day
    for text in reversed(treatments):
        found = TREATMENT.fullmatch(text)
        assert found, text
        days = int(found["days"])
        start = end - timedelta(days - 1)
        late = max(end, start + timedelta(27))
        orders.append(f"{found['drug']} | {start} | {end} | {found['mg']}")
        scores += [
            f"PHQ-9 | {day} | {total}"
            for day, total in ((start, found["first"]), (late, found["last"]))
            if total != "?"
        ]
        end = start - timedelta(BREAK + 1)
    tables = ["order | first_day | last_day | mg_per_day\n" + "\n".join(orders)]
    if scores:
        tables.append("score | day | total\n" + "\n".join(scores))
    return patient("\n\n".join(tables))


def verdict(history: History, definition_id: str) -> str:
    return assess_history(history, load_definitions()[definition_id], ON).verdict.value


def minimum(drug: str, column: str) -> float:
    return load_antidepressants()[drug].drug.minimum_mg[column]


# --- definitions that count failed trials -----------------------------------------------------------------


@each_rule
def test_a_patient_who_meets_it(asks: dict[str, str]) -> None:
    history = treated("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 19>18")
    assert verdict(history, asks["definition"]) == "met"


@each_rule
@pytest.mark.parametrize(
    "treatments",
    [
        (),
        ("sertraline 100 mg 60 d 20>18",),
        ("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>5"),
        ("sertraline 25 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18"),
    ],
    ids=["nothing", "one", "one that worked", "one below its dose"],
)
def test_a_patient_who_does_not(asks: dict[str, str], treatments: tuple[str, ...]) -> None:
    assert verdict(treated(*treatments) if treatments else patient(""), asks["definition"]) == "not-met"


@each_rule
@pytest.mark.parametrize(
    "treatments",
    [
        ("sertraline ? mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18"),
        ("sertraline 100 mg 60 d ?>?", "venlafaxine 150 mg 60 d 20>18"),
        ("sertraline 100 mg 60 d 20>?", "venlafaxine 150 mg 60 d ?>?"),
        ("something 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18"),
    ],
    ids=["dose not known", "no scores of one", "no late scores", "drug not known"],
)
def test_a_patient_who_cannot_be_decided(asks: dict[str, str], treatments: tuple[str, ...]) -> None:
    assert verdict(treated(*treatments), asks["definition"]) == "indeterminate"


@each_rule
@pytest.mark.parametrize(("more_days", "expected"), [(-1, "not-met"), (0, "met"), (1, "met")])
def test_how_long(asks: dict[str, str], more_days: int, expected: str) -> None:
    days = int(asks["weeks"]) * 7 + more_days
    history = treated(f"sertraline 100 mg {days} d 20>18", "venlafaxine 150 mg 60 d 20>18")
    assert verdict(history, asks["definition"]) == expected


@each_rule
@pytest.mark.parametrize(("more_mg", "expected"), [(-0.5, "not-met"), (0, "met"), (0.5, "met")])
def test_how_much(asks: dict[str, str], more_mg: float, expected: str) -> None:
    mg = minimum("bupropion", asks["doses"]) + more_mg
    history = treated(f"bupropion {mg} mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18")
    assert verdict(history, asks["definition"]) == expected


def test_how_much_differs_between_the_columns() -> None:
    """The test above would not tell the columns apart with a drug that has one minimum."""
    assert minimum("bupropion", "lenient") < minimum("bupropion", "default")


@each_rule
@pytest.mark.parametrize(("points", "expected"), [(-1, "not-met"), (0, "not-met"), (1, "met")])
def test_how_little_better(asks: dict[str, str], points: int, expected: str) -> None:
    """20 points of which exactly the threshold, one more and one less are gone."""
    last = 20 - 20 * int(asks["below"]) // 100 + points
    history = treated(f"sertraline 100 mg 60 d 20>{last}", "venlafaxine 150 mg 60 d 20>18")
    assert verdict(history, asks["definition"]) == expected


@each_rule
@pytest.mark.parametrize(
    ("second", "same"),
    [("citalopram 40 mg", "class mechanism"), ("venlafaxine 150 mg", ""), ("sertraline 100 mg", "agent")],
)
def test_how_different(asks: dict[str, str], second: str, same: str) -> None:
    history = treated("sertraline 100 mg 60 d 20>18", f"{second} 60 d 20>18")
    is_same = asks["different"] in same.split() or same == "agent"
    assert verdict(history, asks["definition"]) == ("not-met" if is_same else "met")


@each_rule
@pytest.mark.parametrize(("more_days", "expected"), [(-1, "met"), (0, "met"), (1, "not-met")])
def test_how_long_ago(asks: dict[str, str], more_days: int, expected: str) -> None:
    """The first of two trials ended so many days before today."""
    ended = ON - timedelta(int(asks["days"]) + more_days)
    second_ends = ended + timedelta(BREAK + 60)
    history = treated("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18", last_day=second_ends)
    assert verdict(history, asks["definition"]) == expected


@each_rule
@pytest.mark.parametrize(
    ("born", "expected"),
    [(date(2008, 7, 1), "excluded"), (date(2008, 6, 30), "met"), (date(2008, 6, 29), "met")],
)
def test_how_old(asks: dict[str, str], born: date, expected: str) -> None:
    history = treated("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18")
    young = replace(history, born_earliest=born, born_latest=born)
    assert verdict(young, asks["definition"]) == expected


@each_rule
@pytest.mark.parametrize("category", ["bipolar", "psychotic_disorder", "psychotic_depression", "dementia"])
def test_who_is_excluded(asks: dict[str, str], category: str) -> None:
    role = DiagnosisRole.DEPRESSION if category == "psychotic_depression" else DiagnosisRole.EXCLUSION
    diagnosis = Diagnosis(role, category, category, Answer.MET, date(2025, 1, 1), None, "Condition/x")
    history = treated("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18")
    ill = replace(history, diagnoses=(DEPRESSED, diagnosis))
    expected = "excluded" if category in asks["excluded"].split() else "met"
    assert verdict(ill, asks["definition"]) == expected


@each_rule
def test_a_psychotic_depression_that_is_over_excludes_nobody(asks: dict[str, str]) -> None:
    day = date(2016, 1, 1)
    over = Diagnosis(
        DiagnosisRole.FULL_REMISSION, "psychotic_depression", "over", Answer.MET, day, day, "Condition/x"
    )
    was = replace(over, role=DiagnosisRole.DEPRESSION, is_current=Answer.NOT_MET)
    history = treated("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18")
    assert verdict(replace(history, diagnoses=(DEPRESSED, was, over)), asks["definition"]) == "met"


@each_rule
def test_a_suspected_exclusion_leaves_it_open(asks: dict[str, str]) -> None:
    suspected = Diagnosis(
        DiagnosisRole.EXCLUSION, "bipolar", "bipolar", Answer.UNKNOWN, date(2025, 1, 1), None, "Condition/x"
    )
    history = treated("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18")
    assert verdict(replace(history, diagnoses=(DEPRESSED, suspected)), asks["definition"]) == "indeterminate"


@each_rule
def test_a_remission_between_two_trials_ends_the_episode_of_the_first(asks: dict[str, str]) -> None:
    """Whatever the definition says of episodes, the project takes the current one where the source is silent."""
    remitted = Diagnosis(
        DiagnosisRole.FULL_REMISSION,
        "mdd_remission",
        "in full remission",
        Answer.MET,
        LAST_DAY - timedelta(65),
        None,
        "Condition/r",
    )
    history = treated("sertraline 100 mg 60 d 20>18", "venlafaxine 150 mg 60 d 20>18")
    assert verdict(replace(history, diagnoses=(DEPRESSED, remitted)), asks["definition"]) == "not-met"


# --- registers, claims and scores -----------------------------------------------------------------------

COUNTED = rows("""
    definition   | case                 | first            | second             | third            | verdict
    -------------+----------------------+------------------+--------------------+------------------+--------------
    kim-register | three of 28 days     | sertraline 28    | venlafaxine 28     | mirtazapine 28   | met
    kim-register | the third of 27 days | sertraline 28    | venlafaxine 28     | mirtazapine 27   | not-met
    kim-register | two agents           | sertraline 90    | venlafaxine 90     |                  | not-met
    kim-register | one drug not known   | sertraline 28    | venlafaxine 28     | something 28     | indeterminate
    ohdsi-1009   | three agents         | sertraline 9     | venlafaxine 9      | mirtazapine 1    | met
    ohdsi-1009   | two agents           | sertraline 90    | venlafaxine 90     |                  | not-met
    ohdsi-1009   | one agent twice      | sertraline 9     | venlafaxine 9      | sertraline 9     | not-met
    ohdsi-1009   | one drug not known   | sertraline 9     | venlafaxine 9      | something 9      | indeterminate
    cepeda-2018  | three agents         | sertraline 9     | venlafaxine 9      | mirtazapine 1    | met
    cepeda-2018  | two agents           | sertraline 90    | venlafaxine 90     |                  | not-met
    cepeda-2018  | one agent twice      | sertraline 9     | venlafaxine 9      | sertraline 9     | not-met
    cepeda-2018  | one drug not known   | sertraline 9     | venlafaxine 9      | something 9      | indeterminate
    danish-2020  | three agents         | sertraline 9     | venlafaxine 9      | mirtazapine 1    | met
    danish-2020  | two agents           | sertraline 90    | venlafaxine 90     |                  | not-met
    danish-2020  | one agent twice      | sertraline 9     | venlafaxine 9      | sertraline 9     | not-met
    danish-2020  | one drug not known   | sertraline 9     | venlafaxine 9      | something 9      | indeterminate
""")


@pytest.mark.parametrize("row", COUNTED, ids=[f"{r['definition']}: {r['case']}" for r in COUNTED])
def test_definitions_that_count_treatments(row: dict[str, str]) -> None:
    told = [row[place].rsplit(" ", 1) for place in ("first", "second", "third") if row[place]]
    history = treated(*(f"{drug} 10 mg {days} d ?>?" for drug, days in told))
    assert verdict(history, row["definition"]) == row["verdict"]


@pytest.mark.parametrize("definition_id", ["ohdsi-1009", "cepeda-2018", "danish-2020"])
@pytest.mark.parametrize(("days", "expected"), [(364, "met"), (365, "met"), (366, "not-met")])
def test_a_year_from_the_first_start_to_the_third(definition_id: str, days: int, expected: str) -> None:
    """The first treatment starts so many days before the third; it lasts ten days, so it is not in use later."""
    third = date(2026, 4, 1)
    first, second = third - timedelta(days), third - timedelta(100)
    if definition_id == "ohdsi-1009":  # what counts there is use within the year before, not its start
        first = third - timedelta(days + 9)
    history = patient(f"""
        order       | first_day | last_day                  | mg_per_day
        sertraline  | {first}   | {first + timedelta(9)}    | 25
        venlafaxine | {second}  | {second + timedelta(9)}   | 37.5
        mirtazapine | {third}   | {third}                   | 15
    """)
    assert verdict(history, definition_id) == expected


@pytest.mark.parametrize(("days", "expected"), [(729, "met"), (730, "met"), (731, "not-met")])
def test_two_years_before_today_in_the_register_model(days: int, expected: str) -> None:
    """28 days of the first agent that ended so many days ago; those before the window do not count."""
    ended = ON - timedelta(days)
    history = patient(f"""
        order       | first_day                 | last_day   | mg_per_day
        sertraline  | {ended - timedelta(27)}   | {ended}    | 25
        venlafaxine | 2025-10-01                | 2025-11-30 | 37.5
        mirtazapine | 2026-01-01                | 2026-02-28 | 15
    """)
    assert verdict(history, "kim-register") == expected


BIPOLAR = Diagnosis(
    DiagnosisRole.EXCLUSION, "bipolar", "bipolar", Answer.MET, date(2025, 1, 1), None, "Condition/x"
)


@pytest.mark.parametrize(
    ("definition_id", "expected"),
    [
        ("kim-register", "met"),
        ("danish-2020", "met"),
        ("ohdsi-1009", "excluded"),
        ("cepeda-2018", "excluded"),
    ],
)
def test_registers_exclude_nobody_that_their_sources_do_not(definition_id: str, expected: str) -> None:
    history = treated(
        "sertraline 25 mg 28 d ?>?", "venlafaxine 37.5 mg 28 d ?>?", "mirtazapine 15 mg 28 d ?>?"
    )
    assert verdict(replace(history, diagnoses=(DEPRESSED, BIPOLAR)), definition_id) == expected


def test_every_definition_that_can_be_evaluated_is_here() -> None:
    by_score = {"msm", "mgh-s"}  # their patients are in test_staging.py
    named = {row["definition"] for row in (*ASKS, *COUNTED)}
    assert named | by_score == set(load_definitions())
    assert all(Verdict(row["verdict"]) for row in COUNTED)
