"""What all parts of one check share: options, the client, the ledger, the patients, and the FHIR servers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from cds_service.conform import DEFAULT_ORIGIN
from cds_service.conform.exchange import Reply, ServiceClient
from cds_service.conform.hooks import USER, Hook, load_hooks
from cds_service.conform.patients import SyntheticPatient
from cds_service.conform.results import Ledger
from cds_service.conform.signing import Signer
from fhir_fixtures.server import EmbeddedServer, SeenRequest


@dataclass(frozen=True)
class Options:
    """How to check. `on` is today; `fhir_port` 0 is any free port; `signer` makes client tokens."""

    on: date = field(default_factory=date.today)
    only_service: str | None = None
    seconds: float = 20.0
    hooks_version: str = "2.0.1"
    origin: str = DEFAULT_ORIGIN
    fhir_port: int = 0
    fhir_host: str = "127.0.0.1"
    fhir_public_url: str | None = None
    signer: Signer | None = None


@dataclass(frozen=True)
class Entry:
    """One service of discovery that can be called, with its hook if that is one we know a context for."""

    id: str
    hook_name: str
    hook: Hook | None
    prefetch: Mapping[str, str]
    version: str

    def __str__(self) -> str:
        return f"{self.id} ({self.hook_name})"


def entry_from(listed: Mapping[str, Any]) -> Entry:
    """The entry; what is wrong in it has been noted, so that only what can be used is kept."""
    hook_name = str(listed.get("hook", ""))
    found = listed.get("prefetch")
    texts = {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
    version = str(listed.get("version", ""))
    return Entry(str(listed["id"]), hook_name, load_hooks().get(hook_name), texts, version)


@dataclass
class FhirSide:
    """Two FHIR servers on this machine: `home`, which requests name, and `elsewhere`, which nobody allowed.

    `url` is the address of `home` as the service sees it.
    """

    home: EmbeddedServer
    elsewhere: EmbeddedServer
    url: str
    token: str

    @contextmanager
    def listening(self) -> Iterator[list[SeenRequest]]:
        """The requests that `home` heard inside."""
        heard: list[SeenRequest] = []
        before = len(self.home.requests)
        yield heard
        heard += list(self.home.requests)[before:]

    def access(self, **elements: Any) -> dict[str, Any]:
        """The members of a request that grant access to `home`."""
        return {"fhirServer": self.url, "fhirAuthorization": self.grant(**elements)}

    def grant(self, **elements: Any) -> dict[str, Any]:
        return {
            "access_token": self.token,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "trd-cds-conform",
        } | elements


@dataclass
class Examination:
    """One check of one service."""

    options: Options
    client: ServiceClient
    ledger: Ledger
    patients: tuple[SyntheticPatient, ...]
    fhir: FhirSide | None
    why_no_fhir: str = ""
    why_no_service: str = "discovery lists no service that can be called"
    notes: list[str] = field(default_factory=list)
    telling: dict[tuple[str, str], SyntheticPatient] = field(default_factory=dict)
    shown_cards: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def host_is_loopback(self) -> bool:
        return is_loopback(self.client.base_url)

    def context(self, entry: Entry, patient: SyntheticPatient, user: str = USER) -> dict[str, Any]:
        assert entry.hook is not None
        return entry.hook.context(patient.id, user)

    def request(self, entry: Entry, patient: SyntheticPatient, **elements: Any) -> dict[str, Any]:
        """A valid request with everything prefetched; an element given as None is left out."""
        context = elements.get("context") or self.context(entry, patient)
        body: dict[str, Any] = {
            "hook": entry.hook_name,
            "hookInstance": str(uuid.uuid4()),
            "context": context,
            "prefetch": patient.prefetch(entry.prefetch, context) or None,
        } | elements
        return {name: value for name, value in body.items() if value is not None}

    def post(self, entry: Entry, body: Any, what: str, **options: Any) -> Reply:
        content = {"raw": body} if isinstance(body, bytes) else {"body": body}
        return self.client.call("POST", ("cds-services", entry.id), f"{entry}: {what}", **content, **options)

    def telling_patient(self, entry: Entry) -> SyntheticPatient | None:
        """A patient about whom the service has shown a card, none if it never did."""
        return self.telling.get((entry.id, entry.hook_name))

    def any_patient(self, entry: Entry) -> SyntheticPatient:
        return self.telling_patient(entry) or self.patients[0]

    def for_rules(self, *rule_ids: str) -> Callable[[bool, Reply, str], None]:
        """Notes one look at several rules at once, with the whole reply as what came."""

        def expect(holds: bool, reply: Reply, expected: str) -> None:
            for rule_id in rule_ids:
                self.ledger.expect(rule_id, holds, reply.what, expected, reply.shown)

        return expect


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
