"""Which CDS services there are. Discovery is derived from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cds_service.errors import UnknownService
from cds_service.needs import needs

BALLOT_VERSION = (
    "STU3"  # what 3.0.0-ballot calls itself in discovery; strict clients of 2.x refuse the element
)


@dataclass(frozen=True)
class Service:
    """One CDS service as discovery shows it. `id` stands in a URL as it is."""

    id: str
    hook: str
    title: str
    description: str
    usage_requirements: str
    prefetch: tuple[tuple[str, str], ...]


_DATA = (
    "Needs the prefetch keys patient, medications, observations and conditions, or read access to "
    "the FHIR server for those that are not prefetched and for Medications that prescriptions refer "
    "to. Without the data the answer is 412, never an empty list of cards. Dispensings, statements, "
    "administrations, procedures, filled-in questionnaires, adverse events, allergies and open requests are "
    "read where they can be had; the answer says where they were not."
)
_DRAFTS = (
    "Orders of other drugs, and orders without a drug, are answered at once with no card and need no data. "
)


def find_services(include_medications: bool = False) -> tuple[Service, ...]:
    """All services; `include_medications` is the setting `prefetch_include`."""
    prefetch = tuple((need.key, need.template) for need in needs(include_medications))
    return (
        Service(
            id="trd-patient-view",
            hook="patient-view",
            title="Treatment-resistant depression: adequate-trial criteria",
            description=(
                "Tells whether the record shows that adequate-trial criteria for treatment-resistant "
                "depression are met: which antidepressant trials, at what dose, for how long, with what "
                "effect, and what is not known."
            ),
            usage_requirements=_DATA,
            prefetch=prefetch,
        ),
        Service(
            id="trd-encounter-start",
            hook="encounter-start",
            title="Treatment-resistant depression at intake: adequate-trial criteria",
            description=(
                "Tells at the start of an encounter what trd-patient-view tells when a chart is opened: whether "
                "adequate-trial criteria for treatment-resistant depression are met, and what to settle at intake."
            ),
            usage_requirements=_DATA,
            prefetch=prefetch,
        ),
        Service(
            id="trd-order-select",
            hook="order-select",
            title="Antidepressant being ordered, in the light of earlier trials",
            description=(
                "Judges the selected draft of an antidepressant or augmenting agent by the record: whether the "
                "drug or its class has failed, whether the dose is below the adequate minimum, whether a running "
                "trial would be cut short, whether two trials have failed already, and washout and duplicates."
            ),
            usage_requirements=_DRAFTS + _DATA,
            prefetch=prefetch,
        ),
        Service(
            id="trd-order-sign",
            hook="order-sign",
            title="Antidepressant about to be signed, in the light of earlier trials",
            description=(
                "Judges all drafts of antidepressants and augmenting agents that are about to be signed, as "
                "trd-order-select judges the selected ones."
            ),
            usage_requirements=_DRAFTS + _DATA,
            prefetch=prefetch,
        ),
    )


def find_service(services: tuple[Service, ...], service_id: str) -> Service:
    """The service with this id. Raises UnknownService."""
    for service in services:
        if service.id == service_id:
            return service
    known = ", ".join(service.id for service in services)
    raise UnknownService(f"There is no service with this id; there is: {known}.")


def discovery(services: tuple[Service, ...], cds_hooks_version: str = "2.0.1") -> dict[str, Any]:
    """The body of GET /cds-services; the ballot of 3.0.0 adds to each entry which version the service keeps to."""
    added = {"version": BALLOT_VERSION} if cds_hooks_version == "3.0.0-ballot" else {}
    return {
        "services": [
            {
                "hook": service.hook,
                "title": service.title,
                "description": service.description,
                "id": service.id,
                "prefetch": dict(service.prefetch),
                "usageRequirements": service.usage_requirements,
                **added,
            }
            for service in services
        ]
    }
