"""What can be ordered: the drugs of the stories, their minimum doses, and products with code and strength.

Reads the CSV tables by itself. Left out are products whose use is restricted or whose strength leaves a
doubt, because no order for them has one right answer.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

TABLES = Path(__file__).parents[2] / "cds_service" / "tables"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"
DMD = "https://dmd.nhs.uk"
NDC = "http://hl7.org/fhir/sid/ndc"
ATC = "http://www.whocc.no/atc"


@dataclass(frozen=True)
class Product:
    """A product of known strength: mg in one tablet or capsule, or in one mL."""

    ingredient: str
    level: str
    system: str
    code: str
    name: str
    mg_each: float
    piece: str  # tablet, capsule or mL
    hyphenated: str = ""  # an NDC in its ten digits


@dataclass(frozen=True)
class Name:
    """A code or name that tells the drug but no strength; without a code, `name` is all there is."""

    ingredient: str
    level: str
    system: str
    code: str
    name: str


def _rows(table: str) -> list[dict[str, str]]:
    with (TABLES / table).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@lru_cache(maxsize=1)
def _antidepressants() -> dict[str, dict[str, str]]:
    return {row["ingredient"]: row for row in _rows("antidepressants.csv")}


@lru_cache(maxsize=1)
def story_drugs() -> list[str]:
    """Single drugs whose use counts unless another reason is stated, and whose minimum doses are known."""
    return [
        ingredient
        for ingredient, row in _antidepressants().items()
        if row["indication_rule"] == "unless_other"
        and not row["counting_form"]
        and row["default_min_mg"]
        and row["lenient_min_mg"]
        and "/" not in ingredient
        and any(mg >= float(row["default_min_mg"]) for mg in daily_doses(ingredient))
    ]


def minimum_doses(ingredient: str) -> dict[str, float]:
    row = _antidepressants()[ingredient]
    return {"lenient": float(row["lenient_min_mg"]), "default": float(row["default_min_mg"])}


def class_of(ingredient: str) -> str:
    return _antidepressants()[ingredient]["class"]


def mechanism_of(ingredient: str) -> str:
    return _antidepressants()[ingredient]["mechanism_group"]


@lru_cache(maxsize=128)
def daily_doses(ingredient: str) -> list[float]:
    """Doses that one to three of some tablet or capsule make, up to the labelled maximum."""
    row = _antidepressants()[ingredient]
    most = float(row["label_max_mg"] or 2 * float(row["default_min_mg"]))
    strengths = {product.mg_each for product in products_of(ingredient) if product.piece != "mL"}
    return sorted({mg * pieces for mg in strengths for pieces in (1, 2, 3) if mg * pieces <= most})


# --- products and names -------------------------------------------------------------------------------


@lru_cache(maxsize=128)
def products_of(ingredient: str) -> list[Product]:
    """Everything with a strength that the tables hold, and text without a code ("Seroxat 20mg tablets")."""
    found = [*_rxnorm().get(ingredient, []), *_dmd().get(ingredient, []), *_ndc().get(ingredient, [])]
    strengths = sorted({(p.mg_each, p.piece) for p in found if p.piece != "mL"})
    return [*_spelled(ingredient, strengths), *found]


SPELLINGS = (
    *("{name} {mg} mg {piece}", "{name} {mg}mg {piece}s", "{name} {mg} MG Oral {piece}", "{name} {mg} MG"),
    *(
        "{name}® {mg} mg {piece}",
        "{piece} {name} {mg}mg",
        "{name}-{mg}mg",
        "{name} (generic) {mg} mg oral {piece}",
    ),
    *("{name}_{mg}_MG_{piece}", "{mg} mg {name}", "{name} {mg} milligrams {piece}, film coated"),
)


def _spelled(ingredient: str, strengths: list[tuple[float, str]]) -> list[Product]:
    names = [ingredient, ingredient.capitalize(), *_brands().get(ingredient, [])]
    return [
        Product(ingredient, "text", "", "", text.format(name=name, mg=f"{mg:g}", piece=piece), mg, piece)
        for mg, piece in strengths
        for name in names
        for text in SPELLINGS
    ]


@lru_cache(maxsize=128)
def names_of(ingredient: str) -> list[Name]:
    row = _antidepressants()[ingredient]
    names = [
        Name(ingredient, "generic", "", "", ingredient),
        Name(ingredient, "generic", "", "", ingredient.upper()),
    ]
    names += [Name(ingredient, "brand", "", "", brand) for brand in _brands().get(ingredient, [])]
    names += [Name(ingredient, "misspelling", "", "", wrong) for wrong in _misspellings().get(ingredient, [])]
    names += [Name(ingredient, "IN", RXNORM, row["rxcui"], ingredient)] if row["rxcui"] else []
    names += [Name(ingredient, "ATC", ATC, row["atc"], ingredient)] if row["atc"] else []
    for concept in _rows("rxnorm_concepts.csv"):
        if concept["ingredients"] == ingredient and not _is_restricted(concept["name"]):
            names.append(Name(ingredient, concept["tty"], RXNORM, concept["rxcui"], concept["name"]))
    for concept in _rows("snomed_antidepressants.csv"):
        if (
            concept["ingredient"] == ingredient
            and concept["concept_type"] in ("VTM", "ING")
            and "+" not in concept["name"]
        ):
            names.append(Name(ingredient, concept["concept_type"], SNOMED, concept["code"], concept["name"]))
    return names


@lru_cache(maxsize=1)
def _brands() -> dict[str, list[str]]:
    brands: dict[str, list[str]] = {}
    for row in _rows("brands.csv"):
        if not row["trial_use"] and not row["caution"]:
            brands.setdefault(row["ingredient"], []).append(row["brand"])
    return brands


@lru_cache(maxsize=1)
def _misspellings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in _rows("drug_misspellings.csv"):
        found.setdefault(row["name"], []).append(row["misspelling"])
    return found


RESTRICTED_WORDS = (
    "hydrobromide",
    "besylate",
    "mesylate",
    "weekly",
    "sarafem",
    "silenor",
    "zyban",
    "forfivo",
    "aplenzin",
    "prudoxin",
    "zonalon",
)


@cache
def _is_restricted(name: str) -> bool:
    """Brands for another use, and salts and forms with a dose rule of their own."""
    words = name.lower()
    restricted = [row["brand"].lower() for row in _rows("brands.csv") if row["trial_use"]]
    is_citalopram = "citalopram hydrobromide" in words
    return not is_citalopram and any(word in words for word in (*RESTRICTED_WORDS, *restricted))


def _piece(form: str) -> str:
    words = form.lower()
    if "solution" in words or "suspension" in words or "liquid" in words:
        return "mL"
    return "capsule" if "capsule" in words else "tablet" if "tablet" in words else ""


@lru_cache(maxsize=1)
def _rxnorm() -> dict[str, list[Product]]:
    found: dict[str, list[Product]] = {}
    for row in _rows("rxnorm_products.csv"):
        piece = _piece(row["dose_form"])
        unit = "mg/mL" if piece == "mL" else "mg"
        is_plain = row["tty"] in ("SCD", "SBD") and not row["trial_use"] and not _is_restricted(row["name"])
        if piece and is_plain and row["strength_unit"] == unit and "|" not in row["ingredients"]:
            product = Product(
                row["ingredients"],
                row["tty"],
                RXNORM,
                row["rxcui"],
                row["name"],
                float(row["strength_value"]),
                piece,
            )
            found.setdefault(row["ingredients"], []).append(product)
    return found


STRENGTH = re.compile(r"([\d.]+) (mg|gram|microgram)(?:s)?(?:/([\d.]+)? ?ml)?")


@lru_cache(maxsize=1)
def _dmd() -> dict[str, list[Product]]:
    found: dict[str, list[Product]] = {}
    for row in _rows("snomed_antidepressants.csv"):
        piece, strength = _piece(row["name"]), STRENGTH.fullmatch(row["strength_text"].lower())
        if not piece or not strength or strength[2] != "mg" or _is_restricted(row["name"]):
            continue
        if ("ml" in row["strength_text"]) != (piece == "mL"):
            continue
        mg_each = float(strength[1]) / float(strength[3] or 1)
        system = DMD if int(row["code"]) % 2 else SNOMED
        product = Product(
            row["ingredient"], row["concept_type"], system, row["code"], row["name"], mg_each, piece
        )
        found.setdefault(row["ingredient"], []).append(product)
    return found


@lru_cache(maxsize=1)
def _ndc() -> dict[str, list[Product]]:
    found: dict[str, list[Product]] = {}
    for row in _rows("ndc_products.csv"):
        piece = _piece(row["dose_form"])
        if row["strength_unit"] != "mg/1" or piece not in ("tablet", "capsule"):
            continue
        if _is_restricted(row["brand_or_label_name"]):
            continue
        product = Product(
            row["ingredient"],
            "NDC",
            NDC,
            row["ndc11"],
            row["brand_or_label_name"],
            float(row["strength"]),
            piece,
            _ten_digits(row),
        )
        if product.mg_each >= 5:
            found.setdefault(row["ingredient"], []).append(product)
    return found


def _ten_digits(row: dict[str, str]) -> str:
    """4-4-2, 5-3-2 or 5-4-1, as on the package."""
    package = row["ndc11"][9:]
    if len(row["product_ndc"]) < 10:
        return f"{row['product_ndc']}-{package}"
    return f"{row['product_ndc']}-{package[1]}" if package[0] == "0" else ""
