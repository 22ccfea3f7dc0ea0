"""Idempotency keys beside what they made."""

from alembic import op

from shared.postgres import create_keys_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_keys_table(op)


def downgrade() -> None:
    op.drop_table("idempotency_key")
