"""What stands around the trials on a card: what to check first, other definitions, staging, context, options.

Each function gives one short paragraph or list as Markdown, empty when there is nothing to say. All that came from
a record, a definition or a table is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from cards.markdown import bullets, escaped, plain_number, sentence
from cards.words import load_words
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import (
    ON_RECORD,
    Assessment,
    JudgedTrial,
    NextStep,
    OtherView,
    Staging,
)
from cds_service.trd.parameters import Rule, StagingRule
from cds_service.trd.record import Measurement

CHECKS_SHOWN = 4
COMPANIONS_SHOWN = 6
DIFFERENCES_SHOWN = 1
IDS_SHOWN = 6
STAGINGS_SHOWN = 4
MEASUREMENTS_SHOWN = 4
CAUTIONS_SHOWN = 6
REFERENCES_SHOWN = 2

_INDICATION = "indication"
_RULES_OUT = "contraindication"
_CEILING = "ceiling"


def check_first(findings: Sequence[Finding]) -> str:
    """`Check first: hypothyroidism (Condition/3); …`"""
    return _line("**Check first:**", [with_references(finding) for finding in findings], CHECKS_SHOWN)


def residual_impairment(findings: Sequence[Finding]) -> str:
    return _line("**Residual impairment:**", [with_references(finding) for finding in findings], CHECKS_SHOWN)


def beside(trials: Iterable[JudgedTrial]) -> str:
    """What went on beside each trial, one line a companion."""
    lines = []
    for judged in trials:
        for companion in judged.companions:
            name = escaped(judged.trial.name or "unnamed drug", 60)
            days = f"{companion.overlap_days} days in common"
            if companion.first_day and companion.last_day:
                days = f"{companion.first_day} to {companion.last_day}, {days}"
            what = f"{escaped(companion.name, 60)} ({companion.kind.value}), {days}"
            why = f": {escaped(companion.adequate.text, 160)}" if companion.adequate.text else ""
            lines.append(sentence(f"Beside {name}: {what}; {_COUNTS[companion.adequate.answer]}{why}"))
    return bullets(_some(lines, COMPANIONS_SHOWN))


_COUNTS = {Answer.MET: "enough to count", Answer.NOT_MET: "not enough to count", Answer.UNKNOWN: "not known"}


def agreement(assessment: Assessment) -> str:
    """How many other definitions say the same, and why the first of the others do not, in one line."""
    views = assessment.other_views
    if not views:
        return ""
    if assessment.agreeing == len(views):
        return (
            f"All {len(views)} other definitions agree." if len(views) > 1 else "The other definition agrees."
        )
    others = [view for view in views if view.judgement.verdict is not assessment.verdict]
    # Those that say why come first, and of these the ones that judge trials as well; else the table's order.
    others.sort(
        key=lambda view: (not view.difference, view.judgement.definition.rule is not Rule.FAILED_TRIALS)
    )
    told = [_difference(view) for view in others[:DIFFERENCES_SHOWN]]
    rest = [escaped(view.definition_id, 60) for view in others[DIFFERENCES_SHOWN:]]
    if rest:
        more = f" and {len(rest) - IDS_SHOWN} more" if len(rest) > IDS_SHOWN else ""
        told.append(
            f"{len(rest)} more differ{'s' if len(rest) == 1 else ''}: {', '.join(rest[:IDS_SHOWN])}{more}"
        )
    return sentence(f"{assessment.agreeing} of {len(views)} other definitions agree; {'; '.join(told)}")


def _difference(view: OtherView) -> str:
    name, why = view.definition_id, view.difference or view.judgement.verdict.value
    # A reason that names its definition stands for itself.
    return (
        escaped(why, 160) if f"under {name}:" in why else f"{escaped(name, 60)} differs: {escaped(why, 160)}"
    )


def staging(assessment: Assessment) -> str:
    """`Staging: Maudsley 7 to 8 of 15 (moderate); Thase-Rush stage II.`"""
    judged_by = (assessment.definition, *(view.judgement.definition for view in assessment.other_views))
    rules = {rule.method: rule for definition in judged_by if (rule := definition.staging)}
    stages = [_stage(found, rules.get(found.method)) for found in assessment.staging]
    return _line("**Staging:**", stages, STAGINGS_SHOWN)


def _stage(found: Staging, rule: StagingRule | None) -> str:
    """The points with the name of their band; a stage, which is a name already, without its number."""
    names = " to ".join(escaped(text, 100) for text in found.names)
    title = escaped(found.title or found.method, 60)
    if names.lower().startswith("stage"):
        return f"{title} {names}"
    points = " to ".join(dict.fromkeys(plain_number(value) for value in (found.low, found.high)))
    highest = max((to for _, to, _ in rule.bands), default=math.inf) if rule else math.inf
    if math.isfinite(highest):
        points += f" of {plain_number(highest)}"
    return f"{title} {points} ({names})" if names else f"{title} {points}"


def context(measurements: Sequence[Measurement]) -> str:
    """The newest values in one line: `Context: WSAS 22 (2026-06-01); …`"""
    newest_first = sorted(measurements, key=lambda measurement: measurement.day, reverse=True)
    return _line("**Context:**", [_value(value) for value in newest_first[:MEASUREMENTS_SHOWN]], 4)


def _value(measurement: Measurement) -> str:
    unit = f" {escaped(measurement.unit, 20)}" if measurement.unit not in ("", "{score}", "1") else ""
    return f"{escaped(measurement.name, 60)} {plain_number(measurement.value)}{unit} ({measurement.day})"


# --- options ------------------------------------------------------------------------------------------


def is_pointed_to(step: NextStep) -> bool:
    """Whether a card may name it as an option: it is not for research only, and nothing rules it out."""
    return step.is_shown and not step.is_contraindicated


def options(steps: Sequence[NextStep]) -> str:
    """The options of the stage by their level, then what speaks against them, or for one at once."""
    shown = [step for step in steps if step.is_shown]
    if not shown:
        return ""
    lines = [*_not_pointed_to(shown), *_by_level(shown), *_some(_cautions(shown), CAUTIONS_SHOWN)]
    return f"{load_words().options_title}\n\n{bullets(lines)}"


def _by_level(steps: Sequence[NextStep]) -> list[str]:
    lines = []
    for level, words in load_words().levels.items():
        labels = [_label(step) for step in steps if step.level == level and is_pointed_to(step)]
        if labels:
            lines.append(sentence(f"{words}: {'; '.join(labels)}"))
    return lines


def _label(step: NextStep) -> str:
    """`ECT (already on record: 2 sessions 2025-03-01 to 2025-03-08 (Procedure/1, Procedure/2))`"""
    told = [
        f" ({'already' if finding.answer is Answer.MET else 'perhaps'} on record: {with_references(finding)})"
        for finding in step.cautions
        if finding.criterion == ON_RECORD
    ]
    return escaped(step.label, 120) + "".join(told)


def _not_pointed_to(steps: Sequence[NextStep]) -> list[str]:
    """Each option that is ruled out, with what rules it out."""
    return [
        sentence(f"**Not pointed to:** {_label(step)}: {'; '.join(_ruling_out(step))}")
        for step in steps
        if step.is_contraindicated
    ]


def _ruling_out(step: NextStep) -> list[str]:
    certain = [c for c in step.cautions if c.answer is Answer.MET and c.criterion != ON_RECORD]
    ruling = [caution for caution in certain if caution.criterion in (_RULES_OUT, _CEILING)]
    return [with_references(caution) for caution in ruling or certain]


def _cautions(steps: Sequence[NextStep]) -> list[str]:
    """One line a caution, with all the options it concerns; what speaks for an option comes first."""
    concerned: dict[Finding, list[str]] = {}
    for step in steps:
        for caution in step.cautions:
            if is_pointed_to(step) and caution.criterion != ON_RECORD:
                concerned.setdefault(caution, []).append(escaped(step.label, 120))
    urgent_first = sorted(concerned.items(), key=lambda item: item[0].criterion != _INDICATION)
    return [
        sentence(f"{_word_for(caution)} {', '.join(labels)}: {with_references(caution)}")
        for caution, labels in urgent_first
    ]


def _word_for(caution: Finding) -> str:
    if caution.criterion == _INDICATION:
        return "**Urgent indication,**" if caution.answer is Answer.MET else "**Possible urgent indication,**"
    return "Caution," if caution.answer is Answer.MET else "Possible caution,"


# --- lines --------------------------------------------------------------------------------------------


def _line(title: str, items: Sequence[str], limit: int) -> str:
    return sentence(f"{title} {'; '.join(_some(items, limit))}") if items else ""


def _some(items: Sequence[str], limit: int) -> list[str]:
    """As many as fit, and how many more there are."""
    more = [f"and {len(items) - limit} more"] if len(items) > limit else []
    return [*items[:limit], *more]


def with_references(finding: Finding) -> str:
    """What was found, with the records that it rests on."""
    references = [escaped(reference, 80) for reference in finding.evidence if reference]
    text = escaped(finding.text, 240)
    return f"{text} ({', '.join(_some(references, REFERENCES_SHOWN))})" if references else text
