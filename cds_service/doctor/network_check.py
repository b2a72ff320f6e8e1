"""Whether the service may call the server: it keeps to the servers it is given, and to public addresses."""

from __future__ import annotations

from cds_service.doctor.results import Check, Outcome
from cds_service.fhir_address import FhirAddress
from cds_service.outbound.network import PUBLIC, AddressRefused

_WHICH = ("network", "network address")


def check_network(base: FhirAddress) -> Check:
    """Looks the server's name up, as the service does before each call. The doctor itself calls any address."""
    to_do = f"Name it to the service: TRD_CDS_FHIR_SERVERS={base.url}"
    try:
        PUBLIC.find(base.host, base.port)
    except AddressRefused:
        said = "its name leads to a private or reserved address"
        return Check(*_WHICH, Outcome.LIMITED, said, f"{to_do}, and its network in TRD_CDS_PRIVATE_NETWORKS.")
    except (OSError, ValueError):
        return Check(*_WHICH, Outcome.NOT_TRIED, "its name is not known here; behind a proxy this is normal")
    return Check(*_WHICH, Outcome.WORKS, "one that the service may call", f"{to_do}.")
