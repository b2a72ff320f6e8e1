"""What guidance knows to do at this stage, with the cautions that the record shows. Informs; orders nothing."""

from __future__ import annotations

from datetime import date

from cds_service.trd.model import Assessment, History, NextStep


def find_next_steps(history: History, assessment: Assessment, on: date) -> tuple[str, tuple[NextStep, ...]]:
    """The stage of treatment, and its options in order."""
    del history, assessment, on
    return "", ()
