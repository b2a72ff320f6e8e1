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
from cds_service.trd.maoi import find_maoi_risks
from cds_service.trd.model import Assessment, Companion, MaoiRisk, TrialKind, Verdict
from cds_service.trd.record import DiagnosisRole, DoseSegment, Prescription
from tests.spec.assessments import a_definition
from tests.spec.people import diagnosis, history, scores
from tests.spec.texttables import rows

ON = date(2026, 6, 30)
DRUGS = {known.drug.ingredient: known.drug for known in load_antidepressants().values()}
DOSES = {
    "sertraline": 100.0,
    "fluoxetine": 20.0,
    "phenelzine": 60.0,
    "moclobemide": 300.0,
    "venlafaxine": 150.0,
}


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


def risks(*orders: Prescription) -> tuple[MaoiRisk, ...]:
    return find_maoi_risks(history(prescriptions=orders), load_precautions(), ON)


def told(*orders: Prescription) -> tuple[Finding, ...]:
    return tuple(risk.finding for risk in risks(*orders))


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
    assert all(
        "no adequate combination" in sentence and "not to be taken together" in sentence for sentence in shown
    )


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
    taken = history(
        "", scores(("2026-01-01", 20), ("2026-06-29", 20)), prescriptions=(took("sertraline"), took(other))
    )
    staging = {each.method: each for each in assess_history(taken, a_definition(), ON).staging}
    (item,) = [item for item in staging["msm"].items if item.name.startswith("augmentation")]
    assert (item.low, item.high) == (points, points), item.text


# --- told before all else -----------------------------------------------------------------------------

# Days ago of the first and last day; -30 is ahead. Sertraline and phenelzine need 14 days either way.
LATELY = """
    sertraline | phenelzine | told    | how
    -----------+------------+---------+------------------------------------------------------------
    180 to 0   | 180 to 0   | met     | together with sertraline, 181 days, 2026-01-01 to 2026-06-30, going on
    180 to -30 | 3 to -30   | met     | together with sertraline, 4 days, 2026-06-27 to 2026-06-30, going on
    180 to 14  | 180 to 14  | met     | together with sertraline
    180 to 15  | 180 to 15  |         |
    180 to 0   | 180 to 28  | met     | together with sertraline
    180 to 0   | 180 to 29  |         |
    180 to 14  | 0 to -30   | met     | too close, 1 day, 2026-06-30 to 2026-06-30, going on
    180 to 15  | 0 to -30   |         |
    0 to -30   | 180 to 14  | met     | too close, 1 day
    0 to -30   | 180 to 15  |         |
    180 to 20  | 14 to 14   | met     | too close, 1 day, 2026-06-16 to 2026-06-16;
    180 to 20  | 15 to 15   |         |
    180 to 0   | -1 to -30  |         |
"""


def days(cell: str) -> tuple[date, date]:
    first, last = cell.split(" to ")
    return ago(int(first)), ago(int(last))


@pytest.mark.parametrize("row", rows(LATELY), ids=lambda row: f"{row['sertraline']}, {row['phenelzine']}")
def test_a_pair_is_told_while_it_goes_on_and_for_14_days_after(row: dict[str, str]) -> None:
    orders = []
    for name in ("sertraline", "phenelzine"):
        first_day, last_day = days(row[name])
        orders.append(took(name, last_day, first_day))
    found = told(*orders)
    assert [finding.answer.value for finding in found] == [row["told"]] * bool(row["told"])
    for finding in found:
        assert finding.criterion == "MAOI together with sertraline"
        assert row["how"] in finding.text
        assert (
            "contraindication; 14 days needed after phenelzine, 14 days needed after sertraline"
            in finding.text
        )
        assert finding.evidence == ("MedicationRequest/phenelzine", "MedicationRequest/sertraline")


@pytest.mark.parametrize(("days_ago", "is_told"), [(34, True), (35, True), (36, False)])
def test_fluoxetine_is_waited_for_five_weeks(days_ago: int, is_told: bool) -> None:
    """35 days must lie between: the MAOI begins on the 36th day after the last of fluoxetine, or later."""
    assert bool(told(took("fluoxetine", ago(days_ago)), took("phenelzine", first_day=ON))) is is_told


@pytest.mark.parametrize(("last_day", "is_told"), [(ago(0), True), (ago(14), True), (ago(15), False)])
def test_a_reversible_maoi_is_told_only_while_both_are_taken(last_day: date, is_told: bool) -> None:
    assert bool(told(took("sertraline"), took("moclobemide", last_day))) is is_told


PHENELZINE_WITH_ANY = """
    other           | before | after
    ----------------+--------+------
    bupropion       | 14     | 14
    tranylcypromine | 14     | 14
    desvenlafaxine  | 14     | 14
    vortioxetine    | 21     | 14
"""


@pytest.mark.parametrize("row", rows(PHENELZINE_WITH_ANY), ids=lambda row: row["other"])
def test_phenelzine_is_not_taken_with_any_other_antidepressant(row: dict[str, str]) -> None:
    """`before` are the days after the other drug before phenelzine; the longer wait of two rows counts."""
    other, before, after = row["other"], int(row["before"]), int(row["after"])
    (finding,) = told(took(other), took("phenelzine"))
    assert finding.criterion == f"MAOI together with {other}"
    assert bool(told(took(other, ago(before)), took("phenelzine", first_day=ON)))
    assert not told(took(other, ago(before + 1)), took("phenelzine", first_day=ON))
    assert bool(told(took("phenelzine", ago(after)), took(other, first_day=ON)))
    assert not told(took("phenelzine", ago(after + 1)), took(other, first_day=ON))
    (companion,) = beside(assessed(took(other), took("phenelzine")), other)
    assert companion.adequate.answer is Answer.NOT_MET


