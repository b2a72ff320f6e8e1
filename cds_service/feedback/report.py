"""What became of the cards, as counts: fired, accepted and overridden, by month, service, card and reason.

A card counts in the month it was fired, by the last answer to it. One that nobody answered is neither accepted nor
overridden: silence says nothing. Comments and patients are in no report.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, case, func, select

from cards.markdown import one_line
from cds_service.feedback.body import ACCEPTED, OVERRIDDEN
from cds_service.store.engine import Store
from cds_service.store.tables import ACCEPTED as ACCEPTED_SUGGESTIONS
from cds_service.store.tables import CARDS, FEEDBACK

COLUMNS = ("month", "service", "card", "reason", "fired", "accepted", "overridden")
SUGGESTION_COLUMNS = ("suggestion", "offered", "accepted")
UNKNOWN_CARD = "(not known)"
_AT_A_TIME = 1000


@dataclass
class Count:
    """How many cards. A reason has a row of its own, in which nothing but `overridden` is counted."""

    fired: int = 0
    accepted: int = 0
    overridden: int = 0


@dataclass
class SuggestionCount:
    offered: int = 0
    accepted: int = 0


@dataclass(frozen=True)
class Report:
    """Counts by (month, service, card, reason), and by what the suggestions offer; in order."""

    counts: dict[tuple[str, str, str, str], Count]
    suggestions: dict[str, SuggestionCount]


def build_report(store: Store, since: date | None = None, until: date | None = None) -> Report:
    """Of the cards fired from `since` to `until`, both included, in UTC. Raises StoreError."""
    counts: dict[tuple[str, str, str, str], Count] = {}
    suggestions: dict[str, SuggestionCount] = {}
    with store.reading() as connection:
        for row in _in_portions(connection, _fired_cards(since, until)):
            _count(counts, row)
            _count_suggestions(suggestions, row)
        for row in _in_portions(connection, _answers_to_unknown_cards(since, until)):
            _count_answer(counts, _month(row.received_at), row.service, UNKNOWN_CARD, row)
        for row in _in_portions(connection, _taken_suggestions(since, until)):
            if name := _suggestions(row.suggestions).get(row.suggestion):
                suggestions[name].accepted += 1
    return Report(dict(sorted(counts.items())), dict(sorted(suggestions.items())))


# --- counting -------------------------------------------------------------------------------------------


def _count(counts: dict[tuple[str, str, str, str], Count], row: Row[Any]) -> None:
    month = _month(row.shown_at)
    counts.setdefault((month, row.service, row.topic, ""), Count()).fired += 1
    _count_answer(counts, month, row.service, row.topic, row)


def _count_answer(
    counts: dict[tuple[str, str, str, str], Count], month: str, service: str, card: str, row: Row[Any]
) -> None:
    if row.outcome == ACCEPTED:
        counts.setdefault((month, service, card, ""), Count()).accepted += 1
    elif row.outcome == OVERRIDDEN:
        counts.setdefault((month, service, card, row.reason_code), Count()).overridden += 1


def _count_suggestions(suggestions: dict[str, SuggestionCount], row: Row[Any]) -> None:
    for name in _suggestions(row.suggestions).values():
        suggestions.setdefault(name, SuggestionCount()).offered += 1


def _suggestions(text: str) -> dict[str, str]:
    """What each suggestion of a card offers, by its uuid."""
    return {uuid: name for uuid, name in msgspec.json.decode(text, type=dict[str, str]).items() if name}


def _month(moment: datetime) -> str:
    return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m")


# --- reading --------------------------------------------------------------------------------------------

_GIVEN_AT = case(
    (FEEDBACK.c.outcome_at < FEEDBACK.c.received_at, FEEDBACK.c.outcome_at), else_=FEEDBACK.c.received_at
)
_LAST = select(
    FEEDBACK,
    func.row_number()
    .over(
        partition_by=(FEEDBACK.c.card, FEEDBACK.c.client, FEEDBACK.c.tenant, FEEDBACK.c.service),
        order_by=(_GIVEN_AT.desc(), FEEDBACK.c.id.desc()),
    )
    .label("place"),
).subquery("last")
"""The answers to a card, the last one with place 1."""


def _fired_cards(since: date | None, until: date | None) -> Select[Any]:
    answered = and_(_LAST.c.card == CARDS.c.uuid, _LAST.c.card_is_known, _LAST.c.place == 1)
    columns = (CARDS.c.shown_at, CARDS.c.service, CARDS.c.topic, CARDS.c.suggestions)
    found = select(*columns, _LAST.c.outcome, _LAST.c.reason_code).outerjoin_from(CARDS, _LAST, answered)
    return found.where(*_within(CARDS.c.shown_at, since, until))


def _answers_to_unknown_cards(since: date | None, until: date | None) -> Select[Any]:
    columns = (_LAST.c.received_at, _LAST.c.service, _LAST.c.outcome, _LAST.c.reason_code)
    found = select(*columns).where(_LAST.c.place == 1, ~_LAST.c.card_is_known)
    return found.where(*_within(_LAST.c.received_at, since, until))


def _taken_suggestions(since: date | None, until: date | None) -> Select[Any]:
    """Each suggestion once, however often it was reported."""
    found = (
        select(CARDS.c.uuid, CARDS.c.suggestions, ACCEPTED_SUGGESTIONS.c.suggestion)
        .join_from(ACCEPTED_SUGGESTIONS, FEEDBACK)
        .join(CARDS, and_(CARDS.c.uuid == FEEDBACK.c.card, FEEDBACK.c.card_is_known))
        .distinct()
    )
    return found.where(*_within(CARDS.c.shown_at, since, until))


def _within(column: Any, since: date | None, until: date | None) -> list[Any]:
    bounds = []
    if since:
        bounds.append(column >= datetime.combine(since, time(), UTC))
    if until:
        bounds.append(column < datetime.combine(until + timedelta(1), time(), UTC))
    return bounds


def _in_portions(connection: Connection, found: Select[Any]) -> Iterator[Row[Any]]:
    """The rows, not all of them in memory at once."""
    yield from connection.execution_options(yield_per=_AT_A_TIME).execute(found)


# --- writing --------------------------------------------------------------------------------------------


def as_csv(report: Report) -> str:
    """One line a month, service, card and reason; each column sums up to all cards."""
    return _csv(COLUMNS, _rows(report))


def as_json(report: Report) -> str:
    found = {
        "cards": [dict(zip(COLUMNS, row, strict=True)) for row in _rows(report)],
        "suggestions": [dict(zip(SUGGESTION_COLUMNS, row, strict=True)) for row in _suggestion_rows(report)],
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def as_table(report: Report) -> str:
    """Two tables for people: cards by reason, and suggestions."""
    if not report.counts:
        return "No card was fired and no feedback came in this time."
    tables = [_table(COLUMNS, _rows(report))]
    if report.suggestions:
        tables.append(_table(SUGGESTION_COLUMNS, _suggestion_rows(report)))
    return "\n\n".join(tables)


Line = tuple[str | int, ...]


def _rows(report: Report) -> list[Line]:
    return [(*key, count.fired, count.accepted, count.overridden) for key, count in report.counts.items()]


def _suggestion_rows(report: Report) -> list[Line]:
    return [(name, count.offered, count.accepted) for name, count in report.suggestions.items()]


def _csv(header: tuple[str, ...], lines: Iterable[Line]) -> str:
    """Texts of clients that a spreadsheet would take for a formula are made harmless."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow(f"'{cell}" if str(cell).startswith(_FORMULA) else cell for cell in line)
    return written.getvalue().rstrip("\n")


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _table(header: tuple[str, ...], lines: list[Line]) -> str:
    cells = [tuple(one_line(str(cell)) for cell in line) for line in (header, *lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = [isinstance(cell, int) for cell in lines[0]]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in cells
    )
