"""Databases of the suite's PostgreSQL that rows have for themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
from sqlalchemy.engine import make_url

T = TypeVar("T")


class Databases:
    """Those of one server, by name."""

    def __init__(self, server_url: str) -> None:
        self._server = make_url(server_url)

    def empty(self, name: str) -> str:
        """The URL of a new one, for SQLAlchemy; what was there is gone."""
        asyncio.run(_recreate(self.dsn("postgres"), name))
        return self._server.set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        """Whoever is connected to it is cut off."""
        asyncio.run(_drop(self.dsn("postgres"), name))

    def asked(self, name: str, ask: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """What `ask` finds there."""

        async def connected() -> T:
            connection = await asyncpg.connect(self.dsn(name))
            try:
                return await ask(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())

    def dsn(self, name: str) -> str:
        """The URL of one for whatever is not SQLAlchemy."""
        return self._server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)


async def _recreate(server_url: str, name: str) -> None:
    await _drop(server_url, name)
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


async def _drop(server_url: str, name: str) -> None:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()
