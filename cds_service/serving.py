"""Runs the service with gunicorn: several worker processes, each with threads for the FHIR searches."""

from __future__ import annotations

from typing import Any

import click
from gunicorn.app.base import BaseApplication

from cds_service.app import create_app, open_log
from cds_service.settings import Settings

WORKER_SECONDS = 60


def serve(settings: Settings) -> None:
    """Serve until told to stop. Workers finish the request they have."""
    click.echo(f"trd-cds: http://{settings.host}:{settings.port}/cds-services ({settings.mode})", err=True)
    _Gunicorn(settings).run()


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": self._settings.workers,
            "worker_class": "gthread",
            "threads": 4,
            "timeout": WORKER_SECONDS,
            "preload_app": True,
            "loglevel": "warning",
        }
        for key, value in options.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        open_log(self._settings.log_level)
        return create_app(self._settings)
