"""What the record shows that speaks against an option, asks for care with it, or for it at once.

A precaution is a row of a table; what it looks for in the record are its signs. Only what is there is told:
that nothing is told of an illness never says that it is absent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property

from cds_service.trd.answers import Answer, Finding, any_of
from cds_service.trd.days import shifted
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    Drug,
    History,
    Measurement,
    plain_unit,
)

MAOI_MECHANISM = "maoi"
IRREVERSIBLE_MAOIS = ("MAOI", "MAOI (transdermal)")
"""The classes that a washout is about; moclobemide is reversible and none of them."""

_ALLERGY = "AllergyIntolerance"


class Effect(Enum):
    """What follows from a precaution that the record shows."""

    CONTRAINDICATION = "contraindication"  # not pointed to, if shown for certain
    CAUTION = "caution"
    INDICATION = "indication"  # speaks for the option, and at once
    CEILING = "ceiling"  # the highest dose that is allowed, so it counts as adequate
    WASHOUT = "washout"  # days between a drug and a monoamine oxidase inhibitor (MAOI)
    WASHOUT_OF_ANY = (
        "washout of any"  # days between this MAOI and any antidepressant; only for pairs on record
    )
    DUPLICATE = "duplicate"  # two drugs that should not both go on; asked of the order itself


class SignKind(Enum):
    """Where in the record to look; the words before `=` in the column `shows`."""

    CATEGORY = "category"  # a diagnosis of this category
    TEXT = "text"  # a diagnosis whose name holds these words
    REACTION = "reaction"  # an allergy or adverse event with this agent
    PROCEDURE = "procedure"  # a procedure of this kind
    ABOVE = "above"  # the newest measurement of this code, above the limit
    BELOW = "below"
    AGE_FROM = "age_from"  # whole years reached
    AGE_OVER = "age_over"  # older than that, from the day after the birthday on
    MECHANISM = "mechanism"  # a drug of this mechanism that is being taken
    RUNNING = "running"  # a drug that is being taken, by agent or class
    SUICIDALITY = "suicidality"  # recorded within the acute window


@dataclass(frozen=True)
class Sign:
    """One thing to look for. `limit` and `unit` belong to figures. A hint never answers `MET`."""

    kind: SignKind
    value: str
    limit: float = 0.0
    unit: str = ""
    is_hint: bool = False


@dataclass(frozen=True)
class Precaution:
    """One row of `tables/precautions.csv` that a record can show.

    It is about `options` (names of treatment options) or about `agents` (agents, or `class:` and a drug class).
    `subject` names these in words, `condition` what must hold, `effect_text` what to do then. The washout is so
    many days after an MAOI before the drug, and after the drug before an MAOI; None where the source tells none.
    """

    subject: str
    effect: Effect
    condition: str
    effect_text: str
    source: str
    options: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    signs: tuple[Sign, ...] = ()
    days_after_maoi: int | None = None
    days_before_maoi: int | None = None
    ceiling_mg: float | None = None

    def is_about(self, drug: Drug) -> bool:
        """Whether the drug is one of its agents, or of one of its classes."""
        return _is_one_of(drug, self.agents)

    def is_with(self, drug: Drug) -> bool:
        """Whether the drug is one that it looks for among those being taken."""
        return any(
            sign.kind is SignKind.RUNNING and not sign.is_hint and _is_one_of(drug, (sign.value,))
            for sign in self.signs
        )


@dataclass(frozen=True)
class Shown:
    """A precaution that the record shows, as a finding: `MET` for certain, `UNKNOWN` for a hint."""

    precaution: Precaution
    finding: Finding


@dataclass(frozen=True)
class Taken:
    """A drug that the record says was taken up to `last_day`, no later than today.

    `is_sure` is False when it may have ended before. `highest_mg` is the most that is certain on the last day.
    """

    drug: Drug
    last_day: date
    is_sure: bool
    reference: str
    highest_mg: float | None


@dataclass(frozen=True)
class Record:
    """What the signs are looked for in: the history up to `on`, and whether suicidality was recorded lately."""

    history: History
    on: date
    suicidality: Finding | None = None

    @cached_property
    def taken(self) -> tuple[Taken, ...]:
        """Each agent that was ever taken, at its latest day."""
        latest: dict[str, Taken] = {}
        for taken in self._all_taken():
            known = latest.get(taken.drug.agent)
            if known is None or (taken.last_day, taken.is_sure) > (known.last_day, known.is_sure):
                latest[taken.drug.agent] = taken
        return tuple(latest.values())

    @cached_property
    def running(self) -> tuple[Taken, ...]:
        """What is being taken today, or may be."""
        return tuple(taken for taken in self.taken if taken.last_day == self.on)

    @cached_property
    def maois(self) -> tuple[Taken, ...]:
        """The irreversible MAOIs that were ever taken."""
        return tuple(taken for taken in self.taken if taken.drug.drug_class in IRREVERSIBLE_MAOIS)

    @cached_property
    def by_category(self) -> dict[str, list[Diagnosis]]:
        """The diagnoses of each category."""
        diagnoses: dict[str, list[Diagnosis]] = defaultdict(list)
        for diagnosis in self.history.diagnoses:
            diagnoses[diagnosis.category].append(diagnosis)
        return diagnoses

    def _all_taken(self) -> Iterator[Taken]:
        for order in self.history.prescriptions:
            if order.drug is None or order.is_denial:
                continue
            for segment in order.segments:
                if segment.first_day <= self.on:
                    day = min(segment.last_day, self.on)
                    yield Taken(order.drug, day, segment.days_certain, order.reference, segment.low_mg)


def find_shown(precautions: Iterable[Precaution], record: Record) -> tuple[Shown, ...]:
    """The precautions that the record shows, in the order of the table."""
    return tuple(
        Shown(precaution, finding) for precaution in precautions for finding in _findings(precaution, record)
    )


def _findings(precaution: Precaution, record: Record) -> Iterator[Finding]:
    if precaution.effect in (Effect.WASHOUT_OF_ANY, Effect.DUPLICATE):
        return
    if precaution.effect is Effect.WASHOUT:
        yield from _washouts(precaution, record)
        return
    seen = [finding for sign in precaution.signs for finding in _LOOK[sign.kind](sign, record)]
    if seen:
        texts = ", ".join(dict.fromkeys(finding.text for finding in seen))
        if any(finding.criterion in _WITH_A_LIMIT for finding in seen):
            # A figure or an age says little without what it is held against.
            texts = f"{precaution.condition}: {texts}"
        evidence = tuple(dict.fromkeys(reference for finding in seen for reference in finding.evidence))
        yield Finding(
            precaution.effect.value,
            any_of(finding.answer for finding in seen),
            f"{texts}; {precaution.effect_text}",
            evidence,
        )


# --- where to look ------------------------------------------------------------------------------------


def _by_category(sign: Sign, record: Record) -> Iterator[Finding]:
    if sign.value in record.by_category:
        yield from _diagnosed(sign, record.by_category[sign.value])


def _by_text(sign: Sign, record: Record) -> Iterator[Finding]:
    words = sign.value
    yield from _diagnosed(sign, (d for d in record.history.diagnoses if words in d.text.lower()))


def _diagnosed(sign: Sign, diagnoses: Iterable[Diagnosis]) -> Iterator[Finding]:
    """An illness that is over counts too: what a label asks for is often the history."""
    for diagnosis in diagnoses:
        if diagnosis.holds is not Answer.NOT_MET:
            over = ", recorded as over" if diagnosis.is_current is Answer.NOT_MET else ""
            how = "is on record" if diagnosis.holds is Answer.MET else "may be on record"
            if diagnosis.role is DiagnosisRole.PRECAUTION:
                how = "is mentioned"
            yield _seen(sign, diagnosis.holds, f"{diagnosis.text} {how}{over}", diagnosis.reference)


def _by_reaction(sign: Sign, record: Record) -> Iterator[Finding]:
    """Only an AllergyIntolerance tells of hypersensitivity; an AdverseEvent may be of any kind."""
    for reaction in record.history.reactions:
        if reaction.agent == sign.value and reaction.holds is not Answer.NOT_MET:
            is_allergy = reaction.reference.startswith(f"{_ALLERGY}/")
            answer = reaction.holds if is_allergy else Answer.UNKNOWN
            yield _seen(sign, answer, f"a reaction to {reaction.agent} is on record", reaction.reference)


def _by_procedure(sign: Sign, record: Record) -> Iterator[Finding]:
    for procedure in record.history.procedures:
        if procedure.kind.value == sign.value and procedure.holds is not Answer.NOT_MET:
            yield _seen(sign, procedure.holds, f"{procedure.text} is on record", procedure.reference)


def _by_figure(sign: Sign, record: Record) -> Iterator[Finding]:
    """The newest value decides; of several on that day any that is beyond the limit."""
    values = [m for m in record.history.measurements if m.code == sign.value and m.day <= record.on]
    newest = max((measurement.day for measurement in values), default=None)
    for measurement in values:
        if measurement.day == newest:
            yield from _compared(sign, measurement)


def _compared(sign: Sign, measurement: Measurement) -> Iterator[Finding]:
    text = f"{measurement.name} {measurement.value:g} {measurement.unit} on {measurement.day}"
    if plain_unit(sign.unit) != measurement.plain_unit:
        text += f", which cannot be compared with {sign.unit}"
        yield _seen(sign, Answer.UNKNOWN, text, measurement.reference)
        return
    is_above = measurement.value > sign.limit
    is_below = measurement.value < sign.limit
    if is_above if sign.kind is SignKind.ABOVE else is_below:
        yield _seen(sign, Answer.MET, text, measurement.reference)


def _by_age(sign: Sign, record: Record) -> Iterator[Finding]:
    history, years = record.history, int(sign.limit)
    if history.born_earliest is None or history.born_latest is None:
        return
    certain = _is_aged(history.born_latest, years, sign.kind, record.on)
    possible = _is_aged(history.born_earliest, years, sign.kind, record.on)
    if certain or possible:
        text = f"born {_born(history.born_earliest, history.born_latest)}"
        yield _seen(sign, Answer.MET if certain else Answer.UNKNOWN, text, history.patient)


def _is_aged(born: date, years: int, kind: SignKind, on: date) -> bool:
    """Whether the birthday has come (`AGE_FROM`), or has passed (`AGE_OVER`)."""
    today, birthday = (on.year, on.month, on.day), (born.year + years, born.month, born.day)
    return today >= birthday if kind is SignKind.AGE_FROM else today > birthday


def _born(earliest: date, latest: date) -> str:
    return f"{earliest}" if earliest == latest else f"between {earliest} and {latest}"


def _by_mechanism(sign: Sign, record: Record) -> Iterator[Finding]:
    yield from _being_taken(sign, (t for t in record.running if t.drug.mechanism == sign.value))


def _by_running(sign: Sign, record: Record) -> Iterator[Finding]:
    yield from _being_taken(sign, (t for t in record.running if _is_one_of(t.drug, (sign.value,))))


def _being_taken(sign: Sign, running: Iterable[Taken]) -> Iterator[Finding]:
    for taken in running:
        how = "is being taken" if taken.is_sure else "may be being taken"
        answer = Answer.MET if taken.is_sure else Answer.UNKNOWN
        yield _seen(sign, answer, f"{taken.drug.ingredient} {how}", taken.reference)


def _by_suicidality(sign: Sign, record: Record) -> Iterator[Finding]:
    found = record.suicidality
    if found is not None and found.answer is Answer.MET:
        yield Finding(sign.kind.value, _hinted(sign, Answer.MET), found.text, found.evidence)


def _seen(sign: Sign, answer: Answer, text: str, reference: str) -> Finding:
    return Finding(sign.kind.value, _hinted(sign, answer), text, (reference,))


def _hinted(sign: Sign, answer: Answer) -> Answer:
    return Answer.UNKNOWN if sign.is_hint else answer


_LOOK = {
    SignKind.CATEGORY: _by_category,
    SignKind.TEXT: _by_text,
    SignKind.REACTION: _by_reaction,
    SignKind.PROCEDURE: _by_procedure,
    SignKind.ABOVE: _by_figure,
    SignKind.BELOW: _by_figure,
    SignKind.AGE_FROM: _by_age,
    SignKind.AGE_OVER: _by_age,
    SignKind.MECHANISM: _by_mechanism,
    SignKind.RUNNING: _by_running,
    SignKind.SUICIDALITY: _by_suicidality,
}


def _is_one_of(drug: Drug, names: Sequence[str]) -> bool:
    return drug.agent in names or f"class:{drug.drug_class}" in names


_WITH_A_LIMIT = {
    kind.value for kind in (SignKind.ABOVE, SignKind.BELOW, SignKind.AGE_FROM, SignKind.AGE_OVER)
}


# --- washout ------------------------------------------------------------------------------------------


def _washouts(precaution: Precaution, record: Record) -> Iterator[Finding]:
    """Told only where an MAOI is on record: before one of these drugs, and after it before an MAOI again."""
    if not record.maois:
        return
    if precaution.days_after_maoi is not None:
        for maoi in record.maois:
            yield from _washout(maoi, precaution.days_after_maoi, maoi.drug.agent, record.on)
    if precaution.days_before_maoi is not None:
        for taken in record.taken:
            if precaution.is_about(taken.drug):
                yield from _washout(
                    taken, precaution.days_before_maoi, taken.drug.agent, record.on, "an MAOI "
                )


def _washout(taken: Taken, days: int, agent: str, on: date, before: str = "") -> Iterator[Finding]:
    free_from = shifted(taken.last_day, days + 1)
    if free_from > on:
        until = "up to today" if taken.last_day == on else f"until {taken.last_day}"
        taken_until = f"taken {until}" if taken.is_sure else f"perhaps taken {until}"
        text = f"{before}at the earliest {days} days after {agent} ({taken_until})"
        answer = Answer.MET if taken.is_sure else Answer.UNKNOWN
        yield Finding(Effect.WASHOUT.value, answer, text, (taken.reference,))
