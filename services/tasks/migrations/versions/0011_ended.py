"""What has ended, by whose it is: how long it is kept is decided by its tenant and its kind."""

from alembic import op

from shared.postgres import build_index, remove_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_HAS_ENDED = "finished_at IS NOT NULL"


def upgrade() -> None:
    build_index(op, "ix_task_ended", "task", ["tenant_id", "kind", "finished_at"], where=_HAS_ENDED)
    remove_index(op, "ix_task_finished", "task")


def downgrade() -> None:
    build_index(op, "ix_task_finished", "task", ["kind", "finished_at"], where=_HAS_ENDED)
    remove_index(op, "ix_task_ended", "task")
