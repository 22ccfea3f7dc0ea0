"""Roles, invitations, sessions that end as a whole, lockout, revocations, audit, keys that come next."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.postgres import create_outbox_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _tenants()
    _sessions()
    _keys()
    _access()
    _audit()


def _tenants() -> None:
    op.create_table(
        "membership",
        sa.Column("tenant_id", sa.Text, sa.ForeignKey("tenant.id"), primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("user_account.id"), primary_key=True, index=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
    )
    op.execute(
        "INSERT INTO membership (tenant_id, user_id, role, created_at)"
        " SELECT tenant_id, id, 'owner', created_at FROM user_account"
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant_id", sa.Text, sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("invited_by", sa.Text, sa.ForeignKey("user_account.id"), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False),
        sa.Column("accepted_at", _moment),
        sa.Column("revoked_at", _moment),
    )
    op.create_index("ix_invitation_tenant", "invitation", ["tenant_id", "id"])


def _sessions() -> None:
    op.create_table(
        "login_session",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("user_account.id"), nullable=False, index=True),
        sa.Column("tenant_id", sa.Text, sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("expires_at", _moment, nullable=False, index=True),
        sa.Column("ended_at", _moment),
    )
    op.execute(
        "INSERT INTO login_session (id, user_id, tenant_id, scope, created_at, expires_at, ended_at)"
        " SELECT family_id, user_id, u.tenant_id, min(scope), min(r.created_at), max(expires_at), min(revoked_at)"
        " FROM refresh_token r JOIN user_account u ON u.id = r.user_id GROUP BY family_id, user_id, u.tenant_id"
    )
    op.alter_column("refresh_token", "family_id", new_column_name="session_id")
    op.execute("ALTER INDEX ix_refresh_token_family_id RENAME TO ix_refresh_token_session_id")
    op.create_foreign_key(None, "refresh_token", "login_session", ["session_id"], ["id"], ondelete="CASCADE")
    for column in ("user_id", "scope", "expires_at", "revoked_at"):  # the session has them now
        op.drop_column("refresh_token", column)
    op.add_column("refresh_token", sa.Column("parent_id", sa.Text, index=True))
    op.add_column("refresh_token", sa.Column("superseded_at", _moment))
    op.create_table(
        "login_throttle",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_failed_at", _moment, nullable=False, index=True),
        sa.Column("blocked_until", _moment),
    )


def _keys() -> None:
    op.add_column("api_key", sa.Column("last_used_at", _moment))
    op.add_column("api_key", sa.Column("replaced_by", sa.Text))
    op.add_column("signing_key", sa.Column("activated_at", _moment))
    op.execute("UPDATE signing_key SET activated_at = created_at")
    op.drop_index("uq_signing_key_current", "signing_key")
    for name, where in (
        ("uq_signing_key_current", "activated_at IS NOT NULL AND retired_at IS NULL"),
        ("uq_signing_key_next", "activated_at IS NULL"),
    ):
        op.create_index(name, "signing_key", [sa.text("(true)")], unique=True, postgresql_where=sa.text(where))


def _access() -> None:
    op.create_table(
        "revocation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("issued_until", _moment),
        sa.Column("created_at", _moment, nullable=False, index=True),
        sa.Column("expires_at", _moment, nullable=False, index=True),
    )
    create_outbox_table(op)


def _audit() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", _moment, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("tenant_id", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("details", postgresql.JSONB, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    pattern_ops = {"action": "text_pattern_ops"}
    op.create_index("ix_audit_entry_action", "audit_entry", ["action", "number"], postgresql_ops=pattern_ops)
    for name, column in (("actor", "actor"), ("tenant", "tenant_id"), ("target", "target")):
        op.create_index(f"ix_audit_entry_{name}", "audit_entry", [column, "number"])
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'audit entries never change'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("sessions and audit cannot be taken back to a shape that has no room for them")
