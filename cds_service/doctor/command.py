"""`trd-cds doctor`: options in, report out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from cds_service.report_file import write_report

EXIT_CANNOT_WORK = 1

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
    help="Time for one question, and for all of one patient.",
)
@click.option(
    "--on", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The day to take as today."
)
def doctor(
    url: str,
    patient_ids: tuple[str, ...],
    sample: int | None,
    token_file: Any,
    form: str,
    output: Path | None,
    seconds: float,
    on: datetime | None,
) -> None:
    """Tell whether a FHIR server can feed the rules, and how well what they need is recorded there.

    Reads only. Patients' ids are shown as examples, nothing else of them. Exit status: 0 the service can work there,
    1 it cannot, 2 wrong usage, 3 an address or id that is none, 4 the server could not be reached.
    """
    from cds_service.doctor.examine import Options, examine
    from cds_service.doctor.rendering import render
    from cds_service.token_file import read_token

    if patient_ids and sample:
        raise click.UsageError("Give either --patient ID or --sample N.")
    options = Options(
        patient_ids=tuple(dict.fromkeys(id.removeprefix("Patient/") for id in patient_ids)),
        sample=sample or 10,
        token=read_token(token_file),
        seconds=seconds,
        on=on.date() if on else date.today(),
    )
    with _progress() as tell:
        report = examine(url, options, tell)
    write_report(render(report, form), output)
    if not report.can_work:
        sys.exit(EXIT_CANNOT_WORK)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Tells on a terminal what is being done; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("Examining the FHIR server") as status:
        yield lambda what: status.update(f"Examining the FHIR server: {what}")
