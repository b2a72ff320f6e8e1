"""Dosage texts: what a text table says each of them means, and which are better left unread."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.fhir_reading.dose_text import Amount, DoseText, Part, Rate, Step, read_dose_text, read_rate
from cds_service.tables.dosing import UnitKind

CORPUS = Path(__file__).with_name("dose_texts.txt")
KINDS = {UnitKind.MASS: "mg", UnitKind.VOLUME: "mL", UnitKind.COUNT: "pc"}


def cases() -> list[tuple[str, str]]:
    rows = [
        line.rsplit("|", 1) for line in CORPUS.read_text("utf-8").splitlines() if line[:1] not in ("", "#")
    ]
    return [(text.strip().replace("[newline]", "\n"), meaning.strip()) for text, meaning in rows]


def shown(reading: DoseText) -> str:
    """A reading in the notation of the corpus."""
    dose = "unclear" if reading.unclear else " > ".join(map(shown_step, reading.steps)) or "nothing"
    most = f"max {shown_amount(reading.most_per_day)}" if reading.most_per_day else ""
    prn = "prn" if reading.as_needed and not reading.unclear else ""
    return " ".join(word for word in (dose, "stops" if reading.stops else "", prn, most) if word)


def shown_step(step: Step) -> str:
    parts = " + ".join(map(shown_part, step.parts))
    return f"{parts} for {step.days}" if step.days else parts


def shown_part(part: Part) -> str:
    amount = shown_amount(part.amount) if part.amount else "?"
    return f"{amount} @ {shown_ends(part.rate) if part.rate else '?'}"


def shown_amount(amount: Amount) -> str:
    each = f" of {amount.mg_each:g}" if amount.mg_each is not None else ""
    beside = f" {'total' if amount.is_total else 'beside'} {amount.mg_beside:g}" if amount.mg_beside else ""
    return f"{shown_ends(amount)} {KINDS.get(amount.kind, amount.kind.value)}{each}{beside}"


def shown_ends(ends: Amount | Rate) -> str:
    low, high = f"{round(ends.low, 3):g}", f"{round(ends.high, 3):g}"
    return low if low == high else f"{low}-{high}"


@pytest.mark.parametrize(("text", "meaning"), cases())
def test_readings(text: str, meaning: str) -> None:
    reading = read_dose_text(text)
    assert shown(reading) == meaning, reading.unclear
    assert reading.steps == () or not reading.unclear


@pytest.mark.parametrize("text", ["", "as directed", "see attached letter", "💊", "()", "x" * 5000])
def test_what_says_nothing_has_no_steps(text: str) -> None:
    assert read_dose_text(text).steps == ()


@pytest.mark.parametrize(
    ("text", "as_needed"),
    [
        ("1 tablet at night PRN", True),
        ("1 tab p.r.n.", True),
        ("take 1 tablet as needed for sleep", True),
        ("1 tablet if required", True),
        ("1 tablet daily as directed", False),
    ],
)
def test_as_needed(text: str, as_needed: bool) -> None:
    assert read_dose_text(text).as_needed is as_needed


@pytest.mark.parametrize(
    ("text", "each", "beside", "is_total"),
    [
        ("2 x 50 mg tablets daily", 50, None, False),
        ("SERTRALINE 50MG TAB TAKE ONE TABLET DAILY", 50, None, False),
        ("Take 2 tablets (100 mg) daily", None, 100, False),
        ("Take 1 tablet (50 mg total) by mouth daily.", None, 50, True),
        ("take 10 mL (10 mg) daily", None, 10, True),
    ],
)
def test_mg_beside_a_count(text: str, each: float | None, beside: float | None, is_total: bool) -> None:
    amount = read_dose_text(text).steps[0].parts[0].amount
    assert amount is not None
    assert (amount.mg_each, amount.mg_beside, amount.is_total) == (each, beside, is_total)


@pytest.mark.parametrize(
    ("code", "per_day"),
    [("QD", 1), ("BID", 2), ("TID", 3), ("QID", 4), ("QOD", 0.5), ("AM", 1), ("PM", 1), ("BED", 1), ("Q4H", 6),
     ("Q6H", 4), ("Q8H", 3), ("Q12H", 2), ("WK", 1 / 7), ("MO", 1 / 30)],
)  # fmt: skip
def test_timing_codes(code: str, per_day: float) -> None:
    assert read_rate(code) == Rate(pytest.approx(per_day), pytest.approx(per_day))  # type: ignore[arg-type]


def test_an_unknown_timing_code_is_no_rate() -> None:
    assert read_rate("XYZZY") is None


@pytest.mark.parametrize(
    ("text", "only_as_needed"),
    [
        ("1 tablet at night as needed for sleep", True),
        ("Take as needed 1 tablet daily", True),
        ("Take 1 tablet daily. As needed for pain", True),
        ("50 mg daily (2 x 25 mg) as needed", True),
        ("1 tablet every day. may take 2 tablets if needed", False),
        ("1 tablet daily, may take 1 extra tablet prn", False),
        ("1 tablet every morning and 1 tablet at bedtime as needed", False),
        ("1 tablet daily for 7 days, then 2 tablets as needed", False),
    ],
)
def test_what_is_only_in_part_as_needed_has_no_certain_dose(text: str, only_as_needed: bool) -> None:
    reading = read_dose_text(text)
    assert reading.as_needed is only_as_needed
    assert bool(reading.unclear) is not only_as_needed
