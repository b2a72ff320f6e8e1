"""Which cards are shown again after they were answered: told day by day, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from cards.card import Card, Coding
from cards.catalogue import cards_for
from cards.words import load_words
from cds_service.errors import StoreError
from cds_service.feedback.body import ACCEPTED, OVERRIDDEN, Answer
from cds_service.feedback.memory import Chart, Memory
from cds_service.respond import assess_history
from cds_service.store.engine import Store, open_store
from cds_service.store.tables import ACCEPTED as ACCEPTED_SUGGESTIONS
from cds_service.store.tables import CARDS, FEEDBACK
from cds_service.tables.definitions import load_definitions
from cds_service.trd.model import Assessment
from tests.conftest import ON
from tests.databases import PostgreSQL
from tests.spec.patients import patient
from tests.spec.test_facts import CHANGES, DIAGNOSES, INDETERMINATE, MET, SUICIDAL
from tests.spec.texttables import rows

START = datetime(2026, 6, 30, 10, 0, tzinfo=UTC)
CHART = Chart("https://ehr.example.org", "tenant-1", "trd-patient-view", "https://fhir.example.org/r4", "p1")
OUR_REASONS = load_words().reason_system
DEPRESSED = "\n\n    diagnosis | role | holds | severity\n    mdd | depression | met | moderate\n"
LITHIUM = CHANGES["lithium beside the second drug"][1]
BETTER = CHANGES["a score that makes the effect another"][1]
THIRD_FAILED = CHANGES["a third drug that failed"][1]
CHARTS = {
    "met": MET,
    "lithium added": LITHIUM,
    "better score": BETTER,
    "third trial failed": THIRD_FAILED,
    "diagnosed again": MET + DEPRESSED,
    "more severe": MET + DEPRESSED + DIAGNOSES["more severe"][0],
    "missing score": INDETERMINATE,
    "suicidal": SUICIDAL,
}


class Clinic:
    """One patient's chart, opened and answered at given days after the start."""

    def __init__(self, store: Store, **settings: Any) -> None:
        self.store, self.now = store, START
        days = {"quiet_days": 90, "safety_quiet_days": 1, **settings}
        self.memory = Memory(store, now=lambda: self.now, **days)

    def open(self, chart: str, day: float = 0, whose: Chart = CHART) -> tuple[Card, ...]:
        self.now = START + timedelta(day)
        assessment = assessed(CHARTS[chart])
        return self.memory.show(cards_for(assessment), assessment, whose)

    def answer(self, card: Card | str, outcome: str = OVERRIDDEN, day: float = 0, **given: Any) -> None:
        self.now = START + timedelta(day)
        self.keep(an_answer(card, outcome, self.now, **given))

    def keep(self, *answers: Answer, client: str = CHART.client, service: str = CHART.service) -> None:
        self.memory.keep(answers, client=client, tenant=CHART.tenant, service=service)

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.store.reading() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]


def an_answer(
    card: Card | str,
    outcome: str = OVERRIDDEN,
    at: datetime = START,
    reason: str = "",
    system: str = OUR_REASONS,
    accepted: tuple[str, ...] = (),
    comment: str = "",
) -> Answer:
    uuid = str(card.uuid) if isinstance(card, Card) else card
    return Answer(uuid, outcome, at, at.isoformat(), accepted, reason, system if reason else "", comment)


def assessed(text: str) -> Assessment:
    return assess_history(patient(text), load_definitions()["default-configurable"], ON)


def topics(cards: tuple[Card, ...]) -> str:
    return ", ".join(card.source.topic.code for card in cards if card.source.topic)


@pytest.fixture
def clinic(store_url: str) -> Iterator[Clinic]:
    store = open_store(store_url)
    yield Clinic(store)
    store.engine.dispose()


# --- what comes back, and when ------------------------------------------------------------------------------

