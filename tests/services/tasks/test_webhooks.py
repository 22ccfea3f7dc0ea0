"""O10, S21: whose webhooks are, where they may go, and with what they end."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from local.suite import Suite
from services.tasks.webhooks import repository
from services.tasks.webhooks.endpoints import creating
from services.tasks.webhooks.repository import MOST_COVERING, MOST_OF_A_USER
from shared.postgres import Database
from shared.schemas import new_id
from tests.fixtures.http import version_of
from tests.fixtures.identity import RegisterUser
from tests.fixtures.letters import Letters
from tests.services.auth.tenancy import joining
from tests.services.tasks.hooking import DELIVERING, WEBHOOKS, Receiver, Webhooks
from tests.services.tasks.running import Installation, eventually
from tests.services.tasks.test_authority import SCOPES, make_key, with_key

URL = "https://example.com/hooks"


async def test_a_secret_is_shown_once_and_lies_sealed(hooks: Webhooks, hooks_database: Database) -> None:
    made = await hooks.make(URL, "task.failed", "task.failed", description="mine")

    read = await hooks.get(made)
    listed = (await hooks.call("GET")).json()["items"]
    async with hooks_database.statements() as session:
        kept = await session.scalar(text("SELECT secret FROM webhook WHERE id = :id"), {"id": made["id"]})

    assert made["secret"].startswith("whsec_")
    assert {"secret": made["secret"], **read} == made
    assert listed == [read]
    assert made["secret"].removeprefix("whsec_") not in str(kept)
    assert (read["events"], read["covers"], read["is_enabled"]) == (["task.failed"], "own", True)


async def test_an_answer_with_a_secret_is_kept_by_no_cache_and_made_without_a_key(hooks: Webhooks) -> None:
    body = {"url": URL, "events": ["task.*"]}

    with_key = await hooks.call("POST", json=body, headers={"Idempotency-Key": "again"})
    made = await hooks.call("POST", json=body)

    assert (with_key.status_code, with_key.json()["code"]) == (422, "common.idempotency_key_refused")
    assert made.headers["cache-control"] == "no-store"


async def test_a_url_is_one_webhook_of_a_user_whoever_makes_it_at_the_same_time(hooks: Webhooks) -> None:
    body = {"url": URL, "events": ["task.*"]}

    answers = await asyncio.gather(*(hooks.call("POST", json=body) for _ in range(5)))

    made = next(one for one in answers if one.status_code == 201).json()
    refused = [one.json() for one in answers if one.status_code == 409]
    assert [(one["code"], one["webhook_id"]) for one in refused] == [("tasks.webhook_exists", made["id"])] * 4
    other = await hooks.make(f"{URL}/2")
    moved = await hooks.call("PATCH", f"/{other['id']}", json={"url": URL})
    assert (moved.status_code, moved.json()["code"]) == (409, "tasks.webhook_exists")
    assert (await hooks.call("PATCH", f"/{made['id']}", json={"url": URL})).status_code == 200


async def test_a_url_is_free_again_once_its_webhook_is_deleted(hooks: Webhooks) -> None:
    made = await hooks.make(URL)

    gone = await hooks.call("DELETE", f"/{made['id']}")
    again = await hooks.make(URL)

    assert gone.status_code == 204
    assert (await hooks.call("GET", f"/{made['id']}")).status_code == 404
    assert [one["id"] for one in (await hooks.call("GET")).json()["items"]] == [again["id"]]


async def test_a_user_has_so_many_webhooks_and_no_more(hooks: Webhooks) -> None:
    for number in range(MOST_OF_A_USER):
        await hooks.make(f"{URL}/{number}")

    answer = await hooks.call("POST", json={"url": URL, "events": ["task.*"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "tasks.too_many_webhooks")


async def test_a_tenant_has_so_many_webhooks_and_few_that_cover_it(
    hooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(MOST_COVERING):
        await hooks.make(f"{URL}/{number}", covers="tenant")
    own = await hooks.make(f"{URL}/own")

    another = await hooks.call("POST", json={"url": URL, "events": ["task.*"], "covers": "tenant"})
    turned = await hooks.call("PATCH", f"/{own['id']}", json={"covers": "tenant"})
    monkeypatch.setattr(repository, "MOST_OF_A_TENANT", MOST_COVERING + 1)
    too_many = await hooks.call("POST", json={"url": URL, "events": ["task.*"]})

    refused = [(one.status_code, one.json()["code"]) for one in (another, turned, too_many)]
    assert refused == [(409, "tasks.too_many_webhooks")] * 3
    assert await hooks.get(own) == {name: value for name, value in own.items() if name != "secret"}


@pytest.mark.parametrize("letter", ["ü", "\U0001f680"])
async def test_a_url_is_bounded_as_it_is_asked_for(hooks: Webhooks, letter: str) -> None:
    made = await hooks.make(URL)
    long = f"https://example.com/{letter * 2000}"

    answers = [
        await hooks.call("POST", json={"url": long, "events": ["task.*"]}),
        await hooks.call("PATCH", f"/{made['id']}", json={"url": long}),
    ]

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(422, "tasks.webhook_url_refused")] * 2
    assert (await hooks.get(made))["url"] == URL


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("ftp://example.com/", 422),
        ("https://user:secret@example.com/", 422),
        ("http://10.0.0.1/", 422),
        ("http://169.254.169.254/latest/meta-data/", 422),
        ("http://[::1]/", 422),
        ("http://2130706433/", 422),
        ("http://example.com:22/", 422),
        ("https://example.com/with a blank", 422),
        ("http://127.0.0.1:8080/allowed-by-the-operator", 201),
        ("https://example.com/?token=a%3Bb", 201),
    ],
)
async def test_a_webhook_goes_to_no_address_that_is_not_public(hooks: Webhooks, url: str, status: int) -> None:
    answer = await hooks.call("POST", json={"url": url, "events": ["task.*"]})

    assert answer.status_code == status, answer.text
    assert status == 201 or answer.json()["errors"][0]["pointer"] == "/url"


async def test_a_name_of_an_address_inside_is_refused_when_it_is_asked(
    new_installation: Callable[[], Installation], hooks: Webhooks, receiver: Receiver
) -> None:
    installation = new_installation()
    async with installation.api() as client, installation.worker(**DELIVERING | {"outbound_allow": ""}):
        mine = Webhooks(client, hooks.user)
        webhook = await mine.make(receiver.url.replace("127.0.0.1", "localhost"))
        read = await mine.over(await mine.test(webhook))

    assert (read["status"], read["error_code"]) == ("failed", "address_refused")
    assert receiver.arrived == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"events": []}, "/events"),
        ({"events": ["task.progress"]}, "/events/0"),
        ({"events": ["task.*"], "kinds": ["echo", "nothing"]}, "/kinds/1"),
        ({"events": ["task.*"], "secret": "whsec_mine"}, "/secret"),
        ({"events": ["run.*"], "kinds": ["echo"]}, "/kinds"),
    ],
    ids=["no events", "an unknown event", "an unknown kind", "a secret of one's own", "kinds of no task"],
)
async def test_what_a_webhook_could_not_keep_is_refused_by_name(
    hooks: Webhooks, body: dict[str, object], pointer: str
) -> None:
    answer = await hooks.call("POST", json={"url": URL, **body})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_change_is_refused_to_who_has_not_seen_the_one_before(hooks: Webhooks) -> None:
    made = await hooks.make(URL)
    tag = (await hooks.call("GET", f"/{made['id']}")).headers["etag"]
    path, named = f"/{made['id']}", {"If-Match": tag}

    first = await hooks.call("PATCH", path, json={"events": ["task.failed"]}, headers=named)
    second = await hooks.call("PATCH", path, json={"description": "late"}, headers=named)
    deleted = await hooks.call("DELETE", path, headers=named)

    assert (first.status_code, second.status_code, deleted.status_code) == (200, 412, 412)
    assert first.headers["etag"] != tag
    assert (await hooks.get(made))["events"] == ["task.failed"]


async def test_a_change_that_leaves_its_kinds_without_a_task_is_refused(hooks: Webhooks) -> None:
    made = await hooks.make(URL, "task.*", kinds=["echo"])

    answer = await hooks.call("PATCH", f"/{made['id']}", json={"events": ["run.*"]})
    both = await hooks.change(made, events=["run.*"], kinds=[])

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/events")
    assert (both["events"], both["kinds"]) == (["run.*"], [])


async def test_who_changes_nothing_makes_no_new_version(hooks: Webhooks) -> None:
    made = await hooks.make(URL)

    answer = await hooks.call("PATCH", f"/{made['id']}", json={})

    assert (answer.status_code, answer.json()["version"]) == (200, made["version"])


async def test_who_makes_or_rotates_one_is_told_its_version_and_where_it_is(hooks: Webhooks) -> None:
    made = await hooks.call("POST", json={"url": URL, "events": ["task.*"]})
    path = f"/{made.json()['id']}"
    rotated = await hooks.call("POST", f"{path}/rotate", json={})
    read = await hooks.call("GET", path)

    assert made.headers["location"] == WEBHOOKS + path
    assert version_of(made) != version_of(rotated) == version_of(read)


async def test_a_replay_of_no_time_at_all_is_refused(hooks: Webhooks) -> None:
    made = await hooks.make(URL)
    never = {"since": "2026-11-27T05:00:00Z", "until": "2026-11-27T04:00:00Z"}

    answer = await hooks.call("POST", f"/{made['id']}/replay", json=never)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/until")


async def test_a_test_whose_delivery_is_no_more_is_not_made_again(hooks: Webhooks, hooks_database: Database) -> None:
    made = await hooks.make(URL)
    headers = {"Idempotency-Key": f"gone-{made['id']}"}
    first = await hooks.call("POST", f"/{made['id']}/test", headers=headers)
    async with hooks_database.transaction() as session:
        await session.execute(text("DELETE FROM webhook_delivery WHERE id = :id"), {"id": first.json()["id"]})

    again = await hooks.call("POST", f"/{made['id']}/test", headers=headers)
    [route] = [one for one in creating.routes if isinstance(one, APIRoute) and one.path.endswith("/test")]

    assert (again.status_code, again.json()["code"]) == (404, "tasks.webhook_delivery_not_found")
    assert again.json()["code"] in str(route.responses[404])


async def test_what_was_told_is_read_with_the_scopes_that_reading_it_takes(
    hooks: Webhooks, hooks_database: Database, auth: httpx.AsyncClient
) -> None:
    made = await hooks.make(URL, "run.*", "task.*", covers="tenant")
    users = {"mine": hooks.user.user_id, "theirs": new_id()}
    async with hooks_database.transaction() as session:
        for event_type in ("run.failed", "task.failed"):
            for whose, user_id in users.items():
                tell = text("SELECT tell_webhooks(:event, :tenant, :user, :type, NULL, now(), CAST(:data AS jsonb))")
                told = {"event": f"{event_type}_{whose}", "tenant": hooks.user.tenant_id, "user": user_id}
                data = f'{{"user_id": "{user_id}"}}'
                await session.execute(tell, told | {"type": event_type, "data": data})
    deliveries = {one["event_id"]: f"/{made['id']}/deliveries/{one['id']}" for one in await hooks.deliveries(made)}

    async def readable(*scopes: str) -> set[str]:
        key = await make_key(auth, hooks.user, scopes=["tasks:read", *scopes])
        by_key = Webhooks(hooks.client, await with_key(auth, hooks.user, key))
        answers = {event: await by_key.call("GET", path) for event, path in deliveries.items()}
        refused = {one.json()["code"] for one in answers.values() if one.status_code == 403}
        assert refused <= {"common.missing_scope"}
        return {event for event, answer in answers.items() if answer.status_code == 200}

    assert len(deliveries) == 4
    assert await readable() == {"task.failed_mine"}
    assert await readable("tasks:tenant") == {"task.failed_mine", "task.failed_theirs"}
    assert await readable("chat:read", "tasks:tenant") == deliveries.keys() - {"run.failed_theirs"}
    assert await readable("chat:read", "tasks:tenant", "chat:tenant") == deliveries.keys()


async def test_a_test_is_repeated_under_its_key_and_made_once(hooks: Webhooks) -> None:
    made = await hooks.make(URL)
    other = await hooks.make(f"{URL}/2")
    headers = {"Idempotency-Key": f"try-{made['id']}"}

    answers = [await hooks.call("POST", f"/{made['id']}/test", headers=headers) for _ in range(2)]
    reused = await hooks.call("POST", f"/{other['id']}/test", headers=headers)

    assert {one.json()["id"] for one in answers} == {one["id"] for one in await hooks.deliveries(made)}
    assert (reused.status_code, reused.json()["code"]) == (422, "common.idempotency_key_reused")


async def test_secrets_are_not_rotated_without_end(hooks: Webhooks) -> None:
    made = await hooks.make(URL)

    answers = [await hooks.call("POST", f"/{made['id']}/rotate", json={}) for _ in range(5)]

    assert [one.status_code for one in answers] == [201] * 4 + [409]
    assert answers[-1].json()["code"] == "tasks.webhook_rotated_too_often"


async def test_deliveries_are_listed_in_pages_and_by_their_state(hooks: Webhooks) -> None:
    made = await hooks.make(URL)
    sent = [(await hooks.test(made))["id"] for _ in range(5)]

    first = (await hooks.call("GET", f"/{made['id']}/deliveries", params={"limit": 3})).json()
    params = {"limit": 3, "cursor": first["next_cursor"]}
    second = (await hooks.call("GET", f"/{made['id']}/deliveries", params=params)).json()

    assert [one["id"] for one in first["items"] + second["items"]] == sent[::-1]
    assert second["next_cursor"] is None
    assert await hooks.deliveries(made, status="failed") == []
    assert len(await hooks.deliveries(made, status="pending")) == 5


async def test_what_is_told_of_takes_the_scope_to_read_it(
    hooks: Webhooks, auth: httpx.AsyncClient, suite: Suite, register_user: RegisterUser
) -> None:
    key = await make_key(auth, hooks.user, scopes=SCOPES)
    by_key = Webhooks(hooks.client, await with_key(auth, hooks.user, key))
    join = joining(auth, Letters(suite.site.layout.home / "mail"), register_user)
    member = Webhooks(hooks.client, await join(hooks.user, "member"))

    runs = await by_key.call("POST", json={"url": URL, "events": ["run.completed"]})
    all_of_them = await member.call("POST", json={"url": URL, "events": ["task.*"], "covers": "tenant"})
    by_owner = await hooks.call("POST", json={"url": URL, "events": ["task.*", "run.*"], "covers": "tenant"})

    assert [(one.status_code, one.json()["code"]) for one in (runs, all_of_them)] == [(403, "common.missing_scope")] * 2
    assert by_owner.status_code == 201


async def test_an_owner_stops_a_members_webhook_and_does_not_turn_it(
    hooks: Webhooks, auth: httpx.AsyncClient, suite: Suite, register_user: RegisterUser
) -> None:
    join = joining(auth, Letters(suite.site.layout.home / "mail"), register_user)
    members = [Webhooks(hooks.client, await join(hooks.user, "member")) for _ in range(2)]
    made = await members[0].make(URL)

    turned = await hooks.call("PATCH", f"/{made['id']}", json={"url": "https://example.org/"})
    rotated = await hooks.call("POST", f"/{made['id']}/rotate", json={})
    stopped = await hooks.change(made, is_enabled=False)
    colleague = await members[1].call("GET", f"/{made['id']}")

    assert {one.json()["code"] for one in (turned, rotated)} == {"tasks.webhook_of_another"}
    assert (stopped["is_enabled"], stopped["url"], stopped["user_id"]) == (False, URL, members[0].user.user_id)
    assert colleague.status_code == 404
    assert (await hooks.call("DELETE", f"/{made['id']}")).status_code == 204


async def test_a_webhook_ends_with_the_key_it_was_made_with_until_its_maker_enables_it(
    hooked: Installation, hooks: Webhooks, auth: httpx.AsyncClient, receiver: Receiver
) -> None:
    key = await make_key(auth, hooks.user)
    by_key = Webhooks(hooks.client, await with_key(auth, hooks.user, key))
    webhook = await by_key.make(f"{receiver.url}/a")
    waiting = await by_key.test(webhook)
    (await auth.delete(f"/api/v1/auth/api-keys/{key['id']}", headers=hooks.user.headers)).raise_for_status()

    async with hooked.worker(**DELIVERING):
        disabled = await hooks.disabled(webhook)
        given_up = await hooks.over(waiting)
        enabled = await hooks.change(webhook, is_enabled=True)
        sent = await hooks.over(await hooks.test(webhook))

    assert disabled["error"]["code"] == "tasks.authority_ended"
    assert (given_up["status"], given_up["attempts"]) == ("failed", [])
    assert (enabled["is_enabled"], sent["status"]) == (True, "succeeded")
    assert [each.id for each in receiver.arrived] == [sent["event_id"]]


async def test_while_auth_cannot_be_asked_nothing_is_sent_and_nothing_has_failed(
    hooked: Installation, hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    delivery = await hooks.test(webhook)
    nowhere = {"auth": "http://127.0.0.1:1"}

    async with hooked.worker(**DELIVERING, static_services=nowhere) as worker:
        await eventually(lambda: _put_off(worker))
    async with hooks_database.transaction() as session:
        await session.execute(
            text("UPDATE webhook_delivery SET next_at = now() WHERE id = :id"), {"id": delivery["id"]}
        )
    before = await hooks.delivery(delivery)
    async with hooked.worker(**DELIVERING):
        read = await hooks.over(delivery)

    assert (before["failures"], before["attempts"]) == (0, [])
    assert (read["status"], len(receiver.arrived)) == ("succeeded", 1)


async def _put_off(worker: FastAPI) -> float | None:
    registry: CollectorRegistry = worker.state.metrics.registry
    return registry.get_sample_value("tasks_webhook_deliveries_put_off_total")


async def test_nobody_submits_a_task_with_a_url_of_its_own(hooks: Webhooks) -> None:
    body = {"kind": "echo", "webhook_url": URL}

    answer = await hooks.client.post(
        f"{WEBHOOKS.removesuffix('/webhooks')}/submit", json=body, headers=hooks.user.headers
    )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/webhook_url")
