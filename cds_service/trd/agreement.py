"""Why two definitions say different things of one patient, in one sentence of plain words.

Looks at what decides: who is excluded, then what is counted (trial by trial, where both count failed trials),
then the criteria beside it.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.counting import count_failed, deciding_trials
from cds_service.trd.definitions import at_least_or_at_most
from cds_service.trd.model import (
    JudgedTrial,
    Judgement,
    Response,
    TrialKind,
    Verdict,
)
from cds_service.trd.parameters import Definition, Distinctness, Rule
from cds_service.trd.record import StopReason
from cds_service.trd.treatments import ADD_ON_IS_ENOUGH

LONGEST = 200
"""Characters of a sentence; what is longer is cut at a word."""

SHORTEST_REASON = 60
"""Characters that are left to the reason, however long the id of a definition is."""

_VERDICTS = {
    Verdict.MET: "met",
    Verdict.NOT_MET: "not met",
    Verdict.INDETERMINATE: "indeterminate",
    Verdict.EXCLUDED: "excluded",
}
_RANK = {Answer.NOT_MET: 0, Answer.UNKNOWN: 1, Answer.MET: 2}


def explain_difference(chosen: Judgement, other: Judgement) -> str:
    """Why `other` differs from `chosen`; empty when both give the same verdict.

    It begins with the verdict and the id of the other definition; "there" in it is that definition.
    """
    if chosen.verdict is other.verdict:
        return ""
    beginning = f"{_VERDICTS[other.verdict]} under {other.definition.id}: "
    why = _why(chosen, other) or "its criteria are others"
    room = max(SHORTEST_REASON, LONGEST - len(beginning))
    in_one_line = " ".join(why.split())
    if len(in_one_line) > room:
        in_one_line = textwrap.shorten(in_one_line, room, placeholder=" …")
    return beginning + in_one_line


def needed(definition: Definition) -> float:
    """How many failed trials, treatments or points make the first criterion."""
    if definition.rule is Rule.TREATMENTS and definition.treatments:
        return definition.treatments.needed
    if definition.rule is Rule.SCORE and definition.staging:
        return definition.staging.met_from or 0
    return definition.needed_failed_trials


def _why(chosen: Judgement, other: Judgement) -> str:
    if other.verdict is Verdict.EXCLUDED:
        return _why_excluded(chosen, other)
    if chosen.verdict is Verdict.EXCLUDED:
        return _why_not_excluded(chosen, other)
    if _first_answer(chosen) is not _first_answer(other):
        return _why_count_differs(chosen, other)
    return "; ".join(_criteria_that_differ(chosen, other))


def _first_answer(judgement: Judgement) -> Answer:
    return judgement.reasons[0].answer if judgement.reasons else Answer.UNKNOWN


# --- who it is about --------------------------------------------------------------------------------------


def _why_excluded(chosen: Judgement, other: Judgement) -> str:
    known = {reason.criterion: reason for reason in chosen.reasons}
    texts = []
    for reason in _excluding(other):
        here = known.get(reason.criterion)
        if here is None or here.answer is not Answer.NOT_MET:
            texts.append(reason.text if reason.criterion == "age" else f"{reason.text} excludes there")
    return "; ".join(texts)


def _why_not_excluded(chosen: Judgement, other: Judgement) -> str:
    there = {reason.criterion: reason for reason in other.reasons}
    texts = []
    for reason in _excluding(chosen):
        if reason.criterion == "age":
            texts.append(there[reason.criterion].text if reason.criterion in there else "no age is asked")
        else:
            texts.append(f"{reason.text} does not exclude there")
    return "; ".join([*texts, *_what_leaves_it_open(other), *_count_in_words(other)])


def _excluding(judgement: Judgement) -> list[Finding]:
    return [reason for reason in judgement.reasons[1:] if reason.answer is Answer.NOT_MET]


def _what_leaves_it_open(judgement: Judgement) -> list[str]:
    return [reason.text for reason in judgement.reasons[1:] if reason.answer is Answer.UNKNOWN]


def _criteria_that_differ(chosen: Judgement, other: Judgement) -> Iterator[str]:
    """The criteria beside the count: what is open there, and what is open here and does not matter there."""
    there = {reason.criterion: reason for reason in other.reasons}
    for here in chosen.reasons[1:]:
        reason = there.get(here.criterion, here)
        if reason.answer is here.answer:
            continue
        yield f"{here.text}, which does not matter there" if reason.answer is Answer.MET else reason.text


# --- what is counted --------------------------------------------------------------------------------------


def _why_count_differs(chosen: Judgement, other: Judgement) -> str:
    count = _count_in_words(other)
    if other.definition.rule is Rule.FAILED_TRIALS:
        if chosen.definition.rule is Rule.FAILED_TRIALS:
            return "; ".join([*_why_trials_differ(chosen, other)] or count)
        return "; ".join([_failed_in_words(other), *_trials_in_words(other)])
    if other.definition.rule is Rule.TREATMENTS and chosen.definition.rule is not Rule.TREATMENTS:
        return "counts drugs, not their effect: " + "; ".join(count)
    return "; ".join(count)


def _count_in_words(judgement: Judgement) -> list[str]:
    """The number that was counted and how many are needed, without the list of what it is made of."""
    if not judgement.reasons:
        return []
    first, *more = judgement.reasons[0].text.split("; ")
    if judgement.definition.rule is Rule.TREATMENTS:
        return [first, *(text for text in more if text.endswith(ADD_ON_IS_ENOUGH))]
    return [f"{first} by {judgement.staging.title}" if judgement.staging else first]


def _failed_in_words(judgement: Judgement) -> str:
    least, most = judgement.failed_at_least, judgement.failed_at_most
    number = f"{least}" if least == most else f"{least} to {most}"
    return f"asks for trials that failed, {number} of {judgement.definition.needed_failed_trials}"


def _trials_in_words(judgement: Judgement) -> list[str]:
    """The trials that make a count of failed trials what it is: those that failed, are open, or did not."""
    answer = _first_answer(judgement)
    deciding = deciding_trials(judgement.trials)
    told = [judged for judged in deciding if judged.failed.answer is answer]
    if answer is Answer.MET:
        return [f"{_joined([judged.trial.name for judged in told])} failed"] if told else []
    names_by_reason: dict[str, list[str]] = defaultdict(list)
    for judged in told:
        names_by_reason[_why_not_failed(judged)].append(judged.trial.name)
    return [f"{_joined(names)}{reason}" for reason, names in names_by_reason.items()]


def _why_not_failed(judged: JudgedTrial) -> str:
    """What follows the name of a trial that did not fail, or may not have."""
    improvement = judged.outcome.improvement_percent
    if improvement is not None and judged.failed.text.startswith(judged.outcome.insufficient.text):
        return f" {_change_in_words(improvement)}"
    return f": {_first_clause(judged.failed.text)}"


def _first_clause(text: str) -> str:
    return text.split("; ")[0]


def _why_trials_differ(chosen: Judgement, other: Judgement) -> Iterator[str]:
    """Of two definitions that count failed trials: what makes trials distinct, the trials, how many are needed."""
    here, there = deciding_trials(chosen.trials), deciding_trials(other.trials)
    yield from _why_not_distinct(chosen.definition, here, other.definition, there)
    is_more = _RANK[_first_answer(other)] > _RANK[_first_answer(chosen)]
    by_agent = {_agent(judged): judged for judged in there}
    of_chosen = {_agent(judged): judged for judged in here}
    for agent in dict.fromkeys([*of_chosen, *by_agent]):
        text = _why_trial_differs(of_chosen.get(agent), by_agent.get(agent), is_more, other.definition)
        if text:
            yield text
    if other.definition.needed_failed_trials != chosen.definition.needed_failed_trials:
        yield f"{_count_in_words(other)[0]} there" if other.reasons else "another number is needed there"


def _why_not_distinct(
    chosen: Definition, here: Sequence[JudgedTrial], other: Definition, there: Sequence[JudgedTrial]
) -> Iterator[str]:
    """That several failed trials count as one there, or here and not there."""
    if chosen.distinctness is other.distinctness:
        return
    if _is_changed_by_distinctness(there, other):
        yield from _alike(there, other.distinctness)
    elif _is_changed_by_distinctness(here, chosen):
        for text in _alike(here, chosen.distinctness):
            yield f"{text}, which count separately there"


def _is_changed_by_distinctness(trials: Sequence[JudgedTrial], definition: Definition) -> bool:
    """Whether the count would be enough, or might, if it were enough that the agents differ."""
    least, most = count_failed(trials, definition.distinctness)
    least_agents, most_agents = count_failed(trials, Distinctness.AGENT)
    asked = definition.needed_failed_trials
    return at_least_or_at_most(least, most, asked) is not at_least_or_at_most(
        least_agents, most_agents, asked
    )


def _alike(trials: Sequence[JudgedTrial], distinctness: Distinctness) -> Iterator[str]:
    failed = [judged for judged in trials if judged.failed.answer is not Answer.NOT_MET and judged.trial.drug]
    groups: dict[str, list[JudgedTrial]] = defaultdict(list)
    for judged in failed:
        drug = judged.trial.drug
        assert drug is not None
        groups[drug.drug_class if distinctness is Distinctness.CLASS else drug.mechanism].append(judged)
    for mechanism, alike in groups.items():
        if len(alike) < 2:
            continue
        classes = {judged.trial.drug.drug_class for judged in alike if judged.trial.drug}
        what = _of_class(*classes) if len(classes) == 1 else f"act alike ({mechanism.replace('_', ' ')})"
        if len(alike) < len(failed):
            yield f"{_joined([judged.trial.name for judged in alike])} {what}"
            continue
        number = "both" if len(alike) == 2 else f"all {len(alike)}"
        is_certain = all(judged.failed.answer is Answer.MET for judged in alike)
        yield f"{number} {'failed trials' if is_certain else 'trials that may have failed'} {what}"


def _of_class(drug_class: str) -> str:
    is_short_name = drug_class.isalpha() and drug_class[:1].isupper()
    return f"are {drug_class}s" if is_short_name else f"are of one class ({drug_class})"


# --- one trial --------------------------------------------------------------------------------------------


def _why_trial_differs(
    here: JudgedTrial | None, there: JudgedTrial | None, is_more: bool, other: Definition
) -> str:
    """Why a trial counts there and not here (`is_more`), or the other way round; empty when it does not differ so."""
    if _rank(here) == _rank(there) or (_rank(there) > _rank(here)) is not is_more:
        return ""
    if here is None or there is None:
        return _why_only_in_one(here, there)
    known = {finding.criterion: finding for finding in _findings(here)}
    for finding in _findings(there):
        before = known.get(finding.criterion)
        if before and before.answer is not finding.answer and is_more is _is_more(before, finding):
            return _finding_in_words(there, before, finding, other)
    return f"{there.trial.name}: {_first_clause(there.failed.text)}"


def _rank(judged: JudgedTrial | None) -> int:
    return _RANK[judged.failed.answer] if judged else 0


def _is_more(here: Finding, there: Finding) -> bool:
    return _RANK[there.answer] > _RANK[here.answer]


def _findings(judged: JudgedTrial) -> tuple[Finding, ...]:
    return (*judged.trial.criteria, judged.in_scope, judged.outcome.insufficient)


def _why_only_in_one(here: JudgedTrial | None, there: JudgedTrial | None) -> str:
    judged = there or here
    assert judged is not None
    trial = judged.trial
    what = trial.name if trial.kind is TrialKind.ANTIDEPRESSANT else f"{trial.kind.value} ({trial.name})"
    return f"{what} {'counts as a trial there' if there else 'is no trial there'}"


def _finding_in_words(judged: JudgedTrial, here: Finding, finding: Finding, definition: Definition) -> str:
    """One finding about a trial, as the definition that made it sees it; `here` is that of the chosen one."""
    trial, is_met = judged.trial, finding.answer is Answer.MET
    if finding.answer is not Answer.UNKNOWN:
        if finding.criterion == "duration":
            asked = "are enough" if is_met else "needed"
            days = trial.adequate_days
            return f"{trial.name} was {days} days long, {definition.minimum_days} {asked} there"
        if finding.criterion == "dose" and trial.max_mg is not None and trial.minimum_mg is not None:
            asked = "is enough" if is_met else "needed"
            return f"{trial.name} {trial.max_mg:g} mg/day, {trial.minimum_mg:g} {asked} there"
        if finding.criterion == "response":
            return _response_in_words(judged, is_met, definition)
    return f"{trial.name} counts there; here: {here.text}" if is_met else f"{trial.name}: {finding.text}"


def _response_in_words(judged: JudgedTrial, is_insufficient: bool, definition: Definition) -> str:
    outcome, name = judged.outcome, judged.trial.name
    if judged.trial.stop_reason is StopReason.INTOLERANCE and outcome.response in (
        Response.INTOLERANCE,
        Response.NO_RESPONSE,
    ):
        return f"{name} was stopped for an adverse effect, {'a' if is_insufficient else 'no'} failure there"
    if outcome.improvement_percent is None:
        return f"{name}: {outcome.insufficient.text}"
    change = _change_in_words(outcome.improvement_percent)
    if is_insufficient:
        return f"{name} {change}, {definition.nonresponse_below_percent:g} % needed there for a response"
    kinds = {
        Response.PARTIAL_RESPONSE: "a partial response",
        Response.RESPONSE: "a response",
        Response.REMISSION: "remission",
    }
    return f"{name} {change}, {kinds.get(outcome.response, 'enough')} there"


def _change_in_words(improvement: float) -> str:
    if round(improvement, 1) == 0:
        return "brought no change"
    return f"{'improved' if improvement > 0 else 'worsened'} {abs(round(improvement, 1)):g} %"


def _agent(judged: JudgedTrial) -> tuple[TrialKind, str]:
    return judged.trial.kind, judged.trial.agent


def _joined(names: Iterable[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
