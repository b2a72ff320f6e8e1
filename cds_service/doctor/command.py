"""`trd-cds doctor`: options in, report out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds_service.report_file import write_report

if TYPE_CHECKING:
    from cds_service.doctor.examine import Options
    from cds_service.doctor.results import Report

EXIT_CANNOT_WORK, EXIT_STOPPED = 1, 130

REPORTS = ("text", "json", "html")


@click.command()
@click.option("--fhir-server", "url", required=True, metavar="URL", help="Base address of the FHIR server.")
@click.option(
    "--patient", "patient_ids", multiple=True, metavar="ID", help="Read this patient; may be repeated."
)
@click.option(
    "--sample",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Without --patient: so many patients that searches find, those with antidepressants first.  [default: 10]",
)
@click.option("--token-file", type=click.File("r"), help="File with a bearer token for the FHIR server.")
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="TRD_CDS_DOCTOR_TOKEN",
    show_envvar=True,
    help="The token itself. Others on this machine can read it among the processes: rather give a file.",
)
@click.option("--report", "form", type=click.Choice(REPORTS), default="text", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Time for one question.",
)
@click.option(
    "--fetch-seconds",
    type=click.FloatRange(0.1, 120),
    default=8.0,
    show_default=True,
    metavar="S",
    envvar="TRD_CDS_FETCH_SECONDS",
    show_envvar=True,
    help="Time that the service has for all of one patient; not more than --seconds.",
)
@click.option(
    "--on", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The day to take as today."
)
def doctor(
    url: str,
    patient_ids: tuple[str, ...],
    sample: int | None,
    token_file: Any,
    token: str | None,
    form: str,
    output: Path | None,
    seconds: float,
    fetch_seconds: float,
    on: datetime | None,
) -> None:
    """Tell whether a FHIR server can feed the rules, and how well what they need is recorded there.

    Reads only. Patients' ids are shown as examples, nothing else of them. Exit status: 0 the service can work there,
    1 it cannot, or that cannot be told, 2 wrong usage, 3 an address, id or token that is none, 4 the server could not
    be reached, 130 stopped by Ctrl-C.
    """
    from cds_service.doctor.examine import Options
    from cds_service.doctor.rendering import render

    if patient_ids and sample:
        raise click.UsageError("Give either --patient ID or --sample N.")
    _require_writable(output)
    options = Options(
        patient_ids=tuple(dict.fromkeys(id.removeprefix("Patient/") for id in patient_ids)),
        sample=sample or 10,
        token=_token(token_file, token),
        seconds=seconds,
        fetch_seconds=fetch_seconds,
        on=on.date() if on else date.today(),
    )
    report = _examine(url, options)
    write_report(render(report, form, options.token), output)
    if not report.can_work:
        sys.exit(EXIT_CANNOT_WORK)


def _token(file: Any, token: str | None) -> str | None:
    """The token of the file, else the one that was given itself or stands in the environment."""
    from cds_service.token_file import check_token, read_token

    if file is not None or token is None:
        return read_token(file)
    return check_token(token, "token")


def _require_writable(output: Path | None) -> None:
    """Raises click.ClickException before minutes are spent on a report that could not be written."""
    if output is not None and not os.access(output if output.exists() else output.parent, os.W_OK):
        raise click.ClickException(f"{output}: cannot be written")


def _examine(url: str, options: Options) -> Report:
    from cds_service.doctor.examine import examine

    try:
        with _progress() as tell:
            return examine(url, options, tell)
    except KeyboardInterrupt:
        click.echo("trd-cds: stopped, without a report", err=True)
        sys.stderr.flush()
        os._exit(EXIT_STOPPED)  # calls that a stalling server still holds would keep the process


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Tells on a terminal what is being done; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("Examining the FHIR server") as status:
        yield lambda what: status.update(f"Examining the FHIR server: {what}")
