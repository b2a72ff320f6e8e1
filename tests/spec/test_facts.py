"""When two cards about a patient rest on the same facts: what is new brings a card back, the calendar does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from cards import facts
from cards.call import Call
from cards.card import Card
from cards.catalogue import cards_for
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.trd.model import Assessment
from fhir_fixtures import Vignette, vignettes
from tests.conftest import ON
from tests.spec.patients import patient

TOMORROW = ON + timedelta(1)

MET = """
    order       | first_day  | last_day   | mg_per_day | stop
    sertraline  | 2025-09-01 | 2025-11-24 | 100        |
    venlafaxine | 2025-11-25 | 2026-03-20 | 150        |

    score | day        | total
    PHQ-9 | 2025-08-28 | 19
    PHQ-9 | 2025-11-20 | 17
    PHQ-9 | 2026-03-12 | 18

    suicide_item | day        | value
    PHQ-9        | 2026-06-20 | 0
"""
INDETERMINATE = """
    order       | first_day  | last_day   | mg_per_day | stop
    sertraline  | 2025-09-01 | 2025-11-24 | 100        |
    venlafaxine | 2025-11-25 | 2026-03-20 | 150        |

    score | day        | total
    PHQ-9 | 2025-08-28 | 19
    PHQ-9 | 2025-11-20 | 17

    suicide_item | day        | value
    PHQ-9        | 2026-06-20 | 0
"""
STILL_TAKEN = INDETERMINATE.replace("2026-03-20", "today     ")
RUNNING = """
    order       | first_day  | last_day   | mg_per_day | stop
    sertraline  | 2025-09-01 | 2025-11-24 | 100        |
    venlafaxine | 2026-06-10 | today      | 150        |

    score | day        | total
    PHQ-9 | 2025-08-28 | 19
    PHQ-9 | 2025-11-20 | 17

    suicide_item | day        | value
    PHQ-9        | 2026-06-20 | 0
