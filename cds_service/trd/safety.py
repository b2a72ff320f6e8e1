"""Has suicidality been recorded lately? Asked of every patient, whatever the rest says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from cds_service.trd.days import shifted
from cds_service.trd.model import (
    Answer,
    Definition,
    Diagnosis,
    DiagnosisRole,
    Finding,
    History,
    SuicideItem,
    Topic,
)


def judge_safety(history: History, definition: Definition, on: date) -> tuple[Finding, bool]:
    """The finding, and whether the sign lies within `suicidality_acute_days` of `on`.

    The newest answered item decides: above 0 is met, 0 is not met. A diagnosis within
    `suicidality_window_days` is met. No answer in the window, or a newer one that cannot be read, is
    unknown. The first day of the window is within it.
    """
    oldest = shifted(on, -definition.suicidality_window_days)
    signs = [*_positive_items(history.suicide_items, oldest), *_diagnoses(history.diagnoses, oldest)]
    if signs:
        day, text, reference = max(signs, key=lambda sign: (sign[0] or date.min, sign[1]))
        acute = day is None or (on - day).days <= definition.suicidality_acute_days
        evidence = tuple(dict.fromkeys([reference, *(sign[2] for sign in signs)]))
        return Finding("safety", Answer.MET, text, evidence), acute
    return _without_sign(history, oldest), False


Sign = tuple[date | None, str, str]


def _positive_items(items: Sequence[SuicideItem], oldest: date) -> list[Sign]:
    """The positive answers on the newest day that has a readable one, and those without a day."""
    undated = [item for item in items if item.day is None and item.value]
    newest = max((i.day for i in items if i.day and i.value is not None and i.day >= oldest), default=None)
    dated = [item for item in items if newest and item.day == newest and item.value]
    return [
        (item.day, f"{item.scale_name} answered {item.value:g}" + _on(item.day), item.reference)
        for item in (*dated, *undated)
        if item.value is not None and item.value > 0
    ]


def _diagnoses(diagnoses: Sequence[Diagnosis], oldest: date) -> list[Sign]:
    return [
        (d.recorded, f"{d.text} recorded{_on(d.recorded)}", d.reference)
        for d in diagnoses
        if d.role is DiagnosisRole.SUICIDALITY
        and d.holds is not Answer.NOT_MET
        and d.is_current is not Answer.NOT_MET
        and (d.recorded is None or d.recorded >= oldest)
    ]


def _on(day: date | None) -> str:
    return f" on {day}" if day else ", day not recorded"


def _without_sign(history: History, oldest: date) -> Finding:
    answered = [i for i in history.suicide_items if i.value == 0 and i.day and i.day >= oldest]
    newest = max(answered, key=lambda item: item.day or date.min, default=None)
    unreadable = [i for i in history.suicide_items if i.value is None and _may_follow(i, newest, oldest)]
    unread = [u.reference for u in history.unread if Topic.SAFETY in u.topics]
    if newest is None or unreadable or unread:
        why = "an answer could not be read" if unreadable or unread else f"no answer on record since {oldest}"
        evidence = tuple(dict.fromkeys([*(i.reference for i in unreadable), *unread]))
        return Finding("safety", Answer.UNKNOWN, why, evidence)
    text = f"{newest.scale_name} answered 0 on {newest.day}"
    return Finding("safety", Answer.NOT_MET, text, (newest.reference,))


def _may_follow(item: SuicideItem, newest: SuicideItem | None, oldest: date) -> bool:
    latest = item.day or item.last_possible_day
    if latest is None:
        return True
    return latest >= max(oldest, newest.day if newest and newest.day else oldest)
