"""Codings and names → which antidepressant, if any.

A drug is `Recognised` when every code and name we know agrees; `NotAntidepressant` when something
names another drug; `UnknownDrug` when it could be any, or when codes or names disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import urlsplit

from cds_service.fhir_reading.drug_names import (
    AnotherName,
    Doubt,
    clue_of_add_on_name,
    clue_of_name,
    contents_in_name,
    narrowest,
    strength_in_name,
)
from cds_service.fhir_reading.elements import CodeableConcept, Coding, NamedCoding
from cds_service.fhir_reading.figures import is_close
from cds_service.tables.add_ons import augmenting_agent, augmenting_atc
from cds_service.tables.drugs import (
    NDC_SNAPSHOT,
    Antidepressant,
    Form,
    PackPart,
    Per,
    Product,
    Strength,
    TrialUse,
    brand_in,
    form_in,
    load_atc,
    load_metered_doses,
    ndc_product,
    products_of,
    rxnorm_product,
    snomed_product,
    words_of,
)

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
SNOMED = "http://snomed.info/sct"
DMD = "https://dmd.nhs.uk"
NDC = "http://hl7.org/fhir/sid/ndc"
SYSTEM_NAMES = {RXNORM: "RxNorm", ATC: "ATC", SNOMED: "SNOMED CT", DMD: "dm+d", NDC: "NDC"}
SPELLINGS_OF_SYSTEMS = {
    **{system.removeprefix("https://").removeprefix("http://"): system for system in SYSTEM_NAMES},
    "2.16.840.1.113883.6.88": RXNORM,
    "2.16.840.1.113883.6.73": ATC,
    "2.16.840.1.113883.6.96": SNOMED,
    "2.16.840.1.113883.2.1.3.2.4.15": SNOMED,
    "2.16.840.1.113883.6.69": NDC,
    "fhir.de/codesystem/bfarm/atc": ATC,
    "fhir.de/codesystem/dimdi/atc": ATC,
    "rxnorm": RXNORM,
    "atc": ATC,
    "snomed-ct": SNOMED,
    "ndc": NDC,
}
UNNAMED = "unnamed drug"
ATC_SUBSTANCE = re.compile(r"[A-Z]\d\d[A-Z]{2}\d\d")
ATC_ANTIDEPRESSANTS = ("N06A", "N06CA")


@dataclass(frozen=True)
class Recognised:
    """An antidepressant, or an augmenting agent read as one.

    `strength` is None when none is stated, or several that differ (`strength_problem`).

    `use` is the narrowest use that a code or brand names; None leaves it to the drug's own row.
    `words` are all words of its names, for rules about salts and forms. `contents` are the parts of a
    pack in the order in which they are taken, empty for everything else. `told_by` names the codes, and
    `name`, that tell the drug. `named_by`, here and below, is the address of the terminology service that
    this rests on, empty if none.
    """

    antidepressant: Antidepressant
    name: str
    strength: Strength | None
    form: Form | None
    use: TrialUse | None
    use_text: str
    words: frozenset[str]
    contents: tuple[PackPart, ...] = ()
    strength_problem: str = ""
    told_by: tuple[str, ...] = ()
    named_by: str = ""


@dataclass(frozen=True)
class NotAntidepressant:
    """Another drug. `is_certain` tells that a code or name in our tables says so, not just that ours are absent.

    `add_on` is the augmenting agent that it is; where it may be one, and codes or names disagree on which,
    `add_on_problem` says why.
    """

    name: str
    is_certain: bool
    named_by: str = ""
    add_on: Recognised | None = None
    add_on_problem: str = ""


@dataclass(frozen=True)
class UnknownDrug:
    """It cannot be told which drug this is, or whether it is an antidepressant; `problem` says why.

    `is_nameless` tells that neither code nor name is of a particular drug ("antidepressant", nothing at all): two such
    records may be of two drugs.
    """

    name: str
    problem: str
    named_by: str = ""
    is_nameless: bool = False


DrugReading = Recognised | NotAntidepressant | UnknownDrug


def recognise(concept: CodeableConcept | None) -> DrugReading:
    """Which drug a concept names, from all its codings, their displays and its text together."""
    if concept is None:
        return UnknownDrug(UNNAMED, "no code and no name", is_nameless=True)
    return _recognise(concept.coding, concept.text or "")


def is_settled(drug: DrugReading) -> bool:
    """Whether a code or name in our tables tells which drug it is."""
    return isinstance(drug, Recognised) or (isinstance(drug, NotAntidepressant) and drug.is_certain)


@lru_cache(maxsize=8192)
def _recognise(codings: tuple[Coding, ...], text: str) -> DrugReading:
    drug = _read_together(codings, text)
    origin = next((coding.origin for coding in codings if isinstance(coding, NamedCoding)), None)
    return drug if origin is None else _marked(drug, codings, text, origin)


def _marked(drug: DrugReading, codings: tuple[Coding, ...], text: str, origin: str) -> DrugReading:
    """A reading of codings that a terminology service added to, with its address.

    Another drug by the record's own words too does not rest on the service.
    """
    own = tuple(coding for coding in codings if not isinstance(coding, NamedCoding))
    by_own = _recognise(own, text)
    if isinstance(drug, NotAntidepressant):
        if isinstance(by_own, NotAntidepressant) and (by_own.add_on or not drug.add_on):
            return drug
        add_on = replace(drug.add_on, named_by=origin) if drug.add_on else None
        drug = replace(drug, add_on=add_on)
    has_own_name = any(name.strip() for name in (text, *(coding.display or "" for coding in own)))
    shown = drug.name if has_own_name else f"{drug.name} (named by {urlsplit(origin).netloc})"
    return replace(drug, name=shown, named_by=origin)


def _read_together(codings: tuple[Coding, ...], text: str) -> DrugReading:
    stated = (text, *(coding.display or "" for coding in codings))
    names = tuple(name.replace("_", " ") for name in stated if name.strip())
    name = _shown(names, codings)
    clues: list[Clue] = [clue_of_code(coding) for coding in codings]
    clues += [clue_of_name(name) for name in dict.fromkeys(names)]
    antidepressants = [clue for clue in clues if isinstance(clue, Product) and clue.antidepressant]
    if not antidepressants:
        other = _without_antidepressant(clues, name)
        return _with_add_on(other, codings, names, name) if isinstance(other, NotAntidepressant) else other
    drug = _most_specific(antidepressants).antidepressant
    assert drug is not None  # only products of antidepressants are given
    problem = _disagreement(antidepressants, clues, codings)
    if problem:
        return UnknownDrug(_with_ingredient(name, drug), problem)
    told_by = _told_by(codings, clues)
    return replace(_recognised(drug, antidepressants, clues, names, name), told_by=told_by)


def _with_ingredient(name: str, drug: Antidepressant) -> str:
    """A name that another code contradicts, with what that says: drugs of one such name may be several."""
    ingredient = drug.drug.ingredient
    return name if ingredient in name.lower() else f"{name[:80]}, coded as {ingredient}"


def _with_add_on(
    other: NotAntidepressant, codings: tuple[Coding, ...], names: Sequence[str], name: str
) -> NotAntidepressant:
    """Another drug, with the augmenting agent that all its codes and names say it is."""
    clues: list[Clue] = [clue_of_code(coding) for coding in codings]
    clues += [clue_of_add_on_name(each) for each in dict.fromkeys(names)]
    products = [clue for clue in clues if isinstance(clue, Product)]
    agents = [product for product in products if augmenting_agent(product.components)]
    if not agents:
        several = (clue.problem for clue in clues if isinstance(clue, Doubt) and clue.is_several)
        return replace(other, add_on_problem=next(several, ""))
    problem = _disagreement(agents, clues, codings)
    agent = augmenting_agent(_most_specific(agents).components)
    if problem or agent is None:
        return replace(other, add_on_problem=problem)
    told_by = _told_by(codings, clues)
    return replace(other, add_on=replace(_recognised(agent.row, agents, clues, names, name), told_by=told_by))


def _told_by(codings: Sequence[Coding], clues: Sequence[Clue]) -> tuple[str, ...]:
    """`RxNorm 312941`, and `name` when a display or the text tells the drug as well."""
    codes = [
        f"{SYSTEM_NAMES[canonical_system(coding.system)]} {(coding.code or '').strip()[:20]}"
        for coding, clue in zip(codings, clues, strict=False)
        if isinstance(clue, Product)
    ]
    is_named = any(isinstance(clue, Product) for clue in clues[len(codings) :])
    return (*dict.fromkeys(codes), *(("name",) if is_named else ()))


def _shown(names: Sequence[str], codings: Sequence[Coding]) -> str:
    codes = (coding.code for coding in codings if coding.code)
    return (next(iter(names), "") or next(codes, "") or UNNAMED).strip()[:120]


# --- codes that a terminology service may name --------------------------------------------------------


def codes_to_name(concept: CodeableConcept) -> tuple[tuple[str, str], ...]:
    """System and code of each coding that our tables lack, if the concept cannot be told without them."""
    if is_settled(recognise(concept)):
        return ()
    lacking = (
        system_and_code(coding)
        for coding in concept.coding
        if not isinstance(clue_of_code(coding), Product | Doubt)
    )
    return tuple((system, code) for system, code in lacking if system and code)


def system_and_code(coding: Coding) -> tuple[str, str]:
    """Both without spaces around them, the system by its usual address; empty where it has none."""
    known = canonical_system(coding.system)
    system = known if known in SYSTEM_NAMES else (coding.system or "").strip().rstrip("/")
    return system, (coding.code or "").strip()


# --- drops and sprays ---------------------------------------------------------------------------------


def mg_per_piece(product: Recognised, piece: str) -> float | None:
    """mg in one `drop`, `spray` or `device` of this product, as labelled; None when no table row tells.

    The product's concentration must be that of the row. Where the product states none, its drug must have
    one row only, and its name must speak of drops.
    """
    ingredient, strength = product.antidepressant.drug.ingredient, product.strength
    rows = [row for row in load_metered_doses() if (row.ingredient, row.piece) == (ingredient, piece)]
    if strength and strength.per is Per.ML:
        rows = [row for row in rows if is_close(row.mg_per_ml, strength.mg)]
    elif piece == "drop" and (strength or product.strength_problem or not product.words & {"drop", "drops"}):
        return None
    return rows[0].mg_each if len(rows) == 1 else None


# --- what one code says ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class UnknownCode:
    """A code of a system that we know, which no row of our tables has."""

    system: str
    code: str

    @property
    def problem(self) -> str:
        name = SYSTEM_NAMES[self.system]
        snapshot = f" (snapshot {NDC_SNAPSHOT})" if self.system == NDC else ""
        return f"{name} {self.code[:20]} is not in our table{snapshot}"


Clue = Product | Doubt | AnotherName | UnknownCode | None


def canonical_system(system: str | None) -> str:
    """The code system's address as our tables know it: case, `https`, versions and trailing slashes aside."""
    plain = (system or "").strip().partition("|")[0].rstrip("/").lower()
    plain = re.sub(r"^(?:https?://|urn:oid:)(?:www\.(?=dmd|snomed|hl7))?", "", plain)
    if plain.startswith(("snomed.info/sct", "dmd.nhs.uk")):
        return SNOMED if plain.startswith("snomed") else DMD
    return SPELLINGS_OF_SYSTEMS.get(plain, plain)


