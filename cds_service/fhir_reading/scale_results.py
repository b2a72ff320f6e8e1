"""What a panel or a form amounts to: totals of depression scales, what it says about suicide, and doubts.

An Observation and its components or members, and a filled form with its items, are both a `Record` with
parts. This module knows what the parts say together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cds_service.fhir_reading.elements import CodeableConcept
from cds_service.fhir_reading.observation_elements import Valued
from cds_service.fhir_reading.result_codes import CodeKind, CodeReading, is_only_a_total, read_code
from cds_service.fhir_reading.result_dates import When
from cds_service.fhir_reading.result_values import ValueReading, has_value, read_answer, read_total
from cds_service.fhir_reading.same_day import Doubt, Total
from cds_service.fhir_reading.suicide_answers import SuicideAnswer, read_suicide_answer
from cds_service.tables.scales import ScaleRow
from cds_service.tables.suicide_scales import SuicideScalePart
from cds_service.trd.record import SuicideItem, Unread


@dataclass(frozen=True)
class Record:
    """Where a result stands and when it was. `trouble` tells why it cannot be used as it stands.

    `is_only_unfinished` tells that the trouble is its status alone: it is not final, and not void either.
    """

    reference: str
    when: When
    trouble: str
    is_corrected: bool
    is_only_unfinished: bool = False

    def doubt(self, rows: tuple[ScaleRow, ...], problem: str, *, gives_way: bool = False) -> Doubt:
        return Doubt(rows, self.when.first_day, self.when.last_day, self.reference, problem, gives_way)

    def total(self, row: ScaleRow, reading: ValueReading, *, gives_way: bool = False) -> Total | Doubt:
        """The total of the day, or the doubt that is left."""
        problem = self.trouble or reading.problem or self.when.problem
        if problem or self.when.day is None or reading.value is None:
            return self.doubt((row,), problem, gives_way=gives_way and not self.trouble)
        moment = self.when.moment
        return Total(row, self.when.day, reading.value, self.reference, self.is_corrected, moment)

    def suicide_item(self, scale_name: str, value: float | None) -> SuicideItem:
        when = self.when
        name = f"{scale_name} item on thoughts of death or self-harm".strip()
        return SuicideItem(
            name, when.day, value, self.reference, when.first_day, when.last_day, instrument=scale_name
        )


@dataclass(frozen=True)
class Part:
    """A component, a member or an item of a form. One with an entry of its own also speaks for itself."""

    holder: Valued
    code: CodeReading
    has_own_entry: bool = False


ONLY_A_TOTAL = CodeReading(CodeKind.UNCLEAR, problem="total")


def code_of_part(concept: CodeableConcept | None) -> CodeReading:
    return ONLY_A_TOTAL if is_only_a_total(concept) else read_code(concept)


# --- a single answer ----------------------------------------------------------------------------------


def answer_value(record: Record, holder: Valued, code: CodeReading) -> ValueReading:
    if record.trouble:
        return ValueReading(None, record.trouble)
    return _stated_answer(holder, code)


def _stated_answer(holder: Valued, code: CodeReading) -> ValueReading:
    maximum = max(
        row.suicide_item_maximum if _is_suicide_item(row, code.item) else row.item_maximum
        for row in code.rows
    )
    return read_answer(holder, maximum)


def facts_about_suicide(record: Record, holder: Valued, code: CodeReading) -> Iterator[SuicideItem | Unread]:
    """What the answer to an item on suicide says; nothing for any other item.

    A positive answer that is not final counts, since doubt must not be silence; a 0 does not.
    """
    rows = [row for row in code.rows if _is_suicide_item(row, code.item)]
    if not rows:
        return
    value = answer_value(record, holder, code)
    stated = _stated_answer(holder, code) if record.is_only_unfinished else value
    yield record.suicide_item(rows[0].scale.name, stated.value or value.value)
    if value.value is None or record.when.day is None:
        yield Unread(record.reference, value.problem or record.when.problem)


def answers_of_suicide_scale(
    record: Record, part: SuicideScalePart, holder: Valued, trouble: str
) -> Iterator[SuicideAnswer]:
    """As `facts_about_suicide`, of a question of the C-SSRS. `trouble` is that of the record or of its parts."""
    if record.is_only_unfinished and trouble == record.trouble:
        answers = list(read_suicide_answer(part, holder, record.when, record.reference, ""))
        if any(answer.value for answer in answers):
            yield from answers
            return
    yield from read_suicide_answer(part, holder, record.when, record.reference, trouble)


def _is_suicide_item(row: ScaleRow, item: str) -> bool:
    return item == row.suicide_item_code or item not in row.item_codes


# --- a panel of one scale -----------------------------------------------------------------------------


def total_of_panel(holder: Valued, row: ScaleRow, parts: Sequence[Part], broken_parts: str) -> ValueReading:
    """The total by value, component, member and sum, which must all agree."""
    stated = [read_total(total, row.scale) for total in stated_totals(holder, row, parts)]
    if stated and not parts:
        return stated[0]
    summed = _sum_of_answers(row, parts)
    readings = [*stated, *([summed] if summed.value is not None else [])]
    unread = [reading for reading in stated if reading.value is None]
    if unread or not readings:
        return unread[0] if unread else ValueReading(None, broken_parts or summed.problem)
    if len({reading.value for reading in readings}) > 1:
        return ValueReading(None, "its totals, or its total and its answers, differ")
    return readings[0]


def stated_totals(holder: Valued, row: ScaleRow, parts: Sequence[Part]) -> Iterator[Valued]:
    if has_value(holder):
        yield holder
    for part in parts:
        is_total = part.code.kind is CodeKind.SCALE and part.code.rows == (row,) and has_value(part.holder)
        if is_total or part.code is ONLY_A_TOTAL:
            yield part.holder


def _sum_of_answers(row: ScaleRow, parts: Sequence[Part]) -> ValueReading:
    if not row.item_codes:
        return ValueReading(None, "has no value that can be read")
    sure = _sure_answers(row, parts)
    if len(sure) < len(row.item_codes):
        return ValueReading(
            None, f"has no total, and {len(sure)} of {len(row.item_codes)} answers can be read"
        )
    return ValueReading(float(sum(sure)))


def _sure_answers(row: ScaleRow, parts: Sequence[Part]) -> list[float]:
    """The answers to the items of the scale that have exactly one."""
    values: dict[str, set[float | None]] = {}
    for part in parts:
        if part.code.item in row.item_codes:
            answer = read_answer(part.holder, row.item_maximum).value
            values.setdefault(part.code.item, set()).add(answer)
    return [
        value for answers in values.values() if len(answers) == 1 for value in answers if value is not None
    ]


# --- a form, or a panel of several things -------------------------------------------------------------

FormFact = Total | Doubt | SuicideItem | Unread | SuicideAnswer


def facts_of_form(
    record: Record, parts: Sequence[Part], named: Sequence[ScaleRow] = (), broken_parts: str = ""
) -> Iterator[FormFact]:
    """What the parts say of every depression scale among them, and about suicide.

    `named` are scales that the form itself is called after; `broken_parts` tells that some could not be read.
    """
    rows = _scales_of_form(parts, named)
    for row in rows:
        reading = _total_of_form(row, parts, is_only=len(rows) == 1)
        if broken_parts:
            reading = ValueReading(None, broken_parts)
        yield record.total(row, reading, gives_way=not _states_a_total(row, parts))
    for part in parts:
        if part.code.kind is CodeKind.ITEM and not part.has_own_entry:
            yield from facts_about_suicide(record, part.holder, part.code)
        elif part.code.kind is CodeKind.SUICIDE_SCALE and part.code.part and not part.has_own_entry:
            yield from answers_of_suicide_scale(record, part.code.part, part.holder, record.trouble)
        elif part.code.kind is CodeKind.UNCLEAR and part.code is not ONLY_A_TOTAL and has_value(part.holder):
            yield record.doubt(part.code.rows, part.code.problem)


def _scales_of_form(parts: Sequence[Part], named: Sequence[ScaleRow]) -> list[ScaleRow]:
    """The scales the form is called after or has totals of, and that of its items.

    Items that belong to a short and a long form are of the shortest that has them all, unless one is named.
    """
    rows = {row.scale.name: row for row in named}
    rows |= {
        part.code.rows[0].scale.name: part.code.rows[0] for part in parts if part.code.kind is CodeKind.SCALE
    }
    items = {part.code.item for part in parts if part.code.kind is CodeKind.ITEM}
    items -= {item for row in rows.values() for item in row.item_codes}
    candidates = {
        row.scale.name: row
        for part in parts
        if part.code.item in items
        for row in part.code.rows
        if items & set(row.item_codes)
    }
    complete = [
        row for row in candidates.values() if items & _all_items(candidates.values()) <= set(row.item_codes)
    ]
    if complete:
        shortest = min(complete, key=lambda row: len(row.item_codes))
        rows[shortest.scale.name] = shortest
    else:
        rows |= candidates
    return list(rows.values())


def _all_items(rows: Iterable[ScaleRow]) -> set[str]:
    return {item for row in rows for item in row.item_codes}


def _total_of_form(row: ScaleRow, parts: Sequence[Part], *, is_only: bool) -> ValueReading:
    """The stated total and the sum, which must agree. A form that is partly answered has no total.

    What an instrument says of missing items is not in our tables, so nothing is filled in.
    """
    stated = [
        read_total(part.holder, row.scale)
        for part in parts
        if has_value(part.holder)
        and (
            (part.code.kind is CodeKind.SCALE and part.code.rows == (row,))
            or (part.code is ONLY_A_TOTAL and is_only)
        )
    ]
    unread = [reading for reading in stated if reading.value is None]
    if unread:
        return unread[0]
    values = {reading.value for reading in stated}
    answered = [part for part in parts if part.code.item in row.item_codes and has_value(part.holder)]
    if answered:
        sure = _sure_answers(row, parts)
        if len(sure) < len(row.item_codes):
            return ValueReading(
                None, f"{len(sure)} of {len(row.item_codes)} items of {row.scale.name} are answered"
            )
        values.add(float(sum(sure)))
    if not values:
        return ValueReading(None, f"has no total of {row.scale.name} and no answers that can be read")
    if len(values) > 1:
        return ValueReading(None, f"its totals of {row.scale.name}, or its total and its answers, differ")
    return ValueReading(values.pop())


def _states_a_total(row: ScaleRow, parts: Sequence[Part]) -> bool:
    return any(
        (part.code is ONLY_A_TOTAL or part.code.rows == (row,)) and has_value(part.holder)
        for part in parts
        if part.code.kind in (CodeKind.SCALE, CodeKind.UNCLEAR)
    )
