"""A server that says nothing more, once it is connected to, is given up at a start too."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.errors import Unavailable
from shared.postgres import opening
from tests.fixtures.patience import PATIENCE_SECONDS


class Frozen:
    """A connection whose server is frozen, with the bounds that asyncpg has."""

    def __init__(self, command_timeout: float | None) -> None:
        self._command_timeout = command_timeout

    async def execute(self, _: str) -> None:
        async with asyncio.timeout(self._command_timeout):
            await asyncio.Event().wait()

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as the library has it
        async with asyncio.timeout(timeout):
            await asyncio.Event().wait()


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_server_that_freezes_is_given_up(monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    async def connect(dsn: str, *, timeout: float, command_timeout: float | None = None) -> Any:  # noqa: ASYNC109
        if dsn.endswith("/auth") and not is_there:
            raise asyncpg.InvalidCatalogNameError
        return Frozen(command_timeout)

    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.setattr(opening, "_CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(opening, "_CREATE_SECONDS", 0.05)

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(Unavailable):
            async with opening.open_database("postgresql+asyncpg://u:p@localhost/", "auth", Path("migrations")):
                pass
