"""S16: no log of any process holds a secret, whatever was done with it and whatever went wrong."""

import asyncio
import contextlib
import dataclasses
import fnmatch
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from shared.postgres import open_database
from tests.fixtures.identity import RegisterUser, User
from tests.security.spec import MISSING_ID

API = "/api/v1"
TOKEN = f"{API}/auth/token"


class Journey:
    """What somebody does with secrets; each that is used is remembered."""

    def __init__(self, gateway: httpx.AsyncClient, user: User) -> None:
        self._gateway, self._user = gateway, user
        self.request_id = f"journey-{secrets.token_hex(8)}"
        self.used = {"password": user.password, "token": user.token, "refresh token": user.refresh_token}

    def new(self, name: str) -> str:
        self.used[name] = f"confidential-{secrets.token_hex(12)}"
        return self.used[name]

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"X-Request-Id": self.request_id} | request.pop("headers", {})
        return await self._gateway.request(method, path, headers=headers, **request)

    async def log_in(self, password: str) -> httpx.Response:
        form = {"grant_type": "password", "username": self._user.email, "password": password}
        return await self.call("POST", TOKEN, data=form)

    async def uses_tokens(self) -> None:
        pair = (await self.log_in(self._user.password)).json()
        self.used |= {"second token": pair["access_token"], "second refresh token": pair["refresh_token"]}
        form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
        fresh = (await self.call("POST", TOKEN, data=form)).json()
        self.used |= {"third token": fresh["access_token"], "third refresh token": fresh["refresh_token"]}
        replayed = await self.call("POST", TOKEN, data=form)
        wrong = await self.log_in(self.new("wrong password"))
        assert (replayed.is_success, wrong.status_code) != (True, 200)

    async def uses_an_api_key(self) -> None:
        body = {"name": "logs", "scopes": ["agents:read", "tasks:read"]}
        made = (await self.call("POST", f"{API}/auth/api-keys", json=body, headers=self._user.headers)).json()
        self.used["api key"] = made["key"]
        for path in ("agents/list", "tasks/list"):
            answer = await self.call("GET", f"{API}/{path}", headers={"X-API-Key": made["key"]})
            assert answer.status_code == 200, answer.text
        unknown = {"X-API-Key": self.new("unknown api key")}
        assert (await self.call("GET", f"{API}/agents/list", headers=unknown)).status_code == 401

    async def is_malformed(self) -> None:
        """Bodies, forms, paths, queries and headers that are refused, each with a secret in it."""
        register, json = f"{API}/auth/register", {"Content-Type": "application/json"}
        await self.call("POST", register, content=f'{{"password": "{self.new("in broken JSON")}', headers=json)
        await self.call("POST", register, json={"email": 1, "password": [self.new("of a wrong type")]})
        await self.call("POST", register, json={"email": "a@example.com", "pasword": self.new("of a wrong name")})
        await self.call("POST", TOKEN, data={"grant_type": "nonsense", "password": self.new("of an unknown grant")})
        await self.call("GET", f"{API}/agents/list?token={self.new('in a query')}", headers=self._user.headers)
        await self.call("GET", f"{API}/agents/list", headers={"Authorization": f"Bearer {self.new('a bad token')}"})
        await self.call("GET", f"{API}/agents/list", headers={"Authorization": f"Basic {self.new('basic')}"})

    async def confides(self) -> None:
        """What users write is not logged either."""
        content = {"agent_id": MISSING_ID, "content": self.new("a message")}
        await self.call("POST", f"{API}/chat/message", json=content, headers=self._user.headers)
        task = {"kind": "echo", "input": {"text": self.new("input of a task")}}
        assert (await self.call("POST", f"{API}/tasks/submit", json=task, headers=self._user.headers)).is_success
        instructions = {"name": f"agent {secrets.token_hex(4)}", "instructions": self.new("instructions")}
        made = await self.call("POST", f"{API}/agents/create", json=instructions, headers=self._user.headers)
        assert made.is_success


@asynccontextmanager
async def without(suite: Suite, store: str) -> AsyncIterator[None]:
    await asyncio.to_thread(suite.stop, store)
    try:
        yield
    finally:
        await asyncio.to_thread(suite.start, store)


async def until_well(gateway: httpx.AsyncClient, store: str) -> None:
    """Of the whole, what other tests have left may warn for as long as it takes: work that waits for its turn, say."""
    checks: dict[str, Any] = {}
    try:
        async with asyncio.timeout(60):
            while not checks or "fail" in {check["status"] for check in checks.values()} or troubled(checks, store):
                await asyncio.sleep(0.2)
                checks = (await gateway.get(f"{API}/health/check")).json()["checks"]
    except TimeoutError:
        pytest.fail(f"a minute after {store} came back: {checks}")


def troubled(checks: dict[str, Any], store: str) -> bool:
    return store in checks and checks[store]["status"] != "pass"


def logs(suite: Suite) -> dict[Path, bytes]:
    """The logs that the processes' output goes to, and those that stores keep at home, where files come and go."""
    written = {}
    for path in (*files(suite.site.layout.logs, "*"), *files(suite.site.layout.home, "*.log*")):
        with contextlib.suppress(FileNotFoundError):
            written[path] = path.read_bytes()
    return written


def files(beneath: Path, pattern: str) -> Iterator[Path]:
    for folder, _, names in os.walk(beneath):
        yield from (path for name in fnmatch.filter(names, pattern) if (path := Path(folder, name)).is_file())


def generated(suite: Suite) -> dict[str, str]:
    """Every secret of the suite; the broker's user is a name, which it logs."""
    everything = dataclasses.asdict(suite.secrets)
    clients = {f"client secret of {name}": secret for name, secret in everything.pop("client_secrets").items()}
    return {name: str(secret) for name, secret in everything.items() if name != "rabbitmq_user"} | clients


@pytest.mark.timeout(300)
async def test_no_log_holds_a_secret(suite: Suite, gateway: httpx.AsyncClient, register_user: RegisterUser) -> None:
    journey = Journey(gateway, await register_user())
    await journey.uses_tokens()
    await journey.uses_an_api_key()
    await journey.is_malformed()
    await journey.confides()
    for store in ("postgres", "redis", "redis-cache", "rabbitmq"):
        async with without(suite, store):
            assert (await journey.log_in(journey.new(f"password without {store}"))).status_code in (401, 503)
        await until_well(gateway, store)

    written = logs(suite)
    used = {name: value.encode() for name, value in (journey.used | generated(suite)).items()}
    found = {(path.name, name) for path, lines in written.items() for name, value in used.items() if value in lines}

    assert found == set()
    assert journey.request_id.encode() in written[suite.site.layout.log("auth")], "the journey is in the logs"


async def test_a_failed_statement_is_told_without_its_values(suite: Suite, gateway: httpx.AsyncClient) -> None:
    """What a store refuses goes into the log with its cause, as `repr` tells it."""
    secret = f"confidential-{secrets.token_hex(12)}"

    async with open_database(suite.url("postgres"), "auth", MIGRATIONS) as database, database.session() as session:
        with pytest.raises(DBAPIError) as failed:
            await session.execute(text("SELECT no_such_column WHERE :given <> ''"), {"given": secret})

    assert "no_such_column" in repr(failed.value)
    assert secret not in repr(failed.value)
