"""Somebody of another tenant who goes about their work at a steady pace, and notes how long each answer takes.

A process of its own, first in the queue for a core where that is allowed: what is measured is the suite's delay and
not that of the attack beside it. The time counts from when a request was due. `python -m tests.security.neighbour`
takes its order as JSON on the first line of stdin, says `ready`, and begins at the next line.
"""

import asyncio
import contextlib
import json
import os
import secrets
import statistics
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from local.layout import REPOSITORY
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.security.belongings import AGENT, API, TASK, Tenant

RATE: Final = 10
_NICENESS: Final = -10
_VECTOR: Final = [0.1, 0.2, 0.3]


@dataclass(frozen=True)
class Report:
    """What the neighbour met: seconds by what was asked, and each answer that was none."""

    seconds: dict[str, list[float]]
    failures: list[str]

    def p99(self, *names: str) -> float:
        """Of these, or of all but logins, which hash."""
        chosen = names or self.seconds.keys() - {"log in"}
        together = [one for name in chosen for one in self.seconds[name]]
        return statistics.quantiles(together, n=100)[98]


class Neighbour:
    """A user with an agent, a task and a collection, who uses them."""

    def __init__(self, tenant: Tenant, url: str) -> None:
        self._tenant, self._url, self._collection = tenant, url, f"own-{secrets.token_hex(4)}"

    @property
    def user(self) -> User:
        return self._tenant.user

    async def settle(self) -> None:
        """Have one of everything."""
        await self._tenant.id_of(AGENT)
        await self._tenant.id_of(TASK)
        body = {"name": self._collection, "engine": "faiss", "dimension": 3}
        await self._tenant.post("/vectors/collections", body)
        await self._tenant.post("/vectors/store", self._stored())

    def _stored(self) -> dict[str, Any]:
        return {"collection": self._collection, "items": [{"vector": _VECTOR}]}

    def _turn(self) -> list[dict[str, Any]]:
        """One of each thing that they do."""
        owned, mark = self._tenant.owned, secrets.token_hex(4)
        searched = {"collection": self._collection, "vector": _VECTOR, "k": 3}
        made = {"name": f"N {mark}", "instructions": "Say yes."}
        return [
            _asks("profile", "GET", "/auth/me"),
            _asks("agents", "GET", "/agents/list?limit=10"),
            _asks("agent", "GET", f"/agents/{owned['agent']}"),
            _asks("conversations", "GET", "/chat/conversations"),
            _asks("task", "GET", f"/tasks/status/{owned['task']}"),
            _asks("search", "POST", "/vectors/search", json=searched),
            _asks("store", "POST", "/vectors/store", json=self._stored()),
            _asks("new agent", "POST", "/agents/create", json=made),
            _asks("submit", "POST", "/tasks/submit", json={"kind": "echo", "input": {"mark": mark}}),
        ]

    def _log_in(self) -> dict[str, Any]:
        user = self._tenant.user
        form = {"grant_type": "password", "username": user.email, "password": user.password}
        return _asks("log in", "POST", "/auth/token", data=form)

    @asynccontextmanager
    async def waiting(self, seconds: float, *, logs_in: bool = False) -> AsyncIterator["AtWork"]:
        """Ready to work for so long; where that is asked for, logs in every third turn, as who waits for answers."""
        turns = max(1, round(seconds * RATE / 9))
        asks = [
            one
            for number in range(turns)
            for one in [*self._turn(), *([self._log_in()] if logs_in and number % 3 == 0 else [])]
        ]
        command = [sys.executable, "-m", "tests.security.neighbour"]
        process = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stdin=PIPE, stdout=PIPE, limit=2**24)
        try:
            at_work = AtWork(process, seconds)
            await at_work.say({"url": self._url, "headers": self._tenant.user.headers, "asks": asks})
            yield at_work
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def done_after(self) -> float:
        """Seconds until a task submitted now has succeeded."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        task = await self._tenant.post("/tasks/submit", {"kind": "echo", "input": {}})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                read = (await self._tenant.call("GET", f"{API}/tasks/status/{task['id']}")).json()
                if read["status"] == "succeeded":
                    return loop.time() - began
                await asyncio.sleep(0.05)

    async def talk(self) -> int:
        """The status of a message to their agent."""
        body = {"agent_id": self._tenant.owned["agent"], "content": "Say yes."}
        return (await self._tenant.call("POST", f"{API}/chat/message", json=body)).status_code


def _asks(name: str, method: str, path: str, **body: Any) -> dict[str, Any]:
    return {"name": name, "method": method, "path": API + path, **body}


class AtWork:
    """The process, told what to ask and waiting for the word."""

    def __init__(self, process: Process, seconds: float) -> None:
        self._process, self._seconds = process, seconds

    async def say(self, order: dict[str, Any]) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        assert await self._process.stdout.readline() == b"ready\n"

    async def work(self) -> Report:
        """Returns when every answer has come."""
        async with asyncio.timeout(self._seconds + 2 * PATIENCE_SECONDS):
            printed, _ = await self._process.communicate(b"go\n")
        return Report(**json.loads(printed))


# --- The process ------------------------------------------------------------------------------------------------------


async def run(url: str, headers: dict[str, str], asks: list[dict[str, Any]]) -> Report:
    """Sends on time, whatever is still open."""
    report, loop = Report(defaultdict(list), []), asyncio.get_running_loop()
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, headers=headers, timeout=timeout, connector=connector) as session:
        began, under_way = loop.time(), []
        for number, ask in enumerate(asks):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - loop.time()))
            under_way.append(asyncio.create_task(_send(session, ask, due, report)))
        await asyncio.gather(*under_way)
    return report


async def _send(session: aiohttp.ClientSession, ask: dict[str, Any], due: float, report: Report) -> None:
    name = ask.pop("name")
    try:
        async with session.request(ask.pop("method"), ask.pop("path"), **ask) as answer:
            said = await answer.text()
            if answer.status >= 400:
                report.failures.append(f"{name}: {answer.status} {said[:200]}")
    except (aiohttp.ClientError, TimeoutError) as error:
        report.failures.append(f"{name}: {error!r}")
    report.seconds[name].append(asyncio.get_running_loop().time() - due)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    print("ready", flush=True)  # noqa: T201 - to whoever started it
    sys.stdin.readline()
    report = asyncio.run(run(**order))
    print(json.dumps({"seconds": report.seconds, "failures": report.failures}))  # noqa: T201 - likewise


if __name__ == "__main__":
    main()
