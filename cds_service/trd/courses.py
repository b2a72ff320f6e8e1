"""Procedures → courses of treatment: sessions of one kind that follow each other closely."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.answers import Answer, any_of
from cds_service.trd.days import uncovered_days
from cds_service.trd.overlap import Stretch, joined
from cds_service.trd.parameters import Definition
from cds_service.trd.record import History, Procedure, ProcedureKind


@dataclass(frozen=True)
class Course:
    """Procedures of one kind, in order. `days` are those on which one is recorded; none if no day is."""

    kind: ProcedureKind
    procedures: tuple[Procedure, ...]
    days: tuple[Stretch, ...]

    @property
    def first_day(self) -> date:
        return self.days[0][0]

    @property
    def last_day(self) -> date:
        return self.days[-1][1]

    @property
    def holds(self) -> Answer:
        """Whether it took place: one procedure that did is enough."""
        return any_of(procedure.holds for procedure in self.procedures)

    @property
    def evidence(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(procedure.reference for procedure in self.procedures))

    @property
    def text(self) -> str:
        """How many are recorded. How many sessions are enough stands in no table of ours."""
        number = len(self.evidence)
        recorded = (
            f"{number} records of {self.kind.value}" if number > 1 else f"one record of {self.kind.value}"
        )
        doubt = "" if self.holds is Answer.MET else "; whether it took place is not certain"
        return f"{recorded}{doubt}; how much of it is enough is not known"


def courses_of(history: History, definition: Definition) -> tuple[Course, ...]:
    """The dated procedures of each kind, apart where more than `max_gap_days` lie between; in order of days."""
    by_kind: dict[ProcedureKind, list[tuple[Stretch, Procedure]]] = defaultdict(list)
    for procedure in history.procedures:
        stretch = procedure.days
        if stretch and procedure.holds is not Answer.NOT_MET:
            by_kind[procedure.kind].append((stretch, procedure))
    courses = [
        course
        for kind, dated in by_kind.items()
        for course in _of_one_kind(kind, dated, definition.max_gap_days)
    ]
    return tuple(sorted(courses, key=lambda course: (course.first_day, course.kind.value, course.evidence)))


def undated(history: History) -> tuple[Course, ...]:
    """The procedures of each kind of which no day is recorded, together."""
    by_kind: dict[ProcedureKind, list[Procedure]] = defaultdict(list)
    for procedure in history.procedures:
        if procedure.days is None and procedure.holds is not Answer.NOT_MET:
            by_kind[procedure.kind].append(procedure)
    return tuple(Course(kind, tuple(procedures), ()) for kind, procedures in by_kind.items())


def _of_one_kind(
    kind: ProcedureKind, dated: Sequence[tuple[Stretch, Procedure]], max_gap_days: int
) -> list[Course]:
    groups: list[list[tuple[Stretch, Procedure]]] = []
    last_day = date.min
    for stretch, procedure in sorted(dated, key=lambda pair: (pair[0], pair[1].reference)):
        if groups and uncovered_days(last_day, stretch[0]) <= max_gap_days:
            groups[-1].append((stretch, procedure))
        else:
            groups.append([(stretch, procedure)])
        last_day = max(last_day, stretch[1])
    return [
        Course(kind, tuple(p for _, p in group), joined(stretch for stretch, _ in group)) for group in groups
    ]
