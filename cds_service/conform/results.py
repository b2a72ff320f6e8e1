"""What came of each rule: passed, failed with what was seen, not tried, or not applicable, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from cds_service.conform.rules import LEVELS, Rule, load_rules

FINDINGS_SHOWN = 10
_LONGEST = 160


class Status(Enum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_TRIED = "not tried"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Finding:
    """One breach of a rule: in which call and place, what was expected, and what came."""

    where: str
    expected: str
    came: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.came}"


@dataclass(frozen=True)
class Result:
    """`checks` is how often the rule was looked at, `why` why it was not, if it was not."""

    rule: Rule
    status: Status
    findings: tuple[Finding, ...] = ()
    checks: int = 0
    why: str = ""


@dataclass(frozen=True)
class Report:
    """All rules, in the order of the checklist."""

    base_url: str
    hooks_version: str
    services: tuple[str, ...]
    notes: tuple[str, ...]
    results: tuple[Result, ...]

    def with_status(self, status: Status) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.status is status)

    def counts(self) -> dict[str, int]:
        counted = Counter(result.status for result in self.results)
        return {status.value: counted[status] for status in Status}

    def failed_at(self, level: str) -> tuple[Result, ...]:
        """The failed rules that bind as hard as `level` (`shall`, `should`, `advice`) or harder."""
        hard_enough = LEVELS[: LEVELS.index(level) + 1]
        return tuple(result for result in self.with_status(Status.FAILED) if result.rule.level in hard_enough)


@dataclass
class _Entry:
    checks: int = 0
    findings: dict[Finding, None] = field(default_factory=dict)
    not_tried: str = ""
    not_applicable: str = ""


class Ledger:
    """Collects what was seen of each rule. The first reason why something was not tried is the one kept."""

    def __init__(self) -> None:
        self._entries = {rule_id: _Entry() for rule_id in load_rules()}

    def expect(self, rule_id: str, holds: bool, where: str, expected: str, came: object = "") -> bool:
        """Notes one look at a rule: whether it `holds`, and if not, where, what was expected and what came."""
        entry = self._entries[rule_id]
        entry.checks += 1
        if not holds:
            entry.findings[Finding(where, expected, shorten(came))] = None
        return holds

    def not_tried(self, rule_ids: Iterable[str], why: str) -> None:
        for rule_id in rule_ids:
            self._entries[rule_id].not_tried = self._entries[rule_id].not_tried or why

    def not_applicable(self, rule_ids: Iterable[str], why: str) -> None:
        for rule_id in rule_ids:
            self._entries[rule_id].not_applicable = self._entries[rule_id].not_applicable or why

    def results(self) -> tuple[Result, ...]:
        return tuple(_result(rule, self._entries[rule.id]) for rule in load_rules().values())


def _result(rule: Rule, entry: _Entry) -> Result:
    if entry.findings:
        return Result(rule, Status.FAILED, tuple(entry.findings), entry.checks)
    if entry.checks:
        return Result(rule, Status.PASSED, (), entry.checks)
    if entry.not_tried:
        return Result(rule, Status.NOT_TRIED, why=entry.not_tried)
    if entry.not_applicable:
        return Result(rule, Status.NOT_APPLICABLE, why=entry.not_applicable)
    if rule.not_seen:
        status = Status.NOT_TRIED if rule.binds == "service" else Status.NOT_APPLICABLE
        return Result(rule, status, why=rule.not_seen)
    return Result(rule, Status.NOT_TRIED, why="nothing that the service answered has to do with it")


def shorten(came: object) -> str:
    """What came as one short line; the synthetic patients are nobody, so that it may be shown."""
    text = " ".join(came.split()) if isinstance(came, str) else repr(came)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def as_json(report: Report, level: str) -> dict[str, Any]:
    """The report as `schemas/conform-report.json` describes it."""
    return {
        "service": report.base_url,
        "hooksVersion": report.hooks_version,
        "checked": list(report.services),
        "holds": not report.failed_at(level),
        "failOn": level,
        "counts": {status.replace(" ", "-"): number for status, number in report.counts().items()},
        "notes": list(report.notes),
        "rules": [_result_json(result) for result in report.results],
    }


def _result_json(result: Result) -> dict[str, Any]:
    rule = result.rule
    shown: dict[str, Any] = {
        "id": rule.id,
        "mustHold": rule.must_hold,
        "strength": rule.strength,
        "level": rule.level,
        "section": rule.section,
        "status": result.status.value.replace(" ", "-"),
        "checks": result.checks,
    }
    if result.why:
        shown["why"] = result.why
    if result.findings:
        found = [
            {"where": f.where, "expected": f.expected, "came": f.came}
            for f in result.findings[:FINDINGS_SHOWN]
        ]
        shown |= {"findings": found, "findingsInAll": len(result.findings)}
    return shown
