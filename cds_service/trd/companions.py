"""What went on beside a trial: augmentation, combination or cross-taper, neuromodulation, psychotherapy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from cds_service.trd.model import Companion, Definition, History, Trial


def find_companions(
    trials: Sequence[Trial], history: History, definition: Definition, on: date
) -> tuple[tuple[Companion, ...], ...]:
    """For each trial, in the same order, what went on beside it."""
    del history, definition, on
    return tuple(() for _ in trials)


def find_other_trials(
    trials: Sequence[Trial], history: History, definition: Definition, on: date
) -> tuple[Trial, ...]:
    """Treatments beyond single antidepressants that the definition counts as trials of their own."""
    del trials, history, definition, on
    return ()
