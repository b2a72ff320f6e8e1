"""What every definition says of one patient, side by side: a matrix for a terminal, and why some differ."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from cds_service.report import all_views
from cds_service.trd.agreement import needed
from cds_service.trd.answers import Answer
from cds_service.trd.model import Assessment, Judgement, OtherView
from cds_service.trd.parameters import Rule

WIDTH = 100
INDENT = "  "
COLUMNS = {"definition": 22, "verdict": 15, "counted": 29, "diagnosis": 11, "no exclusion": 14, "age": 7}
"""Widths in characters, the space between included; with the indent no more than `WIDTH`."""

_COUNTED = {Rule.FAILED_TRIALS: "trials", Rule.TREATMENTS: "treatments", Rule.SCORE: "points"}


def agreement_text(assessment: Assessment) -> str:
    """Definition x criterion x verdict, the chosen definition first; below it each difference in words.

    `counted` holds what the definition counts: failed trials, treatments, or points of a staging score.
    """
    definition = assessment.definition
    lines = [
        f"{assessment.patient} on {assessment.on}, chosen definition {definition.id} ({definition.title})",
        "",
        _row(tuple(COLUMNS)),
        *(line for view in all_views(assessment) for line in _rows(view.judgement)),
        "",
        agreement_in_words(assessment),
        *differences_in_words(assessment.other_views),
    ]
    return "\n".join(line for text in lines for line in _wrapped(text))


def agreement_in_words(assessment: Assessment) -> str:
    """How many of the other definitions say the same."""
    known = len(assessment.other_views)
    return (
        f"{assessment.agreeing} of {known} other {'definition agrees' if known == 1 else 'definitions agree'}"
    )


def differences_in_words(views: Sequence[OtherView]) -> list[str]:
    """One sentence for each definition that says something else."""
    return [view.difference for view in views if view.difference]


def _wrapped(text: str) -> list[str]:
    if text.startswith(INDENT) or not text:
        return [text]
    return textwrap.wrap(text, WIDTH, subsequent_indent=INDENT, break_on_hyphens=False)


def _rows(judgement: Judgement) -> list[str]:
    """The line of one definition; an id that is too long for its column has a line of its own."""
    answers = {reason.criterion: reason.answer for reason in judgement.reasons[1:]}
    criteria = [_answer(answers.get(name)) for name in list(COLUMNS)[3:]]
    id_, verdict = judgement.definition.id, judgement.verdict.value.upper().replace("-", " ")
    cells = (verdict, _counted(judgement), *criteria)
    if len(id_) < COLUMNS["definition"]:
        return [_row((id_, *cells))]
    return [f"{INDENT}{id_}", _row(("", *cells))]


def _row(cells: Sequence[str]) -> str:
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, COLUMNS.values(), strict=True))
    return (INDENT + "".join(padded)).rstrip()


def _answer(answer: Answer | None) -> str:
    return answer.value.replace("-", " ") if answer else ""


def _counted(judgement: Judgement) -> str:
    """`met: 2 of 2 trials`, `unknown: 1-3 of 2 trials`."""
    least, most = judgement.failed_at_least, judgement.failed_at_most
    asked, rule = needed(judgement.definition), judgement.definition.rule
    answer = judgement.reasons[0].answer if judgement.reasons else None
    if rule is Rule.TREATMENTS and answer is Answer.MET and least < asked:
        return "met: with an add-on"
    number = f"{least}" if least == most else f"{least}-{most}"
    return f"{_answer(answer)}: {number} of {asked:g} {_COUNTED[rule]}"
