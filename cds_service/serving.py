"""Runs the service with gunicorn: several worker processes, each with threads for the FHIR searches."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from gunicorn.app.base import BaseApplication

from cds_service import __version__
from cds_service.app import announce_mode, create_app, settle_memory
from cds_service.errors import SettingsError
from cds_service.listening import listen
from cds_service.logs import event_logger, open_log
from cds_service.serving_worker import REQUEST_SECONDS, ServingLog, ServingWorker, with_plain_body_errors
from cds_service.settings import Settings
from cds_service.web.metrics import MULTIPROCESS_VARIABLE, forget_process

WORKER_SECONDS = 60
SPARE_THREADS = 8  # for health and refusals while as many hooks are answered as may be


def serve(settings: Settings) -> None:
    """Serve until told to stop. Workers finish the requests they have.

    Raises SettingsError if the service cannot start: settings that do not fit, an address that is taken.
    """
    open_log(settings.log_level, settings.log_format)
    with listen(settings.host, settings.port) as listening:
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        if settings.metrics:
            os.environ[MULTIPROCESS_VARIABLE] = _metrics_folder()
        app = create_app(settings)
        settle_memory()
        _tell_start(settings)
        announce_mode(settings)
        serve_app(app, settings, listening.detach())


def _metrics_folder() -> str:
    """An empty directory in which the workers keep their metrics, gone when the service ends."""
    try:
        return tempfile.mkdtemp(prefix="trd-cds-metrics-")
    except OSError as error:
        raise SettingsError(
            f"TRD_CDS_METRICS: true needs a directory for temporary files that can be written: {error.strerror}"
        ) from None


def _tell_start(settings: Settings) -> None:
    event_logger("serving").info(
        "start",
        version=__version__,
        mode=settings.mode,
        definition=settings.definition,
        address=f"{settings.own_address}/cds-services",
        workers=settings.workers,
    )


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
            "threads": self._settings.requests_at_once + SPARE_THREADS,
            "timeout": WORKER_SECONDS,
            "graceful_timeout": int(
                REQUEST_SECONDS + self._settings.fetch_seconds + self._settings.terminology_seconds
            ),
            "preload_app": True,
            "forwarded_allow_ips": "",  # no header of a client's says who it is or where the service is mounted
            "forwarder_headers": "",
            "control_socket_disable": True,  # since gunicorn 25
            "loglevel": "warning",
            "logger_class": ServingLog,
            "child_exit": _forget_worker,
            "on_exit": _remove_metrics,
        }

    def load(self) -> Any:
        return with_plain_body_errors(self._app)


def _forget_worker(_: Any, worker: Any) -> None:
    forget_process(worker.pid)


def _remove_metrics(_: Any) -> None:
    if folder := os.environ.pop(MULTIPROCESS_VARIABLE, None):
        shutil.rmtree(folder, ignore_errors=True)
