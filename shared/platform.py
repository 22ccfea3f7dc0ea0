"""What every service opens first: Redis, the HTTP pool, discovery, the door, health; closed in reverse at the end."""

import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from redis.asyncio import Redis

from shared.cache import open_redis
from shared.discovery import ConsulDiscovery, Discovery, Registration, StaticDiscovery
from shared.health import Health
from shared.http import ServiceClient, open_http_client
from shared.idempotency import Idempotency, StreamReplay
from shared.ids import new_id
from shared.pagination import CursorCodec
from shared.security import ApiKeyExchange, Authenticator, KeySource, RemoteApiKeys, RemoteKeys, TokenVerifier
from shared.settings import ServiceSettings

_log = logging.getLogger("shared.platform")


@dataclass(slots=True)
class Platform:
    """The machinery of one running service; routes reach it as `request.state.platform`."""

    settings: ServiceSettings
    health: Health
    redis: Redis
    services: ServiceClient
    discovery: Discovery
    authenticator: Authenticator
    idempotency: Idempotency
    cursors: CursorCodec
    registration: Registration | None

    async def drain(self) -> None:
        """Leave the load balancers: unready, then out of Consul. Requests are still answered."""
        self.health.draining = True
        if self.registration:
            await self.registration.deregister()


@asynccontextmanager
async def open_platform(
    app: FastAPI,
    *,
    keys: KeySource | None = None,
    api_keys: ApiKeyExchange | None = None,
    replay_stream: StreamReplay | None = None,
) -> AsyncIterator[Platform]:
    """Open it for `app`, made by `create_service`. auth gives its own `keys` and `api_keys`; the others ask auth."""
    settings: ServiceSettings = app.state.settings
    name: str = app.state.service
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http_client(settings.request_timeout_seconds))
        redis = await stack.enter_async_context(open_redis(settings.redis_url.get_secret_value()))
        health: Health = app.state.health
        discovery: Discovery = StaticDiscovery(settings.static_services)
        registration = None
        if settings.discovery == "consul" and settings.consul_url:
            consul = discovery = ConsulDiscovery(settings.consul_url, http)
            stack.push_async_callback(consul.aclose)
            health.add("consul", consul.ping, hard=False)
            registration = Registration(
                settings.consul_url,
                http,
                service=name,
                instance_id=f"{name}-{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}",
                host=settings.advertise_host,
                port=settings.port,
            )
        services = ServiceClient(discovery, http, app.state.metrics)
        verifier = TokenVerifier(
            keys or RemoteKeys(services), issuer=settings.auth_issuer, audience=settings.auth_audience
        )
        platform = Platform(
            settings=settings,
            health=health,
            redis=redis,
            services=services,
            discovery=discovery,
            authenticator=Authenticator(verifier, api_keys or RemoteApiKeys(services)),
            idempotency=Idempotency(redis, name, replay_stream),
            cursors=CursorCodec(settings.cursor_secret.get_secret_value()),
            registration=registration,
        )
        app.state.platform = platform
        if registration:
            stack.push_async_callback(registration.deregister)
            registration.start()
        yield platform
