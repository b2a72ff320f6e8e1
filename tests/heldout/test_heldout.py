"""Patients with other stories in other spellings: the service must give exactly the second opinion's answer.

Where something in the chart cannot be read, it may say that it does not know, but never the opposite.
Each example is a seed, so a failure names the patient: `one_patient(seed)` draws it again.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date
from functools import cache
from random import Random
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.input_files import read_files
from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Answer
from cds_service.trd.model import Assessment
from tests.heldout.encodings import PATIENT, chart
from tests.heldout.hiding import with_something_hidden
from tests.heldout.oracle import DEFINITIONS, NO, PERHAPS, YES, Rules, runs_by_drug, verdict
from tests.heldout.stories import ON, Order, Score, Story, random_story

PATIENTS = range(200)
WITH_SOMETHING_HIDDEN = range(120)
ANSWERS = {Answer.MET: YES, Answer.NOT_MET: NO, Answer.UNKNOWN: PERHAPS}


@cache
def one_patient(seed: int) -> tuple[Story, dict[str, Any], list[str]]:
    """The story, its chart, and the spellings that the chart uses."""
    random = Random(seed)
    story = random_story(random)
    return story, *chart(story, random)


def assessments(bundle: dict[str, Any], on: date) -> dict[str, Assessment]:
    """By definition, through the same door as files on disk."""
    patients = read_files(["-"], io.BytesIO(json.dumps(bundle).encode()))
    (collected,) = [patient for patient in patients if patient.patient_id == PATIENT]
    history = read_history(collected, on)
    return {id_: assess_history(history, rules, on) for id_, rules in load_definitions().items()}


@pytest.mark.parametrize("seed", PATIENTS)
def test_verdict_and_trials_are_those_of_the_story(seed: int) -> None:
    story, bundle, spellings = one_patient(seed)
    found = assessments(bundle, story.on)
    for id_, rules in DEFINITIONS.items():
        assert found[id_].verdict.value == verdict(story, rules), (id_, story, spellings)
        assert _adequate_trials(found[id_]) == _adequate_runs(story, rules), (id_, story, spellings)


def _adequate_trials(assessment: Assessment) -> dict[tuple[str, str, str, int], str]:
    """Drug, first and last day, adequate days, and whether the trial failed."""
    return {
        (t.trial.drug.agent, str(t.trial.first_day), str(t.trial.last_day), t.trial.adequate_days): ANSWERS[
            t.failed.answer
        ]
        for t in assessment.trials
        if t.trial.drug and t.trial.is_adequate is Answer.MET
    }


def _adequate_runs(story: Story, rules: Rules) -> dict[tuple[str, str, str, int], str]:
    runs = [run for runs in runs_by_drug(story, rules).values() for run in runs]
    return {run.facts: run.failed for run in runs if run.is_adequate}


@pytest.mark.parametrize("seed", WITH_SOMETHING_HIDDEN)
def test_what_cannot_be_read_never_turns_the_verdict_round(seed: int) -> None:
    """`met` and the two that deny it (`not-met`, `excluded`) never stand for each other."""
    story, bundle, _ = one_patient(seed)
    hidden, what = with_something_hidden(bundle, Random(seed))
    found = assessments(hidden, story.on)
    for id_, rules in DEFINITIONS.items():
        true, told = verdict(story, rules), found[id_].verdict.value
        assert told in (true, "indeterminate") or "met" not in (true, told), (id_, true, told, what, story)


# --- the second opinion itself, on cases worked out by hand ------------------------------------------------

SERTRALINE = Order("sertraline", 50, date(2025, 9, 1), date(2025, 10, 12))  # exactly 6 weeks at the minimum
VENLAFAXINE = Order("venlafaxine", 75, date(2025, 11, 1), date(2025, 12, 12))
STORY = Story(
    born=date(1980, 5, 17),
    orders=(SERTRALINE, VENLAFAXINE),
    scores=tuple(
        Score("PHQ-9", day, 20) for day in (date(2025, 9, 1), date(2025, 10, 12), date(2025, 12, 12))
    ),
    diagnoses=(),
)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (VENLAFAXINE, "indeterminate"),  # no diagnosis of depression yet
        (replace(VENLAFAXINE, last_day=date(2025, 12, 11)), "not-met"),  # 41 days
        (replace(VENLAFAXINE, mg_per_day=37.5), "not-met"),
        (replace(VENLAFAXINE, as_needed=True), "not-met"),
        (replace(VENLAFAXINE, purpose="other"), "not-met"),
        (replace(VENLAFAXINE, status="cancelled"), "not-met"),
        (replace(VENLAFAXINE, intent="proposal"), "not-met"),
        (replace(VENLAFAXINE, ingredient="sertraline"), "not-met"),  # one drug twice
    ],
)
def test_the_second_opinion(order: Order, expected: str) -> None:
    story = replace(STORY, orders=(SERTRALINE, order))
    assert verdict(story, DEFINITIONS["default-configurable"]) == expected


@pytest.mark.parametrize(
    ("day", "counts"), [(date(2024, 6, 29), False), (date(2024, 6, 30), True), (date(2024, 7, 1), True)]
)
def test_the_second_opinion_looks_back_730_days(day: date, counts: bool) -> None:
    old = replace(SERTRALINE, first_day=date(2024, 3, 1), last_day=day)
    ((run,),) = runs_by_drug(replace(STORY, orders=(old,), on=ON), DEFINITIONS["canadian-2021"]).values()
    assert (run.in_scope == YES) is counts
