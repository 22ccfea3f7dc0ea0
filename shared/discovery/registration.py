"""Keeps an instance registered in Consul."""

import asyncio
import logging

import consul.base
import httpx

from shared.discovery.consul import CONSUL_ERRORS, ConsulClient, TokenRefused
from shared.ending import end
from shared.loops import keep
from shared.tls import meant

_log = logging.getLogger("shared.discovery")
_HEARTBEAT_SECONDS = 3.0


class Registration:
    """Keeps one instance registered: from when it answers, again whenever the agent forgot it, until it drains.

    Consul checks `/health/live`: an instance whose store is down still gives a better answer (503 naming the store)
    than a gateway that was told there is nobody.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        *,
        service: str,
        instance_id: str,
        host: str,
        port: int,
        token: str | None = None,
        own: httpx.AsyncClient | None = None,
    ) -> None:
        """`own` is a pool for our own processes where these talk by TLS, and then this one is asked by it too."""
        self._consul = ConsulClient(url, client, token)
        self._own, self._uses_tls = own or client, own is not None
        self._service, self._id, self._host, self._port = service, instance_id, host, port
        self._live_url = f"{'https' if own else 'http'}://{host}:{port}/health/live"
        self._task: asyncio.Task[None] | None = None
        self._is_ours = False
        self._refusal: TokenRefused | None = None

    def require_accepted(self) -> None:
        """Raises TokenRefused while Consul does not let this process register its name."""
        if self._refusal:
            raise self._refusal.with_traceback(None)  # which would grow each time

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_registered(), name="consul:registration")

    async def _keep_registered(self) -> None:
        while not await self._is_listening():  # noqa: ASYNC110 - an HTTP answer has no event to wait on
            await asyncio.sleep(0.05)
        await keep(
            self._keep_known,
            log=_log,
            every_seconds=_HEARTBEAT_SECONDS,
            retry_seconds=_HEARTBEAT_SECONDS,
            expected=CONSUL_ERRORS,
        )

    async def _is_listening(self) -> bool:
        try:
            wanted = meant(self._service) if self._uses_tls else None
            return (await self._own.get(self._live_url, timeout=1, extensions=wanted)).is_success
        except httpx.HTTPError:
            return False

    async def _keep_known(self) -> None:
        try:
            if not (self._is_ours and self._id in await self._consul.agent.services()):
                await self._register()
            self._refusal = None
        except TokenRefused as refusal:
            self._refusal = refusal
            raise

    async def _register(self) -> None:
        """Once by every process: what the agent knows of another may be kept in force by a token that is none now."""
        check = consul.base.Check.http(
            self._live_url,
            interval="2s",
            timeout="2s",
            deregister="1m",
            tls_skip_verify=self._uses_tls,  # Consul does not know our authority, and its check sends nothing secret
        )
        await self._consul.agent.service.register(
            self._service,
            service_id=self._id,
            address=self._host,
            port=self._port,
            check={**check, "status": "passing"},  # it answered us just now: no need to wait for the first check
        )
        self._is_ours = True
        _log.info("registered", extra={"fields": {"instance": self._id}})

    async def deregister(self) -> None:
        """Leave Consul, and stop coming back. Safe to call twice; a Consul that is away is logged, not raised."""
        if self._task is None:
            return
        await end(self._task)
        self._task = None
        try:
            await self._consul.agent.service.deregister(self._id)
        except CONSUL_ERRORS as error:
            _log.warning("cannot deregister", extra={"fields": {"cause": repr(error)}})
