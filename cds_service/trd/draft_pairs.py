"""A drafted drug beside another, on record or drafted too: an MAOI too close, or serotonergic drugs doubled.

Which drugs these are, and how many days must lie between, say rows of the precautions. The future is not known:
an order without an end may be stopped or go on, so what rests on that is open, and is put as a question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.days import shifted
from cds_service.trd.drafts import Draft, Told
from cds_service.trd.maoi import PAIRING_EFFECTS, Pair, pair_of, risk_of
from cds_service.trd.overlap import Stretch, days_in, in_both
from cds_service.trd.precautions import MAOI_MECHANISM, Effect, Precaution
from cds_service.trd.record import Drug
from cds_service.trd.uses import Use


def once_for_each(told: Iterable[Told]) -> tuple[Told, ...]:
    """One for each other drug: what is on record and drafted too is said once, the certain before the open."""
    best: dict[str, Told] = {}
    for each in told:
        known = best.get(each.values["other"])
        if known is None or (each.finding.answer, known.finding.answer) == (Answer.MET, Answer.UNKNOWN):
            best[each.values["other"]] = each
    return tuple(best.values())


def maoi_too_close(
    draft: Draft, others: Sequence[Use], precautions: Sequence[Precaution], on: date
) -> Iterator[Told]:
    """Each drug that the draft comes too close to, where one of the two is an MAOI; whatever either is for.

    Met where days of both are certain. The washout is over on the day after its last: `day` of the values.
    """
    rows = [row for row in precautions if row.effect in PAIRING_EFFECTS]
    pairs = {drug: pair_of(draft.drug, drug, rows) for drug in {other.drug for other in others}}
    for other in others:
        risk = risk_of(draft.use, other, rows) if pairs[other.drug] else None
        if risk is not None:
            answer = Answer.MET if risk.certain else Answer.UNKNOWN
            yield _too_close(draft, other, risk.pair, answer, on)


def _too_close(draft: Draft, other: Use, pair: Pair, answer: Answer, on: date) -> Told:
    wait = pair.wait_after(other.drug)
    before = next((s for s in reversed(other.possible) if _reaches(s, draft.first_day, wait)), None)
    if before is None:
        wait = pair.wait_after(draft.drug)
    allowed = _allowed(draft, other, before, wait, on)
    parts = [
        f"{_marked(draft.drug)} would begin on {draft.first_day}",
        _how_taken(other, before, draft.first_day, answer, on),
        pair.reason,
        *([allowed[1]] if allowed else ()),
    ]
    values = {
        "drug": draft.name,
        "other": other.drug.ingredient,
        "days": str(wait) if wait else "",
        "day": str(allowed[0]) if allowed else "",
        "reason": pair.reason,
        "until": _last_day((before or other.possible[-1])[1]),
    }
    criterion = f"MAOI: {draft.name} and {other.drug.ingredient}"
    return Told(Finding(criterion, answer, "; ".join(parts), other.evidence), values)


def _reaches(stretch: Stretch, day: date, wait: int) -> bool:
    """Whether the drug is taken on the day, or its washout is not over."""
    return stretch[0] <= day <= shifted(stretch[1], wait)


def _allowed(
    draft: Draft, other: Use, before: Stretch | None, wait: int, on: date
) -> tuple[date, str] | None:
    """The first day on which the draft may begin, and in words; None where nothing tells one.

    A use on record without a known end is taken to be stopped today.
    """
    if before is None or not wait:
        return None
    if before[1] != date.max:
        day = shifted(before[1], wait + 1)
        return day, f"{draft.name} not before {day}"
    if before[0] >= on:  # begun with the draft: which of the two is meant is not known
        return None
    day = shifted(on, wait + 1)
    return day, f"if {other.drug.ingredient} is stopped on {on}, {draft.name} not before {day}"


def _how_taken(other: Use, before: Stretch | None, begin: date, answer: Answer, on: date) -> str:
    name = _marked(other.drug)
    doubt = "perhaps " if answer is Answer.UNKNOWN else ""
    if before is None:
        first_day = min((first for first, _ in other.possible if first > begin), default=begin)
        return f"{name} is {doubt}to begin on {first_day}"
    if before[1] == date.max:
        how = "taken" if before[0] < on else "ordered"
        return f"{name} is {doubt}{how} from {before[0]} on, without a recorded end"
    return f"the last day of {name} is {doubt}{before[1]}"


def _last_day(day: date) -> str:
    return "" if day == date.max else str(day)


def _marked(drug: Drug) -> str:
    return f"{drug.ingredient} (an MAOI)" if drug.mechanism == MAOI_MECHANISM else drug.ingredient


# --- two serotonergic drugs ---------------------------------------------------------------------------


def doubled(
    draft: Draft, others: Sequence[Use], precautions: Sequence[Precaution], cross_taper_days: int
) -> Iterator[Told]:
    """Each drug that a row does not want beside the draft, unless the two as ordered are a cross-taper.

    A cross-taper is at most `cross_taper_days` together, at the end of one and the start of the other. Met where
    both are ordered for longer; unknown where an end is not recorded.
    """
    rows = [row for row in precautions if row.effect is Effect.DUPLICATE]
    drugs = {other.drug for other in others}
    found = {drug: next((row for row in rows if _doubles(row, draft.drug, drug)), None) for drug in drugs}
    for other in others:
        row = found[other.drug]
        answer = Answer.NOT_MET if row is None else _is_doubled(draft.use, other, cross_taper_days)
        if row is not None and answer is not Answer.NOT_MET:
            yield _duplicate(draft, other, row, answer, cross_taper_days)


def _doubles(row: Precaution, one: Drug, other: Drug) -> bool:
    if one.agent == other.agent:
        return False
    return (row.is_about(one) and row.is_with(other)) or (row.is_about(other) and row.is_with(one))


def _is_doubled(draft: Use, other: Use, most: int) -> Answer:
    together = in_both(draft.possible, other.possible)
    if not together:
        return Answer.NOT_MET
    if days_in(in_both(draft.certain, other.certain)) > most:
        return Answer.MET
    first, second = sorted((draft.possible[-1], other.possible[-1]))
    is_change = first[1] < second[1]
    return Answer.NOT_MET if is_change and days_in(together) <= most else Answer.UNKNOWN


def _duplicate(draft: Draft, other: Use, row: Precaution, answer: Answer, most: int) -> Told:
    """Words of a question: nobody but the prescriber knows whether the other is going to be stopped."""
    name, last_day = other.drug.ingredient, _last_day(other.possible[-1][1])
    until = f" until {last_day}" if last_day else ""
    days = days_in(in_both(draft.use.certain, other.certain)) if answer is Answer.MET else None
    how = f"{days} days with {name}, which is ordered{until}" if days else f"with {name}, ordered{until}"
    if not until:
        how += " without a recorded end"
    text = (
        f"{draft.name} from {draft.first_day} would be taken {how}"
        f" (a cross-taper is at most {most} days together): {row.effect_text}"
    )
    values = {
        "drug": draft.name,
        "other": name,
        "days": str(days or ""),
        "most": str(most),
        "day": str(draft.first_day),
        "until": last_day,
    }
    return Told(Finding(f"duplicate: {draft.name} and {name}", answer, text, other.evidence), values)
