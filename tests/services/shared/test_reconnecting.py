"""Whatever ends a connection to the broker, another is tried."""

import asyncio
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

import uvloop

from local.suite import Suite
from shared.messages import open_connection
from tests.fixtures.brokers import own_broker
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.relay import Relay


async def test_a_broker_that_hangs_up_at_once_is_tried_again() -> None:
    """As one that is gone behind a balancer, which takes the connection first.

    On the loop that services run on, where the end may be there before the greeting is waited for: about every second
    of the connections met that, and gave up for ever.
    """
    with hanging_up(20) as taken:
        addresses = [f"amqp://127.0.0.1:{port}/" for port in taken]
        await asyncio.to_thread(uvloop.run, keep_trying(addresses, lambda: min(taken.values()) >= 3))


async def test_one_that_a_frozen_broker_does_not_close_is_closed(suite: Suite) -> None:
    """Else the garbage collector closes it, at a time when nothing may run."""
    relay = Relay(await own_broker(suite))
    await relay.open()
    try:
        async with open_connection(relay.url, "test") as opened:
            async with asyncio.timeout(PATIENCE_SECONDS):
                connection = await opened.ready()
            relay.freeze()
    finally:
        await relay.close()

    assert connection.is_closed


async def keep_trying(addresses: Sequence[str], enough: Callable[[], bool]) -> None:
    async with AsyncExitStack() as stack:
        for address in addresses:
            await stack.enter_async_context(open_connection(address, "test"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not enough():  # noqa: ASYNC110 - it is in another thread
                await asyncio.sleep(0.02)


@contextmanager
def hanging_up(number: int) -> Iterator[dict[int, int]]:
    """So many servers that end each connection as soon as it is there; how many each has taken, by port."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    taken, over = {one.getsockname()[1]: 0 for one in listeners}, threading.Event()

    def hang_up() -> None:
        while not over.is_set():
            for one in select.select(listeners, [], [], 0.1)[0]:
                one.accept()[0].close()
                taken[one.getsockname()[1]] += 1

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()
        for one in listeners:
            one.close()
