"""Migrations, under a lock: replicas may start at once."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_MIGRATION_LOCK = 0x5A7A2  # any constant: one advisory lock per database


async def migrate(engine: AsyncEngine, migrations: Path) -> None:
    async with engine.begin() as connection:
        # Replicas that start at once queue here; the first migrates, the others find nothing to do.
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if await _revision(connection) != newest_revision(migrations):
            await connection.run_sync(_upgrade, migrations)


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
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
