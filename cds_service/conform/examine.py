"""The whole check of one service: what is called in which order, and the report that comes of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from cds_service.conform.access import OF_ACCESS, check_access
from cds_service.conform.browsers import check_browsers
from cds_service.conform.calls import OF_CALLS, OF_CARDS, check_service, check_unknown_id
from cds_service.conform.cards import CardCheck
from cds_service.conform.client_tokens import OF_TOKENS, check_client_tokens
from cds_service.conform.discovery import check_discovery, check_only_listed_hooks
from cds_service.conform.examination import Entry, Examination, FhirSide, Options, is_loopback
from cds_service.conform.exchange import Reply, ServiceClient
from cds_service.conform.feedback import OF_FEEDBACK, check_feedback
from cds_service.conform.patients import SyntheticPatient, synthetic_patients
from cds_service.conform.replies import inspect_reply
from cds_service.conform.results import Ledger, Report
from cds_service.errors import InputError
from cds_service.listening import cannot_listen
from fhir_fixtures.server import EmbeddedServer

DISCOVERY = "/cds-services"
OF_A_SERVICE = (*OF_CALLS, *OF_CARDS, *OF_ACCESS, *OF_FEEDBACK, *OF_TOKENS, "CH-817")
NO_FHIR_SERVER = (
    "the service runs elsewhere and could not call the checker's FHIR server: give --fhir-server-public-url"
)


def examine(url: str, options: Options) -> Report:
    """Checks the service at this base or discovery address.

    Raises InputError for an address that is none and a service that is not listed, ServiceUnreachable when
    nothing answers.
    """
    base_url = base_of(url)
    patients = synthetic_patients(options.on)
    with _fhir_side(base_url, options, patients) as fhir:
        exam = _examination(base_url, options, patients, fhir)
        exam.client.must_be_reachable()
        return _report(exam, _examine(exam))


def base_of(url: str) -> str:
    """The base address, for a base or discovery address. Raises InputError if it is neither."""
    base = url.rstrip("/").removesuffix(DISCOVERY).rstrip("/")
    if not base.startswith(("http://", "https://")) or any(mark in base for mark in "?# "):
        raise InputError("URL: expected the http(s) base or discovery address of a CDS service")
    return base


@contextmanager
def _fhir_side(
    base_url: str, options: Options, patients: tuple[SyntheticPatient, ...]
) -> Iterator[FhirSide | None]:
    """Two FHIR servers on this machine, if the service can reach it."""
    if not is_loopback(base_url) and options.fhir_public_url is None:
        yield None
        return
    token = f"conform-token-{uuid.uuid4().hex}"
    home, elsewhere = EmbeddedServer(require_token=token), EmbeddedServer()
    try:
        try:
            home.start(options.fhir_host, options.fhir_port)
        except OSError as error:
            raise cannot_listen(options.fhir_host, options.fhir_port, error) from None
        elsewhere.start(options.fhir_host)
        for patient in patients:
            home.load(patient.bundle)
            elsewhere.load(patient.bundle)
        url = (options.fhir_public_url or home.base_url).rstrip("/")
        yield FhirSide(home, elsewhere, url, token)
    finally:
        home.stop()
        elsewhere.stop()


def _examination(
    base_url: str, options: Options, patients: tuple[SyntheticPatient, ...], fhir: FhirSide | None
) -> Examination:
    ledger = Ledger()
    secrets = (fhir.token,) if fhir else ()
    ids = tuple(patient.id for patient in patients)

    def note(reply: Reply) -> None:
        inspect_reply(ledger, reply, secrets, ids)

    sign = options.signer.token if options.signer else None
    client = ServiceClient(base_url, options.seconds, note, sign)
    return Examination(options, client, ledger, patients, fhir, NO_FHIR_SERVER)


def _examine(exam: Examination) -> tuple[Entry, ...]:
    _check_transport(exam)
    listed = check_discovery(exam)
    entries = _chosen(listed, exam.options.only_service)
    if not entries:
        exam.ledger.not_tried(OF_A_SERVICE, exam.why_no_service)
        return entries
    check_only_listed_hooks(exam, listed)
    _check_entries(exam, entries)
    check_unknown_id(exam)
    callable_entry = next((entry for entry in entries if entry.hook is not None), None)
    check_browsers(exam, callable_entry)
    if callable_entry is not None:
        others = tuple(entry for entry in listed if entry.id != callable_entry.id)
        check_client_tokens(exam, callable_entry, others)
    check_feedback(exam, entries)
    return entries


def _chosen(listed: tuple[Entry, ...], only: str | None) -> tuple[Entry, ...]:
    if only is None:
        return listed
    chosen = tuple(entry for entry in listed if entry.id == only)
    if not chosen:
        raise InputError(f"service {only!r}: discovery lists {', '.join(e.id for e in listed) or 'none'}")
    return chosen


def _check_transport(exam: Examination) -> None:
    """The addresses of a service on this machine need no TLS."""
    base = exam.client.base_url
    if exam.host_is_loopback and base.startswith("http://"):
        exam.ledger.not_applicable(("CH-002", "CH-818"), "the service is on this machine only")
        return
    for rule_id in ("CH-002", "CH-818"):
        exam.ledger.expect(rule_id, base.startswith("https://"), "the base address", "https", base)


def _check_entries(exam: Examination, entries: tuple[Entry, ...]) -> None:
    cards = CardCheck(exam.ledger)
    for entry in entries:
        if check_service(exam, entry, cards):
            patient = exam.any_patient(entry)
            full = exam.post(entry, exam.request(entry, patient), "full prefetch once more")
            check_access(exam, entry, full)
    if not exam.telling:
        exam.ledger.not_tried(OF_CARDS, "no card came about any synthetic patient")
    exam.ledger.not_applicable(OF_CARDS, "no card had such a part")
    exam.ledger.not_applicable(["CH-503"], "no system actions came")
    exam.ledger.not_applicable(["CH-901", "CH-902"], "nothing has an extension")


def _report(exam: Examination, entries: tuple[Entry, ...]) -> Report:
    if exam.fhir is not None:
        exam.notes.append(f"The checker's FHIR server was {exam.fhir.url}.")
    cards = len(exam.shown_cards)
    exam.notes.append(
        f"{len(exam.patients)} synthetic patients; cards came from {cards} of {len(entries)} services."
    )
    return Report(
        base_url=exam.client.base_url,
        hooks_version=exam.options.hooks_version,
        services=tuple(str(entry) for entry in entries),
        notes=tuple(exam.notes),
        results=exam.ledger.results(),
    )
