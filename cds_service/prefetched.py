"""What the prefetch of a request gave of what the rules need, and what it is lacking and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cds_service.errors import FhirFatalError, FhirServerError, NotOffered
from cds_service.fhir_reading.collected import Entry
from cds_service.fhir_server.search_results import Page, count_matches, read_page, refuse_errors
from cds_service.hook_request import HookRequest, name_kind
from cds_service.needs import Need

_NOT_GIVEN: Any = object()


@dataclass(frozen=True)
class Lacking:
    """A need that the prefetch did not satisfy, why, and the first page if there was one.

    `is_offered` is False when the client did not prefetch it or was not let see it: then there may be none.
    """

    need: Need
    reason: str = ""
    first: Page | None = None
    is_offered: bool = True

    def in_words(self, problem: FhirServerError) -> str:
        """Why the need stays unmet, `problem` being why it could not be fetched."""
        return (
            f"{self.need.key}: {self.reason}, and {problem}" if self.reason else f"{self.need.key}: {problem}"
        )


def read_prefetch(
    request: HookRequest, wanted: tuple[Need, ...]
) -> tuple[dict[str, Page], tuple[Lacking, ...]]:
    found: dict[str, Page] = {}
    lacking: list[Lacking] = []
    for need in wanted:
        read = _read_prefetched(need, request.prefetch.get(need.key, _NOT_GIVEN), request.patient_id)
        if isinstance(read, Page):
            found[need.key] = read
        else:
            lacking.append(read)
    return found, tuple(lacking)


def _read_prefetched(need: Need, value: Any, patient_id: str) -> Page | Lacking:
    if value is _NOT_GIVEN:
        return Lacking(need, "it was not prefetched", is_offered=False)
    if value is None:  # the client looked, and there is nothing
        return Page(())
    place = f"prefetch.{need.key}"
    try:
        page = _read_one(value, place, patient_id) if need.is_read else read_page(value, place, need.topics)
    except FhirFatalError as error:
        is_offered = not isinstance(error, NotOffered)
        return Lacking(need, f"the prefetch holds no usable result ({error})", is_offered=is_offered)
    if page.next_link is not None:
        return Lacking(need, "the prefetch holds only the first page of several", page)
    seen = count_matches((page,), need.resource_type)
    if page.total is not None and page.total > seen:
        return Lacking(need, f"the prefetch holds {seen} entries of {page.total}")
    return page


def _read_one(value: Any, place: str, patient_id: str) -> Page:
    """A prefetched Patient. Another person's, taken as "nothing known", would hide whose data came along."""
    if not isinstance(value, dict):
        raise FhirFatalError(f"expected a Patient, got {name_kind(value)}")
    if value.get("resourceType") == "OperationOutcome":
        refuse_errors(value)
    if value.get("resourceType") != "Patient":
        raise FhirFatalError("expected a Patient, got another resource or none")
    if value.get("id") != patient_id:
        raise FhirFatalError("expected the Patient of context.patientId, got another")
    return Page((Entry(value, None, place),))
