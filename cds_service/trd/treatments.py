"""Definitions of registers and claims: distinct treatments within a window, whatever their dose or effect."""

from __future__ import annotations

from datetime import date

from cds_service.trd.model import Answer, Definition, Finding, History


def judge_treatments(history: History, definition: Definition, on: date) -> tuple[Finding, int, int]:
    """Whether there were enough treatments, and how many: at least, at most."""
    del history, definition, on
    return Finding("treatments", Answer.UNKNOWN, "not implemented"), 0, 0
