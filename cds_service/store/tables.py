"""The tables of the store, in SQLAlchemy Core. `migrations/` brings a database to this state.

No table holds a name, a token or a resource. `patient_key` is a keyed hash; `comment` is free text of a
clinician and may hold anything, so it is kept apart from all logs and reports.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

CARDS = Table(
    "cards",
    METADATA,
    Column("uuid", String(36), primary_key=True),
    Column("shown_at", DateTime(timezone=True), nullable=False),
    Column("client", String(300), nullable=False),  # issuer of the caller; empty without authentication
    Column("tenant", String(300), nullable=False),
    Column("service", String(64), nullable=False),
    Column("topic", String(64), nullable=False),  # the kind of card, as its source.topic code says
    Column("patient_key", String(64), nullable=False),
    Column("facts", String(64), nullable=False),
    Column("diagnosis_facts", String(64), nullable=False),
    Column("trial_facts", String(64), nullable=False),
    Column("suggestions", Text, nullable=False),  # a JSON object: the uuids offered, and what each offers
    Index("cards_of_patient", "patient_key"),
    Index("cards_by_day", "shown_at"),
)
"""Cards that were sent, so that feedback about them can be told to belong to a patient and to facts."""

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event_key", String(64), nullable=False, unique=True),  # the same event sent twice is kept once
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("client", String(300), nullable=False),
    Column("tenant", String(300), nullable=False),
    Column("service", String(64), nullable=False),
    Column("card", String(200), nullable=False, index=True),
    Column("card_is_known", Boolean, nullable=False),  # sent by this service to this client and tenant
    Column("outcome", String(16), nullable=False),
    Column("outcome_at", DateTime(timezone=True), nullable=False),
    Column("reason_code", String(200), nullable=False),
    Column("reason_system", String(500), nullable=False),
    Column("comment", Text, nullable=False),
)

ACCEPTED = Table(
    "accepted_suggestions",
    METADATA,
    Column("feedback_id", ForeignKey("feedback.id", ondelete="CASCADE"), primary_key=True),
    Column("suggestion", String(200), primary_key=True),
)

USED_TOKENS = Table(
    "used_tokens",
    METADATA,
    Column("token_key", String(64), primary_key=True),  # hash of issuer and jti
    Column("expires_at", BigInteger, nullable=False, index=True),  # seconds since 1970
)

KEYS = Table(
    "keys",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", String(64), nullable=False),
)
"""Secrets of this store: `patient`, which the hashes of patients are made with (hexadecimal)."""
