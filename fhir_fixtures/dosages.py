"""Dose segments → the dosage instructions of an R4 order that say the same, one for each segment.

The reverse of what the service reads: a range of mg per day on certain days becomes pieces at so many times
a day within a `boundsPeriod`. Segments whose dose is unknown or whose days are not certain cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.trd.record import DoseSegment
from fhir_fixtures.builders import Resource, quantity


def dosages_of(
    segments: Iterable[DoseSegment],
    piece_mg: float | None = None,
    times_per_day: int = 1,
    unit: str = "tablet",
) -> list[Resource]:
    """Dosage instructions in the order of the segments, numbered by `sequence`.

    `piece_mg` is what one piece (`unit`) of the ordered product holds; None writes the dose in mg. Raises
    ValueError for a segment that no dosage can say.
    """
    return [
        {
            "sequence": number,
            "timing": {
                "repeat": {
                    "boundsPeriod": {"start": str(segment.first_day), "end": str(segment.last_day)},
                    "frequency": times_per_day,
                    "period": 1,
                    "periodUnit": "d",
                }
            },
            "doseAndRate": [_dose(segment, piece_mg, times_per_day, unit)],
        }
        for number, segment in enumerate(segments, start=1)
    ]


def _dose(segment: DoseSegment, piece_mg: float | None, times_per_day: int, unit: str) -> Resource:
    if segment.low_mg is None or segment.high_mg is None or not segment.days_certain:
        raise ValueError(f"a dose in mg on certain days is needed to write a dosage, not {segment}")
    low, high = (
        quantity(mg / times_per_day, "mg", "mg")
        if piece_mg is None
        else quantity(mg / piece_mg / times_per_day, unit)
        for mg in (segment.low_mg, segment.high_mg)
    )
    return {"doseQuantity": low} if low == high else {"doseRange": {"low": low, "high": high}}
