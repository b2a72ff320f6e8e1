"""How much, in a dosage text: pieces, mg, mL, with the strength of a piece where it is told.

`read_amount` reads what stands at one place; `joined` then makes one amount of those that say one thing
("2 tablets (100 mg)", "50 mg tablet: take 2").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from cds_service.fhir_reading.dose_items import (
    MOST_BARE_PIECES,
    NOT_HERE,
    Again,
    Amount,
    Beside,
    Concentration,
    Item,
    Ladder,
    Mark,
    Moment,
    Most,
    Read,
    Strength,
    Times,
    Total,
    Unclear,
)
from cds_service.fhir_reading.dose_numbers import number_at, range_at
from cds_service.fhir_reading.dose_times import interval_at, read_how_often, read_length
from cds_service.fhir_reading.dose_words import Tokens
from cds_service.tables.dosing import PhraseKind, UnitKind

MOST_WORDS_IN_A_FORM = 4  # "50 mg film coated tablet"
MOST_IN_A_SCHEME = 8.0
MOST_TIMES_OF_DAY = 4
AMOUNTS_DIFFER = Unclear("amounts that do not fit each other")
SAME_WITHIN = 0.005


def is_same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=SAME_WITHIN)


# --- one place of the text ------------------------------------------------------------------------------


def read_amount(tokens: Tokens, at: int) -> Read:
    """The amount, strength or daily scheme that begins here."""
    for rule in (_scheme, _so_many_times, _named_strength, _mass, _some_of_a_strength, _count):
        items, used = rule(tokens, at)
        if used:
            return items, used
    return NOT_HERE


def _scheme(tokens: Tokens, at: int) -> Read:
    """ "1-0-2": pieces in the morning, at noon, in the evening (and at night)."""
    numbers: list[float] = []
    end = at
    while tokens[end].is_digits and len(numbers) <= MOST_TIMES_OF_DAY:
        number, used = number_at(tokens, end)
        numbers.append(number)
        end += used
        if not tokens.is_word(end, "-"):
            break
        end += 1
    if len(numbers) > MOST_TIMES_OF_DAY:
        return (Unclear("a scheme of more times of day than four"),), end - at
    if len(numbers) < 3 or tokens.is_word(end - 1, "-") or max(numbers) > MOST_IN_A_SCHEME:
        return NOT_HERE
    end += tokens[end].counts_pieces
    return _of_a_day(sum(numbers)), end - at


def _so_many_times(tokens: Tokens, at: int) -> Read:
    """ "2x1", "1 x 1 tablet": so many times a day so many pieces; the product is the same in whichever order."""
    times, used = number_at(tokens, at)
    begin = at + used + 1
    pieces, more = number_at(tokens, begin)
    end = begin + more
    if not used or not more or not tokens.is_word(begin - 1, "x") or _counts_something_else(tokens, end):
        return NOT_HERE
    if max(times, pieces) > MOST_BARE_PIECES or tokens.is_word(end, *ONE_DOSE):
        return NOT_HERE
    end += tokens[end].counts_pieces
    return _of_a_day(times * pieces), end - at


def _of_a_day(pieces: float) -> tuple[Item, ...]:
    return Amount(pieces, pieces, UnitKind.COUNT), Times(1, 1), Mark.SCHEME


ONE_DOSE = ("dose", "doses")


def _named_strength(tokens: Tokens, at: int) -> Read:
    """ "Strength: 50 mg"."""
    if not tokens.is_kind(at, PhraseKind.STRENGTH):
        return NOT_HERE
    begin = at + 1 + tokens.is_word(at + 1, ":", "=")
    low, high, end = _quantity(tokens, begin, UnitKind.MASS)
    return ((Strength(low),), end - at) if end > begin and low == high else NOT_HERE


def _mass(tokens: Tokens, at: int) -> Read:
    """mg: an amount, or the strength of a tablet, of a mL, of a patch in 24 hours."""
    low, high, end = _quantity(tokens, at, UnitKind.MASS)
    if end == at:
        return NOT_HERE
    if tokens.is_word(end, "/") or tokens.is_kind(end, PhraseKind.PER):
        items, used = _ratio(tokens, end, low, high)
        if used:
            return items, end + used - at
    if tokens.is_word(end, "x", "of"):
        times, used = number_at(tokens, end + 1)
        after = end + 1 + used
        if used and tokens.is_word(end, "x") and not _counts_something_else(tokens, after) and low == high:
            if (
                at == 0 and after == len(tokens) and times <= MOST_BARE_PIECES
            ):  # "150 mg x 2" is all: times a day
                return (Amount(low, high, UnitKind.MASS), Times(times, times)), after - at
            after += tokens[after].counts_pieces
            return (Amount(times, times, UnitKind.COUNT, mg_each=low),), after - at
    total = tokens[end].meaning(PhraseKind.TOTAL)
    if total and not _quantity_follows(tokens, end):
        return (Total(Amount(low, high, UnitKind.MASS), total.slot == "daily"),), end + 1 - at
    form = _form(tokens, end)
    if form == end and tokens.is_word(end, "each") and not tokens.is_kind(end + 1, *TIMES_OF_EACH):
        form += 1  # "3 capsules, 75 mg each"
    if form > end:
        return (Strength(low if low == high else None),), form - at
    return (Amount(low, high, UnitKind.MASS),), end - at


TIMES_OF_EACH = (
    PhraseKind.DAYS,
    PhraseKind.MOMENT,
    PhraseKind.WEEKDAY,
    PhraseKind.ORDINAL,
    PhraseKind.NUMBER,
)


def _quantity_follows(tokens: Tokens, at: int) -> bool:
    return at + 1 < len(tokens) and range_at(tokens, at + 1)[2] > 0


def _quantity(tokens: Tokens, at: int, *kinds: UnitKind) -> tuple[float, float, int]:
    """A number (or range) with a unit of these kinds, in mg or mL; ends where it began when none stands here."""
    low, high, used = range_at(tokens, at)
    unit = tokens[at + used].unit
    if not used or unit is None or unit.kind not in kinds:
        return 0.0, 0.0, at
    end = at + used + 1
    if low == high and tokens.is_kind(end, PhraseKind.RANGE):  # "50 mg to 100 mg"
        other, more = number_at(tokens, end + 1)
        other_unit = tokens[end + 1 + more].unit
        if (
            more
            and other_unit
            and other_unit.kind is unit.kind
            and other * other_unit.factor >= low * unit.factor
        ):
            return low * unit.factor, other * other_unit.factor, end + more + 2
    return low * unit.factor, high * unit.factor, end


def _ratio(tokens: Tokens, at: int, low: float, high: float) -> Read:
    """What follows the mg in "20 mg/5 mL", "50 mg per tablet", "6 mg/24 h patch", "25 mg/6 mg"."""
    number, used = number_at(tokens, at + 1)
    unit = tokens[at + 1 + used].unit
    end = used + 2
    if unit and unit.kind is UnitKind.VOLUME and low == high:
        return (Concentration(low / ((number if used else 1.0) * unit.factor)),), end
    if unit and unit.kind is UnitKind.COUNT and (not used or number == 1):
        return (Strength(low if low == high else None),), end
    if unit and unit.kind is UnitKind.MASS and used:
        form = _form(tokens, at + end)
        return (Strength(None),), form - at
    days = interval_at(tokens, at)
    if days[2]:
        after = at + days[2]
        form = _form(tokens, after)
        is_of_patch = form > after or (
            tokens[after - 1].text.startswith("h") and _pieces_follow(tokens, after)
        )
        return ((Strength(low),), form - at) if is_of_patch and days[:2] == (1.0, 1.0) else NOT_HERE
    if tokens.is_word(at, "/"):
        return (Unclear("an amount by weight, surface or hour"),), 1
    return NOT_HERE


def _pieces_follow(tokens: Tokens, at: int) -> bool:
    """ "6 mg/24 h: apply 1 patch daily"."""
    places = ((place, range_at(tokens, place)[2]) for place in range(at, at + MOST_WORDS_IN_A_FORM))
    return any(used and tokens[place + used].counts_pieces for place, used in places)


def _counts_something_else(tokens: Tokens, at: int) -> bool:
    """ "50 mg x 2 weeks", "50 mg x 2 daily"."""
    unit = tokens[at].unit
    has_unit = unit is not None and unit.kind is not UnitKind.COUNT
    is_time = tokens.is_kind(at, PhraseKind.DAYS, PhraseKind.TIMES) or interval_at(tokens, at)[2] > 0
    return has_unit or is_time or tokens.is_word(at, "/")


def _form(tokens: Tokens, at: int) -> int:
    """The end of the name of a form that stands here without a number ("film coated tablets"), or `at`."""
    begin = at
    if tokens.is_word(begin, "12", "24") and tokens[begin + 1].text in ("h", "hr", "hrs", "hour", "hours"):
        begin += 2  # "150 mg 12 hr tablet"
    for end in range(begin, begin + MOST_WORDS_IN_A_FORM + 1):
        if tokens[end].counts_pieces and not tokens.is_kind(end, PhraseKind.EVERY):
            return end + 1
        if not tokens[end].text.isalpha() or tokens[end].meanings:
            return at
    return at


def _some_of_a_strength(tokens: Tokens, at: int) -> Read:
    """ "2 x 50 mg", "one 20 mg capsule", "half of a 50 mg tablet", "two 5 ml spoonfuls"."""
    number, used = number_at(tokens, at)
    if not used:
        return NOT_HERE
    begin = at + used
    begin += tokens.is_word(begin, "x") or tokens.is_kind(begin, PhraseKind.EACH)
    begin += tokens.is_word(begin, "a", "an", "the")
    volume, _, end = _quantity(tokens, begin, UnitKind.VOLUME)
    if end > begin and tokens.is_kind(end, PhraseKind.SPOON):
        return (Amount(number * volume, number * volume, UnitKind.VOLUME),), end + 1 - at
    mg, other, end = _quantity(tokens, begin, UnitKind.MASS)
    if end == begin or mg != other:
        return NOT_HERE
    days = interval_at(tokens, end)
    if days[2] and _form(tokens, end + days[2]) > end + days[2]:  # "one 6 mg/24 h patch"
        end += days[2]
    elif tokens.is_word(end, "/"):
        return NOT_HERE
    return (Amount(number, number, UnitKind.COUNT, mg_each=mg),), _form(tokens, end) - at


def _count(tokens: Tokens, at: int) -> Read:
    """A number and what it counts; without a unit, a bare number."""
    low, high, used = range_at(tokens, at)
    if not used:
        return NOT_HERE
    unit = tokens[at + used].unit
    if unit is None:
        return (Amount(low, high, UnitKind.COUNT, is_bare=True),), used
    low, high, end = _quantity(tokens, at, *UnitKind)
    if unit.kind is UnitKind.VOLUME and tokens.is_kind(end, PhraseKind.SPOON):
        end += 1
    sites = tokens[end].meaning(PhraseKind.SITES)
    if sites and unit.kind in (UnitKind.SPRAY, UnitKind.DROP):
        return (Amount(low * sites.number, high * sites.number, unit.kind),), end + 1 - at
    return (Amount(low, high, unit.kind),), end - at


# --- what bounds or changes the dose --------------------------------------------------------------------


def read_bound(tokens: Tokens, at: int) -> Read:
    """ "max 200 mg/day", "up to 3 tablets daily", "total daily dose 150 mg"."""
    total = tokens[at].meaning(PhraseKind.TOTAL)
    if total:
        amount, end = _amount_after(tokens, at + 1)
        if amount is None:
            return NOT_HERE
        return (Total(amount, total.slot == "daily" or _is_daily(tokens, end)),), end - at
    if (
        tokens.is_word(at, "=")
        and at
        and tokens[at - 1].unit is None
        and not tokens.is_word(at - 1, "(", ")")
    ):
        amount, end = _amount_after(tokens, at + 1)  # "... daily = 90 mg"
        return ((Total(amount, False),), end - at) if amount else NOT_HERE
    is_limit = tokens.is_kind(at, PhraseKind.MAXIMUM)
    if not is_limit and not tokens.is_kind(at, PhraseKind.UP_TO):
        return NOT_HERE
    if any(isinstance(item, Times) for item in read_how_often(tokens, at + 1)[0]):  # "up to 3 times a day"
        return NOT_HERE
    amount, end = _amount_after(tokens, at + 1)
    if amount is None:
        return NOT_HERE if not is_limit or _has_number(tokens, at) else ((), 1)
    moment = end + tokens.is_word(end, "in", "at", "every", "each")
    goes_on = tokens.is_kind(moment + 1, PhraseKind.AND) and range_at(tokens, moment + 2)[2] > 0
    if goes_on and tokens.is_kind(
        moment, PhraseKind.MOMENT
    ):  # "no more than 1 in the morning and 2 at night"
        return (Unclear("a limit at one time of day"),), end - at
    words = tokens[at].words
    days = interval_at(tokens, end)
    is_daily = _is_daily(tokens, end) or (not days[2] and ("daily" in words or "mdd" in words))
    return (Most(amount, is_daily, not is_limit),), end + days[2] - at


def _amount_after(tokens: Tokens, at: int) -> tuple[Amount | None, int]:
    while tokens.is_word(at, ":", "=", "is", "-") or tokens.is_kind(at, PhraseKind.EACH):
        at += 1
    items, used = read_amount(tokens, at)
    amount = items[0] if len(items) == 1 else None
    return (amount, at + used) if isinstance(amount, Amount) else (None, at)


def _is_daily(tokens: Tokens, at: int) -> bool:
    return interval_at(tokens, at)[:2] == (1.0, 1.0)


def _has_number(tokens: Tokens, at: int) -> bool:
    while at < len(tokens) and not tokens.is_word(at, ".", ";", "\n"):
        if tokens.is_kind(at, PhraseKind.NUMBER):
            return True
        at += 1
    return False


def read_ladder(tokens: Tokens, at: int) -> Read:
    """ "increase by 25 mg every week to 100 mg [daily]", in either order of amount and interval."""
    change = tokens[at].meaning(PhraseKind.CHANGE)
    if change is None:
        return NOT_HERE
    by: Amount | None = None
    days: tuple[float, float, int] = (0.0, 0.0, 0)
    end = at + 1
    while end < len(tokens):
        found, after = _amount_after(tokens, end + tokens.is_kind(end, PhraseKind.BY))
        interval = interval_at(tokens, end)
        if found and by is None:
            by, end = found, after
        elif interval[2] and not days[2]:
            days, end = interval, end + interval[2]
        else:
            break
    if by is None or days[0] != days[1] or days[0] < 1 or days[0] != round(days[0]):
        return NOT_HERE
    to, after = _target(tokens, end, by)
    if to is None:
        return NOT_HERE
    ladder = Ladder(by, round(days[0]), to, change.slot == "up")
    return ((ladder, Mark.STOP) if to.low == 0 else (ladder,)), after - at


def _target(tokens: Tokens, at: int, by: Amount) -> tuple[Amount | None, int]:
    """ "to 100 mg", "until off", "then stop": nothing at all is an amount of 0."""
    if tokens.is_kind(at, PhraseKind.STOP):
        return replace(by, low=0.0, high=0.0), at + 1
    is_most = tokens.is_kind(at, PhraseKind.MAXIMUM) and tokens[at].words[0] in ("to", "up")
    if not is_most and not tokens.is_word(at, "to", "until", "up to", "till"):
        return None, at
    at = tokens.after(at + 1, PhraseKind.MAXIMUM)
    if tokens.is_kind(at, PhraseKind.STOP) or tokens.is_word(
        at, "off", "zero", "stopped", "discontinued", "0"
    ):
        return replace(by, low=0.0, high=0.0), at + 1
    while tokens.is_word(at, "a", "the", "target", "goal", "dose", "of"):
        at += 1
    return _amount_after(tokens, at)


def read_later_change(tokens: Tokens, at: int) -> Read:
    """ "increasing after one week to 100 mg": the length, and that another dose follows."""
    if not tokens.is_kind(at, PhraseKind.CHANGE) or not tokens.is_kind(at + 1, PhraseKind.AFTER):
        return NOT_HERE
    items, used = read_length(tokens, at + 1)
    is_to = tokens.is_word(at + 1 + used, "to")
    return ((*items, Mark.THEN), used + 2) if used and is_to else NOT_HERE


# --- amounts that say one thing -------------------------------------------------------------------------


def joined(items: Sequence[Item]) -> list[Item]:
    """Items with brackets resolved, amounts that belong together made one, and mere words left out."""
    merged: list[Item] = []
    for item in _resolved(items):
        _add(merged, item)
    return [item for item in _settled(merged) if item not in PASSED_OVER]


PASSED_OVER = (
    Mark.WORD, Mark.COMMA, Mark.BREAK, Mark.OPEN, Mark.CLOSE, Mark.EQUALS, Mark.OF, Mark.RANGE, Mark.SCHEME
)  # fmt: skip


def _resolved(items: Sequence[Item]) -> list[Item]:
    """Brackets that hold nothing but amounts as `Beside`; other brackets are opened."""
    resolved: list[Item] = []
    begin: int | None = None
    for item in items:
        if item is Mark.CLOSE and begin is not None:
            inside = resolved[begin + 1 :]
            is_behind_amount = any(isinstance(before, Amount) for before in resolved[:begin])
            resolved[begin:] = _bracketed(inside, is_behind_amount)
            begin = None
        else:
            if item is Mark.OPEN:
                begin = len(resolved)
            resolved.append(item)
    return resolved


def _bracketed(inside: Sequence[Item], is_behind_amount: bool) -> list[Item]:
    told = [item for item in inside if item not in PASSED_OVER]
    if len(told) == 1 and isinstance(told[0], Strength):  # "(75 mg each)"
        return told
    beside = _beside(inside) or (_again(inside) if is_behind_amount else None)
    return [beside] if beside else list(inside)


def _beside(inside: Sequence[Item]) -> Beside | None:
    parts = joined([item for item in inside if item is not Mark.EQUALS])
    amounts = [part.amount if isinstance(part, Total) else part for part in parts if part is not Mark.AND]
    are_daily = any(isinstance(part, Total) and part.is_daily for part in parts)
    found = tuple(amount for amount in amounts if isinstance(amount, Amount))
    if not found or len(found) != len(amounts) or are_daily or len(found) != parts.count(Mark.AND) + 1:
        return None
    is_total = any(isinstance(part, Total) for part in parts) or Mark.EQUALS in inside
    return Beside(found, is_total)


def _again(inside: Sequence[Item]) -> Total | Again | None:
    """The dose said again in brackets: "(300 mg/day)", "(150 mg bid)", "(1 in the morning and 2 at night)"."""
    items = joined(inside)
    match items:
        case [Amount() as amount, Times(per_day=1, per_day_high=1)]:
            return Total(amount, True)
    told = tuple(item for item in items if isinstance(item, Amount | Times | Moment | Mark))
    has_amount = any(isinstance(item, Amount) for item in told)
    has_times = any(isinstance(item, Times | Moment) for item in told)
    is_plain = len(told) == len(items) and {item for item in told if isinstance(item, Mark)} <= {Mark.AND}
    return Again(told) if has_amount and has_times and is_plain else None


def _add(items: list[Item], item: Item) -> None:
    """Appends an item, or joins it with the amount before it."""
    at = _before(items)
    if at is None or not isinstance(item, Amount | Beside | Total | Strength | Concentration):
        items.append(item)
        return
    merged = _merged(items[at], item, items[at + 1 :])
    if merged is None:
        items.append(item)
    else:
        items[at:] = [merged]


def _before(items: Sequence[Item]) -> int | None:
    """The place of the amount or strength that only mere words separate from the end."""
    for at in range(len(items) - 1, -1, -1):
        if isinstance(items[at], Amount | Strength | Concentration):
            return at
        if items[at] not in PASSED_OVER and items[at] is not Mark.OR:
            return None
    return None


def _merged(before: Item, after: Item, between: Sequence[Item]) -> Item | None:
    match before, after:
        case Amount(), Beside():
            return with_beside(before, after)
        case Amount(), Total(amount=amount, is_daily=False):
            return with_beside(before, Beside((amount,), True))
        case Amount(kind=UnitKind.COUNT, mg_each=None, mg_beside=None), Strength(mg=mg):
            return replace(before, mg_each=mg, is_bare=False)
        case Amount(kind=UnitKind.VOLUME), Concentration(mg=mg):
            return with_concentration(before, mg)
        case Concentration(mg=mg), Amount(kind=UnitKind.VOLUME):
            return with_concentration(after, mg)
        case Concentration(), Amount() | Beside():
            return None
        case Strength(mg=mg), Amount(kind=UnitKind.COUNT):
            if mg is None or after.mg_each is not None:
                return after if mg is None or after.mg_each == mg else AMOUNTS_DIFFER
            return replace(after, mg_each=mg, is_bare=False)
        case Strength(), Amount(kind=UnitKind.MASS):
            return after
        case Strength(), Beside(amounts=(Amount(kind=UnitKind.COUNT) as pieces,), is_total=False):
            return _merged(before, pieces, between)
        case Amount(), Amount():
            return _one_amount(before, after, between)
        case _:
            return None


def with_concentration(volume: Amount, mg: float) -> Item:
    """mL of which the text tells how many mg each holds; unclear when it tells the total too, and they differ."""
    if volume.mg_beside is not None and not is_same(volume.high * mg, volume.mg_beside):
        return AMOUNTS_DIFFER
    return replace(volume, mg_each=mg)


def with_beside(amount: Amount, beside: Beside) -> Item:
    """An amount and what stands in brackets behind it."""
    if len(beside.amounts) == 1:
        return _with_one_beside(amount, beside.amounts[0], beside.is_total)
    totals = [part.total_mg for part in beside.amounts]
    known = [total for total in totals if total is not None]
    if len(known) < len(totals) or amount.kind is not UnitKind.MASS or not is_same(sum(known), amount.low):
        return AMOUNTS_DIFFER
    return amount


def _with_one_beside(amount: Amount, other: Amount, is_total: bool) -> Item:
    if amount.kind is UnitKind.UNREADABLE or other.kind is UnitKind.UNREADABLE:
        return other if amount.kind is UnitKind.UNREADABLE else amount
    if amount.kind is other.kind:
        is_equal = is_same(amount.low, other.low) and is_same(amount.high, other.high)
        return replace(amount, is_bare=amount.is_bare and other.is_bare) if is_equal else AMOUNTS_DIFFER
    if amount.kind is UnitKind.MASS:
        if other.total_mg is not None:
            return other if is_same(other.total_mg, amount.low) else AMOUNTS_DIFFER
        if other.kind is UnitKind.COUNT and not is_total and amount.low == amount.high:
            return replace(other, mg_beside=amount.low)
        return _with_mass(other, amount, True)
    if other.kind is UnitKind.MASS:
        return _with_mass(amount, other, is_total)
    return AMOUNTS_DIFFER


def _with_mass(amount: Amount, mass: Amount, is_total: bool) -> Item:
    if amount.is_total and amount.mg_beside is not None:
        each, total = mass.high * amount.high, amount.mg_beside
        if not is_same(mass.high, total) and not is_same(each, total):
            return AMOUNTS_DIFFER
    is_total = is_total or amount.kind is not UnitKind.COUNT
    if mass.low != mass.high:  # "1-2 tablets (50-100 mg)"
        is_same_range = amount.low != amount.high and is_same(mass.high / mass.low, amount.high / amount.low)
        return replace(amount, mg_each=mass.low / amount.low) if is_same_range else AMOUNTS_DIFFER
    if amount.mg_each is not None:
        fits = is_same(amount.high * amount.mg_each, mass.low) or (
            not is_total and amount.mg_each == mass.low
        )
        return replace(amount, mg_beside=mass.low, is_total=is_total) if fits else AMOUNTS_DIFFER
    return replace(amount, mg_beside=mass.low, is_total=is_total, is_bare=False)


def _one_amount(before: Amount, after: Amount, between: Sequence[Item]) -> Item | None:
    """ "2 tablets 50 mg", "50 mg - take 2", "2 tabs = 100 mg", "1 tablet or 2 tablets"."""
    joints = [item for item in between if item is not Mark.WORD]
    if before.kind is after.kind:
        is_range = joints in ([Mark.RANGE], [Mark.OR]) and before.mg_each == after.mg_each
        is_first = before.low == before.high <= after.low  # unlike "25 mg to 50 mg to 75 mg"
        return replace(after, low=before.low) if is_range and is_first else None
    if Mark.BREAK in between and not (before.kind is UnitKind.MASS and after.kind is UnitKind.COUNT):
        return None
    if Mark.EQUALS in between:
        return _with_one_beside(before, after, True)
    if UnitKind.UNREADABLE in (before.kind, after.kind):
        return None
    if after.kind is UnitKind.MASS and after.low == after.high and before.mg_each is None:
        if before.is_bare and any(item in between for item in (Mark.COMMA, Mark.RANGE, Mark.OR)):
            return None
        if before.kind is UnitKind.COUNT and (before.is_bare or Mark.OF in between):
            return replace(before, mg_each=after.low, is_bare=False)
        return _with_mass(before, after, False)
    if before.kind is not UnitKind.MASS or before.low != before.high:
        return None
    if after.kind is not UnitKind.COUNT or after.mg_each is not None:
        return _with_one_beside(before, after, False)
    if Mark.WORD in between or Mark.BREAK in between or Mark.RANGE in between or after.is_bare:
        return replace(after, mg_each=before.low, is_bare=False)
    return replace(after, mg_beside=before.low)  # "100 mg 2 tablets": the total, or the strength


def _settled(items: Sequence[Item]) -> list[Item]:
    """Strengths that nothing took up: an amount of mg if they are all there is, or are added up."""
    others = any(isinstance(item, Amount) for item in items)
    settled: list[Item] = []
    for at, item in enumerate(items):
        if isinstance(item, Strength):
            is_added = Mark.AND in (*items[max(at - 1, 0) : at], *items[at + 1 : at + 2])
            if item.mg is None or (others and not is_added and not _has_times(items, at)):
                continue
            item = Amount(item.mg, item.mg, UnitKind.MASS)
        settled.append(item)
    return settled


def _has_times(items: Sequence[Item], at: int) -> bool:
    following = next((item for item in items[at + 1 :] if item not in PASSED_OVER), None)
    return following is not None and not isinstance(following, Amount | Strength | Mark)
