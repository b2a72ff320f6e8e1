"""Staging methods: Maudsley, MGH-S, Thase-Rush, European; item by item, as a range where an item is open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from cds_service.trd.model import Definition, History, JudgedTrial, Staging


def stage(
    history: History, trials: Sequence[JudgedTrial], definition: Definition, on: date
) -> Staging | None:
    """The stage by the definition's own method; None for definitions that are no staging method."""
    del history, trials, definition, on
    return None
