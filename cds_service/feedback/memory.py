"""What was shown and what was answered: keeps both in the store, and says which cards are not shown again.

A card that was answered is not shown to the same patient again while it has the same topic and the same facts,
until its quiet period ends; what else a reason means is data (`answers` in `cards/catalogue.json`). A store that
cannot be used never keeps a card from being shown, and never lets an answer be taken for kept.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, RowMapping, and_, bindparam, or_, select

from cards import facts
from cards.card import Card
from cards.words import HoldsUntil, Meaning, load_words
from cds_service.errors import StoreError
from cds_service.feedback.body import OVERRIDDEN, Answer
from cds_service.fhir_address import read_address
from cds_service.store.engine import Store
from cds_service.store.tables import ACCEPTED, CARDS, FEEDBACK
from cds_service.trd.model import Assessment

logger = logging.getLogger("cds_service.feedback")

_HOOK_SECONDS = 0.5  # how long a hook waits for the store each time
_REST_SECONDS = 10  # hooks leave a store alone that failed just now, which may take its time to fail again
_NO_MEANING = Meaning()


@dataclass(frozen=True)
class Chart:
    """Whose chart was opened, by which client, for which service."""

    client: str
    tenant: str
    service: str
    fhir_server: str | None
    patient_id: str = field(repr=False)


class Memory:
    """The cards and answers of one site. `now` tells the time, in UTC."""

    def __init__(
        self,
        store: Store,
        *,
        quiet_days: int,
        safety_quiet_days: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._quiet, self._safety_quiet = timedelta(quiet_days), timedelta(safety_quiet_days)
        self._now = now
        self._rests_until = 0.0

    def show(self, cards: tuple[Card, ...], assessment: Assessment, chart: Chart) -> tuple[Card, ...]:
        """Those of the cards that are to be shown now, remembered as shown. All of them if the store fails."""
        if not cards or time.monotonic() < self._rests_until:
            return cards
        try:
            patient = self._patient_key(chart)
            with self._store.reading(seconds=_HOOK_SECONDS) as connection:
                answers = self._answers_about(connection, patient)
            cards = tuple(self._cards_to_show(cards, assessment, answers))
            if cards:
                with self._store.writing(durable=False, seconds=_HOOK_SECONDS) as connection:
                    connection.execute(_SHOWN, self._rows(cards, assessment, chart, patient))
        except StoreError as error:
            self._rests_until = time.monotonic() + _REST_SECONDS
            logger.error("cards are shown without being remembered: %s", error)
        return cards

    def keep(self, answers: Sequence[Answer], *, client: str, tenant: str, service: str) -> None:
        """Keeps the answers for good, all or none; one that is there already stays as it is.

        Raises StoreError when nothing could be kept.
        """
        if not answers:
            return
        about = {"client": client, "tenant": tenant, "service": service}
        received_at = self._now()
        with self._store.writing(durable=True) as connection:
            known = _known_cards(connection, {answer.card for answer in answers}, about)
            # In the order of their keys: two batches with the same events then wait, and never for each other.
            for key, answer in _by_event(answers, about):
                row = _row(answer, key, received_at, answer.card in known, about)
                new = self._store.insert(FEEDBACK).values(row).on_conflict_do_nothing()
                kept = connection.execute(new.returning(FEEDBACK.c.id)).scalar()
                if kept is not None and answer.accepted:
                    taken = [{"feedback_id": kept, "suggestion": uuid} for uuid in answer.accepted]
                    connection.execute(ACCEPTED.insert(), taken)

    # --- what was shown -------------------------------------------------------------------------------

    def _patient_key(self, chart: Chart) -> str:
        """A keyed hash: who has no key cannot try out ids. The same id on another server is another patient."""
        address = read_address(chart.fhir_server) if chart.fhir_server else None
        server = address.url if address else chart.fhir_server or ""
        told = json.dumps([chart.client, chart.tenant, server, chart.patient_id])
        return hmac.new(self._store.key, told.encode(), sha256).hexdigest()

    def _rows(
        self, cards: Iterable[Card], assessment: Assessment, chart: Chart, patient: str
    ) -> list[dict[str, object]]:
        shared = {
            "shown_at": self._now(),
            "client": chart.client,
            "tenant": chart.tenant,
            "service": chart.service,
            "patient_key": patient,
            "diagnosis_facts": facts.diagnoses(assessment),
            "trial_facts": facts.failed_trials(assessment),
        }
        return [
            {
                **shared,
                "uuid": str(card.uuid),
                "topic": _topic(card),
                "facts": card.facts,
                "suggestions": json.dumps({str(each.uuid): each.request for each in card.suggestions}),
            }
            for card in cards
        ]

    # --- what was answered ----------------------------------------------------------------------------

    def _answers_about(self, connection: Connection, patient: str) -> list[_Given]:
        """The last answer to each card of this patient, as far as it may still matter."""
        since = self._now() - max(self._quiet, self._safety_quiet)
        given = sorted(
            map(_given, connection.execute(_ANSWERS, {"patient": patient, "since": since}).mappings()),
            key=lambda answer: (answer.at, answer.id),
        )
        return list({answer.card: answer for answer in given}.values())

    def _cards_to_show(
        self, cards: Iterable[Card], assessment: Assessment, answers: list[_Given]
    ) -> Iterable[Card]:
        if not answers:
            return cards
        of_all = {
            HoldsUntil.DIAGNOSIS: facts.diagnoses(assessment),
            HoldsUntil.FAILED_TRIALS: facts.failed_trials(assessment),
        }
        return [
            self._without_withdrawn(card, answers)
            for card in cards
            if not any(self._withholds(answer, card, of_all) for answer in answers)
        ]

    def _withholds(self, answer: _Given, card: Card, of_all: dict[HoldsUntil, str]) -> bool:
        """Whether the card stays away: the answer covers it, is young enough, and its facts still hold."""
        same_topic = answer.topic == _topic(card)
        covered = same_topic or (answer.meaning.covers_all_cards and not _stands_alone(_topic(card)))
        if not covered or not self._is_quiet(answer, _topic(card)):
            return False
        holds_until = answer.meaning.holds_until
        if holds_until in of_all:
            return answer.of_all[holds_until] == of_all[holds_until]
        return bool(card.facts) and answer.facts == card.facts

    def _without_withdrawn(self, card: Card, answers: list[_Given]) -> Card:
        """The card without suggestions that were answered as done already; that is said on it instead."""
        if _is_about_safety(_topic(card)):
            return card
        for answer in answers:
            offered = [each for each in card.suggestions if each.request not in answer.meaning.withdraws]
            if len(offered) < len(card.suggestions) and self._is_quiet(answer, answer.topic):
                instead = answer.meaning.instead.format(day=answer.at.date().isoformat())
                card = replace(
                    card,
                    suggestions=tuple(offered),
                    selection_behavior=card.selection_behavior if offered else None,
                    detail=_said_second(card.detail, instead),
                )
        return card

    def _is_quiet(self, answer: _Given, topic: str) -> bool:
        quiet = self._safety_quiet if _is_about_safety(topic) else self._quiet
        return self._now() - answer.at < quiet


def delete_before(store: Store, day: date) -> tuple[int, int]:
    """Forgets the cards fired before a day (in UTC) with all answers to them, and all answers received before it.

    How many cards and answers these were. Raises StoreError, and then nothing is deleted.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    forgotten = select(CARDS.c.uuid).where(CARDS.c.shown_at < start)
    with store.writing(durable=True, seconds=60) as connection:
        old = or_(FEEDBACK.c.received_at < start, FEEDBACK.c.card.in_(forgotten))
        answers = connection.execute(FEEDBACK.delete().where(old)).rowcount
        cards = connection.execute(CARDS.delete().where(CARDS.c.shown_at < start)).rowcount
    return cards, answers


