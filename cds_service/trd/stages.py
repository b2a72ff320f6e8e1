"""Stages that follow from which classes failed (Thase-Rush), and for how many weeks (European)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.answers import Answer
from cds_service.trd.counting import deciding_trials, most_days
from cds_service.trd.days import days_between
from cds_service.trd.model import JudgedTrial
from cds_service.trd.parameters import StagingRule

DAYS_OF_A_YEAR = 365
TRICYCLIC, MAOI = "tricyclic", "MAOI"
# The classes of `antidepressants.csv`; whether the doubtful ones are meant by the methods is not told.
CERTAIN_KINDS = {"TCA": TRICYCLIC, "MAOI": MAOI, "MAOI (transdermal)": MAOI}
DOUBTFUL_KINDS = {"TCA-like": TRICYCLIC, "tetracyclic": TRICYCLIC, "RIMA": MAOI}
THASE_RUSH = ("0", "I", "II", "III", "IV", "V")


@dataclass(frozen=True)
class Stage:
    """The lowest and the highest level that the record allows, by their names in the table of the method."""

    lowest: str
    highest: str
    text: str
    evidence: tuple[str, ...]


def thase_rush_stage(trials: Sequence[JudgedTrial], hidden: int | None, may_be_bilateral: bool) -> Stage:
    """I one class failed; II a second; III a tricyclic after II; IV an MAOI after III; V bilateral ECT after IV.

    The lowest stage takes certain failures in their order, the highest takes possible ones in any order:
    the method assumes an order that treatment need not have had. `hidden` is the number of trials of any drug that
    could not be read, None for any number. Whether ECT failed is never recorded, so V is never certain.
    """
    deciding = deciding_trials(trials)
    failed = [t for t in deciding if t.failed.answer is Answer.MET]
    possible = [t for t in deciding if t.failed.answer is not Answer.NOT_MET]
    lowest = _in_order(failed)
    highest = max(lowest, _in_any_order(possible, hidden))
    if highest == 4 and may_be_bilateral:
        highest = 5
    text = f"classes failed: {', '.join(_classes(failed)) or 'none'}"
    perhaps = [name for name in _classes(possible) if name not in _classes(failed)]
    text += f"; perhaps {', '.join(perhaps)}" if perhaps else ""
    if hidden != 0:
        text += "; orders that could not be read may hide more"
    if highest == 5:
        text += "; whether ECT was bilateral and failed is not known"
    if lowest < min(highest, 4) and not perhaps and hidden == 0:
        text += "; not in the order that the method assumes, or a class that it may not mean"
    return Stage(THASE_RUSH[lowest], THASE_RUSH[highest], text, _evidence(possible))


def _in_order(failed: Sequence[JudgedTrial]) -> int:
    """The stage that these failures reach one after the other; on one day the tricyclic or MAOI comes first."""
    reached, first_class = 0, ""
    for judged in sorted(failed, key=_end):
        drug_class = _class(judged)
        kind = CERTAIN_KINDS.get(drug_class)
        if reached == 0:
            reached, first_class = 1, drug_class
        elif reached == 1 and drug_class != first_class:
            reached = 2
        elif (reached == 2 and kind == TRICYCLIC) or (reached == 3 and kind == MAOI):
            reached += 1
    return reached


def _end(judged: JudgedTrial) -> tuple[date, bool, str]:
    last_day = judged.trial.last_day or judged.trial.exposure.last_day
    return last_day, _class(judged) not in CERTAIN_KINDS, judged.trial.name


def _in_any_order(possible: Sequence[JudgedTrial], hidden: int | None) -> int:
    """The highest stage below V for which these failures are enough, if hidden ones may be of any class."""
    if hidden is None:
        return 4
    reached = 0
    for level, wanted in ((1, ()), (2, ()), (3, (TRICYCLIC,)), (4, (TRICYCLIC, MAOI))):
        if _lacking(possible, wanted, min(level, 2)) <= hidden:
            reached = level
    return reached


def _lacking(possible: Sequence[JudgedTrial], wanted: Sequence[str], classes: int) -> int:
    """How many trials are lacking to one of each wanted kind and so many classes besides.

    Drugs that are not identified could be of any class.
    """
    left = list(possible)
    lacking = 0
    for kind in wanted:
        match = next((t for t in left if _may_be(t, kind)), None)
        if match is None:
            lacking += 1
        else:
            left.remove(match)
    unidentified = [t for t in left if t.trial.drug is None]
    others = {_class(t) for t in left if t.trial.drug is not None}
    return max(0, lacking + max(0, classes - len(others)) - len(unidentified))


def _may_be(judged: JudgedTrial, kind: str) -> bool:
    return kind in (CERTAIN_KINDS.get(_class(judged)), DOUBTFUL_KINDS.get(_class(judged)))


def _class(judged: JudgedTrial) -> str:
    drug = judged.trial.drug
    return drug.drug_class if drug else f"unidentified: {judged.trial.name}"


def _classes(trials: Sequence[JudgedTrial]) -> list[str]:
    return list(dict.fromkeys(_class(judged) for judged in sorted(trials, key=_end)))


def _evidence(trials: Sequence[JudgedTrial]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ref for t in trials for ref in t.failed.evidence or t.trial.exposure.evidence))


# --- European -----------------------------------------------------------------------------------------


def european_stage(
    trials: Sequence[JudgedTrial], hidden: int | None, rule: StagingRule, needed_classes: int
) -> Stage:
    """By the weeks of failed adequate trials; beyond the first stage at least `needed_classes` must have failed.

    A stage holds from its first week until the next begins; where the weeks of two overlap, either may be
    meant. Weeks of two trials at a time may count once or twice.
    """
    deciding = deciding_trials(trials)
    failed = [t for t in deciding if t.failed.answer is Answer.MET]
    possible = [t for t in trials if t.failed.answer is not Answer.NOT_MET]
    fewest_days = max(0, sum(t.trial.adequate_days for t in failed) - _shared_days(failed))
    most = max(fewest_days, sum(most_days(t) for t in possible))
    fewest_classes, most_classes = len(set(_classes(failed))), len(set(_classes(possible)))
    stages = _weeks_of_stages(rule)
    names = [name for name, _, _ in stages]
    lowest = _european(fewest_days, fewest_classes >= needed_classes, stages, is_lowest=True)
    highest = _european(most, most_classes + (hidden or 0) >= needed_classes, stages, is_lowest=False)
    if hidden is None or (hidden and most_classes + hidden >= needed_classes):
        highest = names[-1] if names else highest
    elif hidden and names:
        highest = max(highest, names[0], key=[NO_STAGE, *names].index)
    weeks = _weeks(fewest_days) if fewest_days == most else f"{_weeks(fewest_days)} to {_weeks(most)}"
    text = f"{weeks} weeks of failed trials; classes: {', '.join(_classes(possible)) or 'none'}"
    if fewest_classes < needed_classes and fewest_days:
        text += f"; fewer than {needed_classes} classes failed for certain"
    if hidden != 0:
        text += "; orders that could not be read may hide more"
    return Stage(lowest, highest, text, _evidence(possible))


NO_STAGE = "none"


def _weeks_of_stages(rule: StagingRule) -> list[tuple[str, float, float]]:
    """Name, first day and last day of each stage, in their order, from its weeks or months in the table."""
    given = {(item, level): amount for item, level, amount in rule.points}
    found = []
    stages = sorted((points, level) for item, level, points in rule.points if item == "stage")
    for _, level in stages:
        weeks, months = given.get(("weeks from", level)), given.get(("months from", level))
        if weeks is not None:
            found.append((level, weeks * 7, given.get(("weeks to", level), float("inf")) * 7))
        elif months is not None:
            found.append((level, months * DAYS_OF_A_YEAR / 12, float("inf")))
    return found


def _european(
    days: int, has_classes: bool, stages: Sequence[tuple[str, float, float]], *, is_lowest: bool
) -> str:
    reached = [stage for stage in stages if days >= stage[1]]
    if not reached:
        return NO_STAGE
    if not has_classes:
        return reached[0][0]
    within = [stage for stage in reached if days <= stage[2]] or reached[-1:]
    return (within[0] if is_lowest else within[-1])[0]


def _shared_days(trials: Sequence[JudgedTrial]) -> int:
    """Days that lie in more than one trial, counted once for each trial beyond the first."""
    spans = sorted(
        (t.trial.first_day, t.trial.last_day) for t in trials if t.trial.first_day and t.trial.last_day
    )
    shared, covered = 0, date.min
    for first, last in spans:
        if first <= covered:
            shared += days_between(first, min(last, covered))
        covered = max(covered, last)
    return shared


def _weeks(days: int) -> str:
    return f"{days / 7:.1f}".removesuffix(".0")
