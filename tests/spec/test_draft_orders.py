"""A drafted order judged in the light of the record: every concern, each figure on, just below and just above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.errors import TableError
from cds_service.respond import assess_history
from cds_service.tables import precautions as precautions_table
from cds_service.tables.add_ons import augmenting_agent
from cds_service.tables.drugs import load_antidepressants
from cds_service.tables.precautions import load_precautions
from cds_service.tables.rows import Row, read_rows
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.draft_orders import Concern, DraftConcern, judge_drafts
from cds_service.trd.parameters import Definition, Rule
from cds_service.trd.precautions import Effect, Record, find_shown
from cds_service.trd.record import (
    Diagnosis,
    DiagnosisRole,
    DoseSegment,
    History,
    Prescription,
    Reaction,
    StopReason,
    SuicideItem,
)
from tests.conftest import examples
from tests.spec.assessments import ON, a_definition
from tests.spec.histories import histories, prescriptions
from tests.spec.people import diagnosis, history, scores
from tests.spec.texttables import rows

DRUGS = {known.drug.ingredient: known.drug for known in load_antidepressants().values()}
ADEQUATE = {"sertraline": 100.0, "citalopram": 20.0, "venlafaxine": 150.0, "phenelzine": 60.0}
ONE_YEAR = 365


def day(offset: int) -> date:
    """So many days after today; before it when negative."""
    return ON + timedelta(days=offset)


def order(
    name: str,
    first: int = -180,
    last: int = 0,
    mg: float | None = -1.0,
    *,
    sure: bool = True,
    use: Answer = Answer.MET,
    **given: object,
) -> Prescription:
    """An order from one day to another, as days from today; at a dose that is adequate unless another is named."""
    dose = ADEQUATE.get(name, 30.0) if mg == -1.0 else mg
    found = Prescription(
        reference=f"MedicationRequest/{name}",
        drug=DRUGS.get(name),
        name=name,
        segments=(DoseSegment(day(first), day(last), dose, dose, sure),),
        treats_depression=Finding("use", use, "stated use"),
        authored=day(first),
    )
    return replace(found, **given)  # type: ignore[arg-type]


def draft(
    name: str, first: int = 0, last: int = 83, mg: float | None = -1.0, **given: object
) -> Prescription:
    reference = given.pop("reference", f"MedicationRequest/draft-{name}")
    return order(name, first, last, mg, reference=reference, **given)  # type: ignore[arg-type]


def told(
    drafts: Prescription | Sequence[Prescription], person: History, definition: Definition | None = None
) -> tuple[DraftConcern, ...]:
    known = (drafts,) if isinstance(drafts, Prescription) else tuple(drafts)
    chosen = definition or a_definition()
    assessment = assess_history(person, chosen, ON, {"none": chosen})
    return judge_drafts(known, person, assessment, load_precautions(), ON)


def of(concern: Concern, found: Sequence[DraftConcern]) -> list[DraftConcern]:
    return [each for each in found if each.concern is concern]


def record(*orders: Prescription, **given: Any) -> History:
    return history(prescriptions=orders, **given)


def in_words(found: Sequence[DraftConcern]) -> str:
    return ", ".join(f"{each.concern.name} {each.finding.answer.value}" for each in found)


# --- MAOI ---------------------------------------------------------------------------------------------

# Days from today of the order on record ("to open": no end is recorded), and of the first day of the draft.
# phenelzine: 14 days either way; fluoxetine: 35 before an MAOI; moclobemide: none, it is reversible.
WASHOUT = """
    on record   | from | to    | sure | draft         | starts | answer  | day
    ------------+------+-------+------+---------------+--------+---------+-----------
    phenelzine  | -180 | -13   | yes  | sertraline    | 0      | met     | 2026-07-02
    phenelzine  | -180 | -14   | yes  | sertraline    | 0      | met     | 2026-07-01
    phenelzine  | -180 | -15   | yes  | sertraline    | 0      |         |
    phenelzine  | -180 | -14   | no   | sertraline    | 0      | unknown | 2026-07-01
    phenelzine  | -180 | -10   | yes  | sertraline    | 4      | met     | 2026-07-05
    phenelzine  | -180 | -10   | yes  | sertraline    | 5      |         |
    phenelzine  | -180 | 0     | yes  | sertraline    | 0      | met     | 2026-07-15
    phenelzine  | -180 | open  | yes  | sertraline    | 0      | met     | 2026-07-15
    phenelzine  | -180 | open  | yes  | sertraline    | 14     | met     | 2026-07-15
    phenelzine  | -180 | open  | yes  | sertraline    | 15     | unknown | 2026-07-15
    phenelzine  | -180 | open  | no   | sertraline    | 15     |         |
    phenelzine  | -180 | open  | no   | sertraline    | 14     | unknown | 2026-07-15
    sertraline  | -180 | -13   | yes  | phenelzine    | 0      | met     | 2026-07-02
    sertraline  | -180 | -14   | yes  | phenelzine    | 0      | met     | 2026-07-01
    sertraline  | -180 | -15   | yes  | phenelzine    | 0      |         |
    fluoxetine  | -180 | -34   | yes  | phenelzine    | 0      | met     | 2026-07-02
    fluoxetine  | -180 | -35   | yes  | phenelzine    | 0      | met     | 2026-07-01
    fluoxetine  | -180 | -36   | yes  | phenelzine    | 0      |         |
    fluoxetine  | -180 | 0     | yes  | phenelzine    | 0      | met     | 2026-08-05
    duloxetine  | -180 | -14   | yes  | phenelzine    | 0      | met     | 2026-07-01
    duloxetine  | -180 | -5    | yes  | tranylcypromine | 0    | met     | 2026-07-01
    duloxetine  | -180 | -6    | yes  | tranylcypromine | 0    |         |
    moclobemide | -180 | 0     | yes  | sertraline    | 0      | met     |
    moclobemide | -180 | -1    | yes  | sertraline    | 0      |         |
    moclobemide | -180 | open  | yes  | sertraline    | 3      | unknown |
    phenelzine  | -180 | 0     | yes  | phenelzine    | 0      |         |
    phenelzine  | -180 | 0     | yes  | tablet        | 0      |         |
    tablet      | -180 | 0     | yes  | phenelzine    | 0      |         |
    mirtazapine | -180 | -14   | yes  | phenelzine    | 0      | met     | 2026-07-01
    phenelzine  | 20   | 60    | yes  | sertraline    | 0      | met     |
    bupropion   | -180 | 0     | yes  | moclobemide   | 0      |         |