def clue_of_code(coding: Coding) -> Product | Doubt | UnknownCode | None:
    """What a coding's code says; None when it has no code, or is of a system that we do not know."""
    system, code = canonical_system(coding.system), (coding.code or "").strip()
    if not code or system not in SYSTEM_NAMES:
        return None
    return _known_code(system, code) or UnknownCode(system, code)


def _known_code(system: str, code: str) -> Product | Doubt | None:
    if system == ATC:
        return _clue_of_atc(re.sub(r"\s", "", code.upper()))
    if system == RXNORM:
        return rxnorm_product(code)
    return _clue_of_ndc(code) if system == NDC else snomed_product(code)


def _clue_of_atc(code: str) -> Product | Doubt | None:
    known = load_atc().get(code) or augmenting_atc().get(code)
    if known:
        return known
    if code.startswith(ATC_ANTIDEPRESSANTS) or any(prefix.startswith(code) for prefix in ATC_ANTIDEPRESSANTS):
        return Doubt(f"ATC {code[:10]} is an antidepressant, or a group of them, that we have no row for")
    return Product(None, frozenset({code}), f"ATC {code}") if ATC_SUBSTANCE.fullmatch(code) else None


# --- NDC ------------------------------------------------------------------------------------------------

PACKAGE_WIDTHS = (5, 4, 2)
HYPHENATIONS = ((5, 4, 2), (4, 4, 2), (5, 3, 2), (5, 4, 1), (5, 4), (4, 4), (5, 3))


