"""Settings in the real Consul: every replica takes them within seconds, and what Consul loses changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from local.live import LiveSettingsStore, SettingRefused
from local.secrets import ADMIN_EMAIL
from local.suite import Suite
from shared.live import prefix_of
from tests.faults.processes import Running, running
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.stores import consul_headers

CONVERSATIONS = "/api/v1/chat/conversations"


@pytest.fixture
async def store(suite: Suite, auth: httpx.AsyncClient) -> AsyncIterator[LiveSettingsStore]:
    """Empty at the end; `suite`'s own chat has them too while it runs."""
    suite.up(["consul", "redis", "llm"])
    found = LiveSettingsStore(suite.site)
    yield found
    await raw(suite, "DELETE", "?recurse=true")


@pytest.fixture
async def replicas(suite: Suite, store: LiveSettingsStore) -> AsyncIterator[list[Running]]:
    async with running(suite, "chat", DISCOVERY="consul") as one, running(suite, "chat", DISCOVERY="consul") as other:
        yield [one, other]


async def raw(suite: Suite, method: str, name: str, content: str | None = None) -> None:
    """As who goes past `make config`."""
    url = f"{suite.url('consul').rstrip('/')}/v1/kv/{prefix_of('chat')}{name}"
    async with httpx.AsyncClient(headers=consul_headers(suite), timeout=PATIENCE_SECONDS) as client:
        (await client.request(method, url, content=content)).raise_for_status()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - it is true in another process
            await asyncio.sleep(0.1)


async def quota(replica: Running, user: User) -> str:
    """The limit of reads, as it tells callers."""
    answer = await replica.client.get(CONVERSATIONS, headers=user.headers)
    return answer.headers["ratelimit-policy"]


async def all_have(replicas: list[Running], user: User, policy: str) -> None:
    async def have() -> bool:
        return {await quota(replica, user) for replica in replicas} == {policy}

    await until(have)


async def settings_check(replica: Running) -> dict[str, Any]:
    return dict(await replica.check("settings"))


@pytest.mark.timeout(180)
async def test_two_replicas_follow_and_what_is_wrong_or_lost_changes_nothing(
    suite: Suite, store: LiveSettingsStore, replicas: list[Running], user: User, auth: httpx.AsyncClient
) -> None:
    usual = await quota(replicas[0], user)
    store.put("chat", ["rate_limit_read=4321/minute"])
    await all_have(replicas, user, '"read";q=4321;w=60')

    await raw(suite, "PUT", "rate_limit_read", "-5/minute")  # out of range, past `make config`
    for replica in replicas:
        await replica.until(lambda check: "rate_limit_read" in str(check.get("detail")), "settings", PATIENCE_SECONDS)
        assert (await settings_check(replica))["status"] == "warn"
    await all_have(replicas, user, '"read";q=4321;w=60')

    await raw(suite, "PUT", "rate_limit_read", "1234/minute")
    await all_have(replicas, user, '"read";q=1234;w=60')
    for replica in replicas:
        await replica.until(lambda check: check["status"] == "pass", "settings", PATIENCE_SECONDS)

    store.put("chat", ["llm_model=nobody/has-it"])  # which only the service itself can tell
    await replicas[0].until(lambda check: "llm_model" in str(check.get("detail")), "settings", PATIENCE_SECONDS)

    await raw(suite, "DELETE", "?recurse=true")  # as a Consul that lost its store
    assert {row.value for row in store.rows("chat")} == {None}
    assert {await quota(replica, user) for replica in replicas} == {'"read";q=1234;w=60'}
    store.put("chat", ["rate_limit_write=77/minute", "rate_limit_read=1234/minute"])
    await all_have(replicas, user, '"read";q=1234;w=60')

    store.put("chat", ["rate_limit_read=", "rate_limit_write="])
    await all_have(replicas, user, usual)