"""


def on_record(row: dict[str, str]) -> Prescription:
    is_open = row["to"] == "open"
    last = 0 if is_open else int(row["to"])
    found = order(row["on record"], int(row["from"]), last, sure=row["sure"] == "yes")
    return found if is_open else replace(found, stated_end=day(last))


@pytest.mark.parametrize("row", rows(WASHOUT), ids=lambda row: " ".join(row.values()))
@pytest.mark.parametrize("use", list(Answer))
def test_washout(row: dict[str, str], use: Answer) -> None:
    """Whatever the draft is for: what it was ordered for changes nothing of an interaction."""
    starts = int(row["starts"])
    found = told(draft(row["draft"], starts, starts + 83, use=use), record(on_record(row)))
    maoi = of(Concern.MAOI, found)
    assert [each.finding.answer.value for each in maoi] == [row["answer"]] * bool(row["answer"])
    for each in maoi:
        assert each.values["day"] == row["day"]
        assert (each.values["drug"], each.values["other"]) == (row["draft"], row["on record"])
        assert each.finding.evidence == (f"MedicationRequest/{row['on record']}",)
        assert ("perhaps" in each.finding.text) is (row["answer"] == "unknown")
        assert ("not before" in each.finding.text) is bool(row["day"])
        assert row["day"] in each.finding.text


def test_the_words_of_a_washout() -> None:
    (one,) = told(draft("sertraline"), record(order("phenelzine", -180, -10, stated_end=day(-10))))
    assert one.finding == Finding(
        "MAOI: sertraline and phenelzine",
        Answer.MET,
        "sertraline would begin on 2026-06-30; the last day of phenelzine (an MAOI) is 2026-06-20; "
        "contraindication; 14 days needed after phenelzine, 14 days needed after sertraline; "
        "sertraline not before 2026-07-05",
        ("MedicationRequest/phenelzine",),
    )
    assert one.values == {
        "drug": "sertraline",
        "other": "phenelzine",
        "days": "14",
        "day": "2026-07-05",
        "reason": "contraindication; 14 days needed after phenelzine, 14 days needed after sertraline",
        "until": "2026-06-20",
    }
    (other,) = of(Concern.MAOI, told(draft("phenelzine"), record(order("sertraline"))))
    assert "taken from 2026-01-01 on, without a recorded end" in other.finding.text
    assert "if sertraline is stopped on 2026-06-30, phenelzine not before 2026-07-15" in other.finding.text


def test_an_maoi_that_is_ordered_for_later_is_told() -> None:
    (one,) = told(draft("sertraline", 0, 27), record(order("phenelzine", 30, 60)))
    assert (
        "sertraline would begin on 2026-06-30; phenelzine (an MAOI) is to begin on 2026-07-30"
        in one.finding.text
    )
    assert one.values["day"] == "" and one.values["days"] == "14"
    old, later = order("phenelzine", -400, -300), order("phenelzine", 70, 90)
    (same,) = of(
        Concern.MAOI, told(draft("sertraline", 0, 27), record(old, order("phenelzine", 30, 60), later))
    )
    assert "phenelzine (an MAOI) is to begin on 2026-07-30" in same.finding.text
    assert not told(draft("sertraline", 0, 15), record(order("phenelzine", 30, 60)))
    (perhaps,) = told(draft("sertraline", 0, 0), record(order("phenelzine", 30, 60)))
    assert perhaps.finding.answer is Answer.UNKNOWN


def test_a_drug_that_is_ordered_until_a_named_day_is_taken_until_then() -> None:
    running = order("phenelzine", stated_end=day(10))
    (one,) = told(draft("sertraline", 24), record(running))
    assert (one.finding.answer, one.values["day"]) == (Answer.MET, "2026-07-25")
    assert not told(draft("sertraline", 25), record(running))


def test_a_drug_that_was_stopped_for_a_reason_today_is_not_taken_for_ever() -> None:
    stopped = order("phenelzine", stop_reason=StopReason.INEFFICACY)
    assert in_words(told(draft("sertraline", 14), record(stopped))) == "MAOI met"
    assert not told(draft("sertraline", 15), record(stopped))


def test_what_is_denied_or_only_added_is_no_pair() -> None:
    denied = order("phenelzine", is_denial=True)
    assert not told(draft("sertraline"), record(denied))
    lithium = augmenting_agent(frozenset({"lithium"}))
    assert lithium is not None
    added = replace(draft("sertraline"), drug=lithium.row.drug, name="lithium")
    assert not told(added, record(order("phenelzine")))


DRAFTS_TOGETHER = """
    one        | from | to | other       | from_ | to_ | answers
    -----------+------+----+-------------+-------+-----+---------------------------
    sertraline | 0    | 83 | phenelzine  | 0     | 83  | MAOI met, MAOI met
    sertraline | 0    | 27 | phenelzine  | 41    | 83  | MAOI met, MAOI met
    sertraline | 0    | 27 | phenelzine  | 42    | 83  |
    sertraline | 0    | 0  | phenelzine  | 0     | 0   | MAOI met, MAOI met
    sertraline | 0    | 0  | phenelzine  | 60    | 90  | MAOI unknown, MAOI unknown
    sertraline | 0    | 83 | moclobemide | 84    | 90  |
    sertraline | 0    | 83 | moclobemide | 83    | 90  | MAOI met, MAOI met
"""


@pytest.mark.parametrize("row", rows(DRAFTS_TOGETHER), ids=lambda row: " ".join(row.values()))
def test_two_drafts_are_held_against_each_other(row: dict[str, str]) -> None:
    drafts = (
        draft(row["one"], int(row["from"]), int(row["to"])),
        draft(row["other"], int(row["from_"]), int(row["to_"]), 300.0),
    )
    found = told(drafts, record())
    assert in_words(found) == row["answers"]
    for each, other in zip(found, reversed(drafts), strict=False):
        assert each.finding.evidence == (other.reference,)


def test_the_later_of_two_drafts_is_told_its_first_allowed_day() -> None:
    first, second = told((draft("sertraline", 0, 27), draft("phenelzine", 30, 60)), record())
    assert "phenelzine (an MAOI) is to begin on 2026-07-30" in first.finding.text
    assert (first.values["day"], second.values["day"]) == ("", "2026-08-11")
    both = told((draft("sertraline", 0, 0), draft("phenelzine", 0, 0)), record())
    assert [each.values["day"] for each in both] == ["", ""]
    assert "ordered from 2026-06-30 on, without a recorded end" in both[0].finding.text


# --- two serotonergic drugs -----------------------------------------------------------------------------

# At most 28 days together, at the end of one and the start of the other, are a cross-taper.
DUPLICATES = """
    on record    | from | to   | sure | draft         | starts | ends | answer
    -------------+------+------+------+---------------+--------+------+--------
    sertraline   | -180 | open | yes  | citalopram    | 0      | 83   | unknown
    sertraline   | -180 | open | yes  | citalopram    | 0      | 6    | unknown
    sertraline   | -180 | open | yes  | venlafaxine   | 5      | 83   | unknown
    venlafaxine  | -180 | open | yes  | sertraline    | 0      | 83   | unknown
    sertraline   | -180 | open | yes  | tryptophan    | 0      | 83   | unknown
    venlafaxine  | -180 | open | yes  | duloxetine    | 0      | 83   |
    venlafaxine  | -180 | open | yes  | tryptophan    | 0      | 83   |
    mirtazapine  | -180 | open | yes  | citalopram    | 0      | 83   |
    sertraline   | -180 | open | yes  | sertraline    | 0      | 83   |
    sertraline   | -180 | 26   | yes  | citalopram    | 0      | 83   |
    sertraline   | -180 | 27   | yes  | citalopram    | 0      | 83   |
    sertraline   | -180 | 28   | yes  | citalopram    | 0      | 83   | met
    sertraline   | -180 | 83   | yes  | citalopram    | 0      | 20   | unknown
    sertraline   | -180 | 40   | yes  | citalopram    | 0      | 0    | unknown
    sertraline   | -180 | 0    | yes  | citalopram    | 0      | 83   |
    sertraline   | -180 | -1   | yes  | citalopram    | 0      | 83   |
    sertraline   | -180 | open | no   | citalopram    | 0      | 83   |