"""
TOO_LOW = RUNNING.replace("150", "37.5")
EXCLUDED = MET + "\n\n    diagnosis | role\n    mdd | depression\n    bipolar | exclusion"
SUICIDAL = MET.replace("2026-06-20 | 0", "2026-06-27 | 2")
SUICIDAL_BEFORE = MET.replace("2026-06-20 | 0", "2026-02-20 | 2")
CHARTS = {
    "met": MET,
    "indeterminate": INDETERMINATE,
    "still taken": STILL_TAKEN,
    "running-trial": RUNNING,
    "dose-below-minimum": TOO_LOW,
    "excluded": EXCLUDED,
    "safety-acute": SUICIDAL,
    "safety": SUICIDAL_BEFORE,
}


def assessed(text: str, on: date = ON) -> Assessment:
    """`today` in the tables is the day itself: what is still taken was taken until then, so far."""
    text = text.replace("today", str(on))
    return assess_history(patient(text, on), load_definitions()["default-configurable"], on)


def first_card(text: str, on: date = ON) -> Card:
    return cards_for(assessed(text, on))[0]


def kind(card: Card) -> str:
    assert card.source.topic
    return card.source.topic.code


@pytest.mark.parametrize("chart", CHARTS)
def test_every_kind_of_card_has_facts_of_its_own(chart: str) -> None:
    card = first_card(CHARTS[chart])
    assert kind(card) == ("indeterminate" if chart == "still taken" else chart)
    assert len(card.facts) == 64
    others = [first_card(text).facts for name, text in CHARTS.items() if name not in (chart, "still taken")]
    assert card.facts not in others or chart == "still taken"


@pytest.mark.parametrize("days", [1, 2, 7])
@pytest.mark.parametrize("chart", CHARTS)
def test_the_calendar_alone_changes_nothing(chart: str, days: int) -> None:
    assert first_card(CHARTS[chart], ON + timedelta(days)).facts == first_card(CHARTS[chart]).facts


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
def test_the_next_day_changes_nothing_in_any_fixture_patient(vignette: Vignette) -> None:
    today, tomorrow = (by_kind(vignette, on) for on in (ON, TOMORROW))
    assert today == tomorrow


def by_kind(vignette: Vignette, on: date) -> dict[str, str]:
    entries = tuple(Entry(entry["resource"], None, "") for entry in vignette.bundle["entry"])
    history = read_history(Collected(vignette.patient_id, entries), on)
    assessment = assess_history(history, load_definitions()["default-configurable"], on)
    return {kind(card): card.facts for card in cards_for(assessment)}


def test_neither_uuids_nor_the_encounter_are_facts() -> None:
    assessment = assessed(MET)
    assert cards_for(assessment, call=Call(encounter_id="e1"))[0].facts == cards_for(assessment)[0].facts


def with_row(text: str, after: str, *rows: str) -> str:
    """The tables with more rows behind the row that begins so."""
    lines = text.splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.strip().startswith(after)]
    return "\n".join([*lines[: place + 1], *rows, *lines[place + 1 :]])


CHANGES = {
    "a score that makes the effect another": (
        MET,
        with_row(MET, "PHQ-9 | 2026-03-12", "PHQ-9 | 2026-03-18 | 15"),
    ),
    "a third drug, just begun": (
        MET,
        with_row(MET, "venlafaxine", "mirtazapine | 2026-06-20 | 2026-09-20 | 30 |"),
    ),
    "a third drug that failed": (
        MET,
        with_row(
            with_row(MET, "venlafaxine", "mirtazapine | 2026-03-21 | 2026-06-20 | 30 |"),
            "PHQ-9 | 2026-03-12",
            "PHQ-9 | 2026-06-15 | 18",
        ),
    ),
    "lithium beside the second drug": (
        MET,
        MET + "\n\n add_on | first_day | last_day | mg_per_day\n lithium | 2025-12-20 | 2026-03-20 | 900",
    ),
    "one of the missing scores": (
        INDETERMINATE.replace("    PHQ-9 | 2025-11-20 | 17\n", ""),
        INDETERMINATE,
    ),
    "an order whose dose is missing": (
        INDETERMINATE,
        with_row(INDETERMINATE, "venlafaxine", "mirtazapine | 2026-03-21 | 2026-06-20 | ? |"),
    ),
    "the running trial begun again": (RUNNING, RUNNING.replace("2026-06-10", "2026-06-25")),
    "a higher dose, still too low": (TOO_LOW, TOO_LOW.replace("37.5", "56.25")),
    "another diagnosis that excludes": (
        EXCLUDED,
        EXCLUDED + "\n    dementia | exclusion",
    ),
    "thoughts of death answered again": (
        SUICIDAL,
        with_row(SUICIDAL, "PHQ-9        | 2026-06-27", "PHQ-9 | 2026-06-28 | 2"),
    ),
    "the same answer corrected": (SUICIDAL, SUICIDAL.replace("2026-06-27 | 2", "2026-06-27 | 3")),
}
NO_CHANGES = {
    "an order that only lengthens a failed trial": (
        MET,
        with_row(MET, "venlafaxine", "venlafaxine | 2026-03-21 | 2026-03-24 | 150 |"),
    ),
    "another order of the drug that is still taken": (
        STILL_TAKEN,
        with_row(STILL_TAKEN, "venlafaxine", "venlafaxine | 2026-06-01 | today | 150 |"),
    ),
    "a score outside all trials": (MET, with_row(MET, "PHQ-9 | 2026-03-12", "PHQ-9 | 2026-06-20 | 18")),
    "a score with the same effect": (MET, with_row(MET, "PHQ-9 | 2026-03-12", "PHQ-9 | 2026-03-18 | 18")),
    "the depression recorded once more": (
        MET + "\n\n    diagnosis | role\n    mdd | depression",
        MET + "\n\n    diagnosis | role\n    mdd | depression\n    mdd | depression",
    ),
    "a denial of thoughts of death, of no suicidality": (
        MET,
        with_row(MET, "PHQ-9        | 2026-06-20", "PHQ-9 | 2026-06-28 | 0"),
    ),
    "a third drug beside a sign of suicidality": (
        SUICIDAL,
        with_row(SUICIDAL, "venlafaxine", "mirtazapine | 2026-06-20 | 2026-09-20 | 30 |"),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_new_to_the_card_changes_its_facts(what: str) -> None:
    before, after = CHANGES[what]
    assert kind(first_card(before)) == kind(first_card(after))
    assert first_card(before).facts != first_card(after).facts


@pytest.mark.parametrize("what", NO_CHANGES)
def test_what_is_nothing_new_to_the_card_does_not(what: str) -> None:
    before, after = NO_CHANGES[what]
    assert kind(first_card(before)) == kind(first_card(after))
    assert first_card(before).facts == first_card(after).facts


def test_another_definition_is_another_fact() -> None:
    history = patient(MET)
    one, other = (
        assess_history(history, replace(definition, id=id_), ON)
        for definition in [load_definitions()["default-configurable"]]
        for id_ in ("one", "other")
    )
    assert cards_for(one)[0].facts != cards_for(other)[0].facts


DIAGNOSES = {
    "recorded again at the next visit": ("mdd | depression | met | moderate", True),
    "more severe": ("mdd | depression | met | severe", False),
    "refuted": ("mdd | depression | not-met | moderate", False),
    "of another kind": ("depression_nos | confounder | met | ", False),
    "one that excludes": ("bipolar | exclusion | met | ", False),
    "suspected only": ("bipolar | exclusion | unknown | ", False),
    "suicidality": ("suicidality | suicidality | met | ", True),
    "an illness of another kind": ("thyroid | confounder | met | ", True),
}


@pytest.mark.parametrize("what", DIAGNOSES)
def test_which_diagnoses_are_facts(what: str) -> None:
    header = "\n\n    diagnosis | role | holds | severity\n    mdd | depression | met | moderate\n"
    more, is_same = DIAGNOSES[what]
    before, after = assessed(MET + header), assessed(MET + header + more)
    assert (facts.diagnoses(before) == facts.diagnoses(after)) is is_same


def test_failed_trials_are_the_same_whatever_the_scores() -> None:
    before, after = (assessed(text) for text in CHANGES["a score that makes the effect another"])
    assert facts.failed_trials(before) == facts.failed_trials(after)
    assert facts.failed_trials(before) != facts.failed_trials(
        assessed(CHANGES["a third drug that failed"][1])
    )
