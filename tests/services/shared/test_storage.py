"""A disk that is nearly full: what would be stored is refused at the door, all else goes on, and it heals by itself."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from local.suite import Suite
from shared.door import GuardedRoute, requires, stores_nothing
from shared.identity import Caller
from shared.platform import open_platform
from shared.web import create_service
from tests.fixtures.apps import alive
from tests.fixtures.disks import Disk, small_disk
from tests.fixtures.identity import User
from tests.fixtures.readiness import until_check
from tests.services.shared.small import settings_of

THINGS = "/api/v1/things"


def build(suite: Suite, folder: Path) -> FastAPI:
    router = APIRouter(prefix="/api/v1/things", route_class=GuardedRoute)
    reader, writer = requires("agents:read"), requires("agents:write")

    @router.get("")
    async def read(_: Annotated[Caller, reader]) -> None: ...

    @router.post("")
    async def write(_: Annotated[Caller, writer]) -> None: ...

    @router.delete("")
    async def delete(_: Annotated[Caller, writer]) -> None: ...

    @router.post("/search")
    async def search(_: Annotated[Caller, reader]) -> None: ...

    @router.post("/cancel")
    @stores_nothing
    async def cancel(_: Annotated[Caller, writer]) -> None: ...

    @router.post("/anonymous")
    async def anonymous() -> None: ...

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_platform(app) as platform:
            yield {"platform": platform}

    settings = settings_of(suite, storage_folders=str(folder), storage_floor_mib=4)
    return create_service("things", settings, title="Things", description="", lifespan=lifespan, routers=[router])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 16) as disk:
        yield disk


@pytest.fixture
async def client(suite: Suite, user: User, disk: Disk) -> AsyncIterator[httpx.AsyncClient]:
    async with alive(build(suite, disk.path)) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://things", headers=user.headers) as client:
            yield client


async def test_what_is_stored_is_refused_and_the_rest_goes_on_until_there_is_room(
    client: httpx.AsyncClient, disk: Disk
) -> None:
    await until_check(client, "storage", "pass")
    assert (await client.post(THINGS)).status_code == 200

    disk.fill(free_mib=2)
    told = await until_check(client, "storage", "warn", code=200)

    assert told["code"] == 200
    assert told["detail"] == (
        "2 MiB of disk are free, and writes are refused below 4: free or add space; reading and deleting go on"
    )
    for path in ("", "/anonymous"):
        refused = await client.post(THINGS + path)
        assert (refused.status_code, refused.json()["code"]) == (507, "common.storage_full")
        assert refused.headers["retry-after"].isdigit()
    assert (await client.get(THINGS)).status_code == 200
    assert (await client.delete(THINGS)).status_code == 200
    assert (await client.post(f"{THINGS}/search")).status_code == 200
    assert (await client.post(f"{THINGS}/cancel")).status_code == 200

    disk.free()
    await until_check(client, "storage", "pass")
    assert (await client.post(THINGS)).status_code == 200


async def test_nobody_is_told_of_the_disk_who_may_not_write(client: httpx.AsyncClient, disk: Disk) -> None:
    disk.fill(free_mib=2)
    await until_check(client, "storage", "warn")

    assert (await client.post(THINGS, headers={"Authorization": ""})).status_code == 401
