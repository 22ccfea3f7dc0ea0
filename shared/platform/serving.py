"""Runs a service under uvicorn, and stops it so that no caller notices: out of discovery first, sockets last."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import SettingsError

from shared import telemetry
from shared.limits import MOST_AT_ONCE
from shared.platform.starting import SETTINGS_ARE_WRONG, Starting, claimed, end, refusals
from shared.settings import CannotStart, ServiceSettings
from shared.tls import Tls

_log = logging.getLogger("shared.platform")
_KEEP_ALIVE_SECONDS = 75  # above the gateway's 60 s, so that it never sends into a connection we are closing
_DRAIN_SECONDS = 1.5  # how long the balancers take to hear that we left
_MAX_CONNECTIONS = 4 * MOST_AT_ONCE  # beyond it uvicorn answers by itself, in bare text


class DrainingServer(uvicorn.Server):
    """On the first signal: unready and out of Consul, a moment for the balancers, then uvicorn's own shutdown."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve. What was made until now stays for good, so that no collection stops to look through it."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is not None or sig == signal.SIGINT:  # a second signal means now
            super().handle_exit(sig, frame)
            return
        self._draining = asyncio.get_running_loop().create_task(self._drain(sig, frame))

    async def _drain(self, sig: int, frame: FrameType | None) -> None:
        platform = getattr(self._app.state, "platform", None)
        if platform is not None:
            try:
                await platform.drain()
            except Exception:  # noqa: BLE001 - whoever is told to end ends
                _log.exception("left discovery in disorder")
            await asyncio.sleep(_DRAIN_SECONDS)
        super().handle_exit(sig, frame)


def serve(create_app: Callable[[], FastAPI]) -> None:
    """Build the app from its settings and serve it until told to stop.

    Settings that cannot be started with end the process with EX_CONFIG and a line on stderr for each of them; a store
    that is needed and away ends it with EX_TEMPFAIL and a line.
    """
    try:
        app = create_app()
        settings: ServiceSettings = app.state.settings
        address = claimed(settings.host, settings.port)
    except (ValidationError, SettingsError) as error:
        sys.stderr.writelines(f"cannot start: {line}\n" for line in refusals(error))
        sys.exit(SETTINGS_ARE_WRONG)
    except CannotStart as refusal:
        end(refusal)
    tls: Tls | None = app.state.tls
    end_telemetry = telemetry.configure(app.state.service, settings)
    app.openapi()  # here, as the first who needs it would hold the loop for a third of a second
    starting = Starting(app)
    config = uvicorn.Config(
        starting,
        interface="asgi3",
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,  # EdgeMiddleware writes it, with the trace id
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        limit_concurrency=_MAX_CONNECTIONS,
        ssl_context_factory=(lambda *_: tls.server) if tls else None,
    )
    try:
        DrainingServer(config, app).run(sockets=[address])
    except SystemExit:
        if starting.failure:
            end(starting.failure)
        raise
    finally:
        end_telemetry()
