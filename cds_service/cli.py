"""The `trd-cds` command. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds_service import __version__
from cds_service.conform.command import conform
from cds_service.doctor.command import doctor
from cds_service.errors import (
    FhirServerError,
    InputError,
    MissingEvidence,
    ServiceUnreachable,
    StoreError,
    TrdCdsError,
)

if TYPE_CHECKING:
    from cds_service.fhir_reading.collected import Collected
    from cds_service.store.engine import Store
    from cds_service.trd.model import Assessment
    from cds_service.trd.parameters import Definition

EXIT_USAGE, EXIT_INPUT, EXIT_SERVER = 2, 3, 4


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 rules failed, 2 wrong usage, 3 input unreadable, 4 server failed."""
    try:
        commands(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"trd-cds: {error.format_message()}{_where_to_look(error)}", err=True)
        sys.exit(EXIT_USAGE)
    except TrdCdsError as error:
        click.echo(f"trd-cds: {error}", err=True)
        sys.exit(_exit_status(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _where_to_look(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f" See {context.command_path} --help." if context else ""


def _exit_status(error: TrdCdsError) -> int:
    if isinstance(error, InputError):
        return EXIT_INPUT
    if isinstance(error, FhirServerError | MissingEvidence | ServiceUnreachable | StoreError):
        return EXIT_SERVER
    return EXIT_USAGE


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trd-cds")
def commands() -> None:
    """Has this patient failed two adequate antidepressant trials? A CDS Hooks service and its tools."""


commands.add_command(conform)
commands.add_command(doctor)

DAY = click.DateTime(["%Y-%m-%d"])
DEFINITIONS_DIR = click.option(
    "--definitions-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    envvar="TRD_CDS_DEFINITIONS_DIR",
    help="Directory of the site's own definitions; see docs/definitions.md.",
)


@commands.command()
@click.argument("files", nargs=-1, metavar="FILE…")
@click.option(
    "--definition", "definition_id", metavar="ID", help="Definition of TRD; see trd-cds definitions."
)
@DEFINITIONS_DIR
@click.option("--on", "on", type=DAY, metavar="YYYY-MM-DD", help="The day to take as today.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "cards"]),
    default="text",
    show_default=True,
    help="json is one object a patient, cards is the reply a hook would get.",
)
@click.option(
    "--all-definitions",
    is_flag=True,
    help="Show what every definition says, side by side, and why some say something else.",
)
@click.option("--fhir-server", metavar="URL", help="Read from a FHIR R4 server instead of files.")
@click.option(
    "--patient", "patient_ids", multiple=True, metavar="ID", help="Only this patient; may be repeated."
)
@click.option("--token-file", type=click.File("r"), help="File with a bearer token for the FHIR server.")
@click.option(
    "--seconds", type=float, default=30.0, show_default=True, help="Time for one patient's searches."
)
@click.option(
    "--assume-one-unit-daily",
    is_flag=True,
    help="Take one unit a day where an order carries no dosage at all; the answer says so.",
)
@click.option(
    "--terminology-server",
    metavar="URL",
    envvar="TRD_CDS_TERMINOLOGY_SERVER",
    help="Ask this service for drug codes that the tables lack; see docs/terminology.md.",
)
def assess(
    files: tuple[str, ...],
    definition_id: str | None,
    definitions_dir: Path | None,
    on: datetime | None,
    format_: str,
    all_definitions: bool,
    fhir_server: str | None,
    patient_ids: tuple[str, ...],
    token_file: Any,
    seconds: float,
    assume_one_unit_daily: bool,
    terminology_server: str | None,
) -> None:
    """Assess patients from FHIR R4 files, or from a FHIR server.

    FILE is a Bundle, a resource, NDJSON, or a directory of them; - is standard input.
    """
    definition_id, known = _known_definition(definition_id, definitions_dir)
    if bool(files) == bool(fhir_server):
        raise click.UsageError("Give either FILE… or --fhir-server URL.")
    if all_definitions and format_ == "cards":
        raise click.UsageError("--all-definitions goes with --format text or json, not with cards.")
    if fhir_server and not patient_ids:
        raise click.UsageError("--fhir-server needs --patient ID.")
    if fhir_server:
        from cds_service.token_file import read_token

        patients = _from_server(fhir_server, patient_ids, read_token(token_file), seconds)
    else:
        patients = _from_files(files, patient_ids)
    today = on.date() if on else date.today()
    collected = _with_names(patients, terminology_server)
    _show(_assessed(collected, definition_id, known, today, assume_one_unit_daily), format_, all_definitions)


def _known_definition(
    definition_id: str | None, directory: Path | None
) -> tuple[str, Mapping[str, Definition]]:
    """The chosen definition, or the default, and all that can be evaluated."""
    from cds_service.tables.definitions import DEFAULT_ID, definition_entries, load_definitions

    known = load_definitions(directory)
    if definition_id is None or definition_id in known:
        return definition_id or DEFAULT_ID, known
    if definition_id in definition_entries(directory):
        told = f"cannot be evaluated; trd-cds definitions show {definition_id} tells why"
    else:
        told = f"is none of {', '.join(known)}"
    raise click.BadParameter(f"{definition_id!r} {told}.", param_hint="--definition")


def _from_server(
    url: str, patient_ids: Iterable[str], token: str | None, seconds: float
) -> Iterator[Collected]:
    from cds_service.fhir_source import fetch_collected

    for patient_id in patient_ids:
        yield fetch_collected(url, patient_id.removeprefix("Patient/"), token=token, seconds=seconds)


def _from_files(files: tuple[str, ...], patient_ids: tuple[str, ...]) -> Iterator[Collected]:
    from cds_service.input_files import read_files

    wanted = {patient_id.removeprefix("Patient/") for patient_id in patient_ids}
    found = set()
    for collected in read_files(files, sys.stdin.buffer):
        if not wanted or collected.patient_id in wanted:
            found.add(collected.patient_id)
            yield collected
    lacking = sorted(wanted - found)
    if lacking:
        raise InputError(f"patient {', '.join(lacking)} is in none of the files")
    if not found:
        raise InputError(f"{' '.join(files)}: expected at least one patient, found none")


def _with_names(patients: Iterable[Collected], address: str | None) -> Iterable[Collected]:
    """What the terminology service at this address, if any, says of codes; kind, time and cache as set."""
    if not address:
        return patients
    from cds_service.outbound.network import ANYWHERE
    from cds_service.settings import load_settings
    from cds_service.terminology import name_codes, open_terminology

    terminology = open_terminology(load_settings(terminology_server=address), ANYWHERE)
    return (name_codes(collected, terminology) for collected in patients)


def _assessed(
    patients: Iterable[Collected],
    definition_id: str,
    known: Mapping[str, Definition],
    today: date,
    assume_one_unit_daily: bool,
) -> Iterator[Assessment]:
    from cds_service.respond import assess_collected

    for collected in _with_progress(patients):
        yield assess_collected(
            collected, definition_id, today, assume_one_unit_daily=assume_one_unit_daily, definitions=known
        )


def _with_progress(patients: Iterable[Collected]) -> Iterable[Collected]:
    """A counter while the results go to a file; nothing in a pipe, or where the results themselves show."""
    if sys.stdout.isatty() or not sys.stderr.isatty():
        return patients
    from rich.console import Console
    from rich.progress import track

    return track(patients, "Assessing", total=None, console=Console(stderr=True), transient=True)


def _show(assessments: Iterator[Assessment], format_: str, all_definitions: bool) -> None:
    """One patient is printed readably, several one line each (json, cards)."""
    if format_ == "text":
        from cds_service.agreement_text import agreement_text
        from cds_service.text_report import assessment_text

        as_text = agreement_text if all_definitions else assessment_text
        for number, assessment in enumerate(assessments):
            click.echo(("\n" if number else "") + as_text(assessment))
        return
    first = next(assessments)
    second = next(assessments, None)
    if second is None:
        click.echo(_json(_output(first, format_, all_definitions), indent=2))
        return
    for assessment in (first, second):
        click.echo(_json(_output(assessment, format_, all_definitions)))
    for assessment in assessments:
        click.echo(_json(_output(assessment, format_, all_definitions)))


def _output(assessment: Assessment, format_: str, all_definitions: bool) -> dict[str, Any]:
    if format_ == "cards":
        from cards.card import to_json
        from cards.catalogue import cards_for

        return {"cards": [to_json(card) for card in cards_for(assessment)]}
    from cds_service.report import all_definitions_json, assessment_json

    more = {"allDefinitions": all_definitions_json(assessment)} if all_definitions else {}
    return {**assessment_json(assessment), **more}


def _json(value: Any, indent: int = 0) -> str:
    import msgspec

    encoded = msgspec.json.encode(value)
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()


@commands.command("explain-order")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--on", "on", type=DAY, metavar="YYYY-MM-DD", help="The day to take as today.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json is one object an order.",
)
def explain_order(files: tuple[str, ...], on: datetime | None, format_: str) -> None:
    """Show how each order is read: drug and what told it, arithmetic, mg a day on which days; or why not.

    FILE holds a MedicationRequest, or a Bundle, NDJSON or directory with some; - is standard input. Dispensings,
    statements and administrations are explained too.
    """
    from cds_service.explain import explain_orders, explanation_json, explanation_text
    from cds_service.input_files import read_entries

    entries = read_entries(files, sys.stdin.buffer)
    explained = list(explain_orders(entries, on.date() if on else date.today()))
    if not explained:
        raise InputError(f"{' '.join(files)}: expected at least one MedicationRequest, found none")
    if format_ == "text":
        click.echo("\n\n".join(map(explanation_text, explained)))
        return
    for order in explained:
        click.echo(_json(explanation_json(order), indent=2 if len(explained) == 1 else 0))


@commands.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes.  [default: 2]")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve CDS Hooks with gunicorn. Settings: environment TRD_CDS_… and the file named by TRD_CDS_CONFIG."""
    gc.disable()  # until all is loaded (`settle_memory`): it would be looked through at each step, and is for good
    try:
        from cds_service.serving import serve as run
        from cds_service.settings import load_settings

        given = {"host": host, "port": port, "workers": workers}
        run(load_settings(**{key: value for key, value in given.items() if value is not None}))
    finally:
        gc.enable()


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port of the service."
)
@click.option(
    "--fhir-port",
    type=click.IntRange(0, 65535),
    default=8001,
    show_default=True,
    help="Port of the FHIR server.",
)
@click.option("--once", is_flag=True, help="Fire the hooks, print the cards and stop.")
def demo(host: str, port: int, fhir_port: int, once: bool) -> None:
    """Fire patient-view for every fixture patient on an embedded FHIR server, then keep serving."""
    from cds_service.demo import run_demo

    run_demo(host, port, fhir_port, once=once)


@commands.group(invoke_without_command=True)
@click.pass_context
def definitions(context: click.Context) -> None:
    """The definitions of treatment-resistant depression, as data."""
    if context.invoked_subcommand is None:
        with list_definitions.make_context("list", [], parent=context) as listing:
            list_definitions.invoke(listing)


@definitions.command("list")
@DEFINITIONS_DIR
def list_definitions(definitions_dir: Path | None) -> None:
    """List the definitions: id, trials, weeks, what makes trials distinct, title, and which are evaluated."""
    from cds_service.definitions_text import definitions_text

    click.echo(definitions_text(definitions_dir))


@definitions.command("show")
@click.argument("definition_id", metavar="ID")
@DEFINITIONS_DIR
def show_definition(definition_id: str, definitions_dir: Path | None) -> None:
    """Show one definition: each parameter, whether the source or the project set it, and the source."""
    from cds_service.definitions_text import definition_text
    from cds_service.tables.definitions import definition_entries

    known = definition_entries(definitions_dir)
    if definition_id not in known:
        raise click.BadParameter(f"{definition_id!r} is none of {', '.join(known)}.", param_hint="ID")
    click.echo(definition_text(definition_id, definitions_dir))


@definitions.command("check")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path, allow_dash=False)
)
def check_definitions(files: tuple[Path, ...]) -> None:
    """Check a site's own definitions: every mistake with file, key, value and what was expected.

    FILE holds a definition or a list of them; the schema is served at /schemas/definition.json.
    """
    from cds_service.tables.site_definitions import check_files, summary

    entries, problems = check_files(files)
    if problems:
        for problem in problems:
            click.echo(f"trd-cds: {problem}", err=True)
        sys.exit(EXIT_INPUT)
    for line in summary(entries.values()):
        click.echo(line)


