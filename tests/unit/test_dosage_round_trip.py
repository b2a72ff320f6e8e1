"""Dose segments written as an R4 order and read again are the same segments."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.trd.record import DoseSegment
from fhir_fixtures.builders import medication_request, patient
from fhir_fixtures.dosages import dosages_of

ON = date(2026, 6, 30)
PIECE_MG = 25.0

pieces = st.integers(min_value=1, max_value=16).map(lambda quarters: quarters / 4 * PIECE_MG)


@st.composite
def dose_segments(draw: st.DrawFn) -> tuple[DoseSegment, ...]:
    """One to five segments, adjoining or with gaps, of a dose or of a range, all over before `ON`."""
    day = date(2024, 1, 1) + timedelta(days=draw(st.integers(min_value=0, max_value=200)))
    segments = []
    for _ in range(draw(st.integers(min_value=1, max_value=5))):
        last = day + timedelta(days=draw(st.integers(min_value=0, max_value=90)))
        low, high = sorted((draw(pieces), draw(pieces))) if draw(st.booleans()) else [draw(pieces)] * 2
        segments.append(DoseSegment(day, last, low, high))
        day = last + timedelta(days=draw(st.sampled_from((1, 1, 1, 2, 20))))
    return tuple(segments)


@settings(max_examples=300, deadline=None)
@given(
    segments=dose_segments(),
    times=st.integers(min_value=1, max_value=4),
    in_mg=st.booleans(),
    status=st.sampled_from(("completed", "stopped", "active")),
)
def test_segments_written_and_read_are_the_same(
    segments: tuple[DoseSegment, ...], times: int, in_mg: bool, status: str
) -> None:
    order = medication_request(
        medication="sertraline" if in_mg else f"sertraline {PIECE_MG:g} mg tablet",
        dosage=dosages_of(segments, None if in_mg else PIECE_MG, times),
        first_day=str(segments[0].first_day),
        status=status,
    )
    entries = tuple(Entry(resource, None, "here") for resource in (patient(), order))
    history = read_history(Collected("p1", entries), ON)
    (prescription,) = history.prescriptions
    assert prescription.segments == segments
    assert history.unread == ()


def test_what_is_written_is_valid_fhir() -> None:
    segments = [
        DoseSegment(date(2026, 1, 1), date(2026, 1, 14), 50, 50),
        DoseSegment(date(2026, 1, 15), date(2026, 3, 1), 50, 100),
    ]
    order = medication_request(dosage=dosages_of(segments, 50, times_per_day=2))
    get_fhir_model_class("MedicationRequest").model_validate(order)


@pytest.mark.parametrize(
    "segment",
    [
        DoseSegment(date(2026, 1, 1), date(2026, 1, 14), None, None),
        DoseSegment(date(2026, 1, 1), date(2026, 1, 14), 50, None),
        DoseSegment(date(2026, 1, 1), date(2026, 1, 14), 50, 50, days_certain=False),
    ],
)
def test_a_segment_that_no_dosage_can_say_is_refused(segment: DoseSegment) -> None:
    with pytest.raises(ValueError, match="certain days"):
        dosages_of([segment], 50)