@pytest.mark.timeout(120)
async def test_a_change_is_in_the_audit_log_once(
    suite: Suite, store: LiveSettingsStore, replicas: list[Running], user: User, auth: httpx.AsyncClient
) -> None:
    store.put("chat", ["tokens_per_day_tenant=987654"])
    token = await administrator(suite, auth)

    async def entries() -> list[dict[str, Any]]:
        params = {"action": "setting.changed"}
        answer = await auth.get("/api/v1/auth/audit", params=params, headers={"Authorization": f"Bearer {token}"})
        return [one for one in answer.json()["items"] if one["details"].get("value") == "987654"]

    async def is_told() -> bool:
        return bool(await entries())

    await until(is_told)
    await all_have(replicas, user, await quota(replicas[0], user))
    [entry] = await entries()
    assert (entry["actor"], entry["target"]) == ("service:chat", "chat/tokens_per_day_tenant")
    assert entry["tenant_id"] is None


async def test_what_stands_there_and_can_be_nothing_is_shown_and_taken_away(
    suite: Suite, store: LiveSettingsStore
) -> None:
    url = f"{suite.url('consul').rstrip('/')}/v1/kv/{prefix_of('chat')}"
    async with httpx.AsyncClient(headers=consul_headers(suite), timeout=PATIENCE_SECONDS) as client:
        (await client.put(f"{url}log_level", content=b"\xff\xfe")).raise_for_status()
        (await client.put(f"{url}of_a_version_before", content=b"1")).raise_for_status()

    shown = {row.name: row.value for row in store.rows("chat")}
    assert (shown["log_level"], shown["of_a_version_before"]) == ("\ufffd\ufffd", "1")
    store.put("chat", ["log_level=", "of_a_version_before="])
    shown = {row.name: row.value for row in store.rows("chat")}
    assert shown["log_level"] is None
    assert "of_a_version_before" not in shown
    with pytest.raises(SettingRefused):
        store.put("chat", ["of_a_version_before="])


async def administrator(suite: Suite, auth: httpx.AsyncClient) -> str:
    body = {"grant_type": "password", "username": ADMIN_EMAIL, "password": suite.secrets.admin_password}
    answer = await auth.post("/api/v1/auth/token", data=body)
    return str(answer.raise_for_status().json()["access_token"])


@pytest.mark.timeout(120)
async def test_consul_away_changes_nothing_and_static_discovery_asks_nobody(
    suite: Suite, store: LiveSettingsStore, user: User
) -> None:
    store.put("chat", ["rate_limit_read=4321/minute"])
    async with running(suite, "chat", DISCOVERY="consul") as followed, running(suite, "chat") as static:
        await all_have([followed], user, '"read";q=4321;w=60')
        assert "settings" not in (await static.client.get("/health/ready")).json()["checks"]
        assert await quota(static, user) != '"read";q=4321;w=60'
        suite.stop("consul")
        try:
            await followed.until(lambda check: check["status"] == "warn", "consul", PATIENCE_SECONDS)
            assert await quota(followed, user) == '"read";q=4321;w=60'
        finally:
            suite.up(["consul"])
        store.put("chat", ["rate_limit_read=1111/minute"])
        await all_have([followed], user, '"read";q=1111;w=60')


@pytest.mark.parametrize(
    "wanted",
    [["log_level=LOUD"], ["rate_limit_read=0/minute"], ["redis_url=redis://x"], ["log_level"], ["llm_model=x", "a=b"]],
)
async def test_make_config_writes_nothing_that_will_not_do(store: LiveSettingsStore, wanted: list[str]) -> None:
    with pytest.raises(SettingRefused):
        store.put("chat", wanted)

    assert {row.value for row in store.rows("chat")} == {None}


async def test_a_service_may_not_change_its_settings_nor_read_anothers(suite: Suite, store: LiveSettingsStore) -> None:
    store.put("auth", ["log_level=INFO"])
    token = suite.environment("chat")["CONSUL_TOKEN"]
    url = f"{suite.url('consul').rstrip('/')}/v1/kv/sutazai"
    async with httpx.AsyncClient(headers={"X-Consul-Token": token}, timeout=PATIENCE_SECONDS) as client:
        written = await client.put(f"{url}/chat/log_level", content="DEBUG")
        read = await client.get(f"{url}/auth/log_level")
    store.put("auth", ["log_level="])

    assert written.status_code == 403
    assert read.status_code in (403, 404)
