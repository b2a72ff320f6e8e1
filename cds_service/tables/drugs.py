"""The drug tables: which antidepressants exist, their minimum doses, and every code and name they go by.

Small tables are read once at first use. Of the large ones (NDC, SNOMED CT with dm+d) only an index is
made, when an order first carries such a code, and a row is read when its code is asked for. Every row is
checked when it is read; a wrong one raises `TableError`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from cds_service.tables.rows import Row, RowIndex, index_rows, read_rows
from cds_service.trd.record import Drug

DOSE_COLUMNS = {"lenient": "lenient_min_mg", "default": "default_min_mg", "strict": "strict_min_mg"}
# Nobody is prescribed several times the labelled maximum: beyond it, a figure is a slip of the pen.
MOST_TIMES_LABEL_MAXIMUM = 3
MOST_TIMES_USUAL_DOSE = 10


class TrialUse(Enum):
    """When an order of a drug or product can be an attempt to treat depression."""

    UNLESS_OTHER = "unless_other"  # yes, unless another reason is stated
    DEPRESSION_ONLY = "depression_only"  # cannot be told unless depression is stated
    OTHER_USE = "other_use"  # a product for something else: no, unless depression is stated
    NEVER = "never"


class Per(Enum):
    """What a strength is stated per."""

    UNIT = "unit"  # tablet, capsule, patch (as mg per 24 h)
    ML = "mL"


class Form(Enum):
    """How a product gets into the body, as far as it decides whether its use can count."""

    ORAL = "oral"
    TRANSDERMAL = "transdermal"
    TOPICAL = "topical"
    NASAL = "nasal"
    INJECTION = "injection"


@dataclass(frozen=True)
class Strength:
    """mg of the ingredient that the minimum dose is stated for, per tablet (or the like) or per mL."""

    mg: float
    per: Per


@dataclass(frozen=True)
class Equivalent:
    """`from_mg` taken every `every_days` days count as `to_mg_per_day`, for products with these words."""

    ingredient: str
    product_words: tuple[str, ...]
    from_mg: float
    every_days: float
    to_mg_per_day: float


@dataclass(frozen=True)
class Antidepressant:
    """One row of `antidepressants.csv`.

    `dose_component` is the ingredient whose mg are compared with the minimum. `is_conditional` drugs
    count only with care for what they are for; doses of those that `is_per_session` are mg a session.
    `counting_form` is the only form whose use counts, if
    the row says so. Above `most_mg_per_day` a dose is not believed; None when nothing bounds it.
    """

    drug: Drug
    components: frozenset[str]
    dose_component: str
    atc: str
    use: TrialUse
    use_text: str
    is_conditional: bool
    is_per_session: bool
    counting_form: Form | None
    most_mg_per_day: float | None


@dataclass(frozen=True)
class PackPart:
    """So many tablets or capsules of one strength in a pack; `mg` in each of them."""

    pieces: float
    mg: float


@dataclass(frozen=True)
class Product:
    """What one code or name stands for: a drug, perhaps a strength and form; `components` in any case.

    `antidepressant` is None for the other drugs in our tables, such as augmenting agents. `contents` are
    the parts of a pack in the order in which they are taken. `may_have_partner` marks a code that stands
    for several combinations of the components.
    """

    antidepressant: Antidepressant | None
    components: frozenset[str]
    name: str
    strength: Strength | None = None
    form: Form | None = None
    use: TrialUse | None = None
    use_text: str = ""
    contents: tuple[PackPart, ...] = ()
    may_have_partner: bool = False


@lru_cache(maxsize=1)
def load_antidepressants() -> dict[str, Antidepressant]:
    """All antidepressants by ingredient."""
    rows = {
        row.required("ingredient"): row for row in read_rows("antidepressants.csv", ANTIDEPRESSANT_COLUMNS)
    }
    return {ingredient: _antidepressant(row, rows) for ingredient, row in rows.items()}


ANTIDEPRESSANT_COLUMNS = (
    "ingredient", "agent", "dose_component", "rxcui", "atc", "class", "mechanism_group", "who_ddd_mg",
    "label_max_mg", "label_source", *DOSE_COLUMNS.values(), "default_rationale", "counting_form",
    "non_trial_rule", "counts_as_trial", "indication_rule", "low_dose_use",
)  # fmt: skip


def _antidepressant(row: Row, rows: Mapping[str, Row]) -> Antidepressant:
    agent = row.one_of("agent", rows)
    minimum_mg = {name: mg for name, column in DOSE_COLUMNS.items() if (mg := row.number(column))}
    ingredient = row.required("ingredient")
    drug = Drug(
        ingredient=ingredient,
        agent=agent,
        rxcui=row.text("rxcui") or None,
        drug_class=rows[agent].required("class"),
        mechanism=rows[agent].required("mechanism_group"),
        minimum_mg=minimum_mg,
        minimum_source=row.required("default_rationale") if minimum_mg else "",
        non_trial_rule=row.text("non_trial_rule"),
        low_dose_use=row.text("low_dose_use"),
    )
    counts = row.one_of("counts_as_trial", ("yes", "no", "conditional", "special"))
    form = row.text("counting_form")
    return Antidepressant(
        drug=drug,
        components=frozenset(ingredient.split(" / ")),
        dose_component=row.one_of("dose_component", ingredient.split(" / ")),
        atc=row.text("atc"),
        use=TrialUse(row.one_of("indication_rule", [use.value for use in TrialUse])),
        use_text=row.text("default_rationale") if counts in ("no", "special") else row.text("non_trial_rule"),
        is_conditional=counts == "conditional",
        is_per_session=counts == "special",
        counting_form=Form(row.one_of("counting_form", [f.value for f in Form])) if form else None,
        most_mg_per_day=_most_mg_per_day(row, minimum_mg),
    )


def _most_mg_per_day(row: Row, minimum_mg: Mapping[str, float]) -> float | None:
    label_max = row.text("label_max_mg")
    if label_max and "/" not in label_max:
        return MOST_TIMES_LABEL_MAXIMUM * row.required_number("label_max_mg")
    usual = [mg for mg in (*minimum_mg.values(), row.number("who_ddd_mg")) if mg]
    return MOST_TIMES_USUAL_DOSE * max(usual) if usual else None


def drug_of(components: frozenset[str]) -> Antidepressant | None:
    """The antidepressant that these ingredients together are; None when there is none among them.

    A combination without a row of its own counts as the one antidepressant in it.
    """
    row = _by_components().get(components)
    if row:
        return row
    known = [row for part in components if (row := load_antidepressants().get(part))]
    return known[0] if len(known) == 1 else None


@lru_cache(maxsize=1)
def _by_components() -> dict[frozenset[str], Antidepressant]:
    return {row.components: row for row in load_antidepressants().values()}


# --- codes -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def rxnorm_product(code: str) -> Product | None:
    """What an RxNorm code stands for: a product, pack, brand, ingredient, salt or combination."""
    row = _rxnorm_index().row(code)
    return _rxnorm_product(row) if row else _rxnorm_concepts().get(code)


def rxnorm_codes() -> Iterable[str]:
    return (*_rxnorm_index().lines, *_rxnorm_concepts())


@lru_cache(maxsize=1)
def _rxnorm_index() -> RowIndex:
    return index_rows("rxnorm_products.csv", RXNORM_PRODUCT_COLUMNS, "rxcui")


@lru_cache(maxsize=1)
def _rxnorm_concepts() -> dict[str, Product]:
    """The codes that give the drug but no strength."""
    known = {row.drug.rxcui: row for row in load_antidepressants().values() if row.drug.rxcui}
    codes = {rxcui: Product(row, row.components, row.drug.ingredient) for rxcui, row in known.items()}
    for row in read_rows("rxnorm_concepts.csv", ("rxcui", "tty", "name", "ingredients", "source")):
        codes[_rxcui(row)] = _concept(row)
    for row in read_rows("augmentation.csv", ("agent", "rxcui", "components")):
        if row.text("rxcui") and row.text("rxcui") not in codes:
            codes[_rxcui(row)] = Product(None, frozenset(row.parts("components")), row.required("agent"))
    return codes


RXNORM_PRODUCT_COLUMNS = (
    "rxcui", "name", "ingredients", "strength_value", "strength_unit", "mg_per_24h_if_patch",
    "components_json", "dose_form", "product_role", "trial_use", "caution", "source",
)  # fmt: skip


def _rxcui(row: Row) -> str:
    code = row.required("rxcui")
    return code if code.isascii() and code.isdigit() else row.reject("rxcui", "digits")


def _concept(row: Row) -> Product:
    components = frozenset(row.parts("ingredients"))
    brand = load_names().get(words_of(row.required("name")))
    use, text = (brand.use, brand.use_text) if brand else (None, "")
    return Product(drug_of(components), components, row.required("name"), use=use, use_text=text)


def _rxnorm_product(row: Row) -> Product:
    components = frozenset(row.parts("ingredients"))
    is_antidepressant = row.one_of("product_role", ("antidepressant", "augmenting_agent")) == "antidepressant"
    antidepressant = drug_of(components) if is_antidepressant else None
    if is_antidepressant and antidepressant is None:
        row.reject("ingredients", "an ingredient of antidepressants.csv")
    return Product(
        antidepressant,
        components,
        row.required("name"),
        strength=_rxnorm_strength(row, _dose_component(row, antidepressant)),
        form=form_in(row.text("dose_form")),
        use=_trial_use(row),
        use_text=row.text("caution"),
        contents=_contents(row) if "{" in row.text("name") else (),
    )


def _contents(row: Row) -> tuple[PackPart, ...]:
    """What a pack holds; the devices of a spray are not tablets, but are counted alike."""
    parts = _parts(row)
    if not all(isinstance(part.get("count"), int) and part["unit"] == "mg" for part in parts):
        row.reject("components_json", "parts with a count and mg")
    return tuple(PackPart(part["count"], part["strength"]) for part in parts)


def _parts(row: Row) -> list[dict[str, Any]]:
    """The parts of a combination or pack; none where the column is empty."""
    text = row.text("components_json")
    try:
        parts: list[dict[str, Any]] = json.loads(text) if text else []
        are_whole = all({"ingredient", "strength", "unit"} <= part.keys() for part in parts)
    except (ValueError, AttributeError, TypeError):
        are_whole = False
    return parts if are_whole else row.reject("components_json", "parts with ingredient, strength and unit")


def _trial_use(row: Row) -> TrialUse | None:
    use = row.one_of("trial_use", ("", *(use.value for use in TrialUse)))
    return TrialUse(use) if use else None


def _dose_component(row: Row, antidepressant: Antidepressant | None) -> str:
    """The ingredient whose mg are compared with a least dose; of an augmenting agent the first."""
    if antidepressant:
        return antidepressant.dose_component
    return next(iter(row.parts("ingredients")), "") or row.reject("ingredients", "an ingredient")


def _rxnorm_strength(row: Row, component: str) -> Strength | None:
    unit = row.one_of("strength_unit", ("", "mg", "mg/mL", "mg/h"))
    if unit == "mg/h":
        return Strength(row.required_number("mg_per_24h_if_patch"), Per.UNIT)
    if unit == "" or "{" in row.text("name"):
        return None
    mg = row.required_number("strength_value")
    if row.text("components_json"):
        mg = _component_mg(row, component)
    return Strength(mg, Per.ML if unit == "mg/mL" else Per.UNIT)


def _component_mg(row: Row, component: str) -> float:
    for part in _parts(row):
        if part["ingredient"] == component and part["unit"] == "mg":
            return float(part["strength"])
    return row.reject("components_json", f"the strength of {component} in mg")


@dataclass(frozen=True)
class KnownProducts:
    """What products of one drug there are: strengths of one piece with its forms, combinations, packs.

    `combinations` holds the mg of every component; `packs` the contents.
    """

    forms_by_mg: Mapping[float, frozenset[Form]]
    combinations: tuple[Mapping[str, float], ...]
    packs: frozenset[tuple[PackPart, ...]]


@lru_cache(maxsize=128)
def products_of(components: frozenset[str]) -> KnownProducts:
    """All RxNorm products of exactly these components."""
    forms: dict[float, set[Form]] = {}
    combinations: list[dict[str, float]] = []
    own = _products_by_components().get(components, ())
    for product, parts in own:
        if product.strength and product.strength.per is Per.UNIT:
            forms.setdefault(product.strength.mg, set()).update({product.form} if product.form else ())
        if parts and not product.contents:
            combinations.append(parts)
    packs = frozenset(product.contents for product, _ in own if product.contents)
    return KnownProducts({mg: frozenset(found) for mg, found in forms.items()}, tuple(combinations), packs)


@lru_cache(maxsize=1)
def _products_by_components() -> dict[frozenset[str], list[tuple[Product, dict[str, float]]]]:
    products: dict[frozenset[str], list[tuple[Product, dict[str, float]]]] = {}
    for row in read_rows("rxnorm_products.csv", RXNORM_PRODUCT_COLUMNS):
        product = _rxnorm_product(row)
        mg = {part["ingredient"]: float(part["strength"]) for part in _parts(row)}
        products.setdefault(product.components, []).append((product, mg))
    return products


@lru_cache(maxsize=1)
def known_combinations() -> frozenset[frozenset[str]]:
    """Every set of ingredients that is sold as one product, as far as our tables know."""
    rows = [row.components for row in load_antidepressants().values()]
    others = [product.components for product in (*_rxnorm_concepts().values(), *load_names().values())]
    return frozenset(components for components in (*rows, *others) if len(components) > 1)


@lru_cache(maxsize=1)
def load_atc() -> dict[str, Product]:
    """ATC codes of the fifth level. Where combinations share a code, the first stands for all, and says so."""
    codes: dict[str, Product] = {}
    for row in load_antidepressants().values():
        if row.atc:
            shared = codes.get(row.atc)
            drug = shared.antidepressant if shared else row
            components = shared.components & row.components if shared else row.components
            codes[row.atc] = Product(
                drug, components, (drug or row).drug.ingredient, may_have_partner=shared is not None
            )
    return codes


SNOMED_COLUMNS = ("concept_type", "code", "name", "ingredient", "strength_text", "source")


@lru_cache(maxsize=1024)
def snomed_product(code: str) -> Product | None:
    """What a SNOMED CT or dm+d code of a substance or product stands for; None when no row has it."""
    row = _snomed_index().row(code)
    return _snomed_product(row) if row else None


@lru_cache(maxsize=1)
def _snomed_index() -> RowIndex:
    return index_rows("snomed_antidepressants.csv", SNOMED_COLUMNS, "code")


def snomed_codes() -> Iterable[str]:
    return _snomed_index().lines


def _snomed_product(row: Row) -> Product:
    name = row.required("name")
    parts = row.parts("ingredient") or (row.reject("ingredient", "an ingredient"),)
    partners = name.split(" + ") if " + " in name else ()
    components = frozenset[str]().union(*(_components_of(part) for part in (*parts, *partners)))
    antidepressant = drug_of(components)
    strength = strength_in(row.text("strength_text")) if antidepressant else None
    brand = brand_in(name)
    return Product(
        antidepressant, components, name, strength, form_in(name),
        brand.use if brand else None, brand.use_text if brand else "",
    )  # fmt: skip


def _components_of(ingredient: str) -> frozenset[str]:
    known = load_names().get(words_of(ingredient))
    return known.components if known else frozenset({ingredient.lower()})


NDC_COLUMNS = (
    "ndc11", "product_ndc", "ingredient", "strength", "strength_unit", "dose_form",
    "brand_or_label_name",
)  # fmt: skip
NDC_SNAPSHOT = "April 2019"


@lru_cache(maxsize=1024)
def ndc_product(digits: str) -> Product | None:
    """What a US package code (11 digits) or product code (its first 9) stands for; None when no row has it."""
    row = _ndc_index().row(_ndc_of_product().get(digits, digits))
    return _ndc_product(row) if row else None


@lru_cache(maxsize=1)
def _ndc_index() -> RowIndex:
    return index_rows("ndc_products.csv", NDC_COLUMNS, "ndc11")


@lru_cache(maxsize=1)
def _ndc_of_product() -> dict[str, str]:
    """One package of each product, by labeller and product."""
    return {ndc[:9]: ndc for ndc in _ndc_index().lines}


def ndc_codes() -> Iterable[str]:
    return _ndc_index().lines


NDC_PER_PIECE = ("mg/1", "mg/24h")
NDC_PER_VOLUME = re.compile(r"mg/(?P<per>\d*\.?\d*)mL")


def _ndc_product(row: Row) -> Product:
    parts = row.parts("ingredient")
    components = frozenset(parts)
    antidepressant = drug_of(components)
    label = row.text("brand_or_label_name")
    brand = brand_in(label)
    return Product(
        antidepressant,
        components,
        label or " / ".join(parts),
        strength=_ndc_strength(row, parts, antidepressant),
        form=form_in(row.text("dose_form")),
        use=brand.use if brand else None,
        use_text=brand.use_text if brand else "",
    )


def _ndc_strength(row: Row, parts: tuple[str, ...], antidepressant: Antidepressant | None) -> Strength | None:
    figures, units = row.parts("strength"), row.parts("strength_unit")
    if antidepressant is None or not len(parts) == len(figures) == len(units):
        return None
    at = parts.index(antidepressant.dose_component)
    per_volume = NDC_PER_VOLUME.fullmatch(units[at])
    try:
        mg, ml = float(figures[at]), float(per_volume["per"] or 1) if per_volume else 1.0
    except ValueError:
        row.reject("strength", "numbers, in units such as mg/1 or mg/5mL")
    if per_volume:
        return Strength(mg / ml, Per.ML)
    return Strength(mg, Per.UNIT) if units[at] in NDC_PER_PIECE else None


# --- names -------------------------------------------------------------------------------------------

Words = tuple[str, ...]


@lru_cache(maxsize=1)
def load_names() -> dict[Words, Product]:
    """Generic names, brands and aliases of antidepressants and of the other drugs in our tables, by words."""
    names: dict[Words, Product] = {}
    for part in _other_ingredients():
        names[words_of(part)] = Product(drug_of(frozenset({part})), frozenset({part}), part)
    for part in _augmenting_ingredients():
        product = Product(drug_of(frozenset({part})), frozenset({part}), part)
        names |= {words_of(spelling): product for spelling in _spellings(part)}
    for row in load_antidepressants().values():
        product = Product(row, row.components, row.drug.ingredient)
        for spelling in _spellings(row.drug.ingredient):
            names[words_of(spelling)] = product
    for row_ in read_rows("drug_aliases.csv", ("name", "ingredient", "source")):
        ingredient = row_.one_of("ingredient", load_antidepressants())
        names[words_of(row_.required("name"))] = names[words_of(ingredient)]
    for row_ in read_rows("brands.csv", ("brand", "ingredient", "region", "trial_use", "caution", "source")):
        names[words_of(row_.required("brand"))] = _brand(row_)
    for row_ in read_rows("rxnorm_concepts.csv", ("tty", "name", "ingredients")):
        if row_.text("tty") == "BN":
            components = frozenset(row_.parts("ingredients"))
            brand = Product(drug_of(components), components, row_.required("name"))
            names.setdefault(words_of(brand.name), brand)
    return names | {words: _meant(row, words, names) for words, row in load_misspellings().items()}


@lru_cache(maxsize=1)
def load_misspellings() -> dict[Words, Row]:
    """Misspelt names, which can mean one drug only."""
    rows = read_rows("drug_misspellings.csv", ("misspelling", "name", "source"))
    return {words_of(row.required("misspelling")): row for row in rows}


def _meant(row: Row, words: Words, names: Mapping[Words, Product]) -> Product:
    if words in names:
        row.reject("misspelling", "a spelling that no drug has of its own")
    meant = names.get(words_of(row.required("name")))
    return meant or row.reject("name", "a name of antidepressants.csv or brands.csv")


def _other_ingredients() -> Iterable[str]:
    """Partners in combinations: known, and no antidepressants on their own."""
    for table, column in (("rxnorm_concepts.csv", "ingredients"), ("brands.csv", "ingredient")):
        for row in read_rows(table, (column,)):
            yield from row.parts(column)
    for antidepressant in load_antidepressants().values():
        yield from antidepressant.components


def _augmenting_ingredients() -> Iterable[str]:
    """Agents that are added to an antidepressant, and partners in them."""
    for row in read_rows("augmentation.csv", ("components",)):
        yield from row.parts("components")


def _spellings(ingredient: str) -> Iterable[str]:
    """The name and its forms in other languages, which differ in the ending only (sertralin, sertralina)."""
    yield ingredient
    if "/" in ingredient or " " in ingredient:
        return
    stem = ingredient.removesuffix("e")
    yield from (stem + ending for ending in ("", "e", "a", "um", "o"))


def _brand(row: Row) -> Product:
    components = frozenset(row.parts("ingredient"))
    return Product(
        drug_of(components), components, row.required("brand"),
        form=Form.TRANSDERMAL if "patch" in row.text("caution") else None,
        use=_trial_use(row), use_text=row.text("caution"),
    )  # fmt: skip


def words_of(text: str) -> Words:
    """Lower-case runs of letters, and numbers; accents, apostrophes, ® and ™ dropped, so spellings meet."""
    return tuple(WORD.findall(plain_text(text)))


def plain_text(text: str) -> str:
    """The text as `words_of` sees it, with what stands between the words."""
    plain = text[:2000].translate(MARKS).lower()
    if plain.isascii():
        return plain
    plain = unicodedata.normalize("NFKD", plain)
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


MARKS = str.maketrans({"®": " ", "™": " ", "©": " ", "℠": " ", "'": None, "’": None})
WORD = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Named:
    """A known name among the words of a text, from `start` up to `end`."""

    start: int
    end: int
    product: Product


def products_named(words: Words) -> list[Named]:
    """Every known name among the words, longest first at each place."""
    longest = _longest_first()
    found: list[Named] = []
    at = 0
    while at < len(words):
        for name, product in longest.get(words[at], ()):
            if words[at : at + len(name)] == name:
                found.append(Named(at, at + len(name), product))
                at += len(name) - 1
                break
        at += 1
    return found


@lru_cache(maxsize=1)
def _longest_first() -> dict[str, list[tuple[Words, Product]]]:
    by_first: dict[str, list[tuple[Words, Product]]] = {}
    for name, product in sorted(load_names().items(), key=lambda item: -len(item[0])):
        by_first.setdefault(name[0], []).append((name, product))
    return by_first


def brand_in(text: str) -> Product | None:
    """The first name in the text that says something about its use, else the first name, else None."""
    found = [named.product for named in products_named(words_of(text))]
    return next((product for product in found if product.use), found[0] if found else None)


# --- forms, strengths, equivalents, phrases -------------------------------------------------------------


@lru_cache(maxsize=1)
def load_form_words() -> dict[str, Form]:
    """Words of a product's name that tell its form."""
    rows = read_rows("dose_forms.csv", ("word", "form", "source"))
    return {row.required("word"): Form(row.one_of("form", [f.value for f in Form])) for row in rows}


