"""An amount of a product (tablets, mL, patches, mg) → mg of the ingredient that the minimum is stated for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cds_service.fhir_reading.dose_items import MOST_BARE_PIECES
from cds_service.fhir_reading.dose_text import Amount, Rate
from cds_service.fhir_reading.drugs import Recognised, mg_per_piece
from cds_service.fhir_reading.figures import is_close
from cds_service.tables.dosing import UnitKind
from cds_service.tables.drugs import Equivalent, Per, load_equivalents

SMALLEST_PART = 0.1  # nobody takes less than a tenth of a tablet


@dataclass(frozen=True)
class Milligrams:
    """mg at one time as written, and the factor by which they count (salts, drops)."""

    low: float
    high: float
    text: str
    factor: float = 1.0


def in_mg(amount: Amount, product: Recognised) -> Milligrams | None:
    """The amount in mg; None when it has no honest reading."""
    factor = _factor(product)
    if amount.kind is UnitKind.MASS:
        if len(product.antidepressant.components) > 1 or _is_too_little_of_a_piece(amount, product):
            return None
        return Milligrams(amount.low, amount.high, f"{shown_range(amount.low, amount.high)} mg", factor)
    each = _mg_of_one(amount, product)
    if each is None or not _is_plausible(amount, each):
        return None
    unit, each_unit = (" mL", " mg/mL") if amount.kind is UnitKind.VOLUME else ("", " mg")
    shown = f"{shown_range(amount.low, amount.high)}{unit} × {each:g}{each_unit}"
    return Milligrams(amount.low * each, amount.high * each, shown, factor)


def why_no_mg(amount: Amount, product: Recognised) -> str:
    """Why `in_mg` gives None."""
    if _is_too_little_of_a_piece(amount, product):
        return f"{amount.high:g} mg is less than a tenth of one piece of the product"
    if amount.kind is UnitKind.MASS:
        return "which ingredient of the combination the mg are of is not recorded"
    if amount.kind not in (UnitKind.COUNT, UnitKind.VOLUME):
        return f"how many mg a {amount.kind.value} of the product holds is not known"
    if product.strength is None:
        return product.strength_problem or "the strength of the product is not known"
    if amount.is_bare:
        return "a number without a unit can be mg or pieces"
    return "the amount does not fit the strength of the product"


def shown_range(low: float, high: float) -> str:
    return f"{low:.4g}" if is_close(low, high) else f"{low:.4g}-{high:.4g}"


def _mg_of_one(amount: Amount, product: Recognised) -> float | None:
    """mg in one piece or mL: as the product says, else as the text says; None when they differ."""
    known = _mg_of_product(amount.kind, product)
    if amount.mg_each is not None:
        return amount.mg_each if known is None or is_close(known, amount.mg_each) else None
    if amount.mg_beside is None:
        return known
    readings = [amount.mg_beside / amount.low] if amount.low > 0 and amount.low == amount.high else []
    if not amount.is_total:
        readings.append(amount.mg_beside)
    if known is not None:
        return known if any(is_close(known, reading) for reading in readings) else None
    return readings[0] if readings and all(is_close(readings[0], reading) for reading in readings) else None


def _mg_of_product(kind: UnitKind, product: Recognised) -> float | None:
    """mg in one tablet (patch, ...), mL, drop or spray of a product; None when neither it nor a table tells."""
    if kind not in (UnitKind.COUNT, UnitKind.VOLUME):
        return mg_per_piece(product, kind.value)
    per = Per.ML if kind is UnitKind.VOLUME else Per.UNIT
    return product.strength.mg if product.strength and product.strength.per is per else None


def _is_too_little_of_a_piece(amount: Amount, product: Recognised) -> bool:
    """ "1 mg" of a tablet of 50 mg is a slip: for one tablet, or for 50 mg."""
    of_piece = _mg_of_product(UnitKind.COUNT, product)
    return amount.kind is UnitKind.MASS and of_piece is not None and amount.high < of_piece * SMALLEST_PART


def _is_plausible(amount: Amount, each: float) -> bool:
    """A number without a unit is a count of pieces only if it cannot be the mg themselves."""
    if not amount.is_bare or amount.high <= 1:
        return True
    return amount.high <= MOST_BARE_PIECES and not is_close(amount.high, each)


# --- mg that do not count one to one ------------------------------------------------------------------


def _factor(product: Recognised) -> float:
    factors = [row.to_mg_per_day / row.from_mg for row in equivalents_of(product) if row.every_days == 1]
    return factors[0] if factors else 1.0


def equivalents_of(product: Recognised) -> Iterable[Equivalent]:
    for row in load_equivalents():
        if row.ingredient == product.antidepressant.drug.ingredient and (
            not row.product_words or any(word in product.words for word in row.product_words)
        ):
            yield row


@dataclass(frozen=True)
class Spaced:
    """What a product taken every so many days counts as: mg per day, or why it has no reading."""

    mg_per_day: float | None
    text: str


def spaced_dose(mg: Milligrams, rate: Rate, product: Recognised) -> Spaced | None:
    """The reading of a product that is meant for every so many days; None for all others."""
    for row in equivalents_of(product):
        if row.every_days > 1 and (is_close(mg.low, row.from_mg) or _has_strength(product, row.from_mg)):
            is_as_meant = is_close(mg.low, row.from_mg) and mg.low == mg.high
            if is_as_meant and rate.low == rate.high and is_close(rate.low, 1 / row.every_days):
                counted = f"counted as {row.to_mg_per_day:g} mg/day"
                return Spaced(row.to_mg_per_day, f"{mg.text} every {row.every_days:g} days, {counted}")
            return Spaced(
                None,
                f"{row.from_mg:g} mg is meant for every {row.every_days:g} days, and is ordered otherwise",
            )
    return None


def _has_strength(product: Recognised, mg: float) -> bool:
    return product.strength is not None and is_close(product.strength.mg, mg)
