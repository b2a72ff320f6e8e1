"""Counts what was seen in which patients, and keeps one of them as an example."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cds_service.doctor.results import Tally


@dataclass
class Counts:
    """How often each thing was seen, by name. The first patient is the example."""

    times: Counter[str] = field(default_factory=Counter)
    patients: dict[str, dict[str, None]] = field(default_factory=dict)
    to_do: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, patient_id: str, to_do: str = "") -> None:
        self.times[what] += 1
        self.patients.setdefault(what, {})[patient_id] = None
        self.to_do.setdefault(what, to_do)

    def tallies(self) -> tuple[Tally, ...]:
        """What concerns most patients first."""
        order = sorted(self.times, key=lambda what: (-len(self.patients[what]), -self.times[what], what))
        return tuple(
            Tally(
                what,
                self.times[what],
                len(self.patients[what]),
                next(iter(self.patients[what])),
                self.to_do[what],
            )
            for what in order
        )
