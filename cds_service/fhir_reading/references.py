"""The resources of one collection, each once: how references find them, and whose they are.

Turns the collected entries into an `Index`, all in the elements of FHIR R4. Of two copies of a resource the
newer version counts; when that cannot be told, neither does. Anything of another patient is never found.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import cached_property, lru_cache, partial
from typing import Any
from urllib.parse import unquote

from cds_service.fhir_address import FhirAddress, read_address
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import Element, read_elements
from cds_service.fhir_reading.shortened import is_subsetted
from cds_service.fhir_reading.versions import to_r4
from cds_service.trd.record import Topic, Unread

Resource = dict[str, Any]
LONGEST_REFERENCE = 2048
TYPED_REFERENCE = re.compile(
    r"(?:(?P<base>https?://[^?#]+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[^/?#|\s]+)(?:/_history/[^/?#\s]+)?"
)
CONDITIONAL_REFERENCE = re.compile(r"Patient\?identifier=(?P<system>[^|&]*)\|(?P<value>[^|&]+)")
TOPICS = {
    "MedicationRequest": (Topic.DRUG,),
    "MedicationDispense": (Topic.DRUG, Topic.FILLS),
    "MedicationAdministration": (Topic.DRUG,),
    "MedicationStatement": (Topic.DRUG,),
    "MedicationOrder": (Topic.DRUG,),
    "Observation": (Topic.SCORE, Topic.SAFETY),
    "QuestionnaireResponse": (Topic.SCORE, Topic.SAFETY),
    "Condition": (Topic.DIAGNOSIS, Topic.SAFETY),
    "Procedure": (Topic.PROCEDURE,),
    "AdverseEvent": (Topic.REACTION,),
    "AllergyIntolerance": (Topic.REACTION,),
    "ServiceRequest": (Topic.REQUEST,),
    "Patient": (Topic.AGE,),
}
ANY_TOPIC = (
    Topic.DRUG,
    Topic.FILLS,
    Topic.SCORE,
    Topic.DIAGNOSIS,
    Topic.SAFETY,
    Topic.PROCEDURE,
    Topic.REACTION,
)
NAMED_BY_PATIENT = ("AllergyIntolerance",)


class Owner(Enum):
    """Whose a resource is."""

    PATIENT = "the patient"
    SOMEBODY_ELSE = "somebody else"
    NOT_TOLD = "not told"


def index_resources(collected: Collected) -> Index:
    """The index of a collection. Never raises, whatever the resources hold."""
    entries, unread = _each_once(collected)
    patients = [entry for entry in entries if is_patient(entry.resource, collected.patient_id)]
    return Index(
        patient_id=collected.patient_id,
        entries=entries,
        unread=unread,
        base_url=collected.base_url,
        own_names=_own_names(patients, collected.patient_id),
        own_bases=_own_bases(patients, collected.base_url),
        own_identifiers=frozenset(pair for entry in patients for pair in _identifiers(entry.resource)),
    )


@dataclass(frozen=True)
class Index:
    """All resources by every name that a reference may use, and the names of the patient."""

    patient_id: str
    entries: tuple[Entry, ...]
    unread: tuple[Unread, ...]
    base_url: str | None
    own_names: frozenset[str]
    own_bases: frozenset[str]
    own_identifiers: frozenset[tuple[str, str]]

    @cached_property
    def by_reference(self) -> dict[str, Resource]:
        """Made at the first look-up: most records refer to nothing that is looked up."""
        named: dict[str, Resource] = {}
        for entry in self.entries:
            for name in _names_of(entry, self.base_url):
                named.setdefault(name, entry.resource)
        return named

    def find(self, reference: str, within: Resource) -> Resource | None:
        """The resource that `reference`, standing in `within`, points at; None if it is not at hand."""
        if len(reference) > LONGEST_REFERENCE:
            return None
        found = self._look_up(reference, within)
        is_foreign = found is not None and self.owner_of(found)[0] is Owner.SOMEBODY_ELSE
        return None if is_foreign else found

    def _look_up(self, reference: str, within: Resource) -> Resource | None:
        if reference.startswith("#"):
            return _contained(within, reference[1:])
        parts = TYPED_REFERENCE.fullmatch(reference)
        if parts is None:
            return self.by_reference.get(reference)
        return self.by_reference.get(_plain_name(parts["base"], parts["type"], parts["id"], self.base_url))

    def owner_of(self, resource: Resource) -> tuple[Owner, str]:
        """Whose the resource is, and why that is not told or somebody else."""
        name = "subject"  # of nearly all
        if name not in resource or resource.get("resourceType") in NAMED_BY_PATIENT:
            name = _element_of_owner(resource)
        value = resource.get(name)
        if isinstance(value, dict):
            reference = value.get("reference")
            if isinstance(reference, str) and reference in self.own_names:
                return _OWN
        return self._owner_by(_Subjects, resource, name)

    def _owner_by(self, kind: type[_Subjects], resource: Resource, name: str) -> tuple[Owner, str]:
        elements, problems = read_elements(resource, kind)
        subject = getattr(elements, name)
        if subject is None:
            nothing = f"at $.{name}: expected a reference, found nothing"
            return Owner.NOT_TOLD, problem_with(problems, name) or nothing
        if subject.reference:
            return self._owner_by_reference(subject.reference[:LONGEST_REFERENCE], name)
        identifier = subject.identifier
        if identifier and (identifier.system or "", identifier.value or "") in self.own_identifiers:
            return _OWN
        return Owner.NOT_TOLD, f"at $.{name}: names nobody that is at hand"

    def _owner_by_reference(self, reference: str, name: str) -> tuple[Owner, str]:
        not_told = Owner.NOT_TOLD, f"at $.{name}.reference: names nobody that is at hand"
        parts = TYPED_REFERENCE.fullmatch(reference)
        if parts is None:
            return self._owner_by_other_name(reference, not_told)
        if parts["type"] != "Patient":
            return Owner.SOMEBODY_ELSE, f"is about a {parts['type'][:40]}, not about the patient"
        if unquote(parts["id"]) != self.patient_id:
            return self._owner_by_other_name(reference, _ANOTHER_PATIENT)
        base = parts["base"]
        if base is None or not self.own_bases or _server(base) in self.own_bases:
            return _OWN
        return Owner.NOT_TOLD, f"at $.{name}.reference: the patient of another server"

    def _owner_by_other_name(self, reference: str, otherwise: tuple[Owner, str]) -> tuple[Owner, str]:
        """By full URL, `urn:uuid:` or a conditional reference."""
        resource = self.by_reference.get(reference)
        if resource is not None and is_patient(resource, self.patient_id):
            return _OWN
        if resource is not None and resource.get("resourceType") == "Patient":
            return _ANOTHER_PATIENT
        condition = CONDITIONAL_REFERENCE.fullmatch(unquote(reference))
        if condition and (condition["system"], condition["value"]) in self.own_identifiers:
            return _OWN
        return otherwise


_OWN = Owner.PATIENT, ""
_ANOTHER_PATIENT = Owner.SOMEBODY_ELSE, "belongs to another patient"


def _element_of_owner(resource: Resource) -> str:
    """`subject`, or `patient` for the types that call it so; what stands there under the other name counts too."""
    usual, other = ("patient", "subject") if _is_named_by_patient(resource) else ("subject", "patient")
    return other if usual not in resource and other in resource else usual


def _is_named_by_patient(resource: Resource) -> bool:
    return resource.get("resourceType") in NAMED_BY_PATIENT


class _Identifier(Element, frozen=True):
    system: str | None = None
    value: str | None = None


class _Subject(Element, frozen=True):
    reference: str | None = None
    identifier: _Identifier | None = None


class _Subjects(Element, frozen=True):
    subject: _Subject | None = None
    patient: _Subject | None = None


class _Patient(Element, frozen=True):
    identifier: tuple[_Identifier, ...] = ()


def reference_of(entry: Entry) -> str:
    """How messages and evidence name the entry: `Type/id`, or the place where it stood."""
    if not isinstance(entry.resource, dict):
        return entry.place
    resource_type, logical_id = entry.resource.get("resourceType"), entry.resource.get("id")
    if isinstance(resource_type, str) and isinstance(logical_id, str) and resource_type and logical_id:
        return f"{resource_type[:64]}/{logical_id[:64]}"
    return entry.place


def is_patient(resource: Resource, patient_id: str) -> bool:
    return resource.get("resourceType") == "Patient" and resource.get("id") == patient_id


def references_to_drugs(resource: Resource) -> list[Any]:
    """Where a resource in the elements of R4 points at a Medication, or at an order of one."""
    suspects = resource.get("suspectEntity")
    if resource.get("resourceType") != "AdverseEvent" or not isinstance(suspects, list):
        return [resource.get("medicationReference")]
    return [suspect.get("instance") for suspect in suspects if isinstance(suspect, dict)]


def topics_of(resource: Resource) -> tuple[Topic, ...]:
    """The questions that a resource of this type may bear on."""
    resource_type = resource.get("resourceType")
    return TOPICS.get(resource_type, ()) if isinstance(resource_type, str) else ANY_TOPIC


# --- names --------------------------------------------------------------------------------------------


def _names_of(entry: Entry, base_url: str | None) -> Iterable[str]:
    """Every name by which a reference may call the entry, in one spelling."""
    resource_type, logical_id = entry.resource.get("resourceType"), entry.resource.get("id")
    if isinstance(resource_type, str) and isinstance(logical_id, str):
        yield f"{resource_type}/{logical_id}"
        yield f"urn:uuid:{logical_id}"
    if entry.full_url:
        parts = TYPED_REFERENCE.fullmatch(entry.full_url[:LONGEST_REFERENCE])
        yield entry.full_url
        if parts:
            yield _plain_name(parts["base"], parts["type"], parts["id"], base_url)


def _plain_name(base: str | None, resource_type: str, logical_id: str, base_url: str | None) -> str:
    """`Type/id` for what lies on our own server, otherwise with its server before it."""
    if base is None or (base_url is not None and _server(base) == _server(base_url)):
        return f"{resource_type}/{logical_id}"
    return f"{_server(base)}/{resource_type}/{logical_id}"


@lru_cache(maxsize=64)
def _server(base: str) -> str:
    """A base address without scheme and default port: a proxy that ends TLS changes both."""
    address: FhirAddress | None = read_address(base)
    return base if address is None else re.sub(r"^https?://", "", address.url)


def _own_names(patients: Sequence[Entry], patient_id: str) -> frozenset[str]:
    urls = {entry.full_url for entry in patients if entry.full_url}
    return frozenset({f"Patient/{patient_id}", f"urn:uuid:{patient_id}", *urls})


def _own_bases(patients: Sequence[Entry], base_url: str | None) -> frozenset[str]:
    """The servers on which the patient's id means the patient; empty when none is known."""
    if base_url is not None:
        return frozenset({_server(base_url)})
    urls = (TYPED_REFERENCE.fullmatch(entry.full_url or "") for entry in patients)
    return frozenset(_server(parts["base"]) for parts in urls if parts and parts["base"])


