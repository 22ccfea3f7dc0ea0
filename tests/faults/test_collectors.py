"""A collector of traces that is away, hangs or refuses: requests are answered as ever, few lines are logged, and the
process ends in time."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.suite import Suite
from tests.faults.processes import running
from tests.fixtures.identity import User
from tests.fixtures.ports import free_port
from tests.fixtures.working_time import working_time

ROUNDS, AT_ONCE = 60, 10  # whose spans are more than the queue to a collector holds
# A request that waited for a collector would take five, again and again; one round or two a busy machine may hold up.
SLOWEST_SECONDS, HELD_UP = 2.0, 2
END_SECONDS = 12.0


@contextmanager
def away() -> Iterator[str]:
    yield f"http://127.0.0.1:{free_port()}"


@contextmanager
def hanging() -> Iterator[str]:
    """Takes connections, and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def refusing() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def told_in(log: Path) -> list[dict[str, Any]]:
    """What OpenTelemetry has said in it; its last line may not be whole yet."""
    lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if line["logger"].startswith("opentelemetry")]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("collector", [away, hanging, refusing])
async def test_a_collector_that_does_not_take_traces_is_not_noticed(
    suite: Suite, auth: httpx.AsyncClient, user: User, tmp_path: Path, collector: object
) -> None:
    suite.up(["redis", "llm"])
    log = tmp_path / "log"
    assert callable(collector)
    since = time.monotonic()
    with collector() as url:
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_SAMPLE_RATIO": "1"}
        chat_runs = running(suite, "chat", log=log, RATE_LIMIT_READ="1000000/minute", **asked)
        async with chat_runs as chat, working_time() as had:
            rounds: list[float] = []
            while len(rounds) < ROUNDS or not told_in(log):  # of one that hangs after its five seconds
                began = had.seconds
                asking = (chat.client.get("/api/v1/chat/conversations", headers=user.headers) for _ in range(AT_ONCE))
                assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
                rounds.append(had.seconds - began)
            began = had.seconds
            chat.process.terminate()
            await chat.process.wait()
            took = had.seconds - began

    told = told_in(log)
    minutes = 1 + (time.monotonic() - since) // 60
    assert sorted(rounds)[-1 - HELD_UP] < SLOWEST_SECONDS
    assert took < END_SECONDS
    assert 1 <= len(told) <= 4 * (minutes + 1), told
