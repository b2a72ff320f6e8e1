"""Has suicidality been recorded lately? Asked of every patient, whatever the rest says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import shifted
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    History,
    SuicideItem,
    Topic,
)


def judge_safety(history: History, definition: Definition, on: date) -> tuple[Finding, bool]:
    """The finding, and whether the sign lies within `suicidality_acute_days` of `on`.

    Of each instrument the newest answered day decides: above 0 is met, 0 is not met. A positive answer that
    is no longer acute is also outdone by a newer 0 on another instrument; within the acute days it is not.
    A diagnosis within `suicidality_window_days` is met. No answer in the window, or a newer one that cannot
    be read, is unknown. The first day of the window is within it.
    """
    oldest = shifted(on, -definition.suicidality_window_days)
    acute_from = shifted(on, -definition.suicidality_acute_days)
    items = _positive_items(history.suicide_items, oldest, acute_from)
    signs = [*items, *_diagnoses(history.diagnoses, oldest)]
    if signs:
        day, text, reference = max(signs, key=lambda sign: (sign[0] or date.min, sign[1]))
        is_acute = any(sign[0] is None or sign[0] >= acute_from for sign in signs)
        denied = _newest_denial(history, day)
        evidence = dict.fromkeys([reference, *(sign[2] for sign in signs)])
        if denied is not None:
            text += f"; {denied.scale_name} answered 0{_on(denied.day)}"
            evidence[denied.reference] = None
        return Finding("safety", Answer.MET, text, tuple(evidence)), is_acute
    return _without_sign(history, oldest), False


Sign = tuple[date | None, str, str]


def _positive_items(items: Sequence[SuicideItem], oldest: date, acute_from: date) -> list[Sign]:
    """The positive answers that no newer answer outdoes, and those without a day."""
    answered = [item for item in items if item.day and item.value is not None and item.day >= oldest]
    newest: dict[str, date] = {}
    for item in answered:
        assert item.day is not None
        newest[_instrument(item)] = max(item.day, newest.get(_instrument(item), item.day))
    newest_of_all = max(newest.values(), default=None)
    standing = [
        item
        for item in answered
        if item.day is not None
        and item.day == newest[_instrument(item)]
        and (item.day == newest_of_all or item.day >= acute_from)
    ]
    undated = [item for item in items if item.day is None]
    return [
        (item.day, f"{item.scale_name} answered {item.value:g}" + _on(item.day), item.reference)
        for item in (*standing, *undated)
        if item.value is not None and item.value > 0
    ]


def _newest_denial(history: History, day: date | None) -> SuicideItem | None:
    """The newest 0 after the day of the sign: it is said, and silences nothing."""
    later = [
        item for item in history.suicide_items if item.value == 0 and day and item.day and item.day > day
    ]
    return max(later, key=lambda item: (item.day or date.min, item.reference), default=None)


def _instrument(item: SuicideItem) -> str:
    return item.instrument or item.scale_name


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
