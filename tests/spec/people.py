"""Builds histories for the specs: drugs, orders, scores and diagnoses with only what a test names."""

from __future__ import annotations

from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    DoseSegment,
    Drug,
    History,
    Prescription,
    Scale,
    Score,
    StopReason,
)
from tests.spec.texttables import rows

PHQ9 = Scale("PHQ-9", 0, 27, 4, True, 1)
MADRS = Scale("MADRS", 0, 60, 10, True, 2)
DRUGS = {
    name: Drug(name, name, None, drug_class, mechanism, {"lenient": lenient, "default": default})
    for name, drug_class, mechanism, lenient, default in (
        ("sertraline", "SSRI", "serotonin_reuptake", 50.0, 50.0),
        ("citalopram", "SSRI", "serotonin_reuptake", 20.0, 20.0),
        ("venlafaxine", "SNRI", "serotonin_noradrenaline_reuptake", 75.0, 75.0),
        ("mirtazapine", "NaSSA", "alpha2_antagonist", 15.0, 15.0),
        ("bupropion", "NDRI", "noradrenaline_dopamine_reuptake", 150.0, 300.0),
    )
}
DRUGS["trazodone"] = Drug(
    "trazodone", "trazodone", None, "SARI", "5ht2", {"default": 150.0}, non_trial_rule="low doses for sleep"
)


def orders(table: str) -> tuple[Prescription, ...]:
    """Orders from rows of drug | first_day | last_day | mg_per_day, and optionally stop, use, days.

    mg_per_day is a number, a range `50-100`, or `?`. A drug not in DRUGS (`?`) is unidentified. `days`
    may be `uncertain`; `use` one of met, not-met, unknown; `stop` a StopReason value.
    """
    return tuple(_order(number, row) for number, row in enumerate(rows(table), 1))


def _order(number: int, row: dict[str, str]) -> Prescription:
    low, high = _dose(row["mg_per_day"])
    segment = DoseSegment(
        _day(row["first_day"]), _day(row["last_day"]), low, high, row.get("days") != "uncertain"
    )
    return Prescription(
        reference=f"MedicationRequest/{number}",
        drug=DRUGS.get(row["drug"]),
        name=row["drug"],
        segments=(segment,),
        treats_depression=Finding("use", Answer(row.get("use") or "met"), "stated use"),
        stop_reason=StopReason(row.get("stop") or "none given"),
        authored=segment.first_day,
    )


def _dose(text: str) -> tuple[float | None, float | None]:
    if text == "?":
        return None, None
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def _day(text: str) -> date:
    return date.fromisoformat(text)


def scores(*pairs: tuple[str, float], scale: Scale = PHQ9) -> tuple[Score, ...]:
    return tuple(Score(scale, _day(day), value, f"Observation/{scale.name}-{day}") for day, value in pairs)


def diagnosis(
    role: DiagnosisRole = DiagnosisRole.DEPRESSION,
    category: str = "mdd",
    recorded: str | None = "2024-11-01",
    holds: Answer = Answer.MET,
    is_current: Answer = Answer.MET,
) -> Diagnosis:
    day = _day(recorded) if recorded else None
    return Diagnosis(role, category, category, holds, day, None, f"Condition/{category}", is_current)


def history(
    order_table: str = "",
    score_list: tuple[Score, ...] = (),
    diagnoses: tuple[Diagnosis, ...] | None = None,
    **given: object,
) -> History:
    born = date(1980, 1, 1)
    values: dict[str, object] = {
        "patient": "Patient/p1",
        "prescriptions": orders(order_table) if order_table else (),
        "scores": score_list,
        "diagnoses": (diagnosis(),) if diagnoses is None else diagnoses,
        "born_earliest": born,
        "born_latest": born,
    }
    return History(**{**values, **given})  # type: ignore[arg-type]
