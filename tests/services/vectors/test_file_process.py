"""A service that is killed in the middle of an upload, and how much memory a large one takes."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from local.layout import REPOSITORY
from local.suite import Suite
from services.vectors.files.domain import PART_BYTES
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.fixtures.ports import free_port
from tests.services.vectors.test_file_pieces import begun, offset_of, send
from tests.services.vectors.test_files import FILES

LARGE = 100 * 2**20
_CHUNK = os.urandom(2**16)
_MOST_MORE_BYTES = 40 * 2**20
Process = tuple[asyncio.subprocess.Process, httpx.AsyncClient]


@pytest.fixture
def environment(suite: Suite, auth: httpx.AsyncClient, tmp_path: Path) -> dict[str, str]:
    """Of a process whose files outlive it."""
    suite.up(["redis-cache", "chromadb"])
    own = {"DISCOVERY": "static", "PORT": str(free_port()), "DATA_DIR": str(tmp_path), "FILES_DIR": str(tmp_path / "f")}
    return suite.environment("vectors") | own


@asynccontextmanager
async def serving(environment: dict[str, str], user: User) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.vectors", cwd=REPOSITORY, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    scheme = "https" if environment.get("TLS_KEY_FILE") else "http"
    try:
        async with httpx.AsyncClient(
            base_url=f"{scheme}://127.0.0.1:{environment['PORT']}",
            headers=user.headers,
            timeout=60,
            verify=authorities(),
        ) as client:
            await until(lambda: _is_ready(client))
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.05)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).is_success
    except httpx.TransportError:
        return False


async def test_what_came_before_a_kill_is_kept_and_the_rest_follows(environment: dict[str, str], user: User) -> None:
    content = os.urandom(5 * PART_BYTES + 77)
    async with serving(environment, user) as (process, client):
        place = await begun(client, len(content))
        killed = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield content[: 3 * PART_BYTES + 5]
            await killed.wait()

        sending = asyncio.create_task(send(client, place, 0, stalling()))

        async def is_under_way() -> bool:
            return await offset_of(client, place) == 3 * PART_BYTES

        await until(is_under_way)
        process.kill()
        await process.wait()
        killed.set()
        with pytest.raises(httpx.TransportError):
            await sending

    async with serving(environment, user) as (_, client):
        at = await offset_of(client, place)
        sent = await send(client, place, at, content[at:])
        kept = (await client.get(f"{place}/content")).content

    assert (at, sent.status_code) == (3 * PART_BYTES, 204)
    assert kept == content


async def test_a_large_file_passes_through_little_memory(environment: dict[str, str], user: User) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}

    async def body() -> AsyncIterator[bytes]:
        yield head
        for _ in range(LARGE // len(_CHUNK)):
            yield _CHUNK
        yield b"\r\n--x--\r\n"

    async with serving(environment, user) as (process, client):
        before = _peak(process.pid)
        answer = await client.post(FILES, content=body(), headers=form)
        read = hashlib.sha256()
        async with client.stream("GET", f"{answer.headers['Location']}/content") as content:
            async for chunk in content.aiter_bytes():
                read.update(chunk)
        after = _peak(process.pid)

    assert (answer.status_code, answer.json()["bytes"]) == (201, LARGE)
    assert read.digest() == hashlib.sha256(_CHUNK * (LARGE // len(_CHUNK))).digest()
    assert after - before < _MOST_MORE_BYTES


def _peak(pid: int) -> int:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 2**10
