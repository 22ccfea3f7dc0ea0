"""What every service opens first: Redis, the HTTP pool, discovery, the door, health; closed in reverse at the end."""

import functools
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI, Request

from shared.calls import ServiceClient, http_pool_use, open_http_client
from shared.discovery import ConsulDiscovery, ConsulKeys, Discovery, Registration, StaticDiscovery
from shared.door import Idempotency, known_caller
from shared.errors import ServiceError
from shared.health import Health
from shared.identity import (
    SERVICE_PREFIX,
    ApiKeyExchange,
    Authenticator,
    Deed,
    KeySource,
    Refusals,
    RemoteApiKeys,
    RemoteChanges,
    RemoteKeys,
    RevocationFeed,
    RevocationSource,
    ServiceIdentity,
    Teller,
    TokenVerifier,
    followed,
    refusing,
    telling,
)
from shared.limits import MOST_AT_ONCE, RateLimiter, Shares, open_permits, source_of
from shared.live import LIVE_REMEDY, Change, ChangeNames, LiveSettings, prefix_of
from shared.loops import in_background
from shared.redis import REDIS_REMEDY, open_redis, write_and_read_back
from shared.resources import CursorCodec
from shared.settings import ClientSettings, ServiceSettings
from shared.storage import STORAGE_REMEDY, Storage
from shared.telemetry import measured_pool
from shared.tls import TLS_REMEDY, Tls
from shared.web import route_path


@dataclass(frozen=True, slots=True)
class Trust:
    """By what a service verifies its callers."""

    keys: KeySource
    api_keys: ApiKeyExchange
    revocations: RevocationSource


@dataclass(slots=True)
class Platform:
    """The machinery of one running service; routes reach it as `request.state.platform`."""

    settings: ServiceSettings
    health: Health
    services: ServiceClient
    identity: ServiceIdentity | None
    """This service as a client of auth; None in auth itself."""
    discovery: Discovery
    verifier: TokenVerifier
    authenticator: Authenticator
    rate_limiter: RateLimiter
    requests: Shares
    """The places of those that this process is at work on, each counted until there is an answer."""
    idempotency: Idempotency
    cursors: CursorCodec
    registration: Registration | None
    teller: Teller | None
    """By which auth's log is told; None in auth itself, which writes it, and where there is no auth."""
    refusals: Refusals | None
    live: LiveSettings
    """What changes while this process runs; whoever can change more than all can follows it."""

    def note_refusal(self, request: Request, refused: ServiceError) -> None:
        """Have auth's log say who was refused what; auth says its own where it refuses. Never raises, never waits."""
        if self.refusals:
            asked = f"{request.method} {route_path(request.scope)}"
            self.refusals.note(refused, known_caller(request), source=source_of(request), asked=asked)

    @property
    def auth(self) -> Teller:
        """Who is told what was done. Raises LookupError in auth."""
        if self.teller is None:
            raise LookupError("auth tells nobody")
        return self.teller

    async def drain(self) -> None:
        """Leave the load balancers: unready, then out of Consul. Requests are still answered."""
        self.health.draining = True
        if self.registration:
            await self.registration.deregister()


@asynccontextmanager
async def open_platform(
    app: FastAPI,
    *,
    trust: Trust | None = None,
    has_limits: bool = True,
) -> AsyncIterator[Platform]:
    """Open it for `app`, made by `create_service`. auth gives its own `trust`; the others ask auth.

    Without its Redis a service is ready, and has lost the limits and claims of keys that are counted there.
    """
    settings: ServiceSettings = app.state.settings
    name: str = app.state.service
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http_client(settings.request_timeout_seconds))
        inside = await _inside(app, http, stack)
        stack.enter_context(measured_pool("http", functools.partial(http_pool_use, inside)))
        setting, url = settings.redis_cache
        redis = await stack.enter_async_context(open_redis(url, setting=setting))
        if has_limits:
            probe = functools.partial(write_and_read_back, redis, app.state.instance)
            app.state.health.add("redis-cache", probe, hard=False, remedy=REDIS_REMEDY)
        discovery, registration = _discovery(app, http, inside, stack)
        services = ServiceClient(discovery, inside, app.state.metrics, uses_tls=settings.uses_tls)
        identity = teller = refusals = None
        if trust is None:
            assert isinstance(settings, ClientSettings), "a service that asks auth has ClientSettings"  # noqa: S101
            identity = ServiceIdentity(services, settings.client_id or name, settings.client_secret.get_secret_value())
            trust = await _auths_trust(app, services, identity, stack)
            registry = app.state.metrics.registry
            teller = await stack.enter_async_context(telling(settings.rabbitmq_url.get_secret_value(), name, registry))
            refusals = await stack.enter_async_context(refusing(teller))
        limiter = RateLimiter(settings, open_permits(redis), app.state.metrics.rate_limit_unchecked)
        live = await _live(app, http, limiter, teller, stack) if has_limits else LiveSettings(settings, _to_nobody)
        verifier = TokenVerifier(
            trust.keys, trust.revocations, issuer=settings.auth_issuer, audience=settings.auth_audience
        )
        idempotency = Idempotency(redis, name)
        await stack.enter_async_context(in_background(idempotency.run()))
        platform = Platform(
            settings=settings,
            health=app.state.health,
            services=services,
            identity=identity,
            discovery=discovery,
            verifier=verifier,
            authenticator=Authenticator(verifier, trust.api_keys),
            rate_limiter=limiter,
            requests=Shares("requests", MOST_AT_ONCE),
            idempotency=idempotency,
            cursors=CursorCodec(settings.cursor_secret.get_secret_value()),
            registration=registration,
            teller=teller,
            refusals=refusals,
            live=live,
        )
        app.state.platform = platform
        await stack.enter_async_context(in_background(app.state.watchdog.run()))
        await stack.enter_async_context(_watched(app))
        if registration:
            stack.push_async_callback(registration.deregister)
            registration.start()
        yield platform


