"""The table of the outbox, as the migrations of services make it."""

from types import ModuleType

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def create_outbox_table(op: ModuleType) -> None:
    """With Alembic's `op`. Databases were made by this, so it never changes: a later shape is another function."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("headers", postgresql.JSONB, nullable=False),
        sa.Column("priority", sa.SmallInteger),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
