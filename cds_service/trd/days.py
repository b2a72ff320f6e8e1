"""Arithmetic on days. Intervals are `first_day` to `last_day`, both included; nothing leaves the calendar."""

from __future__ import annotations

from datetime import date, timedelta


def days_between(first_day: date, last_day: date) -> int:
    """Days from first to last, both included."""
    return (last_day - first_day).days + 1


def uncovered_days(earlier: date, later: date) -> int:
    """Days strictly between two days; 0 for neighbours, negative when `later` is not later."""
    return (later - earlier).days - 1


def shifted(day: date, days: int) -> date:
    """The day so many days later (earlier when negative), kept within the calendar."""
    try:
        return day + timedelta(days)
    except OverflowError:
        return date.min if days < 0 else date.max
