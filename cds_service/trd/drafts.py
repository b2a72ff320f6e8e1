"""The nouns of judging a drafted order: the draft with its first day and dose, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.record import Drug, Prescription
from cds_service.trd.uses import Use, use_as_drafted


@dataclass(frozen=True)
class Draft:
    """An order that is not signed yet, of a drug that is identified. No day of it lies before today."""

    order: Prescription
    drug: Drug
    use: Use

    @property
    def name(self) -> str:
        return self.drug.ingredient

    @property
    def first_day(self) -> date:
        return self.use.certain[0][0]

    @property
    def treats_depression(self) -> Answer:
        """Not certain at a dose below every minimum of a drug that is often given so for sleep or pain, untold."""
        answer, dose, minimums = self.order.treats_depression.answer, self.highest_mg, self.drug.minimum_mg
        if answer is Answer.MET and self.drug.low_dose_use and not self.order.has_stated_use:
            is_low = dose is not None and dose < min(minimums.values(), default=0)
            return Answer.UNKNOWN if is_low else answer
        return answer

    @property
    def stated_end(self) -> date | None:
        """The day that the order names as its last. Supply is none: it is refilled."""
        return self.order.stated_end

    def ends_on(self, running_mg: Iterable[float | None]) -> date | None:
        """The day on which it ends the use of a drug that runs at these doses; None where the use may go on.

        A length alone may be that of a supply, which is refilled, unless less is to be taken than until now.
        """
        if self.stated_end is not None:
            return self.stated_end
        last_day, dose = self.use.possible[-1][1], self.highest_mg
        is_less = dose is not None and any(mg is not None and mg > dose for mg in running_mg)
        return last_day if is_less and last_day != date.max else None

    @property
    def highest_mg(self) -> float | None:
        """The most it ever asks for, mg a day; None where any of its days has no known upper end, or one is assumed."""
        if self.order.assumed:
            return None
        doses = [segment.high_mg for segment in self.order.segments]
        return None if None in doses else max((dose for dose in doses if dose is not None), default=None)

    @property
    def dose(self) -> str:
        """Its highest dose in words; empty where that is not known."""
        return mg_per_day(self.highest_mg)


def as_draft(order: Prescription, on: date) -> Draft | None:
    """The order as a draft; None where its drug is not identified, or it says that nothing is taken."""
    if order.drug is None or order.is_denial:
        return None
    return Draft(order, order.drug, use_as_drafted(order, order.drug, on))


@dataclass(frozen=True)
class Told:
    """What is told of a draft, and the plain words by name that a card is filled with."""

    finding: Finding
    values: dict[str, str] = field(hash=False)


def mg_per_day(dose: float | None) -> str:
    return "" if dose is None else f"{dose:g} mg/day"


def listed(names: Iterable[str]) -> str:
    """`sertraline, citalopram and fluoxetine`."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
