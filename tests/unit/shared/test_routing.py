"""The index of routes finds the route that trying one after the other would find."""

import itertools
import re

import httpx
import pytest
from fastapi.routing import APIRoute
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from shared.web.routing import RouteIndex
from tests.architecture.apps import APPS, app_of

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE")
VALUES = ("create", "list", "019ab", "a/b", "a/records/b", "", "é")


async def endpoint(**_: str) -> None: ...


def index_of(app: str) -> RouteIndex:
    [index] = [route for route in app_of(app).router.routes if isinstance(route, RouteIndex)]
    return index


def scope_of(method: str, path: str) -> Scope:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}


def one_after_the_other(routes: tuple[APIRoute, ...], scope: Scope) -> tuple[Match, object]:
    partial: tuple[Match, object] = Match.NONE, None
    for route in routes:
        match, found = route.matches(scope)
        if match == Match.FULL:
            return match, found["route"]
        if match == Match.PARTIAL and partial[0] == Match.NONE:
            partial = match, found["route"]
    if partial[0] == Match.PARTIAL and scope["method"] == "HEAD":
        return one_after_the_other(routes, {**scope, "method": "GET"})
    return partial


@pytest.mark.parametrize("app", APPS)
def test_it_finds_what_trying_one_after_the_other_finds(app: str) -> None:
    index = index_of(app)
    filled = {re.sub(r"{[^}]+}", value, route.path) for route in index.routes for value in VALUES}
    paths = filled | {path + more for path in filled for more in ("/", "/x", "/x/y/z/x/y/z")} | {"", "/", "*"}

    for method, path in itertools.product(METHODS, sorted(paths)):
        match, found = index.matches(scope_of(method, path))
        assert (match, found.get("route")) == one_after_the_other(index.routes, scope_of(method, path)), (method, path)


def test_no_path_has_more_than_a_few_to_try() -> None:
    assert max(len(index_of(app).candidates(route.path)) for app in APPS for route in index_of(app).routes) <= 16


async def test_a_span_that_is_recorded_bears_the_routes_name() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    index, scope = RouteIndex([APIRoute("/things/{id}", endpoint)]), scope_of("TRACE", "/things/7")
    scope.update(index.matches(scope)[1])

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None: ...

    with provider.get_tracer("test").start_as_current_span("request"):
        await answered(index, scope, receive, send)

    [span] = exporter.get_finished_spans()
    assert (span.name, dict(span.attributes or {})) == ("TRACE /things/{id}", {"http.route": "/things/{id}"})


async def answered(index: RouteIndex, scope: Scope, receive: Receive, send: Send) -> None:
    """405: the route takes GET alone, so nothing of the request is needed."""
    await index.handle(scope, receive, send)


@pytest.mark.parametrize("app", APPS)
async def test_the_document_of_a_service_is_none_of_its_things(app: str) -> None:
    """`/api/v1/agents/{id}` would take it for one."""
    service = app_of(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url=f"http://{app}") as client:
        answer = await client.get(service.openapi_url or "")

    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == service.title
