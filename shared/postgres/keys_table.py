"""The table of idempotency keys, as the migrations of services make it."""

from types import ModuleType

import sqlalchemy as sa


def create_keys_table(op: ModuleType) -> None:
    """With Alembic's `op`. Databases were made by this, so it never changes: a later shape is another function."""
    op.create_table(
        "idempotency_key",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("of", sa.LargeBinary, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