"""


@pytest.mark.parametrize("row", rows(DUPLICATES), ids=lambda row: " ".join(row.values()))
def test_duplicates(row: dict[str, str]) -> None:
    last = 0 if row["to"] == "open" else min(int(row["to"]), 0)
    end = None if row["to"] == "open" else day(int(row["to"]))
    running = order(row["on record"], int(row["from"]), last, sure=row["sure"] == "yes", stated_end=end)
    found = told(draft(row["draft"], int(row["starts"]), int(row["ends"])), record(running))
    duplicates = of(Concern.DUPLICATE_SEROTONERGIC, found)
    assert [each.finding.answer.value for each in duplicates] == [row["answer"]] * bool(row["answer"])
    for each in duplicates:
        assert "(a cross-taper is at most 28 days together): ask whether it is" in each.finding.text
        assert "ask whether it is a cross-taper; not recommended by label" in each.finding.text
        assert each.finding.evidence == (f"MedicationRequest/{row['on record']}",)
        assert each.values["other"] == row["on record"]


# What else is said of the order on record: an end that is meant is no question. A washout is, all the same.
MEANT_TO_END = """
    on record    | beside it                           | draft       | told
    -------------+-------------------------------------+-------------+---------------------------------
    sertraline   |                                     | citalopram  | DUPLICATE_SEROTONERGIC unknown
    sertraline   | citalopram replaces sertraline      | citalopram  |
    sertraline   | citalopram replaces another order   | citalopram  | DUPLICATE_SEROTONERGIC unknown
    sertraline   | sertraline drafted to day 6         | citalopram  |
    sertraline   | sertraline drafted to day 27        | citalopram  |
    sertraline   | sertraline drafted to day 40        | citalopram  | DUPLICATE_SEROTONERGIC met
    sertraline   | sertraline drafted without an end   | citalopram  | DUPLICATE_SEROTONERGIC met
    sertraline   | sertraline drafted from day 5 to 11 | citalopram  | DUPLICATE_SEROTONERGIC unknown
    sertraline   | a week of less sertraline           | citalopram  |
    sertraline   | a week of the same sertraline       | citalopram  | DUPLICATE_SEROTONERGIC unknown
    sertraline   |                                     | phenelzine  | MAOI met
    sertraline   | phenelzine replaces sertraline      | phenelzine  | MAOI met
    sertraline   | sertraline drafted to day 6         | phenelzine  | MAOI met
    phenelzine   | sertraline replaces phenelzine      | sertraline  | MAOI met
