"""Attacks on availability, by family: each is one request, sent again and again by many at once until told to stop.

Everything stays on the loopback. What a siege is answered is counted and not judged: its neighbour's answers are.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.fixtures.identity import User
from tests.security.belongings import API

MIB: Final = 2**20
SOURCES: Final = 60
_REFUSED_SECONDS: Final = 0.1  # before the next: places are what is attacked, and not this machine's processors
_SEARCHED: Final = 256
_JSON: Final = {"Content-Type": "application/json"}
Once = Callable[["Field"], Awaitable[str]]


@dataclass
class Field:
    """Where the attackers stand: the gateway, an account of their own with an agent, and whose account they want."""

    client: httpx.AsyncClient
    attacker: User
    victim: User
    agent_id: str
    number: "itertools.count[int]" = field(default_factory=itertools.count)
    sources: Sequence[httpx.AsyncClient] = ()

    async def post(self, path: str, body: bytes | Any, **headers: str) -> str:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {**_JSON, **self.attacker.headers, **headers}
        return str((await self.client.post(API + path, content=content, headers=given)).status_code)


@dataclass(frozen=True)
class Siege:
    """`once` by so many at once; with a bound where each costs a disk something."""

    once: Once
    at_once: int
    most: int | None = None

    async def run(self, stage: Field, over: asyncio.Event) -> Counter[str]:
        """How often each answer came. Ends with `over`, whatever is still open."""
        answers, left = Counter[str](), iter(range(self.most)) if self.most else itertools.count()

        async def one_of_them() -> None:
            for _ in left:
                try:
                    answer = await self.once(stage)
                except (httpx.HTTPError, OSError) as error:
                    answer = type(error).__name__
                answers[answer] += 1
                if not answer.startswith("2"):
                    await asyncio.sleep(_REFUSED_SECONDS)

        crowd = [asyncio.create_task(one_of_them()) for _ in range(self.at_once)]
        await over.wait()
        for one in crowd:
            one.cancel()
        await asyncio.wait(crowd)
        answers["open at the end"] = sum(one.cancelled() for one in crowd)
        return answers


# --- Bodies -----------------------------------------------------------------------------------------------------------


def _upload(vectors: int, dimension: int) -> bytes:
    vector = [round(random.uniform(-1, 1), 9) for _ in range(dimension)]
    items = ",".join(['{"vector":' + json.dumps(vector) + "}"] * vectors)
    return f'{{"collection":"siege-{dimension}","items":[{items}]}}'.encode()


@functools.cache
def _big() -> bytes:
    return _upload(1000, 1024)


@functools.cache
def _members() -> bytes:
    return ("{" + ",".join(f'"m{number}":0' for number in range(500_000)) + "}").encode()


async def _big_body(stage: Field) -> str:
    if next(stage.number) % 4:
        return await stage.post("/vectors/store", _big())
    return await stage.post("/auth/register", _big(), Authorization="")


async def _unknown_members(stage: Field) -> str:
    path, size = random.choice(
        [("/auth/register", 5 * MIB), ("/auth/register", 60_000), ("/agents/create", MIB), ("/tasks/submit", 2 * MIB)]
    )
    return await stage.post(path, _members()[: size - 2] + b"0}")


async def _deep_body(stage: Field) -> str:
    path, size = random.choice([("/tasks/submit", 2 * MIB), ("/vectors/search", MIB // 2), ("/vectors/store", 8 * MIB)])
    opening = random.choice([b"[", b'{"a":', b'[{"a":'])
    return await stage.post(path, opening * (size // len(opening)))


async def _unfinished_body(stage: Field) -> str:
    """Its head and a part of it, and then nothing for as long as somebody waits for the rest."""
    url, who = stage.client.base_url, random.choice([stage.attacker.headers, {}])
    head = [f"{name}: {value}" for name, value in (_JSON | who).items()]
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        lines = [f"POST {API}/vectors/store HTTP/1.1", "Host: x", f"Content-Length: {32 * MIB}", *head, "", ""]
        writer.write("\r\n".join(lines).encode())
        writer.write(_big()[: MIB // 4])
        with contextlib.suppress(ConnectionError):
            answer = await reader.readline()
            return answer.split()[1].decode() if answer else "cut"
        return "cut"
    finally:
        writer.close()


# --- Places -----------------------------------------------------------------------------------------------------------


async def _chat_stream(stage: Field) -> str:
    body = {"agent_id": stage.agent_id, "content": "Tell a long story.", "stream": True}
    return await stage.post("/chat/message", body)


async def _wrong_login(stage: Field) -> str:
    source = stage.sources[next(stage.number) % len(stage.sources)]
    name = random.choice([stage.victim.email, f"{secrets.token_hex(8)}@example.com"])
    form = {"grant_type": "password", "username": name, "password": secrets.token_urlsafe(12)}
    return str((await source.post(f"{API}/auth/token", data=form)).status_code)


async def _embedding(stage: Field) -> str:
    texts = [{"text": f"{secrets.token_hex(60)} {number}"} for number in range(100)]
    return await stage.post("/vectors/store", {"collection": "siege-texts", "items": texts})


async def _search(stage: Field) -> str:
    vector = [random.uniform(-1, 1) for _ in range(_SEARCHED)]
    return await stage.post("/vectors/search", {"collection": f"siege-{_SEARCHED}", "vector": vector, "k": 100})


async def _task(stage: Field) -> str:
    if next(stage.number) % 10:
        return await stage.post("/tasks/submit", {"kind": "echo", "input": {"text": "x" * 1000}})
    given = {"agent_id": stage.agent_id, "content": "Tell a long story."}
    return await stage.post("/tasks/submit", {"kind": "agent.run", "input": given})


# --- Stores -----------------------------------------------------------------------------------------------------------


async def _keyed(stage: Field) -> str:
    key = {"Idempotency-Key": secrets.token_hex(16)}
    if next(stage.number) % 4 == 0:
        return await stage.post("/tasks/submit", {"kind": "echo", "input": {"text": "x" * (MIB - 100)}}, **key)
    items = [{"vector": [1.0, 2.0, 3.0]} for _ in range(500)]
    return await stage.post("/vectors/store", {"collection": "siege-3", "items": items}, **key)


LOGINS: Final = "wrong logins of 60 sources"
SIEGES: Final[Mapping[str, Siege]] = {
    "big bodies": Siege(_big_body, 8),
    "unknown members": Siege(_unknown_members, 16),
    "deep bodies": Siege(_deep_body, 16),
    "unfinished bodies": Siege(_unfinished_body, 300),
    "chat streams of one account": Siege(_chat_stream, 160),
    LOGINS: Siege(_wrong_login, SOURCES),
    "keyed submits": Siege(_keyed, 8, most=400),
    "embedding flood": Siege(_embedding, 16),
    "search flood": Siege(_search, 32),
    "task flood": Siege(_task, 16, most=600),
}


async def prepare(stage: Field) -> None:
    """The collections that are searched and filled. Raises AssertionError when they could not be made."""
    for dimension in (3, _SEARCHED, 1024):
        body = {"name": f"siege-{dimension}", "engine": "faiss", "dimension": dimension}
        assert await stage.post("/vectors/collections", body) == "201"
    for _ in range(5):
        assert await stage.post("/vectors/store", _upload(1000, _SEARCHED)) == "200"
    assert await stage.post("/vectors/collections", {"name": "siege-texts", "engine": "faiss"}) == "201"