def _clue_of_ndc(code: str) -> Product | Doubt | None:
    """The one product that every possible reading of the code means, as far as the table has them."""
    products = {product for digits in _ndc_readings(code) if (product := ndc_product(digits))}
    if len(products) > 1:
        return Doubt(f"NDC {code[:20]} without hyphens can be several products")
    return products.pop() if products else None


def _ndc_readings(code: str) -> tuple[str, ...]:
    """The code as 11 digits (9 for labeller and product): one reading, or all when hyphens are left out.

    An asterisk stands for a padding zero.
    """
    parts = re.split(r"[-\s]+", code.replace("*", "0").strip())
    if not all(part.isascii() and part.isdigit() for part in parts):
        return ()
    digits, widths = "".join(parts), tuple(map(len, parts))
    if len(parts) > 1:
        return (_padded(parts),) if widths in HYPHENATIONS else ()
    if len(digits) == 12 and digits.startswith("0"):
        return (digits[1:],)
    if len(digits) in (9, 11):
        return (digits,)
    return tuple(_padded(_cut(digits, widths)) for widths in HYPHENATIONS if sum(widths) == len(digits))


def _cut(digits: str, widths: Sequence[int]) -> list[str]:
    ends = [sum(widths[: n + 1]) for n in range(len(widths))]
    return [digits[end - width : end] for end, width in zip(ends, widths, strict=True)]


