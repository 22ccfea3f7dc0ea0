"""O11: what happens to tasks arrives, signed, once for each event and at least once for each receiver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from local.suite import Suite
from services.auth.trust.consumers import DeedHeard
from shared.postgres import Database
from tests.fixtures.identity import RegisterUser
from tests.services.auth.tenancy import Join
from tests.services.tasks.hooking import DELIVERING, Receiver, Webhooks, answering, deeds, silent
from tests.services.tasks.running import Installation, Tasks, eventually

in_a_worker = pytest.mark.usefixtures("delivering")


@in_a_worker
async def test_a_receiver_verifies_what_a_task_became_with_the_library_it_has(
    hooks: Webhooks, hooked_tasks: Tasks, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a", "task.started", "task.succeeded")

    task = await hooked_tasks.run("echo", {"text": "secret input"})

    arrived = await receiver.have("/a", 2)
    told = {one["type"]: one for one in (each.verified(webhook["secret"]) for each in arrived)}
    assert set(told) == {"task.started", "task.succeeded"}
    data = told["task.succeeded"]["data"]
    assert (data["task_id"], data["kind"], data["status"]) == (task["id"], "echo", "succeeded")
    assert not any(b"secret input" in each.body for each in arrived)
    with pytest.raises(WebhookVerificationError):
        arrived[0].verified("whsec_" + "A" * 44)


@in_a_worker
async def test_what_is_refused_comes_again_with_the_same_id_and_the_same_body(
    hooks: Webhooks, receiver: Receiver
) -> None:
    async def refuse_twice(_: Request) -> Response:
        return Response("not yet\x00", 503) if len(receiver.at("/a")) < 3 else Response("thanks")

    receiver.answers["/a"] = refuse_twice
    webhook = await hooks.make(f"{receiver.url}/a")

    read = await hooks.over(await hooks.test(webhook))

    first, *others = receiver.at("/a")
    assert [(each.id, each.body) for each in others] == [(first.id, first.body)] * 2
    assert first.id == read["event_id"]
    assert read["payload"] == first.verified(webhook["secret"])
    assert read["status"] == "succeeded"
    assert [(one["status_code"], one["error_code"], one["answer"]) for one in read["attempts"]] == [
        (503, "status", "not yet"),
        (503, "status", "not yet"),
        (200, None, "thanks"),
    ]
    assert (await hooks.get(webhook))["failing_since"] is None


@in_a_worker
async def test_what_failed_for_good_is_sent_again_when_its_owner_says_so(hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers["/a"] = answering(500)
    webhook = await hooks.make(f"{receiver.url}/a")
    failed = [await hooks.over(await hooks.test(webhook)) for _ in range(2)]
    del receiver.answers["/a"]

    one = await hooks.call("POST", f"/{webhook['id']}/deliveries/{failed[0]['id']}/replay")
    again = await hooks.over(failed[0])
    since = {"since": failed[0]["created_at"]}
    others = await hooks.call("POST", f"/{webhook['id']}/replay", json=since)

    assert [each["status"] for each in failed] == ["failed"] * 2
    assert (one.status_code, one.json()["status"], one.json()["failures"]) == (202, "pending", 0)
    assert (again["status"], again["attempts"][-1]["status_code"]) == ("succeeded", 204)
    assert others.json() == {"count": 1, "is_complete": True}
    assert (await hooks.over(failed[1]))["status"] == "succeeded"
    assert len({each.id for each in receiver.at("/a")}) == 2


@in_a_worker
async def test_an_event_of_later_than_asked_for_is_not_replayed(hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers["/a"] = answering(500)
    webhook = await hooks.make(f"{receiver.url}/a")
    await hooks.over(await hooks.test(webhook))
    now = datetime.now(UTC)

    before = {"since": (now - timedelta(hours=2)).isoformat(), "until": (now - timedelta(hours=1)).isoformat()}
    replayed = await hooks.call("POST", f"/{webhook['id']}/replay", json=before)
    later = await hooks.call("POST", f"/{webhook['id']}/replay", json={"since": (now + timedelta(hours=1)).isoformat()})

    assert replayed.json() == later.json() == {"count": 0, "is_complete": True}


@in_a_worker
async def test_a_redirect_is_not_followed(hooks: Webhooks, receiver: Receiver) -> None:
    async def redirect(_: Request) -> Response:
        return RedirectResponse(f"{receiver.url}/elsewhere", 307)

    receiver.answers["/a"] = redirect
    webhook = await hooks.make(f"{receiver.url}/a")

    read = await hooks.over(await hooks.test(webhook))

    assert (read["status"], read["error_code"]) == ("failed", "redirected")
    assert receiver.at("/elsewhere") == []


@in_a_worker
async def test_who_answers_410_is_told_nothing_more_and_the_maker_is(hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers["/a"] = answering(410)
    webhook = await hooks.make(f"{receiver.url}/a")
    watching = await hooks.make(f"{receiver.url}/watch", "webhook.disabled")

    read = await hooks.over(await hooks.test(webhook))

    disabled = await hooks.disabled(webhook)
    assert (read["error_code"], disabled["error"]["code"]) == ("gone", "tasks.webhook_gone")
    assert disabled["disabled_at"] is not None
    [told] = await receiver.have("/watch", 1)
    assert told.verified(watching["secret"])["data"] == {
        "webhook_id": webhook["id"],
        "user_id": hooks.user.user_id,
        "error_code": "tasks.webhook_gone",
    }
    refused = await hooks.call("POST", f"/{webhook['id']}/test")
    assert (refused.status_code, refused.json()["code"]) == (409, "tasks.webhook_disabled")
    assert len(receiver.at("/a")) == 1


@in_a_worker
async def test_the_audit_log_is_told_who_was_disabled_and_why(
    hooks: Webhooks, suite: Suite, receiver: Receiver
) -> None:
    receiver.answers["/a"] = answering(410)
    webhook = await hooks.make(f"{receiver.url}/a")

    async def told() -> dict[str, Any]:
        found = [one for one in heard if one["action"] == "webhook.disabled" and one["target"] == webhook["id"]]
        return found[0] if found else {}

    async with deeds(suite.environment("tasks-worker")["RABBITMQ_URL"]) as heard:
        await hooks.test(webhook)
        deed = await eventually(told)

    noted = DeedHeard.model_validate(deed)
    assert noted.is_ours_to_note
    assert (noted.actor, noted.act, noted.details) == (
        hooks.user.user_id,
        "service:tasks",
        {"reason": "tasks.webhook_gone"},
    )


@in_a_worker
async def test_after_days_without_a_success_a_webhook_is_disabled_and_enabled_it_begins_anew(
    hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    receiver.answers["/a"] = answering(500)
    webhook = await hooks.make(f"{receiver.url}/a")
    async with hooks_database.transaction() as session:
        long = text("UPDATE webhook SET failing_since = now() - interval '6 days' WHERE id = :id")
        await session.execute(long, {"id": webhook["id"]})

    await hooks.test(webhook)
    disabled = await hooks.disabled(webhook)
    enabled = await hooks.change(webhook, is_enabled=True)
    receiver.answers.clear()
    read = await hooks.over(await hooks.test(webhook))

    assert disabled["error"]["code"] == "tasks.webhook_failing"
    assert (enabled["error"], enabled["failing_since"], enabled["disabled_at"]) == (None, None, None)
    assert read["status"] == "succeeded"


@in_a_worker
async def test_a_receiver_that_asks_to_be_left_alone_is(hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers["/a"] = answering(429, **{"retry-after": "900"})
    webhook = await hooks.make(f"{receiver.url}/a")
    other = await hooks.make(f"{receiver.url}/b")
    first = await hooks.test(webhook)
    await eventually(lambda: _failures(hooks, first))

    held = await hooks.test(webhook)
    await hooks.over(await hooks.test(other))

    wait = datetime.fromisoformat((await hooks.delivery(first))["next_at"]) - datetime.now(UTC)
    assert timedelta(seconds=800) < wait < timedelta(seconds=901)
    assert (await hooks.delivery(held))["attempts"] == []


async def _failures(hooks: Webhooks, delivery: dict[str, object]) -> int:
    return int((await hooks.delivery(delivery))["failures"])


async def test_a_silent_receiver_holds_up_nobody_else(
    hooked: Installation, hooks: Webhooks, register_user: RegisterUser, receiver: Receiver
) -> None:
    receiver.answers["/silent"] = silent
    dead = await hooks.make(f"{receiver.url}/silent")
    for _ in range(12):
        await hooks.test(dead)
    neighbour = Webhooks(hooks.client, await register_user())
    alive = await neighbour.make(f"{receiver.url}/alive")

    async with hooked.worker(**DELIVERING | {"webhook_slots": 8}):
        await receiver.have("/silent", 2)
        read = await neighbour.over(await neighbour.test(alive))

    assert read["status"] == "succeeded"
    assert len(receiver.at("/silent")) == 2, "a quarter of the places is all that one user has"


async def test_a_receiver_that_does_not_answer_in_time_has_failed(
    hooked: Installation, hooks: Webhooks, receiver: Receiver
) -> None:
    receiver.answers["/silent"] = silent
    webhook = await hooks.make(f"{receiver.url}/silent")
    async with hooked.worker(**DELIVERING | {"webhook_timeout_seconds": 0.2}):
        read = await hooks.over(await hooks.test(webhook))

    assert (read["error_code"], {one["status_code"] for one in read["attempts"]}) == ("timeout", {None})


@in_a_worker
async def test_of_an_answer_without_end_a_kilobyte_is_kept(hooks: Webhooks, receiver: Receiver) -> None:
    async def flood(_: Request) -> Response:
        return Response(b"x" * 10_000_000)

    async def stall(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun"
            await asyncio.Event().wait()

        return StreamingResponse(pieces(), 201)

    receiver.answers |= {"/flood": flood, "/stall": stall}
    flooding, stalling = [await hooks.make(f"{receiver.url}/{name}") for name in ("flood", "stall")]

    flooded = await hooks.over(await hooks.test(flooding))
    stalled = await hooks.over(await hooks.test(stalling))

    assert (flooded["status"], flooded["attempts"][0]["answer"]) == ("succeeded", "x" * 1024)
    assert (stalled["status"], stalled["attempts"][0]["answer"]) == ("succeeded", "begun")


async def test_two_workers_send_each_event_once(hooked: Installation, hooks: Webhooks, receiver: Receiver) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    made = [await hooks.test(webhook) for _ in range(40)]

    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(hooked.worker(**DELIVERING))
        for delivery in made:
            await hooks.over(delivery)

    assert sorted(each.id for each in receiver.at("/a")) == sorted(one["event_id"] for one in made)


async def test_what_a_killed_worker_was_sending_is_sent_again_with_the_same_id(
    hooked: Installation, hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    receiver.answers["/a"] = silent
    webhook = await hooks.make(f"{receiver.url}/a")
    delivery = await hooks.test(webhook)
    async with hooked.worker_process(**DELIVERING) as worker:
        await receiver.have("/a", 1)
        worker.kill()
        await worker.ended()
    receiver.answers.clear()
    async with hooks_database.transaction() as session:
        lapse = text("UPDATE webhook_delivery SET next_at = now() WHERE id = :id AND status = 'pending'")
        await session.execute(lapse, {"id": delivery["id"]})

    async with hooked.worker(**DELIVERING):
        read = await hooks.over(delivery)

    assert [each.id for each in receiver.at("/a")] == [delivery["event_id"]] * 2
    assert (read["status"], read["failures"]) == ("succeeded", 0)


@in_a_worker
async def test_through_the_overlap_old_and_new_secrets_verify_and_then_the_new_one_alone(
    hooks: Webhooks, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    rotated = (await hooks.call("POST", f"/{webhook['id']}/rotate", json={})).json()
    await hooks.over(await hooks.test(webhook))
    at_once = (await hooks.call("POST", f"/{webhook['id']}/rotate", json={"overlap_seconds": 0})).json()
    await hooks.over(await hooks.test(webhook))

    first, second = receiver.at("/a")
    assert first.verified(webhook["secret"]) == first.verified(rotated["secret"])
    assert second.verified(at_once["secret"])["type"] == "webhook.test"
    for old in (webhook, rotated):
        with pytest.raises(WebhookVerificationError):
            second.verified(old["secret"])
    assert (len(rotated["older_secrets_end_at"]), at_once["older_secrets_end_at"]) == (1, [])


@in_a_worker
async def test_a_webhook_is_told_of_the_kinds_it_names_and_of_whom_it_covers(
    hooks: Webhooks, hooked_tasks: Tasks, join: Join, register_user: RegisterUser, receiver: Receiver
) -> None:
    kinds = await hooks.make(f"{receiver.url}/kinds", "task.*", kinds=["test.fail"])
    own = await hooks.make(f"{receiver.url}/own", "task.succeeded")
    covering = await hooks.make(f"{receiver.url}/all", "task.succeeded", covers="tenant")
    await Tasks(hooks.client, await register_user()).run("echo")
    theirs = await Tasks(hooks.client, await join(hooks.user, "member")).run("echo")

    mine = await hooked_tasks.run("echo")  # what a change is told to is written with it: nothing comes later

    assert await _told_of(hooks, own) == [mine["id"]]
    assert await _told_of(hooks, covering) == sorted([theirs["id"], mine["id"]])
    assert await hooks.deliveries(kinds) == []


async def _told_of(hooks: Webhooks, webhook: dict[str, Any]) -> list[str]:
    found = [await hooks.delivery(one) for one in await hooks.deliveries(webhook)]
    return sorted(one["payload"]["data"]["task_id"] for one in found)


@in_a_worker
async def test_a_webhook_of_the_tenant_ends_with_its_makers_place_in_it(
    hooks: Webhooks, auth: httpx.AsyncClient, join: Join, receiver: Receiver
) -> None:
    other = Webhooks(hooks.client, await join(hooks.user, "owner"))
    webhook = await other.make(f"{receiver.url}/a", "task.*", covers="tenant")
    own = await other.make(f"{receiver.url}/b", "task.*")

    path = f"/api/v1/auth/members/{other.user.user_id}"
    (await auth.patch(path, json={"role": "member"}, headers=hooks.user.headers)).raise_for_status()
    await Tasks(hooks.client, hooks.user).run("echo")

    disabled = await hooks.disabled(webhook)
    assert disabled["error"]["code"] == "tasks.authority_ended"
    assert receiver.at("/a") == []
    assert (await hooks.get(own))["is_enabled"]


@in_a_worker
async def test_while_a_webhook_is_disabled_nothing_is_recorded_and_what_waited_is_given_up(
    hooks: Webhooks, hooked_tasks: Tasks, receiver: Receiver
) -> None:
    receiver.answers["/a"] = answering(429, **{"retry-after": "900"})
    webhook = await hooks.make(f"{receiver.url}/a", "task.succeeded")
    waiting = await hooks.test(webhook)
    await eventually(lambda: _failures(hooks, waiting))

    await hooks.change(webhook, is_enabled=False)
    await hooked_tasks.run("echo")

    given_up = await hooks.over(waiting)
    assert (given_up["status"], given_up["error_code"]) == ("failed", "disabled")
    assert [one["id"] for one in await hooks.deliveries(webhook)] == [waiting["id"]]
    assert (await hooks.get(webhook))["error"] is None


async def test_what_happens_while_no_worker_is_there_is_told_later(
    hooked: Installation, hooks: Webhooks, hooked_tasks: Tasks, receiver: Receiver
) -> None:
    await hooks.make(f"{receiver.url}/a", "task.cancelled")
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    task = await hooked_tasks.submit("echo", run_at=later)
    await hooked_tasks.cancel(task)

    async with hooked.worker(**DELIVERING):
        [told] = await receiver.have("/a", 1)

    assert task["id"].encode() in told.body
