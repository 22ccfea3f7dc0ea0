import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bench.paced import run

RATE, COUNT = 100, 20


@pytest.fixture
async def stalled_until_all_came() -> AsyncIterator[str]:
    """A server that answers nobody before the last request is there: a client that waits for answers hangs."""
    arrived, all_came = [0], asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        arrived[0] += 1
        if arrived[0] == COUNT:
            all_came.set()
        await all_came.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_paced_client_sends_on_time_and_counts_the_wait(stalled_until_all_came: str) -> None:
    answers = await run(stalled_until_all_came, [{}], RATE, COUNT / RATE)

    assert answers.failures == []
    assert len(answers.latencies) == COUNT
    assert max(answers.latencies) >= (COUNT - 1) / RATE  # the first one waited for the last


async def test_paced_client_stops_when_it_is_told_to(stalled_until_all_came: str) -> None:
    looks = iter(range(RATE))

    answers = await run(stalled_until_all_came, [{}], RATE, 60, ended=lambda: next(looks) == COUNT)

    assert len(answers.latencies) == COUNT
