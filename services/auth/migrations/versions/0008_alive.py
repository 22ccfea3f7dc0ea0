"""What finds the sessions and keys of a user that go on, and which of the sessions was used last."""

from alembic import op

from shared.postgres import build_index, remove_index

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build_index(op, "ix_login_session_alive", "login_session", ["user_id"], where="ended_at IS NULL")
    build_index(op, "ix_api_key_alive", "api_key", ["user_id", "expires_at"], where="revoked_at IS NULL")
    build_index(op, "ix_refresh_token_session", "refresh_token", ["session_id", "created_at"])
    remove_index(op, "ix_login_session_user_id", "login_session")
    remove_index(op, "ix_refresh_token_session_id", "refresh_token")


def downgrade() -> None:
    build_index(op, "ix_refresh_token_session_id", "refresh_token", ["session_id"])
    build_index(op, "ix_login_session_user_id", "login_session", ["user_id"])
    remove_index(op, "ix_refresh_token_session", "refresh_token")
    remove_index(op, "ix_api_key_alive", "api_key")
    remove_index(op, "ix_login_session_alive", "login_session")
