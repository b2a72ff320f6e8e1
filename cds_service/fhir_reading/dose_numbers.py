"""Numbers of dosage texts: digits, words, fractions, ranges, and those written twice ("1 (one)")."""

from __future__ import annotations

from cds_service.fhir_reading.dose_words import Tokens
from cds_service.tables.dosing import PhraseKind, UnitKind

MOST_IN_A_RANGE = 10.0  # times the low end: beyond that a hyphen joins something else ("1 - 50 mg tab")


def range_at(tokens: Tokens, at: int) -> tuple[float, float, int]:
    """ "2", "1-2", "one to two": low and high end, and how many tokens; none when no number stands here."""
    low, used = number_at(tokens, at)
    if used and tokens.is_kind(at + used, PhraseKind.RANGE):
        high, more = number_at(tokens, at + used + 1)
        if more and low <= high <= low * MOST_IN_A_RANGE:
            return low, high, used + 1 + more
    return low, low, used


def number_at(tokens: Tokens, at: int) -> tuple[float, int]:
    """The number that stands here, and how many tokens it takes; none when there is none."""
    if at not in tokens.numbers:
        tokens.numbers[at] = _number(tokens, at)
    return tokens.numbers[at]


def _number(tokens: Tokens, at: int) -> tuple[float, int]:
    value, used = _once(tokens, at)
    if used and tokens.is_word(at + used, "("):
        again, more = _once(tokens, at + used + 1)
        if more and again == value and tokens.is_word(at + used + 1 + more, ")"):
            return value, used + more + 2
    return value, used


def fraction_at(tokens: Tokens, at: int) -> tuple[float, int]:
    """ "1/2" in digits, and not the start of a date."""
    if not (tokens[at].is_digits and tokens.is_word(at + 1, "/") and tokens[at + 2].is_digits):
        return 0.0, 0
    top, bottom = tokens[at].text, tokens[at + 2].text
    is_date = tokens.is_word(at + 3, "/") and tokens[at + 4].is_digits
    if bottom not in ("2", "3", "4", "8") or not top.isdigit() or int(top) >= int(bottom) or is_date:
        return 0.0, 0
    return int(top) / int(bottom), 3


def _once(tokens: Tokens, at: int) -> tuple[float, int]:
    value, used = fraction_at(tokens, at)
    if used:
        return value, used
    value, used = _whole(tokens, at)
    if not used or value < 1 or value != int(value):
        return value, used
    joint = 1 if tokens.is_word(at + used, "-") or tokens.is_kind(at + used, PhraseKind.AND) else 0
    fraction, more = fraction_at(tokens, at + used + joint)
    if not more and joint and tokens.is_kind(at + used, PhraseKind.AND):
        fraction, more = _whole(tokens, at + used + joint)
    return (value + fraction, used + joint + more) if more and 0 < fraction < 1 else (value, used)


def _whole(tokens: Tokens, at: int) -> tuple[float, int]:
    """Digits, or words with tens, hundreds and decimals ("thirty seven point five")."""
    token = tokens[at]
    number = token.meaning(PhraseKind.NUMBER)
    if number is None:
        return _letter(tokens, at)
    if token.is_digits:
        return number.number, 1
    value, used = _hundreds(tokens, at)
    if tokens.is_word(at + used, "point"):
        decimal, more = _small_word(tokens, at + used + 1)
        return (value + decimal / 10, used + 2) if more and decimal < 10 else (value, used)
    return value, used


def _hundreds(tokens: Tokens, at: int) -> tuple[float, int]:
    value, used = _tens(tokens, at)
    if not tokens.is_word(at + used, "hundred"):
        return value, used
    value, used = value * 100, used + 1
    joint = 1 if tokens.is_kind(at + used, PhraseKind.AND) else 0
    rest, more = _tens(tokens, at + used + joint)
    return (value + rest, used + joint + more) if more and 1 <= rest < 100 else (value, used)


def _tens(tokens: Tokens, at: int) -> tuple[float, int]:
    value, used = _small_word(tokens, at)
    if used and 20 <= value < 100 and value % 10 == 0:
        joint = 1 if tokens[at + used].is_glued else 0  # "thirty-seven"
        ones, more = _small_word(tokens, at + used + joint)
        if more and 1 <= ones < 10 and ones == int(ones):
            return value + ones, used + joint + more
    return value, used


def _small_word(tokens: Tokens, at: int) -> tuple[float, int]:
    number = tokens[at].meaning(PhraseKind.NUMBER)
    return (number.number, 1) if number and not tokens[at].is_digits else (0.0, 0)


def is_joint(tokens: Tokens, at: int) -> bool:
    """Whether a word that may be "and" or "one" ("en", "et") is "and": behind what was told, as a dose or a time."""
    before = at - 1 if not tokens.is_word(at - 1, ".") else at - 2
    is_told = tokens[before].unit is not None or tokens.is_word(before, ")")
    is_told |= tokens.is_kind(before, *TOLD)
    return tokens.is_kind(at, PhraseKind.AND) and is_told


TOLD = (
    PhraseKind.NUMBER,
    PhraseKind.MOMENT,
    PhraseKind.WEEKDAY,
    PhraseKind.EACH_DAY,
    PhraseKind.TIMES_PER_DAY,
    PhraseKind.DAYS,
)


def _letter(tokens: Tokens, at: int) -> tuple[float, int]:
    """ "ii tabs", "T tab", "a tablet": a letter is a number only before what it counts."""
    article = tokens[at].meaning(PhraseKind.ARTICLE)
    is_counting = tokens[at + 1].counts_pieces or (
        tokens.is_kind(at, PhraseKind.FOREIGN)  # "morgens eine", "un le matin"
        and (tokens.is_kind(at - 1, PhraseKind.MOMENT) or tokens.is_kind(at + 1, PhraseKind.MOMENT))
    )
    if article and is_counting and not tokens.is_kind(at - 1, PhraseKind.NUMBER) and not is_joint(tokens, at):
        return article.number, 1
    roman = tokens[at].meaning(PhraseKind.ROMAN)
    if roman is None:
        return 0.0, 0
    unit = tokens[at + 1].unit
    counts = unit is not None and unit.kind is not UnitKind.MASS
    after = tokens.after(at + 1, PhraseKind.HARMLESS)
    often = tokens.is_kind(after, PhraseKind.TIMES_PER_DAY, PhraseKind.MOMENT, PhraseKind.EACH_DAY)
    return (roman.number, 1) if counts or (often and set(tokens[at].text) <= {"i", "s"}) else (0.0, 0)
