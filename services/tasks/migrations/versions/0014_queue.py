"""What waits to be sent, by kind and then by whose it is: what has a limit of its own is not looked at for the rest."""

from alembic import op

from shared.postgres import build_index, remove_index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Not as `ix_task_turn` says it: what asks for this index is not answered by that one.
_UNSENT = "status = 'queued' AND enqueued_at IS NULL AND waiting_for < 1 AND NOT waits_for_key"


def upgrade() -> None:
    build_index(op, "ix_task_queue", "task", ["kind", "priority", "tenant_id", "user_id", "run_at"], where=_UNSENT)


def downgrade() -> None:
    remove_index(op, "ix_task_queue", "task")
