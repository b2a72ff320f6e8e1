"""What the server says of itself: metadata, FHIR version, software, content type, SMART configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from cds_service.doctor.asking import FHIR_JSON, Answer, Asker, shown
from cds_service.doctor.results import Check, Outcome
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.fhir_server.backend_services import is_encrypted

_STATEMENTS = ("CapabilityStatement", "Conformance")  # the latter in DSTU2
_JSON_TYPES = (FHIR_JSON, "application/json", "application/json+fhir")
_CHECK_SEARCHES = "It may still work: the searches below tell."


def check_metadata(metadata: Answer, base: FhirAddress) -> Check:
    """Whether the server tells what it is."""
    if 300 <= metadata.status < 400:
        return _check("metadata", "metadata", Outcome.LIMITED, *_redirected(metadata, base), metadata.seconds)
    if metadata.status == 0:
        said, to_do = metadata.problem, "The service does without, and other things are answered."
        return _check("metadata", "metadata", Outcome.LIMITED, said, to_do, metadata.seconds)
    if metadata.why_not_usable:
        to_do = "The service does without. Is this the base address, what stands before /Patient, and the token good?"
        return _check(
            "metadata", "metadata", Outcome.LIMITED, metadata.why_not_usable, to_do, metadata.seconds
        )
    if metadata.resource_type not in _STATEMENTS:
        said = "answered with another resource than a CapabilityStatement"
        to_do = "Is this the base address, what stands before /Patient?"
        return _check("metadata", "metadata", Outcome.LIMITED, said, to_do, metadata.seconds)
    return _check("metadata", "metadata", Outcome.WORKS, metadata.resource_type, "", metadata.seconds)


def _redirected(metadata: Answer, base: FhirAddress) -> tuple[str, str]:
    """Where to the server sends whoever asks for its metadata, as far as that is a plain address, and what to do."""
    try:
        target = urljoin(f"{base.url}/metadata", metadata.location).partition("?")[0]
    except ValueError:
        target = ""
    address = read_address(target.removesuffix("/").removesuffix("/metadata"))
    if address is None or not metadata.location:
        return metadata.why_not_usable, "Give the address that it leads to."
    said = f"{metadata.why_not_usable}. It leads to {address.url}"
    return said, f"If that is a FHIR server's base address, give it: --fhir-server {address.url}"


_ANSWER_JSON = "Let the server answer in FHIR JSON when it is asked for so; the service sends no _format."


def check_content_type(answer: Answer) -> Check:
    """What comes for `Accept: application/fhir+json`."""
    asked = f"Accept: {FHIR_JSON}"
    if answer.status == 406:
        said = "answered 406, not acceptable"
        return _check("content-type", asked, Outcome.FAILS, said, _ANSWER_JSON)
    if answer.content is None and answer.status != 200:
        return _check("content-type", asked, Outcome.NOT_TRIED, "nothing came to tell it by")
    if answer.content is None:
        said = f"answered {answer.content_type or 'without Content-Type'}, no JSON"
        return _check("content-type", asked, Outcome.FAILS, said, _ANSWER_JSON)
    if answer.content_type not in _JSON_TYPES:
        said = f"JSON, but called {answer.content_type or 'nothing'}"
        return _check("content-type", asked, Outcome.LIMITED, said, "The service reads it all the same.")
    return _check("content-type", asked, Outcome.WORKS, f"answered {answer.content_type}")


# --- version ----------------------------------------------------------------------------------------------

_AS_R4 = (
    "It is searched as R4 names things, which it understands in part; resources are read like those of R4. "
)
_VERSIONS = (
    ("4.0", "R4", Outcome.WORKS, ""),
    ("4.1", "R4B (draft)", Outcome.WORKS, ""),
    ("4.3", "R4B", Outcome.WORKS, ""),
    (
        "5.",
        "R5",
        Outcome.LIMITED,
        _AS_R4 + _CHECK_SEARCHES + " An R4 address, if there is one, is better tested.",
    ),
    (
        "3.",
        "STU3",
        Outcome.LIMITED,
        _AS_R4 + _CHECK_SEARCHES + " An R4 address, if there is one, is better tested.",
    ),
    (
        *("1.", "DSTU2", Outcome.FAILS),
        "It has no MedicationRequest, which the rules need: use its R4 address, or assess files exported from it.",
    ),
    (
        *("0.", "DSTU2", Outcome.FAILS),
        "It has no MedicationRequest, which the rules need: use its R4 address, or assess files exported from it.",
    ),
)


def version_of(metadata: Answer) -> str:
    """The FHIR version as the server writes it, empty if it does not."""
    return shown(_statement(metadata).get("fhirVersion"), 20)


def check_version(metadata: Answer) -> Check:
    """R4 and R4B are what the service is made for. Which searches fail decides, not what the version is called."""
    version = version_of(metadata)
    if not version:
        return _check(
            "fhir-version", "FHIR version", Outcome.NOT_TRIED, "metadata tells none", _CHECK_SEARCHES
        )
    for start, name, outcome, to_do in _VERSIONS:
        if version.startswith(start):
            return _check("fhir-version", "FHIR version", outcome, f"{version} ({name})", to_do)
    said = f"{version}, which this service does not know"
    return _check("fhir-version", "FHIR version", Outcome.LIMITED, said, _CHECK_SEARCHES)


def software_of(metadata: Answer) -> str:
    """Name and version of the software, empty if the server does not tell."""
    software = _statement(metadata).get("software")
    parts = (software.get("name"), software.get("version")) if isinstance(software, dict) else ()
    return " ".join(filter(None, map(shown, parts)))


def check_software(metadata: Answer) -> Check:
    name = software_of(metadata)
    outcome = Outcome.WORKS if name else Outcome.NOT_TRIED
    return _check("software", "software", outcome, name or "metadata tells none")


def is_declared(metadata: Answer, resource_type: str, parameter: str | None) -> bool | None:
    """Whether metadata names this search, or reads by id where `parameter` is None. None if it cannot be told."""
    resources = list(_resources_of(_statement(metadata)))
    if not resources:
        return None
    return any(_names(row, parameter) for row in resources if row.get("type") == resource_type)


def _names(row: dict[str, Any], parameter: str | None) -> bool:
    if parameter is None:
        return any(item.get("code") == "read" for item in _objects(row.get("interaction")))
    return any(item.get("name") == parameter for item in _objects(row.get("searchParam")))


def _resources_of(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for rest in _objects(statement.get("rest")):
        yield from _objects(rest.get("resource"))


def _statement(metadata: Answer) -> dict[str, Any]:
    return metadata.content if metadata.resource_type in _STATEMENTS else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# --- SMART ------------------------------------------------------------------------------------------------

_SMART_PATH = ".well-known/smart-configuration"
_SIGNING = frozenset({"RS384", "ES384"})


def check_smart(asker: Asker) -> tuple[Check, ...]:
    """Whether the server tells where tokens come from, and whether this service could ask for its own."""
    answer = asker.get(_SMART_PATH, "SMART configuration", with_token=False, accept="application/json")
    content = answer.content if answer.status == 200 else None
    if not isinstance(content, dict) or "resourceType" in content:
        said = answer.problem or f"answered {answer.status}, no SMART configuration"
        to_do = "Tokens then come with the EHR's requests, or none is needed. For tokens of its own set token_url."
        outcome = Outcome.NOT_TRIED if answer.status == 0 else Outcome.LIMITED
        return (_check("smart-configuration", "SMART configuration", outcome, said, to_do, answer.seconds),)
    return (
        _check("smart-configuration", "SMART configuration", Outcome.WORKS, "there", "", answer.seconds),
        _check_token_endpoint(content, asker.base),
        _check_backend(content),
    )


def _check_token_endpoint(configuration: dict[str, Any], base: FhirAddress) -> Check:
    title = "token endpoint"
    endpoint = read_address(configuration.get("token_endpoint"))
    if endpoint is None or not is_encrypted(endpoint):
        said = "none that is a plain https address"
        return _check(
            "token-endpoint", title, Outcome.LIMITED, said, "Set token_url to have tokens of its own."
        )
    if (endpoint.scheme, endpoint.host, endpoint.port) != (base.scheme, base.host, base.port):
        to_do = f'Set token_url = "{endpoint.url}": one on another host is used only if the settings name it.'
        return _check("token-endpoint", title, Outcome.LIMITED, f"{endpoint.url}, on another host", to_do)
    return _check("token-endpoint", title, Outcome.WORKS, endpoint.url)


def _check_backend(configuration: dict[str, Any]) -> Check:
    """SMART Backend Services: client credentials, with a key."""
    lacking = []
    if "client_credentials" not in _texts(configuration.get("grant_types_supported")):
        lacking.append("grant type client_credentials")
    if "client-confidential-asymmetric" not in _texts(configuration.get("capabilities")):
        lacking.append("capability client-confidential-asymmetric")
    algorithms = configuration.get("token_endpoint_auth_signing_alg_values_supported")
    if algorithms is not None and not _SIGNING & _texts(algorithms):
        lacking.append("RS384 or ES384")
    title = "backend services"
    if lacking:
        to_do = "Let the EHR send its token with each request, or register the service by hand if the server can do it."
        return _check(
            "backend-services", title, Outcome.LIMITED, f"does not name {', '.join(lacking)}", to_do
        )
    said = "client credentials with a key: the service can have tokens of its own"
    return _check("backend-services", title, Outcome.WORKS, said)


def _texts(value: object) -> frozenset[str]:
    return (
        frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
    )


def _check(
    id: str, title: str, outcome: Outcome, said: str, to_do: str = "", seconds: float | None = None
) -> Check:
    return Check(id, title, outcome, said, to_do, seconds=seconds)
