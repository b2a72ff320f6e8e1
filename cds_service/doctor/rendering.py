"""The report as text, as one HTML page and as JSON (`schemas/doctor-report.json`)."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Any

from cds_service.doctor.results import Check, Coding, DrugRecords, Outcome, Report, SearchCheck, Tally

_WIDTH = 110
_LONGEST_LIST = 25


def render(report: Report, form: str, token: str | None = None) -> str:
    """The report in one of FORMS, without `token`: a server may say it back, in the name of its software or an id."""
    text = FORMS[form](report)
    for spelling in _spellings(token):
        text = text.replace(spelling, _HIDDEN)
    return text


_HIDDEN = "[token]"


def _spellings(token: str | None) -> tuple[str, ...]:
    """How the token would stand in text, JSON and HTML."""
    if not token:
        return ()
    from markupsafe import escape

    return (token, json.dumps(token)[1:-1], str(escape(token)))


# --- text -------------------------------------------------------------------------------------------------


def _text(report: Report) -> str:
    readiness = report.readiness
    parts = [
        [headline(report), *(f"  {reason}" for reason in report.why_not)],
        _section("Server", map(_check_lines, report.checks)),
        _section(_title_of_searches(report), (_search_lines(search) for search in report.searches)),
        _section(f"Patients, found by {readiness.found_by}", _patient_lines(report)),
        _section("Antidepressants: records of which is known", _all_drug_lines(report)),
        _section("Codes of drugs", map(_coding_lines, readiness.drug_codings)),
        _section("Codes of observations", map(_coding_lines, readiness.observation_codings)),
        _section("Depression scales", map(_tally_lines, readiness.scales)),
        *(_section(title, map(_tally_lines, tallies)) for title, tallies in lacks(report)),
        _section("Prefetch template", [_prefetch(report).splitlines()]),
        _section("Scopes", _scope_lines(report)),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def headline(report: Report) -> str:
    """The answer in one line."""
    where = f"{report.base_url} on {report.on}"
    if report.is_open:
        return f"{where}: it cannot be told whether the service can work with this server"
    return f"{where}: the service {'can' if report.can_work else 'cannot'} work with this server"


def no_drug_records(report: Report) -> str:
    """What to say where no record is of an antidepressant; empty otherwise, and where nobody's records were read."""
    if report.readiness.drug_records or not report.readiness.read:
        return ""
    return (
        "none on record of these patients, so this report tells nothing of how they are ordered: name patients who "
        "are treated for depression (--patient)"
    )


def lacks(report: Report) -> tuple[tuple[str, tuple[Tally, ...]], ...]:
    """What is missing and what was not used, most important first."""
    readiness = report.readiness
    return (
        ("Not read at all", readiness.not_read),
        ("Missing most", readiness.missing),
        ("Unread records", readiness.unread),
        ("Set aside records", readiness.set_aside),
        ("Not looked at", readiness.not_looked_at),
    )


def _section(title: str, rows: Iterable[list[str]]) -> list[str]:
    shown = list(rows)
    lines = [f"  {line}" for row in shown[:_LONGEST_LIST] for line in row]
    more = len(shown) - _LONGEST_LIST
    return [title, *lines, *([f"  and {more} more"] if more > 0 else [])] if lines else []


def _title_of_searches(report: Report) -> str:
    with_whom = f" for Patient/{report.tried_with}, all at once" if report.tried_with else ""
    return f"Searches{with_whom}"


def _check_lines(check: Check, title: str = "") -> list[str]:
    seconds = "" if check.seconds is None else f", {check.seconds:.2f} s"
    first = f"{check.outcome.value:<9} {title or check.title}: {check.said}{seconds}"
    return [*_wrapped(first, ""), *_wrapped(check.to_do, "-> ")]


def _search_lines(search: SearchCheck) -> list[str]:
    required = "" if search.check.is_required else " (not required)"
    lines = _check_lines(search.check, f"{search.check.title}{required}")
    return [*lines, *_wrapped(against_metadata(search), "-> ")]


def against_metadata(search: SearchCheck) -> str:
    """Where the metadata says something else than the trial of a search."""
    if "?" not in search.query:
        return ""
    works = search.entries is not None
    if search.in_parts:
        return ""  # metadata has no words for it
    if search.is_declared is False and works:
        return "The metadata does not name it."
    refused = search.check.outcome in (Outcome.FAILS, Outcome.LIMITED) and not works
    return "The metadata names it all the same." if search.is_declared and refused else ""


def _patient_lines(report: Report) -> list[list[str]]:
    readiness = report.readiness
    counted = f"{readiness.read} of {readiness.asked} read, {readiness.judged} judged"
    about = f"{readiness.with_depression} with anything about depression on record"
    verdicts = [f"{t.patients} {t.what}, for example Patient/{t.example}" for t in readiness.verdicts]
    return [[counted], [about], *([line] for line in verdicts)]


def _all_drug_lines(report: Report) -> Iterable[list[str]]:
    nothing = no_drug_records(report)
    return [_wrapped(nothing, "")] if nothing else map(_drug_lines, report.readiness.drug_records)


def _drug_lines(records: DrugRecords) -> list[str]:
    known = ", ".join(f"{name} {share}" for name, share in shares(records))
    example = f"; one that is not: see Patient/{records.example}" if records.example else ""
    return _wrapped(f"{records.source}, {records.records}: {known}{example}", "")


def shares(records: DrugRecords) -> tuple[tuple[str, str], ...]:
    """Of how many of the records what is known, with the percentage."""
    counts = (
        ("drug", records.drug_known),
        ("dose", records.dose_known),
        ("days", records.days_known),
        ("all three", records.all_known),
    )
    return tuple((name, f"{count} ({100 * count / records.records:.0f} %)") for name, count in counts)


