"""The optional terminology service: names for drug codes that our tables lack.

It is asked within a time budget, only for such codes, and is sent nothing but the code and its system.
Whatever goes wrong with it leaves the code unknown, as without it. Logs count codes and never show one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cds_service.errors import FhirFatalError, FhirServerError, FhirTemporaryError
from cds_service.fhir_address import FhirAddress, read_address
from cds_service.fhir_reading.code_names import Code, KnownName, codes_without_name
from cds_service.fhir_reading.collected import Collected
from cds_service.fhir_server.access import run_together
from cds_service.outbound.bounded_get import Bounds, get_once, send_nothing
from cds_service.outbound.network import PUBLIC, Network
from cds_service.terminology_cache import Answer, TerminologyCache, default_cache_file
from cds_service.terminology_questions import FAILED_SECONDS, ask_fhir, ask_rxnav, may_be_sent

if TYPE_CHECKING:
    from cds_service.settings import Settings

logger = logging.getLogger("cds_service.terminology")

MOST_CODES = 50  # asked for in one request; the others get their turn in the next
REST_SECONDS = 60.0  # after a look-up that got no answer at all
LARGEST_MIB = 1

_WHAT, _SERVER = "look-up of a code", "the terminology service"
_NOT_KNOWN = (400, 404, 422)  # how servers say that they do not know the code or its system
_ACCEPT = {"fhir": "application/fhir+json", "rxnav": "application/json"}
_JSON = ("application/fhir+json", "application/json")


def open_terminology(settings: Settings, network: Network | None = None) -> TerminologyClient | None:
    """The service that the settings name, if they do. It is not called yet.

    `network` is where it may be, as the settings say unless given.
    """
    base = read_address(settings.terminology_server)
    if base is None:
        return None
    file = settings.terminology_cache or default_cache_file()
    where = network or Network(settings.allowed_networks)
    return TerminologyClient(base, settings.terminology_kind, settings.terminology_seconds, file, where)


def name_codes(collected: Collected, terminology: TerminologyClient | None) -> Collected:
    """The collection with what the service knows of the codes that our tables lack. Never raises."""
    if terminology is None:
        return collected
    codes = codes_without_name(entry.resource for entry in collected.entries)
    return replace(collected, code_names=terminology.look_up(codes)) if codes else collected


class TerminologyClient:
    """Calls to one terminology service, at most `seconds` for all codes of one look-up."""

    def __init__(
        self,
        base: FhirAddress,
        kind: Literal["fhir", "rxnav"],
        seconds: float,
        cache_file: Path | None,
        network: Network = PUBLIC,
    ) -> None:
        self._base = base
        self._network = network
        self._kind = kind
        self._seconds = seconds
        self._cache = TerminologyCache(base.url, cache_file)
        self._rests_until = 0.0

    def look_up(self, codes: Iterable[Code]) -> dict[Code, KnownName]:
        """What is known of these codes, from the cache or by asking; codes without a name are left out."""
        wanted = [code for code in codes if may_be_sent(code)]
        known = self._cache.find(wanted)
        lacking = [code for code in wanted if code not in known][:MOST_CODES]
        if lacking and time.monotonic() >= self._rests_until:
            known |= self._ask_all(lacking)
        return {code: name for code, name in known.items() if name is not None}

    def _ask_all(self, codes: Sequence[Code]) -> dict[Code, KnownName | None]:
        deadline = time.monotonic() + self._seconds
        results = run_together({code: partial(self._ask, code, deadline) for code in codes}, deadline)
        answers = {code: _answer_in(result) for code, result in results.items()}
        failed = [result for result in results.values() if isinstance(result, FhirServerError)]
        if len(failed) == len(codes):
            self._rests_until = time.monotonic() + REST_SECONDS
        self._cache.keep(answers)
        logger.info("terminology service asked for %d codes, %d failed", len(codes), len(failed))
        return {code: answer.name for code, answer in answers.items()}

    def _ask(self, code: Code, deadline: float) -> Answer:
        ask = ask_fhir if self._kind == "fhir" else ask_rxnav
        return ask(partial(self._get, Bounds(deadline, LARGEST_MIB, self._network)), code, self._base.url)

    def _get(self, bounds: Bounds, path: str) -> bytes | None:
        answer = get_once(
            f"{self._base.url}/{path}",
            bounds,
            _WHAT,
            server=_SERVER,
            is_loopback=self._base.is_loopback,
            sign=send_nothing,
            accept=_ACCEPT[self._kind],
        )
        if answer.status in _NOT_KNOWN:
            return None
        if answer.status != 200:
            raise FhirTemporaryError(f"{_SERVER} answered {answer.status}")
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type not in _JSON:
            raise FhirFatalError(f"{_SERVER} answered with something that is not JSON")
        return answer.body


def _answer_in(result: Answer | FhirServerError) -> Answer:
    """A code whose look-up failed is taken as unknown for a short while, so that it cannot stall each request."""
    return result if isinstance(result, Answer) else Answer(None, FAILED_SECONDS)