SEEN_AGAIN = rows("""
    first shown    | outcome    | reason                  | then opened        | after days | shown again
    met            | overridden |                         | met                | 0          |
    met            | overridden |                         | met                | 1          |
    met            | overridden |                         | met                | 89.9       |
    met            | overridden |                         | met                | 90         | met
    met            | overridden |                         | lithium added      | 1          | met
    met            | overridden |                         | better score       | 1          | met
    met            | overridden |                         | missing score      | 1          | indeterminate
    met            | overridden | disagree-with-data      | met                | 89         |
    met            | overridden | not-now                 | met                | 89         |
    met            | overridden | a-reason-of-theirs      | met                | 89         |
    met            | accepted   |                         | met                | 89         |
    met            | accepted   |                         | met                | 90         | met
    met            | accepted   |                         | lithium added      | 1          | met
    suicidal       | overridden | risk-assessed           | suicidal           | 0.9        | met
    suicidal       | overridden | risk-assessed           | suicidal           | 1          | safety-acute, met
    met            | overridden |                         | suicidal           | 1          | safety-acute
    met            | overridden | not-mdd                 | lithium added      | 1          |
    met            | overridden | not-mdd                 | missing score      | 1          |
    met            | overridden | not-mdd                 | third trial failed | 1          |
    met            | overridden | not-mdd                 | suicidal           | 1          | safety-acute
    met            | overridden | not-mdd                 | more severe        | 1          | met
    met            | overridden | not-mdd                 | missing score      | 90         | indeterminate
    met            | overridden | stopped-for-intolerance | better score       | 1          |
    met            | overridden | stopped-for-intolerance | lithium added      | 1          |
    met            | overridden | stopped-for-intolerance | third trial failed | 1          | met
    met            | overridden | stopped-for-intolerance | missing score      | 1          | indeterminate
    met            | overridden | stopped-for-intolerance | better score       | 90         | met
    met            | overridden | already-referred        | met                | 1          |
    met            | overridden | already-referred        | lithium added      | 1          | met
    missing score  | overridden |                         | met                | 1          | met
    suicidal       | overridden | not-mdd                 | met                | 0.5        | met
""")


@pytest.mark.parametrize("case", SEEN_AGAIN, ids=lambda case: " ".join(case.values()))
def test_what_is_shown_after_the_answer_to_the_first_card(clinic: Clinic, case: dict[str, str]) -> None:
    first, *_ = clinic.open(case["first shown"])
    clinic.answer(first, case["outcome"], reason=case["reason"])
    again = clinic.open(case["then opened"], day=float(case["after days"]))
    assert topics(again) == case["shown again"]


@pytest.mark.conformance("CH-708")
def test_a_card_that_nobody_answered_is_shown_again(clinic: Clinic) -> None:
    assert [topics(clinic.open("met", day)) for day in (0, 0, 1, 30)] == ["met"] * 4


@pytest.mark.parametrize(("settings", "shown"), [({"quiet_days": 0}, "met"), ({"quiet_days": 2}, "")])
def test_the_quiet_period_is_the_settings(store_url: str, settings: dict[str, int], shown: str) -> None:
    clinic = Clinic(open_store(store_url), **settings)
    clinic.answer(clinic.open("met")[0])
    assert topics(clinic.open("met", 1)) == shown


def test_a_safety_card_has_a_quiet_period_of_its_own(store_url: str) -> None:
    clinic = Clinic(open_store(store_url), quiet_days=0, safety_quiet_days=7)
    for card in clinic.open("suicidal"):
        clinic.answer(card)
    assert topics(clinic.open("suicidal", 6)) == "met"
    assert topics(clinic.open("suicidal", 7)) == "safety-acute, met"


@pytest.mark.conformance("CH-707")
def test_the_last_answer_to_a_card_decides(clinic: Clinic) -> None:
    (card,) = clinic.open("met")
    clinic.answer(card, reason="not-mdd")
    assert topics(clinic.open("missing score", 1)) == ""
    clinic.answer(card, ACCEPTED, day=2, accepted=("a",))
    assert topics(clinic.open("missing score", 3)) == "indeterminate"
    assert topics(clinic.open("met", 91)) == ""
    assert topics(clinic.open("met", 92)) == "met"


def test_an_answer_that_arrives_late_is_as_old_as_it_says(clinic: Clinic) -> None:
    (card,) = clinic.open("met")
    clinic.now = START + timedelta(50)
    clinic.keep(an_answer(card, at=START))
    assert topics(clinic.open("met", 89)) == ""
    assert topics(clinic.open("met", 90)) == "met"


def test_a_clock_that_is_ahead_gains_no_longer_quiet(clinic: Clinic) -> None:
    (card,) = clinic.open("met")
    clinic.keep(an_answer(card, at=START + timedelta(10_000)))
    assert topics(clinic.open("met", 89)) == ""
    assert topics(clinic.open("met", 90)) == "met"


