"""Migrations, under a lock: replicas may start at once.

Each is a transaction, but for the indexes of tables in use, which are built beside others' work (`indexes.py`). For a
lock it waits only briefly each time, because whatever comes after it to the same table waits behind it.
"""

import asyncio
import logging
import random
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.errors import Unavailable
from shared.postgres.database import is_deadlock

_log = logging.getLogger("shared.postgres")
_MIGRATION_LOCK = 0x5A7A2  # any constant: one advisory lock per database
_LOCK_SECONDS = 3.0
_PAUSE_SECONDS = (0.5, 1.5)
_PATIENCE_SECONDS = 60.0  # then the start has failed, and is tried again by whoever looks after the process
_LOCK_NOT_AVAILABLE = "55P03"


async def is_migrated(engine: AsyncEngine, migrations: Path) -> bool:
    """Whether there is nothing to do: so it is at most starts, which then wait for nobody."""
    async with engine.connect() as connection:
        return await _is_new_enough(connection, migrations)


async def migrate(engine: AsyncEngine, migrations: Path) -> None:
    """Raises Unavailable when a lock was not to be had for a minute. `engine` bounds no statement to seconds."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not await _is_done(engine, migrations):
        if time.monotonic() >= give_up_at:
            detail = "postgres: the database is being migrated, or what is to be changed is in use."
            raise Unavailable("postgres", detail=detail)
        _log.info("migration waits for a lock")
        await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))


async def _is_done(engine: AsyncEngine, migrations: Path) -> bool:
    """Whether the database is at the newest revision now; not so where somebody has what has to be locked."""
    try:
        async with engine.connect() as connection:
            return await _migrate_once(connection, migrations)
    except DBAPIError as error:
        if not (_is_locked(error) or is_deadlock(error)):
            raise
        return False


async def _migrate_once(connection: AsyncConnection, migrations: Path) -> bool:
    """Whether there is nothing left to do, for which it may not be this one's turn.

    Of replicas that start at once the first migrates. The others ask again and do not stand in line: who waits for a
    lock is a transaction that an index, while it is built, would have to wait for. The lock ends with the connection.
    """
    await connection.execute(text(f"SET lock_timeout = {round(_LOCK_SECONDS * 1000)}"))
    is_first = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
    is_done = await _is_new_enough(connection, migrations)
    await connection.commit()
    if is_done or not is_first:
        return is_done
    await connection.run_sync(_upgrade, migrations)
    return True


def _is_locked(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


async def _is_new_enough(connection: AsyncConnection, migrations: Path) -> bool:
    """Of a newer release too, whose migrations only add what this one can live with."""
    return (await _revision(connection) or "") >= newest_revision(migrations)


async def _revision(connection: AsyncConnection) -> str | None:
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def newest_revision(migrations: Path) -> str:
    """The head, read off the file names (`0001_identity.py`): most starts have nothing to migrate and skip Alembic."""
    return max(path.name for path in (migrations / "versions").glob("[0-9]*.py")).partition("_")[0]


def _upgrade(connection: Connection, migrations: Path) -> None:
    from alembic import command  # imported when needed: it costs as much memory and start time as SQLAlchemy's core
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_migrations(target_metadata: MetaData) -> None:
    """What every service's `migrations/env.py` calls, on the connection that `_upgrade` handed over."""
    from alembic import context

    connection: Any = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=target_metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
