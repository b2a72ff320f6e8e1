"""Assessment → cards: which assessment deserves which card, and what it says.

Safety comes first and stands beside the rest. Of the other rungs the first that fits gives the one
card: excluded, met, indeterminate, a second trial running. Words and codes are in catalogue.json; the
links are those of the next steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID, uuid4

from cards import facts
from cards.around import is_pointed_to, with_references
from cards.call import NO_CALL, Call, app_links
from cards.card import Card, Coding, Link, SelectionBehavior, Source, is_web_address
from cards.detail import MISSING_SHOWN, build_detail, counted, mg_per_day
from cards.markdown import bullets, escaped, one_line, plain_number, sentence, shortened
from cards.requested import find_requested
from cards.suggestions import Occasion, suggestion_for
from cards.templates import first_summary
from cards.words import CardWords, CountWords, PathwayWords, load_words
from cds_service.trd.answers import Answer, Finding, all_of
from cds_service.trd.model import Assessment, JudgedTrial, Verdict
from cds_service.trd.parameters import Definition, Rule


def cards_for(
    assessment: Assessment,
    *,
    call: Call = NO_CALL,
    for_professional: bool = True,
    new_uuid: Callable[[], UUID] = uuid4,
) -> tuple[Card, ...]:
    """The cards to show, safety first; often none.

    None is meant for a patient or a relative: `for_professional` is False for them. `call` is what they answer.
    """
    if not for_professional:
        return ()
    rungs = [_safety(assessment), _drug_safety(assessment), _first_of_the_ladder(assessment)]
    return tuple(_card(rung, assessment, call, new_uuid) for rung in rungs if rung)


@dataclass(frozen=True)
class Rung:
    """The card that is due: its kind, what fills its words, and what its requests are for.

    `blocks` fill whole sentences of the lead that are not data; `without` names requests of this kind
    of card that do not help this patient; `sources` are what it rests on where that is not the definition, `basis`
    its facts besides those of all trials.
    """

    kind: str
    values: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    due: date | None = None
    note: str = ""
    sources: tuple[str, ...] = ()
    basis: tuple[object, ...] = ()


# --- the ladder ---------------------------------------------------------------------------------------


def _safety(assessment: Assessment) -> Rung | None:
    if assessment.safety.answer is not Answer.MET:
        return None
    kind = "safety-acute" if assessment.suicidality_is_acute else "safety"
    signs = (assessment.safety.text, *sorted(assessment.safety.evidence))
    return Rung(kind, {"recorded": assessment.safety.text}, basis=signs)


def _drug_safety(assessment: Assessment) -> Rung | None:
    """An MAOI and a drug it must not be taken with, while that goes on; for whatever illness they are taken."""
    going_on = [risk for risk in assessment.maoi_risks if risk.goes_on]
    if not going_on:
        return None
    certain = [risk for risk in going_on if risk.together_today is Answer.MET]
    first = (certain or going_on)[0]
    pairs = [sentence(with_references(risk.finding)) for risk in going_on]
    return Rung(
        "drug-safety-acute" if certain else "drug-safety",
        {"maoi": first.maoi, "other": first.other},
        {"pairs": bullets(pairs)},
        sources=tuple(dict.fromkeys(source for risk in going_on for source in risk.sources)),
        basis=tuple(
            part
            for risk in going_on
            for part in (risk.maoi, risk.other, risk.together_today.value, *sorted(risk.finding.evidence))
        ),
    )


def _first_of_the_ladder(assessment: Assessment) -> Rung | None:
    if not assessment.concerns_depression:
        return None
    rungs = (_excluded, _met, _indeterminate, _second_trial_running)
    return next((found for rung in rungs if (found := rung(assessment))), None)


def _excluded(assessment: Assessment) -> Rung | None:
    """Excluded, but with a history that looks like treatment-resistant depression."""
    looks_like_it = assessment.certainly_failed >= 1 or _could_be_met(assessment)
    if assessment.verdict is not Verdict.EXCLUDED or not looks_like_it:
        return None
    reasons = [reason for reason in assessment.reasons if _excludes(reason)]
    pathway = _pathway(reasons)
    minimum_age = {"minimum_age": str(assessment.definition.minimum_age_years)}
    return Rung(
        "excluded",
        {"reasons": "; ".join(reason.text for reason in reasons) or pathway.why},
        {"why": pathway.why.format(**minimum_age), "advice": pathway.advice.format(**minimum_age)},
        basis=(*sorted(reason.criterion for reason in reasons), facts.diagnoses(assessment)),
    )


def _met(assessment: Assessment) -> Rung | None:
    if assessment.verdict is not Verdict.MET:
        return None
    drugs = list(dict.fromkeys(judged.trial.name for judged in _failed(assessment)))
    count = _count_words(assessment.definition)
    failed = f"{count.counted(assessment.failed_at_least)} {count.verb}"
    values = {"failed": failed, "needed": plain_number(_needed(assessment.definition))}
    if assessment.definition.rule is Rule.FAILED_TRIALS and len(drugs) == assessment.failed_at_least:
        # Under a rule of different classes fewer trials count than failed: then names would mislead.
        values["drugs"] = ", ".join(drugs)
    return Rung("met", values)


def _indeterminate(assessment: Assessment) -> Rung | None:
    if assessment.verdict is not Verdict.INDETERMINATE or not _could_be_met(assessment):
        return None
    values = {
        "failed_range": _failed_range(assessment),
        "needed": plain_number(_needed(assessment.definition)),
    }
    if assessment.missing:
        values["missing"] = _missing_in_short(assessment)
        values["missing_count"] = counted(len(assessment.missing), "thing")
    return Rung(
        "indeterminate",
        values,
        without=() if _lacks_a_score(assessment) else ("phq-9",),
        note=_to_clarify(assessment),
        basis=tuple(facts.asked(assessment.missing)),
    )


def _to_clarify(assessment: Assessment) -> str:
    """What to ask, as a numbered Markdown list."""
    asks = list(dict.fromkeys(item.ask for item in assessment.missing))[:MISSING_SHOWN]
    return "\n".join(f"{place}. {escaped(ask)}" for place, ask in enumerate(asks, 1))


def _second_trial_running(assessment: Assessment) -> Rung | None:
    """One adequate trial failed, another is running: too short so far, or at too low a dose."""
    if assessment.verdict is not Verdict.NOT_MET or assessment.certainly_failed < 1:
        return None
    others = [judged for judged in assessment.trials if _is_another_running(judged, assessment)]
    rungs = [rung(judged, assessment) for rung in (_too_short_yet, _below_minimum) for judged in others]
    return next((rung for rung in rungs if rung), None)


def _too_short_yet(judged: JudgedTrial, assessment: Assessment) -> Rung | None:
    trial = judged.trial
    day = trial.long_enough_on
    if trial.dose.answer is not Answer.MET or day is None or day <= assessment.on:
        return None
    scale = judged.outcome.baseline.scale.name if judged.outcome.baseline else load_words().default_scale
    values = {
        "failed": _failed_so_far(assessment),
        "drug": trial.name,
        "day": day.isoformat(),
        "days": counted(trial.adequate_days, "day"),
        "minimum_days": plain_number(assessment.definition.minimum_days),
        "scale": scale,
    }
    return Rung(
        "running-trial",
        values,
        without=() if scale == load_words().default_scale else ("phq-9",),
        due=day,
        basis=(trial.agent, trial.first_day),
    )


def _below_minimum(judged: JudgedTrial, assessment: Assessment) -> Rung | None:
    trial = judged.trial
    against = _against(judged, assessment)
    if trial.dose.answer is not Answer.NOT_MET or trial.minimum_mg is None or _is_at_its_ceiling(against):
        return None
    words = load_words().optimise
    reasons = "; ".join(escaped(finding.text) for finding in against)
    values = {
        "failed": _failed_so_far(assessment),
        "drug": trial.name,
        "dose": mg_per_day(trial.max_mg),
        "minimum": mg_per_day(trial.minimum_mg),
        "then": words["then_not" if against else "then"],
    }
    advice = words["advice_not"].format(against=reasons) if against else words["advice"]
    basis = (trial.agent, trial.max_mg, trial.minimum_mg)
    return Rung("dose-below-minimum", values, {"advice": advice}, basis=basis)


def _against(judged: JudgedTrial, assessment: Assessment) -> list[Finding]:
    """What the record shows for certain against more of the drug that is being taken."""
    name = f"{judged.trial.drug.ingredient}: " if judged.trial.drug else ""
    ruled_out = (step for step in assessment.next_steps if step.is_contraindicated)
    cautions = (caution for step in ruled_out for caution in step.cautions)
    return [c for c in cautions if name and c.answer is Answer.MET and c.text.startswith(name)]


def _is_at_its_ceiling(against: list[Finding]) -> bool:
    """The highest dose that is allowed is not to be optimised: it counts as adequate."""
    return any(finding.criterion == "ceiling" for finding in against)


# --- what the ladder asks -----------------------------------------------------------------------------


def _could_be_met(assessment: Assessment) -> bool:
    return assessment.failed_at_most >= _needed(assessment.definition)


def _needed(definition: Definition) -> float:
    """How many of what the definition counts are needed."""
    needed: float = definition.needed_failed_trials
    if definition.treatments is not None:
        needed = definition.treatments.needed
    if definition.staging is not None and definition.staging.met_from is not None:
        needed = definition.staging.met_from
    return needed


def _count_words(definition: Definition) -> CountWords:
    return load_words().counts[definition.rule.value]


def _excludes(reason: Finding) -> bool:
    return reason.criterion in ("no exclusion", "age") and reason.answer is Answer.NOT_MET


def _pathway(reasons: list[Finding]) -> PathwayWords:
    """Where the patient belongs instead: by the category that the reason names, else by its words."""
    words = load_words()
    if any(reason.criterion == "age" for reason in reasons):
        return words.age_pathway
    text = "; ".join(reason.text for reason in reasons).casefold()
    by_category = [p for p in words.pathways if f"({p.category.replace('_', ' ')})" in text]
    by_word = [p for p in words.pathways if any(word in text for word in p.words)]
    return next(iter(by_category or by_word), words.other_pathway)


def _failed(assessment: Assessment) -> list[JudgedTrial]:
    return [judged for judged in assessment.trials if judged.failed.answer is Answer.MET]


def _failed_so_far(assessment: Assessment) -> str:
    return counted(assessment.certainly_failed, "adequate trial") + " failed"


def _failed_range(assessment: Assessment) -> str:
    least, most = assessment.failed_at_least, assessment.failed_at_most
    words = _count_words(assessment.definition)
    if least == most:
        return f"{words.counted(least)} {words.verb}"
    if least == 0:
        return f"at most {words.counted(most)} {words.verb}, none for certain"
    return f"at least {least:g} and at most {words.counted(most)} {words.verb}"


def _missing_in_short(assessment: Assessment) -> str:
    first, *others = assessment.missing
    return f"{first.what} and {len(others)} more" if others else first.what


def _lacks_a_score(assessment: Assessment) -> bool:
    """Whether a score on the default scale could help: one is lacking, and no other scale has begun."""
    default = load_words().default_scale
    return any(
        judged.failed.answer is Answer.UNKNOWN
        and (judged.outcome.baseline is None or judged.outcome.last is None)
        and (judged.outcome.baseline is None or judged.outcome.baseline.scale.name == default)
        for judged in assessment.trials
    )


def _is_another_running(judged: JudgedTrial, assessment: Assessment) -> bool:
    """Running, meant for depression, and of another agent than those that failed."""
    trial = judged.trial
    failed_agents = {other.trial.agent for other in _failed(assessment)}
    is_running = trial.is_running or trial.exposure.last_day >= assessment.on
    counts = all_of((trial.use.answer, judged.in_scope.answer)) is not Answer.NOT_MET
    return is_running and counts and trial.drug is not None and trial.agent not in failed_agents


# --- the card of a rung -------------------------------------------------------------------------------


def _card(rung: Rung, assessment: Assessment, call: Call, new_uuid: Callable[[], UUID]) -> Card:
    words = load_words().cards[rung.kind]
    summary = _summary(words, rung)
    wanted = [name for name in words.requests if name not in rung.without]
    requested = find_requested(wanted, assessment)
    occasion = _occasion(rung, assessment, call, summary)
    suggestions = tuple(
        suggestion_for(for_age(name, assessment), occasion, new_uuid)
        for name in wanted
        if name not in requested.certain
    )
    return Card(
        uuid=new_uuid(),
        summary=summary,
        indicator=words.indicator,
        source=_source(words, rung, assessment.definition),
        detail=build_detail(
            assessment, (*_lead(words, rung), *requested.lines), words.has_trials, rung.sources
        ),
        suggestions=suggestions,
        selection_behavior=SelectionBehavior.ANY if suggestions else None,
        override_reasons=words.override_reasons,
        links=(
            *app_links(call, rung.kind, assessment.definition),
            *_evidence(words, assessment.definition),
            *_links(words, assessment),
        ),
        facts=_facts(words, rung, assessment),
    )


def _occasion(rung: Rung, assessment: Assessment, call: Call, summary: str) -> Occasion:
    return Occasion(
        patient=assessment.patient,
        encounter_id=call.encounter_id,
        on=assessment.on,
        reason=summary,
        due=rung.due,
        note=rung.note,
        requester=call.user_reference,
    )


def _facts(words: CardWords, rung: Rung, assessment: Assessment) -> str:
    """Those of a safety card are its signs alone: nothing else may bring it back or keep it away."""
    if words.has_trials:
        return facts.hashed((rung.kind, *rung.basis, *facts.of_trials(assessment)))
    return facts.hashed((rung.kind, *(rung.basis or sorted(rung.values.items()))))


def _summary(words: CardWords, rung: Rung) -> str:
    values = {name: one_line(value) for name, value in (rung.values | rung.blocks).items()}
    return first_summary(words.summaries, values)


def _lead(words: CardWords, rung: Rung) -> tuple[str, ...]:
    values = {name: escaped(value, 300) for name, value in rung.values.items()} | rung.blocks
    return tuple(template.format(**values) for template in words.lead)


def for_age(name: str, assessment: Assessment) -> str:
    """The request that stands for this one in late life, or the same."""
    words = load_words()
    is_older = assessment.age_years is not None and assessment.age_years >= words.older_adult_from_years
    return words.requests[name].older_adults or name if is_older else name


# --- where the guidance comes from --------------------------------------------------------------------


def _source(words: CardWords, rung: Rung, definition: Definition) -> Source:
    found = load_words()
    if rung.sources:
        return Source(found.precautions_label, "", Coding(words.kind, found.topic_system))
    label = found.source_label.format(definition=shortened(one_line(definition.title), 100))
    return Source(label, address_in(definition.source), Coding(words.kind, found.topic_system))


def _evidence(words: CardWords, definition: Definition) -> tuple[Link, ...]:
    url = address_in(definition.source)
    if not url or not words.has_trials:
        return ()
    title = shortened(one_line(definition.title), 100)
    return (Link(load_words().evidence_label.format(definition=title), url),)


def _links(words: CardWords, assessment: Assessment) -> tuple[Link, ...]:
    """The options of the stage that have an address, by their level; none that is contraindicated."""
    if not words.has_trials:
        return ()
    pointed_to = [step for step in assessment.next_steps if is_pointed_to(step)]
    return tuple(
        Link(f"{level_words}: {shortened(one_line(step.link_label or step.label), 120)}", step.url)
        for level, level_words in load_words().levels.items()
        for step in pointed_to
        if step.level == level and is_web_address(step.url)
    )


_ADDRESS = re.compile(r"https://[^\s,;()<>\"'\\]+")
_DOI = re.compile(r"\b10\.\d{4,9}/[A-Za-z0-9\-._;()/:]+")
_PUBMED_CENTRAL = re.compile(r"\bPMC\d{4,9}\b")


def address_in(citation: str) -> str:
    """The web address that a citation names, as such, as a DOI or as a PubMed Central id; else empty."""
    for pattern, prefix, suffix in (
        (_ADDRESS, "", ""),
        (_DOI, "https://doi.org/", ""),
        (_PUBMED_CENTRAL, "https://pmc.ncbi.nlm.nih.gov/articles/", "/"),
    ):
        found = pattern.search(citation)
        if found:
            url = prefix + found[0].rstrip(".;:)") + suffix
            return url if is_web_address(url) else ""
    return ""
