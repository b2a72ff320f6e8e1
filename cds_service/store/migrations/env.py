"""What alembic runs: the steps, on the connection and within the transaction that `engine.py` opened."""

from __future__ import annotations

from alembic import context

from cds_service.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # SQLite as well: a start that is killed leaves no half of a step
)
with context.begin_transaction():
    context.run_migrations()
