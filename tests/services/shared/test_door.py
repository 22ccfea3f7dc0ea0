"""The door of a route: who gets in, and that the endpoint hears who it is from nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query, Request

from local.suite import Suite
from shared.door import GuardedRoute, caller_of, requires
from shared.identity import Caller, acted_for
from shared.settings import ServiceSettings
from shared.web import create_service
from tests.fixtures.apps import alive
from tests.services.shared.limited import build, headers_of

Reader = Annotated[Caller, requires("things:read")]


def doors() -> APIRouter:
    router = APIRouter(prefix="/doors", route_class=GuardedRoute)

    @router.get("/{name}")
    async def whoever(name: str, caller: Reader, request: Request, subject: str = "") -> dict[str, str]:
        return {"name": name, "subject": caller.subject, "path": request.url.path, "claimed": subject}

    @router.get("/many/{name}")
    async def many(name: str, colours: Annotated[list[str] | None, Query()] = None) -> list[str]:
        return [name, *(colours or ())]

    @router.post("/body")
    async def with_a_body(body: dict[str, Any], caller: Reader) -> dict[str, Any]:
        return {"subject": caller.subject, "body": body}

    @router.get("/for/{name}")
    async def for_whom(name: str, caller: Reader) -> list[str]:
        await asyncio.sleep(0)
        working_for = acted_for()
        return [name, caller.subject, working_for.subject if working_for else ""]

    @router.get("/open/door")
    async def nobody(request: Request) -> str:
        return caller_of(request).subject

    return router


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    app = build(suite.url("redis-cache"))
    app.include_router(doors())
    async with alive(app) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
            yield client


async def test_an_endpoint_is_given_its_caller_beside_everything_else(client: httpx.AsyncClient) -> None:
    answer = await client.get("/doors/front?subject=root", headers=headers_of("ada"))

    assert answer.json() == {"name": "front", "subject": "ada", "path": "/doors/front", "claimed": "root"}


async def test_a_query_names_nothing_unknown_and_nothing_twice(client: httpx.AsyncClient) -> None:
    """The caller is no parameter of it either; what is said of it is bounded, and said to nobody unknown."""
    query = f"subject=a&caller=root&subject=b&{'x' * 300}=1&subject=c"
    many = "&".join(f"p{number}" for number in range(2_000))

    answer = await client.get(f"/doors/front?{query}", headers=headers_of("ada"))
    flooded = await client.get(f"/doors/front?{many}", headers=headers_of("ada"))

    assert (answer.status_code, answer.json()["code"]) == (422, "common.invalid")
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [
        ("query/caller", "query_unknown"),
        ("query/subject", "query_repeated"),
        (f"query/{'x' * 64}", "query_unknown"),
        ("query/subject", "query_repeated"),
    ]
    assert (flooded.status_code, len(flooded.json()["errors"])) == (422, 20)
    assert (await client.get(f"/doors/front?{many}")).status_code == 401
    assert (await client.get("/doors/front?&", headers=headers_of("ada"))).status_code == 200
    assert (await client.get("/doors/many/a?colours=red&colours=blue")).json() == ["a", "red", "blue"]
    assert (await client.get("/doors/many/a?colours=red&colour=blue")).status_code == 422


async def test_what_is_done_for_a_request_is_done_for_its_caller_alone(client: httpx.AsyncClient) -> None:
    asked = [client.get(f"/doors/for/{one}", headers=headers_of(one)) for one in ("ada", "bob", "cleo")]

    answers = [answer.json() for answer in await asyncio.gather(*asked)]

    assert answers == [[one, one, one] for one in ("ada", "bob", "cleo")]
    assert (await client.get("/doors/for/dan", headers=headers_of("dan"))).status_code == 200
    assert (await client.get("/doors/for/eve", headers=headers_of("eve", scope="things:write"))).status_code == 403
    assert acted_for() is None


async def test_a_body_is_not_taken_for_the_caller(client: httpx.AsyncClient) -> None:
    claimed = {"caller": {"subject": "root"}, "subject": "root"}

    answer = await client.post("/doors/body", json=claimed, headers=headers_of("ada"))

    assert answer.json() == {"subject": "ada", "body": claimed}


async def test_nothing_is_made_of_a_body_before_the_credential(client: httpx.AsyncClient) -> None:
    """It is taken, so that its sender gets the answer, and not looked at: what is no JSON would be 422."""
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"no json"

    answers = [
        await client.post("/doors/body", content=body(), headers={"content-type": "application/json"}),
        await client.post("/doors/body", content=body(), headers=headers_of("ada", scope="things:write")),
    ]

    assert [answer.status_code for answer in answers] == [401, 403]
    assert read == 2


async def test_an_endpoint_that_demands_nobody_cannot_have_a_caller(client: httpx.AsyncClient) -> None:
    assert (await client.get("/doors/open/door", headers=headers_of("ada"))).status_code == 500


def test_an_endpoint_that_would_block_the_loop_is_refused() -> None:
    with pytest.raises(TypeError, match="no coroutine"):
        GuardedRoute("/", lambda: None)


def test_an_endpoint_has_one_caller() -> None:
    async def torn(one: Reader, other: Reader) -> None: ...

    with pytest.raises(TypeError, match="2 callers"):
        GuardedRoute("/", torn)


def test_a_service_takes_no_route_without_a_door() -> None:
    router = APIRouter()

    @router.get("/unguarded")
    async def unguarded(caller: Reader) -> str:
        return caller.subject

    with pytest.raises(TypeError, match="unguarded"):
        _service(router)


def test_nor_one_that_is_no_request() -> None:
    router = APIRouter(route_class=GuardedRoute)

    @router.websocket("/unguarded")
    async def unguarded(caller: Reader) -> None: ...

    with pytest.raises(TypeError, match="GuardedRoute"):
        _service(router)


def _service(router: APIRouter) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    settings = ServiceSettings(
        environment="local", redis_url="redis://127.0.0.1:1", rabbitmq_url="amqp://127.0.0.1:1", cursor_secret="c" * 32
    )
    return create_service("things", settings, title="Things", description="", lifespan=lifespan, routers=[router])