"""
BESIDE: dict[str, tuple[Prescription, ...]] = {
    "sertraline drafted to day 6": (draft("sertraline", 0, 6, stated_end=day(6)),),
    "sertraline drafted to day 27": (draft("sertraline", 0, 27, stated_end=day(27)),),
    "sertraline drafted to day 40": (draft("sertraline", 0, 40, stated_end=day(40)),),
    "sertraline drafted without an end": (draft("sertraline"),),
    "a week of less sertraline": (draft("sertraline", 0, 6, 50.0),),
    "a week of the same sertraline": (draft("sertraline", 0, 6),),
    "sertraline drafted from day 5 to 11": (draft("sertraline", 5, 11, stated_end=day(11)),),
}


@pytest.mark.parametrize("row", rows(MEANT_TO_END), ids=lambda row: " ".join(row.values()))
def test_an_order_that_is_meant_to_end(row: dict[str, str]) -> None:
    replaced = row["beside it"].partition(" replaces ")[2]
    names = {"": "", "another order": "MedicationRequest/another"}
    chosen = draft(row["draft"], replaces=names.get(replaced, f"MedicationRequest/{replaced}"))
    found = told((chosen, *BESIDE.get(row["beside it"], ())), record(order(row["on record"])))
    assert in_words([each for each in found if each.draft is chosen]) == row["told"]


def test_a_lower_dose_that_replaces_the_running_one_is_not_added_to_it() -> None:
    running = record(order("sertraline", mg=100.0))
    assert not of(Concern.BELOW_MINIMUM, told(draft("sertraline", mg=25.0), running))
    lowered = draft("sertraline", mg=25.0, replaces="MedicationRequest/sertraline")
    assert of(Concern.BELOW_MINIMUM, told(lowered, running))


def test_the_words_of_a_duplicate() -> None:
    ends_later = order("sertraline", stated_end=day(40))
    (one,) = told(draft("citalopram"), record(ends_later))
    assert one.finding.text == (
        "citalopram from 2026-06-30 would be taken 41 days with sertraline, which is ordered until 2026-08-09 "
        "(a cross-taper is at most 28 days together): ask whether it is a cross-taper; not recommended by label"
    )
    assert one.values == {
        "drug": "citalopram",
        "other": "sertraline",
        "days": "41",
        "most": "28",
        "day": "2026-06-30",
        "until": "2026-08-09",
    }
    (open_end,) = told(draft("citalopram"), record(order("sertraline")))
    assert "taken with sertraline, ordered without a recorded end (a cross-taper" in open_end.finding.text
    assert open_end.values["days"] == ""


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        ((0, 83), (0, 83), ["met", "met"]),
        ((0, 27), (0, 27), ["unknown", "unknown"]),
        ((0, 6), (0, 83), []),
        ((0, 27), (28, 83), []),
        ((0, 27), (20, 83), []),
        ((0, 83), (20, 40), ["unknown", "unknown"]),
        ((0, 27), (10, 27), ["unknown", "unknown"]),
    ],
)
def test_two_drafts_of_serotonergic_drugs(
    first: tuple[int, int], second: tuple[int, int], answers: list[str]
) -> None:
    found = told((draft("sertraline", *first), draft("citalopram", *second)), record())
    assert [e.finding.answer.value for e in of(Concern.DUPLICATE_SEROTONERGIC, found)] == answers


def test_of_several_uses_of_the_other_drug_the_one_that_goes_on_is_meant() -> None:
    old = order("sertraline", -700, -600, reference="MedicationRequest/old")
    running = order("sertraline", stated_end=day(40))
    (one,) = told(draft("citalopram", 0, 20), record(old, running))
    assert one.finding.answer is Answer.UNKNOWN and "ordered until 2026-08-09" in one.finding.text
    assert one.finding.evidence == ("MedicationRequest/old", "MedicationRequest/sertraline")


def test_a_draft_with_a_pause_is_one_order() -> None:
    steps = (DoseSegment(day(0), day(6), 20.0, 20.0), DoseSegment(day(10), day(83), 20.0, 20.0))
    paused = replace(draft("citalopram"), segments=steps)
    assert not told(paused, record(order("sertraline", stated_end=day(20))))
    assert (
        in_words(told(paused, record(order("sertraline", stated_end=day(40)))))
        == "DUPLICATE_SEROTONERGIC met"
    )


def test_a_drug_on_record_and_drafted_too_is_told_once_and_as_certain_as_it_is() -> None:
    running = record(order("sertraline"))
    on_record_and_open = (draft("citalopram"), draft("sertraline", 0, 0))
    (first,) = [e for e in told(on_record_and_open, running) if e.draft is on_record_and_open[0]]
    assert (first.finding.answer, first.finding.evidence) == (
        Answer.UNKNOWN,
        ("MedicationRequest/sertraline",),
    )
    longer = (draft("citalopram"), draft("sertraline", 0, 82))
    (first,) = [e for e in told(longer, running) if e.draft is longer[0]]
    assert (first.finding.answer, first.finding.evidence) == (
        Answer.MET,
        ("MedicationRequest/draft-sertraline",),
    )


def test_the_length_of_a_cross_taper_is_the_definitions() -> None:
    running = order("sertraline", stated_end=day(14))
    assert not told(draft("citalopram"), record(running))
    shorter = a_definition(cross_taper_days=14)
    assert in_words(told(draft("citalopram"), record(running), shorter)) == "DUPLICATE_SEROTONERGIC met"


def test_the_row_shows_nothing_by_itself() -> None:
    duplicates = [row for row in load_precautions() if row.effect is Effect.DUPLICATE]
    assert duplicates
    running = record(order("sertraline"), order("citalopram"))
    assert find_shown(duplicates, Record(running, ON)) == ()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("shows", "category=bipolar"),
        ("shows", "possibly running=class:SSRI"),
        ("shows", "running=class:SSRI | mechanism=maoi"),
        ("shows", ""),
        ("then", ""),
    ],
)
def test_the_table_refuses_a_duplicate_that_is_not_of_drugs(column: str, value: str) -> None:
    (row,) = [
        row
        for row in read_rows(precautions_table.TABLE, precautions_table.COLUMNS)
        if row.text("rule") == "duplicate"
    ]
    changed = Row(row.table, row.line, {**row.cells, column: value})
    with pytest.raises(TableError, match=column):
        precautions_table._precaution(changed)


# --- what failed --------------------------------------------------------------------------------------


def failed(name: str, first: int, last: int, reply: float = 19, mg: float = -1.0, **given: object) -> History:
    """Someone with one trial: PHQ-9 20 before it, and another total on its last day."""
    totals = scores((day(first).isoformat(), 20), (day(last).isoformat(), reply))
    return record(order(name, first, last, mg, **given), score_list=totals)  # type: ignore[arg-type]


def several(*people: History, **given: Any) -> History:
    """One person with all their orders and scores."""
    return record(
        *(order for person in people for order in person.prescriptions),
        score_list=tuple(score for person in people for score in person.scores),
        **given,
    )


SAME_DRUG = """
    days back    | last score | mg  | stop          | sure | says
    -------------+------------+-----+---------------+------+----------------------
    -200 to -100 | 19         | 100 |               | yes  | FAILED_BEFORE met
    -200 to -100 | 10         | 100 |               | yes  |
    -141 to -100 | 19         | 100 |               | yes  | FAILED_BEFORE met
    -140 to -100 | 19         | 100 |               | yes  |
    -200 to -100 | 19         | 50  |               | yes  | FAILED_BEFORE met
    -200 to -100 | 19         | 49  |               | yes  |
    -200 to -100 | none       | 100 |               | yes  | FAILED_BEFORE unknown
    -200 to -100 | 19         | ?   |               | yes  | FAILED_BEFORE unknown
    -200 to -100 | 19         | 100 |               | no   | FAILED_BEFORE unknown
    -200 to -100 | none       | 100 | inefficacy    | yes  | FAILED_BEFORE met
    -900 to -800 | 19         | 100 |               | yes  |
    -200 to -100 | 19         | 100 | intolerance   | yes  | FAILED_BEFORE unknown, NOT_TOLERATED met
    -200 to -100 | none       | 100 | intolerance   | yes  | NOT_TOLERATED met
    -120 to -100 | 19         | 100 | intolerance   | yes  | NOT_TOLERATED met
    -100 to 0    | 19         | 100 |               | yes  | FAILED_BEFORE met
    -100 to 0    | 10         | 100 |               | yes  |
    -100 to 0    | none       | 100 |               | yes  |
    -100 to 0    | none       | 100 | inefficacy    | yes  | FAILED_BEFORE met
    -100 to -15  | none       | 100 |               | yes  |
    -101 to -16  | none       | 100 |               | yes  | FAILED_BEFORE unknown
    -20 to 0     | none       | 100 |               | yes  |
"""


@pytest.mark.parametrize("row", rows(SAME_DRUG), ids=lambda row: " ".join(row.values()))
def test_the_same_drug(row: dict[str, str]) -> None:
    first, last = map(int, row["days back"].split(" to "))
    mg = None if row["mg"] == "?" else float(row["mg"])
    given = order("sertraline", first, last, mg, sure=row["sure"] == "yes")
    given = replace(given, stop_reason=StopReason(row["stop"] or "none given"))
    totals = [(day(first).isoformat(), 20.0)]
    if row["last score"] != "none":
        totals.append((day(last).isoformat(), float(row["last score"])))
    found = told(draft("sertraline"), record(given, score_list=scores(*totals)))
    assert in_words(found) == row["says"]
    for each in found:
        assert "MedicationRequest/sertraline" in each.finding.evidence


def test_both_doses_are_told() -> None:
    (one,) = told(draft("sertraline", mg=200.0), failed("sertraline", -200, -100))
    assert one.finding.text.startswith("sertraline failed at up to 100 mg/day, 101 days: PHQ-9 20")
    assert one.finding.text.endswith(
        "; in the current episode, as far as is recorded; this order: 200 mg/day"
    )
    assert {name: one.values[name] for name in ("drug", "dose", "failed_dose", "days", "weeks", "day")} == {
        "drug": "sertraline",
        "dose": "200 mg/day",
        "failed_dose": "100 mg/day",
        "days": "101",
        "weeks": "14",
        "day": str(day(-100)),
    }
    assert one.values["outcome"].startswith("PHQ-9 20 on")
    (unknown,) = told(draft("sertraline", mg=None), failed("sertraline", -200, -100))
    assert "this order" not in unknown.finding.text and unknown.values["dose"] == ""


def test_the_day_of_a_trial_is_its_last_adequate_one() -> None:
    tapered = replace(order("sertraline", -99, -90, 25.0), reference="MedicationRequest/taper")
    person = several(failed("sertraline", -200, -100), record(tapered))
    (one,) = of(Concern.FAILED_BEFORE, told(draft("sertraline"), person))
    assert one.values["day"] == str(day(-100))


def test_an_order_that_began_today_is_renewed_today() -> None:
    begun = replace(TWO, prescriptions=(*TWO.prescriptions, order("mirtazapine", 0, 0)))
    assert not told(draft("mirtazapine"), begun)


def test_a_use_that_is_open_leaves_it_open() -> None:
    found = told(draft("sertraline", use=Answer.UNKNOWN), failed("sertraline", -200, -100))
    assert in_words(found) == "FAILED_BEFORE unknown"


def test_a_failure_for_intolerance_is_not_one_at_an_adequate_dose_and_duration() -> None:
    short = failed("sertraline", -120, -100, stop_reason=StopReason.INTOLERANCE)
    counts = a_definition(intolerance_counts_as_failure=True)
    assert in_words(told(draft("sertraline"), short, counts)) == "NOT_TOLERATED met"


@pytest.mark.parametrize("use", [Answer.NOT_MET])
def test_nothing_is_told_of_a_draft_for_something_else(use: Answer) -> None:
    person = several(failed("sertraline", -200, -100), failed("citalopram", -400, -300))
    assert not told(draft("sertraline", mg=10.0, use=use), person)


# --- not tolerated ------------------------------------------------------------------------------------

INTOLERANCE = """
    resource           | holds   | on day | takes it | told
    -------------------+---------+--------+----------+-----
    AllergyIntolerance | met     | -300   | no       | yes
    AllergyIntolerance | unknown | -300   | no       | no
    AllergyIntolerance | not-met | -300   | no       | no
    AllergyIntolerance | met     | -20    | yes      | no
    AdverseEvent       | met     | -103   | no       | yes
    AdverseEvent       | unknown | -103   | no       | no
    AdverseEvent       | met     | -190   | no       | no
    AdverseEvent       | met     | -600   | no       | no
