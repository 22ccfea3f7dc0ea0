"""Windows in which repetitions are counted, and what was heard of other services."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "audit_window",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False, index=True),
        sa.Column("actor", sa.Text),
        sa.Column("tenant_id", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("details", postgresql.JSONB, nullable=False),
        sa.Column("repeated", sa.BigInteger, nullable=False),
        sa.Column("first_at", _moment, nullable=False, index=True),
        sa.Column("last_at", _moment, nullable=False),
    )
    op.create_table(
        "heard_message",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("heard_at", _moment, nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("heard_message")
    op.drop_table("audit_window")
