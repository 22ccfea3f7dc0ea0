"""Rate limits: exact over replicas, told in every answer, per user and per key, and open without Redis."""

import asyncio
import secrets
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.sources import passed_on_from
from tests.services.shared.limited import THINGS, headers_of, things

LONG = "per 24 hours"  # no window ends within a test, but for one in many hundred slow runs


@pytest.fixture
def redis_url(suite: Suite, patient_limits: None) -> str:
    suite.up(["redis"])
    return suite.url("redis")


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = {"rate_limit_read": f"20 {LONG}", "rate_limit_write": f"10 {LONG}", "rate_limit_model": f"3 {LONG}"}
    async with things(redis_url, **limits, rate_limit_anonymous=f"4 {LONG}") as client:
        yield client


async def statuses(times: int, *clients: httpx.AsyncClient, headers: dict[str, str]) -> Counter[int]:
    """Of so many GETs at once, in turns over the clients."""
    calls = [clients[number % len(clients)].get(THINGS, headers=headers) for number in range(times)]
    return Counter(answer.status_code for answer in await asyncio.gather(*calls))


async def usual_seconds(client: httpx.AsyncClient, headers: dict[str, str]) -> float:
    """What half of eleven requests, one after the other, take at most: the machine may stand still for some of them.

    One that waits for Redis takes a quarter of a second, and one of those in a second does.
    """
    seconds = []
    for _ in range(11):
        started = time.perf_counter()
        assert (await client.get(THINGS, headers=headers)).status_code == 200
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


async def test_of_parallel_requests_exactly_the_limit_passes(client: httpx.AsyncClient) -> None:
    assert await statuses(100, client, headers=headers_of()) == {200: 20, 429: 80}


@pytest.mark.parametrize("quota", [50, 1000])
async def test_replicas_share_one_limit(redis_url: str, quota: int) -> None:
    limit = f"{quota} {LONG}"
    async with things(redis_url, rate_limit_read=limit) as one, things(redis_url, rate_limit_read=limit) as other:
        found = await statuses(quota + 100, one, other, headers=headers_of())

    assert found == {200: quota, 429: 100}


async def test_two_users_do_not_share_a_limit(client: httpx.AsyncClient) -> None:
    await statuses(21, client, headers=headers_of())

    assert await statuses(20, client, headers=headers_of()) == {200: 20}


async def test_a_new_window_lets_the_whole_limit_pass(redis_url: str) -> None:
    headers = headers_of()
    async with things(redis_url, rate_limit_read="5/second") as client:
        while not (await statuses(50, client, headers=headers))[429]:
            pass  # a second has just begun in the middle
        while (await client.get(THINGS, headers=headers)).status_code == 429:
            pass
        async with asyncio.timeout(PATIENCE_SECONDS):  # the next may be in the next window again
            while (again := await client.get(THINGS, headers=headers)).headers["ratelimit"] != '"read";r=3;t=1':
                pass

    assert again.status_code == 200


