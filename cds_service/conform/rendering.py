"""The report as text, as one HTML page, as JSON and as JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from xml.etree import ElementTree

from cds_service.conform.results import FINDINGS_SHOWN, Report, Result, Status, as_json

SUITE = "CDS Hooks conformance"
FINDINGS_IN_TEXT = 3


def render(report: Report, form: str, level: str) -> str:
    """The report in one of FORMS; `level` tells which failed rules count."""
    return FORMS[form](report, level)


def _text(report: Report, level: str) -> str:
    lines = [f"{report.base_url}: CDS Hooks {report.hooks_version}", *report.services, *report.notes, ""]
    for result in report.with_status(Status.FAILED):
        rule = result.rule
        lines.append(f"FAILED {rule.id} ({rule.strength}) {rule.must_hold}")
        lines += [f"    {finding}" for finding in result.findings[:FINDINGS_IN_TEXT]]
        if (more := len(result.findings) - FINDINGS_IN_TEXT) > 0:
            lines.append(f"    and {more} more")
    lines += _reasons(report)
    lines += ["", _summary(report, level)]
    return "\n".join(lines)


def _reasons(report: Report) -> list[str]:
    """Each reason why rules were not tried with these rules."""
    rules_of: dict[str, list[str]] = {}
    for result in report.with_status(Status.NOT_TRIED):
        rules_of.setdefault(result.why, []).append(result.rule.id)
    return [f"not tried {', '.join(rules)}: {why}" for why, rules in rules_of.items()]


def _summary(report: Report, level: str) -> str:
    counted = ", ".join(f"{number} {status}" for status, number in report.counts().items())
    failed = len(report.failed_at(level))
    verdict = f"{failed} of the failed rules count" if failed else "no failed rule counts"
    return f"{counted}; {verdict} (--fail-on {level})"


def _json(report: Report, level: str) -> str:
    return json.dumps(as_json(report, level), indent=2, ensure_ascii=False)


def _html(report: Report, level: str) -> str:
    from jinja2 import Environment

    template = files("cds_service.pages").joinpath("conform.html").read_text("utf-8")
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    return page.render(
        report=report,
        counts=report.counts(),
        summary=_summary(report, level),
        holds=not report.failed_at(level),
        groups=[(status.value, report.with_status(status)) for status in (Status.FAILED, *_OTHERS)],
        shown=FINDINGS_SHOWN,
    )


_OTHERS = (Status.NOT_TRIED, Status.PASSED, Status.NOT_APPLICABLE)


def _junit(report: Report, level: str) -> str:
    """One test case a rule. A failed rule that does not count is skipped, with what was seen as its message."""
    counts = {result.rule.id for result in report.failed_at(level)}
    skipped = sum(result.status is not Status.PASSED for result in report.results) - len(counts)
    suite = ElementTree.Element(
        "testsuite",
        name=SUITE,
        tests=str(len(report.results)),
        failures=str(len(counts)),
        errors="0",
        skipped=str(skipped),
    )
    for result in report.results:
        _add_case(suite, result, result.rule.id in counts)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _add_case(suite: ElementTree.Element, result: Result, does_count: bool) -> None:
    rule = result.rule
    name = f"{rule.id} {rule.must_hold}"
    case = ElementTree.SubElement(
        suite, "testcase", classname=_printable(rule.section), name=_printable(name)
    )
    seen = _printable("\n".join(map(str, result.findings)))
    if does_count:
        failure = ElementTree.SubElement(case, "failure", message=rule.must_hold, type=rule.strength)
        failure.text = seen
    elif result.status is Status.FAILED:
        ElementTree.SubElement(case, "skipped", message=f"failed, but {rule.strength}: {seen}")
    elif result.status is not Status.PASSED:
        ElementTree.SubElement(case, "skipped", message=_printable(f"{result.status.value}: {result.why}"))


def _printable(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)


FORMS: Mapping[str, Callable[[Report, str], str]] = {
    "text": _text,
    "html": _html,
    "json": _json,
    "junit": _junit,
}
