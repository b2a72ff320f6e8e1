"""Names of drugs in words → which drug, which strength, which pack.

A name that tells two drugs is their combination, if such a product exists, or a doubt; never the first
of the two. Words are compared whole; the only misspellings read are those of a table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cds_service.tables.add_ons import augmenting_agent
from cds_service.tables.dosing import load_sig_phrases, load_units
from cds_service.tables.drugs import (
    STRENGTH,
    Antidepressant,
    PackPart,
    Per,
    Product,
    Strength,
    TrialUse,
    Words,
    decimal,
    drug_of,
    known_combinations,
    load_form_words,
    load_misspellings,
    load_names,
    load_unspecific_names,
    plain_text,
    products_named,
    products_of,
    strengths_in,
    words_of,
)
from cds_service.tables.reasons import load_indications

SHORTEST_MISSPELT = 7
SHORTEST_UNKNOWN_WORD = 5
MOST_WORDS_OF_A_NAME = 2


@dataclass(frozen=True)
class Doubt:
    """A code or name that may hide an antidepressant; one that `is_empty` just tells no drug at all.

    `is_several`: the name tells more than one drug.
    """

    problem: str
    is_empty: bool = False
    is_several: bool = False


@dataclass(frozen=True)
class AnotherName:
    """A name that is none of ours."""

    name: str


def clue_of_name(name: str) -> Product | Doubt | AnotherName:
    """What one name says of the drug."""
    return _clue_of_words(plain_text(name.replace("_", " ")))


@lru_cache(maxsize=8192)
def _clue_of_words(plain: str) -> Product | Doubt | AnotherName:
    words = unglued(words_of(plain))
    found = [named.product for named in products_named(words)]
    if any(product.antidepressant for product in found):
        drug = _drug_named(found)
        other = _unknown_drug_beside(plain) if isinstance(drug, Product) else None
        return _several(drug.name, other) if other and isinstance(drug, Product) else drug
    if _names_only_a_group(words):
        return Doubt("the name tells no particular drug")
    if found:
        return found[0]
    if all(not word.isalpha() or word in load_unspecific_names().alone for word in words):
        return Doubt("the name tells no particular drug", is_empty=True)
    misspelt = _misspelt(words)
    return Doubt(f"the name looks like a misspelt {misspelt}") if misspelt else AnotherName(plain[:60])


def clue_of_add_on_name(name: str) -> Product | Doubt | AnotherName:
    """The same of a name of an augmenting agent: one that tells another drug as well leaves a doubt."""
    plain = plain_text(name.replace("_", " "))
    clue = _clue_of_words(plain)
    if not isinstance(clue, Product):
        return clue
    found = [named.product for named in products_named(unglued(words_of(plain)))]
    if not any(augmenting_agent(product.components) for product in found):
        return clue
    together = frozenset[str]().union(*(product.components for product in found))
    if augmenting_agent(together) is None:
        return _several(*dict.fromkeys(product.name for product in found))
    other = _unknown_drug_beside(plain)
    return _several(clue.name, other) if other else replace(clue, components=together)


def _several(*names: str) -> Doubt:
    return Doubt(f"the name tells several drugs: {' and '.join(names)}", is_several=True)


def _drug_named(found: Sequence[Product]) -> Product | Doubt:
    """The one drug that all the names are of: brand and generic, or a combination and its parts."""
    together = frozenset[str]().union(*(product.components for product in found))
    largest = max(found, key=lambda product: (len(product.components), bool(product.antidepressant)))
    narrow = narrowest(found)
    use, text = (narrow.use, narrow.use_text) if narrow else (None, "")
    if together == largest.components and largest.antidepressant:
        return Product(
            largest.antidepressant, together, largest.name, form=largest.form, use=use, use_text=text
        )
    whole = drug_of(together)
    if together in known_combinations() and whole:
        return Product(whole, together, " / ".join(sorted(together)), use=use, use_text=text)
    return _several(*dict.fromkeys(product.name for product in found))


def narrowest(products: Collection[Product]) -> Product | None:
    """The product whose use is restricted most; None when none is restricted."""
    order = list(TrialUse)
    restricted = [product for product in products if product.use]
    return max(restricted, key=lambda product: order.index(product.use or order[0]), default=None)


def _names_only_a_group(words: Words) -> bool:
    groups = load_unspecific_names().anywhere
    return any(words[at : at + length] in groups for at in range(len(words)) for length in range(1, 6))


# --- words ----------------------------------------------------------------------------------------------

GLUED = re.compile(r"(?P<name>[a-z]{5,}?)(?P<ending>xr|xl|sr|er|cr|dr|la|mr|odt|soltab|hcl|hbr)")


def unglued(words: Words) -> Words:
    """`effexorxr` as effexor, xr; only where what is left is a known name."""
    return tuple(part for word in words for part in _parts_of(word))


def _parts_of(word: str) -> Words:
    glued = GLUED.fullmatch(word)
    if glued is None or (word,) in load_names() or (glued["name"],) not in load_names():
        return (word,)
    return glued["name"], glued["ending"]


def _misspelt(words: Words) -> str | None:
    """An antidepressant whose name is one letter away from one of the words."""
    long_words = [word for word in words if word.isalpha() and len(word) >= SHORTEST_MISSPELT - 1]
    return next((name for word in long_words for name in _long_names() if is_one_slip(word, name)), None)


@lru_cache(maxsize=1)
def _long_names() -> tuple[str, ...]:
    names = load_names().keys() - load_misspellings().keys()
    own = (name[0] for name in sorted(names) if load_names()[name].antidepressant and len(name) == 1)
    return tuple(name for name in own if len(name) >= SHORTEST_MISSPELT)


def is_one_slip(word: str, name: str) -> bool:
    """One letter too many, too few, another, or two neighbours swapped."""
    if abs(len(word) - len(name)) > 1 or word == name:
        return False
    same = 0
    while same < min(len(word), len(name)) and word[same] == name[same]:
        same += 1
    rest, wanted = word[same:], name[same:]
    swapped = rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:]
    return swapped or rest[1:] == wanted[1:] or rest[1:] == wanted or rest == wanted[1:]


@lru_cache(maxsize=1)
def _common_words() -> frozenset[str]:
    """Words that a name may hold beside the drug: forms, salts, units, directions, reasons."""
    phrases = (*load_sig_phrases(), *load_indications().phrases, *load_unspecific_names().anywhere)
    units = (word for unit in load_units() for word in words_of(unit))
    unspecific = load_unspecific_names()
    return frozenset({*unspecific.alone, *unspecific.beside, *load_form_words(), *units}.union(*phrases))


# --- a second drug that our tables lack ------------------------------------------------------------------

SEPARATOR = re.compile(r"([/+&,;]|\b(?:and|or|plus|with|vs|versus)\b)")
MAKER_FOLLOWS = (",", ";")
ASIDE = re.compile(r"\([^()\d]*\)|\[[^\[\]\d]*\]")


def _unknown_drug_beside(plain: str) -> str | None:
    """ "Sertraline 50 mg and lisinopril 10 mg", "lisinopril / sertraline": the other one's name.

    A part of the text is another drug when it names none of ours, and an unknown word has a strength of
    its own, or is all that is added to ours or stands before it. After a comma comes the maker as well;
    what stands in brackets (the maker, a brand) is left aside.
    """
    without_asides = ASIDE.sub(" ", plain)
    if not products_named(unglued(words_of(without_asides))):
        without_asides = plain
    parts = SEPARATOR.split(without_asides)
    for at in range(0, len(parts), 2):
        unknown = _unknown_words(parts[at])
        if unknown and (_has_strength_of_its_own(parts[at], unknown) or _is_added(parts, at, unknown)):
            return unknown[0]
    return None


def _is_added(parts: Sequence[str], at: int, unknown: Sequence[str]) -> bool:
    """Whether the part begins with an unknown name and hangs on one of ours by "and", or stands before it."""
    if len(unknown) > MOST_WORDS_OF_A_NAME or words_of(parts[at])[0] != unknown[0]:
        return False
    is_before = at + 2 < len(parts) and _is_a_bare_drug(parts[at + 2])
    is_after = at > 0 and _is_a_bare_drug(parts[at - 2])
    return is_before or (is_after and parts[at - 1] not in MAKER_FOLLOWS)


def _unknown_words(part: str) -> list[str]:
    words = unglued(words_of(part))
    if products_named(words):
        return []
    common = _common_words()
    return [w for w in words if w.isalpha() and len(w) >= SHORTEST_UNKNOWN_WORD and w not in common]


def _is_a_bare_drug(part: str) -> bool:
    """A known drug, perhaps with strength and form, and nothing else that could explain a further word."""
    words = unglued(words_of(part))
    return bool(products_named(words)) and not _unknown_beside_names(words) and "for" not in words


def _unknown_beside_names(words: Words) -> list[str]:
    named = {at for each in products_named(words) for at in range(each.start, each.end)}
    common = _common_words()
    return [
        w for at, w in enumerate(words) if at not in named and w.isalpha() and w not in common and len(w) > 3
    ]


def _has_strength_of_its_own(part: str, unknown: Sequence[str]) -> bool:
    """Whether a strength follows the unknown word, with nothing but common words between."""
    match = STRENGTH.search(part)
    if match is None or match["per_unit"]:
        return False
    before = words_of(part[: match.start()])
    return any(word in unknown for word in before)


# --- strengths in names ----------------------------------------------------------------------------------


def strength_in_name(name: str, drug: Antidepressant, components: frozenset[str]) -> Strength | None:
    """The strength in a name, of the ingredient that the minimum is stated for; None when it leaves a doubt.

    A pack has parts instead.
    """
    if "{" in name:
        return None
    if len(components) > 1:
        return _strength_of_combination(name, drug, components)
    distinct = {strength for _, strength in strengths_in(name)}
    if distinct:
        return distinct.pop() if len(distinct) == 1 else None
    return _bare_strength(name, components)


def _bare_strength(name: str, components: frozenset[str]) -> Strength | None:
    """ "Sertraline-50", "Effexor XR 75": the only number, right behind the name, and a strength there is."""
    words = unglued(words_of(name))
    named = products_named(words)
    numbers = [at for at in range(len(words)) if _is_number(words, at)]
    if not named or len(numbers) != 1 or numbers[0] < named[-1].end:
        return None
    at = numbers[0]
    after = words[at + 1] if at + 1 < len(words) else ""
    is_behind = all(_is_part_of_product(word) for word in words[named[-1].end : at])
    if _may_be_counted(after) or "%" in name or "#" in name or not is_behind:
        return None
    mg = float(words[at])
    return Strength(mg, Per.UNIT) if mg in products_of(components).forms_by_mg else None


def _is_part_of_product(word: str) -> bool:
    """Salts, release (24 hr) and form; not words of a direction."""
    if not word.isalpha() or word in HOURS:
        return True
    is_said_of_it = word in _common_words() and word not in _words_of_directions()
    return is_said_of_it or word in load_form_words()


@lru_cache(maxsize=1)
def _words_of_directions() -> frozenset[str]:
    """Words that say something by themselves: `daily`, not the `rd` of `3 rd`."""
    return frozenset(phrase[0] for phrase in load_sig_phrases() if len(phrase) == 1)


HOURS = ("h", "hr", "hrs", "hour", "hours")
ONE_PIECE = ("tablet", "tab", "capsule", "cap")


def _may_be_counted(word: str) -> bool:
    """ "30 tablets", "30 mL", "30 days": the number before may be theirs, and no strength."""
    return (
        word.isalpha() and word not in ONE_PIECE and (word in load_units() or word in _words_of_directions())
    )


def _is_number(words: Words, at: int) -> bool:
    """A number that is not the hours of a release form (24 hr)."""
    is_hours = at + 1 < len(words) and words[at + 1] in HOURS and words[at] in ("12", "24")
    return not words[at].isalpha() and not is_hours


PAIR = re.compile(
    r"(?<![\d.,/-])(\d+(?:[.,]\d+)?)\s*(?:mg)?\s*[/-]\s*(\d+(?:[.,]\d+)?)(?![\d.,]*\d)(?!\s*[/-]\s*\d)"
    r"\s*(?:mg)?(?![a-z])(?!\s*(?:/\s*)?(?:\d+\s*)?(?:ml|hr|hour))",
    re.IGNORECASE,
)


def _strength_of_combination(name: str, drug: Antidepressant, components: frozenset[str]) -> Strength | None:
    """By the strength behind each ingredient's name, or by two figures that only one product has."""
    stated = _mg_behind_each_name(name, components)
    products = products_of(components).combinations
    if stated is None:
        figures = _two_figures(name)
        meant = {mg[drug.dose_component] for mg in products if figures and sorted(mg.values()) == figures}
        return Strength(meant.pop(), Per.UNIT) if len(meant) == 1 else None
    swapped = [mg for mg in products if sorted(mg.values()) == sorted(stated.values()) and mg != stated]
    if swapped and stated not in products:
        return None
    return Strength(stated[drug.dose_component], Per.UNIT)