async def test_a_refusal_says_when_to_come_again(client: httpx.AsyncClient) -> None:
    headers = headers_of()
    await statuses(20, client, headers=headers)

    refused = await client.get(THINGS, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (429, "common.rate_limited")
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert refused.headers["ratelimit"] == f'"read";r=0;t={refused.headers["retry-after"]}'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "", 200), ("GET", "/stream", 200), ("GET", "/unknown", 404), ("POST", "", 422), ("POST", "/think", 200)],
)
async def test_every_answer_tells_the_limit_of_its_class(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    name, quota = {"GET": ("read", 20), "POST": ("write", 10)}[method] if path != "/think" else ("model", 3)
    body = {"nope": 1} if status == 422 else None

    answer = await client.request(method, THINGS + path, headers=headers_of(), json=body)

    assert answer.status_code == status
    assert answer.headers["ratelimit-policy"] == f'"{name}";q={quota};w=86400'
    assert answer.headers["ratelimit"].startswith(f'"{name}";r={quota - 1};t=')


class TestApiKeys:
    """A key has half of what its owner has, and both hold."""

    async def test_a_key_over_its_share_leaves_its_owner_the_rest(self, client: httpx.AsyncClient) -> None:
        user, key = secrets.token_hex(8), {"key_id": secrets.token_hex(8)}

        by_key = await statuses(30, client, headers=headers_of(user, **key))
        by_login = await statuses(30, client, headers=headers_of(user))

        assert by_key == by_login == {200: 10, 429: 20}

    async def test_two_keys_have_no_more_than_their_owner(self, client: httpx.AsyncClient) -> None:
        user, key, other = secrets.token_hex(8), {"key_id": secrets.token_hex(8)}, {"key_id": secrets.token_hex(8)}
        await statuses(5, client, headers=headers_of(user))

        first = await statuses(10, client, headers=headers_of(user, **key))
        second = await statuses(10, client, headers=headers_of(user, **other))

        assert (first, second) == ({200: 10}, {200: 5, 429: 5})

    async def test_an_answer_tells_both_limits(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(THINGS, headers=headers_of(key_id=secrets.token_hex(8)))

        assert answer.headers["ratelimit-policy"] == '"read-key";q=10;w=86400, "read";q=20;w=86400'


class TestWithoutACaller:
    async def test_requests_count_for_their_source(self, client: httpx.AsyncClient) -> None:
        source, other = passed_on_from(_address()), passed_on_from(_address())

        found = [(await client.post(f"{THINGS}/knock", headers=source)).status_code for _ in range(5)]

        assert found == [200, 200, 200, 200, 429]
        assert (await client.post(f"{THINGS}/knock", headers=other)).status_code == 200

    async def test_one_ipv6_network_is_one_source(self, client: httpx.AsyncClient) -> None:
        network = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}"
        sources = [passed_on_from(f"{network}::{number}") for number in range(1, 6)]

        found = [(await client.post(f"{THINGS}/knock", headers=source)).status_code for source in sources]

        assert found == [200, 200, 200, 200, 429]


def _address() -> str:
    return ".".join(str(part) for part in (10, *secrets.token_bytes(3)))


class TestReplays:
    """An answer given again is a request like any other: its caller needs the scope, and it counts."""

    async def test_a_replay_needs_the_scope(self, client: httpx.AsyncClient) -> None:
        user, key = secrets.token_hex(8), {"Idempotency-Key": "a"}
        await client.post(THINGS, json={"name": "x"}, headers=headers_of(user) | key)

        without = headers_of(user, scope="things:read") | key
        answer = await client.post(THINGS, json={"name": "x"}, headers=without)

        assert (answer.status_code, answer.json()["code"]) == (403, "common.missing_scope")

    async def test_a_replay_counts_and_a_first_request_counts_once(self, client: httpx.AsyncClient) -> None:
        headers = headers_of() | {"Idempotency-Key": "b"}

        answers = [await client.post(THINGS, json={"name": "x"}, headers=headers) for _ in range(11)]

        left = [answer.headers["ratelimit"].partition("r=")[2].partition(";")[0] for answer in answers]
        assert left == ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0", "0"]
        assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, *["true"] * 9, None]
        assert answers[-1].status_code == 429


class TestWithoutRedis:
    async def test_requests_pass_are_counted_and_do_not_wait(self) -> None:
        headers = headers_of()
        async with things("redis://127.0.0.1:1/0", rate_limit_read="1/minute") as client:
            await client.get(THINGS, headers=headers)
            found = await statuses(49, client, headers=headers)
            assert await usual_seconds(client, headers) < 0.2
            metrics = (await client.get("/metrics")).text

        assert found == {200: 49}
        assert "rate_limit_unchecked_total 61.0" in metrics

    async def test_a_redis_that_does_not_answer_holds_no_request_for_long(self) -> None:
        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
            port = silent.sockets[0].getsockname()[1]
            async with things(f"redis://127.0.0.1:{port}/0") as client:
                assert await statuses(20, client, headers=headers_of()) == {200: 20}
                assert await usual_seconds(client, headers_of()) < 0.2

    async def test_limits_hold_again_when_redis_is_back(self, suite: Suite, redis_url: str) -> None:
        headers = headers_of()
        async with things(redis_url, rate_limit_read=f"5 {LONG}") as client:
            suite.kill("redis")
            try:
                during = await statuses(10, client, headers=headers)
            finally:
                suite.start("redis")
            while "ratelimit" not in (await client.get(THINGS, headers=headers)).headers:
                pass
            after = await statuses(10, client, headers=headers)

        assert during == {200: 10}
        assert after == {200: 4, 429: 6}


async def test_who_is_refused_for_want_of_a_scope_is_counted(client: httpx.AsyncClient) -> None:
    headers = headers_of(scope="others:read")

    assert await statuses(25, client, headers=headers) == {403: 20, 429: 5}
