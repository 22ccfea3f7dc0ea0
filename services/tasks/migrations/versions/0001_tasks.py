"""Tasks, their attempts, and the outbox."""

import sqlalchemy as sa
from alembic import op

from shared.postgres import create_outbox_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_task()
    op.create_table(
        "task_attempt",
        sa.Column("task_id", sa.Uuid, sa.ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("started_at", _moment, nullable=False),
        sa.Column("finished_at", _moment),
        sa.Column("error_code", sa.Text),
        sa.Column("error_detail", sa.Text),
    )
    create_outbox_table(op)


def _create_task() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.Column("dead_letter", sa.Boolean, nullable=False),
        sa.Column("progress_done", sa.BigInteger, nullable=False),
        sa.Column("progress_total", sa.BigInteger),
        sa.Column("progress_message", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("interruptions", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("timeout_seconds", sa.Float, nullable=False),
        sa.Column("worker_id", sa.Text),
        sa.Column("lease_expires_at", _moment),
        sa.Column("cancel_requested_at", _moment),
        sa.Column("run_at", _moment, nullable=False),
        sa.Column("enqueued_at", _moment),
        sa.Column("traceparent", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("started_at", _moment),
        sa.Column("finished_at", _moment),
    )
    op.create_index("ix_task_tenant", "task", ["tenant_id", sa.text("id DESC")])
    for name, column, condition in (
        ("ix_task_due", "run_at", "status = 'queued' AND enqueued_at IS NULL"),
        ("ix_task_enqueued", "enqueued_at", "status = 'queued' AND enqueued_at IS NOT NULL"),
        ("ix_task_lease", "lease_expires_at", "status = 'running'"),
    ):
        op.create_index(name, "task", [column], postgresql_where=sa.text(condition))


def downgrade() -> None:
    for table in ("outbox", "task_attempt", "task"):
        op.drop_table(table)
