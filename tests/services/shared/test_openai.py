"""What an operation in OpenAI's shape gets by default, shown on a small app of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query
from pydantic import Field

from local.suite import Suite
from shared.door import Keyed, requires, takes
from shared.errors import Conflict, NotFound, Unavailable
from shared.identity import Caller
from shared.limits import tell_quota
from shared.openai import OpenAIKeyedRoute, OpenAIRequest, OpenAIRoute, Unsupported, openai_responses
from shared.platform import open_platform
from shared.web import create_service
from tests.fixtures.apps import alive
from tests.fixtures.identity import User
from tests.services.shared.small import settings_of

SECRET = "the database password is hunter2"
ECHO = "/api/v1/echo"


class Part(OpenAIRequest):
    content: str


class Echo(OpenAIRequest):
    messages: list[Part] = Field(max_length=9)
    n: Literal[1] = 1
    logit_bias: Unsupported = None


class Gone(NotFound):
    code, meaning = "echo.model_not_found", "There is no such model."


def build(suite: Suite, **changes: Any) -> FastAPI:
    open_route = APIRouter(prefix=ECHO, route_class=OpenAIRoute)
    keyed = APIRouter(prefix=ECHO, route_class=OpenAIKeyedRoute)

    @open_route.get("/search")
    async def search(_: Annotated[Caller, requires("agents:read")], limit: Annotated[int, Query(ge=1)] = 1) -> int:
        return limit

    @open_route.get("/{name}", responses=openai_responses(Gone, Conflict))
    async def fail(name: str, _: Annotated[Caller, requires("agents:read")]) -> None:
        tell_quota("tokens-day", 1000, 86_400, unit="tokens", remaining=40, resets_in_seconds=9)
        match name:
            case "gone":
                raise Gone
            case "held":
                raise Conflict
            case "away":
                raise Unavailable("redis")
            case "slow":
                await asyncio.Event().wait()
            case _:
                raise RuntimeError(SECRET)

    @open_route.patch("/{name}")
    async def change(name: str, _: Annotated[Caller, requires("agents:write")]) -> str:
        return name

    @keyed.post("")
    @takes(kib=2, values=40)
    async def create(body: Echo, _: Annotated[Caller, requires("agents:write")], __: Keyed) -> dict[str, Any]:
        return body.model_dump()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_platform(app) as platform:
            yield {"platform": platform}

    settings = settings_of(suite, **changes)
    routers = [open_route, keyed]
    return create_service("echo", settings, title="Echo", description="", lifespan=lifespan, routers=routers)


@pytest.fixture
def limit_seconds() -> int:
    return 50


@pytest.fixture
async def client(suite: Suite, user: User, limit_seconds: int) -> AsyncIterator[httpx.AsyncClient]:
    async with alive(build(suite, request_limit_seconds=limit_seconds)) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://echo", headers=user.headers) as client:
            yield client


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("name", "limit_seconds", "status", "kind", "code"),
    [
        ("gone", 50, 404, "not_found_error", "echo.model_not_found"),
        ("held", 50, 409, "conflict_error", "common.conflict"),
        ("away", 50, 503, "server_error", "common.unavailable"),
        ("slow", 2, 504, "server_error", "common.out_of_time"),
        ("odd", 50, 500, "server_error", "common.internal"),
    ],
)
async def test_an_error_is_worded_as_openais(
    client: httpx.AsyncClient, name: str, limit_seconds: int, status: int, kind: str, code: str
) -> None:
    answer = await client.get(f"{ECHO}/{name}")

    error = error_of(answer)
    assert (answer.status_code, error["type"], error["code"], error["param"]) == (status, kind, code, None)
    assert SECRET not in answer.text
    assert answer.headers["x-trace-id"] != "0" * 32


async def test_the_door_speaks_it_too(client: httpx.AsyncClient) -> None:
    nobody = await client.get(f"{ECHO}/gone", headers={"Authorization": "Bearer nobody's"})
    large = await client.post(ECHO, json={"messages": [{"content": "x" * 3000}]})
    text = await client.post(ECHO, content=b"{}", headers={"Content-Type": "text/plain"})
    many = await client.post(ECHO, json={"messages": [{"content": ""}] * 40})

    assert (nobody.status_code, error_of(nobody)["type"]) == (401, "authentication_error")
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    assert (large.status_code, error_of(large)["code"]) == (413, "common.too_large")
    assert (text.status_code, error_of(text)["type"]) == (415, "invalid_request_error")
    assert (many.status_code, error_of(many)["code"]) == (400, "common.too_complex")


@pytest.mark.parametrize("path", [ECHO, f"{ECHO}/search"], ids=["literal", "literal before a template"])
async def test_another_method_is_405(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.patch(path)

    assert (answer.status_code, error_of(answer)["code"]) == (405, "common.method_not_allowed")
    assert answer.headers["allow"]


async def test_what_is_not_valid_is_400_and_the_first_field_is_named(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"content": "a"}, {"content": 1}], "n": 2, "unknown": 1, "logit_bias": {}}

    answer = await client.post(ECHO, json=body)

    error = error_of(answer)
    assert (answer.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "common.invalid")
    assert error["param"] == "messages[1].content"
    assert "n: " in error["message"]
    assert "unknown: " in error["message"]
    assert "logit_bias: is not supported here" in error["message"]


async def test_of_many_bad_fields_the_first_are_told(client: httpx.AsyncClient) -> None:
    answer = await client.post(ECHO, json={"messages": [], **{f"x{number}": 1 for number in range(9)}})

    error = error_of(answer)
    assert "x4: " in error["message"]
    assert "x5: " not in error["message"]
    assert error["message"].endswith("and 4 more")


@pytest.mark.parametrize("name", ["x" * 1500, "\ud800"], ids=["long", "half a character"])
async def test_an_unusable_name_is_told_shortly(client: httpx.AsyncClient, name: str) -> None:
    body = json.dumps({"messages": [], name: 1})

    answer = await client.post(ECHO, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert len(error_of(answer)["message"]) < 300


async def test_a_parameter_of_the_query_is_named(client: httpx.AsyncClient) -> None:
    low, unknown = await client.get(f"{ECHO}/search?limit=0"), await client.get(f"{ECHO}/search?page=1")

    assert (low.status_code, error_of(low)["param"]) == (400, "limit")
    assert (unknown.status_code, error_of(unknown)["param"]) == (400, "page")


async def test_null_is_absent_where_a_member_may_be(client: httpx.AsyncClient) -> None:
    kept = await client.post(ECHO, json={"messages": [], "n": None, "logit_bias": None})
    needed = await client.post(ECHO, json={"messages": None})
    unknown = await client.post(ECHO, json={"messages": [], "unknown": None})

    assert (kept.status_code, kept.json()["n"]) == (200, 1)
    assert (needed.status_code, error_of(needed)["param"]) == (400, "messages")
    assert (unknown.status_code, error_of(unknown)["param"]) == (400, "unknown")


async def test_an_unusable_key_is_400(client: httpx.AsyncClient) -> None:
    answer = await client.post(ECHO, json={"messages": []}, headers={"Idempotency-Key": "with space"})

    assert (answer.status_code, error_of(answer)["param"]) == (400, "Idempotency-Key")


async def test_limits_are_told_as_openai_tells_them(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{ECHO}/gone")

    told = answer.headers
    policy, standing = told["ratelimit-policy"], told["ratelimit"]
    assert f"q={told['x-ratelimit-limit-requests']};" in policy
    assert f"r={told['x-ratelimit-remaining-requests']};" in standing
    assert told["x-ratelimit-reset-requests"].endswith("s")
    names = [f"x-ratelimit-{which}-tokens" for which in ("limit", "remaining", "reset")]
    assert [told[name] for name in names] == ["1000", "40", "9s"]
    assert int(told["openai-processing-ms"]) >= 0
    assert told["x-request-id"]


async def test_too_many_requests_are_429(suite: Suite, user: User, patient_limits: None) -> None:
    async with alive(build(suite, rate_limit_read="1 per 24 hours")) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://echo", headers=user.headers) as client:
            answers = [await client.get(f"{ECHO}/search") for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 429]
    assert error_of(answers[1])["type"] == "rate_limit_error"
    assert answers[1].headers["x-ratelimit-remaining-requests"] == "0"
    assert int(answers[1].headers["retry-after"]) > 0


async def test_the_document_tells_of_it(client: httpx.AsyncClient) -> None:
    document = (await client.get("/api/v1/echo/openapi.json")).json()

    responses = document["paths"][f"{ECHO}/{{name}}"]["get"]["responses"]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}}
    assert "422" not in responses
    assert {status: one["content"] for status, one in responses.items() if status >= "400"} == dict.fromkeys(
        ["404", "409", "400", "429", "500", "503", "504", "507", "401", "403"], content
    )
    assert "echo.model_not_found" in responses["404"]["description"]
    assert document["components"]["schemas"]["Echo"]["properties"]["n"]["anyOf"][1] == {"type": "null"}