OTHER_CHARTS = {
    "another patient": {"patient_id": "p2"},
    "another client": {"client": "https://other.example.org"},
    "another tenant": {"tenant": "tenant-2"},
    "another server": {"fhir_server": "https://fhir.example.org/other"},
    "no server": {"fhir_server": None},
}


@pytest.mark.parametrize("what", OTHER_CHARTS)
def test_an_answer_is_about_one_patient_of_one_client(clinic: Clinic, what: str) -> None:
    clinic.answer(clinic.open("met")[0])
    assert topics(clinic.open("met", 1, replace(CHART, **OTHER_CHARTS[what]))) == "met"


@pytest.mark.parametrize(
    "same", [{"service": "trd-encounter-start"}, {"fhir_server": "https://FHIR.example.org:443/r4/"}]
)
def test_another_service_and_another_spelling_are_the_same_patient(
    clinic: Clinic, same: dict[str, str]
) -> None:
    clinic.answer(clinic.open("met")[0])
    assert topics(clinic.open("met", 1, replace(CHART, **same))) == ""


def test_nobody_answers_the_cards_of_another_client(clinic: Clinic) -> None:
    (card,) = clinic.open("met")
    clinic.keep(an_answer(card), client="https://other.example.org")
    clinic.keep(an_answer(card), service="trd-order-sign")
    assert [row["card_is_known"] for row in clinic.rows(FEEDBACK)] == [False, False]
    assert topics(clinic.open("met", 1)) == "met"


def test_a_card_without_facts_is_never_the_same(clinic: Clinic) -> None:
    assessment = assessed(MET)
    cards = tuple(replace(card, facts="") for card in cards_for(assessment))
    (shown,) = clinic.memory.show(cards, assessment, CHART)
    clinic.answer(shown)
    assert len(clinic.memory.show(cards, assessment, CHART)) == 1


def about(topic: str, facts: str) -> Card:
    """A card of a kind that rests on a drafted order, say."""
    (card,) = cards_for(assessed(MET))
    source = replace(card.source, topic=Coding(topic, "urn:trd-cds:card"))
    return replace(card, uuid=uuid4(), source=source, facts=facts)


@pytest.mark.parametrize(
    ("topic", "reason", "shown"),
    [
        ("order-failed-before", "stopped-for-intolerance", True),
        ("order-failed-before", "not-mdd", False),
        ("order-two-failed", "not-mdd", False),
        ("order-not-tolerated", "not-now", True),
        ("order-maoi", "not-mdd", True),
        ("drug-safety", "not-mdd", True),
    ],
)
def test_an_answer_about_one_draft_and_the_card_about_another(
    clinic: Clinic, topic: str, reason: str, shown: bool
) -> None:
    one, other = about(topic, "sertraline"), about(topic, "venlafaxine")
    assessment = assessed(MET)
    clinic.memory.show((one,), assessment, CHART)
    clinic.answer(one, reason=reason)
    assert clinic.memory.show((about(topic, "sertraline"),), assessment, CHART) == ()
    assert bool(clinic.memory.show((other,), assessment, CHART)) is shown


@pytest.mark.parametrize("topic", ["order-not-tolerated", "order-maoi", "drug-safety-acute", "safety"])
def test_what_stands_whatever_the_diagnosis_is_never_silenced_by_it(clinic: Clinic, topic: str) -> None:
    clinic.answer(clinic.open("met")[0], reason="not-mdd")
    assert len(clinic.memory.show((about(topic, "a"),), assessed(MET), CHART)) == 1


# --- "already referred" -------------------------------------------------------------------------------------


def offered(card: Card) -> list[str]:
    return [suggestion.request for suggestion in card.suggestions]


def test_a_referral_that_was_made_is_said_rather_than_suggested(clinic: Clinic) -> None:
    (card,) = clinic.open("met")
    assert offered(card) == ["treatment-history", "psychiatry-referral"]
    clinic.answer(card, reason="already-referred")
    (again,) = clinic.open("lithium added", 1)
    assert offered(again) == ["treatment-history"]
    lead, said, *_ = again.detail.split("\n\n")
    assert lead.startswith("**Criteria met:**")
    assert said == "**Referral already made**, as answered on 2026-06-30."
    (later,) = clinic.open("lithium added", 90)
    assert offered(later) == ["treatment-history", "psychiatry-referral"]
    assert "already made" not in later.detail


