"""Reads patients as the service will, judges them, and counts what the rules could and could not use.

Counts and patients' ids are all that leaves this module.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from cds_service.doctor.ability_checks import Referrer, find_referrer
from cds_service.doctor.codings import CodingCounts
from cds_service.doctor.counting import Counts
from cds_service.doctor.kinds_of_missing import kind_of
from cds_service.doctor.patients import Found
from cds_service.doctor.results import Check, DrugRecords, Outcome, Readiness
from cds_service.doctor.search_checks import scope_of
from cds_service.errors import FhirServerError
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected
from cds_service.fhir_reading.resource_types import RESOURCE_TYPES
from cds_service.needs import NEEDS
from cds_service.respond import assess_history
from cds_service.tables.definitions import DEFAULT_ID, load_definitions
from cds_service.trd.answers import Answer
from cds_service.trd.model import Assessment
from cds_service.trd.record import History, Prescription, Source, Unread
from cds_service.trd.unread import orders_not_read

Fetch = Callable[[str], Collected]
"""All of one patient. Raises FhirServerError."""

_LONG_SHARE = 0.5  # of the time that there is
_KEPT = 5  # charts
_ENOUGH_FAILURES = 3  # at the beginning: then the others need not be tried
_SOURCE_OF_TYPE = {
    "MedicationRequest": Source.ORDERED,
    "MedicationOrder": Source.ORDERED,
    "MedicationDispense": Source.DISPENSED,
    "MedicationAdministration": Source.ADMINISTERED,
    "MedicationStatement": Source.STATED,
}
_NEED_BY_KEY = {need.key: need for need in NEEDS}
_SEE_UNREAD = "trd-cds assess --fhir-server URL --patient ID lists each with its reason."
_SEE_ASIDE = "Understood, and rightly not counted, mostly; the same command lists each with its reason."


@dataclass
class _DrugCounts:
    records: int = 0
    drug: int = 0
    dose: int = 0
    days: int = 0
    all: int = 0
    example: str = ""


@dataclass
class Survey:
    """Takes one patient after the other. Keeps the records of a few with most of them, to try searches with.

    `referrer` is the first patient with an order that refers to a Medication.
    """

    found: Found
    on: date
    largest: list[Collected] = field(default_factory=list)
    referrer: Referrer | None = None
    seconds: list[float] = field(default_factory=list)
    _asked: int = 0
    _with_depression: int = 0
    _verdicts: Counts = field(default_factory=Counts)
    _not_read: Counts = field(default_factory=Counts)
    _drugs: dict[Source, _DrugCounts] = field(default_factory=dict)
    _codings: CodingCounts = field(default_factory=CodingCounts)
    _scales: Counts = field(default_factory=Counts)
    _missing: Counts = field(default_factory=Counts)
    _unread: Counts = field(default_factory=Counts)
    _aside: Counts = field(default_factory=Counts)
    _not_looked_at: Counts = field(default_factory=Counts)

    def take_all(self, fetch: Fetch, tell: Callable[[str], None]) -> None:
        """Every patient; none after the first few where all of these failed."""
        for number, patient_id in enumerate(self.found.ids, 1):
            if not self.seconds and self._asked >= _ENOUGH_FAILURES:
                return
            tell(f"patient {number} of {len(self.found.ids)}")
            self._asked += 1
            begun = time.perf_counter()
            try:
                collected = fetch(patient_id)
            except FhirServerError as error:
                self._not_read.add(_reason(error), patient_id, "See the searches above.")
            else:
                self.seconds.append(time.perf_counter() - begun)
                self._take(collected)

    def check_time(self, most: float) -> Check:
        """How long the whole charts took of which all could be had in `most` seconds."""
        which = ("chart", "a whole chart")
        if not self.seconds:
            said = "no patient could be read" if self._asked else "no patient to try it with"
            return Check(*which, Outcome.NOT_TRIED, said)
        longest = max(self.seconds)
        said = f"{len(self.seconds)} of {self._asked} read; the slowest"
        if len(self.seconds) < self._asked:
            to_do = "Why not all is told below: Not read at all."
            return Check(*which, Outcome.LIMITED, said, to_do, seconds=longest)
        if longest > most * _LONG_SHARE:
            to_do = f"The service has {most:g} s for it (TRD_CDS_FETCH_SECONDS): more is safer."
            return Check(*which, Outcome.LIMITED, said, to_do, seconds=longest)
        return Check(*which, Outcome.WORKS, said, seconds=longest)

    def _take(self, collected: Collected) -> None:
        self._keep(collected)
        history = read_history(collected, self.on)
        assessment = assess_history(history, load_definitions()[DEFAULT_ID], self.on)
        self._with_depression += assessment.concerns_depression
        self._verdicts.add(assessment.verdict.value, collected.patient_id)
        self._codings.add(collected)
        self._count_drug_records(history, collected.patient_id)
        self._count_scales(history, collected.patient_id)
        self._count_lacks(assessment, collected.patient_id)

    def _keep(self, collected: Collected) -> None:
        """A chart may have many megabytes, and a sample a thousand charts."""
        self.referrer = self.referrer or find_referrer(collected)
        self.largest.append(collected)
        self.largest.sort(key=lambda one: -len(one.entries))
        del self.largest[_KEPT:]

    def _count_drug_records(self, history: History, patient_id: str) -> None:
        """The records that may be a treatment of depression, with those that could not be read at all."""
        for told in history.prescriptions:
            if told.source is not Source.PERFORMED and told.treats_depression.answer is not Answer.NOT_MET:
                known = (told.drug is not None, _dose_is_known(told), _days_are_known(told))
                self._count_drug_record(told.source, known, patient_id)
        for reference in orders_not_read(history):
            source = _SOURCE_OF_TYPE.get(reference.partition("/")[0])
            if source is not None:
                self._count_drug_record(source, (False, False, False), patient_id)

    def _count_drug_record(self, source: Source, known: tuple[bool, bool, bool], patient_id: str) -> None:
        counts = self._drugs.setdefault(source, _DrugCounts())
        counts.records += 1
        counts.drug += known[0]
        counts.dose += known[1]
        counts.days += known[2]
        counts.all += all(known)
        if not all(known):
            counts.example = counts.example or patient_id

    def _count_scales(self, history: History, patient_id: str) -> None:
        for score in history.scores:
            self._scales.add(score.scale.name, patient_id)
        for unread in history.unread_scores:
            name = unread.scale.name if unread.scale else "a scale that is not told"
            to_do = "Each needs its value (valueQuantity or valueInteger), its day and the code of its scale."
            self._scales.add(f"{name}: value, day or scale not readable", patient_id, to_do)

    def _count_lacks(self, assessment: Assessment, patient_id: str) -> None:
        for kind in dict.fromkeys(kind_of(missing.what) for missing in assessment.missing):
            self._missing.add(kind.name, patient_id, kind.to_do)
        for unread in assessment.unread:
            self._unread.add(_type_of(unread), patient_id, _SEE_UNREAD)
        for aside in assessment.set_aside:
            self._aside.add(_type_of(aside), patient_id, _SEE_ASIDE)
        for key in assessment.not_looked_at:
            need = _NEED_BY_KEY[key]
            to_do = f"If the server has such records, offer {need.resource_type} and grant {scope_of(need)}."
            self._not_looked_at.add(key, patient_id, to_do)

    def result(self) -> Readiness:
        """What was found in all patients taken."""
        return Readiness(
            found_by=self.found.found_by,
            asked=self._asked,
            read=len(self.seconds),
            with_depression=self._with_depression,
            verdicts=self._verdicts.tallies(),
            not_read=self._not_read.tallies(),
            drug_records=tuple(_drug_records(s, self._drugs[s]) for s in Source if s in self._drugs),
            drug_codings=self._codings.drugs(),
            observation_codings=self._codings.observations(),
            scales=self._scales.tallies(),
            missing=self._missing.tallies(),
            unread=self._unread.tallies(),
            set_aside=self._aside.tallies(),
            not_looked_at=self._not_looked_at.tallies(),
        )


def _reason(error: FhirServerError) -> str:
    return str(error).removeprefix("Required data cannot be had. ").removesuffix(".")


def _drug_records(source: Source, counts: _DrugCounts) -> DrugRecords:
    return DrugRecords(
        source.value, counts.records, counts.drug, counts.dose, counts.days, counts.all, counts.example
    )


def _dose_is_known(told: Prescription) -> bool:
    return bool(told.segments) and all(segment.low_mg is not None for segment in told.segments)


def _days_are_known(told: Prescription) -> bool:
    return bool(told.segments) and all(segment.days_certain for segment in told.segments)


def _type_of(unread: Unread) -> str:
    """What kind of thing it is; never its id, which some systems make of names and dates."""
    kind = unread.reference.replace("/", " ").partition(" ")[0]
    if kind not in RESOURCE_TYPES:
        return "an entry without a readable resource"
    return f"{kind} search" if unread.reference == f"{kind} search" else kind


def survey(found: Found, on: date, fetch: Fetch, tell: Callable[[str], None] = lambda _: None) -> Survey:
    """The survey of these patients. `on` is today; `tell` hears which patient is being read."""
    taken = Survey(found, on)
    taken.take_all(fetch, tell)
    return taken