@commands.group()
def feedback() -> None:
    """What clinicians answered to the cards: report it, or delete it."""


STORE_URL = click.option(
    "--store-url",
    metavar="URL",
    help="SQLAlchemy URL of the store.  [default: as set by TRD_CDS_STORE_URL]",
)


@feedback.command("report")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="csv is one line a month, service, card and reason.",
)
@click.option("--since", type=DAY, metavar="YYYY-MM-DD", help="Cards fired on this day or later (UTC).")
@click.option("--until", type=DAY, metavar="YYYY-MM-DD", help="Cards fired on this day or earlier (UTC).")
@STORE_URL
def report_feedback(
    format_: str, since: datetime | None, until: datetime | None, store_url: str | None
) -> None:
    """Count the cards fired, accepted and overridden, by month, service, card and reason."""
    from cds_service.feedback.report import as_csv, as_json, as_table, build_report

    report = build_report(_store(store_url), since and since.date(), until and until.date())
    click.echo({"table": as_table, "csv": as_csv, "json": as_json}[format_](report))


@feedback.command("delete")
@click.option(
    "--before", type=DAY, required=True, metavar="YYYY-MM-DD", help="Keep this day and later (UTC)."
)
@STORE_URL
def delete_feedback(before: datetime, store_url: str | None) -> None:
    """Delete the cards fired before a day with all answers to them, and answers received before it."""
    from cds_service.feedback.memory import delete_before

    cards, answers = delete_before(_store(store_url), before.date())
    click.echo(f"{cards} cards and {answers} answers deleted")


