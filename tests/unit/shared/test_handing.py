"""What a route hands to its endpoint without FastAPI being asked."""

import inspect
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from shared.door import GuardedRoute, held, requires
from shared.door.handing import handed
from shared.identity import Caller

Shelf = Annotated[list[str], held("shelf")]


async def test_an_endpoint_gets_what_the_lifespan_yields_and_the_document_says_nothing_of_it() -> None:
    router = APIRouter(route_class=GuardedRoute)

    @router.get("/first/{at}")
    async def first(shelf: Shelf, at: int) -> dict[str, str]:
        return {"found": shelf[at]}

    app = FastAPI()
    app.include_router(router)
    transport = httpx.ASGITransport(_with_state(app, {"shelf": ["a", "b"]}))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/first/1")

    assert answer.json() == {"found": "b"}
    assert [one["name"] for one in app.openapi()["paths"]["/first/{at}"]["get"]["parameters"]] == ["at"]


def test_two_callers_are_refused() -> None:
    async def endpoint(
        one: Annotated[Caller, requires("agents:read")], other: Annotated[Caller, requires("agents:write")]
    ) -> None: ...

    with pytest.raises(TypeError, match="demands 2 callers"):
        handed(endpoint)


def test_an_endpoint_that_asks_for_neither_is_left_as_it_is() -> None:
    async def endpoint(at: int) -> None: ...

    assert handed(endpoint) == (None, endpoint)
    assert list(inspect.signature(endpoint).parameters) == ["at"]


def _with_state(app: FastAPI, state: dict[str, Any]) -> Any:
    async def started(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": state}, receive, send)

    return started
