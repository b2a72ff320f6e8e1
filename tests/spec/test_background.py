"""Beyond mood: the newest values are shown, what is left in a remitter is said, and neither decides anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.trd.background import find_residual_impairment, latest_measurements
from cds_service.trd.model import Assessment, JudgedTrial
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    Domain,
    History,
    Measurement,
    Scale,
    Score,
    UnreadScore,
)
from tests.conftest import ON, examples
from tests.spec.people import MADRS, PHQ9, history, scores
from tests.spec.texttables import rows

RECALLED = "recalled, unverified"
LIMITS = {"WSAS": 9, "SDS": 6}


def measured(
    name: str, value: float, day: str, domain: Domain = Domain.FUNCTION, unit: str = ""
) -> Measurement:
    limit = LIMITS.get(name)
    source = RECALLED if limit is not None else ""
    reference = f"Observation/{name}-{day}-{value:g}"
    return Measurement(name, domain, date.fromisoformat(day), value, unit, reference, "", limit, source)


# --- the newest of each -------------------------------------------------------------------------------


def test_the_newest_of_each_is_shown_by_domain_and_name() -> None:
    patient = history(
        measurements=(
            measured("TSH", 4, "2026-01-01", Domain.LABORATORY),
            measured("GAD-7", 9, "2026-01-01", Domain.ANXIETY),
            measured("CRP", 3, "2026-02-01", Domain.LABORATORY),
            measured("WSAS", 30, "2025-01-01"),
            measured("WSAS", 22, "2026-05-01"),
            measured("SDS", 20, "2026-05-01"),
            measured("DSST", 50, "2026-05-01", Domain.COGNITION),
        )
    )
    assert [(m.name, m.value) for m in latest_measurements(patient, ON)] == [
        ("SDS", 20), ("WSAS", 22), ("DSST", 50), ("GAD-7", 9), ("CRP", 3), ("TSH", 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "is_shown"), [("2026-06-29", True), ("2026-06-30", True), ("2026-07-01", False)]
)
def test_nothing_of_tomorrow_is_shown(day: str, is_shown: bool) -> None:
    assert bool(latest_measurements(history(measurements=(measured("WSAS", 22, day),)), ON)) is is_shown


def test_values_of_one_day_that_differ_are_all_shown() -> None:
    same_day = [measured("WSAS", value, "2026-05-01") for value in (22, 10, 22)]
    for order in (same_day, list(reversed(same_day))):
        shown = latest_measurements(history(measurements=tuple(order)), ON)
        assert [m.value for m in shown] == [10, 22]


# --- what is left in a remitter -----------------------------------------------------------------------


def left(patient: History, trials: tuple[JudgedTrial, ...] = ()) -> list[str]:
    return [
        f"{finding.answer.value}: {finding.text}" for finding in find_residual_impairment(patient, trials, ON)
    ]


SAID = (
    "met: WSAS 22 on 2026-05-01, above 9 (recalled, unverified), although PHQ-9 3 on 2026-04-20 is remission"
)


def test_impairment_beside_remission_is_said_with_its_evidence() -> None:
    patient = history("", scores(("2026-04-20", 3)), measurements=(measured("WSAS", 22, "2026-05-01"),))
    assert left(patient) == [SAID]
    [finding] = find_residual_impairment(patient, (), ON)
    assert finding.criterion == "residual impairment"
    assert finding.evidence == ("Observation/WSAS-2026-05-01-22", "Observation/PHQ-9-2026-04-20")


CASES = """
scores                              | measurement          | is it said
------------------------------------+----------------------+-----------
2026-04-20 3                        | WSAS 10 2026-05-01   | yes
2026-04-20 3                        | WSAS 9 2026-05-01    | no
2026-04-20 3                        | SDS 7 2026-05-01     | yes
2026-04-20 3                        | SDS 6 2026-05-01     | no
2026-04-20 3                        | PDQ-5 19 2026-05-01  | no
2026-04-20 4                        | WSAS 22 2026-05-01   | yes
2026-04-20 5                        | WSAS 22 2026-05-01   | no
2026-04-20 3                        | WSAS 22 2026-04-20   | yes
2026-04-20 3                        | WSAS 22 2026-04-19   | no
2026-03-01 4, 2026-04-20 3          | WSAS 22 2026-03-15   | yes
2026-03-01 9, 2026-04-20 3          | WSAS 22 2026-03-15   | no
2026-04-20 3, 2026-06-01 12         | WSAS 22 2026-05-01   | no
2026-04-20 12, 2026-06-01 3         | WSAS 22 2026-05-01   | no
                                    | WSAS 22 2026-05-01   | no
