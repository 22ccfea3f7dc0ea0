"""S17: a fault of ours, or of a store, is told to the caller by a code and a trace id and in no other word of it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI

from local.suite import Suite
from services.topology import SERVICES
from shared.door import GuardedRoute, requires
from shared.errors import Problem
from shared.identity import Caller
from tests.fixtures.apps import build_app
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.relay import Relay
from tests.security.spec import MISSING_ID

SECRET = "postgresql://user:hunter2@10.1.2.3:5432/auth"
FAULT = "/api/v1/fault"
# Text of drivers and of the operating system, and where the stores are.
INNER = re.compile(
    r"hunter2|errno|traceback|connect|refused|asyncpg|sqlalchemy|bolt|neo4j\.|redis\.|chroma_|127\.0\.0\.1|localhost|"
    r"password|exception|:\d{4,5}|select |\.py\b",
    re.IGNORECASE,
)
DOCUMENTED = Problem.model_fields.keys() - {"errors"}


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://service", timeout=PATIENCE_SECONDS
        ) as client:
            yield client


def faulty(kind: type[Exception]) -> APIRouter:
    """A route of a service like all its others, with a fault in it."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get(FAULT)
    async def fault(_: Annotated[Caller, requires("auth:profile")]) -> None:
        raise kind(f"could not connect to {SECRET}") from OSError(111, f"Connect call failed {SECRET}")

    return router


def assert_says_only(answer: httpx.Response, status: int, code: str) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.keys() == DOCUMENTED
    assert problem["trace_id"] == answer.headers["x-trace-id"] != "0" * 32
    said = answer.text.replace(problem["trace_id"], "").replace(problem["instance"], "")
    assert not INNER.search(said), answer.text
    assert not any(INNER.search(value) for name, value in answer.headers.items() if name != "x-trace-id")


@pytest.mark.parametrize("kind", [RuntimeError, ConnectionError, KeyError, ValueError])
@pytest.mark.parametrize("service", SERVICES)
async def test_a_fault_says_nothing_but_a_trace_id(
    suite: Suite, gateway: httpx.AsyncClient, user: User, tmp_path: Path, service: str, kind: type[Exception]
) -> None:
    own = {"data_dir": tmp_path} if service == "vectors" else {}
    app = build_app(suite, service, **own)
    app.include_router(faulty(kind))

    async with running(app) as client:
        answer = await client.get(FAULT, headers=user.headers)

    assert_says_only(answer, 500, "common.internal")


# Where each service's store is told, a read that needs it, and what the caller is told instead of the driver's text.
NOWHERE = {
    "agents": ({"neo4j_url": "bolt://127.0.0.1:1"}, f"/api/v1/agents/{MISSING_ID}"),
    "chat": ({"redis_url": f"redis://:hunter2{'x' * 16}@127.0.0.1:1/0"}, "/api/v1/chat/conversations"),
}


@pytest.mark.parametrize("service", NOWHERE)
async def test_a_store_that_was_never_there_is_only_named(
    suite: Suite, gateway: httpx.AsyncClient, user: User, service: str
) -> None:
    settings, path = NOWHERE[service]

    async with running(build_app(suite, service, **settings)) as client:
        answer = await client.get(path, headers=user.headers)
        ready = await client.get("/health/ready")

    assert_says_only(answer, 503, "common.unavailable")
    assert not INNER.search(str(ready.json()["checks"]))


@pytest.mark.parametrize(("service", "path"), [("auth", "auth/me"), ("tasks", "tasks/list")])
async def test_a_database_that_went_away_is_only_named(
    suite: Suite, gateway: httpx.AsyncClient, user: User, service: str, path: str
) -> None:
    relay = Relay(suite.url("postgres"))
    await relay.open()

    async with running(build_app(suite, service, database_url=relay.url)) as client:
        before = await client.get(f"/api/v1/{path}", headers=user.headers)
        await relay.close()
        answers = [await client.get(f"/api/v1/{path}", headers=user.headers) for _ in range(3)]
        ready = await client.get("/health/ready")

    assert before.status_code == 200, before.text
    for answer in answers:
        assert_says_only(answer, 503, "common.unavailable")
    assert not INNER.search(str(ready.json()["checks"]))


async def test_an_engine_that_went_away_is_only_named(
    suite: Suite, gateway: httpx.AsyncClient, user: User, tmp_path: Path
) -> None:
    body = {"name": "of-an-engine-that-goes", "engine": "chroma", "dimension": 3}
    async with running(build_app(suite, "vectors", chromadb_url="http://127.0.0.1:1", data_dir=tmp_path)) as client:
        answer = await client.post("/api/v1/vectors/collections", json=body, headers=user.headers)
        ready = await client.get("/health/ready")

    assert_says_only(answer, 503, "common.unavailable")
    assert not INNER.search(str(ready.json()["checks"]))
