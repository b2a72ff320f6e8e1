"""Assessment → cards: which card is due, what it says, and that whatever it says the reply is valid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from cards.around import CHECKS_SHOWN
from cards.call import Call
from cards.card import Card, LinkType, to_json, utf16_units
from cards.catalogue import address_in, cards_for
from cards.detail import MISSING_SHOWN, TRIALS_SHOWN, change_percent
from cards.markdown import plain_number
from cards.words import load_words
from cds_service.tables.definitions import PARAMETERS
from cds_service.tables.treatment_options import load_referrals, load_treatment_options
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import (
    Assessment,
    Companion,
    CompanionKind,
    Judgement,
    MaoiRisk,
    Missing,
    NextStep,
    OtherView,
    Staging,
    TrialKind,
    Verdict,
)
from cds_service.trd.next_steps import find_next_steps
from cds_service.trd.parameters import (
    Definition,
    Rule,
    StagingRule,
    TreatmentRule,
    WindowEnd,
)
from cds_service.trd.record import (
    Domain,
    History,
    Measurement,
    OpenRequest,
    Scale,
    Unread,
)
from tests.conftest import examples
from tests.spec.assessments import (
    A_SCORE_IS_MISSING,
    ON,
    SUICIDALITY,
    a_definition,
    a_score,
    a_trial,
    an_assessment,
)
from tests.spec.texttables import rows

SCHEMA = json.loads(files("cds_service.schemas").joinpath("cds-hooks-response.json").read_text("utf-8"))
REPLY = Draft202012Validator(SCHEMA)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

BIPOLAR = Finding("no exclusion", Answer.NOT_MET, "Bipolar disorder (bipolar)", ("Condition/1",))
TOO_YOUNG = Finding("age", Answer.NOT_MET, "16 years, at least 18 needed")
RUNNING = a_trial(
    "venlafaxine",
    Answer.NOT_MET,
    days=30,
    is_running=True,
    long_enough_on=ON + timedelta(days=12),
    last_day=ON,
)
TOO_LOW = a_trial(
    "venlafaxine", Answer.NOT_MET, days=0, max_mg=37.5, minimum_mg=75, dose=Answer.NOT_MET, last_day=ON
)


def a_risk(maoi: str = "phenelzine", other: str = "sertraline", **given: Any) -> MaoiRisk:
    finding = Finding(
        f"MAOI together with {other}",
        Answer.MET,
        f"{maoi} (an MAOI) together with {other}, 4 days, 2026-06-27 to 2026-06-30, going on",
        ("MedicationRequest/1", "MedicationRequest/2"),
    )
    values = {"goes_on": True, "together_today": Answer.MET, "sources": ("a label (read)",)} | given
    return MaoiRisk(maoi, other, finding, **values)  # type: ignore[arg-type]


def kinds(assessment: Assessment) -> list[str]:
    return [card.source.topic.code for card in cards_for(assessment) if card.source.topic]


def only_card(assessment: Assessment) -> Card:
    (card,) = cards_for(assessment)
    return card


def kind_of(card: Card) -> str:
    assert card.source.topic
    return card.source.topic.code


def one_failed(*others: Any, **values: Any) -> Assessment:
    return an_assessment(Verdict.NOT_MET, (1, 1), trials=(a_trial("sertraline"), *others), **values)


# --- the ladder ---------------------------------------------------------------------------------------


LADDER: list[tuple[str, Assessment, list[str]]] = [
    ("met", an_assessment(), ["met"]),
    ("met, no depression in the record", an_assessment(concerns_depression=False), []),
    ("could be met", an_assessment(Verdict.INDETERMINATE, (1, 2)), ["indeterminate"]),
    ("could not be met", an_assessment(Verdict.INDETERMINATE, (1, 1)), []),
    ("could be met by far", an_assessment(Verdict.INDETERMINATE, (0, 3)), ["indeterminate"]),
    (
        "could be met, no depression in the record",
        an_assessment(Verdict.INDETERMINATE, (1, 2), concerns_depression=False),
        [],
    ),
    ("excluded, one failed", an_assessment(Verdict.EXCLUDED, (1, 1), reasons=(BIPOLAR,)), ["excluded"]),
    (
        "excluded, may have failed",
        an_assessment(Verdict.EXCLUDED, (0, 2), reasons=(BIPOLAR,)),
        ["excluded"],
    ),
    ("excluded, too few by any count", an_assessment(Verdict.EXCLUDED, (0, 1), reasons=(BIPOLAR,)), []),
    ("excluded, no trial", an_assessment(Verdict.EXCLUDED, (0, 0), reasons=(BIPOLAR,), trials=()), []),
    ("not met", an_assessment(Verdict.NOT_MET, (1, 1), trials=(a_trial(),)), []),
    ("not met, another too short yet", one_failed(RUNNING), ["running-trial"]),
    ("not met, another too low", one_failed(TOO_LOW), ["dose-below-minimum"]),
    ("none failed, one running", an_assessment(Verdict.NOT_MET, (0, 0), trials=(RUNNING,)), []),
    ("safety alone", an_assessment(Verdict.NOT_MET, (0, 0), safety=SUICIDALITY), ["safety"]),
    (
        "safety without depression",
        an_assessment(concerns_depression=False, safety=SUICIDALITY),
        ["safety"],
    ),
    (
        "safety first",
        an_assessment(safety=SUICIDALITY, suicidality_is_acute=True),
        ["safety-acute", "met"],
    ),
    (
        "an MAOI with what it must not be taken with",
        an_assessment(Verdict.NOT_MET, (0, 0), maoi_risks=(a_risk(),), concerns_depression=False),
        ["drug-safety-acute"],
    ),
    (
        "the same, perhaps or one after the other",
        an_assessment(maoi_risks=(a_risk(together_today=Answer.UNKNOWN),)),
        ["drug-safety", "met"],
    ),
    ("the same, but over", an_assessment(maoi_risks=(a_risk(goes_on=False),)), ["met"]),
    (
        "all three, suicidality first",
        an_assessment(safety=SUICIDALITY, maoi_risks=(a_risk(),)),
        ["safety", "drug-safety-acute", "met"],
    ),
    (
        "safety not known",
        an_assessment(Verdict.NOT_MET, (0, 0), safety=Finding("safety", Answer.UNKNOWN, "not asked")),
        [],
    ),
]


@pytest.mark.parametrize(
    ("assessment", "expected"), [row[1:] for row in LADDER], ids=[row[0] for row in LADDER]
)
def test_which_cards_are_due(assessment: Assessment, expected: list[str]) -> None:
    assert kinds(assessment) == expected


@pytest.mark.parametrize(
    ("long_enough_in_days", "expected"), [(1, ["running-trial"]), (0, []), (-1, []), (None, [])]
)
def test_a_running_trial_is_announced_until_the_day_it_is_long_enough(
    long_enough_in_days: int | None, expected: list[str]
) -> None:
    day = None if long_enough_in_days is None else ON + timedelta(days=long_enough_in_days)
    running = a_trial(
        "venlafaxine", Answer.NOT_MET, days=30, is_running=True, long_enough_on=day, last_day=ON
    )
    assert kinds(one_failed(running)) == expected


@pytest.mark.parametrize(
    ("last_day", "expected"), [(ON, ["dose-below-minimum"]), (ON - timedelta(days=1), [])]
)
def test_a_dose_below_the_minimum_matters_while_the_drug_is_taken(
    last_day: date, expected: list[str]
) -> None:
    too_low = a_trial("venlafaxine", Answer.NOT_MET, days=0, dose=Answer.NOT_MET, last_day=last_day)
    assert kinds(one_failed(too_low)) == expected


def test_the_same_agent_again_is_not_another_trial() -> None:
    again = a_trial("olanzapine with fluoxetine", Answer.NOT_MET, agent="sertraline", days=0,
                    dose=Answer.NOT_MET, last_day=ON)  # fmt: skip
    assert kinds(one_failed(again)) == []


def test_a_drug_not_meant_for_depression_is_not_another_trial() -> None:
    for_sleep = a_trial(
        "trazodone", Answer.NOT_MET, days=0, dose=Answer.NOT_MET, use=Answer.NOT_MET, last_day=ON
    )
    assert kinds(one_failed(for_sleep)) == []


def test_no_card_is_meant_for_a_patient_or_a_relative() -> None:
    assert cards_for(an_assessment(safety=SUICIDALITY), for_professional=False) == ()


# --- what each card says ------------------------------------------------------------------------------


def test_the_safety_card_says_what_was_recorded_and_when() -> None:
    card = only_card(an_assessment(Verdict.NOT_MET, (0, 0), safety=SUICIDALITY, suicidality_is_acute=True))
    assert card.indicator.value == "critical"
    assert card.summary == "Suicidality on record (PHQ-9 item 9 answered 2 on 2026-06-20): assess risk now"
    assert codes(card) == ["401277000", "183866009", "93373-9"]
    assert "| Drug" not in card.detail


def test_older_suicidality_is_a_warning() -> None:
    card = only_card(an_assessment(Verdict.NOT_MET, (0, 0), safety=SUICIDALITY))
    assert card.indicator.value == "warning"


@pytest.mark.parametrize(
    ("reason", "summary_ends", "advice"),
    [
        (BIPOLAR, "bipolar disorder is on record", "pathway for bipolar depression"),
        (replace(BIPOLAR, text="F31.9 (bipolar)"), "bipolar disorder is on record", "bipolar depression"),
        (replace(BIPOLAR, text="F20 (psychotic disorder)"), "a psychotic disorder is on record", "psychosis"),
        (replace(BIPOLAR, text="F03 (dementia)"), "dementia is on record", "memory service"),
        (replace(BIPOLAR, text="X (mood due to medical)"), "medical condition is on record", "medical cause"),
        (replace(BIPOLAR, text="X (substance induced mood)"), "mood disorder is on record", "substance use"),
        (replace(BIPOLAR, text="X (a site's own)"), "a diagnosis on record excludes them", "that diagnosis"),
        (
            replace(BIPOLAR, text="Schizoaffective disorder, bipolar type (psychotic disorder)"),
            "a psychotic disorder is on record",
            "psychosis",
        ),
        (replace(BIPOLAR, text="X (peripartum psychosis)"), "peripartum psychosis is on record", "perinatal"),
        (replace(BIPOLAR, text="Manic episode"), "bipolar disorder is on record", "bipolar depression"),
        (TOO_YOUNG, "the patient is under 18", "children and adolescents"),
    ],
    ids=lambda value: value.text if isinstance(value, Finding) else "",
)
def test_an_excluded_patient_is_shown_the_other_pathway(
    reason: Finding, summary_ends: str, advice: str
) -> None:
    old_enough = Finding("age", Answer.MET, "44 years")
    reasons = (reason,) if reason.criterion == "age" else (old_enough, reason)
    card = only_card(an_assessment(Verdict.EXCLUDED, (1, 1), reasons=reasons))
    assert card.indicator.value == "info"
    assert card.summary.endswith(summary_ends)
    assert advice in card.detail
    assert reason.text in card.detail
    assert "44 years" not in card.detail


def test_the_met_card_names_trials_and_offers_assessment_and_referral() -> None:
    card = only_card(with_options(an_assessment()))
    assert card.indicator.value == "warning"
    assert card.summary == (
        "Criteria for treatment-resistant depression met: 2 adequate trials failed (sertraline, venlafaxine)"
    )
    assert all(name in card.detail for name in ("ATHF-SF", "MGH-ATRQ", "Maudsley Staging Method"))
    assert codes(card) == ["Structured antidepressant treatment history (ATHF-SF, MGH-ATRQ or Maudsley "
                           "Staging Method)", "183524004"]  # fmt: skip
    assert [link.label.partition(":")[0] for link in card.links] == [
        "Definition", "Recommended", "Recommended", "Recommended", "Consider", *["Specialist to decide"] * 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("age_years", "code"), [(64, "183524004"), (65, "183528001"), (66, "183528001"), (None, "183524004")]
)
def test_late_in_life_the_referral_is_to_old_age_psychiatry(age_years: int | None, code: str) -> None:
    assert codes(only_card(an_assessment(age_years=age_years)))[-1] == code


def test_names_are_left_out_when_fewer_trials_count_than_failed() -> None:
    trials = (a_trial("fluoxetine"), a_trial("citalopram"), a_trial("venlafaxine"))
    card = only_card(an_assessment(trials=trials))
    assert card.summary == "Criteria for treatment-resistant depression met: 2 adequate trials failed"


def test_the_indeterminate_card_says_exactly_what_to_record() -> None:
    trials = (a_trial(), a_trial("venlafaxine", Answer.UNKNOWN))
    dose = Missing("dose of venlafaxine", "", "Record the daily dose.")
    card = only_card(
        an_assessment(Verdict.INDETERMINATE, (1, 2), trials=trials, missing=(A_SCORE_IS_MISSING, dose))
    )
    assert card.summary.endswith("To record: PHQ-9 after 2025-10-01 and 1 more")
    assert "- PHQ-9 after 2025-10-01 (no last score). Record a PHQ-9 now." in card.detail
    assert "- dose of venlafaxine. Record the daily dose." in card.detail
    assert "at least 1 and at most 2 adequate trials failed" in card.detail
    notes = [resource.get("note") for resource in resources(card)]
    assert notes == [None, [{"text": "1. Record a PHQ-9 now.\n2. Record the daily dose."}]]


@pytest.mark.parametrize(
    ("failed", "text"),
    [
        ((0, 2), "at most 2 adequate trials failed, none for certain, 2 needed"),
        ((1, 2), "at least 1 and at most 2 adequate trials failed, 2 needed"),
        ((2, 2), "2 adequate trials failed, 2 needed"),
    ],
)
def test_the_number_of_failed_trials_is_a_range(failed: tuple[int, int], text: str) -> None:
    assert text in only_card(an_assessment(Verdict.INDETERMINATE, failed)).detail


@pytest.mark.parametrize(
    ("baseline_scale", "has_last", "is_offered"),
    [(None, False, True), ("PHQ-9", False, True), ("MADRS", False, False), ("PHQ-9", True, False)],
)
def test_a_phq_9_is_offered_only_where_it_could_help(
    baseline_scale: str | None, has_last: bool, is_offered: bool
) -> None:
    scale = Scale(baseline_scale, 0, 60, None, True, 1) if baseline_scale else None
    baseline = a_score(20, scale=scale) if scale else None
    last = a_score(10, scale=scale) if scale and has_last else None
    trials = (a_trial(), a_trial("venlafaxine", Answer.UNKNOWN, baseline=baseline, last=last))
    card = only_card(an_assessment(Verdict.INDETERMINATE, (1, 2), trials=trials))
    assert ("715252007" in codes(card)) is is_offered


def test_the_running_trial_card_names_the_day_and_the_score() -> None:
    card = only_card(one_failed(RUNNING))
    assert card.summary == (
        "1 adequate trial failed; venlafaxine will be an adequate trial on 2026-07-12: "
        "record a PHQ-9 score then"
    )
    assert codes(card) == ["715252007", "88848003"]
    assert [resource["occurrenceDateTime"] for resource in resources(card)] == ["2026-07-12"] * 2


def test_the_low_dose_card_says_optimise_before_switching() -> None:
    card = only_card(one_failed(TOO_LOW))
    assert card.summary == (
        "1 adequate trial failed; venlafaxine 37.5 mg is below the adequate minimum of 75 mg: "
        "optimise before switching"
    )


def test_a_dose_that_must_not_be_raised_is_not_to_be_optimised() -> None:
    against = Finding("contraindication", Answer.MET, "venlafaxine: bulimia is on record", ("Condition/9",))
    step = replace(OPTIMISE, cautions=(against,), is_contraindicated=True)
    card = only_card(one_failed(TOO_LOW, next_steps=(step,)))
    assert card.summary.endswith("minimum of 75 mg: see first what is on record against it")
    assert "A higher dose is not pointed to: venlafaxine: bulimia is on record." in card.detail
    assert "Optimise dose" not in card.detail
    assert [link.label for link in card.links] == ["Definition: A rule for tests"]


@pytest.mark.parametrize(
    ("answer", "drug", "expected"),
    [
        (Answer.MET, "venlafaxine", []),
        (Answer.UNKNOWN, "venlafaxine", ["dose-below-minimum"]),
        (Answer.MET, "citalopram", ["dose-below-minimum"]),
    ],
)
def test_a_drug_at_its_highest_allowed_dose_is_not_below_the_minimum(
    answer: Answer, drug: str, expected: list[str]
) -> None:
    ceiling = Finding("ceiling", answer, f"{drug}: over 60 years: born 1950-01-01", ("Patient/p1",))
    step = replace(OPTIMISE, cautions=(ceiling,), is_contraindicated=answer is Answer.MET)
    assert kinds(one_failed(TOO_LOW, next_steps=(step,))) == expected


REGISTER = replace(
    a_definition(rule=Rule.TREATMENTS),
    treatments=TreatmentRule(3, 28, 365, WindowEnd.TODAY),
)
SCORED = replace(a_definition(rule=Rule.SCORE), staging=StagingRule("Maudsley", met_from=7))


@pytest.mark.parametrize(
    ("definition", "failed", "summary", "needed"),
    [
        (a_definition(), 2, "met: 2 adequate trials failed (sertraline, venlafaxine)", "2 needed"),
        (REGISTER, 3, "met: 3 treatments counted", "3 needed"),
        (SCORED, 8, "met: 8 points scored", "7 needed"),
    ],
    ids=["failed trials", "treatments", "score"],
)
def test_a_card_says_what_its_definition_counts(
    definition: Definition, failed: int, summary: str, needed: str
) -> None:
    card = only_card(an_assessment(failed=(failed, failed), definition=definition))
    assert card.summary.endswith(summary)
    assert needed in card.detail


@pytest.mark.parametrize(("definition", "most"), [(a_definition(), 2), (REGISTER, 3), (SCORED, 7)])
def test_the_indeterminate_card_is_due_when_enough_could_be_counted(
    definition: Definition, most: int
) -> None:
    for number, expected in ((most - 1, []), (most, ["indeterminate"]), (most + 1, ["indeterminate"])):
        assessment = an_assessment(Verdict.INDETERMINATE, (0, number), definition=definition)
        assert kinds(assessment) == expected


def test_a_register_s_treatments_are_no_failed_trials() -> None:
    """Two treatments counted, one of them failed: the running third is announced as after one failed trial."""
    assessment = an_assessment(
        Verdict.NOT_MET, (2, 2), definition=REGISTER, trials=(a_trial("sertraline"), RUNNING)
    )
    assert only_card(assessment).summary.startswith("1 adequate trial failed; venlafaxine will be")
    none_failed = replace(assessment, trials=(RUNNING,))
    assert kinds(none_failed) == []


# --- the detail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trial", "cells"),
    [
        (
            a_trial(baseline=a_score(19), last=a_score(17), improvement=10.526),
            ["sertraline", "100 mg (min 50)", "85 days, 2025-09-01 to 2025-11-24", "PHQ-9 19 → 17 (−11 %)",
             "**failed**: 10.5 % better"],
        ),
        (
            a_trial(max_mg=None, minimum_mg=None, days=0, failed=Answer.UNKNOWN, why="no dose"),
            ["sertraline", "dose not known (minimum not known)", "0 days, taken 2025-11-24 to 2025-11-24",
             "no score", "not known: no dose"],
        ),
        (
            a_trial(days=1, failed=Answer.NOT_MET, why="too short", baseline=a_score(9.5), is_running=True),
            ["sertraline", "100 mg (min 50)", "1 day, 2025-11-24 to 2025-11-24, running", "PHQ-9 9.5 → ?",
             "does not count: too short"],
        ),
    ],
)  # fmt: skip
def test_a_trial_is_one_row(trial: Any, cells: list[str]) -> None:
    card = only_card(an_assessment(trials=(trial,)))
    assert "| " + " | ".join(cells) + " |" in card.detail.splitlines()


@pytest.mark.parametrize(
    ("improvement", "text"),
    [
        (10.526, "−11 %"), (-5.88, "+6 %"), (0, "0 %"), (0.4, "0 %"), (-0.4, "0 %"), (100, "−100 %"),
        (49.4, "−49 %"), (49.6, "−49.6 %"), (49.97, "−49.9 %"), (50, "−50 %"), (50.4, "−50 %"),
    ],
)  # fmt: skip
def test_a_change_never_rounds_over_the_threshold(improvement: float, text: str) -> None:
    assert change_percent(improvement, threshold=50) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100"),
        (37.5, "37.5"),
        (12.857142, "12.86"),
        (0.0, "0"),
        (1e12, "1e+12"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_written_plainly(value: float, text: str) -> None:
    assert plain_number(value) == text


def test_of_many_trials_the_failed_ones_are_shown() -> None:
    others = tuple(a_trial(f"drug {number}", Answer.NOT_MET) for number in range(30))
    card = only_card(an_assessment(trials=(*others, a_trial("sertraline"), a_trial("venlafaxine"))))
    rows = [line for line in card.detail.splitlines() if line.startswith("| ")]
    assert len(rows) == TRIALS_SHOWN + 2
    assert rows[-1].startswith("| venlafaxine")
    assert "And 20 more trials, not shown." in card.detail


def test_long_lists_say_how_many_more() -> None:
    missing = tuple(Missing(f"thing {number}", "", "Ask.") for number in range(MISSING_SHOWN + 1))
    unread = tuple(Unread(f"MedicationRequest/{number}", "no dose") for number in range(10))
    card = only_card(an_assessment(missing=missing, unread=unread))
    assert "- and 1 more" in card.detail
    assert "**10 entries could not be read:**" in card.detail
    assert "- MedicationRequest/0: no dose" in card.detail
    assert "- and 7 more" in card.detail


def test_the_definition_is_named_with_what_the_project_chose() -> None:
    definition = a_definition(
        filled=(
            ("max_gap_days", "14"),
            ("partial_response_counts_as_failure", "true"),
            ("exclusions", "bipolar, psychotic_disorder"),
            ("of_the_site", "1"),
        )
    )
    detail = only_card(an_assessment(definition=definition)).detail
    assert "Definition: test-rule, version 1: A rule for tests." in detail
    assert (
        "Chosen by this project, as the source is silent: longest gap bridged, days: 14; "
        "partial response is a failure: yes; exclusions: bipolar, psychotic disorder; of the site: 1."
    ) in detail
    assert "recalled" not in detail


def test_every_parameter_has_a_name_in_plain_words() -> None:
    assert list(load_words().parameters) == list(PARAMETERS)


TRIED = [
    # kind, name, the first cells of its row
    (TrialKind.ANTIDEPRESSANT, "sertraline", "| sertraline | 100 mg (min 50) |"),
    (TrialKind.AUGMENTATION, "lithium", "| lithium (augmentation) | 100 mg (min 50) |"),
    (TrialKind.COMBINATION, "a + b", "| a + b (combination) | – |"),
    (TrialKind.NEUROMODULATION, "ECT", "| ECT (neuromodulation) | – |"),
    (TrialKind.PSYCHOTHERAPY, "psychotherapy", "| psychotherapy | – |"),
]


@pytest.mark.parametrize(("kind", "name", "row"), TRIED)
def test_only_what_has_a_dose_shows_one(kind: TrialKind, name: str, row: str) -> None:
    judged = a_trial(name)
    judged = replace(judged, trial=replace(judged.trial, kind=kind))
    assert row in only_card(an_assessment(trials=(judged, a_trial("venlafaxine")))).detail


@pytest.mark.parametrize(
    "given",
    [
        {"source": "a guideline; weeks recalled, unverified"},
        {"source_status": "recalled"},
        {"notes": "recalled, unverified"},
    ],
    ids=str,
)
def test_what_was_only_recalled_is_marked(given: dict[str, str]) -> None:
    detail = only_card(an_assessment(definition=a_definition(**given))).detail
    assert "Parts of it are recalled, unverified." in detail


def test_a_recalled_minimum_dose_is_marked() -> None:
    trials = (a_trial("sertraline", minimum_source="recalled, unverified: a book"), a_trial("venlafaxine"))
    assert "Minimum dose recalled, unverified: sertraline." in only_card(an_assessment(trials=trials)).detail


@pytest.mark.parametrize(
    ("citation", "url"),
    [
        (
            "A journal, doi 10.18203/2394-6040.ijcmph20260152",
            "https://doi.org/10.18203/2394-6040.ijcmph20260152",
        ),
        ("Mol Psychiatry, PMC9095475 table 1", "https://pmc.ncbi.nlm.nih.gov/articles/PMC9095475/"),
        ("see https://example.org/trd (read).", "https://example.org/trd"),
        ("project choice", ""),
        ("http://example.org/trd", ""),
        ("javascript:alert(1)", ""),
        ("https:///nowhere", ""),
    ],
)
def test_a_citation_gives_its_web_address(citation: str, url: str) -> None:
    assert address_in(citation) == url


def test_the_source_is_the_definition() -> None:
    source = to_json(only_card(an_assessment()))["source"]
    assert source["label"] == "trd-cds, A rule for tests"
    assert source["url"] == "https://doi.org/10.1000/test.1"


# --- what stands around the trials --------------------------------------------------------------------


def test_what_to_check_first_stands_before_the_trials_with_its_record() -> None:
    found = (
        Finding("hypothyroidism", Answer.MET, "hypothyroidism", ("Condition/3",)),
        Finding("ptsd", Answer.MET, "post-traumatic stress disorder", ("Condition/7", "Condition/8", "Condition/9")),
    )  # fmt: skip
    lines = only_card(an_assessment(check_first=found)).detail.splitlines()
    (place,) = [n for n, line in enumerate(lines) if line.startswith("**Check first:**")]
    assert lines[place] == (
        "**Check first:** hypothyroidism (Condition/3); "
        "post-traumatic stress disorder (Condition/7, Condition/8, and 1 more)."
    )
    assert place < lines.index("| Drug | Dose a day | Days at adequate dose | Score | Verdict |")


def test_of_many_things_to_check_the_first_are_named() -> None:
    found = tuple(Finding("x", Answer.MET, f"illness {n}") for n in range(CHECKS_SHOWN + 2))
    detail = only_card(an_assessment(check_first=found)).detail
    assert f"illness {CHECKS_SHOWN - 1}; and 2 more." in detail
    assert f"illness {CHECKS_SHOWN}" not in detail


def test_impairment_that_is_left_is_said() -> None:
    left = (Finding("function", Answer.MET, "WSAS 22, unimpaired up to 9", ("Observation/22",)),)
    detail = only_card(an_assessment(residual_impairment=left)).detail
    assert "**Residual impairment:** WSAS 22, unimpaired up to 9 (Observation/22)." in detail.splitlines()


@pytest.mark.parametrize(
    ("kind", "first_day", "answer", "text", "line"),
    [
        (CompanionKind.AUGMENTATION, date(2025, 9, 10), Answer.MET, "",
         "- Beside sertraline: lithium (augmentation), 2025-09-10 to 2025-11-20, 60 days in common; "
         "enough to count."),
        (CompanionKind.CROSS_TAPER, None, Answer.NOT_MET, "28 days at most",
         "- Beside sertraline: lithium (cross-taper), 60 days in common; not enough to count: 28 days at most."),
        (CompanionKind.NEUROMODULATION, None, Answer.UNKNOWN, "sessions not recorded",
         "- Beside sertraline: lithium (neuromodulation), 60 days in common; not known: sessions not recorded."),
    ],
)  # fmt: skip
def test_what_went_on_beside_a_trial_stands_below_it(
    kind: CompanionKind, first_day: date | None, answer: Answer, text: str, line: str
) -> None:
    lithium = Companion(kind, "lithium", first_day, date(2025, 11, 20), 60, Finding("beside", answer, text))
    trial = replace(a_trial("sertraline"), companions=(lithium,))
    assert line in only_card(an_assessment(trials=(trial, a_trial("venlafaxine")))).detail.splitlines()


@pytest.mark.parametrize("kind", list(TrialKind))
def test_a_trial_of_another_kind_says_which(kind: TrialKind) -> None:
    judged = a_trial("lithium")
    judged = replace(judged, trial=replace(judged.trial, kind=kind))
    detail = only_card(an_assessment(trials=(judged,))).detail
    name = "lithium" if kind is TrialKind.ANTIDEPRESSANT else f"lithium ({kind.value})"
    assert f"| {name} | " in detail


@pytest.mark.parametrize(
    ("views", "line"),
    [
        ("", None),
        ("a met", "The other definition agrees."),
        ("a met, b met", "All 2 other definitions agree."),
        ("a met, b not-met: both are SSRIs", "1 of 2 other definitions agree; b differs: both are SSRIs."),
        ("a not-met", "0 of 1 other definitions agree; a differs: not-met."),
        ("a not-met: not met under a: both are SSRIs",
         "0 of 1 other definitions agree; not met under a: both are SSRIs."),
        ("a not-met, b excluded: mania, c not-met: one class, d met",
         "1 of 4 other definitions agree; b differs: mania; 2 more differ: c, a."),
        ("a not-met, b not-met, c not-met, d not-met",
         "0 of 4 other definitions agree; a differs: not-met; 3 more differ: b, c, d."),
    ],
)  # fmt: skip
def test_one_line_says_how_many_definitions_agree(views: str, line: str | None) -> None:
    detail = only_card(an_assessment(other_views=other_views(views))).detail
    assert [text for text in detail.splitlines() if "other definition" in text] == ([line] if line else [])


@pytest.mark.parametrize(
    ("stagings", "line"),
    [
        ((("Maudsley", 7, 8, "moderate", "moderate"), ("Thase-Rush", 2, 2, "stage II", "stage II")),
         "**Staging:** Maudsley 7 to 8 (moderate); Thase-Rush stage II."),
        ((("Maudsley", 6, 7, "mild", "moderate"),), "**Staging:** Maudsley 6 to 7 (mild to moderate)."),
        ((("MGH-S", 2.5, 2.5, "", ""),), "**Staging:** MGH-S 2.5."),
        ((("Thase-Rush", 1, 2, "Stage I", "Stage II"),), "**Staging:** Thase-Rush Stage I to Stage II."),
    ],
)  # fmt: skip
def test_one_line_gives_the_stages(stagings: tuple[Any, ...], line: str) -> None:
    found = tuple(Staging(t, t, low, high, a, b, (), "a source") for t, low, high, a, b in stagings)
    assert line in only_card(an_assessment(staging=found)).detail.splitlines()


def test_the_highest_score_stands_beside_the_points_where_the_method_tells_it() -> None:
    bands = ((3.0, 6.0, "mild"), (7.0, 10.0, "moderate"), (11.0, 15.0, "severe"))
    by_maudsley = a_definition(id="msm", staging=StagingRule("Maudsley", bands=bands))
    found = Staging("Maudsley", "Maudsley", 7, 8, "moderate", "moderate", (), "a source")
    view = OtherView(Judgement(by_maudsley, Verdict.MET, 7, 8, (), ()))
    line = "**Staging:** Maudsley 7 to 8 of 15 (moderate)."
    for assessment in (
        an_assessment(staging=(found,), other_views=(view,)),
        an_assessment(staging=(found,), definition=by_maudsley),
    ):
        assert line in only_card(assessment).detail.splitlines()


def test_one_line_gives_the_newest_values_beyond_mood() -> None:
    values = tuple(
        Measurement(name, Domain.FUNCTION, date(2026, 6, day), 22.0, unit, f"Observation/{day}")
        for day, (name, unit) in enumerate(
            [("one", ""), ("two", "{score}"), ("three", "m[IU]/L"), ("four", ""), ("five", "")], start=1
        )
    )
    assert (
        "**Context:** five 22 (2026-06-05); four 22 (2026-06-04); three 22 m\\[IU\\]/L (2026-06-03); "
        "two 22 (2026-06-02)."
    ) in only_card(an_assessment(context=values)).detail.splitlines()


def test_the_definition_is_named_with_the_hash_of_its_content() -> None:
    definition = a_definition(content_hash="0123456789abcdef")
    detail = only_card(an_assessment(definition=definition)).detail
    assert "Definition: test-rule, version 1, content 0123456789ab: A rule for tests." in detail


# --- options ------------------------------------------------------------------------------------------


def test_options_are_told_by_level_with_what_concerns_them() -> None:
    pressure = Finding("caution", Answer.MET, "blood pressure 150", ("Observation/5",))
    metal = Finding(
        "contraindication", Answer.UNKNOWN, "“cochlear implant” may be on record", ("Condition/6",)
    )
    allergy = Finding("contraindication", Answer.MET, "hypersensitivity", ("AllergyIntolerance/7",))
    psychotic = Finding("indication", Answer.MET, "psychotic depression", ("Condition/8",))
    specialist = "specialist to decide"
    steps = (
        NextStep("A", "x", "recommend", label="a score", url="https://example.org/a", link_label="the score"),
        NextStep("B", "x", specialist, (pressure, allergy), True, "spray", "the spray", "https://example.org/b"),
        NextStep("C", "x", specialist, (metal,), label="coil"),
        NextStep("D", "x", specialist, (metal,), label="fast coil"),
        NextStep("E", "x", specialist, (psychotic,), label="ECT", url="https://example.org/e"),
        NextStep("F", "x", "research only", (pressure,), label="mushrooms", is_shown=False),
    )  # fmt: skip
    card = only_card(an_assessment(next_steps=steps))
    lines = card.detail.splitlines()
    place = lines.index(load_words().options_title)
    assert lines[place + 2 : place + 7] == [
        "- **Not pointed to:** spray: hypersensitivity (AllergyIntolerance/7).",
        "- Recommended: a score.",
        "- Specialist to decide: coil; fast coil; ECT.",
        "- **Urgent indication,** ECT: psychotic depression (Condition/8).",
        "- Possible caution, coil, fast coil: “cochlear implant” may be on record (Condition/6).",
    ]
    assert "mushrooms" not in card.detail
    assert [(link.label, link.url) for link in card.links[1:]] == [
        ("Recommended: the score", "https://example.org/a"),
        ("Specialist to decide: ECT", "https://example.org/e"),
    ]


def test_the_safety_and_the_excluded_card_point_to_no_option() -> None:
    for assessment in (
        an_assessment(Verdict.NOT_MET, (0, 0), safety=SUICIDALITY),
        an_assessment(Verdict.EXCLUDED, (1, 1), reasons=(BIPOLAR,)),
    ):
        card = only_card(with_options(assessment))
        assert load_words().options_title not in card.detail
        assert [link.label.partition(":")[0] for link in card.links] in ([], ["Definition"])


def test_every_code_of_a_draft_is_a_row_of_the_table() -> None:
    codings = [
        (coding["system"], coding["code"], coding.get("display", ""))
        for request in load_words().requests.values()
        for concept in (request.code, request.category)
        for coding in concept.get("coding", ())
    ]
    assert len(codings) >= 10
    for system, code, display in codings:
        assert load_referrals()[system, code].display == display


@pytest.mark.parametrize("assessment", [row[1] for row in LADDER], ids=[row[0] for row in LADDER])
@pytest.mark.parametrize(("is_acute", "kind"), [(True, "safety-acute"), (False, "safety")])
def test_the_safety_card_comes_first_whatever_the_rest_says(
    assessment: Assessment, is_acute: bool, kind: str
) -> None:
    """Its topic is its own, so whoever silences the topic of another card silences nothing of it."""
    silent = replace(assessment, safety=Finding("safety", Answer.NOT_MET, "answered 0"))
    at_risk = replace(assessment, safety=SUICIDALITY, suicidality_is_acute=is_acute)
    others = kinds(silent)
    assert kinds(at_risk)[0] == kind
    assert not any(other.startswith("safety") for other in others)
    alone = cards_for(replace(at_risk, concerns_depression=False))[0]
    beside = cards_for(at_risk)[0]
    assert without_uuids(to_json(alone)) == without_uuids(to_json(beside))


# --- drugs that must not be taken together --------------------------------------------------------------


def test_the_drug_safety_card_says_which_drugs_since_when_and_by_which_source() -> None:
    card = only_card(an_assessment(Verdict.NOT_MET, (0, 0), maoi_risks=(a_risk(),)))
    assert card.indicator.value == "critical"
    assert card.summary == (
        "On record together today: phenelzine (an MAOI) and sertraline; check now what is taken"
    )
    told = "- phenelzine (an MAOI) together with sertraline, 4 days, 2026-06-27 to 2026-06-30, going on"
    assert f"{told} (MedicationRequest/1, MedicationRequest/2)." in card.detail
    assert "Source: a label (read)." in card.detail
    assert "Definition" not in card.detail
    assert card.source.label == "trd-cds, precautions with monoamine oxidase inhibitors"
    assert (card.suggestions, card.selection_behavior) == ((), None)


def test_the_pair_that_is_certain_today_gives_the_summary_and_all_are_told() -> None:
    after = a_risk("tranylcypromine", "fluoxetine", together_today=Answer.NOT_MET, sources=("another",))
    over = a_risk("isocarboxazid", "venlafaxine", goes_on=False)
    card = only_card(an_assessment(Verdict.NOT_MET, (0, 0), maoi_risks=(after, a_risk(), over)))
    assert "phenelzine (an MAOI) and sertraline" in card.summary
    assert "tranylcypromine (an MAOI)" in card.detail
    assert "isocarboxazid" not in card.detail
    assert "Source: another; a label (read)." in card.detail


@pytest.mark.conformance("CH-505")
@pytest.mark.parametrize("together", list(Answer))
def test_the_longest_names_fit_the_summary_and_longer_ones_are_left_out(together: Answer) -> None:
    for other, is_named in (("dextromethorphan / bupropion", True), ("x" * 100, False), ("\x00", False)):
        risk = a_risk("tranylcypromine", other, together_today=together)
        card = only_card(an_assessment(Verdict.NOT_MET, (0, 0), maoi_risks=(risk,)))
        assert ("tranylcypromine (an MAOI)" in card.summary) is is_named


def test_an_maoi_too_soon_is_a_warning() -> None:
    after = a_risk(together_today=Answer.NOT_MET)
    card = only_card(an_assessment(Verdict.NOT_MET, (0, 0), maoi_risks=(after,)))
    assert card.indicator.value == "warning"
    assert card.summary.startswith("Perhaps together, or too soon after each other: phenelzine (an MAOI)")


# --- what is requested already --------------------------------------------------------------------------

BOTH = [
    "Structured antidepressant treatment history (ATHF-SF, MGH-ATRQ or Maudsley Staging Method)",
    "183524004",
]
HISTORY_ONLY, NONE_LEFT = BOTH[:1], []
ON_RECORD = """
    request             | days ago | status | open    | card says
    --------------------+----------+--------+---------+----------------------------------------------
    psychiatry-referral | 0        | draft  | met     | Already requested: it (…/7, 2026-06-30, draft)
    psychiatry-referral | 365      | active | met     | Already requested: it (…/7, 2025-06-30, active)
    psychiatry-referral | 366      | active | met     |
    psychiatry-referral | 3        | active | unknown | Perhaps already requested: it (…/7, 2026-06-27, active)
    psychiatry-referral | 366      | active | unknown |
    psychiatry-referral |          | active | unknown | Perhaps already requested: it (…/7, no date, active)
    emergency-referral  | 3        | active | met     |
