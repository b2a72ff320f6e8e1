"""Exposures: when separate prescriptions are one continuous use of a drug, and at which dose."""

from __future__ import annotations

import pytest

from cds_service.trd.exposures import build_exposures
from cds_service.trd.record import DoseSegment
from tests.spec.people import orders
from tests.spec.texttables import rows


def exposures_of(table: str, max_gap_days: int = 14) -> list[str]:
    """Each exposure as `drug first..last: dose first..last, dose first..last`."""
    return [
        f"{exposure.name} {exposure.first_day}..{exposure.last_day}: "
        + ", ".join(_segment(segment) for segment in exposure.segments)
        for exposure in build_exposures(orders(table), max_gap_days)
    ]


def _segment(segment: DoseSegment) -> str:
    low = "?" if segment.low_mg is None else f"{segment.low_mg:g}"
    high = "?" if segment.high_mg is None else f"{segment.high_mg:g}"
    dose = low if low == high else f"{low}-{high}"
    return dose + ("" if segment.days_certain else " (days uncertain)")


def test_the_text_table_reader_names_a_row_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        rows("drug | day\n-----+----\nsertraline")


def test_a_gap_at_the_limit_keeps_one_exposure() -> None:
    """30 January to 14 February leaves 14 uncovered days."""
    table = """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2024-01-01 | 2024-01-30 | 100
        sertraline | 2024-02-14 | 2024-03-14 | 100
    """
    assert exposures_of(table) == ["sertraline 2024-01-01..2024-03-14: 100, 100"]


def test_a_gap_one_day_longer_makes_two() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2024-01-01 | 2024-01-30 | 100
        sertraline | 2024-02-15 | 2024-03-14 | 100
    """
    assert exposures_of(table) == [
        "sertraline 2024-01-01..2024-01-30: 100",
        "sertraline 2024-02-15..2024-03-14: 100",
    ]


def test_overlapping_repeats_of_one_order_count_once() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2024-01-01 | 2024-02-15 | 25
        sertraline | 2024-02-01 | 2024-03-15 | 25
    """
    assert exposures_of(table) == ["sertraline 2024-01-01..2024-03-15: 25"]


def test_a_newer_dose_replaces_or_adds_to_the_older_one() -> None:
    """From February on it is 100 mg if the new order replaces the old one, 150 mg if it adds to it."""
    table = """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2024-01-01 | 2024-02-29 | 50
        sertraline | 2024-02-01 | 2024-03-31 | 100
    """
    assert exposures_of(table) == ["sertraline 2024-01-01..2024-03-31: 50, 100-150, 100"]


def test_different_drugs_never_join() -> None:
    table = """
        drug        | first_day  | last_day   | mg_per_day
        ------------+------------+------------+-----------
        sertraline  | 2024-01-01 | 2024-02-29 | 50
        venlafaxine | 2024-02-01 | 2024-03-31 | 150
    """
    assert exposures_of(table) == [
        "sertraline 2024-01-01..2024-02-29: 50",
        "venlafaxine 2024-02-01..2024-03-31: 150",
    ]


def test_as_needed_orders_stay_apart() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day | use
        -----------+------------+------------+------------+--------
        sertraline | 2024-01-01 | 2024-02-29 | 50         | met
        sertraline | 2024-03-01 | 2024-04-30 | 50         | not-met
    """
    assert len(exposures_of(table)) == 2


def test_a_use_that_is_unknown_joins_with_uncertain_days() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day | use
        -----------+------------+------------+------------+--------
        sertraline | 2024-01-01 | 2024-01-31 | 50         | met
        sertraline | 2024-02-01 | 2024-02-29 | 50         | unknown
    """
    assert exposures_of(table) == ["sertraline 2024-01-01..2024-02-29: 50, 50 (days uncertain)"]


def test_an_order_that_may_have_ended_earlier_is_uncertain_only_where_nothing_else_covers_it() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day | days
        -----------+------------+------------+------------+----------
        sertraline | 2024-01-01 | 2024-03-31 | 50         | uncertain
        sertraline | 2024-02-01 | 2024-02-29 | 50         | certain
    """
    assert exposures_of(table) == [
        "sertraline 2024-01-01..2024-03-31: 50 (days uncertain), 50, 50 (days uncertain)"
    ]


def test_a_newer_order_of_unknown_dose_makes_the_dose_unknown() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2024-01-01 | 2024-02-29 | 50
        sertraline | 2024-02-01 | 2024-02-29 | ?
    """
    assert exposures_of(table) == ["sertraline 2024-01-01..2024-02-29: 50, ?"]


def test_unidentified_drugs_join_only_under_one_name() -> None:
    table = """
        drug    | first_day  | last_day   | mg_per_day
        --------+------------+------------+-----------
        tablet  | 2024-01-01 | 2024-01-31 | ?
        tablet  | 2024-02-01 | 2024-02-29 | ?
        capsule | 2024-02-01 | 2024-02-29 | ?
    """
    assert exposures_of(table) == [
        "tablet 2024-01-01..2024-02-29: ?",
        "capsule 2024-02-01..2024-02-29: ?",
    ]


def test_an_order_that_ends_before_it_begins_is_no_use_of_a_drug() -> None:
    table = """
        drug       | first_day  | last_day   | mg_per_day
        -----------+------------+------------+-----------
        sertraline | 2024-02-01 | 2024-01-31 | 50
    """
    assert exposures_of(table) == []
