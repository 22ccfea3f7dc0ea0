"""What receivers and makers of webhooks bring about meanwhile is held against nothing else."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from services.tasks.webhooks import service
from services.tasks.webhooks.sending import Sender
from shared.postgres import Database
from tests.services.tasks.hooking import DELIVERING, Receiver, Webhooks, answering
from tests.services.tasks.running import Installation, eventually

in_a_worker = pytest.mark.usefixtures("delivering")


@in_a_worker
@pytest.mark.parametrize(
    "header",
    ["Mon, 20 Nov 1995 19:12:08 +99999999999999", "Fri, 31 Dec 9999 23:59:59 -2359", "9" * 4000, "soon", "-1"],
    ids=["no zone there is", "the end of time", "many digits", "a word", "below nothing"],
)
async def test_whatever_a_receiver_asks_for_is_an_attempt_that_failed(
    hooks: Webhooks, receiver: Receiver, header: str
) -> None:
    receiver.answers["/a"] = answering(503, **{"retry-after": header})
    webhook = await hooks.make(f"{receiver.url}/a")
    delivery = await hooks.test(webhook)

    await eventually(lambda: _failures(hooks, delivery))

    read = await hooks.delivery(delivery)
    assert (read["error_code"], read["attempts"][0]["status_code"]) == ("status", 503)


async def test_what_nobody_foresaw_is_an_attempt_that_failed(
    hooked: Installation, hooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Sender, "send", breaks)
    webhook = await hooks.make(f"{receiver.url}/a")

    async with hooked.worker(**DELIVERING):
        read = await hooks.over(await hooks.test(webhook))

    assert (read["status"], read["error_code"], read["failures"]) == ("failed", "broken_off", 3)
    assert [one["error_code"] for one in read["attempts"]] == ["broken_off"] * 3


@in_a_worker
async def test_what_an_old_address_answers_is_not_held_against_the_new_one(hooks: Webhooks, receiver: Receiver) -> None:
    async def moved_meanwhile(_: Request) -> Response:
        await hooks.change(webhook, url=f"{receiver.url}/new")
        return Response(status_code=410)

    receiver.answers["/old"] = moved_meanwhile
    webhook = await hooks.make(f"{receiver.url}/old")

    old = await hooks.over(await hooks.test(webhook))
    new = await hooks.over(await hooks.test(webhook))

    read = await hooks.get(webhook)
    assert (old["error_code"], new["status"]) == ("gone", "succeeded")
    assert (read["is_enabled"], read["failing_since"]) == (True, None)


@in_a_worker
async def test_a_webhook_that_moves_begins_anew(hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers["/old"] = answering(429, **{"retry-after": "900"})
    webhook = await hooks.make(f"{receiver.url}/old")
    first = await hooks.test(webhook)
    await eventually(lambda: _failures(hooks, first))

    failing = await hooks.get(webhook)
    moved = await hooks.change(webhook, url=f"{receiver.url}/new")
    read = await hooks.over(await hooks.test(webhook))

    assert failing["failing_since"] is not None
    assert (moved["failing_since"], read["status"]) == (None, "succeeded")


@in_a_worker
async def test_what_was_on_its_way_does_not_shorten_the_rest_that_was_asked_for(
    hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    asked = asyncio.Event()

    async def first_slow(_: Request) -> Response:
        if len(receiver.at("/a")) > 1:
            return Response(status_code=429, headers={"retry-after": "900"})
        await asked.wait()
        return Response(status_code=204)

    receiver.answers["/a"] = first_slow
    webhook = await hooks.make(f"{receiver.url}/a")
    slow = await hooks.test(webhook)
    await receiver.have("/a", 1)
    refused = await hooks.test(webhook)
    await eventually(lambda: _failures(hooks, refused))
    asked.set()

    assert (await hooks.over(slow))["status"] == "succeeded"
    await eventually(lambda: _is_well(hooks, webhook))
    async with hooks_database.statements() as session:
        held = text("SELECT held_until > now() + interval '800 seconds' FROM webhook WHERE id = :id")
        assert await session.scalar(held, {"id": webhook["id"]}) is True


async def _is_well(hooks: Webhooks, webhook: dict[str, Any]) -> bool:
    return (await hooks.get(webhook))["failing_since"] is None


async def test_what_waited_when_it_was_disabled_is_not_sent_once_it_is_enabled(
    hooked: Installation, hooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_AT_ONCE", 2)
    webhook = await hooks.make(f"{receiver.url}/a")
    waited = [await hooks.test(webhook) for _ in range(5)]

    await hooks.change(webhook, is_enabled=False)
    await hooks.change(webhook, is_enabled=True)
    given_up = await hooks.deliveries(webhook)
    later = await hooks.test(webhook)
    await hooks.change(webhook, is_enabled=True)  # which it is

    assert [(one["status"], one["error_code"]) for one in given_up] == [("failed", "disabled")] * len(waited)
    async with hooked.worker(**DELIVERING):
        assert (await hooks.over(later))["status"] == "succeeded"
    assert [each.id for each in receiver.arrived] == [later["event_id"]]


async def test_a_replay_leaves_nothing_out_that_another_has_in_hand(
    hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    failed = [await hooks.test(webhook) for _ in range(3)]
    await hooks.change(webhook, is_enabled=False)
    await hooks.change(webhook, is_enabled=True)

    async def is_waiting() -> bool:
        async with hooks_database.statements() as session:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :query"
            query = "%UPDATE webhook_delivery%"
            return bool(await session.scalar(text(waiting), {"query": query})) or replay.done()

    since = {"since": failed[0]["created_at"]}
    async with hooks_database.transaction() as session:
        locked = text("SELECT FROM webhook_delivery WHERE id = :id FOR UPDATE")
        await session.execute(locked, {"id": failed[0]["id"]})
        replay = asyncio.create_task(hooks.call("POST", f"/{webhook['id']}/replay", json=since))
        await eventually(is_waiting)

    assert (await replay).json() == {"count": 3, "is_complete": True}


async def _failures(hooks: Webhooks, delivery: dict[str, object]) -> int:
    return int((await hooks.delivery(delivery))["failures"])
