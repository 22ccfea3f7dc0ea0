"""What was sent to the workers and nobody has begun, by whose it is: no owner has more than so many in the queue."""

from alembic import op

from shared.postgres import build_index, remove_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_IS_SENT = "status = 'queued' AND enqueued_at IS NOT NULL"


def upgrade() -> None:
    build_index(op, "ix_task_sent", "task", ["priority", "tenant_id", "user_id"], where=_IS_SENT)


def downgrade() -> None:
    remove_index(op, "ix_task_sent", "task")
