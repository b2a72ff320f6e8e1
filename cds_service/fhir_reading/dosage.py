"""One Dosage and the product it is of → mg per day, from strength × amount × times per day.

The structured half and the text must agree where both can be read; a half that is missing in one is
taken from the other. A stated maximum caps a range, contradicts a dose above it, and is all that is known
when nothing else can be read. Whatever leaves two honest readings is unknown, with the reason in its text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from msgspec import structs

from cds_service.fhir_reading.dose_company import other_drug_dosed
from cds_service.fhir_reading.dose_text import Amount, DoseText, Part, Rate, Step, read_dose_text
from cds_service.fhir_reading.drugs import Recognised
from cds_service.fhir_reading.elements import CodeableConcept, Dosage, Quantity, Repeat, Timing
from cds_service.fhir_reading.figures import SAME_WITHIN, is_close
from cds_service.fhir_reading.milligrams import Milligrams, in_mg, shown_range, spaced_dose, why_no_mg
from cds_service.fhir_reading.structured_dose import (
    ONCE_A_DAY,
    UnknownUnitError,
    amount_of_quantity,
    days_of,
    is_patch,
    most_mg_per_day,
    structured_part,
)
from cds_service.fhir_reading.timing import (
    UnreadableError,
    is_same_rate,
    lasts_beyond_the_next,
    times_per_day,
)
from cds_service.tables.dosing import UnitKind
from cds_service.tables.drugs import Per, Strength


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


def dose_not_recorded(what: str) -> DailyDose:
    """Unknown because the order is silent, not because it could not be read."""
    return DailyDose(None, None, f"dose not recorded: {what}")


HOW_OFTEN_NOT_RECORDED = dose_not_recorded("how often it is taken")
LEAST_ROUNDED_MG = 10.0  # of less, half a milligram is more than rounding
DISAGREE = (unknown_dose("text and structure disagree"),)


@lru_cache(maxsize=8192)
def read_dosage(dosage: Dosage, product: Recognised) -> tuple[DailyDose, ...]:
    """The daily doses a dosage orders, one after the other; one, unless text or pack tells steps."""
    if dosage.modifier_extension:
        return (unknown_dose("the dosage has a modifier extension, whose meaning is not known"),)
    product = _as_session(product)
    doses = _stated_doses(dosage, product)
    if doses == (HOW_OFTEN_NOT_RECORDED,) and dosage.timing and dosage.timing.code:
        doses = (unknown_dose("the code of the timing does not tell how often"),)
    if doses == DISAGREE:
        return doses
    most = _most_mg_per_day(dosage, product)
    return tuple(_believed(_within(dose, most), product) for dose in doses)


def _as_session(product: Recognised) -> Recognised:
    """A kit of a drug that is given in sessions is one session: all of its devices together."""
    if not (product.antidepressant.is_per_session and product.contents):
        return product
    mg = sum(part.pieces * part.mg for part in product.contents)
    return replace(product, strength=Strength(mg, Per.UNIT), contents=())


def read_dosages(dosages: Sequence[Dosage], product: Recognised) -> list[tuple[DailyDose, ...]]:
    """The daily doses of each dosage of an order; a text that stands in all of them may be that of the order."""
    doses = [read_dosage(dosage, product) for dosage in dosages]
    if len(dosages) < 2 or DISAGREE not in doses:
        return doses
    return _told_together(dosages, product) or doses


def _told_together(dosages: Sequence[Dosage], product: Recognised) -> list[tuple[DailyDose, ...]]:
    """Doses by structure, when all of them together, or in turn, are what the text that they share says."""
    if len({(dosage.text, dosage.patient_instruction) for dosage in dosages}) > 1:
        return []
    own = [read_dosage(structs.replace(d, text=None, patient_instruction=None), product) for d in dosages]
    steps = [dose for doses in own for dose in doses]
    said = read_dosage(
        Dosage(text=dosages[0].text, patient_instruction=dosages[0].patient_instruction), product
    )
    if len(steps) != len(dosages) or any(dose.low_mg is None for dose in (*steps, *said)):
        return []
    if _are_same(said, (add_doses(steps),)):
        return own
    order = sorted(range(len(dosages)), key=lambda at: place_in_sequence(dosages[at]))
    if not _are_same(said, [steps[at] for at in order]):
        return []
    days = dict(zip(order, (dose.days for dose in said), strict=True))
    return [(replace(step, days=days[at]),) for at, step in enumerate(steps)]


def place_in_sequence(dosage: Dosage) -> float:
    """The place in the sequence; a dosage without one, or with NaN, comes first."""
    number = dosage.sequence
    return number if number is not None and number == number else 0


def _stated_doses(dosage: Dosage, product: Recognised) -> tuple[DailyDose, ...]:
    texts = [_text_of(text, product) for text in _texts(dosage)]
    try:
        structured = _structured(dosage, texts, product)
    except UnreadableError as error:
        return (unknown_dose(str(error)),)
    readings = [_Reading(structured, text, product) for text in texts]
    if not readings:
        return _doses((Step((structured,)),), product)
    doses = [_combined(reading) for reading in readings]
    known = [dose for dose in doses if all(step.low_mg is not None for step in dose)]
    if DISAGREE in doses or any(not _are_same(dose, known[0]) for dose in known):
        return DISAGREE
    return known[0] if known else doses[0]


def _text_of(text: str, product: Recognised) -> DoseText:
    """What a text says of the product; nothing that can be relied on when it gives the dose of another drug."""
    said = read_dose_text(text)
    other = other_drug_dosed(text, product.antidepressant.components)
    return replace(said, steps=(), unclear=f"it names {other}") if other else said


def _structured(dosage: Dosage, texts: Sequence[DoseText], product: Recognised) -> Part:
    """The structured half; an amount in a unit that we do not know is left to texts that give the same number."""
    try:
        return structured_part(dosage, product)
    except UnknownUnitError as error:
        amounts = [amount for text in texts for amount in text.amounts]
        numbers = {(amount.low, amount.high) for amount in amounts}
        if numbers != {(error.low, error.high)} or any(amount.is_bare for amount in amounts):
            raise
        return Part(None, times_per_day(dosage.timing))


def dose_from_name(product: Recognised) -> tuple[DailyDose, ...]:
    """The dose when an order has no dosage at all, but its name tells one ("sertraline 100 mg once daily")."""
    text = read_dose_text(product.name)
    if text.steps and all(step.is_complete for step in text.steps):
        return tuple(_believed(dose, product) for dose in _doses(text.steps, product))
    strength = product.strength
    per = "mL" if strength and strength.per is Per.ML else "unit"
    shown = f" (the product holds {strength.mg:g} mg a {per})" if strength else ""
    return (dose_not_recorded(f"no dosage{shown}"),)


@lru_cache(maxsize=8192)
def is_silent(dosage: Dosage) -> bool:
    """Whether a dosage says nothing of how much and how often: at most a route, and from when to when."""
    repeat = dosage.timing.repeat if dosage.timing else None
    bounds = repeat and Repeat(
        bounds_period=repeat.bounds_period,
        bounds_duration=repeat.bounds_duration,
        bounds_range=repeat.bounds_range,
    )
    timing = dosage.timing and Timing(repeat=bounds)
    return dosage == Dosage(sequence=dosage.sequence, route=dosage.route, timing=timing)


def one_unit_a_day(product: Recognised) -> DailyDose:
    """The dose if one tablet, capsule or patch were taken each day; unknown for liquids and unknown strengths."""
    return _believed(_dose_of_part(Part(Amount(1, 1, UnitKind.COUNT), Rate(1, 1)), product), product)


def dose_of_supply(quantity: Quantity | None, days: Quantity | None, product: Recognised) -> DailyDose:
    """mg per day when a quantity that was dispensed is spread over the days it was dispensed for.

    A number without a unit counts the pieces (mL) of the product. Unknown when either is lacking.
    """
    length = days_of(days, unit_if_missing="d") if days else None
    if length is None:
        return dose_not_recorded("no dosage, nor for how many days it was dispensed")
    if quantity is None or quantity.value is None:
        return dose_not_recorded("no dosage, nor how much was dispensed")
    try:
        amount = _amount_dispensed(quantity, product)
    except UnreadableError as error:
        return unknown_dose(f"how much was dispensed: {error}")
    part = Part(amount, Rate(1 / length, 1 / length))
    if amount is not None and is_patch(product):
        part = Part(replace(amount, low=amount.low / length, high=amount.high / length), ONCE_A_DAY)
    return _believed(_dose_of_part(part, product), product)


def mg_of_supply(quantity: Quantity | None, product: Recognised) -> float | None:
    """All the mg that were dispensed; None when that cannot be told, and for patches, which last by the piece."""
    if quantity is None or quantity.value is None or is_patch(product):
        return None
    try:
        amount = _amount_dispensed(quantity, product)
    except UnreadableError:
        return None
    dose = _dose_of_part(Part(amount, Rate(1, 1)), product)
    return dose.low_mg if dose.low_mg == dose.high_mg else None


def _amount_dispensed(quantity: Quantity, product: Recognised) -> Amount | None:
    """A number without a unit counts the pieces (mL) of the product. Raises UnreadableError."""
    amount = amount_of_quantity(quantity, product)
    if amount is None or not amount.is_bare:
        return amount
    is_liquid = product.strength is not None and product.strength.per is Per.ML
    return replace(amount, is_bare=False, kind=UnitKind.VOLUME if is_liquid else UnitKind.COUNT)


@lru_cache(maxsize=8192)
def is_as_needed(dosage: Dosage) -> bool | None:
    """Whether a dosage is taken only as needed; None when structure and text disagree."""
    said = any(read_dose_text(text).as_needed for text in all_texts(dosage))
    if dosage.as_needed_boolean or dosage.as_needed_codeable_concept is not None:
        return True
    return None if said and dosage.as_needed_boolean is False else said


@lru_cache(maxsize=8192)
def doubt_of_length(dosage: Dosage) -> str:
    """Why it is not known how long a dosage lasts, by its texts beside its bounds; empty when nothing is in doubt."""
    repeat = dosage.timing.repeat if dosage.timing else None
    own = read_dose_text(dosage.text or "")
    has_bounds = repeat is not None and bool(
        repeat.bounds_period or repeat.bounds_duration or repeat.bounds_range
    )
    if own.is_length_open and not has_bounds:
        return "how long the text means is not told"
    if repeat and not has_bounds and lasts_beyond_the_next(repeat):
        return "each administration lasts longer than the time to the next"
    length = days_of(repeat.bounds_duration) if repeat and repeat.bounds_duration else None
    said = own.steps[0].days if len(own.steps) == 1 else None
    if length and said and not is_close(length, said):
        return "text and structure tell other lengths"
    beside = {text.strip() for text in _texts_beside(dosage)} - {(dosage.text or "").strip()}
    if not (has_bounds or own.has_end) and any(read_dose_text(text).has_end for text in beside):
        return "an instruction beside the dosage tells an end"
    return ""


def _texts_beside(dosage: Dosage) -> list[str]:
    added = [text for concept in dosage.additional_instruction for text in _words(concept)]
    return [dosage.patient_instruction, *added] if dosage.patient_instruction else added


def all_texts(dosage: Dosage) -> tuple[str, ...]:
    """Every text of a dosage that may tell why or when it is taken."""
    instructions = [text for concept in dosage.additional_instruction for text in _words(concept)]
    timing = _words(dosage.timing.code) if dosage.timing and dosage.timing.code else []
    return (*_texts(dosage), *instructions, *timing)


def _words(concept: CodeableConcept) -> list[str]:
    return [text for text in (concept.text, *(coding.display for coding in concept.coding)) if text]


def _texts(dosage: Dosage) -> list[str]:
    """The texts that tell the dose, or must fit it; of the additional instructions those that bear on it."""
    own = [text for text in (dosage.text, dosage.patient_instruction) if text and text.strip()]
    added = [text for concept in dosage.additional_instruction for text in _words(concept)]
    return [*own, *(text for text in added if _bears_on_dose(read_dose_text(text)))]


def _bears_on_dose(text: DoseText) -> bool:
    parts = [part for step in text.steps for part in step.parts]
    return text.is_not_as_ordered or any(part.amount and not part.amount.is_bare for part in parts)


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
        if text.is_not_as_ordered:
            return (unknown_dose(f"it is not taken as the structure says ({text.unclear})"),)
        is_unread = in_mg(structured.amount, product) is None
        if is_unread and _is_number_in_text(reading):
            return _doses(text.steps, product)
        if _contradicts(ordered, reading):
            return DISAGREE
        is_left_to_text = is_unread and product.strength is None
        return _doses(text.steps, product) if is_left_to_text and text.steps else ordered
    if text.unclear:
        return (unknown_dose(f"the text is not clear ({text.unclear})"),)
    if text.stops and any(step.days is None for step in text.steps[:-1]):
        return (unknown_dose("it stops, and when is not told"),)
    if structured.amount is None and structured.rate is None:
        if not text.steps and not text.amounts:
            return (dose_not_recorded("how much and how often it is taken"),)
        return _doses(text.steps, product)
    return _doses(_filled(structured, text.steps, product), product)


def _is_number_in_text(reading: _Reading) -> bool:
    """Whether a number without a unit is that of the text's only amount, in pieces or in mg, as often."""
    given, often = reading.structured.amount, reading.structured.rate
    parts = [part for step in reading.text.steps for part in step.parts]
    if given is None or often is None or not given.is_bare or len(parts) != 1:
        return False
    amount, rate = parts[0].amount, parts[0].rate
    if amount is None or rate is None or not is_same_rate(rate, often):
        return False
    mg = in_mg(amount, reading.product)
    return (given.low, given.high) in ((amount.low, amount.high), (mg and mg.low, mg and mg.high))


