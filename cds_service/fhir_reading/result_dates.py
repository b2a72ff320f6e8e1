"""The day a result is about: the effective time of an Observation, else when it was issued; the day of a form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from cds_service.fhir_reading.dates import PartialDate, parse_fhir_date
from cds_service.fhir_reading.element_problems import problem_with
from cds_service.fhir_reading.elements import Period, Problem
from cds_service.fhir_reading.observation_elements import DATE_ELEMENTS, Observation


@dataclass(frozen=True)
class When:
    """The days it may be about, both included, None without bound; why the day is not exact, if so."""

    first_day: date | None = None
    last_day: date | None = None
    moment: datetime | None = None
    problem: str = ""

    @property
    def day(self) -> date | None:
        return self.first_day if self.first_day == self.last_day else None


def read_when(observation: Observation, problems: Sequence[Problem]) -> When:
    """The day of a result. `issued` counts only when no effective time is given."""
    trouble = problem_with(problems, *DATE_ELEMENTS)
    if trouble:
        return When(problem=trouble)
    texts = _effective_texts(observation) or (
        [("issued", observation.issued)] if observation.issued is not None else []
    )
    if not texts:
        return When(problem="has no date")
    if len(texts) == 1 and (only := parse_fhir_date(texts[0][1])):
        return _together([only], [texts[0][1]])
    days = [(name, text, parse_fhir_date(text)) for name, text in texts]
    for name, _, parsed in days:
        if parsed is None:
            return When(problem=f"at $.{name}: expected a FHIR date, found another text")
    return _together([parsed for _, _, parsed in days if parsed], [text for _, text in texts])


def read_authored(authored: str | None, problems: Sequence[Problem]) -> When:
    """The day a form was filled."""
    trouble = problem_with(problems, "authored")
    if trouble or authored is None:
        return When(problem=trouble or "has no date")
    day = parse_fhir_date(authored)
    if day is None:
        return When(problem="at $.authored: expected a FHIR date, found another text")
    return _together([day], [authored])


def not_after(on: date, when: When) -> When:
    """A result that lies on some day up to `on` or later cannot have been known later than `on`."""
    if when.first_day is None or when.last_day is None or when.first_day > on or when.last_day <= on:
        return when
    return When(when.first_day, on, None, when.problem)


def _effective_texts(observation: Observation) -> list[tuple[str, str]]:
    """Every effective time that is given; of a period the end, else the start."""
    texts = []
    if observation.effective_date_time is not None:
        texts.append(("effectiveDateTime", observation.effective_date_time))
    if observation.effective_instant is not None:
        texts.append(("effectiveInstant", observation.effective_instant))
    if observation.effective_period is not None:
        texts += _period_text(observation.effective_period)
    if observation.effective_timing is not None:
        texts += [("effectiveTiming.event", event) for event in observation.effective_timing.event]
    return texts


def _period_text(period: Period) -> list[tuple[str, str]]:
    if period.end is not None:
        return [("effectivePeriod.end", period.end)]
    return [("effectivePeriod.start", period.start)] if period.start is not None else []


def _together(days: Sequence[PartialDate], texts: Sequence[str]) -> When:
    first, last = min(day.earliest for day in days), max(day.latest for day in days)
    if first == last:
        return When(first, last, _moment(texts[0]))
    return When(first, last, problem=f"its day is not known, only that it lies from {first} to {last}")


def _moment(text: str) -> datetime | None:
    """The point in time, None when only the day is given."""
    try:
        return datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        return None
