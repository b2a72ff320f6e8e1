"""One Dosage and the product it is of → mg per day, from strength × amount × times per day.

The structured half and the text must agree where both can be read; a half that is missing in one is
taken from the other. Whatever leaves two honest readings is unknown, with the reason in its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cds_service.fhir_reading.dose_items import MOST_BARE_PIECES
from cds_service.fhir_reading.dose_text import Amount, DoseText, Part, Rate, Step, read_dose_text, read_rate
from cds_service.fhir_reading.drugs import Recognised
from cds_service.fhir_reading.elements import CodeableConcept, Dosage, DoseAndRate, Quantity, Repeat, Timing
from cds_service.tables.dosing import UnitKind, load_units
from cds_service.tables.drugs import Equivalent, Per, load_equivalents

DAYS_IN = {"s": 1 / 86400, "min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.0, "a": 365.0}
SAME_WITHIN = 0.01


@dataclass(frozen=True)
class DailyDose:
    """mg per day from `low_mg` to `high_mg`, both None when unknown; `text` shows the arithmetic or why not.

    `days` is how long it lasts, if the dosage says so in words. `pieces_per_day` counts tablets,
    capsules (or mL, as `piece_kind` tells) a day at most, to tell how long a supply lasts; None when unknown.
    """

    low_mg: float | None
    high_mg: float | None
    text: str
    days: int | None = None
    pieces_per_day: float | None = None
    piece_kind: UnitKind | None = None


def unknown_dose(why: str, days: int | None = None) -> DailyDose:
    return DailyDose(None, None, f"dose unknown: {why}", days)


DISAGREE = (unknown_dose("text and structure disagree"),)


@lru_cache(maxsize=8192)
def read_dosage(dosage: Dosage, product: Recognised) -> tuple[DailyDose, ...]:
    """The daily doses a dosage orders, one after the other; one, unless its text tells steps."""
    if dosage.modifier_extension:
        return (unknown_dose("the dosage has a modifier extension, whose meaning is not known"),)
    try:
        structured = Part(_amount(dosage.dose_and_rate), _rate(dosage.timing))
    except _UnreadableError as error:
        return (unknown_dose(str(error)),)
    readings = [_Reading(structured, read_dose_text(text), product) for text in _texts(dosage)]
    if not readings:
        return _doses((Step((structured,)),), product)
    doses = [_combined(reading) for reading in readings]
    known = [dose for dose in doses if all(step.low_mg is not None for step in dose)]
    if DISAGREE in doses or any(not _are_same(dose, known[0]) for dose in known):
        return DISAGREE
    return known[0] if known else doses[0]


def dose_from_name(product: Recognised) -> tuple[DailyDose, ...]:
    """The dose when an order has no dosage at all, but its name tells one ("sertraline 100 mg once daily")."""
    text = read_dose_text(product.name)
    if text.steps and all(step.is_complete for step in text.steps):
        return _doses(text.steps, product)
    return (unknown_dose("no dosage is recorded"),)


@lru_cache(maxsize=8192)
def is_as_needed(dosage: Dosage) -> bool | None:
    """Whether a dosage is taken only as needed; None when structure and text disagree."""
    said = any(read_dose_text(text).as_needed for text in all_texts(dosage))
    if dosage.as_needed_boolean or dosage.as_needed_codeable_concept is not None:
        return True
    return None if said and dosage.as_needed_boolean is False else said


def all_texts(dosage: Dosage) -> tuple[str, ...]:
    """Every text of a dosage that may tell why or when it is taken."""
    instructions = [text for concept in dosage.additional_instruction for text in _words(concept)]
    timing = _words(dosage.timing.code) if dosage.timing and dosage.timing.code else []
    return (*_texts(dosage), *instructions, *timing)


def _words(concept: CodeableConcept) -> list[str]:
    return [text for text in (concept.text, *(coding.display for coding in concept.coding)) if text]


def _texts(dosage: Dosage) -> list[str]:
    return [text for text in (dosage.text, dosage.patient_instruction) if text and text.strip()]


class _UnreadableError(Exception):
    """A structured element that has no honest reading; the text says which and why."""


# --- structure and text together ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    structured: Part
    text: DoseText
    product: Recognised


def _combined(reading: _Reading) -> tuple[DailyDose, ...]:
    structured, text, product = reading.structured, reading.text, reading.product
    if structured.amount and structured.rate:
        days = text.steps[0].days if len(text.steps) == 1 else None
        ordered = _doses((Step((structured,), days),), product)
        if _contradicts(ordered[0], reading):
            return DISAGREE
        lacks_strength = product.strength is None and _mg(structured.amount, product) is None
        return _doses(text.steps, product) if lacks_strength and text.steps else ordered
    if text.unclear:
        return (unknown_dose(f"the text is not clear ({text.unclear})"),)
    if structured.amount is None and structured.rate is None:
        return _doses(text.steps, product)
    return _doses(_filled(structured, text.steps, product), product)


def _contradicts(ordered: DailyDose, reading: _Reading) -> bool:
    """Whether the text tells another dose than the structure; where it tells half, whether that half differs."""
    text, product = reading.text, reading.product
    if text.unclear:
        return any(not _fits(amount, ordered, reading) for amount in text.amounts)
    if any(step.is_complete for step in text.steps):
        stated = _doses(text.steps, product)
        if all(dose.low_mg is not None for dose in stated) and ordered.low_mg is not None:
            return not _are_same(stated, (ordered,))
    if len(text.steps) > 1:
        return True
    parts = [part for step in text.steps for part in step.parts]
    rates = [part.rate for part in parts if part.rate]
    if len(parts) != 1:
        return False
    if rates and reading.structured.rate and not parts[0].amount:
        return not _is_same_rate(rates[0], reading.structured.rate)
    return any(not _fits(amount, ordered, reading) for amount in text.amounts)


def _is_same_rate(one: Rate, other: Rate) -> bool:
    return _is_close(one.low, other.low) and _is_close(one.high, other.high)


def _fits(amount: Amount, ordered: DailyDose, reading: _Reading) -> bool:
    """Whether an amount in the text can be what the structure orders, at one time or in a day."""
    given = reading.structured.amount
    if given is None:
        return True
    if amount.kind is given.kind and amount.low <= given.low <= amount.high:
        return True
    stated, each = _mg(amount, reading.product), _mg(given, reading.product)
    if stated is None or each is None:
        return amount.kind is not given.kind
    daily = ordered.low_mg is not None and _is_close(stated.low, ordered.low_mg)
    strength = reading.product.strength
    is_strength = amount.kind is UnitKind.MASS and strength is not None and _is_close(amount.low, strength.mg)
    return daily or is_strength or (_is_close(stated.low, each.low) and _is_close(stated.high, each.high))


def _filled(structured: Part, steps: Sequence[Step], product: Recognised) -> tuple[Step, ...]:
    """The text's steps, with the half that the structure tells in the place of the text's."""
    if len(steps) != 1 or len(steps[0].parts) != 1:
        return ()
    part = steps[0].parts[0]
    both = Part(structured.amount or part.amount, structured.rate or part.rate)
    if structured.rate and part.rate and not _is_same_rate(structured.rate, part.rate):
        return ()
    if structured.amount and part.amount and not _is_same_amount(structured.amount, part.amount, product):
        return ()
    return (replace(steps[0], parts=(both,)),)


def _is_same_amount(one: Amount, other: Amount, product: Recognised) -> bool:
    mg, other_mg = _mg(one, product), _mg(other, product)
    if mg is None or other_mg is None:
        return (one.kind, one.low, one.high) == (other.kind, other.low, other.high)
    return _is_close(mg.low, other_mg.low) and _is_close(mg.high, other_mg.high)


def _are_same(some: Sequence[DailyDose], others: Sequence[DailyDose]) -> bool:
    if len(some) != len(others):
        return False
    pairs = [
        (a, b)
        for one, other in zip(some, others, strict=True)
        for a, b in ((one.low_mg, other.low_mg), (one.high_mg, other.high_mg))
    ]
    return all(a is not None and b is not None and _is_close(a, b) for a, b in pairs)


def _is_close(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_WITHIN * max(abs(one), abs(other))


# --- mg per day ---------------------------------------------------------------------------------------


def _doses(steps: Sequence[Step], product: Recognised) -> tuple[DailyDose, ...]:
    if not steps:
        return (unknown_dose("no amount and times that can be read together"),)
    return tuple(_dose_of_step(step, product) for step in steps)


def _dose_of_step(step: Step, product: Recognised) -> DailyDose:
    doses = [_dose_of_part(part, product) for part in step.parts] or [unknown_dose("no amount is recorded")]
    unknown = next((dose for dose in doses if dose.low_mg is None), None)
    if unknown:
        return replace(unknown, days=step.days)
    return _believed(replace(add_doses(doses), days=step.days), product)


def add_doses(doses: Sequence[DailyDose]) -> DailyDose:
    """Doses taken side by side; unknown as soon as one is."""
    if len(doses) == 1:
        return doses[0]
    unknown = next((dose for dose in doses if dose.low_mg is None or dose.high_mg is None), None)
    if unknown:
        return unknown
    low, high = sum(d.low_mg or 0.0 for d in doses), sum(d.high_mg or 0.0 for d in doses)
    pieces = [dose.pieces_per_day for dose in doses]
    known = [piece for piece in pieces if piece is not None]
    text = " + ".join(dose.text.split(" = ")[0] for dose in doses)
    kinds = {dose.piece_kind for dose in doses}
    all_pieces = sum(known) if len(known) == len(pieces) and len(kinds) == 1 else None
    shown = f"{text} = {_range(low, high)} mg/day"
    return DailyDose(low, high, shown, None, all_pieces, kinds.pop() if all_pieces else None)


def _dose_of_part(part: Part, product: Recognised) -> DailyDose:
    if part.amount is None:
        return unknown_dose("how much is taken is not recorded")
    if part.rate is None:
        return unknown_dose("how often it is taken is not recorded")
    mg = _mg(part.amount, product)
    if mg is None:
        return unknown_dose(_why_no_mg(part.amount, product))
    weekly = _spaced(mg, part.rate, product)
    if weekly:
        return weekly
    low, high = mg.low * mg.factor * part.rate.low, mg.high * mg.factor * part.rate.high
    if not (0 < low < math.inf and 0 < high < math.inf):
        return unknown_dose("the amounts are not possible")
    pieces, kind = _pieces(part.amount, product)
    text = f"{mg.text} × {_often(part.rate)}{_shown_factor(mg)} = {_range(low, high)} mg/day"
    per_day = pieces * part.rate.high if pieces else None
    return DailyDose(round(low, 6), round(high, 6), text, None, per_day, kind)


def _pieces(amount: Amount, product: Recognised) -> tuple[float | None, UnitKind | None]:
    """How many tablets or capsules, or mL, at one time; of an amount in mg by the strength of the product."""
    if amount.kind is not UnitKind.MASS:
        return amount.high, amount.kind
    if product.strength is None:
        return None, None
    kind = UnitKind.VOLUME if product.strength.per is Per.ML else UnitKind.COUNT
    return amount.high / product.strength.mg, kind


def _believed(dose: DailyDose, product: Recognised) -> DailyDose:
    most = product.antidepressant.most_mg_per_day
    if dose.high_mg is not None and most is not None and dose.high_mg > most:
        return unknown_dose(f"{dose.text} is too much to be believed", dose.days)
    return dose


@dataclass(frozen=True)
class _Mg:
    """mg at one time as written, and the factor by which they count (salts, drops)."""

    low: float
    high: float
    text: str
    factor: float = 1.0


def _mg(amount: Amount, product: Recognised) -> _Mg | None:
    """The amount in mg; None when it has no honest reading."""
    each = _mg_of_one(amount, product)
    factor = _factor(product)
    if amount.kind is UnitKind.MASS:
        is_combination = len(product.antidepressant.components) > 1
        return (
            None
            if is_combination
            else _Mg(amount.low, amount.high, f"{_range(amount.low, amount.high)} mg", factor)
        )
    if each is None or not _is_plausible(amount, each):
        return None
    low, high = amount.low * each, amount.high * each
    unit = " mg/mL" if amount.kind is UnitKind.VOLUME else " mg"
    shown = (
        f"{_range(amount.low, amount.high)}{' mL' if amount.kind is UnitKind.VOLUME else ''} × {each:g}{unit}"
    )
    return _Mg(low, high, shown, factor)


def _mg_of_one(amount: Amount, product: Recognised) -> float | None:
    """mg in one piece or mL: as the product says, else as the text says; None when they differ."""
    per = Per.ML if amount.kind is UnitKind.VOLUME else Per.UNIT
    is_of_product = amount.kind in (UnitKind.VOLUME, UnitKind.COUNT)
    strength = product.strength if is_of_product else None
    known = strength.mg if strength and strength.per is per else None
    if amount.mg_each is not None:
        return amount.mg_each if known is None or _is_close(known, amount.mg_each) else None
    if amount.mg_beside is None:
        return known
    readings = [amount.mg_beside / amount.low] if amount.low > 0 and amount.low == amount.high else []
    if not amount.is_total:
        readings.append(amount.mg_beside)
    if known is not None:
        return known if any(_is_close(known, reading) for reading in readings) else None
    return readings[0] if readings and all(_is_close(readings[0], reading) for reading in readings) else None


def _is_plausible(amount: Amount, each: float) -> bool:
    """A number without a unit is a count of pieces only if it cannot be the mg themselves."""
    if not amount.is_bare or amount.high <= 1:
        return True
    return amount.high <= MOST_BARE_PIECES and not _is_close(amount.high, each)


def _why_no_mg(amount: Amount, product: Recognised) -> str:
    if amount.kind is UnitKind.MASS:
        return "which ingredient of the combination the mg are of is not recorded"
    if amount.kind in (UnitKind.DROP, UnitKind.SPRAY):
        return f"how much a {amount.kind.value} holds is not known"
    if product.strength is None:
        return "the strength of the product is not known"
    if amount.is_bare:
        return "a number without a unit can be mg or pieces"
    return "the amount does not fit the strength of the product"


def _spaced(mg: _Mg, rate: Rate, product: Recognised) -> DailyDose | None:
    """Products taken every so many days, whose dose a table row turns into mg per day."""
    for row in _equivalents(product):
        if row.every_days > 1 and (_is_close(mg.low, row.from_mg) or _has_strength(product, row.from_mg)):
            is_as_meant = _is_close(mg.low, row.from_mg) and mg.low == mg.high
            if is_as_meant and rate.low == rate.high and _is_close(rate.low, 1 / row.every_days):
                mg_per_day = row.to_mg_per_day
                text = f"{mg.text} every {row.every_days:g} days, counted as {mg_per_day:g} mg/day"
                return DailyDose(mg_per_day, mg_per_day, text, None, rate.high, UnitKind.COUNT)
            why = f"{row.from_mg:g} mg is meant for every {row.every_days:g} days, and is ordered otherwise"
            return unknown_dose(why)
    return None


def _has_strength(product: Recognised, mg: float) -> bool:
    return product.strength is not None and _is_close(product.strength.mg, mg)


def _factor(product: Recognised) -> float:
    factors = [row.to_mg_per_day / row.from_mg for row in _equivalents(product) if row.every_days == 1]
    return factors[0] if factors else 1.0


def _equivalents(product: Recognised) -> Iterable[Equivalent]:
    for row in load_equivalents():
        if row.ingredient == product.antidepressant.drug.ingredient and (
            not row.product_words or any(word in product.words for word in row.product_words)
        ):
            yield row


def _shown_factor(mg: _Mg) -> str:
    return "" if mg.factor == 1 else f" × {mg.factor:.3g} for the salt or form"


def _often(rate: Rate) -> str:
    if rate.low == rate.high and 0 < rate.low < 1:
        return f"1/{1 / rate.low:.3g} days"
    return f"{_range(rate.low, rate.high)}/day"


def _range(low: float, high: float) -> str:
    return f"{low:.4g}" if _is_close(low, high) else f"{low:.4g}-{high:.4g}"


# --- the structured amount ----------------------------------------------------------------------------


def _amount(given: Sequence[DoseAndRate]) -> Amount | None:
    """The amount of the ordered dose; without one marked so, of the only one."""
    ordered = [each for each in given if _type(each) == "ordered"] or list(given)
    if any(each.rate_quantity or each.rate_range or each.rate_ratio for each in ordered):
        raise _UnreadableError("a rate (volume in time) is not read")
    amounts = {amount for each in ordered if (amount := _amount_of(each))}
    if len(amounts) > 1:
        raise _UnreadableError("several doses, none of them marked as ordered")
    return amounts.pop() if amounts else None


def _type(given: DoseAndRate) -> str:
    return next((coding.code or "" for coding in given.type.coding), "") if given.type else ""


def _amount_of(given: DoseAndRate) -> Amount | None:
    if given.dose_quantity:
        return _amount_in(given.dose_quantity, given.dose_quantity)
    if given.dose_range is None:
        return None
    low, high = given.dose_range.low, given.dose_range.high
    if low is None or high is None:
        raise _UnreadableError("a dose range with one end only")
    return _amount_in(low, high)


def _amount_in(low: Quantity, high: Quantity) -> Amount | None:
    if low.comparator or high.comparator:
        raise _UnreadableError("the dose is given as more or less than a number")
    if low.value is None or high.value is None:
        return None
    unit, other = _unit(low), _unit(high)
    if unit[0] is not other[0]:
        raise _UnreadableError("the ends of the dose range have different units")
    ends = positive(low.value, unit[1]), positive(high.value, other[1])
    if ends[0] is None or ends[1] is None or ends[0] > ends[1]:
        raise _UnreadableError(f"the dose {_shown_number(low.value)} is not possible")
    return Amount(ends[0], ends[1], unit[0], is_bare=not (low.unit or low.code))


def _shown_number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e300 else "a number beyond all bounds"


def positive(value: float, factor: float = 1.0) -> float | None:
    """value × factor when it is a finite number above 0, else None."""
    try:
        product = float(value) * factor
    except OverflowError:
        return None
    return product if 0 < product < math.inf else None


def _unit(quantity: Quantity) -> tuple[UnitKind, float]:
    """What a quantity counts; code and unit must not contradict each other."""
    if not quantity.unit and not quantity.code:
        return UnitKind.COUNT, 1.0
    units = load_units()
    found = [
        units[name]
        for text in (quantity.code, quantity.unit)
        if (name := (text or "").strip().lower()) in units
    ]
    if not found:
        raise _UnreadableError(f"the unit {(quantity.unit or quantity.code or '')[:40]!r} is not known")
    if any((unit.kind, unit.factor) != (found[0].kind, found[0].factor) for unit in found):
        raise _UnreadableError("unit and code of the dose disagree")
    if found[0].kind is UnitKind.UNREADABLE:
        raise _UnreadableError(f"the unit {(quantity.unit or quantity.code or '')[:40]!r} gives no mg")
    return found[0].kind, found[0].factor


# --- the structured timing ----------------------------------------------------------------------------


def _rate(timing: Timing | None) -> Rate | None:
    """Times per day; None when the timing does not say."""
    if timing is None:
        return None
    repeat = _rate_of_repeat(timing.repeat) if timing.repeat else None
    code = _rate_of_code(timing.code) if timing.code else None
    if repeat and code and not _is_same_rate(repeat, code):
        raise _UnreadableError("timing code and timing repeat disagree")
    return repeat or code


def _rate_of_code(concept: CodeableConcept) -> Rate | None:
    rates = {
        rate
        for coding in concept.coding
        for text in (coding.code, coding.display)
        if text and (rate := read_rate(text))
    }
    if concept.text and (rate := read_rate(concept.text)):
        rates.add(rate)
    if len(rates) > 1:
        raise _UnreadableError("the timing's code and its text disagree")
    return rates.pop() if rates else None


def _rate_of_repeat(repeat: Repeat) -> Rate | None:
    occasions = len(set(repeat.time_of_day)) or len(set(repeat.when))
    frequency = _frequency(repeat, occasions)
    if repeat.day_of_week:
        return _on_weekdays(repeat, frequency, occasions)
    if repeat.period is None and repeat.frequency is None:
        if repeat.period_unit:
            raise _UnreadableError("a period unit without a period")
        return Rate(occasions, occasions) if occasions else None
    days = _period_days(repeat)
    if days is None:
        return None
    if occasions > 1 and days == (1, 1) and not frequency[0] == frequency[1] == occasions:
        raise _UnreadableError("frequency and times of day disagree")
    return Rate(frequency[0] / days[1], frequency[1] / days[0])


def _frequency(repeat: Repeat, occasions: int) -> tuple[float, float]:
    default = occasions or 1
    low = default if repeat.frequency is None else positive(repeat.frequency)
    high = low if repeat.frequency_max is None else positive(repeat.frequency_max)
    if low is None or high is None or low > high:
        raise _UnreadableError("the frequency is not possible")
    return low, high


def _period_days(repeat: Repeat) -> tuple[float, float] | None:
    """The length of one period in days, shortest and longest."""
    if repeat.period is None and repeat.period_unit is None:
        return None
    if repeat.period_unit not in DAYS_IN or repeat.period is None:
        raise _UnreadableError("a period without a unit that is known")
    day = DAYS_IN[repeat.period_unit]
    low = positive(repeat.period, day)
    high = low if repeat.period_max is None else positive(repeat.period_max, day)
    if low is None or high is None or low > high:
        raise _UnreadableError("the period is not possible")
    return low, high


def _on_weekdays(repeat: Repeat, frequency: tuple[float, float], occasions: int) -> Rate:
    """Days of the week: so many days in seven, each with `frequency` (or the times of day named)."""
    named = len(set(repeat.day_of_week))
    days = _period_days(repeat)
    if days is None or days == (1, 1):
        times = frequency if repeat.frequency is not None else (occasions or 1, occasions or 1)
        return Rate(times[0] * named / 7, times[1] * named / 7)
    if days != (7, 7) or not (frequency == (named, named) or (named == 1 and frequency == (1, 1))):
        raise _UnreadableError("frequency and days of the week disagree")
    return Rate(named / 7, named / 7)
