"""What stands around a dosage and says nothing of the dose: supplies, refills, numbers of forms, warnings."""

from __future__ import annotations

from cds_service.fhir_reading.dose_items import NOT_HERE, Mark, Read, Unclear
from cds_service.fhir_reading.dose_numbers import range_at
from cds_service.fhir_reading.dose_words import Tokens
from cds_service.tables.dosing import PhraseKind, UnitKind

ENDS_OF_SENTENCES = (".", ";", "!", "\n")
REFILLS = ("refill", "refills", "rf", "rfl", "rfls", "ref", "r", "repeat", "repeats", "rpt", "rpts")
HYPHENATED = ("ndc", "phone", "tel", "fax")  # "NDC 0049-4900-66"
SHORTEST_RX_NUMBER = 4
BESIDE_A_NUMBER = (":", "-", "=", "#", ".", "x", "of")


def read_supply(tokens: Tokens, at: int) -> Read:
    """ "Disp: 30 tablets", "#30", "2 refills", "30 tablets, 3 refills", "30 day supply", "Rx # 1234"."""
    end = _supply_before_number(tokens, at) or _supply_after_number(tokens, at)
    return ((Mark.REFILLS,) if _are_refills(tokens, at, end) else (), end - at) if end else NOT_HERE


def _are_refills(tokens: Tokens, at: int, end: int) -> bool:
    """Whether what is supplied is supplied again, so that a length is only that of one supply."""
    are_named = any(tokens[place].words[0] in REFILLS for place in range(at, end))
    numbers = [number for place in range(at, end) if (number := tokens[place].meaning(PhraseKind.NUMBER))]
    return are_named and bool(numbers) and numbers[-1].number > 0


def read_company(tokens: Tokens, at: int) -> Read:
    """ "with 8 oz of water"; another amount that is taken with it leaves open which is the dose."""
    if not tokens.is_kind(at, PhraseKind.WITH):
        return NOT_HERE
    begin = at + 1 + tokens.is_word(at + 1, "about", "at least", "approximately", "a", "one")
    end = _counted(tokens, begin)
    is_drink = tokens.is_kind(end, PhraseKind.DRINK) or tokens.is_kind(end + 1, PhraseKind.DRINK)
    if end > begin and is_drink:
        return (), end + 1 + (not tokens.is_kind(end, PhraseKind.DRINK)) - at
    is_amount = end > begin and tokens[end - 1].unit is not None
    return ((Unclear(f'"{tokens[at].text}" another amount'),), 1) if is_amount else NOT_HERE


def read_meals(tokens: Tokens, at: int) -> Read:
    """ "With meals" says nothing of how often, unless it is one of several times ("with meals and at noon")."""
    if not tokens.is_kind(at, PhraseKind.MEALS):
        return NOT_HERE
    is_one_of_several = tokens.is_kind(at + 1, PhraseKind.AND) or tokens.is_kind(at - 1, PhraseKind.AND)
    return ((Unclear("how many meals is not told"),) if is_one_of_several else ()), 1


def _supply_before_number(tokens: Tokens, at: int) -> int:
    if not tokens.is_kind(at, PhraseKind.SUPPLY) or tokens.is_word(at - 1, "take", "give"):
        return 0
    end = tokens.after(at, PhraseKind.SUPPLY)
    are_refills = tokens[end - 1].words[0] in REFILLS
    while tokens.is_word(end, *BESIDE_A_NUMBER) or tokens.is_kind(end, PhraseKind.SUPPLY):
        if are_refills and tokens.is_word(end, "."):
            return 0  # "no refills. 1 tablet daily"
        end += 1
    number = _counted(tokens, end)
    if are_refills and number > end and tokens[number - 1].unit is not None:
        return 0  # "refills 1 tablet daily"
    if tokens.is_word(at, "rx") and len(tokens[end].text) < SHORTEST_RX_NUMBER:
        return 0  # "Rx: 1 tablet daily"
    while (
        number > end
        and tokens.is_word(at, *HYPHENATED)
        and tokens.is_word(number, "-")
        and tokens[number + 1].is_digits
    ):
        number += 2
    return number if number > end else 0


def _supply_after_number(tokens: Tokens, at: int) -> int:
    """Also the amount before it: "30 tablets, 3 refills"."""
    end = _counted(tokens, at)
    if end == at:
        return 0
    if tokens.is_kind(end, PhraseKind.SUPPLIED):
        return end + 1
    joint = end + 1 if tokens.is_word(end, ",") else end
    if tokens.is_word(at - 1, ",") and tokens[end - 1].unit is not None and tokens.is_word(joint, *REFILLS):
        return _supply_before_number(tokens, joint)  # "..., 60 tablet, refills 3"
    refills = _counted(tokens, joint)
    is_supply = (
        refills > joint and tokens.is_kind(refills, PhraseKind.SUPPLIED) and tokens[end - 1].unit is not None
    )
    return refills + 1 if is_supply and at > 0 else 0


def _counted(tokens: Tokens, at: int) -> int:
    """The end of a number with or without a unit, or `at`."""
    used = range_at(tokens, at)[2]
    end = at + used
    return end + (used > 0 and tokens[end].unit is not None)


CHANGES = (PhraseKind.NUMBER, PhraseKind.THEN, PhraseKind.CHANGE, PhraseKind.STOP)


def read_warning(tokens: Tokens, at: int) -> Read:
    """A warning up to its end; unclear when what follows in its sentence has numbers, which may be a dose.

    A sentence that begins with a condition ("If a rash occurs, ...") is one if it has no numbers at all.
    """
    is_condition = tokens.is_kind(at, PhraseKind.CONDITION)
    if not is_condition and not tokens.is_kind(at, PhraseKind.WARNING):
        return NOT_HERE
    end = _end_of(tokens, at, (*ENDS_OF_SENTENCES, ","))
    after = _end_of(tokens, at, ENDS_OF_SENTENCES)
    begins = at == 0 or tokens.is_word(at - 1, *ENDS_OF_SENTENCES)
    if (
        is_condition
        and not begins
        and not any(tokens.is_kind(place, PhraseKind.WARNING) for place in range(at, after))
    ):
        return NOT_HERE  # "1 tablet if anxious", unlike "if sleepy do not drive"
    has_dose = any(_is_amount(tokens, place) for place in range(at, end))
    if has_dose or any(
        tokens.is_kind(place, *CHANGES) for place in range(at if is_condition else end, after)
    ):
        return (Unclear("a condition or warning with numbers"),), after - at
    return (), after - at


def _is_amount(tokens: Tokens, at: int) -> bool:
    """ "do not skip doses - take 2 tablets": a warning does not hide a dose."""
    if not tokens.is_kind(at, PhraseKind.NUMBER):
        return False
    unit = tokens[at + range_at(tokens, at)[2]].unit
    return unit is not None and unit.kind is not UnitKind.UNREADABLE


def _end_of(tokens: Tokens, at: int, ends: tuple[str, ...]) -> int:
    while at < len(tokens) and not tokens.is_word(at, *ends):
        at += 1
    return at
