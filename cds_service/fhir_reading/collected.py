"""What the readers are given: every resource at hand about one patient, and where each came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.fhir_reading.code_names import Code, KnownName
from cds_service.trd.record import Unread


@dataclass(frozen=True)
class Entry:
    """One FHIR resource as parsed JSON.

    `full_url` is the `fullUrl` of its Bundle entry, or None; `place` says where it stood
    (`prefetch.medications.entry[3].resource`, `export.ndjson line 12`), for messages.
    """

    resource: dict[str, Any]
    full_url: str | None
    place: str


@dataclass(frozen=True)
class Collected:
    """All resources about one patient, before any is understood.

    `patient_id` is the bare logical id. `base_url` is the FHIR server's address without trailing
    slash, if one is known: absolute references below it mean the same as relative ones. `unread`
    lists what could not even be taken as a resource, and what is known to be lacking. `code_names` is
    what a terminology service says of drug codes that our tables lack.
    """

    patient_id: str
    entries: tuple[Entry, ...]
    base_url: str | None = None
    unread: tuple[Unread, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    code_names: Mapping[Code, KnownName] = field(default_factory=dict)
