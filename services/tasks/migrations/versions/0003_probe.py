"""A row for each instance, which its health check writes."""

from alembic import op

from shared.postgres import create_probe_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_probe_table(op)


def downgrade() -> None:
    op.drop_table("probe")