def _mg_behind_each_name(name: str, components: frozenset[str]) -> Mapping[str, float] | None:
    """mg of every component, when each is named once and followed by one strength of its own."""
    places = sorted((name.lower().find(part), part) for part in components)
    found = strengths_in(name)
    if places[0][0] < 0 or len(found) != len(components) or any(s.per is not Per.UNIT for _, s in found):
        return None
    ends = [*(at for at, _ in places[1:]), len(name)]
    own = {
        part: [strength.mg for where, strength in found if at <= where < end]
        for (at, part), end in zip(places, ends, strict=True)
    }
    if any(len(strengths) != 1 for strengths in own.values()):
        return None
    return {part: strengths[0] for part, strengths in own.items()}


def _two_figures(name: str) -> list[float] | None:
    """The two figures of "6-25 mg", "12.5 mg/5 mg", "6 mg and 25 mg", smaller first."""
    pairs = PAIR.findall(name)
    if len(pairs) == 1:
        return sorted(decimal(figure) for figure in pairs[0])
    found = sorted(strength.mg for _, strength in strengths_in(name) if strength.per is Per.UNIT)
    return found if not pairs and len(found) == 2 else None


# --- packs in names --------------------------------------------------------------------------------------

PART_OF_PACK = re.compile(r"(?<!\d)(\d+)\s*\(([^()]*)\)")
PIECES_BEHIND = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)\s*mg\s*\((\d+)\)", re.IGNORECASE)
PACK_WORDS = frozenset(("pack", "kit", "packs", "kits"))
TITRATION_WORDS = frozenset(("starter", "starting", "titration", "initiation", "sample"))
PACK_FIGURES = re.compile(r"(?<![\d.])\d+(?:\s*(?:mg)?\s*[/-]\s*\d+)+(?!\s*day)", re.IGNORECASE)


def contents_in_name(name: str, components: frozenset[str]) -> tuple[PackPart, ...]:
    """What the pack holds that a name tells in full, or by words that only one pack of the drug has."""
    if "{" in name:
        parts = [(float(pieces), strengths_in(inside)) for pieces, inside in PART_OF_PACK.findall(name)]
        if parts and all(len(found) == 1 and found[0][1].per is Per.UNIT for _, found in parts):
            return tuple(PackPart(pieces, found[0][1].mg) for pieces, found in parts)
        return ()
    pieces_behind = PIECES_BEHIND.findall(name)
    if len(pieces_behind) > 1:
        return tuple(PackPart(float(pieces), float(mg)) for mg, pieces in pieces_behind)
    words = frozenset(words_of(name))
    if not words & PACK_WORDS or not (words & TITRATION_WORDS or PACK_FIGURES.search(name)):
        return ()
    figures = PACK_FIGURES.search(name)
    steps = sorted(map(float, re.findall(r"\d+", figures[0]))) if figures else None
    packs = [
        pack for pack in products_of(components).packs if steps in (None, sorted(part.mg for part in pack))
    ]
    return packs[0] if len(packs) == 1 else ()
