"""What the readers of single results hand on, before the results of one day are put together."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.fhir_reading.same_day import Doubt, ItemAnswer, Total
from cds_service.fhir_reading.suicide_answers import SuicideAnswer
from cds_service.trd.record import SuicideItem, Unread


@dataclass(frozen=True)
class SetAside:
    """A result that was understood and does not count."""

    why: Unread


Fact = Total | ItemAnswer | Doubt | SuicideItem | SuicideAnswer | Unread | SetAside
