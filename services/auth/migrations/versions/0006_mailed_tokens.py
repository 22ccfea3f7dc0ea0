"""Proved addresses, and what is sent by mail to prove one or to get back in."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("user_account", sa.Column("email_verified_at", _moment))
    # Whoever is here has worked here, and was never asked to prove anything.
    op.execute("UPDATE user_account SET email_verified_at = created_at")
    op.create_table(
        "mailed_token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False, index=True),
        sa.Column("user_id", sa.Text, nullable=False, index=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("tenant_id", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("password_hash", sa.Text),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False, index=True),
    )
    op.create_table(
        "letter_count",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("letters", sa.Integer, nullable=False),
        sa.Column("began_at", _moment, nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("letter_count")
    op.drop_table("mailed_token")
    op.drop_column("user_account", "email_verified_at")
