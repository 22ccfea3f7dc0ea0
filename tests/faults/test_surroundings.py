"""Bad surroundings, each a degraded mode that is stated (docs/operations.md) and ends by itself."""

import asyncio
import os
import resource
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
from redis import Redis

from local.suite import Suite
from shared.calls import open_http_client
from shared.discovery import ConsulDiscovery
from shared.schemas import new_id
from tests.faults.conftest import FREELY, AsUser
from tests.faults.processes import Running, running
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.stores import consul_headers, consul_token
from tests.fixtures.working_time import working_time
from tests.services.chat.opening import chat_beside
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.tasks.running import Installation, Tasks

CONVERSATIONS = "/api/v1/chat/conversations"
with_faults = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="with FAULTS=1, as it takes long")


@asynccontextmanager
async def connected(url: httpx.URL, number: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """So many connections, those of them that were accepted or wait to be."""
    opened: list[asyncio.StreamWriter] = []
    for _ in range(number):
        _, writer = await asyncio.open_connection(url.host, url.port)
        opened.append(writer)
    try:
        yield opened
    finally:
        for writer in opened:
            writer.close()


async def asked(process: Running, user: User) -> int:
    """The status; 0 where the process refuses or drops the connection, or does not take it within two seconds."""
    try:
        answer = await process.client.get(CONVERSATIONS, headers=user.headers, timeout=2)
    except httpx.TransportError:
        return 0
    return answer.status_code


async def busy_share(pid: int, seconds: float) -> float:
    """How much of one processor the process uses."""
    process = psutil.Process(pid)
    process.cpu_percent()
    await asyncio.sleep(seconds)
    return process.cpu_percent() / 100


@with_faults
async def test_without_file_descriptors_it_refuses_and_recovers(
    suite: Suite, auth: httpx.AsyncClient, user: User
) -> None:
    suite.up(["redis"])
    async with running(suite, "chat") as chat:
        resource.prlimit(chat.pid, resource.RLIMIT_NOFILE, (256, 256))
        async with connected(chat.client.base_url, 300):
            statuses = [await asked(chat, user) for _ in range(5)]
            async with httpx.AsyncClient(base_url=chat.client.base_url, verify=authorities()) as another:
                statuses.append(await asked(replace(chat, client=another), user))
            busy = await busy_share(chat.pid, 2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await asked(chat, user) != 200:  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(0.1)

    assert set(statuses) <= {0, 200, 503}
    assert busy < 0.5


@asynccontextmanager
async def foreign_connections(suite: Suite, least: int) -> AsyncIterator[int]:
    """All connections that PostgreSQL has left; it has them again when the block is over."""
    dsn = suite.url("postgres").replace("+asyncpg", "") + "postgres"
    opened: list[asyncpg.Connection] = []
    async with AsyncExitStack() as stack:
        while True:
            try:
                connection = await asyncpg.connect(dsn, timeout=PATIENCE_SECONDS)
            except asyncpg.TooManyConnectionsError:
                break
            stack.push_async_callback(connection.close)
            opened.append(connection)
        assert len(opened) >= least
        processes = [connection.get_server_pid() for connection in opened]
        yield len(opened)
    await ended(dsn, processes)


async def ended(dsn: str, processes: Sequence[int]) -> None:
    """Who hangs up is not waited for: the server's process of a connection goes on for a moment."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                connection = await asyncpg.connect(dsn, timeout=PATIENCE_SECONDS)
                try:
                    asked = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)"
                    if not await connection.fetchval(asked, processes):
                        return
                finally:
                    await connection.close()
            await asyncio.sleep(0.05)


async def test_without_connections_of_postgres_answers_are_503(suite: Suite, as_user: AsUser) -> None:
    suite.up(["postgres", "redis-cache"])
    async with as_user("tasks") as client:

        async def burst() -> set[int]:
            answers = await asyncio.gather(*(client.get("/api/v1/tasks/list") for _ in range(40)))
            assert all("postgres" in answer.json()["detail"] for answer in answers if answer.status_code == 503)
            return {answer.status_code for answer in answers}

        async with foreign_connections(suite, least=50):
            during = await burst()
        after = await burst()

    assert during <= {200, 503}
    assert 503 in during
    assert after == {200}


@contextmanager
def memory_alarm(suite: Suite) -> Iterator[None]:
    def command(*arguments: str) -> None:
        environment = suite.environment("rabbitmq")
        program = "/usr/lib/rabbitmq/bin/rabbitmqctl"
        subprocess.run([program, *arguments], env=environment, check=True, capture_output=True, timeout=60)

    command("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        yield
    finally:
        command("set_vm_memory_high_watermark", "absolute", "1GB")


@with_faults
@pytest.mark.timeout(300)
async def test_a_broker_with_an_alarm_delays_tasks_and_loses_none(suite: Suite, own_suite: Suite, user: User) -> None:
    suite.up(["postgres", "redis-cache"])
    own_suite.up(["rabbitmq"])
    installation, broker = Installation(suite), {"rabbitmq_url": own_suite.url("rabbitmq")}
    async with installation.api(**FREELY, **broker) as client, installation.worker(**broker):
        tasks = Tasks(client, user)
        await tasks.run("echo", {})
        with memory_alarm(own_suite):
            began = time.monotonic()
            submitted = [await tasks.submit("echo", {"n": n}) for n in range(20)]
            took = time.monotonic() - began
            waiting = await tasks.get(submitted[-1])
        done = [await tasks.wait(task, seconds=15) for task in submitted]

    assert took < PATIENCE_SECONDS  # nobody waited for the broker: the alarm ended after that
    assert waiting["status"] == "queued"
    assert {task["status"] for task in done} == {"succeeded"}


async def test_a_full_redis_refuses_writes_by_name(own_suite: Suite, as_user: AsUser, tmp_path: Path) -> None:
    own_suite.up(["redis"])
    once, collections = {"Idempotency-Key": new_id()}, "/api/v1/vectors/collections"
    bodies = [{"name": f"full-{number}", "engine": "faiss", "dimension": 2} for number in range(2)]
    async with as_user("vectors", redis_url=own_suite.url("redis"), data_dir=tmp_path) as vectors:
        with Redis.from_url(own_suite.url("redis")) as redis:
            redis.config_set("maxmemory", 1)
            listed = await vectors.get(collections)
            plain = await vectors.post(collections, json=bodies[0])
            keyed = await vectors.post(collections, json=bodies[1], headers=once)
            redis.config_set("maxmemory", "512mb")
        again = await vectors.post(collections, json=bodies[1], headers=once)

    assert (listed.status_code, plain.status_code) == (200, 201), plain.text
    assert (keyed.status_code, "redis" in keyed.json()["detail"]) == (503, True)
    assert again.status_code == 201


async def test_where_the_key_lies_with_its_effect_a_full_redis_matters_to_no_write(
    own_suite: Suite, suite: Suite, as_user: AsUser
) -> None:
    own_suite.up(["redis"])
    suite.up(["neo4j"])
    once, body = {"Idempotency-Key": new_id()}, {"name": f"In a full Redis {new_id()}", "instructions": "Answer."}
    async with as_user("agents", redis_url=own_suite.url("redis")) as agents:
        with Redis.from_url(own_suite.url("redis")) as redis:
            redis.config_set("maxmemory", 1)
            answers = [await agents.post("/api/v1/agents/create", json=body, headers=once) for _ in range(2)]
            redis.config_set("maxmemory", "512mb")

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


async def test_a_full_redis_lets_conversations_be_read_and_takes_no_message(
    own_suite: Suite, suite: Suite, auth: httpx.AsyncClient, user: User
) -> None:
    own_suite.up(["redis"])
    agent_id, neighbours = new_id(), Neighbours()
    agent = {"name": "support", "version": 1, "instructions": "Answer.", "model": None, "knowledge": []}
    neighbours.agents[agent_id] = agent | {"id": agent_id}
    message = {"agent_id": agent_id, "content": "Hello"}
    async with chat_beside(suite, auth, ModelServer(), neighbours)(redis_url=own_suite.url("redis")) as chat:
        chat.headers.update(user.headers)
        with Redis.from_url(own_suite.url("redis")) as redis:
            redis.config_set("maxmemory", 1)
            listed = await chat.get(CONVERSATIONS)
            refused = await chat.post("/api/v1/chat/message", json=message)
            redis.config_set("maxmemory", "512mb")
        answered = await chat.post("/api/v1/chat/message", json=message)

    assert (listed.status_code, answered.status_code) == (200, 200)
    assert (refused.status_code, "redis" in refused.json()["detail"]) == (503, True)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_http_client(5) as client:
        yield client


async def until_silent(discovery: ConsulDiscovery) -> None:
    """A process that is stopped may still answer what one of its threads had in hand."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(httpx.TimeoutException):
            while True:
                await discovery.ping()


async def test_a_silent_consul_leaves_the_last_known_addresses(
    own_suite: Suite, http: httpx.AsyncClient, patient_discovery: None
) -> None:
    own_suite.up(["consul"])
    url, service, told = own_suite.url("consul"), f"svc-{new_id()}", consul_headers(own_suite)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    registered = {"Name": service, "ID": service, "Address": "127.0.0.1", "Port": port}
    (
        await http.put(f"{url}/v1/agent/service/register", json=registered, headers=told, timeout=PATIENCE_SECONDS)
    ).raise_for_status()
    discovery = ConsulDiscovery(url, http, consul_token(own_suite))
    async with server:
        assert await discovery.choose(service) == f"http://127.0.0.1:{port}"
        own_suite.freeze("consul")
        try:
            async with working_time() as took:
                chosen = [await discovery.choose(service) for _ in range(100)]
            await until_silent(discovery)
        finally:
            own_suite.thaw("consul")
        await discovery.ping()

    assert set(chosen) == {f"http://127.0.0.1:{port}"}
    assert took.seconds < 5
    await discovery.aclose()


async def test_an_empty_list_of_consul_is_not_believed_at_once(
    own_suite: Suite, http: httpx.AsyncClient, patient_discovery: None
) -> None:
    own_suite.up(["consul"])
    url, service, told = own_suite.url("consul"), f"svc-{new_id()}", consul_headers(own_suite)
    registered = {"Name": service, "ID": service, "Address": "127.0.0.1", "Port": 1}
    (
        await http.put(f"{url}/v1/agent/service/register", json=registered, headers=told, timeout=PATIENCE_SECONDS)
    ).raise_for_status()
    discovery = ConsulDiscovery(url, http, consul_token(own_suite))
    assert await discovery.choose(service) == "http://127.0.0.1:1"

    (
        await http.put(f"{url}/v1/agent/service/deregister/{service}", headers=told, timeout=PATIENCE_SECONDS)
    ).raise_for_status()
    async with asyncio.timeout(PATIENCE_SECONDS):
        seen = f"{url}/v1/health/service/{service}"
        while (await http.get(seen, headers=told, timeout=PATIENCE_SECONDS)).json():  # noqa: ASYNC110 - it is Consul's
            await asyncio.sleep(0.05)

    assert await discovery.choose(service) == "http://127.0.0.1:1"
    await discovery.aclose()
