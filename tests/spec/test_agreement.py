"""Why two definitions say different things of one patient, in a sentence a clinician can check."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.tables.definitions import load_definitions
from cds_service.trd.agreement import LONGEST, explain_difference, needed
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.definitions import judge
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Judgement, Staging, Verdict
from cds_service.trd.outcomes import judge_outcomes
from cds_service.trd.parameters import (
    Definition,
    Distinctness,
    Rule,
    StagingRule,
)
from cds_service.trd.record import DiagnosisRole, History, Score
from cds_service.trd.trials import find_trials
from fhir_fixtures import Vignette, vignettes
from tests.conftest import examples
from tests.spec.assessments import ON, a_definition
from tests.spec.people import PHQ9, diagnosis, history, scores
from tests.spec.test_treatments import CEPEDA, DANISH, KIM, OHDSI, person


def judged(who: History, definition: Definition, on: date = ON) -> Judgement:
    trials = find_trials(build_exposures(who.prescriptions, definition.max_gap_days), definition, on)
    return judge(who, judge_outcomes(trials, who, definition, on), definition, on)


def difference(who: History, chosen: Definition, other: Definition) -> str:
    return explain_difference(judged(who, chosen), judged(who, other))


def treated(table: str, *values: float, **given: object) -> History:
    """A person with a PHQ-9 of 20 before everything and `values` in turn on the last day of each drug."""
    who = person(table, **given)
    taken: list[Score] = list(scores((str(who.prescriptions[0].segments[0].first_day), 20)))
    for order, value in zip(who.prescriptions, values, strict=False):
        taken += scores((str(order.segments[-1].last_day), value))
    return replace(who, scores=tuple(taken))


CHOSEN = a_definition(id="chosen")
TWO_SSRIS = """
    drug       | first_day  | last_day
    sertraline | 2025-09-01 | 2025-11-30
    citalopram | 2025-12-01 | 2026-02-28
