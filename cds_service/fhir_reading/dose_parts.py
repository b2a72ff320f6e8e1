"""The items of one step of a dosage text as parts: each amount with how often it is taken.

Amounts without times of their own are taken with the next; amounts that are only said again in other words
("50 mg daily (1 tablet)", "total daily dose 150 mg") must fit those that they follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cds_service.fhir_reading.dose_amounts import is_same, with_beside, with_concentration
from cds_service.fhir_reading.dose_items import (
    MOST_BARE_PIECES,
    Again,
    Amount,
    Beside,
    Concentration,
    Item,
    Mark,
    Moment,
    Part,
    Rate,
    SomeDays,
    Times,
    Total,
    UnclearError,
)
from cds_service.tables.dosing import UnitKind

LEAST_OF_DAYS = 1 / 4  # "daily" beside what is rarer still is no slip of the pen: "1 daily, weekly scripts"
_HowOften = list[Times | Moment | SomeDays | Mark]


@dataclass(frozen=True)
class _Group:
    """An amount with the words on how often that belong to it."""

    amount: Amount | None
    how_often: _HowOften


def parts_of(items: Sequence[Item]) -> tuple[Part, ...]:
    """The parts of a step; raises `UnclearError` when they can be put together in several ways."""
    groups = _groups([item for item in items if isinstance(item, Amount | Times | Moment | SomeDays | Mark)])
    groups = _without_nothing(groups)
    if Mark.ALTERNATE in items:
        groups = _alternating(groups)
    groups = _with_units(_on_other_days(groups))
    if (
        len({any(isinstance(i, SomeDays) for i in group.how_often) for group in groups if group.how_often})
        > 1
    ):
        raise UnclearError("whether an amount of some days comes on top of that of every day is not told")
    groups = _without_repetition(groups)
    if any(not _are_taken_both(one.how_often, next_.how_often) for one, next_ in pairwise(groups)):
        raise UnclearError("several amounts")
    if any(_are_at_one_time(one, other) for at, one in enumerate(groups) for other in groups[at + 2 :]):
        raise UnclearError("several amounts at one time of day")
    parts = _added_up(tuple(Part(group.amount, _rate(group.how_often)) for group in groups))
    return _with_late_amounts(parts, items)


def _without_nothing(groups: Sequence[_Group]) -> list[_Group]:
    """Without the times of day at which nothing is taken: "morning 1, lunch 0, bed 2"."""
    nothing = [group for group in groups if group.amount and group.amount.high <= 0]
    others = [group for group in groups if group not in nothing]
    are_told = all(any(isinstance(item, Moment) for item in group.how_often) for group in groups)
    if nothing and not (others and are_told):
        raise UnclearError("an amount of nothing")
    return others


def _without_repetition(groups: Sequence[_Group]) -> list[_Group]:
    """One of two groups that tell the same dose, the second in other words ("1 po qhs. Take 1 at bedtime")."""
    if len(groups) != 2 or _are_taken_both(groups[0].how_often, groups[1].how_often):
        return list(groups)
    one, other = groups
    rate, other_rate = _rate(one.how_often), _rate(other.how_often)
    if not one.amount or not other.amount or rate is None or rate != other_rate or Mark.OR in one.how_often:
        return list(groups)
    amount = with_beside(one.amount, Beside((other.amount,), True))
    return [replace(one, amount=amount)] if isinstance(amount, Amount) else list(groups)


def _groups(items: Sequence[Item]) -> list[_Group]:
    """Each amount with the times that belong to it: those behind it, or those in front of it."""
    if _times_come_first(items):
        return [_Group(group[-1].amount, group[0].how_often) for group in _paired(items)]
    groups = [_Group(None, [])]
    for item in items:
        if isinstance(item, Amount):
            has_times = any(isinstance(i, Moment | Times | SomeDays) for i in groups[-1].how_often)
            if groups[-1].amount is None and not has_times:
                groups[-1] = _Group(item, [])
            elif groups[-1].amount is None and len(groups) == 1:
                groups[-1] = _Group(item, groups[-1].how_often)
            else:
                groups.append(_Group(item, []))
        elif isinstance(item, Times | Moment | SomeDays | Mark):
            groups[-1].how_often.append(item)
    return [group for group in groups if group.amount or any(i is not Mark.AND for i in group.how_often)]


def _times_come_first(items: Sequence[Item]) -> bool:
    """ "Morning 1 tablet, night 2 tablets": the step begins with a time and ends with an amount, of several."""
    told = [item for item in items if not isinstance(item, Mark)]
    several = sum(isinstance(item, Amount) for item in told) > 1
    return several and isinstance(told[0], Moment | SomeDays) and isinstance(told[-1], Amount)


def _paired(items: Sequence[Item]) -> list[tuple[_Group, _Group]]:
    pairs: list[tuple[_Group, _Group]] = []
    how_often: _HowOften = []
    for item in items:
        if isinstance(item, Amount):
            pairs.append((_Group(None, how_often), _Group(item, [])))
            how_often = []
        elif isinstance(item, Times | Moment | SomeDays) or (item is Mark.AND and how_often):
            how_often.append(item)
    return pairs


def _with_units(groups: Sequence[_Group]) -> list[_Group]:
    """ "75 mg in the morning, 37.5 at night": a number that is too large for pieces has the unit before it."""
    masses = [group.amount for group in groups if group.amount and group.amount.kind is UnitKind.MASS]
    if not masses:
        return list(groups)
    return [
        replace(group, amount=replace(group.amount, kind=UnitKind.MASS, is_bare=False))
        if group.amount and group.amount.is_bare and group.amount.low > MOST_BARE_PIECES
        else group
        for group in groups
    ]


def _alternating(groups: Sequence[_Group]) -> list[_Group]:
    """ "20 mg alternating with 40 mg daily", "20 mg and 40 mg on alternate days": each on half of the days."""
    if len(groups) == 1 and any(
        isinstance(item, Times) and item.per_day == 0.5 for item in groups[0].how_often
    ):
        return list(groups)
    if any(Mark.OTHER_DAYS in group.how_often for group in groups):
        return [_Group(group.amount, [_in_turn(item) for item in group.how_often]) for group in groups]
    often = [i for group in groups for i in group.how_often if isinstance(i, Times | Moment | SomeDays)]
    is_daily = all(
        isinstance(i, Times) and i.per_day == i.per_day_high and i.per_day in (1, 0.5) for i in often
    )
    is_choice = any(Mark.OR in group.how_often for group in groups)
    if len(groups) != 2 or not all(group.amount for group in groups) or not is_daily or is_choice:
        raise UnclearError('"alternate"')
    halves = zip(groups, ("one", "next"), strict=True)
    return [_Group(group.amount, [SomeDays(frozenset({name}), 1 / 2)]) for group, name in halves]


def _in_turn(item: Times | Moment | SomeDays | Mark) -> Times | Moment | SomeDays | Mark:
    is_half = isinstance(item, Times) and item.per_day == item.per_day_high == 0.5
    return SomeDays(frozenset({"one"}), 1 / 2) if is_half else item


def _on_other_days(groups: Sequence[_Group]) -> list[_Group]:
    """ "other days" are those of the week that no other part names."""
    if not any(Mark.OTHER_DAYS in group.how_often for group in groups):
        return list(groups)
    named = [item for group in groups for item in group.how_often if isinstance(item, SomeDays)]
    share = 1 - sum(item.share for item in named)
    if not named or share <= 0 or not all(item.names for item in named):
        raise UnclearError('"other days"')
    other = SomeDays(frozenset({"other"}), share)
    return [
        _Group(group.amount, [other if item is Mark.OTHER_DAYS else item for item in group.how_often])
        for group in groups
    ]


def _are_taken_both(one: _HowOften, other: _HowOften) -> bool:
    """Whether two amounts are meant together: "and" between them, or other times of day, or other days."""
    if one and one[-1] in (Mark.AND, Mark.OR):
        return one[-1] is Mark.AND
    slots, others = (any(isinstance(i, Moment) for i in items) for items in (one, other))
    days, other_days = (
        frozenset(name for i in items if isinstance(i, SomeDays) for name in i.names)
        for items in (one, other)
    )
    is_apart = slots and others and not _share_a_moment(one, other)
    return is_apart or bool(days and other_days and not days & other_days)


def _are_at_one_time(one: _Group, other: _Group) -> bool:
    """ "1 in the morning and 1 at night. Take 2 every morning": what belongs together does not come apart."""
    are_of_days = any(isinstance(i, SomeDays) for i in (*one.how_often, *other.how_often))
    return (
        bool(one.amount and other.amount)
        and not are_of_days
        and _share_a_moment(one.how_often, other.how_often)
    )


def _share_a_moment(one: _HowOften, other: _HowOften) -> bool:
    """Whether both name one time of day; hours told by the clock are the same only as the same hour."""
    return any(
        a.slot == b.slot and (a.clock == b.clock or not (a.clock and b.clock))
        for a in one
        for b in other
        if isinstance(a, Moment) and isinstance(b, Moment)
    )


def _added_up(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """ "1 tablet and half a tablet daily": amounts without their own times are taken with the next."""
    if len(parts) < 2 or all(part.rate for part in parts):
        return parts
    *first, last = parts
    amounts = [part.amount for part in parts if part.amount]
    if any(part.rate for part in first) or len(amounts) < len(parts):
        raise UnclearError("several amounts")
    if last.rate and not last.rate.low >= 1:
        raise UnclearError("whether the amounts are taken together or in turn is not told")
    if len({(amount.kind, amount.mg_each, amount.mg_beside) for amount in amounts}) > 1:
        return tuple(Part(amount, last.rate) for amount in amounts)
    low, high = sum(amount.low for amount in amounts), sum(amount.high for amount in amounts)
    return (Part(replace(amounts[0], low=low, high=high, is_bare=False), last.rate),)


def _with_late_amounts(parts: tuple[Part, ...], items: Sequence[Item]) -> tuple[Part, ...]:
    """What stands behind the times: "50 mg daily (1 tablet)", "75 mg bid, total daily dose 150 mg"."""
    for item in items:
        if isinstance(item, Total):
            parts = _with_total(parts, item)
        elif isinstance(item, Again):
            parts = _said_again(parts, item)
        elif isinstance(item, Beside):
            parts = _with_late_beside(parts, item)
        elif isinstance(item, Concentration):
            parts = tuple(_with_concentration(part, item) for part in parts)
    return parts


def _with_total(parts: tuple[Part, ...], total: Total) -> tuple[Part, ...]:
    if not any(part.amount for part in parts):
        rates = [part.rate for part in parts if part.rate]
        if len(parts) > 1 or (total.is_daily and rates and rates != [Rate(1, 1)]):
            raise UnclearError("several totals, or a total of several times")
        rate = rates[0] if rates else Rate(1, 1) if total.is_daily else None
        return (Part(total.amount, rate),)
    mg = [
        part.amount.total_mg * part.rate.low if part.amount and part.rate and part.amount.total_mg else 0
        for part in parts
    ]
    if all(mg) and all(part.rate and part.rate.low == part.rate.high for part in parts):
        one = parts[0].amount.total_mg if len(parts) == 1 and parts[0].amount and not total.is_daily else None
        totals = (sum(mg), one)
        if total.amount.low == total.amount.high and any(
            is_same(mg, total.amount.low) for mg in totals if mg
        ):
            return parts
        raise UnclearError("a total that does not fit")
    if len(parts) > 1 or parts[0].rate is None or parts[0].rate.low != parts[0].rate.high:
        raise UnclearError("a total that does not fit")
    if not total.is_daily and parts[0].rate.low != 1:
        raise UnclearError("a total of one time or of a day")
    times = parts[0].rate.low
    each = replace(total.amount, low=total.amount.low / times, high=total.amount.high / times)
    return (_with(parts[0], Beside((each,), True)),)


def _said_again(parts: tuple[Part, ...], again: Again) -> tuple[Part, ...]:
    """ "300 mg daily (150 mg bid)": the more exact of the two, when they come to the same."""
    others = parts_of(again.items)
    if _per_day(parts) is None or _per_day(parts) != _per_day(others):
        raise UnclearError("amounts that do not fit each other")
    return others


def _per_day(parts: tuple[Part, ...]) -> tuple[UnitKind, float] | None:
    """mg a day, or pieces (mL, drops) where no mg are told; None when it cannot be told."""
    kinds = {part.amount.kind for part in parts if part.amount}
    if len(kinds) != 1 or not all(
        part.amount and part.rate and part.rate.low == part.rate.high for part in parts
    ):
        return None
    if any(part.amount.low != part.amount.high or part.amount.mg_each for part in parts if part.amount):
        return None
    amounts = sum(part.amount.low * part.rate.low for part in parts if part.amount and part.rate)
    return kinds.pop(), round(amounts, 4)


def _with_late_beside(parts: tuple[Part, ...], beside: Beside) -> tuple[Part, ...]:
    if beside.is_total and len(beside.amounts) == 1:
        return _with_total(parts, Total(beside.amounts[0], False))
    if len(parts) != 1 or parts[0].amount is None or parts[0].rate != Rate(1, 1):
        raise UnclearError("several amounts")
    return (_with(parts[0], beside),)


def _with(part: Part, beside: Beside) -> Part:
    assert part.amount
    amount = with_beside(part.amount, beside)
    if not isinstance(amount, Amount):
        raise UnclearError("amounts that do not fit each other")
    return replace(part, amount=amount)


def _with_concentration(part: Part, concentration: Concentration) -> Part:
    if part.amount is None or part.amount.kind is not UnitKind.VOLUME:
        return part
    amount = with_concentration(part.amount, concentration.mg)
    if not isinstance(amount, Amount):
        raise UnclearError("amounts that do not fit each other")
    return replace(part, amount=amount)


# --- how often ------------------------------------------------------------------------------------------


def _rate(items: _HowOften) -> Rate | None:
    """One rate from all that is said of how often; several that differ are unclear."""
    if Mark.DIVIDED in items:
        return _rate_of_divided(items)
    strong = {(t.per_day, t.per_day_high) for t in items if isinstance(t, Times) and not t.is_weak}
    if len(strong) > 1 or (Mark.OR in items and sum(isinstance(item, Times) for item in items) > 1):
        raise UnclearError("several frequencies")
    occasions = _occasions(items)
    low, high = strong.pop() if strong else (float(occasions or 1),) * 2
    is_daily = any(isinstance(t, Times) and t.is_weak for t in items)
    if is_daily and high < LEAST_OF_DAYS:
        raise UnclearError("whether it is taken daily or more rarely is not told")
    if (occasions > 1 and not low == high == occasions) or (occasions == 1 and low > 1):
        raise UnclearError("frequency and times of day differ")
    share = _share(items)
    if is_daily and share == 1 / 7:
        raise UnclearError("whether it is taken daily or on one day is not told")
    if share is not None:
        return Rate(share, share) if abs(low - share) < 1e-6 else _shared(low, high, share)
    if not any(isinstance(item, Times | Moment) for item in items):
        return None
    return Rate(low, high)


def _rate_of_divided(items: _HowOften) -> Rate:
    """ "300 mg daily in divided doses": the amount is that of a day, into however many doses it is divided."""
    if not any(isinstance(item, Times) and item.is_weak for item in items):
        raise UnclearError('"divided"')
    return Rate(1, 1)


def _shared(low: float, high: float, share: float) -> Rate:
    if low < 1:
        raise UnclearError("frequency and days of the week differ")
    return Rate(low * share, high * share)


def _share(items: _HowOften) -> float | None:
    """The share of all days that are named; None when none are."""
    days = [item for item in items if isinstance(item, SomeDays)]
    if not days:
        return None
    if len({item.share for item in days}) == 1 and len({item.names for item in days if item.names}) <= 1:
        return days[0].share
    names = [item.names for item in days]
    if not all(names) or len(frozenset().union(*names)) < sum(map(len, names)):
        raise UnclearError("days of the week that differ")
    return sum(item.share for item in days)


def _occasions(items: _HowOften) -> int:
    """Times of day named. Evening and bedtime without "and" between them are one ("in the evening at bedtime")."""
    moments = [item for item in items if isinstance(item, Moment)]
    distinct: list[Moment] = []
    for at, moment in enumerate(moments):
        before = moments[at - 1] if at else None
        if before and _is_one_occasion(before, moment, items):
            continue
        if moment not in distinct:
            distinct.append(moment)
    return len(distinct)


LATE = {"evening", "night"}


def _is_one_occasion(one: Moment, other: Moment, items: _HowOften) -> bool:
    between = items[items.index(one) + 1 : items.index(other)] if one != other else []
    if Mark.OR in between and Mark.AND in between:
        raise UnclearError('"and/or"')
    if Mark.OR in between:
        return True
    if Mark.AND in items and len([i for i in items if isinstance(i, Moment)]) > 2:
        return one == other
    is_named_twice = one.slot == other.slot and not (one.clock and other.clock)
    is_late = {one.slot, other.slot} == LATE and not (one.clock and other.clock)
    return (is_named_twice or is_late) and Mark.AND not in between
