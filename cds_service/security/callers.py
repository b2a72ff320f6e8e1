"""Who called, once it is known."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.fhir_address import FhirAddress

DISCOVERY, FEEDBACK = "discovery", "feedback"
"""What may be called beside the services: scopes by these names."""


@dataclass(frozen=True)
class Caller:
    """The client behind a request.

    `fhir_servers` are those it may name, None where only the setting limits them; `scopes` what it may call,
    all if empty. Without authentication all callers are the one of `ANYONE`.
    """

    issuer: str = ""
    name: str = ""
    tenant: str = ""
    subject: str = ""
    scopes: tuple[str, ...] = ()
    fhir_servers: tuple[FhirAddress, ...] | None = None
    requests_per_minute: int | None = None


ANYONE = Caller()
"""The caller where nobody has to say who they are."""
