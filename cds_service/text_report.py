"""Assessments, definitions and fixture patients as plain text for a terminal or a pipe."""

from __future__ import annotations

import textwrap

from cds_service.agreement_text import agreement_in_words, differences_in_words
from cds_service.report import trial_sentence
from cds_service.tables.definitions import definition_entry, load_definitions, reading_rules
from cds_service.trd.model import Assessment, Unread, Verdict

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
        *_section("Criteria", [f"{r.criterion}: {r.answer.value} ({r.text})" for r in assessment.reasons]),
        *_section("Trials", [trial_sentence(judged) for judged in assessment.trials]),
        *_section("Missing", [f"{m.what}: {m.ask}" for m in assessment.missing]),
        *_section("Unread", _problems(assessment.unread)),
        *_section("Set aside", _problems(assessment.set_aside)),
        *_section("Not looked at", list(assessment.not_looked_at)),
        *_section("Assumed", list(assessment.assumed)),
        *_section("Safety", [f"{assessment.safety.answer.value} ({assessment.safety.text})"]),
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


def _problems(problems: tuple[Unread, ...]) -> list[str]:
    return [f"{unread.reference}: {unread.problem}" for unread in problems]


def _section(title: str, items: list[str]) -> list[str]:
    wrapped = [textwrap.fill(item, 110, initial_indent="    ", subsequent_indent="      ") for item in items]
    return [f"  {title}", *wrapped] if items else []


def definitions_text() -> str:
    """A line a definition: id, trials, weeks, distinctness, title."""
    rows = [("id", "trials", "weeks", "different", "title")]
    for definition in load_definitions().values():
        rows.append(
            (
                definition.id,
                str(definition.needed_failed_trials),
                f"{definition.minimum_days / 7:g}",
                definition.distinctness.value,
                definition.title,
            )
        )
    return "\n".join(f"{i:<22}{t:<8}{w:<7}{d:<11}{title}" for i, t, w, d, title in rows)


def definition_text(definition_id: str) -> str:
    """Every parameter of one definition with who set it: the source, or the project where it is silent."""
    definition, entry = load_definitions()[definition_id], definition_entry(definition_id)
    filled = dict(definition.filled)
    rules = reading_rules()
    lines = [
        f"{definition.id}: {definition.title}",
        f"  source: {definition.source}",
        f"  status of the source: {definition.source_status}",
        *([f"  notes: {definition.notes}"] if definition.notes else []),
        f"  the source leaves open: {', '.join(entry['unspecified_by_source']) or 'nothing'}",
        "  parameters set by the source:",
    ]
    for key, value in entry["params"].items():
        if value is not None:
            lines.append(f"    {key} = {_plain(value)}")
    lines.append("  parameters filled by this project:")
    for key, text in filled.items():
        source = f"  ({rules[key]['source']})" if key in rules and key not in entry["project_fill"] else ""
        lines.append(f"    {key} = {text}{source}")
    return "\n".join(textwrap.fill(line, 110, subsequent_indent="      ") for line in lines)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def fixtures_text() -> str:
    """A line a fixture patient, then how it is encoded."""
    from fhir_fixtures import vignettes

    lines = []
    for vignette in vignettes():
        verdict = vignette.expected["verdicts"]["default-configurable"]
        lines.append(f"{vignette.id:>2}  Patient/{vignette.patient_id}  {verdict}: {vignette.title}")
        lines.append(textwrap.fill(vignette.encoding, 106, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)
