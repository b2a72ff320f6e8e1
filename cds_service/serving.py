"""Runs the service with gunicorn: several worker processes, each with threads for the FHIR searches."""

from __future__ import annotations

import os
from typing import Any

import click
from gunicorn.app.base import BaseApplication

from cds_service.app import announce_mode, create_app, open_log, settle_memory
from cds_service.listening import listen
from cds_service.serving_worker import REQUEST_SECONDS, ServingWorker, with_plain_body_errors
from cds_service.settings import Settings

WORKER_SECONDS = 60


def serve(settings: Settings) -> None:
    """Serve until told to stop. Workers finish the requests they have.

    Raises SettingsError if the service cannot start: settings that do not fit, an address that is taken.
    """
    open_log(settings.log_level)
    with listen(settings.host, settings.port) as listening:
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        app = create_app(settings)
        settle_memory()
        click.echo(f"trd-cds: {settings.own_address}/cds-services ({settings.mode})", err=True)
        announce_mode(settings)
        serve_app(app, settings, listening.detach())


def serve_app(app: Any, settings: Settings, listening: int) -> None:
    """Serve a WSGI app on the listening socket of this file descriptor, until told to stop."""
    _Gunicorn(app, settings, listening).run()


class _Gunicorn(BaseApplication):
    def __init__(self, app: Any, settings: Settings, listening: int) -> None:
        self._app = app
        self._settings = settings
        self._listening = listening
        super().__init__()

    def load_config(self) -> None:
        os.environ.pop("GUNICORN_CMD_ARGS", None)
        for key, value in self._options().items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def _options(self) -> dict[str, Any]:
        return {
            "bind": f"fd://{self._listening}",
            "workers": self._settings.workers,
            "worker_class": ServingWorker,
            "threads": 8,
            "timeout": WORKER_SECONDS,
            "graceful_timeout": int(
                REQUEST_SECONDS + self._settings.fetch_seconds + self._settings.terminology_seconds
            ),
            "preload_app": True,
            "control_socket_disable": True,  # since gunicorn 25
            "loglevel": "warning",
        }

    def load(self) -> Any:
        return with_plain_body_errors(self._app)