@dataclass(frozen=True)
class _Given:
    """An answer that was given to a card, with the facts that the card rested on. `at` is never later than now."""

    id: int
    card: str
    at: datetime
    topic: str
    facts: str
    of_all: dict[HoldsUntil, str]
    meaning: Meaning


_SHOWN = CARDS.insert()
_ANSWERS = (
    select(
        FEEDBACK.c.id,
        FEEDBACK.c.card,
        FEEDBACK.c.outcome,
        FEEDBACK.c.outcome_at,
        FEEDBACK.c.received_at,
        FEEDBACK.c.reason_code,
        FEEDBACK.c.reason_system,
        CARDS.c.topic,
        CARDS.c.facts,
        CARDS.c.diagnosis_facts,
        CARDS.c.trial_facts,
    )
    .join(CARDS, FEEDBACK.c.card == CARDS.c.uuid)
    .where(
        CARDS.c.patient_key == bindparam("patient"),
        FEEDBACK.c.card_is_known,
        FEEDBACK.c.received_at >= bindparam("since"),
    )
)


def _given(row: RowMapping) -> _Given:
    return _Given(
        id=row["id"],
        card=row["card"],
        at=min(
            _in_utc(row["outcome_at"]), _in_utc(row["received_at"])
        ),  # a clock that is ahead gains nothing
        topic=row["topic"],
        facts=row["facts"],
        of_all={HoldsUntil.DIAGNOSIS: row["diagnosis_facts"], HoldsUntil.FAILED_TRIALS: row["trial_facts"]},
        meaning=_meaning(row),
    )


