"""Which scores count where the days of a trial are not certain, and where some could not be read; and what is said.

The trial of these tests is adequate from 2025-09-01 to 2025-11-30; where a test says so it may have begun on
2025-08-20 and gone on to 2025-12-10. A baseline counts from 60 days before to 7 days after its first day, a last
score from its day 28 to 14 days after its last.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.exposures import build_exposures
from cds_service.trd.model import Outcome, Response, Trial
from cds_service.trd.outcomes import judge_outcomes
from cds_service.trd.record import History, Score, StopReason, UnreadScore
from cds_service.trd.trials import find_trials
from tests.conftest import ON
from tests.spec.assessments import a_definition
from tests.spec.people import MADRS, PHQ9, orders, scores
from tests.spec.texttables import rows

DEFINITION = a_definition()
EVIDENCE = ("MedicationRequest/1",)
PAIR = "2025-08-30=20, 2025-11-28=18"
DOUBTFUL_DAYS = "which scores count depends on days that are not certain"
UNREAD = "a score in the window could not be read"


def the_trial(**changes: object) -> Trial:
    prescriptions = orders(
        "drug | first_day | last_day | mg_per_day\nsertraline | 2025-09-01 | 2025-11-30 | 50"
    )
    (trial,) = find_trials(build_exposures(prescriptions, 14), DEFINITION, ON)
    return replace(trial, **changes)  # type: ignore[arg-type]


EXACT = the_trial()
OPEN = the_trial(possible_first_day=date(2025, 8, 20), possible_last_day=date(2025, 12, 10))
NO_DAY = the_trial(first_day=None, last_day=None)


def recorded(text: str) -> tuple[Score, ...]:
    """`2025-08-30=20, 2025-11-28=18`: totals of the PHQ-9; `MADRS 2025-08-30=20` those of the MADRS."""
    found: list[Score] = []
    for each in filter(None, text.split(", ")):
        *scale, pair = each.split()
        day, value = pair.split("=")
        found += scores((day, float(value)), scale=MADRS if scale else PHQ9)
    return tuple(found)


def outcome(trial: Trial, text: str = "", *unread: UnreadScore, **given: object) -> Outcome:
    patient = History("Patient/p1", scores=recorded(text), unread_scores=unread)
    (found,) = judge_outcomes((trial,), patient, a_definition(**given), ON)
    return found


def answer(trial: Trial, text: str, *unread: UnreadScore) -> str:
    return outcome(trial, text, *unread).insufficient.answer.value


# --- days that are not certain ----------------------------------------------------------------------------

POSSIBLE = """
    more          | answer  | why
                  | met     | the pair that is shown
    2025-12-24=9  | unknown | a last score 14 days after the latest end
    2025-12-25=9  | met     | 15 days after it
    2025-09-16=9  | unknown | day 28 from the earliest start
    2025-09-15=9  | met     | day 27 from it
    2025-06-21=40 | unknown | a baseline 60 days before the earliest start
    2025-06-20=40 | met     | 61 days before it
    2025-09-08=40 | unknown | 7 days after the first day
    2025-09-09=40 | met     | 8 days after it
    2025-12-24=19 | met     | another last score that says the same
    2025-06-21=21 | met     | another baseline that says the same
    2025-06-21=1  | met     | a very low baseline
    2025-06-21=0  | unknown | a baseline that allows no percentage
    2025-12-24=10 | unknown | on the threshold
    2025-12-24=10.1 | met   | just above it