"""


@pytest.mark.parametrize("row", rows(INTOLERANCE), ids=lambda row: " ".join(row.values()))
def test_intolerance(row: dict[str, str]) -> None:
    """The drug was taken from 200 to 100 days ago, or is being taken; an event explains an end within 14 days."""
    last = 0 if row["takes it"] == "yes" else -100
    reaction = Reaction(
        "sertraline", "nausea", day(int(row["on day"])), Answer(row["holds"]), f"{row['resource']}/1"
    )
    person = replace(failed("sertraline", -200, last, reply=8), reactions=(reaction,))
    found = of(Concern.NOT_TOLERATED, told(draft("sertraline"), person))
    assert bool(found) is (row["told"] == "yes")
    for each in found:
        assert each.finding.answer is Answer.MET and "nausea" in each.values["outcome"]
        assert f"{row['resource']}/1" in each.finding.evidence
    assert not of(Concern.NOT_TOLERATED, told(draft("citalopram"), person))


def test_the_words_of_intolerance() -> None:
    reaction = Reaction("sertraline", "rash", day(-300), Answer.MET, "AllergyIntolerance/1")
    stopped = order("sertraline", -120, -100, stop_reason=StopReason.INTOLERANCE)
    (one,) = told(draft("sertraline"), record(stopped, reactions=(reaction,)))
    outcome = "stopped on 2026-03-22 for intolerance; rash"
    assert one.finding == Finding(
        "not tolerated: sertraline",
        Answer.MET,
        f"sertraline: {outcome}",
        ("MedicationRequest/sertraline", "AllergyIntolerance/1"),
    )
    assert one.values == {"drug": "sertraline", "outcome": outcome}


def test_of_several_uses_the_last_tells() -> None:
    first = order("sertraline", -400, -380, stop_reason=StopReason.INTOLERANCE)
    later = replace(
        failed("sertraline", -200, -100, reply=8).prescriptions[0], reference="MedicationRequest/2"
    )
    assert of(Concern.NOT_TOLERATED, told(draft("sertraline"), record(first)))
    assert not of(Concern.NOT_TOLERATED, told(draft("sertraline"), record(first, later)))


# --- a class that failed ------------------------------------------------------------------------------

THREE = [("sertraline", -200), ("citalopram", -400), ("venlafaxine", -600)]


def tried(*named: tuple[str, str]) -> History:
    """Trials of 101 days, one after the other: `failed`, `open` (no last score) or `helped`."""
    people = []
    for number, (name, what) in enumerate(named):
        first = -200 - 200 * number
        person = failed(name, first, first + 100, reply=8 if what == "helped" else 19)
        people.append(replace(person, scores=person.scores[:1]) if what == "open" else person)
    return several(*people)


CLASS = """
    first             | second            | draft        | answer
    ------------------+-------------------+--------------+--------
    sertraline failed | citalopram failed | fluoxetine   | met
    sertraline failed | citalopram open   | fluoxetine   | unknown
    sertraline open   | citalopram open   | fluoxetine   | unknown
    sertraline failed | citalopram helped | fluoxetine   |
    sertraline failed | citalopram failed | venlafaxine  |
    sertraline failed | citalopram failed | sertraline   |
    sertraline failed | citalopram open   | citalopram   |
    sertraline failed | venlafaxine failed | fluoxetine  |