def test_where_no_row_was_read_nothing_is_told() -> None:
    assert not told(took("tranylcypromine"), took("bupropion"))


def test_days_that_are_not_certain_leave_it_open() -> None:
    (finding,) = told(took("sertraline"), took("phenelzine", is_sure=False))
    assert finding.answer is Answer.UNKNOWN and "perhaps together" in finding.text


def test_days_in_doubt_after_certain_ones_take_no_certainty_from_these() -> None:
    phenelzine = took("phenelzine", ago(40))
    longer = DoseSegment(ago(39), ON, 60.0, 60.0, False)
    (finding,) = told(took("sertraline"), replace(phenelzine, segments=(*phenelzine.segments, longer)))
    assert finding.answer is Answer.MET and "(an MAOI) together with sertraline, 181 days" in finding.text


def test_nothing_is_told_of_other_pairs_or_of_what_is_denied_or_not_identified() -> None:
    assert not told(took("sertraline"), took("mirtazapine"))
    assert not told(took("phenelzine"))
    assert not told(took("sertraline"), replace(took("phenelzine"), is_denial=True))
    assert not told(took("sertraline"), replace(took("phenelzine"), drug=None))


def test_an_old_overlap_is_not_mixed_into_a_gap_of_today() -> None:
    old = replace(took("phenelzine", date(2025, 2, 1), date(2025, 1, 1)), reference="MedicationRequest/old")
    (finding,) = told(took("sertraline", ago(5), date(2025, 1, 1)), old, took("phenelzine", first_day=ago(2)))
    assert "too close, 3 days, 2026-06-28 to 2026-06-30, going on" in finding.text


@pytest.mark.parametrize(
    ("illness", "verdict"),
    [
        ((diagnosis(),), Verdict.INDETERMINATE),
        ((diagnosis(), diagnosis(DiagnosisRole.EXCLUSION, "bipolar")), Verdict.EXCLUDED),
    ],
)
def test_it_stands_first_on_the_card_whatever_the_verdict(illness: tuple, verdict: Verdict) -> None:  # type: ignore[type-arg]
    person = history("", (), illness, prescriptions=(took("sertraline"), took("phenelzine")))
    found = assess_history(person, a_definition(needed_failed_trials=1), ON)
    assert found.verdict is verdict
    assert found.check_first[0].criterion == "MAOI together with sertraline"
    assert assessment_json(found)["checkFirst"][0]["about"] == "MAOI together with sertraline"
    assert any(
        "**Check first:** phenelzine (an MAOI) together with sertraline" in c.detail for c in cards_for(found)
    )


def test_it_is_found_where_the_criteria_are_not_met_and_no_stage_is_reached() -> None:
    person = history(
        prescriptions=(took("sertraline", first_day=ago(10)), took("phenelzine", first_day=ago(10)))
    )
    found = assess_history(person, a_definition(), ON)
    assert found.verdict is Verdict.NOT_MET
    assert found.check_first[0].answer is Answer.MET


# --- a card of its own ----------------------------------------------------------------------------------

A_CARD = """
    sertraline | phenelzine | sure | card
    -----------+------------+------+------------------
    180 to 0   | 180 to 0   | yes  | drug-safety-acute
    180 to -30 | 3 to -30   | yes  | drug-safety-acute
    180 to 0   | 180 to 0   | no   | drug-safety
    180 to 14  | 0 to -30   | yes  | drug-safety
    180 to 15  | 0 to -30   | yes  |
    180 to 1   | 180 to 1   | yes  |
    180 to 1   | 180 to 0   | yes  | drug-safety
    180 to 0   | 180 to 14  | yes  | drug-safety
    180 to 0   | 180 to 15  | yes  |
    180 to 0   | -1 to -30  | yes  |
"""


@pytest.mark.parametrize("row", rows(A_CARD), ids=lambda row: " ".join(row.values()))
@pytest.mark.parametrize("illness", [(), (diagnosis(),)], ids=["no depression on record", "depression"])
def test_a_pair_has_a_card_while_it_goes_on_whatever_the_illness(row: dict[str, str], illness: tuple) -> None:  # type: ignore[type-arg]
    first, second = days(row["sertraline"]), days(row["phenelzine"])
    orders = (
        took("sertraline", first[1], first[0]),
        took("phenelzine", second[1], second[0], is_sure=row["sure"] == "yes"),
    )
    assessment = assess_history(history("", (), illness, prescriptions=orders), a_definition(), ON)
    topics = [card.source.topic.code for card in cards_for(assessment) if card.source.topic]
    assert [topic for topic in topics if topic.startswith("drug-safety")] == [row["card"]] * bool(row["card"])
    assert topics[:1] == [row["card"]] or not row["card"]


def test_the_card_rests_on_the_rows_that_were_read() -> None:
    card = cards_for(assessed(took("sertraline"), took("phenelzine")))[0]
    assert "Source: diagnosispro.com sertraline label (read); drugs.com/dosage/phenelzine.html (read)" in (
        card.detail
    )
    assert "(MedicationRequest/phenelzine, MedicationRequest/sertraline)" in card.detail
    assert "contraindication; 14 days needed after phenelzine" in card.detail


def test_every_row_of_the_table_asks_for_14_days_after_an_maoi() -> None:
    """So long a pair counts as recent; with a longer row this page's days would move."""
    assert {row.days_after_maoi for row in load_precautions() if row.days_after_maoi} == {14}
