"""Assessments and fixture patients as plain text for a terminal or a pipe."""

from __future__ import annotations

import textwrap

from cds_service.agreement_text import agreement_in_words, differences_in_words
from cds_service.report import trial_sentence
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import (
    Assessment,
    NextStep,
    Staging,
    Verdict,
)
from cds_service.trd.record import Measurement, OpenRequest, Unread

VERDICTS = {
    Verdict.MET: "MET: adequate-trial criteria for treatment-resistant depression are met",
    Verdict.NOT_MET: "NOT MET: adequate-trial criteria are not met",
    Verdict.INDETERMINATE: "INDETERMINATE: the record does not allow a decision",
    Verdict.EXCLUDED: "EXCLUDED: the definition does not apply to this patient",
}


def assessment_text(assessment: Assessment) -> str:
    """One patient: the verdict, then each reason, trial, gap and unread resource on a line of its own."""
    definition = assessment.definition
    lines = [
        f"{assessment.patient} on {assessment.on} by {definition.id} ({definition.title})",
        VERDICTS[assessment.verdict],
        *_section("Safety", [f"{assessment.safety.answer.value} ({assessment.safety.text})"]),
        *_section("Criteria", [f"{r.criterion}: {r.answer.value} ({r.text})" for r in assessment.reasons]),
        *_section("Check first", list(map(_with_evidence, assessment.check_first))),
        *_section("Trials", [trial_sentence(judged) for judged in assessment.trials]),
        *_section("Residual impairment", list(map(_with_evidence, assessment.residual_impairment))),
        *_section("Missing", [f"{m.what}: {m.ask}" for m in assessment.missing]),
        *_section("Asked for already", list(map(_open_request, assessment.open_requests))),
        *_section("Unread", _problems(assessment.unread)),
        *_section("Set aside", _problems(assessment.set_aside)),
        *_section("Not looked at", list(assessment.not_looked_at)),
        *_section("Assumed", list(assessment.assumed)),
        *_section("Staging", list(map(_stage, assessment.staging))),
        *_section("Beyond mood, which changes no answer", list(map(_value, assessment.context))),
        *_section(f"Options at the stage {assessment.stage}, nothing is ordered", _options(assessment)),
        *_section("Other definitions", _other_definitions(assessment)),
    ]
    return "\n".join(lines)


def _other_definitions(assessment: Assessment) -> list[str]:
    """How many agree and which, then a line for each that does not."""
    if not assessment.other_views:
        return []
    alike = [id_ for id_, verdict in assessment.other_verdicts if verdict is assessment.verdict]
    named = f": {', '.join(alike)}" if alike else ""
    return [f"{agreement_in_words(assessment)}{named}", *differences_in_words(assessment.other_views)]


def _open_request(request: OpenRequest) -> str:
    """`referral to psychiatry: active, 2026-05-02 (ServiceRequest/7)`"""
    doubt = "perhaps " if request.holds is Answer.UNKNOWN else ""
    return f"{doubt}{request.said}: {request.status}, {request.written or 'no date'} ({request.reference})"


def _with_evidence(finding: Finding) -> str:
    """The finding, and the records it rests on."""
    return f"{finding.text} ({', '.join(finding.evidence)})" if finding.evidence else finding.text


def _stage(staging: Staging) -> str:
    """The result, then each item with what it rests on."""
    names = _range(*staging.names)
    items = "; ".join(f"{i.name} {_range(f'{i.low:g}', f'{i.high:g}')} ({i.text})" for i in staging.items)
    result = f"{staging.title} {_range(f'{staging.low:g}', f'{staging.high:g}')}"
    return f"{result}{f' ({names})' if names else ''}{f': {items}' if items else ''}"


def _range(*ends: str) -> str:
    return " to ".join(dict.fromkeys(ends))


def _value(measurement: Measurement) -> str:
    unit = "" if measurement.unit in ("{score}", "1") else measurement.unit
    return " ".join(filter(None, (measurement.name, f"{measurement.value:g}", unit, f"on {measurement.day}")))


def _options(assessment: Assessment) -> list[str]:
    """What a card would name: what is ruled out and why, the options by level, then the cautions."""
    shown = [step for step in assessment.next_steps if step.is_shown]
    open_ = [step for step in shown if not step.is_contraindicated]
    by_level = {step.level: [other.label for other in open_ if other.level == step.level] for step in open_}
    return [
        *(f"not pointed to: {step.label} ({_reasons(step)})" for step in shown if step.is_contraindicated),
        *(f"{level}: {', '.join(labels)}" for level, labels in by_level.items()),
        *(f"{step.label}: {_reasons(step)}" for step in open_ if step.cautions),
    ]


def _reasons(step: NextStep) -> str:
    return "; ".join(
        f"{caution.criterion if caution.answer is Answer.MET else f'possible {caution.criterion}'}, "
        f"{_with_evidence(caution)}"
        for caution in step.cautions
    )


def _problems(problems: tuple[Unread, ...]) -> list[str]:
    return [f"{unread.reference}: {unread.problem}" for unread in problems]


def _section(title: str, items: list[str]) -> list[str]:
    wrapped = [textwrap.fill(item, 110, initial_indent="    ", subsequent_indent="      ") for item in items]
    return [f"  {title}", *wrapped] if items else []


def fixtures_text() -> str:
    """A line a fixture patient, then how it is encoded."""
    from fhir_fixtures import vignettes

    lines = []
    for vignette in vignettes():
        verdict = vignette.expected["verdicts"]["default-configurable"]
        lines.append(f"{vignette.id:>2}  Patient/{vignette.patient_id}  {verdict}: {vignette.title}")
        lines.append(textwrap.fill(vignette.encoding, 106, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)