def _coding_lines(coding: Coding) -> list[str]:
    name = f"{coding.name} ({coding.system})" if coding.name else coding.system
    counted = f"{_number(coding.records, 'record')} of {_number(coding.patients, 'patient')}"
    return _wrapped(f"{name}: {counted}, for example Patient/{coding.example}", "")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _tally_lines(tally: Tally) -> list[str]:
    times = f", {tally.times} times" if tally.times != tally.patients else ""
    counted = f"{_number(tally.patients, 'patient')}{times}"
    first = f"{tally.what}: {counted}, for example Patient/{tally.example}"
    return [*_wrapped(first, ""), *_wrapped(tally.to_do, "-> ")]


def _prefetch(report: Report) -> str:
    return json.dumps({"prefetch": dict(report.prefetch)}, indent=2)


def _scope_lines(report: Report) -> list[list[str]]:
    lines = [_wrapped(f"required: {' '.join(report.minimum_scopes)}", "")]
    if report.further_scopes:
        lines.append(_wrapped(f"more, for a fuller answer: {' '.join(report.further_scopes)}", ""))
    return lines


def _wrapped(text: str, mark: str) -> list[str]:
    """Lines within the width; those after the first, and what is to be done, stand further right."""
    indent = "          " if mark else ""
    rest = "             " if mark else "          "
    return textwrap.wrap(
        f"{mark}{text}" if text else "",
        _WIDTH - 2,
        initial_indent=indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


# --- HTML -------------------------------------------------------------------------------------------------


def _html(report: Report) -> str:
    from jinja2 import Environment

    template = files("cds_service.pages").joinpath("doctor.html").read_text("utf-8")
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    return page.render(
        report=report,
        headline=headline(report),
        lacks=lacks(report),
        shares=shares,
        no_drug_records=no_drug_records(report),
        against_metadata=against_metadata,
        prefetch=_prefetch(report),
    )


# --- JSON -------------------------------------------------------------------------------------------------


def _json(report: Report) -> str:
    return json.dumps(as_json(report), indent=2, ensure_ascii=False)


def as_json(report: Report) -> dict[str, Any]:
    """The report as `schemas/doctor-report.json` describes it. Keys without a value are left out."""
    readiness = report.readiness
    return _without_gaps(
        {
            "fhirServer": report.base_url,
            "on": report.on.isoformat(),
            "canWork": report.can_work,
            "whyNot": list(report.why_not),
            "fhirVersion": report.fhir_version,
            "software": report.software,
            "triedWith": f"Patient/{report.tried_with}" if report.tried_with else "",
            "checks": [_check_json(check) for check in report.checks],
            "searches": [_search_json(search) for search in report.searches],
            "patients": {
                "foundBy": readiness.found_by,
                "asked": readiness.asked,
                "read": readiness.read,
                "withDepression": readiness.with_depression,
                "judged": readiness.judged,
                "verdicts": _tallies_json(readiness.verdicts),
                "notRead": _tallies_json(readiness.not_read),
            },
            "antidepressants": [_drug_json(records) for records in readiness.drug_records],
            "codings": {
                "drugs": [_coding_json(coding) for coding in readiness.drug_codings],
                "observations": [_coding_json(coding) for coding in readiness.observation_codings],
            },
            "scales": _tallies_json(readiness.scales),
            "missing": _tallies_json(readiness.missing),
            "unread": _tallies_json(readiness.unread),
            "setAside": _tallies_json(readiness.set_aside),
            "notLookedAt": _tallies_json(readiness.not_looked_at),
            "prefetch": dict(report.prefetch),
            "scopes": {"required": list(report.minimum_scopes), "more": list(report.further_scopes)},
        }
    )


def _check_json(check: Check) -> dict[str, Any]:
    return _without_gaps(
        {
            "id": check.id,
            "title": check.title,
            "outcome": check.outcome.value.replace(" ", "-"),
            "required": check.is_required,
            "said": check.said,
            "toDo": check.to_do,
            "seconds": None if check.seconds is None else round(check.seconds, 3),
        }
    )


def _search_json(search: SearchCheck) -> dict[str, Any]:
    more = {"query": search.query, "entries": search.entries, "declared": search.is_declared}
    more |= {"inParts": True} if search.in_parts else {}
    return _without_gaps(_check_json(search.check) | more)


def _tallies_json(tallies: Iterable[Tally]) -> list[dict[str, Any]]:
    return [
        _without_gaps(
            {
                "what": tally.what,
                "times": tally.times,
                "patients": tally.patients,
                "example": f"Patient/{tally.example}",
                "toDo": tally.to_do,
            }
        )
        for tally in tallies
    ]


def _drug_json(records: DrugRecords) -> dict[str, Any]:
    return _without_gaps(
        {
            "source": records.source,
            "records": records.records,
            "drugKnown": records.drug_known,
            "doseKnown": records.dose_known,
            "daysKnown": records.days_known,
            "allKnown": records.all_known,
            "example": f"Patient/{records.example}" if records.example else "",
        }
    )


def _coding_json(coding: Coding) -> dict[str, Any]:
    return _without_gaps(
        {
            "system": coding.system,
            "name": coding.name,
            "records": coding.records,
            "patients": coding.patients,
            "example": f"Patient/{coding.example}",
        }
    )


def _without_gaps(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in ("", None)}


FORMS: Mapping[str, Callable[[Report], str]] = {"text": _text, "json": _json, "html": _html}
