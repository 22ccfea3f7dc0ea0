"""The servers that the rows compare: each answers `POST /api/v1/bench/echo` with what it was sent.

ours   shared.create_service: validated models, request id, trace id, metrics, access log, a verified token and scope
bare   FastAPI with the same two models and nothing else
raw    an ASGI function that copies bytes: the server's own limit
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, FastAPI
from jwt.algorithms import OKPAlgorithm
from pydantic import Field

from shared import telemetry
from shared.app import create_service
from shared.ids import new_id
from shared.platform import open_platform
from shared.schemas import RequestModel, ResponseModel, Text
from shared.security import ALGORITHM, TOKEN_TYPE, Caller, requires
from shared.settings import ServiceSettings

ISSUER, AUDIENCE, KEY_ID = "http://bench", "bench", "bench"


class EchoRequest(RequestModel):
    """About 1 KB."""

    id: int = Field(ge=0)
    tags: list[Annotated[Text, Field(max_length=64)]] = Field(max_length=16)
    text: Annotated[Text, Field(max_length=2048)]


class EchoRead(ResponseModel):
    """The same again."""

    id: int
    tags: list[str]
    text: str


class FixedKeys:
    """The one key of this run (`shared.security.KeySource`)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self._key = jwt.PyJWK.from_dict({**jwk, "kid": KEY_ID, "alg": ALGORITHM})

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        return self._key if key_id == KEY_ID else None


def signing_key() -> Ed25519PrivateKey:
    """Given by the benchmark to both sides through the environment: a key of this run, worth nothing after it."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(os.environ["BENCH_KEY"]))


def token() -> str:
    """An access token for the whole run."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": new_id(), "tid": new_id(), "scope": "agents:read", "jti": new_id()}
    headers = {"typ": TOKEN_TYPE, "kid": KEY_ID}
    return jwt.encode({**claims, "iat": now, "exp": now + 7200}, signing_key(), ALGORITHM, headers)


def ours() -> FastAPI:
    """A route on everything a service gets by default."""
    router = APIRouter(prefix="/bench")

    @router.post("/echo", response_model=EchoRead)
    async def echo(body: EchoRequest, _: Annotated[Caller, requires("agents:read")]) -> EchoRequest:
        return body

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with open_platform(app, keys=FixedKeys(signing_key())) as platform:
            yield {"platform": platform}

    settings = ServiceSettings(
        redis_url="redis://127.0.0.1:1",
        rabbitmq_url="amqp://127.0.0.1:1",
        cursor_secret="not a secret: it signs no cursor in a benchmark",
        discovery="static",
        auth_issuer=ISSUER,
        auth_audience=AUDIENCE,
    )
    telemetry.configure("bench", settings)
    return create_service("bench", settings, title="bench", description="", lifespan=lifespan, routers=[router])


def bare() -> FastAPI:
    """FastAPI as its first page shows it."""
    app = FastAPI()

    @app.post("/api/v1/bench/echo", response_model=EchoRead)
    async def echo(body: EchoRequest) -> EchoRequest:
        return body

    return app


def raw() -> Any:
    """Bytes in, bytes out."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = (await receive())["body"]
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
