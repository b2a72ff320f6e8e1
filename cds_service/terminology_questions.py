"""What is asked of a terminology service about one drug code, and what its answers say.

Two kinds: a FHIR R4 server (`CodeSystem/$lookup`, `ConceptMap/$translate`) and RxNav's RxNorm API
(`historystatus`, `ndcstatus`, `rxcui`). Only system and code are sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

import msgspec

from cds_service.errors import FhirFatalError, FhirServerError
from cds_service.fhir_reading.code_names import Code, KnownName
from cds_service.fhir_reading.drugs import (
    ATC,
    DMD,
    NDC,
    RXNORM,
    SNOMED,
    is_settled,
    recognise,
    system_and_code,
)
from cds_service.fhir_reading.elements import CodeableConcept, Coding, Element
from cds_service.terminology_cache import Answer

FOUND_SECONDS = 30 * 86_400
NOT_FOUND_SECONDS = 86_400
FAILED_SECONDS = 60
LONGEST_NAME = 500

Get = Callable[[str], bytes | None]
"""The body at a path below the service's address, None when the service does not know the code.

Raises FhirServerError for anything else."""

# --- what may leave -----------------------------------------------------------------------------------

_SHAPES = {
    RXNORM: re.compile(r"[0-9]{1,8}"),
    ATC: re.compile(r"[A-Z][0-9]{2}[A-Z]{2}[0-9]{2}"),
    SNOMED: re.compile(r"[0-9]{6,18}"),
    DMD: re.compile(r"[0-9]{6,18}"),
    NDC: re.compile(r"[0-9]{8,12}|[0-9]{4,5}-[0-9]{3,4}(-[0-9]{1,2})?"),
}
_OTHER_CODE = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9._-]{0,31}")  # names of people hold no digit
_OTHER_SYSTEM = re.compile(
    r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*|urn:[a-z0-9]+:[A-Za-z0-9.:-]+"
)
_LONGEST_SYSTEM = 128


def may_be_sent(code: Code) -> bool:
    """Whether it looks like a code: what a record holds in its place may be anything, a name too."""
    system, value = code
    if shape := _SHAPES.get(system):
        return shape.fullmatch(value) is not None
    is_system = len(system) <= _LONGEST_SYSTEM and _OTHER_SYSTEM.fullmatch(system) is not None
    return is_system and _OTHER_CODE.fullmatch(value) is not None


# --- a FHIR server ------------------------------------------------------------------------------------

# The properties by which RxNorm (has_ingredient) and SNOMED CT (127489000 |Has active ingredient|) name them.
_INGREDIENT_PROPERTIES = ("ingredient", "has_ingredient", "127489000")
# The target means the same as our code, or more than that: then it tells the drug, but less about the product.
_SAME_OR_WIDER = ("equal", "equivalent", "wider", "subsumes", "source-is-narrower-than-target")
_TARGETS = (RXNORM, ATC)


class _Part(Element, frozen=True):
    name: str | None = None
    value_string: str | None = None
    value_code: str | None = None
    value_coding: Coding | None = None
    part: tuple[_Part, ...] = ()

    def one(self, name: str) -> _Part:
        return next((part for part in self.part if part.name == name), _Part())


class _Parameters(Element, frozen=True):
    resource_type: str
    parameter: tuple[_Part, ...] = ()


def ask_fhir(get: Get, code: Code, origin: str) -> Answer:
    """`$lookup`; where its names tell no drug that we know, `$translate` to a system whose codes we know."""
    known = _looked_up(get, code, origin)
    if _tells_a_drug(known):
        return Answer(known, FOUND_SECONDS)
    try:
        matches = list(_translated(get, code))
    except FhirServerError:
        return Answer(known if known.codings else None, FAILED_SECONDS)
    display = known.display or (_name(matches[0].display) if len(matches) == 1 else "")
    codes = tuple(system_and_code(match) for match in matches)
    return _answer(replace(known, display=display, codes=codes))


def _looked_up(get: Get, code: Code, origin: str) -> KnownName:
    found = _decoded(get(f"CodeSystem/$lookup?{_query(code)}"), _Parameters)
    if found is None:
        return KnownName(origin)
    _check_is_parameters(found)
    display = next((part.value_string for part in found.parameter if part.name == "display"), None)
    return KnownName(origin, _name(display), tuple(_ingredients(found)))


def _ingredients(found: _Parameters) -> Iterator[str]:
    for part in found.parameter:
        if part.name == "property" and part.one("code").value_code in _INGREDIENT_PROPERTIES:
            value = part.one("value")
            display = value.value_coding.display if value.value_coding else None
            told = display or value.value_string or part.one("description").value_string
            if name := _name(told):
                yield name


def _translated(get: Get, code: Code) -> Iterator[Coding]:
    """The codes of the same drug in the first target system that the server has a map to."""
    for target in _TARGETS:
        if target == code[0]:
            continue
        path = f"ConceptMap/$translate?{_query(code)}&targetsystem={quote(target, safe='')}"
        found = _decoded(get(path), _Parameters)
        matches = list(_matches(found, target)) if found else []
        if matches:
            yield from matches
            return


def _matches(found: _Parameters, target: str) -> Iterator[Coding]:
    _check_is_parameters(found)
    for part in found.parameter:
        relation = part.one("equivalence").value_code or part.one("relationship").value_code
        concept = part.one("concept").value_coding
        if part.name != "match" or relation not in _SAME_OR_WIDER or concept is None:
            continue
        if concept.system == target and may_be_sent(system_and_code(concept)):
            yield concept


def _query(code: Code) -> str:
    return f"system={quote(code[0], safe='')}&code={quote(code[1], safe='')}"


def _check_is_parameters(found: _Parameters) -> None:
    if found.resource_type != "Parameters":
        raise FhirFatalError("the terminology service answered with something that is not Parameters")


# --- RxNav --------------------------------------------------------------------------------------------


class _IdGroup(Element, frozen=True):
    rxnorm_id: tuple[str, ...] | None = None


class _Ids(Element, frozen=True):
    id_group: _IdGroup | None = None


class _NdcPeriod(Element, frozen=True):
    active_rxcui: str | None = None
    original_rxcui: str | None = None


class _NdcStatus(Element, frozen=True):
    rxcui: str | None = None
    ndc_history: tuple[_NdcPeriod, ...] | None = None


class _Ndc(Element, frozen=True):
    ndc_status: _NdcStatus | None = None


class _Attributes(Element, frozen=True):
    name: str | None = None


class _IngredientConcept(Element, frozen=True):
    ingredient_name: str | None = None


class _RemappedConcept(Element, frozen=True):
    rxcui: str | None = msgspec.field(default=None, name="remappedRxCui")


class _Derived(Element, frozen=True):
    ingredient_concept: tuple[_IngredientConcept, ...] | None = None
    remapped_concept: tuple[_RemappedConcept, ...] | None = None


class _History(Element, frozen=True):
    attributes: _Attributes | None = None
    derived_concepts: _Derived | None = None


class _HistoryStatus(Element, frozen=True):
    rxcui_status_history: _History | None = None


_ID_TYPES = {ATC: "ATC", SNOMED: "SNOMEDCT"}


def ask_rxnav(get: Get, code: Code, origin: str) -> Answer:
    """The RxNorm concept of the code, its name and ingredients, whether it is current or was once.

    A code that RxNorm relates to several concepts, as a package code that was given away again is, names none.
    """
    system, value = code
    if system == RXNORM:
        return _answer(_history(get, value, origin))
    rxcuis = _rxcuis(get, system, value)
    if len(rxcuis) != 1:
        return _answer(KnownName(origin))
    (rxcui,) = rxcuis
    known = KnownName(origin, codes=((RXNORM, rxcui),))
    if _tells_a_drug(known):
        return _answer(known)
    named = _history(get, rxcui, origin)
    return _answer(replace(named, codes=(*known.codes, *named.codes)))


def _rxcuis(get: Get, system: str, value: str) -> frozenset[str]:
    if system == NDC:
        ndc = _decoded(get(f"ndcstatus.json?ndc={value}"), _Ndc)
        status = (ndc and ndc.ndc_status) or _NdcStatus()
        periods = status.ndc_history or ()
        stated = [status.rxcui, *(period.active_rxcui or period.original_rxcui for period in periods)]
    elif system in _ID_TYPES:
        ids = _decoded(get(f"rxcui.json?idtype={_ID_TYPES[system]}&id={value}"), _Ids)
        stated = list((ids and ids.id_group and ids.id_group.rxnorm_id) or ())
    else:
        return frozenset()
    return frozenset(rxcui for rxcui in stated if rxcui and may_be_sent((RXNORM, rxcui)))


def _history(get: Get, rxcui: str, origin: str) -> KnownName:
    status = _decoded(get(f"rxcui/{rxcui}/historystatus.json"), _HistoryStatus)
    history = (status and status.rxcui_status_history) or _History()
    derived = history.derived_concepts or _Derived()
    remapped = [each.rxcui for each in derived.remapped_concept or () if each.rxcui]
    return KnownName(
        origin,
        _name(history.attributes.name if history.attributes else None),
        tuple(filter(None, (_name(each.ingredient_name) for each in derived.ingredient_concept or ()))),
        tuple((RXNORM, each) for each in remapped if len(remapped) == 1 and may_be_sent((RXNORM, each))),
    )


# --- both ---------------------------------------------------------------------------------------------

_Kind = TypeVar("_Kind", bound=Element)


def _decoded(body: bytes | None, kind: type[_Kind]) -> _Kind | None:
    """What the body holds; raises FhirFatalError for what cannot be read so."""
    if body is None:
        return None
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FhirFatalError("the terminology service answered with something that cannot be read") from None


def _name(text: str | None) -> str:
    """The text on one line, empty when it is no name by its length."""
    line = " ".join((text or "").split())
    return line if len(line) <= LONGEST_NAME and line.isprintable() else ""


def _tells_a_drug(known: KnownName) -> bool:
    return is_settled(recognise(CodeableConcept(coding=known.codings)))


def _answer(known: KnownName) -> Answer:
    if known.codings:
        return Answer(known, FOUND_SECONDS)
    return Answer(None, NOT_FOUND_SECONDS)
