"""S8: keys are published first and sign later, so a rotation costs no request; an unknown key costs auth nothing."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from services.auth.models import OutboxRow
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.signing.ring import KeyRing
from services.auth.trust.signing.rotation import Rotation, TooEarly
from services.auth.trust.work import Works
from shared.identity import Revocations
from shared.postgres import Outbox, open_database
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.inside import client_of
from tests.fixtures.patience import PATIENCE_SECONDS

ROTATIONS, USERS = 10, 4
ME, CONVERSATIONS, JWKS = "/api/v1/auth/me", "/api/v1/chat/conversations", "/api/v1/auth/jwks.json"
PUBLISH_SECONDS = 3
PACE_SECONDS = 0.05  # twenty rounds a second and user find every moment of a rotation, and leave the machine to others


@pytest.fixture(scope="module")
async def chat(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    """A service that verifies with the keys it was given by auth."""
    suite.up(["auth", "chat"])
    async with client_of(suite, "chat") as client:
        yield client


@dataclass
class Load:
    """Valid requests, at a pace: each round asks for a new token and uses it at once at both services."""

    auth: httpx.AsyncClient
    chat: httpx.AsyncClient
    statuses: Counter[int] = field(default_factory=Counter)
    signed_with: set[str] = field(default_factory=set)

    async def run(self, user: User) -> None:
        refresh_token = user.refresh_token
        while True:
            form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
            answer = await self.auth.post("/api/v1/auth/token", data=form)
            tokens = answer.json()
            refresh_token = tokens["refresh_token"]
            self.signed_with.add(jwt.get_unverified_header(tokens["access_token"])["kid"])
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            me, conversations = await asyncio.gather(
                self.auth.get(ME, headers=headers), self.chat.get(CONVERSATIONS, headers=headers)
            )
            self.statuses.update(one.status_code for one in (answer, me, conversations))
            await asyncio.sleep(PACE_SECONDS)

    async def has_used(self, key_id: str) -> None:
        """Returns when a token was signed with it: a machine that stands still does so between two rotations, too."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while key_id not in self.signed_with:  # noqa: ASYNC110 - of several at once
                await asyncio.sleep(PACE_SECONDS)


@asynccontextmanager
async def rotation(suite: Suite) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """What `rotate-keys` does, with a shorter wait: a function that returns the id of the key that signs now."""
    environment = suite.environment("auth")
    async with open_database(environment["DATABASE_URL"], "auth", MIGRATIONS) as database:
        ring = await KeyRing(database, environment["KEY_ENCRYPTION_KEY"]).load()
        outbox = Outbox(OutboxRow)
        works = Works(database, AuditLog(environment["AUDIT_KEY"]), outbox, Revocations())

        async def rotate() -> str:
            while True:
                try:
                    return await Rotation(works, ring, outbox, PUBLISH_SECONDS).rotate()
                except TooEarly as early:
                    await asyncio.sleep(early.seconds)

        yield rotate


async def test_unknown_keys_cost_at_most_one_fetch_a_minute(
    auth: httpx.AsyncClient, chat: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    """Before any key is new: whoever hears of one late fetches it late, and is counted, too."""
    user = await register_user()
    assert await with_token(chat, CONVERSATIONS, user) == 200
    before, started = await fetches(auth), time.monotonic()

    answers = [await chat.get(CONVERSATIONS, headers=forged(user, f"unknown {number}")) for number in range(200)]

    assert time.monotonic() - started < 60
    assert {answer.status_code for answer in answers} == {401}
    assert await fetches(auth) - before <= 1


def forged(user: User, key_id: str) -> dict[str, str]:
    claims = jwt.decode(user.token, options={"verify_signature": False})
    token = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", {"kid": key_id, "typ": "at+jwt"})
    return {"Authorization": f"Bearer {token}"}


async def fetches(auth: httpx.AsyncClient) -> float:
    """How often auth was asked for its keys."""
    metrics = (await auth.get("/metrics")).text
    counts = re.findall(rf'_seconds_count\{{method="GET",route="{re.escape(JWKS)}",status="200"\}} (\S+)', metrics)
    return sum(float(count) for count in counts)


async def test_ten_rotations_fail_no_valid_request(
    suite: Suite, auth: httpx.AsyncClient, chat: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    load, users = Load(auth, chat), [await register_user() for _ in range(USERS)]
    async with rotation(suite) as rotate, asyncio.TaskGroup() as group:
        running = [group.create_task(load.run(user)) for user in users]
        current = list[str]()
        for _ in range(ROTATIONS):
            current.append(await rotate())
            await load.has_used(current[-1])
        for task in running:
            task.cancel()

    print(f"S8: {dict(load.statuses)} answers during {ROTATIONS} rotations")  # noqa: T201 - the figure
    assert load.statuses.keys() == {200}
    assert set(current) <= load.signed_with
    assert {await with_token(auth, ME, users[0]), await with_token(chat, CONVERSATIONS, users[0])} == {200}


async def with_token(client: httpx.AsyncClient, path: str, user: User) -> int:
    """The answer to the token that the user got at first."""
    return (await client.get(path, headers=user.headers)).status_code
