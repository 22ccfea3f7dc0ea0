"""What nobody can use any more is forgotten, however much there is, and whatever keeps a part of it from that."""

import secrets

import httpx
from sqlalchemy import text

from local.suite import Suite
from services.auth.housekeeping import SESSIONS_AT_ONCE
from services.auth.lifespan import MIGRATIONS
from shared.postgres import open_database
from tests.fixtures.apps import alive, build_app
from tests.fixtures.identity import register_with

EXPIRED = text("""
    WITH made AS (
        INSERT INTO login_session (id, user_id, tenant_id, scope, created_at, expires_at)
        SELECT :prefix || number, :user_id, :tenant_id, '', now() - interval '2 days', now() - interval '1 day'
        FROM generate_series(1, :count) AS number RETURNING id
    )
    INSERT INTO refresh_token (id, session_id, token_hash, created_at)
    SELECT id, id, sha256(id::bytea), now() FROM made
""")
LEFT = text("SELECT count(*) FROM refresh_token WHERE session_id LIKE :prefix || '%'")
HEARD = text("INSERT INTO heard_message (id, heard_at) VALUES (:id, now() - interval '8 days')")
NOWHERE = "amqp://127.0.0.1:1"


async def test_more_sessions_than_go_at_once_are_forgotten_and_one_that_is_held_keeps_nothing_else(
    suite: Suite,
) -> None:
    """In a database of its own: the suite's auth would forget them a moment before they are held."""
    suite.up(["postgres", "redis-cache"])
    name = f"housekeeping_{secrets.token_hex(6)}"
    app = build_app(suite, "auth", database_name=name, rabbitmq_url=NOWHERE)  # it hears nothing that is the suite's
    async with (
        alive(app) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://auth") as client,
        open_database(suite.url("postgres"), name, MIGRATIONS) as database,
    ):
        user = await register_with(client)()
        prefix = f"expired {user.user_id} "
        who = {"prefix": prefix, "user_id": user.user_id, "tenant_id": user.tenant_id}
        async with database.transaction() as session:
            await session.execute(EXPIRED, who | {"count": 2 * SESSIONS_AT_ONCE + 1})
            await session.execute(HEARD, {"id": prefix})
        async with database.session() as held:
            hold = text("SELECT 1 FROM login_session WHERE id = :id FOR UPDATE")
            await held.execute(hold, {"id": f"{prefix}1"})
            await manager._state["housekeeping"].round()
            async with database.session() as session:
                left = await session.scalar(LEFT, {"prefix": prefix})
                heard = await session.scalar(text("SELECT count(*) FROM heard_message WHERE id = :id"), {"id": prefix})

    assert (left, heard) == (1, 0)