def _store(url: str | None) -> Store:
    from cds_service.settings import load_settings
    from cds_service.store.engine import open_existing_store

    return open_existing_store(url or load_settings().store_url)


@commands.group()
def fixtures() -> None:
    """The fixture patients: list them, push them into a FHIR server, or serve them."""


@fixtures.command("list")
def list_fixtures() -> None:
    """List the fixture patients and how each is encoded."""
    from cds_service.text_report import fixtures_text

    click.echo(fixtures_text())


@fixtures.command("load")
@click.argument("url")
@click.option("--delete", is_flag=True, help="Take them off the server again, with all that belongs to them.")
def load_fixtures_into(url: str, delete: bool) -> None:
    """Push the fixture patients into the FHIR R4 server at URL. Doing it again changes nothing."""
    from fhir_fixtures.loading import delete_fixtures, load_fixtures

    if delete:
        click.echo(f"{len(delete_fixtures(url))} patients taken off {url}")
    else:
        click.echo(f"{len(load_fixtures(url))} patients loaded into {url}")


@fixtures.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
def serve_fixtures(host: str, port: int) -> None:
    """Serve the fixture patients from the embedded FHIR R4 server until interrupted."""
    from cds_service.demo import serve_fixture_patients

    serve_fixture_patients(host, port)