"""


@pytest.mark.parametrize("row", rows(POSSIBLE), ids=lambda row: row["why"])
def test_a_score_that_may_count_leaves_open_what_it_would_change(row: dict[str, str]) -> None:
    found = outcome(OPEN, ", ".join(filter(None, [PAIR, row["more"]])))
    if row["more"] == "2025-09-08=40":
        # It is the baseline that counts, and every pair does not say the same.
        assert found.baseline is not None and found.baseline.value == 40
    assert found.insufficient.answer.value == row["answer"]
    if row["answer"] == "unknown":
        assert (found.insufficient.text, found.response) == (DOUBTFUL_DAYS, Response.UNKNOWN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no score at the start and none late in the trial"),
        ("2025-08-30=20", DOUBTFUL_DAYS),
        ("2025-11-28=18", DOUBTFUL_DAYS),
        ("2025-06-21=20, 2025-11-28=18", DOUBTFUL_DAYS),  # perhaps no baseline
        ("2025-08-30=20, 2025-12-24=18", DOUBTFUL_DAYS),  # perhaps no last score
        ("2025-06-20=20, 2025-12-25=18", "no score at the start and none late in the trial"),
    ],
)
def test_scores_that_may_not_count_decide_nothing(text: str, said: str) -> None:
    found = outcome(OPEN, text).insufficient
    assert (found.criterion, found.answer, found.text) == ("response", Answer.UNKNOWN, said)


@pytest.mark.parametrize("only", ["possible_first_day", "possible_last_day"])
def test_either_end_in_doubt_is_enough(only: str) -> None:
    trial = replace(EXACT, **{only: getattr(OPEN, only)})
    more = {"possible_first_day": "2025-06-21=40", "possible_last_day": "2025-12-24=9"}[only]
    assert answer(trial, f"{PAIR}, {more}") == "unknown"
    assert answer(EXACT, f"{PAIR}, {more}") == "met"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PAIR, "met"),
        ("2025-08-30=20, 2025-11-28=9", "not-met"),  # no score is its own baseline
        ("2025-08-30=20, 2025-11-28=18, 2025-11-29=40", "met"),  # whichever was first, none is better
        ("2025-08-30=20, 2025-11-28=9, 2025-11-29=18", "unknown"),
        ("2025-08-30=20, 2025-11-20=40, 2025-11-28=18", "unknown"),  # it may have begun after the 40
        ("2025-08-30=20, 2025-12-08=40, 2025-12-09=18", "met"),  # 8 days after the latest start
        ("2025-08-30=20, 2025-12-07=40, 2025-12-09=18", "unknown"),
    ],
)
def test_a_trial_without_a_certain_day_may_have_begun_on_any(text: str, expected: str) -> None:
    assert answer(NO_DAY, text) == expected


# --- scores that could not be read ------------------------------------------------------------------------


def unread(first: str, last: str, scale: str = "PHQ-9") -> UnreadScore:
    first_day = date.fromisoformat(first) if first != "-" else None
    last_day = date.fromisoformat(last) if last != "-" else None
    scales = {"PHQ-9": PHQ9, "MADRS": MADRS, "?": None}
    return UnreadScore("Observation/x", scales[scale], first_day, last_day)


HIDDEN = """
    first      | last       | answer
    2025-11-28 | 2025-11-28 | met
    2025-11-29 | 2025-11-29 | unknown
    2025-12-14 | 2025-12-14 | unknown
    2025-12-15 | 2025-12-15 | met
    2025-08-30 | 2025-08-30 | met
    2025-08-31 | 2025-08-31 | unknown
    2025-09-08 | 2025-09-08 | unknown
    2025-09-09 | 2025-09-09 | met
    2025-09-09 | 2025-11-28 | met
    2025-09-09 | 2025-11-29 | unknown
    -          | 2025-08-30 | met
    -          | 2025-08-31 | unknown
    2025-12-14 | -          | unknown
    2025-12-15 | -          | met
    -          | -          | unknown
