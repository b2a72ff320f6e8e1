"""A monoamine oxidase inhibitor (MAOI) together with a drug that it must not be taken with, or too soon after.

Which drugs these are, and how many days must lie between, say the precautions (rows of a table). Such a pair is
never an adequate combination, and where it is recent it is named before all else that is to be checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import shifted
from cds_service.trd.model import MaoiRisk
from cds_service.trd.overlap import Stretch, days_in, in_both, joined
from cds_service.trd.precautions import IRREVERSIBLE_MAOIS, MAOI_MECHANISM, Effect, Precaution, SignKind
from cds_service.trd.record import Drug, History
from cds_service.trd.uses import Use, uses_up_to

PAIRING_EFFECTS = (Effect.WASHOUT_OF_ANY, Effect.WASHOUT, Effect.CONTRAINDICATION)
"""Those of the rows that `pair_of` looks at."""


@dataclass(frozen=True)
class Pair:
    """An MAOI and a drug that is not to be taken with it, and the days that must lie between: 0 tells none.

    `days_after_maoi` is the wait after the MAOI before the drug, `days_before_maoi` that after the drug.
    """

    maoi: Drug
    other: Drug
    days_after_maoi: int
    days_before_maoi: int
    precautions: tuple[Precaution, ...]

    @property
    def reason(self) -> str:
        """What the rows ask for: `contraindication; 14 days needed after phenelzine, 35 after fluoxetine`."""
        forbidden = any(row.effect is Effect.CONTRAINDICATION for row in self.precautions)
        waits = ((self.days_after_maoi, self.maoi), (self.days_before_maoi, self.other))
        parts = [f"{days} days needed after {drug.ingredient}" for days, drug in waits if days]
        return "; ".join([Effect.CONTRAINDICATION.value] * forbidden + [", ".join(parts)] * bool(parts))

    def wait_after(self, drug: Drug) -> int:
        """The days that must lie between the last of this drug and the first of the other."""
        return self.days_after_maoi if drug.agent == self.maoi.agent else self.days_before_maoi


def pair_of(one: Drug | None, other: Drug | None, precautions: Iterable[Precaution]) -> Pair | None:
    """The two as a pair that no row allows together; None where no row speaks of them."""
    if one is None or other is None or one.agent == other.agent:
        return None
    known = tuple(precautions)
    return _with_maoi(one, other, known) or _with_maoi(other, one, known)


def _with_maoi(maoi: Drug, other: Drug, precautions: Sequence[Precaution]) -> Pair | None:
    rows = tuple(row for row in precautions if _forbids(row, maoi, other))
    if not rows:
        return None
    return Pair(
        maoi,
        other,
        max(row.days_after_maoi or 0 for row in rows),
        max(row.days_before_maoi or 0 for row in rows),
        rows,
    )


def _forbids(row: Precaution, maoi: Drug, other: Drug) -> bool:
    """A washout is one of irreversible MAOIs only; together, no MAOI is allowed."""
    if row.effect is Effect.WASHOUT_OF_ANY:
        # The row is about antidepressants: an agent that is only added to such is none.
        return row.is_about(maoi) and other.add_on is None
    if not row.is_about(other):
        return False
    if row.effect is Effect.WASHOUT:
        return maoi.drug_class in IRREVERSIBLE_MAOIS
    if row.effect is not Effect.CONTRAINDICATION or maoi.mechanism != MAOI_MECHANISM:
        return False
    return any(sign.kind is SignKind.MECHANISM and sign.value == MAOI_MECHANISM for sign in row.signs)


# --- days at risk -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Risk:
    """A pair with the days on which both are taken, or one while the washout of the other is not over.

    `possible` are all that may be such days, `certain` those on which both uses are certain.
    """

    pair: Pair
    possible: tuple[Stretch, ...]
    certain: tuple[Stretch, ...]


def risk_of(one: Use, other: Use, precautions: Sequence[Precaution]) -> Risk | None:
    """The days at risk of two drugs as they are taken or ordered; None where there are none, or no row forbids."""
    pair = pair_of(one.drug, other.drug, precautions)
    if pair is None:
        return None
    maoi, beside = (one, other) if one.drug.agent == pair.maoi.agent else (other, one)
    possible = _days_at_risk(pair, maoi.possible, beside.possible)
    if not possible:
        return None
    return Risk(pair, possible, _days_at_risk(pair, maoi.certain, beside.certain))


# --- on record now or lately --------------------------------------------------------------------------


def find_maoi_risks(history: History, precautions: Sequence[Precaution], on: date) -> tuple[MaoiRisk, ...]:
    """Each MAOI with each drug it is not to be taken with, if that goes on or ended lately.

    Lately is as many days ago as the longest wait after an MAOI in `precautions`, or fewer. Met where some of
    these days are certain for both. What either was ordered for, and its dose, is not asked.
    """
    uses = uses_up_to(history.prescriptions, on)
    lately = shifted(on, -max((row.days_after_maoi or 0 for row in precautions), default=0))
    maois = [use for use in uses if use.drug.mechanism == MAOI_MECHANISM]
    return tuple(
        _on_record(risk, maoi, other, on)
        for maoi in maois
        for other in uses
        for risk in [risk_of(maoi, other, precautions)]
        if risk is not None and risk.pair.maoi is maoi.drug and risk.possible[-1][1] >= lately
    )


def _on_record(risk: Risk, maoi: Use, other: Use, on: date) -> MaoiRisk:
    latest = risk.possible[-1:]
    answer = Answer.MET if in_both(risk.certain, latest) else Answer.UNKNOWN
    doubt = "" if answer is Answer.MET else "perhaps "
    names = risk.pair.maoi.ingredient, risk.pair.other.ingredient
    both = in_both(in_both(maoi.possible, other.possible), latest)
    if both:
        text = f"{names[0]} (an MAOI) {doubt}together with {names[1]}, {_in_words(both, on)}"
    else:
        text = f"{names[0]} (an MAOI) and {names[1]} {doubt}too close, {_in_words(latest, on)}"
    evidence = tuple(dict.fromkeys((*maoi.evidence, *other.evidence)))
    return MaoiRisk(
        maoi=names[0],
        other=names[1],
        finding=Finding(f"MAOI together with {names[1]}", answer, f"{text}; {risk.pair.reason}", evidence),
        goes_on=latest[0][1] == on,
        together_today=_taken_on(on, maoi, other),
        sources=tuple(dict.fromkeys(row.source for row in risk.pair.precautions)),
    )


def _taken_on(day: date, *uses: Use) -> Answer:
    """Whether all of them are taken on that day."""
    today = ((day, day),)
    if all(in_both(use.certain, today) for use in uses):
        return Answer.MET
    return Answer.UNKNOWN if all(in_both(use.possible, today) for use in uses) else Answer.NOT_MET


def _days_at_risk(pair: Pair, maoi: Sequence[Stretch], other: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Days on which one was taken while the other was too, or its washout was not over."""
    return joined(
        (
            *in_both(_prolonged(maoi, pair.days_after_maoi), other),
            *in_both(_prolonged(other, pair.days_before_maoi), maoi),
        )
    )


def _prolonged(stretches: Iterable[Stretch], days: int) -> tuple[Stretch, ...]:
    return joined((first_day, shifted(last_day, days)) for first_day, last_day in stretches)


def _in_words(stretches: Sequence[Stretch], on: date) -> str:
    """`23 days, 2026-06-08 to 2026-06-30, going on`."""
    number, last_day = days_in(stretches), stretches[-1][1]
    goes_on = ", going on" if last_day == on else ""
    return f"{number} day{'' if number == 1 else 's'}, {stretches[0][0]} to {last_day}{goes_on}"
