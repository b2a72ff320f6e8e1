"""FHIR resources of one patient, of any version of FHIR → `History`, all that the rules know of that patient.

`read_history` is the only reader the rest of the service calls. It never raises, whatever the
resources hold: what cannot be read is listed, and named to the questions it might have changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.conditions import read_conditions
from cds_service.fhir_reading.medication_records import read_medication_records
from cds_service.fhir_reading.medication_requests import read_medication_requests
from cds_service.fhir_reading.observations import read_observations
from cds_service.fhir_reading.patients import read_patient
from cds_service.fhir_reading.procedures import read_procedures
from cds_service.fhir_reading.reactions import read_reactions
from cds_service.fhir_reading.references import (
    ANY_TOPIC,
    Index,
    Owner,
    index_resources,
    is_patient,
    reference_of,
    topics_of,
)
from cds_service.fhir_reading.resource_types import ABOUT_A_PATIENT, RESOURCE_TYPES
from cds_service.fhir_reading.service_requests import read_service_requests
from cds_service.trd.assumptions import assume_one_unit_a_day
from cds_service.trd.record import (
    History,
    Topic,
    Unread,
    UnreadScore,
)
from cds_service.trd.sources import left_out, reconcile

__all__ = ["read_history"]


def read_history(collected: Collected, on: date, *, assume_one_unit_daily: bool = False) -> History:
    """Everything that the resources say about the patient, as known on the day `on`.

    `assume_one_unit_daily` is the site's choice for orders that carry no dosage at all.
    """
    index = index_resources(collected)
    own = _own_entries(index)
    patient = read_patient(own.by_type["Patient"], on)
    requests = own.by_type["MedicationRequest"] + own.by_type["MedicationOrder"]
    names = collected.code_names
    orders = read_medication_requests(requests, index.find, on, names)
    records = read_medication_records(own.by_type, index.find, on, names)
    not_assigned = (*collected.unread, *index.unread, *own.unread, *patient.unread)
    knows_all_fills = not any(Topic.FILLS in u.topics for u in (*not_assigned, *records.unread))
    prescriptions = reconcile(
        (*orders.prescriptions, *records.prescriptions), on, knows_all_fills=knows_all_fills
    )
    add_on_unread = (*orders.add_on_unread, *records.add_on_unread)
    knows_add_on_fills = not any(Topic.FILLS in u.topics for u in (*not_assigned, *add_on_unread))
    add_ons = reconcile((*orders.add_ons, *records.add_ons), on, knows_all_fills=knows_add_on_fills)
    not_used = (*left_out(records.prescriptions, prescriptions), *left_out(records.add_ons, add_ons))
    if assume_one_unit_daily:
        prescriptions, add_ons = assume_one_unit_a_day(prescriptions), assume_one_unit_a_day(add_ons)
    results = read_observations(
        own.by_type["Observation"] + own.by_type["QuestionnaireResponse"], index.find, on
    )
    conditions = read_conditions(own.by_type["Condition"], on)
    procedures = read_procedures(own.by_type["Procedure"], index.find, on)
    reactions = read_reactions(own.by_type, index.find, on, names)
    service_requests = read_service_requests(own.by_type["ServiceRequest"], on)
    return History(
        patient=f"Patient/{collected.patient_id}",
        prescriptions=prescriptions,
        scores=results.scores,
        unread_scores=(*results.unread_scores, *_possible_scores(not_assigned)),
        suicide_items=results.suicide_items,
        diagnoses=conditions.diagnoses,
        born_earliest=patient.born_earliest,
        born_latest=patient.born_latest,
        unread=(
            *not_assigned,
            *orders.unread,
            *records.unread,
            *(replace(unread, topics=(Topic.ADD_ON,)) for unread in add_on_unread),
            *results.unread,
            *conditions.unread,
            *procedures.unread,
            *reactions.unread,
            *service_requests.unread,
        ),
        set_aside=(
            *orders.set_aside,
            *records.set_aside,
            *not_used,
            *results.set_aside,
            *conditions.set_aside,
            *procedures.set_aside,
            *reactions.set_aside,
        ),
        not_looked_at=collected.not_looked_at,
        add_ons=add_ons,
        measurements=results.measurements,
        procedures=procedures.procedures,
        reactions=reactions.reactions,
        open_requests=service_requests.open_requests,
    )


@dataclass(frozen=True)
class _OwnEntries:
    """The patient's own entries by resource type, and those that are not, or may not be, the patient's."""

    by_type: dict[str, list[Entry]]
    unread: tuple[Unread, ...]


def _own_entries(index: Index) -> _OwnEntries:
    by_type: dict[str, list[Entry]] = defaultdict(list)
    unread: list[Unread] = []
    for entry in index.entries:
        why_not = _why_not_own(entry, index)
        if why_not is None:
            by_type[entry.resource["resourceType"]].append(entry)
        elif why_not.problem:
            unread.append(why_not)
    return _OwnEntries(by_type, tuple(unread))


_OF_NO_INTEREST = Unread("", "")


def _why_not_own(entry: Entry, index: Index) -> Unread | None:
    """Why the entry is not read as the patient's; None when it is."""
    resource_type = entry.resource.get("resourceType")
    if not isinstance(resource_type, str) or resource_type not in RESOURCE_TYPES:
        return Unread(
            reference_of(entry), "at $.resourceType: expected the name of a FHIR resource", ANY_TOPIC
        )
    if resource_type == "Patient":
        is_own = is_patient(entry.resource, index.patient_id)
        return None if is_own else Unread(entry.place, "is another patient", (Topic.NONE,))
    if resource_type not in ABOUT_A_PATIENT:
        return _OF_NO_INTEREST
    owner, problem = index.owner_of(entry.resource)
    if owner is Owner.PATIENT:
        return None
    topics = (Topic.NONE,) if owner is Owner.SOMEBODY_ELSE else topics_of(entry.resource)
    return Unread(reference_of(entry), problem, topics)


def _possible_scores(unread: Iterable[Unread]) -> Sequence[UnreadScore]:
    """What could not even be assigned may be a total of any scale on any day; a whole search may hold two."""
    return [
        UnreadScore(u.reference, None, None, None)
        for u in unread
        for topic in (Topic.SCORE, Topic.SCORES)
        if topic in u.topics
    ]
