"""Definitions as plain text for a terminal, and as `docs/definitions.md`: `python -m cds_service.definitions_text`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from cds_service.tables.definitions import (
    DEFAULT_ID,
    Entry,
    definition_entries,
    in_words,
    is_evaluable,
    load_definitions,
    reading_rules,
    source_parameters,
)
from cds_service.trd.parameters import Definition, Parameter

COUNTED = {"failed-trials": "trials", "treatments": "treatments", "score": "points"}
_MEANT = {
    "failed-trials": "distinct adequate trials without enough response",
    "treatments": "distinct treatments, whatever their dose and effect",
    "score": "the points of a staging method",
}


def definitions_text(directory: Path | None = None) -> str:
    """A line a definition: id, whether it is evaluated, what it needs, weeks, distinctness, title."""
    evaluated = load_definitions(directory)
    rows = [("id", "evaluated", "needs", "weeks", "different", "title")]
    for id_, entry in definition_entries(directory).items():
        definition = evaluated.get(id_)
        rows.append(_evaluated_row(definition) if definition else _kept_row(entry))
    return "\n".join(f"{a:<22}{b:<11}{c:<14}{d:<7}{e:<11}{title}" for a, b, c, d, e, title in rows)


def _evaluated_row(definition: Definition) -> tuple[str, str, str, str, str, str]:
    days = definition.treatments.minimum_days if definition.treatments else definition.minimum_days
    return (
        definition.id,
        "yes",
        f"{definition.needed_failed_trials} {COUNTED[definition.rule.value]}",
        str(days // 7) if days % 7 == 0 else "-",
        definition.distinctness.value,
        definition.title,
    )


def _kept_row(entry: Entry) -> tuple[str, str, str, str, str, str]:
    needed, weeks, distinctness = (
        in_words(value) if value is not None else "-"
        for value in (entry["params"].get(key) for key in ("min_failed_trials", "min_weeks", "distinctness"))
    )
    return entry["id"], "no", f"{needed} trials" if needed != "-" else "-", weeks, distinctness, entry["name"]


def definition_text(definition_id: str, directory: Path | None = None) -> str:
    """One definition: every parameter with who set it, or why it cannot be evaluated.

    Raises KeyError for an unknown id.
    """
    entry = definition_entries(directory)[definition_id]
    definition = load_definitions(directory).get(definition_id)
    return "\n".join(
        textwrap.fill(line, 110, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2))
        for line in _lines(entry, definition)
    )


def _lines(entry: Entry, definition: Definition | None) -> Iterator[str]:
    yield f"{entry['id']}: {entry['name']}"
    told = [f"version: {entry['version']}"]
    if definition:
        told.append(f"content hash: {definition.content_hash}")
        told.append(f"decides by: {_MEANT[definition.rule.value]}")
    else:
        told.append(f"cannot be evaluated from a record: {entry['not_evaluable_because']}")
    told.append(f"source: {entry['source']}")
    if entry.get("source_status"):
        told.append(f"status of the source: {entry['source_status']}")
    if entry.get("notes"):
        told.append(f"notes: {entry['notes']}")
    told.append(f"the source leaves open: {', '.join(entry.get('unspecified_by_source', ())) or 'nothing'}")
    yield from (f"  {line}" for line in told)
    parameters = definition.parameters if definition else source_parameters(entry)
    for set_by, title in (("source", "set by the source"), ("project", "filled by this project")):
        chosen = [parameter for parameter in parameters if parameter.set_by == set_by]
        if chosen:
            yield f"  parameters {title}:"
            yield from (f"    {p.name} = {p.value}{why}" for p, why in _with_reasons(chosen, entry))


def _with_reasons(parameters: Sequence[Parameter], entry: Entry) -> Iterator[tuple[Parameter, str]]:
    """Each with its reason in brackets; none where it is the citation of the whole, or that of the line above."""
    last = entry["source"]
    for parameter in parameters:
        is_told = parameter.why in ("", entry["source"], last)
        yield parameter, "" if is_told else f"  ({parameter.why})"
        last = parameter.why


# --- docs/definitions.md ----------------------------------------------------------------------------------

_INTRODUCTION = f"""# Definitions

Generated from `cds_service/tables/trd_definitions.json`:
`python -m cds_service.definitions_text > docs/definitions.md`.

