"""Concerns about drafted orders → cards: one a draft, led by the most pressing concern, the others told in its text.

Words, urgency, codes and reasons are in catalogue.json under `orders`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from cards.call import NO_CALL, Call, app_links
from cards.card import (
    Action,
    ActionType,
    Card,
    Coding,
    Indicator,
    SelectionBehavior,
    Source,
    Suggestion,
)
from cards.catalogue import address_in, for_age
from cards.detail import build_order_detail, mg_per_day
from cards.facts import hashed
from cards.markdown import bullets, escaped, one_line, plain_number, sentence, shortened
from cards.requested import find_requested
from cards.suggestions import Occasion, suggestion_for
from cards.templates import first_summary
from cards.words import OrderWords, load_words
from cds_service.trd.answers import Answer
from cds_service.trd.draft_orders import DraftConcern
from cds_service.trd.model import Assessment, JudgedTrial
from cds_service.trd.parameters import Definition
from cds_service.trd.record import Prescription

ORDER_SHOWN = 60
REFERENCES_SHOWN = 4

_URGENCY = (Indicator.CRITICAL, Indicator.WARNING, Indicator.INFO)
_DELETABLE = re.compile(r"Medication(Request|Order)/[A-Za-z0-9.\-]{1,64}")


def order_cards(
    concerns: Sequence[DraftConcern],
    assessment: Assessment,
    *,
    call: Call = NO_CALL,
    new_uuid: Callable[[], UUID] = uuid4,
) -> tuple[Card, ...]:
    """One card for each draft that there is a concern about, in the order of the drafts."""
    by_draft: dict[Prescription, list[DraftConcern]] = {}
    for concern in concerns:
        if concern.finding.answer is not Answer.NOT_MET:
            by_draft.setdefault(concern.draft, []).append(concern)
    return tuple(_card(of_one, assessment, call, new_uuid) for of_one in by_draft.values())


def _card(
    concerns: Sequence[DraftConcern],
    assessment: Assessment,
    call: Call,
    new_uuid: Callable[[], UUID],
) -> Card:
    concerns = sorted(concerns, key=lambda concern: _URGENCY.index(_indicator(concern)))
    first = concerns[0]
    words, summary = _words(first), _summary(first)
    occasion = Occasion(
        assessment.patient, call.encounter_id, assessment.on, summary, requester=call.user_reference
    )
    requested = find_requested(words.requests, assessment)
    wanted = [name for name in words.requests if name not in requested.certain]
    requests = tuple(suggestion_for(for_age(name, assessment), occasion, new_uuid) for name in wanted)
    suggestions = (*_removal(concerns, new_uuid), *requests)
    by_definition = [concern for concern in concerns if not _words(concern).source_label]
    rests_on = tuple(trial for trial in assessment.trials if _is_named(trial, by_definition))
    return Card(
        uuid=new_uuid(),
        summary=summary,
        indicator=_indicator(first),
        source=_source(words, assessment.definition),
        detail=build_order_detail(
            replace(assessment, trials=rests_on),
            (*_lead(concerns), *requested.lines),
            names_definition=bool(by_definition),
        ),
        suggestions=suggestions,
        selection_behavior=SelectionBehavior.ANY if suggestions else None,
        override_reasons=words.override_reasons,
        links=app_links(call, words.kind, assessment.definition),
        facts=_facts(concerns, assessment.definition),
    )


def _words(concern: DraftConcern) -> OrderWords:
    return load_words().orders[concern.concern.name]


def _is_certain(concern: DraftConcern) -> bool:
    return concern.finding.answer is Answer.MET


def _indicator(concern: DraftConcern) -> Indicator:
    words = _words(concern)
    return words.indicator if _is_certain(concern) else words.indicator_if_unknown


# --- what it says -------------------------------------------------------------------------------------


def _summary(concern: DraftConcern) -> str:
    words = _words(concern)
    templates = words.summaries if _is_certain(concern) else words.summaries_if_unknown
    return first_summary(templates, _values(concern))


def _values(concern: DraftConcern) -> dict[str, str]:
    own = {"drug": _name(concern.draft), **concern.values, "order": _order_in_words(concern.draft)}
    return {name: one_line(value) for name, value in own.items()}


def _order_in_words(draft: Prescription) -> str:
    """`sertraline 50 mg`; of an order in steps, or of a range, from the lowest to the highest dose."""
    name, dose = _name(draft), _dose_in_words(draft)
    return f"{name} {dose}" if dose else name


def _name(draft: Prescription) -> str:
    """The ingredient, not the product, whose strength would read as the dose."""
    name = draft.drug.ingredient if draft.drug else draft.name
    return shortened(one_line(name) or "unnamed drug", ORDER_SHOWN)


def _dose_in_words(draft: Prescription) -> str:
    lows = [segment.low_mg for segment in draft.segments if segment.low_mg is not None]
    highs = [segment.high_mg for segment in draft.segments if segment.high_mg is not None]
    if len(lows) < len(draft.segments) or len(highs) < len(draft.segments) or not lows:
        return ""
    low, high = mg_per_day(min(lows)), mg_per_day(max(highs))
    return high if low == high else f"{plain_number(min(lows))} to {high}"


def _lead(concerns: Sequence[DraftConcern]) -> tuple[str, ...]:
    draft, words = concerns[0].draft, load_words().order_words
    dose = "" if _dose_in_words(draft) else f", {words['dose_not_known']}"
    order = words["order"].format(
        order=escaped(_order_in_words(draft)) + dose, reference=f" ({escaped(draft.reference, 80)})"
    )
    return order, bullets(dict.fromkeys(map(_bullet, concerns)))


def _bullet(concern: DraftConcern) -> str:
    """`**Failed before:** sertraline 100 mg for 85 days, no response (MedicationRequest/1).`"""
    words = _words(concern)
    title = words.title if _is_certain(concern) else words.title_if_unknown
    references = [
        escaped(name, 80) for name in concern.finding.evidence if name and name != concern.draft.reference
    ]
    shown = references[:REFERENCES_SHOWN]
    if len(references) > len(shown):
        shown.append(f"and {len(references) - len(shown)} more")
    told = f" ({', '.join(shown)})" if shown else ""
    return sentence(f"**{title}:** {escaped(concern.finding.text.rstrip('.'), 300)}{told}")


def _is_named(judged: JudgedTrial, concerns: Iterable[DraftConcern]) -> bool:
    """Whether a concern rests on the orders of this trial."""
    own = set(judged.trial.exposure.evidence)
    return any(not own.isdisjoint(concern.finding.evidence) for concern in concerns)


def _source(words: OrderWords, definition: Definition) -> Source:
    found = load_words()
    topic = Coding(words.kind, found.topic_system)
    if words.source_label:
        return Source(words.source_label, topic=topic)
    label = found.source_label.format(definition=shortened(one_line(definition.title), 100))
    return Source(label, address_in(definition.source), topic)


# --- what it offers -----------------------------------------------------------------------------------


def _removal(concerns: Iterable[DraftConcern], new_uuid: Callable[[], UUID]) -> tuple[Suggestion, ...]:
    """The offer to take the order off the list, where a concern asks for it and the draft can be named."""
    asking = [concern for concern in concerns if _words(concern).removes]
    if not asking or not _DELETABLE.fullmatch(asking[0].draft.reference):
        return ()
    words, draft = load_words().order_words, asking[0].draft
    description = words["remove_description"].format(drug=_name(draft))
    action = Action(ActionType.DELETE, description, resource_id=draft.reference)
    return (Suggestion(words["remove_label"], new_uuid(), (action,), request="remove-order"),)


def _facts(concerns: Sequence[DraftConcern], definition: Definition) -> str:
    """A draft's id may be temporary, and today's date is no fact: neither is part of it.

    Of another drug that is too close, or too much, the drug and its last day are the facts: it may be a draft too.
    """
    draft = concerns[0].draft
    told = [
        part
        for concern in concerns
        for part in (
            concern.concern.name,
            concern.finding.answer.value,
            *_grounds(concern),
        )
    ]
    return hashed((definition.id, definition.content_hash, draft.agent, _dose_in_words(draft), *told))


def _grounds(concern: DraftConcern) -> tuple[str, ...]:
    if "until" in concern.values:
        return concern.values.get("other", ""), concern.values["until"]
    return tuple(sorted(set(concern.finding.evidence) - {concern.draft.reference}))