"""


@pytest.mark.parametrize("row", rows(CLASS), ids=lambda row: " ".join(row.values()))
def test_a_third_drug_of_a_class(row: dict[str, str]) -> None:
    named = [tuple(row[cell].split()) for cell in ("first", "second")]
    person = tried(*named)  # type: ignore[arg-type]
    found = of(Concern.FAILED_CLASS, told(draft(row["draft"]), person))
    assert [each.finding.answer.value for each in found] == [row["answer"]] * bool(row["answer"])
    for each in found:
        assert (each.values["count"], each.values["class"]) == ("2", "SSRI")
        assert each.values["other"] in ("sertraline and citalopram", "citalopram and sertraline")
        assert {"MedicationRequest/sertraline", "MedicationRequest/citalopram"} <= set(each.finding.evidence)
        have = "have failed" if row["answer"] == "met" else "have failed or may have"
        assert each.finding.text == (
            f"fluoxetine would be one more SSRI: {each.values['other']} {have} at an adequate dose and duration"
        )


def test_a_class_is_not_held_against_a_draft_whose_use_is_open_or_that_is_a_renewal() -> None:
    person = tried(("sertraline", "failed"), ("citalopram", "failed"))
    assert not of(Concern.FAILED_CLASS, told(draft("fluoxetine", use=Answer.UNKNOWN), person))
    running = replace(person, prescriptions=(*person.prescriptions, order("fluoxetine", -30, 0, 20.0)))
    assert not of(Concern.FAILED_CLASS, told(draft("fluoxetine"), running))


# --- the criteria are met -----------------------------------------------------------------------------

TWO = tried(("sertraline", "failed"), ("venlafaxine", "failed"))


@pytest.mark.parametrize(
    ("drafted", "is_told"),
    [
        (draft("mirtazapine"), True),
        (draft("sertraline"), True),
        (draft("mirtazapine", use=Answer.UNKNOWN), False),
        (draft("mirtazapine", use=Answer.NOT_MET), False),
        (draft("tablet"), False),
    ],
)
def test_two_failed_trials_are_told_before_one_more_is_begun(drafted: Prescription, is_told: bool) -> None:
    found = of(Concern.TWO_FAILED, told(drafted, TWO))
    assert bool(found) is is_told
    for each in found:
        assert (each.finding.answer, each.values["count"], each.values["needed"]) == (Answer.MET, "2", "2")
        assert each.finding.text.startswith("2 failed trials; A rule for tests; consider an assessment")
        assert "MedicationRequest/sertraline" in each.finding.evidence


def test_it_is_not_told_of_a_renewal_an_augmentation_or_where_the_verdict_is_another() -> None:
    running = replace(TWO, prescriptions=(*TWO.prescriptions, order("mirtazapine", -60, 0)))
    assert not of(Concern.TWO_FAILED, told(draft("mirtazapine"), running))
    lithium = augmenting_agent(frozenset({"lithium"}))
    assert lithium is not None
    assert not told(replace(draft("sertraline"), drug=lithium.row.drug, name="lithium"), TWO)
    one = tried(("sertraline", "failed"), ("venlafaxine", "helped"))
    perhaps = tried(("sertraline", "failed"), ("venlafaxine", "open"))
    for person in (
        one,
        perhaps,
        replace(TWO, diagnoses=(diagnosis(), diagnosis(DiagnosisRole.EXCLUSION, "bipolar"))),
    ):
        assert not of(Concern.TWO_FAILED, told(draft("mirtazapine"), person))


def test_a_definition_that_counts_no_failed_trials_names_none() -> None:
    person = TWO
    assessment = assess_history(person, a_definition(), ON)
    of_score = replace(assessment, definition=a_definition(rule=Rule.SCORE))
    (one,) = [
        each
        for each in judge_drafts((draft("mirtazapine"),), person, of_score, load_precautions(), ON)
        if each.concern is Concern.TWO_FAILED
    ]
    assert one.finding.text.startswith("A rule for tests; consider an assessment")
    assert (one.values["count"], one.values["needed"]) == ("2", "")


# --- a running trial ----------------------------------------------------------------------------------

# 42 adequate days are needed: a trial with 20 so far is long enough 22 days from today, on 2026-07-22.
RUNNING = """
    since | mg  | sure | draft       | starts | says
    ------+-----+------+-------------+--------+------------------------
    -19   | 30  | yes  | bupropion   | 0      | met, 20 days, 2026-07-22
    -19   | 30  | yes  | bupropion   | 21     | met, 20 days, 2026-07-22
    -19   | 30  | yes  | bupropion   | 22     |
    -40   | 30  | yes  | bupropion   | 0      | met, 41 days, 2026-07-01
    -40   | 30  | yes  | bupropion   | 1      |
    -41   | 30  | yes  | bupropion   | 0      |
    0     | 30  | yes  | bupropion   | 0      | met, 1 days, 2026-08-10
    -19   | 14  | yes  | bupropion   | 0      |
    -19   | 15  | yes  | bupropion   | 0      | met, 20 days, 2026-07-22
    -19   | ?   | yes  | bupropion   | 0      | unknown, 20 days, 2026-07-22
    -19   | 30  | no   | bupropion   | 0      |
    -19   | 30  | yes  | mirtazapine | 0      |
    -19   | 30  | yes  | tablet      | 0      |
"""


@pytest.mark.parametrize("row", rows(RUNNING), ids=lambda row: " ".join(row.values()))
def test_a_running_trial_of_mirtazapine(row: dict[str, str]) -> None:
    mg = None if row["mg"] == "?" else float(row["mg"])
    running = order("mirtazapine", int(row["since"]), 0, mg, sure=row["sure"] == "yes")
    starts = int(row["starts"])
    found = of(
        Concern.CUTS_TRIAL_SHORT, told(draft(row["draft"], starts, starts + 83, 300.0), record(running))
    )
    said = [f"{e.finding.answer.value}, {e.values['days']} days, {e.values['day']}" for e in found]
    assert said == [row["says"]] * bool(row["says"])
    for each in found:
        assert each.values["other"] == "mirtazapine"
        assert each.finding.evidence == ("MedicationRequest/mirtazapine",)
        assert f"{each.values['days']} days" in each.finding.text and each.values["day"] in each.finding.text


def test_the_words_of_a_running_trial_and_the_day_on_which_a_last_score_counts() -> None:
    running = record(order("mirtazapine", -19, 0))
    (one,) = told(draft("bupropion", mg=300.0), running)
    assert one.finding.text == (
        "mirtazapine has run for 20 days at an adequate dose and can be judged from 2026-07-22; "
        "bupropion would begin on 2026-06-30"
    )
    assert one.values == {
        "drug": "bupropion",
        "other": "mirtazapine",
        "days": "20",
        "weeks": "2",
        "day": "2026-07-22",
    }
    late = a_definition(last_score_from_day=60)
    (later,) = told(draft("bupropion", mg=300.0), running, late)
    assert later.values["day"] == "2026-08-09"
    (open_dose,) = told(draft("bupropion", mg=300.0), record(order("mirtazapine", -19, 0, None)))
    assert "for 20 days at a dose that may be adequate" in open_dose.finding.text


def young(**given: object) -> History:
    return replace(record(order("mirtazapine", -29, 0)), **given)  # type: ignore[arg-type]


SUICIDAL = SuicideItem("PHQ-9", ON, 2, "Observation/9")


@pytest.mark.parametrize(
    "person",
    [
        pytest.param(young(suicide_items=(SUICIDAL,)), id="suicidality"),
        pytest.param(
            young(
                reactions=(Reaction("mirtazapine", "weight gain", day(-5), Answer.UNKNOWN, "AdverseEvent/1"),)
            ),
            id="an adverse effect, though only suspected",
        ),
        pytest.param(young(scores=scores((str(day(-29)), 15), (str(day(0)), 20))), id="worse than before"),
        pytest.param(
            record(order("mirtazapine", -29, 0, stop_reason=StopReason.INTOLERANCE)),
            id="stopped for intolerance",
        ),
        pytest.param(
            record(order("mirtazapine", -29, 0, stop_reason=StopReason.OTHER)),
            id="stopped for another reason",
        ),
        pytest.param(record(order("mirtazapine", -29, -1)), id="over"),
        pytest.param(record(order("mirtazapine", -29, 0, use=Answer.NOT_MET)), id="not for depression"),
        pytest.param(record(order("tablet", -29, 0)), id="not identified"),
    ],
)
def test_nothing_is_held_against_a_change(person: History) -> None:
    assert of(Concern.CUTS_TRIAL_SHORT, told(draft("bupropion"), young()))
    assert not of(Concern.CUTS_TRIAL_SHORT, told(draft("bupropion"), person))


def test_the_second_of_two_running_drugs_is_renewed_in_silence() -> None:
    both = record(order("mirtazapine", -29, 0), order("bupropion", -100, 0, 300.0))
    assert not told(draft("bupropion", mg=300.0), both)
    stopped = record(
        order("mirtazapine", -29, 0),
        order("bupropion", -100, 0, 300.0, stop_reason=StopReason.OTHER),
    )
    assert of(Concern.CUTS_TRIAL_SHORT, told(draft("bupropion", mg=300.0), stopped))


def test_an_augmenting_agent_or_another_use_cuts_nothing_short() -> None:
    lithium = augmenting_agent(frozenset({"lithium"}))
    assert lithium is not None
    assert not told(replace(draft("sertraline"), drug=lithium.row.drug, name="lithium"), young())
    assert not told(draft("trazodone", use=Answer.UNKNOWN), young())


# --- the dose -----------------------------------------------------------------------------------------


def stepped(*doses: float | None, name: str = "sertraline", low: float | None = None) -> Prescription:
    """Steps of a week each; `low` is the lower end of the last, where it is a range."""
    segments = tuple(
        DoseSegment(day(7 * step), day(7 * step + 6), dose, dose) for step, dose in enumerate(doses)
    )
    if low is not None:
        segments = (*segments[:-1], replace(segments[-1], low_mg=low))
    return replace(draft(name), segments=segments)


@pytest.mark.parametrize(
    ("drafted", "dose"),
    [
        (stepped(25.0), "25 mg/day"),
        (stepped(49.9), "49.9 mg/day"),
        (stepped(50.0), ""),
        (stepped(12.5, 25.0), "25 mg/day"),
        (stepped(25.0, 50.0), ""),
        (stepped(50.0, 25.0), ""),
        (stepped(25.0, None), ""),
        (stepped(None), ""),
        (stepped(50.0, low=25.0), ""),
        (stepped(37.5, low=25.0), "37.5 mg/day"),
        (replace(stepped(25.0), segments=(DoseSegment(day(0), day(6), 25.0, None),)), ""),
        (replace(stepped(25.0), segments=()), ""),
        (replace(stepped(25.0), assumed="one unit a day"), ""),
        (stepped(100.0, name="nefazodone"), ""),
        (draft("sertraline", mg=25.0, use=Answer.UNKNOWN), ""),
        (draft("sertraline", mg=25.0, use=Answer.NOT_MET), ""),
        (draft("tablet", mg=25.0), ""),
        (draft("sertraline", mg=25.0, is_denial=True), ""),
    ],
)
def test_the_dose_of_a_draft(drafted: Prescription, dose: str) -> None:
    found = told(drafted, record())
    assert in_words(found) == ("BELOW_MINIMUM met" if dose else "")
    for each in found:
        assert each.values == {"drug": "sertraline", "dose": dose, "minimum": "50 mg/day"}
        assert each.finding.text == (
            f"sertraline {dose} is below the adequate minimum of 50 mg/day; a trial does not count at it"
        )


def test_the_minimum_is_that_of_the_definition() -> None:
    drafted = draft("mirtazapine", mg=15.0)
    assert not told(drafted, record(), a_definition(dose_column="default"))
    (one,) = told(drafted, record(), a_definition(dose_column="strict"))
    assert one.values["minimum"] == "30 mg/day"


# The minimum of venlafaxine is 75 mg a day; another order of it may be replaced or added to.
WITH_OTHERS = """
    draft | running | other draft | told
    ------+---------+-------------+-----
    37.5  |         |             | yes
    37.5  | 37.5    |             | yes
    37.5  | 20      |             | yes
    37.5  | 37.6    |             | no
    37.5  | 150     |             | no
    37.5  | ?       |             | no
    37.5  |         | 37.5        | no
    37.5  |         | 20          | yes
    37.5  |         | 150         | no
    37.5  |         | ?           | no