def _padded(parts: Sequence[str]) -> str:
    return "".join(part.zfill(width) for part, width in zip(parts, PACKAGE_WIDTHS, strict=False))


# --- clues together -----------------------------------------------------------------------------------


def _disagreement(
    antidepressants: Sequence[Product], clues: Sequence[Clue], codings: Sequence[Coding]
) -> str:
    """Why the clues are not of one drug; empty when they are."""
    drug = _most_specific(antidepressants)
    several = next((clue for clue in clues if isinstance(clue, Doubt) and clue.is_several), None)
    if several:
        return several.problem
    other = next((c.name for c in clues if isinstance(c, Product) and not _is_same_drug(c, drug)), None)
    other = other or _other_display(codings)
    return f"codes disagree: {drug.name[:60]} and {other[:60]}" if other else ""


def _most_specific(products: Sequence[Product]) -> Product:
    return max(products, key=lambda product: (not product.may_have_partner, len(product.components)))


def _is_same_drug(product: Product, drug: Product) -> bool:
    if product.may_have_partner or drug.may_have_partner:
        return product.components <= drug.components or drug.components <= product.components
    return product.components == drug.components


def _other_display(codings: Iterable[Coding]) -> str | None:
    """What the display of a terminology's code names, when that is none of our drugs.

    Such displays carry the ingredient or product itself; those of local codes may be any short form.
    """
    for coding in codings:
        if coding.display and canonical_system(coding.system) in SYSTEM_NAMES:
            clue = clue_of_name(coding.display)
            if isinstance(clue, AnotherName):
                return clue.name
    return None


