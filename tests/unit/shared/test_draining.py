"""A process that is told to end ends, whatever fails as it leaves."""

import asyncio
import signal
from types import SimpleNamespace

import uvicorn
from fastapi import FastAPI

from shared.platform.serving import DrainingServer
from tests.fixtures.patience import PATIENCE_SECONDS


async def test_what_fails_as_it_leaves_discovery_keeps_no_process() -> None:
    async def drain() -> None:
        raise KeyError("of a client")

    app = FastAPI()
    app.state.platform = SimpleNamespace(drain=drain)
    server = DrainingServer(uvicorn.Config(app, log_config=None), app)

    server.handle_exit(signal.SIGTERM, None)

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not server.should_exit:  # noqa: ASYNC110 - uvicorn tells by this alone
            await asyncio.sleep(0.01)
