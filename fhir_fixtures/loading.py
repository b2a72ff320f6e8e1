"""Pushes the fixture patients into any FHIR R4 server, and takes them back.

Each patient goes as one transaction of updates, so that loading twice changes nothing; a server that takes
no transactions gets the resources one by one, in an order in which every reference finds its target.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import requests

from cds_service.errors import FhirFatalError, FhirServerError, FhirTemporaryError
from cds_service.fhir_address import read_address
from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.references import address_of, names_of_entries, with_references_renamed
from fhir_fixtures.resource_types import resource_types

FHIR_JSON = "application/fhir+json"
SECONDS_PER_REQUEST = 60
MAY_HELP_TO_RETRY = (429, 502, 503, 504)
NO_TRANSACTIONS_HERE = (400, 404, 405, 501)
HINTS = {
    401: "the server wants a token, and none is sent here",
    403: "the server does not let this be written",
    404: "is this the base address of a FHIR server?",
    405: "is this the base address of a FHIR server that may be written to?",
}
REFERRED_TO_FIRST = ("Patient", "Medication", "Condition", "Observation")


def load_fixtures(
    base_url: str, only: Iterable[int] | None = None, session: requests.Session | None = None
) -> list[str]:
    """Puts the fixture patients on the server at `base_url`; returns their `Patient/id`s.

    Raises FhirServerError, in one line, when the server cannot be reached or refuses.
    """
    base, own_session = _plain_address(base_url), session or requests.Session()
    return [_load(vignette, base, own_session) for vignette in vignettes(only)]


def delete_fixtures(
    base_url: str, only: Iterable[int] | None = None, session: requests.Session | None = None
) -> list[str]:
    """Takes the fixture patients, with all that was loaded of them, off the server; returns their `Patient/id`s.

    What is not there, or gone already, is no error. Raises FhirServerError as `load_fixtures` does; where
    something else on the server refers to a patient, after all others were taken off.
    """
    base, own_session = _plain_address(base_url), session or requests.Session()
    taken: list[str] = []
    kept: list[str] = []
    for vignette in vignettes(only):
        try:
            taken.append(_delete(vignette, base, own_session))
        except StillReferredTo as problem:
            kept.append(str(problem))
    if kept:
        raise StillReferredTo(f"{len(taken)} patients taken off, {len(kept)} not. {'; '.join(kept)}")
    return taken


class StillReferredTo(FhirFatalError):
    """The server keeps what something else that it holds refers to (409)."""


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
            _require_success(_send(session, "PUT", url, entry["resource"]), url, (200, 201))
    else:
        _require_success(answer, base_url, (200, 201))
        _require_whole_transaction(answer, base_url)
    return f"Patient/{vignette.patient_id}"


def _delete(vignette: Vignette, base_url: str, session: requests.Session) -> str:
    """One by one, in the reverse order: nothing is taken away that another one still refers to."""
    for entry in reversed(transaction_of(vignette.bundle)["entry"]):
        url = f"{base_url}/{entry['request']['url']}"
        answer = _send(session, "DELETE", url)
        if answer.status_code == 409:
            raise StillReferredTo(f"{url}: something else there refers to it{_words_of(answer)}")
        if answer.status_code != 410 and not _says_not_found(answer):
            _require_success(answer, url, (200, 202, 204))
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


def _plain_address(base_url: str) -> str:
    """The address without a slash at its end. Raises FhirFatalError, which does not repeat a password in it."""
    base = read_address(base_url.rstrip("/"))
    if base is None:
        raise FhirFatalError(
            "not an address a FHIR server can be at: expected http or https, without a query"
        )
    if base.segments and base.segments[-1] in resource_types():
        raise FhirFatalError("not an address a FHIR server can be at: it ends in the name of a resource type")
    return base.url


def _require_success(answer: requests.Response, url: str, expected: tuple[int, ...]) -> None:
    """Raises unless the status is one of these and what came, if anything, is FHIR: a web page is no success."""
    status = answer.status_code
    if status not in expected:
        kind: type[FhirServerError] = FhirTemporaryError if status in MAY_HELP_TO_RETRY else FhirFatalError
        hint = f"; {HINTS[status]}" if status in HINTS else ""
        raise kind(f"{url}: expected {_any_of(expected)}, got {status}{_words_of(answer)}{hint}")
    if answer.content and _resource_in(answer) is None:
        raise FhirFatalError(f"{url}: expected FHIR JSON, got something else; {HINTS[404]}")


def _any_of(statuses: tuple[int, ...]) -> str:
    *first, last = map(str, statuses)
    return f"{', '.join(first)} or {last}"


def _require_whole_transaction(answer: requests.Response, url: str) -> None:
    bundle = _resource_in(answer) or {}
    entries = bundle.get("entry")
    is_response = bundle.get("type") == "transaction-response" and isinstance(entries, list)
    if not is_response or not all(map(_was_carried_out, entries or ())):
        raise FhirFatalError(f"{url}: expected a transaction-response of successes, got something else")


def _was_carried_out(entry: Any) -> bool:
    try:
        return str(entry["response"]["status"]).startswith("2")
    except (LookupError, TypeError):
        return False


def _says_not_found(answer: requests.Response) -> bool:
    """Whether it is a FHIR server that says so, and not a web server without such a page."""
    return answer.status_code == 404 and _resource_in(answer) is not None


def _resource_in(answer: requests.Response) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) and "resourceType" in content else None


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
