"""An index of whose tasks wait to be sent to a worker, so that the next of an owner is found behind any backlog."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_task_turn",
        "task",
        ["priority", "tenant_id", "user_id", "run_at"],
        postgresql_where=sa.text("status = 'queued' AND enqueued_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_task_turn", "task")
