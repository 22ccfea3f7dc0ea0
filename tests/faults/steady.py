"""Requests at a steady rate, each sent once: none may fail."""

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.faults.trades import API
from tests.fixtures.identity import User
from tests.services.chat.client import events_of

Send = Callable[[], Awaitable[None]]
_RECENT: Final = 20
_AT_ONCE: Final = 10
_QUICK_SECONDS: Final = 0.5
ENGINES: Final = ("faiss", "qdrant")
"""Of which collections are searched and filled: those that the node keeps here."""


@dataclass
class Edge:
    """All gateways as one address, as a balancer of connections has it: one that refuses to connect is passed over.

    A kept connection may be closed in the moment in which it is used again. What is idempotent, by its method or by a
    key, is then sent once more, as RFC 9110, section 9.2.2, has clients do and httpx does not; `sent_again` counts it.
    """

    gateways: Sequence[httpx.AsyncClient]
    sent_again: int = 0
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)

    async def request(self, method: str, path: str, *, repeatable: bool = False, **given: Any) -> httpx.Response:
        """The answer of the gateway whose turn it is. Raises httpx.HTTPError, and for a status HTTPStatusError."""
        try:
            return await self._request(method, path, **given)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            if not (repeatable or method == "GET"):
                raise
            self.sent_again += 1
            return await self._request(method, path, **given)

    async def _request(self, method: str, path: str, **given: Any) -> httpx.Response:
        first = next(self._turn)
        for number in range(len(self.gateways)):
            gateway = self.gateways[(first + number) % len(self.gateways)]
            try:
                return (await gateway.request(method, path, **given)).raise_for_status()
            except httpx.ConnectError:
                if number == len(self.gateways) - 1:
                    raise
        raise AssertionError("there is a gateway")


class Steady:
    """`rate` requests a second of `sends`, drawn by weight, until told to stop."""

    def __init__(self, sends: dict[Send, int], rate: float) -> None:
        self._sends, self._rate = sends, rate
        self._under_way: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.failures: list[str] = []
        self.longest_seconds = 0.0

    async def run(self, over: asyncio.Event) -> None:
        """Sends on time, whatever is still open, and at the end waits for every answer."""
        began = time.monotonic()
        chosen, weights = list(self._sends), list(self._sends.values())
        while not over.is_set():
            await asyncio.sleep(max(0.0, began + self.sent / self._rate - time.monotonic()))
            task = asyncio.create_task(self._send(*random.choices(chosen, weights)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            self.sent += 1
        async with asyncio.timeout(60):
            await asyncio.gather(*self._under_way)

    async def _send(self, send: Send) -> None:
        began = time.monotonic()
        try:
            await send()
        except httpx.HTTPStatusError as error:
            answer = error.response
            self.failures.append(
                f"{answer.request.method} {answer.request.url.path} {answer.status_code} {answer.text}"
            )
        except httpx.HTTPError as error:
            self.failures.append(f"{error.request.method} {error.request.url.path} {error!r}")
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)


class Mixed:
    """What one user asks of every service."""

    def __init__(self, edge: Edge, user: User) -> None:
        self._edge, self._user = edge, user
        self._agents: list[str] = []
        self._tasks: list[str] = []
        self._collections = {engine: f"rolling-{engine}-{secrets.token_hex(4)}" for engine in ENGINES}

    async def prepare(self) -> None:
        await self.make_collections()
        await self.make_agent()
        await self.submit()

    async def make_collections(self) -> None:
        for engine, name in self._collections.items():
            body = {"name": name, "engine": engine, "dimension": 3, "metric": "l2"}
            await self._ask("POST", "/vectors/collections", json=body)
            await self._ask("POST", "/vectors/store", json={"collection": name, "items": [{"vector": [1, 2, 3]}]})

    async def is_quick(self) -> bool:
        """Whether a list of agents comes at the pace of a database that has been in use for a while."""
        began = time.monotonic()
        await asyncio.gather(*(self.list_agents() for _ in range(_AT_ONCE)))
        return time.monotonic() - began < _QUICK_SECONDS

    def sends(self) -> dict[Send, int]:
        """By how often each is sent, of a hundred."""
        return {
            self.read_agent: 20,
            self.list_agents: 10,
            self.make_agent: 5,
            self.list_conversations: 15,
            self.read_task: 15,
            self.submit: 8,
            self.read_profile: 10,
            self.read_keys: 5,
            self.search: 10,
            self.store: 6,
            self.log_in: 3,
            self.talk: 1,
        }

    async def make_agent(self) -> None:
        body = {"name": f"R {secrets.token_hex(6)}", "instructions": "Answer with one word."}
        made = await self._keyed("/agents/create", body)
        self._agents = [*self._agents[-_RECENT:], made.json()["id"]]

    async def read_agent(self) -> None:
        await self._ask("GET", f"/agents/{random.choice(self._agents)}")

    async def list_agents(self) -> None:
        await self._ask("GET", "/agents/list")

    async def list_conversations(self) -> None:
        await self._ask("GET", "/chat/conversations")

    async def submit(self) -> None:
        made = await self._keyed("/tasks/submit", {"kind": "echo", "input": {}})
        self._tasks = [*self._tasks[-_RECENT:], made.json()["id"]]

    async def read_task(self) -> None:
        await self._ask("GET", f"/tasks/status/{random.choice(self._tasks)}")

    async def read_profile(self) -> None:
        await self._ask("GET", "/auth/me")

    async def read_keys(self) -> None:
        await self._ask("GET", "/auth/jwks.json")

    async def search(self) -> None:
        collection = random.choice(list(self._collections.values()))
        body = {"collection": collection, "vector": [1, 2, 3]}
        await self._ask("POST", "/vectors/search", repeatable=True, json=body)

    async def store(self) -> None:
        item = {"id": str(random.randrange(100)), "vector": [random.random(), 2, 3]}
        collection = random.choice(list(self._collections.values()))
        await self._keyed("/vectors/store", {"collection": collection, "items": [item]})

    async def log_in(self) -> None:
        form = {"grant_type": "password", "username": self._user.email, "password": self._user.password}
        await self._ask("POST", "/auth/token", data=form)

    async def talk(self) -> None:
        """A stream whose last event says that it was answered."""
        body = {"agent_id": self._agents[0], "content": "Say hello.", "stream": True}
        answer = await self._ask("POST", "/chat/message", json=body)
        events = [event async for event in events_of(answer)]
        if not events or events[-1].type != "run.completed":
            raise httpx.RemoteProtocolError(f"ended with {events[-1:]}", request=answer.request)

    async def _keyed(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """A POST whose repetition does nothing new."""
        key = {"Idempotency-Key": secrets.token_hex(16)}
        return await self._ask("POST", path, repeatable=True, headers=self._user.headers | key, json=body)

    async def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        return await self._edge.request(method, f"{API}{path}", **{"headers": self._user.headers} | given)