def _contradicts(ordered: Sequence[DailyDose], reading: _Reading) -> bool:
    """Whether the text tells another dose than the structure; where it tells half, whether that half differs."""
    text, product = reading.text, reading.product
    if text.unclear:
        return any(not _fits(amount, ordered[0], reading) for amount in text.amounts)
    if any(step.is_complete for step in text.steps):
        stated = _doses(_unrounded(text.steps, reading.structured.amount), product)
        if all(dose.low_mg is not None for dose in (*stated, *ordered)):
            return not _are_same(stated, ordered)
    if len(text.steps) > 1:
        return True
    parts = [part for step in text.steps for part in step.parts]
    rates = [part.rate for part in parts if part.rate]
    if len(parts) != 1:
        return False
    if rates and reading.structured.rate and not parts[0].amount:
        return not is_same_rate(rates[0], reading.structured.rate)
    return any(not _fits(amount, ordered[0], reading) for amount in text.amounts)


def _unrounded(steps: Sequence[Step], given: Amount | None) -> tuple[Step, ...]:
    """The steps of a text with the structure's mg where the text has them as a whole number ("38 mg" for 37.5)."""
    if (
        given is None
        or given.kind is not UnitKind.MASS
        or given.low != given.high
        or given.low < LEAST_ROUNDED_MG
    ):
        return tuple(steps)
    whole = (math.floor(given.low), math.ceil(given.low))
    return tuple(
        replace(
            step,
            parts=tuple(
                replace(part, amount=given)
                if part.amount
                and part.amount.kind is UnitKind.MASS
                and part.amount.low == part.amount.high in whole
                else part
                for part in step.parts
            ),
        )
        for step in steps
    )


