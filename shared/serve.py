"""Runs a service under uvicorn, and stops it so that no caller notices: out of discovery first, sockets last."""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from shared import telemetry
from shared.settings import ServiceSettings

_KEEP_ALIVE_SECONDS = 75  # above the gateway's 60 s, so that it never sends into a connection we are closing
_DRAIN_SECONDS = 1.5  # how long the balancers take to hear that we left
_MAX_CONCURRENT = 2_000


class DrainingServer(uvicorn.Server):
    """On the first signal: unready and out of Consul, a moment for the balancers, then uvicorn's own shutdown."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is not None or sig == signal.SIGINT:  # a second signal means now
            super().handle_exit(sig, frame)
            return
        self._draining = asyncio.get_running_loop().create_task(self._drain(sig, frame))

    async def _drain(self, sig: int, frame: FrameType | None) -> None:
        platform = getattr(self._app.state, "platform", None)
        if platform is not None:
            await platform.drain()
            await asyncio.sleep(_DRAIN_SECONDS)
        super().handle_exit(sig, frame)


def serve(create_app: Callable[[], FastAPI]) -> None:
    """Build the app from its settings and serve it until told to stop."""
    app = create_app()
    settings: ServiceSettings = app.state.settings
    telemetry.configure(app.state.service, settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,  # EdgeMiddleware writes it, with the trace id
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        limit_concurrency=_MAX_CONCURRENT,
    )
    DrainingServer(config, app).run()
