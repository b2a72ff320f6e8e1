"""Beyond mood: function, cognition, quality of life and laboratory values, shown and never judged.

Nothing here is asked by any definition: a measurement changes neither a trial nor a verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import takewhile

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import JudgedTrial, Response
from cds_service.trd.outcomes import is_remission
from cds_service.trd.record import (
    Domain,
    History,
    Measurement,
    Score,
    UnreadScore,
)

ORDER_OF_DOMAINS = {domain: place for place, domain in enumerate(Domain)}


def latest_measurements(history: History, on: date) -> tuple[Measurement, ...]:
    """The newest value of each measurement up to `on`, by domain and name.

    Where values of one day differ and nothing tells which is later, all of them.
    """
    by_name: dict[tuple[Domain, str], list[Measurement]] = defaultdict(list)
    for measurement in history.measurements:
        if measurement.day <= on:
            by_name[measurement.domain, measurement.name].append(measurement)
    latest: list[Measurement] = []
    for name in sorted(by_name, key=lambda name: (ORDER_OF_DOMAINS[name[0]], name[1])):
        newest = max(measurement.day for measurement in by_name[name])
        of_that_day = [measurement for measurement in by_name[name] if measurement.day == newest]
        different = {
            (measurement.value, measurement.unit): measurement for measurement in reversed(of_that_day)
        }
        latest += sorted(different.values(), key=lambda m: (m.value, m.unit, m.reference))
    return tuple(latest)


def find_residual_impairment(
    history: History, trials: Sequence[JudgedTrial], on: date
) -> tuple[Finding, ...]:
    """Impairment that is left in someone whose mood has remitted.

    A person is in remission from the first of the newest scores that are all in the remission range, or, where
    a trial ended in remission, from its last score, unless a newer score says otherwise. A functional scale
    measured from that day on, above the total that its row gives as unimpaired, is residual impairment. It is
    unknown when a newer score could not be read, as it may be a relapse.
    """
    remission = _remission(history, trials, on)
    if not remission:
        return ()
    first, newest = remission[0], remission[-1]
    may_have_relapsed = any(_may_follow(unread, newest.day, on) for unread in history.unread_scores)
    findings = []
    for measured in latest_measurements(history, on):
        limit = measured.unimpaired_at_most
        if measured.domain is not Domain.FUNCTION or limit is None or measured.value <= limit:
            continue
        if measured.day < first.day:
            continue
        shown = [score for score in remission if score.day <= measured.day][-1]
        source = f" ({measured.source})" if measured.source else ""
        text = (
            f"{measured.name} {measured.value:g} on {measured.day}, above {limit:g}{source}, "
            f"although {shown.scale.name} {shown.value:g} on {shown.day} is remission"
        )
        answer = Answer.UNKNOWN if may_have_relapsed else Answer.MET
        if may_have_relapsed:
            text += "; a later score could not be read"
        findings.append(Finding("residual impairment", answer, text, (measured.reference, shown.reference)))
    return tuple(findings)


def _remission(history: History, trials: Sequence[JudgedTrial], on: date) -> list[Score]:
    """The scores of the remission that holds on the day, oldest first; empty when there is none."""
    by_day: dict[date, list[Score]] = defaultdict(list)
    of_trials = [
        judged.outcome.last
        for judged in trials
        if judged.outcome.response is Response.REMISSION and judged.outcome.last is not None
    ]
    for score in (*history.scores, *of_trials):
        if score.day <= on and score.scale.remission_at_most is not None:
            by_day[score.day].append(score)
    newest_first = sorted(by_day, reverse=True)
    days = list(takewhile(lambda day: all(is_remission(score) for score in by_day[day]), newest_first))
    return [min(by_day[day], key=lambda s: (s.scale.rank, s.reference)) for day in reversed(days)]


def _may_follow(unread: UnreadScore, day: date, on: date) -> bool:
    is_later = unread.last_day is None or unread.last_day > day
    is_known_by_now = unread.first_day is None or unread.first_day <= on
    of_remission = unread.scale is None or unread.scale.remission_at_most is not None
    return is_later and is_known_by_now and of_remission
