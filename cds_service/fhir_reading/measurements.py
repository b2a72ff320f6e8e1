"""Observations and forms → what is measured beyond mood: functional scales, laboratory values, vital signs.

Shown as context, so only the newest few of each are read: `Measurements` takes note of where they are, and
decodes no more of them than it gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from operator import itemgetter
from typing import Any, NamedTuple

from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import Problem, read_elements
from cds_service.fhir_reading.observation_elements import VALUE_ELEMENTS, Observation, Valued
from cds_service.fhir_reading.references import reference_of
from cds_service.fhir_reading.result_dates import When, not_after, read_when
from cds_service.fhir_reading.result_status import VOID, modifier_problem, status_problem
from cds_service.fhir_reading.result_values import read_amount
from cds_service.tables.measurements import MeasurementRow
from cds_service.trd.record import Measurement, Topic, Unread

MOST_OF_EACH = 3


@dataclass(frozen=True)
class MeasurementReading:
    measurements: tuple[Measurement, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]


# Where a value is: the date as it stands there, the entry, and which component of it, if one.
_Place = tuple[str, Entry, int | None]


class _Decoded(NamedTuple):
    observation: Observation
    problems: tuple[Problem, ...]
    when: When
    trouble: str


@dataclass(frozen=True)
class _Dated:
    when: When
    measurement: Measurement


@dataclass
class Measurements:
    """Collects where the measurements are. Not for use after `read_newest`. Rows are told by their names."""

    on: date
    _rows: dict[str, MeasurementRow] = field(default_factory=dict)
    _places: dict[str, list[_Place]] = field(default_factory=lambda: defaultdict(list))
    _given: dict[str, list[_Dated]] = field(default_factory=lambda: defaultdict(list))
    _unread: list[Unread] = field(default_factory=list)
    _set_aside: list[Unread] = field(default_factory=list)
    _decoded: dict[int, _Decoded | None] = field(default_factory=dict)

    def note(self, row: MeasurementRow, entry: Entry, component: int | None = None) -> None:
        """That the Observation, or a component of it such as one value of a blood pressure, measures this."""
        self._rows[row.name] = row
        self._places[row.name].append((_time_in(entry.resource), entry, component))

    def take(self, row: MeasurementRow, holder: Valued, when: When, reference: str, trouble: str) -> None:
        """One whose record is decoded already, such as an item of a form."""
        reading = _measurement(row, holder, when, reference, trouble)
        if isinstance(reading, Unread):
            self._unread.append(reading)
        else:
            self._given[row.name].append(_Dated(when, reading))

    def read_newest(self) -> MeasurementReading:
        """The newest of each, in order of their days. What was met on the way and could not be read is listed."""
        for name, places in self._places.items():
            enough = len(self._given[name]) + MOST_OF_EACH
            for place in sorted(places, key=itemgetter(0), reverse=True):
                if len(self._given[name]) >= enough:
                    break
                self._read(self._rows[name], place[1], place[2])
        chosen = [dated for of_one in self._given.values() for dated in _one_a_day(of_one)]
        chosen.sort(key=lambda dated: (dated.measurement.day, dated.measurement.name))
        return MeasurementReading(
            tuple(dated.measurement for dated in chosen), tuple(self._unread), tuple(self._set_aside)
        )

    def _read(self, row: MeasurementRow, entry: Entry, component: int | None) -> None:
        if id(entry) not in self._decoded:
            self._decoded[id(entry)] = self._decode(entry)
        decoded = self._decoded[id(entry)]
        if decoded is None:
            return
        observation = decoded.observation
        holder: Valued = observation
        if component is not None:
            # A record that could not be read as a whole has fewer components than were noted.
            holder = next(iter(observation.component[component : component + 1]), Valued())
        elements = VALUE_ELEMENTS if component is None else ("component",)
        trouble = decoded.trouble or problem_with(decoded.problems, *elements)
        self.take(row, holder, decoded.when, reference_of(entry), trouble)

    def _decode(self, entry: Entry) -> _Decoded | None:
        """None, and a note of it, for what does not count or does not count yet."""
        observation, problems = read_elements(entry.resource, Observation)
        when = not_after(self.on, read_when(observation, problems))
        if observation.status in VOID:
            self._set_aside.append(
                Unread(reference_of(entry), f"has the status {observation.status}", (Topic.NONE,))
            )
            return None
        if when.first_day is not None and when.first_day > self.on:
            problem = f"is dated {when.first_day}, after {self.on}"
            self._unread.append(Unread(reference_of(entry), problem, (Topic.NONE,)))
            return None
        trouble = status_problem(observation, problems) or modifier_problem(observation, problems)
        return _Decoded(observation, problems, when, trouble)


def _time_in(resource: dict[str, Any]) -> str:
    """The date as text, for the order in which to look; empty where it stands elsewhere."""
    for name in ("effectiveDateTime", "effectiveInstant", "issued"):
        text = resource.get(name)
        if isinstance(text, str):
            return text
    period = resource.get("effectivePeriod")
    text = (period.get("end") or period.get("start")) if isinstance(period, dict) else None
    return text if isinstance(text, str) else ""


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
        unit_code=amount.unit_code,
    )


def _one_a_day(of_one: Iterable[_Dated]) -> Iterator[_Dated]:
    """Of several on one day the latest; where times do not tell, each value once."""
    by_day: dict[date, list[_Dated]] = defaultdict(list)
    for dated in of_one:
        by_day[dated.measurement.day].append(dated)
    for same_day in by_day.values():
        if len(same_day) == 1:
            yield same_day[0]
            continue
        moments = [dated.when.moment for dated in same_day if dated.when.moment is not None]
        is_comparable = len({moment.tzinfo is not None for moment in moments}) == 1
        if len(moments) == len(same_day) and is_comparable:
            latest = max(moments)
            same_day = [dated for dated in same_day if dated.when.moment == latest]
        values: dict[tuple[float, str], _Dated] = {}
        for dated in sorted(same_day, key=lambda dated: dated.measurement.reference):
            values.setdefault((dated.measurement.value, dated.measurement.unit), dated)
        yield from values.values()
