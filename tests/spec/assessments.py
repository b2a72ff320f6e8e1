"""Builds assessments for the card specs: a verdict and trials with only what a test names."""

from __future__ import annotations

from datetime import date, timedelta

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import (
    Assessment,
    Exposure,
    JudgedTrial,
    Missing,
    Outcome,
    Response,
    Trial,
    Verdict,
)
from cds_service.trd.parameters import Definition, Distinctness
from cds_service.trd.record import (
    DoseSegment,
    Drug,
    Scale,
    Score,
    StopReason,
)

ON = date(2026, 6, 30)
PHQ9 = Scale("PHQ-9", 0, 27, 4, True, 1)
A_SCORE_IS_MISSING = Missing("PHQ-9 after 2025-10-01", "no last score", "Record a PHQ-9 now.")
SUICIDALITY = Finding("safety", Answer.MET, "PHQ-9 item 9 answered 2 on 2026-06-20", ("Observation/9",))


def a_definition(**given: object) -> Definition:
    values: dict[str, object] = {
        "id": "test-rule",
        "version": "1",
        "title": "A rule for tests",
        "needed_failed_trials": 2,
        "distinctness": Distinctness.AGENT,
        "minimum_days": 42,
        "dose_column": "default",
        "nonresponse_below_percent": 50,
        "response_from_percent": 50,
        "partial_response_from_percent": 25,
        "intolerance_counts_as_failure": False,
        "max_gap_days": 14,
        "lookback_days": 730,
        "exclusions": ("bipolar",),
        "passing_exclusions": (),
        "minimum_age_years": 18,
        "baseline_days_before": 60,
        "baseline_days_after": 7,
        "last_score_from_day": 28,
        "last_score_days_after": 14,
        "remission_confirmed_days": 60,
        "minimum_pdc": 0.8,
        "suicidality_window_days": 365,
        "suicidality_acute_days": 14,
        "cross_taper_days": 28,
        "source": "A journal, doi 10.1000/test.1",
        "source_status": "seen",
    }
    return Definition(**{**values, **given})  # type: ignore[arg-type]


def a_trial(
    name: str = "sertraline",
    failed: Answer = Answer.MET,
    *,
    agent: str = "",
    why: str = "10.5 % better",
    max_mg: float | None = 100,
    minimum_mg: float | None = 50,
    minimum_source: str = "a label",
    days: int = 85,
    baseline: Score | None = None,
    last: Score | None = None,
    improvement: float | None = None,
    dose: Answer = Answer.MET,
    use: Answer = Answer.MET,
    is_running: bool = False,
    long_enough_on: date | None = None,
    last_day: date = date(2025, 11, 24),
) -> JudgedTrial:
    first_day = last_day - timedelta(days=max(days, 1) - 1)
    drug = Drug(name, agent or name, None, "SSRI", "serotonin", {"default": 50.0}, minimum_source)
    segment = DoseSegment(first_day, last_day, max_mg, max_mg)
    trial = Trial(
        exposure=Exposure(drug, name, (segment,), ()),
        first_day=first_day if days else None,
        last_day=last_day if days else None,
        adequate_days=days,
        minimum_mg=minimum_mg,
        max_mg=max_mg,
        dose=Finding("dose", dose, "dose"),
        duration=Finding("duration", Answer.MET if days >= 42 else Answer.NOT_MET, "duration"),
        use=Finding("use", use, "use"),
        adherence=Finding("adherence", Answer.UNKNOWN, "not known"),
        stop_reason=StopReason.NONE_GIVEN,
        is_running=is_running,
        long_enough_on=long_enough_on,
    )
    outcome = Outcome(trial, Response.UNKNOWN, Finding("response", failed, why), baseline, last, improvement)
    return JudgedTrial(trial, outcome, Finding("scope", Answer.MET, "scope"), Finding("failed", failed, why))


def a_score(value: float, day: date = date(2025, 9, 1), scale: Scale = PHQ9) -> Score:
    return Score(scale, day, value, "Observation/1")


def an_assessment(
    verdict: Verdict = Verdict.MET, failed: tuple[int, int] = (2, 2), **given: object
) -> Assessment:
    values: dict[str, object] = {
        "patient": "Patient/p1",
        "on": ON,
        "definition": a_definition(),
        "verdict": verdict,
        "failed_at_least": failed[0],
        "failed_at_most": failed[1],
        "reasons": (),
        "trials": (a_trial("sertraline"), a_trial("venlafaxine")),
        "missing": (),
        "unread": (),
        "set_aside": (),
        "safety": Finding("safety", Answer.NOT_MET, "PHQ-9 item 9 answered 0 on 2026-06-20"),
        "age_years": 44,
    }
    return Assessment(**{**values, **given})  # type: ignore[arg-type]
