"""The API and workers of tasks on the suite's real stores: a database and queues of their own for each installation."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from unittest import mock

import httpx
import orjson
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from sqlalchemy import text

from local.suite import Suite
from services.tasks.lifespan import MIGRATIONS
from services.tasks.main import create_app as create_api
from services.tasks.queues import Queues
from services.tasks.settings import Settings, WorkerSettings
from services.tasks.worker.main import create_app as create_worker
from shared.errors import Unavailable
from shared.messages import Connection
from shared.postgres import Database, open_database
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.warm import Program, started
from tests.services.tasks.kinds import TEST_KINDS

WORKER = "tests.services.tasks.worker_process"
FINAL = {"succeeded", "failed", "cancelled", "expired"}
Built = TypeVar("Built", Settings, WorkerSettings)
FAST = {
    "heartbeat_seconds": 0.1,
    "reconcile_seconds": 0.2,
    "retry_base_seconds": 0.05,
    "retry_cap_seconds": 0.2,
    "shutdown_seconds": 0.5,
    "max_result_bytes": 4096,
}


@dataclass(frozen=True)
class Installation:
    """One set of settings that API and workers share."""

    suite: Suite
    names: dict[str, Any] = field(default_factory=lambda: _names(secrets.token_hex(4)))

    def limited(self, limits: dict[str, int]) -> "Installation":
        """The same, of whose kinds only so many tasks run at once."""
        return replace(self, names=self.names | {"task_kind_limits": limits})

    def settings(self, **overrides: Any) -> Settings:
        return self._build(Settings, "tasks", overrides)

    def worker_settings(self, **overrides: Any) -> WorkerSettings:
        return self._build(WorkerSettings, "tasks-worker", FAST | overrides)

    def _build(self, settings: type[Built], process: str, overrides: dict[str, Any]) -> Built:
        environment = self.suite.environment(process) | {"DISCOVERY": "static"}
        with mock.patch.dict(os.environ, environment, clear=True):
            return settings(**(self.names | overrides))

    @asynccontextmanager
    async def api(self, **overrides: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = create_api(self.settings(**overrides), TEST_KINDS)
        async with opened(app) as transport, connected(transport) as client:
            yield client

    @asynccontextmanager
    async def worker(self, **overrides: Any) -> AsyncIterator[FastAPI]:
        """A worker in this process; leaving the block is its orderly end."""
        app = create_worker(self.worker_settings(**overrides), TEST_KINDS)
        async with opened(app):
            yield app

    @asynccontextmanager
    async def worker_process(self, *, halts_halfway: bool = False, **overrides: Any) -> AsyncIterator[Program]:
        """A worker in a process of its own, killed at the end of the block if it still runs, and missed from then on.

        With `halts_halfway` it stands still once a task's progress is written, however long it takes to look at that,
        until it is killed or told to go on (`SIGCONT`).
        """
        # The suite's own worker may hold the usual port; and one that stands still for a while is not to be missed.
        own = {"port": free_port(), "lease_seconds": 600}
        settings = self.names | FAST | own | overrides
        changed = {name.upper(): _text(value) for name, value in settings.items()}
        environment = self.suite.environment("tasks-worker") | {"DISCOVERY": "static", **changed}
        environment |= {"HALTS_HALFWAY": "1"} if halts_halfway else {}
        with (self.suite.site.layout.logs / "test-worker.log").open("ab") as log:
            process = await started(WORKER, environment=environment, output=log, error=log)
        try:
            yield process
        finally:
            process.kill()
            await process.ended()
            await self._let_leases_lapse(process)

    async def _let_leases_lapse(self, process: Program) -> None:
        """Of what it was doing."""
        lapse = text(
            "UPDATE task SET lease_expires_at = now() WHERE status = 'running' AND starts_with(worker_id, :worker)"
        )
        async with self.database() as database, database.transaction() as session:
            await session.execute(lapse, {"worker": f"{socket.gethostname()}-{process.pid}-"})

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        settings = self.settings()
        async with open_database(
            settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS
        ) as opened:
            yield opened


def _text(value: Any) -> str:
    return orjson.dumps(value).decode() if isinstance(value, dict) else str(value)


def _names(key: str) -> dict[str, str]:
    return {"database_name": f"tasks_{key}", "queue_prefix": f"tasks-{key}"}


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[httpx.ASGITransport]:
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60) as manager:
        yield httpx.ASGITransport(manager.app)


def connected(transport: httpx.ASGITransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=transport, base_url="http://tasks", timeout=60)


@dataclass(frozen=True)
class Tasks:
    """The API as one user sees it."""

    client: httpx.AsyncClient
    user: User

    async def submit(self, kind: str, given: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        body = {"kind": kind, "input": given or {}, **fields}
        answer = await self.client.post("/api/v1/tasks/submit", json=body, headers=self.user.headers)
        assert answer.status_code == 202, answer.text
        task: dict[str, Any] = answer.json()
        return task

    async def get(self, task: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.get(f"/api/v1/tasks/status/{task['id']}", headers=self.user.headers)
        assert answer.status_code == 200, answer.text
        read: dict[str, Any] = answer.json()
        return read

    async def cancel(self, task: dict[str, Any]) -> httpx.Response:
        return await self.client.post(f"/api/v1/tasks/{task['id']}/cancel", headers=self.user.headers)

    async def wait(
        self,
        task: dict[str, Any],
        until: Callable[[dict[str, Any]], Any] | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """The task once it is final, or as `until` wants it."""
        reached = until or (lambda read: read["status"] in FINAL)
        give_up_at, pauses = time.monotonic() + seconds, growing_pauses()
        while not reached(read := await self.get(task)):
            assert time.monotonic() < give_up_at, read
            await asyncio.sleep(next(pauses))
        return read

    async def run(self, kind: str, given: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """Submit, and wait for the end."""
        return await self.wait(await self.submit(kind, given, **fields))


async def declared(connection: Connection, queues: Queues) -> None:
    """Queues that are there when a message is published: making them may take longer than a publisher has for one."""
    async with asyncio.timeout(PATIENCE_SECONDS), (await connection.ready()).channel() as channel:
        await queues.declare(channel)


async def count_ready(connection: Connection, queue: str) -> int:
    """How many messages wait there, however long the broker takes to say it."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await connection.count_ready(queue)
        except Unavailable:
            if time.monotonic() > give_up_at:
                raise


async def eventually(condition: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS) -> Any:
    """What `condition` answers, once that is true."""
    give_up_at, pauses = time.monotonic() + seconds, growing_pauses()
    while not (answer := await condition()):
        assert time.monotonic() < give_up_at, "the condition did not come true in time"
        await asyncio.sleep(next(pauses))
    return answer


def growing_pauses() -> Iterator[float]:
    """Between two looks, in seconds: asking is a request or a statement, which takes what is waited for its time."""
    pause = 0.02
    while True:
        yield pause
        pause = min(pause * 1.3, 0.1)
