"""A small service with an operation of every class, callers of any name, and limits low enough to reach."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import StreamingResponse
from jwt.algorithms import OKPAlgorithm

from shared.door import ClaimingRoute, GuardedRoute, Keyed, requires
from shared.errors import NotFound, Unauthenticated
from shared.identity import ALGORITHM, TOKEN_TYPE, Caller, HeldRevocations, Revocations
from shared.limits import limited_by_source
from shared.platform import Trust, open_platform
from shared.schemas import RequestModel
from shared.settings import ServiceSettings
from shared.web import create_service
from tests.fixtures.apps import alive
from tests.fixtures.sources import GATEWAY_TOKEN

THINGS = "/api/v1/things"
KEY = Ed25519PrivateKey.generate()


class Thing(RequestModel):
    name: str


class OneKey:
    """The key that `headers_of` signs with, and no API key (`shared.platform.Trust`)."""

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        public = OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return jwt.PyJWK.from_dict({**public, "kid": key_id, "alg": ALGORITHM})

    async def exchange(self, api_key: str) -> str:
        raise Unauthenticated


TRUST = Trust(OneKey(), OneKey(), HeldRevocations(Revocations()))


def headers_of(user: str | None = None, *, scope: str = "things:*", **claims: Any) -> dict[str, str]:
    """The headers of somebody, whom no other test knows when no name is given."""
    now, identity = int(time.time()), user or secrets.token_hex(8)
    body = {"iss": "test", "aud": "sutazai", "sub": identity, "tid": identity, "scope": scope, "jti": "1"}
    headers = {"typ": TOKEN_TYPE, "kid": "1"}
    token = jwt.encode({**body, "iat": now, "exp": now + 900, **claims}, KEY, ALGORITHM, headers)
    return {"Authorization": f"Bearer {token}"}


def build(redis_url: str, **settings: Any) -> FastAPI:
    router = APIRouter(prefix="/api/v1/things", route_class=GuardedRoute)
    creating = APIRouter(prefix="/api/v1/things", route_class=ClaimingRoute)

    @router.get("")
    async def look(_: Annotated[Caller, requires("things:read")]) -> list[str]:
        return []

    @router.get("/stream")
    async def stream(_: Annotated[Caller, requires("things:read")]) -> StreamingResponse:
        return StreamingResponse(iter("abc"))

    @router.get("/{name}")
    async def find(name: str, _: Annotated[Caller, requires("things:read")]) -> None:
        raise NotFound

    @creating.post("", status_code=201)
    async def create(body: Thing, _: Annotated[Caller, requires("things:write")], __: Keyed) -> dict[str, str]:
        return {"made": secrets.token_hex(8)}

    @router.post("/think")
    async def think(_: Annotated[Caller, requires("things:write", limit="model")]) -> None: ...

    @router.post("/named")
    async def named(body: Thing, _: Annotated[Caller, requires("things:write", body="name")]) -> None: ...

    @router.post("/knock", dependencies=[Depends(limited_by_source)])
    async def knock() -> None: ...

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_platform(app, trust=TRUST) as platform:
            yield {"platform": platform}

    given = {
        "environment": "local",
        "rabbitmq_url": "amqp://127.0.0.1:1",
        "cursor_secret": "c" * 32,
        "discovery": "static",
        "auth_issuer": "test",
        "gateway_token": GATEWAY_TOKEN,
    }
    configured = ServiceSettings(redis_url=redis_url, **(given | settings))
    return create_service(
        "things", configured, title="Things", description="", lifespan=lifespan, routers=[creating, router]
    )


@asynccontextmanager
async def things(redis_url: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service with these limits."""
    async with alive(build(redis_url, **settings)) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
            yield client
