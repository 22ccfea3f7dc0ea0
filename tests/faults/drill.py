"""Tasks as processes of its own, on a database and queues of its own, and clients that submit to it."""

import asyncio
import itertools
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from local.suite import Suite
from tests.faults import effects
from tests.faults.answers import Caller, Tally
from tests.faults.effects import Effects
from tests.faults.ledger import Findings
from tests.faults.trades import API, pages
from tests.faults.wire import Wire
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.warm import Program, started
from tests.services.tasks.running import FAST, Installation

API_PROCESS: Final = "tasks"
WORKER_PROCESS: Final = "tasks-worker"
_MODULES: Final = {API_PROCESS: "services.tasks", WORKER_PROCESS: "services.tasks.worker"}
_STORES: Final = {"postgres": "DATABASE_URL", "rabbitmq": "RABBITMQ_URL"}
_FREELY: Final = {f"RATE_LIMIT_{name}": "1000000/minute" for name in ("READ", "WRITE", "BULK", "ANONYMOUS")}
_CLIENTS_OF_EACH: Final = 4
_READY_SECONDS: Final = 60.0
_ALL_DONE_SECONDS: Final = 300.0  # of a thousand tasks, beside whatever else the machine does
_LOOK_SECONDS: Final = 0.2
_UNFINISHED: Final = ("queued", "running")


@dataclass
class Replica:
    """A process of tasks: the API, or a worker."""

    process: str
    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    _program: Program | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def program(self) -> Program:
        assert self._program is not None, f"{self.process} was not started"
        return self._program

    async def start(self) -> None:
        """Returns when it is ready. Raises TimeoutError."""
        own = self.environment | {"PORT": str(self.port)}
        with self.log.open("ab") as log:
            self._program = await started(_MODULES[self.process], environment=own, output=log, error=log)
        async with asyncio.timeout(_READY_SECONDS):
            while not await self._is_ready():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.1)

    async def _is_ready(self) -> bool:
        assert self.program.poll() is None, f"{self.process} ended at its start: {self.log}"
        try:
            async with httpx.AsyncClient(verify=authorities()) as client:
                return (await client.get(f"{self.url}/health/ready", timeout=5)).status_code == 200
        except httpx.HTTPError:
            return False

    async def kill(self) -> None:
        """With SIGKILL. Returns when it is gone."""
        self.program.kill()
        await self.program.ended()

    async def end(self) -> int:
        """With SIGTERM; its exit code once it is gone. Raises TimeoutError."""
        self.program.terminate()
        async with asyncio.timeout(_READY_SECONDS):
            return await self.program.ended()

    def freeze(self) -> None:
        self.program.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.program.send_signal(signal.SIGCONT)

    async def metrics(self) -> str:
        async with httpx.AsyncClient(verify=authorities()) as client:
            return (await client.get(f"{self.url}/metrics", timeout=PATIENCE_SECONDS)).text


