"""What every place for blobs promises."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from services.vectors.adapters.blobs_folder import FolderBlobs
from services.vectors.errors import EngineKeyRefused
from services.vectors.files.domain import PART_BYTES
from services.vectors.ports import Blobs
from shared.errors import StorageFull, Unavailable, UpstreamTimeout
from tests.contracts.blobs.conftest import SECONDS, in_bucket
from tests.fixtures.buckets import Bucket


async def paths(blobs: Blobs, folder: str) -> list[str]:
    return [blob.path for blob in await blobs.list(folder)]


@pytest.mark.parametrize("content", [b"", b"a", os.urandom(PART_BYTES)], ids=["empty", "short", "a-part"])
async def test_what_is_put_is_got(blobs: Blobs, content: bytes) -> None:
    assert await blobs.put("files/a/b", content) is True

    assert await blobs.get("files/a/b") == content
    assert await blobs.get("files/a") is None
    assert await blobs.get("files/a/b/c") is None


async def test_what_is_there_is_not_put_again(blobs: Blobs) -> None:
    assert await blobs.put("a", b"first")

    assert await blobs.put("a", b"second") is False

    assert await blobs.get("a") == b"first"


async def test_a_list_has_what_is_below_by_path(blobs: Blobs) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    for path in ("a/b/parts/2", "a/b/parts/10", "a/b/upload", "a/bc/upload", "ab/x", "b/y"):
        await blobs.put(path, path.encode())

    assert await paths(blobs, "a") == ["a/b/parts/10", "a/b/parts/2", "a/b/upload", "a/bc/upload"]
    assert await paths(blobs, "a/b") == ["a/b/parts/10", "a/b/parts/2", "a/b/upload"]
    assert await paths(blobs, "none") == []
    found = (await blobs.list("ab"))[0]
    assert found.bytes == 4
    assert before < found.modified_at < datetime.now(UTC) + timedelta(seconds=2)


async def test_what_is_deleted_is_gone_with_what_is_below(blobs: Blobs) -> None:
    for path in ("a/b/1", "a/b/2", "a/bc", "b"):
        await blobs.put(path, b"x")

    await blobs.delete("a/b")
    await blobs.delete("b")
    await blobs.delete("none/at/all")

    assert await paths(blobs, "a") == ["a/bc"]
    assert await blobs.get("b") is None
    assert await blobs.put("b", b"again")


async def test_a_list_is_whole_however_long_it_is(blobs: Blobs) -> None:
    names = [f"long/{at:04}" for at in range(1_100)]  # a server lists a thousand at once
    turns = asyncio.Semaphore(16)

    async def put(path: str) -> None:
        async with turns:
            await blobs.put(path, b"")

    await asyncio.gather(*map(put, names))

    assert await paths(blobs, "long") == names
    await blobs.delete("long")
    assert await paths(blobs, "long") == []


async def test_of_many_who_put_at_one_place_one_is_told_so(tmp_path: Path) -> None:
    """A bucket's server decides that itself, and the one here looks before it leaps."""
    replicas = [FolderBlobs(tmp_path, SECONDS) for _ in range(2)]
    await replicas[0].open()

    for at in range(20):
        put = [one.put(f"a/{at}/b", bytes([which])) for which in range(4) for one in replicas]
        assert sorted(await asyncio.gather(*put)) == [False] * 7 + [True]


async def test_who_puts_while_another_deletes_has_put_or_is_told(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path, SECONDS)
    await blobs.open()

    for _ in range(50):
        put, _ = await asyncio.gather(blobs.put("a/b/c", b"x"), blobs.delete("a"))
        assert put is True
        await blobs.delete("a")


async def test_a_check_leaves_nothing(blobs: Blobs) -> None:
    await blobs.check()

    assert await blobs.list("probes") == []


@pytest.mark.parametrize("path", ["../a", "/a", "a//b", "a/.", "", "a\x00", "a/../../b"])
async def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    blobs = FolderBlobs(tmp_path / "files", SECONDS)

    with pytest.raises(ValueError, match="no path"):
        await blobs.put(path, b"")


async def test_a_full_disk_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path, SECONDS)
    await blobs.open()

    for number, error in ((errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, Unavailable)):
        with mock.patch("os.fsync", side_effect=OSError(number, "said by the disk")), pytest.raises(error) as raised:
            await blobs.put("a/b", b"x")
        assert (raised.value.component, isinstance(raised.value, StorageFull)) == ("files", error is StorageFull)
    assert await blobs.get("a/b") is None
    assert list((tmp_path / ".aside").iterdir()) == []


async def test_a_folder_that_cannot_be_read_is_not_one_with_nothing_in_it(tmp_path: Path) -> None:
    """Else a file would look deleted, and its parts be taken away as what is left of it."""
    blobs = FolderBlobs(tmp_path, SECONDS)
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(Unavailable):
        await blobs.list("loop")


async def test_a_bucket_that_is_not_there_is_away(bucket: Bucket) -> None:
    blobs = in_bucket(bucket, "no-such-bucket")

    for asked in (blobs.put("a", b""), blobs.get("a"), blobs.list("a"), blobs.delete("a"), blobs.check()):
        with pytest.raises(Unavailable):
            await asked


@asynccontextmanager
async def answering(status: str | None) -> AsyncIterator[Bucket]:
    """A server that has one answer for all, or none."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if status is None:
            await reader.read()  # until it is given up
        else:
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield Bucket(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "bucket")


async def test_a_frozen_server_is_not_waited_for() -> None:
    async with answering(None) as bucket:
        with pytest.raises(UpstreamTimeout):
            await in_bucket(bucket, seconds=1.0).get("a")


async def test_a_server_that_refuses_our_key_is_the_operators_business() -> None:
    async with answering("403 Forbidden") as bucket:
        with pytest.raises(EngineKeyRefused, match="FILES_S3_SECRET"):
            await in_bucket(bucket).get("a")
