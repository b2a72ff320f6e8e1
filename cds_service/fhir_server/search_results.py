"""What a FHIR search Bundle says: its resources, what it could not hold, and whether more is to come.

The same reading serves prefetched Bundles and those of a server. An error inside a Bundle, or a
value that is no Bundle, raises FhirFatalError: such a value says nothing about the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.errors import FhirFatalError, NotOffered
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_server.page_links import has_estimated_total, is_next
from cds_service.hook_request import name_kind
from cds_service.trd.record import Topic, Unread

# http://hl7.org/fhir/issue-type (R4): only these are told on, as what else a server may put there is its own text
_ISSUE_CODES = frozenset(
    {
        *(
            "invalid",
            "structure",
            "required",
            "value",
            "invariant",
            "processing",
            "not-supported",
            "duplicate",
        ),
        *("multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension", "too-costly"),
        *(
            "business-rule",
            "conflict",
            "informational",
            "security",
            "login",
            "unknown",
            "expired",
            "forbidden",
        ),
        *(
            "suppressed",
            "transient",
            "lock-error",
            "no-store",
            "exception",
            "timeout",
            "incomplete",
            "throttled",
        ),
    }
)
# those of them that say that something was not shown or not reached, however mild the issue's severity
_SAYS_PART = frozenset(
    {
        *("security", "login", "unknown", "expired", "forbidden", "suppressed", "too-costly"),
        *("transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"),
    }
)
# of Epic's servers, as captured in github.com/mock-health/the-map (tests/golden/epic/phase-b-2026-04-26)
_EPIC_MESSAGES = re.compile(r"urn:oid:1\.2\.840\.114350\.1\.13\.[0-9.]{1,40}\.7\.2\.657369", re.ASCII)
_KIND_NOT_SHOWN = ("59204", "59205")
_OUTSIDE_RECORD = re.compile(r"^Client not authorized for \w+ - Outside Record( \w+)?\b", re.ASCII)
_NOT_OFFERED = frozenset({"not-supported", "not-found", "forbidden", "security", "suppressed"})
_HARMLESS = ("warning", "information", "success")
_OF_ANY_NUMBER = {
    Topic.DRUG: (Topic.DRUGS, Topic.FILLS),
    Topic.SCORE: (Topic.SCORE, Topic.SCORES),
}
_NAMES_IN_R4 = {"MedicationOrder": "MedicationRequest"}  # DSTU2


@dataclass(frozen=True)
class Page:
    """One page of a search. `total` is None if it was not stated, `next_link` if this is the last page.

    `is_cut` tells that the server says `incomplete`, of the matches or of what came along with them.
    """

    entries: tuple[Entry, ...]
    unread: tuple[Unread, ...] = ()
    next_link: object = None
    total: int | None = None
    is_cut: bool = False


def read_page(bundle: Any, place: str, topics: tuple[Topic, ...]) -> Page:
    """The page that `bundle` is. `topics` are what an entry that cannot be read might have changed."""
    rows = _read_rows(bundle)
    entries: list[Entry] = []
    unread: list[Unread] = []
    is_cut = False
    for number, row in enumerate(rows):
        where = f"{place}.entry[{number}]"
        resource = row.get("resource") if isinstance(row, dict) else None
        if not isinstance(resource, dict):
            unread.append(_not_a_resource(row, where, topics))
        elif resource.get("resourceType") == "OperationOutcome":
            refuse_errors(resource)
            unread += _says_part(resource, where, topics)
            is_cut |= "incomplete" in _codes_of_part(resource)
        elif "search" in row and _mode_of(row) == "outcome":
            unread.append(Unread(where, "expected an OperationOutcome under search mode outcome", topics))
        else:
            full_url = row.get("fullUrl")
            entries.append(
                Entry(resource, full_url if isinstance(full_url, str) else None, f"{where}.resource")
            )
    total, unread_total = _read_total(bundle, place, topics)
    return Page(tuple(entries), (*unread, *unread_total), _read_next(bundle), total, is_cut)


def may_be_searchset(bundle: dict[str, Any]) -> bool:
    """Whether a Bundle can be the answer to a search.

    Some servers leave the type out; but a Bundle that says nothing at all is not an empty result. OpenEMR's are
    collections; a `total` tells them from any other, since FHIR has it in searches only.
    """
    total = bundle.get("total")
    if bundle.get("type") is None:
        return "entry" in bundle or total is not None
    is_counted = isinstance(total, int) and not isinstance(total, bool)
    return bundle["type"] == "searchset" or (bundle["type"] == "collection" and is_counted)


def refuse_errors(outcome: dict[str, Any]) -> None:
    """Raises FhirFatalError unless every issue of this OperationOutcome is a mere warning or remark."""
    issues = _issues(outcome)
    if not issues or any(issue.get("severity") not in _HARMLESS for issue in issues):
        raise _instead_of_data(outcome)


def _says_part(outcome: dict[str, Any], where: str, topics: tuple[Topic, ...]) -> list[Unread]:
    """A gap if a warning or remark says that this is not all: any number of records may be lacking."""
    codes = _codes_of_part(outcome)
    if codes:
        problem = f"the FHIR server says that it may not have sent all ({', '.join(sorted(codes))})"
        return [Unread(where, problem, of_whole_search(topics))]
    if any(_is_of_outside_records(issue) for issue in _issues(outcome)):
        problem = "the FHIR server does not show records of other organisations to this client"
        return [Unread(where, problem, (Topic.NONE,))]
    return []


def _codes_of_part(outcome: dict[str, Any]) -> set[str]:
    issues = (issue for issue in _issues(outcome) if not _is_of_outside_records(issue))
    return {code for issue in issues if isinstance(code := issue.get("code"), str)} & _SAYS_PART


def _is_of_outside_records(issue: dict[str, Any]) -> bool:
    """Whether Epic says that this client may not see what other organisations sent: the chart itself is whole."""
    details, said = issue.get("details"), issue.get("diagnostics")
    codings = details.get("coding") if isinstance(details, dict) else None
    is_of_a_kind = any(
        isinstance(coding, dict)
        and coding.get("code") in _KIND_NOT_SHOWN
        and _EPIC_MESSAGES.fullmatch(str(coding.get("system")))
        for coding in (codings if isinstance(codings, list) else [])
    )
    is_warning = (issue.get("severity"), issue.get("code")) == ("warning", "suppressed")
    return is_warning and is_of_a_kind and isinstance(said, str) and bool(_OUTSIDE_RECORD.search(said))


def of_whole_search(topics: tuple[Topic, ...]) -> tuple[Topic, ...]:
    """The questions of one record as those that any number of such records bear on."""
    return tuple(wide for topic in topics for wide in _OF_ANY_NUMBER.get(topic, (topic,)))


def _instead_of_data(outcome: dict[str, Any]) -> FhirFatalError:
    return error_of(outcome, "an OperationOutcome instead of data")


def error_of(outcome: dict[str, Any], message: str) -> FhirFatalError:
    """The error that an OperationOutcome is: NotOffered where all its codes say that there is no such data."""
    codes = {issue["code"] for issue in _issues(outcome) if isinstance(issue.get("code"), str)}
    kind = NotOffered if codes and codes <= _NOT_OFFERED else FhirFatalError
    return kind(f"{message}{describe_issues(outcome)}")


def describe_issues(outcome: Any) -> str:
    """The issue codes of an OperationOutcome as ` (forbidden, timeout)`; never its free text."""
    issues = outcome.get("issue") if isinstance(outcome, dict) else None
    codes = (
        [issue.get("code") for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    )
    known = [code for code in codes if isinstance(code, str) and code in _ISSUE_CODES]
    return f" ({', '.join(dict.fromkeys(known[:3]))})" if known else ""


def _issues(outcome: Any) -> list[dict[str, Any]]:
    issues = outcome.get("issue") if isinstance(outcome, dict) else None
    return [issue for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []


def count_matches(pages: Iterable[Page], resource_type: str) -> int:
    """How many matches the pages hold, to be held against the `total` that the server states.

    What a page repeats of an earlier one is an overlap and does not count; what it holds twice by itself
    is also twice in the server's count. Other types come along beside the matches and are left out. What
    could not be read counts; a remark that bears on nothing is no match.
    """
    count = 0
    before: set[str] = set()
    for page in pages:
        ids = [entry.resource.get("id") for entry in page.entries if _may_be(entry, resource_type)]
        named = [logical_id for logical_id in ids if isinstance(logical_id, str)]
        unread = sum(gap.topics != (Topic.NONE,) for gap in page.unread)
        count += len(ids) - sum(logical_id in before for logical_id in named) + unread
        before.update(named)
    return count


def stated_total(pages: Sequence[Page], seen: int) -> int | None:
    """How many matches there are by the server's word; None if it does not say.

    The largest number counts, but for a last page that agrees with what was `seen`: Google's servers estimate up to
    there.
    """
    if len(pages) > 1 and pages[-1].total == seen:
        return seen
    return max((page.total for page in pages if page.total is not None), default=None)


def repeats_only(pages: Iterable[Page]) -> bool:
    """Whether one of the pages has entries and none that was not on an earlier page: then another one was meant."""
    before: set[tuple[object, str]] = set()
    for page in pages:
        named = [(entry.resource.get("resourceType"), entry.resource.get("id")) for entry in page.entries]
        here = {(kind, logical_id) for kind, logical_id in named if isinstance(logical_id, str)}
        if before and here and here <= before:
            return True
        before |= here
    return False


def _may_be(entry: Entry, resource_type: str) -> bool:
    found = entry.resource.get("resourceType")
    return not isinstance(found, str) or _NAMES_IN_R4.get(found, found) == resource_type


def _read_rows(bundle: Any) -> list[Any]:
    if not isinstance(bundle, dict):
        raise FhirFatalError(f"expected a Bundle, got {name_kind(bundle)}")
    resource_type = bundle.get("resourceType")
    if resource_type == "OperationOutcome":
        raise _instead_of_data(bundle)
    if resource_type != "Bundle":
        raise FhirFatalError("expected a Bundle, got another resource or none")
    rows = bundle.get("entry", [])
    if not isinstance(rows, list):
        raise FhirFatalError(f"expected an array at $.entry of the Bundle, got {name_kind(rows)}")
    return rows


def _not_a_resource(row: Any, where: str, topics: tuple[Topic, ...]) -> Unread:
    if not isinstance(row, dict):
        return Unread(where, f"expected an object, got {name_kind(row)}", topics)
    found = name_kind(row["resource"]) if "resource" in row else "nothing"
    return Unread(f"{where}.resource", f"expected a resource, got {found}", topics)


def _mode_of(row: dict[str, Any]) -> object:
    search = row.get("search")
    return search.get("mode") if isinstance(search, dict) else None


def _read_total(
    bundle: dict[str, Any], place: str, topics: tuple[Topic, ...]
) -> tuple[int | None, tuple[Unread, ...]]:
    total = bundle.get("total")
    if total is None or has_estimated_total(bundle):
        return None, ()
    if isinstance(total, int) and not isinstance(total, bool):
        return total, ()
    problem = f"expected a whole number, got {name_kind(total)}: whether entries are lacking is unknown"
    return None, (Unread(f"{place}.total", problem, topics),)


def _read_next(bundle: dict[str, Any]) -> object:
    """The `url` of the link `next`. An unreadable one, or several, are kept as none that can be followed.

    So this is not taken for the last page.
    """
    links = bundle.get("link", [])
    if not isinstance(links, list):
        return ""
    found = [link.get("url") or "" for link in links if isinstance(link, dict) and is_next(link)]
    if any(url != found[0] for url in found):
        return ""
    return found[0] if found else None