def _identifiers(patient: Resource) -> Iterable[tuple[str, str]]:
    elements, _ = read_elements(patient, _Patient)
    return [(i.system, i.value) for i in elements.identifier if i.system and i.value]


def _contained(within: Resource, local_id: str) -> Resource | None:
    contained = within.get("contained")
    if not isinstance(contained, list):
        return None
    matches = [c for c in contained if isinstance(c, dict) and c.get("id") == local_id]
    return matches[0] if len(matches) == 1 else None


# --- each resource once -------------------------------------------------------------------------------


def _each_once(collected: Collected) -> tuple[tuple[Entry, ...], tuple[Unread, ...]]:
    """The entries without copies, in order, and those of which two versions contradict each other."""
    entries = tuple(map(_in_r4, collected.entries))
    if len(set(map(_short_name, entries))) == len(entries):
        return entries, ()
    groups = _grouped(entries, _short_name)
    once: list[Entry] = []
    unread: list[Unread] = []
    for copies in _told_apart(groups, collected.base_url):
        newest = copies[0] if len(copies) == 1 else _newest(copies)
        if newest is not None:
            once.append(newest)
        else:
            unread += _undecided(copies)
    return tuple(once), tuple(unread)


def _undecided(copies: Sequence[Entry]) -> Iterator[Unread]:
    """Versions of one record, of which one holds; without an id each may be a record of its own."""
    has_id = isinstance(copies[0].resource.get("id"), str)
    problem = "stands there in two different versions, and which is newer cannot be told"
    for copy in copies[:1] if has_id else copies:
        yield Unread(reference_of(copy), problem, topics_of(copy.resource))


