"""Which trials belong to the current depressive episode and lie within the lookback, and when it began.

Full remission ends an episode. It is documented by a diagnosis of full remission, or by two scores in
the remission range at least `remission_confirmed_days` apart with none above it between them, on whichever
scales they were taken. Partial remission ends nothing, nor does what was over for a shorter time. A single
remission score that is the newest one leaves it open, and so do scales that contradict each other and a
score that could not be read where a low one would matter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.answers import Answer, Finding, all_of
from cds_service.trd.days import shifted
from cds_service.trd.model import EpisodeStart, Trial
from cds_service.trd.outcomes import is_remission
from cds_service.trd.parameters import Definition
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    History,
    Scale,
    Score,
    UnreadScore,
)


@dataclass(frozen=True)
class Remission:
    """A full remission. `day` is None when it is undated; `is_sure` is False when it needs confirming.

    `last_day` is the last on which it is documented, None when that is not known.
    """

    day: date | None
    is_sure: bool
    text: str
    evidence: tuple[str, ...]
    last_day: date | None = None


def find_remissions(history: History, definition: Definition) -> tuple[Remission, ...]:
    """All documented and possible full remissions."""
    remitted = [
        diagnosis
        for diagnosis in history.diagnoses
        if diagnosis.role is DiagnosisRole.FULL_REMISSION and diagnosis.holds is not Answer.NOT_MET
    ]
    relapses = sorted(s.day for s in history.scores if _is_above_remission(s)) if remitted else []
    from_diagnoses = [
        _remission_of(diagnosis, history.diagnoses, relapses, definition.remission_confirmed_days)
        for diagnosis in remitted
    ]
    return (*from_diagnoses, *_remissions_in(history, definition.remission_confirmed_days))


def judge_scope(trial: Trial, remissions: Sequence[Remission], definition: Definition, on: date) -> Finding:
    """Whether the trial ended within the lookback and, where the definition asks it, after the last full remission.

    A trial whose last day is exactly `lookback_days` before `on` is within. One that was running when
    remission came belongs to neither episode for certain: unknown.
    """
    first_day = trial.first_day or trial.possible_first_day or trial.exposure.first_day
    last_day = trial.last_day or trial.possible_last_day or trial.exposure.last_day
    earliest_day = min(first_day, trial.possible_first_day or first_day)
    latest_day = max(last_day, trial.possible_last_day or last_day)
    oldest = shifted(on, -definition.lookback_days)
    if latest_day < oldest:
        text = f"ended {latest_day}, more than {definition.lookback_days} days ago"
        return Finding("scope", Answer.NOT_MET, text)
    for answer in (Answer.NOT_MET, Answer.UNKNOWN):
        for remission in remissions if definition.is_current_episode_only else ():
            if _came_after(remission, earliest_day, latest_day) is answer:
                return Finding("scope", answer, _why(answer, remission), remission.evidence)
    if last_day < oldest:
        return Finding("scope", Answer.UNKNOWN, "its last day is not certain, so it may be too long ago")
    if not definition.is_current_episode_only:
        return Finding("scope", Answer.MET, f"within {definition.lookback_days} days, whichever the episode")
    return Finding("scope", Answer.MET, "in the current episode, as far as is recorded")


def find_episode_start(history: History, definition: Definition, on: date) -> EpisodeStart:
    """When the current depressive episode began, as far as is recorded on the day `on`.

    After the last full remission it began with the first sign of depression: a score above the remission
    range, or a depressive disorder that began or was recorded. Without a remission it began on the onset of the
    current disorder, or by the day that was recorded. A remission that needs confirming moves the latest day.
    """
    remissions = find_remissions(history, definition)
    ended = [r for r in remissions if r.is_sure and r.day is not None and r.day <= on]
    signs = _signs_of_depression(history, on)
    if ended:
        last = max(ended, key=lambda remission: remission.last_day or date.min)
        start = _start_after(last, history, signs)
    else:
        start = _start_without_remission(history, signs)
    return _unless_remitted_since(start, remissions, signs)


@dataclass(frozen=True)
class _Sign:
    """Something that tells of depression on a day; `is_onset` when it began on that very day."""

    day: date
    text: str
    reference: str
    is_onset: bool = False


def _signs_of_depression(history: History, on: date) -> list[_Sign]:
    """In order of their day: scores above the remission range, and depressive disorders that hold."""
    signs = [
        _Sign(score.day, _total(score), score.reference)
        for score in history.scores
        if _is_above_remission(score)
    ]
    for diagnosis in history.diagnoses:
        if diagnosis.role is DiagnosisRole.DEPRESSION and diagnosis.holds is Answer.MET:
            if diagnosis.onset:
                text = f"onset of {diagnosis.text} on {diagnosis.onset}"
                signs.append(_Sign(diagnosis.onset, text, diagnosis.reference, is_onset=True))
            elif diagnosis.recorded:
                text = f"{diagnosis.text} recorded on {diagnosis.recorded}"
                signs.append(_Sign(diagnosis.recorded, text, diagnosis.reference))
    return sorted((sign for sign in signs if sign.day <= on), key=lambda sign: (sign.day, sign.text))


def _start_after(remission: Remission, history: History, signs: Sequence[_Sign]) -> EpisodeStart:
    """After the last day on which it lasted for certain, and by the first sign of depression since.

    An onset that is stated for a later day than the first sign may be right as well.
    """
    over = remission.last_day or date.min
    since = [sign for sign in signs if sign.day > over]
    if not since:
        text = f"no new episode is recorded since {remission.text}"
        return EpisodeStart(shifted(over, 1), None, text, remission.evidence)
    first, onset = since[0], next((sign for sign in since if sign.is_onset), None)
    low = [s.day for s in history.scores if is_remission(s) and over < s.day < first.day]
    earliest = first.day if first.is_onset else shifted(max(low, default=over), 1)
    latest = onset if onset else first
    told = " and ".join(dict.fromkeys((first.text, latest.text)))
    evidence = dict.fromkeys((*remission.evidence, first.reference, latest.reference))
    return EpisodeStart(earliest, latest.day, f"{told}, after {remission.text}", tuple(evidence))


def _start_without_remission(history: History, signs: Sequence[_Sign]) -> EpisodeStart:
    """By the onset of the current disorder; by the day it was recorded; by scores since the last low one.

    Several onsets leave it open which of them is that of the episode, and so does a disorder that was
    recorded before.
    """
    current = {
        d.reference
        for d in history.diagnoses
        if d.role is DiagnosisRole.DEPRESSION and all_of((d.holds, d.is_current)) is Answer.MET
    }
    of_disorder = [sign for sign in signs if sign.reference in current]
    onsets = [sign for sign in of_disorder if sign.is_onset]
    if onsets:
        is_first = of_disorder[0].is_onset
        shown = onsets if is_first else [of_disorder[0], *onsets]
        told = " and ".join(dict.fromkeys(sign.text for sign in (shown[0], shown[-1])))
        evidence = tuple(dict.fromkeys(sign.reference for sign in shown))
        return EpisodeStart(onsets[0].day if is_first else None, onsets[-1].day, told, evidence)
    newest_low = max((s.day for s in history.scores if is_remission(s)), default=date.min)
    of_any_disorder = {d.reference for d in history.diagnoses}
    by_score = [sign for sign in signs if sign.reference not in of_any_disorder and sign.day > newest_low]
    first = next(iter(of_disorder or by_score), None)
    if first is None:
        return EpisodeStart(
            None, None, "neither a remission nor the onset of a depressive disorder is recorded"
        )
    return EpisodeStart(None, first.day, f"{first.text}; its onset is not recorded", (first.reference,))


def _unless_remitted_since(
    start: EpisodeStart, remissions: Sequence[Remission], signs: Sequence[_Sign]
) -> EpisodeStart:
    """A possible remission after the start: the episode may also have begun with the first sign after it."""
    began = start.latest or date.min
    later = [r for r in remissions if not r.is_sure and (r.last_day is None or r.last_day >= began)]
    if not later or start.latest is None:
        return start
    ends = [remission.last_day for remission in later]
    last = max(end for end in ends if end) if all(ends) else None
    sign = next((s for s in signs if last and s.day > last), None)
    text = f"{start.text}; but {later[-1].text}"
    evidence = tuple(dict.fromkeys([*start.evidence, *(ref for r in later for ref in r.evidence)]))
    return EpisodeStart(start.earliest, sign.day if sign else None, text, evidence)


def _total(score: Score) -> str:
    return f"{score.scale.name} {score.value:g} on {score.day}"


def _came_after(remission: Remission, earliest_day: date, latest_day: date) -> Answer:
    """Whether a trial within these days came after the remission; `NOT_MET` when the remission ended it."""
    if remission.day is None:
        return Answer.UNKNOWN
    if remission.day < earliest_day:
        return Answer.MET
    return Answer.NOT_MET if remission.is_sure and remission.day >= latest_day else Answer.UNKNOWN


def _why(answer: Answer, remission: Remission) -> str:
    if answer is Answer.NOT_MET:
        return f"belongs to an episode that ended: {remission.text}"
    return f"may belong to an episode that ended: {remission.text}"


def _remission_of(
    diagnosis: Diagnosis, all_diagnoses: Sequence[Diagnosis], relapses: Sequence[date], confirmed_days: int
) -> Remission:
    """A diagnosis of full remission says that it has lasted; an end of the disorder says it from that day only,
    and not for certain while another record has it going on, as that of a visit which is over.

    `relapses` are the days of scores above the remission range, in order.
    """
    day = diagnosis.recorded or diagnosis.ended
    when = f"on {day}" if day else "on an unknown day"
    text = f"{diagnosis.text} recorded {when}"
    is_sure = diagnosis.holds is Answer.MET
    if day is not None and day == diagnosis.ended:
        at = bisect_left(relapses, day)
        if at < len(relapses) and (relapses[at] - day).days < confirmed_days:
            text += f", with a score above the remission range on {relapses[at]}"
            is_sure = False
        going_on = next((other for other in all_diagnoses if _goes_on(other, day, confirmed_days)), None)
        if going_on is not None:
            text += f", while {going_on.text} is on record since {_since(going_on)}"
            is_sure = False
    return Remission(day, is_sure, text, (diagnosis.reference,), day)


def _goes_on(diagnosis: Diagnosis, day: date, confirmed_days: int) -> bool:
    """Whether a depressive disorder may be current that began before the day, or too soon after it."""
    since = _since(diagnosis)
    return (
        diagnosis.role is DiagnosisRole.DEPRESSION
        and all_of((diagnosis.holds, diagnosis.is_current)) is not Answer.NOT_MET
        and since is not None
        and (since - day).days < confirmed_days
    )


def _since(diagnosis: Diagnosis) -> date | None:
    return diagnosis.onset or diagnosis.recorded


def _remissions_in(history: History, confirmed_days: int) -> list[Remission]:
    """Those that scores show, and those that a score which could not be read may have shown."""
    series = [scores for scores in history.score_series if _has_remission_range(scores[0].scale)]
    unread = [u for u in history.unread_scores if u.scale is None or _has_remission_range(u.scale)]
    together = sorted((score for scores in series for score in scores), key=lambda s: (s.day, s.scale.rank))
    remissions = [
        remission
        for stretch in _stretches(together, unread)
        if (remission := _remission_in(stretch, confirmed_days))
    ]
    return remissions + (_contradicted(series, confirmed_days) if len(series) > 1 else [])


def _contradicted(series: Sequence[Sequence[Score]], confirmed_days: int) -> list[Remission]:
    """Remissions that one scale shows for certain while another is above its range."""
    found = []
    for scores in series:
        others = sorted(
            (s for of_other in series if of_other is not scores for s in of_other if _is_above_remission(s)),
            key=lambda score: score.day,
        )
        for low in (stretch.low for stretch in _stretches(scores, ())):
            if (low[-1].day - low[0].day).days < confirmed_days:
                continue
            at = bisect_left(others, low[0].day, key=lambda score: score.day)
            if at < len(others) and others[at].day <= low[-1].day:
                text = f"{_total(low[0])} and {_total(low[-1])} show full remission, {_total(others[at])} does not"
                evidence = tuple(score.reference for score in (low[0], low[-1], others[at]))
                found.append(Remission(low[0].day, False, text, evidence, low[-1].day))
    return found


def _is_above_remission(score: Score) -> bool:
    return _has_remission_range(score.scale) and not is_remission(score)


def _has_remission_range(scale: Scale) -> bool:
    return scale.remission_at_most is not None


@dataclass(frozen=True)
class _Stretch:
    """The time between two scores above the remission range: the low scores, and the unread ones, in it.

    It begins on the day `since`, with the first of them.
    """

    low: tuple[Score, ...]
    unread: tuple[UnreadScore, ...]
    is_last: bool
    since: date

    @property
    def firm(self) -> tuple[Score, ...]:
        """The low scores that no other scale contradicts on the same day."""
        return tuple(score for score in self.low if score.day > self.since)


def _stretches(scores: Sequence[Score], unread: Sequence[UnreadScore]) -> list[_Stretch]:
    """Those that hold anything. Usually none does, and a record may hold thousands of scores."""
    low = [score for score in scores if is_remission(score)]
    if not low and not unread:
        return []
    edges = [date.min, *(score.day for score in scores if not is_remission(score)), date.max]
    lows: dict[int, list[Score]] = defaultdict(list)
    hidden: dict[int, list[UnreadScore]] = defaultdict(list)
    for score in low:
        lows[_stretch_of(score.day, edges)].append(score)
    for one in _two_of_each_span(unread):
        for at in range(bisect_left(edges, _first(one)) - 1, _stretch_of(_last(one), edges) + 1):
            hidden[max(at, 0)].append(one)
    return [
        _Stretch(tuple(lows[at]), tuple(hidden[at]), is_last=at == len(edges) - 2, since=edges[at])
        for at in sorted({*lows, *hidden})
    ]


def _stretch_of(day: date, edges: Sequence[date]) -> int:
    return min(bisect_right(edges, day) - 1, len(edges) - 2)


def _two_of_each_span(unread: Sequence[UnreadScore]) -> list[UnreadScore]:
    """Two make a remission as well as a thousand do."""
    spans: dict[tuple[date, date], list[UnreadScore]] = defaultdict(list)
    for one in unread:
        spans[_first(one), _last(one)].append(one)
    return [one for of_one_span in spans.values() for one in of_one_span[:2]]


def _remission_in(stretch: _Stretch, confirmed_days: int) -> Remission | None:
    """Sure when low scores confirm each other and nothing unread may contradict; else perhaps."""
    firm, low, unread = stretch.firm, stretch.low, stretch.unread
    if firm and (firm[-1].day - firm[0].day).days >= confirmed_days:
        between = any(_first(u) < firm[-1].day and _last(u) > firm[0].day for u in unread)
        if not between:
            return _remission_by_scores(firm, (), is_sure=True)
    if len(low) + len(unread) < (1 if stretch.is_last else 2):
        return None
    first = min([*(s.day for s in low), *(_first(u) for u in unread)])
    last = max([*(s.day for s in low), *(_last(u) for u in unread)])
    if stretch.is_last or (last - first).days >= confirmed_days:
        return _remission_by_scores(low, unread, is_sure=False)
    return None


def _first(unread: UnreadScore) -> date:
    return unread.first_day or date.min


def _last(unread: UnreadScore) -> date:
    return unread.last_day or date.max


def _remission_by_scores(low: Sequence[Score], unread: Sequence[UnreadScore], *, is_sure: bool) -> Remission:
    """Its day is the first low score's, or the last on which an unread one may have been taken."""
    evidence = tuple(dict.fromkeys([*(s.reference for s in low), *(u.reference for u in unread)]))
    day = low[0].day if low else max(_last(u) for u in unread)
    totals = [_total(s) for s in (low[:1] if len(low) < 2 else (low[0], low[-1]))]
    if is_sure:
        return Remission(day, True, f"full remission, {' and '.join(totals)}", evidence, low[-1].day)
    totals += ["a score that could not be read"] if unread else []
    last_day = max([*(s.day for s in low), *(_last(u) for u in unread)])
    return Remission(day, False, f"{' and '.join(totals)} may show full remission", evidence, last_day)
