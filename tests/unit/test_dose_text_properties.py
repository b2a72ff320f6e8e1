"""Dosage texts drawn at random: what is written is read back, and nothing raises or takes long."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir_reading import dose_words
from cds_service.fhir_reading.dose_text import LONGEST_TEXT, Step, read_dose_text, read_rate
from cds_service.tables.dosing import UnitKind, load_sig_phrases, load_units

QUARTERS = {Fraction(1, 4): ("1/4", "0.25", ".25", "¼", "a quarter"),
            Fraction(1, 2): ("1/2", "0.5", "½", "half", "one-half"),
            Fraction(3, 4): ("3/4", "0.75", "¾")}  # fmt: skip
WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
PIECES = ("tablet", "tab", "tabs", "capsule(s)", "caps", "pill", "TABLETS", "tab.", "oral tablet", "caplet")
OFTEN: dict[Fraction, tuple[str, ...]] = {
    Fraction(1): ("daily", "qd", "q.d.", "OD", "once a day", "every morning", "at bedtime", "qhs", "q24h", "1x/day",
                  "nocte", "every 24 hrs", "each evening", "mane", "/day", "once every day", "at 9 pm",
                  "1 time per day"),
    Fraction(2): ("bid", "b.d.", "twice daily", "every 12 hours", "q12h", "2 times a day", "am & pm", "2x/d",
                  "morning and night", "at 0800 and 2000", "two (2) times daily", "with breakfast and dinner"),
    Fraction(3): ("tid", "TDS", "3 times/day", "q8h", "morning, noon and night", "thrice daily", "three times a day"),
    Fraction(4): ("qid", "QDS", "four times a day", "every 6 hrs", "4x daily"),
    Fraction(1, 2): ("every other day", "alternate days", "q.o.d.", "every 2 days", "every 48 hours", "every 2nd day"),
    Fraction(1, 7): ("weekly", "once a week", "every 7 days", "on Mondays", "q week", "1x/week", "every Sunday"),
    Fraction(3, 7): ("Mon/Wed/Fri", "three times a week", "3 days a week", "MWF", "on Tue, Thu and Sat"),
    Fraction(5, 7): ("M-F", "Monday to Friday", "on weekdays", "5 days per week", "daily except Sat and Sun"),
}  # fmt: skip
ROUTES = ("", "", "po", "by mouth", "orally", "p.o.", "PO")
ENDS = (
    "",
    "",
    ".",
    " with food",
    " for depression",
    ", #30",
    ". Do not crush.",
    " as directed",
    ", Disp-30, R-3",
)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[Fraction, str]:
    """A number of pieces and one of the ways to write it."""
    whole = draw(st.integers(0, 4))
    part = draw(st.sampled_from([Fraction(0), *QUARTERS]) if whole else st.sampled_from(list(QUARTERS)))
    if not part:
        return Fraction(whole), draw(st.sampled_from([str(whole), WORDS[whole], f"{whole} ({WORDS[whole]})"]))
    if not whole:
        return part, draw(st.sampled_from(QUARTERS[part]))
    fraction = f"{part.numerator}/{part.denominator}"
    ways = [
        f"{whole} {fraction}",
        f"{whole}-{fraction}",
        f"{float(whole + part):g}",
        f"{whole} and {fraction}",
    ]
    ways += [f"{WORDS[whole]} and a half"] if part == Fraction(1, 2) else []
    return whole + part, draw(st.sampled_from(ways))


@st.composite
def doses(draw: st.DrawFn) -> tuple[float, UnitKind, float, str]:
    """Low end, kind, times a day, and the text that says so."""
    per_day = draw(st.sampled_from(list(OFTEN)))
    often = draw(st.sampled_from(OFTEN[per_day]))
    route = draw(st.sampled_from(ROUTES))
    if draw(st.booleans()):
        mg = draw(st.sampled_from(["12.5", "20", "37,5", "50", "75", "112.5", "150", "300", "1,000"]))
        unit = draw(st.sampled_from([" mg", "mg", " MG"]))
        value = float(mg.replace("1,000", "1000").replace(",", "."))
        return (
            value,
            UnitKind.MASS,
            float(per_day),
            f"{mg}{unit} {route} {often}",
        )
    number, written = draw(numbers())
    piece = draw(st.sampled_from(PIECES))
    return float(number), UnitKind.COUNT, float(per_day), f"{written} {piece} {route} {often}"


@given(
    doses(), st.sampled_from(["", "Take ", "TAKE ", "Sig: ", "take: "]), st.sampled_from(ENDS), st.booleans()
)
def test_a_dose_in_words_is_read_back(
    dose: tuple[float, UnitKind, float, str], begin: str, end: str, is_upper: bool
) -> None:
    amount, kind, per_day, text = dose
    text = begin + text + end
    reading = read_dose_text(text.upper() if is_upper else text)
    assert reading.unclear == "", text
    ((part,),) = (step.parts for step in reading.steps)
    assert part.amount and part.rate, text
    assert (part.amount.low, part.amount.high, part.amount.kind) == (amount, amount, kind), text
    assert abs(part.rate.low - per_day) < 1e-9 and part.rate.low == part.rate.high, text


LENGTHS = {7: ("x 7 days", "for 1 week", "x7d", "for a week", "for 1/52", "x 1 wk"),
           14: ("for 2 weeks", "x 14 d", "for 2/52"),
           30: ("for 30 days", "x 1 month", "for one month")}  # fmt: skip


@given(
    st.lists(st.tuples(doses(), st.sampled_from(list(LENGTHS))), min_size=2, max_size=4),
    st.sampled_from([", then ", " then ", ". Then take ", ", followed by "]),
    st.data(),
)
def test_steps_are_read_back_in_order(
    course: list[tuple[tuple[float, UnitKind, float, str], int]], then: str, data: st.DataObject
) -> None:
    texts = [f"{dose[3]} {data.draw(st.sampled_from(LENGTHS[days]))}" for dose, days in course[:-1]]
    last = course[-1][0]
    reading = read_dose_text(then.join([*texts, last[3]]))
    assert reading.unclear == "", then.join([*texts, last[3]])
    assert [step.days for step in reading.steps] == [*(days for _, days in course[:-1]), None]
    assert [_per_day(step) for step in reading.steps] == [round(dose[0] * dose[2], 6) for dose, _ in course]


def _per_day(step: Step) -> float:
    return round(sum(part.amount.low * part.rate.low for part in step.parts if part.amount and part.rate), 6)


VOCABULARY = sorted({" ".join(words) for words in load_sig_phrases()} | set(load_units()))
SCRAPS = st.sampled_from(
    [*VOCABULARY, *"0123456789", "12", "1/2", "50", ",", ".", "(", ")", "-", "/", ":", "=", "\n", "x"]
)


@given(st.lists(SCRAPS, max_size=30).map(" ".join))
def test_no_order_of_known_words_raises(text: str) -> None:
    reading = read_dose_text(text)
    assert not (reading.unclear and reading.steps)
    for step in reading.steps:
        assert step.parts and (step.days is None or step.days > 0)


@given(st.text())
def test_no_text_raises(text: str) -> None:
    read_dose_text(text)
    read_rate(text)


@given(st.text(alphabet="1 /-x().,:mgq", min_size=200, max_size=LONGEST_TEXT))
def test_no_text_of_marks_and_digits_raises(text: str) -> None:
    read_dose_text(text)


def test_a_long_text_costs_no_more_than_it_is_long() -> None:
    """Each token is made from one place, and no rule looks further than a sentence of the same text."""
    for scrap in (
        "1 ",
        "1-",
        "1/",
        "(",
        "(1 ",
        "every ",
        "max ",
        "x 1 ",
        "a b c ",
        "do not ",
        "increase by ",
        "= 1 ",
    ):
        short, long = (scrap * (length // len(scrap)) for length in (LONGEST_TEXT // 4, LONGEST_TEXT))
        assert len(dose_words.tokens_of(long)) <= 4.5 * len(dose_words.tokens_of(short))
        read_dose_text(long)


def test_what_is_longer_than_any_dosage_is_not_read_in_half() -> None:
    text = "1 tablet daily " + "with food " * 200 + "then 2 tablets daily"
    assert read_dose_text(text).unclear
