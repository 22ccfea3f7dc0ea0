"""The table of probes, as the migrations of services make it."""

from types import ModuleType

import sqlalchemy as sa


def create_probe_table(op: ModuleType) -> None:
    """With Alembic's `op`. Databases were made by this, so it never changes: a later shape is another function."""
    op.create_table(
        "probe",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
    )
