"""How the Flask app is put together from settings: tables read, routes added, log opened."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from flask import Flask

from cds_service.errors import InputError, SettingsError
from cds_service.feedback.memory import Memory
from cds_service.fhir_server.access import FhirPolicy
from cds_service.logs import open_log
from cds_service.made_up_chart import ON, made_up_chart
from cds_service.outbound.bounded_get import Places
from cds_service.outbound.network import Network
from cds_service.respond import assess_collected, reply
from cds_service.services import Service, find_services
from cds_service.settings import PREFIX, Settings, find_problems, load_settings
from cds_service.store.engine import Store, open_store
from cds_service.tables.definitions import load_definitions
from cds_service.terminology import open_terminology
from cds_service.tracing import switch_tracing
from cds_service.trd.parameters import Definition
from cds_service.web import add_routes
from cds_service.web.site import Site

if TYPE_CHECKING:
    from cds_service.fhir_server.backend_services import BackendService
    from cds_service.security.gate import Gate

GC_ALLOCATIONS = 100_000

logger = logging.getLogger("cds_service.app")


def create_app(settings: Settings, today: Callable[[], date] | None = None) -> Flask:
    """The service as a WSGI app. `today` tells the date that all windows are counted from.

    Raises SettingsError for settings that do not fit together, for definitions of the site that are wrong, and
    for a store that cannot be opened.
    """
    definitions = _check(settings)
    _read_tables(settings.definition, definitions)
    switch_tracing(settings.tracing)
    store = open_store(settings.store_url)
    app = Flask("cds_service", static_folder=None, template_folder="pages")
    app.url_map.merge_slashes = False  # a redirect would repeat the caller's Host header
    services = find_services(settings.prefetch_include)
    site = Site(
        settings=settings,
        services=services,
        policy=FhirPolicy(
            allowed=settings.allowed_fhir_servers,
            allow_plain_http=not settings.is_production,
            fetch_seconds=settings.fetch_seconds,
            include_medications=settings.prefetch_include,
            fetch_pages=settings.fetch_pages,
            fetch_mib=settings.fetch_mb,
            network=Network(settings.allowed_networks),
            places=Places(settings.fetches_at_once),
            own=_open_backend_services(settings),
        ),
        terminology=open_terminology(settings),
        definitions=definitions,
        today=today or date.today,
        gate=_open_gate(settings, services, store),
        store=store,
        memory=Memory(
            store,
            quiet_days=settings.quiet_days,
            safety_quiet_days=settings.safety_quiet_days,
        ),
    )
    add_routes(app, site)
    return app


def create_from_environment() -> Flask:
    """The entry for a WSGI server: `gunicorn 'cds_service.app:create_from_environment()'`."""
    settings = load_settings()
    open_log(settings.log_level, settings.log_format)
    app = create_app(settings)
    announce_mode(settings)
    settle_memory()
    return app


def announce_mode(settings: Settings) -> None:
    """Says at the start who may call, where that is for development only."""
    if not settings.is_production:
        logger.warning("development mode: %s", _who_may_call(settings))


def _who_may_call(settings: Settings) -> str:
    if not settings.needs_client_auth:
        return "anybody on this machine may call"
    if settings.sandbox_client:
        return "client tokens are needed, but anybody can sign those of the public sandbox"
    return "client tokens are needed"


def settle_memory() -> None:
    """Keeps the garbage collector from looking through all that was loaded again and again; before workers are forked.

    What is there now is for good, and left as it is: a collection would take longer than all tables, free next to
    nothing, and leave holes in pages that the workers share. A request makes many thousands of JSON values and no
    cycles; with the default thresholds the collector's share grows faster than the request.
    """
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)
    gc.enable()


# Tokens are read and signed with PyJWT and cryptography, a tenth of a worker's memory: loaded where there are some.


def _open_gate(settings: Settings, services: tuple[Service, ...], store: Store) -> Gate | None:
    """Who is let in; None where anybody is. Clients are read in either case, so that a mistake is found early."""
    if not settings.clients and not settings.needs_client_auth:
        return None
    from cds_service.security.gate import open_gate
    from cds_service.security.replay import UsedTokens

    gate = open_gate(settings, UsedTokens(store.engine), (service.id for service in services))
    return gate if settings.needs_client_auth else None


def _open_backend_services(settings: Settings) -> tuple[BackendService, ...]:
    if not settings.backend_services:
        return ()
    from cds_service.fhir_server.backend_services import open_backend_services

    return open_backend_services(settings)


def _read_tables(definition_id: str, definitions: Mapping[str, Definition]) -> None:
    """Answers for a made-up chart: all tables are read, and found sound, before the first request."""
    reply(assess_collected(made_up_chart(), definition_id, ON, definitions=definitions))


def _check(settings: Settings) -> Mapping[str, Definition]:
    """All definitions that are looked at, once the settings are sound and name one of them."""
    problems = find_problems(settings)
    if problems:
        raise SettingsError("; ".join(problems))
    try:
        known = load_definitions(settings.definitions_dir)
    except InputError as error:
        raise SettingsError(f"{PREFIX}DEFINITIONS_DIR: {error}") from None
    if settings.definition not in known:
        raise SettingsError(
            f"{PREFIX}DEFINITION: expected one of {', '.join(sorted(known))}, got {settings.definition!r}"
        )
    return known
