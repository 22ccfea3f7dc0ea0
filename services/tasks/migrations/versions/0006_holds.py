"""What tasks have to themselves, so that two ingestions of one document do not mix."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_hold",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_task_hold_task_id_task", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_task_hold"),
    )
    op.create_index("ix_task_hold_task_id", "task_hold", ["task_id"])


def downgrade() -> None:
    op.drop_table("task_hold")