def _recognised(
    drug: Antidepressant,
    antidepressants: Sequence[Product],
    clues: Sequence[Clue],
    names: Sequence[str],
    name: str,
) -> Recognised:
    whole = _most_specific(antidepressants)
    products = [clue for clue in clues if isinstance(clue, Product)]
    narrow = narrowest([*antidepressants, *(b for b in map(brand_in, names) if b and b.antidepressant)])
    strength, problem = _strength(whole, drug, antidepressants, names)
    contents = _contents(whole, antidepressants, names)
    if contents and strength:
        strength, contents, problem = None, (), "a pack of several strengths, and a strength beside it"
    return Recognised(
        antidepressant=drug,
        name=name if names else whole.name,
        strength=strength,
        form=_form(antidepressants, names) or _only_form(whole, drug, strength),
        use=narrow.use if narrow else None,
        use_text=narrow.use_text if narrow else "",
        words=frozenset(word for text in (*names, *(p.name for p in products)) for word in words_of(text)),
        contents=contents,
        strength_problem=problem,
    )


def _strength(
    whole: Product, drug: Antidepressant, products: Sequence[Product], names: Sequence[str]
) -> tuple[Strength | None, str]:
    """The one strength that codes and names agree on; else None, and what they say when they differ."""
    stated = [product.strength for product in products if product.strength]
    stated += [found for name in names if (found := strength_in_name(name, drug, whole.components))]
    if not stated or all(_is_same(strength, stated[0]) for strength in stated):
        return (stated[0] if stated else None), ""
    shown = dict.fromkeys(f"{s.mg:g} mg{'/mL' if s.per is Per.ML else ''}" for s in stated)
    return None, f"codes tell different strengths: {' and '.join(shown)}"


def _is_same(one: Strength, other: Strength) -> bool:
    return one.per is other.per and is_close(one.mg, other.mg)


def _form(products: Sequence[Product], names: Sequence[str]) -> Form | None:
    forms = {product.form for product in products if product.form}
    forms |= {form for name in names if (form := form_in(name))}
    others = forms - {Form.ORAL}
    if len(others) == 1:
        return others.pop()
    return forms.pop() if len(forms) == 1 else None


def _only_form(whole: Product, drug: Antidepressant, strength: Strength | None) -> Form | None:
    """Where the form decides (selegiline): the only one that is made in this strength."""
    if drug.counting_form is None or strength is None or strength.per is not Per.UNIT:
        return None
    forms = products_of(whole.components).forms_by_mg.get(strength.mg, frozenset())
    return next(iter(forms)) if len(forms) == 1 else None


def _contents(whole: Product, products: Sequence[Product], names: Sequence[str]) -> tuple[PackPart, ...]:
    """The parts of the pack that codes and names agree on."""
    stated = {product.contents for product in products if product.contents}
    stated |= {parts for name in names if (parts := contents_in_name(name, whole.components))}
    return stated.pop() if len(stated) == 1 else ()


def _without_antidepressant(clues: Sequence[Clue], name: str) -> DrugReading:
    doubts = [clue for clue in clues if isinstance(clue, Doubt)]
    serious = [doubt for doubt in doubts if not doubt.is_empty]
    if serious:
        return UnknownDrug(name, serious[0].problem)
    if any(isinstance(clue, Product) for clue in clues):
        return NotAntidepressant(name, is_certain=True)
    if any(isinstance(clue, AnotherName) for clue in clues):
        return NotAntidepressant(name, is_certain=False)
    lacking = [clue.problem for clue in clues if isinstance(clue, UnknownCode)]
    problems = [*dict.fromkeys(lacking), *(doubt.problem for doubt in doubts[:1])]
    problem = "; ".join(problems) or "no code that we know, and no name"
    return UnknownDrug(name, problem, is_nameless=not lacking and (bool(doubts) or name == UNNAMED))
