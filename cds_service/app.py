"""How the Flask app is put together from settings: tables read, routes added, log opened."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import date

from flask import Flask

from cards.suggestions import build_templates
from cds_service.errors import InputError, SettingsError
from cds_service.feedback.memory import Memory
from cds_service.fhir_access import FhirPolicy
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.respond import assess_collected, reply
from cds_service.services import find_services
from cds_service.settings import PREFIX, Settings, find_problems, load_settings
from cds_service.store.engine import open_store
from cds_service.tables.definitions import load_definitions
from cds_service.terminology import open_terminology
from cds_service.trd.parameters import Definition
from cds_service.web import add_routes
from cds_service.web.site import Site

GC_ALLOCATIONS = 100_000

_CHART = Collected(
    "start",
    tuple(
        Entry(
            {"resourceType": kind, "id": kind, "subject": {"reference": "Patient/start"}, **elements},
            None,
            "",
        )
        for kind, elements in (
            (
                "MedicationRequest",
                {"status": "active", "intent": "order", "medicationCodeableConcept": {"text": "sertraline"}},
            ),
            ("Observation", {"status": "final", "code": {"text": "PHQ-9"}, "valueInteger": 5}),
            ("Condition", {"code": {"text": "depression"}}),
        )
    ),
)


def create_app(settings: Settings, today: Callable[[], date] | None = None) -> Flask:
    """The service as a WSGI app. `today` tells the date that all windows are counted from.

    Raises SettingsError for settings that do not fit together, for definitions of the site that are wrong, and
    for a store that cannot be opened.
    """
    definitions = _check(settings)
    _read_tables(settings.definition, definitions)
    store = open_store(settings.store_url)
    app = Flask("cds_service", static_folder=None, template_folder="pages")
    app.url_map.merge_slashes = False  # a redirect would repeat the caller's Host header
    site = Site(
        settings=settings,
        services=find_services(settings.prefetch_include),
        policy=FhirPolicy(
            allowed=settings.allowed_fhir_servers,
            allow_plain_http=not settings.is_production,
            fetch_seconds=settings.fetch_seconds,
            include_medications=settings.prefetch_include,
        ),
        terminology=open_terminology(settings),
        definitions=definitions,
        today=today or date.today,
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
    open_log(settings.log_level)
    app = create_app(settings)
    settle_memory()
    return app


def settle_memory() -> None:
    """Keeps the garbage collector from looking through all tables again and again.

    A request makes many thousands of JSON values and no cycles; with the default thresholds the
    collector's share grows faster than the request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


def open_log(level: str) -> None:
    """Our own messages to standard error. Libraries stay silent: theirs may quote addresses with ids."""
    ours = logging.getLogger("cds_service")
    if not ours.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        ours.addHandler(handler)
    ours.setLevel(level.upper())
    ours.propagate = False
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def _read_tables(definition_id: str, definitions: Mapping[str, Definition]) -> None:
    """Answers for a made-up chart: all tables are read, and found sound, before the first request."""
    reply(assess_collected(_CHART, definition_id, date(2025, 12, 31), definitions=definitions))
    build_templates()


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