Treatment-resistant depression has over 150 definitions. These are kept as parameters: what each source says,
and what this project fills where the source is silent. None of it has been signed off by a clinician.
`TRD_CDS_DEFINITION` names the one that decides; the verdicts of the others that can be evaluated stand beside
it. What a source leaves open is taken from the definition's own `project_fill`, then from `{DEFAULT_ID}`,
then from the reading rules below; but definitions that count treatments (registers, claims) and name no
exclusion, age or episode have none. `recalled, unverified` marks what was not read.

`trd-cds definitions show ID` prints the same for one definition, with its content hash, which changes
whenever anything of the definition does; version and hash travel with each answer.
"""

_OWN = """## A site's own definitions

`TRD_CDS_DEFINITIONS_DIR`, or `--definitions-dir`, names a directory of `*.json` files. Each holds one
definition, or a list of them, as `schemas/definition.json` says (served at `/schemas/definition.json`). They
are assessed beside ours, and `TRD_CDS_DEFINITION` may name one. An id that is taken, by ours or by another
file, stops the start, as does any mistake.

    trd-cds definitions check mine.json

names every mistake by file, key, value and what was expected, with exit status 3. A definition needs `id`,
`version`, `name`, `source` and `params`, and in `params` at least `min_failed_trials`:

    {
      "id": "st-elsewhere-2026",
      "version": "1",
      "name": "St Elsewhere, two trials of different classes",
      "source": "local guideline, 2026",
      "params": {
        "min_failed_trials": 2,
        "distinctness": "class",
        "min_weeks": 8,
        "exclusions": ["bipolar", "psychotic_disorder", "substance_use"]
      }
    }

What `params` may hold:

| parameter | what it says |
|---|---|
"""


def definitions_markdown() -> str:
    """`docs/definitions.md`, from the table alone."""
    return "\n".join(_markdown_lines()) + "\n"


def _markdown_lines() -> Iterator[str]:
    from cds_service.tables.site_definitions import definition_schema

    evaluated = load_definitions()
    kept = [entry for entry in definition_entries().values() if not is_evaluable(entry)]
    yield _INTRODUCTION
    yield "| definition | decides by | needs | source |\n|---|---|---|---|"
    for definition in evaluated.values():
        needs = f"{definition.needed_failed_trials} {COUNTED[definition.rule.value]}"
        yield _row(
            f"[{definition.id}](#{definition.id})", definition.rule.value, needs, definition.source_status
        )
    yield "\nKept, but not evaluated:\n\n| definition | why not |\n|---|---|"
    for entry in kept:
        yield _row(f"[{entry['id']}](#{entry['id']})", entry["not_evaluable_because"])
    yield "\n## Reading rules\n\nHow every definition is read where neither its source nor its `project_fill` says.\n"
    yield "| rule | value | unit | source |\n|---|---|---|---|"
    for name, rule in reading_rules().items():
        yield _row(f"`{name}`", _rule_in_words(rule["value"]), rule["unit"], rule["source"])
    yield f"\n{_OWN.rstrip()}"
    for name, shape in definition_schema()["$defs"]["parameters"]["properties"].items():
        yield _row(f"`{name}`", shape["description"])
    for definition in evaluated.values():
        yield from _section(definition_entries()[definition.id], definition)
    for entry in kept:
        yield from _section(entry, None)


def _rule_in_words(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{word}: {', '.join(members)}" for word, members in value.items())
    return in_words(value)


def _section(entry: Entry, definition: Definition | None) -> Iterator[str]:
    yield f"\n## {entry['id']}\n"
    yield f"{_cell(entry['name'])}, version {entry['version']}.\n"
    if definition is None:
        yield f"- Cannot be evaluated from a record: {_cell(entry['not_evaluable_because'])}"
    yield f"- Source: {_cell(entry['source'])}"
    if entry["source_status"]:
        yield f"- Status of the source: {_cell(entry['source_status'])}"
    if entry["notes"]:
        yield f"- Notes: {_cell(entry['notes'])}"
    yield f"- Left open by the source: {_cell(', '.join(entry['unspecified_by_source']) or 'nothing')}"
    parameters = definition.parameters if definition else source_parameters(entry)
    yield "\n| parameter | value | set by | why |\n|---|---|---|---|"
    for parameter in parameters:
        why = "as the source says" if parameter.why == entry["source"] else parameter.why
        yield _row(f"`{parameter.name}`", parameter.value, parameter.set_by, why)


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    print(definitions_markdown(), end="")
