"""Schedules, and which task was made for which of their moments."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tenant_id", "user_id")),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        *(sa.Column(name, sa.Text) for name in ("key_id", "session_id", "error_code", "error_detail")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "kind", "priority", "input")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("cron", "time_zone", "catch_up")),
        sa.Column("jitter_seconds", sa.Integer, nullable=False),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("ends_at", _moment),
        sa.Column("next_at", _moment),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
    )
    op.create_index("ix_schedule_owner", "schedule", ["tenant_id", "user_id", sa.text("id DESC")])
    due = sa.text("NOT is_paused AND next_at IS NOT NULL")
    op.create_index("ix_schedule_due", "schedule", ["next_at"], postgresql_where=due)
    op.add_column("task", sa.Column("schedule_id", sa.Uuid(as_uuid=False)))
    op.add_column("task", sa.Column("due_at", _moment))
    made = sa.text("schedule_id IS NOT NULL")
    op.create_index("ix_task_schedule", "task", ["schedule_id", sa.text("id DESC")], postgresql_where=made)
    once = sa.text("schedule_id IS NOT NULL AND due_at IS NOT NULL")
    op.create_index("uq_task_moment", "task", ["schedule_id", "due_at"], unique=True, postgresql_where=once)


def downgrade() -> None:
    op.drop_index("uq_task_moment", "task")
    op.drop_index("ix_task_schedule", "task")
    op.drop_column("task", "due_at")
    op.drop_column("task", "schedule_id")
    op.drop_table("schedule")