def _to_nobody(_change: Change) -> None:
    """There is nothing that changes."""


async def _live(
    app: FastAPI, http: httpx.AsyncClient, limiter: RateLimiter, teller: Teller | None, stack: AsyncExitStack
) -> LiveSettings:
    """What Consul says of this service's settings, followed until the stack closes; nothing where there is none."""
    settings, name, names = app.state.settings, app.state.service, ChangeNames()

    def told(change: Change) -> None:
        if tells:
            tells.tell_deed(_deed_of(name, change), once=f"{name}/{names.name(change)}")

    follows, tells = settings.discovery == "consul" and settings.consul_url, teller
    if follows and tells is None:  # auth, whose log has a change of its own settings by the same way
        url = settings.rabbitmq_url.get_secret_value()
        tells = await stack.enter_async_context(telling(url, name, app.state.metrics.registry))
    live = LiveSettings(settings, told)

    async def limit(changed: ServiceSettings) -> None:
        limiter.apply(changed)

    async def log(changed: ServiceSettings) -> None:
        logging.getLogger().setLevel(changed.log_level)

    await live.follow(limit, *(one for one in ServiceSettings.live if one.startswith("rate_limit_")))
    await live.follow(log, "log_level")
    if follows:
        token = settings.consul_token.get_secret_value() if settings.consul_token else None
        keys = ConsulKeys(settings.consul_url, http, prefix_of(name), live.take, token)
        app.state.health.add("settings", live.check, hard=False, remedy=LIVE_REMEDY)
        await stack.enter_async_context(in_background(keys.run()))
    return live


def _deed_of(service: str, change: Change) -> Deed:
    """It says nothing of who put it into Consul, which does not tell."""
    return Deed(
        action="setting.changed",
        actor=f"{SERVICE_PREFIX}{service}",
        tenant_id=None,
        target=f"{service}/{change.name}",
        details={"value": "as in the environment" if change.value is None else change.value},
    )


def _watched(app: FastAPI) -> AbstractAsyncContextManager[None]:
    """The free space below the stores."""
    storage: Storage = app.state.storage
    if storage.is_watched:
        app.state.health.add("storage", storage.check, hard=False, remedy=STORAGE_REMEDY)
    return storage.watched()


async def _inside(app: FastAPI, http: httpx.AsyncClient, stack: AsyncExitStack) -> httpx.AsyncClient:
    """The pool for calls to our own services: without TLS that of everything else."""
    tls: Tls | None = app.state.tls
    if tls is None:
        return http
    await stack.enter_async_context(tls.followed())
    app.state.health.add("certificate", tls.check, hard=False, remedy=TLS_REMEDY)
    settings: ServiceSettings = app.state.settings
    return await stack.enter_async_context(open_http_client(settings.request_timeout_seconds, tls))


def _discovery(
    app: FastAPI, http: httpx.AsyncClient, inside: httpx.AsyncClient, stack: AsyncExitStack
) -> tuple[Discovery, Registration | None]:
    settings: ServiceSettings = app.state.settings
    if settings.discovery != "consul" or not settings.consul_url:
        return StaticDiscovery(settings.static_services), None
    token = settings.consul_token.get_secret_value() if settings.consul_token else None
    discovery = ConsulDiscovery(settings.consul_url, http, token, scheme="https" if settings.uses_tls else "http")
    stack.push_async_callback(discovery.aclose)
    name: str = app.state.service
    registration = Registration(
        settings.consul_url,
        http,
        service=name,
        # By its address: whoever takes the place of a killed process takes over its registration too.
        instance_id=app.state.instance,
        host=settings.advertise_host,
        port=settings.port,
        token=token,
        own=inside if settings.uses_tls else None,
    )

    async def lets_us_in() -> None:
        registration.require_accepted()
        await discovery.ping()

    app.state.health.add("consul", lets_us_in, hard=False, remedy="calls go to the last known addresses; start it")
    return discovery, registration


async def _auths_trust(
    app: FastAPI, services: ServiceClient, identity: ServiceIdentity, stack: AsyncExitStack
) -> Trust:
    """What auth says, followed until the stack closes."""
    keys = RemoteKeys(services)
    feed = RevocationFeed(RemoteChanges(identity), keys)
    url = app.state.settings.rabbitmq_url.get_secret_value()
    await stack.enter_async_context(followed(feed, rabbitmq_url=url, listener=app.state.service))
    app.state.health.add("auth", feed.ping, hard=False, remedy="look at the health of auth, and at its log")
    return Trust(keys, RemoteApiKeys(identity), feed)
