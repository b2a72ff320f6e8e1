"""An MAOI with a drug that it must not be taken with: never a combination that counts, and told first."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from cards.catalogue import cards_for
from cds_service.report import assessment_json, trial_sentence
from cds_service.respond import assess_history
from cds_service.tables.drugs import load_antidepressants
from cds_service.tables.precautions import load_precautions
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.maoi import LATELY_DAYS, find_maoi_pairs
from cds_service.trd.model import Assessment, Companion, TrialKind, Verdict
from cds_service.trd.record import DiagnosisRole, DoseSegment, Prescription
from tests.spec.assessments import a_definition
from tests.spec.people import diagnosis, history, scores
from tests.spec.texttables import rows

ON = date(2026, 6, 30)
DRUGS = {known.drug.agent: known.drug for known in load_antidepressants().values()}
DOSES = {"sertraline": 100.0, "fluoxetine": 20.0, "phenelzine": 60.0, "moclobemide": 300.0, "venlafaxine": 150.0}


def took(
    name: str, last_day: date = ON, first_day: date = date(2026, 1, 1), *, is_sure: bool = True
) -> Prescription:
    mg = DOSES.get(name, 30.0)
    return Prescription(
        reference=f"MedicationRequest/{name}",
        drug=DRUGS[name],
        name=name,
        segments=(DoseSegment(first_day, last_day, mg, mg, is_sure),),
        treats_depression=Finding("use", Answer.MET, "stated use"),
        authored=first_day,
    )


def ago(days: int) -> date:
    return ON - timedelta(days=days)


def told(*orders: Prescription) -> tuple[Finding, ...]:
    return find_maoi_pairs(history(prescriptions=orders), load_precautions(), ON)


def assessed(*orders: Prescription, **given: object) -> Assessment:
    return assess_history(history(prescriptions=orders), a_definition(**given), ON, {"none": a_definition()})


def beside(assessment: Assessment, name: str) -> tuple[Companion, ...]:
    (companions,) = [judged.companions for judged in assessment.trials if judged.trial.name == name]
    return companions


# --- never an adequate combination --------------------------------------------------------------------


@pytest.mark.parametrize("maoi", ["phenelzine", "moclobemide"])
@pytest.mark.parametrize("other", ["sertraline", "venlafaxine", "fluoxetine"])
@pytest.mark.parametrize("first_day", [date(2026, 1, 1), ago(5)])
def test_an_maoi_with_a_serotonergic_drug_is_no_combination(maoi: str, other: str, first_day: date) -> None:
    both = assessed(took(other, ago(1)), took(maoi, first_day=first_day))
    for trial in (maoi, other):
        (companion,) = beside(both, trial)
        assert companion.adequate.answer is Answer.NOT_MET
        assert not companion.was_tried
        start = f"{maoi} (an MAOI) and {other} are not to be taken together (contraindication"
        assert companion.adequate.text.startswith(start)
        assert set(companion.adequate.evidence) == {f"MedicationRequest/{maoi}", f"MedicationRequest/{other}"}
    shown = [trial_sentence(judged) for judged in both.trials]
    assert all("no adequate combination" in sentence and "not to be taken together" in sentence for sentence in shown)


def test_two_drugs_that_no_row_forbids_are_still_a_combination() -> None:
    (companion,) = beside(assessed(took("sertraline"), took("mirtazapine")), "sertraline")
    assert companion.adequate.answer is Answer.MET


@pytest.mark.parametrize(("other", "counts"), [("phenelzine", False), ("mirtazapine", True)])
def test_a_forbidden_pair_is_no_trial_of_its_own(other: str, counts: bool) -> None:
    kinds = {
        judged.trial.kind
        for judged in assessed(took("sertraline"), took(other), combination_counts=True).trials
    }
    assert (TrialKind.COMBINATION in kinds) is counts


@pytest.mark.parametrize(("other", "points"), [("phenelzine", 0), ("mirtazapine", 1)])
def test_a_forbidden_pair_earns_no_points_of_staging(other: str, points: int) -> None:
    taken = history("", scores(("2026-01-01", 20), ("2026-06-29", 20)), prescriptions=(took("sertraline"), took(other)))
    staging = {each.method: each for each in assess_history(taken, a_definition(), ON).staging}
    (item,) = [item for item in staging["maudsley-msm"].items if item.name.startswith("augmentation")]
    assert (item.low, item.high) == (points, points), item.text


# --- told before all else -----------------------------------------------------------------------------

LATELY = """
    sertraline          | phenelzine          | answer
    --------------------+---------------------+--------
    2026-01-01 to 0     | 2026-01-01 to 0     | met
    2026-01-01 to 0     | 2026-01-01 to 28    | met
    2026-01-01 to 0     | 2026-01-01 to 29    | met
    2026-01-01 to 14    | 2026-01-01 to 14    | met
    2026-01-01 to 15    | 2026-01-01 to 15    |
    2026-01-01 to 16    | 2026-06-30 to 0     |
    2026-01-01 to 15    | 2026-06-30 to 0     |
    2026-01-01 to 14    | 2026-06-30 to 0     | met
    2026-01-01 to 14    | 2026-07-01 to -30   |
    2026-06-30 to 0     | 2026-01-01 to 14    | met
    2026-06-30 to 0     | 2026-01-01 to 15    |
"""
