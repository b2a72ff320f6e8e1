"""Cards, feedback, accepted suggestions, used tokens and keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cards",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client", sa.String(300), nullable=False),
        sa.Column("tenant", sa.String(300), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("patient_key", sa.String(64), nullable=False),
        sa.Column("facts", sa.String(64), nullable=False),
        sa.Column("diagnosis_facts", sa.String(64), nullable=False),
        sa.Column("trial_facts", sa.String(64), nullable=False),
        sa.Column("suggestions", sa.Text, nullable=False),
    )
    op.create_index("cards_of_patient", "cards", ["patient_key"])
    op.create_index("cards_by_day", "cards", ["shown_at"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("event_key", sa.String(64), nullable=False, unique=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client", sa.String(300), nullable=False),
        sa.Column("tenant", sa.String(300), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("card", sa.String(200), nullable=False),
        sa.Column("card_is_known", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_code", sa.String(200), nullable=False),
        sa.Column("reason_system", sa.String(500), nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
    )
    op.create_index("ix_feedback_card", "feedback", ["card"])
    op.create_table(
        "accepted_suggestions",
        sa.Column(
            "feedback_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("feedback.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("suggestion", sa.String(200), primary_key=True),
    )
    op.create_table(
        "used_tokens",
        sa.Column("token_key", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_used_tokens_expires_at", "used_tokens", ["expires_at"])
    op.create_table(
        "keys",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    for table in ("keys", "used_tokens", "accepted_suggestions", "feedback", "cards"):
        op.drop_table(table)