def _meaning(row: RowMapping) -> Meaning:
    """That of the reason. On a safety card no reason has one: only its own signs bring it back."""
    words = load_words()
    is_ours = row["outcome"] == OVERRIDDEN and row["reason_system"] == words.reason_system
    if not is_ours or _is_about_safety(row["topic"]):
        return _NO_MEANING
    meaning = words.meanings.get(row["reason_code"], _NO_MEANING)
    return meaning if not meaning.on or row["topic"] in meaning.on else _NO_MEANING


def _topic(card: Card) -> str:
    return card.source.topic.code if card.source.topic else ""


def _is_about_safety(topic: str) -> bool:
    return topic in load_words().safety_topics


def _stands_alone(topic: str) -> bool:
    """Whether a card is shown whatever was answered to another."""
    return _is_about_safety(topic) or topic in load_words().beyond_diagnosis


def _said_second(detail: str, sentence: str) -> str:
    """Behind the first paragraph, which says why there is a card at all."""
    first, gap, rest = detail.partition("\n\n")
    return f"{first}\n\n{sentence}{gap}{rest}"


def _in_utc(moment: datetime) -> datetime:
    """SQLite keeps no offset; what is written there is in UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- what is kept of an answer --------------------------------------------------------------------------


def _known_cards(connection: Connection, cards: set[str], about: dict[str, str]) -> set[str]:
    """Those that this service sent to this client and tenant: nobody answers the cards of another."""
    is_theirs = and_(*(CARDS.c[name] == value for name, value in about.items()))
    return set(connection.execute(select(CARDS.c.uuid).where(CARDS.c.uuid.in_(cards), is_theirs)).scalars())


def _by_event(answers: Iterable[Answer], about: dict[str, str]) -> list[tuple[str, Answer]]:
    return sorted({_event_key(answer, about): answer for answer in answers}.items())


def _event_key(answer: Answer, about: dict[str, str]) -> str:
    """The same for the same event sent again. Another comment is another event: none is lost."""
    told = [
        *about.values(),
        answer.card,
        answer.outcome,
        answer.instant,
        answer.reason_code,
        answer.reason_system,
        answer.comment,
        *sorted(answer.accepted),
    ]
    return sha256(json.dumps(told).encode()).hexdigest()


def _row(
    answer: Answer, key: str, received_at: datetime, is_known: bool, about: dict[str, str]
) -> dict[str, object]:
    return {
        **about,
        "event_key": key,
        "received_at": received_at,
        "card": answer.card,
        "card_is_known": is_known,
        "outcome": answer.outcome,
        "outcome_at": answer.at,
        "reason_code": answer.reason_code,
        "reason_system": answer.reason_system,
        "comment": answer.comment,
    }
