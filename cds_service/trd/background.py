"""Beyond mood: function, cognition, quality of life and laboratory values, shown and never judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from cds_service.trd.model import Finding, History, JudgedTrial, Measurement


def latest_measurements(history: History, on: date) -> tuple[Measurement, ...]:
    """The newest value of each measurement, in order of display."""
    del history, on
    return ()


def find_residual_impairment(
    history: History, trials: Sequence[JudgedTrial], on: date
) -> tuple[Finding, ...]:
    """Impairment that is left in someone whose mood has remitted."""
    del history, trials, on
    return ()