"""


@pytest.mark.parametrize("row", rows(WITH_OTHERS), ids=lambda row: " ".join(row.values()))
def test_orders_of_one_drug_are_taken_together(row: dict[str, str]) -> None:
    def venlafaxine(cell: str, first: int, last: int, reference: str) -> tuple[Prescription, ...]:
        mg = None if cell == "?" else float(cell or 0)
        return (order("venlafaxine", first, last, mg, reference=reference),) if cell else ()

    drafts = (
        *venlafaxine(row["draft"], 0, 83, "MedicationRequest/d1"),
        *venlafaxine(row["other draft"], 7, 83, "MedicationRequest/d2"),
    )
    found = told(drafts, record(*venlafaxine(row["running"], -100, 0, "MedicationRequest/r1")))
    below = [each for each in of(Concern.BELOW_MINIMUM, found) if each.draft is drafts[0]]
    assert bool(below) is (row["told"] == "yes")


LIVER = Diagnosis(
    DiagnosisRole.PRECAUTION, "precaution liver disease", "cirrhosis", Answer.UNKNOWN, ON, None, "Condition/l"
)


@pytest.mark.parametrize(
    ("mg", "person", "is_told"),
    [
        (20.0, record(), True),
        (20.0, record(born_earliest=date(1960, 1, 1), born_latest=date(1960, 1, 1)), False),
        (19.0, record(born_earliest=date(1960, 1, 1), born_latest=date(1960, 1, 1)), True),
        (20.0, record(diagnoses=(diagnosis(), LIVER)), False),
        (20.0, record(born_earliest=None, born_latest=None), True),
    ],
)
def test_the_most_that_is_allowed_is_not_too_little(mg: float, person: History, is_told: bool) -> None:
    """Citalopram over 60 years: 20 mg. No column of ours asks for more, a site's may."""
    drug = replace(DRUGS["citalopram"], minimum_mg={"default": 30.0})
    drafted = replace(draft("citalopram", mg=mg), drug=drug)
    assert bool(of(Concern.BELOW_MINIMUM, told(drafted, person))) is is_told


# --- of all -------------------------------------------------------------------------------------------


def test_concerns_come_in_their_order_draft_by_draft() -> None:
    person = several(
        failed("sertraline", -200, -100),
        failed("citalopram", -400, -300),
        record(order("phenelzine", -20, 0)),
        record(order("escitalopram", -19, 0, 10.0)),
    )
    drafts = (draft("fluoxetine", mg=10.0), draft("sertraline", mg=25.0))
    found = told(drafts, person)
    assert [each.draft for each in found] == sorted((each.draft for each in found), key=drafts.index)
    order_of = list(Concern)
    for drafted in drafts:
        concerns = [order_of.index(each.concern) for each in found if each.draft is drafted]
        assert concerns == sorted(concerns)
    assert in_words([e for e in found if e.draft is drafts[0]]) == (
        "MAOI met, DUPLICATE_SEROTONERGIC unknown, DUPLICATE_SEROTONERGIC met, FAILED_CLASS met, TWO_FAILED met, "
        "CUTS_TRIAL_SHORT met, CUTS_TRIAL_SHORT met, BELOW_MINIMUM met"
    )


def test_without_drafts_nothing_is_told() -> None:
    assert told((), TWO) == ()