@lru_cache(maxsize=4096)
def form_in(text: str) -> Form | None:
    """The form that the words of a name tell; oral only if no word tells another."""
    known = load_form_words()
    forms = {known[word] for word in re.split(r"[^\w/]+", text.lower()) if word in known}
    others = forms - {Form.ORAL}
    if len(others) == 1:
        return others.pop()
    return Form.ORAL if forms == {Form.ORAL} else None


MASS_UNIT = r"milligram(?:me)?s?|microgram(?:me)?s?|gram(?:me)?s?|mgs?|mcgs?|[uµμ]g|gm|g"
STRENGTH = re.compile(
    r"(?<![\d.,])(?<!\d[/-])(?<!\d\s[/-])(?<!\d[/-]\s)(?<!\d\s[/-]\s)"
    rf"(?P<value>\d+(?:[.,]\d+)?)\s*(?P<unit>{MASS_UNIT})(?![a-z])\.?"
    r"(?:\s*(?:/|\bper\b|\bin\b)\s*(?P<per>\d+(?:\.\d+)?)?\s*"
    r"(?P<per_unit>mls?|millilit(?:re|er)s?|hours?|hrs?|h)(?![a-z]))?"
    r"(?!\s*(?:/|\bper\b|\bin\b|\ba\b)\s*[\d.]*\s*(?:kg|gm?|cm|m2|day|d)(?![a-z]))",
    re.IGNORECASE,
)


