"""What the examination of a FHIR server found: the nouns of the report.

Of patients it holds ids, as examples, and counts. Names of drugs, days, values and free text never get here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum


class Outcome(Enum):
    WORKS = "works"
    LIMITED = "limited"  # the service can do with it
    FAILS = "fails"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Check:
    """One thing that was tried: what came of it in words, and what to do about it where that is not well.

    The service cannot work with a server that fails one that `is_required`. `seconds` is None where nothing was
    asked, or the time says nothing.
    """

    id: str
    title: str
    outcome: Outcome
    said: str
    to_do: str = ""
    is_required: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class SearchCheck:
    """One of the searches that the rules live on. `query` is its template; `entries` those of the first page.

    `is_declared` tells whether the server's metadata names the search; None where metadata could not be read.
    `in_parts`: the server refuses this query, and gives what it would find to several narrower ones.
    """

    check: Check
    query: str
    entries: int | None = None
    is_declared: bool | None = None
    in_parts: bool = False


@dataclass(frozen=True)
class Tally:
    """How often something was seen, in how many patients, one of them, and what to do about it."""

    what: str
    times: int
    patients: int
    example: str
    to_do: str = ""


@dataclass(frozen=True)
class Coding:
    """How many records carry a code of one system. `name` is empty for systems that the rules do not read."""

    system: str
    name: str
    records: int
    patients: int
    example: str


@dataclass(frozen=True)
class DrugRecords:
    """Of the records of one source that are, or may be, of an antidepressant: of how many the rules know what.

    `source` is `ordered`, `dispensed`, ...; `example` a patient with one of which something is not known, or empty.
    """

    source: str
    records: int
    drug_known: int
    dose_known: int
    days_known: int
    all_known: int
    example: str


@dataclass(frozen=True)
class Readiness:
    """What the rules could make of the patients. `found_by` tells how these were found.

    `judged` are those with a verdict other than indeterminate; `with_depression` those whose record speaks of it.
    """

    found_by: str
    asked: int
    read: int = 0
    with_depression: int = 0
    verdicts: tuple[Tally, ...] = ()
    not_read: tuple[Tally, ...] = ()
    drug_records: tuple[DrugRecords, ...] = ()
    drug_codings: tuple[Coding, ...] = ()
    observation_codings: tuple[Coding, ...] = ()
    scales: tuple[Tally, ...] = ()
    missing: tuple[Tally, ...] = ()
    unread: tuple[Tally, ...] = ()
    set_aside: tuple[Tally, ...] = ()
    not_looked_at: tuple[Tally, ...] = ()

    @property
    def judged(self) -> int:
        return sum(tally.patients for tally in self.verdicts if tally.what != "indeterminate")


@dataclass(frozen=True)
class Report:
    """All about one server. `prefetch` are the templates to configure, by key; scopes are SMART v2.

    `tried_with` is the patient with whom the searches were tried, empty if there was none.
    """

    base_url: str
    on: date
    fhir_version: str
    software: str
    tried_with: str
    checks: tuple[Check, ...]
    searches: tuple[SearchCheck, ...]
    readiness: Readiness
    prefetch: Mapping[str, str]
    minimum_scopes: tuple[str, ...]
    further_scopes: tuple[str, ...]

    @property
    def all_checks(self) -> tuple[Check, ...]:
        return (*self.checks, *(search.check for search in self.searches))

    @property
    def broken(self) -> tuple[Check, ...]:
        """What is required and fails."""
        return tuple(c for c in self.all_checks if c.is_required and c.outcome is Outcome.FAILS)

    @property
    def is_open(self) -> bool:
        """Whether it cannot be told: the server seems to be well, and there was no patient to try it with."""
        untried = {check.id for check in self.all_checks if check.outcome is Outcome.NOT_TRIED}
        is_well = any(check.id == "metadata" and check.outcome is Outcome.WORKS for check in self.checks)
        return is_well and "patient" in untried and not self.broken

    @property
    def why_not(self) -> tuple[str, ...]:
        """Why the service cannot work there; empty if it can."""
        reasons = [f"{check.title}: {check.said}" for check in self.broken]
        if not self.readiness.asked:
            reasons.append("no patient was found to try with")
        elif not self.readiness.read:
            reasons.append("of no patient could all be read that the rules need")
        elif not self.readiness.judged:
            reasons.append("no patient could be judged: each verdict is indeterminate")
        return tuple(reasons)

    @property
    def can_work(self) -> bool:
        return not self.why_not