def _fits(amount: Amount, ordered: DailyDose, reading: _Reading) -> bool:
    """Whether an amount in the text can be what the structure orders, at one time or in a day."""
    given = reading.structured.amount
    if given is None:
        return True
    stated, each = in_mg(amount, reading.product), in_mg(given, reading.product)
    tells_mg = amount.mg_each is not None or amount.mg_beside is not None
    if stated is None and each is not None and tells_mg:
        return False  # "1 tablet (100 mg)" of 50 mg tablets
    if amount.kind is given.kind and amount.low <= given.low <= amount.high:
        return True
    if stated is None or each is None:
        are_pieces = {amount.kind, given.kind}.isdisjoint({UnitKind.MASS, UnitKind.VOLUME})
        return amount.low <= given.low <= amount.high if are_pieces else amount.kind is not given.kind
    daily = ordered.low_mg is not None and is_close(stated.low, ordered.low_mg)
    strength = reading.product.strength
    is_strength = amount.kind is UnitKind.MASS and strength is not None and is_close(amount.low, strength.mg)
    return daily or is_strength or (is_close(stated.low, each.low) and is_close(stated.high, each.high))


def _filled(structured: Part, steps: Sequence[Step], product: Recognised) -> tuple[Step, ...]:
    """The text's steps, with the half that the structure tells in the place of the text's."""
    if len(steps) != 1 or len(steps[0].parts) != 1:
        return ()
    part = steps[0].parts[0]
    both = Part(structured.amount or part.amount, structured.rate or part.rate)
    if structured.rate and part.rate and not is_same_rate(structured.rate, part.rate):
        return ()
    if structured.amount and part.amount and not _is_same_amount(structured.amount, part.amount, product):
        return ()
    return (replace(steps[0], parts=(both,)),)


