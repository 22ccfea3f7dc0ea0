"""Many cancels of every kind of wait on a store, at every moment of it: none is lost.

A thousand for each with `FAULTS=1` (`make test-faults`); otherwise as many as take a few seconds.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aio_pika.abc import AbstractChannel
from neo4j import AsyncGraphDatabase
from sqlalchemy import text

from local.suite import Suite
from services.agents.settings import Settings as AgentsSettings
from shared.calls import open_http_client
from shared.messages import OutgoingMessage, Publisher, declare_events, open_connection
from shared.postgres import open_database
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.apps import build_app

CANCELS = 1000 if os.environ.get("FAULTS") else 60
Wait = Callable[[], Awaitable[object]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def lost_cancels(wait: Wait) -> int:
    """How many of many cancels, each some steps of the loop into a wait, did not end their task."""
    turn = asyncio.Event()

    async def forever() -> None:
        while True:
            turn.set()
            await wait()

    lost = 0
    await wait()  # connected
    for _ in range(CANCELS):
        task = asyncio.create_task(forever())
        for _ in range(random.randint(1, 40)):
            await asyncio.sleep(0)
        turn.clear()
        task.cancel()
        if await _goes_on(task, turn):
            lost += 1
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
    return lost


async def _goes_on(task: "asyncio.Task[None]", turn: asyncio.Event) -> bool:
    """Whether it begins another turn rather than end, however long either takes."""
    turns = asyncio.create_task(turn.wait())
    await asyncio.wait({task, turns}, return_when=asyncio.FIRST_COMPLETED)
    turns.cancel()
    return not task.done()


async def test_redis_loses_none(suite: Suite, stack: AsyncExitStack) -> None:
    suite.up(["redis"])
    redis = await stack.enter_async_context(open_redis(suite.url("redis")))
    assert await lost_cancels(lambda: redis.set("cancelled", b"x" * 1000)) == 0


async def test_postgres_loses_none(suite: Suite, stack: AsyncExitStack) -> None:
    from services.auth.lifespan import MIGRATIONS

    suite.up(["postgres"])
    database = await stack.enter_async_context(open_database(suite.url("postgres"), "auth", MIGRATIONS))

    async def ask() -> None:
        async with database.session() as session:
            await session.execute(text("SELECT 1"))

    assert await lost_cancels(ask) == 0


async def test_rabbitmq_loses_none(suite: Suite, stack: AsyncExitStack) -> None:
    suite.up(["rabbitmq"])
    connection = await stack.enter_async_context(open_connection(suite.url("rabbitmq"), "cancelled"))

    async def topology(channel: AbstractChannel) -> None:
        await declare_events(channel)
        queue = await channel.declare_queue("cancelled", auto_delete=True)
        await queue.bind("sutazai.events", "cancelled")

    publisher = Publisher(connection, topology)
    message = OutgoingMessage(new_id(), "sutazai.events", "cancelled", b"{}")
    assert await lost_cancels(lambda: publisher.publish(message)) == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a socket of its own
async def test_neo4j_loses_none(suite: Suite, stack: AsyncExitStack) -> None:
    suite.up(["neo4j"])
    settings: AgentsSettings = build_app(suite, "agents").state.settings
    login = (settings.neo4j_user, settings.neo4j_password.get_secret_value())
    driver = await stack.enter_async_context(AsyncGraphDatabase.driver(settings.neo4j_url, auth=login))
    assert await lost_cancels(lambda: driver.execute_query("RETURN 1", database_="neo4j")) == 0


async def test_a_call_to_a_service_loses_none(suite: Suite, stack: AsyncExitStack) -> None:
    suite.up(["auth"])
    http = await stack.enter_async_context(open_http_client(5))
    address = f"http://127.0.0.1:{suite.site.ports['auth']}/health/live"
    assert await lost_cancels(lambda: http.get(address)) == 0
