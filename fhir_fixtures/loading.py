"""Pushes the fixture patients into any FHIR R4 server, and takes them back.

Each patient goes as one transaction of updates, so that loading twice changes nothing; a server that takes
no transactions gets the resources one by one, in an order in which every reference finds its target.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import requests

from cds_service.errors import FhirFatalError, FhirServerError, FhirTemporaryError
from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.references import address_of, names_of_entries, with_references_renamed

FHIR_JSON = "application/fhir+json"
SECONDS_PER_REQUEST = 60
MAY_HELP_TO_RETRY = (429, 502, 503, 504)
NO_TRANSACTIONS_HERE = (400, 404, 405, 501)
GONE = (204, 404, 410)
REFERRED_TO_FIRST = ("Patient", "Medication", "Condition", "Observation")


def load_fixtures(
    base_url: str, only: Iterable[int] | None = None, session: requests.Session | None = None
) -> list[str]:
    """Puts the fixture patients on the server at `base_url`; returns their `Patient/id`s.

    Raises FhirServerError, in one line, when the server cannot be reached or refuses.
    """
    own_session = session or requests.Session()
    return [_load(vignette, base_url.rstrip("/"), own_session) for vignette in vignettes(only)]


def delete_fixtures(
    base_url: str, only: Iterable[int] | None = None, session: requests.Session | None = None
) -> list[str]:
    """Takes the fixture patients, with all that was loaded of them, off the server; returns their `Patient/id`s.

    What is not there, or gone already, is no error. Raises FhirServerError as `load_fixtures` does.
    """
    own_session = session or requests.Session()
    return [_delete(vignette, base_url.rstrip("/"), own_session) for vignette in vignettes(only)]


def transaction_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """The same resources as a transaction of updates whose references are all relative."""
    names = names_of_entries(bundle["entry"])
    resources = [with_references_renamed(entry["resource"], names) for entry in bundle["entry"]]
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": resource, "request": {"method": "PUT", "url": address_of(resource)}}
            for resource in sorted(resources, key=_is_referred_to)
        ],
    }


def _load(vignette: Vignette, base_url: str, session: requests.Session) -> str:
    transaction = transaction_of(vignette.bundle)
    answer = _send(session, "POST", base_url, transaction)
    if answer.status_code in NO_TRANSACTIONS_HERE:
        for entry in transaction["entry"]:
            url = f"{base_url}/{entry['request']['url']}"
            _require_success(_send(session, "PUT", url, entry["resource"]), url)
    else:
        _require_success(answer, base_url)
    return f"Patient/{vignette.patient_id}"


def _delete(vignette: Vignette, base_url: str, session: requests.Session) -> str:
    """One by one, in the reverse order: nothing is taken away that another one still refers to."""
    for entry in reversed(transaction_of(vignette.bundle)["entry"]):
        url = f"{base_url}/{entry['request']['url']}"
        answer = _send(session, "DELETE", url)
        if answer.status_code not in GONE:
            _require_success(answer, url)
    return f"Patient/{vignette.patient_id}"


def _send(
    session: requests.Session, method: str, url: str, body: dict[str, Any] | None = None
) -> requests.Response:
    headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
    try:
        return session.request(
            method, url, json=body, headers=headers, timeout=SECONDS_PER_REQUEST, allow_redirects=False
        )
    except (requests.ConnectionError, requests.Timeout):
        raise FhirTemporaryError(f"{url}: could not be reached") from None
    except (requests.RequestException, ValueError):
        raise FhirFatalError(f"{url}: not an address a FHIR server can be at") from None


def _require_success(answer: requests.Response, url: str) -> None:
    if answer.status_code in (200, 201):
        return
    kind: type[FhirServerError] = (
        FhirTemporaryError if answer.status_code in MAY_HELP_TO_RETRY else FhirFatalError
    )
    raise kind(f"{url}: expected 200 or 201, got {answer.status_code}{_words_of(answer)}")


def _words_of(answer: requests.Response) -> str:
    """What an OperationOutcome says first, on one line."""
    try:
        said = answer.json()["issue"][0]["diagnostics"]
    except (ValueError, LookupError, TypeError):
        return ""
    return f" ({' '.join(str(said).split())[:200]})"


def _is_referred_to(resource: dict[str, Any]) -> tuple[int, bool]:
    """Patients, then what else is referred to, then the rest; a panel after its members, an adverse event
    after the orders that it suspects."""
    type = resource["resourceType"]
    rank = REFERRED_TO_FIRST.index(type) if type in REFERRED_TO_FIRST else len(REFERRED_TO_FIRST)
    return rank, "hasMember" in resource or "suspectEntity" in resource
