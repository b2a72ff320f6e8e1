"""Figures as records state them: whether two are the same but for rounding, and whether one is possible."""

from __future__ import annotations

import math

SAME_WITHIN = 0.01 + 1e-6  # 0.33 of a tablet is a third


def is_close(one: float, other: float) -> bool:
    """Whether two figures differ by no more than rounding."""
    return math.isclose(one, other, rel_tol=SAME_WITHIN)


def positive(value: float, factor: float = 1.0) -> float | None:
    """value × factor when it is a finite number above 0, else None."""
    try:
        product = float(value) * factor
    except OverflowError:
        return None
    return product if 0 < product < float("inf") else None