@dataclass
class Drill:
    """What a test breaks, and what it counts by."""

    suite: Suite
    installation: Installation
    effects: Effects
    users: Sequence[User]
    callers: Sequence[Caller]
    """One for each user."""
    replicas: dict[str, Replica]
    wires: Mapping[tuple[str, str], Wire]
    """By process and store."""
    acknowledged: list[str] = field(default_factory=list)

    async def renew(self) -> None:
        """New tokens for callers who are at it for longer than a token lives."""
        for user, caller in zip(self.users, self.callers, strict=True):
            await asyncio.to_thread(user.renew, self.suite)
            caller.headers = user.headers

    async def submit(self, number: int, **given: Any) -> None:
        """So many tasks by several clients of every user, each repeated under its key until it is accepted."""
        numbers = iter(range(number))
        async with asyncio.TaskGroup() as clients:
            for caller in itertools.chain.from_iterable(itertools.repeat(self.callers, _CLIENTS_OF_EACH)):
                clients.create_task(self._submit(caller, numbers, given))

    async def _submit(self, caller: Caller, numbers: Iterable[int], given: dict[str, Any]) -> None:
        for _ in numbers:
            body = {"kind": "drill.effect", "input": given}
            self.acknowledged.append((await caller.create(f"{API}/tasks/submit", 202, json=body)).json()["id"])

    async def submit_batch(self, number: int, caller: int = 0, **given: Any) -> None:
        """So many tasks of one user, at most 500, in one request."""
        body = {"tasks": [{"kind": "drill.effect", "input": given}] * number}
        made = (await self.callers[caller].create(f"{API}/tasks/submit/batch", 200, json=body)).json()
        self.acknowledged += [each["task"]["id"] for each in made["results"]]

    async def until_acknowledged(self, number: int) -> None:
        async with asyncio.timeout(_ALL_DONE_SECONDS):
            while len(self.acknowledged) < number:  # noqa: ASYNC110 - clients are at work
                await asyncio.sleep(0.01)

    async def until_run(self, number: int) -> None:
        """Returns once so many attempts have begun."""
        async with asyncio.timeout(_ALL_DONE_SECONDS):
            while len(self.effects.runs()) < number:  # noqa: ASYNC110 - workers are at it
                await asyncio.sleep(0.02)

    async def read_back(self) -> Findings:
        """Of every acknowledged task whether it ended well, is there once, and had its effect."""
        await self._until_all_ended()
        found = [task for caller in self.callers async for task in pages(caller, f"{API}/tasks/list")]
        statuses, findings = {task["id"]: task["status"] for task in found}, Findings()
        findings.once("task", self.acknowledged, [task["id"] for task in found])
        for task_id in self.acknowledged:
            status = statuses.get(task_id)
            findings.kept(f"task {task_id}, which is {status}", holds=status == "succeeded")
        findings.once("effect", self.acknowledged, self.effects.tasks())
        return findings

    async def _until_all_ended(self) -> None:
        give_up_at = time.monotonic() + _ALL_DONE_SECONDS
        for caller in self.callers:
            while await self._has_unfinished(caller) and time.monotonic() < give_up_at:  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(_LOOK_SECONDS)

    async def _has_unfinished(self, caller: Caller) -> bool:
        path = f"{API}/tasks/list"
        answers = [await caller.insist("GET", path, 200, params={"status": one, "limit": 1}) for one in _UNFINISHED]
        return any(answer.json()["items"] for answer in answers)

    def repeated(self) -> int:
        """How many attempts ran beside the first one of each task."""
        return sum(count - 1 for count in Counter(run.task_id for run in self.effects.runs()).values())


@asynccontextmanager
async def drilled(
    suite: Suite, users: Sequence[User], folder: Path, *, workers: int = 1, **overrides: object
) -> AsyncIterator[Drill]:
    """An API and workers, all of them ready; the first worker is `tasks-worker`, the next `tasks-worker 2`.

    They reach PostgreSQL and RabbitMQ by wires of their own. `overrides` are settings of the workers.
    """
    suite.up(["auth", "postgres", "rabbitmq", "redis-cache"])
    installation, tally = Installation(suite), Tally()
    async with AsyncExitStack() as stack:
        names = [API_PROCESS, *(f"{WORKER_PROCESS} {n}" if n > 1 else WORKER_PROCESS for n in range(1, workers + 1))]
        places = [(name, store) for name in names for store in _STORES]
        wires = {place: await stack.enter_async_context(Wire(suite.url(place[1]))) for place in places}
        replicas = {name: _replica(suite, installation, name, wires, folder, overrides) for name in names}
        for replica in replicas.values():
            stack.push_async_callback(_kill, replica)
            await replica.start()
        http = httpx.AsyncClient(base_url=replicas[API_PROCESS].url, timeout=60, verify=authorities())
        await stack.enter_async_context(http)
        callers = [Caller(http, tally, user.headers) for user in users]
        yield Drill(suite, installation, Effects(folder), users, callers, replicas, wires)
        assert tally.wrong == []
        assert tally.hung == []


async def _kill(replica: Replica) -> None:
    if replica._program is not None:
        await replica.kill()


def _replica(
    suite: Suite,
    installation: Installation,
    name: str,
    wires: Mapping[tuple[str, str], Wire],
    folder: Path,
    overrides: Mapping[str, object],
) -> Replica:
    process = name.partition(" ")[0]
    of_worker = {**FAST, **overrides} if process == WORKER_PROCESS else {}
    settings = {key.upper(): str(value) for key, value in (installation.names | of_worker).items()}
    addresses = {variable: wires[name, store].url for store, variable in _STORES.items()}
    own = {"DISCOVERY": "static", "TASK_KINDS": effects.__name__, effects.VARIABLE: str(folder)}
    environment = suite.environment(process) | _FREELY | settings | addresses | own
    return Replica(process, environment, suite.site.layout.logs / f"drill-{name.replace(' ', '-')}.log")
