"""Each sentence that tells why two definitions differ, also those that no definition of ours leads to.

The judgements are written down rather than worked out, so that each sentence has its own case.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cds_service.trd.agreement import LONGEST, SHORTEST_REASON, explain_difference, needed
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import JudgedTrial, Judgement, Response, Staging, TrialKind, Verdict
from cds_service.trd.parameters import Distinctness, Rule, StagingRule
from cds_service.trd.record import Drug, StopReason
from tests.spec.assessments import a_definition, a_trial

MET, NOT_MET, UNKNOWN = Answer.MET, Answer.NOT_MET, Answer.UNKNOWN
VERDICTS = {MET: Verdict.MET, NOT_MET: Verdict.NOT_MET, UNKNOWN: Verdict.INDETERMINATE}


def judgement(
    id_: str,
    answer: Answer,
    *trials: JudgedTrial,
    verdict: Verdict | None = None,
    count: str = "",
    beside: tuple[tuple[str, Answer, str], ...] = (),
    failed: tuple[int, int] = (0, 2),
    staging: Staging | None = None,
    **parameters: object,
) -> Judgement:
    """The first reason is the count; `beside` are the criteria beside it."""
    first = Finding("failed trials", answer, count or f"{failed[0]} failed trials, 2 needed")
    reasons = (first, *(Finding(*each) for each in beside))
    definition = a_definition(id=id_, **parameters)
    return Judgement(definition, verdict or VERDICTS[answer], failed[0], failed[1], reasons, trials, staging)


def told(chosen: Judgement, other: Judgement) -> str:
    """The sentence without the verdict and the id that it begins with."""
    sentence = explain_difference(chosen, other)
    return sentence.partition(f" under {other.definition.id}: ")[2]


def of_drug(trial: JudgedTrial, drug: Drug | None) -> JudgedTrial:
    exposure = replace(trial.trial.exposure, drug=drug)
    return with_trial(trial, exposure=exposure)


def with_trial(judged: JudgedTrial, **changes: object) -> JudgedTrial:
    trial = replace(judged.trial, **changes)  # type: ignore[arg-type]
    return replace(judged, trial=trial, outcome=replace(judged.outcome, trial=trial))


def with_outcome(judged: JudgedTrial, **changes: object) -> JudgedTrial:
    return replace(judged, outcome=replace(judged.outcome, **changes))  # type: ignore[arg-type]


def of_class(trial: JudgedTrial, drug_class: str, mechanism: str = "") -> JudgedTrial:
    drug = trial.trial.drug
    assert drug is not None
    return of_drug(trial, replace(drug, drug_class=drug_class, mechanism=mechanism or drug.mechanism))


# --- how it begins and how long it is ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.MET, "met"),
        (Verdict.NOT_MET, "not met"),
        (Verdict.INDETERMINATE, "indeterminate"),
        (Verdict.EXCLUDED, "excluded"),
    ],
)
def test_it_begins_with_the_verdict_and_the_id(verdict: Verdict, words: str) -> None:
    chosen_verdict = Verdict.MET if verdict is not Verdict.MET else Verdict.NOT_MET
    chosen = judgement("chosen", MET, verdict=chosen_verdict)
    other = judgement("other", MET, verdict=verdict)
    assert explain_difference(chosen, other) == f"{words} under other: its criteria are others"
    assert explain_difference(other, other) == ""


def criteria(text: str) -> tuple[Judgement, Judgement]:
    beside = (("diagnosis", MET, "a depression is on record"),)
    return (
        judgement("chosen", MET, beside=beside),
        judgement("o", MET, verdict=Verdict.INDETERMINATE, beside=(("diagnosis", UNKNOWN, text),)),
    )


def test_a_sentence_of_the_greatest_length_is_told_whole_and_one_character_more_is_cut_at_a_word() -> None:
    beginning = "indeterminate under o: "
    whole = ("word " * 100)[: LONGEST - len(beginning) - 1].strip() + "s"
    whole += "s" * (LONGEST - len(beginning) - len(whole))
    assert explain_difference(*criteria(whole)) == beginning + whole
    cut = explain_difference(*criteria(whole + "s"))
    assert len(cut) <= LONGEST and cut.endswith("word …")


def test_however_long_an_id_is_sixty_characters_are_left_to_the_reason() -> None:
    chosen, other = criteria("a" * (SHORTEST_REASON - 5) + " bbbb")
    long_id = replace(other, definition=replace(other.definition, id="x" * 300))
    assert told(chosen, long_id) == "a" * 55 + " bbbb"
    chosen, other = criteria("a" * (SHORTEST_REASON - 5) + " bbbbb")
    long_id = replace(other, definition=replace(other.definition, id="x" * 300))
    assert told(chosen, long_id) == "a" * 55 + " …"


def test_lines_are_joined() -> None:
    assert told(*criteria("said in\n  two lines")) == "said in two lines"


def test_how_many_are_needed_where_a_rule_is_without_its_table() -> None:
    assert needed(a_definition(rule=Rule.TREATMENTS, needed_failed_trials=4)) == 4
    assert needed(a_definition(rule=Rule.SCORE, needed_failed_trials=4)) == 4
    without_threshold = StagingRule("a method", met_from=None)
    assert needed(a_definition(rule=Rule.SCORE, staging=without_threshold)) == 0


# --- who it is about --------------------------------------------------------------------------------------


def test_all_that_excludes_there_and_is_not_excluded_here_is_told() -> None:
    chosen = judgement(
        "chosen", MET, beside=(("bipolar", UNKNOWN, "mania is suspected"), ("age", MET, "40 years"))
    )
    other = judgement(
        "other",
        MET,
        verdict=Verdict.EXCLUDED,
        beside=(
            ("bipolar", NOT_MET, "mania"),
            ("age", NOT_MET, "40 years: under 65"),
            ("dementia", NOT_MET, "dementia"),
            ("psychosis", UNKNOWN, "psychosis is suspected"),
        ),
    )
    assert told(chosen, other) == "mania excludes there; 40 years: under 65; dementia excludes there"


def test_what_excludes_here_too_explains_nothing() -> None:
    chosen = judgement("chosen", MET, beside=(("bipolar", NOT_MET, "mania"), ("dementia", MET, "none")))
    beside = (("bipolar", NOT_MET, "mania"), ("dementia", NOT_MET, "dementia"))
    other = judgement("other", MET, verdict=Verdict.EXCLUDED, beside=beside)
    assert told(chosen, other) == "dementia excludes there"


def test_what_excludes_here_and_not_there_is_told_with_what_is_open_and_counted_there() -> None:
    chosen = judgement(
        "chosen",
        MET,
        verdict=Verdict.EXCLUDED,
        beside=(
            ("bipolar", NOT_MET, "mania"),
            ("age", NOT_MET, "16 years: under 18"),
            ("dementia", UNKNOWN, "dementia is suspected"),
        ),
    )
    other = judgement(
        "other", UNKNOWN, beside=(("diagnosis", UNKNOWN, "no depression is recorded"),), failed=(1, 1)
    )
    assert told(chosen, other) == (
        "mania does not exclude there; no age is asked; no depression is recorded; 1 failed trials, 2 needed"
    )
    asked = replace(other, reasons=(*other.reasons, Finding("age", MET, "16 years")))
    assert told(chosen, asked) == (
        "mania does not exclude there; 16 years; no depression is recorded; 1 failed trials, 2 needed"
    )


def test_criteria_beside_the_count_are_told_where_they_differ() -> None:
    beside = (("a", UNKNOWN, "a here"), ("b", MET, "b here"), ("c", MET, "c here"), ("d", UNKNOWN, "d here"))
    there = (("a", MET, "a there"), ("b", UNKNOWN, "b there"), ("c", MET, "c there"))
    chosen = judgement("chosen", MET, verdict=Verdict.INDETERMINATE, beside=beside)
    assert told(chosen, judgement("other", MET, beside=there)) == (
        "a here, which does not matter there; b there"
    )


# --- what is counted --------------------------------------------------------------------------------------


def test_of_a_score_only_the_sum_is_told_with_the_method() -> None:
    method = Staging("m", "the method", 5, 5, "", "", (), "")
    chosen = judgement("chosen", MET)
    other = judgement("other", NOT_MET, count="5 points; of which 2", staging=method, rule=Rule.SCORE)
    assert told(chosen, other) == "5 points by the method"
    assert told(chosen, replace(other, staging=None)) == "5 points"


def test_of_treatments_the_list_is_left_out_and_an_add_on_that_is_enough_is_told() -> None:
    count = "2 drugs, 3 needed; a list; beside 1 antidepressant an add-on is enough"
    registers = judgement("other", MET, count=count, rule=Rule.TREATMENTS)
    assert told(judgement("chosen", NOT_MET), registers) == (
        "counts drugs, not their effect: 2 drugs, 3 needed; beside 1 antidepressant an add-on is enough"
    )
    assert told(judgement("chosen", NOT_MET, rule=Rule.TREATMENTS), registers) == (
        "2 drugs, 3 needed; beside 1 antidepressant an add-on is enough"
    )


REGISTER = judgement("chosen", UNKNOWN, rule=Rule.TREATMENTS)


def test_trials_that_failed_are_named_beside_their_number() -> None:
    trials = (a_trial("sertraline"), a_trial("venlafaxine"), a_trial("mirtazapine", NOT_MET))
    other = judgement("other", MET, *trials, failed=(2, 2))
    assert told(REGISTER, other) == ("asks for trials that failed, 2 of 2; sertraline and venlafaxine failed")
    assert told(REGISTER, judgement("other", MET, failed=(2, 3))) == (
        "asks for trials that failed, 2 to 3 of 2"
    )


@pytest.mark.parametrize(
    ("improvement", "words"),
    [
        (60, "improved 60 %"),
        (60.06, "improved 60.1 %"),
        (-5, "worsened 5 %"),
        (0.05, "improved 0.1 %"),
        (0.04, "brought no change"),
        (-0.04, "brought no change"),
        (0, "brought no change"),
    ],
)
def test_a_trial_that_did_not_fail_is_told_with_its_change(improvement: float, words: str) -> None:
    helped = a_trial("sertraline", NOT_MET, why="60 % better; and more", improvement=improvement)
    low = a_trial("venlafaxine", NOT_MET, why="the dose was low; and more")
    assert told(REGISTER, judgement("other", NOT_MET, helped, low, failed=(0, 0))) == (
        f"asks for trials that failed, 0 of 2; sertraline {words}; venlafaxine: the dose was low"
    )


def test_a_trial_that_did_not_fail_for_another_reason_than_its_change_is_told_with_that() -> None:
    helped = a_trial("sertraline", NOT_MET, why="ended long ago", improvement=60)
    helped = with_outcome(helped, insufficient=Finding("response", NOT_MET, "60 % better"))
    assert told(REGISTER, judgement("other", NOT_MET, helped, failed=(0, 0))) == (
        "asks for trials that failed, 0 of 2; sertraline: ended long ago"
    )


# --- what makes trials distinct ---------------------------------------------------------------------------

BY_CLASS = {"distinctness": Distinctness.CLASS}


@pytest.mark.parametrize(
    ("drug_class", "words"),
    [
        ("SSRI", "both failed trials are SSRIs"),
        ("NaSSA", "both failed trials are NaSSAs"),
        ("tricyclic", "both failed trials are of one class (tricyclic)"),
        ("MAOI (transdermal)", "both failed trials are of one class (MAOI (transdermal))"),
    ],
)
def test_two_of_one_class(drug_class: str, words: str) -> None:
    trials = [of_class(a_trial(name), drug_class) for name in ("one", "two")]
    chosen, other = judgement("chosen", MET, *trials), judgement("other", NOT_MET, *trials, **BY_CLASS)
    assert told(chosen, other) == words
    back = judgement("other", MET, *trials)
    assert told(judgement("chosen", NOT_MET, *trials, **BY_CLASS), back) == (
        f"{words}, which count separately there"
    )


def test_three_alike_and_others_beside_them() -> None:
    three = [a_trial(name) for name in ("one", "two", "three")]
    chosen, other = judgement("chosen", MET, *three), judgement("other", NOT_MET, *three, **BY_CLASS)
    assert told(chosen, other) == "all 3 failed trials are SSRIs"
    may_have = [*three[:2], a_trial("three", UNKNOWN)]
    assert told(judgement("c", MET, *may_have), judgement("o", NOT_MET, *may_have, **BY_CLASS)) == (
        "all 3 trials that may have failed are SSRIs"
    )
    helped = [*three[:2], a_trial("three", NOT_MET)]
    assert told(judgement("c", MET, *helped), judgement("o", NOT_MET, *helped, **BY_CLASS)) == (
        "both failed trials are SSRIs"
    )


def test_two_pairs_that_are_alike() -> None:
    names = {"one": "SSRI", "two": "SSRI", "three": "SNRI", "four": "SNRI", "five": "NaSSA"}
    four = [of_class(a_trial(name), drug_class) for name, drug_class in names.items()]
    asks = {"needed_failed_trials": 5}
    other = judgement("other", NOT_MET, *four, **asks, **BY_CLASS)
    assert told(judgement("chosen", MET, *four, **asks), other) == (
        "one and two are SSRIs; three and four are SNRIs"
    )


def test_one_class_here_though_they_act_otherwise() -> None:
    """The likeness is that of the definition that counts them as one: their class, not how they act."""
    trials = [of_class(a_trial(name), "SSRI", f"action of {name}") for name in ("one", "two")]
    here, there = judgement("chosen", NOT_MET, *trials, **BY_CLASS), judgement("other", MET, *trials)
    assert told(here, there) == "both failed trials are SSRIs, which count separately there"


def test_one_of_its_own_class_before_a_pair() -> None:
    alone = of_class(a_trial("three"), "SNRI", "another_action")
    trials = [alone, a_trial("one"), a_trial("two")]
    asks = {"needed_failed_trials": 3}
    other = judgement("other", NOT_MET, *trials, **asks, **BY_CLASS)
    assert told(judgement("chosen", MET, *trials, **asks), other) == "one and two are SSRIs"


def test_two_classes_that_act_alike() -> None:
    trials = [of_class(a_trial("one"), "SSRI", "an_action"), of_class(a_trial("two"), "SNRI", "an_action")]
    other = judgement("other", NOT_MET, *trials, distinctness=Distinctness.MECHANISM)
    assert told(judgement("chosen", MET, *trials), other) == "both failed trials act alike (an action)"
    by_class = judgement("chosen", MET, *trials, **BY_CLASS)
    assert told(by_class, other) == "both failed trials act alike (an action)"


def test_likeness_that_changes_nothing_is_not_told() -> None:
    """One is needed, and one class failed: that both are alike takes nothing away."""
    trials, one = [a_trial("one"), a_trial("two")], {"needed_failed_trials": 1}
    other = judgement("other", NOT_MET, *trials, **one, **BY_CLASS)
    assert told(judgement("chosen", MET, *trials, **one), other) == "0 failed trials, 2 needed"


def test_a_drug_that_is_not_identified_is_like_no_other() -> None:
    trials = [a_trial("one"), a_trial("two"), of_drug(a_trial("three"), None)]
    three = {"needed_failed_trials": 3}
    other = judgement("other", NOT_MET, *trials, **three, **BY_CLASS)
    assert told(judgement("chosen", MET, *trials, **three), other) == "both failed trials are SSRIs"


def test_another_number_that_is_needed() -> None:
    trials = [a_trial("one"), a_trial("two")]
    chosen = judgement("chosen", MET, *trials)
    other = judgement("other", NOT_MET, *trials, count="2 failed trials, 3 needed; a list",
                      needed_failed_trials=3)  # fmt: skip
    assert told(chosen, other) == "2 failed trials, 3 needed there"
    assert told(chosen, replace(other, reasons=())) == "another number is needed there"


# --- one trial --------------------------------------------------------------------------------------------


def pair(here: JudgedTrial | None, there: JudgedTrial | None, is_more: bool = True, **given: object) -> str:
    """What is told of one trial, as judged here and there."""
    answers = (NOT_MET, MET) if is_more else (MET, NOT_MET)
    chosen = judgement("chosen", answers[0], *([here] if here else []))
    return told(chosen, judgement("other", answers[1], *([there] if there else []), **given))


FAILED, HELPED = a_trial("sertraline"), a_trial("sertraline", NOT_MET, why="not enough; and more")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TrialKind.ANTIDEPRESSANT, "sertraline"),
        (TrialKind.AUGMENTATION, "augmentation (sertraline)"),
        (TrialKind.NEUROMODULATION, "neuromodulation (sertraline)"),
    ],
)
def test_a_trial_that_only_one_counts(kind: TrialKind, name: str) -> None:
    only = with_trial(FAILED, kind=kind)
    assert pair(None, only) == f"{name} counts as a trial there"
    assert pair(only, None, is_more=False) == f"{name} is no trial there"


def test_trials_of_one_name_and_two_kinds_are_two() -> None:
    """The antidepressant is judged alike: only the augmentation makes the difference."""
    added = with_trial(FAILED, kind=TrialKind.AUGMENTATION, exposure=a_trial("lithium").trial.exposure)
    chosen = judgement("chosen", NOT_MET, FAILED)
    assert told(chosen, judgement("other", MET, FAILED, added)) == (
        "augmentation (lithium) counts as a trial there"
    )


def test_a_trial_that_differs_the_other_way_explains_nothing() -> None:
    both = judgement("other", MET, HELPED, a_trial("venlafaxine"))
    assert told(judgement("chosen", NOT_MET, FAILED), both) == "venlafaxine counts as a trial there"


@pytest.mark.parametrize("days", [28, 42])
def test_the_length(days: int) -> None:
    short = a_trial("sertraline", NOT_MET, days=30)
    long_enough = with_trial(a_trial("sertraline", days=30), duration=Finding("duration", MET, "long"))
    assert pair(short, long_enough, minimum_days=days) == (
        f"sertraline was 30 days long, {days} are enough there"
    )
    assert pair(long_enough, short, is_more=False, minimum_days=days) == (
        f"sertraline was 30 days long, {days} needed there"
    )


def test_a_length_that_is_open_is_told_in_its_own_words() -> None:
    sure = a_trial("sertraline")
    open_ = with_trial(
        a_trial("sertraline", UNKNOWN), duration=Finding("duration", UNKNOWN, "days not known")
    )
    assert pair(sure, open_, is_more=False) == "sertraline: days not known"


def test_the_dose() -> None:
    low = a_trial("sertraline", NOT_MET, dose=NOT_MET, max_mg=62.5, minimum_mg=75)
    enough = a_trial("sertraline", max_mg=62.5, minimum_mg=50)
    assert pair(low, enough) == "sertraline 62.5 mg/day, 50 is enough there"
    assert pair(enough, low, is_more=False) == "sertraline 62.5 mg/day, 75 needed there"


@pytest.mark.parametrize("missing", [{"max_mg": None}, {"minimum_mg": None}])
def test_a_dose_without_its_figures_is_told_in_words(missing: dict[str, float | None]) -> None:
    low, enough = a_trial("sertraline", NOT_MET, dose=NOT_MET), a_trial("sertraline")
    assert pair(low, with_trial(enough, **missing)) == "sertraline counts there; here: dose"
    assert pair(enough, with_trial(low, **missing), is_more=False) == "sertraline: dose"


def test_what_decides_is_what_differs_in_the_same_direction() -> None:
    """The dose is better here, and not why the trial counts there: the scope is."""
    here = replace(a_trial("sertraline", NOT_MET), in_scope=Finding("scope", NOT_MET, "an earlier episode"))
    there = a_trial("sertraline", dose=UNKNOWN)
    assert pair(here, there) == "sertraline counts there; here: an earlier episode"


def test_without_a_finding_that_differs_the_answer_itself_is_told() -> None:
    same = Finding("response", MET, "no change")
    assert pair(with_outcome(FAILED, insufficient=same), with_outcome(HELPED, insufficient=same), False) == (
        "sertraline: not enough"
    )


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response.PARTIAL_RESPONSE, "a partial response"),
        (Response.RESPONSE, "a response"),
        (Response.REMISSION, "remission"),
        (Response.NO_RESPONSE, "enough"),
    ],
)
def test_what_a_change_is_there(response: Response, words: str) -> None:
    helped = with_outcome(HELPED, improvement_percent=40, response=response)
    assert pair(FAILED, helped, is_more=False) == f"sertraline improved 40 %, {words} there"
    failed = with_outcome(FAILED, improvement_percent=40, response=response)
    assert pair(HELPED, failed, nonresponse_below_percent=62.5) == (
        "sertraline improved 40 %, 62.5 % needed there for a response"
    )


def test_an_outcome_without_scores_is_told_in_its_own_words() -> None:
    assert pair(FAILED, HELPED, is_more=False) == "sertraline: not enough; and more"
    assert pair(HELPED, FAILED) == "sertraline: 10.5 % better"
    open_ = a_trial("sertraline", UNKNOWN, why="no scores")
    assert pair(FAILED, open_, is_more=False) == "sertraline: no scores"
    assert pair(HELPED, open_) == "sertraline: no scores"


@pytest.mark.parametrize("response", [Response.INTOLERANCE, Response.NO_RESPONSE])
def test_a_drug_that_was_stopped_for_an_adverse_effect(response: Response) -> None:
    failed, helped = (
        with_outcome(with_trial(each, stop_reason=StopReason.INTOLERANCE), response=response)
        for each in (FAILED, HELPED)
    )
    stopped = "sertraline was stopped for an adverse effect"
    assert pair(helped, failed) == f"{stopped}, a failure there"
    assert pair(failed, helped, is_more=False) == f"{stopped}, no failure there"


def test_a_response_before_an_adverse_effect_is_told_as_a_response() -> None:
    stopped = with_trial(HELPED, stop_reason=StopReason.INTOLERANCE)
    helped = with_outcome(stopped, response=Response.RESPONSE, improvement_percent=60)
    assert pair(FAILED, helped, is_more=False) == "sertraline improved 60 %, a response there"
    no_stop = with_outcome(HELPED, response=Response.INTOLERANCE)
    assert pair(FAILED, no_stop, is_more=False) == "sertraline: not enough; and more"
