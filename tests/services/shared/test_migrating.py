"""A migration may take longer than a statement of a request, and waits for nobody with the door shut."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from local.suite import Suite
from shared.errors import Unavailable
from shared.postgres import migrating, open_database, opening

ENV = "from sqlalchemy import MetaData\nfrom shared.postgres import run_migrations\nrun_migrations(MetaData())\n"
STEP = """
from alembic import op

revision, down_revision, branch_labels, depends_on = {revision!r}, {before!r}, None, None


def upgrade() -> None:
    op.execute({statement!r})
"""


class Server:
    """A database of the test's own, and the migrations that are written for it."""

    def __init__(self, url: str, migrations: Path) -> None:
        self.url, self.name, self.migrations = url, f"migrating_{secrets.token_hex(4)}", migrations
        self._newest: str | None = None
        (migrations / "versions").mkdir()
        (migrations / "env.py").write_text(ENV)

    def add(self, statement: str) -> None:
        revision = f"{int(self._newest or 0) + 1:04}"
        written = STEP.format(revision=revision, before=self._newest, statement=statement)
        (self.migrations / "versions" / f"{revision}_step.py").write_text(written)
        self._newest = revision

    async def start(self) -> str | None:
        """As a service does; the revision it then finds."""
        async with open_database(self.url, self.name, self.migrations) as database, database.session() as session:
            return str(await session.scalar(text("SELECT version_num FROM alembic_version")))

    async def connect(self, database: str | None = None) -> asyncpg.Connection:
        return await asyncpg.connect(self.url.replace("+asyncpg", ""), database=database or self.name)


@pytest.fixture
async def server(suite: Suite, tmp_path: Path) -> AsyncIterator[Server]:
    suite.up(["postgres"])
    server = Server(suite.environment("auth")["DATABASE_URL"], tmp_path)
    server.add("CREATE TABLE thing (id integer)")
    await server.start()
    yield server
    connection = await server.connect("postgres")
    await connection.execute(f"DROP DATABASE {server.name} WITH (FORCE)")
    await connection.close()


async def test_a_long_migration_is_not_broken_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_STATEMENT_SECONDS", 0.5)
    server.add("SELECT pg_sleep(1)")

    assert await server.start() == "0002"


async def test_replicas_that_start_at_once_migrate_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "_LOCK_SECONDS", 0.1)
    server.add("INSERT INTO thing SELECT 1 FROM pg_sleep(0.5)")

    revisions = await asyncio.gather(*(server.start() for _ in range(3)))
    connection = await server.connect()
    rows = await connection.fetchval("SELECT count(*) FROM thing")
    await connection.close()

    assert (revisions, rows) == (["0002"] * 3, 1)


async def test_what_is_in_use_is_waited_for_without_a_queue_behind(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_LOCK_SECONDS", 0.1)
    server.add("ALTER TABLE thing ADD COLUMN more integer")
    user, other = await server.connect(), await server.connect()
    using = user.transaction()
    await using.start()
    await user.execute("SELECT FROM thing")

    starting = asyncio.create_task(server.start())
    for _ in range(5):  # one that waits as long as it likes would have these wait too
        await other.execute("SELECT FROM thing", timeout=2)
        await asyncio.sleep(0.2)
    is_done_early = starting.done()
    await using.rollback()

    assert (is_done_early, await starting) == (False, "0002")
    await asyncio.gather(user.close(), other.close())


async def test_a_start_does_not_wait_for_ever(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "_LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrating, "_PATIENCE_SECONDS", 0.0)
    server.add("ALTER TABLE thing ADD COLUMN more integer")
    user = await server.connect()
    async with user.transaction():
        await user.execute("SELECT FROM thing")
        with pytest.raises(Unavailable, match="in use"):
            await server.start()
    await user.close()

    assert await server.start() == "0002"
