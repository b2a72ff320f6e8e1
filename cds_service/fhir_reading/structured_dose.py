"""The structured half of a Dosage → amount at one time and times per day; a rate (mg in an hour) as both.

What leaves more than one honest reading raises `UnreadableError` with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cds_service.fhir_reading.dose_text import Amount, Part, Rate
from cds_service.fhir_reading.drugs import Recognised
from cds_service.fhir_reading.elements import Dosage, DoseAndRate, Quantity, Ratio, Repeat
from cds_service.fhir_reading.figures import is_close, positive
from cds_service.fhir_reading.milligrams import in_mg
from cds_service.fhir_reading.timing import UnreadableError, is_same_rate, times_per_day
from cds_service.tables.dosing import Unit, UnitKind, load_time_units, pieces_in, time_unit_named, units_named
from cds_service.tables.drugs import Form, form_in, words_of

IN_TIME = re.compile(
    r"(?P<unit>[^/]+)/\s*(?P<bracket>\()?(?P<number>\d+(?:\.\d+)?)?[ .]*(?P<time>[a-z]+)\.?(?(bracket)\))"
)
ONCE_A_DAY = Rate(1, 1)


class UnknownUnitError(UnreadableError):
    """An amount from `low` to `high` in a unit that no table has."""

    def __init__(self, unit: str, low: float, high: float) -> None:
        super().__init__(f"the unit {unit[:40]!r} is not known")
        self.low, self.high = low, high


def structured_part(dosage: Dosage, product: Recognised) -> Part:
    """Amount and rate, each None when its elements are not there."""
    rate = times_per_day(dosage.timing)
    given = _ordered(dosage.dose_and_rate)
    amounts = [amount for each in given if (amount := _amount_of(each, product))]
    repeat = dosage.timing.repeat if dosage.timing else None
    if is_patch(product):
        _check_worn(repeat)
    if amounts:
        return Part(_the_only(amounts, product), rate)
    flows = {flow for each in given if (flow := _flow(each, product))}
    if len(flows) > 1:
        raise UnreadableError("several rates, none of them marked as ordered")
    return _part_of_flow(flows.pop(), rate, repeat, product) if flows else Part(None, rate)


def is_patch(product: Recognised) -> bool:
    return product.form is Form.TRANSDERMAL


def most_mg_per_day(dosage: Dosage, product: Recognised) -> float | None:
    """`maxDosePerPeriod` in mg per day; None without one, or when it cannot be put into mg."""
    most = dosage.max_dose_per_period
    if most is None or most.numerator is None or most.denominator is None:
        return None
    try:
        amount = amount_of_quantity(most.numerator, product)
    except UnreadableError:
        return None
    days = days_of(most.denominator)
    mg = in_mg(amount, product) if amount and not amount.is_bare else None
    return mg.high * mg.factor / days if mg and days else None


# --- amounts ------------------------------------------------------------------------------------------


def _ordered(given: Sequence[DoseAndRate]) -> list[DoseAndRate]:
    """Those marked as ordered; all of them when none is."""
    return [each for each in given if _type(each) == "ordered"] or list(given)


def _type(given: DoseAndRate) -> str:
    if given.type is None:
        return ""
    return next((coding.code or "" for coding in given.type.coding), given.type.text or "").lower()


def _the_only(amounts: Sequence[Amount], product: Recognised) -> Amount:
    """The amount, when all say the same or are the same mg ("1 tablet" beside "50 mg")."""
    first, *others = dict.fromkeys(amounts)
    if not others:
        return first
    mg = [in_mg(amount, product) for amount in (first, *others)]
    known = [each for each in mg if each]
    if len(known) < len(mg) or any(
        not (is_close(each.low, known[0].low) and is_close(each.high, known[0].high)) for each in known
    ):
        raise UnreadableError("several doses, none of them marked as ordered")
    return next((amount for amount in amounts if amount.kind is not UnitKind.MASS), first)


def _amount_of(given: DoseAndRate, product: Recognised) -> Amount | None:
    if _is_in_time(given.dose_quantity):
        return None
    if given.dose_quantity:
        return amount_of_quantity(given.dose_quantity, product)
    if given.dose_range is None:
        return None
    low, high = given.dose_range.low, given.dose_range.high
    if low is None or high is None:
        raise UnreadableError("a dose range with one end only")
    return _amount_in(low, high, product)


def amount_of_quantity(quantity: Quantity, product: Recognised) -> Amount | None:
    """What a quantity is of the product; None without a number. Raises `UnreadableError`."""
    return _amount_in(quantity, quantity, product)


def _amount_in(low: Quantity, high: Quantity, product: Recognised) -> Amount | None:
    """The amount from `low` to `high`; the low end of a range may be 0."""
    if low.comparator or high.comparator:
        raise UnreadableError("the dose is given as more or less than a number")
    if low.value is None or high.value is None:
        return None
    unit, other = _unit(low, product), _unit(high, product)
    if unit is None or other is None:
        raise UnknownUnitError(low.unit or low.code or "", low.value, high.value)
    if unit.kind is not other.kind:
        raise UnreadableError("the ends of the dose range have different units")
    most = positive(high.value, other.factor)
    least = 0.0 if low.value == 0 and most else positive(low.value, unit.factor)
    if least is None or most is None or least > most:
        raise UnreadableError(f"the dose {_shown_number(low.value)} is not possible")
    return Amount(least, most, unit.kind, is_bare=not (low.unit or low.code))


def _shown_number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e300 else "a number beyond all bounds"


def _unit(quantity: Quantity, product: Recognised) -> Unit | None:
    """What a quantity counts, None when no table tells; code and unit must not contradict each other."""
    if not quantity.unit and not quantity.code:
        return Unit(UnitKind.COUNT, 1.0)
    found = units_named(quantity.code, quantity.unit)
    if not found and quantity.unit and _is_piece_of(quantity.unit, product):
        return Unit(UnitKind.COUNT, 1.0)
    if not found:
        return None
    if any(unit != found[0] for unit in found):
        raise UnreadableError("unit and code of the dose disagree")
    if found[0].kind is UnitKind.UNREADABLE:
        raise UnreadableError(f"the unit {(quantity.unit or quantity.code or '')[:40]!r} gives no mg")
    return found[0]


def _is_piece_of(unit: str, product: Recognised) -> bool:
    """Whether a unit is in the words of the product itself: "50 mg oral tablet" of sertraline 50 mg."""
    words, pieces = words_of(unit), pieces_in(unit)
    return bool(pieces) and all(word in product.words or word in pieces or form_in(word) for word in words)


# --- rates --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Flow:
    """An amount in so many days."""

    amount: Amount
    days: float


def _flow(given: DoseAndRate, product: Recognised) -> _Flow | None:
    """The rate; also a dose that is given as one ("100 mg/d")."""
    if given.dose_quantity and _is_in_time(given.dose_quantity):
        return _flow_in(given.dose_quantity, given.dose_quantity, product)
    if given.rate_ratio:
        return _flow_of_ratio(given.rate_ratio, product)
    if given.rate_quantity:
        return _flow_in(given.rate_quantity, given.rate_quantity, product)
    if given.rate_range is None:
        return None
    low, high = given.rate_range.low, given.rate_range.high
    if low is None or high is None:
        raise UnreadableError("a rate with one end only")
    return _flow_in(low, high, product)


def _is_in_time(quantity: Quantity | None) -> bool:
    """Whether the unit is an amount in a time."""
    found = IN_TIME.fullmatch((quantity.code or quantity.unit or "").strip().lower()) if quantity else None
    return found is not None and found["time"] in load_time_units()


def _flow_of_ratio(ratio: Ratio, product: Recognised) -> _Flow:
    """ "100 mg per 1 d"."""
    days = days_of(ratio.denominator) if ratio.denominator else None
    amount = amount_of_quantity(ratio.numerator, product) if ratio.numerator else None
    if amount is None or days is None:
        raise UnreadableError("a rate that is not an amount in a time")
    return _Flow(amount, days)


def _flow_in(low: Quantity, high: Quantity, product: Recognised) -> _Flow:
    """ "0.25 mg/h", "200 ug/min", "100 mg/24.h"."""
    text = (low.code or low.unit or "").strip().lower()
    if text != (high.code or high.unit or "").strip().lower():
        raise UnreadableError("the ends of the rate have different units")
    found = IN_TIME.fullmatch(text)
    unit = load_time_units().get(found["time"]) if found else None
    days = positive(float(found["number"] or 1), unit.days) if found and unit else None
    if found is None or days is None:
        raise UnreadableError(f"the rate in {text[:40]!r} is not an amount in a time")
    ends = [_with_unit(end, found["unit"].strip()) for end in (low, high)]
    amount = _amount_in(ends[0], ends[1], product)
    if amount is None:
        raise UnreadableError("a rate without a number")
    return _Flow(amount, days)


def _with_unit(quantity: Quantity, unit: str) -> Quantity:
    return Quantity(value=quantity.value, comparator=quantity.comparator, unit=unit)


def _part_of_flow(flow: _Flow, rate: Rate | None, repeat: Repeat | None, product: Recognised) -> Part:
    """What flows in each application whose length is told, in each day of a patch, or in the days it names."""
    length = _length_of_one(repeat)
    if length and rate and length * rate.high <= 1 + 1e-9:
        return Part(_times(flow.amount, length / flow.days), rate)
    by_days = Rate(1 / flow.days, 1 / flow.days)
    if flow.days >= 1 and not length and (rate is None or is_same_rate(rate, by_days)):
        return Part(flow.amount, by_days)
    if is_patch(product) and not length and rate in (None, ONCE_A_DAY):
        return Part(_times(flow.amount, 1 / flow.days), ONCE_A_DAY)
    raise UnreadableError("a rate (amount in time), and how long it runs each day is not recorded")


def _times(amount: Amount, factor: float) -> Amount:
    return replace(amount, low=amount.low * factor, high=amount.high * factor)


def days_of(quantity: Quantity, unit_if_missing: str = "") -> float | None:
    """A length of time in days; None when it is none."""
    has_unit = quantity.code or quantity.unit
    unit = time_unit_named(quantity.code, quantity.unit) if has_unit else time_unit_named(unit_if_missing)
    if unit is None or quantity.value is None or quantity.comparator:
        return None
    return positive(quantity.value, unit.days)


def _length_of_one(repeat: Repeat | None) -> float | None:
    """`duration` of one application in days, when it is one figure."""
    if repeat is None or repeat.duration is None or repeat.duration_max not in (None, repeat.duration):
        return None
    unit = load_time_units().get(repeat.duration_unit or "")
    return positive(repeat.duration, unit.days) if unit else None


def _check_worn(repeat: Repeat | None) -> None:
    """The strength of a patch is what it gives in 24 hours: another time of wear gives another dose."""
    if repeat is None or repeat.duration is None:
        return
    days = _length_of_one(repeat)
    if days is None or not is_close(days, 1):
        raise UnreadableError("the patch is not worn for 24 hours, for which its strength is stated")
