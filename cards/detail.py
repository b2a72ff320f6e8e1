"""Assessment → the Markdown of a card: what was found, one row a trial, what is not known, by which rule.

All that came from a record or from a definition file is escaped here.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import lru_cache

from cards import around
from cards.markdown import ABSURD, bullets, escaped, plain_number, sentence, table
from cards.words import load_words
from cds_service.trd.answers import Answer
from cds_service.trd.model import (
    Assessment,
    JudgedTrial,
    Missing,
    Outcome,
    Trial,
    TrialKind,
)
from cds_service.trd.parameters import Definition
from cds_service.trd.record import Score, Unread

TRIALS_SHOWN = 12
MISSING_SHOWN = 8
UNREAD_SHOWN = 3
FILLED_SHOWN = 30
HASH_SHOWN = 12

_VERDICTS = {Answer.MET: "**failed**", Answer.NOT_MET: "does not count", Answer.UNKNOWN: "not known"}
_WITH_A_DOSE = (TrialKind.ANTIDEPRESSANT, TrialKind.AUGMENTATION)
_MOST_TELLING_FIRST = (Answer.MET, Answer.UNKNOWN, Answer.NOT_MET)
_RECALLED = "recalled, unverified"
_OF_SAFETY = "suicidality"
_SOURCES = {
    "dispenses": "what was dispensed",
    "statements": "what the patient is said to take",
    "administrations": "what was given on the ward",
    "procedures": "what procedures were done",
    "questionnaires": "what was answered in questionnaires",
    "adverseEvents": "what adverse events were recorded",
    "allergies": "what is recorded as not tolerated",
    "requests": "what is requested already",
}


def build_detail(
    assessment: Assessment, lead: tuple[str, ...], has_trials: bool, sources: tuple[str, ...] = ()
) -> str:
    """`lead` opens the text and is Markdown already; the rest follows from the assessment.

    `sources` are what the text rests on where that is not the definition.
    """
    parts = [*lead]
    if has_trials:
        parts += [
            around.check_first(assessment.check_first),
            _trials(assessment),
            around.residual_impairment(assessment.residual_impairment),
            around.agreement(assessment),
            around.staging(assessment),
            around.context(assessment.context),
            _not_known(assessment.missing),
            around.options(assessment.next_steps),
            _unread(assessment.unread),
            _not_looked_at(assessment.not_looked_at),
        ]
    parts.append(f"{_rests_on(assessment.definition, has_trials, sources)} Assessed on {assessment.on}.")
    return "\n\n".join(part for part in parts if part)


def build_order_detail(
    assessment: Assessment, lead: tuple[str, ...], *, names_definition: bool = True
) -> str:
    """The text of a card about an order: `lead`, then the trials of the assessment as they are judged.

    It is read while an order is being signed, so the definition is named only, and not at all where nothing of the
    card rests on it (not `names_definition`). What its parameters are is told when the chart is opened.
    """
    by = f"{_definition_name(assessment.definition)} " if names_definition else ""
    parts = [
        *lead,
        _trials(assessment) if assessment.trials else "",
        _unread(assessment.unread),
        _not_looked_at(assessment.not_looked_at),
        f"{by}Assessed on {assessment.on}.",
    ]
    return "\n\n".join(part for part in parts if part)


def mg_per_day(dose: float | None) -> str:
    """A dose as a prescriber writes it: 75 mg, 37.5 mg."""
    return "dose not known" if dose is None else f"{plain_number(dose)} mg"


def counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


# --- trials -------------------------------------------------------------------------------------------


def _trials(assessment: Assessment) -> str:
    if not assessment.trials:
        return "No antidepressant trial was found in the record."
    shown = _most_telling(assessment.trials)
    rows = [_row(judged, assessment) for judged in shown]
    header = ("Drug", "Dose a day", "Days at adequate dose", "Score", "Verdict")
    parts = [table(header, rows)]
    left_out = len(assessment.trials) - len(shown)
    if left_out:
        parts.append(f"And {counted(left_out, 'more trial')}, not shown.")
    parts += [around.beside(shown), _recalled_minimums(shown), _named_elsewhere(shown)]
    return "\n\n".join(part for part in parts if part)


def _most_telling(trials: tuple[JudgedTrial, ...]) -> list[JudgedTrial]:
    """As many trials as fit, failed ones before unknown before others, in the order they came."""
    by_weight = sorted(
        range(len(trials)), key=lambda place: _MOST_TELLING_FIRST.index(trials[place].failed.answer)
    )
    return [trials[place] for place in sorted(by_weight[:TRIALS_SHOWN])]


def _row(judged: JudgedTrial, assessment: Assessment) -> tuple[str, ...]:
    trial = judged.trial
    return (
        _name(trial),
        _dose(trial),
        _days(trial),
        _score_change(judged.outcome, assessment.definition.nonresponse_below_percent),
        _verdict(judged),
    )


def _name(trial: Trial) -> str:
    """The drug, and what was tried with it where that is more than an antidepressant alone."""
    name = escaped(trial.name or "unnamed drug", 60)
    is_plain = trial.kind is TrialKind.ANTIDEPRESSANT or trial.kind.value == trial.name
    return name if is_plain else f"{name} ({trial.kind.value})"


def _dose(trial: Trial) -> str:
    """Two drugs, sessions and talks have no dose of their own in mg."""
    if trial.kind not in _WITH_A_DOSE:
        return "–"
    minimum = "minimum not known" if trial.minimum_mg is None else f"min {plain_number(trial.minimum_mg)}"
    assumed = ", assumed" if trial.assumed else ""
    return f"{mg_per_day(trial.max_mg)}{assumed} ({minimum})"


def _days(trial: Trial) -> str:
    days = counted(trial.adequate_days, "day")
    if trial.first_day and trial.last_day:
        running = ", running" if trial.is_running else ""
        return f"{days}, {trial.first_day} to {trial.last_day}{running}"
    if trial.possible_first_day and trial.possible_last_day:
        return f"{days} certain, possibly {trial.possible_first_day} to {trial.possible_last_day}"
    return f"{days}, taken {trial.exposure.first_day} to {trial.exposure.last_day}"


def _score_change(outcome: Outcome, threshold_percent: float) -> str:
    shown = outcome.baseline or outcome.last
    if shown is None:
        return "no score"
    change = f"{_total(outcome.baseline)} → {_total(outcome.last)}"
    improvement = outcome.improvement_percent
    if improvement is not None and abs(improvement) < ABSURD:
        change += f" ({change_percent(improvement, threshold_percent)})"
    return f"{escaped(shown.scale.name, 40)} {change}"


def _total(score: Score | None) -> str:
    return "?" if score is None else plain_number(score.value)


def change_percent(improvement: float, threshold: float) -> str:
    """The change of the score in whole per cent, minus for better: an improvement of 10.5 is `−11 %`.

    An improvement just below the threshold keeps a decimal, so that 49.6 does not read as 50.
    """
    exact = Decimal(str(improvement))
    rounded = exact.quantize(Decimal(1), ROUND_HALF_UP)
    if improvement < threshold <= rounded:
        rounded = exact.quantize(Decimal("0.1"), ROUND_DOWN)
    sign = "−" if rounded > 0 else "+" if rounded < 0 else ""
    return f"{sign}{abs(rounded):f} %"


def _verdict(judged: JudgedTrial) -> str:
    verdict = _VERDICTS[judged.failed.answer]
    return f"{verdict}: {escaped(judged.failed.text)}" if judged.failed.text else verdict


def _recalled_minimums(trials: list[JudgedTrial]) -> str:
    drugs = {
        judged.trial.drug.ingredient
        for judged in trials
        if judged.trial.drug and _RECALLED in judged.trial.drug.minimum_source
    }
    if not drugs:
        return ""
    return f"Minimum dose {_RECALLED}: {', '.join(escaped(drug, 60) for drug in sorted(drugs))}."


def _named_elsewhere(trials: list[JudgedTrial]) -> str:
    """Which drugs are known only through a terminology service."""
    names: dict[str, str] = {}
    for trial in (judged.trial for judged in trials):
        for server in trial.exposure.named_by:
            names[escaped(trial.name or "unnamed drug", 60)] = escaped(server, 120)
    told = "; ".join(f"{name} by {server}" for name, server in sorted(names.items()))
    return f"Drug named by a terminology service: {told}." if told else ""


# --- what is not known --------------------------------------------------------------------------------


def _not_known(missing: tuple[Missing, ...]) -> str:
    if not missing:
        return ""
    items = [_missing_item(item) for item in missing[:MISSING_SHOWN]]
    if len(missing) > MISSING_SHOWN:
        items.append(f"and {len(missing) - MISSING_SHOWN} more")
    return "**Not known:**\n\n" + bullets(items)


def _missing_item(item: Missing) -> str:
    why = f" ({escaped(item.why)})" if item.why else ""
    return " ".join(filter(None, [sentence(escaped(item.what) + why), sentence(escaped(item.ask))]))


def _unread(unread: tuple[Unread, ...]) -> str:
    if not unread:
        return ""
    items = [f"{escaped(entry.reference, 80)}: {escaped(entry.problem)}" for entry in unread[:UNREAD_SHOWN]]
    if len(unread) > UNREAD_SHOWN:
        items.append(f"and {len(unread) - UNREAD_SHOWN} more")
    title = f"**{counted(len(unread), 'entry', 'entries')} could not be read:**"
    return f"{title}\n\n{bullets(items)}"


def _not_looked_at(sources: tuple[str, ...]) -> str:
    named = [_SOURCES.get(source, source) for source in sources]
    return sentence(f"Not looked at: {escaped(', '.join(named))}") if named else ""


# --- by which rule ------------------------------------------------------------------------------------


def _rests_on(definition: Definition, has_trials: bool, sources: tuple[str, ...]) -> str:
    if sources:
        return sentence(f"Source: {'; '.join(escaped(source, 160) for source in sources)}")
    return _definition(definition, "" if has_trials else _OF_SAFETY)


@lru_cache(maxsize=64)
def _definition(definition: Definition, about: str) -> str:
    """The definition and which parameters the project chose, of those whose name begins with `about`."""
    parts = [
        _definition_name(definition),
        _filled([filled for filled in definition.filled if filled[0].startswith(about)]),
        f"Parts of it are {_RECALLED}." if _is_recalled(definition) else "",
    ]
    return " ".join(part for part in parts if part)


def _definition_name(definition: Definition) -> str:
    name = f"Definition: {escaped(definition.id, 60)}, version {escaped(definition.version, 20)}"
    if definition.content_hash:
        name += f", content {escaped(definition.content_hash[:HASH_SHOWN], HASH_SHOWN)}"
    return sentence(f"{name}: {escaped(definition.title, 120)}")


def _is_recalled(definition: Definition) -> bool:
    told = " ".join((definition.source, definition.source_status, definition.notes))
    return _RECALLED in told or definition.source_status.startswith("recalled")


def _filled(filled: list[tuple[str, str]]) -> str:
    if not filled:
        return ""
    names = load_words().parameters
    shown = [
        f"{escaped(names.get(name, _spaced(name)), 60)}: {escaped(_said(value), 80)}"
        for name, value in filled[:FILLED_SHOWN]
    ]
    if len(filled) > FILLED_SHOWN:
        shown.append(f"and {len(filled) - FILLED_SHOWN} more")
    return sentence("Chosen by this project, as the source is silent: " + "; ".join(shown))


def _said(value: str) -> str:
    return {"true": "yes", "false": "no"}.get(value, _spaced(value))


def _spaced(name: str) -> str:
    return name.replace("_", " ")
