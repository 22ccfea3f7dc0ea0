"""A migration may take longer than a statement of a request, and waits for nobody with the door shut."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from local.suite import Suite
from shared.errors import Unavailable
from shared.postgres import migrating, open_database, opening
from shared.settings import CannotStart
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.tasks.running import eventually

ENV = "from sqlalchemy import MetaData\nfrom shared.postgres import run_migrations\nrun_migrations(MetaData())\n"
STEP = """
from alembic import op

revision, down_revision, branch_labels, depends_on = {revision!r}, {before!r}, None, None


def upgrade() -> None:
    op.execute({statement!r})
"""
INDEX = """
from alembic import op

from shared.postgres import build_index, remove_index

revision, down_revision, branch_labels, depends_on = {revision!r}, {before!r}, None, None


def upgrade() -> None:
    {statement}
"""
UNIQUE = 'build_index(op, "uq_thing", "thing", ["id"], unique=True, where="id > 0")'


class Server:
    """A database of the test's own, and the migrations that are written for it."""

    def __init__(self, url: str, migrations: Path) -> None:
        self.url, self.name, self.migrations = url, f"migrating_{secrets.token_hex(4)}", migrations
        self._newest: str | None = None
        (migrations / "versions").mkdir()
        (migrations / "env.py").write_text(ENV)

    def add(self, statement: str, step: str = STEP) -> None:
        revision = f"{int(self._newest or 0) + 1:04}"
        written = step.format(revision=revision, before=self._newest, statement=statement)
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

    async with asyncio.timeout(PATIENCE_SECONDS):  # half a second is little for whatever else a busy machine is asked
        revision = None
        while revision is None:
            with suppress(Unavailable):
                revision = await server.start()
    assert revision == "0002"


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
        await other.execute("SELECT FROM thing", timeout=PATIENCE_SECONDS)
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


async def test_a_newer_releases_database_is_started_on(server: Server) -> None:
    server.add("ALTER TABLE thing ADD COLUMN more integer")
    await server.start()
    [newest] = (server.migrations / "versions").glob("0002*")
    newest.unlink()

    assert await server.start() == "0002"


async def test_what_was_migrated_before_a_failure_is_not_done_again(server: Server) -> None:
    server.add("INSERT INTO thing VALUES (1)")
    server.add("SELECT 1 / 0")
    for _ in range(2):
        with pytest.raises(CannotStart, match="division by zero"):
            await server.start()
    connection = await server.connect()
    state = await connection.fetchrow("SELECT version_num, (SELECT count(*) FROM thing) FROM alembic_version")
    await connection.close()

    assert state is not None
    assert tuple(state) == ("0002", 1)


async def test_a_table_is_written_to_while_its_index_is_built(server: Server) -> None:
    """Whoever writes holds a lock that building would wait for, and building one that writers would."""
    server.add(UNIQUE, INDEX)
    user, other = await server.connect(), await server.connect()
    using = user.transaction()
    await using.start()
    await user.execute("INSERT INTO thing VALUES (1)")

    starting = [asyncio.create_task(server.start()) for _ in range(2)]
    await eventually(lambda: is_built(other, "uq_thing", valid=False))
    await other.execute("INSERT INTO thing VALUES (2)", timeout=PATIENCE_SECONDS)
    is_done_early = any(one.done() for one in starting)
    await using.commit()

    assert (is_done_early, await asyncio.gather(*starting)) == (False, ["0002", "0002"])
    assert await is_built(other, "uq_thing", valid=True)
    await asyncio.gather(user.close(), other.close())


async def test_half_an_index_is_made_anew(server: Server) -> None:
    """What a start leaves that is killed, or finds what is not unique."""
    server.add(UNIQUE, INDEX)
    connection = await server.connect()
    await connection.execute("INSERT INTO thing VALUES (1), (1)")
    with pytest.raises(CannotStart, match="uq_thing"):
        await server.start()
    is_half = await is_built(connection, "uq_thing", valid=False)
    await connection.execute("DELETE FROM thing")

    assert (is_half, await server.start()) == (True, "0002")
    assert await is_built(connection, "uq_thing", valid=True)
    await connection.close()


async def test_an_index_that_was_built_before_the_kill_is_left(server: Server) -> None:
    server.add(UNIQUE, INDEX)
    server.add('remove_index(op, "ix_never", "thing")', INDEX)
    connection = await server.connect()
    await connection.execute("CREATE UNIQUE INDEX uq_thing ON thing (id) WHERE id > 0")
    built = await connection.fetchval("SELECT 'uq_thing'::regclass::oid")
    revision = await server.start()
    left = await connection.fetchval("SELECT 'uq_thing'::regclass::oid")
    await connection.close()

    assert (revision, left) == ("0003", built)


async def test_after_an_index_a_lock_is_waited_for_briefly_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_LOCK_SECONDS", 0.7)
    server.add(UNIQUE, INDEX)
    server.add("CREATE TABLE told AS SELECT current_setting('lock_timeout') AS patience")
    await server.start()
    connection = await server.connect()
    patience = await connection.fetchval("SELECT patience FROM told")
    await connection.close()

    assert patience == "700ms"


async def is_built(connection: asyncpg.Connection, name: str, *, valid: bool) -> bool:
    statement = "SELECT indisvalid = $2 FROM pg_index WHERE indexrelid = to_regclass($1)"
    return bool(await connection.fetchval(statement, name, valid))