def _in_r4(entry: Entry) -> Entry:
    resource = to_r4(entry.resource)
    return entry if resource is entry.resource else replace(entry, resource=resource)


def _grouped(entries: Iterable[Entry], name_of: Callable[[Entry], str]) -> list[list[Entry]]:
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[name_of(entry)].append(entry)
    return list(groups.values())


def _told_apart(groups: Iterable[list[Entry]], base_url: str | None) -> Iterator[list[Entry]]:
    """Groups of the same type and id, divided by the server they come from if one is known."""
    for group in groups:
        if len(group) == 1 or base_url is None:
            yield group
        else:
            yield from _grouped(group, partial(_full_name, base_url=base_url))


def _short_name(entry: Entry) -> str:
    resource_type, logical_id = entry.resource.get("resourceType"), entry.resource.get("id")
    if isinstance(resource_type, str) and isinstance(logical_id, str):
        return f"{resource_type}/{logical_id}"
    return entry.full_url or entry.place


def _full_name(entry: Entry, base_url: str) -> str:
    parts = TYPED_REFERENCE.fullmatch((entry.full_url or "")[:LONGEST_REFERENCE])
    if parts is None or parts["id"] != entry.resource.get("id"):
        return _short_name(entry)
    return _plain_name(parts["base"], parts["type"], parts["id"], base_url)


