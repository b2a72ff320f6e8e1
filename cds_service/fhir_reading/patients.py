"""Patient → the bounds of the birth date, or why it could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.dates import parse_fhir_date
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import Element, read_elements
from cds_service.fhir_reading.references import reference_of
from cds_service.trd.record import Topic, Unread

OLDEST_YEARS = 130
_KEPT_ELSEWHERE = ("replaced-by", "refer")  # http://hl7.org/fhir/link-type (R4)
# Any number of records of each kind may stand under the other id.
OF_ANOTHER_ID = (
    *(Topic.DRUGS, Topic.FILLS, Topic.SCORE, Topic.SCORES),
    *(Topic.DIAGNOSIS, Topic.SAFETY, Topic.PROCEDURE, Topic.REACTION),
)


class Link(Element, frozen=True):
    type: str | None = None


class Patient(Element, frozen=True):
    """The only elements of a Patient that the rules need."""

    birth_date: str | None = None
    link: tuple[Link, ...] = ()


@dataclass(frozen=True)
class PatientReading:
    """Both bounds None when the birth date is unknown."""

    born_earliest: date | None = None
    born_latest: date | None = None
    unread: tuple[Unread, ...] = ()


def read_patient(entries: Sequence[Entry], on: date) -> PatientReading:
    """The birth date of the patient's own Patient resource; several copies must agree."""
    readings = [_read_one(entry, on) for entry in entries]
    born = {(reading.born_earliest, reading.born_latest) for reading in readings}
    unread = tuple(unread for reading in readings for unread in reading.unread)
    elsewhere = tuple(unread for entry in entries for unread in _kept_elsewhere(entry))
    if len(born) == 1 and not unread:
        return replace(readings[0], unread=elsewhere)
    if len(born) > 1 and not unread:
        unread = (Unread(reference_of(entries[0]), "several birth dates that differ", (Topic.AGE,)),)
    return PatientReading(unread=(*unread, *elsewhere))


def _kept_elsewhere(entry: Entry) -> tuple[Unread, ...]:
    """A Patient that another replaces, or that refers to another: records are, or will be, found under that id."""
    patient, _ = read_elements(entry.resource, Patient)
    kinds = [link.type for link in patient.link if link.type in _KEPT_ELSEWHERE]
    if not kinds:
        return ()
    problem = f"another Patient is to be used instead ($.link: {kinds[0]}), under which records may stand"
    return (Unread(reference_of(entry), problem, OF_ANOTHER_ID),)


def _read_one(entry: Entry, on: date) -> PatientReading:
    patient, problems = read_elements(entry.resource, Patient)
    trouble = problem_with(problems, "birthDate")
    if patient.birth_date is None and not trouble:
        return PatientReading()
    born = parse_fhir_date(patient.birth_date)
    if trouble or born is None:
        return _unreadable(entry, trouble or "at $.birthDate: expected a FHIR date, found another text")
    if born.earliest > on:
        return _unreadable(entry, f"at $.birthDate: expected a day up to {on}, found a later one")
    if on.year - born.latest.year > OLDEST_YEARS:
        return _unreadable(entry, f"at $.birthDate: expected an age up to {OLDEST_YEARS} years, found more")
    return PatientReading(born.earliest, min(born.latest, on))


def _unreadable(entry: Entry, problem: str) -> PatientReading:
    return PatientReading(unread=(Unread(reference_of(entry), problem, (Topic.AGE,)),))
