"""By which credential a task was submitted, and an index of what one user submitted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Both null in what was submitted before: such a task rests on its user alone.
    op.add_column("task", sa.Column("key_id", sa.Text))
    op.add_column("task", sa.Column("session_id", sa.Text))
    op.create_index("ix_task_submitter", "task", ["tenant_id", "user_id", sa.text("id DESC")])


def downgrade() -> None:
    op.drop_index("ix_task_submitter", "task")
    op.drop_column("task", "session_id")
    op.drop_column("task", "key_id")
