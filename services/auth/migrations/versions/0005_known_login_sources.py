"""From where accounts logged in before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "known_login_source",
        sa.Column("account", sa.LargeBinary, primary_key=True),
        sa.Column("source", sa.LargeBinary, primary_key=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("known_login_source")
