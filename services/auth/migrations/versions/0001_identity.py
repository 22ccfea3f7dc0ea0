"""Tenants, users, sessions, API keys, signing keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "tenant",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, sa.ForeignKey("tenant.id"), nullable=False, index=True),
        sa.Column("email", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("updated_at", _moment, nullable=False),
        sa.Column("disabled_at", _moment),
    )
    op.create_table(
        "refresh_token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("family_id", sa.Text, nullable=False, index=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("user_account.id"), nullable=False, index=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False),
        sa.Column("used_at", _moment),
        sa.Column("revoked_at", _moment),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("user_id", sa.Text, sa.ForeignKey("user_account.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("public_id", sa.Text, nullable=False, unique=True),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("expires_at", _moment),
        sa.Column("revoked_at", _moment),
    )
    op.create_index("ix_api_key_owner", "api_key", ["tenant_id", "user_id", "id"])
    op.create_table(
        "signing_key",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("public_jwk", postgresql.JSONB, nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("retired_at", _moment),
    )
    op.create_index(
        "uq_signing_key_current",
        "signing_key",
        [sa.text("(true)")],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )


def downgrade() -> None:
    for table in ("signing_key", "api_key", "refresh_token", "user_account", "tenant"):
        op.drop_table(table)