drafted_orders = st.builds(
    lambda order, later, is_real: replace(
        order,
        drug=DRUGS.get(order.name) if is_real else order.drug,
        segments=tuple(
            replace(s, first_day=s.first_day + timedelta(later), last_day=s.last_day + timedelta(later))
            for s in order.segments
        ),
    ),
    prescriptions(),
    st.integers(0, 1000),
    st.booleans(),
)
of_maois = st.sampled_from(["phenelzine", "moclobemide", "fluoxetine", "selegiline", "citalopram"]).flatmap(
    lambda name: st.builds(
        lambda first, length: order(name, first, first + length), st.integers(-60, 60), st.integers(0, 90)
    )
)
odd = st.sampled_from(
    [
        replace(draft("sertraline"), segments=()),
        replace(draft("sertraline"), segments=(DoseSegment(date.max, date.min, None, 5.0),)),
        replace(draft("phenelzine"), segments=(DoseSegment(date.min, date.max, 5.0, None, False),)),
        replace(draft("phenelzine"), stated_end=date.max),
    ]
)
DEFINITIONS = (
    a_definition(),
    a_definition(intolerance_counts_as_failure=True, dose_column="none", needed_failed_trials=1),
)


@settings(max_examples=examples(150), deadline=None)
@given(
    histories(),
    st.lists(drafted_orders | of_maois | odd, max_size=4),
    st.sampled_from(DEFINITIONS),
    st.lists(of_maois | odd, max_size=2),
)
def test_it_is_total_and_says_each_thing_plainly(
    person: History, drafts: list[Prescription], definition: Definition, more: list[Prescription]
) -> None:
    real = [each for each in more if each.segments]
    found = judge_drafts(
        drafts,
        replace(person, prescriptions=(*person.prescriptions, *more)),
        assess_history(
            replace(person, prescriptions=(*person.prescriptions, *real)),
            definition,
            ON,
            {"none": definition},
        ),
        load_precautions(),
        ON,
    )
    for each in found:
        assert any(each.draft is drafted for drafted in drafts) and each.draft.drug is not None
        assert each.finding.answer is not Answer.NOT_MET and each.finding.text
        assert each.values["drug"] == each.draft.drug.ingredient
        assert not each.draft.is_denial
        if each.draft.treats_depression.answer is Answer.NOT_MET:
            assert each.concern is Concern.MAOI


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(drafted_orders | of_maois | odd, max_size=4))
def test_an_empty_record_speaks_of_nothing_but_doses_and_the_other_drafts(drafts: list[Prescription]) -> None:
    alone = told(drafts[:1], History("Patient/p1"))
    assert {each.concern for each in alone} <= {Concern.BELOW_MINIMUM}
    together = told(drafts, History("Patient/p1"))
    pairs = {Concern.MAOI, Concern.DUPLICATE_SEROTONERGIC}
    assert {each.concern for each in together} <= {*pairs, Concern.BELOW_MINIMUM}
    for each in together:
        if each.concern in pairs:
            assert set(each.finding.evidence) <= {drafted.reference for drafted in drafts}


# --- a drug that goes on, or is being stopped ------------------------------------------------------------

# The running trial of sertraline began 20 days ago and is long enough 41 days after its first day: on day 21.
KEPT_UP = """
    sertraline is drafted | to day | told
    ----------------------+--------+----------------------
    no                    |        | CUTS_TRIAL_SHORT met
    yes                   | open   |
    yes                   | 22     |
    yes                   | 21     |
    yes                   | 20     | CUTS_TRIAL_SHORT met
    yes                   | 6      | CUTS_TRIAL_SHORT met
"""


@pytest.mark.parametrize("row", rows(KEPT_UP), ids=lambda row: " ".join(row.values()))
def test_a_running_drug_that_is_signed_again_is_not_cut_short(row: dict[str, str]) -> None:
    """Two drugs are meant then, not a change from one to the other."""
    end = None if row["to day"] in ("", "open") else day(int(row["to day"]))
    again = [draft("sertraline", 0, 83, stated_end=end)] * (row["sertraline is drafted"] == "yes")
    added = draft("bupropion", mg=300.0)
    found = told((added, *again), record(order("sertraline", -20)))
    assert in_words([each for each in found if each.draft is added]) == row["told"]


def test_a_week_of_less_of_a_running_drug_is_its_end() -> None:
    """The same dose for a week may be a supply."""
    added, running = draft("bupropion", mg=300.0), record(order("sertraline", -20))
    for mg, is_told in ((50.0, True), (100.0, False)):
        found = told((added, draft("sertraline", 0, 6, mg)), running)
        assert bool(of(Concern.CUTS_TRIAL_SHORT, found)) is is_told


# sertraline 100 mg a day is running or ended yesterday; at least 50 mg are adequate.
TAPERS = """
    last day | mg | to day | told
    ---------+----+--------+------------------
    -1       | 25 | 6      |
    -1       | 25 | open   | BELOW_MINIMUM met
    -1       | ?  | 6      |
    -15      | 25 | 6      |
    -16      | 25 | 6      | BELOW_MINIMUM met
"""


@pytest.mark.parametrize("row", rows(TAPERS), ids=lambda row: " ".join(row.values()))
def test_less_of_a_drug_up_to_a_named_day_is_a_taper(row: dict[str, str]) -> None:
    end = None if row["to day"] == "open" else day(int(row["to day"]))
    last = int(row["last day"])
    before = order("sertraline", -60, last, stated_end=day(last))
    lower = draft("sertraline", 0, 6, None if row["mg"] == "?" else float(row["mg"]), stated_end=end)
    below = of(Concern.BELOW_MINIMUM, told(lower, record(before)))
    assert in_words(below) == row["told"]


def test_the_same_low_dose_for_a_while_is_no_taper() -> None:
    low = order("sertraline", -60, -1, 25.0, stated_end=day(-1))
    assert of(Concern.BELOW_MINIMUM, told(draft("sertraline", 0, 6, 25.0, stated_end=day(6)), record(low)))


# --- low doses for sleep and pain ------------------------------------------------------------------------

# sertraline has run for 3 weeks at 100 mg. No reason is told unless "stated" says that depression is.
LOW_DOSES = """
    draft         | mg   | stated | told
    --------------+------+--------+----------------------------------------
    trazodone     | 50   | no     |
    trazodone     | 50   | yes    | CUTS_TRIAL_SHORT met, BELOW_MINIMUM met
    trazodone     | 150  | no     | CUTS_TRIAL_SHORT met
    mirtazapine   | 7.5  | no     |
    mirtazapine   | 15   | no     | CUTS_TRIAL_SHORT met
    amitriptyline | 10   | no     |
    trazodone     | ?    | no     | CUTS_TRIAL_SHORT met
    bupropion     | 100  | no     | CUTS_TRIAL_SHORT met, BELOW_MINIMUM met
"""


@pytest.mark.parametrize("row", rows(LOW_DOSES), ids=lambda row: " ".join(row.values()))
def test_a_low_dose_without_a_reason_is_no_switch(row: dict[str, str]) -> None:
    mg = None if row["mg"] == "?" else float(row["mg"])
    chosen = draft(row["draft"], mg=mg, has_stated_use=row["stated"] == "yes")
    assert in_words(told(chosen, record(order("sertraline", -20)))) == row["told"]


def test_a_low_dose_is_no_reason_to_be_silent_of_an_maoi() -> None:
    found = told(draft("trazodone", mg=50.0), record(order("phenelzine")))
    assert in_words(found) == "MAOI met"
