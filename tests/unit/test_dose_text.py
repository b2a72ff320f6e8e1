"""Dosage texts: what a text table says each of them means, and which are better left unread."""

from __future__ import annotations

import pytest

from cds_service.fhir_reading.dose_text import Amount, Rate, read_dose_text, read_rate

READINGS = """
Take 1 tablet by mouth daily                          | 1 count @ 1
1 tab po bid                                          | 1 count @ 2
2 tabs qAM                                            | 2 count @ 1
take two capsules every morning                       | 2 count @ 1
one and a half tablets daily                          | 1.5 count @ 1
one-half tablet daily                                 | 0.5 count @ 1
Take ½ tablet at bedtime                              | 0.5 count @ 1
1 1/2 tabs daily                                      | 1.5 count @ 1
1/2 tab                                               | 0.5 count @ ?
50mg od                                               | 50 mass @ 1
75 mg BD                                              | 75 mass @ 2
100mg nocte                                           | 100 mass @ 1
37,5 mg täglich                                       | 37.5 mass @ 1
1-2 tablets at night                                  | 1-2 count @ 1
one or two tablets at night                           | 1-2 count @ 1
50 mg to 100 mg daily                                 | 50-100 mass @ 1
20 mg every other day                                 | 20 mass @ 0.5
ONE TO BE TAKEN EACH DAY                              | 1 count @ 1
1 tablet three times a day                            | 1 count @ 3
take 1 tablet 3 times a day                           | 1 count @ 3
1 tablet 1x/day                                       | 1 count @ 1
Take 1 tablet by mouth 2 (two) times daily            | 1 count @ 2
1 tablet q12h                                         | 1 count @ 2
1 tablet every 6-8 hours                              | 1 count @ 3-4
150 mg/day                                            | 150 mass @ 1
5 mL twice daily                                      | 5 volume @ 2
1-0-1                                                 | 2 count @ 1
90 mg weekly                                          | 90 mass @ 0.143
Take 1 capsule once a week on Sundays                 | 1 count @ 0.143
1 tablet Mon, Wed, Fri                                | 1 count @ 0.429
1 tablet in the morning and 2 tablets at night        | 1 count @ 1 + 2 count @ 1
50mg mane and 100mg nocte                             | 50 mass @ 1 + 100 mass @ 1
1 tablet morning and night                            | 1 count @ 2
Take 1 tablet every evening at bedtime                | 1 count @ 1
1 tablet at 9am and 1 tablet at 9 pm                  | 1 count @ 1 + 1 count @ 1
Take 1 tablet daily. Do not exceed 200 mg per day.    | 1 count @ 1
2 capsules once daily with food for depression        | 2 count @ 1
1 tab po qd x 2 weeks then 2 tabs qd                  | 1 count @ 1 for 14 > 2 count @ 1
50 mg daily for 7 days, then increase to 100 mg daily | 50 mass @ 1 for 7 > 100 mass @ 1
25mg x 1 week, then 50mg daily                        | 25 mass @ 1 for 7 > 50 mass @ 1
take 1 tablet daily for 30 days                       | 1 count @ 1 for 30
twice daily                                           | ? @ 2
"""


def cases(table: str) -> list[tuple[str, str]]:
    rows = [line.split("|") for line in table.strip().splitlines()]
    return [(text.strip(), meaning.strip()) for text, meaning in rows]


def shown(number: Amount | Rate | None) -> str:
    if number is None:
        return "?"
    ends = f"{round(number.low, 3):g}" + ("" if number.low == number.high else f"-{round(number.high, 3):g}")
    return f"{ends} {number.kind.value}" if isinstance(number, Amount) else ends


@pytest.mark.parametrize(("text", "meaning"), cases(READINGS))
def test_readings(text: str, meaning: str) -> None:
    reading = read_dose_text(text)
    steps = [
        " + ".join(f"{shown(part.amount)} @ {shown(part.rate)}" for part in step.parts)
        + (f" for {step.days}" if step.days else "")
        for step in reading.steps
    ]
    assert (reading.unclear, " > ".join(steps)) == ("", meaning)


@pytest.mark.parametrize(
    "text",
    [
        "titrate to effect, up to 200 mg daily",
        "1 tab daily; may increase to 2 tabs after 2 weeks",
        "taper as directed",
        "7mg (=one 5mg tablet PLUS one 2mg tablet) once daily",
        "50 mg daily, 100 mg daily",
        "Previously 50 mg daily, now 100 mg daily",
        "Week 1: 25 mg daily; week 2: 50 mg daily",
        "twice daily at bedtime",
        "once daily twice daily 1 tablet",
        "1 tablet on even days and 2 tablets on odd days",
        "3 drops daily",
    ],
)
def test_what_has_several_readings_is_unclear(text: str) -> None:
    reading = read_dose_text(text)
    assert reading.unclear
    assert reading.steps == ()


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
