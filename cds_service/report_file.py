"""Where the report of a command goes: the terminal, or a file that the user names."""

from __future__ import annotations

from pathlib import Path

import click


def write_report(text: str, output: Path | None) -> None:
    """Prints the report, or writes it into `output`. Raises click.ClickException where that cannot be written."""
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written: {error.strerror}") from None
