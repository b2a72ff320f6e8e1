"""What a site may choose to assume where the record says nothing. Off unless the site switches it on.

Whatever rests on an assumption says so: the prescription carries it, and so do its trial and the card.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cds_service.trd.record import Prescription

ONE_UNIT_A_DAY = "one unit a day, as no dosage is recorded"


def assume_one_unit_a_day(prescriptions: Iterable[Prescription]) -> tuple[Prescription, ...]:
    """Prescriptions whose dose nothing tells, at one tablet, capsule or patch a day.

    Only where no dosage at all is recorded and the product has one strength; a dosage that cannot be read
    stays unknown.
    """
    return tuple(_assumed(prescription) for prescription in prescriptions)


def _assumed(prescription: Prescription) -> Prescription:
    mg = prescription.unit_mg_per_day
    if mg is None or any(segment.low_mg is not None for segment in prescription.segments):
        return prescription
    return replace(
        prescription,
        segments=tuple(replace(segment, low_mg=mg, high_mg=mg) for segment in prescription.segments),
        dose_text=f"{mg:g} mg/day, assumed: {ONE_UNIT_A_DAY}",
        assumed=ONE_UNIT_A_DAY,
    )
