"""Small real servers beside chat: a model and neighbours that do, and fail, exactly what a test tells them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import parse_qs

import uvicorn

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
STARTED = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


class _Server(uvicorn.Server):
    """Begins and ends when it is told to, and not at the next look ten times a second: there are thousands."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started, self.is_over = asyncio.Event(), asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:  # several servers in one process: none of them owns the signals
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)  # which has headers for all answers made
        self.has_started.set()
        await self.is_over.wait()


@asynccontextmanager
async def serving(app: Any, *, lifespan: str = "off") -> AsyncIterator[str]:
    """The address of `app`, served on a free port by uvicorn in this loop."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan=lifespan, timeout_graceful_shutdown=5)  # type: ignore[arg-type]
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    starting = asyncio.create_task(server.has_started.wait())
    await asyncio.wait({task, starting}, return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.is_over.set()
        await task


async def read_body(receive: Receive) -> Any:
    body = b""
    while True:
        message: dict[str, Any] = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return json.loads(body) if body else None


async def answer(send: Send, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    pairs = {"content-type": "application/json", **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


class ModelServer:
    """An OpenAI-compatible server that says `pieces`."""

    def __init__(self) -> None:
        self.pieces = ["The warranty", " lasts", " 27 months [1]."]
        self.usage: dict[str, int] | None = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
        self.refuses: list[tuple[int, Any, dict[str, str]]] = []  # answered first, one a request
        self.scripted: list[list[dict[str, Any]]] = []  # said instead of `pieces`: the chunks of one request each
        self.models: list[dict[str, Any]] = []  # what it lists
        self.props: dict[str, Any] | None = None  # as llama.cpp's server tells them
        self.headers: list[dict[str, str]] = []  # that `asked` came with
        self.raw: list[bytes] = []  # said instead of either: the body of one request each
        self.breaks_after: int | None = None  # pieces, then the connection is cut
        self.is_silent = False  # takes the request and never answers
        self.go_on = asyncio.Event()  # cleared: waits after the first piece
        self.go_on.set()
        self.asked: list[dict[str, Any]] = []
        self.is_generating = asyncio.Event()
        self.was_left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/models"):
            await answer(send, 200, {"object": "list", "data": self.models})
            return
        if scope["path"] == "/props":
            await (answer(send, 200, self.props) if self.props else answer(send, 404, {}))
            return
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.asked.append(await read_body(receive))
        if self.refuses:
            await answer(send, *self.refuses.pop(0))
            return
        generating = asyncio.create_task(self._generate(send))
        leaving = asyncio.create_task(self._left(receive))
        await asyncio.wait({generating, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not generating.done():
            generating.cancel()
            self.was_left.set()
            return
        await generating

    async def _left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _generate(self, send: Send) -> None:
        if self.is_silent:
            self.is_generating.set()
            await asyncio.Event().wait()
        await send(STARTED)
        if self.raw:
            await send({"type": "http.response.body", "body": self.raw.pop(0)})
            return
        if self.scripted:
            for chunk in self.scripted.pop(0):
                await self._say(send, chunk)
                self.is_generating.set()
                await self.go_on.wait()
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
            return
        for number, piece in enumerate(self.pieces):
            if number == self.breaks_after:
                raise ConnectionAbortedError("as told")
            await self._say(send, {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            self.is_generating.set()
            await self.go_on.wait()
        await self._say(send, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if self.usage:
            await self._say(send, {"choices": [], "usage": self.usage})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    async def _say(self, send: Send, chunk: dict[str, Any]) -> None:
        await send(
            {"type": "http.response.body", "body": b"data: %b\n\n" % json.dumps(chunk).encode(), "more_body": True}
        )


def beside(model: ModelServer, neighbours: "Neighbours") -> App:
    """Both at one address: a model's paths are no neighbour's."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_model = scope["path"].startswith(("/v1/", "/props"))
        await (model if is_model else neighbours)(scope, receive, send)

    return app


