"""What the routes work with: the settings and what follows from them, made once at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cds_service.feedback.memory import Memory
from cds_service.fhir_server.access import FhirPolicy
from cds_service.services import Service
from cds_service.settings import Settings
from cds_service.store.engine import Store
from cds_service.terminology import TerminologyClient
from cds_service.trd.parameters import Definition

if TYPE_CHECKING:
    from cds_service.security.gate import Gate


@dataclass(frozen=True)
class Site:
    """`gate` lets callers in; without one, anybody may call."""

    settings: Settings
    services: tuple[Service, ...]
    policy: FhirPolicy
    terminology: TerminologyClient | None
    definitions: Mapping[str, Definition]
    today: Callable[[], date]
    store: Store
    memory: Memory
    gate: Gate | None = None