"""


@pytest.mark.parametrize("case", rows(CASES), ids=lambda case: f"{case['scores']} | {case['measurement']}")
def test_when_impairment_is_residual(case: dict[str, str]) -> None:
    pairs = [pair.split() for pair in case["scores"].split(",") if pair.strip()]
    name, value, day = case["measurement"].split()
    patient = history(
        "",
        scores(*((of_day, float(total)) for of_day, total in pairs)),
        measurements=(measured(name, float(value), day),),
    )
    assert bool(left(patient)) is (case["is it said"] == "yes")


def test_the_newest_value_decides() -> None:
    measurements = (measured("WSAS", 22, "2026-05-01"), measured("WSAS", 4, "2026-06-01"))
    assert left(history("", scores(("2026-04-20", 3)), measurements=measurements)) == []


def test_only_functional_scales_show_impairment() -> None:
    other = replace(measured("WSAS", 22, "2026-05-01"), domain=Domain.COGNITION)
    assert left(history("", scores(("2026-04-20", 3)), measurements=(other,))) == []


@pytest.mark.parametrize(("madrs", "is_said"), [(10, True), (11, False)])
def test_another_scale_of_the_same_day_must_show_remission_too(madrs: float, is_said: bool) -> None:
    both = (*scores(("2026-04-20", 3)), *scores(("2026-04-20", madrs), scale=MADRS))
    assert bool(left(history("", both, measurements=(measured("WSAS", 22, "2026-05-01"),)))) is is_said


def test_a_scale_without_a_remission_range_tells_nothing() -> None:
    without = Scale("MADRS-S", 0, 54, None, True, 12)
    totals = (*scores(("2026-04-20", 3)), Score(without, date(2026, 6, 1), 40, "Observation/s"))
    assert left(history("", totals, measurements=(measured("WSAS", 22, "2026-05-01"),))) == [SAID]


UNREAD = [
    # scale, first and last possible day, whether it may be a relapse
    (PHQ9, "2026-06-01", "2026-06-01", True),
    (None, None, None, True),
    (PHQ9, "2026-04-21", "2026-04-21", True),
    (PHQ9, "2026-04-20", "2026-04-20", False),
    (PHQ9, None, "2026-04-20", False),
    (PHQ9, "2026-07-01", None, False),
    (Scale("MADRS-S", 0, 54, None, True, 12), "2026-06-01", "2026-06-01", False),
]


@pytest.mark.parametrize(("scale", "first", "last", "is_open"), UNREAD)
def test_a_later_score_that_could_not_be_read_leaves_it_open(
    scale: Scale | None, first: str | None, last: str | None, is_open: bool
) -> None:
    days = [date.fromisoformat(day) if day else None for day in (first, last)]
    patient = history(
        "",
        scores(("2026-04-20", 3)),
        measurements=(measured("WSAS", 22, "2026-05-01"),),
        unread_scores=(UnreadScore("Observation/u", scale, days[0], days[1]),),
    )
    assert left(patient)[0].startswith("unknown: " if is_open else "met: ")


# --- they never change the verdict --------------------------------------------------------------------

REMITTED = "drug | first_day | last_day | mg_per_day\nsertraline | 2025-12-01 | 2026-04-30 | 100"
FAILED = """
drug        | first_day  | last_day   | mg_per_day
sertraline  | 2025-09-01 | 2025-11-24 | 100
venlafaxine | 2025-11-25 | 2026-03-15 | 150
"""


def assessed(patient: History, definition: Definition) -> Assessment:
    return assess_history(patient, definition, ON)


def test_a_trial_that_ended_in_remission_is_shown_with_what_is_left(definition: Definition) -> None:
    totals = scores(("2025-11-28", 19), ("2026-04-20", 3))
    patient = history(REMITTED, totals, measurements=(measured("WSAS", 22, "2026-05-01"),))
    assessment = assessed(patient, definition)
    assert [judged.outcome.response.value for judged in assessment.trials] == ["remission"]
    assert [finding.text for finding in assessment.residual_impairment] == [SAID.removeprefix("met: ")]
    assert [m.name for m in assessment.context] == ["WSAS"]


PEOPLE = [
    history(REMITTED, scores(("2025-11-28", 19), ("2026-04-20", 3))),
    history(FAILED, scores(("2025-08-28", 19), ("2025-11-20", 17), ("2026-03-12", 18))),
    history(FAILED),
    history(),
]
days = st.dates(date(2025, 1, 1), date(2026, 12, 31))
values = st.floats(-1e9, 1e9, allow_nan=False)
limits = st.none() | values
measurements = st.lists(
    st.builds(
        Measurement,
        name=st.sampled_from(["WSAS", "SDS", "TSH", "GAD-7"]),
        domain=st.sampled_from(Domain),
        day=days,
        value=values,
        unit=st.sampled_from(["", "{score}", "mg/L"]),
        reference=st.text("abc", min_size=1, max_size=3),
        unimpaired_at_most=limits,
        source=st.sampled_from(["", RECALLED]),
    ),
    max_size=8,
)


@pytest.mark.parametrize("definition_id", sorted(load_definitions()))
@settings(max_examples=examples(100), deadline=None)
@given(patient=st.sampled_from(PEOPLE), added=measurements)
def test_measurements_change_neither_verdict_nor_trials(
    definition_id: str, patient: History, added: list[Measurement]
) -> None:
    definition = load_definitions()[definition_id]
    before = assessed(patient, definition)
    after = assessed(replace(patient, measurements=tuple(added)), definition)
    assert replace(after, context=(), residual_impairment=()) == before
