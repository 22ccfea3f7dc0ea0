"""Of users with more sessions than one may have now, the longest unused end, as they do at a login from here on."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        WITH many AS (
            SELECT user_id FROM login_session WHERE ended_at IS NULL GROUP BY user_id HAVING count(*) > 1000
        ), ranked AS (
            SELECT one.id, row_number() OVER (PARTITION BY one.user_id ORDER BY used.at DESC NULLS LAST) AS place
            FROM login_session AS one JOIN many ON many.user_id = one.user_id
            CROSS JOIN LATERAL (SELECT max(created_at) AS at FROM refresh_token WHERE session_id = one.id) AS used
            WHERE one.ended_at IS NULL
        ), free AS (
            SELECT id FROM login_session WHERE id IN (SELECT id FROM ranked WHERE place > 1000) FOR UPDATE SKIP LOCKED
        )
        UPDATE login_session SET ended_at = now() WHERE id IN (SELECT id FROM free)
    """)


def downgrade() -> None:
    """What ended stays ended."""
