"""Opens what the portal asks with, and closes it in reverse."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from gateway.portal.documents import Documents
from gateway.portal.health import PROBE_SECONDS, SystemHealth
from gateway.portal.settings import Settings
from shared.calls import open_http_client
from shared.errors import Unauthenticated
from shared.identity import HeldRevocations, Revocations
from shared.platform import Platform, Trust, open_platform


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    health: SystemHealth
    documents: Documents


class _NoKeys:
    """Everything here is public: no token is verified and no key exchanged."""

    async def find_key(self, key_id: str) -> None:  # noqa: ARG002 - there is none of any id
        return None

    async def exchange(self, api_key: str) -> str:  # noqa: ARG002 - as above
        raise Unauthenticated


_NOBODY = Trust(_NoKeys(), _NoKeys(), HeldRevocations(Revocations()))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    # A pool of its own: probes go to each instance by address, and must not queue behind documents.
    async with (
        open_platform(app, trust=_NOBODY, has_limits=False) as platform,
        open_http_client(PROBE_SECONDS, app.state.tls) as http,
    ):
        yield State(
            platform=platform,
            health=SystemHealth(platform.discovery, http, platform.health, settings),
            documents=Documents(platform.services, app.openapi, settings.version),
        )
