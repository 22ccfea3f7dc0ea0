"""A service that waits for its store ends when it is told to, whatever the driver makes of a cancel."""

import asyncio
from typing import Any

import pytest

from services.agents import constraints
from shared.errors import Unavailable
from tests.fixtures.patience import PATIENCE_SECONDS


async def test_a_cancel_that_the_driver_loses_is_no_end_of_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, begun = asyncio.Event(), asyncio.Event()

    class Graph:
        is_prepared = False

    async def migrate(*_: object) -> None:
        if asyncio.current_task() is not serving and not lost.is_set():
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.set()  # as `asyncio.wait_for` does with one that meets a result
        raise Unavailable("neo4j")

    monkeypatch.setattr(constraints, "migrate", migrate)
    graph: Any = Graph()

    async def served() -> None:
        async with constraints.applied_schema(graph, 1.0):
            await begun.wait()

    serving = asyncio.create_task(served())
    await asyncio.wait({serving}, timeout=PATIENCE_SECONDS)

    assert lost.is_set()
    assert serving.done()
