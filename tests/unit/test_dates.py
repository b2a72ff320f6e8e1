"""FHIR dates: which texts are dates, and which days they may mean."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.fhir_reading.dates import parse_fhir_date

READABLE = """
2025-09-01                          2025-09-01 2025-09-01
2025-09                             2025-09-01 2025-09-30
2024-02                             2024-02-01 2024-02-29
2025                                2025-01-01 2025-12-31
2025-09-01T23:59:59Z                2025-09-01 2025-09-01
2025-09-01T23:59:59.123+14:00       2025-09-01 2025-09-01
2025-09-01T00:30:00-11:00           2025-09-01 2025-09-01
2025-09-01T08:15                    2025-09-01 2025-09-01
2016-12-31T23:59:60Z                2016-12-31 2016-12-31
0001-01-01                          0001-01-01 0001-01-01
9999                                9999-01-01 9999-12-31
"""


@pytest.mark.parametrize("line", READABLE.strip().splitlines())
def test_a_date_means_the_days_as_written(line: str) -> None:
    text, earliest, latest = line.split()
    parsed = parse_fhir_date(text)
    assert parsed is not None
    assert (parsed.earliest, parsed.latest) == (date.fromisoformat(earliest), date.fromisoformat(latest))
    assert parsed.is_exact == (earliest == latest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not-a-date",
        "2024-13-45",
        "2025-02-30",
        "2025-02-29",
        "0000",
        "0000-01-01",
        "2025-9-1",
        "20250901",
        "25-09-01",
        "2025-09-01T",
        "2025-09-01T24:00:00Z",
        "2025-09-01T10:61Z",
        "2025-09T10:00Z",
        "2025-09-01 10:00",
        " 2025-09-01",
        "2025-09-01\n",
        "٢٠٢٥-٠٩-٠١",
        "2025-09-01T10:00:00Z" + "0" * 100,
        None,
        20250901,
        2025,
        True,
        ["2025-09-01"],
        {"value": "2025"},
    ],
)
def test_anything_else_is_no_date(text: object) -> None:
    assert parse_fhir_date(text) is None
