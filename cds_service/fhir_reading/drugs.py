"""Codings and names → which antidepressant, if any.

A drug is `Recognised` when every code and name we know agrees; `NotAntidepressant` when something
names another drug; `UnknownDrug` when it could be any, or when codes or names disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from urllib.parse import urlsplit

from cds_service.fhir_reading.elements import CodeableConcept, Coding, NamedCoding
from cds_service.tables.drugs import (
    Antidepressant,
    Form,
    Product,
    Strength,
    TrialUse,
    Words,
    brand_in,
    drug_of,
    form_in,
    load_atc,
    load_names,
    load_ndc,
    load_rxnorm,
    load_snomed,
    load_unspecific_names,
    products_named,
    strengths_in,
    words_of,
)

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
SNOMED = "http://snomed.info/sct"
DMD = "https://dmd.nhs.uk"
NDC = "http://hl7.org/fhir/sid/ndc"
SYSTEMS = {
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
    "urn:oid:2.16.840.1.113883.6.73": ATC,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "urn:oid:2.16.840.1.113883.2.1.3.2.4.15": SNOMED,
    "urn:oid:2.16.840.1.113883.6.69": NDC,
    "http://fhir.de/codesystem/bfarm/atc": ATC,
    "http://fhir.de/codesystem/dimdi/atc": ATC,
    "http://dmd.nhs.uk": DMD,
}
ATC_SUBSTANCE = re.compile(r"[A-Z]\d\d[A-Z]{2}\d\d")
ATC_ANTIDEPRESSANTS = ("N06A", "N06CA")
SHORTEST_MISSPELT = 7


@dataclass(frozen=True)
class Recognised:
    """An antidepressant. `strength` is None when none is stated, or several that differ.

    `use` is the narrowest use that a code or brand names; None leaves it to the drug's own row.
    `words` are all words of its names, for rules about salts and forms. `named_by`, here and below, is the
    address of the terminology service that this rests on, empty if none.
    """

    antidepressant: Antidepressant
    name: str
    strength: Strength | None
    form: Form | None
    use: TrialUse | None
    use_text: str
    words: frozenset[str]
    named_by: str = ""


@dataclass(frozen=True)
class NotAntidepressant:
    """Another drug. `is_certain` tells that a code or name in our tables says so, not just that ours are absent."""

    name: str
    is_certain: bool
    named_by: str = ""


@dataclass(frozen=True)
class UnknownDrug:
    """It cannot be told which drug this is, or whether it is an antidepressant; `problem` says why."""

    name: str
    problem: str
    named_by: str = ""


DrugReading = Recognised | NotAntidepressant | UnknownDrug


def recognise(concept: CodeableConcept | None) -> DrugReading:
    """Which drug a concept names, from all its codings, their displays and its text together."""
    if concept is None:
        return UnknownDrug("unnamed drug", "no code and no name")
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
    if isinstance(drug, NotAntidepressant) and isinstance(_recognise(own, text), NotAntidepressant):
        return drug
    has_own_name = any(name.strip() for name in (text, *(coding.display or "" for coding in own)))
    shown = drug.name if has_own_name else f"{drug.name} (named by {urlsplit(origin).netloc})"
    return replace(drug, name=shown, named_by=origin)


def _read_together(codings: tuple[Coding, ...], text: str) -> DrugReading:
    stated = (text, *(coding.display or "" for coding in codings))
    names = tuple(name.replace("_", " ") for name in stated if name.strip())
    name = _shown(names, codings)
    clues: list[_Clue] = [_clue_of_code(coding) for coding in codings]
    clues += [_clue_of_name(words) for words in dict.fromkeys(words_of(name) for name in names)]
    products = [clue for clue in clues if isinstance(clue, Product)]
    antidepressants = [product for product in products if product.antidepressant]
    doubts = [clue for clue in clues if isinstance(clue, _Doubt)]
    if antidepressants:
        return _agreed(antidepressants, products, doubts, names, name)
    return _without_antidepressant(products, doubts, clues, name)


def _shown(names: Sequence[str], codings: Sequence[Coding]) -> str:
    codes = (coding.code for coding in codings if coding.code)
    return (next(iter(names), "") or next(codes, "") or "unnamed drug").strip()[:120]


# --- codes that a terminology service may name --------------------------------------------------------


def codes_to_name(concept: CodeableConcept) -> tuple[tuple[str, str], ...]:
    """System and code of each coding that our tables lack, if the concept cannot be told without them."""
    if is_settled(recognise(concept)):
        return ()
    lacking = (system_and_code(coding) for coding in concept.coding if _clue_of_code(coding) is None)
    return tuple((system, code) for system, code in lacking if system and code)


def system_and_code(coding: Coding) -> tuple[str, str]:
    """Both without spaces around them, the system by its usual address; empty where it has none."""
    system = (coding.system or "").strip().rstrip("/")
    return SYSTEMS.get(system.lower(), system), (coding.code or "").strip()


# --- clues: what one code or one name says ------------------------------------------------------------


@dataclass(frozen=True)
class _Doubt:
    """A code or name that may hide an antidepressant; one that `is_empty` just tells no drug at all."""

    problem: str
    is_empty: bool = False


@dataclass(frozen=True)
class _AnotherName:
    """A name that is none of ours."""


_Clue = Product | _Doubt | _AnotherName | None


def _clue_of_code(coding: Coding) -> _Clue:
    system, code = system_and_code(coding)
    if system == ATC:
        return _clue_of_atc(code.upper())
    if system == RXNORM:
        return load_rxnorm().get(code)
    if system in (SNOMED, DMD) or system.startswith(SNOMED):
        return load_snomed().get(code)
    if system == NDC:
        return _ndc_product(code)
    return None


def _clue_of_atc(code: str) -> _Clue:
    known = load_atc().get(code)
    if known or not code:
        return known
    if code.startswith(ATC_ANTIDEPRESSANTS) or any(prefix.startswith(code) for prefix in ATC_ANTIDEPRESSANTS):
        return _Doubt(f"ATC {code[:10]} is an antidepressant, or a group of them, that we have no row for")
    return Product(None, frozenset({code}), code) if ATC_SUBSTANCE.fullmatch(code) else None


def _ndc_product(code: str) -> Product | None:
    parts = code.split("-")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    if len(parts) == 3:
        code = "".join(part.zfill(width) for part, width in zip(parts, (5, 4, 2), strict=True))
    return load_ndc().get(code)


@lru_cache(maxsize=8192)
def _clue_of_name(words: Words) -> _Clue:
    found = [product for _, product in products_named(words)]
    if any(product.antidepressant for product in found):
        return _named_antidepressant(found)
    if _names_only_a_group(words):
        return _Doubt("the name tells no particular drug")
    if found:
        return found[0]
    if all(not word.isalpha() or word in load_unspecific_names().alone for word in words):
        return _Doubt("the name tells no particular drug", is_empty=True)
    misspelt = _misspelt(words)
    return _Doubt(f"the name looks like a misspelt {misspelt}") if misspelt else _AnotherName()


def _named_antidepressant(found: Sequence[Product]) -> _Clue:
    """The one antidepressant named; with its partner, the combination that our tables have."""
    together = frozenset[str]().union(*(product.components for product in found))
    distinct = {p.antidepressant.drug.ingredient: p for p in found if p.antidepressant}
    whole = drug_of(together)
    if whole and whole.components == together and len(together) > 1:
        product = max(distinct.values(), key=lambda p: len(p.components))
        return Product(whole, together, whole.drug.ingredient, use=product.use, use_text=product.use_text)
    if len(distinct) > 1:
        largest = max(distinct.values(), key=lambda product: len(product.components))
        if all(product.components <= largest.components for product in distinct.values()):
            return largest
        return _Doubt("the name tells several antidepressants")
    narrow = next((p for p in found if p.antidepressant and p.use), None)
    return narrow or next(iter(distinct.values()))


def _names_only_a_group(words: Words) -> bool:
    groups = load_unspecific_names().anywhere
    return any(words[at : at + length] in groups for at in range(len(words)) for length in range(1, 6))


def _misspelt(words: Words) -> str | None:
    """An antidepressant whose name is one letter away from one of the words."""
    long_words = [word for word in words if word.isalpha() and len(word) >= SHORTEST_MISSPELT - 1]
    return next((name for word in long_words for name in _long_names() if _is_one_slip(word, name)), None)


@lru_cache(maxsize=1)
def _long_names() -> tuple[str, ...]:
    names = (name[0] for name, product in load_names().items() if product.antidepressant and len(name) == 1)
    return tuple(name for name in names if len(name) >= SHORTEST_MISSPELT)


def _is_one_slip(word: str, name: str) -> bool:
    """One letter too many, too few, another, or two neighbours swapped."""
    if abs(len(word) - len(name)) > 1 or word == name:
        return False
    same = 0
    while same < min(len(word), len(name)) and word[same] == name[same]:
        same += 1
    rest, wanted = word[same:], name[same:]
    swapped = rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:]
    return swapped or rest[1:] == wanted[1:] or rest[1:] == wanted or rest == wanted[1:]


# --- clues together -----------------------------------------------------------------------------------


def _agreed(
    antidepressants: Sequence[Product],
    products: Sequence[Product],
    doubts: Sequence[_Doubt],
    names: Sequence[str],
    name: str,
) -> DrugReading:
    widest = max(antidepressants, key=lambda product: len(product.components))
    drug = widest.antidepressant
    if drug is None or any(not _is_part_of(product, widest) for product in products):
        return UnknownDrug(name, "its codes and names tell different drugs")
    several = [doubt for doubt in doubts if "several" in doubt.problem]
    if several:
        return UnknownDrug(name, several[0].problem)
    narrow = _narrowest([*antidepressants, *(b for b in map(brand_in, names) if b and b.antidepressant)])
    return Recognised(
        antidepressant=drug,
        name=name if names else widest.name,
        strength=_strength(drug, antidepressants, names),
        form=_form(antidepressants, names),
        use=narrow.use if narrow else None,
        use_text=narrow.use_text if narrow else "",
        words=frozenset(word for text in (*names, *(p.name for p in products)) for word in words_of(text)),
    )


def _is_part_of(product: Product, widest: Product) -> bool:
    return product.components <= widest.components


def _narrowest(products: Iterable[Product]) -> Product | None:
    narrow = [(list(TrialUse).index(product.use), product) for product in products if product.use]
    return max(narrow, key=itemgetter(0))[1] if narrow else None


def _strength(drug: Antidepressant, products: Sequence[Product], names: Sequence[str]) -> Strength | None:
    """The one strength that codes and names agree on."""
    stated = [product.strength for product in products if product.strength]
    stated += [strength for name in names if (strength := _strength_in_name(name, drug))]
    if not stated or any(not _is_same(strength, stated[0]) for strength in stated):
        return None
    return stated[0]


def _is_same(one: Strength, other: Strength) -> bool:
    return one.per is other.per and abs(one.mg - other.mg) <= 0.01 * other.mg


def _strength_in_name(name: str, drug: Antidepressant) -> Strength | None:
    """The strength in a name; in a combination the one behind the ingredient that the minimum is stated for."""
    found = strengths_in(name)
    distinct = {strength for _, strength in found}
    if len(distinct) == 1 and len(drug.components) == 1:
        return found[0][1]
    if len(drug.components) == 1:
        return None
    after = name.lower().find(drug.dose_component)
    partners = [name.lower().find(part) for part in drug.components - {drug.dose_component}]
    end = min((at for at in partners if at > after), default=len(name))
    own = {strength for at, strength in found if after <= at < end}
    return own.pop() if after >= 0 and len(own) == 1 and len(found) == len(drug.components) else None


def _form(products: Sequence[Product], names: Sequence[str]) -> Form | None:
    forms = {product.form for product in products if product.form}
    forms |= {form for name in names if (form := form_in(name))}
    others = forms - {Form.ORAL}
    if len(others) == 1:
        return others.pop()
    return forms.pop() if len(forms) == 1 else None


def _without_antidepressant(
    products: Sequence[Product], doubts: Sequence[_Doubt], clues: Sequence[_Clue], name: str
) -> DrugReading:
    serious = [doubt for doubt in doubts if not doubt.is_empty]
    if serious:
        return UnknownDrug(name, serious[0].problem)
    if products:
        return NotAntidepressant(name, is_certain=True)
    if any(isinstance(clue, _AnotherName) for clue in clues):
        return NotAntidepressant(name, is_certain=False)
    return UnknownDrug(name, doubts[0].problem if doubts else "no code that we know, and no name")