"""


@pytest.mark.parametrize("row", rows(HIDDEN), ids=lambda row: f"{row['first']} to {row['last']}")
@pytest.mark.parametrize("scale", ["PHQ-9", "?"])
def test_an_unread_score_that_may_be_the_last_of_its_window(row: dict[str, str], scale: str) -> None:
    found = outcome(EXACT, PAIR, unread(row["first"], row["last"], scale)).insufficient
    assert found.answer.value == row["answer"]
    assert (found.text == UNREAD) is (row["answer"] == "unknown")
    assert answer(EXACT, PAIR, unread(row["first"], row["last"], "MADRS")) == "met"


def test_scores_on_the_last_day_of_each_window_cannot_be_replaced() -> None:
    assert answer(EXACT, "2025-09-08=20, 2025-12-14=18", unread("-", "-")) == "met"
    assert answer(EXACT, "2025-09-07=20, 2025-12-14=18", unread("-", "-")) == "unknown"


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2025-07-02", "no score at the start and none late in the trial"),
        ("2025-07-03", UNREAD),
        ("2025-09-08", UNREAD),
        ("2025-09-09", "no score at the start and none late in the trial"),
        ("2025-09-27", "no score at the start and none late in the trial"),
        ("2025-09-28", UNREAD),
        ("2025-12-14", UNREAD),
        ("2025-12-15", "no score at the start and none late in the trial"),
    ],
)
def test_an_unread_score_alone_matters_within_the_windows(day: str, said: str) -> None:
    assert outcome(EXACT, "", unread(day, day)).insufficient.text == said


MADRS_FAILED = "MADRS 2025-08-30=40, MADRS 2025-11-28=38"


@pytest.mark.parametrize(
    ("text", "days", "expected"),
    [
        ("", ["2025-08-31"], "met"),  # one score that is not read is no change
        ("", ["2025-08-31", "2025-11-29"], "unknown"),
        ("", ["2025-08-31", "2025-09-01"], "met"),  # two at the start are none either
        ("2025-11-28=18", ["2025-08-31"], "unknown"),
        ("2025-08-30=20", ["2025-11-29"], "unknown"),
        ("2025-08-30=20", ["2025-09-02"], "met"),
        ("2025-11-28=18", ["2025-11-29"], "met"),
    ],
)
def test_beside_another_scale_only_what_may_be_a_change_leaves_it_open(
    text: str, days: list[str], expected: str
) -> None:
    both = ", ".join(filter(None, [text, MADRS_FAILED]))
    assert answer(EXACT, both, *(unread(day, day) for day in days)) == expected


# --- what is said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said", "evidence"),
    [
        ("", "no score at the start and none late in the trial", 0),
        ("2025-08-30=20", "no score on the baseline's scale late enough in the trial", 1),
        ("2025-11-28=18", "no score at the start of the trial", 1),
        (
            "2025-08-30=20, MADRS 2025-11-28=30",
            "no score on the baseline's scale late enough in the trial",
            1,
        ),
        ("2025-08-30=0, 2025-11-28=18", "a baseline of 0 allows no percentage", 2),
        ("2025-11-28=4", "PHQ-9 4 on 2025-11-28 is remission", 1),
        ("2025-11-28=5", "no score at the start of the trial", 1),
        ("2025-11-28=4, MADRS 2025-11-28=11", "no score at the start of the trial", 1),
        ("2025-11-28=4, MADRS 2025-11-28=10", "PHQ-9 4 on 2025-11-28 is remission", 1),
        ("2025-11-27=5, MADRS 2025-11-28=10", "MADRS 10 on 2025-11-28 is remission", 1),
        (PAIR, "PHQ-9 20 on 2025-08-30 to 18 on 2025-11-28: 10.0 % better; below 50 % is insufficient", 2),
    ],
)
def test_what_scores_say(text: str, said: str, evidence: int) -> None:
    found = outcome(EXACT, text).insufficient
    assert (found.criterion, found.text, len(found.evidence)) == ("response", said, evidence)
    assert set(found.evidence) <= {score.reference for score in recorded(text)}


def test_scores_that_are_shown_without_an_answer() -> None:
    for text in ("2025-08-30=20", "2025-08-30=0, 2025-11-28=18"):
        found = outcome(EXACT, text)
        assert found.baseline == recorded(text)[0] and found.response is Response.UNKNOWN
        assert found.insufficient.answer is Answer.UNKNOWN and found.improvement_percent is None
    assert outcome(EXACT, "2025-11-28=18").last == recorded("2025-11-28=18")[0]


def test_a_running_trial_says_from_when_it_can_be_judged() -> None:
    running = replace(
        EXACT,
        first_day=date(2026, 6, 15),
        last_day=ON,
        possible_first_day=date(2026, 6, 15),
        possible_last_day=ON,
        duration=replace(EXACT.duration, answer=Answer.NOT_MET),
        is_running=True,
        long_enough_on=date(2026, 7, 26),
    )
    found = outcome(running, "2026-06-14=20")
    assert found.insufficient == Finding(
        "response",
        Answer.UNKNOWN,
        "too early to judge: the trial is running, and can be judged from 2026-07-26",
    )
    assert (found.response, found.baseline) == (Response.ONGOING, recorded("2026-06-14=20")[0])
    never = outcome(replace(running, long_enough_on=None))
    assert never.insufficient.text == "too early to judge: the trial is running"
    assert (never.response, never.judgeable_from) == (Response.ONGOING, None)


NO_SCORE = "no score at the start and none late in the trial"
BETTER = "PHQ-9 20 on 2025-08-30 to 9 on 2025-11-28: 55.0 % better; below 50 % is insufficient"
TOO_LITTLE = "PHQ-9 20 on 2025-08-30 to 18 on 2025-11-28: 10.0 % better; below 50 % is insufficient"
NEITHER = "the reason for stopping tells of neither effect nor tolerability"
STOPS = [
    ("inefficacy", "", "no-response", "met", "stopped for lack of effect, as documented; no scores"),
    ("partial response", "", "partial-response", "met",
     "stopped after a partial response, as documented; no scores"),
    ("other", "", "unknown", "unknown", f"{NO_SCORE}; {NEITHER}"),
    ("none given", "", "unknown", "unknown", NO_SCORE),
    ("intolerance", "", "intolerance", "not-met",
     "stopped for an adverse effect: intolerance, not lack of response"),
    ("intolerance", "2025-08-30=20, 2025-11-28=9", "response", "not-met", BETTER),
    ("intolerance", PAIR, "unknown", "unknown", f"stopped for an adverse effect, after {TOO_LITTLE}"),
    ("inefficacy", "2025-08-30=20, 2025-11-28=9", "response", "not-met", BETTER),
]  # fmt: skip


@pytest.mark.parametrize(("stop", "text", "response", "expected", "words"), STOPS)
def test_what_the_reason_for_stopping_says(
    stop: str, text: str, response: str, expected: str, words: str
) -> None:
    found = outcome(replace(EXACT, stop_reason=StopReason(stop)), text)
    said = found.insufficient
    assert (found.response.value, said.criterion, said.answer.value) == (response, "response", expected)
    assert said.text == words
    if not text and stop not in ("other", "none given"):
        assert said.evidence == EVIDENCE


FAILURE = "stopped for an adverse effect, which this definition counts as failure"


def test_where_intolerance_is_failure() -> None:
    trial = replace(EXACT, stop_reason=StopReason.INTOLERANCE)
    counts = {"intolerance_counts_as_failure": True}
    found = outcome(trial, **counts)  # type: ignore[arg-type]
    assert found.insufficient == Finding("response", Answer.MET, FAILURE, EVIDENCE)
    assert found.response is Response.INTOLERANCE
    helped = outcome(trial, "2025-08-30=20, 2025-11-28=9", **counts).insufficient  # type: ignore[arg-type]
    assert helped.answer is Answer.UNKNOWN
    assert helped.text.startswith("stopped for an adverse effect, after PHQ-9 20 on")
    failed = outcome(trial, PAIR, **counts)  # type: ignore[arg-type]
    assert (failed.response, failed.insufficient.answer) == (Response.NO_RESPONSE, Answer.MET)
    hidden = outcome(trial, PAIR, unread("-", "-"), **counts)  # type: ignore[arg-type]
    assert (hidden.insufficient.answer, hidden.insufficient.text) == (Answer.UNKNOWN, UNREAD)


def test_what_was_said_of_why_it_was_stopped_is_told_once() -> None:
    (order,) = EXACT.exposure.prescriptions
    twice = tuple(replace(order, stop_text=text) for text in ("moved away", "", "moved away", "lost"))
    trial = replace(
        EXACT, stop_reason=StopReason.OTHER, exposure=replace(EXACT.exposure, prescriptions=twice)
    )
    assert outcome(trial).insufficient.text.endswith("nor tolerability (moved away; lost)")