def test_a_card_whose_only_suggestion_is_withdrawn_has_no_selection_behaviour(clinic: Clinic) -> None:
    assessment = assessed(LITHIUM)
    clinic.answer(clinic.open("met")[0], reason="already-referred")
    (card,) = cards_for(assessment)
    only_referral = replace(card, suggestions=card.suggestions[1:])
    (shown,) = clinic.memory.show((only_referral,), assessment, CHART)
    assert (shown.suggestions, shown.selection_behavior) == ((), None)


def test_an_emergency_referral_is_never_withdrawn(clinic: Clinic) -> None:
    clinic.answer(clinic.open("met")[0], reason="already-referred")
    safety = clinic.open("suicidal", 1)[0]
    assert "emergency-referral" in offered(safety)
    assert "already made" not in safety.detail


def test_the_reason_of_another_system_has_no_meaning_of_ours(clinic: Clinic) -> None:
    clinic.answer(clinic.open("met")[0], reason="not-mdd", system="urn:their:reasons")
    assert topics(clinic.open("missing score", 1)) == "indeterminate"


def test_every_meaning_is_of_a_reason_that_cards_offer() -> None:
    words = load_words()
    reasons = {reason.code for card in words.cards.values() for reason in card.override_reasons}
    assert set(words.meanings) <= reasons
    for meaning in words.meanings.values():
        assert set(meaning.withdraws) <= set(words.requests)
        assert bool(meaning.withdraws) == bool(meaning.instead)


# --- what is kept -------------------------------------------------------------------------------------------


@pytest.mark.conformance("CH-704", "CH-707")
def test_each_event_is_kept_once(clinic: Clinic) -> None:
    (card,) = clinic.open("met")
    override = an_answer(card, reason="not-now")
    accept = an_answer(card, ACCEPTED, START + timedelta(minutes=5), accepted=("b", "a"))
    for batch in ((override,), (override, override, accept), (accept, override)):
        clinic.keep(*batch)
    kept = {row["outcome"]: row for row in clinic.rows(FEEDBACK)}
    assert len(clinic.rows(FEEDBACK)) == 2
    assert kept["overridden"]["reason_code"] == "not-now"
    taken = {(row["feedback_id"], row["suggestion"]) for row in clinic.rows(ACCEPTED_SUGGESTIONS)}
    assert taken == {(kept["accepted"]["id"], "a"), (kept["accepted"]["id"], "b")}


DIFFERENT = {
    "card": {"card": "another"},
    "outcome": {"outcome": ACCEPTED},
    "time": {"at": START + timedelta(microseconds=1)},
    "reason": {"reason": "not-mdd"},
    "system": {"system": "urn:other"},
    "comment": {"comment": "seen"},
    "suggestions": {"accepted": ("a", "b")},
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_makes_two_events(clinic: Clinic, what: str) -> None:
    one: dict[str, Any] = {"card": "a card", "reason": "not-now", "accepted": ("a",)}
    clinic.keep(an_answer(**one))
    clinic.keep(an_answer(**one | DIFFERENT[what]))
    assert len(clinic.rows(FEEDBACK)) == 2


def test_the_order_of_the_suggestions_does_not(clinic: Clinic) -> None:
    for accepted in (("a", "b"), ("b", "a")):
        clinic.keep(an_answer("a card", ACCEPTED, accepted=accepted))
    assert len(clinic.rows(FEEDBACK)) == 1


def test_the_longest_batch_and_all_that_a_text_may_hold(clinic: Clinic) -> None:
    long = {"reason": "r" * 200, "system": "s" * 500, "comment": "\U0001f600" * 2000}
    clinic.keep(*(an_answer(f"{number:0>200}", **long) for number in range(1000)))
    assert len(clinic.rows(FEEDBACK)) == 1000
    assert {row["comment"] for row in clinic.rows(FEEDBACK)} == {"\U0001f600" * 2000}


@pytest.mark.conformance("CH-709")
def test_an_answer_to_an_unknown_card_is_kept(clinic: Clinic) -> None:
    clinic.answer(str(uuid4()))
    (kept,) = clinic.rows(FEEDBACK)
    assert not kept["card_is_known"]


def test_no_patient_and_no_address_is_in_the_table_of_cards(clinic: Clinic) -> None:
    clinic.open("met", whose=replace(CHART, patient_id="marker-patient-44"))
    (row,) = clinic.rows(CARDS)
    assert "marker-patient-44" not in str(row)
    assert CHART.fhir_server not in str(row)
    assert len(row["patient_key"]) == 64


def test_two_stores_know_one_patient_by_different_keys(clinic: Clinic, tmp_path: Any) -> None:
    other = Clinic(open_store(f"sqlite:///{tmp_path}/other.sqlite3"))
    for each in (clinic, other):
        each.open("met")
    assert clinic.rows(CARDS)[0]["patient_key"] != other.rows(CARDS)[0]["patient_key"]


def test_nothing_is_written_where_no_card_is_due(clinic: Clinic) -> None:
    assert clinic.memory.show((), assessed(MET), CHART) == ()
    assert clinic.rows(CARDS) == []


def test_the_order_in_which_batches_arrive_never_locks_two_up(clinic: Clinic) -> None:
    """Two batches with the same events the other way round, at once, many times."""
    from concurrent.futures import ThreadPoolExecutor

    batch = [an_answer(f"card {number}") for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: clinic.keep(*(batch if number % 2 else batch[::-1])), range(16)))
    with clinic.store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(FEEDBACK)).scalar() == 40


