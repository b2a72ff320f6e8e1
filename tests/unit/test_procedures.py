"""Which Procedures are read as treatments, of what kind, on which days, and how sure that is."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.errors import TableError
from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.tables import procedures as table
from cds_service.tables.procedures import treatment_by_code, treatment_by_text
from cds_service.trd.answers import Answer
from cds_service.trd.record import History, ProcedureKind, Topic
from fhir_fixtures.builders import SNOMED_CT, Concept, condition, patient, procedure

ON = date(2026, 6, 30)
MET, NOT_MET, UNKNOWN = Answer.MET, Answer.NOT_MET, Answer.UNKNOWN
ECT, TMS, VNS = ProcedureKind.ECT, ProcedureKind.TMS, ProcedureKind.VNS
DBS, TALK, LIGHT = ProcedureKind.DBS, ProcedureKind.PSYCHOTHERAPY, ProcedureKind.LIGHT_THERAPY


def read(*resources: dict[str, Any]) -> History:
    everything = (patient(), *resources)
    entries = tuple(Entry(resource, None, f"entry[{n}]") for n, resource in enumerate(everything))
    return read_history(Collected("p1", entries), ON)


def kinds(history: History) -> list[tuple[ProcedureKind, Answer]]:
    return [(each.kind, each.holds) for each in history.procedures]


def sct(code: str, display: str | None = None) -> Concept:
    return (SNOMED_CT, code) if display is None else (SNOMED_CT, code, display)


# --- what it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "holds"),
    [
        (sct("264603002"), TMS, MET),
        (sct("445319001"), VNS, MET),
        (sct("447033006"), VNS, UNKNOWN),  # the device
        (sct("171495006"), DBS, UNKNOWN),  # maintenance of a stimulator, for whatever
        (sct("406169005"), ECT, UNKNOWN),  # care around ECT
        (sct("23835007"), ECT, UNKNOWN),  # recalled, never looked up
        (sct("23835007", "Electroconvulsive therapy (procedure)"), ECT, MET),  # its own words tell
        (sct("23835007", "Appendectomy"), ECT, UNKNOWN),
        (sct("406169005", "Electroconvulsive therapy"), ECT, UNKNOWN),  # a code looked up goes before words
        (sct("75516001"), TALK, MET),
        (sct("228557008"), TALK, MET),
        (sct("31394004"), LIGHT, MET),
        ("ECT", ECT, MET),
        ("Electroconvulsive therapy", ECT, MET),
        ("bilateral ECT", ECT, MET),
        ("ECT session 3", ECT, MET),
        ("Acute ECT treatment #12", ECT, MET),
        ("History of ECT", ECT, MET),
        ("rTMS", TMS, MET),
        ("repetitive transcranial magnetic stimulation (rTMS)", TMS, MET),
        ("iTBS theta burst", TMS, MET),
        ("vagus nerve stimulation", VNS, MET),
        ("deep brain stimulation", DBS, MET),
        ("CBT", TALK, MET),
        ("Cognitive behavioural therapy (CBT), group", TALK, MET),
        ("Psychotherapy, 45 minutes with patient", TALK, MET),
        ("Anesthesia for electroconvulsive therapy", ECT, UNKNOWN),
        ("CBT for insomnia", TALK, UNKNOWN),
        ("transcutaneous vagus nerve stimulation", VNS, UNKNOWN),
    ],
)
def test_a_treatment_by_its_code_or_its_words(code: Concept, kind: ProcedureKind, holds: Answer) -> None:
    history = read(procedure(code=code))
    assert kinds(history) == [(kind, holds)]
    assert (history.unread, history.set_aside) == ((), ())


@pytest.mark.parametrize(
    "code",
    [
        sct("442532001"),
        sct("446256001"),
        sct("171496007"),
        sct("699825005"),
        sct("81294000"),
        "Referral for CBT",
        "ECT consent",
        "psychotherapy declined",
        "Education about electroconvulsive therapy",
        "TMS evaluation",
        "Removal of vagus nerve stimulator",
    ],
)
def test_what_is_no_proof_of_treatment_is_set_aside_with_the_reason(code: Concept) -> None:
    history = read(procedure(code=code))
    assert (history.procedures, history.unread) == ((), ())
    (aside,) = history.set_aside
    assert (aside.reference, aside.topics) == ("Procedure/proc1", (Topic.NONE,))
    assert any(word in aside.problem for word in ("proof", "planning only"))


@pytest.mark.parametrize(
    "code",
    [sct("80146002"), "Appendectomy", "Group therapy session", "therapy", ("urn:local", "x", "Suture")],
)
def test_other_procedures_are_of_no_interest(code: Concept) -> None:
    history = read(procedure(code=code))
    assert (history.procedures, history.unread, history.set_aside) == ((), (), ())


@pytest.mark.parametrize("code", [None, ("urn:local", "x"), {}, {"coding": 3}, {"coding": [{"code": 5}]}, []])
def test_a_code_that_cannot_be_read_may_be_any_treatment(code: Any) -> None:
    history = read({**procedure(), "code": code})
    assert history.procedures == ()
    assert [unread.topics for unread in history.unread] == [(Topic.PROCEDURE,)]
    assert "$.code" in history.unread[0].problem


def test_codings_that_disagree_leave_it_open() -> None:
    coding = [{"system": SNOMED_CT, "code": code} for code in ("442532001", "264603002")]
    assert kinds(read(procedure(code={"coding": coding}))) == [(TMS, UNKNOWN)]


def test_two_treatments_in_one_record_are_both_read() -> None:
    coding = [{"system": SNOMED_CT, "code": code} for code in ("75516001", "264603002")]
    assert kinds(read(procedure(code={"coding": coding}))) == [(TALK, MET), (TMS, MET)]


@pytest.mark.parametrize(
    ("code", "sites", "answer"),
    [
        ("ECT", [], UNKNOWN),
        ("bilateral ECT", [], MET),
        ("bitemporal ECT", [], MET),
        ("right unilateral ECT", [], NOT_MET),
        ("ECT, bilateral after unilateral", [], UNKNOWN),
        ("ECT", [{"text": "Bilateral"}], MET),
        ("bilateral rTMS", [], UNKNOWN),  # told of ECT only
    ],
)
def test_whether_ect_was_bilateral(code: str, sites: list[dict[str, Any]], answer: Answer) -> None:
    (found,) = read(procedure(code=code, bodySite=sites)).procedures
    assert found.is_bilateral is answer


# --- whether it took place ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "day", "holds"),
    [
        ("completed", "2025-05-01", MET),
        ("in-progress", "2025-05-01", MET),
        ("on-hold", "2025-05-01", UNKNOWN),
        ("stopped", "2025-05-01", UNKNOWN),
        ("aborted", "2025-05-01", UNKNOWN),  # STU3
        ("suspended", "2025-05-01", UNKNOWN),  # STU3
        ("unknown", "2025-05-01", UNKNOWN),
        ("preparation", "2025-05-01", UNKNOWN),  # has a day all the same
        ("preparation", None, "has not begun"),
        ("not-done", "2025-05-01", "was not done"),
        ("entered-in-error", "2025-05-01", "was entered in error"),
    ],
)
def test_the_status(status: str, day: str | None, holds: Answer | str) -> None:
    history = read(procedure(status=status, day=day))
    if isinstance(holds, Answer):
        assert (kinds(history), history.set_aside) == ([(ECT, holds)], ())
    else:
        assert (history.procedures, len(history.set_aside)) == ((), 1)
        assert history.set_aside[0].problem.endswith(holds)
    assert history.unread == ()


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"status": None}, "$.status"),
        ({"status": "done"}, "$.status"),
        ({"status": 5}, "$.status"),
        ({"modifierExtension": [{"url": "urn:x"}]}, "$.modifierExtension"),
        ({"reasonCode": "text"}, "$.reasonCode"),
    ],
)
def test_what_may_change_its_meaning_leaves_it_open(elements: dict[str, Any], path: str) -> None:
    history = read(procedure(**elements))
    assert kinds(history) == [(ECT, UNKNOWN)]
    (unread,) = history.unread
    assert path in unread.problem
    assert unread.topics == (Topic.NONE,)  # the procedure itself carries the doubt on


@pytest.mark.parametrize(
    ("code", "reason", "holds"),
    [
        ("ECT", "depression", MET),
        ("ECT", "recurrent thoughts", MET),  # not told
        ("psychotherapy", "insomnia", NOT_MET),
        ("vagus nerve stimulation", "migraine", UNKNOWN),  # the stimulator is there all the same
        ("vagus nerve stimulation", "depression", MET),
    ],
)
def test_what_it_was_for(code: str, reason: str, holds: Answer) -> None:
    history = read(procedure(code=code, reasonCode=[{"text": reason}]))
    assert kinds(history)[0][1] is holds
    assert len(history.set_aside) == (holds is NOT_MET)  # and is listed


def test_what_it_was_for_by_reference() -> None:
    dx = condition("dx1", code="insomnia")
    reason = [{"reference": "Condition/dx1"}]
    assert kinds(read(dx, procedure(code="CBT", reasonReference=reason))) == [(TALK, NOT_MET)]


# --- when ---------------------------------------------------------------------------------------------


def period(start: str | None = None, end: str | None = None) -> dict[str, Any]:
    return {"performedPeriod": {k: v for k, v in (("start", start), ("end", end)) if v}}


@pytest.mark.parametrize(
    ("elements", "first", "last"),
    [
        ({"performedDateTime": "2025-05-01T08:00:00+02:00"}, "2025-05-01", "2025-05-01"),
        (period("2025-05-01", "2025-05-31"), "2025-05-01", "2025-05-31"),
        (period("2025-05-01"), "2025-05-01", None),
        (period(end="2025-05-31"), None, "2025-05-31"),
        (period("2025-05-01") | {"status": "in-progress"}, "2025-05-01", "2026-06-30"),
        (period("2025-05-01", "2026-09-01"), "2025-05-01", "2026-06-30"),
        (period("2025-05", "2025-06-10"), None, "2025-06-10"),
        ({"performedDateTime": "2025-05"}, None, None),
        ({"performedDateTime": "2026"}, None, None),  # some day of this year, perhaps one to come
        ({"performedDateTime": None, "performedString": "spring 2020"}, None, None),
        ({"performedDateTime": None, "performedAge": {"value": 40}}, None, None),
        ({"performedDateTime": None}, None, None),
        ({"performedDateTime": "2026-06-30"}, "2026-06-30", "2026-06-30"),
        ({"performedDateTime": None, "occurrenceDateTime": "2025-05-01"}, "2025-05-01", "2025-05-01"),  # R5
        (
            {"performedDateTime": None, "occurrenceTiming": {"event": ["2025-05-03", "2025-05-01"]}},
            "2025-05-01",
            "2025-05-03",
        ),
    ],
)
def test_the_days(elements: dict[str, Any], first: str | None, last: str | None) -> None:
    history = read(procedure(**elements))
    (found,) = history.procedures
    assert [str(day) if day else None for day in (found.first_day, found.last_day)] == [first, last]
    assert (found.holds, history.unread) == (MET, ())


def test_a_day_that_is_not_exact_is_told_in_words() -> None:
    assert "2025-05-01 to 2025-05-31" in read(procedure(day="2025-05")).procedures[0].text
    assert "spring 2020" in read(procedure(day=None, performedString="spring 2020")).procedures[0].text


@pytest.mark.parametrize(
    "elements", [{"performedDateTime": "2026-07-01"}, period("2026-07-01", "2026-08-01")]
)
def test_what_lies_ahead_is_listed_and_not_used(elements: dict[str, Any]) -> None:
    history = read(procedure(**elements))
    assert history.procedures == ()
    assert [(u.problem, u.topics) for u in history.unread] == [("is dated after 2026-06-30", (Topic.NONE,))]


@pytest.mark.parametrize(
    "elements",
    [
        {"performedDateTime": "yesterday"},
        {"performedDateTime": 5},
        period("2025-05-31", "2025-05-01"),
        period("x"),
        {"performedPeriod": 7},
    ],
)
def test_days_that_cannot_be_read_are_named_and_the_treatment_stays(elements: dict[str, Any]) -> None:
    history = read(procedure(**{"performedDateTime": None} | elements))
    (found,) = history.procedures
    assert (found.first_day, found.last_day, found.holds) == (None, None, MET)
    assert len(history.unread) == 1
    assert "$.performed" in history.unread[0].problem


# --- other versions, other people, anything -----------------------------------------------------------


@pytest.mark.parametrize(
    "elements",
    [
        {"reason": [{"concept": {"text": "insomnia"}}]},  # R5
        {"reasonCodeableConcept": {"text": "insomnia"}},  # DSTU2
    ],
)
def test_the_reason_in_other_versions(elements: dict[str, Any]) -> None:
    assert kinds(read(procedure(code="psychotherapy", **elements))) == [(TALK, NOT_MET)]


@pytest.mark.parametrize("name", ["notDone", "notPerformed"])
def test_what_was_not_done_in_older_versions(name: str) -> None:
    assert read(procedure(**{name: True})).set_aside[0].problem.endswith("was not done")
    assert kinds(read(procedure(**{name: False}))) == [(ECT, MET)]
    assert kinds(read(procedure(**{name: "perhaps"}))) == [(ECT, UNKNOWN)]


def test_a_procedure_of_somebody_else_is_not_read() -> None:
    history = read(procedure(patient_id="p2"))
    assert (history.procedures, history.unread[0].topics) == ((), (Topic.NONE,))


def test_a_procedure_of_nobody_may_be_the_patients() -> None:
    history = read({**procedure(), "subject": None})
    assert (history.procedures, history.unread[0].topics) == ((), (Topic.PROCEDURE,))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["2025", "ECT"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ELEMENTS = (
    "status",
    "code",
    "performedDateTime",
    "performedPeriod",
    "reasonCode",
    "reason",
    "notDone",
    "bodySite",
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(ELEMENTS), JSON, max_size=4))
def test_nothing_in_a_procedure_makes_the_reader_fail_or_vanish(elements: dict[str, Any]) -> None:
    history = read({**procedure(), **elements})
    if "code" not in elements:
        told = [*history.procedures, *history.unread, *history.set_aside]
        assert "Procedure/proc1" in {each.reference for each in told}


# --- the tables ---------------------------------------------------------------------------------------


def test_every_row_is_sound_and_has_a_source() -> None:
    rows = list(table._rows())
    assert len(rows) == 21
    for row in rows:
        meaning = treatment_by_code(row.text("system"), row.text("code"))
        assert meaning is not None
        assert meaning.certainty is not MET or not row.text("source").startswith("recalled")


@pytest.mark.parametrize(
    ("column", "cell"), [("kind", "surgery"), ("counts", ""), ("code", ""), ("source", ""), ("display", "")]
)
def test_a_wrong_row_is_named(monkeypatch: pytest.MonkeyPatch, column: str, cell: str) -> None:
    rows = list(table._rows())
    rows[3] = table.Row(rows[3].table, rows[3].line, rows[3].cells | {column: cell})
    monkeypatch.setattr(table, "_rows", lambda: iter(rows))
    with pytest.raises(TableError, match=rf"procedures\.csv:5: column {column}"):
        table._load_codes.__wrapped__()


def test_a_recalled_code_may_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        table.Row(r.table, r.line, r.cells | {"counts": "yes"})
        for r in table._rows()
        if r.text("source").startswith("recalled")
    ]
    assert len(rows) == 1
    monkeypatch.setattr(table, "_rows", lambda: iter(rows))
    with pytest.raises(TableError, match="column counts: expected unknown"):
        table._load_codes.__wrapped__()


def test_every_exact_phrase_is_certain_and_every_mention_a_hint() -> None:
    texts = table._load_texts()
    assert len(texts.exact) > 60
    for phrase, kind in texts.exact.items():
        found = treatment_by_text(" ".join(phrase))
        assert found is not None
        assert (found.kind, found.certainty) == (kind, MET)
    for phrase, kind in texts.mentions:
        found = treatment_by_text(f"something {' '.join(phrase)} something")
        assert found is not None
        assert (found.kind, found.certainty) == (kind, UNKNOWN)
