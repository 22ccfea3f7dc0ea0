"""Deliveries leave connections of the database to what runs tasks, however many there are."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from services.tasks.webhooks import narrowing
from services.tasks.webhooks.narrowing import MOST, Narrowed
from shared.errors import Unavailable
from tests.services.tasks.running import Installation


async def test_no_more_than_a_few_connections_are_taken(
    new_installation: Callable[[], Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "_PATIENCE_SECONDS", 0.05)
    async with new_installation().database() as database:
        narrowed = Narrowed(database)
        async with AsyncExitStack() as stack:
            for _ in range(MOST):
                await stack.enter_async_context(narrowed.transaction())
            with pytest.raises(Unavailable):
                await stack.enter_async_context(narrowed.statements())
            async with database.transaction() as session:
                assert await session.scalar(text("SELECT 1")) == 1
        async with narrowed.statements() as session:
            assert await session.scalar(text("SELECT 1")) == 1