# --- when the store fails -----------------------------------------------------------------------------------


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("cds_service"), "propagate", True)
    return caplog


def test_cards_are_shown_when_the_store_fails_and_the_log_says_so_once(
    clinic: Clinic, heard: pytest.LogCaptureFixture
) -> None:
    clinic.answer(clinic.open("met")[0])
    with clinic.store.writing(durable=True) as connection:
        connection.execute(text("DROP TABLE accepted_suggestions"))
        connection.execute(text("DROP TABLE feedback"))
    assert [topics(clinic.open("met", 1)) for _ in range(3)] == ["met"] * 3
    (record,) = heard.records
    assert "shown without being remembered" in record.getMessage()
    assert "p1" not in record.getMessage()
    assert record.exc_info is None


def test_the_store_is_used_again_after_a_while(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = "ALTER TABLE cards RENAME TO {}"
    with clinic.store.writing(durable=True) as connection:
        connection.execute(text(rename.format("hidden")))
    clinic.open("met")
    with clinic.store.writing(durable=True) as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO cards"))
    clinic.open("met")
    assert clinic.rows(CARDS) == []
    monkeypatch.setattr(clinic.memory, "_rests_until", 0.0)
    clinic.open("met")
    assert len(clinic.rows(CARDS)) == 1


def test_answered_cards_stay_away_while_another_writer_holds_the_file(tmp_path: Any) -> None:
    clinic = Clinic(open_store(f"sqlite:///{tmp_path}/a.sqlite3"))
    clinic.answer(clinic.open("suicidal")[1])
    with clinic.store.writing(durable=True):
        assert topics(clinic.open("suicidal")) == "safety-acute"


def test_feedback_that_cannot_be_kept_is_an_error_and_leaves_nothing(clinic: Clinic) -> None:
    with clinic.store.writing(durable=True) as connection:
        connection.execute(text("DROP TABLE accepted_suggestions"))
    with pytest.raises(StoreError):
        clinic.keep(an_answer("a"), an_answer("b", ACCEPTED, accepted=("s",)), an_answer("c"))
    assert clinic.rows(FEEDBACK) == []


def test_a_server_that_is_gone_fails_feedback_and_no_hook(postgresql: PostgreSQL) -> None:
    clinic = Clinic(open_store(postgresql.new_database()))
    postgresql.stop()
    try:
        with pytest.raises(StoreError):
            clinic.keep(an_answer("a"))
        assert topics(clinic.open("met")) == "met"
    finally:
        postgresql.start()


def test_a_server_that_does_not_answer_holds_up_no_hook(postgresql: PostgreSQL) -> None:
    """Without a limit the hook would wait for as long as the lock is held."""
    clinic = Clinic(open_store(postgresql.new_database()))
    with clinic.store.engine.begin() as connection:
        connection.execute(text("LOCK TABLE cards, feedback IN ACCESS EXCLUSIVE MODE"))
        assert topics(clinic.open("met")) == "met"
    assert clinic.rows(CARDS) == []
