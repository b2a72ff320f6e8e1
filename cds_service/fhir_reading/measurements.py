"""Observations and forms → what is measured beyond mood: functional scales, laboratory values, vital signs.

Shown as context, so only the newest few of each are read: `Measurements` takes note of where they are, and
decodes no more of them than it gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import (
    CodeableConcept,
    ConceptKey,
    Element,
    concept_of_key,
    key_of_concept,
    read_elements,
)
from cds_service.fhir_reading.observation_elements import Observation, Valued
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.result_codes import CodeKind, read_code
from cds_service.fhir_reading.result_dates import When, not_after, read_when
from cds_service.fhir_reading.result_status import VOID, modifier_problem, status_problem
from cds_service.fhir_reading.result_values import read_amount
from cds_service.tables.measurements import MeasurementRow
from cds_service.trd.model import Measurement, Topic, Unread

MOST_OF_EACH = 3


@dataclass(frozen=True)
class MeasurementReading:
    measurements: tuple[Measurement, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]


@dataclass(frozen=True)
class _Place:
    """A value: the Observation itself, or one of its components. `time` is its date as it stands there."""

    time: str
    entry: Entry
    component: int | None


@dataclass(frozen=True)
class _Dated:
    when: When
    measurement: Measurement


@dataclass
class Measurements:
    """Collects where the measurements are. Not for use after `read_newest`."""

    on: date
    _places: dict[MeasurementRow, list[_Place]] = field(default_factory=lambda: defaultdict(list))
    _given: dict[MeasurementRow, list[_Dated]] = field(default_factory=lambda: defaultdict(list))
    _unread: list[Unread] = field(default_factory=list)
    _set_aside: list[Unread] = field(default_factory=list)

    def note_observation(self, row: MeasurementRow, entry: Entry) -> None:
        self._places[row].append(_Place(_time_in(entry.resource), entry, None))

    def note_components(self, entry: Entry) -> None:
        """Those among the components of any panel, such as both values of a blood pressure."""
        components = entry.resource.get("component")
        if not isinstance(components, list):
            return
        for number, component in enumerate(components):
            row = _row_of_component(component)
            if row is not None:
                self._places[row].append(_Place(_time_in(entry.resource), entry, number))

    def take(self, row: MeasurementRow, holder: Valued, when: When, reference: str, trouble: str) -> None:
        """One whose record is decoded already, such as an item of a form."""
        reading = _measurement(row, holder, when, reference, trouble)
        if isinstance(reading, Unread):
            self._unread.append(reading)
        else:
            self._given[row].append(_Dated(when, reading))

    def read_newest(self) -> MeasurementReading:
        """The newest of each, in order of their days. What was met on the way and could not be read is listed."""
        for row, places in self._places.items():
            enough = len(self._given[row]) + MOST_OF_EACH
            for place in sorted(places, key=lambda place: place.time, reverse=True):
                if len(self._given[row]) >= enough:
                    break
                self._read(row, place)
        chosen = [dated for of_one in self._given.values() for dated in _one_a_day(of_one)]
        chosen.sort(key=lambda dated: (dated.measurement.day, dated.measurement.name))
        return MeasurementReading(
            tuple(dated.measurement for dated in chosen), tuple(self._unread), tuple(self._set_aside)
        )

    def _read(self, row: MeasurementRow, place: _Place) -> None:
        observation, problems = read_elements(place.entry.resource, Observation)
        reference = reference_of(place.entry)
        when = not_after(self.on, read_when(observation, problems))
        if observation.status in VOID:
            self._set_aside.append(Unread(reference, f"has the status {observation.status}", (Topic.NONE,)))
            return
        if when.first_day is not None and when.first_day > self.on:
            self._unread.append(
                Unread(reference, f"is dated {when.first_day}, after {self.on}", (Topic.NONE,))
            )
            return
        trouble = status_problem(observation, problems) or modifier_problem(observation, problems)
        broken = problem_with(problems, "component" if place.component is not None else "valueQuantity")
        holder: Valued | None = observation
        if place.component is not None:
            holder = next(iter(observation.component[place.component : place.component + 1]), None)
        self.take(row, holder or observation, when, reference, trouble or broken)


def _time_in(resource: dict[str, Any]) -> str:
    """The date as text, for the order in which to look; empty where it stands elsewhere."""
    for name in ("effectiveDateTime", "effectiveInstant", "issued"):
        text = resource.get(name)
        if isinstance(text, str):
            return text
    period = resource.get("effectivePeriod")
    text = (period.get("end") or period.get("start")) if isinstance(period, dict) else None
    return text if isinstance(text, str) else ""


class _Coded(Element, frozen=True):
    code: CodeableConcept | None = None


def _row_of_component(component: object) -> MeasurementRow | None:
    if not isinstance(component, dict):
        return None
    key = key_of_concept(component.get("code"))
    if key is not None:
        return _row_of_key(key)
    coded, _ = read_elements(component, _Coded)
    return read_code(coded.code).measurement


@lru_cache(maxsize=4096)
def _row_of_key(key: ConceptKey) -> MeasurementRow | None:
    reading = read_code(concept_of_key(key))
    return reading.measurement if reading.kind is CodeKind.MEASUREMENT else None


def _measurement(
    row: MeasurementRow, holder: Valued, when: When, reference: str, trouble: str
) -> Measurement | Unread:
    amount = read_amount(holder, row)
    problem = trouble or amount.problem or ("" if when.day else when.problem)
    if problem or amount.value is None or when.day is None:
        return Unread(reference, f"{row.name}: {problem}", (Topic.NONE,))
    limit = row.unimpaired_at_most if amount.has_unit_of_table else None
    return Measurement(
        name=row.name,
        domain=row.domain,
        day=when.day,
        value=amount.value,
        unit=amount.unit,
        reference=reference,
        use=row.use,
        unimpaired_at_most=limit,
        source=row.unimpaired_source if limit is not None else "",
        code=row.code,
    )


def _one_a_day(of_one: Iterable[_Dated]) -> Iterator[_Dated]:
    """Of several on one day the latest; where times do not tell, each value once."""
    by_day: dict[date, list[_Dated]] = defaultdict(list)
    for dated in of_one:
        by_day[dated.measurement.day].append(dated)
    for same_day in by_day.values():
        moments = [dated.when.moment for dated in same_day if dated.when.moment is not None]
        is_comparable = len({moment.tzinfo is not None for moment in moments}) == 1
        if len(moments) == len(same_day) and is_comparable:
            latest = max(moments)
            same_day = [dated for dated in same_day if dated.when.moment == latest]
        values: dict[tuple[float, str], _Dated] = {}
        for dated in sorted(same_day, key=lambda dated: dated.measurement.reference):
            values.setdefault((dated.measurement.value, dated.measurement.unit), dated)
        yield from values.values()
