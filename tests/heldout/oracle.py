"""The second opinion: the reading rules worked out day by day from a story, the slow and obvious way.

Knows nothing of the service but its table of minimum doses, classes and mechanisms. Each question has the
answers yes, no and perhaps; `perhaps` only where a story lacks a score or the rules leave it open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from tests.heldout.formulary import class_of, mechanism_of, minimum_doses
from tests.heldout.stories import Order, Score, Story

YES, NO, PERHAPS = "yes", "no", "perhaps"
GAP_DAYS = 14
LOOKBACK_DAYS = 730
CONFIRMED_REMISSION_DAYS = 60
REMISSION_AT_MOST = {"PHQ-9": 4, "HAM-D 17": 7, "MADRS": 12, "BDI-II": 9, "QIDS-SR16": 5}
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rules:
    """One definition: what tells two trials apart, how long, which minimum, what is a failure, who is out."""

    apart: str
    weeks: int
    minimum: str
    failure_below_percent: int
    excluding: tuple[str, ...] = ("bipolar", "psychotic_disorder", "dementia")


DEFINITIONS = {
    "default-configurable": Rules("agent", 6, "default", 50),
    "seed-2026": Rules("class", 6, "default", 50),
    "eu-pearl-2022": Rules("mechanism", 4, "lenient", 25, ("bipolar", "psychotic_disorder")),
    "canadian-2021": Rules("agent", 4, "default", 50),
}


@dataclass(frozen=True)
class Run:
    """Adequate days of one drug with no gap above 14 days between them."""

    ingredient: str
    days: tuple[date, ...]
    is_adequate: bool
    in_scope: str
    failed: str

    @property
    def facts(self) -> tuple[str, str, str, int]:
        return self.ingredient, self.days[0].isoformat(), self.days[-1].isoformat(), len(self.days)


def verdict(story: Story, rules: Rules) -> str:
    kinds = {diagnosis.kind for diagnosis in story.diagnoses}
    if kinds & set(rules.excluding) or _age(story) < 18:
        return "excluded"
    deciding = [_longest(runs) for runs in runs_by_drug(story, rules).values() if runs]
    certain = {_kind(run, rules) for run in deciding if run.failed == YES}
    possible = certain | {_kind(run, rules) for run in deciding if run.failed == PERHAPS}
    if len(possible) < 2:
        return "not-met"
    return "met" if len(certain) >= 2 and "depression" in kinds else "indeterminate"


def _age(story: Story) -> int:
    return (
        story.on.year
        - story.born.year
        - ((story.on.month, story.on.day) < (story.born.month, story.born.day))
    )


def _longest(runs: list[Run]) -> Run:
    """The run that stands for the drug: the longest adequate one in scope, if there is any."""
    for scope in (YES, PERHAPS):
        fitting = [run for run in runs if run.is_adequate and run.in_scope == scope]
        if fitting:
            return max(fitting, key=lambda run: (len(run.days), run.days[-1]))
    return runs[-1]


def _kind(run: Run, rules: Rules) -> str:
    if rules.apart == "agent":
        return run.ingredient
    return class_of(run.ingredient) if rules.apart == "class" else mechanism_of(run.ingredient)


# --- runs of adequate days ----------------------------------------------------------------------------


def runs_by_drug(story: Story, rules: Rules) -> dict[str, list[Run]]:
    drugs = dict.fromkeys(order.ingredient for order in story.orders)
    return {drug: _runs_of(drug, story, rules) for drug in drugs}


def _runs_of(drug: str, story: Story, rules: Rules) -> list[Run]:
    orders = [order for order in story.orders if order.ingredient == drug and _can_be_a_trial(order)]
    enough = minimum_doses(drug)[rules.minimum]
    adequate = {
        day
        for order in orders
        if order.mg_per_day >= enough
        for day in _days(order.first_day, min(order.last_day, story.on))
    }
    return [_judged(drug, days, orders, story, rules) for days in _split_at_gaps(sorted(adequate))]


def _can_be_a_trial(order: Order) -> bool:
    is_real = order.status in ("active", "completed", "stopped") and order.intent == "order"
    return is_real and not order.as_needed and order.purpose != "other"


def _days(first_day: date, last_day: date) -> Iterable[date]:
    return (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1))


def _split_at_gaps(days: list[date]) -> list[list[date]]:
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days - 1 <= GAP_DAYS:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _judged(drug: str, days: list[date], orders: list[Order], story: Story, rules: Rules) -> Run:
    is_adequate = len(days) >= rules.weeks * 7
    scope = _in_scope(days[0], days[-1], story)
    effect = _was_insufficient(days[0], days[-1], orders, story, rules)
    answers = {YES if is_adequate else NO, scope, effect}
    failed = NO if NO in answers else PERHAPS if PERHAPS in answers else YES
    return Run(drug, tuple(days), is_adequate, scope, failed)


# --- the episode --------------------------------------------------------------------------------------


def _in_scope(first_day: date, last_day: date, story: Story) -> str:
    if (story.on - last_day).days > LOOKBACK_DAYS:
        return NO
    answers = {_after_remission(first_day, last_day, day, sure) for day, sure in _remissions(story)}
    return NO if NO in answers else PERHAPS if PERHAPS in answers else YES


def _after_remission(first_day: date, last_day: date, remission: date, is_sure: bool) -> str:
    if first_day > remission:
        return YES
    return NO if is_sure and last_day <= remission else PERHAPS


def _remissions(story: Story) -> list[tuple[date, bool]]:
    """Recorded full remissions, and series of scores in the remission range: 60 days confirm one."""
    found = [(d.day, True) for d in story.diagnoses if d.kind == "full remission"]
    for scale in {score.scale for score in story.scores}:
        series = sorted((s for s in story.scores if s.scale == scale), key=lambda s: s.day)
        low: list[Score] = []
        for score in [*series, None]:
            if score and _is_remission(score):
                low.append(score)
                continue
            confirmed = bool(low) and (low[-1].day - low[0].day).days >= CONFIRMED_REMISSION_DAYS
            is_newest = score is None
            if low and (confirmed or is_newest):
                found.append((low[0].day, confirmed))
            low = []
    return found


def _is_remission(score: Score) -> bool:
    return score.total <= REMISSION_AT_MOST[score.scale]


# --- the effect ---------------------------------------------------------------------------------------


def _was_insufficient(
    first_day: date, last_day: date, orders: list[Order], story: Story, rules: Rules
) -> str:
    by_scale = {
        _by_scores(first_day, last_day, [s for s in story.scores if s.scale == scale], rules)
        for scale in {score.scale for score in story.scores}
    } - {PERHAPS}
    by_scores = by_scale.pop() if len(by_scale) == 1 else PERHAPS
    reason = _why_stopped(last_day, orders)
    if reason == "intolerance":
        return PERHAPS if by_scores == YES or by_scale else NO
    if reason == "inefficacy" and by_scores == PERHAPS and not by_scale:
        return YES
    return by_scores


def _by_scores(first_day: date, last_day: date, scores: list[Score], rules: Rules) -> str:
    baseline = _last_between(first_day - 60 * ONE_DAY, first_day + 7 * ONE_DAY, scores)
    last = _last_between(first_day + 27 * ONE_DAY, last_day + 14 * ONE_DAY, scores)
    if last and _is_remission(last):
        return NO
    if not baseline or not last:
        return PERHAPS
    percent = (baseline.total - last.total) / baseline.total * 100
    return YES if percent < rules.failure_below_percent else NO


def _last_between(first_day: date, last_day: date, scores: list[Score]) -> Score | None:
    inside = [score for score in scores if first_day <= score.day <= last_day]
    return max(inside, key=lambda score: score.day, default=None)


def _why_stopped(last_day: date, orders: list[Order]) -> str:
    """The reason on the order that was running on the last adequate day."""
    return next((o.stopped_for for o in orders if o.first_day <= last_day <= o.last_day), "")