class Neighbours:
    """agents, vectors and tasks, as far as chat asks them."""

    def __init__(self) -> None:
        self.agents: dict[str, dict[str, Any]] = {}
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.vectors_problem: tuple[int, str] | None = None
        self.refuses_hybrid: tuple[int, str] | None = None
        self.searches: list[dict[str, Any]] = []
        self.stores: dict[str, list[dict[str, Any]]] = {}  # parts of files, by the vector store
        self.delegates: dict[str, dict[str, str]] = {}  # by the agent that delegates: ids by name
        self.tools: list[dict[str, Any]] = []  # what the tenant has defined
        self.tool_results: dict[str, dict[str, Any]] = {}
        self.tools_problem: tuple[int, str] | None = None
        self.call_problem: tuple[int, str] | None = None
        self.go_on = asyncio.Event()  # cleared: a tool waits
        self.go_on.set()
        self.is_calling = asyncio.Event()
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.listed = 0
        self.submitted: dict[str, dict[str, Any]] = {}  # by idempotency key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if not any(name == b"authorization" and value.startswith(b"Bearer ") for name, value in scope["headers"]):
            await _problem(send, 401, "common.unauthenticated")
        elif scope["path"].endswith("/relations"):
            names = self.delegates.get(scope["path"].split("/")[-2], {})
            items = [{"agent": {"id": agent_id, "name": name}} for name, agent_id in names.items()]
            await answer(send, 200, {"items": items, "next_cursor": None})
        elif scope["path"] == "/internal/agents":
            [name] = parse_qs(scope["query_string"].decode())["name"]
            named = [one for one in self.agents.values() if one["name"].casefold() == name.casefold()]
            await (answer(send, 200, named[0]) if named else _problem(send, 404, "agents.not_found"))
        elif scope["path"] == "/api/v1/agents/list":
            await answer(send, 200, {"items": list(self.agents.values())[:100], "next_cursor": None})
        elif scope["path"].startswith("/api/v1/agents/"):
            found = self.agents.get(scope["path"].rsplit("/", 1)[1])
            await (answer(send, 200, found) if found else _problem(send, 404, "agents.not_found"))
        elif scope["path"].startswith("/internal/agents/"):
            await self._tool(scope["path"], body, send)
        elif scope["path"] == "/api/v1/tasks/submit":
            key = dict(scope["headers"])[b"idempotency-key"].decode()
            self.submitted[key] = body
            await answer(send, 202, {"id": "0190", "status": "queued"})
        elif scope["path"].startswith("/api/v1/vector_stores/"):
            await self._search_store(scope["path"].split("/")[-2], body, send)
        else:
            await self._search(body, send)

    async def _tool(self, path: str, body: dict[str, Any] | None, send: Send) -> None:
        if self.tools_problem:
            await _problem(send, *self.tools_problem)
        elif body is None:
            self.listed += 1
            await answer(send, 200, {"tools": self.tools})
        elif self.call_problem:
            await _problem(send, *self.call_problem)
        else:
            name = path.split("/")[-2]
            self.called.append((name, body["arguments"]))
            self.is_calling.set()
            await self.go_on.wait()
            result = {"content": "ok", "is_error": False, "is_truncated": False}
            await answer(send, 200, result | self.tool_results.get(name, {}))

    async def _search_store(self, store: str, body: dict[str, Any], send: Send) -> None:
        self.searches.append({"store": store, **body})
        if self.vectors_problem:
            await _problem(send, *self.vectors_problem)
        elif store not in self.stores:
            await _problem(send, 404, "vectors.collection_not_found")
        else:
            found = self.stores[store][: body["max_num_results"]]
            await answer(send, 200, {"search_query": [body["query"]], "data": found, "has_more": False})

    async def _search(self, body: dict[str, Any], send: Send) -> None:
        self.searches.append(body)
        if self.vectors_problem:
            await _problem(send, *self.vectors_problem)
        elif self.refuses_hybrid and body.get("mode") == "hybrid":
            await _problem(send, *self.refuses_hybrid)
        elif body["collection"] not in self.collections:
            await _problem(send, 404, "vectors.collection_not_found")
        else:
            results = self.collections[body["collection"]][: body["k"]]
            await answer(send, 200, {"engine": "faiss", "results": results, "took_ms": 1})


async def _problem(send: Send, status: int, code: str) -> None:
    await answer(send, status, {"code": code, "title": "Refused", "detail": f"refused: {code}"})
