"""What every service gets by default, shown on a small app of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from local.suite import Suite
from shared.door import ClaimingRoute, Keyed, requires, takes
from shared.identity import Caller
from shared.platform import open_platform
from shared.schemas import RequestModel
from shared.web import create_service
from tests.fixtures.apps import alive
from tests.fixtures.identity import User
from tests.services.shared.small import settings_of

SECRET = "the database password is hunter2"


class Note(RequestModel):
    text: str


class Counter:
    value = 0


def build(suite: Suite, counter: Counter, redis_url: str | None = None) -> FastAPI:
    router = APIRouter(prefix="/api/v1/notes", route_class=ClaimingRoute)

    @router.post("", status_code=201)
    @takes(kib=2, values=10, texts=20, depth=3)
    async def create(body: Note, _: Annotated[Caller, requires("agents:write")], once: Keyed) -> dict[str, int]:
        counter.value += 1
        if body.text == "fail":
            raise RuntimeError(SECRET)
        return {"number": counter.value}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_platform(app) as platform:
            yield {"platform": platform}

    settings = settings_of(suite, redis_url=redis_url or suite.url("redis-cache"))
    return create_service("notes", settings, title="Notes", description="", lifespan=lifespan, routers=[router])


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
async def client(suite: Suite, user: User, counter: Counter) -> AsyncIterator[httpx.AsyncClient]:
    async with alive(build(suite, counter)) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://notes", headers=user.headers) as client:
            yield client


NOTES = "/api/v1/notes"


async def test_an_unexpected_error_says_nothing_but_a_trace_id(client: httpx.AsyncClient) -> None:
    answer = await client.post(NOTES, json={"text": "fail"})

    assert answer.status_code == 500
    assert SECRET not in answer.text
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"] != "0" * 32


async def test_a_callers_request_id_and_trace_are_kept(client: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"X-Request-Id": "mine-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-00"}

    answer = await client.post(NOTES, json={"text": "x"}, headers=headers)

    assert (answer.headers["x-request-id"], answer.headers["x-trace-id"]) == ("mine-1", trace)


@pytest.mark.parametrize("given", ["x" * 129, "a b", "<script>"])
async def test_an_unsafe_request_id_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.post(NOTES, json={"text": "x"}, headers={"X-Request-Id": given})

    assert answer.headers["x-request-id"] != given


async def test_a_body_over_the_limit_is_413(client: httpx.AsyncClient) -> None:
    answer = await client.post(NOTES, json={"text": "x" * 3000})

    assert (answer.status_code, answer.json()["code"]) == (413, "common.too_large")


async def test_a_streamed_body_over_the_limit_is_413(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1000

    answer = await client.post(NOTES, content=chunks(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [{str(number): "x" for number in range(12)}, {"text": list(range(12))}, {"text": [[[]]]}],
    ids=["members", "items", "levels"],
)
async def test_a_body_that_holds_more_than_fits_is_refused_before_it_is_read(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await client.post(NOTES, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "common.too_complex")


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_kind_is_415(client: httpx.AsyncClient, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}

    answer = await client.post(NOTES, content=b'{"text": "x"}', headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "common.unsupported_media_type")


@pytest.mark.parametrize("content", [b'{"text": ', b"\xff\xfe", b'{"text": ' + b"1" * 1900 + b"}"])
async def test_a_body_that_cannot_be_read_is_422(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post(NOTES, content=content, headers={"Content-Type": "application/merge-patch+json"})

    assert (answer.status_code, answer.json()["code"]) == (422, "common.invalid")


async def test_nobody_has_a_body_read(client: httpx.AsyncClient) -> None:
    answer = await client.post(NOTES, content=b"x" * 3000, headers={"Authorization": "Bearer nobody's"})

    assert answer.status_code == 401


async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    unknown, wrong = await client.get("/nowhere"), await client.delete(NOTES)

    assert (unknown.status_code, unknown.json()["code"]) == (404, "common.no_route")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "common.method_not_allowed")
    assert wrong.headers["allow"] == "POST"


async def test_live_asks_nobody_and_ready_says_what_it_asked(client: httpx.AsyncClient) -> None:
    live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert live.json() == {"status": "pass"}
    assert ready.json()["service"] == "notes"


async def test_metrics_count_by_route_and_not_by_path(client: httpx.AsyncClient) -> None:
    await client.post(NOTES, json={"text": "x"})
    await client.get("/random/1")

    text = (await client.get("/metrics")).text

    assert 'http_server_request_duration_seconds_count{method="POST",route="/api/v1/notes",status="201"} 1.0' in text
    assert "/random/1" not in text


class TestIdempotency:
    """The same key and body: one effect, one answer."""

    async def test_a_repeated_request_gets_the_first_answer(self, client: httpx.AsyncClient, counter: Counter) -> None:
        headers = {"Idempotency-Key": "a"}

        first = await client.post(NOTES, json={"text": "x"}, headers=headers)
        again = await client.post(NOTES, json={"text": "x"}, headers=headers)

        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
        assert counter.value == 1

    async def test_another_body_under_the_same_key_is_refused(
        self, client: httpx.AsyncClient, counter: Counter
    ) -> None:
        headers = {"Idempotency-Key": "b"}
        await client.post(NOTES, json={"text": "x"}, headers=headers)

        other = await client.post(NOTES, json={"text": "y"}, headers=headers)

        assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")
        assert counter.value == 1

    async def test_a_refused_request_frees_its_key(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "c"}
        refused = await client.post(NOTES, json={"nope": 1}, headers=headers)

        corrected = await client.post(NOTES, json={"text": "x"}, headers=headers)

        assert (refused.status_code, corrected.status_code) == (422, 201)

    async def test_two_callers_do_not_share_keys(
        self, client: httpx.AsyncClient, other_user: User, counter: Counter
    ) -> None:
        headers = {"Idempotency-Key": "d"}
        await client.post(NOTES, json={"text": "x"}, headers=headers)

        stranger = await client.post(NOTES, json={"text": "x"}, headers=headers | other_user.headers)

        assert "idempotency-replayed" not in stranger.headers
        assert counter.value == 2

    @pytest.mark.parametrize("key", ["", "x" * 256, "with space"])
    async def test_an_unusable_key_is_422(self, client: httpx.AsyncClient, key: str, counter: Counter) -> None:
        answer = await client.post(NOTES, json={"text": "x"}, headers={"Idempotency-Key": key})

        assert answer.status_code == 422
        assert counter.value == 0

    async def test_without_redis_a_key_is_503_and_no_key_works(
        self, suite: Suite, user: User, counter: Counter
    ) -> None:
        async with alive(build(suite, counter, "redis://127.0.0.1:1/0")) as manager:
            transport = httpx.ASGITransport(manager.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://notes", headers=user.headers) as client:
                keyed = await client.post(NOTES, json={"text": "x"}, headers={"Idempotency-Key": "e"})
                plain = await client.post(NOTES, json={"text": "x"})

        assert (keyed.status_code, keyed.json()["detail"]) == (503, "redis is not available right now.")
        assert (plain.status_code, counter.value) == (201, 1)
