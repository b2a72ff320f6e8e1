"""Patients: what a birth date may say."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.patients import PatientReading, read_patient
from cds_service.trd.record import Topic
from fhir_fixtures.builders import patient

ON = date(2026, 6, 30)


def read(*resources: dict[str, Any]) -> PatientReading:
    return read_patient([Entry(resource, None, "patient") for resource in resources], ON)


READABLE = """
1980-05-17 1980-05-17 1980-05-17
1980-05    1980-05-01 1980-05-31
1980       1980-01-01 1980-12-31
2026       2026-01-01 2026-06-30
2026-06-30 2026-06-30 2026-06-30
1896-06-30 1896-06-30 1896-06-30
"""


@pytest.mark.parametrize("line", READABLE.strip().splitlines())
def test_a_birth_date_has_bounds(line: str) -> None:
    text, earliest, latest = line.split()
    reading = read(patient(birth_date=text))
    assert reading == PatientReading(date.fromisoformat(earliest), date.fromisoformat(latest))


@pytest.mark.parametrize(
    "birth_date", ["2026-07-01", "1895-12-31", "1980-13-01", "long ago", 1980, ["1980"], {}]
)
def test_an_unreadable_birth_date_leaves_the_age_open(birth_date: Any) -> None:
    reading = read(patient() | {"birthDate": birth_date})
    assert (reading.born_earliest, reading.born_latest) == (None, None)
    assert [unread.topics for unread in reading.unread] == [(Topic.AGE,)]
    assert reading.unread[0].reference == "Patient/p1"
    assert reading.unread[0].problem.startswith("at $.birthDate")


def test_without_a_birth_date_the_age_is_unknown() -> None:
    assert read() == read(patient(birth_date=None)) == PatientReading()


def test_copies_must_agree() -> None:
    assert read(patient(), patient()).born_latest == date(1980, 1, 1)
    assert read(patient(), patient(birth_date="1990-01-01")).born_latest is None