def _is_same_amount(one: Amount, other: Amount, product: Recognised) -> bool:
    mg, other_mg = in_mg(one, product), in_mg(other, product)
    if mg is None or other_mg is None:
        return (one.kind, one.low, one.high) == (other.kind, other.low, other.high)
    return is_close(mg.low, other_mg.low) and is_close(mg.high, other_mg.high)


def _are_same(some: Sequence[DailyDose], others: Sequence[DailyDose]) -> bool:
    if len(some) != len(others):
        return False
    pairs = [
        (a, b)
        for one, other in zip(some, others, strict=True)
        for a, b in ((one.low_mg, other.low_mg), (one.high_mg, other.high_mg))
    ]
    return all(a is not None and b is not None and is_close(a, b) for a, b in pairs)


# --- mg per day ---------------------------------------------------------------------------------------


def _doses(steps: Sequence[Step], product: Recognised) -> tuple[DailyDose, ...]:
    if not steps:
        return (unknown_dose("no amount and times that can be read together"),)
    if len(steps) == 1 and (of_pack := _doses_of_pack(steps[0], product)):
        return of_pack
    return tuple(_dose_of_step(step, product) for step in steps)


def _dose_of_step(step: Step, product: Recognised) -> DailyDose:
    doses = [_dose_of_part(part, product) for part in step.parts] or [dose_not_recorded("how much is taken")]
    unknown = next((dose for dose in doses if dose.low_mg is None), None)
    return replace(unknown or add_doses(doses), days=step.days)


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
    shown = f"{text} = {shown_range(low, high)} mg/day"
    return DailyDose(low, high, shown, None, all_pieces, kinds.pop() if all_pieces else None)


