"""Reads one of the package's CSV tables into checked rows.

A `Row` gives its cells by column name and turns them into numbers or words of a closed list; what does
not fit raises `TableError` with file, line, column, value and what was expected.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from typing import NoReturn

from cds_service.errors import TableError


@dataclass(frozen=True)
class Row:
    """One row of a table; `line` counts from 1 and includes the header."""

    table: str
    line: int
    cells: dict[str, str]

    def text(self, column: str) -> str:
        """The cell, empty when nothing is known."""
        return self.cells[column]

    def required(self, column: str) -> str:
        return self.cells[column] or self.reject(column, "a text")

    def number(self, column: str) -> float | None:
        """A number greater than 0; None for an empty cell."""
        cell = self.cells[column]
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            self.reject(column, "a number")
        return value if 0 < value < float("inf") else self.reject(column, "a number above 0")

    def required_number(self, column: str) -> float:
        return self.number(column) or self.reject(column, "a number above 0")

    def one_of(self, column: str, allowed: Collection[str]) -> str:
        cell = self.cells[column]
        return cell if cell in allowed else self.reject(column, " or ".join(repr(word) for word in allowed))

    def parts(self, column: str) -> tuple[str, ...]:
        """The parts of a pipe-separated cell."""
        return tuple(part.strip() for part in self.cells[column].split("|") if part.strip())

    def reject(self, column: str, expected: str) -> NoReturn:
        found = self.cells[column]
        raise TableError(f"{self.table}:{self.line}: column {column}: expected {expected}, found {found!r}")


def read_rows(table: str, columns: Collection[str]) -> Iterator[Row]:
    """All rows of `table`, which must have at least these `columns`."""
    reader = csv.reader(StringIO(_text(table), newline=""))
    header = next(reader, [])
    _check_columns(table, columns, header)
    for cells in filter(None, reader):
        if len(cells) != len(header):
            raise TableError(f"{table}:{reader.line_num}: expected {len(header)} cells")
        yield Row(table, reader.line_num, dict(zip(header, cells, strict=True)))


@dataclass(frozen=True)
class RowIndex:
    """The rows of a large table by the code in one column; each is read and checked when it is asked for."""

    table: str
    header: list[str]
    lines: Mapping[str, tuple[int, str]]

    def row(self, key: str) -> Row | None:
        if key not in self.lines:
            return None
        line, text = self.lines[key]
        cells = next(csv.reader([text]))
        if len(cells) != len(self.header):
            raise TableError(f"{self.table}:{line}: expected {len(self.header)} cells")
        return Row(self.table, line, dict(zip(self.header, cells, strict=True)))


def index_rows(table: str, columns: Collection[str], key: str) -> RowIndex:
    """The rows of `table` by their cell in the column `key`, which holds codes.

    A row must be one line, with no comma inside a cell up to that column: so nothing but the code is
    looked at until the row is asked for.
    """
    first, *lines = _text(table).splitlines()
    header = next(csv.reader([first]))
    _check_columns(table, columns, header)
    at = header.index(key)
    return RowIndex(
        table, header, {line.split(",", at + 1)[at]: (n, line) for n, line in enumerate(lines, start=2)}
    )


def _text(table: str) -> str:
    return files("cds_service.tables").joinpath(table).read_text("utf-8")


def _check_columns(table: str, columns: Collection[str], header: Collection[str]) -> None:
    missing = set(columns) - set(header)
    if missing:
        raise TableError(f"{table}:1: expected the columns {sorted(missing)}, which are missing")
