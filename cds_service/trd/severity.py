"""How severe the current depression is, in the words of staging: by the newest score, else by the diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.trd.answers import Answer, all_of
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    History,
    Scale,
    Score,
    Topic,
)
from cds_service.trd.unread import unread_about

LEVELS = ("subsyndromal", "mild", "moderate", "severe without psychosis", "severe with psychosis")
SUBSYNDROMAL, MILD, MODERATE, SEVERE, PSYCHOTIC = LEVELS
# Which level a band of a scale, or the severity of a diagnosis, is (project choice). Between two, both.
LEVELS_OF_WORDS = {
    "none": (SUBSYNDROMAL, SUBSYNDROMAL),
    "normal": (SUBSYNDROMAL, SUBSYNDROMAL),
    "minimal": (SUBSYNDROMAL, SUBSYNDROMAL),
    "mild": (MILD, MILD),
    "moderate": (MODERATE, MODERATE),
    "moderately severe": (MODERATE, SEVERE),
    "severe": (SEVERE, SEVERE),
    "very severe": (SEVERE, SEVERE),
}
ANY = (SUBSYNDROMAL, SEVERE)


@dataclass(frozen=True)
class Severity:
    """The lowest and the highest level of `LEVELS` that the record, or a part of it, allows."""

    lowest: str
    highest: str
    text: str
    evidence: tuple[str, ...]


def judge_severity(history: History, since: date, on: date) -> Severity:
    """By the newest score from `since` to `on` whose scale has bands, else by the current diagnosis.

    Psychotic features count where a current psychotic depression is recorded; with a severity below severe they
    may have passed, so both are possible. A score that could not be read and may be newer leaves all open.
    """
    told = _by_score(history, since, on) or _by_diagnosis(history, on)
    psychotic = [d for d in _current(history, on) if d.category == "psychotic_depression"]
    return _with_psychosis(told, psychotic, history)


def _by_score(history: History, since: date, on: date) -> Severity | None:
    scores = [s for s in history.scores if s.scale.bands and since <= s.day <= on]
    newest_day = max((score.day for score in scores), default=None)
    hidden = _hidden_scores(history, newest_day or since, on)
    newest = sorted((s for s in scores if s.day == newest_day), key=lambda s: (s.scale.rank, s.reference))
    if newest_day is None and not hidden:
        return None
    text = " and ".join(f"{s.scale.name} {s.value:g} ({_bands_in_words(s)}) on {s.day}" for s in newest)
    evidence = (*(score.reference for score in newest), *hidden)
    if hidden:
        more = "a score that could not be read may be newer"
        return Severity(*ANY, f"{text}; {more}" if text else more, evidence)
    names = [_band(score.value, bands) for score in newest for bands in _all_bands(score.scale)]
    lowest, highest = _span([LEVELS_OF_WORDS.get(name, ANY) for name in names])
    return Severity(lowest, highest, text, evidence)


Bands = tuple[tuple[float, str], ...]


def _all_bands(scale: Scale) -> list[Bands]:
    """Those of the table, and those of another author where authors differ."""
    return [bands for bands in (scale.bands, scale.other_bands) if bands]


def _band(total: float, bands: Bands) -> str:
    """The name of the first band that reaches up to the total; a total above all of them is in none."""
    return next((name for top, name in bands if total <= top), "no band").strip().lower()


def _bands_in_words(score: Score) -> str:
    """The band, with its author where another draws the bands of this scale otherwise."""
    scale, band = score.scale, _band(score.value, score.scale.bands)
    if not scale.other_bands:
        return band
    other = _band(score.value, scale.other_bands)
    return f"{band} by {scale.bands_author}, {other} by {scale.other_bands_author}"


def _hidden_scores(history: History, newest: date, on: date) -> tuple[str, ...]:
    """What could not be read and may hold a score as new as the newest."""
    one_by_one = [
        unread.reference
        for unread in history.unread_scores
        if _may_have_bands(unread.scale)
        and (unread.last_day is None or unread.last_day >= newest)
        and (unread.first_day is None or unread.first_day <= on)
    ]
    searches = [unread.reference for unread in unread_about(history, Topic.SCORES)]
    return tuple(dict.fromkeys((*one_by_one, *searches)))


def _may_have_bands(scale: Scale | None) -> bool:
    return scale is None or bool(scale.bands)


def _by_diagnosis(history: History, on: date) -> Severity:
    """By the newest current depression that tells its severity; those of one day may differ."""
    telling = [
        d
        for d in _current(history, on)
        if d.severity in LEVELS_OF_WORDS and all_of((d.holds, d.is_current)) is Answer.MET
    ]
    if not telling:
        return Severity(*ANY, "neither a score nor a diagnosis tells how severe it is", ())
    newest_day = max(_day(d) for d in telling)
    newest = [d for d in telling if _day(d) == newest_day]
    lowest, highest = _span([LEVELS_OF_WORDS[d.severity] for d in newest])
    day = f"recorded {newest_day}" if newest_day > date.min else "day not known"
    text = " and ".join(dict.fromkeys(f"{d.text}, {day}" for d in newest)) + "; no score tells more"
    return Severity(lowest, highest, text, tuple(dict.fromkeys(d.reference for d in newest)))


def _day(diagnosis: Diagnosis) -> date:
    return diagnosis.recorded or date.min


def _current(history: History, on: date) -> list[Diagnosis]:
    """Depressive disorders that may be current."""
    return [
        d
        for d in history.diagnoses
        if d.role is DiagnosisRole.DEPRESSION
        and all_of((d.holds, d.is_current)) is not Answer.NOT_MET
        and _day(d) <= on
    ]


def _span(spans: Sequence[tuple[str, str]]) -> tuple[str, str]:
    ends: Iterable[str] = [end for span in spans for end in span]
    by_level = sorted(ends, key=LEVELS.index)
    return by_level[0], by_level[-1]


def _with_psychosis(told: Severity, psychotic: Sequence[Diagnosis], history: History) -> Severity:
    """Severe becomes severe with psychosis where it is recorded; what is only suspected leaves both."""
    is_certain = any(all_of((d.holds, d.is_current)) is Answer.MET for d in psychotic)
    unread = unread_about(history, Topic.DIAGNOSIS) if told.highest == SEVERE else []
    lowest = PSYCHOTIC if is_certain and told.lowest == SEVERE else told.lowest
    highest = PSYCHOTIC if psychotic or unread else told.highest
    text = told.text
    if psychotic:
        text += "; psychotic features " + ("recorded" if is_certain else "suspected")
    elif unread:
        text += "; a diagnosis could not be read, and could be one with psychotic features"
    references = (*(d.reference for d in psychotic), *(u.reference for u in unread))
    return Severity(lowest, highest, text, tuple(dict.fromkeys((*told.evidence, *references))))
