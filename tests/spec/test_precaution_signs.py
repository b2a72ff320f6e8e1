"""Each kind of sign that a precaution looks for: by code, unit, age, words and days, with what is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.precautions import Effect, Precaution, Record, Sign, SignKind, find_shown
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    Domain,
    Drug,
    History,
    Measurement,
    Prescription,
    Procedure,
    ProcedureKind,
    Reaction,
)
from tests.spec.assessments import ON
from tests.spec.people import diagnosis, history, orders

HINT = {"is_hint": True}


def shown(
    person: History, *signs: Sign, suicidality: Finding | None = None, **given: object
) -> list[Finding]:
    precaution = Precaution("a drug", Effect.CAUTION, "what must hold", "take care", "read", signs=signs)
    precaution = replace(precaution, **given)  # type: ignore[arg-type]
    record = Record(person, ON, suicidality)
    return [each.finding for each in find_shown((precaution,), record)]


def the_text(person: History, *signs: Sign) -> str:
    """`answer text` of the only finding; empty where nothing is shown."""
    found = shown(person, *signs)
    assert len(found) <= 1
    return f"{found[0].answer.value} {found[0].text}" if found else ""


# --- diagnoses --------------------------------------------------------------------------------------------

CATEGORY, WORDS = Sign(SignKind.CATEGORY, "epilepsy"), Sign(SignKind.TEXT, "seizure")
SEIZURES = replace(diagnosis(DiagnosisRole.CONFOUNDER, "epilepsy"), text="Grand mal SEIZURES")


def ill(**changes: object) -> History:
    found: Diagnosis = replace(SEIZURES, **changes)  # type: ignore[arg-type]
    return history(diagnoses=(diagnosis(), found))


@pytest.mark.parametrize("sign", [CATEGORY, WORDS], ids=["by category", "by words"])
def test_how_an_illness_is_told(sign: Sign) -> None:
    for changes, text in (
        ({}, "met Grand mal SEIZURES is on record; take care"),
        ({"holds": Answer.UNKNOWN}, "unknown Grand mal SEIZURES may be on record; take care"),
        ({"holds": Answer.NOT_MET}, ""),
        ({"is_current": Answer.NOT_MET}, "met Grand mal SEIZURES is on record, recorded as over; take care"),
        ({"is_current": Answer.UNKNOWN}, "met Grand mal SEIZURES is on record; take care"),
        ({"role": DiagnosisRole.PRECAUTION}, "met Grand mal SEIZURES is mentioned; take care"),
    ):
        assert the_text(ill(**changes), sign) == text  # type: ignore[arg-type]
    assert the_text(ill(), replace(sign, is_hint=True)) == (
        "unknown Grand mal SEIZURES is on record; take care"
    )
    assert the_text(history(), sign) == ""


def test_several_signs_are_one_finding_with_all_evidence_and_each_text_once() -> None:
    reaction = Reaction("bupropion", "rash", None, Answer.MET, "AllergyIntolerance/1")
    person = replace(ill(reference="Condition/9"), reactions=(reaction,))
    (found,) = shown(person, CATEGORY, WORDS, Sign(SignKind.REACTION, "bupropion", **HINT))  # type: ignore[arg-type]
    assert found == Finding(
        "caution",
        Answer.MET,
        "Grand mal SEIZURES is on record, a reaction to bupropion is on record; take care",
        ("Condition/9", "AllergyIntolerance/1"),
    )


# --- reactions and procedures -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "reference", "holds", "answer"),
    [
        ("bupropion", "AllergyIntolerance/1", Answer.MET, "met"),
        ("bupropion", "AllergyIntolerance/1", Answer.UNKNOWN, "unknown"),
        ("bupropion", "AllergyIntolerance/1", Answer.NOT_MET, ""),
        ("bupropion", "AdverseEvent/1", Answer.MET, "unknown"),
        ("bupropion", "AdverseEvent/1", Answer.NOT_MET, ""),
        ("bupropion", "AllergyIntoleranceX/1", Answer.MET, "unknown"),
        ("sertraline", "AllergyIntolerance/1", Answer.MET, ""),
    ],
)
def test_a_reaction(agent: str, reference: str, holds: Answer, answer: str) -> None:
    person = history(reactions=(Reaction(agent, "rash", None, holds, reference),))
    text = f"{answer} a reaction to bupropion is on record; take care" if answer else ""
    assert the_text(person, Sign(SignKind.REACTION, "bupropion")) == text


@pytest.mark.parametrize(
    ("holds", "answer"), [(Answer.MET, "met"), (Answer.UNKNOWN, "unknown"), (Answer.NOT_MET, "")]
)
def test_a_procedure(holds: Answer, answer: str) -> None:
    person = history(
        procedures=(
            Procedure(ProcedureKind.VNS, "a stimulator", None, None, holds, "Procedure/1"),
            Procedure(ProcedureKind.ECT, "a session", None, None, Answer.MET, "Procedure/2"),
        )
    )
    text = f"{answer} a stimulator is on record; take care" if answer else ""
    assert the_text(person, Sign(SignKind.PROCEDURE, "VNS")) == text


# --- figures ----------------------------------------------------------------------------------------------

ABOVE = Sign(SignKind.ABOVE, "8480-6", 140, "mm[Hg]")
BELOW = Sign(SignKind.BELOW, "33914-3", 30, "mL/min")


def value(number: float, unit: str, code: str, day: date = ON, name: str = "the value") -> Measurement:
    return Measurement(name, Domain.LABORATORY, day, number, unit, f"Observation/{number:g}", code=code)


@pytest.mark.parametrize(("number", "answer"), [(139.9, ""), (140, ""), (140.1, "met")])
def test_a_figure_above(number: float, answer: str) -> None:
    text = f"met what must hold: the value {number:g} mm[Hg] on 2026-06-30; take care" if answer else ""
    assert the_text(history(measurements=(value(number, "mm[Hg]", "8480-6"),)), ABOVE) == text


@pytest.mark.parametrize(("number", "answer"), [(29.9, "met"), (30, ""), (30.1, "")])
def test_a_figure_below(number: float, answer: str) -> None:
    text = f"met what must hold: the value {number:g} mL/min on 2026-06-30; take care" if answer else ""
    assert the_text(history(measurements=(value(number, "mL/min", "33914-3"),)), BELOW) == text


@pytest.mark.parametrize("unit", ["mmHg", "mm Hg", "MM[HG]", "mm_Hg", "{mm}Hg"])
def test_units_that_are_written_otherwise_are_the_same(unit: str) -> None:
    assert the_text(history(measurements=(value(150, unit, "8480-6"),)), ABOVE).startswith("met ")
    assert the_text(history(measurements=(value(130, unit, "8480-6"),)), ABOVE) == ""


@pytest.mark.parametrize("number", [18, 150])
def test_a_figure_in_another_unit_is_possible_whatever_it_is(number: float) -> None:
    assert the_text(history(measurements=(value(number, "kPa", "8480-6"),)), ABOVE) == (
        f"unknown what must hold: the value {number} kPa on 2026-06-30, "
        "which cannot be compared with mm[Hg]; take care"
    )


def test_the_newest_figure_of_the_code_decides() -> None:
    yesterday, tomorrow = ON - timedelta(1), ON + timedelta(1)
    high, low = (150, "mmHg", "8480-6"), (120, "mmHg", "8480-6")
    for values, is_told in (
        ((value(*high, day=yesterday), value(*low)), False),
        ((value(*low, day=yesterday), value(*high)), True),
        ((value(*high), value(*low)), True),
        ((value(*low), value(*high, day=tomorrow)), False),
        ((value(*high, day=yesterday), value(120, "mmHg", "8462-4")), True),
        ((value(150, "mmHg", "8462-4"),), False),
        ((), False),
    ):
        assert bool(the_text(history(measurements=values), ABOVE)) is is_told


# --- age --------------------------------------------------------------------------------------------------

AGES = [
    (SignKind.AGE_FROM, "1961-06-29", "met"),
    (SignKind.AGE_FROM, "1961-06-30", "met"),
    (SignKind.AGE_FROM, "1961-07-01", ""),
    (SignKind.AGE_OVER, "1961-06-29", "met"),
    (SignKind.AGE_OVER, "1961-06-30", ""),
    (SignKind.AGE_OVER, "1961-07-01", ""),
    (SignKind.AGE_FROM, "1960-12-31", "met"),
    (SignKind.AGE_OVER, "1962-01-01", ""),
]


@pytest.mark.parametrize(("kind", "born", "answer"), AGES)
def test_an_age(kind: SignKind, born: str, answer: str) -> None:
    day = date.fromisoformat(born)
    sign = Sign(kind, "", 65)
    text = f"{answer} what must hold: born {born}; take care" if answer else ""
    assert the_text(history(born_earliest=day, born_latest=day), sign) == text


def test_an_age_that_is_not_known_to_the_day() -> None:
    sign = Sign(SignKind.AGE_FROM, "", 65)
    for earliest, latest, text in (
        ("1961-01-01", "1961-06-30", "met what must hold: born between 1961-01-01 and 1961-06-30; take care"),
        ("1961-06-30", "1961-12-31",
         "unknown what must hold: born between 1961-06-30 and 1961-12-31; take care"),
        ("1961-07-01", "1961-12-31", ""),
    ):  # fmt: skip
        person = history(born_earliest=date.fromisoformat(earliest), born_latest=date.fromisoformat(latest))
        assert the_text(person, sign) == text
    born = date(1940, 1, 1)
    for person in (
        history(born_earliest=None, born_latest=None),
        history(born_earliest=born, born_latest=None),
        history(born_earliest=None, born_latest=born),
    ):
        assert the_text(person, sign) == ""
    (found,) = shown(history(born_earliest=born, born_latest=born), sign)
    assert found.evidence == ("Patient/p1",)


# --- drugs that are being taken ---------------------------------------------------------------------------

TAKING = [
    Sign(SignKind.RUNNING, "sertraline"),
    Sign(SignKind.RUNNING, "class:SSRI"),
    Sign(SignKind.MECHANISM, "serotonin_reuptake"),
]


def takes(table: str, **changes: object) -> History:
    """Orders of `first_day | last_day | mg_per_day | days`."""
    lines = [line.strip() for line in table.strip().splitlines()]
    found = orders("\n".join(["drug | first_day | last_day | mg_per_day | days", *lines]))
    return history(prescriptions=tuple(replace(order, **changes) for order in found))  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", TAKING, ids=["agent", "class", "mechanism"])
def test_a_drug_that_is_being_taken(sign: Sign) -> None:
    for orders_, text in (
        ("sertraline | 2026-01-01 | 2026-06-30 | 50 |", "met sertraline is being taken; take care"),
        ("sertraline | 2026-01-01 | 2026-12-31 | 50 |", "met sertraline is being taken; take care"),
        ("sertraline | 2026-06-30 | 2026-06-30 | 50 |", "met sertraline is being taken; take care"),
        ("sertraline | 2026-01-01 | 2026-06-30 | 50 | uncertain",
         "unknown sertraline may be being taken; take care"),
        ("sertraline | 2026-01-01 | 2026-06-29 | 50 |", ""),
        ("sertraline | 2026-07-01 | 2026-12-31 | 50 |", ""),
        ("venlafaxine | 2026-01-01 | 2026-06-30 | 75 |", ""),
    ):  # fmt: skip
        assert the_text(takes(orders_), sign) == text
    running = "sertraline | 2026-01-01 | 2026-06-30 | 50 |"
    assert the_text(takes(running, is_denial=True), sign) == ""
    assert the_text(takes(running, drug=None), sign) == ""


def test_an_order_that_is_not_identified_hides_none_behind_it() -> None:
    first, second = orders(
        "drug | first_day | last_day | mg_per_day\n? | 2026-01-01 | 2026-06-30 | 50\n"
        "sertraline | 2026-01-01 | 2026-06-30 | 50"
    )
    for hidden in (first, replace(second, is_denial=True)):
        assert len(Record(history(prescriptions=(hidden, second)), ON).taken) == 1


def test_of_several_orders_the_one_that_is_sure_on_the_latest_day_speaks() -> None:
    sure, unsure = (
        "sertraline | 2026-01-01 | 2026-06-30 | 50 |",
        "sertraline | 2026-02-01 | 2026-06-30 | 25 | uncertain",
    )
    over = "sertraline | 2025-01-01 | 2025-06-30 | 100 |"
    for table, reference in ((f"{unsure}\n{sure}", 2), (f"{sure}\n{unsure}", 1), (f"{over}\n{unsure}", 2)):
        (taken,) = Record(takes(table), ON).taken
        assert taken.reference == f"MedicationRequest/{reference}"
    (taken,) = Record(takes(f"{sure}\n{over}"), ON).running
    assert (taken.last_day, taken.is_sure, taken.highest_mg) == (ON, True, 50)
    (taken,) = Record(takes(over), ON).taken
    assert taken.last_day == date(2025, 6, 30) and Record(takes(over), ON).running == ()


# --- suicidality ------------------------------------------------------------------------------------------


def test_suicidality_that_was_recorded() -> None:
    sign = Sign(SignKind.SUICIDALITY, "acute")
    for answer, count in ((Answer.MET, 1), (Answer.UNKNOWN, 0), (Answer.NOT_MET, 0)):
        said = Finding("safety", answer, "item 9 answered 2", ("Observation/9",))
        assert len(shown(history(), sign, suicidality=said)) == count
    said = Finding("safety", Answer.MET, "item 9 answered 2", ("Observation/9",))
    assert shown(history(), sign, suicidality=said) == [
        Finding("caution", Answer.MET, "item 9 answered 2; take care", ("Observation/9",))
    ]
    (hint,) = shown(history(), replace(sign, is_hint=True), suicidality=said)
    assert hint.answer is Answer.UNKNOWN
    assert shown(history(), sign) == []


# --- washout ----------------------------------------------------------------------------------------------

MAOI = Drug("phenelzine sulfate", "phenelzine", None, "MAOI", "maoi")
PATCH = Drug("selegiline patch", "selegiline", None, "MAOI (transdermal)", "maoi")
REVERSIBLE = Drug("moclobemide", "moclobemide", None, "RIMA", "maoi")
FLUOXETINE = Drug("fluoxetine", "fluoxetine", None, "SSRI", "serotonin_reuptake")


def took(drug: Drug, days_ago: int, certain: bool = True) -> Prescription:
    (order,) = orders(
        "drug | first_day | last_day | mg_per_day | days\n"
        f"? | 2025-01-01 | {ON - timedelta(days_ago)} | 50 | {'' if certain else 'uncertain'}"
    )
    return replace(order, drug=drug, reference=f"MedicationRequest/{drug.agent}")


def washouts(*taken: Prescription, after: int | None = 14, before: int | None = 35) -> list[Finding]:
    return shown(
        history(prescriptions=taken),
        effect=Effect.WASHOUT,
        agents=("fluoxetine",),
        days_after_maoi=after,
        days_before_maoi=before,
    )


def test_days_after_an_maoi() -> None:
    for days_ago, certain, answer, text in (
        (14, True, Answer.MET, "(taken until 2026-06-16)"),
        (0, True, Answer.MET, "(taken up to today)"),
        (1, False, Answer.UNKNOWN, "(perhaps taken until 2026-06-29)"),
        (0, False, Answer.UNKNOWN, "(perhaps taken up to today)"),
    ):
        assert washouts(took(MAOI, days_ago, certain)) == [
            Finding(
                "washout",
                answer,
                f"at the earliest 14 days after phenelzine {text}",
                ("MedicationRequest/phenelzine",),
            )
        ]
    assert washouts(took(MAOI, 15)) == []
    assert len(washouts(took(PATCH, 14))) == 1
    assert washouts(took(REVERSIBLE, 1)) == washouts(took(FLUOXETINE, 1)) == []


def test_days_before_an_maoi_again() -> None:
    long_ago = took(MAOI, 400)
    for days_ago, text in ((35, "2026-05-26"), (1, "2026-06-29")):
        assert washouts(long_ago, took(FLUOXETINE, days_ago)) == [
            Finding(
                "washout",
                Answer.MET,
                f"an MAOI at the earliest 35 days after fluoxetine (taken until {text})",
                ("MedicationRequest/fluoxetine",),
            )
        ]
    assert washouts(long_ago, took(FLUOXETINE, 36)) == []
    assert washouts(long_ago, took(replace(FLUOXETINE, agent="sertraline"), 1)) == []
    assert washouts(long_ago, took(FLUOXETINE, 1), before=None) == []
    both = washouts(took(MAOI, 1), took(FLUOXETINE, 1))
    assert [finding.evidence for finding in both] == [
        ("MedicationRequest/phenelzine",), ("MedicationRequest/fluoxetine",)
    ]  # fmt: skip
    assert len(washouts(took(MAOI, 1), took(FLUOXETINE, 1), after=None)) == 1
