"""Random stories: what happened to one invented patient, before anyone charted it.

A story is certain: every dose, day and score is known. `random_story` draws one with its days and totals
near the limits of the reading rules (gaps, durations, score windows, percentages, lookback, age).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from tests.heldout.formulary import daily_doses, minimum_doses, story_drugs

ON = date(2026, 6, 30)


@dataclass(frozen=True)
class Order:
    """One dose of one drug from `first_day` to `last_day`, both included."""

    ingredient: str
    mg_per_day: float
    first_day: date
    last_day: date
    status: str = "completed"
    intent: str = "order"
    as_needed: bool = False
    purpose: str = ""  # depression, other, or nothing said
    stopped_for: str = ""  # inefficacy, intolerance, other, or nothing said


@dataclass(frozen=True)
class Score:
    scale: str
    day: date
    total: int


@dataclass(frozen=True)
class Diagnosis:
    """`kind` is depression, full remission, or a group of diagnoses that excludes."""

    kind: str
    day: date


@dataclass(frozen=True)
class Story:
    born: date
    orders: tuple[Order, ...]
    scores: tuple[Score, ...]
    diagnoses: tuple[Diagnosis, ...]
    on: date = ON


def random_story(random: Random) -> Story:
    """A story with 0 to 5 drugs, one after the other or overlapping."""
    orders: list[Order] = []
    day = date(2024, 1, 1)
    for ingredient in random.sample(story_drugs(), random.choice([2, 3, 3, 2, 1, 4, 5, 0])):
        course = _course(random, ingredient, day)
        orders += course
        day = course[-1].last_day + timedelta(days=random.choice([1, 1, 1, 5, 20, -13, -30]))
    orders = [_as_ordered(random, order) for order in _moved_to_an_edge(random, orders)]
    scale = random.choice(["PHQ-9", "PHQ-9", "PHQ-9", "PHQ-9", *REMISSION_SAFE])
    return Story(
        born=random.choice([date(1980, 5, 17), date(1951, 2, 3)] * 8 + [*BIRTHDAYS_AROUND_18]),
        orders=tuple(_with_reasons(random, orders)),
        scores=tuple(_scores(random, orders, scale)),
        diagnoses=tuple(_diagnoses(random, orders)),
    )


BIRTHDAYS_AROUND_18 = (date(2008, 6, 30), date(2008, 7, 1), date(2008, 6, 29))


# --- orders -------------------------------------------------------------------------------------------


def _course(random: Random, ingredient: str, first_day: date) -> list[Order]:
    """Titration, a main dose, perhaps a gap and the main dose again, perhaps a taper."""
    low, enough = _low_and_enough(ingredient)
    main = random.choice([enough[0], enough[0], random.choice(enough), (low or enough)[-1]])
    steps: list[tuple[float, int]] = []  # 0 mg is a gap
    if low and random.random() < 0.3:
        steps.append((random.choice(low), random.choice([7, 14])))
    steps.append((main, random.choice(DURATIONS)))
    if random.random() < 0.3:
        steps.append((random.choice([0.0, 0.0, *low[-1:]]), random.choice([13, 14, 15, 1, 40])))
        steps.append((random.choice([main, *enough]), random.choice(DURATIONS)))
    elif random.random() < 0.2:
        steps.append((random.choice(enough), random.choice(DURATIONS)))
    orders, day = [], first_day
    for mg_per_day, days in steps:
        last_day = day + timedelta(days=days - 1)
        if mg_per_day:
            orders.append(Order(ingredient, mg_per_day, day, last_day))
        day = last_day + timedelta(days=1)
    return orders


DURATIONS = (42, 84, 60, 100, 42, 56, 41, 43, 150, 27, 28, 29, 10, 70)


def _low_and_enough(ingredient: str) -> tuple[list[float], list[float]]:
    """The doses of a drug below and from the default minimum on (the strictest that a definition uses)."""
    minimum = minimum_doses(ingredient)["default"]
    doses = daily_doses(ingredient)
    return [mg for mg in doses if mg < minimum], [mg for mg in doses if mg >= minimum]


def _moved_to_an_edge(random: Random, orders: list[Order]) -> list[Order]:
    """All orders moved together so that one of them ends today, lately, or at the edge of the lookback."""
    if not orders:
        return []
    ends = ON - timedelta(days=random.choice([0, 10, 60, 1, 200, 100, 30, 729, 730, 731]))
    days = (ends - random.choice([orders[-1], orders[-1], random.choice(orders)]).last_day).days
    moved = [_shifted(order, days) for order in orders]
    return [order for order in moved if order.first_day <= ON]


def _shifted(order: Order, days: int) -> Order:
    by = timedelta(days=days)
    return replace(order, first_day=order.first_day + by, last_day=order.last_day + by)


def _as_ordered(random: Random, order: Order) -> Order:
    status = "active" if order.last_day >= ON else random.choice(["completed", "active", "stopped"])
    order = replace(order, status=status, purpose=random.choice(["", "", "", "depression"]))
    if random.random() < 0.93:
        return order
    return random.choice(
        [
            replace(order, as_needed=True),
            replace(order, purpose="other"),
            replace(order, status="entered-in-error"),
            replace(order, status="cancelled"),
            replace(order, status="draft"),
            replace(order, intent="proposal"),
            replace(order, intent="plan"),
        ]
    )


def _with_reasons(random: Random, orders: list[Order]) -> list[Order]:
    """Here and there why a drug was stopped, on the order that ended last of its drug."""
    last_day = {order.ingredient: order.last_day for order in orders}
    return [
        replace(order, status="stopped", stopped_for=reason)
        if order.last_day == last_day[order.ingredient]
        and order.last_day < ON
        and order.status in ("completed", "active", "stopped")
        and (reason := random.choice(["", "", "", "", "inefficacy", "intolerance", "other"]))
        else order
        for order in orders
    ]


# --- scores -------------------------------------------------------------------------------------------

# Totals that every source counts as remission, or none does: MADRS 11-12 and BDI-II 10-12 are disputed.
DISPUTED = {"MADRS": (11, 12), "BDI-II": (10, 11, 12)}
REMISSION_SAFE = ("HAM-D 17", "MADRS", "BDI-II", "QIDS-SR16")


def _scores(random: Random, orders: list[Order], scale: str) -> list[Score]:
    """A baseline and a last score around most orders, on or beside the edges of their windows."""
    days: dict[date, int] = {}
    if random.random() < 0.1:
        return []
    for order in orders:
        before = random.choice([-3, -60, -61, -30, 0, 7, 8, 6, -59])
        after = random.choice([0, 14, 15, 13, -3, -10])
        baseline = random.choice([20, 20, 16, 24, 12, 8])
        if random.random() < 0.9:
            days[order.first_day + timedelta(days=before)] = baseline
        if random.random() < 0.9:
            days[order.last_day + timedelta(days=after)] = _last_total(random, baseline)
        if random.random() < 0.2:
            days[order.first_day + timedelta(days=random.choice([26, 27, 28]))] = _last_total(
                random, baseline
            )
        if random.random() < 0.05:
            days[order.last_day + timedelta(days=random.choice([30, 90]))] = random.choice([2, 3, 4, 5])
    return [
        Score(scale, day, _undisputed(scale, total))
        if random.random() < 0.97
        else Score("MADRS", day, max(total, 14))  # now and then on another scale
        for day, total in sorted(days.items())
        if day <= ON
    ]


def _last_total(random: Random, baseline: int) -> int:
    """No change, worse, exactly 25 % or 50 % better, a point beside that, or remission."""
    quarter, half = baseline * 3 // 4, baseline // 2
    same = [baseline - 1, baseline, baseline + 2]
    return random.choice([*same, *same, half, half + 1, half + 1, quarter, quarter + 1, quarter + 1, 4])


def _undisputed(scale: str, total: int) -> int:
    return 14 if total in DISPUTED.get(scale, ()) else total


# --- diagnoses ----------------------------------------------------------------------------------------


def _diagnoses(random: Random, orders: list[Order]) -> list[Diagnosis]:
    diagnoses = [Diagnosis("depression", date(2023, 11, 1))] if random.random() < 0.95 else []
    if random.random() < 0.06:
        diagnoses.append(Diagnosis(random.choice(EXCLUDING), date(2025, 3, 3)))
    if orders and random.random() < 0.1:
        order = random.choice(orders)
        day = order.last_day + timedelta(days=random.choice([0, -1, 1, 20]))
        diagnoses.append(Diagnosis("full remission", min(day, ON)))
    return diagnoses


EXCLUDING = ("bipolar", "psychotic_disorder", "dementia")
