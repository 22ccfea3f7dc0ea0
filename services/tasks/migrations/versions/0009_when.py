"""When a task is too late to begin, and how it wants to be tried again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LATE = "status = 'queued' AND started_at IS NULL AND start_before IS NOT NULL"


def upgrade() -> None:
    op.add_column("task", sa.Column("retry", JSONB))
    op.add_column("task", sa.Column("start_before", sa.DateTime(timezone=True)))
    op.create_index("ix_task_start_before", "task", ["start_before"], postgresql_where=sa.text(_LATE))


def downgrade() -> None:
    op.drop_index("ix_task_start_before", "task")
    op.drop_column("task", "start_before")
    op.drop_column("task", "retry")
