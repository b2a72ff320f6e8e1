"""On which days a drug is taken: up to today, ahead as it is ordered, and as it is drafted."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.record import DoseSegment, Prescription, StopReason
from cds_service.trd.uses import Use, use_as_drafted, uses_ahead, uses_up_to
from tests.spec.people import DRUGS

ON = date(2026, 6, 30)
USE = Finding("use", Answer.MET, "stated use")


def an_order(*spans: str, name: str = "sertraline", **given: Any) -> Prescription:
    """An order on days of June and July 2026, such as `06-01 to 06-30`; a `?` behind them makes them uncertain."""
    segments = tuple(
        DoseSegment(day(first), day(last.rstrip("?")), 50.0, 50.0, not last.endswith("?"))
        for first, last in (span.split(" to ") for span in spans)
    )
    return Prescription(f"MedicationRequest/{name}", DRUGS.get(name), name, segments, USE, **given)


def day(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


def shown(stretches: tuple[tuple[date, date], ...]) -> str:
    return ", ".join(
        f"{first:%m-%d} to {'ever' if last == date.max else format(last, '%m-%d')}"
        for first, last in stretches
    )


def both(use: Use) -> tuple[str, str]:
    return shown(use.possible), shown(use.certain)


def test_up_to_today() -> None:
    (use,) = uses_up_to([an_order("06-01 to 06-10", "06-30 to 07-20?"), an_order("07-01 to 07-09")], ON)
    assert both(use) == ("06-01 to 06-10, 06-30 to 06-30", "06-01 to 06-10")
    assert use.evidence == ("MedicationRequest/sertraline",)
    assert (
        uses_up_to([an_order("06-01 to 06-10", is_denial=True), an_order("06-01 to 06-10", name="?")], ON)
        == ()
    )


@pytest.mark.parametrize(
    ("order", "days"),
    [
        (an_order("06-01 to 06-30"), ("06-01 to ever", "06-01 to 06-30")),
        (an_order("06-30 to 06-30"), ("06-30 to ever", "06-30 to 06-30")),
        (an_order("06-01 to 06-29"), ("06-01 to 06-29", "06-01 to 06-29")),
        (an_order("06-01 to 07-01"), ("06-01 to 07-01", "06-01 to 07-01")),
        (an_order("06-21 to 06-30", "06-01 to 06-20"), ("06-01 to ever", "06-01 to 06-30")),
        (an_order("06-01 to 06-30?"), ("06-01 to 06-30", "")),
        (an_order("06-01 to 06-30", stated_end=day("07-10")), ("06-01 to 07-10", "06-01 to 07-10")),
        (an_order("06-01 to 06-30", stated_end=ON), ("06-01 to 06-30", "06-01 to 06-30")),
        (an_order("06-01 to 06-30", stop_reason=StopReason.OTHER), ("06-01 to 06-30", "06-01 to 06-30")),
        (an_order("06-01 to 06-10", "06-20 to 06-19"), ("06-01 to 06-10", "06-01 to 06-10")),
    ],
)
def test_ahead(order: Prescription, days: tuple[str, str]) -> None:
    (use,) = uses_ahead([order], ON)
    assert both(use) == days


@pytest.mark.parametrize(
    ("draft", "days"),
    [
        (an_order("06-30 to 07-27"), ("06-30 to 07-27", "06-30 to 07-27")),
        (an_order("06-30 to 06-30"), ("06-30 to ever", "06-30 to 06-30")),
        (an_order("07-05 to 07-05"), ("07-05 to ever", "07-05 to 07-05")),
        (an_order("06-01 to 06-30"), ("06-30 to ever", "06-30 to 06-30")),
        (an_order("06-01 to 06-20"), ("06-30 to ever", "06-30 to 06-30")),
        (an_order(), ("06-30 to ever", "06-30 to 06-30")),
        (an_order("06-20 to 06-30", "07-02 to 07-20"), ("06-30 to 06-30, 07-02 to 07-20",) * 2),
        (an_order("06-30 to 06-30", "07-02 to 07-20"), ("06-30 to 06-30, 07-02 to 07-20",) * 2),
        (an_order("07-11 to 07-20", "07-05 to 07-10"), ("07-05 to 07-20", "07-05 to 07-20")),
        (an_order("07-05 to 07-10?"), ("07-05 to 07-10", "07-05 to 07-10")),
        (an_order("07-05 to 07-01"), ("07-05 to ever", "07-05 to 07-05")),
    ],
)
def test_as_drafted(draft: Prescription, days: tuple[str, str]) -> None:
    """None of its days lies before today, and those that it orders count as certain."""
    use = use_as_drafted(draft, DRUGS["sertraline"], ON)
    assert both(use) == days and use.evidence == (draft.reference,)