"""


def requested(request: str, days_ago: str, status: str = "active", holds: str = "met") -> OpenRequest:
    day = ON - timedelta(days=int(days_ago)) if days_ago else None
    written = day.isoformat() if day else ""
    return OpenRequest(request, "it", "ServiceRequest/7", status, day, written, Answer(holds))


@pytest.mark.parametrize("row", rows(ON_RECORD), ids=lambda row: f"{row['days ago']} {row['open']}")
def test_what_is_requested_already_is_said_and_not_suggested_again(row: dict[str, str]) -> None:
    asked = requested(row["request"], row["days ago"], row["status"], row["open"])
    card = only_card(an_assessment(open_requests=(asked,)))
    says = visible_text(card.detail)
    assert row["card says"].replace("…", "ServiceRequest") in says
    is_left_out = row["card says"].startswith("Already")
    assert codes(card) == (HISTORY_ONLY if is_left_out else BOTH)
    assert ("equested:" in says) is bool(row["card says"])


def test_a_certain_request_decides_whatever_else_may_be_requested() -> None:
    asked = (requested("psychiatry-referral", "3", holds="unknown"), requested("psychiatry-referral", "40"))
    card = only_card(an_assessment(open_requests=asked))
    assert codes(card) == HISTORY_ONLY
    assert "Perhaps" not in card.detail


@pytest.mark.conformance("CH-515", "CH-514")
def test_where_everything_is_requested_there_is_nothing_to_select() -> None:
    asked = (requested("psychiatry-referral", "3"), requested("treatment-history", "9"))
    card = only_card(an_assessment(open_requests=asked))
    assert (codes(card), card.selection_behavior) == (NONE_LEFT, None)
    assert "selectionBehavior" not in to_json(card) and "suggestions" not in to_json(card)
    told = visible_text(card.detail)
    assert "Already requested: it (ServiceRequest/7, 2026-06-21, active); it (ServiceRequest/7" in told


def test_a_referral_to_any_psychiatry_stands_for_that_to_old_age_psychiatry() -> None:
    card = only_card(an_assessment(age_years=70, open_requests=(requested("psychiatry-referral", "3"),)))
    assert codes(card) == HISTORY_ONLY


@pytest.mark.parametrize(("days_ago", "left"), [("14", 2), ("15", 3)])
def test_what_is_urgent_is_suggested_again_after_14_days(days_ago: str, left: int) -> None:
    asked = requested("emergency-referral", days_ago)
    card = only_card(an_assessment(Verdict.NOT_MET, (0, 0), safety=SUICIDALITY, open_requests=(asked,)))
    assert len(card.suggestions) == left


@pytest.mark.parametrize(("days_ago", "left"), [("28", ["88848003"]), ("29", ["715252007", "88848003"])])
def test_a_score_is_asked_for_again_after_28_days(days_ago: str, left: list[str]) -> None:
    assert codes(only_card(one_failed(RUNNING, open_requests=(requested("phq-9", days_ago),)))) == left


def test_a_request_of_another_kind_changes_nothing() -> None:
    plain, more = an_assessment(), an_assessment(open_requests=(requested("phq-9", "3"),))
    assert without_uuids(to_json(only_card(plain))) == without_uuids(to_json(only_card(more)))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a|b", "[x](javascript:alert(1))"])
def test_text_of_a_request_comes_out_literally(text: str) -> None:
    asked = replace(requested("psychiatry-referral", "3"), reference=text, status=text)
    assert visible_text(only_card(an_assessment(open_requests=(asked,))).detail).count(text) == 2


# --- the SMART app --------------------------------------------------------------------------------------

APP = "https://app.example.org/launch.html?site=7"


@pytest.mark.conformance("CH-611", "CH-612", "CH-613", "CH-614", "CH-615")
def test_each_card_links_to_the_app_of_the_site_first() -> None:
    for assessment in EVERY_CARD:
        for card in cards_for(assessment, call=Call(hook="encounter-start", smart_app_url=APP)):
            link = card.links[0]
            assert (link.type, link.url) == (LinkType.SMART, APP)
            assert link.label == "Open the structured assessment of treatment resistance"
            assert json.loads(link.app_context) == {
                "card": kind_of(card),
                "definition": "test-rule",
                "hook": "encounter-start",
            }
            assert [other.type for other in card.links[1:]] == [LinkType.ABSOLUTE] * (len(card.links) - 1)


def test_without_an_app_there_is_no_smart_link() -> None:
    links = [link for assessment in EVERY_CARD for card in cards_for(assessment) for link in card.links]
    assert links
    assert {link.type for link in links} == {LinkType.ABSOLUTE}


# --- hostile and long text ----------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "a|b",
    "a\\|b",
    "`code` and *stars* and __lines__ and ~~gone~~",
    "&lt;b&gt; &amp; &#124;",
    "# heading",
    "- item",
    "1. item",
    "<https://evil.example>",
    "a\\",
    "$x$",
]


@pytest.mark.conformance("CH-513")
@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_data_comes_out_literally(text: str) -> None:
    trials = (a_trial(text, why=text), a_trial("venlafaxine"))
    missing = (Missing(text, text, text),)
    definition = a_definition(title=text, filled=((text, text),))
    card = only_card(
        an_assessment(
            Verdict.INDETERMINATE,
            (1, 2),
            trials=trials,
            missing=missing,
            definition=definition,
            **all_around(text),
        )
    )
    tokens = [child for token in MARKDOWN.parse(card.detail) for child in (token, *(token.children or ()))]
    assert {token.type for token in tokens}.isdisjoint(
        {
            "html_block",
            "html_inline",
            "link_open",
            "image",
            "code_inline",
            "s_open",
            "em_open",
            "heading_open",
        }
    )
    cells = [token.content for token in MARKDOWN.parse(card.detail) if token.type == "inline"]
    assert len([cell for cell in cells if cell == "venlafaxine"]) == 1
    shown = visible_text(card.detail)
    assert text.replace("https://", "https:\u2060//") in shown
    assert shown.count("|") == 0 or "|" in text


@pytest.mark.parametrize("text", ["https://evil.example", "WWW.evil.example", "a@evil.example"])
def test_addresses_in_data_do_not_become_links(text: str) -> None:
    detail = only_card(an_assessment(trials=(a_trial(text),))).detail
    assert text not in detail
    assert text in detail.replace("\u2060", "")


@pytest.mark.parametrize(
    "text", ["two\nlines", "tab\tbed", "nul\0", "rtl\u202eltr", "half \ud800", "zwsp\u200b"]
)
def test_control_characters_do_not_reach_a_card(text: str) -> None:
    assessment = an_assessment(
        trials=(a_trial(text), a_trial("venlafaxine")),
        safety=replace(SUICIDALITY, text=text),
    )
    for card in cards_for(assessment):
        json.dumps(to_json(card), ensure_ascii=False).encode("utf-8")
        assert card.summary.isprintable()
        assert all(line.isprintable() for line in card.detail.splitlines())


@pytest.mark.conformance("CH-505")
@pytest.mark.parametrize("character", ["x", "é", "💊"])
@pytest.mark.parametrize("length", [1, 30, 60, 139, 140, 5000])
def test_summaries_stay_short_whatever_the_drug_is_called(character: str, length: int) -> None:
    name = character * length
    running = a_trial(name, Answer.NOT_MET, days=30, is_running=True, long_enough_on=ON + timedelta(days=9),
                      last_day=ON)  # fmt: skip
    too_low = a_trial(name, Answer.NOT_MET, days=0, dose=Answer.NOT_MET, last_day=ON)
    missing = (Missing(name, name, name),)
    for assessment in (
        an_assessment(trials=(a_trial(name), a_trial("venlafaxine")), safety=replace(SUICIDALITY, text=name)),
        an_assessment(Verdict.INDETERMINATE, (1, 2), missing=missing),
        one_failed(running),
        one_failed(too_low),
    ):
        for card in cards_for(assessment):
            assert len(card.summary) < 140
            assert utf16_units(card.summary) < 140
            assert len(card.detail) < 20_000


@pytest.mark.conformance("CH-505")
def test_the_longest_drug_names_fit_the_summary() -> None:
    longest = ("desvenlafaxine", "levomilnacipran")
    card = only_card(an_assessment(trials=tuple(a_trial(name) for name in longest)))
    assert "desvenlafaxine, levomilnacipran" in card.summary


# --- the reply as a whole -----------------------------------------------------------------------------

EVERY_CARD = [
    an_assessment(safety=SUICIDALITY, suicidality_is_acute=True),
    an_assessment(safety=SUICIDALITY),
    an_assessment(Verdict.EXCLUDED, (1, 1), reasons=(BIPOLAR,)),
    an_assessment(age_years=70),
    an_assessment(definition=a_definition(source="project choice")),
    an_assessment(Verdict.INDETERMINATE, (0, 2), missing=(A_SCORE_IS_MISSING,), trials=()),
    an_assessment(Verdict.INDETERMINATE, (1, 2), trials=(a_trial(), a_trial("x", Answer.UNKNOWN))),
    one_failed(RUNNING),
    one_failed(TOO_LOW),
    an_assessment(Verdict.NOT_MET, (0, 0), maoi_risks=(a_risk(),)),
    an_assessment(Verdict.NOT_MET, (0, 0), maoi_risks=(a_risk(together_today=Answer.NOT_MET),)),
]


@pytest.mark.conformance("CH-501", "CH-514", "CH-517")
@pytest.mark.parametrize("assessment", EVERY_CARD)
@pytest.mark.parametrize("encounter_id", [None, "e1"])
def test_every_reply_is_valid_and_holds_nothing_empty(
    assessment: Assessment, encounter_id: str | None
) -> None:
    reply = {"cards": [to_json(card) for card in cards_for(assessment, call=Call(encounter_id=encounter_id))]}
    REPLY.validate(reply)
    assert reply["cards"]
    assert not [value for value in elements(reply) if value in (None, "", [], {})]


def test_every_kind_of_card_is_covered_here() -> None:
    assert {kind for assessment in EVERY_CARD for kind in kinds(assessment)} == set(load_words().cards)


@pytest.mark.conformance("CH-512", "CH-602")
def test_no_two_uuids_are_the_same() -> None:
    assessment = an_assessment(safety=SUICIDALITY)
    replies = [to_json(card) for _ in range(2) for card in cards_for(assessment)]
    uuids = re.findall(r'"uuid": "([^"]+)"', json.dumps(replies))
    assert len(uuids) == 2 * (2 + 3 + 2)
    assert len(set(uuids)) == len(uuids)


@pytest.mark.conformance("CH-519")
@pytest.mark.parametrize("assessment", EVERY_CARD)
def test_no_card_leans_on_another(assessment: Assessment) -> None:
    for card in cards_for(assessment):
        assert not re.search(r"\b(other|previous|first|next) card\b", card.detail)
        rests_on = "Source: a label" if kind_of(card).startswith("drug-safety") else "Definition: test-rule"
        assert rests_on in card.detail


@settings(max_examples=examples(60), deadline=None)
@given(text=st.text(max_size=200), number=st.floats(), answer=st.sampled_from(Answer))
def test_no_text_or_number_breaks_a_reply(text: str, number: float, answer: Answer) -> None:
    trial = a_trial(
        text, answer, why=text, max_mg=number, minimum_mg=number, improvement=number, baseline=a_score(number)
    )
    beside = Companion(CompanionKind.AUGMENTATION, text, ON, ON, 1, Finding(text, answer, text))
    trial = replace(trial, companions=(beside,))
    for verdict in Verdict:
        assessment = an_assessment(
            verdict,
            (1, 2),
            trials=(trial, a_trial(), RUNNING),
            missing=(Missing(text, text, text),),
            unread=(Unread(text, text),),
            reasons=(replace(BIPOLAR, text=text),),
            safety=replace(SUICIDALITY, text=text),
            definition=a_definition(title=text, source=text, filled=((text, text),), content_hash=text),
            **all_around(text, number, answer),
        )
        reply = {"cards": [to_json(card) for card in cards_for(assessment, call=Call(encounter_id=text))]}
        REPLY.validate(reply)
        json.dumps(reply, allow_nan=False, ensure_ascii=False).encode("utf-8")


# --- what the specs build, and how they look at a card -------------------------------------------------


OPTIMISE = NextStep("Optimise dose or adherence", "pharmacological", "recommend", label="optimise dose")


def with_options(assessment: Assessment) -> Assessment:
    """The assessment with the options that the real table has at its stage."""
    nobody = History(assessment.patient)
    stage, steps = find_next_steps(nobody, assessment, load_treatment_options(), (), assessment.on)
    return replace(assessment, stage=stage, next_steps=steps)


def other_views(table: str) -> tuple[OtherView, ...]:
    """`a met, b not-met: why` as what definitions a and b say."""
    views = []
    for cell in filter(None, table.split(", ")):
        name, verdict = cell.partition(":")[0].split()
        why = cell.partition(": ")[2]
        views.append(an_other_view(name, Verdict(verdict), why))
    return tuple(views)


def an_other_view(name: str, verdict: Verdict, why: str) -> OtherView:
    return OtherView(Judgement(a_definition(id=name), verdict, 0, 0, (), ()), why)


def all_around(text: str, number: float = 3.0, answer: Answer = Answer.MET) -> dict[str, Any]:
    """All that stands around the trials, each text of it the given one."""
    found = Finding(text, answer, text, (text, text, text))
    step = NextStep(text, text, "recommend", (found,), False, text, text, text)
    return {
        "check_first": (found,),
        "residual_impairment": (found,),
        "context": (Measurement(text, Domain.FUNCTION, ON, number, text, text),),
        "other_views": (an_other_view(text, Verdict.MET, text), an_other_view(text, Verdict.EXCLUDED, text)),
        "staging": (Staging(text, text, number, number, text, text, (), text),),
        "stage": text,
        "next_steps": (
            step,
            replace(step, is_contraindicated=True),
            replace(step, cautions=(replace(found, criterion="indication"),), level=text),
        ),
    }


def without_uuids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_uuids(item) for key, item in value.items() if key != "uuid"}
    return [without_uuids(item) for item in value] if isinstance(value, list) else value


def resources(card: Card) -> list[dict[str, Any]]:
    return [action.resource for one in card.suggestions for action in one.actions if action.resource]


def codes(card: Card) -> list[str]:
    """The code of each request, or its text where it has none."""
    found = [resource["code"] for resource in resources(card)]
    return [code["coding"][0]["code"] if "coding" in code else code["text"] for code in found]


def elements(value: Any) -> Iterator[Any]:
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from elements(child)


def visible_text(markdown: str) -> str:
    """What a reader sees, with one line a block."""
    inline = [token for token in MARKDOWN.parse(markdown) if token.type == "inline"]
    return "\n".join("".join(child.content for child in token.children or ()) for token in inline)