"""
TWO_CLASSES = TWO_SSRIS.replace("citalopram", "venlafaxine")
THREE_DRUGS = TWO_CLASSES + "    mirtazapine | 2026-03-01 | 2026-05-31\n"


# --- trial by trial ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "values", "other", "sentence"),
    [
        (
            TWO_SSRIS,
            (19, 19),
            {"distinctness": Distinctness.CLASS},
            "not met under other: both failed trials are SSRIs",
        ),
        (
            TWO_SSRIS,
            (19, 19),
            {"distinctness": Distinctness.MECHANISM},
            "not met under other: both failed trials are SSRIs",
        ),
        (
            TWO_CLASSES,
            (14, 18),
            {"nonresponse_below_percent": 25},
            "not met under other: sertraline improved 30 %, a partial response there",
        ),
        (
            TWO_CLASSES,
            (19, 19),
            {"minimum_days": 91},
            "not met under other: venlafaxine was 90 days long, 91 needed there",
        ),
        (
            TWO_CLASSES,
            (19, 19),
            {"needed_failed_trials": 3},
            "not met under other: 2 failed trials, 3 needed there",
        ),
        (
            TWO_CLASSES,
            (19, 19),
            {"lookback_days": 122},
            "not met under other: sertraline: ended 2025-11-30, more than 122 days ago",
        ),
        (
            TWO_CLASSES,
            (19, 19),
            {"dose_column": "strict"},
            "indeterminate under other: sertraline: no minimum adequate dose of sertraline is known; "
            "venlafaxine: no minimum adequate dose of venlafaxine is known",
        ),
    ],
)
def test_not_met_elsewhere(
    table: str, values: tuple[float, ...], other: dict[str, object], sentence: str
) -> None:
    who = with_adequate_doses(treated(table, *values))
    assert judged(who, CHOSEN).verdict is Verdict.MET
    assert difference(who, CHOSEN, a_definition(**{"id": "other", **other})) == sentence


def with_adequate_doses(who: History, mg: float = 300) -> History:
    """Doses above every minimum of the specs."""
    return replace(
        who,
        prescriptions=tuple(
            replace(order, segments=tuple(replace(s, low_mg=mg, high_mg=mg) for s in order.segments))
            for order in who.prescriptions
        ),
    )


@pytest.mark.parametrize(
    ("table", "values", "chosen", "sentence"),
    [
        (
            TWO_SSRIS,
            (19, 19),
            {"distinctness": Distinctness.CLASS},
            "met under other: both failed trials are SSRIs, which count separately there",
        ),
        (
            TWO_CLASSES,
            (14, 18),
            {"nonresponse_below_percent": 25},
            "met under other: sertraline improved 30 %, 50 % needed there for a response",
        ),
        (
            TWO_CLASSES,
            (21, 20),
            {"minimum_days": 91},
            "met under other: venlafaxine was 90 days long, 42 are enough there",
        ),
        (
            TWO_CLASSES,
            (19, 19),
            {"needed_failed_trials": 3},
            "met under other: 2 failed trials, 2 needed there",
        ),
        (
            TWO_CLASSES,
            (19, 19),
            {"lookback_days": 122},
            "met under other: sertraline counts there; here: ended 2025-11-30, more than 122 days ago",
        ),
    ],
)
def test_met_elsewhere(
    table: str, values: tuple[float, ...], chosen: dict[str, object], sentence: str
) -> None:
    who = with_adequate_doses(treated(table, *values))
    other = a_definition(id="other")
    assert judged(who, other).verdict is Verdict.MET
    assert difference(who, a_definition(**{"id": "chosen", **chosen}), other) == sentence


def test_the_dose_column() -> None:
    """Bupropion 150 mg: the lenient minimum, half the default one."""
    bupropion = treated(TWO_CLASSES.replace("sertraline", "bupropion"), 19, 19)
    who = with_adequate_doses(bupropion, mg=150)
    lenient, default = a_definition(id="lenient", dose_column="lenient"), a_definition(id="default")
    assert difference(who, lenient, default) == (
        "not met under default: bupropion 150 mg/day, 300 needed there"
    )
    assert difference(who, default, lenient) == (
        "met under lenient: bupropion 150 mg/day, 150 is enough there"
    )


def test_intolerance() -> None:
    table = """
        drug        | first_day  | last_day   | stop
        sertraline  | 2025-09-01 | 2025-11-30 | intolerance
        venlafaxine | 2025-12-01 | 2026-02-28 | inefficacy
    """
    who = with_adequate_doses(person(table))
    strict, lenient = (
        a_definition(id="strict"),
        a_definition(id="lenient", intolerance_counts_as_failure=True),
    )
    assert judged(who, strict).verdict is Verdict.NOT_MET
    assert "sertraline" in difference(who, strict, lenient)


def test_three_of_which_two_are_alike() -> None:
    table = TWO_SSRIS + "    mirtazapine | 2026-03-01 | 2026-05-31\n"
    who = with_adequate_doses(treated(table, 19, 19, 19))
    three = a_definition(id="three", needed_failed_trials=3)
    by_class = a_definition(id="by-class", needed_failed_trials=3, distinctness=Distinctness.CLASS)
    assert difference(who, three, by_class) == "not met under by-class: sertraline and citalopram are SSRIs"


def test_trials_that_may_have_failed_are_not_called_failed() -> None:
    who = with_adequate_doses(person(TWO_SSRIS))
    by_class = a_definition(id="by-class", distinctness=Distinctness.CLASS)
    assert difference(who, CHOSEN, by_class) == (
        "not met under by-class: both trials that may have failed are SSRIs"
    )


def test_agents_of_two_classes_that_act_alike() -> None:
    who = with_adequate_doses(treated(TWO_CLASSES, 19, 19))
    alike = tuple(
        replace(order, drug=replace(order.drug, mechanism="monoamine_reuptake")) if order.drug else order
        for order in who.prescriptions
    )
    by_mechanism = a_definition(id="by-mechanism", distinctness=Distinctness.MECHANISM)
    assert difference(replace(who, prescriptions=alike), CHOSEN, by_mechanism) == (
        "not met under by-mechanism: both failed trials act alike (monoamine reuptake)"
    )


# --- registers, claims and scores -------------------------------------------------------------------------


def test_a_register_counts_drugs_not_their_effect() -> None:
    who = with_adequate_doses(treated(THREE_DRUGS, 19, 5, 2))
    assert difference(who, CHOSEN, OHDSI) == (
        "met under ohdsi-1009: counts drugs, not their effect: "
        "3 antidepressants in 365 days up to a start, 3 needed"
    )
    assert difference(who, OHDSI, CHOSEN) == (
        "not met under chosen: asks for trials that failed, 0 to 1 of 2; "
        "venlafaxine improved 73.7 %; mirtazapine improved 60 %"
    )


def test_a_register_needs_more() -> None:
    who = with_adequate_doses(treated(TWO_CLASSES, 19, 19))
    assert difference(who, CHOSEN, KIM) == (
        "not met under kim-register: counts drugs, not their effect: "
        "2 treatments of at least 28 days in the 730 days to 2026-06-30, 3 needed"
    )
    assert difference(who, KIM, CHOSEN) == (
        "met under chosen: asks for trials that failed, 2 of 2; sertraline and venlafaxine failed"
    )


def test_an_add_on_is_enough_there() -> None:
    who = person(TWO_CLASSES + "    aripiprazole | 2026-03-01 | 2026-03-02\n")
    assert difference(who, KIM, OHDSI) == (
        "met under ohdsi-1009: 2 antidepressants in 365 days up to a start, 3 needed; "
        "beside 1 antidepressant an add-on is enough"
    )


def test_trials_that_are_open_for_the_same_reason_are_named_together() -> None:
    who = with_adequate_doses(person(THREE_DRUGS))
    assert difference(who, KIM, CHOSEN) == (
        "indeterminate under chosen: asks for trials that failed, 0 to 3 of 2; "
        "sertraline, venlafaxine and mirtazapine: no score at the start and none late in the trial"
    )


SCORING = a_definition(id="a-method", rule=Rule.SCORE, staging=StagingRule("method", met_from=7))


def by_score(low: float, high: float, answer: Answer, verdict: Verdict) -> Judgement:
    staging = Staging("method", "the Maudsley method", low, high, "", "", (), "")
    text = f"{low:g} to {high:g} points, 7 needed" if low != high else f"{low:g} points, 7 needed"
    return Judgement(
        SCORING, verdict, int(low), int(high), (Finding("staging score", answer, text),), (), staging
    )


def test_a_staging_score() -> None:
    chosen = judged(with_adequate_doses(treated(TWO_CLASSES, 19, 19)), CHOSEN)
    assert explain_difference(chosen, by_score(6, 6, Answer.NOT_MET, Verdict.NOT_MET)) == (
        "not met under a-method: 6 points, 7 needed by the Maudsley method"
    )
    assert explain_difference(chosen, by_score(6, 8, Answer.UNKNOWN, Verdict.INDETERMINATE)) == (
        "indeterminate under a-method: 6 to 8 points, 7 needed by the Maudsley method"
    )


def test_how_many_are_needed() -> None:
    assert [needed(d) for d in (CHOSEN, KIM, SCORING)] == [2, 3, 7]


# --- who it is about --------------------------------------------------------------------------------------


def test_an_exclusion_there_and_here() -> None:
    bipolar = (diagnosis(), diagnosis(DiagnosisRole.EXCLUSION, "bipolar"))
    who = with_adequate_doses(treated(TWO_CLASSES, 19, 19, diagnoses=bipolar))
    without = a_definition(id="without", exclusions=())
    assert difference(who, without, CHOSEN) == "excluded under chosen: bipolar (bipolar) excludes there"
    assert difference(who, CHOSEN, without) == (
        "met under without: bipolar (bipolar) does not exclude there; 2 failed trials, 2 needed"
    )


def test_an_age_there_and_here() -> None:
    young = date(2010, 1, 1)
    who = with_adequate_doses(treated(TWO_CLASSES, 19, 19, born_earliest=young, born_latest=young))
    ageless = a_definition(id="ageless", minimum_age_years=None)
    assert difference(who, ageless, CHOSEN) == "excluded under chosen: 16 years: under 18"
    assert difference(who, CHOSEN, ageless) == (
        "met under ageless: the definition names no age; 2 failed trials, 2 needed"
    )


def test_a_diagnosis_that_is_asked_there_and_here() -> None:
    who = person(THREE_DRUGS, diagnoses=())
    asking = replace(DANISH, id="asking")
    assert DANISH.treatments is not None
    not_asking = replace(
        DANISH, id="not-asking", treatments=replace(DANISH.treatments, needs_depression=False)
    )
    assert difference(who, not_asking, asking) == (
        "indeterminate under asking: no major depressive disorder is recorded"
    )
    assert difference(who, asking, not_asking) == (
        "met under not-asking: no major depressive disorder is recorded, which does not matter there"
    )


# --- for any record ---------------------------------------------------------------------------------------


def collected(vignette: Vignette) -> Collected:
    entries = [
        Entry(row["resource"], row.get("fullUrl"), f"entry[{n}].resource")
        for n, row in enumerate(vignette.bundle["entry"])
    ]
    return Collected(vignette.patient_id, tuple(entries))


def assert_told(chosen: Judgement, other: Judgement) -> None:
    sentence = explain_difference(chosen, other)
    if chosen.verdict is other.verdict:
        assert sentence == ""
        return
    beginning, _, why = sentence.partition(f" under {other.definition.id}: ")
    assert beginning == {"not-met": "not met"}.get(other.verdict.value, other.verdict.value)
    assert why.strip()
    assert len(sentence) <= LONGEST
    assert "\n" not in sentence


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
def test_each_difference_of_each_fixture_patient_is_told(vignette: Vignette) -> None:
    who = read_history(collected(vignette), ON)
    judgements = [
        judged(who, definition) for definition in (*load_definitions().values(), KIM, OHDSI, CEPEDA, DANISH)
    ]
    for chosen in judgements:
        for other in judgements:
            assert_told(chosen, other)


SINGLE_CHANGES = (
    {},
    {"distinctness": Distinctness.CLASS},
    {"distinctness": Distinctness.MECHANISM},
    {"minimum_days": 28},
    {"dose_column": "lenient"},
    {"dose_column": "strict"},
    {"nonresponse_below_percent": 25},
    {"intolerance_counts_as_failure": True},
    {"max_gap_days": 0},
    {"lookback_days": 200},
    {"exclusions": ()},
    {"minimum_age_years": None},
    {"needed_failed_trials": 1},
)


@st.composite
def definitions(draw: st.DrawFn, id_: str) -> Definition:
    if draw(st.integers(0, 2)) == 0:
        return replace(draw(st.sampled_from([KIM, OHDSI, CEPEDA, DANISH])), id=id_)
    values: dict[str, object] = {"id": id_}
    for change in draw(st.lists(st.sampled_from(SINGLE_CHANGES), max_size=4)):
        values |= change
    return a_definition(**values)


@st.composite
def histories(draw: st.DrawFn) -> History:
    lines = ["drug | first_day | last_day | use | stop | days"]
    for _ in range(draw(st.integers(0, 4))):
        first = ON - timedelta(draw(st.integers(30, 500)))
        last = first + timedelta(draw(st.integers(1, 120)))
        drug = draw(st.sampled_from(["sertraline", "citalopram", "venlafaxine", "bupropion", "?"]))
        use = draw(st.sampled_from(["met", "met", "unknown", "not-met"]))
        stop = draw(st.sampled_from(["", "", "inefficacy", "intolerance"]))
        days = draw(st.sampled_from(["", "", "uncertain"]))
        lines.append(f"{drug} | {first} | {last} | {use} | {stop} | {days}")
    who = with_adequate_doses(person("\n".join(lines)), mg=draw(st.sampled_from([150, 300])))
    days = draw(st.lists(st.integers(0, 500), max_size=5, unique=True))
    taken = [Score(PHQ9, ON - timedelta(day), draw(st.integers(3, 25)), f"Observation/{day}") for day in days]
    held = draw(st.sampled_from([None, Answer.MET, Answer.UNKNOWN]))
    excluding = [] if held is None else [diagnosis(DiagnosisRole.EXCLUSION, "bipolar", holds=held)]
    has_depression = draw(st.booleans())
    born = draw(st.sampled_from([date(1980, 1, 1), date(2012, 1, 1), None]))
    return replace(
        who,
        scores=tuple(taken),
        diagnoses=(*([diagnosis()] if has_depression else []), *excluding),
        born_earliest=born,
        born_latest=born,
    )


@settings(max_examples=examples(600), deadline=None)
@given(who=histories(), chosen=definitions("chosen"), other=definitions("other"))
def test_a_difference_is_told_if_and_only_if_the_verdicts_differ(
    who: History, chosen: Definition, other: Definition
) -> None:
    assert_told(judged(who, chosen), judged(who, other))


def test_it_is_total() -> None:
    def bare(id_: str, verdict: Verdict) -> Judgement:
        return Judgement(a_definition(id=id_), verdict, 0, 0, (), ())

    for chosen in Verdict:
        for other in Verdict:
            assert_told(bare("chosen", chosen), bare("other", other))
    long_id = "x" * 300
    sentence = explain_difference(bare("chosen", Verdict.MET), bare(long_id, Verdict.NOT_MET))
    assert sentence == f"not met under {long_id}: its criteria are others"


def test_nothing_is_told_of_nobody() -> None:
    assert difference(history(), CHOSEN, a_definition(id="other", minimum_days=28)) == ""
