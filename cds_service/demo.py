"""The demonstration: embedded FHIR server, the service, one hook a fixture patient, and a page to fire more.

Everything runs on loopback in this process; hooks are fired over HTTP, as an EHR would.
"""

from __future__ import annotations

import json
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import requests
from flask import Flask, abort, render_template, request
from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel
from rich.progress import track
from rich.table import Table
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from cds_service.app import create_app
from cds_service.listening import cannot_listen, listen
from cds_service.report import EXTENSION_KEY
from cds_service.settings import load_settings
from fhir_fixtures import vignettes
from fhir_fixtures.server import EmbeddedServer

if TYPE_CHECKING:
    from fhir_fixtures import Vignette

STORY_DAY = date(2026, 6, 30)  # "today" of all fixture patients
SHOWN = "trd-v01"
HOOK_SECONDS = 30


def run_demo(host: str, port: int, fhir_port: int, *, once: bool) -> None:
    """Fire `patient-view` for every fixture patient, print the table and one card, then serve until Ctrl-C."""
    console = Console()
    with _running_fhir_server(host, fhir_port) as fhir, _running_service(host, port, fhir) as service:
        patients = vignettes()
        replies = {
            patient.patient_id: fire_patient_view(service, fhir.base_url, patient.patient_id)
            for patient in track(patients, "Firing patient-view", console=console, transient=True)
        }
        console.print(_table(patients, replies))
        console.print(_panel(replies[SHOWN]["cards"][0]))
        console.print(f"Service      {service}/cds-services   (today is taken as {STORY_DAY})")
        console.print("             development mode: anybody on this machine may call")
        console.print(f"Fire hooks   {service}/demo")
        console.print(f"FHIR server  {fhir.base_url}")
        if not once:
            console.print("Ctrl-C stops.")
            _wait_for_interrupt()


def serve_fixture_patients(host: str, port: int) -> None:
    """Serve the fixture patients from the embedded FHIR server until Ctrl-C."""
    with _running_fhir_server(host, port) as fhir:
        click.echo(f"{len(vignettes())} patients at {fhir.base_url}; Ctrl-C stops.")
        _wait_for_interrupt()


def fire_patient_view(service: str, fhir_base: str, patient_id: str) -> dict[str, Any]:
    """The reply to one `patient-view` hook without prefetch, so that the service fetches what it needs."""
    hook = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "fhirServer": fhir_base,
        "context": {"userId": "Practitioner/demo", "patientId": patient_id},
    }
    reply = requests.post(f"{service}/cds-services/trd-patient-view", json=hook, timeout=HOOK_SECONDS)
    reply.raise_for_status()
    body: dict[str, Any] = reply.json()
    return body


@contextmanager
def _running_fhir_server(host: str, port: int) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer()
    try:
        server.start(host, port)
    except OSError as error:
        raise cannot_listen(host, port, error) from None
    for vignette in vignettes():
        server.load(vignette.bundle)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _running_service(host: str, port: int, fhir: EmbeddedServer) -> Iterator[str]:
    """The store of a demonstration ends with it: every run shows all cards."""
    with TemporaryDirectory() as folder:
        with listen(host, port) as listening:
            settings = load_settings(
                host=host,
                port=listening.getsockname()[1],
                embedded_fhir_server=fhir.base_url,
                require_client_auth=False,
                store_url=f"sqlite:///{folder}/feedback.sqlite3",
            )
            app = create_app(settings, today=lambda: STORY_DAY)
            server = make_server(
                host, settings.port, app, threaded=True, request_handler=_Quiet, fd=listening.fileno()
            )
        service = settings.own_address
        _add_demo_page(app, service, fhir.base_url)
        with _in_background(server):
            yield service


@contextmanager
def _in_background(server: BaseWSGIServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def _table(patients: tuple[Vignette, ...], replies: dict[str, dict[str, Any]]) -> Table:
    table = Table("Patient", "Story", "Verdict", "First card", title="patient-view on the fixture patients")
    for patient in patients:
        reply = replies[patient.patient_id]
        cards = [card["summary"] for card in reply["cards"]]
        verdict = reply["extension"][EXTENSION_KEY]["verdict"]
        table.add_row(patient.patient_id, patient.title, verdict, "\n".join(cards) or "-")
    return table


def _panel(card: dict[str, Any]) -> Panel:
    suggestions = "".join(f"\n- [ ] {suggestion['label']}" for suggestion in card.get("suggestions", []))
    links = "".join(f"\n- {link['label']}: {link['url']}" for link in card.get("links", []))
    text = f"**{card['summary']}**\n\n{card.get('detail', '')}\n{suggestions}\n{links}"
    return Panel(Markdown(text), title=f"{SHOWN}: {card['indicator']}", subtitle=card["source"]["label"])


def _add_demo_page(app: Flask, service: str, fhir_base: str) -> None:
    """`/demo`: choose a fixture patient, fire the hook over HTTP, see the cards and the raw reply."""
    to_html = MarkdownIt("commonmark", {"html": False}).enable("table")
    stories = {vignette.patient_id: vignette for vignette in vignettes()}

    @app.get("/demo")
    def demo_page() -> str:
        patient_id = request.args.get("patient", SHOWN)
        if patient_id not in stories:
            abort(404)
        reply = fire_patient_view(service, fhir_base, patient_id)
        return render_template(
            "demo.html",
            stories=stories.values(),
            shown=stories[patient_id],
            cards=[{**card, "html": to_html.render(card.get("detail", ""))} for card in reply["cards"]],
            raw=json.dumps(reply, indent=2, ensure_ascii=False),
            service=service,
            fhir_base=fhir_base,
        )


def _wait_for_interrupt() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
