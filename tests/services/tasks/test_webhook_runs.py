"""What chat tells of runs reaches the webhooks that want to know, once however often it is told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from local.suite import Suite
from services.tasks.queues import Queues
from shared.messages import EVENTS_EXCHANGE, OutgoingMessage, Publisher, open_connection
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.hooking import Receiver, Webhooks
from tests.services.tasks.running import Installation, Tasks, declared, eventually


class Chat:
    """Publishes as chat does."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def tell(self, user: User, event: str, message_id: str | None = None, **fields: Any) -> str:
        """Of a run of the user, whose id it answers."""
        run_id = str(fields.get("run_id", new_id()))
        body = {
            "run_id": run_id,
            "conversation_id": new_id(),
            "agent_id": new_id(),
            "tenant_id": user.tenant_id,
            "user_id": user.user_id,
            "key_id": None,
            "status": event.rpartition(".")[2],
            "code": None,
            "model": "small",
            "finished_at": "2026-11-27T04:00:00+00:00",
            "occurred_at": "2026-11-27T04:00:00.125Z",
            **fields,
        }
        message = OutgoingMessage(message_id or new_id(), EVENTS_EXCHANGE, f"{event}.v1", orjson.dumps(body))
        await self._publisher.publish(message)
        return run_id


@pytest.fixture
async def chat(suite: Suite, hooked: Installation, delivering: None) -> AsyncIterator[Chat]:
    url, queues = suite.environment("tasks-worker")["RABBITMQ_URL"], Queues(hooked.names["queue_prefix"])
    async with open_connection(url, "test chat") as connection:
        await declared(connection, queues)
        yield Chat(Publisher(connection, queues.declare))


async def test_a_run_that_ended_is_told_to_its_users_webhook(hooks: Webhooks, chat: Chat, receiver: Receiver) -> None:
    webhook = await hooks.make(f"{receiver.url}/a", "run.*")

    run_id = await chat.tell(hooks.user, "run.failed", code="chat.model_failed", door="completions")

    [arrived] = await receiver.have("/a", 1)
    told = arrived.verified(webhook["secret"])
    assert (told["type"], told["timestamp"]) == ("run.failed", "2026-11-27T04:00:00.125Z")
    assert (told["data"]["run_id"], told["data"]["error_code"]) == (run_id, "chat.model_failed")
    assert told["data"]["door"] == "completions"


async def test_a_message_that_comes_twice_is_one_event(hooks: Webhooks, chat: Chat, receiver: Receiver) -> None:
    webhook = await hooks.make(f"{receiver.url}/a", "run.waiting", "run.completed")
    run_id, message_id = new_id(), f"{new_id()}:waiting"

    for _ in range(3):
        await chat.tell(hooks.user, "run.waiting", message_id, run_id=run_id)
    await chat.tell(hooks.user, "run.completed", run_id=run_id)

    arrived = await receiver.have("/a", 2)
    assert sorted(one["type"] for one in await hooks.deliveries(webhook)) == ["run.completed", "run.waiting"]
    assert len(arrived) == 2


async def test_a_run_is_told_to_its_own_user_and_to_who_covers_the_tenant(
    hooks: Webhooks, chat: Chat, register_user: RegisterUser, receiver: Receiver
) -> None:
    await hooks.make(f"{receiver.url}/own", "run.*")
    await hooks.make(f"{receiver.url}/tenant", "run.*", covers="tenant")
    stranger = await register_user()
    colleague = replace(hooks.user, user_id=new_id())

    await chat.tell(stranger, "run.completed")
    theirs = await chat.tell(colleague, "run.completed")
    mine = await chat.tell(hooks.user, "run.completed")

    told = await receiver.have("/tenant", 2)
    [own] = await receiver.have("/own", 1)
    assert mine.encode() in own.body
    assert sorted(run.encode() in one.body for one in told for run in (theirs, mine)) == [False, False, True, True]


async def test_a_message_that_is_none_keeps_no_other_from_being_heard(
    hooks: Webhooks, hooked_tasks: Tasks, chat: Chat, receiver: Receiver
) -> None:
    await hooks.make(f"{receiver.url}/a", "run.*")

    await chat.tell(hooks.user, "run.completed", run_id="x" * 1000)
    run_id = await chat.tell(hooks.user, "run.completed")

    [arrived] = await receiver.have("/a", 1)
    assert run_id.encode() in arrived.body
    assert await eventually(lambda: _is_well(hooked_tasks))


async def _is_well(tasks: Tasks) -> bool:
    return bool((await tasks.run("echo"))["status"] == "succeeded")