def strengths_in(text: str) -> list[tuple[int, Strength]]:
    """Every strength in a product name, with the place where it stands: 100 mg, 20 mg/5 mL, 0.25 MG/HR.

    mg per area, per gram (creams) or per day are no strengths of one piece, and are left out.
    """
    return [(match.start(), _strength(match)) for match in STRENGTH.finditer(text[:2000])]


def _strength(match: re.Match[str]) -> Strength:
    mg = decimal(match["value"]) * _mg_per(match["unit"].lower())
    per, per_unit = float(match["per"] or 1), (match["per_unit"] or "").lower()
    if per_unit.startswith("m") and per:
        return Strength(mg / per, Per.ML)
    if per_unit and not match["per"]:
        return Strength(mg * 24, Per.UNIT)
    return Strength(mg, Per.UNIT)


def _mg_per(unit: str) -> float:
    if unit.startswith(("mc", "mic", "u", "µ", "μ")):
        return 0.001
    return 1.0 if unit.startswith("m") else 1000.0


def decimal(text: str) -> float:
    """A number with a point or a comma; a comma before three digits separates thousands."""
    return float(re.sub(r",(?=\d{3}(?!\d))", "", text).replace(",", "."))


def strength_in(text: str) -> Strength | None:
    """The one strength that a text states; None when it states none or several."""
    found = {strength for _, strength in strengths_in(text)}
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=1)
def load_equivalents() -> tuple[Equivalent, ...]:
    columns = ("ingredient", "product_words", "from_mg", "every_days", "to_mg_per_day", "source")
    return tuple(
        Equivalent(
            row.one_of("ingredient", load_antidepressants()),
            row.parts("product_words"),
            row.required_number("from_mg"),
            row.required_number("every_days"),
            row.required_number("to_mg_per_day"),
        )
        for row in read_rows("dose_equivalents.csv", columns)
    )


