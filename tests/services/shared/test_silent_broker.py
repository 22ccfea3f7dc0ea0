"""A broker that is silent for so long that its connection is given up: what waits for it goes on when it speaks."""

import logging

import pytest

from local.suite import Suite
from shared.loops import in_background, keep
from shared.messages import OutgoingMessage
from tests.services.shared.test_messaging import Wiring, until

LOG = logging.getLogger("test")


@pytest.mark.timeout(180)
async def test_who_publishes_and_who_consumes_go_on(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messages.connection._HEARTBEAT_SECONDS", 1)  # so that it is given up after six seconds
    suite.up(["rabbitmq"])
    wiring, numbers = Wiring(suite.url("rabbitmq")), iter(range(10**6))
    begun = 0

    async def publish() -> None:
        nonlocal begun
        begun = next(numbers)
        await publisher.publish(OutgoingMessage(str(begun), wiring.name, "q", str(begun).encode()))

    async def heard(number: int) -> None:
        await until(lambda: any(int(body) >= number for body in wiring.handled))

    publishing = in_background(keep(publish, log=LOG, every_seconds=0.01, retry_seconds=0.01))
    async with wiring.connected() as (publisher, connection), wiring.consuming(), publishing:
        await heard(begun + 1)
        suite.freeze("rabbitmq")
        try:
            await until(lambda: not connection.is_up)
        finally:
            suite.thaw("rabbitmq")
        await heard(begun + 10)
