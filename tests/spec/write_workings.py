"""Patients with their complete workings as text: the files of `tests/spec/workings`.

A file begins with a sentence on the patient and the tables of `tests/spec/patients.py`. Lines of their own may
name the day (`on 2026-06-30`), the definition (`definition seed-2026`), one of its parameters that the case
changes (`with intolerance_counts_as_failure true`). Below a line of dashes stand the workings. After a change of
the rules or the tables of the project:

    python -m tests.spec.write_workings

writes them anew, and the diff shows what it means for these patients. Read it as their psychiatrist would before
it is accepted: every line is a fact that is told to a clinician.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.report import all_definitions_json, assessment_json
from cds_service.respond import assess_history
from cds_service.tables.definitions import load_definitions
from cds_service.trd.answers import Finding
from cds_service.trd.model import Assessment, JudgedTrial
from tests.conftest import ON
from tests.spec.patients import patient

FOLDER = Path(__file__).parent / "workings"
LINE = "-" * 100
DEFAULT = "default-configurable"
TOLD_ELSEWHERE = ("patient", "on", "definition", "otherDefinitions", "differences", "filledByProject")


def files() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))


def story(path: Path) -> str:
    """What stands above the line."""
    return path.read_text("utf-8").partition(LINE)[0].strip()


def workings(text: str) -> str:
    """The complete workings of the patient that the story tells, one fact a line."""
    return "\n".join(_lines(_assessed(text))) + "\n"


def _assessed(text: str) -> Assessment:
    definitions = load_definitions()
    definition, on, tables = definitions[DEFAULT], ON, []
    _title, *blocks = text.split("\n\n")
    for block in blocks:
        first, _, rest = block.partition(" ")
        if first == "on":
            on = date.fromisoformat(rest)
        elif first == "definition":
            definition = definitions[rest]
        elif first == "with":
            changes = dict(line.split()[1:] for line in block.splitlines())
            told = {key: json.loads(value) for key, value in changes.items()}
            values = {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
            definition = replace(definition, **values)
        else:
            tables.append(block)
    return assess_history(patient("\n\n".join(tables), on), definition, on, definitions)


def _lines(assessment: Assessment) -> Iterator[str]:
    told = assessment_json(assessment)
    yield f"{told['definition']['id']} on {told['on']}: {told['verdict']}"
    is_acute = "acute" if assessment.suicidality_is_acute else "not acute"
    concerned = "concerned" if assessment.concerns_depression else "not concerned"
    yield f"{concerned}, age {assessment.age_years}, suicidality {is_acute}, {assessment.agreeing} agree"
    steps = [_without_no(step) for step in told["nextSteps"]]
    told["nextSteps"] = [step for step in steps if step["cautions"]]
    told["optionsWithoutCaution"] = [step["option"] for step in steps if not step["cautions"]]
    told["staging"] = [_as_item(method, staging) for method, staging in told["staging"].items()]
    for key, value in told.items():
        if key not in TOLD_ELSEWHERE and value not in ([], {}, ""):
            yield ""
            yield from _told(key, value, "")
    yield ""
    yield "how each trial was judged"
    for judged in assessment.trials:
        yield from _judged(judged)
    yield ""
    yield "definitions"
    chosen, *others = all_definitions_json(assessment)
    for view in others:
        yield from _view(view, chosen)


def _judged(judged: JudgedTrial) -> Iterator[str]:
    """What the answers of a trial rest on, and is not told beside it: its days, its doses, each finding."""
    trial, outcome = judged.trial, judged.outcome
    possible = f"{trial.possible_first_day} to {trial.possible_last_day}"
    runs = "running" if trial.is_running else "over"
    yield f"  {trial.name}: possible {possible}, {runs}, stopped: {outcome.trial.stop_reason.value}"
    for days in trial.exposure.segments:
        sure = "" if days.days_certain else ", not certain"
        yield f"    {days.first_day} to {days.last_day}: {days.low_mg} to {days.high_mg} mg{sure}"
    findings = (trial.use, trial.dose, trial.duration, trial.adherence, judged.in_scope, outcome.insufficient)
    for finding in (*findings, outcome.intolerance, judged.failed, *(c.adequate for c in judged.companions)):
        if finding:
            yield f"    {_finding(finding)}"


def _finding(finding: Finding) -> str:
    evidence = f" [{', '.join(finding.evidence)}]" if finding.evidence else ""
    return f"{finding.criterion} | {finding.answer.value} | {finding.text}{evidence}"


def _without_no(step: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in step.items() if value is not False}


def _as_item(method: str, staging: dict[str, Any]) -> dict[str, Any]:
    """Without the title, source and note, which are those of the table."""
    low, high = staging["low"], staging["high"]
    return {"method": f"{method}, {_points(low)} to {_points(high)}", "items": staging["items"]}


def _points(end: dict[str, Any]) -> str:
    return f"{end['points']:g} ({end['text']})"


def _view(view: dict[str, Any], chosen: dict[str, Any]) -> Iterator[str]:
    """The criteria of another definition only where they are answered otherwise than by the chosen one."""
    number = view["failedTrials"]
    count = f"{number['atLeast']} to {number['atMost']} of {number['needed']}"
    yield f"  {view['id']}: {view['verdict']}, {count}"
    if view["difference"]:
        yield f"    {view['difference']}"
    for reason in view["reasons"]:
        if reason not in chosen["reasons"]:
            yield f"    {_in_one_line(reason)}"


def _told(key: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield f"{indent}{key}"
        for item in value:
            yield from _item(item, indent + "  ")
    elif isinstance(value, dict) and not _is_short(value):
        yield f"{indent}{key}"
        for inner, item in value.items():
            yield from _told(inner, item, indent + "  ")
    else:
        yield f"{indent}{key}: {_in_one_line(value)}"


def _item(item: dict[str, Any], indent: str) -> Iterator[str]:
    """In one line, or where it has much to tell its name with the rest below."""
    if _is_short(item):
        yield indent + _in_one_line(item)
        return
    (first, name), *rest = item.items()
    yield f"{indent}{first}: {name}"
    for key, value in rest:
        if value not in ([], {}):
            yield from _told(key, value, indent + "  ")


def _is_short(value: dict[str, Any]) -> bool:
    return len(value) < 10 and not any(
        isinstance(item, dict) or (isinstance(item, list) and any(isinstance(i, dict) for i in item))
        for item in value.values()
    )


def _in_one_line(value: Any) -> str:
    if isinstance(value, dict):
        parts = [f"{item}" if key in _WITHOUT_NAME else f"{key} {item}" for key, item in _plain(value)]
        return " | ".join(parts) + (f" [{', '.join(value['evidence'])}]" if value.get("evidence") else "")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _plain(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if key != "evidence" and item not in ("", []):
            yield key, ", ".join(map(str, item)) if isinstance(item, list) else str(item)


_WITHOUT_NAME = frozenset(
    ("criterion", "answer", "text", "what", "about", "name", "reference", "domain", "option", "kind", "level")
)


def main() -> None:
    for path in files():
        text = story(path)
        path.write_text(f"{text}\n\n{LINE}\n{workings(text)}", "utf-8")


if __name__ == "__main__":
    main()