@dataclass(frozen=True)
class MeteredDose:
    """`mg_each` in one drop, spray or device of a product; `mg_per_ml` is its concentration."""

    ingredient: str
    piece: str
    mg_per_ml: float
    mg_each: float


@lru_cache(maxsize=1)
def load_metered_doses() -> tuple[MeteredDose, ...]:
    columns = ("ingredient", "piece", "mg_per_ml", "mg_each", "source")
    return tuple(
        MeteredDose(
            row.one_of("ingredient", load_antidepressants()),
            row.one_of("piece", ("drop", "spray", "device")),
            row.required_number("mg_per_ml"),
            row.required_number("mg_each"),
        )
        for row in read_rows("metered_doses.csv", columns)
    )


@dataclass(frozen=True)
class UnspecificNames:
    """Phrases that name no drug.

    `anywhere` in a name they tell that it hides one; a name of words `alone` tells nothing; words `beside`
    may stand next to a drug, but on their own are something else (water, a nasal spray).
    """

    anywhere: frozenset[Words]
    alone: frozenset[str]
    beside: frozenset[str]


@lru_cache(maxsize=1)
def load_unspecific_names() -> UnspecificNames:
    phrases: dict[str, set[Words]] = {"anywhere": set(), "alone": set(), "beside": set()}
    for row in read_rows("unspecific_drug_names.csv", ("phrase", "where", "source")):
        phrases[row.one_of("where", phrases)].add(words_of(row.required("phrase")))
    alone = frozenset[str]().union(*phrases["anywhere"], *phrases["alone"])
    beside = frozenset[str]().union(*phrases["beside"])
    return UnspecificNames(frozenset(phrases["anywhere"]), alone, beside)
