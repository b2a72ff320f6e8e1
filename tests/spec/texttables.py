"""Reads the small text tables of the specs: a header row, a rule, then one case a row."""

from __future__ import annotations


def rows(table: str) -> list[dict[str, str]]:
    """Rows as dictionaries by column name. Cells are stripped; a line of dashes is skipped.

    Raises ValueError when a row has more or fewer cells than the header.
    """
    lines = [line.strip() for line in table.strip().splitlines() if line.strip()]
    header, *body = [_cells(line) for line in lines if set(line) - set("-+| ")]
    for cells in body:
        if len(cells) != len(header):
            raise ValueError(f"{cells} does not fit {header}")
    return [dict(zip(header, cells, strict=True)) for cells in body]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]
