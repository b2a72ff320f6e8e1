"""A monoamine oxidase inhibitor (MAOI) together with a drug that it must not be taken with, or too soon after.

Which drugs these are, and how many days must lie between, say the precautions (rows of a table). Such a pair is
never an adequate combination, and where it is recent it is named before all else that is to be checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import shifted
from cds_service.trd.model import MaoiRisk
from cds_service.trd.overlap import Stretch, days_in, in_both, joined
from cds_service.trd.precautions import IRREVERSIBLE_MAOIS, MAOI_MECHANISM, Effect, Precaution, SignKind
from cds_service.trd.record import Drug, History


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
        return row.is_about(maoi)
    if not row.is_about(other):
        return False
    if row.effect is Effect.WASHOUT:
        return maoi.drug_class in IRREVERSIBLE_MAOIS
    if row.effect is not Effect.CONTRAINDICATION or maoi.mechanism != MAOI_MECHANISM:
        return False
    return any(sign.kind is SignKind.MECHANISM and sign.value == MAOI_MECHANISM for sign in row.signs)


# --- on record now or lately --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Use:
    """All days up to today on which a drug was or may have been taken, and those that are certain."""

    drug: Drug
    possible: tuple[Stretch, ...]
    certain: tuple[Stretch, ...]
    evidence: tuple[str, ...]


def find_maoi_risks(history: History, precautions: Sequence[Precaution], on: date) -> tuple[MaoiRisk, ...]:
    """Each MAOI with each drug it is not to be taken with, if that goes on or ended lately.

    Lately is as many days ago as the longest wait after an MAOI in `precautions`, or fewer. Met where some of
    these days are certain for both. What either was ordered for, and its dose, is not asked.
    """
    uses = _uses(history, on)
    lately = shifted(on, -max((row.days_after_maoi or 0 for row in precautions), default=0))
    maois = [use for use in uses if use.drug.mechanism == MAOI_MECHANISM]
    return tuple(
        risk
        for maoi in maois
        for other in uses
        if other is not maoi
        for pair in [_with_maoi(maoi.drug, other.drug, precautions)]
        if pair is not None
        for risk in _risks(pair, maoi, other, lately, on)
    )


def _uses(history: History, on: date) -> tuple[_Use, ...]:
    possible: dict[str, list[Stretch]] = defaultdict(list)
    certain: dict[str, list[Stretch]] = defaultdict(list)
    evidence: dict[str, list[str]] = defaultdict(list)
    drugs: dict[str, Drug] = {}
    for order in history.prescriptions:
        if order.drug is None or order.is_denial:
            continue
        for segment in order.segments:
            if segment.first_day <= on:
                agent, stretch = order.drug.agent, (segment.first_day, min(segment.last_day, on))
                drugs.setdefault(agent, order.drug)
                possible[agent].append(stretch)
                evidence[agent] += order.references
                if segment.days_certain:
                    certain[agent].append(stretch)
    return tuple(
        _Use(drug, joined(possible[agent]), joined(certain[agent]), tuple(dict.fromkeys(evidence[agent])))
        for agent, drug in drugs.items()
    )


def _risks(pair: Pair, maoi: _Use, other: _Use, lately: date, on: date) -> Iterator[MaoiRisk]:
    possible = _days_at_risk(pair, maoi.possible, other.possible)
    if not possible or possible[-1][1] < lately:
        return
    latest = possible[-1:]
    certain = in_both(_days_at_risk(pair, maoi.certain, other.certain), latest)
    answer = Answer.MET if certain else Answer.UNKNOWN
    doubt = "" if answer is Answer.MET else "perhaps "
    names = pair.maoi.ingredient, pair.other.ingredient
    both = in_both(in_both(maoi.possible, other.possible), latest)
    if both:
        text = f"{names[0]} (an MAOI) {doubt}together with {names[1]}, {_in_words(both, on)}"
    else:
        text = f"{names[0]} (an MAOI) and {names[1]} {doubt}too close, {_in_words(latest, on)}"
    evidence = tuple(dict.fromkeys((*maoi.evidence, *other.evidence)))
    yield MaoiRisk(
        maoi=names[0],
        other=names[1],
        finding=Finding(f"MAOI together with {names[1]}", answer, f"{text}; {pair.reason}", evidence),
        goes_on=latest[0][1] == on,
        together_today=_taken_on(on, maoi, other),
        sources=tuple(dict.fromkeys(row.source for row in pair.precautions)),
    )


def _taken_on(day: date, *uses: _Use) -> Answer:
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
