"""`trd-cds conform`: options in, report out."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from cds_service.conform import DEFAULT_ORIGIN
from cds_service.report_file import write_report

EXIT_RULES_FAILED = 1

REPORTS = ("text", "html", "json", "junit")


@click.command()
@click.argument("url", metavar="URL")
@click.option("--service", "only_service", metavar="ID", help="Only the service with this id.")
@click.option("--report", "form", type=click.Choice(REPORTS), default="text", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there."
)
@click.option(
    "--fail-on",
    type=click.Choice(["shall", "should", "advice"]),
    default="shall",
    show_default=True,
    help="Failed rules of this strength or a higher one give exit status 1.",
)
@click.option(
    "--hooks-version", type=click.Choice(["2.0.1", "3.0.0-ballot"]), default="2.0.1", show_default=True
)
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(0.1, 300),
    default=20.0,
    show_default=True,
    metavar="S",
    help="Seconds for one call.",
)
@click.option(
    "--on",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="The day that the synthetic patients' stories end on.  [default: today]",
)
@click.option("--origin", default=DEFAULT_ORIGIN, show_default=True, help="Browser origin to call from.")
@click.option(
    "--fhir-server-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the checker's own FHIR server, which the service has to allow.  [default: any free one]",
)
@click.option(
    "--fhir-server-host", default="127.0.0.1", show_default=True, help="Address that server listens on."
)
@click.option(
    "--fhir-server-public-url",
    metavar="URL",
    help="That server's base address as the service reaches it; needed unless the service is on this machine.",
)
@click.option(
    "--jwk", type=click.Path(path_type=Path), metavar="FILE", help="Private key to sign client tokens with."
)
@click.option("--issuer", metavar="ISS", help="iss of these tokens.")
@click.option("--jku", metavar="URL", help="jku of these tokens, if the service takes the keys from there.")
def conform(
    url: str,
    form: str,
    output: Path | None,
    fail_on: str,
    on: datetime | None,
    jwk: Path | None,
    issuer: str | None,
    jku: str | None,
    **given: Any,
) -> None:
    """Check any CDS Hooks service against the rules of CDS Hooks, from outside.

    URL is the service's base or discovery address. Exit status: 0 the rules hold, 1 some do not, 2 wrong usage,
    3 input unreadable, 4 the service could not be reached.
    """
    from cds_service.conform.examine import examine
    from cds_service.conform.rendering import render

    if (jwk is None) != (issuer is None) or (jku is not None and jwk is None):
        raise click.UsageError("--jwk FILE and --issuer ISS go together; --jku URL goes with both.")
    report = examine(url, _options(on, jwk, issuer, jku, given))
    write_report(render(report, form, fail_on), output)
    if report.failed_at(fail_on):
        sys.exit(EXIT_RULES_FAILED)


def _options(
    on: datetime | None, jwk: Path | None, issuer: str | None, jku: str | None, given: dict[str, Any]
) -> Any:
    from cds_service.conform.examination import Options
    from cds_service.conform.signing import read_signer

    return Options(
        on=on.date() if on else date.today(),
        only_service=given["only_service"],
        seconds=given["seconds"],
        hooks_version=given["hooks_version"],
        origin=given["origin"],
        fhir_port=given["fhir_server_port"],
        fhir_host=given["fhir_server_host"],
        fhir_public_url=given["fhir_server_public_url"],
        signer=read_signer(jwk, issuer, jku) if jwk and issuer else None,
    )
