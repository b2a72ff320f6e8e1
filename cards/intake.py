"""The cards of encounter-start: those of patient-view, worded for the moment at which a patient is taken in."""

from __future__ import annotations

from dataclasses import replace

from cards.card import SUMMARY_LIMIT, Card, utf16_units
from cards.markdown import shortened
from cards.words import load_words


def at_intake(card: Card) -> Card:
    """The same card with the summary and the first line for intake; what it rests on stays the same."""
    words = load_words().intake
    lead = words.get(card.source.topic.code if card.source.topic else "")
    detail = f"{lead}\n\n{card.detail}" if lead else card.detail
    return replace(card, summary=_fitting(words["summary"], card.summary), detail=detail)


def _fitting(template: str, summary: str) -> str:
    """The summary in the template, cut to what a summary may hold."""
    for limit in range(SUMMARY_LIMIT, 0, -1):
        text = template.format(summary=shortened(summary, limit))
        if utf16_units(text) < SUMMARY_LIMIT:
            return text
    return summary