def _newest(copies: list[Entry]) -> Entry | None:
    """The newest of several copies, None when two that differ cannot be put in order."""
    complete = [copy for copy in copies if not is_subsetted(copy.resource)] or copies
    newest = complete[0]
    for copy in complete[1:]:
        if _is_same(newest.resource, copy.resource):
            continue
        order = _order(newest.resource, copy.resource)
        if order == 0:
            return None
        newest = copy if order < 0 else newest
    return newest


def _is_same(one: Resource, other: Resource) -> bool:
    """Whether two copies say the same; `meta` and the narrative say nothing."""
    try:
        return _content(one) == _content(other)
    except RecursionError:
        return False


def _content(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name not in ("meta", "text")}


def _order(one: Resource, other: Resource) -> int:
    """Below 0 when `one` is older, above 0 when it is newer, 0 when that cannot be told."""
    for key in (_version, _last_updated):
        first, second = key(one), key(other)
        if first is not None and second is not None and first != second:
            return -1 if first < second else 1
    return 0


def _version(resource: Resource) -> float | None:
    version = _meta(resource).get("versionId")
    if isinstance(version, str) and version.isascii() and version.isdigit() and len(version) < 16:
        return float(version)
    return None


def _last_updated(resource: Resource) -> float | None:
    text = _meta(resource).get("lastUpdated")
    try:
        updated = datetime.fromisoformat(text) if isinstance(text, str) else None
        return updated.timestamp() if updated and updated.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _meta(resource: Resource) -> Resource:
    meta = resource.get("meta")
    return meta if isinstance(meta, dict) else {}