def _dose_of_part(part: Part, product: Recognised) -> DailyDose:
    if part.amount is None:
        return dose_not_recorded("how much is taken")
    if part.rate is None:
        return HOW_OFTEN_NOT_RECORDED
    mg = in_mg(part.amount, product)
    if mg is None:
        return unknown_dose(why_no_mg(part.amount, product))
    if spaced := spaced_dose(mg, part.rate, product):
        if spaced.mg_per_day is None:
            return unknown_dose(spaced.text)
        pieces = part.rate.high
        return DailyDose(spaced.mg_per_day, spaced.mg_per_day, spaced.text, None, pieces, UnitKind.COUNT)
    if product.antidepressant.is_per_session:
        shown = f"{mg.text} a session, {_often(part.rate)}"
        return DailyDose(mg.low, mg.high, shown, None, part.rate.high, UnitKind.COUNT)
    if is_patch(product) and not is_same_rate(part.rate, ONCE_A_DAY):
        return unknown_dose("how long each patch is worn is not recorded")
    return _multiplied(part.amount, part.rate, mg, product)


def _multiplied(amount: Amount, rate: Rate, mg: Milligrams, product: Recognised) -> DailyDose:
    low, high = mg.low * mg.factor * rate.low, mg.high * mg.factor * rate.high
    if not (0 <= low < math.inf and 0 < high < math.inf):
        return unknown_dose("the amounts are not possible")
    pieces, kind = _pieces(amount, product)
    text = f"{mg.text} × {_often(rate)}{_shown_factor(mg)} = {shown_range(low, high)} mg/day"
    per_day = pieces * rate.high if pieces else None
    return DailyDose(round(low, 6), round(high, 6), text, None, per_day, kind)


def _pieces(amount: Amount, product: Recognised) -> tuple[float | None, UnitKind | None]:
    """How many tablets or capsules, or mL, at one time; of an amount in mg by the strength of the product."""
    if amount.kind is not UnitKind.MASS:
        return amount.high, amount.kind
    if product.strength is None:
        return None, None
    kind = UnitKind.VOLUME if product.strength.per is Per.ML else UnitKind.COUNT
    return amount.high / product.strength.mg, kind


def _doses_of_pack(step: Step, product: Recognised) -> tuple[DailyDose, ...]:
    """A pack of several strengths, taken in order at so many pieces a day; empty for all other products."""
    contents = _contents(product)
    part = step.parts[0] if len(step.parts) == 1 else Part()
    amount, rate = part.amount, part.rate
    if len({mg for _, mg in contents}) < 2 or amount is None or rate is None:
        return ()
    is_exact = amount.low == amount.high and rate.low == rate.high
    if amount.kind is not UnitKind.COUNT or amount.mg_each or amount.mg_beside or not is_exact:
        return ()
    per_day = amount.low * rate.low
    lengths = [pieces / per_day for pieces, _ in contents]
    if any(not is_close(length, round(length)) for length in lengths):
        return (unknown_dose("the parts of the pack do not last for whole days"),)
    return tuple(
        _dose_of_pack(round(length), per_day, mg) for length, (_, mg) in zip(lengths, contents, strict=True)
    )


def _dose_of_pack(days: int, per_day: float, mg: float) -> DailyDose:
    mg_per_day = per_day * mg
    text = f"{per_day:.4g} × {mg:g} mg × 1/day = {mg_per_day:.4g} mg/day for {days} days of the pack"
    return DailyDose(mg_per_day, mg_per_day, text, days, per_day, UnitKind.COUNT)


def _contents(product: Recognised) -> list[tuple[float, float]]:
    """The parts of a pack in order: how many pieces, and mg in each; empty for what is no pack."""
    return [(part.pieces, part.mg) for part in product.contents]


# --- bounds of what can be believed -------------------------------------------------------------------


def _most_mg_per_day(dosage: Dosage, product: Recognised) -> float | None:
    """The smallest maximum that structure and texts state, in mg per day; None without one."""
    amounts = [read_dose_text(text).most_per_day for text in _texts(dosage)]
    in_text = [mg.high * mg.factor for amount in amounts if amount and (mg := in_mg(amount, product))]
    structured = most_mg_per_day(dosage, product)
    return min(in_text if structured is None else [structured, *in_text], default=None)


def _within(dose: DailyDose, most: float | None) -> DailyDose:
    """The dose under a stated maximum in mg per day, which is all that is known when no dose is."""
    if most is None:
        return dose
    if dose.low_mg is None or dose.high_mg is None:
        shown = f"at most {most:.4g} mg/day, the maximum it states ({dose.text})"
        return DailyDose(0.0, most, shown, dose.days)
    if dose.low_mg > most * (1 + SAME_WITHIN):
        return unknown_dose(f"{dose.text} is more than the maximum it states ({most:.4g} mg/day)", dose.days)
    if dose.high_mg <= most * (1 + SAME_WITHIN):
        return dose
    capped = f"{dose.text}, at most {most:.4g} mg/day as it states"
    pieces = dose.pieces_per_day * most / dose.high_mg if dose.pieces_per_day else None
    return replace(dose, high_mg=most, text=capped, pieces_per_day=pieces)


def _believed(dose: DailyDose, product: Recognised) -> DailyDose:
    most = product.antidepressant.most_mg_per_day
    if dose.high_mg is not None and most is not None and dose.high_mg > most:
        return unknown_dose(f"{dose.text} is too much to be believed", dose.days)
    return dose


def _shown_factor(mg: Milligrams) -> str:
    return "" if mg.factor == 1 else f" × {mg.factor:.3g} for the salt or form"


def _often(rate: Rate) -> str:
    if rate.low == rate.high and 0 < rate.low < 1:
        return f"1/{1 / rate.low:.3g} days"
    return f"{shown_range(rate.low, rate.high)}/day"
